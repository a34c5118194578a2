/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of handles: giving one back is legal anywhere, in each kind of callback too; once that has returned none
 * of its callbacks runs, and from another thread it waits for the one that does. */
#define _GNU_SOURCE

#include "port.h"
#include "raw.h"
#include "server.h"
#include "thread_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MANY 200 /* messages, publishes, requests: others wait behind the one in whose callback it happens */

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

/* -- giving back in a callback -- */

typedef enum place {
    IN_MESSAGE = 1,
    IN_OTHER_MESSAGE,
    IN_END,
    IN_REPLY,
    IN_MORE,
    IN_FLUSH,
    IN_RESULT,
    IN_ENSURE,
    IN_DELIVERY,
    IN_STATE,
    IN_EVENT,
} place;

typedef enum thing { THE_SUB = 1, THE_OTHER_SUB, THE_PULL, THE_CLIENT } thing;

typedef struct scene {
    place where;
    thing what;
    nbj_client *client;
    nbj_sub *sub, *other;
    nbj_pull *pull;
    nbj_event_type event; /* IN_EVENT */
    atomic_bool ready;    /* all handles are there */
    atomic_bool acted, sub_gone, other_gone, pull_gone, client_gone;
    atomic_uint late; /* callbacks after that */
    ts_tally done;
} scene;

static void give_back(scene *s)
{
    switch (s->what) {
    case THE_SUB:
        nbj_sub_release(s->sub);
        s->sub_gone = true;
        break;
    case THE_OTHER_SUB:
        nbj_sub_release(s->other);
        s->other_gone = true;
        break;
    case THE_PULL:
        nbj_pull_release(s->pull);
        s->pull_gone = true;
        break;
    case THE_CLIENT:
        nbj_client_release(s->client);
        s->client_gone = true;
        break;
    }
}

static void called(scene *s, place where)
{
    nbj_time until = ts_now() + NBJ_SECONDS(5);

    s->late += s->client_gone;
    s->late += s->sub_gone && (where == IN_MESSAGE || where == IN_END);
    s->late += s->other_gone && where == IN_OTHER_MESSAGE;
    s->late += s->pull_gone && (where == IN_DELIVERY || where == IN_STATE);
    while (!s->ready && ts_now() < until)
        ts_breathe();
    if (where == s->where && !atomic_exchange(&s->acted, true)) {
        give_back(s);
        ts_tally_add(&s->done, 1);
    }
}

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    called(user, IN_MESSAGE);
}

static void on_other_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    called(user, IN_OTHER_MESSAGE);
}

static void on_end(void *user, nbj_sub *sub, nbj_status why)
{
    (void)sub;
    (void)why;
    called(user, IN_END);
}

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)reply;
    called(user, status == NBJ_MORE ? IN_MORE : IN_REPLY);
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)status;
    (void)round_trip_ns;
    called(user, IN_FLUSH);
}

static void on_result(void *user, const nbj_publish_result *result)
{
    (void)result;
    called(user, IN_RESULT);
}

static void on_ensured(void *user, nbj_status status, const nbj_error *error)
{
    (void)status;
    (void)error;
    called(user, IN_ENSURE);
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)pull;
    called(user, IN_DELIVERY);
    (void)(nbj_ack(msg) == NBJ_OK); /* of a client that was given back, too */
}

static void on_state(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    (void)pull;
    (void)state;
    (void)error;
    called(user, IN_STATE);
}

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    scene *s = user;

    (void)client;
    if (event->type == s->event)
        called(s, IN_EVENT);
    else
        s->late += s->client_gone;
}

static void begin(scene *s, const char *url)
{
    nbj_error error = { 0 };

    ts_tally_init(&s->done);
    CHECK(error.text,
          nbj_client_open(&s->client,
                          NBJ_CLIENT_OPTIONS(.url = url, .on_event = on_event, .user_data = s,
                                             .reconnect_first_ns = NBJ_MILLIS(10), .retry_first_connect = true),
                          &error) == NBJ_OK);
}

static void subscribe_all(scene *s)
{
    assert_int_equal(nbj_subscribe(s->client, "in", NBJ_SUB(.on_end = on_end), on_msg, s, &s->sub), NBJ_OK);
    assert_int_equal(nbj_subscribe(s->client, "other", NULL, on_other_msg, s, &s->other), NBJ_OK);
}

