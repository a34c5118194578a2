/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps: read one, delete one. Calls that wait, and callbacks on the library's thread. */
#define _GNU_SOURCE
#include "stored.h"

/* --- reading one --- */

static nbj_error get_failed(nbj_client *c, const char *stream, nbj_get_options o)
{
    nbj_stored_msg *m = (nbj_stored_msg *)&o;
    nbj_error error = { 0 };

    o.struct_size = sizeof o;
    nbj_status st = nbj_stored_get(c, stream, &o, NULL, &m, &error);
    assert_int_equal(st, error.status);
    assert_true(st != NBJ_OK && error.text[0] != '\0');
    assert_null(m);
    return error;
}

static void test_get(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "GET", DIRECT);
    assert_int_equal(put(c, "GET.a", nbj_str("one")), 1);
    assert_int_equal(put(c, "GET.b", nbj_str("two")), 2);
    assert_int_equal(put(c, "GET.a", nbj_str("three")), 3);
    assert_int_equal(put(c, "GET.c.d", nbj_str("")), 4);
    for (int direct = 0; direct < 2; direct++) {
        const struct {
            nbj_get_options o;
            uint64_t sequence;
            const char *subject, *data;
        } cases[] = {
            { { .sequence = 1 }, 1, "GET.a", "one" },
            { { .sequence = 4 }, 4, "GET.c.d", "" },
            { { .last_of = "GET.a" }, 3, "GET.a", "three" },
            { { .last_of = "GET.*" }, 3, "GET.a", "three" },
            { { .last_of = "GET.>" }, 4, "GET.c.d", "" },
            { { .next_of = "GET.a" }, 1, "GET.a", "one" },
            { { .next_of = "GET.a", .sequence = 2 }, 3, "GET.a", "three" },
            { { .next_of = "GET.a", .sequence = 3 }, 3, "GET.a", "three" },
            { { .next_of = "*.b", .sequence = 1 }, 2, "GET.b", "two" },
            { { .next_of = ">", .sequence = 4 }, 4, "GET.c.d", "" },
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
            nbj_get_options o = cases[i].o;
            o.direct = direct;
            nbj_stored_msg *m = get(c, "GET", o);
            check_msg(m, "GET", cases[i].subject, cases[i].sequence, cases[i].data);
            nbj_stored_msg_release(m);
        }
    }
}

static void test_get_finds_nothing(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "NONE", DIRECT);
    (void)put(c, "NONE.a", nbj_str("x"));
    for (int direct = 0; direct < 2; direct++) {
        const nbj_get_options cases[] = {
            { .sequence = 2, .direct = direct },       { .sequence = UINT64_MAX, .direct = direct },
            { .last_of = "NONE.b", .direct = direct }, { .last_of = "OTHER.*", .direct = direct },
            { .next_of = "NONE.b", .direct = direct }, { .next_of = "NONE.a", .sequence = 2, .direct = direct },
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
            nbj_error e = get_failed(c, "NONE", cases[i]);
            assert_int_equal(e.status, NBJ_E_NOT_FOUND);
            assert_int_equal(e.code, 404);
            CHECK(e.text, strstr(e.text, "stream NONE: no message found") != NULL);
        }
        nbj_error e = get_failed(c, "NOT_THERE", (nbj_get_options){ .sequence = 1, .direct = direct });
        assert_int_equal(e.status, NBJ_E_STREAM_NOT_FOUND); /* of a direct get too: the leader was asked */
        CHECK(e.text, strstr(e.text, "NOT_THERE") != NULL);
    }
}

