/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of NKeys, and Ed25519 by OpenSSL. Owns nothing: keys are the caller's, and every octet of a secret that
 * was worked on here is overwritten before a function returns. */
#include "driver/nkey.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#define SIGNATURE_RAW_LEN 64u
#define CRC_LEN 2u
#define PREFIX_OF_SEEDS (18u << 3)
#define SEED_OCTETS (2 + NBJ__NKEY_RAW_LEN + CRC_LEN) /* the prefix has two: of seeds, and the kind's */
#define PUBLIC_OCTETS (1 + NBJ__NKEY_RAW_LEN + CRC_LEN)

/* A kind's prefix is five bits, which are the letter that its public keys begin with. */
static const struct {
    uint8_t prefix;
    char letter;
    const char *not_a_user;
} kinds[] = {
    [NBJ__NKEY_OPERATOR] = { 14u << 3, 'O', "its seed is an operator's, not a user's" },
    [NBJ__NKEY_ACCOUNT] = { 0u << 3, 'A', "its seed is an account's, not a user's" },
    [NBJ__NKEY_USER] = { 20u << 3, 'U', NULL },
    [NBJ__NKEY_SERVER] = { 13u << 3, 'N', "its seed is a server's, not a user's" },
    [NBJ__NKEY_CLUSTER] = { 2u << 3, 'C', "its seed is a cluster's, not a user's" },
    [NBJ__NKEY_CURVE] = { 23u << 3, 'X', "its seed is one for encryption, not a user's" },
};

#define KINDS (sizeof kinds / sizeof kinds[0]) /* the first is none */

/* --- texts --- */

/* CRC-16/XMODEM. */
static unsigned crc16(const uint8_t *octets, size_t len)
{
    unsigned crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)octets[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1) ^ ((crc & 0x8000u) != 0 ? 0x1021u : 0);
    }
    return crc & 0xffffu;
}

/* |octets| with room for the checksum behind its first |len|, which goes there. */
static void seal(uint8_t *octets, size_t len)
{
    unsigned crc = crc16(octets, len);

    octets[len] = (uint8_t)(crc & 0xffu);
    octets[len + 1] = (uint8_t)(crc >> 8);
}

/* |len| octets as characters of |bits| bits each, and a NUL; without padding. */
static void encode(const char *alphabet, unsigned bits, const uint8_t *octets, size_t len, char *out)
{
    const unsigned mask = (1u << bits) - 1u;
    unsigned held = 0, value = 0;

    for (size_t i = 0; i < len; i++) {
        value = (value << 8 | octets[i]) & 0xffffu;
        for (held += 8; held >= bits; held -= bits)
            *out++ = alphabet[value >> (held - bits) & mask];
    }
    if (held > 0)
        *out++ = alphabet[value << (bits - held) & mask];
    *out = '\0';
}

static void encode_base32(const uint8_t *octets, size_t len, char *out)
{
    encode("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, octets, len, out);
}

/* -1: no character of base32. */
static int base32_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* A whole seed's characters into its octets. False: one is none of base32, or the bits left over are not zero. */
static bool decode_seed(nbj_bytes text, uint8_t out[SEED_OCTETS])
{
    unsigned held = 0, value = 0;

    for (size_t i = 0; i < text.len; i++) {
        int v = base32_value(text.ptr[i]);
        if (v < 0)
            return false;
        value = (value << 5 | (unsigned)v) & 0xfffu;
        held += 5;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(value >> held);
        }
    }
    return (value & ((1u << held) - 1u)) == 0;
}

/* What a text that cannot be a seed is. */
static const char *what_else(nbj_bytes text)
{
    if (text.len == 0)
        return "it has no seed";
    if (text.len == NBJ__NKEY_PUBLIC_LEN) {
        for (size_t i = 1; i < KINDS; i++) {
            if (text.ptr[0] == (uint8_t)kinds[i].letter)
                return "it has a public key where a seed is needed";
        }
    }
    if (text.ptr[0] == 'P')
        return "it has a private key where a seed is needed";
    if (text.ptr[0] != 'S')
        return "what should be its seed is none: a seed begins with S";
    return text.len < NBJ__NKEY_SEED_LEN ? "its seed is too short: some of it is missing"
                                         : "its seed is too long: something else is in it";
}

