/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream publishes: with a callback, or waited for. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"
#include "js/publish_headers.h"

#include <assert.h>

#define TIMEOUT_NS NBJ_SECONDS(10)

static_assert(offsetof(nbj_publish_options, error) + sizeof(nbj_error *) == sizeof(nbj_publish_options) &&
                  offsetof(nbj_schedule, reserved) + sizeof((nbj_schedule *)0)->reserved == sizeof(nbj_schedule),
              "no padding at the end: a field added there must be seen in struct_size");

/* --- outcomes --- */

typedef struct waiting {
    nbj__waiter waiter;
    nbj_publish_result *result;
} waiting;

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
        nbj__client_fill_result(w->result, r);
        nbj__runtime_done(&w->waiter);
        nbj__client_changed(&c->watchers);
    } else if (nbj__client_has_threads(c)) {
        nbj__client_keep_result(c->results, r);
        if (c->publishers_waiting > 0) /* they need the window alone, whose room is theirs before the callback runs */
            nbj__client_changed(&c->watchers);
    } else if (!c->released) {
        nbj_publish_result result;
        nbj__client_fill_result(&result, r);
        fn(r->user.data, &result);
    }
}

/* --- publishing --- */

typedef struct publishing {
    nbj_client *client;
    nbj__publish msg;
    nbj_status status;
} publishing;

static bool is_published(void *arg)
{
    publishing *p = arg;

    p->status = NBJ_E_WOULD_BLOCK;
    if (nbj__session_phase(p->client->session) == NBJ__PHASE_CLOSED)
        p->status = NBJ_E_CLOSED;
    else if (p->client->draining)
        p->status = NBJ_E_DRAINING;
    else
        p->status = nbj__publisher_publish(&p->client->publisher, &p->msg, nbj__os_now());
    return p->status != NBJ_E_WOULD_BLOCK;
}

/* Publishes when there is room. With the lock. */
static nbj_status publish(publishing *p, bool may_wait)
{
    nbj_client *c = p->client;

    if (is_published(p) || !may_wait)
        return p->status;
    c->publishers_waiting += p->msg.no_tell;
    bool published = nbj__client_wait(c, &c->watchers, is_published, p, p->msg.deadline);
    c->publishers_waiting -= p->msg.no_tell;
    return published ? p->status : NBJ_E_TIMEOUT;
}

/* Fills |msg| from what the caller gave. */
static void begin(nbj__publish *msg, const char *subject, nbj_bytes data, const nbj_publish_options *o)
{
    *msg = (nbj__publish){
        .msg = { .subject = nbj_str(subject), .headers = o->headers, .header_count = o->header_count, .payload = data },
        .msg_id = nbj_str(o->msg_id),
        .no_id = o->no_msg_id,
        .ordered = o->ordered,
        .counts = o->increment != 0 || o->increment_text != NULL,
        .retries = o->retries,
        .retry_ns = o->retry_delay_ns,
        .deadline = nbj__time_add(nbj__os_now(), o->timeout_ns > 0 ? o->timeout_ns : TIMEOUT_NS)
    };
}

static nbj_status explain(nbj_error *error, nbj_status st)
{
    const char *more = "";

    if (st == NBJ_E_BAD_HEADER)
        more = ": an illegal name or value, more than 63, or Nats-Msg-Id beside the option msg_id";
    else if (st == NBJ_E_ORDER)
        more = "; nbj_publish_resume() lets them pass again";
    return nbj__error_set(error, st, nbj_strerror(st), more, (char *)NULL);
}

/* As publish(), with the headers that the options stand for. */
static nbj_status publish_with_lines(publishing *p, const nbj_publish_options *options, bool may_wait, nbj_error *error)
{
    nbj_publish_options o = *options;
    nbj_schedule schedule;
    nbj__publish_lines lines;
    nbj__js_where where = { 0 };
    const nbj__info *info = nbj__session_info(p->client->session);

    if (nbj__options_read(&schedule, sizeof schedule, o.schedule) != NBJ_OK)
        return explain(error, NBJ_E_INVALID);
    if (o.schedule != NULL)
        o.schedule = &schedule;
    if (info != NULL)
        where.version = nbj__version_parse(info->version);
    nbj_status st = nbj__publish_lines_make(&lines, &o, &where, error);
    if (st != NBJ_OK)
        return st;
    p->msg.more = lines.items;
    p->msg.more_count = lines.count;
    p->msg.feature = (uint8_t)lines.feature;
    st = publish(p, may_wait);
    p->msg.more = NULL; /* they end here */
    p->msg.more_count = 0;
    return st == NBJ_OK ? st : explain(error, st);
}

static nbj_status publish_as(publishing *p, const nbj_publish_options *o, bool may_wait, nbj_error *error)
{
    may_wait = may_wait && !o->no_wait;
    if (nbj__publish_has_lines(o))
        return publish_with_lines(p, o, may_wait, error);
    nbj_status st = publish(p, may_wait);
    return st == NBJ_OK ? st : explain(error, st);
}

static const nbj_publish_options no_options = { .struct_size = sizeof no_options };

