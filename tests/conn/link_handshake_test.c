/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection begins: INFO, TLS, credentials, CONNECT and its answer, the limits of each: conn/link.h. */
#include "conn/link_peer.h"

/* --- INFO, CONNECT, PONG --- */

static void test_handshake(void **state)
{
    (void)state;
    static const char connect[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"c-nbj\","
        "\"version\":\"0.1.0\",\"name\":\"me\",\"protocol\":1,\"echo\":true,\"headers\":true,"
        "\"no_responders\":true,\"user\":\"u\",\"pass\":\"p\"}\r\nPING\r\n";
    nbj__link_config cfg = { .connect = { .name = nbj_str("me"), .user = nbj_str("u"), .password = nbj_str("p") } };
    peer p;
    begin(&p, &cfg);
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_INFO);
    assert_int_equal(next(&p), NBJ_MORE);
    assert_int_equal(nbj__buf_len(&p.link.tx), 0); /* nothing before INFO, least of all credentials */
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    assert_string_equal(p.link.info.server_id, "S");
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_PONG);
    assert_true(holds(&p.link.tx, connect)); /* one write, as a refusal comes instead of the PONG */
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "PONG\r\n" INFO);
    expect(&p, NBJ__LINK_EV_READY);
    assert_int_equal(p.link.pongs_got, 1);
    assert_int_equal(p.link.due, START + NBJ_SECONDS(30));
    expect(&p, NBJ__LINK_EV_INFO); /* the byte after PONG may be INFO (2.12 and newer) */
    assert_int_equal(nbj__buf_len(&p.out), 0);
    end(&p);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const char all[] =
        INFO "+OK\r\nPING\r\nPONG\r\nMSG a.b 1 r 2\r\nhi\r\nHMSG a 2 16 17\r\nNATS/1.0 503\r\n\r\nx\r\n"
             "-ERR 'Permissions Violation for Publish to \"x\"'\r\nPONG\r\n" INFO "PING\r\n+ok\r\n";
    static const nbj__link_event_type want[] = { NBJ__LINK_EV_INFO, NBJ__LINK_EV_READY, NBJ__LINK_EV_MSG,
                                                 NBJ__LINK_EV_MSG,  NBJ__LINK_EV_ERR,   NBJ__LINK_EV_INFO };
    for (size_t cut = 0; cut <= strlen(all); cut++) {
        peer p;
        size_t got = 0;
        begin(&p, NULL);
        for (size_t half = 0; half < 2; half++) {
            put_bytes(&p, half == 0 ? all : all + cut, half == 0 ? cut : strlen(all) - cut);
            while (next(&p) == NBJ_OK) {
                assert_true(got < COUNT(want));
                assert_int_equal(p.ev.type, want[got++]);
            }
            assert_int_equal(p.link.error.status, NBJ_OK);
        }
        assert_int_equal(got, COUNT(want)); /* the second PONG answers nothing */
        assert_true(holds(&p.out, "PONG\r\n"));
        end(&p);
    }
}

