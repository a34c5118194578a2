/* SPDX-License-Identifier: Apache-2.0 */
/* The publish window: what is sent, answers in any order, limits, deadlines, the end: js/publish.h. */
#include "js/window.h"

/* --- stored --- */

static void test_stored(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish("one"), NBJ_OK);
    assert_int_equal(publish("two"), NBJ_OK);
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB js.a _INBOX.~.P00000000 3\r\none\r\nPUB js.a _INBOX.~.P00000001 3\r\ntwo\r\n");
    assert_int_equal(nbj__publisher_unfinished(&p), 2);
    ack(0, 0, 7, false);
    ack(1, 0, 8, false);
    OUTCOMES("0 STORED 7 | 1 STORED 8");
    assert_int_equal(nbj__publisher_deadline(&p), NBJ_TIME_NEVER);
    end();
}

static void test_ids(void **state)
{
    (void)state;
    nbj_header header = { nbj_str("A"), nbj_str("1") };
    char first[64], second[64];
    begin();
    assert_int_equal(publish_for("x", NULL, false, 1000), NBJ_OK);
    assert_int_equal(publish_for("x", NULL, false, 1000), NBJ_OK);
    const char *at = strstr(fix_sent(&f), "Nats-Msg-Id: ");
    assert_int_equal(sscanf(at, "Nats-Msg-Id: %63s", first), 1);
    assert_int_equal(sscanf(strstr(at + 1, "Nats-Msg-Id: "), "Nats-Msg-Id: %63s", second), 1);
    assert_int_equal(strlen(first), 20);
    assert_memory_equal(first, second, 12); /* of this client, then counted */
    assert_string_not_equal(first, second);
    nbj__publish m = { .msg = fix_out("js.a", "x"), .msg_id = nbj_str("mine"), .deadline = f.now + 1000 };
    m.msg.headers = &header;
    m.msg.header_count = 1;
    m.user = (nbj__publish_user){ told, &numbers[2] };
    numbers[2] = 2;
    message = 3;
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_OK);
    SENT(&f, "HPUB js.a _INBOX.~.P00000002 37 38\r\nNATS/1.0\r\nNats-Msg-Id: mine\r\nA: 1\r\n\r\nx\r\n");
    nbj_header many[64];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = header;
    m.msg.headers = many;
    m.msg.header_count = COUNT(many);
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_E_BAD_HEADER);
    m.msg_id = nbj_str("a\r\nb");
    m.msg.header_count = 0;
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_E_BAD_HEADER);
    end();
}

/* The caller's own header is the id: none is made, and a second one is refused. */
static void test_own_id(void **state)
{
    (void)state;
    nbj_header own = { nbj_str("Nats-Msg-Id"), nbj_str("own") };
    begin();
    nbj__publish m = { .msg = fix_out("js.a", "x"), .deadline = f.now + 1000, .user = { told, &numbers[0] } };
    m.msg.headers = &own;
    m.msg.header_count = 1;
    message = 1;
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_OK);
    SENT(&f, "SUB _INBOX.~.* 1\r\nHPUB js.a _INBOX.~.P00000000 30 31\r\n"
             "NATS/1.0\r\nNats-Msg-Id: own\r\n\r\nx\r\n");
    lose();
    OUTCOMES(""); /* it may be sent again */
    m.msg_id = nbj_str("other");
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_E_BAD_HEADER);
    end();
}

static void test_headers_of_options(void **state)
{
    (void)state;
    nbj_header more[] = { { nbj_str("B"), nbj_str("2") }, { nbj_str("C"), nbj_str("3") } };
    begin();
    assert_int_equal(publish_as((nbj__publish){ .msg_id = nbj_str("i"), .more = more, .more_count = 2 }, "x"), NBJ_OK);
    SENT(&f, "SUB _INBOX.~.* 1\r\nHPUB js.a _INBOX.~.P00000000 40 41\r\n"
             "NATS/1.0\r\nNats-Msg-Id: i\r\nB: 2\r\nC: 3\r\n\r\nx\r\n");
    end();
}

