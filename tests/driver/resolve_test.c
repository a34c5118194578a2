/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against the name server of tests/support. */
#define _GNU_SOURCE

#include "driver/resolve.h"

#include "alloc_fail.h"
#include "check.h"
#include "malloc_fail.h"
#include "name_server.h"

#include <ares.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define TAG (UINT64_C(7) << 32)
#define BOUND_MS 10000

/* -- a loop around a resolver -- */

typedef struct scene {
    ts_name_server *server;
    int epoll;
    nbj__resolver *r;
} scene;

static void open_scene(scene *s, uint64_t try_timeout_ns)
{
    nbj__resolver_options o = { .tag = TAG, .try_timeout_ns = try_timeout_ns };

    s->server = ts_name_server_start();
    o.servers = ts_name_server_address(s->server);
    o.epoll_fd = s->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(nbj__resolver_new(&s->r, &o), NBJ_OK);
}

static void close_scene(scene *s)
{
    nbj__resolver_free(s->r);
    close(s->epoll);
    ts_name_server_free(s->server);
}

/* One turn of a driver's loop. */
static void turn(scene *s)
{
    struct epoll_event events[8];
    int n = epoll_wait(s->epoll, events, 8, ts_left_ms(nbj__resolver_deadline(s->r)));

    for (int i = 0; i < n; i++) {
        uint64_t data = events[i].data.u64;
        CHECK("tag", data >> 32 == TAG >> 32);
        (void)nbj__resolver_on_ready(s->r, (int)(uint32_t)data, events[i].events, ts_now());
    }
    (void)nbj__resolver_on_time(s->r, ts_now());
}

static nbj_status finish(scene *s)
{
    nbj_time until = ts_now() + NBJ_MILLIS(BOUND_MS);

    while (nbj__resolver_status(s->r) == NBJ_MORE) {
        CHECK("a deadline is set while a resolution is under way", nbj__resolver_deadline(s->r) != NBJ_TIME_NEVER);
        CHECK("in time", ts_now() < until);
        turn(s);
    }
    CHECK("none afterwards", nbj__resolver_deadline(s->r) == NBJ_TIME_NEVER);
    return nbj__resolver_status(s->r);
}

static nbj_status resolve(scene *s, const char *name)
{
    nbj_status st = nbj__resolver_start(s->r, nbj_str(name), 4222, ts_now());

    CHECK(name, st == nbj__resolver_status(s->r));
    return finish(s);
}

/* "127.0.0.1:4222 [::1]:4222": the family to begin with first */
static const char *list_text(const nbj__resolver *r)
{
    static char text[4096];
    nbj__text t = nbj__text_into(text, sizeof text);
    nbj__family family = nbj__resolver_first(r);

    for (int i = 0; i < NBJ__FAMILIES; i++, family = family == NBJ__V6 ? NBJ__V4 : NBJ__V6) {
        const nbj__addresses *list = nbj__resolver_addresses(r, family);
        for (size_t k = 0; k < list->count; k++) {
            nbj__text_add(&t, t.len > 0 ? " " : "");
            nbj__address_add_text(&list->at[k], &t);
        }
    }
    return text;
}

static size_t count_of(const nbj__resolver *r)
{
    return nbj__resolver_addresses(r, NBJ__V6)->count + nbj__resolver_addresses(r, NBJ__V4)->count;
}

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

/* -- tests -- */

