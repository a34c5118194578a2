/* SPDX-License-Identifier: Apache-2.0 */
#include "base/chunk.h"

nbj__chunk *nbj__chunk_new(const nbj_allocator *alloc, size_t cap)
{
    nbj__chunk *c = nbj__alloc(alloc, sizeof *c + cap);

    if (c == NULL)
        return NULL;
    c->alloc = alloc;
    atomic_init(&c->refs, 1);
    c->cap = cap;
    c->under = NULL;
    return c;
}

void nbj__chunk_release(nbj__chunk *c)
{
    while (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        nbj__chunk *under = c->under;
        nbj__free(c->alloc, c, sizeof *c + c->cap);
        c = under;
    }
}
