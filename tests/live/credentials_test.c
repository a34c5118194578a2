/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are, in every form that servers take: from options, files that change, and a callback; and what is said, and
 * not said, when it is wrong. */
#define _GNU_SOURCE

#include "jwt.h"
#include "loop_client.h"
#include "server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static ts_authority authority;
static ts_nkey user;
static char jwt[TS_JWT_MAX];
static char dir[64], path[128];

static int begin(void **state)
{
    (void)state;
    authority = ts_authority_new();
    user = ts_nkey_new('U');
    ts_user_jwt(&authority, &user, NULL, jwt);
    snprintf(dir, sizeof dir, "/tmp/nbj-credentials-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/me.creds", dir);
    return 0;
}

static int end(void **state)
{
    (void)state;
    ts_clients_free();
    (void)remove(path);
    return rmdir(dir);
}

static ts_server *start_with(const char *config)
{
    return ts_server_start(&(ts_server_options){ .config = config });
}

static ts_server *start_trusting(void)
{
    return start_with(ts_authority_config(&authority));
}

static nbj_client_options quick(const ts_server *s)
{
    return (nbj_client_options){ .struct_size = sizeof(nbj_client_options),
                                 .url = ts_server_url(s),
                                 .reconnect_first_ns = NBJ_MILLIS(10),
                                 .reconnect_max_ns = NBJ_MILLIS(50) };
}

static void new_user(const ts_user_claims *claims)
{
    user = ts_nkey_new('U');
    ts_user_jwt(&authority, &user, claims, jwt);
}

/* No text of an error may hold a part of what lets somebody in. */
static void check_no_secret(const nbj_error *e)
{
    const char *const secrets[] = { user.seed, jwt, "s3cret" };

    for (size_t i = 0; i < COUNT(secrets); i++) {
        size_t len = strlen(secrets[i]);
        for (size_t at = 0; at + 6 <= len; at++)
            CHECK(e->text, memmem(e->text, sizeof e->text, secrets[i] + at, 6) == NULL);
    }
    for (size_t i = strlen(e->text); i < sizeof e->text; i++) /* nor anything else that the stack held */
        CHECK(e->text, e->text[i] == '\0');
}

static void check_let_in(const nbj_client_options *o)
{
    ts_client *c = ts_client_connect(o);
    ts_sink got = { 0 };

    ts_subscribe(c, &got, "s");
    ts_send(c, "s", "0");
    ts_flush(c);
    assert_int_equal(got.count, 1);
    assert_string_equal(c->trail, "C");
    ts_sink_free(&got);
    ts_client_free(c);
}

static void check_refused(const nbj_client_options *o, nbj_status want, const char *word)
{
    nbj_error e = ts_refusal(o);

    CHECK(e.text, e.status == want && strstr(e.text, word) != NULL);
    check_no_secret(&e);
}

/* -- each form, right and wrong -- */

static void test_user_and_password(void **state)
{
    ts_server *s = start_with("authorization { user: me, password: s3cret }");
    nbj_client_options o = quick(s);

    (void)state;
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    o.user = "me";
    o.password = "s3cret";
    check_let_in(&o);
    o.password = "s3cret.";
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_server_free(s);
}

static void test_token(void **state)
{
    ts_server *s = start_with("authorization { token: s3cret }");
    nbj_client_options o = quick(s);

    (void)state;
    o.token = "s3cret";
    check_let_in(&o);
    o.token = "s3cret.";
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_server_free(s);
}

static void test_nkey_seed_file(void **state)
{
    char config[128], text[128];

    (void)state;
    snprintf(config, sizeof config, "authorization { users: [ { nkey: %s } ] }", user.public_key);
    ts_server *s = start_with(config);
    nbj_client_options o = quick(s);
    o.nkey_seed_file = path;
    ts_write_text(path, user.seed);
    check_let_in(&o);
    snprintf(text, sizeof text, "# me\r\n\r\n%s\r\n", user.seed);
    ts_write_text(path, text);
    check_let_in(&o);
    new_user(NULL);
    ts_write_text(path, user.seed);
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_write_text(path, user.public_key);
    check_refused(&o, NBJ_E_CREDENTIALS, path);
    user = ts_nkey_new('A');
    ts_write_text(path, user.seed);
    check_refused(&o, NBJ_E_CREDENTIALS, "account");
    ts_server_free(s);
}

