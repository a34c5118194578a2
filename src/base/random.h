/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random, from a seed that the driver brings: back-off jitter, server order, inbox names. Not for
 * secrets. The same seed gives the same run. */
#ifndef NBJ_BASE_RANDOM_H
#define NBJ_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct nbj__random {
    uint64_t state;
} nbj__random;

uint64_t nbj__random_next(nbj__random *r);

/* Evenly one of 0 … |n| - 1; 0 for |n| of 0. */
uint64_t nbj__random_below(nbj__random *r, uint64_t n);

/* |len| characters of 0-9A-Za-z to |out|, no NUL. */
void nbj__random_name(nbj__random *r, char *out, size_t len);

#endif
