/* SPDX-License-Identifier: Apache-2.0 */
/* How a session comes to be connected: dialing, timeouts, TLS, credentials, refusals: conn/session.h. */
#include "conn/fixture.h"

static fixture f;

/* --- the first connection --- */

static void test_first(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(nbj__session_deadline(f.s), 0); /* an event waits */
    EVENTS(&f, "DIAL 127.0.0.1:4222");
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(5));
    SENT(&f, "");
    fix_dialed(&f);
    EVENTS(&f, "");
    assert_null(nbj__session_info(f.s));
    fix_feed(&f, FIX_INFO);
    assert_non_null(nbj__session_info(f.s));
    assert_int_equal(strncmp(fix_sent(&f), "CONNECT {", 9), 0);
    EVENTS(&f, "");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "CONNECTED");
    assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_READY);
    assert_string_equal(nbj__session_info(f.s)->version, "2.10.27");
    uint16_t port = 0;
    assert_string_equal(nbj__session_host(f.s, &port), "127.0.0.1");
    assert_int_equal(port, 4222);
    SENT(&f, "");
    nbj__session_close(f.s, NBJ_OK, NULL);
    assert_int_equal(nbj__session_deadline(f.s), 0);
    EVENTS(&f, "HANGUP | CLOSED OK");
    assert_int_equal(nbj__session_deadline(f.s), NBJ_TIME_NEVER);
    assert_null(nbj__session_host(f.s, &port));
    fix_close(&f);
}

static void test_first_fails(void **state)
{
    (void)state;
    fix_open_urls(&f, "a,b");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL b:4222"); /* at once: it was not tried yet */
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "CLOSED E_NO_SERVERS"); /* each once, unless asked otherwise */
    fix_close(&f);
    fix_open_urls(&f, "a");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "CLOSED E_REFUSED");
    fix_close(&f);
}

static void test_closing_text_names_the_server(void **state)
{
    (void)state;
    nbj__event ev;
    fix_open_urls(&f, "nats://bob:hunter2@example.org:5000");
    nbj__session_lost(f.s, NBJ_E_REFUSED, "connection refused", f.now);
    f.is_open = false;
    assert_int_equal(nbj__session_next(f.s, f.now, &ev), NBJ_OK);
    assert_int_equal(ev.type, NBJ__EV_CLOSED);
    assert_string_equal(ev.error->text,
                        "could not connect to example.org:5000: connection refused; is nats-server running?");
    f.saw_closed = true;
    fix_close(&f);
}

static void test_first_is_retried_when_asked(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a,b");
    o.retry_first_connect = true;
    fix_open(&f, &o);
    EVENTS(&f, "DIAL a:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL b:4222");
    for (int i = 0; i < 50; i++) {
        fix_lose(&f, NBJ_E_REFUSED);
        if (nbj__session_phase(f.s) == NBJ__PHASE_WAITING)
            fix_wait_for_dial(&f);
        const char *got = fix_events(&f);
        assert_int_equal(strncmp(got, "DIAL ", 5), 0);
    }
    fix_shake(&f, FIX_INFO);
    assert_int_equal(nbj__session_stats_of(f.s)->reconnects, 0);
    fix_close(&f);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    fix_open_urls(&f, "a,b,c,d");
    fix_advance(&f, NBJ_SECONDS(5) - 1);
    EVENTS(&f, "");
    fix_advance(&f, 1); /* while dialing: the driver is told to stop */
    EVENTS(&f, "HANGUP | DIAL b:4222");
    fix_advance(&f, NBJ_SECONDS(2));
    fix_dialed(&f);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(3)); /* the rest of its time */
    fix_advance(&f, NBJ_SECONDS(3));                                      /* accepted and silent */
    EVENTS(&f, "HANGUP | DIAL c:4222");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(5)); /* no PONG */
    EVENTS(&f, "HANGUP | DIAL d:4222");
    fix_advance(&f, NBJ_SECONDS(5));
    EVENTS(&f, "HANGUP | CLOSED E_NO_SERVERS");
    fix_close(&f);
}

static void test_dialed_too_late_is_nothing(void **state)
{
    (void)state;
    fix_open_urls(&f, "a");
    nbj__session_close(f.s, NBJ_OK, NULL);
    EVENTS(&f, "HANGUP | CLOSED OK");
    nbj__session_dialed(f.s, f.now);
    nbj__session_lost(f.s, NBJ_E_EOF, NULL, f.now);
    nbj__session_sent(f.s, 0, f.now);
    nbj__session_on_time(f.s, f.now + NBJ_HOURS(1));
    uint8_t *at;
    size_t len;
    assert_int_equal(nbj__session_rx_space(f.s, &at, &len), NBJ_E_STATE);
    assert_int_equal(nbj__session_secured(f.s, f.now), NBJ_E_STATE);
    assert_int_equal(nbj__session_credentials(f.s, &(nbj__credentials){ .token = nbj_str("t") }, f.now), NBJ_E_STATE);
    EVENTS(&f, "");
    fix_close(&f);
}

