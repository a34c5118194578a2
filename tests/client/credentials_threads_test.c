/* SPDX-License-Identifier: Apache-2.0 */
/* on_credentials with threads: asked on the callback thread while the connection that asked may end, or the client. */
#define _GNU_SOURCE
#include "driver/loopback_server.h"
#include "support/alloc_fail.h"
#include "support/check.h"
#include "support/jwt.h"

#include <nbj/nbj.h>
#include <pthread.h>
#include <stdatomic.h>

static loopback server;
static ts_alloc mem;
static ts_nkey user;
static nbj_client *client;

/* What the callbacks did; read by the test's thread. */
static atomic_uint asked, answered, connected, failed, closed;
static atomic_bool hold;                 /* on_credentials waits in it */
static atomic_int say;                   /* what it returns */
static _Atomic(void (*)(void)) on_asked; /* called in it */
static pthread_t main_thread;

static void no_call(void)
{
}

static nbj_status on_credentials(void *user_data, nbj_bytes nonce, nbj_credentials *out)
{
    void (*call)(void) = on_asked;

    assert_null(user_data);
    assert_false(pthread_equal(pthread_self(), main_thread));
    asked++;
    while (hold)
        ts_breathe();
    call();
    ts_nkey_sign(&user, nonce.ptr, nonce.len, out->signature);
    answered++;
    return (nbj_status)say;
}

static void on_event(void *user_data, nbj_client *c, const nbj_event *event)
{
    (void)user_data;
    (void)c;
    connected += event->type == NBJ_EVENT_CONNECTED;
    failed += event->type == NBJ_EVENT_ATTEMPT_FAILED;
    closed += event->type == NBJ_EVENT_CLOSED;
}

/* The server's next connection gets this nonce. */
static void give_nonce(const char *nonce)
{
    static char info[128];

    snprintf(info, sizeof info, "INFO {\"headers\":true,\"max_payload\":1000,\"nonce\":\"%s\"}\r\n", nonce);
    server.mini.info = info;
}

static int begin(void **state)
{
    (void)state;
    main_thread = pthread_self();
    user = ts_nkey_new('U');
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    loopback_open(&server);
    give_nonce("first");
    asked = answered = connected = failed = closed = 0;
    hold = false;
    say = NBJ_OK;
    on_asked = no_call;
    return 0;
}

static void open_client(uint64_t connect_timeout_ns)
{
    nbj_error error = { 0 };
    const nbj_client_options *o =
        NBJ_CLIENT_OPTIONS(.url = server.url, .alloc = &mem.allocator, .on_event = on_event,
                           .on_credentials = on_credentials, .retry_first_connect = true,
                           .connect_timeout_ns = connect_timeout_ns, .reconnect_first_ns = NBJ_MILLIS(5),
                           .reconnect_max_ns = NBJ_MILLIS(20));

    assert_int_equal(nbj_client_open(&client, o, &error), NBJ_OK);
}

static int end(void **state)
{
    (void)state;
    loopback_down(&server);
    ts_alloc_done(&mem);
    return 0;
}

/* Turns the server until |cond|, which the client's threads make true. */
#define SERVE_UNTIL(cond)                                      \
    do {                                                       \
        nbj_time until = ts_now() + NBJ_SECONDS(10);           \
        while (!(cond) && ts_now() < until) {                  \
            loopback_turn(&server);                            \
            ts_breathe();                                      \
        }                                                      \
        ts_check((cond), "served", #cond, __FILE__, __LINE__); \
    } while (0)

static bool shows_signature_of(const char *nonce)
{
    char signature[87];

    ts_nkey_sign(&user, nonce, strlen(nonce), signature);
    return strstr(server.mini.connect, signature) != NULL;
}

static void test_asked_on_its_thread(void **state)
{
    (void)state;
    open_client(0);
    SERVE_UNTIL(connected == 1);
    assert_int_equal(asked, 1);
    assert_true(shows_signature_of("first"));
    nbj_client_release(client);
}

/* The connection that asked is given up while the program thinks: its answer is for nobody, the next is asked for anew. */
static void test_late_answer(void **state)
{
    (void)state;
    hold = true;
    open_client(NBJ_MILLIS(200));
    SERVE_UNTIL(asked == 1);
    give_nonce("second");
    SERVE_UNTIL(server.accepted == 2 && server.mini.out_len == 0);
    give_nonce("third");
    SERVE_UNTIL(server.accepted >= 3 && server.mini.out_len == 0);
    assert_int_equal(asked, 1); /* one at a time */
    hold = false;
    SERVE_UNTIL(connected == 1);
    assert_true(asked >= 2);
    assert_true(shows_signature_of("third")); /* and no other CONNECT came on that connection */
    nbj_client_release(client);
}

static void test_refused_then_granted(void **state)
{
    (void)state;
    say = NBJ_E_NOT_FOUND;
    open_client(0);
    SERVE_UNTIL(failed >= 2);
    assert_int_equal(connected, 0);
    assert_true(server.mini.connect[0] == '\0');
    say = NBJ_OK;
    SERVE_UNTIL(connected == 1);
    nbj_client_release(client);
}

static void *let_go_soon(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        ts_breathe();
    hold = false;
    return NULL;
}

/* Releasing waits for the callback that runs, and none runs afterwards. */
static void test_release_while_asked(void **state)
{
    pthread_t helper;

    (void)state;
    hold = true;
    open_client(0);
    SERVE_UNTIL(asked == 1);
    assert_int_equal(pthread_create(&helper, NULL, let_go_soon, NULL), 0);
    nbj_client_release(client);
    assert_int_equal(answered, 1);
    assert_int_equal(connected + closed, 0);
    assert_int_equal(pthread_join(helper, NULL), 0);
}

static void close_client(void)
{
    nbj_client_close(client);
}

static void reconnect_client(void)
{
    nbj_client_reconnect(client); /* there is no connection yet */
}

static void test_calls_while_asked(void **state)
{
    (void)state;
    on_asked = reconnect_client;
    hold = true;
    open_client(0);
    hold = false;
    SERVE_UNTIL(connected == 1);
    nbj_client_release(client);

    on_asked = close_client;
    hold = true;
    open_client(0);
    hold = false;
    SERVE_UNTIL(closed == 1);
    assert_int_equal(connected, 1);
    nbj_client_release(client);
}

/* The client ends in the very callback; its memory is gone when its threads are. */
static void release_client(void)
{
    nbj_client_release(client);
}

static bool nothing_is_left(void)
{
    pthread_mutex_lock(&mem.lock);
    bool nothing = mem.live_blocks == 0;
    pthread_mutex_unlock(&mem.lock);
    return nothing;
}

static void test_release_in_the_callback(void **state)
{
    (void)state;
    on_asked = release_client;
    hold = true;
    open_client(0);
    hold = false;
    SERVE_UNTIL(answered == 1 && nothing_is_left());
    assert_int_equal(connected + closed + failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asked_on_its_thread, begin, end),
        cmocka_unit_test_setup_teardown(test_late_answer, begin, end),
        cmocka_unit_test_setup_teardown(test_refused_then_granted, begin, end),
        cmocka_unit_test_setup_teardown(test_release_while_asked, begin, end),
        cmocka_unit_test_setup_teardown(test_calls_while_asked, begin, end),
        cmocka_unit_test_setup_teardown(test_release_in_the_callback, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
