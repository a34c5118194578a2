/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses of either family: from text, to text, compared. Asks nobody but the kernel for an interface's number. */
#ifndef NBJ_DRIVER_ADDRESS_H
#define NBJ_DRIVER_ADDRESS_H

#include "base/text.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef union nbj__address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} nbj__address;

static inline socklen_t nbj__address_len(const nbj__address *a)
{
    return a->any.sa_family == AF_INET6 ? (socklen_t)sizeof a->v6 : (socklen_t)sizeof a->v4;
}

/* "10.0.0.1", "::1", "fe80::1%eth0", with port 0. False: |host| is none of these. */
bool nbj__address_parse(const char *host, nbj__address *out);
void nbj__address_set_port(nbj__address *a, uint16_t port);

/* With its port: "10.0.0.1:4222", "[fe80::1%2]:4222". */
void nbj__address_add_text(const nbj__address *a, nbj__text *t);

bool nbj__address_is_same(const nbj__address *a, const nbj__address *b);

/* Whether RFC 6724's table of policies puts this IPv6 address behind IPv4: 6to4, Teredo, private and outdated ones. */
bool nbj__address_ranks_behind_v4(const nbj__address *six);

#endif
