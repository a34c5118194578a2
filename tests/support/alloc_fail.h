/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator that counts, checks and fails on demand, and the sweep that fails each allocation of a scenario in turn. */
#ifndef NBJ_TEST_ALLOC_FAIL_H
#define NBJ_TEST_ALLOC_FAIL_H

#include <nbj/alloc.h>
#include <nbj/status.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_NEVER_FAIL SIZE_MAX

typedef struct ts_alloc {
    nbj_allocator allocator; /* what the code under test gets; may be used from several threads */
    pthread_mutex_t lock;
    size_t fail_at;  /* number (from 0) of the allocation to fail */
    bool fail_after; /* all later ones fail too */
    size_t calls;    /* allocations asked for */
    size_t failed;   /* of these, refused */
    size_t live_blocks, live_bytes, peak_bytes;
} ts_alloc;

/* A block given back with another size than it was asked for with, or twice, aborts the program. */
void ts_alloc_init(ts_alloc *a, size_t fail_at, bool fail_after);
void ts_alloc_done(ts_alloc *a); /* fails the test when something is still allocated */

/* One scenario: builds, uses and frees with |alloc|; returns the first status that is not NBJ_OK, or NBJ_OK. */
typedef nbj_status (*ts_sweep_fn)(const nbj_allocator *alloc, void *ctx);

/* Runs |fn| with allocation 0, 1, 2 … failing, alone and with all after it, until it needs no more of them. Fails the
 * test unless each run with a refused allocation returned NBJ_E_NOMEM, the last one NBJ_OK, and none left anything
 * allocated. Returns the number of allocations of the scenario. */
size_t alloc_sweep(ts_sweep_fn fn, void *ctx);

#endif
