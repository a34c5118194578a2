/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of the end: CLOSED is reported exactly once and last, whatever other threads do meanwhile; every publish
 * has exactly one outcome, every callback of a call comes exactly once, and every call that waits returns at once. */
#define _GNU_SOURCE

#include "raw.h"
#include "server.h"
#include "thread_client.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS 16
#define BLOCKED_MS 2000 /* how late a call may notice the end, on a busy machine */

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
    ts_threaded_free_all();
    return 0;
}

/* -- what sixteen threads do -- */

typedef struct crowd {
    nbj_client *client;
    atomic_uint busy;             /* calls that went well, all threads together */
    atomic_ullong taken, results; /* asynchronous publishes, and their outcomes */
    atomic_ullong asked, answered;
    atomic_ullong ends_due, ends; /* of subscriptions with callbacks */
    atomic_uint wrong;            /* statuses that nothing explains */
    atomic_bool closed;           /* the CLOSED callback runs, or has run */
    atomic_uint after;            /* callbacks after it began */
} crowd;

static void on_event(ts_threaded *c, const nbj_event *event)
{
    crowd *w = c->user;

    w->after += w->closed;
    if (event->type == NBJ_EVENT_CLOSED)
        w->closed = true;
}

static void on_result(void *user, const nbj_publish_result *result)
{
    crowd *w = user;

    (void)result;
    w->after += w->closed;
    w->results++;
}

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    crowd *w = user;

    (void)status;
    (void)reply;
    w->after += w->closed;
    w->answered++;
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)round_trip_ns;
    on_reply(user, status, NULL);
}

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    crowd *w = user;

    (void)sub;
    (void)msg;
    w->after += w->closed;
}

static void on_end(void *user, nbj_sub *sub, nbj_status why)
{
    crowd *w = user;

    (void)sub;
    (void)why;
    w->after += w->closed;
    w->ends++;
}

static nbj_status publish_async(crowd *w)
{
    nbj_status st = nbj_publish_async(w->client, "c.x", nbj_str("async"), NULL, on_result, w);

    w->taken += st == NBJ_OK;
    return st;
}

static nbj_status ask(crowd *w)
{
    nbj_msg *reply = NULL;
    nbj_status st = nbj_request(w->client, "echo", nbj_str("?"), NULL, &reply);

    nbj_msg_release(reply);
    return st;
}

static nbj_status ask_async(crowd *w, size_t i)
{
    if (w->asked - w->answered > 1000) /* callbacks are to keep up */
        ts_breathe();
    nbj_status st = i % 2 == 0 ? nbj_request_async(w->client, "echo", nbj_str("?"), NULL, on_reply, w)
                               : nbj_flush_async(w->client, 0, on_flushed, w);

    w->asked += st == NBJ_OK;
    return st;
}

/* Subscriptions with callbacks stay until the end, a few of each thread; others come and go. */
static nbj_status subscribe(crowd *w, nbj_sub **kept, size_t *count, size_t max)
{
    nbj_sub *sub = NULL;
    bool keep = *count < max;
    nbj_status st = keep ? nbj_subscribe(w->client, "noise", NBJ_SUB(.on_end = on_end), on_msg, w, &sub)
                         : nbj_subscribe(w->client, "noise", NULL, on_msg, w, &sub);

    if (st == NBJ_OK && keep) {
        w->ends_due++;
        kept[(*count)++] = sub;
    } else {
        nbj_sub_release(sub);
    }
    return st;
}

#define KEPT 4

typedef struct worker {
    nbj_sub *kept[KEPT];
    size_t count;
    unsigned unasked;
} worker;

typedef struct crowd_and_workers {
    crowd *w;
    worker worker[THREADS];
} crowd_and_workers;

/* Now and then who never waits for the server does so, or all answers to others would come far behind its work. */
static nbj_status keep_in_step(crowd *w, worker *me, nbj_status st)
{
    return st == NBJ_OK && ++me->unasked % 64 == 0 ? nbj_flush(w->client, NBJ_MINUTES(1)) : st;
}

static bool may_be(nbj_status st)
{
    return st == NBJ_OK || st == NBJ_E_CLOSED || st == NBJ_E_DRAINING || st == NBJ_E_FULL;
}

