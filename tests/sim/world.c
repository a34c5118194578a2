/* SPDX-License-Identifier: Apache-2.0 */
/* The event heap behind virtual time: see world.h. */
#include "world.h"

#include <stdlib.h>

#include "buf.h"

void world_init(world *w, uint64_t seed, uint64_t start)
{
    *w = (world){ .now = start, .next_id = 1, .ties = rng_for(seed, "world") };
}

void world_free(world *w)
{
    free(w->heap);
    *w = (world){ 0 };
}

static bool before(const world_event *a, const world_event *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->tie != b->tie ? a->tie < b->tie : a->id < b->id;
}

static void swap(world_event *a, world_event *b)
{
    world_event t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(world *w, size_t i)
{
    for (; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static void sift_down(world *w, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1;
        if (left < w->count && before(&w->heap[left], &w->heap[least]))
            least = left;
        if (left + 1 < w->count && before(&w->heap[left + 1], &w->heap[least]))
            least = left + 1;
        if (least == i)
            return;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

uint64_t world_at(world *w, uint64_t at, world_action *action, void *owner, uint64_t argument)
{
    w->heap = sim_grow(w->heap, w->count, &w->cap, sizeof *w->heap);
    w->heap[w->count] = (world_event){ .at = at > w->now ? at : w->now,
                                       .tie = rng_next(&w->ties),
                                       .id = w->next_id,
                                       .action = action,
                                       .owner = owner,
                                       .argument = argument };
    sift_up(w, w->count++);
    return w->next_id++;
}

static void remove_at(world *w, size_t i)
{
    w->heap[i] = w->heap[--w->count];
    if (i < w->count) {
        sift_down(w, i);
        sift_up(w, i);
    }
}

void world_cancel(world *w, uint64_t id)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->heap[i].id == id) {
            remove_at(w, i);
            return;
        }
}

void world_cancel_owner(world *w, const void *owner)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->heap[i].owner != owner)
            w->heap[kept++] = w->heap[i];
    w->count = kept;
    for (size_t i = kept / 2; i-- > 0;)
        sift_down(w, i);
}

uint64_t world_peek(const world *w)
{
    return w->count > 0 ? w->heap[0].at : SIM_NEVER;
}

bool world_step(world *w)
{
    if (w->count == 0)
        return false;
    world_event e = w->heap[0];
    remove_at(w, 0);
    w->now = e.at;
    w->events++;
    e.action(e.owner, e.argument);
    return true;
}
