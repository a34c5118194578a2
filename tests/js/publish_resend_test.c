/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are sent more than once, because nobody took them or the connection was lost: which outcome is certain
 * and which is not: js/publish.h. */
#include "js/window.h"

/* --- nobody there --- */

static void test_pauses_and_goes_on(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_id("x"), NBJ_OK);
    fix_sent(&f);
    refuse(0, 0);
    OUTCOMES("");
    assert_int_equal(nbj__publisher_deadline(&p), f.now + NBJ_MILLIS(250));
    advance(NBJ_MILLIS(250) - 1);
    SENT(&f, "");
    advance(1);
    SENT(&f, "HPUB js.a _INBOX.~.P00000000 29 30\r\nNATS/1.0\r\nNats-Msg-Id: id\r\n\r\nx\r\n");
    fix_msg(
        &f, 1, reply_to(0, 0), "",
        "{\"error\":{\"code\":429,\"err_code\":10167,\"description\":\"too many requests\"},\"stream\":\"S\",\"seq\":0}");
    advance(NBJ_MILLIS(250));
    assert_int_equal(strncmp(fix_sent(&f), "HPUB", 4), 0);
    ack(0, 0, 5, true); /* all before it were refused, so this is the first answer */
    OUTCOMES("0 DUPLICATE 5");
    end();
}

/* The id is known already, but not yet whether its message will be stored. */
static void test_same_id_in_process(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_id("x"), NBJ_OK);
    lose();
    come_back();
    fix_sent(&f);
    fix_msg(&f, 1, reply_to(0, 0), "", "{\"stream\":\"S\",\"seq\":0,\"duplicate\":true}");
    OUTCOMES("");
    advance(NBJ_MILLIS(250));
    SENT(&f, HEAD("P00000000") "x\r\n");
    ack(0, 0, 5, true);
    OUTCOMES("0 STORED 5"); /* by the first transmission */
    end();
}

static void test_gives_up(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("x"), NBJ_OK);
    for (int i = 0; i < 3; i++) {
        fix_sent(&f);
        OUTCOMES("");
        refuse(0, 0);
        advance(NBJ_MILLIS(250));
    }
    SENT(&f, "");
    OUTCOMES("0 REJECTED E_NO_STREAM");
    assert_int_equal(publish("x"), NBJ_OK);
    for (int i = 0; i < 3; i++) {
        fail_with(1, 503, 10008);
        advance(NBJ_MILLIS(250));
    }
    OUTCOMES("1 REJECTED E_JS_UNAVAILABLE");
    end();
}

static void test_patience_after_connecting(void **state)
{
    (void)state;
    open_with(NULL, NULL);
    fix_shake(&f, FIX_INFO);
    assert_int_equal(publish_for("x", NULL, true, NBJ_SECONDS(60)), NBJ_OK);
    unsigned refusals = 0;
    for (; outcomes[0] == '\0' && refusals < 100; refusals++) {
        fix_write(&f, SIZE_MAX);
        refuse(0, 0);
        advance(NBJ_MILLIS(250));
    }
    assert_true(refusals > 15 && refusals < 25); /* streams come up some seconds later */
    OUTCOMES("0 REJECTED E_NO_STREAM");
    end();
}

static void test_deadline_after_a_refusal(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_for("x", NULL, true, NBJ_MILLIS(250)), NBJ_OK);
    refuse(0, 0);
    OUTCOMES("0 REJECTED E_NO_STREAM"); /* no time is left to try again */
    assert_int_equal(publish_for("x", NULL, true, NBJ_MILLIS(251)), NBJ_OK);
    refuse(1, 0);
    lose();
    OUTCOMES("");
    advance(NBJ_MILLIS(251));
    OUTCOMES("1 REJECTED E_TIMEOUT"); /* its only transmission was refused: this is certain */
    end();
}

