/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON: base/json_read.h. */
#include "base/json_read.h"

#include "support/check.h"
#include "support/malloc_fail.h"

#include <json-c/json_c_version.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define B(text) text, sizeof(text) - 1 /* with the NULs in it */

/* Parses an exact copy, which is gone before the result is looked at. */
static nbj_status parse(const void *text, size_t len, nbj__json **out)
{
    nbj_bytes copy = exact_bytes(text, len);
    nbj_status st = nbj__json_parse(copy, out);

    exact_free(copy);
    return st;
}

static nbj__json *must_parse(const char *text)
{
    nbj__json *o = NULL;

    CHECK(text, parse(text, strlen(text), &o) == NBJ_OK);
    CHECK(text, o != NULL);
    return o;
}

static const struct {
    const char *text;
    size_t len;
} good[] = {
    { B("{}") },
    { B("  {}") },
    { B("{} \r\n\t ") },
    { B("\r\n{ \"a\" : [ ] }\r\n") },
    { B("{\"a\":null}") },
    { B("{\"a\":{\"b\":{\"c\":[1,-2,3.5,\"x\",true,false,null,{}]}}}") },
    { B("{\"\":1}") },
    { B("{\"a\":1,\"a\":2}") },
    { B("{\"a\":\"\\u0000\\ud83d\\ude97\\/\\b\\f\\n\\r\\t\\\"\\\\\"}") },
    { B("{\"a\":\"\xff\xfe\"}") },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        nbj__json *o = NULL;
        CHECK(good[i].text, parse(good[i].text, good[i].len, &o) == NBJ_OK);
        CHECK(good[i].text, o != NULL);
        nbj__json_free(o);
    }
}

static const struct {
    const char *name, *text;
    size_t len;
} bad[] = {
    { "empty", B("") },
    { "blank", B(" \r\n") },
    { "array", B("[]") },
    { "text", B("\"x\"") },
    { "number", B("1") },
    { "null", B("null") },
    { "no end", B("{") },
    { "no end of a text", B("{\"a\":\"b") },
    { "no end inside an escape", B("{\"a\":\"\\u12") },
    { "one brace too many", B("{}}") },
    { "second object", B("{}{}") },
    { "something behind", B("{} x") },
    { "NUL behind", B("{}\0") },
    { "NUL and more behind", B("{}\0{}") },
    { "NUL in a text", B("{\"a\":\"\0\"}") },
    { "NUL first", B("\0{}") },
    { "byte order mark", B("\xef\xbb\xbf{}") },
    { "comment", B("{/**/\"a\":1}") },
    { "trailing comma", B("{\"a\":1,}") },
    { "trailing comma in an array", B("{\"a\":[1,]}") },
    { "literal in capitals", B("{\"a\":TRUE}") },
    { "no colon", B("{\"a\" 1}") },
    { "name without quotes", B("{a:1}") },
    { "bad escape", B("{\"a\":\"\\x\"}") },
    { "leading zero", B("{\"a\":01}") },
    { "plus", B("{\"a\":+1}") },
    { "lone minus", B("{\"a\":-}") },
    { "no comma", B("{\"a\":1 \"b\":2}") },
    { "octet above ASCII outside of a text", B("{\xc3\xa9}") },
    { "octet above ASCII behind", B("{} \xff") },
    { "comment after such an octet", B("{\"a\":\"\xc3\xa9\"/**/}") },
    { "trailing comma after such an octet", B("{\"a\":\"\xff\",}") },
    { "literal in capitals after such an octet", B("{\"a\":\"\xc3\xa9\",\"b\":TRUE}") },
    { "not JSON at all", B("HTTP/1.1 400 Bad Request\r\n") },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__json *o = (nbj__json *)(uintptr_t)1;
        CHECK(bad[i].name, parse(bad[i].text, bad[i].len, &o) == NBJ_E_PROTO);
        CHECK(bad[i].name, o == NULL);
    }
    nbj__json *o = NULL;
    assert_int_equal(nbj__json_parse(nbj_view(NULL, 0), &o), NBJ_E_PROTO);
}

