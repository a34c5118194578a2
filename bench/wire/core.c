/* SPDX-License-Identifier: Apache-2.0 */
/* The wire limit of the paths that nothing is stored in, and of publishing with an answer each. */
#include "wire.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- core-publish: copying the frames and writing them --- */

static void prepare_publish(void *state, round *r)
{
    wire_build(state, r, BENCH_SUBJECT, false, 1);
}

static void write_pieces(wire *w, uint64_t messages, char *piece, size_t per_piece)
{
    while (messages > 0) {
        size_t n = messages < per_piece ? (size_t)messages : per_piece;
        for (size_t i = 0; i < n; i++)
            memcpy(piece + i * w->frame_size, w->frames, w->frame_size);
        raw_write(&w->raw, piece, n * w->frame_size);
        messages -= n;
    }
}

static void run_publish(void *state, round *r)
{
    wire *w = state;
    size_t per_piece = RAW_PIECE / w->frame_size;
    char *piece = must_alloc(1, RAW_PIECE);

    memset(piece, 1, RAW_PIECE); /* no first touch under the clock */
    round_begin(r);
    if (per_piece > 0)
        write_pieces(w, r->messages, piece, per_piece);
    for (uint64_t i = 0; per_piece == 0 && i < r->messages; i++) /* nothing is gained by copying those */
        raw_write(&w->raw, w->frames, w->frame_size);
    raw_flush(&w->raw);
    round_end(r);
    free(piece);
}

const worker_path wire_core_publish = {
    .path = "core-publish", .open = wire_open, .prepare = prepare_publish, .run = run_publish, .close = wire_close
};

/* --- core-subscribe --- */

#define FIRST_SID 10000u /* so that all have five digits */

/* Only for a round: meanwhile other implementations want the same messages. */
static void prepare_subscribe(void *state, round *r)
{
    wire *w = state;
    char subject[64], line[128];

    for (size_t i = 0; i < r->job->subscriptions; i++) {
        subject_of(r->job, i, subject, sizeof subject);
        snprintf(line, sizeof line, "SUB %s %zu\r\n", subject, FIRST_SID + i);
        raw_write(&w->raw, line, strlen(line));
    }
    raw_flush(&w->raw);
    snprintf(line, sizeof line, "MSG %s %u %zu\r\n", subject, FIRST_SID, r->job->payload);
    w->frame_size = strlen(line) + r->job->payload + 2;
}

static void finish_subscribe(void *state, round *r)
{
    wire *w = state;
    char line[64];

    for (size_t i = 0; i < r->job->subscriptions; i++) {
        snprintf(line, sizeof line, "UNSUB %zu\r\n", FIRST_SID + i);
        raw_write(&w->raw, line, strlen(line));
    }
    raw_flush(&w->raw);
}

/* All messages are equally long: counting is one look at the first letter of each. |skip| octets belong to a message
 * that was counted before. */
static size_t count_frames(wire *w, size_t len, size_t *skip)
{
    size_t at = *skip, count = 0;

    while (at < len) {
        if (w->raw.in[at] == 'P') {
            w->raw.owes_pong = true;
            at += 6;
            continue;
        }
        at += w->frame_size;
        count++;
    }
    *skip = at - len;
    return count;
}

static void run_subscribe(void *state, round *r)
{
    wire *w = state;
    uint64_t count = 0;
    size_t skip = 0;

    round_begin(r);
    while (count < r->messages || skip > 0) {
        raw_wait(&w->raw, false);
        count += count_frames(w, raw_read(&w->raw, w->raw.in, RAW_IN), &skip);
    }
    round_end(r);
    if (count > r->messages)
        fail("%zu messages too many", (size_t)(count - r->messages));
}

const worker_path wire_core_subscribe = { .path = "core-subscribe",
                                          .open = wire_open,
                                          .prepare = prepare_subscribe,
                                          .run = run_subscribe,
                                          .finish = finish_subscribe,
                                          .close = wire_close,
                                          .is_announced = true };

/* --- request, publish-sync: each when the answer to the one before has come --- */

static void run_one_by_one(void *state, round *r)
{
    wire *w = state;
    const char *frame = w->frames;

    round_begin(r);
    for (uint64_t i = 0; i < r->messages; i++, frame += w->frame_size) {
        uint64_t began = now_ns();
        size_t count = 0;
        raw_write(&w->raw, frame, w->frame_size);
        while (count == 0) {
            raw_wait(&w->raw, false);
            size_t n = raw_read(&w->raw, w->raw.in, RAW_IN);
            count = raw_count_messages(&w->raw, w->raw.in, n, &w->place);
        }
        round_latency(r, began);
    }
    round_end(r);
}

static void prepare_request(void *state, round *r)
{
    wire_build(state, r, BENCH_ECHO_SUBJECT, true, r->messages);
}

const worker_path wire_request = {
    .path = "request", .open = wire_open, .prepare = prepare_request, .run = run_one_by_one, .close = wire_close
};

static void prepare_publish_sync(void *state, round *r)
{
    wire_build(state, r, BENCH_STREAM_SUBJECT, true, r->messages);
}

const worker_path wire_publish_sync = { .path = "publish-sync",
                                        .open = wire_open,
                                        .prepare = prepare_publish_sync,
                                        .run = run_one_by_one,
                                        .close = wire_close };
