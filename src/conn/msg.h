/* SPDX-License-Identifier: Apache-2.0 */
/* A received message inside: views into the chunk that its octets arrived in. As long as nobody retains it, it is one
 * scratch object of the session and costs no allocation. */
#ifndef NBJ_CONN_MSG_H
#define NBJ_CONN_MSG_H

#include "base/chunk.h"
#include "base/list.h"

#include <nbj/msg.h>
#include <stdbool.h>

struct nbj_msg {
    nbj_bytes subject, reply, headers, payload;
    uint64_t sid;
    nbj__chunk *chunk; /* what the views point into */
    void *client;      /* whose message it is, for settling it */
    atomic_uint refs;  /* 0: scratch, to be copied by the first retain */
    nbj__node node;    /* in a subscription's queue */
};

/* Octets that count against a subscription's limit. */
static inline size_t nbj__msg_size(const nbj_msg *m)
{
    return m->headers.len + m->payload.len;
}

/* A copy with octets of its own, as small as they are, so that it holds no chunk that others passed through too; to be
 * released. NULL: no memory. */
nbj_msg *nbj__msg_copy(const nbj_msg *m);

/* A 503 without a payload: nobody listens on the subject of the request. */
bool nbj__msg_is_no_responders(const nbj_msg *m);

#endif
