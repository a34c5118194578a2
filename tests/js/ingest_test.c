/* SPDX-License-Identifier: Apache-2.0 */
/* Fast ingest: what is sent, how far ahead, and what is known to be stored after whatever the server says: js/ingest.h. */
#include "js/batches.h"

#include "js/ingest.h"

static nbj__ingest g;
static const nbj__observer observer = { on_transition, (void *)(uintptr_t)&nbj__ingest_machine };

static void on_event(fixture *x, const nbj__event *ev)
{
    switch (ev->type) {
    case NBJ__EV_MSG:
        assert_ptr_equal(ev->sub, &g.sub);
        nbj__ingest_on_msg(&g, ev->msg, x->now);
        break;
    case NBJ__EV_SUB_ENDED:
        nbj__ingest_on_sub_ended(&g);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__ingest_on_connected(&g, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__ingest_on_disconnected(&g);
        break;
    case NBJ__EV_WRITABLE:
        nbj__ingest_on_writable(&g, x->now);
        break;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH)
            nbj__ingest_on_refused(&g, ev->subject);
        break;
    case NBJ__EV_CLOSED:
        nbj__ingest_close(&g);
        break;
    default:
        break;
    }
}

static void begin_with(const nbj__ingest_options *o)
{
    begin_session(INFO_215, on_event);
    assert_int_equal(nbj__ingest_init(&g, f.s, o, &observer), NBJ_OK);
}

static void begin(void)
{
    begin_with(&(nbj__ingest_options){ .flow = 4 });
}

static void end(void)
{
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_int_equal(g.state, NBJ__INGEST_ENDED);
    assert_true(nbj__ingest_deadline(&g) == NBJ_TIME_NEVER && nbj__ingest_has_room(&g));
    nbj__ingest_free(&g);
    nbj__ingest_free(&g);
    fix_close(&f);
}

static nbj_status try_add(const char *payload)
{
    nbj__outgoing m = fix_out("s.a", payload);
    nbj_status st = nbj__ingest_add(&g, &m, f.now);

    fix_pump(&f);
    return st;
}

static void add(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(try_add("x"), NBJ_OK);
}

static void finish(void)
{
    nbj__ingest_finish(&g, f.now + NBJ_SECONDS(100), f.now);
    fix_pump(&f);
}

/* Half a second at a time, so that the session's own pings are answered. */
static void advance(uint64_t ns)
{
    for (nbj_time until = f.now + ns; f.now < until;) {
        fix_advance(&f, until - f.now < NBJ_MILLIS(500) ? until - f.now : NBJ_MILLIS(500));
        nbj__ingest_on_time(&g, f.now);
        fix_pump(&f);
        fix_write(&f, SIZE_MAX);
        if (nbj__session_phase(f.s) == NBJ__PHASE_READY)
            fix_feed(&f, "PONG\r\n");
    }
}

/* What was sent since the last look, as "1:0 2 3 4:3": sequences, and their operations unless they append. */
static const char *sent(void)
{
    static char text[16384];
    const char *at = fix_sent(&f);
    size_t n = 0;

    text[0] = '\0';
    for (; (at = strstr(at, ".$FI ")) != NULL; at += 5) {
        const char *from = at - 2; /* the dot before the operation */
        assert_true(*from == '.');
        const char *digits = from;
        while (digits[-1] != '.')
            digits--;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", n > 0 ? " " : "", atoi(digits));
        if (at[-1] != '1')
            n += (size_t)snprintf(text + n, sizeof text - n, ":%c", at[-1]);
    }
    return text;
}

#define SEQUENCES(want) fix_expect(sent(), want, "sent", __FILE__, __LINE__)

/* Answers at the reply subject of message |seq|. */
static void answer(unsigned seq, const char *payload)
{
    char subject[300];

    snprintf(subject, sizeof subject, "%.*s%u.1.$FI", (int)g.prefix_len, g.prefix, seq);
    fix_msg(&f, g.sub.sid, subject, "", payload);
}

