/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a fast-ingest bulk that are not known to be stored: as frames, one behind the other, in the order in
 * which they were added. Their numbers count from 0. */
#ifndef NBJ_JS_INGEST_WINDOW_H
#define NBJ_JS_INGEST_WINDOW_H

#include "base/buf.h"
#include "wire/emit.h"

typedef struct nbj__ingest_entry {
    size_t frame_len;
    size_t size;    /* headers and payload */
    uint32_t epoch; /* of the batch that its reply subject is of */
} nbj__ingest_entry;

typedef struct nbj__ingest_window {
    const nbj_allocator *alloc;
    nbj__ingest_entry *ring;
    uint32_t cap;                /* a power of two */
    uint64_t head, tail, cursor; /* oldest kept, next free, next to send */
    nbj__buf frames;             /* of head … tail - 1 */
    size_t cursor_offset;        /* of the cursor's frame in |frames| */
    nbj__buf scratch;            /* a frame with another reply */
} nbj__ingest_window;

nbj_status nbj__ingest_window_init(nbj__ingest_window *w, const nbj_allocator *alloc, uint32_t max_messages,
                                   size_t max_bytes);
void nbj__ingest_window_free(nbj__ingest_window *w);

/* Adds a message with its reply of |epoch|. NBJ_E_WOULD_BLOCK: full; NBJ_E_FULL: too small for it; NBJ_E_NOMEM. */
nbj_status nbj__ingest_window_add(nbj__ingest_window *w, const nbj__outgoing *m, uint32_t epoch);

/* The cursor's message, which there is. */
static inline const nbj__ingest_entry *nbj__ingest_window_next(const nbj__ingest_window *w)
{
    return &w->ring[w->cursor & (w->cap - 1)];
}

/* Its frame as it is, or with |reply| in place of its own. Empty: no memory. */
nbj_bytes nbj__ingest_window_frame(const nbj__ingest_window *w);
nbj_bytes nbj__ingest_window_frame_with(nbj__ingest_window *w, nbj_bytes reply);
nbj_bytes nbj__ingest_window_subject(const nbj__ingest_window *w);

void nbj__ingest_window_sent(nbj__ingest_window *w);                  /* the cursor goes on */
void nbj__ingest_window_rewind(nbj__ingest_window *w);                /* … to the oldest */
void nbj__ingest_window_forget(nbj__ingest_window *w, uint64_t head); /* what lies before |head|, all of it sent */

static inline bool nbj__ingest_window_is_empty(const nbj__ingest_window *w)
{
    return w->head == w->tail;
}

/* A good part of it is free. */
bool nbj__ingest_window_has_room(const nbj__ingest_window *w);

#endif
