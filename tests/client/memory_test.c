/* SPDX-License-Identifier: Apache-2.0 */
/* Public calls whose allocations fail: the status says so, outputs are NULL, callbacks are not called for what did not
 * begin, nothing leaks; and a client in the middle of everything goes on after one failure. */
#define _GNU_SOURCE
#include "client/fixture.h"

static served s;
static heard heards[8];
static outcome outcomes[32];

static void ignore_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)user;
    (void)pull;
    (void)!nbj_ack(msg); /* without memory it comes again */
}

/* --- single calls --- */

static nbj_sub *sub;
static nbj_pull *pull;

static nbj_status do_subscribe(void)
{
    sub = (nbj_sub *)&s;
    nbj_status st =
        nbj_subscribe(s.client, "a", NBJ_SUB(.queue_group = "q", .max_messages = 4), heard_msg, &heards[0], &sub);
    assert_int_equal(sub != NULL, st == NBJ_OK);
    return st;
}

static nbj_status do_send(void)
{
    return nbj_send(s.client, "a", nbj_str("x"), NULL);
}

static nbj_status do_request(void)
{
    return nbj_request_async(s.client, "svc", nbj_str("x"), NULL, heard_reply, &heards[0]);
}

static nbj_status do_request_many(void)
{
    return nbj_request_many_async(s.client, "svc", nbj_str("x"), NULL, heard_reply, &heards[0]);
}

static nbj_status do_flush(void)
{
    return nbj_flush_async(s.client, 0, heard_flush, &heards[0]);
}

static nbj_status do_publish(void)
{
    return nbj_publish_async(s.client, "js.x", nbj_str("x"), NULL, heard_outcome, &outcomes[0]);
}

static nbj_status do_publish_with_headers(void)
{
    return nbj_publish_async(s.client, "js.x", nbj_str("x"),
                             NBJ_PUBLISH(.expect_stream = "S", .rollup = NBJ_ROLLUP_ALL), heard_outcome, &outcomes[0]);
}

static nbj_status do_pending(void)
{
    nbj_pending *list = (nbj_pending *)&s;
    nbj_status st = nbj_publish_pending(s.client, &list);

    assert_int_equal(list != NULL, st == NBJ_OK);
    nbj_pending_release(list);
    return st;
}

static nbj_status do_ensure(void)
{
    return nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S"), NULL, heard_done, &heards[0]);
}

static void heard_info(void *user, nbj_status status, const nbj_stream_info *info, const nbj_error *error)
{
    assert_int_equal(info != NULL, status == NBJ_OK);
    heard_done(user, status, error);
}

static void heard_names(void *user, nbj_status status, const nbj_names *names, const nbj_error *error)
{
    assert_int_equal(names != NULL, status == NBJ_OK);
    heard_done(user, status, error);
}

static void heard_list(void *user, nbj_status status, nbj_stream_iter *streams, const nbj_error *error)
{
    assert_int_equal(streams != NULL, status == NBJ_OK);
    heard_done(user, status, error);
}

static void heard_purge(void *user, nbj_status status, uint64_t purged, const nbj_error *error)
{
    (void)purged;
    heard_done(user, status, error);
}

static void heard_account(void *user, nbj_status status, const nbj_account_info *info, const nbj_error *error)
{
    assert_int_equal(info != NULL, status == NBJ_OK);
    heard_done(user, status, error);
}

static nbj_status do_create(void)
{
    return nbj_stream_create_async(s.client, NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST("js.>")), NULL,
                                   heard_info, &heards[0]);
}

static nbj_status do_info(void)
{
    return nbj_stream_info_of_async(s.client, "S", NBJ_STREAM_INFO(.subjects_filter = ">"), NULL, heard_info,
                                    &heards[0]);
}

static nbj_status do_names(void)
{
    return nbj_stream_names_async(s.client, "a", NULL, heard_names, &heards[0]);
}

static nbj_status do_list(void)
{
    return nbj_stream_list_async(s.client, "a", NULL, heard_list, &heards[0]);
}

static nbj_status do_purge(void)
{
    return nbj_stream_purge_async(s.client, "S", NBJ_PURGE(.keep = 1), NULL, heard_purge, &heards[0]);
}

static nbj_status do_account(void)
{
    return nbj_account_info_of_async(s.client, NULL, heard_account, &heards[0]);
}

static nbj_status do_pull(void)
{
    pull = (nbj_pull *)&s;
    nbj_status st =
        nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "C"), ignore_delivery, NULL, &pull);
    assert_int_equal(pull != NULL, st == NBJ_OK);
    return st;
}

static const struct {
    const char *name;
    nbj_status (*fn)(void);
    bool may_begin; /* a failure inside is got over later, without saying so */
} calls[] = {
    { "subscribe", do_subscribe, false },
    { "send", do_send, false },
    { "request", do_request, false },
    { "request many", do_request_many, false },
    { "flush", do_flush, false },
    { "publish", do_publish, false },
    { "ensure", do_ensure, false },
    { "pull", do_pull, true },
    { "create", do_create, false },
    { "info", do_info, false },
    { "names", do_names, false },
    { "list", do_list, false },
    { "purge", do_purge, false },
    { "account", do_account, false },
    { "publish with headers", do_publish_with_headers, false },
    { "pending", do_pending, false },
};

