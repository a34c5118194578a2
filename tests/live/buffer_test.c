/* SPDX-License-Identifier: Apache-2.0 */
/* What is published while there is no connection, or faster than it goes: kept, in order, within limits. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

static ts_server *server;
static ts_proxy *proxy; /* between the clients and the server */
static char proxy_url[64];

static int start(void **state)
{
    (void)state;
    server = ts_server_start(NULL);
    proxy = ts_proxy_start(ts_server_port(server));
    snprintf(proxy_url, sizeof proxy_url, "nats://127.0.0.1:%u", ts_proxy_port(proxy));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ts_clients_free();
    ts_proxy_free(proxy);
    ts_server_free(server);
    return 0;
}

#define PROXIED(...)                                                                                               \
    NBJ_CLIENT_OPTIONS(.url = proxy_url, .reconnect_first_ns = NBJ_MILLIS(10), .reconnect_max_ns = NBJ_MILLIS(50), \
                       __VA_ARGS__)

/* The receiver, which stays connected. */
static ts_raw *listen_to(const char *subject)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));

    ts_raw_sub(r, subject, "1");
    return r;
}

static void lose_connection(ts_client *c)
{
    ts_proxy_refuse(proxy, true);
    ts_proxy_cut_now(proxy, TS_FIN);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
}

static void let_in(void)
{
    ts_proxy_refuse(proxy, false);
}

static nbj_status send_number(ts_client *c, const char *subject, int i)
{
    char number[1000]; /* padded, so that limits are soon reached */

    memset(number, ' ', sizeof number);
    snprintf(number, sizeof number, "%08d", i);
    number[8] = ' ';
    return nbj_send(c->client, subject, nbj_view(number, sizeof number), NULL);
}

/* The next message is number |i|. */
static void expect_number(ts_raw *r, int i)
{
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    char want[16];

    snprintf(want, sizeof want, "%08d", i);
    if (m.payload.len < 8 || memcmp(m.payload.ptr, want, 8) != 0)
        TS_FAIL("message %s instead of %s", ts_show(m.payload.ptr, m.payload.len < 8 ? m.payload.len : 8), want);
}

static void expect_numbers(ts_raw *r, int first, int count)
{
    for (int i = first; i < first + count; i++)
        expect_number(r, i);
}

static void expect_nothing_more(ts_raw *r)
{
    ts_raw_send(r, "PING\r\n");
    assert_string_equal(ts_raw_expect(r, "PONG\r\n", TS_RAW_MS), "PONG\r\n");
}

static void test_before_the_first_connection(void **state)
{
    ts_raw *r = listen_to("early");
    ts_client *c = ts_client_open(PROXIED(.name = "early"));

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_number(c, "early", i), NBJ_OK);
    ts_flush(c);
    expect_numbers(r, 0, 1000);
    expect_nothing_more(r);
    assert_string_equal(c->trail, "C");
    ts_raw_close(r);
}

static void test_while_disconnected(void **state)
{
    ts_raw *r = listen_to("while");
    ts_client *c = ts_client_connect(PROXIED(.name = "while"));

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_number(c, "while", i), NBJ_OK);
    ts_flush(c);
    lose_connection(c);
    for (int i = 100; i < 1000; i++)
        assert_int_equal(send_number(c, "while", i), NBJ_OK);
    let_in();
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    for (int i = 1000; i < 1100; i++)
        assert_int_equal(send_number(c, "while", i), NBJ_OK);
    ts_flush(c);
    expect_numbers(r, 0, 1100);
    expect_nothing_more(r);
    assert_int_equal(nbj_client_stats_of(c->client).out_msgs, 1100);
    ts_raw_close(r);
}

#define LIMIT 100000u

static int send_until(ts_client *c, const char *subject, nbj_status want)
{
    nbj_status st = NBJ_OK;
    int n = 0;

    while ((st = send_number(c, subject, n)) == NBJ_OK)
        n++;
    assert_int_equal(st, want);
    return n;
}

static void test_limit(void **state)
{
    ts_raw *r = listen_to("limit");
    ts_client *c = ts_client_connect(PROXIED(.max_outgoing_bytes = LIMIT));

    (void)state;
    lose_connection(c);
    int n = send_until(c, "limit", NBJ_E_FULL);
    CHECK("near the limit", n > (int)(LIMIT / 1100) && n < (int)(LIMIT / 1000));
    assert_int_equal(send_number(c, "limit", n), NBJ_E_FULL);
    let_in();
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    assert_int_equal(send_number(c, "limit", n), NBJ_OK);
    ts_flush(c);
    expect_numbers(r, 0, n + 1);
    expect_nothing_more(r);
    assert_string_equal(c->trail, "CDR"); /* nobody asked for WRITABLE */
    ts_raw_close(r);
}

