/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Advisories and metrics: what servers tell about streams and consumers without being asked.
 *
 * They are plain messages, sent at most once. What nobody listens to at that moment, or what a lost connection, a full
 * queue or a busy server drops, is gone; nothing tells that it was. Where each one matters let a stream capture them: make
 * one whose subjects are those of nbj_advisory_subject(), consume it like any other, and give what comes to
 * nbj_advisory_parse(). Even then there may be none: a server whose consumers are all idle notices nothing, and
 * advisories of a server that dies die with it. They carry no payload of the message they are about: fetch that by its
 * stream sequence, where it still exists. */
#ifndef NBJ_ADVISORY_H
#define NBJ_ADVISORY_H

#include <nbj/client.h>
#include <nbj/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What an advisory is about, with the members of nbj_advisory that are its own. Append-only. */
typedef enum nbj_advisory_kind {
    NBJ_ADVISORY_UNKNOWN = 0,    /**< None that this version knows: see nbj_advisory.type and nbj_advisory.json. */
    NBJ_ADVISORY_MAX_DELIVERIES, /**< A message was delivered max_deliver times: stream_sequence, deliveries. Pull
                                  *   consumers notice it when the next pull comes; told once. */
    NBJ_ADVISORY_MSG_TERMINATED, /**< A message was terminated: consumer_sequence, stream_sequence, deliveries, reason
                                  *   (2.10.4). */
    NBJ_ADVISORY_MSG_NAKED,      /**< A message was negatively acknowledged: as above without a reason. */
    NBJ_ADVISORY_CONSUMER_CREATED,
    NBJ_ADVISORY_CONSUMER_DELETED,
    NBJ_ADVISORY_CONSUMER_PAUSE,          /**< Paused or resumed: paused, pause_until_ns. Since 2.11. */
    NBJ_ADVISORY_CONSUMER_PINNED,         /**< A client of a priority group was pinned: group, pinned_id. 2.11. */
    NBJ_ADVISORY_CONSUMER_UNPINNED,       /**< Likewise: group, reason. 2.11. */
    NBJ_ADVISORY_CONSUMER_LEADER_ELECTED, /**< leader, replicas. */
    NBJ_ADVISORY_CONSUMER_QUORUM_LOST,    /**< replicas. */
    NBJ_ADVISORY_STREAM_CREATED,
    NBJ_ADVISORY_STREAM_UPDATED,
    NBJ_ADVISORY_STREAM_DELETED,
    NBJ_ADVISORY_STREAM_LEADER_ELECTED, /**< leader, replicas. */
    NBJ_ADVISORY_STREAM_QUORUM_LOST,    /**< replicas. */
    NBJ_ADVISORY_SNAPSHOT_CREATE,       /**< A snapshot began: state_…, client_…. */
    NBJ_ADVISORY_SNAPSHOT_COMPLETE,     /**< start_ns, end_ns, error, client_…. */
    NBJ_ADVISORY_RESTORE_CREATE,        /**< A restore began: client_…. */
    NBJ_ADVISORY_RESTORE_COMPLETE,      /**< Also of one that failed: start_ns, end_ns, bytes, client_…. */
    NBJ_ADVISORY_BATCH_ABANDONED,       /**< An atomic batch was given up: batch, reason. Since 2.12. */
    NBJ_ADVISORY_DOMAIN_LEADER_ELECTED, /**< leader, replicas, cluster. Since 2.10.11. */
    NBJ_ADVISORY_SERVER_OUT_OF_STORAGE, /**< server, server_id, stream, cluster. */
    NBJ_ADVISORY_SERVER_REMOVED,        /**< server, server_id, cluster. */
    NBJ_ADVISORY_META_RESCUE,           /**< server, server_id, cluster, old_quorum, new_quorum. Since 2.15. */
    NBJ_ADVISORY_API_LIMIT_REACHED,     /**< Requests to the API were dropped: server, dropped. Since 2.10.21. */
    NBJ_ADVISORY_API_AUDIT,  /**< One for each request to the API: server, subject, request, response, client_…. */
    NBJ_ADVISORY_ACK_METRIC, /**< A sampled acknowledgement, of consumers with sample_freq: consumer_sequence,
                                         *   stream_sequence, deliveries, ack_time_ns. */
} nbj_advisory_kind;

