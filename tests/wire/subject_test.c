/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects, queue groups and names: wire/subject.h. */
#include "wire/subject.h"

#include "base/random.h"
#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct {
    const char *name;
    nbj_bytes text;
    bool literal, filter, queue, stream; /* legal as */
} rows[] = {
    { "one token", V("a"), true, true, true, true },
    { "tokens", V("ride.pickup.2026"), true, true, true, false },
    { "reserved ones", V("$JS.API.INFO"), true, true, true, false },
    { "inbox", V("_INBOX.x-y_z.7"), true, true, true, false },
    { "UTF-8", V("caf\xc3\xa9.\xe2\x82\xac.\xf0\x9f\x9a\x97"), true, true, true, false },
    { "UTF-8 in one token", V("caf\xc3\xa9"), true, true, true, true },
    { "star", V("*"), false, true, true, false },
    { "rest", V(">"), false, true, true, false },
    { "stars and rest", V("*.a.*.>"), false, true, true, false },
    { "star last", V("a.*"), false, true, true, false },
    { "star inside a token is a letter", V("a*b.*c.d*"), true, true, true, false },
    { "two stars are letters", V("**"), true, true, true, false },
    { "rest inside a token is a letter", V("a>.>b"), true, true, true, false },
    { "rest not last", V("a.>.b"), false, false, true, false },
    { "rest first of two", V(">.a"), false, false, true, false },
    { "two rests", V(">.>"), false, false, true, false },
    { "empty", V(""), false, false, false, false },
    { "dot alone", V("."), false, false, true, false },
    { "dot first", V(".a"), false, false, true, false },
    { "dot last", V("a."), false, false, true, false },
    { "two dots", V("a..b"), false, false, true, false },
    { "blank", V("a b"), false, false, false, false },
    { "blank first", V(" a"), false, false, false, false },
    { "blank last", V("a "), false, false, false, false },
    { "blank alone", V(" "), false, false, false, false },
    { "tab", V("a\tb"), false, false, false, false },
    { "CR", V("a\r"), false, false, false, false },
    { "LF", V("a\nb"), false, false, false, false },
    { "operation smuggled in", V("a 0\r\n\r\nPUB b"), false, false, false, false },
    { "NUL", V("a\0b"), false, false, false, false },
    { "NUL last", V("a\0"), false, false, false, false },
    { "control character", V("a\x01"), false, false, false, false },
    { "DEL", V("a\x7f"), false, false, false, false },
    { "not UTF-8", V("caf\xe9"), false, false, false, false },
    { "UTF-8 cut", V("a\xe2\x82"), false, false, false, false },
    { "UTF-8 cut by a dot", V("a\xe2\x82.b"), false, false, false, false },
    { "UTF-8 overlong dot",
      V("a\xc0\xae"
        "b"),
      false, false, false, false },
    { "UTF-8 surrogate", V("a\xed\xa0\x80"), false, false, false, false },
    { "slash", V("a/b"), true, true, true, false },
    { "backslash", V("a\\b"), true, true, true, false },
    { "quotes", V("a\"b'c"), true, true, true, true },
};

static void test_legality(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nbj_bytes text = exact_bytes(rows[i].text.ptr, rows[i].text.len);
        CHECK(rows[i].name, nbj__subject_is_literal(text) == rows[i].literal);
        CHECK(rows[i].name, nbj__subject_is_filter(text) == rows[i].filter);
        CHECK(rows[i].name, nbj__queue_is_legal(text) == rows[i].queue);
        CHECK(rows[i].name, nbj__name_is_legal(text) == rows[i].stream);
        exact_free(text);
    }
    nbj_bytes none = nbj_view(NULL, 0);
    assert_false(nbj__subject_is_literal(none) || nbj__subject_is_filter(none) || nbj__queue_is_legal(none) ||
                 nbj__name_is_legal(none));
}