static void test_handshake_refusals_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
    } cases[] = { { "HTTP/1.1 200 OK\r\n" },
                  { "-ERR 'maximum connections exceeded'\r\n" },
                  { FIX_INFO "-ERR 'Authorization Violation'\r\n" },
                  { "INFO {\"tls_required\":true}\r\n" } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fix_open_urls(&f, "a,b");
        fix_dialed(&f);
        fix_feed(&f, cases[i].octets);
        EVENTS(&f, "HANGUP | DIAL b:4222");
        SENT(&f, "");
        fix_close(&f);
    }
}

/* --- credentials --- */

static void test_credentials(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *password, *token;
        const char *want; /* in CONNECT */
    } cases[] = {
        { "a", NULL, NULL, NULL, "\"no_responders\":true}\r\n" },
        { "a", "u", "p", NULL, "\"user\":\"u\",\"pass\":\"p\"}\r\n" },
        { "a", NULL, NULL, "tok", "\"auth_token\":\"tok\"}\r\n" },
        { "x:y@a", "u", "p", "tok",
          "\"no_responders\":true,\"user\":\"x\",\"pass\":\"y\"}\r\n" }, /* none of the options' */
        { "t@a", "u", "p", "tok", "\"no_responders\":true,\"auth_token\":\"t\"}\r\n" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__session_options o = fix_urls(cases[i].url);
        o.user = nbj_str(cases[i].user);
        o.password = nbj_str(cases[i].password);
        o.token = nbj_str(cases[i].token);
        fix_open(&f, &o);
        fix_pump(&f);
        fix_dialed(&f);
        fix_feed(&f, FIX_INFO);
        const char *sent = fix_sent(&f);
        CHECK(cases[i].url, strstr(sent, cases[i].want) != NULL);
        fix_close(&f);
    }
}

static void test_options_in_connect(void **state)
{
    (void)state;
    nbj__session_options o = { .name = nbj_str("n\"1"), .verbose = true, .pedantic = true, .no_echo = true };
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    const char *sent = fix_sent(&f);
    assert_non_null(strstr(sent, "{\"verbose\":true,\"pedantic\":true,"));
    assert_non_null(strstr(sent, "\"name\":\"n\\\"1\",\"protocol\":1,\"echo\":false,"));
    fix_feed(&f, "+OK\r\nPONG\r\n+OK\r\n");
    EVENTS(&f, "DIAL 127.0.0.1:4222 | CONNECTED");
    fix_close(&f);
}

static void test_credentials_for_each_connection(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("u:p@a");
    o.wants_credentials = true;
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, "INFO {\"headers\":true,\"nonce\":\"n0nce\",\"connect_urls\":[\"b:4222\"]}\r\n");
    EVENTS(&f, "DIAL a:4222 | DISCOVERED | CREDENTIALS a:4222 n0nce");
    SENT(&f, "");
    nbj__credentials given = { .jwt = nbj_str("jwt"), .signature = nbj_str("sig") };
    assert_int_equal(nbj__session_credentials(f.s, &given, f.now), NBJ_OK);
    assert_int_equal(nbj__session_credentials(f.s, &given, f.now), NBJ_E_STATE); /* once */
    assert_non_null(strstr(fix_sent(&f), "\"user\":\"u\",\"pass\":\"p\",\"jwt\":\"jwt\",\"sig\":\"sig\"}\r\nPING\r\n"));
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "CONNECTED");
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, "INFO {}\r\n");
    EVENTS(&f, "CREDENTIALS b:4222 "); /* also without a nonce */
    assert_int_equal(nbj__session_credentials(f.s, &(nbj__credentials){ .token = nbj_str("t") }, f.now), NBJ_OK);
    assert_non_null(
        strstr(fix_sent(&f), "\"no_responders\":false,\"auth_token\":\"t\"}\r\n")); /* nothing of the last */
    fix_lose(&f, NBJ_E_SIGN);
    fix_close(&f);
}

static void test_credentials_that_cannot_be_given(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a,b,c");
    o.wants_credentials = true;
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, "INFO {\"nonce\":\"n\"}\r\n");
    fix_lose(&f, NBJ_E_SIGN);
    EVENTS(&f, "DIAL a:4222 | CREDENTIALS a:4222 n | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, "INFO {}\r\n");
    fix_advance(&f, NBJ_SECONDS(5)); /* whoever is to give them is not waited for */
    EVENTS(&f, "CREDENTIALS b:4222  | HANGUP | DIAL c:4222");
    fix_dialed(&f);
    fix_feed(&f, "INFO {}\r\n");
    nbj__session_close(f.s, NBJ_OK, NULL);
    assert_int_equal(nbj__session_credentials(f.s, &(nbj__credentials){ .token = nbj_str("t") }, f.now), NBJ_E_STATE);
    EVENTS(&f, "CREDENTIALS c:4222  | HANGUP | CLOSED OK");
    fix_close(&f);
}

