/* SPDX-License-Identifier: Apache-2.0 */
/* The pull consumer: making sure of it, asking, what each status means, missing heartbeats: js/pull.h. */
#include "conn/fixture.h"
#include "js/pull.h"

#define CREATED "{\"type\":\"io.nats.jetstream.api.v1.consumer_create_response\",\"stream_name\":\"S\",\"name\":\"C\"}"
#define ASKS(batch, body)                                                      \
    "PUB $JS.API.CONSUMER.MSG.NEXT.S.C _INBOX.~ " body "\r\n{\"batch\":" batch \
    ",\"expires\":30000000000,\"idle_heartbeat\":5000000000}\r\n"
#define ASKS_10 ASKS("10", "62")

static fixture f;
static nbj__pull pull;
static unsigned deliveries;
static nbj__observer observer;

static void on_event(fixture *x, const nbj__event *ev)
{
    switch (ev->type) {
    case NBJ__EV_MSG:
        deliveries += nbj__pull_on_msg(&pull, ev->msg, x->now);
        break;
    case NBJ__EV_CALL_DONE:
        nbj__pull_on_call(&pull, ev, x->now);
        break;
    case NBJ__EV_SUB_ENDED:
        nbj__pull_on_sub_ended(&pull, x->now);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__pull_on_connected(&pull, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__pull_on_disconnected(&pull);
        break;
    default:
        break;
    }
}

static void seen(void *ctx, const nbj__machine *m, int from, int to)
{
    (void)ctx;
    assert_true(nbj__transition_is_legal(m, from, to));
}

static nbj_status init(const nbj__pull_options *o)
{
    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C"), .filter_subject = nbj_str("js.>") };

    deliveries = 0;
    observer = (nbj__observer){ seen, NULL };
    f.on_event = on_event;
    return nbj__pull_init(&pull, f.s, &c, o, &observer, f.now);
}

/* A pull that asks for 10, whose request to create the consumer was sent. */
static void begin(void)
{
    nbj__pull_options o = { .batch = 10 };

    fix_connect(&f, NULL);
    assert_int_equal(init(&o), NBJ_OK);
    assert_int_equal(pull.state, NBJ__PULL_CREATING);
    fix_sent(&f);
}

static void answer_create(const char *json)
{
    fix_msg(&f, 2, f.inbox, "", json);
}

static void run(void)
{
    begin();
    answer_create(CREATED);
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    SENT(&f, ASKS_10);
}

static void end(void)
{
    f.on_event = NULL;
    nbj__pull_free(&pull);
    nbj__pull_free(&pull);
    f.call[0] = (nbj__call){ 0 };
    fix_close(&f);
}

static void deliver(unsigned seq)
{
    char ack[100];

    snprintf(ack, sizeof ack, "$JS.ACK.S.C.1.%u.%u.1700000000000000000.3", seq, seq);
    fix_msg(&f, 1, "js.a", ack, "data");
}

static void status(const char *line, const char *more)
{
    fix_hmsg(&f, 1, "_INBOX.x", line, more);
}

static void advance(uint64_t ns)
{
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    fix_advance(&f, ns);
    nbj__pull_on_time(&pull, f.now);
    fix_pump(&f);
}

/* It asks again after a pause, which is at least |least| and never nothing. */
static void expect_pause(void)
{
    assert_int_equal(pull.state, NBJ__PULL_STALLED);
    SENT(&f, "");
    nbj_time due = nbj__pull_deadline(&pull);
    assert_true(due >= f.now + NBJ_MILLIS(250) && due < f.now + NBJ_MILLIS(500));
    advance(due - f.now - 1);
    assert_int_equal(pull.state, NBJ__PULL_STALLED);
    advance(1);
}

/* --- making sure of the consumer --- */

static void test_create(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(init(&(nbj__pull_options){ 0 }), NBJ_OK);
    SENT(
        &f,
        "SUB _INBOX.~ 1\r\nSUB _INBOX.~.* 2\r\nPUB $JS.API.CONSUMER.CREATE.S.C _INBOX.~.R00000000 238\r\n"
        "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\"name\":\"C\",\"deliver_policy\":\"all\",\"ack_policy\":"
        "\"explicit\",\"replay_policy\":\"instant\",\"ack_wait\":30000000000,\"max_deliver\":-1,\"max_ack_pending\":1000,"
        "\"filter_subject\":\"js.>\"},\"action\":\"create\"}\r\n");
    assert_int_equal(nbj__pull_deadline(&pull), NBJ_TIME_NEVER); /* the request has one */
    answer_create(CREATED);
    SENT(&f, ASKS("256", "63"));
    assert_int_equal(nbj__pull_deadline(&pull), f.now + NBJ_SECONDS(10)); /* two heartbeats */
    end();
}

static void test_options(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(init(&(nbj__pull_options){ .batch = 1, .expires_ns = 1000, .heartbeat_ns = 900 }), NBJ_OK);
    fix_sent(&f);
    answer_create(CREATED);
    SENT(&f,
         "PUB $JS.API.CONSUMER.MSG.NEXT.S.C _INBOX.~ 47\r\n{\"batch\":1,\"expires\":1000,\"idle_heartbeat\":500}\r\n");
    deliver(1);
    assert_int_equal(strncmp(fix_sent(&f), "PUB $JS.API.CONSUMER.MSG.NEXT", 29), 0);
    end();
}

static void test_illegal_names(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "a.b", "a b", "*", ">", "a/b" };
    fix_connect(&f, NULL);
    for (size_t i = 0; i < 2 * COUNT(bad); i++) {
        nbj__consumer_config c = { .stream = nbj_str(i % 2 == 0 ? bad[i / 2] : "S"),
                                   .durable = nbj_str(i % 2 == 0 ? "C" : bad[i / 2]) };
        CHECK(bad[i / 2], nbj__pull_init(&pull, f.s, &c, &(nbj__pull_options){ 0 }, NULL, f.now) == NBJ_E_INVALID);
        nbj__pull_free(&pull);
    }
    SENT(&f, "");
    fix_close(&f);
}

