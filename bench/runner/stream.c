/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner does with the stream over its own socket, and how it finds out whether a round did its work. */
#define _GNU_SOURCE

#include "fail.h"
#include "meter.h"
#include "server.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERIFY_NS 20000000000u
#define API "$JS.API."

/* The number behind |name| behind |section| in a JSON text. */
static uint64_t number_in(const char *text, const char *section, const char *name)
{
    const char *at = strstr(text, section);

    at = at != NULL ? strstr(at, name) : NULL;
    if (at == NULL)
        fail("no %s in the server's answer: %s", name, text);
    return strtoull(at + strlen(name), NULL, 10);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

void stream_reset(server *s, const char *storage, bool takes_bulks)
{
    char body[256];

    raw_request(&s->raw, API "STREAM.DELETE." BENCH_STREAM, ""); /* an error says that there is none */
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"storage\":\"%s\",\"num_replicas\":1%s}",
             BENCH_STREAM, BENCH_STREAM_SUBJECT, storage, takes_bulks ? ",\"allow_batched\":true" : "");
    const char *answer = raw_request(&s->raw, API "STREAM.CREATE." BENCH_STREAM, body);
    if (strstr(answer, "\"error\"") != NULL)
        fail("the stream: %s", answer);
}

void stream_fill(server *s, uint64_t count, size_t payload)
{
    char *data = must_alloc(payload, 1), *frame = must_alloc(RAW_FRAME_EXTRA + payload, 1);

    memset(data, 'x', payload);
    size_t len = raw_frame(frame, BENCH_STREAM_SUBJECT, NULL, NULL, data, payload);
    char *piece = must_alloc(64, len);
    for (size_t i = 0; i < 64; i++)
        memcpy(piece + i * len, frame, len);
    for (uint64_t left = count; left > 0;) {
        uint64_t n = left < 64 ? left : 64;
        raw_write(&s->raw, piece, (size_t)n * len);
        left -= n;
        if (left % 8192 < 64)
            stream_must_have(s, count - left); /* the server drops what its queue has no room for */
    }
    stream_must_have(s, count);
    free(piece);
    free(frame);
    free(data);
}

void stream_must_have(server *s, uint64_t count)
{
    uint64_t until = now_ns() + VERIFY_NS, messages, last;

    do { /* the server stores behind its socket's back */
        const char *info = raw_request(&s->raw, API "STREAM.INFO." BENCH_STREAM, "");
        messages = number_in(info, "\"state\":", "\"messages\":");
        last = number_in(info, "\"state\":", "\"last_seq\":");
        if (messages < count)
            pause_briefly();
    } while (messages < count && now_ns() < until);
    if (messages != count || last != count)
        fail("the stream has %" PRIu64 " messages, the last is %" PRIu64 "; %" PRIu64 " were to be stored", messages,
             last, count);
}

void consumer_must_have_acknowledged(server *s, uint64_t count)
{
    uint64_t until = now_ns() + VERIFY_NS, floor, pending, redelivered;

    do {
        const char *info = raw_request(&s->raw, API "CONSUMER.INFO." BENCH_STREAM "." BENCH_DURABLE, "");
        floor = number_in(info, "\"ack_floor\":", "\"stream_seq\":");
        pending = number_in(info, "\"ack_floor\":", "\"num_ack_pending\":");
        redelivered = number_in(info, "\"ack_floor\":", "\"num_redelivered\":");
        if (floor < count)
            pause_briefly();
    } while (floor < count && now_ns() < until);
    if (floor != count || pending != 0 || redelivered != 0)
        fail("acknowledged up to %" PRIu64 " of %" PRIu64 ", %" PRIu64 " pending, %" PRIu64 " redelivered", floor,
             count, pending, redelivered);
}
