/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Publishing into a JetStream stream: every message has exactly one outcome, across reconnects and close. */
#ifndef NBJ_PUBLISH_H
#define NBJ_PUBLISH_H

#include <nbj/client.h>
#include <nbj/headers.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What came of a message. */
typedef enum nbj_outcome {
    NBJ_STORED = 1, /**< The stream has it. */
    NBJ_DUPLICATE,  /**< The stream had a message of that id before, and did not take this one. */
    NBJ_REJECTED,   /**< Certainly not stored; the error says why. */
    NBJ_UNKNOWN,    /**< Sent, and no answer came: it may or may not be stored. */
} nbj_outcome;

/** The outcome of a publish. Plain data: copy it freely. A frozen layout. */
typedef struct nbj_publish_result {
    nbj_outcome outcome;
    struct {
        char stream[256];  /**< Where it is stored. */
        char domain[256];  /**< The stream's JetStream domain; "" for none. */
        char value[256];   /**< A counter's new total, in digits; "" for other messages, for duplicates, and for a total
                            *   of more than 255 characters: that is in the message. */
        uint64_t sequence; /**< Its number in the stream; a duplicate's is that of the first. */
    } ack;                 /**< STORED and DUPLICATE. */
    nbj_error error;       /**< REJECTED and UNKNOWN. */
} nbj_publish_result;

/** Whether the stream has the message. */
static inline bool nbj_is_stored(const nbj_publish_result *r)
{
    return r->outcome == NBJ_STORED || r->outcome == NBJ_DUPLICATE;
}

/** Gets the outcome, once for each message. */
typedef void nbj_publish_fn(void *user, const nbj_publish_result *result);

/** An expectation, that there is nothing yet: an empty stream, a subject without a message. (0 in a field is no
 *  expectation.) */
#define NBJ_EXPECT_NONE_YET UINT64_MAX

/** A time to live, that has no end: not even that of the stream's max_age. */
#define NBJ_TTL_NEVER UINT64_MAX

#define NBJ_RETRIES_NONE UINT32_MAX                 /**< The first refusal is the outcome. */
#define NBJ_RETRIES_UNTIL_TIMEOUT (UINT32_MAX - 1u) /**< Again and again until timeout_ns has passed. */

/** What of the stream a message takes the place of; the stream must allow it (allow_rollup_hdrs). */
typedef enum nbj_rollup {
    NBJ_ROLLUP_NONE = 0,
    NBJ_ROLLUP_SUBJECT, /**< All older messages of its subject are removed. */
    NBJ_ROLLUP_ALL,     /**< All older messages of the stream. */
} nbj_rollup;

/** When a message is to be published again by its stream, and where (ADR-51). The stream must allow it
 *  (allow_msg_schedules) and keeps the message until then: one schedule for each subject, a new one takes the place of the
 *  former, and purging the subject cancels it. Needs nats-server 2.12; all but @c at_unix_ns, @c target and @c ttl_ns
 *  2.14. One of @c at_unix_ns, @c every_ns and @c cron is set. */
typedef struct nbj_schedule {
    size_t struct_size;    /**< See nbj/options.h. */
    const char *target;    /**< Subject to publish to, of the same stream, not the message's own. Needed. */
    uint64_t at_unix_ns;   /**< Once, at this time since 1970 in UTC; in the past: at once. */
    uint64_t every_ns;     /**< Again and again; at least 1 s. */
    const char *cron;      /**< "second minute hour day month weekday", or "@hourly" and the like. */
    const char *time_zone; /**< Of @c cron, as "Europe/Berlin". NULL: UTC. */
    const char *source;    /**< A subject of the stream whose last message is published instead of this one. */
    uint64_t ttl_ns;       /**< Time to live of what is published; as that of a message. 0: none. */
    nbj_rollup rollup;     /**< What is published replaces older messages of the target; NONE or SUBJECT. */
    uint32_t reserved;     /**< 0. */
} nbj_schedule;
#define NBJ_SCHEDULE(...) NBJ_OPTIONS_OF(nbj_schedule, __VA_ARGS__) /**< As designated initialisers. */

