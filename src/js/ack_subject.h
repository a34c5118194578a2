/* SPDX-License-Identifier: Apache-2.0 */
/* What a delivery's reply subject says: $JS.ACK.… in its first form (9 tokens) and its second (11 or more). */
#ifndef NBJ_JS_ACK_SUBJECT_H
#define NBJ_JS_ACK_SUBJECT_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

typedef struct nbj__delivery { /* views into the subject */
    nbj_bytes domain;          /* empty: none */
    nbj_bytes stream, consumer;
    uint64_t delivered; /* 1 for the first delivery */
    uint64_t stream_sequence, consumer_sequence;
    uint64_t stored_at_ns; /* wall-clock time at which the stream stored it */
    uint64_t pending;      /* messages behind it for this consumer */
} nbj__delivery;

/* Whether it is one at all: enough to answer it. */
bool nbj__is_ack_subject(nbj_bytes reply);

/* NBJ_E_NOT_JETSTREAM: not such a subject. */
nbj_status nbj__ack_subject_parse(nbj_bytes subject, nbj__delivery *out);

#endif
