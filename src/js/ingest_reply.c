/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ingest_int.h"

#include "base/text.h"
#include "js/gate.h"

#include <assert.h>

#define RETRIES 8u /* of a first message that no stream takes */

/* A server that does not know fast ingest took the first message for an ordinary one. */
static void end_single(nbj__ingest *g, const nbj__batch_reply *r)
{
    char sequence[24], needs[16];
    nbj__text s = nbj__text_into(sequence, sizeof sequence);

    nbj__text_add_u64(&s, r->ack.sequence);
    nbj__gate_version(NBJ__FEATURE_FAST_INGEST, needs);
    nbj__error_set(&g->result.error, NBJ_E_UNSUPPORTED, "the server that has stream ", r->ack.stream,
                   " does not know fast ingest, which needs nats-server ", needs,
                   ": it stored one message by itself, as sequence ", sequence, ", and was sent no other",
                   (char *)NULL);
    g->result.ack = r->ack;
    g->result.message = g->base + 1;
    nbj__ingest_window_forget(&g->window, g->base + 1);
    nbj__ingest_end(g);
}

/* The sequence of the message that is answered at |subject|; 0: it cannot be read. */
static uint64_t answered_in(const nbj__ingest *g, nbj_bytes subject)
{
    uint64_t n = 0;

    if (subject.len <= g->prefix_len || memcmp(subject.ptr, g->prefix, g->prefix_len) != 0)
        return 0;
    nbj_bytes rest = nbj_view(subject.ptr + g->prefix_len, subject.len - g->prefix_len);
    const uint8_t *dot = memchr(rest.ptr, '.', rest.len);
    bool whole = dot != NULL && nbj__parse_u64(nbj_view(rest.ptr, (size_t)(dot - rest.ptr)), UINT64_MAX, &n);
    return whole && n <= nbj__ingest_sent(g) ? n : 0;
}

/* Reports of messages that are acknowledged, in sum, do not change any more. */
static void close_reports(nbj__ingest *g, uint64_t acknowledged)
{
    if (acknowledged < g->open_until)
        return;
    g->result.lost += g->open_lost;
    g->result.refused += g->open_refused;
    g->open_until = g->open_lost = g->open_refused = 0;
}

/* All up to |sequence| is settled. */
static void advance(nbj__ingest *g, uint64_t sequence)
{
    uint64_t head = g->base + sequence;

    assert(sequence <= nbj__ingest_sent(g));
    if (head <= g->window.head)
        return;
    nbj__ingest_window_forget(&g->window, head);
    g->refusals = 0;
    g->stuck_since = NBJ_TIME_NEVER;
    close_reports(g, sequence);
}

static void on_ack(nbj__ingest *g, const nbj__batch_reply *r, nbj_time now)
{
    uint64_t each = r->messages > 0 ? r->messages : 1;

    if (r->seq > nbj__ingest_sent(g))
        return; /* of what nobody sent */
    if (g->state == NBJ__INGEST_STARTING)
        nbj__ingest_set_state(g, NBJ__INGEST_RUNNING);
    advance(g, r->seq);
    uint64_t from = g->window.head - g->base;
    each = each < 65535 ? each : 65535;
    g->each = each;
    g->allowed = from + each * g->opt.outstanding;
    if (g->state == NBJ__INGEST_RUNNING)
        nbj__ingest_pump(g, now);
}

/* How many of |from| … |until| - 1 were sent and are not settled. */
static uint64_t reported(const nbj__ingest *g, uint64_t from, uint64_t until)
{
    uint64_t first = g->window.head - g->base + 1;
    uint64_t last = nbj__ingest_sent(g) + 1;

    from = from > first ? from : first;
    from = from > g->open_until ? from : g->open_until + 1;
    until = until < last ? until : last;
    return until > from ? until - from : 0;
}

static void note_error(nbj__ingest *g, uint64_t sequence, const nbj_error *why)
{
    if (g->result.error.status != NBJ_OK)
        return;
    g->result.error = *why;
    g->result.message = sequence > 0 ? g->base + sequence : 0;
}

static bool passes(const nbj_error *why)
{
    return why->status == NBJ_E_JS_UNAVAILABLE;
}

/* Message |r->seq| was refused. Unless gaps are allowed the server has ended the batch, and says next how much is
 * stored. */
static void on_err(nbj__ingest *g, const nbj__batch_reply *r)
{
    uint64_t n = reported(g, r->seq, r->seq + 1);

    if (g->opt.gaps_are_ok) {
        note_error(g, r->seq, &r->error);
        g->open_refused += n;
        g->open_until = n > 0 ? r->seq : g->open_until;
    } else if (!passes(&r->error)) {
        note_error(g, r->seq, &r->error);
        g->is_failing = true;
    }
}

static void on_gap(nbj__ingest *g, const nbj__batch_reply *r)
{
    uint64_t n = reported(g, r->seq, r->until);

    if (!g->opt.gaps_are_ok || n == 0) /* else the end of the batch follows, which says how much is stored */
        return;
    g->open_lost += n;
    g->open_until = r->until - 1 < nbj__ingest_sent(g) ? r->until - 1 : nbj__ingest_sent(g);
}

