/* SPDX-License-Identifier: Apache-2.0 */
/* A session that finds a real server by its name, through a name server of the tests. The public API has no setting for a
 * name server, so this drives the driver itself. The black hole: see tests/driver/dial_test.c. */
#define _GNU_SOURCE
#include "driver/driver.h"

#include "check.h"
#include "name_server.h"
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BOUND_NS NBJ_SECONDS(20)

typedef struct scene {
    ts_server *server;
    ts_name_server *names;
    nbj__driver *driver;
    unsigned connected, lost, messages;
    nbj_error error; /* the last one */
} scene;

static void on_event(void *user, const nbj__event *ev, nbj_time now)
{
    scene *s = user;

    (void)now;
    s->connected += ev->type == NBJ__EV_CONNECTED || ev->type == NBJ__EV_RECONNECTED;
    s->lost += ev->type == NBJ__EV_DISCONNECTED;
    s->messages += ev->type == NBJ__EV_MSG;
    if (ev->error != NULL)
        s->error = *ev->error;
}

static void open_scene(scene *s)
{
    *s = (scene){ .server = ts_server_start(NULL), .names = ts_name_server_start() };
}

static void open_driver(scene *s, const char *host, const nbj__session_options *options)
{
    static nbj__lock no_lock; /* zeroed: there is one thread */
    nbj__driver_config cfg = { .lock = &no_lock, .session = *options, .on_event = on_event, .user = s };
    char url[80];

    snprintf(url, sizeof url, "nats://%s:%u", host, ts_server_port(s->server));
    cfg.session.urls = nbj_str(url);
    cfg.session.reconnect_first_ns = NBJ_MILLIS(5);
    cfg.session.reconnect_max_ns = NBJ_MILLIS(50);
    cfg.dial.name_servers = ts_name_server_address(s->names);
    cfg.dial.dns_try_ns = NBJ_MILLIS(100);
    assert_int_equal(nbj__driver_new(&s->driver, &cfg, &s->error), NBJ_OK);
}

static void close_scene(scene *s)
{
    nbj__driver_free(s->driver);
    ts_name_server_free(s->names);
    ts_server_free(s->server);
}

static void turn(scene *s)
{
    struct pollfd p = { .fd = nbj__driver_fd(s->driver), .events = POLLIN };
    nbj_time due = nbj__driver_deadline(s->driver);
    int ms = due == 0 ? 0 : ts_left_ms(due);

    (void)poll(&p, 1, ms > 50 ? 50 : ms);
    (void)nbj__driver_process(s->driver, NULL);
}

#define TURN_UNTIL(s, cond)                         \
    do {                                            \
        nbj_time until = ts_now() + BOUND_NS;       \
        while (!(cond) && ts_now() < until)         \
            turn(s);                                \
        CHECK(nbj_error_text(&(s)->error), (cond)); \
    } while (0)

static void check_message(scene *s)
{
    nbj__sub sub = { 0 };
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str("a") };
    nbj__outgoing m = { .subject = nbj_str("a"), .payload = nbj_str("hello") };
    unsigned before = s->messages;

    assert_int_equal(nbj__session_subscribe(nbj__driver_session(s->driver), &sub, &what), NBJ_OK);
    assert_int_equal(nbj__session_publish(nbj__driver_session(s->driver), &m), NBJ_OK);
    TURN_UNTIL(s, s->messages > before);
    nbj__session_sub_clear(nbj__driver_session(s->driver), &sub);
}

/* Makes [::1]:|port| a black hole. False: this machine has no IPv6. */
static bool swallow_v6(uint16_t port, int fds[2])
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port) };
    int one = 1;

    fds[0] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] < 0)
        return false;
    setsockopt(fds[0], IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fds[0], (struct sockaddr *)&a, sizeof a) != 0) {
        CHECK("the port is free for IPv6", errno != EADDRINUSE);
        close(fds[0]);
        return false;
    }
    assert_int_equal(listen(fds[0], 0), 0);
    fds[1] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&a, sizeof a), 0); /* the one that fits */
    return true;
}

