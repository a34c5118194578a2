/* SPDX-License-Identifier: Apache-2.0 */
/* Bulks (fast ingest) with threads: everything is stored in order, whatever the server does; refused before anything is
 * sent on servers that do not know them, and found out at the first answer where an old one hides behind a new one. */
#define _GNU_SOURCE
#include "streams.h"

static const nbj_bytes none = { NULL, 0 };

static bool has_bulks(void)
{
    return ts_server_is_at_least(server, 2, 14, 0);
}

static nbj_bulk *open_bulk(nbj_client *c, const nbj_bulk_options *options)
{
    nbj_bulk *b = NULL;
    nbj_error error = { 0 };

    if (nbj_bulk_open(c, options, &b, &error) != NBJ_OK)
        TS_FAIL("open: %s", nbj_error_text(&error));
    return b;
}

/* Adds the numbers from |first| on. */
static void add_numbers(nbj_bulk *b, const char *subject, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        nbj_status st = nbj_bulk_add(b, subject, nbj_str(text), NULL);
        if (st != NBJ_OK) {
            nbj_bulk_result r;
            nbj_bulk_progress(b, &r);
            TS_FAIL("message %u: %s (%s)", i, nbj_strerror(st), nbj_error_text(&r.error));
        }
    }
}

static void finish_well(nbj_bulk *b, uint64_t stored)
{
    nbj_bulk_result r;

    if (nbj_bulk_finish(b, SOON, &r) != NBJ_OK)
        TS_FAIL("finish: %s", nbj_error_text(&r.error));
    assert_true(r.stored == stored && r.added == stored && r.unknown == 0 && r.error.status == NBJ_OK);
    nbj_bulk_release(b);
}

/* -- servers without bulks -- */

static void test_refused_by_the_gate(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk *b = NULL;
    nbj_error error = { 0 };

    (void)state;
    if (has_bulks())
        return;
    assert_int_equal(nbj_bulk_open(c, NULL, &b, &error), NBJ_E_UNSUPPORTED);
    assert_null(b);
    assert_non_null(strstr(error.text, "fast ingest"));
    assert_non_null(strstr(error.text, "2.14.0"));
}

static void test_found_out_at_the_first_answer(void **state)
{
    ts_proxy *proxy = NULL;
    nbj_bulk_result r;

    (void)state;
    if (has_bulks())
        return;
    nbj_client *c = open_as_newer(&proxy);
    make_stream(c, "OLD", "old.>", "");
    assert_int_equal(nbj_publish(c, "old.a", none, NULL, NULL), NBJ_OK);
    nbj_bulk *b = open_bulk(c, NULL);
    add_numbers(b, "old.a", 0, 10);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_E_UNSUPPORTED);
    assert_true(r.added == 10 && r.stored == 1 && r.message == 1 && r.last_sequence == 2);
    assert_string_equal(r.stream, "OLD");
    assert_non_null(strstr(r.error.text, "sequence 2"));
    assert_int_equal(nbj_bulk_add(b, "old.a", none, NULL), NBJ_E_UNSUPPORTED);
    nbj_bulk_release(b);
    assert_true(stored_in(c, "OLD") == 2); /* that one, and nothing behind it */
    give_back(c);
    ts_proxy_free(proxy);
}

/* -- stored -- */

static void test_stored(void **state)
{
    static const unsigned counts[] = { 0, 1, 2, 499, 500, 501, 1001, 100000 };
    nbj_client *c = open_one();
    unsigned long long before = 0;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "BULK", "bulk.>", ",\"allow_batched\":true");
    for (size_t i = 0; i < COUNT(counts); i++) {
        nbj_bulk *b = open_bulk(c, NULL);
        add_numbers(b, "bulk.a", 0, counts[i]);
        finish_well(b, counts[i]);
        before += counts[i];
        assert_true(stored_in(c, "BULK") == before);
    }
}

/* -- ids, rests, several at once -- */

