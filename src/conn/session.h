/* SPDX-License-Identifier: Apache-2.0 */
/* A client's whole life as a state machine: servers, connections one after the other, subscriptions, requests, drain.
 * Octets and the time go in; octets, events and the next deadline come out. It owns no socket, clock or thread.
 *
 * A driver
 *   - takes events with nbj__session_next until NBJ_MORE after everything it put in, and obeys DIAL and HANGUP;
 *   - brings what is asked for: TLS (START_TLS), who we are (CREDENTIALS); what it cannot do it says with
 *     nbj__session_lost;
 *   - writes nbj__session_tx, and tells how much with nbj__session_sent;
 *   - reads into nbj__session_rx_space, and tells with nbj__session_rx_commit;
 *   - calls nbj__session_on_time when nbj__session_deadline has come (early is harmless).
 *
 * Phases (the state of the connection; what the caller wants is kept apart, in |closing| and |drain|):
 *
 *   WAITING    for the time of the next attempt       → DIALING, CLOSED
 *   DIALING    the driver connects                    → SHAKING, WAITING, CLOSED
 *   SHAKING    INFO, TLS, CONNECT, PONG               → READY, WAITING, CLOSED
 *   READY                                             → WAITING, CLOSED
 *   CLOSED     final
 *
 * One thread at a time. */
#ifndef NBJ_CONN_SESSION_H
#define NBJ_CONN_SESSION_H

#include "base/random.h"
#include "conn/credentials.h"
#include "conn/observe.h"
#include "conn/requests.h"
#include "conn/subs.h"
#include "wire/emit.h"
#include "wire/info.h"

#include <nbj/time.h>

typedef struct nbj__session nbj__session;

typedef enum nbj__phase {
    NBJ__PHASE_WAITING = 1,
    NBJ__PHASE_DIALING,
    NBJ__PHASE_SHAKING,
    NBJ__PHASE_READY,
    NBJ__PHASE_CLOSED,
} nbj__phase;

/* Zero means the default that stands behind each. Texts are copied. */
typedef struct nbj__session_options {
    const nbj_allocator *alloc;      /* malloc's */
    nbj_bytes urls;                  /* nats://127.0.0.1:4222; several separated by commas */
    nbj_bytes name;                  /* none */
    nbj_bytes user, password, token; /* none; those of a URL come first */
    nbj_bytes inbox_prefix;          /* _INBOX */
    uint64_t seed;                   /* of all that looks random */
    uint64_t connect_timeout_ns;     /* 5 s, from dialing to the PONG, for each server */
    uint64_t info_timeout_ns;        /* what is left of that: until INFO came */
    uint64_t tls_timeout_ns;         /* until TLS is there, where it comes behind INFO; else it is the driver's */
    uint64_t auth_timeout_ns;        /* from CONNECT to the PONG */
    uint64_t ping_interval_ns;       /* 30 s */
    uint32_t max_pings_out;          /* 2 */
    uint64_t write_timeout_ns;       /* 10 s without the socket taking an octet */
    uint64_t reconnect_first_ns;     /* 100 ms: limit of the first random wait for a server that failed */
    uint64_t reconnect_max_ns;       /* 8 s: limit of the longest */
    uint32_t max_reconnects;         /* failures in a row after which a server is given up; 0: never */
    size_t max_outgoing_bytes;       /* 8 MiB */
    bool no_randomize;               /* servers in the given order */
    bool no_reconnect;               /* the first loss closes */
    bool retry_first_connect;        /* the first connection is tried for ever, too */
    bool ignore_discovered;          /* connect_urls are not taken */
    bool auth_errors_are_fatal;      /* the same authentication error twice in a row from a server closes */
    bool fail_requests_on_loss;      /* requests do not wait for a reply over a lost connection */
    bool wait_when_full;             /* a full outgoing buffer is WOULD_BLOCK and EV_WRITABLE instead of FULL */
    bool wants_credentials;          /* EV_CREDENTIALS for each connection */
    bool tls;                        /* to all servers; else as the URL, or the server, says */
    bool tls_first;                  /* before INFO, to all servers */
    bool tls_possible;               /* the driver can; else servers that need TLS are refused */
    bool verbose, pedantic, no_echo;
    void *msg_client; /* whose messages they are, for settling them */
    const nbj__observer *observer;
} nbj__session_options;