static void test_later_ones_do_not_wait_for_a_paused_one(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("a"), NBJ_OK);
    fix_sent(&f);
    refuse(0, 0);
    assert_int_equal(publish("b"), NBJ_OK);
    SENT(&f, "PUB js.a _INBOX.~.P00000001 1\r\nb\r\n");
    ack(1, 0, 1, false);
    advance(NBJ_MILLIS(250));
    SENT(&f, "PUB js.a _INBOX.~.P00000000 1\r\na\r\n");
    ack(0, 0, 2, false);
    OUTCOMES("1 STORED 1 | 0 STORED 2");
    end();
}

static void test_late_ack_while_paused(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_id("x"), NBJ_OK);
    refuse(0, 0);
    refuse(0, 0); /* it says nothing of the next transmission */
    ack(0, 0, 4, false);
    OUTCOMES("0 STORED 4");
    advance(NBJ_SECONDS(1));
    end();
}

static void test_refused_by_permission(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("a"), NBJ_OK);
    assert_int_equal(publish("b"), NBJ_OK);
    fix_sent(&f);
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"js.other\"'\r\n");
    OUTCOMES("");
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"js.a\"'\r\n");
    OUTCOMES("0 REJECTED E_PERMISSION_PUBLISH");
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"js.a\"'\r\n");
    OUTCOMES("1 REJECTED E_PERMISSION_PUBLISH");
    end();
}

/* --- losing the connection --- */

static void test_resent_in_order(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(publish_id(i == 0 ? "a" : i == 1 ? "b" : i == 2 ? "c" : "d"), NBJ_OK);
    fix_sent(&f);
    refuse(0, 0); /* paused, and yet first again after the loss */
    ack(2, 0, 1, false);
    lose();
    assert_int_equal(publish_id("e"), NBJ_OK);
    OUTCOMES("2 STORED 1");
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\n" HEAD("P00000000") "a\r\n" HEAD("P00000001") "b\r\n" HEAD("P00000003") "d\r\n" HEAD(
                 "P00000004") "e\r\n");
    ack(1, 0, 2, true); /* its first transmission was stored */
    ack(3, 0, 3, false);
    ack(4, 0, 9, true); /* sent once: somebody else's */
    ack(0, 0, 4, true); /* refused once, then sent once: not ours */
    OUTCOMES("1 STORED 2 | 3 STORED 3 | 4 DUPLICATE 9 | 0 DUPLICATE 4");
    end();
}

static void test_without_id_unknown_at_once(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("a"), NBJ_OK);
    assert_int_equal(publish_id("b"), NBJ_OK);
    assert_int_equal(publish("c"), NBJ_OK);
    lose();
    OUTCOMES("0 UNKNOWN E_DISCONNECTED | 2 UNKNOWN E_DISCONNECTED");
    assert_int_equal(publish("d"), NBJ_OK); /* not sent yet: it may still be */
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\n" HEAD("P00000001") "b\r\nPUB js.a _INBOX.~.P00000003 1\r\nd\r\n");
    end();
}

static void test_refused_without_id_is_sent_again(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("a"), NBJ_OK);
    refuse(0, 0);
    lose();
    OUTCOMES(""); /* certainly not stored so far */
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB js.a _INBOX.~.P00000000 1\r\na\r\n");
    lose();
    OUTCOMES("0 UNKNOWN E_DISCONNECTED");
    end();
}

static void test_not_resent_past_the_duplicate_window(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_for("a", "id", false, NBJ_MINUTES(5)), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    advance(NBJ_SECONDS(20));
    fix_write(&f, SIZE_MAX);
    assert_int_equal(publish_for("b", "id", false, NBJ_MINUTES(5)), NBJ_OK);
    lose();
    OUTCOMES("");
    fix_pump(&f);
    fix_lose(&f, NBJ_E_REFUSED);
    fix_at(&f, FIX_START + NBJ_SECONDS(10 + 60) + 1);
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\n"); /* the first one's outcome comes first */
    OUTCOMES("0 UNKNOWN E_DISCONNECTED");
    SENT(&f, HEAD("P00000001") "b\r\n");
    end();
}