static void test_ids(void **state)
{
    nbj_client *c = open_one();

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "IDS", "ids.>", ",\"allow_batched\":true");
    nbj_bulk *b = open_bulk(c, NBJ_BULK(.ids = true));
    add_numbers(b, "ids.a", 0, 2000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(nbj_bulk_add(b, "ids.a", none, NBJ_PUBLISH(.msg_id = "mine")), NBJ_OK);
    finish_well(b, 2010); /* nine of them had been stored before */
    assert_true(stored_in(c, "IDS") == 2001);
}

static bool has_stored(const nbj_bulk *b, uint64_t count)
{
    nbj_bulk_result r;

    nbj_bulk_progress(b, &r);
    return r.stored == count;
}

static void test_a_rest(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk_result r;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "REST", "rest.>", ",\"allow_batched\":true");
    nbj_bulk *b = open_bulk(c, NULL);
    add_numbers(b, "rest.a", 0, 3);
    WAIT_UNTIL(has_stored(b, 3), SOON_MS); /* without a word of ours */
    nbj_bulk_progress(b, &r);
    assert_true(r.last_sequence == 3 && r.unknown == 0 && r.added == 3);
    assert_string_equal(r.stream, "REST");
    add_numbers(b, "rest.a", 3, 3);
    finish_well(b, 6);
}

#define BULKS 4
#define EACH 5000

static nbj_status add_many(void *arg)
{
    nbj_bulk *b = NULL;
    nbj_bulk_result r;
    nbj_status st = nbj_bulk_open(arg, NULL, &b, NULL);

    for (int i = 0; i < EACH && st == NBJ_OK; i++)
        st = nbj_bulk_add(b, "several.a", nbj_str("x"), NULL);
    if (st == NBJ_OK)
        st = nbj_bulk_finish(b, SOON, &r);
    if (st == NBJ_OK && r.stored != EACH)
        st = NBJ_E_STATE;
    nbj_bulk_release(b);
    return st;
}

static void test_several_at_once(void **state)
{
    nbj_client *c = open_one();
    worker w[BULKS];

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "SEVERAL", "several.>", ",\"allow_batched\":true");
    for (int i = 0; i < BULKS; i++)
        start(&w[i], add_many, c);
    for (int i = 0; i < BULKS; i++) {
        WAIT_UNTIL(w[i].done, 6 * SOON_MS);
        assert_int_equal(finish(&w[i]), NBJ_OK);
    }
    assert_true(stored_in(c, "SEVERAL") == BULKS * EACH);
}

/* -- refused -- */

/* Twenty messages, the eleventh with an expectation that does not hold. */
static nbj_status refuse_one(nbj_client *c, bool gaps_ok, nbj_bulk_result *r)
{
    nbj_bulk *b = open_bulk(c, NBJ_BULK(.gaps_ok = gaps_ok));

    add_numbers(b, "ref.a", 0, 10);
    assert_int_equal(nbj_bulk_add(b, "ref.a", none, NBJ_PUBLISH(.expect_subject_sequence = 4711)), NBJ_OK);
    for (int i = 0; i < 9; i++)
        (void)!nbj_bulk_add(b, "ref.a", none, NULL); /* the refusal may have come */
    nbj_status st = nbj_bulk_finish(b, SOON, r);
    nbj_bulk_release(b);
    return st;
}

static void test_a_message_is_refused(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk_result r;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "REF", "ref.>", ",\"allow_batched\":true");
    assert_int_equal(refuse_one(c, false, &r), NBJ_E_WRONG_LAST_SEQUENCE);
    assert_true(r.stored == 10 && r.message == 11 && r.last_sequence == 10);
    assert_true(stored_in(c, "REF") == 10); /* and nothing behind it */
    assert_int_equal(refuse_one(c, true, &r), NBJ_OK);
    assert_true(r.stored == 19 && r.refused == 1 && r.lost == 0 && r.message == 11);
    assert_int_equal(r.error.status, NBJ_E_WRONG_LAST_SEQUENCE);
    assert_true(stored_in(c, "REF") == 29);
}

