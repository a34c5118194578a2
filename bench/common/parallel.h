/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a worker: several that publish, and one that waits for callbacks. */
#ifndef BENCH_PARALLEL_H
#define BENCH_PARALLEL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* Calls |fn| with a share of |messages| on each of |threads| threads, and returns when all have. One
 * thread: the caller. */
void parallel(size_t threads, uint64_t messages, void (*fn)(void *arg, uint64_t messages), void *arg);

/* Counts to a goal on one thread and wakes another there. */
typedef struct latch {
    pthread_mutex_t mutex;
    pthread_cond_t reached;
    uint64_t goal, count; /* |count| belongs to the counting thread */
    int is_reached;
} latch;

void latch_init(latch *l);
void latch_free(latch *l);
void latch_set(latch *l, uint64_t goal);
void latch_reach(latch *l);
void latch_wait(latch *l); /* ends the program after BENCH_PATIENCE_S */

static inline void latch_count(latch *l)
{
    if (++l->count == l->goal)
        latch_reach(l);
}

#endif
