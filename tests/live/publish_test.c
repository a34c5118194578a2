/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, and publishing into them: each message has one outcome, and that outcome is true. What is stored is read by
 * another client, which shares no code with the library. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

static ts_server *server;

static int start_server(void **state)
{
    (void)state;
    server = ts_server_start(&(ts_server_options){ .jetstream = true });
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

static ts_done ensure(ts_client *c, const nbj_stream_config *config)
{
    ts_done done = { 0 };

    assert_int_equal(nbj_stream_ensure_async(c->client, config, NULL, ts_on_done, &done), NBJ_OK);
    TURN_UNTIL(done.calls > 0, TS_WAIT_MS);
    assert_int_equal(done.calls, 1);
    return done;
}

static void make_stream(ts_client *c, const nbj_stream_config *config)
{
    ts_done done = ensure(c, config);

    if (done.status != NBJ_OK)
        TS_FAIL("stream %s: %s", config->name, done.error.text);
}

/* -- streams -- */

static void test_ensure(void **state)
{
    static const char *const subjects[] = { "ensure.a", "ensure.b.*" };
    nbj_stream_config config = { .struct_size = sizeof config,
                                 .name = "ENSURE",
                                 .subjects = { subjects, 2 },
                                 .storage = NBJ_STORAGE_MEMORY,
                                 .retention = NBJ_RETENTION_WORK_QUEUE,
                                 .max_messages = 1000,
                                 .max_bytes = 100000,
                                 .max_age_ns = NBJ_HOURS(1),
                                 .duplicate_window_ns = NBJ_SECONDS(30) };
    static const char *const members[] = { "\"name\":\"ENSURE\"",         "\"subjects\":[\"ensure.a\",\"ensure.b.*\"]",
                                           "\"retention\":\"workqueue\"", "\"storage\":\"memory\"",
                                           "\"max_msgs\":1000",           "\"max_bytes\":100000",
                                           "\"max_age\":3600000000000",   "\"duplicate_window\":30000000000",
                                           "\"num_replicas\":1" };
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));

    (void)state;
    make_stream(c, &config);
    const char *info = ts_raw_request(r, "$JS.API.STREAM.INFO.ENSURE", "", TS_RAW_MS);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        CHECK(members[i], strstr(info, members[i]) != NULL);
    make_stream(c, &config); /* the same again */
    config.max_messages = 1001;
    ts_done done = ensure(c, &config);
    assert_int_equal(done.status, NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(done.error.status, NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(done.error.err_code, 0); /* the server was only asked what it has */
    CHECK(done.error.text, strstr(done.error.text, "another configuration: max_msgs is 1000, wanted 1001") != NULL);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "BARE", .storage = NBJ_STORAGE_MEMORY)); /* its subject is its name */
    info = ts_raw_request(r, "$JS.API.STREAM.INFO.BARE", "", TS_RAW_MS);
    CHECK(info, strstr(info, "\"subjects\":[\"BARE\"]") != NULL);
    ts_raw_close(r);
}

static void test_ensure_is_refused(void **state)
{
    static const char *const bad_names[] = { NULL, "", "a.b", "a b", "a*", "a>", "a/b", "a\\b", "a\r\n" };
    ts_client *c = connect_one();
    ts_done done = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        const nbj_stream_config *config = NBJ_STREAM_CONFIG(.name = bad_names[i], .subjects = NBJ_LIST("x"));
        nbj_status st = nbj_stream_ensure_async(c->client, config, NULL, ts_on_done, &done);
        CHECK(bad_names[i] != NULL ? bad_names[i] : "none", st == NBJ_E_INVALID);
    }
    assert_int_equal(nbj_stream_ensure_async(c->client, NBJ_STREAM_CONFIG(.name = "X", .subjects = NBJ_LIST("a..b")),
                                             NULL, ts_on_done, &done),
                     NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_stream_ensure_async(c->client, NBJ_STREAM_CONFIG(.name = "X"), NULL, NULL, NULL),
                     NBJ_E_INVALID);
    assert_int_equal(done.calls, 0);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "FIRST", .subjects = NBJ_LIST("over.*"), .storage = NBJ_STORAGE_MEMORY));
    done = ensure(c, NBJ_STREAM_CONFIG(.name = "SECOND", .subjects = NBJ_LIST("over.lap")));
    assert_int_equal(done.status, NBJ_E_JS); /* subjects overlap */
    assert_int_equal(done.error.err_code, 10065);
    CHECK(done.error.text, strstr(done.error.text, "overlap") != NULL);
    done = ensure(c, NBJ_STREAM_CONFIG(.name = "THREE", .replicas = 3));
    CHECK("no cluster for replicas", done.status == NBJ_E_JS && done.error.err_code != 0);
}

