/* SPDX-License-Identifier: Apache-2.0 */
#include "curves.h"

#include <inttypes.h>
#include <string.h>

#define SUBSCRIPTIONS 10000u

/* Measures |spec| and returns the row, which lives until the next call. */
static const row *measure(bench *b, const row_spec *spec)
{
    b->row_count = 0;
    bench_row(b, spec, false);
    return &b->rows[0];
}

static void head(const bench *b, const char *title, const char *size, FILE *out)
{
    fprintf(out, "\n%s\n\n%14s", title, size);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (!b->implementations[i].is_missing)
            fprintf(out, " %14s", b->implementations[i].name);
    }
    fputc('\n', out);
    fflush(out);
}

static void line(const bench *b, size_t size, const row *r, const double *values, double unit, FILE *out)
{
    fprintf(out, "%14zu", size);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (b->implementations[i].is_missing)
            continue;
        if (r->has[i])
            fprintf(out, " %14.3f", values[i] / unit);
        else
            fprintf(out, " %14s", "");
    }
    fputc('\n', out);
    fflush(out);
}

static void over_payload(bench *b, FILE *out)
{
    static const size_t sizes[] = { 16, 128, 1024, 8192, 65536, 1048576 };
    row_spec spec = { .path = "core-publish", .storage = "none", .messages = 200000 };
    size_t payload = b->payload;

    head(b, "core-publish: CPU of a message in us, over its payload in octets", "payload", out);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        b->payload = sizes[k];
        const row *r = measure(b, &spec);
        line(b, sizes[k], r, r->median[CPU], 1, out);
    }
    b->payload = payload;
}

static void over_threads(bench *b, FILE *out)
{
    static const size_t threads[] = { 1, 2, 4, 8, 16 };
    row_spec spec = { .path = "core-publish", .storage = "none", .messages = 200000 };

    head(b, "core-publish: CPU of a message in us, over publishing threads (the wire has one)", "threads", out);
    for (size_t k = 0; k < sizeof threads / sizeof threads[0]; k++) {
        spec.threads = threads[k];
        const row *r = measure(b, &spec);
        line(b, threads[k], r, r->median[CPU], 1, out);
    }
}

static void over_subscriptions(bench *b, FILE *out)
{
    row_spec spec = { .path = "core-subscribe", .storage = "none", .messages = 200000 };

    head(b, "core-subscribe: CPU of a message in us, over subscriptions", "subscriptions", out);
    for (size_t n = 1; n <= SUBSCRIPTIONS; n *= 10) {
        spec.subscriptions = n;
        const row *r = measure(b, &spec);
        line(b, n, r, r->median[CPU], 1, out);
    }
}

static void memory(bench *b, FILE *out)
{
    row_spec spec = { .path = "core-subscribe", .storage = "none", .messages = 10, .subscriptions = 1 };
    double idle[IMPLEMENTATIONS], each[IMPLEMENTATIONS] = { 0 };

    head(b, "resident memory of the whole process in KiB, over subscriptions", "subscriptions", out);
    const row *r = measure(b, &spec);
    memcpy(idle, r->rss, sizeof idle);
    line(b, 1, r, r->rss, 1024, out);
    spec.subscriptions = SUBSCRIPTIONS;
    r = measure(b, &spec);
    line(b, SUBSCRIPTIONS, r, r->rss, 1024, out);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++)
        each[i] = (r->rss[i] - idle[i]) / (SUBSCRIPTIONS - 1);
    fprintf(out, "that is octets for each subscription:\n");
    line(b, SUBSCRIPTIONS, r, each, 1, out);
}

void play_curves(bench *b, FILE *out)
{
    over_payload(b, out);
    over_threads(b, out);
    over_subscriptions(b, out);
    memory(b, out);
}
