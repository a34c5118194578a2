/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. Owns: names, ranges, defaults, the help text. */
#ifndef RIDE_DEMO_OPTIONS_H
#define RIDE_DEMO_OPTIONS_H

#include "problem.h"
#include "source.h"

#include <stdint.h>
#include <stdio.h>

/* What the program does in this process: everything, or one part of it when the supervisor starts itself again. */
typedef enum role {
    ROLE_DEMO,
    ROLE_PUBLISH,
    ROLE_PROCESS,
    ROLE_CHECK,
} role;

typedef struct options {
    role role;
    bool help;
    trip_source_options source;
    uint64_t window;     /* publishes in flight */
    uint64_t patience_s; /* how long nothing may move */
    bool sabotage, keep;
    /* The rest is set by the supervisor for its parts. */
    const char *run;       /* name of the run, first part of every event id */
    const char *directory; /* of the ledgers */
    uint16_t port;         /* of the server, on the loopback interface */
    uint64_t singles;      /* events to publish one at a time before the window opens */
    uint64_t drop;         /* ack this one (counted from 1) without processing it; 0: none */
} options;

bool options_read(options *out, int count, char *const arguments[], problem *why);
void options_help(FILE *out);

#endif
