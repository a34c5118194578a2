/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream with threads: publishes that wait, publishes with callbacks in a small window, pulls whose messages are
 * settled by other threads, and messages that outlive their client. */
#define _GNU_SOURCE
#include "threaded.h"

static const nbj_bytes none = { NULL, 0 };

static void ensure(nbj_client *c, const char *name, const char *subject)
{
    nbj_error error = { 0 };

    if (nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = name, .subjects = NBJ_LIST(subject)),
                          NBJ_CALL(.timeout_ns = SOON), &error) != NBJ_OK)
        TS_FAIL("stream %s: %s", name, nbj_error_text(&error));
}

/* -- streams -- */

static void test_a_stream(void **state)
{
    nbj_client *c = open_one();
    nbj_error error = { 0 };

    (void)state;
    ensure(c, "TWICE", "twice.>");
    ensure(c, "TWICE", "twice.>");
    assert_int_equal(
        nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "TWICE", .subjects = NBJ_LIST("other.>")), NULL, &error),
        NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(error.status, NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "two.words"), NULL, &error), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = NULL), NULL, NULL), NBJ_E_INVALID);
}

static void test_no_jetstream(void **state)
{
    ts_server *plain = ts_server_start(NULL);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(plain)));
    nbj_error error = { 0 };
    nbj_publish_result r;

    (void)state;
    assert_int_equal(nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "S"), NBJ_CALL(.timeout_ns = SOON), &error),
                     NBJ_E_NO_RESPONDERS);
    assert_int_equal(error.status, NBJ_E_NO_RESPONDERS);
    assert_int_equal(nbj_publish(c, "s", none, NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(1)), &r), NBJ_E_NO_STREAM);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    give_back(c);
    ts_server_free(plain);
}

/* -- publishes that wait -- */

static void test_publish(void **state)
{
    nbj_client *c = open_one();
    nbj_publish_result r;
    nbj_header h = { nbj_str("Name"), nbj_str("value") };

    (void)state;
    ensure(c, "PUB", "pub.>");
    assert_int_equal(nbj_publish(c, "pub.a", nbj_str("1"), NBJ_PUBLISH(.headers = &h, .header_count = 1), &r), NBJ_OK);
    assert_true(r.outcome == NBJ_STORED && nbj_is_stored(&r));
    assert_string_equal(r.ack.stream, "PUB");
    assert_string_equal(r.ack.domain, "");
    assert_true(r.ack.sequence == 1);
    assert_int_equal(nbj_publish(c, "pub.a", nbj_str("2"), NBJ_PUBLISH(.msg_id = "same"), NULL), NBJ_OK);
    assert_int_equal(nbj_publish(c, "pub.a", nbj_str("2"), NBJ_PUBLISH(.msg_id = "same"), &r), NBJ_OK);
    assert_true(r.outcome == NBJ_DUPLICATE && nbj_is_stored(&r) && r.ack.sequence == 2);
    assert_int_equal(nbj_publish(c, "pub.a", nbj_str("3"), NBJ_PUBLISH(.no_msg_id = true), &r), NBJ_OK);
    assert_true(r.ack.sequence == 3);
    assert_true(nbj_publish_unfinished(c) == 0);
}

