/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, requests with many replies, and flushes: conn/session.h. Each has exactly one outcome, which the fixture
 * counts. */
#include "conn/fixture.h"

static fixture f;

/* Makes request |i| and returns its reply subject. */
static const char *request(size_t i)
{
    static char inbox[8][sizeof f.inbox];

    assert_int_equal(fix_request(&f, i, "svc", NBJ_SECONDS(5)), NBJ_OK);
    fix_sent(&f);
    memcpy(inbox[i], f.inbox, sizeof f.inbox);
    return inbox[i];
}

static nbj_status request_many(size_t i, const nbj__many_options *many)
{
    nbj__outgoing m = fix_out("svc", "?");

    f.call[i].owner = NBJ__CALL_OF_APP;
    return nbj__session_request_many(f.s, &f.call[i], &m, many, f.now + NBJ_SECONDS(5), f.now);
}

static void lose_and_return(void)
{
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    fix_pump(&f);
    f.raw_len = 0;
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
}

/* --- requests --- */

static void test_reply(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB svc _INBOX.~.R00000000 1\r\n?\r\n");
    char first[sizeof f.inbox];
    memcpy(first, f.inbox, sizeof first);
    assert_int_equal(fix_request(&f, 1, "svc", NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "PUB svc _INBOX.~.R00000001 1\r\n?\r\n"); /* one SUB serves all */
    fix_msg(&f, 1, f.inbox, "", "second");             /* in any order */
    fix_msg(&f, 1, first, "", "first");
    EVENTS(&f, "DONE 1 OK 'second' | DONE 0 OK 'first'");
    fix_msg(&f, 1, first, "", "another one"); /* too many */
    EVENTS(&f, "");
    assert_int_equal(nbj__session_stats_of(f.s)->unwanted, 1);
    assert_int_equal(fix_request(&f, 2, "svc", NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "PUB svc _INBOX.~.R00004000 1\r\n?\r\n"); /* its place is used again under another generation */
    fix_msg(&f, 1, first, "", "later still");
    EVENTS(&f, "");
    fix_msg(&f, 1, f.inbox, "", "third");
    EVENTS(&f, "DONE 2 OK 'third'");
    assert_int_equal(nbj__session_deadline(f.s) > f.now + NBJ_SECONDS(6), true); /* no timer is left */
    fix_close(&f);
}

static void test_no_responders(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_hmsg(&f, 1, request(0), "503", "");
    EVENTS(&f, "DONE 0 E_NO_RESPONDERS");
    fix_hmsg(&f, 1, request(1), "503", "Nats-Subject: svc\r\n");
    EVENTS(&f, "DONE 1 E_NO_RESPONDERS");
    fix_feedf(&f, "HMSG %s 1 16 18\r\nNATS/1.0 503\r\n\r\nok\r\n", request(2)); /* with a payload it is an answer */
    EVENTS(&f, "DONE 2 OK 'ok'");
    fix_hmsg(&f, 1, request(3), "404 No Messages", "");
    EVENTS(&f, "DONE 3 OK ''");
    fix_close(&f);
}

static void test_timeout(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    const char *late = request(0);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(5));
    fix_advance(&f, NBJ_SECONDS(5) - 1);
    EVENTS(&f, "");
    fix_advance(&f, 1);
    EVENTS(&f, "DONE 0 E_TIMEOUT");
    fix_msg(&f, 1, late, "", "late");
    EVENTS(&f, "");
    assert_int_equal(fix_request(&f, 1, "svc", 0), NBJ_OK); /* a deadline that is over */
    fix_advance(&f, 0);
    EVENTS(&f, "DONE 1 E_TIMEOUT");
    assert_int_equal(fix_request(&f, 2, "svc", NBJ_TIME_NEVER - f.now), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, ""); /* without end */
    fix_close(&f);
}

static void test_cancel_and_forget(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    const char *first = request(0);
    const char *second = request(1);
    nbj__session_cancel(f.s, &f.call[0]);
    nbj__session_cancel(f.s, &f.call[0]);
    EVENTS(&f, "DONE 0 E_CANCELLED");
    nbj__session_cancel(f.s, &f.call[0]); /* done is done */
    nbj__session_forget(f.s, &f.call[1]);
    request(2);
    nbj__session_cancel(f.s, &f.call[2]);
    nbj__session_forget(f.s, &f.call[2]); /* also between its outcome and the event */
    fix_msg(&f, 1, first, "", "x");
    fix_msg(&f, 1, second, "", "x");
    EVENTS(&f, "");
    assert_int_equal(nbj__session_deadline(f.s), FIX_START + NBJ_SECONDS(30)); /* the next PING */
    fix_close(&f);
}

static void test_failing_requests_leave_nothing(void **state)
{
    (void)state;
    nbj__session_options o = { .max_outgoing_bytes = 160 };
    fix_connect(&f, &o);
    assert_int_equal(fix_request(&f, 0, "a.*", NBJ_SECONDS(5)), NBJ_E_BAD_SUBJECT);
    assert_int_equal(request_many(0, &(nbj__many_options){ 0 }), NBJ_OK);
    assert_int_equal(fix_request(&f, 1, "svc", NBJ_SECONDS(5)), NBJ_E_FULL);
    nbj__outgoing m = fix_out("bad subject", "");
    f.call[2].owner = NBJ__CALL_OF_APP;
    assert_int_equal(nbj__session_request_many(f.s, &f.call[2], &m, &(nbj__many_options){ 0 }, f.now + 1, f.now),
                     NBJ_E_BAD_SUBJECT);
    fix_advance(&f, NBJ_SECONDS(5));
    EVENTS(&f, "DONE 0 E_TIMEOUT"); /* CALL_DONE follows after NBJ_OK only */
    fix_close(&f);
}

static void test_rewritten_subject(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    static const char *const rewritten[] = { "import.x.R00000000", "something.else", "plain", "_R_.abc.def.Qx" };
    for (size_t i = 0; i < COUNT(rewritten); i++) {
        request(i);
        fix_msg(&f, 1, rewritten[i], "", "mapped"); /* the only request there is */
        char want[64];
        snprintf(want, sizeof want, "DONE %zu OK 'mapped'", i);
        EVENTS(&f, want);
    }
    request(4);
    request(5);
    fix_msg(&f, 1, "something.else", "", "whose?");
    EVENTS(&f, "");
    nbj__session_cancel(f.s, &f.call[5]);
    assert_int_equal(request_many(6, &(nbj__many_options){ 0 }), NBJ_OK);
    fix_msg(&f, 1, "something.else", "", "mine"); /* those with an inbox of their own do not count */
    EVENTS(&f, "DONE 5 E_CANCELLED | DONE 4 OK 'mine'");
    request(7);
    char *dot = strrchr(f.inbox, '.');
    memcpy(dot + 1, "zzz", 4);
    fix_msg(&f, 1, f.inbox, "", "x"); /* ours, with a token that is not */
    memcpy(dot + 1, "R00000009", 10);
    fix_msg(&f, 1, f.inbox, "", "x");
    EVENTS(&f, "");
    fix_close(&f);
}

static void test_tokens_of_another_layer(void **state)
{
    (void)state;
    nbj_bytes inbox;
    fix_connect(&f, NULL);
    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    SENT(&f, "SUB _INBOX.~.* 1\r\n");
    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    SENT(&f, "");
    request(0);
    fix_feedf(&f, "MSG %.*sP00000007 1 1\r\nx\r\n", NBJ_FMT(inbox));
    EVENTS(&f, "INBOX P00000007");
    fix_feed(&f, "MSG rewritten.P00000007 1 1\r\nx\r\n"); /* nor is it the lonely request's */
    EVENTS(&f, "INBOX P00000007");
    fix_close(&f);
}

static void test_request_over_reconnects(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        nbj__session_options o = { .fail_requests_on_loss = fails != 0 };
        fix_connect(&f, &o);
        const char *inbox = request(0);
        lose_and_return();
        if (fails != 0) {
            EVENTS(&f, "DONE 0 E_DISCONNECTED | DISCONNECTED E_EOF | DIAL 127.0.0.1:4222 | RECONNECTED");
        } else {
            EVENTS(&f, "DISCONNECTED E_EOF | DIAL 127.0.0.1:4222 | RECONNECTED");
            SENT(&f, "SUB _INBOX.~.* 1\r\n"); /* it was written: it is not sent again */
            fix_msg(&f, 1, inbox, "", "hello");
            EVENTS(&f, "DONE 0 OK 'hello'");
        }
        fix_close(&f);
    }
}

