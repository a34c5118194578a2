/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are, told to a server that asks with a nonce: from a file with credentials, which is read anew each time. */
#ifndef NBJ_DRIVER_IDENTITY_H
#define NBJ_DRIVER_IDENTITY_H

#include "driver/creds.h"
#include "driver/nkey.h"

typedef struct nbj__identity_config {
    const nbj_allocator *alloc;
    const char *credentials_file; /* a user's JWT, with the seed of its key unless it is a bearer's */
    const char *nkey_seed_file;   /* a user's seed alone; not looked at where there is a credentials_file */
} nbj__identity_config;

/* Texts for CONNECT; empty: none. Not to be copied: they are within. */
typedef struct nbj__identity {
    nbj_bytes jwt;
    nbj_bytes nkey; /* the public key, where there is no JWT to tell it */
    nbj_bytes signature;
    nbj__creds file;
    char nkey_text[NBJ__NKEY_PUBLIC_LEN + 1];
    char signature_text[NBJ__NKEY_SIGNATURE_LEN + 1];
} nbj__identity;

/* Signs |nonce| as it is; an empty one, of a server that does not ask, needs no signature. After success |out| is to be
 * wiped; else it is empty. NBJ_E_CREDENTIALS or NBJ_E_SIGN with the file's name, or NBJ_E_NOMEM. */
nbj_status nbj__identity_answer(const nbj__identity_config *cfg, nbj_bytes nonce, nbj__identity *out, nbj_error *error);
void nbj__identity_wipe(nbj__identity *i); /* an empty one too */

#endif
