/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a client with threads, what it tells of itself, and its end: closing and draining. */
#define _GNU_SOURCE
#include "threaded.h"

#include "port.h"

#include <dirent.h>

/* -- opening -- */

static nbj_status open_in_vain(nbj_client_options o, nbj_error *error, uint64_t *took_ns)
{
    nbj_client *c = (nbj_client *)(uintptr_t)1;
    nbj_time begun = ts_now();

    *error = (nbj_error){ 0 };
    nbj_status st = nbj_client_open(&c, &o, error);
    *took_ns = ts_now() - begun;
    assert_int_not_equal(st, NBJ_OK);
    assert_null(c);
    assert_int_equal(error->status, st);
    assert_string_not_equal(nbj_error_text(error), "");
    return st;
}

static void test_nobody_listens(void **state)
{
    ts_port port = ts_port_reserve();
    char url[100];
    nbj_error error;
    uint64_t took;

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port.number);
    nbj_client_options o = *NBJ_CLIENT_OPTIONS(.url = url);
    assert_int_equal(open_in_vain(o, &error, &took), NBJ_E_REFUSED);
    assert_non_null(strstr(error.text, "connection refused; is nats-server running?"));
    assert_true(took < SOON);

    snprintf(url, sizeof url, "127.0.0.1:%u,localhost:%u", port.number, port.number);
    assert_int_equal(open_in_vain(o, &error, &took), NBJ_E_NO_SERVERS);
    ts_port_release(&port);
}

/* Names below .onion are never looked up (RFC 7686), so that nobody outside is asked. */
static void test_no_such_host(void **state)
{
    nbj_error error;
    uint64_t took;

    (void)state;
    assert_int_equal(open_in_vain(*NBJ_CLIENT_OPTIONS(.url = "nobody.onion:4222"), &error, &took), NBJ_E_DNS);
    assert_non_null(strstr(error.text, "nobody.onion"));
}

static void test_wrong_password(void **state)
{
    ts_server *guarded =
        ts_server_start(&(ts_server_options){ .config = "authorization { user: me, password: pass }" });
    nbj_client_options o = *NBJ_CLIENT_OPTIONS(.url = ts_server_url(guarded), .user = "me", .password = "secret-word");
    nbj_error error;
    uint64_t took;

    (void)state;
    assert_int_equal(open_in_vain(o, &error, &took), NBJ_E_AUTH);
    assert_null(strstr(error.text, "secret-word"));
    o.password = "pass";
    assert_true(nbj_client_is_connected(open_with(&o)));
    (void)end_test(NULL);
    ts_server_free(guarded);
}

static void test_somebody_listens_and_says_nothing(void **state)
{
    ts_port port = ts_port_reserve();
    int listener = ts_port_listen(&port);
    char url[100];
    nbj_error error;
    uint64_t took;

    (void)state;
    assert_true(listener >= 0);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port.number);
    nbj_client_options o = *NBJ_CLIENT_OPTIONS(.url = url, .connect_timeout_ns = NBJ_MILLIS(100));
    assert_int_equal(open_in_vain(o, &error, &took), NBJ_E_CONNECT_TIMEOUT);
    assert_true(took >= NBJ_MILLIS(100) && took < NBJ_SECONDS(4));

    o = *NBJ_CLIENT_OPTIONS(.url = url, .open_timeout_ns = NBJ_MILLIS(100));
    assert_int_equal(open_in_vain(o, &error, &took), NBJ_E_TIMEOUT);
    assert_true(took >= NBJ_MILLIS(100) && took < NBJ_SECONDS(4));
    close(listener);
    ts_port_release(&port);
}

static void test_illegal_options(void **state)
{
    nbj_error error;
    uint64_t took;
    nbj_client_options sized = { .struct_size = 3 };
    nbj_client *c = NULL;

    (void)state;
    assert_int_equal(open_in_vain(sized, &error, &took), NBJ_E_INVALID);
    assert_int_equal(open_in_vain(*NBJ_CLIENT_OPTIONS(.url = "http://x"), &error, &took), NBJ_E_BAD_URL);
    assert_int_equal(nbj_client_open(&c, NBJ_CLIENT_OPTIONS(.url = "localhost:99999"), NULL), NBJ_E_BAD_URL);
    assert_null(c);
}

