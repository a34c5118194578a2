/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of three that is killed, restarted node by node, and left without a quorum for four seconds, while threads
 * publish into a replicated stream and a pull consumer reads it: nothing that was said to be stored is missing. */
#define _GNU_SOURCE

#include "server.h"
#include "threads.h"

#define NODES 3
#define PUBLISHERS 4 /* the even ones wait for each outcome */
#define PER_PUBLISHER 20000

typedef struct record {
    atomic_uint outcomes, delivered;
    atomic_int outcome;
    bool sent;
    unsigned stored; /* times, in the stream; asked for only where something was not delivered */
} record;

typedef struct world world;

typedef struct publisher {
    world *world;
    unsigned id;
    unsigned published;
    pthread_t thread;
    record records[PER_PUBLISHER];
} publisher;

struct world {
    ts_cluster cluster;
    nbj_client *client, *reader;
    nbj_pull *pull;
    th_events events, reader_events;
    th_problems problems, not_stored;
    atomic_bool stop;
    atomic_uint stored, deliveries;
    publisher publishers[PUBLISHERS];
};

/* --- publishing --- */

static void note_outcome(world *w, record *r, const nbj_publish_result *result)
{
    atomic_store(&r->outcome, (int)result->outcome);
    atomic_fetch_add(&r->outcomes, 1);
    atomic_fetch_add(&w->stored, nbj_is_stored(result));
    if (!nbj_is_stored(result))
        th_problem(&w->not_stored, "%d: %s", (int)result->outcome, result->error.text);
}

static world *the_world; /* of on_result, whose user is the record */

static void on_result(void *user, const nbj_publish_result *result)
{
    note_outcome(the_world, user, result);
}

static void publish_one(publisher *p)
{
    world *w = p->world;
    record *r = &p->records[p->published];
    nbj_publish_result result = { 0 };
    const nbj_publish_options *o = NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(15));
    char text[40];

    snprintf(text, sizeof text, "%u %u", p->id, p->published++);
    nbj_status st = p->id % 2 == 0 ? nbj_publish(w->client, "cl.x", nbj_str(text), o, &result)
                                   : nbj_publish_async(w->client, "cl.x", nbj_str(text), o, on_result, r);
    r->sent = st == NBJ_OK || result.outcome != 0;
    if (p->id % 2 == 0 && r->sent)
        note_outcome(w, r, &result);
    if (!r->sent && st != NBJ_E_FULL && st != NBJ_E_TIMEOUT)
        th_problem(&w->problems, "publish: %s", nbj_strerror(st));
}

static void *publisher_main(void *arg)
{
    publisher *p = arg;

    while (!atomic_load(&p->world->stop) && p->published < PER_PUBLISHER) {
        publish_one(p);
        th_sleep_ms(2);
    }
    return NULL;
}

/* --- consuming --- */

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    world *w = user;
    char text[40];
    unsigned id = 0, n = 0;

    (void)pull;
    snprintf(text, sizeof text, "%.*s", NBJ_FMT(nbj_msg_data(msg)));
    if (sscanf(text, "%u %u", &id, &n) == 2 && id < PUBLISHERS && n < PER_PUBLISHER)
        atomic_fetch_add(&w->publishers[id].records[n].delivered, 1);
    else
        th_problem(&w->problems, "a message that nobody published: \"%s\"", text);
    atomic_fetch_add(&w->deliveries, 1);
    (void)!nbj_ack(msg); /* where it fails, it comes again */
}

static unsigned missing(world *w)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PUBLISHERS; i++) {
        for (unsigned n = 0; n < w->publishers[i].published; n++) {
            record *r = &w->publishers[i].records[n];
            int outcome = atomic_load(&r->outcome);
            count += (outcome == NBJ_STORED || outcome == NBJ_DUPLICATE) && atomic_load(&r->delivered) == 0;
        }
    }
    return count;
}

/* --- the world --- */

static nbj_client *open_client(world *w, th_events *events)
{
    return th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(w->cluster.server[0]), .on_event = th_on_event,
                                      .user_data = events, .reconnect_first_ns = NBJ_MILLIS(5),
                                      .reconnect_max_ns = NBJ_MILLIS(200), .ping_interval_ns = NBJ_MILLIS(500),
                                      .connect_timeout_ns = NBJ_SECONDS(2), .publish_max_messages = 1024));
}

static int node_of(const world *w)
{
    char address[64], node[64];

    for (int i = 0; i < NODES; i++) {
        snprintf(node, sizeof node, "127.0.0.1:%u", ts_server_port(w->cluster.server[i]));
        if (nbj_client_server_address(w->client, address, sizeof address) == NBJ_OK && strcmp(address, node) == 0)
            return i;
    }
    return 0;
}

/* Until publishes are stored again. */
static void await_storing(world *w, const char *after)
{
    unsigned before = atomic_load(&w->stored);

    for (nbj_time until = ts_now() + NBJ_SECONDS(40); atomic_load(&w->stored) < before + 20; ts_breathe())
        if (ts_now() > until)
            TS_FAIL("nothing is stored after %s", after);
}

static void kill_own_node(world *w)
{
    int node = node_of(w);
    unsigned reconnects = th_count(&w->events, NBJ_EVENT_RECONNECTED);

    ts_server_kill9(w->cluster.server[node]);
    WAIT_UNTIL(th_count(&w->events, NBJ_EVENT_RECONNECTED) > reconnects, 10000);
    await_storing(w, "a node was killed");
    ts_server_restart(w->cluster.server[node]);
    await_storing(w, "it came back");
}

