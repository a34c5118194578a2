/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of JetStream's API and of streams: JSON objects with an "error" member when something went wrong. */
#ifndef NBJ_JS_REPLY_H
#define NBJ_JS_REPLY_H

#include "base/json_read.h"
#include "conn/msg.h"

/* What was asked for, for the texts of errors; either may be NULL. */
typedef struct nbj__js_about {
    const char *stream, *consumer;
} nbj__js_about;

/* Parses |msg|'s payload. NBJ_OK: *|out| is to be freed. Otherwise |error| is filled: NBJ_E_BAD_REPLY, NBJ_E_NOMEM, or the
 * status that the server's error maps to. */
nbj_status nbj__js_reply_parse(const nbj_msg *msg, nbj__js_about about, nbj__json **out, nbj_error *error);

/* The status for an err_code of the API; by |code| where that is not known. */
nbj_status nbj__js_status(int64_t code, int64_t err_code);

#endif
