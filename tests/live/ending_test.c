/* SPDX-License-Identifier: Apache-2.0 */
/* How a client ends: drained without loss, closed or released wherever that is called. CLOSED comes once, last. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "port.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>

static ts_server *server;

static int start_server(void **state)
{
    (void)state;
    server = ts_server_start(&(ts_server_options){ .jetstream = true });
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    ts_server_free(server);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

static ts_client *connect_one(void)
{
    return ts_client_at(ts_server_url(server));
}

static ts_raw *open_raw(void)
{
    return ts_raw_open(ts_server_port(server));
}

static void send_numbers(ts_client *c, const char *subject, int count)
{
    char number[16];

    for (int i = 0; i < count; i++) {
        snprintf(number, sizeof number, "%d", i);
        ts_send(c, subject, number);
    }
}

static void check_closed(ts_client *c, nbj_status why)
{
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);

    if (e->status != why)
        TS_FAIL("closed with %d \"%s\" instead of %d", e->status, e->text, why);
    TURN_UNTIL(c->closed, TS_WAIT_MS);
    assert_int_equal(nbj_loop_process(c->client), NBJ_E_CLOSED);
    assert_int_equal(nbj_loop_timeout_ns(c->client), NBJ_TIME_NEVER);
    assert_ptr_equal(strchr(c->trail, 'X'), c->trail + c->events - 1);
}

/* -- drain -- */

static void test_drain_delivers_all(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = open_raw();
    ts_sink in = { 0 };
    ts_answer a = { 0 };
    ts_done flush = { 0 };

    (void)state;
    ts_raw_sub(r, "out", "1");
    ts_raw_sub(r, "ask", "2");
    ts_subscribe(c, &in, "in");
    ts_flush(c);
    ts_publish_numbers(r, "in", 0, 2000);
    send_numbers(c, "out", 2000);
    assert_int_equal(nbj_request_async(c->client, "ask", nbj_str("?"), NULL, ts_on_reply, &a), NBJ_OK);
    assert_int_equal(nbj_flush_async(c->client, 0, ts_on_flushed, &flush), NBJ_OK);
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    assert_int_equal(nbj_loop_timeout_ns(c->client), 0);
    TURN_UNTIL(in.ended == 1, TS_WAIT_MS);
    CHECK("all that was on its way", ts_sink_counts(&in, 0, 2000) && in.why == NBJ_OK);
    for (int i = 0; i < 2000; i++) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        CHECK("all that was sent", ts_same(m.payload, want));
    }
    ts_turn_for(30);
    assert_string_equal(c->trail, "C"); /* it waits for the answer */
    nbj_bytes to = ts_raw_next(r, TS_RAW_MS).reply;
    ts_raw_printf(r, "PUB %.*s 2\r\n42\r\n", NBJ_FMT(to));
    check_closed(c, NBJ_OK);
    CHECK("the answer", a.calls == 1 && a.status == NBJ_OK && ts_same(nbj_msg_data(a.msg), "42"));
    CHECK("the flush", flush.calls == 1 && flush.status == NBJ_OK);
    assert_string_equal(c->trail, "CX");
    ts_answer_free(&a);
    ts_sink_free(&in);
    ts_raw_close(r);
}

/* What callbacks send while the last messages come in still leaves. */
static void forward(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    ts_client *c = user;

    (void)sub;
    assert_int_equal(nbj_send(c->client, "forwarded", nbj_msg_data(msg), NULL), NBJ_OK);
}

static void test_drain_lets_callbacks_send(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = open_raw();
    nbj_sub *sub, *none;

    (void)state;
    ts_raw_sub(r, "forwarded", "1");
    assert_int_equal(nbj_subscribe(c->client, "forward", NULL, forward, c, &sub), NBJ_OK);
    ts_flush(c);
    ts_publish_numbers(r, "forward", 0, 1000);
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    nbj_client_drain_async(c->client, NBJ_SECONDS(10)); /* twice is once */
    (void)ts_turn(0);
    assert_int_equal(nbj_subscribe(c->client, "more", NULL, forward, c, &none), NBJ_E_DRAINING);
    check_closed(c, NBJ_OK);
    for (int i = 0; i < 1000; i++) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        CHECK("forwarded", ts_same(m.payload, want));
    }
    assert_int_equal(nbj_send(c->client, "x", nbj_str("x"), NULL), NBJ_E_CLOSED);
    nbj_sub_release(sub);
    ts_raw_close(r);
}

