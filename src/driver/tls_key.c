/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/tls_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"
#define PRIVATE "PRIVATE KEY"

/* Tags of DER. */
#define INTEGER 0x02
#define BIT_STRING 0x03
#define OCTET_STRING 0x04
#define OBJECT 0x06
#define SEQUENCE 0x30
#define CONTEXT(n) (0xa0 | (n))

/* A part of the decoded octets, which may be changed. */
typedef struct part {
    uint8_t *ptr;
    size_t len;
} part;

/* --- PEM --- */

static bool is(nbj_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.ptr, text, b.len) == 0;
}

static bool ends_with(nbj_bytes b, const char *text)
{
    size_t len = strlen(text);

    return b.len >= len && memcmp(b.ptr + b.len - len, text, len) == 0;
}

static const uint8_t *find(nbj_bytes in, const char *text)
{
    return in.len > 0 ? memmem(in.ptr, in.len, text, strlen(text)) : NULL;
}

static nbj_bytes behind(nbj_bytes b, const uint8_t *at)
{
    return nbj_view(at, b.len - (size_t)(at - b.ptr));
}

/* The next block with a private key, and what is left from its end on: nothing where it has none. False: no more. */
static bool next_key(nbj_bytes *pem, nbj_bytes *label, nbj_bytes *body)
{
    const uint8_t *at, *end;

    while ((at = find(*pem, BEGIN)) != NULL) {
        *pem = behind(*pem, at + strlen(BEGIN));
        at = find(*pem, DASHES);
        if (at == NULL)
            return false;
        *label = nbj_view(pem->ptr, (size_t)(at - pem->ptr));
        *pem = behind(*pem, at + strlen(DASHES));
        if (!ends_with(*label, PRIVATE))
            continue;
        end = find(*pem, END);
        end = end != NULL ? end : pem->ptr + pem->len;
        *body = nbj_view(pem->ptr, (size_t)(end - pem->ptr));
        *pem = behind(*pem, end);
        return true;
    }
    return false;
}

void nbj__tls_key_hide(uint8_t *pem, size_t len)
{
    nbj_bytes rest = nbj_view(pem, len), label, body;

    while (next_key(&rest, &label, &body)) {
        uint8_t *begin = pem + (label.ptr - pem) - strlen(BEGIN);
        uint8_t *end = pem + (rest.ptr - pem) + strlen(END) + label.len + strlen(DASHES);
        if (end > pem + len)
            end = pem + len;
        memset(begin, '\n', (size_t)(end - begin));
    }
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* To |out|, where there is room. False: something else than base64 is in it, such as what says that it is encrypted. */
static bool decode_base64(nbj_bytes text, part *out)
{
    unsigned held = 0, value = 0;

    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        uint8_t c = text.ptr[i];
        int v = base64_value(c);
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (v < 0)
            return false;
        value = (value << 6 | (unsigned)v) & 0x3fffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out->ptr[out->len++] = (uint8_t)(value >> held);
        }
    }
    return true;
}

/* --- DER --- */

/* The length at the beginning of |from|, taken from there. */
static bool take_len(part *from, size_t *len)
{
    if (from->len == 0)
        return false;
    *len = *from->ptr++;
    from->len--;
    if (*len < 128)
        return *len <= from->len;
    size_t octets = *len - 128;
    if (octets == 0 || octets > 3 || octets > from->len)
        return false;
    for (*len = 0; octets > 0; octets--) {
        *len = *len << 8 | *from->ptr++;
        from->len--;
    }
    return *len <= from->len;
}

/* What is next in |from|, if it has that tag: its content. */
static bool take(part *from, uint8_t tag, part *out)
{
    size_t len = 0;

    if (from->len == 0 || from->ptr[0] != tag)
        return false;
    from->ptr++;
    from->len--;
    if (!take_len(from, &len))
        return false;
    *out = (part){ from->ptr, len };
    from->ptr += len;
    from->len -= len;
    return true;
}

static bool take_version(part *from, uint8_t max)
{
    part version;

    return take(from, INTEGER, &version) && version.len == 1 && version.ptr[0] <= max;
}

/* A number that was in DER, for OpenSSL, which wants it in the processor's order: turned around where it is. */
static OSSL_PARAM number(const char *name, part p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (size_t i = 0; i < p.len / 2; i++) {
        uint8_t octet = p.ptr[i];
        p.ptr[i] = p.ptr[p.len - 1 - i];
        p.ptr[p.len - 1 - i] = octet;
    }
#endif
    return OSSL_PARAM_construct_BN(name, p.ptr, p.len);
}

