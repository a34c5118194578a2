/* SPDX-License-Identifier: Apache-2.0 */
/* Bulks (fast ingest) with threads: everything is stored in order, whatever the server does; refused before anything is
 * sent on servers that do not know them, and found out at the first answer where an old one hides behind a new one. */
#define _GNU_SOURCE
#include "streams.h"

static const nbj_bytes none = { NULL, 0 };

static bool has_bulks(void)
{
    return ts_server_is_at_least(server, 2, 14, 0);
}

static nbj_bulk *open_bulk(nbj_client *c, const nbj_bulk_options *options)
{
    nbj_bulk *b = NULL;
    nbj_error error = { 0 };

    if (nbj_bulk_open(c, options, &b, &error) != NBJ_OK)
        TS_FAIL("open: %s", nbj_error_text(&error));
    return b;
}

/* Adds the numbers from |first| on. */
static void add_numbers(nbj_bulk *b, const char *subject, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        nbj_status st = nbj_bulk_add(b, subject, nbj_str(text), NULL);
        if (st != NBJ_OK) {
            nbj_bulk_result r;
            nbj_bulk_progress(b, &r);
            TS_FAIL("message %u: %s (%s)", i, nbj_strerror(st), nbj_error_text(&r.error));
        }
    }
}

static void finish_well(nbj_bulk *b, uint64_t stored)
{
    nbj_bulk_result r;

    if (nbj_bulk_finish(b, SOON, &r) != NBJ_OK)
        TS_FAIL("finish: %s", nbj_error_text(&r.error));
    assert_true(r.stored == stored && r.added == stored && r.unknown == 0 && r.error.status == NBJ_OK);
    nbj_bulk_release(b);
}

/* -- servers without bulks -- */

static void test_refused_by_the_gate(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk *b = NULL;
    nbj_error error = { 0 };

    (void)state;
    if (has_bulks())
        return;
    assert_int_equal(nbj_bulk_open(c, NULL, &b, &error), NBJ_E_UNSUPPORTED);
    assert_null(b);
    assert_non_null(strstr(error.text, "fast ingest"));
    assert_non_null(strstr(error.text, "2.14.0"));
}

static void test_found_out_at_the_first_answer(void **state)
{
    ts_proxy *proxy = NULL;
    nbj_bulk_result r;

    (void)state;
    if (has_bulks())
        return;
    nbj_client *c = open_as_newer(&proxy);
    make_stream(c, "OLD", "old.>", "");
    assert_int_equal(nbj_publish(c, "old.a", none, NULL, NULL), NBJ_OK);
    nbj_bulk *b = open_bulk(c, NULL);
    add_numbers(b, "old.a", 0, 10);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_E_UNSUPPORTED);
    assert_true(r.added == 10 && r.stored == 1 && r.message == 1 && r.last_sequence == 2);
    assert_string_equal(r.stream, "OLD");
    assert_non_null(strstr(r.error.text, "sequence 2"));
    assert_int_equal(nbj_bulk_add(b, "old.a", none, NULL), NBJ_E_UNSUPPORTED);
    nbj_bulk_release(b);
    assert_true(stored_in(c, "OLD") == 2); /* that one, and nothing behind it */
    give_back(c);
    ts_proxy_free(proxy);
}

/* -- stored -- */

static void test_stored(void **state)
{
    static const unsigned counts[] = { 0, 1, 2, 499, 500, 501, 1001, 100000 };
    nbj_client *c = open_one();
    unsigned long long before = 0;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "BULK", "bulk.>", ",\"allow_batched\":true");
    for (size_t i = 0; i < COUNT(counts); i++) {
        nbj_bulk *b = open_bulk(c, NULL);
        add_numbers(b, "bulk.a", 0, counts[i]);
        finish_well(b, counts[i]);
        before += counts[i];
        assert_true(stored_in(c, "BULK") == before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_refused_by_the_gate, end_test),
        cmocka_unit_test_teardown(test_found_out_at_the_first_answer, end_test),
        cmocka_unit_test_teardown(test_stored, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
