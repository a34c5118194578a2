/* SPDX-License-Identifier: Apache-2.0 */
/* The application: a random programme on the session's interface, and what it expects of every answer. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const filters[] = { "a.b", "a.*", "a.>", "b", "*.x", ">" };
static const char *const subjects[] = { "a.b", "a.c", "a.b.c", "b", "c.x", "deny.p" };
static const char *const services[] = { "svc.echo", "svc.slow", "svc.twice", "svc.none" };
/* An expression draws once at most: the order of evaluation is the compiler's, and a seed is one run everywhere. */
#define PICK(r, list) (list)[rng_below((r), sizeof(list) / sizeof(list)[0])]

bool app_is_excused(const sim *s, nbj_status st)
{
    if (st == NBJ_E_NOMEM)
        return s->alloc_failed;
    if (st == NBJ_E_CLOSED)
        return nbj__session_phase(s->session) == NBJ__PHASE_CLOSED;
    if (st == NBJ_E_DRAINING)
        return s->asked_to_drain;
    return false;
}

uint64_t app_conn(const sim *s)
{
    return nbj__session_phase(s->session) == NBJ__PHASE_READY && s->conn != NULL ? net_number(s->conn) : 0;
}

void app_expect(sim *s, const char *what, nbj_status got, nbj_status want)
{
    if (got != want && !app_is_excused(s, got))
        sim_fail(s, "%s: %s instead of %s", what, nbj_strerror(got), nbj_strerror(want));
}

/* --- subscriptions ----------------------------------------------------------------------------------------- */

app_sub *app_subscribe(sim *s, const char *filter, const char *queue, uint64_t max, bool queued)
{
    app_sub *a = sim_alloc(sizeof *a);
    *a = (app_sub){
        .next = s->subs, .filter = filter, .queue = queue, .max = max, .denied = strcmp(filter, "deny.s") == 0
    };
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP,
                               .subject = nbj_str(filter),
                               .queue_group = nbj_str(queue),
                               .max = max,
                               .queued = queued,
                               .limit_msgs = queued && rng_below(&s->app, 2) == 0 ? 2 : 0 };
    nbj_status st = nbj__session_subscribe(s->session, &a->sub, &what);
    sim_log(s, "subscribes to %s %s, at most %" PRIu64 ": %s", filter, queue != NULL ? queue : "", max,
            nbj_strerror(st));
    if (st != NBJ_OK) {
        app_expect(s, "subscribe", st, NBJ_OK);
        free(a);
        return NULL;
    }
    s->subs = a;
    return a;
}

static app_sub *any_live_sub(sim *s)
{
    size_t n = 0;
    app_sub *found = NULL;
    for (app_sub *a = s->subs; a != NULL; a = a->next)
        if (a->sub.state == NBJ__SUB_LIVE && rng_below(&s->app, ++n) == 0)
            found = a;
    return found;
}

static void note_received(sim *s, app_sub *a, uint64_t id)
{
    size_t octet = (size_t)(id / 8);
    uint8_t bit = (uint8_t)(1u << id % 8);
    if (octet >= a->got_len) {
        size_t len = octet + 64;
        uint8_t *more = sim_alloc(len);
        if (a->got_len > 0)
            memcpy(more, a->got, a->got_len);
        free(a->got);
        a->got = more;
        a->got_len = len;
    }
    if ((a->got[octet] & bit) != 0)
        sim_fail(s, "message %" PRIu64 " came twice to subscription %s", id, a->filter);
    a->got[octet] |= bit;
}

static void check_order(sim *s, app_sub *a, const entry *e, uint64_t id)
{
    bool own = e->kind != 'M';
    uint64_t *last = own ? &a->last_id : &a->last_peer_id;
    bool comparable = own ? a->last_conn == e->seen_on : true;
    if (e->kind != 'J' && comparable && id < *last)
        sim_fail(s, "message %c%" PRIu64 " came to %s after %" PRIu64, e->kind, id, a->filter, *last);
    if (e->kind != 'J')
        *last = id;
    if (own)
        a->last_conn = e->seen_on;
}