static nbj_status add_too_large(nbj_client *c, bool gaps_ok, bool as_last, nbj_bulk_result *r)
{
    static const char large[1001];
    nbj_bulk *b = open_bulk(c, NBJ_BULK(.gaps_ok = gaps_ok));

    add_numbers(b, "size.a", 0, 10);
    assert_int_equal(nbj_bulk_add(b, "size.a", nbj_view(large, sizeof large), NULL), NBJ_OK);
    for (int i = 0; i < 9 && !as_last; i++)
        (void)!nbj_bulk_add(b, "size.a", none, NULL);
    nbj_status st = nbj_bulk_finish(b, SOON, r);
    nbj_bulk_release(b);
    return st;
}

/* The server refuses these before it looks at them as part of a bulk. */
static void test_a_message_is_too_large(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk_result r;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "SIZE", "size.>", ",\"allow_batched\":true,\"max_msg_size\":1000");
    for (int as_last = 0; as_last < 2; as_last++) {
        unsigned long long before = stored_in(c, "SIZE");
        assert_int_equal(add_too_large(c, false, as_last, &r), NBJ_E_JS);
        assert_true(r.error.err_code == 10054 && r.message == 11 && r.stored == 10);
        assert_true(stored_in(c, "SIZE") == before + 10);
        before += 10;
        assert_int_equal(add_too_large(c, true, as_last, &r), NBJ_OK);
        assert_true(r.error.err_code == 10054 && r.message == 11 && r.lost == 1 && r.refused == 0);
        assert_true(stored_in(c, "SIZE") == before + r.stored && r.stored == (as_last ? 10 : 19));
    }
}

static void test_refused_as_a_whole(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk_result r;

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "NOBULK", "nobulk.>", "");
    nbj_bulk *b = open_bulk(c, NULL);
    add_numbers(b, "nobulk.a", 0, 1);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_E_JS);
    assert_true(r.error.err_code == 10205 && strstr(r.error.text, "allow_batched") != NULL && r.stored == 0);
    nbj_bulk_release(b);
    b = open_bulk(c, NULL);
    add_numbers(b, "nobody.has.this", 0, 10);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_E_NO_STREAM);
    assert_true(r.unknown == 10);
    nbj_bulk_release(b);
    assert_true(stored_in(c, "NOBULK") == 0);
}

/* -- callbacks -- */

typedef struct outcome {
    nbj_client *client;
    nbj_bulk *bulk;
    atomic_uint calls, rooms;
    unsigned added;
    nbj_status status, inner;
    nbj_bulk_result result;
} outcome;

static void on_result(void *user, nbj_bulk *bulk, nbj_status status, const nbj_bulk_result *result)
{
    outcome *o = user;

    o->status = status;
    o->result = *result;
    o->inner = nbj_bulk_add(bulk, "room.a", none, NULL);
    nbj_bulk_release(bulk);
    o->calls++;
}

#define ALL 20000u

/* On the callback thread nothing waits: on_room says when to go on. */
static void add_more(outcome *o)
{
    nbj_status st = NBJ_OK;

    while (o->added < ALL && (st = nbj_bulk_add(o->bulk, "room.a", nbj_str("x"), NULL)) == NBJ_OK)
        o->added++;
    if (st == NBJ_OK)
        o->inner = nbj_bulk_finish_async(o->bulk, SOON, on_result, o);
    else
        o->inner = st;
}

static void on_room(void *user, nbj_bulk *bulk)
{
    outcome *o = user;

    (void)bulk;
    o->rooms++;
    add_more(o);
}

static void on_begin(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)sub;
    (void)msg;
    add_more(user);
}

static void test_room_is_told(void **state)
{
    nbj_client *c = open_one();
    outcome o = { .client = c };

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "ROOM", "room.>", ",\"allow_batched\":true");
    o.bulk = open_bulk(c, NBJ_BULK(.on_room = on_room, .user = &o, .max_messages = 64));
    nbj_sub *sub = subscribe(c, "begin", on_begin, &o);
    send_text(c, "begin", "");
    WAIT_UNTIL(o.calls == 1, 3 * SOON_MS);
    assert_int_equal(o.status, NBJ_OK);
    assert_int_equal(o.inner, NBJ_E_STATE); /* nothing can be added any more */
    assert_true(o.rooms > 0 && o.result.stored == ALL);
    assert_true(stored_in(c, "ROOM") == ALL);
    nbj_sub_release(sub);
}

