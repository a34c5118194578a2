/* SPDX-License-Identifier: Apache-2.0 */
/* What the checker knows; shared by its three files and by nothing else: checker.c judges, checker_ledger.c reads
 * ledgers into it, checker_print.c shows the report. */
#ifndef RIDE_DEMO_CHECKER_STATE_H
#define RIDE_DEMO_CHECKER_STATE_H

#include "checker.h"

#define CHECKER_FOREIGN UINT64_MAX /* the number of a message that is none of our events */

/* Everything about one event. */
typedef struct checker_record {
    uint64_t sum; /* of the payload that is expected */
    bool open;    /* attempted, outcome not seen yet */
    uint32_t attempts, acked, refused, unknown;
    uint64_t floor; /* highest sequence acknowledged before the first attempt */
    uint32_t stored;
    uint64_t sequence; /* where it is stored first */
    uint32_t delivered, done, settled, confirmed;
} checker_record;

/* "The message at |sequence| is event |number|", said by a ledger or by the stream itself. */
typedef struct checker_claim {
    uint64_t sequence, number;
} checker_claim;

typedef struct checker_claims {
    checker_claim *list;
    size_t count, room;
} checker_claims;

struct checker {
    const char *run;
    checker_record *records; /* by event number */
    uint64_t count, room;
    checker_claims stream;    /* what is stored, by rising sequence */
    checker_claims acked;     /* what acknowledgements said */
    checker_claims delivered; /* what deliveries said */
    uint64_t highest_acked;   /* sequence */
    uint64_t next_attempt;    /* the number that may be attempted first */
    checker_violation violations[CHECKER_PROPERTY_COUNT];
};

/* Counts a violation and keeps the text of the first few. */
__attribute__((format(printf, 3, 4))) void checker_violated(checker *of, checker_property property, const char *format,
                                                            ...);

/* False: out of memory. */
bool checker_claim_add(checker_claims *to, uint64_t sequence, uint64_t number);

/* The record of the event with this id, or NULL when the trips do not ask for it. */
checker_record *checker_find(checker *of, const char *id);

#endif