static void start_pull(scene *s)
{
    assert_int_equal(
        nbj_stream_ensure(s->client,
                          NBJ_STREAM_CONFIG(.name = "H", .subjects = NBJ_LIST("h.>"), .storage = NBJ_STORAGE_MEMORY),
                          NULL, NULL),
        NBJ_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(nbj_publish(s->client, "h.x", nbj_str("x"), NULL, NULL), NBJ_OK);
    assert_int_equal(nbj_pull_start(s->client, NBJ_CONSUMER_CONFIG(.stream = "H", .durable = "d", .on_state = on_state),
                                    on_delivery, s, &s->pull),
                     NBJ_OK);
}

/* Messages for both subscriptions, from outside. */
static void send_many(void)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));

    for (int i = 0; i < MANY; i++)
        ts_raw_send(r, "PUB in 1\r\nx\r\nPUB other 1\r\nx\r\n");
    ts_raw_flush(r);
    ts_raw_close(r);
}

/* Makes the callback happen; what it needs was begun. Callbacks hold still until |ready|. */
static void provoke(scene *s)
{
    bool gone = false;

    for (int i = 0; i < MANY && !gone; i++) {
        if (s->where == IN_REPLY)
            gone = nbj_request_async(s->client, "nobody", nbj_str("?"), NULL, on_reply, s) != NBJ_OK;
        else if (s->where == IN_FLUSH)
            gone = nbj_flush_async(s->client, 0, on_flushed, s) != NBJ_OK;
        else if (s->where == IN_RESULT)
            gone = nbj_publish_async(s->client, "h.x", nbj_str("x"), NULL, on_result, s) != NBJ_OK;
        else if (s->where == IN_ENSURE)
            gone = nbj_stream_ensure_async(s->client, NBJ_STREAM_CONFIG(.name = "E"), NULL, on_ensured, s) != NBJ_OK;
        else if (s->where == IN_MORE)
            gone = nbj_request_many_async(s->client, "echo", nbj_str("?"), NBJ_REQUEST(.max_replies = 1), on_reply,
                                          s) != NBJ_OK;
    }
    assert_false(gone);
    if (s->where == IN_END)
        assert_int_equal(nbj_unsubscribe(s->sub, 0), NBJ_OK);
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_bytes reply = nbj_msg_reply(msg);
    char subject[256];

    (void)sub;
    snprintf(subject, sizeof subject, "%.*s", NBJ_FMT(reply));
    (void)(nbj_send(user, subject, nbj_str("!"), NULL) == NBJ_OK);
}

/* What is left of the scene is given back; nothing of it was called after its end. */
static void finish(scene *s, const char *name)
{
    if (s->what != THE_CLIENT) {
        CHECK(name, nbj_flush(s->client, 0) == NBJ_OK); /* it goes on without what was given back */
        nbj_client_release(s->client);
    }
    ts_await_threads(0, 0);
    CHECK(name, s->late == 0);
    if (s->what != THE_SUB)
        nbj_sub_release(s->sub);
    if (s->what != THE_OTHER_SUB)
        nbj_sub_release(s->other);
    if (s->what != THE_PULL)
        nbj_pull_release(s->pull);
    ts_tally_done(&s->done);
}

static const struct {
    const char *name;
    place where;
    thing what;
} scenes[] = {
    { "a subscription in its message callback", IN_MESSAGE, THE_SUB },
    { "another subscription in a message callback", IN_MESSAGE, THE_OTHER_SUB },
    { "the client in a message callback", IN_MESSAGE, THE_CLIENT },
    { "a pull in a message callback", IN_MESSAGE, THE_PULL },
    { "a subscription at its end", IN_END, THE_SUB },
    { "another subscription at a subscription's end", IN_END, THE_OTHER_SUB },
    { "the client at a subscription's end", IN_END, THE_CLIENT },
    { "the client in a reply's callback", IN_REPLY, THE_CLIENT },
    { "a subscription in a reply's callback", IN_REPLY, THE_SUB },
    { "the client in the callback of one of many replies", IN_MORE, THE_CLIENT },
    { "the client in a flush's callback", IN_FLUSH, THE_CLIENT },
    { "the client in a publish's callback", IN_RESULT, THE_CLIENT },
    { "a pull in a publish's callback", IN_RESULT, THE_PULL },
    { "the client in the callback of a stream's creation", IN_ENSURE, THE_CLIENT },
    { "a pull in its delivery's callback", IN_DELIVERY, THE_PULL },
    { "a subscription in a delivery's callback", IN_DELIVERY, THE_SUB },
    { "the client in a delivery's callback", IN_DELIVERY, THE_CLIENT },
    { "a pull in its state's callback", IN_STATE, THE_PULL },
    { "the client in a pull's state's callback", IN_STATE, THE_CLIENT },
};

