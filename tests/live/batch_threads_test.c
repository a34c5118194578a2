/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic batches with threads: stored as a whole or not at all, on servers that know them; refused before anything is
 * sent on those that do not, and found out at the first answer where an old one hides behind a new one. */
#define _GNU_SOURCE
#include "streams.h"

static const nbj_bytes none = { NULL, 0 };

static bool has_batches(void)
{
    return ts_server_is_at_least(server, 2, 12, 0);
}

static nbj_batch *begin(nbj_client *c)
{
    nbj_batch *b = NULL;
    nbj_error error = { 0 };

    if (nbj_batch_begin(c, NBJ_BATCH(.timeout_ns = SOON), &b, &error) != NBJ_OK)
        TS_FAIL("begin: %s", nbj_error_text(&error));
    return b;
}

static void add(nbj_batch *b, const char *subject, const char *text)
{
    assert_int_equal(nbj_batch_add(b, subject, nbj_str(text), NULL), NBJ_OK);
}

/* -- servers without batches -- */

static void test_refused_by_the_gate(void **state)
{
    nbj_client *c = open_one();
    nbj_batch *b = NULL;
    nbj_error error = { 0 };

    (void)state;
    if (has_batches())
        return;
    assert_int_equal(nbj_batch_begin(c, NULL, &b, &error), NBJ_E_UNSUPPORTED);
    assert_null(b);
    assert_non_null(strstr(error.text, "atomic batches"));
    assert_non_null(strstr(error.text, "2.12.0"));
    assert_non_null(strstr(error.text, ts_server_version(server)));
}

static void test_found_out_at_the_first_answer(void **state)
{
    ts_proxy *proxy = NULL;
    nbj_batch_result r;

    (void)state;
    if (has_batches())
        return;
    nbj_client *c = open_as_newer(&proxy);
    make_stream(c, "OLD", "old.>", "");
    assert_int_equal(nbj_publish(c, "old.a", none, NULL, NULL), NBJ_OK);
    nbj_batch *b = begin(c);
    for (int i = 0; i < 5; i++)
        add(b, "old.a", "x");
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_UNSUPPORTED);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    assert_true(r.ack.sequence == 2 && r.message == 1);
    assert_string_equal(r.ack.stream, "OLD");
    assert_non_null(strstr(r.error.text, "sequence 2"));
    nbj_batch_release(b);
    assert_true(stored_in(c, "OLD") == 2); /* that one, and nothing behind it */
    give_back(c);
    ts_proxy_free(proxy);
}

/* -- stored -- */

static void test_stored(void **state)
{
    static const int counts[] = { 1, 2, 3, 1000 };
    nbj_client *c = open_one();
    nbj_batch_result r;
    uint64_t before = 1;

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "ALL", "all.>", ",\"allow_atomic\":true");
    assert_int_equal(nbj_publish(c, "all.x", none, NULL, NULL), NBJ_OK);
    for (size_t i = 0; i < COUNT(counts); i++) {
        nbj_batch *b = begin(c);
        for (int k = 0; k < counts[i]; k++)
            add(b, "all.a", "payload");
        assert_true(nbj_batch_count(b) == (uint64_t)counts[i]);
        assert_true(stored_in(c, "ALL") == before); /* nothing is sent yet */
        nbj_status st = nbj_batch_commit(b, &r);
        if (st != NBJ_OK)
            TS_FAIL("%d: %s", counts[i], r.error.text);
        before += (uint64_t)counts[i];
        assert_int_equal(r.outcome, NBJ_STORED);
        assert_string_equal(r.ack.stream, "ALL");
        assert_true(r.ack.sequence == before && r.ack.count == (uint64_t)counts[i]);
        assert_true(stored_in(c, "ALL") == before);
        assert_true(nbj_batch_count(b) == 0);
        assert_int_equal(nbj_batch_add(b, "all.a", none, NULL), NBJ_E_STATE);
        assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_STATE);
        nbj_batch_release(b);
    }
}

/* -- the handle -- */

static void test_misuse(void **state)
{
    static const char large[2000];
    nbj_client *c = open_one();
    nbj_batch_result r;

    (void)state;
    if (!has_batches())
        return;
    nbj_batch *b = begin(c);
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_INVALID); /* empty */
    assert_int_equal(r.outcome, NBJ_REJECTED);
    assert_int_equal(nbj_batch_commit_async(b, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_batch_add(b, "a.*", none, NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_batch_add(b, "a", none, &(nbj_publish_options){ .struct_size = 1 }), NBJ_E_INVALID);
    nbj_batch_release(b);
    nbj_batch_release(NULL);
    assert_int_equal(nbj_batch_begin(c, NBJ_BATCH(.max_bytes = 1000), &b, NULL), NBJ_OK);
    assert_int_equal(nbj_batch_add(b, "a", nbj_view(large, sizeof large), NULL), NBJ_E_FULL);
    assert_int_equal(nbj_batch_add(b, "a", nbj_str("small"), NULL), NBJ_OK);
    nbj_client_close(c);
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_CLOSED);
    give_back(c); /* before the batch */
    nbj_batch_release(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_refused_by_the_gate, end_test),
        cmocka_unit_test_teardown(test_found_out_at_the_first_answer, end_test),
        cmocka_unit_test_teardown(test_stored, end_test),
        cmocka_unit_test_teardown(test_misuse, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
