/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured: the rows of the table, played round by round by every implementation in turn. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "child.h"
#include "server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMPLEMENTATIONS = 4, ROWS_MAX = 64 }; /* wire, nbj, nbj by batches, nats.c */
enum { WIRE = 0, NBJ = 1 };

typedef struct implementation {
    char name[64];       /* as the worker calls itself, with its version */
    const char *program; /* beside the runner */
    const char *variant;
    const char *only_path; /* NULL: it plays all */
    bool has_no_bulk;      /* knows no fast ingest */
    bool is_missing;
} implementation;

typedef struct row_spec {
    const char *path, *storage;
    uint64_t messages; /* of a round */
    bool ids, is_latency;
    size_t threads, subscriptions; /* 0: one */
} row_spec;

typedef enum metric { P50 = 0, THROUGHPUT, CPU, LIBRARY_SWITCHES, CALLER_SWITCHES, METRICS } metric;

typedef struct row {
    row_spec spec;
    bool pinned;
    bool has[IMPLEMENTATIONS];
    double median[METRICS][IMPLEMENTATIONS]; /* us, msg/s, us/msg, switches/msg */
    double rss[IMPLEMENTATIONS];             /* octets, of the last round */
    double spread[METRICS]; /* of the wire: half the distance of its quartiles, as a part of the median */
} row;

typedef struct bench {
    implementation implementations[IMPLEMENTATIONS];
    char folder[256]; /* of the runner and the workers */
    char version[32]; /* of the server */
    server server;
    int client_cpu, server_cpu; /* -1: there is only one */
    size_t payload;
    unsigned rounds;
    double scale; /* of the messages of a round */
    row rows[ROWS_MAX];
    size_t row_count;
} bench;

extern const row_spec row_specs[];
extern const size_t row_spec_count;

void bench_find_implementations(bench *b);
bool is_of_jetstream(const row_spec *spec);
bool plays(const implementation *i, const row_spec *spec);
uint64_t messages_of(const bench *b, const row_spec *spec);

/* Plays |spec| on the running server and appends it to the rows. */
void bench_row(bench *b, const row_spec *spec, bool pinned);

/* Starts a worker of |i|; |prefix| (NULL: none) ends with NULL and stands before its program. */
void start_worker(const bench *b, child *c, const implementation *i, const row_spec *spec, int cpu,
                  const char *const *prefix);

/* Starts the other side of |path|; its pid is 0 where there is none. */
void start_load(const bench *b, child *c, const row_spec *spec, int cpu);

/* One round; a count that is not right ends the program. */
void play_round(bench *b, child *worker, child *load, const row_spec *spec, unsigned number, uint64_t messages,
                sample *out);

double median_of(double *values, size_t count); /* sorts them */

#endif