static void test_jetstream_is_off(void **state)
{
    ts_server *off = ts_server_start(NULL);
    ts_client *c = ts_client_at(ts_server_url(off));
    ts_done done = ensure(c, NBJ_STREAM_CONFIG(.name = "X"));

    (void)state;
    CHECK(done.error.text, done.status == NBJ_E_NO_RESPONDERS || done.status == NBJ_E_JS_DISABLED);
    CHECK(done.error.text, strstr(done.error.text, "--jetstream") != NULL);
    ts_client_free(c);
    ts_server_free(off);
}

static void test_jetstream_is_off_for_the_account(void **state)
{
    ts_server *s = ts_server_start(
        &(ts_server_options){ .jetstream = true,
                              .config = "accounts { A { jetstream: enabled, users: [ { user: a, password: x } ] },"
                                        " B { users: [ { user: b, password: x } ] } }" });
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .user = "b", .password = "x"));
    ts_done done = ensure(c, NBJ_STREAM_CONFIG(.name = "X"));

    (void)state;
    CHECK(done.error.text, done.status == NBJ_E_JS_DISABLED || done.status == NBJ_E_NO_RESPONDERS);
    CHECK(done.error.text, strstr(done.error.text, "--jetstream") != NULL);
    ts_client_free(c);
    ts_server_free(s);
}

/* -- one message -- */

static ts_published publish(ts_client *c, const char *subject, const char *data, const nbj_publish_options *o)
{
    ts_published p = { 0 };

    assert_int_equal(nbj_publish_async(c->client, subject, nbj_str(data), o, ts_on_published, &p), NBJ_OK);
    TURN_UNTIL(p.calls > 0, TS_WAIT_MS);
    assert_int_equal(p.calls, 1);
    return p;
}

static void test_stored_and_duplicate(void **state)
{
    const nbj_header h[] = { { nbj_str("Own"), nbj_str("1") }, { nbj_str("own"), nbj_str("2") } };
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));

    (void)state;
    make_stream(c, NBJ_STREAM_CONFIG(.name = "ONE", .subjects = NBJ_LIST("one.>"), .storage = NBJ_STORAGE_MEMORY));
    ts_published p = publish(c, "one.a", "first", NBJ_PUBLISH(.msg_id = "id-1", .headers = h, .header_count = 2));
    assert_int_equal(p.outcome, NBJ_STORED);
    assert_int_equal(p.sequence, 1);
    assert_string_equal(p.stream, "ONE");
    p = publish(c, "one.b", "another payload, the same id", NBJ_PUBLISH(.msg_id = "id-1"));
    assert_int_equal(p.outcome, NBJ_DUPLICATE);
    assert_int_equal(p.sequence, 1);
    assert_string_equal(p.stream, "ONE");
    p = publish(c, "one.a", "", NULL); /* with an id of the library's */
    assert_int_equal(p.outcome, NBJ_STORED);
    assert_int_equal(p.sequence, 2);
    p = publish(c, "one.a", "no id", NBJ_PUBLISH(.no_msg_id = true));
    assert_int_equal(p.sequence, 3);
    assert_int_equal(nbj_publish_unfinished(c->client), 0);
    /* what it looks like to others; headers are base64 in JSON, so a subscription shows them */
    ts_raw_sub(r, "one.*", "1");
    (void)publish(c, "one.z", "seen", NBJ_PUBLISH(.msg_id = "id-2", .headers = h, .header_count = 2));
    (void)publish(c, "one.z", "bare", NBJ_PUBLISH(.no_msg_id = true));
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    CHECK("headers", ts_same(m.header, "NATS/1.0\r\nNats-Msg-Id: id-2\r\nOwn: 1\r\nown: 2\r\n\r\n"));
    CHECK("payload", ts_same(m.payload, "seen"));
    m = ts_raw_next(r, TS_RAW_MS);
    CHECK("none", m.header.len == 0);
    ts_raw_close(r);
}

