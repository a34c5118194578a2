/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing with acknowledgement: a window of messages, each kept until its outcome is known.
 *
 * The window is a ring in publish order. A message is
 *
 *   WAITING   not sent on this connection           → SENT, DONE (its deadline: not sent, or unknown if sent before)
 *   SENT      its acknowledgement may come          → DONE, WAITING (connection lost), PAUSED (nobody answered: 503, 429)
 *   PAUSED    to be sent again at a time            → SENT, WAITING (connection lost), DONE
 *   DONE      its outcome was said; the ring moves on when all before it are done
 *
 * Messages are sent in ring order; after a loss all that are not done are sent again, in that order, each with the message
 * id it had. The reply subject's token names the ring place and its generation, so that a late acknowledgement never
 * completes another message.
 *
 * Ordered messages keep their order also when they are refused for now: behind one that is PAUSED nothing is sent, and
 * paused ones go on in ring order when all behind them are answered. One that might then land behind another is not sent
 * again. The first that fails stops them all: no ordered one behind it is sent (again).
 *
 * What the window would like to know of streams it only notes; publish_ask.h asks. */
#ifndef NBJ_JS_PUBLISH_H
#define NBJ_JS_PUBLISH_H

#include "conn/session.h"
#include "js/gate.h"
#include "js/publish_streams.h"
#include "js/template.h"

#include <nbj/publish.h>

typedef enum nbj__publish_state {
    NBJ__PUBLISH_WAITING = 1,
    NBJ__PUBLISH_SENT,
    NBJ__PUBLISH_PAUSED,
    NBJ__PUBLISH_DONE,
} nbj__publish_state;

extern const nbj__machine nbj__publish_machine;

typedef enum nbj__publish_outcome {
    NBJ__STORED = 1,
    NBJ__DUPLICATE, /* the first transmission was answered so: its id had been stored before */
    NBJ__REJECTED,  /* not stored, |error| says why */
    NBJ__UNKNOWN,   /* may be stored */
} nbj__publish_outcome;

/* Whom to tell: an opaque function and its data, handed back in the result. */
typedef struct nbj__publish_user {
    void (*fn)(void);
    void *data;
} nbj__publish_user;

typedef struct nbj__publish_entry {
    nbj__publish_state state;
    uint32_t generation;
    uint32_t sends;    /* how often it was written */
    uint32_t refusals; /* how often it was answered "not now" (503, 429): certainly not stored by that transmission */
    uint32_t retries;  /* how often that may be */
    uint8_t feature;   /* nbj__feature that a server must have for it */
    bool has_id;
    bool ordered : 1;
    bool counts : 1;    /* the acknowledgement has a counter's total */
    bool hopeless : 1;  /* JetStream says that no stream takes its subject */
    bool overtaken : 1; /* ordered: it surely is not stored, but one behind it may be */
    size_t frame_len;
    size_t size; /* headers and payload */
    nbj_time deadline;
    nbj_time first_sent;
    nbj_time retry_at; /* PAUSED */
    uint64_t retry_ns;
    nbj__publish_user user;
} nbj__publish_entry;

typedef struct nbj__publish_options {
    uint32_t max_messages;     /* 0: 4,096; at most 1,048,576 */
    size_t max_bytes;          /* of frames that are kept; 0: 64 MiB */
    uint64_t resend_within_ns; /* 0: half of the stream's duplicate window */
} nbj__publish_options;

typedef struct nbj__publisher {
    nbj__session *session;
    nbj__publish_options opt;
    const nbj__observer *observer;
    nbj__publish_entry *ring;
    uint64_t mask; /* of the ring's places: a power of two, less one */
    uint64_t head, tail,
        cursor;           /* counts from the beginning: oldest kept, next free, next to send; head <= cursor <= tail */
    nbj__buf frames;      /* of head … tail - 1, one behind the other */
    size_t cursor_offset; /* of the cursor's frame in |frames| */
    size_t open;          /* messages without an outcome */
    size_t told_messages; /* outcomes whose callbacks have not run, kept by whoever tells them: they take room, too … */
    size_t told_bytes;    /* … as their messages did */
    nbj_time due;         /* no deadline or retry lies before it */
    nbj_time connected_at;
    char id_prefix[13];
    uint64_t last_id;
    nbj__template usual; /* for the subject of the last message without headers */
    nbj__publish_streams streams;
    bool wants_windows;      /* some stream was not asked for its duplicate window */
    bool wants_lookup;       /* whether any stream takes the subject of … */
    uint64_t lookup;         /* … this message */
    bool is_stopped;         /* an ordered message failed … */
    uint64_t stopped_at;     /* … this one; none behind it is sent */
    uint64_t ordered_stored; /* one past the last ordered message that is, or may be, stored */
    size_t ordered_open, ordered_sent, ordered_paused; /* those without an outcome; of them in that state */
} nbj__publisher;