static const struct {
    const char *name, *answer; /* NULL: 503 */
    nbj__pull_state state;
    nbj_status why;
} creates[] = {
    { "another configuration",
      "{\"error\":{\"code\":400,\"err_code\":10148,\"description\":\"consumer already exists\"}}", NBJ__PULL_GONE,
      NBJ_E_EXISTS_DIFFERENT },
    { "no stream", "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}", NBJ__PULL_GONE,
      NBJ_E_STREAM_NOT_FOUND },
    { "not enabled",
      "{\"error\":{\"code\":503,\"err_code\":10039,\"description\":\"jetstream not enabled for account\"}}",
      NBJ__PULL_GONE, NBJ_E_JS_DISABLED },
    { "anything else", "{\"error\":{\"code\":400,\"err_code\":10093,\"description\":\"filter\"}}", NBJ__PULL_GONE,
      NBJ_E_JS },
    { "not now", "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"temporarily unavailable\"}}",
      NBJ__PULL_STALLED, NBJ_E_JS_UNAVAILABLE },
    { "nobody", NULL, NBJ__PULL_STALLED, NBJ_E_NO_RESPONDERS },
    { "nonsense", "?", NBJ__PULL_STALLED, NBJ_E_BAD_REPLY },
};

static void test_create_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(creates); i++) {
        begin();
        if (creates[i].answer != NULL)
            answer_create(creates[i].answer);
        else
            fix_hmsg(&f, 2, f.inbox, "503", "");
        CHECK(creates[i].name, pull.state == creates[i].state && pull.error.status == creates[i].why);
        CHECK(creates[i].name, pull.error.text[0] != '\0');
        if (creates[i].state == NBJ__PULL_STALLED) {
            expect_pause();
            CHECK(creates[i].name, pull.state == NBJ__PULL_CREATING);
            CHECK(creates[i].name, strncmp(fix_sent(&f), "PUB $JS.API.CONSUMER.CREATE.S.C", 31) == 0);
        } else {
            CHECK(creates[i].name, nbj__pull_deadline(&pull) == NBJ_TIME_NEVER);
            deliver(1); /* it is over */
            nbj__pull_on_connected(&pull, f.now);
            nbj__pull_stop(&pull);
            CHECK(creates[i].name, pull.state == NBJ__PULL_GONE && deliveries == 0);
        }
        end();
    }
}

