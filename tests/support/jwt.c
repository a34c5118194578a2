/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and JSON by hand, Ed25519 and SHA-256 by OpenSSL. Keeps nothing but the text of ts_authority_config(). */
#define _GNU_SOURCE

#include "jwt.h"

#include "check.h"

#include <nbj/export.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define HEADER "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}"

/* -- texts -- */

/* Bit by bit: slow, short and plain. */
static void encode(const char *alphabet, int bits, const void *octets, size_t len, char *out)
{
    const uint8_t *in = octets;
    size_t total = 8 * len;

    for (size_t at = 0; at < total; at += (size_t)bits) {
        int value = 0;
        for (size_t bit = at; bit < at + (size_t)bits; bit++)
            value = 2 * value + (bit < total ? in[bit / 8] >> (7 - bit % 8) & 1 : 0);
        *out++ = alphabet[value];
    }
    *out = '\0';
}

/* The text of |len| octets with their checksum; there is room for it behind them. */
static void seal(uint8_t *octets, size_t len, char *out)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < 8 * len; i++) {
        int bit = octets[i / 8] >> (7 - i % 8) & 1;
        int carry = (crc >> 15) ^ bit;
        crc = (uint16_t)(crc << 1);
        if (carry)
            crc ^= 0x1021;
    }
    octets[len] = (uint8_t)crc;
    octets[len + 1] = (uint8_t)(crc >> 8);
    encode(BASE32, 5, octets, len + 2, out);
}

static void must(bool ok, const char *what)
{
    if (!ok)
        TS_FAIL("%s", what);
}

/* -- keys -- */

static EVP_PKEY *pair_of(const ts_nkey *key)
{
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->raw, sizeof key->raw);

    must(pair != NULL, "no Ed25519 key");
    return pair;
}

ts_nkey ts_nkey_new(char kind)
{
    ts_nkey key;
    uint8_t prefix = (uint8_t)((kind - 'A') << 3);
    uint8_t seed[36] = { (uint8_t)(18 << 3 | prefix >> 5), (uint8_t)((prefix & 31) << 3) };
    uint8_t public_key[35] = { prefix };
    size_t len = 32;

    must(RAND_bytes(key.raw, sizeof key.raw) == 1, "no random octets");
    EVP_PKEY *pair = pair_of(&key);
    must(EVP_PKEY_get_raw_public_key(pair, public_key + 1, &len) == 1, "no public key");
    EVP_PKEY_free(pair);
    memcpy(seed + 2, key.raw, sizeof key.raw);
    seal(seed, 34, key.seed);
    seal(public_key, 33, key.public_key);
    return key;
}

void ts_nkey_sign(const ts_nkey *key, const void *octets, size_t len, char out[87])
{
    EVP_PKEY *pair = pair_of(key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t raw[64];
    size_t raw_len = sizeof raw;

    must(ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair) == 1 &&
             EVP_DigestSign(ctx, raw, &raw_len, octets, len) == 1,
         "no signature");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pair);
    encode(BASE64URL, 6, raw, sizeof raw, out);
}

/* -- JWTs -- */

/* The claims' own identifier: the digest of what they are without it. */
static void digest(const char *text, char out[53])
{
    uint8_t octets[32];
    unsigned len = sizeof octets;

    must(EVP_Digest(text, strlen(text), octets, &len, EVP_sha512_256(), NULL) == 1, "no digest");
    encode(BASE32, 5, octets, sizeof octets, out);
}

