/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded queue of octets: base/buf.h. */
#include "base/buf.h"

#include "base/random.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define MODEL_MAX 70000u

/* The obvious version: an array that everything is moved in. */
typedef struct model {
    uint8_t octets[MODEL_MAX];
    size_t len, limit;
    uint8_t next; /* octets are numbered in the order they come */
} model;

static bool model_has_room(const model *m, size_t len)
{
    return m->len + len <= m->limit;
}

static void model_append(model *m, const uint8_t *from, size_t len)
{
    memcpy(m->octets + m->len, from, len);
    m->len += len;
}

static void model_consume(model *m, size_t len)
{
    m->len -= len;
    memmove(m->octets, m->octets + len, m->len);
}

static void check_same(const nbj__buf *b, const model *m)
{
    nbj_bytes v = nbj__buf_view(b);

    assert_int_equal(nbj__buf_len(b), m->len);
    assert_int_equal(v.len, m->len);
    assert_true(m->len == 0 || memcmp(v.ptr, m->octets, m->len) == 0);
    assert_true(b->cap <= 2 * m->limit);
}

static void random_append(nbj__buf *b, model *m, nbj__random *r, bool reserved)
{
    uint8_t octets[4096];
    size_t len = (size_t)nbj__random_below(r, nbj__random_below(r, 8) == 0 ? sizeof octets : 40) + (reserved ? 1 : 0);
    size_t used = reserved ? (size_t)nbj__random_below(r, len + 1) : len;
    uint8_t *at = NULL;

    for (size_t i = 0; i < len; i++)
        octets[i] = m->next++;
    nbj_status want = model_has_room(m, len) ? NBJ_OK : NBJ_E_FULL;
    nbj_status got = reserved ? nbj__buf_reserve(b, len, &at) : nbj__buf_append(b, octets, len);
    assert_int_equal(got, want);
    if (got != NBJ_OK)
        return;
    if (reserved) {
        memcpy(at, octets, len);
        nbj__buf_commit(b, used);
    }
    model_append(m, octets, used);
}

static void run_model(size_t limit, uint64_t seed)
{
    ts_alloc a;
    nbj__buf b;
    nbj__random r = { seed };
    model *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->limit = limit;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    nbj__buf_init(&b, &a.allocator, limit);
    for (int step = 0; step < 4000; step++) {
        uint64_t what = nbj__random_below(&r, 100);
        size_t some = (size_t)nbj__random_below(&r, m->len + 1);
        if (what < 55) {
            random_append(&b, m, &r, what < 20);
        } else if (what < 98) {
            nbj__buf_consume(&b, some);
            model_consume(m, some);
        } else {
            nbj__buf_clear(&b);
            m->len = 0;
        }
        check_same(&b, m);
    }
    nbj__buf_free(&b);
    ts_alloc_done(&a);
    free(m);
}

static void test_against_a_model(void **state)
{
    (void)state;
    static const size_t limits[] = { 1, 2, 17, 100, 4095, 4096, 4097, 9000, 65536 };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        run_model(limits[i], i + 1);
}

static void test_limit(void **state)
{
    (void)state;
    nbj__buf b;
    uint8_t *at = NULL;
    nbj__buf_init(&b, &nbj__malloc_allocator, 10);
    assert_int_equal(nbj__buf_append(&b, "0123456789", 10), NBJ_OK);
    assert_int_equal(nbj__buf_append(&b, "x", 1), NBJ_E_FULL);
    assert_int_equal(nbj__buf_append(&b, "x", 0), NBJ_OK);
    nbj__buf_consume(&b, 3);
    assert_int_equal(nbj__buf_append(&b, "abcd", 4), NBJ_E_FULL);
    assert_int_equal(nbj__buf_reserve(&b, 4, &at), NBJ_E_FULL);
    assert_int_equal(nbj__buf_append(&b, "abc", 3), NBJ_OK);
    assert_memory_equal(nbj__buf_view(&b).ptr, "3456789abc", 10);
    /* sums that wrap are over the limit too */
    assert_int_equal(nbj__buf_reserve(&b, SIZE_MAX, &at), NBJ_E_FULL);
    assert_int_equal(nbj__buf_reserve(&b, SIZE_MAX - 5, &at), NBJ_E_FULL);
    assert_null(at);
    nbj__buf_free(&b);
}

static void test_empty(void **state)
{
    (void)state;
    nbj__buf b;
    nbj__buf zeroed = { 0 };
    nbj__buf_init(&b, &nbj__malloc_allocator, 10);
    assert_int_equal(nbj__buf_len(&b), 0);
    assert_null(nbj__buf_view(&b).ptr);
    nbj__buf_consume(&b, 0);
    nbj__buf_clear(&b);
    nbj__buf_free(&b);
    nbj__buf_free(&b);
    nbj__buf_free(&zeroed);
}

/* Growing costs a logarithmic number of allocations, and the memory stays within twice the limit. */
static void test_growth(void **state)
{
    (void)state;
    ts_alloc a;
    nbj__buf b;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    nbj__buf_init(&b, &a.allocator, 1u << 20);
    for (size_t i = 0; i < 1u << 20; i++)
        assert_int_equal(nbj__buf_append(&b, "x", 1), NBJ_OK);
    assert_true(a.calls <= 9); /* 4 KiB doubled to 1 MiB */
    assert_true(b.cap <= 2u << 20);
    nbj__buf_free(&b);
    ts_alloc_done(&a);
}