static void test_drain_of_nothing(void **state)
{
    ts_client *c = connect_one();

    (void)state;
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    check_closed(c, NBJ_OK);
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    nbj_client_close(c->client);
    assert_int_equal(nbj_loop_process(c->client), NBJ_E_CLOSED);
}

static void test_drain_ends_at_its_deadline(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = open_raw();
    ts_answer a = { 0 };
    nbj_time before = ts_now();

    (void)state;
    ts_raw_sub(r, "silence", "1");
    assert_int_equal(nbj_request_async(c->client, "silence", nbj_str("?"), NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(60)),
                                       ts_on_reply, &a),
                     NBJ_OK);
    nbj_client_drain_async(c->client, NBJ_MILLIS(200));
    check_closed(c, NBJ_E_TIMEOUT);
    CHECK("not before", ts_now() - before >= NBJ_MILLIS(200));
    CHECK("the request ended", a.calls == 1 && a.status == NBJ_E_CLOSED);
    ts_raw_close(r);
}

static void test_drain_without_a_connection(void **state)
{
    ts_port nobody = ts_port_reserve();
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", nobody.number);
    for (int unsent = 0; unsent < 2; unsent++) {
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = url, .retry_first_connect = true));
        ts_turn_for(20);
        if (unsent)
            ts_send(c, "x", "x");
        nbj_client_drain_async(c->client, NBJ_SECONDS(10));
        check_closed(c, unsent ? NBJ_E_DISCONNECTED : NBJ_OK);
        ts_client_free(c);
    }
    ts_port_release(&nobody);
}

/* The connection is lost while it drains, with messages that the server has not had. */
static void test_drain_over_a_lost_connection(void **state)
{
    ts_proxy *p = ts_proxy_start(ts_server_port(server));
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p));
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = url));
    ts_proxy_stall(p, TS_TO_SERVER, true);
    send_numbers(c, "x", 1000);
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    ts_turn_for(20);
    ts_proxy_cut_now(p, TS_RST);
    (void)ts_await(c, NBJ_EVENT_CLOSED);
    CHECK("not as if all were well", c->error[NBJ_EVENT_CLOSED].status != NBJ_OK);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_proxy_free(p);
}

/* -- close and release, from everywhere -- */

typedef enum place {
    AT_CONNECTED,
    AT_DISCONNECTED,
    AT_MSG,
    AT_REPLY,
    AT_MANY,
    AT_FLUSH,
    AT_END,
    AT_ENSURED,
    AT_PUBLISHED,
    AT_STATE,
    AT_DELIVERY,
    PLACES
} place;

static const char *const place_names[] = { "CONNECTED",
                                           "DISCONNECTED",
                                           "message",
                                           "reply",
                                           "one of many",
                                           "flush",
                                           "end of a subscription",
                                           "stream ensured",
                                           "publish's outcome",
                                           "state of a pull",
                                           "delivery" };

typedef enum way { BY_CLOSE, BY_RELEASE, BY_DRAIN, WAYS } way;

typedef struct ender {
    ts_client *c;
    place place;
    way way;
    nbj_sub *sub;
    nbj_pull *pull;
    unsigned times;
} ender;

static void end_it(ender *e, place here)
{
    if (here != e->place)
        return;
    e->times++;
    if (e->way == BY_CLOSE)
        nbj_client_close(e->c->client);
    else if (e->way == BY_DRAIN)
        nbj_client_drain_async(e->c->client, NBJ_SECONDS(5));
    else
        nbj_client_release(e->c->client);
}

static void event_ends(ts_client *c, const nbj_event *event)
{
    if (event->type == NBJ_EVENT_CONNECTED)
        end_it(c->user, AT_CONNECTED);
    if (event->type == NBJ_EVENT_DISCONNECTED)
        end_it(c->user, AT_DISCONNECTED);
}