/** Options of a publish. Those that make a header exclude a header of that name among @c headers: NBJ_E_INVALID. */
typedef struct nbj_publish_options {
    size_t struct_size;        /**< See nbj/options.h. */
    const char *msg_id;        /**< For deduplication by the stream (Nats-Msg-Id). NULL: one is made. */
    uint64_t timeout_ns;       /**< Until the outcome is unknown. 0: 10 s. */
    const nbj_header *headers; /**< NULL: none. */
    size_t header_count;       /**< Length of @c headers; at most 63. */
    bool no_msg_id;            /**< Make no id. What is unacknowledged at a disconnect is then NBJ_UNKNOWN. */
    bool no_wait;              /**< Where there is no room, NBJ_E_WOULD_BLOCK at once instead of waiting for it. */
    bool ordered;      /**< In order with all other ordered messages of this client; see nbj_publish_resume(). */
    char reserved;     /**< 0. */
    nbj_rollup rollup; /**< Remove what is older. */
    const char *expect_stream;     /**< Store it only in this stream: error 10060 otherwise. */
    uint64_t expect_last_sequence; /**< … only if the stream's last sequence is this one, or NBJ_EXPECT_NONE_YET; else
                                      *   NBJ_E_WRONG_LAST_SEQUENCE. 0: whatever it is. */
    const char *expect_last_msg_id;   /**< … only if the last message stored has this id: error 10070 otherwise. */
    uint64_t expect_subject_sequence; /**< … only if that is the sequence of the subject's last message, or
                                       *   NBJ_EXPECT_NONE_YET; else NBJ_E_WRONG_LAST_SEQUENCE. */
    const char *expect_subject;       /**< The subject, or filter, that expect_subject_sequence is about, instead of the
                                 *   message's own. Needs nats-server 2.11. */
    uint64_t ttl_ns;   /**< How long the stream keeps it, in whole seconds (what is above them is cut off), at
                                 *   least 1 s; or NBJ_TTL_NEVER. The stream must allow it (allow_msg_ttl). Needs
                                 *   nats-server 2.11. 0: as the stream does. */
    int64_t increment; /**< Adds to the subject's counter; the new total is in the result. @c data is empty. The
                                 *   stream must be one of counters (allow_msg_counter). Needs nats-server 2.12. */
    const char *increment_text;   /**< The same with any number of digits and a sign, such as "+0" to only read it. */
    const nbj_schedule *schedule; /**< To be published again later. NULL: not. */
    uint64_t
        retry_delay_ns; /**< Before a message that nobody took (no stream, no leader) or that the stream was too busy
                              *   for (429) is sent again. 0: 250 ms. */
    uint32_t
        retries; /**< How often that is done. 0: twice; and in the first 5 s of a connection, when streams may still
                       *   be on their way up, on and on unless JetStream says that no stream takes the subject. Also
                       *   NBJ_RETRIES_NONE, NBJ_RETRIES_UNTIL_TIMEOUT. */
    uint32_t reserved2; /**< 0. */
    nbj_error *error; /**< Where nbj_publish_async() says more than its status about what it refuses. NULL: nowhere. */
} nbj_publish_options;
#define NBJ_PUBLISH(...) NBJ_OPTIONS_OF(nbj_publish_options, __VA_ARGS__) /**< As designated initialisers. */

