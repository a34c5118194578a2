/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions of a client with threads: read by callbacks or by threads that wait, and how they end. */
#define _GNU_SOURCE
#include "threaded.h"

static const nbj_bytes none = { NULL, 0 };

/* Sends the numbers from 0 to |count| - 1; the server has them when it returns. */
static void send_numbers(nbj_client *c, const char *subject, unsigned count)
{
    char text[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%u", i);
        send_text(c, subject, text);
    }
    flush(c);
}

static unsigned number_in(const nbj_msg *msg)
{
    nbj_bytes b = nbj_msg_data(msg);
    unsigned n = 0;

    for (size_t i = 0; i < b.len; i++)
        n = n * 10 + (unsigned)(b.ptr[i] - '0');
    return n;
}

static nbj_sub *subscribe_with(nbj_client *c, const char *subject, nbj_sub_options o, nbj_msg_fn *fn, void *user)
{
    nbj_sub *sub = NULL;

    o.struct_size = sizeof o;
    assert_int_equal(nbj_subscribe(c, subject, &o, fn, user, &sub), NBJ_OK);
    flush(c);
    return sub;
}

/* -- messages -- */

static void test_headers_and_reply(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "all.>", NULL, NULL);
    nbj_header sent[] = { { nbj_str("A"), nbj_str("1") }, { nbj_str("B"), none }, { nbj_str("A"), nbj_str("2") } };
    nbj_header h;
    nbj_msg *msg = NULL;
    size_t cursor = 0;

    (void)state;
    assert_int_equal(
        nbj_send(c, "all.of.it", nbj_str("x"), NBJ_SEND(.reply = "back.here", .headers = sent, .header_count = 3)),
        NBJ_OK);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    assert_true(nbj_bytes_equal(nbj_msg_subject(msg), nbj_str("all.of.it")));
    assert_true(nbj_bytes_equal(nbj_msg_reply(msg), nbj_str("back.here")));
    assert_true(holds(msg, "x"));
    assert_int_equal(nbj_msg_status(msg), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nbj_msg_header_next(msg, &cursor, &h), NBJ_OK);
        assert_true(nbj_bytes_equal(h.name, sent[i].name) && nbj_bytes_equal(h.value, sent[i].value));
    }
    assert_int_equal(nbj_msg_header_next(msg, &cursor, &h), NBJ_MORE);
    assert_int_equal(nbj_msg_header(msg, "a", &h.value), NBJ_E_NOT_FOUND);
    assert_int_equal(nbj_send(c, "a.*", none, NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_send(c, "a", none, NBJ_SEND(.reply = "b c")), NBJ_E_BAD_SUBJECT);
    nbj_msg_release(msg);
    nbj_sub_release(sub);
}

static void test_wrong_arguments(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "a", NULL, NULL), *out = sub;
    atomic_uint count = 0;
    nbj_msg *msg = (nbj_msg *)c;
    size_t n = 7;

    (void)state;
    assert_int_equal(nbj_subscribe(c, "a..b", NULL, NULL, NULL, &out), NBJ_E_BAD_SUBJECT);
    assert_null(out);
    assert_int_equal(nbj_subscribe(c, "a", NBJ_SUB(.queue_group = "two words"), NULL, NULL, &out), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_subscribe(c, "a", &(nbj_sub_options){ .struct_size = 4 }, NULL, &count, &out), NBJ_E_INVALID);
    assert_int_equal(nbj_sub_next_batch(sub, &msg, 0, 0, &n), NBJ_E_INVALID);
    assert_int_equal(n, 0);
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_E_TIMEOUT);
    assert_null(msg);
    nbj_sub_release(sub);
}

static void count_them(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    atomic_uint *count = user;

    (void)sub;
    (void)msg;
    ++*count;
}

static void test_a_group_shares(void **state)
{
    atomic_uint count[3] = { 0 };
    nbj_sub *subs[3];
    nbj_client *c = open_one();
    const nbj_sub_options o = { .queue_group = "team" };

    (void)state;
    for (int i = 0; i < 3; i++)
        subs[i] = subscribe_with(i < 2 ? c : open_one(), "jobs", o, count_them, &count[i]);
    send_numbers(c, "jobs", 300);
    WAIT_UNTIL(count[0] + count[1] + count[2] >= 300, SOON_MS);
    flush(c);
    assert_int_equal(count[0] + count[1] + count[2], 300);
    for (int i = 0; i < 3; i++) {
        assert_true(count[i] > 0);
        nbj_sub_release(subs[i]);
    }
}

/* -- waiting for them -- */

