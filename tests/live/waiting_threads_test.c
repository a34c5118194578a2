/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that wait, and what others cause meanwhile: whoever leads has to learn of it. */
#define _GNU_SOURCE
#include "server.h"
#include "support/check.h"

#include <nbj/nbj.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define LATE NBJ_SECONDS(1) /* far more than any wake-up takes, far less than what is slept without one */

static ts_server *server;

static int start(void **state)
{
    (void)state;
    server = ts_server_start(&(ts_server_options){ .jetstream = true, .config = "max_payload: 8MB\n" });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ts_server_free(server);
    return 0;
}

static nbj_client *open_client(const nbj_client_options *options)
{
    nbj_client_options o = *options;
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    if (o.url == NULL)
        o.url = ts_server_url(server);
    o.struct_size = sizeof o;
    if (nbj_client_open(&c, &o, &error) != NBJ_OK)
        TS_FAIL("no client: %s", error.text);
    return c;
}
#define OPEN(...) open_client(NBJ_CLIENT_OPTIONS(__VA_ARGS__))

static nbj_sub *subscribe(nbj_client *c, const char *subject)
{
    nbj_sub *sub = NULL;

    assert_int_equal(nbj_subscribe(c, subject, NULL, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_flush(c, NBJ_SECONDS(5)), NBJ_OK);
    return sub;
}

/* --- a thread that waits for a message that does not come, and so leads --- */

typedef struct idler {
    pthread_t thread;
    nbj_sub *sub;
    uint64_t timeout_ns;
    nbj_status status;
    nbj_time took;
} idler;

static void *idle(void *arg)
{
    idler *i = arg;
    nbj_msg *msg = NULL;
    nbj_time began = ts_now();

    i->status = nbj_sub_next(i->sub, i->timeout_ns, &msg);
    i->took = ts_now() - began;
    nbj_msg_release(msg);
    return NULL;
}

/* A server sends its first PING after two seconds; then nothing wakes a leader for long. */
static void await_quiet(nbj_client *c)
{
    nbj_time until = ts_now() + NBJ_MILLIS(2600);

    while (ts_now() < until)
        assert_int_equal(nbj_flush(c, NBJ_SECONDS(5)), NBJ_OK);
}

static void begin_idle(idler *i, nbj_client *c, uint64_t timeout_ns)
{
    *i = (idler){ .sub = subscribe(c, "nothing.comes"), .timeout_ns = timeout_ns };
    await_quiet(c);
    assert_int_equal(pthread_create(&i->thread, NULL, idle, i), 0);
    for (int n = 0; n < 100; n++) /* it waits by then; a late one only makes the test easier */
        ts_breathe();
}

static void end_idle(idler *i, nbj_client *c)
{
    nbj_client_close(c);
    assert_int_equal(pthread_join(i->thread, NULL), 0);
    assert_int_equal(i->status, NBJ_E_ENDED);
    nbj_sub_release(i->sub);
}

static void test_a_request_keeps_its_deadline_while_another_thread_leads(void **state)
{
    nbj_client *c = OPEN(.url = NULL);
    nbj_client *other = OPEN(.url = NULL);
    nbj_sub *silent = subscribe(other, "silent");
    nbj_msg *reply = NULL;
    idler i;

    (void)state;
    begin_idle(&i, c, NBJ_SECONDS(60));
    nbj_time began = ts_now();
    assert_int_equal(nbj_request(c, "silent", nbj_str(""), NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(100)), &reply),
                     NBJ_E_TIMEOUT);
    assert_true(ts_now() - began < LATE);
    end_idle(&i, c);
    nbj_sub_release(silent);
    nbj_client_release(other);
    nbj_client_release(c);
}

static atomic_uint outcomes;

static void on_outcome(void *user, const nbj_publish_result *result)
{
    (void)user;
    (void)result;
    outcomes++;
}

static void test_an_asynchronous_publish_keeps_its_deadline(void **state)
{
    nbj_client *c = OPEN(.url = NULL);
    nbj_client *other = OPEN(.url = NULL);
    nbj_sub *silent = subscribe(other, "silent");

    (void)state;
    await_quiet(c);
    outcomes = 0;
    assert_int_equal(
        nbj_publish_async(c, "silent", nbj_str(""), NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(100)), on_outcome, NULL),
        NBJ_OK);
    WAIT_UNTIL(outcomes == 1, 1000);
    nbj_sub_release(silent);
    nbj_client_release(other);
    nbj_client_release(c);
}

/* --- a message larger than the socket takes at once, by a thread that does not lead --- */

static char large[7 << 20];

static void *request_large(void *client)
{
    nbj_msg *reply = NULL;

    (void)!nbj_request(client, "large", nbj_view(large, sizeof large), NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(30)),
                       &reply);
    nbj_msg_release(reply);
    return NULL;
}

static void test_what_a_full_socket_leaves_is_written_by_whoever_leads(void **state)
{
    nbj_client *c = OPEN(.url = NULL);
    nbj_client *other = OPEN(.url = NULL);
    nbj_sub *sub = subscribe(other, "large");
    nbj_msg *msg = NULL;
    pthread_t thread;
    idler i;

    (void)state;
    begin_idle(&i, c, NBJ_SECONDS(60));
    ts_server_pause(server);
    assert_int_equal(pthread_create(&thread, NULL, request_large, c), 0);
    for (int n = 0; n < 200; n++)
        ts_breathe();
    ts_server_cont(server);
    assert_int_equal(nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_OK);
    assert_int_equal(nbj_msg_data(msg).len, sizeof large);
    nbj_msg_release(msg);
    end_idle(&i, c);
    assert_int_equal(pthread_join(thread, NULL), 0);
    nbj_sub_release(sub);
    nbj_client_release(other);
    nbj_client_release(c);
}

