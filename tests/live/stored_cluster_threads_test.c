/* SPDX-License-Identifier: Apache-2.0 */
/* Direct gets from the followers of a replicated stream: they answer also when its leader does not. */
#define _GNU_SOURCE
#include "threaded.h"

#define NODES 3
#define MESSAGES 50u

static ts_cluster cluster;

static int stop_cluster(void **state)
{
    (void)end_test(state);
    ts_cluster_free(&cluster);
    return 0;
}

static nbj_client *open_at(int node)
{
    return open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(cluster.server[node]), .no_randomize = true));
}

/* The answer to a request, as a C string, until the next call. */
static const char *ask(nbj_client *c, const char *subject, const char *body)
{
    static char text[4096];
    nbj_msg *reply = NULL;

    assert_int_equal(nbj_request(c, subject, nbj_str(body), NBJ_REQUEST(.timeout_ns = SOON), &reply), NBJ_OK);
    snprintf(text, sizeof text, "%.*s", NBJ_FMT(nbj_msg_data(reply)));
    nbj_msg_release(reply);
    return text;
}

static int leader_of(nbj_client *c)
{
    for (int i = 0; i < NODES; i++) {
        char member[64];
        snprintf(member, sizeof member, "\"leader\":\"test-%u\"", ts_server_port(cluster.server[i]));
        if (strstr(ask(c, "$JS.API.STREAM.INFO.R", ""), member) != NULL)
            return i;
    }
    return -1;
}

static nbj_status get(nbj_client *c, uint64_t sequence, bool direct, uint64_t timeout_ns)
{
    nbj_stored_msg *m = NULL;
    nbj_status st = nbj_stored_get(c, "R", NBJ_GET(.sequence = sequence, .direct = direct),
                                   NBJ_CALL(.timeout_ns = timeout_ns), &m, NULL);

    if (st == NBJ_OK)
        assert_int_equal(nbj_stored_msg_sequence(m), sequence);
    nbj_stored_msg_release(m);
    return st;
}

static bool count(void *user, const nbj_stored_msg *msg)
{
    unsigned *n = user;

    return nbj_stored_msg_sequence(msg) == ++*n;
}

/* Whether all of it can be read in one request. */
static bool read_all(nbj_client *c, uint64_t timeout_ns)
{
    unsigned n = 0;

    return nbj_stored_read(c, "R", NULL, NBJ_CALL(.timeout_ns = timeout_ns), count, &n, NULL, NULL) == NBJ_OK &&
           n == MESSAGES;
}

static bool has_reads(void)
{
    return ts_server_is_at_least(cluster.server[0], 2, 11, 0);
}

static void test_followers_answer(void **state)
{
    nbj_client *at[NODES];
    int leader = -1;
    bool one = false;

    (void)state;
    cluster = ts_cluster_start(NODES, &(ts_server_options){ .jetstream = true });
    for (int i = 0; i < NODES; i++)
        at[i] = open_at(i);
    const char *made = ask(at[0], "$JS.API.STREAM.CREATE.R",
                           "{\"name\":\"R\",\"subjects\":[\"r.>\"],\"retention\":\"limits\",\"storage\":\"memory\","
                           "\"discard\":\"old\",\"max_msgs\":-1,\"max_bytes\":-1,\"max_consumers\":-1,"
                           "\"num_replicas\":3,\"allow_direct\":true}");
    CHECK(made, strstr(made, "\"error\"") == NULL);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(nbj_publish(at[0], "r.a", nbj_str("x"), NULL, NULL), NBJ_OK);
    for (int i = 0; i < NODES; i++) { /* a follower may be behind: that is what direct means */
        bool has_one = false, has_all = !has_reads();
        WAIT_UNTIL(has_one = has_one || get(at[i], MESSAGES, true, SOON) == NBJ_OK, SOON_MS);
        WAIT_UNTIL(has_all = has_all || read_all(at[i], SOON), SOON_MS);
    }
    WAIT_UNTIL(leader >= 0 || (leader = leader_of(at[0])) >= 0, SOON_MS);
    ts_server_pause(cluster.server[leader]);
    int follower = (leader + 1) % NODES;
    bool all = !has_reads();
    assert_int_equal(get(at[follower], 1, false, NBJ_MILLIS(300)), NBJ_E_TIMEOUT); /* that one goes to the leader */
    /* Followers answer when they have looked after themselves, which they do every 2 s; the stopped one is asked, too.
     * In that short a time the leader is not turned to. */
    WAIT_UNTIL(one = one || get(at[follower], MESSAGES, true, NBJ_MILLIS(200)) == NBJ_OK, SOON_MS);
    WAIT_UNTIL(all = all || read_all(at[follower], NBJ_MILLIS(200)), SOON_MS);
    ts_server_cont(cluster.server[leader]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_followers_answer, stop_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
