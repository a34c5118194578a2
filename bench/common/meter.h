/* SPDX-License-Identifier: Apache-2.0 */
/* What one round costs its process: time, CPU of all its threads, context switches, memory. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stddef.h>
#include <stdint.h>

typedef struct meter {
    uint64_t began_ns, ended_ns; /* monotonic, the same for all processes of the machine */
    uint64_t cpu_ns;             /* user and system time of the process */
    uint64_t caller_switches;    /* of the measuring thread, voluntary */
    uint64_t library_switches;   /* of all other threads, voluntary */
    uint64_t rss;                /* octets that are resident at the end */
} meter;

uint64_t now_ns(void);

void meter_begin(meter *m);
void meter_end(meter *m);
uint64_t resident_bytes(void);

/* The value that |percent| of the |count| values do not exceed; sorts |values|. 0 without values. */
uint64_t percentile(uint64_t *values, size_t count, unsigned percent);

#endif
