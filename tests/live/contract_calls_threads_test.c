/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of locks: none is held while the program's code runs. In every kind of callback every call is legal, and
 * does what it does elsewhere, those that wait too. Exceptions are those that the headers name. */
#define _GNU_SOURCE

#include "server.h"
#include "thread_client.h"

#include <stdio.h>

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

typedef enum place {
    IN_MESSAGE,
    IN_END,
    IN_EVENT,
    IN_REPLY,
    IN_FLUSH,
    IN_RESULT,
    IN_ENSURE,
    IN_DELIVERY,
    IN_STATE,
    PLACES,
} place;

static const char *const place_name[PLACES] = { "message", "end",    "event",    "reply", "flush",
                                                "publish", "ensure", "delivery", "state" };

#define BAD_MAX 8

typedef struct scene {
    place where;
    nbj_client *client;
    nbj_sub *sub;
    nbj_pull *pull;
    ts_tally done;
    atomic_bool began;
    char bad[BAD_MAX][100]; /* calls that did something else */
    size_t bad_count;
    bool drains; /* the last thing it does: drain instead of close */
} scene;

static void expect(scene *s, const char *call, nbj_status got, nbj_status want)
{
    if (got != want && s->bad_count < BAD_MAX)
        snprintf(s->bad[s->bad_count++], sizeof s->bad[0], "%s: %s", call, nbj_strerror(got));
}

static void nobody(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)user;
    (void)status;
    (void)reply;
}

static void no_flush(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)user;
    (void)status;
    (void)round_trip_ns;
}

static void no_result(void *user, const nbj_publish_result *result)
{
    (void)user;
    (void)result;
}

static void plain_calls(scene *s)
{
    nbj_msg *msg = NULL;
    nbj_msg *batch[4];
    nbj_sub *sub = NULL;
    size_t count = 0;

    expect(s, "subscribe", nbj_subscribe(s->client, "own", NULL, NULL, NULL, &sub), NBJ_OK);
    if (sub == NULL)
        return;
    expect(s, "send", nbj_send(s->client, "own", nbj_str("1"), NULL), NBJ_OK);
    expect(s, "send", nbj_send(s->client, "own", nbj_str("2"), NULL), NBJ_OK);
    expect(s, "next", nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_OK);
    nbj_msg_release(msg);
    expect(s, "next_batch", nbj_sub_next_batch(sub, batch, 4, NBJ_SECONDS(5), &count), NBJ_OK);
    for (size_t i = 0; i < count; i++)
        nbj_msg_release(batch[i]);
    expect(s, "next in vain", nbj_sub_next(sub, NBJ_MILLIS(10), &msg), NBJ_E_TIMEOUT);
    expect(s, "sub_drain", nbj_sub_drain(sub), NBJ_OK);
    expect(s, "next at the end", nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_E_ENDED);
    expect(s, "unsubscribe", nbj_unsubscribe(sub, 0), NBJ_E_STATE);
    nbj_sub_release(sub);
}

static void calls_with_answers(scene *s)
{
    nbj_msg *msg = NULL;
    nbj_msg *many[2];
    size_t count = 0;
    uint64_t rtt = 0;
    char text[64];

    expect(s, "request", nbj_request(s->client, "echo", nbj_str("?"), NULL, &msg), NBJ_OK);
    nbj_msg_release(msg);
    expect(s, "request to nobody", nbj_request(s->client, "nobody", nbj_str("?"), NULL, &msg), NBJ_E_NO_RESPONDERS);
    expect(s, "request_many",
           nbj_request_many(s->client, "echo", nbj_str("?"), NBJ_REQUEST(.max_replies = 1), many, 2, &count), NBJ_OK);
    for (size_t i = 0; i < count; i++)
        nbj_msg_release(many[i]);
    expect(s, "flush", nbj_flush(s->client, 0), NBJ_OK);
    expect(s, "rtt", nbj_rtt(s->client, 0, &rtt), NBJ_OK);
    expect(s, "request_async", nbj_request_async(s->client, "echo", nbj_str("?"), NULL, nobody, NULL), NBJ_OK);
    expect(s, "flush_async", nbj_flush_async(s->client, 0, no_flush, NULL), NBJ_OK);
    expect(s, "server_version", nbj_client_server_version(s->client, text, sizeof text), NBJ_OK);
}

