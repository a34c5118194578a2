/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says where the options say nothing: NATS_URL, NATS_CLIENT_ID and NATS_CLUSTER_ID, as a server
 * sees them in CONNECT. */
#define _GNU_SOURCE

#include "port.h"
#include "raw.h"
#include "thread_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INFO "INFO {\"server_id\":\"I\",\"version\":\"2.10.0\",\"headers\":true,\"max_payload\":1048576}\r\n"

static int end_test(void **state)
{
    (void)state;
    unsetenv("NATS_URL");
    unsetenv("NATS_CLIENT_ID");
    unsetenv("NATS_CLUSTER_ID");
    ts_threaded_free_all();
    return 0;
}

static void set_or_unset(const char *name, const char *value)
{
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static ts_raw *accept_one(int listener)
{
    nbj_time until = ts_now() + NBJ_SECONDS(5);
    int fd = -1;

    while (fd < 0 && ts_now() < until) {
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            ts_breathe();
    }
    assert_true(fd >= 0);
    ts_raw *r = ts_raw_adopt(fd);
    ts_raw_send(r, INFO);
    return r;
}

static const struct {
    const char *title;
    const char *option_name, *option_cluster; /* options */
    const char *client_id, *cluster_id;       /* environment */
    const char *shown;                        /* in CONNECT; NULL: no name */
} names[] = {
    { "nothing", NULL, NULL, NULL, NULL, NULL },
    { "a client's id", NULL, NULL, "worker-7", NULL, "\"name\":\"worker-7\"" },
    { "a client's and a cluster's", NULL, NULL, "worker-7", "blue", "\"name\":\"worker-7 @ blue\"" },
    { "a cluster's alone", NULL, NULL, NULL, "blue", "\"name\":\"@ blue\"" },
    { "empty ones", NULL, NULL, "", "", NULL },
    { "an option comes first", "mine", NULL, "worker-7", NULL, "\"name\":\"mine\"" },
    { "also for the cluster", "mine", "green", "worker-7", "blue", "\"name\":\"mine @ green\"" },
    { "an option and the environment", "mine", NULL, NULL, "blue", "\"name\":\"mine @ blue\"" },
    { "an empty option says: none", "", "", "worker-7", "blue", NULL },
};

static void test_name_and_cluster(void **state)
{
    ts_port port = ts_port_reserve();
    int listener = ts_port_listen(&port);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", port.number);
    setenv("NATS_URL", url, 1);
    for (size_t i = 0; i < COUNT(names); i++) {
        set_or_unset("NATS_CLIENT_ID", names[i].client_id);
        set_or_unset("NATS_CLUSTER_ID", names[i].cluster_id);
        ts_threaded *c =
            ts_threaded_open(NBJ_CLIENT_OPTIONS(.name = names[i].option_name, .cluster_id = names[i].option_cluster,
                                                .retry_first_connect = true));
        ts_raw *r = accept_one(listener);
        const char *connect = ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
        if (names[i].shown != NULL)
            CHECK(names[i].title, strstr(connect, names[i].shown) != NULL);
        else
            CHECK(names[i].title, strstr(connect, "\"name\":") == NULL || strstr(connect, "\"name\":\"\"") != NULL);
        ts_threaded_free(c);
        ts_raw_close(r);
    }
    close(listener);
    ts_port_release(&port);
}

static void test_url(void **state)
{
    ts_port port = ts_port_reserve();
    int listener = ts_port_listen(&port);
    char url[64], text[64];
    nbj_client *none = NULL;

    (void)state;
    setenv("NATS_URL", "nats://127.0.0.1:1", 1); /* an option comes first */
    snprintf(url, sizeof url, "nats://ann:pw@127.0.0.1:%u", port.number);
    ts_threaded *c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.url = url, .retry_first_connect = true));
    ts_raw *r = accept_one(listener);
    (void)ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
    ts_threaded_free(c);
    ts_raw_close(r);

    setenv("NATS_URL", url, 1); /* with all that a URL may have */
    c = ts_threaded_open(NBJ_CLIENT_OPTIONS(.retry_first_connect = true));
    r = accept_one(listener);
    const char *connect = ts_raw_expect(r, "PING\r\n", TS_RAW_MS);
    assert_non_null(strstr(connect, "\"user\":\"ann\""));
    ts_raw_send(r, "PONG\r\n");
    (void)ts_threaded_await(c, NBJ_EVENT_CONNECTED, 1);
    snprintf(url, sizeof url, "127.0.0.1:%u", port.number);
    assert_int_equal(nbj_client_server_address(c->client, text, sizeof text), NBJ_OK);
    assert_string_equal(text, url);
    ts_threaded_free(c);
    ts_raw_close(r);

    setenv("NATS_URL", "http://x", 1);
    assert_int_equal(nbj_client_open(&none, NULL, NULL), NBJ_E_BAD_URL);
    assert_null(none);
    close(listener);
    ts_port_release(&port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_name_and_cluster, end_test),
        cmocka_unit_test_teardown(test_url, end_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
