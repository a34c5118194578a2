/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing into a replicated stream of a cluster of three: its leader steps down and is killed while the window is full.
 * Each message has one outcome, and that is true: the stored ones are there, the rejected ones are not. */
#define _GNU_SOURCE

#include "server.h"
#include "threads.h"

#define NODES 3
#define STREAM "R"
#define MESSAGES 60000

static const nbj_bytes none = { NULL, 0 };
static ts_cluster cluster;

static int start_cluster(void **state)
{
    (void)state;
    cluster = ts_cluster_start(NODES, &(ts_server_options){ .jetstream = true });
    th_make_stream(ts_server_port(cluster.server[0]), STREAM, "r.>", NODES);
    return 0;
}

static int stop_cluster(void **state)
{
    (void)state;
    ts_cluster_free(&cluster);
    return 0;
}

static nbj_client *open_client(void)
{
    return th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(cluster.server[0]), .reconnect_first_ns = NBJ_MILLIS(5),
                                      .reconnect_max_ns = NBJ_MILLIS(200), .ping_interval_ns = NBJ_MILLIS(500)));
}

/* The node that leads the stream, asked at |at|; -1: none. */
static int leader(int at)
{
    char name[32];
    int found = -1;
    ts_raw *r = ts_raw_open(ts_server_port(cluster.server[at]));
    const char *info = ts_raw_request(r, "$JS.API.STREAM.INFO." STREAM, "", TS_RAW_MS);
    const char *leads = info != NULL ? strstr(info, "\"leader\":\"") : NULL;

    for (int i = 0; i < NODES && leads != NULL; i++) {
        snprintf(name, sizeof name, "\"test-%u\"", ts_server_port(cluster.server[i]));
        if (strncmp(leads + 9, name, strlen(name)) == 0)
            found = i;
    }
    ts_raw_close(r);
    return found;
}

/* --- what a replicated stream answers --- */

typedef struct answers {
    atomic_uint told, stored, duplicate, wrong_sequence, in_flight, others;
} answers;

static void on_answer(void *user, const nbj_publish_result *r)
{
    answers *a = user;

    a->stored += r->outcome == NBJ_STORED;
    a->duplicate += r->outcome == NBJ_DUPLICATE;
    a->wrong_sequence += r->error.status == NBJ_E_WRONG_LAST_SEQUENCE;
    a->in_flight += r->error.err_code == 10164;
    a->others += !nbj_is_stored(r) && r->error.status != NBJ_E_WRONG_LAST_SEQUENCE;
    a->told++;
}

/* Many that all want to be the first of their subject: one is, whether the stream has stored it already or not. */
static void test_expectations_at_once(void **state)
{
    bool must_meet_one = ts_server_is_at_least(cluster.server[0], 2, 11, 0);
    nbj_client *c = open_client();
    unsigned in_flight = 0, round = 0;

    (void)state;
    for (; round < 5 || (must_meet_one && in_flight == 0 && round < 200); round++) {
        const nbj_publish_options *first = NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET);
        answers a = { 0 };
        char subject[32];
        snprintf(subject, sizeof subject, "r.first.%u", round);
        for (int i = 0; i < 20; i++)
            assert_int_equal(nbj_publish_async(c, subject, none, first, on_answer, &a), NBJ_OK);
        assert_int_equal(nbj_publish_flush(c, NBJ_SECONDS(20), NULL), NBJ_OK);
        if (a.stored != 1 || a.wrong_sequence != 19)
            TS_FAIL("stored %u, wrong sequence %u, others %u", a.stored, a.wrong_sequence, a.others);
        in_flight += a.in_flight;
    }
    CHECK("10164 was met", !must_meet_one || in_flight > 0);
    nbj_client_release(c);
}

