/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "client/options.h"
#include "js/stream_op.h"
#include "wire/subject.h"

static nbj__stream_config core_config(const nbj_stream_config *c)
{
    return (nbj__stream_config){
        .name = nbj_str(c->name),
        .subjects = c->subjects.count > 0 ? c->subjects.items : &c->name,
        .subject_count = c->subjects.count > 0 ? c->subjects.count : 1,
        .retention = (nbj__retention)c->retention,
        .storage = (nbj__storage)c->storage,
        .max_messages = c->max_messages,
        .max_bytes = c->max_bytes,
        .max_age_ns = c->max_age_ns,
        .duplicate_window_ns = c->duplicate_window_ns,
        .replicas = c->replicas,
    };
}

static nbj_status check(const nbj_stream_config *c)
{
    if (!nbj__name_is_legal(nbj_str(c->name)))
        return NBJ_E_INVALID;
    for (size_t i = 0; i < c->subjects.count; i++) {
        if (!nbj__subject_is_filter(nbj_str(c->subjects.items[i])))
            return NBJ_E_BAD_SUBJECT;
    }
    return NBJ_OK;
}

/* The call for |config|. */
static nbj_status new_ensure(nbj_client *client, const nbj_stream_config *config, nbj__op **op)
{
    nbj_stream_config c;

    *op = NULL;
    nbj_status st = nbj__options_read(&c, sizeof c, config);
    if (st == NBJ_OK)
        st = check(&c);
    if (st != NBJ_OK)
        return st;
    nbj__stream_config core = core_config(&c);
    *op = nbj__stream_ensure_new(client->alloc, &core);
    return *op != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

static void tell_done(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    (void)op;
    ((nbj_done_fn *)whom.fn)(whom.user, status, error);
}

nbj_status nbj_stream_ensure_async(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                                   nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = new_ensure(client, config, &op);
    return st == NBJ_OK
               ? nbj__client_ask_async(client, op, options, tell_done, (nbj__told){ (void (*)(void))on_done, user })
               : st;
}

nbj_status nbj_stream_ensure(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                             nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = new_ensure(client, config, &op);

    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = nbj__client_ask(client, op, options, error);
    nbj__op_free(op);
    return st;
}
