/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text: base/rfc3339.h. */
#include "base/rfc3339.h"

#include "support/check.h"

#include <stdio.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND INT64_C(1000000000)

static const struct {
    const char *text;
    int64_t want;
} good[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "1970-01-01T00:00:00.000000001Z", 1 },
    { "1969-12-31T23:59:59.999999999Z", -1 },
    { "1969-12-31T23:59:59Z", -SECOND },
    { "2000-02-29T00:00:00Z", 951782400 * SECOND },
    { "2000-03-01T00:00:00Z", 951868800 * SECOND },
    { "1999-12-31T23:59:59Z", 946684799 * SECOND },
    { "2024-02-29T12:00:00Z", 1709208000 * SECOND },
    { "2100-02-28T00:00:00Z", 4107456000 * SECOND },
    { "2025-11-20T15:04:05.123456789Z", 1763651045 * SECOND + 123456789 },
    { "2025-11-20T15:04:05.5Z", 1763651045 * SECOND + 500000000 },
    { "2025-11-20T15:04:05.000000000Z", 1763651045 * SECOND },
    { "2025-11-20t15:04:05z", 1763651045 * SECOND },
    { "2025-11-20T15:04:05+00:00", 1763651045 * SECOND },
    { "2025-11-20T15:04:05-00:00", 1763651045 * SECOND },
    { "2025-11-20T16:04:05+01:00", 1763651045 * SECOND },
    { "2025-11-20T20:34:05.25+05:30", 1763651045 * SECOND + 250000000 },
    { "2025-11-19T16:05:05-22:59", 1763651045 * SECOND },
    { "2026-01-01T00:30:00+01:00", 1767223800 * SECOND }, /* still the year before in UTC */
    { "2262-04-11T23:47:16.854775807Z", INT64_MAX },
    { "2262-04-11T23:47:16.854775806Z", INT64_MAX - 1 },
    { "1677-09-21T00:12:43.145224192Z", INT64_MIN },
    { "1677-09-21T00:12:43.145224193Z", INT64_MIN + 1 },
    /* outside of the range */
    { "2262-04-11T23:47:16.854775808Z", INT64_MAX },
    { "2262-04-11T23:47:17Z", INT64_MAX },
    { "9999-12-31T23:59:59.999999999-23:59", INT64_MAX },
    { "1677-09-21T00:12:43.145224191Z", INT64_MIN },
    { "1677-09-21T00:12:42.999999999Z", INT64_MIN },
    { "0000-01-01T00:00:00+23:59", INT64_MIN },
    { "0000-02-29T00:00:00Z", INT64_MIN },
    { "0001-01-01T00:00:00.000000001Z", INT64_MIN },
    { "0001-01-01T00:00:01Z", INT64_MIN },
    /* what servers write for "never" */
    { "0001-01-01T00:00:00Z", 0 },
};

static const char *const bad[] = {
    "",
    "2025",
    "2025-11-20",
    "2025-11-20T",
    "2025-11-20T15:04:05",
    "2025-11-20 15:04:05Z",
    "2025-11-20T15:04Z",
    "2025-11-20T15:04:05.Z",
    "2025-11-20T15:04:05.1234567890Z",
    "2025-11-20T15:04:05,5Z",
    "2025-11-20T15:04:05Z ",
    " 2025-11-20T15:04:05Z",
    "2025-11-20T15:04:05ZZ",
    "2025-11-20T15:04:05+1:00",
    "2025-11-20T15:04:05+01",
    "2025-11-20T15:04:05+0100",
    "2025-11-20T15:04:05+24:00",
    "2025-11-20T15:04:05+00:60",
    "2025-11-20T15:04:05+01:000",
    "2025-1-20T15:04:05Z",
    "25-11-20T15:04:05Z",
    "12025-11-20T15:04:05Z",
    "-025-11-20T15:04:05Z",
    "+025-11-20T15:04:05Z",
    "2025-00-20T15:04:05Z",
    "2025-13-20T15:04:05Z",
    "2025-11-00T15:04:05Z",
    "2025-11-31T15:04:05Z",
    "2025-02-29T15:04:05Z",
    "1900-02-29T15:04:05Z",
    "2000-02-30T15:04:05Z",
    "2025-04-31T15:04:05Z",
    "2025-01-32T15:04:05Z",
    "2025-11-20T24:00:00Z",
    "2025-11-20T15:60:05Z",
    "2025-11-20T15:04:60Z",
    "2025-11-20T15:04:-5Z",
    "2025-11-20T1a:04:05Z",
    "2025/11/20T15:04:05Z",
    "Thu, 20 Nov 2025 15:04:05 GMT",
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        nbj_bytes text = exact_copy(good[i].text);
        int64_t got = 4711;
        CHECK(good[i].text, nbj__rfc3339_parse(text, &got));
        CHECK(good[i].text, got == good[i].want);
        exact_free(text);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj_bytes text = exact_copy(bad[i]);
        int64_t got = 4711;
        CHECK(bad[i], !nbj__rfc3339_parse(text, &got));
        CHECK(bad[i], got == 4711); /* written on success only */
        exact_free(text);
    }
}

static void test_parse_refuses_every_beginning(void **state)
{
    static const char whole[] = "2025-11-20T15:04:05.123456789+05:30";

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        nbj_bytes text = exact_bytes(whole, len);
        int64_t got;
        CHECK(whole, !nbj__rfc3339_parse(text, &got));
        exact_free(text);
    }
}

static void test_format(void **state)
{
    static const struct {
        int64_t ns;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00Z" },
        { 1, "1970-01-01T00:00:00.000000001Z" },
        { -1, "1969-12-31T23:59:59.999999999Z" },
        { -SECOND, "1969-12-31T23:59:59Z" },
        { 1763651045 * SECOND + 500000000, "2025-11-20T15:04:05.5Z" },
        { 1763651045 * SECOND + 120, "2025-11-20T15:04:05.00000012Z" },
        { 951782400 * SECOND, "2000-02-29T00:00:00Z" },
        { INT64_MAX, "2262-04-11T23:47:16.854775807Z" },
        { INT64_MIN, "1677-09-21T00:12:43.145224192Z" },
    };
    char out[NBJ__RFC3339_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes text = nbj__rfc3339_format(out, cases[i].ns);
        CHECK(cases[i].want, nbj_bytes_equal(text, nbj_str(cases[i].want)));
        assert_string_equal(out, cases[i].want);
    }
}

/* Every day of the range against the C library's calendar. */
static void test_every_day(void **state)
{
    char out[NBJ__RFC3339_SIZE];
    char want[64];
    int64_t back = 0;

    (void)state;
    for (int64_t day = -106751; day <= 106751; day++) {
        time_t seconds = (time_t)(day * 86400 + 3661);
        struct tm tm;
        tm = *gmtime(&seconds);
        snprintf(want, sizeof want, "%04d-%02d-%02dT01:01:01Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        nbj_bytes text = nbj__rfc3339_format(out, (int64_t)seconds * SECOND);
        CHECK(want, nbj_bytes_equal(text, nbj_str(want)));
        CHECK(want, nbj__rfc3339_parse(text, &back) && back == (int64_t)seconds * SECOND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_refuses_every_beginning),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
