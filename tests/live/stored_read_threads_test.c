/* SPDX-License-Identifier: Apache-2.0 */
/* Reading many of a stream's messages: calls that wait, and callbacks on the library's thread. */
#define _GNU_SOURCE
#include "stored.h"

#include "alloc_fail.h"

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

static void test_read_with_callbacks(void **state)
{
    nbj_client *c = open_one();
    told t = TOLD, none = TOLD;

    (void)state;
    assert_int_equal(nbj_stored_read_async(c, "TELL", NULL, NULL, NULL, on_end, &none), NBJ_E_INVALID);
    assert_int_equal(nbj_stored_read_async(c, "TELL", NULL, NULL, on_msg, NULL, &none), NBJ_E_INVALID);
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

/* --- without memory --- */

/* Allocation |n| from the call on fails. What is handed out is in order and without holes in any case. */
static bool read_without(size_t n)
{
    ts_alloc mem;
    reader r = { .enough = 0 };
    nbj_read_result result;
    nbj_error error = { 0 };

    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.alloc = &mem.allocator));
    flush(c);
    pthread_mutex_lock(&mem.lock);
    mem.fail_at = mem.calls + n;
    pthread_mutex_unlock(&mem.lock);
    nbj_status st = nbj_stored_read(c, "SCARCE", NBJ_READ(.batch = 8), NULL, note, &r, &result, &error);
    for (size_t i = 0; i < r.count; i++)
        assert_int_equal(r.sequence[i], i + 1);
    assert_int_equal(result.messages, r.count);
    if (st == NBJ_OK)
        assert_int_equal(r.count, 30);
    else
        CHECK(error.text, st == NBJ_E_NOMEM || st == NBJ_E_TIMEOUT); /* lost with a connection for want of memory */
    assert_int_equal(error.status, st);
    end_reader(&r);
    give_back(c);
    bool failed = mem.failed > 0;
    ts_alloc_done(&mem);
    return failed || st != NBJ_OK;
}

static void test_read_without_memory(void **state)
{
    nbj_client *c = open_one();
    size_t n = 0;

    (void)state;
    if (!is_at_least(2, 11))
        return;
    make(c, "SCARCE", DIRECT);
    put_many(c, "SCARCE.a", 30);
    give_back(c);
    while (read_without(n))
        n++;
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_read_needs_2_11, end_test),
        cmocka_unit_test_teardown(test_read, end_test),
        cmocka_unit_test_teardown(test_read_more_than_one_usual_batch, end_test),
        cmocka_unit_test_teardown(test_read_from_a_time, end_test),
        cmocka_unit_test_teardown(test_read_last_of, end_test),
        cmocka_unit_test_teardown(test_last_of_is_of_one_moment, end_test),
        cmocka_unit_test_teardown(test_purge_in_between, end_test),
        cmocka_unit_test_teardown(test_read_is_refused, end_test),
        cmocka_unit_test_teardown(test_read_with_callbacks, end_test),
        cmocka_unit_test_teardown(test_close_while_reading, end_test),
        cmocka_unit_test_teardown(test_read_without_memory, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
