/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of bounds: each buffer has a limit, and what happens at it is what its documentation says; never silence. */
#define _GNU_SOURCE

#include "port.h"
#include "raw.h"
#include "server.h"
#include "thread_client.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static ts_server *server;

static int start(void **state)
{
    (void)state;
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
    ts_server_cont(server);
    ts_threaded_free_all();
    return 0;
}

static const char kilobyte[1024];

/* -- the outgoing buffer -- */

/* Sends until that is refused; returns why. |sent| counts. */
static nbj_status fill(nbj_client *c, size_t max, size_t *sent)
{
    nbj_status st = NBJ_OK;

    for (*sent = 0; *sent < max; ++*sent) {
        st = nbj_send(c, "out", nbj_view(kilobyte, sizeof kilobyte), NULL);
        if (st != NBJ_OK)
            break;
    }
    return st;
}

static void test_outgoing_buffer_is_full(void **state)
{
    ts_threaded *c =
        ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .max_outgoing_bytes = NBJ_KIB(256)));
    size_t sent = 0, again = 0;

    (void)state;
    ts_server_pause(server);
    assert_int_equal(fill(c->client, 100000, &sent), NBJ_E_FULL);
    assert_true(sent > 200); /* beside what the sockets hold */
    assert_int_equal(nbj_flush(c->client, NBJ_MILLIS(20)),
                     NBJ_E_TIMEOUT); /* control operations have room of their own */
    ts_server_cont(server);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    assert_int_equal(fill(c->client, 100, &again), NBJ_OK); /* there is room again */
    assert_int_equal(nbj_client_stats_of(c->client).out_msgs, sent + again);
    assert_int_equal(ts_threaded_count(c, NBJ_EVENT_DISCONNECTED), 0);
}

typedef struct waiting {
    nbj_client *client;
    nbj_status status;
    nbj_time took;
} waiting;

static void send_one(void *arg, size_t i)
{
    waiting *w = arg;
    nbj_time began = ts_now();

    (void)i;
    w->status = nbj_send(w->client, "out", nbj_view(kilobyte, sizeof kilobyte), NULL);
    w->took = ts_now() - began;
}

static nbj_status fill_until_it_waits(nbj_client *c)
{
    nbj_status st = NBJ_OK;
    size_t sent = 0;

    for (int i = 0; i < 100000 && st == NBJ_OK; i++)
        st = fill(c, 1, &sent);
    return st;
}

static void test_sending_waits_for_room_and_for_so_long(void **state)
{
    ts_threaded *c =
        ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .wait_when_full = true,
                                            .max_outgoing_bytes = NBJ_KIB(256), .write_timeout_ns = NBJ_MILLIS(1500)));
    ts_threads one;
    static waiting w;

    (void)state;
    ts_server_pause(server);
    nbj_time began = ts_now();
    nbj_status st = fill_until_it_waits(c->client);
    /* As long as write_timeout_ns; the server takes nothing for as long, so that the connection may be given up first. */
    assert_int_equal(st, NBJ_E_TIMEOUT);
    assert_true(ts_now() - began >= NBJ_MILLIS(1400));
    w = (waiting){ .client = c->client };
    ts_threads_start(&one, 1, send_one, &w);
    ts_server_cont(server);
    ts_threads_join(&one, TS_THREADED_MS);
    assert_int_equal(w.status, NBJ_OK);
}

/* -- a subscription's queue -- */

static void send_from_outside(const char *subject, int count, size_t size)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));

    for (int i = 0; i < count; i++)
        ts_raw_pub(r, subject, NULL, kilobyte, size);
    ts_raw_flush(r);
    ts_raw_close(r);
}