/* --- keys --- */

static EVP_PKEY *make(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* RSAPrivateKey (RFC 8017, A.1.2) of two primes. */
static EVP_PKEY *read_rsa(part der)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                         OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                         OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                         OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    enum { NUMBERS = sizeof names / sizeof names[0] };
    OSSL_PARAM params[NUMBERS + 1];
    part all, p;

    if (!take(&der, SEQUENCE, &all) || !take_version(&all, 0))
        return NULL;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!take(&all, INTEGER, &p) || p.len == 0 || p.ptr[0] >= 128)
            return NULL;
        params[i] = number(names[i], p);
    }
    params[NUMBERS] = OSSL_PARAM_construct_end();
    return make("RSA", params);
}

/* The name of the curve whose OBJECT is at the beginning of |der|; NULL: it is not there, or nobody knows it. */
static const char *curve_of(part der)
{
    const uint8_t *at = der.ptr;
    ASN1_OBJECT *object = der.len > 0 && at[0] == OBJECT ? d2i_ASN1_OBJECT(NULL, &at, (long)der.len) : NULL;
    int nid = object != NULL ? OBJ_obj2nid(object) : NID_undef;

    ASN1_OBJECT_free(object);
    return nid != NID_undef ? OBJ_nid2sn(nid) : NULL;
}

/* ECPrivateKey (RFC 5915). |curve| NULL: it is in it. */
static EVP_PKEY *read_ec(part der, const char *curve)
{
    part all, secret, named, outer, point;

    if (!take(&der, SEQUENCE, &all) || !take_version(&all, 1) || !take(&all, OCTET_STRING, &secret))
        return NULL;
    if (take(&all, CONTEXT(0), &named) && curve == NULL)
        curve = curve_of(named);
    if (curve == NULL || !take(&all, CONTEXT(1), &outer) || !take(&outer, BIT_STRING, &point) || point.len < 2 ||
        point.ptr[0] != 0)
        return NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.ptr + 1, point.len - 1),
        number(OSSL_PKEY_PARAM_PRIV_KEY, secret),
        OSSL_PARAM_construct_end(),
    };
    return make("EC", params);
}

/* CurvePrivateKey (RFC 8410, 7). */
static EVP_PKEY *read_edwards(const char *type, part der)
{
    part secret;

    if (!take(&der, OCTET_STRING, &secret))
        return NULL;
    return EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, secret.ptr, secret.len);
}

/* PrivateKeyInfo, OneAsymmetricKey (RFC 5958). */
static EVP_PKEY *read_pkcs8(part der)
{
    static const uint8_t rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
    static const uint8_t ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
    static const uint8_t ed25519[] = { 0x2b, 0x65, 0x70 }, ed448[] = { 0x2b, 0x65, 0x71 };
    part all, algorithm, object, inner;

    if (!take(&der, SEQUENCE, &all) || !take_version(&all, 1) || !take(&all, SEQUENCE, &algorithm) ||
        !take(&algorithm, OBJECT, &object) || !take(&all, OCTET_STRING, &inner))
        return NULL;
    nbj_bytes kind = nbj_view(object.ptr, object.len);
    if (nbj_bytes_equal(kind, nbj_view(rsa, sizeof rsa)))
        return read_rsa(inner);
    if (nbj_bytes_equal(kind, nbj_view(ec, sizeof ec)))
        return read_ec(inner, curve_of(algorithm));
    if (nbj_bytes_equal(kind, nbj_view(ed25519, sizeof ed25519)))
        return read_edwards("ED25519", inner);
    return nbj_bytes_equal(kind, nbj_view(ed448, sizeof ed448)) ? read_edwards("ED448", inner) : NULL;
}

static EVP_PKEY *read_der(nbj_bytes label, part der)
{
    if (is(label, PRIVATE))
        return read_pkcs8(der);
    if (is(label, "RSA " PRIVATE))
        return read_rsa(der);
    return is(label, "EC " PRIVATE) ? read_ec(der, NULL) : NULL;
}

EVP_PKEY *nbj__tls_key_read(nbj_bytes pem)
{
    nbj_bytes label, body;
    EVP_PKEY *key = NULL;

    if (!next_key(&pem, &label, &body) || pem.len == 0)
        return NULL;
    ERR_set_mark();
    size_t cap = body.len + 1; /* more than enough */
    part der = { OPENSSL_malloc(cap), 0 };
    if (der.ptr != NULL && decode_base64(body, &der))
        key = read_der(label, der);
    OPENSSL_clear_free(der.ptr, cap);
    ERR_pop_to_mark();
    return key;
}
