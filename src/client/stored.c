/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "js/stored_op.h"
#include "wire/subject.h"

#include <assert.h>

#define BATCH_MAX 65536u
#define BYTES_MAX (32u << 20)

static_assert(offsetof(nbj_get_options, reserved) + sizeof((nbj_get_options *)0)->reserved == sizeof(nbj_get_options),
              "no padding at the end: a field added there must be seen in struct_size");
static_assert(offsetof(nbj_read_options, max_bytes) + sizeof((nbj_read_options *)0)->max_bytes ==
                  sizeof(nbj_read_options),
              "no padding at the end: a field added there must be seen in struct_size");

/* NULL is one too: not given. */
static nbj_status check_filter(const char *filter)
{
    return filter == NULL || nbj__subject_is_filter(nbj_str(filter)) ? NBJ_OK : NBJ_E_BAD_SUBJECT;
}

static nbj__told told(void (*fn)(void), void *user)
{
    return (nbj__told){ fn, user };
}

static nbj_status refused(nbj_error *error, nbj_status st)
{
    return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

/* --- reading one --- */

static nbj_status new_get(nbj_client *client, const char *stream, const nbj_get_options *get, nbj__op **op)
{
    nbj_get_options o;

    if (!nbj__name_is_legal(nbj_str(stream)) || nbj__options_read(&o, sizeof o, get) != NBJ_OK)
        return NBJ_E_INVALID;
    bool is_one = o.next_of != NULL ? o.last_of == NULL : (o.last_of != NULL) != (o.sequence > 0);
    nbj_status st = check_filter(o.last_of != NULL ? o.last_of : o.next_of);
    if (!is_one || st != NBJ_OK)
        return is_one ? st : NBJ_E_INVALID;
    *op = nbj__stored_get_new(client->alloc, stream, &o);
    return *op != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

nbj_status nbj_stored_get(nbj_client *client, const char *stream, const nbj_get_options *get,
                          const nbj_call_options *options, nbj_stored_msg **msg, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = new_get(client, stream, get, &op);

    *msg = NULL;
    if (st != NBJ_OK)
        return refused(error, st);
    st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK)
        *msg = nbj__stored_get_take(op);
    nbj__op_free(op);
    return st;
}

static void tell_found(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_stored_msg *msg = status == NBJ_OK ? nbj__stored_get_take(op) : NULL;

    ((nbj_stored_fn *)whom.fn)(whom.user, status, msg, error);
    nbj_stored_msg_release(msg);
}

nbj_status nbj_stored_get_async(nbj_client *client, const char *stream, const nbj_get_options *get,
                                const nbj_call_options *options, nbj_stored_fn *fn, void *user)
{
    nbj__op *op = NULL;
    nbj_status st = fn != NULL ? new_get(client, stream, get, &op) : NBJ_E_INVALID;

    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_found, told((void (*)(void))fn, user)) : st;
}

/* --- reading many --- */

static nbj_status check_last_of(const nbj_list *last_of)
{
    for (size_t i = 0; i < last_of->count; i++) {
        if (!nbj__subject_is_filter(nbj_str(last_of->items[i])))
            return NBJ_E_BAD_SUBJECT;
    }
    return NBJ_OK;
}

static nbj_status check_read(const nbj_read_options *o)
{
    bool is_of_last = o->last_of.count > 0;

    if (o->batch > BATCH_MAX || o->max_bytes > BYTES_MAX)
        return NBJ_E_INVALID;
    if (is_of_last && (o->subject != NULL || o->from_time_ns > 0))
        return NBJ_E_INVALID;
    if (!is_of_last && (o->up_to_sequence > 0 || o->up_to_time_ns > 0))
        return NBJ_E_INVALID;
    if ((o->sequence > 0 && o->from_time_ns > 0) || (o->up_to_sequence > 0 && o->up_to_time_ns > 0))
        return NBJ_E_INVALID;
    nbj_status st = check_filter(o->subject);
    return st == NBJ_OK ? check_last_of(&o->last_of) : st;
}

