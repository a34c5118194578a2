/* SPDX-License-Identifier: Apache-2.0 */
/* Signals are the program's. SIGPIPE, left at its default, does not end a program whose peer resets the connection in
 * the middle of a write; a handler without SA_RESTART that runs a thousand times a second in every waiting thread makes
 * no call fail or end early; and the library's own threads take no signals. */
#define _GNU_SOURCE

#include "proxy.h"
#include "server.h"
#include "threads.h"

#include <signal.h>
#include <sys/wait.h>

#define CHILD_SECONDS 60u

/* --- SIGPIPE --- */

static void drown(nbj_client *c, ts_proxy *proxy, th_events *events, unsigned resets)
{
    static const char filler[20000];

    for (unsigned i = 0; i < resets; i++) {
        unsigned lost = th_count(events, NBJ_EVENT_DISCONNECTED);
        /* After a FIN what is written is answered with a RST, and the next write is the one that raises the signal. */
        ts_proxy_cut_after(proxy, TS_TO_SERVER, 100000, i % 4 == 0 ? TS_RST : TS_FIN);
        for (nbj_time until = ts_now() + NBJ_SECONDS(20); th_count(events, NBJ_EVENT_DISCONNECTED) == lost;) {
            (void)!nbj_send(c, "pipe.x", nbj_view(filler, sizeof filler), NULL); /* NBJ_E_FULL is lawful */
            if (ts_now() > until)
                TS_FAIL("no reset");
        }
        for (int n = 0; n < 50; n++) /* into what is gone */
            (void)!nbj_send(c, "pipe.x", nbj_view(filler, sizeof filler), NULL);
        WAIT_UNTIL(nbj_client_is_connected(c), 20000);
    }
}

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

/* In a child of its own, with nothing but defaults. */
static void test_resets(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_proxy *proxy = ts_proxy_start(ts_server_port(s));
    th_events events = { 0 };
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(proxy));
    nbj_client *c = th_open(NBJ_CLIENT_OPTIONS(.url = url, .on_event = th_on_event, .user_data = &events,
                                               .reconnect_first_ns = NBJ_MILLIS(1), .reconnect_max_ns = NBJ_MILLIS(5),
                                               .max_outgoing_bytes = 400000));
    drown(c, proxy, &events, th_amount(400));
    nbj_client_release(c);
    ts_proxy_free(proxy);
    ts_server_free(s);
}

static void test_sigpipe(void **state)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_resets) };
    int how = 0;

    (void)state;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        alarm(CHILD_SECONDS);
        sigemptyset(&none);
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        exit(run_group("in a child", tests, 1));
    }
    CHECK("waitpid", waitpid(pid, &how, 0) == pid);
    if (WIFSIGNALED(how))
        TS_FAIL("the child was killed by signal %d (SIGPIPE is %d)", WTERMSIG(how), SIGPIPE);
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* --- EINTR --- */

typedef struct setting {
    ts_server *server;
    nbj_client *client, *responder;
    nbj_sub *silent, *echo, *none;
    th_problems problems;
    th_events events;
    atomic_bool stop;
    atomic_uint done;
    th_sleeper sleeper;
} setting;

static atomic_uint interruptions;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&interruptions, 1);
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    setting *s = user;
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(s->responder, reply, nbj_msg_data(msg), NULL);
}

static void check(setting *s, const char *what, nbj_status st, nbj_status wanted, nbj_time began, uint64_t least)
{
    uint64_t took = ts_now() - began;

    if (st != wanted)
        th_problem(&s->problems, "%s: %s", what, nbj_strerror(st));
    if (took < least)
        th_problem(&s->problems, "%s ended %llu ns early", what, (unsigned long long)(least - took));
    if (took > least + th_margin_ns())
        th_problem(&s->problems, "%s took %llu ms", what, (unsigned long long)(took / 1000000));
}

static void call_each(setting *s)
{
    const uint64_t timeout = NBJ_MILLIS(60);
    nbj_msg *m;
    nbj_time began = ts_now();

    check(s, "request", nbj_request(s->client, "echo", nbj_str("?"), NULL, &m), NBJ_OK, began, 0);
    nbj_msg_release(m);
    began = ts_now();
    check(s, "silent request", nbj_request(s->client, "silent", nbj_str("?"), NBJ_REQUEST(.timeout_ns = timeout), &m),
          NBJ_E_TIMEOUT, began, timeout);
    began = ts_now();
    check(s, "next", nbj_sub_next(s->none, timeout, &m), NBJ_E_TIMEOUT, began, timeout);
    began = ts_now();
    check(s, "publish", nbj_publish(s->client, "signal.x", nbj_str("?"), NULL, NULL), NBJ_OK, began, 0);
    began = ts_now();
    check(s, "flush", nbj_flush(s->client, 0), NBJ_OK, began, 0);
    atomic_fetch_add(&s->done, 1);
}