static const struct {
    const char *name, *octets;
    nbj_status want;
} refusals[] = {
    { "foreign: HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", NBJ_E_PROTO },
    { "foreign: SSH", "SSH-2.0-OpenSSH_9.2\r\n", NBJ_E_PROTO },
    { "foreign: a TLS alert", "\x15\x03\x01", NBJ_E_PROTO },
    { "message first", "MSG a 1 0\r\n\r\n", NBJ_E_PROTO },
    { "PONG first", "PONG\r\n", NBJ_E_PROTO },
    { "+OK first", "+OK\r\n", NBJ_E_PROTO },
    { "INFO is no object", "INFO [1]\r\n", NBJ_E_PROTO },
    { "INFO is cut", "INFO {\"a\":\r\n", NBJ_E_PROTO },
    { "error first", "-ERR 'maximum connections exceeded'\r\n", NBJ_E_MAX_CONNECTIONS },
    { "unknown error first", "-ERR 'whatever'\r\n", NBJ_E_SERVER },
    { "TLS required", "INFO {\"tls_required\":true}\r\n", NBJ_E_TLS_REQUIRED },
    { "message in the handshake", INFO "MSG a 1 0\r\n\r\n", NBJ_E_PROTO },
    { "garbage in the handshake", INFO "XXXX\r\n", NBJ_E_PROTO },
    { "authorization", INFO "-ERR 'Authorization Violation'\r\n", NBJ_E_AUTH },
    { "revoked", INFO "-ERR 'User Authentication Revoked'\r\n", NBJ_E_AUTH_REVOKED },
    { "user expired", INFO "-ERR 'User Authentication Expired'\r\n", NBJ_E_AUTH_EXPIRED },
    { "account expired", INFO "-ERR 'Account Authentication Expired'\r\n", NBJ_E_ACCOUNT_EXPIRED },
    { "auth timeout", INFO "-ERR 'Authentication Timeout'\r\n", NBJ_E_AUTH_TIMEOUT },
    { "account connections", INFO "-ERR 'maximum account active connections exceeded'\r\n",
      NBJ_E_MAX_ACCOUNT_CONNECTIONS },
    { "throttled", INFO "-ERR 'Connection throttling is active. Please try again later.'\r\n", NBJ_E_THROTTLED },
    { "TLS", INFO "-ERR 'Secure Connection - TLS Required'\r\n", NBJ_E_TLS_REQUIRED },
    { "protocol", INFO "-ERR 'invalid client protocol'\r\n", NBJ_E_CLIENT_PROTOCOL },
    { "headers", INFO "-ERR 'no responders requires headers support'\r\n", NBJ_E_NEEDS_HEADERS },
    { "registration", INFO "-ERR 'Failed Account Registration'\r\n", NBJ_E_ACCOUNT_REGISTRATION },
    { "route port", INFO "-ERR 'attempted to connect to route port'\r\n", NBJ_E_WRONG_PORT },
    { "control line", INFO "-ERR 'maximum control line exceeded'\r\n", NBJ_E_CONTROL_LINE },
    { "even one that stays", INFO "-ERR 'Permissions Violation for Publish to \"x\"'\r\n", NBJ_E_PERMISSION_PUBLISH },
    { "unknown one", INFO "-ERR 'something new'\r\n", NBJ_E_SERVER },
    { "empty one", INFO "-ERR \r\n", NBJ_E_SERVER },
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        peer p;
        nbj_status st;
        begin(&p, NULL);
        put(&p, refusals[i].octets);
        while ((st = next(&p)) == NBJ_OK)
            CHECK(refusals[i].name, p.ev.type == NBJ__LINK_EV_INFO);
        CHECK(refusals[i].name, st == refusals[i].want);
        CHECK(refusals[i].name, p.link.phase == NBJ__LINK_FAILED);
        CHECK(refusals[i].name, p.link.error.status == st && p.link.error.text[0] != '\0');
        CHECK(refusals[i].name, next(&p) == st); /* its end is final */
        put(&p, INFO "PONG\r\n");
        CHECK(refusals[i].name, next(&p) == st);
        CHECK(refusals[i].name, nbj__link_on_time(&p.link, START + NBJ_HOURS(1)) == st);
        CHECK(refusals[i].name, p.link.due == NBJ_TIME_NEVER);
        end(&p);
    }
}

static void test_server_text_is_clean(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    put(&p, "-ERR 'Stale Connection \x1b[31m\x07%n'\r\n");
    assert_int_equal(next(&p), NBJ_E_SERVER_STALE);
    assert_string_equal(p.link.error.text, "Stale Connection ?[31m?%n");
    end(&p);
}

