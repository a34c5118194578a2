/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of the session under test, as an event loop would be, and the laws its events obey. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- memory: counted, bounded, failing on demand ----------------------------------------------------------- */

static bool no_memory(sim *s)
{
    bool fails = s->phase == SIM_SAFETY && s->sw.alloc_fail > 0 && rng_chance(&s->memory, s->sw.alloc_fail);
    s->alloc_failed |= fails;
    return fails;
}

static void count_memory(sim *s, size_t more, size_t less)
{
    s->live_bytes += more - less;
    s->peak_bytes = s->live_bytes > s->peak_bytes ? s->live_bytes : s->peak_bytes;
}

static void *sim_client_alloc(void *ctx, size_t size)
{
    sim *s = ctx;
    void *p = no_memory(s) ? NULL : malloc(size);
    if (p != NULL) {
        count_memory(s, size, 0);
        s->live_blocks++;
    }
    return p;
}

static void *sim_client_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    sim *s = ctx;
    void *p = no_memory(s) ? NULL : realloc(ptr, new_size);
    if (p != NULL)
        count_memory(s, new_size, old_size);
    return p;
}

static void sim_client_free(void *ctx, void *ptr, size_t size)
{
    sim *s = ctx;
    count_memory(s, 0, size);
    s->live_blocks--;
    free(ptr);
}

/* --- transitions ------------------------------------------------------------------------------------------- */

const nbj__machine *const sim_machines[] = { &nbj__link_machine, &nbj__session_machine, &nbj__drain_machine,
                                             &nbj__sub_machine,  &nbj__publish_machine, &nbj__pull_machine };
const size_t sim_machine_count = sizeof sim_machines / sizeof sim_machines[0];
static bool taken[sizeof sim_machines / sizeof sim_machines[0]][32];

bool sim_was_taken(const nbj__machine *m, size_t transition)
{
    for (size_t i = 0; i < sim_machine_count; i++)
        if (sim_machines[i] == m)
            return taken[i][transition];
    return false;
}

static void on_transition(void *ctx, const nbj__machine *m, int from, int to)
{
    sim *s = ctx;
    bool legal = false;
    for (size_t i = 0; i < sim_machine_count; i++)
        for (size_t k = 0; sim_machines[i] == m && k < m->count; k++)
            if (m->legal[k].from == from && m->legal[k].to == to)
                legal = taken[i][k] = true;
    if (!legal)
        sim_fail(s, "%s goes %d to %d, which its table does not know", m->name, from, to);
    sim_note(s, (uint64_t)from * 64 + (uint64_t)to, (uint64_t)m->name[0]);
    if (m == &nbj__publish_machine)
        publish_moved(s, to);
}

/* --- beginning --------------------------------------------------------------------------------------------- */

static void reset_life(sim *s)
{
    s->life++;
    s->conn = NULL;
    s->dialed = s->leaving = s->connected = s->was_connected = s->closed_seen = s->asked_to_close = s->asked_to_drain =
        false;
    s->too_large_was_told = s->has_publisher = s->has_pull = s->alloc_failed = false;
    s->last_written_id = 0;
    memset(s->had_tls, 0, sizeof s->had_tls);
    s->first_id = s->count > 0 ? s->count : 1;
    s->observer = (nbj__observer){ on_transition, s };
    s->allocator = (nbj_allocator){ sim_client_alloc, sim_client_realloc, sim_client_free, s };
}

void client_begin(sim *s)
{
    nbj_error error;
    reset_life(s);
    nbj__session_options o = s->sw.session;
    o.alloc = &s->allocator;
    o.observer = &s->observer;
    o.seed += s->life;
    if (s->phase != SIM_SAFETY) { /* only what can recover has to */
        o.no_reconnect = false;
        o.max_reconnects = 0;
        o.retry_first_connect = true;
    }
    nbj_status st = nbj__session_new(&s->session, &o, s->w.now, &error);
    sim_log(s, "life %" PRIu64 " begins: %s", s->life, nbj_strerror(st));
    if (st != NBJ_OK && !(st == NBJ_E_NOMEM && s->alloc_failed)) {
        sim_fail(s, "a session could not be made: %s", error.text);
        return;
    }
    if (st != NBJ_OK) {
        if (s->live_bytes != 0 || s->session != NULL)
            sim_fail(s, "a failed session left %zu octets behind", s->live_bytes);
        s->session = NULL;
        client_begin(s);
        return;
    }
    s->tap = (tap){ .heard = ledger_heard, .user = s };
    if (s->sw.js)
        js_begin(s);
    s->awake = true;
}