/* Each proper prefix of a document is refused: none is taken for the whole. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,{\"b\":\"\\ud83d\\ude97\xc3\xa9\"}],\"c\":12.5e3,\"d\":true}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        nbj__json *o = NULL;
        assert_int_equal(parse(text, len, &o), NBJ_E_PROTO);
    }
}

static const struct {
    const char *json;
    uint64_t u64;
    int64_t i64;
} numbers[] = {
    { "{\"n\":0}", 0, 0 },
    { "{\"n\":-0}", 0, 0 },
    { "{\"n\":1048576}", 1048576, 1048576 },
    { "{\"n\":9007199254740993}", 9007199254740993u, 9007199254740993 }, /* 2^53 + 1: no double was in between */
    { "{\"n\":9223372036854775807}", INT64_MAX, INT64_MAX },
    { "{\"n\":9223372036854775808}", (uint64_t)INT64_MAX + 1, INT64_MAX },
    { "{\"n\":18446744073709551615}", UINT64_MAX, INT64_MAX },
    { "{\"n\":-1}", 0, -1 },
    { "{\"n\":-9223372036854775808}", 0, INT64_MIN },
    { "{}", 0, 0 },
    { "{\"n\":null}", 0, 0 },
    { "{\"n\":\"12\"}", 0, 0 },
    { "{\"n\":1.0}", 0, 0 },
    { "{\"n\":1e3}", 0, 0 },
    { "{\"n\":true}", 0, 0 },
    { "{\"n\":[1]}", 0, 0 },
    { "{\"N\":1}", 0, 0 },
};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        nbj__json *o = must_parse(numbers[i].json);
        CHECK(numbers[i].json, nbj__json_u64(o, "n") == numbers[i].u64);
        CHECK(numbers[i].json, nbj__json_i64(o, "n") == numbers[i].i64);
        nbj__json_free(o);
    }
}

/* The nearest number, or (newer versions of json-c) no document; never a small number. */
static void test_numbers_out_of_range_do_not_wrap(void **state)
{
    (void)state;
    static const char *const huge[] = { "{\"n\":18446744073709551616}", "{\"n\":18446744073709551621}",
                                        "{\"n\":36893488147419103237}",
                                        "{\"n\":100000000000000000000000000000000000000000000000000000000000000000}" };
    nbj__json *o = NULL;
    for (size_t i = 0; i < COUNT(huge); i++) {
        nbj_status st = parse(huge[i], strlen(huge[i]), &o);
        CHECK(huge[i], st == NBJ_E_PROTO || nbj__json_u64(o, "n") == UINT64_MAX);
        CHECK(huge[i], st == NBJ_E_PROTO || nbj__json_i64(o, "n") == INT64_MAX);
        nbj__json_free(o);
    }
    nbj_status st = parse(B("{\"n\":-9223372036854775809}"), &o);
    assert_true(st == NBJ_E_PROTO || nbj__json_i64(o, "n") == INT64_MIN);
    assert_true(st == NBJ_E_PROTO || nbj__json_u64(o, "n") == 0);
    nbj__json_free(o);
}

