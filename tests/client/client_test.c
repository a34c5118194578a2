/* SPDX-License-Identifier: Apache-2.0 */
/* A client's life, sending, subscribing and requesting, through the public API: nbj/client.h, pubsub.h, request.h. */
#define _GNU_SOURCE
#include "client/fixture.h"

#include <time.h>

static served s;

/* --- life --- */

static void test_life(void **state)
{
    (void)state;
    char address[64], tiny[8];
    served_open(&s, NBJ_CLIENT_OPTIONS(.name = "tester"));
    s.server.mini.info = "INFO {\"server_id\":\"ID\",\"server_name\":\"one\",\"version\":\"2.10.27\",\"headers\":true,"
                         "\"max_payload\":1000,\"client_id\":9}\r\n";
    int fd = nbj_loop_fd(s.client);
    assert_false(nbj_client_is_connected(s.client));
    assert_int_equal(nbj_client_server_address(s.client, address, sizeof address), NBJ_E_DISCONNECTED);
    assert_string_equal(ts_text(nbj_client_server_version, s.client), "");
    assert_int_equal(nbj_client_max_payload(s.client), 0);
    assert_int_equal(nbj_loop_timeout_ns(s.client), 0);
    TURN_UNTIL(&s, served_ends_with(&s, "C"));
    assert_true(nbj_client_is_connected(s.client));
    assert_int_equal(nbj_client_server_address(s.client, address, sizeof address), NBJ_OK);
    assert_string_equal(address, s.server.url + strlen("nats://"));
    assert_int_equal(nbj_client_server_address(s.client, tiny, sizeof tiny), NBJ_E_FULL);
    assert_int_equal(nbj_client_server_address(s.client, tiny, 0), NBJ_E_INVALID);
    assert_string_equal(ts_text(nbj_client_server_version, s.client), "2.10.27");
    assert_string_equal(ts_text(nbj_client_server_name, s.client), "one");
    assert_string_equal(ts_text(nbj_client_server_id, s.client), "ID");
    assert_int_equal(nbj_client_id(s.client), 9);
    assert_int_equal(nbj_client_max_payload(s.client), 1000);
    uint64_t wait = nbj_loop_timeout_ns(s.client);
    assert_true(wait > NBJ_SECONDS(20) && wait <= NBJ_SECONDS(30)); /* the next PING */
    nbj_client_reconnect(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "R"));
    assert_int_equal(s.error.status, NBJ_OK);
    assert_int_equal(nbj_client_stats_of(s.client).reconnects, 1);
    assert_int_equal(nbj_loop_fd(s.client), fd);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_string_equal(s.trail, "CDRX");
    assert_int_equal(nbj_loop_process(s.client), NBJ_E_CLOSED);
    assert_int_equal(nbj_loop_timeout_ns(s.client), NBJ_TIME_NEVER);
    nbj_client_close(s.client);
    nbj_client_drain_async(s.client, 1);
    nbj_client_reconnect(s.client);
    assert_int_equal(nbj_loop_process(s.client), NBJ_E_CLOSED);
    assert_string_equal(s.trail, "CDRX"); /* exactly one, last */
    served_end(&s);
}

static void test_everything_after_close(void **state)
{
    (void)state;
    heard h = { 0 };
    outcome o = { 0 };
    nbj_sub *sub = (nbj_sub *)&h;
    nbj_pull *pull = (nbj_pull *)&h;
    nbj_bytes none = nbj_view(NULL, 0);
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(nbj_send(s.client, "a", none, NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_subscribe(s.client, "a", NULL, heard_msg, &h, &sub), NBJ_E_CLOSED);
    assert_null(sub);
    assert_int_equal(nbj_request_async(s.client, "a", none, NULL, heard_reply, &h), NBJ_E_CLOSED);
    assert_int_equal(nbj_request_many_async(s.client, "a", none, NULL, heard_reply, &h), NBJ_E_CLOSED);
    assert_int_equal(nbj_flush_async(s.client, 0, heard_flush, &h), NBJ_E_CLOSED);
    assert_int_equal(nbj_publish_async(s.client, "a", none, NULL, heard_outcome, &o), NBJ_E_CLOSED);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S"), NULL, heard_done, &h),
                     NBJ_E_CLOSED);
    assert_int_equal(nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "C"), NULL, &h, &pull),
                     NBJ_E_INVALID);
    assert_null(pull);
    assert_int_equal(h.calls + o.calls, 0);
    served_end(&s);
}

