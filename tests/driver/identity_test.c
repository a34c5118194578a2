/* SPDX-License-Identifier: Apache-2.0 */
/* What a server's nonce is answered with: driver/identity.h. The files are made by tests/support/jwt.h, the signatures
 * compared with its own; and no secret may be found in memory that was given back, nor on a stack. */
#define _GNU_SOURCE
#include "driver/identity.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/check.h"
#include "support/jwt.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NONCE "c0LFQ5uhMpQ9wKo"
#define STACK_SIZE ((size_t)256 * 1024)

static ts_authority authority;
static ts_nkey user;
static char jwt[TS_JWT_MAX];
static char dir[64], path[128];
static nbj__identity id;
static nbj_error error;

static int begin(void **state)
{
    (void)state;
    authority = ts_authority_new();
    user = ts_nkey_new('U');
    ts_user_jwt(&authority, &user, NULL, jwt);
    snprintf(dir, sizeof dir, "/tmp/nbj-identity-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/me", dir);
    error = (nbj_error){ 0 };
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(dir);
}

static nbj_status answer_from(const char *credentials_file, const char *seed_file, const char *nonce)
{
    return nbj__identity_answer(&(nbj__identity_config){ NULL, credentials_file, seed_file }, nbj_str(nonce), &id,
                                &error);
}

/* The answer is |want_jwt|, |want_nkey| (empty: none) and, if |is_signed|, the user's signature of NONCE. */
static void check_answer(const char *want_jwt, const char *want_nkey, bool is_signed)
{
    char signature[87] = "";

    if (is_signed)
        ts_nkey_sign(&user, NONCE, strlen(NONCE), signature);
    CHECK("JWT", nbj_bytes_equal(id.jwt, nbj_str(want_jwt)));
    CHECK("nkey", nbj_bytes_equal(id.nkey, nbj_str(want_nkey)));
    CHECK("signature", nbj_bytes_equal(id.signature, nbj_str(signature)));
    nbj__identity_wipe(&id);
    CHECK("wiped", id.jwt.len == 0 && id.signature_text[0] == '\0' && id.nkey_text[0] == '\0');
}

static void test_credentials_file(void **state)
{
    (void)state;
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", true);
    assert_int_equal(answer_from(path, "/nowhere", NONCE), NBJ_OK);
    check_answer(jwt, "", true);
}

static void test_seed_file(void **state)
{
    (void)state;
    ts_write_text(path, user.seed);
    assert_int_equal(answer_from(NULL, path, NONCE), NBJ_OK);
    check_answer("", user.public_key, true);
    ts_write_creds(path, jwt, user.seed); /* its seed alone */
    assert_int_equal(answer_from(NULL, path, NONCE), NBJ_OK);
    check_answer("", user.public_key, true);
}

static void test_bearer(void **state)
{
    (void)state;
    ts_user_jwt(&authority, &user, &(ts_user_claims){ .bearer = true }, jwt);
    ts_write_creds(path, jwt, NULL);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", false);
    ts_write_text(path, jwt);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", false);
    ts_write_creds(path, jwt, user.seed); /* whoever can sign does */
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", true);
}

static void test_no_nonce(void **state)
{
    (void)state;
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(answer_from(path, NULL, ""), NBJ_OK);
    check_answer(jwt, "", false);
    assert_int_equal(answer_from(NULL, path, NULL), NBJ_OK);
    check_answer("", user.public_key, false);
}

static void test_no_files(void **state)
{
    (void)state;
    assert_int_equal(answer_from(NULL, NULL, NONCE), NBJ_OK);
    check_answer("", "", false);
}

/* Each time as the file is then. */
static void test_files_are_read_anew(void **state)
{
    (void)state;
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", true);
    user = ts_nkey_new('U');
    ts_user_jwt(&authority, &user, NULL, jwt);
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", true);
    assert_int_equal(remove(path), 0);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_E_CREDENTIALS);
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(answer_from(path, NULL, NONCE), NBJ_OK);
    check_answer(jwt, "", true);
}

/* -- what is wrong -- */

