/* SPDX-License-Identifier: Apache-2.0 */
/* One splitmix64 stream per actor, derived from the seed by the actor's name: an added actor does not shift the
 * draws of the others, so old failing seeds stay close to what they were. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

rng rng_for(uint64_t seed, const char *actor);
uint64_t rng_next(rng *r);
uint64_t rng_below(rng *r, uint64_t n);                    /* 0 .. n-1; n > 0 */
uint64_t rng_between(rng *r, uint64_t low, uint64_t high); /* both included */
bool rng_chance(rng *r, uint64_t per_million);
uint64_t rng_log(rng *r, uint64_t low, uint64_t high); /* log-uniform: every magnitude equally often; low > 0 */

#endif