static void work(void *arg, size_t i)
{
    crowd_and_workers *all = arg;
    crowd *w = all->w;
    worker *me = &all->worker[i];
    nbj_time until = ts_now() + NBJ_SECONDS(30);
    nbj_status st = NBJ_OK;

    while (st != NBJ_E_CLOSED && ts_now() < until) {
        switch (i % 8) {
        case 0:
            st = keep_in_step(w, me, nbj_send(w->client, "noise", nbj_str("send"), NULL));
            break;
        case 1:
            st = nbj_publish(w->client, "c.x", nbj_str("sync"), NULL, NULL);
            break;
        case 2:
        case 3:
            st = publish_async(w);
            break;
        case 4:
            st = ask(w);
            break;
        case 5:
            st = ask_async(w, i / 8);
            break;
        case 6:
            st = keep_in_step(w, me, subscribe(w, me->kept, &me->count, KEPT));
            break;
        case 7:
            st = nbj_flush(w->client, 0);
            break;
        }
        w->busy += st == NBJ_OK;
        if (st == NBJ_E_DRAINING || st == NBJ_E_FULL)
            ts_breathe();
        if (!may_be(st))
            w->wrong = (unsigned)(i % 8) * 1000 + (unsigned)-(int)st; /* which, and what */
    }
    w->wrong += st != NBJ_E_CLOSED ? 1000 : 0;
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_bytes reply = nbj_msg_reply(msg);
    char subject[256];

    (void)sub;
    snprintf(subject, sizeof subject, "%.*s", NBJ_FMT(reply));
    (void)(nbj_send(user, subject, nbj_str("!"), NULL) == NBJ_OK);
}

typedef nbj_status end_fn(ts_threaded *c); /* NBJ_OK: it went as it should */

static nbj_status by_close(ts_threaded *c)
{
    nbj_client_close(c->client);
    return NBJ_OK;
}

static nbj_status by_two_closes(ts_threaded *c)
{
    nbj_client_close(c->client);
    nbj_client_close(c->client);
    return NBJ_OK;
}

static nbj_status by_drain(ts_threaded *c)
{
    return nbj_client_drain(c->client, NBJ_SECONDS(20));
}

/* The crowd works; |end| ends it in the middle. */
static void run_crowd(end_fn *end)
{
    ts_threaded *echo = ts_threaded_at(ts_server_url(server));
    crowd w = { 0 };
    crowd_and_workers *all = calloc(1, sizeof *all);
    ts_threads threads;
    nbj_sub *echoes = NULL;

    assert_non_null(all);
    assert_int_equal(nbj_subscribe(echo->client, "echo", NULL, on_echo, echo->client, &echoes), NBJ_OK);
    assert_int_equal(nbj_flush(echo->client, 0), NBJ_OK);
    ts_threaded *c = ts_threaded_open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), on_event, &w);
    assert_int_equal(nbj_stream_ensure(c->client,
                                       NBJ_STREAM_CONFIG(.name = "C", .subjects = NBJ_LIST("c.>"),
                                                         .storage = NBJ_STORAGE_MEMORY, .max_messages = 1000),
                                       NULL, NULL),
                     NBJ_OK);
    w.client = c->client;
    all->w = &w;
    ts_threads_start(&threads, THREADS, work, all);
    WAIT_UNTIL(w.busy > 2000 && w.results > 100, TS_THREADED_MS);
    nbj_status ended = end(c);
    ts_threads_join(&threads, TS_THREADED_MS);
    const nbj_error *why = ts_threaded_await_closed(c);
    if (why->status != NBJ_OK || ended != NBJ_OK)
        TS_FAIL("ended with \"%s\", closed with \"%s\"", nbj_strerror(ended), why->text);
    ts_threaded_release(c);
    assert_int_equal(ts_threaded_count(c, NBJ_EVENT_CLOSED), 1);
    assert_int_equal(w.wrong, 0);
    assert_int_equal(w.after, 0);
    assert_int_equal(w.results, w.taken);
    assert_int_equal(w.answered, w.asked);
    assert_int_equal(w.ends, w.ends_due);
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t n = 0; n < all->worker[i].count; n++)
            nbj_sub_release(all->worker[i].kept[n]);
    }
    free(all);
    nbj_sub_release(echoes);
}

static void test_close_while_all_work(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        run_crowd(by_close);
}