static void jetstream_calls(scene *s)
{
    nbj_publish_result result;
    nbj_stream_info *info = NULL;
    nbj_account_info *account = NULL;

    expect(s, "publish", nbj_publish(s->client, "k.x", nbj_str("x"), NULL, &result), NBJ_OK);
    expect(s, "publish_async", nbj_publish_async(s->client, "k.x", nbj_str("x"), NULL, no_result, NULL), NBJ_OK);
    expect(s, "publish_flush", nbj_publish_flush(s->client, NBJ_SECONDS(5), NULL), NBJ_E_WOULD_BLOCK);
    expect(s, "stream_ensure",
           nbj_stream_ensure(s->client,
                             NBJ_STREAM_CONFIG(.name = "K", .subjects = NBJ_LIST("k.>"), .storage = NBJ_STORAGE_MEMORY),
                             NULL, NULL),
           NBJ_OK);
    expect(s, "stream_info_of", nbj_stream_info_of(s->client, "K", NULL, NULL, &info, NULL), NBJ_OK);
    nbj_stream_info_release(info);
    nbj_stream_iter *it = nbj_stream_list(s->client, NULL, NULL);
    expect(s, "stream_next", nbj_stream_next(it) != NULL ? NBJ_OK : NBJ_E_NOT_FOUND, NBJ_OK);
    expect(s, "stream_iter_end", nbj_stream_iter_end(it, NULL), NBJ_OK);
    expect(s, "account_info_of", nbj_account_info_of(s->client, NULL, &account, NULL), NBJ_OK);
    nbj_account_info_release(account);
    if (s->pull != NULL)
        (void)nbj_pull_state_of(s->pull);
}

static void do_everything(scene *s, place where)
{
    if (where != s->where || atomic_exchange(&s->began, true))
        return;
    plain_calls(s);
    calls_with_answers(s);
    jetstream_calls(s);
    if (s->drains) {
        nbj_time began = ts_now();
        expect(s, "drain", nbj_client_drain(s->client, NBJ_SECONDS(20)), NBJ_OK);
        expect(s, "drain only begins", ts_now() - began < NBJ_SECONDS(5) ? NBJ_OK : NBJ_E_TIMEOUT, NBJ_OK);
    } else {
        nbj_client_close(s->client);
        expect(s, "flush after close", nbj_flush(s->client, 0), NBJ_E_CLOSED);
    }
    ts_tally_add(&s->done, 1);
}

/* -- where it is done -- */

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    do_everything(user, IN_MESSAGE);
}

static void on_end(void *user, nbj_sub *sub, nbj_status why)
{
    (void)sub;
    (void)why;
    do_everything(user, IN_END);
}

static void on_event(ts_threaded *c, const nbj_event *event)
{
    if (event->type == NBJ_EVENT_RECONNECTED)
        do_everything(c->user, IN_EVENT);
}

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)status;
    (void)reply;
    do_everything(user, IN_REPLY);
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)status;
    (void)round_trip_ns;
    do_everything(user, IN_FLUSH);
}

static void on_result(void *user, const nbj_publish_result *result)
{
    (void)result;
    do_everything(user, IN_RESULT);
}

static void on_ensured(void *user, nbj_status status, const nbj_error *error)
{
    (void)status;
    (void)error;
    do_everything(user, IN_ENSURE);
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)pull;
    (void)(nbj_ack(msg) == NBJ_OK); /* also of a client that is closed by now */
    do_everything(user, IN_DELIVERY);
}

static void on_state(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    (void)pull;
    (void)error;
    if (state == NBJ_PULL_RUNNING)
        do_everything(user, IN_STATE);
}

static void provoke(scene *s)
{
    nbj_status st = NBJ_OK;

    switch (s->where) {
    case IN_MESSAGE:
        st = nbj_send(s->client, "in", nbj_str("x"), NULL);
        break;
    case IN_END:
        st = nbj_unsubscribe(s->sub, 0);
        break;
    case IN_EVENT:
        nbj_client_reconnect(s->client);
        break;
    case IN_REPLY:
        st = nbj_request_async(s->client, "echo", nbj_str("?"), NULL, on_reply, s);
        break;
    case IN_FLUSH:
        st = nbj_flush_async(s->client, 0, on_flushed, s);
        break;
    case IN_RESULT:
        st = nbj_publish_async(s->client, "k.x", nbj_str("x"), NULL, on_result, s);
        break;
    case IN_ENSURE:
        st = nbj_stream_ensure_async(s->client, NBJ_STREAM_CONFIG(.name = "L"), NULL, on_ensured, s);
        break;
    case IN_DELIVERY:
    case IN_STATE:
        st = nbj_pull_start(s->client, NBJ_CONSUMER_CONFIG(.stream = "K", .durable = "d", .on_state = on_state),
                            on_delivery, s, &s->pull);
        break;
    case PLACES:
        break;
    }
    assert_int_equal(st, NBJ_OK);
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_bytes reply = nbj_msg_reply(msg);
    char subject[256];

    (void)sub;
    snprintf(subject, sizeof subject, "%.*s", NBJ_FMT(reply));
    (void)(nbj_send(user, subject, nbj_str("!"), NULL) == NBJ_OK);
}

