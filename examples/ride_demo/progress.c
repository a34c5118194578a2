/* SPDX-License-Identifier: Apache-2.0 */
/* The line that moves while the demo runs (progress.h). */
#define _GNU_SOURCE
#include "progress.h"

#include "count.h"

#include <stdarg.h>
#include <unistd.h>

enum { DRAW_EVERY_NS = 50000000 };

void progress_start(progress *out, FILE *to, uint64_t total)
{
    *out = (progress){ .out = to, .terminal = isatty(fileno(to)) == 1, .total = total, .server = "up" };
}

static void print_counts(progress *of)
{
    char total[COUNT_TEXT_SIZE], published[COUNT_TEXT_SIZE], processed[COUNT_TEXT_SIZE];

    count_text(of->total, total);
    count_text(of->published, published);
    count_text(of->processed, processed);
    fprintf(of->out, "published %s, processed %s of %s; server %s", published, processed, total, of->server);
}

void progress_show(progress *of, uint64_t now_ns)
{
    uint64_t tenths = of->total == 0 ? 0 : (of->published + of->processed) * 5 / of->total;

    if (of->terminal && now_ns - of->shown_ns >= DRAW_EVERY_NS) {
        fputs("\r\033[K", of->out);
        print_counts(of);
        of->drawn = true;
        of->shown_ns = now_ns;
    } else if (!of->terminal && tenths != of->shown_tenths) {
        print_counts(of);
        fputc('\n', of->out);
        of->shown_tenths = tenths;
    }
    fflush(of->out);
}

void progress_say(progress *of, const char *format, ...)
{
    va_list arguments;

    if (of->drawn)
        fputs("\r\033[K", of->out);
    of->drawn = false;
    va_start(arguments, format);
    vfprintf(of->out, format, arguments);
    va_end(arguments);
    fputc('\n', of->out);
    fflush(of->out);
}
