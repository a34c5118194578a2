/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on their way out. While connected they leave in order; when the connection is lost, publishes of which not
 * every octet was written stay, whole, for the next connection, and all others go, because the session renews them
 * itself. A publish whose last octet was written is gone: whether the server took it is unknown, and resending is the
 * business of who knows message ids.
 *
 * Two buffers take turns: what is being written is neither added to nor moved, so that one thread may write it while
 * others add to the other. */
#ifndef NBJ_CONN_OUTBOX_H
#define NBJ_CONN_OUTBOX_H

#include "base/buf.h"
#include "wire/emit.h"

typedef struct nbj__outbox {
    nbj__buf front; /* is being written; begins with an operation */
    nbj__buf back;  /* what was added since; whole operations, behind those of the front */
    size_t written; /* octets at the front that the socket took */
    size_t limit;   /* for publishes; the rest of a buffer's limit is for control operations */
} nbj__outbox;

void nbj__outbox_init(nbj__outbox *o, const nbj_allocator *alloc, size_t limit);
void nbj__outbox_free(nbj__outbox *o);

/* Whether a publish fits when nothing else is there. */
bool nbj__outbox_can_hold(const nbj__outbox *o, size_t len);

/* Octets of |m|'s operation, at most. */
size_t nbj__outbox_size_of(const nbj__outgoing *m);

/* Adds a publish. NBJ_E_FULL: it would exceed the limit; NBJ_E_NOMEM. */
nbj_status nbj__outbox_publish(nbj__outbox *o, const nbj__outgoing *m);

/* Whether the program may add a control operation: some room is kept for the session's own. */
bool nbj__outbox_has_control_room(const nbj__outbox *o);

/* Octets that wait. */
static inline size_t nbj__outbox_len(const nbj__outbox *o)
{
    return nbj__buf_len(&o->front) + nbj__buf_len(&o->back) - o->written;
}

/* What to write now; it stays where it is until nbj__outbox_sent, or a call below that speaks of a loss. */
nbj_bytes nbj__outbox_view(nbj__outbox *o);

/* Adds an operation that nbj__emit_pub has encoded. */
nbj_status nbj__outbox_append(nbj__outbox *o, nbj_bytes frame);

/* The socket took |len| octets of the view. */
void nbj__outbox_sent(nbj__outbox *o, size_t len);

/* The connection is lost: keeps the publishes, except those with a reply to |inbox| and a token that is not of a request:
 * their owners keep them, and send them again themselves. */
void nbj__outbox_rewind(nbj__outbox *o, nbj_bytes inbox);

/* Drops the operation of which some octets were written, if there is one. */
void nbj__outbox_drop_begun(nbj__outbox *o);

/* Drops publishes of more than |max| octets, which this server would end the connection for. Returns how many. */
size_t nbj__outbox_drop_larger(nbj__outbox *o, size_t max);

#endif
