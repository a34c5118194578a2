/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of itself: wire/info.h. */
#include "wire/info.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As a 2.15 server sends it, in a cluster. */
static const char full[] =
    "{\"server_id\":\"NDUP6JO4T5LRUEXZUHWXMJYMG4IZAJDWNETTA4GPJ7DKXLJUXBN3UP3M\",\"server_name\":\"n1\","
    "\"version\":\"2.15.1\",\"proto\":1,\"git_commit\":\"5a6b7c\",\"go\":\"go1.24\",\"host\":\"0.0.0.0\",\"port\":4222,"
    "\"headers\":true,\"auth_required\":true,\"tls_required\":true,\"tls_verify\":true,\"tls_available\":true,"
    "\"max_payload\":1048576,\"jetstream\":true,\"client_id\":18446744073709551615,\"client_ip\":\"127.0.0.1\","
    "\"nonce\":\"fGq0x3PpQzYpXtA\",\"cluster\":\"C1\",\"domain\":\"hub\",\"xkey\":\"XB\",\"api_lvl\":4,\"ldm\":true,"
    "\"connect_urls\":[\"10.0.0.1:4222\",\"[2001:db8::1]:4222\",\"10.0.0.3:4222\"],\"ws_connect_urls\":[\"10.0.0.1:80\"],"
    "\"something_new\":{\"deep\":[1,2,{\"a\":null}]}}";

static nbj_status parse(const nbj_allocator *alloc, const char *json, nbj__info *out)
{
    nbj_bytes copy = exact_copy(json);
    nbj_status st = nbj__info_parse(alloc, copy, out);

    exact_free(copy);
    return st;
}

static void test_full(void **state)
{
    (void)state;
    nbj__info info;
    assert_int_equal(parse(&nbj__malloc_allocator, full, &info), NBJ_OK);
    assert_string_equal(info.server_id, "NDUP6JO4T5LRUEXZUHWXMJYMG4IZAJDWNETTA4GPJ7DKXLJUXBN3UP3M");
    assert_string_equal(info.server_name, "n1");
    assert_string_equal(info.version, "2.15.1");
    assert_string_equal(info.nonce, "fGq0x3PpQzYpXtA");
    assert_string_equal(info.client_ip, "127.0.0.1");
    assert_string_equal(info.cluster, "C1");
    assert_string_equal(info.domain, "hub");
    assert_true(info.client_id == UINT64_MAX);
    assert_int_equal(info.max_payload, 1048576);
    assert_int_equal(info.api_level, 4);
    assert_true(info.has_headers && info.headers && info.jetstream && info.auth_required && info.tls_required &&
                info.tls_available);
    assert_true(info.lame_duck);
    assert_true(info.has_connect_urls);
    assert_int_equal(info.connect_url_count, 3);
    assert_string_equal(info.connect_urls[0], "10.0.0.1:4222");
    assert_string_equal(info.connect_urls[1], "[2001:db8::1]:4222");
    assert_string_equal(info.connect_urls[2], "10.0.0.3:4222");
    nbj__info_free(&nbj__malloc_allocator, &info);
    nbj__info_free(&nbj__malloc_allocator, &info);
}

static void check_is_empty(const nbj__info *info)
{
    static const nbj__info none;

    assert_memory_equal(info, &none, sizeof none);
}

static void test_nothing_said(void **state)
{
    (void)state;
    nbj__info info;
    memset(&info, 0xff, sizeof info);
    assert_int_equal(parse(&nbj__malloc_allocator, "{}", &info), NBJ_OK);
    check_is_empty(&info);
}

/* Absent does not mean empty: only a list that is there replaces the one known before. */
static void test_connect_urls(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool has;
        size_t count;
    } cases[] = {
        { "{}", false, 0 },
        { "{\"connect_urls\":null}", false, 0 },
        { "{\"connect_urls\":\"a:1\"}", false, 0 },
        { "{\"connect_urls\":{}}", false, 0 },
        { "{\"connect_urls\":[]}", true, 0 },
        { "{\"connect_urls\":[\"a:1\"]}", true, 1 },
        { "{\"connect_urls\":[1,null,{},[\"x\"],true,\"\",\"a:1\"]}", true, 1 }, /* only texts count */
        { "{\"connect_urls\":[\"a\\u0000b\",\"a:1\"]}", true, 1 },
        { "{\"connect_urls\":[\"a:1\",\"a:1\"]}", true, 2 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__info info;
        CHECK(cases[i].json, parse(&nbj__malloc_allocator, cases[i].json, &info) == NBJ_OK);
        CHECK(cases[i].json, info.has_connect_urls == cases[i].has);
        CHECK(cases[i].json, info.connect_url_count == cases[i].count);
        for (size_t n = 0; n < cases[i].count; n++)
            CHECK(cases[i].json, strcmp(info.connect_urls[n], "a:1") == 0);
        nbj__info_free(&nbj__malloc_allocator, &info);
    }
}

