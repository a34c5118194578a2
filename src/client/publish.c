/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream publishes: with a callback, or waited for. With threads, outcomes whose callbacks have not run yet wait in a
 * ring as large as the window: they and the messages without an outcome together are never more than the window holds. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "client/options.h"
#include "driver/os.h"
#include "js/publish_headers.h"

#include <assert.h>

#define TIMEOUT_NS NBJ_SECONDS(10)

/* --- outcomes that wait for their callback --- */

/* Names of stream and domain, and a counter's total, one behind the other with their NULs; shared by many outcomes. */
typedef struct note {
    nbj_publish_fn *fn;
    void *user;
    nbj_outcome outcome;
    nbj_status status; /* without |error|, which may be missing for want of memory */
    uint64_t sequence;
    size_t bytes; /* that its message took */
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

static const char *text_behind(const char *text)
{
    return text + strlen(text) + 1;
}

static bool are_of(const nbj__chunk *names, const nbj__pub_ack *ack)
{
    const char *stream = (const char *)names->data;

    return strcmp(stream, ack->stream) == 0 && strcmp(text_behind(stream), ack->domain) == 0;
}

static nbj__chunk *new_names(const nbj_allocator *alloc, const nbj__pub_ack *ack)
{
    const char *texts[] = { ack->stream, ack->domain, ack->value };
    size_t len = strlen(ack->stream) + strlen(ack->domain) + strlen(ack->value) + 3;
    nbj__chunk *c = nbj__chunk_new(alloc, len);
    uint8_t *to = c != NULL ? c->data : NULL;

    for (size_t i = 0; to != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = strlen(texts[i]) + 1;
        memcpy(to, texts[i], n);
        to += n;
    }
    return c;
}

/* Names equal to |ack|'s, usually those of the acknowledgement before; a total is its own. NULL: no memory. */
static nbj__chunk *names_of(nbj__results *rs, const nbj__pub_ack *ack)
{
    if (ack->value[0] != '\0')
        return new_names(rs->client->alloc, ack);
    if (rs->names == NULL || !are_of(rs->names, ack)) {
        nbj__chunk_release(rs->names);
        rs->names = new_names(rs->client->alloc, ack);
    }
    return rs->names != NULL ? nbj__chunk_retain(rs->names) : NULL;
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
    *n = (note){
        .fn = (nbj_publish_fn *)r->user.fn, .user = r->user.data, .outcome = outcome_of(r->outcome), .bytes = r->bytes
    };
    nbj__publisher *p = &rs->client->publisher;
    p->told_messages = rs->count;
    p->told_bytes += n->bytes;
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

static void fill_names(nbj_publish_result *r, const nbj__chunk *names)
{
    const char *stream = names != NULL ? (const char *)names->data : NULL;
    const char *domain = stream != NULL ? text_behind(stream) : NULL;

    copy_text(r->ack.stream, sizeof r->ack.stream, stream != NULL ? stream : "");
    copy_text(r->ack.domain, sizeof r->ack.domain, domain != NULL ? domain : "");
    copy_text(r->ack.value, sizeof r->ack.value, domain != NULL ? text_behind(domain) : "");
}

/* |r| is that of |before|, which mostly differs in its sequence alone; NULL: none is filled yet. */
static void tell(const note *n, const note *before, nbj_publish_result *r)
{
    bool is_like_it = before != NULL && before->names == n->names && before->status == NBJ_OK;

    r->outcome = n->outcome;
    r->ack.sequence = n->sequence;
    if (!is_like_it)
        fill_names(r, n->names);
    if (n->error != NULL)
        r->error = *n->error;
    else if (!is_like_it || n->status != NBJ_OK)
        nbj__error_set(&r->error, n->status, "", (char *)NULL);
    n->fn(n->user, r);
}

static_assert(offsetof(nbj_publish_options, error) + sizeof(nbj_error *) == sizeof(nbj_publish_options) &&
                  offsetof(nbj_schedule, reserved) + sizeof((nbj_schedule *)0)->reserved == sizeof(nbj_schedule),
              "no padding at the end: a field added there must be seen in struct_size");

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
    const note *before = NULL;
    nbj_publish_result result;

    nbj__client_let_go(c);
    for (size_t i = 0; i < n && !c->released; i++) {
        const note *now = &rs->notes[(first + i) % rs->cap];
        tell(now, before, &result);
        before = now;
    }
    nbj__client_come_back(c);
    for (size_t i = 0; i < n; i++) {
        note *told = &rs->notes[(first + i) % rs->cap];
        c->publisher.told_bytes -= told->bytes;
        free_note(c, told);
    }
    rs->first = (first + n) % rs->cap;
    rs->count -= n;
    c->publisher.told_messages = rs->count;
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
    copy_text(to->ack.value, sizeof to->ack.value, r->ack.value);
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
    st = need_results(client);
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
