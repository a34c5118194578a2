/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps, under a loop: requests with many answers that end early, late, never, or in the middle
 * of a connection; what callbacks may do; and each allocation failing once. */
#define _GNU_SOURCE
#include "client/fixture.h"

#define STORED 20u /* messages 1 to so many are in stream S */

static served s;

/* --- the server's side --- */

static struct {
    unsigned requests; /* for several messages */
    unsigned withhold; /* of the request with this number (from 1): all behind its second message */
    unsigned lose;     /* of that one the second message */
} server;

static unsigned long long member(const char *json, const char *name)
{
    const char *at = strstr(json, name);

    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void send_stored(mini_server *m, const char *reply, unsigned long long sequence, unsigned long long previous)
{
    char headers[400], payload[24];

    snprintf(payload, sizeof payload, "message %llu", sequence);
    snprintf(headers, sizeof headers,
             "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: js.x\r\nNats-Sequence: %llu\r\n"
             "Nats-Time-Stamp: 2025-11-20T15:04:05Z\r\nNats-Num-Pending: %llu\r\nNats-Last-Sequence: %llu\r\n\r\n",
             sequence, STORED - sequence, previous);
    mini_send(m, reply, "js.x", "", headers, payload);
}

static void send_batch(mini_server *m, const char *reply, const char *request)
{
    unsigned long long batch = member(request, "\"batch\":"), from = member(request, "\"seq\":"), sent = 0;
    char end[200];

    from += from == 0;
    server.requests++;
    for (; sent < batch && from + sent <= STORED; sent++) {
        if (sent == 2 && server.withhold == server.requests)
            return;
        if (sent != 1 || server.lose != server.requests)
            send_stored(m, reply, from + sent, sent > 0 ? from + sent - 1 : 0);
    }
    snprintf(end, sizeof end, "NATS/1.0 204 EOB\r\nNats-Num-Pending: %llu\r\nNats-Last-Sequence: %llu\r\n\r\n",
             STORED - (from + sent - 1), from + sent - 1);
    mini_send(m, reply, reply, "", sent > 0 ? end : "NATS/1.0 404 Message Not Found\r\n\r\n", "");
}

static bool serve(mini_server *m, const char *subject, const char *reply, const char *request)
{
    char answer[200];

    if (strcmp(subject, "$JS.API.DIRECT.GET.S") == 0 && strstr(request, "\"batch\"") != NULL) {
        send_batch(m, reply, request);
    } else if (strcmp(subject, "$JS.API.DIRECT.GET.S") == 0) {
        send_stored(m, reply, member(request, "\"seq\":"), 0);
    } else if (strncmp(subject, "$JS.API.STREAM.MSG.GET.", 23) == 0) {
        snprintf(
            answer, sizeof answer,
            "{\"message\":{\"subject\":\"js.x\",\"seq\":%llu,\"data\":\"bGVhZGVy\",\"time\":\"2025-11-20T15:04:05Z\"}}",
            member(request, "\"seq\":"));
        mini_answer(m, reply, answer);
    } else if (strcmp(subject, "$JS.API.STREAM.MSG.DELETE.S") == 0) {
        mini_answer(m, reply, "{\"success\":true}");
    } else if (strcmp(subject, "$JS.API.STREAM.INFO.NOBODY") == 0) {
        mini_answer(m, reply, "{\"config\":{\"name\":\"NOBODY\"}}");
    } else {
        return strcmp(subject, "$JS.API.DIRECT.GET.SILENT") == 0; /* as servers before 2.10 do not answer */
    }
    return true;
}

static unsigned live_subs(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < MINI_SUBS; i++)
        n += s.server.mini.sub[i].live;
    return n;
}

static void begin(void)
{
    memset(&server, 0, sizeof server);
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    s.server.mini.on_api = serve;
}

/* --- the program's side --- */

typedef struct told {
    unsigned calls, messages, enough;
    nbj_status status;
    nbj_read_result result;
    char text[200];
    nbj_stored_msg *kept;
    enum { GO_ON, CLOSE, RELEASE, READ_AGAIN } act; /* at the second message */
} told;

static told again;

static bool on_msg(void *user, const nbj_stored_msg *m);