/** Publishes into whatever stream takes @p subject, and waits for the outcome. Legal in every callback.
 *  @param result  The outcome with its details, also of what was refused here and never sent; may be NULL.
 *  @return        NBJ_OK: stored, or stored before; otherwise what @p result has as its error: NBJ_E_NO_STREAM, after
 *                 asking again for a short while; NBJ_E_TIMEOUT; NBJ_E_UNSUPPORTED: the server is too old for an option;
 *                 NBJ_E_ORDER; JetStream's reasons; or as nbj_send(). Under an event loop NBJ_E_WOULD_BLOCK, and nothing
 *                 is sent. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish(nbj_client *client, const char *subject, nbj_bytes data,
                                           const nbj_publish_options *options, nbj_publish_result *result);

/** Publishes into whatever stream takes @p subject without waiting for the outcome. The message is kept until that is
 *  known and sent again, with the same id and in the same order, after a reconnect within half of its stream's duplicate
 *  window from its first transmission: the stream is asked for that once, where permitted, after the first message with an
 *  id that it took; else 2 minutes are taken for the window, or less if another stream of this client has less.
 *  While publish_max_messages or publish_max_bytes are without an outcome, or their callbacks have not run, it waits for
 *  room, for the message's timeout at most; with no_wait, under an event loop and in callbacks it returns
 *  NBJ_E_WOULD_BLOCK instead: go on when outcomes come.
 *  @retval NBJ_OK             @p on_result will be called once.
 *  @retval NBJ_E_TIMEOUT      There was no room in time.
 *  @retval NBJ_E_UNSUPPORTED  The server is too old for an option.
 *  @retval NBJ_E_ORDER        It is ordered, and one before it failed.
 *  @return otherwise as nbj_send(); then @p on_result is not called. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                                                 const nbj_publish_options *options, nbj_publish_fn *on_result,
                                                 void *user);

/** Lets ordered messages pass again after one of them failed.
 *
 *  Messages with the option @c ordered are sent in the order in which they were published, and sent again in that order: if
 *  one is refused for now (no leader, 429), those behind it wait until it was sent again. The first that is rejected or
 *  unknown, or would have to be sent again when one behind it is stored already, stops them all: what is behind it and was
 *  not sent is rejected with NBJ_E_ORDER, what was sent gets its own outcome and is not sent again, and new ones are refused
 *  with NBJ_E_ORDER. So nothing follows a gap but what was on its way when it arose. All ordered messages of a client are one
 *  row, so use it for one stream. To go on, wait for the outcomes (nbj_publish_flush()), call this, and publish what was not
 *  stored again.
 *  @retval NBJ_E_STATE  Some ordered messages have no outcome yet. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_resume(nbj_client *client);

/** Waits until every message published before has its outcome and its callback has run.
 *  @param timeout_ns  0: does not wait.
 *  @param unfinished  How many have none yet; may be NULL. Which they are says nbj_publish_pending().
 *  @retval NBJ_E_TIMEOUT  Some have none after @p timeout_ns. Under an event loop and in callbacks NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_flush(nbj_client *client, uint64_t timeout_ns, uint64_t *unfinished);

/** Messages without an outcome. */
NBJ_API uint64_t nbj_publish_unfinished(const nbj_client *client);

/** The messages without an outcome, at one moment, in the order in which they were published. Opaque. */
typedef struct nbj_pending nbj_pending;

/** One of them. */
typedef struct nbj_pending_message {
    nbj_bytes subject; /**< Lives as long as the list. */
    void *user;        /**< As given to nbj_publish_async(); NULL for what a thread waits for in nbj_publish(). */
    size_t size;       /**< Octets of its headers and data. */
    bool is_sent;      /**< It was sent, and may be stored. */
} nbj_pending_message;

/** Lists what has no outcome.
 *  @param out  To be given back with nbj_pending_release(); NULL on failure.
 *  @retval NBJ_E_NOMEM  There is no memory for it. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_pending(const nbj_client *client, nbj_pending **out);

NBJ_API size_t nbj_pending_count(const nbj_pending *pending);                         /**< How many. */
NBJ_API nbj_pending_message nbj_pending_at(const nbj_pending *pending, size_t index); /**< Zeroed past the end. */
NBJ_API void nbj_pending_release(nbj_pending *pending); /**< NULL is allowed; also after its client. */

#ifdef __cplusplus
}
#endif
#endif
