/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Requests and flushes. Each ends exactly once, by its return or by one call of its callback, at the latest at its
 * deadline. Those without "_async" wait; under an event loop they return NBJ_E_WOULD_BLOCK. */
#ifndef NBJ_REQUEST_H
#define NBJ_REQUEST_H

#include <nbj/client.h>
#include <nbj/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of a request.
 *  @param status  NBJ_OK with @p reply; NBJ_E_NO_RESPONDERS: nobody listens; NBJ_E_TIMEOUT; NBJ_E_CLOSED;
 *                 NBJ_E_DISCONNECTED with client option fail_requests_on_loss; NBJ_E_PERMISSION_PUBLISH where the
 *                 server does not let us send to the subject, NBJ_E_PERMISSION_SUBSCRIBE where it
 *                 does not let us listen for replies.
 *  @param reply   Valid until the callback returns, unless retained; NULL on failure. */
typedef void nbj_reply_fn(void *user, nbj_status status, const nbj_msg *reply);

/** Options of a request. */
typedef struct nbj_request_options {
    size_t struct_size;        /**< See nbj/options.h. */
    uint64_t timeout_ns;       /**< 0: 5 s. */
    const nbj_header *headers; /**< NULL: none. */
    size_t header_count;       /**< Length of @c headers. */
    uint64_t max_replies;      /**< Of many replies: ends after so many. 0: without a limit. */
    uint64_t stall_ns;         /**< Likewise: ends when none came for so long after the last. 0: never. */
    bool sentinel;             /**< Likewise: ends at a reply without payload, which is not handed out. */
    char reserved[7];          /**< 0. */
} nbj_request_options;
#define NBJ_REQUEST(...) NBJ_OPTIONS_OF(nbj_request_options, __VA_ARGS__) /**< As designated initialisers. */

/** Sends a request and waits for its reply. Legal in every callback.
 *  @param options  NULL: none.
 *  @param reply    To be given back with nbj_msg_release(); NULL on failure.
 *  @return         NBJ_OK; otherwise as nbj_reply_fn is told, or as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_request(nbj_client *client, const char *subject, nbj_bytes data,
                                           const nbj_request_options *options, nbj_msg **reply);

/** Sends a request that many may answer, and collects replies until one of the endings that the options name, @p max
 *  replies at most (which is max_replies where that is 0 or larger). They are to be given back with nbj_msg_release(), on
 *  failure too: @p count says how many there are.
 *  @param replies  Room for @p max, which is not 0.
 *  @return         NBJ_OK when at least one reply came or the sentinel did; otherwise as nbj_request(). */
NBJ_API NBJ_CHECKED nbj_status nbj_request_many(nbj_client *client, const char *subject, nbj_bytes data,
                                                const nbj_request_options *options, nbj_msg **replies, size_t max,
                                                size_t *count);

/** Waits until the server has read all that was sent before. While not connected it waits for a connection.
 *  @param timeout_ns  0: 5 s.
 *  @return            As nbj_flush_fn is told. */
NBJ_API NBJ_CHECKED nbj_status nbj_flush(nbj_client *client, uint64_t timeout_ns);

/** As nbj_flush(), and tells how long the server took to answer, behind what waited to be written.
 *  @param round_trip_ns  0 where it was not even asked. */
NBJ_API NBJ_CHECKED nbj_status nbj_rtt(nbj_client *client, uint64_t timeout_ns, uint64_t *round_trip_ns);

/** Sends a request over the client's shared inbox. Does not block.
 *  @param options  NULL: none.
 *  @return as nbj_send(); the callback is called after NBJ_OK only. */
NBJ_API NBJ_CHECKED nbj_status nbj_request_async(nbj_client *client, const char *subject, nbj_bytes data,
                                                 const nbj_request_options *options, nbj_reply_fn *on_reply,
                                                 void *user);

/** Sends a request that many may answer (ADR-47). The callback gets NBJ_MORE with each reply, and at the end once, without
 *  a message: NBJ_OK when at least one reply came or the sentinel did; NBJ_E_TIMEOUT when none came; else as for a request. */
NBJ_API NBJ_CHECKED nbj_status nbj_request_many_async(nbj_client *client, const char *subject, nbj_bytes data,
                                                      const nbj_request_options *options, nbj_reply_fn *on_reply,
                                                      void *user);

/** The outcome of a flush: NBJ_OK, NBJ_E_TIMEOUT, NBJ_E_DISCONNECTED (the connection was lost before the answer),
 *  NBJ_E_CLOSED. @p round_trip_ns is the time it took. */
typedef void nbj_flush_fn(void *user, nbj_status status, uint64_t round_trip_ns);

/** Asks to be told when the server has read all that was sent before. While not connected it waits for a connection.
 *  @param timeout_ns  0: 5 s. */
NBJ_API NBJ_CHECKED nbj_status nbj_flush_async(nbj_client *client, uint64_t timeout_ns, nbj_flush_fn *on_done,
                                               void *user);

#ifdef __cplusplus
}
#endif
#endif