static void ack(unsigned seq, unsigned messages)
{
    char text[100];

    snprintf(text, sizeof text, "{\"type\":\"ack\",\"seq\":%u,\"msgs\":%u}", seq, messages);
    answer(seq > 0 ? seq : 1, text);
}

static void gap(unsigned from, unsigned until)
{
    char text[100];

    snprintf(text, sizeof text, "{\"type\":\"gap\",\"last_seq\":%u,\"seq\":%u}", from, until);
    answer(until, text);
}

static void refused(unsigned seq, int code, int err_code)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"type\":\"err\",\"seq\":%u,\"error\":{\"code\":%d,\"err_code\":%d,\"description\":\"no\"}}", seq, code,
             err_code);
    answer(seq, text);
}

/* As to an ordinary message. */
static void plainly_refused(unsigned seq, int code, int err_code)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"error\":{\"code\":%d,\"err_code\":%d,\"description\":\"no\"},\"stream\":\"S\",\"seq\":0}", code,
             err_code);
    answer(seq, text);
}

static void stored(unsigned count, unsigned stream_seq)
{
    char text[200];

    snprintf(text, sizeof text, "{\"stream\":\"S\",\"seq\":%u,\"batch\":\"%.*s\",\"count\":%u}", stream_seq,
             NBJ__BATCH_ID, g.id, count);
    answer(count > 0 ? count : 1, text);
}

static void nobody(void)
{
    char subject[300];

    snprintf(subject, sizeof subject, "%.*s1.1.$FI", (int)g.prefix_len, g.prefix);
    fix_hmsg(&f, g.sub.sid, subject, "503", "");
}

static nbj__ingest_result known(void)
{
    nbj__ingest_result r;

    nbj__ingest_progress(&g, &r);
    return r;
}

static void ended_with(nbj_status status, uint64_t stored_count)
{
    assert_int_equal(g.state, NBJ__INGEST_ENDED);
    assert_int_equal(known().error.status, status);
    assert_true(known().stored == stored_count);
    end();
}

/* --- the usual course --- */

static void test_octets(void **state)
{
    (void)state;
    begin();
    add(1);
    char *octets = (char *)(uintptr_t)fix_sent(&f);
    shorten(octets, "_INBOX.~.F", NBJ__BATCH_ID - 1);
    fix_expect(octets,
               "SUB _INBOX.~.* 1\r\nSUB _INBOX.~.F@.> 2\r\n"
               "PUB s.a _INBOX.~.F@.4.fail.1.0.$FI 1\r\nx\r\n",
               "the first", __FILE__, __LINE__);
    ack(0, 4);
    add(1);
    finish();
    octets = (char *)(uintptr_t)fix_sent(&f);
    shorten(octets, "_INBOX.~.F", NBJ__BATCH_ID - 1);
    fix_expect(octets,
               "PUB s.a _INBOX.~.F@.4.fail.2.1.$FI 1\r\nx\r\n"
               "PUB s.a _INBOX.~.F@.4.fail.3.3.$FI 0\r\n\r\n",
               "the others", __FILE__, __LINE__);
    stored(2, 7);
    SENT(&f, "UNSUB 2\r\n");
    assert_string_equal(known().ack.stream, "S");
    assert_true(known().ack.sequence == 7 && known().restarts == 0);
    ended_with(NBJ_OK, 2);
}

static void test_nothing(void **state)
{
    (void)state;
    begin();
    assert_int_equal(nbj__ingest_deadline(&g), NBJ_TIME_NEVER);
    finish();
    SENT(&f, "");
    assert_int_equal(try_add("x"), NBJ_E_STATE);
    ended_with(NBJ_OK, 0);
}

static void test_flow(void **state)
{
    (void)state;
    begin();
    add(20);
    SEQUENCES("1:0"); /* nothing else before the first answer */
    ack(0, 4);
    SEQUENCES("2 3 4 5 6 7 8"); /* two acknowledgements of 4 */
    ack(4, 4);
    SEQUENCES("9 10 11 12");
    assert_true(known().stored == 4);
    ack(8, 1); /* other publishers came */
    SEQUENCES("");
    ack(12, 1);
    SEQUENCES("13 14");
    ack(12, 4); /* and went */
    SEQUENCES("15 16 17 18 19 20");
    ack(8, 4); /* late */
    assert_true(known().stored == 12);
    finish();
    SEQUENCES("21:3");
    ack(16, 4);
    stored(20, 20);
    ended_with(NBJ_OK, 20);
}