static void msg_ends(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    ender *e = user;
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    if (reply[0] != '\0') /* a question; refused once we drain */
        (void)!nbj_send(e->c->client, reply, nbj_msg_data(msg), NULL);
    end_it(e, AT_MSG);
}

static void end_ends(void *user, nbj_sub *sub, nbj_status why)
{
    (void)sub;
    (void)why;
    end_it(user, AT_END);
}

static void reply_ends(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)status;
    (void)reply;
    end_it(user, AT_REPLY);
}

static void many_ends(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)reply;
    if (status == NBJ_MORE)
        end_it(user, AT_MANY);
}

static void flush_ends(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)status;
    (void)round_trip_ns;
    end_it(user, AT_FLUSH);
}

static void ensured_ends(void *user, nbj_status status, const nbj_error *error)
{
    (void)status;
    (void)error;
    end_it(user, AT_ENSURED);
}

static void published_ends(void *user, const nbj_publish_result *result)
{
    (void)result;
    end_it(user, AT_PUBLISHED);
}

static void state_ends(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    (void)pull;
    (void)error;
    if (state == NBJ_PULL_RUNNING)
        end_it(user, AT_STATE);
}

static void delivery_ends(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)pull;
    (void)!nbj_ack(msg);
    end_it(user, AT_DELIVERY);
    (void)!nbj_ack(msg); /* the message in hand is still there */
}

/* All that can call back is under way when the loop begins. */
static void begin_all(ender *e)
{
    const uint64_t short_ns = NBJ_MILLIS(200); /* a reply may be lost with its connection */
    nbj_client *c = e->c->client;
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "END", .subjects = NBJ_LIST("stored"), .storage = NBJ_STORAGE_MEMORY);

    assert_int_equal(nbj_subscribe(c, "end.*", NBJ_SUB(.on_end = end_ends, .max_messages = 8), msg_ends, e, &e->sub),
                     NBJ_OK);
    assert_int_equal(nbj_request_async(c, "end.ask", nbj_str("x"), NBJ_REQUEST(.timeout_ns = short_ns), reply_ends, e),
                     NBJ_OK);
    assert_int_equal(nbj_request_many_async(c, "end.ask", nbj_str("x"),
                                            NBJ_REQUEST(.timeout_ns = short_ns, .max_replies = 1), many_ends, e),
                     NBJ_OK);
    assert_int_equal(nbj_flush_async(c, 0, flush_ends, e), NBJ_OK);
    assert_int_equal(nbj_stream_ensure_async(c, stream, NBJ_CALL(.timeout_ns = short_ns), ensured_ends, e), NBJ_OK);
    for (int i = 0; i < 8; i++) {
        ts_send(e->c, "end.x", "x");
        assert_int_equal(nbj_publish_async(c, "stored", nbj_str("x"), NULL, published_ends, e), NBJ_OK);
    }
    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "END", .durable = "end", .on_state = state_ends),
                                    delivery_ends, e, &e->pull),
                     NBJ_OK);
}

static void test_end_in_callbacks(void **state)
{
    ts_proxy *p = ts_proxy_start(ts_server_port(server));
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p));
    for (int i = 0; i < (int)PLACES * (int)WAYS; i++) {
        ender e = { .place = (place)(i % (int)PLACES), .way = (way)(i / (int)PLACES) };
        const char *name = place_names[e.place];
        e.c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = url));
        e.c->on_event = event_ends;
        e.c->user = &e;
        begin_all(&e);
        if (e.place == AT_DISCONNECTED) {
            (void)ts_await(e.c, NBJ_EVENT_CONNECTED);
            ts_proxy_cut_now(p, TS_RST);
        }
        TURN_UNTIL(e.times > 0 || e.c->closed, TS_WAIT_MS);
        if (e.way == BY_RELEASE) {
            nbj_client *still_there = e.c->client; /* the subscription and the pull hold it */
            CHECK(name, nbj_loop_process(still_there) == NBJ_E_CLOSED && strchr(e.c->trail, 'X') == NULL);
            e.c->client = NULL;
        } else {
            TURN_UNTIL(e.c->closed, TS_WAIT_MS);
            CHECK(name, e.c->trail[e.c->events - 1] == 'X');
        }
        nbj_sub_release(e.sub);
        nbj_pull_release(e.pull);
        CHECK(name, e.times >= 1);
        ts_client_free(e.c);
    }
    ts_proxy_free(p);
}

