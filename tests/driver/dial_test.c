/* SPDX-License-Identifier: Apache-2.0 */
/* Happy eyeballs against the name server of tests/support and against addresses that answer, refuse or swallow.
 *
 * A black hole without privileges: a listener whose backlog is full and which never accepts. The kernel then drops each
 * further SYN, and who connects waits as for a host that is gone. Each is of one address and port. */
#define _GNU_SOURCE
#include "driver/dial.h"

#include "alloc_fail.h"
#include "check.h"
#include "malloc_fail.h"
#include "name_server.h"

#include <ares.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RACER_TAG (UINT64_C(5) << 32)
#define RESOLVER_TAG (UINT64_C(7) << 32)
#define MARGIN (ts_in_valgrind() ? NBJ_SECONDS(5) : NBJ_MILLIS(700)) /* a busy machine's */

/* --- addresses with a fate --- */

typedef struct place {
    int listener;
    int fillers[8]; /* connections that keep a black hole full */
    size_t filler_count;
} place;

static nbj__address address_of(const char *host, uint16_t port)
{
    nbj__address a;

    assert_true(nbj__address_parse(host, &a));
    nbj__address_set_port(&a, port);
    return a;
}

/* A listener at |host|, |port| (0: any); -1 with errno. */
static int listen_at(const char *host, uint16_t port, int backlog)
{
    nbj__address a = address_of(host, port);
    int one = 1;
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &a.any, nbj__address_len(&a)) == 0 && listen(fd, backlog) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd)
{
    nbj__address a;
    socklen_t len = sizeof a;

    assert_int_equal(getsockname(fd, &a.any, &len), 0);
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

static void black_hole(place *p, const char *host, uint16_t port)
{
    nbj__address a = address_of(host, port);

    *p = (place){ .listener = listen_at(host, port, 0) };
    assert_true(p->listener >= 0);
    for (bool swallows = false; !swallows;) {
        assert_true(p->filler_count < COUNT(p->fillers));
        int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, &a.any, nbj__address_len(&a)), -1);
        swallows = poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 50) == 0;
        p->fillers[p->filler_count++] = fd;
    }
}

static void close_place(place *p)
{
    for (size_t i = 0; i < p->filler_count; i++)
        close(p->fillers[i]);
    if (p->listener >= 0)
        close(p->listener);
    *p = (place){ .listener = -1 };
}

/* --- a loop around a dialer --- */

typedef struct scene {
    ts_name_server *names;
    int epoll;
    nbj__dialer dialer;
    nbj_status status;
    nbj_time begun;
    place good, hole; /* at |port|, where they are */
    uint16_t port;
    int descriptors; /* open ones before the first dial */
} scene;

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* A server at |good| and a black hole at |hole|, of the same port; NULL: none. False: this machine has no such address. */
static bool open_scene(scene *s, const char *good, const char *hole, const nbj__dial_options *options)
{
    nbj__dial_options o = options != NULL ? *options : (nbj__dial_options){ 0 };
    int keeper = -1;

    *s = (scene){ .good.listener = -1, .hole.listener = -1 };
    for (int tries = 0; tries < 20; tries++) { /* the port that is free for one may not be so for the other */
        s->good.listener = listen_at(good != NULL ? good : "127.0.0.99", 0, 128);
        if (s->good.listener < 0) {
            print_message("no %s here: %s\n", good, strerror(errno));
            return false;
        }
        s->port = port_of(s->good.listener);
        keeper = listen_at(hole != NULL ? hole : "127.0.0.98", s->port, 1);
        if (keeper >= 0)
            break;
        int error = errno;
        close_place(&s->good);
        if (error != EADDRINUSE) {
            print_message("no %s here: %s\n", hole, strerror(error));
            return false;
        }
    }
    assert_true(keeper >= 0);
    close(keeper);
    if (hole != NULL)
        black_hole(&s->hole, hole, s->port);
    s->names = ts_name_server_start();
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    o.name_servers = ts_name_server_address(s->names);
    assert_int_equal(nbj__dialer_init(&s->dialer, NULL, s->epoll, RACER_TAG, RESOLVER_TAG, &o), NBJ_OK);
    s->descriptors = open_descriptors();
    return true;
}

static void close_scene(scene *s)
{
    CHECK("descriptors back to baseline", open_descriptors() == s->descriptors);
    nbj__dialer_free(&s->dialer);
    nbj__dialer_free(&s->dialer);
    close(s->epoll);
    ts_name_server_free(s->names);
    close_place(&s->good);
    close_place(&s->hole);
}

