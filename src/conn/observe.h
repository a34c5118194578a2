/* SPDX-License-Identifier: Apache-2.0 */
/* State machines seen from outside: each has a table of its legal transitions, which every change is held to, and an
 * observer that tests use to learn which of them were taken. */
#ifndef NBJ_CONN_OBSERVE_H
#define NBJ_CONN_OBSERVE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct nbj__transition {
    int from, to; /* from 0: the machine's beginning */
} nbj__transition;

typedef struct nbj__machine {
    const char *name;
    const nbj__transition *legal;
    size_t count;
} nbj__machine;

typedef struct nbj__observer {
    void (*transition)(void *ctx, const nbj__machine *machine, int from, int to);
    void *ctx;
} nbj__observer;

static inline bool nbj__transition_is_legal(const nbj__machine *m, int from, int to)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->legal[i].from == from && m->legal[i].to == to)
            return true;
    }
    return false;
}

/* Says that |m| goes |from| → |to|; |o| may be NULL. */
static inline void nbj__observe(const nbj__observer *o, const nbj__machine *m, int from, int to)
{
    assert(nbj__transition_is_legal(m, from, to));
    if (o != NULL)
        o->transition(o->ctx, m, from, to);
}

extern const nbj__machine nbj__link_machine;    /* nbj__link_phase */
extern const nbj__machine nbj__session_machine; /* nbj__phase */
extern const nbj__machine nbj__drain_machine;   /* nbj__drain_step */
extern const nbj__machine nbj__sub_machine;     /* nbj__sub_state */

#endif
