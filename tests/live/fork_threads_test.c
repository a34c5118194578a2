/* SPDX-License-Identifier: Apache-2.0 */
/* fork() with a client that is at work: the child cannot harm it, hangs nowhere, and can give its copies back; a program
 * that is started inherits nothing. */
#define _GNU_SOURCE

#include "proxy.h"
#include "server.h"
#include "threads.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FD_MAX 1024
#define CHILD_SECONDS 20u /* then it hangs */

/* --- an allocator at whose door a thread can be held, with the client's lock in its hands --- */

typedef struct gate {
    atomic_bool closed;
    sem_t arrived, opened;
} gate;

static void pass(gate *g)
{
    if (!atomic_exchange(&g->closed, false))
        return;
    sem_post(&g->arrived);
    while (sem_wait(&g->opened) != 0)
        continue;
}

static void *gate_alloc(void *ctx, size_t size)
{
    pass(ctx);
    return malloc(size);
}

static void *gate_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    return realloc(ptr, new_size);
}

static void gate_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)size;
    free(ptr);
}

/* --- the parent --- */

typedef struct parent {
    ts_server *server;
    gate gate;
    nbj_allocator alloc;
    th_events events;
    th_problems problems;
    nbj_client *client, *loop;
    nbj_sub *echo, *read;
    nbj_pull *pull;
    nbj_msg *kept, *delivery;
    pthread_mutex_t delivered;
    bool before[FD_MAX], with[FD_MAX]; /* descriptors without and with the clients */
    atomic_bool stop;
    atomic_uint replies;
    pthread_t requesters[4];
} parent;

static void note_descriptors(bool open[FD_MAX])
{
    int all[FD_MAX];
    size_t n = th_entries("/proc/self/fd", all, FD_MAX);

    memset(open, 0, FD_MAX * sizeof open[0]);
    for (size_t i = 0; i < n; i++)
        if (all[i] < FD_MAX)
            open[all[i]] = true;
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    parent *p = user;
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(p->client, reply, nbj_msg_data(msg), NULL);
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    parent *p = user;

    (void)pull;
    pthread_mutex_lock(&p->delivered);
    if (p->delivery == NULL)
        p->delivery = nbj_msg_retain(msg);
    pthread_mutex_unlock(&p->delivered);
}

static bool has_delivery(parent *p)
{
    pthread_mutex_lock(&p->delivered);
    bool has = p->delivery != NULL;
    pthread_mutex_unlock(&p->delivered);
    return has;
}

static void *requester_main(void *arg)
{
    parent *p = arg;

    while (!atomic_load(&p->stop)) {
        nbj_msg *reply;
        nbj_status st = nbj_request(p->client, "fork.echo", nbj_str("?"), NULL, &reply);
        if (st != NBJ_OK)
            th_problem(&p->problems, "the parent's request: %s", nbj_strerror(st));
        atomic_fetch_add(&p->replies, st == NBJ_OK);
        nbj_msg_release(reply);
    }
    return NULL;
}

static void open_clients(parent *p)
{
    const char *url = ts_server_url(p->server);
    nbj_error error;

    note_descriptors(p->before);
    p->client =
        th_open(NBJ_CLIENT_OPTIONS(.url = url, .alloc = &p->alloc, .on_event = th_on_event, .user_data = &p->events));
    assert_int_equal(nbj_loop_open(&p->loop, NBJ_CLIENT_OPTIONS(.url = url), &error), NBJ_OK);
    for (nbj_time until = ts_now() + NBJ_SECONDS(5); !nbj_client_is_connected(p->loop) && ts_now() < until;)
        assert_int_equal(nbj_loop_turn(p->loop, NBJ_MILLIS(10)), NBJ_OK);
    assert_true(nbj_client_is_connected(p->loop));
    assert_int_equal(nbj_subscribe(p->client, "fork.echo", NULL, on_echo, p, &p->echo), NBJ_OK);
    assert_int_equal(nbj_subscribe(p->client, "fork.read", NULL, NULL, NULL, &p->read), NBJ_OK);
    assert_int_equal(nbj_send(p->client, "fork.read", nbj_str("kept"), NULL), NBJ_OK);
    assert_int_equal(nbj_sub_next(p->read, NBJ_SECONDS(5), &p->kept), NBJ_OK);
    assert_int_equal(
        nbj_pull_start(p->client, NBJ_CONSUMER_CONFIG(.stream = "FORK", .durable = "d"), on_delivery, p, &p->pull),
        NBJ_OK);
    assert_int_equal(nbj_publish(p->client, "forked.x", nbj_str("one"), NULL, NULL), NBJ_OK);
    WAIT_UNTIL(has_delivery(p), 5000);
    note_descriptors(p->with);
}

