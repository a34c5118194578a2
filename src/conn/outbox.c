/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/outbox.h"

#include "base/canary.h"
#include "wire/words.h"

#include <assert.h>

#define CONTROL_ROOM (1u << 20) /* for SUB, UNSUB, PING and PONG when publishes have filled their share */
#define OWN_ROOM (1u << 18)     /* of that, for what keeps the connection alive or ends it */
#define LINE_REST 32u           /* verb, blanks, sizes and line ends of most publishes */

void nbj__outbox_init(nbj__outbox *o, const nbj_allocator *alloc, size_t limit)
{
    *o = (nbj__outbox){ .limit = limit };
    nbj__buf_init(&o->front, alloc, limit + CONTROL_ROOM);
    nbj__buf_init(&o->back, alloc, limit + CONTROL_ROOM);
}

void nbj__outbox_free(nbj__outbox *o)
{
    nbj__buf_free(&o->front);
    nbj__buf_free(&o->back);
    o->written = 0;
}

/* Octets of |m| as an operation, about. */
size_t nbj__outbox_size_of(const nbj__outgoing *m)
{
    return m->subject.len + m->reply.len + nbj__outgoing_size(m) + LINE_REST;
}

bool nbj__outbox_can_hold(const nbj__outbox *o, size_t len)
{
    return len <= o->limit;
}

nbj_status nbj__outbox_publish(nbj__outbox *o, const nbj__outgoing *m)
{
    return nbj__outbox_len(o) + nbj__outbox_size_of(m) > o->limit ? NBJ_E_FULL : nbj__emit_pub(&o->back, m);
}

nbj_status nbj__outbox_append(nbj__outbox *o, nbj_bytes frame)
{
    return nbj__outbox_len(o) + frame.len > o->limit ? NBJ_E_FULL : nbj__buf_append(&o->back, frame.ptr, frame.len);
}

bool nbj__outbox_has_control_room(const nbj__outbox *o)
{
    return nbj__buf_len(&o->back) <= o->limit + CONTROL_ROOM - OWN_ROOM;
}

nbj_bytes nbj__outbox_view(nbj__outbox *o)
{
    if (nbj__buf_len(&o->front) == 0) {
        nbj__buf empty = o->front;
        o->front = o->back;
        o->back = empty;
    }
    nbj_bytes all = nbj__buf_view(&o->front);
    return all.len > 0 ? nbj_view(all.ptr + o->written, all.len - o->written) : all;
}

void nbj__outbox_sent(nbj__outbox *o, size_t len)
{
    assert(len <= nbj__buf_len(&o->front) - o->written);
    o->written += len;
    if (o->written == nbj__buf_len(&o->front)) { /* the usual case costs no look at operations */
        nbj__buf_clear(&o->front);
        o->written = 0;
        return;
    }
}

/* Lets the front begin with the first operation of which not every octet was written. */
static void drop_written(nbj__outbox *o)
{
    while (o->written > 0) {
        bool is_pub = false;
        size_t op = nbj__emitted_len(nbj__buf_view(&o->front), &is_pub);
        assert(op > 0);
        if (op > o->written)
            return;
        nbj__buf_consume(&o->front, op);
        o->written -= op;
    }
}

void nbj__outbox_drop_begun(nbj__outbox *o)
{
    bool is_pub = false;

    drop_written(o);
    if (o->written > 0)
        nbj__buf_consume(&o->front, nbj__emitted_len(nbj__buf_view(&o->front), &is_pub));
    o->written = 0;
}

typedef bool keep_fn(nbj_bytes op, bool is_pub, const void *arg);

/* Keeps the operations of |b| that |keep| wants, moving them together. Returns how many went. */
static size_t filter_buf(nbj__buf *b, keep_fn *keep, const void *arg)
{
    size_t from = b->head;
    size_t to = from;
    size_t dropped = 0;

    while (from < b->tail) {
        bool is_pub = false;
        nbj_bytes rest = nbj_view(b->ptr + from, b->tail - from);
        size_t op = nbj__emitted_len(rest, &is_pub);
        assert(op > 0);
        if (keep(nbj_view(rest.ptr, op), is_pub, arg)) {
            memmove(b->ptr + to, rest.ptr, op);
            to += op;
        } else {
            dropped++;
        }
        from += op;
    }
    b->tail = to;
    if (b->head == b->tail)
        nbj__buf_clear(b);
    return dropped;
}

static size_t filter(nbj__outbox *o, keep_fn *keep, const void *arg)
{
    return filter_buf(&o->front, keep, arg) + filter_buf(&o->back, keep, arg);
}

/* The line of |op| without its CRLF. */
static nbj_bytes line_of(nbj_bytes op)
{
    return nbj_view(op.ptr, (size_t)((const uint8_t *)memchr(op.ptr, '\r', op.len) - op.ptr));
}

/* Whether the third word, the reply, is |inbox| with a token that is not of a request. */
static bool is_kept_elsewhere(nbj_bytes op, nbj_bytes inbox)
{
    nbj_bytes word[4];
    size_t n = nbj__split_blanks(line_of(op), word, 4);

    return n == 4 && word[2].len > inbox.len && memcmp(word[2].ptr, inbox.ptr, inbox.len) == 0 &&
           word[2].ptr[inbox.len] != 'R';
}

static bool survives_loss(nbj_bytes op, bool is_pub, const void *inbox)
{
    if (NBJ__CANARY(OUTBOX_DROPPED))
        return false;
    if (!is_pub)
        return NBJ__CANARY(CONTROL_KEPT);
    return !is_kept_elsewhere(op, *(const nbj_bytes *)inbox);
}

void nbj__outbox_rewind(nbj__outbox *o, nbj_bytes inbox)
{
    if (NBJ__CANARY(TORSO)) {
        size_t torso = o->written;
        o->written = 0;
        nbj__buf_consume(&o->front, torso);
        return;
    }
    drop_written(o);
    o->written = 0;
    filter(o, survives_loss, &inbox);
}

static bool fits(nbj_bytes op, bool is_pub, const void *max)
{
    size_t line = line_of(op).len + 2;

    return !is_pub || op.len - line - 2 <= *(const size_t *)max;
}

size_t nbj__outbox_drop_larger(nbj__outbox *o, size_t max)
{
    assert(o->written == 0);
    return filter(o, fits, &max);
}
