/* SPDX-License-Identifier: Apache-2.0 */
/* The servers and the raw peer that the live tests stand on do what their headers say. */
#define _GNU_SOURCE

#include "check.h"
#include "raw.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- the raw peer -- */

static void test_peers_talk(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_raw *a = ts_raw_open(ts_server_port(s));
    ts_raw *b = ts_raw_open(ts_server_port(s));

    (void)state;
    ts_raw_sub(a, "greet.*", "7");
    ts_raw_pub(b, "greet.one", "back", "hi\r\n", 4);
    ts_raw_send(b, "HPUB greet.two 20 22\r\nNATS/1.0\r\nK: vvv\r\n\r\nhi\r\n");
    ts_raw_flush(b);
    ts_raw_flush(a); /* must not eat the messages */

    ts_raw_msg m = ts_raw_next(a, TS_RAW_MS);
    CHECK("subject", nbj_bytes_equal(m.subject, nbj_str("greet.one")));
    CHECK("sid", nbj_bytes_equal(m.sid, nbj_str("7")));
    CHECK("reply", nbj_bytes_equal(m.reply, nbj_str("back")));
    CHECK("payload", nbj_bytes_equal(m.payload, nbj_str("hi\r\n")));
    CHECK("no header", m.header.len == 0);
    m = ts_raw_next(a, TS_RAW_MS);
    CHECK("header", nbj_bytes_equal(m.header, nbj_str("NATS/1.0\r\nK: vvv\r\n\r\n")));
    CHECK("no reply", m.reply.len == 0);
    CHECK("payload after a header", nbj_bytes_equal(m.payload, nbj_str("hi")));
    ts_raw_close(a);
    ts_raw_close(b);
    ts_server_free(s);
}

static void test_request(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_raw *asks = ts_raw_open(ts_server_port(s));
    ts_raw *silent = ts_raw_open(ts_server_port(s));

    (void)state;
    assert_string_equal(ts_raw_request(asks, "nobody", "?", TS_RAW_MS), ""); /* the no responders status */
    ts_raw_sub(silent, "somebody", "1");
    assert_null(ts_raw_request(asks, "somebody", "?", 100));
    ts_raw_msg m = ts_raw_next(silent, TS_RAW_MS);
    ts_raw_printf(silent, "PUB %.*s 3\r\nyes\r\n", NBJ_FMT(m.reply)); /* too late for the first request */
    ts_raw_flush(silent);
    assert_string_equal(ts_raw_request(asks, "nobody", "?", TS_RAW_MS), "");
    ts_raw_close(asks);
    ts_raw_close(silent);
    ts_server_free(s);
}

/* -- a server's life -- */

static void test_start(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_server *other = ts_server_start(NULL);
    ts_raw *r = ts_raw_open(ts_server_port(s));
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_server_port(s));
    assert_string_equal(ts_server_url(s), url);
    assert_int_not_equal(ts_server_port(s), ts_server_port(other));
    CHECK("version", nbj_bytes_equal(ts_raw_info_member(r, "version"), nbj_str(ts_server_version(s))));
    CHECK("at least 2.9", ts_server_is_at_least(s, 2, 9, 0));
    CHECK("not 3000", !ts_server_is_at_least(s, 3000, 0, 0));
    CHECK("numbers, not texts, are compared",
          ts_server_is_at_least(s, 2, 2, 99) && !ts_server_is_at_least(s, 10, 0, 0));
    CHECK("a number of INFO", nbj_bytes_equal(ts_raw_info_member(r, "max_payload"), nbj_str("1048576")));
    CHECK("no such member", ts_raw_info_member(r, "no_such_member").ptr == NULL);
    ts_raw_close(r);
    ts_server_free(other);
    ts_server_free(s);
}

