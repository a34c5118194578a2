/* SPDX-License-Identifier: Apache-2.0 */
#include "js/batch.h"

#include "base/text.h"

#include <assert.h>

#define TOKEN_LEN 9u /* 'B' and 8 characters of 6 bits */
#define MEMBER_BITS 20u
#define NUMBER_MASK ((1u << 28) - 1)
#define RETRY_NS NBJ_MILLIS(250)
#define RETRIES 8u
#define AHEAD_BYTES ((size_t)NBJ_MIB(4)) /* sent and not answered: a server drops what its queue has no room for */

static const nbj__transition transitions[] = {
    { 0, NBJ__BATCH_BUILDING },
    { NBJ__BATCH_BUILDING, NBJ__BATCH_WAITING },
    { NBJ__BATCH_WAITING, NBJ__BATCH_OPENING },
    { NBJ__BATCH_WAITING, NBJ__BATCH_COMMITTING },
    { NBJ__BATCH_WAITING, NBJ__BATCH_DONE },
    { NBJ__BATCH_OPENING, NBJ__BATCH_SENDING },
    { NBJ__BATCH_OPENING, NBJ__BATCH_WAITING },
    { NBJ__BATCH_OPENING, NBJ__BATCH_DONE },
    { NBJ__BATCH_SENDING, NBJ__BATCH_COMMITTING },
    { NBJ__BATCH_SENDING, NBJ__BATCH_WAITING },
    { NBJ__BATCH_SENDING, NBJ__BATCH_DONE },
    { NBJ__BATCH_COMMITTING, NBJ__BATCH_WAITING },
    { NBJ__BATCH_COMMITTING, NBJ__BATCH_DONE },
};
const nbj__machine nbj__batch_machine = { "batch", transitions, sizeof transitions / sizeof transitions[0] };

/* One block: the struct, its headers with room for ours in front, and the octets that its views point to. */
struct nbj__batch_member {
    size_t block;
    size_t size; /* as a server counts it, about */
    nbj__outgoing msg;
    nbj_header headers[];
};

static void set_state(nbj__batch *b, nbj__batch_state to)
{
    nbj__observe(b->observer, &nbj__batch_machine, (int)b->state, (int)to);
    b->state = to;
}

void nbj__batch_init(nbj__batch *b, nbj__session *session, size_t max_bytes, uint32_t *numbers,
                     const nbj__observer *observer)
{
    *b = (nbj__batch){ .session = session,
                       .observer = observer,
                       .numbers = numbers,
                       .feature = NBJ__FEATURE_ATOMIC_BATCH,
                       .max_bytes = max_bytes > 0 ? max_bytes : (size_t)NBJ_MIB(64),
                       .deadline = NBJ_TIME_NEVER,
                       .retry_at = NBJ_TIME_NEVER };
    nbj__buf_init(&b->frame, nbj__session_alloc(session),
                  SIZE_MAX / 4); /* of one message, which the session has checked */
    set_state(b, NBJ__BATCH_BUILDING);
}

static void drop_members(nbj__batch *b)
{
    const nbj_allocator *alloc = nbj__session_alloc(b->session);

    for (size_t i = 0; i < b->count; i++)
        nbj__free(alloc, b->members[i], b->members[i]->block);
    nbj__free(alloc, b->members, b->cap * sizeof(nbj__batch_member *));
    b->members = NULL;
    b->count = b->cap = 0;
    nbj__buf_free(&b->frame);
}

void nbj__batch_free(nbj__batch *b)
{
    if (b->session == NULL)
        return;
    drop_members(b);
    *b = (nbj__batch){ 0 };
}

/* --- building --- */

static nbj_bytes copy(uint8_t **to, nbj_bytes from)
{
    nbj_bytes there = nbj_view(*to, from.len);

    if (from.len > 0)
        memcpy(*to, from.ptr, from.len);
    *to += from.len;
    return there;
}

