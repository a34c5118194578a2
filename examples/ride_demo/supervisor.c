/* SPDX-License-Identifier: Apache-2.0 */
/* The whole demo: starts a private server, a publisher and a processor, kills the server half-way, restarts it,
 * waits until the server itself says that all is delivered and acknowledged, and lets the checker judge.
 * Owns: the order of things, the other processes, the bounds on waiting. Does not own: any verdict on the events.
 *
 * One loop, one stage at a time; a stage that does not move for the patience asked for is a failure that says what is
 * missing. Every process is started and stopped by its id, also on Ctrl-C. */
#define _GNU_SOURCE
#include "count.h"
#include "events.h"
#include "part.h"
#include "parts.h"
#include "progress.h"
#include "server.h"
#include "stream_reader.h"
#include "workdir.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    TICK_MS = 20,
    ASK_EVERY_MS = 200,  /* for the state of the consumer */
    DOWN_MS = 500,       /* between kill and restart */
    PART_END_MS = 10000, /* for a part to end after it was told */
    RATES_MAX = 8,
    SINGLES_MAX = 2000,
};

typedef enum stage {
    STAGE_FIRST_HALF,  /* next: DOWN when half of the events are acknowledged */
    STAGE_DOWN,        /* next: SECOND_HALF after DOWN_MS, with the server restarted */
    STAGE_SECOND_HALF, /* next: SETTLING when the publisher has ended well */
    STAGE_SETTLING,    /* next: STOPPING when the server says that nothing is pending */
    STAGE_STOPPING,    /* next: CHECKING when publisher and processor are gone; also entered on failure */
    STAGE_CHECKING,    /* next: DONE when the checker has ended */
    STAGE_DONE,
} stage;

typedef struct supervisor {
    const options *with;
    char run[EVENT_RUN_MAX], directory[WORKDIR_PATH_MAX];
    stage stage;
    int status, signals; /* exit status so far; descriptor of arriving signals */
    uint64_t events;     /* of the whole run */
    uint64_t entered_ns, moved_ns, asked_ns;
    consumer_state consumer;
    server server;
    part publisher, processor, checker;
    progress progress;
    char rates[RATES_MAX][192];
    size_t rate_count;
} supervisor;

/* What a report line is about: the part it came from. */
typedef struct told {
    supervisor *to;
    part *by;
} told;

static void enter(supervisor *s, stage next)
{
    s->stage = next;
    s->entered_ns = s->moved_ns = report_now_ns();
}

static bool passed_ms(uint64_t since_ns, uint64_t milliseconds)
{
    return report_now_ns() - since_ns >= milliseconds * 1000000u;
}

static void end_parts(supervisor *s)
{
    if (s->publisher.process.pid != 0)
        kill(s->publisher.process.pid, SIGTERM);
    if (s->processor.process.pid != 0)
        kill(s->processor.process.pid, SIGTERM);
    enter(s, STAGE_STOPPING);
}

/* The run has failed. What there is is still judged, so that what is missing gets its names. */
__attribute__((format(printf, 2, 3))) static void give_up(supervisor *s, const char *format, ...)
{
    problem why;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why.text, sizeof why.text, format, arguments);
    va_end(arguments);
    progress_say(&s->progress, "FAILED: %s", why.text);
    s->status = EXIT_FAILED;
    if (s->stage < STAGE_STOPPING)
        end_parts(s);
    else if (s->stage == STAGE_CHECKING)
        enter(s, STAGE_DONE);
}

/* --- reports of the parts --- */

static void on_progress(void *user, uint64_t events)
{
    const told *t = user;

    if (events > t->by->events)
        t->to->moved_ns = report_now_ns();
    t->by->events = events;
    t->to->progress.published = t->to->publisher.events;
    t->to->progress.processed = t->to->processor.events;
}

