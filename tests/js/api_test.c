/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to JetStream's API, octet for octet: js/api.h. */
#include "js/api.h"

#include "support/alloc_fail.h"
#include "support/check.h"

static void expect(const nbj__buf *body, const char *want)
{
    nbj_bytes got = nbj__buf_view(body);

    if (!nbj_bytes_equal(got, nbj_str(want)))
        TS_FAIL("got  %.*s\nwant %s", NBJ_FMT(got), want);
}

static void test_subjects(void **state)
{
    (void)state;
    char out[NBJ__API_SUBJECT_MAX];
    char name[255];
    nbj_bytes none = nbj_view(NULL, 0);
    assert_true(nbj_bytes_equal(nbj__api_subject(out, "INFO", none, none), nbj_str("$JS.API.INFO")));
    assert_true(nbj_bytes_equal(nbj__api_subject(out, "STREAM.CREATE", nbj_str("S"), none),
                                nbj_str("$JS.API.STREAM.CREATE.S")));
    assert_true(nbj_bytes_equal(nbj__api_subject(out, "CONSUMER.MSG.NEXT", nbj_str("S"), nbj_str("C")),
                                nbj_str("$JS.API.CONSUMER.MSG.NEXT.S.C")));
    memset(name, 'n', sizeof name); /* the longest legal names fit */
    nbj_bytes longest = nbj_view(name, sizeof name);
    assert_int_equal(nbj__api_subject(out, "CONSUMER.DURABLE.CREATE", longest, longest).len, 8 + 23 + 2 * 256);
}

static void test_bodies(void **state)
{
    (void)state;
    nbj__buf body;
    nbj__buf_init(&body, &nbj__malloc_allocator, 4096);

    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C") };
    assert_int_equal(nbj__api_consumer_create(&body, &c), NBJ_OK);
    expect(&body,
           "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\"name\":\"C\",\"deliver_policy\":\"all\","
           "\"ack_policy\":\"explicit\",\"replay_policy\":\"instant\",\"ack_wait\":30000000000,\"max_deliver\":-1,"
           "\"max_ack_pending\":1000},\"action\":\"create\"}");
    nbj__buf_clear(&body);
    c = (nbj__consumer_config){ .stream = nbj_str("S"),
                                .durable = nbj_str("C"),
                                .filter_subject = nbj_str("a.b"),
                                .ack_wait_ns = 1,
                                .max_deliver = 2,
                                .max_ack_pending = 3 };
    assert_int_equal(nbj__api_consumer_create(&body, &c), NBJ_OK);
    expect(&body, "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\"name\":\"C\",\"deliver_policy\":\"all\","
                  "\"ack_policy\":\"explicit\",\"replay_policy\":\"instant\",\"ack_wait\":1,\"max_deliver\":2,"
                  "\"max_ack_pending\":3,\"filter_subject\":\"a.b\"},\"action\":\"create\"}");
    nbj__buf_clear(&body);

    assert_int_equal(nbj__api_pull(&body, 256, NBJ_SECONDS(30), NBJ_SECONDS(5)), NBJ_OK);
    expect(&body, "{\"batch\":256,\"expires\":30000000000,\"idle_heartbeat\":5000000000}");
    nbj__buf_free(&body);
}

static void test_no_room(void **state)
{
    (void)state;
    nbj__buf body;
    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C") };
    ts_alloc mem;
    nbj__buf_init(&body, &nbj__malloc_allocator, 20);
    assert_int_equal(nbj__api_consumer_create(&body, &c), NBJ_E_FULL);
    assert_int_equal(nbj__api_pull(&body, 1, 1, 1), NBJ_E_FULL);
    nbj__buf_free(&body);
    ts_alloc_init(&mem, 0, true);
    nbj__buf_init(&body, &mem.allocator, 4096);
    assert_int_equal(nbj__api_consumer_create(&body, &c), NBJ_E_NOMEM);
    nbj__buf_free(&body);
    ts_alloc_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
