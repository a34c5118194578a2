/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock jumps by an hour and by a year, back and forth, all the time: nothing that waits notices. The program
 * brings its own clock_gettime(), gettimeofday() and time(), which stand before libc's for the library and for what it
 * is linked with: CLOCK_REALTIME and its kin jump, all other clocks are the kernel's. */
#define _GNU_SOURCE

#include "proxy.h"
#include "server.h"
#include "threads.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define HOUR_NS INT64_C(3600000000000)
#define YEAR_NS (HOUR_NS * 24 * 365)

/* --- the clocks --- */

static _Atomic int64_t offset_ns;
static atomic_uint asked; /* for the wall clock */

static void add_offset(struct timespec *t)
{
    int64_t ns = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec + atomic_load(&offset_ns);

    t->tv_sec = ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    long failed = syscall(SYS_clock_gettime, clock, out);

    if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) {
        atomic_fetch_add(&asked, 1);
        add_offset(out);
    }
    return (int)failed;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    *out = (struct timeval){ .tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}

/* --- the jumper --- */

typedef struct setting {
    ts_server *server;
    ts_proxy *proxy;
    nbj_client *client;
    th_events events;
    atomic_bool stop;
    pthread_t jumper;
    nbj_sub *silent, *echo;
    th_sleeper sleeper; /* others' deadlines are nearer than its own */
} setting;

static void *jumper_main(void *arg)
{
    static const int64_t jumps[] = { HOUR_NS, -HOUR_NS, YEAR_NS, -YEAR_NS, 0 };
    setting *s = arg;

    for (unsigned i = 0; !atomic_load(&s->stop); i++) {
        atomic_store(&offset_ns, jumps[i % 5]);
        th_sleep_ms(7);
    }
    atomic_store(&offset_ns, 0);
    return NULL;
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    setting *s = user;
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(s->client, reply, nbj_msg_data(msg), NULL);
}

static setting *begin(uint64_t ping_interval_ns)
{
    setting *s = calloc(1, sizeof *s);
    char url[64];

    s->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    s->proxy = ts_proxy_start(ts_server_port(s->server));
    th_make_stream(ts_server_port(s->server), "CLOCK", "clock.>", 1);
    s->jumper = th_start(jumper_main, s);
    snprintf(url, sizeof url, "nats://localhost:%u", ts_proxy_port(s->proxy)); /* c-ares has its part in it */
    s->client = th_open(NBJ_CLIENT_OPTIONS(.url = url, .on_event = th_on_event, .user_data = &s->events,
                                           .ping_interval_ns = ping_interval_ns, .reconnect_first_ns = NBJ_MILLIS(100),
                                           .reconnect_max_ns = NBJ_MILLIS(200)));
    assert_int_equal(nbj_subscribe(s->client, "silent", NULL, NULL, NULL, &s->silent), NBJ_OK);
    assert_int_equal(nbj_subscribe(s->client, "echo", NULL, on_echo, s, &s->echo), NBJ_OK);
    th_sleep_in(&s->sleeper, s->client);
    assert_int_equal(nbj_flush(s->client, 0), NBJ_OK);
    return s;
}

static void finish(setting *s)
{
    th_wake_up(&s->sleeper);
    nbj_sub_release(s->silent);
    nbj_sub_release(s->echo);
    nbj_client_release(s->client);
    atomic_store(&s->stop, true);
    pthread_join(s->jumper, NULL);
    ts_proxy_free(s->proxy);
    ts_server_free(s->server);
    free(s);
}

static void check_took(const char *name, nbj_time began, uint64_t timeout_ns)
{
    uint64_t took = ts_now() - began;

    if (took < timeout_ns || took > timeout_ns + th_margin_ns())
        TS_FAIL("%s: %llu ms instead of %llu", name, (unsigned long long)(took / 1000000),
                (unsigned long long)(timeout_ns / 1000000));
}

/* --- tests --- */

static void test_the_clock_jumps(void **state)
{
    time_t before = time(NULL);
    struct timeval tv;

    (void)state;
    atomic_store(&offset_ns, YEAR_NS);
    gettimeofday(&tv, NULL);
    CHECK("time", time(NULL) - before >= 364 * 86400);
    CHECK("gettimeofday", tv.tv_sec - before >= 364 * 86400);
    atomic_store(&offset_ns, 0);
    CHECK("asked", atomic_load(&asked) == 3);
}

static void test_waiting_calls(void **state)
{
    setting *s = begin(NBJ_MILLIS(100));
    const uint64_t timeout = NBJ_MILLIS(400);
    nbj_msg *m;
    nbj_time began = ts_now();

    (void)state;
    assert_int_equal(nbj_request(s->client, "silent", nbj_str("?"), NBJ_REQUEST(.timeout_ns = timeout), &m),
                     NBJ_E_TIMEOUT);
    check_took("request", began, timeout);
    assert_int_equal(nbj_sub_next(s->silent, timeout, &m), NBJ_OK);
    nbj_msg_release(m);
    began = ts_now();
    assert_int_equal(nbj_sub_next(s->silent, timeout, &m), NBJ_E_TIMEOUT);
    check_took("next", began, timeout);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(nbj_request(s->client, "echo", nbj_str("?"), NULL, &m), NBJ_OK);
        nbj_msg_release(m);
        assert_int_equal(nbj_publish(s->client, "clock.x", nbj_str("?"), NULL, NULL), NBJ_OK);
    }
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    finish(s);
}

