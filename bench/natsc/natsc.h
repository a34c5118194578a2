/* SPDX-License-Identifier: Apache-2.0 */
/* nats.c as its own examples use it, with the limits set so that nothing is dropped. Only what its release 3.4 has. */
#ifndef BENCH_NATSC_H
#define BENCH_NATSC_H

#include "parallel.h"
#include "worker.h"

#include <nats/nats.h>

typedef struct natsc {
    const job *job;
    natsConnection *connection;
    jsCtx *js;
    natsSubscription **subscriptions; /* of a round */
    latch received;
    const char *data; /* the round's payload */
    int errors;       /* of publish-async */
} natsc;

void *natsc_open(const job *j);
void natsc_close(void *state);

/* Ends the program unless |s| is NATS_OK. */
void natsc_must(natsStatus s, const char *what);

extern const worker_path natsc_core_publish, natsc_core_subscribe, natsc_request;
extern const worker_path natsc_publish_sync, natsc_publish_async, natsc_consume_ack;

#endif
