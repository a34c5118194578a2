/* SPDX-License-Identifier: Apache-2.0 */
/* What all calls about a stream begin with. */
#ifndef NBJ_JS_STREAM_OP_INT_H
#define NBJ_JS_STREAM_OP_INT_H

#include "js/stream_info.h"
#include "js/stream_op.h"

#define NBJ__ANSWERS_MAX NBJ_MIB(256) /* octets of all pages of a call */

typedef struct nbj__stream_op {
    nbj__op op;
    char *name;
    nbj_stream_info *info; /* found */
} nbj__stream_op;

/* |s| is the beginning of a zeroed struct, which is freed on failure. NBJ_E_INVALID: |name| is not legal; NBJ_E_NOMEM. */
nbj_status nbj__stream_op_init(nbj__stream_op *s, const nbj_allocator *alloc, nbj__op_step *step,
                               void (*free)(nbj__op *op), const char *name, nbj_error *error);
void nbj__stream_op_clear(nbj__stream_op *s); /* what was allocated for it */

/* Takes |reply|, what the server says of the stream, as what was found. */
nbj_status nbj__stream_op_keep_info(nbj__stream_op *s, nbj__json *reply, nbj_error *error);

/* |st|, and |error| with its own words. */
nbj_status nbj__stream_op_fail(nbj_status st, nbj_error *error);

#endif
