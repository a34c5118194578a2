/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "driver/os.h"

#define TIMEOUT_NS NBJ_SECONDS(5)

static void report_reply(nbj__client_call *call, nbj_status status, const nbj_msg *msg)
{
    call->fn.reply(call->user, status, msg);
}

static void report_flush(nbj__client_call *call, nbj_status status, const nbj_msg *msg)
{
    (void)msg;
    call->fn.flush(call->user, status, call->took_ns);
}

static nbj_time deadline(uint64_t timeout_ns, nbj_time now)
{
    return nbj__time_add(now, timeout_ns > 0 ? timeout_ns : TIMEOUT_NS);
}

typedef struct asking {
    nbj__client_call *call;
    nbj__outgoing msg;
    nbj__many_options many;
    bool has_many;
    nbj_time due;
} asking;

static nbj_status put_request(void *arg)
{
    asking *a = arg;
    nbj__session *s = a->call->client->session;

    return a->has_many ? nbj__session_request_many(s, &a->call->core, &a->msg, &a->many, a->due, nbj__os_now())
                       : nbj__session_request(s, &a->call->core, &a->msg, a->due, nbj__os_now());
}

/* Puts |call| into the session. */
static nbj_status ask(nbj__client_call *call, nbj__call_kind kind, const char *subject, nbj_bytes data,
                      const nbj_request_options *o)
{
    asking a = {
        .call = call,
        .msg = { .subject = nbj_str(subject), .headers = o->headers, .header_count = o->header_count, .payload = data },
        .many = { .max = o->max_replies, .stall_ns = o->stall_ns, .sentinel = o->sentinel },
        .has_many = kind == NBJ__CALL_MANY,
        .due = deadline(o->timeout_ns, nbj__os_now())
    };

    return nbj__client_put(call->client, put_request, &a);
}

/* --- with callbacks --- */

static nbj_status request_async(nbj_client *c, nbj__call_kind kind, const char *subject, nbj_bytes data,
                                const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    nbj_request_options o;

    if (fn == NULL || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    nbj__client_call *call = NULL;
    st = nbj__client_call_new(c, report_reply, user, &call);
    if (st == NBJ_OK) {
        call->fn.reply = fn;
        st = ask(call, kind, subject, data, &o);
        if (st != NBJ_OK)
            nbj__client_call_free(call);
    }
    return nbj__client_leave_changed(c, st);
}

nbj_status nbj_request_async(nbj_client *client, const char *subject, nbj_bytes data,
                             const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    return request_async(client, NBJ__CALL_REQUEST, subject, data, options, fn, user);
}

nbj_status nbj_request_many_async(nbj_client *client, const char *subject, nbj_bytes data,
                                  const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    return request_async(client, NBJ__CALL_MANY, subject, data, options, fn, user);
}

nbj_status nbj_flush_async(nbj_client *client, uint64_t timeout_ns, nbj_flush_fn *on_done, void *user)
{
    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    nbj__client_call *call = NULL;
    st = nbj__client_call_new(client, report_flush, user, &call);
    if (st == NBJ_OK) {
        nbj_time now = nbj__os_now();
        call->fn.flush = on_done;
        st = nbj__session_flush(client->session, &call->core, deadline(timeout_ns, now), now);
        if (st != NBJ_OK)
            nbj__client_call_free(call);
    }
    return nbj__client_leave_changed(client, st);
}

/* --- waiting --- */

nbj_status nbj_request(nbj_client *client, const char *subject, nbj_bytes data, const nbj_request_options *options,
                       nbj_msg **reply)
{
    nbj_request_options o = { 0 };
    nbj__client_call call = { 0 };
    nbj__waiter waiter = { 0 };

    *reply = NULL;
    if (options != NULL && nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_begin_waiting(client, &call, &waiter);
    if (st != NBJ_OK)
        return st;
    st = nbj__client_end_waiting(&call, ask(&call, NBJ__CALL_REQUEST, subject, data, &o));
    *reply = nbj__queue_take(&call.replies);
    return st;
}

nbj_status nbj_request_many(nbj_client *client, const char *subject, nbj_bytes data, const nbj_request_options *options,
                            nbj_msg **replies, size_t max, size_t *count)
{
    nbj_request_options o;
    nbj__client_call call = { 0 };
    nbj__waiter waiter = { 0 };

    *count = 0;
    if (max == 0 || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    if (o.max_replies == 0 || o.max_replies > max)
        o.max_replies = max;
    nbj_status st = nbj__client_begin_waiting(client, &call, &waiter);
    if (st != NBJ_OK)
        return st;
    st = nbj__client_end_waiting(&call, ask(&call, NBJ__CALL_MANY, subject, data, &o));
    while (*count < max && (replies[*count] = nbj__queue_take(&call.replies)) != NULL)
        ++*count;
    nbj__queue_clear(&call.replies);
    return st;
}

nbj_status nbj_rtt(nbj_client *client, uint64_t timeout_ns, uint64_t *round_trip_ns)
{
    nbj__client_call call = { 0 };
    nbj__waiter waiter = { 0 };
    nbj_status st = nbj__client_begin_waiting(client, &call, &waiter);

    *round_trip_ns = 0;
    if (st != NBJ_OK)
        return st;
    nbj_time now = nbj__os_now();
    st =
        nbj__client_end_waiting(&call, nbj__session_flush(client->session, &call.core, deadline(timeout_ns, now), now));
    *round_trip_ns = call.took_ns;
    return st;
}

nbj_status nbj_flush(nbj_client *client, uint64_t timeout_ns)
{
    uint64_t round_trip_ns = 0;

    return nbj_rtt(client, timeout_ns, &round_trip_ns);
}