static void test_create_timeout(void **state)
{
    (void)state;
    begin();
    fix_advance(&f, NBJ_SECONDS(5));
    assert_int_equal(pull.error.status, NBJ_E_TIMEOUT);
    expect_pause();
    assert_int_equal(pull.state, NBJ__PULL_CREATING);
    end();
}

static void test_before_the_first_connection(void **state)
{
    (void)state;
    nbj__pull_options o = { .batch = 10 };
    fix_open(&f, &(nbj__session_options){ .retry_first_connect = true, .connect_timeout_ns = NBJ_SECONDS(20) });
    assert_int_equal(init(&o), NBJ_OK);
    fix_pump(&f);
    fix_advance(&f, NBJ_SECONDS(5)); /* the request ran out */
    assert_int_equal(pull.state, NBJ__PULL_STALLED);
    nbj_time due = nbj__pull_deadline(&pull);
    fix_at(&f, due);
    nbj__pull_on_time(&pull, f.now);
    assert_int_equal(pull.state, NBJ__PULL_STALLED); /* the connection will wake it */
    assert_int_equal(nbj__pull_deadline(&pull), NBJ_TIME_NEVER);
    fix_shake(&f, FIX_INFO);
    assert_int_equal(pull.state, NBJ__PULL_CREATING);
    end();
}

/* --- asking --- */

static void test_keeps_half_a_batch_asked_for(void **state)
{
    (void)state;
    run();
    for (unsigned i = 1; i <= 4; i++)
        deliver(i);
    SENT(&f, "");
    deliver(5);
    SENT(&f, ASKS("5", "61"));
    assert_int_equal(pull.asked, 10);
    for (unsigned i = 6; i <= 10; i++)
        deliver(i);
    SENT(&f, ASKS("5", "61"));
    assert_int_equal(deliveries, 10);
    end();
}

static void test_more_than_asked_for(void **state)
{
    (void)state;
    nbj__pull_options o = { .batch = 10 };
    fix_connect(&f, &(nbj__session_options){ .max_outgoing_bytes = 400 });
    assert_int_equal(init(&o), NBJ_OK);
    for (unsigned i = 1; i <= 30; i++) /* from a pull of before */
        deliver(i);
    assert_int_equal(deliveries, 30);
    assert_int_equal(pull.asked, 0);
    end();
}

static void test_no_room_for_asking(void **state)
{
    (void)state;
    nbj__pull_options o = { .batch = 2 };
    fix_connect(&f, &(nbj__session_options){ .max_outgoing_bytes = 500 });
    assert_int_equal(init(&o), NBJ_OK);
    fix_sent(&f);
    while (fix_publish(&f, "a", "0123456789012345678901234567890123456789") == NBJ_OK)
        continue;
    answer_create(CREATED);
    assert_int_equal(pull.state, NBJ__PULL_STALLED);
    assert_int_equal(pull.error.status, NBJ_E_FULL);
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    expect_pause();
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    end();
}

/* --- statuses --- */

#define LEFT(n) "Nats-Pending-Messages: " n "\r\nNats-Pending-Bytes: 0\r\n"

