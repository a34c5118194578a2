/* SPDX-License-Identifier: Apache-2.0 */
/* Server URLs: wire/url.h. */
#include "wire/url.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text, *host;
    uint16_t port;
    bool tls, has_password;
    const char *user, *password;
} good[] = {
    { "nats://localhost:4222", "localhost", 4222, false, false, "", "" },
    { "localhost", "localhost", 4222, false, false, "", "" },
    { "nats://localhost", "localhost", 4222, false, false, "", "" },
    { "localhost:1", "localhost", 1, false, false, "", "" },
    { "localhost:65535", "localhost", 65535, false, false, "", "" },
    { "localhost:004222", "localhost", 4222, false, false, "", "" },
    { "tls://demo.example.com:4443", "demo.example.com", 4443, true, false, "", "" },
    { "NATS://A", "A", 4222, false, false, "", "" },
    { "Tls://a", "a", 4222, true, false, "", "" },
    { "nats://localhost:4222/", "localhost", 4222, false, false, "", "" },
    { " \t nats://localhost:4222 \r", "localhost", 4222, false, false, "", "" },
    { "10.0.0.1:4222", "10.0.0.1", 4222, false, false, "", "" },
    { "nats://[::1]:4222", "::1", 4222, false, false, "", "" },
    { "[2001:db8::1]", "2001:db8::1", 4222, false, false, "", "" },
    { "[fe80::1%eth0]:4223", "fe80::1%eth0", 4223, false, false, "", "" },
    { "::1", "::1", 4222, false, false, "", "" },
    { "nats://2001:DB8::1/", "2001:DB8::1", 4222, false, false, "", "" },
    { "::ffff:10.0.0.1", "::ffff:10.0.0.1", 4222, false, false, "", "" },
    { "nats://user:secret@host", "host", 4222, false, true, "user", "secret" },
    { "nats://user:secret@[::1]:5", "::1", 5, false, true, "user", "secret" },
    { "user:secret@::1", "::1", 4222, false, true, "user", "secret" },
    { "user@host:4222", "host", 4222, false, false, "user", "" },
    { "tls://t0k3n@host", "host", 4222, true, false, "t0k3n", "" },
    { "nats://user:@host", "host", 4222, false, true, "user", "" },
    { "nats://:secret@host", "host", 4222, false, true, "", "secret" },
    { "nats://@host", "host", 4222, false, false, "", "" },
    { "nats://u:p@ss@host", "host", 4222, false, true, "u", "p@ss" },
    { "nats://u:p:q@host", "host", 4222, false, true, "u", "p:q" },
    { "nats://u:p://q@host", "host", 4222, false, true, "u", "p://q" },
    { "nats://us%40er:p%3Aq@host", "host", 4222, false, true, "us%40er", "p%3Aq" },
    { "nats://under_score-1.x", "under_score-1.x", 4222, false, false, "", "" },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        nbj__url url;
        const char *why = NULL;
        nbj_bytes text = exact_copy(good[i].text);
        CHECK(good[i].text, nbj__url_parse(text, &url, &why) == NBJ_OK);
        CHECK(good[i].text, nbj_bytes_equal(url.host, nbj_str(good[i].host)));
        CHECK(good[i].text, url.port == good[i].port);
        CHECK(good[i].text, url.tls == good[i].tls);
        CHECK(good[i].text, url.has_password == good[i].has_password);
        CHECK(good[i].text, nbj_bytes_equal(url.user, nbj_str(good[i].user)));
        CHECK(good[i].text, nbj_bytes_equal(url.password, nbj_str(good[i].password)));
        CHECK(good[i].text, strcmp(why, "") == 0);
        exact_free(text);
    }
}

static const struct {
    const char *text, *why; /* a part of the reason given */
} bad[] = {
    { "", "missing" },
    { "   ", "missing" },
    { "nats://", "missing" },
    { "nats:///", "missing" },
    { "nats://user:secret@", "missing" },
    { "nats://:4222", "missing" },
    { "[]", "missing" },
    { "http://localhost", "scheme" },
    { "natss://localhost", "scheme" },
    { "://localhost", "scheme" },
    { "u:p://q@host", "scheme" },
    { "ws://localhost:80", "WebSocket" },
    { "WSS://localhost:443", "WebSocket" },
    { "localhost:", "port" },
    { "localhost:0", "port" },
    { "localhost:65536", "port" },
    { "localhost:4294971518", "port" }, /* 2^32 + 4222 */
    { "localhost:18446744073709555838", "port" },
    { "localhost:-1", "port" },
    { "localhost:+4222", "port" },
    { "localhost:0x10", "port" },
    { "localhost: 4222", "port" },
    { "localhost:4222x", "port" },
    { "localhost:4222/path", "port" },
    { "localhost:4222//", "port" },
    { "localhost:4222?tls=1", "port" },
    { "[::1]4222", "port" },
    { "[::1]:", "port" },
    { "[::1", "']'" },
    { "nats://[::1:4222", "']'" },
    { "nats://host/path", "character" },
    { "host?x", "character" },
    { "host#x", "character" },
    { "ho st", "character" },
    { "ho\tst", "character" },
    { "host\r\nPING", "character" },
    { "h\xc3\xb6st", "character" },
    { "host\x7f", "character" },
    { "[[::1]]", "character" },
    { "ho[st", "character" },
    { "a,b", "character" },
    { "localhost:4222:4223", "IPv6" },
    { "[host:1]:4222", "IPv6" },
    { "::g", "IPv6" },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__url url;
        const char *why = NULL;
        nbj_bytes text = exact_copy(bad[i].text);
        CHECK(bad[i].text, nbj__url_parse(text, &url, &why) == NBJ_E_BAD_URL);
        CHECK(bad[i].text, why != NULL && strstr(why, bad[i].why) != NULL);
        exact_free(text);
    }
    nbj__url url;
    const char *why = NULL;
    assert_int_equal(nbj__url_parse(nbj_view(NULL, 0), &url, &why), NBJ_E_BAD_URL);
    assert_int_equal(nbj__url_parse(nbj_view("a\0b", 3), &url, &why), NBJ_E_BAD_URL);
}

