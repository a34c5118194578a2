/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: after every turn of the driver, at the end of a client's life, and of a client that is idle. */
#include "sim.h"

#include <inttypes.h>
#include <string.h>

#define IDLE_BYTES (2u << 20) /* what an idle client may hold; the largest message here has 64 KiB */

void check_model_faults(sim *s)
{
    if (model_faults(s->m) > 0)
        sim_fail(s, "the server's parser: %s", model_fault(s->m, 0));
}

static void check_calls_in_time(sim *s)
{
    for (const app_call *c = s->calls; c != NULL; c = c->next)
        if (!c->done && c->deadline <= s->w.now)
            sim_fail(s, "call %" PRIu64 " is %" PRIu64 " ns over its deadline", c->id, s->w.now - c->deadline);
}

static void check_dialing_in_time(sim *s)
{
    nbj__phase p = nbj__session_phase(s->session);
    bool trying = p == NBJ__PHASE_DIALING || p == NBJ__PHASE_SHAKING;
    if (trying && s->conn != NULL && s->w.now > s->dial_started + s->sw.session.connect_timeout_ns)
        sim_fail(s, "connecting takes longer than its timeout");
}

static void check_memory(sim *s)
{
    const nbj__session_options *o = &s->sw.session;
    size_t outgoing = o->max_outgoing_bytes > 0 ? o->max_outgoing_bytes : 8u << 20;
    size_t window = s->sw.publish.max_bytes > 0 ? s->sw.publish.max_bytes : 1u << 20;
    size_t limit = 3 * (outgoing + window) + (8u << 20); /* buffers double; lists of calls */
    for (const app_sub *a = s->subs; a != NULL; a = a->next)
        limit += a->sub.queue_msgs * 33000; /* at worst each keeps a chunk of its own alive */
    if (s->live_bytes > limit)
        sim_fail(s, "%zu octets are allocated", s->live_bytes);
    if (nbj__session_outgoing(s->session) > outgoing + (1u << 20))
        sim_fail(s, "%zu octets wait to be written", nbj__session_outgoing(s->session));
}

/* The phase that the session names agrees with the events it gave. */
static void check_phase(sim *s)
{
    nbj__phase p = nbj__session_phase(s->session);
    if ((p == NBJ__PHASE_READY) != s->connected || (p == NBJ__PHASE_CLOSED) != s->closed_seen)
        sim_fail(s, "phase %d does not fit the events", (int)p);
    bool wants_socket = p == NBJ__PHASE_DIALING || p == NBJ__PHASE_SHAKING || p == NBJ__PHASE_READY;
    if (wants_socket != (s->conn != NULL))
        sim_fail(s, "phase %d %s a connection", (int)p, wants_socket ? "without" : "with");
}

/* What runs has asked, on this connection. */
static void check_pull_asked(sim *s)
{
    bool runs = s->has_pull && s->connected && !s->leaving && s->pull.state == NBJ__PULL_RUNNING;
    if (runs && s->next_written == 0 && !nbj__session_has_tx(s->session))
        sim_fail(s, "the pull consumer runs but did not ask on this connection");
}

void check_after_drive(sim *s)
{
    check_pull_asked(s);
    check_calls_in_time(s);
    check_dialing_in_time(s);
    check_memory(s);
    check_phase(s);
}

/* --- the end of a life ------------------------------------------------------------------------------------- */

static void check_drained(sim *s)
{
    for (uint64_t id = s->first_id; id < s->count; id++) {
        const entry *e = ledger_get(s, id);
        bool own = e->accepted && e->life == s->life && (e->kind == 'P' || e->kind == 'Q');
        if (own && e->written == 0 && !s->too_large_was_told)
            sim_fail(s, "drained well, but %c%" PRIu64 " was not written", e->kind, id);
    }
}

static bool was_allowed_to_close(const sim *s)
{
    const nbj__session_options *o = &s->sw.session;
    if (s->asked_to_close || s->asked_to_drain || s->alloc_failed)
        return true;
    if (!s->was_connected && !o->retry_first_connect)
        return true;
    if (s->was_connected && o->no_reconnect)
        return true;
    return o->max_reconnects > 0 || o->auth_errors_are_fatal;
}