static void test_request_before_the_first_connection(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(2)), NBJ_OK);
    assert_int_equal(fix_request(&f, 1, "svc", NBJ_SECONDS(1)), NBJ_OK);
    fix_pump(&f);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(1));
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, "DIAL 127.0.0.1:4222 | DONE 1 E_TIMEOUT");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB svc _INBOX.~.R00000000 1\r\n?\r\nPUB svc _INBOX.~.R00000001 1\r\n?\r\n");
    fix_close(&f);
}

static void test_refused_inbox(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    const char *inbox = request(0);
    request(1);
    assert_int_equal(request_many(2, &(nbj__many_options){ 0 }), NBJ_OK);
    fix_sent(&f);
    fix_feedf(&f, "-ERR 'Permissions Violation for Subscription to \"%.*s.*\"'\r\n", (int)(strrchr(inbox, '.') - inbox),
              inbox);
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_SUBSCRIBE | DONE 0 E_PERMISSION_SUBSCRIBE | DONE 1 E_PERMISSION_SUBSCRIBE");
    assert_int_equal(fix_request(&f, 3, "svc", NBJ_SECONDS(5)), NBJ_OK); /* permissions may have changed */
    SENT(&f, "SUB _INBOX.~.* 3\r\nPUB svc _INBOX.~.R00004001 1\r\n?\r\n");
    fix_feedf(&f, "-ERR 'Permissions Violation for Subscription to \"%s\"'\r\n", f.call[2].inbox.subject);
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_SUBSCRIBE | DONE 2 E_PERMISSION_SUBSCRIBE");
    fix_close(&f);
}