static void test_credentials_file(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);
    ts_authority stranger = ts_authority_new();
    ts_nkey other = ts_nkey_new('U');

    (void)state;
    o.credentials_file = path;
    ts_write_creds(path, jwt, user.seed);
    check_let_in(&o);
    ts_write_creds(path, jwt, other.seed);
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_user_jwt(&stranger, &user, NULL, jwt);
    ts_write_creds(path, jwt, user.seed);
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_user_jwt(&authority, &user, &(ts_user_claims){ .lifetime_s = -60 }, jwt);
    ts_write_creds(path, jwt, user.seed);
    nbj_error e = ts_refusal(&o);
    CHECK(e.text, e.status == NBJ_E_AUTH || e.status == NBJ_E_AUTH_EXPIRED);
    check_no_secret(&e);
    ts_server_free(s);
}

static void test_bearer(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    ts_write_creds(path, jwt, NULL);
    check_refused(&o, NBJ_E_CREDENTIALS, "no seed"); /* not sent to a server that would refuse it */
    new_user(&(ts_user_claims){ .bearer = true });
    ts_write_creds(path, jwt, NULL);
    check_let_in(&o);
    ts_write_text(path, jwt);
    check_let_in(&o);
    ts_server_free(s);
}

/* A server that asks nobody who he is gets along with those who say it. */
static void test_nobody_asks(void **state)
{
    ts_server *s = start_with("");
    nbj_client_options o = quick(s);

    (void)state;
    ts_write_creds(path, jwt, user.seed);
    o.credentials_file = path;
    check_let_in(&o);
    o.credentials_file = NULL;
    o.nkey_seed_file = path;
    check_let_in(&o);
    ts_server_free(s);
}

static void test_wrong_files(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    check_refused(&o, NBJ_E_CREDENTIALS, path);
    o.credentials_file = dir;
    check_refused(&o, NBJ_E_CREDENTIALS, "directory");
    o.credentials_file = user.seed; /* not the name of a file */
    check_refused(&o, NBJ_E_CREDENTIALS, "name of a file");
    ts_server_free(s);
}

/* -- files that change -- */

/* Reconnects |c|, whose credentials are to fail for |word|. */
static void reconnect_in_vain(ts_client *c, const char *word)
{
    nbj_client_reconnect(c->client);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_ATTEMPT_FAILED);
    CHECK(e->text, e->status == NBJ_E_CREDENTIALS && strstr(e->text, path) != NULL && strstr(e->text, word) != NULL);
    check_no_secret(e);
}

static void write_half(size_t len)
{
    char text[4096] = "";

    ts_write_creds(path, jwt, user.seed);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > len);
    assert_int_equal(fclose(f), 0);
    text[len] = '\0';
    ts_write_text(path, text);
}

static void test_broken_at_reconnect(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);
    ts_sink got = { 0 };

    (void)state;
    o.credentials_file = path;
    o.auth_errors_are_fatal = true; /* which these are not: the server was never asked */
    ts_write_creds(path, jwt, user.seed);
    ts_client *c = ts_client_connect(&o);
    ts_subscribe(c, &got, "s");
    for (int i = 0; i < 4; i++) {
        static const char *const words[] = { "no such file", "empty", "half-written", "no seed" };
        if (i == 0)
            assert_int_equal(remove(path), 0);
        else
            write_half(i == 1 ? 0 : i == 2 ? strlen(jwt) : strlen(jwt) + 80);
        reconnect_in_vain(c, words[i]);
        (void)ts_await(c, NBJ_EVENT_ATTEMPT_FAILED); /* and again */
        ts_write_creds(path, jwt, user.seed);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        ts_send(c, "s", "x");
        TURN_UNTIL(got.count == (size_t)i + 1, TS_WAIT_MS);
    }
    ts_sink_free(&got);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_missing_at_first(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    o.retry_first_connect = true;
    ts_client *c = ts_client_open(&o);
    CHECK("the file's name", strstr(ts_await(c, NBJ_EVENT_ATTEMPT_FAILED)->text, path) != NULL);
    (void)ts_await(c, NBJ_EVENT_ATTEMPT_FAILED);
    ts_write_creds(path, jwt, user.seed);
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    ts_client_free(c);
    ts_server_free(s);
}