typedef enum nbj__event_type {
    NBJ__EV_DIAL = 1,     /* connect to |host|, |port| until |due|; with |tls_first| do TLS, too, verifying |tls_name|;
                             then nbj__session_dialed or nbj__session_lost */
    NBJ__EV_HANGUP,       /* close the socket, or stop connecting; what is in tx does not matter any more */
    NBJ__EV_START_TLS,    /* begin TLS, verifying |host|; then nbj__session_secured or nbj__session_lost. What is read
                             from now on is for TLS */
    NBJ__EV_CREDENTIALS,  /* say who we are to |host|, |port|, and sign |nonce| unless it is empty; then
                             nbj__session_credentials, nbj__session_no_credentials or nbj__session_lost */
    NBJ__EV_CONNECTED,    /* for the first time */
    NBJ__EV_DISCONNECTED, /* |error| says why */
    NBJ__EV_RECONNECTED,
    NBJ__EV_LAME_DUCK,    /* the server will go; we leave it if we know another */
    NBJ__EV_SERVER_ERROR, /* one that the connection survives: |error|; |subject| of a permission that is missing */
    NBJ__EV_DISCOVERED,   /* new servers became known */
    NBJ__EV_WRITABLE,     /* after WOULD_BLOCK: publish again */
    NBJ__EV_MSG,          /* |sub|, |msg| */
    NBJ__EV_QUEUED,       /* |sub|: its queue was empty and is not any more */
    NBJ__EV_SLOW,         /* |sub|: its queue is full; dropping begins */
    NBJ__EV_SUB_ENDED,    /* |sub|: the last event about it; its owner may clear it */
    NBJ__EV_INBOX,        /* |msg|: a reply on the wildcard inbox with a |token| that is not of a request */
    NBJ__EV_REPLY,        /* |call|, |msg|: one reply of a request with many; more may come */
    NBJ__EV_CALL_DONE, /* |call|, |error| by status, |msg| for a request that was answered; the last event about it */
    NBJ__EV_CLOSED,    /* |error|; the very last event */
} nbj__event_type;

/* Views, |msg| and |error| live until the next nbj__session_next, nbj__session_rx_space or nbj__session_free, whatever
 * else is called in between. */
typedef struct nbj__event {
    nbj__event_type type;
    nbj__sub *sub;
    nbj__call *call;
    const nbj_msg *msg;
    nbj_bytes token;
    nbj_bytes nonce;
    nbj_bytes subject;
    const char *host;
    uint16_t port;
    const char *tls_name;
    bool tls_first;
    nbj_time due;
    nbj_status status; /* that of |error|; NBJ_OK for a call that ended well */
    const nbj_error *error;
} nbj__event;

typedef struct nbj__session_stats {
    uint64_t in_msgs, in_bytes;   /* received for subscriptions and calls; headers and payload */
    uint64_t out_msgs, out_bytes; /* published into the outgoing buffer */
    uint64_t reconnects;
    uint64_t dropped;  /* messages that full queues did not take */
    uint64_t unwanted; /* replies that came late and messages of ended subscriptions */
} nbj__session_stats;

/* --- life --- */

/* The first DIAL is an event at once. NBJ_E_BAD_URL, NBJ_E_INVALID, NBJ_E_NO_TLS: |error|; NBJ_E_NOMEM. On failure *|out| is NULL. */
nbj_status nbj__session_new(nbj__session **out, const nbj__session_options *o, nbj_time now, nbj_error *error);

/* Frees it with all views it gave out. Calls and subscriptions that are still in it are their owners' again. */
void nbj__session_free(nbj__session *s); /* NULL is allowed */

/* Ends everything: calls with NBJ_E_CLOSED, then CLOSED with |why|. Nothing happens the second time. */
void nbj__session_close(nbj__session *s, nbj_status why, const char *text);

/* Unsubscribes everything, lets messages on their way and requests come in, sends all that was published, then closes
 * with NBJ_OK; at |deadline| with NBJ_E_TIMEOUT. A session that is not READY closes at once. */
void nbj__session_drain(nbj__session *s, nbj_time now, nbj_time deadline);

/* Gives the connection up and goes to the next server, waiting for nothing. */
void nbj__session_reconnect(nbj__session *s, nbj_time now);

nbj__phase nbj__session_phase(const nbj__session *s);
bool nbj__session_was_ready(const nbj__session *s);        /* at any time */
const nbj__info *nbj__session_info(const nbj__session *s); /* of the present connection, or NULL before its INFO */
const nbj__session_stats *nbj__session_stats_of(const nbj__session *s);
const nbj_allocator *nbj__session_alloc(const nbj__session *s);
const char *nbj__session_host(const nbj__session *s, uint16_t *port); /* of the present server; NULL: none */
size_t nbj__session_outgoing(const nbj__session *s);                  /* octets that wait to be written */
size_t nbj__session_server_count(const nbj__session *s);

/* --- the driver's side --- */

nbj_status nbj__session_next(nbj__session *s, nbj_time now, nbj__event *ev); /* NBJ_OK or NBJ_MORE */
void nbj__session_dialed(nbj__session *s, nbj_time now);
/* Connecting failed, or the socket ended. |text| may be NULL. */
void nbj__session_lost(nbj__session *s, nbj_status status, const char *text, nbj_time now);
/* The answers to START_TLS and to CREDENTIALS; the latter's views are copied. NBJ_E_STATE: nobody asks. On another failure
 * the connection ends. An answer that comes after its connection was lost must not be given: it might meet the next. */
