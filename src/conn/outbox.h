/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on their way out. While connected they leave in order; when the connection is lost, publishes of which not
 * every octet was written stay, whole, for the next connection, and all others go, because the session renews them
 * itself. A publish whose last octet was written is gone: whether the server took it is unknown, and resending is the
 * business of who knows message ids. */
#ifndef NBJ_CONN_OUTBOX_H
#define NBJ_CONN_OUTBOX_H

#include "base/buf.h"
#include "wire/emit.h"

typedef struct nbj__outbox {
    nbj__buf buf;   /* begins with an operation */
    size_t written; /* octets at its front that the socket took: less than that operation's length */
    size_t limit;   /* for publishes; the rest of the buffer's limit is for control operations */
} nbj__outbox;

void nbj__outbox_init(nbj__outbox *o, const nbj_allocator *alloc, size_t limit);
void nbj__outbox_free(nbj__outbox *o);

/* Whether a publish fits when nothing else is there. */
bool nbj__outbox_can_hold(const nbj__outbox *o, const nbj__outgoing *m);

/* Adds a publish. NBJ_E_FULL: it would exceed the limit; NBJ_E_NOMEM. */
nbj_status nbj__outbox_publish(nbj__outbox *o, const nbj__outgoing *m);

/* Octets that wait. */
static inline size_t nbj__outbox_len(const nbj__outbox *o)
{
    return nbj__buf_len(&o->buf) - o->written;
}

/* What to write now. */
static inline nbj_bytes nbj__outbox_view(const nbj__outbox *o)
{
    nbj_bytes all = nbj__buf_view(&o->buf);

    return all.len > o->written ? nbj_view(all.ptr + o->written, all.len - o->written) : nbj_view(NULL, 0);
}

/* Adds an operation that nbj__emit_pub has encoded. */
nbj_status nbj__outbox_append(nbj__outbox *o, nbj_bytes frame);

void nbj__outbox_sent(nbj__outbox *o, size_t len);

/* The connection is lost: keeps the publishes, except those with a reply to |inbox| and a token that is not of a request:
 * their owners keep them, and send them again themselves. */
void nbj__outbox_rewind(nbj__outbox *o, nbj_bytes inbox);

/* Drops the operation of which some octets were written, if there is one. */
void nbj__outbox_drop_begun(nbj__outbox *o);

/* Drops publishes of more than |max| octets, which this server would end the connection for. Returns how many. */
size_t nbj__outbox_drop_larger(nbj__outbox *o, size_t max);

#endif
