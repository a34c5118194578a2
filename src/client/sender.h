/* SPDX-License-Identifier: Apache-2.0 */
/* What has messages under way beside the publish window, and a handle of its own: batches, bulks. A client has a list of
 * them; the session's events and the time come to each, and what is to be told to the program is told from here: at once
 * with a loop, on the callback thread with threads. */
#ifndef NBJ_CLIENT_SENDER_H
#define NBJ_CLIENT_SENDER_H

#include "client/client_int.h"
#include "js/publish_headers.h"

typedef struct nbj__sender nbj__sender;

typedef struct nbj__sender_kind {
    /* An event of the session. True: it was for this one alone. */
    bool (*on_event)(nbj__sender *s, const nbj__event *ev, nbj_time now);
    nbj_time (*deadline)(const nbj__sender *s);
    void (*on_time)(nbj__sender *s, nbj_time now);
    void (*drain)(nbj__sender *s);             /* the client does, and waits until it |is_idle| */
    bool (*is_idle)(const nbj__sender *s);     /* nothing is under way or to be told */
    bool (*has_to_tell)(const nbj__sender *s); /* the program's callback is due */
    void (*tell)(nbj__sender *s);              /* calls it, the lock let go (nbj__sender_may_tell) */
    void (*free)(nbj__sender *s);              /* what it holds, and its struct */
} nbj__sender_kind;

struct nbj__sender {
    const nbj__sender_kind *kind;
    nbj_client *client;
    nbj__node node;
    nbj__task task;
    unsigned depth; /* callbacks that run */
    atomic_bool released;
    bool free_after; /* it was released in its own callback */
};

/* Takes it into the client's list, with a hold on the client. */
void nbj__sender_begin(nbj__sender *s, nbj_client *c, const nbj__sender_kind *kind);

/* For the handle's release: with the lock, which it drops. */
void nbj__sender_release(nbj__sender *s);

/* Something changed outside of an event: the program is told if it |has_to_tell|. */
void nbj__sender_changed(nbj__sender *s);

/* Whether its callbacks still run; within tell. */
bool nbj__sender_may_tell(const nbj__sender *s);

#define NBJ__SENDER_HEADERS (64u + NBJ__PUBLISH_LINES_MAX) /* of one message */

/* What a message is made of, as long as it is not copied. */
typedef struct nbj__sender_room {
    nbj_header headers[NBJ__SENDER_HEADERS];
    nbj__publish_lines lines;
    nbj_schedule schedule;
} nbj__sender_room;

/* The message that the program means: its headers are the id, if it gives one, its own, and those that |o| stands for.
 * With the lock. *|feature| (may be NULL): the newest that they need of a server. NBJ_E_BAD_HEADER: too many; otherwise as
 * nbj__publish_lines_make, and |o->error| says more. */
nbj_status nbj__sender_message(const nbj_client *c, const nbj_publish_options *o, nbj__sender_room *room,
                               nbj__outgoing *m, nbj__feature *feature);

#endif
