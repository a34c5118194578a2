/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic batches: what is sent, in answer to what, and what comes of it: js/batch.h. */
#include "js/batches.h"

#include "js/batch.h"

static nbj__batch b;
static uint32_t numbers;

static void on_event(fixture *x, const nbj__event *ev)
{
    switch (ev->type) {
    case NBJ__EV_INBOX:
        (void)nbj__batch_on_reply(&b, ev->token, ev->msg, x->now);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__batch_on_connected(&b, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__batch_on_disconnected(&b);
        break;
    case NBJ__EV_WRITABLE:
        nbj__batch_on_writable(&b);
        break;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH)
            nbj__batch_on_refused(&b, ev->subject);
        break;
    case NBJ__EV_CLOSED:
        nbj__batch_close(&b);
        break;
    default:
        break;
    }
}

static const nbj__observer observer = { on_transition, (void *)(uintptr_t)&nbj__batch_machine };

static void make(size_t max_bytes)
{
    numbers = 0;
    nbj__batch_init(&b, f.s, max_bytes, &numbers, &observer);
}

static void begin(void)
{
    begin_session(INFO_215, on_event);
    make(0);
}

static void end(void)
{
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_int_equal(nbj__batch_deadline(&b), NBJ_TIME_NEVER);
    nbj__batch_free(&b);
    nbj__batch_free(&b);
    fix_close(&f);
}

static void add(const char *subject, const char *payload)
{
    nbj__outgoing m = fix_out(subject, payload);

    assert_int_equal(nbj__batch_add(&b, &m), NBJ_OK);
}

static void commit(void)
{
    assert_int_equal(nbj__batch_commit(&b, f.now + NBJ_SECONDS(30), f.now), NBJ_OK);
    fix_pump(&f);
}

/* A batch of |count| messages, committed. */
static void begin_with(unsigned count)
{
    begin();
    for (unsigned i = 0; i < count; i++)
        add("s.a", "x");
    commit();
}

static void advance(uint64_t ns)
{
    fix_advance(&f, ns);
    nbj__batch_on_time(&b, f.now);
    fix_pump(&f);
}

/* The reply subject of member |i|, from 0, of attempt |number|, from 1. */
static const char *reply_to(unsigned number, unsigned i)
{
    static char text[300];
    char token[9];
    nbj_bytes inbox;

    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    nbj__token_write(token, (uint64_t)number << 20 | i, 8);
    snprintf(text, sizeof text, "%.*sB%.8s", NBJ_FMT(inbox), token);
    return text;
}

static void answer(unsigned number, unsigned i, const char *payload)
{
    fix_msg(&f, 1, reply_to(number, i), "", payload);
}

static void staged(unsigned number, unsigned i)
{
    answer(number, i, "");
}

static void stored(unsigned number, unsigned i, unsigned seq, unsigned count)
{
    char text[200];

    snprintf(text, sizeof text, "{\"stream\":\"S\",\"seq\":%u,\"batch\":\"%.*s\",\"count\":%u}", seq, NBJ__BATCH_ID,
             b.id, count);
    answer(number, i, text);
}

static void fail_with(unsigned number, unsigned i, int code, int err_code)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"error\":{\"code\":%d,\"err_code\":%d,\"description\":\"no\"},\"stream\":\"S\",\"seq\":0}", code,
             err_code);
    answer(number, i, text);
}

static void nobody(unsigned number, unsigned i)
{
    fix_hmsg(&f, 1, reply_to(number, i), "503", "");
}

/* The messages sent since the last look, as "1 2 3!": their sequences, and which one commits. */
static const char *sequences(void)
{
    static char text[4096];
    const char *at = fix_sent(&f);
    size_t n = 0;

    text[0] = '\0';
    while ((at = strstr(at, "HPUB ")) != NULL) {
        const char *next = strstr(at + 1, "HPUB ");
        const char *commits = strstr(at, "Nats-Batch-Commit: 1\r\n");
        const char *sequence = strstr(at, "Nats-Batch-Sequence: ");
        assert_non_null(sequence);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d%s", n > 0 ? " " : "", atoi(sequence + 21),
                              commits != NULL && (next == NULL || commits < next) ? "!" : "");
        at += 5;
    }
    return text;
}

