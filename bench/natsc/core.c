/* SPDX-License-Identifier: Apache-2.0 */
#include "natsc.h"

#include "fail.h"

#include <stdlib.h>

#define PATIENCE_MS (BENCH_PATIENCE_S * 1000)

/* --- core-publish --- */

static void publish(void *arg, uint64_t messages)
{
    natsc *n = arg;

    for (uint64_t i = 0; i < messages; i++)
        natsc_must(natsConnection_Publish(n->connection, BENCH_SUBJECT, n->data, (int)n->job->payload), "publish");
}

static void run_publish(void *state, round *r)
{
    natsc *n = state;

    n->data = r->data;
    round_begin(r);
    parallel(r->job->threads, r->messages, publish, n);
    natsc_must(natsConnection_FlushTimeout(n->connection, PATIENCE_MS), "flush");
    round_end(r);
}

const worker_path natsc_core_publish = {
    .path = "core-publish", .open = natsc_open, .run = run_publish, .close = natsc_close
};

/* --- core-subscribe --- */

static void on_msg(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure)
{
    natsc *n = closure;

    (void)connection;
    (void)subscription;
    if ((size_t)natsMsg_GetDataLength(msg) != n->job->payload)
        fail("a message of another length");
    natsMsg_Destroy(msg);
    latch_count(&n->received);
}

static void *open_subscribe(const job *j)
{
    natsOptions *options = NULL;
    natsc *n = must_alloc(1, sizeof *n);

    n->job = j;
    latch_init(&n->received);
    natsc_must(natsOptions_Create(&options), "options");
    natsc_must(natsOptions_SetURL(options, j->url), "url");
    if (j->subscriptions > 1) /* else each would start a thread */
        natsc_must(natsOptions_UseGlobalMessageDelivery(options, true), "global delivery");
    natsc_must(natsConnection_Connect(&n->connection, options), "connect");
    natsOptions_Destroy(options);
    n->subscriptions = must_alloc(j->subscriptions, sizeof *n->subscriptions);
    return n;
}

/* Only for a round: meanwhile other implementations want the same messages. */
static void prepare_subscribe(void *state, round *r)
{
    natsc *n = state;
    char subject[64];

    latch_set(&n->received, r->messages);
    for (size_t i = 0; i < r->job->subscriptions; i++) {
        subject_of(r->job, i, subject, sizeof subject);
        natsc_must(natsConnection_Subscribe(&n->subscriptions[i], n->connection, subject, on_msg, n), "subscribe");
        natsc_must(natsSubscription_SetPendingLimits(n->subscriptions[i], -1, -1), "limits");
    }
    natsc_must(natsConnection_FlushTimeout(n->connection, PATIENCE_MS), "flush");
}

static void finish_subscribe(void *state, round *r)
{
    natsc *n = state;

    for (size_t i = 0; i < r->job->subscriptions; i++)
        natsSubscription_Destroy(n->subscriptions[i]);
    natsc_must(natsConnection_FlushTimeout(n->connection, PATIENCE_MS), "flush");
}

static void run_subscribe(void *state, round *r)
{
    round_begin(r);
    latch_wait(&((natsc *)state)->received);
    round_end(r);
}

const worker_path natsc_core_subscribe = { .path = "core-subscribe",
                                           .open = open_subscribe,
                                           .prepare = prepare_subscribe,
                                           .run = run_subscribe,
                                           .finish = finish_subscribe,
                                           .close = natsc_close,
                                           .is_announced = true };

/* --- request --- */

static void run_request(void *state, round *r)
{
    natsc *n = state;

    round_begin(r);
    for (uint64_t i = 0; i < r->messages; i++) {
        natsMsg *reply = NULL;
        uint64_t began = now_ns();
        natsc_must(natsConnection_Request(&reply, n->connection, BENCH_ECHO_SUBJECT, r->data, (int)r->job->payload,
                                          PATIENCE_MS),
                   "request");
        if ((size_t)natsMsg_GetDataLength(reply) != r->job->payload)
            fail("a reply of another length");
        natsMsg_Destroy(reply);
        round_latency(r, began);
    }
    round_end(r);
}

const worker_path natsc_request = { .path = "request", .open = natsc_open, .run = run_request, .close = natsc_close };
