/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ingest.h"

#include "base/text.h"
#include "js/gate.h"
#include "wire/words.h"

#include <assert.h>

#define RETRY_NS NBJ_MILLIS(250)
#define RETRIES 8u             /* of a first message that no stream takes */
#define REST_NS NBJ_SECONDS(1) /* a batch to which nothing is added is committed; a server forgets it after 10 s */
#define PING_NS NBJ_SECONDS(2) /* without a word although one is awaited */
#define REPLY_MAX (sizeof((nbj__ingest *)0)->prefix + 32)

typedef enum operation { OP_START = 0, OP_APPEND = 1, OP_COMMIT = 3, OP_PING = 4 } operation;

static const nbj__transition transitions[] = {
    { 0, NBJ__INGEST_IDLE },
    { NBJ__INGEST_IDLE, NBJ__INGEST_WAITING },
    { NBJ__INGEST_IDLE, NBJ__INGEST_ENDED },
    { NBJ__INGEST_WAITING, NBJ__INGEST_STARTING },
    { NBJ__INGEST_WAITING, NBJ__INGEST_IDLE },
    { NBJ__INGEST_WAITING, NBJ__INGEST_ENDED },
    { NBJ__INGEST_STARTING, NBJ__INGEST_RUNNING },
    { NBJ__INGEST_STARTING, NBJ__INGEST_WAITING },
    { NBJ__INGEST_STARTING, NBJ__INGEST_ENDED },
    { NBJ__INGEST_RUNNING, NBJ__INGEST_COMMITTING },
    { NBJ__INGEST_RUNNING, NBJ__INGEST_WAITING },
    { NBJ__INGEST_RUNNING, NBJ__INGEST_ENDED },
    { NBJ__INGEST_COMMITTING, NBJ__INGEST_WAITING },
    { NBJ__INGEST_COMMITTING, NBJ__INGEST_ENDED },
};
const nbj__machine nbj__ingest_machine = { "ingest", transitions, sizeof transitions / sizeof transitions[0] };

static void set_state(nbj__ingest *g, nbj__ingest_state to)
{
    nbj__observe(g->observer, &nbj__ingest_machine, (int)g->state, (int)to);
    g->state = to;
}

static bool is_at_server(const nbj__ingest *g)
{
    return g->state == NBJ__INGEST_STARTING || g->state == NBJ__INGEST_RUNNING || g->state == NBJ__INGEST_COMMITTING;
}

nbj_status nbj__ingest_init(nbj__ingest *g, nbj__session *session, const nbj__ingest_options *o,
                            const nbj__observer *observer)
{
    const nbj_allocator *alloc = nbj__session_alloc(session);

    *g = (nbj__ingest){ .session = session, .opt = *o, .observer = observer };
    g->opt.max_messages = o->max_messages > 0 ? o->max_messages : 4096;
    g->opt.flow = o->flow > 0 ? o->flow : 500;
    if (g->opt.flow > g->opt.max_messages / 2)
        g->opt.flow = g->opt.max_messages > 1 ? g->opt.max_messages / 2 : 1;
    g->opt.outstanding = o->outstanding > 0 ? o->outstanding : 2;
    g->opt.patience_ns = o->patience_ns > 0 ? o->patience_ns : NBJ_SECONDS(30);
    g->retry_at = g->finish_due = g->stuck_since = NBJ_TIME_NEVER;
    nbj__buf_init(&g->subject, alloc, 65536);
    set_state(g, NBJ__INGEST_IDLE);
    return nbj__ingest_window_init(&g->window, alloc, g->opt.max_messages,
                                   o->max_bytes > 0 ? o->max_bytes : (size_t)NBJ_MIB(16));
}

void nbj__ingest_free(nbj__ingest *g)
{
    if (g->session == NULL)
        return;
    nbj__session_sub_clear(g->session, &g->sub);
    nbj__buf_free(&g->subject);
    nbj__ingest_window_free(&g->window);
    *g = (nbj__ingest){ 0 };
}

