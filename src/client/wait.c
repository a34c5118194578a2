/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "driver/os.h"

nbj_status nbj__client_enter(const nbj_client *client)
{
    nbj_client *c = (nbj_client *)(uintptr_t)client; /* the lock is ours to change */

    if (nbj__process_is_other(&c->mark))
        return NBJ_E_FORKED;
    nbj__lock_take(&c->lock);
    return NBJ_OK;
}

void nbj__client_leave(const nbj_client *client)
{
    nbj_client *c = (nbj_client *)(uintptr_t)client;

    nbj__lock_drop(&c->lock);
}

nbj_status nbj__client_leave_sent(nbj_client *c, nbj_status st)
{
    if (c->runtime != NULL)
        nbj__runtime_kick(c->runtime);
    nbj__client_leave(c);
    return st;
}

nbj_status nbj__client_leave_changed(nbj_client *c, nbj_status st)
{
    if (c->runtime != NULL)
        nbj__runtime_wake(c->runtime);
    nbj__client_leave(c);
    return st;
}

typedef struct watcher {
    nbj__node node;
    nbj__waiter waiter;
} watcher;

bool nbj__client_wait(nbj_client *c, nbj__list *watchers, bool (*is_so)(void *arg), void *arg, nbj_time due)
{
    while (!is_so(arg)) {
        watcher w = { 0 };
        nbj__list_push(watchers, &w.node);
        bool changed = nbj__runtime_wait(c->runtime, &w.waiter, due);
        nbj__list_remove(&w.node);
        if (!changed)
            return is_so(arg);
    }
    return true;
}

typedef struct putting {
    nbj__put_fn *put;
    void *arg;
    nbj_status status;
} putting;

static bool is_put(void *arg)
{
    putting *p = arg;

    p->status = p->put(p->arg);
    return p->status != NBJ_E_WOULD_BLOCK;
}

nbj_status nbj__client_put(nbj_client *c, nbj__put_fn *put, void *arg)
{
    putting p = { put, arg, NBJ_OK };

    if (is_put(&p) || !nbj__client_has_threads(c))
        return p.status;
    nbj_time due = nbj__time_add(nbj__os_now(), c->write_timeout_ns);
    return nbj__client_wait(c, &c->watchers, is_put, &p, due) ? p.status : NBJ_E_TIMEOUT;
}

void nbj__client_changed(nbj__list *watchers)
{
    for (nbj__node *n = nbj__list_first(watchers); n != NULL; n = nbj__list_after(watchers, n))
        nbj__runtime_done(&NBJ__ITEM(n, watcher, node)->waiter);
}

void nbj__client_changed_for_one(nbj__list *watchers)
{
    for (nbj__node *n = nbj__list_first(watchers); n != NULL; n = nbj__list_after(watchers, n)) {
        watcher *w = NBJ__ITEM(n, watcher, node);
        if (!w->waiter.done) {
            nbj__runtime_done(&w->waiter);
            return;
        }
    }
}

void nbj__client_let_go(nbj_client *c)
{
    nbj__lock_drop(&c->lock);
}

void nbj__client_come_back(nbj_client *c)
{
    nbj__lock_take(&c->lock);
}

nbj_status nbj__client_need_callbacks(nbj_client *c)
{
    return nbj__client_has_threads(c) ? nbj__callbacks_start(&c->callbacks, NULL) : NBJ_OK;
}

bool nbj__client_is_in_callback(const nbj_client *c)
{
    return nbj__client_has_threads(c) && nbj__callbacks_is_own_thread(&c->callbacks);
}
