/* SPDX-License-Identifier: Apache-2.0 */
/* One server that dies, hangs, comes back or stays away: what a client does, and what it says. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "port.h"
#include "proxy.h"
#include "server.h"

#include <dirent.h>
#include <stdio.h>

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

/* Short waits, so that tests are short. */
#define QUICK(...) \
    NBJ_CLIENT_OPTIONS(.reconnect_first_ns = NBJ_MILLIS(5), .reconnect_max_ns = NBJ_MILLIS(50), __VA_ARGS__)

static const char *url_of(uint16_t port)
{
    static char url[64];

    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port);
    return url;
}

/* -- kill -9 -- */

static void test_kill_and_restart(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(s)));
    ts_sink plain = { 0 }, wild = { 0 }, member = { 0 }, other = { 0 };

    (void)state;
    ts_subscribe(c, &plain, "k.one");
    ts_subscribe(c, &wild, "k.*");
    ts_subscribe_with(c, &member, "k.>", (nbj_sub_options){ .queue_group = "g" });
    ts_subscribe_with(c, &other, "k.>", (nbj_sub_options){ .queue_group = "g" });
    ts_flush(c);
    for (unsigned round = 1; round <= 5; round++) {
        ts_server_kill9(s);
        const nbj_error *e = ts_await(c, NBJ_EVENT_DISCONNECTED);
        assert_int_equal(e->status, NBJ_E_EOF);
        CHECK(e->text, strstr(e->text, "127.0.0.1:") != NULL);
        assert_false(nbj_client_is_connected(c->client));
        ts_server_restart(s);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        ts_raw *r = ts_raw_open(ts_server_port(s));
        ts_flush(c); /* the server has the subscriptions */
        ts_raw_pub(r, "k.one", NULL, "x", 1);
        ts_raw_flush(r);
        ts_flush(c);
        CHECK("all renewed", plain.count == round && wild.count == round);
        CHECK("still a group", member.count + other.count == round);
        ts_raw_close(r);
    }
    assert_string_equal(c->trail, "CDRDRDRDRDR");
    assert_int_equal(nbj_client_stats_of(c->client).reconnects, 5);
    ts_sink_free(&plain);
    ts_sink_free(&wild);
    ts_sink_free(&member);
    ts_sink_free(&other);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_stopped_in_order(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(s)));

    (void)state;
    ts_server_stop(s);
    assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_EOF);
    ts_server_restart(s);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_client_free(c);
    ts_server_free(s);
}

/* Asked for, it does not wait, however short the connection was, and not even for a back-off that has begun. */
static void test_reconnect_at_once(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    ts_client *c =
        ts_client_connect(NBJ_CLIENT_OPTIONS(.url = url_of(ts_proxy_port(p)), .reconnect_first_ns = NBJ_HOURS(1),
                                             .reconnect_max_ns = NBJ_HOURS(1)));

    (void)state;
    for (int i = 0; i < 3; i++) {
        nbj_client_reconnect(c->client);
        assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_CANCELLED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    }
    ts_proxy_cut_now(p, TS_FIN);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_turn_for(20);
    assert_false(nbj_client_is_connected(c->client));
    nbj_client_reconnect(c->client);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_client_free(c);
    ts_proxy_free(p);
    ts_server_free(s);
}

static void test_no_reconnect(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(s), .no_reconnect = true));

    (void)state;
    ts_server_kill9(s);
    assert_int_equal(ts_await(c, NBJ_EVENT_CLOSED)->status, NBJ_E_EOF);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_server_free(s);
}

static void test_max_reconnects(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(s), .max_reconnects = 3));

    (void)state;
    ts_server_kill9(s);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
    assert_int_equal(e->status, NBJ_E_REFUSED);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_server_free(s);
}

/* -- the first connection -- */

static void test_refused(void **state)
{
    ts_port p = ts_port_reserve();
    nbj_error e = ts_refusal(QUICK(.url = url_of(p.number)));
    char address[64];

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", p.number);
    assert_int_equal(e.status, NBJ_E_REFUSED);
    CHECK(e.text, strstr(e.text, address) != NULL && strstr(e.text, "refused") != NULL);
    ts_port_release(&p);
}

