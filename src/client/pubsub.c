/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "driver/os.h"

#define TURN_NS NBJ_MILLIS(1) /* of callbacks of one subscription, while others have messages too */

struct nbj_sub {
    nbj__sub core;
    nbj_client *client;
    nbj__task task;
    nbj__queue taken; /* by the callback thread: out of the lock's sight, waiting for their callback */
    nbj_msg_fn *on_msg;
    nbj_sub_end_fn *on_end;
    void *user;
    nbj__list watchers; /* threads that wait for a message */
    unsigned depth;     /* callbacks that run */
    bool has_ended, end_is_told;
    nbj_status why; /* it has ended */
    atomic_bool released;
    bool free_after; /* it was released in its own callback */
};

/* --- sending --- */

typedef struct sending {
    nbj__session *session;
    const nbj__outgoing *msg;
} sending;

static nbj_status put_message(void *arg)
{
    sending *s = arg;

    return nbj__session_publish(s->session, s->msg);
}

static nbj_status send_to(nbj_client *client, nbj_bytes subject, nbj_bytes data, const nbj_send_options *options)
{
    nbj_send_options o = { 0 };

    if (options != NULL && nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj__outgoing m = { .subject = subject,
                        .reply = nbj_str(o.reply),
                        .headers = o.headers,
                        .header_count = o.header_count,
                        .payload = data };
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    sending s = { client->session, &m };
    return nbj__client_leave_sent(client, nbj__client_put(client, put_message, &s));
}

nbj_status nbj_send(nbj_client *client, const char *subject, nbj_bytes data, const nbj_send_options *options)
{
    return send_to(client, nbj_str(subject), data, options);
}

nbj_status nbj_respond(const nbj_msg *msg, nbj_bytes data, const nbj_send_options *options)
{
    return msg->reply.len > 0 ? send_to(msg->client, msg->reply, data, options) : NBJ_E_NOT_FOUND;
}

/* --- subscribing --- */

static void run_sub(nbj__task *task);

static nbj_sub *new_sub(nbj_client *c, const nbj_sub_options *o, nbj_msg_fn *on_msg, void *user)
{
    bool has_callback = on_msg != NULL || o->on_end != NULL;
    nbj_sub *sub = !has_callback || nbj__client_need_callbacks(c) == NBJ_OK ? nbj__alloc0(c->alloc, sizeof *sub) : NULL;

    if (sub == NULL)
        return NULL;
    sub->client = c;
    sub->task.run = run_sub;
    sub->on_msg = on_msg;
    sub->on_end = o->on_end;
    sub->user = user;
    nbj__list_init(&sub->watchers);
    return sub;
}

nbj_status nbj__client_subscribe(nbj_client *c, const char *subject, const nbj_sub_options *o, nbj_msg_fn *on_msg,
                                 void *user, nbj_sub **out)
{
    nbj_sub *sub = new_sub(c, o, on_msg, user);

    if (sub == NULL)
        return NBJ_E_NOMEM;
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP,
                               .subject = nbj_str(subject),
                               .queue_group = nbj_str(o->queue_group),
                               .max = o->max_messages,
                               .queued = on_msg == NULL || nbj__client_has_threads(c),
                               .limit_msgs = (size_t)o->limit_messages,
                               .limit_bytes = (size_t)o->limit_bytes };
    nbj_status st = nbj__session_subscribe(c->session, &sub->core, &what);
    if (st != NBJ_OK) {
        nbj__free(c->alloc, sub, sizeof *sub);
        return st;
    }
    nbj__client_retain(c);
    *out = sub;
    return NBJ_OK;
}

nbj_status nbj_subscribe(nbj_client *client, const char *subject, const nbj_sub_options *options, nbj_msg_fn *on_msg,
                         void *user, nbj_sub **out)
{
    nbj_sub_options o;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    return nbj__client_leave_sent(client, nbj__client_subscribe(client, subject, &o, on_msg, user, out));
}

