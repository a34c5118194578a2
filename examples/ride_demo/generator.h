/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up Jakarta trips. Owns: the random sequence and what a plausible trip is. The same seed gives the same
 * trips on every machine. Does not own: real trips (trips.h). */
#ifndef RIDE_DEMO_GENERATOR_H
#define RIDE_DEMO_GENERATOR_H

#include "trips.h"

/* Every position lies in this box. */
#define GENERATOR_WEST 106.69
#define GENERATOR_EAST 106.97
#define GENERATOR_SOUTH (-6.37)
#define GENERATOR_NORTH (-6.10)

#define GENERATOR_FARE_PER_KM 3000 /* IDR, rounded to 100 */

typedef struct generator {
    uint64_t random, seed;
    uint64_t made;
    int64_t clock_s; /* pick-up time of the last trip */
} generator;

void generator_start(generator *out, uint64_t seed);
void generator_next(generator *from, trip *out);

#endif