static void test_publishes_that_fail(void **state)
{
    static char large[1048577];
    nbj_client *c = open_one();
    nbj_publish_result r = { 0 };
    nbj_header bad = { nbj_str("a:b"), none };

    (void)state;
    nbj_status st = nbj_publish(c, "no.stream", none, NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(1)), &r);
    assert_int_equal(st, NBJ_E_NO_STREAM); /* its stream might have been between two leaders: asked more than once */
    assert_int_equal(r.outcome, NBJ_REJECTED);
    assert_int_equal(r.error.status, st);
    r = (nbj_publish_result){ 0 };
    assert_int_equal(nbj_publish(c, "no.*", none, NULL, &r), NBJ_E_BAD_SUBJECT);
    assert_true(r.outcome == NBJ_REJECTED && r.error.status == NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_publish(c, "no", nbj_view(large, sizeof large), NULL, NULL), NBJ_E_TOO_LARGE);
    assert_int_equal(nbj_publish(c, "no", none, NBJ_PUBLISH(.headers = &bad, .header_count = 1), NULL),
                     NBJ_E_BAD_HEADER);
    assert_int_equal(nbj_publish(c, "no", none, &(nbj_publish_options){ .struct_size = 1 }, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_publish_async(c, "no", none, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_true(nbj_publish_unfinished(c) == 0);
}

#define PUBLISHERS 4
#define EACH 100

typedef struct publisher {
    nbj_client *client;
    atomic_uchar *stored; /* by sequence */
} publisher;

static nbj_status publish_often(void *arg)
{
    const publisher *p = arg;
    nbj_status st = NBJ_OK;

    for (int i = 0; i < EACH && st == NBJ_OK; i++) {
        nbj_publish_result r;
        st = nbj_publish(p->client, "shared.x", nbj_str("x"), NULL, &r);
        if (st == NBJ_OK && r.ack.sequence <= PUBLISHERS * EACH)
            p->stored[r.ack.sequence]++;
    }
    return st;
}

static void test_each_thread_gets_its_own(void **state)
{
    static atomic_uchar stored[PUBLISHERS * EACH + 1];
    nbj_client *c = open_one();
    publisher p = { c, stored };
    worker w[PUBLISHERS];

    (void)state;
    ensure(c, "SHARED", "shared.>");
    for (int i = 0; i < PUBLISHERS; i++)
        start(&w[i], publish_often, &p);
    for (int i = 0; i < PUBLISHERS; i++)
        assert_int_equal(finish(&w[i]), NBJ_OK);
    for (int i = 1; i <= PUBLISHERS * EACH; i++)
        assert_int_equal(stored[i], 1);
}

/* -- with callbacks -- */

#define WINDOW 4

typedef struct tally {
    nbj_client *client;
    atomic_uint stored, others;
    atomic_bool elsewhere;  /* one was not on the thread for callbacks */
    atomic_int in_callback; /* what a publish there came to; 1: none was made */
} tally;

static void on_result(void *user, const nbj_publish_result *r)
{
    tally *t = user;

    if (!is_callback_thread())
        t->elsewhere = true;
    if (nbj_is_stored(r))
        t->stored++;
    else
        t->others++;
}

/* A server that is stopped for a while, with a stream that takes "w.>", and a client whose window is small. */
static ts_server *small_window(nbj_client **c)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true });

    *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .publish_max_messages = WINDOW));
    ensure(*c, "W", "w.>");
    return s;
}

static nbj_status publish_one_more(void *arg)
{
    tally *t = arg;

    return nbj_publish_async(t->client, "w.more", nbj_str("x"), NBJ_PUBLISH(.timeout_ns = SOON), on_result, t);
}

static void test_a_full_window_is_waited_for(void **state)
{
    nbj_client *c;
    ts_server *s = small_window(&c);
    tally t = { .client = c };
    uint64_t unfinished = 9;
    worker w;

    (void)state;
    ts_server_pause(s);
    for (int i = 0; i < WINDOW; i++)
        assert_int_equal(nbj_publish_async(c, "w.x", nbj_str("x"), NULL, on_result, &t), NBJ_OK);
    assert_true(nbj_publish_unfinished(c) == WINDOW);

    const nbj_publish_options *brief = NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(50));
    nbj_time begun = ts_now();
    assert_int_equal(nbj_publish_async(c, "w.x", none, brief, on_result, &t), NBJ_E_TIMEOUT);
    assert_int_equal(nbj_publish(c, "w.x", none, brief, NULL), NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun >= NBJ_MILLIS(100));
    assert_int_equal(nbj_publish_flush(c, NBJ_MILLIS(50), &unfinished), NBJ_E_TIMEOUT);
    assert_true(unfinished == WINDOW);

    start(&w, publish_one_more, &t);
    WAIT_UNTIL(is_asleep(&w), SOON_MS);
    assert_false(w.done);
    ts_server_cont(s);
    assert_int_equal(finish(&w), NBJ_OK);
    assert_int_equal(nbj_publish_flush(c, SOON, &unfinished), NBJ_OK);
    assert_true(unfinished == 0);
    assert_int_equal(t.stored, WINDOW + 1); /* callbacks have run */
    assert_int_equal(t.others, 0);
    assert_false(t.elsewhere);
    give_back(c);
    ts_server_free(s);
}

static void publish_here(void *user, nbj_status status, uint64_t round_trip_ns)
{
    tally *t = user;

    (void)status;
    (void)round_trip_ns;
    t->in_callback = nbj_publish_async(t->client, "w.x", none, NULL, on_result, t);
}