#define NBJ_ADVISORY_BIT(kind) (UINT64_C(1) << (kind)) /**< A kind as one of nbj_advisory_options.kinds. */

/** One advisory or metric. What it does not say is empty or 0. Texts are views that live as long as it does; a server's
 *  words, so clean them before showing them. Only the library makes these; members are added at the end. */
typedef struct nbj_advisory {
    nbj_advisory_kind kind;
    bool paused;        /**< Paused, not resumed. */
    nbj_bytes type;     /**< "io.nats.jetstream.advisory.v1.…". */
    nbj_bytes id;       /**< Unique: one that came twice (through a stream with mirrors) has the same. */
    nbj_bytes json;     /**< All of it, as it came. */
    int64_t time_ns;    /**< When it happened, by the server's clock, in nanoseconds since 1970; as the other times. */
    nbj_bytes domain;   /**< JetStream domain that it comes from. */
    nbj_bytes account;  /**< Of the stream or consumer; where the server says so. */
    nbj_bytes stream;   /**< Whose it is. */
    nbj_bytes consumer; /**< Likewise. */
    uint64_t stream_sequence;   /**< Of the message. */
    uint64_t consumer_sequence; /**< Of its delivery. */
    uint64_t deliveries;        /**< How often it was delivered. */
    uint64_t ack_time_ns;       /**< From its delivery to its acknowledgement. */
    nbj_bytes reason;           /**< Why. */
    nbj_bytes error;            /**< What went wrong. */
    nbj_bytes group;            /**< Priority group. */
    nbj_bytes pinned_id;        /**< Of the client that is pinned now. */
    nbj_bytes batch;            /**< The batch's id. */
    nbj_bytes leader;           /**< Name of the server that leads now. */
    nbj_bytes cluster;          /**< Name of the cluster. */
    nbj_bytes server;           /**< Name of the server that it is about, or that tells. */
    nbj_bytes server_id;        /**< Its id. */
    nbj_bytes subject;          /**< Of the request. */
    nbj_bytes request;          /**< Its body. */
    nbj_bytes response;         /**< What was answered. */
    int64_t pause_until_ns;     /**< Until when. */
    int64_t start_ns;           /**< When it began. */
    int64_t end_ns;             /**< When it ended. */
    uint64_t bytes;             /**< Octets that were transferred. */
    uint64_t dropped;           /**< Requests that were dropped. */
    uint64_t old_quorum;        /**< Before. */
    uint64_t new_quorum;        /**< After. */
    uint64_t state_messages;    /**< Of the stream, when the snapshot began. */
    uint64_t state_bytes;
    uint64_t state_first_sequence;
    uint64_t state_last_sequence;
    uint64_t state_consumers;
    uint64_t client_id; /**< Who asked for it: number of the connection. */
    nbj_bytes client_name;
    nbj_bytes client_user;
    nbj_bytes client_account;
    nbj_bytes client_host;
    nbj_bytes client_server; /**< The server that it is connected to. */
    size_t replica_count;    /**< For nbj_advisory_replica(). */
    const void *replicas;    /**< Not for programs. */
} nbj_advisory;

/** A server among an advisory's replicas. A frozen layout. */
typedef struct nbj_advisory_peer {
    nbj_bytes name;     /**< The server's. */
    uint64_t active_ns; /**< How long ago it was heard of. */
    uint64_t lag;       /**< Operations that it is behind. */
    bool is_current;    /**< It has everything. */
    bool is_offline;    /**< It is not there. */
    char reserved[6];   /**< 0. */
} nbj_advisory_peer;

/** Replica @p i; nothing (an empty name) where there is none. */
NBJ_API nbj_advisory_peer nbj_advisory_replica(const nbj_advisory *advisory, size_t i);