/* |file| as credentials, or as a seed's file, is refused for |why|, and the error shows the file but nothing of it. */
static void check_refused(bool as_credentials, const char *why)
{
    nbj_status st = answer_from(as_credentials ? path : NULL, as_credentials ? NULL : path, NONCE);

    CHECK(why, st == NBJ_E_CREDENTIALS && error.status == NBJ_E_CREDENTIALS);
    CHECK(error.text, strstr(error.text, path) != NULL && strstr(error.text, why) != NULL);
    for (size_t i = 0; i + 6 < sizeof user.seed; i++)
        CHECK(error.text, memmem(error.text, sizeof error.text, user.seed + i, 6) == NULL);
    CHECK(error.text, strstr(error.text, "eyJ") == NULL && strstr(error.text, user.public_key) == NULL);
    CHECK(why, id.jwt.len == 0 && id.nkey.len == 0 && id.signature.len == 0 && id.file.octets == NULL);
}

static void test_wrong_files(void **state)
{
    ts_nkey account = ts_nkey_new('A');
    char broken[59];

    (void)state;
    check_refused(true, "no such file");
    check_refused(false, "no such file");
    ts_write_text(path, "");
    check_refused(true, "empty");
    ts_write_text(path, user.seed);
    check_refused(true, "no JWT");
    ts_write_text(path, jwt);
    check_refused(false, "no seed");
    ts_write_creds(path, jwt, NULL);
    check_refused(true, "no seed");
    check_refused(false, "no seed");
    ts_write_text(path, "e30.aGlkZGVu.x");
    check_refused(true, "JWT is none");
    ts_write_creds(path, jwt, user.public_key);
    check_refused(true, "public key");
    ts_write_creds(path, jwt, account.seed);
    check_refused(true, "account's");
    snprintf(broken, sizeof broken, "%s", user.seed);
    broken[30] = broken[30] == 'A' ? 'B' : 'A';
    ts_write_creds(path, jwt, broken);
    check_refused(true, "checksum");
    broken[50] = '\0';
    ts_write_text(path, broken);
    check_refused(false, "too short");
}

/* -- secrets -- */

static bool watching;
static unsigned blocks_seen, secrets_seen;

static unsigned secrets_in(const void *ptr, size_t size)
{
    const size_t half = strlen(user.seed) / 2; /* a block's use for free lists overwrites its beginning */
    const nbj_bytes secrets[] = { nbj_view(user.raw, sizeof user.raw), nbj_view(user.seed + 2, half),
                                  nbj_view(user.seed + half, half) };
    unsigned found = 0;

    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        found += memmem(ptr, size, secrets[i].ptr, secrets[i].len) != NULL;
    return found;
}

static void look(const void *ptr, size_t size)
{
    if (watching && ptr != NULL) {
        blocks_seen++;
        secrets_seen += secrets_in(ptr, size);
    }
}

/* Our allocator and OpenSSL's show each block before it is given back. */

static void *get(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void look_and_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    look(ptr, size);
    free(ptr);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *openssl_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    look(ptr, malloc_usable_size(ptr));
    return realloc(ptr, size);
}

static void openssl_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    look(ptr, malloc_usable_size(ptr));
    free(ptr);
}

static nbj_status answer(const nbj__identity_config *cfg)
{
    return nbj__identity_answer(cfg, nbj_str(NONCE), &id, &error);
}

/* As the beginning of an answer, whose further calls would cover its traces. */
static nbj_status read_seed(const nbj__identity_config *cfg)
{
    static nbj__nkey key; /* not on the stack */
    const char *why;
    nbj_status st = nbj__creds_read(cfg->alloc, cfg->credentials_file, &id.file, &error);

    if (st == NBJ_OK)
        st = nbj__nkey_from_user_seed(id.file.seed, &key, &why);
    nbj__nkey_wipe(&key);
    return st;
}

typedef nbj_status act_fn(const nbj__identity_config *cfg);

/* Far down the stack, where nothing that runs afterwards comes. */
static nbj_status act_far_below(act_fn *act, const nbj__identity_config *cfg)
{
    volatile uint8_t between[STACK_SIZE / 4];

    between[0] = 0;
    nbj_status st = act(cfg);
    return between[0] == 0 ? st : NBJ_E_INVALID; /* so that it is not a tail call */
}