static parent *begin(void)
{
    parent *p = calloc(1, sizeof *p);

    pthread_mutex_init(&p->problems.lock, NULL);
    pthread_mutex_init(&p->delivered, NULL);
    sem_init(&p->gate.arrived, 0, 0);
    sem_init(&p->gate.opened, 0, 0);
    p->alloc = (nbj_allocator){ gate_alloc, gate_realloc, gate_free, &p->gate };
    p->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    th_make_stream(ts_server_port(p->server), "FORK", "forked.>", 1);
    open_clients(p);
    return p;
}

static void start_requesters(parent *p)
{
    for (int i = 0; i < 4; i++)
        p->requesters[i] = th_start(requester_main, p);
}

static void stop_requesters(parent *p)
{
    atomic_store(&p->stop, true);
    for (int i = 0; i < 4; i++)
        pthread_join(p->requesters[i], NULL);
}

/* The parent's connection is the same one, and works. */
static void check_parent(parent *p, uint64_t id)
{
    nbj_msg *reply = NULL;

    assert_int_equal(nbj_request(p->client, "fork.echo", nbj_str("still there"), NULL, &reply), NBJ_OK);
    CHECK("the reply", nbj_bytes_equal(nbj_msg_data(reply), nbj_str("still there")));
    nbj_msg_release(reply);
    assert_int_equal(nbj_publish(p->client, "forked.x", nbj_str("two"), NULL, NULL), NBJ_OK);
    assert_int_equal(nbj_client_id(p->client), id);
    assert_int_equal(nbj_client_stats_of(p->client).reconnects, 0);
    assert_int_equal(th_count(&p->events, NBJ_EVENT_DISCONNECTED), 0);
    assert_int_equal(th_count(&p->events, NBJ_EVENT_SERVER_ERROR), 0);
    assert_int_equal(nbj_loop_turn(p->loop, NBJ_MILLIS(1)), NBJ_OK);
    assert_true(nbj_client_is_connected(p->loop));
    th_no_problem(&p->problems);
}

static void finish(parent *p)
{
    nbj_sub_release(p->echo);
    nbj_sub_release(p->read);
    nbj_pull_release(p->pull);
    nbj_msg_release(p->kept);
    nbj_msg_release(p->delivery);
    nbj_client_release(p->client);
    nbj_client_release(p->loop);
    ts_server_free(p->server);
    sem_destroy(&p->gate.arrived);
    sem_destroy(&p->gate.opened);
    pthread_mutex_destroy(&p->problems.lock);
    pthread_mutex_destroy(&p->delivered);
    free(p);
}

/* --- the child: it says what is wrong and leaves by _exit --- */

#define EXPECT(cond)                                                                        \
    do {                                                                                    \
        if (!(cond)) {                                                                      \
            dprintf(STDERR_FILENO, "in the child: line %d: not so: %s\n", __LINE__, #cond); \
            _exit(1);                                                                       \
        }                                                                                   \
    } while (0)

static void never(void)
{
    dprintf(STDERR_FILENO, "in the child: a callback\n");
    _exit(2);
}

static void never_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    (void)user;
    (void)status;
    (void)reply;
    never();
}

static void never_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)user;
    (void)status;
    (void)round_trip_ns;
    never();
}

static void never_done(void *user, nbj_status status, const nbj_error *error)
{
    (void)user;
    (void)status;
    (void)error;
    never();
}

static void never_result(void *user, const nbj_publish_result *result)
{
    (void)user;
    (void)result;
    never();
}

static void never_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    (void)msg;
    never();
}

static void never_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)user;
    (void)pull;
    (void)msg;
    never();
}

