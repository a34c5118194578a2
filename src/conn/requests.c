/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/requests.h"

#include "base/canary.h"

#include <assert.h>

#define SLOT_BITS 20u /* a million requests at once */
#define GENERATION_BITS 28u
#define GENERATION_MASK ((1u << GENERATION_BITS) - 1)
#define FIRST_CAP 16u

void nbj__slots_init(nbj__slots *t, const nbj_allocator *alloc)
{
    *t = (nbj__slots){ .alloc = alloc };
}

void nbj__slots_free(nbj__slots *t)
{
    if (t->items != NULL)
        nbj__free(t->alloc, t->items, t->cap * sizeof *t->items);
    t->items = NULL;
    t->cap = t->used = t->first_free = 0;
}

static nbj_status grow(nbj__slots *t)
{
    uint32_t cap = t->cap > 0 ? t->cap * 2 : FIRST_CAP;

    if (cap > 1u << SLOT_BITS)
        return NBJ_E_FULL;
    nbj__slot *items = nbj__realloc(t->alloc, t->items, t->cap * sizeof *items, cap * sizeof *items);
    if (items == NULL)
        return NBJ_E_NOMEM;
    for (uint32_t i = t->cap; i < cap; i++)
        items[i] = (nbj__slot){ .next_free = i + 1 };
    t->items = items;
    t->first_free = t->cap; /* there was none, or the table would not grow */
    t->cap = cap;
    return NBJ_OK;
}

nbj_status nbj__slots_add(nbj__slots *t, nbj__call *call)
{
    if (t->first_free == t->cap) {
        nbj_status st = grow(t);
        if (st != NBJ_OK)
            return st;
    }
    call->slot = t->first_free;
    nbj__slot *s = &t->items[call->slot];
    t->first_free = s->next_free;
    s->call = call;
    t->used++;
    return NBJ_OK;
}

void nbj__slots_remove(nbj__slots *t, const nbj__call *call)
{
    nbj__slot *s = &t->items[call->slot];

    assert(s->call == call);
    s->call = NULL;
    s->generation = (s->generation + 1) & GENERATION_MASK;
    s->next_free = t->first_free;
    t->first_free = call->slot;
    t->used--;
}

static const char digits[65] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

void nbj__token_write(char *out, uint64_t value, size_t characters)
{
    for (size_t i = characters; i > 0; i--) {
        out[i - 1] = digits[value & 63];
        value >>= 6;
    }
}

/* One more than the digit's value, by octet; 0: it is none. */
static const uint8_t digit_plus_one[256] = {
    ['-'] = 63, ['_'] = 64, ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14,
    ['E'] = 15, ['F'] = 16, ['G'] = 17, ['H'] = 18, ['I'] = 19, ['J'] = 20, ['K'] = 21, ['L'] = 22,
    ['M'] = 23, ['N'] = 24, ['O'] = 25, ['P'] = 26, ['Q'] = 27, ['R'] = 28, ['S'] = 29, ['T'] = 30,
    ['U'] = 31, ['V'] = 32, ['W'] = 33, ['X'] = 34, ['Y'] = 35, ['Z'] = 36, ['a'] = 37, ['b'] = 38,
    ['c'] = 39, ['d'] = 40, ['e'] = 41, ['f'] = 42, ['g'] = 43, ['h'] = 44, ['i'] = 45, ['j'] = 46,
    ['k'] = 47, ['l'] = 48, ['m'] = 49, ['n'] = 50, ['o'] = 51, ['p'] = 52, ['q'] = 53, ['r'] = 54,
    ['s'] = 55, ['t'] = 56, ['u'] = 57, ['v'] = 58, ['w'] = 59, ['x'] = 60, ['y'] = 61, ['z'] = 62,
};

bool nbj__token_read(const uint8_t *in, size_t characters, uint64_t *value)
{
    uint64_t v = 0;
    bool bad = false;

    for (size_t i = 0; i < characters; i++) {
        uint64_t d = digit_plus_one[in[i]];
        bad |= d == 0;
        v = v << 6 | (d - 1);
    }
    if (!bad)
        *value = v;
    return !bad;
}

void nbj__slots_token(const nbj__slots *t, const nbj__call *call, char *out)
{
    uint64_t generation = t->items[call->slot].generation;

    out[0] = 'R';
    nbj__token_write(out + 1, generation << SLOT_BITS | call->slot, NBJ__TOKEN_LEN - 1);
}

nbj__call *nbj__slots_find(const nbj__slots *t, nbj_bytes token)
{
    uint64_t value = 0;

    if (token.len != NBJ__TOKEN_LEN || token.ptr[0] != 'R' ||
        !nbj__token_read(token.ptr + 1, NBJ__TOKEN_LEN - 1, &value))
        return NULL;
    uint64_t slot = value & ((1u << SLOT_BITS) - 1);
    if (slot >= t->cap)
        return NULL;
    if (t->items[slot].generation != value >> SLOT_BITS && !NBJ__CANARY(REPLY_GENERATION))
        return NULL;
    return t->items[slot].call;
}
