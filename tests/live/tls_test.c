/* SPDX-License-Identifier: Apache-2.0 */
/* TLS with real servers: who is let in, in which order things come, whose name is verified, files that change. */
#define _GNU_SOURCE

#include "certs.h"
#include "loop_client.h"
#include "proxy.h"
#include "server.h"

#include <stdio.h>

static ts_certs *certs;

static int make_certs(void **state)
{
    (void)state;
    certs = ts_certs_make();
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    ts_certs_free(certs);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    ts_clients_free();
    return 0;
}

/* A server that shows certificate |name|. */
static ts_server *start(const char *name, const char *more)
{
    return ts_server_start(&(ts_server_options){ .config = ts_certs_config(certs, name, more) });
}

/* "scheme://localhost:port" in one of four buffers. */
static const char *url_of(const char *scheme, uint16_t port)
{
    static char urls[4][64];
    static unsigned turn;
    char *url = urls[turn++ % 4];

    snprintf(url, sizeof urls[0], "%s://localhost:%u", scheme, port);
    return url;
}

static nbj_client_options trusting(const char *url)
{
    return (nbj_client_options){ .struct_size = sizeof(nbj_client_options),
                                 .url = url,
                                 .tls_ca_file = ts_certs_path(certs, "ca.pem"),
                                 .reconnect_first_ns = NBJ_MILLIS(5),
                                 .reconnect_max_ns = NBJ_MILLIS(50) };
}

/* Connects, and has a message come back, larger than what one record holds. */
static void use(const nbj_client_options *o)
{
    static char large[100001];
    ts_sink sink = { 0 };
    ts_client *c = ts_client_connect(o);

    memset(large, 'x', sizeof large - 1);
    ts_subscribe(c, &sink, "tls.echo");
    ts_send(c, "tls.echo", large);
    TURN_UNTIL(sink.count == 1, TS_WAIT_MS);
    assert_true(ts_same(nbj_msg_data(sink.msg[0]), large));
    ts_sink_free(&sink);
    ts_client_free(c);
}

static void refuse(const char *title, const nbj_client_options *o, nbj_status want, const char *says)
{
    nbj_error e = ts_refusal(o);

    if (e.status != want || strstr(e.text, says) == NULL)
        TS_FAIL("%s: %d: %s", title, e.status, e.text);
}

/* --- being let in --- */

static void test_right(void **state)
{
    ts_server *s = start("server", "");
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));

    (void)state;
    use(&o);
    o.url = url_of("nats", ts_server_port(s)); /* the server says that it is needed */
    use(&o);
    o.tls = true;
    use(&o);
    o.url = ts_server_url(s); /* 127.0.0.1 */
    use(&o);
    o.tls_ca_file = NULL;
    o.tls_insecure_skip_verify = true;
    use(&o);
    ts_server_free(s);
}

static void test_user_inside_tls(void **state)
{
    char config[1000], url[100];

    (void)state;
    snprintf(config, sizeof config, "%s\nauthorization { user: me, password: secret }",
             ts_certs_config(certs, "server", ""));
    ts_server *s = ts_server_start(&(ts_server_options){ .config = config });
    snprintf(url, sizeof url, "tls://me:secret@localhost:%u", ts_server_port(s));
    nbj_client_options o = trusting(url);
    use(&o);
    o.url = url_of("tls", ts_server_port(s));
    refuse("nobody", &o, NBJ_E_AUTH, "uthorization");
    ts_server_free(s);
}

static const struct {
    const char *title, *cert, *ca, *says;
} refused[] = {
    { "wrong CA", "server", "other_ca.pem", "unknown authority (/CN=nbj test authority)" },
    { "the system's CAs", "server", NULL, "unknown authority" },
    { "wrong host", "elsewhere", "ca.pem", "not for localhost but for elsewhere.example" },
    { "expired", "expired", "ca.pem", "expired at" },
    { "not yet valid", "early", "ca.pem", "not valid before" },
    { "self-signed", "self_signed", "ca.pem", "self-signed" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ts_server *s = start(refused[i].cert, "");
        nbj_client_options o = trusting(url_of("nats", ts_server_port(s)));
        o.tls_ca_file = refused[i].ca != NULL ? ts_certs_path(certs, refused[i].ca) : NULL;
        refuse(refused[i].title, &o, NBJ_E_TLS_CERTIFICATE, refused[i].says);
        ts_server_free(s);
    }
}

