/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time: a heap of events that jumps from one to the next. Events of the same instant run in an order
 * drawn from the seed, so that no test depends on insertion order; the same seed repeats it exactly. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

#define SIM_NEVER UINT64_MAX
#define SIM_US 1000u
#define SIM_MS 1000000u
#define SIM_S 1000000000u

typedef void world_action(void *owner, uint64_t argument);

typedef struct world_event {
    uint64_t at, tie, id;
    world_action *action;
    void *owner;
    uint64_t argument;
} world_event;

typedef struct world {
    uint64_t now;
    uint64_t events; /* run so far */
    uint64_t next_id;
    rng ties;
    world_event *heap;
    size_t count, cap;
} world;

void world_init(world *w, uint64_t seed, uint64_t start);
void world_free(world *w);
/* Runs |action| at |at| (at once where that is past). The id is only for world_cancel; never 0. */
uint64_t world_at(world *w, uint64_t at, world_action *action, void *owner, uint64_t argument);
void world_cancel(world *w, uint64_t id); /* unknown or already run: nothing happens */
void world_cancel_owner(world *w, const void *owner);
uint64_t world_peek(const world *w); /* time of the next event or SIM_NEVER */
bool world_step(world *w);           /* jumps to the next event and runs it; false: none left */

#endif
