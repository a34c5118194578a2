/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: one process that plays one path of one implementation, and is told round by round what to do. The runner
 * and it speak lines over stdin and stdout (bench/README.md). */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_SUBJECT "bench.core"      /* core-publish; core-subscribe with one subscription */
#define BENCH_ECHO_SUBJECT "bench.echo" /* request: the responder listens here */
#define BENCH_STREAM "BENCH"            /* made anew by the runner before each round */
#define BENCH_STREAM_SUBJECT "bench.js" /* what it takes */
#define BENCH_WINDOW 4096u              /* publish-async: messages without acknowledgement */
#define BENCH_DURABLE "bench"           /* consume-ack: the consumer, which each implementation makes for itself */
#define BENCH_BATCH 1000u               /* consume-ack: messages asked for at once */
#define BENCH_MAX_ACK_PENDING 20000     /* consume-ack: of the consumer */
#define BENCH_FLOW 500u                 /* bulk: messages that an acknowledgement is for */
#define BENCH_OUTSTANDING 2u            /* bulk: acknowledgements awaited at once */
#define BENCH_ID_LENGTH 20u             /* of message ids, as the library makes them */
#define BENCH_PATIENCE_S 60             /* bound of every wait within a round */

typedef struct job {
    const char *path;    /* as in the JSON, or one of the helpers: "blast", "echo" */
    const char *variant; /* "" or a way of using the implementation */
    char url[40];        /* nats://127.0.0.1:port */
    uint16_t port;
    size_t payload; /* octets */
    size_t threads; /* that publish */
    size_t subscriptions;
    bool ids; /* messages carry an id */
    int cpu;  /* to be pinned to; -1: free */
} job;

typedef struct round {
    const job *job;
    char *data;           /* the payload */
    uint64_t number;      /* counts the rounds of this worker */
    uint64_t messages;    /* to be moved */
    uint64_t *latency_ns; /* room for |messages| */
    size_t latencies;     /* filled in */
    meter meter;
} round;

/* What an implementation does on a path. |state| is what open() returned. */
typedef struct worker_path {
    const char *path;
    void *(*open)(const job *j);
    void (*prepare)(void *state, round *r); /* NULL: nothing; the clock stands */
    void (*run)(void *state, round *r);     /* calls round_begin and round_end round what counts */
    void (*finish)(void *state, round *r);  /* NULL: nothing; the clock stands */
    void (*close)(void *state);
    bool is_announced; /* round_begin tells the runner, which then has the load start */
} worker_path;

void round_begin(round *r);
void round_end(round *r);
void round_latency(round *r, uint64_t began_ns); /* of one message that ends now */

/* main() of a worker: |name| is what the runner calls it in reports; |paths| ends with a path of NULL. */
int worker_main(int argc, char **argv, const char *name, const worker_path *paths);

/* The subject of subscription |n|; BENCH_SUBJECT where there is only one. */
void subject_of(const job *j, size_t n, char *out, size_t size);

void write_base64(char *out, size_t digits, uint64_t n); /* the last |digits| of it, six bits each */

/* A message id that this process never makes twice: BENCH_ID_LENGTH characters and a NUL. Not for several threads. */
void make_id(char out[BENCH_ID_LENGTH + 1]);

#endif
