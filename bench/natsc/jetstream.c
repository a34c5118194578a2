/* SPDX-License-Identifier: Apache-2.0 */
#include "natsc.h"

#include "fail.h"

#include <stdlib.h>

#define PATIENCE_MS (BENCH_PATIENCE_S * 1000)

static void on_publish_error(jsCtx *js, jsPubAckErr *error, void *closure)
{
    (void)js;
    (void)error;
    ((natsc *)closure)->errors++;
}

static void *open_js(const job *j)
{
    natsc *n = natsc_open(j);
    jsOptions o;

    natsc_must(jsOptions_Init(&o), "options");
    o.Wait = PATIENCE_MS;
    o.PublishAsync.MaxPending = BENCH_WINDOW;
    o.PublishAsync.StallWait = PATIENCE_MS;
    o.PublishAsync.ErrHandler = on_publish_error;
    o.PublishAsync.ErrHandlerClosure = n;
    natsc_must(natsConnection_JetStream(&n->js, n->connection, &o), "JetStream");
    return n;
}

static jsPubOptions *options_of(const job *j, jsPubOptions *o, char id[BENCH_ID_LENGTH + 1])
{
    if (!j->ids)
        return NULL;
    make_id(id);
    natsc_must(jsPubOptions_Init(o), "options");
    o->MsgId = id;
    return o;
}

/* --- publish-sync --- */

static void run_sync(void *state, round *r)
{
    natsc *n = state;
    char id[BENCH_ID_LENGTH + 1];
    jsPubOptions o;

    round_begin(r);
    for (uint64_t i = 0; i < r->messages; i++) {
        uint64_t began = now_ns();
        natsc_must(js_Publish(NULL, n->js, BENCH_STREAM_SUBJECT, r->data, (int)r->job->payload,
                              options_of(r->job, &o, id), NULL),
                   "publish");
        round_latency(r, began);
    }
    round_end(r);
}

const worker_path natsc_publish_sync = {
    .path = "publish-sync", .open = open_js, .run = run_sync, .close = natsc_close
};

/* --- publish-async --- */

static void publish_async(void *arg, uint64_t messages)
{
    natsc *n = arg;
    char id[BENCH_ID_LENGTH + 1];
    jsPubOptions o;

    for (uint64_t i = 0; i < messages; i++)
        natsc_must(
            js_PublishAsync(n->js, BENCH_STREAM_SUBJECT, n->data, (int)n->job->payload, options_of(n->job, &o, id)),
            "publish");
}

static void run_async(void *state, round *r)
{
    natsc *n = state;
    jsPubOptions o;

    n->data = r->data;
    natsc_must(jsPubOptions_Init(&o), "options");
    o.MaxWait = PATIENCE_MS;
    round_begin(r);
    parallel(r->job->threads, r->messages, publish_async, n);
    natsc_must(js_PublishAsyncComplete(n->js, &o), "acknowledgements");
    round_end(r);
    if (n->errors > 0)
        fail("nats.c: %d messages were refused", n->errors);
}

const worker_path natsc_publish_async = {
    .path = "publish-async", .open = open_js, .run = run_async, .close = natsc_close
};

/* --- consume-ack --- */

static void *open_consume(const job *j)
{
    natsc *n = open_js(j);

    n->subscriptions = must_alloc(1, sizeof *n->subscriptions);
    return n;
}

static void prepare_consume(void *state, round *r)
{
    natsc *n = state;
    jsSubOptions o;

    (void)r;
    natsc_must(jsSubOptions_Init(&o), "options");
    o.Stream = BENCH_STREAM;
    o.Config.AckPolicy = js_AckExplicit;
    o.Config.MaxAckPending = BENCH_MAX_ACK_PENDING;
    natsc_must(js_PullSubscribe(&n->subscriptions[0], n->js, BENCH_STREAM_SUBJECT, BENCH_DURABLE, NULL, &o, NULL),
               "pull subscription");
}

static void run_consume(void *state, round *r)
{
    natsc *n = state;
    natsMsgList list = { 0 };

    round_begin(r);
    for (uint64_t left = r->messages; left > 0;) {
        int batch = left < BENCH_BATCH ? (int)left : (int)BENCH_BATCH;
        natsc_must(natsSubscription_Fetch(&list, n->subscriptions[0], batch, PATIENCE_MS, NULL), "fetch");
        for (int i = 0; i < list.Count; i++)
            natsc_must(natsMsg_Ack(list.Msgs[i], NULL), "ack");
        left -= (uint64_t)list.Count;
        natsMsgList_Destroy(&list);
    }
    natsc_must(natsConnection_FlushTimeout(n->connection, PATIENCE_MS), "flush");
    round_end(r);
}

static void finish_consume(void *state, round *r)
{
    natsc *n = state;

    (void)r;
    natsSubscription_Destroy(n->subscriptions[0]);
    n->subscriptions[0] = NULL;
}

const worker_path natsc_consume_ack = { .path = "consume-ack",
                                        .open = open_consume,
                                        .prepare = prepare_consume,
                                        .run = run_consume,
                                        .finish = finish_consume,
                                        .close = natsc_close };
