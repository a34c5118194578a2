/* SPDX-License-Identifier: Apache-2.0 */
/* Advisories: one handle for as many subscriptions as are needed. Once the program's callback has returned the handle is
 * not touched any more, since that may have released it. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "js/advisory.h"
#include "wire/subject.h"

struct nbj_advisories {
    const nbj_allocator *alloc;
    nbj__advisory_filter filter;
    char *copies[4]; /* of the filter's texts */
    nbj_advisory_fn *on_advisory;
    nbj_advisories_end_fn *on_end;
    void *user;
    bool is_whole; /* nobody is told anything before all is subscribed to */
    bool end_is_told;
    size_t count;
    nbj_sub *subs[NBJ__ADVISORY_KINDS];
};

static nbj__advisory_filter filter_of(const nbj_advisory_options *o)
{
    return (nbj__advisory_filter){
        .kinds = o->kinds, .stream = o->stream, .consumer = o->consumer, .domain = o->domain, .prefix = o->event_prefix
    };
}

/* --- what comes --- */

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_advisories *a = user;
    nbj__advisory advisory;

    (void)sub;
    (void)nbj__advisory_read(nbj_msg_data(msg), &advisory); /* unread it is told, too */
    if (a->is_whole && nbj__advisory_is_wanted(&a->filter, &advisory.data))
        a->on_advisory(a->user, a, &advisory.data);
    nbj__advisory_clear(&advisory);
}

static void on_end(void *user, nbj_sub *sub, nbj_status why)
{
    nbj_advisories *a = user;

    (void)sub;
    if (a->on_end == NULL || a->end_is_told || !a->is_whole)
        return;
    a->end_is_told = true;
    a->on_end(a->user, a, why);
}

/* --- subscribing --- */

static bool copy(nbj_advisories *a, size_t i, const char **text)
{
    if (*text == NULL)
        return true;
    a->copies[i] = nbj__copy_text(a->alloc, nbj_str(*text));
    *text = a->copies[i];
    return *text != NULL;
}

/* The domain in "$JS.<domain>.API", to |out|; NULL: there is none. */
static const char *domain_of(const char *prefix, char out[NBJ__API_PREFIX_MAX])
{
    size_t len = strlen(prefix);

    if (len < strlen("$JS.x.API") || strncmp(prefix, "$JS.", 4) != 0 || strcmp(prefix + len - 4, ".API") != 0)
        return NULL;
    memcpy(out, prefix + 4, len - 8);
    out[len - 8] = '\0';
    return nbj__name_is_legal(nbj_str(out)) ? out : NULL;
}

static nbj_status copy_filter(nbj_advisories *a, const nbj_client *c, const nbj__advisory_filter *from)
{
    nbj__advisory_filter *f = &a->filter;
    char domain[NBJ__API_PREFIX_MAX];

    *f = *from;
    if (f->domain == NULL)
        f->domain = domain_of(c->where.prefix, domain);
    else if (f->domain[0] == '\0')
        f->domain = NULL;
    return copy(a, 0, &f->stream) && copy(a, 1, &f->consumer) && copy(a, 2, &f->domain) && copy(a, 3, &f->prefix)
               ? NBJ_OK
               : NBJ_E_NOMEM;
}

/* With the lock: callbacks wait for all of it. */
static nbj_status subscribe_all(nbj_advisories *a, nbj_client *c)
{
    nbj_sub_options options = { .struct_size = sizeof options, .on_end = on_end };
    uint64_t kinds = nbj__advisory_subscriptions(&a->filter);
    char subject[NBJ_ADVISORY_SUBJECT_MAX];
    nbj_status st = NBJ_OK;

    for (unsigned i = 0; i < NBJ__ADVISORY_KINDS && st == NBJ_OK; i++) {
        nbj__text t = nbj__text_into(subject, sizeof subject);
        if ((kinds & NBJ_ADVISORY_BIT(i)) == 0 || !nbj__advisory_subject(&a->filter, (nbj_advisory_kind)i, &t))
            continue;
        st = t.cut ? NBJ_E_INVALID : nbj__client_subscribe(c, subject, &options, on_msg, a, &a->subs[a->count]);
        a->count += st == NBJ_OK;
    }
    a->is_whole = st == NBJ_OK;
    return st;
}