#define SEQUENCES(want) fix_expect(sequences(), want, "sequences sent", __FILE__, __LINE__)

static void outcome_is(nbj__publish_outcome outcome, nbj_status status)
{
    assert_int_equal(b.state, NBJ__BATCH_DONE);
    assert_int_equal(b.result.outcome, outcome);
    assert_int_equal(b.result.error.status, status);
    assert_int_equal(outcome == NBJ__STORED, status == NBJ_OK);
    SEQUENCES("");
    end();
}

/* --- stored --- */

static void test_octets(void **state)
{
    nbj_header header = { nbj_str("A"), nbj_str("1") };
    nbj__outgoing m = fix_out("s.b", "two");

    (void)state;
    begin();
    add("s.a", "one");
    m.headers = &header;
    m.header_count = 1;
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_OK);
    SENT(&f, "");
    commit();
    char *sent = (char *)(uintptr_t)fix_sent(&f);
    shorten(sent, "Nats-Batch-Id: ", NBJ__BATCH_ID);
    fix_expect(sent,
               "SUB _INBOX.~.* 1\r\nHPUB s.a _INBOX.~.B00004000 75 78\r\n"
               "NATS/1.0\r\nNats-Batch-Id: @\r\nNats-Batch-Sequence: 1\r\n\r\none\r\n",
               "the first", __FILE__, __LINE__);
    staged(1, 0);
    sent = (char *)(uintptr_t)fix_sent(&f);
    shorten(sent, "Nats-Batch-Id: ", NBJ__BATCH_ID);
    fix_expect(sent,
               "HPUB s.b _INBOX.~.B00004001 103 106\r\n"
               "NATS/1.0\r\nNats-Batch-Commit: 1\r\nNats-Batch-Id: @\r\nNats-Batch-Sequence: 2\r\nA: 1\r\n\r\ntwo\r\n",
               "the last", __FILE__, __LINE__);
    stored(1, 1, 9, 2);
    assert_string_equal(b.result.ack.stream, "S");
    assert_true(b.result.ack.sequence == 9 && b.result.count == 2);
    outcome_is(NBJ__STORED, NBJ_OK);
}

static void test_single(void **state)
{
    (void)state;
    begin_with(1);
    SEQUENCES("1!");
    stored(1, 0, 4, 1);
    assert_true(b.result.count == 1);
    outcome_is(NBJ__STORED, NBJ_OK);
    begin_with(1);
    SEQUENCES("1!");
    answer(1, 0, "{\"stream\":\"S\", \"seq\":4}"); /* an old server stored all of it, too */
    outcome_is(NBJ__STORED, NBJ_OK);
}

static void test_many(void **state)
{
    (void)state;
    begin_with(5);
    SEQUENCES("1");
    staged(1, 0);
    SEQUENCES("2 3 4"); /* not one by one */
    staged(1, 1);
    staged(1, 2);
    SEQUENCES("");
    staged(1, 3);
    SEQUENCES("5!");
    staged(1, 4); /* says nothing */
    assert_int_equal(b.state, NBJ__BATCH_COMMITTING);
    stored(1, 4, 50, 5);
    outcome_is(NBJ__STORED, NBJ_OK);
}

static void test_large_ones_go_ahead_a_little(void **state)
{
    static char large[1048577 - 200];

    (void)state;
    memset(large, 'x', sizeof large - 1);
    begin();
    for (int i = 0; i < 8; i++)
        add("s.a", large);
    commit();
    f.raw_len = 0;
    assert_int_equal(b.sent, 1);
    staged(1, 0);
    assert_int_equal(b.sent, 6); /* 5 of them are more than 4 MiB */
    staged(1, 2);                /* which tells of those before, too */
    assert_int_equal(b.sent, 7);
    staged(1, 6);
    assert_int_equal(b.state, NBJ__BATCH_COMMITTING);
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_int_equal(b.result.outcome, NBJ__UNKNOWN);
    end();
}

/* --- servers that do not know batches --- */

static void test_gate(void **state)
{
    (void)state;
    begin_session(FIX_INFO, on_event);
    make(0);
    add("s.a", "x");
    commit();
    assert_non_null(strstr(b.result.error.text, "2.12.0"));
    outcome_is(NBJ__REJECTED, NBJ_E_UNSUPPORTED);
}

