/* SPDX-License-Identifier: Apache-2.0 */
/* A refcounted block of received octets. Messages are views into it, so it lives as long as the last of them; the count
 * may be changed from any thread. */
#ifndef NBJ_BASE_CHUNK_H
#define NBJ_BASE_CHUNK_H

#include "base/mem.h"

#include <stdatomic.h>

typedef struct nbj__chunk {
    const nbj_allocator *alloc;
    atomic_uint refs;
    size_t cap;
    struct nbj__chunk *under; /* what lies in this one points into that one, which it holds; NULL: none */
    uint8_t data[];
} nbj__chunk;

nbj__chunk *nbj__chunk_new(const nbj_allocator *alloc, size_t cap); /* one reference; NULL: no memory */

static inline nbj__chunk *nbj__chunk_retain(nbj__chunk *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void nbj__chunk_release(nbj__chunk *c); /* NULL is allowed */

/* Whether nobody else holds it: then its octets may be overwritten. */
static inline int nbj__chunk_is_ours(const nbj__chunk *c)
{
    return atomic_load_explicit(&c->refs, memory_order_acquire) == 1;
}

#endif
