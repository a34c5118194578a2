/* SPDX-License-Identifier: Apache-2.0 */
/* The application's publish window, and what its outcomes may be. "Stored" must name the very message, "rejected" must
 * never have been stored; nothing is stored a second time while its id is remembered; what the stream does not have
 * any more, it removed itself. And what the window sends: in order, again only what may be, ordered messages behind
 * nothing that waits or failed. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STARTING_NS (5 * (uint64_t)SIM_S) /* of a connection, in which it is patient */

static const char *const subjects[] = { "js.a", "js.b", "js.c.d", "deny.j" };

/* --- what the stream took ---------------------------------------------------------------------------------- */

/* The last that the stream took of |id|, or of another entry with the same id of the application's, in this epoch. */
static const stored_note *stored_as(sim *s, uint64_t epoch, uint64_t id)
{
    uint64_t msg_id = ledger_get(s, id)->msg_id;
    for (size_t i = s->note_count; i-- > 0;) {
        const stored_note *n = &s->notes[i];
        bool same = n->id == id || (msg_id > 0 && ledger_get(s, n->id)->msg_id == msg_id);
        if (same && n->epoch == epoch)
            return n;
    }
    return NULL;
}

/* Ids are forgotten with the window, and by a restart with their messages. */
static bool is_forgotten(const sim *s, const stored_note *n)
{
    return s->w.now - n->time >= js_window_ns(s) || (n->removed && s->restarted);
}

void publish_stored(void *user, const char *stream, uint64_t created_ns, uint64_t seq, str subject, str header,
                    str data)
{
    sim *s = user;
    (void)stream;
    uint64_t id = ledger_identify(s, "stored", subject, header, data);
    entry *e = ledger_get(s, id);
    if (e == NULL)
        return;
    const stored_note *before = stored_as(s, created_ns, id);
    if (before != NULL && (e->no_id || !is_forgotten(s, before)))
        sim_fail(s, "J%" PRIu64 " is stored twice", id);
    if (e->outcomes > 0 && e->outcome == NBJ__REJECTED)
        sim_fail(s, "J%" PRIu64 " is stored after it was reported as rejected", id);
    sim_log(s, "J%" PRIu64 " is stored as sequence %" PRIu64, id, seq);
    e->stored++;
    e->epoch = created_ns;
    e->seq = seq;
    s->notes = sim_grow(s->notes, s->note_count, &s->notes_cap, sizeof *s->notes);
    s->notes[s->note_count++] = (stored_note){ .epoch = created_ns, .seq = seq, .id = id, .time = s->w.now };
    sim_note(s, id, seq);
}

void publish_removed(void *user, const char *stream, uint64_t created_ns, uint64_t seq)
{
    sim *s = user;
    (void)stream;
    if (!s->sw.work_queue && s->sw.max_msgs + s->sw.max_per_subject + s->sw.max_age_ns == 0)
        sim_fail(s, "sequence %" PRIu64 " was removed from a stream without limits", seq);
    for (size_t i = s->note_count; i-- > 0;)
        if (s->notes[i].seq == seq && s->notes[i].epoch == created_ns) {
            s->notes[i].removed = true;
            return;
        }
}

/* --- publishing -------------------------------------------------------------------------------------------- */

static uint64_t last_of(sim *s, const char *subject)
{
    uint64_t epoch = js_epoch(s);
    for (size_t i = s->note_count; i-- > 0;) {
        const stored_note *n = &s->notes[i];
        if (n->epoch == epoch && !n->removed && strcmp(ledger_get(s, n->id)->subject, subject) == 0)
            return n->seq;
    }
    return 0;
}

/* Mostly what is true now; more than one message that expects it cannot be stored. */
static size_t expect_something(sim *s, const char *subject, nbj_header *header, buf *text)
{
    model_stream_view v = { 0 };
    bool of_subject = rng_below(&s->app, 2) == 0;
    bool is_wrong = rng_below(&s->app, 4) == 0;
    model_stream_find(s->m, SIM_STREAM, &v);
    buf_printf(text, "%" PRIu64, (of_subject ? last_of(s, subject) : v.last_seq) + is_wrong);
    *header = (nbj_header){ nbj_str(of_subject ? "Nats-Expected-Last-Subject-Sequence" : "Nats-Expected-Last-Sequence"),
                            nbj_view(buf_view(text).ptr, buf_len(text)) };
    return 1;
}

