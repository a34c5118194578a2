/* SPDX-License-Identifier: Apache-2.0 */
/* One client, forty threads, every kind of call, while it is told to reconnect, its connection is cut and its server is
 * killed. Each request gets its own reply or says why not, by its deadline; each publish has one outcome; and what was
 * said to be stored is what another client finds in the stream. */
#define _GNU_SOURCE

#include "certs.h"
#include "proxy.h"
#include "server.h"
#include "threads.h"

#define PUBLISHERS 16
#define REQUESTERS 16
#define READERS 4
#define RECONNECTORS 2
#define PER_PUBLISHER 3000 /* messages into the stream */
#define PLAIN_MAX 20000    /* messages of nbj_send */

typedef struct record {
    atomic_uint outcomes;
    atomic_int outcome; /* nbj_outcome */
    bool sent;          /* it must have an outcome */
    bool sync;
    unsigned stored; /* times, in the stream */
} record;

typedef struct stress stress;

typedef struct worker {
    stress *world;
    unsigned id;
    uint64_t random;
    unsigned published, plain, done;
    pthread_t thread;
    record records[PER_PUBLISHER];
} worker;

typedef struct reader {
    stress *world;
    unsigned id;
    nbj_sub *sub;
    uint64_t got;
    pthread_t thread;
    unsigned char seen[PUBLISHERS][PLAIN_MAX];
} reader;

struct stress {
    ts_server *server;
    ts_certs *certs; /* NULL: without TLS */
    ts_proxy *proxy;
    nbj_client *client, *responder;
    th_events events;
    th_problems problems;
    atomic_bool stop;       /* publishing and requesting */
    atomic_bool stop_reads; /* later: what was on its way is read */
    atomic_uint in_callback;
    atomic_ullong called_back, replies, no_replies;
    worker publishers[PUBLISHERS], requesters[REQUESTERS], reconnectors[RECONNECTORS];
    reader readers[READERS];
    nbj_sub *callback_sub, *echo_self, *echo_other;
};

/* --- publishing --- */

static void note_outcome(record *r, nbj_outcome outcome)
{
    atomic_store(&r->outcome, (int)outcome);
    atomic_fetch_add(&r->outcomes, 1);
}

static void on_result(void *user, const nbj_publish_result *result)
{
    note_outcome(user, result->outcome);
}

static bool is_lawful_refusal(nbj_status st)
{
    return st == NBJ_E_FULL || st == NBJ_E_TIMEOUT;
}

static void publish_one(worker *w, nbj_client *c)
{
    record *r = &w->records[w->published];
    char subject[40], text[40];
    nbj_publish_result result = { 0 };

    snprintf(subject, sizeof subject, "st.%u", w->id);
    snprintf(text, sizeof text, "%u %u", w->id, w->published++);
    r->sync = th_below(&w->random, 4) == 0;
    nbj_status st =
        r->sync ? nbj_publish(c, subject, nbj_str(text), NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(4)), &result)
                : nbj_publish_async(c, subject, nbj_str(text), NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(4)), on_result, r);
    r->sent = st == NBJ_OK || (r->sync && result.outcome != 0);
    if (r->sync && r->sent)
        note_outcome(r, result.outcome);
    if (!r->sent && !is_lawful_refusal(st))
        th_problem(&w->world->problems, "publish: %s", nbj_strerror(st));
    if (r->sync && r->sent && (st == NBJ_OK) != nbj_is_stored(&result))
        th_problem(&w->world->problems, "publish returned %s with outcome %d", nbj_strerror(st), (int)result.outcome);
}

static void send_one(worker *w, nbj_client *c)
{
    char subject[40], text[40];

    if (w->plain == PLAIN_MAX)
        return;
    snprintf(subject, sizeof subject, "plain.%u", w->id);
    snprintf(text, sizeof text, "%u %u", w->id, w->plain++);
    nbj_status st = nbj_send(c, subject, nbj_str(text), NULL);
    if (st != NBJ_OK && !is_lawful_refusal(st))
        th_problem(&w->world->problems, "send: %s", nbj_strerror(st));
}

