/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, publishing with acknowledgement and pull consumers through the public API: nbj/stream.h, publish.h, consumer.h. */
#define _GNU_SOURCE
#include "client/fixture.h"

static served s;

static nbj_status publish(const char *payload, outcome *o)
{
    return nbj_publish_async(s.client, "js.x", nbj_str(payload), NULL, heard_outcome, o);
}

/* --- streams --- */

static void test_ensure(void **state)
{
    (void)state;
    heard made = { 0 }, again = { 0 }, other = { 0 }, refused = { 0 }, bad = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST("js.>")),
                                             NULL, heard_done, &made),
                     NBJ_OK);
    TURN_UNTIL(&s, made.calls == 1);
    assert_int_equal(made.status, NBJ_OK);
    assert_true(s.server.mini.has_stream);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S"), NULL, heard_done, &again),
                     NBJ_OK);
    assert_int_equal(
        nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S", .max_messages = 7), NULL, heard_done, &other),
        NBJ_OK);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "OTHER"), NULL, heard_done, &refused),
                     NBJ_OK);
    TURN_UNTIL(&s, again.calls + other.calls + refused.calls == 3);
    assert_int_equal(again.status, NBJ_OK);
    assert_int_equal(other.status, NBJ_E_EXISTS_DIFFERENT);
    assert_string_equal(other.text, "stream S exists with another configuration: max_msgs is missing, wanted 7");
    assert_int_equal(refused.status, NBJ_E_EXISTS_DIFFERENT); /* it is not there when looked for, and there when made */
    assert_non_null(strstr(refused.text, "stream name already in use (10058)"));
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "a.b"), NULL, heard_done, &bad),
                     NBJ_E_INVALID);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.replicas = 1), NULL, heard_done, &bad),
                     NBJ_E_INVALID);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST("a..b")),
                                             NULL, heard_done, &bad),
                     NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_stream_ensure_async(s.client, NBJ_STREAM_CONFIG(.name = "S"), NULL, NULL, NULL),
                     NBJ_E_INVALID);
    assert_int_equal(bad.calls, 0);
    served_end(&s);
}

/* --- publishing --- */

static void test_outcomes(void **state)
{
    (void)state;
    outcome first = { 0 }, again = { 0 };
    nbj_publish_options *id = NBJ_PUBLISH(.msg_id = "the-same");
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_publish_async(s.client, "js.x", nbj_str("x"), id, heard_outcome, &first), NBJ_OK);
    assert_int_equal(nbj_publish_async(s.client, "js.x", nbj_str("x"), id, heard_outcome, &again), NBJ_OK);
    assert_int_equal(nbj_publish_unfinished(s.client), 2);
    TURN_UNTIL(&s, first.calls + again.calls == 2);
    assert_int_equal(first.what, NBJ_STORED);
    assert_int_equal(again.what, NBJ_DUPLICATE);
    assert_int_equal(again.sequence, first.sequence);
    assert_int_equal(nbj_publish_unfinished(s.client), 0);
    assert_int_equal(nbj_publish_async(s.client, "js.*", nbj_str("x"), NULL, heard_outcome, &first), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_publish_async(s.client, "js.x", nbj_str("x"), NULL, NULL, NULL), NBJ_E_INVALID);
    served_end(&s);
}

static void test_window(void **state)
{
    (void)state;
    outcome o[5] = { { 0 } };
    served_connect(&s, NBJ_CLIENT_OPTIONS(.publish_max_messages = 4));
    for (int i = 0; i < 4; i++)
        assert_int_equal(publish("x", &o[i]), NBJ_OK);
    assert_int_equal(publish("x", &o[4]), NBJ_E_WOULD_BLOCK);
    TURN_UNTIL(&s, o[3].calls == 1);
    assert_int_equal(publish("x", &o[4]), NBJ_OK);
    TURN_UNTIL(&s, o[4].calls == 1);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(o[i].sequence, i + 1);
    served_end(&s);
}

static void test_over_reconnects(void **state)
{
    (void)state;
    outcome o[20] = { { 0 } };
    char payload[20];
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    for (int i = 0; i < 20; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        assert_int_equal(publish(payload, &o[i]), NBJ_OK);
        if (i % 6 == 3) {
            (void)nbj_loop_process(s.client);
            loopback_turn(&s.server); /* it stored some, and its answers are lost */
            loopback_drop(&s.server, true);
        }
        (void)served_turn(&s);
    }
    TURN_UNTIL(&s, nbj_publish_unfinished(s.client) == 0);
    assert_int_equal(s.server.mini.stored_count, 20); /* nothing lost, nothing twice, in order */
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(o[i].calls, 1);
        assert_int_equal(o[i].what, NBJ_STORED);
        assert_int_equal(o[i].sequence, i + 1);
        assert_int_equal(strtoul(s.server.mini.stored[i].payload, NULL, 10), i);
    }
    served_end(&s);
}

