/* SPDX-License-Identifier: Apache-2.0 */
/* A client and servers that the test plays by hand, to fail at each step of TLS: whatever happens, it ends in time, says
 * why, and no secret goes out in clear. */
#define _GNU_SOURCE

#include "support/certs.h"
#include "support/loop_client.h"
#include "support/port.h"
#include "support/tls_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define INFO_OF(members)                                                                                           \
    "INFO {\"server_id\":\"X\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,\"max_payload\":100000" members \
    "}\r\n"
#define INFO INFO_OF("")
#define INFO_TLS INFO_OF(",\"tls_required\":true")
#define STEP_MS 200 /* limit of a step that is to fail */

static ts_certs *certs;

static int make_certs(void **state)
{
    (void)state;
    certs = ts_certs_make();
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    ts_certs_free(certs);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

/* --- the server --- */

typedef struct player {
    ts_port port;
    int listener;
    char host[40]; /* localhost:port */
    int fd;        /* of the connection; -1: none, or it is the peer's */
    ts_tls_peer *peer;
} player;

static player open_player(void)
{
    player p = { .port = ts_port_reserve(), .fd = -1 };

    p.listener = ts_port_listen(&p.port);
    assert_true(p.listener >= 0);
    snprintf(p.host, sizeof p.host, "localhost:%u", p.port.number);
    return p;
}

static void hang_up(player *p)
{
    ts_tls_peer_free(p->peer);
    p->peer = NULL;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static void close_player(player *p)
{
    hang_up(p);
    close(p->listener);
    ts_port_release(&p->port);
}

static void reset(player *p)
{
    struct linger at_once = { .l_onoff = 1 };
    int fd = p->peer != NULL ? p->peer->fd : p->fd;

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    hang_up(p);
}

/* Turns the clients until one has come; greets it with |says|. */
static void let_in(player *p, const char *says)
{
    TURN_UNTIL((p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0, TS_WAIT_MS);
    assert_int_equal(send(p->fd, says, strlen(says), MSG_NOSIGNAL), strlen(says));
}

/* What is on the connection from now on is TLS. |left|: octets after which it stalls. */
static void begin_tls(player *p, size_t left)
{
    ts_tls_peer_options o = { .cert = ts_certs_path(certs, "server.pem"), .key = ts_certs_path(certs, "server.key") };

    p->peer = ts_tls_peer_new(p->fd, &o);
    p->peer->left = left;
    p->fd = -1;
}

static bool turn(player *p)
{
    (void)ts_tls_peer_turn(p->peer);
    return true;
}

/* It has more to say than it may: so the client's hello has come, and with it that the client is connected. */
static bool is_stalled(const player *p)
{
    return p->peer->left == 0 && BIO_ctrl_pending(p->peer->out) > 0;
}

static bool got(const player *p, const char *text)
{
    return p->peer->got_len > 0 && memmem(p->peer->got, p->peer->got_len, text, strlen(text)) != NULL;
}

static void say(player *p, const char *text)
{
    ts_tls_peer_write(p->peer, text, strlen(text));
    turn(p);
}

/* TLS and all that follows, up to PONG. */
static void shake(player *p, bool tls_first)
{
    begin_tls(p, SIZE_MAX);
    TURN_UNTIL(turn(p) && p->peer->is_open, TS_WAIT_MS);
    if (tls_first)
        say(p, INFO_TLS);
    TURN_UNTIL(turn(p) && got(p, "PING\r\n"), TS_WAIT_MS);
    assert_true(got(p, "CONNECT {") && got(p, "\"tls_required\":true"));
    say(p, "PONG\r\n");
}

/* --- the client --- */

/* The result lives until the next call. */
static const nbj_client_options *options(const char *scheme, const player *p, bool tls_first)
{
    static nbj_client_options o;
    static char url[100];

    snprintf(url, sizeof url, "%s://me:secret@%s", scheme, p->host);
    o = (nbj_client_options){ .struct_size = sizeof o,
                              .url = url,
                              .tls_first = tls_first,
                              .tls_ca_file = ts_certs_path(certs, "ca.pem"),
                              .reconnect_first_ns = NBJ_MILLIS(1),
                              .reconnect_max_ns = NBJ_MILLIS(10) };
    return &o;
}

static const nbj_error *expect_failure(ts_client *c, const char *title, nbj_status want, const char *says)
{
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);

    if (e->status != want || strstr(e->text, says) == NULL)
        TS_FAIL("%s: %d: %s", title, e->status, e->text);
    CHECK(title, strstr(e->text, "secret") == NULL);
    return e;
}

static void test_both_orders(void **state)
{
    (void)state;
    for (int tls_first = 0; tls_first < 2; tls_first++) {
        player p = open_player();
        ts_sink sink = { 0 };
        ts_client *c = ts_client_open(options("nats", &p, tls_first));
        let_in(&p, tls_first ? "" : INFO_TLS);
        shake(&p, tls_first);
        (void)ts_await(c, NBJ_EVENT_CONNECTED);
        ts_subscribe(c, &sink, "a");
        ts_send(c, "b", "hello");
        TURN_UNTIL(turn(&p) && got(&p, "PUB b 5\r\nhello\r\n"), TS_WAIT_MS);
        say(&p, "MSG a 1 5\r\nworld\r\n");
        TURN_UNTIL(turn(&p) && sink.count == 1, TS_WAIT_MS);
        assert_true(ts_same(nbj_msg_data(sink.msg[0]), "world"));
        ts_sink_free(&sink);
        ts_client_free(c);
        TURN_UNTIL(turn(&p) && p.peer->ended, TS_WAIT_MS);
        CHECK("it said farewell", p.peer->notified);
        close_player(&p);
    }
}

/* --- stalls and ends --- */

static const size_t steps[] = {
    0, 1, 5, 100, 127, 300, 700
}; /* octets of the server's, each less than it has to say */

static void test_stalls(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof steps / sizeof steps[0]; i++) {
        player p = open_player();
        nbj_client_options o = *options("nats", &p, i % 2 == 1);
        o.tls_timeout_ns = NBJ_MILLIS(STEP_MS);
        nbj_time start = ts_now();
        ts_client *c = ts_client_open(&o);
        let_in(&p, o.tls_first ? "" : INFO_TLS);
        begin_tls(&p, steps[i / 2]);
        while (ts_turn(TS_TURN_MS) || ts_tls_peer_turn(p.peer))
            ;
        CHECK("the loop is told", c->closed || nbj_loop_timeout_ns(c->client) <= NBJ_MILLIS(STEP_MS));
        TURN_UNTIL(c->closed, TS_WAIT_MS);
        const nbj_error *e = &c->error[NBJ_EVENT_CLOSED];
        CHECK(e->text, e->status == NBJ_E_CONNECT_TIMEOUT);
        CHECK(e->text, strstr(e->text, "the TLS handshake did not finish within 200 ms") != NULL);
        CHECK("neither early nor late", ts_now() - start >= NBJ_MILLIS(STEP_MS) && ts_now() - start < NBJ_SECONDS(4));
        ts_client_free(c);
        close_player(&p);
    }
}

/* Without a limit of its own it has what connecting as a whole may take. */
static void test_stall_within_connecting(void **state)
{
    (void)state;
    for (int tls_first = 0; tls_first < 2; tls_first++) {
        player p = open_player();
        nbj_client_options o = *options("nats", &p, tls_first);
        o.connect_timeout_ns = NBJ_MILLIS(STEP_MS);
        ts_client *c = ts_client_open(&o);
        let_in(&p, tls_first ? "" : INFO_TLS);
        (void)expect_failure(c, "silent", NBJ_E_CONNECT_TIMEOUT, "the TLS handshake did not finish within ");
        ts_client_free(c);
        close_player(&p);
    }
}

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * sizeof steps / sizeof steps[0]; i++) {
        player p = open_player();
        bool tls_first = i % 2 == 1;
        ts_client *c = ts_client_open(options("nats", &p, tls_first));
        let_in(&p, tls_first ? "" : INFO_TLS);
        begin_tls(&p, steps[i / 4]);
        TURN_UNTIL(turn(&p) && (is_stalled(&p) || p.peer->is_open), TS_WAIT_MS);
        if (i % 4 < 2)
            reset(&p);
        else
            hang_up(&p);
        (void)expect_failure(c, "cut off", NBJ_E_EOF, "the server closed the connection in the TLS handshake");
        ts_client_free(c);
        close_player(&p);
    }
}

