/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps: read one, read many, delete. Calls that wait, and callbacks on the library's thread. */
#define _GNU_SOURCE
#include "threaded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DIRECT "\"allow_direct\":true"

/* --- streams and what is in them --- */

/* A request to JetStream's API that has to succeed. */
static void api(nbj_client *c, const char *verb, const char *json)
{
    char subject[128];
    nbj_msg *reply = NULL;

    snprintf(subject, sizeof subject, "$JS.API.%s", verb);
    assert_int_equal(nbj_request(c, subject, nbj_str(json), NULL, &reply), NBJ_OK);
    nbj_bytes data = nbj_msg_data(reply);
    if (memmem(data.ptr, data.len, "\"error\"", 7) != NULL)
        TS_FAIL("%s: %.*s", verb, NBJ_FMT(data));
    nbj_msg_release(reply);
}

/* Stream |name|, with subjects |name|.>, and |more| members of its configuration. */
static void make(nbj_client *c, const char *name, const char *more)
{
    char verb[64], json[512];

    snprintf(verb, sizeof verb, "STREAM.CREATE.%s", name);
    snprintf(
        json, sizeof json,
        "{\"name\":\"%s\",\"subjects\":[\"%s.>\"],\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"old\","
        "\"max_msgs\":-1,\"max_bytes\":-1,\"max_consumers\":-1,\"num_replicas\":1%s%s}",
        name, name, *more != '\0' ? "," : "", more);
    api(c, verb, json);
}

static uint64_t put(nbj_client *c, const char *subject, nbj_bytes data)
{
    nbj_publish_result r;

    if (nbj_publish(c, subject, data, NBJ_PUBLISH(.no_msg_id = true), &r) != NBJ_OK)
        TS_FAIL("publish: %s", nbj_error_text(&r.error));
    return r.ack.sequence;
}

static void put_many(nbj_client *c, const char *subject, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)put(c, subject, nbj_str("0123456789"));
}

static bool is_at_least(int major, int minor)
{
    return ts_server_is_at_least(server, major, minor, 0);
}

/* --- reading one --- */

static nbj_stored_msg *get(nbj_client *c, const char *stream, nbj_get_options o)
{
    nbj_stored_msg *m = NULL;
    nbj_error error = { 0 };

    o.struct_size = sizeof o;
    nbj_status st = nbj_stored_get(c, stream, &o, NULL, &m, &error);
    if (st != NBJ_OK)
        TS_FAIL("get: %s", nbj_error_text(&error));
    assert_non_null(m);
    return m;
}

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

static uint64_t wall_clock(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    return (uint64_t)t.tv_sec * NBJ_SECONDS(1) + (uint64_t)t.tv_nsec;
}

