/* SPDX-License-Identifier: Apache-2.0 */
/* Trip files (trips.h). */
#include "trips.h"

#include "csv.h"
#include "utc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_COUNT = 8, PASSENGERS_MAX = 1000 };

struct trip_reader {
    FILE *in;
    const char *path; /* borrowed */
    trip_skipped *on_skip;
    void *user;
    uint64_t skipped, taken;
    size_t header_fields;
    size_t place[COLUMN_COUNT]; /* of each column in a row */
    csv_line line;
};

/* Each takes one field into the trip and returns NULL, or what is wrong with it. */
typedef const char *take_field(const char *text, trip *out);

static const char *take_number(const char *text, double *out)
{
    char *end = NULL;

    if (text[strspn(text, "0123456789+-.eE")] != '\0') /* no blanks, hexadecimals, infinities or NaN */
        return "is not a number";
    *out = strtod(text, &end);
    return end == text || *end != '\0' || !isfinite(*out) ? "is not a number" : NULL;
}

static const char *take_coordinate(const char *text, double limit, double *out)
{
    const char *wrong = take_number(text, out);

    if (wrong != NULL)
        return wrong;
    if (fabs(*out) > limit)
        return "is out of range";
    return fpclassify(*out) == FP_ZERO ? "is 0: no position fix" : NULL;
}

static const char *take_key(const char *text, trip *out)
{
    if (strlen(text) >= sizeof out->key)
        return "is longer than 63 octets";
    problem_show(out->key, sizeof out->key, text);
    return strcmp(out->key, text) != 0 ? "is not printable ASCII" : NULL;
}

static const char *take_fare(const char *text, trip *out)
{
    return take_number(text, &out->fare);
}

static const char *take_time(const char *text, trip *out)
{
    return utc_parse(text, &out->pickup_s) ? NULL : "is not a time like 2009-06-15 17:26:21 UTC";
}

static const char *take_pickup_longitude(const char *text, trip *out)
{
    return take_coordinate(text, 180, &out->pickup.longitude);
}

static const char *take_pickup_latitude(const char *text, trip *out)
{
    return take_coordinate(text, 90, &out->pickup.latitude);
}

static const char *take_dropoff_longitude(const char *text, trip *out)
{
    return take_coordinate(text, 180, &out->dropoff.longitude);
}

static const char *take_dropoff_latitude(const char *text, trip *out)
{
    return take_coordinate(text, 90, &out->dropoff.latitude);
}

static const char *take_passengers(const char *text, trip *out)
{
    unsigned long count = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return "is not a whole number";
        count = count * 10 + (unsigned long)(*at - '0');
        if (count > PASSENGERS_MAX)
            return "is out of range";
    }
    out->passengers = (unsigned)count;
    return NULL;
}

static const struct {
    const char *name;
    take_field *take;
} columns[COLUMN_COUNT] = {
    { "key", take_key },
    { "fare_amount", take_fare },
    { "pickup_datetime", take_time },
    { "pickup_longitude", take_pickup_longitude },
    { "pickup_latitude", take_pickup_latitude },
    { "dropoff_longitude", take_dropoff_longitude },
    { "dropoff_latitude", take_dropoff_latitude },
    { "passenger_count", take_passengers },
};

/* The place of |name| among the fields; |count| when it is not there. */
static size_t place_of(const char *name, char *fields[], size_t count)
{
    size_t place = 0;

    while (place < count && strcmp(fields[place], name) != 0)
        place++;
    return place;
}

static bool map_columns(trip_reader *reader, char *fields[], size_t count, problem *why)
{
    char missing[256] = ""; /* all eight names fit */
    size_t length = 0;

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        size_t place = place_of(columns[i].name, fields, count);
        reader->place[i] = place;
        if (place == count) {
            length += (size_t)snprintf(missing + length, sizeof missing - length, " %s", columns[i].name);
        } else if (place + 1 + place_of(columns[i].name, fields + place + 1, count - place - 1) < count) {
            return problem_set(why, "%s: line 1: column %s appears twice", reader->path, columns[i].name);
        }
    }
    reader->header_fields = count;
    if (missing[0] != '\0')
        return problem_set(why, "%s: line 1: the header lacks:%s", reader->path, missing);
    return true;
}

