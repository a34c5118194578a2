/* SPDX-License-Identifier: Apache-2.0 */
/* Scripted conversations with a server, and what a server wrote put into a form in which two servers can be compared:
 * one line per frame, without what differs by nature (ids, times, addresses, sizes that follow from them). */
#ifndef SIM_TRANSCRIPT_H
#define SIM_TRANSCRIPT_H

#include "buf.h"

#define TRANSCRIPT_CONNS 4 /* A .. D */

/* Steps of a script, one per line; |X| is a connection, opened by its first step:
 *   X <line>                          sent with CRLF
 *   X P <subject> <reply|-> <data>    PUB
 *   X H <subject> <reply|-> <key=value;...> <data>   HPUB
 *   X raw <text>                      sent as it is, with \r and \n as escapes
 *   X ack <reply|-> <body>            publishes to the ack subject that came last on X
 *   X long <octets>                   SUB with a subject of that length
 *   X fill <subject> <octets>         PUB of that many octets
 *   wait <ms>, kill, restart, lame    what happens to time and to the server */
typedef enum step_kind { STEP_SEND, STEP_WAIT, STEP_KILL, STEP_RESTART, STEP_LAME } step_kind;

typedef struct transcript_step {
    step_kind kind;
    unsigned conn; /* SEND */
    buf octets;    /* SEND */
    uint64_t ms;   /* WAIT */
} transcript_step;

/* |ack| is the last ack subject seen on the step's connection, maybe empty. Free |octets|. */
transcript_step transcript_read_step(str line, str ack);

/* Turns the frames that are complete in |in| into lines of |out| and takes them out of |in|. |ack| follows the last
 * ack subject met. PINGs leave no line. */
void transcript_read_frames(buf *in, buf *out, buf *ack);

#endif
