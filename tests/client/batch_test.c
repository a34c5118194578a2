/* SPDX-License-Identifier: Apache-2.0 */
/* Batches and bulks of a client with a loop: calls that would have to wait, callbacks in which handles are given back,
 * the client's end, and allocations that fail. */
#define _GNU_SOURCE
#include "client/fixture.h"

static served s;

typedef struct told {
    unsigned calls, rooms, added;
    nbj_batch *batch;
    nbj_bulk *bulk;
    nbj_status status;
    nbj_batch_result result;
    nbj_bulk_result bulk_result;
} told;

static void on_batch(void *user, const nbj_batch_result *result)
{
    told *t = user;

    t->calls++;
    t->result = *result;
    nbj_batch_release(t->batch);
    t->batch = NULL;
}

static nbj_batch *begin_batch(told *t, unsigned count)
{
    assert_int_equal(nbj_batch_begin(s.client, NULL, &t->batch, NULL), NBJ_OK);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(nbj_batch_add(t->batch, "js.a", nbj_str("x"), NULL), NBJ_OK);
    return t->batch;
}

static void test_batch(void **state)
{
    told t = { 0 };
    nbj_batch_result r;

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    nbj_batch *b = begin_batch(&t, 3);
    assert_int_equal(nbj_batch_commit(b, &r), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_batch_count(b), 3); /* as it was */
    assert_int_equal(nbj_batch_commit_async(b, on_batch, &t), NBJ_OK);
    TURN_UNTIL(&s, t.calls == 1);
    assert_true(t.result.outcome == NBJ_STORED && t.result.ack.count == 3 && t.result.ack.sequence == 3);
    assert_int_equal(s.server.mini.stored_count, 3);
    served_end(&s);
}

/* What is known at once is told in the next turn, not within the call. */
static void test_an_outcome_at_once(void **state)
{
    told t = { 0 };

    (void)state;
    memset(&s, 0, sizeof s);
    ts_alloc_init(&s.mem, TS_NEVER_FAIL, false);
    loopback_open(&s.server);
    s.server.mini.info = "INFO {\"version\":\"2.10.27\",\"headers\":true,\"max_payload\":1000}\r\n";
    assert_int_equal(served_try_open(&s, NBJ_CLIENT_OPTIONS(.name = "test")), NBJ_OK);
    assert_int_equal(nbj_bulk_open(s.client, NULL, &t.bulk, NULL), NBJ_OK); /* nobody knows the server yet */
    nbj_batch *b = begin_batch(&t, 2);
    TURN_UNTIL(&s, served_ends_with(&s, "C"));
    assert_int_equal(nbj_batch_commit_async(b, on_batch, &t), NBJ_OK);
    assert_int_equal(t.calls, 0);
    assert_int_equal(nbj_loop_timeout_ns(s.client), 0);
    (void)served_turn(&s);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.result.error.status, NBJ_E_UNSUPPORTED);
    assert_int_equal(nbj_bulk_add(t.bulk, "js.a", nbj_str("x"), NULL), NBJ_OK);
    assert_int_equal(nbj_bulk_add(t.bulk, "js.a", nbj_str("x"), NULL), NBJ_E_UNSUPPORTED);
    nbj_bulk_release(t.bulk);
    assert_int_equal(s.server.mini.stored_count, 0);
    served_end(&s);
}

static void test_batch_and_the_end(void **state)
{
    told t = { 0 };

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    nbj_batch *b = begin_batch(&t, 3);
    assert_int_equal(nbj_batch_commit_async(b, on_batch, &t), NBJ_OK);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_true(t.calls == 1 && t.result.outcome == NBJ_REJECTED && t.result.error.status == NBJ_E_CLOSED);
    served_end(&s);
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test")); /* the client is released, with a batch under way */
    t = (told){ 0 };
    b = begin_batch(&t, 3);
    assert_int_equal(nbj_batch_commit_async(b, on_batch, &t), NBJ_OK);
    nbj_client_release(s.client);
    s.client = NULL;
    assert_int_equal(t.calls, 0);
    nbj_batch_release(b);
    served_end(&s);
}

/* --- bulks --- */

#define ALL 200u

static void on_bulk(void *user, nbj_bulk *bulk, nbj_status status, const nbj_bulk_result *result)
{
    told *t = user;

    t->calls++;
    t->status = status;
    t->bulk_result = *result;
    nbj_bulk_release(bulk);
    t->bulk = NULL;
}

static void add_more(told *t)
{
    nbj_status st = NBJ_OK;

    while (t->added < ALL && (st = nbj_bulk_add(t->bulk, "js.a", nbj_str("x"), NULL)) == NBJ_OK)
        t->added++;
    if (st == NBJ_OK)
        assert_int_equal(nbj_bulk_finish_async(t->bulk, 0, on_bulk, t), NBJ_OK);
    else
        assert_true(st == NBJ_E_WOULD_BLOCK || st == NBJ_E_CLOSED);
}

static void on_room(void *user, nbj_bulk *bulk)
{
    told *t = user;

    assert_ptr_equal(bulk, t->bulk);
    t->rooms++;
    add_more(t);
}

static void begin_bulk(told *t)
{
    *t = (told){ 0 };
    assert_int_equal(
        nbj_bulk_open(s.client, NBJ_BULK(.max_messages = 16, .on_room = on_room, .user = t), &t->bulk, NULL), NBJ_OK);
}

static void test_bulk(void **state)
{
    told t;
    nbj_bulk_result r;

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    begin_bulk(&t);
    add_more(&t);
    assert_int_equal(t.added, 16);
    assert_int_equal(nbj_bulk_finish(t.bulk, 0, &r), NBJ_E_WOULD_BLOCK);
    assert_true(r.added == 16 && r.unknown == 16);
    TURN_UNTIL(&s, t.calls == 1);
    assert_true(t.rooms >= ALL / 16 && t.bulk_result.stored == ALL && t.status == NBJ_OK);
    assert_int_equal(s.server.mini.stored_count, ALL);
    served_end(&s);
}

