/* SPDX-License-Identifier: Apache-2.0 */
/* Pull consumers: all messages come, settled ones not again, over restarts and whatever else happens to them. What the
 * server thinks of a consumer is asked by another client. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static ts_server *server;
static ts_raw *peer;

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

static int begin_test(void **state)
{
    (void)state;
    peer = ts_raw_open(ts_server_port(server));
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    ts_raw_close(peer);
    peer = NULL;
    return 0;
}

static ts_client *connect_one(void)
{
    return ts_client_at(ts_server_url(server));
}

/* -- the other client -- */

static const char *api(const char *verb, const char *name, const char *request)
{
    char subject[128];

    snprintf(subject, sizeof subject, "$JS.API.%s.%s", verb, name);
    const char *answer = ts_raw_request(peer, subject, request, TS_RAW_MS);
    if (answer == NULL || answer[0] != '{')
        TS_FAIL("no answer to %s", subject);
    return answer;
}

static void make_stream(const char *name, const char *storage)
{
    char request[200];

    snprintf(request, sizeof request, "{\"name\":\"%s\",\"subjects\":[\"%s.>\"],\"storage\":\"%s\"}", name, name,
             storage);
    const char *answer = api("STREAM.CREATE", name, request);
    CHECK(answer, strstr(answer, "\"error\"") == NULL);
}

/* Stores numbers |first| … as <stream>.n. */
static void store_numbers(const char *stream, int first, int count)
{
    char subject[64];

    snprintf(subject, sizeof subject, "%s.n", stream);
    ts_publish_numbers(peer, subject, first, count);
}

/* A number of what the server says about the consumer "<stream>.<name>"; -1: it is not there. */
static long about_consumer(const char *name, const char *member)
{
    char key[64];
    const char *info = api("CONSUMER.INFO", name, "");

    snprintf(key, sizeof key, "\"%s\":", member);
    const char *at = strstr(info, key);
    return at != NULL ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* -- a pull and what it gets -- */

#define STATES_MAX 256

typedef struct reader {
    nbj_pull *pull;
    char states[STATES_MAX]; /* a letter for each: s starting, R running, t stalled, g gone, x stopped */
    size_t state_count;
    nbj_error error; /* of the last STALLED or GONE */
    ts_sink got;
    bool leave; /* messages are not acknowledged in the callback */
    void (*on_msg)(struct reader *r, const nbj_msg *msg);
} reader;

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    reader *r = user;

    assert_ptr_equal(pull, r->pull);
    ts_sink_keep(&r->got, msg);
    if (r->on_msg != NULL)
        r->on_msg(r, msg);
    else if (!r->leave)
        assert_int_equal(nbj_ack(msg), NBJ_OK);
}

static void on_state(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    reader *r = user;

    assert_ptr_equal(pull, r->pull);
    assert_int_equal(state, nbj_pull_state_of(pull));
    assert_int_equal(error != NULL, state == NBJ_PULL_STALLED || state == NBJ_PULL_GONE);
    if (r->state_count + 1 < STATES_MAX)
        r->states[r->state_count++] = " sRtgx"[state];
    if (error != NULL)
        r->error = *error;
}

static void start_reader(ts_client *c, reader *r, const char *stream, const char *durable, nbj_consumer_config config)
{
    config.struct_size = sizeof config;
    config.stream = stream;
    config.durable = durable;
    config.on_state = on_state;
    assert_int_equal(nbj_pull_start(c->client, &config, on_delivery, r, &r->pull), NBJ_OK);
}

static void free_reader(reader *r)
{
    nbj_pull_release(r->pull);
    r->pull = NULL;
    ts_sink_free(&r->got);
}

static nbj_delivery delivery_of(const nbj_msg *m)
{
    nbj_delivery d;

    assert_int_equal(nbj_msg_delivery(m, &d), NBJ_OK);
    return d;
}

