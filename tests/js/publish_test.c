/* SPDX-License-Identifier: Apache-2.0 */
/* The publish window: order, resending, duplicates, pauses, deadlines, late answers: js/publish.h. */
#include "conn/fixture.h"
#include "js/publish.h"

static fixture f;
static nbj__publisher p;
static unsigned results[256]; /* outcomes of each message */
static char outcomes[4096];   /* since the last look: "0 STORED 7 | 1 UNKNOWN E_TIMEOUT" */
static size_t message;        /* the next one's number */
static unsigned numbers[256];

static void told(void)
{
}

static void note(const nbj__publish_result *r)
{
    static const char *const names[] = { "?", "STORED", "DUPLICATE", "REJECTED", "UNKNOWN" };
    unsigned i = *(unsigned *)r->user.data;
    size_t at = strlen(outcomes);
    bool stored = r->outcome == NBJ__STORED || r->outcome == NBJ__DUPLICATE;

    assert_true(r->user.fn == told);
    results[i]++;
    assert_int_equal(results[i], 1); /* one each */
    assert_int_equal(stored, r->error.status == NBJ_OK);
    if (stored)
        snprintf(outcomes + at, sizeof outcomes - at, "%s%u %s %llu", at > 0 ? " | " : "", i, names[r->outcome],
                 (unsigned long long)r->ack.sequence);
    else
        snprintf(outcomes + at, sizeof outcomes - at, "%s%u %s %s", at > 0 ? " | " : "", i, names[r->outcome],
                 fix_status(r->error.status));
}

static void on_event(fixture *x, const nbj__event *ev)
{
    nbj__publish_result r;

    switch (ev->type) {
    case NBJ__EV_INBOX:
        if (nbj__publisher_on_reply(&p, ev->token, ev->msg, x->now, &r))
            note(&r);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__publisher_on_connected(&p, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__publisher_on_disconnected(&p);
        break;
    case NBJ__EV_WRITABLE:
        nbj__publisher_send(&p, x->now);
        break;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH && nbj__publisher_on_refused(&p, ev->subject, &r))
            note(&r);
        break;
    case NBJ__EV_CLOSED:
        while (nbj__publisher_abandon(&p, &r))
            note(&r);
        break;
    default:
        break;
    }
}

/* Timers, as a client runs them. */
static void run_timers(void)
{
    nbj__publish_result r;

    while (nbj__publisher_on_time(&p, f.now, &r))
        note(&r);
    fix_pump(&f);
}

static void advance(uint64_t ns)
{
    fix_advance(&f, ns);
    run_timers();
}

#define OUTCOMES(want) expect_outcomes(want, __FILE__, __LINE__)
static void expect_outcomes(const char *want, const char *file, int line)
{
    static char got[sizeof outcomes];

    run_timers();
    memcpy(got, outcomes, sizeof got);
    outcomes[0] = '\0';
    fix_expect(got, want, "outcomes", file, line);
}

static void open_with(const nbj__publish_options *o, const nbj__session_options *so)
{
    nbj__publish_options none = { 0 };

    fix_open(&f, so);
    f.on_event = on_event;
    assert_int_equal(nbj__publisher_init(&p, f.s, o != NULL ? o : &none, NULL), NBJ_OK);
    memset(results, 0, sizeof results);
    outcomes[0] = '\0';
    message = 0;
}

static void begin_with(const nbj__publish_options *o, const nbj__session_options *so)
{
    open_with(o, so);
    fix_shake(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(10)); /* past the time after connecting in which everything is forgiven */
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
}

static void begin(void)
{
    begin_with(NULL, NULL);
}

/* Every message that was taken has had its outcome. */
static void end(void)
{
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    f.on_event = NULL;
    assert_true(nbj__publisher_is_idle(&p));
    assert_int_equal(nbj__publisher_unfinished(&p), 0);
    assert_int_equal(nbj__buf_len(&p.frames), 0);
    for (size_t i = 0; i < message; i++)
        assert_int_equal(results[i], 1);
    nbj__publisher_free(&p);
    nbj__publisher_free(&p);
    fix_close(&f);
}