/* A copy of |m|, its headers behind the places of ours. NULL: no memory. */
static nbj__batch_member *copy_member(const nbj_allocator *alloc, const nbj__outgoing *m)
{
    size_t places = m->header_count + NBJ__BATCH_OWN_HEADERS;
    size_t size = nbj__outgoing_size(m) + m->subject.len;
    size_t block = sizeof(nbj__batch_member) + places * sizeof(nbj_header) + size;
    nbj__batch_member *member = nbj__alloc(alloc, block);

    if (member == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)(member->headers + places);
    *member = (nbj__batch_member){ .block = block, .size = size };
    member->msg.subject = copy(&at, m->subject);
    for (size_t i = 0; i < m->header_count; i++) {
        nbj_header *h = &member->headers[NBJ__BATCH_OWN_HEADERS + i];
        h->name = copy(&at, m->headers[i].name);
        h->value = copy(&at, m->headers[i].value);
    }
    member->msg.header_count = m->header_count;
    member->msg.payload = copy(&at, m->payload);
    return member;
}

static nbj_status need_place(nbj__batch *b)
{
    size_t cap = b->cap > 0 ? b->cap * 2 : 16;

    if (b->count < b->cap)
        return NBJ_OK;
    if (b->count == 1u << MEMBER_BITS)
        return NBJ_E_FULL;
    nbj__batch_member **more =
        nbj__realloc(nbj__session_alloc(b->session), b->members, b->cap * sizeof(void *), cap * sizeof(void *));
    if (more == NULL)
        return NBJ_E_NOMEM;
    b->members = more;
    b->cap = cap;
    return NBJ_OK;
}

nbj_status nbj__batch_add(nbj__batch *b, const nbj__outgoing *m)
{
    if (b->state != NBJ__BATCH_BUILDING)
        return NBJ_E_STATE;
    nbj_status st = nbj__session_check(b->session, m);
    if (st == NBJ_OK)
        st = need_place(b);
    if (st != NBJ_OK)
        return st;
    nbj__batch_member *member = copy_member(nbj__session_alloc(b->session), m);
    if (member == NULL)
        return NBJ_E_NOMEM;
    if (member->block > b->max_bytes - b->bytes) {
        nbj__free(nbj__session_alloc(b->session), member, member->block);
        return NBJ_E_FULL;
    }
    b->bytes += member->block;
    b->members[b->count++] = member;
    return NBJ_OK;
}

/* --- the end --- */

static void finish(nbj__batch *b, nbj__publish_outcome outcome)
{
    b->result.outcome = outcome;
    drop_members(b);
    set_state(b, NBJ__BATCH_DONE);
}

/* It ends without an answer that says how. */
static void finish_unanswered(nbj__batch *b, nbj_status status, const char *text)
{
    bool may_be_stored = b->state == NBJ__BATCH_COMMITTING;

    nbj__error_set(&b->result.error, status, text, may_be_stored ? ": the batch may or may not be stored" : "",
                   may_be_stored ? "" : ": nothing of the batch is stored", (char *)NULL);
    finish(b, may_be_stored ? NBJ__UNKNOWN : NBJ__REJECTED);
}

static void reject(nbj__batch *b, size_t member, const nbj_error *why)
{
    b->result.member = member;
    b->result.error = *why;
    finish(b, NBJ__REJECTED);
}

/* A server that does not know batches took a member for an ordinary message. */
static void finish_single(nbj__batch *b, size_t member, const nbj__batch_reply *r)
{
    char number[24], sequence[24], needs[16];
    nbj__text n = nbj__text_into(number, sizeof number);
    nbj__text s = nbj__text_into(sequence, sizeof sequence);

    nbj__text_add_u64(&n, member);
    nbj__text_add_u64(&s, r->ack.sequence);
    nbj__gate_version(NBJ__FEATURE_ATOMIC_BATCH, needs);
    nbj__error_set(&b->result.error, NBJ_E_UNSUPPORTED, "the server that has stream ", r->ack.stream,
                   " does not know atomic batches, which need nats-server ", needs, ": it stored message ", number,
                   " by itself, as sequence ", sequence, ", and nothing else of the batch", (char *)NULL);
    b->result.ack = r->ack;
    b->result.member = member;
    finish(b, NBJ__REJECTED);
}