static void test_draining(void **state)
{
    nbj_client *c = open_one(), *other = open_one();

    (void)state;
    if (!has_bulks())
        return;
    make_stream(c, "DRAIN", "drain.>", ",\"allow_batched\":true");
    nbj_bulk *b = open_bulk(c, NULL), *idle = open_bulk(c, NULL);
    add_numbers(b, "drain.a", 0, 1234);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_OK);
    assert_true(stored_in(other, "DRAIN") == 1234);
    assert_true(has_stored(b, 1234));
    assert_int_equal(nbj_bulk_add(b, "drain.a", none, NULL), NBJ_E_STATE);
    nbj_bulk_release(b);
    nbj_bulk_release(idle);
}

static void test_misuse(void **state)
{
    nbj_client *c = open_one();
    nbj_bulk_result r;
    nbj_bulk *b = NULL;

    (void)state;
    if (!has_bulks())
        return;
    assert_int_equal(nbj_bulk_open(c, NBJ_BULK(.messages_per_ack = 65536), &b, NULL), NBJ_E_INVALID);
    b = open_bulk(c, NULL);
    assert_int_equal(nbj_bulk_add(b, "a.*", none, NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_bulk_finish_async(b, 0, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_bulk_finish(b, SOON, NULL), NBJ_OK);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_OK); /* again */
    assert_int_equal(nbj_bulk_finish_async(b, SOON, on_result, NULL), NBJ_E_STATE);
    nbj_bulk_release(b);
    nbj_bulk_release(NULL);
    b = open_bulk(c, NULL);
    nbj_client_close(c);
    assert_int_equal(nbj_bulk_add(b, "a", none, NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_bulk_finish(b, SOON, &r), NBJ_OK); /* nothing was added */
    give_back(c);
    nbj_bulk_release(b);
}

/* -- losses -- */

/* The payload of message |seq| as a number. */
static unsigned number_at(nbj_client *c, const char *stream, unsigned long long seq)
{
    char verb[100], body[64], decoded[4] = "", number[16] = "";
    size_t n = 0;

    snprintf(verb, sizeof verb, "STREAM.MSG.GET.%s", stream);
    snprintf(body, sizeof body, "{\"seq\":%llu}", seq);
    const char *at = strstr(api(c, verb, body), "\"data\":\"");
    assert_non_null(at);
    for (at += 8; *at != '"' && n + 3 < sizeof number; at += 4) {
        unsigned v = 0, bits = 0;
        for (int i = 0; i < 4 && at[i] != '='; i++, bits += 6) {
            static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            v |= (unsigned)(strchr(digits, at[i]) - digits) << (18 - 6 * i);
        }
        snprintf(decoded, sizeof decoded, "%c%c%c", v >> 16 & 255, bits > 12 ? v >> 8 & 255 : 0, v & 255);
        for (unsigned i = 0; i < bits / 8; i++)
            number[n++] = decoded[i];
    }
    return (unsigned)strtoul(number, NULL, 10);
}

typedef struct adding {
    nbj_bulk *bulk;
    unsigned count;
    atomic_uint added;
} adding;

static nbj_status add_all(void *arg)
{
    adding *a = arg;
    nbj_status st = NBJ_OK;

    for (unsigned i = 0; i < a->count && st == NBJ_OK; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        st = nbj_bulk_add(a->bulk, "kill.a", nbj_str(text), NULL);
        a->added += st == NBJ_OK;
    }
    return st;
}

static ts_server *start_own(nbj_client **out, bool once)
{
    ts_server *own = ts_server_start(&(ts_server_options){ .jetstream = true });
    char body[] = "{\"name\":\"KILL\",\"subjects\":[\"kill.>\"],\"storage\":\"file\",\"allow_batched\":true}";
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(own), .no_reconnect = once));

    assert_null(strstr(api(c, "STREAM.CREATE.KILL", body), "\"error\""));
    *out = c;
    return own;
}