/* The server has settled all of the consumer. */
#define WAIT_SETTLED(name) \
    TURN_UNTIL(about_consumer(name, "num_ack_pending") == 0 && about_consumer(name, "num_pending") == 0, TS_WAIT_MS)

/* -- all messages, once -- */

static void test_all_messages(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("ALL", "memory");
    store_numbers("ALL", 0, 3000);
    start_reader(c, &r, "ALL", "all", (nbj_consumer_config){ 0 });
    assert_int_equal(nbj_pull_state_of(r.pull), NBJ_PULL_STARTING);
    TURN_UNTIL(r.got.count == 3000, TS_WAIT_MS);
    store_numbers("ALL", 3000, 500); /* while it waits for more */
    TURN_UNTIL(r.got.count == 3500, TS_WAIT_MS);
    WAIT_SETTLED("ALL.all");
    ts_flush(c);
    CHECK("in order, each once", ts_sink_counts(&r.got, 0, 3500));
    assert_string_equal(r.states, "R");
    free_reader(&r);
    ts_flush(c); /* the server knows, and sends nothing more there */
    store_numbers("ALL", 3500, 10);
    start_reader(c, &r, "ALL", "all", (nbj_consumer_config){ 0 }); /* goes on where it was */
    TURN_UNTIL(r.got.count == 10, TS_WAIT_MS);
    CHECK("the rest", ts_sink_counts(&r.got, 3500, 10));
    free_reader(&r);
}

static void test_what_a_delivery_says(void **state)
{
    ts_client *c = connect_one();
    reader r = { .leave = true };
    ts_sink plain = { 0 };
    nbj_delivery d;
    time_t now = time(NULL);

    (void)state;
    make_stream("META", "memory");
    ts_raw_send(peer, "HPUB META.a.b 18 21\r\nNATS/1.0\r\nK: v\r\n\r\none\r\n");
    store_numbers("META", 0, 2);
    start_reader(c, &r, "META", "meta", (nbj_consumer_config){ .ack_wait_ns = NBJ_MILLIS(200) });
    TURN_UNTIL(r.got.count == 3, TS_WAIT_MS);
    for (size_t i = 0; i < 3; i++) {
        d = delivery_of(r.got.msg[i]);
        CHECK("stream", ts_same(d.stream, "META"));
        CHECK("consumer", ts_same(d.consumer, "meta"));
        CHECK("sequences", d.stream_sequence == i + 1 && d.consumer_sequence == i + 1);
        CHECK("delivered", d.delivered == 1);
        CHECK("pending", d.pending == 2 - i);
        int64_t age = (int64_t)now - (int64_t)(d.stored_at_ns / 1000000000);
        CHECK("stored at", age > -60 && age < 60);
    }
    nbj_bytes value;
    CHECK("subject", ts_same(nbj_msg_subject(r.got.msg[0]), "META.a.b"));
    CHECK("payload", ts_same(nbj_msg_data(r.got.msg[0]), "one"));
    assert_int_equal(nbj_msg_header(r.got.msg[0], "K", &value), NBJ_OK);
    assert_int_equal(nbj_ack(r.got.msg[0]), NBJ_OK);
    assert_int_equal(nbj_ack(r.got.msg[1]), NBJ_OK);
    TURN_UNTIL(r.got.count == 4, TS_WAIT_MS); /* the third again */
    d = delivery_of(r.got.msg[3]);
    CHECK("again", d.stream_sequence == 3 && d.consumer_sequence == 4 && d.delivered == 2);
    assert_int_equal(nbj_ack(r.got.msg[3]), NBJ_OK);
    WAIT_SETTLED("META.meta");
    ts_subscribe(c, &plain, "plain");
    ts_send(c, "plain", "x");
    TURN_UNTIL(plain.count == 1, TS_WAIT_MS);
    assert_int_equal(nbj_msg_delivery(plain.msg[0], &d), NBJ_E_NOT_JETSTREAM);
    assert_int_equal(nbj_ack(plain.msg[0]), NBJ_E_NOT_JETSTREAM);
    assert_int_equal(nbj_nak(plain.msg[0], 0), NBJ_E_NOT_JETSTREAM);
    ts_sink_free(&plain);
    free_reader(&r);
}