static void test_dead_v6(void **state)
{
    scene s;
    int fds[2];

    (void)state;
    open_scene(&s);
    bool has_v6 = swallow_v6(ts_server_port(s.server), fds);
    nbj_time begun = ts_now();
    open_driver(&s, "dual.test", &(nbj__session_options){ 0 });
    TURN_UNTIL(&s, s.connected == 1);
    CHECK("soon", ts_now() - begun < NBJ_SECONDS(2));
    CHECK("IPv6 had its time", !has_v6 || ts_now() - begun >= NBJ_MILLIS(250));
    check_message(&s);
    close_scene(&s);
    if (has_v6) {
        close(fds[0]);
        close(fds[1]);
    }
}

/* The name is asked for anew at each attempt: it may be away, wrong and right again. */
static void test_name_comes_and_goes(void **state)
{
    scene s;

    (void)state;
    open_scene(&s);
    ts_name_server_mute(s.names, true);
    open_driver(&s, "one.test", &(nbj__session_options){ .retry_first_connect = true });
    for (nbj_time until = ts_now() + NBJ_MILLIS(800); ts_now() < until;)
        turn(&s);
    assert_int_equal(s.connected, 0);
    ts_name_server_mute(s.names, false);
    TURN_UNTIL(&s, s.connected == 1);
    ts_name_server_move(s.names, 6); /* 127.0.0.7, where nobody listens */
    ts_server_restart(s.server);
    TURN_UNTIL(&s, s.lost == 1);
    int asked = ts_name_server_asked(s.names);
    TURN_UNTIL(&s, ts_name_server_asked(s.names) >= asked + 10);
    assert_int_equal(s.connected, 1);
    ts_name_server_move(s.names, 0);
    TURN_UNTIL(&s, s.connected == 2);
    check_message(&s);
    close_scene(&s);
}

static void test_errors_say_which_phase(void **state)
{
    scene s;
    char want[200];

    (void)state;
    open_scene(&s);
    open_driver(&s, "absent.test", &(nbj__session_options){ 0 });
    TURN_UNTIL(&s, s.error.status != NBJ_OK);
    assert_int_equal(s.error.status, NBJ_E_DNS);
    snprintf(want, sizeof want, "could not connect to absent.test:%u: looking up \"absent.test\": no such name",
             ts_server_port(s.server));
    assert_string_equal(s.error.text, want);
    nbj__driver_free(s.driver);

    s.error = (nbj_error){ 0 };
    open_driver(&s, "silent.test", &(nbj__session_options){ .connect_timeout_ns = NBJ_MILLIS(300) });
    TURN_UNTIL(&s, s.error.status != NBJ_OK);
    snprintf(want, sizeof want,
             "could not connect to silent.test:%u: looking up \"silent.test\" took longer than 300 ms",
             ts_server_port(s.server));
    assert_string_equal(s.error.text, want);
    nbj__driver_free(s.driver);

    s.error = (nbj_error){ 0 };
    ts_server_stop(s.server);
    open_driver(&s, "one.test", &(nbj__session_options){ 0 });
    TURN_UNTIL(&s, s.error.status != NBJ_OK);
    assert_int_equal(s.error.status, NBJ_E_REFUSED);
    snprintf(
        want, sizeof want,
        "could not connect to one.test:%u: connecting to 127.0.0.1:%u: connection refused; is nats-server running?",
        ts_server_port(s.server), ts_server_port(s.server));
    assert_string_equal(s.error.text, want);
    close_scene(&s);
}

static void test_no_descriptor(void **state)
{
    struct rlimit limit, low;
    scene s;

    (void)state;
    open_scene(&s);
    open_driver(&s, "one.test", &(nbj__session_options){ .retry_first_connect = true });
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3; /* those that are open stay so */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (nbj_time until = ts_now() + NBJ_MILLIS(200); ts_now() < until;)
        turn(&s);
    assert_int_equal(s.connected, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    TURN_UNTIL(&s, s.connected == 1);
    check_message(&s);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_v6),
        cmocka_unit_test(test_name_comes_and_goes),
        cmocka_unit_test(test_errors_say_which_phase),
        cmocka_unit_test(test_no_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
