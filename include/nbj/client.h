/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A client: one connection at a time to one of several servers, kept up for ever.
 *
 * A client that nbj_client_open() gives is thread-safe: any thread may call any function at any time, and a call that has
 * to wait does the connection's work meanwhile. The library starts two threads for it at most: one for the connection,
 * and, with the first callback, one that runs all callbacks, one after the other. Every function may be called from every
 * callback, those that wait too; exceptions are named. No lock of the library is held while a callback runs.
 *
 * A client that nbj_loop_open() gives belongs to an event loop of the caller's (nbj/loop.h): the library starts no
 * thread, all calls are made by one thread at a time, nothing blocks, calls that would have to wait return
 * NBJ_E_WOULD_BLOCK, and callbacks run inside nbj_loop_process().
 *
 * In a child that was forked from the process that opened the client, every call returns NBJ_E_FORKED (or zero, or
 * nothing); nbj_client_release() only closes the child's descriptors. */
#ifndef NBJ_CLIENT_H
#define NBJ_CLIENT_H

#include <nbj/alloc.h>
#include <nbj/bytes.h>
#include <nbj/export.h>
#include <nbj/options.h>
#include <nbj/status.h>
#include <nbj/time.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_client nbj_client; /**< Opaque. */

/** What happened to a client. */
typedef enum nbj_event_type {
    NBJ_EVENT_CONNECTED = 1, /**< For the first time. */
    NBJ_EVENT_DISCONNECTED,  /**< The connection was lost; the error says why. Reconnecting has begun. */
    NBJ_EVENT_RECONNECTED,   /**< Subscriptions are renewed; what was published meanwhile is on its way. */
    NBJ_EVENT_LAME_DUCK,     /**< The server will shut down; the client leaves it where it knows another. */
    NBJ_EVENT_DISCOVERED,    /**< The cluster named servers that were not known. */
    NBJ_EVENT_SERVER_ERROR, /**< An error of the server's that the connection survives, such as a missing permission. */
    NBJ_EVENT_SLOW,         /**< A queued subscription is full and drops messages. */
    NBJ_EVENT_WRITABLE,     /**< After NBJ_E_WOULD_BLOCK: there is room again. With an event loop. */
    NBJ_EVENT_CLOSED,       /**< The last event; exactly one. The error says why; NBJ_OK: it was asked for. */

    NBJ_EVENT_ATTEMPT_FAILED, /**< Credentials for a connection could not be had; the error says why. Another attempt, which
                               *   asks for them again, follows. */
} nbj_event_type;

/** An event; valid until its callback returns. */
typedef struct nbj_event {
    nbj_event_type type;
    const nbj_error *error; /**< DISCONNECTED, SERVER_ERROR, CLOSED, ATTEMPT_FAILED; else NULL. */
    nbj_bytes subject;      /**< SLOW: the subscription's; SERVER_ERROR: that of a missing permission. Else empty. */
} nbj_event;

/** Gets each event of a client, in order. */
typedef void nbj_event_fn(void *user, nbj_client *client, const nbj_event *event);

/** What a client shows a server of itself; NUL-terminated, "" where there is none. The library wipes it after use. When
 *  user, password and token are all empty, those of the URL and the options are shown. */
typedef struct nbj_credentials {
    char user[256];
    char password[256];
    char token[1024];
    char jwt[16384];
    char nkey[128];      /**< The public key, where there is no JWT. */
    char signature[128]; /**< Of the nonce, in base64url without padding. */
    char nkey_seed[64]; /**< Of a user, in place of the two before: the library signs with it and shows it to nobody. */
} nbj_credentials;

/** Fills @p out, which is empty, for one connection; @p user is the client's user_data. @p nonce is what to sign; empty
 *  where the server sent none. Must not wait for this client. Anything but NBJ_OK fails the attempt. */
typedef nbj_status nbj_credentials_fn(void *user, nbj_bytes nonce, nbj_credentials *out);

