/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and flushes against a real server: each ends exactly once, and with its own answer. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
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

static void answer(nbj_client *client, const nbj_msg *question, nbj_bytes data)
{
    char to[200];

    snprintf(to, sizeof to, "%.*s", NBJ_FMT(nbj_msg_reply(question)));
    assert_int_equal(nbj_send(client, to, data, NULL), NBJ_OK);
}

static void on_question(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    answer(user, msg, nbj_msg_data(msg));
}

/* A service that gives back what it is asked. */
static nbj_sub *serve_echo(ts_client *c, const char *subject)
{
    nbj_sub *sub = NULL;

    assert_int_equal(nbj_subscribe(c->client, subject, NULL, on_question, c->client, &sub), NBJ_OK);
    ts_flush(c);
    return sub;
}

static void ask(ts_client *c, const char *subject, const char *payload, uint64_t timeout_ns, ts_answer *a)
{
    ts_answer_free(a);
    assert_int_equal(
        nbj_request_async(c->client, subject, nbj_str(payload), NBJ_REQUEST(.timeout_ns = timeout_ns), ts_on_reply, a),
        NBJ_OK);
}

static void ask_and_wait(ts_client *c, const char *subject, const char *payload, uint64_t timeout_ns, ts_answer *a)
{
    ask(c, subject, payload, timeout_ns, a);
    TURN_UNTIL(a->calls > 0, TS_WAIT_MS);
    assert_int_equal(a->calls, 1);
}

/* -- one answer -- */

static void test_request(void **state)
{
    ts_client *asks = connect_one();
    ts_client *serves = connect_one();
    nbj_sub *service = serve_echo(serves, "echo");
    ts_answer a = { 0 };

    (void)state;
    ask_and_wait(asks, "echo", "hello", 0, &a);
    assert_int_equal(a.status, NBJ_OK);
    CHECK("answer", ts_same(nbj_msg_data(a.msg), "hello"));
    ask_and_wait(asks, "echo", "", 0, &a);
    assert_int_equal(a.status, NBJ_OK);
    CHECK("an empty answer is one", nbj_msg_data(a.msg).len == 0);
    nbj_sub *own = serve_echo(asks, "own");
    ask_and_wait(asks, "own", "to myself", 0, &a);
    CHECK("to itself", ts_same(nbj_msg_data(a.msg), "to myself"));
    ts_answer_free(&a);
    nbj_sub_release(own);
    nbj_sub_release(service);
}

static void test_headers_both_ways(void **state)
{
    const nbj_header h = { nbj_str("Ask"), nbj_str("yes") };
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_answer a = { 0 };
    nbj_bytes value;

    (void)state;
    ts_raw_sub(r, "hdr", "1");
    assert_int_equal(nbj_request_async(c->client, "hdr", nbj_str("?"), NBJ_REQUEST(.headers = &h, .header_count = 1),
                                       ts_on_reply, &a),
                     NBJ_OK);
    ts_flush(c);
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    CHECK("asked with headers", ts_same(m.header, "NATS/1.0\r\nAsk: yes\r\n\r\n"));
    CHECK("payload", ts_same(m.payload, "?"));
    ts_raw_printf(r, "HPUB %.*s 22 23\r\nNATS/1.0\r\nWell: no\r\n\r\n!\r\n", NBJ_FMT(m.reply));
    TURN_UNTIL(a.calls == 1, TS_WAIT_MS);
    assert_int_equal(a.status, NBJ_OK);
    assert_int_equal(nbj_msg_header(a.msg, "Well", &value), NBJ_OK);
    CHECK("answered with headers", ts_same(value, "no"));
    ts_answer_free(&a);
    ts_raw_close(r);
}

#define AT_ONCE 2000

static void test_many_at_once(void **state)
{
    static ts_answer answers[AT_ONCE];
    ts_client *asks = connect_one();
    ts_client *serves = connect_one();
    nbj_sub *service = serve_echo(serves, "each");
    char number[16];

    (void)state;
    for (int i = 0; i < AT_ONCE; i++) {
        snprintf(number, sizeof number, "%d", i);
        ask(asks, "each", number, 0, &answers[i]);
    }
    for (int i = 0; i < AT_ONCE; i++)
        TURN_UNTIL(answers[i].calls == 1, TS_WAIT_MS);
    ts_flush(asks);
    for (int i = 0; i < AT_ONCE; i++) {
        snprintf(number, sizeof number, "%d", i);
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].status, NBJ_OK);
        CHECK("its own answer", ts_same(nbj_msg_data(answers[i].msg), number));
        ts_answer_free(&answers[i]);
    }
    nbj_sub_release(service);
}

