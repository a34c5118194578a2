/* SPDX-License-Identifier: Apache-2.0 */
/* Streams. Each call makes its op (js/stream_op.h) and either waits for it or hands it over with its callback. */
#include "client/client_int.h"

#include "base/text.h"
#include "js/stream_op.h"

/* --- calls that only succeed or fail --- */

static void tell_done(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    (void)op;
    ((nbj_done_fn *)whom.fn)(whom.user, status, error);
}

/* |st| is what making |op| came to. */
static nbj_status wait_done(nbj_client *client, nbj_status st, nbj__op *op, const nbj_call_options *options,
                            nbj_error *error)
{
    if (st == NBJ_OK)
        st = nbj__client_ask(client, op, options, error);
    nbj__op_free(op);
    return st;
}

static nbj_status begin(nbj_client *client, nbj_status st, nbj__op *op, const nbj_call_options *options,
                        nbj__tell_fn *tell, void (*fn)(void), void *user)
{
    if (st != NBJ_OK)
        return st;
    return nbj__client_ask_async(client, op, options, tell, (nbj__told){ fn, user });
}

static nbj_status begin_done(nbj_client *client, nbj_status st, nbj__op *op, const nbj_call_options *options,
                             nbj_done_fn *on_done, void *user)
{
    return begin(client, st, op, options, tell_done, (void (*)(void))on_done, user);
}

nbj_status nbj_stream_ensure(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                             nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_ENSURE, config, &op, error);

    return wait_done(client, st, op, options, error);
}

nbj_status nbj_stream_ensure_async(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                                   nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_ENSURE, config, &op, NULL);
    return begin_done(client, st, op, options, on_done, user);
}

nbj_status nbj_stream_delete(nbj_client *client, const char *name, const nbj_call_options *options, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_delete_new(client->alloc, name, &op, error);

    return wait_done(client, st, op, options, error);
}

nbj_status nbj_stream_delete_async(nbj_client *client, const char *name, const nbj_call_options *options,
                                   nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_delete_new(client->alloc, name, &op, NULL);
    return begin_done(client, st, op, options, on_done, user);
}

/* --- calls that tell about a stream --- */

static void tell_info(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_stream_info *info = status == NBJ_OK ? nbj__stream_op_take_info(op) : NULL;

    ((nbj_stream_info_fn *)whom.fn)(whom.user, status, info, error);
    nbj_stream_info_release(info);
}

static nbj_status wait_info(nbj_client *client, nbj_status st, nbj__op *op, const nbj_call_options *options,
                            nbj_stream_info **out, nbj_error *error)
{
    if (out != NULL)
        *out = NULL;
    if (st == NBJ_OK)
        st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK && out != NULL)
        *out = nbj__stream_op_take_info(op);
    nbj__op_free(op);
    return st;
}

static nbj_status begin_info(nbj_client *client, nbj_status st, nbj__op *op, const nbj_call_options *options,
                             nbj_stream_info_fn *on_done, void *user)
{
    return begin(client, st, op, options, tell_info, (void (*)(void))on_done, user);
}

nbj_status nbj_stream_create(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                             nbj_stream_info **out, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_CREATE, config, &op, error);

    return wait_info(client, st, op, options, out, error);
}

nbj_status nbj_stream_create_async(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                                   nbj_stream_info_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_CREATE, config, &op, NULL);
    return begin_info(client, st, op, options, on_done, user);
}

nbj_status nbj_stream_update(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                             nbj_stream_info **out, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_UPDATE, config, &op, error);

    return wait_info(client, st, op, options, out, error);
}

nbj_status nbj_stream_update_async(nbj_client *client, const nbj_stream_config *config, const nbj_call_options *options,
                                   nbj_stream_info_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_put_new(client->alloc, NBJ__STREAM_UPDATE, config, &op, NULL);
    return begin_info(client, st, op, options, on_done, user);
}

nbj_status nbj_stream_info_of(nbj_client *client, const char *name, const nbj_stream_info_options *what,
                              const nbj_call_options *options, nbj_stream_info **out, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_info_of_new(client->alloc, name, what, &op, error);

    return wait_info(client, st, op, options, out, error);
}

nbj_status nbj_stream_info_of_async(nbj_client *client, const char *name, const nbj_stream_info_options *what,
                                    const nbj_call_options *options, nbj_stream_info_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_info_of_new(client->alloc, name, what, &op, NULL);
    return begin_info(client, st, op, options, on_done, user);
}

/* --- the others --- */

static void tell_purged(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    ((nbj_purge_fn *)whom.fn)(whom.user, status, status == NBJ_OK ? nbj__stream_purged(op) : 0, error);
}

nbj_status nbj_stream_purge(nbj_client *client, const char *name, const nbj_purge_options *what,
                            const nbj_call_options *options, uint64_t *purged, nbj_error *error)
{
    nbj__op *op = NULL;

    if (purged != NULL)
        *purged = 0;
    nbj_status st = nbj__stream_purge_new(client->alloc, name, what, &op, error);
    if (st == NBJ_OK)
        st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK && purged != NULL)
        *purged = nbj__stream_purged(op);
    nbj__op_free(op);
    return st;
}

nbj_status nbj_stream_purge_async(nbj_client *client, const char *name, const nbj_purge_options *what,
                                  const nbj_call_options *options, nbj_purge_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_purge_new(client->alloc, name, what, &op, NULL);
    return begin(client, st, op, options, tell_purged, (void (*)(void))on_done, user);
}

static nbj_status new_seal(nbj_client *client, const char *name, nbj__op **op, nbj_error *error)
{
    return nbj__stream_put_new(client->alloc, NBJ__STREAM_UPDATE, NBJ_STREAM_CONFIG(.name = name, .sealed = true), op,
                               error);
}

nbj_status nbj_stream_seal(nbj_client *client, const char *name, const nbj_call_options *options, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = new_seal(client, name, &op, error);

    return wait_done(client, st, op, options, error);
}

nbj_status nbj_stream_seal_async(nbj_client *client, const char *name, const nbj_call_options *options,
                                 nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = new_seal(client, name, &op, NULL);
    return begin_done(client, st, op, options, on_done, user);
}

nbj_status nbj_stream_step_down(nbj_client *client, const char *name, const nbj_step_down_options *who,
                                const nbj_call_options *options, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_step_down_new(client->alloc, name, who, &op, error);

    return wait_done(client, st, op, options, error);
}

nbj_status nbj_stream_step_down_async(nbj_client *client, const char *name, const nbj_step_down_options *who,
                                      const nbj_call_options *options, nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_step_down_new(client->alloc, name, who, &op, NULL);
    return begin_done(client, st, op, options, on_done, user);
}

nbj_status nbj_stream_peer_remove(nbj_client *client, const char *name, const char *peer,
                                  const nbj_call_options *options, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = nbj__stream_peer_remove_new(client->alloc, name, peer, &op, error);

    return wait_done(client, st, op, options, error);
}

nbj_status nbj_stream_peer_remove_async(nbj_client *client, const char *name, const char *peer,
                                        const nbj_call_options *options, nbj_done_fn *on_done, void *user)
{
    nbj__op *op = NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__stream_peer_remove_new(client->alloc, name, peer, &op, NULL);
    return begin_done(client, st, op, options, on_done, user);
}