static void test_end_right_after_the_handshake(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        player p = open_player();
        ts_client *c = ts_client_open(options("nats", &p, i % 2 == 1));
        let_in(&p, i % 2 == 1 ? "" : INFO_TLS);
        begin_tls(&p, SIZE_MAX);
        TURN_UNTIL(turn(&p) && p.peer->is_open, TS_WAIT_MS);
        if (i < 2) {
            ts_tls_peer_notify(p.peer);
            turn(&p);
        }
        hang_up(&p);
        (void)expect_failure(c, "hung up", NBJ_E_EOF, "closed");
        ts_client_free(c);
        close_player(&p);
    }
}

static void greet_in_clear(player *p)
{
    char octets[2000];
    size_t len = 0;

    let_in(p, INFO);
    TURN_UNTIL(recv(p->fd, octets + len, 1, 0) == 1 && octets[len++] == '\n' && len > 6 &&
                   memcmp(octets + len - 6, "PING\r\n", 6) == 0,
               TS_WAIT_MS);
    assert_int_equal(send(p->fd, "PONG\r\n", 6, MSG_NOSIGNAL), 6);
}

/* What comes together with the end is read, and the end is seen. */
static void test_last_words(void **state)
{
    (void)state;
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        player p = open_player();
        ts_sink sink = { 0 };
        ts_client *c = ts_client_open(options("nats", &p, false));
        if (with_tls) {
            let_in(&p, INFO_TLS);
            shake(&p, false);
        } else {
            greet_in_clear(&p);
        }
        (void)ts_await(c, NBJ_EVENT_CONNECTED);
        ts_subscribe(c, &sink, "a");
        ts_turn_for(20);
        if (with_tls)
            say(&p, "MSG a 1 2\r\nhi\r\n");
        else
            assert_int_equal(send(p.fd, "MSG a 1 2\r\nhi\r\n", 15, MSG_NOSIGNAL), 15);
        shutdown(with_tls ? p.peer->fd : p.fd, SHUT_WR);
        (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        CHECK("read", sink.count == 1);
        ts_sink_free(&sink);
        ts_client_free(c);
        close_player(&p);
    }
}

