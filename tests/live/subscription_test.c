/* SPDX-License-Identifier: Apache-2.0 */
/* The life of subscriptions against a real server: maxima, drains, queues, releases in callbacks, and very many. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "server.h"

#include <stdio.h>

static ts_server *server;

static int start_server(void **state)
{
    (void)state;
    server = ts_server_start(NULL);
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

/* A client and another peer, for tests of one subscription. */
typedef struct pair {
    ts_client *c;
    ts_raw *r;
} pair;

static pair open_pair(void)
{
    return (pair){ connect_one(), ts_raw_open(ts_server_port(server)) };
}

/* The server's messages so far have come to |p->c|. */
static void publish_and_receive(const pair *p, const char *subject, int first, int count)
{
    ts_publish_numbers(p->r, subject, first, count);
    ts_flush(p->c);
}

/* -- maxima -- */

static void check_ended(const ts_sink *s, size_t count, nbj_status why)
{
    CHECK("all of them and no more", ts_sink_counts(s, 0, count));
    CHECK("one end", s->ended == 1);
    CHECK("and why", s->why == why);
}

static void test_max_from_the_beginning(void **state)
{
    pair p = open_pair();
    ts_sink one = { 0 }, ten = { 0 };

    (void)state;
    ts_subscribe_with(p.c, &one, "max", (nbj_sub_options){ .max_messages = 1 });
    ts_subscribe_with(p.c, &ten, "max", (nbj_sub_options){ .max_messages = 10 });
    ts_flush(p.c);
    publish_and_receive(&p, "max", 0, 9);
    check_ended(&one, 1, NBJ_OK);
    assert_int_equal(ten.ended, 0);
    publish_and_receive(&p, "max", 9, 20);
    check_ended(&ten, 10, NBJ_OK);
    assert_int_equal(nbj_unsubscribe(ten.sub, 0), NBJ_E_STATE);
    assert_int_equal(nbj_sub_drain(ten.sub), NBJ_E_STATE);
    ts_sink_free(&one);
    ts_sink_free(&ten);
    ts_raw_close(p.r);
}

/* Maxima set when 5 messages have come. */
static void test_max_set_later(void **state)
{
    static const struct {
        const char *name;
        uint64_t max;
        size_t want;
    } cases[] = { { "at once", 0, 5 },
                  { "long passed", 3, 5 },
                  { "just reached", 5, 5 },
                  { "one more", 6, 6 },
                  { "more than will come", 100, 15 } };
    pair p = open_pair();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ts_sink s = { 0 };
        ts_subscribe(p.c, &s, "later");
        ts_flush(p.c);
        publish_and_receive(&p, "later", 0, 5);
        CHECK(cases[i].name, nbj_unsubscribe(s.sub, cases[i].max) == NBJ_OK);
        ts_flush(p.c);
        publish_and_receive(&p, "later", 5, 10);
        CHECK(cases[i].name, ts_sink_counts(&s, 0, cases[i].want));
        CHECK(cases[i].name, s.ended == (cases[i].max < 15) && s.why == NBJ_OK);
        CHECK(cases[i].name, nbj_sub_stats_of(s.sub).delivered == cases[i].want);
        ts_sink_free(&s);
    }
    ts_raw_close(p.r);
}

static void test_max_across_a_reconnect(void **state)
{
    pair p = open_pair();
    ts_sink s = { 0 }, later = { 0 };

    (void)state;
    ts_subscribe_with(p.c, &s, "across", (nbj_sub_options){ .max_messages = 10 });
    ts_subscribe(p.c, &later, "across");
    ts_flush(p.c);
    publish_and_receive(&p, "across", 0, 4);
    nbj_client_reconnect(p.c->client);
    assert_int_equal(nbj_unsubscribe(later.sub, 12), NBJ_OK); /* while there is no connection */
    (void)ts_await(p.c, NBJ_EVENT_RECONNECTED);
    ts_flush(p.c);
    publish_and_receive(&p, "across", 4, 3);
    nbj_client_reconnect(p.c->client);
    (void)ts_await(p.c, NBJ_EVENT_RECONNECTED);
    ts_flush(p.c);
    assert_int_equal(s.ended, 0);
    publish_and_receive(&p, "across", 7, 20);
    check_ended(&s, 10, NBJ_OK);
    check_ended(&later, 12, NBJ_OK);
    assert_string_equal(p.c->trail, "CDRDR");
    CHECK("the server sends no more than that", nbj_client_stats_of(p.c->client).unwanted == 0);
    ts_sink_free(&s);
    ts_sink_free(&later);
    ts_raw_close(p.r);
}

