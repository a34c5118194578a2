/* SPDX-License-Identifier: Apache-2.0 */
/* Fast ingest (ADR-50): many messages into one stream, of which the server acknowledges every so many together. It is told
 * what to do by the reply subject of each message, "<inbox><id>.<flow>.<gaps>.<sequence>.<operation>.$FI", and answers
 * there.
 *
 * To its caller a bulk is one, whatever happens: messages are kept until they are known to be stored. To the server it is
 * one fast batch after the other: one that rests for a second is committed, which tells that all of it is stored; after a
 * loss, or when the server gave one up, another begins with the first message that is not known to be stored.
 *
 *   IDLE        nothing is under way                         → WAITING, STARTING, ENDED
 *   WAITING     for a connection, or for the time to begin   → STARTING, IDLE, ENDED
 *   STARTING    the first message was sent; no other before  → RUNNING, WAITING, ENDED
 *               its answer
 *   RUNNING     messages are sent as far as the server lets  → COMMITTING, WAITING, ENDED
 *   COMMITTING  the server was asked to end the batch, and   → WAITING (and on from there), ENDED
 *               will say how much of it is stored
 *   ENDED       final: |result| */
#ifndef NBJ_JS_INGEST_H
#define NBJ_JS_INGEST_H

#include "conn/session.h"
#include "js/batch_reply.h"
#include "js/ingest_window.h"

typedef enum nbj__ingest_state {
    NBJ__INGEST_IDLE = 1,
    NBJ__INGEST_WAITING,
    NBJ__INGEST_STARTING,
    NBJ__INGEST_RUNNING,
    NBJ__INGEST_COMMITTING,
    NBJ__INGEST_ENDED,
} nbj__ingest_state;

extern const nbj__machine nbj__ingest_machine;

typedef struct nbj__ingest_options {
    uint32_t flow;         /* messages that one acknowledgement is to be for; 0: 500, the most a server does; at most
                            * half of |max_messages| */
    uint32_t outstanding;  /* acknowledgements that may be awaited; 0: 2 */
    uint32_t max_messages; /* kept; 0: 4,096 */
    size_t max_bytes;      /* of their frames; 0: 16 MiB */
    uint64_t patience_ns;  /* without a word from the server, or without getting on; 0: 30 s */
    bool gaps_are_ok;      /* what the server loses is only counted */
} nbj__ingest_options;

typedef struct nbj__ingest_result {
    uint64_t added;
    uint64_t stored;   /* known to be stored */
    uint64_t lost;     /* with |gaps_are_ok|: the server says that it missed them */
    uint64_t refused;  /* likewise: messages that it did not take */
    uint64_t restarts; /* batches that did not end as they should */
    uint64_t message;  /* that |error| is about, from 1; 0: of none */
    nbj__pub_ack ack;  /* of the last batch that ended */
    nbj_error error;   /* status NBJ_OK: none; with |gaps_are_ok| that of the first message refused */
} nbj__ingest_result;

typedef struct nbj__ingest {
    nbj__session *session;
    nbj__ingest_options opt;
    const nbj__observer *observer;
    nbj__ingest_state state;
    nbj__ingest_window window;
    nbj__sub sub;   /* the replies of the present batch */
    uint32_t epoch; /* of the present batch */
    uint64_t base;  /* number of its first message */
    char id[NBJ__BATCH_ID];
    char prefix[NBJ__INBOX_MAX + 2 * NBJ__INBOX_NAME + 32]; /* of its replies, up to the sequence */
    size_t prefix_len;
    nbj__buf subject;                             /* of its first message */
    uint64_t allowed;                             /* its messages that may be sent */
    uint64_t each;                                /* messages that the next acknowledgement is for */
    uint64_t open_until, open_lost, open_refused; /* reported for it, and not behind its acknowledgement yet */
    bool asks_to_commit;                          /* RUNNING: as soon as it can be sent */
    bool is_failing;                              /* ends when the server has said how much is stored: |result.error| */
    bool is_finishing;
    bool had_nobody;   /* the last that was heard: no stream takes the subject */
    uint32_t refusals; /* in a row, without getting on */
    nbj_time stuck_since;
    nbj_time heard_at; /* when the server said something, or was first asked */
    nbj_time retry_at; /* WAITING; NBJ_TIME_NEVER: for a connection */
    nbj_time finish_due;
    nbj__ingest_result result;
} nbj__ingest;

/* |g| stays where it is until it is freed. */
nbj_status nbj__ingest_init(nbj__ingest *g, nbj__session *session, const nbj__ingest_options *o,
                            const nbj__observer *observer);
void nbj__ingest_free(nbj__ingest *g);

/* Adds |m|, whose reply is ours to set. NBJ_E_WOULD_BLOCK: the window is full; NBJ_E_STATE: it was finished;
 * once ENDED the status of its error; others as nbj__session_check. */
nbj_status nbj__ingest_add(nbj__ingest *g, const nbj__outgoing *m, nbj_time now);

/* A good part of the window is free, or it ended. */
bool nbj__ingest_has_room(const nbj__ingest *g);

/* ENDED follows when all is stored, or at |deadline|. */
void nbj__ingest_finish(nbj__ingest *g, nbj_time deadline, nbj_time now);

/* What is known until now. */
void nbj__ingest_progress(const nbj__ingest *g, nbj__ingest_result *out);

/* Events about |g->sub|; the server has no permission for publishing to |subject|; the connection; the time. */
void nbj__ingest_on_msg(nbj__ingest *g, const nbj_msg *msg, nbj_time now);
void nbj__ingest_on_sub_ended(nbj__ingest *g);
void nbj__ingest_on_refused(nbj__ingest *g, nbj_bytes subject);
void nbj__ingest_on_disconnected(nbj__ingest *g);
void nbj__ingest_on_connected(nbj__ingest *g, nbj_time now);
void nbj__ingest_on_writable(nbj__ingest *g, nbj_time now);
nbj_time nbj__ingest_deadline(const nbj__ingest *g);
void nbj__ingest_on_time(nbj__ingest *g, nbj_time now);
void nbj__ingest_close(nbj__ingest *g); /* the client is closed */

#endif