/* --- nothing in clear --- */

static const struct {
    const char *title, *scheme, *info;
    bool tls, tls_first;
    nbj_status want;
    const char *says;
} clear[] = {
    { "URL wants it", "tls", INFO, false, false, NBJ_E_NO_TLS, "does not offer it" },
    { "option wants it", "nats", INFO, true, false, NBJ_E_NO_TLS, "does not offer it" },
    { "server wants it", "nats", INFO_TLS, false, false, NBJ_E_CONNECT_TIMEOUT, "TLS handshake did not finish" },
    { "server can", "tls", INFO_OF(",\"tls_available\":true"), false, false, NBJ_E_CONNECT_TIMEOUT, "TLS handshake" },
    { "first, server is silent", "nats", "", false, true, NBJ_E_CONNECT_TIMEOUT, "TLS handshake did not finish" },
    { "first, server begins", "nats", INFO_TLS, false, true, NBJ_E_TLS, "begins in clear" },
    { "first, without", "tls", INFO, false, true, NBJ_E_TLS, "begins in clear" },
    { "something behind INFO", "nats", INFO_TLS "PING\r\n", false, false, NBJ_E_PROTO, "in clear" },
    { "refused before TLS", "tls", INFO_TLS "-ERR 'maximum connections exceeded'\r\n", false, false,
      NBJ_E_MAX_CONNECTIONS, "maximum connections" },
};

/* All that comes until the client hangs up. */
static size_t read_to_end(const player *p, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    fcntl(p->fd, F_SETFL, 0);
    while (len < cap && (n = recv(p->fd, out + len, cap - len, 0)) > 0)
        len += (size_t)n;
    return len;
}

