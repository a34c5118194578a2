/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from numbers to pointers: open addressing with linear probing, no tombstones. */
#ifndef NBJ_BASE_MAP_H
#define NBJ_BASE_MAP_H

#include "base/mem.h"

#include <nbj/status.h>

typedef struct nbj__map_slot {
    uint64_t key;
    void *value; /* NULL: free */
} nbj__map_slot;

typedef struct nbj__map {
    const nbj_allocator *alloc;
    nbj__map_slot *slots;
    size_t cap; /* 0 or a power of two; at most 3/4 of it is used */
    size_t used;
} nbj__map;

void nbj__map_init(nbj__map *m, const nbj_allocator *alloc);
void nbj__map_free(nbj__map *m); /* the table, not what its values point to */

/* Sets |key| to |value|, which is not NULL. NBJ_E_NOMEM leaves the table as it was. */
nbj_status nbj__map_set(nbj__map *m, uint64_t key, void *value);
void *nbj__map_get(const nbj__map *m, uint64_t key); /* NULL: not there */
void *nbj__map_take(nbj__map *m, uint64_t key);      /* removes; NULL: was not there */

#endif
