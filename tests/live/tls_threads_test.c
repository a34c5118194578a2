/* SPDX-License-Identifier: Apache-2.0 */
/* A client with threads over TLS: many of them lead, read and write in turn, and connections are cut meanwhile. */
#define _GNU_SOURCE

#include <nbj/nbj.h>

#include "certs.h"
#include "check.h"
#include "proxy.h"
#include "server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ASKERS 4
#define QUESTIONS 200
#define MESSAGES 5000
#define LARGEST 200000u
#define WAIT_NS NBJ_SECONDS(30)

typedef struct scene {
    ts_certs *certs;
    ts_server *server;
    ts_proxy *proxy;
    nbj_client *client, *responder;
    nbj_sub *echo;
    atomic_uint answered, lost, wrong, done;
    uint64_t timeout_ns;
    const char *octets; /* LARGEST of them */
} scene;

static nbj_client *open_client(const scene *s, uint16_t port)
{
    char url[64];
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    snprintf(url, sizeof url, "tls://localhost:%u", port);
    if (nbj_client_open(&c,
                        NBJ_CLIENT_OPTIONS(.url = url, .tls_ca_file = ts_certs_path(s->certs, "ca.pem"),
                                           .reconnect_first_ns = NBJ_MILLIS(1), .reconnect_max_ns = NBJ_MILLIS(20)),
                        &error) != NBJ_OK)
        TS_FAIL("%s", error.text);
    return c;
}

static void on_question(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    scene *s = user;
    char reply[256];

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
    if (nbj_send(s->responder, reply, nbj_msg_data(msg), NULL) != NBJ_OK)
        atomic_fetch_add(&s->wrong, 1);
}

static void open_scene(scene *s)
{
    char *octets = malloc(LARGEST);

    assert_non_null(octets);
    for (size_t i = 0; i < LARGEST; i++)
        octets[i] = (char)('a' + i % 23);
    s->octets = octets;
    s->certs = ts_certs_make();
    s->server = ts_server_start(&(ts_server_options){ .config = ts_certs_config(s->certs, "server", "") });
    s->proxy = ts_proxy_start(ts_server_port(s->server));
    s->responder = open_client(s, ts_server_port(s->server));
    s->client = open_client(s, ts_proxy_port(s->proxy));
    assert_int_equal(nbj_subscribe(s->responder, "echo", NULL, on_question, s, &s->echo), NBJ_OK);
    assert_int_equal(nbj_flush(s->responder, WAIT_NS), NBJ_OK);
}

static void close_scene(scene *s)
{
    nbj_sub_release(s->echo);
    nbj_client_release(s->client);
    nbj_client_release(s->responder);
    ts_proxy_free(s->proxy);
    ts_server_free(s->server);
    ts_certs_free(s->certs);
    free((void *)(uintptr_t)s->octets);
}

static void *ask(void *user)
{
    scene *s = user;

    for (unsigned i = 0; i < QUESTIONS; i++) {
        nbj_bytes question = nbj_view((const uint8_t *)s->octets, 1 + i * 7919u % LARGEST);
        nbj_msg *reply = NULL;
        nbj_status st = nbj_request(s->client, "echo", question, NBJ_REQUEST(.timeout_ns = s->timeout_ns), &reply);
        if (st != NBJ_OK)
            atomic_fetch_add(&s->lost, 1);
        else
            atomic_fetch_add(nbj_bytes_equal(nbj_msg_data(reply), question) ? &s->answered : &s->wrong, 1);
        nbj_msg_release(reply);
    }
    atomic_fetch_add(&s->done, 1);
    return NULL;
}

/* Publishes to itself as fast as it can. */
static void *publish(void *user)
{
    scene *s = user;

    for (unsigned i = 0; i < MESSAGES; i++) {
        nbj_bytes data = nbj_view((const uint8_t *)s->octets, 1 + i % 1000);
        if (nbj_send(s->client, "flow", data, NULL) != NBJ_OK)
            atomic_fetch_add(&s->wrong, 1);
    }
    atomic_fetch_add(&s->wrong, nbj_flush(s->client, WAIT_NS) != NBJ_OK);
    return NULL;
}

/* Whether what was published comes in order. */
static void *consume(void *user)
{
    scene *s = ((scene **)user)[0];
    nbj_sub *sub = ((nbj_sub **)user)[1];

    for (unsigned i = 0; i < MESSAGES; i++) {
        nbj_msg *msg = NULL;
        if (nbj_sub_next(sub, WAIT_NS, &msg) != NBJ_OK || nbj_msg_data(msg).len != 1 + i % 1000)
            atomic_fetch_add(&s->wrong, 1);
        nbj_msg_release(msg);
    }
    return NULL;
}

static void start(pthread_t *t, void *(*run)(void *), void *user)
{
    assert_int_equal(pthread_create(t, NULL, run, user), 0);
}

static void test_many_threads(void **state)
{
    scene s = { .timeout_ns = WAIT_NS };
    pthread_t askers[ASKERS], publisher, consumer;
    nbj_sub *sub = NULL;

    (void)state;
    open_scene(&s);
    assert_int_equal(nbj_subscribe(s.client, "flow", NULL, NULL, NULL, &sub), NBJ_OK);
    void *flow[] = { &s, sub };
    start(&consumer, consume, flow);
    start(&publisher, publish, &s);
    for (int i = 0; i < ASKERS; i++)
        start(&askers[i], ask, &s);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    pthread_join(publisher, NULL);
    pthread_join(consumer, NULL);
    CHECK("every answer", atomic_load(&s.answered) == ASKERS * QUESTIONS && atomic_load(&s.lost) == 0);
    CHECK("nothing wrong", atomic_load(&s.wrong) == 0);
    nbj_sub_release(sub);
    close_scene(&s);
}

/* What TLS holds of a long answer is read although the socket has nothing more to tell, nor anybody else to ask. */
static void test_lone_thread(void **state)
{
    scene s = { .timeout_ns = NBJ_SECONDS(5) };

    (void)state;
    open_scene(&s);
    (void)ask(&s);
    CHECK("every answer", atomic_load(&s.answered) == QUESTIONS);
    close_scene(&s);
}

static void test_cut_meanwhile(void **state)
{
    scene s = { .timeout_ns = ts_in_valgrind() ? NBJ_SECONDS(2) : NBJ_MILLIS(300) };
    pthread_t askers[ASKERS];
    unsigned cuts = 0;

    (void)state;
    open_scene(&s);
    for (int i = 0; i < ASKERS; i++)
        start(&askers[i], ask, &s);
    while (atomic_load(&s.done) < ASKERS) {
        unsigned before = atomic_load(&s.answered);
        nbj_time until = ts_now() + NBJ_SECONDS(5);
        while (atomic_load(&s.answered) < before + 40 && atomic_load(&s.done) < ASKERS && ts_now() < until)
            ts_breathe();
        ts_proxy_cut_now(s.proxy, cuts % 2 == 0 ? TS_RST : TS_FIN);
        cuts++;
    }
    for (int i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    CHECK("nothing wrong", atomic_load(&s.wrong) == 0);
    CHECK("cut, and up again each time", cuts > 2 && nbj_client_stats_of(s.client).reconnects > 1);
    CHECK("few are lost", atomic_load(&s.lost) <= cuts * ASKERS * 2);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_lone_thread),
        cmocka_unit_test(test_cut_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