static void check_msg(const nbj_stored_msg *m, const char *stream, const char *subject, uint64_t sequence,
                      const char *data)
{
    assert_true(nbj_bytes_equal(nbj_stored_msg_stream(m), nbj_str(stream)));
    assert_true(nbj_bytes_equal(nbj_stored_msg_subject(m), nbj_str(subject)));
    assert_int_equal(nbj_stored_msg_sequence(m), sequence);
    assert_true(nbj_bytes_equal(nbj_stored_msg_data(m), nbj_str(data)));
    uint64_t age = wall_clock() - nbj_stored_msg_stored_at_ns(m);
    assert_true(age < NBJ_MINUTES(5));
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

/* --- reading many --- */

typedef struct reader {
    uint64_t sequence[4096];
    size_t count, enough; /* 0: never */
    nbj_stored_msg *kept;
    pthread_t thread; /* of the last call */
    void (*between)(struct reader *r);
    nbj_client *client;
} reader;

static bool note(void *user, const nbj_stored_msg *m)
{
    reader *r = user;

    assert_true(r->count < COUNT(r->sequence));
    r->sequence[r->count++] = nbj_stored_msg_sequence(m);
    r->thread = pthread_self();
    if (r->kept == NULL)
        r->kept = nbj_stored_msg_retain(m);
    if (r->between != NULL)
        r->between(r);
    return r->count != r->enough;
}

static nbj_read_result read_all(nbj_client *c, const char *stream, nbj_read_options o, reader *r)
{
    nbj_read_result result = { .messages = 4711 };
    nbj_error error = { 0 };

    o.struct_size = sizeof o;
    nbj_status st = nbj_stored_read(c, stream, &o, NULL, note, r, &result, &error);
    if (st != NBJ_OK)
        TS_FAIL("read: %s", nbj_error_text(&error));
    assert_int_equal(result.messages, r->count);
    assert_int_equal(result.last_sequence, r->count > 0 ? r->sequence[r->count - 1] : 0);
    return result;
}

static nbj_error read_failed(nbj_client *c, const char *stream, nbj_read_options o)
{
    reader r = { .enough = 0 };
    nbj_read_result result = { .messages = 4711 };
    nbj_error error = { 0 };

    o.struct_size = sizeof o;
    nbj_status st = nbj_stored_read(c, stream, &o, NULL, note, &r, &result, &error);
    assert_true(st != NBJ_OK && error.text[0] != '\0');
    assert_int_equal(st, error.status);
    assert_int_equal(result.messages, 0);
    assert_int_equal(r.count, 0);
    return error;
}

static void check_numbers(const reader *r, uint64_t first, uint64_t step, size_t count)
{
    assert_int_equal(r->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(r->sequence[i], first + i * step);
}

static void end_reader(reader *r)
{
    nbj_stored_msg_release(r->kept);
    *r = (reader){ .enough = 0 };
}

/* Older servers answer such a request with one message, or not at all: it is not sent to them. */
static void test_read_needs_2_11(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    make(c, "GATE", DIRECT);
    put_many(c, "GATE.a", 3);
    if (is_at_least(2, 11)) {
        reader r = { .enough = 0 };
        (void)read_all(c, "GATE", (nbj_read_options){ .sequence = 1 }, &r);
        check_numbers(&r, 1, 1, 3);
        end_reader(&r);
        return;
    }
    nbj_error e = read_failed(c, "GATE", (nbj_read_options){ .sequence = 1 });
    assert_int_equal(e.status, NBJ_E_UNSUPPORTED);
    CHECK(e.text, strstr(e.text, "direct get of several messages needs nats-server 2.11.0") != NULL &&
                      strstr(e.text, ts_server_version(server)) != NULL);
    e = read_failed(c, "GATE", (nbj_read_options){ .last_of = NBJ_LIST("GATE.>") });
    assert_int_equal(e.status, NBJ_E_UNSUPPORTED);
}

static void test_read(void **state)
{
    nbj_client *c = open_one();
    reader r = { .enough = 0 };

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "READ", DIRECT);
    for (unsigned i = 0; i < 60; i++)
        (void)put(c, i % 3 == 0 ? "READ.third" : "READ.other", nbj_str("x"));
    nbj_read_result result = read_all(c, "READ", (nbj_read_options){ .sequence = 0 }, &r);
    check_numbers(&r, 1, 1, 60);
    assert_int_equal(result.pending, 0);
    assert_true(pthread_equal(r.thread, pthread_self()));
    check_msg(r.kept, "READ", "READ.third", 1, "x");
    end_reader(&r);
    for (uint32_t batch = 1; batch <= 61; batch += batch < 8 ? 1 : 53) { /* over many requests, and in one */
        (void)read_all(c, "READ", (nbj_read_options){ .sequence = 3, .batch = batch }, &r);
        check_numbers(&r, 3, 1, 58);
        end_reader(&r);
        (void)read_all(c, "READ", (nbj_read_options){ .subject = "READ.third", .sequence = 2, .batch = batch }, &r);
        check_numbers(&r, 4, 3, 19);
        end_reader(&r);
        result = read_all(c, "READ", (nbj_read_options){ .subject = "*.third", .batch = batch, .max_messages = 7 }, &r);
        check_numbers(&r, 1, 3, 7);
        assert_int_equal(result.pending, 13);
        end_reader(&r);
    }
    (void)read_all(c, "READ", (nbj_read_options){ .max_bytes = 1 }, &r); /* one message each time */
    check_numbers(&r, 1, 1, 60);
    end_reader(&r);
    result = read_all(c, "READ", (nbj_read_options){ .sequence = 61 }, &r);
    assert_int_equal(result.messages, 0);
    (void)read_all(c, "READ", (nbj_read_options){ .subject = "READ.nothing" }, &r);
    assert_int_equal(r.count, 0);
    for (size_t enough = 1; enough < 12; enough++) { /* the callback has enough, also between two batches */
        r.enough = enough;
        result = read_all(c, "READ", (nbj_read_options){ .batch = 4 }, &r);
        check_numbers(&r, 1, 1, enough);
        assert_int_equal(result.pending, 60 - enough);
        end_reader(&r);
    }
}

static void test_read_more_than_one_usual_batch(void **state)
{
    nbj_client *c = open_one();
    reader r = { .enough = 0 };

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "MANY", DIRECT);
    for (unsigned i = 0; i < 2500; i++)
        assert_int_equal(nbj_send(c, "MANY.a", nbj_str("some octets"), NULL), NBJ_OK);
    flush(c);
    assert_int_equal(put(c, "MANY.a", nbj_str("the end")), 2501);
    (void)read_all(c, "MANY", (nbj_read_options){ .sequence = 1 }, &r);
    check_numbers(&r, 1, 1, 2501);
    end_reader(&r);
}

