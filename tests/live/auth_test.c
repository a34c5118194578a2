/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in and what for, with what a refusal says: its own status, and no secret. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

static ts_server *start_with(const char *config)
{
    return ts_server_start(&(ts_server_options){ .config = config });
}

/* "nats://<credentials>@127.0.0.1:port" in one of two buffers. */
static const char *url_with(const ts_server *s, const char *credentials)
{
    static char urls[2][200];
    static unsigned turn;
    char *url = urls[turn++ % 2];

    snprintf(url, sizeof urls[0], "nats://%s%s127.0.0.1:%u", credentials, credentials[0] != '\0' ? "@" : "",
             ts_server_port(s));
    return url;
}

static nbj_client_options quick(const char *url)
{
    return (nbj_client_options){ .struct_size = sizeof(nbj_client_options),
                                 .url = url,
                                 .reconnect_first_ns = NBJ_MILLIS(10),
                                 .reconnect_max_ns = NBJ_MILLIS(50) };
}

/* -- being let in -- */

#define SECRET "p:a/s s@w%rd"

typedef struct login {
    const char *name, *in_url, *user, *password, *token;
    bool let_in;
} login;

static void try_logins(const ts_server *s, const login *logins, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nbj_client_options o = quick(url_with(s, logins[i].in_url));
        o.user = logins[i].user;
        o.password = logins[i].password;
        o.token = logins[i].token;
        if (logins[i].let_in) {
            ts_client *c = ts_client_connect(&o);
            ts_flush(c);
            ts_client_free(c);
            continue;
        }
        nbj_error e = ts_refusal(&o);
        CHECK(logins[i].name, e.status == NBJ_E_AUTH);
        CHECK(e.text, strstr(e.text, "127.0.0.1") != NULL);
        CHECK(e.text,
              strstr(e.text, "s@w") == NULL && strstr(e.text, "s%40w") == NULL && strstr(e.text, "wrong") == NULL);
    }
}

static void test_user_and_password(void **state)
{
    static const login logins[] = {
        { "options", "", "me@home", SECRET, NULL, true },
        { "URL, percent-encoded", "me%40home:p%3Aa%2Fs%20s%40w%25rd", NULL, NULL, NULL, true },
        { "URL before options", "me%40home:p%3Aa%2Fs%20s%40w%25rd", "me@home", "wrong", NULL, true },
        { "none", "", NULL, NULL, NULL, false },
        { "wrong password", "", "me@home", "wrong", NULL, false },
        { "wrong user", "", "you", SECRET, NULL, false },
        { "wrong in the URL", "me%40home:wrong", "me@home", SECRET, NULL, false },
        { "empty password", "me%40home:", NULL, NULL, NULL, false },
        { "password not decoded twice", "me%40home:p%253Aa%252Fs%2520s%2540w%2525rd", NULL, NULL, NULL, false },
        { "a token instead", "", NULL, NULL, SECRET, false },
        { "password as the URL's user", "p%3Aa%2Fs%20s%40w%25rd", NULL, NULL, NULL, false },
    };
    ts_server *s = start_with("authorization { user: \"me@home\", password: \"" SECRET "\" }");

    (void)state;
    try_logins(s, logins, sizeof logins / sizeof logins[0]);
    ts_server_free(s);
}

static void test_token(void **state)
{
    static const login logins[] = {
        { "option", "", NULL, NULL, SECRET, true },
        { "URL", "p%3Aa%2Fs%20s%40w%25rd", NULL, NULL, NULL, true },
        { "none", "", NULL, NULL, NULL, false },
        { "wrong", "", NULL, NULL, "wrong", false },
        { "wrong in the URL", "wrong", NULL, NULL, SECRET, false },
        { "user and password", "", "me", SECRET, NULL, false },
    };
    ts_server *s = start_with("authorization { token: \"" SECRET "\" }");

    (void)state;
    try_logins(s, logins, sizeof logins / sizeof logins[0]);
    ts_server_free(s);
}

/* A URL that is not legal is named, but not the password in it. */
static void test_bad_url_shows_no_secret(void **state)
{
    static const char *const bad[] = { "nats://me:hidden@", "nats://me:hidden@host:port", "http://me:hidden@host",
                                       "nats://me:hid den@host:1:2", "nats://me:hidden@[::1" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        nbj_client *none = NULL;
        nbj_error e = { 0 };
        CHECK(bad[i], nbj_loop_open(&none, NBJ_CLIENT_OPTIONS(.url = bad[i]), &e) == NBJ_E_BAD_URL);
        CHECK(bad[i], none == NULL && e.status == NBJ_E_BAD_URL && e.text[0] != '\0');
        CHECK(e.text, strstr(e.text, "hid") == NULL);
    }
}

/* -- credentials that change under us -- */

