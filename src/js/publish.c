/* SPDX-License-Identifier: Apache-2.0 */
/* The window: what is in it, and sending it. */
#include "js/publish_int.h"

#include "base/canary.h"
#include "base/text.h"
#include "wire/headers.h"

#define ID_CHARACTERS 8u /* behind the prefix: 2^48 messages */
#define RETRY_NS NBJ_MILLIS(250)
#define RETRIES 2u
#define FRAME_MORE 160u /* of a frame, besides subject, headers and payload: reply, made id, numbers */

static const nbj__transition transitions[] = {
    { 0, NBJ__PUBLISH_WAITING },
    { NBJ__PUBLISH_WAITING, NBJ__PUBLISH_SENT },
    { NBJ__PUBLISH_WAITING, NBJ__PUBLISH_DONE },
    { NBJ__PUBLISH_SENT, NBJ__PUBLISH_WAITING },
    { NBJ__PUBLISH_SENT, NBJ__PUBLISH_PAUSED },
    { NBJ__PUBLISH_SENT, NBJ__PUBLISH_DONE },
    { NBJ__PUBLISH_PAUSED, NBJ__PUBLISH_SENT },
    { NBJ__PUBLISH_PAUSED, NBJ__PUBLISH_WAITING },
    { NBJ__PUBLISH_PAUSED, NBJ__PUBLISH_DONE },
};
const nbj__machine nbj__publish_machine = { "publish", transitions, sizeof transitions / sizeof transitions[0] };

static uint64_t power_of_two(uint64_t n)
{
    uint64_t p = 1;

    while (p < n)
        p *= 2;
    return p;
}

static size_t ring_size(const nbj__publisher *p)
{
    return (size_t)(p->mask + 1) * sizeof *p->ring;
}

