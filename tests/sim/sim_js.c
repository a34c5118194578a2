/* SPDX-License-Identifier: Apache-2.0 */
/* The application's JetStream half: a publish window and a pull consumer on one stream, and what their answers may
 * be. "Stored" must name the very message, "rejected" must never have been stored, whatever was stored must be
 * processed. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const subjects[] = { "js.a", "js.b", "js.c.d", "deny.j" };

static uint64_t epoch_now(const sim *s)
{
    model_stream_view v;
    return model_stream_find(s->m, SIM_STREAM, &v) ? v.created_ns : 0;
}

/* --- the stream -------------------------------------------------------------------------------------------- */

void js_make_stream(void *user, uint64_t argument)
{
    sim *s = user;
    buf op = { 0 }, body = { 0 };
    (void)argument;
    buf_printf(&body, "{\"name\":\"" SIM_STREAM "\",\"subjects\":[\"js.>\"],\"storage\":\"%s\",\"retention\":\"%s\"}",
               s->sw.memory_stream ? "memory" : "file", s->sw.work_queue ? "workqueue" : "limits");
    buf_printf(&op, "PUB $JS.API.STREAM.CREATE." SIM_STREAM " %zu\r\n", buf_len(&body));
    buf_str(&op, buf_view(&body));
    buf_text(&op, "\r\n");
    if (model_is_up(s->m, 0) && s->p.conn != NULL)
        model_feed(s->p.conn, buf_view(&op).ptr, buf_len(&op), s->w.now);
    if (epoch_now(s) == 0) /* not now, then later */
        world_at(&s->w, s->w.now + 100 * SIM_MS, js_make_stream, s, 0);
    buf_free(&op);
    buf_free(&body);
}

/* Whether the stream has |id|, or another entry with the same id of the application's, in this epoch. */
static const stored_note *stored_as(sim *s, uint64_t epoch, uint64_t id)
{
    uint64_t msg_id = ledger_get(s, id)->msg_id;
    for (size_t i = 0; i < s->note_count; i++) {
        const stored_note *n = &s->notes[i];
        bool same = n->id == id || (msg_id > 0 && ledger_get(s, n->id)->msg_id == msg_id);
        if (same && n->epoch == epoch)
            return n;
    }
    return NULL;
}

void js_stored(void *user, const char *stream, uint64_t created_ns, uint64_t seq, str subject, str header, str data)
{
    sim *s = user;
    (void)stream;
    uint64_t id = ledger_identify(s, "stored", subject, header, data);
    entry *e = ledger_get(s, id);
    if (e == NULL)
        return;
    bool forgets = s->sw.work_queue && s->restarted; /* settled messages and their ids */
    if (stored_as(s, created_ns, id) != NULL && !forgets)
        sim_fail(s, "J%" PRIu64 " is stored twice", id);
    if (e->outcomes > 0 && e->outcome == NBJ__REJECTED)
        sim_fail(s, "J%" PRIu64 " is stored after it was reported as rejected", id);
    e->stored++;
    e->epoch = created_ns;
    e->seq = seq;
    s->notes = sim_grow(s->notes, s->note_count, &s->notes_cap, sizeof *s->notes);
    s->notes[s->note_count++] = (stored_note){ .epoch = created_ns, .seq = seq, .id = id };
    sim_note(s, id, seq);
}

/* --- publishing -------------------------------------------------------------------------------------------- */