/* The same id many times at once: what is still in process (10158) is asked about again. */
static void test_ids_at_once(void **state)
{
    nbj_client *c = open_client();

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        answers a = { 0 };
        char id[32];
        snprintf(id, sizeof id, "id-%u", round);
        for (int i = 0; i < 20; i++)
            assert_int_equal(nbj_publish_async(c, "r.id", none, NBJ_PUBLISH(.msg_id = id), on_answer, &a), NBJ_OK);
        assert_int_equal(nbj_publish_flush(c, NBJ_SECONDS(20), NULL), NBJ_OK);
        if (a.stored != 1 || a.duplicate != 19)
            TS_FAIL("stored %u, duplicates %u, others %u", a.stored, a.duplicate, a.others);
    }
    nbj_client_release(c);
}

/* --- leaders that go --- */

typedef struct record {
    atomic_uint outcomes;
    atomic_int outcome;
    uint64_t sequence;
    unsigned copies;     /* in the stream */
    uint64_t first_copy; /* its number */
} record;

typedef struct run {
    nbj_client *client;
    const char *subject;
    nbj_publish_options options;
    atomic_uint published, stored;
    atomic_bool stop;
    th_problems problems;
    record records[MESSAGES];
} run;

static void on_outcome(void *user, const nbj_publish_result *r)
{
    record *k = user;

    k->outcome = (int)r->outcome;
    k->sequence = r->ack.sequence;
    k->outcomes++;
}

static void *publish_all(void *arg)
{
    run *x = arg;

    while (!x->stop && x->published < MESSAGES) {
        char text[16];
        snprintf(text, sizeof text, "%u", x->published);
        nbj_status st =
            nbj_publish_async(x->client, x->subject, nbj_str(text), &x->options, on_outcome, &x->records[x->published]);
        if (st == NBJ_OK)
            x->published++;
        else if (st == NBJ_E_ORDER && nbj_publish_flush(x->client, NBJ_SECONDS(20), NULL) == NBJ_OK)
            st = nbj_publish_resume(x->client);
        if (st != NBJ_OK && st != NBJ_E_FULL)
            th_problem(&x->problems, "publish: %s", nbj_strerror(st));
        if (x->published % 25 == 0)
            th_sleep_ms(10);
    }
    return NULL;
}

static unsigned count_stored(const run *x)
{
    unsigned n = 0;

    for (unsigned i = 0; i < x->published; i++)
        n += x->records[i].outcome == NBJ_STORED;
    return n;
}

/* Until publishes are stored again. */
static void await_storing(const run *x, const char *after)
{
    unsigned before = count_stored(x);

    for (nbj_time until = ts_now() + NBJ_SECONDS(40); count_stored(x) < before + 500 && !x->stop; ts_breathe())
        if (ts_now() > until || x->published == MESSAGES)
            TS_FAIL("nothing is stored after %s; published %u", after, x->published);
}

static void step_down(const run *x)
{
    for (int i = 0; i < 3; i++) {
        ts_raw *r = ts_raw_open(ts_server_port(cluster.server[0]));
        (void)ts_raw_request(r, "$JS.API.STREAM.LEADER.STEPDOWN." STREAM, "", TS_RAW_MS);
        ts_raw_close(r);
        await_storing(x, "the leader stepped down");
    }
}

static void kill_leader(const run *x)
{
    int node = -1;

    WAIT_UNTIL((node = leader(0)) >= 0, 20000);
    ts_server_kill9(cluster.server[node]);
    await_storing(x, "the leader was killed");
    ts_server_restart(cluster.server[node]);
    await_storing(x, "the leader came back");
}

/* The number of a delivery in its stream, as its reply subject says. */
static uint64_t sequence_of(const ts_raw_msg *m)
{
    const char *at = ts_show(m->reply.ptr, m->reply.len);

    for (int dots = 0; dots < 5 && at != NULL; dots++)
        at = strchr(at + 1, '.');
    CHECK("a delivery", at != NULL);
    return strtoull(at + 1, NULL, 10);
}

