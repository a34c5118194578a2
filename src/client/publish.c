/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream publishes: with a callback, or waited for. With threads, outcomes whose callbacks have not run yet wait in a
 * ring as large as the window: they and the messages without an outcome together are never more than the window holds. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "client/options.h"
#include "driver/os.h"

#include <assert.h>

#define TIMEOUT_NS NBJ_SECONDS(10)

/* --- outcomes that wait for their callback --- */

/* Names of stream and domain, one behind the other with their NULs; shared by many outcomes. */
typedef struct note {
    nbj_publish_fn *fn;
    void *user;
    nbj_outcome outcome;
    nbj_status status; /* without |error|, which may be missing for want of memory */
    uint64_t sequence;
    nbj__chunk *names;
    nbj_error *error;
} note;

struct nbj__results {
    nbj__task task;
    nbj_client *client;
    size_t cap, first, count; /* of |notes|, a ring; the one that is told counts until its callback has returned */
    nbj__chunk *names;        /* of the last acknowledgement */
    note notes[];
};

static size_t results_size(size_t cap)
{
    return sizeof(nbj__results) + cap * sizeof(note);
}

static void run_result(nbj__task *task);

static nbj_status need_results(nbj_client *c)
{
    size_t cap = c->publisher.opt.max_messages;

    if (!nbj__client_has_threads(c) || c->results != NULL)
        return NBJ_OK;
    if (nbj__client_need_callbacks(c) != NBJ_OK || (c->results = nbj__alloc0(c->alloc, results_size(cap))) == NULL)
        return NBJ_E_NOMEM;
    c->results->client = c;
    c->results->cap = cap;
    c->results->task.run = run_result;
    return NBJ_OK;
}

static void free_note(nbj_client *c, note *n)
{
    nbj__chunk_release(n->names);
    nbj__free(c->alloc, n->error, sizeof *n->error);
}

void nbj__client_results_free(nbj_client *c)
{
    nbj__results *rs = c->results;

    if (rs == NULL)
        return;
    for (size_t i = 0; i < rs->count; i++)
        free_note(c, &rs->notes[(rs->first + i) % rs->cap]);
    nbj__chunk_release(rs->names);
    nbj__free(c->alloc, rs, results_size(rs->cap));
    c->results = NULL;
}

bool nbj__client_results_are_told(const nbj_client *c)
{
    return c->results == NULL || c->results->count == 0;
}

static const char *stream_in(const nbj__chunk *names)
{
    return names != NULL ? (const char *)names->data : "";
}

static const char *domain_in(const nbj__chunk *names)
{
    return names != NULL ? stream_in(names) + strlen(stream_in(names)) + 1 : "";
}

/* Names equal to |ack|'s, usually those of the acknowledgement before. NULL: no memory. */
static nbj__chunk *names_of(nbj__results *rs, const nbj__pub_ack *ack)
{
    size_t stream = strlen(ack->stream) + 1;
    size_t domain = strlen(ack->domain) + 1;

    if (rs->names == NULL || strcmp(stream_in(rs->names), ack->stream) != 0 ||
        strcmp(domain_in(rs->names), ack->domain) != 0) {
        nbj__chunk_release(rs->names);
        rs->names = nbj__chunk_new(rs->client->alloc, stream + domain);
        if (rs->names == NULL)
            return NULL;
        memcpy(rs->names->data, ack->stream, stream);
        memcpy(rs->names->data + stream, ack->domain, domain);
    }
    return nbj__chunk_retain(rs->names);
}

static nbj_outcome outcome_of(nbj__publish_outcome o)
{
    switch (o) {
    case NBJ__STORED:
        return NBJ_STORED;
    case NBJ__DUPLICATE:
        return NBJ_DUPLICATE;
    case NBJ__REJECTED:
        return NBJ_REJECTED;
    case NBJ__UNKNOWN:
        break;
    }
    return NBJ_UNKNOWN;
}

static bool has_ack(nbj_outcome o)
{
    return o == NBJ_STORED || o == NBJ_DUPLICATE;
}

static void keep(nbj__results *rs, const nbj__publish_result *r)
{
    assert(rs->count < rs->cap);
    note *n = &rs->notes[(rs->first + rs->count++) % rs->cap];
    *n = (note){ .fn = (nbj_publish_fn *)r->user.fn, .user = r->user.data, .outcome = outcome_of(r->outcome) };
    if (has_ack(n->outcome)) {
        n->sequence = r->ack.sequence;
        n->names = names_of(rs, &r->ack);
    } else {
        n->status = r->error.status;
        n->error = nbj__alloc(rs->client->alloc, sizeof *n->error);
        if (n->error != NULL)
            *n->error = r->error;
    }
    nbj__callbacks_post(&rs->client->callbacks, &rs->task);
}

