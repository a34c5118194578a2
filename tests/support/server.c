/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: child processes, their directories and reserved ports. Invariant: |pid| is 0 exactly when the child is reaped;
 * every server is in |all| from its creation to ts_server_free(). */
#define _GNU_SOURCE

#include "server.h"

#include "check.h"
#include "port.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 10000
#define STOP_MS 10000
#define CLUSTER_MS 30000
#define REPLICAS_MAX 5 /* of a stream, says the server */
#define LOG_SHOWN 4000 /* octets of a log's end in a report */

struct ts_server {
    ts_server *next;
    pid_t pid;
    ts_port port, route_port;
    char *routes; /* the cluster's part of the configuration, or NULL */
    bool jetstream, tls_first;
    bool shown;      /* its log was in a report: servers of failed tests stay, and one report of each is enough */
    char domain[32]; /* "": none */
    char max_file[16];
    int start_ms;
    char *config;
    char dir[64], conf[80], log[80], url[40];
    char version[32];
    off_t log_start; /* length of the log before the last start */
};

static ts_server *all;
static pid_t owner; /* whoever forks without exec must not remove what is its parent's */
static bool keep_files;

/* -- files -- */

static char *read_file_from(const char *path, off_t from)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t len = 0;

    if (f != NULL && fseeko(f, from, SEEK_SET) == 0 && getdelim(&text, &len, '\0', f) < 0) {
        free(text);
        text = NULL;
    }
    if (f != NULL)
        fclose(f);
    return text != NULL ? text : strdup("");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_dir(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static char *format_text(const char *format, ...) NBJ_PRINTF(1, 2);
static char *format_text(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        TS_FAIL("out of memory");
    return text;
}

static void write_config(const ts_server *s)
{
    FILE *f = fopen(s->conf, "we");

    if (f == NULL)
        TS_FAIL("%s: %s", s->conf, strerror(errno));
    fprintf(f, "server_name: \"test-%u\"\nlisten: \"127.0.0.1:%u\"\n", s->port.number, s->port.number);
    if (s->jetstream)
        fprintf(f, "jetstream: { store_dir: \"%s/store\", max_mem: 256MB, max_file: %s%s%s }\n", s->dir, s->max_file,
                s->domain[0] != '\0' ? ", domain: " : "", s->domain);
    if (s->routes != NULL)
        fprintf(f, "%s\n", s->routes);
    fprintf(f, "%s\n", s->config);
    if (fclose(f) != 0)
        TS_FAIL("%s: %s", s->conf, strerror(errno));
}

/* -- the end of the program, and of a test -- */

static void end_process(ts_server *s)
{
    if (s->pid == 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

static void end_all(void)
{
    if (getpid() != owner)
        return;
    for (ts_server *s = all; s != NULL; s = s->next) {
        end_process(s);
        if (!keep_files)
            remove_dir(s->dir);
    }
}

static void show_logs(void)
{
    keep_files = true;
    for (ts_server *s = all; s != NULL; s = s->next) {
        if (s->shown)
            continue;
        s->shown = true;
        char *text = read_file_from(s->log, 0);
        size_t len = strlen(text);
        const char *tail = len > LOG_SHOWN ? text + len - LOG_SHOWN : text;
        fprintf(stderr, "--- nats-server %s %s, log %s ends with:\n%s---\n", s->version, s->url, s->log, tail);
        free(text);
    }
}

static void prepare_once(void)
{
    if (owner == getpid())
        return;
    owner = getpid();
    all = NULL; /* what a parent process started is not ours */
    keep_files = false;
    atexit(end_all);
    ts_on_failure(show_logs);
}

/* -- the binary -- */

/* "|dir|/nats-server", where it can be run. */
static bool is_in(const char *dir, size_t len, char *path, size_t cap)
{
    int n = snprintf(path, cap, "%.*s/nats-server", (int)len, dir);

    return n > 0 && (size_t)n < cap && access(path, X_OK) == 0;
}

static bool find_on_path(char *path, size_t cap)
{
    const char *dirs = getenv("PATH");

    while (dirs != NULL && *dirs != '\0') {
        size_t len = strcspn(dirs, ":");
        if (is_in(dirs, len, path, cap))
            return true;
        dirs += len + (dirs[len] == ':');
    }
    return is_in("/usr/sbin", strlen("/usr/sbin"), path, cap);
}

static const char *binary_path(void)
{
    static const char *const variables[] = { "NBJ_TEST_SERVER", "NBJ_NATS_SERVER" };
    static char path[PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        const char *named = getenv(variables[i]);
        if (named == NULL || *named == '\0')
            continue;
        if (access(named, X_OK) != 0)
            TS_FAIL("cannot run nats-server: %s=%s: %s", variables[i], named, strerror(errno));
        return named;
    }
    if (!find_on_path(path, sizeof path))
        TS_FAIL("cannot run nats-server: none on PATH; set NBJ_TEST_SERVER to the path of one");
    return path;
}

/* In the child, after fork: only what is safe there. The parent may have died in between. */
_Noreturn static void become_server(const char *binary, char *const argv[], int log, pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(125);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(binary, argv);
    _exit(126);
}

static void spawn(ts_server *s)
{
    const char *binary = binary_path();
    char *argv[] = { (char *)(uintptr_t) "nats-server", (char *)(uintptr_t) "-c", s->conf, NULL };
    pid_t parent = getpid();
    int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (log < 0)
        TS_FAIL("%s: %s", s->log, strerror(errno));
    s->log_start = lseek(log, 0, SEEK_END);
    pid_t pid = fork();
    if (pid == 0)
        become_server(binary, argv, log, parent);
    close(log);
    if (pid < 0)
        TS_FAIL("fork: %s", strerror(errno));
    s->pid = pid;
}

/* -- waiting -- */

/* Reaps the process if it has ended; whether it has. */
static bool is_gone(ts_server *s)
{
    if (s->pid != 0 && waitpid(s->pid, NULL, WNOHANG) == s->pid)
        s->pid = 0;
    return s->pid == 0;
}

static bool log_has(const ts_server *s, const char *text)
{
    char *log = read_file_from(s->log, s->log_start);
    bool found = strstr(log, text) != NULL;

    free(log);
    return found;
}

/* The peer's INFO has |name|; its text goes to |out|. */
static void copy_member(const ts_raw *r, const char *name, char *out, size_t cap)
{
    nbj_bytes value = ts_raw_info_member(r, name);

    snprintf(out, cap, "%.*s", NBJ_FMT(value));
}

static void wait_logged_ready(ts_server *s)
{
    ts_server_wait_log(s, "Server is ready", s->start_ms);
    char *log = read_file_from(s->log, s->log_start);
    const char *version = strstr(log, "Version:");
    if (version == NULL || sscanf(version, "Version: %31s", s->version) != 1)
        TS_FAIL("nats-server's log does not say which version it is");
    free(log);
}

static void wait_ready(ts_server *s)
{
    if (s->tls_first) {
        wait_logged_ready(s);
        return;
    }
    nbj_time until = ts_now() + NBJ_MILLIS(s->start_ms);
    ts_raw *r;

    while ((r = ts_raw_try_dial(s->port.number)) == NULL) {
        if (is_gone(s))
            TS_FAIL("nats-server (%s) ended at its start", binary_path());
        if (ts_now() >= until)
            TS_FAIL("nats-server (%s) does not listen after %d ms", binary_path(), s->start_ms);
        ts_breathe();
    }
    ts_raw_read_info(r);
    copy_member(r, "version", s->version, sizeof s->version);
    ts_raw_close(r);
}

void ts_server_wait_gone(ts_server *s, int ms)
{
    WAIT_UNTIL(is_gone(s), ms);
}

void ts_server_wait_log(ts_server *s, const char *text, int ms)
{
    nbj_time until = ts_now() + NBJ_MILLIS(ms);

    while (!log_has(s, text)) {
        if (ts_now() >= until)
            TS_FAIL("nats-server's log lacks \"%s\" after %d ms", text, ms);
        ts_breathe();
    }
}

/* -- one server -- */

/* A server with its files and ports, not running yet. */
static ts_server *create(const ts_server_options *options)
{
    const ts_server_options defaults = { 0 };
    const ts_server_options *o = options != NULL ? options : &defaults;
    const char *tmp = getenv("TMPDIR");

    (void)binary_path(); /* fails here, before there is anything to clean up */
    prepare_once();
    ts_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        TS_FAIL("out of memory");
    snprintf(s->dir, sizeof s->dir, "%.40s/nbj-server-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(s->dir) == NULL)
        TS_FAIL("%s: %s", s->dir, strerror(errno));
    s->next = all;
    all = s;
    snprintf(s->conf, sizeof s->conf, "%s/conf", s->dir);
    snprintf(s->log, sizeof s->log, "%s/log", s->dir);
    s->port = ts_port_reserve();
    s->route_port = (ts_port){ .reservation = -1 };
    snprintf(s->url, sizeof s->url, "nats://127.0.0.1:%u", s->port.number);
    s->jetstream = o->jetstream;
    s->tls_first = o->tls_first;
    snprintf(s->domain, sizeof s->domain, "%s", o->domain != NULL ? o->domain : "");
    snprintf(s->max_file, sizeof s->max_file, "%s", o->max_file != NULL ? o->max_file : "1GB");
    s->start_ms = o->start_ms > 0 ? o->start_ms : START_MS;
    s->config = format_text("%s", o->config != NULL ? o->config : "");
    return s;
}

ts_server *ts_server_start(const ts_server_options *options)
{
    ts_server *s = create(options);

    ts_server_restart(s);
    return s;
}

void ts_server_restart(ts_server *s)
{
    end_process(s);
    write_config(s);
    spawn(s);
    wait_ready(s);
}

static void forget(ts_server *s)
{
    ts_server **at = &all;

    while (*at != NULL && *at != s)
        at = &(*at)->next;
    if (*at == s)
        *at = s->next;
}

void ts_server_free(ts_server *s)
{
    if (s == NULL)
        return;
    end_process(s);
    remove_dir(s->dir);
    forget(s);
    ts_port_release(&s->port);
    ts_port_release(&s->route_port);
    free(s->routes);
    free(s->config);
    free(s);
}

static void send_signal(const ts_server *s, int number)
{
    if (s->pid == 0)
        TS_FAIL("nats-server %s does not run", s->url);
    kill(s->pid, number);
}

void ts_server_kill9(ts_server *s)
{
    send_signal(s, SIGKILL);
    ts_server_wait_gone(s, STOP_MS);
}

void ts_server_stop(ts_server *s)
{
    send_signal(s, SIGTERM);
    send_signal(s, SIGCONT); /* it may be paused */
    ts_server_wait_gone(s, STOP_MS);
}

void ts_server_pause(ts_server *s)
{
    int status = 0;

    send_signal(s, SIGSTOP);
    if (waitpid(s->pid, &status, WUNTRACED) != s->pid || !WIFSTOPPED(status))
        TS_FAIL("nats-server %s did not stop", s->url);
}

void ts_server_cont(ts_server *s)
{
    send_signal(s, SIGCONT);
}

void ts_server_lame_duck(ts_server *s)
{
    send_signal(s, SIGUSR2);
    ts_server_wait_log(s, "lame duck mode", STOP_MS);
}

void ts_server_reload(ts_server *s, const char *config)
{
    if (config != NULL) {
        free(s->config);
        s->config = format_text("%s", config);
    }
    write_config(s);
    off_t start = s->log_start;
    char *log = read_file_from(s->log, 0);
    s->log_start = (off_t)strlen(log); /* an earlier reload has left the same line */
    free(log);
    send_signal(s, SIGHUP);
    ts_server_wait_log(s, "Reloaded server configuration", STOP_MS);
    s->log_start = start;
}

uint16_t ts_server_port(const ts_server *s)
{
    return s->port.number;
}

const char *ts_server_url(const ts_server *s)
{
    return s->url;
}

const char *ts_server_version(const ts_server *s)
{
    return s->version;
}

bool ts_server_is_at_least(const ts_server *s, int major, int minor, int patch)
{
    int has[3] = { 0 };
    const int want[3] = { major, minor, patch };

    sscanf(s->version, "%d.%d.%d", &has[0], &has[1], &has[2]);
    for (int i = 0; i < 3; i++)
        if (has[i] != want[i])
            return has[i] > want[i];
    return true;
}

const char *ts_server_log(const ts_server *s)
{
    return s->log;
}

pid_t ts_server_pid(const ts_server *s)
{
    return s->pid;
}

/* -- clusters -- */

/* "cluster { … }" of one member. */
static char *routes_text(const ts_cluster *c, const ts_server *s)
{
    char routes[TS_CLUSTER_MAX * 40] = "";
    size_t n = 0;

    for (int i = 0; i < c->count; i++)
        if (c->server[i] != s)
            n += (size_t)snprintf(routes + n, sizeof routes - n, "%s\"nats://127.0.0.1:%u\"", n > 0 ? ", " : "",
                                  c->server[i]->route_port.number);
    return format_text("cluster { name: \"test\", listen: \"127.0.0.1:%u\", routes: [ %s] }", s->route_port.number,
                       routes);
}

static bool knows_all(const ts_cluster *c, const ts_server *s)
{
    ts_raw *r = ts_raw_dial(s->port.number);
    bool all_there = true;
    char name[32];

    ts_raw_read_info(r);
    nbj_bytes urls = ts_raw_info_member(r, "connect_urls");
    for (int i = 0; i < c->count; i++) {
        snprintf(name, sizeof name, "127.0.0.1:%u\"", c->server[i]->port.number);
        all_there = all_there && urls.len > 0 && memmem(urls.ptr, urls.len, name, strlen(name)) != NULL;
    }
    ts_raw_close(r);
    return all_there;
}

/* An API request that the server grants. */
static bool is_granted(ts_raw *r, const char *subject, const char *request)
{
    const char *answer = ts_raw_request(r, subject, request, 1000);

    return answer != NULL && answer[0] == '{' && strstr(answer, "\"error\"") == NULL;
}

/* Whether |s| reaches a JetStream leader that knows all members: only then it can place a replica on each. */
static bool jetstream_is_ready(const ts_cluster *c, const ts_server *s)
{
    ts_raw *r = ts_raw_open(s->port.number);
    char request[128];

    snprintf(request, sizeof request,
             "{\"name\":\"TS_READY\",\"subjects\":[\"ts.ready\"],\"storage\":\"memory\",\"num_replicas\":%d}",
             c->count < REPLICAS_MAX ? c->count : REPLICAS_MAX);
    bool ready =
        is_granted(r, "$JS.API.STREAM.CREATE.TS_READY", request) && is_granted(r, "$JS.API.STREAM.DELETE.TS_READY", "");
    ts_raw_close(r);
    return ready;
}

ts_cluster ts_cluster_start(int count, const ts_server_options *options)
{
    ts_cluster c = { .count = count };

    if (count < 2 || count > TS_CLUSTER_MAX)
        TS_FAIL("a cluster of %d servers", count);
    for (int i = 0; i < count; i++) {
        c.server[i] = create(options);
        c.server[i]->route_port = ts_port_reserve();
    }
    for (int i = 0; i < count; i++) {
        c.server[i]->routes = routes_text(&c, c.server[i]);
        write_config(c.server[i]);
        spawn(c.server[i]);
        wait_ready(c.server[i]);
    }
    for (int i = 0; i < count; i++) {
        WAIT_UNTIL(knows_all(&c, c.server[i]), CLUSTER_MS);
        if (c.server[i]->jetstream)
            WAIT_UNTIL(jetstream_is_ready(&c, c.server[i]), CLUSTER_MS);
    }
    return c;
}

void ts_cluster_free(ts_cluster *c)
{
    for (int i = 0; i < c->count; i++)
        ts_server_free(c->server[i]);
    c->count = 0;
}
