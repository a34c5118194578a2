/* SPDX-License-Identifier: Apache-2.0 */
/* How every program of the benchmark ends when something is not as it must be: a wrong result is no figure. */
#ifndef BENCH_FAIL_H
#define BENCH_FAIL_H

#include <stddef.h>

/* Says what is wrong on stderr and exits with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *must_alloc(size_t count, size_t size); /* zeroed; release with free() */

#endif