static void test_release_with_everything_open(void **state)
{
    (void)state;
    heard h = { 0 };
    outcome o = { 0 };
    nbj_sub *sub = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "a", NBJ_SUB(.on_end = heard_end), heard_msg, &h, &sub), NBJ_OK);
    assert_int_equal(nbj_request_async(s.client, "a", nbj_str("x"), NULL, heard_reply, &h), NBJ_OK);
    assert_int_equal(nbj_request_many_async(s.client, "a", nbj_str("x"), NULL, heard_reply, &h), NBJ_OK);
    assert_int_equal(nbj_flush_async(s.client, 0, heard_flush, &h), NBJ_OK);
    assert_int_equal(nbj_publish_async(s.client, "a", nbj_str("x"), NULL, heard_outcome, &o), NBJ_OK);
    nbj_client_release(s.client); /* before the subscription */
    s.client = NULL;
    assert_int_equal(h.calls + h.ends + o.calls, 0); /* without events */
    assert_string_equal(s.trail, "C");
    nbj_sub_release(sub);
    served_end(&s);
}

static void release_at_once(served *x, const nbj_event *ev)
{
    (void)ev;
    nbj_client *c = x->client;
    x->client = NULL;
    nbj_client_release(c);
}

static void test_release_in_an_event(void **state)
{
    (void)state;
    served_open(&s, NBJ_CLIENT_OPTIONS());
    s.on_event = release_at_once;
    nbj_client *c = s.client;
    for (int i = 0; i < 1000 && s.client != NULL; i++) {
        loopback_turn(&s.server);
        (void)nbj_loop_turn(c, NBJ_MILLIS(2));
    }
    assert_null(s.client);
    assert_string_equal(s.trail, "C");
    served_end(&s);
}

static void process_within(served *x, const nbj_event *ev)
{
    (void)ev;
    assert_int_equal(nbj_loop_process(x->client), NBJ_E_STATE);
}

static void test_process_in_a_callback(void **state)
{
    (void)state;
    served_open(&s, NBJ_CLIENT_OPTIONS());
    s.on_event = process_within;
    TURN_UNTIL(&s, served_ends_with(&s, "C"));
    s.on_event = NULL;
    served_end(&s);
}

/* --- sending and subscribing --- */

static void test_send_and_receive(void **state)
{
    (void)state;
    heard h = { 0 };
    nbj_sub *sub = NULL;
    nbj_header header = { nbj_str("A"), nbj_str("1") };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(
        nbj_subscribe(s.client, "a.*", NBJ_SUB(.max_messages = 2, .on_end = heard_end), heard_msg, &h, &sub), NBJ_OK);
    assert_int_equal(nbj_send(s.client, "a.b", nbj_str("one"), NBJ_SEND(.headers = &header, .header_count = 1)),
                     NBJ_OK);
    assert_int_equal(nbj_send(s.client, "a.*", nbj_str("one"), NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_send(s.client, NULL, nbj_str("one"), NULL), NBJ_E_BAD_SUBJECT);
    TURN_UNTIL(&s, h.calls == 1);
    assert_string_equal(h.text, "one");
    assert_int_equal(nbj_sub_stats_of(sub).delivered, 1);
    assert_int_equal(nbj_send(s.client, "a.c", nbj_str("two"), NULL), NBJ_OK);
    TURN_UNTIL(&s, h.ends == 1);
    assert_int_equal(h.calls, 2);
    assert_int_equal(h.status, NBJ_OK);
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_E_STATE);
    assert_int_equal(nbj_sub_drain(sub), NBJ_E_STATE);
    nbj_client_stats stats = nbj_client_stats_of(s.client);
    assert_int_equal(stats.in_msgs, 2);
    assert_int_equal(stats.out_msgs, 2);
    assert_int_equal(stats.in_bytes, stats.out_bytes);
    nbj_sub_release(sub);
    nbj_sub_release(NULL);
    served_end(&s);
}

