/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, requests for many replies and flushes: how they are made and what their outcomes may be. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static app_call *new_call(sim *s, nbj_time deadline)
{
    app_call *c = sim_alloc(sizeof *c);
    *c = (app_call){ .next = s->calls, .deadline = deadline, .call = { .owner = NBJ__CALL_OF_APP } };
    return c;
}

static app_call *keep_call(sim *s, app_call *c, const char *what, nbj_status st, size_t size)
{
    sim_log(s, "%s Q%" PRIu64 ": %s", what, c->id, nbj_strerror(st));
    if (c->id > 0) {
        app_judge_publish(s, st, size);
        ledger_get(s, c->id)->accepted = st == NBJ_OK;
    } else {
        app_expect(s, what, st, NBJ_OK);
    }
    if (st != NBJ_OK) {
        free(c);
        return NULL;
    }
    s->calls = c;
    return c;
}

app_call *app_flush(sim *s, uint64_t timeout_ns)
{
    app_call *c = new_call(s, s->w.now + timeout_ns);
    c->conn = s->leaving ? 0 : app_conn(s); /* what comes while leaving a lame duck waits for the next server */
    c->before_id = s->count;
    return keep_call(s, c, "flush", nbj__session_flush(s->session, &c->call, c->deadline, s->w.now), 0);
}

app_call *app_request(sim *s, const char *subject, uint64_t timeout_ns)
{
    nbj_header headers[3];
    buf data = { 0 };
    app_call *c = new_call(s, s->w.now + timeout_ns);
    c->id = ledger_add(s, 'Q', subject, 32 + (size_t)rng_below(&s->app, 64));
    nbj__outgoing m = app_message(s, c->id, headers, &data);
    size_t size = nbj__outgoing_size(&m);
    nbj_status st = nbj__session_request(s->session, &c->call, &m, c->deadline, s->w.now);
    c = keep_call(s, c, subject, st, size);
    buf_free(&data);
    return c;
}

void app_request_many(sim *s)
{
    nbj_header headers[3];
    buf data = { 0 };
    app_call *c = new_call(s, s->w.now + rng_between(&s->app, SIM_MS, s->sw.deadline_max_ns));
    nbj__many_options many = { .max = rng_below(&s->app, 6) };
    many.stall_ns = rng_below(&s->app, 2) == 0 ? 0 : rng_log(&s->app, SIM_MS, SIM_S);
    many.sentinel = rng_below(&s->app, 2) == 0;
    c->id = ledger_add(s, 'Q', rng_below(&s->app, 4) == 0 ? "nobody.many" : "svc.many", 40);
    nbj__outgoing m = app_message(s, c->id, headers, &data);
    size_t size = nbj__outgoing_size(&m);
    nbj_status st = nbj__session_request_many(s->session, &c->call, &m, &many, c->deadline, s->w.now);
    keep_call(s, c, "request for many", st, size);
    buf_free(&data);
}

static bool is_my_reply(const app_call *c, str data, unsigned *k)
{
    char kind;
    uint64_t id;
    if (!payload_read(data, &kind, &id) || kind != 'R' || id / 16 != c->id || !payload_is(data, 'R', id, 24))
        return false;
    *k = (unsigned)(id % 16);
    return true;
}

void app_on_reply(sim *s, app_call *c, const nbj_msg *msg)
{
    unsigned k = 0;
    str data = app_view(nbj_msg_data(msg));
    if (c->done)
        sim_fail(s, "a reply to request %" PRIu64 " after its end", c->id);
    if (data.len == 0 && peer_ends_with_empty(c->id) && !c->call.many.sentinel)
        k = 15;
    else if (!is_my_reply(c, data, &k))
        sim_fail(s, "a reply that is not of request %" PRIu64, c->id);
    if ((c->replied >> k & 1) != 0)
        sim_fail(s, "reply %u to request %" PRIu64 " came twice", k, c->id);
    c->replied |= 1u << k;
    c->replies++;
    if (c->call.many.max > 0 && c->replies > c->call.many.max)
        sim_fail(s, "%u replies to request %" PRIu64, c->replies, c->id);
}