static void test_members_by_type(void **state)
{
    (void)state;
    nbj__json *o =
        must_parse("{\"t\":\"text\",\"e\":\"\",\"b\":true,\"f\":false,\"o\":{\"x\":1},\"a\":[\"p\",2,\"\"],\"n\":3}");
    static const struct {
        const char *key, *text;
        bool is_true, is_object, is_array;
    } cases[] = {
        { "t", "text", false, false, false }, { "e", "", false, false, false }, { "b", "", true, false, false },
        { "f", "", false, false, false },     { "o", "", false, true, false },  { "a", "", false, false, true },
        { "n", "", false, false, false },     { "z", "", false, false, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK(cases[i].key, nbj_bytes_equal(nbj__json_text(o, cases[i].key), nbj_str(cases[i].text)));
        CHECK(cases[i].key, nbj__json_bool(o, cases[i].key) == cases[i].is_true);
        CHECK(cases[i].key, nbj__json_has_bool(o, cases[i].key) == (cases[i].key[0] == 'b' || cases[i].key[0] == 'f'));
        CHECK(cases[i].key, (nbj__json_object(o, cases[i].key) != NULL) == cases[i].is_object);
        CHECK(cases[i].key, (nbj__json_array(o, cases[i].key) != NULL) == cases[i].is_array);
    }
    nbj__json *a = nbj__json_array(o, "a");
    assert_int_equal(nbj__json_length(a), 3);
    assert_true(nbj_bytes_equal(nbj__json_item_text(a, 0), nbj_str("p")));
    assert_int_equal(nbj__json_item_text(a, 1).len, 0);
    assert_int_equal(nbj__json_item_text(a, 3).len, 0);
    assert_int_equal(nbj__json_u64(nbj__json_object(o, "o"), "x"), 1);
    nbj__json_free(o);
}

static void test_members_of_nothing(void **state)
{
    (void)state;
    assert_null(nbj__json_object(NULL, "a"));
    assert_null(nbj__json_array(NULL, "a"));
    assert_int_equal(nbj__json_length(NULL), 0);
    assert_int_equal(nbj__json_text(NULL, "a").len, 0);
    assert_false(nbj__json_bool(NULL, "a"));
    assert_false(nbj__json_has_bool(NULL, "a"));
    assert_int_equal(nbj__json_u64(NULL, "a"), 0);
    assert_int_equal(nbj__json_i64(NULL, "a"), 0);
    nbj__json_free(NULL);
}

static const struct {
    const char *name, *json, *want;
    size_t len;
} texts[] = {
    { "escapes", "{\"t\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", B("\"\\/\b\f\n\r\t") },
    { "NUL by escape", "{\"t\":\"a\\u0000b\"}", B("a\0b") },
    { "code points of one to three octets", "{\"t\":\"\\u0041\\u00e9\\u20ac\"}", B("A\xc3\xa9\xe2\x82\xac") },
    { "surrogate pair", "{\"t\":\"\\ud83d\\ude97\"}", B("\xf0\x9f\x9a\x97") },
    { "lone high surrogate", "{\"t\":\"\\ud800\"}", B("\xef\xbf\xbd") },
    { "lone low surrogate", "{\"t\":\"\\udc00x\"}", B("\xef\xbf\xbdx") },
    { "surrogates in wrong order", "{\"t\":\"\\udc00\\ud800\"}", B("\xef\xbf\xbd\xef\xbf\xbd") },
    { "high surrogate, then text", "{\"t\":\"\\ud83dA\"}",
      B("\xef\xbf\xbd"
        "A") },
    { "UTF-8", "{\"t\":\"\xc3\xa9 \xe2\x82\xac\xf0\x9f\x9a\x97!\"}", B("\xc3\xa9 \xe2\x82\xac\xf0\x9f\x9a\x97!") },
    { "UTF-8 among escapes", "{\"t\":\"\xc3\xa9\\u00e9\xc3\xa9\\n\\\"\xc3\xa9\"}",
      B("\xc3\xa9\xc3\xa9\xc3\xa9\n\"\xc3\xa9") },
    { "high surrogate, then UTF-8", "{\"t\":\"\\ud83d\xc3\xa9\"}", B("\xef\xbf\xbd\xc3\xa9") },
    { "UTF-8 in another name", "{\"\xc3\xa9\":\"x\",\"t\":\"y\"}", B("y") },
    { "not UTF-8", "{\"t\":\"\x80\xff\xc3\"}", B("\x80\xff\xc3") },
    { "the last of two", "{\"t\":\"first\",\"t\":\"second\"}", B("second") },
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__json *o = must_parse(texts[i].json);
        CHECK(texts[i].name, nbj_bytes_equal(nbj__json_text(o, "t"), nbj_view(texts[i].want, texts[i].len)));
        nbj__json_free(o);
    }
}

