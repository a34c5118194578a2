/* SPDX-License-Identifier: Apache-2.0 */
/* Advisories of real servers: each kind that can be made to happen, with what is in it; captured in a stream; in clusters
 * and domains; giving back while they come. */
#define _GNU_SOURCE

#include "threaded.h"

#include "port.h"

#include <ftw.h>
#include <sys/stat.h>

#define KIND_MAX (NBJ_ADVISORY_ACK_METRIC + 1)

/* --- the other side: JetStream's API by hand --- */

static void api_at(nbj_client *c, const char *prefix, const char *verb, const char *body, char *out, size_t size)
{
    char subject[256];
    nbj_msg *reply = NULL;

    snprintf(subject, sizeof subject, "%s.%s", prefix, verb);
    nbj_status st = nbj_request(c, subject, nbj_str(body), NULL, &reply);
    CHECK(subject, st == NBJ_OK);
    snprintf(out, size, "%.*s", NBJ_FMT(nbj_msg_data(reply)));
    CHECK(out, strstr(out, "\"error\":") == NULL);
    nbj_msg_release(reply);
}

static void api(nbj_client *c, const char *verb, const char *body)
{
    char answer[4096];

    api_at(c, "$JS.API", verb, body, answer, sizeof answer);
}

/* Pulls one message of the consumer and answers |ack|. */
static void settle(nbj_client *c, const char *consumer, const char *ack)
{
    char subject[128];
    nbj_msg *msg = NULL, *confirmed = NULL;
    char reply[256];

    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.S.%s", consumer);
    assert_int_equal(nbj_request(c, subject, nbj_str("1"), NULL, &msg), NBJ_OK);
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    nbj_msg_release(msg);
    assert_int_equal(nbj_request(c, reply, nbj_str(ack), NULL, &confirmed), NBJ_OK);
    nbj_msg_release(confirmed);
}

/* --- what is told --- */

typedef struct told {
    pthread_mutex_t lock;
    unsigned count[KIND_MAX], all;
    nbj_advisory last[KIND_MAX]; /* without its texts */
    char stream[KIND_MAX][64], consumer[KIND_MAX][64], extra[KIND_MAX][512];
    bool right_thread;
    atomic_bool leave; /* it is released in the next callback */
    atomic_uint after;
    nbj_status why;
    unsigned ends;
} told;

static told *new_told(void)
{
    static told t;

    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.lock, NULL);
    t.right_thread = true;
    return &t;
}

static void copy(char *out, size_t size, nbj_bytes text)
{
    snprintf(out, size, "%.*s", NBJ_FMT(text));
}

static void on_advisory(void *user, nbj_advisories *advisories, const nbj_advisory *a)
{
    told *t = user;
    nbj_bytes extra = a->reason.len > 0 ? a->reason : a->subject.len > 0 ? a->subject : a->leader;

    pthread_mutex_lock(&t->lock);
    t->count[a->kind]++;
    t->all++;
    t->last[a->kind] = *a;
    copy(t->stream[a->kind], sizeof t->stream[0], a->stream);
    copy(t->consumer[a->kind], sizeof t->consumer[0], a->consumer);
    copy(t->extra[a->kind], sizeof t->extra[0], a->kind == NBJ_ADVISORY_UNKNOWN ? a->json : extra);
    t->right_thread = t->right_thread && is_callback_thread();
    pthread_mutex_unlock(&t->lock);
    if (t->leave) {
        nbj_advisories_release(advisories);
        t->leave = false;
    }
}

static void on_end(void *user, nbj_advisories *advisories, nbj_status why)
{
    told *t = user;

    (void)advisories;
    pthread_mutex_lock(&t->lock);
    t->why = why;
    t->ends++;
    pthread_mutex_unlock(&t->lock);
}

static unsigned count_of(told *t, nbj_advisory_kind kind)
{
    pthread_mutex_lock(&t->lock);
    unsigned n = t->count[kind];
    pthread_mutex_unlock(&t->lock);
    return n;
}

#define AWAIT(t, kind, n) WAIT_UNTIL(count_of(t, kind) >= (n), SOON_MS)

static nbj_advisories *listen(nbj_client *c, const nbj_advisory_options *o, told *t)
{
    nbj_advisories *a = NULL;

    assert_int_equal(nbj_advisories_subscribe(c, o, on_advisory, on_end, t, &a), NBJ_OK);
    flush(c);
    return a;
}

static void make_stream(nbj_client *c)
{
    api(c, "STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"storage\":\"file\"}");
}

