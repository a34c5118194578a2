/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners that are no NATS server, or not one for us: each attempt ends, says why, and gives nothing away. The test
 * plays the other side by hand; a real server is only there to go on to. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "port.h"
#include "server.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define INFO "INFO {\"server_id\":\"X\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,\"max_payload\":1000"

typedef struct stranger {
    ts_port port;
    int listener;
    char url[80];
} stranger;

static stranger open_stranger(void)
{
    stranger s = { .port = ts_port_reserve() };

    s.listener = ts_port_listen(&s.port);
    assert_true(s.listener >= 0);
    snprintf(s.url, sizeof s.url, "nats://me:secret@127.0.0.1:%u", s.port.number);
    return s;
}

static void close_stranger(stranger *s)
{
    close(s->listener);
    ts_port_release(&s->port);
}

/* Turns the clients until one has come. */
static ts_raw *let_in(const stranger *s)
{
    int fd = -1;

    TURN_UNTIL((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0, TS_WAIT_MS);
    return ts_raw_adopt(fd);
}

static const char *expect(ts_raw *r, const char *pattern)
{
    const char *text = NULL;

    TURN_UNTIL((text = ts_raw_try_read(r, pattern, 0)) != NULL, TS_WAIT_MS);
    return text;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

/* -- what is said in greeting -- */

static void test_greetings(void **state)
{
    static const struct {
        const char *name, *says;
        bool then_closes;
        nbj_status status;
        const char *text; /* the error has it */
    } cases[] = {
        { "silence", "", false, NBJ_E_CONNECT_TIMEOUT, "no INFO within " },
        { "closes at once", "", true, NBJ_E_EOF, "closed" },
        { "HTTP", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false, NBJ_E_PROTO, "NATS protocol" },
        { "SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", false, NBJ_E_PROTO, "NATS protocol" },
        { "SMTP", "220 mail ESMTP\r\n", false, NBJ_E_PROTO, "NATS protocol" },
        { "octets", "\x16\x03\x01\x02\x00\x01", false, NBJ_E_PROTO, "NATS protocol" },
        { "half an INFO", "INFO {\"server_id\":", false, NBJ_E_CONNECT_TIMEOUT, "no INFO within " },
        { "half an INFO, then closes", "INFO {\"server_id\":", true, NBJ_E_EOF, "closed" },
        { "not JSON", "INFO nonsense\r\n", false, NBJ_E_PROTO, "INFO" },
        { "no object", "INFO [1]\r\n", false, NBJ_E_PROTO, "INFO" },
        { "begins with a message", "MSG a 1 0\r\n\r\n", false, NBJ_E_PROTO, "INFO" },
        { "begins with PONG", "PONG\r\n", false, NBJ_E_PROTO, "INFO" },
        { "only refuses", "-ERR 'Maximum Connections Exceeded'\r\n", true, NBJ_E_MAX_CONNECTIONS, "aximum" },
        { "another port", INFO "}\r\n-ERR 'Attempted To Connect To Route Port'\r\n", true, NBJ_E_WRONG_PORT, "oute" },
        { "wants TLS", INFO ",\"tls_required\":true}\r\n", false, NBJ_E_CONNECT_TIMEOUT, "TLS handshake" },
        { "never answers PING", INFO "}\r\n", false, NBJ_E_CONNECT_TIMEOUT, "no answer to CONNECT within " },
        { "closes after CONNECT", INFO "}\r\n", true, NBJ_E_EOF, "closed" },
        { "a message before PONG", INFO "}\r\nMSG a 1 0\r\n\r\n", false, NBJ_E_PROTO, "handshake" },
    };
    char address[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stranger s = open_stranger();
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = s.url, .connect_timeout_ns = NBJ_MILLIS(150)));
        ts_raw *r = let_in(&s);
        ts_raw_send(r, cases[i].says);
        if (cases[i].then_closes)
            shutdown(ts_raw_fd(r), SHUT_WR);
        const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
        snprintf(address, sizeof address, "127.0.0.1:%u", s.port.number);
        if (e->status != cases[i].status)
            TS_FAIL("case \"%s\": status %d, text \"%s\"", cases[i].name, e->status, e->text);
        CHECK(e->text, strstr(e->text, address) != NULL && strstr(e->text, cases[i].text) != NULL);
        CHECK(e->text, strstr(e->text, "secret") == NULL);
        CHECK(cases[i].name, strcmp(c->trail, "X") == 0);
        ts_raw_expect_end(r, TS_RAW_MS);
        ts_raw_close(r);
        ts_client_free(c);
        close_stranger(&s);
    }
}

