/* SPDX-License-Identifier: Apache-2.0 */
/* Files with credentials, whole and broken: driver/creds.h. */
#define _GNU_SOURCE
#include "driver/creds.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define JWT "eyJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJzdWIiOiJVIn0.c2lnbmF0dXJl"
#define SEED "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCA"
#define OTHER_SEED "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
#define JWT_BLOCK "-----BEGIN NATS USER JWT-----\n" JWT "\n------END NATS USER JWT------\n"
#define NOTE                                              \
    "\n************************* IMPORTANT ***********\n" \
    "NKEY Seed printed below can be used to sign and prove identity.\n\n"
#define SEED_BLOCK "-----BEGIN USER NKEY SEED-----\n" SEED "\n------END USER NKEY SEED------\n"

/* -- texts -- */

static const struct {
    const char *name, *text, *jwt, *seed;
} good[] = {
    { "as nsc writes it", JWT_BLOCK NOTE SEED_BLOCK "\n****\n", JWT, SEED },
    { "without the note", JWT_BLOCK SEED_BLOCK, JWT, SEED },
    { "no line end at the end", JWT_BLOCK "---BEGIN---\n" SEED "\n---END---", JWT, SEED },
    { "blank lines, blanks and tabs", "\n\n \t\n---x---\n\n \t" JWT " \n\n --- --- \n---x---\n " SEED "\t\n\n-------\n",
      JWT, SEED },
    { "other words between the dashes", "---A---\n" JWT "\n---B---\n----C----\n" SEED "\n---D---\n", JWT, SEED },
    { "the seed first", SEED_BLOCK JWT_BLOCK, JWT, SEED },
    { "a mark of UTF-8", "\xef\xbb\xbf" JWT_BLOCK SEED_BLOCK, JWT, SEED },
    { "of two seeds the first", JWT_BLOCK SEED_BLOCK "---x---\n" OTHER_SEED "\n---x---\n", JWT, SEED },
    { "a seed outside of blocks is none of them", OTHER_SEED "\n" JWT_BLOCK SEED_BLOCK, JWT, SEED },
    { "a JWT's block", JWT_BLOCK, JWT, "" },
    { "a seed's block", SEED_BLOCK, "", SEED },
    { "a lone seed", SEED, "", SEED },
    { "a lone seed's line", SEED "\n", "", SEED },
    { "comments", "# the seed of me\n\n#" OTHER_SEED "\n" SEED "\n\n# that was it\n", "", SEED },
    { "text around", "The seed of this user:\n\n  " SEED "\nKeep it well.\n", "", SEED },
    { "a mark before a seed", "\xef\xbb\xbf" SEED "\n", "", SEED },
    { "a lone JWT", JWT "\n", JWT, "" },
    { "a JWT with padding", "a=.b==.c=\n", "a=.b==.c=", "" },
    { "what is no seed is for others to find", "hello\nworld\n", "", "hello" },
};

/* |text| with CR before each LF. */
static nbj_bytes with_cr(const char *text)
{
    char out[2048];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\n')
            out[n++] = '\r';
        out[n++] = *text;
    }
    return exact_bytes(out, n);
}

static void check_good(size_t i, nbj_bytes text)
{
    nbj__creds c;
    const char *why = "";

    CHECK(good[i].name, nbj__creds_parse(text, &c, &why) == NBJ_OK && why == NULL);
    CHECK(good[i].name, nbj_bytes_equal(c.jwt, nbj_str(good[i].jwt)));
    CHECK(good[i].name, nbj_bytes_equal(c.seed, nbj_str(good[i].seed)));
    exact_free(text);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        check_good(i, exact_copy(good[i].text));
        check_good(i, with_cr(good[i].text));
    }
}

