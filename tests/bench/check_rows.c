/* SPDX-License-Identifier: Apache-2.0 */
/* Judges what bench --json wrote: check_rows FILE SERVER_VERSION PAYLOAD ROUNDS. Every row has exactly the members that
 * docs/PERFORMANCE.md promises, and every path is there with all its variants. */
#include <json-c/json.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *path, *storage, *metric, *unit;
    size_t ids; /* 2: with and without */
} expected[] = {
    { "core-publish", "none", "throughput", "msg/s", 1 },
    { "core-publish", "none", "cpu", "us/msg", 1 },
    { "core-subscribe", "none", "throughput", "msg/s", 1 },
    { "core-subscribe", "none", "cpu", "us/msg", 1 },
    { "request", "none", "p50", "us", 1 },
    { "request", "none", "cpu", "us/msg", 1 },
    { "publish-sync", "memory", "p50", "us", 2 },
    { "publish-sync", "memory", "cpu", "us/msg", 2 },
    { "publish-sync", "file", "p50", "us", 2 },
    { "publish-sync", "file", "cpu", "us/msg", 2 },
    { "publish-async", "memory", "throughput", "msg/s", 2 },
    { "publish-async", "memory", "cpu", "us/msg", 2 },
    { "publish-async", "file", "throughput", "msg/s", 2 },
    { "publish-async", "file", "cpu", "us/msg", 2 },
    { "bulk", "memory", "throughput", "msg/s", 1 },
    { "bulk", "memory", "cpu", "us/msg", 1 },
    { "bulk", "file", "throughput", "msg/s", 1 },
    { "bulk", "file", "cpu", "us/msg", 1 },
    { "consume-ack", "memory", "throughput", "msg/s", 1 },
    { "consume-ack", "memory", "cpu", "us/msg", 1 },
    { "consume-ack", "file", "throughput", "msg/s", 1 },
    { "consume-ack", "file", "cpu", "us/msg", 1 },
};
enum { EXPECTED = sizeof expected / sizeof expected[0] };

static size_t seen[EXPECTED];
static size_t row_number;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "row %zu: %s: %s\n", row_number, name, what);
    exit(1);
}

static json_object *member(json_object *row, const char *name, json_type type)
{
    json_object *value = NULL;

    if (!json_object_object_get_ex(row, name, &value))
        fail("is missing", name);
    if (json_object_get_type(value) != type && !(type == json_type_double && json_object_is_type(value, json_type_int)))
        fail("has another type", name);
    return value;
}

static const char *text(json_object *row, const char *name)
{
    return json_object_get_string(member(row, name, json_type_string));
}

static double figure(json_object *row, const char *name)
{
    double value = json_object_get_double(member(row, name, json_type_double));

    if (!isfinite(value) || value <= 0)
        fail("is not above 0", name);
    return value;
}

static void count(json_object *row)
{
    for (size_t i = 0; i < EXPECTED; i++) {
        if (strcmp(expected[i].path, text(row, "path")) == 0 &&
            strcmp(expected[i].storage, text(row, "storage")) == 0 &&
            strcmp(expected[i].metric, text(row, "metric")) == 0 && strcmp(expected[i].unit, text(row, "unit")) == 0) {
            seen[i]++;
            return;
        }
    }
    fail("is not known in this combination", text(row, "path"));
}

static void check_row(json_object *row, char **argv)
{
    double wire = figure(row, "wire"), nbj = figure(row, "nbj"), ratio = figure(row, "ratio");
    json_object *peers = member(row, "peers", json_type_object);

    if (fabs(nbj / wire - ratio) > 0.01 * ratio)
        fail("is not nbj / wire", "ratio");
    json_object_object_foreach(peers, name, value)
    {
        if (!(json_object_get_double(value) > 0))
            fail("is not above 0", name);
    }
    if (strcmp(text(row, "server"), argv[2]) != 0)
        fail(text(row, "server"), "server");
    if (json_object_get_int64(member(row, "payload", json_type_int)) != strtol(argv[3], NULL, 10))
        fail("is another", "payload");
    if (json_object_get_int64(member(row, "rounds", json_type_int)) != strtol(argv[4], NULL, 10))
        fail("is another", "rounds");
    member(row, "ids", json_type_boolean);
    member(row, "pinned", json_type_boolean);
    if (json_object_object_length(row) != 13)
        fail("has more members than it should", "row");
    count(row);
}

/* Free rows are always there, pinned ones on machines with two CPUs: then each is there twice. */
static void check_whole(bool is_pinned)
{
    for (size_t i = 0; i < EXPECTED; i++) {
        if (seen[i] == expected[i].ids * (is_pinned ? 2 : 1))
            continue;
        fprintf(stderr, "%s, %s, %s: %zu rows\n", expected[i].path, expected[i].storage, expected[i].metric, seen[i]);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    json_object *rows = argc == 5 ? json_object_from_file(argv[1]) : NULL;
    bool is_pinned = false;

    if (rows == NULL || !json_object_is_type(rows, json_type_array)) {
        fprintf(stderr, "check_rows FILE SERVER_VERSION PAYLOAD ROUNDS: the file must be an array\n");
        return 1;
    }
    for (row_number = 0; row_number < json_object_array_length(rows); row_number++) {
        json_object *row = json_object_array_get_idx(rows, row_number);
        check_row(row, argv);
        is_pinned = is_pinned || json_object_get_boolean(member(row, "pinned", json_type_boolean));
    }
    check_whole(is_pinned);
    json_object_put(rows);
    return 0;
}
