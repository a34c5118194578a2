/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about streams: js/op.h says how they are made and done. Constructors copy their texts; on failure *|out| is NULL
 * and |error|, which may be NULL, is filled. */
#ifndef NBJ_JS_STREAM_OP_H
#define NBJ_JS_STREAM_OP_H

#include "js/op.h"

#include <nbj/stream.h>

typedef enum nbj__stream_put {
    NBJ__STREAM_CREATE = 1,
    NBJ__STREAM_UPDATE, /* what there is, changed */
    NBJ__STREAM_ENSURE, /* created if there is none, compared otherwise */
} nbj__stream_put;

/* Sees to a configuration. Done it has what the server said of the stream. */
nbj_status nbj__stream_put_new(const nbj_allocator *alloc, nbj__stream_put how, const nbj_stream_config *config,
                               nbj__op **out, nbj_error *error);

/* Calls that succeed or fail. A purge that is done has counted. */
nbj_status nbj__stream_delete_new(const nbj_allocator *alloc, const char *name, nbj__op **out, nbj_error *error);
nbj_status nbj__stream_purge_new(const nbj_allocator *alloc, const char *name, const nbj_purge_options *what,
                                 nbj__op **out, nbj_error *error);
nbj_status nbj__stream_step_down_new(const nbj_allocator *alloc, const char *name, const nbj_step_down_options *who,
                                     nbj__op **out, nbj_error *error);
nbj_status nbj__stream_peer_remove_new(const nbj_allocator *alloc, const char *name, const char *peer, nbj__op **out,
                                       nbj_error *error);
uint64_t nbj__stream_purged(const nbj__op *op);

nbj_status nbj__stream_info_of_new(const nbj_allocator *alloc, const char *name, const nbj_stream_info_options *what,
                                   nbj__op **out, nbj_error *error);

/* What a call that is done has found, which is the caller's now. */
nbj_stream_info *nbj__stream_op_take_info(nbj__op *op);

#endif