static bool try_call(size_t i, size_t n)
{
    memset(heards, 0, sizeof heards);
    memset(outcomes, 0, sizeof outcomes);
    sub = NULL;
    pull = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.publish_max_messages = 4));
    served_settle(&s);
    s.mem.fail_at = s.mem.calls + n;
    nbj_status st = calls[i].fn();
    bool failed = s.mem.failed > 0;
    s.mem.fail_at = TS_NEVER_FAIL;
    if (!calls[i].may_begin || !failed)
        CHECK(calls[i].name, st == (failed ? NBJ_E_NOMEM : NBJ_OK));
    served_settle(&s);
    if (st != NBJ_OK)
        CHECK(calls[i].name, heards[0].calls + outcomes[0].calls == 0 && calls[i].fn() == NBJ_OK);
    served_settle(&s);
    assert_string_equal(s.trail, "C");
    nbj_sub_release(sub);
    nbj_pull_release(pull);
    served_end(&s);
    return failed;
}

static void test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t n = 0;
        while (try_call(i, n))
            n++;
        CHECK(calls[i].name, n > 0 || calls[i].fn == do_send || calls[i].fn == do_flush);
    }
}

/* What an iterator could not copy is told at its end. */
static void test_list(void **state)
{
    (void)state;
    bool failed = true;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    for (size_t n = 0; failed; n++) {
        nbj_error error = { 0 };
        size_t before = s.mem.failed;
        s.mem.fail_at = s.mem.calls + n;
        nbj_stream_iter *it = nbj_stream_list(s.client, "a", NBJ_CALL(.domain = "d"));
        assert_null(nbj_stream_next(it));
        failed = s.mem.failed > before;
        s.mem.fail_at = TS_NEVER_FAIL;
        assert_int_equal(nbj_stream_iter_end(it, &error), failed ? NBJ_E_NOMEM : NBJ_E_WOULD_BLOCK);
        assert_int_equal(error.status, failed ? NBJ_E_NOMEM : NBJ_E_WOULD_BLOCK);
    }
    served_end(&s);
}

/* --- everything at once --- */

static void answer(void *user, nbj_sub *unused, const nbj_msg *msg)
{
    char reply[128];

    (void)user;
    (void)unused;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(s.client, reply, nbj_str("pong"), NULL);
}

typedef struct started {
    unsigned heards, outcomes;
    nbj_sub *service, *queue;
    nbj_pull *pull;
} started;

static void act(started *t, unsigned step)
{
    heard *h = &heards[t->heards];
    nbj_bytes data = nbj_str("x");

    if (t->service == NULL)
        (void)!nbj_subscribe(s.client, "svc", NULL, answer, NULL, &t->service);
    if (t->queue == NULL)
        (void)!nbj_subscribe(s.client, "q", NULL, NULL, NULL, &t->queue);
    if (t->pull == NULL)
        (void)!nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "C", .batch = 2), ignore_delivery,
                              NULL, &t->pull);
    if (step == 2)
        t->heards += nbj_request_async(s.client, "svc", data, NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(50)), heard_reply,
                                       h) == NBJ_OK;
    if (step == 3)
        t->heards +=
            nbj_request_many_async(s.client, "svc", data, NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(50), .max_replies = 1),
                                   heard_reply, h) == NBJ_OK;
    if (step == 4)
        t->heards += nbj_flush_async(s.client, NBJ_MILLIS(50), heard_flush, h) == NBJ_OK;
    if (step == 5)
        t->heards += nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S"),
                                             NBJ_CALL(.timeout_ns = NBJ_MILLIS(50)), heard_done, h) == NBJ_OK;
    if (step == 6)
        loopback_drop(&s.server, false);
    if (step % 2 == 1)
        (void)!nbj_send(s.client, "q", data, NULL);
    if (t->queue != NULL)
        nbj_msg_release(ts_next(t->queue));
    t->outcomes += nbj_publish_async(s.client, "js.x", data, NULL, heard_outcome, &outcomes[t->outcomes]) == NBJ_OK;
}

/* Whether allocation |n| of the run was refused. */
static bool converse(size_t n)
{
    started t = { 0 };

    memset(heards, 0, sizeof heards);
    memset(outcomes, 0, sizeof outcomes);
    memset(&s, 0, sizeof s);
    ts_alloc_init(&s.mem, n, false);
    loopback_open(&s.server);
    const nbj_client_options *o = NBJ_CLIENT_OPTIONS(.retry_first_connect = true, .publish_max_messages = 16);
    if (served_try_open(&s, o) != NBJ_OK)
        assert_int_equal(served_try_open(&s, o), NBJ_OK);
    TURN_UNTIL(&s, nbj_client_is_connected(s.client));
    for (unsigned step = 0; step < 10; step++) {
        act(&t, step);
        for (int i = 0; i < 3; i++)
            (void)served_turn(&s);
    }
    TURN_UNTIL(&s, nbj_client_is_connected(s.client) && nbj_publish_unfinished(s.client) == 0);
    TURN_UNTIL(&s, nbj_pull_state_of(t.pull) == NBJ_PULL_RUNNING);
    bool failed = s.mem.failed > 0;
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    for (unsigned i = 0; i < COUNT(heards); i++)
        assert_int_equal(heards[i].calls, i < t.heards); /* one end each */
    for (unsigned i = 0; i < COUNT(outcomes); i++) {
        assert_int_equal(outcomes[i].calls, i < t.outcomes);
        assert_true(i >= t.outcomes || outcomes[i].what == NBJ_STORED);
    }
    assert_int_equal(s.server.mini.stored_count, t.outcomes);
    nbj_sub_release(t.service);
    nbj_sub_release(t.queue);
    nbj_pull_release(t.pull);
    served_end(&s);
    return failed;
}

static void test_conversation(void **state)
{
    (void)state;
    size_t n = 0;
    while (converse(n))
        n++;
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
