/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that lie and crawl, under a client with threads: a dead peer is found within (max_pings_out + 1) x
 * ping_interval whatever its connection looks like, calls end by their deadlines meanwhile, and a slow or far peer is
 * not taken for a dead one. */
#define _GNU_SOURCE

#include "proxy.h"
#include "server.h"
#include "threads.h"

#define PING_NS NBJ_MILLIS(300)
#define PINGS_OUT 2
#define FOUND_NS ((PINGS_OUT + 1) * PING_NS)

typedef struct setting {
    ts_server *server;
    ts_proxy *proxy;
    nbj_client *client, *responder;
    nbj_sub *echo;
    th_events events;
    th_problems problems;
    atomic_bool stop;
    atomic_uint replies;
    pthread_t requesters[3];
} setting;

/* A busy machine sees it later. */
static uint64_t margin_ns(void)
{
    return th_is_slow() ? NBJ_SECONDS(5) : 2 * PING_NS;
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    setting *s = user;
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(s->responder, reply, nbj_msg_data(msg), NULL);
}

static setting *begin(uint64_t ping_interval_ns)
{
    setting *s = calloc(1, sizeof *s);
    char url[64];

    pthread_mutex_init(&s->problems.lock, NULL);
    s->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    s->proxy = ts_proxy_start(ts_server_port(s->server));
    th_make_stream(ts_server_port(s->server), "NET", "net.>", 1);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(s->proxy));
    s->client = th_open(NBJ_CLIENT_OPTIONS(.url = url, .on_event = th_on_event, .user_data = &s->events,
                                           .ping_interval_ns = ping_interval_ns, .max_pings_out = PINGS_OUT,
                                           .reconnect_first_ns = NBJ_MILLIS(5), .reconnect_max_ns = NBJ_MILLIS(50),
                                           .connect_timeout_ns = NBJ_MILLIS(500)));
    s->responder = th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s->server)));
    assert_int_equal(nbj_subscribe(s->responder, "echo", NULL, on_echo, s, &s->echo), NBJ_OK);
    assert_int_equal(nbj_flush(s->responder, 0), NBJ_OK);
    return s;
}

static void finish(setting *s)
{
    nbj_sub_release(s->echo);
    nbj_client_release(s->client);
    nbj_client_release(s->responder);
    ts_proxy_free(s->proxy);
    ts_server_free(s->server);
    pthread_mutex_destroy(&s->problems.lock);
    free(s);
}

/* --- threads that ask all the time --- */

static void *requester_main(void *arg)
{
    setting *s = arg;
    const uint64_t timeout = NBJ_MILLIS(400);

    while (!atomic_load(&s->stop)) {
        nbj_msg *reply;
        nbj_time began = ts_now();
        nbj_status st = nbj_request(s->client, "echo", nbj_str("?"), NBJ_REQUEST(.timeout_ns = timeout), &reply);
        uint64_t took = ts_now() - began;
        nbj_msg_release(reply);
        if (st != NBJ_OK && st != NBJ_E_TIMEOUT)
            th_problem(&s->problems, "request: %s", nbj_strerror(st));
        if (took > timeout + th_margin_ns() || (st == NBJ_E_TIMEOUT && took < timeout))
            th_problem(&s->problems, "a request with 400 ms took %llu ms", (unsigned long long)(took / 1000000));
        atomic_fetch_add(&s->replies, st == NBJ_OK);
        th_sleep_ms(1);
    }
    return NULL;
}

static void start_requesters(setting *s)
{
    for (int i = 0; i < 3; i++)
        s->requesters[i] = th_start(requester_main, s);
}