/* A counter's message that was stored without being counted is no success. */
static void test_counters(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *want, *value;
    } cases[] = {
        { "{\"stream\":\"S\",\"seq\":1,\"val\":\"5\"}", "0 STORED 1", "5" },
        { "{\"stream\":\"S\",\"seq\":1}", "0 UNKNOWN E_UNSUPPORTED", "" },
        { "{\"stream\":\"S\",\"seq\":1,\"duplicate\":true}", "0 DUPLICATE 1", "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        assert_int_equal(publish_as((nbj__publish){ .counts = true }, ""), NBJ_OK);
        fix_msg(&f, 1, reply_to(0, 0), "", cases[i].answer);
        assert_string_equal(last_value, cases[i].value);
        OUTCOMES(cases[i].want);
        end();
    }
}

static void test_illegal(void **state)
{
    (void)state;
    begin();
    nbj__publish m = { .msg = fix_out("js.*", "x"), .deadline = NBJ_TIME_NEVER };
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_E_BAD_SUBJECT);
    m.msg = (nbj__outgoing){ .subject = nbj_str("js.a"), .payload = nbj_view("", 1048577) };
    assert_int_equal(nbj__publisher_publish(&p, &m, f.now), NBJ_E_TOO_LARGE);
    assert_true(nbj__publisher_is_idle(&p));
    nbj__session_close(f.s, NBJ_OK, NULL);
    assert_int_equal(publish("x"), NBJ_E_CLOSED);
    end();
}

static void test_answers_in_any_order(void **state)
{
    (void)state;
    begin_with(&(nbj__publish_options){ .max_messages = 8 }, NULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(publish("x"), NBJ_OK);
    assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK); /* full */
    fix_write(&f, SIZE_MAX);
    static const unsigned order[] = { 3, 1, 7, 5, 6 };
    for (size_t i = 0; i < COUNT(order); i++)
        ack(order[i], 0, order[i], false);
    OUTCOMES("3 STORED 3 | 1 STORED 1 | 7 STORED 7 | 5 STORED 5 | 6 STORED 6");
    assert_int_equal(nbj__publisher_unfinished(&p), 3);
    assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK); /* the oldest holds the ring */
    ack(0, 0, 100, false);
    assert_int_equal(publish("x"), NBJ_OK);
    assert_int_equal(publish("x"), NBJ_OK); /* behind the one that was done before it */
    assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK);
    OUTCOMES("0 STORED 100");
    end();
}

static void test_ring_goes_round(void **state)
{
    (void)state;
    begin_with(&(nbj__publish_options){ .max_messages = 4 }, NULL);
    for (unsigned i = 0; i < 200; i++) {
        char want[40];
        assert_int_equal(publish("x"), NBJ_OK);
        if (i < 3)
            continue;
        fix_sent(&f);
        ack((i - 3) % 4, (i - 3) / 4, i - 2, false);
        snprintf(want, sizeof want, "%u STORED %u", i - 3, i - 2);
        OUTCOMES(want);
    }
    assert_int_equal(nbj__publisher_unfinished(&p), 3);
    end();
}

static void test_messages_are_limited_exactly(void **state)
{
    (void)state;
    begin_with(&(nbj__publish_options){ .max_messages = 3 }, NULL); /* of four places */
    for (unsigned i = 0; i < 20; i++) {
        char want[80];
        for (int j = 0; j < 3; j++)
            assert_int_equal(publish("x"), NBJ_OK);
        assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK);
        for (unsigned j = 3 * i; j < 3 * i + 3; j++)
            ack(j % 4, j / 4, j + 1, false);
        snprintf(want, sizeof want, "%u STORED %u | %u STORED %u | %u STORED %u", 3 * i, 3 * i + 1, 3 * i + 1,
                 3 * i + 2, 3 * i + 2, 3 * i + 3);
        OUTCOMES(want);
    }
    end();
}

static void test_late_answers_complete_nothing_else(void **state)
{
    (void)state;
    begin_with(&(nbj__publish_options){ .max_messages = 1 }, NULL);
    assert_int_equal(publish("x"), NBJ_OK);
    ack(0, 0, 1, false);
    ack(0, 0, 1, false); /* again */
    OUTCOMES("0 STORED 1");
    assert_int_equal(publish("x"), NBJ_OK);
    ack(0, 0, 1, false);
    refuse(0, 0);
    ack(0, 2, 1, false);
    ack(1, 0, 1, false);
    fix_msg(&f, 1, "_INBOX.x.P0000000~", "", "{\"stream\":\"S\",\"seq\":1}");
    OUTCOMES("");
    ack(0, 1, 2, false);
    OUTCOMES("1 STORED 2");
    end();
}