static void test_only_the_first_answer_counts(void **state)
{
    ts_client *c = connect_one();
    nbj_sub *one = serve_echo(c, "twice");
    nbj_sub *two = serve_echo(c, "twice");
    ts_answer a = { 0 };

    (void)state;
    ask_and_wait(c, "twice", "x", 0, &a);
    ts_flush(c);
    assert_int_equal(a.calls, 1);
    assert_int_equal(nbj_client_stats_of(c->client).unwanted, 1);
    ts_answer_free(&a);
    nbj_sub_release(one);
    nbj_sub_release(two);
}

static void test_late_reply_is_dropped(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_answer a = { 0 }, b = { 0 };

    (void)state;
    ts_raw_sub(r, "late", "1");
    ask_and_wait(c, "late", "first", NBJ_MILLIS(50), &a);
    assert_int_equal(a.status, NBJ_E_TIMEOUT);
    assert_null(a.msg);
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    ask(c, "late", "second", 0, &b); /* in the first one's place */
    ts_raw_printf(r, "PUB %.*s 7\r\ntoo old\r\n", NBJ_FMT(m.reply));
    ts_raw_flush(r);
    ts_flush(c);
    assert_int_equal(b.calls, 0);
    assert_int_equal(a.calls, 1);
    assert_int_equal(nbj_client_stats_of(c->client).unwanted, 1);
    m = ts_raw_next(r, TS_RAW_MS);
    CHECK("second", ts_same(m.payload, "second"));
    ts_raw_printf(r, "PUB %.*s 5\r\nright\r\n", NBJ_FMT(m.reply));
    TURN_UNTIL(b.calls == 1, TS_WAIT_MS);
    CHECK("the right one", ts_same(nbj_msg_data(b.msg), "right"));
    ts_answer_free(&a);
    ts_answer_free(&b);
    ts_raw_close(r);
}

static void test_no_responders_at_once(void **state)
{
    ts_client *c = connect_one();
    ts_answer a = { 0 };
    nbj_time before = ts_now();

    (void)state;
    ask_and_wait(c, "nobody.here", "x", NBJ_SECONDS(60), &a);
    assert_int_equal(a.status, NBJ_E_NO_RESPONDERS);
    assert_null(a.msg);
    CHECK("long before the deadline", ts_now() - before < NBJ_SECONDS(5));
    ts_answer_free(&a);
}

static void test_bad_arguments(void **state)
{
    ts_client *c = connect_one();
    ts_answer a = { 0 };

    (void)state;
    assert_int_equal(nbj_request_async(c->client, "a..b", nbj_str("x"), NULL, ts_on_reply, &a), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_request_async(c->client, "a.*", nbj_str("x"), NULL, ts_on_reply, &a), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_request_many_async(c->client, "a.>", nbj_str("x"), NULL, ts_on_reply, &a), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_request_async(c->client, "a", nbj_str("x"), NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_request_many_async(c->client, "a", nbj_str("x"), NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_flush_async(c->client, 0, NULL, NULL), NBJ_E_INVALID);
    ts_flush(c);
    assert_int_equal(a.calls, 0);
}

typedef struct asker {
    ts_client *c;
    ts_answer second;
} asker;

static void ask_again(void *user, nbj_status status, const nbj_msg *reply)
{
    asker *a = user;

    assert_int_equal(status, NBJ_OK);
    assert_non_null(reply);
    ask(a->c, "again", "second", 0, &a->second);
}

static void test_request_in_a_callback(void **state)
{
    asker a = { .c = connect_one() };
    nbj_sub *service = serve_echo(a.c, "again");

    (void)state;
    assert_int_equal(nbj_request_async(a.c->client, "again", nbj_str("first"), NULL, ask_again, &a), NBJ_OK);
    TURN_UNTIL(a.second.calls == 1, TS_WAIT_MS);
    CHECK("second", ts_same(nbj_msg_data(a.second.msg), "second"));
    ts_answer_free(&a.second);
    nbj_sub_release(service);
}

/* -- the inbox -- */

static void test_inbox_prefix(void **state)
{
    static const char *const bad[] = { "a b", "a.*", ">", "a..b", ".a", "a." };
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .inbox_prefix = "mine.alone"));
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_answer a = { 0 }, many = { 0 };

    (void)state;
    ts_raw_sub(r, "inbox", "1");
    ask(c, "inbox", "x", 0, &a);
    ts_flush(c);
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    CHECK("one", m.reply.len > 11 && memcmp(m.reply.ptr, "mine.alone.", 11) == 0);
    ts_raw_printf(r, "PUB %.*s 2\r\nok\r\n", NBJ_FMT(m.reply));
    TURN_UNTIL(a.calls == 1, TS_WAIT_MS);
    assert_int_equal(a.status, NBJ_OK);
    assert_int_equal(
        nbj_request_many_async(c->client, "inbox", nbj_str("x"), NBJ_REQUEST(.max_replies = 1), ts_on_reply, &many),
        NBJ_OK);
    ts_flush(c);
    m = ts_raw_next(r, TS_RAW_MS);
    CHECK("many", m.reply.len > 11 && memcmp(m.reply.ptr, "mine.alone.", 11) == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        nbj_client *none;
        nbj_error e = { 0 };
        CHECK(bad[i], nbj_loop_open(&none, NBJ_CLIENT_OPTIONS(.inbox_prefix = bad[i]), &e) == NBJ_E_INVALID);
        CHECK(bad[i], none == NULL && e.status == NBJ_E_INVALID && strstr(e.text, "inbox") != NULL);
    }
    ts_client_free(c); /* with a request under way: no callback follows */
    assert_int_equal(many.calls, 0);
    ts_answer_free(&a);
    ts_raw_close(r);
}

