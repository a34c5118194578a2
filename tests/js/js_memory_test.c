/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing into a stream and consuming it while allocations fail, one at a time and all from one on: every message has
 * one outcome, what is reported as stored is stored once and delivered, nothing leaks. */
#include "conn/fixture.h"
#include "conn/mini_server.h"
#include "js/publish.h"
#include "js/pull.h"

#define MESSAGES 12u

static fixture f;
static mini_server server;
static nbj__publisher publisher;
static nbj__pull pull;
static bool has_pull;
static unsigned published, delivered[MINI_STORED];
static unsigned outcome_count[MESSAGES];
static nbj__publish_outcome outcome[MESSAGES];
static unsigned numbers[MESSAGES];

static void told(void)
{
}

static void note(const nbj__publish_result *r)
{
    unsigned i = *(unsigned *)r->user.data;

    outcome_count[i]++;
    outcome[i] = r->outcome;
}

static void on_delivery(const nbj_msg *msg)
{
    nbj__delivery d;

    assert_int_equal(nbj__ack_subject_parse(nbj_msg_reply(msg), &d), NBJ_OK);
    delivered[d.stream_sequence - 1]++;
    (void)nbj__pull_settle(f.s, msg, nbj_view(NULL, 0)); /* without memory it comes again */
}

static void on_event(fixture *x, const nbj__event *ev)
{
    nbj__publish_result r;

    switch (ev->type) {
    case NBJ__EV_INBOX:
        if (nbj__publisher_on_reply(&publisher, ev->token, ev->msg, x->now, &r))
            note(&r);
        break;
    case NBJ__EV_MSG:
        if (nbj__pull_on_msg(&pull, ev->msg, x->now))
            on_delivery(ev->msg);
        break;
    case NBJ__EV_CALL_DONE:
        nbj__pull_on_call(&pull, ev, x->now);
        break;
    case NBJ__EV_SUB_ENDED:
        nbj__pull_on_sub_ended(&pull, x->now);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__publisher_on_connected(&publisher, x->now);
        if (has_pull)
            nbj__pull_on_connected(&pull, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__publisher_on_disconnected(&publisher);
        if (has_pull)
            nbj__pull_on_disconnected(&pull);
        break;
    case NBJ__EV_CLOSED:
        while (nbj__publisher_abandon(&publisher, &r))
            note(&r);
        break;
    default:
        break;
    }
}

static void start_pull(void)
{
    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C") };
    nbj__pull_options o = { .batch = 4 };
    nbj_status st = nbj__pull_init(&pull, f.s, &c, &o, NULL, f.now);

    assert_true(st == NBJ_OK || st == NBJ_E_NOMEM);
    has_pull = st == NBJ_OK;
}

static void publish(void)
{
    char payload[20];
    nbj__publish m = { .deadline = f.now + NBJ_SECONDS(20), .user = { told, &numbers[published] } };

    snprintf(payload, sizeof payload, "message %u", published);
    m.msg = fix_out("js.x", payload);
    numbers[published] = published;
    nbj_status st = nbj__publisher_publish(&publisher, &m, f.now);
    assert_true(st == NBJ_OK || st == NBJ_E_NOMEM);
    published += st == NBJ_OK;
}

static void timers(void)
{
    nbj__publish_result r;

    while (nbj__publisher_on_time(&publisher, f.now, &r))
        note(&r);
    if (has_pull)
        nbj__pull_on_time(&pull, f.now);
}

/* The driver: one round of everything. */
static void turn(void)
{
    uint8_t *at = NULL;
    size_t room = 0;

    fix_pump(&f);
    f.events[0] = '\0';
    if (nbj__session_phase(f.s) == NBJ__PHASE_DIALING && f.is_open) {
        fix_dialed(&f);
        mini_accept(&server);
    }
    fix_write(&f, SIZE_MAX);
    mini_read(&server, nbj_view(f.raw, f.raw_len));
    f.raw_len = 0;
    nbj_status st = nbj__session_rx_space(f.s, &at, &room);
    if (st == NBJ_E_NOMEM)
        fix_lose(&f, st);
    if (st == NBJ_OK && server.out_len > 0) {
        size_t n = server.out_len < room ? server.out_len : room;
        memcpy(at, server.out, n);
        server.out_len = 0;
        nbj__session_rx_commit(f.s, n);
        fix_pump(&f);
    }
    fix_advance(&f, NBJ_MILLIS(100));
    timers();
}

static void check(void)
{
    for (unsigned i = 0; i < published; i++) {
        char payload[20];
        unsigned copies = 0;
        snprintf(payload, sizeof payload, "message %u", i);
        for (size_t k = 0; k < server.stored_count; k++)
            copies += strcmp(server.stored[k].payload, payload) == 0;
        assert_int_equal(outcome_count[i], 1);
        assert_true(copies <= 1);
        if (outcome[i] == NBJ__STORED)
            assert_int_equal(copies, 1);
        if (outcome[i] == NBJ__REJECTED)
            assert_int_equal(copies, 0);
    }
}

static bool run(size_t n, bool for_good)
{
    nbj__session_options o = { .retry_first_connect = true };
    nbj__publish_options po = { .max_messages = 16 };

    memset(&server, 0, sizeof server);
    server.info = FIX_INFO;
    memset(delivered, 0, sizeof delivered);
    memset(outcome_count, 0, sizeof outcome_count);
    published = 0;
    fix_init(&f);
    f.mem.fail_at = n;
    f.mem.fail_after = for_good;
    nbj_status st = fix_try_open(&f, &o);
    if (st != NBJ_OK || nbj__publisher_init(&publisher, f.s, &po, NULL) != NBJ_OK) {
        nbj__publisher_free(&publisher);
        nbj__session_free(f.s);
        ts_alloc_done(&f.mem);
        return true;
    }
    f.on_event = on_event;
    start_pull();
    for (unsigned i = 0; i < 400; i++) {
        turn();
        if (!has_pull)
            start_pull();
        if (i % 7 == 0 && published < MESSAGES && !f.saw_closed)
            publish();
        if (i == 40 && f.is_open)
            fix_lose(&f, NBJ_E_EOF);
    }
    size_t unsettled = 0;
    for (size_t i = 0; i < server.stored_count; i++)
        unsettled += delivered[i] == 0;
    if (!for_good) { /* one failure is got over */
        assert_int_equal(published, MESSAGES);
        assert_int_equal(server.stored_count, MESSAGES);
        assert_int_equal(unsettled, 0);
        assert_true(nbj__publisher_is_idle(&publisher));
        assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    }
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    check();
    f.on_event = NULL;
    bool got_there = f.mem.failed > 0;
    nbj__pull_free(&pull);
    nbj__publisher_free(&publisher);
    fix_close(&f);
    return got_there;
}

static void test_stream_without_memory(void **state)
{
    (void)state;
    size_t n = 0;
    while (run(n, false)) {
        run(n, true);
        n++;
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
