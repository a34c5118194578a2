/* SPDX-License-Identifier: Apache-2.0 */
/* A connected socket that carries plain octets, with TLS underneath from when it is begun: the one place that reads and
 * writes the network. Nothing blocks, and no write raises SIGPIPE.
 *
 * One thread may receive while another sends; everything else is called while neither does. */
#ifndef NBJ_DRIVER_CHANNEL_H
#define NBJ_DRIVER_CHANNEL_H

#include "driver/tls.h"

typedef struct nbj__channel {
    const nbj_allocator *alloc;
    int fd;          /* -1: none */
    nbj__tls *tls;   /* NULL: in clear */
    uint8_t *cipher; /* what was just received, where there is TLS */
    bool is_shaking;
} nbj__channel;

void nbj__channel_init(nbj__channel *c, const nbj_allocator *alloc);
void nbj__channel_adopt(nbj__channel *c, int fd); /* a non-blocking one */
void nbj__channel_close(nbj__channel *c);         /* with TLS's farewell, as far as the socket takes it */

/* Whatever comes from now on is for TLS. On failure |error| says why, and the channel is to be closed. */
nbj_status nbj__channel_start_tls(nbj__channel *c, const nbj__tls_options *options, nbj_error *error);

typedef struct nbj__received {
    nbj_status status; /* NBJ_OK: |len| octets, or the TLS handshake is done; NBJ_MORE: nothing for now; else the end */
    size_t len;
    bool may_have_more; /* another call may bring something, though the socket tells nothing new */
    int error;          /* errno of NBJ_E_IO */
} nbj__received;

/* Receives once, up to |room| octets; none are taken while shaking. */
nbj__received nbj__channel_receive(nbj__channel *c, uint8_t *at, size_t room);

/* Sends once. *|taken| octets count as written (tls.h). NBJ_OK; NBJ_MORE: the socket takes no more for now, whatever
 * was taken; else the end, whose reason may wait to be received. */
nbj_status nbj__channel_send(nbj__channel *c, nbj_bytes octets, size_t *taken);

/* Whether there is something to send that the session knows nothing of. */
bool nbj__channel_has_output(const nbj__channel *c);

/* What to say of the end that |r| tells; lives as long as TLS. NULL: nothing beyond its status. */
const char *nbj__channel_end_text(const nbj__channel *c, const nbj__received *r);

#endif