static void test_callbacks_do_not_wait_for_room(void **state)
{
    nbj_client *c;
    ts_server *s = small_window(&c);
    tally t = { .client = c, .in_callback = 1 };

    (void)state;
    ts_server_pause(s);
    for (int i = 0; i < WINDOW; i++)
        assert_int_equal(nbj_publish_async(c, "w.x", nbj_str("x"), NULL, on_result, &t), NBJ_OK);
    assert_int_equal(nbj_flush_async(c, NBJ_MILLIS(50), publish_here, &t), NBJ_OK); /* runs out of time */
    WAIT_UNTIL(t.in_callback != 1, SOON_MS);
    assert_int_equal(t.in_callback, NBJ_E_WOULD_BLOCK);
    ts_server_cont(s);
    assert_int_equal(nbj_publish_flush(c, SOON, NULL), NBJ_OK);
    assert_int_equal(t.stored, WINDOW);
    give_back(c);
    ts_server_free(s);
}

static void test_many_through_a_small_window(void **state)
{
    nbj_client *c;
    ts_server *s = small_window(&c);
    tally t = { .client = c };

    (void)state;
    for (int i = 0; i < 300; i++)
        assert_int_equal(nbj_publish_async(c, "w.x", nbj_str("x"), NULL, on_result, &t), NBJ_OK);
    assert_int_equal(nbj_publish_flush(c, SOON, NULL), NBJ_OK);
    assert_int_equal(t.stored, 300);
    assert_int_equal(t.others, 0);
    give_back(c);
    ts_server_free(s);
}

static void test_close_tells_each(void **state)
{
    journal events = JOURNAL;
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true });
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .on_event = on_event, .user_data = &events));
    tally t = { .client = c };

    (void)state;
    ensure(c, "W", "w.>");
    ts_server_pause(s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(nbj_publish_async(c, "w.x", nbj_str("x"), NULL, on_result, &t), NBJ_OK);
    nbj_client_close(c);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_int_equal(t.stored + t.others, 10); /* all before CLOSED */
    ts_server_cont(s);
    give_back(c);
    ts_server_free(s);
}

/* -- pulls -- */

#define ORDERS 60
#define PACKERS 3

/* A shop: the pull's callback puts deliveries on a belt, other threads take them off and settle them. */
typedef struct shop {
    pthread_mutex_t lock;
    nbj_msg *belt[2 * ORDERS];
    size_t put, taken;
    atomic_bool shut, elsewhere;
    atomic_uint refused, packed; /* naks and acks */
    atomic_uchar done[ORDERS + 1];
} shop;

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    shop *s = user;

    (void)pull;
    if (!is_callback_thread())
        s->elsewhere = true;
    pthread_mutex_lock(&s->lock);
    if (s->put < 2 * ORDERS)
        s->belt[s->put++] = nbj_msg_retain(msg);
    pthread_mutex_unlock(&s->lock);
}

static nbj_msg *take_off(shop *s)
{
    pthread_mutex_lock(&s->lock);
    nbj_msg *msg = s->taken < s->put ? s->belt[s->taken++] : NULL;
    pthread_mutex_unlock(&s->lock);
    return msg;
}

/* Every third message is refused the first time. */
static nbj_status settle(shop *s, const nbj_msg *msg)
{
    nbj_delivery d;
    nbj_status st = nbj_msg_delivery(msg, &d);

    if (st != NBJ_OK || d.stream_sequence > ORDERS)
        return NBJ_E_BAD_REPLY;
    if (d.delivered == 1 && d.stream_sequence % 3 == 0) {
        st = nbj_nak(msg, 0);
        s->refused++;
    } else {
        st = nbj_ack(msg);
        s->done[d.stream_sequence]++;
        s->packed++;
    }
    return st;
}

static nbj_status pack(void *arg)
{
    shop *s = arg;
    nbj_status st = NBJ_OK;

    while (!s->shut && st == NBJ_OK) {
        nbj_msg *msg = take_off(s);
        if (msg != NULL)
            st = settle(s, msg);
        else
            ts_breathe();
        nbj_msg_release(msg);
    }
    return st;
}