void check_life(sim *s)
{
    for (const app_call *c = s->calls; c != NULL; c = c->next)
        if (!c->done)
            sim_fail(s, "call %" PRIu64 " has no outcome though the client is closed", c->id);
    for (const app_sub *a = s->subs; a != NULL; a = a->next)
        if (!a->ended)
            sim_fail(s, "subscription %s did not end though the client is closed", a->filter);
    for (uint64_t id = s->first_id; id < s->count; id++) {
        const entry *e = ledger_get(s, id);
        if (e->kind == 'J' && e->life == s->life && e->accepted && e->outcomes != 1)
            sim_fail(s, "J%" PRIu64 " has no outcome though the client is closed", id);
    }
    if (!was_allowed_to_close(s))
        sim_fail(s, "closed by itself: %s", nbj_strerror(s->closed_status));
    if (s->asked_to_drain && !s->asked_to_close && s->closed_status == NBJ_OK && s->was_connected)
        check_drained(s);
}

/* --- an idle client ---------------------------------------------------------------------------------------- */

static bool calls_are_done(const sim *s)
{
    for (const app_call *c = s->calls; c != NULL; c = c->next)
        if (!c->done)
            return false;
    return true;
}

const char *check_why_busy(sim *s)
{
    if (s->session == NULL || !s->connected)
        return "it is not connected";
    if (!calls_are_done(s))
        return "a call waits";
    if (nbj__session_has_tx(s->session))
        return "octets wait to be written";
    return net_is_quiet(&s->n) ? js_why_busy(s) : "octets are on their way";
}

bool check_is_idle(sim *s)
{
    return check_why_busy(s) == NULL;
}

/* What the server believes of the subscriptions is what the client believes. */
static void check_subscriptions(sim *s, const model_conn *server)
{
    size_t known = 0;
    for (const app_sub *a = s->subs; a != NULL; a = a->next) {
        model_sub_view v;
        bool there = model_sub_find(server, a->sub.sid, &v);
        if (a->ended || a->sub.state != NBJ__SUB_LIVE) {
            if (there)
                sim_fail(s, "subscription %s has ended, but the server still has it", a->filter);
            continue;
        }
        if (a->denied)
            continue;
        known++;
        if (!there || !str_is(v.subject, a->filter) || !str_eq(v.queue, str_of(a->queue)))
            sim_fail(s, "the server does not have subscription %s %s", a->filter, a->queue != NULL ? a->queue : "");
        else if (a->sub.max > 0 && v.max - v.count != a->sub.max - a->sub.delivered)
            sim_fail(s, "subscription %s: the server will send %" PRIu64 " more, the client takes %" PRIu64, a->filter,
                     v.max - v.count, a->sub.max - a->sub.delivered);
        if (a->received_here + a->sub.queue_msgs + a->sub.dropped < a->from_server)
            sim_fail(s, "subscription %s got %" PRIu64 " of %" PRIu64 " messages", a->filter, a->received_here,
                     a->from_server);
    }
    if (model_subs(server) > known + 2) /* the inboxes of requests and of the pull consumer */
        sim_fail(s, "the server has %zu subscriptions, %zu are known", model_subs(server), known);
}

static void check_publishes(sim *s)
{
    for (uint64_t id = s->first_id; id < s->count; id++) {
        const entry *e = ledger_get(s, id);
        bool own = e->life == s->life && e->accepted;
        bool refused = str_starts(str_of(e->subject), "deny.");
        if (own && e->kind == 'J' && e->outcomes != 1)
            sim_fail(s, "J%" PRIu64 " has %u outcomes", id, e->outcomes);
        if (!own || (e->kind != 'P' && e->kind != 'Q'))
            continue;
        if (e->written != 1 && !s->too_large_was_told)
            sim_fail(s, "%c%" PRIu64 " was accepted and written %u times", e->kind, id, e->written);
        if (e->written == 1 && e->written_on == net_number(s->conn) && e->seen != 1 && !refused)
            sim_fail(s, "%c%" PRIu64 " was written and never arrived", e->kind, id);
    }
}

void check_idle(sim *s)
{
    const model_conn *server = net_server_of(s->conn);
    if (server == NULL || !model_conn_ready(server)) {
        sim_fail(s, "idle on a connection without a server");
        return;
    }
    check_subscriptions(s, server);
    check_publishes(s);
    js_check_idle(s);
    app_take_all(s, SIZE_MAX);
    if (s->live_bytes > IDLE_BYTES)
        sim_fail(s, "an idle client holds %zu octets", s->live_bytes);
}
