/* SPDX-License-Identifier: Apache-2.0 */
/* The program that runs seeds: `[--seeds N] [--from S] [--verbose]`, by default $NBJ_SIM_SEEDS or its own number from
 * 1 on. Fails with the first seed that breaks an invariant and says how to replay it; when a run is too small to count;
 * when two runs of a seed differ; when a legal transition of a state machine was never taken. */
#define _POSIX_C_SOURCE 200809L

#include "sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TWICE_EVERY 50            /* seeds that are run twice */
#define ENOUGH_FOR_COVERAGE 10000 /* seeds from which on every transition has to be taken */

static const sim_program *program;
static uint64_t current;

static void on_abort(int signal_number)
{
    char text[64];
    int n = snprintf(text, sizeof text, "aborted in seed %" PRIu64 "\n", current);
    (void)!write(STDERR_FILENO, text, (size_t)n);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static int fail_seed(uint64_t seed, const char *why)
{
    printf("FAILED: seed %" PRIu64 ": %s\n  replay: %s --from %" PRIu64 " --seeds 1 --verbose\n", seed, why,
           program->replay, seed);
    return 1;
}

static size_t report_coverage(void)
{
    size_t missed = 0;
    for (size_t i = 0; i < sim_machine_count; i++)
        for (size_t k = 0; k < sim_machines[i]->count; k++)
            if ((program->machine == NULL || program->machine == sim_machines[i]) &&
                !sim_was_taken(sim_machines[i], k)) {
                printf("  never taken: %s %d -> %d\n", sim_machines[i]->name, sim_machines[i]->legal[k].from,
                       sim_machines[i]->legal[k].to);
                missed++;
            }
    return missed;
}

typedef struct totals {
    uint64_t events, faults, lives, published, min_events, min_faults, virtual_ns;
    uint64_t fate_hits[FATE_COUNT];
} totals;

static void add(totals *t, const sim_result *r)
{
    t->events += r->events;
    t->faults += r->faults;
    t->lives += r->lives;
    t->published += r->published;
    t->virtual_ns += r->virtual_ns;
    t->min_events = r->events < t->min_events ? r->events : t->min_events;
    t->min_faults = r->faults < t->min_faults ? r->faults : t->min_faults;
    for (int i = 0; i < FATE_COUNT; i++)
        t->fate_hits[i] += r->fate_hits[i];
}

static void report(const totals *t, uint64_t seeds, double seconds)
{
    printf("%" PRIu64 " seeds, %" PRIu64 " events (at least %" PRIu64 " each), %" PRIu64 " faults (at least %" PRIu64
           " each), %" PRIu64 " clients, %" PRIu64 " messages, %.0f h of virtual time\n",
           seeds, t->events, t->min_events, t->faults, t->min_faults, t->lives, t->published,
           (double)t->virtual_ns / 3.6e12);
    printf("%.1f s, %.0f seeds/s, %.0f events/s\n ", seconds, (double)seeds / seconds, (double)t->events / seconds);
    for (int i = 0; i < FATE_COUNT; i++)
        printf(" %s %" PRIu64 "%s", sim_fate_name((fate_kind)i), t->fate_hits[i], i + 1 < FATE_COUNT ? "," : "\n");
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_seed(uint64_t seed, bool verbose, totals *t)
{
    sim_result r, again;
    current = seed;
    program->run(seed, verbose, &r);
    if (verbose)
        printf("seed %" PRIu64 ": %" PRIu64 " events, %" PRIu64 " faults, trace %016" PRIx64 "\n", seed, r.events,
               r.faults, r.hash);
    if (r.failed)
        return fail_seed(seed, r.failure);
    if (r.events < program->min_events || r.faults < SIM_MIN_FAULTS)
        return fail_seed(seed, "too few events or faults to count");
    if (seed % TWICE_EVERY == 0) {
        program->run(seed, false, &again);
        if (again.hash != r.hash || again.events != r.events)
            return fail_seed(seed, "two runs differ");
    }
    add(t, &r);
    return 0;
}

int sim_main(int argc, char **argv, const sim_program *what)
{
    const char *env = getenv("NBJ_SIM_SEEDS");
    uint64_t seeds = env != NULL ? strtoull(env, NULL, 10) : what->seeds, from = 1;
    bool verbose = false;
    totals t = { .min_events = UINT64_MAX, .min_faults = UINT64_MAX };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--from") == 0)
            from = strtoull(argv[++i], NULL, 10);
        else
            return fprintf(stderr, "usage: %s [--seeds N] [--from S] [--verbose]\n", argv[0]), 2;
    }
    program = what;
    signal(SIGABRT, on_abort);
    double start = now_s();
    for (uint64_t seed = from; seed < from + seeds; seed++)
        if (run_seed(seed, verbose, &t) != 0)
            return 1;
    report(&t, seeds, now_s() - start);
    size_t missed = seeds >= ENOUGH_FOR_COVERAGE ? report_coverage() : 0;
    if (missed > 0)
        printf("FAILED: %zu legal transitions were never taken\n", missed);
    return missed > 0;
}
