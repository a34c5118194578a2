/* SPDX-License-Identifier: Apache-2.0 */
/* Decides whether anything was lost, by sets: the events that the trips ask for, what the stream holds, and what
 * publisher and processor wrote into their ledgers. Owns: the properties and the counts. Does not own: reading the
 * stream (stream_reader.h), building the expected events (events.h). Knows nothing of the library under test.
 *
 * Order of calls: checker_expect() for every event by number, checker_stored() for every message of the stream by
 * sequence, checker_ledger() for every ledger, then checker_judge(). Memory grows with the number of events. */
#ifndef RIDE_DEMO_CHECKER_H
#define RIDE_DEMO_CHECKER_H

#include "events.h"

#include <stdio.h>

/* What must hold. A number is a stable name; what has none checks the ledgers themselves. */
#define CHECKER_PROPERTIES(X)                                                                                        \
    X(ACKED_NOT_LOST, "property 1 ", "acked-not-lost", "acknowledged, but not in the stream")                        \
    X(NO_UNEXPECTED, "property 2 ", "no-unexpected", "stored or processed, but never published by us")               \
    X(CERTAIN_FAILURE_ABSENT, "property 3 ", "certain-failure-absent", "reported as surely not stored, but stored")  \
    X(ACK_NAMES_ITS_MESSAGE, "property 4 ", "ack-names-its-message", "acknowledged with another message's sequence") \
    X(STORED_ONCE, "property 5 ", "stored-once", "stored more than once")                                            \
    X(PUBLISH_ORDER, "property 6 ", "publish-order", "published after an acknowledged one, but not stored after it") \
    X(ALL_SETTLED, "property 7 ", "all-settled", "stored or acknowledged, but never processed")                      \
    X(PROCESSED_ONCE, "property 10 ", "processed-once", "processed more than once")                                  \
    X(PAYLOAD_INTACT, "property 11 ", "payload-intact", "stored or delivered with other content than published")     \
    X(ALL_PUBLISHED, "", "all-published", "asked for by the trips, but never acknowledged")                          \
    X(ONE_OUTCOME, "", "one-outcome", "an attempt without exactly one outcome")                                      \
    X(WORK_BEFORE_ACK, "", "work-before-ack", "steps of the processor out of order")                                 \
    X(LEDGER_WHOLE, "", "ledger-whole", "ledger lines unreadable, missing, repeated or moved")

typedef enum checker_property {
#define CHECKER_X(name, number, title, meaning) CHECKER_##name,
    CHECKER_PROPERTIES(CHECKER_X)
#undef CHECKER_X
        CHECKER_PROPERTY_COUNT
} checker_property;

enum { CHECKER_EXAMPLES = 3 };

typedef struct checker_violation {
    uint64_t count;
    char examples[CHECKER_EXAMPLES][96]; /* the first ones */
} checker_violation;

typedef struct checker_report {
    uint64_t expected;   /* events of the trips */
    uint64_t published;  /* events acknowledged */
    uint64_t stored;     /* messages in the stream */
    uint64_t processed;  /* events whose work was done */
    uint64_t duplicates; /* deliveries of an event that had been delivered before */
    uint64_t recovered;  /* stored, though an attempt ended unknown: told, not judged */
    uint64_t lost;       /* acknowledged but not stored, or stored or acknowledged but not processed */
    checker_violation violations[CHECKER_PROPERTY_COUNT];
} checker_report;

typedef struct checker checker;

checker *checker_new(const char *run); /* |run| is borrowed. NULL: out of memory */
void checker_free(checker *of);        /* NULL is allowed */

/* The events must come by number, from 0. False: out of memory. */
bool checker_expect(checker *of, const ride_event *event);

/* The messages must come by rising sequence. False: out of memory. */
bool checker_stored(checker *of, uint64_t sequence, const char *subject, const char *payload, size_t length);

/* |name| is shown in examples. Lines that cannot be used are violations; false only for what is no finding: the
 * file cannot be read, or memory ran out. */
bool checker_ledger(checker *of, FILE *in, const char *name, problem *why);

void checker_judge(checker *of, checker_report *out); /* once, at the end */

bool checker_passed(const checker_report *report);
void checker_print(const checker_report *report, FILE *out);

#endif