/* |issuer| says |nats| of |subject|. |expires| 0: never. */
static void issue(const ts_nkey *issuer, const char *subject, time_t expires, const char *nats, char out[TS_JWT_MAX])
{
    char claims[TS_JWT_MAX], body[TS_JWT_MAX], exp[40] = "", id[53];

    if (expires != 0)
        snprintf(exp, sizeof exp, "\"exp\":%lld,", (long long)expires);
    snprintf(body, sizeof body,
             "%s\"iat\":%lld,\"iss\":\"%s\",\"name\":\"test\",\"sub\":\"%s\",\"nats\":{%s,\"version\":2}}", exp,
             (long long)time(NULL), issuer->public_key, subject, nats);
    digest(body, id);
    int n = snprintf(claims, sizeof claims, "{\"jti\":\"%s\",%s", id, body);
    must(n > 0 && (size_t)n < sizeof claims && 4 * (size_t)n / 3 + 160 < TS_JWT_MAX, "the claims are too long");
    encode(BASE64URL, 6, HEADER, strlen(HEADER), out);
    strcat(out, ".");
    encode(BASE64URL, 6, claims, (size_t)n, out + strlen(out));
    size_t signed_len = strlen(out);
    strcat(out, ".");
    ts_nkey_sign(issuer, out, signed_len, out + signed_len + 1);
}

static void issue_account(ts_authority *a, time_t expires, const char *more)
{
    char nats[512];

    snprintf(nats, sizeof nats,
             "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,\"exports\":-1,\"wildcards\":true,"
             "\"conn\":-1,\"leaf\":-1},\"default_permissions\":{\"pub\":{},\"sub\":{}}%s,\"type\":\"account\"",
             more);
    issue(&a->operator_key, a->account_key.public_key, expires, nats, a->account_jwt);
}

ts_authority ts_authority_new(void)
{
    ts_authority a;

    a.operator_key = ts_nkey_new('O');
    a.account_key = ts_nkey_new('A');
    issue(&a.operator_key, a.operator_key.public_key, 0, "\"type\":\"operator\"", a.operator_jwt);
    issue_account(&a, 0, "");
    return a;
}

void ts_authority_revoke(ts_authority *a, const char *user_public_key)
{
    char more[160];

    snprintf(more, sizeof more, ",\"revocations\":{\"%s\":%lld}", user_public_key, (long long)time(NULL));
    issue_account(a, 0, more);
}

void ts_authority_expire(ts_authority *a, int seconds)
{
    issue_account(a, seconds != 0 ? time(NULL) + seconds : 0, "");
}

const char *ts_authority_config(const ts_authority *a)
{
    static char text[2 * TS_JWT_MAX + 256];

    snprintf(text, sizeof text, "operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n", a->operator_jwt,
             a->account_key.public_key, a->account_jwt);
    return text;
}

void ts_user_jwt(const ts_authority *a, const ts_nkey *user, const ts_user_claims *claims, char out[TS_JWT_MAX])
{
    const ts_user_claims defaults = { 0 };
    const ts_user_claims *c = claims != NULL ? claims : &defaults;
    char nats[1024];

    snprintf(nats, sizeof nats, "%s%s%s\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\"",
             c->permissions != NULL ? c->permissions : "", c->permissions != NULL ? "," : "",
             c->bearer ? "\"bearer_token\":true," : "");
    issue(&a->account_key, user->public_key, c->lifetime_s != 0 ? time(NULL) + c->lifetime_s : 0, nats, out);
}

/* -- files -- */

void ts_write_text(const char *path, const char *text)
{
    char beside[512];

    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *f = fopen(beside, "we");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0 || rename(beside, path) != 0)
        TS_FAIL("%s: %s", path, strerror(errno));
}

void ts_write_creds(const char *path, const char *jwt, const char *seed)
{
    char text[TS_JWT_MAX + 1024];
    int n = snprintf(text, sizeof text, "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n", jwt);

    if (seed != NULL)
        snprintf(text + n, sizeof text - (size_t)n,
                 "\n************************* IMPORTANT *************************\n"
                 "NKEY Seed printed below can be used to sign and prove identity.\n"
                 "NKEYs are sensitive and should be treated as secrets.\n\n"
                 "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n\n"
                 "*************************************************************\n",
                 seed);
    ts_write_text(path, text);
}
