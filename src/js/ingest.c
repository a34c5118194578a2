/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ingest_int.h"

#include "base/text.h"
#include "js/gate.h"

#include <assert.h>

#define RETRY_NS NBJ_MILLIS(250)
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

void nbj__ingest_set_state(nbj__ingest *g, nbj__ingest_state to)
{
    nbj__observe(g->observer, &nbj__ingest_machine, (int)g->state, (int)to);
    g->state = to;
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
    nbj__ingest_set_state(g, NBJ__INGEST_IDLE);
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

void nbj__ingest_end(nbj__ingest *g)
{
    nbj__session_sub_clear(g->session, &g->sub);
    nbj__ingest_set_state(g, NBJ__INGEST_ENDED);
}

void nbj__ingest_end_with(nbj__ingest *g, nbj_status status, const char *text)
{
    nbj__error_set(&g->result.error, status, text,
                   nbj__ingest_window_is_empty(&g->window) ? "" : ": what is not known to be stored may or may not be",
                   (char *)NULL);
    nbj__ingest_end(g);
}

void nbj__ingest_end_without_stream(nbj__ingest *g)
{
    nbj__ingest_end_with(
        g, NBJ_E_NO_STREAM,
        "no stream takes this subject, or it has no leader now; create the stream first (nbj_stream_ensure does)");
}

/* --- reply subjects --- */

static uint64_t sequence_of(const nbj__ingest *g, uint64_t number)
{
    return number - g->base + 1;
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

void nbj__ingest_commit(nbj__ingest *g, nbj_time now)
{
    g->asks_to_commit = true;
    if (send_control(g, nbj__ingest_sent(g) + 1, OP_COMMIT) != NBJ_OK)
        return; /* WRITABLE, or the time, will come back to it */
    g->asks_to_commit = false;
    g->heard_at = now;
    nbj__ingest_set_state(g, NBJ__INGEST_COMMITTING);
}

/* A message that the present server cannot take: the bulk ends when it is known what is stored. */
static void fail_at_cursor(nbj__ingest *g, nbj_status status)
{
    g->result.message = g->window.cursor + 1;
    nbj__error_set(&g->result.error, status, nbj_strerror(status), (char *)NULL);
    g->is_failing = true;
}

/* Sends what may be sent, and the commit behind it. RUNNING. */
void nbj__ingest_pump(nbj__ingest *g, nbj_time now)
{
    nbj__ingest_window *w = &g->window;

    while (w->cursor < w->tail && nbj__ingest_sent(g) < g->allowed && !g->is_failing && !g->asks_to_commit) {
        nbj_status st = is_too_large(g) ? NBJ_E_TOO_LARGE : transmit(g);
        if (is_later(st) || st == NBJ_E_NOMEM)
            return;
        if (st != NBJ_OK)
            fail_at_cursor(g, st);
    }
    if (g->asks_to_commit || g->is_failing || (g->is_finishing && w->cursor == w->tail))
        nbj__ingest_commit(g, now);
}

static void wait_until(nbj__ingest *g, nbj_time when)
{
    if (g->state != NBJ__INGEST_WAITING)
        nbj__ingest_set_state(g, NBJ__INGEST_WAITING);
    g->retry_at = when;
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
        nbj__ingest_set_state(g, NBJ__INGEST_STARTING);
        g->heard_at = now;
    } else if (is_later(st) || st == NBJ_E_NOMEM) {
        wait_until(g, nbj__time_add(now, RETRY_NS));
    } else {
        fail_at_cursor(g, st);
        nbj__ingest_end(g);
    }
}

/* The server that we are connected to does not have it. */
static bool is_too_new(nbj__ingest *g)
{
    return nbj__session_phase(g->session) == NBJ__PHASE_READY &&
           nbj__gate_check_server(g->session, NBJ__FEATURE_FAST_INGEST, &g->result.error) != NBJ_OK;
}

/* What is next when no batch is under way. */
void nbj__ingest_begin(nbj__ingest *g, nbj_time now)
{
    bool is_empty = nbj__ingest_window_is_empty(&g->window);

    assert(!nbj__ingest_is_at_server(g));
    if (g->is_failing || (is_empty ? g->is_finishing : is_too_new(g))) {
        nbj__ingest_end(g);
    } else if (is_empty) {
        if (g->state != NBJ__INGEST_IDLE)
            nbj__ingest_set_state(g, NBJ__INGEST_IDLE);
    } else if (nbj__session_phase(g->session) != NBJ__PHASE_READY) {
        wait_until(g, NBJ_TIME_NEVER);
    } else {
        if (g->state != NBJ__INGEST_WAITING)
            nbj__ingest_set_state(g, NBJ__INGEST_WAITING);
        start(g, now);
    }
}

/* The batch is over, as it should be or not. */
void nbj__ingest_leave_batch(nbj__ingest *g)
{
    nbj__session_sub_clear(g->session, &g->sub);
    nbj__ingest_window_rewind(&g->window);
    nbj__ingest_set_state(g, NBJ__INGEST_WAITING);
}

/* The server gave the batch up, or cannot have it now: another one follows, after a pause. */
void nbj__ingest_begin_later(nbj__ingest *g, const nbj_error *why, nbj_time now)
{
    nbj__ingest_leave_batch(g);
    if (g->is_failing) {
        nbj__ingest_end(g);
        return;
    }
    g->result.restarts++;
    g->stuck_since = nbj__time_min(g->stuck_since, now);
    if (nbj__time_since(g->stuck_since, now) >= g->opt.patience_ns) {
        g->result.error = *why;
        nbj__ingest_end(g);
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
        nbj__ingest_commit(g, now);
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
    bool is_known = nbj__ingest_is_at_server(g); /* else it gets another reply when it is sent */
    uint64_t seq = is_known ? sequence_of(g, g->window.tail) : 1;
    with_reply.reply = reply_for(g, seq, seq == 1 ? OP_START : OP_APPEND, reply);
    nbj_status st = nbj__session_check(g->session, m);
    if (st == NBJ_OK)
        st = nbj__ingest_window_add(&g->window, &with_reply, is_known ? g->epoch : 0);
    if (st == NBJ_E_WOULD_BLOCK)
        make_room(g, now);
    else if (st == NBJ_OK && g->state == NBJ__INGEST_RUNNING)
        nbj__ingest_pump(g, now);
    else if (st == NBJ_OK && g->state == NBJ__INGEST_IDLE)
        nbj__ingest_begin(g, now);
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
        nbj__ingest_begin(g, now);
    else if (g->state == NBJ__INGEST_RUNNING)
        nbj__ingest_pump(g, now);
}

/* --- the connection and the time --- */

void nbj__ingest_on_disconnected(nbj__ingest *g)
{
    if (!nbj__ingest_is_at_server(g))
        return;
    nbj__ingest_leave_batch(g);
    g->stuck_since = NBJ_TIME_NEVER;
    if (!nbj__ingest_window_is_empty(&g->window))
        g->result.restarts++;
    nbj__ingest_begin(g, 0);
}

void nbj__ingest_on_connected(nbj__ingest *g, nbj_time now)
{
    if (g->state == NBJ__INGEST_WAITING)
        nbj__ingest_begin(g, now);
}

void nbj__ingest_on_writable(nbj__ingest *g, nbj_time now)
{
    if (g->state == NBJ__INGEST_RUNNING)
        nbj__ingest_pump(g, now);
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
    if (nbj__ingest_is_at_server(g))
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
            nbj__ingest_end_without_stream(g);
        else
            nbj__ingest_end_with(g, NBJ_E_TIMEOUT, text);
        return;
    }
    g->heard_at = now;
    if (g->state == NBJ__INGEST_COMMITTING)
        (void)send_control(g, nbj__ingest_sent(g) + 1, OP_COMMIT);
    else if (rests || g->asks_to_commit)
        nbj__ingest_commit(g, now);
    else
        (void)send_control(g, nbj__ingest_sent(g), OP_PING);
}

void nbj__ingest_on_time(nbj__ingest *g, nbj_time now)
{
    if (now < nbj__ingest_deadline(g))
        return;
    if (now >= g->finish_due)
        nbj__ingest_end_with(g, NBJ_E_TIMEOUT, "not all of it was acknowledged before the deadline");
    else if (nbj__ingest_is_at_server(g))
        on_silence(g, now);
    else
        nbj__ingest_begin(g, now);
}

void nbj__ingest_close(nbj__ingest *g)
{
    if (g->state != NBJ__INGEST_ENDED)
        nbj__ingest_end_with(g, NBJ_E_CLOSED, "the client was closed");
}