static void test_bulk_over_reconnects(void **state)
{
    told t;
    unsigned drops = 0;

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    begin_bulk(&t);
    add_more(&t);
    while (t.calls == 0) {
        (void)served_turn(&s);
        if (s.server.mini.stored_count > (drops + 1) * 60 && drops < 2)
            loopback_drop(&s.server, drops++ == 0);
    }
    assert_true(t.bulk_result.stored == ALL && t.bulk_result.restarts == drops && drops == 2);
    assert_true(s.server.mini.stored_count >= ALL); /* at least once */
    served_end(&s);
}

static void on_room_release(void *user, nbj_bulk *bulk)
{
    told *t = user;

    t->rooms++;
    nbj_bulk_release(bulk);
}

static void test_bulk_released_in_its_callback(void **state)
{
    told t = { 0 };

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    assert_int_equal(
        nbj_bulk_open(s.client, NBJ_BULK(.max_messages = 4, .on_room = on_room_release, .user = &t), &t.bulk, NULL),
        NBJ_OK);
    while (nbj_bulk_add(t.bulk, "js.a", nbj_str("x"), NULL) == NBJ_OK)
        t.added++;
    TURN_UNTIL(&s, t.rooms == 1);
    served_settle(&s);
    assert_int_equal(t.rooms, 1);
    served_end(&s);
}

static void test_bulk_and_the_end(void **state)
{
    told t;

    (void)state;
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    begin_bulk(&t); /* a drain stores what was added */
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(nbj_bulk_add(t.bulk, "js.a", nbj_str("x"), NULL), NBJ_OK);
    nbj_client_drain_async(s.client, NBJ_SECONDS(5));
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.server.mini.stored_count, 5);
    nbj_bulk_progress(t.bulk, &t.bulk_result);
    assert_true(t.bulk_result.stored == 5 && t.bulk_result.error.status == NBJ_OK);
    nbj_bulk_release(t.bulk);
    served_end(&s);
    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    begin_bulk(&t);
    add_more(&t);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(t.rooms, 1); /* so that who waits for room learns of it */
    assert_int_equal(nbj_bulk_add(t.bulk, "js.a", nbj_str("x"), NULL), NBJ_E_CLOSED);
    nbj_bulk_progress(t.bulk, &t.bulk_result);
    assert_int_equal(t.bulk_result.error.status, NBJ_E_CLOSED);
    nbj_bulk_release(t.bulk);
    served_end(&s);
}

/* --- without memory --- */

/* Whether allocation |n| of this was refused. */
static bool try_batch(size_t n)
{
    told t = { 0 };
    nbj_error error = { 0 };

    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    served_settle(&s);
    s.mem.fail_at = s.mem.calls + n;
    t.batch = (nbj_batch *)&s;
    nbj_status st = nbj_batch_begin(s.client, NULL, &t.batch, &error);
    assert_true((t.batch != NULL) == (st == NBJ_OK) && error.status == st);
    for (int i = 0; i < 2 && st == NBJ_OK; i++)
        st = nbj_batch_add(t.batch, "js.a", nbj_str("x"), NULL);
    bool failed = s.mem.failed > 0;
    assert_int_equal(st, failed ? NBJ_E_NOMEM : NBJ_OK);
    if (st == NBJ_OK) {
        assert_int_equal(nbj_batch_commit_async(t.batch, on_batch, &t), NBJ_OK);
        TURN_UNTIL(&s, t.calls == 1);
        failed = s.mem.failed > 0;
        assert_true(failed || t.result.outcome == NBJ_STORED);
        assert_int_equal(s.server.mini.stored_count, t.result.outcome == NBJ_STORED ? 2 : 0);
    }
    nbj_batch_release(t.batch);
    served_end(&s);
    return failed;
}

static bool try_bulk(size_t n)
{
    nbj_bulk *b = (nbj_bulk *)&s;
    nbj_error error = { 0 };
    told t = { 0 };

    served_connect(&s, NBJ_CLIENT_OPTIONS(.name = "test"));
    served_settle(&s);
    s.mem.fail_at = s.mem.calls + n;
    nbj_status st = nbj_bulk_open(s.client, NULL, &b, &error);
    assert_true((b != NULL) == (st == NBJ_OK) && error.status == st);
    if (st == NBJ_OK)
        st = nbj_bulk_add(b, "js.a", nbj_str("x"), NULL);
    assert_true(st == NBJ_OK || (st == NBJ_E_NOMEM && s.mem.failed > 0));
    if (st == NBJ_OK) {
        assert_int_equal(nbj_bulk_finish_async(b, 0, on_bulk, &t), NBJ_OK);
        TURN_UNTIL(&s, t.calls == 1);
        assert_true(t.status == NBJ_OK || s.mem.failed > 0);
        assert_true(s.server.mini.stored_count >= t.bulk_result.stored);
    } else {
        nbj_bulk_release(b);
    }
    bool failed = s.mem.failed > 0;
    served_end(&s);
    return failed;
}

static void test_without_memory(void **state)
{
    size_t n = 0;

    (void)state;
    while (try_batch(n))
        n++;
    assert_true(n > 3);
    n = 0;
    while (try_bulk(n))
        n++;
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_an_outcome_at_once),
        cmocka_unit_test(test_batch_and_the_end),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_bulk_over_reconnects),
        cmocka_unit_test(test_bulk_released_in_its_callback),
        cmocka_unit_test(test_bulk_and_the_end),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
