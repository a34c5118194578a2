/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Messages as a stream keeps them: read one, read many, delete one; none of it needs a consumer. Calls without "_async"
 * wait; under an event loop they return NBJ_E_WOULD_BLOCK. All may be called from callbacks. */
#ifndef NBJ_STORED_H
#define NBJ_STORED_H

#include <nbj/call.h>
#include <nbj/client.h>
#include <nbj/headers.h>
#include <nbj/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- a stored message --- */

/** A message that a stream keeps. Opaque and unchanging. A callback gets it as a borrowed view: valid until it returns,
 *  unless it is retained. A call that waits gives it to be released. Reading one is thread-safe. */
typedef struct nbj_stored_msg nbj_stored_msg;

/** The stream that it was read from; of a direct get this may be a mirror of the one that was asked. Views that a
 *  message gives live as long as the message. */
NBJ_API nbj_bytes nbj_stored_msg_stream(const nbj_stored_msg *msg);
/** The subject it is stored under. */
NBJ_API nbj_bytes nbj_stored_msg_subject(const nbj_stored_msg *msg);
/** Its sequence in the stream, from 1 on. */
NBJ_API uint64_t nbj_stored_msg_sequence(const nbj_stored_msg *msg);
/** When the stream stored it: nanoseconds since 1970, UTC. */
NBJ_API uint64_t nbj_stored_msg_stored_at_ns(const nbj_stored_msg *msg);
/** The payload; may be empty. */
NBJ_API nbj_bytes nbj_stored_msg_data(const nbj_stored_msg *msg);

/** The first header of that name; case counts (ADR-4). Headers are those it was stored with; what a server adds to the
 *  answer of a direct get (ADR-31) is not among them.
 *  @retval NBJ_E_NOT_FOUND   There is none; *@p value is empty.
 *  @retval NBJ_E_BAD_HEADER  They are broken before such a header; *@p value is empty. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_msg_header(const nbj_stored_msg *msg, const char *name, nbj_bytes *value);

/** Walks all headers in their order: start with *@p cursor 0.
 *  @retval NBJ_OK            @p out is filled.
 *  @retval NBJ_MORE          That was the last one.
 *  @retval NBJ_E_BAD_HEADER  They are broken here. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_msg_header_next(const nbj_stored_msg *msg, size_t *cursor, nbj_header *out);

/** Keeps a message beyond its callback. The message to keep is the one returned, which may be another object than
 *  @p msg. NULL: out of memory. Each retain wants one nbj_stored_msg_release(). */
NBJ_API NBJ_CHECKED nbj_stored_msg *nbj_stored_msg_retain(const nbj_stored_msg *msg);
/** Gives a message back, from any thread, also after its client is gone. NULL is allowed. */
NBJ_API void nbj_stored_msg_release(nbj_stored_msg *msg);

/* --- reading one --- */

/** Which message to get: of @c sequence alone, @c last_of and @c next_of exactly one. */
typedef struct nbj_get_options {
    size_t struct_size;  /**< See nbj/options.h. */
    uint64_t sequence;   /**< The message with this sequence; with @c next_of where to begin, 0: at the first. */
    const char *last_of; /**< The last message of this subject, which may have wildcards. NULL: not that. */
    const char *next_of; /**< The first one from @c sequence on whose subject this covers. NULL: not that. */
    /** Any replica or mirror may answer. Spares the leader, but may be stale: a message that was just stored may not be
     *  found, one that was deleted may be. Of a stream without allow_direct, or when none of them answers within half a
     *  second, the leader is asked as if this were not set. Since nats-server 2.9 (ADR-31); without effect before. */
    bool direct;
    char reserved[7]; /**< 0. */
} nbj_get_options;
#define NBJ_GET(...) NBJ_OPTIONS_OF(nbj_get_options, __VA_ARGS__) /**< As designated initialisers. */