/* A flush promises that the server has parsed all that this connection wrote before. */
static void check_flushed(sim *s, const app_call *c)
{
    uint64_t now_on = s->conn != NULL ? net_number(s->conn) : 0;
    if (c->conn != 0 && c->conn != now_on)
        sim_fail(s, "a flush of connection %" PRIu64 " was completed by connection %" PRIu64, c->conn, now_on);
    for (uint64_t id = s->first_id; id < c->before_id; id++) {
        const entry *e = ledger_get(s, id);
        bool refused = str_starts(str_of(e->subject), "deny.");
        bool own = e->life == s->life && e->accepted && (e->kind == 'P' || e->kind == 'Q');
        if (own && e->written == 0 && !s->too_large_was_told)
            sim_fail(s, "flushed, but %c%" PRIu64 " was not written", e->kind, id);
        if (own && e->written_on == now_on && e->seen == 0 && !refused)
            sim_fail(s, "flushed, but the server did not see %c%" PRIu64, e->kind, id);
    }
}

static void check_answer(sim *s, app_call *c, const nbj_msg *msg)
{
    unsigned k = 0;
    if (c->call.kind == NBJ__CALL_FLUSH) {
        check_flushed(s, c);
    } else if (c->call.kind == NBJ__CALL_REQUEST) {
        if (msg == NULL || nbj_msg_status(msg) != 0 || !is_my_reply(c, app_view(nbj_msg_data(msg)), &k))
            sim_fail(s, "request %" PRIu64 " was completed by another reply", c->id);
    } else if (c->replies == 0 && !(c->call.many.sentinel && peer_ends_with_empty(c->id))) {
        sim_fail(s, "request for many %" PRIu64 " ended well without a reply", c->id);
    }
}

void app_on_done(sim *s, app_call *c, nbj_status status, const nbj_msg *msg)
{
    sim_log(s, "call %" PRIu64 " is done: %s", c->id, nbj_strerror(status));
    if (c->done)
        sim_fail(s, "call %" PRIu64 " ended twice", c->id);
    c->done = true;
    switch (status) {
    case NBJ_OK:
        check_answer(s, c, msg);
        break;
    case NBJ_E_TIMEOUT:
        if (s->w.now < c->deadline && !(c->call.kind == NBJ__CALL_MANY && c->call.many.stall_ns > 0))
            sim_fail(s, "call %" PRIu64 " ended before its deadline", c->id);
        break;
    case NBJ_E_NO_RESPONDERS:
        if (c->id == 0 || ledger_get(s, c->id)->asked)
            sim_fail(s, "request %" PRIu64 " had a responder", c->id);
        break;
    case NBJ_E_PERMISSION_PUBLISH:
        if (c->id == 0 || strcmp(ledger_get(s, c->id)->subject, "deny.q") != 0)
            sim_fail(s, "request %" PRIu64 " was refused by nobody", c->id);
        break;
    case NBJ_E_DISCONNECTED:
        if (c->call.kind != NBJ__CALL_FLUSH && !s->sw.session.fail_requests_on_loss)
            sim_fail(s, "call %" PRIu64 " was given up for a lost connection", c->id);
        break;
    case NBJ_E_CLOSED:
    case NBJ_E_CANCELLED:
        break;
    default:
        sim_fail(s, "call %" PRIu64 " ended: %s", c->id, nbj_strerror(status));
        break;
    }
}

void app_cancel_some(sim *s)
{
    for (app_call *c = s->calls; c != NULL; c = c->next)
        if (!c->done && rng_below(&s->app, 3) == 0) {
            nbj__session_cancel(s->session, &c->call);
            return;
        }
}
