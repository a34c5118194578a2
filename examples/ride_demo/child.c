/* SPDX-License-Identifier: Apache-2.0 */
/* A process that we started (child.h). */
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 5, NOT_STARTED = 127 };

/* In the new process: never returns. */
static void become(char *const arguments[], int out, pid_t parent)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && (out < 0 || dup2(out, STDOUT_FILENO) >= 0)) /* else the parent is gone already */
        execvp(arguments[0], arguments);
    _exit(NOT_STARTED);
}

bool child_start(child *out, const char *name, char *const arguments[], bool piped, problem *why)
{
    int ends[2] = { -1, -1 };
    pid_t parent = getpid();

    *out = CHILD_NONE;
    out->name = name;
    if (piped && (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0))
        return problem_set(why, "no pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become(arguments, ends[1], parent);
    if (piped)
        close(ends[1]);
    out->out = ends[0];
    if (pid < 0) {
        child_close(out);
        return problem_set(why, "cannot start %s: %s", name, strerror(errno));
    }
    out->pid = pid;
    return true;
}

bool child_gone(child *of)
{
    int status = 0;

    if (of->pid == 0 || waitpid(of->pid, &status, WNOHANG) != of->pid)
        return of->ended;
    of->pid = 0;
    of->ended = true;
    of->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

bool child_wait(child *of, unsigned milliseconds)
{
    const struct timespec pause = { .tv_nsec = LOOK_EVERY_MS * 1000000L };

    for (unsigned waited = 0; !child_gone(of); waited += LOOK_EVERY_MS) {
        if (of->pid == 0 || waited >= milliseconds)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

void child_stop(child *of, int signal, unsigned milliseconds)
{
    if (of->pid == 0 || child_gone(of))
        return;
    kill(of->pid, signal);
    if (child_wait(of, milliseconds))
        return;
    kill(of->pid, SIGKILL);
    child_wait(of, milliseconds + 10000);
}

void child_close(child *of)
{
    if (of->out >= 0)
        close(of->out);
    of->out = -1;
}