/** Options of a client. Texts are copied. */
typedef struct nbj_client_options {
    size_t struct_size;          /**< See nbj/options.h. */
    const char *url;             /**< [nats://|tls://][user[:password]@|token@]host[:port], several separated by commas.
                                  *   NULL: the environment's NATS_URL; without it nats://127.0.0.1:4222. */
    const char *name;            /**< Shown in the server's monitoring. NULL: the environment's NATS_CLIENT_ID. */
    const char *user;            /**< For servers whose URL has no user. NULL: none. */
    const char *password;        /**< Likewise. */
    const char *token;           /**< Likewise. */
    const char *inbox_prefix;    /**< First tokens of reply subjects. NULL: _INBOX. */
    nbj_event_fn *on_event;      /**< NULL: none. */
    void *user_data;             /**< Passed to on_event and on_credentials. */
    const nbj_allocator *alloc;  /**< Borrowed; must outlive the client. NULL: malloc's. */
    uint64_t connect_timeout_ns; /**< For each server, from looking its name up to its first PONG. 0: 5 s. */
    uint64_t ping_interval_ns;   /**< 0: 30 s. */
    uint64_t write_timeout_ns;   /**< How long a server may take nothing of what is sent. 0: 10 s. */
    uint64_t reconnect_first_ns; /**< Limit of the first random wait for a server that failed. 0: 100 ms. */
    uint64_t reconnect_max_ns;   /**< Limit of the longest one; they double in between. 0: 8 s. */
    uint64_t max_outgoing_bytes; /**< Of what is not written yet, connected or not. 0: 8 MiB. */
    uint32_t max_pings_out;      /**< Unanswered PINGs before a server counts as dead. 0: 2. */
    uint32_t max_reconnects;     /**< Failures in a row before a server is given up. 0: never. */
    uint32_t publish_max_messages; /**< JetStream messages without an outcome, or whose callback has not run. 0: 4,096;
                                    *   at most 1,048,576. */
    uint32_t reserved;             /**< 0. */
    uint64_t publish_max_bytes;    /**< Octets of those, as they are sent. 0: 64 MiB. */
    bool no_randomize;             /**< Try servers in the order given. */
    bool no_reconnect;             /**< The first loss closes. */
    bool retry_first_connect;      /**< Try for the first connection as for any other, for ever. */
    bool ignore_discovered;        /**< Do not use servers that the cluster names. */
    bool auth_errors_are_fatal;    /**< The same authentication error twice in a row from a server closes. */
    bool fail_requests_on_loss;    /**< Requests end with NBJ_E_DISCONNECTED instead of waiting for their deadline. */
    bool wait_when_full; /**< What sends, requests and settles waits for room in the outgoing buffer instead of
                                 *   returning NBJ_E_FULL, and while connected as soon as more than 1 MiB waits. Under an event
                                 *   loop it returns NBJ_E_WOULD_BLOCK, and NBJ_EVENT_WRITABLE follows. */
    bool no_echo;        /**< Do not receive what this client publishes itself. */
    bool verbose;        /**< The server acknowledges each operation; for debugging a server. */
    bool pedantic;       /**< The server checks subjects more strictly. */
    bool tls;            /**< Connect with TLS only, whatever the URL says. */
    bool tls_first;      /**< The TLS handshake comes before anything else (server option handshake_first, 2.10.4). */
    bool
        tls_insecure_skip_verify; /**< Accept any certificate. For tests: whoever is in between can read and change all. */
    char reserved_bools[3];       /**< 0. */
    const char *cluster_id; /**< Shown behind the name as "name @ cluster". NULL: the environment's NATS_CLUSTER_ID. */
    const char *credentials_file; /**< A .creds file (a JWT and its seed, or a bearer's JWT), read at each connect. Of
                                         *   this and the next two only one may be set. NULL: none. */
    const char *nkey_seed_file;   /**< A file with an NKey seed, read at each connect. NULL: none. */
    nbj_credentials_fn *on_credentials; /**< Asked at each connect, after the server has sent its nonce. NULL: none. */
    const char *tls_ca_file;            /**< PEM: whom to trust. NULL: the system's. Files are read at each connect. */
    const char *tls_cert_file;          /**< PEM: our certificate with its chain. NULL: none. */
    const char *tls_key_file;           /**< PEM: its key, not encrypted. NULL: it is in tls_cert_file. */
    const char
        *tls_server_name; /**< The name that certificates must be for. NULL: the host of the URL; for servers that
                                  *   the cluster names by address, the host of the server that named them. */
    uint64_t
        dns_timeout_ns; /**< Limits of the steps of connecting, within connect_timeout_ns; 0: what is left of it. */
    uint64_t tcp_timeout_ns;  /**< Likewise. */
    uint64_t info_timeout_ns; /**< Until the server's INFO. */
    uint64_t tls_timeout_ns;  /**< Of the TLS handshake. */
    uint64_t auth_timeout_ns; /**< Until CONNECT is answered. */
    uint64_t open_timeout_ns; /**< How long nbj_client_open() waits in all. 0: 30 s. */
    const char *js_domain; /**< The JetStream domain that calls go to. NULL: that of the server we are connected to. */
    const char *js_api_prefix; /**< In place of "$JS.API": where another account exports its API. Excludes js_domain. */
} nbj_client_options;

/** Client options as designated initialisers: NBJ_CLIENT_OPTIONS(.url = "…"). */
#define NBJ_CLIENT_OPTIONS(...) NBJ_OPTIONS_OF(nbj_client_options, __VA_ARGS__)

