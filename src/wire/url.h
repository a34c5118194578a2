/* SPDX-License-Identifier: Apache-2.0 */
/* Server URLs: [nats://|tls://][user[:password]@|token@]host[:port], several separated by commas. */
#ifndef NBJ_WIRE_URL_H
#define NBJ_WIRE_URL_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

#define NBJ__DEFAULT_PORT 4222u
#define NBJ__HOST_MAX 255u

typedef struct nbj__url {     /* views into the text */
    bool tls;                 /* tls:// */
    bool has_password;        /* user and password; else a lone user is a token */
    nbj_bytes user, password; /* still percent-encoded; empty: none */
    nbj_bytes host;           /* an IPv6 address without its brackets */
    uint16_t port;
} nbj__url;

/* Reads one URL; blanks around it and a path of "/" after it are nothing. NBJ_E_BAD_URL: |why| says what is wrong, as
 * static text. */
nbj_status nbj__url_parse(nbj_bytes text, nbj__url *out, const char **why);

/* Whether a host is an address: certificates name hosts, and rarely those. */
bool nbj__host_is_address(nbj_bytes host);

/* Takes the next URL out of a list separated by commas; false at its end. Empty entries are skipped. */
bool nbj__url_take(nbj_bytes *list, nbj_bytes *url);

/* Decodes %41 and the like into |out| (as long as |text|); returns the length. A broken escape stays as it is. */
size_t nbj__url_decode(nbj_bytes text, uint8_t *out);

#endif
