/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing that was reported as stored is lost: threads of one client publish, with ids and without waiting, into a stream in
 * files, while its server is killed (SIGKILL) at random moments and started again on the same store. Then another client,
 * which shares no code with the library, reads the stream, and each message is held against its one outcome.
 *
 *   publish_soak_threads_test [--messages N] [--kills N] [--seed S]
 *
 * What a process has written survives its SIGKILL in the system's page cache, whenever the server syncs its files. What a
 * crash of the machine leaves is not asked here. */
#define _GNU_SOURCE
#include "threads.h"

#include "server.h"

#include <inttypes.h>

#define STREAM "SOAK"
#define THREADS 4
#define PAYLOAD_MAX 96
#define TIMEOUT_S 60 /* half of the duplicate window of the stream: what is sent again later might be stored twice */
#define STUCK_S 120  /* without any outcome */
#define OUTAGE_MS 300
#define BATCH 10000

typedef struct record {
    uint32_t sequence; /* as acknowledged */
    uint8_t calls;     /* of its callback */
    uint8_t outcome;   /* nbj_outcome */
    uint8_t copies;    /* in the stream */
    uint8_t named;     /* one of them has the acknowledged sequence */
} record;

typedef struct totals {
    uint64_t outcomes[NBJ_UNKNOWN + 1];
    uint64_t without_one, with_several; /* outcomes */
    uint64_t lost;                      /* reported as stored, and not there */
    uint64_t misplaced;                 /* there, but not where the acknowledgement says */
    uint64_t refused_and_stored, unknown_and_stored;
    uint64_t second_copies;
} totals;

static struct {
    uint64_t messages, kills, seed;
    ts_server *server;
    nbj_client *client;
    record *records;
    pthread_t thread[THREADS];
    size_t threads; /* that run */
    atomic_ullong settled, no_room;
    nbj_error other; /* of the first message that is not stored, as far as is known */
    th_problems problems;
    nbj_client_stats stats; /* when all had outcomes */
    uint64_t strange;       /* in the stream, and never published */
} world = { .problems = TH_PROBLEMS };

/* --- messages --- */

/* What message |number| of |thread| says: both, and octets that follow from them. */
static size_t write_payload(char out[PAYLOAD_MAX], size_t thread, uint64_t number)
{
    uint64_t state = (uint64_t)thread << 32 | number;
    size_t len = (size_t)snprintf(out, PAYLOAD_MAX, "%zu %" PRIu64 " ", thread, number);
    size_t end = len + th_below(&state, 48);

    while (len < end) {
        uint64_t noise = th_random(&state);
        size_t n = end - len < sizeof noise ? end - len : sizeof noise;
        memcpy(out + len, &noise, n);
        len += n;
    }
    return len;
}

static uint64_t each(void)
{
    return world.messages / THREADS;
}

/* Whose message it is; NULL: not any of ours, octet for octet. */
static record *record_of(nbj_bytes payload)
{
    char text[PAYLOAD_MAX], expected[PAYLOAD_MAX], *at = text;

    if (payload.len >= sizeof text)
        return NULL;
    memcpy(text, payload.ptr, payload.len);
    text[payload.len] = '\0';
    uint64_t thread = strtoull(at, &at, 10), number = strtoull(at, &at, 10);
    if (thread >= THREADS || number >= each())
        return NULL;
    size_t len = write_payload(expected, thread, number);
    return nbj_bytes_equal(payload, nbj_view(expected, len)) ? &world.records[thread * each() + number] : NULL;
}

static void count_one(uint8_t *n)
{
    if (*n < UINT8_MAX)
        ++*n;
}

/* --- publishing --- */

/* The library's one thread for callbacks. */
static void on_result(void *user, const nbj_publish_result *result)
{
    record *m = user;

    count_one(&m->calls);
    m->outcome = (uint8_t)result->outcome;
    if (nbj_is_stored(result)) {
        m->sequence = (uint32_t)result->ack.sequence;
        if (strcmp(result->ack.stream, STREAM) != 0)
            th_problem(&world.problems, "acknowledged by stream %s", result->ack.stream);
    } else if (world.other.status == NBJ_OK) {
        world.other = result->error;
    }
    atomic_fetch_add(&world.settled, 1);
}

