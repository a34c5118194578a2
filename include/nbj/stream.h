/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * JetStream streams. */
#ifndef NBJ_STREAM_H
#define NBJ_STREAM_H

#include <nbj/call.h>
#include <nbj/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** When a stream removes messages on its own. */
typedef enum nbj_retention {
    NBJ_RETENTION_LIMITS = 1, /**< When a limit is reached. */
    NBJ_RETENTION_INTEREST,   /**< Also when all consumers have settled them; without consumers at once. */
    NBJ_RETENTION_WORK_QUEUE, /**< Also when their one consumer has settled them. */
} nbj_retention;

/** Where a stream keeps its messages. */
typedef enum nbj_storage {
    NBJ_STORAGE_FILE = 1, /**< Survives the server's process. */
    NBJ_STORAGE_MEMORY,   /**< Dies with it. */
} nbj_storage;

/** A list of C strings. */
typedef struct nbj_list {
    const char *const *items; /**< Borrowed. */
    size_t count;
} nbj_list;
/** A list of its arguments. */
#define NBJ_LIST(...)                                                                                             \
    {                                                                                                             \
        (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) \
    }

/** Configuration of a stream. Zero means the default. */
typedef struct nbj_stream_config {
    size_t struct_size;           /**< See nbj/options.h. */
    const char *name;             /**< Required: without blanks, '.', '*', '>', '/' and '\'. */
    nbj_list subjects;            /**< What it takes. Empty: its name. */
    nbj_retention retention;      /**< 0: limits. */
    nbj_storage storage;          /**< 0: file. */
    int64_t max_messages;         /**< 0: without a limit. */
    int64_t max_bytes;            /**< 0: without a limit. */
    uint64_t max_age_ns;          /**< 0: without a limit. */
    uint64_t duplicate_window_ns; /**< 0: the server's, 2 minutes. */
    uint32_t replicas;            /**< 0: 1. */
    uint32_t reserved;            /**< 0. */
} nbj_stream_config;
#define NBJ_STREAM_CONFIG(...) NBJ_OPTIONS_OF(nbj_stream_config, __VA_ARGS__) /**< As designated initialisers. */

/** The outcome of a call about streams or consumers; @p error is NULL on success. */
typedef void nbj_done_fn(void *user, nbj_status status, const nbj_error *error);

/** Sees to it that the stream exists: creates it, or finds it with that configuration. Waits for the answer.
 *  @param options  NULL: all defaults.
 *  @param error    May be NULL.
 *  @return         As nbj_stream_ensure_async() and its callback; under an event loop NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_ensure(nbj_client *client, const nbj_stream_config *config,
                                                 const nbj_call_options *options, nbj_error *error);

/** Sees to it that the stream exists: creates it, or finds it with that configuration. Does not wait.
 *  @param options  NULL: all defaults.
 *  @retval NBJ_OK  @p on_done will be called once: NBJ_OK; NBJ_E_EXISTS_DIFFERENT; NBJ_E_JS_DISABLED; NBJ_E_NO_RESPONDERS
 *                  (no JetStream here); NBJ_E_TIMEOUT; NBJ_E_CLOSED; NBJ_E_JS with the server's reason.
 *  @return otherwise as nbj_send(), and NBJ_E_INVALID for an illegal name. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_ensure_async(nbj_client *client, const nbj_stream_config *config,
                                                       const nbj_call_options *options, nbj_done_fn *on_done,
                                                       void *user);

#ifdef __cplusplus
}
#endif
#endif
