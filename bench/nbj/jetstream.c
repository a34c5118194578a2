/* SPDX-License-Identifier: Apache-2.0 */
#include "nbj_worker.h"

#include "fail.h"

/* Options that live as long as |o|. */
static const nbj_publish_options *options_of(const job *j, nbj_publish_options *o)
{
    *o = (nbj_publish_options){ .struct_size = sizeof *o, .timeout_ns = PATIENCE_NS, .no_msg_id = !j->ids };
    return o;
}

/* --- publish-sync --- */

static void run_sync(void *state, round *r)
{
    worker *w = state;
    nbj_bytes data = payload_of(w, r->data);
    nbj_publish_options o;
    nbj_publish_result result;

    options_of(r->job, &o);
    round_begin(r);
    for (uint64_t i = 0; i < r->messages; i++) {
        uint64_t began = now_ns();
        nbj_must(nbj_publish(w->client, BENCH_STREAM_SUBJECT, data, &o, &result), "publish");
        if (result.outcome != NBJ_STORED)
            fail("nbj: not stored: %s", nbj_error_text(&result.error));
        round_latency(r, began);
    }
    round_end(r);
}

const worker_path nbj_publish_sync = {
    .path = "publish-sync", .open = nbj_worker_open, .run = run_sync, .close = nbj_worker_close
};

/* --- publish-async --- */

static void on_result(void *user, const nbj_publish_result *result)
{
    worker *w = user;

    if (result->outcome != NBJ_STORED)
        w->not_stored++;
}

static void publish_many(void *arg, uint64_t messages)
{
    worker *w = arg;
    nbj_bytes data = payload_of(w, w->data);
    nbj_publish_options o;

    options_of(w->job, &o);
    for (uint64_t i = 0; i < messages; i++)
        nbj_must(nbj_publish_async(w->client, BENCH_STREAM_SUBJECT, data, &o, on_result, w), "publish");
}

static void run_async(void *state, round *r)
{
    worker *w = state;
    uint64_t unfinished = 0;

    w->data = r->data;
    round_begin(r);
    parallel(r->job->threads, r->messages, publish_many, w);
    nbj_must(nbj_publish_flush(w->client, PATIENCE_NS, &unfinished), "outcomes");
    round_end(r);
    if (w->not_stored > 0)
        fail("nbj: %u messages were not stored", w->not_stored);
}

const worker_path nbj_publish_many = {
    .path = "publish-async", .open = nbj_worker_open, .run = run_async, .close = nbj_worker_close
};

/* --- consume-ack: the consumer is made within the round, which costs it one request --- */

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    worker *w = user;

    (void)pull;
    nbj_must(nbj_ack(msg), "ack");
    latch_count(&w->received);
}

static void run_consume(void *state, round *r)
{
    worker *w = state;
    const nbj_consumer_config *config =
        NBJ_CONSUMER_CONFIG(.stream = BENCH_STREAM, .durable = BENCH_DURABLE, .max_ack_pending = BENCH_MAX_ACK_PENDING,
                            .batch = BENCH_BATCH);

    latch_set(&w->received, r->messages);
    round_begin(r);
    nbj_must(nbj_pull_start(w->client, config, on_delivery, w, &w->pull), "pull");
    latch_wait(&w->received);
    nbj_must(nbj_flush(w->client, PATIENCE_NS), "flush");
    round_end(r);
}

static void finish_consume(void *state, round *r)
{
    worker *w = state;

    (void)r;
    nbj_pull_release(w->pull);
    w->pull = NULL;
}

const worker_path nbj_consume_ack = { .path = "consume-ack",
                                      .open = nbj_worker_open,
                                      .run = run_consume,
                                      .finish = finish_consume,
                                      .close = nbj_worker_close };