/* Whoever has none says so: the session hangs up and goes on. Said for nobody, or twice, it is nothing. */
static void test_no_credentials(void **state)
{
    (void)state;
    const nbj_error why = { .status = NBJ_E_CREDENTIALS, .text = "no such file" };
    nbj__session_options o = fix_urls("a,b");
    o.wants_credentials = true;
    fix_open(&f, &o);
    fix_pump(&f);
    assert_int_equal(nbj__session_no_credentials(f.s, &why, f.now), NBJ_E_STATE);
    fix_dialed(&f);
    assert_int_equal(nbj__session_no_credentials(f.s, &why, f.now), NBJ_E_STATE);
    fix_feed(&f, "INFO {\"nonce\":\"n\"}\r\n");
    EVENTS(&f, "DIAL a:4222 | CREDENTIALS a:4222 n");
    assert_int_equal(nbj__session_no_credentials(f.s, &why, f.now), NBJ_OK);
    assert_int_equal(nbj__session_no_credentials(f.s, &why, f.now), NBJ_E_STATE);
    EVENTS(&f, "HANGUP | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, "INFO {}\r\n");
    EVENTS(&f, "CREDENTIALS b:4222 ");
    SENT(&f, "");
    assert_int_equal(nbj__session_no_credentials(f.s, &why, f.now), NBJ_OK);
    EVENTS(&f, "HANGUP | CLOSED E_NO_SERVERS");
    fix_close(&f);
}

/* --- TLS --- */

#define TLS_INFO "INFO {\"headers\":true,\"tls_required\":true,\"connect_urls\":[\"10.0.0.2:4222\"]}\r\n"

static void test_tls(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("one.example,last.example");
    o.tls_possible = true;
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    EVENTS(&f, "DIAL one.example:4222 | DISCOVERED | START_TLS one.example:4222");
    SENT(&f, "");
    assert_non_null(nbj__session_info(f.s));
    assert_int_equal(nbj__session_secured(f.s, f.now), NBJ_OK);
    assert_int_equal(nbj__session_secured(f.s, f.now), NBJ_E_STATE); /* once */
    assert_non_null(strstr(fix_sent(&f), "\"tls_required\":true,"));
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "CONNECTED");
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | DIAL last.example:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL 10.0.0.2:4222");
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    EVENTS(&f, "START_TLS one.example:4222"); /* the name of the one that named it */
    fix_lose(&f, NBJ_E_IO);
    fix_close(&f);
}

/* Who had TLS once, or is known from somebody who had, is never spoken to in clear again. */
static void test_tls_stays_demanded(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a");
    o.tls_possible = true;
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    assert_int_equal(nbj__session_secured(f.s, f.now), NBJ_OK);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    fix_lose(&f, NBJ_E_EOF);
    f.events[0] = '\0';
    for (const char *next = ""; strstr(next, "a:4222") == NULL;) { /* 10.0.0.2 first */
        if (nbj__session_phase(f.s) == NBJ__PHASE_WAITING)
            fix_wait_for_dial(&f);
        next = fix_events(&f);
        fix_dialed(&f);
        fix_feed(&f, FIX_INFO);
        SENT(&f, "");
        assert_true(nbj__session_phase(f.s) != NBJ__PHASE_SHAKING);
        if (nbj__session_phase(f.s) == NBJ__PHASE_WAITING)
            f.events[0] = '\0';
    }
    fix_close(&f);
}

static void test_tls_that_fails(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("tls://a,tls://b,tls://c");
    o.tls_possible = true;
    o.tls_timeout_ns = NBJ_SECONDS(1);
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    EVENTS(&f, "DIAL a:4222 | HANGUP | DIAL b:4222"); /* it does not offer any */
    SENT(&f, "");
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    fix_advance(&f, NBJ_SECONDS(1));
    EVENTS(&f, "DISCOVERED | START_TLS b:4222 | HANGUP | DIAL c:4222");
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    fix_feed(&f, "PING\r\n"); /* in clear */
    assert_int_equal(nbj__session_secured(f.s, f.now), NBJ_E_STATE);
    SENT(&f, "");
    EVENTS(&f, "START_TLS c:4222 | HANGUP | DIAL a:4222");
    fix_close(&f);
}

static void on_dial(fixture *x, const nbj__event *ev)
{
    if (ev->type == NBJ__EV_DIAL)
        fix_log(x, "%s for %s", ev->tls_first ? "TLS first" : "TLS later", ev->tls_name);
}