/* The header block as the accessors see it, written again. */
static void write_headers(sim *s, const nbj_msg *msg, buf *out)
{
    nbj_header h;
    size_t cursor = 0;
    nbj_status st;
    while ((st = nbj_msg_header_next(msg, &cursor, &h)) == NBJ_OK) {
        if (buf_len(out) == 0)
            buf_text(out, "NATS/1.0\r\n");
        buf_printf(out, "%.*s: %.*s\r\n", NBJ_FMT(h.name), NBJ_FMT(h.value));
    }
    if (st != NBJ_MORE)
        sim_fail(s, "headers cannot be read: %s", nbj_strerror(st));
    if (buf_len(out) > 0)
        buf_text(out, "\r\n");
}

str app_view(nbj_bytes b)
{
    return (str){ b.ptr != NULL ? (const char *)b.ptr : "", b.len };
}

static uint64_t identify(sim *s, const char *where, const nbj_msg *msg)
{
    buf headers = { 0 };
    write_headers(s, msg, &headers);
    uint64_t id =
        ledger_identify(s, where, app_view(nbj_msg_subject(msg)), buf_view(&headers), app_view(nbj_msg_data(msg)));
    buf_free(&headers);
    return id;
}

/* A subscription with ">" also hears requests, replies and JetStream; those are not messages of the ledger. */
static bool is_foreign(str subject)
{
    return str_starts(subject, "$JS.") || str_starts(subject, "_INBOX.");
}

void app_on_msg(sim *s, app_sub *a, const nbj_msg *msg)
{
    str subject = app_view(nbj_msg_subject(msg));
    a->received++;
    a->received_here++;
    sim_note(s, a->received, s->w.now);
    sim_log(s, "%s got a message on %.*s", a->filter, (int)subject.len, subject.ptr);
    if (a->ended)
        sim_fail(s, "a message after the end of subscription %s", a->filter);
    if (a->max > 0 && a->received > a->max)
        sim_fail(s, "%" PRIu64 " messages for subscription %s, at most %" PRIu64 " were asked for", a->received,
                 a->filter, a->max);
    if (!model_subject_matches(str_of(a->filter), subject))
        sim_fail(s, "subscription %s got a message on %.*s", a->filter, (int)subject.len, subject.ptr);
    if (is_foreign(subject))
        return;
    uint64_t id = identify(s, "received", msg);
    if (id == 0)
        return;
    entry *e = ledger_get(s, id);
    if (s->sw.session.no_echo && e->kind != 'M' && e->seen_on == net_number(s->conn))
        sim_fail(s, "%c%" PRIu64 " came back though echo is off", e->kind, id);
    if (e->kind != 'J')
        note_received(s, a, id);
    check_order(s, a, e, id);
}

void app_on_sub_ended(sim *s, app_sub *a, nbj_status status)
{
    sim_log(s, "subscription %s ended: %s", a->filter, nbj_strerror(status));
    if (a->ended)
        sim_fail(s, "subscription %s ended twice", a->filter);
    a->ended = true;
    bool behind_a_pong = a->draining && a->conn > 0 && a->conn == app_conn(s);
    bool full = a->max > 0 && a->received + a->sub.queue_msgs >= a->max;
    if (behind_a_pong && !full && status == NBJ_OK && a->sub.dropped == 0 &&
        a->received_here + a->sub.queue_msgs < a->from_server)
        sim_fail(s, "subscription %s was drained with %" PRIu64 " of %" PRIu64 " messages", a->filter, a->received_here,
                 a->from_server);
    if (status != NBJ_OK && status != NBJ_E_CLOSED && !(a->denied && status == NBJ_E_PERMISSION_SUBSCRIBE))
        sim_fail(s, "subscription %s ended: %s", a->filter, nbj_strerror(status));
}