/* -- ending -- */

static void test_drain_brings_what_is_on_its_way(void **state)
{
    pair p = open_pair();
    ts_sink s = { 0 }, other = { 0 };

    (void)state;
    ts_subscribe(p.c, &s, "drain");
    ts_subscribe(p.c, &other, "drain");
    ts_flush(p.c);
    ts_publish_numbers(p.r, "drain", 0, 5000); /* nobody turns the client meanwhile */
    assert_int_equal(s.count, 0);
    assert_int_equal(nbj_sub_drain(s.sub), NBJ_OK);
    assert_int_equal(nbj_sub_drain(s.sub), NBJ_E_STATE);
    assert_int_equal(nbj_unsubscribe(s.sub, 0), NBJ_E_STATE);
    TURN_UNTIL(s.ended > 0, TS_WAIT_MS);
    check_ended(&s, 5000, NBJ_OK);
    publish_and_receive(&p, "drain", 5000, 1);
    assert_int_equal(s.count, 5000);
    CHECK("the other goes on", ts_sink_counts(&other, 0, 5001));
    ts_sink_free(&s);
    ts_sink_free(&other);
    ts_raw_close(p.r);
}

static void test_unsubscribe_drops_what_is_on_its_way(void **state)
{
    pair p = open_pair();
    ts_sink s = { 0 };

    (void)state;
    ts_subscribe(p.c, &s, "cut");
    ts_flush(p.c);
    ts_publish_numbers(p.r, "cut", 0, 100);
    assert_int_equal(nbj_unsubscribe(s.sub, 0), NBJ_OK);
    ts_flush(p.c);
    check_ended(&s, 0, NBJ_OK);
    assert_int_equal(nbj_client_stats_of(p.c->client).unwanted, 100);
    ts_sink_free(&s);
    ts_raw_close(p.r);
}

static void test_drain_and_unsubscribe_without_a_connection(void **state)
{
    ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)));
    ts_sink drained = { 0 }, ended = { 0 }, stays = { 0 };

    (void)state;
    ts_subscribe(c, &drained, "x");
    ts_subscribe(c, &ended, "x");
    ts_subscribe(c, &stays, "x");
    assert_int_equal(nbj_sub_drain(drained.sub), NBJ_OK);
    assert_int_equal(nbj_unsubscribe(ended.sub, 0), NBJ_OK);
    ts_send(c, "x", "0");
    TURN_UNTIL(stays.count == 1, TS_WAIT_MS);
    check_ended(&drained, 0, NBJ_OK);
    check_ended(&ended, 0, NBJ_OK);
    ts_sink_free(&drained);
    ts_sink_free(&ended);
    ts_sink_free(&stays);
}

static void test_close_ends_them(void **state)
{
    ts_client *c = connect_one();
    ts_sink s = { 0 };
    nbj_sub *none;

    (void)state;
    ts_subscribe(c, &s, "close");
    nbj_client_close(c->client);
    assert_int_equal(nbj_subscribe(c->client, "x", NULL, ts_on_msg, NULL, &none), NBJ_E_CLOSED);
    assert_int_equal(nbj_send(c->client, "x", nbj_str("x"), NULL), NBJ_E_CLOSED);
    (void)ts_await(c, NBJ_EVENT_CLOSED);
    check_ended(&s, 0, NBJ_E_CLOSED);
    assert_int_equal(nbj_unsubscribe(s.sub, 0), NBJ_E_STATE);
    assert_int_equal(nbj_loop_process(c->client), NBJ_E_CLOSED);
    assert_string_equal(c->trail, "CX");
    ts_sink_free(&s);
}

