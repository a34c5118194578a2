/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about streams: js/op.h says how they are made and done. Texts are copied. NULL: no memory. */
#ifndef NBJ_JS_STREAM_OP_H
#define NBJ_JS_STREAM_OP_H

#include "js/api.h"
#include "js/op.h"

nbj__op *nbj__stream_ensure_new(const nbj_allocator *alloc, const nbj__stream_config *config);

#endif
