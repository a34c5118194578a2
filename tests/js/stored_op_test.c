/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about messages of a stream, request for request, with answers that no server of the live tests gives:
 * js/stored_op.h. */
#include "js/stored_op.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OBJECT(...) (&(nbj_read_options){ __VA_ARGS__ })

static nbj_error error;
static uint64_t seen[32];
static size_t seen_count, enough;

static bool see(void *whom, const nbj_stored_msg *msg)
{
    assert_ptr_equal(whom, &seen_count);
    assert_true(seen_count < COUNT(seen));
    seen[seen_count++] = nbj_stored_msg_sequence(msg);
    return seen_count != enough;
}

/* |op| at its first step, with a server of version 2.|minor|. */
static nbj_status begin(nbj__op *op, uint32_t minor)
{
    assert_non_null(op);
    assert_int_equal(nbj__js_where_set(&op->where, NULL, NULL), NBJ_OK);
    op->where.version = (nbj__server_version){ 2, minor, 0 };
    error = (nbj_error){ 0 };
    return op->step(op, NBJ_OK, NULL, &error);
}

static nbj__op *reading(const nbj_read_options *read)
{
    seen_count = enough = 0;
    nbj__op *op = nbj__stored_read_new(&nbj__malloc_allocator, "S", read, see, &seen_count);
    assert_int_equal(begin(op, 11), NBJ_MORE);
    return op;
}

static void expect(const nbj__op *op, const char *subject, const char *body)
{
    nbj_bytes got = nbj__buf_view(&op->body);

    if (strcmp(op->subject, subject) != 0 || !nbj_bytes_equal(got, nbj_str(body)))
        TS_FAIL("asked %s %.*s\nwant  %s %s", op->subject, NBJ_FMT(got), subject, body);
}

