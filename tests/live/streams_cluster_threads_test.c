/* SPDX-License-Identifier: Apache-2.0 */
/* Streams in a cluster of three: replicas, their leader steps down, one is taken away, one does not answer. */
#define _GNU_SOURCE
#include "threaded.h"

static ts_cluster cluster;
static nbj_client *client;

static int start_cluster(void **state)
{
    (void)state;
    cluster = ts_cluster_start(3, &(ts_server_options){ .jetstream = true });
    server = cluster.server[0];
    client = open_one();
    return 0;
}

static int stop_cluster(void **state)
{
    end_test(state);
    ts_cluster_free(&cluster);
    return 0;
}

static nbj_stream_info *info_of(const char *name)
{
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };

    if (nbj_stream_info_of(client, name, NULL, NBJ_CALL(.timeout_ns = SOON), &info, &error) != NBJ_OK)
        TS_FAIL("info of %s: %s", name, nbj_error_text(&error));
    return info;
}

static void create(const char *name, uint32_t replicas)
{
    nbj_error error = { 0 };
    nbj_status st =
        nbj_stream_ensure(client, NBJ_STREAM_CONFIG(.name = name, .replicas = replicas, .storage = NBJ_STORAGE_MEMORY),
                          NBJ_CALL(.timeout_ns = SOON), &error);

    if (st != NBJ_OK)
        TS_FAIL("%s: %s", name, nbj_error_text(&error));
}

static size_t count_current(const nbj_stream_info *info)
{
    nbj_stream_replica r;
    size_t n = 0;

    for (size_t i = 0; nbj_stream_info_replica(info, i, &r); i++)
        n += r.current;
    return n;
}

/* Who leads, once somebody does and the other replicas are as far. Between two leaders nobody answers. */
static void leader_of(const char *name, char leader[64])
{
    bool settled = false;
    nbj_error error = { 0 };

    for (nbj_time until = ts_now() + 2 * SOON; !settled && ts_now() < until; ts_breathe()) {
        nbj_stream_info *info = NULL;
        if (nbj_stream_info_of(client, name, NULL, NBJ_CALL(.timeout_ns = NBJ_MILLIS(500)), &info, &error) != NBJ_OK)
            continue;
        nbj_stream_cluster c = nbj_stream_info_cluster(info);
        settled = c.leader[0] != '\0' && count_current(info) == 2;
        snprintf(leader, 64, "%s", c.leader);
        nbj_stream_info_release(info);
    }
    CHECK(error.text, settled);
}

static void test_replicas(void **state)
{
    (void)state;
    char leader[64];
    nbj_stream_replica r;
    create("R3", 3);
    leader_of("R3", leader);
    nbj_stream_info *info = info_of("R3");
    nbj_stream_cluster c = nbj_stream_info_cluster(info);
    assert_string_not_equal(c.name, "");
    for (size_t i = 0; i < 2; i++) {
        assert_true(nbj_stream_info_replica(info, i, &r));
        assert_true(r.current && !r.offline && r.lag == 0);
        assert_string_not_equal(r.name, leader);
        assert_string_not_equal(r.peer, "");
    }
    assert_false(nbj_stream_info_replica(info, 2, &r));
    nbj_stream_info_release(info);
    create("R3", 3);
}

static void test_step_down(void **state)
{
    (void)state;
    char before[64], after[64];
    nbj_error error = { 0 };
    nbj_stream_replica r;
    create("DOWN", 3);
    leader_of("DOWN", before);
    snprintf(after, sizeof after, "%s", before);
    for (nbj_time until = ts_now() + 2 * SOON; strcmp(before, after) == 0 && ts_now() < until;) {
        if (nbj_stream_step_down(client, "DOWN", NULL, NBJ_CALL(.timeout_ns = SOON), &error) != NBJ_OK)
            TS_FAIL("step-down: %s", nbj_error_text(&error));
        leader_of("DOWN", after); /* it may be elected again */
    }
    assert_string_not_equal(before, after);

    nbj_stream_info *info = info_of("DOWN");
    assert_true(nbj_stream_info_replica(info, 0, &r));
    nbj_status st = nbj_stream_step_down(client, "DOWN", NBJ_STEP_DOWN(.preferred = r.name), NULL, &error);
    if (ts_server_is_at_least(server, 2, 11, 0)) {
        assert_int_equal(st, NBJ_OK);
        for (nbj_time until = ts_now() + SOON; strcmp(after, r.name) != 0 && ts_now() < until;)
            leader_of("DOWN", after);
        assert_string_equal(after, r.name);
    } else {
        assert_int_equal(st, NBJ_E_UNSUPPORTED);
    }
    nbj_stream_info_release(info);
}

