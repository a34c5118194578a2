/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests and the tokens that name its places: conn/requests.h. */
#include "conn/requests.h"

#include "base/random.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIMIT (1u << 20)

static nbj_bytes token_of(const nbj__slots *t, const nbj__call *call, char *out)
{
    nbj__slots_token(t, call, out);
    return nbj_view(out, NBJ__TOKEN_LEN);
}

static void test_numbers_round_trip(void **state)
{
    (void)state;
    nbj__random r = { 9 };
    for (int i = 0; i < 10000; i++) {
        char text[8];
        uint64_t value = nbj__random_next(&r) >> 16; /* 48 bits, as much as 8 characters hold */
        uint64_t back = 1;
        if (i < 3)
            value = i == 0 ? 0 : i == 1 ? (UINT64_C(1) << 48) - 1 : 63;
        nbj__token_write(text, value, 8);
        for (size_t c = 0; c < 8; c++) /* fit for a subject's token */
            assert_non_null(memchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_", text[c], 64));
        assert_true(nbj__token_read((const uint8_t *)text, 8, &back));
        assert_int_equal(back, value);
    }
}

static void test_only_our_characters_are_read(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[8] = "00000000";
        uint64_t value = 77;
        text[3] = (uint8_t)c;
        bool is_ours =
            c != 0 && strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_", (int)c) != NULL;
        assert_int_equal(nbj__token_read(text, 8, &value), is_ours);
        assert_true(is_ours || value == 77);
    }
}

static void test_find(void **state)
{
    (void)state;
    char token[16];
    nbj__slots t;
    nbj__call call[3] = { { 0 } };
    ts_alloc mem;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj__slots_init(&t, &mem.allocator);
    assert_null(nbj__slots_find(&t, nbj_str("R00000000"))); /* of an empty table */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(nbj__slots_add(&t, &call[i]), NBJ_OK);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(nbj__slots_find(&t, token_of(&t, &call[i], token)), &call[i]);
    static const char *const bad[] = {
        "",          "R",         "R0000000",  "R000000000", "P00000000", "r00000000", "R0000000.",
        "R00000003", "R0000000Z", "R~~~~~~~~", "R_00000000", "R0010000",  "R________",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj_bytes text = exact_copy(bad[i]);
        CHECK(bad[i], nbj__slots_find(&t, text) == NULL);
        exact_free(text);
    }
    for (size_t i = 0; i < 3; i++)
        nbj__slots_remove(&t, &call[i]);
    assert_int_equal(t.used, 0);
    nbj__slots_free(&t);
    nbj__slots_free(&t);
    ts_alloc_done(&mem);
}

/* A late reply's token never finds the call that has the place now. */
static void test_generations(void **state)
{
    (void)state;
    char old[16], token[16];
    nbj__slots t;
    nbj__call a = { 0 }, b = { 0 };
    nbj__slots_init(&t, &nbj__malloc_allocator);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(nbj__slots_add(&t, &a), NBJ_OK);
        nbj__slots_token(&t, &a, old);
        nbj__slots_remove(&t, &a);
        assert_null(nbj__slots_find(&t, nbj_view(old, NBJ__TOKEN_LEN)));
        assert_int_equal(nbj__slots_add(&t, &b), NBJ_OK);
        assert_int_equal(b.slot, a.slot);
        assert_null(nbj__slots_find(&t, nbj_view(old, NBJ__TOKEN_LEN)));
        assert_ptr_equal(nbj__slots_find(&t, token_of(&t, &b, token)), &b);
        nbj__slots_remove(&t, &b);
    }
    t.items[a.slot].generation = (1u << 28) - 1; /* the last one; it wraps, not into the slot's bits */
    assert_int_equal(nbj__slots_add(&t, &a), NBJ_OK);
    assert_ptr_equal(nbj__slots_find(&t, token_of(&t, &a, token)), &a);
    nbj__slots_remove(&t, &a);
    assert_int_equal(t.items[a.slot].generation, 0);
    nbj__slots_free(&t);
}

static void test_growth_to_the_limit(void **state)
{
    (void)state;
    char token[16];
    nbj__slots t;
    nbj__call *call = calloc(LIMIT + 1, sizeof *call);
    assert_non_null(call);
    nbj__slots_init(&t, &nbj__malloc_allocator);
    for (size_t i = 0; i < LIMIT; i++)
        assert_int_equal(nbj__slots_add(&t, &call[i]), NBJ_OK);
    assert_int_equal(nbj__slots_add(&t, &call[LIMIT]), NBJ_E_FULL);
    assert_int_equal(t.used, LIMIT);
    for (size_t i = 0; i < LIMIT; i += 997) /* what was there before it grew is there still */
        assert_ptr_equal(nbj__slots_find(&t, token_of(&t, &call[i], token)), &call[i]);
    nbj__slots_remove(&t, &call[12345]);
    assert_int_equal(nbj__slots_add(&t, &call[LIMIT]), NBJ_OK);
    assert_int_equal(nbj__slots_add(&t, &call[12345]), NBJ_E_FULL);
    nbj__slots_free(&t);
    free(call);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nbj__slots t;
    nbj__call call[17] = { { 0 } };
    char token[16];
    ts_alloc mem;
    ts_alloc_init(&mem, 0, false);
    nbj__slots_init(&t, &mem.allocator);
    assert_int_equal(nbj__slots_add(&t, &call[0]), NBJ_E_NOMEM);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(nbj__slots_add(&t, &call[i]), NBJ_OK);
    mem.fail_at = mem.calls;
    assert_int_equal(nbj__slots_add(&t, &call[16]), NBJ_E_NOMEM);
    for (size_t i = 0; i < 16; i++)
        assert_ptr_equal(nbj__slots_find(&t, token_of(&t, &call[i], token)), &call[i]);
    assert_int_equal(nbj__slots_add(&t, &call[16]), NBJ_OK);
    nbj__slots_free(&t);
    ts_alloc_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_round_trip),
        cmocka_unit_test(test_only_our_characters_are_read),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_growth_to_the_limit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