/* Whether there is room is the bounds' business alone. */
static void check_room(sim *s, nbj_status st, size_t size)
{
    const nbj__publisher *p = &s->publisher;
    size_t messages = (size_t)(p->tail - p->head), bytes = nbj__buf_len(&p->frames);
    size_t most = s->sw.publish.max_messages > 0 ? s->sw.publish.max_messages : 4096;
    size_t room = s->sw.publish.max_bytes > 0 ? s->sw.publish.max_bytes : (size_t)64 << 20;
    if (messages > most || bytes > room)
        sim_fail(s, "%zu messages, %zu octets are in the window", messages, bytes);
    if (st == NBJ_E_WOULD_BLOCK && messages < most && bytes + size + 512 <= room)
        sim_fail(s, "the window says that it is full with %zu messages, %zu octets", messages, bytes);
}

static void judge(sim *s, uint64_t id, nbj_status st, size_t size)
{
    const entry *e = ledger_get(s, id);
    bool stopped = e->ordered && s->ordered_failed > 0;
    check_room(s, st, size);
    if (stopped != (st == NBJ_E_ORDER))
        sim_fail(s, "publish of J%" PRIu64 ", %s an ordered one failed: %s", id, stopped ? "though" : "without that",
                 nbj_strerror(st));
    if (st != NBJ_OK && st != NBJ_E_WOULD_BLOCK && st != NBJ_E_FULL && st != NBJ_E_TOO_LARGE && st != NBJ_E_ORDER &&
        !app_is_excused(s, st))
        sim_fail(s, "publish into the window: %s", nbj_strerror(st));
}

static void resume_ordered(sim *s)
{
    nbj_status st = nbj__publisher_resume(&s->publisher);
    sim_log(s, "ordered messages may pass again: %s", nbj_strerror(st));
    if (st != (s->ordered_open > 0 ? NBJ_E_STATE : NBJ_OK))
        sim_fail(s, "resume with %zu ordered messages without an outcome: %s", s->ordered_open, nbj_strerror(st));
    if (st == NBJ_OK)
        s->ordered_failed = 0;
}

static uint32_t draw_retries(sim *s)
{
    static const uint32_t retries[] = { 0, 0, 1, 10, NBJ_RETRIES_NONE, NBJ_RETRIES_UNTIL_TIMEOUT };
    return s->sw.publishing ? retries[rng_below(&s->app, sizeof retries / sizeof retries[0])] : 0;
}

static void draw_options(sim *s, entry *e, nbj__publish *m)
{
    m->no_id = e->no_id = rng_below(&s->app, 10) == 0;
    m->ordered = e->ordered = s->sw.ordered > 0 && rng_below(&s->app, 8) < s->sw.ordered;
    m->retries = draw_retries(s);
    e->retries = m->retries == 0 ? 2 : m->retries == NBJ_RETRIES_NONE ? 0 : m->retries;
    e->expects = s->sw.expecting > 0 && rng_below(&s->app, e->ordered ? 64 : 8) < s->sw.expecting;
    if (s->sw.publishing && rng_below(&s->app, 2) == 0)
        m->retry_ns = rng_log(&s->app, SIM_MS, SIM_S);
}

static void try_publish(sim *s, uint64_t id, nbj__publish *m)
{
    entry *e = ledger_get(s, id);
    e->accepted = true; /* a window writes at once */
    nbj_status st = nbj__publisher_publish(&s->publisher, m, s->w.now);
    e = ledger_get(s, id);
    e->accepted = st == NBJ_OK;
    s->ordered_open += st == NBJ_OK && e->ordered;
    sim_log(s, "publishes J%" PRIu64 "%s%s into the window: %s", id, e->ordered ? " in order" : "",
            e->expects ? " with an expectation" : "", nbj_strerror(st));
    judge(s, id, st, nbj__outgoing_size(&m->msg));
}

void publish_something(sim *s)
{
    nbj_header headers[3], expected;
    buf data = { 0 }, id_text = { 0 }, expected_text = { 0 };
    if (!s->has_publisher)
        return;
    if (s->ordered_failed > 0 && rng_below(&s->app, 3) == 0)
        resume_ordered(s);
    const char *subject = subjects[rng_below(&s->app, s->sw.publishing ? 100 : 16) == 0 ? 3 : rng_below(&s->app, 3)];
    uint64_t id = ledger_add(s, 'J', subject, 24 + (size_t)rng_below(&s->app, 100));
    entry *e = ledger_get(s, id);
    nbj__publish m = { .msg = { .subject = nbj_str(subject), .headers = headers },
                       .deadline = s->w.now + rng_log(&s->app, 10 * SIM_MS, 2 * s->sw.deadline_max_ns),
                       .more = &expected,
                       .user = { .data = (void *)(uintptr_t)id } };
    draw_options(s, e, &m);
    m.msg.header_count = ledger_message(s, id, headers, &data);
    m.msg.payload = nbj_view(buf_view(&data).ptr, buf_len(&data));
    if (!m.no_id && rng_below(&s->app, 10) == 0) {
        e->msg_id = rng_between(&s->app, 1, 5);
        buf_printf(&id_text, "given-%" PRIu64, e->msg_id);
        m.msg_id = nbj_view(buf_view(&id_text).ptr, buf_len(&id_text));
    }
    if (e->expects)
        m.more_count = expect_something(s, subject, &expected, &expected_text);
    try_publish(s, id, &m);
    buf_free(&data);
    buf_free(&id_text);
    buf_free(&expected_text);
}