static void *publisher_main(void *arg)
{
    worker *w = arg;

    while (!atomic_load(&w->world->stop)) {
        if (w->published < PER_PUBLISHER && th_below(&w->random, 3) == 0)
            publish_one(w, w->world->client);
        else
            send_one(w, w->world->client);
        if (th_below(&w->random, 4) == 0)
            th_sleep_ms(1); /* the pace: all else is as fast as it goes */
    }
    return NULL;
}

/* --- requesting --- */

static void check_request(worker *w, nbj_status st, const nbj_msg *reply, const char *text, uint64_t took,
                          uint64_t timeout)
{
    th_problems *p = &w->world->problems;

    if (st == NBJ_OK && !nbj_bytes_equal(nbj_msg_data(reply), nbj_str(text)))
        th_problem(p, "the reply to \"%s\" is \"%.*s\"", text, NBJ_FMT(nbj_msg_data(reply)));
    if ((st == NBJ_OK) != (reply != NULL))
        th_problem(p, "%s with%s a reply", nbj_strerror(st), reply != NULL ? "" : "out");
    if (st != NBJ_OK && st != NBJ_E_TIMEOUT && st != NBJ_E_NO_RESPONDERS && st != NBJ_E_FULL)
        th_problem(p, "request: %s", nbj_strerror(st));
    if (took > timeout + th_margin_ns())
        th_problem(p, "a request with %llu ms took %llu ms", (unsigned long long)(timeout / 1000000),
                   (unsigned long long)(took / 1000000));
    if (st == NBJ_E_TIMEOUT && took < timeout)
        th_problem(p, "a request timed out %llu ns early", (unsigned long long)(timeout - took));
    atomic_fetch_add(st == NBJ_OK ? &w->world->replies : &w->world->no_replies, 1);
}

static void *requester_main(void *arg)
{
    worker *w = arg;
    nbj_msg *reply;
    char text[40];

    while (!atomic_load(&w->world->stop)) {
        uint64_t timeout = NBJ_MILLIS(20 + th_below(&w->random, 400));
        const char *subject = th_below(&w->random, 2) == 0 ? "echo.self" : "echo.other";
        snprintf(text, sizeof text, "%u-%u", w->id, w->done++);
        uint64_t began = ts_now();
        nbj_status st =
            nbj_request(w->world->client, subject, nbj_str(text), NBJ_REQUEST(.timeout_ns = timeout), &reply);
        check_request(w, st, reply, text, ts_now() - began, timeout);
        nbj_msg_release(reply);
        if (st == NBJ_E_NO_RESPONDERS)
            th_sleep_ms(1);
    }
    return NULL;
}

static void on_echo(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    char reply[200];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    (void)!nbj_send(user, reply, nbj_msg_data(msg), NULL); /* where it fails, the request says so */
}

/* --- receiving --- */

static void note_plain(reader *r, const nbj_msg *m)
{
    char text[40];
    unsigned id = 0, n = 0;

    snprintf(text, sizeof text, "%.*s", NBJ_FMT(nbj_msg_data(m)));
    if (sscanf(text, "%u %u", &id, &n) != 2 || id >= PUBLISHERS || n >= PLAIN_MAX)
        th_problem(&r->world->problems, "a message that nobody sent: \"%s\"", text);
    else if (r->seen[id][n]++ != 0)
        th_problem(&r->world->problems, "message %u of publisher %u came twice", n, id);
    r->got++;
}

/* Readers 0 and 1 take one by one, the others many at a time. */
static void *reader_main(void *arg)
{
    reader *r = arg;
    nbj_msg *messages[50];

    while (!atomic_load(&r->world->stop_reads)) {
        size_t count = 0;
        nbj_status st = r->id < 2 ? nbj_sub_next(r->sub, NBJ_MILLIS(50), &messages[0])
                                  : nbj_sub_next_batch(r->sub, messages, 50, NBJ_MILLIS(50), &count);
        if (r->id < 2)
            count = st == NBJ_OK;
        if (st != NBJ_OK && st != NBJ_E_TIMEOUT)
            th_problem(&r->world->problems, "reading: %s", nbj_strerror(st));
        for (size_t i = 0; i < count; i++) {
            note_plain(r, messages[i]);
            nbj_msg_release(messages[i]);
        }
    }
    return NULL;
}

static void on_plain(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    stress *w = user;

    (void)sub;
    (void)msg;
    if (atomic_fetch_add(&w->in_callback, 1) != 0)
        th_problem(&w->problems, "two callbacks at once");
    atomic_fetch_add(&w->called_back, 1);
    atomic_fetch_sub(&w->in_callback, 1);
}

