/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers: which is tried, what a cluster tells of itself, and moving from one to another. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "port.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

#define QUICK(...) \
    NBJ_CLIENT_OPTIONS(.reconnect_first_ns = NBJ_MILLIS(5), .reconnect_max_ns = NBJ_MILLIS(50), __VA_ARGS__)

/* The events of |c| without DISCOVERED, which come whenever the servers find it right. */
static const char *trail_of(const ts_client *c)
{
    static char trail[TS_TRAIL_MAX];
    size_t n = 0;

    for (const char *at = c->trail; *at != '\0'; at++)
        if (*at != ts_letter(NBJ_EVENT_DISCOVERED))
            trail[n++] = *at;
    trail[n] = '\0';
    return trail;
}

static bool is_at(const ts_client *c, const ts_server *s)
{
    char have[64], want[64];

    snprintf(want, sizeof want, "127.0.0.1:%u", ts_server_port(s));
    return nbj_client_server_address(c->client, have, sizeof have) == NBJ_OK && strcmp(have, want) == 0;
}

/* -- servers of a list -- */

static void test_first_is_dead(void **state)
{
    ts_port dead = ts_port_reserve();
    ts_server *s = ts_server_start(NULL);
    char urls[200];

    (void)state;
    snprintf(urls, sizeof urls, "nats://127.0.0.1:%u, %s", dead.number, ts_server_url(s));
    for (int in_order = 0; in_order < 2; in_order++) {
        ts_client *c = ts_client_connect(QUICK(.url = urls, .no_randomize = in_order));
        assert_true(is_at(c, s));
        assert_string_equal(c->trail, "C");
        ts_client_free(c);
    }
    ts_port_release(&dead);
    ts_server_free(s);
}

static void test_all_are_dead(void **state)
{
    ts_port dead[3] = { ts_port_reserve(), ts_port_reserve(), ts_port_reserve() };
    char urls[200], last[40];

    (void)state;
    snprintf(urls, sizeof urls, "nats://127.0.0.1:%u,nats://127.0.0.1:%u,nats://127.0.0.1:%u", dead[0].number,
             dead[1].number, dead[2].number);
    nbj_error e = ts_refusal(QUICK(.url = urls, .no_randomize = true));
    assert_int_equal(e.status, NBJ_E_NO_SERVERS);
    snprintf(last, sizeof last, "127.0.0.1:%u", dead[2].number);
    CHECK(e.text, strstr(e.text, last) != NULL && strstr(e.text, "refused") != NULL);
    for (int i = 0; i < 3; i++)
        ts_port_release(&dead[i]);
}

static void test_given_up_one_by_one(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_port dead = ts_port_reserve();
    char urls[200];

    (void)state;
    snprintf(urls, sizeof urls, "%s,nats://127.0.0.1:%u", ts_server_url(s), dead.number);
    ts_client *c = ts_client_connect(QUICK(.url = urls, .max_reconnects = 2));
    ts_server_kill9(s);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
    CHECK(e->text, e->status == NBJ_E_REFUSED || e->status == NBJ_E_NO_SERVERS);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_port_release(&dead);
    ts_server_free(s);
}

static void test_one_in_place_of_the_other(void **state)
{
    ts_server *s[2] = { ts_server_start(NULL), ts_server_start(NULL) };
    char urls[200];

    (void)state;
    snprintf(urls, sizeof urls, "%s,%s", ts_server_url(s[0]), ts_server_url(s[1]));
    ts_client *c = ts_client_connect(QUICK(.url = urls, .no_randomize = true));
    assert_true(is_at(c, s[0]));
    for (int i = 0; i < 4; i++) {
        ts_server_kill9(s[i % 2]);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        assert_true(is_at(c, s[(i + 1) % 2]));
        ts_server_restart(s[i % 2]);
    }
    assert_string_equal(c->trail, "CDRDRDRDR");
    ts_client_free(c);
    ts_server_free(s[0]);
    ts_server_free(s[1]);
}

static void test_order_is_random(void **state)
{
    ts_server *s[2] = { ts_server_start(NULL), ts_server_start(NULL) };
    int first = 0;
    char urls[200];

    (void)state;
    snprintf(urls, sizeof urls, "%s,%s", ts_server_url(s[0]), ts_server_url(s[1]));
    for (int i = 0; i < 40; i++) {
        ts_client *c = ts_client_connect(QUICK(.url = urls));
        first += is_at(c, s[0]);
        ts_client_free(c);
    }
    CHECK("both have their share", first > 0 && first < 40); /* by chance once in 10^12 runs */
    ts_server_free(s[0]);
    ts_server_free(s[1]);
}

/* -- a cluster -- */

