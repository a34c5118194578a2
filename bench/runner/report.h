/* SPDX-License-Identifier: Apache-2.0 */
/* The rows as a table for people, as JSON, as Markdown and as a plot. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "rows.h"

#include <stdio.h>

/* The two figures that a row reports, the second being CPU. */
metric first_metric(const row *r);
const char *metric_name(metric m);
const char *metric_unit(metric m);

double ratio_of(const row *r, metric m, size_t i); /* to the wire limit */
bool has_any(const bench *b, size_t i);            /* whether implementation |i| plays in any row */

void report_head(const bench *b, FILE *out);
void report_row(const bench *b, const row *r, FILE *out);

void report_json(const bench *b, FILE *out);
void report_markdown(const bench *b, FILE *out);
void report_svg(const bench *b, FILE *out);

#endif