/* --- the connection ---------------------------------------------------------------------------------------- */

static void drop_conn(sim *s)
{
    s->conn_was_faulted = net_is_faulted(s->conn);
    net_close(s->conn);
    s->conn = NULL;
    s->dialed = s->asks_credentials = false;
    s->tls = SIM_TLS_NONE;
    tap_reset(&s->tap);
}

static void on_dial(sim *s, const nbj__event *ev)
{
    unsigned server = MODEL_SERVERS_MAX;
    bool by_name = strncmp(ev->host, "sim", 3) == 0;
    const char *digit = ev->host + (by_name ? 3 : 7);
    if (s->conn != NULL) {
        sim_fail(s, "told to dial while a connection is open");
        return;
    }
    if (by_name || strncmp(ev->host, "10.0.0.", 7) == 0)
        server = (unsigned)(*digit - '0');
    else if (strcmp(ev->host, "nohost") != 0)
        sim_fail(s, "told to dial %s, which nobody named inside TLS", ev->host);
    s->target = by_name ? server : MODEL_SERVERS_MAX;
    shake_dial(s, ev);
    s->conn = net_dial(&s->n, server < s->sw.model.servers ? server : MODEL_SERVERS_MAX);
    s->dial_started = s->w.now;
    s->next_written = 0;
    s->tap.error = NULL;
    tap_reset(&s->tap);
    sim_log(s, "dials %s:%u as connection %" PRIu64, ev->host, ev->port, net_number(s->conn));
}

static void on_hangup(sim *s)
{
    if (s->conn == NULL)
        sim_fail(s, "told to hang up without a connection");
    else
        drop_conn(s);
    sim_log(s, "hangs up");
}

void client_lose(sim *s, nbj_status status)
{
    sim_log(s, "connection %" PRIu64 " ended: %s", net_number(s->conn), nbj_strerror(status));
    drop_conn(s);
    nbj__session_lost(s->session, status, NULL, s->w.now);
}

/* --- events ------------------------------------------------------------------------------------------------ */

static app_sub *app_sub_of(nbj__sub *sub)
{
    return NBJ__ITEM(sub, app_sub, sub);
}

static void on_up(sim *s, bool first)
{
    if (s->connected || s->closed_seen || first == s->was_connected)
        sim_fail(s, "%s out of turn", first ? "connected" : "reconnected");
    s->connected = s->was_connected = true;
    s->connected_at = s->w.now;
    for (app_sub *a = s->subs; a != NULL; a = a->next)
        a->received_here = 0; /* from_server began with the SUB */
    if (s->has_publisher)
        nbj__publisher_on_connected(&s->publisher, s->w.now);
    if (s->has_pull)
        nbj__pull_on_connected(&s->pull, s->w.now);
}

static void on_down(sim *s, const nbj__event *ev)
{
    static const nbj_status on_purpose[] = { NBJ_E_LAME_DUCK, NBJ_E_CANCELLED };
    bool had_a_cause = s->conn != NULL ? net_is_faulted(s->conn) : s->conn_was_faulted;
    if (!s->connected || s->closed_seen)
        sim_fail(s, "disconnected out of turn");
    if (ev->error == NULL || ev->status == NBJ_OK)
        sim_fail(s, "disconnected without a reason");
    for (size_t i = 0; i < 2; i++)
        had_a_cause |= ev->status == on_purpose[i];
    if (!had_a_cause && !(s->alloc_failed && ev->status == NBJ_E_NOMEM))
        sim_fail(s, "disconnected though nothing happened to the connection: %s", ev->error->text);
    s->connected = s->leaving = false;
    s->too_large_was_told |= ev->status == NBJ_E_MAX_PAYLOAD; /* what was being written is not written again */
    for (app_sub *a = s->subs; a != NULL; a = a->next)
        a->from_server = a->received_here = 0;
    if (s->has_publisher)
        nbj__publisher_on_disconnected(&s->publisher);
    if (s->has_pull)
        nbj__pull_on_disconnected(&s->pull);
}

static void on_inbox(sim *s, const nbj__event *ev)
{
    nbj__publish_result r;
    if (s->has_publisher && nbj__publisher_on_reply(&s->publisher, ev->token, ev->msg, s->w.now, &r))
        publish_result(s, &r);
}

static void on_msg(sim *s, const nbj__event *ev)
{
    if (ev->sub->kind != NBJ__SUB_OF_JS)
        app_on_msg(s, app_sub_of(ev->sub), ev->msg);
    else if (nbj__pull_on_msg(NBJ__ITEM(ev->sub, nbj__pull, sub), ev->msg, s->w.now))
        js_on_delivery(s, ev->msg);
}

