/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that wait for whoever reads them, oldest first. They are copied one behind the other into segments, so that a
 * waiting message holds no octets of others, costs no allocation of its own, and a whole segment can be handed to another
 * thread in one step. A large message gets a segment of its own that holds the chunk its octets arrived in. */
#ifndef NBJ_CONN_QUEUE_H
#define NBJ_CONN_QUEUE_H

#include "conn/msg.h"

typedef struct nbj__segment nbj__segment;

typedef struct nbj__queue {
    nbj__segment *first, *last;
} nbj__queue; /* zeroed: empty */

/* Adds a copy of |m|. NBJ_E_NOMEM leaves the queue as it was. */
nbj_status nbj__queue_push(nbj__queue *q, const nbj_msg *m);

/* A copy of |m| in a segment of its own, as small as it is; NULL: no memory. */
nbj_msg *nbj__msg_keep(const nbj_msg *m);

/* The oldest, to be released by the caller; NULL: none. */
nbj_msg *nbj__queue_take(nbj__queue *q);

/* The oldest segment; NULL: none. Its messages are walked with ->next; the caller frees it. */
nbj__segment *nbj__queue_take_segment(nbj__queue *q);
const nbj_msg *nbj__segment_first(const nbj__segment *s);
void nbj__segment_free(nbj__segment *s); /* messages of it that were retained stay */

static inline bool nbj__queue_is_empty(const nbj__queue *q)
{
    return q->first == NULL;
}

void nbj__queue_clear(nbj__queue *q);

#endif
