/* SPDX-License-Identifier: Apache-2.0 */
/* The application's JetStream half: the stream, and a pull consumer on it. Whatever was stored, and not removed by the
 * stream's limits, must be processed. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint64_t js_epoch(const sim *s)
{
    model_stream_view v;
    return model_stream_find(s->m, SIM_STREAM, &v) ? v.created_ns : 0;
}

uint64_t js_window_ns(const sim *s)
{
    uint64_t window = s->sw.duplicates_ns > 0 ? s->sw.duplicates_ns : 120 * (uint64_t)SIM_S;
    return s->sw.max_age_ns > 0 && s->sw.max_age_ns < window ? s->sw.max_age_ns : window;
}

/* --- the stream -------------------------------------------------------------------------------------------- */

void js_make_stream(void *user, uint64_t argument)
{
    sim *s = user;
    buf op = { 0 }, body = { 0 };
    (void)argument;
    buf_printf(&body, "{\"name\":\"" SIM_STREAM "\",\"subjects\":[\"js.>\"],\"storage\":\"%s\",\"retention\":\"%s\"",
               s->sw.memory_stream ? "memory" : "file", s->sw.work_queue ? "workqueue" : "limits");
    buf_printf(&body, ",\"max_msgs\":%u,\"max_msgs_per_subject\":%u,\"discard\":\"%s\"", s->sw.max_msgs,
               s->sw.max_per_subject, s->sw.discard_new ? "new" : "old");
    buf_printf(&body, ",\"max_age\":%" PRIu64 ",\"duplicate_window\":%" PRIu64 "}", s->sw.max_age_ns,
               s->sw.duplicates_ns);
    buf_printf(&op, "PUB $JS.API.STREAM.CREATE." SIM_STREAM " %zu\r\n", buf_len(&body));
    buf_str(&op, buf_view(&body));
    buf_text(&op, "\r\n");
    if (model_is_up(s->m, 0) && s->p.conn != NULL)
        model_feed(s->p.conn, buf_view(&op).ptr, buf_len(&op), s->w.now);
    if (js_epoch(s) == 0) /* not now, then later */
        world_at(&s->w, s->w.now + 100 * SIM_MS, js_make_stream, s, 0);
    buf_free(&op);
    buf_free(&body);
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

void js_begin(sim *s)
{
    publish_begin(s);
    if (s->sw.consumes)
        start_pull(s);
}

/* A consumer that the server refused for good is the application's to start again. */
void js_care(sim *s)
{
    bool usable = s->session != NULL && !s->closed_seen && !s->asked_to_drain;
    if (!s->sw.js || !usable || js_epoch(s) == 0)
        return;
    if (s->has_pull && (s->pull.state == NBJ__PULL_GONE || s->pull.state == NBJ__PULL_STOPPED)) {
        nbj__pull_free(&s->pull);
        s->has_pull = false;
    }
    if (!s->has_pull && s->sw.consumes)
        start_pull(s);
    if (!s->has_publisher) /* there was no memory for it */
        publish_begin(s);
}

void js_end(sim *s)
{
    js_settle(s, 0);
    if (s->has_pull)
        nbj__pull_free(&s->pull);
    s->has_pull = false;
    publish_end(s);
}

/* --- idle -------------------------------------------------------------------------------------------------- */

const char *js_why_busy(sim *s)
{
    model_consumer_view v;
    if (!s->sw.js)
        return NULL;
    const char *why = publish_why_busy(s);
    if (why != NULL || !s->sw.consumes)
        return why;
    if (!s->has_pull || s->pull.state != NBJ__PULL_RUNNING)
        return "the pull consumer does not run";
    if (!model_consumer_find(s->m, SIM_STREAM, SIM_CONSUMER, &v))
        return "the server has no consumer";
    return v.ack_pending > 0 ? "acks are missing" : v.undelivered > 0 ? "messages are not delivered" : NULL;
}

void js_check_idle(sim *s)
{
    uint64_t epoch = js_epoch(s);
    model_consumer_view v;
    if (!s->sw.js)
        return;
    publish_check_idle(s);
    if (!s->sw.consumes || !model_consumer_find(s->m, SIM_STREAM, SIM_CONSUMER, &v))
        return;
    for (size_t i = 0; i < s->note_count; i++) {
        const stored_note *n = &s->notes[i];
        if (n->epoch == epoch && !n->processed && !n->removed && !s->stream_was_lost)
            sim_fail(s, "J%" PRIu64 " (sequence %" PRIu64 ") was stored and never processed", n->id, n->seq);
    }
    if (v.waiting == 0 && s->was_quiet)
        sim_fail(s, "the pull consumer runs without a request at the server");
}
