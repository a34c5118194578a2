/* SPDX-License-Identifier: Apache-2.0 */
/* What the window knows of streams: how it asks, what it does with the answers, and without them: js/publish_ask.h. */
#include "js/publish_ask.h"
#include "js/window.h"

static nbj__publish_asker asker;
static nbj__js_where where;

static void asking_on_event(fixture *x, const nbj__event *ev)
{
    if (ev->type == NBJ__EV_CALL_DONE)
        nbj__publish_asker_on_call(&asker, ev);
    else
        on_event(x, ev);
}

static void begin_asking(void)
{
    begin();
    f.on_event = asking_on_event;
    nbj__publish_asker_init(&asker, &p);
    assert_int_equal(nbj__js_where_set(&where, NULL, NULL), NBJ_OK);
}

static void ask(void)
{
    while (nbj__publish_asker_is_due(&asker)) {
        bool was_open = asker.is_open;
        nbj__publish_asker_ask(&asker, &where, f.now);
        if (asker.is_open == was_open && !nbj__publish_asker_is_due(&asker))
            break;
    }
}

static void end_asking(void)
{
    nbj__publish_asker_stop(&asker);
    end();
}

/* Stores message |n|, as |stream| says. */
static void store(unsigned n, const char *stream, const char *domain)
{
    char text[200];

    assert_int_equal(publish_id("x"), NBJ_OK);
    fix_write(&f, SIZE_MAX);
    snprintf(text, sizeof text, "{\"stream\":\"%s\",\"seq\":1%s%s%s}", stream,
             domain[0] != '\0' ? ",\"domain\":\"" : "", domain, domain[0] != '\0' ? "\"" : "");
    fix_msg(&f, 1, reply_to(n, 0), "", text);
    outcomes[0] = '\0';
    f.raw_len = 0;
}

/* The reply subject of the last request sent. */
static void answer(const char *payload)
{
    char reply[200];
    nbj_bytes inbox;

    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    char token[NBJ__TOKEN_LEN + 1] = { 0 };
    fix_write(&f, SIZE_MAX);
    f.raw[f.raw_len] = '\0';
    const char *at = strstr(f.raw, ".R");
    assert_non_null(at);
    memcpy(token, at + 1, NBJ__TOKEN_LEN);
    snprintf(reply, sizeof reply, "%.*s%s", NBJ_FMT(inbox), token);
    f.raw_len = 0;
    fix_msg(&f, 1, reply, "", payload);
}

/* Sends one message, loses the connection and comes back after |ns|: whether it was sent again. */
static bool is_resent_after(uint64_t ns)
{
    assert_int_equal(publish_for("x", "id", false, NBJ_MINUTES(60)), NBJ_OK);
    lose();
    fix_pump(&f);
    fix_lose(&f, NBJ_E_REFUSED);
    fix_at(&f, f.now + ns);
    come_back();
    const char *sent = fix_sent(&f);
    bool again = strstr(sent, "HPUB") != NULL;
    run_timers();
    return again;
}

/* --- windows --- */

static void test_asked_once(void **state)
{
    (void)state;
    begin_asking();
    assert_false(nbj__publish_asker_is_due(&asker));
    store(0, "S", "");
    ask();
    SENT(&f, "PUB $JS.API.STREAM.INFO.S _INBOX.~.R00000000 0\r\n\r\n");
    store(1, "S", "");
    assert_false(nbj__publish_asker_is_due(&asker)); /* it is under way */
    ask();
    SENT(&f, "");
    end_asking();
}

static void test_messages_without_id_ask_nothing(void **state)
{
    (void)state;
    begin_asking();
    assert_int_equal(publish("x"), NBJ_OK);
    ack(0, 0, 1, false);
    assert_false(nbj__publish_asker_is_due(&asker));
    end_asking();
}

