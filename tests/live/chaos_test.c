/* SPDX-License-Identifier: Apache-2.0 */
/* Everything at once, at random, callbacks included, while the connection is cut, stalled and refused and the server is
 * killed. Whatever happens: each call has one outcome, nothing calls back after its end, and the outcomes of publishes
 * are those that another client finds in the stream. NBJ_CHAOS_SEED and NBJ_CHAOS_RUNS (default 1 and 6) choose the runs;
 * a run is not the same twice, as the world has its part in it. */
#define _GNU_SOURCE

#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 1500
#define SUBS_MAX 400
#define CALLS_MAX 6000
#define PULLS_MAX 40
#define DEPTH_MAX 2 /* of actions in callbacks of actions … */

typedef struct chaos chaos;

typedef struct sub_record {
    chaos *world;
    nbj_sub *sub; /* NULL: released */
    unsigned ended;
} sub_record;

typedef struct pull_record {
    chaos *world;
    nbj_pull *pull; /* NULL: released */
    bool over;      /* stopped or gone */
} pull_record;

typedef struct call_record {
    chaos *world;
    unsigned done;
    bool many;
    ts_published published;
} call_record;

struct chaos {
    uint64_t random;
    ts_server *server;
    ts_proxy *proxy;
    ts_client *client;
    sub_record subs[SUBS_MAX];
    pull_record pulls[PULLS_MAX];
    call_record calls[CALLS_MAX];     /* requests, flushes and the like */
    call_record publishes[CALLS_MAX]; /* into the stream; its number is in the payload and in the message id */
    unsigned sub_count, pull_count, call_count, publish_count;
    unsigned depth;
    bool over; /* no more actions */
};

static uint64_t next_random(chaos *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(chaos *w, unsigned n)
{
    return (unsigned)(next_random(w) % n);
}

static void act(chaos *w);

/* In a callback: sometimes something else begins or ends there. */
static void maybe_act(chaos *w)
{
    if (w->over || w->depth >= DEPTH_MAX || below(w, 8) != 0)
        return;
    w->depth++;
    act(w);
    w->depth--;
}

/* -- callbacks -- */

static void on_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    sub_record *r = user;
    char reply[200];

    if (r->sub != sub || r->ended > 0)
        TS_FAIL("a message of a subscription that has ended");
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    if (reply[0] != '\0' && below(r->world, 4) != 0)
        (void)!nbj_send(r->world->client->client, reply, nbj_msg_data(msg), NULL);
    maybe_act(r->world);
}

static void on_end(void *user, nbj_sub *sub, nbj_status why)
{
    sub_record *r = user;

    (void)why;
    if (r->sub != sub || ++r->ended > 1)
        TS_FAIL("a second end");
    maybe_act(r->world);
}

static void on_call(call_record *r)
{
    if (++r->done > 1)
        TS_FAIL("a second outcome");
    maybe_act(r->world);
}

static void on_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    call_record *r = user;

    if ((status == NBJ_MORE) != (r->many && reply != NULL) || (!r->many && (status == NBJ_OK) != (reply != NULL)))
        TS_FAIL("a reply with status %d", status);
    if (status != NBJ_MORE)
        on_call(r);
    else
        maybe_act(r->world);
}

static void on_flushed(void *user, nbj_status status, uint64_t round_trip_ns)
{
    (void)status;
    (void)round_trip_ns;
    on_call(user);
}

static void on_ensured(void *user, nbj_status status, const nbj_error *error)
{
    if ((status == NBJ_OK) != (error == NULL))
        TS_FAIL("status %d and %s error", status, error != NULL ? "an" : "no");
    on_call(user);
}

static void on_published(void *user, const nbj_publish_result *result)
{
    call_record *r = user;

    ts_on_published(&r->published, result);
    on_call(r);
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    pull_record *r = user;
    unsigned how = below(r->world, 20);

    if (r->pull != pull || r->over)
        TS_FAIL("a delivery of a pull that is over");
    if (how > 1)
        (void)!nbj_ack(msg);
    else if (how == 1)
        (void)!nbj_nak(msg, NBJ_MILLIS(1));
    maybe_act(r->world);
}

