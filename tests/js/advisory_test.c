/* SPDX-License-Identifier: Apache-2.0 */
/* Advisories: what is in them, as servers wrote them; which subjects are theirs; what a filter lets through. */
#include "js/advisory.h"

#include "support/check.h"

#include <stdio.h>

#define A "{\"type\":\"io.nats.jetstream.advisory.v1."
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *json;
    nbj_advisory_kind kind;
    const char *subject; /* behind "$JS.EVENT.", with the names of stream S and consumer C */
} samples[] = {
    { A "max_deliver\"}", NBJ_ADVISORY_MAX_DELIVERIES, "ADVISORY.CONSUMER.MAX_DELIVERIES.S.C" },
    { A "terminated\"}", NBJ_ADVISORY_MSG_TERMINATED, "ADVISORY.CONSUMER.MSG_TERMINATED.S.C" },
    { A "nak\"}", NBJ_ADVISORY_MSG_NAKED, "ADVISORY.CONSUMER.MSG_NAKED.S.C" },
    { A "consumer_action\",\"action\":\"create\"}", NBJ_ADVISORY_CONSUMER_CREATED, "ADVISORY.CONSUMER.CREATED.S.C" },
    { A "consumer_action\",\"action\":\"delete\"}", NBJ_ADVISORY_CONSUMER_DELETED, "ADVISORY.CONSUMER.DELETED.S.C" },
    { A "consumer_pause\"}", NBJ_ADVISORY_CONSUMER_PAUSE, "ADVISORY.CONSUMER.PAUSE.S.C" },
    { A "consumer_group_pinned\"}", NBJ_ADVISORY_CONSUMER_PINNED, "ADVISORY.CONSUMER.PINNED.S.C" },
    { A "consumer_group_unpinned\"}", NBJ_ADVISORY_CONSUMER_UNPINNED, "ADVISORY.CONSUMER.UNPINNED.S.C" },
    { A "consumer_leader_elected\"}", NBJ_ADVISORY_CONSUMER_LEADER_ELECTED, "ADVISORY.CONSUMER.LEADER_ELECTED.S.C" },
    { A "consumer_quorum_lost\"}", NBJ_ADVISORY_CONSUMER_QUORUM_LOST, "ADVISORY.CONSUMER.QUORUM_LOST.S.C" },
    { A "stream_action\",\"action\":\"create\"}", NBJ_ADVISORY_STREAM_CREATED, "ADVISORY.STREAM.CREATED.S" },
    { A "stream_action\",\"action\":\"modify\"}", NBJ_ADVISORY_STREAM_UPDATED, "ADVISORY.STREAM.UPDATED.S" },
    { A "stream_action\",\"action\":\"delete\"}", NBJ_ADVISORY_STREAM_DELETED, "ADVISORY.STREAM.DELETED.S" },
    { A "stream_leader_elected\"}", NBJ_ADVISORY_STREAM_LEADER_ELECTED, "ADVISORY.STREAM.LEADER_ELECTED.S" },
    { A "stream_quorum_lost\"}", NBJ_ADVISORY_STREAM_QUORUM_LOST, "ADVISORY.STREAM.QUORUM_LOST.S" },
    { A "snapshot_create\"}", NBJ_ADVISORY_SNAPSHOT_CREATE, "ADVISORY.STREAM.SNAPSHOT_CREATE.S" },
    { A "snapshot_complete\"}", NBJ_ADVISORY_SNAPSHOT_COMPLETE, "ADVISORY.STREAM.SNAPSHOT_COMPLETE.S" },
    { A "restore_create\"}", NBJ_ADVISORY_RESTORE_CREATE, "ADVISORY.STREAM.RESTORE_CREATE.S" },
    { A "restore_complete\"}", NBJ_ADVISORY_RESTORE_COMPLETE, "ADVISORY.STREAM.RESTORE_COMPLETE.S" },
    { A "stream_batch_abandoned\"}", NBJ_ADVISORY_BATCH_ABANDONED, "ADVISORY.STREAM.BATCH_ABANDONED.S" },
    { A "domain_leader_elected\"}", NBJ_ADVISORY_DOMAIN_LEADER_ELECTED, "ADVISORY.DOMAIN.LEADER_ELECTED" },
    { A "server_out_of_space\"}", NBJ_ADVISORY_SERVER_OUT_OF_STORAGE, "ADVISORY.SERVER.OUT_OF_STORAGE" },
    { A "server_removed\"}", NBJ_ADVISORY_SERVER_REMOVED, "ADVISORY.SERVER.REMOVED" },
    { A "meta_rescue\"}", NBJ_ADVISORY_META_RESCUE, "ADVISORY.SERVER.META_RESCUE" },
    { A "api_limit_reached\"}", NBJ_ADVISORY_API_LIMIT_REACHED, "ADVISORY.API.LIMIT_REACHED" },
    { A "api_audit\"}", NBJ_ADVISORY_API_AUDIT, "ADVISORY.API" },
    { "{\"type\":\"io.nats.jetstream.metric.v1.consumer_ack\"}", NBJ_ADVISORY_ACK_METRIC, "METRIC.CONSUMER.ACK.S.C" },
};

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(COUNT(samples), NBJ__ADVISORY_KINDS - 1);
    for (size_t i = 0; i < COUNT(samples); i++) {
        nbj__advisory a;
        char subject[128], expected[128];
        nbj__text t = nbj__text_into(subject, sizeof subject);
        bool is_global = strstr(samples[i].subject, ".S") == NULL || strstr(samples[i].subject, ".SERVER") != NULL;
        nbj__advisory_filter f = { .stream = is_global ? NULL : "S",
                                   .consumer = strstr(samples[i].subject, ".C") != NULL &&
                                                       samples[i].subject[strlen(samples[i].subject) - 1] == 'C'
                                                   ? "C"
                                                   : NULL };
        assert_int_equal(nbj__advisory_read(nbj_str(samples[i].json), &a), NBJ_OK);
        CHECK(samples[i].json, a.data.kind == samples[i].kind && a.data.kind == i + 1);
        nbj__advisory_clear(&a);
        f.kinds = NBJ_ADVISORY_BIT(samples[i].kind);
        CHECK(samples[i].subject, nbj__advisory_filter_check(&f));
        CHECK(samples[i].subject, nbj__advisory_subject(&f, samples[i].kind, &t) && !t.cut);
        snprintf(expected, sizeof expected, "$JS.EVENT.%s", samples[i].subject);
        assert_string_equal(subject, expected);
    }
}