static void test_peer_remove(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    nbj_stream_replica r;
    char leader[64];
    create("PEER", 3);
    leader_of("PEER", leader);
    nbj_stream_info *info = info_of("PEER");
    assert_true(nbj_stream_info_replica(info, 0, &r));
    nbj_status st = nbj_stream_peer_remove(client, "PEER", r.name, NBJ_CALL(.timeout_ns = SOON), &error);
    nbj_stream_info_release(info);
    CHECK(error.text, st == NBJ_E_JS && error.err_code == 10075); /* of three there is none to take its place */
    assert_int_equal(nbj_stream_peer_remove(client, "PEER", "nobody", NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10040); /* not a member */
    assert_int_equal(nbj_stream_peer_remove(client, "NONE", "nobody", NULL, &error), NBJ_E_STREAM_NOT_FOUND);
}

/* More than there are servers, and a place that there is not. */
static void test_no_place(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    nbj_status st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "FIVE", .replicas = 5), NULL, NULL, &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_int_equal(error.err_code, 10005);
    st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "TAGGED", .placement_tags = NBJ_LIST("moon")), NULL, NULL,
                           &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_int_equal(error.err_code, 10005);
}

/* Streams of a server that is gone are named all the same. */
static void test_one_server_is_gone(void **state)
{
    (void)state;
    static const char *const names[] = { "G0", "G1", "G2", "G3", "G4", "G5" };
    char gone[64], leader[64];
    nbj_stream_unavailable u;
    nbj_error error = { 0 };
    size_t listed = 0, missing = 0, lost = 0;

    for (size_t i = 0; i < 6; i++) /* each on one of the three */
        create(names[i], 1);
    snprintf(gone, sizeof gone, "test-%u", ts_server_port(cluster.server[2]));
    for (size_t i = 0; i < 6; i++) {
        nbj_stream_info *info = info_of(names[i]);
        snprintf(leader, sizeof leader, "%s", nbj_stream_info_cluster(info).leader);
        lost += strcmp(leader, gone) == 0;
        nbj_stream_info_release(info);
    }
    ts_server_kill9(cluster.server[2]);
    nbj_status st = NBJ_E_TIMEOUT;
    for (nbj_time until = ts_now() + 2 * SOON;
         st != NBJ_OK && ts_now() < until;) { /* the cluster may need a new leader */
        nbj_stream_iter *it = nbj_stream_list(client, NULL, NBJ_CALL(.timeout_ns = SOON));
        listed = missing = 0;
        for (const nbj_stream_info *s; (s = nbj_stream_next(it)) != NULL;)
            listed += nbj_stream_info_name(s)[0] == 'G';
        for (size_t i = 0; nbj_stream_iter_unavailable(it, i, &u); i++)
            missing += u.name[0] == 'G';
        st = nbj_stream_iter_end(it, &error);
    }
    if (st != NBJ_OK)
        TS_FAIL("list: %s", nbj_error_text(&error));
    assert_int_equal(listed + missing, 6);
    assert_true(missing >= lost);
    nbj_names *all = NULL;
    assert_int_equal(nbj_stream_names(client, "G*", NULL, &all, &error), NBJ_OK);
    nbj_names_release(all);
    ts_server_restart(cluster.server[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replicas), cmocka_unit_test(test_step_down),          cmocka_unit_test(test_peer_remove),
        cmocka_unit_test(test_no_place), cmocka_unit_test(test_one_server_is_gone),
    };

    return cmocka_run_group_tests(tests, start_cluster, stop_cluster);
}
