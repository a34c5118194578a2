/* SPDX-License-Identifier: Apache-2.0 */
/* Bugs planted in the core (src/base/canary.h) must each be found by the simulator within 1,000 seeds: a bug that
 * lives is a hole in the simulator. Each has a process of its own, as finding one may mean a crash or an endless
 * loop. */
#define _POSIX_C_SOURCE 200809L

#include "sim.h"

#include "base/canary.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 1000
#define SECONDS 120 /* for all seeds of one bug; longer is an endless loop */

int nbj__canary;

static const struct {
    const char *name, *text;
} canaries[] = { { "NONE", "nothing is planted" },
#define NBJ__X(name, text) { #name, text },
                 NBJ__CANARY_MAP(NBJ__X)
#undef NBJ__X
};

/* Bugs of the window are looked for in its own worlds. */
static sim_runner *worlds_of(int canary)
{
    return strncmp(canaries[canary].name, "JS_", 3) == 0 ? sim_run_publishing : sim_run;
}

/* In the child: the first seed that fails is told through |out|. */
static void hunt(int canary, uint64_t seeds, int out)
{
    sim_result r = { 0 };
    char text[512];
    nbj__canary = canary;
    alarm(SECONDS);
    for (uint64_t seed = 1; seed <= seeds && !r.failed; seed++) {
        int n = snprintf(text, sizeof text, "%" PRIu64 " crashed or did not end", seed);
        if (pwrite(out, text, (size_t)n + 1, 0) < 0)
            _exit(2);
        worlds_of(canary)(seed, false, &r);
        if (r.failed)
            n = snprintf(text, sizeof text, "%" PRIu64 " %s", seed, r.failure);
        if (r.failed && pwrite(out, text, (size_t)n + 1, 0) < 0)
            _exit(2);
    }
    _exit(r.failed ? 1 : 0);
}

/* Whether a run with that bug fails; |how| says in which seed and why. */
static bool finds(int canary, uint64_t seeds, char *how, size_t size)
{
    int status = 0;
    FILE *file = tmpfile();
    if (file == NULL)
        abort();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) /* assertions and sanitizers speak there */
            _exit(2);
        hunt(canary, seeds, fileno(file));
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    rewind(file);
    how[fread(how, 1, size - 1, file)] = '\0';
    fclose(file);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    char how[512];
    int missed = 0;
    if (finds(NBJ__CANARY_NONE, 50, how, sizeof how))
        return printf("FAILED: without a bug: seed %s\n", how), 1;
    for (int i = 1; i < NBJ__CANARY_COUNT; i++) {
        bool found = finds(i, SEEDS, how, sizeof how);
        printf("%-22s %s%s\n", canaries[i].name, found ? "found in seed " : "LIVES: ", found ? how : canaries[i].text);
        missed += !found;
    }
    printf("%d of %d planted bugs were found\n", NBJ__CANARY_COUNT - 1 - missed, NBJ__CANARY_COUNT - 1);
    return missed > 0;
}
