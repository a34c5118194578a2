/* SPDX-License-Identifier: Apache-2.0 */
/* One session on a real socket: driver/driver.h, driver/dial.h. */
#define _GNU_SOURCE
#include "driver/driver.h"

#include "driver/loopback_server.h"
#include "driver/os.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static loopback server;
static ts_alloc mem;
static nbj__driver *driver;
static char trail[4096]; /* a letter for each event, as ts_letter() does */
static nbj_error last_error;
static char last_msg[64];
static unsigned messages;
static void (*on_message)(void);

static void on_event(void *user, const nbj__event *ev, nbj_time now)
{
    static const struct {
        nbj__event_type type;
        char letter;
    } letters[] = { { NBJ__EV_CONNECTED, 'C' },    { NBJ__EV_DISCONNECTED, 'D' }, { NBJ__EV_RECONNECTED, 'R' },
                    { NBJ__EV_SERVER_ERROR, 'E' }, { NBJ__EV_WRITABLE, 'W' },     { NBJ__EV_CLOSED, 'X' } };

    (void)now;
    assert_ptr_equal(user, &server);
    for (size_t i = 0; i < COUNT(letters); i++) {
        size_t n = strlen(trail);
        if (letters[i].type == ev->type && n + 1 < sizeof trail)
            trail[n] = letters[i].letter;
    }
    if (ev->error != NULL)
        last_error = *ev->error;
    if (ev->type != NBJ__EV_MSG)
        return;
    messages++;
    snprintf(last_msg, sizeof last_msg, "%.*s", NBJ_FMT(nbj_msg_data(ev->msg)));
    if (on_message != NULL)
        on_message();
}

static nbj_status try_begin(const nbj__session_options *o)
{
    static nbj__lock no_lock; /* zeroed: there is one thread */
    nbj__driver_config cfg = { .session = *o, .lock = &no_lock, .on_event = on_event, .user = &server };
    nbj_error error = { 0 };

    cfg.session.alloc = &mem.allocator;
    memset(trail, 0, sizeof trail);
    messages = 0;
    on_message = NULL;
    nbj_status st = nbj__driver_new(&driver, &cfg, &error);
    assert_int_equal(st == NBJ_OK, driver != NULL);
    assert_true(st == NBJ_OK || error.status == st);
    return st;
}

static void begin_at(const char *urls, const nbj__session_options *wanted)
{
    nbj__session_options o = wanted != NULL ? *wanted : (nbj__session_options){ 0 };

    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    o.urls = nbj_str(urls);
    o.no_randomize = true;
    o.reconnect_first_ns = NBJ_MILLIS(5);
    o.reconnect_max_ns = NBJ_MILLIS(20);
    assert_int_equal(try_begin(&o), NBJ_OK);
}

static nbj__session *session(void)
{
    return nbj__driver_session(driver);
}

static void end(void)
{
    nbj__driver_free(driver);
    nbj__driver_free(NULL);
    ts_alloc_done(&mem);
    loopback_down(&server);
}

/* One turn of both sides; waits as long as the driver says, at most 5 ms. */
static nbj_status turn(void)
{
    struct pollfd wait = { .fd = nbj__driver_fd(driver), .events = POLLIN };
    nbj_time due = nbj__driver_deadline(driver);
    nbj_time now = nbj__os_now();
    int ms = due <= now ? 0 : due - now > NBJ_MILLIS(5) ? 5 : 1;

    loopback_turn(&server);
    (void)poll(&wait, 1, ms);
    return nbj__driver_process(driver, NULL);
}