static void test_bad_answers(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        const char *want;
    } cases[] = {
        { "", "0 UNKNOWN E_BAD_REPLY" },
        { "ok", "0 UNKNOWN E_BAD_REPLY" },
        { "{\"stream\":\"S\",\"seq\":0}", "0 UNKNOWN E_BAD_REPLY" },
        { "{\"error\":{\"code\":400,\"err_code\":10060,\"description\":\"expected stream does not match\"}}",
          "0 REJECTED E_JS" },
        { "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 3\"}}",
          "0 REJECTED E_WRONG_LAST_SEQUENCE" },
        { "{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"maximum messages exceeded\"}}",
          "0 REJECTED E_JS" },
        { "{\"stream\":\"S\",\"seq\":9,\"duplicate\":true}", "0 DUPLICATE 9" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        assert_int_equal(publish_id("x"), NBJ_OK);
        fix_msg(&f, 1, reply_to(0, 0), "", cases[i].payload);
        OUTCOMES(cases[i].want);
        end();
    }
}

/* --- limits --- */

static void test_octets_are_limited(void **state)
{
    (void)state;
    static char large[200];
    memset(large, 'x', sizeof large - 1);
    begin_with(&(nbj__publish_options){ .max_bytes = 300 }, NULL);
    assert_int_equal(publish("0123456789"), NBJ_OK);
    assert_int_equal(publish(large), NBJ_E_WOULD_BLOCK);
    ack(0, 0, 1, false);
    assert_int_equal(publish(large), NBJ_OK);
    assert_int_equal(publish("0123456789"), NBJ_E_WOULD_BLOCK);
    ack(1, 0, 2, false);
    static char larger[400];
    memset(larger, 'x', sizeof larger - 1);
    assert_int_equal(publish(larger), NBJ_E_FULL); /* waiting would not help */
    OUTCOMES("0 STORED 1 | 1 STORED 2");
    end();
}

/* Outcomes that nobody was told of take room, but for who waits for his own. */
static void test_told_late(void **state)
{
    (void)state;
    begin_with(&(nbj__publish_options){ .max_messages = 4, .max_bytes = 1000 }, NULL);
    p.told_messages = 3;
    assert_int_equal(publish("x"), NBJ_OK);
    assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK);
    assert_int_equal(publish_as((nbj__publish){ .no_tell = true }, "x"), NBJ_OK);
    p.told_messages = 1;
    p.told_bytes = 900;
    assert_int_equal(publish("x"), NBJ_E_WOULD_BLOCK);
    assert_int_equal(publish_as((nbj__publish){ .no_tell = true }, "x"), NBJ_OK);
    p.told_messages = p.told_bytes = 0;
    assert_int_equal(publish("x"), NBJ_OK);
    end();
}

static void test_places(void **state)
{
    (void)state;
    nbj__publish_place at = { 0 };
    begin();
    assert_false(nbj__publisher_next(&p, &at));
    for (int i = 0; i < 4; i++)
        assert_int_equal(publish(i == 2 ? "a longer one" : "x"), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    ack(1, 0, 1, false);
    at = (nbj__publish_place){ 0 };
    static const uint64_t want[] = { 0, 2, 3 };
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(nbj__publisher_next(&p, &at));
        assert_int_equal(at.n, want[i]);
        assert_true(nbj_bytes_equal(nbj__publisher_subject(&p, &at), nbj_str("js.a")));
    }
    assert_false(nbj__publisher_next(&p, &at));
    end();
}

static void test_too_large_for_the_outgoing_buffer(void **state)
{
    (void)state;
    static char large[400];
    memset(large, 'x', sizeof large - 1);
    begin_with(NULL, &(nbj__session_options){ .max_outgoing_bytes = 300 });
    assert_int_equal(publish(large), NBJ_E_FULL); /* it could never leave, and hold up the others */
    assert_int_equal(publish("x"), NBJ_OK);
    fix_sent(&f);
    ack(0, 0, 1, false);
    OUTCOMES("0 STORED 1");
    end();
}

