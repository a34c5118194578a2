/* SPDX-License-Identifier: Apache-2.0 */
/* The one nats-server that all implementations are measured against. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "raw.h"

#include <stdint.h>
#include <sys/types.h>

typedef struct server {
    pid_t pid;
    uint16_t port, http_port;
    char dir[128];
    raw raw; /* the runner's own connection */
} server;

/* Starts $NBJ_NATS_SERVER, or nats-server on the PATH, with a directory of its own. |cpu|: -1 for all. It and its files
 * are gone when the program ends. */
void server_start(server *s, int cpu);
void server_stop(server *s);

/* Returns when it is idle, so that one round does not pay for the one before; at the latest after two seconds. */
void server_settle(const server *s);

/* Messages that it has received from clients. */
uint64_t server_received(const server *s);
void server_must_have_received(const server *s, uint64_t count);

/* The stream BENCH as if there had never been one; |takes_bulks|: by fast ingest, too. */
void stream_reset(server *s, const char *storage, bool takes_bulks);

/* Stores |count| messages of |payload| octets in it. */
void stream_fill(server *s, uint64_t count, size_t payload);

void stream_must_have(server *s, uint64_t count);                /* exactly so many messages, first and last */
void consumer_must_have_acknowledged(server *s, uint64_t count); /* all of them, none twice */

#endif
