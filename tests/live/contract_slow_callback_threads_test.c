/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of callbacks that take their time: nothing but other callbacks waits for them. One sleeps for ten seconds
 * while PINGs come and go far more often, calls of other threads get their answers, and what comes for it is kept. */
#define _GNU_SOURCE

#include "raw.h"
#include "server.h"
#include "thread_client.h"

#include <stdio.h>
#include <time.h>

#define SLEEP_MS 10000
#define QUEUED 1000

static ts_server *server;

static int start(void **state)
{
    (void)state;
    server =
        ts_server_start(&(ts_server_options){ .jetstream = true, .config = "ping_interval: \"500ms\"\nping_max: 2\n" });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ts_threaded_free_all();
    ts_server_free(server);
    return 0;
}

typedef struct sleeper {
    nbj_client *client;
    nbj_sub *read;
    ts_tally began, got;
    atomic_bool sleeps;
    atomic_uint out_of_order;
    atomic_uint requests, publishes, messages, wrong; /* of the other threads, while it sleeps */
} sleeper;

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    sleeper *s = user;
    nbj_bytes data = nbj_msg_data(msg);
    char want[16];
    int len = snprintf(want, sizeof want, "%llu", (unsigned long long)ts_tally_count(&s->got));

    (void)sub;
    s->out_of_order += !nbj_bytes_equal(data, nbj_view(want, (size_t)len));
    if (ts_tally_count(&s->began) == 0) {
        s->sleeps = true;
        ts_tally_add(&s->began, 1);
        nanosleep(&(struct timespec){ .tv_sec = SLEEP_MS / 1000 }, NULL);
        s->sleeps = false;
    }
    ts_tally_add(&s->got, 1);
}

static void work(void *arg, size_t i)
{
    sleeper *s = arg;
    nbj_msg *msg = NULL;
    nbj_status st = NBJ_OK;

    while (s->sleeps) {
        if (i == 0) {
            st = nbj_request(s->client, "echo", nbj_str("?"), NULL, &msg);
            s->requests += st == NBJ_OK;
        } else if (i == 1) {
            st = nbj_publish(s->client, "s.x", nbj_str("x"), NULL, NULL);
            s->publishes += st == NBJ_OK;
        } else {
            st = nbj_sub_next(s->read, NBJ_SECONDS(1), &msg);
            s->messages += st == NBJ_OK;
        }
        s->wrong += st != NBJ_OK && s->sleeps; /* afterwards nothing more comes to be read */
        nbj_msg_release(msg);
        msg = NULL;
        if (i < 2)
            ts_breathe();
    }
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_bytes reply = nbj_msg_reply(msg);
    char subject[256];

    (void)sub;
    snprintf(subject, sizeof subject, "%.*s", NBJ_FMT(reply));
    (void)(nbj_send(user, subject, nbj_str("!"), NULL) == NBJ_OK);
    (void)(nbj_send(user, "read", nbj_str("x"), NULL) == NBJ_OK);
}

static void test_a_callback_sleeps_for_ten_seconds(void **state)
{
    ts_threaded *echo = ts_threaded_at(ts_server_url(server));
    ts_threaded *c = ts_threaded_open(
        NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .ping_interval_ns = NBJ_MILLIS(200), .max_pings_out = 2));
    ts_raw *r = ts_raw_open(ts_server_port(server));
    static sleeper s;
    nbj_sub *echoes = NULL, *sub = NULL;
    ts_threads threads;

    (void)state;
    s.client = c->client;
    ts_tally_init(&s.began);
    ts_tally_init(&s.got);
    assert_int_equal(nbj_subscribe(echo->client, "echo", NULL, on_echo, echo->client, &echoes), NBJ_OK);
    assert_int_equal(nbj_flush(echo->client, 0), NBJ_OK);
    assert_int_equal(
        nbj_stream_ensure(c->client,
                          NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST("s.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    assert_int_equal(nbj_subscribe(c->client, "read", NULL, NULL, NULL, &s.read), NBJ_OK);
    assert_int_equal(nbj_subscribe(c->client, "slow", NULL, on_msg, &s, &sub), NBJ_OK);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    for (int i = 0; i < QUEUED; i++) {
        char number[16];
        ts_raw_pub(r, "slow", NULL, number, (size_t)snprintf(number, sizeof number, "%d", i));
    }
    TALLY_AWAIT(&s.began, 1, TS_THREADED_MS);
    ts_raw_close(r);
    ts_threads_start(&threads, 3, work, &s);
    ts_threads_join(&threads, SLEEP_MS + TS_THREADED_MS);
    TALLY_AWAIT(&s.got, QUEUED, TS_THREADED_MS);
    assert_int_equal(s.out_of_order, 0);
    assert_int_equal(nbj_sub_stats_of(sub).dropped, 0);
    assert_int_equal(s.wrong, 0);
    if (s.requests < 100 || s.publishes < 100 || s.messages < 100)
        TS_FAIL("%u requests, %u publishes, %u messages in ten seconds", s.requests, s.publishes, s.messages);
    assert_int_equal(ts_threaded_count(c, NBJ_EVENT_DISCONNECTED), 0); /* nobody found it stale */
    assert_int_equal(nbj_client_stats_of(c->client).reconnects, 0);
    nbj_sub_release(sub);
    nbj_sub_release(s.read);
    nbj_sub_release(echoes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_callback_sleeps_for_ten_seconds),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
