/* SPDX-License-Identifier: Apache-2.0 */
/* What the texts of -ERR mean: wire/server_error.h. */
#include "wire/server_error.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STAYS = 0, CLOSES = 1, AUTH = 2 };

static const struct {
    const char *text;
    nbj_status status;
    int what;
    const char *subject, *queue;
} rows[] = {
    { "Authorization Violation", NBJ_E_AUTH, CLOSES | AUTH, "", "" },
    { "User Authentication Revoked", NBJ_E_AUTH_REVOKED, CLOSES | AUTH, "", "" },
    { "User Authentication Expired", NBJ_E_AUTH_EXPIRED, CLOSES | AUTH, "", "" },
    { "Account Authentication Expired", NBJ_E_ACCOUNT_EXPIRED, CLOSES | AUTH, "", "" },
    { "Authentication Timeout", NBJ_E_AUTH_TIMEOUT, CLOSES, "", "" },
    { "Maximum Payload Violation", NBJ_E_MAX_PAYLOAD, CLOSES, "", "" },
    { "maximum control line exceeded", NBJ_E_CONTROL_LINE, CLOSES, "", "" },
    { "maximum connections exceeded", NBJ_E_MAX_CONNECTIONS, CLOSES, "", "" },
    { "maximum account active connections exceeded", NBJ_E_MAX_ACCOUNT_CONNECTIONS, CLOSES, "", "" },
    { "Connection throttling is active. Please try again later.", NBJ_E_THROTTLED, CLOSES, "", "" },
    { "Stale Connection", NBJ_E_SERVER_STALE, CLOSES, "", "" },
    { "Secure Connection - TLS Required", NBJ_E_TLS_REQUIRED, CLOSES, "", "" },
    { "Unknown Protocol Operation", NBJ_E_UNKNOWN_OPERATION, CLOSES, "", "" },
    { "invalid client protocol", NBJ_E_CLIENT_PROTOCOL, CLOSES, "", "" },
    { "no responders requires headers support", NBJ_E_NEEDS_HEADERS, CLOSES, "", "" },
    { "Failed Account Registration", NBJ_E_ACCOUNT_REGISTRATION, CLOSES, "", "" },
    { "attempted to connect to route port", NBJ_E_WRONG_PORT, CLOSES, "", "" },
    { "attempted to connect to leaf node port", NBJ_E_WRONG_PORT, CLOSES, "", "" },
    { "Permissions Violation for Publish to \"a.b\"", NBJ_E_PERMISSION_PUBLISH, STAYS, "a.b", "" },
    { "Permissions Violation for Publish with Reply of \"$JS.ACK.x\"", NBJ_E_PERMISSION_REPLY, STAYS, "$JS.ACK.x", "" },
    { "Permissions Violation for Subscription to \"a.>\"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a.>", "" },
    { "Permissions Violation for Subscription to \"a\" using queue \"q\"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a",
      "q" },
    { "Permissions Violation for Subscription to \"a\" (sid \"7\")", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a", "" },
    { "Permissions Violation for Subscription to \"a\" using queue \"q\" (sid \"7\")", NBJ_E_PERMISSION_SUBSCRIBE,
      STAYS, "a", "q" },
    { "Permissions Violation for Subscription to \"a.b.c\", too many tokens", NBJ_E_PERMISSION_SUBSCRIBE, STAYS,
      "a.b.c", "" },
    { "maximum subscriptions exceeded", NBJ_E_MAX_SUBSCRIPTIONS, STAYS, "", "" },
    { "Invalid Subject", NBJ_E_SERVER_SUBJECT, STAYS, "", "" },
    { "Invalid Publish Subject", NBJ_E_SERVER_PUBLISH_SUBJECT, STAYS, "", "" },
    /* as servers quote: '"' and '\\' behind a '\\' */
    { "Permissions Violation for Publish to \"a\\\"b\\\\\"", NBJ_E_PERMISSION_PUBLISH, STAYS, "a\\\"b\\\\", "" },
    { "Permissions Violation for Subscription to \"a\\\"\" using queue \"q\\\"1\"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS,
      "a\\\"", "q\\\"1" },
    { "Permissions Violation for Publish to \"a\\", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Publish to \"a\\\"", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    /* by prefix, letters of any case */
    { "AUTHORIZATION VIOLATION", NBJ_E_AUTH, CLOSES | AUTH, "", "" },
    { "authorization violation for \"someone\"", NBJ_E_AUTH, CLOSES | AUTH, "", "" },
    { "PERMISSIONS VIOLATION FOR SUBSCRIPTION TO \"A\" USING QUEUE \"Q\"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "A",
      "Q" },
    /* unknown ones are not guessed */
    { "", NBJ_E_SERVER, STAYS, "", "" },
    { "Something New \"a\"", NBJ_E_SERVER, STAYS, "", "" },
    { "Authorization Violatio", NBJ_E_SERVER, STAYS, "", "" },
    { " Authorization Violation", NBJ_E_SERVER, STAYS, "", "" },
    { "%n%s%x", NBJ_E_SERVER, STAYS, "", "" },
    { "\x1b[2J", NBJ_E_SERVER, STAYS, "", "" },
    /* quotes that do not fit */
    { "Permissions Violation for Publish to a.b", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Publish to \"a.b", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Publish to \"", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Publish to \"\"", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Publish", NBJ_E_PERMISSION_PUBLISH, STAYS, "", "" },
    { "Permissions Violation for Subscription to \"a\" using something \"q\"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a",
      "" },
    { "Permissions Violation for Subscription to \"a\" using queue", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a", "" },
    { "Permissions Violation for Subscription to \"a\" using queue \"", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a", "" },
    { "Permissions Violation for Subscription to \"a\" using queue \"q", NBJ_E_PERMISSION_SUBSCRIBE, STAYS, "a", "" },
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nbj_bytes text = exact_copy(rows[i].text);
        nbj__server_error e = nbj__server_error_read(text);
        CHECK(rows[i].text, e.status == rows[i].status);
        CHECK(rows[i].text, e.closes == ((rows[i].what & CLOSES) != 0));
        CHECK(rows[i].text, e.is_auth == ((rows[i].what & AUTH) != 0));
        CHECK(rows[i].text, nbj_bytes_equal(e.subject, nbj_str(rows[i].subject)));
        CHECK(rows[i].text, nbj_bytes_equal(e.queue, nbj_str(rows[i].queue)));
        exact_free(text);
    }
    nbj__server_error e = nbj__server_error_read(nbj_view(NULL, 0));
    assert_int_equal(e.status, NBJ_E_SERVER);
}

/* Every status of a server's words is met above, so that none is dead. */
static void test_every_status_occurs(void **state)
{
    (void)state;
    for (int status = NBJ_E_SERVER; status >= NBJ_E_SERVER_PUBLISH_SUBJECT; status--) {
        size_t n = 0;
        for (size_t i = 0; i < COUNT(rows); i++)
            n += rows[i].status == (nbj_status)status;
        CHECK(nbj_strerror((nbj_status)status), n > 0);
    }
}

/* Any part of a text is read without a look behind its end. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t len = 0; len < strlen(rows[i].text); len++) {
            nbj_bytes part = exact_bytes(rows[i].text, len);
            nbj__server_error e = nbj__server_error_read(part);
            CHECK(rows[i].text, e.status < 0);
            CHECK(rows[i].text, e.subject.len + e.queue.len <= len);
            exact_free(part);
        }
    }
}

static void test_text_of_64_kilobytes(void **state)
{
    (void)state;
    static const char *const prefixes[] = { "Stale Connection", "Permissions Violation for Publish to \"",
                                            "Permissions Violation for Subscription to \"a\" using queue \"" };
    static const nbj_status want[] = { NBJ_E_SERVER_STALE, NBJ_E_PERMISSION_PUBLISH, NBJ_E_PERMISSION_SUBSCRIBE };
    enum { LEN = 65536 };
    char *text = malloc(LEN);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        memset(text, 'x', LEN);
        memcpy(text, prefixes[i], strlen(prefixes[i]));
        assert_int_equal(nbj__server_error_read(nbj_view(text, LEN)).status, want[i]);
        text[LEN - 1] = '"';
        nbj__server_error e = nbj__server_error_read(nbj_view(text, LEN));
        assert_int_equal(i == 0 ? 0 : e.subject.len + e.queue.len,
                         i == 0 ? 0 : LEN - strlen(prefixes[i]) - 1 + (i == 2));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_every_status_occurs),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_text_of_64_kilobytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
