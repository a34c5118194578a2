/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/lock.h"

#include <assert.h>
#include <time.h>

nbj_status nbj__lock_init(nbj__lock *l, bool is_real)
{
    pthread_mutexattr_t attributes;

    *l = (nbj__lock){ .is_real = is_real };
    if (!is_real)
        return NBJ_OK;
    if (pthread_mutexattr_init(&attributes) != 0)
        return NBJ_E_NOMEM;
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    /* It is held for less than it takes to sleep and be woken. */
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    int failed = pthread_mutex_init(&l->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return failed == 0 ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__lock_free(nbj__lock *l)
{
    if (l->is_real)
        pthread_mutex_destroy(&l->mutex);
    l->is_real = false;
}

nbj_status nbj__cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return NBJ_E_NOMEM;
    int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (failed == 0)
        failed = pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed == 0 ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__cond_wait(pthread_cond_t *c, nbj__lock *l, nbj_time due)
{
    struct timespec until = { .tv_sec = (time_t)(due / NBJ_SECONDS(1)), .tv_nsec = (long)(due % NBJ_SECONDS(1)) };

    assert(l->is_real);
    if (l->signal_due != NULL)
        pthread_cond_broadcast(l->signal_due);
    l->signal_due = NULL;
    if (due == NBJ_TIME_NEVER)
        pthread_cond_wait(c, &l->mutex);
    else
        pthread_cond_timedwait(c, &l->mutex, &until);
}