static void test_refused_publish(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_request(&f, 0, "other", NBJ_SECONDS(5)), NBJ_OK);
    request(1);
    request(2);
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"svc\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_PUBLISH | DONE 1 E_PERMISSION_PUBLISH"); /* in order, one each */
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"svc\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_PUBLISH | DONE 2 E_PERMISSION_PUBLISH");
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"svc\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_PUBLISH");
    fix_close(&f);
}

/* --- many replies --- */

static const struct {
    const char *name;
    nbj__many_options many;
    const char *payload[6]; /* replies, to "" and NULL after the last */
    const char *want;
} manys[] = {
    { "deadline", { 0 }, { "a", "b", NULL }, "REPLY 0 'a' | REPLY 0 'b' | DONE 0 OK" },
    { "nobody", { 0 }, { NULL }, "DONE 0 E_TIMEOUT" },
    { "maximum", { .max = 2 }, { "a", "b", "c", NULL }, "REPLY 0 'a' | REPLY 0 'b' | DONE 0 OK" },
    { "sentinel", { .sentinel = true }, { "a", "", "c", NULL }, "REPLY 0 'a' | DONE 0 OK" },
    { "sentinel first", { .sentinel = true }, { "", NULL }, "DONE 0 OK" },
    { "empty without sentinel", { .max = 1 }, { "", NULL }, "REPLY 0 '' | DONE 0 OK" },
};

static void test_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(manys); i++) {
        fix_connect(&f, NULL);
        CHECK(manys[i].name, request_many(0, &manys[i].many) == NBJ_OK);
        SENT(&f, "SUB _INBOX.~ 1\r\nPUB svc _INBOX.~ 1\r\n?\r\n"); /* an inbox of its own */
        for (size_t k = 0; manys[i].payload[k] != NULL; k++)
            fix_msg(&f, 1, f.inbox, "", manys[i].payload[k]);
        fix_advance(&f, NBJ_SECONDS(5));
        EVENTS(&f, manys[i].want);
        SENT(&f, "UNSUB 1\r\n");
        fix_close(&f);
    }
}

