/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that come and go, a thousand times: descriptors, threads and memory are back where they were, whatever was
 * pending at the end. */
#define _GNU_SOURCE

#include "alloc_fail.h"
#include "port.h"
#include "server.h"
#include "threads.h"

#include <malloc.h>

#define WARM_UP 20        /* cycles until libraries and thread stacks have what they keep */
#define HEAP_SLACK 16000u /* octets: less than one block of each of a thousand cycles */

typedef struct footprint {
    size_t descriptors, threads, heap;
} footprint;

static footprint now(void)
{
    return (footprint){ th_descriptors(), th_threads(), mallinfo2().uordblks };
}

static void check_footprint(const char *name, const footprint *before, unsigned cycles)
{
    WAIT_UNTIL(th_threads() == before->threads, 5000); /* a joined thread leaves /proc a moment later */
    footprint after = now();

    CHECK(name, after.descriptors == before->descriptors);
    if (after.heap > before->heap + HEAP_SLACK)
        TS_FAIL("%s: %zu octets more after %u cycles", name, after.heap - before->heap, cycles);
}

typedef struct setting {
    ts_server *server;
    ts_alloc alloc;
    th_events events;
    atomic_uint outcomes; /* of asynchronous calls */
    ts_port closed;       /* nobody listens */
} setting;

static nbj_client *open_client(setting *s)
{
    return th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s->server), .alloc = &s->alloc.allocator,
                                      .on_event = th_on_event, .user_data = &s->events,
                                      .reconnect_first_ns = NBJ_MILLIS(1), .reconnect_max_ns = NBJ_MILLIS(10)));
}

/* --- what a cycle may be --- */

static void open_and_release(setting *s)
{
    nbj_client_release(open_client(s));
}

static void open_and_close(setting *s)
{
    unsigned closed = th_count(&s->events, NBJ_EVENT_CLOSED);
    nbj_client *c = open_client(s);

    nbj_client_close(c);
    WAIT_UNTIL(th_count(&s->events, NBJ_EVENT_CLOSED) == closed + 1, 5000);
    nbj_client_release(c);
}

static void refused(setting *s)
{
    char url[64];
    nbj_client *c;
    nbj_error error;

    snprintf(url, sizeof url, "nats://127.0.0.1:%u", s->closed.number);
    assert_int_equal(nbj_client_open(&c,
                                     NBJ_CLIENT_OPTIONS(.url = url, .alloc = &s->alloc.allocator,
                                                        .on_event = th_on_event, .user_data = &s->events),
                                     &error),
                     NBJ_E_REFUSED);
    assert_null(c);
}

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    setting *s = user;

    (void)status;
    (void)reply;
    atomic_fetch_add(&s->outcomes, 1);
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)round_trip_ns;
    on_reply(user, status, NULL);
}

static void on_result(void *user, const nbj_publish_result *result)
{
    (void)result;
    on_reply(user, NBJ_OK, NULL);
}

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    (void)msg;
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)user;
    (void)pull;
    (void)!nbj_ack(msg);
}

