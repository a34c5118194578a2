/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts tell the supervisor (report.h). */
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TELL_EVERY_NS = 10000000 };

uint64_t report_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void meter_look(meter *of, uint64_t events, uint64_t now_ns)
{
    if (of->last_ns != 0 && events == of->events && now_ns - of->last_ns < METER_PAUSE_NS)
        return; /* nothing new: the time counts when something comes, unless it was a pause */
    if (of->last_ns != 0 && now_ns - of->last_ns < METER_PAUSE_NS)
        of->busy_ns += now_ns - of->last_ns;
    of->events = events;
    of->last_ns = now_ns;
}

void report_progress(uint64_t events, bool at_once)
{
    static uint64_t told = UINT64_MAX, told_ns;
    uint64_t now = report_now_ns();

    if (events == told || (!at_once && now - told_ns < TELL_EVERY_NS))
        return;
    told = events;
    told_ns = now;
    printf("progress %" PRIu64 "\n", events);
    fflush(stdout);
}

void report_rate(const meter *of, const char *what)
{
    printf("rate %" PRIu64 " %" PRIu64 " %s\n", of->busy_ns, of->events, what);
    fflush(stdout);
}

void report_note(const char *format, ...)
{
    va_list arguments;

    fputs("note ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void take_line(const report_sink *sink, const char *line)
{
    uint64_t first = 0, second = 0;
    int at = 0;

    if (sscanf(line, "progress %" SCNu64, &first) == 1)
        sink->progress(sink->user, first);
    else if (sscanf(line, "rate %" SCNu64 " %" SCNu64 " %n", &first, &second, &at) == 2 && at > 0)
        sink->rate(sink->user, first, second, line + at);
    else
        sink->note(sink->user, strncmp(line, "note ", 5) == 0 ? line + 5 : line);
}

static void take_octet(report_reader *of, char octet, const report_sink *sink)
{
    if (octet != '\n') {
        if (of->length + 1 < sizeof of->line) /* what is too long is cut */
            of->line[of->length++] = octet;
        return;
    }
    of->line[of->length] = '\0';
    of->length = 0;
    take_line(sink, of->line);
}

bool report_read(report_reader *of, int fd, const report_sink *sink)
{
    char octets[4096];
    ssize_t count = read(fd, octets, sizeof octets);

    for (ssize_t i = 0; i < count; i++)
        take_octet(of, octets[i], sink);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}