static void start(scene *s, const char *name, uint64_t whole_ns)
{
    s->begun = ts_now();
    s->status = nbj__dialer_start(&s->dialer, name, s->port, s->begun + whole_ns, s->begun);
}

/* One turn of a driver's loop: at most until |until|. */
static void turn(scene *s, nbj_time until)
{
    struct epoll_event events[8];
    nbj_time due = nbj__dialer_deadline(&s->dialer);
    int n = epoll_wait(s->epoll, events, 8, ts_left_ms(due < until ? due : until));

    for (int i = 0; i < n && s->status == NBJ_MORE; i++) {
        uint64_t data = events[i].data.u64;
        int fd = (int)(uint32_t)data;
        CHECK("tag", data >> 32 == RACER_TAG >> 32 || data >> 32 == RESOLVER_TAG >> 32);
        s->status = data >= RESOLVER_TAG ? nbj__dialer_on_resolver(&s->dialer, fd, events[i].events, ts_now())
                                         : nbj__dialer_on_racer(&s->dialer, fd, ts_now());
    }
    CHECK("a bounded race", s->dialer.racer_count <= NBJ__RACERS_MAX);
    if (s->status == NBJ_MORE)
        s->status = nbj__dialer_on_time(&s->dialer, ts_now());
}

/* To the end; returns how long it took. */
static uint64_t finish(scene *s)
{
    nbj_time until = s->begun + NBJ_SECONDS(20);
    unsigned turns = 0;

    for (; s->status == NBJ_MORE; turns++) {
        CHECK("a deadline is set while a dial is under way", nbj__dialer_deadline(&s->dialer) != NBJ_TIME_NEVER);
        CHECK("in time", ts_now() < until);
        turn(s, until);
    }
    CHECK("it does not spin", turns < 500);
    CHECK("no deadline afterwards", nbj__dialer_deadline(&s->dialer) == NBJ_TIME_NEVER);
    CHECK("only the winner is left", open_descriptors() == s->descriptors + (s->status == NBJ_OK ? 1 : 0));
    return ts_now() - s->begun;
}