static nbj_status subscribe(nbj_client *c, const nbj__advisory_filter *filter, nbj_advisories *a, nbj_advisories **out)
{
    nbj_status st = nbj__client_enter(c);

    if (st == NBJ_OK) {
        st = copy_filter(a, c, filter);
        if (st == NBJ_OK)
            st = subscribe_all(a, c);
        if (st == NBJ_OK)
            *out = a;
        st = nbj__client_leave_sent(c, st);
    }
    if (st != NBJ_OK)
        nbj_advisories_release(a);
    return st;
}

nbj_status nbj_advisories_subscribe(nbj_client *client, const nbj_advisory_options *options,
                                    nbj_advisory_fn *on_advisory, nbj_advisories_end_fn *on_end_fn, void *user,
                                    nbj_advisories **out)
{
    nbj_advisory_options o;

    *out = NULL;
    if (on_advisory == NULL || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj__advisory_filter filter = filter_of(&o);
    if (!nbj__advisory_filter_check(&filter))
        return NBJ_E_INVALID;
    nbj_advisories *a = nbj__alloc0(client->alloc, sizeof *a);
    if (a == NULL)
        return NBJ_E_NOMEM;
    a->alloc = client->alloc;
    a->on_advisory = on_advisory;
    a->on_end = on_end_fn;
    a->user = user;
    return subscribe(client, &filter, a, out);
}

void nbj_advisories_release(nbj_advisories *advisories)
{
    if (advisories == NULL)
        return;
    for (size_t i = 0; i < advisories->count; i++)
        nbj_sub_release(advisories->subs[i]);
    for (size_t i = 0; i < sizeof advisories->copies / sizeof advisories->copies[0]; i++)
        nbj__free_text(advisories->alloc, advisories->copies[i]);
    nbj__free(advisories->alloc, advisories, sizeof *advisories);
}

/* --- without a client --- */

nbj_status nbj_advisory_subject(nbj_advisory_kind kind, const nbj_advisory_options *options, char *out, size_t size)
{
    nbj_advisory_options o;

    if (size == 0)
        return NBJ_E_INVALID;
    out[0] = '\0';
    if ((unsigned)kind >= NBJ__ADVISORY_KINDS || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    o.kinds = NBJ_ADVISORY_BIT(kind);
    nbj__advisory_filter filter = filter_of(&o);
    nbj__text t = nbj__text_into(out, size);
    if (!nbj__advisory_filter_check(&filter) || !nbj__advisory_subject(&filter, kind, &t))
        return NBJ_E_INVALID;
    if (t.cut)
        out[0] = '\0';
    return t.cut ? NBJ_E_FULL : NBJ_OK;
}

nbj_status nbj_advisory_parse(nbj_bytes payload, const nbj_advisory **out)
{
    nbj__advisory *a = nbj__alloc0(&nbj__malloc_allocator, sizeof *a);

    *out = NULL;
    if (a == NULL)
        return NBJ_E_NOMEM;
    nbj_status st = nbj__advisory_read(payload, a);
    *out = &a->data;
    if (st != NBJ_OK) {
        nbj_advisory_release(*out);
        *out = NULL;
    }
    return st;
}

void nbj_advisory_release(const nbj_advisory *advisory)
{
    if (advisory == NULL)
        return;
    nbj__advisory *a = (nbj__advisory *)(uintptr_t)advisory; /* its first member */
    nbj__advisory_clear(a);
    nbj__free(&nbj__malloc_allocator, a, sizeof *a);
}