static void test_rejected(void **state)
{
    const nbj_header sequence = { nbj_str("Nats-Expected-Last-Sequence"), nbj_str("77") };
    const nbj_header stream = { nbj_str("Nats-Expected-Stream"), nbj_str("OTHER") };
    const nbj_header right = { nbj_str("Nats-Expected-Last-Sequence"), nbj_str("0") };
    ts_client *c = connect_one();

    (void)state;
    make_stream(c, NBJ_STREAM_CONFIG(.name = "REJECT", .subjects = NBJ_LIST("reject"), .storage = NBJ_STORAGE_MEMORY));
    ts_published p = publish(c, "reject", "x", NBJ_PUBLISH(.headers = &sequence, .header_count = 1));
    assert_int_equal(p.outcome, NBJ_REJECTED);
    assert_int_equal(p.error.status, NBJ_E_WRONG_LAST_SEQUENCE);
    assert_int_equal(p.error.err_code, 10071);
    assert_int_equal(p.error.code, 400);
    p = publish(c, "reject", "x", NBJ_PUBLISH(.headers = &stream, .header_count = 1));
    assert_int_equal(p.outcome, NBJ_REJECTED);
    assert_int_equal(p.error.status, NBJ_E_JS);
    assert_int_equal(p.error.err_code, 10060);
    p = publish(c, "reject", "x", NBJ_PUBLISH(.headers = &right, .header_count = 1));
    assert_int_equal(p.outcome, NBJ_STORED);
    assert_int_equal(p.sequence, 1);
}

static void test_no_stream(void **state)
{
    ts_client *c = connect_one();
    ts_published p = publish(c, "into.the.void", "x", NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(1)));

    (void)state;
    assert_int_equal(p.outcome, NBJ_REJECTED);
    assert_int_equal(p.error.status, NBJ_E_NO_STREAM);
    CHECK(p.error.text, strstr(p.error.text, "stream") != NULL);
}

/* The stream comes while the message waits for it, as after a server's start. */
static void test_stream_that_comes_later(void **state)
{
    ts_client *c = connect_one();
    ts_published p = { 0 };

    (void)state;
    assert_int_equal(nbj_publish_async(c->client, "later", nbj_str("x"), NULL, ts_on_published, &p), NBJ_OK);
    ts_turn_for(50);
    assert_int_equal(p.calls, 0);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "LATER", .subjects = NBJ_LIST("later"), .storage = NBJ_STORAGE_MEMORY));
    TURN_UNTIL(p.calls == 1, TS_WAIT_MS);
    assert_int_equal(p.outcome, NBJ_STORED);
    assert_int_equal(p.sequence, 1);
}

/* Somebody listens, but nobody acknowledges: it may have been stored, for all we know. An acknowledgement that comes too
 * late is not taken for that of the message which has its place in the window now. */
static void test_no_acknowledgement(void **state)
{
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .publish_max_messages = 1));
    ts_raw *r = ts_raw_open(ts_server_port(server));
    ts_published second = { 0 };

    (void)state;
    ts_raw_sub(r, "mute", "1");
    ts_published p = publish(c, "mute", "x", NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(100)));
    assert_int_equal(p.outcome, NBJ_UNKNOWN);
    assert_int_equal(p.error.status, NBJ_E_TIMEOUT);
    assert_int_equal(nbj_publish_async(c->client, "mute", nbj_str("y"), NULL, ts_on_published, &second), NBJ_OK);
    for (int i = 0; i < 2; i++) { /* the first, then the second one */
        ts_flush(c);
        nbj_bytes to = ts_raw_next(r, TS_RAW_MS).reply;
        ts_raw_printf(r, "PUB %.*s 25\r\n{\"stream\":\"MUTE\",\"seq\":%d}\r\n", NBJ_FMT(to), 7 + i);
        ts_raw_flush(r);
        ts_flush(c);
        assert_int_equal(second.calls, i);
    }
    assert_int_equal(second.outcome, NBJ_STORED);
    assert_int_equal(second.sequence, 8);
    ts_raw_close(r);
}