/* |depth| brackets of a kind around nothing, closed again when |closed|. */
static nbj_status parse_nested(const char *open, const char *close, size_t depth, bool closed)
{
    size_t unit = strlen(open);
    size_t len = depth * unit + (closed ? 1 + depth * strlen(close) : 0);
    char *text = malloc(len + 1);
    nbj__json *o = NULL;

    assert_non_null(text);
    for (size_t i = 0; i < depth; i++)
        memcpy(text + i * unit, open, unit);
    if (closed) {
        text[depth * unit] = '1';
        memset(text + depth * unit + 1, close[0], depth);
    }
    nbj_status st = parse(text, len, &o);
    nbj__json_free(o);
    free(text);
    return st;
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    static const size_t depths[] = { NBJ__JSON_DEPTH_MAX + 1, 1000, 50000, 1000000 };
    assert_int_equal(parse_nested("{\"a\":", "}", NBJ__JSON_DEPTH_MAX - 1, true), NBJ_OK);
    for (size_t i = 0; i < COUNT(depths); i++) {
        assert_int_equal(parse_nested("{\"a\":", "}", depths[i], true), NBJ_E_PROTO);
        assert_int_equal(parse_nested("{\"a\":", "}", depths[i], false), NBJ_E_PROTO);
        assert_int_equal(parse_nested("[", "]", depths[i], true), NBJ_E_PROTO);
    }
}

/* Deep inside an object: an array bomb that begins as an object has to. */
static void test_depth_of_arrays_is_bounded(void **state)
{
    (void)state;
    enum { DEPTH = 50000 };
    char *text = malloc(DEPTH + 5);
    nbj__json *o = NULL;
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEPTH);
    assert_int_equal(parse(text, DEPTH + 5, &o), NBJ_E_PROTO);
    free(text);
}

static void test_large_document(void **state)
{
    (void)state;
    enum { MEMBERS = 50000, WIDTH = 19 };
    char *text = malloc((size_t)MEMBERS * WIDTH + 2);
    size_t len = 0;
    nbj__json *o = NULL;
    assert_non_null(text);
    text[len++] = '{';
    for (size_t i = 0; i < MEMBERS; i++) {
        char number[6];
        for (size_t d = 0, n = i; d < 6; d++, n /= 10)
            number[5 - d] = (char)('0' + n % 10);
        memcpy(text + len, i > 0 ? ",\"" : "\"", i > 0 ? 2 : 1);
        len += i > 0 ? 2 : 1;
        memcpy(text + len, number, 6);
        memcpy(text + len + 6, "\":\"v\"", 5);
        len += 11;
    }
    text[len++] = '}';
    assert_int_equal(parse(text, len, &o), NBJ_OK);
    assert_true(nbj_bytes_equal(nbj__json_text(o, "049999"), nbj_str("v")));
    nbj__json_free(o);
    free(text);
}

static void test_no_memory_for_the_tokener(void **state)
{
    (void)state;
    if (!ts_malloc_fail_works()) {
        print_message("a sanitizer has its own malloc\n");
        skip();
    }
    nbj__json *o = NULL;
    ts_malloc_fail_arm(0);
    nbj_status st = nbj__json_parse(nbj_str("{}"), &o);
    assert_true(ts_malloc_fail_disarm());
    assert_int_equal(st, NBJ_E_NOMEM);
    assert_null(o);
}

/* Whichever allocation behind the tokener's is refused: the document is read all the same, or there is no memory. */
static void test_no_memory_for_the_document(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,{\"b\":\"twice the thirty-two octets that json-c has room for\"}],"
                               "\"c\":2.5,\"d\":\"\xc3\xa9\"}";
    bool refused = true;
    size_t failures = 0;
    if (!ts_malloc_fail_works() || json_c_version_num() < (18 << 8)) {
        print_message("json-c %s does not survive each refusal, or a sanitizer has its own malloc\n", json_c_version());
        skip();
    }
    for (size_t n = 0; refused; n++) {
        nbj__json *o = NULL;
        ts_malloc_fail_arm(n);
        nbj_status st = nbj__json_parse(nbj_str(text), &o);
        refused = ts_malloc_fail_disarm();
        failures += st != NBJ_OK;
        assert_true(st == NBJ_OK || (refused && st == NBJ_E_NOMEM));
        assert_true(st == NBJ_OK ? nbj_bytes_equal(nbj__json_text(o, "d"), nbj_str("\xc3\xa9")) : o == NULL);
        nbj__json_free(o);
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_out_of_range_do_not_wrap),
        cmocka_unit_test(test_members_by_type),
        cmocka_unit_test(test_members_of_nothing),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_depth_of_arrays_is_bounded),
        cmocka_unit_test(test_large_document),
        cmocka_unit_test(test_no_memory_for_the_tokener),
        cmocka_unit_test(test_no_memory_for_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