static void on_state(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    pull_record *r = user;

    (void)error;
    if (r->pull != pull)
        TS_FAIL("a state of a released pull");
    r->over = r->over || state == NBJ_PULL_STOPPED || state == NBJ_PULL_GONE;
    maybe_act(r->world);
}

/* -- actions of the program -- */

static const char *const subjects[] = { "echo.a", "echo.b", "nobody" };

static void do_send(chaos *w)
{
    (void)!nbj_send(w->client->client, subjects[below(w, 3)], nbj_str("data"), NULL);
}

static void do_subscribe(chaos *w)
{
    sub_record *r = &w->subs[w->sub_count];
    const nbj_sub_options *o = NBJ_SUB(.on_end = on_end, .queue_group = below(w, 2) == 0 ? "g" : NULL,
                                       .max_messages = below(w, 3) == 0 ? below(w, 20) : 0);

    if (w->sub_count == SUBS_MAX)
        return;
    r->world = w;
    if (nbj_subscribe(w->client->client, below(w, 2) == 0 ? "echo.a" : "echo.*", o, on_msg, r, &r->sub) == NBJ_OK)
        w->sub_count++;
}

static void do_end_sub(chaos *w)
{
    sub_record *r = w->sub_count > 0 ? &w->subs[below(w, w->sub_count)] : NULL;

    if (r == NULL || r->sub == NULL)
        return;
    switch (below(w, 3)) {
    case 0:
        (void)!nbj_unsubscribe(r->sub, below(w, 10));
        break;
    case 1:
        (void)!nbj_sub_drain(r->sub);
        break;
    default:
        nbj_sub_release(r->sub);
        r->sub = NULL;
        break;
    }
}

static call_record *next_call(chaos *w)
{
    call_record *r = w->call_count < CALLS_MAX ? &w->calls[w->call_count] : NULL;

    if (r != NULL)
        *r = (call_record){ .world = w };
    return r;
}

static void do_request(chaos *w)
{
    call_record *r = next_call(w);
    const nbj_request_options *o = NBJ_REQUEST(.timeout_ns = NBJ_MILLIS(1 + below(w, 500)), .max_replies = below(w, 3),
                                               .stall_ns = NBJ_MILLIS(below(w, 30)));
    const char *subject = subjects[below(w, 3)];

    if (r == NULL)
        return;
    r->many = below(w, 2) == 0;
    w->call_count++; /* before a callback can ask for another */
    nbj_status st = r->many ? nbj_request_many_async(w->client->client, subject, nbj_str("?"), o, on_reply, r)
                            : nbj_request_async(w->client->client, subject, nbj_str("?"), o, on_reply, r);
    w->call_count -= st != NBJ_OK;
}

static void do_flush(chaos *w)
{
    call_record *r = next_call(w);

    if (r != NULL && nbj_flush_async(w->client->client, NBJ_MILLIS(500), on_flushed, r) == NBJ_OK)
        w->call_count++;
}

static void do_ensure(chaos *w)
{
    call_record *r = next_call(w);
    const nbj_stream_config *c = NBJ_STREAM_CONFIG(.name = "CHAOS", .subjects = NBJ_LIST("chaos.>"));

    if (r != NULL &&
        nbj_stream_ensure_async(w->client->client, c, NBJ_CALL(.timeout_ns = NBJ_SECONDS(2)), on_ensured, r) == NBJ_OK)
        w->call_count++;
}

static void do_publish(chaos *w)
{
    call_record *r = &w->publishes[w->publish_count];
    char text[16];
    const nbj_publish_options *o = NBJ_PUBLISH(.msg_id = text, .timeout_ns = NBJ_MILLIS(50 + below(w, 3000)));

    if (w->publish_count == CALLS_MAX)
        return;
    *r = (call_record){ .world = w };
    snprintf(text, sizeof text, "%u", w->publish_count);
    if (nbj_publish_async(w->client->client, "chaos.n", nbj_str(text), o, on_published, r) == NBJ_OK)
        w->publish_count++;
}

static void do_pull(chaos *w)
{
    pull_record *r = &w->pulls[w->pull_count];
    const nbj_consumer_config *c =
        NBJ_CONSUMER_CONFIG(.stream = "CHAOS", .durable = below(w, 2) == 0 ? "a" : "b", .on_state = on_state,
                            .ack_wait_ns = NBJ_MILLIS(200), .batch = 20);

    if (w->pull_count == PULLS_MAX)
        return;
    r->world = w;
    if (nbj_pull_start(w->client->client, c, on_delivery, r, &r->pull) == NBJ_OK)
        w->pull_count++;
}

