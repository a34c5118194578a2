/* SPDX-License-Identifier: Apache-2.0 */
/* The window of publishes with threads: its two bounds, with and without waiting, for outcomes and for callbacks; what is
 * unfinished; order; and how long a message may be sent again. */
#define _GNU_SOURCE
#include "raw.h"
#include "threaded.h"

static const nbj_bytes none = { NULL, 0 };

typedef struct tally {
    pthread_mutex_t gate; /* callbacks wait while it is held */
    atomic_uint told, stored, unknown, rejected, cut_off;
} tally;

#define TALLY                             \
    {                                     \
        .gate = PTHREAD_MUTEX_INITIALIZER \
    }

static void on_result(void *user, const nbj_publish_result *r)
{
    tally *t = user;

    pthread_mutex_lock(&t->gate);
    t->stored += nbj_is_stored(r);
    t->unknown += r->outcome == NBJ_UNKNOWN;
    t->rejected += r->outcome == NBJ_REJECTED;
    t->cut_off += r->error.status == NBJ_E_ORDER;
    t->told++;
    pthread_mutex_unlock(&t->gate);
}

static void ensure(nbj_client *c, const nbj_stream_config *config)
{
    nbj_error error = { 0 };

    if (nbj_stream_ensure(c, config, NBJ_CALL(.timeout_ns = SOON), &error) != NBJ_OK)
        TS_FAIL("stream %s: %s", config->name, nbj_error_text(&error));
}

/* --- bounds --- */

#define MESSAGES 5
#define BYTES 100000
#define LARGE 30000 /* three of them fit */

typedef struct bounded {
    ts_server *server;
    nbj_client *client;
    tally tally;
} bounded;

static void open_bounded(bounded *b)
{
    *b = (bounded){ .tally = TALLY };
    b->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    b->client = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(b->server), .publish_max_messages = MESSAGES,
                                             .publish_max_bytes = BYTES));
    ensure(b->client, NBJ_STREAM_CONFIG(.name = "W", .subjects = NBJ_LIST("w.>"), .storage = NBJ_STORAGE_MEMORY));
}

static void close_bounded(bounded *b)
{
    give_back(b->client);
    ts_server_free(b->server);
}

/* How many messages of |data| are taken without waiting. */
static unsigned fill(bounded *b, nbj_bytes data)
{
    const nbj_publish_options *o = NBJ_PUBLISH(.no_wait = true, .timeout_ns = SOON);
    unsigned n = 0;
    nbj_status st;

    while ((st = nbj_publish_async(b->client, "w.x", data, o, on_result, &b->tally)) == NBJ_OK)
        n++;
    assert_int_equal(st, NBJ_E_WOULD_BLOCK);
    return n;
}

static void check_bound(nbj_bytes data, unsigned fit)
{
    const nbj_publish_options *brief = NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(50));
    bounded b;
    uint64_t unfinished = 0;

    open_bounded(&b);
    ts_server_pause(b.server);
    assert_int_equal(fill(&b, data), fit); /* without an outcome */
    assert_int_equal(nbj_publish(b.client, "w.x", data, NBJ_PUBLISH(.no_wait = true), NULL), NBJ_E_WOULD_BLOCK);
    nbj_time begun = ts_now();
    assert_int_equal(nbj_publish_async(b.client, "w.x", data, brief, on_result, &b.tally), NBJ_E_TIMEOUT);
    assert_int_equal(nbj_publish(b.client, "w.x", data, brief, NULL), NBJ_E_TIMEOUT);
    CHECK("it waits for room", ts_now() - begun >= NBJ_MILLIS(100));
    assert_int_equal(nbj_publish_flush(b.client, NBJ_MILLIS(20), &unfinished), NBJ_E_TIMEOUT);
    assert_int_equal(unfinished, fit);

    pthread_mutex_lock(&b.tally.gate);
    ts_server_cont(b.server);
    WAIT_UNTIL(nbj_publish_unfinished(b.client) == 0, SOON_MS);
    assert_int_equal(fill(&b, data), 0); /* with an outcome, but no callback has run */
    assert_int_equal(nbj_publish(b.client, "w.x", data, NULL, NULL), NBJ_OK); /* this one needs none */
    pthread_mutex_unlock(&b.tally.gate);
    assert_int_equal(nbj_publish_flush(b.client, SOON, NULL), NBJ_OK);
    assert_int_equal(b.tally.told, fit);
    ts_server_pause(b.server);
    assert_int_equal(fill(&b, data), fit);
    ts_server_cont(b.server);
    assert_int_equal(nbj_publish_flush(b.client, SOON, NULL), NBJ_OK);
    assert_int_equal(b.tally.stored, 2 * fit);
    close_bounded(&b);
}

static void test_messages_are_bounded(void **state)
{
    (void)state;
    check_bound(nbj_str("x"), MESSAGES);
}

static void test_octets_are_bounded(void **state)
{
    static char large[LARGE];

    (void)state;
    check_bound(nbj_view(large, sizeof large), 3);
}