static void test_the_second_of_two_servers(void **state)
{
    ts_port port = ts_port_reserve();
    char url[100];

    (void)state;
    snprintf(url, sizeof url, "127.0.0.1:%u,127.0.0.1:%u", port.number, ts_server_port(server));
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = url, .no_randomize = true));
    snprintf(url, sizeof url, "127.0.0.1:%u", ts_server_port(server));
    assert_string_equal(ts_text(nbj_client_server_address, c), url);
    ts_port_release(&port);
}

static void test_opened_before_its_server(void **state)
{
    ts_server *late = ts_server_start(NULL);
    journal events = JOURNAL;

    (void)state;
    ts_server_stop(late);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(late), .retry_first_connect = true,
                                                 .on_event = on_event, .user_data = &events));
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTING);
    assert_false(nbj_client_is_connected(c));
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL;
    assert_int_equal(nbj_subscribe(c, "early", NULL, NULL, NULL, &sub), NBJ_OK);
    send_text(c, "early", "bird");
    ts_server_restart(late);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    assert_true(holds(msg, "bird"));
    WAIT_UNTIL(has_event(&events, NBJ_EVENT_CONNECTED), SOON_MS);
    assert_string_equal(events.trail, "C");
    nbj_msg_release(msg);
    nbj_sub_release(sub);
    give_back(c);
    ts_server_free(late);
}

/* -- what it tells -- */

static void test_what_it_tells(void **state)
{
    nbj_client *c = open_one();
    char address[64], small[4];

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", ts_server_port(server));
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTED);
    assert_true(nbj_client_is_connected(c));
    assert_string_equal(ts_text(nbj_client_server_address, c), address);
    assert_string_equal(ts_text(nbj_client_server_version, c), ts_server_version(server));
    assert_string_not_equal(ts_text(nbj_client_server_name, c), "");
    assert_string_not_equal(ts_text(nbj_client_server_id, c), "");
    assert_string_equal(ts_text(nbj_client_own_address, c), "127.0.0.1");
    assert_true(nbj_client_id(c) > 0);
    assert_true(nbj_client_max_payload(c) == 1048576);
    assert_int_equal(nbj_client_server_address(c, small, sizeof small), NBJ_E_FULL);
    assert_string_equal(small, "127");
    assert_int_equal(nbj_client_server_address(c, small, 0), NBJ_E_INVALID);

    nbj_client_close(c);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CLOSED);
    assert_int_equal(nbj_client_server_version(c, small, sizeof small), NBJ_E_DISCONNECTED);
    assert_string_equal(small, "");
    assert_true(nbj_client_id(c) == 0 && nbj_client_max_payload(c) == 0);
}

static void test_states_of_a_life(void **state)
{
    ts_server *mortal = ts_server_start(NULL);
    journal events = JOURNAL;
    nbj_client *c =
        open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(mortal), .on_event = on_event, .user_data = &events));
    nbj_sub *sub = subscribe(c, "held", NULL, NULL);
    nbj_msg *msg = NULL;

    (void)state;
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTED);
    ts_server_kill9(mortal);
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_RECONNECTING, SOON_MS);
    assert_true(nbj_client_id(c) == 0);
    ts_server_restart(mortal);
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_CONNECTED, SOON_MS);
    flush(c);
    send_text(c, "held", "x");
    flush(c);
    nbj_client_drain_async(c, SOON);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_DRAINING); /* as long as nobody takes the message */
    assert_int_equal(nbj_send(c, "x", nbj_str(""), NULL), NBJ_OK);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_OK);
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_CLOSED, SOON_MS);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_string_equal(events.trail, "CDRX");
    nbj_msg_release(msg);
    nbj_sub_release(sub);
    give_back(c);
    ts_server_free(mortal);
}

static void test_reconnect_on_demand(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));
    uint64_t id = nbj_client_id(c);

    (void)state;
    nbj_client_reconnect(c);
    flush(c);
    WAIT_UNTIL(has_event(&events, NBJ_EVENT_RECONNECTED), SOON_MS);
    assert_string_equal(events.trail, "CDR");
    assert_true(nbj_client_id(c) != id);
    assert_true(nbj_client_stats_of(c).reconnects == 1);
}

