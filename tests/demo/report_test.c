/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts tell the supervisor, and how rates are measured (report.h, count.h). */
#define _GNU_SOURCE
#include "report.h"

#include "count.h"
#include "support/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_progress(void *user, uint64_t events)
{
    snprintf((char *)user + strlen(user), 64, "progress %" PRIu64 ";", events);
}

static void on_rate(void *user, uint64_t nanoseconds, uint64_t events, const char *what)
{
    snprintf((char *)user + strlen(user), 128, "rate %" PRIu64 " %" PRIu64 " %s;", nanoseconds, events, what);
}

static void on_note(void *user, const char *text)
{
    snprintf((char *)user + strlen(user), REPORT_LINE_MAX + 16, "note %s;", text);
}

/* Lines arrive in any pieces; what is not understood is shown as it is. */
static void test_reading(void **state)
{
    static const char said[] =
        "progress 12\nrate 5000 7 published, one at a time\nnote hello there\nwhat?\n\nprogress x\n";
    char story[2048] = "";
    const report_sink sink = { on_progress, on_rate, on_note, story };
    report_reader reader = { 0 };
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    for (size_t i = 0; i < sizeof said - 1; i++) {
        assert_int_equal(write(ends[1], said + i, 1), 1);
        assert_true(report_read(&reader, ends[0], &sink));
    }
    assert_true(report_read(&reader, ends[0], &sink)); /* nothing there, but not the end */
    close(ends[1]);
    assert_false(report_read(&reader, ends[0], &sink));
    close(ends[0]);
    assert_string_equal(story, "progress 12;rate 5000 7 published, one at a time;note hello there;note what?;note ;"
                               "note progress x;");
}

static void test_long_line_is_cut(void **state)
{
    char story[2048] = "", line[REPORT_LINE_MAX * 2];
    const report_sink sink = { on_progress, on_rate, on_note, story };
    report_reader reader = { 0 };
    int ends[2];

    (void)state;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(write(ends[1], line, sizeof line), sizeof line);
    assert_true(report_read(&reader, ends[0], &sink));
    assert_int_equal(strlen(story), strlen("note ;") + REPORT_LINE_MAX - 1);
    close(ends[0]);
    close(ends[1]);
}

/* 1 ms per event, an outage of 2 s in the middle: 10 events in 9 ms. */
static void test_meter_leaves_pauses_out(void **state)
{
    meter m = { 0 };
    uint64_t now = 1000000000u;

    (void)state;
    for (uint64_t events = 1; events <= 10; events++) {
        meter_look(&m, events, now);
        for (int i = 0; events == 5 && i < 200; i++) /* looks at every 10 ms that bring nothing */
            meter_look(&m, events, now += 10000000u);
        now += 1000000u;
    }
    assert_int_equal(m.events, 10);
    assert_int_equal(m.busy_ns, 9000000);
}

static const struct {
    uint64_t value;
    const char *text;
} counts[] = {
    { 0, "0" }, { 999, "999" }, { 1000, "1,000" }, { 123456, "123,456" }, { UINT64_MAX, "18,446,744,073,709,551,615" },
};

static void test_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char text[COUNT_TEXT_SIZE];
        count_text(counts[i].value, text);
        assert_string_equal(text, counts[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_meter_leaves_pauses_out),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