static void test_finish_waits_for_its_turn(void **state)
{
    (void)state;
    begin();
    add(12);
    finish();
    SEQUENCES("1:0");
    ack(0, 4);
    SEQUENCES("2 3 4 5 6 7 8");
    ack(4, 4);
    SEQUENCES("9 10 11 12 13:3");
    stored(12, 12);
    ended_with(NBJ_OK, 12);
}

static void test_a_full_window(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .max_messages = 8 });
    add(8);
    assert_int_equal(try_add("x"), NBJ_E_WOULD_BLOCK);
    assert_false(nbj__ingest_has_room(&g));
    ack(0, 4);
    assert_int_equal(try_add("x"), NBJ_E_WOULD_BLOCK); /* sent is not stored */
    ack(4, 4);
    assert_true(nbj__ingest_has_room(&g));
    add(4);
    end();
    begin_with(&(nbj__ingest_options){ .flow = 500, .max_messages = 8 }); /* so that acknowledgements come */
    add(8);
    assert_non_null(strstr(fix_sent(&f), ".4.fail.1.0.$FI "));
    end();
    begin_with(&(nbj__ingest_options){ .flow = 4, .max_bytes = 320 }); /* three messages at once */
    add(2);
    ack(0, 4);
    add(1);
    SEQUENCES("1:0 2 3");
    assert_int_equal(try_add("a longer message"), NBJ_E_WOULD_BLOCK);
    SEQUENCES("4:3");
    stored(3, 3);
    assert_int_equal(try_add("a longer message"), NBJ_OK);
    SEQUENCES("1:0");
    end();
    begin_with(&(nbj__ingest_options){ .max_bytes = 300 });
    add(1);
    char large[301];
    memset(large, 'x', sizeof large);
    large[300] = '\0';
    assert_int_equal(try_add(large), NBJ_E_WOULD_BLOCK);
    stored(1, 1);
    assert_int_equal(try_add(large), NBJ_E_FULL);
    nbj__outgoing m = fix_out("s.*", "x");
    assert_int_equal(nbj__ingest_add(&g, &m, f.now), NBJ_E_BAD_SUBJECT);
    end();
}

static void test_a_rest_commits(void **state)
{
    (void)state;
    begin();
    add(3);
    ack(0, 4);
    SEQUENCES("1:0 2 3");
    advance(NBJ_MILLIS(900));
    SEQUENCES("");
    advance(NBJ_MILLIS(600));
    SEQUENCES("4:3");
    add(2); /* wait for the end of the batch */
    SEQUENCES("");
    stored(3, 3);
    SEQUENCES("1:0");
    assert_true(known().stored == 3 && known().restarts == 0);
    ack(0, 4);
    SEQUENCES("2");
    advance(NBJ_SECONDS(2));
    stored(2, 5);
    assert_int_equal(g.state, NBJ__INGEST_IDLE);
    assert_int_equal(nbj__ingest_deadline(&g), NBJ_TIME_NEVER);
    finish();
    ended_with(NBJ_OK, 5);
}

/* --- servers that do not know it --- */

static void test_gate(void **state)
{
    (void)state;
    begin_session(FIX_INFO, on_event);
    assert_int_equal(nbj__ingest_init(&g, f.s, &(nbj__ingest_options){ 0 }, &observer), NBJ_OK);
    add(1);
    SENT(&f, "");
    assert_non_null(strstr(known().error.text, "2.14.0"));
    assert_int_equal(try_add("x"), NBJ_E_UNSUPPORTED);
    ended_with(NBJ_E_UNSUPPORTED, 0);
}

