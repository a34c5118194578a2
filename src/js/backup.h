/* SPDX-License-Identifier: Apache-2.0 */
/* What a backup's backup.json says: the stream's configuration and state, and our length and checksum of the data. The
 * files themselves are driver/backup's. */
#ifndef NBJ_JS_BACKUP_H
#define NBJ_JS_BACKUP_H

#include "base/buf.h"
#include "base/json_read.h"

#define NBJ__BACKUP_MAX ((size_t)2 << 20) /* of backup.json */
#define NBJ__SHA256_TEXT 65u              /* as hexadecimal digits, with the NUL */
#define NBJ__BACKUP_HEAD 64u              /* of the data, from which its format is seen */

/* A stream's state, as far as two can be compared by it. */
typedef struct nbj__stream_state {
    uint64_t messages, bytes, first_sequence, last_sequence, consumers;
    char first_time[48]; /* of the oldest message, as the server writes it; "": not said */
} nbj__stream_state;

typedef struct nbj__backup {
    nbj__json *json;
    char stream[256];
    nbj__stream_state state;
    bool has_sum;
    uint64_t bytes;                /* of the data */
    char sha256[NBJ__SHA256_TEXT]; /* of |described| octets of backup.json, and of the data */
    size_t described;
} nbj__backup;

/* |info| is an object with "state" in the server's form. */
void nbj__stream_state_read(const nbj__json *info, nbj__stream_state *out);

/* Appends {"config":…,"state":… of a server's answer, without the last brace, from which the checksum begins.
 * NBJ_E_BAD_REPLY: it has not both; NBJ_E_FULL, NBJ_E_NOMEM. */
nbj_status nbj__backup_describe(const nbj__json *answer, nbj__buf *out);

/* Appends the rest of backup.json. */
nbj_status nbj__backup_seal(nbj__buf *description, uint64_t bytes, const char *sha256);

/* Reads a whole backup.json. NBJ_E_DAMAGED: *|why| says what is wrong; NBJ_E_NOMEM. Freed by nbj__backup_free. */
nbj_status nbj__backup_read(nbj_bytes text, nbj__backup *out, const char **why);
void nbj__backup_free(nbj__backup *b); /* a zeroed one too */

/* What to ask a server for in order to restore |b|: {"config":…,"state":…}, with |config| (JSON; NULL: the backup's) and
 * |replicas| (0: the configuration's). NBJ_E_INVALID: |config| is no configuration of that stream; NBJ_E_FULL, NBJ_E_NOMEM. */
nbj_status nbj__backup_request(nbj__backup *b, const char *config, uint32_t replicas, nbj__buf *out);

/* Whether data that begins with |head| is in the format that servers write since 2.15. */
bool nbj__backup_is_new_format(nbj_bytes head);

#endif
