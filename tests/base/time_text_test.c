/* SPDX-License-Identifier: Apache-2.0 */
/* Times as texts: base/time_text.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/time_text.h"

#include "support/check.h"

#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S INT64_C(1000000000)

static bool parse(const char *text, int64_t *ns)
{
    nbj_bytes copy = exact_copy(text);
    bool ok = nbj__time_text_parse(copy, ns);

    exact_free(copy);
    return ok;
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.000000001Z", 1 },
        { "1969-12-31T23:59:59.999999999Z", -1 },
        { "2026-11-23T07:31:19.507614601Z", 1795419079 * S + 507614601 },
        { "2026-01-02T03:04:05.12Z", 1767323045 * S + 120000000 },
        { "2026-01-02T04:04:05.12+01:00", 1767323045 * S + 120000000 },
        { "2026-01-01T21:34:05-05:30", 1767323045 * S },
        { "2026-01-02t03:04:05z", 1767323045 * S },
        { "2024-02-29T00:00:00Z", 1709164800 * S },
        { "2000-02-29T00:00:00Z", 951782400 * S },
        { "2016-12-31T23:59:60Z", 1483228800 * S },
        { "1678-01-01T00:00:00Z", -9214560000 * S },
        { "2261-12-31T23:59:59.9999999999999Z", 9214646399 * S + 999999999 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = 5;
        CHECK(cases[i].text, parse(cases[i].text, &ns));
        CHECK(cases[i].text, ns == cases[i].ns);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "now",
        "0001-01-01T00:00:00Z", /* Go's zero */
        "1677-12-31T23:59:59Z",
        "2262-01-01T00:00:00Z",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2100-02-29T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.5",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05*01:00",
        "+026-01-02T03:04:05Z",
        "2026-1-02T03:04:05Z",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns;
        CHECK(cases[i], !parse(cases[i], &ns));
    }
}

/* Against libc, and there and back again. */
static void test_format(void **state)
{
    (void)state;
    char out[NBJ__TIME_TEXT_MAX], want[40];
    int64_t back;
    nbj__time_text_format(out, 1767323045 * S + 120000000);
    assert_string_equal(out, "2026-01-02T03:04:05.120000000Z");
    nbj__time_text_format(out, -1);
    assert_string_equal(out, "1969-12-31T23:59:59.999999999Z");
    nbj__time_text_format(out, INT64_MAX);
    assert_string_equal(out, "2262-04-11T23:47:16.854775807Z");
    nbj__time_text_format(out, INT64_MIN);
    assert_string_equal(out, "1677-09-21T00:12:43.145224192Z");
    for (int64_t t = -9214560000; t < 9214646400; t += 86400 * 3 + 12345) {
        time_t when = (time_t)t;
        struct tm tm;
        assert_non_null(gmtime_r(&when, &tm));
        assert_true(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
        nbj__time_text_format(out, t * S);
        assert_string_equal(out, want);
        assert_true(nbj__time_text_parse(nbj_str(out), &back) && back == t * S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