static void test_nonsense_for_an_acknowledgement(void **state)
{
    static const char *const answers[] = { "",
                                           "hello",
                                           "[]",
                                           "{}",
                                           "{\"stream\":\"S\"}",
                                           "{\"seq\":1}",
                                           "{\"stream\":\"S\",\"seq\":0}",
                                           "{\"stream\":7,\"seq\":1}" };
    ts_client *c = connect_one();
    ts_raw *r = ts_raw_open(ts_server_port(server));

    (void)state;
    ts_raw_sub(r, "strange", "1");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ts_published p = { 0 };
        assert_int_equal(nbj_publish_async(c->client, "strange", nbj_str("x"), NULL, ts_on_published, &p), NBJ_OK);
        ts_flush(c);
        nbj_bytes to = ts_raw_next(r, TS_RAW_MS).reply;
        ts_raw_printf(r, "PUB %.*s %zu\r\n%s\r\n", NBJ_FMT(to), strlen(answers[i]), answers[i]);
        TURN_UNTIL(p.calls == 1, TS_WAIT_MS);
        CHECK(answers[i], p.outcome == NBJ_UNKNOWN && p.error.status == NBJ_E_BAD_REPLY);
    }
    ts_raw_close(r);
}

static void test_bad_arguments(void **state)
{
    const nbj_header bad = { nbj_str("a b"), nbj_str("v") };
    char *huge = calloc(1, 2000000);
    ts_client *c = connect_one();
    ts_published p = { 0 };

    (void)state;
    assert_int_equal(nbj_publish_async(c->client, "a.*", nbj_str("x"), NULL, ts_on_published, &p), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_publish_async(c->client, "", nbj_str("x"), NULL, ts_on_published, &p), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_publish_async(c->client, "a", nbj_str("x"), NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_publish_async(c->client, "a", nbj_str("x"), NBJ_PUBLISH(.headers = &bad, .header_count = 1),
                                       ts_on_published, &p),
                     NBJ_E_BAD_HEADER);
    assert_int_equal(
        nbj_publish_async(c->client, "a", nbj_str("x"), NBJ_PUBLISH(.msg_id = "two\r\nlines"), ts_on_published, &p),
        NBJ_E_BAD_HEADER);
    assert_int_equal(nbj_publish_async(c->client, "a", nbj_view(huge, 2000000), NULL, ts_on_published, &p),
                     NBJ_E_TOO_LARGE);
    ts_flush(c);
    assert_int_equal(p.calls, 0);
    assert_int_equal(nbj_publish_unfinished(c->client), 0);
    free(huge);
}

/* -- many -- */

#define MANY 5000

static ts_published results[MANY];

static void number_id(char *out, size_t cap, int i)
{
    snprintf(out, cap, "message-%d", i);
}

/* Publishes number |i| under its own id, when the window has room. */
static void publish_number(ts_client *c, const char *subject, int i, const nbj_publish_options *o)
{
    nbj_publish_options with_id = *o;
    char id[32], data[16];
    nbj_status st = NBJ_OK;

    number_id(id, sizeof id, i);
    snprintf(data, sizeof data, "%d", i);
    if (!o->no_msg_id)
        with_id.msg_id = id;
    TURN_UNTIL((st = nbj_publish_async(c->client, subject, nbj_str(data), &with_id, ts_on_published, &results[i])) !=
                   NBJ_E_WOULD_BLOCK,
               TS_WAIT_MS);
    assert_int_equal(st, NBJ_OK);
}

static int count_results(int count)
{
    int n = 0;

    for (int i = 0; i < count; i++)
        n += results[i].calls > 0;
    return n;
}

/* The stream's messages from the first on, as another client reads them: numbers 0, 1 … in order, each once, with its id
 * and at the sequence that its acknowledgement told. */
static void check_stream(const char *stream, int count)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));
    char subject[64], request[200], want[64];

    ts_raw_sub(r, "check.stream", "9");
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.CREATE.%s", stream);
    snprintf(request, sizeof request,
             "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"check.stream\",\"ack_policy\":\"none\","
             "\"deliver_policy\":\"all\",\"max_deliver\":1}}",
             stream);
    ts_raw_pub(r, subject, "check.answer", request, strlen(request));
    for (int i = 0; i < count; i++) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        snprintf(want, sizeof want, "%d", i);
        if (!ts_same(m.payload, want))
            TS_FAIL("stored: %s instead of %s", ts_show(m.payload.ptr, m.payload.len), want);
        snprintf(want, sizeof want, "Nats-Msg-Id: message-%d\r\n", i);
        CHECK(want, memmem(m.header.ptr, m.header.len, want, strlen(want)) != NULL);
        CHECK("sequence", results[i].sequence == (uint64_t)i + 1);
    }
    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", stream);
    ts_raw_pub(r, subject, "check.stream", "", 0);
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS); /* nothing came in between */
    snprintf(want, sizeof want, "\"messages\":%d,", count);
    CHECK(want, memmem(m.payload.ptr, m.payload.len, want, strlen(want)) != NULL);
    ts_raw_close(r);
}

