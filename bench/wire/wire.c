/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *wire_connect(const job *j)
{
    wire *w = must_alloc(1, sizeof *w);

    w->job = j;
    raw_open(&w->raw, j->port);
    return w;
}

void *wire_open(const job *j)
{
    static const char sub[] = "SUB " WIRE_INBOX ".* 1\r\n";
    wire *w = wire_connect(j);

    raw_write(&w->raw, sub, sizeof sub - 1);
    raw_flush(&w->raw);
    return w;
}

void wire_close(void *state)
{
    wire *w = state;

    raw_close(&w->raw);
    free(w->frames);
    free(w);
}

void wire_build(wire *w, const round *r, const char *subject, bool has_reply, uint64_t count)
{
    static uint64_t replies;
    char reply[] = WIRE_INBOX ".R00000000", id[BENCH_ID_LENGTH + 1];
    size_t len = w->job->payload, at = 0;

    raw_drop_input(&w->raw);
    w->place = RAW_LINE_START;
    free(w->frames);
    w->frames = must_alloc(count, RAW_FRAME_EXTRA + len);
    for (uint64_t i = 0; i < count; i++) {
        write_base64(reply + sizeof reply - 9, 8, ++replies);
        make_id(id);
        w->frame_size =
            raw_frame(w->frames + at, subject, has_reply ? reply : NULL, w->job->ids ? id : NULL, r->data, len);
        at += w->frame_size;
    }
}

static const worker_path end = { 0 };

int main(int argc, char **argv)
{
    const worker_path paths[] = {
        wire_core_publish, wire_core_subscribe, wire_request, wire_publish_sync, wire_publish_async,
        wire_consume_ack,  wire_bulk,           wire_blast,   wire_echo,         end
    };

    return worker_main(argc, argv, "wire", paths);
}
