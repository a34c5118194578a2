/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's snapshot and restore as conversations, without sockets and files: who has them (client/snapshot.c) gives in
 * what comes and is told what to do.
 *
 *   snapshot   op: STREAM.SNAPSHOT → description; then chunks to an inbox, each taken, kept, and answered with nothing
 *              to its reply subject, until one without octets ends it: |status| 204, or none (older servers, and short
 *              ones) well, any other badly
 *   restore    op: STREAM.RESTORE → subject; then chunks to it, of which some are under way at once, each answered with
 *              nothing; then one without octets, which is answered when the stream is there
 *
 * A chunk of a snapshot is sent once. That none is missing is seen by its number, and its owner sees to it that the
 * connection was the same from the first to the last. */
#ifndef NBJ_JS_SNAPSHOT_H
#define NBJ_JS_SNAPSHOT_H

#include "js/backup.h"
#include "js/op.h"

#define NBJ__CHUNK_MIN 1024u
#define NBJ__CHUNK_MAX (1u << 20)
#define NBJ__CHUNK_DEFAULT (128u << 10)
#define NBJ__SNAPSHOT_WINDOW_MAX (32u << 20)
#define NBJ__RESTORE_WINDOW 16u /* chunks under way */
#define NBJ__NAME_TAKEN 10130   /* err_code of a restore: there is a stream of that name already */

/* --- snapshot --- */

typedef struct nbj__snapshot_want {
    const char *stream, *inbox;
    uint32_t chunk_size, window_size; /* 0: the server's */
    bool no_consumers, check_messages;
} nbj__snapshot_want;

typedef struct nbj__snapshot_op {
    nbj__op op;
    nbj__snapshot_want want;
    char *stream, *inbox;
    nbj__buf description; /* once done: as nbj__backup_describe writes it */
    nbj__stream_state state;
} nbj__snapshot_op;

/* NULL: no memory. */
nbj__snapshot_op *nbj__snapshot_new(const nbj_allocator *alloc, const nbj__snapshot_want *want);

typedef struct nbj__snapshot_in {
    uint64_t chunks, bytes;
} nbj__snapshot_in;

/* What came to the inbox. NBJ_MORE: its payload is the next piece of the data; then answer it. NBJ_OK: that was all.
 * Otherwise |error|: NBJ_E_BAD_REPLY (a chunk is missing), NBJ_E_JS (the server gave up). */
nbj_status nbj__snapshot_take(nbj__snapshot_in *in, const nbj_msg *msg, const char *stream, nbj_error *error);

/* --- restore --- */

typedef struct nbj__restore_op {
    nbj__op op;
    char *stream;
    nbj__buf request;
    bool is_new_format;
    char subject[NBJ__API_SUBJECT_MAX]; /* once done: where chunks go */
} nbj__restore_op;

/* Takes |request|, also when there is no memory: NULL. */
nbj__restore_op *nbj__restore_new(const nbj_allocator *alloc, const char *stream, nbj__buf *request,
                                  bool is_new_format);

typedef struct nbj__restore_out { /* begins zeroed */
    uint64_t sent, answered;      /* chunks */
    bool is_ending;               /* the one without octets was sent, too */
    bool is_unheard;              /* nobody listened to the first chunk: it has to be sent again */
} nbj__restore_out;

/* Whether a chunk may be sent; the first one goes alone, until it is proved that it arrived. */
bool nbj__restore_may_send(const nbj__restore_out *r);

/* What came in answer. NBJ_MORE: look again what may be done. NBJ_OK: the stream is there, in |state|. Otherwise |error|. */
nbj_status nbj__restore_take(nbj__restore_out *r, const nbj_msg *msg, const char *stream, nbj__stream_state *state,
                             nbj_error *error);

/* --- what has become of it --- */

typedef struct nbj__look_op {
    nbj__op op;
    char *stream;
    bool deletes; /* … instead of looking */
    nbj__stream_state state;
    uint64_t age_ns; /* of the stream, by the server's clock; 0: not said (before 2.10) */
} nbj__look_op;

nbj__look_op *nbj__look_new(const nbj_allocator *alloc, const char *stream, bool deletes); /* NULL: no memory */

/* Whether |now| is what a restore of |whole| has made: its oldest message is the snapshot's. */
bool nbj__state_is_of(const nbj__stream_state *now, const nbj__stream_state *whole);

#endif