nbj_bytes nbj__client_sub_subject(const nbj__sub *core)
{
    return nbj_str(core->subject);
}

/* --- giving back --- */

/* And leaves. */
static void free_sub(nbj_sub *sub)
{
    nbj_client *c = sub->client;

    nbj__list_remove(&sub->task.node);
    nbj__queue_clear(&sub->taken);
    nbj__session_sub_clear(c->session, &sub->core);
    nbj__free(c->alloc, sub, sizeof *sub);
    if (c->runtime != NULL)
        nbj__runtime_wake(c->runtime);
    nbj__client_unref(c);
}

void nbj_sub_release(nbj_sub *sub)
{
    if (sub == NULL || nbj__client_enter(sub->client) != NBJ_OK)
        return;
    sub->released = true;
    if (sub->depth > 0 && (!nbj__client_has_threads(sub->client) || nbj__client_is_in_callback(sub->client))) {
        sub->free_after = true;
        nbj__client_leave(sub->client);
        return;
    }
    if (nbj__client_has_threads(sub->client)) {
        nbj__callbacks_cancel(&sub->client->callbacks, &sub->task);
        nbj__callbacks_await(&sub->client->callbacks, &sub->task);
    }
    free_sub(sub);
}

/* --- callbacks --- */

static nbj_sub *sub_of(nbj__sub *core)
{
    return NBJ__ITEM(core, nbj_sub, core);
}

/* With a loop: the program is told at once. */
static void tell(nbj_sub *sub, const nbj__event *ev)
{
    nbj_client *c = sub->client;

    if (c->released || sub->released)
        return;
    sub->depth++;
    if (ev->type == NBJ__EV_MSG)
        sub->on_msg(sub->user, sub, ev->msg);
    else if (ev->type == NBJ__EV_SUB_ENDED && sub->on_end != NULL)
        sub->on_end(sub->user, sub, ev->status);
    if (--sub->depth == 0 && sub->free_after)
        free_sub(sub);
}

void nbj__client_on_sub(nbj_client *c, const nbj__event *ev)
{
    nbj_sub *sub = sub_of(ev->sub);

    if (ev->type == NBJ__EV_SUB_ENDED) {
        sub->has_ended = true;
        sub->why = ev->status;
    }
    if (!nbj__client_has_threads(c)) {
        tell(sub, ev);
        return;
    }
    if ((sub->on_msg != NULL || sub->on_end != NULL) && !sub->released)
        nbj__callbacks_post(&c->callbacks, &sub->task);
    nbj__client_changed(&sub->watchers);
}

typedef struct handled {
    size_t msgs, bytes;
} handled;

static void run_segment(nbj_sub *sub, nbj__segment *messages, handled *h)
{
    for (const nbj_msg *m = nbj__segment_first(messages); m != NULL; m = m->next) {
        if (!sub->released && !sub->client->released)
            sub->on_msg(sub->user, sub, m);
        h->msgs++;
        h->bytes += nbj__msg_size(m);
    }
    nbj__segment_free(messages);
}

/* Without the lock, which is fought for while messages stream in: for as long as others may wait for their turn. */
static handled run_taken(nbj_sub *sub)
{
    nbj_time until = nbj__time_add(nbj__os_now(), TURN_NS);
    handled h = { 0 };

    do {
        run_segment(sub, nbj__queue_take_segment(&sub->taken), &h);
    } while (!nbj__queue_is_empty(&sub->taken) && nbj__os_now() < until);
    return h;
}

