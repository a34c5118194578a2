/* SPDX-License-Identifier: Apache-2.0 */
/* A worker as the runner sees it: a process that is spoken to in lines. Every wait is bounded; a worker that ends or
 * says something else than expected ends the benchmark. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "meter.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define CHILD_LINE 512

typedef struct child {
    pid_t pid;
    int to, from;
    char name[64]; /* as it calls itself */
    char line[CHILD_LINE];
    char buffer[CHILD_LINE]; /* what came behind the line */
    size_t buffered;
} child;

/* What a round came to, as the worker measured it. */
typedef struct sample {
    meter meter;
    uint64_t p50_ns;
} sample;

/* |argv| ends with NULL. The worker has said hello when it returns. */
void child_start(child *c, const char *const *argv);
void child_say(child *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void child_expect(child *c, const char *line);
void child_result(child *c, sample *out);
void child_end(child *c); /* lets it finish its work first */

#endif