/* One message; where there is no room in time nothing was sent, and it is tried again. */
static nbj_status publish(const char *subject, nbj_bytes data, record *m)
{
    for (;;) {
        nbj_status st = nbj_publish_async(world.client, subject, data,
                                          NBJ_PUBLISH(.timeout_ns = NBJ_SECONDS(TIMEOUT_S)), on_result, m);
        if (st != NBJ_E_TIMEOUT && st != NBJ_E_FULL)
            return st;
        atomic_fetch_add(&world.no_room, 1);
        ts_breathe();
    }
}

static void *publish_all(void *arg)
{
    record *mine = arg;
    size_t thread = (size_t)(mine - world.records) / each();
    char subject[32], payload[PAYLOAD_MAX];
    nbj_status st = NBJ_OK;

    snprintf(subject, sizeof subject, "soak.%zu", thread);
    for (uint64_t i = 0; i < each() && st == NBJ_OK; i++)
        st = publish(subject, nbj_view(payload, write_payload(payload, thread, i)), &mine[i]);
    if (st != NBJ_OK)
        th_problem(&world.problems, "publish: %s", nbj_strerror(st));
    return NULL;
}

/* --- the server's fate --- */

static void await_settled(uint64_t count)
{
    uint64_t before = 0, now;
    nbj_time since = ts_now();

    while ((now = atomic_load(&world.settled)) < count) {
        th_no_problem(&world.problems);
        if (now != before)
            since = ts_now();
        before = now;
        if (ts_now() - since > NBJ_SECONDS(STUCK_S))
            TS_FAIL("no outcome for %d s, after %" PRIu64 " of %" PRIu64, STUCK_S, now, world.messages);
        ts_breathe();
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Kills it after so many outcomes as chance says, and starts it again some time later. */
static void torment(void)
{
    uint64_t random = world.seed;
    uint64_t *after = calloc(world.kills + 1, sizeof *after);

    assert_non_null(after);
    for (uint64_t i = 0; i < world.kills; i++)
        after[i] = th_random(&random) % world.messages;
    qsort(after, world.kills, sizeof *after, compare);
    for (uint64_t i = 0; i < world.kills; i++) {
        await_settled(after[i]);
        ts_server_kill9(world.server);
        th_sleep_ms(th_below(&random, OUTAGE_MS));
        ts_server_restart(world.server);
    }
    free(after);
}

/* --- the ledger --- */

/* The number behind |key| in the stream's state. */
static uint64_t stream_number(ts_raw *r, const char *key)
{
    const char *answer = NULL, *at = NULL;

    WAIT_UNTIL((answer = ts_raw_request(r, "$JS.API.STREAM.INFO." STREAM, "", TS_RAW_MS)) != NULL &&
                   (at = strstr(answer, key)) != NULL,
               20000);
    return strtoull(at + strlen(key), NULL, 10);
}

/* A consumer that delivers all in their order; |name| gets its name. */
static void make_consumer(ts_raw *r, char name[64])
{
    const char *answer = ts_raw_request(r, "$JS.API.CONSUMER.CREATE." STREAM,
                                        "{\"stream_name\":\"" STREAM "\",\"config\":{\"deliver_policy\":\"all\","
                                        "\"ack_policy\":\"none\",\"inactive_threshold\":60000000000}}",
                                        TS_RAW_MS);
    const char *at = answer != NULL ? strstr(answer, "\"name\":\"") : NULL;

    if (at == NULL || sscanf(at, "\"name\":\"%63[^\"]", name) != 1)
        TS_FAIL("no consumer: %s", answer != NULL ? answer : "no answer");
}

/* "….SOAK.<consumer>.<delivered>.<stream sequence>.…" */
static uint64_t sequence_of(nbj_bytes reply, const char *consumer)
{
    char text[256];
    unsigned long long delivered, sequence;

    snprintf(text, sizeof text, "%.*s", NBJ_FMT(reply));
    const char *at = strstr(text, consumer);
    if (at == NULL || sscanf(at + strlen(consumer), ".%llu.%llu.", &delivered, &sequence) != 2)
        TS_FAIL("not a delivery: \"%s\"", text);
    return sequence;
}

static void note_stored(const ts_raw_msg *m, const char *consumer)
{
    uint64_t sequence = sequence_of(m->reply, consumer);
    record *k = record_of(m->payload);

    if (k == NULL) {
        world.strange++;
        return;
    }
    if (m->header.len == 0 || memmem(m->header.ptr, m->header.len, "\r\nNats-Msg-Id:", 14) == NULL)
        TS_FAIL("message %" PRIu64 " has no id", sequence);
    count_one(&k->copies);
    if (sequence == k->sequence)
        k->named = 1;
}

/* Returns how many messages the stream has. */
static uint64_t read_stream(void)
{
    ts_raw *r = ts_raw_open(ts_server_port(world.server));
    uint64_t count = stream_number(r, "\"messages\":");
    char consumer[64], subject[128], request[64];

    make_consumer(r, consumer);
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT." STREAM ".%s", consumer);
    ts_raw_sub(r, "read.soak", "read");
    for (uint64_t i = 0; i < count; i++) {
        if (i % BATCH == 0) {
            int n = snprintf(request, sizeof request, "{\"batch\":%" PRIu64 "}", count - i < BATCH ? count - i : BATCH);
            ts_raw_pub(r, subject, "read.soak", request, (size_t)n);
        }
        ts_raw_msg m = ts_raw_next(r, 20000);
        note_stored(&m, consumer);
    }
    ts_raw_close(r);
    return count;
}

static void judge(totals *t, const record *m)
{
    bool is_stored = m->copies > 0;

    t->without_one += m->calls == 0;
    t->with_several += m->calls > 1;
    t->outcomes[m->outcome]++;
    t->second_copies += m->copies > 1 ? m->copies - 1u : 0;
    switch (m->outcome) {
    case NBJ_STORED:
    case NBJ_DUPLICATE:
        t->lost += !is_stored;
        t->misplaced += is_stored && !m->named;
        break;
    case NBJ_REJECTED:
        t->refused_and_stored += is_stored;
        break;
    case NBJ_UNKNOWN:
        t->unknown_and_stored += is_stored;
        break;
    default:
        break;
    }
}

static void report(const totals *t, uint64_t in_stream, uint64_t publishing_ns, uint64_t reading_ns)
{
    printf("figures   %" PRIu64 " messages by %d threads of one client in %.1f s, server killed %" PRIu64
           " times meanwhile and once afterwards (seed %" PRIu64 "); read back in %.1f s\n"
           "sent      %" PRIu64 " times, %" PRIu64 " reconnects, waited in vain for room %llu times\n",
           world.messages, THREADS, (double)publishing_ns / 1e9, world.kills, world.seed, (double)reading_ns / 1e9,
           world.stats.out_msgs, world.stats.reconnects, atomic_load(&world.no_room));
    printf("outcomes  stored %" PRIu64 ", duplicate %" PRIu64 ", rejected %" PRIu64 ", unknown %" PRIu64
           "; none %" PRIu64 ", several %" PRIu64 "\n",
           t->outcomes[NBJ_STORED], t->outcomes[NBJ_DUPLICATE], t->outcomes[NBJ_REJECTED], t->outcomes[NBJ_UNKNOWN],
           t->without_one, t->with_several);
    printf("stream    %" PRIu64 " messages: lost %" PRIu64 ", second copies %" PRIu64
           ", elsewhere than acknowledged %" PRIu64 ", rejected and stored %" PRIu64 ", unknown and stored %" PRIu64
           ", never published %" PRIu64 "\n",
           in_stream, t->lost, t->second_copies, t->misplaced, t->refused_and_stored, t->unknown_and_stored,
           world.strange);
    if (world.other.status != NBJ_OK)
        printf("first of those that are not stored: %s\n", nbj_error_text(&world.other));
    fflush(stdout);
}

/* --- all of it --- */

static void open_world(void)
{
    nbj_error error = { 0 };

    world.records = calloc(world.messages, sizeof *world.records);
    assert_non_null(world.records);
    world.server = ts_server_start(&(ts_server_options){ .jetstream = true, .max_file = "16GB", .start_ms = 60000 });
    world.client = th_open(NBJ_CLIENT_OPTIONS(.url = ts_server_url(world.server), .reconnect_first_ns = NBJ_MILLIS(10),
                                              .reconnect_max_ns = NBJ_MILLIS(250)));
    if (nbj_stream_ensure(world.client, NBJ_STREAM_CONFIG(.name = STREAM, .subjects = NBJ_LIST("soak.>")), NULL,
                          &error) != NBJ_OK)
        TS_FAIL("stream: %s", nbj_error_text(&error));
}

static void join_all(void)
{
    while (world.threads > 0)
        pthread_join(world.thread[--world.threads], NULL);
}

static void publish_through_kills(void)
{
    uint64_t unfinished = 1;

    for (; world.threads < THREADS; world.threads++)
        world.thread[world.threads] = th_start(publish_all, &world.records[world.threads * each()]);
    torment();
    await_settled(world.messages);
    join_all();
    assert_int_equal(nbj_publish_flush(world.client, NBJ_SECONDS(STUCK_S), &unfinished), NBJ_OK);
    assert_true(unfinished == 0);
    world.stats = nbj_client_stats_of(world.client);
    assert_int_equal(nbj_client_drain(world.client, NBJ_SECONDS(STUCK_S)), NBJ_OK);
    nbj_client_release(world.client); /* no callback runs any more */
    world.client = NULL;
}

static void test_nothing_is_lost(void **state)
{
    totals t = { 0 };

    (void)state;
    open_world();
    nbj_time began = ts_now();
    publish_through_kills();
    nbj_time published = ts_now();
    ts_server_restart(world.server); /* kills it first */
    nbj_time restarted = ts_now();
    uint64_t in_stream = read_stream();
    for (uint64_t i = 0; i < world.messages; i++)
        judge(&t, &world.records[i]);
    report(&t, in_stream, published - began, ts_now() - restarted);

    th_no_problem(&world.problems);
    CHECK("the client saw kills", world.kills == 0 || world.stats.reconnects > 0);
    CHECK("one outcome each", t.without_one == 0 && t.with_several == 0);
    CHECK("nothing lost", t.lost == 0);
    CHECK("where the acknowledgements say", t.misplaced == 0);
    CHECK("rejected is not stored", t.refused_and_stored == 0);
    CHECK("within the duplicate window nothing is stored twice", t.second_copies == 0);
    CHECK("nothing from nowhere", world.strange == 0);
}

static int end_world(void **state)
{
    (void)state;
    if (world.client != NULL)
        nbj_client_close(world.client); /* which ends the threads of a test that failed */
    join_all();
    nbj_client_release(world.client);
    ts_server_free(world.server);
    free(world.records);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(test_nothing_is_lost, end_world) };

    world.messages = th_amount(TH_SANITIZED ? 20000 : 200000);
    world.kills = 3;
    world.seed = 1;
    for (int i = 1; i < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--messages") == 0 ? &world.messages
                           : strcmp(argv[i], "--kills") == 0  ? &world.kills
                           : strcmp(argv[i], "--seed") == 0   ? &world.seed
                                                              : NULL;
        if (number == NULL || i + 1 == argc)
            return fprintf(stderr, "usage: %s [--messages N] [--kills N] [--seed S]\n", argv[0]), 2;
        *number = strtoull(argv[i + 1], NULL, 10);
    }
    world.messages -= world.messages % THREADS;
    if (world.messages == 0 || world.messages > UINT32_MAX / 2)
        return fprintf(stderr, "%s: so many messages cannot be\n", argv[0]), 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