static void test_numeric(void **state)
{
    static const struct {
        const char *host;
        const char *want; /* NULL: NBJ_E_DNS */
    } cases[] = {
        { "127.0.0.1", "127.0.0.1:4222" },
        { "255.255.255.255", "255.255.255.255:4222" },
        { "::1", "[::1]:4222" },
        { "[::1]", "[::1]:4222" },
        { "2001:db8::5", "[2001:db8::5]:4222" },
        { "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:4222" },
        { "fe80::1%lo", "[fe80::1%1]:4222" },
        { "fe80::1%7", "[fe80::1%7]:4222" },
        { "fe80::1%no-such-interface", NULL },
        { "fe80::1%", NULL },
        { "::1::", NULL },
        { "1.2.3.4:5", NULL },
    };
    scene s;

    (void)state;
    open_scene(&s, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nbj_bytes host = exact_copy(cases[i].host);
        nbj_status st = nbj__resolver_start(s.r, host, 4222, 0);
        CHECK(cases[i].host, st == (cases[i].want != NULL ? NBJ_OK : NBJ_E_DNS));
        CHECK(cases[i].host, strcmp(list_text(s.r), cases[i].want != NULL ? cases[i].want : "") == 0);
        CHECK(cases[i].host, nbj__resolver_deadline(s.r) == NBJ_TIME_NEVER);
        exact_free(host);
    }
    nbj__resolver_start(s.r, nbj_str("fe80::1%7"), 1, 0);
    assert_int_equal(nbj__resolver_addresses(s.r, NBJ__V6)->at[0].v6.sin6_scope_id, 7);
    assert_int_equal(ts_name_server_asked(s.server), 0);
    close_scene(&s);
}

static void test_bad_hosts(void **state)
{
    char long_name[256];
    scene s;

    (void)state;
    memset(long_name, 'a', sizeof long_name);
    open_scene(&s, 0);
    assert_int_equal(nbj__resolver_status(s.r), NBJ_E_CANCELLED);
    assert_int_equal(nbj__resolver_start(s.r, nbj_str(""), 1, 0), NBJ_E_INVALID);
    assert_int_equal(nbj__resolver_start(s.r, nbj_str("[]"), 1, 0), NBJ_E_INVALID);
    assert_int_equal(nbj__resolver_start(s.r, nbj_view("a\0b", 3), 1, 0), NBJ_E_INVALID);
    assert_int_equal(nbj__resolver_start(s.r, nbj_view(long_name, sizeof long_name), 1, 0), NBJ_E_INVALID);
    assert_int_equal(ts_name_server_asked(s.server), 0);
    close_scene(&s);
}

static void test_answers(void **state)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "one.test", "127.0.0.1:4222" },
        { "v6.test", "[::1]:4222" },
        { "late.test", "127.0.0.1:4222" },
        { "tcp.test", "127.0.0.1:4222 127.0.0.2:4222 127.0.0.3:4222" },
        { "both.test", "[::1]:4222 127.0.0.1:4222 127.0.0.2:4222" },
        { "same.test", "[::1]:4222 127.0.0.1:4222" },
        { "private.test", "127.0.0.1:4222 [fd00::1]:4222" },
        { "fail6.test", "127.0.0.1:4222" },
        { "fail4.test", "[::1]:4222" },
    };
    scene s;

    (void)state;
    open_scene(&s, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(cases[i].name, resolve(&s, cases[i].name) == NBJ_OK);
        CHECK(cases[i].name, strcmp(list_text(s.r), cases[i].want) == 0);
    }
    assert_int_equal(resolve(&s, "crowd.test"), NBJ_OK);
    assert_int_equal(count_of(s.r), NBJ__ADDRESSES_MAX);
    close_scene(&s);
}

static void test_failures(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        { "absent.test", "looking up \"absent.test\": no such name" },
        { "empty.test", "looking up \"empty.test\": the name has no address" },
        { "broken.test", "looking up \"broken.test\": the name server failed (SERVFAIL)" },
        { "odd.test", "looking up \"odd.test\": the name server failed (SERVFAIL)" },
        { "refused.test", "looking up \"refused.test\": the name server refused to answer (REFUSED)" },
        { "short.test", "looking up \"short.test\": " },
        { "reset.test", "looking up \"reset.test\": " },
        { "silent.test", "looking up \"silent.test\": the name server does not answer" },
    };
    scene s;

    (void)state;
    open_scene(&s, NBJ_MILLIS(100));
    assert_int_equal(resolve(&s, "one.test"), NBJ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(cases[i].name, resolve(&s, cases[i].name) == NBJ_E_DNS);
        const nbj_error *e = nbj__resolver_error(s.r);
        CHECK(e->text, strncmp(e->text, cases[i].text, strlen(cases[i].text)) == 0);
        CHECK(e->text, e->status == NBJ_E_DNS && strlen(e->text) > 30);
        CHECK("no address of an earlier one", count_of(s.r) == 0);
    }
    close_scene(&s);
}

