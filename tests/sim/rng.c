/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers: see rng.h. */
#include "rng.h"

#include <assert.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

rng rng_for(uint64_t seed, const char *actor)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a of the name */
    for (; *actor != '\0'; actor++)
        h = (h ^ (unsigned char)*actor) * 0x100000001b3u;
    return (rng){ mix(seed + 0x9e3779b97f4a7c15u) ^ mix(h) };
}

uint64_t rng_next(rng *r)
{
    return mix(r->state += 0x9e3779b97f4a7c15u);
}

uint64_t rng_below(rng *r, uint64_t n)
{
    assert(n > 0);
    return rng_next(r) % n; /* the bias is below 2^-40 for every n used here */
}

uint64_t rng_between(rng *r, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + rng_below(r, high - low + 1);
}

bool rng_chance(rng *r, uint64_t per_million)
{
    return rng_below(r, 1000000) < per_million;
}

uint64_t rng_log(rng *r, uint64_t low, uint64_t high)
{
    assert(low > 0 && low <= high);
    unsigned octaves = 0;
    while (octaves < 63 && (low << octaves) <= high / 2)
        octaves++;
    uint64_t from = low << rng_below(r, octaves + 1u);
    uint64_t to = from <= high / 2 ? from * 2 - 1 : high;
    return rng_between(r, from, to);
}