static void test_close_tells_the_outcome(void **state)
{
    (void)state;
    outcome sent = { 0 }, unsent = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    s.server.is_deaf = true;
    assert_int_equal(publish("x", &sent), NBJ_OK);
    served_settle(&s);
    loopback_down(&s.server);
    TURN_UNTIL(&s, served_ends_with(&s, "D"));
    assert_int_equal(publish("x", &unsent), NBJ_OK);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(sent.what, NBJ_UNKNOWN);
    assert_int_equal(unsent.what, NBJ_REJECTED);
    assert_int_equal(sent.calls + unsent.calls, 2);
    assert_int_equal(sent.status, NBJ_E_CLOSED);
    served_end(&s);
}

static void test_drain_waits_for_outcomes(void **state)
{
    (void)state;
    outcome o = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(publish("x", &o), NBJ_OK);
    nbj_client_drain_async(s.client, NBJ_SECONDS(60));
    loopback_drop(&s.server, false); /* also over a reconnect */
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(s.error.status, NBJ_OK);
    assert_int_equal(o.what, NBJ_STORED);
    served_end(&s);
}

/* --- pulling --- */

typedef struct worker {
    unsigned got, states;
    nbj_pull_state last;
    nbj_status why;
    int how;
    nbj_msg *kept;
    uint64_t sequence;
} worker;

static void on_state(void *user, nbj_pull *pull, nbj_pull_state now, const nbj_error *error)
{
    worker *w = user;

    assert_int_equal(nbj_pull_state_of(pull), now);
    assert_int_equal(error != NULL, now == NBJ_PULL_STALLED || now == NBJ_PULL_GONE);
    w->states++;
    w->last = now;
    w->why = error != NULL ? error->status : NBJ_OK;
}

static void work(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    worker *w = user;
    nbj_delivery d;

    w->got++;
    assert_int_equal(nbj_msg_delivery(msg, &d), NBJ_OK);
    assert_true(nbj_bytes_equal(d.stream, nbj_str("S")) && nbj_bytes_equal(d.consumer, nbj_str("C")));
    assert_int_equal(d.delivered, 1);
    w->sequence = d.stream_sequence;
    if (w->how == 1)
        nbj_pull_release(pull);
    if (w->how == 2)
        nbj_pull_stop(pull);
    if (w->how == 3 && w->kept == NULL)
        w->kept = nbj_msg_retain(msg);
    if (w->how == 4)
        nbj_client_close(s.client);
    if (w->how != 3)
        assert_int_equal(nbj_ack(msg), w->how == 4 ? NBJ_E_CLOSED : NBJ_OK);
}

static nbj_pull *start(worker *w)
{
    nbj_pull *p = NULL;

    assert_int_equal(
        nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "C", .batch = 4, .on_state = on_state),
                       work, w, &p),
        NBJ_OK);
    assert_non_null(p);
    assert_int_equal(nbj_pull_state_of(p), NBJ_PULL_STARTING);
    return p;
}

static size_t acked(void)
{
    size_t n = 0;

    for (size_t i = 0; i < s.server.mini.stored_count; i++)
        n += s.server.mini.stored[i].acked;
    return n;
}

static void store(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        outcome o = { 0 };
        assert_int_equal(publish("x", &o), NBJ_OK);
        TURN_UNTIL(&s, o.calls == 1);
    }
}

static void test_pull(void **state)
{
    (void)state;
    worker w = { 0 };
    served_open(&s, NBJ_CLIENT_OPTIONS());
    nbj_pull *p = start(&w); /* before there is a connection */
    TURN_UNTIL(&s, w.last == NBJ_PULL_RUNNING);
    store(11);
    TURN_UNTIL(&s, acked() == 11);
    assert_int_equal(w.got, 11);
    loopback_drop(&s.server, false);
    TURN_UNTIL(&s, w.last == NBJ_PULL_STALLED);
    assert_int_equal(w.why, NBJ_E_DISCONNECTED);
    TURN_UNTIL(&s, w.last == NBJ_PULL_RUNNING);
    store(3);
    TURN_UNTIL(&s, acked() == 14);
    nbj_pull_stop(p);
    TURN_UNTIL(&s, w.last == NBJ_PULL_STOPPED);
    store(1);
    served_settle(&s);
    assert_int_equal(w.got, 14);
    nbj_pull_release(p);
    nbj_pull_release(NULL);
    served_end(&s);
}

