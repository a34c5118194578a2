/* SPDX-License-Identifier: Apache-2.0 */
/* What the library returns by pointer, as a value for an assertion. */
#ifndef NBJ_TEST_SHORTHAND_H
#define NBJ_TEST_SHORTHAND_H

#include <nbj/nbj.h>

/* The oldest message that waits; NULL: none. */
static inline nbj_msg *ts_next(nbj_sub *sub)
{
    nbj_msg *msg = NULL;

    return nbj_sub_next(sub, 0, &msg) == NBJ_OK ? msg : NULL;
}

typedef nbj_status ts_text_fn(const nbj_client *client, char *out, size_t size);

/* What |get| tells, until the next call. */
static inline const char *ts_text(ts_text_fn *get, const nbj_client *client)
{
    static _Thread_local char text[256];

    (void)(get(client, text, sizeof text) == NBJ_OK); /* "" otherwise */
    return text;
}

#endif