static void test_discovery(void **state)
{
    ts_cluster k = ts_cluster_start(3, NULL);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(k.server[0])));
    ts_client *deaf = ts_client_connect(QUICK(.url = ts_server_url(k.server[0]), .ignore_discovered = true));
    ts_sink got = { 0 };

    (void)state;
    TURN_UNTIL(strchr(c->trail, 'N') != NULL, TS_WAIT_MS);
    ts_subscribe(c, &got, "x");
    ts_server_kill9(k.server[0]);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    int second = is_at(c, k.server[1]) ? 1 : 2;
    assert_true(is_at(c, k.server[second]));
    ts_server_kill9(k.server[second]);
    TURN_UNTIL(is_at(c, k.server[3 - second]), TS_WAIT_MS);
    ts_send(c, "x", "0");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(deaf->trail, "CD");
    ts_server_restart(k.server[0]);
    (void)ts_await(deaf, NBJ_EVENT_RECONNECTED);
    assert_true(is_at(deaf, k.server[0]));
    ts_sink_free(&got);
    ts_client_free(c);
    ts_client_free(deaf);
    ts_cluster_free(&k);
}

/* A server that joins later is told of too. */
static void test_server_that_comes_back_is_discovered(void **state)
{
    ts_cluster k = ts_cluster_start(2, NULL);
    ts_server_kill9(k.server[1]);
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(k.server[0])));

    (void)state;
    c->seen = c->events;
    ts_server_restart(k.server[1]);
    (void)ts_await(c, NBJ_EVENT_DISCOVERED);
    ts_server_kill9(k.server[0]);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    assert_true(is_at(c, k.server[1]));
    ts_client_free(c);
    ts_cluster_free(&k);
}

static void test_credentials_for_discovered_servers(void **state)
{
    ts_cluster k =
        ts_cluster_start(2, &(ts_server_options){ .config = "authorization { user: me, password: \"p@ss\" }" });
    char url[100];

    (void)state;
    snprintf(url, sizeof url, "nats://me:p%%40ss@127.0.0.1:%u", ts_server_port(k.server[0]));
    ts_client *c = ts_client_connect(QUICK(.url = url));
    TURN_UNTIL(strchr(c->trail, 'N') != NULL, TS_WAIT_MS);
    ts_server_kill9(k.server[0]);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    assert_true(is_at(c, k.server[1]));
    ts_client_free(c);
    ts_cluster_free(&k);
}

/* -- lame duck -- */

#define LAME_DUCK "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"10s\""

/* Publishes number |*next|. */
static void send_next(ts_client *c, unsigned *next)
{
    char number[16];

    snprintf(number, sizeof number, "%u", (*next)++);
    ts_send(c, "duck", number);
}

/* What |c| publishes reaches |r|, which listens at another server: those tell each other of subscriptions in their time. */
static void wait_for_interest(ts_client *c, ts_raw *r, const char *subject)
{
    do {
        ts_send(c, subject, "probe");
        ts_flush(c);
    } while (ts_raw_try_read(r, "probe\r\n", 20) == NULL);
    ts_send(c, subject, "begin");
    ts_flush(c);
    (void)ts_raw_expect(r, "begin\r\n", TS_RAW_MS);
}

/* Numbers 0 … |count| - 1, not in order: those over the new connection may overtake the last over the old one, which go
 * from server to server. */
static void expect_each_once(ts_raw *r, unsigned count)
{
    char *seen = calloc(1, count);

    for (unsigned i = 0; i < count; i++) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        unsigned long n = strtoul(ts_show(m.payload.ptr, m.payload.len), NULL, 10);
        if (n >= count || seen[n]++ != 0)
            TS_FAIL("message %lu of %u, or a second time", n, count);
    }
    free(seen);
}

static void test_lame_duck(void **state)
{
    ts_cluster k = ts_cluster_start(2, &(ts_server_options){ .config = LAME_DUCK });
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(k.server[0])));
    ts_raw *r = ts_raw_open(ts_server_port(k.server[1]));
    ts_sink got = { 0 };
    unsigned next = 0;

    (void)state;
    ts_raw_sub(r, "duck", "1");
    ts_subscribe(c, &got, "fox");
    wait_for_interest(c, r, "duck");
    for (int i = 0; i < 1000; i++)
        send_next(c, &next);
    ts_server_lame_duck(k.server[0]);
    while (strchr(c->trail, 'R') == NULL && next < 1000000) { /* on and on while it moves */
        for (int i = 0; i < 10; i++)
            send_next(c, &next);
        (void)ts_turn(1);
    }
    assert_string_equal(trail_of(c), "CLDR");
    assert_int_equal(c->error[NBJ_EVENT_DISCONNECTED].status, NBJ_E_LAME_DUCK);
    assert_true(is_at(c, k.server[1]));
    for (int i = 0; i < 1000; i++)
        send_next(c, &next);
    ts_flush(c);
    expect_each_once(r, next);
    ts_raw_pub(r, "fox", NULL, "x", 1);
    ts_raw_flush(r);
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    ts_sink_free(&got);
    ts_client_free(c);
    ts_raw_close(r);
    ts_cluster_free(&k);
}