static void test_rejection_after_a_resend_is_unknown(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_id("a"), NBJ_OK);
    assert_int_equal(publish_id("b"), NBJ_OK);
    assert_int_equal(publish_id("c"), NBJ_OK);
    lose();
    come_back();
    fix_write(&f, SIZE_MAX);
    fail_with(0, 400, 10071); /* by the first transmission's own effect, perhaps */
    fail_with(1, 503, 10077);
    for (int i = 0; i < 3; i++) {
        refuse(2, 0);
        advance(NBJ_SECONDS(3)); /* past the patience after connecting */
    }
    OUTCOMES("0 UNKNOWN E_WRONG_LAST_SEQUENCE | 1 UNKNOWN E_JS | 2 UNKNOWN E_NO_STREAM");
    end();
}

static void test_ack_between_loss_and_resend(void **state)
{
    (void)state;
    nbj__publish_result r;
    begin();
    assert_int_equal(publish_id("a"), NBJ_OK);
    assert_int_equal(publish_id("b"), NBJ_OK);
    fix_sent(&f);
    nbj__publisher_on_disconnected(&p); /* both wait; an answer still comes from a leader far away */
    ack(0, 0, 1, false);
    OUTCOMES("0 STORED 1");
    assert_true(!nbj__publisher_on_time(&p, f.now, &r));
    SENT(&f, HEAD("P00000001") "b\r\n"); /* on_time goes on sending what waits */
    ack(1, 0, 2, false);
    OUTCOMES("1 STORED 2");
    end();
}

static void test_too_large_for_the_next_server(void **state)
{
    (void)state;
    open_with(NULL, NULL);
    fix_pump(&f);
    assert_int_equal(publish("0123456789"), NBJ_OK);
    assert_int_equal(publish("0123"), NBJ_OK);
    fix_dialed(&f);
    fix_feed(&f, "INFO {\"headers\":true,\"max_payload\":5}\r\n");
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    OUTCOMES("0 REJECTED E_TOO_LARGE"); /* the server would end the connection for it, again and again */
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB js.a _INBOX.~.P00000001 4\r\n0123\r\n");
    end();
}

/* It was published while no server was there to ask for its version. */
static void test_too_new_for_the_next_server(void **state)
{
    (void)state;
    nbj_header ttl = { nbj_str("Nats-TTL"), nbj_str("1s") };
    nbj__publish m = { .more = &ttl, .more_count = 1, .no_id = true, .feature = NBJ__FEATURE_MSG_TTL };

    open_with(NULL, NULL);
    fix_pump(&f);
    assert_int_equal(publish_as(m, "x"), NBJ_OK);
    assert_int_equal(publish("y"), NBJ_OK);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO); /* 2.10.27 */
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    OUTCOMES("0 REJECTED E_UNSUPPORTED");
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB js.a _INBOX.~.P00000001 1\r\ny\r\n");
    ack(1, 0, 1, false);
    advance(NBJ_SECONDS(10));
    lose();
    m.no_id = false;
    assert_int_equal(publish_as(m, "z"), NBJ_OK);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, "INFO {\"headers\":true,\"version\":\"2.11.0\"}\r\n");
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    fix_sent(&f);
    advance(NBJ_SECONDS(10));
    lose(); /* a third server, which is older again */
    OUTCOMES("1 STORED 1");
    come_back();
    OUTCOMES("2 UNKNOWN E_UNSUPPORTED");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_and_goes_on),
        cmocka_unit_test(test_same_id_in_process),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_patience_after_connecting),
        cmocka_unit_test(test_deadline_after_a_refusal),
        cmocka_unit_test(test_later_ones_do_not_wait_for_a_paused_one),
        cmocka_unit_test(test_late_ack_while_paused),
        cmocka_unit_test(test_refused_by_permission),
        cmocka_unit_test(test_resent_in_order),
        cmocka_unit_test(test_without_id_unknown_at_once),
        cmocka_unit_test(test_refused_without_id_is_sent_again),
        cmocka_unit_test(test_not_resent_past_the_duplicate_window),
        cmocka_unit_test(test_rejection_after_a_resend_is_unknown),
        cmocka_unit_test(test_ack_between_loss_and_resend),
        cmocka_unit_test(test_too_large_for_the_next_server),
        cmocka_unit_test(test_too_new_for_the_next_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