static void test_wait_when_full(void **state)
{
    ts_raw *r = listen_to("full");
    ts_client *c = ts_client_connect(PROXIED(.max_outgoing_bytes = LIMIT, .wait_when_full = true));

    (void)state;
    lose_connection(c);
    int n = send_until(c, "full", NBJ_E_WOULD_BLOCK);
    let_in();
    (void)ts_await(c, NBJ_EVENT_WRITABLE);
    assert_string_equal(c->trail, "CDRW");
    assert_int_equal(send_number(c, "full", n), NBJ_OK);
    ts_flush(c);
    assert_string_equal(c->trail, "CDRW");
    expect_numbers(r, 0, n + 1);
    expect_nothing_more(r);
    ts_raw_close(r);
}

/* Sends numbers until the kernel's buffers are full, and ours. The server does not read. */
static int fill(ts_client *c, const char *subject)
{
    int n = 0;

    for (;;) {
        nbj_status st = send_number(c, subject, n);
        n += st == NBJ_OK;
        if (st != NBJ_OK)
            assert_int_equal(st, NBJ_E_WOULD_BLOCK);
        if (st != NBJ_OK && !ts_turn(50))
            return n;
    }
}

static void test_wait_for_a_slow_server(void **state)
{
    ts_raw *r = listen_to("slow");
    ts_client *c = ts_client_connect(PROXIED(.max_outgoing_bytes = LIMIT, .wait_when_full = true));

    (void)state;
    ts_proxy_stall(proxy, TS_TO_SERVER, true);
    int n = fill(c, "slow");
    CHECK("more than our own buffer", n > 2 * (int)(LIMIT / 1000));
    c->seen = c->events;
    ts_proxy_stall(proxy, TS_TO_SERVER, false);
    (void)ts_await(c, NBJ_EVENT_WRITABLE);
    assert_int_equal(send_number(c, "slow", n), NBJ_OK);
    ts_flush(c);
    expect_numbers(r, 0, n + 1);
    expect_nothing_more(r);
    CHECK("still connected", strchr(c->trail, 'D') == NULL);
    ts_raw_close(r);
}

static void test_server_that_takes_nothing_is_left(void **state)
{
    ts_client *c = ts_client_connect(PROXIED(.write_timeout_ns = NBJ_MILLIS(300)));

    (void)state;
    ts_proxy_stall(proxy, TS_TO_SERVER, true);
    while (send_number(c, "stuck", 0) == NBJ_OK)
        if (nbj_client_stats_of(c->client).out_msgs % 100 == 0)
            (void)ts_turn(0);
    assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_STALE);
    ts_proxy_cut_now(proxy, TS_RST);
    ts_proxy_stall(proxy, TS_TO_SERVER, false);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
}

/* The server's maximum shrinks while we are away. */
static void test_smaller_maximum_after_reconnect(void **state)
{
    ts_raw *r = listen_to("shrink");
    ts_client *c = ts_client_connect(PROXIED(.name = "shrink"));

    (void)state;
    lose_connection(c);
    assert_int_equal(send_number(c, "shrink", 0), NBJ_OK);
    char *big = calloc(1, 5000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(nbj_send(c->client, "shrink", nbj_view(big, 5000), NULL), NBJ_OK);
    assert_int_equal(send_number(c, "shrink", 1), NBJ_OK);
    ts_server_reload(server, "max_payload: 2000");
    let_in();
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    expect_numbers(r, 0, 2);
    expect_nothing_more(r);
    assert_int_equal(nbj_send(c->client, "shrink", nbj_view(big, 2001), NULL), NBJ_E_TOO_LARGE);
    assert_int_equal(c->error[NBJ_EVENT_SERVER_ERROR].status, NBJ_E_TOO_LARGE);
    CHECK("told once, and still connected", strcmp(c->trail, "CDER") == 0 || strcmp(c->trail, "CDRE") == 0);
    assert_int_equal(nbj_client_max_payload(c->client), 2000);
    free(big);
    ts_raw_close(r);
    ts_server_reload(server, "max_payload: 1048576");
}

/* The server's maximum shrinks under a connection: it may say so, or end a connection that does not know. */
static void test_smaller_maximum_under_a_connection(void **state)
{
    ts_raw *r = listen_to("under");
    ts_client *c = ts_client_connect(PROXIED(.name = "under"));
    char *big = calloc(1, 5000);

    (void)state;
    ts_server_reload(server, "max_payload: 2000");
    nbj_status st = nbj_send(c->client, "under", nbj_view(big, 5000), NULL);
    if (st == NBJ_OK) {
        assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_MAX_PAYLOAD);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        st = nbj_send(c->client, "under", nbj_view(big, 5000), NULL);
    }
    assert_int_equal(st, NBJ_E_TOO_LARGE);
    assert_int_equal(send_number(c, "under", 0), NBJ_OK);
    ts_flush(c);
    expect_numbers(r, 0, 1);
    expect_nothing_more(r);
    free(big);
    ts_raw_close(r);
    ts_server_reload(server, "max_payload: 1048576");
}