static bool read_header(trip_reader *reader, problem *why)
{
    char *fields[CSV_FIELDS_MAX];
    size_t count = 0;
    const char *reason = NULL;
    csv_result result = csv_read_line(reader->in, &reader->line, &reason);

    if (result == CSV_FAILED)
        return problem_set(why, "%s: cannot read: %s", reader->path, strerror(errno));
    if (result == CSV_END)
        return problem_set(why, "%s: the file is empty; a header row with the column names is needed", reader->path);
    if (result == CSV_OK)
        result = csv_split(reader->line.text, fields, &count, &reason);
    if (result != CSV_OK)
        return problem_set(why, "%s: line 1: %s", reader->path, reason);
    return map_columns(reader, fields, count, why);
}

trip_reader *trip_reader_open(const char *path, trip_skipped *on_skip, void *user, problem *why)
{
    trip_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        problem_set(why, "out of memory");
        return NULL;
    }
    reader->path = path;
    reader->on_skip = on_skip;
    reader->user = user;
    reader->in = fopen(path, "rbe");
    if (reader->in == NULL)
        problem_set(why, "%s: cannot open: %s", path, strerror(errno));
    else if (read_header(reader, why))
        return reader;
    trip_reader_close(reader);
    return NULL;
}

/* Fills |out| from one row; false with the reason in |why|. */
static bool take_row(trip_reader *reader, trip *out, problem *why)
{
    char *fields[CSV_FIELDS_MAX];
    char shown[48];
    size_t count = 0;
    const char *reason = NULL;

    if (csv_split(reader->line.text, fields, &count, &reason) != CSV_OK)
        return problem_set(why, "%s", reason);
    if (count > reader->header_fields)
        return problem_set(why, "%zu fields, but the header has %zu", count, reader->header_fields);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (reader->place[i] >= count || fields[reader->place[i]][0] == '\0')
            return problem_set(why, "%s is missing", columns[i].name);
        reason = columns[i].take(fields[reader->place[i]], out);
        if (reason == NULL)
            continue;
        problem_show(shown, sizeof shown, fields[reader->place[i]]);
        return problem_set(why, "%s %s (\"%s\")", columns[i].name, reason, shown);
    }
    return true;
}

static void skip_row(trip_reader *reader, const char *reason)
{
    reader->skipped++;
    if (reader->on_skip != NULL)
        reader->on_skip(reader->user, reader->line.number, reason);
}

trip_result trip_reader_next(trip_reader *reader, trip *out, problem *why)
{
    for (;;) { /* each turn reads a line, so the file's end bounds it */
        const char *reason = NULL;
        problem row;
        csv_result result = csv_read_line(reader->in, &reader->line, &reason);
        if (result == CSV_END)
            return TRIP_END;
        if (result == CSV_FAILED) {
            problem_set(why, "%s: cannot read: %s", reader->path, strerror(errno));
            return TRIP_FAILED;
        }
        if (result == CSV_BAD) {
            skip_row(reader, reason);
            continue;
        }
        if (reader->line.length == 0) /* an empty line is no row */
            continue;
        *out = (trip){ .index = reader->taken + 1 };
        if (take_row(reader, out, &row)) {
            reader->taken++;
            return TRIP_OK;
        }
        skip_row(reader, row.text);
    }
}

uint64_t trip_reader_skipped(const trip_reader *reader)
{
    return reader->skipped;
}

void trip_reader_close(trip_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->in != NULL)
        fclose(reader->in);
    free(reader);
}

/* Haversine on a sphere; half a percent is near enough for a taxi. */
double trip_distance_m(const trip *of)
{
    const double radius_m = 6371000.0, radian = 3.14159265358979323846 / 180.0;
    double from = of->pickup.latitude * radian, to = of->dropoff.latitude * radian;
    double north = sin((to - from) / 2);
    double east = sin((of->dropoff.longitude - of->pickup.longitude) * radian / 2);

    return 2 * radius_m * asin(fmin(1.0, sqrt(north * north + cos(from) * cos(to) * east * east)));
}