static void on_rate(void *user, uint64_t nanoseconds, uint64_t events, const char *what)
{
    const told *t = user;
    char per_second[COUNT_TEXT_SIZE], count[COUNT_TEXT_SIZE], shown[64];

    if (t->to->rate_count == RATES_MAX || nanoseconds == 0)
        return;
    problem_show(shown, sizeof shown, what);
    count_text((uint64_t)((double)events * 1e9 / (double)nanoseconds), per_second);
    count_text(events, count);
    snprintf(t->to->rates[t->to->rate_count++], sizeof t->to->rates[0], "%8s events/s %s (%s)", per_second, shown,
             count);
}

static void on_note(void *user, const char *text)
{
    const told *t = user;
    char shown[REPORT_LINE_MAX];

    problem_show(shown, sizeof shown, text);
    progress_say(&t->to->progress, "%s: %s", t->by->process.name, shown);
}

static void read_reports(supervisor *s, part *from)
{
    told t = { s, from };
    report_sink sink = { on_progress, on_rate, on_note, &t };

    if (from->process.out >= 0 && !report_read(&from->reader, from->process.out, &sink))
        child_close(&from->process);
}

/* --- starting --- */

static bool start_part(supervisor *s, part *out, part_kind kind, problem *why)
{
    const part_setting setting = {
        .with = s->with,
        .run = s->run,
        .directory = s->directory,
        .port = s->server.port,
        .singles = s->events / 5 < SINGLES_MAX ? s->events / 5 : SINGLES_MAX,
        .drop = s->with->sabotage ? s->events / 3 + 1 : 0,
    };

    return part_start(out, kind, &setting, why);
}

static void on_skip(void *user, uint64_t line, const char *reason)
{
    const char *path = user;

    fprintf(stderr, "%s: line %" PRIu64 ": %s; skipped\n", path, line, reason);
}

/* Reads the trips once, to name the malformed rows and to know where half-way is. */
static bool count_trips(supervisor *s, problem *why)
{
    const trip_source_options *from = &s->with->source;
    trip_source source;
    trip each;
    trip_result result;
    uint64_t trips = 0;

    if (!trip_source_open(&source, from, on_skip, (void *)(uintptr_t)from->path, why))
        return false;
    while ((result = trip_source_next(&source, &each, why)) == TRIP_OK)
        trips++;
    uint64_t skipped = trip_source_skipped(&source);
    trip_source_close(&source);
    if (result == TRIP_FAILED)
        return false;
    if (trips == 0)
        return problem_set(why, "%s has no usable trip (%" PRIu64 " malformed rows)", from->path, skipped);
    s->events = trips * EVENTS_PER_TRIP;
    if (from->path != NULL)
        printf("%" PRIu64 " trips of %s, %" PRIu64 " malformed rows skipped: %" PRIu64 " events\n", trips, from->path,
               skipped, s->events);
    else
        printf("%" PRIu64 " trips made up in Jakarta (seed %" PRIu64 "): %" PRIu64 " events\n", trips, from->seed,
               s->events);
    return true;
}

static bool name_run(supervisor *s, problem *why)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return problem_set(why, "no random number: %s", strerror(errno));
    snprintf(s->run, sizeof s->run, "r%08" PRIx32, random);
    return true;
}