/* At most once: of 0 … |last| some may be gone, none comes twice, in part or out of order. Returns the number of gaps,
 * and at |*after| how many came behind the last of them. */
static int count_gaps(ts_raw *r, int last, int *after)
{
    int gaps = 0;

    *after = 0;
    for (int at = -1, n = 0; n != last; at = n) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        CHECK("whole", m.payload.len == 1000);
        n = (int)strtol(ts_show(m.payload.ptr, 8), NULL, 10);
        CHECK("in order", n > at);
        gaps += n > at + 1;
        *after = n > at + 1 ? 1 : *after + 1;
    }
    expect_nothing_more(r);
    return gaps;
}

/* The connection is cut when the server has had that many octets. */
static void test_cut_while_writing(void **state)
{
    static const uint64_t octets[] = { 1, 7, 100, 1015, 1016, 1017, 5000, 60000, 250000 };
    int after = 0;

    (void)state;
    for (size_t i = 0; i < sizeof octets / sizeof octets[0]; i++) {
        ts_raw *r = listen_to("cut");
        ts_client *c = ts_client_connect(PROXIED(.name = "cut"));
        ts_flush(c);
        ts_proxy_cut_after(proxy, TS_TO_SERVER, octets[i], i % 2 ? TS_RST : TS_FIN);
        for (int n = 0; n < 300; n++)
            assert_int_equal(send_number(c, "cut", n), NBJ_OK);
        (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        assert_int_equal(send_number(c, "cut", 300), NBJ_OK);
        ts_flush(c);
        CHECK("one gap at most", count_gaps(r, 300, &after) <= 1);
        ts_client_free(c);
        ts_raw_close(r);
    }
}

/* The connection is cut while the kernel takes no more: what we still had is sent, from the message on that was under way. */
static void test_cut_while_full(void **state)
{
    ts_raw *r = listen_to("cut");
    ts_client *c = ts_client_connect(PROXIED(.max_outgoing_bytes = LIMIT, .wait_when_full = true));
    int after = 0;

    (void)state;
    ts_proxy_stall(proxy, TS_TO_SERVER, true);
    int n = fill(c, "cut");
    ts_proxy_cut_now(proxy, TS_RST);
    ts_proxy_stall(proxy, TS_TO_SERVER, false);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    CHECK("one gap: what only the kernel had", count_gaps(r, n - 1, &after) == 1);
    CHECK("all that was ours", after >= (int)(LIMIT / 1100));
    ts_raw_close(r);
}

/* What waits to be written besides messages belongs to its connection: a subscription that is given up meanwhile does not
 * come to life on the next one. */
static void test_cut_while_subscribing(void **state)
{
    ts_client *c = ts_client_connect(PROXIED(.max_outgoing_bytes = LIMIT, .wait_when_full = true));
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_sink ghost = { 0 }, real = { 0 };

    (void)state;
    ts_proxy_stall(proxy, TS_TO_SERVER, true);
    (void)fill(c, "cut");
    ts_subscribe(c, &ghost, "ghost");
    ts_subscribe(c, &real, "real");
    ts_proxy_refuse(proxy, true);
    ts_proxy_cut_now(proxy, TS_RST);
    ts_proxy_stall(proxy, TS_TO_SERVER, false);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_sink_free(&ghost);
    let_in();
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_raw_pub(r, "ghost", NULL, "x", 1);
    ts_raw_pub(r, "real", NULL, "x", 1);
    ts_raw_flush(r);
    ts_flush(c);
    assert_int_equal(real.count, 1);
    assert_int_equal(nbj_client_stats_of(c->client).unwanted, 0);
    ts_sink_free(&real);
    ts_raw_close(r);
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    ts_proxy_refuse(proxy, false);
    ts_proxy_stall(proxy, TS_TO_SERVER, false);
    ts_proxy_cancel_cut(proxy, TS_TO_SERVER);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_before_the_first_connection, end_test),
        cmocka_unit_test_teardown(test_while_disconnected, end_test),
        cmocka_unit_test_teardown(test_limit, end_test),
        cmocka_unit_test_teardown(test_wait_when_full, end_test),
        cmocka_unit_test_teardown(test_wait_for_a_slow_server, end_test),
        cmocka_unit_test_teardown(test_server_that_takes_nothing_is_left, end_test),
        cmocka_unit_test_teardown(test_smaller_maximum_after_reconnect, end_test),
        cmocka_unit_test_teardown(test_smaller_maximum_under_a_connection, end_test),
        cmocka_unit_test_teardown(test_cut_while_writing, end_test),
        cmocka_unit_test_teardown(test_cut_while_full, end_test),
        cmocka_unit_test_teardown(test_cut_while_subscribing, end_test),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