static void check_all_stored(int count)
{
    for (int i = 0; i < count; i++) {
        if (results[i].calls != 1)
            TS_FAIL("message %d has %u outcomes", i, results[i].calls);
        if (results[i].outcome != NBJ_STORED && results[i].outcome != NBJ_DUPLICATE)
            TS_FAIL("message %d: outcome %d, %s", i, results[i].outcome, results[i].error.text);
    }
}

static void test_many_in_order(void **state)
{
    ts_client *c = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .publish_max_messages = 100));

    (void)state;
    memset(results, 0, sizeof results);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "MANY", .subjects = NBJ_LIST("many"), .storage = NBJ_STORAGE_MEMORY));
    for (int i = 0; i < MANY; i++)
        publish_number(c, "many", i, NBJ_PUBLISH(.timeout_ns = 0));
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, TS_WAIT_MS);
    check_all_stored(MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(results[i].outcome, NBJ_STORED);
    check_stream("MANY", MANY);
}

static void test_window(void **state)
{
    ts_client *c = ts_client_open(
        NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .publish_max_messages = 5, .publish_max_bytes = 100000));
    nbj_bytes data = exact_bytes((char[30000]){ 0 }, 30000);
    int n = 0;

    (void)state;
    memset(results, 0, sizeof results);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "WINDOW", .subjects = NBJ_LIST("window"), .storage = NBJ_STORAGE_MEMORY));
    while (nbj_publish_async(c->client, "window", nbj_str("x"), NULL, ts_on_published, &results[n]) == NBJ_OK)
        n++;
    assert_int_equal(n, 5);
    assert_int_equal(nbj_publish_unfinished(c->client), 5);
    assert_int_equal(nbj_publish_async(c->client, "window", nbj_str("x"), NULL, ts_on_published, &results[n]),
                     NBJ_E_WOULD_BLOCK);
    TURN_UNTIL(count_results(5) == 5, TS_WAIT_MS);
    assert_int_equal(results[n].calls, 0); /* it was refused */
    check_all_stored(5);
    n = 0;
    while (nbj_publish_async(c->client, "window", data, NULL, ts_on_published, &results[100 + n]) == NBJ_OK)
        n++;
    assert_int_equal(n, 3);
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, TS_WAIT_MS);
    assert_int_equal(nbj_publish_async(c->client, "window", data, NULL, ts_on_published, &results[110]), NBJ_OK);
    TURN_UNTIL(results[110].calls == 1, TS_WAIT_MS);
    assert_int_equal(results[110].sequence, 9);
    exact_free(data);
}

static void publish_numbers(ts_client *c, const char *subject, int first, int end)
{
    for (int i = first; i < end; i++) {
        publish_number(c, subject, i, NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(60)));
        if (i % 50 == 0)
            (void)ts_turn(0);
    }
}

