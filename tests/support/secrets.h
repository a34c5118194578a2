/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets of all kinds that a client may have, new ones each time, in files of a folder of their own; servers that take
 * them; and all the forms in which a secret could be found again.
 *
 *   password, url      of ann, alone and in a URL        wrong         what no server takes
 *   token, token_url   likewise                          seed.nk       a user's
 *   user.creds         of another user                   bearer.creds  of one who needs no key
 *   broken.nk, broken.creds   with a character of the seed's that is not as it was
 *   ec, rsa, ed25519   .pem and .key; ec_old.key and rsa_old.key are the same in the forms before PKCS #8; ec_bare.key is
 *                      without its public part; both.pem is RSA's key and certificate
 *   ca.pem             who has certified the server      core/         an empty folder */
#ifndef NBJ_TEST_SECRETS_H
#define NBJ_TEST_SECRETS_H

#include "remains.h"

#define CANARY "canary" /* a file too, and what it is called in |remains| */
#define A_KEY "a key"   /* what those of TLS are called there */
#define SECRET_MAX 4096 /* octets of a file whose content is handed over, and some more */

typedef enum server_kind { OF_PASSWORD, OF_TOKEN, OF_NKEY, OF_JWT, OF_TLS, SERVER_KINDS } server_kind;

typedef struct secrets_parts secrets_parts;

typedef struct secrets {
    ts_remains remains; /* of all of them */
    secrets_parts *parts;
} secrets;

secrets *secrets_make(void); /* fails the test where it cannot */
void secrets_free(secrets *s);
const char *secrets_folder(const secrets *s);
const char *secrets_url(const secrets *s, server_kind kind);

#endif
