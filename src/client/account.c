/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/text.h"
#include "js/account_op.h"

static void tell_account(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom)
{
    nbj_account_info *info = status == NBJ_OK ? nbj__account_info_take(op) : NULL;

    ((nbj_account_info_fn *)whom.fn)(whom.user, status, info, error);
    nbj_account_info_release(info);
}

nbj_status nbj_account_info_of(nbj_client *client, const nbj_call_options *options, nbj_account_info **out,
                               nbj_error *error)
{
    nbj__op *op = nbj__account_info_new(client->alloc);

    *out = NULL;
    if (op == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    nbj_status st = nbj__client_ask(client, op, options, error);
    if (st == NBJ_OK)
        *out = nbj__account_info_take(op);
    nbj__op_free(op);
    return st;
}

nbj_status nbj_account_info_of_async(nbj_client *client, const nbj_call_options *options, nbj_account_info_fn *on_done,
                                     void *user)
{
    nbj__told whom = { (void (*)(void))on_done, user };
    nbj__op *op = on_done != NULL ? nbj__account_info_new(client->alloc) : NULL;

    if (on_done == NULL)
        return NBJ_E_INVALID;
    return op != NULL ? nbj__client_ask_async(client, op, options, tell_account, whom) : NBJ_E_NOMEM;
}