/* 5,000 messages, while the server is killed and started again: all stored, once, in order. */
static void test_kill_and_restart(void **state)
{
    ts_client *c = connect_one();

    (void)state;
    memset(results, 0, sizeof results);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "KILL", .subjects = NBJ_LIST("kill")));
    publish_numbers(c, "kill", 0, 2000);
    TURN_UNTIL(count_results(2000) >= 1000, TS_WAIT_MS);
    publish_numbers(c, "kill", 2000, 3000);
    ts_server_kill9(server); /* with messages and acknowledgements under way */
    publish_numbers(c, "kill", 3000, 4000);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_server_restart(server);
    publish_numbers(c, "kill", 4000, MANY);
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, 30000);
    assert_string_equal(c->trail, "CDR");
    check_all_stored(MANY);
    check_stream("KILL", MANY);
}

/* The connection goes again and again, with messages and acknowledgements under way. */
static void test_cut_again_and_again(void **state)
{
    ts_proxy *p = ts_proxy_start(ts_server_port(server));
    char url[64];

    (void)state;
    memset(results, 0, sizeof results);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p));
    ts_client *c =
        ts_client_connect(NBJ_CLIENT_OPTIONS(.url = url, .publish_max_messages = 256,
                                             .reconnect_first_ns = NBJ_MILLIS(1), .reconnect_max_ns = NBJ_MILLIS(5)));
    make_stream(c, NBJ_STREAM_CONFIG(.name = "CUT", .subjects = NBJ_LIST("cut"), .storage = NBJ_STORAGE_MEMORY));
    for (int i = 0; i < MANY; i++) {
        publish_number(c, "cut", i, NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(60)));
        if (i % 500 == 250) /* somewhere in what follows */
            ts_proxy_cut_after(p, i % 1000 < 500 ? TS_TO_SERVER : TS_TO_CLIENT, (uint64_t)(3000 + 7 * i), TS_RST);
    }
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, TS_WAIT_MS);
    CHECK("it was cut", nbj_client_stats_of(c->client).reconnects >= 5);
    check_all_stored(MANY);
    check_stream("CUT", MANY);
    ts_client_free(c);
    ts_proxy_free(p);
}

/* -- what cannot be known -- */

static void test_without_id_a_loss_is_unknown(void **state)
{
    ts_proxy *p = ts_proxy_start(ts_server_port(server));
    char url[64];

    (void)state;
    memset(results, 0, sizeof results);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p));
    ts_client *c = ts_client_at(url);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "NOID", .subjects = NBJ_LIST("noid"), .storage = NBJ_STORAGE_MEMORY));
    ts_proxy_stall(p, TS_TO_CLIENT, true);
    for (int i = 0; i < 20; i++) /* half with, half without an id */
        publish_number(c, "noid", i, NBJ_PUBLISH(.no_msg_id = i % 2 == 0));
    ts_raw *r = ts_raw_open(ts_server_port(server));
    TURN_UNTIL(strstr(ts_raw_request(r, "$JS.API.STREAM.INFO.NOID", "", TS_RAW_MS), "\"messages\":20") != NULL,
               TS_WAIT_MS);
    ts_proxy_cut_now(p, TS_RST);
    ts_proxy_stall(p, TS_TO_CLIENT, false);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    publish_number(c, "noid", 20, NBJ_PUBLISH(.no_msg_id = true)); /* not sent yet: it can wait for a connection */
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, TS_WAIT_MS);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(results[i].calls, 1);
        if (i % 2 == 0) {
            CHECK("without", results[i].outcome == NBJ_UNKNOWN && results[i].error.status == NBJ_E_DISCONNECTED);
        } else {
            CHECK("with", results[i].outcome == NBJ_STORED && results[i].sequence == (uint64_t)i + 1);
        }
    }
    CHECK("the last", results[20].outcome == NBJ_STORED && results[20].sequence == 21);
    ts_raw_close(r);
    ts_client_free(c);
    ts_proxy_free(p);
}

