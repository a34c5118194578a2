/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that options stand for, and which are refused: js/publish_headers.h. */
#include "js/publish_headers.h"

#include "support/check.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj__js_where server(uint32_t major, uint32_t minor, uint32_t patch)
{
    return (nbj__js_where){ .version = { major, minor, patch } };
}

/* "Name: value | Name: value" of |o| at a server that has everything. */
static const char *lines_of(const nbj_publish_options *o)
{
    static char text[1000];
    nbj__js_where where = server(2, 15, 1);
    nbj__publish_lines lines;
    static nbj_error error;
    size_t at = 0;

    text[0] = '\0';
    if (nbj__publish_lines_make(&lines, o, &where, &error) != NBJ_OK)
        return error.text;
    for (size_t i = 0; i < lines.count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s: %.*s", i > 0 ? " | " : "",
                               NBJ_FMT(lines.items[i].name), NBJ_FMT(lines.items[i].value));
    return text;
}

static void test_each_option(void **state)
{
    (void)state;
    const struct {
        const nbj_publish_options *o;
        const char *want;
    } cases[] = {
        { NBJ_PUBLISH(.expect_stream = "S"), "Nats-Expected-Stream: S" },
        { NBJ_PUBLISH(.expect_last_sequence = 7), "Nats-Expected-Last-Sequence: 7" },
        { NBJ_PUBLISH(.expect_last_sequence = NBJ_EXPECT_NONE_YET), "Nats-Expected-Last-Sequence: 0" },
        { NBJ_PUBLISH(.expect_last_msg_id = "id"), "Nats-Expected-Last-Msg-Id: id" },
        { NBJ_PUBLISH(.expect_subject_sequence = UINT64_MAX - 1),
          "Nats-Expected-Last-Subject-Sequence: 18446744073709551614" },
        { NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET, .expect_subject = "a.>"),
          "Nats-Expected-Last-Subject-Sequence: 0 | Nats-Expected-Last-Subject-Sequence-Subject: a.>" },
        { NBJ_PUBLISH(.rollup = NBJ_ROLLUP_SUBJECT), "Nats-Rollup: sub" },
        { NBJ_PUBLISH(.rollup = NBJ_ROLLUP_ALL), "Nats-Rollup: all" },
        { NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(90)), "Nats-TTL: 90s" },
        { NBJ_PUBLISH(.ttl_ns = NBJ_MILLIS(1500)), "Nats-TTL: 1500000000ns" },
        { NBJ_PUBLISH(.ttl_ns = NBJ_TTL_NEVER), "Nats-TTL: never" },
        { NBJ_PUBLISH(.increment = 5), "Nats-Incr: +5" },
        { NBJ_PUBLISH(.increment = INT64_MIN), "Nats-Incr: -9223372036854775808" },
        { NBJ_PUBLISH(.increment_text = "+0"), "Nats-Incr: +0" },
        { NBJ_PUBLISH(.increment_text = "123456789012345678901234567890"),
          "Nats-Incr: 123456789012345678901234567890" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.at_unix_ns = NBJ_SECONDS(1764000000), .target = "t")),
          "Nats-Schedule: @at 2025-11-24T16:00:00Z | Nats-Schedule-Target: t" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.every_ns = NBJ_MINUTES(5), .target = "t", .source = "s",
                                               .ttl_ns = NBJ_TTL_NEVER, .rollup = NBJ_ROLLUP_SUBJECT)),
          "Nats-Schedule: @every 300s | Nats-Schedule-Target: t | Nats-Schedule-Source: s | Nats-Schedule-TTL: never"
          " | Nats-Schedule-Rollup: sub" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.cron = "0 30 * * * *", .time_zone = "Europe/Berlin", .target = "t")),
          "Nats-Schedule: 0 30 * * * * | Nats-Schedule-Target: t | Nats-Schedule-Time-Zone: Europe/Berlin" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK(cases[i].want, nbj__publish_has_lines(cases[i].o));
        assert_string_equal(lines_of(cases[i].o), cases[i].want);
    }
    assert_false(nbj__publish_has_lines(NBJ_PUBLISH(.msg_id = "x", .timeout_ns = 1, .no_wait = true, .retries = 1)));
    assert_string_equal(lines_of(NBJ_PUBLISH(.retries = 1)), "");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *want;
    } cases[] = {
        { 1, "1970-01-01T00:00:00.000000001Z" },
        { NBJ_SECONDS(951782400), "2000-02-29T00:00:00Z" },
        { NBJ_SECONDS(951868799) + 500000000, "2000-02-29T23:59:59.5Z" },
        { NBJ_SECONDS(951868800), "2000-03-01T00:00:00Z" },
        { NBJ_SECONDS(1709164800), "2024-02-29T00:00:00Z" },
        { NBJ_SECONDS(1735689599), "2024-12-31T23:59:59Z" },
        { NBJ_SECONDS(4107542400), "2100-03-01T00:00:00Z" },
        { NBJ_SECONDS(4107542399), "2100-02-28T23:59:59Z" },
        { UINT64_MAX, "2262-04-11T23:47:16.854775807Z" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[100];
        snprintf(want, sizeof want, "Nats-Schedule: @at %s | Nats-Schedule-Target: t", cases[i].want);
        nbj_schedule s = { .struct_size = sizeof s, .at_unix_ns = cases[i].ns, .target = "t" };
        assert_string_equal(lines_of(NBJ_PUBLISH(.schedule = &s)), want);
    }
}