/* The account revokes the user that we are; the file has another one by then. */
static void test_rotation_and_revocation(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);
    ts_nkey former = user;
    ts_sink got = { 0 };

    (void)state;
    o.credentials_file = path;
    o.auth_errors_are_fatal = true;
    ts_write_creds(path, jwt, user.seed);
    ts_client *c = ts_client_connect(&o);
    ts_subscribe(c, &got, "s");
    ts_flush(c);
    new_user(NULL);
    ts_write_creds(path, jwt, user.seed);
    ts_authority_revoke(&authority, former.public_key);
    ts_server_reload(s, ts_authority_config(&authority));
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_send(c, "s", "x");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(c->trail, "CDR");
    ts_sink_free(&got);
    ts_client_free(c);
    ts_server_free(s);
}

static void test_revoked_for_good(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    o.auth_errors_are_fatal = true;
    ts_write_creds(path, jwt, user.seed);
    ts_client *c = ts_client_connect(&o);
    ts_authority_revoke(&authority, user.public_key);
    ts_server_reload(s, ts_authority_config(&authority));
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
    CHECK(e->text, e->status == NBJ_E_AUTH || e->status == NBJ_E_AUTH_REVOKED);
    check_no_secret(e);
    assert_string_equal(c->trail, "CDX");
    ts_client_free(c);
    ts_server_free(s);
}

/* -- expiry -- */

static void write_for(int seconds)
{
    ts_user_jwt(&authority, &user, &(ts_user_claims){ .lifetime_s = seconds }, jwt);
    ts_write_creds(path, jwt, user.seed);
}

static void test_expiry(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);
    ts_sink got = { 0 };

    (void)state;
    o.credentials_file = path;
    write_for(2);
    ts_client *c = ts_client_connect(&o);
    ts_subscribe(c, &got, "s");
    ts_flush(c);
    write_for(60);
    const nbj_error *e = ts_await(c, NBJ_EVENT_DISCONNECTED);
    assert_int_equal(e->status, NBJ_E_AUTH_EXPIRED);
    check_no_secret(e);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_send(c, "s", "x");
    TURN_UNTIL(got.count == 1, TS_WAIT_MS);
    assert_string_equal(c->trail, "CDR"); /* one event */
    ts_sink_free(&got);
    ts_client_free(c);
    ts_server_free(s);
}

/* Credentials that live for a moment, renewed each time: no two refusals in a row. */
static void test_expiry_again_and_again(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    o.auth_errors_are_fatal = true;
    write_for(2);
    ts_client *c = ts_client_connect(&o);
    write_for(4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ts_await(c, NBJ_EVENT_DISCONNECTED)->status, NBJ_E_AUTH_EXPIRED);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
        write_for(60);
    }
    assert_string_equal(c->trail, "CDRDR");
    ts_client_free(c);
    ts_server_free(s);
}

static void test_expiry_renewed_late(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);

    (void)state;
    o.credentials_file = path;
    write_for(2);
    ts_client *c = ts_client_connect(&o);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    ts_turn_for(1200); /* until the second is over, a server lets us in and out */
    size_t events = c->events;
    CHECK(c->trail, c->trail[events - 1] == 'D');
    ts_turn_for(200); /* several refusals */
    assert_int_equal(c->events, events);
    write_for(60);
    c->seen = c->events;
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_client_free(c);

    o.auth_errors_are_fatal = true;
    write_for(2);
    c = ts_client_connect(&o);
    (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
    const nbj_error *e = ts_await(c, NBJ_EVENT_CLOSED);
    CHECK(e->text, e->status == NBJ_E_AUTH || e->status == NBJ_E_AUTH_EXPIRED);
    check_no_secret(e);
    ts_client_free(c);
    ts_server_free(s);
}

/* -- a callback -- */

/* What the callback was asked, and what it is to say. */
static struct {
    unsigned times, same_nonces;
    size_t nonce_len;
    char nonce[64];
    const char *user, *password, *token, *jwt, *nkey_seed;
    nbj_status status;
    void (*on_call)(void);
} asked;

static ts_client *client;

static void fill(char *field, size_t size, const char *text)
{
    if (text != NULL)
        assert_true((size_t)snprintf(field, size, "%s", text) < size);
}