static void on_stored(nbj__ingest *g, const nbj__batch_reply *r, nbj_time now)
{
    nbj_error why = { 0 };

    if (!r->is_whole) {
        end_single(g, r);
        return;
    }
    uint64_t whole = nbj__ingest_sent(g);
    uint64_t count = r->count < whole ? r->count : whole;
    if (r->ack.sequence > 0)
        g->result.ack = r->ack;
    advance(g, count);
    if (count < whole) { /* the server missed some, and ended it there */
        nbj__error_set(&why, NBJ_E_JS_UNAVAILABLE, "the server loses messages of the bulk", (char *)NULL);
        nbj__ingest_begin_later(g, &why, now);
        return;
    }
    nbj__ingest_leave_batch(g);
    nbj__ingest_begin(g, now);
}

#define TOO_LARGE 10054 /* of one message; such a refusal leaves a gap */
#define FORGOTTEN 10208

/* An answer as to an ordinary message: the batch is not known, or message |sequence| was refused before it was looked at as
 * one of a batch, which leaves a gap. */
static void on_refusal(nbj__ingest *g, uint64_t sequence, const nbj__batch_reply *r, nbj_time now)
{
    bool is_of_one = g->opt.gaps_are_ok && r->error.err_code == TOO_LARGE && g->state != NBJ__INGEST_STARTING;

    if (r->error.err_code == FORGOTTEN || (g->state == NBJ__INGEST_STARTING && passes(&r->error))) {
        nbj__ingest_begin_later(g, &r->error, now);
        return;
    }
    if (is_of_one || !passes(&r->error))
        note_error(g, sequence, &r->error);
    if (is_of_one)
        return;
    g->is_failing = g->is_failing || !passes(&r->error);
    if (g->state == NBJ__INGEST_STARTING)
        nbj__ingest_end(g);
    else if (g->state == NBJ__INGEST_RUNNING)
        nbj__ingest_commit(g, now);
}

/* The stream, or its leader, is not there. It may come back and know the batch: then the commit, sent again, tells. */
static void on_nobody(nbj__ingest *g, nbj_time now)
{
    bool never_was = g->window.head == 0 && g->refusals == RETRIES;
    nbj_error why;

    g->had_nobody = true;
    g->stuck_since = nbj__time_min(g->stuck_since, now);
    nbj__error_set(&why, NBJ_E_NO_STREAM, nbj_strerror(NBJ_E_NO_STREAM), (char *)NULL);
    if (never_was)
        nbj__ingest_end_without_stream(g);
    else if (g->state == NBJ__INGEST_STARTING)
        nbj__ingest_begin_later(g, &why, now);
    else
        g->asks_to_commit = true; /* in a while, as if nothing had been heard */
}

void nbj__ingest_on_msg(nbj__ingest *g, const nbj_msg *msg, nbj_time now)
{
    nbj__batch_reply r;

    if (!nbj__ingest_is_at_server(g))
        return;
    nbj__batch_reply_read(msg, nbj_view(g->id, sizeof g->id), &r);
    g->heard_at = now;
    g->had_nobody = false;
    switch (r.answer) {
    case NBJ__BATCH_ACK:
        on_ack(g, &r, now);
        break;
    case NBJ__BATCH_GAP:
        on_gap(g, &r);
        break;
    case NBJ__BATCH_ERR:
        on_err(g, &r);
        break;
    case NBJ__BATCH_STORED:
        on_stored(g, &r, now);
        break;
    case NBJ__BATCH_REFUSED:
        on_refusal(g, answered_in(g, nbj_msg_subject(msg)), &r, now);
        break;
    case NBJ__BATCH_NOBODY:
        on_nobody(g, now);
        break;
    case NBJ__BATCH_STAGED:
        nbj__error_set(&r.error, NBJ_E_BAD_REPLY, "an answer of JetStream is empty", (char *)NULL);
        nbj__ingest_end_with(g, r.error.status, r.error.text);
        break;
    case NBJ__BATCH_UNREADABLE:
        nbj__ingest_end_with(g, r.error.status, r.error.text);
        break;
    }
}

void nbj__ingest_on_sub_ended(nbj__ingest *g)
{
    if (g->state != NBJ__INGEST_ENDED && g->sub.why != NBJ_OK && g->sub.why != NBJ_E_CLOSED)
        nbj__ingest_end_with(g, g->sub.why, nbj_strerror(g->sub.why));
}

void nbj__ingest_on_refused(nbj__ingest *g, nbj_bytes subject)
{
    nbj__ingest_window *w = &g->window;
    uint64_t cursor = w->cursor;
    uint64_t refused = cursor;

    if (!nbj__ingest_is_at_server(g))
        return;
    nbj__ingest_window_rewind(w);
    for (; w->cursor < cursor; nbj__ingest_window_sent(w)) {
        if (refused == cursor && nbj_bytes_equal(nbj__ingest_window_subject(w), subject))
            refused = w->cursor;
    }
    if (refused == cursor)
        return;
    g->result.message = refused + 1;
    nbj__ingest_end_with(g, NBJ_E_PERMISSION_PUBLISH, nbj_strerror(NBJ_E_PERMISSION_PUBLISH));
}