static void test_stored_singly(void **state)
{
    (void)state;
    begin();
    add(3);
    SEQUENCES("1:0");
    answer(1, "{\"stream\":\"S\", \"seq\":12}");
    SEQUENCES("");
    assert_true(known().ack.sequence == 12 && known().message == 1);
    assert_non_null(strstr(known().error.text, "sequence 12"));
    ended_with(NBJ_E_UNSUPPORTED, 1);
}

/* --- what the server loses, and gives up --- */

static void test_a_gap_is_filled(void **state)
{
    (void)state;
    begin();
    add(8);
    ack(0, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8");
    gap(6, 8); /* and it ends the batch */
    stored(5, 5);
    assert_true(known().stored == 5);
    SEQUENCES("");
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0"); /* the sixth */
    assert_true(g.base == 5);
    ack(0, 4);
    SEQUENCES("2 3");
    finish();
    SEQUENCES("4:3");
    stored(3, 8);
    assert_true(known().restarts == 1);
    ended_with(NBJ_OK, 8);
}

static void test_a_batch_that_ends_without_a_message(void **state)
{
    (void)state;
    begin();
    add(2);
    ack(0, 4);
    SEQUENCES("1:0 2");
    stored(0, 0);
    assert_true(known().stored == 0);
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0");
    ack(0, 4);
    finish();
    stored(2, 2);
    ended_with(NBJ_OK, 2);
}

static void test_forgotten(void **state)
{
    (void)state;
    begin();
    add(8);
    ack(0, 4);
    ack(4, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8");
    plainly_refused(8, 400, 10208);
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0"); /* the fifth: some of those behind it may be stored twice */
    assert_true(g.base == 4 && known().stored == 4);
    end();
}

static void test_silence(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .patience_ns = NBJ_SECONDS(5) });
    add(20);
    ack(0, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8");
    advance(NBJ_SECONDS(2));
    SEQUENCES("8:4"); /* a ping */
    ack(4, 4);
    SEQUENCES("9 10 11 12");
    advance(NBJ_SECONDS(2));
    SEQUENCES("12:4");
    gap(11, 13);
    stored(10, 10); /* what its answer may be */
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0");
    assert_true(g.base == 10);
    ack(0, 4);
    SEQUENCES("2 3 4 5 6 7 8");
    advance(NBJ_SECONDS(4));
    SEQUENCES("8:4 8:4");
    advance(NBJ_SECONDS(4));
    ended_with(NBJ_E_TIMEOUT, 10);
}

static void test_silence_at_the_ends(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .patience_ns = NBJ_SECONDS(5) });
    add(1);
    SEQUENCES("1:0");
    advance(NBJ_SECONDS(4)); /* a ping would begin another batch */
    SEQUENCES("");
    advance(NBJ_SECONDS(1));
    ended_with(NBJ_E_TIMEOUT, 0);
    begin_with(&(nbj__ingest_options){ .flow = 4, .patience_ns = NBJ_SECONDS(5) });
    add(2);
    ack(0, 4);
    finish();
    SEQUENCES("1:0 2 3:3");
    advance(NBJ_SECONDS(2));
    SEQUENCES("3:3"); /* again */
    stored(2, 2);
    ended_with(NBJ_OK, 2);
}

static void test_deadline_of_finish(void **state)
{
    (void)state;
    begin();
    add(2);
    ack(0, 4);
    nbj__ingest_finish(&g, f.now + NBJ_SECONDS(1), f.now);
    advance(NBJ_SECONDS(1));
    assert_non_null(strstr(known().error.text, "may or may not"));
    ended_with(NBJ_E_TIMEOUT, 0);
    begin();
    lose_connection();
    add(2);
    nbj__ingest_finish(&g, f.now + NBJ_SECONDS(1), f.now);
    fix_advance(&f, NBJ_SECONDS(1));
    nbj__ingest_on_time(&g, f.now);
    ended_with(NBJ_E_TIMEOUT, 0);
}