static void test_pull_ends_in_its_callback(void **state)
{
    (void)state;
    for (int how = 1; how <= 4; how++) {
        worker w = { .how = how };
        served_connect(&s, NBJ_CLIENT_OPTIONS());
        nbj_pull *p = start(&w);
        TURN_UNTIL(&s, w.last == NBJ_PULL_RUNNING);
        outcome o[3] = { { 0 } };
        for (int i = 0; i < 3; i++)
            assert_int_equal(publish("x", &o[i]), NBJ_OK);
        TURN_UNTIL(&s, w.got > 0 && (how == 4 || o[2].calls == 1));
        served_settle(&s);
        assert_int_equal(w.got, how == 3 ? 3 : 1);
        if (how == 3) { /* settled later */
            assert_int_equal(nbj_ack(w.kept), NBJ_OK);
            nbj_msg_release(w.kept);
            TURN_UNTIL(&s, acked() == 1);
        }
        if (how != 1)
            nbj_pull_release(p);
        served_end(&s);
    }
}

static void test_pull_with_the_client(void **state)
{
    (void)state;
    worker w = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    nbj_pull *p = start(&w);
    TURN_UNTIL(&s, w.last == NBJ_PULL_RUNNING);
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(w.last, NBJ_PULL_STOPPED);
    nbj_client_release(s.client); /* before the pull */
    s.client = NULL;
    nbj_pull_release(p);
    served_end(&s);
}

static void test_drain_stops_pulls(void **state)
{
    (void)state;
    worker w = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    nbj_pull *p = start(&w);
    TURN_UNTIL(&s, w.last == NBJ_PULL_RUNNING);
    nbj_client_drain_async(s.client, NBJ_SECONDS(60));
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(w.last, NBJ_PULL_STOPPED);
    assert_int_equal(s.error.status, NBJ_OK);
    nbj_pull_release(p);
    served_end(&s);
}

static void test_bad_consumers(void **state)
{
    (void)state;
    worker w = { 0 };
    nbj_pull *p = (nbj_pull *)&w;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S"), work, &w, &p), NBJ_E_INVALID);
    assert_null(p);
    assert_int_equal(nbj_pull_start(s.client, NBJ_CONSUMER_CONFIG(.stream = "S", .durable = "a b"), work, &w, &p),
                     NBJ_E_INVALID);
    assert_int_equal(nbj_pull_start(s.client, NULL, work, &w, &p), NBJ_E_INVALID);
    served_end(&s);
}

/* --- settling what is not a pull's --- */

static nbj_status settled[3];

static void settle_it(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    nbj_delivery d;

    (void)sub;
    settled[0] = nbj_msg_delivery(msg, &d);
    settled[1] = nbj_nak(msg, 5);
    settled[2] = nbj_nak(msg, 0);
    (*(unsigned *)user)++;
}

static void test_settling_on_a_plain_subscription(void **state)
{
    (void)state;
    unsigned got = 0;
    heard naks = { 0 };
    nbj_sub *sub = NULL, *ear = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_subscribe(s.client, "push", NULL, settle_it, &got, &sub), NBJ_OK);
    assert_int_equal(nbj_subscribe(s.client, "$JS.ACK.x.C.1.2.3.4.5", NULL, heard_msg, &naks, &ear), NBJ_OK);
    assert_int_equal(nbj_send(s.client, "push", nbj_str("m"), NBJ_SEND(.reply = "$JS.ACK.x.C.1.2.3.4.5")), NBJ_OK);
    TURN_UNTIL(&s, naks.calls == 2); /* of a push consumer, say */
    assert_int_equal(settled[0] + settled[1] + settled[2], NBJ_OK);
    assert_string_equal(naks.text, "-NAK");
    assert_int_equal(nbj_send(s.client, "push", nbj_str("m"), NBJ_SEND(.reply = "somewhere")), NBJ_OK);
    TURN_UNTIL(&s, got == 2);
    for (size_t i = 0; i < COUNT(settled); i++)
        assert_int_equal(settled[i], NBJ_E_NOT_JETSTREAM);
    nbj_sub_release(sub);
    nbj_sub_release(ear);
    served_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ensure),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_over_reconnects),
        cmocka_unit_test(test_close_tells_the_outcome),
        cmocka_unit_test(test_drain_waits_for_outcomes),
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_pull_ends_in_its_callback),
        cmocka_unit_test(test_pull_with_the_client),
        cmocka_unit_test(test_drain_stops_pulls),
        cmocka_unit_test(test_bad_consumers),
        cmocka_unit_test(test_settling_on_a_plain_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
