/* SPDX-License-Identifier: Apache-2.0 */
/* Each figure is the difference of two runs, one with more messages than the other: what connecting costs cancels out.
 */
#include "counts.h"

#include "fail.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW_ONE_BY_ONE 200u
#define FEW_AT_ONCE 20000u     /* calls that serve many messages come in uneven numbers */
#define FEW_INSTRUCTIONS 2000u /* callgrind is slow */
#define TIMES 6u               /* as many messages in the longer run */

static bool works(const char *command)
{
    return system(command) == 0;
}

bool can_count_calls(void)
{
    return works("strace -f -c -o /dev/null true >/dev/null 2>&1");
}

bool can_count_instructions(void)
{
    return works("valgrind --tool=callgrind --callgrind-out-file=/dev/null true >/dev/null 2>&1");
}

static sample run_once(bench *b, const row_spec *spec, size_t i, const char *const *prefix, uint64_t messages)
{
    child worker, load;
    sample out;

    start_load(b, &load, spec, -1);
    start_worker(b, &worker, &b->implementations[i], spec, -1, prefix);
    play_round(b, &worker, &load, spec, 0, messages, &out);
    child_end(&worker);
    child_end(&load);
    return out;
}

/* The calls in the last line of what strace -c writes: "100.00 <seconds> <usecs/call> <calls> [<errors>] total". */
static double read_calls(FILE *f)
{
    char line[256];
    double calls = 0;

    while (fgets(line, sizeof line, f) != NULL) {
        if (strstr(line, " total\n") != NULL && sscanf(line, "%*s %*s %*s %lf", &calls) != 1)
            fail("strace wrote: %s", line);
    }
    return calls;
}

/* "==<pid>== Collected : <n>" */
static double read_instructions(FILE *f)
{
    static const char wanted[] = "Collected : ";
    char line[256];
    double n = 0;

    while (fgets(line, sizeof line, f) != NULL) {
        const char *at = strstr(line, wanted);
        if (at != NULL)
            n = strtod(at + sizeof wanted - 1, NULL);
    }
    return n;
}

/* Runs under |prefix|, which writes to |file|, with |few| and with many messages; the difference for one message. */
static double per_message(bench *b, const row_spec *spec, size_t i, const char *const *prefix, const char *file,
                          uint64_t few, double (*read)(FILE *f))
{
    double counted[2];

    for (size_t k = 0; k < 2; k++) {
        run_once(b, spec, i, prefix, k == 0 ? few : few * TIMES);
        FILE *f = fopen(file, "re");
        counted[k] = f != NULL ? read(f) : 0;
        if (f != NULL)
            fclose(f);
        unlink(file);
        if (counted[k] <= 0)
            fail("%s counted nothing", prefix[0]);
    }
    return (counted[1] - counted[0]) / (double)(few * (TIMES - 1));
}

counts count_row(bench *b, const row_spec *spec, size_t i, bool with_calls, bool with_instructions)
{
    uint64_t few = spec->is_latency ? FEW_ONE_BY_ONE : FEW_AT_ONCE;
    uint64_t fewer = few < FEW_INSTRUCTIONS ? few : FEW_INSTRUCTIONS;
    char file[256], log_option[280];
    const char *const strace[] = { "strace", "-f", "-c", "-o", file, NULL };
    const char *const valgrind[] = { "valgrind",           "--tool=callgrind",
                                     "--instr-atstart=no", "--callgrind-out-file=/dev/null",
                                     log_option,           NULL };
    counts c = { .has_calls = with_calls, .has_instructions = with_instructions };

    snprintf(file, sizeof file, "%s/counted", b->server.dir);
    snprintf(log_option, sizeof log_option, "--log-file=%s", file);
    sample plain = run_once(b, spec, i, NULL, few * TIMES);
    c.caller_switches = (double)plain.meter.caller_switches / (double)(few * TIMES);
    c.library_switches = (double)plain.meter.library_switches / (double)(few * TIMES);
    if (with_calls)
        c.calls = per_message(b, spec, i, strace, file, few, read_calls);
    if (with_instructions)
        c.instructions = per_message(b, spec, i, valgrind, file, fewer, read_instructions);
    return c;
}

/* --- for people --- */

void report_counts_head(FILE *out)
{
    fprintf(out,
            "\nfor each message; switches are voluntary ones of the calling thread and of the library's own threads\n\n"
            "%-14s %-4s %-14s %13s %16s %17s %13s\n",
            "path", "ids", "", "system calls", "caller switches", "library switches", "instructions");
}

static void number(bool is_known, double value, const char *format, int width, FILE *out)
{
    char text[32] = "not available";

    if (is_known)
        snprintf(text, sizeof text, format, value);
    fprintf(out, " %*s", width, text);
}

void report_counts(const bench *b, const row_spec *spec, size_t i, const counts *c, FILE *out)
{
    fprintf(out, "%-14s %-4s %-14s", spec->path, spec->ids ? "yes" : "no", b->implementations[i].name);
    number(c->has_calls, c->calls, "%.3f", 13, out);
    number(true, c->caller_switches, "%.3f", 16, out);
    number(true, c->library_switches, "%.3f", 17, out);
    number(c->has_instructions, c->instructions, "%.0f", 13, out);
    fputc('\n', out);
    fflush(out);
}