static void test_filter(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("FILTER", "memory");
    for (int i = 0; i < 10; i++)
        ts_raw_pub(peer, i % 2 == 0 ? "FILTER.even" : "FILTER.odd", NULL, "x", 1);
    ts_raw_flush(peer);
    start_reader(c, &r, "FILTER", "even", (nbj_consumer_config){ .filter_subject = "FILTER.even" });
    TURN_UNTIL(r.got.count == 5, TS_WAIT_MS);
    WAIT_SETTLED("FILTER.even");
    for (size_t i = 0; i < r.got.count; i++)
        CHECK("even", ts_same(nbj_msg_subject(r.got.msg[i]), "FILTER.even"));
    assert_int_equal(r.got.count, 5);
    free_reader(&r);
}

static void test_two_of_one_consumer(void **state)
{
    ts_client *a = connect_one();
    ts_client *b = connect_one();
    reader r[3] = { 0 };
    bool seen[3000] = { false };

    (void)state;
    make_stream("SHARE", "memory");
    start_reader(a, &r[0], "SHARE", "shared", (nbj_consumer_config){ .batch = 20 });
    start_reader(b, &r[1], "SHARE", "shared", (nbj_consumer_config){ .batch = 20 });
    start_reader(b, &r[2], "SHARE", "other", (nbj_consumer_config){ 0 });
    for (int i = 0; i < 3; i++)
        TURN_UNTIL(nbj_pull_state_of(r[i].pull) == NBJ_PULL_RUNNING, TS_WAIT_MS);
    ts_flush(a);
    ts_flush(b);
    store_numbers("SHARE", 0, 3000);
    TURN_UNTIL(r[0].got.count + r[1].got.count == 3000, TS_WAIT_MS);
    TURN_UNTIL(r[2].got.count == 3000, TS_WAIT_MS);
    WAIT_SETTLED("SHARE.shared");
    WAIT_SETTLED("SHARE.other");
    for (int i = 0; i < 2; i++) {
        CHECK("each has its share", r[i].got.count > 0);
        for (size_t m = 0; m < r[i].got.count; m++) {
            uint64_t n = ts_sink_number(&r[i].got, m);
            CHECK("one of them", n < 3000 && !seen[n]);
            seen[n] = true;
        }
    }
    CHECK("another consumer has all", ts_sink_counts(&r[2].got, 0, 3000));
    for (int i = 0; i < 3; i++)
        free_reader(&r[i]);
}

/* -- settling -- */