static void test_closed_twice_is_closed_once(void **state)
{
    (void)state;
    run_crowd(by_two_closes);
}

static void test_drain_while_all_work(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        run_crowd(by_drain);
}

/* -- calls that wait -- */

typedef struct blocked {
    nbj_client *client;
    nbj_sub *silent;
    nbj_status status[THREADS];
    nbj_time returned[THREADS];
    atomic_uint begun;
} blocked;

#define FILLER 6

static nbj_status wait_in(blocked *b, size_t i)
{
    nbj_msg *msg = NULL;
    nbj_status st = NBJ_OK;
    size_t count = 0;

    b->begun++;
    switch (i) {
    case 0:
        st = nbj_request(b->client, "mute", nbj_str("?"), NBJ_REQUEST(.timeout_ns = NBJ_MINUTES(1)), &msg);
        break;
    case 1:
        st = nbj_request_many(b->client, "mute", nbj_str("?"), NBJ_REQUEST(.timeout_ns = NBJ_MINUTES(1)), &msg, 1,
                              &count);
        break;
    case 2:
        st = nbj_sub_next(b->silent, NBJ_MINUTES(1), &msg);
        st = st == NBJ_E_ENDED ? NBJ_E_CLOSED : st; /* as its documentation says */
        break;
    case 3:
        st = nbj_flush(b->client, NBJ_MINUTES(1));
        break;
    case 4:
        st = nbj_publish(b->client, "c.x", nbj_str("x"), NBJ_PUBLISH(.timeout_ns = NBJ_MINUTES(1)), NULL);
        break;
    case 5:
        st = nbj_stream_ensure(b->client, NBJ_STREAM_CONFIG(.name = "D"), NBJ_CALL(.timeout_ns = NBJ_MINUTES(1)), NULL);
        break;
    case FILLER:
        do
            st = nbj_send(b->client, "noise", nbj_view("0123456789", 10), NULL);
        while (st == NBJ_OK);
        break;
    default:
        st = NBJ_E_CLOSED;
        break;
    }
    nbj_msg_release(msg);
    return st;
}

static void fill(void *arg, size_t i)
{
    (void)i;
    (void)wait_in(arg, FILLER);
}

static bool is_full(nbj_client *c)
{
    uint64_t before = nbj_client_stats_of(c).out_msgs;

    for (int i = 0; i < 100; i++) /* so long that somebody who may send does */
        ts_breathe();
    return before > 0 && nbj_client_stats_of(c).out_msgs == before;
}

static void wait_in_call(void *arg, size_t i)
{
    blocked *b = arg;

    b->status[i] = wait_in(b, i);
    b->returned[i] = ts_now();
}

/* The server is stopped, so that nothing is answered; with |full_first| the calls cannot even be sent. */
static void check_blocked(bool full_first)
{
    ts_threaded *c =
        ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .wait_when_full = true,
                                            .max_outgoing_bytes = NBJ_KIB(64), .write_timeout_ns = NBJ_MINUTES(1)));
    ts_raw *mute = ts_raw_open(ts_server_port(server));
    blocked b = { .client = c->client };
    ts_threads filler;
    ts_threads threads;

    ts_raw_sub(mute, "mute", "1");
    assert_int_equal(nbj_subscribe(c->client, "silence", NULL, NULL, NULL, &b.silent), NBJ_OK);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    ts_server_pause(server);
    if (full_first) {
        ts_threads_start(&filler, 1, fill, &b);
        WAIT_UNTIL(is_full(c->client), TS_THREADED_MS);
    }
    ts_threads_start(&threads, 7, wait_in_call, &b);
    WAIT_UNTIL(b.begun == (full_first ? 8 : 7), TS_THREADED_MS);
    if (ts_tally_reaches(&threads.ended, 1, 300)) { /* all of them are to wait */
        for (size_t i = 0; i < 7; i++) {
            if (b.returned[i] != 0)
                TS_FAIL("call %zu returned \"%s\" before the end", i, nbj_strerror(b.status[i]));
        }
    }
    nbj_time closed_at = ts_now();
    nbj_client_close(c->client);
    ts_threads_join(&threads, TS_THREADED_MS);
    if (full_first)
        ts_threads_join(&filler, TS_THREADED_MS);
    ts_server_cont(server);
    for (size_t i = 0; i < 7; i++) {
        if (b.status[i] != NBJ_E_CLOSED || b.returned[i] > closed_at + NBJ_MILLIS(BLOCKED_MS))
            TS_FAIL("call %zu returned \"%s\" after %llu ms", i, nbj_strerror(b.status[i]),
                    (unsigned long long)((b.returned[i] - closed_at) / NBJ_MILLIS(1)));
    }
    assert_int_equal(ts_threaded_await_closed(c)->status, NBJ_OK);
    nbj_sub_release(b.silent);
    ts_raw_close(mute);
}

