/* SPDX-License-Identifier: Apache-2.0 */
/* An atomic batch (ADR-50): messages of which a stream stores all or none. They are kept here until the commit; only then
 * a server hears of them, so nothing waits there half done, and a loss in between costs no more than beginning again.
 *
 *   BUILDING    messages are added                          → WAITING, DONE
 *   WAITING     for a connection, or for the time to begin  → OPENING, COMMITTING (of one message), DONE
 *   OPENING     the first was sent; a server that knows     → SENDING, WAITING (lost, refused for now), DONE
 *               batches answers with nothing in it
 *   SENDING     the others follow, some ahead of answers    → COMMITTING, WAITING, DONE
 *   COMMITTING  all others are there; the last was sent,    → DONE, WAITING (it certainly did not)
 *               which commits
 *   DONE        final: the result
 *
 * Each beginning has an id of its own, and reply tokens that name it and the message: what comes late is of nobody. */
#ifndef NBJ_JS_BATCH_H
#define NBJ_JS_BATCH_H

#include "conn/session.h"
#include "js/batch_reply.h"
#include "js/gate.h"
#include "js/publish.h"

typedef enum nbj__batch_state {
    NBJ__BATCH_BUILDING = 1,
    NBJ__BATCH_WAITING,
    NBJ__BATCH_OPENING,
    NBJ__BATCH_SENDING,
    NBJ__BATCH_COMMITTING,
    NBJ__BATCH_DONE,
} nbj__batch_state;

extern const nbj__machine nbj__batch_machine;

#define NBJ__BATCH_OWN_HEADERS 3u /* id, sequence, commit */

typedef struct nbj__batch_member nbj__batch_member;

typedef struct nbj__batch_result {
    nbj__publish_outcome outcome; /* STORED, REJECTED, UNKNOWN */
    nbj__pub_ack ack;             /* STORED: of the last; REJECTED: of one that was stored by itself, or sequence 0 */
    uint64_t count;               /* STORED */
    uint64_t member;              /* that the error is about, from 1; 0: of none */
    nbj_error error;
} nbj__batch_result;

typedef struct nbj__batch {
    nbj__session *session;
    const nbj__observer *observer;
    uint32_t *numbers; /* of the client: each beginning gets the next one */
    nbj__batch_state state;
    nbj__batch_member **members;
    size_t count, cap;
    nbj__feature feature;    /* the newest that its messages need of a server */
    size_t bytes, max_bytes; /* of members; the latter 0: 64 MiB */
    uint32_t number;         /* of the present beginning */
    char id[NBJ__BATCH_ID];
    size_t sent, answered; /* members */
    size_t in_flight;      /* octets of those sent and not answered */
    uint32_t refusals;     /* in a row */
    nbj_time deadline;
    nbj_time retry_at; /* WAITING; NBJ_TIME_NEVER: for a connection */
    nbj__buf frame;
    nbj__batch_result result; /* DONE */
} nbj__batch;

void nbj__batch_init(nbj__batch *b, nbj__session *session, size_t max_bytes, uint32_t *numbers,
                     const nbj__observer *observer);
void nbj__batch_free(nbj__batch *b);

/* Copies |m|, whose reply is ours to set. NBJ_E_FULL: over |max_bytes|; NBJ_E_STATE: it was committed; others as
 * nbj__session_check. */
nbj_status nbj__batch_add(nbj__batch *b, const nbj__outgoing *m);

/* NBJ_OK: it will be DONE, at |deadline| at the latest. NBJ_E_STATE; NBJ_E_INVALID: it is empty. */
nbj_status nbj__batch_commit(nbj__batch *b, nbj_time deadline, nbj_time now);

/* All of the following may make it DONE. */

/* An EV_INBOX with a token of batches. False: of another one. */
bool nbj__batch_on_reply(nbj__batch *b, nbj_bytes token, const nbj_msg *msg, nbj_time now);

/* The server has no permission for publishing to |subject|. */
void nbj__batch_on_refused(nbj__batch *b, nbj_bytes subject);
void nbj__batch_on_disconnected(nbj__batch *b);
void nbj__batch_on_connected(nbj__batch *b, nbj_time now);
void nbj__batch_on_writable(nbj__batch *b);
nbj_time nbj__batch_deadline(const nbj__batch *b);
void nbj__batch_on_time(nbj__batch *b, nbj_time now);
void nbj__batch_close(nbj__batch *b); /* the client is closed */

#endif
