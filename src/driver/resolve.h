/* SPDX-License-Identifier: Apache-2.0 */
/* Host names to socket addresses without blocking: c-ares inside an epoll set that belongs to the driver. One
 * resolution at a time. Numeric addresses are answered at once, /etc/hosts and "localhost" without any network.
 *
 * IPv4 and IPv6 are asked for separately, so that a slow answer for one does not hold back the other: the addresses of a
 * family are there as soon as its answer is. With search domains the first answer decides which host is meant; what the
 * other family found in another domain is dropped.
 *
 * Each resolution reads resolv.conf anew, so that a client that lives for months follows a machine that changes
 * networks; between resolutions the resolver holds no descriptor.
 *
 * Memory: the resolver itself comes from the allocator; c-ares knows only a process-wide allocator and is left with
 * malloc. ares_library_init() is not called: its documentation asks for it on Windows alone, and it is not thread-safe. */
#ifndef NBJ_DRIVER_RESOLVE_H
#define NBJ_DRIVER_RESOLVE_H

#include "driver/address.h"

#include <nbj/alloc.h>
#include <nbj/bytes.h>
#include <nbj/status.h>
#include <nbj/time.h>
#include <stdbool.h>
#include <stdint.h>

#define NBJ__ADDRESSES_MAX 32 /* of each family */

typedef enum nbj__family { NBJ__V6 = 0, NBJ__V4 } nbj__family;
#define NBJ__FAMILIES 2

/* In the order to try them in (RFC 6724), without repeats. */
typedef struct nbj__addresses {
    size_t count;
    nbj__address at[NBJ__ADDRESSES_MAX];
} nbj__addresses;

typedef struct nbj__resolver_options {
    const nbj_allocator *alloc; /* NULL: malloc. Borrowed. */
    int epoll_fd;               /* Where the resolver adds, changes and removes its sockets. Borrowed. */
    uint64_t tag;               /* Its low 32 bits are 0; a socket's epoll_data.u64 is |tag| + the socket's number. */
    const char *servers;        /* "ip:port,…" instead of resolv.conf's. NULL: resolv.conf's. Copied. */
    uint64_t try_timeout_ns;    /* Wait for the first try, doubled with each further one. 0: 2 s. */
    uint32_t tries;             /* Of each name server. 0: 3. */
} nbj__resolver_options;

typedef struct nbj__resolver nbj__resolver;

/* NBJ_E_NOMEM: *|out| is NULL. */
nbj_status nbj__resolver_new(nbj__resolver **out, const nbj__resolver_options *options);
void nbj__resolver_free(nbj__resolver *r); /* NULL is allowed */

/* These four return where the resolution stands:
 * NBJ_MORE      under way: call on_ready for each event of its sockets, and on_time at its deadline. The addresses of
 *               one family may be there already;
 * NBJ_OK        ended, with at least one address;
 * NBJ_E_DNS     ended without an address; nbj__resolver_error() says why. NBJ_E_NOMEM, NBJ_E_IO (no descriptor) as well;
 * NBJ_E_INVALID |host| is empty, too long or has a NUL; NBJ_E_CANCELLED: cancelled, or none was started. */

/* Cancels a former resolution. |host|: a name, an IPv4 address, or an IPv6 address with or without brackets. */
nbj_status nbj__resolver_start(nbj__resolver *r, nbj_bytes host, uint16_t port, nbj_time now);
/* |fd| is the low half of the event's data. An event that was fetched before its socket went away does no harm. */
nbj_status nbj__resolver_on_ready(nbj__resolver *r, int fd, uint32_t events, nbj_time now);
nbj_status nbj__resolver_on_time(nbj__resolver *r, nbj_time now); /* early is harmless */
nbj_status nbj__resolver_status(const nbj__resolver *r);
const char *nbj__resolver_host(const nbj__resolver *r); /* of the last start, without brackets */
bool nbj__resolver_is_numeric(const nbj__resolver *r);  /* whether that is an address itself */

void nbj__resolver_cancel(nbj__resolver *r); /* what was found stays */

/* When to call on_time; NBJ_TIME_NEVER when nothing is under way. */
nbj_time nbj__resolver_deadline(const nbj__resolver *r);

/* The addresses of one family that are known, and the family to begin with by RFC 6724, as far as that is known. The
 * lists live and grow until the next start or free. */
const nbj__addresses *nbj__resolver_addresses(const nbj__resolver *r, nbj__family family);
nbj__family nbj__resolver_first(const nbj__resolver *r);
bool nbj__resolver_is_asking(const nbj__resolver *r, nbj__family family);

const nbj_error *nbj__resolver_error(const nbj__resolver *r);
/* Why nobody knows whether there are addresses of |family|; NULL: there are some, or there are none. */
const char *nbj__resolver_trouble(const nbj__resolver *r, nbj__family family);

#endif