/* A request that is under way gets its reply over the old connection. */
static void test_lame_duck_with_a_request_under_way(void **state)
{
    ts_cluster k = ts_cluster_start(2, &(ts_server_options){ .config = LAME_DUCK });
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(k.server[0])));
    ts_raw *r = ts_raw_open(ts_server_port(k.server[0]));
    ts_answer a = { 0 };

    (void)state;
    ts_raw_sub(r, "ask", "1");
    assert_int_equal(nbj_request_async(c->client, "ask", nbj_str("?"), NULL, ts_on_reply, &a), NBJ_OK);
    ts_flush(c);
    nbj_bytes to = ts_raw_next(r, TS_RAW_MS).reply;
    ts_server_lame_duck(k.server[0]);
    (void)ts_await(c, NBJ_EVENT_LAME_DUCK);
    ts_turn_for(100);
    assert_string_equal(trail_of(c), "CL");
    ts_raw_printf(r, "PUB %.*s 2\r\n42\r\n", NBJ_FMT(to));
    TURN_UNTIL(a.calls == 1, TS_WAIT_MS);
    assert_int_equal(a.status, NBJ_OK);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    assert_string_equal(trail_of(c), "CLDR");
    assert_true(is_at(c, k.server[1]));
    ts_answer_free(&a);
    ts_client_free(c);
    ts_raw_close(r);
    ts_cluster_free(&k);
}

/* Without another server it stays to the end, and then waits for a new beginning. */
static void test_lame_duck_alone(void **state)
{
    ts_server *s = ts_server_start(
        &(ts_server_options){ .config = "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"200ms\"" });
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(s)));

    (void)state;
    ts_server_lame_duck(s);
    (void)ts_await(c, NBJ_EVENT_LAME_DUCK);
    assert_true(nbj_client_is_connected(c->client));
    assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_EOF);
    ts_server_wait_gone(s, TS_WAIT_MS);
    ts_server_restart(s);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    assert_string_equal(c->trail, "CLDR");
    ts_client_free(c);
    ts_server_free(s);
}

static void drain_at_lame_duck(ts_client *c, const nbj_event *event)
{
    if (event->type != NBJ_EVENT_LAME_DUCK)
        return;
    ts_send(c, "last", "words");
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
}

/* Whoever drains then needs no other server. */
static void test_drain_of_a_lame_duck(void **state)
{
    ts_cluster k = ts_cluster_start(2, &(ts_server_options){ .config = LAME_DUCK });
    ts_client *c = ts_client_connect(QUICK(.url = ts_server_url(k.server[0])));
    ts_raw *r = ts_raw_open(ts_server_port(k.server[1]));

    (void)state;
    ts_raw_sub(r, "last", "1");
    wait_for_interest(c, r, "last");
    c->on_event = drain_at_lame_duck;
    ts_server_lame_duck(k.server[0]);
    assert_int_equal(ts_await(c, NBJ_EVENT_CLOSED)->status, NBJ_OK);
    assert_string_equal(trail_of(c), "CLX");
    CHECK("sent", ts_same(ts_raw_next(r, TS_RAW_MS).payload, "words"));
    ts_client_free(c);
    ts_raw_close(r);
    ts_cluster_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_first_is_dead, end_test),
        cmocka_unit_test_teardown(test_all_are_dead, end_test),
        cmocka_unit_test_teardown(test_given_up_one_by_one, end_test),
        cmocka_unit_test_teardown(test_one_in_place_of_the_other, end_test),
        cmocka_unit_test_teardown(test_order_is_random, end_test),
        cmocka_unit_test_teardown(test_discovery, end_test),
        cmocka_unit_test_teardown(test_server_that_comes_back_is_discovered, end_test),
        cmocka_unit_test_teardown(test_credentials_for_discovered_servers, end_test),
        cmocka_unit_test_teardown(test_lame_duck, end_test),
        cmocka_unit_test_teardown(test_lame_duck_with_a_request_under_way, end_test),
        cmocka_unit_test_teardown(test_lame_duck_alone, end_test),
        cmocka_unit_test_teardown(test_drain_of_a_lame_duck, end_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
