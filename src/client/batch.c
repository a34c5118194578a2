/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic batches: the public functions over js/batch.h. */
#include "client/sender.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"
#include "js/batch.h"
#include "js/gate.h"

#define TIMEOUT_NS NBJ_SECONDS(10)

struct nbj_batch {
    nbj__sender sender;
    nbj__batch core;
    uint64_t timeout_ns;
    nbj_batch_fn *on_result; /* NULL: not committed, waited for, or told */
    void *user;
    nbj__waiter *waiter;
};

static nbj_batch *batch_of(nbj__sender *s)
{
    return NBJ__ITEM(s, nbj_batch, sender);
}

static const nbj_batch *const_batch_of(const nbj__sender *s)
{
    return (const nbj_batch *)(const void *)((const char *)s - offsetof(nbj_batch, sender));
}

/* --- as a sender --- */

static bool on_core_event(nbj__batch *b, const nbj__event *ev, nbj_time now)
{
    switch (ev->type) {
    case NBJ__EV_INBOX:
        return nbj__batch_on_reply(b, ev->token, ev->msg, now);
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__batch_on_connected(b, now);
        return false;
    case NBJ__EV_DISCONNECTED:
        nbj__batch_on_disconnected(b);
        return false;
    case NBJ__EV_WRITABLE:
        nbj__batch_on_writable(b);
        return false;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH)
            nbj__batch_on_refused(b, ev->subject);
        return false;
    case NBJ__EV_CLOSED:
        nbj__batch_close(b);
        return false;
    default:
        return false;
    }
}

/* Wakes who waits for it. */
static void wake(nbj_batch *b)
{
    if (b->core.state == NBJ__BATCH_DONE && b->waiter != NULL)
        nbj__runtime_done(b->waiter);
}

static bool on_event(nbj__sender *s, const nbj__event *ev, nbj_time now)
{
    bool taken = on_core_event(&batch_of(s)->core, ev, now);

    wake(batch_of(s));
    return taken;
}

static nbj_time deadline(const nbj__sender *s)
{
    return nbj__batch_deadline(&const_batch_of(s)->core);
}

static void on_time(nbj__sender *s, nbj_time now)
{
    nbj__batch_on_time(&batch_of(s)->core, now);
    wake(batch_of(s));
}

static void drain(nbj__sender *s)
{
    (void)s; /* what is committed has a deadline */
}

static bool is_idle(const nbj__sender *s)
{
    const nbj_batch *b = const_batch_of(s);
    bool under_way = b->core.state != NBJ__BATCH_BUILDING && b->core.state != NBJ__BATCH_DONE;

    return !under_way && b->on_result == NULL && b->waiter == NULL;
}

static bool has_to_tell(const nbj__sender *s)
{
    const nbj_batch *b = const_batch_of(s);

    return b->core.state == NBJ__BATCH_DONE && b->on_result != NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
    nbj__text t = nbj__text_into(to, size);

    nbj__text_add(&t, from);
}

static void fill(nbj_batch_result *to, const nbj__batch_result *r)
{
    to->outcome = (nbj_outcome)r->outcome; /* the same numbers */
    copy_text(to->ack.stream, sizeof to->ack.stream, r->ack.stream);
    copy_text(to->ack.domain, sizeof to->ack.domain, r->ack.domain);
    to->ack.sequence = r->ack.sequence;
    to->ack.count = r->count;
    to->message = r->member;
    to->error = r->error;
}

static void tell(nbj__sender *s)
{
    nbj_batch *b = batch_of(s);
    nbj_batch_fn *fn = b->on_result;
    nbj_batch_result result;

    fill(&result, &b->core.result);
    b->on_result = NULL;
    nbj__client_let_go(s->client);
    if (nbj__sender_may_tell(s))
        fn(b->user, &result);
    nbj__client_come_back(s->client);
}

static void free_batch(nbj__sender *s)
{
    nbj_batch *b = batch_of(s);

    nbj__batch_free(&b->core);
    nbj__free(s->client->alloc, b, sizeof *b);
}

static const nbj__sender_kind batch_kind = {
    on_event, deadline, on_time, drain, is_idle, has_to_tell, tell, free_batch
};

/* --- building --- */