static void test_losing_all_the_time(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .patience_ns = NBJ_SECONDS(1) });
    add(2);
    for (int i = 0; i < 4; i++) {
        SEQUENCES("1:0");
        plainly_refused(1, 429, 10211);
        advance(NBJ_MILLIS(250));
    }
    SEQUENCES("1:0");
    plainly_refused(1, 429, 10211);
    assert_non_null(strstr(known().error.text, "too many fast batches"));
    assert_true(known().restarts == 5);
    ended_with(NBJ_E_JS_UNAVAILABLE, 0);
}

/* --- refusals --- */

static void test_a_message_is_refused(void **state)
{
    (void)state;
    begin();
    add(8);
    ack(0, 4);
    ack(4, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8");
    refused(6, 400, 10071);
    assert_int_equal(try_add("x"), NBJ_E_STATE); /* it will end */
    stored(5, 5);
    assert_true(known().message == 6);
    ended_with(NBJ_E_WRONG_LAST_SEQUENCE, 5);
}

static void test_a_message_is_plainly_refused(void **state)
{
    (void)state;
    begin();
    add(3);
    ack(0, 4);
    SEQUENCES("1:0 2 3");
    plainly_refused(3, 400, 10054);
    SEQUENCES("4:3"); /* to learn what is stored */
    gap(3, 4);
    stored(2, 2);
    assert_true(known().message == 3 && known().error.err_code == 10054);
    ended_with(NBJ_E_JS, 2);
    begin(); /* for now */
    add(3);
    ack(0, 4);
    SEQUENCES("1:0 2 3");
    plainly_refused(3, 429, 10167);
    SEQUENCES("4:3");
    stored(2, 2);
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0");
    assert_true(g.base == 2);
    end();
}

static void test_the_first_is_refused(void **state)
{
    static const struct {
        int err_code;
        const char *remedy;
    } cases[] = { { 10205, "allow_batched" }, { 10206, "" }, { 10207, "" }, { 10054, "" } };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        add(3);
        plainly_refused(1, 400, cases[i].err_code);
        CHECK(cases[i].remedy, strstr(known().error.text, cases[i].remedy) != NULL);
        assert_true(known().message == 1);
        ended_with(NBJ_E_JS, 0);
    }
}

static void test_nobody(void **state)
{
    (void)state;
    begin();
    add(2);
    for (int i = 0; i < 8; i++) {
        SEQUENCES("1:0");
        nobody();
        advance(NBJ_MILLIS(250));
    }
    nobody();
    ended_with(NBJ_E_NO_STREAM, 0);
    begin(); /* the leader goes, and its successor knows how far it was */
    add(8);
    ack(0, 4);
    ack(4, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8");
    nobody();
    advance(NBJ_SECONDS(2));
    SEQUENCES("9:3");
    nobody();
    advance(NBJ_SECONDS(2));
    SEQUENCES("9:3");
    stored(6, 6);
    advance(NBJ_MILLIS(250));
    SEQUENCES("1:0");
    assert_true(g.base == 6);
    end();
    begin_with(&(nbj__ingest_options){ .flow = 4, .patience_ns = NBJ_SECONDS(5) }); /* it is gone for good */
    add(8);
    ack(0, 4);
    ack(4, 4);
    for (int i = 0; i < 4 && g.state != NBJ__INGEST_ENDED; i++) {
        nobody();
        advance(NBJ_SECONDS(2));
    }
    ended_with(NBJ_E_NO_STREAM, 4);
}

static void test_permissions(void **state)
{
    (void)state;
    begin();
    add(2);
    ack(0, 4);
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"other\"'\r\n");
    assert_int_equal(g.state, NBJ__INGEST_RUNNING);
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"s.a\"'\r\n");
    assert_true(known().message == 1);
    ended_with(NBJ_E_PERMISSION_PUBLISH, 0);
    begin();
    add(1);
    fix_feedf(&f, "-ERR 'Permissions Violation for Subscription to \"%s\"'\r\n", g.sub.subject);
    ended_with(NBJ_E_PERMISSION_SUBSCRIBE, 0);
}

static void test_unreadable(void **state)
{
    static const char *const bad[] = { "", "{", "{}", "{\"type\":\"x\"}", "{\"stream\":\"S\"}" };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        begin();
        add(2);
        answer(1, bad[i]);
        ended_with(NBJ_E_BAD_REPLY, 0);
    }
}