static void test_longest_host(void **state)
{
    (void)state;
    char text[NBJ__HOST_MAX + 1];
    nbj__url url;
    const char *why = NULL;
    memset(text, 'a', sizeof text);
    assert_int_equal(nbj__url_parse(nbj_view(text, NBJ__HOST_MAX), &url, &why), NBJ_OK);
    assert_int_equal(url.host.len, NBJ__HOST_MAX);
    assert_int_equal(nbj__url_parse(nbj_view(text, NBJ__HOST_MAX + 1), &url, &why), NBJ_E_BAD_URL);
    assert_non_null(strstr(why, "too long"));
}

/* What fails never names the user or the password: |why| is static text. */
static void test_why_holds_no_secret(void **state)
{
    (void)state;
    static const char *const texts[] = { "nats://user:s3cr3t@host:port", "s3cr3t@[::1", "nats://u:s3cr3t@" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__url url;
        const char *why = NULL;
        CHECK(texts[i], nbj__url_parse(nbj_str(texts[i]), &url, &why) == NBJ_E_BAD_URL);
        CHECK(texts[i], strstr(why, "s3cr3t") == NULL);
    }
}

static void test_list(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *want[4];
    } cases[] = {
        { "", { NULL } },
        { ",, ,\t,", { NULL } },
        { "a", { "a" } },
        { "nats://a:1,tls://b,c", { "nats://a:1", "tls://b", "c" } },
        { " a , b\t,,c ,", { "a", "b", "c" } },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes text = exact_copy(cases[i].list);
        nbj_bytes list = text;
        nbj_bytes url;
        for (size_t n = 0; cases[i].want[n] != NULL; n++) {
            CHECK(cases[i].list, nbj__url_take(&list, &url));
            CHECK(cases[i].list, nbj_bytes_equal(url, nbj_str(cases[i].want[n])));
        }
        CHECK(cases[i].list, !nbj__url_take(&list, &url));
        CHECK(cases[i].list, !nbj__url_take(&list, &url));
        exact_free(text);
    }
    nbj_bytes none = nbj_view(NULL, 0);
    nbj_bytes url;
    assert_false(nbj__url_take(&none, &url));
}

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },        { "plain", "plain" }, { "a%40b%3a", "a@b:" },   { "%41%42", "AB" },
        { "%ff", "\xff" }, { "%", "%" },         { "%4", "%4" },           { "%4g", "%4g" },
        { "%g4", "%g4" },  { "%%41", "%A" },     { "100%25", "100%" },     { "%2541", "%41" },
        { "a+b", "a+b" },  { "%4%41", "%4A" },   { "%c3%A9", "\xc3\xa9" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes text = exact_copy(cases[i].text);
        uint8_t *out = malloc(text.len > 0 ? text.len : 1);
        assert_non_null(out);
        size_t len = nbj__url_decode(text, out);
        CHECK(cases[i].text, nbj_bytes_equal(nbj_view(out, len), nbj_str(cases[i].want)));
        free(out);
        exact_free(text);
    }
    uint8_t nul = 1;
    assert_int_equal(nbj__url_decode(nbj_str("%00"), (uint8_t[3]){ 0 }), 1);
    assert_int_equal(nbj__url_decode(nbj_view(NULL, 0), &nul), 0);
    assert_int_equal(nul, 1);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool is_address;
    } cases[] = {
        { "10.0.0.1", true },     { "::1", true },          { "2001:db8::2", true },      { "::ffff:10.0.0.1", true },
        { "fe80::1%eth0", true }, { "localhost", false },   { "a.b.c.d", false },         { "10.0.0.1.example", false },
        { "10.0.0.x", false },    { "nats-1.nats", false }, { "10.0.0.1e.1.2.3", false }, { "", false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes host = exact_copy(cases[i].host);
        CHECK(cases[i].host, nbj__host_is_address(host) == cases[i].is_address);
        exact_free(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_longest_host), cmocka_unit_test(test_why_holds_no_secret),
        cmocka_unit_test(test_list),         cmocka_unit_test(test_decode),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
