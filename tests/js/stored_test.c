/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps, in both forms in which they come: js/stored.h. */
#include "js/stored.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TIME "2025-11-20T15:04:05.123456789Z"
#define TIME_NS UINT64_C(1763651045123456789)
#define ADDED(stream, subject, seq, time) \
    "Nats-Stream: " stream "\r\nNats-Subject: " subject "\r\nNats-Sequence: " seq "\r\nNats-Time-Stamp: " time "\r\n"
#define USUAL ADDED("S", "a.b", "7", TIME)

static nbj_msg answer(const char *headers, const char *payload)
{
    return (nbj_msg){ .headers = exact_copy(headers), .payload = nbj_str(payload) };
}

/* "name=value;" of each, and '!' where they are broken. */
static const char *headers_of(const nbj_stored_msg *m)
{
    static char text[512];
    size_t cursor = 0;
    nbj_header h;
    nbj_status st;
    size_t n = 0;

    text[0] = '\0';
    while ((st = nbj_stored_msg_header_next(m, &cursor, &h)) == NBJ_OK)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s=%.*s;", NBJ_FMT(h.name), NBJ_FMT(h.value));
    snprintf(text + n, sizeof text - n, "%s", st == NBJ_MORE ? "" : "!");
    return text;
}

/* --- directly --- */

static const struct {
    const char *headers, *want;
    bool is_of_batch;
    uint64_t pending, previous;
} direct[] = {
    { "NATS/1.0\r\n" USUAL "\r\n", "", false, 0, 0 },
    { "NATS/1.0\r\nA: 1\r\nB:\r\nA:2\r\n" USUAL "\r\n", "A=1;B=;A=2;", false, 0, 0 },
    { "NATS/1.0\r\n" USUAL "Nats-Num-Pending: 5\r\nNats-Last-Sequence: 3\r\n\r\n", "", true, 5, 3 },
    { "NATS/1.0\r\n" USUAL "Nats-Num-Pending: 0\r\nNats-Last-Sequence: 0\r\n\r\n", "", true, 0, 0 },
    { "NATS/1.0\r\n" USUAL "Nats-Num-Pending: 5\r\n\r\n", "", false, 5, 0 },
    { "NATS/1.0\r\n" USUAL "Nats-Num-Pending: x\r\nNats-Last-Sequence: 3\r\n\r\n", "", false, 0, 0 },
    /* its own headers with the same names */
    { "NATS/1.0\r\n" ADDED("X", "x", "1", "t") "Nats-Num-Pending: 5\r\nNats-Last-Sequence: 3\r\n" USUAL "\r\n",
      "Nats-Stream=X;Nats-Subject=x;Nats-Sequence=1;Nats-Time-Stamp=t;Nats-Num-Pending=5;Nats-Last-Sequence=3;", false,
      0, 0 },
    { "NATS/1.0\r\nNats-Subject: x\r\n" USUAL "Nats-Num-Pending: 2\r\nNats-Last-Sequence: 1\r\n\r\n", "Nats-Subject=x;",
      true, 2, 1 },
    /* another order, another letter case, and what later servers may add */
    { "NATS/1.0\r\nA: 1\r\nNats-Time-Stamp: " TIME
      "\r\nNats-Sequence: 7\r\nNats-Subject: a.b\r\nNats-Stream: S\r\n\r\n",
      "A=1;", false, 0, 0 },
    { "NATS/1.0\r\nnats-stream: x\r\n" USUAL "Nats-More: 1\r\n\r\n", "nats-stream=x;", false, 0, 0 },
    /* stored with a status, or with what are no headers */
    { "NATS/1.0 503\r\nA: 1\r\n" USUAL "\r\n", "A=1;", false, 0, 0 },
    { "NATS/1.0\r\nA: 1\r\nbroken\r\nB: 2\r\n" USUAL "\r\n", "A=1;!", false, 0, 0 },
    { "NATS/1.0\r\nA: 1\r\n\r\nB: 2\r\n" USUAL "\r\n", "A=1;", false, 0, 0 },
    { "NATS/1.0\nA: 1\n" USUAL "\r\n", "A=1;", false, 0, 0 },
};

