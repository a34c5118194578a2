/* SPDX-License-Identifier: Apache-2.0 */
/* Finding streams: their names, and going through them. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "js/stream_list.h"

/* --- names --- */

static void tell_names(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_names *names = status == NBJ_OK ? nbj__stream_names_take(op) : NULL;

    ((nbj_names_fn *)whom.fn)(whom.user, status, names, error);
    nbj_names_release(names);
}

nbj_status nbj_stream_names(nbj_client *client, const char *subject, const nbj_call_options *options, nbj_names **out,
                            nbj_error *error)
{
    nbj__op *op = NULL;

    *out = NULL;
    nbj_status st = nbj__stream_names_new(client->alloc, subject, &op, error);
    if (st == NBJ_OK)
        st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK)
        *out = nbj__stream_names_take(op);
    nbj__op_free(op);
    return st;
}

nbj_status nbj_stream_names_async(nbj_client *client, const char *subject, const nbj_call_options *options,
                                  nbj_names_fn *on_done, void *user)
{
    nbj__told whom = { (void (*)(void))on_done, user };
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_names_new(client->alloc, subject, &op, NULL);
    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_names, whom) : st;
}

static void tell_name(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_names *names = status == NBJ_OK ? nbj__stream_names_take(op) : NULL;

    ((nbj_stream_name_fn *)whom.fn)(whom.user, status, names != NULL ? nbj_names_list(names).items[0] : NULL, error);
    nbj_names_release(names);
}

nbj_status nbj_stream_by_subject(nbj_client *client, const char *subject, const nbj_call_options *options, char *out,
                                 size_t size, nbj_error *error)
{
    nbj__op *op = NULL;

    if (size == 0)
        return nbj__error_set(error, NBJ_E_INVALID, "no room for a name", (char *)NULL);
    nbj__text t = nbj__text_into(out, size);
    nbj_status st = nbj__stream_by_subject_new(client->alloc, subject, &op, error);
    if (st == NBJ_OK)
        st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK) {
        nbj_names *names = nbj__stream_names_take(op);
        nbj__text_add(&t, nbj_names_list(names).items[0]);
        nbj_names_release(names);
        if (t.cut)
            st = nbj__error_set(error, NBJ_E_FULL, "the stream's name is longer than what it goes into", (char *)NULL);
    }
    nbj__op_free(op);
    return st;
}

nbj_status nbj_stream_by_subject_async(nbj_client *client, const char *subject, const nbj_call_options *options,
                                       nbj_stream_name_fn *on_done, void *user)
{
    nbj__told whom = { (void (*)(void))on_done, user };
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_by_subject_new(client->alloc, subject, &op, NULL);
    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_name, whom) : st;
}

/* --- all of them --- */

struct nbj_stream_iter {
    nbj_client *client;
    nbj_call_options options;
    char *subject, *domain, *api_prefix; /* copies; NULL: none */
    nbj__stream_list list;
    nbj_stream_info *current; /* that the program has */
    nbj_error error;          /* why there are no more */
};

static void fail(nbj_stream_iter *it, nbj_status st)
{
    nbj__error_set(&it->error, st, nbj_strerror(st), (char *)NULL);
}

/* A copy of |text|, if there is one. */
static char *copy(nbj_stream_iter *it, const char *text)
{
    char *own = text != NULL ? nbj__copy_text(it->client->alloc, nbj_str(text)) : NULL;

    if (text != NULL && own == NULL)
        fail(it, NBJ_E_NOMEM);
    return own;
}

nbj_stream_iter *nbj_stream_list(nbj_client *client, const char *subject, const nbj_call_options *options)
{
    nbj_stream_iter *it = nbj__alloc0(client->alloc, sizeof *it);

    if (it == NULL)
        return NULL;
    it->client = client;
    if (nbj__options_read(&it->options, sizeof it->options, options) != NBJ_OK)
        fail(it, NBJ_E_INVALID);
    it->options.struct_size = sizeof it->options;
    it->subject = copy(it, subject);
    it->options.domain = it->domain = copy(it, it->options.domain);
    it->options.api_prefix = it->api_prefix = copy(it, it->options.api_prefix);
    return it;
}

static void ask_more(nbj_stream_iter *it)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_list_new(it->client->alloc, it->subject, false, &it->list, &op, &it->error);

    if (st == NBJ_OK) {
        it->error.status = nbj__client_ask(it->client, op, &it->options, &it->error);
        nbj__stream_list_take(op, &it->list);
    }
    nbj__op_free(op);
}

const nbj_stream_info *nbj_stream_next(nbj_stream_iter *it)
{
    if (it == NULL)
        return NULL;
    nbj_stream_info_release(it->current);
    it->current = nbj__stream_list_next(&it->list);
    while (it->current == NULL && !it->list.is_whole && it->error.status == NBJ_OK) {
        ask_more(it);
        it->current = nbj__stream_list_next(&it->list);
    }
    return it->current;
}

bool nbj_stream_iter_unavailable(const nbj_stream_iter *it, size_t i, nbj_stream_unavailable *out)
{
    return nbj__stream_list_unavailable(&it->list, i, out);
}

nbj_status nbj_stream_iter_end(nbj_stream_iter *it, nbj_error *error)
{
    if (it == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    const nbj_allocator *alloc = it->client->alloc;
    nbj_status st = it->error.status;
    if (error != NULL && st != NBJ_OK)
        *error = it->error;
    nbj_stream_info_release(it->current);
    nbj__stream_list_clear(&it->list, alloc);
    nbj__free_text(alloc, it->subject);
    nbj__free_text(alloc, it->domain);
    nbj__free_text(alloc, it->api_prefix);
    nbj__free(alloc, it, sizeof *it);
    return st;
}

static void tell_list(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_stream_iter it = { 0 };

    nbj__stream_list_take(op, &it.list);
    ((nbj_stream_list_fn *)whom.fn)(whom.user, status, status == NBJ_OK ? &it : NULL, error);
    nbj_stream_info_release(it.current);
    nbj__stream_list_clear(&it.list, op->alloc);
}

nbj_status nbj_stream_list_async(nbj_client *client, const char *subject, const nbj_call_options *options,
                                 nbj_stream_list_fn *on_done, void *user)
{
    nbj__told whom = { (void (*)(void))on_done, user };
    nbj__stream_list none = { 0 };
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_list_new(client->alloc, subject, true, &none, &op, NULL);
    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_list, whom) : st;
}