static void test_next_waits_so_long(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "a", NULL, NULL);
    nbj_msg *msg = NULL;
    nbj_time begun = ts_now();

    (void)state;
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun < SOON);
    begun = ts_now();
    assert_int_equal(nbj_sub_next(sub, NBJ_MILLIS(50), &msg), NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun >= NBJ_MILLIS(50) && ts_now() - begun < SOON);
    send_text(c, "a", "x");
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK); /* sends it, too: nobody has flushed */
    assert_true(holds(msg, "x"));
    nbj_msg_release(msg);
    nbj_sub_release(sub);
}

static nbj_status read_for_ever(void *sub)
{
    nbj_msg *msg = NULL;
    nbj_status st = nbj_sub_next(sub, NBJ_TIME_NEVER, &msg);

    nbj_msg_release(msg);
    return st;
}

static void test_another_thread_ends_the_waiting(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "a", NULL, NULL);
    worker w[2];

    (void)state;
    start(&w[0], read_for_ever, sub);
    start(&w[1], read_for_ever, sub);
    WAIT_UNTIL(is_asleep(&w[0]) && is_asleep(&w[1]), SOON_MS);
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK);
    assert_int_equal(finish(&w[0]), NBJ_E_ENDED);
    assert_int_equal(finish(&w[1]), NBJ_E_ENDED);
    nbj_sub_release(sub);

    sub = subscribe(c, "a", NULL, NULL);
    start(&w[0], read_for_ever, sub);
    WAIT_UNTIL(is_asleep(&w[0]), SOON_MS);
    send_text(c, "a", "x");
    assert_int_equal(finish(&w[0]), NBJ_OK);
    start(&w[0], read_for_ever, sub);
    WAIT_UNTIL(is_asleep(&w[0]), SOON_MS);
    nbj_client_close(c);
    assert_int_equal(finish(&w[0]), NBJ_E_ENDED);
    nbj_sub_release(sub);
}

static void test_a_batch(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "a", NULL, NULL);
    nbj_msg *batch[8];
    size_t n = 0;
    unsigned next = 0;

    (void)state;
    assert_int_equal(nbj_sub_next_batch(sub, batch, 8, 0, &n), NBJ_E_TIMEOUT);
    assert_int_equal(n, 0);
    send_numbers(c, "a", 20);
    static const size_t sizes[] = { 8, 8, 4 };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nbj_sub_next_batch(sub, batch, 8, SOON, &n), NBJ_OK);
        assert_int_equal(n, sizes[i]);
        for (size_t m = 0; m < n; m++) {
            assert_int_equal(number_in(batch[m]), next++);
            nbj_msg_release(batch[m]);
        }
    }
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK);
    assert_int_equal(nbj_sub_next_batch(sub, batch, 8, SOON, &n), NBJ_E_ENDED);
    nbj_sub_release(sub);
}

static void test_no_reading_beside_a_callback(void **state)
{
    nbj_client *c = open_one();
    atomic_uint count = 0;
    nbj_sub *sub = subscribe(c, "a", count_them, &count);
    nbj_msg *msg = NULL;

    (void)state;
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_E_INVALID);
    nbj_sub_release(sub);
}

#define READERS 4
#define MANY 4000

typedef struct readers {
    nbj_sub *sub;
    atomic_uchar seen[MANY];
} readers;

static nbj_status read_batches(void *arg)
{
    readers *r = arg;
    nbj_msg *batch[16];
    size_t n = 0;
    nbj_status st;

    while ((st = nbj_sub_next_batch(r->sub, batch, 16, SOON, &n)) == NBJ_OK) {
        for (size_t i = 0; i < n; i++) {
            r->seen[number_in(batch[i])]++;
            nbj_msg_release(batch[i]);
        }
    }
    return st;
}

static nbj_status read_singly(void *arg)
{
    readers *r = arg;
    nbj_msg *msg = NULL;
    nbj_status st;

    while ((st = nbj_sub_next(r->sub, SOON, &msg)) == NBJ_OK) {
        r->seen[number_in(msg)]++;
        nbj_msg_release(msg);
    }
    return st;
}

static void test_readers_share(void **state)
{
    static readers r;
    nbj_client *c = open_one();
    worker w[READERS];

    (void)state;
    r.sub = subscribe(c, "a", NULL, NULL);
    for (int i = 0; i < READERS; i++)
        start(&w[i], i % 2 == 0 ? read_singly : read_batches, &r);
    send_numbers(c, "a", MANY);
    assert_int_equal(nbj_sub_drain(r.sub), NBJ_OK);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(finish(&w[i]), NBJ_E_ENDED);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(r.seen[i], 1);
    nbj_sub_release(r.sub);
}

