/* SPDX-License-Identifier: Apache-2.0 */
/* What a backup says of itself: written, read, damaged; what a server is asked for. */
#include "js/backup.h"

#include "support/check.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONFIG \
    "{\"name\":\"S\",\"new_field\":{\"x\":[1.50,null]},\"num_replicas\":3,\"max_bytes\":18446744073709551615}"
#define STATE \
    "{\"messages\":20,\"bytes\":1402,\"first_seq\":2,\"first_ts\":\"2026-11-23T18:48:23.5Z\",\"last_seq\":21,\"consumer_count\":1}"
#define SUM "deb90d2394bfcb3486477c62fee40c08356bb44b2a69b9e300b55442d312e932"
#define OURS ",\"nbj\":{\"format\":1,\"bytes\":1972,\"sha256\":\"" SUM "\"}}\n"
#define TEXT "{\"config\":" CONFIG ",\"state\":" STATE

static const char *text_of(nbj__buf *b)
{
    assert_int_equal(nbj__buf_append(b, "", 1), NBJ_OK);
    return (const char *)nbj__buf_view(b).ptr;
}

static void test_written(void **state)
{
    (void)state;
    nbj__json *answer = NULL;
    nbj__buf b;
    nbj__buf_init(&b, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
    assert_int_equal(nbj__json_parse(nbj_str("{\"type\":\"x\",\"state\": " STATE ", \"config\":" CONFIG "}"), &answer),
                     NBJ_OK);
    assert_int_equal(nbj__backup_describe(answer, &b), NBJ_OK);
    assert_int_equal(nbj__backup_seal(&b, 1972, SUM), NBJ_OK);
    assert_string_equal(text_of(&b), TEXT OURS); /* what is not known stays */
    nbj__json_free(answer);
    nbj__buf_free(&b);
}

static void test_not_described(void **state)
{
    (void)state;
    static const char *const answers[] = { "{}", "{\"config\":{}}", "{\"state\":{}}", "{\"config\":[],\"state\":{}}" };
    for (size_t i = 0; i < COUNT(answers); i++) {
        nbj__json *answer = NULL;
        nbj__buf b;
        nbj__buf_init(&b, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
        assert_int_equal(nbj__json_parse(nbj_str(answers[i]), &answer), NBJ_OK);
        CHECK(answers[i], nbj__backup_describe(answer, &b) == NBJ_E_BAD_REPLY);
        nbj__json_free(answer);
        nbj__buf_free(&b);
    }
}

static void test_read(void **state)
{
    (void)state;
    nbj__backup b;
    const char *why = NULL;
    assert_int_equal(nbj__backup_read(nbj_str(TEXT OURS), &b, &why), NBJ_OK);
    assert_string_equal(b.stream, "S");
    assert_true(b.has_sum);
    assert_int_equal(b.bytes, 1972);
    assert_string_equal(b.sha256, SUM);
    assert_int_equal(b.described, strlen(TEXT));
    assert_int_equal(b.state.messages, 20);
    assert_int_equal(b.state.bytes, 1402);
    assert_int_equal(b.state.first_sequence, 2);
    assert_int_equal(b.state.last_sequence, 21);
    assert_int_equal(b.state.consumers, 1);
    assert_string_equal(b.state.first_time, "2026-11-23T18:48:23.5Z");
    nbj__backup_free(&b);
    assert_int_equal(nbj__backup_read(nbj_str(TEXT "}"), &b, &why), NBJ_OK);
    assert_false(b.has_sum);
    nbj__backup_free(&b);
}

static void test_damaged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        TEXT,
        "{\"config\":" CONFIG "}",
        "{\"state\":" STATE "}",
        "{\"config\":{},\"state\":" STATE "}",
        "{\"config\":{\"name\":\"../x\"},\"state\":" STATE "}",
        TEXT ",\"nbj\":{}}",
        TEXT ",\"nbj\":{\"format\":2,\"bytes\":1,\"sha256\":\"" SUM "\"}}",
        TEXT ",\"nbj\":{\"format\":1,\"bytes\":1,\"sha256\":\"x\"}}",
        TEXT ",\"nbj\" :{\"format\":1,\"bytes\":1,\"sha256\":\"" SUM "\"}}", /* not as we write it */
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__backup b;
        const char *why = NULL;
        CHECK(texts[i], nbj__backup_read(nbj_str(texts[i]), &b, &why) == NBJ_E_DAMAGED);
        CHECK(texts[i], why != NULL && b.json == NULL);
        nbj__backup_free(&b);
    }
}

static const struct {
    const char *config;
    uint32_t replicas;
    nbj_status want;
    const char *request;
} requests[] = {
    { NULL, 0, NBJ_OK, TEXT "}" },
    { "{\"name\":\"S\"}", 0, NBJ_OK, "{\"config\":{\"name\":\"S\"},\"state\":" STATE "}" },
    { "{\"name\":\"S\"}", 1, NBJ_OK, "{\"config\":{\"name\":\"S\",\"num_replicas\":1},\"state\":" STATE "}" },
    { "{\"name\":\"T\"}", 0, NBJ_E_INVALID, NULL },
    { "{}", 1, NBJ_E_INVALID, NULL },
    { "nothing", 0, NBJ_E_INVALID, NULL },
};

static void test_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        nbj__backup b;
        nbj__buf out;
        const char *why = NULL;
        nbj__buf_init(&out, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
        assert_int_equal(nbj__backup_read(nbj_str(TEXT OURS), &b, &why), NBJ_OK);
        nbj_status st = nbj__backup_request(&b, requests[i].config, requests[i].replicas, &out);
        assert_int_equal(st, requests[i].want);
        if (st == NBJ_OK)
            assert_string_equal(text_of(&out), requests[i].request);
        nbj__backup_free(&b);
        nbj__buf_free(&out);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    nbj__backup b;
    nbj__buf out;
    const char *why = NULL;
    nbj__buf_init(&out, &nbj__malloc_allocator, 100);
    assert_int_equal(nbj__backup_read(nbj_str(TEXT OURS), &b, &why), NBJ_OK);
    assert_int_equal(nbj__backup_request(&b, NULL, 0, &out), NBJ_E_FULL);
    nbj__backup_free(&b);
    nbj__buf_free(&out);
}

static void test_format(void **state)
{
    (void)state;
    static const char new_one[] = "\xff\x06\x00\x00S2sTwO\x01.P\r11\x95qNATSARC1\n\x90";
    static const char old_one[] = "\xff\x06\x00\x00S2sTwO\x00\x25\x02\x00";
    char far[200] = "";
    assert_true(nbj__backup_is_new_format(nbj_view(new_one, sizeof new_one)));
    assert_false(nbj__backup_is_new_format(nbj_view(old_one, sizeof old_one)));
    assert_false(nbj__backup_is_new_format(nbj_view(NULL, 0)));
    assert_false(nbj__backup_is_new_format(nbj_view("NATSARC", 7)));
    memcpy(far + 100, "NATSARC1", 8); /* a message's text may say so */
    assert_false(nbj__backup_is_new_format(nbj_view(far, sizeof far)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written), cmocka_unit_test(test_not_described), cmocka_unit_test(test_read),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_request),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
