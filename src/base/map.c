/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <assert.h>

#define FIRST_CAP 16u

void nbj__map_init(nbj__map *m, const nbj_allocator *alloc)
{
    *m = (nbj__map){ .alloc = alloc };
}

void nbj__map_free(nbj__map *m)
{
    if (m->slots != NULL)
        nbj__free(m->alloc, m->slots, m->cap * sizeof *m->slots);
    m->slots = NULL;
    m->cap = m->used = 0;
}

static size_t home(const nbj__map *m, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (m->cap - 1); /* Fibonacci hashing */
}

/* The slot that holds |key|, or the free one where it belongs. The table is never full. */
static nbj__map_slot *find(const nbj__map *m, uint64_t key)
{
    size_t i = home(m, key);

    while (m->slots[i].value != NULL && m->slots[i].key != key)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static nbj_status grow(nbj__map *m)
{
    nbj__map old = *m;
    size_t cap = old.cap > 0 ? old.cap * 2 : FIRST_CAP;
    nbj__map_slot *slots = nbj__alloc0(m->alloc, cap * sizeof *slots);

    if (slots == NULL)
        return NBJ_E_NOMEM;
    m->slots = slots;
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value != NULL)
            *find(m, old.slots[i].key) = old.slots[i];
    }
    nbj__map_free(&old);
    return NBJ_OK;
}

nbj_status nbj__map_set(nbj__map *m, uint64_t key, void *value)
{
    assert(value != NULL);
    if (m->used + 1 > m->cap / 4 * 3) {
        nbj_status st = grow(m);
        if (st != NBJ_OK)
            return st;
    }
    nbj__map_slot *slot = find(m, key);
    if (slot->value == NULL)
        m->used++;
    *slot = (nbj__map_slot){ key, value };
    return NBJ_OK;
}

void *nbj__map_get(const nbj__map *m, uint64_t key)
{
    return m->used > 0 ? find(m, key)->value : NULL;
}

void *nbj__map_take(nbj__map *m, uint64_t key)
{
    if (m->used == 0)
        return NULL;
    nbj__map_slot *slot = find(m, key);
    void *value = slot->value;
    if (value == NULL)
        return NULL;
    m->used--;
    size_t hole = (size_t)(slot - m->slots);
    for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].value != NULL; i = (i + 1) & (m->cap - 1)) {
        size_t distance = (i - home(m, m->slots[i].key)) & (m->cap - 1);
        if (distance >= ((i - hole) & (m->cap - 1))) { /* it may not stand before its home */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].value = NULL;
    return value;
}