/* --- the world --- */

static void *reconnector_main(void *arg)
{
    worker *w = arg;

    while (!atomic_load(&w->world->stop)) {
        th_sleep_ms(50 + th_below(&w->random, 400));
        nbj_client_reconnect(w->world->client);
    }
    return NULL;
}

static void torment(stress *w, unsigned ms)
{
    uint64_t random = th_number("NBJ_CHAOS_SEED", 1);
    uint64_t end = ts_now() + NBJ_MILLIS(ms);

    for (unsigned i = 0; ts_now() < end; i++) {
        th_sleep_ms(50 + th_below(&random, 300));
        ts_ending how = th_below(&random, 2) == 0 ? TS_FIN : TS_RST;
        if (i % 6 == 5)
            ts_server_restart(w->server);
        else if (i % 2 == 0)
            ts_proxy_cut_now(w->proxy, how);
        else
            ts_proxy_cut_after(w->proxy, th_below(&random, 2) == 0 ? TS_TO_SERVER : TS_TO_CLIENT,
                               1 + th_below(&random, 30000), how);
    }
    ts_proxy_cancel_cut(w->proxy, TS_TO_SERVER);
    ts_proxy_cancel_cut(w->proxy, TS_TO_CLIENT);
}

static void open_clients(stress *w)
{
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%u", w->certs != NULL ? "tls" : "nats", ts_proxy_port(w->proxy));
    w->client = th_open(NBJ_CLIENT_OPTIONS(.url = url, .on_event = th_on_event, .user_data = &w->events,
                                           .tls_ca_file = w->certs != NULL ? ts_certs_path(w->certs, "ca.pem") : NULL,
                                           .reconnect_first_ns = NBJ_MILLIS(2), .reconnect_max_ns = NBJ_MILLIS(50),
                                           .publish_max_messages = 256));
    w->responder = th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(w->server), .reconnect_first_ns = NBJ_MILLIS(2),
                                              .reconnect_max_ns = NBJ_MILLIS(50)));
    assert_int_equal(nbj_subscribe(w->client, "plain.>", NULL, on_plain, w, &w->callback_sub), NBJ_OK);
    assert_int_equal(nbj_subscribe(w->client, "echo.self", NULL, on_echo, w->client, &w->echo_self), NBJ_OK);
    assert_int_equal(nbj_subscribe(w->responder, "echo.other", NULL, on_echo, w->responder, &w->echo_other), NBJ_OK);
    for (unsigned i = 0; i < READERS; i++) {
        w->readers[i].world = w;
        w->readers[i].id = i;
        assert_int_equal(nbj_subscribe(w->client, "plain.>", NULL, NULL, NULL, &w->readers[i].sub), NBJ_OK);
    }
}

static void start_workers(stress *w, worker *workers, unsigned count, void *(*fn)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        workers[i].world = w;
        workers[i].id = i;
        workers[i].random = i * 1000 + 1;
        workers[i].thread = th_start(fn, &workers[i]);
    }
}

static void join_workers(worker *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}

static void run(stress *w, unsigned ms)
{
    for (unsigned i = 0; i < READERS; i++)
        w->readers[i].thread = th_start(reader_main, &w->readers[i]);
    start_workers(w, w->publishers, PUBLISHERS, publisher_main);
    start_workers(w, w->requesters, REQUESTERS, requester_main);
    start_workers(w, w->reconnectors, RECONNECTORS, reconnector_main);
    torment(w, ms);
    atomic_store(&w->stop, true);
    join_workers(w->publishers, PUBLISHERS);
    join_workers(w->requesters, REQUESTERS);
    join_workers(w->reconnectors, RECONNECTORS);
}

static void end(stress *w)
{
    uint64_t unfinished = 1;

    assert_int_equal(nbj_publish_flush(w->client, NBJ_SECONDS(20), &unfinished), NBJ_OK);
    assert_int_equal(unfinished, 0);
    assert_int_equal(nbj_flush(w->client, NBJ_SECONDS(10)), NBJ_OK);
    WAIT_UNTIL(nbj_sub_stats_of(w->callback_sub).pending == 0, 20000);
    assert_int_equal(nbj_unsubscribe(w->callback_sub, 0), NBJ_OK);
    th_check_rests("after the storm");
    atomic_store(&w->stop_reads, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(w->readers[i].thread, NULL);
        nbj_sub_release(w->readers[i].sub);
    }
    nbj_sub_release(w->callback_sub);
    nbj_sub_release(w->echo_self);
    nbj_sub_release(w->echo_other);
    nbj_client_release(w->client);
    nbj_client_release(w->responder);
}