static void copy_text(char *to, size_t size, const char *from)
{
    nbj__text t = nbj__text_into(to, size);

    nbj__text_add(&t, from);
}

static void tell(const note *n)
{
    nbj_publish_result r;

    r.outcome = n->outcome;
    r.ack.sequence = n->sequence;
    copy_text(r.ack.stream, sizeof r.ack.stream, stream_in(n->names));
    copy_text(r.ack.domain, sizeof r.ack.domain, domain_in(n->names));
    if (n->error != NULL)
        r.error = *n->error;
    else
        nbj__error_set(&r.error, n->status, "", (char *)NULL);
    n->fn(n->user, &r);
}

#define AT_ONCE 64u /* callbacks between two looks at the lock */

/* Messages without an outcome, and outcomes without their callback. */
static size_t used_room(const nbj_client *c)
{
    return (size_t)(c->publisher.tail - c->publisher.head) + (c->results != NULL ? c->results->count : 0);
}

/* Who waits for room is woken when there is a good part of it. */
static bool is_worth_telling(const nbj_client *c)
{
    return c->results->count == 0 || used_room(c) <= c->publisher.opt.max_messages / 4 * 3;
}

static void run_result(nbj__task *task)
{
    nbj__results *rs = NBJ__ITEM(task, nbj__results, task);
    nbj_client *c = rs->client;
    size_t n = rs->count < AT_ONCE ? rs->count : AT_ONCE;
    size_t first = rs->first; /* those are not touched while they count */

    nbj__client_let_go(c);
    for (size_t i = 0; i < n && !c->released; i++)
        tell(&rs->notes[(first + i) % rs->cap]);
    nbj__client_come_back(c);
    for (size_t i = 0; i < n; i++)
        free_note(c, &rs->notes[(first + i) % rs->cap]);
    rs->first = (first + n) % rs->cap;
    rs->count -= n;
    if (is_worth_telling(c))
        nbj__client_changed(&c->watchers);
    if (rs->count > 0)
        nbj__callbacks_post(&c->callbacks, task);
    else if (c->draining)
        nbj__runtime_wake(c->runtime);
}

/* --- outcomes --- */

typedef struct waiting {
    nbj__waiter waiter;
    nbj_publish_result *result;
} waiting;

static void fill(nbj_publish_result *to, const nbj__publish_result *r)
{
    to->outcome = outcome_of(r->outcome);
    to->ack.sequence = r->ack.sequence;
    copy_text(to->ack.stream, sizeof to->ack.stream, r->ack.stream);
    copy_text(to->ack.domain, sizeof to->ack.domain, r->ack.domain);
    to->error = r->error;
}

/* The mark of messages that a thread waits for; never called. */
static void waited_for(void *user, const nbj_publish_result *result)
{
    (void)user;
    (void)result;
}

void nbj__client_on_result(nbj_client *c, const nbj__publish_result *r)
{
    nbj_publish_fn *fn = (nbj_publish_fn *)r->user.fn;

    if (fn == waited_for) {
        waiting *w = r->user.data;
        fill(w->result, r);
        nbj__runtime_done(&w->waiter);
        nbj__client_changed(&c->watchers);
    } else if (nbj__client_has_threads(c)) {
        keep(c->results, r);
        if (c->publishers_waiting > 0) /* they need the window alone, whose room is theirs before the callback runs */
            nbj__client_changed(&c->watchers);
    } else if (!c->released) {
        nbj_publish_result result;
        fill(&result, r);
        fn(r->user.data, &result);
    }
}

/* --- publishing --- */

typedef struct publishing {
    nbj_client *client;
    nbj__publish msg;
    nbj_status status;
} publishing;

static bool is_waited_for(const nbj__publish *m)
{
    return m->user.fn == (void (*)(void))waited_for;
}

/* Room for its outcome, too, if that is for the callback thread: which may be the one that waits here. */
static bool has_room(const nbj_client *c, const nbj__publish *m)
{
    return is_waited_for(m) || used_room(c) < c->publisher.opt.max_messages;
}

