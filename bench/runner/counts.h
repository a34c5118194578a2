/* SPDX-License-Identifier: Apache-2.0 */
/* What repeats exactly, or nearly: system calls, context switches and instructions for each message. */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#include "rows.h"

#include <stdio.h>

typedef struct counts {
    bool has_calls, has_instructions;
    double calls, caller_switches, library_switches, instructions;
} counts;

/* Whether strace works here, and callgrind, without privileges that the caller has not. */
bool can_count_calls(void);
bool can_count_instructions(void);

/* Counts |spec| of implementation |i| on the running server, in short runs of their own. */
counts count_row(bench *b, const row_spec *spec, size_t i, bool with_calls, bool with_instructions);

void report_counts_head(FILE *out);
void report_counts(const bench *b, const row_spec *spec, size_t i, const counts *c, FILE *out);

#endif