static void test_counts(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *all = subscribe(c, "count.*", NULL, NULL);
    nbj_sub *few = NULL;
    nbj_header h = { nbj_str("Name"), nbj_str("v") }; /* NATS/1.0 CRLF Name: v CRLF CRLF: 21 octets */

    (void)state;
    assert_int_equal(nbj_subscribe(c, "count.a", NBJ_SUB(.limit_messages = 2), NULL, NULL, &few), NBJ_OK);
    for (int i = 0; i < 5; i++)
        send_text(c, "count.a", "12345");
    assert_int_equal(nbj_send(c, "count.b", nbj_str("123"), NBJ_SEND(.headers = &h, .header_count = 1)), NBJ_OK);
    flush(c);

    nbj_client_stats s = nbj_client_stats_of(c);
    assert_true(s.out_msgs == 6 && s.out_bytes == 5 * 5 + 3 + 21);
    assert_true(s.in_msgs == 11 && s.in_bytes == 2 * 5 * 5 + 3 + 21);
    assert_true(s.dropped == 3 && s.reconnects == 0 && s.unwanted == 0);
    nbj_sub_stats a = nbj_sub_stats_of(all), f = nbj_sub_stats_of(few);
    assert_true(a.delivered == 6 && a.dropped == 0 && a.pending == 6);
    assert_true(f.delivered == 5 && f.dropped == 3 && f.pending == 2);
    assert_true(f.pending_bytes >= 10);
    nbj_msg *msg = NULL;
    assert_int_equal(nbj_sub_next(few, 0, &msg), NBJ_OK);
    assert_true(nbj_sub_stats_of(few).pending == 1);
    nbj_msg_release(msg);
    nbj_sub_release(all);
    nbj_sub_release(few);
}

/* -- closing -- */

static nbj_status request_silence(void *client)
{
    nbj_msg *reply = NULL;
    nbj_status st = nbj_request(client, "silence", nbj_str(""), NBJ_REQUEST(.timeout_ns = SOON), &reply);

    nbj_msg_release(reply);
    return st;
}

static nbj_status read_one(void *sub)
{
    nbj_msg *msg = NULL;
    nbj_status st = nbj_sub_next(sub, NBJ_TIME_NEVER, &msg);

    nbj_msg_release(msg);
    return st;
}

static void test_close_ends_what_waits(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));
    nbj_sub *silence = subscribe(c, "silence", NULL, NULL);
    nbj_sub *other = subscribe(c, "other", NULL, NULL);
    worker asks, reads;

    (void)state;
    start(&asks, request_silence, c);
    start(&reads, read_one, other);
    WAIT_UNTIL(is_asleep(&asks) && is_asleep(&reads), SOON_MS);
    nbj_client_close(c);
    assert_int_equal(finish(&asks), NBJ_E_CLOSED);
    assert_int_equal(finish(&reads), NBJ_E_ENDED);
    nbj_client_close(c);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_string_equal(events.trail, "CX");

    nbj_msg *msg = NULL;
    nbj_sub *sub = NULL;
    uint64_t rtt;
    assert_int_equal(nbj_send(c, "x", nbj_str(""), NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_request(c, "x", nbj_str(""), NULL, &msg), NBJ_E_CLOSED);
    assert_int_equal(nbj_publish(c, "x", nbj_str(""), NULL, NULL), NBJ_E_CLOSED);
    assert_int_equal(nbj_subscribe(c, "x", NULL, NULL, NULL, &sub), NBJ_E_CLOSED);
    assert_int_equal(nbj_rtt(c, 0, &rtt), NBJ_E_CLOSED);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_E_CLOSED);
    assert_null(msg);
    assert_null(sub);
    nbj_sub_release(silence);
    nbj_sub_release(other);
}

/* -- draining -- */

#define MANY 200

static void count_slowly(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    atomic_uint *count = user;

    (void)sub;
    (void)msg;
    ts_breathe();
    ++*count;
}

static void test_drain_idle_and_twice(void **state)
{
    journal events = JOURNAL;
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events));

    (void)state;
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_OK);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CLOSED);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_E_CLOSED);
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_string_equal(events.trail, "CX");
}

static void test_drain_handles_what_has_come(void **state)
{
    nbj_client *c = open_one();
    atomic_uint count = 0;
    nbj_sub *sub = subscribe(c, "work", count_slowly, &count);

    (void)state;
    for (int i = 0; i < MANY; i++)
        send_text(c, "work", "x");
    assert_int_equal(nbj_client_drain(c, 3 * SOON), NBJ_OK);
    assert_int_equal(count, MANY);
    nbj_sub_release(sub);
}

