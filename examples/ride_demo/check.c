/* SPDX-License-Identifier: Apache-2.0 */
/* The third process: gathers the evidence, lets the checker judge it and prints the result. It recomputes the events
 * from the trips, reads the stream by its own few lines of protocol, and believes no counter of the library. */
#define _GNU_SOURCE
#include "checker.h"
#include "ledger.h"
#include "parts.h"
#include "stream_reader.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

typedef struct gathering {
    checker *judge;
    ledger *notes; /* what the stream holds, for whoever looks at the run later */
} gathering;

static bool expect_trip(checker *judge, const char *run, const trip *of, problem *why)
{
    ride_event event;

    for (unsigned step = 0; step < EVENTS_PER_TRIP; step++)
        if (!event_build(&event, run, of, step) || !checker_expect(judge, &event))
            return problem_set(why, "out of memory");
    return true;
}

static bool expect_all(checker *judge, const options *with, uint64_t *skipped, problem *why)
{
    trip_source source;
    trip each;
    bool good = true;
    trip_result result = TRIP_OK;

    if (!trip_source_open(&source, &with->source, NULL, NULL, why))
        return false;
    while (good && (result = trip_source_next(&source, &each, why)) == TRIP_OK)
        good = expect_trip(judge, with->run, &each, why);
    *skipped = trip_source_skipped(&source);
    trip_source_close(&source);
    return good && result == TRIP_END;
}

static bool take_message(void *user, uint64_t sequence, const char *subject, const char *payload, size_t length,
                         problem *why)
{
    gathering *to = user;
    char id[EVENT_ID_SIZE];

    ledger_in_stream(to->notes, event_read_id(payload, length, id) ? id : "", sequence);
    return checker_stored(to->judge, sequence, subject, payload, length) || problem_set(why, "out of memory");
}

static bool read_stream(checker *judge, const options *with, problem *why)
{
    raw_nats *connection = raw_nats_open(with->port, why);
    if (connection == NULL)
        return false;
    gathering to = { judge, ledger_create(with->directory, STREAM_LEDGER, why) };
    bool good = to.notes != NULL && stream_read(connection, RIDE_STREAM, take_message, &to, why);
    raw_nats_close(connection);
    problem closing;
    if (to.notes == NULL || ledger_close(to.notes, &closing))
        return good;
    return good ? problem_set(why, "%s", closing.text) : false;
}

static bool read_ledger(checker *judge, const options *with, const char *name, problem *why)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", with->directory, name);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return problem_set(why, "%.200s: cannot open: %s", path, strerror(errno));
    bool good = checker_ledger(judge, in, name, why);
    fclose(in);
    return good;
}

static bool gather(checker *judge, const options *with, uint64_t *skipped, problem *why)
{
    return expect_all(judge, with, skipped, why) && read_stream(judge, with, why) &&
           read_ledger(judge, with, PUBLISHER_LEDGER, why) && read_ledger(judge, with, PROCESSOR_LEDGER, why);
}

int check_run(const options *with)
{
    checker *judge = checker_new(with->run);
    checker_report report;
    problem why;
    uint64_t skipped = 0;

    if (judge == NULL || !gather(judge, with, &skipped, &why)) {
        if (judge == NULL)
            problem_set(&why, "out of memory");
        checker_free(judge);
        return complain(EXIT_TROUBLE, "checker", &why);
    }
    checker_judge(judge, &report);
    checker_print(&report, stdout);
    if (with->source.path != NULL)
        printf("  %llu malformed rows of %s were skipped\n", (unsigned long long)skipped, with->source.path);
    checker_free(judge);
    return checker_passed(&report) ? EXIT_PASSED : EXIT_FAILED;
}
