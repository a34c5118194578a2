/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and flushes of a client with threads: calls that wait, those that call back, and what a waiting call costs. */
#define _GNU_SOURCE
#include "threaded.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* PTRACE_GET_SYSCALL_INFO and its struct, which two headers have. */
#include <linux/ptrace.h>

static const nbj_bytes none = { NULL, 0 };

/* -- services -- */

static void reply_to(nbj_client *c, const nbj_msg *question, nbj_bytes data)
{
    (void)c;
    (void)(nbj_respond(question, data, NULL) == NBJ_OK); /* else the request ends otherwise than the test wants */
}

static void echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    reply_to(user, msg, nbj_msg_data(msg));
}

static void answer_thrice(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    reply_to(user, msg, nbj_str("1"));
    reply_to(user, msg, nbj_str("2"));
    reply_to(user, msg, nbj_str("3"));
}

static void answer_with_sentinel(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    answer_thrice(user, sub, msg);
    reply_to(user, msg, none);
    reply_to(user, msg, nbj_str("too late"));
}

/* |fn| answers to |subject|, with a client of its own, until the test ends. */
static nbj_sub *serve(const char *subject, nbj_msg_fn *fn)
{
    nbj_client *c = open_one();

    return subscribe(c, subject, fn, c);
}

/* -- one reply -- */

static void test_request(void **state)
{
    nbj_sub *service = serve("echo", echo);
    nbj_client *c = open_one();
    nbj_header h = { nbj_str("Name"), nbj_str("value") };
    nbj_msg *reply = NULL;

    (void)state;
    assert_int_equal(nbj_request(c, "echo", nbj_str("hello"), NBJ_REQUEST(.headers = &h, .header_count = 1), &reply),
                     NBJ_OK);
    assert_true(holds(reply, "hello"));
    nbj_msg_release(reply);
    assert_int_equal(nbj_request(c, "echo", none, NULL, &reply), NBJ_OK);
    assert_true(holds(reply, ""));
    nbj_msg_release(reply);
    nbj_sub_release(service);
}

static void test_requests_that_fail(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *silence = subscribe(c, "silence", NULL, NULL);
    static char large[1048577];
    nbj_header bad = { nbj_str("No Name"), none };
    nbj_request_options sized = { .struct_size = 5 };
    nbj_msg *reply = (nbj_msg *)large;

    (void)state;
    nbj_time begun = ts_now();
    assert_int_equal(nbj_request(c, "nobody", none, NBJ_REQUEST(.timeout_ns = SOON), &reply), NBJ_E_NO_RESPONDERS);
    assert_true(ts_now() - begun < SOON / 2);
    assert_null(reply);
    begun = ts_now();
    assert_int_equal(nbj_request(c, "silence", none, NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(50)), &reply), NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun >= NBJ_MILLIS(50) && ts_now() - begun < SOON / 2);
    assert_int_equal(nbj_request(c, "wild.*", none, NULL, &reply), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_request(c, NULL, none, NULL, &reply), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_request(c, "a", nbj_view(large, sizeof large), NULL, &reply), NBJ_E_TOO_LARGE);
    assert_int_equal(nbj_request(c, "a", none, NBJ_REQUEST(.headers = &bad, .header_count = 1), &reply),
                     NBJ_E_BAD_HEADER);
    assert_int_equal(nbj_request(c, "a", none, &sized, &reply), NBJ_E_INVALID);
    assert_null(reply);
    nbj_sub_release(silence);
}

static void test_only_the_first_reply_counts(void **state)
{
    nbj_sub *service = serve("thrice", answer_thrice);
    nbj_client *c = open_one();
    nbj_msg *reply = NULL;

    (void)state;
    assert_int_equal(nbj_request(c, "thrice", none, NULL, &reply), NBJ_OK);
    assert_true(holds(reply, "1"));
    WAIT_UNTIL(nbj_client_stats_of(c).unwanted == 2, SOON_MS);
    nbj_msg_release(reply);
    nbj_sub_release(service);
}

#define RULES                                                                            \
    "authorization { users: ["                                                           \
    " { user: asker, password: x, permissions: { publish: { deny: [ \"secret\" ] } } }," \
    " { user: deaf, password: x, permissions: { subscribe: { deny: [ \"_INBOX.>\" ] } } } ] }"