static void on_end(void *user, nbj_status status, const nbj_read_result *result, const nbj_error *error)
{
    told *t = user;

    t->calls++;
    t->status = status;
    t->result = *result;
    assert_int_equal(error != NULL ? error->status : NBJ_OK, status);
    assert_int_equal(result->messages, t->messages);
    snprintf(t->text, sizeof t->text, "%s", error != NULL ? nbj_error_text(error) : "");
}

static bool on_msg(void *user, const nbj_stored_msg *m)
{
    told *t = user;
    char want[24];

    assert_int_equal(t->calls, 0);
    assert_int_equal(nbj_stored_msg_sequence(m), ++t->messages); /* in order, without holes */
    snprintf(want, sizeof want, "message %u", t->messages);
    assert_true(nbj_bytes_equal(nbj_stored_msg_data(m), nbj_str(want)));
    if (t->kept == NULL)
        t->kept = nbj_stored_msg_retain(m);
    if (t->messages == 2 && t->act == CLOSE)
        nbj_client_close(s.client);
    if (t->messages == 2 && t->act == RELEASE) {
        nbj_client_release(s.client);
        s.client = NULL;
    }
    if (t->messages == 2 && t->act == READ_AGAIN)
        assert_int_equal(nbj_stored_read_async(s.client, "S", NULL, NULL, on_msg, on_end, &again), NBJ_OK);
    return t->messages != t->enough;
}

static void read_all(told *t, uint32_t batch, uint64_t timeout_ns)
{
    assert_int_equal(nbj_stored_read_async(s.client, "S", NBJ_READ(.batch = batch), NBJ_CALL(.timeout_ns = timeout_ns),
                                           on_msg, on_end, t),
                     NBJ_OK);
    assert_int_equal(t->calls + t->messages, 0); /* not before the loop turns */
}

static void end(told *t)
{
    nbj_stored_msg_release(t->kept);
    served_end(&s);
}

/* --- many answers --- */

static void test_read(void **state)
{
    (void)state;
    for (uint32_t batch = 1; batch < 25; batch += 3) {
        told t = { 0 };
        begin();
        unsigned subs = live_subs();
        s.server.most = batch % 2 == 0 ? 7 : 0; /* octets at a time */
        read_all(&t, batch, 0);
        TURN_UNTIL(&s, t.calls > 0);
        assert_int_equal(t.status, NBJ_OK);
        assert_int_equal(t.messages, STORED);
        assert_int_equal(t.result.pending, 0);
        assert_int_equal(server.requests, (STORED + batch - 1) / batch);
        TURN_UNTIL(&s, live_subs() == subs); /* nothing of it is left */
        assert_int_equal(t.calls, 1);
        end(&t);
    }
}

/* What is under way when the program has enough is dropped; the server is told. */
static void test_read_stops_early(void **state)
{
    (void)state;
    for (unsigned enough = 1; enough <= STORED; enough++) {
        told t = { .enough = enough };
        begin();
        unsigned subs = live_subs();
        s.server.most = 100;
        read_all(&t, 6, 0);
        TURN_UNTIL(&s, t.calls > 0);
        assert_int_equal(t.status, NBJ_OK);
        assert_int_equal(t.messages, enough);
        assert_int_equal(t.result.pending, STORED - enough);
        TURN_UNTIL(&s, live_subs() == subs && s.server.mini.out_len == 0);
        served_settle(&s);
        assert_true(t.calls == 1 && t.messages == enough);
        assert_string_equal(s.trail, "C");
        end(&t);
    }
}

static void test_callbacks_end_the_client(void **state)
{
    (void)state;
    for (uint32_t batch = 2; batch < 6; batch++) {
        told t = { .act = CLOSE };
        begin();
        read_all(&t, batch, 0);
        TURN_UNTIL(&s, served_ends_with(&s, "X"));
        assert_true(t.calls == 1 && t.status == NBJ_E_CLOSED && t.result.last_sequence == t.messages);
        assert_true(t.messages >= 2 && t.messages <= batch);
        end(&t);

        told gone = { .act = RELEASE };
        begin();
        read_all(&gone, batch, 0);
        TURN_UNTIL(&s, s.client == NULL);
        assert_true(gone.calls == 0 && gone.messages == 2); /* a released client calls nobody */
        end(&gone);
    }
}

