/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and short texts: base/text.h. */
#include "base/text.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name, *word;
    uint64_t max;
    bool ok;
    uint64_t want;
} numbers[] = {
    { "zero", "0", UINT64_MAX, true, 0 },
    { "one digit", "7", 9, true, 7 },
    { "leading zeros", "00000000000000000000000000000012", UINT64_MAX, true, 12 },
    { "largest", "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
    { "at the maximum", "65535", 65535, true, 65535 },
    { "one above the maximum", "65536", 65535, false, 0 },
    { "ten times the maximum", "655350", 65535, false, 0 },
    { "2^64", "18446744073709551616", UINT64_MAX, false, 0 },
    { "2^64 + 5 must not wrap to 5", "18446744073709551621", UINT64_MAX, false, 0 },
    { "2^65 + 5 must not wrap to 5", "36893488147419103237", UINT64_MAX, false, 0 },
    { "2^32 + 2 must not wrap to 2", "4294967298", UINT32_MAX, false, 0 },
    { "10^40", "10000000000000000000000000000000000000000", UINT64_MAX, false, 0 },
    { "empty", "", UINT64_MAX, false, 0 },
    { "plus", "+5", UINT64_MAX, false, 0 },
    { "minus", "-5", UINT64_MAX, false, 0 },
    { "minus zero", "-0", UINT64_MAX, false, 0 },
    { "blank before", " 5", UINT64_MAX, false, 0 },
    { "blank behind", "5 ", UINT64_MAX, false, 0 },
    { "CR behind", "5\r", UINT64_MAX, false, 0 },
    { "hexadecimal", "0x10", UINT64_MAX, false, 0 },
    { "letter behind", "12a", UINT64_MAX, false, 0 },
    { "fraction", "1.0", UINT64_MAX, false, 0 },
    { "exponent", "1e3", UINT64_MAX, false, 0 },
    { "separator", "1_000", UINT64_MAX, false, 0 },
    { "Arabic-Indic digit", "\xd9\xa3", UINT64_MAX, false, 0 },
};

static void test_parse_u64(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        nbj_bytes word = exact_copy(numbers[i].word);
        uint64_t got = 4711;
        bool ok = nbj__parse_u64(word, numbers[i].max, &got);
        CHECK(numbers[i].name, ok == numbers[i].ok);
        CHECK(numbers[i].name, got == (ok ? numbers[i].want : 4711)); /* written on success only */
        exact_free(word);
    }
}

static void test_parse_u64_takes_no_octet_but_digits(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t octets[2] = { (uint8_t)c, (uint8_t)c };
        uint64_t got = 0;
        bool is_digit = c >= '0' && c <= '9';
        assert_int_equal(nbj__parse_u64(nbj_view(octets, 1), 9, &got), is_digit);
        assert_int_equal(nbj__parse_u64(nbj_view(octets, 2), 99, &got), is_digit);
        assert_int_equal(got, is_digit ? 11 * (c - '0') : 0);
    }
}

static void test_parse_u64_keeps_every_maximum(void **state)
{
    (void)state;
    for (uint64_t max = 9; max < 230; max++) {
        for (uint64_t n = 0; n < 2400; n++) {
            uint8_t digits[20];
            uint64_t got = 0;
            bool ok = nbj__parse_u64(nbj_view(digits, nbj__format_u64(digits, n)), max, &got);
            assert_int_equal(ok, n <= max);
            assert_int_equal(got, ok ? n : 0);
        }
    }
}

static void test_format_u64(void **state)
{
    (void)state;
    uint64_t power = 1;
    for (unsigned digits = 1; digits <= 20; digits++, power *= 10) {
        for (uint64_t n = power - 1; n <= power + 1; n++) {
            uint8_t *out = malloc(20);
            uint64_t back = 0;
            assert_non_null(out);
            size_t len = nbj__format_u64(out, n);
            assert_int_equal(len, n < power && digits > 1 ? digits - 1 : digits);
            assert_true(nbj__parse_u64(nbj_view(out, len), UINT64_MAX, &back));
            assert_true(back == n);
            free(out);
        }
    }
    uint8_t out[20];
    assert_int_equal(nbj__format_u64(out, UINT64_MAX), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
}

static void test_text_is_cut_and_ended(void **state)
{
    (void)state;
    for (size_t cap = 1; cap <= 12; cap++) {
        char *array = malloc(cap);
        assert_non_null(array);
        nbj__text t = nbj__text_into(array, cap);
        nbj__text_add(&t, "abc");
        nbj__text_add_u64(&t, 45);
        nbj__text_add_bytes(&t, nbj_view(NULL, 0));
        nbj__text_add(&t, "defg");
        size_t len = cap - 1 < 9 ? cap - 1 : 9;
        assert_int_equal(nbj__text_view(&t).len, len);
        assert_memory_equal(array, "abc45defg", len);
        assert_int_equal(array[len], '\0');
        assert_int_equal(t.cut, cap < 10);
        nbj__text_add(&t, "");
        assert_int_equal(t.cut, cap < 10); /* it is remembered */
        free(array);
    }
}

static void test_text_of_signed_numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        const char *want;
    } cases[] = {
        { 0, "0" },
        { 1, "1" },
        { -1, "-1" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
        { -10, "-10" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char array[24];
        nbj__text t = nbj__text_into(array, sizeof array);
        nbj__text_add_i64(&t, cases[i].n);
        assert_string_equal(array, cases[i].want);
        assert_false(t.cut);
    }
}

static const struct {
    const char *name, *in, *want;
} cleaned[] = {
    { "plain", "Authorization Violation", "Authorization Violation" },
    { "terminal escape", "\x1b[31mred\x1b]0;title\x07", "?[31mred?]0;title?" },
    { "line ends", "a\r\nb\tc", "a??b?c" },
    { "DEL", "a\x7f", "a?" },
    { "percent is nothing special", "%n%s", "%n%s" },
    { "UTF-8 stays", "\xc3\x80 \xe2\x82\xac \xf0\x9f\x9a\x97", "\xc3\x80 \xe2\x82\xac \xf0\x9f\x9a\x97" },
    { "C1 control as UTF-8",
      "\xc2\x9b"
      "31m",
      "??31m" },
    { "C1 control as one octet",
      "\x9b"
      "31m",
      "?31m" },
    { "no-break space is no control", "\xc2\xa0", "\xc2\xa0" },
    { "half a sequence", "a\xe2\x82", "a??" },
    { "overlong", "\xc0\xaf\xe0\x80\xaf", "?????" },
    { "surrogate", "\xed\xa0\x80", "???" },
    { "beyond Unicode", "\xf4\x90\x80\x80\xf5\xff", "??????" },
};

static void test_text_is_cleaned(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cleaned); i++) {
        char array[64];
        nbj_bytes in = exact_copy(cleaned[i].in);
        nbj__text t = nbj__text_into(array, sizeof array);
        nbj__text_add(&t, "\x1b"); /* what was there before stays as it is */
        nbj__text_add_clean(&t, in);
        CHECK(cleaned[i].name, array[0] == '\x1b' && strcmp(array + 1, cleaned[i].want) == 0);
        exact_free(in);
    }
}

