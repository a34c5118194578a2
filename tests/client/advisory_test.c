/* SPDX-License-Identifier: Apache-2.0 */
/* Advisories through the public API: what is subscribed to, what is told, and giving back, with an event loop. */
#define _GNU_SOURCE
#include "client/fixture.h"

#define A "{\"type\":\"io.nats.jetstream.advisory.v1."

static served s;

typedef struct told {
    unsigned calls, ends;
    nbj_advisory_kind kind;
    nbj_status why;
    char stream[64], json[256];
    nbj_advisories *handle; /* to be released in the callback; or NULL */
} told;

static void on_advisory(void *user, nbj_advisories *advisories, const nbj_advisory *a)
{
    told *t = user;

    t->calls++;
    t->kind = a->kind;
    snprintf(t->stream, sizeof t->stream, "%.*s", NBJ_FMT(a->stream));
    snprintf(t->json, sizeof t->json, "%.*s", NBJ_FMT(a->json));
    if (t->handle != NULL) {
        assert_ptr_equal(t->handle, advisories);
        nbj_advisories_release(advisories);
        t->handle = NULL;
    }
}

static void on_end(void *user, nbj_advisories *advisories, nbj_status why)
{
    told *t = user;

    (void)advisories;
    t->ends++;
    t->why = why;
}

static unsigned live_subs(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < MINI_SUBS; i++)
        n += s.server.mini.sub[i].live;
    return n;
}

static bool has_sub(const char *subject)
{
    for (size_t i = 0; i < MINI_SUBS; i++) {
        if (s.server.mini.sub[i].live && strcmp(s.server.mini.sub[i].subject, subject) == 0)
            return true;
    }
    return false;
}

static void happen(const char *subject, const char *json)
{
    assert_int_equal(nbj_send(s.client, subject, nbj_str(json), NULL), NBJ_OK);
    served_settle(&s);
}

static void test_told(void **state)
{
    (void)state;
    told t = { 0 };
    nbj_advisories *a = NULL;
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_CREATED) | NBJ_ADVISORY_BIT(NBJ_ADVISORY_MSG_NAKED);
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(
        nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.kinds = kinds, .stream = "S"), on_advisory, on_end, &t, &a),
        NBJ_OK);
    served_settle(&s);
    assert_int_equal(live_subs(), 2);
    assert_true(has_sub("$JS.EVENT.ADVISORY.STREAM.CREATED.S"));
    assert_true(has_sub("$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.S.*"));
    happen("$JS.EVENT.ADVISORY.STREAM.CREATED.S", A "stream_action\",\"action\":\"create\",\"stream\":\"S\"}");
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.kind, NBJ_ADVISORY_STREAM_CREATED);
    assert_string_equal(t.stream, "S");
    happen("$JS.EVENT.ADVISORY.STREAM.CREATED.S", "what?");
    assert_int_equal(t.calls, 2);
    assert_int_equal(t.kind, NBJ_ADVISORY_UNKNOWN);
    assert_string_equal(t.json, "what?");
    nbj_client_close(s.client);
    TURN_UNTIL(&s, served_ends_with(&s, "X"));
    assert_int_equal(t.ends, 1); /* for all of them */
    assert_int_equal(t.why, NBJ_E_CLOSED);
    nbj_advisories_release(a);
    nbj_advisories_release(NULL);
    served_end(&s);
}

static void test_release_in_a_callback(void **state)
{
    (void)state;
    told t = { 0 };
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(
        nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.stream = "S"), on_advisory, on_end, &t, &t.handle), NBJ_OK);
    served_settle(&s);
    assert_true(live_subs() > 10);
    happen("$JS.EVENT.ADVISORY.STREAM.CREATED.S", A "stream_action\",\"action\":\"create\",\"stream\":\"S\"}");
    assert_int_equal(t.calls, 1);
    assert_int_equal(live_subs(), 0);
    happen("$JS.EVENT.ADVISORY.STREAM.CREATED.S", A "stream_action\",\"action\":\"create\",\"stream\":\"S\"}");
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.ends, 0);
    served_end(&s);
}

static void test_everything(void **state)
{
    (void)state;
    told t = { 0 };
    nbj_advisories *a = NULL;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN) | NBJ_ADVISORY_BIT(NBJ_ADVISORY_API_AUDIT);
    assert_int_equal(nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.kinds = kinds, .event_prefix = "over.there"),
                                              on_advisory, NULL, &t, &a),
                     NBJ_OK);
    served_settle(&s);
    assert_int_equal(live_subs(), 1);
    assert_true(has_sub("over.there.ADVISORY.>"));
    happen("over.there.ADVISORY.NEW.THING", A "new_thing\",\"stream\":\"S\"}");
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.kind, NBJ_ADVISORY_UNKNOWN);
    happen("over.there.ADVISORY.STREAM.CREATED.S", A "stream_action\",\"action\":\"create\"}"); /* not asked for */
    assert_int_equal(t.calls, 1);
    happen("over.there.ADVISORY.API", A "api_audit\"}");
    assert_int_equal(t.kind, NBJ_ADVISORY_API_AUDIT);
    nbj_advisories_release(a);
    served_end(&s);
}