static void test_full_outgoing_buffer(void **state)
{
    (void)state;
    begin_with(NULL, &(nbj__session_options){ .max_outgoing_bytes = 300 });
    for (int i = 0; i < 20; i++)
        assert_int_equal(publish("0123456789"), NBJ_OK); /* more than fits is kept */
    size_t written = 0;
    for (int i = 0; i < 50; i++) {
        written += fix_write(&f, 100) > 0;
        fix_pump(&f);
    }
    assert_true(written > 10);
    f.raw[f.raw_len] = '\0';
    char *at = f.raw;
    for (unsigned i = 0; i < 20; i++) { /* all, in order */
        char token[16];
        nbj__token_write(token, i, 8);
        token[8] = ' ';
        token[9] = '\0';
        at = strstr(at, token);
        assert_non_null(at);
        ack(i, 0, i + 1, false);
    }
    assert_int_equal(nbj__publisher_unfinished(&p), 0);
    end();
}

/* Messages without acknowledgement take every octet that they can; neither they nor the publishes shut the other out. */
static void test_outgoing_buffer_kept_full_by_others(void **state)
{
    unsigned others = 0;

    (void)state;
    begin_with(NULL, &(nbj__session_options){ .max_outgoing_bytes = 2000 });
    while (fix_publish(&f, "b", "0123456789") == NBJ_OK)
        continue;
    for (int i = 0; i < 40; i++)
        assert_int_equal(publish("0123456789"), NBJ_OK);
    for (unsigned i = 0; p.cursor < p.tail; i++) {
        assert_true(i < 100);
        assert_int_equal(fix_write(&f, 200), 200);
        fix_pump(&f);
        while (fix_publish(&f, "b", "0123456789") == NBJ_OK)
            others++;
        assert_true(others > i / 10);
    }
    for (unsigned i = 0; i < 40; i++)
        ack(i, 0, i + 1, false);
    end();
}

/* Nor do subscriptions that come and go, a quarter of a mebibyte of which has room of its own. */
static void test_outgoing_buffer_kept_full_by_subscriptions(void **state)
{
    unsigned subs = 0;

    (void)state;
    begin_with(NULL, &(nbj__session_options){ .max_outgoing_bytes = 2000 });
    for (int i = 0; i < 100; i++)
        assert_int_equal(publish("0123456789"), NBJ_OK);
    for (int i = 0; p.cursor < p.tail; i++) {
        assert_true(i < 1000);
        f.raw_len = 0;
        fix_write(&f, 5000);
        fix_pump(&f);
        for (int n = 0; n < 300 && fix_subscribe(&f, 0, "b", 0) == NBJ_OK; n++) {
            assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 0), NBJ_OK);
            fix_pump(&f);
            nbj__session_sub_clear(f.s, &f.sub[0]);
            f.events[0] = '\0';
            subs++;
        }
    }
    assert_true(subs >= 4000);
    for (unsigned i = 0; i < 100; i++)
        ack(i, 0, i + 1, false);
    end();
}

/* --- deadlines --- */

