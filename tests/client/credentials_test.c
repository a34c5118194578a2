/* SPDX-License-Identifier: Apache-2.0 */
/* A client that is asked who it is and lacks the answer, or the memory for it; a release within the question. The answers
 * themselves are judged by servers, in tests/live/credentials_test.c. */
#define _GNU_SOURCE
#include "client/fixture.h"
#include "support/jwt.h"

#include <stdlib.h>
#include <unistd.h>

#define NONCE "c0LFQ5uhMpQ9wKo"
#define INFO_WITH(nonce) "INFO {\"headers\":true,\"max_payload\":1000,\"nonce\":\"" nonce "\"}\r\n"

static served s;
static char dir[64], path[128];
static ts_nkey user;
static unsigned asked;
static void (*on_asked)(void);

static int begin(void **state)
{
    (void)state;
    user = ts_nkey_new('U');
    snprintf(dir, sizeof dir, "/tmp/nbj-credentials-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/seed", dir);
    asked = 0;
    on_asked = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(dir);
}

static nbj_status answer(void *data, nbj_bytes nonce, nbj_credentials *out)
{
    assert_ptr_equal(data, &s);
    assert_true(nonce.len == 0 || nbj_bytes_equal(nonce, nbj_str(NONCE)));
    asked++;
    if (on_asked != NULL)
        on_asked();
    memcpy(out->nkey_seed, user.seed, sizeof user.seed);
    return NBJ_OK;
}

/* CONNECT shows exactly this member, or none of that name where |text| is NULL. */
static void check_shown(const char *name, const char *text)
{
    char member[512];

    snprintf(member, sizeof member, text != NULL ? "\"%s\":\"%s\"" : "\"%s\":", name, text);
    CHECK(s.server.mini.connect, (strstr(s.server.mini.connect, member) != NULL) == (text != NULL));
}

static nbj_client_options from_file(void)
{
    return *NBJ_CLIENT_OPTIONS(.nkey_seed_file = path, .retry_first_connect = true);
}

static nbj_client_options from_callback(void)
{
    return *NBJ_CLIENT_OPTIONS(.on_credentials = answer, .retry_first_connect = true);
}

static void test_file_comes_late(void **state)
{
    nbj_client_options o = from_file();

    (void)state;
    served_open(&s, &o);
    TURN_UNTIL(&s, strcmp(s.trail, "AA") == 0);
    assert_int_equal(s.error.status, NBJ_E_CREDENTIALS);
    assert_non_null(strstr(s.error.text, path));
    ts_write_text(path, user.seed);
    TURN_UNTIL(&s, strchr(s.trail, 'C') != NULL);
    served_end(&s);
}

/* -- what is shown -- */

static nbj_credentials given;
static nbj_status said;

static nbj_status give(void *data, nbj_bytes nonce, nbj_credentials *out)
{
    (void)data;
    (void)nonce;
    *out = given;
    return said;
}

static nbj_client_options giving(void)
{
    memset(&given, 0, sizeof given);
    said = NBJ_OK;
    return *NBJ_CLIENT_OPTIONS(.on_credentials = give, .user = "option", .password = "option");
}

static void connect_to_asking(const nbj_client_options *o)
{
    served_open(&s, o);
    s.server.mini.info = INFO_WITH(NONCE);
    TURN_UNTIL(&s, served_ends_with(&s, "C"));
}

static void test_what_is_shown(void **state)
{
    nbj_client_options o = giving();
    char signature[87];

    (void)state;
    connect_to_asking(&o); /* nothing was said */
    check_shown("user", "option");
    check_shown("pass", "option");
    check_shown("sig", NULL);
    served_end(&s);

    strcpy(given.user, "me");
    strcpy(given.jwt, "a.b.c");
    strcpy(given.signature, "mine");
    connect_to_asking(&o);
    check_shown("user", "me");
    check_shown("pass", NULL);
    check_shown("jwt", "a.b.c");
    check_shown("nkey", NULL);
    check_shown("sig", "mine");
    served_end(&s);

    memcpy(given.nkey_seed, user.seed, sizeof user.seed);
    ts_nkey_sign(&user, NONCE, strlen(NONCE), signature);
    connect_to_asking(&o);
    check_shown("nkey", NULL); /* the JWT has it */
    check_shown("sig", signature);
    served_end(&s);

    given.jwt[0] = '\0';
    connect_to_asking(&o);
    check_shown("nkey", user.public_key);
    check_shown("sig", signature);
    served_end(&s);
}

/* Fields without a NUL at their end are as long as they can be. */
static void test_full_fields(void **state)
{
    nbj_client_options o = giving();
    char longest[sizeof given.user + 1] = "";

    (void)state;
    memset(given.user, 'u', sizeof given.user);
    memset(longest, 'u', sizeof given.user);
    connect_to_asking(&o);
    check_shown("user", longest);
    check_shown("pass", NULL);
    served_end(&s);
}

static nbj_error refusal(const nbj_client_options *o)
{
    served_open(&s, o);
    s.server.mini.info = INFO_WITH(NONCE);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_string_equal(s.trail, "X");
    nbj_error e = s.error;
    served_end(&s);
    return e;
}