/* Everything is under way when the client ends; how it ends changes from cycle to cycle. */
static void end_with_all_pending(setting *s)
{
    static unsigned cycle;
    nbj_client *c = open_client(s);
    nbj_sub *read = NULL, *called = NULL;
    nbj_pull *pull = NULL;
    nbj_msg *kept = NULL;

    atomic_store(&s->outcomes, 0);
    assert_int_equal(nbj_subscribe(c, "leak.read", NULL, NULL, NULL, &read), NBJ_OK);
    assert_int_equal(nbj_subscribe(c, "leak.called", NULL, on_msg, NULL, &called), NBJ_OK);
    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "LEAK", .durable = "d"), on_delivery, s, &pull),
                     NBJ_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(nbj_send(c, "leak.read", nbj_str("text"), NULL), NBJ_OK);
        assert_int_equal(nbj_send(c, "leak.called", nbj_str("text"), NULL), NBJ_OK);
        assert_int_equal(nbj_publish_async(c, "stored.x", nbj_str("text"), NULL, on_result, s), NBJ_OK);
    }
    assert_int_equal(nbj_request_async(c, "leak.read", nbj_str("?"), NULL, on_reply, s), NBJ_OK);
    assert_int_equal(nbj_request_many_async(c, "leak.read", nbj_str("?"), NULL, on_reply, s), NBJ_OK);
    assert_int_equal(nbj_flush_async(c, 0, on_flushed, s), NBJ_OK);
    assert_int_equal(nbj_sub_next(read, NBJ_SECONDS(5), &kept), NBJ_OK);
    if (cycle % 4 == 0) {
        nbj_client_close(c);
        WAIT_UNTIL(atomic_load(&s->outcomes) == 23, 5000);
    } else if (cycle % 4 == 1) {
        nbj_client_reconnect(c);
    }
    nbj_client *after = cycle % 2 == 0 ? c : NULL; /* the client goes before, or after, what it holds */
    if (after == NULL)
        nbj_client_release(c);
    nbj_sub_release(read);
    nbj_sub_release(called);
    nbj_pull_release(pull);
    nbj_client_release(after);
    nbj_msg_release(kept);
    cycle++;
}

static void repeat(const char *name, void (*cycle)(setting *s), unsigned count)
{
    setting *s = calloc(1, sizeof *s);

    s->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    s->closed = ts_port_reserve();
    th_make_stream(ts_server_port(s->server), "LEAK", "stored.>", 1);
    ts_alloc_init(&s->alloc, TS_NEVER_FAIL, false);
    for (unsigned i = 0; i < WARM_UP; i++)
        cycle(s);
    footprint before = now();
    for (unsigned i = 0; i < count; i++)
        cycle(s);
    check_footprint(name, &before, count);
    ts_alloc_done(&s->alloc);
    ts_port_release(&s->closed);
    ts_server_free(s->server);
    free(s);
}

static void test_open_and_release(void **state)
{
    (void)state;
    repeat("open and release", open_and_release, th_amount(1000));
}

static void test_open_and_close(void **state)
{
    (void)state;
    repeat("open and close", open_and_close, th_amount(300));
}

static void test_refused(void **state)
{
    (void)state;
    repeat("refused", refused, th_amount(1000));
}

static void test_all_pending(void **state)
{
    (void)state;
    repeat("all pending", end_with_all_pending, th_amount(300));
}

/* --- one client that reconnects --- */

static void reconnect_times(setting *s, nbj_client *c, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        unsigned before = th_count(&s->events, NBJ_EVENT_RECONNECTED);
        nbj_client_reconnect(c);
        WAIT_UNTIL(th_count(&s->events, NBJ_EVENT_RECONNECTED) > before, 5000);
    }
}

static void test_reconnects(void **state)
{
    setting *s = calloc(1, sizeof *s);
    nbj_sub *sub;
    unsigned count = th_amount(1000);

    (void)state;
    s->server = ts_server_start(NULL);
    ts_alloc_init(&s->alloc, TS_NEVER_FAIL, false);
    nbj_client *c = open_client(s);
    assert_int_equal(nbj_subscribe(c, "leak.>", NULL, on_msg, NULL, &sub), NBJ_OK);
    reconnect_times(s, c, WARM_UP);
    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    footprint before = now();
    size_t live = s->alloc.live_bytes;
    reconnect_times(s, c, count);
    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    check_footprint("reconnects", &before, count);
    CHECK("the client is no larger than before", s->alloc.live_bytes <= live + HEAP_SLACK);
    assert_int_equal(nbj_client_stats_of(c).reconnects, WARM_UP + count);
    nbj_sub_release(sub);
    nbj_client_release(c);
    ts_alloc_done(&s->alloc);
    ts_server_free(s->server);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_release), cmocka_unit_test(test_open_and_close), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_pending),      cmocka_unit_test(test_reconnects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