static void on_sub_ended(sim *s, const nbj__event *ev)
{
    if (ev->sub->kind == NBJ__SUB_OF_JS)
        nbj__pull_on_sub_ended(NBJ__ITEM(ev->sub, nbj__pull, sub), s->w.now);
    else
        app_on_sub_ended(s, app_sub_of(ev->sub), ev->status);
}

static void on_call_done(sim *s, const nbj__event *ev)
{
    if (ev->call->owner == NBJ__CALL_OF_JS)
        nbj__pull_on_call(NBJ__ITEM(ev->call, nbj__pull, call), ev, s->w.now);
    else if (ev->call->owner == NBJ__CALL_OF_PUBLISHER)
        nbj__publish_asker_on_call(&s->asker, ev);
    else
        app_on_done(s, NBJ__ITEM(ev->call, app_call, call), ev->status, ev->msg);
}

static void on_closed(sim *s, const nbj__event *ev)
{
    nbj__publish_result r;
    if (s->closed_seen)
        sim_fail(s, "closed twice");
    if (s->connected && !s->asked_to_close && !s->asked_to_drain)
        sim_fail(s, "closed while connected, unasked: %s", ev->error->text);
    s->closed_seen = true;
    s->connected = false;
    s->closed_status = ev->status;
    while (s->has_publisher && nbj__publisher_abandon(&s->publisher, &r))
        publish_result(s, &r);
}

static void on_server_error(sim *s, const nbj__event *ev)
{
    nbj__publish_result r;
    s->too_large_was_told |= ev->status == NBJ_E_TOO_LARGE;
    if (s->has_publisher && ev->status == NBJ_E_PERMISSION_PUBLISH &&
        nbj__publisher_on_refused(&s->publisher, ev->subject, &r))
        publish_result(s, &r);
    if (ev->sub != NULL && ev->sub->kind == NBJ__SUB_OF_APP && !app_sub_of(ev->sub)->denied)
        sim_fail(s, "a permission error ends subscription %s", ev->sub->subject);
}

