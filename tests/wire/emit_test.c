/* SPDX-License-Identifier: Apache-2.0 */
/* The client's operations: wire/emit.h. */
#include "wire/emit.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const nbj_header two_headers[] = { { V("Nats-Msg-Id"), V("7") }, { V("k"), V("") } };

static const struct {
    const char *name;
    nbj__outgoing m;
    nbj_bytes want;
} pubs[] = {
    { "PUB", { .subject = V("a.b"), .payload = V("hello") }, V("PUB a.b 5\r\nhello\r\n") },
    { "PUB with reply",
      { .subject = V("a"), .reply = V("_INBOX.1"), .payload = V("x") },
      V("PUB a _INBOX.1 1\r\nx\r\n") },
    { "PUB without payload", { .subject = V("a") }, V("PUB a 0\r\n\r\n") },
    { "PUB without payload, with reply", { .subject = V("a"), .reply = V("r") }, V("PUB a r 0\r\n\r\n") },
    { "PUB with any octets", { .subject = V("a"), .payload = V("\0\r\n\xff") }, V("PUB a 4\r\n\0\r\n\xff\r\n") },
    { "PUB whose payload looks like an operation",
      { .subject = V("a"), .payload = V("PUB b 0\r\n\r\n") },
      V("PUB a 11\r\nPUB b 0\r\n\r\n\r\n") },
    { "HPUB",
      { .subject = V("a"), .headers = two_headers, .header_count = 1, .payload = V("hello") },
      V("HPUB a 28 33\r\nNATS/1.0\r\nNats-Msg-Id: 7\r\n\r\nhello\r\n") },
    { "HPUB with reply, without payload",
      { .subject = V("a"), .reply = V("r"), .headers = two_headers, .header_count = 2 },
      V("HPUB a r 33 33\r\nNATS/1.0\r\nNats-Msg-Id: 7\r\nk: \r\n\r\n\r\n") },
};

static void test_pub(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pubs); i++) {
        nbj__buf out;
        nbj__buf_init(&out, &nbj__malloc_allocator, 1000);
        CHECK(pubs[i].name, nbj__buf_append(&out, "before", 6) == NBJ_OK);
        CHECK(pubs[i].name, nbj__emit_pub(&out, &pubs[i].m) == NBJ_OK);
        nbj_bytes got = nbj__buf_view(&out);
        CHECK(pubs[i].name, memcmp(got.ptr, "before", 6) == 0);
        CHECK(pubs[i].name, nbj_bytes_equal(nbj_view(got.ptr + 6, got.len - 6), pubs[i].want));
        nbj__buf_free(&out);
    }
}

static void test_size_that_counts_against_the_maximum(void **state)
{
    (void)state;
    static const size_t want[] = { 5, 1, 0, 0, 4, 11, 33, 33 };
    for (size_t i = 0; i < COUNT(pubs); i++)
        CHECK(pubs[i].name, nbj__outgoing_size(&pubs[i].m) == want[i]);
}

static void test_sub_and_unsub(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *queue;
        uint64_t sid, max;
        const char *want;
    } cases[] = {
        { "a.*", "", 1, 0, "SUB a.* 1\r\nUNSUB 1\r\n" },
        { "a", "", 0, 1, "SUB a 0\r\nUNSUB 0 1\r\n" },
        { ">", "workers", 42, 7, "SUB > workers 42\r\nUNSUB 42 7\r\n" },
        { "a", "q", UINT64_MAX, UINT64_MAX,
          "SUB a q 18446744073709551615\r\nUNSUB 18446744073709551615 18446744073709551615\r\n" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__buf out;
        nbj__buf_init(&out, &nbj__malloc_allocator, 1000);
        nbj_status st = nbj__emit_sub(&out, nbj_str(cases[i].subject), nbj_str(cases[i].queue), cases[i].sid);
        CHECK(cases[i].want, st == NBJ_OK);
        CHECK(cases[i].want, nbj__emit_unsub(&out, cases[i].sid, cases[i].max) == NBJ_OK);
        CHECK(cases[i].want, nbj_bytes_equal(nbj__buf_view(&out), nbj_str(cases[i].want)));
        nbj__buf_free(&out);
    }
}

