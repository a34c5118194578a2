/* SPDX-License-Identifier: Apache-2.0 */
/* The plot: one group of bars for each row and metric, as long as the ratio to the wire limit. Colours follow the
 * reader's light or dark scheme. */
#include "report.h"

#define LEFT 300.0  /* where bars begin */
#define UNIT 90.0   /* length of ratio 1 */
#define LONGEST 5.0 /* a longer bar is cut, its label says how long it is */
#define BAR 13.0
#define GAP 12.0
#define TOP 70.0

static const char style[] =
    "<style>\n"
    "  text { font: 12px system-ui, sans-serif; fill: #1f2328; }\n"
    "  .small { font-size: 11px; fill: #59636e; }\n"
    "  .title { font-size: 15px; font-weight: 600; }\n"
    "  .axis { stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 3; }\n"
    "  .b0 { fill: #8c959f; } .b1 { fill: #0969da; } .b2 { fill: #54aeff; } .b3 { fill: #bc4c00; }\n"
    "  @media (prefers-color-scheme: dark) {\n"
    "    text { fill: #f0f6fc; }\n"
    "    .small { fill: #9198a1; }\n"
    "    .axis { stroke: #9198a1; }\n"
    "    .b0 { fill: #6e7681; } .b1 { fill: #4493f8; } .b2 { fill: #79c0ff; } .b3 { fill: #f0883e; }\n"
    "  }\n"
    "</style>\n";

static size_t bars_of(const row *r)
{
    size_t n = 0;

    for (size_t i = 0; i < IMPLEMENTATIONS; i++)
        n += r->has[i];
    return n;
}

static double height_of(const bench *b)
{
    double y = TOP;

    for (size_t k = 0; k < b->row_count; k++)
        y += 2 * ((double)bars_of(&b->rows[k]) * BAR + GAP);
    return y + 10;
}

static void bar(const bench *b, const row *r, metric m, size_t i, double y, FILE *out)
{
    double ratio = ratio_of(r, m, i), shown = ratio < LONGEST ? ratio : LONGEST;
    double label = shown > 1 ? shown : 1; /* not across the line at 1 */

    fprintf(out, "<rect class=\"b%zu\" x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", i, LEFT, y,
            shown * UNIT, BAR - 2);
    fprintf(out, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\">%.2f%s %s</text>\n", LEFT + label * UNIT + 5,
            y + BAR - 3.5, ratio, ratio > LONGEST ? " (cut)" : "", b->implementations[i].name);
}

static double group(const bench *b, const row *r, metric m, double y, FILE *out)
{
    fprintf(out, "<text x=\"10\" y=\"%.1f\">%s%s%s%s, %s</text>\n", y + 10, r->spec.path,
            is_of_jetstream(&r->spec) ? " " : "", is_of_jetstream(&r->spec) ? r->spec.storage : "",
            r->spec.ids ? " ids" : "", r->pinned ? "pinned" : "free");
    fprintf(out,
            m == THROUGHPUT ? "<text class=\"small\" x=\"10\" y=\"%.1f\">%s: more is better; wire %.0f %s</text>\n"
                            : "<text class=\"small\" x=\"10\" y=\"%.1f\">%s: less is better; wire %.2f %s</text>\n",
            y + 23, metric_name(m), r->median[m][WIRE], metric_unit(m));
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (!r->has[i])
            continue;
        bar(b, r, m, i, y, out);
        y += BAR;
    }
    return y + GAP;
}

void report_svg(const bench *b, FILE *out)
{
    double height = height_of(b), y = TOP, width = LEFT + LONGEST * UNIT + 160;

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
            "role=\"img\">\n",
            width, height, width, height);
    fprintf(out, "<title>nbj measured against the wire limit</title>\n%s", style);
    fprintf(out,
            "<text class=\"title\" x=\"10\" y=\"24\">Multiples of the wire limit</text>\n"
            "<text class=\"small\" x=\"10\" y=\"44\">nats-server %s, payload %zu octets, medians of %u rounds</text>\n",
            b->version, b->payload, b->rounds);
    fprintf(out, "<line class=\"axis\" x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>\n", LEFT + UNIT, TOP - 10,
            LEFT + UNIT, height - 10);
    for (size_t k = 0; k < b->row_count; k++) {
        y = group(b, &b->rows[k], first_metric(&b->rows[k]), y, out);
        y = group(b, &b->rows[k], CPU, y, out);
    }
    fputs("</svg>\n", out);
}
