/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of the library's threads: none with an event loop, one without callbacks, two at most with them; none when
 * the client was given back; and they take no signals of the program's. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "server.h"
#include "thread_client.h"

static ts_server *server;

static void nothing(void *arg, size_t i)
{
    (void)arg;
    (void)i;
}

static int start(void **state)
{
    ts_threads one;

    (void)state;
    ts_threads_start(&one, 1, nothing, NULL); /* with the first thread a sanitizer may start one of its own */
    ts_threads_join(&one, TS_THREADED_MS);
    server = ts_server_start(&(ts_server_options){ .jetstream = true });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ts_server_free(server);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    ts_threaded_free_all();
    return 0;
}

static void test_no_threads_with_an_event_loop(void **state)
{
    unsigned before = ts_count_threads(NULL);
    ts_client *c = ts_client_at(ts_server_url(server));
    ts_sink in = { 0 };

    (void)state;
    ts_subscribe(c, &in, "in");
    ts_send(c, "in", "x");
    ts_flush(c);
    TURN_UNTIL(in.count == 1, TS_WAIT_MS);
    assert_int_equal(ts_count_threads(NULL), before);
    ts_sink_free(&in);
}

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    ts_tally_add(user, 1);
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)pull;
    ts_tally_add(user, nbj_ack(msg) == NBJ_OK);
}

static void on_result(void *user, const nbj_publish_result *result)
{
    ts_tally_add(user, nbj_is_stored(result));
}

/* All that works without a callback is done by one thread. */
static void test_one_thread_without_callbacks_two_with(void **state)
{
    unsigned before = ts_count_threads(NULL);
    nbj_client *c = NULL;
    nbj_sub *read = NULL, *called = NULL;
    nbj_pull *pull = NULL;
    nbj_msg *msg = NULL;
    ts_tally calls;

    (void)state;
    ts_tally_init(&calls);
    assert_int_equal(nbj_client_open(&c, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), NULL), NBJ_OK);
    assert_int_equal(nbj_subscribe(c, "in", NULL, NULL, NULL, &read), NBJ_OK);
    assert_int_equal(nbj_send(c, "in", nbj_str("x"), NULL), NBJ_OK);
    assert_int_equal(nbj_sub_next(read, NBJ_SECONDS(5), &msg), NBJ_OK);
    nbj_msg_release(msg);
    assert_int_equal(
        nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "T", .subjects = NBJ_LIST("t.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    assert_int_equal(nbj_publish(c, "t.x", nbj_str("x"), NULL, NULL), NBJ_OK);
    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    nbj_client_reconnect(c);
    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    ts_await_threads(1, 0);
    assert_int_equal(ts_count_threads(NULL), before + 1);
    assert_true(ts_threads_take_no_signals(TS_IO_THREAD));

    assert_int_equal(nbj_subscribe(c, "in", NULL, on_msg, &calls, &called), NBJ_OK);
    assert_int_equal(nbj_send(c, "in", nbj_str("x"), NULL), NBJ_OK);
    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "T", .durable = "d"), on_delivery, &calls, &pull),
                     NBJ_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(nbj_publish_async(c, "t.x", nbj_str("x"), NULL, on_result, &calls), NBJ_OK);
    TALLY_AWAIT(&calls, 1 + 1 + 100 + 100, TS_THREADED_MS);
    ts_await_threads(1, 1);
    assert_int_equal(ts_count_threads(NULL), before + 2);
    assert_true(ts_threads_take_no_signals(TS_IO_THREAD));
    assert_true(ts_threads_take_no_signals(TS_CALLBACK_THREAD));
    nbj_sub_release(called);
    nbj_sub_release(read);
    nbj_pull_release(pull);
    nbj_client_release(c);
    assert_int_equal(ts_count_threads(NULL), before); /* joined, not only told to end */
    ts_tally_done(&calls);
}

static void test_threads_are_each_clients_own(void **state)
{
    ts_threaded *c[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        c[i] = ts_threaded_at(ts_server_url(server));
    ts_await_threads(3, 3);
    nbj_client_close(c[0]->client); /* a closed one has them until it is given back */
    (void)ts_threaded_await_closed(c[0]);
    ts_threaded_free(c[0]);
    ts_await_threads(2, 2);
    ts_threaded_free(c[1]);
    ts_threaded_free(c[2]);
    assert_int_equal(ts_count_threads(TS_IO_THREAD) + ts_count_threads(TS_CALLBACK_THREAD), 0);
}

static void test_no_threads_after_a_failed_open(void **state)
{
    unsigned before = ts_count_threads(NULL);
    nbj_client *c = NULL;

    (void)state;
    assert_int_equal(nbj_client_open(&c, NBJ_CLIENT_OPTIONS(.url = "nats://127.0.0.1:1"), NULL), NBJ_E_REFUSED);
    assert_null(c);
    assert_int_equal(ts_count_threads(NULL), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_no_threads_with_an_event_loop, end_test),
        cmocka_unit_test_teardown(test_one_thread_without_callbacks_two_with, end_test),
        cmocka_unit_test_teardown(test_threads_are_each_clients_own, end_test),
        cmocka_unit_test_teardown(test_no_threads_after_a_failed_open, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
