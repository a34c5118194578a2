/* SPDX-License-Identifier: Apache-2.0 */
/* The tools of tests/support that need no nats-server: the fault proxy and the failing allocators. */
#define _GNU_SOURCE

#include "alloc_fail.h"
#include "check.h"
#include "malloc_fail.h"
#include "port.h"
#include "proxy.h"
#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- the proxy, between a client and a server that are both this test -- */

typedef struct scene {
    ts_port port;
    int listener;
    ts_proxy *proxy;
    ts_raw *client, *server;
} scene;

static void connect_both(scene *s)
{
    struct pollfd p = { .fd = s->listener, .events = POLLIN };

    s->client = ts_raw_dial(ts_proxy_port(s->proxy));
    assert_int_equal(poll(&p, 1, TS_RAW_MS), 1);
    int fd = accept(s->listener, NULL, NULL);
    assert_true(fd >= 0);
    s->server = ts_raw_adopt(fd);
}

static void disconnect(scene *s)
{
    ts_raw_close(s->client);
    ts_raw_close(s->server);
    s->client = s->server = NULL;
}

static scene open_scene(void)
{
    scene s = { .port = ts_port_reserve() };

    s.listener = ts_port_listen(&s.port);
    assert_true(s.listener >= 0);
    s.proxy = ts_proxy_start(s.port.number);
    connect_both(&s);
    return s;
}

static void close_scene(scene *s)
{
    disconnect(s);
    ts_proxy_free(s->proxy);
    close(s->listener);
    ts_port_release(&s->port);
}

