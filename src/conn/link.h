/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP life of a connection: INFO, TLS, CONNECT, PING/PONG, then frames, until it fails. Its end is final; the session
 * makes a new one for the next life.
 *
 * Owns: the octets received, the octets of the handshake to send, the last INFO, the ping timer.
 * Does not own: TLS and keys (it asks for them and waits), the outgoing buffer after the handshake, subscriptions,
 * servers (session.h). */
#ifndef NBJ_CONN_LINK_H
#define NBJ_CONN_LINK_H

#include "base/buf.h"
#include "base/chunk.h"
#include "conn/credentials.h"
#include "conn/observe.h"
#include "wire/connect.h"
#include "wire/frame.h"
#include "wire/info.h"
#include "wire/server_error.h"

#include <nbj/time.h>

/* In this order, without those that are not needed; FAILED follows every one of them. Nothing is written before
 * WAIT_PONG. */
typedef enum nbj__link_phase {
    NBJ__LINK_WAIT_INFO = 1,
    NBJ__LINK_WAIT_TLS,         /* for nbj__link_secured: the server requires TLS, or we do */
    NBJ__LINK_WAIT_CREDENTIALS, /* for nbj__link_credentials */
    NBJ__LINK_WAIT_PONG,        /* for the answer to the PING behind CONNECT */
    NBJ__LINK_READY,
    NBJ__LINK_FAILED, /* final; |error| says why */
} nbj__link_phase;

typedef struct nbj__link_config {
    const nbj_allocator *alloc;
    nbj__connect connect;              /* views that outlive the link */
    bool wants_credentials;            /* EV_CREDENTIALS before CONNECT, also without a nonce */
    bool tls_wanted;                   /* no octet goes out in clear */
    bool tls_possible;                 /* EV_START_TLS can be obeyed */
    bool secured;                      /* TLS came before INFO */
    uint64_t handshake_ns;             /* from the TCP connection (and TLS, when that comes first) to the PONG */
    uint64_t info_ns, tls_ns, auth_ns; /* for INFO, for TLS, from CONNECT to PONG; 0: what is left of |handshake_ns| */
    uint64_t ping_interval_ns;
    uint32_t max_pings_out;        /* unanswered PINGs before the server counts as stale */
    nbj__buf *out;                 /* where PING and PONG go after the handshake, in order with all other operations */
    const nbj__observer *observer; /* NULL: none */
} nbj__link_config;

typedef struct nbj__link {
    nbj__link_config cfg;
    nbj__link_phase phase;
    nbj_error error;     /* once FAILED */
    nbj_time due;        /* end of the phase; READY: the next PING */
    nbj_time entered;    /* when the phase began; not kept in READY */
    nbj_time shaken_due; /* end of the handshake */
    bool asked;          /* WAIT_TLS, WAIT_CREDENTIALS: the event was handed out */
    uint64_t heard; /* octets that came, PINGs excepted: a server may send those although nothing of ours arrives */
    uint64_t heard_before_ping; /* at the last PING by the timer */
    uint32_t pings_out;
    uint64_t pings_sent, pongs_got; /* the handshake's are number 1 */
    nbj__buf tx;                    /* handshake, and what the session wants sent before |out| */
    nbj__info info;
    nbj__parser parser;
    nbj__chunk *rx;
    size_t rx_head, rx_tail; /* octets received and not parsed */
    bool rx_is_busy;         /* reads fill the chunk: it is a large one */
    uint32_t rx_small_reads; /* in a row */
} nbj__link;

typedef enum nbj__link_event_type {
    NBJ__LINK_EV_INFO = 1,    /* |info| is new */
    NBJ__LINK_EV_START_TLS,   /* begin TLS on what is not read yet; then nbj__link_secured */
    NBJ__LINK_EV_CREDENTIALS, /* nbj__link_credentials is wanted; |info.nonce| is to be signed, if there is one */
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

/* The answer to EV_START_TLS: from now on what comes and goes is inside TLS. NBJ_E_STATE: nobody asked. */
nbj_status nbj__link_secured(nbj__link *l, nbj_time now);

/* The answer to EV_CREDENTIALS; may be empty. Views are copied. NBJ_E_STATE: nobody asked. */
nbj_status nbj__link_credentials(nbj__link *l, const nbj__credentials *given, nbj_time now);

/* Writes a PING into |out| (|tx| before READY); *|number| is what pongs_got will reach when it is answered. */
nbj_status nbj__link_ping(nbj__link *l, uint64_t *number);

nbj_status nbj__link_on_time(nbj__link *l, nbj_time now);                     /* the failure, or NBJ_OK */
nbj_status nbj__link_fail(nbj__link *l, nbj_status status, const char *text); /* |text| NULL: the status's */

#endif
