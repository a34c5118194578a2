/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers to the messages of an atomic batch and of a fast-ingest batch. */
#ifndef NBJ_JS_BATCH_REPLY_H
#define NBJ_JS_BATCH_REPLY_H

#include "js/pub_ack.h"

#define NBJ__BATCH_ID 22u /* characters of the ids that we make; a server takes 64 */

typedef enum nbj__batch_answer {
    NBJ__BATCH_STAGED = 1, /* atomic: it has this message, not stored yet */
    NBJ__BATCH_ACK,        /* fast: |seq| messages are stored, and it will say so again after |messages| more */
    NBJ__BATCH_GAP,        /* fast: it missed the messages from |seq| to |until| - 1 */
    NBJ__BATCH_ERR,        /* fast: message |seq| was refused: |error| */
    NBJ__BATCH_STORED,  /* a publish acknowledgement, |ack|; of the batch if |is_whole|, which had |count| messages */
    NBJ__BATCH_REFUSED, /* |error| */
    NBJ__BATCH_NOBODY,  /* no stream takes the subject (now) */
    NBJ__BATCH_UNREADABLE, /* |error| */
} nbj__batch_answer;

typedef struct nbj__batch_reply {
    nbj__batch_answer answer;
    uint64_t seq, until, messages;
    nbj__pub_ack ack; /* its sequence is 0 where the batch ended without a message */
    uint64_t count;
    bool is_whole; /* it names the batch: the server knows what a batch is */
    nbj_error error;
} nbj__batch_reply;

/* Reads |msg|, which came for the batch |id|. */
void nbj__batch_reply_read(const nbj_msg *msg, nbj_bytes id, nbj__batch_reply *out);

#endif
