/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers from a seed: base/random.h. Everything here is fixed by seeds, so nothing fails by chance. */
#include "base/random.h"

#include "support/check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void test_same_seed_same_run(void **state)
{
    (void)state;
    nbj__random a = { 42 }, b = { 42 }, c = { 43 };
    size_t same_as_c = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = nbj__random_next(&a);
        assert_true(v == nbj__random_next(&b));
        same_as_c += v == nbj__random_next(&c);
    }
    assert_int_equal(same_as_c, 0);
}

/* The published first values of splitmix64 for seed 0: recorded seeds must mean the same run in every version. */
static void test_known_values(void **state)
{
    (void)state;
    static const uint64_t want[] = { 0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu,
                                     0xf88bb8a8724c81ecu };
    nbj__random r = { 0 };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_true(nbj__random_next(&r) == want[i]);
}

/* Chi-square of |draws| numbers below |n|: about n - 1, and hardly ever more than three standard deviations above. */
static double chi_square(uint64_t n, size_t draws, uint64_t seed)
{
    nbj__random r = { seed };
    size_t *count = calloc((size_t)n, sizeof *count);
    double expected = (double)draws / (double)n;
    double sum = 0;

    assert_non_null(count);
    for (size_t i = 0; i < draws; i++) {
        uint64_t v = nbj__random_below(&r, n);
        assert_true(v < n);
        count[v]++;
    }
    for (size_t i = 0; i < n; i++)
        sum += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    free(count);
    return sum;
}

static void test_below_is_even(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 2, 3, 7, 10, 16, 62, 100, 1000, 1023 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double n = (double)sizes[i];
        double chi = chi_square(sizes[i], 200000, i);
        double off = chi - (n - 1); /* the variance is 2 (n - 1): within 4 standard deviations, squared */
        assert_true(off * off < 16 * 2 * (n - 1));
    }
}

/* For n of 3/4 of 2^64 a plain remainder would give the first third twice as often as the rest. */
static void test_below_a_huge_number_is_even(void **state)
{
    (void)state;
    nbj__random r = { 5 };
    uint64_t quarter = UINT64_C(1) << 62;
    size_t count[3] = { 0, 0, 0 };
    for (int i = 0; i < 30000; i++) {
        uint64_t v = nbj__random_below(&r, 3 * quarter);
        assert_true(v < 3 * quarter);
        count[v / quarter]++;
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(count[i], 9600, 10400);
}

static void test_below_the_smallest_and_largest(void **state)
{
    (void)state;
    nbj__random r = { 1 };
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nbj__random_below(&r, 0), 0);
        assert_int_equal(nbj__random_below(&r, 1), 0);
        assert_true(nbj__random_below(&r, UINT64_MAX) < UINT64_MAX);
    }
}

static void test_names(void **state)
{
    (void)state;
    nbj__random r = { 9 };
    size_t seen[256] = { 0 };
    for (size_t len = 0; len < 400; len++) {
        char *name = malloc(len); /* of exactly that size: no NUL is written */
        assert_true(name != NULL || len == 0);
        nbj__random_name(&r, name, len);
        for (size_t i = 0; i < len; i++) {
            assert_true(isalnum((unsigned char)name[i]));
            seen[(unsigned char)name[i]]++;
        }
        free(name);
    }
    /* 79,800 characters, 1,287 of each */
    for (const char *c = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; *c != '\0'; c++)
        assert_in_range(seen[(unsigned char)*c], 1100, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_below_a_huge_number_is_even),
        cmocka_unit_test(test_below_the_smallest_and_largest),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