nbj_status nbj__publisher_init(nbj__publisher *p, nbj__session *session, const nbj__publish_options *o,
                               const nbj__observer *observer)
{
    const nbj_allocator *alloc = nbj__session_alloc(session);

    *p = (nbj__publisher){ .session = session, .opt = *o, .observer = observer, .due = NBJ_TIME_NEVER };
    if (p->opt.max_messages == 0)
        p->opt.max_messages = 4096;
    if (p->opt.max_messages > 1u << NBJ__PUBLISH_SLOT_BITS)
        p->opt.max_messages = 1u << NBJ__PUBLISH_SLOT_BITS;
    p->mask = power_of_two(p->opt.max_messages) - 1;
    p->streams.alloc = alloc;
    if (p->opt.max_bytes == 0)
        p->opt.max_bytes = (size_t)NBJ_MIB(64);
    nbj__random_name(nbj__session_random(session), p->id_prefix, sizeof p->id_prefix - 1);
    nbj__buf_init(&p->frames, alloc, p->opt.max_bytes);
    p->ring = nbj__alloc0(alloc, ring_size(p));
    return p->ring != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__publisher_free(nbj__publisher *p)
{
    if (p->session == NULL)
        return;
    nbj__buf_free(&p->frames);
    nbj__free(nbj__session_alloc(p->session), p->ring, ring_size(p));
    nbj__publish_streams_free(&p->streams);
    *p = (nbj__publisher){ 0 };
}

bool nbj__publisher_next(const nbj__publisher *p, nbj__publish_place *at)
{
    if (at->entry == NULL) {
        at->n = p->head;
    } else {
        at->n++;
        at->offset += at->entry->frame_len;
    }
    for (; at->n < p->tail; at->n++) {
        at->entry = nbj__publish_entry_at(p, at->n);
        if (at->entry->state != NBJ__PUBLISH_DONE)
            return true;
        at->offset += at->entry->frame_len;
    }
    return false;
}

nbj_bytes nbj__publisher_subject(const nbj__publisher *p, const nbj__publish_place *at)
{
    return nbj__publish_subject(p, at->offset, at->entry);
}

nbj_status nbj__publisher_resume(nbj__publisher *p)
{
    if (p->ordered_open > 0)
        return NBJ_E_STATE;
    p->is_stopped = false;
    return NBJ_OK;
}

/* --- sending --- */

static nbj_status transmit(nbj__publisher *p, nbj__publish_entry *e, size_t offset, nbj_time now)
{
    nbj_status st = nbj__session_send_frame(p->session, nbj__publish_frame(p, offset, e), e->size);

    if (st != NBJ_OK)
        return st;
    if (e->sends++ == 0)
        e->first_sent = now;
    nbj__publish_set_state(p, e, NBJ__PUBLISH_SENT);
    return NBJ_OK;
}

/* Whether |e| may be sent again: with an id, while the stream surely remembers it. */
static bool may_resend(const nbj__publisher *p, const nbj__publish_entry *e, size_t offset, nbj_time now)
{
    uint64_t within = p->opt.resend_within_ns;

    if (nbj__publish_in_doubt(e) == 0)
        return true;
    if (!e->has_id)
        return NBJ__CANARY(JS_RESENT_WITHOUT_ID);
    if (within == 0)
        within = nbj__publish_streams_window(&p->streams, nbj__publish_subject(p, offset, e)) / 2;
    return NBJ__CANARY(JS_LATE_RESEND) || nbj__time_since(e->first_sent, now) <= within;
}

static nbj_status check_version(const nbj__publish_entry *e, const nbj__info *info, nbj_error *error)
{
    nbj__js_where where = { .version = nbj__version_parse(info->version) };

    return nbj__gate_check(&where, (nbj__feature)e->feature, error);
}

/* Why message |n|, which waits or is paused, must not be sent (again); NBJ_OK: nothing is against it. */
static nbj_status obstacle(const nbj__publisher *p, uint64_t n, size_t offset, nbj_time now)
{
    const nbj__publish_entry *e = nbj__publish_entry_at(p, n);
    const nbj__info *info = nbj__session_info(p->session);

    if (info != NULL && info->max_payload > 0 && e->size > (uint64_t)info->max_payload)
        return NBJ_E_TOO_LARGE; /* it was published while another server, or none, was there to ask */
    if (info != NULL && e->feature != 0 && check_version(e, info, NULL) != NBJ_OK)
        return NBJ_E_UNSUPPORTED; /* likewise */
    if (nbj__publish_is_cut_off(p, e, n) || nbj__publish_is_overtaken(p, e, n))
        return NBJ_E_ORDER;
    if (e->hopeless)
        return NBJ_E_NO_STREAM;
    return may_resend(p, e, offset, now) ? NBJ_OK : NBJ_E_DISCONNECTED;
}

void nbj__publisher_send(nbj__publisher *p, nbj_time now)
{
    while (p->cursor < p->tail) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, p->cursor);
        if (e->state == NBJ__PUBLISH_WAITING) {
            if (obstacle(p, p->cursor, p->cursor_offset, now) != NBJ_OK) {
                p->due = 0; /* on_time says so, and goes on */
                return;
            }
            if (e->ordered && p->ordered_paused > 0 && !NBJ__CANARY(JS_ORDER_OVERTAKES))
                return; /* on_time goes on behind them */
            if (transmit(p, e, p->cursor_offset, now) != NBJ_OK)
                return; /* disconnected, or the outgoing buffer is full: WRITABLE will come */
        }
        p->cursor_offset += e->frame_len;
        p->cursor++;
    }
}

/* --- publishing --- */

/* The last token of the reply subject of message |n|. */
static nbj_bytes token_for(const nbj__publisher *p, uint64_t n, char token[NBJ__PUBLISH_TOKEN])
{
    uint64_t slot = n & p->mask;

    token[0] = 'P';
    nbj__token_write(token + 1, (uint64_t)p->ring[slot].generation << NBJ__PUBLISH_SLOT_BITS | slot,
                     NBJ__PUBLISH_TOKEN - 1);
    return nbj_view(token, NBJ__PUBLISH_TOKEN);
}

#define MADE_ID (sizeof((nbj__publisher *)0)->id_prefix - 1 + ID_CHARACTERS)

