/* SPDX-License-Identifier: Apache-2.0 */
/* nbj as a program uses it that knows only the public headers: the thread-safe API. */
#ifndef BENCH_NBJ_WORKER_H
#define BENCH_NBJ_WORKER_H

#include "parallel.h"
#include "worker.h"

#include <nbj/nbj.h>
#include <stdatomic.h>

typedef struct worker {
    const job *job;
    nbj_client *client;
    nbj_sub **subscriptions; /* of a round */
    nbj_pull *pull;          /* of a round */
    latch received;
    const char *data;       /* the round's payload */
    atomic_uint not_stored; /* publish-async */
} worker;

void *nbj_worker_open(const job *j);
void nbj_worker_close(void *state);

/* Ends the program unless |status| is NBJ_OK. */
void nbj_must(nbj_status status, const char *what);

static inline nbj_bytes payload_of(const worker *w, const char *data)
{
    return nbj_view(data, w->job->payload);
}

extern const worker_path nbj_core_publish, nbj_core_subscribe, nbj_core_request;
extern const worker_path nbj_publish_sync, nbj_publish_many, nbj_consume_ack, nbj_bulk_path;

#define PATIENCE_NS (BENCH_PATIENCE_S * UINT64_C(1000000000))

#endif