static void test_the_answer_is_kept_to(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        uint64_t within;
    } cases[] = {
        { "{\"config\":{\"subjects\":[\"js.>\"],\"duplicate_window\":10000000000}}", NBJ_SECONDS(5) },
        { "{\"config\":{\"subjects\":[\"js.*\"],\"duplicate_window\":600000000000}}", NBJ_SECONDS(300) },
        { "{\"config\":{\"subjects\":[\"no\",\"js.a\"],\"duplicate_window\":600000000000}}", NBJ_SECONDS(300) },
        { "{\"config\":{\"subjects\":[\"other\"],\"duplicate_window\":600000000000}}", NBJ_SECONDS(60) },
        { "{\"config\":{\"subjects\":[\"other\"],\"duplicate_window\":10000000000}}", NBJ_SECONDS(5) },
        { "{\"config\":{\"subjects\":[\"js.a\"]}}", NBJ_SECONDS(60) },
        { "{\"config\":{\"subjects\":7,\"duplicate_window\":\"x\"}}", NBJ_SECONDS(60) },
        { "{}", NBJ_SECONDS(60) },
        { "nonsense", NBJ_SECONDS(60) },
        { "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}", NBJ_SECONDS(60) },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint64_t late = 0; late < 2; late++) {
            begin_asking();
            store(0, "S", "");
            ask();
            answer(cases[i].answer);
            bool again = is_resent_after(cases[i].within - NBJ_MILLIS(1) + late * NBJ_MILLIS(2));
            CHECK(cases[i].answer, again == (late == 0));
            end_asking();
        }
    }
}

static void test_no_answer(void **state)
{
    (void)state;
    begin_asking();
    store(0, "S", "");
    for (int i = 0; i < 3; i++) {
        ask();
        assert_int_equal(strncmp(fix_sent(&f), "PUB $JS.API.STREAM.INFO.S ", 26), 0);
        advance(NBJ_SECONDS(2));
    }
    ask();
    SENT(&f, ""); /* three times is enough */
    assert_false(nbj__publish_asker_is_due(&asker));
    assert_true(is_resent_after(NBJ_SECONDS(60)));
    end_asking();
}

static void test_no_permission(void **state)
{
    (void)state;
    begin_asking();
    store(0, "S", "");
    ask();
    assert_true(nbj__publish_asker_asked(&asker, nbj_str("$JS.API.STREAM.INFO.S")));
    assert_false(nbj__publish_asker_asked(&asker, nbj_str("$JS.API.STREAM.INFO.T")));
    fix_sent(&f);
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"$JS.API.STREAM.INFO.S\"'\r\n");
    ask();
    SENT(&f, "");
    assert_false(nbj__publish_asker_asked(&asker, nbj_str("$JS.API.STREAM.INFO.S")));
    end_asking();
}

static void test_domains_and_prefixes(void **state)
{
    (void)state;
    begin_asking();
    store(0, "S", "hub");
    ask();
    SENT(&f, "PUB $JS.hub.API.STREAM.INFO.S _INBOX.~.R00000000 0\r\n\r\n");
    end_asking();
    begin_asking();
    assert_int_equal(nbj__js_where_set(&where, NULL, "from.other"), NBJ_OK);
    store(0, "S", "hub");
    ask();
    SENT(&f, "PUB from.other.STREAM.INFO.S _INBOX.~.R00000000 0\r\n\r\n");
    end_asking();
}

/* Many streams: each is asked, up to a bound. */
static void test_many_streams(void **state)
{
    (void)state;
    begin_asking();
    for (unsigned i = 0; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "S%u", i);
        store(i, name, "");
        if (i < NBJ__PUBLISH_STREAMS_MAX) {
            ask();
            answer("{\"config\":{\"subjects\":[\"x\"],\"duplicate_window\":60000000000}}");
        }
    }
    ask();
    SENT(&f, "");
    assert_int_equal(p.streams.count, NBJ__PUBLISH_STREAMS_MAX);
    end_asking();
}

/* Without memory it goes on as if nobody knew; nothing is left behind, which end_asking() sees. */
static void test_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        begin_asking();
        assert_int_equal(publish_id("x"), NBJ_OK);
        fix_write(&f, SIZE_MAX);
        f.mem.fail_at = f.mem.calls + n;
        ack(0, 0, 1, false);
        ask();
        bool asked = asker.is_open;
        if (asked)
            answer("{\"config\":{\"subjects\":[\"js.>\"],\"duplicate_window\":600000000000}}");
        failed = f.mem.failed > 0;
        f.mem.fail_at = TS_NEVER_FAIL;
        OUTCOMES("0 STORED 1");
        assert_int_equal(nbj__publish_streams_window(&p.streams, nbj_str("js.a")),
                         p.streams.count == 1 && p.streams.items[0]->subjects != NULL ? NBJ_SECONDS(600)
                                                                                      : NBJ_SECONDS(120));
        end_asking();
    }
}

