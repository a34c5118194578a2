/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in order: base/heap.h. */
#include "base/heap.h"

#include "base/random.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define TIMERS 64u

/* The earliest of those that are set, by looking at all. */
static nbj_time earliest(const nbj__timer *t, size_t n)
{
    nbj_time min = NBJ_TIME_NEVER;

    for (size_t i = 0; i < n; i++) {
        if (t[i].place != 0)
            min = nbj__time_min(min, t[i].due);
    }
    return min;
}

static void check_order(const nbj__heap *h, const nbj__timer *t, const nbj_time *due)
{
    size_t set = 0;

    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(t[i].place != 0, due[i] != NBJ_TIME_NEVER);
        if (t[i].place == 0)
            continue;
        set++;
        assert_true(t[i].due == due[i]);
        assert_ptr_equal(h->items[t[i].place - 1], &t[i]);
        assert_true(t[i].place == 1 || h->items[t[i].place / 2 - 1]->due <= t[i].due); /* its parent */
    }
    assert_int_equal(h->len, set);
    assert_true(nbj__heap_deadline(h) == earliest(t, TIMERS));
}

/* |due| is the model: NEVER for those that are not set. */
static void random_step(nbj__heap *h, nbj__timer *t, nbj_time *due, nbj__random *r)
{
    size_t i = (size_t)nbj__random_below(r, TIMERS);
    uint64_t what = nbj__random_below(r, 10);

    if (what < 6) {
        due[i] = nbj__random_below(r, 50); /* many equal ones */
        assert_int_equal(nbj__heap_set(h, &t[i], due[i]), NBJ_OK);
    } else if (what == 6) {
        due[i] = NBJ_TIME_NEVER;
        assert_int_equal(nbj__heap_set(h, &t[i], NBJ_TIME_NEVER), NBJ_OK);
    } else if (what == 7) {
        due[i] = NBJ_TIME_NEVER;
        nbj__heap_remove(h, &t[i]);
    } else {
        nbj_time now = nbj__random_below(r, 50);
        nbj_time first = earliest(t, TIMERS);
        nbj__timer *got = nbj__heap_pop_due(h, now);
        assert_int_equal(got != NULL, first <= now);
        if (got != NULL) {
            assert_true(got->due == first);
            due[got - t] = NBJ_TIME_NEVER;
        }
    }
}

static void test_against_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        nbj__heap h;
        nbj__timer t[TIMERS] = { { 0, 0 } };
        nbj_time due[TIMERS];
        nbj__random r = { seed };
        for (size_t i = 0; i < TIMERS; i++)
            due[i] = NBJ_TIME_NEVER;
        nbj__heap_init(&h, &nbj__malloc_allocator);
        for (int step = 0; step < 2000; step++) {
            random_step(&h, t, due, &r);
            check_order(&h, t, due);
        }
        nbj__heap_free(&h);
    }
}

static int compare_times(const void *a, const void *b)
{
    nbj_time x = *(const nbj_time *)a;
    nbj_time y = *(const nbj_time *)b;

    return (x > y) - (x < y);
}

static void test_pops_in_the_order_of_a_sorted_array(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    nbj__heap h;
    nbj__random r = { 7 };
    nbj__timer *t = calloc(MANY, sizeof *t);
    nbj_time *sorted = calloc(MANY, sizeof *sorted);
    assert_true(t != NULL && sorted != NULL);
    nbj__heap_init(&h, &nbj__malloc_allocator);
    for (size_t i = 0; i < MANY; i++) {
        sorted[i] = nbj__random_next(&r) >> nbj__random_below(&r, 60);
        assert_int_equal(nbj__heap_set(&h, &t[i], sorted[i]), NBJ_OK);
    }
    qsort(sorted, MANY, sizeof *sorted, compare_times);
    for (size_t i = 0; i < MANY; i++) {
        if (sorted[i] > 0)
            assert_null(nbj__heap_pop_due(&h, sorted[i] - 1)); /* not before its time */
        nbj__timer *got = nbj__heap_pop_due(&h, sorted[i]);
        assert_non_null(got);
        assert_true(got->due == sorted[i]);
        assert_int_equal(got->place, 0);
    }
    assert_true(nbj__heap_deadline(&h) == NBJ_TIME_NEVER);
    assert_null(nbj__heap_pop_due(&h, NBJ_TIME_NEVER));
    nbj__heap_free(&h);
    free(sorted);
    free(t);
}

static void test_never_and_removal_of_what_is_not_set(void **state)
{
    (void)state;
    nbj__heap h;
    nbj__timer t = { 0, 0 };
    nbj__heap_init(&h, &nbj__malloc_allocator);
    assert_int_equal(nbj__heap_set(&h, &t, NBJ_TIME_NEVER), NBJ_OK);
    assert_int_equal(h.cap, 0); /* nothing was allocated for nothing */
    nbj__heap_remove(&h, &t);
    assert_int_equal(nbj__heap_set(&h, &t, NBJ_TIME_NEVER - 1), NBJ_OK);
    assert_true(nbj__heap_deadline(&h) == NBJ_TIME_NEVER - 1);
    nbj__heap_remove(&h, &t);
    nbj__heap_remove(&h, &t);
    assert_int_equal(h.len, 0);
    nbj__heap_free(&h);
    nbj__heap_free(&h);
}

static void test_time_arithmetic(void **state)
{
    (void)state;
    assert_true(nbj__time_add(3, 4) == 7);
    assert_true(nbj__time_add(NBJ_TIME_NEVER, 0) == NBJ_TIME_NEVER);
    assert_true(nbj__time_add(NBJ_TIME_NEVER, 1) == NBJ_TIME_NEVER);
    assert_true(nbj__time_add(1, NBJ_TIME_NEVER) == NBJ_TIME_NEVER);
    assert_true(nbj__time_add(NBJ_TIME_NEVER - 5, 5) == NBJ_TIME_NEVER);
    assert_true(nbj__time_add(NBJ_TIME_NEVER - 5, 4) == NBJ_TIME_NEVER - 1);
    assert_true(nbj__time_min(2, NBJ_TIME_NEVER) == 2);
    assert_true(nbj__time_min(2, 1) == 1);
}

static nbj_status fill(const nbj_allocator *alloc, void *ctx)
{
    nbj__heap h;
    nbj__timer t[40] = { { 0, 0 } };
    nbj_status st = NBJ_OK;
    size_t n = 0;

    (void)ctx;
    nbj__heap_init(&h, alloc);
    while (n < 40 && (st = nbj__heap_set(&h, &t[n], 40 - n)) == NBJ_OK)
        n++;
    assert_int_equal(h.len, n);
    assert_true(n == 40 || (t[n].place == 0 && t[n].due == 0)); /* a failed one is as it was */
    assert_true(nbj__heap_deadline(&h) == (n > 0 ? 41 - n : NBJ_TIME_NEVER));
    nbj__heap_free(&h);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(fill, NULL), 3); /* 16, 32, 64 places */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_pops_in_the_order_of_a_sorted_array),
        cmocka_unit_test(test_never_and_removal_of_what_is_not_set),
        cmocka_unit_test(test_time_arithmetic),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