static void test_refused(void **state)
{
    (void)state;
    const nbj_header own[] = { { nbj_str("A"), nbj_str("1") }, { nbj_str("Nats-TTL"), nbj_str("1") } };
    const struct {
        const nbj_publish_options *o;
        nbj_status status;
        const char *says;
    } cases[] = {
        { NBJ_PUBLISH(.expect_stream = ""), NBJ_E_INVALID, "Nats-Expected-Stream is empty" },
        { NBJ_PUBLISH(.expect_subject = "a"), NBJ_E_INVALID, "expect_subject_sequence" },
        { NBJ_PUBLISH(.expect_subject = "a..b", .expect_subject_sequence = 1), NBJ_E_BAD_SUBJECT, "expect_subject" },
        { NBJ_PUBLISH(.rollup = (nbj_rollup)3), NBJ_E_INVALID, "rollup" },
        { NBJ_PUBLISH(.ttl_ns = NBJ_MILLIS(999)), NBJ_E_INVALID, "at least 1 s" },
        { NBJ_PUBLISH(.ttl_ns = UINT64_MAX - 1), NBJ_E_INVALID, "292 years" },
        { NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1), .headers = own, .header_count = 2), NBJ_E_INVALID,
          "Nats-TTL is given twice" },
        { NBJ_PUBLISH(.increment = 1, .increment_text = "1"), NBJ_E_INVALID, "increment_text" },
        { NBJ_PUBLISH(.increment_text = "+"), NBJ_E_INVALID, "whole number" },
        { NBJ_PUBLISH(.increment_text = "1.5"), NBJ_E_INVALID, "whole number" },
        { NBJ_PUBLISH(.increment_text = ""), NBJ_E_INVALID, "whole number" },
        { NBJ_PUBLISH(.increment_text = "1\r\nA: b"), NBJ_E_INVALID, "whole number" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.every_ns = NBJ_SECONDS(1))), NBJ_E_INVALID, "target" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t")), NBJ_E_INVALID, "one of" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .at_unix_ns = 1, .cron = "@daily")), NBJ_E_INVALID,
          "one of" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .every_ns = NBJ_MILLIS(999))), NBJ_E_INVALID, "1 s" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t.*", .every_ns = NBJ_SECONDS(1))), NBJ_E_BAD_SUBJECT,
          "target" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .source = "s.>", .every_ns = NBJ_SECONDS(1))),
          NBJ_E_BAD_SUBJECT, "source" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .time_zone = "UTC", .every_ns = NBJ_SECONDS(1))),
          NBJ_E_INVALID, "time_zone" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .every_ns = NBJ_SECONDS(1), .rollup = NBJ_ROLLUP_ALL)),
          NBJ_E_INVALID, "rollup" },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.target = "t", .every_ns = NBJ_SECONDS(1), .ttl_ns = 1)), NBJ_E_INVALID,
          "1 s" },
    };
    nbj__js_where where = server(2, 15, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__publish_lines lines;
        nbj_error error = { 0 };
        nbj_status st = nbj__publish_lines_make(&lines, cases[i].o, &where, &error);
        CHECK(error.text, st == cases[i].status && error.status == st && strstr(error.text, cases[i].says) != NULL);
        CHECK(cases[i].says, nbj__publish_lines_make(&lines, cases[i].o, &where, NULL) == st);
    }
}