/* -- many answers -- */

/* What a request that many may answer comes to. */
typedef struct crowd {
    const char *name;
    nbj_request_options o;
    const char *answers; /* one letter for each reply that is sent: '.' with, '0' without a payload; '-' a pause */
    nbj_status status;
    unsigned replies;
} crowd;

static void send_answers(ts_raw *r, nbj_bytes reply, const char *answers)
{
    char to[200];

    snprintf(to, sizeof to, "%.*s", NBJ_FMT(reply));
    for (const char *a = answers; *a != '\0'; a++) {
        if (*a == '-')
            ts_turn_for(150);
        else
            ts_raw_printf(r, *a == '0' ? "PUB %s 0\r\n\r\n" : "PUB %s 1\r\n.\r\n", to);
        ts_raw_flush(r);
    }
}

static void test_request_many(void **state)
{
    static const crowd cases[] = {
        { "maximum", { .max_replies = 3 }, "...", NBJ_OK, 3 },
        { "maximum of more", { .max_replies = 3 }, ".....", NBJ_OK, 3 },
        { "maximum, empty ones count", { .max_replies = 2 }, "0.", NBJ_OK, 2 },
        { "sentinel", { .sentinel = true }, "..0", NBJ_OK, 2 },
        { "sentinel at once", { .sentinel = true }, "0", NBJ_OK, 0 },
        { "nothing behind the sentinel", { .sentinel = true }, ".0..", NBJ_OK, 1 },
        { "stall", { .stall_ns = NBJ_MILLIS(50) }, "..-.", NBJ_OK, 2 },
        { "stall is counted from the last", { .stall_ns = NBJ_MILLIS(600) }, ".-.-.-.-.-.", NBJ_OK, 6 },
        { "deadline with answers", { .timeout_ns = NBJ_MILLIS(100) }, "..", NBJ_OK, 2 },
        { "deadline without", { .timeout_ns = NBJ_MILLIS(100) }, "", NBJ_E_TIMEOUT, 0 },
        { "deadline before the stall", { .timeout_ns = NBJ_MILLIS(100), .stall_ns = NBJ_SECONDS(60) }, ".", NBJ_OK, 1 },
    };
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));

    (void)state;
    ts_raw_sub(r, "crowd", "1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ts_answer a = { 0 };
        nbj_request_options o = cases[i].o;
        o.struct_size = sizeof o;
        assert_int_equal(nbj_request_many_async(c->client, "crowd", nbj_str("who?"), &o, ts_on_reply, &a), NBJ_OK);
        ts_flush(c);
        send_answers(r, ts_raw_next(r, TS_RAW_MS).reply, cases[i].answers);
        TURN_UNTIL(a.calls == a.replies + 1, TS_WAIT_MS);
        ts_flush(c);
        CHECK(cases[i].name, a.calls == a.replies + 1);
        CHECK(cases[i].name, a.status == cases[i].status);
        CHECK(cases[i].name, a.replies == cases[i].replies);
        ts_answer_free(&a);
    }
    ts_raw_close(r);
}

