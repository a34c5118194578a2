/* SPDX-License-Identifier: Apache-2.0 */
/* From a host name to a connected socket, without blocking, by happy eyeballs (RFC 8305): connecting begins as soon as
 * one family's addresses are known, the better family being waited for a moment; IPv6 and IPv4 addresses take turns; the
 * next attempt begins a quarter of a second after the last one, or when one fails; the first to connect wins. Its
 * descriptors live in the driver's epoll set.
 *
 *   IDLE → RESOLVING → CONNECTING → IDLE, with a socket or an error
 *
 * CONNECTING begins with the first attempt, while the other family may still be asked for.
 * Bounds: NBJ__RACERS_MAX attempts at a time; where there are more addresses, the oldest attempt makes room in time for
 * each address to have its turn before the end. */
#ifndef NBJ_DRIVER_DIAL_H
#define NBJ_DRIVER_DIAL_H

#include "driver/resolve.h"

#include <nbj/time.h>

#define NBJ__RACERS_MAX 8
#define NBJ__DIAL_REASONS_MAX 4

typedef enum nbj__dial_phase { NBJ__DIAL_IDLE = 0, NBJ__DIAL_RESOLVING, NBJ__DIAL_CONNECTING } nbj__dial_phase;

typedef struct nbj__dial_options {
    const char *name_servers; /* "ip:port,…" instead of resolv.conf's. NULL: resolv.conf's. Copied. */
    uint64_t dns_try_ns;      /* wait for a name server's first answer, doubled with each further try. 0: 2 s */
    uint64_t
        dns_timeout_ns; /* from the start to the last address that is still of use. 0: what there is of the whole */
    uint64_t tcp_timeout_ns; /* from the first attempt to a connected socket. 0: what is left of the whole */
} nbj__dial_options;

typedef struct nbj__racer {
    int fd;
    const nbj__address *to; /* in the resolver */
} nbj__racer;

/* Attempts that failed in the same way. */
typedef struct nbj__dial_reason {
    int error; /* errno; ETIMEDOUT also when it was us who gave up */
    unsigned count;
    const nbj__address *first;
} nbj__dial_reason;

typedef struct nbj__dialer {
    int epoll_fd;
    uint64_t racer_tag;
    nbj__dial_options opt;
    nbj__resolver *resolver;
    nbj__dial_phase phase;
    uint64_t whole_ns; /* from the start to |due| */
    nbj_time due;      /* of the whole */
    nbj_time dns_due;  /* when names are not waited for any more */
    nbj_time wait_due; /* RESOLVING: when the better family is not waited for any more; NBJ_TIME_NEVER: not yet */
    nbj_time tcp_due;  /* CONNECTING */
    nbj_time next_at;  /* CONNECTING: the next attempt */
    size_t next[NBJ__FAMILIES];         /* how many addresses of each have been tried */
    nbj__family turn;                   /* whose address is next, if it has one */
    nbj__racer racers[NBJ__RACERS_MAX]; /* oldest first */
    size_t racer_count;
    int fd; /* the winner until it is taken; else -1 */
    nbj__dial_reason reasons[NBJ__DIAL_REASONS_MAX];
    size_t reason_count;
    int no_descriptor; /* EMFILE or ENFILE, when an attempt waited for one; else 0 */
    nbj_error error;   /* of the last dial that failed */
} nbj__dialer;

/* The racing sockets' epoll_data.u64 is |racer_tag| + descriptor, the resolver's |resolver_tag| + descriptor; the low 32
 * bits of both tags are 0. */
nbj_status nbj__dialer_init(nbj__dialer *d, const nbj_allocator *alloc, int epoll_fd, uint64_t racer_tag,
                            uint64_t resolver_tag, const nbj__dial_options *options);
void nbj__dialer_free(nbj__dialer *d);
void nbj__dialer_abandon(nbj__dialer *d); /* in a forked child: only closes its copies of the sockets that race */

/* These return NBJ_MORE: under way; NBJ_OK: nbj__dialer_take gives the socket; otherwise |error| says why not:
 * NBJ_E_DNS, NBJ_E_CONNECT_TIMEOUT, NBJ_E_REFUSED, NBJ_E_IO, NBJ_E_NOMEM, NBJ_E_INVALID (the host). Events and calls that
 * come late, and early ones of on_time, do no harm. */
nbj_status nbj__dialer_start(nbj__dialer *d, const char *host, uint16_t port, nbj_time due, nbj_time now);
nbj_status nbj__dialer_on_resolver(nbj__dialer *d, int fd, uint32_t events, nbj_time now);
nbj_status nbj__dialer_on_racer(nbj__dialer *d, int fd, nbj_time now);
nbj_status nbj__dialer_on_time(nbj__dialer *d, nbj_time now);

int nbj__dialer_take(nbj__dialer *d); /* the connected socket, non-blocking, watched with the tag it raced with */
void nbj__dialer_cancel(nbj__dialer *d);
nbj_time nbj__dialer_deadline(const nbj__dialer *d);

#endif