static void test_what_never_fits(void **state)
{
    static char huge[BYTES];
    bounded b;

    (void)state;
    open_bounded(&b);
    assert_int_equal(nbj_publish(b.client, "w.x", nbj_view(huge, sizeof huge), NULL, NULL), NBJ_E_FULL);
    close_bounded(&b);
}

/* --- what is unfinished --- */

static nbj_status publish_and_wait(void *client)
{
    return nbj_publish(client, "w.waited.for", nbj_str("12345"), NULL, NULL);
}

static void test_pending(void **state)
{
    static const char *const subjects[] = { "w.a", "w.b.c", "w.d" };
    bounded b;
    nbj_pending *list = NULL;
    worker w;

    (void)state;
    open_bounded(&b);
    assert_int_equal(nbj_publish_pending(b.client, &list), NBJ_OK);
    assert_int_equal(nbj_pending_count(list), 0);
    assert_null(nbj_pending_at(list, 0).user);
    nbj_pending_release(list);
    ts_server_pause(b.server);
    tally t[3] = { TALLY, TALLY, TALLY };
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            nbj_publish_async(b.client, subjects[i], nbj_str("123"), NBJ_PUBLISH(.no_msg_id = true), on_result, &t[i]),
            NBJ_OK);
    start(&w, publish_and_wait, b.client);
    WAIT_UNTIL(nbj_publish_unfinished(b.client) == 4, SOON_MS);
    assert_int_equal(nbj_publish_flush(b.client, 0, NULL), NBJ_E_TIMEOUT);
    assert_int_equal(nbj_publish_pending(b.client, &list), NBJ_OK);
    ts_server_cont(b.server);
    assert_int_equal(finish(&w), NBJ_OK);
    assert_int_equal(nbj_publish_flush(b.client, SOON, NULL), NBJ_OK);
    close_bounded(&b);
    assert_int_equal(nbj_pending_count(list), 4); /* as it was then */
    for (size_t i = 0; i < 3; i++) {
        nbj_pending_message m = nbj_pending_at(list, i);
        CHECK(subjects[i], nbj_bytes_equal(m.subject, nbj_str(subjects[i])) && m.user == &t[i]);
        CHECK(subjects[i], m.is_sent && m.size == 3);
    }
    nbj_pending_message waited_for = nbj_pending_at(list, 3);
    assert_true(nbj_bytes_equal(waited_for.subject, nbj_str("w.waited.for")));
    assert_null(waited_for.user);
    assert_int_equal(nbj_pending_at(list, 4).subject.len, 0);
    nbj_pending_release(list);
    nbj_pending_release(NULL);
}

/* --- order --- */

static void test_ordered(void **state)
{
    const nbj_publish_options *ordered = NBJ_PUBLISH(.ordered = true);
    const nbj_publish_options *wrong = NBJ_PUBLISH(.ordered = true, .expect_last_sequence = 77);
    nbj_client *c = open_one();
    nbj_publish_result r;
    tally t = TALLY;

    (void)state;
    ensure(c, NBJ_STREAM_CONFIG(.name = "ORD", .subjects = NBJ_LIST("ord.>"), .storage = NBJ_STORAGE_MEMORY));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(nbj_publish_async(c, "ord.x", nbj_str("x"), ordered, on_result, &t), NBJ_OK);
    assert_int_equal(nbj_publish_resume(c), nbj_publish_unfinished(c) > 0 ? NBJ_E_STATE : NBJ_OK);
    assert_int_equal(nbj_publish_flush(c, SOON, NULL), NBJ_OK);
    assert_int_equal(t.stored, 1000);
    assert_int_equal(nbj_publish(c, "ord.x", none, wrong, &r), NBJ_E_WRONG_LAST_SEQUENCE);
    assert_int_equal(nbj_publish(c, "ord.x", none, ordered, &r), NBJ_E_ORDER);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    CHECK(r.error.text, strstr(r.error.text, "nbj_publish_resume") != NULL);
    assert_int_equal(nbj_publish_async(c, "ord.x", none, ordered, on_result, &t), NBJ_E_ORDER);
    assert_int_equal(nbj_publish(c, "ord.x", none, NULL, &r), NBJ_OK); /* the others go on */
    assert_int_equal(nbj_publish_resume(c), NBJ_OK);
    assert_int_equal(nbj_publish(c, "ord.x", none, ordered, &r), NBJ_OK);
    assert_int_equal(r.ack.sequence, 1002);
}

