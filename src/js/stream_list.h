/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about all streams, page by page: js/stream_op.h. */
#ifndef NBJ_JS_STREAM_LIST_H
#define NBJ_JS_STREAM_LIST_H

#include "base/arena.h"
#include "js/op.h"

#include <nbj/stream.h>

/* Names, as many as there are; done it has them. */
nbj_status nbj__stream_names_new(const nbj_allocator *alloc, const char *subject, nbj__op **out, nbj_error *error);

/* The same, for the one stream that takes the literal |subject|: NBJ_E_NO_STREAM when there is none. */
nbj_status nbj__stream_by_subject_new(const nbj_allocator *alloc, const char *subject, nbj__op **out, nbj_error *error);

nbj_names *nbj__stream_names_take(nbj__op *op); /* it is the caller's */

/* A list of streams as far as it was asked for. Zeroed: nothing was. */
typedef struct nbj__stream_list {
    nbj_stream_info **infos; /* that nobody took yet, from |at| on */
    size_t at, count;
    uint64_t offset; /* of what is asked for next */
    bool is_whole;
    nbj__arena arena; /* of the unavailable */
    struct nbj__unavailable *first, *last;
} nbj__stream_list;

void nbj__stream_list_clear(nbj__stream_list *list, const nbj_allocator *alloc);

/* Asks for the next page of |list|, whose infos were all taken, or with |all| for all that follow. The op has the list until
 * it gives it back. */
nbj_status nbj__stream_list_new(const nbj_allocator *alloc, const char *subject, bool all, nbj__stream_list *list,
                                nbj__op **out, nbj_error *error);
void nbj__stream_list_take(nbj__op *op, nbj__stream_list *list); /* also when the op has failed */

nbj_stream_info *nbj__stream_list_next(nbj__stream_list *list); /* NULL: there are no more here; it is the caller's */
bool nbj__stream_list_unavailable(const nbj__stream_list *list, size_t i, nbj_stream_unavailable *out);

#endif
