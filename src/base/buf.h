/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of octets: appended at the back, taken from the front. Grows by doubling up to a limit that has to be
 * named, and gives memory back when it has been emptied after growing large. */
#ifndef NBJ_BASE_BUF_H
#define NBJ_BASE_BUF_H

#include "base/mem.h"

#include <nbj/status.h>
#include <stdbool.h>

typedef struct nbj__buf {
    const nbj_allocator *alloc;
    uint8_t *ptr;
    size_t head; /* first octet in use */
    size_t tail; /* one past the last octet in use; head <= tail <= cap */
    size_t cap;
    size_t limit;   /* most octets in use at once */
    uint32_t quiet; /* how often in a row it was emptied with little in it */
    bool secret;    /* octets are overwritten when they are taken, and all memory before it is given back */
} nbj__buf;

void nbj__buf_init(nbj__buf *b, const nbj_allocator *alloc, size_t limit);
void nbj__buf_free(nbj__buf *b); /* a zeroed one too */

static inline size_t nbj__buf_len(const nbj__buf *b)
{
    return b->tail - b->head;
}

static inline nbj_bytes nbj__buf_view(const nbj__buf *b)
{
    return nbj_view(b->ptr != NULL ? b->ptr + b->head : NULL, b->tail - b->head);
}

/* Room for |len| more octets in a row, at *|at|; nothing is in use yet. NBJ_E_FULL: over the limit; NBJ_E_NOMEM. */
nbj_status nbj__buf_reserve(nbj__buf *b, size_t len, uint8_t **at);

/* The first |len| of the octets reserved last are now in use. */
static inline void nbj__buf_commit(nbj__buf *b, size_t len)
{
    b->tail += len;
}

nbj_status nbj__buf_append(nbj__buf *b, const void *ptr, size_t len);
void nbj__buf_consume(nbj__buf *b, size_t len); /* takes |len| octets, all in use, from the front */
void nbj__buf_clear(nbj__buf *b);

#endif