static void test_request_many_without_responders(void **state)
{
    ts_client *c = connect_one();
    ts_answer a = { 0 };

    (void)state;
    assert_int_equal(nbj_request_many_async(c->client, "nobody.here", nbj_str("x"),
                                            NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(60)), ts_on_reply, &a),
                     NBJ_OK);
    TURN_UNTIL(a.calls == 1, TS_WAIT_MS);
    assert_int_equal(a.status, NBJ_E_NO_RESPONDERS);
    assert_int_equal(a.replies, 0);
}

/* -- flushes -- */

static void test_flush(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_done done[20] = { 0 };

    (void)state;
    ts_raw_sub(r, "flushed", "1");
    for (int i = 0; i < 20; i++) {
        ts_send(c, "flushed", "x");
        assert_int_equal(nbj_flush_async(c->client, 0, ts_on_flushed, &done[i]), NBJ_OK);
    }
    TURN_UNTIL(done[19].calls > 0, TS_WAIT_MS);
    for (int i = 0; i < 20; i++) {
        CHECK("each once, in order", done[i].calls == 1 && done[i].status == NBJ_OK);
        CHECK("it took some time", done[i].round_trip_ns > 0 && done[i].round_trip_ns < NBJ_SECONDS(5));
    }
    ts_raw_flush(r);
    for (int i = 0; i < 20; i++)
        CHECK("the server had it", ts_same(ts_raw_next(r, 0).payload, "x"));
    ts_raw_close(r);
}

static void test_flush_waits_for_a_connection(void **state)
{
    ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)));
    ts_done early = { 0 }, short_one = { 0 };

    (void)state;
    assert_int_equal(nbj_flush_async(c->client, 0, ts_on_flushed, &early), NBJ_OK);
    TURN_UNTIL(early.calls == 1, TS_WAIT_MS);
    assert_int_equal(early.status, NBJ_OK);
    ts_server_pause(server);
    assert_int_equal(nbj_flush_async(c->client, NBJ_MILLIS(50), ts_on_flushed, &short_one), NBJ_OK);
    TURN_UNTIL(short_one.calls == 1, TS_WAIT_MS);
    assert_int_equal(short_one.status, NBJ_E_TIMEOUT);
    ts_server_cont(server);
    ts_flush(c);
    assert_int_equal(short_one.calls, 1);
}

/* -- a lost connection -- */

typedef struct proxied {
    ts_proxy *proxy;
    ts_client *c;
    ts_raw *serves;
} proxied;

static proxied open_proxied(bool fail_on_loss)
{
    char url[64];
    proxied p = { .proxy = ts_proxy_start(ts_server_port(server)), .serves = ts_raw_open(ts_server_port(server)) };

    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p.proxy));
    p.c = ts_client_connect(
        NBJ_CLIENT_OPTIONS(.url = url, .reconnect_first_ns = NBJ_MILLIS(10), .fail_requests_on_loss = fail_on_loss));
    return p;
}

static void close_proxied(proxied *p)
{
    ts_client_free(p->c);
    ts_raw_close(p->serves);
    ts_proxy_free(p->proxy);
}

/* The question is asked, then the connection is lost. Returns the reply subject. */
static nbj_bytes ask_and_lose(const proxied *p, ts_answer *a, ts_answer *many, ts_done *flush)
{
    ts_raw_sub(p->serves, "loss", "1");
    ask(p->c, "loss", "x", NBJ_SECONDS(30), a);
    assert_int_equal(nbj_request_many_async(p->c->client, "loss", nbj_str("x"),
                                            NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(30), .max_replies = 1), ts_on_reply,
                                            many),
                     NBJ_OK);
    ts_flush(p->c);
    ts_proxy_black_hole(p->proxy, TS_TO_SERVER, true);
    assert_int_equal(nbj_flush_async(p->c->client, 0, ts_on_flushed, flush), NBJ_OK);
    (void)ts_turn(0);
    ts_proxy_cut_now(p->proxy, TS_RST);
    ts_proxy_black_hole(p->proxy, TS_TO_SERVER, false);
    (void)ts_await(p->c, NBJ_EVENT_DISCONNECTED);
    return ts_raw_next(p->serves, TS_RAW_MS).reply;
}

