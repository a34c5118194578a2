/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>

#define BLOCK 1024u

typedef struct nbj__arena_block {
    struct nbj__arena_block *before;
    size_t size; /* with this head */
    size_t used;
} block;

static size_t round_up(size_t size)
{
    size_t align = alignof(max_align_t);

    return (size + align - 1) / align * align;
}

void nbj__arena_init(nbj__arena *a, const nbj_allocator *alloc)
{
    *a = (nbj__arena){ .alloc = alloc };
}

void nbj__arena_free(nbj__arena *a)
{
    while (a->last != NULL) {
        block *b = a->last;
        a->last = b->before;
        nbj__free(a->alloc, b, b->size);
    }
}

void *nbj__arena_take(nbj__arena *a, size_t size)
{
    block *b = a->last;
    size_t head = round_up(sizeof *b);

    if (size > SIZE_MAX / 2)
        return NULL;
    size = round_up(size);
    if (b == NULL || b->size - b->used < size) {
        size_t whole = head + (size > BLOCK ? size : BLOCK);
        b = nbj__alloc0(a->alloc, whole);
        if (b == NULL)
            return NULL;
        b->before = a->last;
        b->size = whole;
        b->used = head;
        a->last = b;
    }
    b->used += size;
    return (unsigned char *)b + b->used - size;
}
