/* SPDX-License-Identifier: Apache-2.0 */
/* The command line (options.h). */
#include "options.h"

#include "events.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum { DEFAULT_COUNT = 5000, COUNT_MAX = 100000 };

typedef enum value_kind { FLAG, TEXT, NUMBER, PORT } value_kind;

static const struct option_row {
    const char *name;
    value_kind kind;
    size_t offset; /* of the field in options */
    uint64_t least, most;
    bool internal; /* only between the supervisor and its parts */
} rows[] = {
    { "--trips", TEXT, offsetof(options, source.path), 0, 0, false },
    { "--count", NUMBER, offsetof(options, source.count), 1, COUNT_MAX, false },
    { "--seed", NUMBER, offsetof(options, source.seed), 0, UINT64_MAX, false },
    { "--window", NUMBER, offsetof(options, window), 1, 4096, false },
    { "--patience", NUMBER, offsetof(options, patience_s), 1, 3600, false },
    { "--sabotage", FLAG, offsetof(options, sabotage), 0, 0, false },
    { "--keep", FLAG, offsetof(options, keep), 0, 0, false },
    { "--help", FLAG, offsetof(options, help), 0, 0, false },
    { "--run", TEXT, offsetof(options, run), 0, 0, true },
    { "--directory", TEXT, offsetof(options, directory), 0, 0, true },
    { "--port", PORT, offsetof(options, port), 1, UINT16_MAX, true },
    { "--singles", NUMBER, offsetof(options, singles), 0, UINT64_MAX, true },
    { "--drop", NUMBER, offsetof(options, drop), 0, UINT64_MAX, true },
};

static const char *const role_names[] = { NULL, "publish", "process", "check" };

void options_help(FILE *out)
{
    fputs("Usage: nbj-ride-demo [OPTION]...\n"
          "\n"
          "Carries the events of taxi rides through a private nats-server that is killed half-way,\n"
          "and lets an independent process decide whether anything was lost.\n"
          "\n"
          "  --trips FILE    a CSV file with the columns key, fare_amount, pickup_datetime,\n"
          "                  pickup_longitude, pickup_latitude, dropoff_longitude,\n"
          "                  dropoff_latitude, passenger_count; without it, trips in Jakarta are made up\n"
          "  --count N       so many trips: 5000 when made up, all of a file\n"
          "  --seed S        of the made-up trips (1)\n"
          "  --window N      publishes in flight in the second part (256, at most 4096)\n"
          "  --sabotage      acknowledge one event without processing it: must end with lost 1\n"
          "  --patience S    give up when nothing moves for S seconds (60)\n"
          "  --keep          keep the directory with the ledgers and the server's store\n"
          "  --help          this text\n"
          "\n"
          "Environment: NBJ_NATS_SERVER is the server program to start; without it, nats-server of PATH.\n"
          "\n"
          "Exit status: 0 nothing was lost; 1 something was lost, a property is violated, or the run got\n"
          "stuck; 2 the command line is wrong; 3 the demo could not run; 130 interrupted.\n",
          out);
}

/* A decimal number and nothing else. */
static bool read_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    for (const char *at = text; *at != '\0'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*at < '0' || *at > '9' || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return *text != '\0';
}

static bool set_value(options *out, const struct option_row *row, const char *value, problem *why)
{
    char *place = (char *)out + row->offset;
    uint64_t number = 0;

    if (row->kind == TEXT) {
        memcpy(place, &value, sizeof value);
        return value[0] != '\0' || problem_set(why, "%s needs a value that is not empty", row->name);
    }
    if (!read_number(value, &number) || number < row->least || number > row->most)
        return problem_set(why, "%s needs a whole number from %" PRIu64 " to %" PRIu64 ", not \"%.40s\"", row->name,
                           row->least, row->most, value);
    uint16_t port = (uint16_t)number;
    if (row->kind == PORT)
        memcpy(place, &port, sizeof port);
    else
        memcpy(place, &number, sizeof number);
    return true;
}

/* The row of "--name" or "--name=value". */
static const struct option_row *find_row(const char *argument, bool internal)
{
    size_t length = strcspn(argument, "=");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, argument, length) == 0 &&
            (internal || !rows[i].internal))
            return &rows[i];
    return NULL;
}

/* Takes the option at |*at| and moves past it and its value. */
static bool take_option(options *out, int count, char *const arguments[], int *at, problem *why)
{
    const char *argument = arguments[(*at)++];
    const struct option_row *row = find_row(argument, out->role != ROLE_DEMO);

    if (row == NULL)
        return problem_set(why, "unknown option \"%.60s\"; --help lists them", argument);
    const char *value = strchr(argument, '=');
    if (row->kind == FLAG) {
        bool yes = true;
        memcpy((char *)out + row->offset, &yes, sizeof yes);
        return value == NULL || problem_set(why, "%s takes no value", row->name);
    }
    if (value != NULL)
        return set_value(out, row, value + 1, why);
    if (*at == count)
        return problem_set(why, "%s needs a value", row->name);
    return set_value(out, row, arguments[(*at)++], why);
}

static role read_role(int count, char *const arguments[])
{
    for (role each = ROLE_PUBLISH; count > 1 && each <= ROLE_CHECK; each++)
        if (strcmp(arguments[1], role_names[each]) == 0)
            return each;
    return ROLE_DEMO;
}

bool options_read(options *out, int count, char *const arguments[], problem *why)
{
    *out = (options){ .window = 256, .patience_s = 60, .source = { .seed = 1 } };
    out->role = read_role(count, arguments);
    for (int at = out->role == ROLE_DEMO ? 1 : 2; at < count;)
        if (!take_option(out, count, arguments, &at, why))
            return false;
    if (out->source.path == NULL && out->source.count == 0)
        out->source.count = DEFAULT_COUNT;
    if (out->role != ROLE_DEMO && (out->run == NULL || out->directory == NULL || out->port == 0))
        return problem_set(why, "\"%s\" is for the demo itself; start it without", role_names[out->role]);
    if (out->run != NULL && strlen(out->run) > EVENT_RUN_MAX)
        return problem_set(why, "--run is longer than %d octets", EVENT_RUN_MAX);
    return true;
}