static nbj_bytes id_for(nbj__publisher *p, char out[MADE_ID])
{
    memcpy(out, p->id_prefix, sizeof p->id_prefix - 1);
    nbj__token_write(out + sizeof p->id_prefix - 1, ++p->last_id, ID_CHARACTERS);
    return nbj_view(out, MADE_ID);
}

#define HEADERS_MAX 64u /* the id's and the caller's */
#define MORE_MAX 16u    /* the options' */
#define ID_NAME "Nats-Msg-Id"

static bool has_own_id(const nbj__outgoing *m)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (nbj_bytes_equal(m->headers[i].name, nbj_view(ID_NAME, sizeof ID_NAME - 1)))
            return true;
    }
    return false;
}

/* The message id, the options' headers and the caller's. */
static nbj_status with_headers(nbj__outgoing *m, nbj_bytes id, const nbj__publish *p, nbj_header *headers)
{
    size_t n = 0;

    if (id.len == 0 && p->more_count == 0)
        return NBJ_OK;
    if (m->header_count + 1 > HEADERS_MAX || p->more_count > MORE_MAX)
        return NBJ_E_BAD_HEADER;
    if (id.len > 0)
        headers[n++] = (nbj_header){ nbj_view(ID_NAME, sizeof ID_NAME - 1), id };
    for (size_t i = 0; i < p->more_count; i++)
        headers[n++] = p->more[i];
    if (m->header_count > 0)
        memcpy(headers + n, m->headers, m->header_count * sizeof *headers);
    m->headers = headers;
    m->header_count += n;
    return NBJ_OK;
}

static uint32_t retries_of(uint32_t wanted)
{
    return wanted == 0 ? RETRIES : wanted == NBJ_RETRIES_NONE ? 0 : wanted;
}

/* What came of writing the next message's frame to the end of |frames|, which was at |before|; |size| of its octets are
 * headers and payload. */
static nbj_status append(nbj__publisher *p, const nbj__publish *m, nbj_status st, size_t before, size_t size,
                         bool has_id, nbj_time now)
{
    nbj__publish_entry *e = nbj__publish_entry_at(p, p->tail);
    uint32_t generation = e->generation;

    if (st != NBJ_OK)
        return st == NBJ_E_FULL && !nbj__publisher_is_idle(p) ? NBJ_E_WOULD_BLOCK : st;
    *e = (nbj__publish_entry){ .generation = generation,
                               .retries = retries_of(m->retries),
                               .feature = m->feature,
                               .has_id = has_id,
                               .ordered = m->ordered,
                               .counts = m->counts,
                               .frame_len = nbj__buf_len(&p->frames) - before,
                               .size = size,
                               .deadline = m->deadline,
                               .retry_ns = m->retry_ns > 0 ? m->retry_ns : RETRY_NS,
                               .user = m->user };
    nbj__publish_set_state(p, e, NBJ__PUBLISH_WAITING);
    if (p->cursor == p->tail)
        p->cursor_offset = before;
    p->tail++;
    p->open++;
    p->ordered_open += m->ordered;
    p->due = nbj__time_min(p->due, m->deadline);
    nbj__publisher_send(p, now);
    return NBJ_OK;
}

/* Whether there is room for |m|, beside the outcomes that nobody was told of. What is said here of octets is not exact:
 * nbj__emit_pub's limit is the last word, but does not know of those. */
static nbj_status check_room(const nbj__publisher *p, const nbj__publish *m, size_t size)
{
    size_t messages = (size_t)(p->tail - p->head);
    size_t bytes = nbj__buf_len(&p->frames);

    if (messages >= p->opt.max_messages && !(NBJ__CANARY(JS_WINDOW_TOO_WIDE) && messages <= p->mask))
        return NBJ_E_WOULD_BLOCK;
    if (m->no_tell || p->told_messages == 0)
        return NBJ_OK;
    if (messages + p->told_messages >= p->opt.max_messages)
        return NBJ_E_WOULD_BLOCK;
    return bytes + p->told_bytes + m->msg.subject.len + size + FRAME_MORE > p->opt.max_bytes ? NBJ_E_WOULD_BLOCK
                                                                                             : NBJ_OK;
}

