/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes of publishes on their way to the program. With threads, those whose callbacks have not run yet wait in a ring as
 * large as the window: they and the messages without an outcome together are never more than the window holds. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"

#include <assert.h>

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

nbj_status nbj__client_need_results(nbj_client *c)
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

void nbj__client_keep_result(nbj__results *rs, const nbj__publish_result *r)
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

/* --- at once --- */

void nbj__client_fill_result(nbj_publish_result *to, const nbj__publish_result *r)
{
    to->outcome = outcome_of(r->outcome);
    to->ack.sequence = r->ack.sequence;
    copy_text(to->ack.stream, sizeof to->ack.stream, r->ack.stream);
    copy_text(to->ack.domain, sizeof to->ack.domain, r->ack.domain);
    copy_text(to->ack.value, sizeof to->ack.value, r->ack.value);
    to->error = r->error;
}
