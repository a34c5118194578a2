/* SPDX-License-Identifier: Apache-2.0 */
/* Memory given back as a whole: base/arena.h. */
#include "base/arena.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdalign.h>

static void test_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 7, 16, 100, 900, 1024, 5000, 3 };
    unsigned char *piece[400];
    ts_alloc mem;
    nbj__arena a;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj__arena_init(&a, &mem.allocator);
    for (size_t i = 0; i < 400; i++) {
        size_t size = sizes[i % 9];
        piece[i] = nbj__arena_take(&a, size);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(piece[i][k], 0);
        memset(piece[i], (int)i, size);
    }
    for (size_t i = 0; i < 400; i++) /* none lies in another */
        for (size_t k = 0; k < sizes[i % 9]; k++)
            assert_int_equal(piece[i][k], (unsigned char)i);
    assert_null(nbj__arena_take(&a, SIZE_MAX));
    nbj__arena_free(&a);
    nbj__arena_free(&a);
    ts_alloc_done(&mem);
}

static void test_no_memory(void **state)
{
    (void)state;
    ts_alloc mem;
    nbj__arena a;
    ts_alloc_init(&mem, 1, false);
    nbj__arena_init(&a, &mem.allocator);
    assert_non_null(nbj__arena_take(&a, 10));
    assert_null(nbj__arena_take(&a, 2000));
    assert_non_null(nbj__arena_take(&a, 10));
    nbj__arena_free(&a);
    ts_alloc_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