static void test_queue(void **state)
{
    (void)state;
    nbj_sub *sub = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "q", NBJ_SUB(.limit_messages = 2), NULL, NULL, &sub), NBJ_OK);
    assert_null(ts_next(sub));
    for (int i = 0; i < 4; i++)
        assert_int_equal(nbj_send(s.client, "q", nbj_str("m"), NULL), NBJ_OK);
    TURN_UNTIL(&s, nbj_sub_stats_of(sub).dropped == 2);
    assert_int_equal(nbj_sub_stats_of(sub).pending, 2);
    assert_string_equal(s.trail, "CS");
    assert_int_equal(nbj_client_stats_of(s.client).dropped, 2);
    nbj_msg *m = ts_next(sub);
    assert_non_null(m);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    nbj_msg *last = ts_next(sub); /* what came can still be taken */
    assert_non_null(last);
    assert_null(ts_next(sub));
    nbj_sub_release(sub);
    assert_true(nbj_bytes_equal(nbj_msg_data(m), nbj_str("m")));
    nbj_msg_release(m);
    nbj_msg_release(last);
    served_end(&s);
}

typedef struct ender {
    unsigned calls, ends;
    int how;
    nbj_msg *kept;
} ender;

/* Ends something in its own callback; the message stays readable until it returns. */
static void end_something(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    ender *e = user;
    nbj_client *c = s.client;

    e->calls++;
    if (e->how == 0)
        nbj_sub_release(sub);
    if (e->how == 1)
        assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK);
    if (e->how == 2)
        nbj_client_close(c);
    if (e->how == 3)
        nbj_client_reconnect(c);
    if (e->how == 4) {
        s.client = NULL;
        nbj_client_release(c);
    }
    assert_true(nbj_bytes_equal(nbj_msg_data(msg), nbj_str("payload")));
    assert_true(nbj_bytes_equal(nbj_msg_subject(msg), nbj_str("a")));
    e->kept = nbj_msg_retain(msg);
}

static void count_end(void *user, nbj_sub *sub, nbj_status why)
{
    (void)sub;
    (void)why;
    ((ender *)user)->ends++;
}

static void test_ending_in_its_own_callback(void **state)
{
    (void)state;
    static const unsigned ends[] = { 0, 1, 1, 0, 0 };
    for (int how = 0; how < 5; how++) {
        ender e = { .how = how };
        nbj_sub *sub = NULL;
        served_connect(&s, NBJ_CLIENT_OPTIONS());
        assert_int_equal(nbj_subscribe(s.client, "a", NBJ_SUB(.on_end = count_end), end_something, &e, &sub), NBJ_OK);
        assert_int_equal(nbj_send(s.client, "a", nbj_str("payload"), NULL), NBJ_OK);
        nbj_client *c = s.client;
        for (int i = 0; i < 2000 && e.calls == 0; i++) {
            loopback_turn(&s.server);
            (void)nbj_loop_turn(c, NBJ_MILLIS(2));
        }
        served_settle(&s);
        assert_int_equal(e.calls, 1);
        assert_int_equal(e.ends, ends[how]);
        assert_true(nbj_bytes_equal(nbj_msg_data(e.kept), nbj_str("payload")));
        nbj_msg_release(e.kept);
        if (how != 0)
            nbj_sub_release(sub);
        served_end(&s);
    }
}

static void test_writable(void **state)
{
    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.max_outgoing_bytes = 300, .wait_when_full = true));
    nbj_status st;
    while ((st = nbj_send(s.client, "nobody", nbj_str("0123456789"), NULL)) == NBJ_OK)
        continue;
    assert_int_equal(st, NBJ_E_WOULD_BLOCK);
    TURN_UNTIL(&s, served_ends_with(&s, "W"));
    assert_int_equal(nbj_send(s.client, "nobody", nbj_str("0123456789"), NULL), NBJ_OK);
    served_end(&s);
}

static void test_server_error(void **state)
{
    (void)state;
    heard h = { 0 };
    nbj_sub *sub = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "secret", NBJ_SUB(.on_end = heard_end), heard_msg, &h, &sub), NBJ_OK);
    mini_put(&s.server.mini, "-ERR 'Permissions Violation for Subscription to \"secret\"'\r\n");
    TURN_UNTIL(&s, h.ends == 1);
    assert_int_equal(h.status, NBJ_E_PERMISSION_SUBSCRIBE);
    assert_string_equal(s.trail, "CE");
    assert_int_equal(s.error.status, NBJ_E_PERMISSION_SUBSCRIBE);
    assert_true(nbj_client_is_connected(s.client));
    nbj_sub_release(sub);
    served_end(&s);
}

