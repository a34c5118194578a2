/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark: nbj against the wire limit and against other clients, on one private nats-server. */
#define _GNU_SOURCE

#include "counts.h"
#include "curves.h"
#include "fail.h"
#include "report.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: bench [core|jetstream|all|counts|curves] [options]\n"
    "  all             core and jetstream: time and CPU, beside the wire limit and other clients; the default\n"
    "  counts          system calls, context switches and instructions for each message\n"
    "  curves          CPU over payload, threads, subscriptions; memory\n"
    "  --rounds N      counted rounds of each row (15)\n"
    "  --quick         a tenth of the messages, five rounds: to see that it runs\n"
    "  --messages N    of each round, instead of the row's own number\n"
    "  --payload N     octets (128)\n"
    "  --path NAME     only the rows of that path\n"
    "  --all-pinned    also the throughput rows with client and server on one CPU each\n"
    "  --no-counts     without the system calls and switches at the end\n"
    "  --json FILE     the rows as JSON\n"
    "  --markdown FILE as a table\n"
    "  --svg FILE      as a plot\n"
    "The server is $NBJ_NATS_SERVER, else nats-server on the PATH.\n";

typedef struct options {
    const char *what, *path, *json, *markdown, *svg;
    uint64_t messages;
    unsigned rounds;
    size_t payload;
    bool quick, all_pinned, no_counts;
} options;

/* --- options --- */

static unsigned long number(const char *name, const char *text, unsigned long most)
{
    char *end = NULL;
    unsigned long n = text != NULL ? strtoul(text, &end, 10) : 0;

    if (text == NULL || *text == '\0' || *end != '\0' || n == 0 || n > most)
        fail("%s wants a number from 1 to %lu", name, most);
    return n;
}

static const char **file_option(options *o, const char *name)
{
    if (strcmp(name, "--json") == 0)
        return &o->json;
    if (strcmp(name, "--markdown") == 0)
        return &o->markdown;
    if (strcmp(name, "--svg") == 0)
        return &o->svg;
    return strcmp(name, "--path") == 0 ? &o->path : NULL;
}

/* Reads option |argv|[0]; how many words it took. */
static int read_option(options *o, char **argv)
{
    const char *name = argv[0], *value = argv[1];
    const char **text = file_option(o, name);

    if (strcmp(name, "--quick") == 0)
        return o->quick = true;
    if (strcmp(name, "--all-pinned") == 0)
        return o->all_pinned = true;
    if (strcmp(name, "--no-counts") == 0)
        return o->no_counts = true;
    if (text != NULL) {
        if ((*text = value) == NULL)
            fail("%s wants a value", name);
    } else if (strcmp(name, "--rounds") == 0) {
        o->rounds = (unsigned)number(name, value, 10000);
    } else if (strcmp(name, "--messages") == 0) {
        o->messages = number(name, value, 10000000);
    } else if (strcmp(name, "--payload") == 0) {
        o->payload = number(name, value, 65536);
    } else {
        fail("unknown option %s\n%s", name, help);
    }
    return 2;
}

static bool is_known(const char *what)
{
    static const char *const known[] = { "core", "jetstream", "all", "counts", "curves" };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(what, known[i]) == 0)
            return true;
    }
    return false;
}

static options read_options(char **argv)
{
    options o = { .what = "all", .payload = 128 };

    argv++;
    if (*argv != NULL && **argv != '-')
        o.what = *argv++;
    while (*argv != NULL) {
        if (strcmp(*argv, "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        argv += read_option(&o, argv);
    }
    if (!is_known(o.what))
        fail("nothing is named %s\n%s", o.what, help);
    if (o.rounds == 0)
        o.rounds = o.quick ? 5 : 15;
    return o;
}

/* --- the machine --- */

static void find_folder(bench *b)
{
    ssize_t n = readlink("/proc/self/exe", b->folder, sizeof b->folder - 1);
    char *slash = n > 0 ? strrchr(b->folder, '/') : NULL;

    if (slash == NULL)
        fail("cannot find my own folder");
    *slash = '\0';
}

static void find_cpus(bench *b)
{
    cpu_set_t set;

    b->client_cpu = b->server_cpu = -1;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE && b->server_cpu < 0; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set))
            continue;
        *(b->client_cpu < 0 ? &b->client_cpu : &b->server_cpu) = cpu;
    }
}

