/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of secrets: passwords and tokens are in no error and no event, and nowhere in the process's memory, as a
 * core dump would show it, when the client was given back. A child plays the client, so that nobody else's copies are
 * there; its parent plays the server. The secret exists in the clear only while the client is opened. */
#define _GNU_SOURCE

#include "port.h"
#include "raw.h"
#include "thread_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INFO "INFO {\"server_id\":\"I\",\"version\":\"2.10.0\",\"headers\":true,\"auth_required\":true}\r\n"
#define LEN 48
#define TAIL 16   /* of it, which is searched for: an allocator writes over the beginning of what it gets back */
#define VEIL 0x80 /* makes of the secret what is no text */
#define PIECE 65536
#define SHADOW ((size_t)1 << 28) /* larger ones are not memory but a sanitizer's shadow of it */

static uint8_t veiled[LEN];

/* -- the child -- */

static bool is_secret(const uint8_t *at)
{
    size_t n = 0;

    while (n < TAIL && (at[n] ^ VEIL) == veiled[LEN - TAIL + n])
        n++;
    return n == TAIL;
}

/* Occurrences in |from| … |to| of this process's memory. */
static unsigned count_in(int mem, size_t from, size_t to)
{
    static uint8_t piece[PIECE];
    unsigned found = 0;

    while (from < to) {
        size_t want = to - from < sizeof piece ? to - from : sizeof piece;
        ssize_t got = pread(mem, piece, want, (off_t)from);
        if (got < TAIL)
            break;
        for (size_t i = 0; i + TAIL <= (size_t)got; i++)
            found += is_secret(piece + i);
        memset(piece, 0, sizeof piece);
        from += (size_t)got - (from + (size_t)got < to ? TAIL - 1 : 0);
    }
    return found;
}

/* In all of this process's memory that can be written. */
static unsigned count_secrets(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512], rights[8];
    size_t from = 0, to = 0;
    unsigned found = 0;

    while (maps != NULL && mem >= 0 && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%zx-%zx %7s", &from, &to, rights) == 3 && rights[0] == 'r' && rights[1] == 'w' &&
            to - from < SHADOW)
            found += count_in(mem, from, to);
    }
    if (maps != NULL)
        fclose(maps);
    if (mem >= 0)
        close(mem);
    return found;
}

typedef enum where { IN_URL, IN_URL_TOKEN, IN_PASSWORD, IN_TOKEN, IN_BAD_URL } where;

typedef struct secret_case {
    const char *title;
    where where;
    bool is_refused;
} secret_case;

/* The client's life between its secret's appearance and the end. Not inlined: its stack is given back. */
static __attribute__((noinline)) nbj_status open_client(const secret_case *s, unsigned port, nbj_client **out,
                                                        nbj_error *error, unsigned *seen)
{
    char secret[LEN + 1] = { 0 };
    char url[128];
    nbj_client_options o = { .struct_size = sizeof o, .url = url, .no_reconnect = true };

    for (size_t i = 0; i < LEN; i++)
        secret[i] = (char)(veiled[i] ^ VEIL);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port);
    if (s->where == IN_URL || s->where == IN_URL_TOKEN)
        snprintf(url, sizeof url, "nats://%s%s@127.0.0.1:%u", s->where == IN_URL ? "ann:" : "", secret, port);
    else if (s->where == IN_BAD_URL)
        snprintf(url, sizeof url, "nats://ann:%s@:%u", secret, port);
    o.user = s->where == IN_PASSWORD ? "ann" : NULL;
    o.password = s->where == IN_PASSWORD ? secret : NULL;
    o.token = s->where == IN_TOKEN ? secret : NULL;
    *seen = count_secrets();
    nbj_status st = nbj_client_open(out, &o, error);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(url, sizeof url);
    return st;
}

/* 0: as it should be; otherwise what was wrong. */
static int play_client(const secret_case *s, unsigned port)
{
    static nbj_error error;
    static char address[256];
    nbj_client *c = NULL;
    unsigned seen = 0;
    nbj_status st = open_client(s, port, &c, &error, &seen);

    if (seen == 0)
        return 100; /* the search finds nothing at all */
    if ((st == NBJ_OK) != (!s->is_refused && s->where != IN_BAD_URL))
        return 101;
    if (c != NULL && nbj_client_server_address(c, address, sizeof address) != NBJ_OK)
        return 102;
    nbj_client_release(c);
    unsigned left = count_secrets();
    return left > 99 ? 99 : (int)left;
}

/* -- the parent -- */

static void play_server(const secret_case *s, int listener)
{
    nbj_time until = ts_now() + NBJ_SECONDS(60); /* it searches its memory first */
    int fd = -1;

    while (fd < 0 && ts_now() < until) {
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            ts_breathe();
    }
    assert_true(fd >= 0);
    ts_raw *r = ts_raw_adopt(fd);
    ts_raw_send(r, INFO);
    const char *connect = ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
    bool is_token = s->where == IN_TOKEN || s->where == IN_URL_TOKEN;
    CHECK(s->title, strstr(connect, is_token ? "\"auth_token\":\"" : "\"pass\":\"") != NULL);
    ts_raw_send(r, s->is_refused ? "-ERR 'Authorization Violation'\r\n" : "PONG\r\n");
    if (s->is_refused)
        ts_raw_close(r);
    else {
        ts_raw_expect_end(r, TS_RAW_MS);
        ts_raw_close(r);
    }
}

static const secret_case cases[] = {
    { "a password in the URL", IN_URL, false },          { "a token in the URL", IN_URL_TOKEN, false },
    { "a password in the options", IN_PASSWORD, false }, { "a token in the options", IN_TOKEN, false },
    { "a password that is refused", IN_URL, true },      { "a token that is refused", IN_TOKEN, true },
    { "a password in a bad URL", IN_BAD_URL, false },
};

static void test_no_secret_is_left_behind(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its shadow of the memory is as large as the address space, and read page by page */
#endif
    for (size_t i = 0; i < COUNT(cases); i++) {
        ts_port port = ts_port_reserve();
        int listener = ts_port_listen(&port);
        int status = 0;

        assert_int_equal(getrandom(veiled, sizeof veiled, 0), sizeof veiled);
        for (size_t n = 0; n < LEN; n++)
            veiled[n] = (uint8_t)(('a' + veiled[n] % 26) ^ VEIL);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            _exit(play_client(&cases[i], port.number));
        assert_true(child > 0);
        if (cases[i].where != IN_BAD_URL)
            play_server(&cases[i], listener);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            TS_FAIL("%s: the child ended with %d (below 100: copies that were left)", cases[i].title,
                    WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
        close(listener);
        ts_port_release(&port);
    }
}

/* The dynamic linker, when it looks a function up at its first call, saves vector registers on the stack, and with them
 * what was copied last. Programs whose secrets matter are linked with -z now, as distributions do. */
static void bind_now(char *const *argv)
{
    if (getenv("LD_BIND_NOW") != NULL)
        return;
    setenv("LD_BIND_NOW", "1", 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    (void)argc;
    bind_now(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_secret_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