static void test_no_permission(void **state)
{
    ts_server *strict = ts_server_start(&(ts_server_options){ .config = RULES });
    nbj_client_options o = *NBJ_CLIENT_OPTIONS(.url = ts_server_url(strict), .user = "asker", .password = "x");
    nbj_client *asker = open_with(&o);
    nbj_msg *reply = NULL;

    (void)state;
    o.user = "deaf";
    nbj_client *deaf = open_with(&o);
    nbj_sub *service = subscribe(deaf, "open", echo, deaf);
    nbj_time begun = ts_now();
    const nbj_request_options *patient = NBJ_REQUEST(.timeout_ns = SOON);
    assert_int_equal(nbj_request(asker, "secret", none, patient, &reply), NBJ_E_PERMISSION_PUBLISH);
    assert_int_equal(nbj_request(deaf, "open", none, patient, &reply), NBJ_E_PERMISSION_SUBSCRIBE);
    assert_true(ts_now() - begun < SOON);
    assert_null(reply);
    assert_int_equal(nbj_request(asker, "open", nbj_str("x"), patient, &reply), NBJ_OK);
    nbj_msg_release(reply);
    nbj_sub_release(service);
    (void)end_test(NULL);
    ts_server_free(strict);
}

#define ASKERS 4
#define QUESTIONS 300

typedef struct asker {
    nbj_client *client;
    unsigned number;
} asker;

static nbj_status ask_often(void *arg)
{
    const asker *a = arg;
    nbj_status st = NBJ_OK;

    for (unsigned i = 0; i < QUESTIONS && st == NBJ_OK; i++) {
        char text[32];
        nbj_msg *reply = NULL;
        snprintf(text, sizeof text, "%u/%u", a->number, i);
        st = nbj_request(a->client, "echo", nbj_str(text), NBJ_REQUEST(.timeout_ns = SOON), &reply);
        if (st == NBJ_OK && !holds(reply, text))
            st = NBJ_E_BAD_REPLY;
        nbj_msg_release(reply);
    }
    return st;
}

static void test_each_thread_gets_its_own(void **state)
{
    nbj_sub *service = serve("echo", echo);
    nbj_client *c = open_one();
    worker workers[ASKERS];
    asker askers[ASKERS];

    (void)state;
    for (unsigned i = 0; i < ASKERS; i++) {
        askers[i] = (asker){ c, i };
        start(&workers[i], ask_often, &askers[i]);
    }
    for (unsigned i = 0; i < ASKERS; i++)
        assert_int_equal(finish(&workers[i]), NBJ_OK);
    assert_true(nbj_client_stats_of(c).unwanted == 0);
    nbj_sub_release(service);
}

typedef struct relay {
    nbj_client *client;
    atomic_int status;
    atomic_bool done;
} relay;

static void ask_another(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    relay *r = user;
    nbj_msg *reply = NULL;

    (void)sub;
    r->status = nbj_request(r->client, "echo", nbj_msg_data(msg), NULL, &reply);
    reply_to(r->client, msg, reply != NULL ? nbj_msg_data(reply) : none);
    nbj_msg_release(reply);
    r->done = true;
}

static void test_request_in_a_callback(void **state)
{
    nbj_sub *service = serve("echo", echo);
    relay r = { .client = open_one() };
    nbj_sub *relaying = subscribe(r.client, "relay", ask_another, &r);
    nbj_msg *reply = NULL;

    (void)state;
    assert_int_equal(nbj_request(r.client, "relay", nbj_str("on"), NULL, &reply), NBJ_OK);
    assert_true(holds(reply, "on"));
    WAIT_UNTIL(r.done, SOON_MS);
    assert_int_equal(r.status, NBJ_OK);
    nbj_msg_release(reply);
    nbj_sub_release(relaying);
    nbj_sub_release(service);
}

/* -- many replies -- */

#define ROOM 5

static nbj_msg *replies[ROOM];

static void check_replies(size_t count, size_t wanted)
{
    static const char *const texts[] = { "1", "2", "3" };

    assert_int_equal(count, wanted);
    for (size_t i = 0; i < count; i++) {
        assert_true(holds(replies[i], texts[i]));
        nbj_msg_release(replies[i]);
    }
}