/* --- what is stored --- */

static void note_stored(void *world, const ts_raw_msg *m)
{
    stress *w = world;
    unsigned id = 0, n = 0;

    if (sscanf(ts_show(m->payload.ptr, m->payload.len), "%u %u", &id, &n) != 2 || id >= PUBLISHERS ||
        n >= w->publishers[id].published)
        TS_FAIL("a message that nobody published");
    w->publishers[id].records[n].stored++;
}

static void compare(stress *w)
{
    unsigned by_outcome[NBJ_UNKNOWN + 1] = { 0 };
    unsigned sync = 0;

    th_read_stream(ts_server_port(w->server), "ST", note_stored, w);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        for (unsigned n = 0; n < w->publishers[i].published; n++) {
            record *r = &w->publishers[i].records[n];
            int outcome = atomic_load(&r->outcome);
            if (atomic_load(&r->outcomes) != (r->sent ? 1 : 0))
                TS_FAIL("publish %u of %u has %u outcomes", n, i, atomic_load(&r->outcomes));
            if (r->stored > 1)
                TS_FAIL("publish %u of %u is stored %u times", n, i, r->stored);
            if ((outcome == NBJ_STORED || outcome == NBJ_DUPLICATE) && r->stored == 0)
                TS_FAIL("publish %u of %u was said to be stored and is not there", n, i);
            if ((outcome == NBJ_REJECTED || !r->sent) && r->stored > 0)
                TS_FAIL("publish %u of %u was said not to be stored and is there", n, i);
            by_outcome[outcome]++;
            sync += r->sync;
        }
    }
    printf("    stored %u, unknown %u, rejected %u, not sent %u (sync %u); replies %llu, none %llu; reconnects %u; "
           "callbacks %llu\n",
           by_outcome[NBJ_STORED] + by_outcome[NBJ_DUPLICATE], by_outcome[NBJ_UNKNOWN], by_outcome[NBJ_REJECTED],
           by_outcome[0], sync, (unsigned long long)atomic_load(&w->replies),
           (unsigned long long)atomic_load(&w->no_replies), th_count(&w->events, NBJ_EVENT_RECONNECTED),
           (unsigned long long)atomic_load(&w->called_back));
    CHECK("much was stored", by_outcome[NBJ_STORED] > by_outcome[NBJ_UNKNOWN] + by_outcome[NBJ_REJECTED]);
}

/* With TLS only the tormented client uses it. */
static void run_stress(ts_certs *certs, unsigned ms)
{
    stress *w = calloc(1, sizeof *w);
    char config[1000] = "";

    if (certs != NULL)
        snprintf(config, sizeof config, "%s\nallow_non_tls: true", ts_certs_config(certs, "server", ""));
    pthread_mutex_init(&w->problems.lock, NULL);
    w->certs = certs;
    w->server = ts_server_start(&(ts_server_options){ .jetstream = true, .config = config });
    w->proxy = ts_proxy_start(ts_server_port(w->server));
    th_make_stream(ts_server_port(w->server), "ST", "st.>", 1);
    open_clients(w);
    run(w, ms);
    end(w);
    th_no_problem(&w->problems);
    compare(w);
    CHECK("there were replies", atomic_load(&w->replies) > 0);
    CHECK("it reconnected", th_count(&w->events, NBJ_EVENT_RECONNECTED) > 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK("each reader got something", w->readers[i].got > 0);
    ts_proxy_free(w->proxy);
    ts_server_free(w->server);
    pthread_mutex_destroy(&w->problems.lock);
    free(w);
}

static void test_plain(void **state)
{
    (void)state;
    run_stress(NULL, th_amount(6000));
}

static void test_tls(void **state)
{
    ts_certs *certs = ts_certs_make();

    (void)state;
    run_stress(certs, th_amount(3000));
    ts_certs_free(certs);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_plain), cmocka_unit_test(test_tls) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
