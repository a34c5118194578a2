/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "client/options.h"
#include "driver/os.h"

struct nbj_pull {
    nbj__pull core;
    nbj_client *client;
    nbj__node node;
    nbj_delivery_fn *on_msg;
    nbj_pull_state_fn *on_state;
    void *user;
    nbj__pull_state reported;
    unsigned depth; /* callbacks that run */
    bool released;
};

#define FOR_EACH_PULL(c, p)                                              \
    for (nbj_pull *p = pull_of(nbj__list_first(&(c)->pulls)); p != NULL; \
         p = pull_of(nbj__list_after(&(c)->pulls, &p->node)))

static nbj_pull *pull_of(nbj__node *n)
{
    return n != NULL ? NBJ__ITEM(n, nbj_pull, node) : NULL;
}

nbj_status nbj_pull_start(nbj_client *client, const nbj_consumer_config *config, nbj_delivery_fn *on_msg, void *user,
                          nbj_pull **out)
{
    nbj_consumer_config c;

    *out = NULL;
    if (on_msg == NULL || nbj__options_read(&c, sizeof c, config) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_pull *p = nbj__alloc0(client->alloc, sizeof *p);
    if (p == NULL)
        return NBJ_E_NOMEM;
    nbj__consumer_config core = { .stream = nbj_str(c.stream),
                                  .durable = nbj_str(c.durable),
                                  .filter_subject = nbj_str(c.filter_subject),
                                  .ack_wait_ns = c.ack_wait_ns,
                                  .max_deliver = c.max_deliver,
                                  .max_ack_pending = c.max_ack_pending };
    nbj__pull_options o = { .batch = c.batch };
    nbj_status st = nbj__pull_init(&p->core, client->session, &core, &o, NULL, nbj__os_now());
    if (st != NBJ_OK) {
        nbj__free(client->alloc, p, sizeof *p);
        return st;
    }
    p->client = client;
    p->on_msg = on_msg;
    p->on_state = c.on_state;
    p->user = user;
    p->reported = NBJ__PULL_CREATING;
    nbj__list_push(&client->pulls, &p->node);
    nbj__client_retain(client);
    *out = p;
    return NBJ_OK;
}

static void free_pull(nbj_pull *p)
{
    nbj_client *c = p->client;

    nbj__list_remove(&p->node);
    nbj__pull_free(&p->core);
    nbj__free(c->alloc, p, sizeof *p);
    nbj__client_unref(c);
}

void nbj_pull_stop(nbj_pull *pull)
{
    nbj__pull_stop(&pull->core);
}

void nbj_pull_release(nbj_pull *pull)
{
    if (pull == NULL)
        return;
    pull->released = true;
    nbj__pull_stop(&pull->core);
    if (pull->depth == 0)
        free_pull(pull);
}

nbj_pull_state nbj_pull_state_of(const nbj_pull *pull)
{
    return (nbj_pull_state)pull->core.state; /* the same names and numbers */
}

/* --- events --- */

static void leave_callback(nbj_pull *p)
{
    if (--p->depth == 0 && p->released)
        free_pull(p);
}

static void report(nbj_pull *p)
{
    bool has_reason = p->core.state == NBJ__PULL_STALLED || p->core.state == NBJ__PULL_GONE;

    p->reported = p->core.state;
    if (p->on_state == NULL || p->released || p->client->released)
        return;
    p->depth++;
    p->on_state(p->user, p, nbj_pull_state_of(p), has_reason ? &p->core.error : NULL);
    leave_callback(p);
}

static nbj_pull *find_changed(const nbj_client *c)
{
    FOR_EACH_PULL(c, p)
    {
        if (p->core.state != p->reported)
            return p;
    }
    return NULL;
}

void nbj__client_report_pulls(nbj_client *c)
{
    for (nbj_pull *p; (p = find_changed(c)) != NULL;) /* from the beginning: a callback may release any of them */
        report(p);
}

static nbj_pull *pull_of_core(nbj__pull *core)
{
    return NBJ__ITEM(core, nbj_pull, core);
}

static void deliver(nbj_pull *p, const nbj_msg *msg)
{
    p->depth++;
    p->on_msg(p->user, p, msg);
    leave_callback(p);
}

void nbj__client_on_js_sub(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    nbj__pull *core = NBJ__ITEM(ev->sub, nbj__pull, sub);
    nbj_pull *p = pull_of_core(core);

    if (ev->type == NBJ__EV_SUB_ENDED)
        nbj__pull_on_sub_ended(core, now);
    else if (nbj__pull_on_msg(core, ev->msg, now) && !c->released && !p->released)
        deliver(p, ev->msg);
    nbj__client_report_pulls(c);
}

void nbj__client_on_js_call(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    nbj__pull_on_call(NBJ__ITEM(ev->call, nbj__pull, call), ev, now);
    nbj__client_report_pulls(c);
}

void nbj__client_pulls_on_connection(nbj_client *c, bool connected, nbj_time now)
{
    FOR_EACH_PULL(c, p)
    {
        if (connected)
            nbj__pull_on_connected(&p->core, now);
        else
            nbj__pull_on_disconnected(&p->core);
    }
    nbj__client_report_pulls(c);
}

void nbj__client_pulls_on_time(nbj_client *c, nbj_time now)
{
    FOR_EACH_PULL(c, p)
    nbj__pull_on_time(&p->core, now);
}

nbj_time nbj__client_pulls_deadline(const nbj_client *c)
{
    nbj_time due = NBJ_TIME_NEVER;

    FOR_EACH_PULL(c, p)
    due = nbj__time_min(due, nbj__pull_deadline(&p->core));
    return due;
}

void nbj__client_stop_pulls(nbj_client *c)
{
    FOR_EACH_PULL(c, p)
    nbj__pull_stop(&p->core);
}

/* --- deliveries --- */

nbj_status nbj_msg_delivery(const nbj_msg *msg, nbj_delivery *out)
{
    nbj__delivery d;
    nbj_status st = nbj__ack_subject_parse(msg->reply, &d);

    *out = (nbj_delivery){ .stream = d.stream,
                           .consumer = d.consumer,
                           .stream_sequence = d.stream_sequence,
                           .consumer_sequence = d.consumer_sequence,
                           .delivered = d.delivered,
                           .pending = d.pending,
                           .stored_at_ns = d.stored_at_ns };
    return st;
}

static nbj_status settle(const nbj_msg *msg, nbj_bytes what)
{
    const nbj_client *c = msg->client;

    return c != NULL ? nbj__pull_settle(c->session, msg, what) : NBJ_E_NOT_JETSTREAM;
}

nbj_status nbj_ack(const nbj_msg *msg)
{
    return settle(msg, nbj_view(NULL, 0));
}

nbj_status nbj_nak(const nbj_msg *msg, uint64_t delay_ns)
{
    char text[64];
    nbj__text t = nbj__text_into(text, sizeof text);

    nbj__text_add(&t, "-NAK");
    if (delay_ns > 0) {
        nbj__text_add(&t, " {\"delay\":");
        nbj__text_add_u64(&t, delay_ns);
        nbj__text_add(&t, "}");
    }
    return settle(msg, nbj__text_view(&t));
}
