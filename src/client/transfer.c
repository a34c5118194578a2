/* SPDX-License-Identifier: Apache-2.0 */
#include "client/transfer.h"

#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"

#define STALL_NS NBJ_SECONDS(10)
#define TURN_NS NBJ_MILLIS(250) /* between two looks at the connection and the program's mind */

nbj_status nbj__transfer_fail(nbj__transfer *t, nbj_status st)
{
    return nbj__error_set(t->error, st,
                          st == NBJ_E_TIMEOUT        ? "nothing came from the server for too long"
                          : st == NBJ_E_DISCONNECTED ? "the connection was lost on the way"
                          : st == NBJ_E_FULL         ? "chunks came faster than they could be written, and were dropped"
                                                     : nbj_strerror(st),
                          (char *)NULL);
}

/* A name for the inbox. */
static nbj_status name_inbox(nbj__transfer *t)
{
    nbj_status st = nbj__client_enter(t->client);

    if (st != NBJ_OK)
        return st;
    if (nbj__client_has_threads(t->client))
        nbj__session_new_inbox(t->client->session, t->inbox, sizeof t->inbox);
    else
        st = NBJ_E_WOULD_BLOCK;
    nbj__client_leave(t->client);
    return st;
}

nbj_status nbj__transfer_begin(nbj__transfer *t, nbj_client *client, const nbj_call_options *options, nbj_error *error)
{
    nbj_sub_options quiet = { .struct_size = sizeof quiet };

    *t = (nbj__transfer){ .client = client, .error = error };
    nbj_status st = nbj__options_read(&t->options, sizeof t->options, options);
    if (st == NBJ_OK)
        st = name_inbox(t);
    if (st == NBJ_OK)
        st = nbj_subscribe(client, t->inbox, &quiet, NULL, NULL, &t->sub);
    t->stall_ns = t->options.timeout_ns > 0 ? t->options.timeout_ns : STALL_NS;
    t->options.struct_size = sizeof t->options;
    if (st == NBJ_OK)
        st = nbj_flush(client, t->stall_ns);
    t->lost_at = nbj__transfer_lost_at(t);
    return st == NBJ_OK ? NBJ_OK : nbj__transfer_fail(t, st);
}

void nbj__transfer_end(nbj__transfer *t)
{
    nbj_sub_release(t->sub);
    t->sub = NULL;
}

nbj_status nbj__transfer_ask(nbj__transfer *t, nbj__op *op, uint64_t limit_ns)
{
    t->options.timeout_ns = limit_ns;
    return nbj__client_ask(t->client, op, &t->options, t->error);
}

nbj_status nbj__transfer_tell(nbj__transfer *t)
{
    if (t->on_progress == NULL || t->on_progress(t->user, &t->progress))
        return NBJ_OK;
    return nbj__transfer_fail(t, NBJ_E_CANCELLED);
}

nbj_time nbj__transfer_lost_at(const nbj__transfer *t)
{
    nbj_time at = 0;

    if (nbj__client_enter(t->client) == NBJ_OK) {
        at = t->client->lost_at;
        nbj__client_leave(t->client);
    }
    return at;
}

nbj_status nbj__transfer_check(nbj__transfer *t)
{
    if (nbj__transfer_lost_at(t) != t->lost_at)
        return nbj__transfer_fail(t, NBJ_E_DISCONNECTED);
    return nbj_sub_stats_of(t->sub).dropped == 0 ? NBJ_OK : nbj__transfer_fail(t, NBJ_E_FULL);
}

nbj_status nbj__transfer_next(nbj__transfer *t, uint64_t limit_ns, nbj_msg **msg)
{
    nbj_time due = nbj__time_add(nbj__os_now(), limit_ns);

    for (;;) {
        nbj_time now = nbj__os_now();
        uint64_t left = due > now ? due - now : 0;
        nbj_status st = nbj_sub_next(t->sub, left < TURN_NS ? left : TURN_NS, msg);
        if (st == NBJ_OK)
            return st;
        if (st == NBJ_E_ENDED)
            st = NBJ_E_CLOSED; /* nobody else ends it */
        if (st != NBJ_E_TIMEOUT)
            return nbj__transfer_fail(t, st);
        st = nbj__transfer_tell(t);
        if (st == NBJ_OK)
            st = nbj__transfer_check(t);
        if (st != NBJ_OK)
            return st;
        if (left == 0)
            return nbj__transfer_fail(t, NBJ_E_TIMEOUT);
    }
}

void nbj__snapshot_info_set(nbj_snapshot_info *info, const char *stream, const nbj__stream_state *state)
{
    nbj__text name = nbj__text_into(info->stream, sizeof info->stream);

    nbj__text_add(&name, stream);
    info->messages = state->messages;
    info->stream_bytes = state->bytes;
    info->first_sequence = state->first_sequence;
    info->last_sequence = state->last_sequence;
    info->consumers = state->consumers;
}