static void test_callbacks_may_read(void **state)
{
    (void)state;
    told t = { .act = READ_AGAIN };
    memset(&again, 0, sizeof again);
    begin();
    read_all(&t, 3, 0);
    TURN_UNTIL(&s, t.calls > 0 && again.calls > 0);
    assert_true(t.status == NBJ_OK && t.messages == STORED);
    assert_true(again.status == NBJ_OK && again.messages == STORED);
    nbj_stored_msg_release(again.kept);
    end(&t);
}

/* The answers stop in the middle: at the deadline the call says how far it came. */
static void test_read_without_an_end(void **state)
{
    (void)state;
    for (unsigned request = 1; request <= 3; request++) {
        told t = { 0 };
        begin();
        server.withhold = request;
        read_all(&t, 5, NBJ_MILLIS(60));
        TURN_UNTIL(&s, t.calls > 0);
        assert_int_equal(t.status, NBJ_E_TIMEOUT);
        assert_int_equal(t.messages, 5 * (request - 1) + 2);
        assert_int_equal(t.result.last_sequence, t.messages);
        end(&t);
    }
}

/* Until then there is time to ask for what is missing. */
static void test_read_goes_on(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        told t = { 0 };
        begin();
        server.withhold = how == 1 ? 0 : 2;
        server.lose = how == 1 ? 2 : 0;
        read_all(&t, 5, NBJ_SECONDS(30));
        if (how == 2) { /* the connection ends there */
            TURN_UNTIL(&s, t.messages == 7);
            loopback_drop(&s.server, true);
        }
        TURN_UNTIL(&s, t.calls > 0);
        assert_int_equal(t.status, NBJ_OK);
        assert_int_equal(t.messages, STORED);
        assert_true(server.requests > STORED / 5);
        end(&t);
    }
}

static void test_nobody_answers(void **state)
{
    (void)state;
    told t = { 0 };
    begin();
    assert_int_equal(nbj_stored_read_async(s.client, "NOBODY", NULL, NULL, on_msg, on_end, &t), NBJ_OK);
    TURN_UNTIL(&s, t.calls > 0);
    assert_int_equal(t.status, NBJ_E_STATE);
    assert_non_null(strstr(t.text, "stream NOBODY does not allow direct get"));
    told late = { 0 };
    assert_int_equal(
        nbj_stored_read_async(s.client, "SILENT", NULL, NBJ_CALL(.timeout_ns = NBJ_MILLIS(20)), on_msg, on_end, &late),
        NBJ_OK);
    TURN_UNTIL(&s, late.calls > 0);
    assert_true(late.status == NBJ_E_TIMEOUT && late.messages == 0);
    end(&t);
}

/* --- single answers --- */

static void on_found(void *user, nbj_status status, const nbj_stored_msg *msg, const nbj_error *error)
{
    told *t = user;

    t->calls++;
    t->status = status;
    assert_int_equal(msg != NULL, status == NBJ_OK);
    assert_int_equal(error != NULL ? error->status : NBJ_OK, status);
    if (msg != NULL) {
        t->result.last_sequence = nbj_stored_msg_sequence(msg);
        snprintf(t->text, sizeof t->text, "%.*s", NBJ_FMT(nbj_stored_msg_data(msg)));
    }
}

static told found(const char *stream, bool direct)
{
    told t = { 0 };

    assert_int_equal(
        nbj_stored_get_async(s.client, stream, NBJ_GET(.sequence = 3, .direct = direct), NULL, on_found, &t), NBJ_OK);
    TURN_UNTIL(&s, t.calls > 0);
    assert_int_equal(t.status, NBJ_OK);
    assert_int_equal(t.result.last_sequence, 3);
    return t;
}

