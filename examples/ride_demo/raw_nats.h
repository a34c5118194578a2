/* SPDX-License-Identifier: Apache-2.0 */
/* The least NATS that can ask a server questions: one blocking socket, one inbox, requests by number. Shares no line
 * with the library under test, so that a mistake of the library cannot hide itself in the checker.
 * Owns: the socket, the few frames it needs. Does not own: what is asked (stream_reader.h). */
#ifndef RIDE_DEMO_RAW_NATS_H
#define RIDE_DEMO_RAW_NATS_H

#include "problem.h"

#include <stdint.h>

#define RAW_NATS_PATIENCE_S 5 /* bound of every single wait */

typedef struct raw_nats raw_nats;

/* Connects to a server on the loopback interface and shakes hands. NULL with the problem filled in. */
raw_nats *raw_nats_open(uint16_t port, problem *why);
void raw_nats_close(raw_nats *connection); /* NULL is allowed */

/* Sends the request |number|; several may be under way. */
bool raw_nats_ask(raw_nats *connection, uint64_t number, const char *subject, const char *body, problem *why);

/* Waits for the next answer, whichever it is. |payload| is NUL-terminated and lives until the next call. */
bool raw_nats_answer(raw_nats *connection, uint64_t *number, const char **payload, size_t *length, problem *why);

#endif
