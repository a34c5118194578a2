/* SPDX-License-Identifier: Apache-2.0 */
/* From a host name to a connected socket, without blocking: resolve, then try one address after the other, each with its
 * share of the time that is left. Its descriptors live in the driver's epoll set.
 *
 *   IDLE → RESOLVING → CONNECTING → IDLE, with a socket or an error */
#ifndef NBJ_DRIVER_DIAL_H
#define NBJ_DRIVER_DIAL_H

#include "driver/resolve.h"

#include <nbj/time.h>

typedef enum nbj__dial_phase { NBJ__DIAL_IDLE = 0, NBJ__DIAL_RESOLVING, NBJ__DIAL_CONNECTING } nbj__dial_phase;

typedef struct nbj__dialer {
    int epoll_fd;
    uint64_t socket_tag; /* epoll_data of the socket that connects, and of the one that is handed over */
    nbj__resolver *resolver;
    nbj__dial_phase phase;
    size_t next;      /* address to try next */
    int fd;           /* CONNECTING; else -1 */
    nbj_time try_due; /* CONNECTING: when the next address has its turn */
    nbj_time due;     /* of the whole */
    nbj_error error;  /* why the last try failed */
} nbj__dialer;

/* Its resolver's sockets are tagged |resolver_tag| + descriptor. */
nbj_status nbj__dialer_init(nbj__dialer *d, const nbj_allocator *alloc, int epoll_fd, uint64_t socket_tag,
                            uint64_t resolver_tag);
void nbj__dialer_free(nbj__dialer *d);

/* These return NBJ_MORE: under way; NBJ_OK: nbj__dialer_take gives the socket; otherwise |error| says why not. */
nbj_status nbj__dialer_start(nbj__dialer *d, const char *host, uint16_t port, nbj_time due, nbj_time now);
nbj_status nbj__dialer_on_resolver(nbj__dialer *d, int fd, uint32_t events, nbj_time now);
nbj_status nbj__dialer_on_socket(nbj__dialer *d, nbj_time now);
nbj_status nbj__dialer_on_time(nbj__dialer *d, nbj_time now);

int nbj__dialer_take(nbj__dialer *d); /* the connected socket, non-blocking, watched for reading and writing */
void nbj__dialer_cancel(nbj__dialer *d);
nbj_time nbj__dialer_deadline(const nbj__dialer *d);

#endif