static nbj_status on_credentials(void *user_data, nbj_bytes nonce, nbj_credentials *out)
{
    static const nbj_credentials empty;

    (void)user_data;
    assert_memory_equal(out, &empty, sizeof empty);
    assert_true(nonce.len < sizeof asked.nonce);
    asked.times++;
    asked.same_nonces += nonce.len > 0 && nbj_bytes_equal(nonce, nbj_view(asked.nonce, asked.nonce_len));
    asked.nonce_len = nonce.len;
    if (nonce.len > 0)
        memcpy(asked.nonce, nonce.ptr, nonce.len);
    if (asked.on_call != NULL)
        asked.on_call();
    fill(out->user, sizeof out->user, asked.user);
    fill(out->password, sizeof out->password, asked.password);
    fill(out->token, sizeof out->token, asked.token);
    fill(out->jwt, sizeof out->jwt, asked.jwt);
    fill(out->nkey_seed, sizeof out->nkey_seed, asked.nkey_seed);
    return asked.status;
}

static nbj_client_options asking(const ts_server *s)
{
    nbj_client_options o = quick(s);

    memset(&asked, 0, sizeof asked);
    o.on_credentials = on_credentials;
    return o;
}

static void test_callback_with_a_password(void **state)
{
    ts_server *s = start_with("authorization { user: me, password: s3cret }");
    nbj_client_options o = asking(s);

    (void)state;
    asked.user = "me";
    asked.password = "s3cret";
    check_let_in(&o);
    CHECK("once, with nothing to sign", asked.times == 1 && asked.nonce_len == 0);
    asked.password = "s3cret.";
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    asked.user = asked.password = NULL;
    o.user = "me";
    o.password = "s3cret";
    check_let_in(&o); /* no answer: what the options say */
    ts_server_free(s);
}

static void test_callback_with_a_token(void **state)
{
    ts_server *s = start_with("authorization { token: s3cret }");
    nbj_client_options o = asking(s);

    (void)state;
    asked.token = "s3cret";
    check_let_in(&o);
    asked.token = "s3cret.";
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_server_free(s);
}

static void test_callback_with_a_jwt(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = asking(s);

    (void)state;
    asked.jwt = jwt;
    asked.nkey_seed = user.seed;
    check_let_in(&o);
    CHECK("something to sign", asked.nonce_len > 0);
    asked.nkey_seed = user.public_key;
    check_refused(&o, NBJ_E_CREDENTIALS, "public key");
    asked.nkey_seed = NULL;
    check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
    ts_server_free(s);
}

/* Whoever keeps the key elsewhere signs with it there. */
static nbj_status sign_elsewhere(void *user_data, nbj_bytes nonce, nbj_credentials *out)
{
    (void)user_data;
    fill(out->nkey, sizeof out->nkey, user.public_key);
    ts_nkey_sign(&user, nonce.ptr, nonce.len, out->signature);
    return NBJ_OK;
}

static nbj_status give_the_seed(void *user_data, nbj_bytes nonce, nbj_credentials *out)
{
    (void)user_data;
    (void)nonce;
    fill(out->nkey_seed, sizeof out->nkey_seed, user.seed);
    return NBJ_OK;
}

static void test_callback_with_an_nkey(void **state)
{
    nbj_credentials_fn *const fns[] = { sign_elsewhere, give_the_seed };
    char config[128];

    (void)state;
    for (size_t i = 0; i < COUNT(fns); i++) {
        snprintf(config, sizeof config, "authorization { users: [ { nkey: %s } ] }", user.public_key);
        ts_server *s = start_with(config);
        nbj_client_options o = quick(s);
        o.on_credentials = fns[i];
        check_let_in(&o);
        new_user(NULL);
        check_refused(&o, NBJ_E_AUTH, "127.0.0.1");
        ts_server_free(s);
    }
}

static void test_callback_at_each_connect(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = asking(s);

    (void)state;
    asked.jwt = jwt;
    asked.nkey_seed = user.seed;
    ts_client *c = ts_client_connect(&o);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(asked.times, i);
        new_user(NULL); /* in the same arrays */
        nbj_client_reconnect(c->client);
        (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    }
    assert_int_equal(asked.same_nonces, 0);
    asked.status = NBJ_E_NOT_FOUND;
    nbj_client_reconnect(c->client);
    const nbj_error *e = ts_await(c, NBJ_EVENT_ATTEMPT_FAILED);
    CHECK(e->text, e->status == NBJ_E_NOT_FOUND && strstr(e->text, "on_credentials") != NULL);
    asked.status = NBJ_OK;
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_client_free(c);
    ts_server_free(s);
}

