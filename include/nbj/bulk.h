/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Bulks: many messages into one stream, faster than the server takes them otherwise (fast ingest, ADR-50; nats-server
 * 2.14). The stream's configuration has to allow it (allow_batched). Nothing else uses this: it is chosen by calling it.
 *
 * What it costs: the server acknowledges messages by the hundred, so that there is no outcome for each, only a count; and a
 * batch of them is no transaction: others' messages may lie between.
 *
 * What is promised: messages are stored in the order in which they were added, each *at least once*. They are kept, within
 * max_messages and max_bytes, until the server has said that they are stored. After a lost connection, and when the server
 * gave them up (a change of leader), those of which that is not known are sent again. Some of them may have been stored:
 * they are then stored twice, unless they have ids (option @c ids, or their own) and the stream's duplicate window is
 * longer than the interruption. When the bulk ends with an error, nbj_bulk_result says how many are stored: they are the
 * first ones.
 *
 * With @c gaps_ok a message that the server loses or refuses is counted, and the rest goes on.
 *
 * A bulk is for one thread at a time. */
#ifndef NBJ_BULK_H
#define NBJ_BULK_H

#include <nbj/publish.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_bulk nbj_bulk; /**< Opaque. */

/** There is room again after nbj_bulk_add() returned NBJ_E_WOULD_BLOCK, or the bulk has ended with an error. */
typedef void nbj_bulk_room_fn(void *user, nbj_bulk *bulk);

/** Options of a bulk. */
typedef struct nbj_bulk_options {
    size_t struct_size;        /**< See nbj/options.h. */
    uint64_t timeout_ns;       /**< How long nbj_bulk_add() waits for room, and how long a connected server may let
                                 *   nothing get on before the bulk ends. 0: 30 s. */
    uint32_t messages_per_ack; /**< Messages that one acknowledgement is for, at most; the server may choose less.
                                 *   0: 500, the most that it does. */
    uint32_t outstanding_acks; /**< Acknowledgements that may be awaited at once. 0: 2. */
    size_t max_bytes;          /**< Of memory for messages that are not known to be stored. 0: 16 MiB. */
    nbj_bulk_room_fn *on_room; /**< NULL: nobody is told. */
    void *user;                /**< For on_room. */
    uint32_t max_messages;     /**< That are not known to be stored; rounded up to a power of two. 0: 4,096. */
    bool gaps_ok;              /**< Count what the server loses or refuses, and go on. */
    bool ids;                  /**< Make an id for each message that has none. Costs the server speed. */
    char reserved[2];          /**< 0. */
} nbj_bulk_options;
#define NBJ_BULK(...) NBJ_OPTIONS_OF(nbj_bulk_options, __VA_ARGS__) /**< As designated initialisers. */

/** What came of a bulk, at its end or until now. Plain data: copy it freely. A frozen layout. */
typedef struct nbj_bulk_result {
    char stream[256];       /**< Where it is stored; "" while not known. */
    char domain[256];       /**< The stream's JetStream domain; "" for none. */
    uint64_t last_sequence; /**< Of the last message known by number: that at the end of the last part which the server
                             *   has finished. 0: not known. */
    uint64_t added;         /**< Messages that nbj_bulk_add() took. */
    uint64_t stored;        /**< Known to be stored. Without gaps_ok they are the first ones. */
    uint64_t lost;          /**< With gaps_ok: not stored, the server says that it missed them. */
    uint64_t refused;       /**< With gaps_ok: not stored, the server refused them. */
    uint64_t unknown;       /**< The rest. At the end: may or may not be stored, but for what @c message is about. */
    uint64_t restarts;      /**< How often what was not known to be stored was sent again. */
    uint64_t message;       /**< The message, counted from 1, that @c error is about; 0: it is about no single one. */
    nbj_error error;        /**< Why it ended; with gaps_ok also why the first refused one was refused. Status NBJ_OK:
                             *   nothing. */
} nbj_bulk_result;

/** Gets the outcome of nbj_bulk_finish_async(), once. */
typedef void nbj_bulk_fn(void *user, nbj_bulk *bulk, nbj_status status, const nbj_bulk_result *result);

/** Begins a bulk. Sends nothing.
 *  @param options  NULL: all defaults.
 *  @param out      To be given back with nbj_bulk_release(); NULL on failure.
 *  @retval NBJ_E_UNSUPPORTED  The server is older than 2.14. While there is no connection that is found out later.
 *  @return otherwise NBJ_OK, NBJ_E_INVALID, NBJ_E_NOMEM, NBJ_E_CLOSED, NBJ_E_DRAINING, NBJ_E_FORKED. */
NBJ_API NBJ_CHECKED nbj_status nbj_bulk_open(nbj_client *client, const nbj_bulk_options *options, nbj_bulk **out,
                                             nbj_error *error);

/** Adds a message, which is copied, and sent as soon as the server lets it. All subjects must belong to one stream. While
 *  max_messages or max_bytes are not known to be stored it waits for room, for timeout_ns at most; under an event loop and
 *  in callbacks it returns NBJ_E_WOULD_BLOCK instead, and on_room will be called.
 *  @param options  Headers, expectations, id and no_wait. How else to send (timeout_ns, ordered, retries) is not looked
 *                  at. NULL: none.
 *  @retval NBJ_OK         It will be stored, or the bulk ends with an error.
 *  @retval NBJ_E_FULL     It is larger than max_bytes.
 *  @retval NBJ_E_TIMEOUT  There was no room in time.
 *  @retval NBJ_E_STATE    It was finished.
 *  @return otherwise as nbj_send(), or why the bulk has ended: nbj_bulk_progress() tells more. */
NBJ_API NBJ_CHECKED nbj_status nbj_bulk_add(nbj_bulk *bulk, const char *subject, nbj_bytes data,
                                            const nbj_publish_options *options);

/** How far it is. What was added and not acknowledged becomes known within a second after nothing more is added. */
NBJ_API void nbj_bulk_progress(const nbj_bulk *bulk, nbj_bulk_result *result);

/** Waits until all that was added is stored. Nothing can be added any more. Legal in every callback.
 *  @param timeout_ns  0: 30 s.
 *  @param result      May be NULL.
 *  @return            NBJ_OK: all of it is stored, or counted as lost or refused with gaps_ok; otherwise what @p result has
 *                     as its error: NBJ_E_TIMEOUT, NBJ_E_UNSUPPORTED, NBJ_E_NO_STREAM, NBJ_E_CLOSED,
 *                     NBJ_E_WRONG_LAST_SEQUENCE, NBJ_E_JS with the server's reason. Under an event loop
 *                     NBJ_E_WOULD_BLOCK, and it goes on as it was. */
NBJ_API NBJ_CHECKED nbj_status nbj_bulk_finish(nbj_bulk *bulk, uint64_t timeout_ns, nbj_bulk_result *result);

/** Finishes without waiting.
 *  @param timeout_ns  0: 30 s.
 *  @retval NBJ_OK     @p on_result will be called once, unless the bulk is released before.
 *  @retval NBJ_E_STATE  It was called before. */
NBJ_API NBJ_CHECKED nbj_status nbj_bulk_finish_async(nbj_bulk *bulk, uint64_t timeout_ns, nbj_bulk_fn *on_result,
                                                     void *user);

/** Gives a bulk back, from any thread. What was not finished is forgotten: some of it may be stored. Legal in its
 *  callbacks. NULL is allowed. */
NBJ_API void nbj_bulk_release(nbj_bulk *bulk);

#ifdef __cplusplus
}
#endif
#endif
