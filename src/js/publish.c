/* SPDX-License-Identifier: Apache-2.0 */
#include "js/publish.h"

#include "base/canary.h"
#include "base/text.h"
#include "wire/words.h"

#include <assert.h>

#define TOKEN_LEN 9u /* 'P' and 8 characters of 6 bits */
#define SLOT_BITS 20u
#define GENERATION_MASK ((1u << 28) - 1)
#define ID_CHARACTERS 8u /* behind the prefix: 2^48 messages */
#define RETRY_NS NBJ_MILLIS(250)
#define RETRIES 2u
#define STARTING_NS NBJ_SECONDS(5) /* after connecting, streams may still be on their way up */

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

static nbj__publish_entry *entry_at(const nbj__publisher *p, uint64_t n)
{
    return &p->ring[n & (p->opt.max_messages - 1)];
}

static void set_state(nbj__publisher *p, nbj__publish_entry *e, nbj__publish_state to)
{
    nbj__observe(p->observer, &nbj__publish_machine, (int)e->state, (int)to);
    e->state = to;
}

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;

    while (p < n && p < 1u << SLOT_BITS)
        p *= 2;
    return p;
}

nbj_status nbj__publisher_init(nbj__publisher *p, nbj__session *session, const nbj__publish_options *o,
                               const nbj__observer *observer)
{
    const nbj_allocator *alloc = nbj__session_alloc(session);

    *p = (nbj__publisher){ .session = session, .opt = *o, .observer = observer, .due = NBJ_TIME_NEVER };
    p->opt.max_messages = power_of_two(o->max_messages > 0 ? o->max_messages : 4096);
    if (p->opt.max_bytes == 0)
        p->opt.max_bytes = (size_t)NBJ_MIB(64);
    if (p->opt.resend_within_ns == 0)
        p->opt.resend_within_ns = NBJ_SECONDS(60);
    nbj__random_name(nbj__session_random(session), p->id_prefix, sizeof p->id_prefix - 1);
    nbj__buf_init(&p->frames, alloc, p->opt.max_bytes);
    p->ring = nbj__alloc0(alloc, p->opt.max_messages * sizeof *p->ring);
    return p->ring != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__publisher_free(nbj__publisher *p)
{
    if (p->session == NULL)
        return;
    nbj__buf_free(&p->frames);
    nbj__free(nbj__session_alloc(p->session), p->ring, p->opt.max_messages * sizeof *p->ring);
    *p = (nbj__publisher){ 0 };
}

size_t nbj__publisher_unfinished(const nbj__publisher *p)
{
    size_t n = 0;

    for (uint64_t i = p->head; i < p->tail; i++)
        n += entry_at(p, i)->state != NBJ__PUBLISH_DONE;
    return n;
}

/* --- sending --- */

static nbj_bytes frame_at(const nbj__publisher *p, size_t offset, const nbj__publish_entry *e)
{
    return nbj_view(nbj__buf_view(&p->frames).ptr + offset, e->frame_len);
}

static nbj_status transmit(nbj__publisher *p, nbj__publish_entry *e, size_t offset, nbj_time now)
{
    nbj_status st = nbj__session_send_frame(p->session, frame_at(p, offset, e), e->size);

    if (st != NBJ_OK)
        return st;
    if (e->sends++ == 0)
        e->first_sent = now;
    set_state(p, e, NBJ__PUBLISH_SENT);
    return NBJ_OK;
}

/* Transmissions that may have been stored: all but those that were refused. */
static uint32_t in_doubt(const nbj__publish_entry *e)
{
    return e->sends - e->refusals;
}

/* Whether |e| may be sent again: with an id, while the stream surely remembers it. */
static bool may_resend(const nbj__publisher *p, const nbj__publish_entry *e, nbj_time now)
{
    return in_doubt(e) == 0 || (e->has_id && nbj__time_since(e->first_sent, now) <= p->opt.resend_within_ns);
}

/* Why |e|, which waits, must not be sent (again); NBJ_OK: nothing is against it. */
static nbj_status obstacle(const nbj__publisher *p, const nbj__publish_entry *e, nbj_time now)
{
    const nbj__info *info = nbj__session_info(p->session);

    if (info != NULL && info->max_payload > 0 && e->size > (uint64_t)info->max_payload)
        return NBJ_E_TOO_LARGE; /* it was published while another server, or none, was there to ask */
    return may_resend(p, e, now) ? NBJ_OK : NBJ_E_DISCONNECTED;
}

void nbj__publisher_send(nbj__publisher *p, nbj_time now)
{
    while (p->cursor < p->tail) {
        nbj__publish_entry *e = entry_at(p, p->cursor);
        if (e->state == NBJ__PUBLISH_WAITING && obstacle(p, e, now) != NBJ_OK) {
            p->due = 0; /* on_time says so, and goes on */
            return;
        }
        if (e->state == NBJ__PUBLISH_WAITING && transmit(p, e, p->cursor_offset, now) != NBJ_OK)
            return; /* disconnected, or the outgoing buffer is full: WRITABLE will come */
        p->cursor_offset += e->frame_len;
        p->cursor++;
    }
}

static void reply_for(const nbj__publisher *p, uint64_t n, nbj_bytes inbox, nbj__text *out)
{
    char token[TOKEN_LEN];
    uint64_t slot = n & (p->opt.max_messages - 1);

    token[0] = 'P';
    nbj__token_write(token + 1, (uint64_t)p->ring[slot].generation << SLOT_BITS | slot, TOKEN_LEN - 1);
    nbj__text_add_bytes(out, inbox);
    nbj__text_add_bytes(out, nbj_view(token, sizeof token));
}

static void id_for(nbj__publisher *p, char *out)
{
    memcpy(out, p->id_prefix, sizeof p->id_prefix - 1);
    nbj__token_write(out + sizeof p->id_prefix - 1, ++p->last_id, ID_CHARACTERS);
}

#define HEADERS_MAX 64u

/* The caller's headers and the message id. */
static nbj_status with_id(nbj__outgoing *m, nbj_bytes id, nbj_header *headers)
{
    if (id.len == 0)
        return NBJ_OK;
    if (m->header_count + 1 > HEADERS_MAX)
        return NBJ_E_BAD_HEADER;
    if (m->header_count > 0)
        memcpy(headers + 1, m->headers, m->header_count * sizeof *headers);
    headers[0] = (nbj_header){ nbj_str("Nats-Msg-Id"), id };
    m->headers = headers;
    m->header_count++;
    return NBJ_OK;
}

static nbj_status append(nbj__publisher *p, const nbj__publish *m, const nbj__outgoing *msg, nbj_time now)
{
    nbj__publish_entry *e = entry_at(p, p->tail);
    size_t before = nbj__buf_len(&p->frames);
    uint32_t generation = e->generation;
    nbj_status st = nbj__emit_pub(&p->frames, msg);

    if (st != NBJ_OK)
        return st == NBJ_E_FULL && !nbj__publisher_is_idle(p) ? NBJ_E_WOULD_BLOCK : st;
    *e = (nbj__publish_entry){ .generation = generation,
                               .has_id = m->msg_id.len > 0 || !m->no_id,
                               .frame_len = nbj__buf_len(&p->frames) - before,
                               .size = nbj__outgoing_size(msg),
                               .deadline = m->deadline,
                               .user = m->user };
    set_state(p, e, NBJ__PUBLISH_WAITING);
    if (p->cursor == p->tail)
        p->cursor_offset = before;
    p->tail++;
    p->due = nbj__time_min(p->due, m->deadline);
    nbj__publisher_send(p, now);
    return NBJ_OK;
}

nbj_status nbj__publisher_publish(nbj__publisher *p, const nbj__publish *m, nbj_time now)
{
    nbj_bytes inbox;
    char reply[NBJ__INBOX_MAX + NBJ__INBOX_NAME + TOKEN_LEN + 4];
    nbj__text reply_text = nbj__text_into(reply, sizeof reply);
    char made_id[sizeof p->id_prefix - 1 + ID_CHARACTERS];
    nbj_header headers[HEADERS_MAX];
    nbj__outgoing msg = m->msg;
    nbj_bytes id = m->msg_id;

    if (p->tail - p->head == p->opt.max_messages)
        return NBJ_E_WOULD_BLOCK;
    nbj_status st = nbj__session_inbox(p->session, &inbox);
    if (st != NBJ_OK)
        return st;
    if (id.len == 0 && !m->no_id) {
        id_for(p, made_id);
        id = nbj_view(made_id, sizeof made_id);
    }
    st = with_id(&msg, id, headers);
    if (st != NBJ_OK)
        return st;
    reply_for(p, p->tail, inbox, &reply_text);
    msg.reply = nbj__text_view(&reply_text);
    st = nbj__session_check(p->session, &msg);
    return st == NBJ_OK ? append(p, m, &msg, now) : st;
}

/* --- outcomes --- */

/* Lets the ring's beginning move over what is done. */
static void move_head(nbj__publisher *p)
{
    while (p->head < p->tail && entry_at(p, p->head)->state == NBJ__PUBLISH_DONE) {
        nbj__publish_entry *e = entry_at(p, p->head);
        nbj__buf_consume(&p->frames, e->frame_len);
        if (p->head < p->cursor)
            p->cursor_offset -= e->frame_len;
        else
            p->cursor++; /* done before it was sent */
        p->head++;
    }
}

static void finish(nbj__publisher *p, nbj__publish_entry *e, nbj__publish_outcome outcome, nbj__publish_result *r)
{
    r->user = e->user;
    r->outcome = outcome;
    set_state(p, e, NBJ__PUBLISH_DONE);
    if (!NBJ__CANARY(JS_LATE_ACK))
        e->generation = (e->generation + 1) & GENERATION_MASK;
    move_head(p);
}

static void finish_unknown(nbj__publisher *p, nbj__publish_entry *e, nbj_status status, const char *text,
                           nbj__publish_result *r)
{
    bool may_be_stored = in_doubt(e) > 0;

    nbj__error_set(&r->error, status, text, may_be_stored ? ": it may or may not be stored" : ": it is not stored",
                   (char *)NULL);
    finish(p, e, may_be_stored ? NBJ__UNKNOWN : NBJ__REJECTED, r);
}

static nbj__publish_entry *find(const nbj__publisher *p, nbj_bytes token)
{
    uint64_t value = 0;

    if (token.len != TOKEN_LEN || token.ptr[0] != 'P' || !nbj__token_read(token.ptr + 1, TOKEN_LEN - 1, &value))
        return NULL;
    uint64_t slot = value & ((1u << SLOT_BITS) - 1);
    if (slot >= p->opt.max_messages)
        return NULL;
    nbj__publish_entry *e = &p->ring[slot];
    bool is_open = e->state == NBJ__PUBLISH_SENT || e->state == NBJ__PUBLISH_PAUSED || e->state == NBJ__PUBLISH_WAITING;
    return is_open && e->sends > 0 && e->generation == value >> SLOT_BITS ? e : NULL;
}

/* Whether an answer can only be that to the last transmission, or to one that was the last in doubt. */
static bool is_first_try(const nbj__publish_entry *e)
{
    return in_doubt(e) <= 1;
}

/* Nobody took it, or not now. True: it waits to be sent again. */
static bool pause(nbj__publisher *p, nbj__publish_entry *e, nbj_time now)
{
    bool patient = e->refusals < RETRIES || now < nbj__time_add(p->connected_at, STARTING_NS);

    if (!patient || nbj__time_add(now, RETRY_NS) >= e->deadline) /* the refusal says more than a timeout would */
        return false;
    e->refusals++;
    e->retry_at = nbj__time_add(now, RETRY_NS);
    p->due = nbj__time_min(p->due, e->retry_at);
    set_state(p, e, NBJ__PUBLISH_PAUSED);
    return true;
}

static bool on_refused(nbj__publisher *p, nbj__publish_entry *e, nbj_time now, nbj__publish_result *r)
{
    if (pause(p, e, now))
        return false;
    nbj__error_set(&r->error, NBJ_E_NO_STREAM, "no stream takes this subject, or it has no leader now; ",
                   "create the stream first (nbj_stream_ensure does)", (char *)NULL);
    finish(p, e, is_first_try(e) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
    return true;
}

bool nbj__publisher_on_reply(nbj__publisher *p, nbj_bytes token, const nbj_msg *msg, nbj_time now,
                             nbj__publish_result *r)
{
    nbj__publish_entry *e = find(p, token);

    *r = (nbj__publish_result){ 0 };
    if (e == NULL)
        return false;
    if (nbj__msg_is_no_responders(msg)) /* of an earlier transmission: it says nothing of the next */
        return e->state == NBJ__PUBLISH_SENT && on_refused(p, e, now, r);
    nbj_status st = nbj__pub_ack_parse(msg, &r->ack, &r->error);
    if (st == NBJ_E_JS_UNAVAILABLE && (e->state != NBJ__PUBLISH_SENT || pause(p, e, now)))
        return false;
    bool says_no = st != NBJ_OK && st != NBJ_E_BAD_REPLY && st != NBJ_E_NOMEM;
    if (st == NBJ_OK)
        finish(p, e, r->ack.duplicate && is_first_try(e) ? NBJ__DUPLICATE : NBJ__STORED, r);
    else /* a refusal of what was sent more than once says nothing of the first time */
        finish(p, e, says_no && is_first_try(e) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
    return true;
}

bool nbj__publisher_on_refused(nbj__publisher *p, nbj_bytes subject, nbj__publish_result *r)
{
    size_t offset = 0;

    *r = (nbj__publish_result){ 0 };
    for (uint64_t i = p->head; i < p->cursor; i++) {
        nbj__publish_entry *e = entry_at(p, i);
        nbj_bytes word[2]; /* the verb and the subject */
        bool found = e->state == NBJ__PUBLISH_SENT && nbj__split_blanks(frame_at(p, offset, e), word, 2) == 2 &&
                     nbj_bytes_equal(word[1], subject);
        offset += e->frame_len;
        if (!found)
            continue;
        nbj__error_set(&r->error, NBJ_E_PERMISSION_PUBLISH, nbj_strerror(NBJ_E_PERMISSION_PUBLISH), (char *)NULL);
        finish(p, e, is_first_try(e) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
        return true;
    }
    return false;
}

/* --- the connection --- */

void nbj__publisher_on_disconnected(nbj__publisher *p)
{
    for (uint64_t i = p->head; i < p->cursor; i++) {
        nbj__publish_entry *e = entry_at(p, i);
        if (NBJ__CANARY(JS_REORDER) && i == p->head && e->state == NBJ__PUBLISH_SENT)
            set_state(p, e, NBJ__PUBLISH_PAUSED);
        else if (e->state == NBJ__PUBLISH_SENT || e->state == NBJ__PUBLISH_PAUSED)
            set_state(p, e, NBJ__PUBLISH_WAITING);
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
        e->retry_at = nbj__time_add(now, RETRY_NS);
}

/* The time at which |e| wants to be looked at again. */
static nbj_time next_look(const nbj__publish_entry *e)
{
    return e->state == NBJ__PUBLISH_PAUSED ? nbj__time_min(e->deadline, e->retry_at) : e->deadline;
}

static const char lost_text[] = "the connection was lost before its acknowledgement came";

bool nbj__publisher_on_time(nbj__publisher *p, nbj_time now, nbj__publish_result *r)
{
    size_t offset = 0;
    nbj_time due = NBJ_TIME_NEVER;

    *r = (nbj__publish_result){ 0 };
    if (now < p->due)
        return false;
    for (uint64_t i = p->head; i < p->tail; i++) {
        nbj__publish_entry *e = entry_at(p, i);
        size_t len = e->frame_len;
        if (e->state == NBJ__PUBLISH_DONE) {
            offset += len;
            continue;
        }
        if (now >= e->deadline) {
            finish_unknown(p, e, NBJ_E_TIMEOUT, "no acknowledgement before the deadline", r);
            return true; /* |due| stays: the rest is looked at next */
        }
        nbj_status why = e->state == NBJ__PUBLISH_WAITING ? obstacle(p, e, now) : NBJ_OK;
        if (why != NBJ_OK) {
            finish_unknown(p, e, why, why == NBJ_E_TOO_LARGE ? nbj_strerror(why) : lost_text, r);
            return true;
        }
        if (e->state == NBJ__PUBLISH_PAUSED && now >= e->retry_at)
            resume(p, e, offset, now);
        due = nbj__time_min(due, next_look(e));
        offset += len;
    }
    p->due = due;
    nbj__publisher_send(p, now);
    return false;
}

bool nbj__publisher_abandon(nbj__publisher *p, nbj__publish_result *r)
{
    *r = (nbj__publish_result){ 0 };
    for (uint64_t i = p->head; i < p->tail; i++) {
        nbj__publish_entry *e = entry_at(p, i);
        if (e->state == NBJ__PUBLISH_DONE)
            continue;
        finish_unknown(p, e, NBJ_E_CLOSED, "the client was closed", r);
        return true;
    }
    return false;
}
