/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A whole stream to a backup on disk, and back.
 *
 * A backup is a directory with two files, those that the command line tool `nats` writes and reads, so that either can
 * restore what the other has saved:
 *
 *     stream.tar.s2   what the server sent, octet by octet; its inside is the server's affair
 *     backup.json     {"config":…,"state":…,"nbj":{"format":1,"bytes":…,"sha256":"…"}}
 *
 * The configuration and state are the server's words. The last member is ours, and others pass over it: the length of
 * stream.tar.s2, and a SHA-256 over backup.json up to the comma before that member and then stream.tar.s2. A backup
 * without it, as `nats` writes, is taken with nbj_restore_options.unchecked.
 *
 * A backup appears under its name as a whole or not at all: it is written to a directory named like it with
 * ".partial-" and six letters behind, brought to the disk, and renamed. What was there already is never replaced. A
 * program that is killed leaves such a directory, which may be removed.
 *
 * Snapshots of servers before 2.15 can be restored to all; those of 2.15 and newer only to such. The name of a stream
 * cannot be changed on the way. Streams in memory can be saved since 2.15.
 *
 * These calls wait, for as long as it takes, and read and write files in the thread that called: not in the one that
 * serves the connection, and with no lock held. Under an event loop, which must not wait for a disk, they return
 * NBJ_E_WOULD_BLOCK: open another client with nbj_client_open() for them, in a thread of their own. In a callback they
 * hold up the other callbacks of the client. */
#ifndef NBJ_SNAPSHOT_H
#define NBJ_SNAPSHOT_H

#include <nbj/call.h>
#include <nbj/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How far a transfer is. A frozen layout. */
typedef struct nbj_snapshot_progress {
    uint64_t bytes;       /**< Octets of the backup's data so far. */
    uint64_t total_bytes; /**< When restoring: all of them. Else those of the stream's messages, before compression. */
    bool is_working;  /**< Nothing is transferred: a backup is being checked, or the server puts a stream together. */
    char reserved[7]; /**< 0. */
} nbj_snapshot_progress;

/** Is told after each chunk, and every 250 ms meanwhile, in the thread that waits. Returns whether to go on; false ends
 *  the call with NBJ_E_CANCELLED. */
typedef bool nbj_snapshot_progress_fn(void *user, const nbj_snapshot_progress *progress);

/** Options of nbj_stream_snapshot(). */
typedef struct nbj_snapshot_options {
    size_t struct_size;                    /**< See nbj/options.h. */
    nbj_snapshot_progress_fn *on_progress; /**< NULL: none. */
    void *user;                            /**< Passed to it. */
    uint64_t work_timeout_ns; /**< How long the server may take before the first chunk: with check_messages it looks at
                               *   all messages first. 0: 1 h with that, otherwise as timeout_ns. */
    uint32_t chunk_size;      /**< Octets of a chunk, 1 KiB to 1 MiB. 0: the server's, 128 KiB. */
    uint32_t window_size;     /**< Octets under way, 1 KiB to 32 MiB. 0: the server's, 8 MiB. Since 2.12.5. */
    bool no_consumers;        /**< Leave consumers out. */
    bool check_messages; /**< The server checks all messages first. Since 2.15 it does so in any case, on the way. */
    char reserved[6];    /**< 0. */
} nbj_snapshot_options;
#define NBJ_SNAPSHOT(...) NBJ_OPTIONS_OF(nbj_snapshot_options, __VA_ARGS__) /**< As designated initialisers. */

/** Options of nbj_stream_restore(). */
typedef struct nbj_restore_options {
    size_t struct_size;                    /**< See nbj/options.h. */
    nbj_snapshot_progress_fn *on_progress; /**< NULL: none. */
    void *user;                            /**< Passed to it. */
    uint64_t
        work_timeout_ns; /**< How long the server may take behind the last chunk, to make a stream of them. 0: 1 h. */
    const char *config;  /**< The stream's configuration as the server's JSON, in place of the backup's. The name must
                               *   be the same. NULL: the backup's. */
    uint32_t replicas;   /**< In place of the configuration's. 0: as there. */
    uint32_t chunk_size; /**< Octets of a chunk, 1 KiB to 1 MiB, at most what the server takes. 0: 128 KiB. */
    bool unchecked;      /**< Take a backup without a checksum, too. */
    char reserved[7];    /**< 0. */
} nbj_restore_options;
#define NBJ_RESTORE(...) NBJ_OPTIONS_OF(nbj_restore_options, __VA_ARGS__) /**< As designated initialisers. */