static void test_hostile_numbers(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .gaps_are_ok = true });
    add(20);
    answer(1, "{\"type\":\"ack\",\"seq\":2,\"msgs\":4}"); /* of what was not sent */
    assert_int_equal(g.state, NBJ__INGEST_STARTING);
    answer(1, "{\"type\":\"ack\",\"seq\":0,\"msgs\":0}");
    SEQUENCES("1:0 2");
    answer(2, "{\"type\":\"ack\",\"seq\":2,\"msgs\":18446744073709551615}");
    SEQUENCES("3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
    answer(2, "{\"type\":\"gap\",\"last_seq\":0,\"seq\":18446744073709551615}");
    answer(2, "{\"type\":\"gap\",\"last_seq\":5,\"seq\":4}");
    answer(2, "{\"type\":\"err\",\"seq\":99,\"error\":{\"code\":400,\"err_code\":1}}");
    answer(20, "{\"type\":\"ack\",\"seq\":20,\"msgs\":4}");
    assert_true(known().stored + known().lost + known().refused == 20);
    stored(4000000000, 4000000000);
    end();
}

/* --- gaps that are allowed --- */

static void test_gaps_are_counted(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .gaps_are_ok = true });
    add(12);
    char *octets = (char *)(uintptr_t)fix_sent(&f);
    assert_non_null(strstr(octets, ".4.ok.1.0.$FI "));
    ack(0, 4);
    gap(3, 5);
    refused(6, 400, 10071);
    assert_true(known().lost == 0); /* while it could be sent again */
    ack(8, 4);
    assert_true(known().stored == 5 && known().lost == 2 && known().refused == 1);
    assert_true(known().error.status == NBJ_E_WRONG_LAST_SEQUENCE && known().message == 6);
    plainly_refused(11, 400, 10054); /* goes on, a gap is reported for it */
    gap(11, 12);
    finish();
    stored(12, 8);
    assert_int_equal(g.state, NBJ__INGEST_ENDED);
    assert_true(known().stored == 8 && known().lost == 3 && known().refused == 1);
    end();
}

static void test_a_gap_is_not_counted_twice(void **state)
{
    (void)state;
    begin_with(&(nbj__ingest_options){ .flow = 4, .gaps_are_ok = true });
    add(4);
    ack(0, 4);
    gap(3, 4);
    lose_connection();
    come_back(INFO_215);
    SEQUENCES("1:0"); /* all of them, as none is acknowledged */
    ack(0, 4);
    finish();
    stored(4, 4);
    assert_true(known().lost == 0);
    ended_with(NBJ_OK, 4);
}

/* --- the connection --- */

static void test_a_loss(void **state)
{
    char first_id[NBJ__BATCH_ID];

    (void)state;
    begin();
    add(10);
    ack(0, 4);
    ack(4, 4);
    SEQUENCES("1:0 2 3 4 5 6 7 8 9 10");
    memcpy(first_id, g.id, sizeof first_id);
    lose_connection();
    assert_int_equal(g.state, NBJ__INGEST_WAITING);
    add(1); /* goes with the rest */
    assert_int_equal(nbj__session_outgoing(f.s), 0);
    come_back(INFO_215);
    assert_memory_not_equal(first_id, g.id, sizeof first_id);
    SEQUENCES("1:0");
    assert_true(g.base == 4);
    ack(0, 4);
    SEQUENCES("2 3 4 5 6 7");
    finish();
    stored(7, 20);
    assert_true(known().restarts == 1);
    ended_with(NBJ_OK, 11);
}

/* What waits in the buffer of a lost connection is not sent over the next one. */
static void test_a_loss_with_a_full_buffer(void **state)
{
    (void)state;
    begin();
    add(8);
    ack(0, 4);
    assert_true(nbj__session_outgoing(f.s) > 0);
    f.is_open = false;
    nbj__session_lost(f.s, NBJ_E_EOF, NULL, f.now);
    fix_pump(&f);
    assert_int_equal(nbj__session_outgoing(f.s), 0);
    come_back(INFO_215);
    SEQUENCES("1:0");
    end();
}

