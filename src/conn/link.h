/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP life of a connection: INFO, CONNECT, PING/PONG, then frames, until it fails. Its end is final; the session
 * makes a new one for the next life.
 *
 * Owns: the octets received, the octets of the handshake to send, the last INFO, the ping timer.
 * Does not own: the outgoing buffer after the handshake, subscriptions, servers (session.h). */
#ifndef NBJ_CONN_LINK_H
#define NBJ_CONN_LINK_H

#include "base/buf.h"
#include "base/chunk.h"
#include "conn/observe.h"
#include "wire/connect.h"
#include "wire/frame.h"
#include "wire/info.h"
#include "wire/server_error.h"

#include <nbj/time.h>

/* Next phases stand behind each; FAILED follows every one of them. */
typedef enum nbj__link_phase {
    NBJ__LINK_WAIT_INFO = 1,  /* WAIT_SIGNATURE when credentials sign the nonce, else WAIT_PONG */
    NBJ__LINK_WAIT_SIGNATURE, /* WAIT_PONG when nbj__link_sign() brings the signature */
    NBJ__LINK_WAIT_PONG,      /* READY when the PING behind CONNECT is answered */
    NBJ__LINK_READY,
    NBJ__LINK_FAILED, /* final; |error| says why */
} nbj__link_phase;

typedef struct nbj__link_config {
    const nbj_allocator *alloc;
    nbj__connect connect;  /* views that outlive the link */
    bool wants_signature;  /* the nonce is to be signed */
    bool wants_tls;        /* the URL says tls:// */
    uint64_t handshake_ns; /* from the TCP connection to the PONG */
    uint64_t ping_interval_ns;
    uint32_t max_pings_out;        /* unanswered PINGs before the server counts as stale */
    nbj__buf *out;                 /* where PING and PONG go after the handshake, in order with all other operations */
    const nbj__observer *observer; /* NULL: none */
} nbj__link_config;

typedef struct nbj__link {
    nbj__link_config cfg;
    nbj__link_phase phase;
    nbj_error error; /* once FAILED */
    nbj_time due;    /* end of the handshake; then the next PING */
    uint64_t heard;  /* octets that came, PINGs excepted: a server may send those although nothing of ours arrives */
    uint64_t heard_before_ping; /* at the last PING by the timer */
    uint32_t pings_out;
    uint64_t pings_sent, pongs_got; /* the handshake's are number 1 */
    nbj__buf tx;                    /* handshake, and what the session wants sent before |out| */
    nbj__info info;
    nbj__parser parser;
    nbj__chunk *rx;
    size_t rx_head, rx_tail; /* octets received and not parsed */
} nbj__link;

typedef enum nbj__link_event_type {
    NBJ__LINK_EV_INFO = 1, /* |info| is new */
    NBJ__LINK_EV_SIGN,     /* |info.nonce| is to be signed */
    NBJ__LINK_EV_READY,
    NBJ__LINK_EV_MSG,  /* |frame| */
    NBJ__LINK_EV_PONG, /* |pongs_got| has grown */
    NBJ__LINK_EV_ERR,  /* an error that the link survives: |server_error|, |frame.text| */
} nbj__link_event_type;

typedef struct nbj__link_event {
    nbj__link_event_type type;
    nbj__frame frame;
    nbj__server_error server_error;
} nbj__link_event;

void nbj__link_init(nbj__link *l, const nbj__link_config *cfg, nbj_time now);
void nbj__link_free(nbj__link *l); /* a zeroed one too */

/* Room for octets from the server. What the last event showed may move. NBJ_E_NOMEM. */
nbj_status nbj__link_rx_space(nbj__link *l, uint8_t **at, size_t *len);
void nbj__link_rx_commit(nbj__link *l, size_t len);

/* Takes out the next event. NBJ_OK: |ev| is filled, its views live until the next rx_space. NBJ_MORE: nothing is
 * there. Otherwise the link has failed: always that same status. */
nbj_status nbj__link_next(nbj__link *l, nbj_time now, nbj__link_event *ev);

/* The answer to EV_SIGN. Views are copied. */
nbj_status nbj__link_sign(nbj__link *l, nbj_bytes jwt, nbj_bytes nkey, nbj_bytes signature);

/* Writes a PING into |out| (|tx| before READY); *|number| is what pongs_got will reach when it is answered. */
nbj_status nbj__link_ping(nbj__link *l, uint64_t *number);

nbj_status nbj__link_on_time(nbj__link *l, nbj_time now);                     /* the failure, or NBJ_OK */
nbj_status nbj__link_fail(nbj__link *l, nbj_status status, const char *text); /* |text| NULL: the status's */

#endif