void nbj__ingest_progress(const nbj__ingest *g, nbj__ingest_result *out)
{
    *out = g->result;
    out->added = g->window.tail;
    out->stored = g->window.head - g->result.lost - g->result.refused;
}

/* --- the end --- */

static void end(nbj__ingest *g)
{
    nbj__session_sub_clear(g->session, &g->sub);
    set_state(g, NBJ__INGEST_ENDED);
}

static void end_with(nbj__ingest *g, nbj_status status, const char *text)
{
    nbj__error_set(&g->result.error, status, text,
                   nbj__ingest_window_is_empty(&g->window) ? "" : ": what is not known to be stored may or may not be",
                   (char *)NULL);
    end(g);
}

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
    end(g);
}

/* --- reply subjects --- */

static uint64_t sequence_of(const nbj__ingest *g, uint64_t number)
{
    return number - g->base + 1;
}

/* Of the present batch, sent. */
static uint64_t sent(const nbj__ingest *g)
{
    return g->window.cursor - g->base;
}

static nbj_bytes reply_for(const nbj__ingest *g, uint64_t sequence, operation op, char out[REPLY_MAX])
{
    static const char *const ends[] = { ".0.$FI", ".1.$FI", ".2.$FI", ".3.$FI", ".4.$FI" };
    size_t n = g->prefix_len;

    memcpy(out, g->prefix, n);
    n += nbj__format_u64((uint8_t *)out + n, sequence);
    memcpy(out + n, ends[op], 6);
    return nbj_view(out, n + 6);
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
    return whole && n <= sent(g) ? n : 0;
}

/* Makes id, inbox and prefix of a new batch that begins with the oldest message. */
static nbj_status make_batch(nbj__ingest *g)
{
    nbj_bytes inbox;
    nbj__text t = nbj__text_into(g->prefix, sizeof g->prefix);

    nbj_status st = nbj__session_inbox(g->session, &inbox);
    if (st != NBJ_OK)
        return st;
    nbj__random_name(nbj__session_random(g->session), g->id, sizeof g->id);
    g->id[0] = 'F'; /* by which the session tells it from a request: it is not sent again over another connection */
    nbj__text_add_bytes(&t, inbox);
    nbj__text_add_bytes(&t, nbj_view(g->id, sizeof g->id));
    nbj__text_add(&t, ".>");
    nbj__session_sub_clear(g->session, &g->sub);
    g->sub = (nbj__sub){ .kind = NBJ__SUB_OF_JS };
    nbj__subscription what = { .kind = NBJ__SUB_OF_JS, .subject = nbj__text_view(&t) };
    st = nbj__session_subscribe(g->session, &g->sub, &what);
    if (st != NBJ_OK)
        return st;
    t.len--; /* the wildcard */
    nbj__text_add_u64(&t, g->opt.flow);
    nbj__text_add(&t, g->opt.gaps_are_ok ? ".ok." : ".fail.");
    assert(!t.cut);
    g->prefix_len = t.len;
    g->epoch++;
    nbj__ingest_window_rewind(&g->window);
    g->base = g->window.head;
    g->allowed = 1;
    g->asks_to_commit = false;
    g->open_until = g->open_lost = g->open_refused = 0;
    return NBJ_OK;
}

/* --- sending --- */

static bool is_later(nbj_status st)
{
    return st == NBJ_E_FULL || st == NBJ_E_WOULD_BLOCK || st == NBJ_E_DISCONNECTED;
}

/* Why the cursor's message must not be sent at all. */
static bool is_too_large(const nbj__ingest *g)
{
    const nbj__info *info = nbj__session_info(g->session);

    return info != NULL && info->max_payload > 0 &&
           nbj__ingest_window_next(&g->window)->size > (uint64_t)info->max_payload;
}