static void on_event_turn(void *user, nbj_client *client, const nbj_event *event)
{
    char *trail = user;

    trail[strlen(trail)] = ts_letter(event->type);
    assert_int_equal(nbj_loop_process(client), NBJ_E_STATE); /* not from within */
    if (event->type == NBJ_EVENT_CONNECTED)
        nbj_client_drain_async(client, NBJ_SECONDS(10));
}

/* The loop for whoever has none. */
static void test_loop_turn(void **state)
{
    char trail[8] = "";
    nbj_client *c = NULL;
    const nbj_client_options *o =
        NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .on_event = on_event_turn, .user_data = trail);

    (void)state;
    assert_int_equal(nbj_loop_open(&c, o, NULL), NBJ_OK);
    nbj_time until = ts_now() + NBJ_MILLIS(TS_WAIT_MS);
    while (nbj_loop_turn(c, NBJ_MILLIS(100)) == NBJ_OK)
        assert_true(ts_now() < until);
    assert_string_equal(trail, "CX");
    assert_int_equal(nbj_loop_turn(c, 0), NBJ_E_CLOSED);
    nbj_client_release(c);

    assert_int_equal(nbj_loop_open(&c, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), NULL), NBJ_OK);
    while (!nbj_client_is_connected(c))
        assert_int_equal(nbj_loop_turn(c, NBJ_SECONDS(1)), NBJ_OK);
    nbj_time before = ts_now();
    for (int i = 0; i < 5; i++) /* more than the server's own PING can wake */
        assert_int_equal(nbj_loop_turn(c, NBJ_MILLIS(20)), NBJ_OK);
    CHECK("it waits, but no longer than it may",
          ts_now() - before > NBJ_MILLIS(20) && ts_now() - before < NBJ_SECONDS(5));
    nbj_client_release(c);
}

static void test_release_at_any_time(void **state)
{
    ts_client *c;

    (void)state;
    nbj_client_release(NULL);
    ts_client_free(ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)))); /* never turned */
    for (int turns = 0; turns < 6; turns++) {                                         /* while it connects */
        c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)));
        for (int i = 0; i < turns; i++)
            (void)ts_turn(1);
        ts_client_free(c);
    }
    c = connect_one(); /* with things to write, and calls under way */
    ts_answer a = { 0 };
    assert_int_equal(nbj_request_async(c->client, "x", nbj_str("x"), NULL, ts_on_reply, &a), NBJ_OK);
    send_numbers(c, "x", 100);
    ts_client_free(c);
    assert_int_equal(a.calls, 0);
}

static void test_close_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)));
        for (int i = 0; i < turns; i++)
            (void)ts_turn(1);
        nbj_client_close(c->client);
        nbj_client_close(c->client);
        check_closed(c, NBJ_OK);
        nbj_client_reconnect(c->client);
        assert_int_equal(nbj_loop_process(c->client), NBJ_E_CLOSED);
        ts_client_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_drain_delivers_all, end_test),
        cmocka_unit_test_teardown(test_drain_lets_callbacks_send, end_test),
        cmocka_unit_test_teardown(test_drain_of_nothing, end_test),
        cmocka_unit_test_teardown(test_drain_ends_at_its_deadline, end_test),
        cmocka_unit_test_teardown(test_drain_without_a_connection, end_test),
        cmocka_unit_test_teardown(test_drain_over_a_lost_connection, end_test),
        cmocka_unit_test_teardown(test_end_in_callbacks, end_test),
        cmocka_unit_test_teardown(test_loop_turn, end_test),
        cmocka_unit_test_teardown(test_release_at_any_time, end_test),
        cmocka_unit_test_teardown(test_close_at_any_time, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