/* -- queues -- */

static nbj_sub *subscribe_queued(ts_client *c, const char *subject, uint64_t messages, uint64_t bytes)
{
    nbj_sub *sub = NULL;

    assert_int_equal(
        nbj_subscribe(c->client, subject, NBJ_SUB(.limit_messages = messages, .limit_bytes = bytes), NULL, NULL, &sub),
        NBJ_OK);
    ts_flush(c);
    return sub;
}

static void take(nbj_sub *sub, const char *payload)
{
    nbj_msg *m = ts_next(sub);

    assert_non_null(m);
    CHECK(payload, ts_same(nbj_msg_data(m), payload));
    nbj_msg_release(m);
}

static void test_queue(void **state)
{
    pair p = open_pair();
    nbj_sub *sub = subscribe_queued(p.c, "queue", 0, 0);

    (void)state;
    assert_null(ts_next(sub));
    publish_and_receive(&p, "queue", 0, 3);
    assert_int_equal(nbj_sub_stats_of(sub).pending, 3);
    take(sub, "0");
    take(sub, "1");
    assert_int_equal(nbj_sub_stats_of(sub).pending, 1);
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK); /* what has come can still be taken */
    ts_flush(p.c);
    take(sub, "2");
    assert_null(ts_next(sub));
    assert_int_equal(nbj_sub_stats_of(sub).delivered, 3);
    nbj_sub_release(sub);
    ts_raw_close(p.r);
}

static void test_full_queue(void **state)
{
    pair p = open_pair();
    nbj_sub *sub = subscribe_queued(p.c, "full", 10, 0);

    (void)state;
    publish_and_receive(&p, "full", 0, 25);
    assert_string_equal(p.c->trail, "CS");
    assert_int_equal(nbj_sub_stats_of(sub).pending, 10);
    assert_int_equal(nbj_sub_stats_of(sub).dropped, 15);
    assert_int_equal(nbj_sub_stats_of(sub).delivered, 25);
    take(sub, "0");
    take(sub, "1");
    publish_and_receive(&p, "full", 25, 2); /* fit */
    assert_string_equal(p.c->trail, "CS");
    publish_and_receive(&p, "full", 27, 3); /* do not */
    assert_string_equal(p.c->trail, "CSS");
    for (int i = 2; i < 10; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        take(sub, number);
    }
    take(sub, "25");
    take(sub, "26");
    assert_null(ts_next(sub));
    assert_int_equal(nbj_sub_stats_of(sub).dropped, 18);
    assert_int_equal(nbj_client_stats_of(p.c->client).dropped, 18);
    nbj_sub_release(sub);
    ts_raw_close(p.r);
}

static void test_queue_full_of_octets(void **state)
{
    pair p = open_pair();
    nbj_sub *sub = subscribe_queued(p.c, "octets", 0, 5000);
    char payload[1000] = { 0 };

    (void)state;
    for (int i = 0; i < 10; i++)
        ts_raw_pub(p.r, "octets", NULL, payload, sizeof payload);
    ts_raw_flush(p.r);
    ts_flush(p.c);
    CHECK("some", nbj_sub_stats_of(sub).pending >= 3 && nbj_sub_stats_of(sub).pending <= 5);
    assert_int_equal(nbj_sub_stats_of(sub).pending + nbj_sub_stats_of(sub).dropped, 10);
    assert_string_equal(p.c->trail, "CS");
    nbj_sub_release(sub); /* with what waits in it */
    ts_raw_close(p.r);
}