static nbj_status transmit(nbj__ingest *g)
{
    char reply[REPLY_MAX];
    const nbj__ingest_entry *e = nbj__ingest_window_next(&g->window);
    uint64_t seq = sequence_of(g, g->window.cursor);
    nbj_bytes frame = nbj__ingest_window_frame(&g->window);

    if (e->epoch != g->epoch)
        frame = nbj__ingest_window_frame_with(&g->window, reply_for(g, seq, seq == 1 ? OP_START : OP_APPEND, reply));
    if (frame.len == 0)
        return NBJ_E_NOMEM;
    nbj_status st = nbj__session_send_frame(g->session, frame, e->size);
    if (st == NBJ_OK)
        nbj__ingest_window_sent(&g->window);
    return st;
}

/* Sends an operation without a message. */
static nbj_status send_control(nbj__ingest *g, uint64_t sequence, operation op)
{
    char reply[REPLY_MAX];
    nbj__outgoing m = { .subject = nbj__buf_view(&g->subject), .reply = reply_for(g, sequence, op, reply) };

    nbj__buf_clear(&g->window.scratch);
    nbj_status st = nbj__emit_pub(&g->window.scratch, &m);
    return st == NBJ_OK ? nbj__session_send_frame(g->session, nbj__buf_view(&g->window.scratch), 0) : st;
}

static void commit(nbj__ingest *g, nbj_time now)
{
    g->asks_to_commit = true;
    if (send_control(g, sent(g) + 1, OP_COMMIT) != NBJ_OK)
        return; /* WRITABLE, or the time, will come back to it */
    g->asks_to_commit = false;
    g->heard_at = now;
    set_state(g, NBJ__INGEST_COMMITTING);
}

/* A message that the present server cannot take: the bulk ends when it is known what is stored. */
static void fail_at_cursor(nbj__ingest *g, nbj_status status)
{
    g->result.message = g->window.cursor + 1;
    nbj__error_set(&g->result.error, status, nbj_strerror(status), (char *)NULL);
    g->is_failing = true;
}

/* Sends what may be sent, and the commit behind it. RUNNING. */
static void pump(nbj__ingest *g, nbj_time now)
{
    nbj__ingest_window *w = &g->window;

    while (w->cursor < w->tail && sent(g) < g->allowed && !g->is_failing && !g->asks_to_commit) {
        nbj_status st = is_too_large(g) ? NBJ_E_TOO_LARGE : transmit(g);
        if (is_later(st) || st == NBJ_E_NOMEM)
            return;
        if (st != NBJ_OK)
            fail_at_cursor(g, st);
    }
    if (g->asks_to_commit || g->is_failing || (g->is_finishing && w->cursor == w->tail))
        commit(g, now);
}

static void wait_until(nbj__ingest *g, nbj_time when)
{
    if (g->state != NBJ__INGEST_WAITING)
        set_state(g, NBJ__INGEST_WAITING);
    g->retry_at = when;
}

static nbj_status may_begin(const nbj__ingest *g, nbj_error *error)
{
    const nbj__info *info = nbj__session_info(g->session);
    nbj__js_where where = { .version = { 0 } };

    if (info != NULL)
        where.version = nbj__version_parse(info->version);
    return nbj__gate_check(&where, NBJ__FEATURE_FAST_INGEST, error);
}

static void start(nbj__ingest *g, nbj_time now)
{
    nbj_status st = make_batch(g);

    nbj__buf_clear(&g->subject);
    nbj_bytes subject = nbj__ingest_window_subject(&g->window);
    if (st == NBJ_OK)
        st = nbj__buf_append(&g->subject, subject.ptr, subject.len);
    if (st == NBJ_OK)
        st = is_too_large(g) ? NBJ_E_TOO_LARGE : transmit(g);
    if (st == NBJ_OK) {
        set_state(g, NBJ__INGEST_STARTING);
        g->heard_at = now;
    } else if (is_later(st) || st == NBJ_E_NOMEM) {
        wait_until(g, nbj__time_add(now, RETRY_NS));
    } else {
        fail_at_cursor(g, st);
        end(g);
    }
}

