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

/** Publishes into whatever stream takes @p subject, and waits for the outcome. Legal in every callback.
 *  @param result  The outcome with its details, also of what was refused here and never sent; may be NULL.
 *  @return        NBJ_OK: stored, or stored before; otherwise what @p result has as its error: NBJ_E_NO_STREAM, after
 *                 asking again for a short while; NBJ_E_TIMEOUT; JetStream's reasons; or as nbj_send(). Under an event
 *                 loop NBJ_E_WOULD_BLOCK, and nothing is sent. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish(nbj_client *client, const char *subject, nbj_bytes data,
                                           const nbj_publish_options *options, nbj_publish_result *result);

/** Publishes into whatever stream takes @p subject without waiting for the outcome. The message is kept until that is
 *  known and sent again, with the same id and in the same order, after a reconnect within a minute of its first
 *  transmission. While publish_max_messages or publish_max_bytes are without an outcome, or their callbacks have not run,
 *  it waits for room, for the message's timeout at most; under an event loop and in callbacks it returns
 *  NBJ_E_WOULD_BLOCK instead: go on when outcomes come.
 *  @retval NBJ_OK         @p on_result will be called once.
 *  @retval NBJ_E_TIMEOUT  There was no room in time.
 *  @return otherwise as nbj_send(); then @p on_result is not called. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                                                 const nbj_publish_options *options, nbj_publish_fn *on_result,
                                                 void *user);

/** Waits until every message published before has its outcome and its callback has run.
 *  @param timeout_ns  0: does not wait.
 *  @param unfinished  How many have none yet; may be NULL.
 *  @retval NBJ_E_TIMEOUT  Some have none after @p timeout_ns. Under an event loop and in callbacks NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_publish_flush(nbj_client *client, uint64_t timeout_ns, uint64_t *unfinished);

/** Messages without an outcome. */
NBJ_API uint64_t nbj_publish_unfinished(const nbj_client *client);

#ifdef __cplusplus
}
#endif
#endif
