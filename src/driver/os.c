/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/os.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

nbj_time nbj__os_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return NBJ_SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

uint64_t nbj__os_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) !=
        (ssize_t)sizeof seed) /* early boot: the clock will do, as it is no secret */
        seed = nbj__os_now() ^ (uint64_t)getpid() << 32;
    return seed;
}