static void test_get_refuses(void **state)
{
    static const struct {
        const char *stream;
        nbj_get_options o;
        nbj_status want;
    } cases[] = {
        { "S", { .struct_size = sizeof(nbj_get_options) }, NBJ_E_INVALID },
        { "S", { .sequence = 1, .last_of = "a" }, NBJ_E_INVALID },
        { "S", { .next_of = "a", .last_of = "a" }, NBJ_E_INVALID },
        { "a.b", { .sequence = 1 }, NBJ_E_INVALID },
        { "", { .sequence = 1 }, NBJ_E_INVALID },
        { NULL, { .sequence = 1 }, NBJ_E_INVALID },
        { "S", { .last_of = "a..b" }, NBJ_E_BAD_SUBJECT },
        { "S", { .last_of = "" }, NBJ_E_BAD_SUBJECT },
        { "S", { .next_of = ">.a" }, NBJ_E_BAD_SUBJECT },
    };
    nbj_client *c = open_one();
    nbj_stored_msg *m = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_error e = get_failed(c, cases[i].stream, cases[i].o);
        assert_int_equal(e.status, cases[i].want);
    }
    assert_int_equal(nbj_stored_get(c, "S", NULL, NULL, &m, NULL), NBJ_E_INVALID);
    nbj_get_options larger[2] = { { .struct_size = sizeof larger, .sequence = 1 }, { .struct_size = 1 } };
    assert_int_equal(nbj_stored_get(c, "S", larger, NULL, &m, NULL), NBJ_E_INVALID);
}

/* Without allow_direct: the leader is asked, at once where the server says that nobody listens. */
static void test_direct_get_where_there_is_none(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "LEADER", "");
    (void)put(c, "LEADER.a", nbj_str("x"));
    nbj_stored_msg *m = get(c, "LEADER", (nbj_get_options){ .sequence = 1, .direct = true });
    check_msg(m, "LEADER", "LEADER.a", 1, "x");
    nbj_stored_msg_release(m);
    m = get(c, "LEADER", (nbj_get_options){ .last_of = "LEADER.a", .direct = true });
    check_msg(m, "LEADER", "LEADER.a", 1, "x");
    nbj_stored_msg_release(m);
}

static const nbj_header several[] = {
    { { (const uint8_t *)"Nats-Subject", 12 }, { (const uint8_t *)"mine", 4 } },
    { { (const uint8_t *)"A", 1 }, { (const uint8_t *)"1", 1 } },
    { { (const uint8_t *)"Nats-Stream", 11 }, { (const uint8_t *)"OLD", 3 } },
    { { (const uint8_t *)"Nats-Sequence", 13 }, { (const uint8_t *)"77", 2 } },
    { { (const uint8_t *)"Nats-Time-Stamp", 15 }, { (const uint8_t *)"never", 5 } },
    { { (const uint8_t *)"Nats-Num-Pending", 16 }, { (const uint8_t *)"5", 1 } },
    { { (const uint8_t *)"A", 1 }, { (const uint8_t *)"2", 1 } },
    { { (const uint8_t *)"Nats-Last-Sequence", 18 }, { (const uint8_t *)"6", 1 } },
    { { (const uint8_t *)"Empty", 5 }, { NULL, 0 } },
};

static void check_headers(const nbj_stored_msg *m)
{
    size_t cursor = 0;
    nbj_header h;
    nbj_bytes value;

    for (size_t i = 0; i < COUNT(several); i++) {
        assert_int_equal(nbj_stored_msg_header_next(m, &cursor, &h), NBJ_OK);
        assert_true(nbj_bytes_equal(h.name, several[i].name) && nbj_bytes_equal(h.value, several[i].value));
    }
    assert_int_equal(nbj_stored_msg_header_next(m, &cursor, &h), NBJ_MORE);
    assert_int_equal(nbj_stored_msg_header(m, "A", &value), NBJ_OK);
    assert_true(nbj_bytes_equal(value, nbj_str("1")));
    assert_int_equal(nbj_stored_msg_header(m, "Empty", &value), NBJ_OK);
    assert_int_equal(value.len, 0);
    assert_int_equal(nbj_stored_msg_header(m, "a", &value), NBJ_E_NOT_FOUND);
    assert_int_equal(value.len, 0);
}