static void count_copy(void *user, const ts_raw_msg *m)
{
    run *x = user;
    unsigned long n = strtoul(ts_show(m->payload.ptr, m->payload.len), NULL, 10);

    if (!nbj_bytes_equal(m->subject, nbj_str(x->subject)) || n >= x->published)
        return;
    record *k = &x->records[n];
    if (k->copies++ == 0)
        k->first_copy = sequence_of(m);
    else
        TS_FAIL("%lu of %s is there as %llu and %llu; its outcome is %d, %llu", n, x->subject,
                (unsigned long long)k->first_copy, (unsigned long long)sequence_of(m), k->outcome,
                (unsigned long long)k->sequence);
}

static void compare(run *x)
{
    unsigned by_outcome[NBJ_UNKNOWN + 1] = { 0 };

    th_read_stream(ts_server_port(cluster.server[0]), STREAM, count_copy, x);
    for (unsigned i = 0; i < x->published; i++) {
        const record *k = &x->records[i];
        if (k->outcomes != 1)
            TS_FAIL("%u of %s has %u outcomes", i, x->subject, k->outcomes);
        if ((k->outcome == NBJ_STORED || k->outcome == NBJ_DUPLICATE) && k->copies == 0)
            TS_FAIL("%u of %s is lost", i, x->subject);
        if (k->outcome == NBJ_REJECTED && k->copies > 0)
            TS_FAIL("%u of %s was rejected and is there", i, x->subject);
        by_outcome[k->outcome]++;
    }
    printf("    %s: stored %u, rejected %u, unknown %u of %u\n", x->subject, by_outcome[NBJ_STORED],
           by_outcome[NBJ_REJECTED], by_outcome[NBJ_UNKNOWN], x->published);
}

/* In order: the sequences of those that were stored rise. */
static void check_order(const run *x)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < x->published; i++) {
        const record *k = &x->records[i];
        if (k->outcome != NBJ_STORED)
            continue;
        if (k->sequence < last)
            TS_FAIL("%u of %s is number %llu, behind one that came later", i, x->subject,
                    (unsigned long long)k->sequence);
        last = k->sequence;
    }
}

static void run_with(const char *subject, nbj_publish_options options)
{
    run *x = calloc(1, sizeof *x);
    pthread_t publisher;

    assert_non_null(x);
    pthread_mutex_init(&x->problems.lock, NULL);
    x->client = open_client();
    x->subject = subject;
    x->options = options;
    x->options.struct_size = sizeof x->options;
    x->options.timeout_ns = NBJ_SECONDS(8);
    publisher = th_start(publish_all, x);
    await_storing(x, "the beginning");
    step_down(x);
    kill_leader(x);
    x->stop = true;
    pthread_join(publisher, NULL);
    assert_int_equal(nbj_publish_flush(x->client, NBJ_SECONDS(30), NULL), NBJ_OK);
    th_no_problem(&x->problems);
    compare(x);
    if (options.ordered)
        check_order(x);
    nbj_client_release(x->client);
    pthread_mutex_destroy(&x->problems.lock);
    free(x);
}

static void test_with_ids(void **state)
{
    (void)state;
    run_with("r.ids", (nbj_publish_options){ .no_msg_id = false });
}

static void test_without_ids(void **state)
{
    (void)state;
    run_with("r.none", (nbj_publish_options){ .no_msg_id = true });
}

static void test_patiently(void **state)
{
    (void)state;
    run_with("r.patient", (nbj_publish_options){ .retries = NBJ_RETRIES_UNTIL_TIMEOUT });
}

static void test_in_order(void **state)
{
    (void)state;
    run_with("r.order", (nbj_publish_options){ .ordered = true, .retries = NBJ_RETRIES_UNTIL_TIMEOUT });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expectations_at_once),
        cmocka_unit_test(test_ids_at_once),
        cmocka_unit_test(test_with_ids),
        cmocka_unit_test(test_without_ids),
        cmocka_unit_test(test_patiently),
        cmocka_unit_test(test_in_order),
    };

    return cmocka_run_group_tests(tests, start_cluster, stop_cluster);
}