/* |options| themselves where they are of this version, else a copy in |own|; NULL: they are not legal. */
static const nbj_publish_options *read_options(const nbj_publish_options *options, nbj_publish_options *own)
{
    if (options == NULL)
        return &no_options;
    if (options->struct_size == sizeof *options)
        return options;
    return nbj__options_read(own, sizeof *own, options) == NBJ_OK ? own : NULL;
}

nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                             const nbj_publish_options *options, nbj_publish_fn *on_result, void *user)
{
    nbj_publish_options own;
    const nbj_publish_options *o = read_options(options, &own);
    publishing p = { .client = client };

    if (on_result == NULL || o == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    begin(&p.msg, subject, data, o);
    p.msg.user = (nbj__publish_user){ (void (*)(void))on_result, user };
    bool may_wait = nbj__client_has_threads(client) && !nbj__client_is_in_callback(client);
    st = nbj__client_need_results(client);
    st = st == NBJ_OK ? publish_as(&p, o, may_wait, o->error) : explain(o->error, st);
    return nbj__client_leave_changed(client, st); /* it has a deadline */
}

/* What was not even sent has an outcome too; |error| says why. */
static nbj_status refuse(nbj_publish_result *result, nbj_error error)
{
    *result = (nbj_publish_result){ .outcome = NBJ_REJECTED, .error = error };
    return error.status;
}

nbj_status nbj_publish(nbj_client *client, const char *subject, nbj_bytes data, const nbj_publish_options *options,
                       nbj_publish_result *result)
{
    nbj_publish_options own;
    const nbj_publish_options *o = read_options(options, &own);
    publishing p = { .client = client };
    nbj_publish_result unwanted = { .outcome = NBJ_UNKNOWN };
    waiting w = { .result = result != NULL ? result : &unwanted };
    nbj_error why = { .status = NBJ_E_INVALID };

    nbj_status st = o != NULL ? nbj__client_enter(client) : NBJ_E_INVALID;
    if (st != NBJ_OK) {
        explain(&why, st);
        return refuse(w.result, why);
    }
    begin(&p.msg, subject, data, o);
    p.msg.user = (nbj__publish_user){ (void (*)(void))waited_for, &w };
    p.msg.no_tell = true;
    st = nbj__client_has_threads(client) ? publish_as(&p, o, true, &why) : explain(&why, NBJ_E_WOULD_BLOCK);
    if (st == NBJ_OK)
        nbj__runtime_wait(client->runtime, &w.waiter, NBJ_TIME_NEVER); /* the window keeps its deadline */
    nbj__client_leave(client);
    if (st != NBJ_OK)
        return refuse(w.result, why);
    return nbj_is_stored(w.result) ? NBJ_OK : w.result->error.status;
}

nbj_status nbj_publish_resume(nbj_client *client)
{
    nbj_status st = nbj__client_enter(client);

    if (st != NBJ_OK)
        return st;
    st = nbj__publisher_resume(&client->publisher);
    nbj__client_leave(client);
    return st;
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

/* --- what is unfinished --- */

struct nbj_pending {
    const nbj_allocator *alloc;
    size_t count;
    size_t size; /* of this struct, with the subjects behind the messages */
    nbj_pending_message items[];
};

static size_t pending_size(const nbj__publisher *p)
{
    size_t size = sizeof(nbj_pending) + p->open * sizeof(nbj_pending_message);

    for (nbj__publish_place at = { 0 }; nbj__publisher_next(p, &at);)
        size += nbj__publisher_subject(p, &at).len;
    return size;
}

static void fill_pending(nbj_pending *list, const nbj__publisher *p)
{
    uint8_t *text = (uint8_t *)&list->items[p->open];

    for (nbj__publish_place at = { 0 }; nbj__publisher_next(p, &at);) {
        nbj_bytes subject = nbj__publisher_subject(p, &at);
        bool is_waited_for = at.entry->user.fn == (void (*)(void))waited_for;
        memcpy(text, subject.ptr, subject.len);
        list->items[list->count++] = (nbj_pending_message){ .subject = nbj_view(text, subject.len),
                                                            .user = is_waited_for ? NULL : at.entry->user.data,
                                                            .size = at.entry->size,
                                                            .is_sent = at.entry->sends > at.entry->refusals };
        text += subject.len;
    }
}

nbj_status nbj_publish_pending(const nbj_client *client, nbj_pending **out)
{
    const nbj__publisher *p = &client->publisher;

    *out = NULL;
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    size_t size = pending_size(p);
    nbj_pending *list = nbj__alloc(client->alloc, size);
    if (list != NULL) {
        *list = (nbj_pending){ .alloc = client->alloc, .size = size };
        fill_pending(list, p);
    }
    nbj__client_leave(client);
    *out = list;
    return list != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

size_t nbj_pending_count(const nbj_pending *pending)
{
    return pending->count;
}

nbj_pending_message nbj_pending_at(const nbj_pending *pending, size_t index)
{
    return index < pending->count ? pending->items[index] : (nbj_pending_message){ 0 };
}

void nbj_pending_release(nbj_pending *pending)
{
    if (pending != NULL)
        nbj__free(pending->alloc, pending, pending->size);
}