/** What is in a backup. A frozen layout. */
typedef struct nbj_snapshot_info {
    char stream[256];        /**< The stream's name. */
    uint64_t bytes;          /**< Octets of stream.tar.s2. */
    uint64_t messages;       /**< Of the stream, when the snapshot began; as the following. */
    uint64_t stream_bytes;   /**< Octets of those. */
    uint64_t first_sequence; /**< Of the oldest message. */
    uint64_t last_sequence;  /**< Of the newest. */
    uint64_t consumers;      /**< How many; also of a backup that leaves them out. */
    bool is_checked;         /**< It has a checksum, which is right. */
    char reserved[7];        /**< 0. */
} nbj_snapshot_info;

/** Saves a stream and its consumers, with their state, to a new backup.
 *  @param path     The backup's directory. It must not exist, or be empty; the one above it must exist.
 *  @param how      NULL: all defaults.
 *  @param options  NULL: all defaults. timeout_ns is not of the whole call: it ends when nothing came for so long; 0: 10 s.
 *  @param info     What was saved. May be NULL.
 *  @param error    May be NULL.
 *  @retval NBJ_E_FILE              A file could not be written: no permission, disk full, there is something already.
 *  @retval NBJ_E_STREAM_NOT_FOUND  There is no such stream.
 *  @retval NBJ_E_UNSUPPORTED       window_size, with an older server.
 *  @retval NBJ_E_TIMEOUT           Nothing came for too long.
 *  @retval NBJ_E_DISCONNECTED      The connection was lost: begin anew.
 *  @retval NBJ_E_FULL              Files were written so slowly that chunks were dropped (servers before 2.10 do not wait).
 *  @retval NBJ_E_CANCELLED         on_progress said so.
 *  @retval NBJ_E_JS                The server gave up; its reason is in @p error.
 *  @return otherwise as nbj_stream_ensure(). On failure there is nothing at @p path that was not there before. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_snapshot(nbj_client *client, const char *stream, const char *path,
                                                   const nbj_snapshot_options *how, const nbj_call_options *options,
                                                   nbj_snapshot_info *info, nbj_error *error);

/** Makes a stream of a backup, under the name it had, with its messages, their sequences and times, and its consumers. The
 *  backup is read and checked as a whole before the server is asked anything; nothing is restored of a damaged one.
 *
 *  A restore that fails leaves no stream: what a server has made of a part of it is deleted. Where the connection is lost
 *  while the server puts the stream together, the outcome is asked for as soon as there is one again, for timeout_ns at
 *  most. Do not publish to its subjects meanwhile.
 *  @param path     The backup's directory.
 *  @param how      NULL: all defaults.
 *  @param options  As for nbj_stream_snapshot().
 *  @param info     What was restored, as nbj_snapshot_info says. May be NULL.
 *  @param error    May be NULL.
 *  @retval NBJ_E_FILE         A file could not be read.
 *  @retval NBJ_E_DAMAGED      The backup is damaged, incomplete, or has no checksum. Nothing was restored.
 *  @retval NBJ_E_UNSUPPORTED  It is from a server of 2.15 or newer, and this one is older. Nothing was restored.
 *  @retval NBJ_E_JS           The server does not take it; with err_code 10130 there is a stream of that name already,
 *                             which is as it was.
 *  @return otherwise as nbj_stream_snapshot(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_restore(nbj_client *client, const char *path, const nbj_restore_options *how,
                                                  const nbj_call_options *options, nbj_snapshot_info *info,
                                                  nbj_error *error);

/** Reads a backup as nbj_stream_restore() does, without restoring it, and without a client. One without a checksum is
 *  right when its two files are there: see nbj_snapshot_info.is_checked.
 *  @param info   What is in it; zeros on failure.
 *  @param error  May be NULL.
 *  @return       NBJ_OK, NBJ_E_FILE, NBJ_E_DAMAGED, NBJ_E_NOMEM. */
NBJ_API NBJ_CHECKED nbj_status nbj_snapshot_check(const char *path, nbj_snapshot_info *info, nbj_error *error);

#ifdef __cplusplus
}
#endif
#endif
