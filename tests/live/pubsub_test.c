/* SPDX-License-Identifier: Apache-2.0 */
/* Plain publish and subscribe against a real server: what arrives, in which order, and what is refused on our side. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

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

static ts_raw *open_raw(void)
{
    return ts_raw_open(ts_server_port(server));
}

/* -- payloads -- */

static nbj_bytes pattern(size_t len)
{
    uint8_t *p = malloc(len > 0 ? len : 1);

    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 31 + i / 256);
    return nbj_view(p, len);
}

static void test_payloads(void **state)
{
    static const size_t sizes[] = { 0, 1, 256, 4095, 4096, 32768, 32769, 100000, 1048576 };
    const size_t count = sizeof sizes / sizeof sizes[0];
    ts_client *a = connect_one();
    ts_client *b = connect_one();
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(a, &got, "payload");
    ts_flush(a);
    for (size_t i = 0; i < count; i++) {
        nbj_bytes data = pattern(sizes[i]);
        assert_int_equal(nbj_send(b->client, "payload", data, NBJ_SEND(.reply = "back.here")), NBJ_OK);
        exact_free(data);
    }
    TURN_UNTIL(got.count == count, TS_WAIT_MS);
    for (size_t i = 0; i < count; i++) {
        nbj_bytes want = pattern(sizes[i]);
        CHECK("payload", nbj_bytes_equal(nbj_msg_data(got.msg[i]), want));
        CHECK("subject", ts_same(nbj_msg_subject(got.msg[i]), "payload"));
        CHECK("reply", ts_same(nbj_msg_reply(got.msg[i]), "back.here"));
        CHECK("no status", nbj_msg_status(got.msg[i]) == 0);
        exact_free(want);
    }
    assert_int_equal(nbj_sub_stats_of(got.sub).delivered, count);
    ts_sink_free(&got);
}

static void test_text_that_looks_like_protocol(void **state)
{
    static const char tricky[] = "\r\nMSG x 1 2\r\n-ERR 'x'\r\n+OK\r\nPING\r\n\0\r\n";
    ts_client *c = connect_one();
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "tricky");
    assert_int_equal(nbj_send(c->client, "tricky", nbj_view(tricky, sizeof tricky - 1), NULL), NBJ_OK);
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    CHECK("as it was", nbj_bytes_equal(nbj_msg_data(got.msg[0]), nbj_view(tricky, sizeof tricky - 1)));
    ts_sink_free(&got);
}

/* -- headers -- */

static const nbj_header sent_headers[] = {
    { { (const uint8_t *)"X-Trace", 7 }, { (const uint8_t *)"one", 3 } },
    { { (const uint8_t *)"x-trace", 7 }, { (const uint8_t *)"other case", 10 } },
    { { (const uint8_t *)"X-Trace", 7 }, { (const uint8_t *)"two: with colon", 15 } },
    { { (const uint8_t *)"Empty", 5 }, { NULL, 0 } },
    { { (const uint8_t *)"A!#$%&'*+", 9 }, { (const uint8_t *)"\xc3\xa4", 2 } },
};
#define SENT_HEADERS (sizeof sent_headers / sizeof sent_headers[0])

static void check_headers(const nbj_msg *m)
{
    nbj_header h;
    nbj_bytes value;
    size_t cursor = 0;

    for (size_t i = 0; i < SENT_HEADERS; i++) {
        assert_int_equal(nbj_msg_header_next(m, &cursor, &h), NBJ_OK);
        CHECK("name, case and order", nbj_bytes_equal(h.name, sent_headers[i].name));
        CHECK("value", nbj_bytes_equal(h.value, sent_headers[i].value));
    }
    assert_int_equal(nbj_msg_header_next(m, &cursor, &h), NBJ_MORE);
    assert_int_equal(nbj_msg_header(m, "X-Trace", &value), NBJ_OK);
    CHECK("the first of several", ts_same(value, "one"));
    assert_int_equal(nbj_msg_header(m, "x-trace", &value), NBJ_OK);
    CHECK("case counts", ts_same(value, "other case"));
    assert_int_equal(nbj_msg_header(m, "X-TRACE", &value), NBJ_E_NOT_FOUND);
}