static void test_many_replies(void **state)
{
    nbj_sub *service = serve("thrice", answer_thrice);
    nbj_sub *ending = serve("ending", answer_with_sentinel);
    nbj_client *c = open_one();
    size_t n = 9;

    (void)state;
    const nbj_request_options *three = NBJ_REQUEST(.timeout_ns = SOON, .max_replies = 3);
    const nbj_request_options *stall = NBJ_REQUEST(.timeout_ns = SOON, .stall_ns = NBJ_MILLIS(100));
    const nbj_request_options *sentinel = NBJ_REQUEST(.timeout_ns = SOON, .sentinel = true);
    const nbj_request_options *patient = NBJ_REQUEST(.timeout_ns = SOON);
    nbj_time begun = ts_now();
    assert_int_equal(nbj_request_many(c, "thrice", none, three, replies, ROOM, &n), NBJ_OK);
    check_replies(n, 3);
    assert_int_equal(nbj_request_many(c, "thrice", none, three, replies, 2, &n), NBJ_OK);
    check_replies(n, 2);
    assert_int_equal(nbj_request_many(c, "thrice", none, patient, replies, 1, &n), NBJ_OK);
    check_replies(n, 1);
    assert_int_equal(nbj_request_many(c, "thrice", none, stall, replies, ROOM, &n), NBJ_OK);
    check_replies(n, 3);
    assert_int_equal(nbj_request_many(c, "ending", none, sentinel, replies, ROOM, &n), NBJ_OK);
    check_replies(n, 3);
    assert_int_equal(nbj_request_many(c, "nobody", none, patient, replies, ROOM, &n), NBJ_E_NO_RESPONDERS);
    check_replies(n, 0);
    assert_true(ts_now() - begun < SOON); /* none of them waited for its deadline */

    const nbj_request_options *brief = NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(100));
    assert_int_equal(nbj_request_many(c, "thrice", none, brief, replies, ROOM, &n), NBJ_OK);
    check_replies(n, 3);
    assert_int_equal(nbj_request_many(c, "thrice", none, NULL, replies, 0, &n), NBJ_E_INVALID);
    assert_int_equal(nbj_request_many(c, "wild.>", none, NULL, replies, ROOM, &n), NBJ_E_BAD_SUBJECT);
    assert_int_equal(n, 0);
    nbj_sub_release(service);
    nbj_sub_release(ending);
}

static void test_many_replies_that_do_not_come(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *silence = subscribe(c, "silence", NULL, NULL);
    size_t n = 9;

    (void)state;
    assert_int_equal(nbj_request_many(c, "silence", none, NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(50)), replies, ROOM, &n),
                     NBJ_E_TIMEOUT);
    assert_int_equal(n, 0);
    nbj_sub_release(silence);
}

/* -- flushing -- */

static nbj_status flush_patiently(void *client)
{
    return nbj_flush(client, SOON);
}

static void test_flush(void **state)
{
    ts_server *s = ts_server_start(NULL);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s)));
    uint64_t rtt = 0;
    worker w;

    (void)state;
    assert_int_equal(nbj_flush(c, 0), NBJ_OK);
    assert_int_equal(nbj_rtt(c, SOON, &rtt), NBJ_OK);
    assert_true(rtt > 0 && rtt < SOON);
    ts_server_pause(s);
    assert_int_equal(nbj_flush(c, NBJ_MILLIS(50)), NBJ_E_TIMEOUT);
    start(&w, flush_patiently, c);
    WAIT_UNTIL(is_asleep(&w), SOON_MS);
    ts_server_cont(s);
    assert_int_equal(finish(&w), NBJ_OK);

    ts_server_pause(s);
    start(&w, flush_patiently, c);
    WAIT_UNTIL(is_asleep(&w), SOON_MS);
    ts_server_kill9(s);
    assert_int_equal(finish(&w), NBJ_E_DISCONNECTED);
    start(&w, flush_patiently, c); /* waits for the next connection */
    ts_server_restart(s);
    assert_int_equal(finish(&w), NBJ_OK);
    give_back(c);
    ts_server_free(s);
}

/* -- with callbacks -- */

typedef struct outcome {
    atomic_uint calls, replies;
    atomic_int status;     /* of the last call */
    atomic_bool elsewhere; /* it was not on the thread for callbacks */
    atomic_bool held;      /* what a test looks for in the reply was there */
} outcome;

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    outcome *o = user;

    if (!is_callback_thread())
        o->elsewhere = true;
    if (reply != NULL)
        o->replies++;
    o->held = reply != NULL && nbj_msg_data(reply).len == 1;
    o->status = status;
    o->calls++;
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    outcome *o = user;

    if (!is_callback_thread())
        o->elsewhere = true;
    o->held = round_trip_ns > 0;
    o->status = status;
    o->calls++;
}

