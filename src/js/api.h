/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to JetStream's API: what is written for each, under the client's prefix. */
#ifndef NBJ_JS_API_H
#define NBJ_JS_API_H

#include "base/json_write.h"
#include "conn/session.h"
#include "js/op.h"

typedef struct nbj__consumer_config { /* a durable pull consumer with explicit acknowledgement */
    nbj_bytes stream, durable;
    nbj_bytes filter_subject; /* empty: all */
    uint64_t ack_wait_ns;
    int64_t max_deliver; /* 0: without a limit */
    int64_t max_ack_pending;
} nbj__consumer_config;

/* Writes "<prefix>.<verb>[.<stream>[.<consumer>]]" to |out|, NBJ__API_SUBJECT_MAX octets. */
nbj_bytes nbj__api_subject(char *out, const char *verb, nbj_bytes stream, nbj_bytes consumer);

nbj_status nbj__api_consumer_create(nbj__buf *body, const nbj__consumer_config *c);
nbj_status nbj__api_pull(nbj__buf *body, uint64_t batch, uint64_t expires_ns, uint64_t heartbeat_ns);

#endif