static void test_retry_first_connect(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_sink got = { 0 };

    (void)state;
    ts_server_stop(s);
    ts_client *c = ts_client_open(QUICK(.url = ts_server_url(s), .retry_first_connect = true));
    ts_subscribe(c, &got, "x");
    ts_send(c, "x", "0");
    ts_turn_for(200);
    assert_string_equal(c->trail, "");
    ts_server_restart(s);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(c->trail, "C");
    ts_sink_free(&got);
    ts_client_free(c);
    ts_server_free(s);
}

/* The time for connecting begins with the first turn. */
static void test_opened_long_before_the_first_turn(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_open(QUICK(.url = ts_server_url(s), .connect_timeout_ns = NBJ_MILLIS(200)));
    nbj_time later = ts_now() + NBJ_MILLIS(300);

    (void)state;
    WAIT_UNTIL(ts_now() > later, 1000);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    assert_string_equal(c->trail, "C");
    ts_client_free(c);
    ts_server_free(s);
}

static void test_localhost(void **state)
{
    ts_server *s = ts_server_start(NULL);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "localhost:%u", ts_server_port(s));
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = url));
    ts_flush(c);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_name_that_does_not_resolve(void **state)
{
    nbj_error e =
        ts_refusal(NBJ_CLIENT_OPTIONS(.url = "nats://no-such-host.invalid:4222", .connect_timeout_ns = NBJ_SECONDS(8)));

    (void)state;
    CHECK(e.text, e.status == NBJ_E_DNS);
    CHECK(e.text, strstr(e.text, "no-such-host.invalid") != NULL);
}

/* -- a server that hangs -- */

static void test_stopped_process(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(
        QUICK(.url = ts_server_url(s), .ping_interval_ns = NBJ_MILLIS(100), .connect_timeout_ns = NBJ_MILLIS(300)));
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "x");
    ts_turn_for(500); /* several PINGs that are answered */
    assert_string_equal(c->trail, "C");
    ts_server_pause(s);
    nbj_time before = ts_now();
    assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_STALE);
    CHECK("not too early", ts_now() - before >= NBJ_MILLIS(150));
    ts_turn_for(600); /* its socket still accepts; a connection attempt or two end at their deadlines */
    assert_string_equal(c->trail, "CD");
    ts_server_cont(s);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_send(c, "x", "0");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(c->trail, "CDR");
    ts_sink_free(&got);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_black_hole(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));

    (void)state;
    for (int ways = 1; ways <= 3; ways++) { /* to the server, to the client, both */
        ts_client *c = ts_client_connect(QUICK(.url = url_of(ts_proxy_port(p)), .ping_interval_ns = NBJ_MILLIS(50),
                                               .connect_timeout_ns = NBJ_MILLIS(200)));
        ts_proxy_black_hole(p, TS_TO_SERVER, (ways & 1) != 0);
        ts_proxy_black_hole(p, TS_TO_CLIENT, (ways & 2) != 0);
        assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_STALE);
        ts_turn_for(100);
        ts_proxy_black_hole(p, TS_TO_SERVER, false);
        ts_proxy_black_hole(p, TS_TO_CLIENT, false);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        ts_flush(c);
        assert_string_equal(c->trail, "CDR");
        ts_client_free(c);
    }
    ts_proxy_free(p);
    ts_server_free(s);
}

/* Messages are a sign of life, even when PONGs are late. */
static void test_busy_is_not_stale(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    ts_client *c = ts_client_connect(
        QUICK(.url = url_of(ts_proxy_port(p)), .ping_interval_ns = NBJ_MILLIS(50), .max_pings_out = 1));
    ts_raw *r = ts_raw_open(ts_server_port(s));
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "busy");
    ts_flush(c);
    ts_proxy_black_hole(p, TS_TO_SERVER, true); /* no PING arrives any more, but messages come */
    for (int i = 0; i < 50; i++) {
        ts_raw_pub(r, "busy", NULL, "x", 1);
        ts_turn_for(10);
    }
    assert_string_equal(c->trail, "C");
    ts_raw_close(r);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_sink_free(&got);
    ts_client_free(c);
    ts_proxy_free(p);
    ts_server_free(s);
}

