/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of what a server sends: MSG, HMSG, INFO, PING, PONG, +OK, -ERR. Incremental: give it all octets from the
 * frame's first on, again with more of them when it says NBJ_MORE; it does not look twice at what it has seen. */
#ifndef NBJ_WIRE_FRAME_H
#define NBJ_WIRE_FRAME_H

#include <nbj/bytes.h>
#include <nbj/status.h>

typedef enum nbj__verb {
    NBJ__OP_MSG = 1,
    NBJ__OP_HMSG,
    NBJ__OP_INFO,
    NBJ__OP_PING,
    NBJ__OP_PONG,
    NBJ__OP_OK,
    NBJ__OP_ERR,
} nbj__verb;

/* Limits against a server that never ends a line or announces what it will not send. */
#define NBJ__LINE_MAX 65536u                                 /* MSG, HMSG, -ERR; servers default to 4,096 */
#define NBJ__INFO_MAX 1048576u                               /* INFO, with a few thousand connect_urls */
#define NBJ__SHORT_LINE_MAX 64u                              /* PING, PONG, +OK and blanks */
#define NBJ__PAYLOAD_MAX (64u * 1024u * 1024u + 64u * 1024u) /* headers and body; servers allow at most 64 MiB */

typedef struct nbj__frame {
    nbj__verb op;
    uint64_t sid;      /* MSG, HMSG */
    nbj_bytes subject; /* MSG, HMSG */
    nbj_bytes reply;   /* MSG, HMSG; empty: none */
    nbj_bytes headers; /* HMSG: the whole block with its final blank line */
    nbj_bytes payload; /* MSG, HMSG */
    nbj_bytes text;    /* INFO: the JSON; -ERR: the text without its quotes */
} nbj__frame;

typedef struct nbj__parser { /* zeroed: at the start of a frame */
    size_t scanned;          /* octets of an unfinished line that hold no LF */
    size_t need;             /* length of the whole frame, once its line is known; else 0 */
} nbj__parser;

/* Parses the frame that |in| begins with. NBJ_OK: views in |out| point into |in|, *|used| octets were the frame.
 * NBJ_MORE: it is not complete. NBJ_E_PROTO: this can never become a legal frame; nothing more may be parsed. */
nbj_status nbj__frame_parse(nbj__parser *p, nbj_bytes in, nbj__frame *out, size_t *used);

/* Length of the whole frame that begun, as far as known: at least 1. */
static inline size_t nbj__frame_need(const nbj__parser *p)
{
    return p->need > 0 ? p->need : p->scanned + 1;
}

#endif