/* --- whether there is a stream --- */

static void begin_on_a_new_connection(void)
{
    open_with(NULL, NULL);
    f.on_event = asking_on_event;
    nbj__publish_asker_init(&asker, &p);
    assert_int_equal(nbj__js_where_set(&where, NULL, NULL), NBJ_OK);
    fix_shake(&f, FIX_INFO);
    fix_sent(&f);
    assert_int_equal(publish("x"), NBJ_OK);
    for (int i = 0; i < 2; i++) {
        fix_write(&f, SIZE_MAX);
        refuse(0, 0);
        assert_false(nbj__publish_asker_is_due(&asker)); /* so often it is sent again in any case */
        advance(NBJ_MILLIS(250));
    }
    fix_sent(&f);
    refuse(0, 0);
    assert_true(nbj__publish_asker_is_due(&asker));
    ask();
    SENT(&f, "PUB $JS.API.STREAM.NAMES _INBOX.~.R00000000 18\r\n{\"subject\":\"js.a\"}\r\n");
}

static void lookup_is_answered(const char *payload, const char *outcome)
{
    char reply[200];
    nbj_bytes inbox;

    begin_on_a_new_connection();
    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    snprintf(reply, sizeof reply, "%.*sR00000000", NBJ_FMT(inbox));
    fix_msg(&f, 1, reply, "", payload);
    OUTCOMES(outcome);
    end_asking();
}

static void test_lookup(void **state)
{
    (void)state;
    const char *type = "{\"type\":\"io.nats.jetstream.api.v1.stream_names_response\",";
    char text[200];

    snprintf(text, sizeof text, "%s\"total\":0,\"offset\":0,\"limit\":1024,\"streams\":null}", type);
    lookup_is_answered(text, "0 REJECTED E_NO_STREAM");
    snprintf(text, sizeof text, "%s\"total\":0,\"offset\":0,\"limit\":1024,\"streams\":[]}", type);
    lookup_is_answered(text, "0 REJECTED E_NO_STREAM");
    snprintf(text, sizeof text, "%s\"total\":1,\"offset\":0,\"limit\":1024,\"streams\":[\"S\"]}", type);
    lookup_is_answered(text, ""); /* it has no leader yet */
    lookup_is_answered("{}", "");
    lookup_is_answered("nonsense", "");
    lookup_is_answered("{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"not available\"}}", "");
}

/* Others to other subjects are not meant, and a new connection may know better. */
static void test_lookup_is_about_one_subject(void **state)
{
    (void)state;
    begin_on_a_new_connection();
    nbj__publisher_on_no_stream(&p, nbj_str("js.b"));
    OUTCOMES("");
    nbj__publisher_on_no_stream(&p, nbj_str("js.a"));
    fix_lose(&f, NBJ_E_EOF);
    OUTCOMES("");
    end_asking();
}

static void test_lookup_without_an_answer(void **state)
{
    (void)state;
    unsigned lookups = 0;
    begin_on_a_new_connection();
    nbj_time begun = f.now;
    while (outcomes[0] == '\0' && f.now < begun + NBJ_SECONDS(20)) {
        advance(NBJ_MILLIS(250));
        fix_write(&f, SIZE_MAX);
        refuse(0, 0);
        ask();
        f.raw[f.raw_len] = '\0';
        lookups += strstr(f.raw, "STREAM.NAMES") != NULL;
        f.raw_len = 0;
    }
    OUTCOMES("0 REJECTED E_NO_STREAM");
    assert_in_range(f.now - begun, NBJ_SECONDS(4), NBJ_SECONDS(6));
    assert_in_range(lookups, 1, 4); /* not one for each refusal */
    end_asking();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_messages_without_id_ask_nothing),
        cmocka_unit_test(test_the_answer_is_kept_to),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_domains_and_prefixes),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_lookup_is_about_one_subject),
        cmocka_unit_test(test_lookup_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