static nbj_status hears(nbj__op *op, const char *headers, const char *payload)
{
    nbj_msg m = { .headers = exact_copy(headers), .payload = exact_copy(payload) };
    nbj_status st = op->step(op, NBJ_OK, &m, &error);

    exact_free(m.headers);
    exact_free(m.payload);
    assert_true(st == NBJ_MORE || st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    return st;
}

static nbj_status ends(nbj__op *op, nbj_status status)
{
    nbj_status st = op->step(op, status, NULL, &error);

    assert_true(st == NBJ_MORE || st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    return st;
}

static const char *plain(uint64_t sequence)
{
    static char text[200];

    snprintf(text, sizeof text,
             "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: a\r\nNats-Sequence: %llu\r\n"
             "Nats-Time-Stamp: 2025-11-20T15:04:05Z\r\n\r\n",
             (unsigned long long)sequence);
    return text;
}

/* A message of a batch, sent behind |previous|. */
static const char *one(uint64_t sequence, uint64_t previous, uint64_t pending)
{
    static char text[300];
    const char *head = plain(sequence);

    snprintf(text, sizeof text, "%.*sNats-Num-Pending: %llu\r\nNats-Last-Sequence: %llu\r\n\r\n", (int)strlen(head) - 2,
             head, (unsigned long long)pending, (unsigned long long)previous);
    return text;
}

#define EOB(pending, last) "NATS/1.0 204 EOB\r\nNats-Num-Pending: " pending "\r\nNats-Last-Sequence: " last "\r\n\r\n"

static void done(nbj__op *op, uint64_t messages, uint64_t last)
{
    assert_int_equal(nbj__stored_read_result(op)->messages, messages);
    assert_int_equal(nbj__stored_read_result(op)->last_sequence, last);
    assert_int_equal(seen_count, messages);
    nbj__op_free(op);
}

/* --- one --- */

static nbj__op *getting(nbj_get_options get, uint32_t minor)
{
    nbj__op *op = nbj__stored_get_new(&nbj__malloc_allocator, "S", &get);

    assert_int_equal(begin(op, minor), NBJ_MORE);
    return op;
}

static void test_get_requests(void **state)
{
    char long_subject[1000];
    static const struct {
        nbj_get_options get;
        const char *verb, *body;
    } cases[] = {
        { { .sequence = UINT64_MAX }, "STREAM.MSG.GET.S", "{\"seq\":18446744073709551615}" },
        { { .last_of = "a\"*" }, "STREAM.MSG.GET.S", "{\"last_by_subj\":\"a\\\"*\"}" },
        { { .next_of = "a.*", .sequence = 5 }, "STREAM.MSG.GET.S", "{\"seq\":5,\"next_by_subj\":\"a.*\"}" },
        { { .sequence = 5, .direct = true }, "DIRECT.GET.S", "{\"seq\":5}" },
        { { .last_of = "a.b", .direct = true }, "DIRECT.GET.S.a.b", "" },
        { { .last_of = "a.*", .direct = true }, "DIRECT.GET.S", "{\"last_by_subj\":\"a.*\"}" },
        { { .next_of = "a.b", .direct = true }, "DIRECT.GET.S", "{\"seq\":0,\"next_by_subj\":\"a.b\"}" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char subject[100];
        nbj__op *op = getting(cases[i].get, 10);
        snprintf(subject, sizeof subject, "$JS.API.%s", cases[i].verb);
        expect(op, subject, cases[i].body);
        assert_false(op->many);
        assert_int_equal(op->wait_ns > 0, cases[i].get.direct); /* not all of the call's time */
        nbj__op_free(op);
    }
    memset(long_subject, 's', sizeof long_subject - 1); /* too long for the request's subject: in its body, uncut */
    long_subject[sizeof long_subject - 1] = '\0';
    nbj__op *op = getting((nbj_get_options){ .last_of = long_subject, .direct = true }, 10);
    assert_string_equal(op->subject, "$JS.API.DIRECT.GET.S");
    assert_int_equal(nbj__buf_len(&op->body), strlen("{\"last_by_subj\":\"\"}") + 999);
    nbj__op_free(op);
}

static void test_get_by_version(void **state)
{
    (void)state;
    nbj__op *op = getting((nbj_get_options){ .sequence = 1, .direct = true }, 8);
    expect(op, "$JS.API.STREAM.MSG.GET.S", "{\"seq\":1}"); /* there is no direct get */
    nbj__op_free(op);
    op = nbj__stored_get_new(&nbj__malloc_allocator, "S", &(nbj_get_options){ .next_of = "a" });
    assert_int_equal(begin(op, 8), NBJ_E_UNSUPPORTED);
    CHECK(error.text, strstr(error.text, "next message of a subject needs nats-server 2.9.0") != NULL);
    nbj__op_free(op);
}

static void test_get_goes_to_the_leader(void **state)
{
    static const nbj_status silence[] = { NBJ_E_NO_RESPONDERS, NBJ_E_TIMEOUT };

    (void)state;
    for (size_t i = 0; i < COUNT(silence); i++) {
        nbj__op *op = getting((nbj_get_options){ .last_of = "a.b", .direct = true }, 10);
        assert_int_equal(ends(op, silence[i]), NBJ_MORE);
        expect(op, "$JS.API.STREAM.MSG.GET.S", "{\"last_by_subj\":\"a.b\"}");
        assert_int_equal(op->wait_ns, 0);
        assert_int_equal(ends(op, silence[i]), silence[i]); /* no further fallback */
        nbj__op_free(op);
    }
    nbj__op *op = getting((nbj_get_options){ .sequence = 1, .direct = true }, 10);
    assert_int_equal(ends(op, NBJ_E_CLOSED), NBJ_E_CLOSED);
    nbj__op_free(op);
}

static void test_get_direct_statuses(void **state)
{
    static const struct {
        const char *headers;
        nbj_status want;
        int code;
    } cases[] = {
        { "NATS/1.0 404 Message Not Found\r\n\r\n", NBJ_E_NOT_FOUND, 404 },
        { "NATS/1.0 408 Empty Request\r\n\r\n", NBJ_E_JS, 408 },
        { "NATS/1.0 412 Required Api Level\r\n\r\n", NBJ_E_UNSUPPORTED, 412 },
        { "NATS/1.0 413 Too Many Results\r\n\r\n", NBJ_E_JS, 413 },
        { "NATS/1.0 429 Too Many Requests\r\n\r\n", NBJ_E_JS_UNAVAILABLE, 429 },
        { "NATS/1.0 500 What\r\n\r\n", NBJ_E_BAD_REPLY, 0 },
        { "NATS/1.0\r\n\r\n", NBJ_E_BAD_REPLY, 0 },
        { "", NBJ_E_BAD_REPLY, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__op *op = getting((nbj_get_options){ .sequence = 1, .direct = true }, 10);
        CHECK(cases[i].headers, hears(op, cases[i].headers, "") == cases[i].want);
        CHECK(cases[i].headers, error.code == cases[i].code && strstr(error.text, "stream S") != NULL);
        CHECK(cases[i].headers, nbj__stored_get_take(op) == NULL);
        nbj__op_free(op);
    }
}

/* What was not asked for is not taken for an answer. */
static void test_get_another_message(void **state)
{
    static const struct {
        nbj_get_options get;
        uint64_t answer;
        bool is_right;
    } cases[] = {
        { { .sequence = 5 }, 5, true },
        { { .sequence = 5 }, 6, false },
        { { .next_of = "a", .sequence = 5 }, 4, false },
        { { .next_of = "a", .sequence = 5 }, 5, true },
        { { .next_of = "a", .sequence = 5 }, 6, true },
        { { .next_of = "a" }, 1, true },
        { { .last_of = "a" }, 1, true },
    };
    char json[200];

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        nbj_get_options get = cases[i / 2].get;
        nbj_status want = cases[i / 2].is_right ? NBJ_OK : NBJ_E_BAD_REPLY;
        get.direct = i % 2 == 1;
        snprintf(json, sizeof json, "{\"message\":{\"subject\":\"a\",\"seq\":%llu,\"time\":\"2025-11-20T15:04:05Z\"}}",
                 (unsigned long long)cases[i / 2].answer);
        nbj__op *op = getting(get, 10);
        assert_int_equal(get.direct ? hears(op, plain(cases[i / 2].answer), "x") : hears(op, "", json), want);
        nbj_stored_msg *m = want == NBJ_OK ? nbj__stored_get_take(op) : NULL;
        assert_int_equal(m != NULL, want == NBJ_OK);
        nbj_stored_msg_release(m);
        nbj__op_free(op);
    }
    nbj__op *op = getting((nbj_get_options){ .sequence = 5 }, 10);
    assert_int_equal(hears(op, "", "{\"message\":{}}"), NBJ_E_BAD_REPLY);
    nbj__op_free(op);
}

/* --- deleting --- */

static void test_delete(void **state)
{
    static const struct {
        const char *answer;
        nbj_status want;
        const char *text;
    } cases[] = {
        { "{\"success\":true}", NBJ_OK, "" },
        { "{\"success\":false}", NBJ_E_BAD_REPLY, "does not say" },
        { "{}", NBJ_E_BAD_REPLY, "does not say" },
        { "{\"error\":{\"code\":400,\"err_code\":10043,\"description\":\"sequence 2 not found\"}}", NBJ_E_NOT_FOUND,
          "stream S: sequence 2 not found (10043)" },
        { "{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"stream store EOF\"}}", NBJ_E_NOT_FOUND,
          "stream S: no message found" },
        { "{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"no message found\"}}", NBJ_E_NOT_FOUND,
          "stream S: no message found" },
        { "{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"message delete not permitted\"}}", NBJ_E_JS,
          "stream S: message delete not permitted (10057); the stream has deny_delete" },
        { "{\"error\":{\"code\":500,\"err_code\":10057,\"description\":\"disk on fire\"}}", NBJ_E_JS,
          "stream S: disk on fire (10057)" },
        { "{\"error\":{\"code\":400,\"err_code\":10109,\"description\":\"invalid operation on sealed stream\"}}",
          NBJ_E_JS, "stream S: invalid operation on sealed stream (10109); that is for good" },
        { "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}", NBJ_E_STREAM_NOT_FOUND,
          "stream S: stream not found (10059)" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__op *op = nbj__stored_delete_new(&nbj__malloc_allocator, "S", 2, i % 2 == 1);
        assert_int_equal(begin(op, 9), NBJ_MORE);
        expect(op, "$JS.API.STREAM.MSG.DELETE.S", i % 2 == 1 ? "{\"seq\":2}" : "{\"seq\":2,\"no_erase\":true}");
        CHECK(cases[i].answer, hears(op, "", cases[i].answer) == cases[i].want);
        CHECK(error.text, strstr(error.text, cases[i].text) != NULL);
        nbj__op_free(op);
    }
    nbj__op *op = nbj__stored_delete_new(&nbj__malloc_allocator, "S", 2, false);
    assert_int_equal(begin(op, 9), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_E_TIMEOUT), NBJ_E_TIMEOUT);
    nbj__op_free(op);
}

/* --- reading --- */

static void test_read_requests(void **state)
{
    nbj_header header;
    char level[16];

    (void)state;
    nbj__op *op = reading(OBJECT(.sequence = 0));
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":1000,\"max_bytes\":4194304,\"next_by_subj\":\">\"}");
    assert_true(op->many && op->stall_ns > 0);
    nbj__outgoing m = nbj__op_request(op, &header, level); /* so that an older server of a mixed cluster refuses it */
    assert_int_equal(m.header_count, 1);
    assert_true(nbj_bytes_equal(header.name, nbj_str("Nats-Required-Api-Level")) &&
                nbj_bytes_equal(header.value, nbj_str("1")));
    nbj__op_free(op);
    op = reading(OBJECT(.sequence = 7, .subject = "a.*", .max_messages = 3, .max_bytes = 9));
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":3,\"max_bytes\":9,\"seq\":7,\"next_by_subj\":\"a.*\"}");
    nbj__op_free(op);
    op = reading(OBJECT(.from_time_ns = 1, .batch = 2, .max_messages = 3));
    expect(
        op, "$JS.API.DIRECT.GET.S",
        "{\"batch\":2,\"max_bytes\":4194304,\"start_time\":\"1970-01-01T00:00:00.000000001Z\",\"next_by_subj\":\">\"}");
    nbj__op_free(op);
    op = reading(OBJECT(.last_of = NBJ_LIST("a", "b.*"), .up_to_time_ns = UINT64_MAX, .batch = 2));
    expect(op, "$JS.API.DIRECT.GET.S",
           "{\"batch\":2,\"max_bytes\":4194304,\"multi_last\":[\"a\",\"b.*\"],"
           "\"up_to_time\":\"2262-04-11T23:47:16.854775807Z\"}");
    nbj__op_free(op);
    op = reading(OBJECT(.last_of = NBJ_LIST("a"), .up_to_sequence = 9, .sequence = 4, .batch = 2));
    expect(op, "$JS.API.DIRECT.GET.S",
           "{\"batch\":2,\"max_bytes\":4194304,\"seq\":4,\"multi_last\":[\"a\"],\"up_to_seq\":9}");
    nbj__op_free(op);
}

static void test_read_over_several_batches(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.batch = 2, .max_messages = 5, .from_time_ns = 1));
    assert_int_equal(hears(op, one(10, 0, 8), "x"), NBJ_MORE);
    assert_int_equal(hears(op, one(12, 10, 7), ""), NBJ_MORE);
    assert_int_equal(hears(op, EOB("7", "12"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":2,\"max_bytes\":4194304,\"seq\":13,\"next_by_subj\":\">\"}");
    assert_int_equal(hears(op, one(13, 0, 6), "x"), NBJ_MORE);
    assert_int_equal(hears(op, one(14, 13, 5), "x"), NBJ_MORE);
    assert_int_equal(hears(op, EOB("5", "14"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":1,\"max_bytes\":4194304,\"seq\":15,\"next_by_subj\":\">\"}");
    assert_int_equal(hears(op, one(20, 0, 4), "x"), NBJ_OK); /* the last that was wanted: its EOB is not waited for */
    assert_int_equal(nbj__stored_read_result(op)->pending, 4);
    done(op, 5, 20);
}

static void test_read_ends(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.batch = 2)); /* all were there */
    assert_int_equal(hears(op, one(10, 0, 1), "x"), NBJ_MORE);
    assert_int_equal(hears(op, one(11, 10, 0), "x"), NBJ_MORE);
    assert_int_equal(hears(op, EOB("0", "11"), ""), NBJ_OK);
    done(op, 2, 11);
    op = reading(OBJECT(.batch = 2)); /* the rest was deleted meanwhile */
    assert_int_equal(hears(op, one(10, 0, 1), "x"), NBJ_MORE);
    assert_int_equal(hears(op, EOB("1", "10"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    assert_int_equal(hears(op, "NATS/1.0 404 Message Not Found\r\n\r\n", ""), NBJ_OK);
    assert_int_equal(nbj__stored_read_result(op)->pending, 1);
    done(op, 1, 10);
    op = reading(OBJECT(.batch = 2)); /* there were none */
    assert_int_equal(hears(op, "NATS/1.0 404 Message Not Found\r\n\r\n", ""), NBJ_OK);
    done(op, 0, 0);
    op = reading(OBJECT(.batch = 2)); /* the program has enough */
    enough = 1;
    assert_int_equal(hears(op, one(10, 0, 9), "x"), NBJ_OK);
    assert_int_equal(nbj__stored_read_result(op)->pending, 9);
    done(op, 1, 10);
}

static void test_last_of_keeps_its_moment(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.last_of = NBJ_LIST("a.>"), .batch = 1));
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":1,\"max_bytes\":4194304,\"multi_last\":[\"a.>\"]}");
    assert_int_equal(hears(op, one(3, 0, 1), "x"), NBJ_MORE);
    assert_int_equal(hears(op,
                           "NATS/1.0 204 EOB\r\nNats-Num-Pending: 1\r\nNats-Last-Sequence: 3\r\n"
                           "Nats-UpTo-Sequence: 7\r\n\r\n",
                           ""),
                     NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    expect(op, "$JS.API.DIRECT.GET.S",
           "{\"batch\":1,\"max_bytes\":4194304,\"seq\":4,\"multi_last\":[\"a.>\"],\"up_to_seq\":7}");
    assert_int_equal(hears(op, "NATS/1.0 404 No Results\r\n\r\n", ""), NBJ_OK);
    assert_int_equal(nbj__stored_read_result(op)->up_to_sequence, 7);
    done(op, 1, 3);

    op = reading(OBJECT(.last_of = NBJ_LIST("a.>"), .batch = 2)); /* which moment it was came to be lost */
    assert_int_equal(hears(op, one(3, 0, 1), "x"), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_E_DISCONNECTED);
    done(op, 1, 3);
    op = reading(OBJECT(.last_of = NBJ_LIST("a.>"), .batch = 2, .up_to_sequence = 9)); /* or is known */
    assert_int_equal(hears(op, one(3, 0, 1), "x"), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    expect(op, "$JS.API.DIRECT.GET.S",
           "{\"batch\":2,\"max_bytes\":4194304,\"seq\":4,\"multi_last\":[\"a.>\"],\"up_to_seq\":9}");
    done(op, 1, 3);
}

/* Of a batch of which something is missing, nothing behind the gap is handed out; it is asked for again. */
static void test_read_leaves_nothing_out(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, one(1, 0, 4), "x"), NBJ_MORE);
    assert_int_equal(hears(op, one(3, 2, 2), "x"), NBJ_MORE); /* 2 was lost */
    assert_int_equal(hears(op, one(4, 3, 1), "x"), NBJ_MORE);
    assert_int_equal(hears(op, EOB("0", "5"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":5,\"max_bytes\":4194304,\"seq\":2,\"next_by_subj\":\">\"}");
    assert_int_equal(hears(op, one(2, 0, 3), "x"), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE); /* the end was lost, too */
    expect(op, "$JS.API.DIRECT.GET.S", "{\"batch\":5,\"max_bytes\":4194304,\"seq\":3,\"next_by_subj\":\">\"}");
    assert_int_equal(hears(op, one(3, 0, 0), "x"), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_E_NOMEM), NBJ_E_NOMEM); /* an answer could not be kept */
    done(op, 3, 3);
}

/* A server that never comes to an end does not get us to ask for ever. */
static void test_read_without_progress(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, EOB("9", "0"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_E_BAD_REPLY);
    done(op, 0, 0);
    op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, one(5, 0, 4), "x"), NBJ_MORE);
    assert_int_equal(hears(op, EOB("4", "5"), ""), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    assert_int_equal(hears(op, one(5, 0, 4), "x"), NBJ_MORE); /* the same again */
    assert_int_equal(ends(op, NBJ_OK), NBJ_E_BAD_REPLY);
    done(op, 1, 5);
    op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, one(5, 0, 4), "x"), NBJ_MORE);
    assert_int_equal(hears(op, "NATS/1.0 500 What\r\n\r\n", ""), NBJ_E_BAD_REPLY);
    done(op, 1, 5);
}

