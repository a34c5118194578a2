/* SPDX-License-Identifier: Apache-2.0 */
/* What taking and restoring snapshots share: an inbox that the calling thread reads, deadlines that are of the time without
 * anything coming, and the program's say in it. Nothing here holds the lock while it waits, reads or writes. */
#ifndef NBJ_CLIENT_TRANSFER_H
#define NBJ_CLIENT_TRANSFER_H

#include "client/client_int.h"
#include "js/snapshot.h"

#define NBJ__TRANSFER_WORK_NS NBJ_SECONDS(3600)

typedef struct nbj__transfer {
    nbj_client *client;
    nbj_call_options options; /* of each of its requests */
    uint64_t stall_ns;
    nbj_snapshot_progress_fn *on_progress;
    void *user;
    nbj_snapshot_progress progress;
    nbj_sub *sub;
    char inbox[128];
    nbj_time lost_at; /* the client's, when it began: it stays while the connection does */
    nbj_error *error; /* never NULL */
} nbj__transfer;

/* On failure |error| is filled: NBJ_E_WOULD_BLOCK under a loop, NBJ_E_INVALID, NBJ_E_TIMEOUT without a connection. */
nbj_status nbj__transfer_begin(nbj__transfer *t, nbj_client *client, const nbj_call_options *options, nbj_error *error);
void nbj__transfer_end(nbj__transfer *t);

/* Asks, within |limit_ns|. */
nbj_status nbj__transfer_ask(nbj__transfer *t, nbj__op *op, uint64_t limit_ns);

/* The next message, to be released; the program is told meanwhile. NBJ_E_TIMEOUT after |limit_ns|, NBJ_E_CANCELLED,
 * NBJ_E_DISCONNECTED when the connection is not the first one any more, NBJ_E_FULL when messages were dropped. */
nbj_status nbj__transfer_next(nbj__transfer *t, uint64_t limit_ns, nbj_msg **msg);

/* Tells the program. NBJ_E_CANCELLED: it has enough. */
nbj_status nbj__transfer_tell(nbj__transfer *t);

/* When the last connection was lost; 0: never. */
nbj_time nbj__transfer_lost_at(const nbj__transfer *t);

/* Whether nothing was lost until now: NBJ_E_DISCONNECTED, NBJ_E_FULL. */
nbj_status nbj__transfer_check(nbj__transfer *t);

/* |error| with what |st| means, where nothing better is known. */
nbj_status nbj__transfer_fail(nbj__transfer *t, nbj_status st);

void nbj__snapshot_info_set(nbj_snapshot_info *info, const char *stream, const nbj__stream_state *state);

#endif