static void test_direct(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(direct); i++) {
        const char *name = direct[i].headers;
        nbj_msg a = answer(name, "data");
        nbj__direct d;
        CHECK(name, nbj__stored_from_direct(&nbj__malloc_allocator, &a, &d));
        CHECK(name, nbj_bytes_equal(nbj_stored_msg_stream(&d.msg), nbj_str("S")));
        CHECK(name, nbj_bytes_equal(nbj_stored_msg_subject(&d.msg), nbj_str("a.b")));
        CHECK(name, nbj_bytes_equal(nbj_stored_msg_data(&d.msg), nbj_str("data")));
        CHECK(name, nbj_stored_msg_sequence(&d.msg) == 7 && nbj_stored_msg_stored_at_ns(&d.msg) == TIME_NS);
        CHECK(name, d.is_of_batch == direct[i].is_of_batch);
        CHECK(name, d.pending == direct[i].pending && d.previous == direct[i].previous);
        CHECK(name, strcmp(headers_of(&d.msg), direct[i].want) == 0);
        exact_free(a.headers);
    }
}

static void test_direct_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "NATS/1.0 404 Message Not Found\r\n\r\n",
        "NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\nNats-Last-Sequence: 4\r\n\r\n",
        "NATS/1.0\r\n\r\n",
        "NATS/1.0\r\nNats-Subject: a\r\nNats-Sequence: 7\r\nNats-Time-Stamp: " TIME "\r\n\r\n",
        "NATS/1.0\r\nNats-Stream: S\r\nNats-Sequence: 7\r\nNats-Time-Stamp: " TIME "\r\n\r\n",
        "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: a\r\nNats-Time-Stamp: " TIME "\r\n\r\n",
        "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: a\r\nNats-Sequence: 7\r\n\r\n",
        "NATS/1.0\r\n" ADDED("", "a", "7", TIME) "\r\n",
        "NATS/1.0\r\n" ADDED("S", "", "7", TIME) "\r\n",
        "NATS/1.0\r\n" ADDED("S", "a", "0", TIME) "\r\n",
        "NATS/1.0\r\n" ADDED("S", "a", "-7", TIME) "\r\n",
        "NATS/1.0\r\n" ADDED("S", "a", "18446744073709551616", TIME) "\r\n",
        "NATS/1.0\r\n" ADDED("S", "a", "7", "yesterday") "\r\n",
        "NATS/1.0\r\nNats-Stream: S",
        "Nats-Stream",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_msg a = answer(cases[i], "data");
        nbj__direct d;
        CHECK(cases[i], !nbj__stored_from_direct(&nbj__malloc_allocator, &a, &d));
        exact_free(a.headers);
    }
}

static void test_header_by_name(void **state)
{
    nbj_msg a = answer("NATS/1.0\r\nA: 1\r\nA: 2\r\nbroken\r\nB: 3\r\n" USUAL "\r\n", "");
    nbj__direct d;
    nbj_bytes value;

    (void)state;
    assert_true(nbj__stored_from_direct(&nbj__malloc_allocator, &a, &d));
    assert_int_equal(nbj_stored_msg_header(&d.msg, "A", &value), NBJ_OK);
    assert_true(nbj_bytes_equal(value, nbj_str("1")));
    assert_int_equal(nbj_stored_msg_header(&d.msg, "B", &value), NBJ_E_BAD_HEADER);
    assert_int_equal(value.len, 0);
    exact_free(a.headers);
}

/* A view that is retained becomes a copy; a copy is one object. */
static void test_retain(void **state)
{
    nbj_msg a = answer("NATS/1.0\r\nA: 1\r\n" USUAL "\r\n", "data");
    nbj__direct d;

    (void)state;
    assert_true(nbj__stored_from_direct(&nbj__malloc_allocator, &a, &d));
    nbj_stored_msg_release(&d.msg); /* nothing to give back */
    nbj_stored_msg *copy = nbj_stored_msg_retain(&d.msg);
    assert_non_null(copy);
    exact_free(a.headers);
    memset(&d, 0, sizeof d);
    assert_ptr_equal(nbj_stored_msg_retain(copy), copy);
    nbj_stored_msg_release(copy);
    assert_true(nbj_bytes_equal(nbj_stored_msg_stream(copy), nbj_str("S")));
    assert_true(nbj_bytes_equal(nbj_stored_msg_subject(copy), nbj_str("a.b")));
    assert_true(nbj_bytes_equal(nbj_stored_msg_data(copy), nbj_str("data")));
    assert_true(nbj_stored_msg_sequence(copy) == 7 && nbj_stored_msg_stored_at_ns(copy) == TIME_NS);
    assert_string_equal(headers_of(copy), "A=1;");
    nbj_stored_msg_release(copy);
}

/* --- as JSON --- */