void app_take(sim *s, app_sub *a, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        nbj_msg *msg = nbj__session_take(s->session, &a->sub);
        if (msg == NULL)
            return;
        bool was_ended = a->ended; /* what was queued before stays readable */
        a->ended = false;
        app_on_msg(s, a, msg);
        a->ended = was_ended;
        nbj_msg_release(msg);
    }
}

void app_take_all(sim *s, size_t most)
{
    for (app_sub *a = s->subs; a != NULL; a = a->next)
        if (a->sub.queued)
            app_take(s, a, most);
}

/* --- publishing -------------------------------------------------------------------------------------------- */

static size_t draw_size(sim *s)
{
    size_t max = s->sw.model.max_payload > 0 ? s->sw.model.max_payload : 1048576;
    switch (rng_below(&s->app, 8)) {
    case 0:
        return s->sw.model.no_headers ? 32 : 0;
    case 1:
        return max <= 8192 ? max - rng_below(&s->app, 100) : 4096;
    case 2:
        return rng_below(&s->app, 20) == 0 ? 65536 : 1000;
    default:
        return 24 + (size_t)rng_below(&s->app, 120);
    }
}

void app_judge_publish(sim *s, nbj_status st, size_t size)
{
    const nbj__info *info = nbj__session_info(s->session);
    bool too_large = info != NULL && info->max_payload > 0 && size > (size_t)info->max_payload;
    size_t limit = s->sw.session.max_outgoing_bytes > 0 ? s->sw.session.max_outgoing_bytes : 8u << 20;
    /* an operation counts whole until its last octet is written */
    bool may_be_full = nbj__session_outgoing(s->session) + size + s->largest + 1024 > limit;
    s->largest = st == NBJ_OK && size > s->largest ? size : s->largest;
    if (st == NBJ_OK && too_large && nbj__session_phase(s->session) == NBJ__PHASE_READY)
        sim_fail(s, "a publish of %zu octets was taken, the server's limit is %lld", size,
                 (long long)info->max_payload);
    if (st == NBJ_E_TOO_LARGE && too_large)
        return;
    if (st == NBJ_E_FULL && size + 1024 > limit) /* for ever */
        return;
    if ((st == NBJ_E_FULL || st == NBJ_E_WOULD_BLOCK) && may_be_full &&
        (st == NBJ_E_WOULD_BLOCK) == s->sw.session.wait_when_full)
        return;
    app_expect(s, "publish", st, NBJ_OK);
}

nbj__outgoing app_message(sim *s, uint64_t id, nbj_header *headers, buf *data)
{
    entry *e = ledger_get(s, id);
    nbj__outgoing m = { .subject = nbj_str(e->subject), .headers = headers };
    m.header_count = ledger_message(s, id, headers, data);
    m.payload = nbj_view(buf_view(data).ptr, buf_len(data));
    return m;
}

bool app_publish(sim *s, const char *subject, size_t size)
{
    nbj_header headers[3];
    buf data = { 0 };
    uint64_t id = ledger_add(s, 'P', subject, size);
    nbj__outgoing m = app_message(s, id, headers, &data);
    nbj_status st = nbj__session_publish(s->session, &m);
    ledger_get(s, id)->accepted = st == NBJ_OK;
    sim_log(s, "publishes P%" PRIu64 " on %s, %zu octets: %s", id, subject, nbj__outgoing_size(&m), nbj_strerror(st));
    app_judge_publish(s, st, nbj__outgoing_size(&m));
    buf_free(&data);
    return st == NBJ_OK;
}

static void peer_speaks(sim *s)
{
    nbj_header h[3];
    buf data = { 0 }, block = { 0 };
    const char *subject = PICK(&s->app, subjects);
    uint64_t id = ledger_add(s, 'M', subject, draw_size(s));
    entry *e = ledger_get(s, id);
    size_t n = ledger_message(s, id, h, &data);
    for (size_t i = 0; i < n; i++)
        buf_printf(&block, "%s%.*s: %.*s\r\n", i == 0 ? "NATS/1.0\r\n" : "", NBJ_FMT(h[i].name), NBJ_FMT(h[i].value));
    if (n > 0)
        buf_text(&block, "\r\n");
    if (buf_len(&data) + buf_len(&block) <= model_max_payload(s->m))
        peer_publish(&s->p, e->subject, buf_view(&block), buf_view(&data));
    buf_free(&data);
    buf_free(&block);
}