/* The server is killed in the middle, and the client gives up: what was said to be stored is there, in order. */
static void test_what_was_acknowledged_is_there(void **state)
{
    nbj_client *c = NULL;
    nbj_bulk_result r;
    worker w;

    (void)state;
    if (!has_bulks())
        return;
    ts_server *own = start_own(&c, true);
    adding a = { .bulk = open_bulk(c, NULL), .count = 2000000 };
    start(&w, add_all, &a);
    WAIT_UNTIL(a.added > 20000, SOON_MS);
    ts_server_kill9(own);
    assert_int_not_equal(finish(&w), NBJ_OK);
    assert_int_not_equal(nbj_bulk_finish(a.bulk, SOON, &r), NBJ_OK);
    nbj_bulk_release(a.bulk);
    assert_true(r.stored > 0 && r.unknown > 0 && r.stored + r.unknown == r.added);
    ts_server_restart(own);
    c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(own), .retry_first_connect = true));
    WAIT_UNTIL(strstr(api(c, "STREAM.INFO.KILL", ""), "\"error\"") == NULL, SOON_MS);
    unsigned long long there = stored_in(c, "KILL");
    if (there < r.stored)
        TS_FAIL("%llu are there, %llu were said to be", there, (unsigned long long)r.stored);
    for (unsigned long long seq = 1; seq <= there; seq += 1 + there / 200)
        assert_true(number_at(c, "KILL", seq) == seq - 1);
    assert_true(number_at(c, "KILL", r.stored) == r.stored - 1);
    give_back(c);
    ts_server_free(own);
}

/* … and the client goes on: everything is there, once thanks to ids. */
static void test_killed_and_resumed(void **state)
{
    nbj_client *c = NULL;
    nbj_bulk_result r;
    worker w;

    (void)state;
    if (!has_bulks())
        return;
    ts_server *own = start_own(&c, false);
    adding a = { .bulk = open_bulk(c, NBJ_BULK(.ids = true)), .count = 100000 };
    start(&w, add_all, &a);
    for (unsigned part = 1; part <= 2; part++) {
        WAIT_UNTIL(a.added > part * 25000, 3 * SOON_MS);
        ts_server_kill9(own);
        ts_server_restart(own);
    }
    WAIT_UNTIL(w.done, 6 * SOON_MS);
    assert_int_equal(finish(&w), NBJ_OK);
    if (nbj_bulk_finish(a.bulk, 3 * SOON, &r) != NBJ_OK)
        TS_FAIL("finish: %s", nbj_error_text(&r.error));
    nbj_bulk_release(a.bulk);
    assert_true(r.stored == 100000 && r.restarts >= 2);
    assert_true(stored_in(c, "KILL") == 100000);
    for (unsigned seq = 1; seq <= 100000; seq += 997)
        assert_true(number_at(c, "KILL", seq) == seq - 1);
    give_back(c);
    ts_server_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_refused_by_the_gate, end_test),
        cmocka_unit_test_teardown(test_found_out_at_the_first_answer, end_test),
        cmocka_unit_test_teardown(test_stored, end_test),
        cmocka_unit_test_teardown(test_ids, end_test),
        cmocka_unit_test_teardown(test_a_rest, end_test),
        cmocka_unit_test_teardown(test_several_at_once, end_test),
        cmocka_unit_test_teardown(test_a_message_is_refused, end_test),
        cmocka_unit_test_teardown(test_a_message_is_too_large, end_test),
        cmocka_unit_test_teardown(test_refused_as_a_whole, end_test),
        cmocka_unit_test_teardown(test_room_is_told, end_test),
        cmocka_unit_test_teardown(test_draining, end_test),
        cmocka_unit_test_teardown(test_misuse, end_test),
        cmocka_unit_test_teardown(test_what_was_acknowledged_is_there, end_test),
        cmocka_unit_test_teardown(test_killed_and_resumed, end_test),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