static void test_lost_question_is_repeated(void **state)
{
    scene s;

    (void)state;
    open_scene(&s, NBJ_MILLIS(100));
    assert_int_equal(resolve(&s, "lost.test"), NBJ_OK);
    assert_string_equal(list_text(s.r), "127.0.0.1:4222");
    CHECK("each was asked twice", ts_name_server_asked(s.server) >= 4);
    close_scene(&s);
}

static void test_timers(void **state)
{
    scene s;

    (void)state;
    open_scene(&s, NBJ_MILLIS(300));
    nbj_time start = ts_now();
    assert_int_equal(nbj__resolver_start(s.r, nbj_str("silent.test"), 1, start), NBJ_MORE);
    nbj_time due = nbj__resolver_deadline(s.r);
    CHECK("a try's timeout from now", due > start && due <= start + NBJ_MILLIS(302));
    for (int i = 0; i < 100; i++)
        assert_int_equal(nbj__resolver_on_time(s.r, start), NBJ_MORE);
    CHECK("early is harmless", nbj__resolver_deadline(s.r) == due);
    int turns = 0;
    for (; nbj__resolver_status(s.r) == NBJ_MORE; turns++)
        turn(&s);
    CHECK("it does not spin", turns <= 20);
    CHECK("three tries", ts_now() - start >= 3 * NBJ_MILLIS(300));
    close_scene(&s);
}

/* An answer for one family is there while the other is waited for, and stays when waiting ends. */
static void test_families_are_independent(void **state)
{
    static const struct {
        const char *name;
        nbj__family there, missing;
        const char *first, *in_the_end; /* NULL: it is never answered */
    } cases[] = {
        { "late6.test", NBJ__V4, NBJ__V6, "127.0.0.1:4222", "[::1]:4222 127.0.0.1:4222" },
        { "late4.test", NBJ__V6, NBJ__V4, "[::1]:4222", "[::1]:4222 127.0.0.1:4222" },
        { "hole6.test", NBJ__V4, NBJ__V6, "127.0.0.1:4222", NULL },
        { "hole4.test", NBJ__V6, NBJ__V4, "[::1]:4222", NULL },
    };
    scene s;

    (void)state;
    open_scene(&s, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(nbj__resolver_start(s.r, nbj_str(cases[i].name), 4222, ts_now()), NBJ_MORE);
        while (nbj__resolver_is_asking(s.r, cases[i].there))
            turn(&s);
        CHECK(cases[i].name, nbj__resolver_is_asking(s.r, cases[i].missing));
        CHECK(cases[i].name, nbj__resolver_status(s.r) == NBJ_MORE);
        CHECK(list_text(s.r), strcmp(list_text(s.r), cases[i].first) == 0);
        if (cases[i].in_the_end != NULL) {
            CHECK(cases[i].name, finish(&s) == NBJ_OK);
            CHECK(list_text(s.r), strcmp(list_text(s.r), cases[i].in_the_end) == 0);
            CHECK(cases[i].name, nbj__resolver_trouble(s.r, cases[i].missing) == NULL);
        } else {
            nbj__resolver_cancel(s.r);
            CHECK(list_text(s.r), strcmp(list_text(s.r), cases[i].first) == 0);
            assert_string_equal(nbj__resolver_trouble(s.r, cases[i].missing), "the name server does not answer");
            CHECK(cases[i].name, nbj__resolver_trouble(s.r, cases[i].there) == NULL);
        }
    }
    assert_int_equal(resolve(&s, "fail6.test"), NBJ_OK);
    assert_string_equal(nbj__resolver_trouble(s.r, NBJ__V6), "the name server failed (SERVFAIL)");
    assert_null(nbj__resolver_trouble(s.r, NBJ__V4));
    close_scene(&s);
}

