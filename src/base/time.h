/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic with points in time that cannot wrap. */
#ifndef NBJ_BASE_TIME_H
#define NBJ_BASE_TIME_H

#include <nbj/time.h>

/* |a| + |b|, and NBJ_TIME_NEVER instead of wrapping. */
static inline nbj_time nbj__time_add(nbj_time a, uint64_t b)
{
    return a > NBJ_TIME_NEVER - b ? NBJ_TIME_NEVER : a + b;
}

static inline nbj_time nbj__time_min(nbj_time a, nbj_time b)
{
    return a < b ? a : b;
}

/* How long ago |then| was; 0 when it lies ahead, since two readings of the clock may be told in another order. */
static inline uint64_t nbj__time_since(nbj_time then, nbj_time now)
{
    return now > then ? now - then : 0;
}

#endif
