/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that runs the program's callbacks, one at a time, without any lock of ours. Started with the first callback
 * that is asked for. All functions are called with the client's lock held, unless said otherwise. */
#ifndef NBJ_DRIVER_CALLBACKS_H
#define NBJ_DRIVER_CALLBACKS_H

#include "base/list.h"
#include "driver/lock.h"

#include <nbj/alloc.h>

typedef struct nbj__task nbj__task;

/* Does one thing for a task that was posted. Called with the lock, dropped around the program's code. */
typedef void nbj__task_fn(nbj__task *task);

struct nbj__task {
    nbj__node node;
    nbj__task_fn *run;
};

typedef struct nbj__callbacks {
    nbj__lock *lock;
    bool is_started, stopping, has_ended;
    bool waits; /* for a task */
    pthread_t thread;
    pthread_cond_t changed; /* tasks, |stopping|, or a task was run */
    nbj__list tasks;
    nbj__task *running;
    void (*on_end)(void *user); /* the thread is about to end, without the lock; NULL: it is joined instead */
    void *user;
} nbj__callbacks;

nbj_status nbj__callbacks_init(nbj__callbacks *c, nbj__lock *lock); /* without the lock; NBJ_E_NOMEM */
void nbj__callbacks_free(nbj__callbacks *c);                        /* likewise, when its thread has ended */

nbj_status nbj__callbacks_start(nbj__callbacks *c, nbj_error *error); /* the thread, if it does not run yet */

/* |task| is run once, after those posted before; nothing happens while it waits already. */
void nbj__callbacks_post(nbj__callbacks *c, nbj__task *task);
void nbj__callbacks_cancel(nbj__callbacks *c, nbj__task *task); /* if it waits */

/* Whether other tasks than the one that runs wait. */
static inline bool nbj__callbacks_are_due(const nbj__callbacks *c)
{
    return !nbj__list_is_empty(&c->tasks);
}

bool nbj__callbacks_is_own_thread(const nbj__callbacks *c);

/* Waits until |task|, which nobody posts any more, does not run. Returns at once within it. */
void nbj__callbacks_await(nbj__callbacks *c, const nbj__task *task);

/* No task is run any more. */
void nbj__callbacks_stop(nbj__callbacks *c);
void nbj__callbacks_join(nbj__callbacks *c); /* without the lock, not from its own thread */

#endif