static void test_nothing_in_clear(void **state)
{
    char octets[8192];

    (void)state;
    for (size_t i = 0; i < sizeof clear / sizeof clear[0]; i++) {
        player p = open_player();
        nbj_client_options o = *options(clear[i].scheme, &p, clear[i].tls_first);
        o.tls = clear[i].tls;
        o.connect_timeout_ns = NBJ_MILLIS(STEP_MS);
        ts_client *c = ts_client_open(&o);
        let_in(&p, clear[i].info);
        (void)expect_failure(c, clear[i].title, clear[i].want, clear[i].says);
        ts_client_free(c);
        size_t len = read_to_end(&p, octets, sizeof octets);
        CHECK(clear[i].title, len == 0 || octets[0] == 0x16);
        CHECK(clear[i].title, len > 0 || clear[i].want == NBJ_E_NO_TLS || strstr(clear[i].info, "}\r\n")[3] != '\0');
        CHECK(clear[i].title, memmem(octets, len, "CONNECT", 7) == NULL && memmem(octets, len, "secret", 6) == NULL);
        close_player(&p);
    }
}

/* A server that had TLS once is not trusted when it comes back without. */
static void test_tls_stripped_at_reconnect(void **state)
{
    player p = open_player();
    ts_client *c = ts_client_open(options("nats", &p, false));
    char octets[1000];

    (void)state;
    let_in(&p, INFO_TLS);
    shake(&p, false);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    hang_up(&p);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    for (int i = 0; i < 3; i++) {
        let_in(&p, INFO);
        ssize_t n = 0;
        TURN_UNTIL((n = recv(p.fd, octets, sizeof octets, 0)) >= 0 || errno != EAGAIN, TS_WAIT_MS);
        CHECK("hung up without a word", n == 0);
        hang_up(&p);
    }
    let_in(&p, INFO_TLS);
    shake(&p, false);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    assert_string_equal(c->trail, "CDR");
    ts_client_free(c);
    close_player(&p);
}

/* --- resets and SIGPIPE --- */

typedef struct breaker {
    player *p;
    ts_client *c;
    int done;
} breaker;

/* Inside the client's turn, between its reading and its writing: the server ends its direction, then resets. What is
 * published now meets a socket whose error is EPIPE. */
static void break_off(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    breaker *b = user;
    int fd = b->p->peer != NULL ? b->p->peer->fd : b->p->fd;

    (void)sub;
    (void)msg;
    shutdown(fd, SHUT_WR);
    reset(b->p);
    if (nbj_send(b->c->client, "b", nbj_str("into the void"), NULL) != NBJ_OK)
        abort();
    b->done++;
}

/* In a process of its own, where SIGPIPE would kill. */
static void run_resets(bool with_tls)
{
    player p = open_player();
    breaker b = { .p = &p };
    nbj_sub *sub = NULL;
    const char *const message = "MSG a 1 2\r\nhi\r\n";

    b.c = ts_client_open(options("nats", &p, false));
    if (nbj_subscribe(b.c->client, "a", NULL, break_off, &b, &sub) != NBJ_OK)
        abort();
    for (int i = 1; i <= 3; i++) {
        if (with_tls) {
            let_in(&p, INFO_TLS);
            shake(&p, false);
            TURN_UNTIL(turn(&p) && got(&p, "SUB a"), TS_WAIT_MS);
            say(&p, message);
        } else {
            greet_in_clear(&p);
            (void)ts_turn_for(20);
            assert_int_equal(send(p.fd, message, strlen(message), MSG_NOSIGNAL), strlen(message));
        }
        TURN_UNTIL(b.done == i, TS_WAIT_MS);
        (void)ts_await(b.c, NBJ_EVENT_DISCONNECTED);
    }
    nbj_sub_release(sub);
    ts_client_free(b.c);
    close_player(&p);
}

static void test_sigpipe_is_never_raised(void **state)
{
    (void)state;
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGPIPE, SIG_DFL);
            run_resets(with_tls);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        CHECK(with_tls ? "TLS" : "TCP", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_both_orders, end_test),
        cmocka_unit_test_teardown(test_stalls, end_test),
        cmocka_unit_test_teardown(test_stall_within_connecting, end_test),
        cmocka_unit_test_teardown(test_ends, end_test),
        cmocka_unit_test_teardown(test_end_right_after_the_handshake, end_test),
        cmocka_unit_test_teardown(test_last_words, end_test),
        cmocka_unit_test_teardown(test_nothing_in_clear, end_test),
        cmocka_unit_test_teardown(test_tls_stripped_at_reconnect, end_test),
        cmocka_unit_test_teardown(test_sigpipe_is_never_raised, end_test),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
