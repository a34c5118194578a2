/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of rows and the order of rounds. */
#include "rows.h"

#include "fail.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUND_BYTES (48u << 20) /* of payload, so that a slow subscriber stays below the server's max_pending */

const row_spec row_specs[] = {
    { .path = "core-publish", .storage = "none", .messages = 200000 },
    { .path = "core-subscribe", .storage = "none", .messages = 200000 },
    { .path = "request", .storage = "none", .messages = 2000, .is_latency = true },
    { .path = "publish-sync", .storage = "memory", .messages = 2000, .is_latency = true },
    { .path = "publish-sync", .storage = "memory", .messages = 2000, .is_latency = true, .ids = true },
    { .path = "publish-sync", .storage = "file", .messages = 2000, .is_latency = true },
    { .path = "publish-sync", .storage = "file", .messages = 2000, .is_latency = true, .ids = true },
    { .path = "publish-async", .storage = "memory", .messages = 100000 },
    { .path = "publish-async", .storage = "memory", .messages = 100000, .ids = true },
    { .path = "publish-async", .storage = "file", .messages = 100000 },
    { .path = "publish-async", .storage = "file", .messages = 100000, .ids = true },
    { .path = "bulk", .storage = "memory", .messages = 200000 },
    { .path = "bulk", .storage = "file", .messages = 200000 },
    { .path = "consume-ack", .storage = "memory", .messages = 100000 },
    { .path = "consume-ack", .storage = "file", .messages = 100000 },
};
const size_t row_spec_count = sizeof row_specs / sizeof row_specs[0];

void bench_find_implementations(bench *b)
{
    static const implementation all[IMPLEMENTATIONS] = {
        { .name = "wire", .program = "worker_wire", .variant = "" },
        { .name = "nbj", .program = "worker_nbj", .variant = "" },
        { .name = "nbj batch", .program = "worker_nbj", .variant = "batch", .only_path = "core-subscribe" },
        { .name = "nats.c", .program = "worker_natsc", .variant = "", .has_no_bulk = true },
    };
    char path[512];

    memcpy(b->implementations, all, sizeof all);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        snprintf(path, sizeof path, "%s/%s", b->folder, all[i].program);
        b->implementations[i].is_missing = access(path, X_OK) != 0;
    }
}

bool is_of_jetstream(const row_spec *spec)
{
    return strcmp(spec->storage, "none") != 0;
}

static bool is_bulk(const row_spec *spec)
{
    return strcmp(spec->path, "bulk") == 0;
}

bool plays(const implementation *i, const row_spec *spec)
{
    if (is_bulk(spec) && i->has_no_bulk)
        return false;
    bool is_batch = i->only_path != NULL; /* a batch comes from one subscription */

    return !i->is_missing && (!is_batch || (strcmp(i->only_path, spec->path) == 0 && spec->subscriptions <= 1));
}

uint64_t messages_of(const bench *b, const row_spec *spec)
{
    uint64_t n = (uint64_t)((double)spec->messages * b->scale), most = ROUND_BYTES / (b->payload > 0 ? b->payload : 1);

    n = n < most ? n : most;
    return n > 10 ? n : 10;
}

/* --- workers --- */

static size_t at_least_one(size_t n)
{
    return n > 0 ? n : 1;
}

void start_worker(const bench *b, child *c, const implementation *i, const row_spec *spec, int cpu,
                  const char *const *prefix)
{
    char program[512], text[8][64];
    const char *argv[24];
    size_t n = 0;

    while (prefix != NULL && *prefix != NULL)
        argv[n++] = *prefix++;
    snprintf(program, sizeof program, "%s/%s", b->folder, i->program);
    snprintf(text[0], sizeof text[0], "path=%s", spec->path);
    snprintf(text[1], sizeof text[1], "variant=%s", i->variant);
    snprintf(text[2], sizeof text[2], "port=%u", b->server.port);
    snprintf(text[3], sizeof text[3], "payload=%zu", b->payload);
    snprintf(text[4], sizeof text[4], "ids=%d", spec->ids);
    snprintf(text[5], sizeof text[5], "cpu=%d", cpu);
    snprintf(text[6], sizeof text[6], "threads=%zu", at_least_one(spec->threads));
    snprintf(text[7], sizeof text[7], "subscriptions=%zu", at_least_one(spec->subscriptions));
    argv[n++] = program;
    for (size_t k = 0; k < 8; k++)
        argv[n++] = text[k];
    argv[n] = NULL;
    child_start(c, argv);
}

static const char *load_of(const row_spec *spec)
{
    if (strcmp(spec->path, "core-subscribe") == 0)
        return "blast";
    return strcmp(spec->path, "request") == 0 ? "echo" : NULL;
}

void start_load(const bench *b, child *c, const row_spec *spec, int cpu)
{
    row_spec load = *spec;

    *c = (child){ .pid = 0 };
    load.path = load_of(spec);
    if (load.path != NULL)
        start_worker(b, c, &b->implementations[WIRE], &load, cpu, NULL);
}

/* --- one round --- */

static void make_ready(bench *b, const row_spec *spec, uint64_t messages)
{
    if (is_of_jetstream(spec))
        stream_reset(&b->server, spec->storage, is_bulk(spec));
    if (strcmp(spec->path, "consume-ack") == 0)
        stream_fill(&b->server, messages, b->payload);
    server_settle(&b->server);
}

