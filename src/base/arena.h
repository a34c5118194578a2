/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken piece by piece and given back as a whole. */
#ifndef NBJ_BASE_ARENA_H
#define NBJ_BASE_ARENA_H

#include "base/mem.h"

typedef struct nbj__arena {
    const nbj_allocator *alloc;
    struct nbj__arena_block *last; /* the one that pieces are taken from */
} nbj__arena;

void nbj__arena_init(nbj__arena *a, const nbj_allocator *alloc);
void nbj__arena_free(nbj__arena *a); /* a zeroed one too */

/* |size| octets, zeroed, for any type; NULL: no memory. */
void *nbj__arena_take(nbj__arena *a, size_t size);

#endif