/** The outcome of nbj_stored_get_async().
 *  @param status  NBJ_OK with @p msg; NBJ_E_NOT_FOUND: there is no such message; NBJ_E_STREAM_NOT_FOUND;
 *                 NBJ_E_NO_RESPONDERS (no JetStream here); NBJ_E_TIMEOUT; NBJ_E_CLOSED; NBJ_E_JS with the server's
 *                 reason.
 *  @param msg     NULL on failure.
 *  @param error   NULL on success. */
typedef void nbj_stored_fn(void *user, nbj_status status, const nbj_stored_msg *msg, const nbj_error *error);

/** Reads one message of @p stream, and waits for it. Unless asked for directly, the stream's leader answers: what was
 *  stored before is seen. Messages above 40 MiB can only be read directly: the leader's answer is in base64.
 *  @param get      What to get.
 *  @param options  NULL: all defaults.
 *  @param msg      To be given back with nbj_stored_msg_release(); NULL on failure.
 *  @param error    May be NULL.
 *  @return         As nbj_stored_get_async() and its callback; under an event loop NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_get(nbj_client *client, const char *stream, const nbj_get_options *get,
                                              const nbj_call_options *options, nbj_stored_msg **msg, nbj_error *error);

/** As nbj_stored_get(), without waiting.
 *  @retval NBJ_OK             @p fn will be called once.
 *  @retval NBJ_E_INVALID      @p stream is no legal name, or @p get names no message or several.
 *  @retval NBJ_E_BAD_SUBJECT  A subject of @p get is not legal.
 *  @return otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_get_async(nbj_client *client, const char *stream, const nbj_get_options *get,
                                                    const nbj_call_options *options, nbj_stored_fn *fn, void *user);

/* --- reading many --- */

/** Which messages to read, in the order of their sequences. All zero: all there are. */
typedef struct nbj_read_options {
    size_t struct_size;    /**< See nbj/options.h. */
    uint64_t sequence;     /**< From this one on. 0: from the first. */
    uint64_t from_time_ns; /**< From the first on that was stored then or later, in ns since 1970. 0: not so. */
    const char *subject;   /**< Those that this covers; may have wildcards. NULL: all. */
    /** In place of @c subject and @c from_time_ns: of each subject that one of these covers the last message, all as of
     *  one moment. They may have wildcards, and cover up to 1,024 subjects. */
    nbj_list last_of;
    uint64_t up_to_sequence; /**< With @c last_of: as of when this was the stream's last sequence. 0: now. */
    uint64_t up_to_time_ns;  /**< With @c last_of: as of that time, in place of the former. 0: now. */
    uint64_t max_messages;   /**< So many at most. 0: without a limit. */
    uint32_t batch;          /**< Of one request, up to 65,536; there are as many requests as it takes. 0: 1,000. */
    uint32_t max_bytes;      /**< Likewise, up to 32 MiB, but at least one message: what memory it takes. 0: 4 MiB. */
} nbj_read_options;
#define NBJ_READ(...) NBJ_OPTIONS_OF(nbj_read_options, __VA_ARGS__) /**< As designated initialisers. */

/** One of the messages. @return false: enough, no further one is wanted. */
typedef bool nbj_read_msg_fn(void *user, const nbj_stored_msg *msg);

/** How far a read came, also when it failed: to go on, read from @c last_sequence + 1. A frozen layout. */
typedef struct nbj_read_result {
    uint64_t messages;      /**< That were handed out. */
    uint64_t last_sequence; /**< Of the last of them; 0: there was none. */
    /** That would have followed, as of the last answer. When no end was wanted: those were deleted since, or the
     *  replica that was asked last does not know them yet. */
    uint64_t pending;
    uint64_t up_to_sequence; /**< With @c last_of: the moment at which they were the last ones; 0: not known. */
} nbj_read_result;