static void stop_requesters(setting *s)
{
    atomic_store(&s->stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(s->requesters[i], NULL);
    th_no_problem(&s->problems);
}

/* --- dead peers --- */

typedef void fault_fn(ts_proxy *p, ts_way way, bool on);

static void set_fault(setting *s, fault_fn *fault, unsigned ways, bool on)
{
    for (unsigned way = 0; way < 2; way++)
        if ((ways & 1u << way) != 0)
            fault(s->proxy, (ts_way)way, on);
}

/* Also when nobody asks anything. */
static void check_found(setting *s, const char *name, fault_fn *fault, unsigned ways)
{
    unsigned lost = th_count(&s->events, NBJ_EVENT_DISCONNECTED);
    unsigned back = th_count(&s->events, NBJ_EVENT_RECONNECTED);

    set_fault(s, fault, ways, true);
    nbj_time began = ts_now();
    while (th_count(&s->events, NBJ_EVENT_DISCONNECTED) == lost) {
        if (ts_now() - began > FOUND_NS + NBJ_SECONDS(20))
            TS_FAIL("%s: not found", name);
        ts_breathe();
    }
    uint64_t took = ts_now() - began;
    if (took > FOUND_NS + margin_ns() || took < (PINGS_OUT - 1) * PING_NS)
        TS_FAIL("%s: found after %llu ms", name, (unsigned long long)(took / 1000000));
    set_fault(s, fault, ways, false);
    WAIT_UNTIL(th_count(&s->events, NBJ_EVENT_RECONNECTED) > back, 10000);
    assert_int_equal(nbj_publish(s->client, "net.x", nbj_str("again"), NULL, NULL), NBJ_OK);
}

static void check_black_holes_found(setting *s)
{
    check_found(s, "a black hole both ways", ts_proxy_black_hole, 3);
    check_found(s, "a black hole to the server", ts_proxy_black_hole, 1u << TS_TO_SERVER);
    check_found(s, "a black hole to us", ts_proxy_black_hole, 1u << TS_TO_CLIENT);
}

static void test_dead_while_idle(void **state)
{
    setting *s = begin(PING_NS);
    th_sleeper sleeper;

    (void)state;
    th_sleep_in(&sleeper, s->client);
    check_black_holes_found(s);
    check_found(s, "a stall both ways", ts_proxy_stall, 3);
    check_found(s, "a stall to us", ts_proxy_stall, 1u << TS_TO_CLIENT);
    th_check_rests("a waiting thread");
    th_wake_up(&sleeper);
    th_check_rests("an idle client");
    finish(s);
}

static void test_dead_while_busy(void **state)
{
    setting *s = begin(PING_NS);

    (void)state;
    start_requesters(s);
    check_black_holes_found(s);
    unsigned replies = atomic_load(&s->replies);
    WAIT_UNTIL(atomic_load(&s->replies) > replies, 5000);
    stop_requesters(s);
    finish(s);
}

/* --- far and slow ones --- */

static void test_delay(void **state)
{
    setting *s = begin(PING_NS);

    (void)state;
    ts_proxy_delay(s->proxy, TS_TO_SERVER, NBJ_MILLIS(100));
    ts_proxy_delay(s->proxy, TS_TO_CLIENT, NBJ_MILLIS(100));
    start_requesters(s);
    th_sleep_ms(1500);
    stop_requesters(s);
    CHECK("there were replies", atomic_load(&s->replies) >= 6);
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    finish(s);
}

/* 20 KB/s. What comes down takes twice as long as a dead peer may; every octet is a sign of life. */
static void test_slow_download(void **state)
{
    static char large[44000];
    setting *s = begin(PING_NS);
    nbj_msg *reply;
    nbj_sub *sub;

    (void)state;
    memset(large, 'x', sizeof large);
    assert_int_equal(nbj_subscribe(s->client, "slow", NULL, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_flush(s->client, 0), NBJ_OK);
    ts_proxy_split(s->proxy, TS_TO_CLIENT, 1000, NBJ_MILLIS(50));
    assert_int_equal(nbj_send(s->responder, "slow", nbj_view(large, sizeof large), NULL), NBJ_OK);
    nbj_time began = ts_now();
    assert_int_equal(nbj_sub_next(sub, NBJ_SECONDS(20), &reply), NBJ_OK);
    CHECK("it took its time", ts_now() - began > 2 * FOUND_NS);
    CHECK("all of it", nbj_bytes_equal(nbj_msg_data(reply), nbj_view(large, sizeof large)));
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    nbj_msg_release(reply);
    nbj_sub_release(sub);
    finish(s);
}

/* What goes up delays the PINGs behind it: for less than a dead peer may take, here two of three seconds. */
static void test_slow_upload(void **state)
{
    static char large[40000];
    setting *s = begin(NBJ_SECONDS(1));
    nbj_publish_result result;

    (void)state;
    memset(large, 'x', sizeof large);
    ts_proxy_split(s->proxy, TS_TO_SERVER, 1000, NBJ_MILLIS(50));
    nbj_time began = ts_now();
    assert_int_equal(nbj_publish(s->client, "net.x", nbj_view(large, sizeof large), NULL, &result), NBJ_OK);
    CHECK("it took its time", ts_now() - began > NBJ_MILLIS(1500));
    assert_int_equal(result.outcome, NBJ_STORED);
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_while_idle), cmocka_unit_test(test_dead_while_busy), cmocka_unit_test(test_delay),
        cmocka_unit_test(test_slow_download),   cmocka_unit_test(test_slow_upload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
