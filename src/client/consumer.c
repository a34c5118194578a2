/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"

struct nbj_pull {
    nbj__pull core;
    nbj_client *client;
    nbj__node node;
    nbj_delivery_fn *on_msg;
    nbj_pull_state_fn *on_state;
    void *user;
    nbj__pull_state reported;
    nbj__task task;
    nbj__queue queue; /* deliveries whose callbacks have not run; with threads */
    bool handling;    /* some that were taken out of it */
    unsigned depth;   /* callbacks that run */
    atomic_bool released;
    bool free_after; /* it was released in its own callback */
};

#define FOR_EACH_PULL(c, p)                                              \
    for (nbj_pull *p = pull_of(nbj__list_first(&(c)->pulls)); p != NULL; \
         p = pull_of(nbj__list_after(&(c)->pulls, &p->node)))

static nbj_pull *pull_of(nbj__node *n)
{
    return n != NULL ? NBJ__ITEM(n, nbj_pull, node) : NULL;
}

static void run_pull(nbj__task *task);

static nbj_status start(nbj_client *c, const nbj_consumer_config *config, nbj_delivery_fn *on_msg, void *user,
                        nbj_pull **out)
{
    nbj_pull *p = nbj__client_need_callbacks(c) == NBJ_OK ? nbj__alloc0(c->alloc, sizeof *p) : NULL;

    if (p == NULL)
        return NBJ_E_NOMEM;
    nbj__consumer_config core = { .stream = nbj_str(config->stream),
                                  .durable = nbj_str(config->durable),
                                  .filter_subject = nbj_str(config->filter_subject),
                                  .ack_wait_ns = config->ack_wait_ns,
                                  .max_deliver = config->max_deliver,
                                  .max_ack_pending = config->max_ack_pending };
    nbj__pull_options o = { .batch = config->batch };
    nbj_status st = nbj__pull_init(&p->core, c->session, &core, &o, NULL, nbj__os_now());
    if (st != NBJ_OK) {
        nbj__free(c->alloc, p, sizeof *p);
        return st;
    }
    p->client = c;
    p->task.run = run_pull;
    p->on_msg = on_msg;
    p->on_state = config->on_state;
    p->user = user;
    p->reported = NBJ__PULL_CREATING;
    nbj__list_push(&c->pulls, &p->node);
    nbj__client_retain(c);
    *out = p;
    return NBJ_OK;
}

