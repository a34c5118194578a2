/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What JetStream grants an account, and what it uses of that. */
#ifndef NBJ_ACCOUNT_H
#define NBJ_ACCOUNT_H

#include <nbj/call.h>
#include <nbj/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_account_info nbj_account_info; /**< What a server said of our account. Opaque; it does not change. */

/** What is used, and the limits of that; -1: without a limit. A frozen layout. */
typedef struct nbj_account_usage {
    uint64_t memory; /**< Octets, of streams in memory. */
    uint64_t storage;
    uint64_t reserved_memory; /**< Granted to streams by their max_bytes. 0 before server 2.10.8. */
    uint64_t reserved_storage;
    uint64_t streams;
    uint64_t consumers;
    int64_t max_memory;
    int64_t max_storage;
    int64_t max_streams;
    int64_t max_consumers;
    int64_t max_ack_pending;
    int64_t memory_max_stream_bytes; /**< Of a single stream. */
    int64_t storage_max_stream_bytes;
    bool max_bytes_required; /**< Each stream has to have max_bytes. */
} nbj_account_usage;

/** Calls to JetStream's API. A frozen layout. */
typedef struct nbj_account_api {
    uint64_t level; /**< What the server can do (ADR-44); 0 before 2.11. */
    uint64_t total;
    uint64_t errors;
    uint64_t inflight; /**< Since server 2.11; 0: none. */
} nbj_account_api;

/** The outcome of nbj_account_info_of_async(). @p info is valid until the callback returns; NULL on failure. */
typedef void nbj_account_info_fn(void *user, nbj_status status, const nbj_account_info *info, const nbj_error *error);

/** Tells about our account: that there is JetStream, how much of it, and its domain.
 *  @param options  NULL: all defaults.
 *  @param out      Given back with nbj_account_info_release(); NULL on failure.
 *  @param error    May be NULL.
 *  @retval NBJ_E_NO_RESPONDERS  The server is run without JetStream.
 *  @retval NBJ_E_JS_DISABLED    It is not enabled for our account.
 *  @return otherwise NBJ_E_TIMEOUT; NBJ_E_CLOSED; NBJ_E_JS_UNAVAILABLE; under an event loop NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_account_info_of(nbj_client *client, const nbj_call_options *options,
                                                   nbj_account_info **out, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_account_info_of_async(nbj_client *client, const nbj_call_options *options,
                                                         nbj_account_info_fn *on_done,
                                                         void *user); /**< As the above, without waiting. */
NBJ_API void nbj_account_info_release(nbj_account_info *info);        /**< Gives it back. NULL is allowed. */

/** What is used in all. With tiers the limits are theirs, and those here are 0. */
NBJ_API nbj_account_usage nbj_account_info_usage(const nbj_account_info *info);
/** Item @p i (from 0) of the tiers, which have limits for streams of so many replicas. False: there are not so many.
 *  @param name  "R1", "R3"; lives as long as @p info. */
NBJ_API bool nbj_account_info_tier(const nbj_account_info *info, size_t i, const char **name, nbj_account_usage *out);
NBJ_API nbj_account_api nbj_account_info_api(const nbj_account_info *info); /**< Calls so far. */
NBJ_API const char *nbj_account_info_domain(const nbj_account_info *info);  /**< "": none. */
/** All that the server said, as JSON; lives as long as @p info. */
NBJ_API const char *nbj_account_info_json(const nbj_account_info *info);

#ifdef __cplusplus
}
#endif
#endif
