/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ingest_window.h"

#include "wire/words.h"

#include <assert.h>

#define MESSAGES_MOST (1u << 20)
#define REPLY_ROOM 1024u

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;

    while (p < n && p < MESSAGES_MOST)
        p *= 2;
    return p;
}

nbj_status nbj__ingest_window_init(nbj__ingest_window *w, const nbj_allocator *alloc, uint32_t max_messages,
                                   size_t max_bytes)
{
    *w = (nbj__ingest_window){ .alloc = alloc, .cap = power_of_two(max_messages) };
    nbj__buf_init(&w->frames, alloc, max_bytes);
    nbj__buf_init(&w->scratch, alloc, max_bytes + REPLY_ROOM);
    w->ring = nbj__alloc0(alloc, w->cap * sizeof *w->ring);
    return w->ring != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__ingest_window_free(nbj__ingest_window *w)
{
    nbj__buf_free(&w->frames);
    nbj__buf_free(&w->scratch);
    nbj__free(w->alloc, w->ring, w->cap * sizeof *w->ring);
    *w = (nbj__ingest_window){ 0 };
}

nbj_status nbj__ingest_window_add(nbj__ingest_window *w, const nbj__outgoing *m, uint32_t epoch)
{
    size_t before = nbj__buf_len(&w->frames);

    if (w->tail - w->head == w->cap)
        return NBJ_E_WOULD_BLOCK;
    nbj_status st = nbj__emit_pub(&w->frames, m);
    if (st != NBJ_OK)
        return st == NBJ_E_FULL && !nbj__ingest_window_is_empty(w) ? NBJ_E_WOULD_BLOCK : st;
    w->ring[w->tail & (w->cap - 1)] = (nbj__ingest_entry){ .frame_len = nbj__buf_len(&w->frames) - before,
                                                           .size = nbj__outgoing_size(m),
                                                           .epoch = epoch };
    if (w->cursor == w->tail)
        w->cursor_offset = before;
    w->tail++;
    return NBJ_OK;
}

nbj_bytes nbj__ingest_window_frame(const nbj__ingest_window *w)
{
    assert(w->cursor < w->tail);
    return nbj_view(nbj__buf_view(&w->frames).ptr + w->cursor_offset, nbj__ingest_window_next(w)->frame_len);
}

/* Verb, subject, reply. */
static void split(nbj_bytes frame, nbj_bytes word[3])
{
    size_t n = nbj__split_blanks(frame, word, 3);

    assert(n == 3);
    (void)n;
}

nbj_bytes nbj__ingest_window_subject(const nbj__ingest_window *w)
{
    nbj_bytes word[3];

    split(nbj__ingest_window_frame(w), word);
    return word[1];
}

nbj_bytes nbj__ingest_window_frame_with(nbj__ingest_window *w, nbj_bytes reply)
{
    nbj_bytes frame = nbj__ingest_window_frame(w);
    nbj_bytes word[3];

    split(frame, word);
    size_t before = (size_t)(word[2].ptr - frame.ptr);
    size_t after = before + word[2].len;
    nbj__buf_clear(&w->scratch);
    bool whole = nbj__buf_append(&w->scratch, frame.ptr, before) == NBJ_OK &&
                 nbj__buf_append(&w->scratch, reply.ptr, reply.len) == NBJ_OK &&
                 nbj__buf_append(&w->scratch, frame.ptr + after, frame.len - after) == NBJ_OK;
    return whole ? nbj__buf_view(&w->scratch) : nbj_view(NULL, 0);
}

void nbj__ingest_window_sent(nbj__ingest_window *w)
{
    w->cursor_offset += nbj__ingest_window_next(w)->frame_len;
    w->cursor++;
}

void nbj__ingest_window_rewind(nbj__ingest_window *w)
{
    w->cursor = w->head;
    w->cursor_offset = 0;
}

void nbj__ingest_window_forget(nbj__ingest_window *w, uint64_t head)
{
    size_t len = 0;

    assert(head <= w->cursor);
    for (; w->head < head; w->head++)
        len += w->ring[w->head & (w->cap - 1)].frame_len;
    nbj__buf_consume(&w->frames, len);
    w->cursor_offset -= len;
}

bool nbj__ingest_window_has_room(const nbj__ingest_window *w)
{
    return w->tail - w->head <= w->cap / 2 && nbj__buf_len(&w->frames) <= w->frames.limit / 2;
}