static void test_read_from_a_time(void **state)
{
    nbj_client *c = open_one();
    reader r = { .enough = 0 };

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "TIME", DIRECT);
    put_many(c, "TIME.a", 10);
    nbj_stored_msg *m = get(c, "TIME", (nbj_get_options){ .sequence = 6 });
    uint64_t then = nbj_stored_msg_stored_at_ns(m);
    nbj_stored_msg_release(m);
    (void)read_all(c, "TIME", (nbj_read_options){ .from_time_ns = then, .batch = 2 }, &r);
    check_numbers(&r, 6, 1, 5);
    end_reader(&r);
    (void)read_all(c, "TIME", (nbj_read_options){ .from_time_ns = then + 1, .batch = 2 }, &r);
    check_numbers(&r, 7, 1, 4);
    end_reader(&r);
    (void)read_all(c, "TIME", (nbj_read_options){ .from_time_ns = 1 }, &r);
    check_numbers(&r, 1, 1, 10);
    end_reader(&r);
    (void)read_all(c, "TIME", (nbj_read_options){ .from_time_ns = UINT64_MAX }, &r);
    assert_int_equal(r.count, 0);
}

static void test_read_last_of(void **state)
{
    nbj_client *c = open_one();
    reader r = { .enough = 0 };
    char subject[32];

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "LAST", DIRECT);
    for (unsigned i = 0; i < 40; i++) { /* 1 to 20, then 21 to 40 are the last ones */
        snprintf(subject, sizeof subject, "LAST.%u", i % 20);
        (void)put(c, subject, nbj_str("x"));
    }
    for (uint32_t batch = 1; batch < 30; batch += 7) {
        nbj_read_result result =
            read_all(c, "LAST", (nbj_read_options){ .last_of = NBJ_LIST("LAST.*"), .batch = batch }, &r);
        check_numbers(&r, 21, 1, 20);
        assert_int_equal(result.up_to_sequence, 40);
        assert_int_equal(result.pending, 0);
        end_reader(&r);
        result = read_all(
            c, "LAST", (nbj_read_options){ .last_of = NBJ_LIST("LAST.*"), .batch = batch, .up_to_sequence = 25 }, &r);
        check_numbers(&r, 6, 1, 20);
        assert_int_equal(result.up_to_sequence, 25);
        end_reader(&r);
    }
    (void)read_all(c, "LAST", (nbj_read_options){ .last_of = NBJ_LIST("LAST.3", "LAST.5", "LAST.7", "LAST.99") }, &r);
    assert_int_equal(r.count, 3);
    assert_true(r.sequence[0] == 24 && r.sequence[1] == 26 && r.sequence[2] == 28);
    end_reader(&r);
    (void)read_all(c, "LAST", (nbj_read_options){ .last_of = NBJ_LIST("NOT.THERE") }, &r);
    assert_int_equal(r.count, 0);
    nbj_stored_msg *m = get(c, "LAST", (nbj_get_options){ .sequence = 30 });
    uint64_t then = nbj_stored_msg_stored_at_ns(m);
    nbj_stored_msg_release(m);
    (void)read_all(c, "LAST",
                   (nbj_read_options){ .last_of = NBJ_LIST("LAST.*"), .up_to_time_ns = then + 1, .batch = 3 }, &r);
    check_numbers(&r, 11, 1, 20);
    end_reader(&r);
}