/* -- the end -- */

/* What the callbacks of a subscription get. */
typedef struct ear {
    atomic_uint heard, ended;
    atomic_bool late; /* a message behind the end */
    atomic_int why;
    atomic_bool elsewhere; /* it was not on the thread for callbacks */
} ear;

static void hear(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    ear *e = user;

    (void)sub;
    (void)msg;
    if (e->ended > 0)
        e->late = true;
    if (!is_callback_thread())
        e->elsewhere = true;
    e->heard++;
}

static void hear_the_end(void *user, nbj_sub *sub, nbj_status why)
{
    ear *e = user;

    (void)sub;
    if (!is_callback_thread())
        e->elsewhere = true;
    e->why = why;
    e->ended++;
}

static void check_ear(ear *e, unsigned heard, nbj_status why)
{
    WAIT_UNTIL(e->ended > 0, SOON_MS);
    assert_int_equal(e->ended, 1);
    assert_int_equal(e->heard, heard);
    assert_int_equal(e->why, why);
    assert_false(e->late || e->elsewhere);
}

static void test_ends_after_so_many(void **state)
{
    nbj_client *c = open_one();
    ear at_once = { 0 }, later = { 0 };
    nbj_sub *first =
        subscribe_with(c, "a", (nbj_sub_options){ .max_messages = 3, .on_end = hear_the_end }, hear, &at_once);
    nbj_sub *second = subscribe_with(c, "a", (nbj_sub_options){ .on_end = hear_the_end }, hear, &later);
    nbj_sub *third = subscribe(c, "a", NULL, NULL);
    nbj_msg *msg = NULL;

    (void)state;
    assert_int_equal(nbj_unsubscribe(second, 5), NBJ_OK);
    assert_int_equal(nbj_unsubscribe(third, 2), NBJ_OK);
    send_numbers(c, "a", 10);
    check_ear(&at_once, 3, NBJ_OK);
    check_ear(&later, 5, NBJ_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(nbj_sub_next(third, SOON, &msg), NBJ_OK);
        assert_int_equal(number_in(msg), i);
        nbj_msg_release(msg);
    }
    assert_int_equal(nbj_sub_next(third, SOON, &msg), NBJ_E_ENDED);
    assert_int_equal(nbj_unsubscribe(third, 0), NBJ_E_STATE);
    assert_int_equal(nbj_sub_drain(second), NBJ_E_STATE);
    nbj_sub_release(first);
    nbj_sub_release(second);
    nbj_sub_release(third);
}

static void test_a_drained_one_hears_all(void **state)
{
    nbj_client *c = open_one();
    ear e = { 0 };
    nbj_sub *sub = subscribe_with(c, "a", (nbj_sub_options){ .on_end = hear_the_end }, hear, &e);

    (void)state;
    for (int i = 0; i < 500; i++)
        send_text(c, "a", "x"); /* on their way, some of them */
    assert_int_equal(nbj_sub_drain(sub), NBJ_OK);
    send_text(c, "a", "behind it");
    check_ear(&e, 500, NBJ_OK);
    assert_int_equal(nbj_sub_drain(sub), NBJ_E_STATE);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTED);
    nbj_sub_release(sub);
}

/* The end is told at the end, whether or not a reader has taken what was before it. */
static void test_a_reader_may_have_an_end(void **state)
{
    nbj_client *c = open_one();
    ear e = { 0 };
    nbj_sub *sub = subscribe_with(c, "a", (nbj_sub_options){ .on_end = hear_the_end }, NULL, &e);
    nbj_msg *msg = NULL;

    (void)state;
    send_numbers(c, "a", 2);
    assert_int_equal(nbj_sub_drain(sub), NBJ_OK);
    flush(c);
    WAIT_UNTIL(e.ended > 0, SOON_MS);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    nbj_msg_release(msg);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    nbj_msg_release(msg);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_E_ENDED);
    check_ear(&e, 0, NBJ_OK);
    nbj_sub_release(sub);
}

static void test_closing_is_an_end(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));
    ear e = { 0 };
    nbj_sub *sub = subscribe_with(c, "a", (nbj_sub_options){ .on_end = hear_the_end }, hear, &e);

    (void)state;
    nbj_client_close(c);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_int_equal(e.ended, 1); /* CLOSED comes behind it */
    check_ear(&e, 0, NBJ_E_CLOSED);
    nbj_sub_release(sub);
}

