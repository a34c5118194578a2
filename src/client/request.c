/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "client/options.h"
#include "driver/os.h"

#define TIMEOUT_NS NBJ_SECONDS(5)

static void on_reply(nbj__client_call *call, const nbj__event *ev, nbj_time now)
{
    (void)now;
    call->fn.reply(call->user, ev->type == NBJ__EV_REPLY ? NBJ_MORE : ev->status, ev->msg);
}

static void on_flushed(nbj__client_call *call, const nbj__event *ev, nbj_time now)
{
    call->fn.flush(call->user, ev->status, nbj__time_since(call->core.started, now));
}

static nbj_time deadline(uint64_t timeout_ns, nbj_time now)
{
    return nbj__time_add(now, timeout_ns > 0 ? timeout_ns : TIMEOUT_NS);
}

static nbj_status request(nbj_client *c, nbj__call_kind kind, const char *subject, nbj_bytes data,
                          const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    nbj_request_options o;
    nbj_time now = nbj__os_now();

    if (fn == NULL || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj__outgoing m = {
        .subject = nbj_str(subject), .headers = o.headers, .header_count = o.header_count, .payload = data
    };
    nbj__many_options many = { .max = o.max_replies, .stall_ns = o.stall_ns, .sentinel = o.sentinel };
    nbj__client_call *call = nbj__client_call_new(c, on_reply, user);
    if (call == NULL)
        return NBJ_E_NOMEM;
    call->fn.reply = fn;
    nbj_time due = deadline(o.timeout_ns, now);
    nbj_status st = kind == NBJ__CALL_MANY ? nbj__session_request_many(c->session, &call->core, &m, &many, due, now)
                                           : nbj__session_request(c->session, &call->core, &m, due, now);
    if (st != NBJ_OK)
        nbj__client_call_free(c, call);
    return st;
}

nbj_status nbj_request_async(nbj_client *client, const char *subject, nbj_bytes data,
                             const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    return request(client, NBJ__CALL_REQUEST, subject, data, options, fn, user);
}

nbj_status nbj_request_many_async(nbj_client *client, const char *subject, nbj_bytes data,
                                  const nbj_request_options *options, nbj_reply_fn *fn, void *user)
{
    return request(client, NBJ__CALL_MANY, subject, data, options, fn, user);
}

nbj_status nbj_flush_async(nbj_client *client, uint64_t timeout_ns, nbj_flush_fn *on_done, void *user)
{
    nbj_time now = nbj__os_now();

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj__client_call *call = nbj__client_call_new(client, on_flushed, user);
    if (call == NULL)
        return NBJ_E_NOMEM;
    call->fn.flush = on_done;
    nbj_status st = nbj__session_flush(client->session, &call->core, deadline(timeout_ns, now), now);
    if (st != NBJ_OK)
        nbj__client_call_free(client, call);
    return st;
}