/* pod.sub.test and pod.other.test are two hosts: their addresses are not mixed. */
static void test_search_domains(void **state)
{
    scene s;
    int version;

    (void)state;
    ares_version(&version);
    if (version >= 0x011300) {
        print_message("c-ares %s takes only one domain from the environment\n", ares_version(NULL));
        skip();
    }
    assert_int_equal(setenv("LOCALDOMAIN", "sub.test other.test", 1), 0);
    open_scene(&s, 0);
    assert_int_equal(resolve(&s, "pod"), NBJ_OK);
    assert_string_equal(list_text(s.r), "127.0.0.1:4222");
    assert_int_equal(resolve(&s, "far"), NBJ_OK);
    assert_string_equal(list_text(s.r), "127.0.0.1:4222");
    assert_int_equal(resolve(&s, "nowhere"), NBJ_E_DNS);
    assert_string_equal(nbj__resolver_error(s.r)->text, "looking up \"nowhere\": no such name");
    assert_int_equal(unsetenv("LOCALDOMAIN"), 0);
    close_scene(&s);
}

/* Each descriptor that a resolution needs is the one too many once. */
static void test_no_descriptor(void **state)
{
    struct rlimit limit, low;
    unsigned refused = 0;
    scene s;

    (void)state;
    open_scene(&s, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int next = dup(s.epoll); /* the lowest that is free, and with it all behind it */
    assert_true(next >= 0);
    close(next);
    low = limit;
    for (int n = 0; n < 4; n++) {
        low.rlim_cur = (rlim_t)(next + n);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        nbj_status st = resolve(&s, "one.test");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK("status", st == NBJ_OK || st == NBJ_E_IO);
        CHECK(nbj__resolver_error(s.r)->text, st == NBJ_OK || strstr(nbj__resolver_error(s.r)->text, "ulimit -n"));
        refused += st == NBJ_E_IO;
    }
    assert_true(refused > 0);
    assert_int_equal(resolve(&s, "one.test"), NBJ_OK);
    close_scene(&s);
}

static void test_name_moves(void **state)
{
    scene s;

    (void)state;
    open_scene(&s, 0);
    for (int i = 0; i < 3; i++) {
        char want[32];
        snprintf(want, sizeof want, "127.0.0.%d:4222", i + 1);
        ts_name_server_move(s.server, i);
        assert_int_equal(resolve(&s, "one.test"), NBJ_OK);
        assert_string_equal(list_text(s.r), want);
    }
    close_scene(&s);
}

static void test_restart_and_cancel(void **state)
{
    scene s;

    (void)state;
    open_scene(&s, 0);
    int before = open_descriptors();
    for (int i = 0; i < 20; i++)
        assert_int_equal(nbj__resolver_start(s.r, nbj_str("silent.test"), 1, ts_now()), NBJ_MORE);
    CHECK("it holds a socket", open_descriptors() > before);
    assert_int_equal(resolve(&s, "one.test"), NBJ_OK); /* and no answer to the former ones gets in between */
    assert_string_equal(list_text(s.r), "127.0.0.1:4222");
    CHECK("no socket between resolutions", open_descriptors() == before);

    assert_int_equal(nbj__resolver_start(s.r, nbj_str("late.test"), 1, ts_now()), NBJ_MORE);
    nbj__resolver_cancel(s.r);
    assert_int_equal(nbj__resolver_status(s.r), NBJ_E_CANCELLED);
    assert_int_equal(nbj__resolver_deadline(s.r), NBJ_TIME_NEVER);
    assert_int_equal(nbj__resolver_on_time(s.r, ts_now()), NBJ_E_CANCELLED);
    assert_int_equal(nbj__resolver_on_ready(s.r, s.epoll + 1, EPOLLIN, ts_now()), NBJ_E_CANCELLED);
    CHECK("nothing is left open", open_descriptors() == before);
    struct epoll_event none;
    assert_int_equal(epoll_wait(s.epoll, &none, 1, 0), 0);

    assert_int_equal(nbj__resolver_start(s.r, nbj_str("silent.test"), 1, ts_now()), NBJ_MORE);
    close_scene(&s); /* freed while under way */
}

static void test_stale_and_broken_events(void **state)
{
    scene s;

    (void)state;
    open_scene(&s, 0);
    assert_int_equal(nbj__resolver_start(s.r, nbj_str("late.test"), 4222, ts_now()), NBJ_MORE);
    for (int fd = 0; fd < 100; fd++) /* events of sockets that are gone, or that have nothing to say */
        assert_int_equal(nbj__resolver_on_ready(s.r, fd, EPOLLIN | EPOLLOUT, ts_now()), NBJ_MORE);
    assert_int_equal(finish(&s), NBJ_OK);
    close_scene(&s);
}

static void test_sockets_are_close_on_exec(void **state)
{
    scene s;
    int seen = 0;

    (void)state;
    open_scene(&s, 0);
    assert_int_equal(nbj__resolver_start(s.r, nbj_str("silent.test"), 1, ts_now()), NBJ_MORE);
    for (int fd = 3; fd < 100; fd++) {
        int flags = fcntl(fd, F_GETFD);
        struct epoll_event e = { .data.u64 = TAG | (uint32_t)fd };
        if (flags < 0 || epoll_ctl(s.epoll, EPOLL_CTL_MOD, fd, &e) != 0)
            continue;
        CHECK("close-on-exec", (flags & FD_CLOEXEC) != 0);
        CHECK("non-blocking", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        seen++;
    }
    CHECK("it has a socket in the set", seen > 0);
    close_scene(&s);
}

static void test_unwatchable_socket(void **state)
{
    nbj__resolver *r;

    (void)state;
    assert_int_equal(nbj__resolver_new(&r, &(nbj__resolver_options){ .epoll_fd = -1, .servers = "127.0.0.1:9" }),
                     NBJ_OK);
    assert_int_equal(nbj__resolver_start(r, nbj_str("one.test"), 1, ts_now()), NBJ_E_DNS);
    assert_string_equal(nbj__resolver_error(r)->text, "looking up \"one.test\": a socket could not be watched");
    nbj__resolver_free(r);
}

static void test_bad_server_list(void **state)
{
    nbj__resolver *r;

    (void)state;
    assert_int_equal(nbj__resolver_new(&r, &(nbj__resolver_options){ .epoll_fd = -1, .servers = "not an address" }),
                     NBJ_OK);
    assert_int_equal(nbj__resolver_start(r, nbj_str("one.test"), 1, ts_now()), NBJ_E_DNS);
    nbj__resolver_free(r);
}

/* Whether |text| is what the address list has for one of its addresses. */
static bool has_address(const nbj__resolver *r, const char *text)
{
    struct in6_addr six;
    char want[64];

    snprintf(want, sizeof want, inet_pton(AF_INET6, text, &six) == 1 ? "[%s]:4222" : "%s:4222", text);
    return strstr(list_text(r), want) != NULL;
}

/* The name server is not asked for what is in /etc/hosts, nor for localhost, which may be there or not. */
static void test_hosts_file(void **state)
{
    char line[1024], address[64], name[256];
    FILE *f = fopen("/etc/hosts", "re");
    scene s;

    (void)state;
    open_scene(&s, 0);
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#' || sscanf(line, "%63s %255s", address, name) != 2 || strchr(name, '#') != NULL)
            continue;
        CHECK(name, resolve(&s, name) == NBJ_OK);
        CHECK(name, has_address(s.r, address));
    }
    if (f != NULL)
        fclose(f);
    assert_int_equal(resolve(&s, "localhost"), NBJ_OK);
    CHECK("loopback", has_address(s.r, "127.0.0.1") || has_address(s.r, "::1"));
    assert_int_equal(ts_name_server_asked(s.server), 0);
    close_scene(&s);
}

static nbj_status numeric_scenario(const nbj_allocator *alloc, void *ctx)
{
    nbj__resolver *r = ctx;
    nbj__resolver_options o = { .alloc = alloc, .epoll_fd = -1, .servers = "127.0.0.1:9" };
    nbj_status st = nbj__resolver_new(&r, &o);

    if (st == NBJ_OK)
        st = nbj__resolver_start(r, nbj_str("127.0.0.1"), 1, 0);
    else
        CHECK("no resolver", r == NULL);
    nbj__resolver_free(r);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(numeric_scenario, &(int){ 0 }), 2); /* anything but NULL */
}