/* --- sending --- */

static void token_of(const nbj__batch *b, size_t index, char out[TOKEN_LEN])
{
    out[0] = 'B';
    nbj__token_write(out + 1, (uint64_t)b->number << MEMBER_BITS | index, TOKEN_LEN - 1);
}

/* Member |index| with our headers; |sequence| is storage. */
static nbj__outgoing as_message(nbj__batch *b, size_t index, nbj__text *sequence)
{
    nbj__batch_member *member = b->members[index];
    bool commits = index + 1 == b->count;
    size_t own = commits ? 3 : 2;
    nbj_header *h = member->headers + NBJ__BATCH_OWN_HEADERS - own;
    nbj__outgoing m = member->msg;

    nbj__text_add_u64(sequence, index + 1);
    m.headers = h;
    m.header_count += own;
    if (commits)
        *h++ = (nbj_header){ nbj_str("Nats-Batch-Commit"), nbj_str("1") };
    h[0] = (nbj_header){ nbj_str("Nats-Batch-Id"), nbj_view(b->id, sizeof b->id) };
    h[1] = (nbj_header){ nbj_str("Nats-Batch-Sequence"), nbj__text_view(sequence) };
    return m;
}

/* Sends member |index|. NBJ_E_FULL and NBJ_E_WOULD_BLOCK: WRITABLE will come. */
static nbj_status transmit(nbj__batch *b, size_t index)
{
    nbj_bytes inbox;
    char token[TOKEN_LEN];
    char reply[NBJ__INBOX_MAX + NBJ__INBOX_NAME + TOKEN_LEN + 4];
    char digits[24];
    nbj__text text = nbj__text_into(reply, sizeof reply);
    nbj__text sequence = nbj__text_into(digits, sizeof digits);

    nbj_status st = nbj__session_inbox(b->session, &inbox);
    if (st != NBJ_OK)
        return st;
    token_of(b, index, token);
    nbj__text_add_bytes(&text, inbox);
    nbj__text_add_bytes(&text, nbj_view(token, sizeof token));
    nbj__outgoing m = as_message(b, index, &sequence);
    m.reply = nbj__text_view(&text);
    st = nbj__session_check(b->session, &m); /* anew: by what the present server takes */
    nbj__buf_clear(&b->frame);
    if (st == NBJ_OK)
        st = nbj__emit_pub(&b->frame, &m);
    if (st == NBJ_OK)
        st = nbj__session_send_frame(b->session, nbj__buf_view(&b->frame), nbj__outgoing_size(&m));
    return st;
}

static bool is_later(nbj_status st)
{
    return st == NBJ_E_FULL || st == NBJ_E_WOULD_BLOCK || st == NBJ_E_DISCONNECTED;
}

/* Sends the next member. False: not now, or never. */
static bool send_next(nbj__batch *b)
{
    nbj_error why;
    nbj_status st = transmit(b, b->sent);

    if (is_later(st))
        return false;
    if (st != NBJ_OK) {
        nbj__error_set(&why, st, nbj_strerror(st), (char *)NULL);
        reject(b, b->sent + 1, &why);
        return false;
    }
    b->in_flight += b->members[b->sent]->size;
    b->sent++;
    return true;
}

/* The last one only when the server has all others: what goes wrong before it leaves no doubt. */
static bool may_send(const nbj__batch *b)
{
    bool all_answered = b->sent == b->answered;

    return b->sent + 1 < b->count ? b->in_flight < AHEAD_BYTES || all_answered : all_answered;
}