static void test_read_of_an_older_server(void **state)
{
    (void)state;
    nbj__op *op = reading(OBJECT(.batch = 5)); /* the one we are connected to is new enough: it went on to another */
    assert_int_equal(hears(op, plain(1), "x"), NBJ_E_UNSUPPORTED);
    CHECK(error.text, strstr(error.text, "2.11.0") != NULL && strstr(error.text, "stream S") != NULL);
    done(op, 0, 0);
    op = reading(OBJECT(.last_of = NBJ_LIST("a")));
    assert_int_equal(hears(op, "NATS/1.0 408 Empty Request\r\n\r\n", ""), NBJ_E_UNSUPPORTED);
    done(op, 0, 0);
    op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, "NATS/1.0 412 Required Api Level\r\n\r\n", ""), NBJ_E_UNSUPPORTED);
    done(op, 0, 0);
    op = reading(OBJECT(.batch = 5));
    assert_int_equal(hears(op, "NATS/1.0 408 Bad Request\r\n\r\n", ""), NBJ_E_JS);
    done(op, 0, 0);
    op = nbj__stored_read_new(&nbj__malloc_allocator, "S", OBJECT(.batch = 5), see, &seen_count);
    assert_int_equal(begin(op, 10), NBJ_E_UNSUPPORTED); /* not even sent */
    done(op, 0, 0);
}

