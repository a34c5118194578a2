/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of JetStream: js/reply.h. */
#include "js/pub_ack.h"
#include "js/reply.h"

#include "support/check.h"
#include "support/malloc_fail.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj_msg with(const char *payload)
{
    return (nbj_msg){ .payload = nbj_str(payload) };
}

static const struct {
    const char *payload;
    const char *stream, *domain;
    uint64_t sequence;
    bool duplicate;
    const char *value; /* NULL: none */
} acks[] = {
    { "{\"stream\":\"S\",\"seq\":7}", "S", "", 7, false, NULL },
    { "{\"stream\":\"S\", \"seq\":1,\"duplicate\": true}", "S", "", 1, true, NULL },
    { "{\"stream\":\"S\", \"seq\": 18446744073709551615, \"domain\":\"hub\"}", "S", "hub", UINT64_MAX, false, NULL },
    { " {\"val\":\"12\",\"seq\":2,\"stream\":\"S\",\"batch\":\"id\",\"count\":3,\"new\":{\"a\":[]}}\n", "S", "", 2,
      false, "12" },
    { "{\"stream\":\"S\",\"seq\":1,\"domain\":\"d\",\"val\":\"-12345678901234567890123\"}", "S", "d", 1, false,
      "-12345678901234567890123" },
    { "{\"stream\":\"S\",\"seq\":3,\"duplicate\":false,\"error\":null}", "S", "", 3, false, NULL },
};

static void test_acks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(acks); i++) {
        nbj__pub_ack ack;
        nbj_error error = { 0 };
        nbj_msg m = with(acks[i].payload);
        const char *name = acks[i].payload;
        CHECK(name, nbj__pub_ack_parse(&m, &ack, &error) == NBJ_OK);
        CHECK(name, strcmp(ack.stream, acks[i].stream) == 0 && strcmp(ack.domain, acks[i].domain) == 0);
        CHECK(name, ack.sequence == acks[i].sequence && ack.duplicate == acks[i].duplicate);
        CHECK(name, strcmp(ack.value, acks[i].value != NULL ? acks[i].value : "") == 0);
    }
}

static void test_bad_acks(void **state)
{
    (void)state;
    char long_name[400] = "{\"seq\":1,\"stream\":\"";
    memset(long_name + strlen(long_name), 'x', 300);
    strcat(long_name, "\"}");
    const char *const payloads[] = {
        "",
        "+OK",
        "[]",
        "7",
        "{",
        "{}",
        "{\"stream\":\"S\"}",
        "{\"seq\":1}",
        "{\"stream\":\"S\",\"seq\":0}",
        "{\"stream\":\"\",\"seq\":1}",
        "{\"stream\":\"S\",\"seq\":-1}",
        "{\"stream\":\"S\",\"seq\":\"1\"}",
        "{\"stream\":7,\"seq\":1}",
        "{\"stream\":\"S\",\"seq\":1}x",
        long_name,
    };
    for (size_t i = 0; i < COUNT(payloads); i++) {
        nbj__pub_ack ack;
        nbj_error error = { 0 };
        nbj_msg m = with(payloads[i]);
        CHECK(payloads[i], nbj__pub_ack_parse(&m, &ack, &error) == NBJ_E_BAD_REPLY);
        CHECK(payloads[i], error.status == NBJ_E_BAD_REPLY && error.text[0] != '\0');
    }
}

