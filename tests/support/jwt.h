/* SPDX-License-Identifier: Apache-2.0 */
/* Who may issue NATS identities in a test: NKeys, JWTs of operator, account and user, .creds files, and a server's
 * configuration that trusts them. Shares no code with src/. */
#ifndef NBJ_TEST_JWT_H
#define NBJ_TEST_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TS_JWT_MAX 2048

typedef struct ts_nkey {
    uint8_t raw[32];
    char seed[59], public_key[57];
} ts_nkey;

/* |kind| is the letter that public keys begin with: O, A, U. A new one each time. */
ts_nkey ts_nkey_new(char kind);

/* base64url of the signature of |len| octets. */
void ts_nkey_sign(const ts_nkey *key, const void *octets, size_t len, char out[87]);

/* An operator with one account: what most tests need. */
typedef struct ts_authority {
    ts_nkey operator_key, account_key;
    char operator_jwt[TS_JWT_MAX];
    char account_jwt[TS_JWT_MAX];
} ts_authority;

ts_authority ts_authority_new(void);

/* The account revokes all JWTs of |user_public_key| that were issued until now. */
void ts_authority_revoke(ts_authority *a, const char *user_public_key);

/* The account expires |seconds| from now; 0: never. */
void ts_authority_expire(ts_authority *a, int seconds);

/* "operator: … resolver_preload: …" for ts_server_options.config. The text lives until the next call. */
const char *ts_authority_config(const ts_authority *a);

typedef struct ts_user_claims {
    int lifetime_s; /* 0: for ever. Negative: it has been over that long */
    bool bearer;
    const char *permissions; /* more members of "nats": "\"pub\":{\"allow\":[\"a.>\"]}"; NULL: none */
} ts_user_claims;

/* A JWT of |user|; |claims| NULL: all default. */
void ts_user_jwt(const ts_authority *a, const ts_nkey *user, const ts_user_claims *claims, char out[TS_JWT_MAX]);

/* As nsc writes it. |seed| NULL: without a block for it. Written beside and renamed, so that no reader sees a half. */
void ts_write_creds(const char *path, const char *jwt, const char *seed);
void ts_write_text(const char *path, const char *text); /* likewise */

#endif
