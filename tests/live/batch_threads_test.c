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

/* -- refused -- */

/* A batch of three, the second with a header, to |subject|. */
static nbj_batch_result refused(nbj_client *c, const char *subject, const char *name, const char *value)
{
    nbj_header h = { nbj_str(name), nbj_str(value) };
    nbj_batch *b = begin(c);
    nbj_batch_result r;

    add(b, subject, "1");
    assert_int_equal(nbj_batch_add(b, subject, nbj_str("2"), NBJ_PUBLISH(.headers = &h, .header_count = 1)), NBJ_OK);
    add(b, subject, "3");
    nbj_status st = nbj_batch_commit(b, &r);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    assert_int_equal(r.error.status, st);
    assert_true(r.ack.sequence == 0);
    nbj_batch_release(b);
    return r;
}

static void test_refused(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "PLAIN", "plain.>", "");
    make_stream(c, "ERR", "err.>", ",\"allow_atomic\":true,\"max_msg_size\":1000");
    assert_int_equal(nbj_publish(c, "err.x", none, NBJ_PUBLISH(.msg_id = "there"), NULL), NBJ_OK);
    nbj_batch_result r = refused(c, "plain.a", "A", "1");
    assert_true(r.error.err_code == 10174 && r.message == 1 && strstr(r.error.text, "allow_atomic") != NULL);
    r = refused(c, "nobody.has.this", "A", "1");
    assert_int_equal(r.error.status, NBJ_E_NO_STREAM);
    r = refused(c, "err.a", "Nats-Expected-Last-Msg-Id", "there");
    assert_true(r.error.err_code == 10177 && strstr(r.error.text, "leave that header out") != NULL);
    r = refused(c, "err.a", "Nats-Msg-Id", "there");
    assert_true(r.error.err_code == 10201 && strstr(r.error.text, "was the batch stored before") != NULL);
    r = refused(c, "err.a", "Nats-Expected-Last-Subject-Sequence", "7");
    assert_int_equal(r.error.status, NBJ_E_WRONG_LAST_SEQUENCE);
    r = refused(c, "err.a", "Nats-Expected-Stream", "PLAIN");
    assert_true(r.error.err_code == 10060);
    r = refused(c, "err.a", "Nats-Batch-Commit", "2");
    assert_true(r.error.err_code == 10200);
    assert_true(stored_in(c, "ERR") == 1); /* nothing of all that */
}

static void test_too_large(void **state)
{
    static const char large[1001];
    nbj_client *c = open_one();
    nbj_batch_result r;

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "LARGE", "large.>", ",\"allow_atomic\":true,\"max_msg_size\":1000");
    nbj_batch *b = begin(c);
    for (int i = 0; i < 1001; i++)
        add(b, "large.a", "x");
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_JS);
    assert_true(r.error.err_code == 10199 && strstr(r.error.text, "smaller batches") != NULL);
    nbj_batch_release(b);
    b = begin(c);
    add(b, "large.a", "x");
    assert_int_equal(nbj_batch_add(b, "large.a", nbj_view(large, sizeof large), NULL), NBJ_OK);
    add(b, "large.a", "x");
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_JS);
    assert_true(r.error.err_code == 10054 && r.message == 2); /* the reason itself, not what follows from it */
    nbj_batch_release(b);
    assert_true(stored_in(c, "LARGE") == 0);
}

/* Fifty batches of others that are not committed are all that a stream has room for. */
static void test_too_many_at_once(void **state)
{
    nbj_client *c = open_one();
    nbj_batch_result r;

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "BUSY", "busy.>", ",\"allow_atomic\":true");
    for (int i = 0; i < 50; i++) {
        char id[24];
        nbj_msg *reply = NULL;
        snprintf(id, sizeof id, "other-%d", i);
        nbj_header h[] = { { nbj_str("Nats-Batch-Id"), nbj_str(id) },
                           { nbj_str("Nats-Batch-Sequence"), nbj_str("1") } };
        assert_int_equal(nbj_request(c, "busy.a", none, NBJ_REQUEST(.headers = h, .header_count = 2), &reply), NBJ_OK);
        assert_true(nbj_msg_data(reply).len == 0);
        nbj_msg_release(reply);
    }
    nbj_batch *b = NULL;
    assert_int_equal(nbj_batch_begin(c, NBJ_BATCH(.timeout_ns = NBJ_SECONDS(1)), &b, NULL), NBJ_OK);
    add(b, "busy.a", "1");
    add(b, "busy.a", "2");
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_JS_UNAVAILABLE);
    assert_true(r.outcome == NBJ_REJECTED && r.error.err_code == 10210);
    nbj_batch_release(b);
}