static const struct {
    const char *name, *text, *why;
} bad[] = {
    { "nothing", "", "empty" },
    { "blanks", " \t\r\n\n", "empty" },
    { "a mark of UTF-8 alone", "\xef\xbb\xbf\n", "empty" },
    { "comments alone", "# nothing\n\n# at all\n", "neither" },
    { "cut in the first marker", "-----BEGIN NATS USER JWT---", "half-written" },
    { "cut behind the first marker", "-----BEGIN NATS USER JWT-----\n", "half-written" },
    { "cut in the JWT", "-----BEGIN NATS USER JWT-----\neyJhbG", "half-written" },
    { "cut behind the JWT", "-----BEGIN NATS USER JWT-----\n" JWT "\n", "half-written" },
    { "cut in the seed", JWT_BLOCK NOTE "-----BEGIN USER NKEY SEED-----\nSUAJ2YN", "half-written" },
    { "cut behind the seed", JWT_BLOCK NOTE "-----BEGIN USER NKEY SEED-----\n" SEED "\n", "half-written" },
    { "cut in the last marker", JWT_BLOCK "---x---\n" SEED "\n------END", "half-written" },
    { "no end of the JWT", "---JWT---\n" JWT "\n" SEED_BLOCK, "half-written" },
    { "an empty block", "---JWT---\n\n---END---\n" SEED_BLOCK, "is empty" },
    { "two lines in a block", "---JWT---\n" JWT "\n" JWT "\n---END---\n", "more than one line" },
    { "a JWT of two parts", "---JWT---\neyJh.eyJz\n---END---\n", "JWT is none" },
    { "a JWT of four parts", "---JWT---\na.b.c.d\n---END---\n" SEED_BLOCK, "JWT is none" },
    { "a JWT without a signature", "---JWT---\na.b.\n---END---\n" SEED_BLOCK, "JWT is none" },
    { "a JWT with a blank", "---JWT---\nhidden.hidden .hidden\n---END---\n" SEED_BLOCK, "JWT is none" },
    { "a JWT with a quote", "---JWT---\nhidden.hid\"den.hidden\n---END---\n" SEED_BLOCK, "JWT is none" },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__creds c;
        const char *why = NULL;
        nbj_bytes text = exact_copy(bad[i].text);
        CHECK(bad[i].name, nbj__creds_parse(text, &c, &why) == NBJ_E_CREDENTIALS && why != NULL);
        CHECK(why, strstr(why, bad[i].why) != NULL && strstr(why, "hid") == NULL);
        CHECK(bad[i].name, c.jwt.len == 0 && c.seed.len == 0);
        exact_free(text);
    }
}

/* Wherever a writer was interrupted: half of a JWT or seed is never taken for one. A part of the first marker may be. */
static void test_each_length(void **state)
{
    static const char whole[] = JWT_BLOCK NOTE SEED_BLOCK;

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        nbj__creds c;
        const char *why = NULL;
        nbj_bytes text = exact_bytes(whole, len);
        nbj_status st = nbj__creds_parse(text, &c, &why);
        CHECK(whole + len, st == NBJ_OK || (c.jwt.len == 0 && c.seed.len == 0));
        CHECK(whole + len, c.jwt.len == 0 || nbj_bytes_equal(c.jwt, nbj_str(JWT)));
        CHECK(whole + len, c.seed.len == 0 || c.seed.ptr[0] == '-' || nbj_bytes_equal(c.seed, nbj_str(SEED)));
        exact_free(text);
    }
}

/* -- bearers -- */