/* Each phase has its limit, and the text says which has passed; without one there is what is left of the whole. */
static const struct {
    const char *octets;
    nbj__link_phase phase;
    uint64_t limit_ms, rest_ms;
    const char *text, *rest_text;
} phases[] = {
    { "", NBJ__LINK_WAIT_INFO, 1000, 5000, "no INFO within 1000 ms", "no INFO within 5000 ms" },
    { "INFO {", NBJ__LINK_WAIT_INFO, 1000, 5000, "no INFO within 1000 ms", "no INFO within 5000 ms" },
    { TLS_INFO, NBJ__LINK_WAIT_TLS, 2000, 5000, "the TLS handshake did not finish within 2000 ms",
      "the TLS handshake did not finish within 5000 ms" },
    { INFO, NBJ__LINK_WAIT_CREDENTIALS, 5000, 5000, "the credentials were not given within 5000 ms",
      "the credentials were not given within 5000 ms" },
    { INFO "-ER", NBJ__LINK_WAIT_CREDENTIALS, 5000, 5000, "the credentials were not given within 5000 ms",
      "the credentials were not given within 5000 ms" },
};

static void test_each_phase_has_its_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(phases); i++) {
        bool limited = i < COUNT(phases);
        size_t k = i % COUNT(phases);
        nbj__link_config cfg = { .wants_credentials = true, .tls_possible = true };
        nbj_time due = START + NBJ_MILLIS(limited ? phases[k].limit_ms : phases[k].rest_ms);
        peer p;
        if (limited) {
            cfg.info_ns = NBJ_SECONDS(1);
            cfg.tls_ns = NBJ_SECONDS(2);
            cfg.auth_ns = NBJ_SECONDS(3);
        }
        begin(&p, &cfg);
        put(&p, phases[k].octets);
        while (next(&p) == NBJ_OK)
            continue;
        CHECK(phases[k].octets, p.link.phase == phases[k].phase && p.link.due == due);
        CHECK(phases[k].octets, nbj__link_on_time(&p.link, due - 1) == NBJ_OK);
        CHECK(phases[k].octets, nbj__link_on_time(&p.link, due) == NBJ_E_CONNECT_TIMEOUT);
        CHECK(phases[k].octets, strcmp(p.link.error.text, limited ? phases[k].text : phases[k].rest_text) == 0);
        end(&p);
    }
}

static void test_connect_has_its_limit(void **state)
{
    (void)state;
    nbj__link_config cfg = { .auth_ns = NBJ_SECONDS(3) };
    static const struct {
        uint64_t info_ms, due_ms;
        const char *text;
    } cases[] = { { 500, 3500, "no answer to CONNECT within 3000 ms" },
                  { 4000, 5000, "no answer to CONNECT within 1000 ms" } }; /* never beyond the whole */
    for (size_t i = 0; i < COUNT(cases); i++) {
        peer p;
        begin(&p, &cfg);
        put(&p, INFO);
        assert_int_equal(nbj__link_next(&p.link, START + NBJ_MILLIS(cases[i].info_ms), &p.ev), NBJ_OK);
        put(&p, "+OK\r\nPING\r\n"); /* is no answer */
        assert_int_equal(next(&p), NBJ_MORE);
        nbj_time due = START + NBJ_MILLIS(cases[i].due_ms);
        assert_int_equal(nbj__link_on_time(&p.link, due - 1), NBJ_OK);
        assert_int_equal(nbj__link_on_time(&p.link, due), NBJ_E_CONNECT_TIMEOUT);
        assert_string_equal(p.link.error.text, cases[i].text);
        end(&p);
    }
}

/* --- TLS --- */

static const struct {
    const char *name, *info;
    bool wanted, possible, secured;
    nbj_status want; /* after INFO; NBJ_MORE: TLS is begun */
    const char *said;
} tls_cases[] = {
    { "nobody wants it", INFO, false, true, false, NBJ_OK, NULL },
    { "it is only offered", "INFO {\"tls_available\":true}\r\n", false, true, false, NBJ_OK, NULL },
    { "required", TLS_INFO, false, true, false, NBJ_MORE, NULL },
    { "wanted and required", TLS_INFO, true, true, false, NBJ_MORE, NULL },
    { "wanted and offered", "INFO {\"tls_available\":true}\r\n", true, true, false, NBJ_MORE, NULL },
    { "wanted, not offered", INFO, true, true, false, NBJ_E_NO_TLS, "does not offer it" },
    { "required, not possible", TLS_INFO, false, false, false, NBJ_E_TLS_REQUIRED, "cannot do" },
    { "wanted, not possible", "INFO {\"tls_available\":true}\r\n", true, false, false, NBJ_E_NO_TLS, "cannot do" },
    { "first, required", TLS_INFO, true, true, true, NBJ_OK, NULL },
    { "first, not said", INFO, true, true, true, NBJ_OK, NULL },
};