/* A message with no header but an id, to the subject of the last one: that was checked. */
static nbj_status publish_usual(nbj__publisher *p, const nbj__publish *m, nbj_time now)
{
    char token[NBJ__PUBLISH_TOKEN];
    char made_id[MADE_ID];
    size_t before = nbj__buf_len(&p->frames);
    nbj_bytes id = m->msg_id;

    if (id.len > 0 && !nbj__header_value_is_legal(id))
        return NBJ_E_BAD_HEADER;
    if (id.len == 0 && !m->no_id)
        id = id_for(p, made_id);
    size_t size = nbj__template_size(id, m->msg.payload);
    nbj_status st = nbj__session_check_size(p->session, m->msg.subject.len + size + FRAME_MORE, size, id.len > 0);
    if (st != NBJ_OK)
        return st;
    st = nbj__template_emit(&p->usual, &p->frames, token_for(p, p->tail, token), id, m->msg.payload);
    return append(p, m, st, before, size, id.len > 0, now);
}

/* Any message. */
static nbj_status publish_any(nbj__publisher *p, const nbj__publish *m, nbj_bytes inbox, nbj_time now)
{
    char reply[NBJ__INBOX_MAX + NBJ__INBOX_NAME + NBJ__PUBLISH_TOKEN + 4];
    nbj__text reply_text = nbj__text_into(reply, sizeof reply);
    char token[NBJ__PUBLISH_TOKEN];
    char made_id[MADE_ID];
    nbj_header headers[HEADERS_MAX + MORE_MAX];
    nbj__outgoing msg = m->msg;
    nbj_bytes id = m->msg_id;
    size_t before = nbj__buf_len(&p->frames);
    bool has_own = msg.header_count > 0 && has_own_id(&msg);

    if (has_own && id.len > 0)
        return NBJ_E_BAD_HEADER;
    if (id.len == 0 && !has_own && !m->no_id)
        id = id_for(p, made_id);
    nbj_status st = with_headers(&msg, id, m, headers);
    if (st != NBJ_OK)
        return st;
    nbj__text_add_bytes(&reply_text, inbox);
    nbj__text_add_bytes(&reply_text, token_for(p, p->tail, token));
    msg.reply = nbj__text_view(&reply_text);
    st = nbj__session_check(p->session, &msg);
    if (st != NBJ_OK)
        return st;
    nbj__template_set(&p->usual, m->msg.subject, inbox);
    return append(p, m, nbj__emit_pub(&p->frames, &msg), before, nbj__outgoing_size(&msg), id.len > 0 || has_own, now);
}

nbj_status nbj__publisher_publish(nbj__publisher *p, const nbj__publish *m, nbj_time now)
{
    bool has_headers = m->msg.header_count > 0 || m->more_count > 0;
    nbj_bytes inbox;

    if (m->ordered && p->is_stopped)
        return NBJ_E_ORDER;
    nbj_status st = check_room(p, m, nbj__outgoing_size(&m->msg));
    if (st == NBJ_OK)
        st = nbj__session_inbox(p->session, &inbox);
    if (st != NBJ_OK)
        return st;
    bool is_usual = !has_headers && nbj__template_is_for(&p->usual, m->msg.subject);
    return is_usual ? publish_usual(p, m, now) : publish_any(p, m, inbox, now);
}

/* --- the connection --- */

/* Ordered messages that were refused, with one behind them that may be stored. */
static void mark_overtaken(nbj__publisher *p)
{
    bool may_be_stored = false;

    for (uint64_t i = p->cursor; i > p->head; i--) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, i - 1);
        if (!e->ordered || e->state == NBJ__PUBLISH_DONE)
            continue;
        if (nbj__publish_in_doubt(e) > 0)
            may_be_stored = true;
        else if (may_be_stored)
            e->overtaken = true;
    }
}

