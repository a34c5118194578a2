/* SPDX-License-Identifier: Apache-2.0 */
/* The line that moves while the demo runs: rewritten in place on a terminal, now and then a line elsewhere. */
#ifndef RIDE_DEMO_PROGRESS_H
#define RIDE_DEMO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct progress {
    FILE *out;
    bool terminal, drawn;
    uint64_t total, published, processed;
    const char *server;    /* its state; static */
    uint64_t shown_ns;     /* when the line was last drawn */
    uint64_t shown_tenths; /* of the whole, when a line was last printed */
} progress;

void progress_start(progress *out, FILE *to, uint64_t total);

/* Shows the counts if it is time to. */
void progress_show(progress *of, uint64_t now_ns);

/* Prints a line that stays. */
__attribute__((format(printf, 2, 3))) void progress_say(progress *of, const char *format, ...);

#endif
