/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions: the table by sid, what is renewed after a reconnect, and the queue of those that are read instead of
 * called back. A subscription is embedded in its owner's struct; the table holds it from subscribe until it has ended.
 *
 * The life of one: LIVE → (DRAINING: UNSUB was sent, messages on their way still come) → ENDED. */
#ifndef NBJ_CONN_SUBS_H
#define NBJ_CONN_SUBS_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "conn/observe.h"
#include "conn/queue.h"

#include <stdbool.h>

typedef enum nbj__sub_state {
    NBJ__SUB_LIVE = 1, /* DRAINING, ENDED */
    NBJ__SUB_DRAINING, /* ENDED when the PONG behind its UNSUB came, or the connection went */
    NBJ__SUB_ENDED,    /* final: no message comes any more */
} nbj__sub_state;

typedef enum nbj__sub_kind {
    NBJ__SUB_OF_APP = 1,  /* messages are events for the application */
    NBJ__SUB_OF_JS,       /* … for the JetStream layer */
    NBJ__SUB_OF_REQUESTS, /* the wildcard inbox of all requests */
    NBJ__SUB_OF_MANY,     /* the inbox of one request with many replies */
} nbj__sub_kind;

typedef struct nbj__sub {
    nbj__sub_kind kind;
    bool queued; /* messages wait in |queue| until they are taken */
    nbj__sub_state state;
    uint64_t sid;
    char *subject, *queue_group; /* the latter NULL: none */
    uint64_t max;                /* ends after so many messages; 0: never */
    uint64_t delivered;          /* messages received for it */
    uint64_t delivered_before;   /* those of former connections */
    uint64_t barrier;            /* DRAINING: the PONG that ends it; 0 while its PING could not be sent */
    nbj_status why;              /* ENDED: NBJ_OK, or the server's refusal */
    nbj__node node;              /* in the table's order of subscribing */
    nbj__queue queue;
    size_t queue_msgs, queue_bytes; /* in |queue|, and taken out of it to be handled */
    size_t limit_msgs, limit_bytes;
    uint64_t dropped; /* because the queue was full */
    bool is_slow;     /* within an episode of dropping */
} nbj__sub;

typedef struct nbj__subs {
    const nbj_allocator *alloc;
    const nbj__observer *observer; /* NULL: none */
    nbj__map by_sid;
    nbj__list all;
    uint64_t last_sid;
} nbj__subs;

void nbj__subs_init(nbj__subs *t, const nbj_allocator *alloc, const nbj__observer *observer);
void nbj__subs_free(nbj__subs *t); /* with no subscription in it */

/* Takes |sub| in under a new sid. Its kind, limits and max are set. NBJ_E_NOMEM leaves it untouched. */
nbj_status nbj__subs_add(nbj__subs *t, nbj__sub *sub, nbj_bytes subject, nbj_bytes queue_group);
void nbj__subs_drain(nbj__subs *t, nbj__sub *sub);  /* LIVE → DRAINING */
void nbj__subs_remove(nbj__subs *t, nbj__sub *sub); /* → ENDED; its queue stays */

/* Gives back what the table allocated for a sub that is not in it any more, and messages that wait in its queue. */
void nbj__sub_clear(nbj__subs *t, nbj__sub *sub);

static inline nbj__sub *nbj__subs_get(const nbj__subs *t, uint64_t sid)
{
    return (nbj__sub *)nbj__map_get(&t->by_sid, sid);
}

nbj__sub *nbj__subs_first(const nbj__subs *t);
nbj__sub *nbj__subs_after(const nbj__subs *t, const nbj__sub *sub);

/* The live one that a permission error speaks of, with names as a server quotes them; NULL: none. */
nbj__sub *nbj__subs_find(const nbj__subs *t, nbj_bytes subject, nbj_bytes queue_group);

/* Writes SUB, and UNSUB with what is left of its maximum, for a new connection. */
nbj_status nbj__sub_renew(nbj__sub *sub, nbj__buf *out);

typedef enum nbj__queue_result {
    NBJ__QUEUED = 1,
    NBJ__QUEUED_FIRST,
    NBJ__DROPPED,
    NBJ__DROPPED_FIRST
} nbj__queue_result;

/* Puts a copy of |msg| into the queue, or drops it: when it is full, or without memory. FIRST: the queue was empty, or an
 * episode of dropping begins. */
nbj__queue_result nbj__sub_enqueue(nbj__sub *sub, const nbj_msg *msg);
nbj_msg *nbj__sub_take(nbj__sub *sub); /* the oldest, now the caller's; NULL: none */

nbj__queue nbj__sub_take_all(
    nbj__sub *sub); /* they count as waiting until they are subtracted from queue_msgs, …_bytes */

#endif