/* Hands messages to the program, or tells it the end; what is left has its turn after others. */
static void run_sub(nbj__task *task)
{
    nbj_sub *sub = NBJ__ITEM(task, nbj_sub, task);
    nbj_client *c = sub->client;
    handled h = { 0 };

    if (sub->on_msg != NULL && nbj__queue_is_empty(&sub->taken))
        sub->taken = nbj__sub_take_all(&sub->core);
    bool has_messages = !nbj__queue_is_empty(&sub->taken);
    bool ends = !has_messages && sub->has_ended && !sub->end_is_told && sub->on_end != NULL;

    sub->depth++;
    sub->end_is_told = sub->end_is_told || ends;
    nbj__client_let_go(c);
    if (has_messages)
        h = run_taken(sub);
    else if (ends && !sub->released && !c->released)
        sub->on_end(sub->user, sub, sub->why);
    nbj__client_come_back(c);
    sub->depth--;
    nbj__session_handled(c->session, &sub->core, h.msgs, h.bytes);
    if (c->draining)
        nbj__runtime_wake(c->runtime);
    if (sub->free_after) {
        free_sub(sub);
        nbj__client_come_back(c); /* the callback thread has a client as long as it runs */
    } else if (!sub->released && (has_messages || (sub->has_ended && sub->on_end != NULL && !sub->end_is_told))) {
        nbj__callbacks_post(&c->callbacks, task);
    }
}

/* --- reading --- */

typedef struct taking {
    nbj_sub *sub;
    nbj_msg **out;
    size_t max, count;
} taking;

static bool has_taken(void *arg)
{
    taking *t = arg;
    nbj_msg *m;

    while (t->count < t->max && (m = nbj__session_take(t->sub->client->session, &t->sub->core)) != NULL)
        t->out[t->count++] = m;
    return t->count > 0 || t->sub->has_ended || t->sub->core.state == NBJ__SUB_ENDED;
}

static nbj_status take(nbj_sub *sub, taking *t, uint64_t timeout_ns)
{
    nbj_client *c = sub->client;
    bool taken = has_taken(t);

    if (!taken && !nbj__client_has_threads(c))
        return NBJ_E_WOULD_BLOCK;
    if (!taken && timeout_ns > 0)
        taken = nbj__client_wait(c, &sub->watchers, has_taken, t, nbj__time_add(nbj__os_now(), timeout_ns));
    if (!taken)
        return NBJ_E_TIMEOUT;
    if (sub->core.queue_msgs > 0) /* only the first of many is announced */
        nbj__client_changed_for_one(&sub->watchers);
    return t->count > 0 ? NBJ_OK : NBJ_E_ENDED;
}

nbj_status nbj_sub_next_batch(nbj_sub *sub, nbj_msg **out, size_t max, uint64_t timeout_ns, size_t *count)
{
    taking t = { sub, out, max, 0 };

    *count = 0;
    if (max == 0 || sub->on_msg != NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(sub->client);
    if (st != NBJ_OK)
        return st;
    st = take(sub, &t, timeout_ns);
    *count = t.count;
    if (sub->client->draining)
        return nbj__client_leave_changed(sub->client, st);
    nbj__client_leave(sub->client);
    return st;
}

nbj_status nbj_sub_next(nbj_sub *sub, uint64_t timeout_ns, nbj_msg **out)
{
    size_t count = 0;

    *out = NULL;
    return nbj_sub_next_batch(sub, out, 1, timeout_ns, &count);
}

/* --- ending and counting --- */

nbj_status nbj_unsubscribe(nbj_sub *sub, uint64_t max)
{
    nbj_status st = nbj__client_enter(sub->client);

    if (st != NBJ_OK)
        return st;
    return nbj__client_leave_changed(sub->client, nbj__session_unsubscribe(sub->client->session, &sub->core, max));
}

nbj_status nbj_sub_drain(nbj_sub *sub)
{
    nbj_status st = nbj__client_enter(sub->client);

    if (st != NBJ_OK)
        return st;
    return nbj__client_leave_changed(sub->client, nbj__session_sub_drain(sub->client->session, &sub->core));
}

nbj_sub_stats nbj_sub_stats_of(const nbj_sub *sub)
{
    nbj_sub_stats stats = { 0 };

    if (nbj__client_enter(sub->client) != NBJ_OK)
        return stats;
    stats = (nbj_sub_stats){ sub->core.delivered, sub->core.dropped, sub->core.queue_msgs, sub->core.queue_bytes };
    nbj__client_leave(sub->client);
    return stats;
}