static void *caller_main(void *arg)
{
    setting *s = arg;

    while (!atomic_load(&s->stop))
        call_each(s);
    return NULL;
}

static void open_setting(setting *s)
{
    const char *url = ts_server_url(s->server);

    s->client = th_open(NBJ_CLIENT_OPTIONS(.url = url, .on_event = th_on_event, .user_data = &s->events));
    s->responder = th_open(NBJ_CLIENT_OPTIONS(.url = url));
    assert_int_equal(nbj_subscribe(s->client, "silent", NULL, NULL, NULL, &s->silent), NBJ_OK);
    assert_int_equal(nbj_subscribe(s->client, "none", NULL, NULL, NULL, &s->none), NBJ_OK);
    assert_int_equal(nbj_subscribe(s->responder, "echo", NULL, on_echo, s, &s->echo), NBJ_OK);
    assert_int_equal(nbj_flush(s->responder, 0), NBJ_OK);
    th_sleep_in(&s->sleeper, s->client);
}

/* Each of |threads| a thousand times a second. */
static void interrupt(const pthread_t *threads, unsigned count, unsigned ms)
{
    for (nbj_time end = ts_now() + NBJ_MILLIS(ms); ts_now() < end;) {
        for (unsigned i = 0; i < count; i++)
            pthread_kill(threads[i], SIGUSR1);
        th_sleep_ms(1);
    }
}

static void test_interrupted(void **state)
{
    struct sigaction action = { .sa_handler = on_signal }, before;
    setting *s = calloc(1, sizeof *s);
    pthread_t callers[4];

    (void)state;
    pthread_mutex_init(&s->problems.lock, NULL);
    s->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    th_make_stream(ts_server_port(s->server), "SIGNAL", "signal.>", 1);
    open_setting(s);
    sigaction(SIGUSR1, &action, &before);
    for (unsigned threads = 1; threads <= 4; threads += 3) { /* one leads all the time; four take turns */
        atomic_store(&s->stop, false);
        for (unsigned i = 0; i < threads; i++)
            callers[i] = th_start(caller_main, s);
        interrupt(callers, threads, th_amount(1500));
        atomic_store(&s->stop, true);
        for (unsigned i = 0; i < threads; i++)
            pthread_join(callers[i], NULL);
        th_no_problem(&s->problems);
    }
    CHECK("calls were made", atomic_load(&s->done) >= 4);
    CHECK("they were interrupted", atomic_load(&interruptions) > th_amount(1500) / 4);
    assert_int_equal(th_count(&s->events, NBJ_EVENT_DISCONNECTED), 0);
    sigaction(SIGUSR1, &before, NULL);
    th_wake_up(&s->sleeper);
    nbj_sub_release(s->silent);
    nbj_sub_release(s->none);
    nbj_sub_release(s->echo);
    nbj_client_release(s->client);
    nbj_client_release(s->responder);
    ts_server_free(s->server);
    pthread_mutex_destroy(&s->problems.lock);
    free(s);
}

/* --- the library's threads --- */

/* Whether thread |id| blocks every signal that can be blocked (the kernel's word for it, in hexadecimal). */
static bool blocks_signals(int id)
{
    char path[64], line[200];
    unsigned long long blocked = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/status", id);
    FILE *f = fopen(path, "re");
    CHECK(path, f != NULL);
    while (fgets(line, sizeof line, f) != NULL && sscanf(line, "SigBlk: %llx", &blocked) != 1)
        continue;
    fclose(f);
    return (blocked & (1ull << (SIGTERM - 1))) != 0 && (blocked & (1ull << (SIGUSR1 - 1))) != 0 &&
           (blocked & (1ull << (SIGCHLD - 1))) != 0;
}

static void test_own_threads_take_none(void **state)
{
    ts_server *s = ts_server_start(NULL);
    th_events events = { 0 };
    int before[64], with[64];
    size_t count_before = th_entries("/proc/self/task", before, 64);
    nbj_client *c = th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .on_event = th_on_event, .user_data = &events));
    size_t count = th_entries("/proc/self/task", with, 64);
    unsigned own = 0;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool was_there = false;
        for (size_t k = 0; k < count_before; k++)
            was_there = was_there || before[k] == with[i];
        if (was_there)
            continue;
        own++;
        CHECK("it blocks them", blocks_signals(with[i]));
    }
    assert_int_equal(own, 2);
    nbj_client_release(c);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigpipe), /* first: it forks, and there is no other thread yet */
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_own_threads_take_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