/* -- cuts -- */

#define CUT_PAYLOAD 100000

static void test_cut_within_a_payload(void **state)
{
    static const uint64_t octets[] = { 1, 10, 30, 1000, 50000, CUT_PAYLOAD, CUT_PAYLOAD + 20 };
    static char payload[CUT_PAYLOAD];
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    ts_raw *r = ts_raw_open(ts_server_port(s));

    (void)state;
    memset(payload, 'p', sizeof payload);
    for (size_t i = 0; i < sizeof octets / sizeof octets[0]; i++) {
        ts_client *c = ts_client_connect(QUICK(.url = url_of(ts_proxy_port(p))));
        ts_sink got = { 0 };
        ts_subscribe(c, &got, "cut");
        ts_flush(c);
        ts_proxy_cut_after(p, TS_TO_CLIENT, octets[i], i % 2 ? TS_RST : TS_FIN);
        ts_raw_pub(r, "cut", NULL, payload, sizeof payload);
        ts_raw_flush(r);
        (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        ts_flush(c);
        ts_raw_pub(r, "cut", NULL, payload, sizeof payload);
        ts_raw_flush(r);
        ts_flush(c);
        assert_string_equal(c->trail, "CDR");
        CHECK("no torso", got.count == 1 || (got.count == 2 && octets[i] >= CUT_PAYLOAD));
        for (size_t m = 0; m < got.count; m++)
            CHECK("whole", nbj_bytes_equal(nbj_msg_data(got.msg[m]), nbj_view(payload, sizeof payload)));
        ts_sink_free(&got);
        ts_client_free(c);
    }
    ts_raw_close(r);
    ts_proxy_free(p);
    ts_server_free(s);
}

/* Cut at each octet of the handshake. */
static void test_cut_within_the_handshake(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));

    (void)state;
    for (uint64_t at = 1; at < 400; at += at < 40 ? 1 : 19) {
        ts_way way = at % 2 == 0 ? TS_TO_CLIENT : TS_TO_SERVER;
        ts_proxy_cut_after(p, way, at, TS_FIN);
        ts_client *c = ts_client_open(QUICK(.url = url_of(ts_proxy_port(p)), .retry_first_connect = true));
        (void)ts_await(c, NBJ_EVENT_CONNECTED);
        ts_proxy_cancel_cut(p, way);
        ts_client_free(c);
    }
    ts_proxy_free(p);
    ts_server_free(s);
}

/* Octet by octet, both ways. */
static void test_split(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    ts_sink got = { 0 };
    const nbj_header h = { nbj_str("Name"), nbj_str("value") };

    (void)state;
    ts_proxy_split(p, TS_TO_CLIENT, 1, 0);
    ts_proxy_split(p, TS_TO_SERVER, 1, 0);
    ts_client *c = ts_client_connect(QUICK(.url = url_of(ts_proxy_port(p))));
    ts_subscribe(c, &got, "split");
    for (int i = 0; i < 20; i++)
        assert_int_equal(
            nbj_send(c->client, "split", nbj_str("payload"), NBJ_SEND(.headers = &h, .header_count = 1, .reply = "r")),
            NBJ_OK);
    TURN_UNTIL(got.count == 20, TS_WAIT_MS);
    for (size_t i = 0; i < got.count; i++) {
        nbj_bytes value;
        CHECK("payload", ts_same(nbj_msg_data(got.msg[i]), "payload"));
        assert_int_equal(nbj_msg_header(got.msg[i], "Name", &value), NBJ_OK);
        CHECK("header", ts_same(value, "value"));
    }
    ts_sink_free(&got);
    ts_client_free(c);
    ts_proxy_free(p);
    ts_server_free(s);
}

#define FLAPS 20

