/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of streams: its table, and the document that says what is wanted (js/fields.h). */
#ifndef NBJ_JS_STREAM_CONFIG_H
#define NBJ_JS_STREAM_CONFIG_H

#include "js/fields.h"

extern const nbj__fields nbj__stream_fields;

/* What |config| wants; freed by nbj__json_free. NBJ_E_INVALID or NBJ_E_BAD_SUBJECT, and |error| (may be NULL) says what is
 * not legal; NBJ_E_NOMEM. */
nbj_status nbj__stream_config_want(const nbj_allocator *alloc, const nbj_stream_config *config, nbj__json **want,
                                   nbj_error *error);

#endif