static void make_consumer(nbj_client *c, const char *name, const char *more)
{
    char verb[128], body[512];

    snprintf(verb, sizeof verb, "CONSUMER.DURABLE.CREATE.S.%s", name);
    snprintf(body, sizeof body,
             "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"%s\",\"ack_policy\":\"explicit\"%s}}", name, more);
    api(c, verb, body);
}

static void store(nbj_client *c)
{
    nbj_msg *ack = NULL;

    assert_int_equal(nbj_request(c, "s.x", nbj_str("x"), NULL, &ack), NBJ_OK);
    nbj_msg_release(ack);
}

/* --- tests --- */

static void test_streams_and_consumers(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    told *t = new_told();
    nbj_advisories *a = listen(c, NBJ_ADVISORIES(.stream = "S"), t);
    make_stream(c);
    api(c, "STREAM.CREATE.OTHER", "{\"name\":\"OTHER\"}");
    api(c, "STREAM.UPDATE.S", "{\"name\":\"S\",\"subjects\":[\"s.>\",\"t\"],\"storage\":\"file\"}");
    make_consumer(c, "C", ",\"max_deliver\":3,\"sample_freq\":\"100\"");
    for (int i = 0; i < 3; i++)
        store(c);
    settle(c, "C", "-NAK");
    settle(c, "C", "+ACK");
    settle(c, "C", "+TERM bad");
    api(c, "CONSUMER.DELETE.S.C", "");
    api(c, "STREAM.DELETE.S", "");
    api(c, "STREAM.DELETE.OTHER", "");
    AWAIT(t, NBJ_ADVISORY_STREAM_DELETED, 1);
    AWAIT(t, NBJ_ADVISORY_CONSUMER_DELETED, 1);
    static const nbj_advisory_kind once[] = { NBJ_ADVISORY_STREAM_CREATED,   NBJ_ADVISORY_STREAM_UPDATED,
                                              NBJ_ADVISORY_STREAM_DELETED,   NBJ_ADVISORY_CONSUMER_CREATED,
                                              NBJ_ADVISORY_CONSUMER_DELETED, NBJ_ADVISORY_MSG_NAKED,
                                              NBJ_ADVISORY_ACK_METRIC };
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        assert_int_equal(count_of(t, once[i]), 1);
        assert_string_equal(t->stream[once[i]], "S");
        assert_true(t->last[once[i]].time_ns > 1700000000000000000);
    }
    assert_string_equal(t->consumer[NBJ_ADVISORY_CONSUMER_CREATED], "C");
    assert_string_equal(t->consumer[NBJ_ADVISORY_MSG_NAKED], "C");
    assert_int_equal(t->last[NBJ_ADVISORY_MSG_NAKED].deliveries, 1);
    assert_int_equal(t->last[NBJ_ADVISORY_MSG_NAKED].stream_sequence, 1);
    assert_true(t->last[NBJ_ADVISORY_ACK_METRIC].ack_time_ns > 0);
    assert_true(t->last[NBJ_ADVISORY_ACK_METRIC].consumer_sequence > 0);
    if (ts_server_is_at_least(server, 2, 10,
                              4)) { /* older ones do not know a reason, and take it for no answer at all */
        assert_int_equal(count_of(t, NBJ_ADVISORY_MSG_TERMINATED), 1);
        assert_string_equal(t->extra[NBJ_ADVISORY_MSG_TERMINATED], "bad");
    }
    assert_true(t->right_thread);
    nbj_advisories_release(a);
    assert_int_equal(t->ends, 0);
}

static void test_max_deliveries(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    told *t = new_told();
    make_stream(c);
    make_consumer(c, "C", ",\"max_deliver\":2");
    make_consumer(c, "D", ",\"max_deliver\":2");
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_MAX_DELIVERIES);
    nbj_advisories *a = listen(c, NBJ_ADVISORIES(.kinds = kinds, .consumer = "C"), t);
    store(c);
    for (int i = 0; i < 2; i++) {
        settle(c, "D", "-NAK");
        settle(c, "C", "-NAK");
    }
    nbj_msg *none = NULL; /* a pull that makes the server notice */
    (void)!nbj_request(c, "$JS.API.CONSUMER.MSG.NEXT.S.D", nbj_str("{\"batch\":1,\"no_wait\":true}"), NULL, &none);
    nbj_msg_release(none);
    (void)!nbj_request(c, "$JS.API.CONSUMER.MSG.NEXT.S.C", nbj_str("{\"batch\":1,\"no_wait\":true}"), NULL, &none);
    nbj_msg_release(none);
    AWAIT(t, NBJ_ADVISORY_MAX_DELIVERIES, 1);
    assert_int_equal(t->all, 1);
    assert_string_equal(t->consumer[NBJ_ADVISORY_MAX_DELIVERIES], "C");
    assert_int_equal(t->last[NBJ_ADVISORY_MAX_DELIVERIES].deliveries, 2);
    assert_int_equal(t->last[NBJ_ADVISORY_MAX_DELIVERIES].stream_sequence, 1);
    nbj_advisories_release(a);
    api(c, "STREAM.DELETE.S", "");
}

