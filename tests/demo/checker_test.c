/* SPDX-License-Identifier: Apache-2.0 */
/* The checker is only worth something if it cannot be satisfied by a false ledger: lines cut, repeated, swapped and
 * invented must each be caught, and each property must be violated by the one thing that violates it. */
#define _GNU_SOURCE
#include "checker.h"

#include "generator.h"
#include "ledger.h"
#include "support/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN "run"

enum { TRIPS = 3, EVENTS = TRIPS * EVENTS_PER_TRIP, LINES_MAX = 128, LINE_OCTETS = 256, STORED_MAX = 32 };

/* A ledger as lines without number and time; the numbering is added when the checker gets it. */
typedef struct lines {
    size_t count;
    char line[LINES_MAX][LINE_OCTETS];
} lines;

typedef struct stored {
    uint64_t sequence;
    const char *subject;
    char payload[EVENT_PAYLOAD_MAX + 1];
} stored;

/* Everything that the checker is shown of a run. */
typedef struct world {
    ride_event events[EVENTS];
    lines publisher, processor;
    stored stream[STORED_MAX];
    size_t stored_count;
    bool unnumbered; /* lines carry their own numbers already */
} world;

static void add(lines *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(lines *to, const char *format, ...)
{
    va_list arguments;

    assert_true(to->count < LINES_MAX);
    va_start(arguments, format);
    vsnprintf(to->line[to->count++], LINE_OCTETS, format, arguments);
    va_end(arguments);
}

static void store(world *w, uint64_t sequence, const ride_event *event)
{
    stored *to = &w->stream[w->stored_count++];

    *to = (stored){ .sequence = sequence, .subject = event->subject };
    memcpy(to->payload, event->payload, event->length);
}

static void deliver(world *w, size_t event, uint64_t sequence, int delivery)
{
    const ride_event *e = &w->events[event];

    add(&w->processor, "\"e\":\"cons.deliver\",\"id\":\"%s\",\"seq\":%" PRIu64 ",\"d\":%d,\"sum\":\"%016" PRIx64 "\"",
        e->id, sequence, delivery, event_sum(e->payload, e->length));
}

static void publish(world *w, size_t event)
{
    const char *id = w->events[event].id;

    add(&w->publisher, "\"e\":\"pub.attempt\",\"id\":\"%s\"", id);
    if (event == 2) { /* one that failed for certain, one that is unknown, then stored */
        add(&w->publisher, "\"e\":\"pub.fail\",\"id\":\"%s\",\"certain\":true", id);
        add(&w->publisher, "\"e\":\"pub.attempt\",\"id\":\"%s\"", id);
        add(&w->publisher, "\"e\":\"pub.fail\",\"id\":\"%s\",\"certain\":false", id);
        add(&w->publisher, "\"e\":\"pub.attempt\",\"id\":\"%s\"", id);
    }
    add(&w->publisher, "\"e\":\"pub.ack\",\"id\":\"%s\",\"stream\":\"RIDE_STREAM\",\"seq\":%zu,\"dup\":%s", id,
        event + 1, event == 2 ? "true" : "false");
}

static void process(world *w, size_t event)
{
    const char *id = w->events[event].id;

    deliver(w, event, event + 1, 1);
    add(&w->processor, "\"e\":\"proc.done\",\"id\":\"%s\"", id);
    add(&w->processor, "\"e\":\"cons.ack\",\"id\":\"%s\"", id);
    if (event != 5)
        return;
    deliver(w, event, event + 1, 2); /* that ack was lost */
    add(&w->processor, "\"e\":\"cons.ack\",\"id\":\"%s\"", id);
}

/* A run in which nothing is wrong. */
static world *good_world(void)
{
    world *w = calloc(1, sizeof *w);
    generator from;
    trip each;

    assert_non_null(w);
    generator_start(&from, 1);
    for (size_t i = 0; i < EVENTS; i++) {
        if (i % EVENTS_PER_TRIP == 0)
            generator_next(&from, &each);
        assert_true(event_build(&w->events[i], RUN, &each, (unsigned)(i % EVENTS_PER_TRIP)));
        store(w, i + 1, &w->events[i]);
        publish(w, i);
        process(w, i);
    }
    add(&w->publisher, "\"e\":\"ledger.end\"");
    add(&w->processor, "\"e\":\"ledger.end\"");
    return w;
}

static void number_lines(lines *of)
{
    for (size_t i = 0; i < of->count; i++) {
        char text[LINE_OCTETS];
        strcpy(text, of->line[i]);
        assert_true(snprintf(of->line[i], LINE_OCTETS, "{\"n\":%zu,\"t\":1,%.200s}", i + 1, text) < LINE_OCTETS);
    }
}

static void show_ledger(checker *to, const lines *from, const char *name)
{
    static char text[LINES_MAX * LINE_OCTETS];
    size_t length = 0;
    problem why;

    for (size_t i = 0; i < from->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s\n", from->line[i]);
    FILE *in = fmemopen(text, length, "r");
    assert_non_null(in);
    assert_true(checker_ledger(to, in, name, &why));
    fclose(in);
}

/* Judges and frees the world. */
static checker_report judge(world *w)
{
    checker *c = checker_new(RUN);
    checker_report report;

    assert_non_null(c);
    if (!w->unnumbered) {
        number_lines(&w->publisher);
        number_lines(&w->processor);
    }
    for (size_t i = 0; i < EVENTS; i++)
        assert_true(checker_expect(c, &w->events[i]));
    for (size_t i = 0; i < w->stored_count; i++)
        assert_true(checker_stored(c, w->stream[i].sequence, w->stream[i].subject, w->stream[i].payload,
                                   strlen(w->stream[i].payload)));
    show_ledger(c, &w->publisher, "publisher");
    show_ledger(c, &w->processor, "processor");
    checker_judge(c, &report);
    checker_free(c);
    free(w);
    return report;
}

static void test_good_run_passes(void **state)
{
    checker_report report = judge(good_world());

    (void)state;
    assert_true(checker_passed(&report));
    assert_int_equal(report.expected, EVENTS);
    assert_int_equal(report.published, EVENTS);
    assert_int_equal(report.stored, EVENTS);
    assert_int_equal(report.processed, EVENTS);
    assert_int_equal(report.duplicates, 1);
    assert_int_equal(report.recovered, 1);
    assert_int_equal(report.lost, 0);
}

/* --- every line of a ledger --- */

static void cut(lines *of, size_t at)
{
    memmove(of->line[at], of->line[at + 1], (of->count - at - 1) * LINE_OCTETS);
    of->count--;
}

static void repeat(lines *of, size_t at)
{
    assert_true(of->count < LINES_MAX);
    memmove(of->line[at + 1], of->line[at], (of->count - at) * LINE_OCTETS);
    of->count++;
}

static void swap(lines *of, size_t at)
{
    char kept[LINE_OCTETS];

    if (at + 1 == of->count)
        at--;
    memcpy(kept, of->line[at], LINE_OCTETS);
    memcpy(of->line[at], of->line[at + 1], LINE_OCTETS);
    memcpy(of->line[at + 1], kept, LINE_OCTETS);
}

static void cut_in_the_middle(lines *of, size_t at)
{
    of->line[at][strlen(of->line[at]) / 2] = '\0';
}

static void change_a_digit(lines *of, size_t at)
{
    char *digit = of->line[at] + strlen(of->line[at]);

    while (digit > of->line[at] && (*digit < '0' || *digit > '9'))
        digit--;
    if (digit > of->line[at])
        *digit = *digit == '7' ? '8' : '7';
}

static lines *ledger_of(world *w, bool publisher)
{
    return publisher ? &w->publisher : &w->processor;
}

/* The judgement after |harm| was done to one line of one ledger. */
static checker_report harmed(bool publisher, void (*harm)(lines *of, size_t at), size_t at, bool renumbered)
{
    world *w = good_world();

    if (!renumbered) {
        number_lines(&w->publisher);
        number_lines(&w->processor);
        w->unnumbered = true;
    }
    harm(ledger_of(w, publisher), at);
    return judge(w);
}

static size_t count_lines(bool publisher)
{
    world *w = good_world();
    size_t count = ledger_of(w, publisher)->count;

    free(w);
    return count;
}

static const struct {
    const char *name;
    void (*harm)(lines *of, size_t at);
} harms[] = {
    { "cut", cut },
    { "repeated", repeat },
    { "swapped", swap },
    { "torn", cut_in_the_middle },
};

static void test_every_line(void **state)
{
    (void)state;
    for (int publisher = 0; publisher < 2; publisher++) {
        for (size_t at = 0, count = count_lines(publisher); at < count; at++) {
            for (size_t h = 0; h < sizeof harms / sizeof harms[0]; h++) {
                checker_report report = harmed(publisher, harms[h].harm, at, false);
                CHECK(harms[h].name, !checker_passed(&report));
            }
        }
    }
}

/* Making the numbers good afterwards does not help a forger: what the lines say must still fit together. Only one
 * delivery more, or one delivery or ack less of an event that has two, are legal stories too. */
static void test_every_line_renumbered(void **state)
{
    (void)state;
    for (int publisher = 0; publisher < 2; publisher++) {
        for (size_t at = 0, count = count_lines(publisher); at < count; at++) {
            world *w = good_world();
            const char *line = ledger_of(w, publisher)->line[at];
            bool delivery = strstr(line, "cons.deliver") != NULL;
            bool one_of_two = strstr(line, "cons.") != NULL && strstr(line, w->events[5].id) != NULL;
            free(w);
            checker_report report = harmed(publisher, cut, at, true);
            CHECK("cut", one_of_two || !checker_passed(&report));
            report = harmed(publisher, repeat, at, true);
            CHECK("repeated", delivery || !checker_passed(&report));
            report = harmed(publisher, change_a_digit, at, true);
            CHECK("changed", at + 1 == count || !checker_passed(&report)); /* the end line has no digit */
        }
    }
}

/* --- one property at a time --- */

static size_t find(const lines *in, const char *kind, const char *id)
{
    char start[LINE_OCTETS];

    snprintf(start, sizeof start, "\"e\":\"%s\",\"id\":\"%s\"", kind, id);
    for (size_t at = 0; at < in->count; at++)
        if (strncmp(in->line[at], start, strlen(start)) == 0)
            return at;
    TS_FAIL("no line %s", start);
}

static void cut_line(lines *in, const char *kind, const char *id)
{
    cut(in, find(in, kind, id));
}

/* Writes |text| over the first |found| in the line; both are equally long, or |found| goes to the line's end. */
static void write_over(lines *in, const char *kind, const char *id, const char *found, const char *text)
{
    char *at = strstr(in->line[find(in, kind, id)], found);

    assert_non_null(at);
    memcpy(at, text, strlen(text));
}

static void add_before_end(lines *to, const char *line)
{
    assert_true(to->count < LINES_MAX);
    strcpy(to->line[to->count], to->line[to->count - 1]);
    strcpy(to->line[to->count - 1], line);
    to->count++;
}

static void drop_stored(world *w, size_t at)
{
    memmove(&w->stream[at], &w->stream[at + 1], (w->stored_count - at - 1) * sizeof w->stream[0]);
    w->stored_count--;
}

static void lose_stored(world *w)
{
    drop_stored(w, 6);
}
static void store_invented(world *w)
{
    store(w, 99, &w->events[0]);
    strcpy(w->stream[w->stored_count - 1].payload, "{\"id\":\"run-4-1\"}");
}
static void store_of_nobody(world *w)
{
    store(w, 99, &w->events[0]);
    strcpy(w->stream[w->stored_count - 1].payload, "hello");
}
static void never_attempted(world *w)
{
    cut_line(&w->publisher, "pub.attempt", w->events[7].id);
    cut_line(&w->publisher, "pub.ack", w->events[7].id);
}
static void invent_work(world *w)
{
    add_before_end(&w->processor, "\"e\":\"proc.done\",\"id\":\"run-99-1\"");
}
static void certainly_refused(world *w)
{
    strcpy(w->publisher.line[find(&w->publisher, "pub.ack", w->events[7].id)],
           "\"e\":\"pub.fail\",\"id\":\"run-2-4\",\"certain\":true");
}
static void swap_acks(world *w)
{
    write_over(&w->publisher, "pub.ack", w->events[7].id, "\"seq\":8", "\"seq\":9");
}
static void ack_of_another_stream(world *w)
{
    write_over(&w->publisher, "pub.ack", w->events[7].id, "RIDE", "SIDE");
}
static void store_twice(world *w)
{
    store(w, 50, &w->events[3]);
}
static void store_out_of_order(world *w)
{
    stored kept = w->stream[8];

    w->stream[8] = w->stream[9];
    w->stream[9] = kept;
    w->stream[8].sequence = 9;
    w->stream[9].sequence = 10;
}
static void attempt_out_of_order(world *w)
{
    swap(&w->publisher, w->publisher.count - 4); /* ack 11, attempt 12 */
    swap(&w->publisher, w->publisher.count - 5); /* attempt 11, attempt 12 */
}
static void forget_work(world *w)
{
    cut_line(&w->processor, "proc.done", w->events[4].id);
}
static void work_twice(world *w)
{
    add_before_end(&w->processor, "\"e\":\"proc.done\",\"id\":\"run-1-3\"");
}
static void damage_stored(world *w)
{
    strstr(w->stream[4].payload, "\"lat\":-6")[7] = '5';
}
static void store_under_other_subject(world *w)
{
    w->stream[4].subject = "ride.started";
}
static void damage_delivered(world *w)
{
    write_over(&w->processor, "cons.deliver", w->events[4].id, "\"sum\"", "\"sum\":\"0000000000000000\"");
}
static void deliver_other_sequence(world *w)
{
    write_over(&w->processor, "cons.deliver", w->events[4].id, "\"seq\":5", "\"seq\":6");
}
static void no_outcome(world *w)
{
    cut_line(&w->publisher, "pub.ack", w->events[7].id);
}
static void two_outcomes(world *w)
{
    add_before_end(&w->publisher, "\"e\":\"pub.fail\",\"id\":\"run-1-3\",\"certain\":false");
}
static void ack_before_work(world *w)
{
    swap(&w->processor, find(&w->processor, "proc.done", w->events[4].id));
}
static void no_ack(world *w)
{
    cut_line(&w->processor, "cons.ack", w->events[4].id);
}
static void ack_without_delivery(world *w)
{
    add_before_end(&w->processor, "\"e\":\"cons.ack\",\"id\":\"run-1-3\"");
}
static void confirmation_without_ack(world *w)
{
    for (int i = 0; i < 2; i++) /* the first is legal */
        add_before_end(&w->processor, "\"e\":\"cons.ackack\",\"id\":\"run-1-3\"");
}
static void unknown_kind(world *w)
{
    add_before_end(&w->processor, "\"e\":\"cons.shrug\",\"id\":\"run-1-3\"");
}
static void no_end(world *w)
{
    w->processor.count--;
}
static void line_after_end(world *w)
{
    add(&w->processor, "\"e\":\"proc.done\",\"id\":\"run-1-3\"");
}
static void wrong_type(world *w)
{
    write_over(&w->publisher, "pub.ack", w->events[7].id, "false", "12345");
}

#define ONLY(property) (1u << CHECKER_##property)
#define LOST 1
#define NOT_LOST 0

/* Each is what breaks exactly these properties and no other. */
static const struct {
    const char *name;
    void (*harm)(world *w);
    unsigned violated;
    uint64_t lost;
} breaks[] = {
    { "an acknowledged event is not in the stream", lose_stored,
      ONLY(ACKED_NOT_LOST) | ONLY(ACK_NAMES_ITS_MESSAGE) | ONLY(PAYLOAD_INTACT), LOST },
    { "an event of no trip is stored", store_invented, ONLY(NO_UNEXPECTED), NOT_LOST },
    { "something else is stored", store_of_nobody, ONLY(NO_UNEXPECTED), NOT_LOST },
    { "stored and processed, but never attempted", never_attempted,
      ONLY(NO_UNEXPECTED) | ONLY(ALL_PUBLISHED) | ONLY(PUBLISH_ORDER), NOT_LOST },
    { "an event of no trip is processed", invent_work, ONLY(NO_UNEXPECTED), NOT_LOST },
    { "said to be refused, but stored", certainly_refused, ONLY(CERTAIN_FAILURE_ABSENT) | ONLY(ALL_PUBLISHED),
      NOT_LOST },
    { "an acknowledgement with another's sequence", swap_acks, ONLY(ACK_NAMES_ITS_MESSAGE) | ONLY(PUBLISH_ORDER),
      NOT_LOST },
    { "an acknowledgement of another stream", ack_of_another_stream, ONLY(ACK_NAMES_ITS_MESSAGE), NOT_LOST },
    { "stored twice", store_twice, ONLY(STORED_ONCE), NOT_LOST },
    { "stored in another order", store_out_of_order,
      ONLY(PUBLISH_ORDER) | ONLY(ACK_NAMES_ITS_MESSAGE) | ONLY(PAYLOAD_INTACT), NOT_LOST },
    { "attempted in another order", attempt_out_of_order, ONLY(PUBLISH_ORDER), NOT_LOST },
    { "never processed", forget_work, ONLY(ALL_SETTLED) | ONLY(WORK_BEFORE_ACK), LOST },
    { "processed twice", work_twice, ONLY(PROCESSED_ONCE), NOT_LOST },
    { "damaged in the stream", damage_stored, ONLY(PAYLOAD_INTACT), NOT_LOST },
    { "stored under another subject", store_under_other_subject, ONLY(PAYLOAD_INTACT), NOT_LOST },
    { "damaged at delivery", damage_delivered, ONLY(PAYLOAD_INTACT), NOT_LOST },
    { "delivered as another sequence", deliver_other_sequence, ONLY(PAYLOAD_INTACT), NOT_LOST },
    { "an attempt without outcome", no_outcome, ONLY(ONE_OUTCOME) | ONLY(ALL_PUBLISHED), NOT_LOST },
    { "an outcome too many", two_outcomes, ONLY(ONE_OUTCOME), NOT_LOST },
    { "acked before the work", ack_before_work, ONLY(WORK_BEFORE_ACK), NOT_LOST },
    { "delivered, never acked", no_ack, ONLY(WORK_BEFORE_ACK), NOT_LOST },
    { "acked more often than delivered", ack_without_delivery, ONLY(WORK_BEFORE_ACK), NOT_LOST },
    { "confirmed, not acked", confirmation_without_ack, ONLY(WORK_BEFORE_ACK), NOT_LOST },
    { "a line of an unknown kind", unknown_kind, ONLY(LEDGER_WHOLE), NOT_LOST },
    { "no end line", no_end, ONLY(LEDGER_WHOLE), NOT_LOST },
    { "a line after the end", line_after_end, ONLY(LEDGER_WHOLE), NOT_LOST },
    { "a field of the wrong type", wrong_type, ONLY(LEDGER_WHOLE) | ONLY(ONE_OUTCOME) | ONLY(ALL_PUBLISHED), NOT_LOST },
};

static void test_each_property(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        world *w = good_world();
        unsigned violated = 0;
        breaks[i].harm(w);
        checker_report report = judge(w);
        for (unsigned p = 0; p < CHECKER_PROPERTY_COUNT; p++)
            violated |= (report.violations[p].count > 0 ? 1u : 0u) << p;
        if (violated != breaks[i].violated)
            checker_print(&report, stderr);
        CHECK(breaks[i].name, violated == breaks[i].violated);
        CHECK(breaks[i].name, report.lost == breaks[i].lost);
        CHECK(breaks[i].name, !checker_passed(&report));
    }
}

/* Every property is broken by some row above, so none is only for show. */
static void test_table_is_complete(void **state)
{
    unsigned covered = 0;

    (void)state;
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++)
        covered |= breaks[i].violated;
    assert_int_equal(covered, (1u << CHECKER_PROPERTY_COUNT) - 1);
}

