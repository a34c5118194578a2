/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of secrets where none may: in texts, in another process's memory, in a core dump of it. A few octets in a
 * row of a secret, wherever in it, count as found: allocators write over the beginning of what they get back, and copies
 * go by way of vector registers. */
#ifndef NBJ_TEST_REMAINS_H
#define NBJ_TEST_REMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TS_PIECE 12 /* octets in a row that count */
#define TS_SECRETS_MAX 64

typedef struct ts_secret {
    const char *name; /* borrowed */
    uint8_t *octets;  /* a copy */
    size_t len;
    unsigned found; /* pieces */
} ts_secret;

typedef struct ts_remains {
    ts_secret secret[TS_SECRETS_MAX];
    size_t count;
    uint8_t filter[131072]; /* of the beginnings of pieces */
    uint64_t last;          /* where something was found: the next octet is no news */
    char report[2048];      /* the first of what was found */
} ts_remains;

/* |r| begins zeroed. */
void ts_remains_of(ts_remains *r, const char *name, const void *octets, size_t len);
void ts_remains_forget(ts_remains *r);                            /* what was found; the secrets stay */
void ts_remains_free(ts_remains *r);                              /* zeroed again */
unsigned ts_remains_found(const ts_remains *r, const char *name); /* pieces of that secret; NULL: of all */

/* Each adds to what was found. */
void ts_remains_in(ts_remains *r, const char *where, const void *octets, size_t len);
void ts_remains_in_process(ts_remains *r, pid_t pid); /* all that it can write */
void ts_remains_in_file(ts_remains *r, const char *path);

#endif
