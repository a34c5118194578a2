/* SPDX-License-Identifier: Apache-2.0 */
/* The least NATS: one nonblocking socket and the few frames that are needed. The workers of the wire limit, the load
 * and the runner's questions to the server are made of it. No client library is involved. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_IN (256u * 1024u) /* octets read at once at most */
#define RAW_PIECE (64u * 1024u)

typedef struct raw {
    int fd;
    char *in;         /* RAW_IN octets */
    size_t len;       /* of them in use, by whoever reads */
    bool owes_pong;   /* paid by raw_flush and raw_drop_input, when no frame is half written */
    char version[32]; /* of the server */
} raw;

void raw_open(raw *r, uint16_t port);
void raw_close(raw *r);

/* Writes all of it, reading nothing meanwhile. */
void raw_write(raw *r, const void *data, size_t len);

/* Writes what the socket takes; how much that was. */
size_t raw_write_some(raw *r, const void *data, size_t len);

void raw_wait(raw *r, bool for_writing); /* with poll(), until there is something to read, or |for_writing| room too */
size_t raw_read(raw *r, void *to, size_t cap); /* 0: nothing there */

/* Sends PING and waits for PONG; throws all else away. Nothing may be left half read. */
void raw_flush(raw *r);

/* Throws away what came while nobody measured. */
void raw_drop_input(raw *r);

/* The answer to a request, NUL-terminated, lives until the next call. One at a time. */
const char *raw_request(raw *r, const char *subject, const char *body);

/* "PUB <subject> [<reply>] <n>" or, with an id, HPUB with it as Nats-Msg-Id, at |out|; its length. |id| and |reply| may
 * be NULL. |out| has room for RAW_FRAME_EXTRA and the payload. */
size_t raw_frame(char *out, const char *subject, const char *reply, const char *id, const char *data, size_t len);
#define RAW_FRAME_EXTRA 256u

/* Where in the octets a reader stands. */
typedef enum raw_place { RAW_LINE_START = 0, RAW_IN_PAYLOAD, RAW_IN_OTHER } raw_place;

/* Counts the messages that end in these |len| octets: lines that begin with none of the protocol's letters, so payloads
 * must not, nor have line ends. |place| is carried from call to call. */
size_t raw_count_messages(raw *r, const char *data, size_t len, raw_place *place);

#endif
