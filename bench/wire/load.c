/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of a path, the same for all implementations: who publishes for subscribers, who answers requests. */
#include "wire.h"

#include "fail.h"

#include <stdlib.h>
#include <string.h>

/* --- blast: publishes as fast as the server takes it, to all subscriptions in turn --- */

static void prepare_blast(void *state, round *r)
{
    wire *w = state;
    size_t len = r->job->payload, at = 0;
    char subject[64];

    raw_drop_input(&w->raw);
    free(w->frames);
    w->frames = must_alloc(r->messages, RAW_FRAME_EXTRA + len);
    for (uint64_t i = 0; i < r->messages; i++) {
        subject_of(r->job, (size_t)i % r->job->subscriptions, subject, sizeof subject);
        at += raw_frame(w->frames + at, subject, NULL, NULL, r->data, len);
    }
    w->frame_size = at;
}

static void run_blast(void *state, round *r)
{
    wire *w = state;

    round_begin(r);
    for (size_t at = 0; at < w->frame_size; at += RAW_PIECE)
        raw_write(&w->raw, w->frames + at, w->frame_size - at < RAW_PIECE ? w->frame_size - at : RAW_PIECE);
    raw_flush(&w->raw);
    round_end(r);
}

const worker_path wire_blast = {
    .path = "blast", .open = wire_connect, .prepare = prepare_blast, .run = run_blast, .close = wire_close
};

/* --- echo: answers |messages| requests with their own payload --- */

static void *open_echo(const job *j)
{
    static const char sub[] = "SUB " BENCH_ECHO_SUBJECT " 2\r\n";
    wire *w = wire_connect(j);

    raw_write(&w->raw, sub, sizeof sub - 1);
    raw_flush(&w->raw);
    w->raw.len = 0;
    return w;
}

/* Answers the message at |at|; its length, 0 when it is not complete. */
static size_t answer(wire *w, const char *at, size_t len, char *out, size_t *out_len)
{
    static const char before[] = "MSG " BENCH_ECHO_SUBJECT " 2 ";
    const char *end = memchr(at, '\n', len);

    *out_len = 0;
    if (end == NULL)
        return 0;
    size_t line = (size_t)(end - at) + 1, known = sizeof before - 1;
    if (*at == 'P') {
        w->raw.owes_pong = true;
        return line;
    }
    size_t whole = line + w->job->payload + 2;
    if (line <= known || memcmp(at, before, known) != 0)
        fail("instead of a request: %.*s", (int)line, at);
    if (whole > len)
        return 0;
    memcpy(out, "PUB ", 4); /* "<reply> <size>", the line's end and the payload are what came */
    memcpy(out + 4, at + known, whole - known);
    *out_len = 4 + whole - known;
    return whole;
}

static void prepare_echo(void *state, round *r)
{
    wire *w = state;

    (void)r;
    raw_drop_input(&w->raw);
    w->raw.len = 0;
}

static void run_echo(void *state, round *r)
{
    wire *w = state;
    raw *in = &w->raw;
    char *out = must_alloc(RAW_FRAME_EXTRA + w->job->payload, 1);
    uint64_t count = 0;

    round_begin(r);
    while (count < r->messages) {
        size_t at = 0, n, out_len;
        raw_wait(in, false);
        in->len += raw_read(in, in->in + in->len, RAW_IN - in->len);
        while (at < in->len && (n = answer(w, in->in + at, in->len - at, out, &out_len)) > 0) {
            raw_write(in, out, out_len);
            count += out_len > 0;
            at += n;
        }
        memmove(in->in, in->in + at, in->len - at);
        in->len -= at;
    }
    round_end(r);
    free(out);
}

const worker_path wire_echo = { .path = "echo",
                                .open = open_echo,
                                .prepare = prepare_echo,
                                .run = run_echo,
                                .close = wire_close,
                                .is_announced = true };