static void test_refusals(void **state)
{
    static const struct {
        nbj_status said, want;
        const char *seed, *why;
    } cases[] = {
        { NBJ_E_NOT_FOUND, NBJ_E_NOT_FOUND, "", "not found" },
        { NBJ_MORE, NBJ_E_CREDENTIALS, "", "credentials could not" },
        { NBJ_OK, NBJ_E_CREDENTIALS, "hidden", "begins with S" },
        { NBJ_OK, NBJ_E_CREDENTIALS, "SAAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YHY3Q", "account's" },
    };
    nbj_client_options o = giving();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        said = cases[i].said;
        snprintf(given.nkey_seed, sizeof given.nkey_seed, "%s", cases[i].seed);
        nbj_error e = refusal(&o);
        CHECK(e.text, e.status == cases[i].want && strstr(e.text, cases[i].why) != NULL);
        CHECK(e.text, strstr(e.text, "on_credentials") != NULL && strstr(e.text, "hid") == NULL);
    }
}

static void test_one_source_only(void **state)
{
    const nbj_client_options wrong[] = {
        { .credentials_file = "a", .nkey_seed_file = "b" },
        { .credentials_file = "a", .on_credentials = give },
        { .nkey_seed_file = "b", .on_credentials = give },
        { .credentials_file = "a", .nkey_seed_file = "b", .on_credentials = give },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        nbj_client_options o = wrong[i];
        nbj_client *c;
        nbj_error e = { 0 };
        o.struct_size = sizeof o;
        assert_int_equal(nbj_loop_open(&c, &o, &e), NBJ_E_INVALID);
        assert_null(c);
        assert_non_null(strstr(e.text, "credentials_file"));
    }
}

/* -- memory -- */

static bool seen;

static void *get(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *get_again(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    seen = seen || memmem(ptr, old_size, "s3cret", 6) != NULL;
    return realloc(ptr, new_size);
}

static void look_and_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    seen = seen || memmem(ptr, size, "s3cret", 6) != NULL;
    free(ptr);
}

/* Nothing of what was given is left in memory that the client gives back, sent or not. */
static void test_answers_are_wiped(void **state)
{
    const nbj_allocator watched = { get, get_again, look_and_free, NULL };
    nbj_client_options o = giving();

    (void)state;
    strcpy(given.password, "s3cret");
    strcpy(given.jwt, "s3cret");
    for (int i = 0; i < 2; i++) {
        served_open(&s, &o);
        nbj_client_release(s.client);
        o.url = s.server.url;
        o.alloc = &watched;
        o.on_event = served_on_event;
        o.user_data = &s;
        seen = false;
        assert_int_equal(nbj_loop_open(&s.client, &o, NULL), NBJ_OK);
        TURN_UNTIL(&s, served_ends_with(&s, i == 0 ? "C" : "X"));
        served_end(&s);
        assert_false(seen);
        said = NBJ_E_NOT_FOUND;
    }
}

static nbj_status open_once(const nbj_allocator *alloc, void *options)
{
    nbj_client_options o = *(nbj_client_options *)options;
    nbj_client *c;
    nbj_error error = { 0 };

    o.alloc = alloc;
    nbj_status st = nbj_loop_open(&c, &o, &error);
    assert_int_equal(error.status, st);
    nbj_client_release(c);
    return st;
}

static void test_opening_without_memory(void **state)
{
    nbj_client_options file = from_file(), callback = from_callback();
    nbj_client_options plain = *NBJ_CLIENT_OPTIONS(.url = NULL);

    (void)state;
    size_t needed = alloc_sweep(open_once, &plain);
    assert_int_equal(alloc_sweep(open_once, &file), needed + 1);
    assert_int_equal(alloc_sweep(open_once, &callback), needed + 1);
}

/* Whichever allocation of a connection fails, once: it comes to be all the same, and what failed was said. */
static void connect_without_memory(const nbj_client_options *o)
{
    for (size_t n = 0;; n++) {
        served_open(&s, o);
        s.server.mini.info = INFO_WITH(NONCE);
        s.mem.fail_at = s.mem.calls + n;
        TURN_UNTIL(&s, strpbrk(s.trail, "CR") != NULL);
        bool last = s.mem.failed == 0;
        if (strchr(s.trail, 'A') != NULL)
            assert_string_equal(s.trail, "AC");
        served_end(&s);
        if (last)
            break;
        assert_true(n < 100);
    }
}

static void test_connecting_without_memory(void **state)
{
    nbj_client_options file = from_file(), callback = from_callback();

    (void)state;
    ts_write_text(path, user.seed);
    connect_without_memory(&file);
    connect_without_memory(&callback);
    assert_true(asked > 3);
}

static void release_now(void)
{
    nbj_client_release(s.client);
    s.client = NULL;
}

static void close_now(void)
{
    nbj_client_close(s.client);
}

static void test_ending_while_asked(void **state)
{
    nbj_client_options o = from_callback();

    (void)state;
    on_asked = release_now;
    served_open(&s, &o);
    TURN_UNTIL(&s, asked == 1);
    assert_string_equal(s.trail, "");
    assert_null(s.client);
    served_end(&s);

    on_asked = close_now;
    served_open(&s, &o);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_string_equal(s.trail, "X");
    assert_int_equal(asked, 2);
    served_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_comes_late, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_shown, begin, end),
        cmocka_unit_test_setup_teardown(test_full_fields, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test(test_one_source_only),
        cmocka_unit_test_setup_teardown(test_answers_are_wiped, begin, end),
        cmocka_unit_test_setup_teardown(test_opening_without_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_connecting_without_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_ending_while_asked, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