/* --- requests --- */

static void answer(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    char reply[128];

    (void)sub;
    (void)user;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    for (int i = 0; i < 2; i++)
        assert_int_equal(nbj_send(s.client, reply, nbj_str("pong"), NULL), NBJ_OK);
}

static void test_requests(void **state)
{
    (void)state;
    heard one = { 0 }, none = { 0 }, many = { 0 }, late = { 0 };
    nbj_sub *service = NULL, *deaf = NULL;
    nbj_bytes data = nbj_str("ping");
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "svc", NULL, answer, NULL, &service), NBJ_OK);
    assert_int_equal(nbj_subscribe(s.client, "deaf", NULL, heard_msg, &late, &deaf), NBJ_OK);
    assert_int_equal(nbj_request_async(s.client, "svc", data, NULL, heard_reply, &one), NBJ_OK);
    assert_int_equal(nbj_request_async(s.client, "nobody", data, NULL, heard_reply, &none), NBJ_OK);
    assert_int_equal(nbj_request_many_async(s.client, "svc", data, NBJ_REQUEST(.max_replies = 2), heard_reply, &many),
                     NBJ_OK);
    TURN_UNTIL(&s, one.calls + none.calls + many.calls == 3);
    assert_int_equal(one.status, NBJ_OK);
    assert_string_equal(one.text, "pong");
    assert_int_equal(none.status, NBJ_E_NO_RESPONDERS);
    assert_int_equal(many.status, NBJ_OK);
    assert_int_equal(many.replies, 2);
    heard timeout = { 0 };
    nbj_time begin = ts_now();
    assert_int_equal(
        nbj_request_async(s.client, "deaf", data, NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(30)), heard_reply, &timeout),
        NBJ_OK);
    TURN_UNTIL(&s, timeout.calls == 1);
    assert_int_equal(timeout.status, NBJ_E_TIMEOUT);
    assert_true(ts_now() - begin >= NBJ_MILLIS(30));
    assert_int_equal(nbj_request_async(s.client, "svc", data, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_request_async(s.client, "bad subject", data, NULL, heard_reply, &one), NBJ_E_BAD_SUBJECT);
    nbj_sub_release(service);
    nbj_sub_release(deaf);
    served_settle(&s);
    assert_int_equal(one.calls, 1);
    served_end(&s);
}

static void test_requests_over_a_loss(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        heard h = { 0 }, other = { 0 };
        nbj_sub *deaf = NULL;
        served_connect(&s, NBJ_CLIENT_OPTIONS(.fail_requests_on_loss = fails != 0));
        assert_int_equal(nbj_subscribe(s.client, "deaf", NULL, heard_msg, &other, &deaf), NBJ_OK);
        assert_int_equal(nbj_request_async(s.client, "deaf", nbj_str("x"),
                                           NBJ_REQUEST(.timeout_ns = fails != 0 ? NBJ_SECONDS(10) : NBJ_MILLIS(300)),
                                           heard_reply, &h),
                         NBJ_OK);
        TURN_UNTIL(&s, other.calls == 1);
        loopback_drop(&s.server, false);
        TURN_UNTIL(&s, h.calls == 1);
        assert_int_equal(h.status, fails != 0 ? NBJ_E_DISCONNECTED : NBJ_E_TIMEOUT);
        nbj_sub_release(deaf);
        served_end(&s);
    }
}

static void test_flush(void **state)
{
    (void)state;
    heard h = { 0 }, lost = { 0 }, early = { 0 };
    served_open(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_flush_async(s.client, 0, heard_flush, &early), NBJ_OK); /* waits for a connection */
    assert_int_equal(nbj_flush_async(s.client, 0, NULL, NULL), NBJ_E_INVALID);
    TURN_UNTIL(&s, early.calls == 1);
    assert_int_equal(early.status, NBJ_OK);
    assert_int_equal(nbj_flush_async(s.client, 0, heard_flush, &h), NBJ_OK);
    TURN_UNTIL(&s, h.calls == 1);
    assert_int_equal(h.status, NBJ_OK);
    s.server.is_deaf = true;
    assert_int_equal(nbj_flush_async(s.client, 0, heard_flush, &lost), NBJ_OK);
    served_settle(&s);
    loopback_drop(&s.server, true);
    s.server.is_deaf = false;
    TURN_UNTIL(&s, lost.calls == 1);
    assert_int_equal(lost.status, NBJ_E_DISCONNECTED);
    served_end(&s);
}