static void test_headers(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = open_raw();
    ts_sink got = { 0 };

    (void)state;
    ts_raw_sub(r, "headers", "1");
    ts_subscribe(c, &got, "headers");
    for (int i = 0; i < 2; i++) {
        nbj_bytes data = nbj_str(i == 0 ? "" : "body");
        const nbj_send_options *o = NBJ_SEND(.headers = sent_headers, .header_count = SENT_HEADERS, .reply = "r");
        assert_int_equal(nbj_send(c->client, "headers", data, o), NBJ_OK);
    }
    TURN_UNTIL(got.count == 2, TS_WAIT_MS);
    check_headers(got.msg[0]);
    check_headers(got.msg[1]);
    CHECK("empty payload", nbj_msg_data(got.msg[0]).len == 0);
    CHECK("payload", ts_same(nbj_msg_data(got.msg[1]), "body"));
    ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
    CHECK("on the wire", ts_same(m.header, "NATS/1.0\r\nX-Trace: one\r\nx-trace: other case\r\n"
                                           "X-Trace: two: with colon\r\nEmpty: \r\nA!#$%&'*+: \xc3\xa4\r\n\r\n"));
    CHECK("reply on the wire", ts_same(m.reply, "r"));
    ts_sink_free(&got);
    ts_raw_close(r);
}

static void test_headers_of_others(void **state)
{
    ts_client *c = connect_one();
    ts_raw *r = open_raw();
    ts_sink got = { 0 };
    nbj_bytes value;

    (void)state;
    ts_subscribe(c, &got, "others");
    ts_flush(c);
    ts_raw_send(r, "HPUB others 34 35\r\nNATS/1.0\r\nA:tight\r\nB:   wide  \r\n\r\n!\r\n"); /* other clients' spacing */
    ts_raw_send(r, "HPUB others 25 25\r\nNATS/1.0 123 Some Day\r\n\r\n\r\n");
    ts_raw_flush(r);
    TURN_UNTIL(got.count == 2, TS_WAIT_MS);
    assert_int_equal(nbj_msg_header(got.msg[0], "A", &value), NBJ_OK);
    CHECK("tight", ts_same(value, "tight"));
    assert_int_equal(nbj_msg_header(got.msg[0], "B", &value), NBJ_OK);
    CHECK("trimmed", ts_same(value, "wide"));
    assert_int_equal(nbj_msg_status(got.msg[1]), 123);
    ts_sink_free(&got);
    ts_raw_close(r);
}

static void test_bad_headers_are_refused(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = { { "", "v" }, { "a b", "v" }, { "a:b", "v" }, { "n\r", "v" }, { "n", "v\r\nEvil: 1" }, { "n", "v\n" } };
    ts_client *c = connect_one();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        nbj_header h = { nbj_str(bad[i].name), nbj_str(bad[i].value) };
        nbj_status st = nbj_send(c->client, "s", nbj_str("x"), NBJ_SEND(.headers = &h, .header_count = 1));
        CHECK(bad[i].name, st == NBJ_E_BAD_HEADER);
    }
    nbj_header nul = { nbj_str("n"), nbj_view("a\0b", 3) };
    assert_int_equal(nbj_send(c->client, "s", nbj_str("x"), NBJ_SEND(.headers = &nul, .header_count = 1)),
                     NBJ_E_BAD_HEADER);
    ts_flush(c);
    assert_string_equal(c->trail, "C");
}

/* -- connection options -- */

static void test_no_echo(void **state)
{
    ts_client *silent = ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .no_echo = true));
    ts_client *other = connect_one();
    ts_sink own = { 0 }, others = { 0 };

    (void)state;
    ts_subscribe(silent, &own, "echo");
    ts_subscribe(other, &others, "echo");
    ts_flush(other);
    ts_send(silent, "echo", "0");
    ts_flush(silent);
    TURN_UNTIL(others.count == 1, TS_WAIT_MS);
    assert_int_equal(own.count, 0);
    ts_send(other, "echo", "1");
    TURN_UNTIL(own.count == 1, TS_WAIT_MS);
    CHECK("of others", ts_sink_counts(&own, 1, 1));
    ts_sink_free(&own);
    ts_sink_free(&others);
}

static void test_verbose_and_pedantic(void **state)
{
    ts_client *c =
        ts_client_connect(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .verbose = true, .pedantic = true));
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "loud.*");
    for (int i = 0; i < 100; i++)
        ts_send(c, "loud.x", "+OK\r\n");
    TURN_UNTIL(got.count == 100, TS_WAIT_MS);
    ts_flush(c);
    assert_string_equal(c->trail, "C");
    ts_sink_free(&got);
}

