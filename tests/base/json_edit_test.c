/* SPDX-License-Identifier: Apache-2.0 */
/* Documents as a whole: base/json_edit.h. */
#include "base/json_edit.h"

#include "support/check.h"
#include "support/malloc_fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj__json *parse(const char *text)
{
    nbj__json *o = NULL;

    CHECK(text, nbj__json_parse(nbj_str(text), &o) == NBJ_OK);
    return o;
}

static void expect(const nbj__json *o, const char *want)
{
    assert_string_equal((const char *)nbj__json_written(o).ptr, want);
    assert_int_equal(nbj__json_written(o).len, strlen(want));
}

/* What is read is written again, to the digit. */
static void test_writing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"a\":null,\"b\":true,\"c\":[1,-2,3.50,1e3,\"x\",{},[]]}",
        "{\"u\":18446744073709551615,\"i\":-9223372036854775808,\"m\":9223372036854775807}",
        "{\"t\":\"a/b>\\\"\\\\\\n\\u0001 \xc3\xa4\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__json *o = parse(texts[i]);
        expect(o, texts[i]);
        nbj__json *copy = nbj__json_copy(o);
        assert_true(nbj__json_equal(o, copy));
        nbj__json_free(o);
        expect(copy, texts[i]);
        nbj__json_free(copy);
    }
    nbj__json *o = parse("{\"subject\":\"a.\\u003e\"}");
    expect(o, "{\"subject\":\"a.>\"}");
    nbj__json_free(o);
}

static void test_looking(void **state)
{
    (void)state;
    nbj__json *o =
        parse("{\"t\":\"x\",\"n\":-5,\"u\":18446744073709551615,\"b\":true,\"a\":[1,null,\"y\"],\"o\":{\"p\":1},"
              "\"z\":null,\"f\":1.5}");
    static const struct {
        const char *name;
        nbj__json_kind kind;
    } members[] = {
        { "t", NBJ__JSON_TEXT },  { "n", NBJ__JSON_INTEGER }, { "u", NBJ__JSON_INTEGER }, { "b", NBJ__JSON_BOOL },
        { "a", NBJ__JSON_ARRAY }, { "o", NBJ__JSON_OBJECT },  { "z", NBJ__JSON_NULL },    { "f", NBJ__JSON_FRACTION },
    };
    nbj__json_member m = { 0 };
    for (size_t i = 0; i < COUNT(members); i++) {
        assert_true(nbj__json_next(o, &m));
        assert_string_equal(m.name, members[i].name);
        assert_int_equal(nbj__json_kind_of(m.value), members[i].kind);
        assert_true(nbj__json_has(o, m.name) && nbj__json_get(o, m.name) == m.value);
    }
    assert_false(nbj__json_next(o, &m));
    assert_int_equal(nbj__json_size(o), COUNT(members));
    assert_false(nbj__json_has(o, "none"));
    assert_null(nbj__json_get(o, "none"));
    assert_true(nbj__json_value_i64(nbj__json_get(o, "n")) == -5 && nbj__json_value_u64(nbj__json_get(o, "n")) == 0);
    assert_true(nbj__json_value_u64(nbj__json_get(o, "u")) == UINT64_MAX);
    assert_true(nbj__json_value_bool(nbj__json_get(o, "b")) && !nbj__json_value_bool(nbj__json_get(o, "n")));
    assert_true(nbj_bytes_equal(nbj__json_value_text(nbj__json_get(o, "t")), nbj_str("x")));

    nbj__json *a = nbj__json_get(o, "a");
    nbj__json *item = nbj__json_take_item(a, 2);
    assert_non_null(item);
    assert_null(nbj__json_item(a, 2));
    assert_int_equal(nbj__json_length(a), 3);
    assert_null(nbj__json_take_item(a, 1));
    assert_null(nbj__json_take_item(a, 3));
    assert_null(nbj__json_take_item(o, 0));
    nbj__json_free(o);
    expect(item, "\"y\"");
    nbj__json_free(item);

    m = (nbj__json_member){ 0 };
    assert_false(nbj__json_next(NULL, &m) || nbj__json_has(NULL, "a") || nbj__json_value_bool(NULL));
    assert_true(nbj__json_get(NULL, "a") == NULL && nbj__json_item(NULL, 0) == NULL && nbj__json_size(NULL) == 0);
    assert_true(nbj__json_value_i64(NULL) == 0 && nbj__json_value_u64(NULL) == 0);
    assert_int_equal(nbj__json_value_text(NULL).len, 0);
    assert_true(nbj__json_equal(NULL, NULL));
    expect(NULL, "null");
}

/* The examples of RFC 7396 whose documents are objects, and more. */
static void test_merge(void **state)
{
    (void)state;
    static const struct {
        const char *object, *patch, *want;
    } cases[] = {
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
        { "{\"a\":5}", "{\"a\":{\"b\":1,\"c\":null}}", "{\"a\":{\"b\":1}}" },
        { "{\"a\":{\"new\":[null]}}", "{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"new\":[null],\"b\":{\"c\":1}}}" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__json *o = parse(cases[i].object), *p = parse(cases[i].patch);
        assert_int_equal(nbj__json_merge(o, p), NBJ_OK);
        expect(o, cases[i].want);
        expect(p, cases[i].patch);
        nbj__json_free(p);
        expect(o, cases[i].want);
        nbj__json_free(o);
    }
    nbj__json *o = nbj__json_new();
    assert_int_equal(nbj__json_put_null(o, "gone"), NBJ_OK);
    expect(o, "{\"gone\":null}");
    nbj__json_free(o);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    if (!ts_malloc_fail_works())
        skip();
    for (size_t n = 0;; n++) {
        nbj__json *o = parse("{\"a\":{\"b\":1}}"),
                  *p = parse("{\"a\":{\"b\":\"two\",\"c\":[1,{\"d\":2}]},\"e\":{\"f\":1}}");
        ts_malloc_fail_arm(n);
        nbj_status st = nbj__json_merge(o, p);
        bool failed = ts_malloc_fail_disarm();
        assert_int_equal(st, failed ? NBJ_E_NOMEM : NBJ_OK);
        nbj__json_free(o);
        nbj__json_free(p);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_looking),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