static bool is_published(void *arg)
{
    publishing *p = arg;

    p->status = NBJ_E_WOULD_BLOCK;
    if (nbj__session_phase(p->client->session) == NBJ__PHASE_CLOSED)
        p->status = NBJ_E_CLOSED;
    else if (p->client->draining)
        p->status = NBJ_E_DRAINING;
    else if (has_room(p->client, &p->msg))
        p->status = nbj__publisher_publish(&p->client->publisher, &p->msg, nbj__os_now());
    return p->status != NBJ_E_WOULD_BLOCK;
}

/* Publishes when there is room. With the lock. */
static nbj_status publish(nbj_client *c, const char *subject, nbj_bytes data, const nbj_publish_options *o,
                          nbj__publish_user user, bool may_wait)
{
    publishing p = { .client = c,
                     .msg = { .msg = { .subject = nbj_str(subject),
                                       .headers = o->headers,
                                       .header_count = o->header_count,
                                       .payload = data },
                              .msg_id = nbj_str(o->msg_id),
                              .no_id = o->no_msg_id,
                              .deadline = nbj__time_add(nbj__os_now(), o->timeout_ns > 0 ? o->timeout_ns : TIMEOUT_NS),
                              .user = user } };

    if (is_published(&p) || !may_wait)
        return p.status;
    c->publishers_waiting += is_waited_for(&p.msg);
    bool published = nbj__client_wait(c, &c->watchers, is_published, &p, p.msg.deadline);
    c->publishers_waiting -= is_waited_for(&p.msg);
    return published ? p.status : NBJ_E_TIMEOUT;
}

nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                             const nbj_publish_options *options, nbj_publish_fn *on_result, void *user)
{
    nbj_publish_options o;
    nbj__publish_user whom = { (void (*)(void))on_result, user };

    if (on_result == NULL || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    bool may_wait = nbj__client_has_threads(client) && !nbj__client_is_in_callback(client);
    st = need_results(client);
    if (st == NBJ_OK)
        st = publish(client, subject, data, &o, whom, may_wait);
    return nbj__client_leave_changed(client, st); /* it has a deadline */
}

/* What was not even sent has an outcome too. */
static nbj_status refuse(nbj_publish_result *result, nbj_status st)
{
    *result = (nbj_publish_result){ .outcome = NBJ_REJECTED };
    return nbj__error_set(&result->error, st, nbj_strerror(st), (char *)NULL);
}

nbj_status nbj_publish(nbj_client *client, const char *subject, nbj_bytes data, const nbj_publish_options *options,
                       nbj_publish_result *result)
{
    nbj_publish_options o;
    nbj_publish_result unwanted = { .outcome = NBJ_UNKNOWN };
    waiting w = { .result = result != NULL ? result : &unwanted };
    nbj__publish_user whom = { (void (*)(void))waited_for, &w };

    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return refuse(w.result, NBJ_E_INVALID);
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return refuse(w.result, st);
    if (!nbj__client_has_threads(client))
        st = NBJ_E_WOULD_BLOCK;
    else
        st = publish(client, subject, data, &o, whom, true);
    if (st == NBJ_OK)
        nbj__runtime_wait(client->runtime, &w.waiter, NBJ_TIME_NEVER); /* the window keeps its deadline */
    nbj__client_leave(client);
    if (st != NBJ_OK)
        return refuse(w.result, st);
    return nbj_is_stored(w.result) ? NBJ_OK : w.result->error.status;
}

/* --- flushing and counting --- */

static bool is_finished(void *client)
{
    const nbj_client *c = client;

    return nbj__publisher_is_idle(&c->publisher) && nbj__client_results_are_told(c);
}

nbj_status nbj_publish_flush(nbj_client *client, uint64_t timeout_ns, uint64_t *unfinished)
{
    nbj_status st = nbj__client_enter(client);

    if (st != NBJ_OK)
        return st;
    if (is_finished(client))
        st = NBJ_OK;
    else if (!nbj__client_has_threads(client) || nbj__client_is_in_callback(client))
        st = NBJ_E_WOULD_BLOCK;
    else if (!nbj__client_wait(client, &client->watchers, is_finished, client,
                               nbj__time_add(nbj__os_now(), timeout_ns)))
        st = NBJ_E_TIMEOUT;
    if (unfinished != NULL)
        *unfinished = nbj__publisher_unfinished(&client->publisher);
    nbj__client_leave(client);
    return st;
}

uint64_t nbj_publish_unfinished(const nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return 0;
    uint64_t n = nbj__publisher_unfinished(&client->publisher);
    nbj__client_leave(client);
    return n;
}
