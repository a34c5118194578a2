/* SPDX-License-Identifier: Apache-2.0 */
/* What the window's files share: publish.c sends, publish_answers.c ends. */
#ifndef NBJ_JS_PUBLISH_INT_H
#define NBJ_JS_PUBLISH_INT_H

#include "js/publish.h"

#include "base/canary.h"
#include "wire/words.h"

#include <assert.h>

#define NBJ__PUBLISH_TOKEN 9u /* 'P' and 8 characters of 6 bits */
#define NBJ__PUBLISH_SLOT_BITS 20u
#define NBJ__PUBLISH_GENERATIONS (1u << 28)

static inline nbj__publish_entry *nbj__publish_entry_at(const nbj__publisher *p, uint64_t n)
{
    return &p->ring[n & p->mask];
}

static inline void nbj__publish_set_state(nbj__publisher *p, nbj__publish_entry *e, nbj__publish_state to)
{
    nbj__observe(p->observer, &nbj__publish_machine, (int)e->state, (int)to);
    if (e->ordered) {
        p->ordered_sent += (size_t)(to == NBJ__PUBLISH_SENT) - (size_t)(e->state == NBJ__PUBLISH_SENT);
        p->ordered_paused += (size_t)(to == NBJ__PUBLISH_PAUSED) - (size_t)(e->state == NBJ__PUBLISH_PAUSED);
    }
    e->state = to;
}

static inline nbj_bytes nbj__publish_frame(const nbj__publisher *p, size_t offset, const nbj__publish_entry *e)
{
    return nbj_view(nbj__buf_view(&p->frames).ptr + offset, e->frame_len);
}

static inline nbj_bytes nbj__publish_subject(const nbj__publisher *p, size_t offset, const nbj__publish_entry *e)
{
    nbj_bytes word[2]; /* the verb and the subject */
    size_t n = nbj__split_blanks(nbj__publish_frame(p, offset, e), word, 2);

    assert(n == 2);
    (void)n;
    return word[1];
}

/* Transmissions that may have been stored: all but those that were refused. */
static inline uint32_t nbj__publish_in_doubt(const nbj__publish_entry *e)
{
    return e->sends - e->refusals;
}

/* Sent in vain so far as we know, and an ordered message behind it is, or may be, stored: sent again it might land behind that. */
static inline bool nbj__publish_is_overtaken(const nbj__publisher *p, const nbj__publish_entry *e, uint64_t n)
{
    return e->ordered && e->sends > 0 && (e->overtaken || n < p->ordered_stored) && !NBJ__CANARY(JS_ORDER_SWAPPED);
}

/* An ordered message before it failed. */
static inline bool nbj__publish_is_cut_off(const nbj__publisher *p, const nbj__publish_entry *e, uint64_t n)
{
    return e->ordered && p->is_stopped && n > p->stopped_at && !NBJ__CANARY(JS_ORDER_GAP);
}

/* Ends message |n| and fills |r| but for its acknowledgement or error. */
void nbj__publish_finish(nbj__publisher *p, uint64_t n, nbj__publish_outcome outcome, nbj__publish_result *r);

/* Ends it without the stream's word on it. */
void nbj__publish_give_up(nbj__publisher *p, uint64_t n, nbj_status status, const char *text, nbj__publish_result *r);

#endif
