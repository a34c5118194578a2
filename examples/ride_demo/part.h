/* SPDX-License-Identifier: Apache-2.0 */
/* One part of the demo as a process of its own: this program, started again. Owns: its command line.
 * Does not own: what it does (parts.h), when it runs (supervisor.c). */
#ifndef RIDE_DEMO_PART_H
#define RIDE_DEMO_PART_H

#include "child.h"
#include "options.h"
#include "report.h"

typedef enum part_kind { PART_PUBLISHER, PART_PROCESSOR, PART_CHECKER } part_kind;

typedef struct part {
    child process;
    report_reader reader;
    uint64_t events; /* as it reports */
} part;

/* What every part is told; see options.h. */
typedef struct part_setting {
    const options *with; /* of the whole demo */
    const char *run, *directory;
    uint16_t port;
    uint64_t singles, drop;
} part_setting;

bool part_start(part *out, part_kind kind, const part_setting *setting, problem *why);

#endif