static void test_files_that_cannot_be_used(void **state)
{
    ts_server *s = start("server", "");
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));

    (void)state;
    o.tls_ca_file = ts_certs_path(certs, "none.pem");
    refuse("no CA file", &o, NBJ_E_TLS_FILE, o.tls_ca_file);
    o.tls_ca_file = ts_certs_path(certs, "ca.pem");
    o.tls_cert_file = ts_certs_path(certs, "client.pem");
    o.tls_key_file = ts_certs_path(certs, "server.key");
    refuse("another's key", &o, NBJ_E_TLS_FILE, "does not match the certificate in");
    ts_server_free(s);
}

static void test_mutual(void **state)
{
    ts_server *s = start("server", "verify: true");
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));

    (void)state;
    refuse("none", &o, NBJ_E_TLS_CLIENT_CERTIFICATE, "wants a certificate of ours");
    o.tls_cert_file = ts_certs_path(certs, "client_stranger.pem");
    o.tls_key_file = ts_certs_path(certs, "client_stranger.key");
    refuse("by another authority", &o, NBJ_E_TLS_CLIENT_CERTIFICATE, "did not accept our certificate (alert: ");
    o.tls_cert_file = ts_certs_path(certs, "client_expired.pem");
    o.tls_key_file = ts_certs_path(certs, "client_expired.key");
    refuse("expired", &o, NBJ_E_TLS_CLIENT_CERTIFICATE, "did not accept our certificate (alert: ");
    o.tls_cert_file = ts_certs_path(certs, "client.pem");
    o.tls_key_file = ts_certs_path(certs, "client.key");
    use(&o);
    ts_server_free(s);
}

/* --- in which order --- */

static void test_first(void **state)
{
    ts_server *s = start("server", "");
    bool can = ts_server_is_at_least(s, 2, 10, 4);
    nbj_client_options o = trusting(url_of("nats", ts_server_port(s)));

    (void)state;
    o.tls_first = true;
    refuse("server begins in clear", &o, NBJ_E_TLS, "begins in clear");
    ts_server_free(s);
    if (!can) /* there is no such setting: the server would not start with it */
        return;
    s = ts_server_start(
        &(ts_server_options){ .tls_first = true, .config = ts_certs_config(certs, "server", "handshake_first: true") });
    o.url = url_of("nats", ts_server_port(s));
    use(&o);
    o.tls_ca_file = ts_certs_path(certs, "other_ca.pem");
    refuse("wrong CA", &o, NBJ_E_TLS_CERTIFICATE, "unknown authority");
    o = trusting(url_of("tls", ts_server_port(s)));
    o.connect_timeout_ns = NBJ_MILLIS(300);
    refuse("server waits for TLS", &o, NBJ_E_CONNECT_TIMEOUT, "INFO");
    ts_server_free(s);
    s = start("server", "handshake_first: auto");
    o = trusting(url_of("tls", ts_server_port(s)));
    use(&o);
    o.tls_first = true;
    use(&o);
    ts_server_free(s);
}

static void test_server_without(void **state)
{
    ts_server *s = ts_server_start(NULL);
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));

    (void)state;
    refuse("URL", &o, NBJ_E_NO_TLS, "does not offer it");
    o.url = url_of("nats", ts_server_port(s));
    o.tls = true;
    refuse("option", &o, NBJ_E_NO_TLS, "does not offer it");
    ts_server_free(s);
}

static void test_server_with_both(void **state)
{
    char config[1000];

    (void)state;
    snprintf(config, sizeof config, "%s\nallow_non_tls: true", ts_certs_config(certs, "server", ""));
    ts_server *s = ts_server_start(&(ts_server_options){ .config = config });
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));
    use(&o);
    o.tls_ca_file = ts_certs_path(certs, "other_ca.pem");
    refuse("it is TLS indeed", &o, NBJ_E_TLS_CERTIFICATE, "unknown authority");
    o.url = url_of("nats", ts_server_port(s));
    use(&o);
    ts_server_free(s);
}

/* --- over time --- */

/* |file| of the client's turns bad, and further connections fail; it turns good, and the client is back. */
static void check_changing_file(const char *file, const char *bad)
{
    ts_server *s = start("server", "verify: true");
    ts_proxy *proxy = ts_proxy_start(ts_server_port(s));
    nbj_client_options o = trusting(url_of("tls", ts_proxy_port(proxy)));

    ts_certs_replace(certs, "my_ca.pem", "ca.pem");
    ts_certs_replace(certs, "my.pem", "client.pem");
    ts_certs_replace(certs, "my.key", "client.key");
    o.tls_ca_file = ts_certs_path(certs, "my_ca.pem");
    o.tls_cert_file = ts_certs_path(certs, "my.pem");
    o.tls_key_file = ts_certs_path(certs, "my.key");
    ts_client *c = ts_client_connect(&o);
    ts_certs_replace(certs, "good.pem", file);
    ts_certs_replace(certs, file, bad);
    nbj_client_reconnect(c->client);
    TURN_UNTIL(ts_proxy_accepted(proxy) >= 4, TS_WAIT_MS);
    assert_string_equal(c->trail, "CD");
    ts_certs_replace(certs, file, "good.pem");
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_client_free(c);
    ts_proxy_free(proxy);
    ts_server_free(s);
}

