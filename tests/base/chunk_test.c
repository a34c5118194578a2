/* SPDX-License-Identifier: Apache-2.0 */
/* Refcounted blocks: base/chunk.h. That the count may be changed from any thread: chunk_threads_test.c. */
#include "base/chunk.h"

#include "support/alloc_fail.h"
#include "support/check.h"

static void test_life(void **state)
{
    (void)state;
    ts_alloc a;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    nbj__chunk *c = nbj__chunk_new(&a.allocator, 100);
    assert_non_null(c);
    assert_int_equal(c->cap, 100);
    memset(c->data, 'x', 100);
    assert_true(nbj__chunk_is_ours(c));
    assert_ptr_equal(nbj__chunk_retain(c), c);
    assert_false(nbj__chunk_is_ours(c));
    nbj__chunk_release(c);
    assert_true(nbj__chunk_is_ours(c));
    assert_int_equal(a.live_blocks, 1);
    nbj__chunk_release(c);
    ts_alloc_done(&a);
}

static void test_nothing(void **state)
{
    (void)state;
    nbj__chunk_release(NULL);
    nbj__chunk *c = nbj__chunk_new(&nbj__malloc_allocator, 0); /* no octets are legal */
    assert_non_null(c);
    nbj__chunk_release(c);
}

static nbj_status make_two(const nbj_allocator *alloc, void *ctx)
{
    (void)ctx;
    nbj__chunk *a = nbj__chunk_new(alloc, 10);
    nbj__chunk *b = nbj__chunk_new(alloc, 20);
    nbj_status st = a != NULL && b != NULL ? NBJ_OK : NBJ_E_NOMEM;

    nbj__chunk_release(a);
    nbj__chunk_release(b);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(make_two, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