static void test_configuration(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .config = "authorization { user: a, password: b }" });
    ts_raw *refused = ts_raw_dial(ts_server_port(s));

    (void)state;
    ts_raw_send(refused, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    ts_raw_expect(refused, "-ERR 'Authorization Violation'", TS_RAW_MS);
    ts_raw_expect_end(refused, TS_RAW_MS);
    ts_raw *let_in = ts_raw_dial(ts_server_port(s));
    ts_raw_login(let_in, "\"user\":\"a\",\"pass\":\"b\"");
    ts_raw_close(refused);
    ts_raw_close(let_in);
    ts_server_free(s);
}

static void test_kill_and_restart(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true });
    uint16_t port = ts_server_port(s);
    ts_raw *r = ts_raw_open(port);

    (void)state;
    ts_raw_request(r, "$JS.API.STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s\"]}", TS_RAW_MS);
    const char *ack = ts_raw_request(r, "s", "kept", TS_RAW_MS);
    CHECK("stored", ack != NULL && strstr(ack, "\"seq\":1") != NULL);
    ts_server_kill9(s);
    ts_raw_expect_end(r, TS_RAW_MS);
    ts_raw_close(r);
    CHECK("gone", ts_server_pid(s) == 0);
    assert_null(ts_raw_try_dial(port));

    ts_server_restart(s);
    CHECK("same port", ts_server_port(s) == port);
    r = ts_raw_open(port);
    const char *info = ts_raw_request(r, "$JS.API.STREAM.INFO.S", "", TS_RAW_MS);
    CHECK("same store", info != NULL && strstr(info, "\"messages\":1") != NULL);
    ts_raw_close(r);
    ts_server_stop(s);
    CHECK("stopped", ts_server_pid(s) == 0);
    ts_server_restart(s);
    ts_server_restart(s); /* of a running one */
    ts_server_free(s);
}

static void test_pause(void **state)
{
    ts_server *s = ts_server_start(NULL);
    ts_raw *r = ts_raw_open(ts_server_port(s));

    (void)state;
    ts_server_pause(s);
    ts_raw_send(r, "PING\r\n");
    CHECK("paused", ts_raw_try_read(r, "PONG\r\n", 200) == NULL);
    ts_server_cont(s);
    ts_raw_expect(r, "PONG\r\n", TS_RAW_MS);
    ts_server_pause(s);
    ts_server_stop(s); /* also when it is paused */
    ts_raw_close(r);
    ts_server_free(s);
}

static void test_lame_duck(void **state)
{
    ts_server *s = ts_server_start(
        &(ts_server_options){ .config = "lame_duck_grace_period: \"50ms\"\nlame_duck_duration: \"30s\"" });
    ts_raw *r = ts_raw_open(ts_server_port(s));

    (void)state;
    ts_server_lame_duck(s);
    ts_raw_expect(r, "\"ldm\":true", TS_RAW_MS);
    ts_raw_expect_end(r, TS_RAW_MS);
    ts_server_wait_gone(s, TS_RAW_MS);
    ts_raw_close(r);
    ts_server_free(s);
}

static void test_reload(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .config = "max_payload: 1000" });
    static const char *const sizes[] = { "2000", "3000" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        char config[40];
        snprintf(config, sizeof config, "max_payload: %s", sizes[i]);
        ts_server_reload(s, config);
        ts_raw *r = ts_raw_open(ts_server_port(s));
        CHECK(config, nbj_bytes_equal(ts_raw_info_member(r, "max_payload"), nbj_str(sizes[i])));
        ts_raw_close(r);
    }
    ts_server_free(s);
}

/* -- clusters -- */

static void test_discovery(void **state)
{
    ts_cluster c = ts_cluster_start(3, NULL);
    ts_raw *r = ts_raw_open(ts_server_port(c.server[0]));
    char gone[32], here[32];

    (void)state;
    snprintf(gone, sizeof gone, "127.0.0.1:%u\"", ts_server_port(c.server[2]));
    snprintf(here, sizeof here, "127.0.0.1:%u\"", ts_server_port(c.server[1]));
    CHECK("all are named", strstr(ts_raw_info(r), gone) != NULL && strstr(ts_raw_info(r), here) != NULL);
    ts_server_kill9(c.server[2]);
    const char *info;
    do /* 2.15 sends one more INFO after CONNECT */
        info = ts_raw_expect(r, "\r\n", 10000);
    while (strstr(info, gone) != NULL);
    CHECK("the dead one is named no longer", strstr(info, here) != NULL);
    ts_server_restart(c.server[2]);
    ts_raw_expect(r, gone, 10000);
    ts_raw_close(r);
    ts_cluster_free(&c);
}

