/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

/* The number of the interface that |zone| names, or spells; 0: none. */
static uint32_t zone_number(const char *zone)
{
    uint64_t n;

    if (nbj__parse_u64(nbj_str(zone), UINT32_MAX, &n))
        return (uint32_t)n;
    return if_nametoindex(zone);
}

static bool parse_v6(const char *text, nbj__address *out)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *zone = strchr(text, '%');
    size_t len = zone != NULL ? (size_t)(zone++ - text) : strlen(text);

    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    *out = (nbj__address){ .v6.sin6_family = AF_INET6 };
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
        return false;
    out->v6.sin6_scope_id = zone != NULL ? zone_number(zone) : 0;
    return zone == NULL || out->v6.sin6_scope_id != 0;
}

static bool parse_v4(const char *host, nbj__address *out)
{
    *out = (nbj__address){ .v4.sin_family = AF_INET };
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

bool nbj__address_parse(const char *host, nbj__address *out)
{
    return strchr(host, ':') != NULL ? parse_v6(host, out) : parse_v4(host, out);
}

void nbj__address_set_port(nbj__address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

void nbj__address_add_text(const nbj__address *a, nbj__text *t)
{
    char text[INET6_ADDRSTRLEN];
    bool six = a->any.sa_family == AF_INET6;
    const void *octets = six ? (const void *)&a->v6.sin6_addr : &a->v4.sin_addr;

    nbj__text_add(t, six ? "[" : "");
    nbj__text_add(t, inet_ntop(a->any.sa_family, octets, text, sizeof text) != NULL ? text : "?");
    if (six && a->v6.sin6_scope_id != 0) {
        nbj__text_add(t, "%");
        nbj__text_add_u64(t, a->v6.sin6_scope_id);
    }
    nbj__text_add(t, six ? "]:" : ":");
    nbj__text_add_u64(t, ntohs(six ? a->v6.sin6_port : a->v4.sin_port));
}

bool nbj__address_is_same(const nbj__address *a, const nbj__address *b)
{
    return a->any.sa_family == b->any.sa_family && memcmp(a, b, nbj__address_len(a)) == 0;
}

bool nbj__address_ranks_behind_v4(const nbj__address *six)
{
    const struct in6_addr *a = &six->v6.sin6_addr;
    const uint8_t *b = a->s6_addr;

    return (b[0] == 0x20 && b[1] == 0x02) || (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0) ||
           (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0xc0) || (b[0] == 0x3f && b[1] == 0xfe) ||
           (IN6_IS_ADDR_V4COMPAT(a) && !IN6_IS_ADDR_LOOPBACK(a));
}