/* Also such headers as servers add, which a copy of another stream's message has. */
static void test_headers_are_those_it_was_stored_with(void **state)
{
    nbj_client *c = open_one();
    nbj_bytes value;

    (void)state;
    make(c, "HEADERS", DIRECT);
    assert_int_equal(nbj_publish(c, "HEADERS.a", nbj_str("x"),
                                 NBJ_PUBLISH(.no_msg_id = true, .headers = several, .header_count = COUNT(several)),
                                 NULL),
                     NBJ_OK);
    (void)put(c, "HEADERS.b", nbj_str("y"));
    for (int direct = 0; direct < 2; direct++) {
        nbj_stored_msg *m = get(c, "HEADERS", (nbj_get_options){ .sequence = 1, .direct = direct });
        check_msg(m, "HEADERS", "HEADERS.a", 1, "x");
        check_headers(m);
        nbj_stored_msg_release(m);
        m = get(c, "HEADERS", (nbj_get_options){ .sequence = 2, .direct = direct });
        assert_int_equal(nbj_stored_msg_header(m, "Nats-Stream", &value), NBJ_E_NOT_FOUND);
        nbj_stored_msg_release(m);
    }
}

static void test_large_payload(void **state)
{
    enum { SIZE = 1024 * 1024 - 200 };
    nbj_client *c = open_one();
    uint8_t *octets = malloc(SIZE);

    (void)state;
    assert_non_null(octets);
    for (size_t i = 0; i < SIZE; i++)
        octets[i] = (uint8_t)(i * 7 + i / 251);
    make(c, "LARGE", DIRECT);
    (void)put(c, "LARGE.a", nbj_view(octets, SIZE));
    for (int direct = 0; direct < 2; direct++) {
        nbj_stored_msg *m = get(c, "LARGE", (nbj_get_options){ .sequence = 1, .direct = direct });
        nbj_bytes data = nbj_stored_msg_data(m);
        assert_int_equal(data.len, SIZE);
        assert_memory_equal(data.ptr, octets, SIZE);
        nbj_stored_msg_release(m);
    }
    free(octets);
}

static void test_sequence_above_2_to_the_53(void **state)
{
    uint64_t first = (UINT64_C(1) << 53) + 1; /* the first that a double cannot hold */
    nbj_client *c = open_one();

    (void)state;
    if (!is_at_least(2, 10))
        return; /* no first_seq; sequences there are cannot be made so large in a test's time */
    make(c, "HIGH", DIRECT ",\"first_seq\":9007199254740993");
    assert_int_equal(put(c, "HIGH.a", nbj_str("x")), first);
    assert_int_equal(put(c, "HIGH.a", nbj_str("y")), first + 1);
    for (int direct = 0; direct < 2; direct++) {
        nbj_stored_msg *m = get(c, "HIGH", (nbj_get_options){ .sequence = first, .direct = direct });
        check_msg(m, "HIGH", "HIGH.a", first, "x");
        nbj_stored_msg_release(m);
        m = get(c, "HIGH", (nbj_get_options){ .next_of = "HIGH.a", .sequence = first + 1, .direct = direct });
        check_msg(m, "HIGH", "HIGH.a", first + 1, "y");
        nbj_stored_msg_release(m);
    }
}

/* A message is the caller's own: it outlives what happens to the stream and to the client. */
static void test_message_outlives_its_client(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "OUTLIVE", DIRECT);
    (void)put(c, "OUTLIVE.a", nbj_str("x"));
    nbj_stored_msg *m = get(c, "OUTLIVE", (nbj_get_options){ .sequence = 1, .direct = true });
    nbj_stored_msg *again = nbj_stored_msg_retain(m);
    assert_non_null(again);
    nbj_stored_msg_release(m);
    api(c, "STREAM.PURGE.OUTLIVE", "");
    assert_int_equal(get_failed(c, "OUTLIVE", (nbj_get_options){ .sequence = 1 }).status, NBJ_E_NOT_FOUND);
    give_back(c);
    check_msg(again, "OUTLIVE", "OUTLIVE.a", 1, "x");
    nbj_stored_msg_release(again);
    nbj_stored_msg_release(NULL);
}