static void test_bearers(void **state)
{
    static const struct {
        const char *name, *jwt;
        nbj_status status;
        bool is_bearer;
    } jwts[] = {
        { "bearer", "e30.eyJuYXRzIjp7ImJlYXJlcl90b2tlbiI6dHJ1ZX19.x", NBJ_OK, true },
        { "not", "e30.eyJuYXRzIjp7ImJlYXJlcl90b2tlbiI6ZmFsc2V9fQ.x", NBJ_OK, false },
        { "with padding", "e30.eyJuYXRzIjp7ImJlYXJlcl90b2tlbiI6ZmFsc2V9fQ==.x", NBJ_OK, false },
        { "no word about it", "e30.eyJuYXRzIjp7fX0.x", NBJ_OK, false },
        { "nothing of NATS", "e30.e30.x", NBJ_OK, false },
        { "in the wrong place", "e30.eyJiZWFyZXJfdG9rZW4iOnRydWV9.x", NBJ_OK, false },
        { "a text", "e30.eyJuYXRzIjp7ImJlYXJlcl90b2tlbiI6InRydWUifX0.x", NBJ_OK, false },
        { "no JSON", "e30.aGlkZGVu.x", NBJ_E_CREDENTIALS, false },
        { "empty claims", "e30..x", NBJ_E_CREDENTIALS, false },
        { "two parts", "e30.e30", NBJ_E_CREDENTIALS, false },
        { "nothing", "", NBJ_E_CREDENTIALS, false },
    };
    ts_alloc mem;

    (void)state;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    for (size_t i = 0; i < COUNT(jwts); i++) {
        nbj_bytes jwt = exact_copy(jwts[i].jwt);
        bool is_bearer = true;
        CHECK(jwts[i].name, nbj__jwt_is_bearer(&mem.allocator, jwt, &is_bearer) == jwts[i].status);
        CHECK(jwts[i].name, is_bearer == jwts[i].is_bearer);
        exact_free(jwt);
    }
    ts_alloc_done(&mem);
}

/* -- files -- */

static char dir[64], path[128];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/nbj-creds-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/me.creds", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(dir);
}

static void write_file(const void *octets, size_t len)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *text)
{
    write_file(text, strlen(text));
}

static void test_file(void **state)
{
    ts_alloc mem;
    nbj__creds c;
    nbj_error error;

    (void)state;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    write_text(JWT_BLOCK NOTE SEED_BLOCK);
    assert_int_equal(nbj__creds_read(&mem.allocator, path, &c, &error), NBJ_OK);
    write_text(SEED); /* what was read stays */
    assert_true(nbj_bytes_equal(c.jwt, nbj_str(JWT)));
    assert_true(nbj_bytes_equal(c.seed, nbj_str(SEED)));
    nbj__creds_drop_seed(&c);
    assert_int_equal(c.seed.len, 0);
    assert_null(memmem(c.octets, c.size, &SEED[2], 8));
    assert_true(nbj_bytes_equal(c.jwt, nbj_str(JWT)));
    nbj__creds_drop_seed(&c);
    nbj__creds_wipe(&c);
    nbj__creds_wipe(&c);
    assert_int_equal(nbj__creds_read(&mem.allocator, path, &c, NULL), NBJ_OK);
    assert_true(c.jwt.len == 0 && nbj_bytes_equal(c.seed, nbj_str(SEED)));
    nbj__creds_wipe(&c);
    ts_alloc_done(&mem);
}

static void test_file_through_a_link(void **state)
{
    char real[160];
    nbj__creds c;

    (void)state;
    snprintf(real, sizeof real, "%s.real", path);
    write_text(SEED);
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink("me.creds.real", path), 0);
    assert_int_equal(nbj__creds_read(nbj__allocator_or_default(NULL), path, &c, NULL), NBJ_OK);
    nbj__creds_wipe(&c);
    assert_int_equal(remove(real), 0);
}

static void check_refused(const char *name, const char *why)
{
    nbj__creds c;
    nbj_error error = { 0 };

    CHECK(name, nbj__creds_read(nbj__allocator_or_default(NULL), name, &c, &error) == NBJ_E_CREDENTIALS);
    CHECK(name, error.status == NBJ_E_CREDENTIALS && c.octets == NULL);
    CHECK(error.text, strstr(error.text, name) != NULL && strstr(error.text, why) != NULL);
    CHECK(error.text, strstr(error.text, "SUA") == NULL && strstr(error.text, "eyJ") == NULL);
    CHECK("without an error", nbj__creds_read(nbj__allocator_or_default(NULL), name, &c, NULL) == NBJ_E_CREDENTIALS);
}