static void test_many_stalls(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(request_many(0, &(nbj__many_options){ .stall_ns = NBJ_MILLIS(100) }), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, ""); /* counts from the first reply on */
    for (int i = 0; i < 3; i++) {
        fix_msg(&f, 1, "x", "", "r");
        fix_advance(&f, NBJ_MILLIS(100) - 1);
    }
    EVENTS(&f, "REPLY 0 'r' | REPLY 0 'r' | REPLY 0 'r'");
    fix_advance(&f, 1);
    EVENTS(&f, "DONE 0 OK");
    assert_int_equal(request_many(1, &(nbj__many_options){ .stall_ns = NBJ_SECONDS(60) }), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    fix_msg(&f, 2, "x", "", "r");
    fix_advance(&f, NBJ_SECONDS(5));
    EVENTS(&f, "REPLY 1 'r' | DONE 1 OK"); /* never past its deadline */
    fix_close(&f);
}

static void test_many_without_responders(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(request_many(0, &(nbj__many_options){ 0 }), NBJ_OK);
    fix_hmsg(&f, 1, "x", "503", "");
    EVENTS(&f, "DONE 0 E_NO_RESPONDERS");
    assert_int_equal(request_many(1, &(nbj__many_options){ 0 }), NBJ_OK);
    fix_msg(&f, 2, "x", "", "a");
    fix_hmsg(&f, 2, "x", "503", ""); /* after a reply it is one */
    fix_lose(&f, NBJ_E_EOF);
    nbj__session_cancel(f.s, &f.call[1]);
    EVENTS(&f, "REPLY 1 'a' | REPLY 1 '' | DISCONNECTED E_EOF | DONE 1 E_CANCELLED");
    fix_close(&f);
}

/* A status without a payload is handed out, too, and is the last; nothing else is. */
static void test_many_until_a_status(void **state)
{
    static const nbj__many_options until = { .until_status = true, .stall_ns = NBJ_MILLIS(100) };

    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(request_many(0, &until), NBJ_OK);
    SENT(&f, "SUB _INBOX.~ 1\r\nPUB svc _INBOX.~ 1\r\n?\r\n");
    fix_msg(&f, 1, "x", "", "a");
    fix_msg(&f, 1, "x", "", "");
    fix_feedf(&f, "HMSG x 1 16 17\r\nNATS/1.0 404\r\n\r\nb\r\n");
    fix_hmsg(&f, 1, "x", "204 EOB", "");
    fix_msg(&f, 1, "x", "", "late");
    EVENTS(&f, "REPLY 0 'a' | REPLY 0 '' | REPLY 0 'b' | REPLY 0 '' | DONE 0 OK");
    SENT(&f, "UNSUB 1\r\n");
    assert_int_equal(request_many(1, &until), NBJ_OK);
    fix_hmsg(&f, 2, "x", "404", ""); /* at once */
    EVENTS(&f, "REPLY 1 '' | DONE 1 OK");
    assert_int_equal(request_many(2, &until), NBJ_OK);
    fix_hmsg(&f, 3, "x", "503", "");
    EVENTS(&f, "DONE 2 E_NO_RESPONDERS");
    assert_int_equal(request_many(3, &until), NBJ_OK);
    fix_msg(&f, 4, "x", "", "a");
    fix_advance(&f, NBJ_MILLIS(100)); /* the status never comes */
    EVENTS(&f, "REPLY 3 'a' | DONE 3 OK");
    fix_close(&f);
}

/* --- flushes --- */

static void test_flush(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_publish(&f, "a", "1"), NBJ_OK);
    assert_int_equal(fix_flush(&f, 0, NBJ_SECONDS(5)), NBJ_OK);
    assert_int_equal(fix_publish(&f, "a", "2"), NBJ_OK);
    assert_int_equal(fix_flush(&f, 1, NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "PUB a 1\r\n1\r\nPING\r\nPUB a 1\r\n2\r\nPING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DONE 0 OK"); /* PONGs answer PINGs in order */
    fix_advance(&f, NBJ_SECONDS(5));
    EVENTS(&f, "DONE 1 E_TIMEOUT");
    assert_int_equal(fix_flush(&f, 2, NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n"); /* the answer to the one that was too late */
    EVENTS(&f, "");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DONE 2 OK");
    fix_close(&f);
}

static void test_flush_and_keep_alive_share_pongs(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_advance(&f, NBJ_SECONDS(30));
    assert_int_equal(fix_flush(&f, 0, NBJ_SECONDS(5)), NBJ_OK);
    SENT(&f, "PING\r\nPING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DONE 0 OK");
    fix_close(&f);
}

static void test_flush_over_reconnects(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(fix_flush(&f, 0, NBJ_SECONDS(60)), NBJ_OK); /* waits for a connection */
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "PING\r\n");
    EVENTS(&f, "DIAL 127.0.0.1:4222 | CONNECTED");
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DONE 0 E_DISCONNECTED | DISCONNECTED E_EOF | DIAL 127.0.0.1:4222"); /* no other PONG answers it */
    assert_int_equal(fix_flush(&f, 1, NBJ_SECONDS(60)), NBJ_OK);
    assert_int_equal(fix_flush(&f, 2, NBJ_SECONDS(1)), NBJ_OK);
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, "DONE 2 E_TIMEOUT");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "");
    fix_at(&f, nbj__session_deadline(f.s));
    fix_shake(&f, FIX_INFO);
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DONE 1 OK");
    fix_close(&f);
}