typedef struct reading {
    nbj_sub *sub;
    unsigned count;
} reading;

static nbj_status read_all(void *arg)
{
    reading *r = arg;
    nbj_msg *msg = NULL;
    nbj_status st;

    while ((st = nbj_sub_next(r->sub, SOON, &msg)) == NBJ_OK) {
        r->count++;
        nbj_msg_release(msg);
    }
    return st;
}

static nbj_status drain(void *client)
{
    return nbj_client_drain(client, 3 * SOON);
}

static void test_drain_waits_for_readers(void **state)
{
    nbj_client *c = open_one();
    reading r = { subscribe(c, "work", NULL, NULL), 0 };
    worker drains, also, reads;

    (void)state;
    for (int i = 0; i < MANY; i++)
        send_text(c, "work", "x");
    flush(c);
    start(&drains, drain, c);
    start(&also, drain, c); /* both get its outcome */
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_DRAINING && is_asleep(&drains) && is_asleep(&also), SOON_MS);
    start(&reads, read_all, &r);
    assert_int_equal(finish(&reads), NBJ_E_ENDED);
    assert_int_equal(r.count, MANY);
    assert_int_equal(finish(&drains), NBJ_OK);
    assert_int_equal(finish(&also), NBJ_OK);
    nbj_sub_release(r.sub);
}

static void on_stored(void *user, const nbj_publish_result *result)
{
    atomic_uint *stored = user;

    *stored += nbj_is_stored(result) ? 1 : 1000000;
}

static void test_drain_gets_outcomes(void **state)
{
    nbj_client *c = open_one();
    atomic_uint stored = 0;

    (void)state;
    assert_int_equal(nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "DRAIN", .subjects = NBJ_LIST("drain.>")),
                                       NBJ_CALL(.timeout_ns = SOON), NULL),
                     NBJ_OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(nbj_publish_async(c, "drain.x", nbj_str("x"), NULL, on_stored, &stored), NBJ_OK);
    assert_int_equal(nbj_client_drain(c, 3 * SOON), NBJ_OK);
    assert_int_equal(stored, MANY);
    assert_true(nbj_publish_unfinished(c) == 0);
}

static void test_drain_has_a_deadline(void **state)
{
    nbj_client *c = open_one();
    nbj_sub *sub = subscribe(c, "work", NULL, NULL);
    nbj_msg *msg = NULL;
    nbj_time begun = ts_now();

    (void)state;
    send_text(c, "work", "nobody takes this");
    flush(c);
    assert_int_equal(nbj_client_drain(c, NBJ_MILLIS(100)), NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun >= NBJ_MILLIS(100));
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CLOSED);
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_OK); /* what has come can still be taken */
    nbj_msg_release(msg);
    assert_int_equal(nbj_sub_next(sub, 0, &msg), NBJ_E_ENDED);
    nbj_sub_release(sub);
}

typedef struct drainer {
    nbj_client *client;
    atomic_int status; /* 1: not called yet */
} drainer;

static void drain_here(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    drainer *d = user;

    (void)sub;
    (void)msg;
    d->status = nbj_client_drain(d->client, SOON);
}

static void test_drain_in_a_callback(void **state)
{
    journal events = JOURNAL;
    drainer d = { .client = open_with(NBJ_CLIENT_OPTIONS(.on_event = on_event, .user_data = &events)), .status = 1 };
    nbj_sub *sub = subscribe(d.client, "last", drain_here, &d);

    (void)state;
    send_text(d.client, "last", "orders");
    assert_int_equal(why_closed(&events), NBJ_OK);
    assert_int_equal(d.status, NBJ_OK);
    nbj_sub_release(sub);
}

static void test_drain_without_a_connection(void **state)
{
    ts_server *mortal = ts_server_start(NULL);
    nbj_client *idle = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(mortal)));
    nbj_client *busy = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(mortal)));

    (void)state;
    ts_server_kill9(mortal);
    WAIT_UNTIL(!nbj_client_is_connected(idle) && !nbj_client_is_connected(busy), SOON_MS);
    send_text(busy, "never", "written");
    assert_int_equal(nbj_client_drain(idle, SOON), NBJ_OK);
    assert_int_equal(nbj_client_drain(busy, SOON), NBJ_E_DISCONNECTED);
    (void)end_test(NULL);
    ts_server_free(mortal);
}

/* -- threads -- */

