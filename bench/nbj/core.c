/* SPDX-License-Identifier: Apache-2.0 */
#include "nbj_worker.h"

#include "fail.h"

#include <string.h>

#define BATCH 256u

/* --- core-publish --- */

static void publish(void *arg, uint64_t messages)
{
    worker *w = arg;
    nbj_bytes data = payload_of(w, w->data);

    for (uint64_t i = 0; i < messages; i++)
        nbj_must(nbj_send(w->client, BENCH_SUBJECT, data, NULL), "send");
}

static void run_publish(void *state, round *r)
{
    worker *w = state;

    w->data = r->data;
    round_begin(r);
    parallel(r->job->threads, r->messages, publish, w);
    nbj_must(nbj_flush(w->client, PATIENCE_NS), "flush");
    round_end(r);
}

const worker_path nbj_core_publish = {
    .path = "core-publish", .open = nbj_worker_open, .run = run_publish, .close = nbj_worker_close
};

/* --- core-subscribe: with a callback, or with variant "batch" from the queue --- */

static bool is_batch(const job *j)
{
    return strcmp(j->variant, "batch") == 0;
}

static void check(const worker *w, const nbj_msg *msg)
{
    if (nbj_msg_data(msg).len != w->job->payload)
        fail("a message of another length");
}

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    worker *w = user;

    (void)sub;
    check(w, msg);
    latch_count(&w->received);
}

/* Only for a round: meanwhile other implementations want the same messages. */
static void prepare_subscribe(void *state, round *r)
{
    worker *w = state;
    char subject[64];
    const nbj_sub_options *all = &(nbj_sub_options){ .struct_size = sizeof(nbj_sub_options),
                                                     .limit_messages = r->messages + 1,
                                                     .limit_bytes = NBJ_GIB(1) };

    latch_set(&w->received, r->messages);
    for (size_t i = 0; i < r->job->subscriptions; i++) {
        subject_of(r->job, i, subject, sizeof subject);
        nbj_must(nbj_subscribe(w->client, subject, all, is_batch(r->job) ? NULL : on_msg, w, &w->subscriptions[i]),
                 "subscribe");
    }
    nbj_must(nbj_flush(w->client, PATIENCE_NS), "flush");
}

static void take_batches(worker *w, uint64_t messages)
{
    nbj_msg *msgs[BATCH];

    while (messages > 0) {
        size_t count = 0;
        nbj_must(nbj_sub_next_batch(w->subscriptions[0], msgs, BATCH, PATIENCE_NS, &count), "next batch");
        for (size_t i = 0; i < count; i++) {
            check(w, msgs[i]);
            nbj_msg_release(msgs[i]);
        }
        messages -= count;
    }
}

static void run_subscribe(void *state, round *r)
{
    worker *w = state;

    round_begin(r);
    if (is_batch(r->job))
        take_batches(w, r->messages);
    else
        latch_wait(&w->received);
    round_end(r);
}

static void finish_subscribe(void *state, round *r)
{
    worker *w = state;

    for (size_t i = 0; i < r->job->subscriptions; i++)
        nbj_sub_release(w->subscriptions[i]);
    nbj_must(nbj_flush(w->client, PATIENCE_NS), "flush");
}

const worker_path nbj_core_subscribe = { .path = "core-subscribe",
                                         .open = nbj_worker_open,
                                         .prepare = prepare_subscribe,
                                         .run = run_subscribe,
                                         .finish = finish_subscribe,
                                         .close = nbj_worker_close,
                                         .is_announced = true };

/* --- request --- */

static void run_request(void *state, round *r)
{
    worker *w = state;
    nbj_bytes data = payload_of(w, r->data);

    round_begin(r);
    for (uint64_t i = 0; i < r->messages; i++) {
        nbj_msg *reply = NULL;
        uint64_t began = now_ns();
        nbj_must(nbj_request(w->client, BENCH_ECHO_SUBJECT, data, NULL, &reply), "request");
        check(w, reply);
        nbj_msg_release(reply);
        round_latency(r, began);
    }
    round_end(r);
}

const worker_path nbj_core_request = {
    .path = "request", .open = nbj_worker_open, .run = run_request, .close = nbj_worker_close
};
