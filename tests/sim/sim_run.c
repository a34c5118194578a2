/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a safety phase in which fate plays, healing, liveness with a bound, the idle client's invariants, the
 * end. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 400000
#define START (10 * (uint64_t)SIM_S) /* a time of 0 has never bitten anybody in production */

void sim_fail(sim *s, const char *format, ...)
{
    va_list args;
    if (s->failed)
        return;
    s->failed = true;
    va_start(args, format);
    vsnprintf(s->failure, sizeof s->failure, format, args);
    va_end(args);
    if (s->verbose)
        printf("%12.6f  FAILED: %s\n", (double)s->w.now / 1e9, s->failure);
}

void sim_log(sim *s, const char *format, ...)
{
    va_list args;
    if (!s->verbose)
        return;
    printf("%12.6f  ", (double)s->w.now / 1e9);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

void sim_note(sim *s, uint64_t a, uint64_t b)
{
    s->hash = (s->hash ^ a) * 0x100000001b3u;
    s->hash = (s->hash ^ b) * 0x100000001b3u;
    s->hash ^= s->hash >> 29;
}

void sim_wake(void *user)
{
    sim *s = user;
    s->awake = true;
}

/* --- the clock of everybody -------------------------------------------------------------------------------- */

static void tick_model(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    s->model_timer = 0;
    model_tick(s->m, s->w.now);
}

static void tick_client(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    s->client_timer = 0;
    s->awake = true;
}

static void drive_late(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    s->drive_scheduled = false;
    if (s->w.now >= s->frozen_until)
        client_drive(s);
}

static void set_timer(sim *s, uint64_t *id, uint64_t *at, uint64_t due, world_action *action)
{
    if (*id != 0 && *at == due)
        return;
    if (*id != 0)
        world_cancel(&s->w, *id);
    *at = due;
    *id = due != SIM_NEVER ? world_at(&s->w, due, action, s, 0) : 0;
}

static void wake_client(sim *s)
{
    s->awake = false;
    if (s->w.now < s->frozen_until || s->drive_scheduled)
        return;
    if (s->sw.lateness_ns == 0) {
        client_drive(s);
        return;
    }
    s->drive_scheduled = true;
    world_at(&s->w, s->w.now + rng_below(&s->drive, s->sw.lateness_ns), drive_late, s, 0);
}

static void begin_again(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    if (!s->failed)
        client_begin(s);
}

/* A closed client is judged, and another one starts, as long as there is something to do. */
static void next_life(sim *s)
{
    if (s->session == NULL || !s->closed_seen || s->phase == SIM_OVER)
        return;
    check_life(s);
    client_end(s);
    world_at(&s->w, s->w.now + rng_log(&s->app, 10 * SIM_MS, 500 * SIM_MS), begin_again, s, 0);
}

/* What everybody does after each event. */
static void settle(sim *s)
{
    for (int i = 0; i < 3 && !s->failed; i++) {
        peer_work(&s->p);
        net_harvest(&s->n);
        if (s->awake)
            wake_client(s);
        net_harvest(&s->n);
    }
    js_care(s);
    next_life(s);
    check_model_faults(s);
    if (s->failed)
        return;
    set_timer(s, &s->model_timer, &s->model_timer_at, model_deadline(s->m), tick_model);
    uint64_t due = s->drive_scheduled ? SIM_NEVER : client_deadline(s);
    if (due != SIM_NEVER && due < s->frozen_until)
        due = s->frozen_until;
    set_timer(s, &s->client_timer, &s->client_timer_at, due, tick_client);
}

static bool step(sim *s)
{
    if (s->failed || s->w.events > EVENTS_MAX)
        return false;
    if (!world_step(&s->w))
        return false;
    settle(s);
    return !s->failed;
}

/* Runs until |done| or |until|; false: neither came, or something failed. */
static bool run_until(sim *s, uint64_t until, bool (*done)(sim *s))
{
    while (!s->failed && s->w.now <= until)
        if (done(s))
            return true;
        else if (!step(s))
            break;
    return false;
}

/* --- phases ------------------------------------------------------------------------------------------------ */

static void begin(sim *s)
{
    world_init(&s->w, s->seed, START);
    s->m = model_new(&s->sw.model, s->seed, START);
    model_watch(s->m, &(model_watcher){ s, ledger_seen, ledger_delivered, publish_stored, publish_removed });
    net_init(&s->n, &s->w, s->m, s->seed, &s->sw.weather, sim_wake, s);
    peer_init(&s->p, &s->w, s->m, s->seed, ledger_asked, s);
    s->app = rng_for(s->seed, "app");
    s->fate = rng_for(s->seed, "fate");
    s->drive = rng_for(s->seed, "drive");
    s->memory = rng_for(s->seed, "memory");
    peer_work(&s->p);
    if (s->sw.js)
        js_make_stream(s, 0);
    client_begin(s);
}

static bool has_seen_enough(sim *s)
{
    return s->steps_done >= s->sw.steps && s->faults >= SIM_MIN_FAULTS && s->w.events >= s->sw.min_events;
}

static bool servers_are_up(const sim *s)
{
    for (unsigned i = 0; i < s->sw.model.servers; i++)
        if (!model_is_up(s->m, i))
            return false;
    return true;
}

static bool is_connected(sim *s)
{
    bool ready = s->connected && nbj__session_phase(s->session) == NBJ__PHASE_READY;
    const model_conn *server = ready ? net_server_of(s->conn) : NULL;
    return server != NULL && model_conn_ready(server) && !net_is_half_open(s->conn) && !s->asked_to_drain &&
           servers_are_up(s);
}

/* Q10: stale detection where the connection is half-open, an attempt that was under way, the longest wait, the
 * attempt that succeeds; a drain that was asked for and a lame duck that was left are waited for, too. */
static uint64_t reconnect_bound(const sim *s)
{
    const nbj__session_options *o = &s->sw.session;
    uint64_t bound = o->connect_timeout_ns + o->reconnect_max_ns + 12 * (uint64_t)SIM_S;
    if (s->conn != NULL && net_is_half_open(s->conn)) /* if octets still come, it is the server that finds it */
        bound += (o->max_pings_out + 1) * o->ping_interval_ns + o->write_timeout_ns + 4 * s->sw.model.ping_interval_ns;
    return bound;
}

/* The programme of a healed client: one of each, all of which have to work. */
static void probe(sim *s)
{
    uint64_t patience = 60 * (uint64_t)SIM_S;
    app_subscribe(s, "b", NULL, 0, false);
    app_publish(s, "b", 40);
    if (s->p.conn != NULL)
        app_request(s, "svc.echo", patience);
    app_flush(s, patience);
    s->awake = true;
    settle(s);
}

static void check_probe(sim *s)
{
    if (s->subs == NULL || s->subs->received == 0)
        if (!s->sw.session.no_echo)
            sim_fail(s, "what was published after healing did not come back");
    for (const app_call *c = s->calls; c != NULL; c = c->next)
        if (c->call.status == NBJ_E_TIMEOUT && c->deadline > s->healed_at + 60 * (uint64_t)SIM_S)
            sim_fail(s, "a call after healing had no answer");
}

static bool becomes_idle(sim *s)
{
    uint64_t bound =
        4 * (s->sw.ack_wait_ns + s->sw.pull.expires_ns) + 4 * s->sw.model.ping_interval_ns + 120 * (uint64_t)SIM_S;
    if (run_until(s, s->w.now + bound, check_is_idle))
        return true;
    sim_fail(s, "not idle %" PRIu64 " s after everything was healed: %s", bound / SIM_S, check_why_busy(s));
    return false;
}

static void liveness(sim *s)
{
    fate_heal(s);
    uint64_t bound = reconnect_bound(s);
    if (!run_until(s, s->healed_at + bound, is_connected)) {
        sim_fail(s, "not connected %" PRIu64 " s after everything was healed", bound / SIM_S);
        return;
    }
    sim_log(s, "connected after healing");
    if (!becomes_idle(s))
        return;
    probe(s);
    if (!becomes_idle(s))
        return;
    check_probe(s);
    check_idle(s);
}

static bool never(sim *s)
{
    (void)s;
    return false;
}

/* Nothing happens any more: the connection stays, the consumer has nothing to recover from. */
static void quiet(sim *s)
{
    run_until(s, s->w.now + 3 * s->sw.pull.heartbeat_ns, never); /* a request that died with its server is noticed */
    if (s->failed || s->session == NULL)
        return;
    uint64_t reconnects = nbj__session_stats_of(s->session)->reconnects,
             recoveries = s->has_pull ? s->pull.recoveries : 0;
    uint64_t length = 3 * s->sw.session.ping_interval_ns + (s->sw.js ? 2 * s->sw.pull.expires_ns : 0);
    run_until(s, s->w.now + length, never);
    s->was_quiet = true;
    run_until(s, s->w.now + length, check_is_idle);
    if (s->failed)
        return;
    if (s->session == NULL || !s->connected || nbj__session_stats_of(s->session)->reconnects != reconnects)
        sim_fail(s, "the connection did not last though nothing happened");
    else if (s->has_pull && s->pull.recoveries != recoveries)
        sim_fail(s, "the pull consumer recovered though nothing happened");
    else
        check_idle(s);
}

static bool is_closed(sim *s)
{
    return s->closed_seen;
}

static void finish(sim *s)
{
    bool drains = rng_below(&s->drive, 2) == 0;
    s->phase = SIM_OVER;
    if (drains) {
        s->asked_to_drain = true;
        app_take_all(s, SIZE_MAX);
        nbj__session_drain(s->session, s->w.now, s->w.now + 60 * (uint64_t)SIM_S);
    } else {
        s->asked_to_close = true;
        nbj__session_close(s->session, NBJ_OK, NULL);
    }
    s->awake = true;
    settle(s);
    if (!run_until(s, s->w.now + 61 * (uint64_t)SIM_S, is_closed))
        sim_fail(s, "the client does not close");
    else if (s->closed_status != NBJ_OK)
        sim_fail(s, "the last client closed with: %s", nbj_strerror(s->closed_status));
    else
        check_life(s);
}

static void free_all(sim *s)
{
    net_free(&s->n);
    peer_free(&s->p);
    model_free(s->m);
    world_free(&s->w);
    free(s->entries);
    free(s->notes);
}

static void summarize(const sim *s, sim_result *out)
{
    *out = (sim_result){
        .events = s->w.events, .faults = s->faults, .hash = s->hash, .lives = s->life, .failed = s->failed
    };
    out->published = s->count;
    out->virtual_ns = s->w.now;
    out->carried[0] = s->carried[0];
    out->carried[1] = s->carried[1];
    memcpy(out->fate_hits, s->fate_hits, sizeof out->fate_hits);
    memcpy(out->failure, s->failure, sizeof out->failure);
}

/* Healing and everything after it. */
static void end_run(sim *s, sim_result *out)
{
    if (!s->failed)
        liveness(s);
    if (!s->failed && !s->sw.publishing)
        quiet(s);
    if (!s->failed)
        finish(s);
    if (s->session != NULL)
        client_end(s);
    summarize(s, out);
    free_all(s);
    free(s);
}

static void run(uint64_t seed, bool verbose, void (*draw)(swarm *sw, uint64_t seed), sim_result *out)
{
    sim *s = sim_alloc(sizeof *s);
    s->seed = seed;
    s->verbose = verbose;
    draw(&s->sw, seed);
    begin(s);
    world_at(&s->w, START, app_step, s, 0);
    world_at(&s->w, START + s->sw.fate_mean_ns, fate_step, s, 0);
    settle(s);
    while (!s->failed && !has_seen_enough(s) && step(s))
        ;
    if (!s->failed && !has_seen_enough(s))
        sim_fail(s, "after %" PRIu64 " events: %" PRIu64 " of %u steps, %" PRIu64 " faults", s->w.events, s->steps_done,
                 s->sw.steps, s->faults);
    end_run(s, out);
}

void sim_run(uint64_t seed, bool verbose, sim_result *out)
{
    run(seed, verbose, swarm_draw, out);
}

void sim_run_publishing(uint64_t seed, bool verbose, sim_result *out)
{
    run(seed, verbose, swarm_draw_publishing, out);
}

/* --- the fixed programme ----------------------------------------------------------------------------------- */

static void fixed_step(void *user, uint64_t number)
{
    sim *s = user;
    if (number == 0) {
        app_subscribe(s, "b", NULL, 0, false);
        app_publish(s, "b", 40);
    } else if (number == 1) {
        app_request(s, "svc.echo", SIM_S);
        publish_something(s);
    } else {
        app_publish(s, "b", 0);
        app_flush(s, SIM_S);
    }
    s->awake = true;
}

void sim_run_cut(const sim_cut *cut, bool verbose, sim_result *out)
{
    sim *s = sim_alloc(sizeof *s);
    s->seed = 1;
    s->verbose = verbose;
    swarm_fix(&s->sw);
    begin(s);
    settle(s);
    if (cut->octet != SIM_NEVER)
        net_cut_at(s->conn, cut->way, cut->octet, cut->how);
    for (uint64_t i = 0; i < 3; i++)
        world_at(&s->w, START + (5 + 15 * i) * SIM_MS, fixed_step, s, i);
    run_until(s, START + 200 * SIM_MS, never);
    for (int way = 0; way < 2 && s->conn != NULL; way++)
        s->carried[way] = net_carried(s->conn, (net_way)way);
    end_run(s, out);
}