static void close_client(void)
{
    nbj_client_close(client->client);
}

static void reconnect_client(void)
{
    if (asked.times < 3)
        nbj_client_reconnect(client->client);
}

static void test_callback_that_calls(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = asking(s);

    (void)state;
    asked.jwt = jwt;
    asked.nkey_seed = user.seed;
    asked.on_call = close_client;
    for (int i = 0; i < 2; i++) {
        client = ts_client_open(&o);
        assert_int_equal(ts_await(client, NBJ_EVENT_CLOSED)->status, NBJ_OK);
        assert_string_equal(client->trail, "X");
        ts_client_free(client);
        asked.status = NBJ_E_NOT_FOUND; /* the same, and then it says no */
    }
    asked.status = NBJ_OK;
    asked.on_call = reconnect_client;
    client = ts_client_open(&o);
    (void)ts_await(client, NBJ_EVENT_CONNECTED);
    ts_flush(client);
    ts_client_free(client);
    ts_server_free(s);
}

/* -- with threads -- */

static void check_works(nbj_client *c)
{
    uint64_t ns;

    assert_int_equal(nbj_rtt(c, NBJ_SECONDS(5), &ns), NBJ_OK);
}

static void test_threads_and_files(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = quick(s);
    nbj_client *c;
    nbj_error error = { 0 };

    (void)state;
    o.credentials_file = path;
    assert_int_equal(nbj_client_open(&c, &o, &error), NBJ_E_CREDENTIALS);
    CHECK(error.text, strstr(error.text, path) != NULL);
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(nbj_client_open(&c, &o, &error), NBJ_OK);
    check_works(c);
    nbj_client_release(c);
    ts_server_free(s);
}

static pthread_t asked_by;

static void note_thread(void)
{
    asked_by = pthread_self();
}

static void test_threads_and_a_callback(void **state)
{
    ts_server *s = start_trusting();
    nbj_client_options o = asking(s);
    nbj_client *c;
    nbj_error error = { 0 };

    (void)state;
    asked.jwt = jwt;
    asked.nkey_seed = user.seed;
    asked.on_call = note_thread;
    assert_int_equal(nbj_client_open(&c, &o, &error), NBJ_OK);
    check_works(c);
    CHECK("on a thread of its own", !pthread_equal(asked_by, pthread_self()));
    nbj_client_release(c);
    asked.status = NBJ_E_NOT_FOUND;
    assert_int_equal(nbj_client_open(&c, &o, &error), NBJ_E_NOT_FOUND);
    CHECK(error.text, strstr(error.text, "on_credentials") != NULL);
    asked.status = NBJ_OK;
    asked.jwt = NULL;
    assert_int_equal(nbj_client_open(&c, &o, &error), NBJ_E_AUTH);
    check_no_secret(&error);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_user_and_password, begin, end),
        cmocka_unit_test_setup_teardown(test_token, begin, end),
        cmocka_unit_test_setup_teardown(test_nkey_seed_file, begin, end),
        cmocka_unit_test_setup_teardown(test_credentials_file, begin, end),
        cmocka_unit_test_setup_teardown(test_bearer, begin, end),
        cmocka_unit_test_setup_teardown(test_nobody_asks, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_files, begin, end),
        cmocka_unit_test_setup_teardown(test_broken_at_reconnect, begin, end),
        cmocka_unit_test_setup_teardown(test_missing_at_first, begin, end),
        cmocka_unit_test_setup_teardown(test_rotation_and_revocation, begin, end),
        cmocka_unit_test_setup_teardown(test_revoked_for_good, begin, end),
        cmocka_unit_test_setup_teardown(test_expiry, begin, end),
        cmocka_unit_test_setup_teardown(test_expiry_again_and_again, begin, end),
        cmocka_unit_test_setup_teardown(test_expiry_renewed_late, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_with_a_password, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_with_a_token, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_with_a_jwt, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_with_an_nkey, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_at_each_connect, begin, end),
        cmocka_unit_test_setup_teardown(test_callback_that_calls, begin, end),
        cmocka_unit_test_setup_teardown(test_threads_and_files, begin, end),
        cmocka_unit_test_setup_teardown(test_threads_and_a_callback, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
