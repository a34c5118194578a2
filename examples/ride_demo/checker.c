/* SPDX-License-Identifier: Apache-2.0 */
/* The checker's sets and properties (checker.h). */
#define _GNU_SOURCE
#include "checker_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

checker *checker_new(const char *run)
{
    checker *created = calloc(1, sizeof *created);

    if (created != NULL)
        created->run = run;
    return created;
}

void checker_free(checker *of)
{
    if (of == NULL)
        return;
    free(of->records);
    free(of->stream.list);
    free(of->acked.list);
    free(of->delivered.list);
    free(of);
}

void checker_violated(checker *of, checker_property property, const char *format, ...)
{
    checker_violation *violation = &of->violations[property];
    va_list arguments;

    if (violation->count < CHECKER_EXAMPLES) {
        char text[sizeof violation->examples[0]];
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        problem_show(violation->examples[violation->count], sizeof text, text);
    }
    violation->count++;
}

bool checker_claim_add(checker_claims *to, uint64_t sequence, uint64_t number)
{
    if (to->count == to->room) {
        size_t room = to->room == 0 ? FIRST_ROOM : to->room * 2;
        checker_claim *list = reallocarray(to->list, room, sizeof *list);
        if (list == NULL)
            return false;
        to->list = list;
        to->room = room;
    }
    to->list[to->count++] = (checker_claim){ sequence, number };
    return true;
}

checker_record *checker_find(checker *of, const char *id)
{
    uint64_t number = 0;

    return event_number(of->run, id, &number) && number < of->count ? &of->records[number] : NULL;
}

bool checker_expect(checker *of, const ride_event *event)
{
    if (event->number != of->count)
        return false;
    if (of->count == of->room) {
        uint64_t room = of->room == 0 ? FIRST_ROOM : of->room * 2;
        checker_record *records = reallocarray(of->records, room, sizeof *records);
        if (records == NULL)
            return false;
        of->records = records;
        of->room = room;
    }
    of->records[of->count++] = (checker_record){ .sum = event_sum(event->payload, event->length) };
    return true;
}

bool checker_stored(checker *of, uint64_t sequence, const char *subject, const char *payload, size_t length)
{
    char id[EVENT_ID_SIZE];
    checker_record *record = event_read_id(payload, length, id) ? checker_find(of, id) : NULL;
    uint64_t number = record == NULL ? CHECKER_FOREIGN : (uint64_t)(record - of->records);

    if (record == NULL) {
        checker_violated(of, CHECKER_NO_UNEXPECTED, "sequence %" PRIu64 " on %s", sequence, subject);
        return checker_claim_add(&of->stream, sequence, number);
    }
    if (record->stored++ == 0)
        record->sequence = sequence;
    if (strcmp(subject, event_subjects[number % EVENTS_PER_TRIP]) != 0)
        checker_violated(of, CHECKER_PAYLOAD_INTACT, "%s on subject %s", id, subject);
    if (event_sum(payload, length) != record->sum)
        checker_violated(of, CHECKER_PAYLOAD_INTACT, "%s at sequence %" PRIu64, id, sequence);
    return checker_claim_add(&of->stream, sequence, number);
}

static int by_sequence(const void *left, const void *right)
{
    uint64_t a = ((const checker_claim *)left)->sequence, b = ((const checker_claim *)right)->sequence;

    return (a > b) - (a < b);
}

static void name_event(const checker *of, uint64_t number, char out[EVENT_ID_SIZE])
{
    snprintf(out, EVENT_ID_SIZE, "%.*s-%" PRIu64 "-%" PRIu64, EVENT_RUN_MAX, of->run, number / EVENTS_PER_TRIP + 1,
             number % EVENTS_PER_TRIP + 1);
}

/* Holds what ledgers said about sequences against the stream. */
static void compare_claims(checker *of, const checker_claims *claims, checker_property property)
{
    for (size_t i = 0; i < claims->count; i++) {
        const checker_claim *claim = &claims->list[i];
        const checker_claim *found =
            of->stream.count == 0 ? NULL
                                  : bsearch(claim, of->stream.list, of->stream.count, sizeof *claim, by_sequence);
        char id[EVENT_ID_SIZE];
        if (found != NULL && found->number == claim->number)
            continue;
        name_event(of, claim->number, id);
        checker_violated(of, property, "%s said to be at %" PRIu64 ", where the stream holds %s", id, claim->sequence,
                         found == NULL ? "nothing" : "another");
    }
}

/* One row per property that can be seen from an event's record alone. */
static void judge_record(checker *of, const checker_record *r)
{
    const struct {
        checker_property property;
        bool violated;
    } rows[] = {
        { CHECKER_ACKED_NOT_LOST, r->acked > 0 && r->stored == 0 },
        { CHECKER_NO_UNEXPECTED, (r->stored > 0 || r->delivered > 0 || r->done > 0) && r->attempts == 0 },
        { CHECKER_CERTAIN_FAILURE_ABSENT,
          r->refused > 0 && r->unknown == 0 && r->acked == 0 && !r->open && r->stored > 0 },
        { CHECKER_STORED_ONCE, r->stored > 1 },
        { CHECKER_PUBLISH_ORDER, r->attempts > 0 && r->stored > 0 && r->sequence <= r->floor },
        { CHECKER_ALL_SETTLED, (r->stored > 0 || r->acked > 0) && r->done == 0 },
        { CHECKER_PROCESSED_ONCE, r->done > 1 },
        { CHECKER_ALL_PUBLISHED, r->acked == 0 },
        { CHECKER_ONE_OUTCOME, r->open },
        { CHECKER_WORK_BEFORE_ACK, r->delivered > 0 && r->settled == 0 },
    };
    char id[EVENT_ID_SIZE];

    name_event(of, (uint64_t)(r - of->records), id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].violated)
            checker_violated(of, rows[i].property, "%s", id);
}

static void count_record(const checker_record *r, checker_report *out)
{
    bool kept = r->acked > 0 || r->stored > 0;

    out->published += r->acked > 0;
    out->processed += r->done > 0;
    out->duplicates += r->delivered > 1 ? r->delivered - 1 : 0;
    out->recovered += r->unknown > 0 && r->stored > 0;
    out->lost += (r->acked > 0 && r->stored == 0) || (kept && r->done == 0);
}

void checker_judge(checker *of, checker_report *out)
{
    *out = (checker_report){ .expected = of->count, .stored = of->stream.count };
    for (uint64_t i = 0; i < of->count; i++) {
        judge_record(of, &of->records[i]);
        count_record(&of->records[i], out);
    }
    compare_claims(of, &of->acked, CHECKER_ACK_NAMES_ITS_MESSAGE);
    compare_claims(of, &of->delivered, CHECKER_PAYLOAD_INTACT);
    memcpy(out->violations, of->violations, sizeof out->violations);
}

bool checker_passed(const checker_report *report)
{
    bool passed = report->lost == 0 && report->expected > 0;

    for (size_t i = 0; i < CHECKER_PROPERTY_COUNT; i++)
        passed = passed && report->violations[i].count == 0;
    return passed;
}