/* A URL that asks for TLS is not served in clear. More of this is in tests/client/tls_test.c. */
static void test_nothing_in_clear(void **state)
{
    static const char *const infos[] = { INFO "}\r\n", INFO ",\"auth_required\":true}\r\n" };
    char url[80];

    (void)state;
    for (int i = 0; i < 2; i++) {
        stranger s = open_stranger();
        snprintf(url, sizeof url, "tls://me:secret@127.0.0.1:%u", s.port.number);
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = url));
        ts_raw *r = let_in(&s);
        ts_raw_send(r, infos[i]);
        CHECK(infos[i], ts_await(c, NBJ_EVENT_CLOSED)->status == NBJ_E_NO_TLS);
        CHECK("closed, and not an octet before", recv(ts_raw_fd(r), url, sizeof url, 0) == 0);
        ts_raw_close(r);
        ts_client_free(c);
        close_stranger(&s);
    }
}

/* INFO says what the server can; CONNECT answers it. */
static void test_connect_message(void **state)
{
    stranger s = open_stranger();
    ts_client *c = ts_client_open(
        NBJ_CLIENT_OPTIONS(.url = s.url, .name = "na\"me", .no_echo = true, .verbose = true, .pedantic = true));
    ts_raw *r = let_in(&s);
    static const char *const members[] = { "\"user\":\"me\"",       "\"pass\":\"secret\"",    "\"echo\":false",
                                           "\"verbose\":true",      "\"pedantic\":true",      "\"headers\":true",
                                           "\"name\":\"na\\\"me\"", "\"no_responders\":true", "\"protocol\":1",
                                           "\"version\":\"" };

    (void)state;
    ts_raw_send(r, INFO "}\r\n");
    const char *connect = expect(r, "PING\r\n");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        CHECK(connect, strstr(connect, members[i]) != NULL);
    ts_raw_send(r, "+OK\r\nPONG\r\n");
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    assert_int_equal(nbj_client_max_payload(c->client), 1000);
    assert_string_equal(ts_text(nbj_client_server_version, c->client), "2.10.0");
    ts_raw_close(r);
    ts_client_free(c);
    close_stranger(&s);
}

static void test_server_without_headers(void **state)
{
    const nbj_header h = { nbj_str("N"), nbj_str("v") };
    stranger s = open_stranger();
    ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = s.url));
    ts_raw *r = let_in(&s);

    (void)state;
    ts_raw_send(r, "INFO {\"server_id\":\"X\",\"version\":\"2.1.0\",\"proto\":1,\"max_payload\":1000}\r\n");
    const char *connect = expect(r, "PING\r\n");
    CHECK(connect, strstr(connect, "\"headers\":true") == NULL && strstr(connect, "\"no_responders\":true") == NULL);
    ts_raw_send(r, "PONG\r\n");
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    assert_int_equal(nbj_send(c->client, "x", nbj_str("x"), NBJ_SEND(.headers = &h, .header_count = 1)),
                     NBJ_E_NO_HEADERS);
    assert_int_equal(nbj_send(c->client, "x", nbj_str("x"), NULL), NBJ_OK);
    (void)expect(r, "PUB x 1\r\nx\r\n");
    ts_raw_close(r);
    ts_client_free(c);
    close_stranger(&s);
}

/* -- what is said later -- */

