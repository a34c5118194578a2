/* SPDX-License-Identifier: Apache-2.0 */
/* No descriptors, no threads: opening says which limit it was, and a client that runs gets over it. The limit on
 * descriptors is set so low that no number below it is free: what is open works on. */
#define _GNU_SOURCE

#include "server.h"
#include "threads.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SPARE_MAX 256

/* --- limits --- */

/* At most |n| new descriptors can be had, until the former limit, which is returned, is back. */
static struct rlimit allow_descriptors(int n)
{
    struct rlimit before, low;
    int spare[SPARE_MAX], count = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    while (count < SPARE_MAX && (spare[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0 && count < n)
        count++;
    CHECK("numbers to count on", count == n);
    low = before;
    low.rlim_cur = (rlim_t)spare[n]; /* the |n| numbers before it are free when it is set */
    for (int i = 0; i <= n; i++)
        close(spare[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return before;
}

static void restore_descriptors(const struct rlimit *before)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, before), 0);
}

/* --- opening --- */

static void test_open_without_descriptors(void **state)
{
    ts_server *s = ts_server_start(NULL);
    size_t before = th_descriptors();
    bool opened = false;
    int enough = 0;

    (void)state;
    while (!opened && enough < 20) {
        nbj_client *c = NULL;
        nbj_error error = { 0 };
        struct rlimit limit = allow_descriptors(enough);
        nbj_status st = nbj_client_open(&c,
                                        NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .open_timeout_ns = NBJ_MILLIS(400),
                                                           .connect_timeout_ns = NBJ_MILLIS(300)),
                                        &error);
        restore_descriptors(&limit);
        opened = st == NBJ_OK;
        if (!opened && (c != NULL || strstr(error.text, "ulimit -n") == NULL))
            TS_FAIL("with %d descriptors: %s: %s", enough, nbj_strerror(st), error.text);
        nbj_client_release(c);
        assert_int_equal(th_descriptors(), before);
        enough += !opened;
    }
    printf("    a client needs %d descriptors\n", enough);
    CHECK("it needs some, and few", opened && enough > 0 && enough <= 8);
    ts_server_free(s);
}

/* As a user of our own who may have no more than |threads|. The exit code is 0 for an error that names the limit, 1 for
 * another, 2 for success, 3 where this cannot be tried. */
static int open_with_threads(const char *url, unsigned threads, bool with_callbacks)
{
    struct rlimit limit = { threads, threads };
    nbj_client *c = NULL;
    nbj_error error = { 0 };
    uid_t uid = (uid_t)(1000000000 + getpid());

    if (geteuid() == 0 && setresuid(uid, uid, uid) != 0)
        return 3;
    if (setrlimit(RLIMIT_NPROC, &limit) != 0)
        return 3;
    nbj_status st = nbj_client_open(&c,
                                    NBJ_CLIENT_OPTIONS(.url = url, .on_event = with_callbacks ? th_on_event : NULL,
                                                       .user_data = calloc(1, sizeof(th_events))),
                                    &error);
    if (st == NBJ_OK)
        return 2;
    if (c == NULL && strstr(error.text, "ulimit -u") != NULL)
        return 0;
    fprintf(stderr, "%s: %s\n", nbj_strerror(st), error.text);
    return 1;
}

static int exit_code_with_threads(const char *url, unsigned threads, bool with_callbacks)
{
    int how = 0;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(open_with_threads(url, threads, with_callbacks));
    }
    CHECK("waitpid", waitpid(pid, &how, 0) == pid);
    CHECK("it came back", WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void test_open_without_threads(void **state)
{
    ts_server *s = ts_server_start(NULL);
    int none = exit_code_with_threads(ts_server_url(s), 1, false);

    (void)state;
    if (none == 3 || geteuid() != 0) { /* another user's threads count together: nothing is known of them */
        ts_server_free(s);
        print_message("    skipped: it takes a user that may become another one\n");
        skip();
    }
    assert_int_equal(none, 0);
    if (!TH_SANITIZED) { /* which have a thread of their own */
        assert_int_equal(exit_code_with_threads(ts_server_url(s), 2, true), 0);
        assert_int_equal(exit_code_with_threads(ts_server_url(s), 2, false), 2);
        assert_int_equal(exit_code_with_threads(ts_server_url(s), 3, true), 2);
    }
    ts_server_free(s);
}

/* --- a client that runs --- */

static nbj_client *running(ts_server *s, th_events *events)
{
    nbj_client *c =
        th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .on_event = th_on_event, .user_data = events,
                                   .reconnect_first_ns = NBJ_MILLIS(5), .reconnect_max_ns = NBJ_MILLIS(100)));

    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    return c;
}

static void check_works(nbj_client *c, const char *subject)
{
    nbj_sub *sub;
    nbj_msg *msg;

    assert_int_equal(nbj_subscribe(c, subject, NULL, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_send(c, subject, nbj_str("works"), NULL), NBJ_OK);
    assert_int_equal(nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_OK);
    nbj_msg_release(msg);
    nbj_sub_release(sub);
}

/* Without a descriptor it neither gives up nor burns the processor, and calls end by their deadlines. */
static void check_without_descriptors(nbj_client *c)
{
    nbj_msg *reply;
    uint64_t cpu = th_cpu_ns();
    nbj_time began = ts_now();

    assert_int_equal(nbj_request(c, "limits.none", nbj_str("?"), NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(800)), &reply),
                     NBJ_E_TIMEOUT);
    uint64_t took = ts_now() - began;
    CHECK("neither early nor late", took >= NBJ_MILLIS(800) && took < NBJ_MILLIS(800) + th_margin_ns());
    CHECK("it does not spin", th_cpu_ns() - cpu < NBJ_MILLIS(300) * (th_is_slow() ? 4 : 1));
    CHECK("it is not connected", !nbj_client_is_connected(c));
    CHECK("it has not given up", nbj_client_state_of(c) == NBJ_CLIENT_RECONNECTING);
}

static void test_reconnect_without_descriptors(void **state)
{
    ts_server *s = ts_server_start(NULL);
    th_events events = { 0 };
    nbj_client *c = running(s, &events);

    (void)state;
    struct rlimit limit = { 3, 3 };
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0); /* 0, 1 and 2 are in use */
    nbj_client_reconnect(c);
    check_without_descriptors(c);
    restore_descriptors(&before);
    WAIT_UNTIL(nbj_client_is_connected(c), 5000);
    check_works(c, "limits.again");
    nbj_client_release(c);
    ts_server_free(s);
}

static void test_killed_server_without_descriptors(void **state)
{
    ts_server *s = ts_server_start(NULL);
    th_events events = { 0 };
    nbj_client *c = running(s, &events);
    struct rlimit before, limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = (struct rlimit){ 3, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ts_server_kill9(s);
    WAIT_UNTIL(th_count(&events, NBJ_EVENT_DISCONNECTED) == 1, 5000);
    check_without_descriptors(c);
    restore_descriptors(&before);
    ts_server_restart(s);
    WAIT_UNTIL(th_count(&events, NBJ_EVENT_RECONNECTED) == 1, 5000);
    check_works(c, "limits.again");
    nbj_client_release(c);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_without_threads), /* first: it forks, and there is no other thread yet */
        cmocka_unit_test(test_open_without_descriptors),
        cmocka_unit_test(test_reconnect_without_descriptors),
        cmocka_unit_test(test_killed_server_without_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