/** What a client counts; headers and payload, as octets. */
typedef struct nbj_client_stats {
    uint64_t in_msgs;    /**< Messages received. */
    uint64_t in_bytes;   /**< Octets of those. */
    uint64_t out_msgs;   /**< Messages published, each transmission counted. */
    uint64_t out_bytes;  /**< Octets of those. */
    uint64_t reconnects; /**< Connections after the first. */
    uint64_t dropped;    /**< Messages that full subscription queues did not take. */
    uint64_t unwanted;   /**< Late replies, and messages of subscriptions that had ended. */
} nbj_client_stats;

/** What a client's connection is doing. */
typedef enum nbj_client_state {
    NBJ_CLIENT_CONNECTING = 1, /**< For the first time. */
    NBJ_CLIENT_CONNECTED,
    NBJ_CLIENT_RECONNECTING,
    NBJ_CLIENT_DRAINING,
    NBJ_CLIENT_CLOSED, /**< Final. */
} nbj_client_state;

/** Opens a client and waits for its first connection; with retry_first_connect it returns at once.
 *  @param out      To be given back with nbj_client_release(); NULL on failure.
 *  @param options  Copied; NULL: all defaults.
 *  @param error    Says what went wrong, why, and what to do. May be NULL.
 *  @retval NBJ_E_BAD_URL     A server URL is not legal.
 *  @retval NBJ_E_INVALID     An option is not legal.
 *  @retval NBJ_E_NO_SERVERS  None of several servers could be connected to; of a single one its own reason, such as
 *                            NBJ_E_REFUSED, NBJ_E_DNS, NBJ_E_CONNECT_TIMEOUT, NBJ_E_AUTH.
 *  @retval NBJ_E_TIMEOUT     open_timeout_ns has passed. Also NBJ_E_IO, NBJ_E_NOMEM. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_open(nbj_client **out, const nbj_client_options *options, nbj_error *error);

/** Ends everything at once: calls end with NBJ_E_CLOSED, then NBJ_EVENT_CLOSED is reported, and after it nothing. Does
 *  not wait. What was not written is lost; see nbj_client_drain(). */
NBJ_API void nbj_client_close(nbj_client *client);

/** Closes without losing anything: subscriptions end when what is on its way has come and was handled, requests get their
 *  replies, publishes their outcomes, and the server has read all that was sent. Waits until that is done; in a callback
 *  it only begins it and returns NBJ_OK.
 *  @param timeout_ns  0: closes at once. While it is draining already, the first one's holds.
 *  @retval NBJ_E_TIMEOUT       Not all was done after @p timeout_ns; closed all the same.
 *  @retval NBJ_E_DISCONNECTED  The connection was lost before all was proved done.
 *  @retval NBJ_E_CLOSED        It was closed already.
 *  @retval NBJ_E_WOULD_BLOCK   With an event loop: use nbj_client_drain_async(). */
NBJ_API nbj_status nbj_client_drain(nbj_client *client, uint64_t timeout_ns);

/** As nbj_client_drain() without waiting; NBJ_EVENT_CLOSED tells the end and the outcome. */
NBJ_API void nbj_client_drain_async(nbj_client *client, uint64_t timeout_ns);

/** Gives the client back, closing it without events if it is open. When it returns no callback runs any more; called in
 *  one, that one is the last. No other thread may be in a call with it: close it and join them first. Subscriptions, pulls
 *  and messages may be released later. NULL is allowed. */
NBJ_API void nbj_client_release(nbj_client *client);

/** Gives the present connection up and connects anew, at once. */
NBJ_API void nbj_client_reconnect(nbj_client *client);

NBJ_API nbj_client_state nbj_client_state_of(const nbj_client *client); /**< What it is doing. */
NBJ_API bool nbj_client_is_connected(const nbj_client *client);         /**< Whether there is a working connection. */

/** The present server's host and port as "host:port" in @p out (@p size octets with the NUL).
 *  @retval NBJ_E_DISCONNECTED  There is no connection; @p out is "".
 *  @retval NBJ_E_FULL          It did not fit and was cut.
 *  @retval NBJ_E_INVALID       @p size is 0. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_server_address(const nbj_client *client, char *out, size_t size);
NBJ_API NBJ_CHECKED nbj_status nbj_client_server_version(const nbj_client *client, char *out,
                                                         size_t size); /**< "2.10.27"; as the above. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_server_name(const nbj_client *client, char *out,
                                                      size_t size); /**< Its configured name; as the above. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_server_id(const nbj_client *client, char *out,
                                                    size_t size); /**< Its unique id; as the above. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_own_address(const nbj_client *client, char *out,
                                                      size_t size); /**< Ours as the server sees it; as the above. */

/** The number that the present server gave this connection; 0 while not connected. */
NBJ_API uint64_t nbj_client_id(const nbj_client *client);

/** The largest message that the present server takes, headers and payload; 0 while not connected. */
NBJ_API uint64_t nbj_client_max_payload(const nbj_client *client);

/** What was counted so far. */
NBJ_API nbj_client_stats nbj_client_stats_of(const nbj_client *client);

#ifdef __cplusplus
}
#endif
#endif