static void test_stored_singly(void **state)
{
    (void)state;
    begin_with(3);
    SEQUENCES("1");
    answer(1, 0, "{\"stream\":\"S\", \"seq\":12}");
    assert_true(b.result.member == 1 && b.result.ack.sequence == 12);
    assert_non_null(strstr(b.result.error.text, "sequence 12"));
    outcome_is(NBJ__REJECTED, NBJ_E_UNSUPPORTED);
    begin_with(3); /* the leader is an old server in the middle of it */
    SEQUENCES("1");
    staged(1, 0);
    SEQUENCES("2");
    staged(1, 1);
    SEQUENCES("3!");
    answer(1, 2, "{\"stream\":\"S\", \"seq\":13}");
    assert_true(b.result.member == 3 && b.result.ack.sequence == 13);
    outcome_is(NBJ__REJECTED, NBJ_E_UNSUPPORTED);
}

/* --- refused --- */

static void test_refused(void **state)
{
    static const struct {
        int err_code;
        nbj_status status;
        const char *remedy;
    } cases[] = {
        { 10174, NBJ_E_JS, "allow_atomic" },
        { 10175, NBJ_E_JS, "" },
        { 10177, NBJ_E_JS, "leave that header out" },
        { 10179, NBJ_E_JS, "" },
        { 10199, NBJ_E_JS, "smaller" },
        { 10200, NBJ_E_JS, "" },
        { 10201, NBJ_E_JS, "stored before" },
        { 10071, NBJ_E_WRONG_LAST_SEQUENCE, "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned member = 0; member < 3; member++) {
            begin_with(3);
            SEQUENCES("1");
            if (member > 0) {
                staged(1, 0);
                SEQUENCES("2");
            }
            if (member > 1) {
                staged(1, 1);
                SEQUENCES("3!");
            }
            fail_with(1, member, 400, cases[i].err_code);
            CHECK(cases[i].remedy, b.result.error.err_code == cases[i].err_code && b.result.member == member + 1);
            CHECK(cases[i].remedy, strstr(b.result.error.text, cases[i].remedy) != NULL);
            outcome_is(NBJ__REJECTED, cases[i].status);
        }
    }
}

static void test_refused_for_now(void **state)
{
    static const int codes[] = { 10210, 10167, 10176 };

    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        begin_with(2);
        SEQUENCES("1");
        fail_with(1, 0, 429, codes[i]);
        SEQUENCES("");
        advance(NBJ_MILLIS(250));
        SEQUENCES("1");
        staged(2, 0);
        SEQUENCES("2!");
        fail_with(2, 1, 429, codes[i]); /* certainly not committed */
        staged(1, 0);                   /* of an attempt that is over */
        stored(2, 1, 3, 2);
        assert_int_equal(b.state, NBJ__BATCH_WAITING);
        advance(NBJ_MILLIS(250));
        SEQUENCES("1");
        staged(3, 0);
        SEQUENCES("2!");
        stored(3, 1, 3, 2);
        outcome_is(NBJ__STORED, NBJ_OK);
    }
}

static void test_refused_for_too_long(void **state)
{
    (void)state;
    begin_with(2);
    for (unsigned i = 1; i <= 8; i++) {
        SEQUENCES("1");
        nobody(i, 0);
        advance(NBJ_MILLIS(250));
    }
    SEQUENCES("1");
    nobody(9, 0);
    outcome_is(NBJ__REJECTED, NBJ_E_NO_STREAM);
    begin_with(2);
    SEQUENCES("1");
    advance(NBJ_SECONDS(29) + NBJ_MILLIS(900)); /* no time is left for another attempt */
    fail_with(1, 0, 429, 10210);
    assert_non_null(strstr(b.result.error.text, "too many batches"));
    outcome_is(NBJ__REJECTED, NBJ_E_JS_UNAVAILABLE);
}

static void test_permission(void **state)
{
    (void)state;
    begin();
    add("s.a", "x");
    add("s.b", "x");
    add("s.c", "x");
    commit();
    staged(1, 0);
    SEQUENCES("1 2");
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"s.b\"'\r\n");
    assert_true(b.result.member == 2);
    outcome_is(NBJ__REJECTED, NBJ_E_PERMISSION_PUBLISH);
}

