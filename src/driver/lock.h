/* SPDX-License-Identifier: Apache-2.0 */
/* A client's one lock: a mutex where the client has threads, nothing where its caller is the loop. */
#ifndef NBJ_DRIVER_LOCK_H
#define NBJ_DRIVER_LOCK_H

#include <nbj/status.h>
#include <nbj/time.h>
#include <pthread.h>
#include <stdbool.h>

typedef struct nbj__lock {
    bool is_real;
    pthread_mutex_t mutex;
    pthread_cond_t *signal_due; /* sent when the lock is dropped: who is woken sooner would only wait for the lock */
} nbj__lock;

nbj_status nbj__lock_init(nbj__lock *l, bool is_real); /* NBJ_E_NOMEM */
void nbj__lock_free(nbj__lock *l);

static inline void nbj__lock_take(nbj__lock *l)
{
    if (l->is_real)
        pthread_mutex_lock(&l->mutex);
}

static inline void nbj__lock_drop(nbj__lock *l)
{
    if (!l->is_real)
        return;
    if (l->signal_due != NULL)
        pthread_cond_broadcast(l->signal_due);
    l->signal_due = NULL;
    pthread_mutex_unlock(&l->mutex);
}

/* A condition that is waited for with a real lock, by the monotonic clock. */
nbj_status nbj__cond_init(pthread_cond_t *c); /* NBJ_E_NOMEM */
void nbj__cond_wait(pthread_cond_t *c, nbj__lock *l, nbj_time due);

#endif
