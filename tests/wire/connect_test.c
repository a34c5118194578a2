/* SPDX-License-Identifier: Apache-2.0 */
/* The CONNECT operation: wire/connect.h. */
#include "wire/connect.h"

#include "base/json_read.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <nbj/version.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define COMMON "\"lang\":\"c-nbj\",\"version\":\"" NBJ_VERSION "\","

static const struct {
    const char *name;
    nbj__connect c;
    const char *want;
} rows[] = {
    { "nothing set",
      { .headers = false },
      "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false," COMMON
      "\"protocol\":1,\"echo\":true,\"headers\":false,\"no_responders\":false}\r\n" },
    { "a server with headers, a name, a password",
      { .headers = true, .name = V("ride \"7\""), .user = V("u"), .password = V("p\\") },
      "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false," COMMON
      "\"name\":\"ride \\\"7\\\"\",\"protocol\":1,\"echo\":true,\"headers\":true,\"no_responders\":true,"
      "\"user\":\"u\",\"pass\":\"p\\\\\"}\r\n" },
    { "all flags, a token",
      { .verbose = true, .pedantic = true, .no_echo = true, .tls = true, .headers = true, .auth_token = V("t") },
      "CONNECT {\"verbose\":true,\"pedantic\":true,\"tls_required\":true," COMMON
      "\"protocol\":1,\"echo\":false,\"headers\":true,\"no_responders\":true,\"auth_token\":\"t\"}\r\n" },
    { "a signature",
      { .jwt = V("j"), .nkey = V("k"), .signature = V("s") },
      "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false," COMMON
      "\"protocol\":1,\"echo\":true,\"headers\":false,\"no_responders\":false,"
      "\"jwt\":\"j\",\"nkey\":\"k\",\"sig\":\"s\"}\r\n" },
};

static void test_connect(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nbj__buf out;
        nbj__buf_init(&out, &nbj__malloc_allocator, 4000);
        CHECK(rows[i].name, nbj__emit_connect(&out, &rows[i].c) == NBJ_OK);
        CHECK(rows[i].name, nbj_bytes_equal(nbj__buf_view(&out), nbj_str(rows[i].want)));
        nbj__buf_free(&out);
    }
}

/* Credentials of any octets stay one line and one JSON text: nothing can be smuggled in, nothing is changed. */
static void test_credentials_of_any_octets(void **state)
{
    (void)state;
    char secret[256];
    nbj__buf out;
    nbj__json *json = NULL;
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (char)i;
    nbj_bytes want = nbj_view(secret, sizeof secret);
    nbj__connect c = {
        .user = want, .password = want, .auth_token = want, .jwt = want, .nkey = want, .signature = want
    };
    c.name = want;
    nbj__buf_init(&out, &nbj__malloc_allocator, 10000);
    assert_int_equal(nbj__emit_connect(&out, &c), NBJ_OK);
    nbj_bytes op = nbj__buf_view(&out);
    assert_ptr_equal(memchr(op.ptr, '\n', op.len), op.ptr + op.len - 1);
    assert_ptr_equal(memchr(op.ptr, '\r', op.len), op.ptr + op.len - 2);
    assert_int_equal(nbj__json_parse(nbj_view(op.ptr + 8, op.len - 10), &json), NBJ_OK);
    static const char *const keys[] = { "name", "user", "pass", "auth_token", "jwt", "nkey", "sig" };
    for (size_t i = 0; i < COUNT(keys); i++)
        CHECK(keys[i], nbj_bytes_equal(nbj__json_text(json, keys[i]), want));
    nbj__json_free(json);
    nbj__buf_free(&out);
}

static void test_every_limit(void **state)
{
    (void)state;
    size_t whole = strlen(rows[1].want);
    for (size_t limit = 1; limit <= whole; limit++) {
        nbj__buf out;
        nbj__buf_init(&out, &nbj__malloc_allocator, limit);
        assert_int_equal(nbj__emit_connect(&out, &rows[1].c), limit < whole ? NBJ_E_FULL : NBJ_OK);
        nbj__buf_free(&out);
    }
}

static nbj_status connect_with_much(const nbj_allocator *alloc, void *ctx)
{
    nbj__buf out;
    char jwt[9000];

    (void)ctx;
    memset(jwt, 'j', sizeof jwt);
    nbj__connect c = { .jwt = nbj_view(jwt, sizeof jwt), .user = V("u") };
    nbj__buf_init(&out, alloc, 1u << 20);
    nbj_status st = nbj__emit_connect(&out, &c);
    nbj__buf_free(&out);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(connect_with_much, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_credentials_of_any_octets),
        cmocka_unit_test(test_every_limit),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