/* What an older server would ignore. */
static void test_gates(void **state)
{
    (void)state;
    const struct {
        const nbj_publish_options *o;
        nbj__feature feature;
        uint32_t minor; /* of the first that has it */
    } cases[] = {
        { NBJ_PUBLISH(.expect_stream = "S", .expect_last_sequence = 1, .expect_last_msg_id = "x",
                      .expect_subject_sequence = 1, .rollup = NBJ_ROLLUP_ALL),
          NBJ__FEATURE_NONE, 2 },
        { NBJ_PUBLISH(.expect_subject_sequence = 1, .expect_subject = "a"), NBJ__FEATURE_EXPECT_OTHER_SUBJECT, 11 },
        { NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1)), NBJ__FEATURE_MSG_TTL, 11 },
        { NBJ_PUBLISH(.increment = 1), NBJ__FEATURE_COUNTERS, 12 },
        { NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1), .increment = 1), NBJ__FEATURE_COUNTERS, 12 },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "t", .ttl_ns = NBJ_SECONDS(1))),
          NBJ__FEATURE_SCHEDULES, 12 },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.every_ns = NBJ_SECONDS(1), .target = "t")),
          NBJ__FEATURE_SCHEDULE_REPEAT, 14 },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.cron = "@daily", .target = "t")), NBJ__FEATURE_SCHEDULE_REPEAT, 14 },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "t", .source = "s")),
          NBJ__FEATURE_SCHEDULE_REPEAT, 14 },
        { NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "t", .rollup = NBJ_ROLLUP_SUBJECT)),
          NBJ__FEATURE_SCHEDULE_REPEAT, 14 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t minor = 9; minor <= 15; minor++) {
            nbj__js_where where = server(2, minor, 0);
            nbj__publish_lines lines;
            nbj_error error = { 0 };
            nbj_status st = nbj__publish_lines_make(&lines, cases[i].o, &where, &error);
            CHECK(error.text, st == (minor >= cases[i].minor ? NBJ_OK : NBJ_E_UNSUPPORTED));
            CHECK(error.text, st == NBJ_OK || strstr(error.text, "needs nats-server 2.") != NULL);
            CHECK(error.text, st != NBJ_OK || lines.feature == cases[i].feature);
        }
        nbj__js_where unknown = { 0 }; /* not connected: it is looked at again when it is sent */
        nbj__publish_lines lines;
        assert_int_equal(nbj__publish_lines_make(&lines, cases[i].o, &unknown, NULL), NBJ_OK);
        assert_int_equal(lines.feature, cases[i].feature);
    }
}

static void test_all_at_once(void **state)
{
    (void)state;
    nbj__js_where where = server(2, 15, 1);
    nbj__publish_lines lines;
    const nbj_publish_options *o =
        NBJ_PUBLISH(.expect_stream = "S", .expect_last_sequence = UINT64_MAX - 1, .expect_last_msg_id = "x",
                    .expect_subject_sequence = UINT64_MAX - 1, .expect_subject = "a", .rollup = NBJ_ROLLUP_ALL,
                    .ttl_ns = INT64_MAX, .increment = INT64_MIN,
                    .schedule = NBJ_SCHEDULE(.cron = "@daily", .target = "t", .time_zone = "UTC", .source = "s",
                                             .ttl_ns = INT64_MAX, .rollup = NBJ_ROLLUP_SUBJECT));
    assert_int_equal(nbj__publish_lines_make(&lines, o, &where, NULL), NBJ_OK);
    assert_int_equal(lines.count, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_option), cmocka_unit_test(test_times),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_gates),       cmocka_unit_test(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
