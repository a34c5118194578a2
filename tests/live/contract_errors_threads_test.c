/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of errors: what is different to a program is a different status, and each has a text. Each is produced
 * once here, through calls that wait. */
#define _GNU_SOURCE

#include "port.h"
#include "raw.h"
#include "server.h"
#include "thread_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static ts_server *server, *plain;

static const char *const config = "max_payload: 4096\n"
                                  "authorization { users: [\n"
                                  "  { user: all, password: pw }\n"
                                  "  { user: few, password: pw, permissions: { publish: { deny: [\"no.>\"] }\n"
                                  "    subscribe: { deny: [\"no.>\"] } } }\n"
                                  "] }\n";

static char all_url[128], few_url[128];

static int start(void **state)
{
    (void)state;
    server = ts_server_start(&(ts_server_options){ .jetstream = true, .config = config });
    plain = ts_server_start(NULL);
    snprintf(all_url, sizeof all_url, "nats://all:pw@127.0.0.1:%u", ts_server_port(server));
    snprintf(few_url, sizeof few_url, "nats://few:pw@127.0.0.1:%u", ts_server_port(server));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ts_server_free(server);
    ts_server_free(plain);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_threaded_free_all();
    return 0;
}

/* The status, and a text that is not that of another. */
static void check_error(nbj_status st, nbj_status want, const nbj_error *error)
{
    if (st != want)
        TS_FAIL("\"%s\" instead of \"%s\"", nbj_strerror(st), nbj_strerror(want));
    assert_string_not_equal(nbj_strerror(st), nbj_strerror((nbj_status)12345));
    if (error == NULL)
        return;
    assert_int_equal(error->status, want);
    assert_true(error->text[0] != '\0');
}

static nbj_status ask(nbj_client *c, const char *subject)
{
    nbj_msg *msg = NULL;
    nbj_status st = nbj_request(c, subject, nbj_str("?"), NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(100)), &msg);

    nbj_msg_release(msg);
    return st;
}

static void test_requests(void **state)
{
    ts_threaded *c = ts_threaded_at(few_url);
    nbj_sub *mute = NULL;

    (void)state;
    assert_int_equal(nbj_subscribe(c->client, "mute", NULL, NULL, NULL, &mute), NBJ_OK);
    check_error(ask(c->client, "mute"), NBJ_E_TIMEOUT, NULL);
    check_error(ask(c->client, "nobody"), NBJ_E_NO_RESPONDERS, NULL);
    check_error(ask(c->client, "no.way"), NBJ_E_PERMISSION_PUBLISH, NULL);
    const ts_threaded_event *e = ts_threaded_await(c, NBJ_EVENT_SERVER_ERROR, 1);
    check_error(e->error.status, NBJ_E_PERMISSION_PUBLISH, &e->error);
    assert_string_equal(e->subject, "no.way");
    check_error(ask(c->client, "not a subject"), NBJ_E_BAD_SUBJECT, NULL);
    nbj_sub_release(mute);
}

static void test_subscriptions(void **state)
{
    ts_threaded *c = ts_threaded_at(few_url);
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL;

    (void)state;
    check_error(nbj_subscribe(c->client, "a..b", NULL, NULL, NULL, &sub), NBJ_E_BAD_SUBJECT, NULL);
    assert_int_equal(nbj_subscribe(c->client, "no.way", NULL, NULL, NULL, &sub), NBJ_OK);
    check_error(nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_E_ENDED, NULL); /* the server refused it */
    const ts_threaded_event *e = ts_threaded_await(c, NBJ_EVENT_SERVER_ERROR, 1);
    check_error(e->error.status, NBJ_E_PERMISSION_SUBSCRIBE, &e->error);
    nbj_sub_release(sub);
    assert_int_equal(nbj_subscribe(c->client, "yes", NULL, NULL, NULL, &sub), NBJ_OK);
    check_error(nbj_sub_next(sub, NBJ_MILLIS(10), &msg), NBJ_E_TIMEOUT, NULL);
    assert_int_equal(nbj_unsubscribe(sub, 0), NBJ_OK);
    check_error(nbj_sub_next(sub, NBJ_SECONDS(5), &msg), NBJ_E_ENDED, NULL);
    check_error(nbj_unsubscribe(sub, 0), NBJ_E_STATE, NULL);
    nbj_sub_release(sub);
}