static void test_deadlines(void **state)
{
    (void)state;
    begin();
    assert_int_equal(publish_for("a", NULL, true, NBJ_SECONDS(3)), NBJ_OK);
    assert_int_equal(publish_for("b", NULL, true, NBJ_SECONDS(1)), NBJ_OK);
    assert_int_equal(publish_for("c", NULL, true, NBJ_SECONDS(2)), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    assert_int_equal(nbj__publisher_deadline(&p), f.now + NBJ_SECONDS(1));
    advance(NBJ_SECONDS(1) - 1);
    OUTCOMES("");
    advance(1);
    OUTCOMES("1 UNKNOWN E_TIMEOUT");
    assert_int_equal(nbj__publisher_deadline(&p), f.now + NBJ_SECONDS(1));
    advance(NBJ_SECONDS(5));
    OUTCOMES("0 UNKNOWN E_TIMEOUT | 2 UNKNOWN E_TIMEOUT");
    ack(0, 0, 1, false); /* too late */
    OUTCOMES("");
    end();
}

static void test_deadline_before_anything_was_sent(void **state)
{
    (void)state;
    open_with(NULL, NULL);
    fix_pump(&f);
    assert_int_equal(publish_for("x", NULL, false, NBJ_SECONDS(1)), NBJ_OK);
    advance(NBJ_SECONDS(1));
    OUTCOMES("0 REJECTED E_TIMEOUT"); /* certainly not stored */
    end();
}

static void test_done_before_the_cursor(void **state)
{
    (void)state;
    open_with(NULL, NULL);
    fix_pump(&f);
    for (uint64_t i = 0; i < 6; i++) /* every second one runs out before there is a connection */
        assert_int_equal(publish_for("x", NULL, true, i % 2 == 0 ? NBJ_SECONDS(1) : NBJ_SECONDS(100)), NBJ_OK);
    advance(NBJ_SECONDS(1));
    OUTCOMES("0 REJECTED E_TIMEOUT | 2 REJECTED E_TIMEOUT | 4 REJECTED E_TIMEOUT");
    come_back();
    SENT(&f, "SUB _INBOX.~.* 1\r\nPUB js.a _INBOX.~.P00000001 1\r\nx\r\nPUB js.a _INBOX.~.P00000003 1\r\nx\r\n"
             "PUB js.a _INBOX.~.P00000005 1\r\nx\r\n");
    ack(5, 0, 3, false);
    ack(3, 0, 2, false);
    ack(1, 0, 1, false);
    OUTCOMES("5 STORED 3 | 3 STORED 2 | 1 STORED 1");
    end();
}

/* --- the end --- */

static void test_abandoned_at_close(void **state)
{
    (void)state;
    open_with(NULL, NULL);
    fix_shake(&f, FIX_INFO);
    assert_int_equal(publish("a"), NBJ_OK);
    assert_int_equal(publish("b"), NBJ_OK);
    assert_int_equal(publish_id("c"), NBJ_OK);
    ack(1, 0, 1, false);
    lose();
    assert_int_equal(publish("d"), NBJ_OK);
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_string_equal(outcomes, "1 STORED 1 | 0 UNKNOWN E_DISCONNECTED | 2 UNKNOWN E_CLOSED | 3 REJECTED E_CLOSED");
    end();
}

static nbj_status init_and_publish(const nbj_allocator *alloc, void *ctx)
{
    nbj__session *s = NULL;
    nbj__publisher pub = { 0 };
    nbj__publish_result r;
    nbj_error error;
    nbj__session_options so = { .alloc = alloc };
    nbj__publish_options po = { .max_messages = 4 };
    nbj__publish m = { .msg = fix_out("js.a", "x"), .deadline = NBJ_TIME_NEVER, .user = { told, NULL } };

    (void)ctx;
    nbj_status st = nbj__session_new(&s, &so, FIX_START, &error);
    if (st == NBJ_OK)
        st = nbj__publisher_init(&pub, s, &po, NULL);
    for (int i = 0; i < 3 && st == NBJ_OK; i++)
        st = nbj__publisher_publish(&pub, &m, FIX_START);
    while (nbj__publisher_abandon(&pub, &r))
        assert_int_equal(r.outcome, NBJ__REJECTED);
    nbj__publisher_free(&pub);
    nbj__session_free(s);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_true(alloc_sweep(init_and_publish, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_own_id),
        cmocka_unit_test(test_headers_of_options),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_answers_in_any_order),
        cmocka_unit_test(test_ring_goes_round),
        cmocka_unit_test(test_messages_are_limited_exactly),
        cmocka_unit_test(test_late_answers_complete_nothing_else),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_octets_are_limited),
        cmocka_unit_test(test_told_late),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_too_large_for_the_outgoing_buffer),
        cmocka_unit_test(test_full_outgoing_buffer),
        cmocka_unit_test(test_outgoing_buffer_kept_full_by_others),
        cmocka_unit_test(test_outgoing_buffer_kept_full_by_subscriptions),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_deadline_before_anything_was_sent),
        cmocka_unit_test(test_done_before_the_cursor),
        cmocka_unit_test(test_abandoned_at_close),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
