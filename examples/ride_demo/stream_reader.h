/* SPDX-License-Identifier: Apache-2.0 */
/* What the server itself says about a stream and a consumer, asked over raw_nats.h. Owns: the three questions.
 * Does not own: any conclusion (checker.h). */
#ifndef RIDE_DEMO_STREAM_READER_H
#define RIDE_DEMO_STREAM_READER_H

#include "raw_nats.h"

/* One message, in rising order of sequence; |payload| lives until the return. False ends the reading with failure
 * and the problem filled in. */
typedef bool stream_message(void *user, uint64_t sequence, const char *subject, const char *payload, size_t length,
                            problem *why);

/* Reads every message of |stream|. It fails when the server's own count differs from what could be read. */
bool stream_read(raw_nats *connection, const char *stream, stream_message *each, void *user, problem *why);

typedef struct consumer_state {
    bool exists;
    uint64_t pending;     /* stored and not delivered yet */
    uint64_t ack_pending; /* delivered and not acknowledged */
} consumer_state;

bool consumer_state_read(raw_nats *connection, const char *stream, const char *durable, consumer_state *out,
                         problem *why);

#endif
