/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "alloc_fail.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MAX 100000 /* a scenario that allocates more never ends */

/* In front of each block. The mark tells ours from foreign or freed ones. */
typedef struct header {
    size_t size;
    uint64_t mark;
    max_align_t data[];
} header;

#define MARK_LIVE UINT64_C(0x6c6976652d6e626a)
#define MARK_DEAD UINT64_C(0x646561642d6e626a)

/* Whether the allocation being asked for is to fail. Under the lock. */
static bool refuse(ts_alloc *a)
{
    size_t n = a->calls++;
    bool no = n == a->fail_at || (a->fail_after && n > a->fail_at);

    a->failed += no;
    return no;
}

static void account(ts_alloc *a, size_t size)
{
    a->live_blocks++;
    a->live_bytes += size;
    if (a->live_bytes > a->peak_bytes)
        a->peak_bytes = a->live_bytes;
}

static void *new_block(ts_alloc *a, size_t size)
{
    header *h = refuse(a) ? NULL : malloc(sizeof *h + size);

    if (h == NULL)
        return NULL;
    *h = (header){ .size = size, .mark = MARK_LIVE };
    memset(h->data, 0xa5, size); /* so that nobody relies on zeroes */
    account(a, size);
    return h->data;
}

static void drop_block(ts_alloc *a, void *ptr, size_t size)
{
    header *h = (header *)((char *)ptr - offsetof(header, data));

    if (h->mark != MARK_LIVE || h->size != size) {
        fprintf(stderr, "allocator: block of %zu octets (mark %llx) given back with size %zu\n", h->size,
                (unsigned long long)h->mark, size);
        abort();
    }
    a->live_blocks--;
    a->live_bytes -= size;
    memset(h->data, 0x5a, size);
    h->mark = MARK_DEAD;
    free(h);
}

static void *do_alloc(void *ctx, size_t size)
{
    ts_alloc *a = ctx;

    pthread_mutex_lock(&a->lock);
    void *p = new_block(a, size);
    pthread_mutex_unlock(&a->lock);
    return p;
}

static void *do_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    ts_alloc *a = ctx;

    pthread_mutex_lock(&a->lock);
    void *p = new_block(a, new_size); /* always moves, so that stale pointers are found */
    if (p != NULL) {
        memcpy(p, ptr, old_size < new_size ? old_size : new_size);
        drop_block(a, ptr, old_size);
    }
    pthread_mutex_unlock(&a->lock);
    return p;
}

static void do_free(void *ctx, void *ptr, size_t size)
{
    ts_alloc *a = ctx;

    pthread_mutex_lock(&a->lock);
    drop_block(a, ptr, size);
    pthread_mutex_unlock(&a->lock);
}

void ts_alloc_init(ts_alloc *a, size_t fail_at, bool fail_after)
{
    *a = (ts_alloc){ .allocator = { do_alloc, do_realloc, do_free, a }, .fail_at = fail_at, .fail_after = fail_after };
    pthread_mutex_init(&a->lock, NULL);
}

void ts_alloc_done(ts_alloc *a)
{
    pthread_mutex_destroy(&a->lock);
    if (a->live_blocks != 0)
        TS_FAIL("%zu blocks of %zu octets leaked, after allocation %zu was refused", a->live_blocks, a->live_bytes,
                a->fail_at);
}

/* One run. Returns whether the scenario got as far as the allocation to refuse. */
static bool sweep_once(ts_sweep_fn fn, void *ctx, size_t fail_at, bool fail_after)
{
    ts_alloc a;

    ts_alloc_init(&a, fail_at, fail_after);
    nbj_status got = fn(&a.allocator, ctx);
    nbj_status want = a.failed > 0 ? NBJ_E_NOMEM : NBJ_OK;
    if (got != want)
        TS_FAIL("status %d instead of %d with allocation %zu%s refused", got, want, fail_at,
                fail_after ? " and all later ones" : "");
    ts_alloc_done(&a);
    return a.failed > 0;
}

size_t alloc_sweep(ts_sweep_fn fn, void *ctx)
{
    size_t n = 0;

    while (sweep_once(fn, ctx, n, false)) {
        sweep_once(fn, ctx, n, true);
        if (++n > SWEEP_MAX)
            TS_FAIL("no end after %d allocations", SWEEP_MAX);
    }
    return n;
}