/* Whatever the limit: the whole operation or not an octet of it. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pubs); i++) {
        size_t ok = 0;
        for (size_t limit = 1; limit < 200; limit++) {
            nbj__buf out;
            nbj__buf_init(&out, &nbj__malloc_allocator, limit);
            nbj_status st = nbj__emit_pub(&out, &pubs[i].m);
            CHECK(pubs[i].name, st == NBJ_OK || st == NBJ_E_FULL);
            CHECK(pubs[i].name, nbj__buf_len(&out) == (st == NBJ_OK ? pubs[i].want.len : 0));
            ok += st == NBJ_OK;
            st = nbj__emit_sub(&out, nbj_str("subject"), nbj_str("queue"), 1);
            st = st == NBJ_OK ? nbj__emit_unsub(&out, 1, 1) : st;
            CHECK(pubs[i].name, st == NBJ_OK || nbj__buf_len(&out) <= limit);
            nbj__buf_free(&out);
        }
        CHECK(pubs[i].name, ok > 0);
    }
}

/* Sizes around powers of ten, where the number of digits changes. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = { 9, 10, 99, 100, 999, 1000, 9999, 10000, 99999, 100000, 1048576 };
    char *payload = malloc(1048576);
    assert_non_null(payload);
    memset(payload, '\n', 1048576);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        nbj__buf out;
        bool is_pub = false;
        nbj__outgoing m = { .subject = V("s"), .payload = nbj_view(payload, sizes[i]) };
        nbj__buf_init(&out, &nbj__malloc_allocator, 1048576 + 100);
        assert_int_equal(nbj__emit_pub(&out, &m), NBJ_OK);
        size_t len = nbj__buf_len(&out);
        assert_int_equal(nbj__emitted_len(nbj__buf_view(&out), &is_pub), len);
        assert_true(is_pub);
        assert_int_equal(nbj__emitted_len(nbj_view(nbj__buf_view(&out).ptr, len - 1), &is_pub), 0);
        nbj__buf_free(&out);
    }
    free(payload);
}

static const struct {
    const char *op;
    bool is_pub;
} operations[] = {
    { "PUB a 5\r\nhello\r\n", true },
    { "PUB a r 0\r\n\r\n", true },
    { "PUB a 14\r\nPUB b 1\r\nx\r\n\r\n\r\n", true },
    { "HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", true },
    { "HPUB a r 12 12\r\nNATS/1.0\r\n\r\n\r\n", true },
    { "SUB a q 1\r\n", false },
    { "UNSUB 1 7\r\n", false },
    { "PING\r\n", false },
    { "PONG\r\n", false },
    { "CONNECT {\"name\":\"PUB a 5\"}\r\n", false },
};

static void test_emitted_len(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(operations); i++) {
        for (size_t j = 0; j < COUNT(operations); j++) {
            size_t first = strlen(operations[i].op);
            size_t both = first + strlen(operations[j].op);
            char *text = malloc(both);
            assert_non_null(text);
            memcpy(text, operations[i].op, first);
            memcpy(text + first, operations[j].op, both - first);
            for (size_t len = 0; len <= both; len++) {
                bool is_pub = false;
                nbj_bytes part = exact_bytes(text, len);
                size_t got = nbj__emitted_len(part, &is_pub);
                CHECK(operations[i].op, got == (len < first ? 0 : first));
                CHECK(operations[i].op, len < first || is_pub == operations[i].is_pub);
                exact_free(part);
            }
            free(text);
        }
    }
}

static nbj_status emit_some(const nbj_allocator *alloc, void *ctx)
{
    nbj__buf out;
    nbj_status st = NBJ_OK;
    char payload[3000] = { 'x' };
    nbj__outgoing m = {
        .subject = V("s"), .headers = two_headers, .header_count = 2, .payload = nbj_view(payload, 3000)
    };

    (void)ctx;
    nbj__buf_init(&out, alloc, 1u << 20);
    for (int i = 0; i < 3 && st == NBJ_OK; i++) {
        size_t before = nbj__buf_len(&out);
        st = nbj__emit_pub(&out, &m);
        assert_true(st == NBJ_OK || nbj__buf_len(&out) == before);
        if (st == NBJ_OK)
            st = nbj__emit_sub(&out, nbj_str("s"), nbj_view(NULL, 0), 1);
        if (st == NBJ_OK)
            st = nbj__emit_unsub(&out, 1, 0);
    }
    nbj__buf_free(&out);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(emit_some, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pub),
        cmocka_unit_test(test_size_that_counts_against_the_maximum),
        cmocka_unit_test(test_sub_and_unsub),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_emitted_len),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
