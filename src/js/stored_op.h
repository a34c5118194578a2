/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about the messages of a stream: js/op.h says how they are made and done. What is given is checked; texts are
 * copied. NULL: no memory. */
#ifndef NBJ_JS_STORED_OP_H
#define NBJ_JS_STORED_OP_H

#include "js/op.h"
#include "js/stored.h"

/* |get|'s struct_size is not looked at. */
nbj__op *nbj__stored_get_new(const nbj_allocator *alloc, const char *stream, const nbj_get_options *get);
nbj_stored_msg *nbj__stored_get_take(nbj__op *op); /* of a call that is done; the caller's */

nbj__op *nbj__stored_delete_new(const nbj_allocator *alloc, const char *stream, uint64_t sequence, bool erase);

/* Each message; false: enough. Called by the op's steps. */
typedef bool nbj__stored_each_fn(void *whom, const nbj_stored_msg *msg);

/* Likewise with |read|, whose zeros are replaced by defaults. */
nbj__op *nbj__stored_read_new(const nbj_allocator *alloc, const char *stream, const nbj_read_options *read,
                              nbj__stored_each_fn *each, void *whom);
const nbj_read_result *nbj__stored_read_result(const nbj__op *op); /* also of one that failed */

#endif