/* From here on signals arrive as something to read. */
static bool catch_signals(supervisor *s, problem *why)
{
    const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaddset(&set, caught[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals >= 0 || problem_set(why, "signals cannot be read: %s", strerror(errno));
}

static bool start_all(supervisor *s, problem *why)
{
    if (!catch_signals(s, why) || !name_run(s, why) || !server_open(&s->server, why) || !count_trips(s, why) ||
        !workdir_create(s->directory, why))
        return false;
    s->server.directory = s->directory;
    if (!server_start(&s->server, why))
        return false;
    printf("%s on 127.0.0.1:%u\n", s->server.program, s->server.port);
    progress_start(&s->progress, stdout, s->events);
    enter(s, STAGE_FIRST_HALF);
    return start_part(s, &s->publisher, PART_PUBLISHER, why) && start_part(s, &s->processor, PART_PROCESSOR, why);
}

/* --- the stages --- */

static void first_half(supervisor *s)
{
    char count[COUNT_TEXT_SIZE];

    if (s->publisher.events < s->events / 2)
        return;
    server_kill(&s->server);
    count_text(s->publisher.events, count);
    progress_say(&s->progress, "server killed (SIGKILL) after %s acknowledged events", count);
    s->progress.server = "down";
    enter(s, STAGE_DOWN);
}

static void down(supervisor *s)
{
    problem why;

    if (!passed_ms(s->entered_ns, DOWN_MS))
        return;
    if (!server_start(&s->server, &why)) {
        give_up(s, "the server did not come back: %s", why.text);
        return;
    }
    progress_say(&s->progress, "server restarted on the same port and store");
    s->progress.server = "up again";
    enter(s, STAGE_SECOND_HALF);
}

static void second_half(supervisor *s)
{
    if (s->publisher.process.ended)
        enter(s, STAGE_SETTLING);
}

static bool is_settled(const consumer_state *state)
{
    return state->exists && state->pending == 0 && state->ack_pending == 0;
}

static void finish(supervisor *s)
{
    progress_say(&s->progress, "the server has nothing left to deliver or to be acknowledged; checking");
    end_parts(s);
}

/* Asks the server itself, not the processor. */
static void settling(supervisor *s)
{
    consumer_state before = s->consumer;
    problem why;

    if (!passed_ms(s->asked_ns, ASK_EVERY_MS))
        return;
    raw_nats *connection = raw_nats_open(s->server.port, &why);
    bool good = connection != NULL && consumer_state_read(connection, RIDE_STREAM, RIDE_DURABLE, &s->consumer, &why);
    raw_nats_close(connection);
    s->asked_ns = report_now_ns();
    if (!good)
        give_up(s, "the state of the consumer cannot be read: %s", why.text);
    else if (is_settled(&s->consumer))
        finish(s);
    else if (before.pending != s->consumer.pending || before.ack_pending != s->consumer.ack_pending)
        s->moved_ns = s->asked_ns;
}

static void cannot_check(supervisor *s, const problem *why)
{
    progress_say(&s->progress, "FAILED: %s", why->text);
    s->status = EXIT_TROUBLE;
    enter(s, STAGE_DONE);
}

static void stopping(supervisor *s)
{
    child *parts[] = { &s->publisher.process, &s->processor.process };
    bool late = passed_ms(s->entered_ns, PART_END_MS);
    problem why;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i]->pid != 0 && late) {
            progress_say(&s->progress, "FAILED: the %s did not end when told to", parts[i]->name);
            s->status = EXIT_FAILED;
            child_stop(parts[i], SIGKILL, PART_END_MS);
        }
        if (parts[i]->pid != 0)
            return;
    }
    if (s->server.process.pid == 0)
        enter(s, STAGE_DONE);
    else if (start_part(s, &s->checker, PART_CHECKER, &why))
        enter(s, STAGE_CHECKING);
    else
        cannot_check(s, &why);
}

static void checking(supervisor *s)
{
    if (!s->checker.process.ended && passed_ms(s->entered_ns, s->with->patience_s * 1000))
        give_up(s, "the checker did not end within %" PRIu64 " s", s->with->patience_s);
    if (!s->checker.process.ended)
        return;
    int status = s->checker.process.status;
    if (status > EXIT_FAILED)
        progress_say(&s->progress, "FAILED: the checker ended with status %d", status);
    if (s->status == EXIT_PASSED && status != EXIT_PASSED)
        s->status = status == EXIT_FAILED ? EXIT_FAILED : EXIT_TROUBLE;
    enter(s, STAGE_DONE);
}

static void (*const stages[STAGE_DONE])(supervisor *s) = {
    [STAGE_FIRST_HALF] = first_half, [STAGE_DOWN] = down,         [STAGE_SECOND_HALF] = second_half,
    [STAGE_SETTLING] = settling,     [STAGE_STOPPING] = stopping, [STAGE_CHECKING] = checking,
};

/* --- what may go wrong at any time --- */

