/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that a publish's options stand for, checked before anything is sent: against each other, against the
 * caller's own headers, and against the server's version, since older ones store such a message and ignore the header. */
#ifndef NBJ_JS_PUBLISH_HEADERS_H
#define NBJ_JS_PUBLISH_HEADERS_H

#include "js/gate.h"

#include <nbj/publish.h>

#define NBJ__PUBLISH_LINES_MAX 16u

typedef struct nbj__publish_lines {
    nbj_header items[NBJ__PUBLISH_LINES_MAX]; /* views of the options and of |digits| */
    size_t count;
    nbj__feature feature; /* the newest that they need of a server */
    char digits[512];     /* values that had to be written */
    size_t used;
} nbj__publish_lines;

/* Whether any option stands for a header besides the message id. */
static inline bool nbj__publish_has_lines(const nbj_publish_options *o)
{
    return ((uintptr_t)o->expect_stream | (uintptr_t)o->expect_last_msg_id | (uintptr_t)o->expect_subject |
            (uintptr_t)o->increment_text | (uintptr_t)o->schedule) != 0 ||
           (o->expect_last_sequence | o->expect_subject_sequence | o->ttl_ns | (uint64_t)o->increment |
            (uint64_t)o->rollup) != 0;
}

/* |o| and its schedule are of this version. NBJ_E_INVALID, NBJ_E_BAD_SUBJECT, NBJ_E_UNSUPPORTED: |error| says which option and why. |where| has the server's version,
 * if that is known. */
nbj_status nbj__publish_lines_make(nbj__publish_lines *lines, const nbj_publish_options *o, const nbj__js_where *where,
                                   nbj_error *error);

#endif