static void on_event(sim *s, const nbj__event *ev)
{
    sim_note(s, (uint64_t)ev->type, s->w.now);
    if (s->closed_seen)
        sim_fail(s, "event %d after closed", (int)ev->type);
    switch (ev->type) {
    case NBJ__EV_DIAL:
        on_dial(s, ev);
        break;
    case NBJ__EV_HANGUP:
        on_hangup(s);
        break;
    case NBJ__EV_START_TLS:
        shake_start_tls(s, ev);
        break;
    case NBJ__EV_CREDENTIALS:
        shake_credentials(s, ev);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        sim_log(s, "%s", ev->type == NBJ__EV_CONNECTED ? "connected" : "reconnected");
        on_up(s, ev->type == NBJ__EV_CONNECTED);
        break;
    case NBJ__EV_DISCONNECTED:
        sim_log(s, "disconnected: %s", ev->error->text);
        on_down(s, ev);
        break;
    case NBJ__EV_SERVER_ERROR:
        on_server_error(s, ev);
        break;
    case NBJ__EV_WRITABLE:
        if (s->has_publisher)
            nbj__publisher_send(&s->publisher, s->w.now);
        break;
    case NBJ__EV_MSG:
        on_msg(s, ev);
        break;
    case NBJ__EV_QUEUED:
        app_take(s, app_sub_of(ev->sub), s->asked_to_drain ? SIZE_MAX : (size_t)rng_below(&s->drive, 4));
        break;
    case NBJ__EV_SUB_ENDED:
        on_sub_ended(s, ev);
        break;
    case NBJ__EV_INBOX:
        on_inbox(s, ev);
        break;
    case NBJ__EV_REPLY:
        app_on_reply(s, NBJ__ITEM(ev->call, app_call, call), ev->msg);
        break;
    case NBJ__EV_CALL_DONE:
        on_call_done(s, ev);
        break;
    case NBJ__EV_CLOSED:
        sim_log(s, "closed: %s", ev->error->text);
        on_closed(s, ev);
        break;
    case NBJ__EV_LAME_DUCK:
        s->leaving = true;
        break;
    case NBJ__EV_DISCOVERED:
    case NBJ__EV_SLOW:
        break;
    }
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

nbj_time client_deadline(const sim *s)
{
    nbj_time due = NBJ_TIME_NEVER, at;
    if (s->session == NULL)
        return due;
    due = nbj__session_deadline(s->session);
    if (s->has_publisher && !s->closed_seen && (at = nbj__publisher_deadline(&s->publisher)) < due)
        due = at;
    if (s->has_pull && !s->closed_seen && (at = nbj__pull_deadline(&s->pull)) < due)
        due = at;
    return due;
}

static void run_timers(sim *s)
{
    nbj_time now = s->w.now;
    nbj__publish_result r;
    if (now >= nbj__session_deadline(s->session))
        nbj__session_on_time(s->session, now);
    while (s->has_publisher && !s->closed_seen && now >= nbj__publisher_deadline(&s->publisher) &&
           nbj__publisher_on_time(&s->publisher, now, &r))
        publish_result(s, &r);
    if (s->has_pull && !s->closed_seen && now >= nbj__pull_deadline(&s->pull))
        nbj__pull_on_time(&s->pull, now);
    publish_ask(s);
}

static void take_events(sim *s)
{
    nbj__event ev;
    for (unsigned n = 0; !s->failed && nbj__session_next(s->session, s->w.now, &ev) == NBJ_OK; n++) {
        if (n > 100000)
            sim_fail(s, "events without end: %d", (int)ev.type);
        else
            on_event(s, &ev);
    }
}

/* Nothing may be written before the server's INFO has come. */
static void check_not_too_early(sim *s)
{
    const model_conn *server = net_server_of(s->conn);
    if (server != NULL && !net_is_faulted(s->conn) && net_carried(s->conn, NET_TO_CLIENT) < model_info_len(server))
        sim_fail(s, "octets are written before INFO came");
}

static bool write_some(sim *s)
{
    nbj_bytes tx = nbj__session_tx(s->session);
    if (s->conn == NULL || !s->dialed || tx.len == 0)
        return false;
    shake_check_write(s);
    check_not_too_early(s);
    size_t n = net_write(s->conn, tx.ptr, tx.len);
    if (n == 0)
        return false;
    sim_note(s, n, s->w.now);
    tap_write(&s->tap, tx.ptr, n);
    if (s->tap.error != NULL)
        sim_fail(s, "the client writes %s", s->tap.error);
    nbj__session_sent(s->session, n, s->w.now);
    return true;
}

static bool read_some(sim *s)
{
    uint8_t *at = NULL;
    size_t room = 0;
    if (s->conn == NULL || !s->dialed || shake_holds_input(s) || net_readable(s->conn) == 0)
        return false;
    nbj_status st = nbj__session_rx_space(s->session, &at, &room);
    if (st == NBJ_E_NOMEM && s->alloc_failed) {
        client_lose(s, st);
        return true;
    }
    if (st != NBJ_OK || room == 0) {
        sim_fail(s, "no room to read: %s", nbj_strerror(st));
        return false;
    }
    size_t n = net_read(s->conn, at, room);
    sim_note(s, n, s->w.now);
    nbj__session_rx_commit(s->session, n);
    return true;
}

static bool follow_conn(sim *s)
{
    if (s->conn == NULL)
        return false;
    switch (net_state_of(s->conn)) {
    case NET_DIALING:
        return false;
    case NET_OPEN:
        if (s->dialed)
            return false;
        s->dialed = true;
        shake_open(s);
        return true;
    case NET_REFUSED:
        client_lose(s, NBJ_E_REFUSED);
        return true;
    case NET_ENDED:
        if (net_readable(s->conn) > 0 && s->dialed)
            return false;
        client_lose(s, net_was_reset(s->conn) ? NBJ_E_IO : NBJ_E_EOF);
        return true;
    }
    return false;
}

void client_drive(sim *s)
{
    unsigned turns = 0;
    bool again = true;
    if (s->session == NULL)
        return;
    while (again && !s->failed) {
        run_timers(s);
        take_events(s);
        again = s->failed ? false : follow_conn(s);
        take_events(s);
        again = !s->failed && (shake_work(s) || again);
        take_events(s);
        again = !s->failed && (read_some(s) || again);
        take_events(s);
        again = !s->failed && (write_some(s) || again || (!s->closed_seen && client_deadline(s) <= s->w.now));
        if (++turns > 200000)
            sim_fail(s, "the driver turns without end");
    }
    if (!s->failed)
        check_after_drive(s);
}

void client_end(sim *s)
{
    js_end(s);
    app_free(s);
    if (s->conn != NULL)
        drop_conn(s);
    nbj__session_free(s->session);
    s->session = NULL;
    tap_free(&s->tap);
    if (!s->failed && (s->live_bytes != 0 || s->live_blocks != 0))
        sim_fail(s, "%zu octets in %zu blocks are left after the end", s->live_bytes, s->live_blocks);
}