static void on_done(void *user, nbj_status status, const nbj_error *error)
{
    outcome *o = user;

    if (!is_callback_thread())
        o->elsewhere = true;
    o->held = (error == NULL) == (status == NBJ_OK);
    o->status = status;
    o->calls++;
}

static void await_calls(outcome *o, unsigned calls, nbj_status last)
{
    WAIT_UNTIL(o->calls >= calls, SOON_MS);
    assert_int_equal(o->calls, calls);
    assert_int_equal(o->status, last);
    assert_false(o->elsewhere);
}

static void test_callbacks_have_a_thread(void **state)
{
    nbj_sub *service = serve("echo", echo);
    nbj_sub *thrice = serve("thrice", answer_thrice);
    nbj_client *c = open_one();
    outcome one = { 0 }, no = { 0 }, many = { 0 }, flushed = { 0 }, ensured = { 0 };

    (void)state;
    assert_int_equal(nbj_request_async(c, "echo", nbj_str("x"), NULL, on_reply, &one), NBJ_OK);
    await_calls(&one, 1, NBJ_OK);
    assert_true(one.held);
    assert_int_equal(nbj_request_async(c, "nobody", none, NULL, on_reply, &no), NBJ_OK);
    await_calls(&no, 1, NBJ_E_NO_RESPONDERS);
    assert_int_equal(no.replies, 0);
    assert_int_equal(nbj_request_many_async(c, "thrice", none, NBJ_REQUEST(.max_replies = 3), on_reply, &many), NBJ_OK);
    await_calls(&many, 4, NBJ_OK);
    assert_int_equal(many.replies, 3);
    assert_int_equal(nbj_flush_async(c, 0, on_flushed, &flushed), NBJ_OK);
    await_calls(&flushed, 1, NBJ_OK);
    assert_true(flushed.held);
    assert_int_equal(nbj_stream_ensure_async(c, NBJ_STREAM_CONFIG(.name = "ASYNC"), NULL, on_done, &ensured), NBJ_OK);
    await_calls(&ensured, 1, NBJ_OK);
    assert_true(ensured.held);

    assert_int_equal(nbj_request_async(c, "a", none, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_flush_async(c, 0, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_request_async(c, "a b", none, NULL, on_reply, &one), NBJ_E_BAD_SUBJECT);
    flush(c);
    assert_int_equal(one.calls, 1);
    nbj_sub_release(service);
    nbj_sub_release(thrice);
}

static void test_close_ends_those_with_callbacks(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));
    nbj_sub *silence = subscribe(c, "silence", NULL, NULL);
    outcome one = { 0 }, many = { 0 };

    (void)state;
    assert_int_equal(nbj_request_async(c, "silence", none, NBJ_REQUEST(.timeout_ns = SOON), on_reply, &one), NBJ_OK);
    assert_int_equal(nbj_request_many_async(c, "silence", none, NBJ_REQUEST(.timeout_ns = SOON), on_reply, &many),
                     NBJ_OK);
    nbj_client_close(c);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_true(one.calls == 1 && one.status == NBJ_E_CLOSED); /* no callback comes behind CLOSED */
    assert_true(many.calls == 1 && many.status == NBJ_E_CLOSED);
    nbj_sub_release(silence);
}

/* -- what a lone request costs -- */

#define LONE 1000

/* Threads of this process that are called |name|: at most |max|, and how many there are. */
static size_t threads_named(const char *name, int *tids, size_t max)
{
    DIR *dir = opendir("/proc/self/task");
    size_t count = 0;

    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[300], is[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (f == NULL)
            continue;
        if (fgets(is, sizeof is, f) != NULL && strncmp(is, name, strlen(name)) == 0 && count < max)
            tids[count++] = (int)strtol(e->d_name, NULL, 10);
        fclose(f);
    }
    closedir(dir);
    return count;
}

/* The thread of the connection sleeps through it. It looks at the clock ten times a second where there is something to
 * look for. */