/* Each ends the connection for its own reason; the client then goes on to the real server. */
static void test_nonsense_later(void **state)
{
    static const struct {
        const char *name, *says;
        nbj_status status;
    } cases[] = {
        { "unknown operation", "WHAT\r\n", NBJ_E_PROTO },
        { "a message without its end", "MSG a 1 3\r\nabcd\r\n", NBJ_E_PROTO },
        { "an enormous message", "MSG a 1 99999999999\r\n", NBJ_E_PROTO },
        { "a size that wraps", "MSG a 1 18446744073709551617\r\n", NBJ_E_PROTO },
        { "headers longer than the message", "HMSG a 1 10 5\r\n", NBJ_E_PROTO },
        { "a stale connection, it says", "-ERR 'Stale Connection'\r\n", NBJ_E_SERVER_STALE },
        { "revoked", "-ERR 'User Authentication Revoked'\r\n", NBJ_E_AUTH_REVOKED },
        { "expired", "-ERR 'User Authentication Expired'\r\n", NBJ_E_AUTH_EXPIRED },
        { "account expired", "-ERR 'Account Authentication Expired'\r\n", NBJ_E_ACCOUNT_EXPIRED },
        { "too large", "-ERR 'Maximum Payload Violation'\r\n", NBJ_E_MAX_PAYLOAD },
    };
    ts_server *real = ts_server_start(NULL);
    char urls[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stranger s = open_stranger();
        snprintf(urls, sizeof urls, "%s,%s", s.url, ts_server_url(real));
        ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = urls, .no_randomize = true));
        ts_raw *r = let_in(&s);
        ts_raw_send(r, INFO "}\r\nPONG\r\n");
        (void)ts_await(c, NBJ_EVENT_CONNECTED);
        ts_raw_send(r, cases[i].says);
        const nbj_error *e = ts_await(c, NBJ_EVENT_DISCONNECTED);
        if (e->status != cases[i].status)
            TS_FAIL("case \"%s\": status %d, text \"%s\"", cases[i].name, e->status, e->text);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        assert_string_equal(ts_text(nbj_client_server_version, c->client), ts_server_version(real));
        assert_string_equal(c->trail, "CDR");
        ts_raw_close(r);
        ts_client_free(c);
        close_stranger(&s);
    }
    ts_server_free(real);
}

/* What a server may say without ending anything. */
static void test_oddities_that_do_no_harm(void **state)
{
    stranger s = open_stranger();
    ts_client *c = ts_client_open(NBJ_CLIENT_OPTIONS(.url = s.url));
    ts_raw *r = let_in(&s);

    (void)state;
    ts_raw_send(r, INFO "}\r\nPONG\r\n");
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    (void)expect(r, "PING\r\n");
    ts_raw_send(r, "PONG\r\n+OK\r\n" INFO ",\"max_payload\":500}\r\nINFO broken\r\nMSG nobody 99 2\r\nhi\r\n"
                   "-ERR 'Something New'\r\nping\r\n");
    ts_raw_send(r, "PING\r\n");
    (void)expect(r, "PONG\r\nPONG\r\n");
    assert_string_equal(c->trail, "CE");
    assert_int_equal(c->error[NBJ_EVENT_SERVER_ERROR].status, NBJ_E_SERVER);
    CHECK("its words", strstr(c->error[NBJ_EVENT_SERVER_ERROR].text, "Something New") != NULL);
    assert_int_equal(nbj_client_stats_of(c->client).unwanted, 1);
    ts_raw_close(r);
    ts_client_free(c);
    close_stranger(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_greetings, end_test),
        cmocka_unit_test_teardown(test_nothing_in_clear, end_test),
        cmocka_unit_test_teardown(test_connect_message, end_test),
        cmocka_unit_test_teardown(test_server_without_headers, end_test),
        cmocka_unit_test_teardown(test_nonsense_later, end_test),
        cmocka_unit_test_teardown(test_oddities_that_do_no_harm, end_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