static bool publish_core(sim *s)
{
    const char *subject = PICK(&s->app, subjects);
    return app_publish(s, subject, draw_size(s));
}

static void request_something(sim *s)
{
    static const char *const unanswered[] = { "deny.q", "nobody" };
    const char *subject = rng_below(&s->app, 5) != 0 ? PICK(&s->app, services) : PICK(&s->app, unanswered);
    app_request(s, subject, rng_between(&s->app, SIM_MS, s->sw.deadline_max_ns));
}

/* --- bad arguments ----------------------------------------------------------------------------------------- */

static void bad_arguments(sim *s)
{
    static const char *const not_literal[] = { "", ".", "a..b", "a.", ".a", "a b", "a.*", ">", "a\r\nPUB x 0", "a\t" };
    static const nbj_header bad_headers[] = { { { (const uint8_t *)"A:B", 3 }, { NULL, 0 } },
                                              { { NULL, 0 }, { NULL, 0 } },
                                              { { (const uint8_t *)"K", 1 }, { (const uint8_t *)"x\r\ny", 4 } } };
    nbj__outgoing m = { .subject = nbj_str(PICK(&s->app, not_literal)) };
    app_expect(s, "publish to a bad subject", nbj__session_publish(s->session, &m), NBJ_E_BAD_SUBJECT);
    m = (nbj__outgoing){ .subject = nbj_str("a.b"), .headers = &PICK(&s->app, bad_headers), .header_count = 1 };
    app_expect(s, "publish with a bad header", nbj__session_publish(s->session, &m), NBJ_E_BAD_HEADER);
    nbj__sub sub = { 0 };
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str("a.>.b") };
    app_expect(s, "subscribe to a bad subject", nbj__session_subscribe(s->session, &sub, &what), NBJ_E_BAD_SUBJECT);
    what = (nbj__subscription){ .kind = NBJ__SUB_OF_APP, .subject = nbj_str("a"), .queue_group = nbj_str("g h") };
    app_expect(s, "subscribe with a bad queue group", nbj__session_subscribe(s->session, &sub, &what),
               NBJ_E_BAD_SUBJECT);
}

/* --- the programme ----------------------------------------------------------------------------------------- */

static void subscribe_something(sim *s)
{
    static const char *const queues[] = { "g", "workers" };
    bool in_group = rng_below(&s->app, 3) == 0;
    uint64_t max = rng_below(&s->app, 3) == 0 ? rng_between(&s->app, 1, 10) : 0;
    const char *filter = rng_below(&s->app, 15) == 0 ? "deny.s" : PICK(&s->app, filters);
    if (filter[0] == '>') { /* it hears all there is, and the refusals that servers do not count */
        max = 0;
        filter = s->sw.js ? "a.>" : filter;
    }
    const char *queue = in_group ? PICK(&s->app, queues) : NULL;
    app_subscribe(s, filter, queue, max, rng_below(&s->app, 4) == 0);
}

static void limit_sub(sim *s, app_sub *a)
{
    uint64_t max = a->sub.delivered + rng_below(&s->app, 5);
    if (a->max > 0 && max > a->max) /* the server may have ended it by the former one */
        max = a->max;
    nbj_status st = nbj__session_unsubscribe(s->session, &a->sub, max);
    sim_log(s, "limits %s to %" PRIu64 ": %s", a->filter, max, nbj_strerror(st));
    app_expect(s, "unsubscribe after a maximum", st, NBJ_OK);
    if (st == NBJ_OK && max > 0)
        a->max = max;
}

static void drain_sub(sim *s, app_sub *a)
{
    nbj_status st = nbj__session_sub_drain(s->session, &a->sub);
    sim_log(s, "drains %s: %s", a->filter, nbj_strerror(st));
    app_expect(s, "drain of a subscription", st, NBJ_OK);
    a->draining = st == NBJ_OK;
    a->conn = app_conn(s);
}

