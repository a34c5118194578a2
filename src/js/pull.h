/* SPDX-License-Identifier: Apache-2.0 */
/* A durable pull consumer that keeps messages coming: it makes sure of the consumer, keeps a pull request waiting at the
 * server, and asks again after whatever ends one. It never spins: what failed is repeated after a pause.
 *
 *   CREATING  the consumer is asked for             → RUNNING, STALLED (no answer), GONE (refused), STOPPED
 *   RUNNING   messages or heartbeats come           → STALLED, CREATING (it was deleted), STOPPED
 *   STALLED   asks again at a time, or when the     → CREATING, RUNNING, STOPPED
 *             connection is back
 *   GONE      final: the server refused it; |error|
 *   STOPPED   final: by the caller */
#ifndef NBJ_JS_PULL_H
#define NBJ_JS_PULL_H

#include "js/ack_subject.h"
#include "js/api.h"
#include "js/reply.h"

typedef enum nbj__pull_state {
    NBJ__PULL_CREATING = 1,
    NBJ__PULL_RUNNING,
    NBJ__PULL_STALLED,
    NBJ__PULL_GONE,
    NBJ__PULL_STOPPED,
} nbj__pull_state;

extern const nbj__machine nbj__pull_machine;

typedef struct nbj__pull_options {
    uint64_t batch;        /* messages asked for at most; 0: 256 */
    uint64_t expires_ns;   /* of a pull request; 0: 30 s */
    uint64_t heartbeat_ns; /* 0: 5 s; at most half of expires */
} nbj__pull_options;

typedef struct nbj__pull {
    nbj__session *session;
    nbj__consumer_config config; /* its views are of our copies */
    nbj__pull_options opt;
    const nbj__observer *observer;
    nbj__pull_state state;
    bool exists;    /* the consumer was made sure of */
    nbj__sub sub;   /* the inbox of all pulls */
    nbj__call call; /* CREATING */
    bool call_is_open;
    uint64_t asked; /* messages that the server may still send */
    nbj_time due;   /* RUNNING: heartbeats are missed. STALLED: ask again */
    uint64_t recoveries;
    nbj_error error; /* why STALLED or GONE */
    nbj__buf body;   /* of requests */
} nbj__pull;

/* |p| stays where it is until it is freed. NBJ_E_INVALID: a name is not legal; NBJ_E_NOMEM. */
nbj_status nbj__pull_init(nbj__pull *p, nbj__session *session, const nbj__consumer_config *config,
                          const nbj__pull_options *o, const nbj__observer *observer, nbj_time now);
void nbj__pull_free(nbj__pull *p);

/* Events about |p->sub| and |p->call|. True: |msg| is a delivery for the handler; otherwise look at |p->state|. */
bool nbj__pull_on_msg(nbj__pull *p, const nbj_msg *msg, nbj_time now);
void nbj__pull_on_call(nbj__pull *p, const nbj__event *ev, nbj_time now);
void nbj__pull_on_sub_ended(nbj__pull *p, nbj_time now);

void nbj__pull_on_disconnected(nbj__pull *p);
void nbj__pull_on_connected(nbj__pull *p, nbj_time now);
nbj_time nbj__pull_deadline(const nbj__pull *p);
void nbj__pull_on_time(nbj__pull *p, nbj_time now);

/* No more messages are asked for or handed out. */
void nbj__pull_stop(nbj__pull *p);

/* Settles a delivery: |what| is empty for an ack, else "-NAK …", "+WPI", "+TERM …". */
nbj_status nbj__pull_settle(nbj__session *session, const nbj_msg *msg, nbj_bytes what);

#endif
