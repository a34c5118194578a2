/* SPDX-License-Identifier: Apache-2.0 */
/* Writing one JSON object straight into a buffer. An error sticks: check once, at the end. */
#ifndef NBJ_BASE_JSON_WRITE_H
#define NBJ_BASE_JSON_WRITE_H

#include "base/buf.h"

#include <stdbool.h>

typedef struct nbj__json_writer {
    nbj__buf *out;
    nbj_status status;
    bool first; /* no comma before the next member or item */
} nbj__json_writer;

nbj__json_writer nbj__json_begin(nbj__buf *out); /* writes the first brace */
nbj_status nbj__json_end(nbj__json_writer *w);   /* the last one */

/* Members. Names are ours: plain ASCII. Octets of texts that are not UTF-8 go through unchanged. */
void nbj__json_put_text(nbj__json_writer *w, const char *name, nbj_bytes text);
void nbj__json_put_pair(nbj__json_writer *w, nbj_bytes name, nbj_bytes text); /* with a name that is not ours */
void nbj__json_put_bool(nbj__json_writer *w, const char *name, bool value);
void nbj__json_put_u64(nbj__json_writer *w, const char *name, uint64_t value);
void nbj__json_put_i64(nbj__json_writer *w, const char *name, int64_t value);
void nbj__json_put_object(nbj__json_writer *w, const char *name); /* its members follow, then nbj__json_close('}') */
void nbj__json_put_array(nbj__json_writer *w, const char *name);  /* its items follow, then nbj__json_close(']') */
void nbj__json_item_put_text(nbj__json_writer *w, nbj_bytes text);
void nbj__json_item_put_object(nbj__json_writer *w); /* as nbj__json_put_object */
void nbj__json_close(nbj__json_writer *w, char bracket);

#endif