static void drain(sim *s)
{
    s->asked_to_drain = true;
    for (app_sub *a = s->subs; a != NULL; a = a->next) {
        a->draining |= a->sub.state == NBJ__SUB_LIVE;
        a->conn = app_conn(s);
    }
    sim_log(s, "drains");
    nbj__session_drain(s->session, s->w.now, s->w.now + rng_between(&s->app, SIM_MS, 10 * (uint64_t)SIM_S));
}

static void run_op(sim *s, app_op op)
{
    app_sub *a = any_live_sub(s);
    switch (op) {
    case DO_SUBSCRIBE:
        subscribe_something(s);
        break;
    case DO_UNSUBSCRIBE:
        if (a != NULL)
            app_expect(s, "unsubscribe", nbj__session_unsubscribe(s->session, &a->sub, 0), NBJ_OK);
        break;
    case DO_LIMIT_SUB:
        if (a != NULL && a->filter[0] != '>')
            limit_sub(s, a);
        break;
    case DO_DRAIN_SUB:
        if (a != NULL)
            drain_sub(s, a);
        break;
    case DO_PUBLISH:
        publish_core(s);
        break;
    case DO_BURST:
        for (uint64_t n = rng_below(&s->app, 20); n > 0 && publish_core(s); n--)
            ;
        break;
    case DO_PEER_PUBLISH:
        for (uint64_t n = rng_below(&s->app, 8); n > 0; n--)
            peer_speaks(s);
        break;
    case DO_REQUEST:
        request_something(s);
        break;
    case DO_MANY:
        app_request_many(s);
        break;
    case DO_FLUSH:
        app_flush(s, rng_between(&s->app, SIM_MS, s->sw.deadline_max_ns));
        break;
    case DO_CANCEL:
        app_cancel_some(s);
        break;
    case DO_BAD:
        bad_arguments(s);
        break;
    case DO_TAKE:
        app_take_all(s, (size_t)rng_below(&s->app, 10));
        break;
    case DO_RECONNECT:
        if (rng_below(&s->app, 4) == 0)
            nbj__session_reconnect(s->session, s->w.now);
        break;
    case DO_DRAIN:
        if (rng_below(&s->app, 30) == 0)
            drain(s);
        break;
    case DO_CLOSE:
        if (rng_below(&s->app, 40) == 0) {
            s->asked_to_close = true;
            nbj__session_close(s->session, NBJ_OK, NULL);
        }
        break;
    case DO_JS_PUBLISH:
        publish_something(s);
        break;
    case DO_JS_BURST:
        for (uint64_t n = rng_below(&s->app, 30); n > 0; n--)
            publish_something(s);
        break;
    case DO_JS_SETTLE:
        js_settle(s, (size_t)rng_below(&s->app, 8));
        break;
    case DO_COUNT:
        break;
    }
}

void app_step(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    if (s->phase != SIM_SAFETY || s->failed)
        return;
    uint64_t think = s->sw.think_mean_ns * (s->steps_done < s->sw.steps ? 1 : 50); /* the rest is waiting for fate */
    world_at(&s->w, s->w.now + rng_log(&s->app, think / 8, think * 4), app_step, s, 0);
    if (s->session == NULL || s->closed_seen || s->w.now < s->frozen_until)
        return;
    app_op op;
    do {
        op = (app_op)rng_below(&s->app, DO_COUNT);
    } while ((s->sw.ops >> op & 1) == 0);
    run_op(s, op);
    s->steps_done++;
    s->awake = true;
}

void app_free(sim *s)
{
    while (s->subs != NULL) {
        app_sub *a = s->subs;
        s->subs = a->next;
        nbj__session_sub_clear(s->session, &a->sub);
        free(a->got);
        free(a);
    }
    while (s->calls != NULL) {
        app_call *c = s->calls;
        s->calls = c->next;
        nbj__session_forget(s->session, &c->call);
        free(c);
    }
}