/* --- drain --- */

static void test_idle_drain_is_quick(void **state)
{
    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    served_settle(&s);
    nbj_time begin = ts_now();
    nbj_client_drain_async(s.client, NBJ_SECONDS(60));
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.error.status, NBJ_OK);
    assert_true(ts_now() - begin < NBJ_SECONDS(5)); /* it does not wait for its deadline */
    served_end(&s);
}

static void test_drain(void **state)
{
    (void)state;
    heard h = { 0 };
    nbj_sub *service = NULL, *queue = NULL;
    outcome o = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "svc", NULL, answer, NULL, &service), NBJ_OK);
    assert_int_equal(nbj_subscribe(s.client, "q", NULL, NULL, NULL, &queue), NBJ_OK);
    assert_int_equal(nbj_send(s.client, "q", nbj_str("wait for me"), NULL), NBJ_OK);
    assert_int_equal(nbj_request_async(s.client, "svc", nbj_str("x"), NULL, heard_reply, &h), NBJ_OK);
    nbj_client_drain_async(s.client, NBJ_SECONDS(60));
    nbj_client_drain_async(s.client, 1); /* it drains already */
    assert_int_equal(nbj_publish_async(s.client, "js.a", nbj_str("x"), NULL, heard_outcome, &o), NBJ_E_DRAINING);
    TURN_UNTIL(&s, h.calls == 1 && nbj_sub_stats_of(queue).pending == 1);
    assert_int_equal(h.status, NBJ_OK);
    served_settle(&s);
    assert_int_equal(nbj_publish_async(s.client, "js.a", nbj_str("x"), NULL, heard_outcome, &o), NBJ_E_DRAINING);
    assert_string_equal(s.trail, "C");
    nbj_msg_release(ts_next(queue));
    assert_int_equal(nbj_loop_timeout_ns(s.client), 0); /* goes on at once */
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.error.status, NBJ_OK);
    nbj_sub_release(service);
    nbj_sub_release(queue);
    served_end(&s);
}

static void test_drain_timeout(void **state)
{
    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    s.server.is_deaf = true;
    nbj_client_drain_async(s.client, NBJ_MILLIS(30));
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.error.status, NBJ_E_TIMEOUT);
    served_end(&s);
}

static void test_drain_loses_its_connection(void **state)
{
    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    s.server.is_deaf = true;
    nbj_client_drain_async(s.client, NBJ_SECONDS(60));
    served_settle(&s);
    loopback_drop(&s.server, false);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.error.status, NBJ_E_DISCONNECTED);
    served_end(&s);
}

/* --- time --- */

static void nap(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* What came in time counts, however late the loop looks. */
static void test_answers_that_wait_are_in_time(void **state)
{
    (void)state;
    heard h = { 0 };
    outcome o = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_request_async(s.client, "nobody", nbj_str("x"), NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(400)),
                                       heard_reply, &h),
                     NBJ_OK);
    assert_int_equal(nbj_publish_async(s.client, "js.a", nbj_str("x"), NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(400)),
                                       heard_outcome, &o),
                     NBJ_OK);
    (void)nbj_loop_process(s.client); /* writes */
    for (int i = 0; i < 10; i++)
        loopback_turn(&s.server); /* answers */
    nap(450);
    (void)nbj_loop_process(s.client);
    served_settle(&s);
    assert_int_equal(h.calls + o.calls, 2);
    assert_int_equal(h.status, NBJ_E_NO_RESPONDERS);
    assert_int_equal(o.what, NBJ_STORED);
    served_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_everything_after_close),
        cmocka_unit_test(test_release_with_everything_open),
        cmocka_unit_test(test_release_in_an_event),
        cmocka_unit_test(test_process_in_a_callback),
        cmocka_unit_test(test_send_and_receive),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_ending_in_its_own_callback),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_server_error),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_over_a_loss),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_idle_drain_is_quick),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_timeout),
        cmocka_unit_test(test_drain_loses_its_connection),
        cmocka_unit_test(test_answers_that_wait_are_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