static bool is(nbj_bytes text, const char *expected)
{
    return nbj_bytes_equal(text, nbj_str(expected));
}

static const char snapshot_create[] = A
    "snapshot_create\",\"id\":\"DqOD4Nac3qI3lT65zr5Hmt\",\"timestamp\":\"2026-11-23T18:04:54.976119933Z\",\"stream\":"
    "\"S\",\"state\":{\"messages\":4001,\"bytes\":932036,\"first_seq\":1,\"first_ts\":\"2026-11-23T18:04:54.846885635Z"
    "\",\"last_seq\":4002,\"last_ts\":\"2026-11-23T18:04:54.932537674Z\",\"num_subjects\":6,\"consumer_count\":1},"
    "\"client\":{\"start\":\"2026-11-23T18:04:54.660079514Z\",\"host\":\"127.0.0.1\",\"id\":5,\"acc\":\"$G\",\"rtt\":"
    "551517,\"server\":\"p\",\"user\":\"u\",\"name\":\"n\",\"kind\":\"Client\",\"client_type\":\"nats\"}}";

static void test_snapshot(void **state)
{
    (void)state;
    nbj__advisory a;
    assert_int_equal(nbj__advisory_read(nbj_str(snapshot_create), &a), NBJ_OK);
    assert_true(is(a.data.id, "DqOD4Nac3qI3lT65zr5Hmt") && is(a.data.stream, "S") && a.data.consumer.len == 0);
    assert_true(a.data.time_ns == 1795457094976119933);
    assert_int_equal(a.data.state_messages, 4001);
    assert_int_equal(a.data.state_bytes, 932036);
    assert_int_equal(a.data.bytes, 0);
    assert_int_equal(a.data.state_first_sequence, 1);
    assert_int_equal(a.data.state_last_sequence, 4002);
    assert_int_equal(a.data.state_consumers, 1);
    assert_int_equal(a.data.client_id, 5);
    assert_true(is(a.data.client_host, "127.0.0.1") && is(a.data.client_account, "$G"));
    assert_true(is(a.data.client_server, "p") && a.data.server.len == 0);
    assert_true(is(a.data.client_user, "u") && is(a.data.client_name, "n"));
    assert_true(is(a.data.json, snapshot_create));
    nbj__advisory_clear(&a);
}