static void test_nothing_expected_is_no_pass(void **state)
{
    checker *c = checker_new(RUN);
    checker_report report;

    (void)state;
    assert_non_null(c);
    checker_judge(c, &report);
    assert_false(checker_passed(&report));
    checker_free(c);
}

/* What the ledger writes is what the checker reads, hostile ids included. */
static void test_written_ledger_is_read(void **state)
{
    char directory[] = "/tmp/nbj-checker-test-XXXXXX", path[64];
    world *w = good_world();
    checker *c = checker_new(RUN);
    checker_report report;
    problem why;
    const ride_event *event = &w->events[0];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/l", directory);
    ledger *l = ledger_create(directory, "l", &why);
    assert_non_null(l);
    assert_null(ledger_create(directory, "l", &why)); /* a ledger is never written over */
    ledger_attempt(l, event->id);
    ledger_failed(l, event->id, false);
    ledger_attempt(l, event->id);
    ledger_stored(l, event->id, RIDE_STREAM, UINT64_C(9007199254740993), true);
    ledger_delivered(l, event->id, UINT64_C(9007199254740993), 1, event_sum(event->payload, event->length));
    ledger_done(l, event->id);
    ledger_acked(l, event->id);
    ledger_ack_confirmed(l, event->id);
    ledger_done(l, "\"},\n{\"e\":\"proc.done\"");
    assert_true(ledger_close(l, &why));
    assert_true(checker_expect(c, event));
    assert_true(checker_stored(c, UINT64_C(9007199254740993), event->subject, event->payload, event->length));
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(checker_ledger(c, in, "l", &why));
    fclose(in);
    checker_judge(c, &report);
    assert_int_equal(report.published, 1);
    assert_int_equal(report.processed, 1);
    assert_int_equal(report.lost, 0);
    for (unsigned p = 0; p < CHECKER_PROPERTY_COUNT; p++)
        assert_int_equal(report.violations[p].count, p == CHECKER_NO_UNEXPECTED); /* the hostile id */
    checker_free(c);
    free(w);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_run_passes),        cmocka_unit_test(test_every_line),
        cmocka_unit_test(test_every_line_renumbered),  cmocka_unit_test(test_each_property),
        cmocka_unit_test(test_table_is_complete),      cmocka_unit_test(test_nothing_expected_is_no_pass),
        cmocka_unit_test(test_written_ledger_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