static void check_queue(const nbj_sub_options *o, unsigned want)
{
    ts_threaded *c = ts_threaded_at(ts_server_url(server));
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL;
    unsigned count = 0;

    assert_int_equal(nbj_subscribe(c->client, "many", o, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    send_from_outside("many", 100, 1000);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    nbj_sub_stats s = nbj_sub_stats_of(sub);
    assert_int_equal(s.delivered, 100);
    assert_int_equal(s.dropped, 100 - want);
    assert_int_equal(s.pending, want);
    assert_int_equal(nbj_client_stats_of(c->client).dropped, 100 - want);
    assert_string_equal(ts_threaded_await(c, NBJ_EVENT_SLOW, 1)->subject, "many");
    while (nbj_sub_next(sub, 0, &msg) == NBJ_OK) {
        count++;
        nbj_msg_release(msg);
    }
    assert_int_equal(count, want); /* the oldest */
    assert_int_equal(ts_threaded_count(c, NBJ_EVENT_SLOW), 1);
    nbj_sub_release(sub);
    ts_threaded_free(c);
}

static void test_queue_is_full_of_messages(void **state)
{
    (void)state;
    check_queue(NBJ_SUB(.limit_messages = 10), 10);
}

static void test_queue_is_full_of_octets(void **state)
{
    (void)state;
    check_queue(NBJ_SUB(.limit_bytes = 20500), 20);
}

/* -- the publish window -- */

#define PUBLISHED 100

typedef struct window {
    nbj_client *client;
    ts_tally stored;
    atomic_uint taken, wrong;
} window;

static void on_result(void *user, const nbj_publish_result *result)
{
    ts_tally_add(user, nbj_is_stored(result));
}

static void publish_many(void *arg, size_t i)
{
    window *w = arg;

    (void)i;
    for (int n = 0; n < PUBLISHED; n++) {
        nbj_status st = nbj_publish_async(w->client, "b.x", nbj_view(kilobyte, sizeof kilobyte),
                                          NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(30)), on_result, &w->stored);
        w->wrong += st != NBJ_OK;
        w->taken++;
    }
}

/* Whether nothing more was taken for half a second. */
static bool has_stopped(const window *w)
{
    unsigned before = w->taken;
    nbj_time until = ts_now() + NBJ_MILLIS(500);

    while (w->taken == before && ts_now() < until)
        ts_breathe();
    return w->taken == before;
}

/* While the server is stopped as many are taken as the window holds, and no more; then all of them are stored. */
static void check_window(uint32_t messages, uint64_t octets, unsigned least, unsigned most)
{
    static window w;
    ts_threaded *c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .publish_max_messages = messages,
                                                         .publish_max_bytes = octets));
    ts_threads one;

    w = (window){ .client = c->client };
    ts_tally_init(&w.stored);
    assert_int_equal(
        nbj_stream_ensure(c->client,
                          NBJ_STREAM_CONFIG(.name = "B", .subjects = NBJ_LIST("b.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    ts_server_pause(server);
    ts_threads_start(&one, 1, publish_many, &w);
    WAIT_UNTIL(w.taken >= least && has_stopped(&w), TS_THREADED_MS);
    nbj_status st = nbj_publish_async(c->client, "b.x", nbj_view(kilobyte, sizeof kilobyte),
                                      NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(300)), on_result, &w.stored);
    unsigned taken = w.taken;
    uint64_t unfinished = nbj_publish_unfinished(c->client);
    ts_server_cont(server);
    ts_threads_join(&one, TS_THREADED_MS);
    TALLY_AWAIT(&w.stored, PUBLISHED, TS_THREADED_MS);
    assert_int_equal(st, NBJ_E_TIMEOUT); /* it waited for room */
    assert_in_range(taken, least, most);
    assert_int_equal(unfinished, taken);
    assert_int_equal(w.wrong, 0);
    ts_threaded_free(c);
    ts_tally_done(&w.stored);
}

static void test_window_is_full_of_messages(void **state)
{
    (void)state;
    check_window(64, 0, 64, 64);
}

static void test_window_is_full_of_octets(void **state)
{
    (void)state;
    check_window(0, NBJ_KIB(64), 50, 64);
}

/* -- events -- */

#define INFO "INFO {\"server_id\":\"I\",\"version\":\"2.10.0\",\"headers\":true,\"max_payload\":1048576}\r\n"

static ts_tally gate;

static void hold_the_first(ts_threaded *c, const nbj_event *event)
{
    (void)c;
    if (event->type == NBJ_EVENT_SERVER_ERROR)
        (void)ts_tally_reaches(&gate, 1, TS_THREADED_MS);
}

static ts_raw *accept_one(int listener)
{
    nbj_time until = ts_now() + NBJ_SECONDS(5);
    int fd = -1;

    while (fd < 0 && ts_now() < until) {
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            ts_breathe();
    }
    assert_true(fd >= 0);
    ts_raw *r = ts_raw_adopt(fd);
    ts_raw_send(r, INFO);
    (void)ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
    ts_raw_send(r, "PONG\r\n");
    return r;
}

static void test_a_server_that_errs_without_end(void **state)
{
    ts_port port = ts_port_reserve();
    int listener = ts_port_listen(&port);
    char url[64];

    (void)state;
    ts_tally_init(&gate);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port.number);
    ts_threaded *c =
        ts_threaded_open_with(NBJ_CLIENT_OPTIONS(.url = url, .retry_first_connect = true), hold_the_first, NULL);
    ts_raw *r = accept_one(listener);
    for (int i = 0; i < 5000; i++)
        ts_raw_send(r, "-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    ts_raw_send(r, "PING\r\n");
    (void)ts_raw_expect(r, "PONG\r\n", TS_RAW_MS); /* all were read */
    ts_tally_add(&gate, 1);
    nbj_client_close(c->client);
    (void)ts_threaded_await_closed(c); /* this one had its place */
    assert_in_range(ts_threaded_count(c, NBJ_EVENT_SERVER_ERROR), 100, 300);
    ts_threaded_free(c);
    ts_tally_done(&gate);
    ts_raw_close(r);
    close(listener);
    ts_port_release(&port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_outgoing_buffer_is_full, end_test),
        cmocka_unit_test_teardown(test_sending_waits_for_room_and_for_so_long, end_test),
        cmocka_unit_test_teardown(test_queue_is_full_of_messages, end_test),
        cmocka_unit_test_teardown(test_queue_is_full_of_octets, end_test),
        cmocka_unit_test_teardown(test_window_is_full_of_messages, end_test),
        cmocka_unit_test_teardown(test_window_is_full_of_octets, end_test),
        cmocka_unit_test_teardown(test_a_server_that_errs_without_end, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