/* --- answers that cannot be read --- */

static void test_unreadable(void **state)
{
    static const char *const bad[] = {
        "{", "[]", "{}", "{\"stream\":\"S\"}", "{\"type\":\"ack\",\"seq\":1,\"msgs\":1}", "{\"type\":\"x\"}"
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        begin_with(2);
        SEQUENCES("1");
        answer(1, 0, bad[i]);
        outcome_is(NBJ__REJECTED, NBJ_E_BAD_REPLY); /* the commit was not sent */
        begin_with(2);
        staged(1, 0);
        SEQUENCES("1 2!");
        answer(1, 1, bad[i]);
        outcome_is(NBJ__UNKNOWN, NBJ_E_BAD_REPLY);
    }
}

static void test_answers_to_nothing(void **state)
{
    (void)state;
    begin_with(2);
    SEQUENCES("1");
    staged(7, 0);       /* of another attempt */
    staged(1, 1);       /* of a message that is not sent yet */
    stored(1, 1, 3, 2); /* likewise */
    assert_int_equal(b.state, NBJ__BATCH_OPENING);
    SEQUENCES("");
    assert_false(nbj__batch_on_reply(&b, nbj_str("R00000000"), NULL, f.now));
    assert_false(nbj__batch_on_reply(&b, nbj_str("B"), NULL, f.now));
    assert_false(nbj__batch_on_reply(&b, nbj_str("B000000!!"), NULL, f.now));
    staged(1, 0);
    SEQUENCES("2!");
    stored(1, 1, 3, 2);
    outcome_is(NBJ__STORED, NBJ_OK);
}

/* --- losses and the time --- */

static void test_begun_again_after_a_loss(void **state)
{
    char first_id[NBJ__BATCH_ID];

    (void)state;
    begin_with(3);
    memcpy(first_id, b.id, sizeof first_id);
    lose_connection(); /* opening */
    assert_int_equal(b.state, NBJ__BATCH_WAITING);
    come_back(INFO_215);
    SEQUENCES("1");
    assert_memory_not_equal(first_id, b.id, sizeof first_id);
    staged(1, 0); /* late */
    SEQUENCES("");
    staged(2, 0);
    staged(2, 1);
    SEQUENCES("2 3!");
    stored(2, 2, 3, 3);
    outcome_is(NBJ__STORED, NBJ_OK);
}

static void test_lost_before_the_commit(void **state)
{
    static char large[1048577 - 200];

    (void)state;
    memset(large, 'x', sizeof large - 1);
    begin();
    for (int i = 0; i < 8; i++)
        add("s.a", large);
    commit();
    staged(1, 0);
    assert_int_equal(b.state, NBJ__BATCH_SENDING);
    f.is_open = false;
    nbj__session_lost(f.s, NBJ_E_EOF, NULL, f.now);
    fix_pump(&f);
    assert_int_equal(b.state, NBJ__BATCH_WAITING);
    assert_int_equal(nbj__session_outgoing(f.s), 0); /* nothing of it is sent over the next connection */
    come_back(FIX_INFO);
    outcome_is(NBJ__REJECTED, NBJ_E_UNSUPPORTED); /* to an old server */
}

static void test_lost_with_the_commit(void **state)
{
    (void)state;
    begin_with(2);
    staged(1, 0);
    SEQUENCES("1 2!");
    lose_connection();
    outcome_is(NBJ__UNKNOWN, NBJ_E_DISCONNECTED);
}

static void test_without_a_connection(void **state)
{
    (void)state;
    begin();
    lose_connection();
    add("s.a", "x");
    commit();
    assert_int_equal(b.state, NBJ__BATCH_WAITING);
    come_back(INFO_215);
    SEQUENCES("1!");
    stored(1, 0, 1, 1);
    outcome_is(NBJ__STORED, NBJ_OK);
}

