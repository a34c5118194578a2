/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the server's process and its directory. */
#define _GNU_SOURCE

#include "server.h"

#include "fail.h"
#include "meter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_NS 20000000000u
#define SETTLE_NS 2000000000u
#define GLANCE_NS 20000000 /* between two looks at a server */

static server *running; /* for the end of the program */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void server_stop(server *s)
{
    if (s->raw.in != NULL)
        raw_close(&s->raw);
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    s->pid = 0;
    running = NULL;
}

static void stop_at_exit(void)
{
    if (running != NULL)
        server_stop(running);
}

static void glance(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = GLANCE_NS }, NULL);
}

static void write_config(const server *s, char *path, size_t size)
{
    snprintf(path, size, "%s/server.conf", s->dir);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        fail("%s: %s", path, strerror(errno));
    fprintf(f,
            "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nports_file_dir: \"%s\"\nmax_pending: 256MB\n"
            "log_file: \"%s/log\"\njetstream: { store_dir: \"%s/store\", max_mem: 4GB, max_file: 16GB }\n",
            s->dir, s->dir, s->dir);
    if (fclose(f) != 0)
        fail("%s: %s", path, strerror(errno));
}

_Noreturn static void become_server(const char *config, int cpu, pid_t parent)
{
    const char *program = getenv("NBJ_NATS_SERVER");
    cpu_set_t set;
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&set);
    CPU_SET((size_t)(cpu >= 0 ? cpu : 0), &set);
    if (getppid() != parent || (cpu >= 0 && sched_setaffinity(0, sizeof set, &set) != 0))
        _exit(125);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp(program != NULL && *program != '\0' ? program : "nats-server", "nats-server", "-c", config, (char *)NULL);
    _exit(126);
}

static uint16_t port_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    at = at != NULL ? strstr(at, "127.0.0.1:") : NULL;
    return at != NULL ? (uint16_t)strtoul(at + 10, NULL, 10) : 0;
}

/* The server writes its ports to <dir>/nats-server_<pid>.ports when it listens. */
static bool find_ports(server *s)
{
    char path[256], text[1024] = "";

    snprintf(path, sizeof path, "%s/nats-server_%d.ports", s->dir, (int)s->pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    s->port = port_after(text, "\"nats\"");
    s->http_port = port_after(text, "\"monitoring\"");
    return s->port != 0 && s->http_port != 0 && strchr(text, '}') != NULL;
}

void server_start(server *s, int cpu)
{
    static bool is_prepared;
    const char *tmp = getenv("TMPDIR");
    char config[256];
    pid_t parent = getpid();
    uint64_t until = now_ns() + START_NS;

    if (!is_prepared)
        atexit(stop_at_exit);
    is_prepared = true;
    *s = (server){ .pid = 0 };
    snprintf(s->dir, sizeof s->dir, "%s/nbj-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(s->dir) == NULL)
        fail("%s: %s", s->dir, strerror(errno));
    running = s;
    write_config(s, config, sizeof config);
    s->pid = fork();
    if (s->pid == 0)
        become_server(config, cpu, parent);
    if (s->pid < 0)
        fail("fork: %s", strerror(errno));
    while (!find_ports(s)) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            fail("nats-server does not start; is NBJ_NATS_SERVER the path of one?");
        }
        if (now_ns() > until)
            fail("nats-server does not listen");
        glance();
    }
    raw_open(&s->raw, s->port);
}

static uint64_t cpu_ticks(const server *s)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        fail("nats-server is gone");
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    const char *at = strrchr(text, ')'); /* fields 14 and 15 of proc(5) */
    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        fail("%s cannot be read", path);
    return user + system;
}

void server_settle(const server *s)
{
    uint64_t until = now_ns() + SETTLE_NS, ticks = cpu_ticks(s), quiet = 0;

    while (quiet < 2 && now_ns() < until) {
        glance();
        uint64_t now = cpu_ticks(s);
        quiet = now == ticks ? quiet + 1 : 0;
        ticks = now;
    }
}

static void ask_monitor(const server *s, const char *request, char *out, size_t size)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->http_port) };
    struct timeval patience = { .tv_sec = 10 };
    size_t len = 0;
    ssize_t n;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        fail("the server's monitoring does not answer: %s", strerror(errno));
    while (len + 1 < size && (n = read(fd, out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(fd);
}

uint64_t server_received(const server *s)
{
    char text[32768];

    ask_monitor(s, "GET /varz HTTP/1.0\r\n\r\n", text, sizeof text);
    const char *at = strstr(text, "\"in_msgs\":");
    if (at == NULL)
        fail("/varz has no in_msgs");
    return strtoull(at + 10, NULL, 10);
}

void server_must_have_received(const server *s, uint64_t count)
{
    uint64_t until = now_ns() + SETTLE_NS, received;

    while ((received = server_received(s)) < count && now_ns() < until) /* it adds up after it has answered */
        glance();
    if (received != count)
        fail("the server received %llu messages instead of %llu", (unsigned long long)received,
             (unsigned long long)count);
}
