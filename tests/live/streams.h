/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of batches and bulks: streams by the plain API, since what they need of a configuration is as new as they are,
 * and a client that takes an old server for a new one. */
#ifndef NBJ_TEST_LIVE_STREAMS_H
#define NBJ_TEST_LIVE_STREAMS_H

#include "proxy.h"
#include "threaded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The answer's payload to a request to JetStream's API, until the next call. */
static inline const char *api(nbj_client *c, const char *subject, const char *body)
{
    static char text[8192];
    char full[256];
    nbj_msg *reply = NULL;

    snprintf(full, sizeof full, "$JS.API.%s", subject);
    assert_int_equal(nbj_request(c, full, nbj_str(body), NBJ_REQUEST(.timeout_ns = SOON), &reply), NBJ_OK);
    snprintf(text, sizeof text, "%.*s", NBJ_FMT(nbj_msg_data(reply)));
    nbj_msg_release(reply);
    return text;
}

/* A stream of that name, which takes its lower case name and what lies below it. */
static inline void make_stream(nbj_client *c, const char *name, const char *subject, const char *more)
{
    char verb[100], body[512];

    snprintf(verb, sizeof verb, "STREAM.CREATE.%s", name);
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"storage\":\"memory\"%s}", name, subject,
             more);
    const char *answer = api(c, verb, body);
    if (strstr(answer, "\"error\"") != NULL)
        TS_FAIL("stream %s: %s", name, answer);
}

/* Messages that the stream has. */
static inline unsigned long long stored_in(nbj_client *c, const char *name)
{
    char verb[100];
    unsigned long long n = 0;

    snprintf(verb, sizeof verb, "STREAM.INFO.%s", name);
    const char *at = strstr(api(c, verb, ""), "\"messages\":");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"messages\":%llu", &n), 1);
    return n;
}

/* A client to which the server says that it is a newer one, as if the stream's were another, old member of its cluster. */
static inline nbj_client *open_as_newer(ts_proxy **proxy)
{
    static char url[64], newer[32];
    const char *version = ts_server_version(server);
    const char *patch = strrchr(version, '.');

    snprintf(newer, sizeof newer, "%s", version);
    memcpy(newer, strlen(version) > 6 ? "9.99" : "9.9", (size_t)(patch - version)); /* as long as "2.10", "2.9" */
    *proxy = ts_proxy_start(ts_server_port(server));
    ts_proxy_replace(*proxy, TS_TO_CLIENT, version, newer);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(*proxy));
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = url));
    assert_string_equal(ts_text(nbj_client_server_version, c), newer);
    return c;
}

#endif
