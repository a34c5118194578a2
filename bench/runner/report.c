/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <string.h>

metric first_metric(const row *r)
{
    return r->spec.is_latency ? P50 : THROUGHPUT;
}

const char *metric_name(metric m)
{
    static const char *const names[METRICS] = { "p50", "throughput", "cpu", "library switches", "caller switches" };

    return names[m];
}

const char *metric_unit(metric m)
{
    static const char *const units[METRICS] = { "us", "msg/s", "us/msg", "1/msg", "1/msg" };

    return units[m];
}

double ratio_of(const row *r, metric m, size_t i)
{
    return r->median[m][WIRE] > 0 ? r->median[m][i] / r->median[m][WIRE] : 0;
}

bool has_any(const bench *b, size_t i)
{
    for (size_t k = 0; k < b->row_count; k++) {
        if (b->rows[k].has[i])
            return true;
    }
    return false;
}

/* --- for people --- */

void report_head(const bench *b, FILE *out)
{
    fprintf(out,
            "nats-server %s, payload %zu octets, medians of %u rounds; columns are multiples of the wire limit\n\n",
            b->version, b->payload, b->rounds);
    fprintf(out, "%-14s %-7s %-4s %-7s %-10s %18s", "path", "storage", "ids", "CPUs", "metric", "wire limit");
    for (size_t i = 1; i < IMPLEMENTATIONS; i++) {
        if (!b->implementations[i].is_missing)
            fprintf(out, " %12s", b->implementations[i].name);
    }
    fputc('\n', out);
    fflush(out);
}

static void report_metric(const bench *b, const row *r, metric m, FILE *out)
{
    char limit[32];

    snprintf(limit, sizeof limit, m == THROUGHPUT ? "%.0f %s" : "%.3f %s", r->median[m][WIRE], metric_unit(m));
    fprintf(out, "%-14s %-7s %-4s %-7s %-10s %18s", r->spec.path, r->spec.storage, r->spec.ids ? "yes" : "no",
            r->pinned ? "pinned" : "free", metric_name(m), limit);
    for (size_t i = 1; i < IMPLEMENTATIONS; i++) {
        if (b->implementations[i].is_missing)
            continue;
        if (r->has[i])
            fprintf(out, " %12.2f", ratio_of(r, m, i));
        else
            fprintf(out, " %12s", "");
    }
    fprintf(out, "   wire ±%.0f %%\n", r->spread[m] * 100);
}

void report_row(const bench *b, const row *r, FILE *out)
{
    report_metric(b, r, first_metric(r), out);
    report_metric(b, r, CPU, out);
    fflush(out);
}

/* --- JSON --- */

static void json_number(FILE *out, bool is_known, double value)
{
    if (is_known)
        fprintf(out, "%.6g", value);
    else
        fputs("null", out);
}

static void json_row(const bench *b, const row *r, metric m, FILE *out)
{
    const char *comma = "";

    fprintf(out,
            "  {\"path\": \"%s\", \"storage\": \"%s\", \"metric\": \"%s\", \"unit\": \"%s\", \"wire\": ", r->spec.path,
            r->spec.storage, metric_name(m), metric_unit(m));
    json_number(out, true, r->median[m][WIRE]);
    fputs(", \"nbj\": ", out);
    json_number(out, r->has[NBJ], r->median[m][NBJ]);
    fputs(", \"peers\": {", out);
    for (size_t i = NBJ + 1; i < IMPLEMENTATIONS; i++) {
        if (!r->has[i])
            continue;
        fprintf(out, "%s\"%s\": ", comma, b->implementations[i].name);
        json_number(out, true, r->median[m][i]);
        comma = ", ";
    }
    fputs("}, \"ratio\": ", out);
    json_number(out, r->has[NBJ], ratio_of(r, m, NBJ));
    fprintf(out, ", \"server\": \"%s\", \"payload\": %zu, \"ids\": %s, \"pinned\": %s, \"rounds\": %u}", b->version,
            b->payload, r->spec.ids ? "true" : "false", r->pinned ? "true" : "false", b->rounds);
}

void report_json(const bench *b, FILE *out)
{
    fputs("[\n", out);
    for (size_t k = 0; k < b->row_count; k++) {
        json_row(b, &b->rows[k], first_metric(&b->rows[k]), out);
        fputs(",\n", out);
        json_row(b, &b->rows[k], CPU, out);
        fputs(k + 1 < b->row_count ? ",\n" : "\n", out);
    }
    fputs("]\n", out);
}

/* --- Markdown --- */

static void markdown_row(const bench *b, const row *r, metric m, FILE *out)
{
    fprintf(out, "| %s%s%s%s | %s | %s | ", r->spec.path, is_of_jetstream(&r->spec) ? ", " : "",
            is_of_jetstream(&r->spec) ? r->spec.storage : "", r->spec.ids ? ", ids" : "", r->pinned ? "pinned" : "free",
            metric_name(m));
    fprintf(out, m == THROUGHPUT ? "%.0f %s |" : "%.2f %s |", r->median[m][WIRE], metric_unit(m));
    for (size_t i = 1; i < IMPLEMENTATIONS; i++) {
        if (r->has[i])
            fprintf(out, " %.2f |", ratio_of(r, m, i));
        else if (has_any(b, i))
            fputs(" |", out);
    }
    fputc('\n', out);
}

void report_markdown(const bench *b, FILE *out)
{
    fprintf(
        out,
        "`nats-server` %s, %zu octets of payload, medians of %u rounds. Columns after the wire limit are multiples of "
        "it.\n\n",
        b->version, b->payload, b->rounds);
    fputs("| path | CPUs | metric | wire limit |", out);
    for (size_t i = 1; i < IMPLEMENTATIONS; i++) {
        if (has_any(b, i))
            fprintf(out, " %s |", b->implementations[i].name);
    }
    fputs("\n|---|---|---|---|", out);
    for (size_t i = 1; i < IMPLEMENTATIONS; i++)
        fputs(has_any(b, i) ? "---|" : "", out);
    fputc('\n', out);
    for (size_t k = 0; k < b->row_count; k++) {
        markdown_row(b, &b->rows[k], first_metric(&b->rows[k]), out);
        markdown_row(b, &b->rows[k], CPU, out);
    }
}