nbj_status nbj__session_secured(nbj__session *s, nbj_time now);
nbj_status nbj__session_credentials(nbj__session *s, const nbj__credentials *given, nbj_time now);
nbj_status nbj__session_no_credentials(nbj__session *s, const nbj_error *why, nbj_time now); /* HANGUP follows */
nbj_status nbj__session_rx_space(nbj__session *s, uint8_t **at, size_t *len);                /* NBJ_E_NOMEM */
void nbj__session_rx_commit(nbj__session *s, size_t len);
bool nbj__session_has_tx(const nbj__session *s);

/* What to write now; empty: nothing. Once the connection is ready, the view stays while other calls add to what waits,
 * until nbj__session_sent, or until the driver has obeyed HANGUP or said lost: another thread may write it meanwhile. */
nbj_bytes nbj__session_tx(nbj__session *s);
bool nbj__session_tx_stays(const nbj__session *s); /* so it is with the next view */
void nbj__session_sent(nbj__session *s, size_t len, nbj_time now);
nbj_time nbj__session_deadline(const nbj__session *s); /* 0: there are events to take now */
void nbj__session_on_time(nbj__session *s, nbj_time now);

/* --- publish and subscribe --- */

/* Puts a publish into the outgoing buffer, connected or not. NBJ_E_BAD_SUBJECT, NBJ_E_BAD_HEADER, NBJ_E_TOO_LARGE,
 * NBJ_E_NO_HEADERS, NBJ_E_FULL (for ever when it is larger than the whole buffer) or NBJ_E_WOULD_BLOCK, NBJ_E_CLOSED,
 * NBJ_E_DRAINING, NBJ_E_NOMEM. */
nbj_status nbj__session_publish(nbj__session *s, const nbj__outgoing *m);

/* For a layer that keeps its messages until they are acknowledged, with replies to its own tokens of the wildcard inbox:
 * checks one, and sends one that nbj__emit_pub has encoded. Such a frame is only taken while READY (else
 * NBJ_E_DISCONNECTED), and not kept over a loss: the layer sends it again itself. */
nbj_status nbj__session_check(const nbj__session *s, const nbj__outgoing *m);

/* That without its texts: an operation of |frame_len| octets, of which |size| are headers and payload. */
nbj_status nbj__session_check_size(const nbj__session *s, size_t frame_len, size_t size, bool with_headers);
nbj_status nbj__session_send_frame(nbj__session *s, nbj_bytes frame, size_t size);

typedef struct nbj__subscription {
    nbj__sub_kind kind;
    nbj_bytes subject, queue_group; /* the latter may be empty */
    uint64_t max;                   /* 0: without end */
    bool queued;
    size_t limit_msgs, limit_bytes; /* of the queue; 0: 65,536 and 64 MiB */
} nbj__subscription;

/* NBJ_E_BAD_SUBJECT, NBJ_E_FULL, NBJ_E_CLOSED, NBJ_E_DRAINING, NBJ_E_NOMEM: |sub| is untouched. */
nbj_status nbj__session_subscribe(nbj__session *s, nbj__sub *sub, const nbj__subscription *what);

/* Ends |sub| at once, or, with |max|, after so many messages since it began. SUB_ENDED follows. */
nbj_status nbj__session_unsubscribe(nbj__session *s, nbj__sub *sub, uint64_t max);

/* Ends |sub| when the messages that are on their way have come. */
nbj_status nbj__session_sub_drain(nbj__session *s, nbj__sub *sub);

/* The oldest message of a queued subscription, now the caller's; NULL: none. */
nbj_msg *nbj__session_take(nbj__session *s, nbj__sub *sub);

/* So many of what nbj__sub_take_all gave, with so many octets, were handled: they count no longer as waiting. */
void nbj__session_handled(nbj__session *s, nbj__sub *sub, size_t msgs, size_t bytes);

/* Gives back what an ended |sub| holds; one that is in the session is ended without an event first. */
void nbj__session_sub_clear(nbj__session *s, nbj__sub *sub);

/* --- calls; CALL_DONE follows exactly once after NBJ_OK, never after another status --- */

/* |m->reply| is ours to set. */
nbj_status nbj__session_request(nbj__session *s, nbj__call *call, const nbj__outgoing *m, nbj_time deadline,
                                nbj_time now);
nbj_status nbj__session_request_many(nbj__session *s, nbj__call *call, const nbj__outgoing *m,
                                     const nbj__many_options *many, nbj_time deadline, nbj_time now);
/* Done when the server has parsed all that was published before. */
nbj_status nbj__session_flush(nbj__session *s, nbj__call *call, nbj_time deadline, nbj_time now);
void nbj__session_cancel(nbj__session *s, nbj__call *call); /* CALL_DONE with NBJ_E_CANCELLED */
void nbj__session_forget(nbj__session *s, nbj__call *call); /* without an event; it may be freed then */

/* The wildcard inbox, "<prefix>.<name>.": for a layer that makes its own tokens. Subscribes on first use. */
nbj_status nbj__session_inbox(nbj__session *s, nbj_bytes *prefix);

/* A unique inbox subject, of |cap| octets at most with its NUL. */
void nbj__session_new_inbox(nbj__session *s, char *out, size_t cap);

nbj__random *nbj__session_random(nbj__session *s);

#endif