static void test_redelivery_after_ack_wait(void **state)
{
    ts_client *c = connect_one();
    reader r = { .leave = true };

    (void)state;
    make_stream("WAIT", "memory");
    store_numbers("WAIT", 0, 1);
    nbj_time before = ts_now();
    start_reader(c, &r, "WAIT", "wait", (nbj_consumer_config){ .ack_wait_ns = NBJ_MILLIS(300), .max_deliver = 3 });
    TURN_UNTIL(r.got.count == 2, TS_WAIT_MS);
    CHECK("not before", ts_now() - before >= NBJ_MILLIS(300));
    TURN_UNTIL(r.got.count == 3, TS_WAIT_MS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(delivery_of(r.got.msg[i]).delivered, i + 1);
    ts_turn_for(500);
    assert_int_equal(r.got.count, 3); /* no more than max_deliver */
    free_reader(&r);
}

static void nak_first(reader *r, const nbj_msg *msg)
{
    nbj_delivery d = delivery_of(msg);

    (void)r;
    if (d.delivered == 1)
        assert_int_equal(nbj_nak(msg, d.stream_sequence == 1 ? 0 : NBJ_MILLIS(400)), NBJ_OK);
    else
        assert_int_equal(nbj_ack(msg), NBJ_OK);
}

static void test_nak(void **state)
{
    ts_client *c = connect_one();
    reader r = { .on_msg = nak_first };

    (void)state;
    make_stream("NAK", "memory");
    store_numbers("NAK", 0, 2); /* the first comes again at once, the second after its delay */
    nbj_time before = ts_now();
    start_reader(c, &r, "NAK", "nak", (nbj_consumer_config){ .ack_wait_ns = NBJ_SECONDS(60) });
    TURN_UNTIL(r.got.count == 3, TS_WAIT_MS);
    assert_int_equal(delivery_of(r.got.msg[2]).stream_sequence, 1);
    TURN_UNTIL(r.got.count == 4, TS_WAIT_MS);
    assert_int_equal(delivery_of(r.got.msg[3]).stream_sequence, 2);
    CHECK("not before its delay", ts_now() - before >= NBJ_MILLIS(400));
    WAIT_SETTLED("NAK.nak");
    free_reader(&r);
}

/* More are not delivered than may be unsettled; settling some brings others. */
static void test_max_ack_pending(void **state)
{
    ts_client *c = connect_one();
    reader r = { .leave = true };

    (void)state;
    make_stream("PEND", "memory");
    store_numbers("PEND", 0, 30);
    start_reader(c, &r, "PEND", "pend", (nbj_consumer_config){ .max_ack_pending = 10 });
    TURN_UNTIL(r.got.count == 10, TS_WAIT_MS);
    ts_turn_for(50);
    assert_int_equal(r.got.count, 10);
    for (size_t i = 0; i < 30; i++) { /* later than their callbacks */
        TURN_UNTIL(r.got.count > i, TS_WAIT_MS);
        assert_int_equal(nbj_ack(r.got.msg[i]), NBJ_OK);
    }
    WAIT_SETTLED("PEND.pend");
    CHECK("each once", ts_sink_counts(&r.got, 0, 30));
    free_reader(&r);
}

/* -- losses -- */

#define KILL_MESSAGES 3000

/* Each message is there at least once, and at the end all are settled. */
static void check_all_seen(const reader *r, int count)
{
    char *seen = calloc(1, (size_t)count);
    int n = 0;

    for (size_t i = 0; i < r->got.count; i++) {
        uint64_t number = ts_sink_number(&r->got, i);
        CHECK("of the stream", number < (uint64_t)count);
        n += seen[number] == 0;
        seen[number] = 1;
    }
    free(seen);
    assert_int_equal(n, count);
}

static void test_kill_and_restart(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("KILL", "file");
    store_numbers("KILL", 0, KILL_MESSAGES);
    start_reader(c, &r, "KILL", "kill", (nbj_consumer_config){ .ack_wait_ns = NBJ_SECONDS(1), .batch = 50 });
    for (size_t at = 500; at <= 1500; at += 500) { /* three times, on the way */
        TURN_UNTIL(r.got.count >= at, TS_WAIT_MS);
        ts_server_kill9(server);
        ts_turn_for(20);
        ts_server_restart(server);
    }
    TURN_UNTIL(r.got.count >= KILL_MESSAGES, TS_WAIT_MS);
    ts_raw_close(peer);
    peer = ts_raw_open(ts_server_port(server));
    WAIT_SETTLED("KILL.kill");
    check_all_seen(&r, KILL_MESSAGES);
    assert_string_equal(c->trail, "CDRDRDR");
    CHECK(r.states, strncmp(r.states, "Rt", 2) == 0 && r.states[r.state_count - 1] == 'R');
    store_numbers("KILL", KILL_MESSAGES, 10);
    size_t before = r.got.count;
    TURN_UNTIL(r.got.count >= before + 10, TS_WAIT_MS);
    free_reader(&r);
}

static void test_cut_again_and_again(void **state)
{
    ts_proxy *p = ts_proxy_start(ts_server_port(server));
    reader r = { 0 };
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(p));
    ts_client *c = ts_client_connect(
        NBJ_CLIENT_OPTIONS(.url = url, .reconnect_first_ns = NBJ_MILLIS(1), .reconnect_max_ns = NBJ_MILLIS(5)));
    make_stream("CUT", "memory");
    store_numbers("CUT", 0, KILL_MESSAGES);
    start_reader(c, &r, "CUT", "cut", (nbj_consumer_config){ .ack_wait_ns = NBJ_MILLIS(500), .batch = 100 });
    for (size_t at = 200; at <= 2000; at += 200) {
        TURN_UNTIL(r.got.count >= at, TS_WAIT_MS);
        ts_proxy_cut_after(p, at % 400 == 0 ? TS_TO_SERVER : TS_TO_CLIENT, 1000 + at, TS_RST);
    }
    WAIT_SETTLED("CUT.cut");
    ts_flush(c);
    check_all_seen(&r, KILL_MESSAGES);
    CHECK("it was cut", nbj_client_stats_of(c->client).reconnects >= 5);
    free_reader(&r);
    ts_client_free(c);
    ts_proxy_free(p);
}

