/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the demo as functions: each is the whole work of one process and returns its exit status. */
#ifndef RIDE_DEMO_PARTS_H
#define RIDE_DEMO_PARTS_H

#include "options.h"

#define PUBLISHER_LEDGER "publisher.jsonl"
#define PROCESSOR_LEDGER "processor.jsonl"
#define STREAM_LEDGER "stream.jsonl"

#define RIDE_DURABLE "ride_processor" /* the consumer that the processor works for */

enum {
    EXIT_PASSED = 0,
    EXIT_FAILED = 1, /* something is lost, violated or stuck */
    EXIT_USAGE = 2,
    EXIT_TROUBLE = 3, /* the demo could not run */
    EXIT_INTERRUPTED = 130,
};

int supervisor_run(const options *with);
int publisher_run(const options *with);
int processor_run(const options *with);
int check_run(const options *with);

#endif