/* c-ares' own allocations while its channel opens, which the server list ends in any case. */
static void test_malloc_failures_of_the_channel(void **state)
{
    nbj__resolver *r;
    bool refused = true;
    size_t without_memory = 0;

    (void)state;
    assert_int_equal(nbj__resolver_new(&r, &(nbj__resolver_options){ .epoll_fd = -1, .servers = "not an address" }),
                     NBJ_OK);
    int before = open_descriptors();
    for (size_t n = 0; refused; n++) {
        ts_malloc_fail_arm(n);
        nbj_status st = nbj__resolver_start(r, nbj_str("one.test"), 1, ts_now());
        refused = ts_malloc_fail_disarm();
        without_memory += st == NBJ_E_NOMEM;
        CHECK("status", st == NBJ_E_DNS || (refused && st == NBJ_E_NOMEM));
        CHECK("descriptors", open_descriptors() == before);
    }
    CHECK("some were told", without_memory > 0 || !ts_malloc_fail_works());
    nbj__resolver_free(r);
}

/* All of c-ares' own allocations: whatever it makes of a failed one, we end, tell nothing wrong and leave nothing open.
 * Newer ones are not put to it: 1.34.9 goes on to use a query that it freed when an allocation was refused. */
static void test_malloc_failures(void **state)
{
    scene s;
    bool refused = true;
    int version;

    (void)state;
    ares_version(&version);
    if (version >= 0x011300) {
        print_message("c-ares %s does not survive each refusal\n", ares_version(NULL));
        skip();
    }
    open_scene(&s, NBJ_MILLIS(100));
    int before = open_descriptors();
    for (size_t n = 0; refused; n++) {
        ts_malloc_fail_arm(n);
        nbj_status st = nbj__resolver_start(s.r, nbj_str("one.test"), 4222, ts_now());
        while (st == NBJ_MORE) {
            turn(&s);
            st = nbj__resolver_status(s.r);
        }
        refused = ts_malloc_fail_disarm();
        CHECK("status", st == NBJ_OK || (refused && (st == NBJ_E_NOMEM || st == NBJ_E_DNS)));
        CHECK("result", st != NBJ_OK || strcmp(list_text(s.r), "127.0.0.1:4222") == 0);
        CHECK("descriptors", open_descriptors() == before);
    }
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_bad_hosts),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_lost_question_is_repeated),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_families_are_independent),
        cmocka_unit_test(test_search_domains),
        cmocka_unit_test(test_no_descriptor),
        cmocka_unit_test(test_name_moves),
        cmocka_unit_test(test_restart_and_cancel),
        cmocka_unit_test(test_stale_and_broken_events),
        cmocka_unit_test(test_sockets_are_close_on_exec),
        cmocka_unit_test(test_unwatchable_socket),
        cmocka_unit_test(test_bad_server_list),
        cmocka_unit_test(test_hosts_file),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_malloc_failures_of_the_channel),
        cmocka_unit_test(test_malloc_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
