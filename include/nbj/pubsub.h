/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Plain NATS: send and subscribe. At most once: what is sent while nobody listens, or lost with a connection, is gone.
 * For publishing with a guarantee see nbj/publish.h. */
#ifndef NBJ_PUBSUB_H
#define NBJ_PUBSUB_H

#include <nbj/client.h>
#include <nbj/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of a message to send. */
typedef struct nbj_send_options {
    size_t struct_size;        /**< See nbj/options.h. */
    const char *reply;         /**< Where answers should go. NULL: nowhere. */
    const nbj_header *headers; /**< NULL: none. */
    size_t header_count;       /**< Length of @c headers. */
} nbj_send_options;
#define NBJ_SEND(...) NBJ_OPTIONS_OF(nbj_send_options, __VA_ARGS__) /**< Send options as designated initialisers. */

/** Puts a message into the outgoing buffer, connected or not. Does not block, unless the buffer is full and client option
 *  wait_when_full is set: then it waits for room, for write_timeout_ns at most.
 *  @param options  NULL: none.
 *  @retval NBJ_E_BAD_SUBJECT  @p subject or the reply is not legal, or has wildcards.
 *  @retval NBJ_E_BAD_HEADER   A header is not legal (nbj/headers.h).
 *  @retval NBJ_E_TOO_LARGE    Larger than the server's maximum payload.
 *  @retval NBJ_E_NO_HEADERS   The server takes none.
 *  @retval NBJ_E_FULL         The outgoing buffer is full.
 *  @retval NBJ_E_TIMEOUT      It was full for too long (wait_when_full); with an event loop NBJ_E_WOULD_BLOCK.
 *  @retval NBJ_E_CLOSED       Also NBJ_E_DRAINING, NBJ_E_NOMEM, NBJ_E_INVALID. On failure nothing was sent. */
NBJ_API NBJ_CHECKED nbj_status nbj_send(nbj_client *client, const char *subject, nbj_bytes data,
                                        const nbj_send_options *options);

/** Answers a request: sends to the reply subject of @p msg, which the client that received it must outlive.
 *  @param options  NULL: none. Its reply is for a conversation that goes on.
 *  @retval NBJ_E_NOT_FOUND  The message has no reply subject: nobody wants to know. Otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_respond(const nbj_msg *msg, nbj_bytes data, const nbj_send_options *options);

typedef struct nbj_sub nbj_sub; /**< A subscription. Opaque. */

/** Gets each message of a subscription; @p msg is valid until it returns, unless retained. */
typedef void nbj_msg_fn(void *user, nbj_sub *sub, const nbj_msg *msg);

/** Says that no message will come any more: NBJ_OK when it was asked for or its maximum was reached; the server's refusal;
 *  NBJ_E_CLOSED. Called once, last; what nbj_sub_next() has not taken yet can still be taken. Not called after
 *  nbj_sub_release(). */
typedef void nbj_sub_end_fn(void *user, nbj_sub *sub, nbj_status why);

/** Options of a subscription. */
typedef struct nbj_sub_options {
    size_t struct_size;      /**< See nbj/options.h. */
    const char *queue_group; /**< Each message goes to one member of the group. NULL: none. */
    uint64_t max_messages;   /**< Ends after so many. 0: never. */
    nbj_sub_end_fn *on_end;  /**< NULL: none. */
    uint64_t limit_messages; /**< Of its queue. 0: 65,536. */
    uint64_t limit_bytes;    /**< Likewise. 0: 64 MiB. */
} nbj_sub_options;
#define NBJ_SUB(...) \
    NBJ_OPTIONS_OF(nbj_sub_options, __VA_ARGS__) /**< Subscription options as designated initialisers. */

/** Subscribes to @p subject, in which '*' stands for one token and a last '>' for all that follow. Does not wait:
 *  nbj_flush() makes sure that the server knows of it.
 *  @param options  NULL: none.
 *  @param on_msg   NULL: messages wait for nbj_sub_next(). They wait in a queue in any case, except with an event loop
 *                  and a callback; what does not fit is dropped, newest first, and counted; NBJ_EVENT_SLOW says when that
 *                  begins.
 *  @param user     Passed to the callbacks.
 *  @param out      The subscription, to be given back with nbj_sub_release(); NULL on failure.
 *  @retval NBJ_E_BAD_SUBJECT  Subject or queue group is not legal.
 *  @retval NBJ_E_CLOSED       Also NBJ_E_DRAINING, NBJ_E_FULL, NBJ_E_NOMEM, NBJ_E_INVALID. */
NBJ_API NBJ_CHECKED nbj_status nbj_subscribe(nbj_client *client, const char *subject, const nbj_sub_options *options,
                                             nbj_msg_fn *on_msg, void *user, nbj_sub **out);

/** Ends it at once, or, with @p max, when it has received so many messages in all. NBJ_E_STATE: it is ending already. */
NBJ_API NBJ_CHECKED nbj_status nbj_unsubscribe(nbj_sub *sub, uint64_t max);

/** Ends it when all messages have come that were on their way. NBJ_E_STATE: it is ending already. */
NBJ_API NBJ_CHECKED nbj_status nbj_sub_drain(nbj_sub *sub);

/** Takes the oldest message of a subscription without callback, waiting for one if there is none. Several threads may
 *  read one subscription: each message goes to one of them.
 *  @param timeout_ns  0: does not wait. NBJ_TIME_NEVER: without end.
 *  @param out         To be given back with nbj_msg_release(); NULL on failure.
 *  @retval NBJ_E_TIMEOUT  None came; with an event loop NBJ_E_WOULD_BLOCK, at once.
 *  @retval NBJ_E_ENDED    All were taken, and no more will come.
 *  @retval NBJ_E_INVALID  The subscription has a callback for its messages. */
NBJ_API NBJ_CHECKED nbj_status nbj_sub_next(nbj_sub *sub, uint64_t timeout_ns, nbj_msg **out);

/** Takes what is there, at most @p max messages, waiting for the first as nbj_sub_next() does.
 *  @param out    Room for @p max, which is not 0. Each is to be given back with nbj_msg_release().
 *  @param count  How many; 0 on failure.
 *  @return       As nbj_sub_next(). */
NBJ_API NBJ_CHECKED nbj_status nbj_sub_next_batch(nbj_sub *sub, nbj_msg **out, size_t max, uint64_t timeout_ns,
                                                  size_t *count);

/** What a subscription counts. */
typedef struct nbj_sub_stats {
    uint64_t delivered;     /**< Messages received for it. */
    uint64_t dropped;       /**< Messages that its queue did not take. */
    uint64_t pending;       /**< Messages in its queue. */
    uint64_t pending_bytes; /**< Octets of those. */
} nbj_sub_stats;

NBJ_API nbj_sub_stats nbj_sub_stats_of(const nbj_sub *sub); /**< What was counted so far. */

/** Gives it back, ending it without a callback if it is live. When it returns its callbacks do not run any more: it waits
 *  for one that runs in another thread, so hold no lock that it takes. Legal in its own callbacks. NULL is allowed. */
NBJ_API void nbj_sub_release(nbj_sub *sub);

#ifdef __cplusplus
}
#endif
#endif
