/* SPDX-License-Identifier: Apache-2.0 */
/* The wire limit of fast ingest: one batch a round, as many messages ahead of acknowledgements as the library sends. */
#include "wire.h"

#include "fail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bulk {
    wire *w;
    size_t *ends;  /* where frame |i| of the round ends */
    char end[128]; /* the commit's frame */
    size_t end_len;
} bulk;

static void *open_bulk(const job *j)
{
    static const char sub[] = "SUB " WIRE_INBOX ".> 1\r\n";
    bulk *b = must_alloc(1, sizeof *b);

    b->w = wire_connect(j);
    raw_write(&b->w->raw, sub, sizeof sub - 1);
    raw_flush(&b->w->raw);
    return b;
}

static void close_bulk(void *state)
{
    bulk *b = state;

    wire_close(b->w);
    free(b->ends);
    free(b);
}

static void prepare(void *state, round *r)
{
    bulk *b = state;
    char id[23] = "Fbulk", reply[160];
    size_t len = r->job->payload, at = 0;

    raw_drop_input(&b->w->raw);
    b->w->raw.len = 0;
    write_base64(id + 5, 17, r->number + 1); /* the stream is made anew before each round */
    free(b->w->frames);
    free(b->ends);
    b->w->frames = must_alloc(r->messages, RAW_FRAME_EXTRA + len);
    b->ends = must_alloc(r->messages + 1, sizeof *b->ends);
    for (uint64_t i = 0; i < r->messages; i++) {
        snprintf(reply, sizeof reply, "%s.%s.%u.fail.%" PRIu64 ".%d.$FI", WIRE_INBOX, id, BENCH_FLOW, i + 1, i > 0);
        at += raw_frame(b->w->frames + at, BENCH_STREAM_SUBJECT, reply, NULL, r->data, len);
        b->ends[i + 1] = at;
    }
    snprintf(reply, sizeof reply, "%s.%s.%u.fail.%" PRIu64 ".3.$FI", WIRE_INBOX, id, BENCH_FLOW, r->messages + 1);
    b->end_len = raw_frame(b->end, BENCH_STREAM_SUBJECT, reply, NULL, "", 0);
}

/* Reads answers. Returns how many messages may have been sent by now; all but the commit's answer are short lines. */
static uint64_t read_answers(raw *in, uint64_t allowed, bool *done)
{
    uint64_t seq, each;

    in->len += raw_read(in, in->in + in->len, RAW_IN - 1 - in->len);
    in->in[in->len] = '\0';
    char *line = in->in;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (*line == 'P')
            in->owes_pong = true;
        if (sscanf(line, "{\"type\":\"ack\",\"seq\":%" SCNu64 ",\"msgs\":%" SCNu64 "}", &seq, &each) == 2)
            allowed = seq + each * BENCH_OUTSTANDING;
        else if (strncmp(line, "{\"stream\":", 10) == 0)
            *done = true;
        else if (*line == '{')
            fail("the server says: %s", line);
    }
    in->len -= (size_t)(line - in->in);
    memmove(in->in, line, in->len);
    return allowed;
}

static void run(void *state, round *r)
{
    bulk *b = state;
    raw *in = &b->w->raw;
    uint64_t allowed = 1;
    size_t sent = 0;
    bool ended = false, done = false;

    round_begin(r);
    while (!done) {
        size_t limit = b->ends[allowed < r->messages ? allowed : r->messages];
        if (sent < limit)
            sent += raw_write_some(in, b->w->frames + sent, limit - sent);
        if (sent == b->ends[r->messages] && !ended) {
            raw_write(in, b->end, b->end_len);
            ended = true;
        }
        raw_wait(in, sent < limit);
        allowed = read_answers(in, allowed, &done);
    }
    round_end(r);
}

const worker_path wire_bulk = {
    .path = "bulk", .open = open_bulk, .prepare = prepare, .run = run, .close = close_bulk
};