static void pause_and_resume(nbj_client *c, told *t)
{
    make_consumer(c, "C", "");
    api(c, "CONSUMER.PAUSE.S.C", "{\"pause_until\":\"2100-01-01T00:00:00Z\"}");
    AWAIT(t, NBJ_ADVISORY_CONSUMER_PAUSE, 1);
    assert_true(t->last[NBJ_ADVISORY_CONSUMER_PAUSE].paused);
    assert_true(t->last[NBJ_ADVISORY_CONSUMER_PAUSE].pause_until_ns == 4102444800000000000);
    api(c, "CONSUMER.PAUSE.S.C", "{}");
    AWAIT(t, NBJ_ADVISORY_CONSUMER_PAUSE, 2);
    assert_false(t->last[NBJ_ADVISORY_CONSUMER_PAUSE].paused);
}

static void pin_and_unpin(nbj_client *c, told *t)
{
    nbj_msg *msg = NULL;

    make_consumer(c, "P", ",\"priority_groups\":[\"g\"],\"priority_policy\":\"pinned_client\"");
    store(c);
    assert_int_equal(
        nbj_request(c, "$JS.API.CONSUMER.MSG.NEXT.S.P", nbj_str("{\"batch\":1,\"group\":\"g\"}"), NULL, &msg), NBJ_OK);
    nbj_msg_release(msg);
    AWAIT(t, NBJ_ADVISORY_CONSUMER_PINNED, 1);
    assert_true(t->last[NBJ_ADVISORY_CONSUMER_PINNED].pinned_id.len > 0);
    assert_int_equal(t->last[NBJ_ADVISORY_CONSUMER_PINNED].group.len, 1);
    api(c, "CONSUMER.UNPIN.S.P", "{\"group\":\"g\"}");
    AWAIT(t, NBJ_ADVISORY_CONSUMER_UNPINNED, 1);
    assert_string_equal(t->extra[NBJ_ADVISORY_CONSUMER_UNPINNED], "admin");
}

static void abandon_a_batch(nbj_client *c, told *t)
{
    api(c, "STREAM.CREATE.B", "{\"name\":\"B\",\"subjects\":[\"b\"],\"allow_atomic\":true}");
    for (int i = 1; i <= 3; i += 2) { /* the second is missing */
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        nbj_header headers[] = { { nbj_str("Nats-Batch-Id"), nbj_str("id") },
                                 { nbj_str("Nats-Batch-Sequence"), nbj_str(number) } };
        nbj_msg *answer = NULL;
        assert_int_equal(nbj_request(c, "b", nbj_str("x"), NBJ_REQUEST(.headers = headers, .header_count = 2), &answer),
                         NBJ_OK);
        nbj_msg_release(answer);
    }
    AWAIT(t, NBJ_ADVISORY_BATCH_ABANDONED, 1);
    assert_string_equal(t->stream[NBJ_ADVISORY_BATCH_ABANDONED], "B");
    assert_string_equal(t->extra[NBJ_ADVISORY_BATCH_ABANDONED], "incomplete");
    assert_int_equal(t->last[NBJ_ADVISORY_BATCH_ABANDONED].batch.len, 2);
    api(c, "STREAM.DELETE.B", "");
}

static void test_newer_kinds(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    told *t = new_told();
    nbj_advisories *a = listen(c, NULL, t);
    make_stream(c);
    if (ts_server_is_at_least(server, 2, 11, 0)) {
        pause_and_resume(c, t);
        pin_and_unpin(c, t);
    }
    if (ts_server_is_at_least(server, 2, 12, 0))
        abandon_a_batch(c, t);
    api(c, "STREAM.DELETE.S", "");
    AWAIT(t, NBJ_ADVISORY_STREAM_DELETED, 1);
    nbj_advisories_release(a);
}