static void test_get(void **state)
{
    nbj_stored_msg *m = (nbj_stored_msg *)&s;
    nbj_read_result result = { .messages = 1 };
    nbj_error error;

    (void)state;
    begin();
    assert_string_equal(found("S", false).text, "leader");
    assert_string_equal(found("S", true).text, "message 3");
    assert_string_equal(found("NOBODY", true).text, "leader"); /* nobody listens: it is asked at once */
    nbj_time begun = ts_now();
    assert_string_equal(found("SILENT", true).text,
                        "leader"); /* nobody says so: it is asked well before the deadline */
    assert_true(ts_now() - begun < NBJ_SECONDS(4));
    assert_int_equal(nbj_stored_get(s.client, "S", NBJ_GET(.sequence = 1), NULL, &m, &error), NBJ_E_WOULD_BLOCK);
    assert_null(m);
    assert_int_equal(nbj_stored_read(s.client, "S", NULL, NULL, on_msg, NULL, &result, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(result.messages, 0);
    assert_int_equal(nbj_stored_delete(s.client, "S", 1, NULL, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_stored_erase(s.client, "S", 1, NULL, NULL), NBJ_E_WOULD_BLOCK);
    served_end(&s);
}

/* --- without memory --- */

static nbj_status do_get(told *t)
{
    return nbj_stored_get_async(s.client, "S", NBJ_GET(.sequence = 3, .direct = true),
                                NBJ_CALL(.timeout_ns = NBJ_MILLIS(100)), on_found, t);
}

static nbj_status do_get_of_leader(told *t)
{
    return nbj_stored_get_async(s.client, "S", NBJ_GET(.sequence = 3), NBJ_CALL(.timeout_ns = NBJ_MILLIS(100)),
                                on_found, t);
}

static nbj_status do_read(told *t)
{
    return nbj_stored_read_async(s.client, "S", NBJ_READ(.batch = 6, .subject = "js.>"),
                                 NBJ_CALL(.timeout_ns = NBJ_MILLIS(100)), on_msg, on_end, t);
}

static nbj_status do_read_a_few(told *t)
{
    t->enough = 8;
    return do_read(t);
}

static void on_done(void *user, nbj_status status, const nbj_error *error)
{
    told *t = user;

    t->calls++;
    t->status = status;
    assert_int_equal(error != NULL ? error->status : NBJ_OK, status);
}

static nbj_status do_delete(told *t)
{
    return nbj_stored_delete_async(s.client, "S", 3, NBJ_CALL(.timeout_ns = NBJ_MILLIS(100)), on_done, t);
}

/* From the call on until it has ended allocation |n| fails, and those after it with |all|. */
static bool try_call(nbj_status (*call)(told *t), size_t n, bool all)
{
    told t = { 0 };

    begin();
    s.mem.fail_after = all;
    s.mem.fail_at = s.mem.calls + n;
    nbj_status st = call(&t);
    for (int i = 0; i < 4; i++)
        (void)served_turn(&s);
    bool failed = s.mem.failed > 0;
    if (t.calls == 0)
        s.mem.fail_at = failed ? TS_NEVER_FAIL : s.mem.fail_at;
    if (st == NBJ_OK)
        TURN_UNTIL(&s, t.calls > 0);
    failed = failed || s.mem.failed > 0;
    s.mem.fail_at = TS_NEVER_FAIL;
    assert_true(st == NBJ_OK || (st == NBJ_E_NOMEM && failed));
    assert_int_equal(t.calls, st == NBJ_OK);
    if (!failed || t.status == NBJ_OK) /* what ends well is whole, whatever was in between */
        assert_true(st != NBJ_OK || t.status == NBJ_OK);
    if (st == NBJ_OK && t.status == NBJ_OK && t.messages > 0)
        assert_int_equal(t.messages, t.enough > 0 ? t.enough : STORED);
    assert_true(t.status == NBJ_OK || t.status == NBJ_E_NOMEM || t.status == NBJ_E_TIMEOUT);
    TURN_UNTIL(&s, nbj_client_is_connected(s.client));
    end(&t);
    return failed;
}

static void test_without_memory(void **state)
{
    static nbj_status (*const all[])(told * t) = { do_get, do_get_of_leader, do_read, do_read_a_few, do_delete };

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        for (int after = 0; after < 2; after++) {
            size_t n = 0;
            while (try_call(all[i], n, after))
                n++;
            assert_true(n > 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_stops_early),
        cmocka_unit_test(test_callbacks_end_the_client),
        cmocka_unit_test(test_callbacks_may_read),
        cmocka_unit_test(test_read_without_an_end),
        cmocka_unit_test(test_read_goes_on),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