/* Deleted under us: it is made again, and messages go on. */
static void test_consumer_is_deleted(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("DEL", "memory");
    start_reader(c, &r, "DEL", "del", (nbj_consumer_config){ 0 });
    store_numbers("DEL", 0, 5);
    TURN_UNTIL(r.got.count == 5, TS_WAIT_MS);
    WAIT_SETTLED("DEL.del");
    (void)api("CONSUMER.DELETE", "DEL.del", "");
    TURN_UNTIL(strchr(r.states, 't') != NULL, 15000); /* where the server says nothing, missing heartbeats do */
    TURN_UNTIL(nbj_pull_state_of(r.pull) == NBJ_PULL_RUNNING, TS_WAIT_MS);
    CHECK("it is there again", about_consumer("DEL.del", "num_waiting") >= 0);
    store_numbers("DEL", 5, 5);
    TURN_UNTIL(r.got.count == 15, TS_WAIT_MS); /* a new consumer begins at the beginning */
    WAIT_SETTLED("DEL.del");
    check_all_seen(&r, 10);
    free_reader(&r);
}

static void test_stream_is_deleted(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("GONE", "memory");
    start_reader(c, &r, "GONE", "gone", (nbj_consumer_config){ 0 });
    TURN_UNTIL(nbj_pull_state_of(r.pull) == NBJ_PULL_RUNNING, TS_WAIT_MS);
    ts_flush(c);
    (void)api("STREAM.DELETE", "GONE", "");
    TURN_UNTIL(nbj_pull_state_of(r.pull) == NBJ_PULL_GONE, 15000);
    assert_int_equal(r.error.status, NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(r.states[r.state_count - 1], 'g');
    free_reader(&r);
}

/* -- refusals -- */

static void test_refused(void **state)
{
    ts_client *c = connect_one();
    reader none = { 0 }, other = { 0 };
    nbj_pull *p = NULL;

    (void)state;
    start_reader(c, &none, "NOSUCH", "x", (nbj_consumer_config){ 0 });
    TURN_UNTIL(none.state_count == 1, TS_WAIT_MS);
    assert_string_equal(none.states, "g");
    assert_int_equal(none.error.status, NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(none.error.err_code, 10059);
    CHECK(none.error.text, strstr(none.error.text, "NOSUCH") != NULL);

    make_stream("REF", "memory");
    (void)api("CONSUMER.DURABLE.CREATE", "REF.push",
              "{\"stream_name\":\"REF\",\"config\":{\"durable_name\":\"push\",\"deliver_subject\":\"push.to\","
              "\"ack_policy\":\"explicit\"}}");
    start_reader(c, &other, "REF", "push", (nbj_consumer_config){ 0 });
    TURN_UNTIL(other.state_count == 1, TS_WAIT_MS);
    assert_string_equal(other.states, "g");
    CHECK(other.error.text, other.error.err_code != 0);
    nbj_pull_stop(other.pull); /* it is over already */
    assert_int_equal(nbj_pull_state_of(other.pull), NBJ_PULL_GONE);

    const nbj_consumer_config *bad[] = { NBJ_CONSUMER_CONFIG(.stream = "REF"), NBJ_CONSUMER_CONFIG(.durable = "d"),
                                         NBJ_CONSUMER_CONFIG(.stream = "a.b", .durable = "d"),
                                         NBJ_CONSUMER_CONFIG(.stream = "REF", .durable = "d e") };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(nbj_pull_start(c->client, bad[i], on_delivery, NULL, &p), NBJ_E_INVALID);
        assert_null(p);
    }
    assert_int_equal(nbj_pull_start(c->client, NBJ_CONSUMER_CONFIG(.stream = "REF", .durable = "d"), NULL, NULL, &p),
                     NBJ_E_INVALID);
    free_reader(&none);
    free_reader(&other);
}

/* A consumer of that name with another configuration is left as it is, where the server can tell (from 2.10 on). */
static void test_another_configuration(void **state)
{
    ts_client *c = connect_one();
    reader first = { 0 }, same = { 0 }, second = { 0 };

    (void)state;
    make_stream("CONF", "memory");
    start_reader(c, &first, "CONF", "conf", (nbj_consumer_config){ .ack_wait_ns = NBJ_SECONDS(20) });
    TURN_UNTIL(first.state_count == 1, TS_WAIT_MS);
    start_reader(c, &same, "CONF", "conf", (nbj_consumer_config){ .ack_wait_ns = NBJ_SECONDS(20) });
    TURN_UNTIL(same.state_count == 1, TS_WAIT_MS);
    assert_string_equal(same.states, "R");
    start_reader(c, &second, "CONF", "conf", (nbj_consumer_config){ .ack_wait_ns = NBJ_SECONDS(10) });
    TURN_UNTIL(second.state_count == 1, TS_WAIT_MS);
    if (ts_server_is_at_least(server, 2, 10, 0)) {
        assert_string_equal(second.states, "g");
        assert_int_equal(second.error.status, NBJ_E_EXISTS_DIFFERENT);
        CHECK(second.error.text, strstr(second.error.text, "conf") != NULL);
    } else {
        assert_string_equal(second.states, "R");
    }
    assert_string_equal(first.states, "R");
    free_reader(&first);
    free_reader(&same);
    free_reader(&second);
}

static void test_jetstream_is_off(void **state)
{
    ts_server *off = ts_server_start(NULL);
    ts_client *c = ts_client_at(ts_server_url(off));
    reader r = { 0 };

    (void)state;
    start_reader(c, &r, "X", "x", (nbj_consumer_config){ 0 });
    TURN_UNTIL(r.state_count > 0, TS_WAIT_MS);
    CHECK("it says so, and may try again", r.states[0] == 't' || r.states[0] == 'g');
    CHECK(r.error.text, r.error.status == NBJ_E_NO_RESPONDERS || r.error.status == NBJ_E_JS_DISABLED);
    free_reader(&r);
    ts_client_free(c);
    ts_server_free(off);
}

/* -- ending -- */

static void test_stop(void **state)
{
    ts_client *c = connect_one();
    reader r = { 0 };

    (void)state;
    make_stream("STOP", "memory");
    store_numbers("STOP", 0, 10);
    start_reader(c, &r, "STOP", "stop", (nbj_consumer_config){ .ack_wait_ns = NBJ_MILLIS(300) });
    TURN_UNTIL(r.got.count == 10, TS_WAIT_MS);
    nbj_pull_stop(r.pull);
    assert_int_equal(nbj_pull_state_of(r.pull), NBJ_PULL_STOPPED);
    nbj_pull_stop(r.pull);
    store_numbers("STOP", 10, 10);
    ts_flush(c);
    assert_int_equal(r.got.count, 10);
    TURN_UNTIL(r.state_count == 2, TS_WAIT_MS);
    assert_string_equal(r.states, "Rx");
    reader again = { 0 };
    start_reader(c, &again, "STOP", "stop", (nbj_consumer_config){ .ack_wait_ns = NBJ_MILLIS(300) });
    TURN_UNTIL(again.got.count >= 10, TS_WAIT_MS);
    WAIT_SETTLED("STOP.stop");
    assert_int_equal(r.got.count, 10);
    free_reader(&again);
    free_reader(&r);
}

static void stop_at_five(reader *r, const nbj_msg *msg)
{
    assert_int_equal(nbj_ack(msg), NBJ_OK);
    if (r->got.count == 5)
        nbj_pull_stop(r->pull);
}

static void release_at_five(reader *r, const nbj_msg *msg)
{
    assert_int_equal(nbj_ack(msg), NBJ_OK);
    if (r->got.count == 5)
        nbj_pull_release(r->pull);
}

static void test_end_in_its_callback(void **state)
{
    ts_client *c = connect_one();
    reader stops = { .on_msg = stop_at_five }, releases = { .on_msg = release_at_five };

    (void)state;
    make_stream("INCB", "memory");
    store_numbers("INCB", 0, 100);
    start_reader(c, &stops, "INCB", "stops", (nbj_consumer_config){ 0 });
    start_reader(c, &releases, "INCB", "releases", (nbj_consumer_config){ 0 });
    TURN_UNTIL(stops.got.count == 5 && releases.got.count == 5, TS_WAIT_MS);
    ts_flush(c);
    ts_flush(c);
    assert_int_equal(stops.got.count, 5);
    assert_int_equal(releases.got.count, 5);
    assert_string_equal(stops.states, "Rx");
    assert_string_equal(releases.states, "R");
    releases.pull = NULL;
    free_reader(&stops);
    free_reader(&releases);
}

static void test_drain_and_close_stop_it(void **state)
{
    (void)state;
    make_stream("END", "memory");
    store_numbers("END", 0, 1000);
    for (int drains = 0; drains < 2; drains++) {
        ts_client *c = connect_one();
        reader r = { 0 };
        start_reader(c, &r, "END", drains ? "drained" : "closed", (nbj_consumer_config){ 0 });
        TURN_UNTIL(r.got.count >= 100, TS_WAIT_MS);
        if (drains)
            nbj_client_drain_async(c->client, NBJ_SECONDS(10));
        else
            nbj_client_close(c->client);
        assert_int_equal(ts_await(c, NBJ_EVENT_CLOSED)->status, NBJ_OK);
        assert_int_equal(nbj_pull_state_of(r.pull), NBJ_PULL_STOPPED);
        assert_string_equal(r.states, "Rx");
        if (drains) /* every acknowledgement has been read by the server */
            assert_int_equal(about_consumer("END.drained", "num_ack_pending"),
                             about_consumer("END.drained", "consumer_seq") - (long)r.got.count);
        assert_int_equal(nbj_ack(r.got.msg[0]), NBJ_E_CLOSED);
        free_reader(&r);
        ts_client_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_messages, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_what_a_delivery_says, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_filter, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_two_of_one_consumer, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_redelivery_after_ack_wait, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_nak, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_max_ack_pending, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_kill_and_restart, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_cut_again_and_again, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_consumer_is_deleted, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_stream_is_deleted, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_refused, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_another_configuration, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_jetstream_is_off, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_stop, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_end_in_its_callback, begin_test, end_test),
        cmocka_unit_test_setup_teardown(test_drain_and_close_stop_it, begin_test, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