/* A failure in a full pipe: what was not sent is not, and each has its outcome. */
static void test_ordered_in_a_pipe(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true });
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .max_outgoing_bytes = 2000000));
    static char data[1000];
    tally t = TALLY;
    unsigned sent = 0, refused = 0;

    (void)state;
    ensure(c, NBJ_STREAM_CONFIG(.name = "P", .subjects = NBJ_LIST("p"), .storage = NBJ_STORAGE_MEMORY));
    ts_server_kill9(s); /* they wait for a connection */
    for (int i = 0; i < 2000; i++) {
        const nbj_publish_options *o =
            NBJ_PUBLISH(.ordered = true, .expect_last_sequence = i == 100 ? 77 : 0, .timeout_ns = NBJ_SECONDS(60));
        nbj_status st = nbj_publish_async(c, "p", nbj_view(data, sizeof data), o, on_result, &t);
        sent += st == NBJ_OK;
        refused += st == NBJ_E_ORDER;
    }
    ts_server_restart(s);
    ensure(c, NBJ_STREAM_CONFIG(.name = "P", .subjects = NBJ_LIST("p"), .storage = NBJ_STORAGE_MEMORY));
    assert_int_equal(nbj_publish_flush(c, 2 * SOON, NULL), NBJ_OK);
    assert_int_equal(sent + refused, 2000);
    assert_int_equal(t.told, sent);
    assert_true(t.rejected + t.unknown >= 1); /* unknown: it may have been written to the dead connection first */
    assert_int_equal(nbj_publish(c, "p", none, NBJ_PUBLISH(.ordered = true), NULL), NBJ_E_ORDER);
    assert_int_equal(nbj_publish_resume(c), NBJ_OK);
    assert_int_equal(nbj_publish(c, "p", none, NBJ_PUBLISH(.ordered = true), NULL), NBJ_OK);
    give_back(c);
    ts_server_free(s);
}

/* --- how long a message may be sent again --- */

/* Kills the server, which did not read the message, |age_ms| after it was sent. Its outcome. */
static nbj_outcome outcome_after(uint64_t window_ns, unsigned age_ms)
{
    ts_server *s = ts_server_start(&(ts_server_options){ .jetstream = true });
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s)));
    ts_raw *spy = ts_raw_open(ts_server_port(s));
    tally t = TALLY;

    ensure(c, NBJ_STREAM_CONFIG(.name = "D", .subjects = NBJ_LIST("d.>"), .duplicate_window_ns = window_ns));
    ts_raw_sub(spy, "$JS.API.STREAM.INFO.*", "1");
    assert_int_equal(nbj_publish(c, "d.x", none, NULL, NULL), NBJ_OK);
    (void)ts_raw_next(spy, TS_RAW_MS); /* the stream is asked */
    for (int i = 0; i < 10; i++)
        assert_int_equal(nbj_publish(c, "d.y", none, NULL, NULL), NBJ_OK);
    assert_null(ts_raw_try_read(spy, "MSG ", 50)); /* once */
    flush(c);
    ts_server_pause(s);
    assert_int_equal(nbj_publish_async(c, "d.x", none, NULL, on_result, &t), NBJ_OK);
    usleep(1000 * age_ms);
    ts_raw_close(spy);
    ts_server_kill9(s);
    ts_server_restart(s);
    WAIT_UNTIL(t.told == 1, SOON_MS);
    give_back(c);
    ts_server_free(s);
    return t.stored == 1 ? NBJ_STORED : t.unknown == 1 ? NBJ_UNKNOWN : NBJ_REJECTED;
}

static void test_resent_within_half_of_the_window(void **state)
{
    (void)state;
    assert_int_equal(outcome_after(NBJ_SECONDS(60), 300), NBJ_STORED);
    assert_int_equal(outcome_after(NBJ_MILLIS(400), 300), NBJ_UNKNOWN);
}

/* Who may not ask is not told of it. */
static void test_without_permission_to_ask(void **state)
{
    ts_server *s = ts_server_start(&(ts_server_options){
        .jetstream = true,
        .config =
            "accounts { A { jetstream: enabled, users: [ { user: all, password: x },"
            " { user: few, password: x, permissions: { publish: [\"few.>\"], subscribe: [\"_INBOX.>\"] } } ] } }" });
    nbj_client *all = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .user = "all", .password = "x"));
    journal events = JOURNAL;
    nbj_publish_result r;

    (void)state;
    ensure(all, NBJ_STREAM_CONFIG(.name = "FEW", .subjects = NBJ_LIST("few.>"), .storage = NBJ_STORAGE_MEMORY));
    nbj_client *few = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .user = "few", .password = "x",
                                                   .on_event = on_event, .user_data = &events));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(nbj_publish(few, "few.x", none, NULL, &r), NBJ_OK);
        flush(few);
    }
    assert_false(has_event(&events, NBJ_EVENT_SERVER_ERROR));
    assert_int_equal(nbj_send(few, "many", none, NULL), NBJ_OK);
    WAIT_UNTIL(has_event(&events, NBJ_EVENT_SERVER_ERROR), SOON_MS); /* it is told of what it does itself */
    give_back(few);
    give_back(all);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_messages_are_bounded, end_test),
        cmocka_unit_test_teardown(test_octets_are_bounded, end_test),
        cmocka_unit_test_teardown(test_what_never_fits, end_test),
        cmocka_unit_test_teardown(test_pending, end_test),
        cmocka_unit_test_teardown(test_ordered, end_test),
        cmocka_unit_test_teardown(test_ordered_in_a_pipe, end_test),
        cmocka_unit_test_teardown(test_resent_within_half_of_the_window, end_test),
        cmocka_unit_test_teardown(test_without_permission_to_ask, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
