/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A client: one connection at a time to one of several servers, kept up for ever.
 *
 * A client is opened for an event loop of the caller's (nbj/loop.h): the library starts no thread, all calls are made by
 * one thread at a time, nothing blocks, and callbacks run inside nbj_loop_process(). Every function may be called from
 * every callback, nbj_client_release() too. */
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
    NBJ_EVENT_WRITABLE,     /**< After NBJ_E_WOULD_BLOCK: there is room again. */
    NBJ_EVENT_CLOSED,       /**< The last event; exactly one. The error says why; NBJ_OK: it was asked for. */
} nbj_event_type;

/** An event; valid until its callback returns. */
typedef struct nbj_event {
    nbj_event_type type;
    const nbj_error *error; /**< DISCONNECTED, SERVER_ERROR, CLOSED; else NULL. */
} nbj_event;

/** Gets each event of a client, in order. */
typedef void nbj_event_fn(void *user, nbj_client *client, const nbj_event *event);

/** Options of a client. Texts are copied. */
typedef struct nbj_client_options {
    size_t struct_size;          /**< See nbj/options.h. */
    const char *url;             /**< [nats://][user[:password]@|token@]host[:port], several separated by commas.
                                 *   NULL: nats://127.0.0.1:4222. */
    const char *name;            /**< Shown in the server's monitoring. NULL: none. */
    const char *user;            /**< For servers whose URL has no user. NULL: none. */
    const char *password;        /**< Likewise. */
    const char *token;           /**< Likewise. */
    const char *inbox_prefix;    /**< First tokens of reply subjects. NULL: _INBOX. */
    nbj_event_fn *on_event;      /**< NULL: none. */
    void *user_data;             /**< Passed to on_event. */
    const nbj_allocator *alloc;  /**< Borrowed; must outlive the client. NULL: malloc's. */
    uint64_t connect_timeout_ns; /**< For each server, from looking its name up to its first PONG. 0: 5 s. */
    uint64_t ping_interval_ns;   /**< 0: 30 s. */
    uint64_t write_timeout_ns;   /**< How long a server may take nothing of what is sent. 0: 10 s. */
    uint64_t reconnect_first_ns; /**< Limit of the first random wait for a server that failed. 0: 100 ms. */
    uint64_t reconnect_max_ns;   /**< Limit of the longest one; they double in between. 0: 8 s. */
    uint64_t max_outgoing_bytes; /**< Of what is not written yet, connected or not. 0: 8 MiB. */
    uint32_t max_pings_out;      /**< Unanswered PINGs before a server counts as dead. 0: 2. */
    uint32_t max_reconnects;     /**< Failures in a row before a server is given up. 0: never. */
    uint32_t
        publish_max_messages;   /**< JetStream messages without an outcome; rounded up to a power of two. 0: 4,096. */
    uint32_t reserved;          /**< 0. */
    uint64_t publish_max_bytes; /**< Octets of those. 0: 64 MiB. */
    bool no_randomize;          /**< Try servers in the order given. */
    bool no_reconnect;          /**< The first loss closes. */
    bool retry_first_connect;   /**< Try for the first connection as for any other, for ever. */
    bool ignore_discovered;     /**< Do not use servers that the cluster names. */
    bool auth_errors_are_fatal; /**< The same authentication error twice in a row from a server closes. */
    bool fail_requests_on_loss; /**< Requests end with NBJ_E_DISCONNECTED instead of waiting for their deadline. */
    bool wait_when_full;        /**< A full outgoing buffer is NBJ_E_WOULD_BLOCK and NBJ_EVENT_WRITABLE instead of
                                    *   NBJ_E_FULL. */
    bool no_echo;               /**< Do not receive what this client publishes itself. */
    bool verbose;               /**< The server acknowledges each operation; for debugging a server. */
    bool pedantic;              /**< The server checks subjects more strictly. */
    char reserved_bools[6];     /**< 0. */
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

/** Ends everything at once: calls end with NBJ_E_CLOSED, then NBJ_EVENT_CLOSED is reported by the next
 *  nbj_loop_process(). What was not written is lost; see nbj_client_drain(). */
NBJ_API void nbj_client_close(nbj_client *client);

/** Closes without losing anything: subscriptions end when what is on its way has come, requests get their replies,
 *  publishes their outcomes, and the server has read all that was sent. NBJ_EVENT_CLOSED tells the end: NBJ_OK;
 *  NBJ_E_TIMEOUT after @p timeout_ns; NBJ_E_DISCONNECTED where the connection was lost before all was proved done. */
NBJ_API void nbj_client_drain(nbj_client *client, uint64_t timeout_ns);

/** Gives the client back, closing it without events if it is open. Subscriptions, pulls and messages of it must have been
 *  released before. NULL is allowed. */
NBJ_API void nbj_client_release(nbj_client *client);

/** Gives the present connection up and connects anew, at once. */
NBJ_API void nbj_client_reconnect(nbj_client *client);

/** Whether there is a working connection now. */
NBJ_API bool nbj_client_is_connected(const nbj_client *client);

/** The present server's host and port as "host:port" in @p out (@p size octets with the NUL). NBJ_E_DISCONNECTED: none. */
NBJ_API NBJ_CHECKED nbj_status nbj_client_server_address(const nbj_client *client, char *out, size_t size);

/** The present server's version ("2.10.27"), name or id; "" while not connected. Lives until the next call. */
NBJ_API const char *nbj_client_server_version(const nbj_client *client);
NBJ_API const char *nbj_client_server_name(const nbj_client *client); /**< As nbj_client_server_version(). */
NBJ_API const char *nbj_client_server_id(const nbj_client *client);   /**< As nbj_client_server_version(). */

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