static void test_what_is(void **state)
{
    ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .name = "me"));
    char address[64], want[64];

    (void)state;
    assert_false(nbj_client_is_connected(c->client));
    assert_string_equal(ts_text(nbj_client_server_version, c->client), "");
    assert_int_equal(nbj_client_server_address(c->client, address, sizeof address), NBJ_E_DISCONNECTED);
    assert_int_equal(nbj_client_max_payload(c->client), 0);
    assert_int_equal(nbj_client_id(c->client), 0);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    assert_true(nbj_client_is_connected(c->client));
    assert_string_equal(ts_text(nbj_client_server_version, c->client), ts_server_version(server));
    assert_int_equal(strncmp(ts_text(nbj_client_server_name, c->client), "test-", 5), 0);
    assert_int_not_equal(strlen(ts_text(nbj_client_server_id, c->client)), 0);
    assert_int_not_equal(nbj_client_id(c->client), 0);
    assert_int_equal(nbj_client_max_payload(c->client), 1048576);
    snprintf(want, sizeof want, "127.0.0.1:%u", ts_server_port(server));
    assert_int_equal(nbj_client_server_address(c->client, address, sizeof address), NBJ_OK);
    assert_string_equal(address, want);
    assert_int_equal(nbj_client_server_address(c->client, address, strlen(want)), NBJ_E_FULL);
}

static void test_counts(void **state)
{
    const nbj_header h = { nbj_str("N"), nbj_str("v") };
    const uint64_t header_octets = strlen("NATS/1.0\r\nN: v\r\n\r\n");
    ts_client *c = connect_one();
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "count");
    ts_send(c, "count", "12345");
    assert_int_equal(nbj_send(c->client, "count", nbj_str("123"), NBJ_SEND(.headers = &h, .header_count = 1)), NBJ_OK);
    TURN_UNTIL(got.count == 2, TS_WAIT_MS);
    nbj_client_stats s = nbj_client_stats_of(c->client);
    assert_int_equal(s.out_msgs, 2);
    assert_int_equal(s.out_bytes, 8 + header_octets);
    assert_int_equal(s.in_msgs, 2);
    assert_int_equal(s.in_bytes, 8 + header_octets);
    assert_int_equal(s.reconnects + s.dropped + s.unwanted, 0);
    ts_sink_free(&got);
}

/* -- who gets what -- */

static void test_wildcards(void **state)
{
    static const char *const filters[] = { "w.*", "w.>", "w.*.c", "*.b.c", "w.b.c", ">" };
    static const struct {
        const char *subject;
        const char *takers; /* a digit for each filter that takes it */
    } cases[] = { { "w.b", "015" }, { "w.b.c", "12345" }, { "w", "5" }, { "w.b.d", "15" }, { "x.b.c", "35" } };
    ts_client *c = connect_one();
    ts_sink got[6] = { 0 };

    (void)state;
    for (size_t i = 0; i < 6; i++)
        ts_subscribe(c, &got[i], filters[i]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t before[6];
        for (size_t f = 0; f < 6; f++)
            before[f] = got[f].count;
        ts_send(c, cases[i].subject, "x");
        ts_flush(c);
        for (size_t f = 0; f < 6; f++) {
            bool takes = strchr(cases[i].takers, (int)('0' + f)) != NULL;
            CHECK(cases[i].subject, got[f].count == before[f] + takes);
            if (takes)
                CHECK("its own subject", ts_same(nbj_msg_subject(got[f].msg[before[f]]), cases[i].subject));
        }
    }
    for (size_t i = 0; i < 6; i++)
        ts_sink_free(&got[i]);
}

#define GROUP_MESSAGES 300

static void test_queue_groups(void **state)
{
    ts_client *a = connect_one();
    ts_client *b = connect_one();
    ts_raw *r = open_raw();
    ts_sink member[3] = { 0 }, other_group = { 0 }, plain = { 0 };
    bool seen[GROUP_MESSAGES] = { false };

    (void)state;
    for (int i = 0; i < 3; i++)
        ts_subscribe_with(i < 2 ? a : b, &member[i], "jobs", (nbj_sub_options){ .queue_group = "workers" });
    ts_subscribe_with(b, &other_group, "jobs", (nbj_sub_options){ .queue_group = "auditors" });
    ts_subscribe(b, &plain, "jobs");
    ts_flush(a);
    ts_flush(b);
    ts_publish_numbers(r, "jobs", 0, GROUP_MESSAGES);
    ts_flush(a);
    ts_flush(b);
    assert_int_equal(member[0].count + member[1].count + member[2].count, GROUP_MESSAGES);
    for (int m = 0; m < 3; m++) {
        CHECK("each member has its share", member[m].count > 0);
        for (size_t i = 0; i < member[m].count; i++) {
            uint64_t n = ts_sink_number(&member[m], i);
            CHECK("to one member only", n < GROUP_MESSAGES && !seen[n]);
            seen[n] = true;
        }
        ts_sink_free(&member[m]);
    }
    CHECK("a group of one gets all", ts_sink_counts(&other_group, 0, GROUP_MESSAGES));
    CHECK("and so does who is in none", ts_sink_counts(&plain, 0, GROUP_MESSAGES));
    ts_sink_free(&other_group);
    ts_sink_free(&plain);
    ts_raw_close(r);
}