static void test_members(void **state)
{
    (void)state;
    nbj__advisory a;
    const char *json = A
        "x\",\"domain\":\"D\",\"account\":\"$G\",\"consumer\":\"C\",\"stream_seq\":18446744073709551615,"
        "\"consumer_seq\":2,\"deliveries\":3,\"ack_time\":4,\"reason\":\"r\",\"error\":\"e\",\"group\":\"g\","
        "\"pinned_id\":\"p\",\"batch\":\"b\",\"leader\":\"l\",\"cluster\":\"c\",\"server\":\"s\",\"server_id\":\"i\","
        "\"subject\":\"su\",\"request\":\"rq\",\"response\":\"rs\",\"paused\":true,\"pause_until\":"
        "\"1970-01-01T00:00:01Z\",\"start\":\"1970-01-01T00:00:02Z\",\"end\":\"1970-01-01T00:00:03Z\",\"bytes\":5,"
        "\"dropped\":6,\"prev_quorum\":7,\"new_quorum\":8,\"replicas\":[{\"name\":\"n\",\"current\":true,\"active\":9,"
        "\"lag\":10},7,{\"offline\":true}]}";
    assert_int_equal(nbj__advisory_read(nbj_str(json), &a), NBJ_OK);
    assert_int_equal(a.data.kind, NBJ_ADVISORY_UNKNOWN);
    assert_true(is(a.data.type, "io.nats.jetstream.advisory.v1.x"));
    assert_true(is(a.data.domain, "D") && is(a.data.account, "$G") && is(a.data.consumer, "C"));
    assert_true(a.data.stream_sequence == UINT64_MAX && a.data.consumer_sequence == 2 && a.data.deliveries == 3);
    assert_true(a.data.ack_time_ns == 4 && is(a.data.reason, "r") && is(a.data.error, "e") && is(a.data.group, "g"));
    assert_true(is(a.data.pinned_id, "p") && is(a.data.batch, "b") && is(a.data.leader, "l"));
    assert_true(is(a.data.cluster, "c") && is(a.data.server, "s") && is(a.data.server_id, "i"));
    assert_true(is(a.data.subject, "su") && is(a.data.request, "rq") && is(a.data.response, "rs"));
    assert_true(a.data.paused && a.data.pause_until_ns == 1000000000);
    assert_true(a.data.start_ns == 2000000000 && a.data.end_ns == 3000000000);
    assert_true(a.data.bytes == 5 && a.data.dropped == 6 && a.data.old_quorum == 7 && a.data.new_quorum == 8);
    assert_int_equal(a.data.replica_count, 3);
    nbj_advisory_peer first = nbj_advisory_replica(&a.data, 0), last = nbj_advisory_replica(&a.data, 2);
    assert_true(is(first.name, "n") && first.is_current && !first.is_offline);
    assert_true(first.active_ns == 9 && first.lag == 10);
    assert_true(last.is_offline && !last.is_current && last.name.len == 0);
    assert_int_equal(nbj_advisory_replica(&a.data, 1).name.len, 0);
    assert_int_equal(nbj_advisory_replica(&a.data, 3).name.len, 0);
    nbj__advisory_clear(&a);
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const unread[] = { "", "x", "[]", "{", "{\"type\":" };
    nbj__advisory_filter f = { .stream = "S", .domain = "D" };
    nbj__advisory a;
    assert_true(nbj__advisory_filter_check(&f));
    for (size_t i = 0; i < COUNT(unread); i++) {
        CHECK(unread[i], nbj__advisory_read(nbj_str(unread[i]), &a) == NBJ_E_BAD_REPLY);
        CHECK(unread[i], a.data.kind == NBJ_ADVISORY_UNKNOWN && is(a.data.json, unread[i]));
        CHECK(unread[i], nbj__advisory_is_wanted(&f, &a.data));
        nbj__advisory_clear(&a);
    }
    assert_int_equal(nbj__advisory_read(nbj_str(A "stream_action\",\"action\":\"rename\",\"stream\":\"S\"}"), &a),
                     NBJ_OK);
    assert_int_equal(a.data.kind, NBJ_ADVISORY_UNKNOWN);
    assert_true(is(a.data.stream, "S"));
    nbj__advisory_clear(&a);
}

