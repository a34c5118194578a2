/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a ride: their content, ids and numbers (events.h). */
#include "events.h"

#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const trip sample = {
    .index = 17,
    .key = "k \"17\"",
    .pickup_s = 1245086781,
    .fare = 4.5,
    .currency = "IDR",
    .pickup = { 106.8, -6.2 },
    .dropoff = { 106.81, -6.2 },
    .passengers = 2,
};

static const char *const payloads[EVENTS_PER_TRIP] = {
    "{\"id\":\"run-17-1\",\"type\":\"ride.pickup\",\"time\":\"2009-06-15T17:26:21Z\",\"source\":\"nbj-ride-demo\","
    "\"version\":\"1\",\"correlation_id\":\"run-17\",\"data\":{\"ride_id\":\"k \\\"17\\\"\",\"trip\":17,"
    "\"lat\":-6.200000,\"lng\":106.800000,\"passengers\":2}}",
    "{\"id\":\"run-17-2\",\"type\":\"ride.started\",\"time\":\"2009-06-15T17:27:21Z\",\"source\":\"nbj-ride-demo\","
    "\"version\":\"1\",\"correlation_id\":\"run-17\",\"data\":{\"ride_id\":\"k \\\"17\\\"\",\"trip\":17,"
    "\"lat\":-6.200000,\"lng\":106.800000}}",
    "{\"id\":\"run-17-3\",\"type\":\"ride.arrived\",\"time\":\"2009-06-15T17:29:58Z\",\"source\":\"nbj-ride-demo\","
    "\"version\":\"1\",\"correlation_id\":\"run-17\",\"data\":{\"ride_id\":\"k \\\"17\\\"\",\"trip\":17,"
    "\"lat\":-6.200000,\"lng\":106.810000,\"distance_m\":1105}}",
    "{\"id\":\"run-17-4\",\"type\":\"ride.completed\",\"time\":\"2009-06-15T17:30:43Z\",\"source\":\"nbj-ride-demo\","
    "\"version\":\"1\",\"correlation_id\":\"run-17\",\"data\":{\"ride_id\":\"k \\\"17\\\"\",\"trip\":17,"
    "\"lat\":-6.200000,\"lng\":106.810000,\"distance_m\":1105,\"duration_s\":157,\"fare\":4.50,\"currency\":\"IDR\"}}",
};

static void test_payloads(void **state)
{
    (void)state;
    for (unsigned step = 0; step < EVENTS_PER_TRIP; step++) {
        ride_event event;
        char id[EVENT_ID_SIZE];
        uint64_t number = 0;
        assert_true(event_build(&event, "run", &sample, step));
        assert_int_equal(event.length, strlen(payloads[step]));
        assert_memory_equal(event.payload, payloads[step], event.length);
        assert_string_equal(event.subject, event_subjects[step]);
        assert_int_equal(event.number, 64 + step);
        assert_true(event_read_id(event.payload, event.length, id));
        assert_string_equal(id, event.id);
        assert_true(event_number("run", id, &number));
        assert_int_equal(number, event.number);
    }
}

/* The largest trip that a file can bring still fits. */
static void test_largest(void **state)
{
    trip large = sample;
    ride_event event;

    (void)state;
    memset(large.key, '"', sizeof large.key - 1);
    large.key[sizeof large.key - 1] = '\0';
    large.index = UINT64_MAX / EVENTS_PER_TRIP;
    large.pickup_s = 253370764800; /* 9999 */
    large.fare = -1.7e308;
    for (unsigned step = 0; step < EVENTS_PER_TRIP; step++)
        assert_true(event_build(&event, "a-run-with-the-longest-n", &large, step));
}

static const struct {
    const char *name, *id;
    bool found;
    uint64_t number;
} ids[] = {
    { "first", "run-1-1", true, 0 },
    { "last step", "run-1-4", true, 3 },
    { "later trip", "run-250-2", true, 997 },
    { "another run", "ruin-1-1", false, 0 },
    { "a run with a longer name", "run1-1-1", false, 0 },
    { "no step", "run-1", false, 0 },
    { "step 0", "run-1-0", false, 0 },
    { "step 5", "run-1-5", false, 0 },
    { "trip 0", "run-0-1", false, 0 },
    { "another spelling", "run-01-1", false, 0 },
    { "a sign", "run-+1-1", false, 0 },
    { "a blank", "run- 1-1", false, 0 },
    { "something behind", "run-1-1x", false, 0 },
    { "beyond 64 bits", "run-18446744073709551617-1", false, 0 },
    { "empty", "", false, 0 },
};

static void test_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint64_t number = 0;
        CHECK(ids[i].name, event_number("run", ids[i].id, &number) == ids[i].found);
        CHECK(ids[i].name, number == ids[i].number);
    }
}

static const struct {
    const char *name, *payload;
    bool found;
} foreign[] = {
    { "plain", "{\"id\":\"x\"}", true },
    { "not JSON", "hello", false },
    { "cut", "{\"id\":\"x\"", false },
    { "an array", "[\"id\"]", false },
    { "no id", "{\"ID\":\"x\"}", false },
    { "a number", "{\"id\":7}", false },
    { "empty id", "{\"id\":\"\"}", false },
    { "NUL in the id", "{\"id\":\"a\\u0000b\"}", false },
    { "id of 64 octets", "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", false },
    { "empty", "", false },
};

static void test_foreign_payloads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        char id[EVENT_ID_SIZE];
        CHECK(foreign[i].name, event_read_id(foreign[i].payload, strlen(foreign[i].payload), id) == foreign[i].found);
    }
}

static void test_sum(void **state)
{
    (void)state;
    assert_true(event_sum("", 0) == 0xcbf29ce484222325u); /* published test vectors of FNV-1a */
    assert_true(event_sum("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(event_sum("foobar", 6) == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads),         cmocka_unit_test(test_largest), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_foreign_payloads), cmocka_unit_test(test_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
