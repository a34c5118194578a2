/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What calls return, and the detail of what went wrong. */
#ifndef NBJ_STATUS_H
#define NBJ_STATUS_H

#include <nbj/export.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Negative: failed. Positive: fine, but read the name. Append only; a number is never changed or reused. */
#define NBJ_STATUS_MAP(X)                                                               \
    X(NBJ_MORE, 1, "nothing yet, more input is needed")                                 \
    X(NBJ_OK, 0, "success")                                                             \
    /* ours */                                                                          \
    X(NBJ_E_INVALID, -10, "invalid argument")                                           \
    X(NBJ_E_NOMEM, -11, "out of memory")                                                \
    X(NBJ_E_FULL, -12, "buffer limit reached")                                          \
    X(NBJ_E_TIMEOUT, -13, "no answer before the deadline")                              \
    X(NBJ_E_WOULD_BLOCK, -14, "would have to wait")                                     \
    X(NBJ_E_CLOSED, -15, "the client is closed")                                        \
    X(NBJ_E_DRAINING, -16, "the client is draining")                                    \
    X(NBJ_E_BAD_SUBJECT, -17, "not a legal subject")                                    \
    X(NBJ_E_TOO_LARGE, -18, "larger than the server's maximum payload")                 \
    X(NBJ_E_BAD_URL, -19, "not a legal server URL")                                     \
    X(NBJ_E_BAD_HEADER, -20, "not a legal header")                                      \
    X(NBJ_E_CANCELLED, -21, "cancelled")                                                \
    X(NBJ_E_NO_HEADERS, -22, "the server does not support headers")                     \
    X(NBJ_E_NOT_FOUND, -23, "not found")                                                \
    X(NBJ_E_UNSUPPORTED, -24, "not supported by this server's version")                 \
    X(NBJ_E_STATE, -25, "not allowed in this state")                                    \
    X(NBJ_E_ENDED, -26, "the subscription has ended")                                   \
    X(NBJ_E_FORKED, -27, "the client belongs to the process that opened it")            \
    /* files */                                                                         \
    X(NBJ_E_FILE, -35, "a file could not be read or written")                           \
    X(NBJ_E_DAMAGED, -36, "the backup is damaged")                                      \
    /* the connection */                                                                \
    X(NBJ_E_DISCONNECTED, -40, "the connection was lost")                               \
    X(NBJ_E_REFUSED, -41, "the connection was refused")                                 \
    X(NBJ_E_DNS, -42, "the host name could not be resolved")                            \
    X(NBJ_E_IO, -43, "network error")                                                   \
    X(NBJ_E_EOF, -44, "the server closed the connection")                               \
    X(NBJ_E_PROTO, -45, "the server broke the protocol")                                \
    X(NBJ_E_STALE, -46, "the server stopped answering")                                 \
    X(NBJ_E_LAME_DUCK, -47, "the server is shutting down (lame duck)")                  \
    X(NBJ_E_NO_TLS, -48, "TLS is wanted but not available")                             \
    X(NBJ_E_CONNECT_TIMEOUT, -49, "the server did not complete the connection in time") \
    X(NBJ_E_NO_SERVERS, -50, "no server could be connected to")                         \
    X(NBJ_E_NO_RESPONDERS, -51, "nobody listens on this subject")                       \
    X(NBJ_E_SIGN, -52, "the server's nonce could not be signed")                        \
    X(NBJ_E_TLS, -53, "TLS failed")                                                     \
    X(NBJ_E_TLS_CERTIFICATE, -54, "the server's certificate was not accepted")          \
    X(NBJ_E_TLS_FILE, -55, "a certificate or key file could not be used")               \
    X(NBJ_E_TLS_CLIENT_CERTIFICATE, -56, "the server did not accept our certificate")   \
    X(NBJ_E_CREDENTIALS, -60, "the credentials could not be read")                      \
    /* what a server says with -ERR, one each */                                        \
    X(NBJ_E_SERVER, -70, "the server reported an error")                                \
    X(NBJ_E_AUTH, -71, "authorization violation")                                       \
    X(NBJ_E_AUTH_REVOKED, -72, "the user's credentials were revoked")                   \
    X(NBJ_E_AUTH_EXPIRED, -73, "the user's credentials have expired")                   \
    X(NBJ_E_ACCOUNT_EXPIRED, -74, "the account's credentials have expired")             \
    X(NBJ_E_AUTH_TIMEOUT, -75, "the server waited too long for credentials")            \
    X(NBJ_E_MAX_PAYLOAD, -76, "a message was larger than the server's maximum payload") \
    X(NBJ_E_CONTROL_LINE, -77, "a protocol line was longer than the server's maximum")  \
    X(NBJ_E_MAX_CONNECTIONS, -78, "the server has too many connections")                \
    X(NBJ_E_MAX_ACCOUNT_CONNECTIONS, -79, "the account has too many connections")       \
    X(NBJ_E_THROTTLED, -80, "the server is limiting new connections")                   \
    X(NBJ_E_SERVER_STALE, -81, "the server found our connection stale")                 \
    X(NBJ_E_TLS_REQUIRED, -82, "the server requires TLS")                               \
    X(NBJ_E_UNKNOWN_OPERATION, -83, "the server does not know a protocol operation")    \
    X(NBJ_E_CLIENT_PROTOCOL, -84, "the server does not accept the client's protocol")   \
    X(NBJ_E_NEEDS_HEADERS, -85, "no responders requires headers support")               \
    X(NBJ_E_ACCOUNT_REGISTRATION, -86, "the account could not be registered")           \
    X(NBJ_E_WRONG_PORT, -87, "this is not a port for clients")                          \
    X(NBJ_E_PERMISSION_PUBLISH, -88, "no permission to publish to this subject")        \
    X(NBJ_E_PERMISSION_REPLY, -89, "no permission to publish with this reply subject")  \
    X(NBJ_E_PERMISSION_SUBSCRIBE, -90, "no permission to subscribe to this subject")    \
    X(NBJ_E_MAX_SUBSCRIPTIONS, -91, "too many subscriptions")                           \
    X(NBJ_E_SERVER_SUBJECT, -92, "the server found a subject illegal")                  \
    X(NBJ_E_SERVER_PUBLISH_SUBJECT, -93, "the server found a publish subject illegal")  \
    /* JetStream */                                                                     \
    X(NBJ_E_JS, -110, "JetStream refused the request")                                  \
    X(NBJ_E_JS_DISABLED, -111, "JetStream is not enabled")                              \
    X(NBJ_E_JS_UNAVAILABLE, -112, "JetStream is temporarily unavailable")               \
    X(NBJ_E_STREAM_NOT_FOUND, -113, "no such stream")                                   \
    X(NBJ_E_CONSUMER_NOT_FOUND, -114, "no such consumer")                               \
    X(NBJ_E_EXISTS_DIFFERENT, -115, "exists with another configuration")                \
    X(NBJ_E_WRONG_LAST_SEQUENCE, -116, "the expected last sequence is wrong")           \
    X(NBJ_E_NO_STREAM, -117, "no stream takes this subject")                            \
    X(NBJ_E_BAD_REPLY, -118, "an answer of JetStream could not be read")                \
    X(NBJ_E_NOT_JETSTREAM, -119, "not a JetStream message")                             \
    X(NBJ_E_SETTLED, -120, "the message was settled before")                            \
    X(NBJ_E_ORDER, -130, "an ordered message before it failed")

/** What a call came to. */
typedef enum nbj_status {
#define NBJ_X(name, value, text) name = value,
    NBJ_STATUS_MAP(NBJ_X)
#undef NBJ_X
} nbj_status;

/** Static English text for a status. Never NULL: "unknown status" for a number that this version does not know.
 *  Callable from anywhere. */
NBJ_API const char *nbj_strerror(nbj_status status);

/** The detail of a failure, for people and for programs. Pass NULL where it is not wanted. Plain data: copy it freely.
 *  A frozen layout. */
typedef struct nbj_error {
    nbj_status status; /**< As the call returned it. */
    int32_t code;      /**< JetStream's "code" (as in HTTP), or 0. */
    int32_t err_code;  /**< JetStream's "err_code", or 0. */
    char text[500];    /**< What went wrong, why, and what to do; NUL-terminated. May hold a server's words, cleaned of
                        *   control characters; never a secret. */
} nbj_error;

/** The error's text, or that of its status where there is none. Never NULL; lives as long as @p error. */
NBJ_API const char *nbj_error_text(const nbj_error *error);

#ifdef __cplusplus
}
#endif
#endif