static unsigned threads_now(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned count = 0;

    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void ignore(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    (void)msg;
}

static void test_two_threads_at_most(void **state)
{
    unsigned before = threads_now();
    nbj_client *c = open_one();
    nbj_sub *reader = subscribe(c, "a", NULL, NULL);

    (void)state;
    assert_int_equal(threads_now(), before + 1);
    nbj_sub *first = subscribe(c, "b", ignore, NULL);
    nbj_sub *second = subscribe(c, "c", ignore, NULL);
    assert_int_equal(threads_now(), before + 2);
    nbj_sub_release(reader);
    nbj_sub_release(first);
    nbj_sub_release(second);
    give_back(c);
    assert_int_equal(threads_now(), before);
}

/* -- a client without threads -- */

static void test_nothing_blocks_in_a_loop(void **state)
{
    nbj_client *c = NULL;
    nbj_sub *sub = NULL;
    nbj_msg *msg = NULL, *replies[2];
    size_t count = 7;
    uint64_t rtt = 7, unfinished = 7;
    nbj_publish_result result;
    atomic_uint stored = 0;
    unsigned before = threads_now();
    nbj_error error = { 0 };

    (void)state;
    assert_int_equal(nbj_loop_open(&c, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), &error), NBJ_OK);
    (void)keep_client(c);
    while (!nbj_client_is_connected(c))
        assert_int_equal(nbj_loop_turn(c, SOON), NBJ_OK);
    assert_int_equal(nbj_subscribe(c, "x", NULL, NULL, NULL, &sub), NBJ_OK);
    assert_int_equal(nbj_publish_async(c, "nowhere", nbj_str(""), NULL, on_stored, &stored), NBJ_OK);

    nbj_time begun = ts_now();
    nbj_bytes none = nbj_str("");
    assert_int_equal(nbj_request(c, "x", none, NULL, &msg), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_request_many(c, "x", none, NULL, replies, 2, &count), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_flush(c, 0), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_rtt(c, 0, &rtt), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_publish(c, "x", none, NULL, &result), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_publish_flush(c, SOON, &unfinished), NBJ_E_WOULD_BLOCK);
    assert_true(unfinished == 1);
    assert_int_equal(nbj_sub_next(sub, SOON, &msg), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_sub_next_batch(sub, replies, 2, SOON, &count), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_stream_ensure(c, NBJ_STREAM_CONFIG(.name = "S"), NBJ_CALL(.timeout_ns = SOON), NULL),
                     NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_client_drain(c, SOON), NBJ_E_WOULD_BLOCK);
    assert_true(ts_now() - begun < NBJ_SECONDS(2)); /* each of them alone would have waited longer */
    assert_null(msg);
    assert_true(count == 0 && rtt == 0);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTED);
    assert_int_equal(threads_now(), before);
    nbj_sub_release(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nobody_listens, end_test),
        cmocka_unit_test_teardown(test_no_such_host, end_test),
        cmocka_unit_test_teardown(test_wrong_password, end_test),
        cmocka_unit_test_teardown(test_somebody_listens_and_says_nothing, end_test),
        cmocka_unit_test_teardown(test_illegal_options, end_test),
        cmocka_unit_test_teardown(test_the_second_of_two_servers, end_test),
        cmocka_unit_test_teardown(test_opened_before_its_server, end_test),
        cmocka_unit_test_teardown(test_what_it_tells, end_test),
        cmocka_unit_test_teardown(test_states_of_a_life, end_test),
        cmocka_unit_test_teardown(test_reconnect_on_demand, end_test),
        cmocka_unit_test_teardown(test_counts, end_test),
        cmocka_unit_test_teardown(test_close_ends_what_waits, end_test),
        cmocka_unit_test_teardown(test_drain_idle_and_twice, end_test),
        cmocka_unit_test_teardown(test_drain_handles_what_has_come, end_test),
        cmocka_unit_test_teardown(test_drain_waits_for_readers, end_test),
        cmocka_unit_test_teardown(test_drain_gets_outcomes, end_test),
        cmocka_unit_test_teardown(test_drain_has_a_deadline, end_test),
        cmocka_unit_test_teardown(test_drain_in_a_callback, end_test),
        cmocka_unit_test_teardown(test_drain_without_a_connection, end_test),
        cmocka_unit_test_teardown(test_two_threads_at_most, end_test),
        cmocka_unit_test_teardown(test_nothing_blocks_in_a_loop, end_test),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
