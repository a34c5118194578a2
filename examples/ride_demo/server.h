/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's private nats-server. Owns: finding the program, its port, store and log, killing and restarting it.
 * It listens on the loopback interface only. The port stays ours while the server is dead: a bound socket that never
 * listens keeps the kernel from giving it to anybody else, even to a client that would then meet itself. */
#ifndef RIDE_DEMO_SERVER_H
#define RIDE_DEMO_SERVER_H

#include "child.h"

#include <limits.h>
#include <stdint.h>

typedef struct server {
    child process;
    char program[PATH_MAX];
    const char *directory; /* exists; borrowed; for store and log */
    int reservation;       /* the bound socket; -1: none */
    uint16_t port;
} server;

/* Not running, nothing reserved: what server_close() may be given. */
#define SERVER_NONE ((server){ .process = CHILD_NONE, .reservation = -1 })

/* Finds the program: NBJ_NATS_SERVER, else nats-server in PATH or where packages put it. And reserves the port. */
bool server_open(server *out, problem *why);

/* Starts it in |of|->directory, again on the same store, and waits until it answers. */
bool server_start(server *of, problem *why);

void server_kill(server *of);  /* SIGKILL, and waits for the end */
void server_close(server *of); /* stops it politely, then by force, and gives the port back */

#endif
