/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose allocations fail: each call says so and leaves nothing behind, and whatever fails in the middle of a
 * conversation, the session goes on or ends as it should. */
#include "conn/fixture.h"
#include "conn/mini_server.h"

static fixture f;

/* --- the constructor --- */

static nbj_status make(const nbj_allocator *alloc, void *ctx)
{
    nbj__session *s = (nbj__session *)ctx;
    nbj_error error = { 0 };
    nbj__session_options o = { .alloc = alloc,
                               .urls = nbj_str("u:p%20w@a,tok%65n@b,tls://c"),
                               .name = nbj_str("name"),
                               .user = nbj_str("user"),
                               .password = nbj_str("password"),
                               .token = nbj_str("token"),
                               .inbox_prefix = nbj_str("my.inbox") };

    nbj_status st = nbj__session_new(&s, &o, FIX_START, &error);
    assert_int_equal(st == NBJ_OK, s != NULL);
    assert_true(st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    nbj__session_free(s);
    return st;
}

static void test_new(void **state)
{
    (void)state;
    assert_true(alloc_sweep(make, &f) > 15);
}

/* --- single calls --- */

static nbj_status do_subscribe(void)
{
    nbj__subscription what = {
        .kind = NBJ__SUB_OF_APP, .subject = nbj_str("a.*"), .queue_group = nbj_str("q"), .max = 3
    };

    return nbj__session_subscribe(f.s, &f.sub[0], &what);
}

static nbj_status do_request(void)
{
    return fix_request(&f, 0, "svc", NBJ_SECONDS(1));
}

static nbj_status do_many(void)
{
    nbj__outgoing m = fix_out("svc", "?");
    nbj__many_options many = { .max = 3, .stall_ns = 5 };

    f.call[0].owner = NBJ__CALL_OF_APP;
    return nbj__session_request_many(f.s, &f.call[0], &m, &many, f.now + NBJ_SECONDS(1), f.now);
}

static nbj_status do_flush(void)
{
    return fix_flush(&f, 0, NBJ_SECONDS(1));
}

static nbj_status do_publish(void)
{
    return fix_publish(&f, "a", "payload");
}

static const struct {
    const char *name;
    nbj_status (*fn)(void);
    const char *after; /* events one second later */
} calls[] = {
    { "subscribe", do_subscribe, "" },       { "request", do_request, "DONE 0 E_TIMEOUT" },
    { "many", do_many, "DONE 0 E_TIMEOUT" }, { "flush", do_flush, "DONE 0 E_TIMEOUT" },
    { "publish", do_publish, "" },
};

/* Each allocation of a call fails once: the call says so, and works when it is made again. */
static void test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(calls); i++) {
        bool connected = i % 2 == 0;
        size_t refused = 0;
        for (size_t n = 0;; n++) {
            if (connected) {
                fix_connect(&f, NULL);
            } else {
                fix_open(&f, NULL);
                fix_pump(&f);
                f.events[0] = '\0';
            }
            f.mem.fail_at = f.mem.calls + n;
            nbj_status st = calls[i / 2].fn();
            size_t failed = f.mem.failed;
            f.mem.fail_at = TS_NEVER_FAIL;
            CHECK(calls[i / 2].name, st == (failed > 0 ? NBJ_E_NOMEM : NBJ_OK));
            fix_pump(&f);
            CHECK(calls[i / 2].name, f.events[0] == '\0');
            if (failed > 0)
                CHECK(calls[i / 2].name, calls[i / 2].fn() == NBJ_OK);
            fix_write(&f, SIZE_MAX);
            fix_advance(&f, NBJ_SECONDS(1));
            EVENTS(&f, calls[i / 2].after);
            fix_close(&f);
            refused += failed;
            if (failed == 0)
                break;
        }
        CHECK(calls[i / 2].name, refused > 0 || !connected);
    }
}

/* --- a conversation --- */

static mini_server server;

typedef struct talk {
    unsigned step, answers, connections;
    bool started[FIX_THINGS];
} talk;

static void start(talk *t, size_t i, nbj_status st)
{
    t->started[i] = st == NBJ_OK;
    assert_true(st == NBJ_OK || st == NBJ_E_NOMEM || st == NBJ_E_DRAINING || st == NBJ_E_CLOSED || st == NBJ_E_FULL);
}

/* What the application does in turn; later steps do not depend on earlier ones having worked. */
static void act(talk *t)
{
    nbj__outgoing m = fix_out("svc", "?");
    nbj__many_options many = { .max = 2, .stall_ns = NBJ_SECONDS(1) };
    nbj__subscription queue = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str("q"), .queued = true };

    f.call[4].owner = NBJ__CALL_OF_APP;
    switch (t->step++) {
    case 0:
        (void)fix_subscribe(&f, 0, "svc", 0);
        (void)nbj__session_subscribe(f.s, &f.sub[1], &queue);
        break;
    case 1:
        start(t, 0, fix_request(&f, 0, "svc", NBJ_SECONDS(2)));
        start(t, 1, fix_request(&f, 1, "nobody", NBJ_SECONDS(2)));
        break;
    case 2:
        start(t, 2, fix_flush(&f, 2, NBJ_SECONDS(2)));
        (void)fix_publish(&f, "q", "queued");
        break;
    case 3:
        start(t, 4, nbj__session_request_many(f.s, &f.call[4], &m, &many, f.now + NBJ_SECONDS(2), f.now));
        (void)fix_subscribe(&f, 2, "short", 1);
        (void)fix_publish(&f, "short", "1");
        break;
    case 4:
        mini_put(&server,
                 "INFO {\"headers\":true,\"max_payload\":900,\"connect_urls\":[\"h1:1\",\"h2:2\"]}\r\nPING\r\n");
        break;
    case 5:
        if (f.is_open)
            fix_lose(&f, NBJ_E_EOF);
        start(t, 5, fix_request(&f, 5, "svc", NBJ_SECONDS(2)));
        break;
    case 6:
        (void)nbj__session_sub_drain(f.s, &f.sub[1]);
        start(t, 6, fix_flush(&f, 6, NBJ_SECONDS(2)));
        break;
    case 7:
        (void)nbj__session_unsubscribe(f.s, &f.sub[2], 0);
        start(t, 7, fix_request(&f, 7, "svc", NBJ_SECONDS(2)));
        break;
    default:
        break;
    }
}