static void test_deadlines(void **state)
{
    (void)state;
    begin_with(2);
    SEQUENCES("1");
    assert_true(nbj__batch_deadline(&b) == f.now + NBJ_SECONDS(30));
    advance(NBJ_SECONDS(30));
    outcome_is(NBJ__REJECTED, NBJ_E_TIMEOUT);
    begin_with(2);
    staged(1, 0);
    SEQUENCES("1 2!");
    advance(NBJ_SECONDS(30));
    outcome_is(NBJ__UNKNOWN, NBJ_E_TIMEOUT);
    begin();
    lose_connection();
    add("s.a", "x");
    commit();
    fix_at(&f, f.now + NBJ_SECONDS(31));
    nbj__batch_on_time(&b, f.now);
    outcome_is(NBJ__REJECTED, NBJ_E_TIMEOUT);
}

static void test_closed(void **state)
{
    (void)state;
    begin_with(2);
    SEQUENCES("1");
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    outcome_is(NBJ__REJECTED, NBJ_E_CLOSED);
    begin(); /* nothing comes of one that was never committed */
    add("s.a", "x");
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_int_equal(b.state, NBJ__BATCH_BUILDING);
    end();
}

/* --- building --- */

static void test_what_is_not_taken(void **state)
{
    nbj__outgoing m = fix_out("s.*", "x");
    static const char large[3000];

    (void)state;
    begin_session(INFO_215, on_event);
    make(2000);
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj__batch_commit(&b, NBJ_TIME_NEVER, f.now), NBJ_E_INVALID);
    m = fix_out("s.a", "x");
    m.payload = nbj_view(large, sizeof large);
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_E_FULL);
    m.payload = nbj_view(large, 100);
    unsigned n = 0;
    while (nbj__batch_add(&b, &m) == NBJ_OK)
        n++;
    assert_true(n > 4 && n < 20);
    commit();
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_E_STATE);
    assert_int_equal(nbj__batch_commit(&b, NBJ_TIME_NEVER, f.now), NBJ_E_STATE);
    end();
}

/* The server that it is sent to takes less than the one before. */
static void test_too_large_now(void **state)
{
    static const char large[3000];
    nbj__outgoing m = { .subject = nbj_str("s.a"), .payload = nbj_view(large, sizeof large) };

    (void)state;
    begin();
    add("s.a", "x");
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_OK);
    lose_connection();
    commit();
    come_back("INFO {\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1000}\r\n");
    SEQUENCES("1");
    staged(1, 0);
    assert_true(b.result.member == 2);
    outcome_is(NBJ__REJECTED, NBJ_E_TOO_LARGE);
    begin();
    assert_int_equal(nbj__batch_add(&b, &m), NBJ_OK);
    lose_connection();
    commit();
    come_back("INFO {\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1000}\r\n");
    outcome_is(NBJ__REJECTED, NBJ_E_TOO_LARGE);
}

/* --- the socket takes nothing for a while --- */

static void test_a_full_buffer(void **state)
{
    char large[1000];
    nbj__outgoing m = { .subject = nbj_str("s.a"), .payload = nbj_view(large, sizeof large) };
    nbj__session_options o = { .max_outgoing_bytes = 4096 };

    (void)state;
    memset(large, 'x', sizeof large);
    fix_open(&f, &o);
    f.on_event = on_event;
    fix_shake(&f, INFO_215);
    make(0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(nbj__batch_add(&b, &m), NBJ_OK);
    commit();
    SEQUENCES("1");
    staged(1, 0);
    assert_true(b.sent < 6);
    for (int i = 0; i < 10; i++) {
        fix_write(&f, SIZE_MAX);
        fix_pump(&f);
    }
    SEQUENCES("2 3 4 5 6 7 8 9");
    end();
}

static void test_every_transition(void **state)
{
    (void)state;
    all_were_taken(&nbj__batch_machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_large_ones_go_ahead_a_little),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_stored_singly),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_for_now),
        cmocka_unit_test(test_refused_for_too_long),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_answers_to_nothing),
        cmocka_unit_test(test_begun_again_after_a_loss),
        cmocka_unit_test(test_lost_before_the_commit),
        cmocka_unit_test(test_lost_with_the_commit),
        cmocka_unit_test(test_without_a_connection),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_what_is_not_taken),
        cmocka_unit_test(test_too_large_now),
        cmocka_unit_test(test_a_full_buffer),
        cmocka_unit_test(test_every_transition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
