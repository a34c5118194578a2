/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/queue.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>

#define COPY_MAX 8192u      /* larger messages hold the chunk they came in, of which they are a good part */
#define SEGMENT_FIRST 2048u /* of an empty queue: most of the time one message waits, if any */
#define SEGMENT 32768u

/* At the beginning of its chunk's octets; the queue has one reference to the chunk. */
struct nbj__segment {
    nbj__segment *next;
    nbj__chunk *chunk;
    nbj_msg *first, *last;
    size_t used; /* octets of |chunk|, these included */
};

static_assert(offsetof(nbj__chunk, data) % alignof(nbj_msg) == 0, "messages live in chunks");
static_assert(sizeof(nbj__segment) % alignof(nbj_msg) == 0, "messages follow the segment");

static size_t rounded(size_t n)
{
    return (n + alignof(nbj_msg) - 1) / alignof(nbj_msg) * alignof(nbj_msg);
}

/* Octets from the subject's first to the payload's last: in the order in which they arrived, with little in between.
 * 0: they do not lie so. */
static size_t span(const nbj_msg *m)
{
    bool is_one_piece = m->subject.ptr != NULL && m->payload.ptr >= m->subject.ptr;

    return is_one_piece ? (size_t)(m->payload.ptr + m->payload.len - m->subject.ptr) : 0;
}

static size_t sum(const nbj_msg *m)
{
    return m->subject.len + m->reply.len + m->headers.len + m->payload.len;
}

static nbj__segment *new_segment(const nbj_allocator *alloc, size_t room)
{
    nbj__chunk *c = nbj__chunk_new(alloc, sizeof(nbj__segment) + room);

    if (c == NULL)
        return NULL;
    nbj__segment *s = (nbj__segment *)(void *)c->data;
    *s = (nbj__segment){ .chunk = c, .used = sizeof *s };
    return s;
}

static void link_segment(nbj__queue *q, nbj__segment *s)
{
    if (q->last != NULL)
        q->last->next = s;
    else
        q->first = s;
    q->last = s;
}

/* A segment with room for |need| more octets. */
static nbj__segment *segment_for(nbj__queue *q, const nbj_allocator *alloc, size_t need)
{
    nbj__segment *s = q->last;

    if (s != NULL && s->chunk->under == NULL && s->chunk->cap - s->used >= need)
        return s;
    size_t usual = (s == NULL ? SEGMENT_FIRST : SEGMENT) - sizeof *s;
    s = new_segment(alloc, need > usual ? need : usual);
    if (s != NULL)
        link_segment(q, s);
    return s;
}

/* Room for |octets| behind it. */
static inline nbj_msg *add(nbj__segment *s, const nbj_msg *m, size_t octets)
{
    nbj_msg *kept = (nbj_msg *)(void *)(s->chunk->data + s->used);

    *kept = *m;
    kept->chunk = s->chunk;
    kept->next = NULL;
    kept->is_kept = true;
    s->used += rounded(sizeof *kept + octets);
    if (s->last != NULL)
        s->last->next = kept;
    else
        s->first = kept;
    s->last = kept;
    return kept;
}

static nbj_bytes copy_part(uint8_t **at, nbj_bytes from)
{
    nbj_bytes copy = nbj_view(*at, from.len);

    if (from.len > 0)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

static void copy_parts(nbj_msg *kept)
{
    uint8_t *at = (uint8_t *)(kept + 1);

    kept->subject = copy_part(&at, kept->subject);
    kept->reply = copy_part(&at, kept->reply);
    kept->headers = copy_part(&at, kept->headers);
    kept->payload = copy_part(&at, kept->payload);
}

static const uint8_t *moved(nbj_bytes part, const uint8_t *from, const uint8_t *to)
{
    return part.len > 0 ? to + (part.ptr - from) : NULL;
}

static void copy_span(nbj_msg *kept, size_t len)
{
    const uint8_t *from = kept->subject.ptr;
    uint8_t *to = (uint8_t *)(kept + 1);

    memcpy(to, from, len);
    kept->subject.ptr = to;
    kept->reply.ptr = moved(kept->reply, from, to);
    kept->headers.ptr = moved(kept->headers, from, to);
    kept->payload.ptr = to + (kept->payload.ptr - from);
}

/* |len|: of |m|'s span. */
static inline void add_copy(nbj__segment *s, const nbj_msg *m, size_t len)
{
    nbj_msg *kept = add(s, m, len > 0 ? len : sum(m));

    if (len > 0)
        copy_span(kept, len);
    else
        copy_parts(kept);
}

/* A segment of its own for |m|, which is large: it holds on to the chunk that the octets lie in. */
static nbj__segment *segment_of_large(const nbj_msg *m)
{
    nbj__segment *s = new_segment(m->chunk->alloc, rounded(sizeof *m));

    if (s == NULL)
        return NULL;
    s->chunk->under = nbj__chunk_retain(m->chunk);
    add(s, m, 0);
    return s;
}

static bool is_large(const nbj_msg *m)
{
    return nbj__msg_size(m) > COPY_MAX;
}

static nbj__segment *segment_of_one(const nbj_msg *m)
{
    if (is_large(m))
        return segment_of_large(m);
    size_t len = span(m);
    nbj__segment *s = new_segment(m->chunk->alloc, rounded(sizeof *m + (len > 0 ? len : sum(m))));
    if (s != NULL)
        add_copy(s, m, len);
    return s;
}

nbj_msg *nbj__msg_keep(const nbj_msg *m)
{
    nbj__segment *s = segment_of_one(m);

    return s != NULL ? s->first : NULL;
}

nbj_status nbj__queue_push(nbj__queue *q, const nbj_msg *m)
{
    if (is_large(m)) {
        nbj__segment *s = segment_of_large(m);
        if (s == NULL)
            return NBJ_E_NOMEM;
        link_segment(q, s);
        return NBJ_OK;
    }
    size_t len = span(m);
    nbj__segment *s = segment_for(q, m->chunk->alloc, rounded(sizeof *m + (len > 0 ? len : sum(m))));
    if (s == NULL)
        return NBJ_E_NOMEM;
    add_copy(s, m, len);
    return NBJ_OK;
}

nbj__segment *nbj__queue_take_segment(nbj__queue *q)
{
    nbj__segment *s = q->first;

    if (s == NULL)
        return NULL;
    q->first = s->next;
    if (q->first == NULL)
        q->last = NULL;
    return s;
}

nbj_msg *nbj__queue_take(nbj__queue *q)
{
    nbj__segment *s = q->first;

    if (s == NULL)
        return NULL;
    nbj_msg *m = s->first;
    s->first = m->next;
    m->next = NULL;
    if (s->first == NULL)
        (void)nbj__queue_take_segment(q); /* its reference goes with its last message */
    else
        nbj__chunk_retain(s->chunk);
    return m;
}

const nbj_msg *nbj__segment_first(const nbj__segment *s)
{
    return s->first;
}

void nbj__segment_free(nbj__segment *s)
{
    nbj__chunk_release(s->chunk);
}

void nbj__queue_clear(nbj__queue *q)
{
    nbj__segment *s;

    while ((s = nbj__queue_take_segment(q)) != NULL)
        nbj__segment_free(s);
}
