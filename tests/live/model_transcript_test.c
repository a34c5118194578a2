/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's server model answers as the real server does: each scripted conversation is played against both,
 * and what every connection received after every step must be equal but for ids, times and addresses. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "player.h"
#include "port.h"
#include "server.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 4000 /* for an answer that the model has given */
#define ATTEMPTS 3u
#define QUIET_MS 40 /* without anything more at the end of a scenario */

/* One conversation with a real server. */
typedef struct real {
    ts_server *server;
    int fd[TRANSCRIPT_CONNS];
    bool closed[TRANSCRIPT_CONNS];
    buf in[TRANSCRIPT_CONNS], ack[TRANSCRIPT_CONNS];
} real;

static void real_open(real *r, ts_server *server)
{
    *r = (real){ .server = server, .fd = { -1, -1, -1, -1 } };
}

static void real_close(real *r)
{
    for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++) {
        if (r->fd[i] >= 0)
            close(r->fd[i]);
        buf_free(&r->in[i]);
        buf_free(&r->ack[i]);
    }
}

/* Reads what comes on one connection within |ms|, once. */
static void read_some(real *r, unsigned i, int ms, buf *out)
{
    char chunk[65536];
    struct pollfd p = { .fd = r->fd[i], .events = POLLIN };
    if (r->fd[i] < 0 || r->closed[i] || poll(&p, 1, ms) <= 0)
        return;
    ssize_t n = read(r->fd[i], chunk, sizeof chunk);
    if (n > 0)
        buf_put(&r->in[i], chunk, (size_t)n);
    transcript_read_frames(&r->in[i], out, &r->ack[i]);
    if (n <= 0) {
        r->closed[i] = true;
        buf_text(out, "<closed>\n");
    }
}

static void send_octets(real *r, unsigned i, str octets)
{
    if (r->fd[i] < 0)
        r->fd[i] = ts_port_connect(ts_server_port(r->server));
    while (octets.len > 0) {
        ssize_t n = send(r->fd[i], octets.ptr, octets.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server closed: the transcript shows it */
        octets = str_skip(octets, (size_t)n);
    }
}

static void real_step(real *r, str line)
{
    unsigned conn = (unsigned)(line.ptr[0] - 'A') < TRANSCRIPT_CONNS ? (unsigned)(line.ptr[0] - 'A') : 0;
    transcript_step s = transcript_read_step(line, buf_view(&r->ack[conn]));
    switch (s.kind) {
    case STEP_SEND:
        send_octets(r, s.conn, buf_view(&s.octets));
        break;
    case STEP_WAIT: /* time itself is what the script is about */
        nanosleep(&(struct timespec){ (time_t)(s.ms / 1000), (long)(s.ms % 1000) * 1000000 }, NULL);
        break;
    case STEP_KILL:
        ts_server_kill9(r->server);
        break;
    case STEP_RESTART:
        ts_server_restart(r->server);
        break;
    case STEP_LAME:
        ts_server_lame_duck(r->server);
        break;
    }
    buf_free(&s.octets);
}

static void show(const char *who, const buf *text)
{
    str rest = buf_view(text);
    while (rest.len > 0) {
        str line = str_cut(&rest, '\n');
        print_message("    %s %.*s\n", who, (int)line.len, line.ptr);
    }
}

/* Collects until each connection has received what the model wrote, or more, or the time is over. */
static bool receives(real *r, const buf *expected)
{
    nbj_time until = ts_now() + NBJ_MILLIS(STEP_MS);
    bool all = true;
    for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++) {
        buf got = { 0 };
        read_some(r, i, 0, &got);
        while (buf_len(&got) < buf_len(&expected[i]) && ts_now() < until)
            read_some(r, i, 5, &got);
        if (!str_eq(buf_view(&got), buf_view(&expected[i]))) {
            print_message("  connection %c\n", 'A' + (int)i);
            show("model ", &expected[i]);
            show("server", &got);
            all = false;
        }
        buf_free(&got);
    }
    return all;
}

static bool says_nothing_more(real *r)
{
    bool quiet = true;
    for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++) {
        buf got = { 0 };
        read_some(r, i, i == 0 ? QUIET_MS : 0, &got);
        if (buf_len(&got) > 0) {
            show("server also", &got);
            quiet = false;
        }
        buf_free(&got);
    }
    return quiet;
}

static bool play(const scenario *s, player *p, real *r)
{
    bool equal = true;
    for (str rest = str_of(s->script); rest.len > 0 && equal;) {
        str line = str_cut(&rest, '\n');
        buf expected[TRANSCRIPT_CONNS] = { { 0 } };
        player_step(p, line, expected);
        real_step(r, line);
        equal = receives(r, expected);
        if (!equal)
            print_message("  after: %.*s\n", (int)line.len, line.ptr);
        for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++)
            buf_free(&expected[i]);
    }
    return equal && says_nothing_more(r);
}

static ts_server *start(const scenario_group *g)
{
    return ts_server_start(&(ts_server_options){ .jetstream = g->jetstream, .config = g->config });
}

static bool plays_equal(const scenario_group *g, const scenario *s, ts_server *server)
{
    unsigned minor = 0, patch = 0;
    player p;
    real r;
    assert_int_equal(sscanf(ts_server_version(server), "2.%u.%u", &minor, &patch), 2);
    player_open(&p, g, minor, patch, 0);
    real_open(&r, server);
    bool equal = play(s, &p, &r);
    real_close(&r);
    player_free(&p);
    return equal;
}

/* Real servers have races of their own (a stream made again right after its deletion has been seen with the former's
 * state), so a difference counts when it comes back on fresh servers. */
static void test_group(void **state)
{
    const scenario_group *g = *state;
    const char *only = getenv("NBJ_TRANSCRIPT"); /* one scenario by name */
    size_t differ = 0;
    ts_server *server = start(g);
    for (const scenario *s = g->scenarios; s->name != NULL; s++) {
        unsigned attempts = 0;
        if (only != NULL && strcmp(only, s->name) != 0)
            continue;
        while (!plays_equal(g, s, server) && ++attempts < ATTEMPTS) {
            print_message("differs: %s / %s\n", g->name, s->name);
            ts_server_free(server);
            server = start(g);
        }
        differ += attempts == ATTEMPTS;
    }
    ts_server_free(server);
    assert_int_equal(differ, 0);
}

int main(void)
{
    struct CMUnitTest tests[8];
    assert(scenario_group_count <= 8);
    for (size_t i = 0; i < scenario_group_count; i++)
        tests[i] = (struct CMUnitTest){ .name = scenario_groups[i].name,
                                        .test_func = test_group,
                                        .initial_state = (void *)(uintptr_t)&scenario_groups[i] };
    return _cmocka_run_group_tests("model_transcript", tests, scenario_group_count, NULL, NULL);
}