/* The peer of the connected socket, which is closed. */
static const char *winner(scene *s)
{
    static char text[80];
    nbj__text t = nbj__text_into(text, sizeof text);
    nbj__address a = { 0 };
    socklen_t len = sizeof a;
    int fd = nbj__dialer_take(&s->dialer);

    CHECK(nbj_error_text(&s->dialer.error), s->status == NBJ_OK && fd >= 0);
    CHECK("taken once", nbj__dialer_take(&s->dialer) == -1);
    assert_int_equal(getpeername(fd, &a.any, &len), 0);
    CHECK("close-on-exec", (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK("non-blocking", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    struct epoll_event e = { .data.u64 = 1 };
    CHECK("it is in the set", epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &e) == 0);
    close(fd);
    while ((fd = accept4(s->good.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) /* or it becomes a black hole as well */
        close(fd);
    nbj__address_set_port(&a, 1);
    nbj__address_add_text(&a, &t);
    return text;
}

/* |format| with up to two "%u" for the port, against the error's text. */
static void check_error(const scene *s, nbj_status status, const char *format)
{
    char want[500];

    snprintf(want, sizeof want, format, s->port, s->port);
    CHECK(nbj_error_text(&s->dialer.error), s->status == status && s->dialer.error.status == status);
    assert_string_equal(s->dialer.error.text, want);
}

/* --- the race --- */

static void test_dead_v6(void **state)
{
    scene s;

    (void)state;
    if (!open_scene(&s, "127.0.0.1", "::1", NULL))
        skip();
    for (int i = 0; i < 3; i++) {
        start(&s, "dual.test", NBJ_SECONDS(10));
        uint64_t took = finish(&s);
        assert_string_equal(winner(&s), "127.0.0.1:1");
        CHECK("IPv6 had its time", took >= NBJ_MILLIS(250));
        CHECK("and no more", took < NBJ_MILLIS(300) + MARGIN);
    }
    close_scene(&s);
}

static void test_dead_v4(void **state)
{
    scene s;

    (void)state;
    if (!open_scene(&s, "::1", "127.0.0.1", NULL))
        skip();
    start(&s, "dual.test", NBJ_SECONDS(10));
    CHECK("IPv6 is first", finish(&s) < NBJ_MILLIS(250) + MARGIN);
    assert_string_equal(winner(&s), "[::1]:1");
    start(&s, "late6.test", NBJ_SECONDS(10)); /* IPv4 is first, and then not alone any more */
    uint64_t took = finish(&s);
    assert_string_equal(winner(&s), "[::1]:1");
    CHECK("with its answer", took >= NBJ_MILLIS(300) && took < NBJ_MILLIS(310) + MARGIN);
    close_scene(&s);
}

/* A refusal is no reason to wait. */
static void test_refused_goes_on_at_once(void **state)
{
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.20", NULL, NULL)); /* the last of many.test */
    start(&s, "many.test", NBJ_SECONDS(10));
    CHECK("soon", finish(&s) < NBJ_MILLIS(20) + MARGIN);
    assert_string_equal(winner(&s), "127.0.0.20:1");
    close_scene(&s);
}

/* More black holes than may race: each has its turn before the end, and so the last one connects. */
static void test_many_black_holes(void **state)
{
    scene s;
    place holes[18];
    char host[32];

    (void)state;
    assert_true(open_scene(&s, "127.0.0.20", "127.0.0.1", NULL));
    for (size_t i = 0; i < COUNT(holes); i++) {
        snprintf(host, sizeof host, "127.0.0.%zu", i + 2);
        black_hole(&holes[i], host, s.port);
    }
    s.descriptors = open_descriptors();
    start(&s, "many.test", NBJ_SECONDS(2));
    uint64_t took = finish(&s);
    assert_string_equal(winner(&s), "127.0.0.20:1");
    CHECK("in time", took >= NBJ_MILLIS(1000) && took < NBJ_SECONDS(2));
    close_place(&s.good); /* nothing but holes */
    s.descriptors--;
    black_hole(&s.good, "127.0.0.20", s.port);
    s.descriptors = open_descriptors();
    start(&s, "many.test", NBJ_SECONDS(1));
    took = finish(&s);
    CHECK("at the end", took >= NBJ_SECONDS(1) && took < NBJ_SECONDS(1) + MARGIN);
    check_error(&s, NBJ_E_CONNECT_TIMEOUT,
                "none of 20 addresses could be connected to: no answer (127.0.0.1:%u and 19 more)");
    for (size_t i = 0; i < COUNT(holes); i++)
        close_place(&holes[i]);
    s.descriptors = open_descriptors();
    close_scene(&s);
}

static void test_slow_answers(void **state)
{
    static const struct {
        const char *name, *good, *want;
        uint64_t least_ms, most_ms;
    } cases[] = {
        { "late6.test", "127.0.0.1", "127.0.0.1:1", 50, 50 }, /* the resolution delay */
        { "hole6.test", "127.0.0.1", "127.0.0.1:1", 50, 50 },
        { "late4.test", "::1", "[::1]:1", 0, 0 }, /* IPv6 waits for nobody */
        { "hole4.test", "::1", "[::1]:1", 0, 0 },
        { "late6.test", "::1", "[::1]:1", 300, 300 }, /* IPv4 refused long before */
        { "late4.test", "127.0.0.1", "127.0.0.1:1", 300, 300 },
        { "fail6.test", "127.0.0.1", "127.0.0.1:1", 0, 100 }, /* c-ares asks again */
        { "fail4.test", "::1", "[::1]:1", 0, 0 },
    };
    scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!open_scene(&s, cases[i].good, NULL, NULL))
            continue;
        start(&s, cases[i].name, NBJ_SECONDS(10));
        uint64_t took = finish(&s);
        CHECK(cases[i].name, strcmp(winner(&s), cases[i].want) == 0);
        CHECK(cases[i].name, took >= NBJ_MILLIS(cases[i].least_ms));
        CHECK(cases[i].name, took < NBJ_MILLIS(cases[i].most_ms) + MARGIN);
        close_scene(&s);
    }
}

/* An IPv6 answer that comes within the resolution delay is used first. */
static void test_soon_enough(void **state)
{
    scene s;
    int four;

    (void)state;
    if (!open_scene(&s, "::1", NULL, NULL))
        skip();
    if ((four = listen_at("127.0.0.1", s.port, 16)) < 0) {
        close_scene(&s);
        skip();
    }
    s.descriptors++;
    start(&s, "dual.test", NBJ_SECONDS(10));
    (void)finish(&s);
    assert_string_equal(winner(&s), "[::1]:1");
    start(&s, "private.test", NBJ_SECONDS(10)); /* whose IPv6 address ranks behind */
    (void)finish(&s);
    CHECK("IPv6 was not even tried", s.dialer.next[NBJ__V6] == 0);
    assert_string_equal(winner(&s), "127.0.0.1:1");
    for (int i = 0; i < 20; i++) {
        start(&s, "soon6.test", NBJ_SECONDS(10));
        (void)finish(&s);
        if (strcmp(winner(&s), "[::1]:1") == 0)
            break; /* on a busy machine 15 ms may be more than 50 */
        CHECK("once in twenty times", i < 19);
    }
    close(four);
    s.descriptors--;
    close_scene(&s);
}

static void test_name_changes(void **state)
{
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.3", NULL, NULL));
    start(&s, "one.test", NBJ_SECONDS(10));
    (void)finish(&s);
    check_error(&s, NBJ_E_REFUSED, "connecting to 127.0.0.1:%u: connection refused");
    ts_name_server_move(s.names, 2);
    start(&s, "one.test", NBJ_SECONDS(10));
    (void)finish(&s);
    assert_string_equal(winner(&s), "127.0.0.3:1");
    start(&s, "127.0.0.3", NBJ_SECONDS(10));
    (void)finish(&s);
    assert_string_equal(winner(&s), "127.0.0.3:1");
    close_scene(&s);
}

/* --- failures --- */

static bool has_v6(void)
{
    int fd = listen_at("::1", 0, 1);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void test_errors(void **state)
{
    static const struct {
        const char *name, *hole;
        nbj__dial_options options;
        nbj_status status;
        uint64_t took_ms;
        const char *text;
    } cases[] = {
        { "127.0.0.1", NULL, { 0 }, NBJ_E_REFUSED, 0, "connection refused" },
        { "127.0.0.1", "127.0.0.1", { 0 }, NBJ_E_CONNECT_TIMEOUT, 1000, "connecting took longer than 1 s" },
        { "one.test", NULL, { 0 }, NBJ_E_REFUSED, 0, "connecting to 127.0.0.1:%u: connection refused" },
        { "v6.test", NULL, { 0 }, NBJ_E_REFUSED, 0, "connecting to [::1]:%u: connection refused" },
        { "one.test",
          "127.0.0.1",
          { .tcp_timeout_ns = NBJ_MILLIS(150) },
          NBJ_E_CONNECT_TIMEOUT,
          150,
          "connecting to 127.0.0.1:%u took longer than 150 ms" },
        { "dual.test",
          NULL,
          { 0 },
          NBJ_E_REFUSED,
          0,
          "none of 2 addresses could be connected to: connection refused ([::1]:%u and 1 more)" },
        { "dual.test",
          "::1",
          { .tcp_timeout_ns = NBJ_MILLIS(500) },
          NBJ_E_REFUSED,
          500,
          "none of 2 addresses could be connected to: connection refused (127.0.0.1:%u), no answer ([::1]:%u)" },
        { "absent.test", NULL, { 0 }, NBJ_E_DNS, 0, "looking up \"absent.test\": no such name" },
        { "broken.test", NULL, { 0 }, NBJ_E_DNS, 0, "looking up \"broken.test\": the name server failed (SERVFAIL)" },
        { "refused.test",
          NULL,
          { 0 },
          NBJ_E_DNS,
          0,
          "looking up \"refused.test\": the name server refused to answer (REFUSED)" },
        { "silent.test", NULL, { 0 }, NBJ_E_DNS, 1000, "looking up \"silent.test\" took longer than 1 s" },
        { "silent.test",
          NULL,
          { .dns_timeout_ns = NBJ_MILLIS(200) },
          NBJ_E_DNS,
          200,
          "looking up \"silent.test\" took longer than 200 ms" },
        { "fail6.test",
          NULL,
          { 0 },
          NBJ_E_REFUSED,
          0,
          "connecting to 127.0.0.1:%u: connection refused; looking up IPv6 addresses: the name server failed "
          "(SERVFAIL)" },
        { "hole6.test",
          NULL,
          { .dns_timeout_ns = NBJ_MILLIS(200) },
          NBJ_E_REFUSED,
          200,
          "connecting to 127.0.0.1:%u: connection refused; looking up IPv6 addresses: the name server does not "
          "answer" },
        { "hole4.test",
          NULL,
          { .dns_timeout_ns = NBJ_MILLIS(200) },
          NBJ_E_REFUSED,
          200,
          "connecting to [::1]:%u: connection refused; looking up IPv4 addresses: the name server does not answer" },
        { "hole6.test",
          "127.0.0.1",
          { .tcp_timeout_ns = NBJ_MILLIS(200) },
          NBJ_E_CONNECT_TIMEOUT,
          250,
          "connecting to 127.0.0.1:%u took longer than 200 ms; looking up IPv6 addresses: the name server does not "
          "answer" },
        { "", NULL, { 0 }, NBJ_E_INVALID, 0, "looking up \"\": empty, too long, or with a NUL in it" },
        { "::1::", NULL, { 0 }, NBJ_E_DNS, 0, "looking up \"::1::\": neither a host name nor an address" },
    };
    scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (strstr(cases[i].text, "[::1]") != NULL && !has_v6())
            continue;
        if (!open_scene(&s, NULL, cases[i].hole, &cases[i].options))
            continue;
        start(&s, cases[i].name, NBJ_SECONDS(1));
        uint64_t took = finish(&s);
        check_error(&s, cases[i].status, cases[i].text);
        CHECK(cases[i].text, took >= NBJ_MILLIS(cases[i].took_ms));
        CHECK(cases[i].text, took < NBJ_MILLIS(cases[i].took_ms) + MARGIN);
        close_scene(&s);
    }
}

/* Cancelled after each number of turns, and cut short by the next dial. */
static void test_cancel_at_every_step(void **state)
{
    static const char *const names[] = { "dual.test", "late6.test", "late4.test", "many.test", "silent.test", "::1" };
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.20", "127.0.0.1", NULL));
    for (size_t i = 0; i < COUNT(names); i++) {
        bool ended = false;
        for (unsigned steps = 0; !ended && steps < 12; steps++) {
            start(&s, names[i], NBJ_SECONDS(5));
            for (unsigned k = 0; k < steps && s.status == NBJ_MORE; k++)
                turn(&s, ts_now() + NBJ_MILLIS(8));
            ended = s.status != NBJ_MORE;
            if (steps % 2 == 0)
                start(&s, "silent.test", NBJ_SECONDS(5));
            nbj__dialer_cancel(&s.dialer);
            CHECK(names[i], open_descriptors() == s.descriptors);
            CHECK(names[i], nbj__dialer_deadline(&s.dialer) == NBJ_TIME_NEVER);
            CHECK(names[i], nbj__dialer_on_time(&s.dialer, ts_now() + NBJ_SECONDS(60)) == NBJ_MORE);
            for (int fd = 0; fd < 40; fd++) { /* events of before */
                CHECK(names[i], nbj__dialer_on_racer(&s.dialer, fd, ts_now()) == NBJ_MORE);
                CHECK(names[i], nbj__dialer_on_resolver(&s.dialer, fd, EPOLLIN | EPOLLOUT, ts_now()) == NBJ_MORE);
            }
            CHECK(names[i], epoll_wait(s.epoll, &(struct epoll_event){ 0 }, 1, 0) == 0);
        }
    }
    start(&s, "dual.test", NBJ_SECONDS(5));
    close_place(&s.good);
    nbj__dialer_free(&s.dialer); /* freed while under way */
    s.descriptors = open_descriptors();
    close_scene(&s);
}

/* Events that a socket does not have, and time that has not come. */
static void test_stale_events(void **state)
{
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.20", "127.0.0.1", NULL));
    start(&s, "many.test", NBJ_SECONDS(10));
    while (s.status == NBJ_MORE) {
        for (int fd = 0; fd < 40 && s.status == NBJ_MORE; fd++) {
            s.status = nbj__dialer_on_racer(&s.dialer, fd, ts_now());
            if (s.status == NBJ_MORE)
                s.status = nbj__dialer_on_resolver(&s.dialer, fd, EPOLLIN | EPOLLOUT, ts_now());
        }
        if (s.status == NBJ_MORE)
            CHECK("early is harmless", nbj__dialer_on_time(&s.dialer, s.begun) == NBJ_MORE);
        if (s.status == NBJ_MORE)
            turn(&s, ts_now() + NBJ_MILLIS(20));
    }
    assert_string_equal(winner(&s), "127.0.0.20:1");
    close_scene(&s);
}

/* --- shortage --- */

/* Leaves |n| descriptors free. */
static struct rlimit limit_descriptors(int n)
{
    struct rlimit limit, low;
    int next = dup(0);

    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)(next + n);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return limit;
}

static void test_no_descriptor(void **state)
{
    static const char *const names[] = { "127.0.0.1", "dual.test", "one.test" };
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.1", has_v6() ? "::1" : NULL, NULL));
    for (size_t i = 0; i < COUNT(names); i++) {
        unsigned failed = 0;
        for (int n = 0; n < 4; n++) {
            struct rlimit limit = limit_descriptors(n);
            start(&s, names[i], NBJ_MILLIS(600));
            while (s.status == NBJ_MORE)
                turn(&s, ts_now() + NBJ_MILLIS(50));
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
            if (s.status == NBJ_OK) {
                assert_string_equal(winner(&s), "127.0.0.1:1");
                continue;
            }
            failed++;
            CHECK(s.dialer.error.text, strstr(s.dialer.error.text, "ulimit -n") != NULL);
            CHECK(s.dialer.error.text, s.status == NBJ_E_IO || s.status == NBJ_E_CONNECT_TIMEOUT);
            CHECK("descriptors", open_descriptors() == s.descriptors);
        }
        CHECK(names[i], failed > 0);
        start(&s, names[i], NBJ_SECONDS(5)); /* there are some again */
        (void)finish(&s);
        assert_string_equal(winner(&s), "127.0.0.1:1");
    }
    close_scene(&s);
}

/* One racer is under way when there is no descriptor for a second: its address waits until there is one. */
static void test_no_descriptor_for_a_second_racer(void **state)
{
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.20", "127.0.0.1", NULL));
    start(&s, "many.test", NBJ_SECONDS(10));
    while (s.status == NBJ_MORE && s.dialer.racer_count == 0)
        turn(&s, ts_now() + NBJ_MILLIS(50));
    struct rlimit limit = limit_descriptors(0);
    nbj_time until = ts_now() + NBJ_MILLIS(600);
    for (unsigned turns = 0; ts_now() < until; turns++) {
        turn(&s, until);
        CHECK("it does not spin", turns < 50);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK("still racing, alone", s.status == NBJ_MORE && s.dialer.racer_count == 1);
    (void)finish(&s);
    assert_string_equal(winner(&s), "127.0.0.20:1");
    close_scene(&s);
}

static nbj_status scenario(const nbj_allocator *alloc, void *ctx)
{
    nbj__dial_options o = { .name_servers = "127.0.0.1:9" };
    nbj__dialer d;
    scene *s = ctx;
    nbj_status st = nbj__dialer_init(&d, alloc, s->epoll, RACER_TAG, RESOLVER_TAG, &o);

    if (st == NBJ_OK)
        CHECK("begins", nbj__dialer_start(&d, "127.0.0.1", s->port, ts_now() + NBJ_SECONDS(1), ts_now()) == NBJ_MORE);
    nbj__dialer_free(&d);
    return st;
}

static void test_allocation_failures(void **state)
{
    scene s;

    (void)state;
    assert_true(open_scene(&s, "127.0.0.1", NULL, NULL));
    assert_int_equal(alloc_sweep(scenario, &s), 2);
    close_scene(&s);
}

/* Whatever allocation of c-ares fails, a dial ends, with a socket or an error, and leaves nothing open. Versions: see
 * resolve_test.c. */
static void test_malloc_failures(void **state)
{
    scene s;
    bool refused = true;
    int version;

    (void)state;
    ares_version(&version);
    if (version >= 0x011300)
        skip();
    assert_true(open_scene(&s, "127.0.0.1", NULL, &(nbj__dial_options){ .dns_try_ns = NBJ_MILLIS(50) }));
    for (size_t n = 0; refused; n++) {
        ts_malloc_fail_arm(n);
        start(&s, "one.test", NBJ_SECONDS(5));
        while (s.status == NBJ_MORE)
            turn(&s, ts_now() + NBJ_SECONDS(1));
        refused = ts_malloc_fail_disarm();
        CHECK(nbj_error_text(&s.dialer.error),
              s.status == NBJ_OK || (refused && (s.status == NBJ_E_NOMEM || s.status == NBJ_E_DNS)));
        if (s.status == NBJ_OK)
            assert_string_equal(winner(&s), "127.0.0.1:1");
        CHECK("descriptors", open_descriptors() == s.descriptors);
    }
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_v6),
        cmocka_unit_test(test_dead_v4),
        cmocka_unit_test(test_refused_goes_on_at_once),
        cmocka_unit_test(test_many_black_holes),
        cmocka_unit_test(test_slow_answers),
        cmocka_unit_test(test_soon_enough),
        cmocka_unit_test(test_name_changes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_cancel_at_every_step),
        cmocka_unit_test(test_stale_events),
        cmocka_unit_test(test_no_descriptor),
        cmocka_unit_test(test_no_descriptor_for_a_second_racer),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_malloc_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
