/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered messages, and how often one is sent again by its own policy: js/publish.h. */
#include "js/window.h"

static nbj_status ordered(const char *payload)
{
    return publish_as((nbj__publish){ .no_id = true, .ordered = true }, payload);
}

#define PUB(token, payload) "PUB js.a _INBOX.~." token " 1\r\n" payload "\r\n"

/* --- order --- */

static void test_refused_ones_go_on_in_order(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 3; i++)
        assert_int_equal(ordered("x"), NBJ_OK);
    fix_sent(&f);
    refuse(2, 0); /* answers need not come in order */
    advance(NBJ_MILLIS(10));
    refuse(0, 0);
    advance(NBJ_MILLIS(10));
    refuse(1, 0);
    assert_int_equal(ordered("y"), NBJ_OK); /* waits behind them */
    assert_int_equal(publish("z"), NBJ_OK); /* so does what comes behind it */
    SENT(&f, "");
    advance(NBJ_MILLIS(240)); /* the last one's time would have come before the first one's */
    SENT(&f, PUB("P00000000", "x"));
    advance(NBJ_MILLIS(10));
    SENT(&f, PUB("P00000001", "x") PUB("P00000002", "x") PUB("P00000003", "y") PUB("P00000004", "z"));
    for (unsigned i = 0; i < 5; i++)
        ack(i, 0, i + 1, false);
    OUTCOMES("0 STORED 1 | 1 STORED 2 | 2 STORED 3 | 3 STORED 4 | 4 STORED 5");
    assert_int_equal(ordered("x"), NBJ_OK);
    end();
}

static void test_the_first_failure_stops_them(void **state)
{
    (void)state;
    begin_with(NULL, &(nbj__session_options){ .max_outgoing_bytes = 200 });
    for (int i = 0; i < 4; i++)
        assert_int_equal(ordered("0123456789"), NBJ_OK); /* the first two are sent */
    assert_int_equal(publish("free"), NBJ_OK);
    assert_int_equal(p.cursor, 2);
    fail_with(0, 400, 10060);
    assert_int_equal(ordered("x"), NBJ_E_ORDER);
    OUTCOMES("0 REJECTED E_JS | 2 REJECTED E_ORDER | 3 REJECTED E_ORDER");
    assert_int_equal(nbj__publisher_resume(&p), NBJ_E_STATE); /* the second one's outcome is its own */
    for (int i = 0; i < 10; i++) {
        fix_write(&f, SIZE_MAX);
        fix_pump(&f);
    }
    ack(1, 0, 1, false);
    ack(4, 0, 2, false); /* not ordered: it was sent */
    OUTCOMES("1 STORED 1 | 4 STORED 2");
    assert_int_equal(ordered("x"), NBJ_E_ORDER);
    assert_int_equal(nbj__publisher_resume(&p), NBJ_OK);
    assert_int_equal(nbj__publisher_resume(&p), NBJ_OK);
    assert_int_equal(ordered("x"), NBJ_OK);
    ack(5, 0, 3, false);
    OUTCOMES("5 STORED 3");
    end();
}

static void test_nothing_is_sent_again_behind_a_failure(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish_as((nbj__publish){ .msg_id = nbj_str("id"), .ordered = true }, "x"), NBJ_OK);
    refuse(1, 0); /* paused */
    fail_with(0, 400, 10071);
    OUTCOMES("0 REJECTED E_WRONG_LAST_SEQUENCE | 1 REJECTED E_ORDER");
    lose();
    OUTCOMES("2 UNKNOWN E_ORDER"); /* it was sent */
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\n");
    end();
}

static void test_a_timeout_is_a_failure(void **state)
{
    (void)state;
    begin();
    nbj__publish m = { .msg = fix_out("js.a", "x"), .no_id = true, .ordered = true, .user = { told, &numbers[0] } };
    m.deadline = f.now + NBJ_SECONDS(1);
    message = 1;
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_OK);
    refuse(0, 0);
    assert_int_equal(ordered("x"), NBJ_OK);
    lose();
    advance(NBJ_SECONDS(1));
    OUTCOMES("0 REJECTED E_TIMEOUT | 1 REJECTED E_ORDER");
    end();
}

/* What could only be stored behind a later one is not sent again. */
static void test_overtaken(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(ordered("x"), NBJ_OK);
    refuse(0, 0);
    ack(1, 0, 1, false);
    OUTCOMES("1 STORED 1 | 0 REJECTED E_ORDER");
    refuse(2, 0); /* behind the failure: its refusal is its outcome */
    OUTCOMES("2 REJECTED E_NO_STREAM");
    ack(3, 0, 2, false);
    OUTCOMES("3 STORED 2");
    end();
    begin();
    assert_int_equal(ordered("x"), NBJ_OK);
    assert_int_equal(ordered("x"), NBJ_OK);
    ack(1, 0, 1, false);
    refuse(0, 0); /* the same in the other order */
    OUTCOMES("1 STORED 1 | 0 REJECTED E_NO_STREAM");
    end();
}