/* --- room in the outgoing buffer --- */

#define ROUNDS 40

typedef struct sender {
    nbj_client *client;
    pthread_barrier_t *barrier;
    nbj_time slowest;
    unsigned failed;
} sender;

static void *send_in_step(void *arg)
{
    sender *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(s->barrier);
        nbj_time began = ts_now();
        s->failed += nbj_send(s->client, "sink", nbj_view(large, 600000), NULL) != NBJ_OK;
        if (ts_now() - began > s->slowest)
            s->slowest = ts_now() - began;
    }
    return NULL;
}

/* Only one of both fits in, and nothing follows that would tell of the room by chance. */
static void test_who_waits_for_room_is_told_of_it(void **state)
{
    nbj_client *c = OPEN(.wait_when_full = true, .max_outgoing_bytes = 1000000, .write_timeout_ns = NBJ_SECONDS(3));
    pthread_barrier_t barrier;
    pthread_t thread;
    sender a = { .client = c, .barrier = &barrier };
    sender b = a;

    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_in_step, &a), 0);
    send_in_step(&b);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(a.failed + b.failed, 0);
    assert_true(a.slowest < NBJ_SECONDS(2) && b.slowest < NBJ_SECONDS(2));
    nbj_client_release(c);
}

/* --- the end --- */

static void test_who_waits_for_a_message_learns_that_the_client_was_given_back(void **state)
{
    (void)state;
    for (int n = 0; n < 5; n++) {
        nbj_client *c =
            OPEN(.url = "nats://127.0.0.1:1", .retry_first_connect = true, .reconnect_first_ns = NBJ_SECONDS(8));
        idler i = { .timeout_ns = NBJ_SECONDS(8) };
        assert_int_equal(nbj_subscribe(c, "nothing.comes", NULL, NULL, NULL, &i.sub), NBJ_OK);
        assert_int_equal(pthread_create(&i.thread, NULL, idle, &i), 0);
        for (int k = 0; k < 50; k++)
            ts_breathe();
        nbj_client_release(c);
        assert_int_equal(pthread_join(i.thread, NULL), 0);
        assert_int_equal(i.status, NBJ_E_ENDED);
        assert_true(i.took < NBJ_SECONDS(4));
        nbj_sub_release(i.sub);
    }
}

static atomic_uint closed, ended_after;

static void note_closed(void *user, nbj_client *c, const nbj_event *event)
{
    (void)user;
    (void)c;
    closed += event->type == NBJ_EVENT_CLOSED;
}

static void note_end(void *user, nbj_sub *sub, nbj_status why)
{
    (void)user;
    (void)sub;
    (void)why;
    ended_after += closed;
}

static void ignore(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    (void)msg;
}

static uint64_t cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NBJ_SECONDS(1) + (uint64_t)t.tv_nsec;
}

static void test_a_closed_client_rests(void **state)
{
    nbj_client *c = OPEN(.on_event = note_closed);
    nbj_sub *sub = NULL;

    (void)state;
    closed = 0;
    assert_int_equal(nbj_subscribe(c, "nothing.comes", NULL, ignore, NULL, &sub), NBJ_OK);
    nbj_client_close(c);
    WAIT_UNTIL(closed == 1, 5000);
    uint64_t before = cpu_time();
    for (int n = 0; n < 300; n++)
        ts_breathe();
    assert_true(cpu_time() - before < NBJ_MILLIS(60));
    nbj_sub_release(sub);
    nbj_client_release(c);
}

static void test_nothing_is_told_after_closed(void **state)
{
    nbj_client *c = OPEN(.on_event = note_closed);
    nbj_msg *msg = NULL;
    nbj_sub *sub = NULL;

    (void)state;
    closed = ended_after = 0;
    assert_int_equal(nbj_subscribe(c, "own", NBJ_SUB(.on_end = note_end), NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_send(c, "own", nbj_str("1"), NULL), NBJ_OK);
    assert_int_equal(nbj_flush(c, NBJ_SECONDS(5)), NBJ_OK);
    nbj_client_close(c);
    WAIT_UNTIL(closed == 1, 5000);
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_OK);
    nbj_msg_release(msg);
    for (int n = 0; n < 50; n++)
        ts_breathe();
    nbj_sub_release(sub);
    nbj_client_release(c);
    assert_int_equal(closed, 1);
    assert_int_equal(ended_after, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_keeps_its_deadline_while_another_thread_leads),
        cmocka_unit_test(test_an_asynchronous_publish_keeps_its_deadline),
        cmocka_unit_test(test_what_a_full_socket_leaves_is_written_by_whoever_leads),
        cmocka_unit_test(test_who_waits_for_room_is_told_of_it),
        cmocka_unit_test(test_who_waits_for_a_message_learns_that_the_client_was_given_back),
        cmocka_unit_test(test_a_closed_client_rests),
        cmocka_unit_test(test_nothing_is_told_after_closed),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