/* Octets that pass through a buffer that never gets empty: the room in front is used again. */
static void test_passing_through_needs_no_growth(void **state)
{
    (void)state;
    ts_alloc a;
    nbj__buf b;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    nbj__buf_init(&b, &a.allocator, 1u << 20);
    assert_int_equal(nbj__buf_append(&b, "0123456789", 10), NBJ_OK);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(nbj__buf_append(&b, "abcdefgh", 8), NBJ_OK);
        nbj__buf_consume(&b, 8);
    }
    assert_int_equal(a.calls, 1);
    assert_memory_equal(nbj__buf_view(&b).ptr, "ghabcdefgh", 10);
    nbj__buf_free(&b);
    ts_alloc_done(&a);
}

static void test_memory_of_a_burst_is_given_back(void **state)
{
    (void)state;
    ts_alloc a;
    nbj__buf b;
    uint8_t *at = NULL;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    nbj__buf_init(&b, &a.allocator, 1u << 20);
    assert_int_equal(nbj__buf_append(&b, "small", 5), NBJ_OK);
    nbj__buf_consume(&b, 5);
    assert_true(a.live_bytes > 0); /* a usual size is kept */
    assert_int_equal(nbj__buf_reserve(&b, 600000, &at), NBJ_OK);
    memset(at, 'x', 600000);
    nbj__buf_commit(&b, 600000);
    nbj__buf_consume(&b, 599999);
    assert_true(a.live_bytes >= 600000);
    nbj__buf_consume(&b, 1);
    assert_true(a.live_bytes >= 600000); /* the next burst may follow at once */
    for (int i = 0; i < 8; i++) {
        assert_true(a.live_bytes >= 600000);
        assert_int_equal(nbj__buf_append(&b, "quiet", 5), NBJ_OK);
        nbj__buf_consume(&b, 5);
    }
    assert_int_equal(a.live_bytes, 0);
    assert_int_equal(nbj__buf_append(&b, "again", 5), NBJ_OK);
    nbj__buf_free(&b);
    ts_alloc_done(&a);
}

static nbj_status grow_thrice(const nbj_allocator *alloc, void *ctx)
{
    nbj__buf b;
    nbj_status st = NBJ_OK;
    char octets[5000];

    (void)ctx;
    memset(octets, 'x', sizeof octets);
    nbj__buf_init(&b, alloc, 1u << 20);
    for (size_t n = 0; n < 3 && st == NBJ_OK; n++) {
        st = nbj__buf_append(&b, octets, sizeof octets);
        assert_int_equal(nbj__buf_len(&b), (n + (st == NBJ_OK)) * sizeof octets); /* all or nothing */
    }
    nbj__buf_free(&b);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(grow_thrice, NULL), 2); /* 8 KiB, 16 KiB */
}

/* --- secrets --- */

typedef struct keeper { /* gives nothing back to the system, so that one can look at what was left there */
    uint8_t *block[32];
    size_t size[32];
    bool given_back[32];
    size_t count;
} keeper;

static void *keep_alloc(void *ctx, size_t size)
{
    keeper *k = ctx;

    assert_true(k->count < sizeof k->block / sizeof k->block[0]);
    k->block[k->count] = calloc(1, size);
    k->size[k->count] = size;
    return k->block[k->count++];
}

static void *keep_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx, (void)ptr, (void)old_size, (void)new_size;
    ts_fail(__FILE__, __LINE__, "a secret is left behind by realloc");
    return NULL;
}

static void keep_free(void *ctx, void *ptr, size_t size)
{
    keeper *k = ctx;

    for (size_t i = 0; i < k->count; i++) {
        if (k->block[i] == ptr && k->size[i] == size)
            k->given_back[i] = true;
    }
}

static bool has_secret(const keeper *k)
{
    for (size_t i = 0; i < k->count; i++) {
        for (size_t at = 0; at + 6 <= k->size[i]; at++) {
            if (memcmp(k->block[i] + at, "secret", 6) == 0)
                return true;
        }
    }
    return false;
}

static void test_secrets_are_overwritten(void **state)
{
    (void)state;
    keeper k = { .count = 0 };
    nbj_allocator alloc = { keep_alloc, keep_realloc, keep_free, &k };
    nbj__buf b;
    nbj__buf_init(&b, &alloc, 1u << 20);
    b.secret = true;
    for (int i = 0; i < 3000; i++) /* grows several times */
        assert_int_equal(nbj__buf_append(&b, "secret-0", 8), NBJ_OK);
    assert_true(k.count > 2 && has_secret(&k));
    for (size_t i = 0; i + 1 < k.count; i++)
        assert_true(k.given_back[i]);
    nbj__buf_consume(&b, 2999 * 8);
    assert_true(nbj_bytes_equal(nbj__buf_view(&b), nbj_str("secret-0")));
    nbj__buf_consume(&b, 8);
    assert_false(has_secret(&k));     /* taken is gone */
    for (int i = 0; i < 30000; i++) { /* slides to the front now and then */
        assert_int_equal(nbj__buf_append(&b, "secret-1", 8), NBJ_OK);
        if (i > 100)
            nbj__buf_consume(&b, 8);
    }
    nbj__buf_consume(&b, nbj__buf_len(&b) - 1);
    assert_false(has_secret(&k));
    assert_int_equal(nbj__buf_append(&b, "secret-2", 8), NBJ_OK);
    nbj__buf_free(&b);
    assert_false(has_secret(&k));
    for (size_t i = 0; i < k.count; i++) {
        assert_true(k.given_back[i]);
        free(k.block[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_passing_through_needs_no_growth),
        cmocka_unit_test(test_memory_of_a_burst_is_given_back),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_secrets_are_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