/* A mirror with mirror_direct answers for its origin, too; it says that it was the mirror. */
static void test_mirror(void **state)
{
    nbj_client *c = open_one();
    nbj_stored_msg *m = NULL;

    (void)state;
    make(c, "ORIGIN", DIRECT);
    put_many(c, "ORIGIN.a", 3);
    api(c, "STREAM.CREATE.COPY",
        "{\"name\":\"COPY\",\"mirror\":{\"name\":\"ORIGIN\"},\"mirror_direct\":true,\"allow_direct\":true,"
        "\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"old\",\"max_msgs\":-1,\"max_bytes\":-1,"
        "\"max_consumers\":-1,\"num_replicas\":1}");
    for (int direct = 0; direct < 2; direct++) {
        m = NULL;
        WAIT_UNTIL(m != NULL ||
                       nbj_stored_get(c, "COPY", NBJ_GET(.sequence = 3, .direct = direct), NULL, &m, NULL) == NBJ_OK,
                   SOON_MS);
        check_msg(m, "COPY", "ORIGIN.a", 3, "0123456789");
        nbj_stored_msg_release(m);
    }
    for (int i = 0; i < 20; i++) {
        m = get(c, "ORIGIN", (nbj_get_options){ .last_of = "ORIGIN.a", .direct = true });
        bool is_copy = nbj_bytes_equal(nbj_stored_msg_stream(m), nbj_str("COPY"));
        check_msg(m, is_copy ? "COPY" : "ORIGIN", "ORIGIN.a", 3, "0123456789");
        nbj_stored_msg_release(m);
    }
}

static void test_domain(void **state)
{
    nbj_client *c = open_one();
    nbj_stored_msg *m = NULL;
    nbj_error error;

    (void)state;
    for (int direct = 0; direct < 2; direct++) {
        nbj_status st = nbj_stored_get(c, "S", NBJ_GET(.sequence = 1, .direct = direct),
                                       NBJ_CALL(.domain = "elsewhere"), &m, &error);
        assert_int_equal(st, NBJ_E_NO_RESPONDERS);
        assert_int_equal(
            nbj_stored_get(c, "S", NBJ_GET(.sequence = 1, .direct = direct), NBJ_CALL(.domain = "a b"), &m, &error),
            NBJ_E_INVALID);
    }
}

/* --- deleting --- */

static nbj_error delete (nbj_client *c, const char *stream, uint64_t sequence, bool erase)
{
    nbj_error error = { 0 };
    nbj_status st = erase ? nbj_stored_erase(c, stream, sequence, NULL, &error)
                          : nbj_stored_delete(c, stream, sequence, NULL, &error);

    assert_int_equal(st, error.status);
    return error;
}

static void test_delete(void **state)
{
    static const char *const storages[] = { "FILE", "MEMORY" };
    nbj_client *c = open_one();

    (void)state;
    make(c, "FILE", DIRECT);
    make(c, "MEMORY", DIRECT ",\"storage\":\"memory\"");
    for (size_t i = 0; i < COUNT(storages); i++) {
        char subject[16];
        snprintf(subject, sizeof subject, "%s.a", storages[i]);
        put_many(c, subject, 4);
        for (int erase = 0; erase < 2; erase++) {
            uint64_t sequence = erase ? 3 : 2;
            assert_int_equal(delete (c, storages[i], sequence, erase).status, NBJ_OK);
            for (int direct = 0; direct < 2; direct++)
                assert_int_equal(
                    get_failed(c, storages[i], (nbj_get_options){ .sequence = sequence, .direct = direct }).status,
                    NBJ_E_NOT_FOUND);
            assert_int_equal(delete (c, storages[i], sequence, erase).status, NBJ_E_NOT_FOUND); /* a second try */
            nbj_error e = delete (c, storages[i], 99, erase);                                   /* never was there */
            assert_int_equal(e.status, NBJ_E_NOT_FOUND);
            CHECK(e.text, strstr(e.text, storages[i]) != NULL && strstr(e.text, "EOF") == NULL);
        }
        nbj_stored_msg *m = get(c, storages[i], (nbj_get_options){ .next_of = ">", .sequence = 2, .direct = true });
        assert_int_equal(nbj_stored_msg_sequence(m), 4);
        nbj_stored_msg_release(m);
    }
    assert_int_equal(delete (c, "NOT_THERE", 1, false).status, NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(delete (c, "FILE", 0, false).status, NBJ_E_INVALID);
    assert_int_equal(delete (c, "*", 1, true).status, NBJ_E_INVALID);
}

static void test_delete_is_refused(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "DENY", "\"deny_delete\":true");
    (void)put(c, "DENY.a", nbj_str("x"));
    make(c, "SEALED", "");
    (void)put(c, "SEALED.a", nbj_str("x"));
    api(c, "STREAM.UPDATE.SEALED",
        "{\"name\":\"SEALED\",\"subjects\":[\"SEALED.>\"],\"retention\":\"limits\",\"storage\":\"file\",\"discard\":"
        "\"old\",\"max_msgs\":-1,\"max_bytes\":-1,\"max_consumers\":-1,\"num_replicas\":1,\"sealed\":true,"
        "\"duplicate_window\":120000000000}");
    for (int erase = 0; erase < 2; erase++) {
        nbj_error e = delete (c, "DENY", 1, erase);
        assert_int_equal(e.status, NBJ_E_JS);
        assert_int_equal(e.err_code, 10057);
        CHECK(e.text, strstr(e.text, "stream DENY") != NULL && strstr(e.text, "deny_delete") != NULL);
        e = delete (c, "SEALED", 1, erase);
        assert_int_equal(e.status, NBJ_E_JS);
        assert_int_equal(e.err_code, 10109);
        CHECK(e.text, strstr(e.text, "stream SEALED") != NULL && strstr(e.text, "sealed") != NULL &&
                          strstr(e.text, "for good") != NULL);
    }
    nbj_stored_msg_release(get(c, "DENY", (nbj_get_options){ .sequence = 1 }));
}

