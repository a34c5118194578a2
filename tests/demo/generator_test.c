/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up trips: the same from the same seed, and plausible (generator.h, source.h). */
#include "generator.h"

#include "source.h"
#include "support/check.h"

#include <string.h>

enum { TRIPS = 5000 };

static bool same(const trip *a, const trip *b)
{
    return a->index == b->index && strcmp(a->key, b->key) == 0 && a->pickup_s == b->pickup_s && a->fare == b->fare &&
           a->pickup.longitude == b->pickup.longitude && a->pickup.latitude == b->pickup.latitude &&
           a->dropoff.longitude == b->dropoff.longitude && a->dropoff.latitude == b->dropoff.latitude &&
           a->passengers == b->passengers;
}

static void test_same_seed_same_trips(void **state)
{
    generator one, two;
    trip a, b;

    (void)state;
    generator_start(&one, 42);
    generator_start(&two, 42);
    for (int i = 0; i < TRIPS; i++) {
        generator_next(&one, &a);
        generator_next(&two, &b);
        assert_true(same(&a, &b));
    }
}

static void test_other_seed_other_trips(void **state)
{
    generator one, two;
    trip a, b;

    (void)state;
    generator_start(&one, 1);
    generator_start(&two, 2);
    for (int i = 0; i < TRIPS; i++) {
        generator_next(&one, &a);
        generator_next(&two, &b);
        assert_true(a.pickup.longitude != b.pickup.longitude || a.pickup.latitude != b.pickup.latitude);
    }
}

static bool inside(position at)
{
    return at.longitude >= GENERATOR_WEST && at.longitude <= GENERATOR_EAST && at.latitude >= GENERATOR_SOUTH &&
           at.latitude <= GENERATOR_NORTH;
}

static void test_plausible(void **state)
{
    generator from;
    trip each;
    int64_t last = 0;

    (void)state;
    generator_start(&from, 7);
    for (int i = 0; i < TRIPS; i++) {
        generator_next(&from, &each);
        double kilometres = trip_distance_m(&each) / 1000;
        assert_true(inside(each.pickup) && inside(each.dropoff));
        assert_true(each.pickup_s > last);
        assert_in_range(each.passengers, 1, 4);
        assert_string_equal(each.currency, "IDR");
        assert_true(each.fare >= kilometres * GENERATOR_FARE_PER_KM - 50.001 &&
                    each.fare <= kilometres * GENERATOR_FARE_PER_KM + 50.001);
        last = each.pickup_s;
    }
}

/* Pins the sequence down: a changed generator would silently change every recorded run. */
static void test_first_trip(void **state)
{
    generator from;
    trip first;

    (void)state;
    generator_start(&from, 1);
    generator_next(&from, &first);
    assert_string_equal(first.key, "jakarta-1-1");
    assert_int_equal(first.pickup_s, 1735689606);
    assert_true(first.pickup.longitude == 106.830483 && first.pickup.latitude == -6.258937);
    assert_true(first.fare == 13800);
}

static void test_source_counts(void **state)
{
    trip_source source;
    trip each;
    problem why;
    const trip_source_options options = { .seed = 3, .count = 5 };

    (void)state;
    assert_true(trip_source_open(&source, &options, NULL, NULL, &why));
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(trip_source_next(&source, &each, &why), TRIP_OK);
        assert_int_equal(each.index, i);
    }
    assert_int_equal(trip_source_next(&source, &each, &why), TRIP_END);
    trip_source_close(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_trips),
        cmocka_unit_test(test_other_seed_other_trips),
        cmocka_unit_test(test_plausible),
        cmocka_unit_test(test_first_trip),
        cmocka_unit_test(test_source_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