static void play(place where, bool drains)
{
    ts_threaded *echo = ts_threaded_at(ts_server_url(server));
    scene s = { .where = where, .drains = drains };
    nbj_sub *echoes = NULL;

    ts_tally_init(&s.done);
    assert_int_equal(nbj_subscribe(echo->client, "echo", NULL, on_echo, echo->client, &echoes), NBJ_OK);
    assert_int_equal(nbj_flush(echo->client, 0), NBJ_OK);
    ts_threaded *c = ts_threaded_open_with(
        NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .reconnect_first_ns = NBJ_MILLIS(10)), on_event, &s);
    s.client = c->client;
    assert_int_equal(
        nbj_stream_ensure(c->client,
                          NBJ_STREAM_CONFIG(.name = "K", .subjects = NBJ_LIST("k.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    assert_int_equal(nbj_publish(c->client, "k.x", nbj_str("x"), NULL, NULL), NBJ_OK);
    assert_int_equal(nbj_subscribe(c->client, "in", NBJ_SUB(.on_end = on_end), on_msg, &s, &s.sub), NBJ_OK);
    provoke(&s);
    CHECK(place_name[where], ts_tally_reaches(&s.done, 1, TS_THREADED_MS));
    const nbj_error *why = ts_threaded_await_closed(c);
    if (s.bad_count > 0 || why->status != NBJ_OK)
        TS_FAIL("in %s: %zu calls failed, first %s; closed: %s", place_name[where], s.bad_count, s.bad[0], why->text);
    ts_threaded_release(c);
    nbj_sub_release(s.sub);
    nbj_pull_release(s.pull);
    nbj_sub_release(echoes);
    ts_threaded_free(c);
    ts_threaded_free(echo);
    ts_tally_done(&s.done);
}

static void test_every_call_in_every_callback(void **state)
{
    (void)state;
    for (int where = 0; where < PLACES; where++)
        play((place)where, false);
}

static void test_drain_in_every_callback(void **state)
{
    (void)state;
    for (int where = 0; where < PLACES; where++)
        play((place)where, true);
}

/* -- a publish that waits, in the callback of one whose window is full of outcomes that nobody was told of -- */

typedef struct chain {
    nbj_client *client;
    atomic_uint results, bad;
    ts_tally done;
} chain;

static void on_chain(void *user, const nbj_publish_result *result)
{
    chain *w = user;

    w->bad += result->outcome != NBJ_STORED;
    if (w->results++ == 0) {
        while (nbj_publish_unfinished(w->client) > 0) /* the others are acknowledged, and wait for this callback */
            ts_breathe();
        w->bad += nbj_publish(w->client, "w.x", nbj_str("within"), NULL, NULL) != NBJ_OK;
    }
    ts_tally_add(&w->done, 1);
}

static void test_publish_where_the_window_waits_for_this_callback(void **state)
{
    ts_threaded *c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .publish_max_messages = 16));
    chain w = { .client = c->client };
    nbj_time began = ts_now();

    (void)state;
    ts_tally_init(&w.done);
    assert_int_equal(
        nbj_stream_ensure(c->client,
                          NBJ_STREAM_CONFIG(.name = "W", .subjects = NBJ_LIST("w.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    for (int i = 0; i < 16; i++)
        assert_int_equal(nbj_publish_async(c->client, "w.x", nbj_str("x"), NULL, on_chain, &w), NBJ_OK);
    TALLY_AWAIT(&w.done, 16, TS_THREADED_MS);
    assert_int_equal(w.bad, 0);
    assert_true(ts_now() - began < NBJ_SECONDS(8)); /* not only because a deadline had come */
    ts_threaded_free(c);
    ts_tally_done(&w.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_call_in_every_callback, end_test),
        cmocka_unit_test_teardown(test_drain_in_every_callback, end_test),
        cmocka_unit_test_teardown(test_publish_where_the_window_waits_for_this_callback, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