/* A member of the wrong type counts as absent; it spoils nothing else. */
static void test_wrong_types(void **state)
{
    (void)state;
    static const char *const values[] = { "null", "[]", "{}", "[\"x\"]", "1.5", "1e3", "\"\"", "-1.0", "[[[[]]]]" };
    static const char *const keys[] = { "server_id", "server_name", "version",       "nonce",        "client_ip",
                                        "cluster",   "client_id",   "max_payload",   "api_lvl",      "headers",
                                        "jetstream", "ldm",         "auth_required", "tls_required", "tls_available" };
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t v = 0; v < COUNT(values); v++) {
            char json[100];
            nbj__info info;
            snprintf(json, sizeof json, "{\"%s\":%s,\"domain\":\"hub\"}", keys[k], values[v]);
            CHECK(json, parse(&nbj__malloc_allocator, json, &info) == NBJ_OK);
            CHECK(json, info.domain != NULL && strcmp(info.domain, "hub") == 0);
            nbj__free_text(&nbj__malloc_allocator, info.domain);
            info.domain = NULL;
            check_is_empty(&info);
        }
    }
}

static void test_texts_and_numbers_for_flags(void **state)
{
    (void)state;
    nbj__info info;
    assert_int_equal(parse(&nbj__malloc_allocator, "{\"headers\":1,\"ldm\":\"true\",\"jetstream\":\"yes\"}", &info),
                     NBJ_OK);
    check_is_empty(&info);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t client_id;
        int64_t max_payload;
        uint32_t api_level;
    } cases[] = {
        { "{\"client_id\":7,\"max_payload\":67108864,\"api_lvl\":1}", 7, 67108864, 1 },
        { "{\"client_id\":-7,\"max_payload\":-1,\"api_lvl\":-1}", 0, -1, 0 },
        { "{\"client_id\":9223372036854775808,\"max_payload\":9223372036854775808}", (uint64_t)INT64_MAX + 1, INT64_MAX,
          0 },
        { "{\"api_lvl\":4294967295}", 0, 0, UINT32_MAX },
        { "{\"api_lvl\":4294967297}", 0, 0, UINT32_MAX }, /* not 1 */
        { "{\"api_lvl\":65537}", 0, 0, 65537 },
        { "{\"max_payload\":0}", 0, 0, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__info info;
        CHECK(cases[i].json, parse(&nbj__malloc_allocator, cases[i].json, &info) == NBJ_OK);
        CHECK(cases[i].json, info.client_id == cases[i].client_id);
        CHECK(cases[i].json, info.max_payload == cases[i].max_payload);
        CHECK(cases[i].json, info.api_level == cases[i].api_level);
        nbj__info_free(&nbj__malloc_allocator, &info);
    }
}

static void test_not_an_object(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "x",
                                         "[]",
                                         "null",
                                         "\"{}\"",
                                         "1",
                                         "{",
                                         "{}x",
                                         "{\"a\":}",
                                         "{\"server_id\":\"x\"",
                                         "{}{}",
                                         "{\"a\":1,}",
                                         "{\"a\":\"\\u12\"}" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__info info;
        memset(&info, 0xff, sizeof info);
        CHECK(texts[i], parse(&nbj__malloc_allocator, texts[i], &info) == NBJ_E_PROTO);
        check_is_empty(&info);
    }
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof full - 1; len++) {
        nbj__info info;
        nbj_bytes part = exact_bytes(full, len);
        assert_int_equal(nbj__info_parse(&nbj__malloc_allocator, part, &info), NBJ_E_PROTO);
        check_is_empty(&info);
        exact_free(part);
    }
}