static void test_who_wants_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tls_cases); i++) {
        nbj__link_config cfg = { .tls_wanted = tls_cases[i].wanted,
                                 .tls_possible = tls_cases[i].possible,
                                 .secured = tls_cases[i].secured,
                                 .connect = { .user = nbj_str("u"), .password = nbj_str("secret") } };
        const char *name = tls_cases[i].name;
        peer p;
        begin(&p, &cfg);
        put(&p, tls_cases[i].info);
        nbj_status st = next(&p);
        if (tls_cases[i].want < 0) {
            CHECK(name, st == tls_cases[i].want && strstr(p.link.error.text, tls_cases[i].said) != NULL);
            CHECK(name, strstr(p.link.error.text, "nothing was sent in clear") != NULL);
        } else {
            CHECK(name, st == NBJ_OK && p.ev.type == NBJ__LINK_EV_INFO);
        }
        if (tls_cases[i].want == NBJ_OK)
            CHECK(name, strstr(sent(&p), tls_cases[i].secured ? "\"tls_required\":true" : "\"tls_required\":false"));
        else
            CHECK(name, nbj__buf_len(&p.link.tx) == 0);
        if (tls_cases[i].want == NBJ_MORE) {
            expect(&p, NBJ__LINK_EV_START_TLS);
            CHECK(name, next(&p) == NBJ_MORE && nbj__buf_len(&p.link.tx) == 0);
        }
        end(&p);
    }
}

static void test_tls_handshake(void **state)
{
    (void)state;
    nbj__link_config cfg = { .tls_possible = true, .connect = { .auth_token = nbj_str("t") } };
    peer p;
    begin(&p, &cfg);
    assert_int_equal(nbj__link_secured(&p.link, START), NBJ_E_STATE);
    put(&p, "PING\r\n" TLS_INFO); /* even its PONG would be in clear */
    expect(&p, NBJ__LINK_EV_INFO);
    assert_int_equal(nbj__link_secured(&p.link, START), NBJ_E_STATE); /* nobody asked yet */
    expect(&p, NBJ__LINK_EV_START_TLS);
    assert_int_equal(next(&p), NBJ_MORE); /* once */
    assert_int_equal(nbj__buf_len(&p.link.tx), 0);
    assert_int_equal(nbj__link_secured(&p.link, START + NBJ_SECONDS(1)), NBJ_OK);
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_PONG);
    assert_non_null(strstr(sent(&p), "\"tls_required\":true,"));
    assert_non_null(strstr(sent(&p), "\"auth_token\":\"t\"}\r\nPING\r\n"));
    assert_int_equal(nbj__link_secured(&p.link, START), NBJ_E_STATE);
    put(&p, "PONG\r\n" TLS_INFO); /* later INFOs say it, too */
    expect(&p, NBJ__LINK_EV_READY);
    expect(&p, NBJ__LINK_EV_INFO);
    assert_int_equal(next(&p), NBJ_MORE);
    end(&p);
}

