/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, in words for the person at the terminal. Owns: one bounded text. */
#ifndef RIDE_DEMO_PROBLEM_H
#define RIDE_DEMO_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct problem {
    char text[512];
} problem;

/* Writes the text (cut when too long) and returns false, so that a failing function can return it. */
__attribute__((format(printf, 2, 3))) bool problem_set(problem *out, const char *format, ...);

/* Prints it to the standard error output, |part| in front unless empty, and returns |status|. */
int complain(int status, const char *part, const problem *why);

/* Copies foreign text for showing: cut to |size|, and every octet a terminal could obey becomes '?'. */
void problem_show(char *out, size_t size, const char *text);

#endif