nbj_status nbj_pull_start(nbj_client *client, const nbj_consumer_config *config, nbj_delivery_fn *on_msg, void *user,
                          nbj_pull **out)
{
    nbj_consumer_config c;

    *out = NULL;
    if (on_msg == NULL || nbj__options_read(&c, sizeof c, config) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    return nbj__client_leave_changed(client, start(client, &c, on_msg, user, out));
}

/* And leaves. */
static void free_pull(nbj_pull *p)
{
    nbj_client *c = p->client;

    nbj__list_remove(&p->node);
    nbj__list_remove(&p->task.node);
    nbj__queue_clear(&p->queue);
    nbj__pull_free(&p->core);
    nbj__free(c->alloc, p, sizeof *p);
    if (c->runtime != NULL)
        nbj__runtime_wake(c->runtime);
    nbj__client_unref(c);
}

void nbj_pull_stop(nbj_pull *pull)
{
    if (nbj__client_enter(pull->client) != NBJ_OK)
        return;
    nbj__pull_stop(&pull->core);
    if (nbj__client_has_threads(pull->client))
        nbj__client_report_pulls(pull->client);
    (void)nbj__client_leave_changed(pull->client, NBJ_OK);
}

void nbj_pull_release(nbj_pull *pull)
{
    if (pull == NULL || nbj__client_enter(pull->client) != NBJ_OK)
        return;
    pull->released = true;
    nbj__pull_stop(&pull->core);
    if (pull->depth > 0 && (!nbj__client_has_threads(pull->client) || nbj__client_is_in_callback(pull->client))) {
        pull->free_after = true;
        nbj__client_leave(pull->client);
        return;
    }
    if (nbj__client_has_threads(pull->client)) {
        nbj__callbacks_cancel(&pull->client->callbacks, &pull->task);
        nbj__callbacks_await(&pull->client->callbacks, &pull->task);
    }
    free_pull(pull);
}

nbj_pull_state nbj_pull_state_of(const nbj_pull *pull)
{
    nbj_pull_state state = NBJ_PULL_STOPPED;

    if (nbj__client_enter(pull->client) != NBJ_OK)
        return state;
    state = (nbj_pull_state)pull->core.state; /* the same names and numbers */
    nbj__client_leave(pull->client);
    return state;
}

/* --- the program's callbacks with a loop: at once --- */

static void leave_callback(nbj_pull *p)
{
    if (--p->depth == 0 && p->free_after)
        free_pull(p);
}

static bool has_reason(nbj__pull_state state)
{
    return state == NBJ__PULL_STALLED || state == NBJ__PULL_GONE;
}

static void report(nbj_pull *p)
{
    p->reported = p->core.state;
    if (p->on_state == NULL || p->released || p->client->released)
        return;
    p->depth++;
    p->on_state(p->user, p, (nbj_pull_state)p->reported, has_reason(p->reported) ? &p->core.error : NULL);
    leave_callback(p);
}

static void deliver(nbj_pull *p, const nbj_msg *msg)
{
    p->depth++;
    p->on_msg(p->user, p, msg);
    leave_callback(p);
}

/* --- with threads: on the callback thread --- */

static void run_state(nbj_pull *p)
{
    nbj__pull_state state = p->core.state;
    nbj_error error = p->core.error;

    p->reported = state;
    nbj__client_let_go(p->client);
    if (p->on_state != NULL && !p->released && !p->client->released)
        p->on_state(p->user, p, (nbj_pull_state)state, has_reason(state) ? &error : NULL);
    nbj__client_come_back(p->client);
}

static void run_deliveries(nbj_pull *p, nbj__segment *messages)
{
    p->handling = true;
    nbj__client_let_go(p->client);
    for (const nbj_msg *m = nbj__segment_first(messages); m != NULL && !p->released && !p->client->released;
         m = m->next)
        p->on_msg(p->user, p, m);
    nbj__client_come_back(p->client);
    p->handling = false;
    nbj__segment_free(messages);
}

/* A change of state, or a segment's worth of deliveries; what is left has its turn after others. */
static void run_pull(nbj__task *task)
{
    nbj_pull *p = NBJ__ITEM(task, nbj_pull, task);
    nbj_client *c = p->client;

    p->depth++;
    if (p->reported != p->core.state) {
        run_state(p);
    } else {
        nbj__segment *messages = nbj__queue_take_segment(&p->queue);
        if (messages != NULL)
            run_deliveries(p, messages);
    }
    p->depth--;
    if (c->draining)
        nbj__runtime_wake(c->runtime);
    if (p->free_after) {
        free_pull(p);
        nbj__client_come_back(c); /* the callback thread has a client as long as it runs */
    } else if (!p->released && (p->reported != p->core.state || !nbj__queue_is_empty(&p->queue))) {
        nbj__callbacks_post(&c->callbacks, task);
    }
}

bool nbj__client_pulls_are_told(const nbj_client *c)
{
    FOR_EACH_PULL(c, p)
    {
        if (p->handling || !nbj__queue_is_empty(&p->queue))
            return false;
    }
    return true;
}

/* --- events --- */

static nbj_pull *find_changed(const nbj_client *c)
{
    FOR_EACH_PULL(c, p)
    {
        if (p->core.state != p->reported)
            return p;
    }
    return NULL;
}

static void post_changed(nbj_client *c)
{
    FOR_EACH_PULL(c, p)
    {
        if (p->core.state != p->reported && !p->released)
            nbj__callbacks_post(&c->callbacks, &p->task);
    }
}

void nbj__client_report_pulls(nbj_client *c)
{
    if (nbj__client_has_threads(c)) {
        post_changed(c);
        return;
    }
    for (nbj_pull *p; (p = find_changed(c)) != NULL;) /* from the beginning: a callback may release any of them */
        report(p);
}

static nbj_pull *pull_of_core(nbj__pull *core)
{
    return NBJ__ITEM(core, nbj_pull, core);
}

static void take_delivery(nbj_pull *p, const nbj_msg *msg)
{
    if (p->client->released || p->released)
        return;
    if (!nbj__client_has_threads(p->client))
        deliver(p, msg);
    else if (nbj__queue_push(&p->queue, msg) == NBJ_OK) /* else it comes again after its ack_wait */
        nbj__callbacks_post(&p->client->callbacks, &p->task);
}

void nbj__client_on_js_sub(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    nbj__pull *core = NBJ__ITEM(ev->sub, nbj__pull, sub);

    if (ev->type == NBJ__EV_SUB_ENDED)
        nbj__pull_on_sub_ended(core, now);
    else if (nbj__pull_on_msg(core, ev->msg, now))
        take_delivery(pull_of_core(core), ev->msg);
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

typedef struct settling {
    const nbj_msg *msg;
    nbj_bytes what;
} settling;

static nbj_status put_settlement(void *arg)
{
    const settling *s = arg;
    const nbj_client *c = s->msg->client;

    return nbj__pull_settle(c->session, s->msg, s->what);
}

static nbj_status settle(const nbj_msg *msg, nbj_bytes what)
{
    nbj_client *c = msg->client;
    settling s = { msg, what };

    if (c == NULL)
        return NBJ_E_NOT_JETSTREAM;
    nbj_status st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    return nbj__client_leave_sent(c, nbj__client_put(c, put_settlement, &s));
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