/** Which advisories. */
typedef struct nbj_advisory_options {
    size_t struct_size; /**< See nbj/options.h. */
    uint64_t kinds;     /**< Bits of NBJ_ADVISORY_BIT(). 0: all that this version knows but NBJ_ADVISORY_API_AUDIT. With
                               *   the bit of NBJ_ADVISORY_UNKNOWN also those that it does not know, for which all
                               *   advisories are subscribed to. */
    const char *stream; /**< Only about this stream and its consumers. NULL: about anything. */
    const char *consumer; /**< Only about consumers of this name. NULL: about anything. */
    const char *domain;   /**< Only from this JetStream domain. NULL: the client's, where that has one; "": from any. */
    const char *event_prefix; /**< In place of "$JS.EVENT": where another account exports its events. NULL: that. */
} nbj_advisory_options;
#define NBJ_ADVISORIES(...) NBJ_OPTIONS_OF(nbj_advisory_options, __VA_ARGS__) /**< As designated initialisers. */

typedef struct nbj_advisories nbj_advisories; /**< Subscriptions to advisories. Opaque. */

/** Gets each advisory, valid until it returns. What is no JSON comes as NBJ_ADVISORY_UNKNOWN, too. */
typedef void nbj_advisory_fn(void *user, nbj_advisories *advisories, const nbj_advisory *advisory);

/** Says, once, that not all will come any more: why the first of the subscriptions ended, such as
 *  NBJ_E_PERMISSION_SUBSCRIBE or NBJ_E_CLOSED. Not called after nbj_advisories_release(). */
typedef void nbj_advisories_end_fn(void *user, nbj_advisories *advisories, nbj_status why);

/** Subscribes to advisories, to exactly those subjects that @p options ask for. Does not wait: nbj_flush() makes sure that
 *  the server knows of it. They come at most once (see above). Servers tell of what changes from then on.
 *  @param options      NULL: all defaults.
 *  @param on_advisory  Required. Runs where callbacks of the client run.
 *  @param on_end       NULL: none.
 *  @param user         Passed to the callbacks.
 *  @param out          To be given back with nbj_advisories_release(); NULL on failure.
 *  @retval NBJ_E_INVALID  A name, the prefix or the kinds are not legal; or there is nothing that is about both the
 *                         kinds and the stream or consumer asked for.
 *  @return otherwise as nbj_subscribe(). */
NBJ_API NBJ_CHECKED nbj_status nbj_advisories_subscribe(nbj_client *client, const nbj_advisory_options *options,
                                                        nbj_advisory_fn *on_advisory, nbj_advisories_end_fn *on_end,
                                                        void *user, nbj_advisories **out);

/** Ends them. As nbj_sub_release(): when it returns the callbacks do not run any more. Legal in its own callbacks. NULL is
 *  allowed. */
NBJ_API void nbj_advisories_release(nbj_advisories *advisories);

#define NBJ_ADVISORY_SUBJECT_MAX 1024 /**< Room for every subject of nbj_advisory_subject() and its NUL. */

/** The subject that advisories of @p kind are published to, for a stream that captures them: with wildcards where
 *  @p options name no stream or consumer. NBJ_ADVISORY_UNKNOWN: that of all advisories. Of the options the kinds and the
 *  domain do not matter.
 *  @param options  NULL: all defaults.
 *  @param out      Gets it, of @p size octets with its NUL; "" on failure.
 *  @retval NBJ_E_INVALID  As nbj_advisories_subscribe().
 *  @retval NBJ_E_FULL     It does not fit. */
NBJ_API NBJ_CHECKED nbj_status nbj_advisory_subject(nbj_advisory_kind kind, const nbj_advisory_options *options,
                                                    char *out, size_t size);

/** Reads an advisory from the payload of a message that a stream has captured.
 *  @param out  To be given back with nbj_advisory_release(), and not to be used after @p payload is gone, of which
 *              nbj_advisory.json is a view; NULL on failure.
 *  @retval NBJ_E_BAD_REPLY  It is no JSON object.
 *  @retval NBJ_E_NOMEM      Out of memory. */
NBJ_API NBJ_CHECKED nbj_status nbj_advisory_parse(nbj_bytes payload, const nbj_advisory **out);
NBJ_API void nbj_advisory_release(const nbj_advisory *advisory); /**< NULL is allowed. */

#ifdef __cplusplus
}
#endif
#endif
