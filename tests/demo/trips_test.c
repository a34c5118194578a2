/* SPDX-License-Identifier: Apache-2.0 */
/* Trip files: what is read, what is skipped and why, which headers are refused (trips.h, csv.h, utc.h). */
#define _GNU_SOURCE
#include "trips.h"

#include "csv.h"
#include "support/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER                                                                                             \
    "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude," \
    "passenger_count\n"
#define GOOD "k1,4.5,2009-06-15 17:26:21 UTC,-73.84,40.72,-73.85,40.71,1\n"

/* What a reading gave, as one text: "ok KEY" and "skip LINE REASON", a line each. */
typedef struct story {
    char text[4096];
} story;

static void tell(story *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(story *to, const char *format, ...)
{
    size_t length = strlen(to->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(to->text + length, sizeof to->text - length, format, arguments);
    va_end(arguments);
}

static void tell_skip(void *user, uint64_t line, const char *reason)
{
    tell(user, "skip %" PRIu64 " %s\n", line, reason);
}

static void make_file(char path[64], const char *octets, size_t length)
{
    strcpy(path, "/tmp/nbj-trips-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets, length), length);
    close(fd);
}

/* Reads the whole file; the story starts with "error" when the header is refused. */
static void read_file(const char *octets, size_t length, story *out, trip *last)
{
    char path[64];
    problem why = { "" };
    trip each;
    trip_result result;

    make_file(path, octets, length);
    out->text[0] = '\0';
    trip_reader *reader = trip_reader_open(path, tell_skip, out, &why);
    if (reader == NULL) {
        tell(out, "error%s", why.text + strlen(path));
        unlink(path);
        return;
    }
    while ((result = trip_reader_next(reader, &each, &why)) == TRIP_OK) {
        tell(out, "ok %s\n", each.key);
        if (last != NULL)
            *last = each;
    }
    assert_int_equal(result, TRIP_END);
    trip_reader_close(reader);
    unlink(path);
}

static const struct {
    const char *name, *file, *story;
} files[] = {
    { "plain", HEADER GOOD, "ok k1\n" },
    { "no line end at the end", HEADER "k1,4.5,2009-06-15 17:26:21,1,2,3,4,1", "ok k1\n" },
    { "empty lines are no rows, but are counted as lines", HEADER "\n" GOOD "\nx\n",
      "ok k1\nskip 5 fare_amount is missing\n" },
    { "header only", HEADER, "" },
    { "start equals end", HEADER "k1,4.5,2009-06-15 17:26:21 UTC,1.5,2.5,1.5,2.5,1\n", "ok k1\n" },
    { "a refund", HEADER "k1,-2.9,2009-06-15 17:26:21 UTC,1,2,3,4,0\n", "ok k1\n" },
    { "T, Z and exponents", HEADER "k1,4e0,2009-06-15T17:26:21Z,-7.3e1,2,3,4,1\n", "ok k1\n" },
    { "quotes",
      HEADER
      "\"k,1\",\"4.5\" ,  \"2009-06-15 17:26:21 UTC\",1,2,3,4,1\n\"a \"\"b\"\"\",1,2009-06-15 17:26:21,1,2,3,4,1\n",
      "ok k,1\nok a \"b\"\n" },
    { "bad number", HEADER "k1,4.5x,2009-06-15 17:26:21 UTC,1,2,3,4,1\n" GOOD,
      "skip 2 fare_amount is not a number (\"4.5x\")\nok k1\n" },
    { "no hexadecimals, no infinity",
      HEADER "k1,0x10,2009-06-15 17:26:21,1,2,3,4,1\nk2,1e999,2009-06-15 17:26:21,1,2,3,4,1\n",
      "skip 2 fare_amount is not a number (\"0x10\")\nskip 3 fare_amount is not a number (\"1e999\")\n" },
    { "terminal escapes are not shown", HEADER "k1,\x1b[2J,2009-06-15 17:26:21,1,2,3,4,1\n",
      "skip 2 fare_amount is not a number (\"?[2J\")\n" },
    { "no such day", HEADER "k1,1,2009-02-30 17:26:21 UTC,1,2,3,4,1\n",
      "skip 2 pickup_datetime is not a time like 2009-06-15 17:26:21 UTC (\"2009-02-30 17:26:21 UTC\")\n" },
    { "half a time", HEADER "k1,1,2009-02-3,1,2,3,4,1\n",
      "skip 2 pickup_datetime is not a time like 2009-06-15 17:26:21 UTC (\"2009-02-3\")\n" },
    { "another zone", HEADER "k1,1,2009-02-03 01:02:03 CET,1,2,3,4,1\n",
      "skip 2 pickup_datetime is not a time like 2009-06-15 17:26:21 UTC (\"2009-02-03 01:02:03 CET\")\n" },
    { "missing field in the middle", HEADER "k1,1,2009-06-15 17:26:21,,2,3,4,1\n",
      "skip 2 pickup_longitude is missing\n" },
    { "short row", HEADER "k1,1,2009-06-15 17:26:21,1,2,3,4\n", "skip 2 passenger_count is missing\n" },
    { "long row", HEADER "k1,1,2009-06-15 17:26:21,1,2,3,4,1,9\n", "skip 2 9 fields, but the header has 8\n" },
    { "0 coordinates", HEADER "k1,1,2009-06-15 17:26:21,0,0,0,0,1\nk2,1,2009-06-15 17:26:21,1,2,3,-0.0,1\n",
      "skip 2 pickup_longitude is 0: no position fix (\"0\")\n"
      "skip 3 dropoff_latitude is 0: no position fix (\"-0.0\")\n" },
    { "out of range", HEADER "k1,1,2009-06-15 17:26:21,180.1,2,3,4,1\nk2,1,2009-06-15 17:26:21,1,-90.5,3,4,1\n",
      "skip 2 pickup_longitude is out of range (\"180.1\")\nskip 3 pickup_latitude is out of range (\"-90.5\")\n" },
    { "the ends of the range", HEADER "k1,1,2009-06-15 17:26:21,180,-90,-180,90,1\n", "ok k1\n" },
    { "passengers", HEADER "k1,1,2009-06-15 17:26:21,1,2,3,4,1.5\nk2,1,2009-06-15 17:26:21,1,2,3,4,99999999999\n",
      "skip 2 passenger_count is not a whole number (\"1.5\")\n"
      "skip 3 passenger_count is out of range (\"99999999999\")\n" },
    { "key in another alphabet", HEADER "k\xc3\xa9,1,2009-06-15 17:26:21,1,2,3,4,1\n",
      "skip 2 key is not printable ASCII (\"k??\")\n" },
    { "open quote spoils one row only", HEADER "\"k1,1,2009-06-15 17:26:21,1,2,3,4,1\n" GOOD,
      "skip 2 a quoted field is not closed on its line\nok k1\n" },
    { "text behind a quote", HEADER "\"k\"1,1,2009-06-15 17:26:21,1,2,3,4,1\n" GOOD,
      "skip 2 text follows a closing quote\nok k1\n" },
    { "other order, other columns",
      "vendor,passenger_count,dropoff_latitude,dropoff_longitude,pickup_latitude,pickup_longitude,pickup_datetime,"
      "fare_amount,key\nX,1,4,3,2,1,2009-06-15 17:26:21,1,k1\n",
      "ok k1\n" },
    { "one column is missing",
      "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,passenger_count\n" GOOD,
      "error: line 1: the header lacks: dropoff_latitude" },
    { "two columns are missing", "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude\n",
      "error: line 1: the header lacks: dropoff_latitude passenger_count" },
    { "a column twice",
      "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,"
      "passenger_count,key\n",
      "error: line 1: column key appears twice" },
    { "nothing", "", "error: the file is empty; a header row with the column names is needed" },
};

static void test_files(void **state)
{
    story got;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        read_file(files[i].file, strlen(files[i].file), &got, NULL);
        if (strcmp(got.text, files[i].story) != 0)
            print_error("%s gave:\n%s\n", files[i].name, got.text);
        CHECK(files[i].name, strcmp(got.text, files[i].story) == 0);
    }
}

/* The same file with CRLF, and with a byte order mark, tells the same story. */
static void test_line_ends_and_mark(void **state)
{
    char file[2048];
    story got;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t length = (size_t)snprintf(file, sizeof file, "\xef\xbb\xbf");
        for (const char *at = files[i].file; *at != '\0'; at++) {
            if (*at == '\n')
                file[length++] = '\r';
            file[length++] = *at;
        }
        if (files[i].file[0] == '\0')
            continue;
        read_file(file, length, &got, NULL);
        CHECK(files[i].name, strcmp(got.text, files[i].story) == 0);
    }
}

static void test_values(void **state)
{
    trip got;
    story ignored;
    const char file[] = HEADER "k1,4.5,2009-06-15 17:26:21 UTC,-73.844311,40.721319,-73.84161,40.712278,2\n";

    (void)state;
    read_file(file, sizeof file - 1, &ignored, &got);
    assert_int_equal(got.index, 1);
    assert_int_equal(got.pickup_s, 1245086781);
    assert_true(got.fare == 4.5 && got.currency[0] == '\0' && got.passengers == 2);
    assert_true(got.pickup.longitude == -73.844311 && got.pickup.latitude == 40.721319);
    assert_true(got.dropoff.longitude == -73.84161 && got.dropoff.latitude == 40.712278);
    assert_true(trip_distance_m(&got) > 1020 && trip_distance_m(&got) < 1040);
}

/* Good rows are numbered without gaps, whatever is skipped between them. */
static void test_numbering(void **state)
{
    trip got;
    story told;
    const char file[] = HEADER GOOD "bad\nbad\n" GOOD;

    (void)state;
    read_file(file, sizeof file - 1, &told, &got);
    assert_int_equal(got.index, 2);
}

static void test_long_lines_and_nul(void **state)
{
    static char file[3 * CSV_LINE_MAX];
    const char nul[] = HEADER "k1\0,4.5\n" GOOD;
    story got;

    (void)state;
    size_t length = (size_t)snprintf(file, sizeof file, "%s", HEADER);
    memset(file + length, 'x', CSV_LINE_MAX + 1);
    length += CSV_LINE_MAX + 1;
    length += (size_t)snprintf(file + length, sizeof file - length, "\n%s", GOOD);
    read_file(file, length, &got, NULL);
    assert_string_equal(got.text, "skip 2 the line is longer than 8192 octets\nok k1\n");
    read_file(nul, sizeof nul - 1, &got, NULL);
    assert_string_equal(got.text, "skip 2 the line contains a NUL octet\nok k1\n");
}

static void test_no_file(void **state)
{
    problem why;

    (void)state;
    assert_null(trip_reader_open("/nowhere/trips.csv", NULL, NULL, &why));
    assert_string_equal(why.text, "/nowhere/trips.csv: cannot open: No such file or directory");
    assert_null(trip_reader_open("/", NULL, NULL, &why));
    assert_string_equal(why.text, "/: cannot read: Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),   cmocka_unit_test(test_line_ends_and_mark),
        cmocka_unit_test(test_values),  cmocka_unit_test(test_long_lines_and_nul),
        cmocka_unit_test(test_no_file), cmocka_unit_test(test_numbering),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