static void test_close_ends_every_call_once(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    request(0);
    assert_int_equal(request_many(1, &(nbj__many_options){ .max = 3 }), NBJ_OK);
    assert_int_equal(fix_flush(&f, 2, NBJ_SECONDS(5)), NBJ_OK);
    request(3);
    nbj__session_cancel(f.s, &f.call[3]);
    nbj__session_close(f.s, NBJ_OK, NULL);
    nbj__session_cancel(f.s, &f.call[0]);
    EVENTS(&f, "HANGUP | DONE 3 E_CANCELLED | DONE 0 E_CLOSED | DONE 1 E_CLOSED | DONE 2 E_CLOSED | CLOSED OK");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(f.done[i], 1);
    fix_close(&f);
}

static void test_free_without_close(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    request(0);
    assert_int_equal(request_many(1, &(nbj__many_options){ .max = 3 }), NBJ_OK);
    assert_int_equal(fix_flush(&f, 2, NBJ_SECONDS(5)), NBJ_OK);
    nbj__session_free(f.s);
    ts_alloc_done(&f.mem);
}

/* --- what callbacks may do --- */

static void call_again(fixture *x, const nbj__event *ev)
{
    if (ev->type != NBJ__EV_CALL_DONE)
        return;
    size_t next = fix_call_index(x, ev->call) + 1;
    if (next < 5)
        assert_int_equal(fix_request(x, next, "svc", NBJ_SECONDS(1)), NBJ_OK);
}

static void test_request_from_a_callback(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    f.on_event = call_again;
    request(0);
    for (int i = 0; i < 3; i++) {
        fix_sent(&f);
        fix_msg(&f, 1, f.inbox, "", "go on");
    }
    fix_write(&f, SIZE_MAX);
    fix_advance(&f, NBJ_SECONDS(1));
    fix_write(&f, SIZE_MAX);
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, "DONE 0 OK 'go on' | DONE 1 OK 'go on' | DONE 2 OK 'go on' | DONE 3 E_TIMEOUT | DONE 4 E_TIMEOUT");
    f.on_event = NULL;
    fix_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_no_responders),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_cancel_and_forget),
        cmocka_unit_test(test_failing_requests_leave_nothing),
        cmocka_unit_test(test_rewritten_subject),
        cmocka_unit_test(test_tokens_of_another_layer),
        cmocka_unit_test(test_request_over_reconnects),
        cmocka_unit_test(test_request_before_the_first_connection),
        cmocka_unit_test(test_refused_inbox),
        cmocka_unit_test(test_refused_publish),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_many_stalls),
        cmocka_unit_test(test_many_without_responders),
        cmocka_unit_test(test_many_until_a_status),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_flush_and_keep_alive_share_pongs),
        cmocka_unit_test(test_flush_over_reconnects),
        cmocka_unit_test(test_close_ends_every_call_once),
        cmocka_unit_test(test_free_without_close),
        cmocka_unit_test(test_request_from_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