void js_publish(sim *s)
{
    nbj_header headers[3];
    char msg_id[24];
    buf data = { 0 }, id_text = { 0 };
    if (!s->has_publisher)
        return;
    const char *subject = subjects[rng_below(&s->app, 16) == 0 ? 3 : rng_below(&s->app, 3)];
    uint64_t id = ledger_add(s, 'J', subject, 24 + (size_t)rng_below(&s->app, 100));
    entry *e = ledger_get(s, id);
    nbj__publish m = { .msg = { .subject = nbj_str(subject), .headers = headers },
                       .deadline = s->w.now + rng_log(&s->app, 10 * SIM_MS, 2 * s->sw.deadline_max_ns),
                       .user = { .data = (void *)(uintptr_t)id } };
    m.no_id = rng_below(&s->app, 10) == 0;
    m.msg.header_count = ledger_message(s, id, headers, &data);
    m.msg.payload = nbj_view(buf_view(&data).ptr, buf_len(&data));
    if (!m.no_id && rng_below(&s->app, 10) == 0) {
        e->msg_id = rng_between(&s->app, 1, 5);
        buf_printf(&id_text, "given-%" PRIu64, e->msg_id);
        memcpy(msg_id, buf_view(&id_text).ptr, buf_len(&id_text));
        m.msg_id = nbj_view(msg_id, buf_len(&id_text));
    }
    e->accepted = true; /* a window writes at once */
    nbj_status st = nbj__publisher_publish(&s->publisher, &m, s->w.now);
    e = ledger_get(s, id);
    e->accepted = st == NBJ_OK;
    sim_log(s, "publishes J%" PRIu64 " into the window: %s", id, nbj_strerror(st));
    if (st != NBJ_OK && st != NBJ_E_WOULD_BLOCK && st != NBJ_E_FULL && st != NBJ_E_TOO_LARGE && !app_is_excused(s, st))
        sim_fail(s, "publish into the window: %s", nbj_strerror(st));
    buf_free(&data);
    buf_free(&id_text);
}

static void check_stored(sim *s, uint64_t id, const nbj__publish_result *r)
{
    const entry *e = ledger_get(s, id);
    bool named = false;
    for (size_t i = 0; i < s->note_count && !named; i++) {
        const stored_note *n = &s->notes[i];
        named =
            n->seq == r->ack.sequence && (n->id == id || (e->msg_id > 0 && ledger_get(s, n->id)->msg_id == e->msg_id));
    }
    if (!named || strcmp(r->ack.stream, SIM_STREAM) != 0)
        sim_fail(s, "J%" PRIu64 " is acknowledged as sequence %" PRIu64 ", which is another message", id,
                 r->ack.sequence);
    if (r->outcome == NBJ__DUPLICATE && e->msg_id == 0)
        sim_fail(s, "J%" PRIu64 " is called a duplicate of itself", id);
}

/* A connection that lasts is used: what waits is sent again on it, long before its deadline. */
static void check_tried(sim *s, uint64_t id)
{
    bool lasts = s->connected && !net_is_faulted(s->conn) && s->w.now - s->connected_at > 2 * (uint64_t)SIM_S;
    const entry *e = ledger_get(s, id);
    if (lasts && e->written_on != net_number(s->conn) && !nbj__session_has_tx(s->session))
        sim_fail(s, "J%" PRIu64 " was not sent on this connection though there was time", id);
}

void js_on_result(sim *s, const nbj__publish_result *r)
{
    uint64_t id = (uint64_t)(uintptr_t)r->user.data;
    entry *e = ledger_get(s, id);
    sim_log(s, "J%" PRIu64 " ends as outcome %d, sequence %" PRIu64 ": %s", id, (int)r->outcome, r->ack.sequence,
            r->error.text);
    sim_note(s, id, (uint64_t)r->outcome);
    if (e == NULL || e->kind != 'J' || !e->accepted || e->life != s->life) {
        sim_fail(s, "a result for a message that is not in the window: %" PRIu64, id);
        return;
    }
    if (++e->outcomes > 1)
        sim_fail(s, "J%" PRIu64 " has two outcomes", id);
    e->outcome = r->outcome;
    if (r->outcome == NBJ__STORED || r->outcome == NBJ__DUPLICATE)
        check_stored(s, id, r);
    else if (r->error.status == NBJ_OK)
        sim_fail(s, "J%" PRIu64 " failed without a reason", id);
    if (r->error.status == NBJ_E_TIMEOUT)
        check_tried(s, id);
    if (r->outcome == NBJ__REJECTED && e->stored > 0)
        sim_fail(s, "J%" PRIu64 " is reported as rejected, but it is stored", id);
}

