/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of publishes with no header but a message id, which are nearly all alike: the beginning, from the verb to the
 * inbox of the reply subject, is kept for the next message to the same subject, which then need not be checked either.
 * The octets are those of nbj__emit_pub. */
#ifndef NBJ_JS_TEMPLATE_H
#define NBJ_JS_TEMPLATE_H

#include "base/buf.h"

#include <stdbool.h>

#define NBJ__TEMPLATE_SUBJECT_MAX 200u
#define NBJ__TEMPLATE_HEAD_MAX 400u

typedef struct nbj__template { /* zeroed: for no subject */
    size_t subject_len;        /* 0: for none */
    size_t head_len;
    uint8_t head[NBJ__TEMPLATE_HEAD_MAX]; /* "HPUB <subject> <inbox>" */
} nbj__template;

/* Makes it for |subject|, which is legal, and replies to |inbox|…, unless they are too long. */
void nbj__template_set(nbj__template *t, nbj_bytes subject, nbj_bytes inbox);

static inline bool nbj__template_is_for(const nbj__template *t, nbj_bytes subject)
{
    return subject.len == t->subject_len && subject.len > 0 && memcmp(t->head + 5, subject.ptr, subject.len) == 0;
}

/* Octets that count against the server's max_payload. |id| may be empty: without one. */
size_t nbj__template_size(nbj_bytes id, nbj_bytes payload);

/* Appends the frame whose reply subject ends with |token|. NBJ_OK, NBJ_E_FULL or NBJ_E_NOMEM. */
nbj_status nbj__template_emit(const nbj__template *t, nbj__buf *out, nbj_bytes token, nbj_bytes id, nbj_bytes payload);

#endif
