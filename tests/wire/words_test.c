/* SPDX-License-Identifier: Apache-2.0 */
/* Words and blanks: wire/words.h. */
#include "wire/words.h"

#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *line;
    size_t max, count;
    const char *word[4];
} splits[] = {
    { "", 4, 0, { NULL } },
    { " \t ", 4, 0, { NULL } },
    { "a", 4, 1, { "a" } },
    { "a b", 4, 2, { "a", "b" } },
    { "  a\t \tbc  d\t", 4, 3, { "a", "bc", "d" } },
    { "a b c d", 4, 4, { "a", "b", "c", "d" } },
    { "a b c d e f", 4, 4, { "a", "b", "c", "d" } },
    { "a b c", 2, 2, { "a", "b" } },
    { "a\rb\nc", 4, 1, { "a\rb\nc" } }, /* only blanks and tabs part words */
    { "a", 0, 0, { NULL } },
};

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(splits); i++) {
        nbj_bytes word[4];
        nbj_bytes line = exact_copy(splits[i].line);
        CHECK(splits[i].line, nbj__split_blanks(line, word, splits[i].max) == splits[i].count);
        for (size_t w = 0; w < splits[i].count; w++)
            CHECK(splits[i].line, nbj_bytes_equal(word[w], nbj_str(splits[i].word[w])));
        exact_free(line);
    }
}

static void test_trim(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },     { " ", "" },     { "\t \r", "" },          { "a", "a" },
        { " a", "a" },  { "a \r", "a" }, { "\t a b\t\r ", "a b" }, { "\ra", "\ra" }, /* a CR only ends */
        { "\n", "\n" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes in = exact_copy(cases[i].in);
        CHECK(cases[i].in, nbj_bytes_equal(nbj__trim(in), nbj_str(cases[i].want)));
        exact_free(in);
    }
    assert_int_equal(nbj__trim(nbj_view(NULL, 0)).len, 0);
}

static void test_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *text, *prefix;
        bool want;
    } cases[] = {
        { "", "", true },
        { "x", "", true },
        { "", "x", false },
        { "NATS://a", "nats://", true },
        { "nats:/", "nats://", false },
        { "Stale", "sTALE", true },
        { "@[`{", "@[`{", true },
        { "@", "`", false },
        { "[", "{", false },
        { "\xc3", "\xe3", false }, /* only ASCII has cases here */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes text = exact_copy(cases[i].text);
        CHECK(cases[i].prefix, nbj__starts_with_nocase(text, cases[i].prefix) == cases[i].want);
        exact_free(text);
    }
}

static void test_upper_and_blank(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        assert_int_equal(nbj__upper((uint8_t)c), c >= 'a' && c <= 'z' ? c - 32 : c);
        assert_int_equal(nbj__is_blank((uint8_t)c), c == ' ' || c == '\t');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_upper_and_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