static void test_a_loss_when_all_is_stored(void **state)
{
    (void)state;
    begin();
    add(4);
    ack(0, 4);
    ack(4, 4);
    finish();
    SEQUENCES("1:0 2 3 4 5:3");
    lose_connection(); /* the answer to the commit would tell nothing new */
    ended_with(NBJ_OK, 4);
    begin();
    add(4);
    ack(0, 4);
    ack(4, 4);
    lose_connection();
    assert_int_equal(g.state, NBJ__INGEST_IDLE);
    assert_true(known().restarts == 0);
    end();
}

static void test_another_server(void **state)
{
    (void)state;
    begin();
    add(2);
    lose_connection();
    come_back(FIX_INFO);
    ended_with(NBJ_E_UNSUPPORTED, 0);
    begin();
    char large[2001];
    memset(large, 'x', 2000);
    large[2000] = '\0';
    add(1);
    assert_int_equal(try_add(large), NBJ_OK);
    lose_connection();
    come_back("INFO {\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1000}\r\n");
    SEQUENCES("1:0");
    ack(0, 4);
    SEQUENCES("2:3"); /* the second cannot be sent; what is stored is known all the same */
    stored(1, 1);
    assert_true(known().message == 2);
    ended_with(NBJ_E_TOO_LARGE, 1);
}

static void test_a_full_buffer(void **state)
{
    nbj__session_options o = { .max_outgoing_bytes = 4096 };
    char large[1001];

    (void)state;
    memset(large, 'x', 1000);
    large[1000] = '\0';
    fix_open(&f, &o);
    f.on_event = on_event;
    fix_shake(&f, INFO_215);
    assert_int_equal(nbj__ingest_init(&g, f.s, &(nbj__ingest_options){ .flow = 100 }, &observer), NBJ_OK);
    assert_int_equal(try_add(large), NBJ_OK);
    SEQUENCES("1:0");
    ack(0, 100);
    for (int i = 0; i < 9; i++)
        assert_int_equal(try_add(large), NBJ_OK);
    finish();
    assert_true(nbj__session_outgoing(f.s) <= 4096);
    for (int i = 0; i < 10 && g.state != NBJ__INGEST_COMMITTING; i++) {
        fix_write(&f, SIZE_MAX);
        fix_pump(&f);
    }
    SEQUENCES("2 3 4 5 6 7 8 9 10 11:3");
    stored(10, 10);
    ended_with(NBJ_OK, 10);
}

static void test_closed(void **state)
{
    (void)state;
    begin();
    add(1);
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    assert_int_equal(try_add("x"), NBJ_E_CLOSED);
    ended_with(NBJ_E_CLOSED, 0);
}

static void test_every_transition(void **state)
{
    (void)state;
    all_were_taken(&nbj__ingest_machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_finish_waits_for_its_turn),
        cmocka_unit_test(test_a_full_window),
        cmocka_unit_test(test_a_rest_commits),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_stored_singly),
        cmocka_unit_test(test_a_gap_is_filled),
        cmocka_unit_test(test_a_batch_that_ends_without_a_message),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_silence_at_the_ends),
        cmocka_unit_test(test_deadline_of_finish),
        cmocka_unit_test(test_losing_all_the_time),
        cmocka_unit_test(test_a_message_is_refused),
        cmocka_unit_test(test_a_message_is_plainly_refused),
        cmocka_unit_test(test_the_first_is_refused),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_hostile_numbers),
        cmocka_unit_test(test_gaps_are_counted),
        cmocka_unit_test(test_a_gap_is_not_counted_twice),
        cmocka_unit_test(test_a_loss),
        cmocka_unit_test(test_a_loss_with_a_full_buffer),
        cmocka_unit_test(test_a_loss_when_all_is_stored),
        cmocka_unit_test(test_another_server),
        cmocka_unit_test(test_a_full_buffer),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_every_transition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