static void test_drain_of_a_client_waits_for_queues(void **state)
{
    pair p = open_pair();
    nbj_sub *sub = subscribe_queued(p.c, "wait", 0, 0);

    (void)state;
    ts_publish_numbers(p.r, "wait", 0, 2);
    nbj_client_drain_async(p.c->client, NBJ_SECONDS(10));
    TURN_UNTIL(nbj_sub_stats_of(sub).pending == 2, TS_WAIT_MS);
    take(sub, "0");
    ts_turn_for(50);
    assert_string_equal(p.c->trail, "C");
    assert_int_not_equal(nbj_loop_timeout_ns(p.c->client), 0);
    take(sub, "1");
    CHECK("the loop is told that it can go on", nbj_loop_timeout_ns(p.c->client) == 0);
    assert_int_equal(ts_await(p.c, NBJ_EVENT_CLOSED)->status, NBJ_OK);
    nbj_sub_release(sub);
    ts_raw_close(p.r);
}

/* -- what callbacks may do -- */

static void test_retained_messages_keep(void **state)
{
    pair p = open_pair();
    ts_sink kept = { 0 }, passing = { 0 };
    char want[64];

    (void)state;
    ts_subscribe(p.c, &kept, "keep.*");
    ts_subscribe(p.c, &passing, "pass");
    ts_flush(p.c);
    for (int i = 0; i < 100; i++) {
        ts_raw_printf(p.r, "HPUB keep.%d rep 18 20\r\nNATS/1.0\r\nN:%02d\r\n\r\n%02d\r\n", i, i, i);
        ts_publish_numbers(p.r, "pass", 10 * i, 10);
        ts_flush(p.c);
    }
    ts_sink_free(&passing);
    nbj_sub_release(kept.sub);
    kept.sub = NULL;
    nbj_client_close(p.c->client);
    (void)ts_await(p.c, NBJ_EVENT_CLOSED);
    assert_int_equal(kept.count, 100);
    for (size_t i = 0; i < kept.count; i++) {
        nbj_bytes value;
        snprintf(want, sizeof want, "keep.%zu", i);
        CHECK("subject", ts_same(nbj_msg_subject(kept.msg[i]), want));
        snprintf(want, sizeof want, "%02zu", i);
        CHECK("payload", ts_same(nbj_msg_data(kept.msg[i]), want));
        assert_int_equal(nbj_msg_header(kept.msg[i], "N", &value), NBJ_OK);
        CHECK("header", ts_same(value, want));
        CHECK("reply", ts_same(nbj_msg_reply(kept.msg[i]), "rep"));
        nbj_msg *again = nbj_msg_retain(kept.msg[i]);
        assert_ptr_equal(again, kept.msg[i]);
        nbj_msg_release(again);
    }
    ts_sink_free(&kept);
    ts_raw_close(p.r);
}

typedef struct juggler {
    ts_client *c;
    nbj_sub *self, *sibling;
    unsigned calls;
    ts_sink more;
} juggler;

static void release_both(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    juggler *j = user;

    (void)msg;
    assert_ptr_equal(sub, j->self);
    j->calls++;
    nbj_sub_release(j->sibling);
    nbj_sub_release(j->self);
}

static void never(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    (void)msg;
    TS_FAIL("a message of a released subscription");
}

static void test_release_in_a_callback(void **state)
{
    pair p = open_pair();
    juggler j = { .c = p.c };

    (void)state;
    assert_int_equal(nbj_subscribe(p.c->client, "juggle", NULL, release_both, &j, &j.self), NBJ_OK);
    assert_int_equal(nbj_subscribe(p.c->client, "juggle.not", NULL, never, &j, &j.sibling), NBJ_OK);
    ts_flush(p.c);
    ts_publish_numbers(p.r, "juggle", 0, 1);
    ts_publish_numbers(p.r, "juggle.not", 0, 10);
    ts_publish_numbers(p.r, "juggle", 1, 10);
    ts_flush(p.c);
    assert_int_equal(j.calls, 1);
    publish_and_receive(&p, "juggle", 0, 10);
    assert_int_equal(j.calls, 1);
    ts_raw_close(p.r);
}

static void subscribe_more(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    juggler *j = user;

    (void)msg;
    j->calls++;
    ts_subscribe(j->c, &j->more, "more");
    ts_send(j->c, "more", "0");
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK);
}