static void test_sending(void **state)
{
    ts_threaded *c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = all_url, .max_outgoing_bytes = 2000));
    static const char large[5000];
    char small[8];
    nbj_header header = { nbj_str("bad name"), nbj_str("x") };

    (void)state;
    check_error(nbj_send(c->client, "x", nbj_view(large, 1990), NULL), NBJ_E_FULL, NULL);
    check_error(nbj_send(c->client, "x.*", nbj_str("x"), NULL), NBJ_E_BAD_SUBJECT, NULL);
    check_error(nbj_send(c->client, "x", nbj_str("x"), NBJ_SEND(.headers = &header, .header_count = 1)),
                NBJ_E_BAD_HEADER, NULL);
    check_error(nbj_send(c->client, "x", nbj_str("x"), (const nbj_send_options *)&(nbj_send_options){ 0 }),
                NBJ_E_INVALID, NULL);
    check_error(nbj_client_server_version(c->client, small, 3), NBJ_E_FULL, NULL);
    ts_threaded *d = ts_threaded_at(all_url);
    check_error(nbj_send(d->client, "x", nbj_view(large, sizeof large), NULL), NBJ_E_TOO_LARGE, NULL);
    nbj_client_drain_async(d->client, NBJ_SECONDS(5));
    nbj_status st = nbj_publish(d->client, "x", nbj_str("x"), NULL, NULL);
    assert_true(st == NBJ_E_DRAINING || st == NBJ_E_CLOSED); /* whichever comes first */
    (void)ts_threaded_await_closed(d);
    check_error(nbj_send(d->client, "x", nbj_str("x"), NULL), NBJ_E_CLOSED, NULL);
}

static void test_jetstream(void **state)
{
    ts_threaded *c = ts_threaded_at(all_url);
    ts_threaded *few = ts_threaded_at(few_url);
    ts_threaded *without = ts_threaded_at(ts_server_url(plain));
    nbj_publish_result r;
    nbj_error error = { 0 };

    (void)state;
    check_error(nbj_stream_ensure(
                    c->client,
                    NBJ_STREAM_CONFIG(.name = "E", .subjects = NBJ_LIST("e.>", "no.e"), .storage = NBJ_STORAGE_MEMORY),
                    NULL, &error),
                NBJ_OK, NULL);
    nbj_status st = nbj_stream_ensure(
        c->client, NBJ_STREAM_CONFIG(.name = "E", .subjects = NBJ_LIST("other"), .storage = NBJ_STORAGE_MEMORY), NULL,
        &error);
    check_error(st, NBJ_E_EXISTS_DIFFERENT, &error);
    check_error(nbj_stream_ensure(c->client, NBJ_STREAM_CONFIG(.name = "a.b"), NULL, &error), NBJ_E_INVALID, &error);
    check_error(nbj_stream_ensure(without->client, NBJ_STREAM_CONFIG(.name = "E"), NULL, &error), NBJ_E_NO_RESPONDERS,
                &error);
    check_error(nbj_publish(c->client, "nowhere", nbj_str("x"), NULL, &r), NBJ_E_NO_STREAM, &r.error);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    check_error(nbj_publish(few->client, "no.e", nbj_str("x"), NULL, &r), NBJ_E_PERMISSION_PUBLISH, &r.error);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    check_error(nbj_publish(c->client, "e.x", nbj_view("", 0), NBJ_PUBLISH(.msg_id = "1"), &r), NBJ_OK, NULL);
    check_error(nbj_publish(c->client, "e.x", nbj_view("", 0), NBJ_PUBLISH(.msg_id = "1"), &r), NBJ_OK, NULL);
    assert_int_equal(r.outcome, NBJ_DUPLICATE);
    nbj_header expect = { nbj_str("Nats-Expected-Last-Sequence"), nbj_str("77") };
    st = nbj_publish(c->client, "e.x", nbj_str("x"), NBJ_PUBLISH(.headers = &expect, .header_count = 1), &r);
    check_error(st, NBJ_E_WRONG_LAST_SEQUENCE, &r.error);
}

/* -- what opening says -- */

static void check_open(const nbj_client_options *o, nbj_status want)
{
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    check_error(nbj_client_open(&c, o, &error), want, &error);
    assert_null(c);
}