/* Octets in clear behind INFO would be taken for the server's own, inside TLS. */
static void test_nothing_is_injected_before_tls(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        nbj_status want;
    } cases[] = {
        { "INFO {\"connect_urls\":[\"evil:4222\"]}\r\n", NBJ_E_PROTO },
        { "PING\r\n", NBJ_E_PROTO },
        { "\r", NBJ_E_PROTO },
        { "\x16\x03\x01", NBJ_E_PROTO },
        { "-ERR", NBJ_E_PROTO },
        { "-ERR 'maximum connections exceeded'\r\n", NBJ_E_MAX_CONNECTIONS }, /* ends it all the same */
    };
    nbj__link_config cfg = { .tls_possible = true };
    for (size_t i = 0; i < 3 * COUNT(cases); i++) {
        size_t k = i / 3, when = i % 3;
        peer p;
        begin(&p, &cfg);
        put(&p, TLS_INFO);
        if (when == 0) /* in one read with INFO */
            put(&p, cases[k].octets);
        expect(&p, NBJ__LINK_EV_INFO);
        if (when > 0) {
            expect(&p, NBJ__LINK_EV_START_TLS);
            put(&p, cases[k].octets);
        }
        if (when == 2) /* seen only when TLS is there */
            CHECK(cases[k].octets, nbj__link_secured(&p.link, START) == NBJ_E_PROTO);
        else
            CHECK(cases[k].octets, next(&p) == cases[k].want);
        CHECK(cases[k].octets, p.link.phase == NBJ__LINK_FAILED && nbj__buf_len(&p.link.tx) == 0);
        end(&p);
    }
}

/* --- credentials --- */

static void test_credentials_are_asked_for(void **state)
{
    (void)state;
    static const char *const infos[] = { INFO, NONCE_INFO, TLS_INFO };
    nbj__link_config cfg = { .wants_credentials = true, .tls_possible = true };
    for (size_t i = 0; i < COUNT(infos); i++) {
        peer p;
        begin(&p, &cfg);
        assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str("early") }), NBJ_E_STATE);
        put(&p, infos[i]);
        expect(&p, NBJ__LINK_EV_INFO);
        if (p.link.info.tls_required) {
            expect(&p, NBJ__LINK_EV_START_TLS);
            assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str("early") }), NBJ_E_STATE);
            assert_int_equal(nbj__link_secured(&p.link, START), NBJ_OK);
        }
        assert_int_equal(p.link.phase, NBJ__LINK_WAIT_CREDENTIALS);
        assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str("early") }), NBJ_E_STATE);
        expect(&p, NBJ__LINK_EV_CREDENTIALS);
        assert_int_equal(p.link.info.nonce != NULL, i == 1);
        put(&p, "PONG\r\n");
        assert_int_equal(next(&p), NBJ_MORE); /* nothing goes on before they are there */
        assert_int_equal(nbj__buf_len(&p.link.tx), 0);
        char token[] = "tok";
        assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str(token) }), NBJ_OK);
        memset(token, 'x', sizeof token - 1); /* copied */
        assert_non_null(strstr(sent(&p), "\"auth_token\":\"tok\"}\r\nPING\r\n"));
        assert_int_equal(p.link.cfg.connect.auth_token.len, 0); /* not kept */
        expect(&p, NBJ__LINK_EV_READY);
        assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str("late") }), NBJ_E_STATE);
        end(&p);
    }
}

#define S(field, text) .field = { (const uint8_t *)(text), sizeof(text) - 1 }

static const struct {
    const char *name;
    nbj__connect own; /* the URL's or the options' */
    nbj__credentials given;
    const char *want; /* the end of CONNECT */
} given_cases[] = {
    { "nothing at all", { .verbose = false }, { S(user, "") }, "\"no_responders\":true}\r\n" },
    { "nothing given", { S(user, "u"), S(password, "p") }, { S(user, "") }, "true,\"user\":\"u\",\"pass\":\"p\"}\r\n" },
    { "another password",
      { S(user, "u"), S(password, "old") },
      { S(user, "u"), S(password, "new") },
      "true,\"user\":\"u\",\"pass\":\"new\"}\r\n" },
    { "a token instead of a user",
      { S(user, "u"), S(password, "p") },
      { S(token, "t") },
      "true,\"auth_token\":\"t\"}\r\n" },
    { "a signature",
      { .verbose = false },
      { S(nkey, "UABC"), S(signature, "c2ln") },
      "true,\"nkey\":\"UABC\",\"sig\":\"c2ln\"}\r\n" },
    { "a bearer", { .verbose = false }, { S(jwt, "J") }, "true,\"jwt\":\"J\"}\r\n" },
    { "a signature beside a user",
      { S(user, "u"), S(password, "p") },
      { S(jwt, "J"), S(signature, "c2ln") },
      "true,\"user\":\"u\",\"pass\":\"p\",\"jwt\":\"J\",\"sig\":\"c2ln\"}\r\n" },
    { "everything",
      { S(auth_token, "old") },
      { S(user, "u"), S(password, "p"), S(token, "t"), S(jwt, "J"), S(nkey, "U"), S(signature, "s") },
      "true,\"user\":\"u\",\"pass\":\"p\",\"auth_token\":\"t\",\"jwt\":\"J\",\"nkey\":\"U\",\"sig\":\"s\"}\r\n" },
};