static nbj_status begin(nbj_client *c, const nbj_batch_options *o, nbj_batch **out, nbj_error *error)
{
    nbj_status st = nbj__gate_check_server(c->session, NBJ__FEATURE_ATOMIC_BATCH, error);

    if (st != NBJ_OK)
        return st;
    if (nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        return nbj__error_set(error, NBJ_E_CLOSED, nbj_strerror(NBJ_E_CLOSED), (char *)NULL);
    nbj_batch *b = nbj__alloc0(c->alloc, sizeof *b);
    if (b == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    nbj__batch_init(&b->core, c->session, o->max_bytes, &c->batch_number, NULL);
    b->timeout_ns = o->timeout_ns > 0 ? o->timeout_ns : TIMEOUT_NS;
    nbj__sender_begin(&b->sender, c, &batch_kind);
    *out = b;
    return NBJ_OK;
}

nbj_status nbj_batch_begin(nbj_client *client, const nbj_batch_options *options, nbj_batch **out, nbj_error *error)
{
    nbj_batch_options o;
    nbj_status st = nbj__options_read(&o, sizeof o, options);

    *out = NULL;
    if (st == NBJ_OK)
        st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = begin(client, &o, out, error);
    nbj__client_leave(client);
    return st;
}

nbj_status nbj_batch_add(nbj_batch *batch, const char *subject, nbj_bytes data, const nbj_publish_options *options)
{
    nbj_publish_options o;
    nbj_client *c = batch->sender.client;
    nbj__sender_room room;
    nbj__outgoing m = { .subject = nbj_str(subject), .payload = data };
    nbj__feature feature = NBJ__FEATURE_ATOMIC_BATCH;

    nbj_status st = nbj__options_read(&o, sizeof o, options);
    if (st == NBJ_OK)
        st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    st = nbj__sender_message(c, &o, &room, &m, &feature);
    if (st == NBJ_OK)
        st = nbj__batch_add(&batch->core, &m);
    if (st == NBJ_OK && nbj__gate_level(feature) > nbj__gate_level(batch->core.feature))
        batch->core.feature = feature;
    nbj__client_leave(c);
    return st;
}

uint64_t nbj_batch_count(const nbj_batch *batch)
{
    if (nbj__client_enter(batch->sender.client) != NBJ_OK)
        return 0;
    uint64_t n = batch->core.state == NBJ__BATCH_BUILDING ? batch->core.count : 0;
    nbj__client_leave(batch->sender.client);
    return n;
}

/* --- the commit --- */

static nbj_status commit(nbj_batch *b)
{
    nbj_client *c = b->sender.client;
    nbj_time now = nbj__os_now();

    if (nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        return NBJ_E_CLOSED;
    return c->draining ? NBJ_E_DRAINING : nbj__batch_commit(&b->core, nbj__time_add(now, b->timeout_ns), now);
}

/* What was not even sent has an outcome too. */
static nbj_status refuse(nbj_batch_result *result, nbj_status st)
{
    *result = (nbj_batch_result){ .outcome = NBJ_REJECTED };
    return nbj__error_set(&result->error, st, nbj_strerror(st), (char *)NULL);
}

static nbj_status commit_and_wait(nbj_batch *b)
{
    nbj__waiter waiter = { 0 };

    if (!nbj__client_has_threads(b->sender.client))
        return NBJ_E_WOULD_BLOCK;
    nbj_status st = commit(b);
    if (st != NBJ_OK || b->core.state == NBJ__BATCH_DONE)
        return st;
    b->waiter = &waiter;
    nbj__runtime_wait(b->sender.client->runtime, &waiter, NBJ_TIME_NEVER); /* the batch keeps its deadline */
    b->waiter = NULL;
    return NBJ_OK;
}

nbj_status nbj_batch_commit(nbj_batch *batch, nbj_batch_result *result)
{
    nbj_client *c = batch->sender.client;
    nbj_batch_result unwanted;

    if (result == NULL)
        result = &unwanted;
    nbj_status st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return refuse(result, st);
    st = commit_and_wait(batch);
    if (st == NBJ_OK)
        fill(result, &batch->core.result);
    (void)nbj__client_leave_changed(c, st);
    if (st != NBJ_OK)
        return refuse(result, st);
    return result->outcome == NBJ_STORED ? NBJ_OK : result->error.status;
}

nbj_status nbj_batch_commit_async(nbj_batch *batch, nbj_batch_fn *on_result, void *user)
{
    nbj_client *c = batch->sender.client;

    if (on_result == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    st = nbj__client_need_callbacks(c);
    if (st == NBJ_OK)
        st = commit(batch);
    if (st == NBJ_OK) {
        batch->on_result = on_result;
        batch->user = user;
        nbj__sender_changed(&batch->sender);
    }
    return nbj__client_leave_changed(c, st);
}

void nbj_batch_release(nbj_batch *batch)
{
    if (batch != NULL && nbj__client_enter(batch->sender.client) == NBJ_OK)
        nbj__sender_release(&batch->sender);
}
