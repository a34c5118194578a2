/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "child.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 180000 /* more than a worker's own, so that its words are heard; valgrind takes its time */

static void become(const char *const *argv, int in, int out, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(126);
}

/* The next line into |c->line|, without its end. */
static void hear(child *c)
{
    char *end;

    while ((end = memchr(c->buffer, '\n', c->buffered)) == NULL) {
        struct pollfd p = { .fd = c->from, .events = POLLIN };
        if (poll(&p, 1, PATIENCE_MS) <= 0)
            fail("%s: %s", c->name, errno == EINTR ? "interrupted" : "says nothing");
        ssize_t n = read(c->from, c->buffer + c->buffered, sizeof c->buffer - c->buffered);
        if (n <= 0)
            fail("%s ended before its time", c->name);
        c->buffered += (size_t)n;
    }
    size_t len = (size_t)(end - c->buffer);
    memcpy(c->line, c->buffer, len);
    c->line[len] = '\0';
    c->buffered -= len + 1;
    memmove(c->buffer, end + 1, c->buffered);
}

void child_start(child *c, const char *const *argv)
{
    int to[2], from[2];
    pid_t parent = getpid();
    const char *slash = strrchr(argv[0], '/');

    *c = (child){ .pid = 0 };
    snprintf(c->name, sizeof c->name, "%s", slash != NULL ? slash + 1 : argv[0]);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        fail("pipe: %s", strerror(errno));
    c->pid = fork();
    if (c->pid == 0)
        become(argv, to[0], from[1], parent);
    close(to[0]);
    close(from[1]);
    c->to = to[1];
    c->from = from[0];
    if (c->pid < 0)
        fail("fork: %s", strerror(errno));
    hear(c);
    if (strncmp(c->line, "hello ", 6) != 0)
        fail("%s said instead of hello: %s", c->name, c->line);
    snprintf(c->name, sizeof c->name, "%.63s", c->line + 6);
}

void child_say(child *c, const char *format, ...)
{
    char text[CHILD_LINE];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (write(c->to, text, (size_t)n) != n)
        fail("%s does not listen", c->name);
}

void child_expect(child *c, const char *line)
{
    hear(c);
    if (strcmp(c->line, line) != 0)
        fail("%s said \"%s\" instead of \"%s\"", c->name, c->line, line);
}

void child_result(child *c, sample *out)
{
    meter *m = &out->meter;

    hear(c);
    int n = sscanf(c->line,
                   "result began=%" SCNu64 " ended=%" SCNu64 " cpu=%" SCNu64 " p50=%" SCNu64 " caller_switches=%" SCNu64
                   " library_switches=%" SCNu64 " rss=%" SCNu64,
                   &m->began_ns, &m->ended_ns, &m->cpu_ns, &out->p50_ns, &m->caller_switches, &m->library_switches,
                   &m->rss);
    if (n != 7)
        fail("%s said instead of a result: %s", c->name, c->line);
}

void child_end(child *c)
{
    int status = 0;

    if (c->pid <= 0)
        return;
    close(c->to);
    struct pollfd p = { .fd = c->from, .events = POLLIN };
    if (poll(&p, 1, PATIENCE_MS) <= 0) /* its end of the pipe closes when it ends */
        kill(c->pid, SIGKILL);
    close(c->from);
    if (waitpid(c->pid, &status, 0) != c->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("%s did not end well", c->name);
    c->pid = 0;
}