static bool may_end(const supervisor *s, const part *of)
{
    return of == &s->publisher ? of->events == s->events : s->stage == STAGE_STOPPING;
}

static void look_at_part(supervisor *s, part *of)
{
    bool before = of->process.ended;

    if (!child_gone(&of->process) || before)
        return;
    while (of->process.out >= 0) /* its last words; nobody else holds the pipe, so it ends */
        read_reports(s, of);
    if (of->process.status != 0 || !may_end(s, of))
        give_up(s, "the %s ended with status %d after %" PRIu64 " of %" PRIu64 " events", of->process.name,
                of->process.status, of->events, s->events);
}

static void look_at_children(supervisor *s)
{
    if (s->stage < STAGE_STOPPING)
        look_at_part(s, &s->publisher);
    look_at_part(s, &s->processor);
    child_gone(&s->publisher.process); /* told to end early after a failure, it may end as it likes */
    child_gone(&s->checker.process);
    if (s->server.process.pid != 0 && child_gone(&s->server.process))
        give_up(s, "the server ended by itself with status %d", s->server.process.status);
}

static void look_at_clock(supervisor *s)
{
    if (s->stage >= STAGE_STOPPING || !passed_ms(s->moved_ns, s->with->patience_s * 1000))
        return;
    if (s->stage == STAGE_SETTLING)
        give_up(s,
                "nothing moved for %" PRIu64 " s: the server still holds %" PRIu64 " events to deliver and %" PRIu64
                " to be acknowledged",
                s->with->patience_s, s->consumer.pending, s->consumer.ack_pending);
    else
        give_up(s,
                "nothing moved for %" PRIu64 " s: %" PRIu64 " of %" PRIu64 " events published, %" PRIu64 " processed",
                s->with->patience_s, s->publisher.events, s->events, s->processor.events);
}

static void look_at_signals(supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        progress_say(&s->progress, "interrupted");
        s->status = EXIT_INTERRUPTED;
        enter(s, STAGE_DONE);
    }
}

static void supervise(supervisor *s)
{
    while (s->stage != STAGE_DONE) { /* every stage is bounded by patience */
        struct pollfd news[] = {
            { .fd = s->signals, .events = POLLIN },
            { .fd = s->publisher.process.out, .events = POLLIN },
            { .fd = s->processor.process.out, .events = POLLIN },
        };
        poll(news, sizeof news / sizeof news[0], TICK_MS);
        read_reports(s, &s->publisher);
        read_reports(s, &s->processor);
        look_at_signals(s);
        look_at_children(s);
        look_at_clock(s);
        if (s->stage < STAGE_STOPPING)
            progress_show(&s->progress, report_now_ns());
        if (s->stage != STAGE_DONE)
            stages[s->stage](s);
    }
}

static void tear_down(supervisor *s)
{
    part *parts[] = { &s->publisher, &s->processor, &s->checker };

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        child_stop(&parts[i]->process, SIGTERM, PART_END_MS / 4);
        child_close(&parts[i]->process);
    }
    server_close(&s->server);
    close(s->signals);
    if (s->directory[0] == '\0')
        return;
    bool evidence = s->status != EXIT_PASSED && s->status != EXIT_INTERRUPTED && !s->with->sabotage;
    if (s->with->keep || evidence)
        printf("ledgers, server log and store are kept in %s\n", s->directory);
    else
        workdir_remove(s->directory);
}

int supervisor_run(const options *with)
{
    supervisor s = { .with = with, .signals = -1 };
    problem why;

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); /* a closed terminal must not keep us from cleaning up */
    s.server = SERVER_NONE;
    s.publisher.process = s.processor.process = s.checker.process = CHILD_NONE;
    if (start_all(&s, &why)) {
        supervise(&s);
        for (size_t i = 0; i < s.rate_count; i++)
            printf("  %s\n", s.rates[i]);
    } else {
        s.status = complain(EXIT_TROUBLE, "", &why);
    }
    tear_down(&s);
    return s.status;
}