/** The outcome of nbj_stored_read_async().
 *  @param status  NBJ_OK: there are no more, or no more were wanted. NBJ_E_STREAM_NOT_FOUND; NBJ_E_STATE: the stream
 *                 does not allow direct get; NBJ_E_TIMEOUT: not all came in time, the next ones may be read with another
 *                 call; NBJ_E_UNSUPPORTED: the server that has the stream is older than 2.11, though not the one we are
 *                 connected to; NBJ_E_DISCONNECTED: part of an answer with @c last_of was lost; NBJ_E_NO_RESPONDERS;
 *                 NBJ_E_CLOSED; NBJ_E_JS with the server's reason.
 *  @param error   NULL on success. */
typedef void nbj_read_fn(void *user, nbj_status status, const nbj_read_result *result, const nbj_error *error);

/** Reads messages of @p stream, calling @p on_msg for each, and waits until that is done. They come by direct get from
 *  any replica or mirror, so they may be stale, and the stream has to have allow_direct. Needs nats-server 2.11
 *  (ADR-31).
 *  @param read     NULL: all messages.
 *  @param options  NULL: all defaults. The time-out is that of the whole.
 *  @param on_msg   Called in this thread, between requests; the time it takes counts.
 *  @param result   May be NULL.
 *  @param error    May be NULL.
 *  @return         As nbj_stored_read_async() and its callback; under an event loop NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_read(nbj_client *client, const char *stream, const nbj_read_options *read,
                                               const nbj_call_options *options, nbj_read_msg_fn *on_msg, void *user,
                                               nbj_read_result *result, nbj_error *error);

/** As nbj_stored_read(), without waiting: @p on_msg and @p on_end are called as callbacks are.
 *  @retval NBJ_OK             @p on_end will be called once, after the last @p on_msg.
 *  @retval NBJ_E_INVALID      @p stream is no legal name, or options exclude each other or are out of range.
 *  @retval NBJ_E_BAD_SUBJECT  A subject of @p read is not legal.
 *  @retval NBJ_E_UNSUPPORTED  The server is older than 2.11.
 *  @return otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_read_async(nbj_client *client, const char *stream,
                                                     const nbj_read_options *read, const nbj_call_options *options,
                                                     nbj_read_msg_fn *on_msg, nbj_read_fn *on_end, void *user);

/* --- deleting --- */

/** Deletes the message with that sequence, and waits until that is done. Its octets may stay in the server's files
 *  until those are compacted.
 *  @param options  NULL: all defaults.
 *  @param error    May be NULL.
 *  @return         As nbj_stored_delete_async() and its callback; under an event loop NBJ_E_WOULD_BLOCK. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_delete(nbj_client *client, const char *stream, uint64_t sequence,
                                                 const nbj_call_options *options, nbj_error *error);

/** As nbj_stored_delete(), without waiting.
 *  @retval NBJ_OK         @p fn will be called once: NBJ_OK; NBJ_E_NOT_FOUND: there is no such message, as when a former
 *                         try got through; NBJ_E_STREAM_NOT_FOUND; NBJ_E_JS with the reason, such as that the stream has
 *                         deny_delete or is sealed; NBJ_E_NO_RESPONDERS; NBJ_E_TIMEOUT; NBJ_E_CLOSED.
 *  @retval NBJ_E_INVALID  @p stream is no legal name, or @p sequence is 0.
 *  @return otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_delete_async(nbj_client *client, const char *stream, uint64_t sequence,
                                                       const nbj_call_options *options, nbj_done_fn *fn, void *user);

/** As nbj_stored_delete(), and the server overwrites its octets with random ones, which takes it longer. */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_erase(nbj_client *client, const char *stream, uint64_t sequence,
                                                const nbj_call_options *options, nbj_error *error);

/** As nbj_stored_erase(), without waiting; otherwise as nbj_stored_delete_async(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stored_erase_async(nbj_client *client, const char *stream, uint64_t sequence,
                                                      const nbj_call_options *options, nbj_done_fn *fn, void *user);

#ifdef __cplusplus
}
#endif
#endif