static nbj_status read_json(const nbj_allocator *alloc, const char *text, nbj_stored_msg **out)
{
    nbj__json *reply = NULL;

    assert_int_equal(nbj__json_parse(nbj_str(text), &reply), NBJ_OK);
    nbj_status st = nbj__stored_from_json(alloc, reply, nbj_str("S"), out);
    nbj__json_free(reply);
    return st;
}

#define AT ",\"time\":\"" TIME "\"}}"

static void test_json(void **state)
{
    static const struct {
        const char *text, *headers, *data;
    } cases[] = {
        { "{\"message\":{\"subject\":\"a.b\",\"seq\":7" AT, "", "" },
        { "{\"type\":\"x\",\"message\":{\"subject\":\"a.b\",\"seq\":7,\"data\":\"aGVsbG8=\"" AT, "", "hello" },
        { "{\"message\":{\"subject\":\"a.b\",\"seq\":7,\"hdrs\":\"TkFUUy8xLjANCkE6IGINCk5hdHMtU3ViamVjdDogbWluZQ0KDQo="
          "\",\"data\":\"\"" AT,
          "A=b;Nats-Subject=mine;", "" },
        { "{\"message\":{\"subject\":\"a.b\",\"seq\":7,\"hdrs\":\"TkFUUy8xLjANCg0K\",\"data\":null" AT, "", "" },
        { "{\"message\":{\"subject\":\"a.b\",\"seq\":7,\"hdrs\":\"eA==\"" AT, "!", "" }, /* "x" */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_stored_msg *m = NULL;
        CHECK(cases[i].text, read_json(&nbj__malloc_allocator, cases[i].text, &m) == NBJ_OK);
        CHECK(cases[i].text, nbj_bytes_equal(nbj_stored_msg_stream(m), nbj_str("S")));
        CHECK(cases[i].text, nbj_bytes_equal(nbj_stored_msg_subject(m), nbj_str("a.b")));
        CHECK(cases[i].text, nbj_bytes_equal(nbj_stored_msg_data(m), nbj_str(cases[i].data)));
        CHECK(cases[i].text, nbj_stored_msg_sequence(m) == 7 && nbj_stored_msg_stored_at_ns(m) == TIME_NS);
        CHECK(cases[i].text, strcmp(headers_of(m), cases[i].headers) == 0);
        nbj_stored_msg_release(m);
    }
}

static void test_json_is_none(void **state)
{
    static const char *const cases[] = {
        "{}",
        "{\"message\":[]}",
        "{\"message\":{}}",
        "{\"message\":{\"seq\":7" AT,
        "{\"message\":{\"subject\":\"\",\"seq\":7" AT,
        "{\"message\":{\"subject\":\"a\"" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":0" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":-1" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":\"7\"" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":7}}",
        "{\"message\":{\"subject\":\"a\",\"seq\":7,\"time\":\"x\"}}",
        "{\"message\":{\"subject\":\"a\",\"seq\":7,\"data\":\"aGVsbG8\"" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":7,\"data\":\"aGVs_G8=\"" AT,
        "{\"message\":{\"subject\":\"a\",\"seq\":7,\"data\":\"aGVsbG8=\",\"hdrs\":\"====\"" AT,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_stored_msg *m = (nbj_stored_msg *)&m;
        CHECK(cases[i], read_json(&nbj__malloc_allocator, cases[i], &m) == NBJ_E_BAD_REPLY);
        CHECK(cases[i], m == NULL);
    }
}

/* --- without memory --- */

static nbj_status make_both(const nbj_allocator *alloc, void *ctx)
{
    nbj_msg a = answer("NATS/1.0\r\n" USUAL "\r\n", "data");
    nbj_stored_msg *m = NULL;
    nbj__direct d;

    (void)ctx;
    nbj_status st = read_json(alloc, "{\"message\":{\"subject\":\"a\",\"seq\":7,\"data\":\"aGVsbG8=\"" AT, &m);
    nbj_stored_msg_release(m);
    assert_true(nbj__stored_from_direct(alloc, &a, &d));
    m = nbj_stored_msg_retain(&d.msg);
    exact_free(a.headers);
    nbj_stored_msg_release(m);
    return st != NBJ_OK || m != NULL ? st : NBJ_E_NOMEM;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(make_both, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),         cmocka_unit_test(test_direct_is_none),
        cmocka_unit_test(test_header_by_name), cmocka_unit_test(test_retain),
        cmocka_unit_test(test_json),           cmocka_unit_test(test_json_is_none),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
