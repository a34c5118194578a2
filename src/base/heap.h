/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in order: a binary heap of timers that live in their owners' structs. */
#ifndef NBJ_BASE_HEAP_H
#define NBJ_BASE_HEAP_H

#include "base/mem.h"
#include "base/time.h"

#include <nbj/status.h>

typedef struct nbj__timer {
    nbj_time due;
    size_t place; /* 1-based index in the heap; 0: not set */
} nbj__timer;

typedef struct nbj__heap {
    const nbj_allocator *alloc;
    nbj__timer **items;
    size_t len, cap;
} nbj__heap;

void nbj__heap_init(nbj__heap *h, const nbj_allocator *alloc);
void nbj__heap_free(nbj__heap *h); /* the timers in it are their owners' */

/* Sets |t| to |due|, moving it if it is set. NBJ_TIME_NEVER takes it out. NBJ_E_NOMEM leaves it as it was. */
nbj_status nbj__heap_set(nbj__heap *h, nbj__timer *t, nbj_time due);
void nbj__heap_remove(nbj__heap *h, nbj__timer *t); /* nothing happens when it is not set */

/* The earliest deadline, or NBJ_TIME_NEVER. */
nbj_time nbj__heap_deadline(const nbj__heap *h);

/* Takes out the earliest timer that is due at |now|; NULL when none is. */
nbj__timer *nbj__heap_pop_due(nbj__heap *h, nbj_time now);

#endif