static void test_every_octet(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t octets[3] = { 'a', (uint8_t)c, 'b' };
        nbj_bytes text = nbj_view(octets, 3);
        bool plain = c > 0x20 && c < 0x7f;
        assert_int_equal(nbj__subject_is_literal(text), plain);
        assert_int_equal(nbj__queue_is_legal(text), plain);
        assert_int_equal(nbj__name_is_legal(text), plain && strchr(".*>/\\", (int)c) == NULL);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    char *text = malloc(NBJ__SUBJECT_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', NBJ__SUBJECT_MAX + 1);
    assert_true(nbj__subject_is_literal(nbj_view(text, NBJ__SUBJECT_MAX)));
    assert_true(nbj__subject_is_filter(nbj_view(text, NBJ__SUBJECT_MAX)));
    assert_true(nbj__queue_is_legal(nbj_view(text, NBJ__SUBJECT_MAX)));
    assert_false(nbj__subject_is_literal(nbj_view(text, NBJ__SUBJECT_MAX + 1)));
    assert_false(nbj__subject_is_filter(nbj_view(text, NBJ__SUBJECT_MAX + 1)));
    assert_false(nbj__queue_is_legal(nbj_view(text, NBJ__SUBJECT_MAX + 1)));
    assert_true(nbj__name_is_legal(nbj_view(text, 255)));
    assert_false(nbj__name_is_legal(nbj_view(text, 256)));
    free(text);
}

static const struct {
    const char *filter, *subject;
    bool matches;
} matches[] = {
    { "a", "a", true },          { "a", "b", false },        { "a", "A", false },
    { "a", "aa", false },        { "aa", "a", false },       { "a.b", "a.b", true },
    { "a.b", "a.bb", false },    { "a.b", "a", false },      { "a", "a.b", false },
    { "*", "a", true },          { "*", "a.b", false },      { "a.*", "a.b", true },
    { "a.*", "a", false },       { "a.*", "a.b.c", false },  { "*.b", "a.b", true },
    { "*.*", "a.b", true },      { "*.*", "a", false },      { "a.*.c", "a.b.c", true },
    { "a.*.c", "a.b.d", false }, { ">", "a", true },         { ">", "a.b.c", true },
    { "a.>", "a.b", true },      { "a.>", "a.b.c.d", true }, { "a.>", "a", false },
    { "a.>", "b.a", false },     { "*.>", "a.b", true },     { "*.>", "a", false },
    { "a.*.>", "a.b.c", true },  { "a.*.>", "a.b", false },  { "a*", "ab", false },
    { "a*", "a*", true },        { "a>", "a>", true },       { "a.>", "a.>b", true },
    { "a.**", "a.**", true },    { "a.**", "a.bb", false },  { "foo.*.baz", "foo.bar.baz", true },
};

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(matches); i++) {
        nbj_bytes filter = exact_copy(matches[i].filter);
        nbj_bytes subject = exact_copy(matches[i].subject);
        CHECK(matches[i].filter, nbj__subject_matches(filter, subject) == matches[i].matches);
        exact_free(filter);
        exact_free(subject);
    }
    assert_false(nbj__subject_matches(nbj_view(NULL, 0), nbj_str("a")));
    assert_false(nbj__subject_matches(nbj_str(">"), nbj_view(NULL, 0)));
}

/* One to five tokens; of a filter some are wildcards. */
static size_t random_subject(nbj__random *r, bool filter, char *out)
{
    size_t len = 0;
    size_t tokens = (size_t)nbj__random_below(r, 5) + 1;

    for (size_t i = 0; i < tokens; i++) {
        uint64_t kind = filter ? nbj__random_below(r, 4) : 3;
        if (i > 0)
            out[len++] = '.';
        if (kind == 0 && i == tokens - 1)
            out[len++] = '>';
        else if (kind <= 1)
            out[len++] = '*';
        else
            out[len++] = (char)('a' + (char)nbj__random_below(r, 2));
    }
    return len;
}

/* The obvious version: token by token, by recursion. */
static bool covers(const char *f, const char *f_end, const char *s, const char *s_end)
{
    const char *f_dot = memchr(f, '.', (size_t)(f_end - f));
    const char *s_dot = memchr(s, '.', (size_t)(s_end - s));
    size_t f_len = (size_t)((f_dot != NULL ? f_dot : f_end) - f);
    size_t s_len = (size_t)((s_dot != NULL ? s_dot : s_end) - s);

    if (f_len == 1 && *f == '>')
        return true;
    if (!(f_len == 1 && *f == '*') && (f_len != s_len || memcmp(f, s, f_len) != 0))
        return false;
    if (f_dot == NULL || s_dot == NULL)
        return f_dot == NULL && s_dot == NULL;
    return covers(f_dot + 1, f_end, s_dot + 1, s_end);
}

static void test_matches_against_a_model(void **state)
{
    (void)state;
    nbj__random r = { 1 };
    size_t yes = 0;
    for (int i = 0; i < 100000; i++) {
        char f[16], s[16];
        size_t f_len = random_subject(&r, true, f);
        size_t s_len = random_subject(&r, false, s);
        bool want = covers(f, f + f_len, s, s + s_len);
        assert_true(nbj__subject_is_filter(nbj_view(f, f_len)));
        assert_true(nbj__subject_is_literal(nbj_view(s, s_len)));
        assert_int_equal(nbj__subject_matches(nbj_view(f, f_len), nbj_view(s, s_len)), want);
        yes += want;
    }
    assert_in_range(yes, 5000, 95000); /* both answers occurred */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legality),
        cmocka_unit_test(test_every_octet),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_matches_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