/* After a loss the first may or may not have been stored before the second: sent again, it might land behind it. */
static void test_not_resent_when_a_later_one_was_stored(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 2; i++)
        assert_int_equal(publish_as((nbj__publish){ .msg_id = nbj_str("id"), .ordered = true }, "x"), NBJ_OK);
    ack(1, 0, 2, false);
    lose();
    OUTCOMES("1 STORED 2 | 0 UNKNOWN E_ORDER");
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\n");
    end();
}

/* As long as one behind it has no answer it cannot be known whether there is still room before that. */
static void test_waits_for_those_behind_it(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 3; i++)
        assert_int_equal(ordered("x"), NBJ_OK);
    fix_sent(&f);
    refuse(0, 0);
    advance(NBJ_SECONDS(1));
    SENT(&f, "");
    refuse(2, 0);
    advance(NBJ_SECONDS(1));
    SENT(&f, "");
    refuse(1, 0);
    advance(NBJ_MILLIS(250));
    SENT(&f, PUB("P00000000", "x") PUB("P00000001", "x") PUB("P00000002", "x"));
    refuse(0, 0);
    ack(1, 0, 1, false);
    OUTCOMES("1 STORED 1 | 0 REJECTED E_ORDER");
    ack(2, 0, 2, false);
    OUTCOMES("2 STORED 2");
    end();
}

/* One behind it that had no answer may have been stored. */
static void test_what_had_no_answer_may_be_stored(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ordered("x"), NBJ_OK);
    assert_int_equal(publish_as((nbj__publish){ .msg_id = nbj_str("id"), .ordered = true }, "x"), NBJ_OK);
    refuse(0, 0);
    lose();
    OUTCOMES("0 REJECTED E_ORDER | 1 UNKNOWN E_ORDER");
    end();
    begin();
    nbj__publish m = { .msg = fix_out("js.a", "x"), .no_id = true, .ordered = true, .user = { told, &numbers[1] } };
    assert_int_equal(ordered("x"), NBJ_OK);
    m.deadline = f.now + NBJ_SECONDS(1);
    numbers[1] = 1;
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_OK);
    message = 2;
    refuse(0, 0);
    advance(NBJ_SECONDS(1));
    OUTCOMES("1 UNKNOWN E_TIMEOUT | 0 REJECTED E_ORDER");
    end();
}

/* --- how often --- */

static unsigned refuse_until_the_end(unsigned slot)
{
    unsigned n = 0;

    while (outcomes[0] == '\0' && n < 1000) {
        fix_write(&f, SIZE_MAX);
        refuse(slot, 0);
        advance(NBJ_MILLIS(250));
        n++;
    }
    return n;
}

static void test_retries(void **state)
{
    (void)state;
    static const struct {
        uint32_t retries;
        unsigned sent;
    } cases[] = { { 0, 3 }, { 1, 2 }, { 7, 8 }, { NBJ_RETRIES_NONE, 1 }, { NBJ_RETRIES_UNTIL_TIMEOUT, 120 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        assert_int_equal(publish_as((nbj__publish){ .no_id = true, .retries = cases[i].retries }, "x"), NBJ_OK);
        assert_int_equal(refuse_until_the_end(0), cases[i].sent);
        OUTCOMES("0 REJECTED E_NO_STREAM");
        end();
    }
    open_with(NULL, NULL); /* "none" holds for a new connection, too */
    fix_shake(&f, FIX_INFO);
    assert_int_equal(publish_as((nbj__publish){ .no_id = true, .retries = NBJ_RETRIES_NONE }, "x"), NBJ_OK);
    refuse(0, 0);
    OUTCOMES("0 REJECTED E_NO_STREAM");
    end();
}

static void test_delay(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_as((nbj__publish){ .no_id = true, .retry_ns = NBJ_SECONDS(2) }, "x"), NBJ_OK);
    fix_sent(&f);
    refuse(0, 0);
    advance(NBJ_SECONDS(2) - 1);
    SENT(&f, "");
    advance(1);
    SENT(&f, PUB("P00000000", "x"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_ones_go_on_in_order),
        cmocka_unit_test(test_the_first_failure_stops_them),
        cmocka_unit_test(test_nothing_is_sent_again_behind_a_failure),
        cmocka_unit_test(test_a_timeout_is_a_failure),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_not_resent_when_a_later_one_was_stored),
        cmocka_unit_test(test_waits_for_those_behind_it),
        cmocka_unit_test(test_what_had_no_answer_may_be_stored),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
