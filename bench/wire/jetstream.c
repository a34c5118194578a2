/* SPDX-License-Identifier: Apache-2.0 */
/* The wire limit of the publish window and of a pull consumer that acknowledges each message. */
#include "wire.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- publish-async --- */

static void prepare_publish(void *state, round *r)
{
    wire_build(state, r, BENCH_STREAM_SUBJECT, true, r->messages);
}

static void run_publish(void *state, round *r)
{
    wire *w = state;
    uint64_t acknowledged = 0;
    size_t sent = 0;

    round_begin(r);
    while (acknowledged < r->messages) {
        uint64_t allowed = acknowledged + BENCH_WINDOW < r->messages ? acknowledged + BENCH_WINDOW : r->messages;
        size_t limit = (size_t)allowed * w->frame_size;
        if (sent < limit)
            sent += raw_write_some(&w->raw, w->frames + sent, limit - sent);
        raw_wait(&w->raw, sent < limit);
        size_t n = raw_read(&w->raw, w->raw.in, RAW_IN);
        acknowledged += raw_count_messages(&w->raw, w->raw.in, n, &w->place);
    }
    round_end(r);
}

const worker_path wire_publish_async = {
    .path = "publish-async", .open = wire_open, .prepare = prepare_publish, .run = run_publish, .close = wire_close
};

/* --- consume-ack --- */

#define PULL_SUBJECT "$JS.API.CONSUMER.MSG.NEXT." BENCH_STREAM "." BENCH_DURABLE
#define PULL_INBOX WIRE_INBOX ".pull"
#define DELIVERY "MSG " BENCH_STREAM_SUBJECT " 1 " /* what stands before a delivery's reply subject */

typedef struct consuming {
    wire *w;
    char *out; /* what is to be written: acknowledgements and pulls */
    size_t out_len;
    uint64_t asked, count;
} consuming;

static void prepare_consume(void *state, round *r)
{
    wire *w = state;
    char body[512];

    (void)r;
    snprintf(body, sizeof body,
             "{\"stream_name\":\"%s\",\"config\":{\"durable_name\":\"%s\",\"deliver_policy\":\"all\","
             "\"ack_policy\":\"explicit\",\"replay_policy\":\"instant\",\"ack_wait\":30000000000,\"max_deliver\":-1,"
             "\"max_ack_pending\":%d}}",
             BENCH_STREAM, BENCH_DURABLE, BENCH_MAX_ACK_PENDING);
    const char *answer = raw_request(&w->raw, "$JS.API.CONSUMER.DURABLE.CREATE." BENCH_STREAM "." BENCH_DURABLE, body);
    if (strstr(answer, "\"error\"") != NULL)
        fail("the consumer: %s", answer);
    raw_drop_input(&w->raw);
}

static void ask(consuming *c)
{
    char body[128];
    unsigned batch = (unsigned)(BENCH_BATCH - c->asked);

    if (c->asked > BENCH_BATCH / 2)
        return;
    int len =
        snprintf(body, sizeof body, "{\"batch\":%u,\"expires\":30000000000,\"idle_heartbeat\":5000000000}", batch);
    c->out_len += raw_frame(c->out + c->out_len, PULL_SUBJECT, PULL_INBOX, NULL, body, (size_t)len);
    c->asked += batch;
}

static void acknowledge(consuming *c, const char *reply, size_t len)
{
    char *to = c->out + c->out_len;

    memcpy(to, "PUB ", 4);
    memcpy(to + 4, reply, len);
    memcpy(to + 4 + len, " 0\r\n\r\n", 6);
    c->out_len += len + 10;
    c->count++;
    c->asked--;
}

/* One message or line of |len| octets at |at|; its length, 0 when it is not complete. */
static size_t take(consuming *c, const char *at, size_t len)
{
    size_t before = sizeof DELIVERY - 1;
    const char *end = memchr(at, '\n', len);

    if (end == NULL)
        return 0;
    size_t line = (size_t)(end - at) + 1;
    if (*at == 'P') {
        c->w->raw.owes_pong = true;
        return line;
    }
    if (line <= before || memcmp(at, DELIVERY, before) != 0)
        fail("instead of a delivery: %.*s", (int)line, at);
    size_t whole = line + c->w->job->payload + 2;
    if (whole > len)
        return 0;
    const char *reply_end = memchr(at + before, ' ', line - before);
    if (reply_end == NULL)
        fail("a delivery without a reply subject");
    acknowledge(c, at + before, (size_t)(reply_end - at) - before);
    return whole;
}

static void take_all(consuming *c)
{
    raw *r = &c->w->raw;
    size_t at = 0, n;

    while (at < r->len && (n = take(c, r->in + at, r->len - at)) > 0)
        at += n;
    memmove(r->in, r->in + at, r->len - at);
    r->len -= at;
}

static void run_consume(void *state, round *r)
{
    wire *w = state;
    consuming c = { .w = w, .out = must_alloc(RAW_IN, 2) };

    w->raw.len = 0;
    round_begin(r);
    while (c.count < r->messages) {
        ask(&c);
        if (c.out_len > 0)
            raw_write(&w->raw, c.out, c.out_len);
        c.out_len = 0;
        raw_wait(&w->raw, false);
        w->raw.len += raw_read(&w->raw, w->raw.in + w->raw.len, RAW_IN - w->raw.len);
        take_all(&c);
    }
    raw_write(&w->raw, c.out, c.out_len);
    raw_flush(&w->raw);
    round_end(r);
    free(c.out);
}

const worker_path wire_consume_ack = {
    .path = "consume-ack", .open = wire_open, .prepare = prepare_consume, .run = run_consume, .close = wire_close
};