static void test_options(void **state)
{
    nbj_client *c = open_one();
    nbj_batch_result r;
    nbj_error error = { 0 };

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "HOLD", "hold.>", ",\"allow_atomic\":true,\"allow_msg_ttl\":true");
    assert_int_equal(nbj_publish(c, "hold.x", none, NULL, NULL), NBJ_OK);
    nbj_batch *b = begin(c);
    assert_int_equal(nbj_batch_add(b, "hold.a", none, NBJ_PUBLISH(.expect_last_sequence = 1, .expect_stream = "HOLD")),
                     NBJ_OK);
    assert_int_equal(nbj_batch_add(b, "hold.b", none,
                                   NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET, .msg_id = "an-id",
                                               .ttl_ns = NBJ_SECONDS(60))),
                     NBJ_OK);
    assert_int_equal(nbj_batch_add(b, "hold.b", none, NBJ_PUBLISH(.ttl_ns = 1, .error = &error)), NBJ_E_INVALID);
    assert_int_equal(error.status, NBJ_E_INVALID);
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_OK);
    assert_true(r.ack.sequence == 3);
    nbj_batch_release(b);
    assert_non_null(strstr(api(c, "STREAM.MSG.GET.HOLD", "{\"seq\":3}"), "\"hdrs\":\""));
    b = begin(c); /* it holds no more */
    assert_int_equal(nbj_batch_add(b, "hold.a", none, NBJ_PUBLISH(.expect_last_sequence = 1)), NBJ_OK);
    add(b, "hold.a", "x");
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_WRONG_LAST_SEQUENCE);
    nbj_batch_release(b);
    assert_true(stored_in(c, "HOLD") == 3);
}

/* -- callbacks -- */

typedef struct outcome {
    nbj_client *client;
    nbj_batch *batch;
    atomic_uint calls;
    nbj_batch_result result;
    bool on_callback_thread;
    nbj_status inner;
} outcome;

static void on_result(void *user, const nbj_batch_result *result)
{
    outcome *o = user;

    o->result = *result;
    o->on_callback_thread = is_callback_thread();
    o->calls++;
}

static void test_callback(void **state)
{
    nbj_client *c = open_one();
    outcome o = { .client = c };

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "CALL", "call.>", ",\"allow_atomic\":true");
    nbj_batch *b = begin(c);
    add(b, "call.a", "1");
    add(b, "call.a", "2");
    assert_int_equal(nbj_batch_commit_async(b, on_result, &o), NBJ_OK);
    assert_int_equal(nbj_batch_commit_async(b, on_result, &o), NBJ_E_STATE);
    WAIT_UNTIL(o.calls == 1, SOON_MS);
    assert_true(o.on_callback_thread && o.result.outcome == NBJ_STORED && o.result.ack.count == 2);
    nbj_batch_release(b);
    assert_int_equal(o.calls, 1);
}

/* A batch within the callback of another, which gives both back. */
static void on_first(void *user, const nbj_batch_result *result)
{
    outcome *o = user;
    nbj_batch *b = NULL;

    nbj_batch_release(o->batch);
    o->inner = nbj_batch_begin(o->client, NULL, &b, NULL);
    if (o->inner == NBJ_OK)
        o->inner = nbj_batch_add(b, "inner.a", none, NULL);
    if (o->inner == NBJ_OK)
        o->inner = nbj_batch_commit(b, &o->result);
    nbj_batch_release(b);
    o->calls += result->outcome == NBJ_STORED;
}