static void do_end_pull(chaos *w)
{
    pull_record *r = w->pull_count > 0 ? &w->pulls[below(w, w->pull_count)] : NULL;

    if (r == NULL || r->pull == NULL)
        return;
    if (below(w, 2) == 0) {
        nbj_pull_stop(r->pull);
        return;
    }
    nbj_pull_release(r->pull);
    r->pull = NULL;
}

static void do_reconnect(chaos *w)
{
    nbj_client_reconnect(w->client->client);
}

static void act(chaos *w)
{
    static const struct {
        unsigned weight;
        void (*fn)(chaos *w);
    } actions[] = {
        { 20, do_send },    { 6, do_subscribe }, { 6, do_end_sub },  { 20, do_request }, { 6, do_flush },
        { 30, do_publish }, { 2, do_pull },      { 2, do_end_pull }, { 2, do_ensure },   { 1, do_reconnect }
    };
    unsigned sum = 0, drawn = below(w, 95);

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        sum += actions[i].weight;
        if (drawn < sum) {
            actions[i].fn(w);
            return;
        }
    }
}

/* -- the world -- */

static void heal(chaos *w)
{
    for (int way = 0; way < 2; way++) {
        ts_proxy_cancel_cut(w->proxy, (ts_way)way);
        ts_proxy_stall(w->proxy, (ts_way)way, false);
        ts_proxy_black_hole(w->proxy, (ts_way)way, false);
        ts_proxy_split(w->proxy, (ts_way)way, 0, 0);
    }
    ts_proxy_refuse(w->proxy, false);
    if (ts_server_pid(w->server) == 0)
        ts_server_restart(w->server);
}

static void torment(chaos *w)
{
    ts_way way = below(w, 2) == 0 ? TS_TO_SERVER : TS_TO_CLIENT;
    ts_ending how = below(w, 2) == 0 ? TS_FIN : TS_RST;

    switch (below(w, 12)) {
    case 0:
    case 1:
        ts_proxy_cut_after(w->proxy, way, 1 + below(w, 20000), how);
        break;
    case 2:
        ts_proxy_cut_now(w->proxy, how);
        break;
    case 3:
        ts_proxy_stall(w->proxy, way, true);
        break;
    case 4:
        ts_proxy_black_hole(w->proxy, way, true);
        break;
    case 5:
        ts_proxy_refuse(w->proxy, true);
        break;
    case 6:
        ts_proxy_split(w->proxy, way, 1 + below(w, 50), 0);
        break;
    case 7:
        if (ts_server_pid(w->server) != 0)
            ts_server_kill9(w->server);
        break;
    default:
        heal(w);
        break;
    }
}

static void run(chaos *w)
{
    for (int i = 0; i < STEPS; i++) {
        act(w);
        if (below(w, 3) == 0)
            (void)ts_turn((int)below(w, 3));
        if (below(w, 25) == 0)
            torment(w);
    }
    heal(w);
}

/* -- the end -- */

static void release_all(chaos *w)
{
    for (unsigned i = 0; i < w->sub_count; i++)
        nbj_sub_release(w->subs[i].sub);
    for (unsigned i = 0; i < w->pull_count; i++)
        nbj_pull_release(w->pulls[i].pull);
}

/* Drained, closed or merely released. */
static void end(chaos *w)
{
    unsigned how = below(w, 4);

    w->over = below(w, 2) == 0; /* sometimes its callbacks go on acting */
    if (how < 2)
        nbj_client_drain_async(w->client->client, NBJ_SECONDS(8));
    else if (how == 2)
        nbj_client_close(w->client->client);
    if (how < 3)
        (void)ts_await(w->client, NBJ_EVENT_CLOSED);
    release_all(w);
    unsigned most = how < 3 ? 1 : 0; /* a client that was released says nothing more */
    for (unsigned i = 0; i < w->call_count; i++)
        CHECK("one outcome", w->calls[i].done >= most);
    for (unsigned i = 0; i < w->publish_count; i++)
        CHECK("one outcome of a publish", w->publishes[i].done >= most);
    if (how < 3)
        assert_ptr_equal(strchr(w->client->trail, 'X'), w->client->trail + strlen(w->client->trail) - 1);
    ts_client_free(w->client);
}