/* What is next when no batch is under way. */
static void begin(nbj__ingest *g, nbj_time now)
{
    assert(!is_at_server(g));
    if (g->is_failing || (g->is_finishing && nbj__ingest_window_is_empty(&g->window))) {
        end(g);
    } else if (nbj__ingest_window_is_empty(&g->window)) {
        if (g->state != NBJ__INGEST_IDLE)
            set_state(g, NBJ__INGEST_IDLE);
    } else if (nbj__session_phase(g->session) != NBJ__PHASE_READY) {
        wait_until(g, NBJ_TIME_NEVER);
    } else if (may_begin(g, &g->result.error) != NBJ_OK) {
        end(g);
    } else {
        if (g->state != NBJ__INGEST_WAITING)
            set_state(g, NBJ__INGEST_WAITING);
        start(g, now);
    }
}

/* The batch is over, as it should be or not. */
static void leave_batch(nbj__ingest *g)
{
    nbj__session_sub_clear(g->session, &g->sub);
    nbj__ingest_window_rewind(&g->window);
    set_state(g, NBJ__INGEST_WAITING);
}

/* The server gave the batch up, or cannot have it now: another one follows, after a pause. */
static void begin_later(nbj__ingest *g, const nbj_error *why, nbj_time now)
{
    leave_batch(g);
    if (g->is_failing) {
        end(g);
        return;
    }
    g->result.restarts++;
    g->stuck_since = nbj__time_min(g->stuck_since, now);
    if (nbj__time_since(g->stuck_since, now) >= g->opt.patience_ns) {
        g->result.error = *why;
        end(g);
    } else {
        g->refusals++;
        wait_until(g, nbj__time_add(now, RETRY_NS));
    }
}

/* --- adding --- */

/* The window is full. If it holds less than what the server would acknowledge, its messages being large, the commit tells
 * what is stored. */
static void make_room(nbj__ingest *g, nbj_time now)
{
    uint64_t open = g->window.cursor - g->window.head;

    if (g->state == NBJ__INGEST_RUNNING && g->window.cursor == g->window.tail && open < g->each)
        commit(g, now);
}

nbj_status nbj__ingest_add(nbj__ingest *g, const nbj__outgoing *m, nbj_time now)
{
    char reply[REPLY_MAX];
    nbj__outgoing with_reply = *m;

    if (g->state == NBJ__INGEST_ENDED && g->result.error.status != NBJ_OK)
        return g->result.error.status;
    if (g->is_finishing || g->is_failing)
        return NBJ_E_STATE;
    if (nbj__session_phase(g->session) == NBJ__PHASE_CLOSED)
        return NBJ_E_CLOSED;
    bool is_known = is_at_server(g); /* else it gets another reply when it is sent */
    uint64_t seq = is_known ? sequence_of(g, g->window.tail) : 1;
    with_reply.reply = reply_for(g, seq, seq == 1 ? OP_START : OP_APPEND, reply);
    nbj_status st = nbj__session_check(g->session, m);
    if (st == NBJ_OK)
        st = nbj__ingest_window_add(&g->window, &with_reply, is_known ? g->epoch : 0);
    if (st == NBJ_E_WOULD_BLOCK)
        make_room(g, now);
    else if (st == NBJ_OK && g->state == NBJ__INGEST_RUNNING)
        pump(g, now);
    else if (st == NBJ_OK && g->state == NBJ__INGEST_IDLE)
        begin(g, now);
    return st;
}

bool nbj__ingest_has_room(const nbj__ingest *g)
{
    return g->state == NBJ__INGEST_ENDED || nbj__ingest_window_has_room(&g->window);
}

