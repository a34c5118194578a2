/* SPDX-License-Identifier: Apache-2.0 */
/* NKeys: Ed25519 keys in NATS' text form, base32 of a prefix that says what the key is for, the key and a checksum.
 * What is wrong with a text is said without quoting any of it. */
#ifndef NBJ_DRIVER_NKEY_H
#define NBJ_DRIVER_NKEY_H

#include <nbj/bytes.h>
#include <nbj/status.h>

#define NBJ__NKEY_RAW_LEN 32u
#define NBJ__NKEY_SEED_LEN 58u      /* characters of a seed */
#define NBJ__NKEY_PUBLIC_LEN 56u    /* of a public key */
#define NBJ__NKEY_SIGNATURE_LEN 86u /* of a signature in base64url without padding */

typedef enum nbj__nkey_kind {
    NBJ__NKEY_OPERATOR = 1,
    NBJ__NKEY_ACCOUNT,
    NBJ__NKEY_USER,
    NBJ__NKEY_SERVER,
    NBJ__NKEY_CLUSTER,
    NBJ__NKEY_CURVE,
} nbj__nkey_kind;

typedef struct nbj__nkey {
    nbj__nkey_kind kind;
    uint8_t raw[NBJ__NKEY_RAW_LEN]; /* secret */
} nbj__nkey;

/* Reads a seed of any kind, or one of a user. NBJ_E_CREDENTIALS: it is none; |why|, static text, says what is wrong
 * with "it", the file that the text comes from. |out| is to be wiped after success. */
nbj_status nbj__nkey_from_seed(nbj_bytes text, nbj__nkey *out, const char **why);
nbj_status nbj__nkey_from_user_seed(nbj_bytes text, nbj__nkey *out, const char **why);

/* The text of its seed: a secret. */
void nbj__nkey_seed(const nbj__nkey *key, char out[NBJ__NKEY_SEED_LEN + 1]);

/* The text of its public key. NBJ_E_SIGN: OpenSSL cannot, for want of memory or of Ed25519. */
nbj_status nbj__nkey_public(const nbj__nkey *key, char out[NBJ__NKEY_PUBLIC_LEN + 1]);

/* The signature of |octets|. As above; a curve key cannot sign. */
nbj_status nbj__nkey_sign(const nbj__nkey *key, nbj_bytes octets, char out[NBJ__NKEY_SIGNATURE_LEN + 1]);

void nbj__nkey_wipe(nbj__nkey *key);

#endif