/* The service: answers requests, twice. */
static void serve(fixture *x, const nbj__event *ev)
{
    talk *t = x->user;

    if (ev->type == NBJ__EV_DIAL)
        t->connections++;
    if (ev->type == NBJ__EV_QUEUED)
        nbj_msg_release(nbj__session_take(x->s, ev->sub));
    if (ev->type != NBJ__EV_MSG || nbj_msg_reply(ev->msg).len == 0)
        return;
    nbj__outgoing m = { .subject = nbj_msg_reply(ev->msg), .payload = nbj_str("answer") };
    for (int i = 0; i < 2; i++)
        t->answers += nbj__session_publish(x->s, &m) == NBJ_OK;
}

/* The driver: one round of everything. */
static void turn(void)
{
    fix_pump(&f);
    f.events[0] = '\0';
    if (nbj__session_phase(f.s) == NBJ__PHASE_DIALING && f.is_open) {
        fix_dialed(&f);
        mini_accept(&server);
    }
    fix_write(&f, SIZE_MAX);
    mini_read(&server, nbj_view(f.raw, f.raw_len));
    f.raw_len = 0;
    uint8_t *at = NULL;
    size_t room = 0;
    nbj_status st = nbj__session_rx_space(f.s, &at, &room);
    if (st == NBJ_E_NOMEM) {
        fix_lose(&f, st);
    } else if (st == NBJ_OK) {
        size_t n = server.out_len < room ? server.out_len : room;
        memcpy(at, server.out, n);
        server.out_len = 0;
        if (n > 0)
            nbj__session_rx_commit(f.s, n);
        fix_pump(&f);
    }
    fix_advance(&f, NBJ_MILLIS(50));
}

/* The whole conversation with allocation |n| refused, and all later ones with |for_good|. Returns whether it got there. */
static bool converse(size_t n, bool for_good)
{
    talk t = { 0 };
    nbj__session_options o = { .retry_first_connect = true, .urls = nbj_str("h1:1") };

    memset(&server, 0, sizeof server);
    server.info = FIX_INFO;
    fix_init(&f);
    f.mem.fail_at = n;
    f.mem.fail_after = for_good;
    if (fix_try_open(&f, &o) != NBJ_OK) {
        ts_alloc_done(&f.mem);
        return true;
    }
    f.on_event = serve;
    f.user = &t;
    for (int i = 0; i < 400 && !f.saw_closed; i++) {
        turn();
        if (i % 8 == 7)
            act(&t);
        if (i == 200)
            nbj__session_drain(f.s, f.now, f.now + NBJ_SECONDS(5));
    }
    if (!for_good)
        assert_true(f.saw_closed); /* a drain ends by its deadline at the latest */
    f.on_event = NULL;
    if (!f.saw_closed)
        nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    for (size_t i = 0; i < FIX_THINGS; i++)
        assert_int_equal(f.done[i], t.started[i]); /* exactly one outcome each */
    if (f.mem.failed == 0) {
        assert_int_equal(t.connections, 2);
        assert_int_equal(t.answers, 8);
        for (size_t i = 0; i < 8; i++)
            assert_true(t.started[i] == (i != 3));
        assert_int_equal(f.call[0].status, NBJ_OK);
        assert_int_equal(f.call[1].status, NBJ_E_NO_RESPONDERS);
        assert_int_equal(f.call[4].status, NBJ_OK);
        assert_int_equal(f.call[7].status, NBJ_OK);
    }
    bool got_there = f.mem.failed > 0;
    fix_close(&f);
    return got_there;
}

static void test_conversation(void **state)
{
    (void)state;
    size_t n = 0;
    while (converse(n, false) && converse(n, true))
        n++;
    assert_true(n > 30);
}

/* One failure is survived: afterwards everything works. */
static void test_recovery(void **state)
{
    (void)state;
    for (size_t n = 0; n < 100; n++) {
        talk t = { 0 };
        nbj__session_options o = { .retry_first_connect = true, .urls = nbj_str("h1:1") };
        memset(&server, 0, sizeof server);
        server.info = FIX_INFO;
        fix_open(&f, &o);
        f.mem.fail_at = f.mem.calls + n;
        f.on_event = serve;
        f.user = &t;
        for (int i = 0; i < 100; i++) {
            turn();
            if (i == 10)
                (void)fix_subscribe(&f, 0, "svc", 0);
            if (i % 5 == 0)
                (void)fix_publish(&f, "svc", "x");
        }
        f.mem.fail_at = TS_NEVER_FAIL;
        if (f.sub[0].subject == NULL)
            assert_int_equal(fix_subscribe(&f, 0, "svc", 0), NBJ_OK);
        assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_READY);
        assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(5)), NBJ_OK);
        for (int i = 0; i < 20; i++)
            turn();
        assert_int_equal(f.done[0], 1);
        assert_int_equal(f.call[0].status, NBJ_OK);
        f.on_event = NULL;
        bool last = f.mem.failed == 0;
        fix_close(&f);
        if (last)
            return;
    }
    TS_FAIL("no end of allocations");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