static void send_others(nbj__batch *b)
{
    while (b->state == NBJ__BATCH_SENDING && may_send(b)) {
        if (!send_next(b))
            return;
        if (b->sent == b->count)
            set_state(b, NBJ__BATCH_COMMITTING);
    }
}

/* Begins, if there is a connection. */
static void begin(nbj__batch *b, nbj_time now)
{
    nbj_error why;

    assert(b->state == NBJ__BATCH_WAITING);
    b->retry_at = NBJ_TIME_NEVER;
    if (nbj__session_phase(b->session) != NBJ__PHASE_READY)
        return;
    if (nbj__gate_check_server(b->session, b->feature, &why) != NBJ_OK) {
        reject(b, 0, &why);
        return;
    }
    nbj__random_name(nbj__session_random(b->session), b->id, sizeof b->id);
    b->number = ++*b->numbers & NUMBER_MASK;
    b->sent = b->answered = b->in_flight = 0;
    if (send_next(b))
        set_state(b, b->count == 1 ? NBJ__BATCH_COMMITTING : NBJ__BATCH_OPENING);
    else if (b->state == NBJ__BATCH_WAITING)
        b->retry_at = nbj__time_add(now, RETRY_NS);
}

nbj_status nbj__batch_commit(nbj__batch *b, nbj_time deadline, nbj_time now)
{
    if (b->state != NBJ__BATCH_BUILDING)
        return NBJ_E_STATE;
    if (b->count == 0)
        return NBJ_E_INVALID;
    b->deadline = deadline;
    set_state(b, NBJ__BATCH_WAITING);
    begin(b, now);
    return NBJ_OK;
}

/* --- answers --- */

/* Refused so that it is certainly not stored, for a reason that passes. False: it does not seem to. */
static bool begin_later(nbj__batch *b, nbj_time now)
{
    if (b->refusals == RETRIES || nbj__time_add(now, RETRY_NS) >= b->deadline)
        return false;
    b->refusals++;
    set_state(b, NBJ__BATCH_WAITING);
    b->retry_at = nbj__time_add(now, RETRY_NS);
    return true;
}

#define INCOMPLETE 10176 /* given up by the server, as after a change of leader */

static void on_refusal(nbj__batch *b, size_t member, const nbj__batch_reply *r, nbj_time now)
{
    bool passes = r->error.status == NBJ_E_JS_UNAVAILABLE || r->error.err_code == INCOMPLETE;

    if (!passes || !begin_later(b, now))
        reject(b, member, &r->error);
}

static void on_nobody(nbj__batch *b, size_t member, nbj_time now)
{
    nbj_error why;

    if (begin_later(b, now))
        return;
    nbj__error_set(&why, NBJ_E_NO_STREAM, "no stream takes this subject, or it has no leader now; ",
                   "create the stream first (nbj_stream_ensure does)", (char *)NULL);
    reject(b, member, &why);
}

static void on_stored(nbj__batch *b, size_t member, const nbj__batch_reply *r)
{
    bool is_all = member == b->count && (b->count == 1 || r->is_whole);

    if (!is_all) {
        finish_single(b, member, r);
        return;
    }
    b->result.ack = r->ack;
    b->result.count = b->count;
    finish(b, NBJ__STORED);
}

static void on_staged(nbj__batch *b, size_t member)
{
    if (member == b->count) /* an empty answer to the commit says nothing */
        return;
    for (; b->answered < member; b->answered++)
        b->in_flight -= b->members[b->answered]->size;
    if (b->state == NBJ__BATCH_OPENING)
        set_state(b, NBJ__BATCH_SENDING);
    send_others(b);
}

static void on_unreadable(nbj__batch *b, size_t member, const nbj__batch_reply *r)
{
    if (member < b->count)
        reject(b, member, &r->error);
    else
        finish_unanswered(b, r->error.status, r->error.text);
}