static void test_no_other_thread_is_woken(void **state)
{
    nbj_sub *service = serve("echo", echo);
    int others[8], all[8], own = 0;
    size_t before = threads_named("nbj-io", others, 8);
    nbj_client *c = open_one();
    nbj_msg *reply = NULL;

    (void)state;
    WAIT_UNTIL(threads_named("nbj-io", all, 8) == before + 1, SOON_MS);
    for (size_t i = 0; i <= before; i++)
        own = i == before || all[i] != others[i] ? (own == 0 ? all[i] : own) : own;
    assert_int_equal(nbj_request(c, "echo", nbj_str("x"), NULL, &reply), NBJ_OK); /* its inbox is subscribed */
    nbj_msg_release(reply);
    nbj_time begun = ts_now();
    long switches = thread_status(own, "voluntary_ctxt_switches");
    for (int i = 0; i < LONE; i++) {
        assert_int_equal(nbj_request(c, "echo", nbj_str("x"), NBJ_REQUEST(.timeout_ns = SOON), &reply), NBJ_OK);
        nbj_msg_release(reply);
    }
    switches = thread_status(own, "voluntary_ctxt_switches") - switches;
    long looks = (long)((ts_now() - begun) / NBJ_MILLIS(100));
    if (switches > 4 + 2 * looks)
        TS_FAIL("%ld switches of the connection's thread for %d requests", switches, LONE);
    nbj_sub_release(service);
}

#define MARK_BEGIN 0x6e626a01
#define MARK_END 0x6e626a02
#define TRACED 100

/* A child of one thread that asks; what it does between its marks is counted. Ends with 0 when all went well. */
static _Noreturn void be_traced(void)
{
    nbj_client *c = NULL;
    nbj_msg *reply = NULL;
    bool fine = ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0;

    fine = fine && nbj_client_open(&c, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), NULL) == NBJ_OK;
    for (int i = 0; i <= TRACED && fine; i++) {
        if (i == 1)
            (void)syscall(SYS_close, MARK_BEGIN);
        fine = nbj_request(c, "echo", nbj_str("x"), NBJ_REQUEST(.timeout_ns = SOON), &reply) == NBJ_OK;
        nbj_msg_release(reply);
    }
    (void)syscall(SYS_close, MARK_END);
    nbj_client_release(c);
    _exit(fine ? 0 : 1);
}

/* Lets |child| run to its end, and counts the system calls of its first thread between the marks; -1: it failed. */
static int count_calls(pid_t child)
{
    int status = 0, count = 0;
    bool counting = false, entering;

    assert_int_equal(
        ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)), 0);
    while (ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0) {
        struct ptrace_syscall_info info = { 0 };
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status))
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? count : -1;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        (void)ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info);
        entering = info.op == PTRACE_SYSCALL_INFO_ENTRY;
        if (!entering)
            continue;
        bool marked = info.entry.nr == SYS_close;
        if (marked && info.entry.args[0] == MARK_BEGIN)
            counting = true;
        else if (marked && info.entry.args[0] == MARK_END)
            counting = false;
        else
            count += counting;
    }
    return -1;
}

static void test_system_calls_of_a_lone_request(void **state)
{
    int status = 0;

    (void)state;
    if (ts_in_valgrind())
        skip();
    pid_t child = fork(); /* while this process has one thread */
    if (child == 0)
        be_traced();
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    nbj_sub *service = serve("echo", echo);
    int calls = count_calls(child);
    if (calls <= 0 || calls > 5 * TRACED + TRACED / 20) /* few that have another cause, such as a sanitizer's memory */
        TS_FAIL("%d system calls for %d requests", calls, TRACED);
    nbj_sub_release(service);
}

static void test_nobody_wants_an_answer(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL;
    assert_int_equal(nbj_subscribe(c, "told", NULL, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_send(c, "told", nbj_str("x"), NULL), NBJ_OK);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    assert_int_equal(nbj_respond(msg, nbj_str("well"), NULL), NBJ_E_NOT_FOUND);
    nbj_msg_release(msg);
    nbj_sub_release(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_system_calls_of_a_lone_request, end_test),
        cmocka_unit_test_teardown(test_no_other_thread_is_woken, end_test),
        cmocka_unit_test_teardown(test_request, end_test),
        cmocka_unit_test_teardown(test_requests_that_fail, end_test),
        cmocka_unit_test_teardown(test_only_the_first_reply_counts, end_test),
        cmocka_unit_test_teardown(test_no_permission, end_test),
        cmocka_unit_test_teardown(test_each_thread_gets_its_own, end_test),
        cmocka_unit_test_teardown(test_request_in_a_callback, end_test),
        cmocka_unit_test_teardown(test_many_replies, end_test),
        cmocka_unit_test_teardown(test_many_replies_that_do_not_come, end_test),
        cmocka_unit_test_teardown(test_flush, end_test),
        cmocka_unit_test_teardown(test_callbacks_have_a_thread, end_test),
        cmocka_unit_test_teardown(test_close_ends_those_with_callbacks, end_test),
        cmocka_unit_test_teardown(test_nobody_wants_an_answer, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