static void test_domain(void **state)
{
    (void)state;
    told own = { 0 }, any = { 0 }, other = { 0 };
    nbj_advisories *a = NULL, *b = NULL, *c = NULL;
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_DELETED);
    served_connect(&s, NBJ_CLIENT_OPTIONS(.js_domain = "hub"));
    assert_int_equal(nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.kinds = kinds), on_advisory, NULL, &own, &a),
                     NBJ_OK);
    assert_int_equal(
        nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.kinds = kinds, .domain = ""), on_advisory, NULL, &any, &b),
        NBJ_OK);
    assert_int_equal(nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.kinds = kinds, .domain = "leaf"), on_advisory,
                                              NULL, &other, &c),
                     NBJ_OK);
    happen("$JS.EVENT.ADVISORY.STREAM.DELETED.S", A "stream_action\",\"action\":\"delete\",\"domain\":\"hub\"}");
    happen("$JS.EVENT.ADVISORY.STREAM.DELETED.S", A "stream_action\",\"action\":\"delete\",\"domain\":\"leaf\"}");
    happen("$JS.EVENT.ADVISORY.STREAM.DELETED.S", A "stream_action\",\"action\":\"delete\"}");
    assert_int_equal(own.calls, 1);
    assert_int_equal(any.calls, 3);
    assert_int_equal(other.calls, 1);
    nbj_advisories_release(a);
    nbj_advisories_release(b);
    nbj_advisories_release(c);
    served_end(&s);
}

static void test_refused(void **state)
{
    (void)state;
    nbj_advisories *a = (nbj_advisories *)&s;
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    assert_int_equal(nbj_advisories_subscribe(s.client, NULL, NULL, NULL, NULL, &a), NBJ_E_INVALID);
    assert_null(a);
    assert_int_equal(nbj_advisories_subscribe(s.client, NBJ_ADVISORIES(.stream = "a.b"), on_advisory, NULL, NULL, &a),
                     NBJ_E_INVALID);
    nbj_client_close(s.client);
    assert_int_equal(nbj_advisories_subscribe(s.client, NULL, on_advisory, NULL, NULL, &a), NBJ_E_CLOSED);
    assert_null(a);
    served_end(&s);
}

static void test_subject(void **state)
{
    (void)state;
    char subject[NBJ_ADVISORY_SUBJECT_MAX];
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_MAX_DELIVERIES, NULL, subject, sizeof subject), NBJ_OK);
    assert_string_equal(subject, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.*.*");
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_STREAM_UPDATED,
                                          NBJ_ADVISORIES(.stream = "S", .event_prefix = "e"), subject, sizeof subject),
                     NBJ_OK);
    assert_string_equal(subject, "e.ADVISORY.STREAM.UPDATED.S");
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_UNKNOWN, NULL, subject, sizeof subject), NBJ_OK);
    assert_string_equal(subject, "$JS.EVENT.ADVISORY.>");
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_UNKNOWN, NULL, subject, 20), NBJ_E_FULL);
    assert_string_equal(subject, "");
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_UNKNOWN, NULL, subject, 0), NBJ_E_INVALID);
    assert_int_equal(nbj_advisory_subject((nbj_advisory_kind)99, NULL, subject, sizeof subject), NBJ_E_INVALID);
    assert_int_equal(
        nbj_advisory_subject(NBJ_ADVISORY_STREAM_UPDATED, NBJ_ADVISORIES(.consumer = "C"), subject, sizeof subject),
        NBJ_E_INVALID);
}

static void test_parse(void **state)
{
    (void)state;
    const nbj_advisory *a = NULL;
    assert_int_equal(nbj_advisory_parse(nbj_str(A "nak\",\"stream_seq\":7}"), &a), NBJ_OK);
    assert_int_equal(a->kind, NBJ_ADVISORY_MSG_NAKED);
    assert_int_equal(a->stream_sequence, 7);
    nbj_advisory_release(a);
    nbj_advisory_release(NULL);
    assert_int_equal(nbj_advisory_parse(nbj_str("x"), &a), NBJ_E_BAD_REPLY);
    assert_null(a);
}

static bool try_without_memory(size_t n)
{
    told t = { 0 };
    nbj_advisories *a = NULL;
    nbj_advisory_options *o =
        NBJ_ADVISORIES(.stream = "S", .consumer = "C", .domain = "D", .event_prefix = "$JS.EVENT");
    served_connect(&s, NBJ_CLIENT_OPTIONS());
    s.mem.fail_at = s.mem.calls + n;
    nbj_status st = nbj_advisories_subscribe(s.client, o, on_advisory, on_end, &t, &a);
    bool failed = s.mem.failed > 0;
    s.mem.fail_at = TS_NEVER_FAIL;
    assert_int_equal(st, failed ? NBJ_E_NOMEM : NBJ_OK);
    assert_int_equal(a == NULL, failed);
    served_settle(&s);
    assert_int_equal(live_subs(), failed ? 0 : 11);
    assert_int_equal(t.ends, 0);
    nbj_advisories_release(a);
    served_end(&s);
    return failed;
}

static void test_memory(void **state)
{
    (void)state;
    size_t n = 0;
    while (try_without_memory(n))
        n++;
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told),       cmocka_unit_test(test_release_in_a_callback),
        cmocka_unit_test(test_everything), cmocka_unit_test(test_domain),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_subject),
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