static void overwrite(reader *r)
{
    char subject[32];

    snprintf(subject, sizeof subject, "MOMENT.%zu", 9 - (r->count - 1) % 10);
    (void)put(r->client, subject, nbj_str("later"));
}

/* What is stored while it is read does not change what is read. */
static void test_last_of_is_of_one_moment(void **state)
{
    nbj_client *c = open_one();
    reader r = { .between = overwrite, .client = c };
    char subject[32];

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "MOMENT", DIRECT);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(subject, sizeof subject, "MOMENT.%u", i);
        (void)put(c, subject, nbj_str("x"));
    }
    nbj_read_result result =
        read_all(c, "MOMENT", (nbj_read_options){ .last_of = NBJ_LIST("MOMENT.*"), .batch = 3 }, &r);
    check_numbers(&r, 1, 1, 10);
    assert_int_equal(result.up_to_sequence, 10);
    end_reader(&r);
}

static void purge(reader *r)
{
    if (r->count == 2)
        api(r->client, "STREAM.PURGE.PURGED", "{\"seq\":8}");
}

/* What is gone before its turn is passed over. */
static void test_purge_in_between(void **state)
{
    static const uint64_t want[] = { 1, 2, 8, 9, 10 };
    nbj_client *c = open_one();
    reader r = { .between = purge, .client = c };

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "PURGED", DIRECT);
    put_many(c, "PURGED.a", 10);
    (void)read_all(c, "PURGED", (nbj_read_options){ .batch = 2 }, &r);
    assert_int_equal(r.count, COUNT(want));
    assert_memory_equal(r.sequence, want, sizeof want);
    end_reader(&r);
}

