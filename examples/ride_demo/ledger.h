/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of one process: what it did, as JSON lines appended to a file. Owns: the format, the order on disk.
 * Does not own: judging (checker.h).
 *
 * Every line has n (1, 2, 3 ...: a missing, repeated or moved line shows), t (monotonic nanoseconds) and e:
 *   pub.attempt id            pub.ack id stream seq dup        pub.fail id certain
 *   cons.deliver id seq d sum proc.done id                     cons.ack id, cons.ackack id
 *   stream.msg id seq         ledger.end (the last line of a process that ended by itself)
 *
 * Lines are gathered and written in whole lines by ledger_flush(). The rule that makes a ledger evidence: flush
 * before the step that depends on the line, so attempts before anything is sent and proc.done before the ack. */
#ifndef RIDE_DEMO_LEDGER_H
#define RIDE_DEMO_LEDGER_H

#include "problem.h"

#include <stdint.h>

typedef struct ledger ledger;

/* Creates the file |name| in |directory|; it must not exist. NULL with the problem filled in. */
ledger *ledger_create(const char *directory, const char *name, problem *why);

/* These never fail by themselves: the first error sticks and ledger_flush() reports it. */
void ledger_attempt(ledger *to, const char *id);
void ledger_stored(ledger *to, const char *id, const char *stream, uint64_t sequence, bool duplicate);
void ledger_failed(ledger *to, const char *id, bool certain);
void ledger_delivered(ledger *to, const char *id, uint64_t sequence, uint64_t delivery, uint64_t sum);
void ledger_done(ledger *to, const char *id);
void ledger_acked(ledger *to, const char *id);         /* the ack was handed to the connection */
void ledger_ack_confirmed(ledger *to, const char *id); /* the server confirmed it */
void ledger_in_stream(ledger *to, const char *id, uint64_t sequence);

bool ledger_flush(ledger *to, problem *why);

/* Writes the end line, flushes and frees. */
bool ledger_close(ledger *to, problem *why);

#endif
