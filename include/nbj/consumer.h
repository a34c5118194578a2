/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * JetStream consumers: durable, pulled, acknowledged one by one. */
#ifndef NBJ_CONSUMER_H
#define NBJ_CONSUMER_H

#include <nbj/client.h>
#include <nbj/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_pull nbj_pull; /**< A running pull consumer. Opaque. */

/** What a pull consumer is doing. */
typedef enum nbj_pull_state {
    NBJ_PULL_STARTING = 1, /**< The server is asked for the consumer. */
    NBJ_PULL_RUNNING,      /**< Messages come as the stream has them. */
    NBJ_PULL_STALLED,      /**< Something is in the way; it asks again by itself. */
    NBJ_PULL_GONE,         /**< The server refused it; the error says why. Final. */
    NBJ_PULL_STOPPED,      /**< By nbj_pull_stop(), or with the client. Final. */
} nbj_pull_state;

/** Gets each delivery. Settle it with nbj_ack() or nbj_nak(), now or later (nbj_msg_retain()); one that is not settled
 *  comes again after the consumer's ack_wait. */
typedef void nbj_delivery_fn(void *user, nbj_pull *pull, const nbj_msg *msg);

/** Gets each change of state; @p error says why for STALLED and GONE, else NULL. */
typedef void nbj_pull_state_fn(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error);

/** Configuration of a durable pull consumer with explicit acknowledgement. Zero means the default. */
typedef struct nbj_consumer_config {
    size_t struct_size;          /**< See nbj/options.h. */
    const char *stream;          /**< Required. */
    const char *durable;         /**< Required: its name. */
    const char *filter_subject;  /**< Only messages of these subjects. NULL: all. */
    uint64_t ack_wait_ns;        /**< After so long without a settlement a message is delivered again. 0: 30 s. */
    int64_t max_deliver;         /**< Deliveries of one message. 0: without a limit. */
    int64_t max_ack_pending;     /**< Deliveries that are not settled; more are not made. 0: 1,000. */
    uint64_t batch;              /**< Messages asked for at once. 0: 256. */
    nbj_pull_state_fn *on_state; /**< NULL: none. */
} nbj_consumer_config;
#define NBJ_CONSUMER_CONFIG(...) NBJ_OPTIONS_OF(nbj_consumer_config, __VA_ARGS__) /**< As designated initialisers. */

/** Creates the consumer, or finds it with that configuration, and keeps messages coming: over reconnects, restarts and a
 *  deleted consumer. Does not block. Since server 2.9.
 *  @param out  To be given back with nbj_pull_release(); NULL on failure.
 *  @retval NBJ_E_INVALID  A name is missing or not legal. Also NBJ_E_CLOSED, NBJ_E_DRAINING, NBJ_E_FULL, NBJ_E_NOMEM. */
NBJ_API NBJ_CHECKED nbj_status nbj_pull_start(nbj_client *client, const nbj_consumer_config *config,
                                              nbj_delivery_fn *on_msg, void *user, nbj_pull **out);

/** Asks for and hands out no more messages. */
NBJ_API void nbj_pull_stop(nbj_pull *pull);

/** Gives it back, stopping it without a callback. When it returns its callbacks do not run any more: it waits for one that
 *  runs in another thread, so hold no lock that it takes. Legal in its own callbacks. NULL is allowed. */
NBJ_API void nbj_pull_release(nbj_pull *pull);

NBJ_API nbj_pull_state nbj_pull_state_of(const nbj_pull *pull); /**< What it is doing. */

/** What a delivery says of itself; views live as long as the message. */
typedef struct nbj_delivery {
    nbj_bytes stream;           /**< The stream's name. */
    nbj_bytes consumer;         /**< The consumer's name. */
    uint64_t stream_sequence;   /**< The message's number in the stream. */
    uint64_t consumer_sequence; /**< The delivery's number of this consumer. */
    uint64_t delivered;         /**< 1 for its first delivery. */
    uint64_t pending;           /**< Messages that wait behind it. */
    uint64_t stored_at_ns;      /**< When the stream stored it: nanoseconds since 1970, UTC. */
} nbj_delivery;

/** Reads it. NBJ_E_NOT_JETSTREAM: the message is no delivery of a consumer. */
NBJ_API NBJ_CHECKED nbj_status nbj_msg_delivery(const nbj_msg *msg, nbj_delivery *out);

/** Settles a delivery: it is done. From any thread, as long as its client is not released. Sent without waiting for an
 *  answer; over a lost connection it leaves with the next one.
 *  @retval NBJ_E_NOT_JETSTREAM  The message is no delivery. Otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_ack(const nbj_msg *msg);

/** Asks for another delivery after @p delay_ns (0: at once). Returns as nbj_ack(). */
NBJ_API NBJ_CHECKED nbj_status nbj_nak(const nbj_msg *msg, uint64_t delay_ns);

#ifdef __cplusplus
}
#endif
#endif