static void on_signal(int number)
{
    (void)number; /* the wait that it interrupts ends the program */
}

static void prepare(bench *b, const options *o)
{
    struct sigaction act = { .sa_handler = on_signal };

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    *b = (bench){ .payload = o->payload, .rounds = o->rounds, .scale = o->quick ? 0.1 : 1 };
    find_folder(b);
    find_cpus(b);
    bench_find_implementations(b);
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        if (b->implementations[i].is_missing)
            fprintf(stderr, "%s is missing here: not compared\n", b->implementations[i].name);
    }
}

/* --- the run --- */

static bool is_wanted(const options *o, const row_spec *spec, bool pinned)
{
    bool only_core = strcmp(o->what, "core") == 0, only_jetstream = strcmp(o->what, "jetstream") == 0;

    if (is_of_jetstream(spec) ? only_core : only_jetstream)
        return false;
    if (o->path != NULL && strcmp(o->path, spec->path) != 0)
        return false;
    return !pinned || spec->is_latency || o->all_pinned;
}

static void start(bench *b, int cpu)
{
    server_start(&b->server, cpu);
    snprintf(b->version, sizeof b->version, "%s", b->server.raw.version);
}

static void play(bench *b, const options *o, bool pinned)
{
    start(b, pinned ? b->server_cpu : -1);
    for (size_t k = 0; k < row_spec_count; k++) {
        row_spec spec = row_specs[k];
        if (!is_wanted(o, &spec, pinned))
            continue;
        if (o->messages > 0)
            spec.messages = o->messages;
        bench_row(b, &spec, pinned);
        if (b->row_count == 1)
            report_head(b, stdout);
        report_row(b, &b->rows[b->row_count - 1], stdout);
    }
    server_stop(&b->server);
}

/* The client's part is the same for both storages: those in memory stand for both. */
static void count(bench *b, const options *o)
{
    bool calls = can_count_calls(), instructions = strcmp(o->what, "counts") == 0 && can_count_instructions();

    start(b, -1);
    report_counts_head(stdout);
    for (size_t k = 0; k < row_spec_count; k++) {
        const row_spec *spec = &row_specs[k];
        if (!is_wanted(o, spec, false) || strcmp(spec->storage, "file") == 0)
            continue;
        for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
            if (!plays(&b->implementations[i], spec))
                continue;
            counts c = count_row(b, spec, i, calls, instructions);
            report_counts(b, spec, i, &c, stdout);
        }
    }
    server_stop(&b->server);
}

static void play_all(bench *b, const options *o)
{
    play(b, o, false);
    if (b->server_cpu >= 0)
        play(b, o, true);
    else
        fprintf(stderr, "there is only one CPU: nothing is pinned\n");
}

static void write_file(const bench *b, const char *path, void (*report)(const bench *b, FILE *out))
{
    if (path == NULL)
        return;
    FILE *f = fopen(path, "we");
    if (f == NULL)
        fail("%s: %s", path, strerror(errno));
    report(b, f);
    if (fclose(f) != 0)
        fail("%s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
    static bench b;
    options o = read_options(argv);

    (void)argc;
    prepare(&b, &o);
    if (strcmp(o.what, "curves") == 0) {
        start(&b, -1);
        play_curves(&b, stdout);
        server_stop(&b.server);
        return 0;
    }
    if (strcmp(o.what, "counts") != 0)
        play_all(&b, &o);
    if (!o.no_counts)
        count(&b, &o);
    write_file(&b, o.json, report_json);
    write_file(&b, o.markdown, report_markdown);
    write_file(&b, o.svg, report_svg);
    return 0;
}
