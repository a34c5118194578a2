/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for an answer. One that a thread waits for lives on its stack; one that is told by a callback lives
 * until that has returned. */
#include "client/client_int.h"

#include "base/heap.h"

#define CALLS_MAX 65536u   /* with callbacks that have not run */
#define REPLIES_MAX 65536u /* of one call, that nobody was told of yet */
#define REPLY_BYTES_MAX (64u << 20)

static void run_call(nbj__task *task);

static void begin(nbj_client *c, nbj__client_call *call, nbj__waiter *waiter)
{
    call->core.owner = NBJ__CALL_OF_APP;
    call->client = c;
    call->waiter = waiter;
    call->task.run = run_call;
    nbj__list_push(&c->calls, &call->node);
}

nbj_status nbj__client_call_new(nbj_client *c, nbj__report_fn *report, void *user, nbj__client_call **out)
{
    *out = NULL;
    if (c->callback_calls >= CALLS_MAX)
        return NBJ_E_FULL;
    nbj__client_call *call = nbj__client_need_callbacks(c) == NBJ_OK ? nbj__alloc0(c->alloc, sizeof *call) : NULL;
    if (call == NULL)
        return NBJ_E_NOMEM;
    begin(c, call, NULL);
    c->callback_calls++;
    call->report = report;
    call->user = user;
    *out = call;
    return NBJ_OK;
}

static void end(nbj__client_call *call)
{
    nbj__list_remove(&call->node);
    nbj__list_remove(&call->task.node);
    nbj__queue_clear(&call->replies);
}

void nbj__client_call_free(nbj__client_call *call)
{
    end(call);
    nbj__client_asking_free(call->asking);
    call->client->callback_calls--;
    nbj__free(call->client->alloc, call, sizeof *call);
}

nbj_status nbj__client_begin_waiting(nbj_client *c, nbj__client_call *call, nbj__waiter *waiter)
{
    nbj_status st = nbj__client_enter(c);

    if (st != NBJ_OK)
        return st;
    if (!nbj__client_has_threads(c)) {
        nbj__client_leave(c);
        return NBJ_E_WOULD_BLOCK;
    }
    begin(c, call, waiter);
    return NBJ_OK;
}

nbj_status nbj__client_end_waiting(nbj__client_call *call, nbj_status st)
{
    if (st == NBJ_OK)
        nbj__runtime_wait(call->client->runtime, call->waiter, NBJ_TIME_NEVER); /* the session keeps its deadline */
    nbj__list_remove(&call->node);
    nbj__client_leave(call->client);
    return st == NBJ_OK ? call->status : st;
}

/* --- what comes of it --- */

/* With a loop: the program is told at once. */
static void tell(nbj__client_call *call, const nbj__event *ev)
{
    if (!call->client->released)
        call->report(call, ev->type == NBJ__EV_REPLY ? NBJ_MORE : ev->status, ev->msg);
    if (call->done)
        nbj__client_call_free(call);
}

/* One that cannot be kept is missed by the call's outcome. */
static void keep_reply(nbj__client_call *call, const nbj_msg *msg)
{
    bool full = call->reply_count >= REPLIES_MAX || call->reply_bytes + nbj__msg_size(msg) > REPLY_BYTES_MAX;
    nbj_status st = full ? NBJ_E_FULL : nbj__queue_push(&call->replies, msg);

    if (st != NBJ_OK) {
        call->missed = st;
        return;
    }
    call->reply_count++;
    call->reply_bytes += nbj__msg_size(msg);
}

/* With threads: whoever waits, or the callback thread, finds it in the call. */
static void keep(nbj__client_call *call, const nbj__event *ev)
{
    if (ev->msg != NULL)
        keep_reply(call, ev->msg);
    if (call->done && call->status == NBJ_OK)
        call->status = call->missed;
    if (call->waiter == NULL)
        nbj__callbacks_post(&call->client->callbacks, &call->task);
    else if (call->done)
        nbj__runtime_done(call->waiter);
}

void nbj__client_on_call(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    if (ev->call->owner == NBJ__CALL_OF_JS) {
        nbj__client_on_js_call(c, ev, now);
        return;
    }
    if (ev->call->owner == NBJ__CALL_OF_PUBLISHER) {
        nbj__publish_asker_on_call(&c->asker, ev);
        return;
    }
    nbj__client_call *call = NBJ__ITEM(ev->call, nbj__client_call, core);
    if (ev->type == NBJ__EV_CALL_DONE) {
        call->done = true;
        call->status = ev->status;
        call->took_ns = nbj__time_since(call->core.started, now);
    }
    if (nbj__client_has_threads(c))
        keep(call, ev);
    else
        tell(call, ev);
}

static void report(nbj__client_call *call, nbj_status st, nbj_msg *msg)
{
    nbj_client *c = call->client;

    nbj__client_let_go(c);
    if (!c->released)
        call->report(call, st, msg);
    nbj_msg_release(msg);
    nbj__client_come_back(c);
}

/* A single reply comes with the end; of several each comes before it. */
static void run_call(nbj__task *task)
{
    nbj__client_call *call = NBJ__ITEM(task, nbj__client_call, task);
    bool is_single = call->core.kind == NBJ__CALL_REQUEST;
    nbj_msg *msg = nbj__queue_take(&call->replies);

    if (msg != NULL) {
        call->reply_count--;
        call->reply_bytes -= nbj__msg_size(msg);
    }
    if (msg != NULL && !is_single) {
        report(call, NBJ_MORE, msg);
        nbj__callbacks_post(&call->client->callbacks, task);
    } else if (call->done) {
        report(call, call->status, msg);
        nbj__client_call_free(call);
    } else {
        nbj_msg_release(msg);
    }
}