/* Also what the test does not know; and the audit, which is asked for. */
static void test_everything(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    told *t = new_told();
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN) | NBJ_ADVISORY_BIT(NBJ_ADVISORY_API_AUDIT);
    nbj_advisories *a = listen(c, NBJ_ADVISORIES(.kinds = kinds), t);
    api(c, "INFO", "");
    AWAIT(t, NBJ_ADVISORY_API_AUDIT, 1);
    assert_string_equal(t->extra[NBJ_ADVISORY_API_AUDIT], "$JS.API.INFO");
    assert_true(t->last[NBJ_ADVISORY_API_AUDIT].response.len > 0);
    send_text(c, "$JS.EVENT.ADVISORY.STREAM.NEW.S", "{\"type\":\"io.nats.jetstream.advisory.v1.new\"}");
    AWAIT(t, NBJ_ADVISORY_UNKNOWN, 1);
    assert_string_equal(t->extra[NBJ_ADVISORY_UNKNOWN], "{\"type\":\"io.nats.jetstream.advisory.v1.new\"}");
    nbj_advisories_release(a);
}

static void test_captured(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    char created[NBJ_ADVISORY_SUBJECT_MAX], deleted[NBJ_ADVISORY_SUBJECT_MAX], answer[4096];
    nbj_error error = { 0 };
    assert_int_equal(nbj_advisory_subject(NBJ_ADVISORY_STREAM_CREATED, NULL, created, sizeof created), NBJ_OK);
    assert_int_equal(
        nbj_advisory_subject(NBJ_ADVISORY_STREAM_DELETED, NBJ_ADVISORIES(.stream = "S"), deleted, sizeof deleted),
        NBJ_OK);
    nbj_status st = nbj_stream_ensure(
        c, NBJ_STREAM_CONFIG(.name = "ADVISORIES", .subjects = NBJ_LIST(created, deleted)), NULL, &error);
    CHECK(nbj_error_text(&error), st == NBJ_OK);
    make_stream(c);
    api(c, "STREAM.DELETE.S", "");
    nbj_msg *msg = NULL;
    api(c, "CONSUMER.DURABLE.CREATE.ADVISORIES.C",
        "{\"stream_name\":\"ADVISORIES\",\"config\":{\"durable_name\":\"C\",\"ack_policy\":\"explicit\"}}");
    static const nbj_advisory_kind kinds[] = { NBJ_ADVISORY_STREAM_CREATED, NBJ_ADVISORY_STREAM_CREATED,
                                               NBJ_ADVISORY_STREAM_DELETED };
    for (size_t i = 0; i < 3; i++) { /* the first is of the capturing stream itself */
        const nbj_advisory *a = NULL;
        assert_int_equal(nbj_request(c, "$JS.API.CONSUMER.MSG.NEXT.ADVISORIES.C", nbj_str("1"), NULL, &msg), NBJ_OK);
        assert_int_equal(nbj_advisory_parse(nbj_msg_data(msg), &a), NBJ_OK);
        assert_int_equal(a->kind, kinds[i]);
        assert_true(nbj_bytes_equal(a->stream, nbj_str(i == 0 ? "ADVISORIES" : "S")));
        nbj_advisory_release(a);
        nbj_msg_release(msg);
    }
    api_at(c, "$JS.API", "STREAM.DELETE.ADVISORIES", "", answer, sizeof answer);
}

static void test_release(void **state)
{
    (void)state;
    nbj_client *c = open_one(), *other = open_one();
    for (int i = 0; i < 20; i++) {
        told *t = new_told();
        nbj_advisories *a = listen(c, NBJ_ADVISORIES(.stream = "S"), t);
        t->leave = i % 2 == 0;
        make_stream(other);
        api(other, "STREAM.DELETE.S", "");
        if (i % 2 == 0)
            WAIT_UNTIL(!t->leave, SOON_MS);
        else
            nbj_advisories_release(a); /* perhaps while a callback runs */
        pthread_mutex_lock(&t->lock);
        unsigned told_then = t->all;
        pthread_mutex_unlock(&t->lock);
        send_text(other, "$JS.EVENT.ADVISORY.STREAM.CREATED.S", "{}");
        flush(other);
        flush(c);
        assert_int_equal(t->all, told_then);
        assert_int_equal(t->ends, 0);
    }
}

static void test_end(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    told *t = new_told();
    nbj_advisories *a = listen(c, NULL, t);
    nbj_client_close(c);
    WAIT_UNTIL(nbj_client_state_of(c) == NBJ_CLIENT_CLOSED, SOON_MS);
    give_back(c); /* before the handle */
    assert_true(t->ends <= 1);
    assert_true(t->ends == 0 || t->why == NBJ_E_CLOSED);
    nbj_advisories_release(a);
}