#define OLD_PASSWORD "authorization { user: me, password: old }"
#define NEW_PASSWORD "authorization { user: me, password: new }"

static void test_credentials_change_and_come_back(void **state)
{
    ts_server *s = start_with(OLD_PASSWORD);
    nbj_client_options o = quick(url_with(s, "me:old"));
    ts_client *c = ts_client_connect(&o);

    (void)state;
    ts_server_reload(s, NEW_PASSWORD);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED); /* a server that reloads closes without a word */
    ts_turn_for(300);                          /* several refusals */
    assert_string_equal(c->trail, "CD");
    ts_server_reload(s, OLD_PASSWORD);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    assert_string_equal(c->trail, "CDR");
    ts_client_free(c);
    ts_server_free(s);
}

static void test_auth_errors_are_fatal(void **state)
{
    ts_server *s = start_with(OLD_PASSWORD);
    nbj_client_options o = quick(url_with(s, "me:old"));

    (void)state;
    o.auth_errors_are_fatal = true;
    ts_client *c = ts_client_connect(&o);
    ts_server_reload(s, NEW_PASSWORD);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
    assert_int_equal(e->status, NBJ_E_AUTH);
    CHECK(e->text, strstr(e->text, "old") == NULL && strstr(e->text, "new") == NULL);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_server_free(s);
}

/* One refusal alone is not the end: a server may be on its way to new credentials. */
static void test_one_auth_error_is_not_fatal(void **state)
{
    ts_server *s = start_with(OLD_PASSWORD);
    nbj_client_options o = quick(url_with(s, "me:old"));

    (void)state;
    o.auth_errors_are_fatal = true;
    o.reconnect_first_ns = o.reconnect_max_ns = NBJ_SECONDS(2); /* until then it is mended */
    ts_client *c = ts_client_connect(&o);
    ts_server_reload(s, NEW_PASSWORD);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_server_reload(s, OLD_PASSWORD);
    nbj_client_reconnect(c->client);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    assert_string_equal(c->trail, "CDR");
    ts_client_free(c);
    ts_server_free(s);
}

/* -- permissions -- */

#define PERMISSIONS                                                                                              \
    "authorization { users: [ { user: me, password: x, permissions: {"                                           \
    " publish: { deny: [ \"no.>\" ] }, subscribe: { deny: [ \"no.>\", \"some.secret\", \"q.x workers\" ] } } }," \
    " { user: mute, password: x, permissions: { subscribe: { deny: [ \"_INBOX.>\" ] } } },"                      \
    " { user: root, password: x } ] }"

typedef struct guarded {
    ts_server *s;
    ts_client *c;
} guarded;

static guarded open_guarded(const char *credentials)
{
    guarded g = { .s = start_with(PERMISSIONS) };
    nbj_client_options o = quick(url_with(g.s, credentials));

    g.c = ts_client_connect(&o);
    return g;
}

static void close_guarded(guarded *g)
{
    ts_client_free(g->c);
    ts_server_free(g->s);
}

static void test_no_permission_to_publish(void **state)
{
    guarded g = open_guarded("me:x");
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(g.c, &got, "yes");
    ts_send(g.c, "no.way", "x");
    const nbj_error *e = ts_await(g.c, NBJ_EVENT_SERVER_ERROR);
    assert_int_equal(e->status, NBJ_E_PERMISSION_PUBLISH);
    CHECK(e->text, strstr(e->text, "no.way") != NULL);
    ts_send(g.c, "yes", "x");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(g.c->trail, "CE");
    ts_sink_free(&got);
    close_guarded(&g);
}

static void test_no_permission_to_subscribe(void **state)
{
    static const char *const denied[] = { "no.a", "no.>", "some.secret" };
    guarded g = open_guarded("me:x");
    ts_sink got = { 0 };

    (void)state;
    ts_subscribe(g.c, &got, "yes");
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        ts_sink none = { 0 };
        ts_subscribe(g.c, &none, denied[i]);
        const nbj_error *e = ts_await(g.c, NBJ_EVENT_SERVER_ERROR);
        CHECK(denied[i], e->status == NBJ_E_PERMISSION_SUBSCRIBE && strstr(e->text, denied[i]) != NULL);
        TURN_UNTIL(none.ended == 1, TS_WAIT_MS);
        CHECK(denied[i], none.why == NBJ_E_PERMISSION_SUBSCRIBE && none.count == 0);
        CHECK(denied[i], nbj_unsubscribe(none.sub, 0) == NBJ_E_STATE);
        ts_sink_free(&none);
    }
    ts_send(g.c, "yes", "x");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    nbj_client_reconnect(g.c->client); /* what ended is not asked for again */
    (void)ts_await(g.c, NBJ_EVENT_RECONNECTED);
    ts_flush(g.c);
    assert_string_equal(g.c->trail, "CEEEDR");
    ts_sink_free(&got);
    close_guarded(&g);
}

