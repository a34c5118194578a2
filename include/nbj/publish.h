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

/** The outcome of a publish; valid until the callback returns. */
typedef struct nbj_publish_result {
    nbj_outcome outcome;
    struct {
        const char *stream; /**< Where it is stored. */
        const char *domain; /**< The stream's JetStream domain; "" for none. */
        uint64_t sequence;  /**< Its number in the stream; a duplicate's is that of the first. */
    } ack;                  /**< STORED and DUPLICATE. */
    nbj_error error;        /**< REJECTED and UNKNOWN. */
} nbj_publish_result;

/** Whether the stream has the message. */
static inline bool nbj_is_stored(const nbj_publish_result *r)
{
    return r->outcome == NBJ_STORED || r->outcome == NBJ_DUPLICATE;
}

/** Gets the outcome, once for each message. */
typedef void nbj_publish_fn(void *user, const nbj_publish_result *result);

/** Options of a publish. */
typedef struct nbj_publish_options {
    size_t struct_size;        /**< See nbj/options.h. */
    const char *msg_id;        /**< For deduplication by the stream (Nats-Msg-Id). NULL: one is made. */
    uint64_t timeout_ns;       /**< Until the outcome is unknown. 0: 10 s. */
    const nbj_header *headers; /**< NULL: none. */
    size_t header_count;       /**< Length of @c headers; at most 63. */
    bool no_msg_id;            /**< Make no id. What is unacknowledged at a disconnect is then NBJ_UNKNOWN. */
    char reserved[7];          /**< 0. */
} nbj_publish_options;
#define NBJ_PUBLISH(...) NBJ_OPTIONS_OF(nbj_publish_options, __VA_ARGS__) /**< As designated initialisers. */

/** Publishes into whatever stream takes @p subject; returns at once. The message is kept until its outcome is known and
 *  sent again, with the same id and in the same order, after a reconnect within a minute of its first transmission.
 *  @retval NBJ_OK             @p on_result will be called once.
 *  @retval NBJ_E_WOULD_BLOCK  Client option publish_max_messages or publish_max_bytes is reached: go on when outcomes come.
 *  @return otherwise as nbj_send(); then @p on_result is not called. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                                                 const nbj_publish_options *options, nbj_publish_fn *on_result,
                                                 void *user);

/** Messages without an outcome. */
NBJ_API uint64_t nbj_publish_unfinished(const nbj_client *client);

#ifdef __cplusplus
}
#endif
#endif
