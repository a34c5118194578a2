/* SPDX-License-Identifier: Apache-2.0 */
/* Shows the checker's report (checker.h). */
#include "checker.h"

#include "count.h"

static const struct {
    const char *number, *title, *meaning;
} properties[CHECKER_PROPERTY_COUNT] = {
#define CHECKER_X(name, number, title, meaning) { number, title, meaning },
    CHECKER_PROPERTIES(CHECKER_X)
#undef CHECKER_X
};

static void print_row(FILE *out, const char *name, uint64_t value, const char *meaning)
{
    char text[COUNT_TEXT_SIZE];

    count_text(value, text);
    fprintf(out, "  %-11s %10s%s%s\n", name, text, *meaning == '\0' ? "" : "   ", meaning);
}

static void print_violation(FILE *out, checker_property property, const checker_violation *violation)
{
    char count[COUNT_TEXT_SIZE];

    count_text(violation->count, count);
    fprintf(out, "VIOLATED: %s%s: %s: %s\n", properties[property].number, properties[property].title,
            properties[property].meaning, count);
    for (uint64_t i = 0; i < violation->count && i < CHECKER_EXAMPLES; i++)
        fprintf(out, "    %s\n", violation->examples[i]);
    if (violation->count > CHECKER_EXAMPLES)
        fprintf(out, "    ...\n");
}

void checker_print(const checker_report *report, FILE *out)
{
    unsigned kept = 0;

    print_row(out, "published", report->published, "events acknowledged as stored");
    print_row(out, "stored", report->stored, "messages read back from " RIDE_STREAM);
    print_row(out, "processed", report->processed, "events worked on");
    print_row(out, "duplicates", report->duplicates, "delivered again and recognised");
    print_row(out, "lost", report->lost,
              report->lost == 0 ? "" : "<-- stored or acknowledged, but not there or not processed");
    if (report->recovered > 0)
        print_row(out, "recovered", report->recovered, "stored, though an attempt ended unknown");
    for (size_t i = 0; i < CHECKER_PROPERTY_COUNT; i++) {
        kept += report->violations[i].count == 0;
        if (report->violations[i].count > 0)
            print_violation(out, (checker_property)i, &report->violations[i]);
    }
    fprintf(out, "  %u of %u properties hold\n", kept, (unsigned)CHECKER_PROPERTY_COUNT);
}