static nbj_status new_read(nbj_client *client, const char *stream, const nbj_read_options *read,
                           nbj__stored_each_fn *each, void *whom, nbj__op **op)
{
    nbj_read_options o;

    if (!nbj__name_is_legal(nbj_str(stream)) || nbj__options_read(&o, sizeof o, read) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = check_read(&o);
    if (st != NBJ_OK)
        return st;
    *op = nbj__stored_read_new(client->alloc, stream, &o, each, whom);
    return *op != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

nbj_status nbj_stored_read(nbj_client *client, const char *stream, const nbj_read_options *read,
                           const nbj_call_options *options, nbj_read_msg_fn *on_msg, void *user,
                           nbj_read_result *result, nbj_error *error)
{
    nbj_read_result unwanted;
    nbj__op *op = NULL;
    nbj_status st = on_msg != NULL ? new_read(client, stream, read, on_msg, user, &op) : NBJ_E_INVALID;

    if (result == NULL)
        result = &unwanted;
    *result = (nbj_read_result){ 0 };
    if (st != NBJ_OK)
        return refused(error, st);
    st = nbj__client_ask(client, op, options, error);
    *result = *nbj__stored_read_result(op);
    nbj__op_free(op);
    return st;
}

static void tell_read(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    ((nbj_read_fn *)whom.fn)(whom.user, status, nbj__stored_read_result(op), error);
}

nbj_status nbj_stored_read_async(nbj_client *client, const char *stream, const nbj_read_options *read,
                                 const nbj_call_options *options, nbj_read_msg_fn *on_msg, nbj_read_fn *on_end,
                                 void *user)
{
    nbj__op *op = NULL;
    nbj_status st =
        on_msg != NULL && on_end != NULL ? new_read(client, stream, read, on_msg, user, &op) : NBJ_E_INVALID;

    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_read, told((void (*)(void))on_end, user))
                        : st;
}

/* --- deleting --- */

static nbj_status new_delete(nbj_client *client, const char *stream, uint64_t sequence, bool erase, nbj__op **op)
{
    if (!nbj__name_is_legal(nbj_str(stream)) || sequence == 0)
        return NBJ_E_INVALID;
    *op = nbj__stored_delete_new(client->alloc, stream, sequence, erase);
    return *op != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

static nbj_status delete_now(nbj_client *client, const char *stream, uint64_t sequence, bool erase,
                             const nbj_call_options *options, nbj_error *error)
{
    nbj__op *op = NULL;
    nbj_status st = new_delete(client, stream, sequence, erase, &op);

    if (st != NBJ_OK)
        return refused(error, st);
    st = nbj__client_ask(client, op, options, error);
    nbj__op_free(op);
    return st;
}

static void tell_deleted(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    (void)op;
    ((nbj_done_fn *)whom.fn)(whom.user, status, error);
}

static nbj_status delete_async(nbj_client *client, const char *stream, uint64_t sequence, bool erase,
                               const nbj_call_options *options, nbj_done_fn *fn, void *user)
{
    nbj__op *op = NULL;
    nbj_status st = fn != NULL ? new_delete(client, stream, sequence, erase, &op) : NBJ_E_INVALID;

    return st == NBJ_OK ? nbj__client_ask_async(client, op, options, tell_deleted, told((void (*)(void))fn, user)) : st;
}

nbj_status nbj_stored_delete(nbj_client *client, const char *stream, uint64_t sequence, const nbj_call_options *options,
                             nbj_error *error)
{
    return delete_now(client, stream, sequence, false, options, error);
}

nbj_status nbj_stored_delete_async(nbj_client *client, const char *stream, uint64_t sequence,
                                   const nbj_call_options *options, nbj_done_fn *fn, void *user)
{
    return delete_async(client, stream, sequence, false, options, fn, user);
}

nbj_status nbj_stored_erase(nbj_client *client, const char *stream, uint64_t sequence, const nbj_call_options *options,
                            nbj_error *error)
{
    return delete_now(client, stream, sequence, true, options, error);
}

nbj_status nbj_stored_erase_async(nbj_client *client, const char *stream, uint64_t sequence,
                                  const nbj_call_options *options, nbj_done_fn *fn, void *user)
{
    return delete_async(client, stream, sequence, true, options, fn, user);
}