static void test_given_and_own_credentials(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(given_cases); i++) {
        nbj__link_config cfg = { .wants_credentials = true, .connect = given_cases[i].own };
        peer p;
        begin(&p, &cfg);
        put(&p, "INFO {\"headers\":true,\"auth_required\":true,\"nonce\":\"n\"}\r\n");
        expect(&p, NBJ__LINK_EV_INFO);
        expect(&p, NBJ__LINK_EV_CREDENTIALS);
        assert_int_equal(credentials(&p, given_cases[i].given), NBJ_OK);
        CHECK(given_cases[i].name, strstr(sent(&p), given_cases[i].want) != NULL);
        end(&p);
    }
}

/* Whoever gives the credentials may take long; the server does not wait for ever, and says so. */
static void test_reason_while_waiting_for_credentials(void **state)
{
    (void)state;
    nbj__link_config cfg = { .wants_credentials = true };
    peer p;
    begin(&p, &cfg);
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    expect(&p, NBJ__LINK_EV_CREDENTIALS);
    put(&p, "-ERR 'Authentication");
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, " Timeout'\r\n");
    assert_int_equal(next(&p), NBJ_E_AUTH_TIMEOUT);
    assert_string_equal(p.link.error.text, "Authentication Timeout");
    assert_int_equal(credentials(&p, (nbj__credentials){ .token = nbj_str("late") }), NBJ_E_STATE);
    end(&p);
}

static void test_flood_while_waiting_is_bounded(void **state)
{
    (void)state;
    nbj__link_config cfg = { .wants_credentials = true };
    nbj_status st = NBJ_MORE;
    peer p;
    begin(&p, &cfg);
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    expect(&p, NBJ__LINK_EV_CREDENTIALS);
    for (int i = 0; i < 20000 && st == NBJ_MORE; i++) {
        put(&p, "PING\r\n");
        st = next(&p);
    }
    assert_int_equal(st, NBJ_E_PROTO);
    assert_true(p.mem.peak_bytes < 400000);
    end(&p);
}

static void test_nobody_has_to_sign(void **state)
{
    (void)state;
    peer p;
    begin(&p, NULL); /* a nonce that nobody wants to sign is no obstacle */
    put(&p, NONCE_INFO "PONG\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    expect(&p, NBJ__LINK_EV_READY);
    end(&p);
}

static void test_server_without_headers(void **state)
{
    (void)state;
    peer p;
    begin(&p, NULL);
    put(&p, "INFO {}\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    assert_int_equal(nbj__buf_append(&p.link.tx, "", 1), NBJ_OK);
    assert_non_null(
        strstr((char *)p.link.tx.ptr, "\"headers\":false,\"no_responders\":false")); /* or it would refuse */
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_server_text_is_clean),
        cmocka_unit_test(test_each_phase_has_its_limit),
        cmocka_unit_test(test_connect_has_its_limit),
        cmocka_unit_test(test_who_wants_tls),
        cmocka_unit_test(test_tls_handshake),
        cmocka_unit_test(test_nothing_is_injected_before_tls),
        cmocka_unit_test(test_credentials_are_asked_for),
        cmocka_unit_test(test_given_and_own_credentials),
        cmocka_unit_test(test_reason_while_waiting_for_credentials),
        cmocka_unit_test(test_flood_while_waiting_is_bounded),
        cmocka_unit_test(test_nobody_has_to_sign),
        cmocka_unit_test(test_server_without_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
