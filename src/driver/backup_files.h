/* SPDX-License-Identifier: Apache-2.0 */
/* A backup's two files on the disk (nbj/snapshot.h says how they lie there). Reads and writes block: never under a lock,
 * never in the thread that leads. What is in backup.json is js/backup's. */
#ifndef NBJ_DRIVER_BACKUP_FILES_H
#define NBJ_DRIVER_BACKUP_FILES_H

#include "js/backup.h"

#include <openssl/evp.h>

/* All that fail fill |error|, which may not be NULL: NBJ_E_FILE, NBJ_E_DAMAGED, NBJ_E_NOMEM. */

/* --- writing: begin, describe, put …, sum, finish; end in any case --- */

typedef struct nbj__backup_writer {
    const nbj_allocator *alloc;
    char *path, *partial; /* the directory's name in the end, and until then */
    int dir, data;        /* descriptors; -1: none */
    EVP_MD_CTX *sum;
    uint64_t bytes;
} nbj__backup_writer;

nbj_status nbj__backup_writer_begin(nbj__backup_writer *w, const nbj_allocator *alloc, const char *path,
                                    nbj_error *error);
nbj_status nbj__backup_writer_describe(nbj__backup_writer *w, nbj_bytes description, nbj_error *error);
nbj_status nbj__backup_writer_put(nbj__backup_writer *w, nbj_bytes data, nbj_error *error);
nbj_status nbj__backup_writer_sum(nbj__backup_writer *w, char sha256[NBJ__SHA256_TEXT], nbj_error *error);

/* With backup.json as it shall be. NBJ_OK: it is on the disk under its name. */
nbj_status nbj__backup_writer_finish(nbj__backup_writer *w, nbj_bytes text, nbj_error *error);
void nbj__backup_writer_end(nbj__backup_writer *w); /* what is not finished is removed; a zeroed one too */

/* --- reading: begin, then all of it, as often as wanted; end in any case --- */

typedef struct nbj__backup_reader {
    const nbj_allocator *alloc;
    char *path;
    int dir, data;
    nbj__buf text;
    nbj__backup about;
    EVP_MD_CTX *sum;
    uint64_t size; /* of the data */
    uint64_t read; /* of that, since the last rewind */
} nbj__backup_reader;

nbj_status nbj__backup_reader_begin(nbj__backup_reader *r, const nbj_allocator *alloc, const char *path,
                                    nbj_error *error);
nbj_status nbj__backup_reader_rewind(nbj__backup_reader *r, nbj_error *error);

/* At most |cap| octets to |at|. At the end |*len| is 0, and NBJ_OK says that the checksum, if there is one, was right. */
nbj_status nbj__backup_reader_next(nbj__backup_reader *r, uint8_t *at, size_t cap, size_t *len, nbj_error *error);
void nbj__backup_reader_end(nbj__backup_reader *r); /* a zeroed one too */

#endif
