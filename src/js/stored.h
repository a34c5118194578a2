/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps, as they come: as JSON from its leader (STREAM.MSG.GET), or as themselves with headers
 * added (DIRECT.GET, ADR-31). One that nobody keeps is a struct with views into the answer; one that is kept lives in a
 * chunk. */
#ifndef NBJ_JS_STORED_H
#define NBJ_JS_STORED_H

#include "base/json_read.h"
#include "conn/msg.h"

#include <nbj/stored.h>

struct nbj_stored_msg {
    nbj_bytes stream, subject, data;
    nbj_bytes headers; /* their lines, without the version line before them */
    uint64_t sequence, stored_at_ns;
    const nbj_allocator *alloc; /* for a copy */
    nbj__chunk *chunk;          /* where it lives; NULL: it is not kept */
};

/* What a direct get answers with. */
typedef struct nbj__direct {
    nbj_stored_msg msg; /* not kept: views into the answer */
    bool is_of_batch;   /* what follows was there: a server from 2.11 on, and several messages were asked for */
    uint64_t pending;   /* messages that would follow this one */
    uint64_t previous;  /* sequence of the one that was sent before it; 0: none */
} nbj__direct;

/* Reads |answer|. False: it is no stored message, but a status. */
bool nbj__stored_from_direct(const nbj_allocator *alloc, const nbj_msg *answer, nbj__direct *out);

/* What a status in place of a message means: fills |error|, which is not NULL. */
nbj_status nbj__direct_failed(const char *stream, const nbj_msg *answer, nbj_error *error);

/* Makes the kept message that member "message" of |reply| describes. NBJ_E_BAD_REPLY: it describes none; NBJ_E_NOMEM.
 * */
nbj_status nbj__stored_from_json(const nbj_allocator *alloc, const nbj__json *reply, nbj_bytes stream,
                                 nbj_stored_msg **out);

#endif