static bool is_at_server(const nbj__batch *b)
{
    return b->state == NBJ__BATCH_OPENING || b->state == NBJ__BATCH_SENDING || b->state == NBJ__BATCH_COMMITTING;
}

bool nbj__batch_on_reply(nbj__batch *b, nbj_bytes token, const nbj_msg *msg, nbj_time now)
{
    uint64_t value = 0;
    nbj__batch_reply r;

    if (!is_at_server(b) || token.len != TOKEN_LEN || token.ptr[0] != 'B' ||
        !nbj__token_read(token.ptr + 1, TOKEN_LEN - 1, &value) || value >> MEMBER_BITS != b->number)
        return false;
    size_t member = (size_t)(value & ((1u << MEMBER_BITS) - 1)) + 1;
    if (member > b->sent)
        return true; /* nobody asked yet */
    nbj__batch_reply_read(msg, nbj_view(b->id, sizeof b->id), &r);
    switch (r.answer) {
    case NBJ__BATCH_STAGED:
        on_staged(b, member);
        break;
    case NBJ__BATCH_STORED:
        on_stored(b, member, &r);
        break;
    case NBJ__BATCH_REFUSED:
        on_refusal(b, member, &r, now);
        break;
    case NBJ__BATCH_NOBODY:
        on_nobody(b, member, now);
        break;
    case NBJ__BATCH_ACK: /* of the other kind of batch */
    case NBJ__BATCH_GAP:
    case NBJ__BATCH_ERR:
        nbj__error_set(&r.error, NBJ_E_BAD_REPLY, "an answer of JetStream could not be read", (char *)NULL);
        on_unreadable(b, member, &r);
        break;
    case NBJ__BATCH_UNREADABLE:
        on_unreadable(b, member, &r);
        break;
    }
    return true;
}

void nbj__batch_on_refused(nbj__batch *b, nbj_bytes subject)
{
    nbj_error why;

    for (size_t i = b->answered; is_at_server(b) && i < b->sent; i++) {
        if (!nbj_bytes_equal(b->members[i]->msg.subject, subject))
            continue;
        nbj__error_set(&why, NBJ_E_PERMISSION_PUBLISH, nbj_strerror(NBJ_E_PERMISSION_PUBLISH), (char *)NULL);
        reject(b, i + 1, &why); /* the stream never got it, so it cannot have the batch */
    }
}

/* --- the connection and the time --- */

void nbj__batch_on_disconnected(nbj__batch *b)
{
    if (b->state == NBJ__BATCH_COMMITTING) {
        finish_unanswered(b, NBJ_E_DISCONNECTED, "the connection was lost before the commit was answered");
    } else if (is_at_server(b)) {
        set_state(b, NBJ__BATCH_WAITING);
        b->retry_at = NBJ_TIME_NEVER;
    }
}

void nbj__batch_on_connected(nbj__batch *b, nbj_time now)
{
    if (b->state == NBJ__BATCH_WAITING)
        begin(b, now);
}

void nbj__batch_on_writable(nbj__batch *b)
{
    send_others(b);
}

nbj_time nbj__batch_deadline(const nbj__batch *b)
{
    if (b->state == NBJ__BATCH_BUILDING || b->state == NBJ__BATCH_DONE)
        return NBJ_TIME_NEVER;
    return b->state == NBJ__BATCH_WAITING ? nbj__time_min(b->deadline, b->retry_at) : b->deadline;
}

void nbj__batch_on_time(nbj__batch *b, nbj_time now)
{
    if (now < nbj__batch_deadline(b))
        return;
    if (now >= b->deadline)
        finish_unanswered(b, NBJ_E_TIMEOUT, "no answer before the deadline");
    else
        begin(b, now);
}

void nbj__batch_close(nbj__batch *b)
{
    if (b->state != NBJ__BATCH_BUILDING && b->state != NBJ__BATCH_DONE)
        finish_unanswered(b, NBJ_E_CLOSED, "the client was closed");
}