/* --- consuming --------------------------------------------------------------------------------------------- */

static void settle(sim *s, const nbj_msg *msg, const char *how)
{
    nbj_status st = nbj__pull_settle(s->session, msg, nbj_str(how));
    sim_log(s, "settles %.*s with %s: %s", NBJ_FMT(nbj_msg_reply(msg)), how, nbj_strerror(st));
    if (st != NBJ_OK && st != NBJ_E_FULL && st != NBJ_E_WOULD_BLOCK && !app_is_excused(s, st))
        sim_fail(s, "settling: %s", nbj_strerror(st));
}

void js_settle(sim *s, size_t keep)
{
    while (s->unsettled_count > keep) {
        nbj_msg *msg = s->unsettled[--s->unsettled_count];
        if (s->session != NULL && !s->closed_seen)
            settle(s, msg, "+ACK");
        nbj_msg_release(msg);
    }
}

static void settle_somehow(sim *s, const nbj_msg *msg, stored_note *n)
{
    uint64_t luck = s->phase == SIM_SAFETY ? rng_below(&s->app, 20) : 10;
    if (luck == 0) {
        settle(s, msg, "-NAK");
    } else if (luck == 1) {
        settle(s, msg, "-NAK {\"delay\":20000000}");
    } else if (luck == 2) {
        settle(s, msg, "+TERM");
    } else if (luck == 3) {
        settle(s, msg, "+WPI"); /* and never again: it comes after ack_wait */
    } else if (luck < 8 && s->unsettled_count < sizeof s->unsettled / sizeof s->unsettled[0]) {
        nbj_msg *kept = nbj_msg_retain(msg);
        if (kept != NULL)
            s->unsettled[s->unsettled_count++] = kept;
    } else {
        settle(s, msg, luck % 2 == 0 ? "" : "+ACK");
    }
    n->processed = true;
}

void js_on_delivery(sim *s, const nbj_msg *msg)
{
    nbj__delivery d;
    nbj_bytes subject = nbj_msg_subject(msg), data = nbj_msg_data(msg);
    buf headers = { 0 };
    nbj_header h;
    size_t cursor = 0;
    while (nbj_msg_header_next(msg, &cursor, &h) == NBJ_OK)
        buf_printf(&headers, "%s%.*s: %.*s\r\n", buf_len(&headers) == 0 ? "NATS/1.0\r\n" : "", NBJ_FMT(h.name),
                   NBJ_FMT(h.value));
    if (buf_len(&headers) > 0)
        buf_text(&headers, "\r\n");
    uint64_t id = ledger_identify(s, "delivered by the consumer", (str){ (const char *)subject.ptr, subject.len },
                                  buf_view(&headers), (str){ (const char *)data.ptr, data.len });
    buf_free(&headers);
    if (id == 0)
        return;
    if (nbj__ack_subject_parse(nbj_msg_reply(msg), &d) != NBJ_OK) {
        sim_fail(s, "the ack subject of J%" PRIu64 " is not understood: %.*s", id, NBJ_FMT(nbj_msg_reply(msg)));
        return;
    }
    stored_note *n = NULL;
    for (size_t i = s->note_count; i-- > 0 && n == NULL;)
        if (s->notes[i].seq == d.stream_sequence && s->notes[i].id == id)
            n = &s->notes[i];
    sim_log(s, "J%" PRIu64 " delivered as sequence %" PRIu64 ", time %" PRIu64, id, d.stream_sequence, d.delivered);
    if (n == NULL || d.delivered == 0)
        sim_fail(s, "J%" PRIu64 " is delivered as sequence %" PRIu64 ", which is another message", id,
                 d.stream_sequence);
    else
        settle_somehow(s, msg, n);
}