/* -- refused on our side -- */

static void test_bad_subjects(void **state)
{
    static const char *const never[] = { "",     ".",      ".a",     "a.", "a..b",     "a b",
                                         "a\tb", "a\r\nb", "a\nPUB", " a", "a.\x7f.b", "\xff\xfe" };
    static const char *const filters_only[] = { "a.*", "*", ">", "a.>", "*.b" };
    static const char *const fine[] = { "a*b", "a.b>", "$X.y", "\xc3\xa4.b", "a-b_c/d" };
    ts_client *c = connect_one();
    nbj_sub *sub;

    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        CHECK(never[i], nbj_send(c->client, never[i], nbj_str("x"), NULL) == NBJ_E_BAD_SUBJECT);
        CHECK(never[i], nbj_subscribe(c->client, never[i], NULL, ts_on_msg, NULL, &sub) == NBJ_E_BAD_SUBJECT);
        CHECK(never[i], sub == NULL);
        if (never[i][0] != '\0') /* an empty one is none */
            CHECK(never[i], nbj_send(c->client, "a", nbj_str("x"), NBJ_SEND(.reply = never[i])) == NBJ_E_BAD_SUBJECT);
    }
    for (size_t i = 0; i < sizeof filters_only / sizeof filters_only[0]; i++) {
        CHECK(filters_only[i], nbj_send(c->client, filters_only[i], nbj_str("x"), NULL) == NBJ_E_BAD_SUBJECT);
        CHECK(filters_only[i],
              nbj_send(c->client, "a", nbj_str("x"), NBJ_SEND(.reply = filters_only[i])) == NBJ_E_BAD_SUBJECT);
    }
    assert_int_equal(nbj_subscribe(c->client, "a.>.b", NULL, ts_on_msg, NULL, &sub), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_subscribe(c->client, "a", NBJ_SUB(.queue_group = "two words"), ts_on_msg, NULL, &sub),
                     NBJ_E_BAD_SUBJECT);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        ts_sink got = { 0 };
        ts_subscribe(c, &got, fine[i]);
        ts_send(c, fine[i], "x");
        ts_flush(c);
        CHECK(fine[i], got.count == 1);
        ts_sink_free(&got);
    }
    assert_string_equal(c->trail, "C");
}

static void test_max_payload(void **state)
{
    const nbj_header h = { nbj_str("N"), nbj_str("v") };
    const size_t header_octets = strlen("NATS/1.0\r\nN: v\r\n\r\n");
    const size_t max = 1048576;
    ts_client *c = connect_one();
    nbj_bytes data = pattern(max + 1);
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(c, &got, "big");
    assert_int_equal(nbj_send(c->client, "big", data, NULL), NBJ_E_TOO_LARGE);
    assert_int_equal(nbj_send(c->client, "big", nbj_view(data.ptr, max), NBJ_SEND(.headers = &h, .header_count = 1)),
                     NBJ_E_TOO_LARGE);
    assert_int_equal(
        nbj_send(c->client, "big", nbj_view(data.ptr, max - header_octets), NBJ_SEND(.headers = &h, .header_count = 1)),
        NBJ_OK);
    assert_int_equal(nbj_send(c->client, "big", nbj_view(data.ptr, max), NULL), NBJ_OK);
    TURN_UNTIL(got.count == 2, TS_WAIT_MS);
    assert_string_equal(c->trail, "C");
    ts_sink_free(&got);
    exact_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_payloads, end_test),
        cmocka_unit_test_teardown(test_text_that_looks_like_protocol, end_test),
        cmocka_unit_test_teardown(test_headers, end_test),
        cmocka_unit_test_teardown(test_headers_of_others, end_test),
        cmocka_unit_test_teardown(test_bad_headers_are_refused, end_test),
        cmocka_unit_test_teardown(test_no_echo, end_test),
        cmocka_unit_test_teardown(test_verbose_and_pedantic, end_test),
        cmocka_unit_test_teardown(test_what_is, end_test),
        cmocka_unit_test_teardown(test_counts, end_test),
        cmocka_unit_test_teardown(test_wildcards, end_test),
        cmocka_unit_test_teardown(test_queue_groups, end_test),
        cmocka_unit_test_teardown(test_bad_subjects, end_test),
        cmocka_unit_test_teardown(test_max_payload, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