typedef struct nbj__publish {
    nbj__outgoing msg;      /* its reply is ours to set */
    nbj_bytes msg_id;       /* empty: one is made */
    const nbj_header *more; /* headers that options stand for; none has the name of one in |msg| */
    size_t more_count;
    bool no_id;   /* none is made */
    bool no_tell; /* somebody waits for its outcome, which takes no room */
    bool ordered;
    bool counts;
    uint8_t feature;   /* nbj__feature */
    uint32_t retries;  /* 0: two; or NBJ_RETRIES_… */
    uint64_t retry_ns; /* 0: 250 ms */
    nbj_time deadline;
    nbj__publish_user user;
} nbj__publish;

typedef struct nbj__publish_result {
    nbj__publish_user user;
    nbj__publish_outcome outcome;
    size_t bytes;     /* that its message took */
    nbj__pub_ack ack; /* STORED, DUPLICATE */
    nbj_error error;  /* REJECTED, UNKNOWN */
} nbj__publish_result;

nbj_status nbj__publisher_init(nbj__publisher *p, nbj__session *session, const nbj__publish_options *o,
                               const nbj__observer *observer);
void nbj__publisher_free(nbj__publisher *p);

/* NBJ_OK: exactly one result follows. NBJ_E_WOULD_BLOCK: the window is full; NBJ_E_FULL: it is too small for this message;
 * NBJ_E_ORDER: an ordered one failed; NBJ_E_BAD_HEADER: too many, or two ids. Others as nbj__session_check. */
nbj_status nbj__publisher_publish(nbj__publisher *p, const nbj__publish *m, nbj_time now);

static inline bool nbj__publisher_is_idle(const nbj__publisher *p)
{
    return p->head == p->tail;
}

/* Messages without an outcome. */
static inline size_t nbj__publisher_unfinished(const nbj__publisher *p)
{
    return p->open;
}

/* Goes through the messages without an outcome, in order: begins zeroed. */
typedef struct nbj__publish_place {
    uint64_t n;
    size_t offset; /* of its frame */
    const nbj__publish_entry *entry;
} nbj__publish_place;

bool nbj__publisher_next(const nbj__publisher *p, nbj__publish_place *at); /* false: that was the last */
nbj_bytes nbj__publisher_subject(const nbj__publisher *p, const nbj__publish_place *at);

/* Ordered messages may pass again. NBJ_E_STATE: some have no outcome yet. */
nbj_status nbj__publisher_resume(nbj__publisher *p);

/* No stream takes |subject|: those that only wait for one to come up end. */
void nbj__publisher_on_no_stream(nbj__publisher *p, nbj_bytes subject);

/* An EV_INBOX with our token. True: |result| is filled. */
bool nbj__publisher_on_reply(nbj__publisher *p, nbj_bytes token, const nbj_msg *msg, nbj_time now,
                             nbj__publish_result *result);

/* The server has no permission for publishing to |subject|: that was the oldest message to it. True: |result|. */
bool nbj__publisher_on_refused(nbj__publisher *p, nbj_bytes subject, nbj__publish_result *result);

void nbj__publisher_on_disconnected(nbj__publisher *p);
void nbj__publisher_on_connected(nbj__publisher *p, nbj_time now);
void nbj__publisher_send(nbj__publisher *p, nbj_time now); /* sends what waits; after WRITABLE */

/* When nbj__publisher_on_time is to be called. */
nbj_time nbj__publisher_deadline(const nbj__publisher *p);

/* Takes the next message whose time is over, with its result; false: none. Also continues paused ones. */
bool nbj__publisher_on_time(nbj__publisher *p, nbj_time now, nbj__publish_result *result);

/* Takes the next message without an outcome, when the client is closed; false: none is left. */
bool nbj__publisher_abandon(nbj__publisher *p, nbj__publish_result *result);

#endif
