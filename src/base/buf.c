/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>

#define FIRST_CAP 4096u
#define KEEP_CAP 262144u /* an emptied buffer keeps at most this … */
#define QUIET 8u         /* … when it was emptied so often in a row without a good part of it having been needed */

void nbj__buf_init(nbj__buf *b, const nbj_allocator *alloc, size_t limit)
{
    assert(limit > 0 && limit <= SIZE_MAX / 4);
    *b = (nbj__buf){ .alloc = alloc, .limit = limit };
}

static void give_back(nbj__buf *b)
{
    if (b->ptr == NULL)
        return;
    if (b->secret)
        nbj__wipe(b->ptr, b->cap);
    nbj__free(b->alloc, b->ptr, b->cap);
}

void nbj__buf_free(nbj__buf *b)
{
    give_back(b);
    b->ptr = NULL;
    b->head = b->tail = b->cap = 0;
}

static void slide_to_front(nbj__buf *b)
{
    if (b->head == 0)
        return;
    memmove(b->ptr, b->ptr + b->head, b->tail - b->head);
    b->tail -= b->head;
    if (b->secret)
        memset(b->ptr + b->tail, 0, b->head);
    b->head = 0;
}

/* Like realloc, which would leave a copy behind. */
static uint8_t *move_secret(nbj__buf *b, size_t cap)
{
    uint8_t *p = nbj__alloc(b->alloc, cap);

    if (p == NULL)
        return NULL;
    if (b->tail > 0)
        memcpy(p, b->ptr, b->tail);
    give_back(b);
    return p;
}

static nbj_status grow(nbj__buf *b, size_t need)
{
    size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;

    while (cap < need)
        cap *= 2;
    if (cap > 2 * b->limit) /* with so much the octets in use can always slide */
        cap = 2 * b->limit;
    uint8_t *p = b->secret ? move_secret(b, cap) : nbj__realloc(b->alloc, b->ptr, b->cap, cap);
    if (p == NULL)
        return NBJ_E_NOMEM;
    b->ptr = p;
    b->cap = cap;
    return NBJ_OK;
}

nbj_status nbj__buf_reserve(nbj__buf *b, size_t len, uint8_t **at)
{
    size_t used = b->tail - b->head;

    if (len > b->limit || used > b->limit - len)
        return NBJ_E_FULL;
    if (len > b->cap - b->tail) {
        if (b->head >= b->cap / 2)
            slide_to_front(b); /* moves at most as much as was taken since: linear over the buffer's life */
        if (len > b->cap - b->tail) {
            nbj_status st = grow(b, b->tail + len);
            if (st != NBJ_OK)
                return st;
        }
    }
    *at = b->ptr + b->tail;
    return NBJ_OK;
}

nbj_status nbj__buf_append(nbj__buf *b, const void *ptr, size_t len)
{
    uint8_t *at = NULL;

    if (len == 0)
        return NBJ_OK;
    nbj_status st = nbj__buf_reserve(b, len, &at);
    if (st != NBJ_OK)
        return st;
    memcpy(at, ptr, len);
    b->tail += len;
    return NBJ_OK;
}

void nbj__buf_consume(nbj__buf *b, size_t len)
{
    assert(len <= b->tail - b->head);
    if (b->secret && len > 0)
        memset(b->ptr + b->head, 0, len);
    b->head += len;
    if (b->head < b->tail)
        return;
    b->quiet = b->tail > b->cap / 4 ? 0 : b->quiet + 1; /* busy times go on; what a burst took goes back after them */
    b->head = b->tail = 0;
    if (b->cap > KEEP_CAP && b->quiet >= QUIET)
        nbj__buf_free(b);
}

void nbj__buf_clear(nbj__buf *b)
{
    nbj__buf_consume(b, b->tail - b->head);
}
