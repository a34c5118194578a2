/* SPDX-License-Identifier: Apache-2.0 */
/* Failing libc's malloc, for what a foreign library allocates behind our allocator. A program that calls any of these
 * gets malloc, calloc and realloc from here. Under a sanitizer or valgrind, which have their own malloc, arming does nothing. */
#ifndef NBJ_TEST_MALLOC_FAIL_H
#define NBJ_TEST_MALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether malloc can be made to fail here. A test that depends on it says so and checks it. */
bool ts_malloc_fail_works(void);

/* From now on the |n|-th (from 0) allocation of the calling thread fails, once. */
void ts_malloc_fail_arm(size_t n);

/* Back to normal. Returns whether an allocation was refused. */
bool ts_malloc_fail_disarm(void);

#endif