static void test_tls_first(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("nats://a");
    nbj_error error;
    o.tls_first = true;
    o.retry_first_connect = true;
    assert_int_equal(nbj__session_new(&f.s, &o, FIX_START, &error), NBJ_E_NO_TLS); /* tls_possible is missing */
    o.tls_possible = true;
    fix_open(&f, &o);
    f.on_event = on_dial;
    EVENTS(&f, "DIAL a:4222 | TLS first for a");
    fix_dialed(&f);
    fix_feed(&f, TLS_INFO);
    EVENTS(&f, "DISCOVERED");
    assert_non_null(strstr(fix_sent(&f), "\"tls_required\":true,"));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DIAL 10.0.0.2:4222 | TLS first for a");
    fix_close(&f);
}

static void test_timeouts_of_phases(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a,b");
    nbj__event ev;
    o.info_timeout_ns = NBJ_MILLIS(100);
    o.auth_timeout_ns = NBJ_MILLIS(200);
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_MILLIS(100));
    fix_advance(&f, NBJ_MILLIS(100));
    EVENTS(&f, "DIAL a:4222 | HANGUP | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_MILLIS(200));
    f.now += NBJ_MILLIS(200);
    nbj__session_on_time(f.s, f.now);
    assert_int_equal(nbj__session_next(f.s, f.now, &ev), NBJ_OK);
    fix_note(&f, &ev);
    assert_int_equal(nbj__session_next(f.s, f.now, &ev), NBJ_OK);
    assert_int_equal(ev.type, NBJ__EV_CLOSED);
    assert_string_equal(ev.error->text, "could not connect to b:4222: no answer to CONNECT within 200 ms");
    f.saw_closed = true;
    fix_close(&f);
}

static void test_auth_errors(void **state)
{
    (void)state;
    for (int fatal = 0; fatal < 2; fatal++) {
        nbj__session_options o = fix_urls("a");
        o.retry_first_connect = true;
        o.auth_errors_are_fatal = fatal != 0;
        fix_open(&f, &o);
        static const char *const said[] = { "Authorization Violation", "User Authentication Expired",
                                            "User Authentication Expired" };
        for (size_t i = 0; i < COUNT(said); i++) {
            fix_pump(&f);
            fix_dialed(&f);
            fix_feed(&f, FIX_INFO);
            f.events[0] = '\0';
            fix_feedf(&f, "-ERR '%s'\r\n", said[i]);
            if (fatal != 0 && i == 2)
                break;
            EVENTS(&f, "HANGUP"); /* it may have been put right */
            fix_wait_for_dial(&f);
        }
        fix_pump(&f);
        if (fatal != 0)
            EVENTS(&f, "HANGUP | CLOSED E_AUTH_EXPIRED"); /* the same one twice in a row */
        assert_int_equal(f.saw_closed, fatal != 0);
        fix_close(&f);
    }
}

/* Credentials that expire and are renewed in time, for ever: a connection that lived is between any two of the errors.
 * One that the server ended at once is no proof that they are good. */
static void test_expiry_after_a_good_life(void **state)
{
    static const struct {
        nbj_time life;
        const char *events;
    } cases[] = {
        { NBJ_SECONDS(1), "HANGUP | DISCONNECTED E_AUTH_EXPIRED | DIAL a:4222" },
        { NBJ_SECONDS(1) - 1, "HANGUP | DISCONNECTED E_AUTH_EXPIRED | CLOSED E_AUTH_EXPIRED" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__session_options o = fix_urls("a");
        o.auth_errors_are_fatal = true;
        fix_connect(&f, &o);
        f.now += NBJ_SECONDS(5);
        fix_feed(&f, "-ERR 'User Authentication Expired'\r\n");
        EVENTS(&f, "HANGUP | DISCONNECTED E_AUTH_EXPIRED | DIAL a:4222");
        fix_shake(&f, FIX_INFO);
        f.now += cases[i].life;
        fix_feed(&f, "-ERR 'User Authentication Expired'\r\n");
        EVENTS(&f, cases[i].events);
        fix_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_first_fails),
        cmocka_unit_test(test_closing_text_names_the_server),
        cmocka_unit_test(test_first_is_retried_when_asked),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_dialed_too_late_is_nothing),
        cmocka_unit_test(test_handshake_refusals_go_on),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_options_in_connect),
        cmocka_unit_test(test_credentials_for_each_connection),
        cmocka_unit_test(test_credentials_that_cannot_be_given),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_stays_demanded),
        cmocka_unit_test(test_tls_that_fails),
        cmocka_unit_test(test_tls_first),
        cmocka_unit_test(test_timeouts_of_phases),
        cmocka_unit_test(test_auth_errors),
        cmocka_unit_test(test_expiry_after_a_good_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