static void test_no_permission_for_a_queue_group(void **state)
{
    guarded g = open_guarded("me:x");
    ts_sink plain = { 0 }, member = { 0 };

    (void)state;
    ts_subscribe(g.c, &plain, "q.x");
    ts_flush(g.c);
    ts_subscribe_with(g.c, &member, "q.x", (nbj_sub_options){ .queue_group = "workers" });
    assert_int_equal(ts_await(g.c, NBJ_EVENT_SERVER_ERROR)->status, NBJ_E_PERMISSION_SUBSCRIBE);
    TURN_UNTIL(member.ended == 1, TS_WAIT_MS);
    assert_int_equal(member.why, NBJ_E_PERMISSION_SUBSCRIBE);
    assert_int_equal(plain.ended, 0);
    ts_send(g.c, "q.x", "0");
    TURN_UNTIL(plain.count == 1, TS_WAIT_MS);
    ts_sink_free(&plain);
    ts_sink_free(&member);
    close_guarded(&g);
}

/* Whoever may not listen on its inbox is told at once, instead of waiting for replies that cannot come. */
static void test_no_permission_on_the_inbox(void **state)
{
    guarded g = open_guarded("mute:x");
    ts_raw *r = ts_raw_dial(ts_server_port(g.s));
    ts_answer one = { 0 }, many = { 0 };
    const nbj_request_options *o = NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(60));
    nbj_time before = ts_now();

    (void)state;
    ts_raw_login(r, "\"user\":\"root\",\"pass\":\"x\"");
    ts_raw_sub(r, "service", "1");
    for (int i = 0; i < 2; i++) { /* the second time as the first */
        assert_int_equal(nbj_request_async(g.c->client, "service", nbj_str("x"), o, ts_on_reply, &one), NBJ_OK);
        assert_int_equal(nbj_request_many_async(g.c->client, "service", nbj_str("x"), o, ts_on_reply, &many), NBJ_OK);
        TURN_UNTIL(one.calls == 1 && many.calls == 1, TS_WAIT_MS);
        assert_int_equal(one.status, NBJ_E_PERMISSION_SUBSCRIBE);
        assert_int_equal(many.status, NBJ_E_PERMISSION_SUBSCRIBE);
        ts_answer_free(&one);
        ts_answer_free(&many);
    }
    CHECK("long before the deadline", ts_now() - before < NBJ_SECONDS(5));
    ts_send(g.c, "service", "still there");
    ts_flush(g.c);
    CHECK("still connected", strchr(g.c->trail, 'D') == NULL);
    ts_raw_close(r);
    close_guarded(&g);
}

static void test_no_permission_to_ask(void **state)
{
    guarded g = open_guarded("me:x");
    ts_answer one = { 0 }, many = { 0 };
    const nbj_request_options *o = NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(60));

    (void)state;
    assert_int_equal(nbj_request_async(g.c->client, "no.one", nbj_str("x"), o, ts_on_reply, &one), NBJ_OK);
    assert_int_equal(nbj_request_many_async(g.c->client, "no.many", nbj_str("x"), o, ts_on_reply, &many), NBJ_OK);
    TURN_UNTIL(one.calls == 1 && many.calls == 1, TS_WAIT_MS);
    assert_int_equal(one.status, NBJ_E_PERMISSION_PUBLISH);
    assert_int_equal(many.status, NBJ_E_PERMISSION_PUBLISH);
    assert_string_equal(g.c->trail, "CEE");
    close_guarded(&g);
}

static void never(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    (void)user;
    (void)pull;
    (void)msg;
    TS_FAIL("a message without a permission");
}