static void restart_one_by_one(world *w)
{
    for (int i = 0; i < NODES; i++) {
        ts_server_stop(w->cluster.server[i]);
        th_sleep_ms(200);
        ts_server_restart(w->cluster.server[i]);
        await_storing(w, "a rolling restart");
    }
}

static void lose_quorum(world *w)
{
    ts_server_kill9(w->cluster.server[0]);
    ts_server_kill9(w->cluster.server[1]);
    th_sleep_ms(4000);
    ts_server_restart(w->cluster.server[0]);
    ts_server_restart(w->cluster.server[1]);
    await_storing(w, "the quorum came back");
}

static void begin(world *w)
{
    pthread_mutex_init(&w->problems.lock, NULL);
    pthread_mutex_init(&w->not_stored.lock, NULL);
    the_world = w;
    w->cluster = ts_cluster_start(NODES, &(ts_server_options){ .jetstream = true });
    th_make_stream(ts_server_port(w->cluster.server[0]), "CL", "cl.>", NODES);
    w->client = open_client(w, &w->events);
    w->reader = open_client(w, &w->reader_events);
    assert_int_equal(nbj_pull_start(w->reader,
                                    NBJ_CONSUMER_CONFIG(.stream = "CL", .durable = "d", .ack_wait_ns = NBJ_SECONDS(2)),
                                    on_delivery, w, &w->pull),
                     NBJ_OK);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        w->publishers[i].world = w;
        w->publishers[i].id = i;
        w->publishers[i].thread = th_start(publisher_main, &w->publishers[i]);
    }
    await_storing(w, "the beginning");
}

static void stop_publishers(world *w)
{
    uint64_t unfinished = 1;

    atomic_store(&w->stop, true);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        pthread_join(w->publishers[i].thread, NULL);
    assert_int_equal(nbj_publish_flush(w->client, NBJ_SECONDS(30), &unfinished), NBJ_OK);
    assert_int_equal(unfinished, 0);
    th_no_problem(&w->problems);
}

static void note_stored(void *user, const ts_raw_msg *m)
{
    world *w = user;
    unsigned id = 0, n = 0;

    if (sscanf(ts_show(m->payload.ptr, m->payload.len), "%u %u", &id, &n) == 2 && id < PUBLISHERS && n < PER_PUBLISHER)
        w->publishers[id].records[n].stored++;
}

/* Whose fault it is: the stream's, which lost them, or that of the consumer's two sides. What 2.9 loses by itself
 * is let pass: seen once, its former leader came back from a killed quorum with 32 messages more than who led next. */
static void explain_missing(world *w)
{
    unsigned lost = 0, count = missing(w);

    th_read_stream(ts_server_port(w->cluster.server[0]), "CL", note_stored, w);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        for (unsigned n = 0; n < w->publishers[i].published; n++) {
            record *k = &w->publishers[i].records[n];
            int outcome = atomic_load(&k->outcome);
            bool is_stored = outcome == NBJ_STORED || outcome == NBJ_DUPLICATE;
            lost += is_stored && atomic_load(&k->delivered) == 0 && k->stored == 0;
        }
    }
    if (lost == count && !ts_server_is_at_least(w->cluster.server[0], 2, 10, 0)) {
        printf("    the server lost %u messages that it had acknowledged\n", lost);
        return;
    }
    TS_FAIL("of %u said to be stored %u were not delivered; %u of these are not in the stream (%u deliveries, pull "
            "state %d)",
            atomic_load(&w->stored), count, lost, atomic_load(&w->deliveries), (int)nbj_pull_state_of(w->pull));
}

static void compare(world *w)
{
    unsigned by_outcome[NBJ_UNKNOWN + 1] = { 0 };

    for (nbj_time until = ts_now() + NBJ_SECONDS(30); missing(w) > 0 && ts_now() < until;)
        th_sleep_ms(20);
    if (missing(w) > 0)
        explain_missing(w);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        for (unsigned n = 0; n < w->publishers[i].published; n++) {
            record *r = &w->publishers[i].records[n];
            int outcome = atomic_load(&r->outcome);
            if (atomic_load(&r->outcomes) != (r->sent ? 1 : 0))
                TS_FAIL("publish %u of %u has %u outcomes", n, i, atomic_load(&r->outcomes));
            if ((outcome == NBJ_REJECTED || !r->sent) && atomic_load(&r->delivered) > 0)
                TS_FAIL("publish %u of %u was said not to be stored and is there", n, i);
            by_outcome[outcome]++;
        }
    }
    printf("    stored %u, unknown %u, rejected %u; deliveries %u; reconnects %u\n",
           by_outcome[NBJ_STORED] + by_outcome[NBJ_DUPLICATE], by_outcome[NBJ_UNKNOWN], by_outcome[NBJ_REJECTED],
           atomic_load(&w->deliveries), th_count(&w->events, NBJ_EVENT_RECONNECTED));
    if (w->not_stored.count > 0)
        printf("    the first that was not stored: %s\n", w->not_stored.first);
}

static void test_cluster(void **state)
{
    world *w = calloc(1, sizeof *w);

    (void)state;
    begin(w);
    for (unsigned i = 0; i < (th_number("NBJ_TEST_LONG", 0) > 0 ? 10 : 1); i++) {
        kill_own_node(w);
        restart_one_by_one(w);
        lose_quorum(w);
    }
    stop_publishers(w);
    compare(w);
    nbj_pull_release(w->pull);
    nbj_client_release(w->client);
    nbj_client_release(w->reader);
    ts_cluster_free(&w->cluster);
    pthread_mutex_destroy(&w->problems.lock);
    pthread_mutex_destroy(&w->not_stored.lock);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cluster) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