/* --- what the window sends --------------------------------------------------------------------------------- */

static uint64_t id_of(const nbj__publish_entry *p)
{
    return (uint64_t)(uintptr_t)p->user.data;
}

/* How long a message in doubt may be sent again: half the window that the stream has said, else of the usual one. */
static uint64_t resend_within(sim *s)
{
    const nbj__publish_streams *t = &s->publisher.streams;
    bool is_known = t->count > 0 && t->items[0]->is_known;
    if (is_known && t->items[0]->window_ns != js_window_ns(s))
        sim_fail(s, "a duplicate window of %" PRIu64 " ns is taken for %" PRIu64 " ns", js_window_ns(s),
                 t->items[0]->window_ns);
    if (s->sw.publish.resend_within_ns > 0)
        return s->sw.publish.resend_within_ns;
    return (is_known ? js_window_ns(s) : 120 * (uint64_t)SIM_S) / 2;
}

/* |doubt|: transmissions before this one that were not refused. */
static void check_sent_again(sim *s, uint64_t id, const entry *e, uint32_t doubt)
{
    if (doubt > 0 && e->no_id)
        sim_fail(s, "J%" PRIu64 " has no id and is sent again", id);
    if (doubt > 0 && s->w.now - e->first_sent > resend_within(s))
        sim_fail(s, "J%" PRIu64 " is sent again when its id may be forgotten", id);
    if (doubt == 0 && e->ordered && id < s->ordered_stored)
        sim_fail(s, "J%" PRIu64 " is sent again though J%" PRIu64 " behind it is stored", id, s->ordered_stored);
}

static void on_sent(sim *s, uint64_t id, entry *e, const nbj__publish_entry *p, bool is_held)
{
    uint64_t conn = s->conn != NULL ? net_number(s->conn) : 0;
    bool is_first_here = e->sends == 0 || e->sent_on != conn;
    if (e->sends > 0)
        check_sent_again(s, id, e, e->sends - p->refusals);
    else
        e->first_sent = s->w.now;
    if (is_first_here && s->last_sent_on == conn && id < s->last_sent_id)
        sim_fail(s, "J%" PRIu64 " is sent after J%" PRIu64, id, s->last_sent_id);
    if (e->ordered && is_held)
        sim_fail(s, "J%" PRIu64 " is sent though an ordered one before it waits", id);
    if (e->ordered && s->ordered_failed > 0 && id > s->ordered_failed)
        sim_fail(s, "J%" PRIu64 " is sent though J%" PRIu64 " before it failed", id, s->ordered_failed);
    if (is_first_here) {
        s->last_sent_id = id;
        s->last_sent_on = conn;
    }
    e->sends = p->sends;
    e->sent_on = conn;
}

static void on_refused(sim *s, uint64_t id, entry *e, const nbj__publish_entry *p)
{
    e->refusals = p->refusals;
    bool is_new = s->w.now < s->connected_at + STARTING_NS;
    if (e->refusals > e->retries && !(is_new && e->retries > 0))
        sim_fail(s, "J%" PRIu64 " waits after %u refusals, %u were wanted", id, e->refusals, e->retries);
}

void publish_moved(sim *s, int to)
{
    bool is_held = false;
    if (!s->has_publisher || (to != NBJ__PUBLISH_SENT && to != NBJ__PUBLISH_PAUSED))
        return;
    for (nbj__publish_place at = { 0 }; nbj__publisher_next(&s->publisher, &at);) {
        const nbj__publish_entry *p = at.entry;
        uint64_t id = id_of(p);
        entry *e = ledger_get(s, id);
        if (to == NBJ__PUBLISH_SENT && p->sends != e->sends) {
            on_sent(s, id, e, p, is_held);
            return;
        }
        if (to == NBJ__PUBLISH_PAUSED && p->refusals != e->refusals) {
            on_refused(s, id, e, p);
            return;
        }
        is_held = is_held || (p->ordered && p->state == NBJ__PUBLISH_PAUSED);
    }
}

void publish_ask(sim *s)
{
    nbj__js_where where = { .prefix = NBJ__API_PREFIX };
    if (s->has_publisher && !s->closed_seen && !s->asked_to_drain && nbj__publish_asker_is_due(&s->asker))
        nbj__publish_asker_ask(&s->asker, &where, s->w.now);
}

/* --- outcomes ---------------------------------------------------------------------------------------------- */

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

