/* SPDX-License-Identifier: Apache-2.0 */
/* The wire limit: what the machine and the server allow a client that does nothing but the octets. Frames are built
 * before the clock starts; one socket, poll(), and only as much reading as counting needs. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "raw.h"
#include "worker.h"

#define WIRE_INBOX "_INBOX.wireWireWireWireWireWi" /* as long as the library's; replies add a dot and 9 characters */

typedef struct wire {
    raw raw;
    const job *job;
    char *frames;      /* of one round */
    size_t frame_size; /* of each: all are equally long */
    raw_place place;
} wire;

void *wire_connect(const job *j);
void *wire_open(const job *j); /* connects and listens on the inbox */
void wire_close(void *state);

/* Makes |count| frames to |subject|: with replies that are all different, as the library's are, and with ids where the
 * job says so. */
void wire_build(wire *w, const round *r, const char *subject, bool has_reply, uint64_t count);

extern const worker_path wire_core_publish, wire_core_subscribe, wire_request;
extern const worker_path wire_publish_sync, wire_publish_async, wire_consume_ack, wire_bulk;
extern const worker_path wire_blast, wire_echo;

#endif
