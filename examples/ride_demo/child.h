/* SPDX-License-Identifier: Apache-2.0 */
/* A process that we started. Owns: starting it so that it cannot outlive us, its output pipe, stopping it by its id.
 * Does not own: what it says (report.h). */
#ifndef RIDE_DEMO_CHILD_H
#define RIDE_DEMO_CHILD_H

#include "problem.h"

#include <sys/types.h>

typedef struct child {
    const char *name; /* for people; static */
    pid_t pid;        /* 0: not running */
    int out;          /* reads what it writes to its standard output; -1: none */
    bool ended;       /* it ran and is gone; then |status| says how */
    int status;       /* exit status; 128 + signal when a signal ended it */
} child;

#define CHILD_NONE ((child){ .out = -1 })

/* Starts |arguments|[0], found as given or in PATH. Its signals are as at login, a Ctrl-C at the terminal does not reach
 * it, and it dies with us. |piped|: its standard output comes to |out|->out, which does not block; else it is ours. */
bool child_start(child *out, const char *name, char *const arguments[], bool piped, problem *why);

/* Looks whether it ended. */
bool child_gone(child *of);

/* Waits for its end, at most so long. */
bool child_wait(child *of, unsigned milliseconds);

/* Sends |signal|, waits at most so long and kills what is still there. Nothing happens when it is not running. */
void child_stop(child *of, int signal, unsigned milliseconds);

void child_close(child *of); /* closes the pipe */

#endif