static void test_read_is_refused(void **state)
{
    static const nbj_read_options bad[] = {
        { .sequence = 1, .from_time_ns = 1 }, { .up_to_sequence = 1 }, { .up_to_time_ns = 1 }, { .batch = 65537 },
        { .max_bytes = (32u << 20) + 1 },
    };
    nbj_client *c = open_one();
    reader r = { .enough = 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(read_failed(c, "S", bad[i]).status, NBJ_E_INVALID);
    nbj_read_options both = { .last_of = NBJ_LIST("a"), .subject = "b" };
    assert_int_equal(read_failed(c, "S", both).status, NBJ_E_INVALID);
    nbj_read_options times = { .last_of = NBJ_LIST("a"), .up_to_sequence = 1, .up_to_time_ns = 1 };
    assert_int_equal(read_failed(c, "S", times).status, NBJ_E_INVALID);
    nbj_read_options illegal = { .last_of = NBJ_LIST("a", "b..c") };
    assert_int_equal(read_failed(c, "S", illegal).status, NBJ_E_BAD_SUBJECT);
    assert_int_equal(read_failed(c, "S", (nbj_read_options){ .subject = "a b" }).status, NBJ_E_BAD_SUBJECT);
    assert_int_equal(read_failed(c, "a.b", (nbj_read_options){ .sequence = 1 }).status, NBJ_E_INVALID);
    assert_int_equal(nbj_stored_read(c, "S", NULL, NULL, NULL, &r, NULL, NULL), NBJ_E_INVALID);
    if (!is_at_least(2, 11))
        return;
    nbj_error e = read_failed(c, "NOT_THERE", (nbj_read_options){ .sequence = 1 });
    assert_int_equal(e.status, NBJ_E_STREAM_NOT_FOUND);
    make(c, "INDIRECT", "");
    (void)put(c, "INDIRECT.a", nbj_str("x"));
    e = read_failed(c, "INDIRECT", (nbj_read_options){ .sequence = 1 });
    assert_int_equal(e.status, NBJ_E_STATE);
    CHECK(e.text, strstr(e.text, "stream INDIRECT does not allow direct get; set allow_direct") != NULL);
    make(c, "WIDE", DIRECT);
    for (unsigned i = 0; i < 1025; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "WIDE.%u", i);
        assert_int_equal(nbj_send(c, subject, nbj_str("x"), NULL), NBJ_OK);
    }
    (void)put(c, "WIDE.end", nbj_str("x"));
    e = read_failed(c, "WIDE", (nbj_read_options){ .last_of = NBJ_LIST("WIDE.*") });
    assert_int_equal(e.status, NBJ_E_JS);
    assert_int_equal(e.code, 413);
    CHECK(e.text, strstr(e.text, "1,024") != NULL);
}

/* --- callbacks --- */

typedef struct told {
    pthread_mutex_t lock;
    unsigned calls, messages, enough;
    nbj_status status;
    nbj_stored_msg *kept;
    nbj_read_result result;
    uint64_t next; /* sequence that the next message has to have */
    bool in_order;
} told;

#define TOLD                                                           \
    {                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER, .next = 1, .in_order = true \
    }

static void on_found(void *user, nbj_status status, const nbj_stored_msg *msg, const nbj_error *error)
{
    told *t = user;

    pthread_mutex_lock(&t->lock);
    t->calls++;
    t->status = status;
    t->in_order = t->in_order && (msg != NULL) == (status == NBJ_OK) && (error == NULL) == (status == NBJ_OK);
    if (msg != NULL)
        t->kept = nbj_stored_msg_retain(msg);
    pthread_mutex_unlock(&t->lock);
}

static void on_done(void *user, nbj_status status, const nbj_error *error)
{
    on_found(user, status, NULL, status == NBJ_OK ? error : NULL);
}

static bool on_msg(void *user, const nbj_stored_msg *msg)
{
    told *t = user;

    pthread_mutex_lock(&t->lock);
    t->in_order = t->in_order && t->calls == 0 && nbj_stored_msg_sequence(msg) == t->next;
    t->next++;
    bool more = ++t->messages != t->enough;
    pthread_mutex_unlock(&t->lock);
    return more;
}

static void on_end(void *user, nbj_status status, const nbj_read_result *result, const nbj_error *error)
{
    told *t = user;

    pthread_mutex_lock(&t->lock);
    t->calls++;
    t->status = status;
    t->result = *result;
    t->in_order = t->in_order && (error == NULL) == (status == NBJ_OK) && result->messages == t->messages;
    pthread_mutex_unlock(&t->lock);
}

