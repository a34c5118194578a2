/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>

#define BLOCK 1024u

struct nbj__arena_block {
    alignas(max_align_t) struct nbj__arena_block *before;
    size_t size; /* with this head */
    size_t used;
};

void nbj__arena_init(nbj__arena *a, const nbj_allocator *alloc)
{
    *a = (nbj__arena){ .alloc = alloc };
}

void nbj__arena_free(nbj__arena *a)
{
    while (a->last != NULL) {
        struct nbj__arena_block *b = a->last;
        a->last = b->before;
        nbj__free(a->alloc, b, b->size);
    }
}

void *nbj__arena_take(nbj__arena *a, size_t size)
{
    struct nbj__arena_block *b = a->last;
    size_t align = alignof(max_align_t);

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    if (b == NULL || b->size - b->used < size) {
        size_t whole = sizeof *b + (size > BLOCK ? size : BLOCK);
        b = nbj__alloc0(a->alloc, whole);
        if (b == NULL)
            return NULL;
        *b = (struct nbj__arena_block){ .before = a->last, .size = whole, .used = sizeof *b };
        a->last = b;
    }
    b->used += size;
    return (unsigned char *)b + b->used - size;
}
