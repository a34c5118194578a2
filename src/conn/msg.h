/* SPDX-License-Identifier: Apache-2.0 */
/* A received message inside. As long as nobody keeps it, it is one scratch object of the session, with views into the
 * chunk that its octets arrived in, and costs no allocation. One that is kept lives in a chunk itself, with its octets or
 * with a hold on the chunk that has them, and is counted by that chunk's references. */
#ifndef NBJ_CONN_MSG_H
#define NBJ_CONN_MSG_H

#include "base/chunk.h"

#include <nbj/msg.h>
#include <stdbool.h>

struct nbj_msg {
    nbj_bytes subject, reply, headers, payload;
    nbj__chunk *chunk; /* where it lives; scratch: what its views point into */
    void *client;      /* whose message it is, for settling it */
    nbj_msg *next;     /* in a queue */
    bool is_kept;      /* lives in |chunk|; else scratch, to be copied by the first retain */
};

/* Octets that count against a subscription's limit. */
static inline size_t nbj__msg_size(const nbj_msg *m)
{
    return m->headers.len + m->payload.len;
}

/* A 503 without a payload: nobody listens on the subject of the request. */
bool nbj__msg_is_no_responders(const nbj_msg *m);

#endif
