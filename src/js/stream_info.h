/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of a stream, kept for the program: nbj/stream.h. */
#ifndef NBJ_JS_STREAM_INFO_H
#define NBJ_JS_STREAM_INFO_H

#include "base/json_edit.h"

#include <nbj/stream.h>

/* Takes |doc|, also on failure. NBJ_E_BAD_REPLY: it has no configuration with a name; NBJ_E_NOMEM. */
nbj_status nbj__stream_info_new(const nbj_allocator *alloc, nbj__json *doc, nbj_stream_info **out);

#endif
