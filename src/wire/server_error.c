/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/server_error.h"

#include "wire/words.h"

enum { STAYS = 0, CLOSES = 1, AUTH = 2 };

/* Compared by prefix, letters of any case; the first that fits counts, so longer texts stand before shorter ones. */
static const struct known {
    const char *prefix;
    nbj_status status;
    int what;
} known[] = {
    { "Authorization Violation", NBJ_E_AUTH, CLOSES | AUTH },
    { "User Authentication Revoked", NBJ_E_AUTH_REVOKED, CLOSES | AUTH },
    { "User Authentication Expired", NBJ_E_AUTH_EXPIRED, CLOSES | AUTH },
    { "Account Authentication Expired", NBJ_E_ACCOUNT_EXPIRED, CLOSES | AUTH },
    { "Authentication Timeout", NBJ_E_AUTH_TIMEOUT, CLOSES },
    { "Maximum Payload Violation", NBJ_E_MAX_PAYLOAD, CLOSES },
    { "Maximum Control Line Exceeded", NBJ_E_CONTROL_LINE, CLOSES },
    { "Maximum Connections Exceeded", NBJ_E_MAX_CONNECTIONS, CLOSES },
    { "Maximum Account Active Connections Exceeded", NBJ_E_MAX_ACCOUNT_CONNECTIONS, CLOSES },
    { "Connection throttling is active", NBJ_E_THROTTLED, CLOSES },
    { "Stale Connection", NBJ_E_SERVER_STALE, CLOSES },
    { "Secure Connection - TLS Required", NBJ_E_TLS_REQUIRED, CLOSES },
    { "Unknown Protocol Operation", NBJ_E_UNKNOWN_OPERATION, CLOSES },
    { "Invalid Client Protocol", NBJ_E_CLIENT_PROTOCOL, CLOSES },
    { "No Responders Requires Headers Support", NBJ_E_NEEDS_HEADERS, CLOSES },
    { "Failed Account Registration", NBJ_E_ACCOUNT_REGISTRATION, CLOSES },
    { "Attempted To Connect To ", NBJ_E_WRONG_PORT, CLOSES }, /* route, gateway, leaf node port */
    { "Permissions Violation for Publish with Reply of", NBJ_E_PERMISSION_REPLY, STAYS },
    { "Permissions Violation for Publish", NBJ_E_PERMISSION_PUBLISH, STAYS },
    { "Permissions Violation for Subscription", NBJ_E_PERMISSION_SUBSCRIBE, STAYS },
    { "Maximum Subscriptions Exceeded", NBJ_E_MAX_SUBSCRIPTIONS, STAYS },
    { "Invalid Publish Subject", NBJ_E_SERVER_PUBLISH_SUBJECT, STAYS },
    { "Invalid Subject", NBJ_E_SERVER_SUBJECT, STAYS },
};

/* The next '"' that no '\\' escapes; NULL: none. */
static const uint8_t *find_closing(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return p < end ? p : NULL;
}

/* Takes what stands between the next two double quotes of |rest|; empty where there are none. */
static nbj_bytes take_quoted(nbj_bytes *rest)
{
    const uint8_t *open = rest->len > 0 ? memchr(rest->ptr, '"', rest->len) : NULL;
    const uint8_t *end = rest->ptr + rest->len;
    const uint8_t *close = open != NULL ? find_closing(open + 1, end) : NULL;

    if (close == NULL) {
        *rest = nbj_view(NULL, 0);
        return *rest;
    }
    *rest = nbj_view(close + 1, (size_t)(end - close) - 1);
    return nbj_view(open + 1, (size_t)(close - open) - 1);
}

nbj__server_error nbj__server_error_read(nbj_bytes text)
{
    nbj__server_error e = { .status = NBJ_E_SERVER };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!nbj__starts_with_nocase(text, known[i].prefix))
            continue;
        e.status = known[i].status;
        e.closes = (known[i].what & CLOSES) != 0;
        e.is_auth = (known[i].what & AUTH) != 0;
        break;
    }
    bool names_subject = e.status == NBJ_E_PERMISSION_PUBLISH || e.status == NBJ_E_PERMISSION_REPLY ||
                         e.status == NBJ_E_PERMISSION_SUBSCRIBE;
    if (names_subject) {
        nbj_bytes rest = text;
        e.subject = take_quoted(&rest);
        nbj_bytes after = nbj__trim(rest);
        if (nbj__starts_with_nocase(after, "using queue"))
            e.queue = take_quoted(&rest);
    }
    return e;
}