static void test_text_cut_inside_a_sequence_is_still_utf8(void **state)
{
    (void)state;
    char array[4];
    nbj__text t = nbj__text_into(array, sizeof array);
    nbj__text_add_clean(&t, nbj_str("a\xe2\x82\xac"));
    assert_string_equal(array, "a??");
    assert_true(t.cut);
}

/* The encoder is the definition: what it makes of a code point is legal, and nothing else of one to four octets is. */
static size_t encode(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
    out[0] = (uint8_t)((0xf00 >> len) | point);
    return len;
}

static void test_utf8_of_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x120000; point++) {
        uint8_t octets[4];
        size_t len = encode(point, octets);
        bool legal = (point < 0xd800 || point > 0xdfff) && point <= 0x10ffff;
        assert_int_equal(nbj__utf8_len(nbj_view(octets, len)), legal ? len : 0);
        assert_int_equal(nbj__utf8_len(nbj_view(octets, len - 1)), 0); /* half of it is nothing */
    }
}

static void test_utf8_refuses_what_the_encoder_never_makes(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xbf",  "\xc0\x80",  "\xc1\xbf",  "\xe0\x9f\xbf",  "\xf0\x8f\xbf\xbf", "\xf8\x88\x80\x80",
        "\xff", "\xc3(", "\xe2(\xac", "\xe2\x82(", "\xf0\x9f\x9a(", "\xf0\x9f(\x97"
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj_bytes copy = exact_copy(bad[i]);
        CHECK(ts_show(copy.ptr, copy.len), nbj__utf8_len(copy) == 0);
        exact_free(copy);
    }
    assert_int_equal(nbj__utf8_len(nbj_view(NULL, 0)), 0);
}

static void test_error_set(void **state)
{
    (void)state;
    nbj_error e;
    memset(&e, 0xff, sizeof e);
    assert_int_equal(nbj__error_set(&e, NBJ_E_IO, "read ", "10.0.0.1", ": \x1b[2J", (char *)NULL), NBJ_E_IO);
    assert_int_equal(e.status, NBJ_E_IO);
    assert_int_equal(e.code, 0);
    assert_int_equal(e.err_code, 0);
    assert_string_equal(e.text, "read 10.0.0.1: ?[2J");
    for (size_t i = strlen(e.text); i < sizeof e.text; i++)
        assert_int_equal(e.text[i], 0);
    assert_int_equal(nbj__error_set(NULL, NBJ_E_DNS, "x", (char *)NULL), NBJ_E_DNS);
    assert_int_equal(nbj__error_set(&e, NBJ_E_DNS, (char *)NULL), NBJ_E_DNS);
    assert_string_equal(e.text, "");
}

static void test_error_text_is_bounded(void **state)
{
    (void)state;
    nbj_error *e = malloc(sizeof *e);
    char part[400];
    assert_non_null(e);
    memset(part, 'p', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    (void)nbj__error_set(e, NBJ_E_IO, part, part, part, (char *)NULL);
    assert_int_equal(strlen(e->text), sizeof e->text - 1);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_u64),
        cmocka_unit_test(test_parse_u64_takes_no_octet_but_digits),
        cmocka_unit_test(test_parse_u64_keeps_every_maximum),
        cmocka_unit_test(test_format_u64),
        cmocka_unit_test(test_text_is_cut_and_ended),
        cmocka_unit_test(test_text_of_signed_numbers),
        cmocka_unit_test(test_text_is_cleaned),
        cmocka_unit_test(test_text_cut_inside_a_sequence_is_still_utf8),
        cmocka_unit_test(test_utf8_of_every_code_point),
        cmocka_unit_test(test_utf8_refuses_what_the_encoder_never_makes),
        cmocka_unit_test(test_error_set),
        cmocka_unit_test(test_error_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
