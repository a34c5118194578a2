/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"
#include "client/options.h"

struct nbj_sub {
    nbj__sub core;
    nbj_client *client;
    nbj_msg_fn *on_msg;
    nbj_sub_end_fn *on_end;
    void *user;
    unsigned depth; /* callbacks that run */
    bool released;
};

nbj_status nbj_send(nbj_client *client, const char *subject, nbj_bytes data, const nbj_send_options *options)
{
    nbj_send_options o;

    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj__outgoing m = { .subject = nbj_str(subject),
                        .reply = nbj_str(o.reply),
                        .headers = o.headers,
                        .header_count = o.header_count,
                        .payload = data };
    return nbj__session_publish(client->session, &m);
}

nbj_status nbj_subscribe(nbj_client *client, const char *subject, const nbj_sub_options *options, nbj_msg_fn *on_msg,
                         void *user, nbj_sub **out)
{
    nbj_sub_options o;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_sub *sub = nbj__alloc0(client->alloc, sizeof *sub);
    if (sub == NULL)
        return NBJ_E_NOMEM;
    sub->client = client;
    sub->on_msg = on_msg;
    sub->on_end = o.on_end;
    sub->user = user;
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP,
                               .subject = nbj_str(subject),
                               .queue_group = nbj_str(o.queue_group),
                               .max = o.max_messages,
                               .queued = on_msg == NULL,
                               .limit_msgs = (size_t)o.limit_messages,
                               .limit_bytes = (size_t)o.limit_bytes };
    nbj_status st = nbj__session_subscribe(client->session, &sub->core, &what);
    if (st != NBJ_OK) {
        nbj__free(client->alloc, sub, sizeof *sub);
        return st;
    }
    nbj__client_retain(client);
    *out = sub;
    return NBJ_OK;
}

static void free_sub(nbj_sub *sub)
{
    nbj_client *c = sub->client;

    nbj__session_sub_clear(c->session, &sub->core);
    nbj__free(c->alloc, sub, sizeof *sub);
    nbj__client_unref(c);
}

void nbj_sub_release(nbj_sub *sub)
{
    if (sub == NULL)
        return;
    sub->released = true;
    if (sub->depth == 0)
        free_sub(sub);
}

static nbj_sub *sub_of(nbj__sub *core)
{
    return NBJ__ITEM(core, nbj_sub, core);
}

void nbj__client_on_sub(nbj_client *c, const nbj__event *ev)
{
    nbj_sub *sub = sub_of(ev->sub);

    if (c->released || sub->released)
        return;
    sub->depth++;
    if (ev->type == NBJ__EV_MSG)
        sub->on_msg(sub->user, sub, ev->msg);
    else if (sub->on_end != NULL)
        sub->on_end(sub->user, sub, ev->status);
    if (--sub->depth == 0 && sub->released)
        free_sub(sub);
}

nbj_status nbj_unsubscribe(nbj_sub *sub, uint64_t max)
{
    return nbj__session_unsubscribe(sub->client->session, &sub->core, max);
}

nbj_status nbj_sub_drain(nbj_sub *sub)
{
    return nbj__session_sub_drain(sub->client->session, &sub->core);
}

nbj_msg *nbj_sub_next(nbj_sub *sub)
{
    return nbj__session_take(sub->client->session, &sub->core);
}

uint64_t nbj_sub_delivered(const nbj_sub *sub)
{
    return sub->core.delivered;
}

uint64_t nbj_sub_dropped(const nbj_sub *sub)
{
    return sub->core.dropped;
}

uint64_t nbj_sub_pending(const nbj_sub *sub)
{
    return sub->core.queue_msgs;
}