/* A connection that lasts is used: what waits is sent again on it, long before its deadline. Behind ordered ones that
 * were refused it waits, too. */
static void check_tried(sim *s, uint64_t id)
{
    bool lasts = s->connected && !net_is_faulted(s->conn) && s->w.now - s->connected_at > 2 * (uint64_t)SIM_S;
    bool is_held = s->sw.ordered > 0 && s->refusals;
    const entry *e = ledger_get(s, id);
    if (lasts && !is_held && e->written_on != net_number(s->conn) && !nbj__session_has_tx(s->session))
        sim_fail(s, "J%" PRIu64 " was not sent on this connection though there was time", id);
}

static void note_ordered(sim *s, uint64_t id, bool stored)
{
    s->ordered_open--;
    if (stored && id > s->ordered_stored)
        s->ordered_stored = id;
    if (!stored && (s->ordered_failed == 0 || id < s->ordered_failed))
        s->ordered_failed = id;
}

static void check_failed(sim *s, uint64_t id, const entry *e, const nbj__publish_result *r)
{
    if (r->error.status == NBJ_OK)
        sim_fail(s, "J%" PRIu64 " failed without a reason", id);
    if (r->error.status == NBJ_E_TIMEOUT)
        check_tried(s, id);
    if (r->error.status == NBJ_E_WRONG_LAST_SEQUENCE && !e->expects)
        sim_fail(s, "J%" PRIu64 " failed by an expectation that it had not", id);
    if (r->outcome == NBJ__REJECTED && e->stored > 0)
        sim_fail(s, "J%" PRIu64 " is reported as rejected, but it is stored", id);
    if (r->outcome == NBJ__UNKNOWN && e->sends == 0)
        sim_fail(s, "J%" PRIu64 " is reported as unknown, but it was never sent", id);
}

void publish_result(sim *s, const nbj__publish_result *r)
{
    uint64_t id = (uint64_t)(uintptr_t)r->user.data;
    entry *e = ledger_get(s, id);
    bool stored = r->outcome == NBJ__STORED || r->outcome == NBJ__DUPLICATE;
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
    if (stored)
        check_stored(s, id, r);
    else
        check_failed(s, id, e, r);
    if (e->ordered)
        note_ordered(s, id, stored);
}

/* --- a life's beginning and end, and idle ------------------------------------------------------------------ */

void publish_begin(sim *s)
{
    nbj_status st = nbj__publisher_init(&s->publisher, s->session, &s->sw.publish, &s->observer);
    s->has_publisher = st == NBJ_OK;
    s->last_sent_id = s->last_sent_on = s->ordered_failed = s->ordered_stored = s->ordered_open = 0;
    nbj__publish_asker_init(&s->asker, &s->publisher);
    if (st != NBJ_OK)
        nbj__publisher_free(&s->publisher);
    else if (s->connected)
        nbj__publisher_on_connected(&s->publisher, s->w.now);
}

void publish_end(sim *s)
{
    if (!s->has_publisher)
        return;
    nbj__publish_asker_stop(&s->asker);
    nbj__publisher_free(&s->publisher);
    s->has_publisher = false;
}

const char *publish_why_busy(const sim *s)
{
    if (!s->has_publisher || nbj__publisher_unfinished(&s->publisher) > 0)
        return "the publish window is not empty";
    return s->asker.is_open ? "a stream is asked for its window" : NULL;
}

static void check_order(sim *s, uint64_t epoch)
{
    uint64_t last = 0;
    for (uint64_t id = s->first_id; id < s->count && !s->refusals; id++) {
        const entry *e = ledger_get(s, id);
        bool counts = e->kind == 'J' && e->outcomes > 0 && e->outcome == NBJ__STORED && e->epoch == epoch;
        if (!counts || e->msg_id > 0 || e->stored > 1 || e->refusals > 0 || e->expects) /* refused, it is passed */
            continue;
        if (e->seq < last)
            sim_fail(s, "J%" PRIu64 " was stored out of order", id);
        last = e->seq;
    }
}

void publish_check_idle(sim *s)
{
    uint64_t epoch = js_epoch(s);
    model_msg_view v;
    check_order(s, epoch);
    for (size_t i = 0; i < s->note_count; i++) {
        const stored_note *n = &s->notes[i];
        if (n->epoch == epoch && n->removed == model_msg_find(s->m, SIM_STREAM, n->seq, &v))
            sim_fail(s, "J%" PRIu64 " (sequence %" PRIu64 ") is %s", n->id, n->seq,
                     n->removed ? "still there, though it was removed" : "gone, and no limit removed it");
    }
    const nbj__publish_streams *t = &s->publisher.streams;
    if (t->count > 0 && !t->items[0]->is_known && t->items[0]->asked == 0)
        sim_fail(s, "the stream was never asked for its duplicate window");
}