static void expect_client_calls(nbj_client *c)
{
    char text[64];
    uint64_t n = 7;
    nbj_client_stats stats = nbj_client_stats_of(c);

    EXPECT(nbj_client_state_of(c) == NBJ_CLIENT_CLOSED);
    EXPECT(!nbj_client_is_connected(c));
    EXPECT(nbj_client_server_address(c, text, sizeof text) == NBJ_E_FORKED);
    EXPECT(nbj_client_server_version(c, text, sizeof text) == NBJ_E_FORKED);
    EXPECT(nbj_client_server_name(c, text, sizeof text) == NBJ_E_FORKED);
    EXPECT(nbj_client_server_id(c, text, sizeof text) == NBJ_E_FORKED);
    EXPECT(nbj_client_own_address(c, text, sizeof text) == NBJ_E_FORKED);
    EXPECT(nbj_client_id(c) == 0);
    EXPECT(nbj_client_max_payload(c) == 0);
    EXPECT(stats.in_msgs == 0 && stats.out_msgs == 0);
    EXPECT(nbj_client_drain(c, NBJ_SECONDS(1)) == NBJ_E_FORKED);
    nbj_client_drain_async(c, NBJ_SECONDS(1));
    nbj_client_reconnect(c);
    nbj_client_close(c);
    EXPECT(nbj_flush(c, 0) == NBJ_E_FORKED);
    EXPECT(nbj_rtt(c, 0, &n) == NBJ_E_FORKED);
    EXPECT(nbj_flush_async(c, 0, never_flushed, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_publish_flush(c, NBJ_SECONDS(1), &n) == NBJ_E_FORKED);
    EXPECT(nbj_publish_unfinished(c) == 0);
}

static void expect_messages(nbj_client *c)
{
    nbj_msg *reply = NULL;
    nbj_sub *sub = NULL;
    nbj_pull *pull = NULL;
    nbj_error error;
    size_t count = 7;
    nbj_bytes data = nbj_str("from the child");
    const nbj_stream_config *stream = NBJ_STREAM_CONFIG(.name = "CHILD");

    EXPECT(nbj_send(c, "fork.child", data, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_subscribe(c, "fork.child", NULL, never_msg, NULL, &sub) == NBJ_E_FORKED && sub == NULL);
    EXPECT(nbj_request(c, "fork.echo", data, NULL, &reply) == NBJ_E_FORKED && reply == NULL);
    EXPECT(nbj_request_many(c, "fork.echo", data, NULL, &reply, 1, &count) == NBJ_E_FORKED && count == 0);
    EXPECT(nbj_request_async(c, "fork.echo", data, NULL, never_reply, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_request_many_async(c, "fork.echo", data, NULL, never_reply, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_publish(c, "forked.x", data, NULL, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_publish_async(c, "forked.x", data, NULL, never_result, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_stream_ensure(c, stream, NULL, &error) == NBJ_E_FORKED);
    EXPECT(nbj_stream_ensure_async(c, stream, NULL, never_done, NULL) == NBJ_E_FORKED);
    EXPECT(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = "FORK", .durable = "e"), never_delivery, NULL, &pull) ==
           NBJ_E_FORKED);
    EXPECT(pull == NULL);
}

static void expect_handles(parent *p)
{
    nbj_msg *msg = NULL;
    size_t count = 7;
    nbj_sub_stats stats = nbj_sub_stats_of(p->read);

    EXPECT(stats.delivered == 0 && stats.pending == 0);
    EXPECT(nbj_sub_next(p->read, NBJ_SECONDS(1), &msg) == NBJ_E_FORKED && msg == NULL);
    EXPECT(nbj_sub_next_batch(p->read, &msg, 1, NBJ_SECONDS(1), &count) == NBJ_E_FORKED && count == 0);
    EXPECT(nbj_unsubscribe(p->echo, 0) == NBJ_E_FORKED);
    EXPECT(nbj_sub_drain(p->echo) == NBJ_E_FORKED);
    EXPECT(nbj_pull_state_of(p->pull) == NBJ_PULL_STOPPED);
    EXPECT(nbj_ack(p->delivery) == NBJ_E_FORKED);
    EXPECT(nbj_nak(p->delivery, 0) == NBJ_E_FORKED);
    EXPECT(nbj_bytes_equal(nbj_msg_data(p->kept), nbj_str("kept"))); /* reading is no call to the client */
    nbj_pull_stop(p->pull);
    nbj_pull_release(p->pull);
    nbj_sub_release(p->echo);
    nbj_sub_release(p->read);
}

static void expect_only_our_descriptors_went(const parent *p)
{
    for (int fd = 0; fd < FD_MAX; fd++) {
        bool is_open = fcntl(fd, F_GETFD) >= 0;
        bool was_open = p->before[fd];
        if (p->before[fd] != p->with[fd])
            EXPECT(!is_open);
        else if (was_open)
            EXPECT(is_open);
    }
}

static void child_main(parent *p)
{
    alarm(CHILD_SECONDS);
    nbj_time began = ts_now();
    expect_client_calls(p->client);
    expect_messages(p->client);
    expect_handles(p);
    expect_client_calls(p->loop);
    EXPECT(nbj_loop_process(p->loop) == NBJ_E_FORKED);
    EXPECT(nbj_loop_turn(p->loop, NBJ_SECONDS(1)) == NBJ_E_FORKED);
    nbj_client_release(p->client);
    nbj_client_release(p->loop);
    EXPECT(ts_now() - began < NBJ_MILLIS(900) * (th_is_slow() ? 5 : 1)); /* nothing waited */
    expect_only_our_descriptors_went(p);
    _exit(0);
}

static void await_child(pid_t pid)
{
    int how = 0;

    CHECK("fork", pid > 0);
    CHECK("waitpid", waitpid(pid, &how, 0) == pid);
    if (WIFSIGNALED(how))
        TS_FAIL("the child was killed by signal %d", WTERMSIG(how));
    CHECK("the child is content", WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void fork_once(parent *p)
{
    pid_t pid = fork();

    if (pid == 0)
        child_main(p);
    await_child(pid);
}

/* --- tests --- */

static void test_idle(void **state)
{
    parent *p = begin();
    uint64_t id = nbj_client_id(p->client);

    (void)state;
    fork_once(p);
    check_parent(p, id);
    finish(p);
}

/* Requests go on while it forks, so that the lock, the lead and the socket are in all kinds of hands. */
static void test_at_work(void **state)
{
    parent *p = begin();
    uint64_t id = nbj_client_id(p->client);

    (void)state;
    start_requesters(p);
    for (unsigned i = 0; i < th_amount(40); i++) {
        unsigned replies = atomic_load(&p->replies);
        fork_once(p);
        WAIT_UNTIL(atomic_load(&p->replies) > replies, 10000);
    }
    stop_requesters(p);
    check_parent(p, id);
    finish(p);
}

static void *subscriber_main(void *arg)
{
    parent *p = arg;
    nbj_sub *sub = NULL;

    if (nbj_subscribe(p->client, "fork.gate", NULL, NULL, NULL, &sub) != NBJ_OK)
        th_problem(&p->problems, "the subscription was refused");
    nbj_sub_release(sub);
    return NULL;
}

static void test_lock_is_held(void **state)
{
    parent *p = begin();
    uint64_t id = nbj_client_id(p->client);

    (void)state;
    atomic_store(&p->gate.closed, true);
    pthread_t holder = th_start(subscriber_main, p);
    while (sem_wait(&p->gate.arrived) != 0)
        continue;
    fork_once(p);
    sem_post(&p->gate.opened);
    pthread_join(holder, NULL);
    check_parent(p, id);
    finish(p);
}

/* --- programs that are started --- */

static char *own_path;

/* As the started program: the exit code is how many descriptors there are beyond the standard ones. */
static int count_inherited(void)
{
    int all[FD_MAX], beyond = 0;
    size_t n = th_entries("/proc/self/fd", all, FD_MAX);

    for (size_t i = 0; i < n; i++)
        beyond += all[i] > STDERR_FILENO;
    return beyond;
}

static int inherited(void)
{
    pid_t pid = fork();
    int how = 0;

    if (pid == 0) {
        alarm(CHILD_SECONDS);
        execl(own_path, own_path, "--count-descriptors", (char *)NULL);
        _exit(125);
    }
    CHECK("waitpid", waitpid(pid, &how, 0) == pid);
    CHECK("it ran", WIFEXITED(how) && WEXITSTATUS(how) != 125);
    return WEXITSTATUS(how);
}

static void *reconnector_main(void *arg)
{
    parent *p = arg;

    while (!atomic_load(&p->stop)) {
        nbj_client_reconnect(p->client);
        th_sleep_ms(1);
    }
    return NULL;
}

static void test_exec(void **state)
{
    int without = inherited();
    parent *p = begin();

    (void)state;
    for (int fd = 0; fd < FD_MAX; fd++)
        if (p->with[fd] && !p->before[fd])
            CHECK("close-on-exec", (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(inherited(), without);
    pthread_t reconnector = th_start(reconnector_main, p); /* descriptors come and go */
    for (unsigned i = 0; i < th_amount(60); i++)
        assert_int_equal(inherited(), without);
    atomic_store(&p->stop, true);
    pthread_join(reconnector, NULL);
    finish(p);
}

/* --- children that live on and give nothing back --- */

static pid_t sleeping_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(CHILD_SECONDS);
        for (;;)
            pause();
    }
    CHECK("fork", pid > 0);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK("waitpid", waitpid(pid, NULL, 0) == pid);
}

/* What the parent closed is closed for the server, too: a connection that the child keeps up would take its share of a
 * queue group's messages. */
static void test_child_lives_on(void **state)
{
    parent *p = begin();
    nbj_sub *sub;
    nbj_msg *msg;

    (void)state;
    assert_int_equal(nbj_subscribe(p->client, "fork.queue", NBJ_SUB(.queue_group = "q"), NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_flush(p->client, 0), NBJ_OK);
    pid_t pid = sleeping_child();
    nbj_client_reconnect(p->client);
    WAIT_UNTIL(th_count(&p->events, NBJ_EVENT_RECONNECTED) == 1, 5000);
    assert_int_equal(nbj_flush(p->client, 0), NBJ_OK);
    ts_raw *r = ts_raw_open(ts_server_port(p->server));
    for (int i = 0; i < 50; i++)
        ts_raw_pub(r, "fork.queue", NULL, "?", 1);
    ts_raw_flush(r);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_OK);
        nbj_msg_release(msg);
    }
    ts_raw_close(r);
    end_child(pid);
    nbj_sub_release(sub);
    finish(p);
}

static int full_listener(uint16_t *port, int *fillers, int *count)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    for (*count = 0; *count < 4; ++*count) {
        fillers[*count] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[*count], (struct sockaddr *)&a, sizeof a);
    }
    return fd;
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
}

/* In the child of a client that is connecting: what it has a copy of goes with the release. */
static void expect_nothing_left(nbj_client *c, const parent *p)
{
    alarm(CHILD_SECONDS);
    nbj_client_release(c);
    expect_only_our_descriptors_went(p);
    _exit(0);
}

/* An attempt to connect that the parent gave up goes on in the child: that it succeeds there is no news to the parent. */
static void test_child_keeps_an_attempt(void **state)
{
    char url[64];
    uint16_t port;
    int fillers[4], count;
    int listener = full_listener(&port, fillers, &count);

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port);
    parent *p = calloc(1, sizeof *p); /* for its descriptors */
    note_descriptors(p->before);
    nbj_client *c =
        th_open(NBJ_CLIENT_OPTIONS(.url = url, .retry_first_connect = true, .connect_timeout_ns = NBJ_MILLIS(500),
                                   .reconnect_first_ns = NBJ_SECONDS(2)));
    th_sleep_ms(200); /* it waits for the server's SYN */
    note_descriptors(p->with);
    pid_t pid = fork();
    if (pid == 0)
        expect_nothing_left(c, p);
    await_child(pid);
    free(p);
    pid = sleeping_child();
    th_sleep_ms(500); /* the attempt is given up */
    uint64_t cpu = th_cpu_ns();
    for (int i = 0; i < count; i++)
        close(fillers[i]);
    for (nbj_time until = ts_now() + NBJ_SECONDS(3); ts_now() < until; th_sleep_ms(50))
        accept_all(listener);
    CHECK("the parent does not spin", th_cpu_ns() - cpu < NBJ_MILLIS(500) * (th_is_slow() ? 3 : 1));
    end_child(pid);
    nbj_client_release(c);
    close(listener);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),           cmocka_unit_test(test_at_work),
        cmocka_unit_test(test_lock_is_held),   cmocka_unit_test(test_exec),
        cmocka_unit_test(test_child_lives_on), cmocka_unit_test(test_child_keeps_an_attempt),
    };

    if (argc == 2 && strcmp(argv[1], "--count-descriptors") == 0)
        return count_inherited();
    own_path = argv[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