#define TURN_UNTIL(cond)                                    \
    do {                                                    \
        nbj_time until = nbj__os_now() + NBJ_SECONDS(10);   \
        while (!(cond) && nbj__os_now() < until)            \
            (void)turn();                                   \
        ts_check((cond), trail, #cond, __FILE__, __LINE__); \
    } while (0)

static bool ends_with(const char *letters)
{
    size_t n = strlen(trail), k = strlen(letters);

    return n >= k && strcmp(trail + n - k, letters) == 0;
}

static void publish(const char *subject, const char *payload, size_t len)
{
    nbj__outgoing m = { .subject = nbj_str(subject), .payload = nbj_view(payload, len) };

    assert_int_equal(nbj__session_publish(session(), &m), NBJ_OK);
}

static void subscribe(nbj__sub *sub, const char *subject)
{
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str(subject) };

    memset(sub, 0, sizeof *sub);
    assert_int_equal(nbj__session_subscribe(session(), sub, &what), NBJ_OK);
}

static unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* --- the ordinary --- */

static void test_there_and_back(void **state)
{
    (void)state;
    nbj__sub sub;
    loopback_open(&server);
    begin_at(server.url, NULL);
    int fd = nbj__driver_fd(driver);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(nbj__driver_deadline(driver), 0); /* it wants to dial */
    subscribe(&sub, "a");
    publish("a", "hello", 5);
    TURN_UNTIL(messages == 1);
    assert_string_equal(last_msg, "hello");
    assert_string_equal(trail, "C");
    assert_true(nbj__driver_deadline(driver) > nbj__os_now()); /* nothing to do: no spinning */
    loopback_drop(&server, false);
    TURN_UNTIL(ends_with("R"));
    publish("a", "again", 5);
    TURN_UNTIL(messages == 2);
    assert_string_equal(trail, "CDR");
    assert_int_equal(nbj__driver_fd(driver), fd); /* for its whole life */
    nbj__session_close(session(), NBJ_OK, NULL);
    TURN_UNTIL(ends_with("X"));
    assert_int_equal(nbj__driver_process(driver, NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj__driver_deadline(driver), NBJ_TIME_NEVER);
    nbj__session_sub_clear(session(), &sub);
    end();
}

static void test_small_pieces(void **state)
{
    (void)state;
    nbj__sub sub;
    loopback_open(&server);
    server.most = 3;
    begin_at(server.url, NULL);
    subscribe(&sub, "a");
    for (int i = 0; i < 20; i++)
        publish("a", "0123456789", 10);
    TURN_UNTIL(messages == 20);
    assert_string_equal(trail, "C");
    nbj__session_sub_clear(session(), &sub);
    end();
}

/* More than the kernel's buffers hold, to a reader that begins late. */
static void test_back_pressure(void **state)
{
    (void)state;
    static char payload[60000];
    static uint8_t drain[65536];
    size_t expected = 0, got = 0;
    loopback_open(&server);
    begin_at(server.url, &(nbj__session_options){ .max_outgoing_bytes = (size_t)NBJ_MIB(32), .wait_when_full = true });
    TURN_UNTIL(ends_with("C"));
    server.is_deaf = true;
    nbj__outgoing m = { .subject = nbj_str("big"), .payload = nbj_view(payload, 1000) };
    for (int full = 0; full < 20;) { /* until the kernel's buffers take nothing any more, either */
        nbj_status st = nbj__session_publish(session(), &m);
        if (st == NBJ_OK) {
            expected += 3 + 1 + 3 + 1 + 4 + 2 + 1000 + 2;
            full = 0;
            continue;
        }
        assert_int_equal(st, NBJ_E_WOULD_BLOCK);
        (void)turn();
        full++;
    }
    size_t before = strlen(trail);
    assert_true(nbj__session_outgoing(session()) > 0);
    assert_true(nbj__driver_deadline(driver) > nbj__os_now()); /* waits for the descriptor, without spinning */
    nbj_time until = nbj__os_now() + NBJ_SECONDS(20);
    while (got < expected && nbj__os_now() < until) {
        for (ssize_t n; (n = recv(server.fd, drain, sizeof drain, 0)) > 0;)
            got += (size_t)n;
        (void)turn();
    }
    assert_int_equal(got, expected);
    assert_true(strlen(trail) == before + 1 && ends_with("W")); /* there is room again, said once */
    end();
}

static void reconnect_within(void)
{
    nbj__session_reconnect(session(), nbj__os_now());
}

static void close_within(void)
{
    nbj__session_close(session(), NBJ_OK, NULL);
}

static void test_ending_in_a_callback(void **state)
{
    (void)state;
    nbj__sub sub;
    loopback_open(&server);
    begin_at(server.url, NULL);
    subscribe(&sub, "a");
    TURN_UNTIL(ends_with("C"));
    on_message = reconnect_within;
    publish("a", "1", 1);
    publish("a", "2", 1);
    TURN_UNTIL(ends_with("R"));
    on_message = close_within;
    publish("a", "3", 1);
    TURN_UNTIL(ends_with("X"));
    nbj__session_sub_clear(session(), &sub);
    end();
}

/* --- what goes wrong --- */

static void test_refused_then_the_next(void **state)
{
    (void)state;
    char urls[160];
    loopback other;
    loopback_open(&other);
    loopback_down(&other); /* a port where nobody listens */
    loopback_open(&server);
    snprintf(urls, sizeof urls, "%s,%s", other.url, server.url);
    begin_at(urls, NULL);
    TURN_UNTIL(ends_with("C"));
    uint16_t port = 0;
    assert_string_equal(nbj__session_host(session(), &port), "127.0.0.1");
    assert_int_equal(port, server.port);
    end();
    begin_at(other.url, NULL);
    TURN_UNTIL(ends_with("X"));
    assert_int_equal(last_error.status, NBJ_E_REFUSED);
    char want[128];
    snprintf(want, sizeof want, "could not connect to 127.0.0.1:%u: connection refused; is nats-server running?",
             other.port);
    assert_string_equal(last_error.text, want);
    end();
}

static void test_silent_server(void **state)
{
    (void)state;
    loopback_open(&server);
    server.is_silent = true;
    begin_at(server.url, &(nbj__session_options){ .connect_timeout_ns = NBJ_MILLIS(50) });
    nbj_time begin = nbj__os_now();
    TURN_UNTIL(ends_with("X"));
    assert_int_equal(last_error.status, NBJ_E_CONNECT_TIMEOUT);
    assert_true(nbj__os_now() - begin >= NBJ_MILLIS(50));
    end();
}

static void test_reset(void **state)
{
    (void)state;
    loopback_open(&server);
    begin_at(server.url, NULL);
    TURN_UNTIL(ends_with("C"));
    for (int i = 0; i < 5; i++) {
        publish("a", "x", 1);
        loopback_drop(&server, true);
        TURN_UNTIL(ends_with("D"));
        assert_true(last_error.status == NBJ_E_EOF || last_error.status == NBJ_E_IO);
        TURN_UNTIL(ends_with("R"));
    }
    end();
}

/* What a server says before it closes is read, although writing fails already. */
static void test_last_words(void **state)
{
    (void)state;
    loopback_open(&server);
    begin_at(server.url, NULL);
    TURN_UNTIL(ends_with("C"));
    mini_put(&server.mini, "-ERR 'Stale Connection'\r\n");
    loopback_write(&server);
    loopback_drop(&server, false);
    publish("a", "x", 1);
    TURN_UNTIL(ends_with("D"));
    assert_int_equal(last_error.status, NBJ_E_SERVER_STALE);
    end();
}

static void test_garbage(void **state)
{
    (void)state;
    loopback_open(&server);
    server.mini.info = "SSH-2.0-OpenSSH_9.2\r\n";
    begin_at(server.url, NULL);
    TURN_UNTIL(ends_with("X"));
    assert_int_equal(last_error.status, NBJ_E_PROTO);
    assert_non_null(strstr(last_error.text, "does not speak the NATS protocol"));
    end();
}

static void test_unknown_host(void **state)
{
    (void)state;
    memset(&server, 0, sizeof server);
    server.fd = server.listener = -1;
    begin_at("nats://300.300.300.300:4222",
             &(nbj__session_options){ .connect_timeout_ns =
                                          NBJ_MILLIS(500) }); /* no address, and no name that a server would have */
    TURN_UNTIL(ends_with("X"));
    assert_true(last_error.status == NBJ_E_DNS || last_error.status == NBJ_E_CONNECT_TIMEOUT);
    end();
}

static void test_stalled_reader_is_noticed(void **state)
{
    (void)state;
    static char payload[60000];
    loopback_open(&server);
    begin_at(server.url,
             &(nbj__session_options){ .write_timeout_ns = NBJ_MILLIS(100), .max_outgoing_bytes = (size_t)NBJ_MIB(32) });
    TURN_UNTIL(ends_with("C"));
    server.is_deaf = true;
    for (int i = 0; i < 400; i++) {
        nbj__outgoing m = { .subject = nbj_str("big"), .payload = nbj_view(payload, 1000) };
        for (int k = 0; k < 60; k++)
            (void)nbj__session_publish(session(), &m);
    }
    TURN_UNTIL(strchr(trail, 'D') != NULL);
    assert_int_equal(last_error.status, NBJ_E_STALE);
    end();
}

/* --- descriptors --- */

static void test_many_reconnects_leave_nothing(void **state)
{
    (void)state;
    loopback_open(&server);
    unsigned before = open_descriptors();
    begin_at(server.url, NULL);
    TURN_UNTIL(ends_with("C"));
    unsigned connected = open_descriptors();
    size_t bytes = mem.live_bytes;
    for (unsigned i = 1; i <= 100; i++) {
        loopback_drop(&server, i % 2 == 0);
        TURN_UNTIL(server.accepted == i + 1 && ends_with("R"));
    }
    assert_int_equal(open_descriptors(), connected);
    assert_true(mem.live_bytes <= bytes + 4096);
    nbj__driver_free(driver);
    driver = NULL;
    loopback_drop(&server, false);
    assert_int_equal(open_descriptors(), before);
    end();
}

static void test_no_descriptor_left(void **state)
{
    (void)state;
    struct rlimit limit, none;
    loopback_open(&server);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    begin_at(server.url, &(nbj__session_options){ .retry_first_connect = true });
    none = limit;
    none.rlim_cur = 3; /* those that are open stay so */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 20; i++)
        (void)turn();
    assert_string_equal(trail, "");
    nbj__driver *other = driver;
    assert_int_equal(try_begin(&(nbj__session_options){ 0 }), NBJ_E_IO);
    driver = other;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    TURN_UNTIL(ends_with("C")); /* and when there are some again, it goes on */
    end();
}