static bool is_told(told *t)
{
    pthread_mutex_lock(&t->lock);
    bool is = t->calls > 0;
    pthread_mutex_unlock(&t->lock);
    return is;
}

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
    assert_int_equal(nbj_stored_read_async(c, "CALL", NULL, NULL, NULL, on_end, &refused), NBJ_E_INVALID);
    assert_int_equal(nbj_stored_read_async(c, "CALL", NULL, NULL, on_msg, NULL, &refused), NBJ_E_INVALID);
    assert_int_equal(refused.calls, 0);
}

static void test_read_with_callbacks(void **state)
{
    nbj_client *c = open_one();
    told t = TOLD, none = TOLD;

    (void)state;
    make(c, "TELL", DIRECT);
    put_many(c, "TELL.a", 50);
    if (!is_at_least(2, 11)) {
        assert_int_equal(nbj_stored_read_async(c, "TELL", NULL, NULL, on_msg, on_end, &none), NBJ_E_UNSUPPORTED);
        assert_int_equal(none.calls, 0);
        return;
    }
    assert_int_equal(nbj_stored_read_async(c, "TELL", NBJ_READ(.batch = 7), NULL, on_msg, on_end, &t), NBJ_OK);
    assert_int_equal(nbj_stored_read_async(c, "NOT_THERE", NULL, NULL, on_msg, on_end, &none), NBJ_OK);
    WAIT_UNTIL(is_told(&t) && is_told(&none), SOON_MS);
    assert_int_equal(t.status, NBJ_OK);
    assert_true(t.in_order && t.messages == 50 && t.result.last_sequence == 50 && t.result.pending == 0);
    assert_true(none.status == NBJ_E_STREAM_NOT_FOUND && none.messages == 0 && none.in_order);
    for (unsigned enough = 1; enough < 16; enough++) {
        told early = TOLD;
        early.enough = enough;
        assert_int_equal(nbj_stored_read_async(c, "TELL", NBJ_READ(.batch = 7), NULL, on_msg, on_end, &early), NBJ_OK);
        WAIT_UNTIL(is_told(&early), SOON_MS);
        flush(c); /* nothing comes behind the end */
        assert_true(early.calls == 1 && early.status == NBJ_OK && early.in_order && early.messages == enough);
        assert_int_equal(early.result.pending, 50 - enough);
    }
}

/* The client goes in the middle: the end is told, or nothing more at all. */
static bool close_client(void *user, const nbj_stored_msg *msg)
{
    (void)msg;
    nbj_client_close(((reader *)user)->client);
    return true;
}

static void test_close_while_reading(void **state)
{
    nbj_client *c = open_one();
    reader r = { .client = c };
    nbj_error error;
    nbj_read_result result;

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "CLOSE", DIRECT);
    put_many(c, "CLOSE.a", 10);
    nbj_status st = nbj_stored_read(c, "CLOSE", NBJ_READ(.batch = 2), NULL, close_client, &r, &result, &error);
    assert_int_equal(st, NBJ_E_CLOSED);
    assert_true(result.messages >= 1 && result.messages <= 2 && result.last_sequence == result.messages);
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
        cmocka_unit_test_teardown(test_domain, end_test),
        cmocka_unit_test_teardown(test_delete, end_test),
        cmocka_unit_test_teardown(test_delete_is_refused, end_test),
        cmocka_unit_test_teardown(test_read_needs_2_11, end_test),
        cmocka_unit_test_teardown(test_read, end_test),
        cmocka_unit_test_teardown(test_read_more_than_one_usual_batch, end_test),
        cmocka_unit_test_teardown(test_read_from_a_time, end_test),
        cmocka_unit_test_teardown(test_read_last_of, end_test),
        cmocka_unit_test_teardown(test_last_of_is_of_one_moment, end_test),
        cmocka_unit_test_teardown(test_purge_in_between, end_test),
        cmocka_unit_test_teardown(test_read_is_refused, end_test),
        cmocka_unit_test_teardown(test_callbacks, end_test),
        cmocka_unit_test_teardown(test_read_with_callbacks, end_test),
        cmocka_unit_test_teardown(test_close_while_reading, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