/* Connections that last only a moment: the back-off applies to them, and nothing is lost but them. */
static void test_flapping(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    ts_client *c =
        ts_client_connect(NBJ_CLIENT_OPTIONS(.url = url_of(ts_proxy_port(p)), .reconnect_first_ns = NBJ_MILLIS(20),
                                             .reconnect_max_ns = NBJ_MILLIS(40)));
    ts_sink got = { 0 };
    nbj_time before = ts_now();

    (void)state;
    ts_subscribe(c, &got, "flap");
    for (int i = 0; i < FLAPS; i++) {
        ts_proxy_cut_now(p, i % 2 ? TS_RST : TS_FIN);
        (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    }
    CHECK("it waits in between", ts_now() - before > NBJ_MILLIS(100)); /* 400 expected; 100 is nearly impossible */
    assert_int_equal(ts_proxy_accepted(p), FLAPS + 1);
    ts_flush(c);
    ts_send(c, "flap", "0");
    ts_flush(c);
    assert_int_equal(got.count, 1);
    assert_int_equal(strlen(c->trail), 1 + 2 * FLAPS);
    ts_sink_free(&got);
    ts_client_free(c);
    ts_proxy_free(p);
    ts_server_free(s);
}

/* -- descriptors -- */

static size_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

#define ROUNDS 200

static void test_descriptors_of_reconnects(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .reconnect_first_ns = NBJ_MICROS(100),
                                                        .reconnect_max_ns = NBJ_MICROS(100)));
    size_t before = count_descriptors();
    int fd = nbj_loop_fd(c->client);

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        nbj_client_reconnect(c->client);
        (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    }
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(nbj_loop_fd(c->client), fd);
    assert_int_equal(nbj_client_stats_of(c->client).reconnects, ROUNDS);
    ts_client_free(c);
    assert_true(count_descriptors() < before);
    ts_server_free(s);
}

static void test_descriptors_of_failed_connects(void **state)
{
    ts_port refused = ts_port_reserve();
    ts_proxy *resets = ts_proxy_start(refused.number); /* accepts, then resets */
    size_t before = count_descriptors();

    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        (void)ts_refusal(QUICK(.url = url_of(refused.number)));
    assert_int_equal(count_descriptors(), before);
    ts_client *c =
        ts_client_open(NBJ_CLIENT_OPTIONS(.url = url_of(ts_proxy_port(resets)), .retry_first_connect = true,
                                          .reconnect_first_ns = NBJ_MICROS(100), .reconnect_max_ns = NBJ_MICROS(100)));
    size_t with_client = count_descriptors();
    TURN_UNTIL(ts_proxy_accepted(resets) >= ROUNDS, TS_WAIT_MS);
    CHECK("at most its one socket more", count_descriptors() <= with_client + 2); /* and one that is being accepted */
    ts_client_free(c);
    WAIT_UNTIL(ts_proxy_live(resets) == 0, TS_WAIT_MS);
    assert_int_equal(count_descriptors(), before);
    ts_proxy_free(resets);
    ts_port_release(&refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kill_and_restart, end_test),
        cmocka_unit_test_teardown(test_stopped_in_order, end_test),
        cmocka_unit_test_teardown(test_reconnect_at_once, end_test),
        cmocka_unit_test_teardown(test_no_reconnect, end_test),
        cmocka_unit_test_teardown(test_max_reconnects, end_test),
        cmocka_unit_test_teardown(test_refused, end_test),
        cmocka_unit_test_teardown(test_retry_first_connect, end_test),
        cmocka_unit_test_teardown(test_opened_long_before_the_first_turn, end_test),
        cmocka_unit_test_teardown(test_localhost, end_test),
        cmocka_unit_test_teardown(test_name_that_does_not_resolve, end_test),
        cmocka_unit_test_teardown(test_stopped_process, end_test),
        cmocka_unit_test_teardown(test_black_hole, end_test),
        cmocka_unit_test_teardown(test_busy_is_not_stale, end_test),
        cmocka_unit_test_teardown(test_cut_within_a_payload, end_test),
        cmocka_unit_test_teardown(test_cut_within_the_handshake, end_test),
        cmocka_unit_test_teardown(test_split, end_test),
        cmocka_unit_test_teardown(test_flapping, end_test),
        cmocka_unit_test_teardown(test_descriptors_of_reconnects, end_test),
        cmocka_unit_test_teardown(test_descriptors_of_failed_connects, end_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