static void test_close_gives_each_its_outcome(void **state)
{
    (void)state;
    for (int turns = 0; turns < 8; turns++) { /* the sooner it is closed, the less is known */
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)));
        int stored = 0, unknown = 0, rejected = 0;
        memset(results, 0, sizeof results);
        if (turns > 0)
            make_stream(
                c, NBJ_STREAM_CONFIG(.name = "CLOSE", .subjects = NBJ_LIST("close"), .storage = NBJ_STORAGE_MEMORY));
        for (int i = 0; i < 1000; i++)
            publish_number(c, "close", i, NBJ_PUBLISH(.no_msg_id = true));
        for (int i = 0; i < turns; i++)
            (void)ts_turn(1);
        nbj_client_close(c->client);
        ts_published late = { 0 };
        assert_int_equal(nbj_publish_async(c->client, "close", nbj_str("x"), NULL, ts_on_published, &late),
                         NBJ_E_CLOSED);
        (void)ts_await(c, NBJ_EVENT_CLOSED);
        for (int i = 0; i < 1000; i++) {
            CHECK("exactly one", results[i].calls == 1);
            stored += results[i].outcome == NBJ_STORED;
            unknown += results[i].outcome == NBJ_UNKNOWN && results[i].error.status == NBJ_E_CLOSED;
            rejected += results[i].outcome == NBJ_REJECTED && results[i].error.status == NBJ_E_CLOSED;
        }
        assert_int_equal(stored + unknown + rejected, 1000);
        CHECK("never sent is certainly not stored", turns > 0 || rejected == 1000);
        assert_int_equal(late.calls, 0);
        ts_client_free(c);
    }
}

static void test_drain_waits_for_outcomes(void **state)
{
    ts_client *c = connect_one();
    ts_published late = { 0 };

    (void)state;
    memset(results, 0, sizeof results);
    make_stream(c, NBJ_STREAM_CONFIG(.name = "DRAIN", .subjects = NBJ_LIST("drain"), .storage = NBJ_STORAGE_MEMORY));
    for (int i = 0; i < 2000; i++)
        publish_number(c, "drain", i, NBJ_PUBLISH(.timeout_ns = 0));
    nbj_client_drain_async(c->client, NBJ_SECONDS(10));
    assert_int_equal(nbj_publish_async(c->client, "drain", nbj_str("x"), NULL, ts_on_published, &late), NBJ_E_DRAINING);
    TURN_UNTIL(nbj_publish_unfinished(c->client) == 0, TS_WAIT_MS);
    nbj_status st = nbj_publish_async(c->client, "drain", nbj_str("x"), NULL, ts_on_published, &late);
    CHECK("nor later", st == NBJ_E_DRAINING || st == NBJ_E_CLOSED);
    assert_int_equal(ts_await(c, NBJ_EVENT_CLOSED)->status, NBJ_OK);
    check_all_stored(2000);
    check_stream("DRAIN", 2000);
    assert_int_equal(late.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_ensure, end_test),
        cmocka_unit_test_teardown(test_ensure_is_refused, end_test),
        cmocka_unit_test_teardown(test_jetstream_is_off, end_test),
        cmocka_unit_test_teardown(test_jetstream_is_off_for_the_account, end_test),
        cmocka_unit_test_teardown(test_stored_and_duplicate, end_test),
        cmocka_unit_test_teardown(test_rejected, end_test),
        cmocka_unit_test_teardown(test_no_stream, end_test),
        cmocka_unit_test_teardown(test_stream_that_comes_later, end_test),
        cmocka_unit_test_teardown(test_no_acknowledgement, end_test),
        cmocka_unit_test_teardown(test_nonsense_for_an_acknowledgement, end_test),
        cmocka_unit_test_teardown(test_bad_arguments, end_test),
        cmocka_unit_test_teardown(test_many_in_order, end_test),
        cmocka_unit_test_teardown(test_window, end_test),
        cmocka_unit_test_teardown(test_kill_and_restart, end_test),
        cmocka_unit_test_teardown(test_cut_again_and_again, end_test),
        cmocka_unit_test_teardown(test_without_id_a_loss_is_unknown, end_test),
        cmocka_unit_test_teardown(test_close_gives_each_its_outcome, end_test),
        cmocka_unit_test_teardown(test_drain_waits_for_outcomes, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
