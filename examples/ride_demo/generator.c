/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up Jakarta trips (generator.h). */
#include "generator.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { FIRST_PICKUP_S = 1735689600 /* 2025-01-01 00:00:00 UTC */, LONGEST_GAP_S = 90 };

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to below |limit|; the bias of the remainder does not matter here. */
static uint64_t below(generator *from, uint64_t limit)
{
    return splitmix64(&from->random) % limit;
}

/* Between the borders, mostly near the middle: the mean of two draws. In whole millionths of a degree, so that
 * no rounding differs between machines. */
static double somewhere(generator *from, double low, double high)
{
    int64_t first = llround(low * 1e6);
    uint64_t span = (uint64_t)(llround(high * 1e6) - first) + 1;

    return (double)(first + (int64_t)((below(from, span) + below(from, span)) / 2)) / 1e6;
}

static position somewhere_in_jakarta(generator *from)
{
    double longitude = somewhere(from, GENERATOR_WEST, GENERATOR_EAST);

    return (position){ longitude, somewhere(from, GENERATOR_SOUTH, GENERATOR_NORTH) };
}

void generator_start(generator *out, uint64_t seed)
{
    *out = (generator){ .random = seed, .seed = seed, .clock_s = FIRST_PICKUP_S };
}

void generator_next(generator *from, trip *out)
{
    from->made++;
    from->clock_s += 1 + (int64_t)below(from, LONGEST_GAP_S);
    *out = (trip){ .index = from->made, .pickup_s = from->clock_s, .currency = "IDR" };
    snprintf(out->key, sizeof out->key, "jakarta-%" PRIu64 "-%" PRIu64, from->seed, from->made);
    out->pickup = somewhere_in_jakarta(from);
    out->dropoff = somewhere_in_jakarta(from);
    out->passengers = 1 + (unsigned)below(from, 4);
    out->fare = round(trip_distance_m(out) / 1000 * GENERATOR_FARE_PER_KM / 100) * 100;
}