static nbj_status publish_for(const char *payload, const char *id, bool no_id, uint64_t timeout_ns)
{
    nbj__publish m = { .msg = fix_out("js.a", payload),
                       .msg_id = nbj_str(id),
                       .no_id = no_id,
                       .deadline = f.now + timeout_ns,
                       .user = { told, &numbers[message] } };
    numbers[message] = (unsigned)message;
    nbj_status st = nbj__publisher_publish(&p, &m, f.now);
    message += st == NBJ_OK;
    return st;
}

static nbj_status publish(const char *payload)
{
    return publish_for(payload, NULL, true, NBJ_SECONDS(30));
}

static nbj_status publish_id(const char *payload)
{
    return publish_for(payload, "id", false, NBJ_SECONDS(30));
}

/* The reply subject of ring place |slot| in its |generation|. */
static const char *reply_to(unsigned slot, unsigned generation)
{
    static char text[300];
    char token[9];
    nbj_bytes inbox;

    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    nbj__token_write(token, (uint64_t)generation << 20 | slot, 8);
    snprintf(text, sizeof text, "%.*sP%.8s", NBJ_FMT(inbox), token);
    return text;
}

static void ack(unsigned slot, unsigned generation, unsigned seq, bool duplicate)
{
    char text[100];

    snprintf(text, sizeof text, "{\"stream\":\"S\", \"seq\":%u%s}", seq, duplicate ? ",\"duplicate\": true" : "");
    fix_msg(&f, 1, reply_to(slot, generation), "", text);
}

static void refuse(unsigned slot, unsigned generation)
{
    fix_hmsg(&f, 1, reply_to(slot, generation), "503", "");
}

static void fail_with(unsigned slot, int code, int err_code)
{
    char text[200];

    snprintf(text, sizeof text, "{\"error\":{\"code\":%d,\"err_code\":%d,\"description\":\"no\"},\"stream\":\"S\",\"seq\":0}",
             code, err_code);
    fix_msg(&f, 1, reply_to(slot, 0), "", text);
}

static void lose(void)
{
    fix_write(&f, SIZE_MAX);
    fix_lose(&f, NBJ_E_EOF);
    run_timers();
}

static void come_back(void)
{
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    fix_feed(&f, "PONG\r\n");
    f.events[0] = '\0';
}

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
    begin_with(&(nbj__publish_options){ .max_messages = 3 }, NULL); /* rounded up to 4 */
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
        { "{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"maximum messages exceeded\"}}", "0 REJECTED E_JS" },
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
    fix_msg(&f, 1, reply_to(0, 0), "",
            "{\"error\":{\"code\":429,\"err_code\":10167,\"description\":\"too many requests\"},\"stream\":\"S\",\"seq\":0}");
    advance(NBJ_MILLIS(250));
    assert_int_equal(strncmp(fix_sent(&f), "HPUB", 4), 0);
    ack(0, 0, 5, true); /* all before it were refused, so this is the first answer */
    OUTCOMES("0 DUPLICATE 5");
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
#define HEAD(token) "HPUB js.a _INBOX.~." token " 29 30\r\nNATS/1.0\r\nNats-Msg-Id: id\r\n\r\n"
    SENT(&f, "SUB _INBOX.~.* 1\r\n" HEAD("P00000000") "a\r\n" HEAD("P00000001") "b\r\n" HEAD("P00000003") "d\r\n"
             HEAD("P00000004") "e\r\n");
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
        cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_answers_in_any_order),
        cmocka_unit_test(test_ring_goes_round),
        cmocka_unit_test(test_late_answers_complete_nothing_else),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_octets_are_limited),
        cmocka_unit_test(test_too_large_for_the_outgoing_buffer),
        cmocka_unit_test(test_full_outgoing_buffer),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_deadline_before_anything_was_sent),
        cmocka_unit_test(test_done_before_the_cursor),
        cmocka_unit_test(test_pauses_and_goes_on),
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
        cmocka_unit_test(test_abandoned_at_close),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
