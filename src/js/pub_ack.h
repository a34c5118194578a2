/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's answer to a publish. */
#ifndef NBJ_JS_PUB_ACK_H
#define NBJ_JS_PUB_ACK_H

#include "conn/msg.h"

typedef struct nbj__pub_ack {
    char stream[256]; /* longest legal name and its NUL */
    char domain[256];
    char value[256]; /* of a counter; "" where there is none, or one that does not fit */
    uint64_t sequence;
    bool duplicate;
} nbj__pub_ack;

/* No acknowledgement. */
void nbj__pub_ack_clear(nbj__pub_ack *ack);

/* Reads one. As nbj__js_reply_parse, with the stream and what to do about it in the error's text; NBJ_E_BAD_REPLY where stream or sequence is missing. */
nbj_status nbj__pub_ack_parse(const nbj_msg *msg, nbj__pub_ack *out, nbj_error *error);

/* The two ways it goes. As servers write an acknowledgement, without a JSON library; false: it is another thing, and
 * |out| is undefined. And with one, for whatever it is. */
bool nbj__pub_ack_scan(nbj_bytes payload, nbj__pub_ack *out);
nbj_status nbj__pub_ack_read(const nbj_msg *msg, nbj__pub_ack *out, nbj_error *error);

#endif