void nbj__ingest_finish(nbj__ingest *g, nbj_time deadline, nbj_time now)
{
    g->is_finishing = true;
    g->finish_due = deadline;
    if (g->state == NBJ__INGEST_IDLE)
        begin(g, now);
    else if (g->state == NBJ__INGEST_RUNNING)
        pump(g, now);
}

/* --- answers --- */

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

    assert(sequence <= sent(g));
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

    if (r->seq > sent(g))
        return; /* of what nobody sent */
    if (g->state == NBJ__INGEST_STARTING)
        set_state(g, NBJ__INGEST_RUNNING);
    advance(g, r->seq);
    uint64_t from = g->window.head - g->base;
    each = each < 65535 ? each : 65535;
    g->each = each;
    g->allowed = from + each * g->opt.outstanding;
    if (g->state == NBJ__INGEST_RUNNING)
        pump(g, now);
}

/* How many of |from| … |until| - 1 were sent and are not settled. */
static uint64_t reported(const nbj__ingest *g, uint64_t from, uint64_t until)
{
    uint64_t first = g->window.head - g->base + 1;
    uint64_t last = sent(g) + 1;

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
    g->open_until = r->until - 1 < sent(g) ? r->until - 1 : sent(g);
}

static void on_stored(nbj__ingest *g, const nbj__batch_reply *r, nbj_time now)
{
    nbj_error why = { 0 };

    if (!r->is_whole) {
        end_single(g, r);
        return;
    }
    uint64_t whole = sent(g);
    uint64_t count = r->count < whole ? r->count : whole;
    if (r->ack.sequence > 0)
        g->result.ack = r->ack;
    advance(g, count);
    if (count < whole) { /* the server missed some, and ended it there */
        nbj__error_set(&why, NBJ_E_JS_UNAVAILABLE, "the server loses messages of the bulk", (char *)NULL);
        begin_later(g, &why, now);
        return;
    }
    leave_batch(g);
    begin(g, now);
}

#define TOO_LARGE 10054 /* of one message; such a refusal leaves a gap */
#define FORGOTTEN 10208

/* An answer as to an ordinary message: the batch is not known, or message |sequence| was refused before it was looked at as
 * one of a batch, which leaves a gap. */
static void on_refusal(nbj__ingest *g, uint64_t sequence, const nbj__batch_reply *r, nbj_time now)
{
    bool is_of_one = g->opt.gaps_are_ok && r->error.err_code == TOO_LARGE && g->state != NBJ__INGEST_STARTING;

    if (r->error.err_code == FORGOTTEN || (g->state == NBJ__INGEST_STARTING && passes(&r->error))) {
        begin_later(g, &r->error, now);
        return;
    }
    if (is_of_one || !passes(&r->error))
        note_error(g, sequence, &r->error);
    if (is_of_one)
        return;
    g->is_failing = g->is_failing || !passes(&r->error);
    if (g->state == NBJ__INGEST_STARTING)
        end(g);
    else if (g->state == NBJ__INGEST_RUNNING)
        commit(g, now);
}

static void end_without_stream(nbj__ingest *g)
{
    end_with(g, NBJ_E_NO_STREAM,
             "no stream takes this subject, or it has no leader now; create the stream first (nbj_stream_ensure does)");
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
        end_without_stream(g);
    else if (g->state == NBJ__INGEST_STARTING)
        begin_later(g, &why, now);
    else
        g->asks_to_commit = true; /* in a while, as if nothing had been heard */
}

void nbj__ingest_on_msg(nbj__ingest *g, const nbj_msg *msg, nbj_time now)
{
    nbj__batch_reply r;

    if (!is_at_server(g))
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
        end_with(g, r.error.status, r.error.text);
        break;
    case NBJ__BATCH_UNREADABLE:
        end_with(g, r.error.status, r.error.text);
        break;
    }
}