static const struct {
    int64_t code, err_code;
    nbj_status status;
} codes[] = {
    { 404, 10059, NBJ_E_STREAM_NOT_FOUND },
    { 404, 10014, NBJ_E_CONSUMER_NOT_FOUND },
    { 400, 10149, NBJ_E_CONSUMER_NOT_FOUND },
    { 404, 10037, NBJ_E_NOT_FOUND },
    { 400, 10043, NBJ_E_NOT_FOUND },
    { 400, 10058, NBJ_E_EXISTS_DIFFERENT },
    { 400, 10148, NBJ_E_EXISTS_DIFFERENT },
    { 400, 10013, NBJ_E_EXISTS_DIFFERENT },
    { 400, 10071, NBJ_E_WRONG_LAST_SEQUENCE },
    { 400, 10164, NBJ_E_WRONG_LAST_SEQUENCE },
    { 503, 10039, NBJ_E_JS_DISABLED },
    { 503, 10076, NBJ_E_JS_DISABLED },
    { 503, 10008, NBJ_E_JS_UNAVAILABLE },
    { 409, 10158, NBJ_E_JS_UNAVAILABLE },
    { 503, 10163, NBJ_E_JS_UNAVAILABLE },
    { 429, 10167, NBJ_E_JS_UNAVAILABLE },
    { 500, 10194, NBJ_E_JS_UNAVAILABLE },
    { 429, 10211, NBJ_E_JS_UNAVAILABLE },
    { 503, 10077, NBJ_E_JS }, /* full: asking again does not help */
    { 503, 10023, NBJ_E_JS },
    { 400, 10054, NBJ_E_JS },
    { 500, 10049, NBJ_E_JS },
    /* unknown ones by their class */
    { 404, 99999, NBJ_E_NOT_FOUND },
    { 503, 99999, NBJ_E_JS_UNAVAILABLE },
    { 429, 0, NBJ_E_JS_UNAVAILABLE },
    { 400, 0, NBJ_E_JS },
    { 0, 0, NBJ_E_JS },
    { -1, INT64_MAX, NBJ_E_JS },
};

static void test_error_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        char payload[200], name[64];
        nbj__pub_ack ack;
        nbj_error error = { 0 };
        snprintf(name, sizeof name, "%lld/%lld", (long long)codes[i].code, (long long)codes[i].err_code);
        CHECK(name, nbj__js_status(codes[i].code, codes[i].err_code) == codes[i].status);
        snprintf(payload, sizeof payload,
                 "{\"error\":{\"code\":%lld,\"err_code\":%lld,\"description\":\"why\"},\"stream\":\"S\",\"seq\":5}",
                 (long long)codes[i].code, (long long)codes[i].err_code);
        nbj_msg m = with(payload);
        CHECK(name, nbj__pub_ack_parse(&m, &ack, &error) == codes[i].status); /* whatever else is there */
        CHECK(name, error.status == codes[i].status && error.code == (int32_t)codes[i].code);
        CHECK(error.text, strstr(error.text, "why") != NULL);
    }
}

static void test_error_text(void **state)
{
    (void)state;
    nbj__json *o = NULL;
    nbj_error error;
    nbj__js_about about = { "RIDES", "worker" };
    nbj_msg m = with(
        "{\"type\":\"x\",\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not \\u001b[1mfound\"}}");
    assert_int_equal(nbj__js_reply_parse(&m, about, &o, &error), NBJ_E_STREAM_NOT_FOUND);
    assert_null(o);
    assert_string_equal(error.text,
                        "stream RIDES, consumer worker: stream not ?[1mfound (10059); create the stream first "
                        "(nbj_stream_ensure does)");
    assert_int_equal(error.err_code, 10059);
    about.consumer = NULL;
    m = with("{\"error\":{}}");
    assert_int_equal(nbj__js_reply_parse(&m, about, &o, &error), NBJ_E_JS);
    assert_string_equal(error.text, "stream RIDES:  (0)");
    assert_int_equal(nbj__js_reply_parse(&m, about, &o, NULL), NBJ_E_JS); /* nobody has to want the text */
}

static void test_reply(void **state)
{
    (void)state;
    nbj__json *o = NULL;
    nbj_error error;
    nbj_msg m = with("{\"type\":\"x\",\"name\":\"C\",\"error\":\"not an object\"}");
    assert_int_equal(nbj__js_reply_parse(&m, (nbj__js_about){ NULL, NULL }, &o, &error), NBJ_OK);
    assert_true(nbj_bytes_equal(nbj__json_text(o, "name"), nbj_str("C")));
    nbj__json_free(o);
    m = with("not JSON");
    assert_int_equal(nbj__js_reply_parse(&m, (nbj__js_about){ NULL, NULL }, &o, &error), NBJ_E_BAD_REPLY);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nbj__pub_ack ack;
    nbj_error error = { 0 };
    nbj_msg m = with("{\"stream\":\"S\",\"seq\":7}");
    if (!ts_malloc_fail_works())
        skip();
    ts_malloc_fail_arm(0); /* the JSON library's; it does not survive the loss of every later one */
    nbj_status st = nbj__pub_ack_read(&m, &ack, &error);
    assert_true(ts_malloc_fail_disarm());
    assert_int_equal(st, NBJ_E_NOMEM);
    assert_int_equal(error.status, NBJ_E_NOMEM);
}