static void test_the_server_refuses(void **state)
{
    ts_server *strict = ts_server_start(&(ts_server_options){
        .config =
            "authorization { users: [ { user: me, password: x, permissions: { subscribe: [ \"_INBOX.>\" ] } } ] }" });
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(strict), .user = "me", .password = "x",
                                                 .on_event = on_event, .user_data = &events));
    ear e = { 0 };
    nbj_sub *sub = subscribe_with(c, "no", (nbj_sub_options){ .on_end = hear_the_end }, hear, &e);
    nbj_sub *reader = subscribe(c, "neither", NULL, NULL);
    nbj_msg *msg = NULL;

    (void)state;
    check_ear(&e, 0, NBJ_E_PERMISSION_SUBSCRIBE);
    assert_int_equal(nbj_sub_next(reader, SOON, &msg), NBJ_E_ENDED);
    WAIT_UNTIL(has_event(&events, NBJ_EVENT_SERVER_ERROR), SOON_MS);
    nbj_sub_release(sub);
    nbj_sub_release(reader);
    give_back(c);
    ts_server_free(strict);
}

/* -- releasing -- */

static void release_itself(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    atomic_uint *count = user;

    (void)msg;
    nbj_sub_release(sub);
    ++*count;
}

static void test_released_in_its_callback(void **state)
{
    nbj_client *c = open_one();
    atomic_uint count = 0;

    (void)state;
    (void)subscribe(c, "a", release_itself, &count);
    send_numbers(c, "a", 10);
    WAIT_UNTIL(count > 0, SOON_MS);
    flush(c);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_OK); /* callbacks have run */
    assert_int_equal(count, 1);
}

typedef struct gate {
    atomic_bool within, open, left;
} gate;

static void pass_gate(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    gate *g = user;

    (void)sub;
    (void)msg;
    g->within = true;
    for (int i = 0; i < SOON_MS && !g->open; i++)
        ts_breathe();
    g->left = true;
}

static nbj_status release(void *sub)
{
    nbj_sub_release(sub);
    return NBJ_OK;
}

static void test_releasing_waits_for_the_callback(void **state)
{
    nbj_client *c = open_one();
    gate g = { 0 };
    nbj_sub *sub = subscribe(c, "a", pass_gate, &g);
    worker w;

    (void)state;
    send_numbers(c, "a", 2);
    WAIT_UNTIL(g.within, SOON_MS);
    start(&w, release, sub);
    WAIT_UNTIL(is_asleep(&w), SOON_MS);
    assert_false(w.done);
    g.within = false;
    g.open = true;
    assert_int_equal(finish(&w), NBJ_OK);
    assert_true(g.left);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_OK);
    assert_false(g.within); /* the second message was not handed out */
}

static void test_a_full_queue_drops(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));
    nbj_sub *sub = subscribe_with(c, "a", (nbj_sub_options){ .limit_messages = 3 }, NULL, NULL);
    nbj_msg *msg = NULL;

    (void)state;
    send_numbers(c, "a", 10);
    WAIT_UNTIL(has_event(&events, NBJ_EVENT_SLOW), SOON_MS);
    assert_true(nbj_sub_stats_of(sub).dropped == 7 && nbj_sub_stats_of(sub).pending == 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_OK);
        assert_int_equal(number_in(msg), i);
        nbj_msg_release(msg);
    }
    send_numbers(c, "a", 1);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    nbj_msg_release(msg);
    assert_string_equal(events.trail, "CS");
    nbj_sub_release(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_headers_and_reply, end_test),
        cmocka_unit_test_teardown(test_wrong_arguments, end_test),
        cmocka_unit_test_teardown(test_a_group_shares, end_test),
        cmocka_unit_test_teardown(test_next_waits_so_long, end_test),
        cmocka_unit_test_teardown(test_another_thread_ends_the_waiting, end_test),
        cmocka_unit_test_teardown(test_a_batch, end_test),
        cmocka_unit_test_teardown(test_no_reading_beside_a_callback, end_test),
        cmocka_unit_test_teardown(test_readers_share, end_test),
        cmocka_unit_test_teardown(test_ends_after_so_many, end_test),
        cmocka_unit_test_teardown(test_a_drained_one_hears_all, end_test),
        cmocka_unit_test_teardown(test_a_reader_may_have_an_end, end_test),
        cmocka_unit_test_teardown(test_closing_is_an_end, end_test),
        cmocka_unit_test_teardown(test_the_server_refuses, end_test),
        cmocka_unit_test_teardown(test_released_in_its_callback, end_test),
        cmocka_unit_test_teardown(test_releasing_waits_for_the_callback, end_test),
        cmocka_unit_test_teardown(test_a_full_queue_drops, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
