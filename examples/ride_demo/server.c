/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's private nats-server (server.h). */
#define _GNU_SOURCE
#include "server.h"

#include "raw_nats.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 15000, LOOK_EVERY_MS = 10, STOP_MS = 5000 };

#define ELSEWHERE ":/usr/local/sbin:/usr/sbin" /* where packages put it and ordinary users do not look */

static bool is_program(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

static bool find_in_path(char out[PATH_MAX])
{
    const char *path = getenv("PATH");
    char places[PATH_MAX * 4], *rest = NULL;

    snprintf(places, sizeof places, "%s" ELSEWHERE, path == NULL ? "/usr/bin:/bin" : path);
    for (char *place = strtok_r(places, ":", &rest); place != NULL; place = strtok_r(NULL, ":", &rest)) {
        int length = snprintf(out, PATH_MAX, "%s/nats-server", place);
        if (length < PATH_MAX && is_program(out))
            return true;
    }
    return false;
}

static bool find_program(char out[PATH_MAX], problem *why)
{
    const char *told = getenv("NBJ_NATS_SERVER");

    if (told == NULL || *told == '\0')
        return find_in_path(out) ||
               problem_set(why, "nats-server was not found in PATH. Install it (Debian: apt install nats-server), let "
                                "./dev demo fetch one, or set NBJ_NATS_SERVER to the program");
    if (strlen(told) >= PATH_MAX || !is_program(told))
        return problem_set(why, "NBJ_NATS_SERVER says \"%.200s\", which is not a program", told);
    memcpy(out, told, strlen(told) + 1);
    return true;
}

static bool reserve_port(server *of, problem *why)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    const int yes = 1; /* nats-server sets it too, and so may listen where we are bound */

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    of->reservation = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (of->reservation < 0 || setsockopt(of->reservation, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(of->reservation, (const struct sockaddr *)&address, length) != 0 ||
        getsockname(of->reservation, (struct sockaddr *)&address, &length) != 0)
        return problem_set(why, "no free port on the loopback interface: %s", strerror(errno));
    of->port = ntohs(address.sin_port);
    return true;
}

bool server_open(server *out, problem *why)
{
    *out = SERVER_NONE;
    return find_program(out->program, why) && reserve_port(out, why);
}

static bool spawn(server *of, problem *why)
{
    char port[8], store[PATH_MAX], log[PATH_MAX];

    snprintf(port, sizeof port, "%u", of->port);
    snprintf(store, sizeof store, "%s/store", of->directory);
    if (snprintf(log, sizeof log, "%s/server.log", of->directory) >= (int)sizeof log)
        return problem_set(why, "the path of the directory is too long");
    char *arguments[] = { of->program,   "--addr", "127.0.0.1", "--port", port, "--jetstream",
                          "--store_dir", store,    "--log",     log,      NULL };
    return child_start(&of->process, "nats-server", arguments, false, why);
}

static bool answers(const server *of)
{
    problem ignored;
    raw_nats *connection = raw_nats_open(of->port, &ignored);

    raw_nats_close(connection);
    return connection != NULL;
}

bool server_start(server *of, problem *why)
{
    const struct timespec pause = { .tv_nsec = LOOK_EVERY_MS * 1000000L };

    if (!spawn(of, why))
        return false;
    for (unsigned waited = 0; !answers(of); waited += LOOK_EVERY_MS) {
        if (child_gone(&of->process))
            return problem_set(why, "%.200s ended at once with status %d; its words are in %.200s/server.log",
                               of->program, of->process.status, of->directory);
        if (waited >= START_MS)
            return problem_set(why, "%.200s did not answer within %d s", of->program, START_MS / 1000);
        nanosleep(&pause, NULL);
    }
    return true;
}

void server_kill(server *of)
{
    child_stop(&of->process, SIGKILL, STOP_MS);
}

void server_close(server *of)
{
    child_stop(&of->process, SIGTERM, STOP_MS);
    if (of->reservation >= 0)
        close(of->reservation);
    of->reservation = -1;
}