static void test_cluster(void **state)
{
    (void)state;
    ts_cluster cluster = ts_cluster_start(3, &(ts_server_options){ .jetstream = true });
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(cluster.server[0])));
    told *t = new_told();
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_LEADER_ELECTED);
    nbj_advisories *a = listen(c, NBJ_ADVISORIES(.kinds = kinds, .stream = "S"), t);
    api(c, "STREAM.CREATE.S", "{\"name\":\"S\",\"num_replicas\":3}");
    AWAIT(t, NBJ_ADVISORY_STREAM_LEADER_ELECTED, 1);
    api(c, "STREAM.LEADER.STEPDOWN.S", "");
    AWAIT(t, NBJ_ADVISORY_STREAM_LEADER_ELECTED, 2);
    assert_int_equal(t->last[NBJ_ADVISORY_STREAM_LEADER_ELECTED].replica_count, 3);
    assert_true(t->extra[NBJ_ADVISORY_STREAM_LEADER_ELECTED][0] != '\0');
    nbj_advisories_release(a);
    give_back(c);
    ts_cluster_free(&cluster);
}

/* --- domains --- */

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *at)
{
    (void)what;
    (void)kind;
    (void)at;
    return remove(path);
}

static char store_dir[2][64];
static ts_server *hub, *leaf;

static int stop_domains(void **state)
{
    end_test(state);
    ts_server_free(leaf);
    ts_server_free(hub);
    for (int i = 0; i < 2; i++)
        nftw(store_dir[i], remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static ts_server *start_domain(int i, const char *domain, const char *leafnodes)
{
    char config[512];

    snprintf(store_dir[i], sizeof store_dir[i], "/tmp/nbj-advisory-XXXXXX");
    assert_non_null(mkdtemp(store_dir[i]));
    snprintf(config, sizeof config, "jetstream: { store_dir: \"%s\", domain: %s }\nleafnodes: { %s }", store_dir[i],
             domain, leafnodes);
    return ts_server_start(&(ts_server_options){ .config = config });
}

static bool has_domain(nbj_client *c, const char *domain)
{
    char subject[64];
    nbj_msg *reply = NULL;

    snprintf(subject, sizeof subject, "$JS.%s.API.INFO", domain);
    bool has = nbj_request(c, subject, nbj_str(""), NULL, &reply) == NBJ_OK;
    nbj_msg_release(reply);
    return has;
}

/* A hub and a leaf that is a domain of its own: each hears of both. */
static void test_domains(void **state)
{
    (void)state;
    char listen_at[64], remote[128], answer[4096];
    ts_port port = ts_port_reserve();
    snprintf(listen_at, sizeof listen_at, "listen: \"127.0.0.1:%u\"", port.number);
    snprintf(remote, sizeof remote, "remotes: [ { url: \"nats://127.0.0.1:%u\" } ]", port.number);
    hub = start_domain(0, "hub", listen_at);
    leaf = start_domain(1, "leaf", remote);
    ts_port_release(&port);
    nbj_client *at_hub = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(hub), .js_domain = "leaf"));
    WAIT_UNTIL(has_domain(at_hub, "leaf"), SOON_MS);
    told *t = new_told();
    uint64_t kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_CREATED);
    nbj_advisories *a = listen(at_hub, NBJ_ADVISORIES(.kinds = kinds), t);
    api_at(at_hub, "$JS.hub.API", "STREAM.CREATE.HERE", "{\"name\":\"HERE\"}", answer, sizeof answer);
    api_at(at_hub, "$JS.leaf.API", "STREAM.CREATE.THERE", "{\"name\":\"THERE\"}", answer, sizeof answer);
    AWAIT(t, NBJ_ADVISORY_STREAM_CREATED, 1);
    assert_string_equal(t->stream[NBJ_ADVISORY_STREAM_CREATED], "THERE");
    assert_int_equal(t->all, 1);
    nbj_advisories_release(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_streams_and_consumers, end_test),
        cmocka_unit_test_teardown(test_max_deliveries, end_test),
        cmocka_unit_test_teardown(test_newer_kinds, end_test),
        cmocka_unit_test_teardown(test_everything, end_test),
        cmocka_unit_test_teardown(test_captured, end_test),
        cmocka_unit_test_teardown(test_release, end_test),
        cmocka_unit_test_teardown(test_end, end_test),
        cmocka_unit_test_teardown(test_cluster, end_test),
        cmocka_unit_test_teardown(test_domains, stop_domains),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
