/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to JetStream's API (js/op.h): their requests sent one after the other, for a thread that waits or for a callback.
 * Steps run without the lock: an op belongs to its call. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "driver/os.h"

#define TIMEOUT_NS NBJ_SECONDS(5)

/* Where |op| goes, and until when. With the lock. */
static nbj_status prepare(const nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj_time *due)
{
    const nbj__info *info = nbj__session_info(c->session);
    nbj_call_options o;

    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    op->where = c->where;
    if (info != NULL) {
        op->where.version = nbj__version_parse(info->version);
        op->where.api_level = info->api_level;
    }
    *due = nbj__time_add(nbj__os_now(), o.timeout_ns > 0 ? o.timeout_ns : TIMEOUT_NS);
    return o.domain != NULL || o.api_prefix != NULL ? nbj__js_where_set(&op->where, o.domain, o.api_prefix) : NBJ_OK;
}

typedef struct putting {
    nbj__client_call *call;
    const nbj__op *op;
    nbj_time due;
} putting;

static nbj_status put_request(void *arg)
{
    const putting *p = arg;
    nbj_header header;
    char level[16];
    nbj__outgoing m = nbj__op_request(p->op, &header, level);
    nbj__many_options many = { .stall_ns = p->op->stall_ns, .until_status = true };
    nbj__session *s = p->call->client->session;
    nbj_time now = nbj__os_now();
    nbj_time due = p->op->wait_ns > 0 ? nbj__time_min(p->due, nbj__time_add(now, p->op->wait_ns)) : p->due;

    if (due <= now)
        return NBJ_E_TIMEOUT;
    return p->op->many ? nbj__session_request_many(s, &p->call->core, &m, &many, due, now)
                       : nbj__session_request(s, &p->call->core, &m, due, now);
}

/* Puts the op's request into the session. With the lock. */
static nbj_status put(nbj__client_call *call, const nbj__op *op, nbj_time due)
{
    putting p = { call, op, due };

    return nbj__client_put(call->client, put_request, &p);
}

/* --- waiting --- */

/* One request of |op|, and all its answers. */
static nbj_status ask_once(nbj_client *c, nbj__op *op, nbj_time due, nbj_error *error)
{
    nbj__client_call call = { 0 };
    nbj__waiter waiter = { 0 };
    nbj_msg *msg;

    nbj_status st = nbj__client_begin_waiting(c, &call, &waiter);
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = nbj__client_end_waiting(&call, put(&call, op, due));
    nbj_status next = NBJ_MORE;
    while (op->many && next == NBJ_MORE && (msg = nbj__queue_take(&call.replies)) != NULL) {
        next = op->step(op, NBJ_OK, msg, error);
        nbj_msg_release(msg);
    }
    if (next == NBJ_MORE) {
        msg = nbj__queue_take(&call.replies);
        next = op->step(op, st, msg, error);
        nbj_msg_release(msg);
    }
    nbj__queue_clear(&call.replies);
    return next;
}

nbj_status nbj__client_ask(nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj_error *error)
{
    nbj_error unwanted;
    nbj_time due = 0;

    if (error == NULL)
        error = &unwanted;
    nbj_status st = nbj__client_enter(c);
    if (st == NBJ_OK) {
        st = nbj__client_has_threads(c) ? prepare(c, op, options, &due) : NBJ_E_WOULD_BLOCK;
        nbj__client_leave(c);
    }
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = op->step(op, NBJ_OK, NULL, error);
    while (st == NBJ_MORE)
        st = ask_once(c, op, due, error);
    if (st == NBJ_OK)
        *error = (nbj_error){ 0 }; /* of a request on the way */
    return st;
}

/* --- with callbacks --- */

struct nbj__asking {
    nbj_client *client;
    nbj__op *op;
    nbj__tell_fn *tell;
    nbj__told whom;
    nbj_time due;
    bool is_told; /* the op had enough of several answers */
};

void nbj__client_asking_free(nbj__asking *a)
{
    if (a == NULL)
        return;
    nbj__op_free(a->op);
    nbj__free(a->client->alloc, a, sizeof *a);
}

static void on_answer(nbj__client_call *call, nbj_status status, const nbj_msg *msg);

/* Sends the op's request. With the lock. NBJ_OK: the call has |a|, which stays the caller's otherwise. */
static nbj_status send_request(nbj__asking *a)
{
    nbj__client_call *call = NULL;
    nbj_status st = nbj__client_call_new(a->client, on_answer, NULL, &call);

    if (st != NBJ_OK)
        return st;
    st = put(call, a->op, a->due);
    if (st == NBJ_OK)
        call->asking = a;
    else
        nbj__client_call_free(call);
    return st;
}

static nbj_status send_next(nbj__asking *a)
{
    nbj_status st = nbj__client_enter(a->client);

    return st == NBJ_OK ? nbj__client_leave_changed(a->client, send_request(a)) : st;
}

/* What else may come for it is not wanted. */
static void stop(nbj__client_call *call)
{
    if (nbj__client_enter(call->client) != NBJ_OK)
        return;
    if (!call->done)
        nbj__session_cancel(call->client->session, &call->core);
    (void)nbj__client_leave_changed(call->client, NBJ_OK);
}

static void on_answer(nbj__client_call *call, nbj_status status, const nbj_msg *msg)
{
    nbj__asking *a = call->asking;
    nbj_error error = { 0 };
    bool is_one_of_many = status == NBJ_MORE;

    if (a->is_told)
        return;
    nbj_status st = a->op->step(a->op, is_one_of_many ? NBJ_OK : status, msg, &error);
    if (st == NBJ_MORE && is_one_of_many)
        return;
    if (st == NBJ_MORE) {
        st = send_next(a);
        if (st == NBJ_OK) {
            call->asking = NULL;
            return;
        }
        nbj__error_set(&error, st, nbj_strerror(st), (char *)NULL);
    }
    a->is_told = true;
    a->tell(a->op, st, st == NBJ_OK ? NULL : &error, a->whom);
    if (is_one_of_many)
        stop(call);
}

/* The first request. With the lock. */
static nbj_status start(nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj__tell_fn *tell, nbj__told whom)
{
    nbj_error error;
    nbj_time due = 0;

    nbj_status st = prepare(c, op, options, &due);
    if (st == NBJ_OK)
        st = op->step(op, NBJ_OK, NULL, &error);
    if (st != NBJ_MORE)
        return st;
    nbj__asking *a = nbj__alloc0(c->alloc, sizeof *a);
    if (a == NULL)
        return NBJ_E_NOMEM;
    *a = (nbj__asking){ c, op, tell, whom, due, false };
    st = send_request(a);
    if (st != NBJ_OK)
        nbj__free(c->alloc, a, sizeof *a);
    return st;
}

nbj_status nbj__client_ask_async(nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj__tell_fn *tell,
                                 nbj__told whom)
{
    nbj_status st = nbj__client_enter(c);

    if (st == NBJ_OK)
        st = nbj__client_leave_changed(c, start(c, op, options, tell, whom));
    if (st != NBJ_OK)
        nbj__op_free(op);
    return st;
}
