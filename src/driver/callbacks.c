/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/callbacks.h"

#include "driver/thread.h"

nbj_status nbj__callbacks_init(nbj__callbacks *c, nbj__lock *lock)
{
    *c = (nbj__callbacks){ .lock = lock };
    nbj__list_init(&c->tasks);
    return nbj__cond_init(&c->changed);
}

void nbj__callbacks_free(nbj__callbacks *c)
{
    if (c->lock != NULL)
        pthread_cond_destroy(&c->changed);
    c->lock = NULL;
}

static void run_next(nbj__callbacks *c)
{
    nbj__task *t = NBJ__ITEM(nbj__list_pop(&c->tasks), nbj__task, node);

    c->running = t;
    t->run(t);
    c->running = NULL;
    pthread_cond_broadcast(&c->changed);
}

static void *callbacks_main(void *arg)
{
    nbj__callbacks *c = arg;

    nbj__lock_take(c->lock);
    while (!c->stopping) {
        if (nbj__callbacks_are_due(c)) {
            run_next(c);
            continue;
        }
        c->waits = true;
        nbj__cond_wait(&c->changed, c->lock, NBJ_TIME_NEVER);
        c->waits = false;
    }
    void (*on_end)(void *) = c->on_end;
    void *user = c->user;
    nbj__lock_drop(c->lock);
    if (on_end != NULL)
        on_end(user);
    return NULL;
}

nbj_status nbj__callbacks_start(nbj__callbacks *c, nbj_error *error)
{
    if (c->is_started)
        return NBJ_OK;
    nbj_status st = nbj__thread_start(&c->thread, "nbj-callbacks", callbacks_main, c, error);
    c->is_started = st == NBJ_OK;
    return st;
}

void nbj__callbacks_post(nbj__callbacks *c, nbj__task *task)
{
    if (nbj__node_is_linked(&task->node) || c->stopping)
        return;
    nbj__list_push(&c->tasks, &task->node);
    if (c->waits)
        c->lock->signal_due = &c->changed;
}

void nbj__callbacks_cancel(nbj__callbacks *c, nbj__task *task)
{
    (void)c;
    nbj__list_remove(&task->node);
}

bool nbj__callbacks_is_own_thread(const nbj__callbacks *c)
{
    return c->is_started && pthread_equal(c->thread, pthread_self());
}

void nbj__callbacks_await(nbj__callbacks *c, const nbj__task *task)
{
    if (nbj__callbacks_is_own_thread(c))
        return;
    while (c->running == task) /* a later run, too */
        nbj__cond_wait(&c->changed, c->lock, NBJ_TIME_NEVER);
}

void nbj__callbacks_stop(nbj__callbacks *c)
{
    c->stopping = true;
    pthread_cond_broadcast(&c->changed);
}

void nbj__callbacks_join(nbj__callbacks *c)
{
    if (c->is_started)
        pthread_join(c->thread, NULL);
    c->is_started = false;
}
