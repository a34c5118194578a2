/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>

void nbj__heap_init(nbj__heap *h, const nbj_allocator *alloc)
{
    *h = (nbj__heap){ .alloc = alloc };
}

void nbj__heap_free(nbj__heap *h)
{
    if (h->items != NULL)
        nbj__free(h->alloc, h->items, h->cap * sizeof(nbj__timer *));
    h->items = NULL;
    h->len = h->cap = 0;
}

static void put(nbj__heap *h, size_t i, nbj__timer *t)
{
    h->items[i] = t;
    t->place = i + 1;
}

static void sift_up(nbj__heap *h, size_t i, nbj__timer *t)
{
    while (i > 0 && h->items[(i - 1) / 2]->due > t->due) {
        put(h, i, h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, t);
}

static void sift_down(nbj__heap *h, size_t i, nbj__timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->len)
            break;
        if (child + 1 < h->len && h->items[child + 1]->due < h->items[child]->due)
            child++;
        if (t->due <= h->items[child]->due)
            break;
        put(h, i, h->items[child]);
        i = child;
    }
    put(h, i, t);
}

static nbj_status make_room(nbj__heap *h)
{
    if (h->len < h->cap)
        return NBJ_OK;
    size_t cap = h->cap > 0 ? h->cap * 2 : 16;
    nbj__timer **items = nbj__realloc(h->alloc, h->items, h->cap * sizeof(nbj__timer *), cap * sizeof(nbj__timer *));
    if (items == NULL)
        return NBJ_E_NOMEM;
    h->items = items;
    h->cap = cap;
    return NBJ_OK;
}

nbj_status nbj__heap_set(nbj__heap *h, nbj__timer *t, nbj_time due)
{
    if (due == NBJ_TIME_NEVER) {
        nbj__heap_remove(h, t);
        t->due = due;
        return NBJ_OK;
    }
    if (t->place == 0) {
        nbj_status st = make_room(h);
        if (st != NBJ_OK)
            return st;
        t->due = due;
        h->len++;
        sift_up(h, h->len - 1, t);
        return NBJ_OK;
    }
    nbj_time before = t->due;
    t->due = due;
    if (due < before)
        sift_up(h, t->place - 1, t);
    else
        sift_down(h, t->place - 1, t);
    return NBJ_OK;
}

void nbj__heap_remove(nbj__heap *h, nbj__timer *t)
{
    if (t->place == 0)
        return;
    size_t i = t->place - 1;
    assert(i < h->len && h->items[i] == t);
    nbj__timer *last = h->items[--h->len];
    t->place = 0;
    if (last == t)
        return;
    if (i > 0 && h->items[(i - 1) / 2]->due > last->due)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

nbj_time nbj__heap_deadline(const nbj__heap *h)
{
    return h->len > 0 ? h->items[0]->due : NBJ_TIME_NEVER;
}

nbj__timer *nbj__heap_pop_due(nbj__heap *h, nbj_time now)
{
    if (h->len == 0 || h->items[0]->due > now)
        return NULL;
    nbj__timer *t = h->items[0];
    nbj__heap_remove(h, t);
    return t;
}