static void test_fail_requests_on_loss(void **state)
{
    proxied p = open_proxied(true);
    ts_answer a = { 0 }, many = { 0 };
    ts_done flush = { 0 };

    (void)state;
    ask_and_lose(&p, &a, &many, &flush);
    CHECK("the request ended", a.calls == 1 && a.status == NBJ_E_DISCONNECTED);
    CHECK("the one with many", many.calls == 1 && many.status == NBJ_E_DISCONNECTED);
    CHECK("the flush", flush.calls == 1 && flush.status == NBJ_E_DISCONNECTED);
    (void)ts_await(p.c, NBJ_EVENT_RECONNECTED);
    close_proxied(&p);
    CHECK("once", a.calls == 1 && many.calls == 1 && flush.calls == 1);
}

static void test_requests_survive_a_loss(void **state)
{
    proxied p = open_proxied(false);
    ts_answer a = { 0 }, many = { 0 };
    ts_done flush = { 0 };
    char reply[2][100];

    (void)state;
    nbj_bytes to = ask_and_lose(&p, &a, &many, &flush);
    snprintf(reply[0], sizeof reply[0], "%.*s", NBJ_FMT(to));
    to = ts_raw_next(p.serves, TS_RAW_MS).reply;
    snprintf(reply[1], sizeof reply[1], "%.*s", NBJ_FMT(to));
    CHECK("a flush does not survive", flush.calls == 1 && flush.status == NBJ_E_DISCONNECTED);
    (void)ts_await(p.c, NBJ_EVENT_RECONNECTED);
    ts_flush(p.c);
    assert_int_equal(a.calls + many.calls, 0);
    for (int i = 0; i < 2; i++)
        ts_raw_printf(p.serves, "PUB %s 4\r\nlate\r\n", reply[i]);
    TURN_UNTIL(a.calls == 1 && many.calls == 2, TS_WAIT_MS);
    assert_int_equal(a.status, NBJ_OK);
    assert_int_equal(many.status, NBJ_OK);
    ts_answer_free(&a);
    ts_answer_free(&many);
    close_proxied(&p);
}

static void test_close_ends_all(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_answer a = { 0 }, many = { 0 };
    ts_done flush = { 0 };

    (void)state;
    ts_raw_sub(r, "silence", "1");
    ask(c, "silence", "x", 0, &a);
    assert_int_equal(nbj_request_many_async(c->client, "silence", nbj_str("x"), NULL, ts_on_reply, &many), NBJ_OK);
    assert_int_equal(nbj_flush_async(c->client, 0, ts_on_flushed, &flush), NBJ_OK);
    nbj_client_close(c->client);
    assert_int_equal(a.calls + many.calls + flush.calls, 0); /* callbacks run while processing only */
    assert_int_equal(nbj_request_async(c->client, "x", nbj_str("x"), NULL, ts_on_reply, &a), NBJ_E_CLOSED);
    assert_int_equal(nbj_flush_async(c->client, 0, ts_on_flushed, &flush), NBJ_E_CLOSED);
    (void)ts_await(c, NBJ_EVENT_CLOSED);
    CHECK("request", a.calls == 1 && a.status == NBJ_E_CLOSED);
    CHECK("many", many.calls == 1 && many.status == NBJ_E_CLOSED);
    CHECK("flush", flush.calls == 1 && flush.status == NBJ_E_CLOSED);
    ts_client_free(c);
    CHECK("once", a.calls == 1 && many.calls == 1 && flush.calls == 1);
    ts_raw_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_request, end_test),
        cmocka_unit_test_teardown(test_headers_both_ways, end_test),
        cmocka_unit_test_teardown(test_many_at_once, end_test),
        cmocka_unit_test_teardown(test_only_the_first_answer_counts, end_test),
        cmocka_unit_test_teardown(test_late_reply_is_dropped, end_test),
        cmocka_unit_test_teardown(test_no_responders_at_once, end_test),
        cmocka_unit_test_teardown(test_bad_arguments, end_test),
        cmocka_unit_test_teardown(test_request_in_a_callback, end_test),
        cmocka_unit_test_teardown(test_inbox_prefix, end_test),
        cmocka_unit_test_teardown(test_request_many, end_test),
        cmocka_unit_test_teardown(test_request_many_without_responders, end_test),
        cmocka_unit_test_teardown(test_flush, end_test),
        cmocka_unit_test_teardown(test_flush_waits_for_a_connection, end_test),
        cmocka_unit_test_teardown(test_fail_requests_on_loss, end_test),
        cmocka_unit_test_teardown(test_requests_survive_a_loss, end_test),
        cmocka_unit_test_teardown(test_close_ends_all, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