static void test_opening(void **state)
{
    ts_port silent = ts_port_reserve();
    int listener = ts_port_listen(&silent);
    char url[128];

    (void)state;
    check_open(NBJ_CLIENT_OPTIONS(.url = "http://x"), NBJ_E_BAD_URL);
    check_open(NBJ_CLIENT_OPTIONS(.url = "nats://127.0.0.1:1"), NBJ_E_REFUSED);
    check_open(NBJ_CLIENT_OPTIONS(.url = "nats://no-such-host.invalid"), NBJ_E_DNS);
    check_open(NBJ_CLIENT_OPTIONS(.url = "127.0.0.1:1,127.0.0.1:2"), NBJ_E_NO_SERVERS);
    check_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(server), .user = "all", .password = "wrong"), NBJ_E_AUTH);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", silent.number);
    check_open(NBJ_CLIENT_OPTIONS(.url = url, .connect_timeout_ns = NBJ_MILLIS(100)), NBJ_E_CONNECT_TIMEOUT);
    check_open(NBJ_CLIENT_OPTIONS(.url = url, .open_timeout_ns = NBJ_MILLIS(100)), NBJ_E_TIMEOUT);
    close(listener);
    ts_port_release(&silent);
}

/* -- what a loop and a child are told -- */

static void test_where_waiting_is_impossible(void **state)
{
    nbj_client *c = NULL;
    nbj_publish_result r;

    (void)state;
    assert_int_equal(nbj_loop_open(&c, NBJ_CLIENT_OPTIONS(.url = all_url), NULL), NBJ_OK);
    check_error(nbj_flush(c, 0), NBJ_E_WOULD_BLOCK, NULL);
    check_error(ask(c, "x"), NBJ_E_WOULD_BLOCK, NULL);
    check_error(nbj_publish(c, "x", nbj_str("x"), NULL, &r), NBJ_E_WOULD_BLOCK, NULL);
    check_error(nbj_client_drain(c, 0), NBJ_E_WOULD_BLOCK, NULL);
    nbj_client_release(c);
}

static void test_a_forked_child(void **state)
{
    ts_threaded *c = ts_threaded_at(all_url);
    int status = 0;

    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(nbj_send(c->client, "x", nbj_str("x"), NULL) == NBJ_E_FORKED && ask(c->client, "x") == NBJ_E_FORKED &&
                      nbj_flush(c->client, 0) == NBJ_E_FORKED
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_error(nbj_flush(c->client, 0), NBJ_OK, NULL);
}

static void test_a_loss_says_so(void **state)
{
    ts_threaded *c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(plain), .fail_requests_on_loss = true,
                                                         .reconnect_first_ns = NBJ_MILLIS(10)));
    nbj_sub *mute = NULL;
    char text[64];

    (void)state;
    assert_int_equal(nbj_subscribe(c->client, "mute", NULL, NULL, NULL, &mute), NBJ_OK);
    assert_int_equal(nbj_flush(c->client, 0), NBJ_OK);
    ts_server_kill9(plain);
    const ts_threaded_event *e = ts_threaded_await(c, NBJ_EVENT_DISCONNECTED, 1);
    assert_true(e->error.status == NBJ_E_EOF || e->error.status == NBJ_E_IO);
    assert_true(e->error.text[0] != '\0');
    check_error(nbj_client_server_name(c->client, text, sizeof text), NBJ_E_DISCONNECTED, NULL);
    check_error(nbj_flush(c->client, NBJ_MILLIS(50)), NBJ_E_TIMEOUT, NULL);
    ts_server_restart(plain);
    (void)ts_threaded_await(c, NBJ_EVENT_RECONNECTED, 1);
    nbj_sub_release(mute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_requests, end_test),
        cmocka_unit_test_teardown(test_subscriptions, end_test),
        cmocka_unit_test_teardown(test_sending, end_test),
        cmocka_unit_test_teardown(test_jetstream, end_test),
        cmocka_unit_test_teardown(test_opening, end_test),
        cmocka_unit_test_teardown(test_where_waiting_is_impossible, end_test),
        cmocka_unit_test_teardown(test_a_forked_child, end_test),
        cmocka_unit_test_teardown(test_a_loss_says_so, end_test),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