static void *act_in_thread(void *act)
{
    const nbj_allocator watched = { get, NULL, look_and_free, NULL };
    nbj_status *st = malloc(sizeof *st);

    watching = true;
    if (st != NULL)
        *st = act_far_below(*(act_fn **)act, &(nbj__identity_config){ &watched, path, NULL });
    nbj__identity_wipe(&id);
    watching = false;
    return st;
}

static nbj_status act_on(uint8_t *stack, act_fn *act)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *result = NULL;

    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, act_in_thread, &act), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    pthread_attr_destroy(&attributes);
    assert_non_null(result);
    nbj_status st = *(nbj_status *)result;
    free(result);
    return st;
}

/* |act| on a stack of its own, which is looked at afterwards. Not the first time: a function that is called for the first
 * time is bound first, with all registers saved on the stack, and they hold what they compared last. */
static void check_that_all_is_wiped(act_fn *act, nbj_status want)
{
    uint8_t *stack = aligned_alloc(4096, STACK_SIZE);

    assert_non_null(stack);
    (void)act_on(stack, act);
    memset(stack, 0, STACK_SIZE);
    blocks_seen = secrets_seen = 0;
    assert_int_equal(act_on(stack, act), want);
    unsigned on_stack = secrets_in(stack, STACK_SIZE);
    free(stack);
    assert_true(blocks_seen > 0);
    assert_int_equal(secrets_seen, 0);
    assert_int_equal(on_stack, 0);
    assert_int_equal(secrets_in(&id, sizeof id), 0);
    assert_int_equal(secrets_in(&error, sizeof error), 0);
}

static void test_secrets_are_wiped(void **state)
{
    ts_nkey account = ts_nkey_new('A');

    (void)state;
    ts_write_creds(path, jwt, user.seed);
    check_that_all_is_wiped(answer, NBJ_OK);
    check_that_all_is_wiped(read_seed, NBJ_OK);
    ts_write_creds(path, "no.jwt", user.seed);
    check_that_all_is_wiped(answer, NBJ_E_CREDENTIALS);
    ts_write_text(path, user.seed); /* where a JWT belongs */
    check_that_all_is_wiped(answer, NBJ_E_CREDENTIALS);
    user = account; /* as well as one of the wrong kind */
    ts_write_creds(path, jwt, account.seed);
    check_that_all_is_wiped(answer, NBJ_E_CREDENTIALS);
}

/* The search finds what it is to find. */
static void test_the_watch_sees(void **state)
{
    const nbj_allocator watched = { get, NULL, look_and_free, NULL };

    (void)state;
    secrets_seen = 0;
    watching = true;
    nbj__free_text(&watched, nbj__copy_text(&watched, nbj_str(user.seed)));
    OPENSSL_free(OPENSSL_memdup(user.raw, sizeof user.raw));
    watching = false;
    assert_int_equal(secrets_seen, 3);
}

static nbj_status answer_once(const nbj_allocator *alloc, void *ctx)
{
    const nbj__identity_config cfg = { alloc, path, NULL };
    nbj_status st = nbj__identity_answer(&cfg, nbj_str(NONCE), &id, ctx);

    if (st == NBJ_OK)
        nbj__identity_wipe(&id);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    ts_write_creds(path, jwt, user.seed);
    assert_int_equal(alloc_sweep(answer_once, &error), 1);
    ts_user_jwt(&authority, &user, &(ts_user_claims){ .bearer = true }, jwt);
    ts_write_creds(path, jwt, NULL);
    assert_int_equal(alloc_sweep(answer_once, &error), 2);
    assert_int_equal(error.status, NBJ_E_NOMEM);
    assert_non_null(strstr(error.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_credentials_file, begin, end),
        cmocka_unit_test_setup_teardown(test_seed_file, begin, end),
        cmocka_unit_test_setup_teardown(test_bearer, begin, end),
        cmocka_unit_test_setup_teardown(test_no_nonce, begin, end),
        cmocka_unit_test_setup_teardown(test_no_files, begin, end),
        cmocka_unit_test_setup_teardown(test_files_are_read_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_files, begin, end),
        cmocka_unit_test_setup_teardown(test_the_watch_sees, begin, end),
        cmocka_unit_test_setup_teardown(test_secrets_are_wiped, begin, end),
        cmocka_unit_test_setup_teardown(test_allocation_failures, begin, end),
    };

    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) /* before its first allocation */
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