static void test_calls_that_wait_return_at_once(void **state)
{
    (void)state;
    check_blocked(false);
}

static void test_calls_that_wait_for_room_return_at_once(void **state)
{
    (void)state;
    check_blocked(true);
}

/* -- after the end -- */

/* What was not read before is read after the end; that calls nobody back any more. */
static void test_reading_after_closed_calls_nobody(void **state)
{
    crowd w = { 0 };
    ts_threaded *c = ts_threaded_open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), on_event, &w);
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL;

    (void)state;
    assert_int_equal(nbj_subscribe(c->client, "late", NBJ_SUB(.on_end = on_end), NULL, &w, &sub), NBJ_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(nbj_send(c->client, "late", nbj_str("x"), NULL), NBJ_OK);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    nbj_client_close(c->client);
    (void)ts_threaded_await_closed(c);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_OK);
        nbj_msg_release(msg);
    }
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_E_ENDED);
    ts_threaded_release(c); /* whatever was to be called has been */
    assert_int_equal(w.after, 0);
    assert_int_equal(w.ends, 1);
    nbj_sub_release(sub);
}

static void test_every_call_says_closed(void **state)
{
    ts_threaded *c = ts_threaded_at(ts_server_url(server));
    crowd w = { .client = c->client };
    nbj_sub *sub = NULL, *after = NULL;
    nbj_pull *pull = NULL;

    (void)state;
    assert_int_equal(nbj_subscribe(c->client, "late", NULL, on_msg, &w, &sub), NBJ_OK);
    nbj_client_close(c->client);
    (void)ts_threaded_await_closed(c);
    assert_int_equal(nbj_send(c->client, "x", nbj_str("x"), NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_publish(c->client, "c.x", nbj_str("x"), NULL, NULL), NBJ_E_CLOSED);
    assert_int_equal(publish_async(&w), NBJ_E_CLOSED);
    assert_int_equal(ask(&w), NBJ_E_CLOSED);
    assert_int_equal(ask_async(&w, 0), NBJ_E_CLOSED);
    assert_int_equal(ask_async(&w, 1), NBJ_E_CLOSED);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_E_CLOSED);
    assert_int_equal(nbj_subscribe(c->client, "x", NULL, on_msg, &w, &after), NBJ_E_CLOSED);
    assert_null(after);
    assert_int_equal(nbj_stream_ensure(c->client, NBJ_STREAM_CONFIG(.name = "C"), NULL, NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_client_drain(c->client, NBJ_SECONDS(1)), NBJ_E_CLOSED);
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_E_STATE);
    nbj_status st = nbj_pull_start(c->client, NBJ_CONSUMER_CONFIG(.stream = "C", .durable = "d"),
                                   (nbj_delivery_fn *)on_msg, &w, &pull);
    assert_int_equal(st, NBJ_E_CLOSED);
    assert_int_equal(nbj_client_state_of(c->client), NBJ_CLIENT_CLOSED);
    nbj_client_reconnect(c->client);
    nbj_client_close(c->client);
    assert_false(nbj_client_is_connected(c->client));
    (void)ts_threaded_await_closed(c);
    nbj_sub_release(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_close_while_all_work, end_test),
        cmocka_unit_test_teardown(test_closed_twice_is_closed_once, end_test),
        cmocka_unit_test_teardown(test_drain_while_all_work, end_test),
        cmocka_unit_test_teardown(test_calls_that_wait_return_at_once, end_test),
        cmocka_unit_test_teardown(test_calls_that_wait_for_room_return_at_once, end_test),
        cmocka_unit_test_teardown(test_reading_after_closed_calls_nobody, end_test),
        cmocka_unit_test_teardown(test_every_call_says_closed, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