static void test_subscribe_and_send_in_a_callback(void **state)
{
    juggler j = { .c = connect_one() };

    (void)state;
    assert_int_equal(nbj_subscribe(j.c->client, "begin", NULL, subscribe_more, &j, &j.self), NBJ_OK);
    ts_send(j.c, "begin", "x");
    ts_send(j.c, "begin", "x");
    TURN_UNTIL(j.more.count == 1, TS_WAIT_MS);
    ts_flush(j.c);
    assert_int_equal(j.more.count, 1);
    assert_int_equal(j.calls, 1);
    nbj_sub_release(j.self);
    ts_sink_free(&j.more);
}

/* -- very many -- */

#define MANY 10000

static unsigned received[MANY];

static void count_one(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    ++*(unsigned *)user;
}

/* One message to each subscription, and each has |want| of them then. */
static void reach_all(const pair *p, unsigned want)
{
    char subject[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(subject, sizeof subject, "many.%d.x", i);
        ts_raw_pub(p->r, subject, NULL, "x", 1);
    }
    ts_raw_flush(p->r);
    ts_flush(p->c);
    for (int i = 0; i < MANY; i++) {
        if (received[i] != want)
            TS_FAIL("subscription %d has %u messages instead of %u", i, received[i], want);
    }
}

static void test_very_many(void **state)
{
    static nbj_sub *subs[MANY];
    pair p = open_pair();
    char subject[32];

    (void)state;
    memset(received, 0, sizeof received);
    for (int i = 0; i < MANY; i++) {
        snprintf(subject, sizeof subject, "many.%d.*", i);
        assert_int_equal(nbj_subscribe(p.c->client, subject, NULL, count_one, &received[i], &subs[i]), NBJ_OK);
    }
    ts_flush(p.c);
    reach_all(&p, 1);
    ts_server_kill9(server);
    (void)ts_await(p.c, NBJ_EVENT_DISCONNECTED);
    ts_server_restart(server);
    (void)ts_await(p.c, NBJ_EVENT_RECONNECTED);
    ts_flush(p.c);
    ts_raw_close(p.r);
    p.r = ts_raw_open(ts_server_port(server));
    reach_all(&p, 2);
    for (int i = 0; i < MANY; i += 2)
        nbj_sub_release(subs[i]);
    ts_flush(p.c);
    ts_raw_pub(p.r, "many.0.x", NULL, "x", 1);
    ts_raw_pub(p.r, "many.1.x", NULL, "x", 1);
    ts_raw_flush(p.r);
    ts_flush(p.c);
    assert_int_equal(received[0], 2);
    assert_int_equal(received[1], 3);
    for (int i = 1; i < MANY; i += 2)
        nbj_sub_release(subs[i]);
    ts_raw_close(p.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_max_from_the_beginning, end_test),
        cmocka_unit_test_teardown(test_max_set_later, end_test),
        cmocka_unit_test_teardown(test_max_across_a_reconnect, end_test),
        cmocka_unit_test_teardown(test_drain_brings_what_is_on_its_way, end_test),
        cmocka_unit_test_teardown(test_unsubscribe_drops_what_is_on_its_way, end_test),
        cmocka_unit_test_teardown(test_drain_and_unsubscribe_without_a_connection, end_test),
        cmocka_unit_test_teardown(test_close_ends_them, end_test),
        cmocka_unit_test_teardown(test_queue, end_test),
        cmocka_unit_test_teardown(test_full_queue, end_test),
        cmocka_unit_test_teardown(test_queue_full_of_octets, end_test),
        cmocka_unit_test_teardown(test_drain_of_a_client_waits_for_queues, end_test),
        cmocka_unit_test_teardown(test_retained_messages_keep, end_test),
        cmocka_unit_test_teardown(test_release_in_a_callback, end_test),
        cmocka_unit_test_teardown(test_subscribe_and_send_in_a_callback, end_test),
        cmocka_unit_test_teardown(test_very_many, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
