/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of one process (ledger.h). */
#define _GNU_SOURCE
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_OCTETS = 64 * 1024, LINE_OCTETS = 2048, QUOTED_OCTETS = 448 /* 63 octets, each as \u00xx */ };

struct ledger {
    int fd;
    int error; /* errno of the first failure, 0: none */
    uint64_t lines;
    size_t used;
    char gathered[GATHER_OCTETS];
};

ledger *ledger_create(const char *directory, const char *name, problem *why)
{
    char path[PATH_MAX];
    ledger *created = calloc(1, sizeof *created);

    if (created == NULL) {
        problem_set(why, "out of memory");
        return NULL;
    }
    errno = ENAMETOOLONG;
    created->fd = snprintf(path, sizeof path, "%s/%s", directory, name) >= PATH_MAX
                      ? -1
                      : open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (created->fd >= 0)
        return created;
    problem_set(why, "%.300s/%s: cannot create: %s", directory, name, strerror(errno));
    free(created);
    return NULL;
}

static void keep_error(ledger *to, int error)
{
    if (to->error == 0)
        to->error = error;
}

static void write_gathered(ledger *to)
{
    size_t written = 0;

    while (written < to->used && to->error == 0) {
        ssize_t count = write(to->fd, to->gathered + written, to->used - written);
        if (count > 0)
            written += (size_t)count;
        else if (count == 0 || errno != EINTR)
            keep_error(to, count == 0 ? EIO : errno);
    }
    to->used = 0;
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Adds one line; |fields| is empty or starts with a comma. What is gathered goes out first where the line does not
 * fit, so that only whole lines are written. */
static void append(ledger *to, const char *event, const char *fields)
{
    char line[LINE_OCTETS];
    int length = snprintf(line, sizeof line, "{\"n\":%" PRIu64 ",\"t\":%" PRIu64 ",\"e\":\"%s\"%s}\n", ++to->lines,
                          monotonic_ns(), event, fields);

    if (length < 0 || (size_t)length >= sizeof line) {
        keep_error(to, EMSGSIZE);
        return;
    }
    if (to->used + (size_t)length > sizeof to->gathered)
        write_gathered(to);
    memcpy(to->gathered + to->used, line, (size_t)length);
    to->used += (size_t)length;
}

/* |text| may come from the network: json-c quotes it. */
static bool quote(ledger *to, char out[QUOTED_OCTETS], const char *text)
{
    json_object *value = json_object_new_string(text);
    const char *quoted = value == NULL ? NULL : json_object_to_json_string(value);
    size_t length = quoted == NULL ? 0 : strlen(quoted);
    bool fits = length > 0 && length < QUOTED_OCTETS;

    if (fits)
        memcpy(out, quoted, length + 1);
    else
        keep_error(to, quoted == NULL ? ENOMEM : EMSGSIZE);
    json_object_put(value);
    return fits;
}

/* As append(), with an id in front of |more|. */
__attribute__((format(printf, 4, 5))) static void append_id(ledger *to, const char *event, const char *id,
                                                            const char *more, ...)
{
    char fields[LINE_OCTETS / 2], quoted[QUOTED_OCTETS];
    va_list arguments;

    if (!quote(to, quoted, id))
        return;
    int length = snprintf(fields, sizeof fields, ",\"id\":%s", quoted);
    va_start(arguments, more);
    vsnprintf(fields + length, sizeof fields - (size_t)length, more, arguments); /* bounded by QUOTED_OCTETS: fits */
    va_end(arguments);
    append(to, event, fields);
}

void ledger_attempt(ledger *to, const char *id)
{
    append_id(to, "pub.attempt", id, "%s", "");
}

void ledger_stored(ledger *to, const char *id, const char *stream, uint64_t sequence, bool duplicate)
{
    char quoted[QUOTED_OCTETS];

    if (quote(to, quoted, stream))
        append_id(to, "pub.ack", id, ",\"stream\":%s,\"seq\":%" PRIu64 ",\"dup\":%s", quoted, sequence,
                  duplicate ? "true" : "false");
}

void ledger_failed(ledger *to, const char *id, bool certain)
{
    append_id(to, "pub.fail", id, ",\"certain\":%s", certain ? "true" : "false");
}

void ledger_delivered(ledger *to, const char *id, uint64_t sequence, uint64_t delivery, uint64_t sum)
{
    append_id(to, "cons.deliver", id, ",\"seq\":%" PRIu64 ",\"d\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\"", sequence,
              delivery, sum);
}

void ledger_done(ledger *to, const char *id)
{
    append_id(to, "proc.done", id, "%s", "");
}

void ledger_acked(ledger *to, const char *id)
{
    append_id(to, "cons.ack", id, "%s", "");
}

void ledger_ack_confirmed(ledger *to, const char *id)
{
    append_id(to, "cons.ackack", id, "%s", "");
}

void ledger_in_stream(ledger *to, const char *id, uint64_t sequence)
{
    append_id(to, "stream.msg", id, ",\"seq\":%" PRIu64, sequence);
}

bool ledger_flush(ledger *to, problem *why)
{
    write_gathered(to);
    return to->error == 0 || problem_set(why, "the ledger cannot be written: %s", strerror(to->error));
}

bool ledger_close(ledger *to, problem *why)
{
    append(to, "ledger.end", "");
    bool whole = ledger_flush(to, why);
    close(to->fd);
    free(to);
    return whole;
}