static void test_within_a_callback(void **state)
{
    nbj_client *c = open_one();
    outcome o = { .client = c };

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "INNER", "inner.>", ",\"allow_atomic\":true");
    o.batch = begin(c);
    add(o.batch, "inner.a", "1");
    assert_int_equal(nbj_batch_commit_async(o.batch, on_first, &o), NBJ_OK);
    WAIT_UNTIL(o.calls == 1, SOON_MS);
    assert_int_equal(o.inner, NBJ_OK);
    assert_true(o.result.ack.sequence == 2);
}

static void test_released_before_its_outcome(void **state)
{
    nbj_client *c = open_one();
    outcome o = { .client = c };

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "GONE", "gone.>", ",\"allow_atomic\":true");
    for (int i = 0; i < 50; i++) {
        nbj_batch *b = begin(c);
        add(b, "gone.a", "1");
        add(b, "gone.a", "2");
        assert_int_equal(nbj_batch_commit_async(b, on_result, &o), NBJ_OK);
        nbj_batch_release(b);
        unsigned calls = o.calls; /* none after that */
        flush(c);
        assert_int_equal(o.calls, calls);
    }
}

static void test_draining(void **state)
{
    nbj_client *c = open_one();
    outcome o = { .client = c };

    (void)state;
    if (!has_batches())
        return;
    make_stream(c, "DRAIN", "drain.>", ",\"allow_atomic\":true");
    nbj_batch *b = begin(c), *late = begin(c);
    for (int i = 0; i < 500; i++)
        add(b, "drain.a", "x");
    add(late, "drain.a", "x");
    assert_int_equal(nbj_batch_commit_async(b, on_result, &o), NBJ_OK);
    nbj_client_drain_async(c, SOON);
    nbj_status st = nbj_batch_commit(late, NULL);
    assert_true(st == NBJ_E_DRAINING || st == NBJ_E_CLOSED);
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_CLOSED, SOON_MS);
    assert_true(o.calls == 1 && o.result.outcome == NBJ_STORED);
    nbj_batch_release(b);
    nbj_batch_release(late);
}

/* -- losses -- */

/* The connection is lost after so many octets of the batch: all of it is stored once, or not known. */
static void test_losses(void **state)
{
    static char payload[1000];
    nbj_client *direct = open_one();
    unsigned long long expected = 0;

    (void)state;
    if (!has_batches())
        return;
    memset(payload, 'x', sizeof payload - 1);
    make_stream(direct, "LOSS", "loss.>", ",\"allow_atomic\":true");
    for (uint64_t octets = 100; octets < 60000; octets += 3700) {
        char url[64];
        ts_proxy *proxy = ts_proxy_start(ts_server_port(server));
        snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(proxy));
        nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = url));
        outcome o = { .client = c };
        nbj_batch *b = begin(c);
        for (int i = 0; i < 50; i++)
            add(b, "loss.a", payload);
        ts_proxy_cut_after(proxy, TS_TO_SERVER, octets, TS_RST);
        assert_int_equal(nbj_batch_commit_async(b, on_result, &o), NBJ_OK);
        WAIT_UNTIL(o.calls == 1, SOON_MS);
        unsigned long long n = stored_in(direct, "LOSS");
        if (o.result.outcome == NBJ_STORED)
            expected += 50;
        else if (o.result.outcome == NBJ_UNKNOWN && n == expected + 50)
            expected = n;
        assert_int_not_equal(o.result.outcome, NBJ_REJECTED);
        assert_true(n == expected);
        nbj_batch_release(b);
        give_back(c);
        ts_proxy_free(proxy);
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
        cmocka_unit_test_teardown(test_refused, end_test),
        cmocka_unit_test_teardown(test_too_large, end_test),
        cmocka_unit_test_teardown(test_too_many_at_once, end_test),
        cmocka_unit_test_teardown(test_options, end_test),
        cmocka_unit_test_teardown(test_callback, end_test),
        cmocka_unit_test_teardown(test_within_a_callback, end_test),
        cmocka_unit_test_teardown(test_released_before_its_outcome, end_test),
        cmocka_unit_test_teardown(test_draining, end_test),
        cmocka_unit_test_teardown(test_losses, end_test),
        cmocka_unit_test_teardown(test_misuse, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