static void verify(bench *b, const row_spec *spec, uint64_t messages, uint64_t received_before)
{
    if (strcmp(spec->path, "consume-ack") == 0)
        consumer_must_have_acknowledged(&b->server, messages);
    else if (is_of_jetstream(spec))
        stream_must_have(&b->server, messages);
    else if (strcmp(spec->path, "core-publish") == 0)
        server_must_have_received(&b->server, received_before + messages);
}

/* The load of a subscriber starts when that one is ready, and the clock with it. */
static void run_with_load(child *worker, child *load, const row_spec *spec, sample *out)
{
    sample other;

    if (strcmp(load_of(spec), "echo") == 0) {
        child_say(load, "run\n");
        child_expect(load, "running");
        child_say(worker, "run\n");
        child_result(worker, out);
        child_result(load, &other);
        return;
    }
    child_say(worker, "run\n");
    child_expect(worker, "running");
    child_say(load, "run\n");
    child_result(worker, out);
    child_result(load, &other);
    out->meter.began_ns = other.meter.began_ns;
}

void play_round(bench *b, child *worker, child *load, const row_spec *spec, unsigned number, uint64_t messages,
                sample *out)
{
    make_ready(b, spec, messages);
    uint64_t received = strcmp(spec->path, "core-publish") == 0 ? server_received(&b->server) : 0;
    child_say(worker, "prepare %u %llu\n", number, (unsigned long long)messages);
    child_expect(worker, "ready");
    if (load->pid > 0) {
        child_say(load, "prepare %u %llu\n", number, (unsigned long long)messages);
        child_expect(load, "ready");
        run_with_load(worker, load, spec, out);
    } else {
        child_say(worker, "run\n");
        child_result(worker, out);
    }
    verify(b, spec, messages, received);
}

/* --- a row --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double figure_of(const sample *s, metric m, uint64_t messages)
{
    double n = (double)messages;

    switch (m) {
    case P50:
        return (double)s->p50_ns / 1e3;
    case THROUGHPUT:
        return n * 1e9 / (double)(s->meter.ended_ns - s->meter.began_ns);
    case CPU:
        return (double)s->meter.cpu_ns / 1e3 / n;
    case LIBRARY_SWITCHES:
        return (double)s->meter.library_switches / n;
    case CALLER_SWITCHES:
        return (double)s->meter.caller_switches / n;
    case METRICS:
        break;
    }
    fail("no such metric");
}

static void summarize(row *r, size_t i, const sample *samples, unsigned rounds, uint64_t messages)
{
    double *values = must_alloc(rounds, sizeof *values);

    for (metric m = P50; m < METRICS; m++) {
        for (unsigned k = 0; k < rounds; k++)
            values[k] = figure_of(&samples[k], m, messages);
        double median = r->median[m][i] = median_of(values, rounds);
        if (i == WIRE && median > 0)
            r->spread[m] = (values[rounds * 3 / 4] - values[rounds / 4]) / 2 / median;
    }
    r->rss[i] = (double)samples[rounds - 1].meter.rss;
    free(values);
}

/* The |n|th to play in round |k| of |present| implementations: each is first as often as the others, and follows each
 * of the others as often as it goes before it. */
static size_t turn_of(size_t n, size_t k, size_t present)
{
    size_t turn = (n + k) % present;

    return k / present % 2 == 0 ? turn : present - 1 - turn;
}

/* All implementations in each round, so that what changes on the machine meets all. The first round is not counted. */
static void play_all(bench *b, row *r, child *workers, child *load, sample *samples[IMPLEMENTATIONS])
{
    uint64_t messages = messages_of(b, &r->spec);
    size_t present[IMPLEMENTATIONS], count = 0;
    sample warm_up;

    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (r->has[i])
            present[count++] = i;
    }
    for (unsigned k = 0; k <= b->rounds; k++) {
        for (size_t n = 0; n < count; n++) {
            size_t i = present[turn_of(n, k, count)];
            play_round(b, &workers[i], load, &r->spec, k, messages, k == 0 ? &warm_up : &samples[i][k - 1]);
        }
    }
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (r->has[i])
            summarize(r, i, samples[i], b->rounds, messages);
    }
}

void bench_row(bench *b, const row_spec *spec, bool pinned)
{
    child workers[IMPLEMENTATIONS], load;
    sample *samples[IMPLEMENTATIONS];

    if (b->row_count == ROWS_MAX)
        fail("too many rows");
    row *r = &b->rows[b->row_count++];
    *r = (row){ .spec = *spec, .pinned = pinned };
    start_load(b, &load, spec, pinned ? b->server_cpu : -1);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        implementation *what = &b->implementations[i];
        samples[i] = must_alloc(b->rounds, sizeof *samples[i]);
        r->has[i] = plays(what, spec);
        if (!r->has[i])
            continue;
        start_worker(b, &workers[i], what, spec, pinned ? b->client_cpu : -1, NULL);
        if (*what->variant == '\0')
            snprintf(what->name, sizeof what->name, "%s", workers[i].name);
    }
    play_all(b, r, workers, &load, samples);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (r->has[i])
            child_end(&workers[i]);
        free(samples[i]);
    }
    child_end(&load);
}