static void test_read_that_nobody_hears(void **state)
{
    static const struct {
        const char *answer;
        nbj_status want;
        const char *text;
    } cases[] = {
        { "{\"config\":{\"name\":\"S\",\"allow_direct\":false}}", NBJ_E_STATE, "does not allow direct get; set" },
        { "{\"config\":{\"name\":\"S\"}}", NBJ_E_STATE, "does not allow direct get; set" },
        { "{\"config\":{\"name\":\"S\",\"allow_direct\":true}}", NBJ_E_JS_UNAVAILABLE, "try again" },
        { "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}", NBJ_E_STREAM_NOT_FOUND,
          "stream S: stream not found" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__op *op = reading(OBJECT(.batch = 5));
        assert_int_equal(ends(op, NBJ_E_NO_RESPONDERS), NBJ_MORE);
        expect(op, "$JS.API.STREAM.INFO.S", "");
        assert_int_equal(op->required_level, 0);
        assert_false(op->many);
        CHECK(cases[i].answer, hears(op, "", cases[i].answer) == cases[i].want);
        CHECK(error.text, strstr(error.text, cases[i].text) != NULL);
        done(op, 0, 0);
    }
    nbj__op *op = reading(OBJECT(.batch = 5));
    assert_int_equal(ends(op, NBJ_E_NO_RESPONDERS), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_E_PERMISSION_PUBLISH),
                     NBJ_E_NO_RESPONDERS); /* what may not be asked is not the reason */
    CHECK(error.text, strstr(error.text, "stream S: nobody answers a direct get") != NULL);
    done(op, 0, 0);
    op = reading(OBJECT(.batch = 1)); /* later it is what happened meanwhile */
    assert_int_equal(hears(op, one(5, 0, 4), "x"), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_OK), NBJ_MORE);
    assert_int_equal(ends(op, NBJ_E_NO_RESPONDERS), NBJ_E_NO_RESPONDERS);
    done(op, 1, 5);
}

