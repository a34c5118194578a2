/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static void *std_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *std_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    return realloc(ptr, new_size);
}

static void std_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)size;
    free(ptr);
}

const nbj_allocator nbj__malloc_allocator = { std_alloc, std_realloc, std_free, NULL };

const nbj_allocator *nbj__allocator_or_default(const nbj_allocator *a)
{
    return a != NULL ? a : &nbj__malloc_allocator;
}

void *nbj__alloc(const nbj_allocator *a, size_t size)
{
    assert(size > 0);
    return a->alloc(a->ctx, size);
}

void *nbj__alloc0(const nbj_allocator *a, size_t size)
{
    void *p = nbj__alloc(a, size);

    return p != NULL ? memset(p, 0, size) : NULL;
}

void *nbj__realloc(const nbj_allocator *a, void *ptr, size_t old_size, size_t new_size)
{
    assert(new_size > 0);
    return ptr == NULL ? a->alloc(a->ctx, new_size) : a->realloc(a->ctx, ptr, old_size, new_size);
}

void nbj__free(const nbj_allocator *a, void *ptr, size_t size)
{
    if (ptr != NULL)
        a->free(a->ctx, ptr, size);
}

void nbj__wipe(void *ptr, size_t size)
{
    memset(ptr, 0, size);
    __asm__ volatile("" : : "r"(ptr) : "memory"); /* somebody may look */
}

char *nbj__copy_text(const nbj_allocator *a, nbj_bytes text)
{
    char *copy = nbj__alloc(a, text.len + 1);

    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

void nbj__free_text(const nbj_allocator *a, char *text)
{
    if (text != NULL)
        nbj__free(a, text, strlen(text) + 1);
}

void nbj__wipe_text(const nbj_allocator *a, char *text)
{
    if (text == NULL)
        return;
    size_t len = strlen(text);
    nbj__wipe(text, len);
    nbj__free(a, text, len + 1);
}
