/* SPDX-License-Identifier: Apache-2.0 */
/* Loopback TCP ports that stay ours: a bound socket that never listens keeps the kernel from giving the port to anybody
 * else (another test, or an outgoing connection that would then meet itself), while a server that sets SO_REUSEADDR, as
 * nats-server does, can listen on it, go away and come back. */
#ifndef NBJ_TEST_PORT_H
#define NBJ_TEST_PORT_H

#include <stdint.h>

typedef struct ts_port {
    int reservation; /* descriptor; -1: none */
    uint16_t number;
} ts_port;

ts_port ts_port_reserve(void);        /* fails the test when there is none */
void ts_port_release(ts_port *p);     /* a released one too */
int ts_port_listen(const ts_port *p); /* a non-blocking listener on it; -1 with errno on failure */
int ts_port_connect(uint16_t port);   /* a blocking connection to 127.0.0.1, TCP_NODELAY; -1 with errno on failure */

#endif