static void test_jetstream_cluster(void **state)
{
    ts_cluster c = ts_cluster_start(3, &(ts_server_options){ .jetstream = true });
    ts_raw *r = ts_raw_open(ts_server_port(c.server[1]));

    (void)state;
    const char *answer = ts_raw_request(r, "$JS.API.STREAM.CREATE.R",
                                        "{\"name\":\"R\",\"subjects\":[\"r\"],\"num_replicas\":3}", TS_RAW_MS);
    CHECK("three replicas", answer != NULL && strstr(answer, "\"error\"") == NULL && strstr(answer, "leader") != NULL);
    ts_raw_close(r);
    ts_cluster_free(&c);
}

/* -- what is left behind; in child processes -- */

static void start_one(void **state)
{
    (void)state;
    ts_server_start(NULL);
}

/* Runs start_one as a test program of its own that ends with its exit status. |said|: what it wrote to stderr. */
static int run_program(const char *binary, char *said, size_t cap)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(start_one) };
    int out[2], status = 0;

    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDERR_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        if (binary != NULL)
            setenv("NBJ_TEST_SERVER", binary, 1);
        exit(cmocka_run_group_tests(tests, NULL, NULL));
    }
    close(out[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(out[0], said + len, cap - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    close(out[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_missing_binary(void **state)
{
    char said[16384];

    (void)state;
    assert_int_equal(run_program("/nonexistent/nats-server", said, sizeof said), 1); /* one failed test, not skipped */
    CHECK(said, strstr(said, "cannot run nats-server: NBJ_TEST_SERVER=/nonexistent/nats-server") != NULL);
    CHECK(said, strstr(said, "SKIPPED") == NULL);
}

static void test_unfreed_server_ends_with_its_program(void **state)
{
    char said[16384];
    char dir[] = "/tmp/nbj-support-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(dir));
    setenv("TMPDIR", dir, 1);
    assert_int_equal(run_program(NULL, said, sizeof said), 0);
    unsetenv("TMPDIR");
    CHECK("nothing left in its TMPDIR", rmdir(dir) == 0);
}

static void test_server_ends_with_a_killed_program(void **state)
{
    char place[128] = "";
    int out[2];

    (void)state;
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ts_server *s = ts_server_start(NULL);
        char text[128];
        int n = snprintf(text, sizeof text, "%u %s", ts_server_port(s), ts_server_log(s));
        (void)!write(out[1], text, (size_t)n);
        for (;;)
            pause();
    }
    close(out[1]);
    ssize_t n = read(out[0], place, sizeof place - 1);
    close(out[0]);
    assert_true(n > 0);
    uint16_t port = (uint16_t)strtoul(place, NULL, 10);
    ts_raw_close(ts_raw_dial(port));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ts_raw *r = ts_raw_try_dial(port);
    for (int i = 0; r != NULL && i < 5000; i++) {
        ts_raw_close(r);
        ts_breathe();
        r = ts_raw_try_dial(port);
    }
    assert_null(r);

    char *log = strchr(place, ' ') + 1; /* nobody was left to remove the files */
    unlink(log);
    snprintf(strrchr(log, '/'), 8, "/conf");
    unlink(log);
    *strrchr(log, '/') = '\0';
    assert_int_equal(rmdir(log), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers_talk),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_kill_and_restart),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_lame_duck),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_jetstream_cluster),
        cmocka_unit_test(test_missing_binary),
        cmocka_unit_test(test_unfreed_server_ends_with_its_program),
        cmocka_unit_test(test_server_ends_with_a_killed_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