/* --- memory --- */

static nbj_status make(const nbj_allocator *alloc, void *ctx)
{
    nbj__driver *d = (nbj__driver *)ctx;
    nbj_error error = { 0 };
    nbj__lock no_lock = { .is_real = false };
    nbj__driver_config cfg = { .lock = &no_lock,
                               .session = { .alloc = alloc, .urls = nbj_str("u:p@127.0.0.1:1") },
                               .on_event = on_event,
                               .user = &server };

    nbj_status st = nbj__driver_new(&d, &cfg, &error);
    assert_int_equal(st == NBJ_OK, d != NULL);
    assert_true(st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    nbj__driver_free(d);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    unsigned before = open_descriptors();
    assert_true(alloc_sweep(make, &server) > 8);
    assert_int_equal(open_descriptors(), before);
}

/* Each allocation of a connection fails once: it comes to be all the same. */
static void test_connecting_without_memory(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        loopback_open(&server);
        begin_at(server.url, &(nbj__session_options){ .retry_first_connect = true });
        mem.fail_at = mem.calls + n;
        TURN_UNTIL(strpbrk(trail, "CR") != NULL);
        bool last = mem.failed == 0;
        end();
        if (last)
            break;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_small_pieces),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_ending_in_a_callback),
        cmocka_unit_test(test_refused_then_the_next),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_unknown_host),
        cmocka_unit_test(test_stalled_reader_is_noticed),
        cmocka_unit_test(test_many_reconnects_leave_nothing),
        cmocka_unit_test(test_no_descriptor_left),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_connecting_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