static void test_given_back_in_callbacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scenes); i++) {
        ts_threaded *echo = ts_threaded_at(ts_server_url(server));
        scene s = { .where = scenes[i].where, .what = scenes[i].what };
        nbj_sub *echoes = NULL;
        assert_int_equal(nbj_subscribe(echo->client, "echo", NULL, on_echo, echo->client, &echoes), NBJ_OK);
        assert_int_equal(nbj_flush(echo->client, 0), NBJ_OK);
        begin(&s, ts_server_url(server));
        subscribe_all(&s);
        assert_int_equal(nbj_flush(s.client, 0), NBJ_OK);
        start_pull(&s);
        send_many();
        provoke(&s);
        s.ready = true;
        CHECK(scenes[i].name, ts_tally_reaches(&s.done, 1, TS_THREADED_MS));
        nbj_sub_release(echoes);
        ts_threaded_free(echo);
        finish(&s, scenes[i].name);
    }
}

/* -- the client in the callback of each event -- */

#define INFO "INFO {\"server_id\":\"I\",\"version\":\"2.10.0\",\"headers\":true,\"max_payload\":1048576%s}\r\n"

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
    ts_raw_printf(r, INFO, "");
    (void)ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
    ts_raw_send(r, "PONG\r\n");
    return r;
}

static void provoke_event(scene *s, ts_raw *r)
{
    switch (s->event) {
    case NBJ_EVENT_CONNECTED:
    case NBJ_EVENT_WRITABLE:       /* not with threads */
    case NBJ_EVENT_ATTEMPT_FAILED: /* tests/live/credentials_test.c */
        break;
    case NBJ_EVENT_DISCONNECTED:
    case NBJ_EVENT_RECONNECTED:
        nbj_client_reconnect(s->client);
        break;
    case NBJ_EVENT_LAME_DUCK:
        ts_raw_printf(r, INFO, ",\"ldm\":true");
        break;
    case NBJ_EVENT_DISCOVERED:
        ts_raw_printf(r, INFO, ",\"connect_urls\":[\"127.0.0.1:1\"]");
        break;
    case NBJ_EVENT_SERVER_ERROR:
        ts_raw_send(r, "-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
        break;
    case NBJ_EVENT_SLOW:
        (void)ts_raw_expect(r, "SUB slow 1\r\n", TS_RAW_MS);
        ts_raw_send(r, "MSG slow 1 1\r\nx\r\nMSG slow 1 1\r\nx\r\n");
        break;
    case NBJ_EVENT_CLOSED:
        nbj_client_close(s->client);
        break;
    }
}

static void test_client_given_back_in_each_event(void **state)
{
    (void)state;
    static const nbj_event_type types[] = { NBJ_EVENT_CONNECTED, NBJ_EVENT_DISCONNECTED, NBJ_EVENT_RECONNECTED,
                                            NBJ_EVENT_LAME_DUCK, NBJ_EVENT_DISCOVERED,   NBJ_EVENT_SERVER_ERROR,
                                            NBJ_EVENT_SLOW,      NBJ_EVENT_CLOSED };
    for (size_t i = 0; i < COUNT(types); i++) {
        ts_port port = ts_port_reserve();
        int listener = ts_port_listen(&port);
        char url[64];
        scene s = { .where = IN_EVENT, .what = THE_CLIENT, .event = types[i] };
        ts_raw *again = NULL;

        snprintf(url, sizeof url, "nats://127.0.0.1:%u", port.number);
        begin(&s, url);
        assert_int_equal(nbj_subscribe(s.client, "slow", NBJ_SUB(.limit_messages = 1), NULL, NULL, &s.sub), NBJ_OK);
        s.ready = true;
        ts_raw *r = accept_one(listener);
        if (types[i] != NBJ_EVENT_CONNECTED)
            WAIT_UNTIL(nbj_client_is_connected(s.client), TS_RAW_MS);
        provoke_event(&s, r);
        if (types[i] == NBJ_EVENT_RECONNECTED)
            again = accept_one(listener);
        if (!ts_tally_reaches(&s.done, 1, TS_THREADED_MS))
            TS_FAIL("no event %d", types[i]);
        finish(&s, nbj_strerror(NBJ_OK));
        ts_raw_close(r);
        ts_raw_close(again);
        close(listener);
        ts_port_release(&port);
    }
}

/* The first event may come before nbj_client_open has returned. */
static void on_connected(void *user, nbj_client *client, const nbj_event *event)
{
    atomic_uint *events = user;

    (*events)++;
    if (event->type == NBJ_EVENT_CONNECTED)
        nbj_client_release(client);
}

static void test_client_given_back_while_it_opens(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        nbj_client *c = NULL;
        atomic_uint events = 0;
        assert_int_equal(nbj_client_open(&c,
                                         NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .on_event = on_connected,
                                                            .user_data = &events),
                                         NULL),
                         NBJ_OK);
        ts_await_threads(0, 0);
        assert_int_equal(events, 1);
    }
}

