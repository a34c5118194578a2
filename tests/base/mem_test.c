/* SPDX-License-Identifier: Apache-2.0 */
/* Memory through the caller's allocator: base/mem.h. */
#include "base/mem.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

static void test_default_allocator(void **state)
{
    (void)state;
    nbj_allocator own = nbj__malloc_allocator;
    assert_ptr_equal(nbj__allocator_or_default(NULL), &nbj__malloc_allocator);
    assert_ptr_equal(nbj__allocator_or_default(&own), &own);

    const nbj_allocator *a = nbj__allocator_or_default(NULL);
    char *p = nbj__realloc(a, NULL, 0, 4); /* of nothing: a new block */
    assert_non_null(p);
    memcpy(p, "abc", 4);
    p = nbj__realloc(a, p, 4, 4000);
    assert_non_null(p);
    assert_string_equal(p, "abc");
    nbj__free(a, p, 4000);
    nbj__free(a, NULL, 0);
}

static void test_zeroed(void **state)
{
    (void)state;
    ts_alloc a;
    ts_alloc_init(&a, TS_NEVER_FAIL, false); /* fills blocks with something else */
    uint8_t *p = nbj__alloc0(&a.allocator, 100);
    assert_non_null(p);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    nbj__free(&a.allocator, p, 100);
    ts_alloc_done(&a);
}

static void test_texts(void **state)
{
    (void)state;
    ts_alloc a;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    char *copy = nbj__copy_text(&a.allocator, nbj_view("abcdef", 3));
    char *empty = nbj__copy_text(&a.allocator, nbj_view(NULL, 0));
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    nbj__free_text(&a.allocator, copy); /* the allocator checks the sizes given back */
    nbj__wipe_text(&a.allocator, empty);
    nbj__free_text(&a.allocator, NULL);
    nbj__wipe_text(&a.allocator, NULL);
    ts_alloc_done(&a);
}

static char freed[16]; /* what the last block held when it was given back */

static void *get(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void look_and_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    assert_true(size <= sizeof freed);
    memcpy(freed, ptr, size);
    free(ptr);
}

static void test_secrets_are_overwritten(void **state)
{
    (void)state;
    const nbj_allocator watch = { get, NULL, look_and_free, NULL };
    nbj__free_text(&watch, nbj__copy_text(&watch, nbj_str("open")));
    assert_string_equal(freed, "open");
    nbj__wipe_text(&watch, nbj__copy_text(&watch, nbj_str("s3cr3t")));
    assert_memory_equal(freed, "\0\0\0\0\0\0", sizeof "s3cr3t");
}

static nbj_status allocate_each_way(const nbj_allocator *alloc, void *ctx)
{
    void *zeroed = nbj__alloc0(alloc, 10);
    void *block = nbj__alloc(alloc, 10);
    char *text = nbj__copy_text(alloc, nbj_str("text"));
    void *larger = block != NULL ? nbj__realloc(alloc, block, 10, 20) : NULL;
    nbj_status st = zeroed != NULL && larger != NULL && text != NULL ? NBJ_OK : NBJ_E_NOMEM;

    (void)ctx;
    nbj__free(alloc, zeroed, 10);
    nbj__free(alloc, larger != NULL ? larger : block,
              larger != NULL ? 20 : 10); /* a failed realloc leaves the old one */
    nbj__free_text(alloc, text);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(allocate_each_way, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_allocator),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_secrets_are_overwritten),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