/* A text of |len| octets where the nonce stands. */
static nbj_status parse_long_nonce(size_t len, nbj__info *out)
{
    char *json = malloc(len + 13);

    assert_non_null(json);
    memcpy(json, "{\"nonce\":\"", 10);
    memset(json + 10, 'n', len);
    memcpy(json + 10 + len, "\"}", 3);
    nbj_status st = parse(&nbj__malloc_allocator, json, out);
    free(json);
    return st;
}

static void test_texts_are_bounded(void **state)
{
    (void)state;
    nbj__info info;
    assert_int_equal(parse_long_nonce(NBJ__INFO_TEXT_MAX, &info), NBJ_OK);
    assert_int_equal(strlen(info.nonce), NBJ__INFO_TEXT_MAX);
    nbj__info_free(&nbj__malloc_allocator, &info);
    assert_int_equal(parse_long_nonce(NBJ__INFO_TEXT_MAX + 1, &info), NBJ_OK);
    check_is_empty(&info);
    assert_int_equal(parse_long_nonce(900000, &info), NBJ_OK);
    check_is_empty(&info);
}

static void test_odd_texts(void **state)
{
    (void)state;
    nbj__info info;
    assert_int_equal(parse(&nbj__malloc_allocator, "{\"nonce\":\"a\\u0000b\",\"version\":\"\\ud800\"}", &info), NBJ_OK);
    assert_null(info.nonce); /* with a NUL it would be cut */
    assert_string_equal(info.version, "\xef\xbf\xbd");
    nbj__info_free(&nbj__malloc_allocator, &info);
}

/* |count| URLs "h00000:4222" and so on. */
static char *many_urls(size_t count)
{
    char *json = malloc(count * 14 + 30);
    char *at = json;

    assert_non_null(json);
    at += sprintf(at, "{\"connect_urls\":[");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\"h%05zu:4222\"", i > 0 ? "," : "", i);
    memcpy(at, "]}", 3);
    return json;
}

static void test_many_urls(void **state)
{
    (void)state;
    static const size_t counts[] = {
        1, NBJ__CONNECT_URLS_MAX - 1, NBJ__CONNECT_URLS_MAX, NBJ__CONNECT_URLS_MAX + 1, 300, 50000
    };
    for (size_t i = 0; i < COUNT(counts); i++) {
        ts_alloc a;
        nbj__info info;
        char *json = many_urls(counts[i]);
        size_t taken = counts[i] < NBJ__CONNECT_URLS_MAX ? counts[i] : NBJ__CONNECT_URLS_MAX;
        char last[16];
        ts_alloc_init(&a, TS_NEVER_FAIL, false);
        assert_int_equal(parse(&a.allocator, json, &info), NBJ_OK);
        assert_int_equal(info.connect_url_count, taken);
        snprintf(last, sizeof last, "h%05zu:4222", taken - 1);
        assert_string_equal(info.connect_urls[0], "h00000:4222");
        assert_string_equal(info.connect_urls[taken - 1], last);
        assert_true(a.peak_bytes < 8192); /* however many they are */
        nbj__info_free(&a.allocator, &info);
        ts_alloc_done(&a);
        free(json);
    }
}

static void test_depth_of_50000(void **state)
{
    (void)state;
    static const char *const open[] = { "{\"a\":", "[" };
    for (size_t i = 0; i < COUNT(open); i++) {
        size_t unit = strlen(open[i]);
        nbj__info info;
        char *json = malloc(5 + 50000 * unit + 1);
        assert_non_null(json);
        memcpy(json, "{\"a\":", 5);
        for (size_t d = 0; d < 50000; d++)
            memcpy(json + 5 + d * unit, open[i], unit);
        json[5 + 50000 * unit] = '\0';
        assert_int_equal(parse(&nbj__malloc_allocator, json, &info), NBJ_E_PROTO);
        check_is_empty(&info);
        free(json);
    }
}

static nbj_status parse_full(const nbj_allocator *alloc, void *ctx)
{
    nbj__info info;
    nbj_status st = parse(alloc, ctx, &info);

    if (st != NBJ_OK)
        check_is_empty(&info);
    nbj__info_free(alloc, &info);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    char json[sizeof full];
    memcpy(json, full, sizeof full);
    assert_int_equal(alloc_sweep(parse_full, json), 7 + 1 + 3); /* texts, the list, its items */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_connect_urls),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_texts_and_numbers_for_flags),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_texts_are_bounded),
        cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_many_urls),
        cmocka_unit_test(test_depth_of_50000),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
