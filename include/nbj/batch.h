/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Atomic batches: messages of which a stream stores all, one behind the other, or none (ADR-50; nats-server 2.12). The
 * stream's configuration has to allow them (allow_atomic). All messages of a batch belong to one stream; a server takes
 * 1,000 unless it is configured otherwise.
 *
 * Messages are kept by the client until the commit; nothing of them is at a server before. A batch is for one thread at a
 * time. */
#ifndef NBJ_BATCH_H
#define NBJ_BATCH_H

#include <nbj/publish.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_batch nbj_batch; /**< Opaque. */

/** Options of a batch. */
typedef struct nbj_batch_options {
    size_t struct_size;  /**< See nbj/options.h. */
    uint64_t timeout_ns; /**< Of the commit. 0: 10 s. */
    size_t max_bytes;    /**< Of memory that its messages may take. 0: 64 MiB. */
} nbj_batch_options;
#define NBJ_BATCH(...) NBJ_OPTIONS_OF(nbj_batch_options, __VA_ARGS__) /**< As designated initialisers. */

/** What came of a batch. Plain data: copy it freely. A frozen layout. */
typedef struct nbj_batch_result {
    nbj_outcome
        outcome; /**< STORED: all of it. REJECTED: nothing of it; with NBJ_E_UNSUPPORTED see @c ack. UNKNOWN: all
                          *   or nothing. */
    struct {
        char stream[256];  /**< Where it is stored. */
        char domain[256];  /**< The stream's JetStream domain; "" for none. */
        uint64_t sequence; /**< Of the last message; the others have the numbers before it. REJECTED with
                            *   NBJ_E_UNSUPPORTED: of the one message that a server which does not know batches stored by
                            *   itself, or 0: none. */
        uint64_t count;    /**< Messages stored by the batch. */
    } ack;
    uint64_t
        message; /**< REJECTED: the message, counted from 1, that @c error is about; 0: it is about no single one, or
                       *   the server found it at the commit and does not say. */
    nbj_error error; /**< REJECTED and UNKNOWN. */
} nbj_batch_result;

/** Gets the outcome of nbj_batch_commit_async(), once. */
typedef void nbj_batch_fn(void *user, const nbj_batch_result *result);

/** Begins a batch. Sends nothing.
 *  @param options  NULL: all defaults.
 *  @param out      To be given back with nbj_batch_release(), also after its commit; NULL on failure.
 *  @retval NBJ_E_UNSUPPORTED  The server is older than 2.12. While there is no connection that is found out later.
 *  @return otherwise NBJ_OK, NBJ_E_INVALID, NBJ_E_NOMEM, NBJ_E_CLOSED, NBJ_E_FORKED. */
NBJ_API NBJ_CHECKED nbj_status nbj_batch_begin(nbj_client *client, const nbj_batch_options *options, nbj_batch **out,
                                               nbj_error *error);

/** Adds a message, which is copied. Sends nothing.
 *  @param options  Headers and expectations, and the id if one is given: none is made, since a batch as a whole is stored
 *                  once. What a server does not allow in a batch it refuses at the commit (an expected last message id;
 *                  an expected last sequence behind the first message). How to send (timeout_ns, ordered, retries, no_wait)
 *                  is not looked at. NULL: none.
 *  @retval NBJ_E_FULL   max_bytes is reached; the batch is as it was.
 *  @retval NBJ_E_STATE  It was committed.
 *  @return otherwise as nbj_send(). */
NBJ_API NBJ_CHECKED nbj_status nbj_batch_add(nbj_batch *batch, const char *subject, nbj_bytes data,
                                             const nbj_publish_options *options);

/** Messages in it; 0 after its commit. */
NBJ_API uint64_t nbj_batch_count(const nbj_batch *batch);

/** Sends the batch and waits until it is stored. It is begun again, as long as that cannot store it twice: after a lost
 *  connection before the commit itself was sent, and after a refusal that passes (no leader, too many batches). Legal in
 *  every callback.
 *  @param result  Also of what was refused here and never sent; may be NULL.
 *  @return        NBJ_OK: stored; otherwise what @p result has as its error: NBJ_E_UNSUPPORTED, NBJ_E_NO_STREAM,
 *                 NBJ_E_WRONG_LAST_SEQUENCE, NBJ_E_TIMEOUT, NBJ_E_DISCONNECTED, NBJ_E_JS with the server's reason,
 *                 NBJ_E_INVALID for an empty batch, NBJ_E_STATE for one that was committed before. Under an event loop
 *                 NBJ_E_WOULD_BLOCK, and the batch is as it was. */
NBJ_API NBJ_CHECKED nbj_status nbj_batch_commit(nbj_batch *batch, nbj_batch_result *result);

/** Sends the batch without waiting.
 *  @retval NBJ_OK  @p on_result will be called once, unless the batch is released before.
 *  @return otherwise NBJ_E_INVALID, NBJ_E_STATE, NBJ_E_CLOSED, NBJ_E_DRAINING, NBJ_E_NOMEM. */
NBJ_API NBJ_CHECKED nbj_status nbj_batch_commit_async(nbj_batch *batch, nbj_batch_fn *on_result, void *user);

/** Gives a batch back, from any thread. One that was not committed is dropped; the outcome of one whose commit is under
 *  way is not told any more, and it may be stored. Legal in its callback. NULL is allowed. */
NBJ_API void nbj_batch_release(nbj_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