static void test_other_threads_settle(void **state)
{
    static shop s = { .lock = PTHREAD_MUTEX_INITIALIZER };
    nbj_client *c = open_one();
    nbj_pull *pull = NULL;
    worker w[PACKERS];

    (void)state;
    ensure(c, "SHOP", "shop.>");
    for (int i = 0; i < ORDERS; i++)
        assert_int_equal(nbj_publish(c, "shop.order", nbj_str("x"), NULL, NULL), NBJ_OK);
    assert_int_equal(
        nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "SHOP", .durable = "packer"), on_delivery, &s, &pull), NBJ_OK);
    for (int i = 0; i < PACKERS; i++)
        start(&w[i], pack, &s);
    WAIT_UNTIL(s.packed >= ORDERS, SOON_MS);
    s.shut = true;
    for (int i = 0; i < PACKERS; i++)
        assert_int_equal(finish(&w[i]), NBJ_OK);
    assert_int_equal(nbj_pull_state_of(pull), NBJ_PULL_RUNNING);
    nbj_pull_stop(pull);
    assert_int_equal(nbj_pull_state_of(pull), NBJ_PULL_STOPPED);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_OK);
    assert_int_equal(s.refused, ORDERS / 3);
    for (int i = 1; i <= ORDERS; i++)
        assert_int_equal(s.done[i], 1);
    assert_false(s.elsewhere);
    nbj_pull_release(pull);
}

static void test_pulls_that_cannot_start(void **state)
{
    nbj_client *c = open_one();
    shop s = { .lock = PTHREAD_MUTEX_INITIALIZER };
    nbj_pull *pull = (nbj_pull *)c;
    nbj_msg *msg = NULL;

    (void)state;
    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "S"), on_delivery, &s, &pull), NBJ_E_INVALID);
    assert_null(pull);
    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "D"), NULL, &s, &pull),
                     NBJ_E_INVALID);
    nbj_sub *sub = subscribe(c, "plain", NULL, NULL);
    send_text(c, "plain", "x");
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    assert_int_equal(nbj_ack(msg), NBJ_E_NOT_JETSTREAM);
    assert_int_equal(nbj_nak(msg, 0), NBJ_E_NOT_JETSTREAM);
    nbj_msg_release(msg);
    nbj_sub_release(sub);
}

/* -- messages -- */

#define KEPT 200

typedef struct hoard {
    nbj_msg *msg[KEPT];
    atomic_uint count;
} hoard;

static void keep(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    hoard *h = user;

    (void)sub;
    if (h->count < KEPT) {
        h->msg[h->count] = nbj_msg_retain(msg);
        h->count++;
    }
}

static nbj_status give_half(hoard *h, size_t first)
{
    nbj_status st = NBJ_OK;

    for (size_t i = first; i < KEPT; i += 2) {
        nbj_bytes data = nbj_msg_data(h->msg[i]);
        if (data.len != 1 || data.ptr[0] != 'x')
            st = NBJ_E_BAD_REPLY;
        nbj_msg_release(h->msg[i]);
    }
    return st;
}

static nbj_status give_even(void *arg)
{
    return give_half(arg, 0);
}

static nbj_status give_odd(void *arg)
{
    return give_half(arg, 1);
}

static void test_messages_outlive_their_client(void **state)
{
    static hoard h;
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "a", keep, &h);
    worker w[2];

    (void)state;
    for (int i = 0; i < KEPT; i++)
        send_text(c, "a", "x");
    WAIT_UNTIL(h.count == KEPT, SOON_MS);
    nbj_sub_release(sub);
    give_back(c);
    start(&w[0], give_even, &h);
    start(&w[1], give_odd, &h);
    assert_int_equal(finish(&w[0]), NBJ_OK);
    assert_int_equal(finish(&w[1]), NBJ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_stream, end_test),
        cmocka_unit_test_teardown(test_no_jetstream, end_test),
        cmocka_unit_test_teardown(test_publish, end_test),
        cmocka_unit_test_teardown(test_publishes_that_fail, end_test),
        cmocka_unit_test_teardown(test_each_thread_gets_its_own, end_test),
        cmocka_unit_test_teardown(test_a_full_window_is_waited_for, end_test),
        cmocka_unit_test_teardown(test_callbacks_do_not_wait_for_room, end_test),
        cmocka_unit_test_teardown(test_many_through_a_small_window, end_test),
        cmocka_unit_test_teardown(test_close_tells_each, end_test),
        cmocka_unit_test_teardown(test_other_threads_settle, end_test),
        cmocka_unit_test_teardown(test_pulls_that_cannot_start, end_test),
        cmocka_unit_test_teardown(test_messages_outlive_their_client, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