static const struct {
    const char *name, *line, *more;
    const char *sent;      /* at once */
    nbj__pull_state state; /* then */
    nbj__pull_state next;  /* after the pause of a stall */
    nbj_status why;
} statuses[] = {
    { "heartbeat", "100 Idle Heartbeat", "Nats-Last-Consumer: 1\r\n", "", NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "no messages", "404 No Messages", "", ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "expired", "408 Request Timeout", LEFT("10"), ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "expired, partly filled", "408 Request Timeout", LEFT("7"), ASKS("7", "61"), NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "one of two expired", "408 Request Timeout", LEFT("3"), "", NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "more left than asked for", "408 Request Timeout", LEFT("18446744073709551615"), ASKS_10, NBJ__PULL_RUNNING, 0,
      NBJ_OK },
    { "what is left makes no sense", "408 Request Timeout", LEFT("-1"), ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "before 2.9.4", "408 Request Timeout", "", ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "others wait", "408 Requests Pending", "", ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "interest", "408 Interest Expired", LEFT("10"), ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "large message", "409 Message Size Exceeds MaxBytes", LEFT("10"), ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "batch", "409 Batch Completed", LEFT("0"), ASKS_10, NBJ__PULL_RUNNING, 0, NBJ_OK },
    { "shutdown", "409 Server Shutdown", LEFT("10"), "", NBJ__PULL_STALLED, NBJ__PULL_RUNNING, NBJ_E_JS_UNAVAILABLE },
    { "leader", "409 Leadership Change", "", "", NBJ__PULL_STALLED, NBJ__PULL_RUNNING, NBJ_E_JS_UNAVAILABLE },
    { "deleted", "409 Consumer Deleted", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_CONSUMER_NOT_FOUND },
    { "push", "409 Consumer is push based", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
    { "its batch limit", "409 Exceeded MaxRequestBatch of 5", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
    { "its expiry limit", "409 Exceeded MaxRequestExpires of 5s", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING,
      NBJ_E_JS },
    { "its octet limit", "409 Exceeded MaxRequestMaxBytes of 5", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING,
      NBJ_E_JS },
    { "waiting", "409 Exceeded MaxWaiting", "", "", NBJ__PULL_STALLED, NBJ__PULL_RUNNING, NBJ_E_JS_UNAVAILABLE },
    { "bad request", "400 Bad Request - heartbeat", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
    { "level", "412 Required Api Level", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
    { "pinned", "423 Nats-Wrong-Pin-Id", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
    { "gone", "503", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_CONSUMER_NOT_FOUND },
    { "unknown", "599 Whatever", "", "", NBJ__PULL_STALLED, NBJ__PULL_CREATING, NBJ_E_JS },
};

static void test_statuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++) {
        run();
        status(statuses[i].line, statuses[i].more);
        CHECK(statuses[i].name, pull.state == statuses[i].state);
        CHECK(statuses[i].name, strcmp(fix_sent(&f), statuses[i].sent) == 0);
        CHECK(statuses[i].name, deliveries == 0);
        if (statuses[i].state == NBJ__PULL_STALLED) {
            CHECK(statuses[i].name, pull.error.status == statuses[i].why && pull.error.text[0] != '\0');
            expect_pause();
            CHECK(statuses[i].name, pull.state == statuses[i].next);
        }
        end();
    }
}

static void test_nonsense_is_no_delivery(void **state)
{
    (void)state;
    run();
    fix_msg(&f, 1, "_INBOX.x", "", "hello");
    fix_feed(&f, "HMSG _INBOX.x 1 9 9\r\nNONSENSE!\r\n");
    fix_feed(&f, "HMSG _INBOX.x 1 12 12\r\nNATS/1.0\r\n\r\n\r\n"); /* no status: refused like an unknown one */
    assert_int_equal(deliveries, 0);
    end();
}

static void test_late_statuses_while_stalled(void **state)
{
    (void)state;
    run();
    status("409 Leadership Change", "");
    status("408 Request Timeout", LEFT("10"));
    status("503", "");
    assert_int_equal(pull.error.status, NBJ_E_JS_UNAVAILABLE);
    SENT(&f, "");
    deliver(1); /* a message is one whenever it comes */
    assert_int_equal(deliveries, 1);
    expect_pause();
    SENT(&f, ASKS_10);
    end();
}

/* --- heartbeats --- */

static void test_missing_heartbeats(void **state)
{
    (void)state;
    run();
    advance(NBJ_SECONDS(10) - 1);
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    advance(1);
    assert_int_equal(pull.error.status, NBJ_E_STALE);
    expect_pause();
    assert_int_equal(pull.state, NBJ__PULL_CREATING); /* it may be gone: 2.9 does not say so */
    fix_sent(&f);
    answer_create(CREATED);
    SENT(&f, ASKS_10); /* the former is forgotten */
    assert_int_equal(pull.asked, 10);
    end();
}

static void test_anything_is_a_heartbeat(void **state)
{
    (void)state;
    run();
    for (int i = 0; i < 6; i++) {
        advance(NBJ_SECONDS(9));
        if (i % 2 == 0)
            status("100 Idle Heartbeat", "");
        else
            deliver(1);
        assert_int_equal(nbj__pull_deadline(&pull), f.now + NBJ_SECONDS(10));
    }
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    end();
}

/* --- the connection --- */

static void test_reconnect(void **state)
{
    (void)state;
    run();
    deliver(1);
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    assert_int_equal(pull.state, NBJ__PULL_STALLED);
    assert_int_equal(pull.error.status, NBJ_E_DISCONNECTED);
    assert_int_equal(nbj__pull_deadline(&pull), NBJ_TIME_NEVER);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    SENT(
        &f,
        "SUB _INBOX.~ 1\r\nSUB _INBOX.~.* 2\r\n" ASKS_10); /* all of it: what was asked for died with the server's side */
    end();
}

static void test_recreated_after_a_restart(void **state)
{
    (void)state;
    run();
    status("503", ""); /* a memory stream's consumer died with its server */
    expect_pause();
    assert_int_equal(pull.state, NBJ__PULL_CREATING);
    fix_sent(&f);
    answer_create(CREATED);
    assert_int_equal(pull.state, NBJ__PULL_RUNNING);
    SENT(&f, ASKS_10);
    assert_int_equal(pull.recoveries, 1);
    end();
}

/* --- the end --- */

static void test_stop(void **state)
{
    (void)state;
    run();
    nbj__pull_stop(&pull);
    nbj__pull_stop(&pull);
    assert_int_equal(pull.state, NBJ__PULL_STOPPED);
    SENT(&f, "UNSUB 1\r\n"); /* so that the server does not send what nobody takes */
    fix_pump(&f);
    assert_int_equal(pull.state, NBJ__PULL_STOPPED);
    nbj__pull_on_connected(&pull, f.now);
    nbj__pull_on_disconnected(&pull);
    nbj__pull_on_time(&pull, f.now + NBJ_HOURS(1));
    deliver(1);
    assert_int_equal(deliveries, 0);
    assert_int_equal(nbj__pull_deadline(&pull), NBJ_TIME_NEVER);
    end();

    begin(); /* while the consumer is asked for */
    nbj__pull_stop(&pull);
    answer_create(CREATED);
    assert_int_equal(pull.state, NBJ__PULL_STOPPED);
    SENT(&f, "UNSUB 1\r\n");
    end();
}

static void test_stops_with_the_session(void **state)
{
    (void)state;
    for (int phase = 0; phase < 2; phase++) {
        if (phase == 0)
            begin();
        else
            run();
        nbj__session_close(f.s, NBJ_OK, NULL);
        fix_pump(&f);
        assert_int_equal(pull.state, NBJ__PULL_STOPPED);
        end();
    }
}

static void test_inbox_refused(void **state)
{
    (void)state;
    begin();
    fix_feedf(&f, "-ERR 'Permissions Violation for Subscription to \"%s\"'\r\n", pull.sub.subject);
    assert_int_equal(pull.state, NBJ__PULL_GONE);
    assert_int_equal(pull.error.status, NBJ_E_PERMISSION_SUBSCRIBE);
    end();

    run(); /* permissions that change later */
    fix_feedf(&f, "-ERR 'Permissions Violation for Subscription to \"%s\"'\r\n", pull.sub.subject);
    assert_int_equal(pull.error.status, NBJ_E_PERMISSION_SUBSCRIBE);
    expect_pause();
    assert_int_equal(pull.state, NBJ__PULL_GONE);
    assert_int_equal(pull.error.status, NBJ_E_PERMISSION_SUBSCRIBE);
    end();
}

static void test_create_refused_by_permission(void **state)
{
    (void)state;
    begin();
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"$JS.API.CONSUMER.CREATE.S.C\"'\r\n");
    assert_int_equal(pull.state, NBJ__PULL_GONE);
    assert_int_equal(pull.error.status, NBJ_E_PERMISSION_PUBLISH);
    end();
}

/* --- settling --- */

static void test_settle(void **state)
{
    (void)state;
    nbj_msg m = { .reply = nbj_str("$JS.ACK.S.C.1.2.3.4.5") };
    run();
    assert_int_equal(nbj__pull_settle(f.s, &m, nbj_view(NULL, 0)), NBJ_OK);
    assert_int_equal(nbj__pull_settle(f.s, &m, nbj_str("-NAK {\"delay\":5}")), NBJ_OK);
    SENT(&f, "PUB $JS.ACK.S.C.1.2.3.4.5 0\r\n\r\nPUB $JS.ACK.S.C.1.2.3.4.5 16\r\n-NAK {\"delay\":5}\r\n");
    m.reply = nbj_str("$JS.ACK.S.C.1.2.3.4");
    assert_int_equal(nbj__pull_settle(f.s, &m, nbj_view(NULL, 0)), NBJ_E_NOT_JETSTREAM);
    m.reply = nbj_view(NULL, 0);
    assert_int_equal(nbj__pull_settle(f.s, &m, nbj_view(NULL, 0)), NBJ_E_NOT_JETSTREAM);
    end();
}

static void test_ack_outlives_the_connection(void **state)
{
    (void)state;
    nbj_msg m = { .reply = nbj_str("$JS.ACK.S.C.1.2.3.4.5") };
    run();
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    assert_int_equal(nbj__pull_settle(f.s, &m, nbj_view(NULL, 0)), NBJ_OK);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    assert_non_null(strstr(fix_sent(&f), "PUB $JS.ACK.S.C.1.2.3.4.5 0\r\n\r\n"));
    end();
}

/* --- memory --- */

static nbj_status init_once(const nbj_allocator *alloc, void *ctx)
{
    nbj__session *s = NULL;
    nbj__pull one;
    nbj_error error;
    nbj__session_options so = { .alloc = alloc };
    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C"), .filter_subject = nbj_str("x") };

    (void)ctx;
    nbj_status st = nbj__session_new(&s, &so, FIX_START, &error);
    if (st != NBJ_OK)
        return st;
    st = nbj__pull_init(&one, s, &c, &(nbj__pull_options){ 0 }, NULL, FIX_START);
    if (st == NBJ_OK && one.state == NBJ__PULL_STALLED)
        st = one.error.status; /* begun, and to be tried again */
    nbj__pull_free(&one);
    nbj__session_free(s);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_true(alloc_sweep(init_once, NULL) > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_illegal_names),
        cmocka_unit_test(test_create_answers),
        cmocka_unit_test(test_create_timeout),
        cmocka_unit_test(test_before_the_first_connection),
        cmocka_unit_test(test_keeps_half_a_batch_asked_for),
        cmocka_unit_test(test_more_than_asked_for),
        cmocka_unit_test(test_no_room_for_asking),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_nonsense_is_no_delivery),
        cmocka_unit_test(test_late_statuses_while_stalled),
        cmocka_unit_test(test_missing_heartbeats),
        cmocka_unit_test(test_anything_is_a_heartbeat),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_recreated_after_a_restart),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stops_with_the_session),
        cmocka_unit_test(test_inbox_refused),
        cmocka_unit_test(test_create_refused_by_permission),
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_ack_outlives_the_connection),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