/* A total that does not fit is not cut, which would make it another number. */
static void test_a_very_large_total(void **state)
{
    (void)state;
    char text[400] = "{\"stream\":\"S\",\"seq\":3,\"val\":\"";
    nbj__pub_ack ack;
    nbj_error error = { 0 };

    memset(text + strlen(text), '7', 300);
    strcat(text, "\"}");
    nbj_msg m = with(text);
    assert_int_equal(nbj__pub_ack_parse(&m, &ack, &error), NBJ_OK);
    assert_int_equal(ack.sequence, 3);
    assert_string_equal(ack.value, "");
}

/* A replicated stream that has not decided on the first one of that id. */
static void test_a_duplicate_of_nothing_yet(void **state)
{
    (void)state;
    nbj__pub_ack ack;
    nbj_error error = { 0 };
    nbj_msg m = with("{\"stream\":\"S\",\"seq\":0,\"duplicate\": true}");

    assert_int_equal(nbj__pub_ack_parse(&m, &ack, &error), NBJ_E_JS_UNAVAILABLE);
    assert_int_equal(error.status, NBJ_E_JS_UNAVAILABLE);
}

/* Refusals name the stream, and what to do. */
static void test_refusals_have_remedies(void **state)
{
    (void)state;
    nbj__pub_ack ack;
    nbj_error error = { 0 };
    nbj_msg m = with("{\"error\":{\"code\":400,\"err_code\":10166,\"description\":\"per-message TTL is disabled\"},"
                     "\"stream\":\"S\",\"seq\":0}");

    assert_int_equal(nbj__pub_ack_parse(&m, &ack, &error), NBJ_E_JS);
    assert_string_equal(error.text,
                        "stream S: per-message TTL is disabled (10166); allow it with the stream's allow_msg_ttl");
    assert_int_equal(error.err_code, 10166);
    assert_string_equal(ack.stream, "");
}

/* What servers of each version write is read without the JSON library; what is a little different is not. */
static void test_the_usual_form(void **state)
{
    (void)state;
    static const char *const usual[] = {
        "{\"stream\":\"S\", \"seq\":1}",
        "{\"stream\":\"S\",\"seq\":12}",
        "{\"stream\":\"S\",\"seq\":12,\"duplicate\": true}",
        "{\"stream\":\"S\", \"seq\":1,\"duplicate\": true}",
        "{\"stream\":\"S\",\"seq\":12,\"domain\":\"hub\"}",
        "{\"stream\":\"S\",\"seq\":9999999999999999999,\"domain\":\"hub\",\"duplicate\":true}",
        "{\"stream\":\"S\",\"seq\":1,\"val\":\"-12\"}",
    };
    static const char *const other[] = {
        "",
        "{",
        "{\"stream\":\"S\",\"seq\":1",
        "{\"stream\":\"S\",\"seq\":1} ",
        "{\"stream\":\"\",\"seq\":1}",
        "{\"stream\":\"S\",\"seq\":0}",
        "{\"stream\":\"S\",\"seq\":01}",
        "{\"stream\":\"S\",\"seq\":12345678901234567890}",
        "{\"stream\":\"S\\u0041\",\"seq\":1}",
        "{\"stream\":\"S\xc3\xa9\",\"seq\":1}",
        "{\"seq\":1,\"stream\":\"S\"}",
        "{\"stream\":\"S\",\"seq\":1,\"val\":\"\"}",
        "{\"stream\":\"S\",\"seq\":1,\"val\":1}",
        "{\"stream\":\"S\",\"seq\":1,\"val\":\"1\",\"duplicate\":true}",
        "{\"error\":{\"code\":503,\"err_code\":10008}}",
    };
    nbj__pub_ack ack;
    for (size_t i = 0; i < COUNT(usual); i++)
        CHECK(usual[i], nbj__pub_ack_scan(nbj_str(usual[i]), &ack) && strcmp(ack.stream, "S") == 0);
    for (size_t i = 0; i < COUNT(other); i++)
        CHECK(other[i], !nbj__pub_ack_scan(nbj_str(other[i]), &ack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_bad_acks),
        cmocka_unit_test(test_error_codes),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_the_usual_form),
        cmocka_unit_test(test_a_very_large_total),
        cmocka_unit_test(test_refusals_have_remedies),
        cmocka_unit_test(test_a_duplicate_of_nothing_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