typedef struct outcome {
    atomic_uint calls;
    atomic_int what;
    atomic_ullong at;
} outcome;

static void on_result(void *user, const nbj_publish_result *result)
{
    outcome *o = user;

    atomic_store(&o->at, ts_now());
    atomic_store(&o->what, (int)result->outcome);
    atomic_fetch_add(&o->calls, 1);
}

/* The server stands still: publishes and flushes end by their deadlines. */
static void test_deadlines(void **state)
{
    setting *s = begin(NBJ_SECONDS(30));
    const uint64_t timeout = NBJ_MILLIS(500);
    outcome o[5] = { 0 };
    nbj_publish_result result;

    (void)state;
    ts_server_pause(s->server);
    nbj_time began = ts_now();
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(nbj_publish_async(s->client, "clock.x", nbj_str("?"),
                                           NBJ_PUBLISH(.timeout_ns = timeout + NBJ_MILLIS(i * 100)), on_result, &o[i]),
                         NBJ_OK);
    assert_int_equal(nbj_publish(s->client, "clock.x", nbj_str("?"), NBJ_PUBLISH(.timeout_ns = timeout), &result),
                     NBJ_E_TIMEOUT);
    assert_int_equal(result.outcome, NBJ_UNKNOWN);
    check_took("publish", began, timeout);
    began = ts_now();
    assert_int_equal(nbj_flush(s->client, timeout), NBJ_E_TIMEOUT);
    check_took("flush", began, timeout);
    for (unsigned i = 0; i < 5; i++) {
        WAIT_UNTIL(atomic_load(&o[i].calls) == 1, 5000);
        assert_int_equal(atomic_load(&o[i].what), NBJ_UNKNOWN);
    }
    for (unsigned i = 1; i < 5; i++)
        CHECK("in their order", atomic_load(&o[i].at) > atomic_load(&o[i - 1].at));
    began = ts_now();
    assert_int_equal(nbj_client_drain(s->client, timeout), NBJ_E_TIMEOUT);
    check_took("drain", began, timeout);
    ts_server_cont(s->server);
    finish(s);
}

/* An idle connection: a PING each 100 ms, no more, no fewer, and no false alarm. */
static void test_pings(void **state)
{
    setting *s = begin(NBJ_MILLIS(100));
    uint64_t before = ts_proxy_forwarded(s->proxy, TS_TO_SERVER);

    (void)state;
    th_sleep_ms(1500);
    uint64_t pings = (ts_proxy_forwarded(s->proxy, TS_TO_SERVER) - before) / strlen("PING\r\n");
    if (pings < 5 || pings > 17)
        TS_FAIL("%llu pings in 1.5 s", (unsigned long long)pings);
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    finish(s);
}

/* The server is gone: attempts come at their pace, random waits of up to 200 ms. */
static void test_reconnect_waits(void **state)
{
    setting *s = begin(NBJ_SECONDS(30));

    (void)state;
    ts_server_kill9(s->server);
    WAIT_UNTIL(th_count(&s->events, NBJ_EVENT_DISCONNECTED) > 0, 5000);
    unsigned before = ts_proxy_accepted(s->proxy);
    th_sleep_ms(2000);
    unsigned attempts = ts_proxy_accepted(s->proxy) - before;
    printf("    %u attempts in 2 s\n", attempts);
    CHECK("neither a storm nor none", attempts >= 5 && attempts <= 80);
    ts_server_restart(s->server);
    WAIT_UNTIL(nbj_client_is_connected(s->client), 5000);
    assert_int_equal(nbj_publish(s->client, "clock.x", nbj_str("?"), NULL, NULL), NBJ_OK);
    finish(s);
}

/* A dead peer is found by the monotonic clock. */
static void test_stale(void **state)
{
    setting *s = begin(NBJ_MILLIS(200));

    (void)state;
    ts_proxy_black_hole(s->proxy, TS_TO_CLIENT, true);
    nbj_time began = ts_now();
    WAIT_UNTIL(th_count(&s->events, NBJ_EVENT_DISCONNECTED) > 0, 10000);
    uint64_t took = ts_now() - began;
    CHECK("found in time", took >= NBJ_MILLIS(300) && took < NBJ_MILLIS(600) + th_margin_ns());
    ts_proxy_black_hole(s->proxy, TS_TO_CLIENT, false);
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clock_jumps), cmocka_unit_test(test_waiting_calls),
        cmocka_unit_test(test_deadlines),       cmocka_unit_test(test_pings),
        cmocka_unit_test(test_reconnect_waits), cmocka_unit_test(test_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