/* --- callbacks --- */

static void test_callbacks(void **state)
{
    nbj_client *c = open_one();
    told found = TOLD, missing = TOLD, deleted = TOLD, erased = TOLD, refused = TOLD;

    (void)state;
    make(c, "CALL", DIRECT);
    put_many(c, "CALL.a", 3);
    assert_int_equal(nbj_stored_get_async(c, "CALL", NBJ_GET(.sequence = 1), NULL, on_found, &found), NBJ_OK);
    assert_int_equal(nbj_stored_get_async(c, "CALL", NBJ_GET(.last_of = "x", .direct = true), NULL, on_found, &missing),
                     NBJ_OK);
    assert_int_equal(nbj_stored_delete_async(c, "CALL", 2, NULL, on_done, &deleted), NBJ_OK);
    assert_int_equal(nbj_stored_erase_async(c, "CALL", 3, NULL, on_done, &erased), NBJ_OK);
    WAIT_UNTIL(is_told(&found) && is_told(&missing) && is_told(&deleted) && is_told(&erased), SOON_MS);
    assert_int_equal(found.status, NBJ_OK);
    check_msg(found.kept, "CALL", "CALL.a", 1, "0123456789");
    assert_int_equal(missing.status, NBJ_E_NOT_FOUND);
    assert_int_equal(deleted.status, NBJ_OK);
    assert_int_equal(erased.status, NBJ_OK);
    assert_true(found.in_order && missing.in_order);
    nbj_stored_msg_release(found.kept);
    assert_int_equal(nbj_stored_get_async(c, "CALL", NBJ_GET(.sequence = 1), NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_stored_get_async(c, "CALL", NULL, NULL, on_found, &refused), NBJ_E_INVALID);
    assert_int_equal(nbj_stored_delete_async(c, "CALL", 1, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_stored_erase_async(c, "CALL", 0, NULL, on_done, &refused), NBJ_E_INVALID);
    assert_int_equal(refused.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_get, end_test),
        cmocka_unit_test_teardown(test_get_finds_nothing, end_test),
        cmocka_unit_test_teardown(test_get_refuses, end_test),
        cmocka_unit_test_teardown(test_direct_get_where_there_is_none, end_test),
        cmocka_unit_test_teardown(test_headers_are_those_it_was_stored_with, end_test),
        cmocka_unit_test_teardown(test_large_payload, end_test),
        cmocka_unit_test_teardown(test_sequence_above_2_to_the_53, end_test),
        cmocka_unit_test_teardown(test_message_outlives_its_client, end_test),
        cmocka_unit_test_teardown(test_mirror, end_test),
        cmocka_unit_test_teardown(test_domain, end_test),
        cmocka_unit_test_teardown(test_delete, end_test),
        cmocka_unit_test_teardown(test_delete_is_refused, end_test),
        cmocka_unit_test_teardown(test_callbacks, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
