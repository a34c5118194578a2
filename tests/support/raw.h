/* SPDX-License-Identifier: Apache-2.0 */
/* The other client of a test: a blocking socket that speaks the protocol by hand and shares no code with src/. Calls
 * that wait fail the test at their deadline, showing what had come; those that can be asked about say so. */
#ifndef NBJ_TEST_RAW_H
#define NBJ_TEST_RAW_H

#include <nbj/bytes.h>
#include <nbj/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_RAW_MS 5000 /* a wait long enough for anything that should happen at once */

typedef struct ts_raw ts_raw;

/* A message as received. Views into the peer, until its next call. */
typedef struct ts_raw_msg {
    nbj_bytes subject, sid, reply;
    nbj_bytes header; /* with its version line and final blank line; empty for MSG */
    nbj_bytes payload;
} ts_raw_msg;

ts_raw *ts_raw_dial(uint16_t port);     /* TCP only */
ts_raw *ts_raw_try_dial(uint16_t port); /* NULL when the connection is refused */
ts_raw *ts_raw_adopt(int fd);           /* a peer for a connection that was accepted, to play the server */
ts_raw *ts_raw_open(uint16_t port);     /* TCP and ts_raw_login without credentials */
void ts_raw_close(ts_raw *r);           /* NULL is allowed */
void ts_raw_reset(ts_raw *r);           /* closes with a RST */
int ts_raw_fd(const ts_raw *r);

/* INFO, CONNECT with headers and |members| (such as "\"user\":\"a\",\"pass\":\"b\"", or NULL), PING, PONG. */
void ts_raw_login(ts_raw *r, const char *members);

/* Only reads the INFO with which the server begins. */
void ts_raw_read_info(ts_raw *r);

/* The INFO line that was met so. A member's text or number as it is written; empty when it is not there. */
const char *ts_raw_info(const ts_raw *r);
nbj_bytes ts_raw_info_member(const ts_raw *r, const char *name);

void ts_raw_send(ts_raw *r, const char *text);
void ts_raw_send_bytes(ts_raw *r, const void *ptr, size_t len);
void ts_raw_printf(ts_raw *r, const char *format, ...) NBJ_PRINTF(2, 3);

/* Reads up to and with the first |pattern|; the result is what came until then, as a C string, until the next call. */
const char *ts_raw_expect(ts_raw *r, const char *pattern, int ms);
const char *ts_raw_try_read(ts_raw *r, const char *pattern, int ms); /* NULL: not in time, nothing is taken */
void ts_raw_expect_end(ts_raw *r, int ms);                           /* FIN or RST; what comes before is dropped */

void ts_raw_sub(ts_raw *r, const char *subject, const char *sid); /* in force when it returns */
void ts_raw_pub(ts_raw *r, const char *subject, const char *reply, const void *payload, size_t len); /* reply or NULL */
void ts_raw_flush(ts_raw *r); /* PING and its PONG: the server has seen everything before. Messages stay readable. */

/* The next message; PINGs are answered and other lines passed over on the way. An -ERR fails the test. */
ts_raw_msg ts_raw_next(ts_raw *r, int ms);

/* Sends to |subject| with a fresh inbox; the answer as a C string until the next call ("" for a status without a
 * payload, such as no responders). NULL: none in time. For a peer without other subscriptions. */
const char *ts_raw_request(ts_raw *r, const char *subject, const char *payload, int ms);

#endif
