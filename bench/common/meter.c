/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the clocks. A thread that ends within a round takes its switches with it: the libraries that are measured keep
 * their threads over a round. */
#define _GNU_SOURCE

#include "meter.h"

#include "fail.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Under callgrind only what lies between begin and end is counted. */
#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION (void)0
#endif

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t switches_of(const char *task)
{
    static const char wanted[] = "voluntary_ctxt_switches:";
    char path[300], line[256];
    uint64_t n = 0;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, wanted, sizeof wanted - 1) == 0)
            n = strtoull(line + sizeof wanted - 1, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return n;
}

static void read_switches(uint64_t *caller, uint64_t *library)
{
    DIR *tasks = opendir("/proc/self/task");
    long self = gettid();

    *caller = *library = 0;
    if (tasks == NULL)
        fail("cannot list the threads");
    for (struct dirent *d = readdir(tasks); d != NULL; d = readdir(tasks)) {
        if (d->d_name[0] == '.')
            continue;
        *(strtol(d->d_name, NULL, 10) == self ? caller : library) += switches_of(d->d_name);
    }
    closedir(tasks);
}

void meter_begin(meter *m)
{
    *m = (meter){ 0 };
    read_switches(&m->caller_switches, &m->library_switches);
    m->cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    m->began_ns = now_ns();
    CALLGRIND_START_INSTRUMENTATION;
}

void meter_end(meter *m)
{
    uint64_t caller, library;

    CALLGRIND_STOP_INSTRUMENTATION;
    m->ended_ns = now_ns();
    m->cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID) - m->cpu_ns;
    read_switches(&caller, &library);
    m->caller_switches = caller - m->caller_switches;
    m->library_switches = library > m->library_switches ? library - m->library_switches : 0;
    m->rss = resident_bytes();
}

uint64_t resident_bytes(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL || fscanf(f, "%llu %llu", &all, &resident) != 2)
        fail("cannot read /proc/self/statm");
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t percentile(uint64_t *values, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return values[(count - 1) * percent / 100];
}