/* Reads until the end; the octets that came go to |out|. Returns how it ended: 0 or an errno. */
static int read_to_end(ts_raw *r, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    struct timeval bound = { .tv_sec = TS_RAW_MS / 1000 };

    setsockopt(ts_raw_fd(r), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    while ((n = recv(ts_raw_fd(r), out + len, cap - 1 - len, 0)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    return n == 0 ? 0 : errno;
}

static void test_passes_through(void **state)
{
    scene s = open_scene();
    enum { LEN = 1 << 20 };
    char *sent = malloc(LEN + 1);

    (void)state;
    assert_non_null(sent);
    for (size_t i = 0; i < LEN; i++)
        sent[i] = (char)('a' + i * i % 26);
    sent[LEN] = '\0';
    ts_raw_send(s.client, "up\n");
    ts_raw_expect(s.server, "up\n", TS_RAW_MS);
    for (size_t i = 0; i < LEN; i += 4096)
        ts_raw_send_bytes(s.server, sent + i, 4096);
    ts_raw_send(s.server, "!");
    const char *got = ts_raw_expect(s.client, "!", TS_RAW_MS);
    CHECK("unchanged", strncmp(got, sent, LEN) == 0 && strlen(got) == LEN + 1);
    CHECK("counted", ts_proxy_forwarded(s.proxy, TS_TO_CLIENT) == LEN + 1);
    CHECK("counted", ts_proxy_forwarded(s.proxy, TS_TO_SERVER) == 3);
    CHECK("one", ts_proxy_accepted(s.proxy) == 1 && ts_proxy_live(s.proxy) == 1);

    ts_raw_close(s.client); /* the other side hears of it */
    s.client = NULL;
    ts_raw_expect_end(s.server, TS_RAW_MS);
    free(sent);
    close_scene(&s);
}

static void test_half_close_passes(void **state)
{
    scene s = open_scene();

    (void)state;
    shutdown(ts_raw_fd(s.client), SHUT_WR);
    ts_raw_expect_end(s.server, TS_RAW_MS);
    ts_raw_send(s.server, "still\n");
    ts_raw_expect(s.client, "still\n", TS_RAW_MS);
    close_scene(&s);
}

static void test_cut_at_each_octet(void **state)
{
    static const ts_ending endings[] = { TS_FIN, TS_RST };
    scene s = open_scene();
    char got[64];

    (void)state;
    for (size_t n = 0; n <= 10; n++)
        for (int i = 0; i < 2; i++) {
            disconnect(&s);
            ts_proxy_cut_after(s.proxy, TS_TO_CLIENT, n, endings[i]);
            connect_both(&s);
            ts_raw_send(s.server, "0123456789");
            int end = read_to_end(s.client, got, sizeof got);
            CHECK("the right octets", strlen(got) == n && strncmp(got, "0123456789", n) == 0);
            CHECK("the right end", end == (endings[i] == TS_RST ? ECONNRESET : 0));
            ts_raw_expect_end(s.server, TS_RAW_MS);
        }
    disconnect(&s);
    connect_both(&s); /* a cut is done once */
    ts_proxy_cut_after(s.proxy, TS_TO_SERVER, 3, TS_RST);
    ts_proxy_cancel_cut(s.proxy, TS_TO_SERVER);
    ts_raw_send(s.client, "all of it\n");
    ts_raw_expect(s.server, "all of it\n", TS_RAW_MS);
    close_scene(&s);
}

static void test_cut_now(void **state)
{
    static const ts_ending endings[] = { TS_FIN, TS_RST };
    scene s = open_scene();
    char got[64];

    (void)state;
    for (int i = 0; i < 2; i++) {
        int want = endings[i] == TS_RST ? ECONNRESET : 0;
        ts_proxy_cut_now(s.proxy, endings[i]);
        CHECK("none is left", ts_proxy_live(s.proxy) == 0);
        CHECK("client", read_to_end(s.client, got, sizeof got) == want);
        CHECK("server", read_to_end(s.server, got, sizeof got) == want);
        disconnect(&s);
        connect_both(&s);
    }
    close_scene(&s);
}

static void test_stall(void **state)
{
    scene s = open_scene();
    char block[65536] = { 0 };
    ssize_t n;
    size_t taken = 0;

    (void)state;
    ts_proxy_stall(s.proxy, TS_TO_SERVER, true);
    while ((n = send(ts_raw_fd(s.client), block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        taken += (size_t)n;
    CHECK("the sender's buffers fill up", errno == EAGAIN);
    CHECK("nothing passes", ts_raw_try_read(s.server, "\0", 50) == NULL);
    CHECK("nothing passes", ts_proxy_forwarded(s.proxy, TS_TO_SERVER) == 0);
    ts_raw_send(s.server, "other way\n");
    ts_raw_expect(s.client, "other way\n", TS_RAW_MS);

    ts_proxy_stall(s.proxy, TS_TO_SERVER, false);
    struct pollfd p = { .fd = ts_raw_fd(s.server), .events = POLLIN };
    for (size_t got = 0; got < taken; got += (size_t)n) {
        assert_int_equal(poll(&p, 1, TS_RAW_MS), 1);
        n = recv(p.fd, block, sizeof block, 0);
        assert_true(n > 0);
    }
    CHECK("all of it comes in the end", ts_proxy_forwarded(s.proxy, TS_TO_SERVER) == taken);
    close_scene(&s);
}

static void test_black_hole(void **state)
{
    scene s = open_scene();

    (void)state;
    ts_proxy_black_hole(s.proxy, TS_TO_SERVER, true);
    ts_raw_send(s.client, "lost\n");
    CHECK("nothing comes", ts_raw_try_read(s.server, "\n", 50) == NULL);
    ts_raw_send(s.server, "other way\n");
    ts_raw_expect(s.client, "other way\n", TS_RAW_MS);
    ts_proxy_black_hole(s.proxy, TS_TO_SERVER, false);
    ts_raw_send(s.client, "late\n");
    assert_string_equal(ts_raw_expect(s.server, "\n", TS_RAW_MS), "late\n");

    ts_proxy_black_hole(s.proxy, TS_TO_SERVER, true);
    ts_proxy_black_hole(s.proxy, TS_TO_CLIENT, true);
    ts_raw_reset(s.client); /* not even that is seen */
    s.client = NULL;
    CHECK("no end is seen", ts_raw_try_read(s.server, "x", 50) == NULL);
    ts_raw_send(s.server, "to nobody\n");
    close_scene(&s);
}

static void test_refuse(void **state)
{
    scene s = open_scene();

    (void)state;
    ts_proxy_refuse(s.proxy, true);
    assert_null(ts_raw_try_dial(ts_proxy_port(s.proxy)));
    ts_raw_send(s.client, "still here\n");
    ts_raw_expect(s.server, "still here\n", TS_RAW_MS);
    ts_proxy_refuse(s.proxy, false);
    disconnect(&s);
    connect_both(&s);
    CHECK("the refused one does not count", ts_proxy_accepted(s.proxy) == 2);
    close_scene(&s);
}

static void test_server_is_away(void **state)
{
    ts_port nobody = ts_port_reserve();
    ts_proxy *p = ts_proxy_start(nobody.number);
    ts_raw *r = ts_raw_dial(ts_proxy_port(p));
    char got[8];

    (void)state;
    assert_int_equal(read_to_end(r, got, sizeof got), ECONNRESET);
    ts_raw_close(r);
    ts_proxy_free(p);
    ts_port_release(&nobody);
}

static void test_split(void **state)
{
    scene s = open_scene();
    char got[64];
    size_t len = 0;
    struct timeval bound = { .tv_sec = TS_RAW_MS / 1000 };

    (void)state;
    setsockopt(ts_raw_fd(s.client), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    ts_proxy_split(s.proxy, TS_TO_CLIENT, 3, NBJ_MILLIS(5));
    nbj_time start = ts_now();
    ts_raw_send(s.server, "0123456789");
    while (len < 10) {
        ssize_t n = recv(ts_raw_fd(s.client), got + len, sizeof got - len, 0);
        assert_true(n > 0);
        /* a slow machine may read two pieces as one, but a piece ends at every third octet */
        CHECK("in threes", (len + (size_t)n) % 3 == 0 || len + (size_t)n == 10);
        len += (size_t)n;
    }
    CHECK("three gaps", ts_now() - start >= NBJ_MILLIS(15));
    CHECK("unchanged", memcmp(got, "0123456789", 10) == 0);
    ts_proxy_split(s.proxy, TS_TO_CLIENT, 0, 0);
    ts_raw_send(s.server, "whole\n");
    ts_raw_expect(s.client, "whole\n", TS_RAW_MS);
    close_scene(&s);
}

static void test_delay(void **state)
{
    scene s = open_scene();

    (void)state;
    ts_proxy_delay(s.proxy, TS_TO_SERVER, NBJ_MILLIS(50));
    nbj_time start = ts_now();
    ts_raw_send(s.client, "a");
    ts_raw_send(s.client, "b\n");
    shutdown(ts_raw_fd(s.client), SHUT_WR);
    assert_string_equal(ts_raw_expect(s.server, "\n", TS_RAW_MS), "ab\n");
    CHECK("late", ts_now() - start >= NBJ_MILLIS(50));
    ts_raw_expect_end(s.server, TS_RAW_MS);
    CHECK("not one after the other", ts_now() - start < NBJ_MILLIS(2000));
    close_scene(&s);
}

/* -- allocators -- */

/* Allocates twice and grows once. |ctx|: what to do wrong, or NULL. */
static nbj_status scenario(const nbj_allocator *a, void *ctx)
{
    nbj_status st = NBJ_E_NOMEM;
    const char *wrong = ctx != NULL ? ctx : "";
    char *one = a->alloc(a->ctx, 10);
    char *two = one != NULL ? a->alloc(a->ctx, 20) : NULL;

    if (two != NULL) {
        memset(two, 'x', 20);
        char *grown = a->realloc(a->ctx, two, 20, 3000);
        if (grown != NULL) {
            st = grown[19] == 'x' ? NBJ_OK : NBJ_E_PROTO;
            a->free(a->ctx, grown, 3000);
        } else if (strcmp(wrong, "leak") != 0) {
            a->free(a->ctx, two, 20);
        }
    }
    if (one != NULL)
        a->free(a->ctx, one, 10);
    return st < 0 && strcmp(wrong, "status") == 0 ? NBJ_E_IO : st;
}

static void test_sweep(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(scenario, NULL), 3);
}

static void sweep_wrong_status(void **state)
{
    (void)state;
    alloc_sweep(scenario, (void *)(uintptr_t) "status");
}

static void sweep_leak(void **state)
{
    (void)state;
    alloc_sweep(scenario, (void *)(uintptr_t) "leak");
}

static void wrong_size(void **state)
{
    ts_alloc a;

    (void)state;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    a.allocator.free(&a, a.allocator.alloc(&a, 10), 11);
}

/* Whether |fn|, as the only test of a program of its own, fails. */
static bool fails(CMUnitTestFunction fn)
{
    const struct CMUnitTest tests[] = { { "inner", fn, NULL, NULL, NULL } };
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
    }
    waitpid(pid, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void test_sweep_finds_mistakes(void **state)
{
    (void)state;
    CHECK("another status", fails(sweep_wrong_status));
    CHECK("a leak", fails(sweep_leak));
    CHECK("a wrong size", fails(wrong_size));
    CHECK("and only these", !fails(test_sweep));
}

static void test_allocator_counts(void **state)
{
    ts_alloc a;
    const nbj_allocator *m = &a.allocator;

    (void)state;
    ts_alloc_init(&a, 2, true);
    void *one = m->alloc(m->ctx, 100);
    void *two = m->alloc(m->ctx, 50);
    CHECK("live", a.live_blocks == 2 && a.live_bytes == 150 && a.peak_bytes == 150);
    CHECK("third", m->alloc(m->ctx, 1) == NULL);
    CHECK("all after it", m->realloc(m->ctx, one, 100, 200) == NULL);
    CHECK("counted", a.calls == 4 && a.failed == 2);
    m->free(m->ctx, one, 100);
    m->free(m->ctx, two, 50);
    CHECK("none", a.live_blocks == 0 && a.live_bytes == 0);
    ts_alloc_done(&a);
}

static void test_malloc_fails(void **state)
{
    (void)state;
    if (!ts_malloc_fail_works()) {
        ts_malloc_fail_arm(0);
        char *p = malloc(10);
        CHECK("arming does nothing", !ts_malloc_fail_disarm() && p != NULL);
        free(p);
        return;
    }
    ts_malloc_fail_arm(1); /* volatile, or the compiler saves itself the calls */
    char *volatile zero = malloc(10);
    char *volatile first = strdup("in libc"); /* another library's call */
    char *volatile second = calloc(2, 5);
    CHECK("refused", ts_malloc_fail_disarm());
    CHECK("only the one", zero != NULL && first == NULL && second != NULL && second[9] == 0);
    ts_malloc_fail_arm(0);
    char *volatile same = realloc(second, 100);
    CHECK("refused", ts_malloc_fail_disarm());
    assert_null(same);
    ts_malloc_fail_arm(5);
    free(zero);
    CHECK("not as far as that", !ts_malloc_fail_disarm());
    if (same == NULL)
        free(second);
}

/* -- check.h -- */

static void test_show(void **state)
{
    (void)state;
    assert_string_equal(ts_show("a\r\n\x01%d", 6), "a\\r\\n\\x01%d");
    nbj_bytes b = exact_copy("abc");
    CHECK("copied", nbj_bytes_equal(b, nbj_str("abc")));
    exact_free(b);
    exact_free(exact_copy(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_through),
        cmocka_unit_test(test_half_close_passes),
        cmocka_unit_test(test_cut_at_each_octet),
        cmocka_unit_test(test_cut_now),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_black_hole),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_server_is_away),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_sweep_finds_mistakes),
        cmocka_unit_test(test_allocator_counts),
        cmocka_unit_test(test_malloc_fails),
        cmocka_unit_test(test_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