/* The kind and the key in the octets of a seed. Otherwise what is wrong with them. */
static const char *read_octets(const uint8_t octets[SEED_OCTETS], nbj__nkey *out)
{
    const uint8_t *crc = &octets[SEED_OCTETS - CRC_LEN];
    uint8_t prefix = (uint8_t)((octets[0] & 7u) << 5 | octets[1] >> 3);

    if (crc16(octets, SEED_OCTETS - CRC_LEN) != (crc[0] | (unsigned)crc[1] << 8))
        return "its seed's checksum is wrong: some character is not as it was";
    for (size_t i = 1; i < KINDS; i++) {
        if (kinds[i].prefix != prefix || (octets[1] & 7u) != 0)
            continue;
        out->kind = (nbj__nkey_kind)i;
        memcpy(out->raw, octets + 2, NBJ__NKEY_RAW_LEN);
        return NULL;
    }
    return "its seed is of an unknown kind";
}

nbj_status nbj__nkey_from_seed(nbj_bytes text, nbj__nkey *out, const char **why)
{
    uint8_t octets[SEED_OCTETS];

    if (text.len != NBJ__NKEY_SEED_LEN || text.ptr[0] != 'S')
        *why = what_else(text);
    else if (!decode_seed(text, octets))
        *why = "its seed has a character that no seed has";
    else
        *why = read_octets(octets, out);
    OPENSSL_cleanse(octets, sizeof octets);
    return *why == NULL ? NBJ_OK : NBJ_E_CREDENTIALS;
}

nbj_status nbj__nkey_from_user_seed(nbj_bytes text, nbj__nkey *out, const char **why)
{
    nbj_status st = nbj__nkey_from_seed(text, out, why);

    if (st != NBJ_OK || out->kind == NBJ__NKEY_USER)
        return st;
    *why = kinds[out->kind].not_a_user;
    nbj__nkey_wipe(out);
    return NBJ_E_CREDENTIALS;
}

void nbj__nkey_seed(const nbj__nkey *key, char out[NBJ__NKEY_SEED_LEN + 1])
{
    uint8_t octets[SEED_OCTETS];
    uint8_t prefix = kinds[key->kind].prefix;

    octets[0] = (uint8_t)(PREFIX_OF_SEEDS | prefix >> 5);
    octets[1] = (uint8_t)((prefix & 31u) << 3);
    memcpy(octets + 2, key->raw, NBJ__NKEY_RAW_LEN);
    seal(octets, SEED_OCTETS - CRC_LEN);
    encode_base32(octets, SEED_OCTETS, out);
    OPENSSL_cleanse(octets, sizeof octets);
}

void nbj__nkey_wipe(nbj__nkey *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

/* --- OpenSSL --- */

/* OpenSSL does not tell reliably whether memory was lacking. Its queue of errors is the program's and stays as it was. */
static nbj_status done(bool ok)
{
    ERR_pop_to_mark();
    return ok ? NBJ_OK : NBJ_E_SIGN;
}

static EVP_PKEY *open_key(const nbj__nkey *key)
{
    ERR_set_mark();
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->raw, sizeof key->raw);
}

nbj_status nbj__nkey_public(const nbj__nkey *key, char out[NBJ__NKEY_PUBLIC_LEN + 1])
{
    uint8_t octets[PUBLIC_OCTETS] = { kinds[key->kind].prefix };
    size_t len = NBJ__NKEY_RAW_LEN;
    EVP_PKEY *pair = open_key(key);
    nbj_status st = done(pair != NULL && EVP_PKEY_get_raw_public_key(pair, octets + 1, &len) == 1);

    EVP_PKEY_free(pair);
    out[0] = '\0';
    if (st != NBJ_OK)
        return st;
    seal(octets, sizeof octets - CRC_LEN);
    encode_base32(octets, sizeof octets, out);
    return NBJ_OK;
}

static bool sign_raw(EVP_PKEY *pair, nbj_bytes octets, uint8_t out[SIGNATURE_RAW_LEN])
{
    size_t len = SIGNATURE_RAW_LEN;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair) == 1 &&
              EVP_DigestSign(ctx, out, &len, octets.ptr, octets.len) == 1 && len == SIGNATURE_RAW_LEN;

    EVP_MD_CTX_free(ctx);
    return ok;
}

nbj_status nbj__nkey_sign(const nbj__nkey *key, nbj_bytes octets, char out[NBJ__NKEY_SIGNATURE_LEN + 1])
{
    uint8_t raw[SIGNATURE_RAW_LEN];

    out[0] = '\0';
    if (key->kind == NBJ__NKEY_CURVE)
        return NBJ_E_SIGN;
    EVP_PKEY *pair = open_key(key);
    nbj_status st = done(pair != NULL && sign_raw(pair, octets, raw));
    EVP_PKEY_free(pair);
    if (st == NBJ_OK)
        encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6, raw, sizeof raw, out);
    return st;
}