static void test_no_file(void **state)
{
    char below[160];

    (void)state;
    check_refused(path, "no such file");
    check_refused(dir, "directory");
    write_text("x");
    snprintf(below, sizeof below, "%s/below", path);
    check_refused(below, "no such file");
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("me.creds", path), 0);
    check_refused(path, "followed");
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* which nobody writes to */
    check_refused(path, "not a regular file");
}

static void test_no_permission(void **state)
{
    (void)state;
    write_text(SEED);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() == 0) { /* whom no permission stops */
        assert_int_equal(seteuid(65534), 0);
        assert_int_not_equal(open(path, O_RDONLY | O_CLOEXEC) >= 0, 1);
    }
    check_refused(path, "permission");
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_broken_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        write_text(bad[i].text);
        check_refused(path, bad[i].why);
    }
}

static void test_largest_file(void **state)
{
    char *text = malloc(NBJ__CREDS_MAX + 1);
    nbj__creds c;

    (void)state;
    assert_non_null(text);
    memset(text, '\n', NBJ__CREDS_MAX + 1);
    memcpy(text + NBJ__CREDS_MAX - strlen(SEED), SEED, strlen(SEED));
    write_file(text, NBJ__CREDS_MAX);
    assert_int_equal(nbj__creds_read(nbj__allocator_or_default(NULL), path, &c, NULL), NBJ_OK);
    assert_true(nbj_bytes_equal(c.seed, nbj_str(SEED)));
    nbj__creds_wipe(&c);
    write_file(text, NBJ__CREDS_MAX + 1);
    check_refused(path, "64 KiB");
    free(text);
}

/* A name may have any length and octets; the cause is always there to be read. */
static void test_long_names(void **state)
{
    char name[700];
    nbj__creds c;
    nbj_error error;

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name + sizeof name - 9, "/\033[1m.it", 9);
    assert_int_equal(nbj__creds_read(nbj__allocator_or_default(NULL), name, &c, &error), NBJ_E_CREDENTIALS);
    CHECK(error.text, strstr(error.text, "nnn/?[1m.it: ") != NULL && strlen(error.text) < 400);
}

/* The credentials themselves where their file's name belongs are not shown either. */
static void test_credentials_as_a_name(void **state)
{
    static const char *const names[] = { SEED, JWT, JWT_BLOCK SEED_BLOCK, SEED "\n" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        nbj__creds c;
        nbj_error error;
        CHECK(names[i], nbj__creds_read(nbj__allocator_or_default(NULL), names[i], &c, &error) == NBJ_E_CREDENTIALS);
        CHECK(error.text, strstr(error.text, "SUA") == NULL && strstr(error.text, "eyJ") == NULL);
        CHECK(error.text, strstr(error.text, "name of a file") != NULL);
    }
}

static nbj_status read_and_ask(const nbj_allocator *alloc, void *ctx)
{
    nbj__creds c;
    bool is_bearer;
    nbj_status st = nbj__creds_read(alloc, path, &c, ctx);

    if (st != NBJ_OK)
        return st;
    st = nbj__jwt_is_bearer(alloc, c.jwt, &is_bearer);
    nbj__creds_wipe(&c);
    return st;
}

static void test_allocation_failures(void **state)
{
    nbj_error error = { 0 };

    (void)state;
    write_text(JWT_BLOCK SEED_BLOCK);
    assert_int_equal(alloc_sweep(read_and_ask, &error), 2);
    assert_int_equal(error.status, NBJ_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_each_length),
        cmocka_unit_test(test_bearers),
        cmocka_unit_test_setup_teardown(test_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_file_through_a_link, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_no_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_no_permission, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_broken_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_largest_file, make_dir, remove_dir),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_credentials_as_a_name),
        cmocka_unit_test_setup_teardown(test_allocation_failures, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
