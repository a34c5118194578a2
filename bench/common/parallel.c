/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "parallel.h"

#include "fail.h"
#include "worker.h"

#include <stdlib.h>
#include <time.h>

typedef struct share {
    pthread_t thread;
    uint64_t messages;
    void (*fn)(void *arg, uint64_t messages);
    void *arg;
} share;

static void *run_share(void *arg)
{
    share *s = arg;

    s->fn(s->arg, s->messages);
    return NULL;
}

void parallel(size_t threads, uint64_t messages, void (*fn)(void *arg, uint64_t messages), void *arg)
{
    if (threads == 1) {
        fn(arg, messages);
        return;
    }
    share *all = must_alloc(threads, sizeof *all);
    for (size_t i = 0; i < threads; i++) {
        all[i] = (share){ .messages = messages / threads + (i < messages % threads), .fn = fn, .arg = arg };
        if (pthread_create(&all[i].thread, NULL, run_share, &all[i]) != 0)
            fail("no thread can be had");
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(all[i].thread, NULL);
    free(all);
}

void latch_init(latch *l)
{
    *l = (latch){ .goal = 0 };
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->reached, NULL);
}

void latch_free(latch *l)
{
    pthread_cond_destroy(&l->reached);
    pthread_mutex_destroy(&l->mutex);
}

void latch_set(latch *l, uint64_t goal)
{
    pthread_mutex_lock(&l->mutex);
    l->goal = goal;
    l->count = 0;
    l->is_reached = 0;
    pthread_mutex_unlock(&l->mutex);
}

void latch_reach(latch *l)
{
    pthread_mutex_lock(&l->mutex);
    l->is_reached = 1;
    pthread_cond_signal(&l->reached);
    pthread_mutex_unlock(&l->mutex);
}

void latch_wait(latch *l)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BENCH_PATIENCE_S;
    pthread_mutex_lock(&l->mutex);
    while (!l->is_reached) {
        if (pthread_cond_timedwait(&l->reached, &l->mutex, &until) != 0)
            fail("%llu of %llu came within %d s", (unsigned long long)l->count, (unsigned long long)l->goal,
                 BENCH_PATIENCE_S);
    }
    pthread_mutex_unlock(&l->mutex);
}
