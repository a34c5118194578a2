/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: base/json_write.h; and that what is written is read as it was. */
#include "base/json_write.h"

#include "base/json_read.h"
#include "support/alloc_fail.h"
#include "support/check.h"

static const char everything[] =
    "{\"t\":\"x\",\"yes\":true,\"no\":false,\"u\":18446744073709551615,\"i\":-9223372036854775808,"
    "\"z\":0,\"o\":{},\"p\":{\"a\":1,\"b\":[]},\"l\":[\"x\",\"\",\"z\"],\"last\":\"\"}";

static nbj_status write_everything(nbj__buf *out)
{
    nbj__json_writer w = nbj__json_begin(out);

    nbj__json_put_text(&w, "t", nbj_str("x"));
    nbj__json_put_bool(&w, "yes", true);
    nbj__json_put_bool(&w, "no", false);
    nbj__json_put_u64(&w, "u", UINT64_MAX);
    nbj__json_put_i64(&w, "i", INT64_MIN);
    nbj__json_put_i64(&w, "z", 0);
    nbj__json_put_object(&w, "o");
    nbj__json_close(&w, '}');
    nbj__json_put_object(&w, "p");
    nbj__json_put_u64(&w, "a", 1);
    nbj__json_put_array(&w, "b");
    nbj__json_close(&w, ']');
    nbj__json_close(&w, '}');
    nbj__json_put_array(&w, "l");
    nbj__json_item_put_text(&w, nbj_str("x"));
    nbj__json_item_put_text(&w, nbj_view(NULL, 0));
    nbj__json_item_put_text(&w, nbj_str("z"));
    nbj__json_close(&w, ']');
    nbj__json_put_text(&w, "last", nbj_view(NULL, 0));
    return nbj__json_end(&w);
}

static void test_every_kind(void **state)
{
    (void)state;
    nbj__buf out;
    nbj__buf_init(&out, &nbj__malloc_allocator, 1000);
    assert_int_equal(write_everything(&out), NBJ_OK);
    assert_true(nbj_bytes_equal(nbj__buf_view(&out), nbj_str(everything)));
    nbj__buf_free(&out);
}

static void test_empty_object(void **state)
{
    (void)state;
    nbj__buf out;
    nbj__buf_init(&out, &nbj__malloc_allocator, 2);
    nbj__json_writer w = nbj__json_begin(&out);
    assert_int_equal(nbj__json_end(&w), NBJ_OK);
    assert_true(nbj_bytes_equal(nbj__buf_view(&out), nbj_str("{}")));
    nbj__buf_free(&out);
}

static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "plain", "{\"t\":\"plain\"}" },
        { "\"", "{\"t\":\"\\\"\"}" },
        { "\\", "{\"t\":\"\\\\\"}" },
        { "a\"b\\c", "{\"t\":\"a\\\"b\\\\c\"}" },
        { "\r\n\t", "{\"t\":\"\\u000d\\u000a\\u0009\"}" }, /* no raw line end may reach the protocol */
        { "\x01\x1f ", "{\"t\":\"\\u0001\\u001f \"}" },
        { "</>&'\x7f", "{\"t\":\"</>&'\x7f\"}" },
        { "\xc3\xa9\xff", "{\"t\":\"\xc3\xa9\xff\"}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nbj__buf out;
        nbj_bytes text = exact_copy(cases[i].text);
        nbj__buf_init(&out, &nbj__malloc_allocator, 1000);
        nbj__json_writer w = nbj__json_begin(&out);
        nbj__json_put_text(&w, "t", text);
        CHECK(cases[i].want, nbj__json_end(&w) == NBJ_OK);
        CHECK(cases[i].want, nbj_bytes_equal(nbj__buf_view(&out), nbj_str(cases[i].want)));
        nbj__buf_free(&out);
        exact_free(text);
    }
}

/* Each octet alone, and all in a row, come back as they went. */
static void test_every_octet_comes_back(void **state)
{
    (void)state;
    uint8_t octets[256];
    for (size_t c = 0; c < 256; c++)
        octets[c] = (uint8_t)c;
    for (size_t c = 0; c <= 256; c++) {
        nbj__buf out;
        nbj__json *o = NULL;
        nbj_bytes text = c < 256 ? nbj_view(octets + c, 1) : nbj_view(octets, 256);
        nbj__buf_init(&out, &nbj__malloc_allocator, 4000);
        nbj__json_writer w = nbj__json_begin(&out);
        nbj__json_put_text(&w, "t", text);
        assert_int_equal(nbj__json_end(&w), NBJ_OK);
        assert_int_equal(nbj__json_parse(nbj__buf_view(&out), &o), NBJ_OK);
        assert_true(nbj_bytes_equal(nbj__json_text(o, "t"), text));
        nbj__json_free(o);
        nbj__buf_free(&out);
    }
}

/* However early the room ends, the error is seen at the end, and nothing is written behind it. */
static void test_error_sticks(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < sizeof everything - 1; limit++) {
        nbj__buf out;
        nbj__buf_init(&out, &nbj__malloc_allocator, limit);
        assert_int_equal(write_everything(&out), NBJ_E_FULL);
        nbj_bytes got = nbj__buf_view(&out);
        assert_memory_equal(got.ptr, everything, got.len);
        nbj__buf_free(&out);
    }
}

static nbj_status write_much(const nbj_allocator *alloc, void *ctx)
{
    nbj__buf out;
    nbj_status st = NBJ_OK;

    (void)ctx;
    nbj__buf_init(&out, alloc, 1u << 20);
    for (int i = 0; i < 60 && st == NBJ_OK; i++)
        st = write_everything(&out);
    nbj__buf_free(&out);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(write_much, NULL), 3); /* 4, 8, 16 KiB */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),   cmocka_unit_test(test_empty_object),
        cmocka_unit_test(test_escapes),      cmocka_unit_test(test_every_octet_comes_back),
        cmocka_unit_test(test_error_sticks), cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
