/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials in files: ".creds" (a user's JWT and the seed of its key, each between lines of dashes), or a lone seed or
 * JWT. Errors name the file and what is wrong with it, and quote nothing of what is in it. */
#ifndef NBJ_DRIVER_CREDS_H
#define NBJ_DRIVER_CREDS_H

#include <nbj/alloc.h>
#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

#define NBJ__CREDS_MAX 65536u /* octets of a file */

typedef struct nbj__creds {
    nbj_bytes jwt, seed;        /* views into |octets|; one of them may be empty */
    const nbj_allocator *alloc; /* of what follows */
    uint8_t *octets;
    size_t size;
} nbj__creds;

/* Finds a JWT and a seed in |text|, of which neither is checked any further. NBJ_E_CREDENTIALS: there is none, or
 * something is cut off; |why| says so as static text. Fills only |jwt| and |seed|. */
nbj_status nbj__creds_parse(nbj_bytes text, nbj__creds *out, const char **why);

/* Reads a file. After success |out| is to be wiped; else it is empty. NBJ_E_CREDENTIALS or NBJ_E_NOMEM. */
nbj_status nbj__creds_read(const nbj_allocator *alloc, const char *path, nbj__creds *out, nbj_error *error);

/* The seed has done its work: it is overwritten, the JWT stays. */
void nbj__creds_drop_seed(nbj__creds *c);
void nbj__creds_wipe(nbj__creds *c); /* an empty one too */

/* Whether |jwt| is one of a bearer, who needs no key. NBJ_E_CREDENTIALS: it is no JWT at all. NBJ_E_NOMEM. */
nbj_status nbj__jwt_is_bearer(const nbj_allocator *alloc, nbj_bytes jwt, bool *out);

/* Fills |error| with NBJ_E_CREDENTIALS, or |status|, and the name of a file with what is wrong with it. Returns the status. */
nbj_status nbj__creds_error(nbj_error *error, nbj_status status, const char *path, const char *why);

#endif