/* --- a life's beginning and end ---------------------------------------------------------------------------- */

static void start_pull(sim *s)
{
    nbj__consumer_config c = { .stream = nbj_str(SIM_STREAM),
                               .durable = nbj_str(SIM_CONSUMER),
                               .ack_wait_ns = s->sw.ack_wait_ns };
    nbj_status st = nbj__pull_init(&s->pull, s->session, &c, &s->sw.pull, &s->observer, s->w.now);
    s->has_pull = st == NBJ_OK;
    if (st != NBJ_OK && !app_is_excused(s, st))
        sim_fail(s, "a pull consumer could not be started: %s", nbj_strerror(st));
}

static void start_publisher(sim *s)
{
    nbj_status st = nbj__publisher_init(&s->publisher, s->session, &s->sw.publish, &s->observer);
    s->has_publisher = st == NBJ_OK;
    if (st != NBJ_OK)
        nbj__publisher_free(&s->publisher);
    else if (s->connected)
        nbj__publisher_on_connected(&s->publisher, s->w.now);
}

void js_begin(sim *s)
{
    start_publisher(s);
    start_pull(s);
}

/* A consumer that the server refused for good is the application's to start again. */
void js_care(sim *s)
{
    bool usable = s->session != NULL && !s->closed_seen && !s->asked_to_drain;
    if (!s->sw.js || !usable || epoch_now(s) == 0)
        return;
    if (s->has_pull && (s->pull.state == NBJ__PULL_GONE || s->pull.state == NBJ__PULL_STOPPED)) {
        nbj__pull_free(&s->pull);
        s->has_pull = false;
    }
    if (!s->has_pull)
        start_pull(s);
    if (!s->has_publisher) /* there was no memory for it */
        start_publisher(s);
}

void js_end(sim *s)
{
    js_settle(s, 0);
    if (s->has_pull)
        nbj__pull_free(&s->pull);
    if (s->has_publisher)
        nbj__publisher_free(&s->publisher);
    s->has_pull = s->has_publisher = false;
}

/* --- idle -------------------------------------------------------------------------------------------------- */

const char *js_why_busy(sim *s)
{
    model_consumer_view v;
    if (!s->sw.js)
        return NULL;
    if (!s->has_publisher || nbj__publisher_unfinished(&s->publisher) > 0)
        return "the publish window is not empty";
    if (!s->has_pull || s->pull.state != NBJ__PULL_RUNNING)
        return "the pull consumer does not run";
    if (!model_consumer_find(s->m, SIM_STREAM, SIM_CONSUMER, &v))
        return "the server has no consumer";
    return v.ack_pending > 0 ? "acks are missing" : v.undelivered > 0 ? "messages are not delivered" : NULL;
}

void js_check_idle(sim *s)
{
    uint64_t epoch = epoch_now(s), last = 0;
    model_consumer_view v;
    if (!s->sw.js || !model_consumer_find(s->m, SIM_STREAM, SIM_CONSUMER, &v))
        return;
    for (size_t i = 0; i < s->note_count; i++) {
        const stored_note *n = &s->notes[i];
        if (n->epoch == epoch && !n->processed && !s->stream_was_lost)
            sim_fail(s, "J%" PRIu64 " (sequence %" PRIu64 ") was stored and never processed", n->id, n->seq);
    }
    for (uint64_t id = s->first_id; id < s->count && !s->refusals; id++) {
        const entry *e = ledger_get(s, id);
        if (e->kind != 'J' || e->outcomes == 0 || e->outcome != NBJ__STORED || e->epoch != epoch || e->msg_id > 0)
            continue;
        if (e->seq < last)
            sim_fail(s, "J%" PRIu64 " was stored out of order", id);
        last = e->seq;
    }
    if (v.waiting == 0 && s->was_quiet)
        sim_fail(s, "the pull consumer runs without a request at the server");
}