/* What is stored, read by another client: a count for each number. */
static void read_stream(chaos *w, unsigned char *stored)
{
    static const char config[] = "{\"stream_name\":\"CHAOS\",\"config\":{\"deliver_subject\":\"read\",\"ack_policy\":"
                                 "\"none\",\"deliver_policy\":\"all\"}}";
    ts_raw *r = ts_raw_open(ts_server_port(w->server));
    const char *info = NULL;

    WAIT_UNTIL((info = ts_raw_request(r, "$JS.API.STREAM.INFO.CHAOS", "", TS_RAW_MS)) != NULL &&
                   strstr(info, "\"messages\":") != NULL,
               TS_WAIT_MS);
    unsigned long count = strtoul(strstr(info, "\"messages\":") + 11, NULL, 10);
    ts_raw_sub(r, "read", "read");
    ts_raw_pub(r, "$JS.API.CONSUMER.CREATE.CHAOS", "answer", config, sizeof config - 1);
    for (unsigned long i = 0; i < count; i++) {
        ts_raw_msg m = ts_raw_next(r, TS_RAW_MS);
        unsigned long n = strtoul(ts_show(m.payload.ptr, m.payload.len), NULL, 10);
        CHECK("a number that was published", n < w->publish_count);
        stored[n]++;
    }
    ts_raw_close(r);
}

static void compare(chaos *w)
{
    unsigned char *stored = calloc(1, CALLS_MAX);
    unsigned by_outcome[NBJ_UNKNOWN + 1] = { 0 };

    read_stream(w, stored);
    for (unsigned i = 0; i < w->publish_count; i++) {
        const ts_published *p = &w->publishes[i].published;
        if (stored[i] > 1)
            TS_FAIL("message %u is stored %u times", i, stored[i]);
        if (p->calls == 0)
            continue;
        by_outcome[p->outcome]++;
        if ((p->outcome == NBJ_STORED || p->outcome == NBJ_DUPLICATE) && stored[i] == 0)
            TS_FAIL("message %u is not there, but was said to be stored as %llu", i, (unsigned long long)p->sequence);
        if (p->outcome == NBJ_REJECTED && stored[i] != 0)
            TS_FAIL("message %u is there, but was said not to be: %s", i, p->error.text);
    }
    printf("    published %u: stored %u, unknown %u, rejected %u; calls %u, subscriptions %u\n", w->publish_count,
           by_outcome[NBJ_STORED] + by_outcome[NBJ_DUPLICATE], by_outcome[NBJ_UNKNOWN], by_outcome[NBJ_REJECTED],
           w->call_count, w->sub_count);
    free(stored);
}

static void run_seed(uint64_t seed)
{
    chaos *w = calloc(1, sizeof *w);
    char url[64];

    printf("    seed %llu\n", (unsigned long long)seed);
    w->random = seed;
    w->server = ts_server_start(&(ts_server_options){ .jetstream = true });
    w->proxy = ts_proxy_start(ts_server_port(w->server));
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(w->proxy));
    w->client = ts_client_connect(
        NBJ_CLIENT_OPTIONS(.url = url, .retry_first_connect = true, .reconnect_first_ns = NBJ_MILLIS(1),
                           .reconnect_max_ns = NBJ_MILLIS(20), .connect_timeout_ns = NBJ_MILLIS(100),
                           .ping_interval_ns = NBJ_MILLIS(30), .publish_max_messages = 64, .max_outgoing_bytes = 20000,
                           .wait_when_full = below(w, 2) == 0, .fail_requests_on_loss = below(w, 2) == 0));
    do_ensure(w);
    TURN_UNTIL(w->calls[0].done == 1, TS_WAIT_MS);
    run(w);
    end(w);
    compare(w);
    ts_proxy_free(w->proxy);
    ts_server_free(w->server);
    free(w);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_chaos(void **state)
{
    uint64_t first = number_of("NBJ_CHAOS_SEED", 1);
    uint64_t runs = number_of("NBJ_CHAOS_RUNS", 6);

    (void)state;
    for (uint64_t i = 0; i < runs; i++)
        run_seed(first + i);
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(test_chaos, end_test) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