void nbj__ingest_on_sub_ended(nbj__ingest *g)
{
    if (g->state != NBJ__INGEST_ENDED && g->sub.why != NBJ_OK && g->sub.why != NBJ_E_CLOSED)
        end_with(g, g->sub.why, nbj_strerror(g->sub.why));
}

void nbj__ingest_on_refused(nbj__ingest *g, nbj_bytes subject)
{
    nbj__ingest_window *w = &g->window;
    uint64_t cursor = w->cursor;
    uint64_t refused = cursor;

    if (!is_at_server(g))
        return;
    nbj__ingest_window_rewind(w);
    for (; w->cursor < cursor; nbj__ingest_window_sent(w)) {
        if (refused == cursor && nbj_bytes_equal(nbj__ingest_window_subject(w), subject))
            refused = w->cursor;
    }
    if (refused == cursor)
        return;
    g->result.message = refused + 1;
    end_with(g, NBJ_E_PERMISSION_PUBLISH, nbj_strerror(NBJ_E_PERMISSION_PUBLISH));
}

/* --- the connection and the time --- */

void nbj__ingest_on_disconnected(nbj__ingest *g)
{
    if (!is_at_server(g))
        return;
    leave_batch(g);
    g->stuck_since = NBJ_TIME_NEVER;
    if (!nbj__ingest_window_is_empty(&g->window))
        g->result.restarts++;
    begin(g, 0);
}

void nbj__ingest_on_connected(nbj__ingest *g, nbj_time now)
{
    if (g->state == NBJ__INGEST_WAITING)
        begin(g, now);
}

void nbj__ingest_on_writable(nbj__ingest *g, nbj_time now)
{
    if (g->state == NBJ__INGEST_RUNNING)
        pump(g, now);
}

/* How long the server may say nothing until something is done about it. */
static uint64_t silence(const nbj__ingest *g)
{
    bool rests = g->state == NBJ__INGEST_RUNNING && g->window.cursor == g->window.tail;

    if (g->state == NBJ__INGEST_STARTING)
        return g->opt.patience_ns;
    return rests ? REST_NS : PING_NS;
}

nbj_time nbj__ingest_deadline(const nbj__ingest *g)
{
    nbj_time due = NBJ_TIME_NEVER;

    if (g->state == NBJ__INGEST_ENDED)
        return due;
    if (is_at_server(g))
        due = nbj__time_add(g->heard_at, silence(g));
    else if (g->state == NBJ__INGEST_WAITING)
        due = g->retry_at;
    return nbj__time_min(due, g->finish_due);
}

/* The server was silent for too long. */
static void on_silence(nbj__ingest *g, nbj_time now)
{
    static const char text[] = "the server does not answer";
    bool rests = g->state == NBJ__INGEST_RUNNING && g->window.cursor == g->window.tail;

    if (!rests)
        g->stuck_since = nbj__time_min(g->stuck_since, g->heard_at);
    if (!rests && nbj__time_since(g->stuck_since, now) >= g->opt.patience_ns) {
        if (g->had_nobody)
            end_without_stream(g);
        else
            end_with(g, NBJ_E_TIMEOUT, text);
        return;
    }
    g->heard_at = now;
    if (g->state == NBJ__INGEST_COMMITTING)
        (void)send_control(g, sent(g) + 1, OP_COMMIT);
    else if (rests || g->asks_to_commit)
        commit(g, now);
    else
        (void)send_control(g, sent(g), OP_PING);
}

void nbj__ingest_on_time(nbj__ingest *g, nbj_time now)
{
    if (now < nbj__ingest_deadline(g))
        return;
    if (now >= g->finish_due)
        end_with(g, NBJ_E_TIMEOUT, "not all of it was acknowledged before the deadline");
    else if (is_at_server(g))
        on_silence(g, now);
    else
        begin(g, now);
}

void nbj__ingest_close(nbj__ingest *g)
{
    if (g->state != NBJ__INGEST_ENDED)
        end_with(g, NBJ_E_CLOSED, "the client was closed");
}