static unsigned bits(uint64_t mask)
{
    unsigned n = 0;

    for (; mask != 0; mask &= mask - 1)
        n++;
    return n;
}

static void test_subscriptions(void **state)
{
    (void)state;
    nbj__advisory_filter all = { 0 }, stream = { .stream = "S" }, consumer = { .consumer = "C" };
    nbj__advisory_filter unknown = { .kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN) |
                                              NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_CREATED) |
                                              NBJ_ADVISORY_BIT(NBJ_ADVISORY_ACK_METRIC) };
    assert_true(nbj__advisory_filter_check(&all));
    assert_int_equal(bits(nbj__advisory_subscriptions(&all)), NBJ__ADVISORY_KINDS - 2);
    assert_true((nbj__advisory_subscriptions(&all) & NBJ_ADVISORY_BIT(NBJ_ADVISORY_API_AUDIT)) == 0);
    assert_true(nbj__advisory_filter_check(&stream));
    assert_int_equal(bits(nbj__advisory_subscriptions(&stream)), 21);
    assert_true(nbj__advisory_filter_check(&consumer));
    assert_int_equal(bits(nbj__advisory_subscriptions(&consumer)), 11);
    assert_true(nbj__advisory_filter_check(&unknown));
    assert_true(nbj__advisory_subscriptions(&unknown) ==
                (NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN) | NBJ_ADVISORY_BIT(NBJ_ADVISORY_ACK_METRIC)));
}

static void test_bad_filters(void **state)
{
    (void)state;
    nbj__advisory_filter bad[] = {
        { .stream = "a.b" },
        { .stream = "" },
        { .consumer = "*" },
        { .prefix = "a.>" },
        { .prefix = "" },
        { .kinds = NBJ_ADVISORY_BIT(NBJ__ADVISORY_KINDS) },
        { .kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_CREATED), .consumer = "C" },
        { .kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_API_AUDIT), .stream = "S" },
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK("bad filter", !nbj__advisory_filter_check(&bad[i]));
}

static void test_filter(void **state)
{
    (void)state;
    nbj__advisory_filter f = { .kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_MSG_NAKED) | NBJ_ADVISORY_BIT(0),
                               .stream = "S",
                               .consumer = "C",
                               .domain = "D" };
    static const struct {
        const char *json;
        bool wanted;
    } cases[] = {
        { A "nak\",\"stream\":\"S\",\"consumer\":\"C\",\"domain\":\"D\"}", true },
        { A "new\",\"stream\":\"S\",\"consumer\":\"C\",\"domain\":\"D\"}", true },
        { A "nak\",\"stream\":\"S\",\"consumer\":\"C\"}", false },
        { A "nak\",\"stream\":\"S\",\"consumer\":\"C\",\"domain\":\"E\"}", false },
        { A "nak\",\"stream\":\"T\",\"consumer\":\"C\",\"domain\":\"D\"}", false },
        { A "nak\",\"stream\":\"S\",\"domain\":\"D\"}", false },
        { A "terminated\",\"stream\":\"S\",\"consumer\":\"C\",\"domain\":\"D\"}", false },
    };
    assert_true(nbj__advisory_filter_check(&f));
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__advisory a;
        assert_int_equal(nbj__advisory_read(nbj_str(cases[i].json), &a), NBJ_OK);
        CHECK(cases[i].json, nbj__advisory_is_wanted(&f, &a.data) == cases[i].wanted);
        nbj__advisory_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_snapshot),      cmocka_unit_test(test_members),
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_bad_filters),
        cmocka_unit_test(test_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