/* -- from another thread -- */

typedef struct slow {
    nbj_client *client;
    ts_tally inside, outside;
    ts_tally gate;
    atomic_bool runs, given_back;
    atomic_uint late;
} slow;

static void slow_init(slow *w)
{
    *w = (slow){ 0 };
    ts_tally_init(&w->inside);
    ts_tally_init(&w->outside);
    ts_tally_init(&w->gate);
}

static void slow_done(slow *w)
{
    ts_tally_done(&w->inside);
    ts_tally_done(&w->outside);
    ts_tally_done(&w->gate);
}

static void stay_a_while(slow *w)
{
    w->late += w->given_back;
    w->runs = true;
    ts_tally_add(&w->inside, 1);
    (void)ts_tally_reaches(&w->gate, 1, 5000);
    nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL); /* long enough for a release that does not wait */
    w->runs = false;
    ts_tally_add(&w->outside, 1);
}

static void slow_on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    stay_a_while(user);
}

static void slow_on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)pull;
    (void)msg;
    stay_a_while(user);
}

static void test_release_waits_for_the_running_callback(void **state)
{
    (void)state;
    static const thing things[] = { THE_SUB, THE_PULL, THE_CLIENT };
    for (size_t i = 0; i < COUNT(things); i++) {
        ts_threaded *c = ts_threaded_at(ts_server_url(server));
        nbj_sub *sub = NULL;
        scene s = { .client = c->client };
        slow w;
        slow_init(&w);
        s.ready = true;
        if (things[i] == THE_PULL) {
            nbj_pull *pull = NULL;
            start_pull(&s);
            nbj_pull_release(s.pull);
            assert_int_equal(nbj_pull_start(c->client, NBJ_CONSUMER_CONFIG(.stream = "H", .durable = "slow"),
                                            slow_on_delivery, &w, &pull),
                             NBJ_OK);
            s.pull = pull;
        } else {
            assert_int_equal(nbj_subscribe(c->client, "slow", NULL, slow_on_msg, &w, &sub), NBJ_OK);
            for (int n = 0; n < 10; n++)
                assert_int_equal(nbj_send(c->client, "slow", nbj_str("x"), NULL), NBJ_OK);
        }
        TALLY_AWAIT(&w.inside, 1, TS_THREADED_MS);
        ts_tally_add(&w.gate, 1);
        if (things[i] == THE_SUB)
            nbj_sub_release(sub);
        else if (things[i] == THE_PULL)
            nbj_pull_release(s.pull);
        else
            ts_threaded_release(c);
        w.given_back = true;
        assert_false(w.runs);
        assert_true(ts_tally_count(&w.outside) >= 1);
        if (things[i] != THE_CLIENT)
            assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
        else
            nbj_sub_release(sub);
        ts_threaded_free(c);
        assert_int_equal(w.late, 0);
        slow_done(&w);
    }
}

/* Under load, again and again, wherever the callback thread happens to be. */
typedef struct burst {
    atomic_bool given_back;
    atomic_uint calls, late;
} burst;

static void burst_on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    burst *b = user;

    (void)sub;
    (void)msg;
    b->calls++;
    b->late += b->given_back;
}

static void test_no_callback_after_release_under_load(void **state)
{
    ts_threaded *c = ts_threaded_at(ts_server_url(server));
    unsigned calls = 0;

    (void)state;
    for (int round = 0; round < 100; round++) {
        burst b = { 0 };
        nbj_sub *sub = NULL;
        assert_int_equal(nbj_subscribe(c->client, "burst", NULL, burst_on_msg, &b, &sub), NBJ_OK);
        for (int i = 0; i < 500; i++)
            assert_int_equal(nbj_send(c->client, "burst", nbj_str("x"), NULL), NBJ_OK);
        WAIT_UNTIL(b.calls > (unsigned)round, 10000);
        nbj_sub_release(sub);
        b.given_back = true;
        assert_int_equal(nbj_flush(c->client, 0), NBJ_OK); /* all of them have come */
        assert_int_equal(b.late, 0);
        calls += b.calls;
    }
    assert_true(calls > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_given_back_in_callbacks, end_test),
        cmocka_unit_test_teardown(test_client_given_back_in_each_event, end_test),
        cmocka_unit_test_teardown(test_client_given_back_while_it_opens, end_test),
        cmocka_unit_test_teardown(test_release_waits_for_the_running_callback, end_test),
        cmocka_unit_test_teardown(test_no_callback_after_release_under_load, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