static void test_files_are_read_again(void **state)
{
    (void)state;
    check_changing_file("my_ca.pem", "other_ca.pem");
    check_changing_file("my.pem", "client_stranger.pem"); /* the key does not match it */
    check_changing_file("my.key", "server.key");
}

static void test_first_connection_waits_for_files(void **state)
{
    ts_server *s = start("server", "");
    nbj_client_options o = trusting(url_of("tls", ts_server_port(s)));

    (void)state;
    o.tls_ca_file = ts_certs_path(certs, "later.pem");
    o.retry_first_connect = true;
    ts_client *c = ts_client_open(&o);
    ts_turn_for(100);
    assert_string_equal(c->trail, "");
    ts_certs_replace(certs, "later.pem", "ca.pem");
    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    ts_client_free(c);
    ts_server_free(s);
}

/* Octets come in pieces, connections break: what was published meanwhile arrives. */
static void test_broken_connections(void **state)
{
    ts_server *s = start("server", "");
    ts_proxy *proxy = ts_proxy_start(ts_server_port(s));
    nbj_client_options o = trusting(url_of("tls", ts_proxy_port(proxy)));
    ts_sink sink = { 0 };
    char number[16];

    (void)state;
    ts_proxy_split(proxy, TS_TO_CLIENT, 7, 0);
    ts_client *c = ts_client_connect(&o);
    ts_subscribe(c, &sink, "n");
    ts_flush(c);
    ts_proxy_split(proxy, TS_TO_CLIENT, 0, 0);
    for (int i = 0; i < 30; i++) {
        if (i % 10 == 5) {
            ts_flush(c); /* what TLS has taken counts as written, and would be lost */
            ts_proxy_cut_now(proxy, i == 15 ? TS_FIN : TS_RST);
            (void)ts_await(c, NBJ_EVENT_DISCONNECTED);
        }
        snprintf(number, sizeof number, "%d", i);
        ts_send(c, "n", number);
        if (i % 10 == 5)
            (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    }
    TURN_UNTIL(sink.count == 30, TS_WAIT_MS);
    assert_true(ts_sink_counts(&sink, 0, 30));
    assert_string_equal(c->trail, "CDRDRDR");
    ts_sink_free(&sink);
    ts_client_free(c);
    ts_proxy_free(proxy);
    ts_server_free(s);
}

/* The cluster names its servers by address, which their certificates do not have: they are verified by the name under
 * which the first was reached. */
static void test_discovered_servers(void **state)
{
    ts_cluster cluster = ts_cluster_start(2, &(ts_server_options){ .config = ts_certs_config(certs, "name", "") });
    nbj_client_options o = trusting(url_of("nats", ts_server_port(cluster.server[0])));

    (void)state;
    ts_client *c = ts_client_connect(&o);
    ts_server_stop(cluster.server[0]);
    (void)ts_await(c, NBJ_EVENT_RECONNECTED);
    ts_flush(c);
    ts_client_free(c);
    o.url = ts_server_url(cluster.server[1]);
    refuse("by its own address", &o, NBJ_E_TLS_CERTIFICATE, "not for 127.0.0.1 but for localhost");
    o.tls_server_name = "localhost";
    use(&o);
    ts_cluster_free(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_right, end_test),
        cmocka_unit_test_teardown(test_user_inside_tls, end_test),
        cmocka_unit_test_teardown(test_refused, end_test),
        cmocka_unit_test_teardown(test_files_that_cannot_be_used, end_test),
        cmocka_unit_test_teardown(test_mutual, end_test),
        cmocka_unit_test_teardown(test_first, end_test),
        cmocka_unit_test_teardown(test_server_without, end_test),
        cmocka_unit_test_teardown(test_server_with_both, end_test),
        cmocka_unit_test_teardown(test_files_are_read_again, end_test),
        cmocka_unit_test_teardown(test_first_connection_waits_for_files, end_test),
        cmocka_unit_test_teardown(test_broken_connections, end_test),
        cmocka_unit_test_teardown(test_discovered_servers, end_test),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