/* What JetStream does for us needs permissions too; without them it ends at once, and says why. */
static void test_no_permission_for_jetstream(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true, .config = PERMISSIONS });
    ts_raw *r = ts_raw_dial(ts_server_port(s));
    const nbj_consumer_config *config = NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "d");
    nbj_client_options o = quick(url_with(s, "me:x"));
    nbj_pull *pull;
    ts_published no = { 0 }, yes = { 0 };

    (void)state;
    ts_raw_login(r, "\"user\":\"root\",\"pass\":\"x\"");
    const char *made =
        ts_raw_request(r, "$JS.API.STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"no.s\",\"yes.s\"]}", TS_RAW_MS);
    CHECK(made, strstr(made, "\"error\"") == NULL);
    ts_client *c = ts_client_connect(&o);
    assert_int_equal(nbj_publish_async(c->client, "no.s", nbj_str("x"), NULL, ts_on_published, &no), NBJ_OK);
    assert_int_equal(nbj_publish_async(c->client, "yes.s", nbj_str("x"), NULL, ts_on_published, &yes), NBJ_OK);
    TURN_UNTIL(no.calls == 1 && yes.calls == 1, TS_WAIT_MS);
    CHECK("refused", no.outcome == NBJ_REJECTED && no.error.status == NBJ_E_PERMISSION_PUBLISH);
    CHECK("stored", yes.outcome == NBJ_STORED && yes.sequence == 1);
    ts_client_free(c);

    o.url = url_with(s, "mute:x");
    c = ts_client_connect(&o);
    assert_int_equal(nbj_pull_start(c->client, config, never, NULL, &pull), NBJ_OK);
    TURN_UNTIL(nbj_pull_state_of(pull) == NBJ_PULL_GONE, TS_WAIT_MS);
    nbj_pull_release(pull);
    no = (ts_published){ 0 };
    assert_int_equal(nbj_publish_async(c->client, "yes.s", nbj_str("x"), NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(300)),
                                       ts_on_published, &no),
                     NBJ_OK);
    TURN_UNTIL(no.calls == 1, TS_WAIT_MS);
    CHECK("its acknowledgement cannot come", no.outcome == NBJ_UNKNOWN);
    ts_client_free(c);
    ts_raw_close(r);
    ts_server_free(s);
}

/* -- limits of a server -- */

static void test_max_connections(void **state)
{
    ts_server *s = start_with("max_connections: 2");
    nbj_client_options o = quick(ts_server_url(s));
    ts_client *in[2];

    (void)state;
    o.retry_first_connect = true; /* whoever looked whether the server is up may still be counted */
    for (int i = 0; i < 2; i++)
        in[i] = ts_client_connect(&o);
    o.retry_first_connect = false;
    nbj_error e = ts_refusal(&o);
    assert_int_equal(e.status, NBJ_E_MAX_CONNECTIONS);
    o.retry_first_connect = true;
    ts_client *c = ts_client_open(&o);
    ts_turn_for(100);
    assert_string_equal(c->trail, "");
    ts_client_free(in[0]);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    ts_client_free(in[1]);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_max_subscriptions(void **state)
{
    ts_server *s = start_with("max_subscriptions: 2");
    ts_client *c = ts_client_at(ts_server_url(s));
    ts_sink sub[3] = { 0 };

    (void)state;
    for (int i = 0; i < 3; i++)
        ts_subscribe(c, &sub[i], "s");
    assert_int_equal(ts_await(c, NBJ_EVENT_SERVER_ERROR)->status, NBJ_E_MAX_SUBSCRIPTIONS);
    ts_send(c, "s", "0");
    ts_flush(c);
    assert_int_equal(sub[0].count + sub[1].count + sub[2].count, 2);
    assert_string_equal(c->trail, "CE");
    for (int i = 0; i < 3; i++)
        ts_sink_free(&sub[i]);
    ts_client_free(c);
    ts_server_free(s);
}

/* A server whose patience ends before our credentials have come. */
static void test_auth_timeout(void **state)
{
    ts_server *s = start_with("authorization { user: me, password: x, timeout: 0.2 }");
    ts_proxy *p = ts_proxy_start(ts_server_port(s));
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://me:x@127.0.0.1:%u", ts_proxy_port(p));
    ts_proxy_stall(p, TS_TO_SERVER, true);
    nbj_client_options o = quick(url);
    nbj_error e = ts_refusal(&o);
    assert_int_equal(e.status, NBJ_E_AUTH_TIMEOUT);
    ts_proxy_stall(p, TS_TO_SERVER, false);
    ts_client *c = ts_client_connect(&o);
    ts_client_free(c);
    ts_proxy_free(p);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_user_and_password, end_test),
        cmocka_unit_test_teardown(test_token, end_test),
        cmocka_unit_test_teardown(test_bad_url_shows_no_secret, end_test),
        cmocka_unit_test_teardown(test_credentials_change_and_come_back, end_test),
        cmocka_unit_test_teardown(test_auth_errors_are_fatal, end_test),
        cmocka_unit_test_teardown(test_one_auth_error_is_not_fatal, end_test),
        cmocka_unit_test_teardown(test_no_permission_to_publish, end_test),
        cmocka_unit_test_teardown(test_no_permission_to_subscribe, end_test),
        cmocka_unit_test_teardown(test_no_permission_for_a_queue_group, end_test),
        cmocka_unit_test_teardown(test_no_permission_on_the_inbox, end_test),
        cmocka_unit_test_teardown(test_no_permission_to_ask, end_test),
        cmocka_unit_test_teardown(test_no_permission_for_jetstream, end_test),
        cmocka_unit_test_teardown(test_max_connections, end_test),
        cmocka_unit_test_teardown(test_max_subscriptions, end_test),
        cmocka_unit_test_teardown(test_auth_timeout, end_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