void nbj__publisher_on_disconnected(nbj__publisher *p)
{
    if (p->ordered_open > 0)
        mark_overtaken(p);
    for (uint64_t i = p->head; i < p->cursor; i++) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, i);
        e->hopeless = false; /* the next server may know better */
        if (NBJ__CANARY(JS_REORDER) && i == p->head && e->state == NBJ__PUBLISH_SENT)
            nbj__publish_set_state(p, e, NBJ__PUBLISH_PAUSED);
        else if (e->state == NBJ__PUBLISH_SENT || e->state == NBJ__PUBLISH_PAUSED)
            nbj__publish_set_state(p, e, NBJ__PUBLISH_WAITING);
    }
    if (NBJ__CANARY(JS_FORGOTTEN))
        return;
    p->cursor = p->head;
    p->cursor_offset = 0;
    p->due = 0; /* what may not be sent again has its outcome now */
}

void nbj__publisher_on_connected(nbj__publisher *p, nbj_time now)
{
    p->connected_at = now;
    nbj__publisher_send(p, now);
}

/* --- time --- */

nbj_time nbj__publisher_deadline(const nbj__publisher *p)
{
    return p->head == p->tail ? NBJ_TIME_NEVER : p->due;
}

static void resume(nbj__publisher *p, nbj__publish_entry *e, size_t offset, nbj_time now)
{
    if (transmit(p, e, offset, now) != NBJ_OK)
        e->retry_at = nbj__time_add(now, e->retry_ns);
}

static void end_for(nbj__publisher *p, uint64_t n, nbj_status why, nbj__publish_result *r)
{
    const nbj__publish_entry *e = nbj__publish_entry_at(p, n);
    const char *text = nbj_strerror(why);
    nbj_error unsupported;

    if (why == NBJ_E_UNSUPPORTED && check_version(e, nbj__session_info(p->session), &unsupported) != NBJ_OK)
        text = unsupported.text;
    else if (why == NBJ_E_DISCONNECTED)
        text = "the connection was lost before its acknowledgement came";
    else if (why == NBJ_E_NO_STREAM)
        text = "no stream takes this subject; create the stream first (nbj_stream_ensure does)";
    else if (why == NBJ_E_ORDER && nbj__publish_is_overtaken(p, e, n))
        text = "it would have to be sent again, and an ordered message behind it is stored already";
    nbj__publish_give_up(p, n, why, text, r);
}

bool nbj__publisher_on_time(nbj__publisher *p, nbj_time now, nbj__publish_result *r)
{
    nbj_time due = NBJ_TIME_NEVER;
    bool is_held = false; /* an ordered message is paused */
    size_t sent = 0;      /* ordered ones so far */

    if (now < p->due)
        return false;
    for (nbj__publish_place at = { 0 }; nbj__publisher_next(p, &at);) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, at.n);
        if (now >= e->deadline) {
            nbj__publish_give_up(p, at.n, NBJ_E_TIMEOUT, "no acknowledgement before the deadline", r);
            return true; /* |due| stays: the rest is looked at next */
        }
        nbj_status why = e->state != NBJ__PUBLISH_SENT ? obstacle(p, at.n, at.offset, now) : NBJ_OK;
        if (why != NBJ_OK) {
            end_for(p, at.n, why, r);
            return true;
        }
        due = nbj__time_min(due, e->deadline);
        if (e->state == NBJ__PUBLISH_PAUSED && e->ordered)
            is_held = is_held || p->ordered_sent > sent; /* what is answered last decides */
        if (e->state == NBJ__PUBLISH_PAUSED && now >= e->retry_at && !(e->ordered && is_held))
            resume(p, e, at.offset, now);
        sent += e->ordered && e->state == NBJ__PUBLISH_SENT;
        if (e->state != NBJ__PUBLISH_PAUSED || (e->ordered && is_held))
            continue;
        due = nbj__time_min(due, e->retry_at);
        is_held = is_held || e->ordered;
    }
    p->due = due;
    nbj__publisher_send(p, now);
    return false;
}
