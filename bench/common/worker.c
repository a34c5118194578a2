/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the worker's side of the conversation with the runner. */
#define _GNU_SOURCE

#include "worker.h"

#include "fail.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool announces;

void round_begin(round *r)
{
    meter_begin(&r->meter);
    if (announces && write(STDOUT_FILENO, "running\n", 8) != 8)
        fail("the runner is gone");
}

void round_end(round *r)
{
    meter_end(&r->meter);
}

void round_latency(round *r, uint64_t began_ns)
{
    if (r->latencies < r->messages)
        r->latency_ns[r->latencies++] = now_ns() - began_ns;
}

void subject_of(const job *j, size_t n, char *out, size_t size)
{
    if (j->subscriptions == 1)
        snprintf(out, size, "%s", BENCH_SUBJECT);
    else
        snprintf(out, size, "%s.%05zu", BENCH_SUBJECT, n);
}

void write_base64(char *out, size_t digits, uint64_t n)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

    for (size_t i = digits; i > 0; i--, n >>= 6)
        out[i - 1] = alphabet[n & 63];
}

void make_id(char out[BENCH_ID_LENGTH + 1])
{
    static char prefix[BENCH_ID_LENGTH - 8];
    static uint64_t count;

    if (count == 0)
        write_base64(prefix, sizeof prefix, now_ns() ^ (uint64_t)getpid() << 40);
    memcpy(out, prefix, sizeof prefix);
    write_base64(out + sizeof prefix, 8, ++count);
    out[BENCH_ID_LENGTH] = '\0';
}

static void set_member(job *j, const char *name, const char *value)
{
    if (strcmp(name, "path") == 0)
        j->path = value;
    else if (strcmp(name, "variant") == 0)
        j->variant = value;
    else if (strcmp(name, "port") == 0)
        j->port = (uint16_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "payload") == 0)
        j->payload = strtoul(value, NULL, 10);
    else if (strcmp(name, "threads") == 0)
        j->threads = strtoul(value, NULL, 10);
    else if (strcmp(name, "subscriptions") == 0)
        j->subscriptions = strtoul(value, NULL, 10);
    else if (strcmp(name, "ids") == 0)
        j->ids = *value == '1';
    else if (strcmp(name, "cpu") == 0)
        j->cpu = (int)strtol(value, NULL, 10);
    else
        fail("no job has a \"%s\"", name);
}

static job read_job(int argc, char **argv)
{
    job j = { .path = "", .variant = "", .payload = 128, .threads = 1, .subscriptions = 1, .cpu = -1 };

    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL)
            fail("\"%s\" is not name=value", argv[i]);
        *equals = '\0';
        set_member(&j, argv[i], equals + 1);
    }
    snprintf(j.url, sizeof j.url, "nats://127.0.0.1:%u", j.port);
    return j;
}

static void pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("cannot be pinned to CPU %d", cpu);
}

/* A free worker begins its rounds on one CPU after the other, wherever it ended: the kernel leaves a process where it is
 * for many rounds, and a call costs twice as much when it has to wake another CPU. */
static void begin_elsewhere(uint64_t number)
{
    cpu_set_t all, one;
    size_t cpu = 0;

    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (uint64_t skip = number % (uint64_t)CPU_COUNT(&all); !CPU_ISSET(cpu, &all) || skip > 0; cpu++)
        skip -= CPU_ISSET(cpu, &all) ? 1 : 0;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        sched_setaffinity(0, sizeof all, &all);
}

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static void say_result(round *r)
{
    const meter *m = &r->meter;

    printf("result began=%" PRIu64 " ended=%" PRIu64 " cpu=%" PRIu64 " p50=%" PRIu64 " caller_switches=%" PRIu64
           " library_switches=%" PRIu64 " rss=%" PRIu64 "\n",
           m->began_ns, m->ended_ns, m->cpu_ns, percentile(r->latency_ns, r->latencies, 50), m->caller_switches,
           m->library_switches, m->rss);
    fflush(stdout);
}

static void get_ready(const worker_path *path, void *state, round *r, const char *line)
{
    if (sscanf(line, "prepare %" SCNu64 " %" SCNu64, &r->number, &r->messages) != 2)
        fail("the runner said: %s", line);
    free(r->latency_ns);
    r->latency_ns = must_alloc(r->messages, sizeof *r->latency_ns);
    memset(r->latency_ns, 1, r->messages * sizeof *r->latency_ns); /* no first touch under the clock */
    r->latencies = 0;
    if (r->job->cpu < 0)
        begin_elsewhere(r->number);
    if (path->prepare != NULL)
        path->prepare(state, r);
    say("ready");
}

static void serve(const worker_path *path, void *state, const job *j)
{
    round r = { .job = j, .data = must_alloc(j->payload, 1) };
    char line[128];

    memset(r.data, 'x', j->payload);
    while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0) {
        if (strncmp(line, "run", 3) != 0) {
            get_ready(path, state, &r, line);
            continue;
        }
        path->run(state, &r);
        if (path->finish != NULL)
            path->finish(state, &r);
        say_result(&r);
    }
    free(r.latency_ns);
    free(r.data);
}

int worker_main(int argc, char **argv, const char *name, const worker_path *paths)
{
    job j = read_job(argc, argv);
    const worker_path *path = paths;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (path->path != NULL && strcmp(path->path, j.path) != 0)
        path++;
    if (path->path == NULL)
        fail("%s does not play %s", name, j.path);
    announces = path->is_announced;
    pin(j.cpu);
    void *state = path->open(&j);
    printf("hello %s\n", name);
    fflush(stdout);
    serve(path, state, &j);
    path->close(state);
    return 0;
}