/* --- without memory --- */

static nbj_status converse(const nbj_allocator *alloc, void *ctx)
{
    nbj__op *op[] = {
        nbj__stored_get_new(alloc, "S", &(nbj_get_options){ .last_of = "a", .direct = true }),
        nbj__stored_get_new(alloc, "S", &(nbj_get_options){ .next_of = "a" }),
        nbj__stored_delete_new(alloc, "S", 1, false),
        nbj__stored_read_new(alloc, "S", OBJECT(.subject = "a", .batch = 1), see, &seen_count),
        nbj__stored_read_new(alloc, "S", OBJECT(.last_of = NBJ_LIST("a", "b"), .batch = 1), see, &seen_count),
    };
    nbj_status worst = NBJ_OK;

    (void)ctx;
    seen_count = enough = 0;
    for (size_t i = 0; i < COUNT(op); i++) {
        nbj_status st = op[i] != NULL ? begin(op[i], 12) : NBJ_E_NOMEM;
        if (st == NBJ_MORE && i == 0)
            st = hears(op[i], plain(1), "x");
        else if (st == NBJ_MORE)
            st = NBJ_OK;
        worst = worst == NBJ_OK ? st : worst;
        nbj__op_free(op[i]);
    }
    return worst;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(converse, NULL) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_requests),
        cmocka_unit_test(test_get_by_version),
        cmocka_unit_test(test_get_goes_to_the_leader),
        cmocka_unit_test(test_get_direct_statuses),
        cmocka_unit_test(test_get_another_message),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_read_requests),
        cmocka_unit_test(test_read_over_several_batches),
        cmocka_unit_test(test_read_ends),
        cmocka_unit_test(test_last_of_keeps_its_moment),
        cmocka_unit_test(test_read_leaves_nothing_out),
        cmocka_unit_test(test_read_without_progress),
        cmocka_unit_test(test_read_of_an_older_server),
        cmocka_unit_test(test_read_that_nobody_hears),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
