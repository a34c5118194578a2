/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "secrets.h"

#include "certs.h"
#include "check.h"
#include "jwt.h"
#include "server.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define TEXT_LEN 48
#define DER_MAX 4096
#define BASE32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

#define NEED(cond)                     \
    do {                               \
        if (!(cond))                   \
            TS_FAIL("cannot: " #cond); \
    } while (0)

struct secrets_parts {
    ts_certs *certs;
    char folder[256];
    ts_server *server[SERVER_KINDS];
    char password[TEXT_LEN + 1], token[TEXT_LEN + 1];
    ts_nkey lone, user, bearer;
    ts_authority authority;
    char authorities[8192]; /* of clients, PEM */
};

static const char *path_of(secrets *s, const char *file)
{
    return ts_certs_path(s->parts->certs, file);
}

static void random_text(char out[TEXT_LEN + 1])
{
    NEED(getrandom(out, TEXT_LEN, 0) == TEXT_LEN);
    for (size_t i = 0; i < TEXT_LEN; i++)
        out[i] = (char)('a' + (unsigned char)out[i] % 26);
    out[TEXT_LEN] = '\0';
}

/* A new secret in |file|. */
static void make_text(secrets *s, const char *name, const char *file, char out[TEXT_LEN + 1])
{
    random_text(out);
    ts_write_text(path_of(s, file), out);
    ts_remains_of(&s->remains, name, out, TEXT_LEN);
}

/* -- keys of users -- */

static void to_base32(const uint8_t *octets, size_t len, char *out)
{
    for (size_t at = 0; at < 8 * len; at += 5) {
        int value = 0;
        for (size_t bit = at; bit < at + 5; bit++)
            value = 2 * value + (bit < 8 * len ? octets[bit / 8] >> (7 - bit % 8) & 1 : 0);
        *out++ = BASE32[value];
    }
    *out = '\0';
}

static ts_nkey make_user(secrets *s)
{
    ts_nkey key = ts_nkey_new('U');
    uint8_t expanded[SHA512_DIGEST_LENGTH];
    char alone[64];

    SHA512(key.raw, sizeof key.raw, expanded);
    expanded[0] &= 248; /* what Ed25519 signs with (RFC 8032, 5.1.5) */
    expanded[31] = (uint8_t)((expanded[31] & 63) | 64);
    to_base32(key.raw, sizeof key.raw, alone);
    ts_remains_of(&s->remains, "a seed's text", key.seed, strlen(key.seed));
    ts_remains_of(&s->remains, "a seed's octets", key.raw, sizeof key.raw);
    ts_remains_of(&s->remains, "a seed's octets in base32", alone, strlen(alone));
    ts_remains_of(&s->remains, "a seed's expanded key", expanded, sizeof expanded);
    return key;
}

/* One character in the middle is another. */
static const char *broken(const ts_nkey *key)
{
    static char text[sizeof key->seed];

    memcpy(text, key->seed, sizeof text);
    text[30] = text[30] == 'A' ? 'B' : 'A';
    return text;
}

static void make_users(secrets *s)
{
    secrets_parts *p = s->parts;
    char jwt[TS_JWT_MAX];

    p->lone = make_user(s);
    ts_write_text(path_of(s, "seed.nk"), p->lone.seed);
    ts_write_text(path_of(s, "broken.nk"), broken(&p->lone));
    p->authority = ts_authority_new();
    p->user = make_user(s);
    ts_user_jwt(&p->authority, &p->user, NULL, jwt);
    ts_write_creds(path_of(s, "user.creds"), jwt, p->user.seed);
    ts_write_creds(path_of(s, "broken.creds"), jwt, broken(&p->user));
    p->bearer = ts_nkey_new('U');
    ts_user_jwt(&p->authority, &p->bearer, &(ts_user_claims){ .bearer = true }, jwt);
    ts_write_creds(path_of(s, "bearer.creds"), jwt, NULL);
    const char *signature = strrchr(jwt, '.') + 1; /* what stands before it lets nobody in */
    ts_remains_of(&s->remains, "a bearer's JWT", signature, strlen(signature));
}

/* -- keys of TLS -- */

/* A secret number as it is stored, as OpenSSL calculates with it, and its part of the PEM text. */
static void add_number(secrets *s, const uint8_t *number, size_t len, const uint8_t *der, size_t der_len,
                       const char *pem)
{
    uint8_t reversed[1024];
    char text[2 * DER_MAX];
    const uint8_t *at = memmem(der, der_len, number, len);

    NEED(len <= sizeof reversed && at != NULL);
    for (size_t i = 0; i < len; i++)
        reversed[i] = number[len - 1 - i];
    ts_remains_of(&s->remains, A_KEY, number, len);
    ts_remains_of(&s->remains, A_KEY, reversed, len);
    size_t from = ((size_t)(at - der) + 2) / 3 * 4, to = ((size_t)(at - der) + len) / 3 * 4, n = 0;
    for (size_t i = from; i < to; i++) { /* 64 characters a line */
        if (i % 64 == 0 && i > from)
            text[n++] = '\n';
        text[n++] = pem[i + i / 64];
    }
    ts_remains_of(&s->remains, A_KEY, text, n);
}

static void add_numbers(secrets *s, const EVP_PKEY *key, const uint8_t *der, size_t der_len, const char *pem)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_PRIV_KEY,        OSSL_PKEY_PARAM_RSA_D,
                                         OSSL_PKEY_PARAM_RSA_FACTOR1,     OSSL_PKEY_PARAM_RSA_FACTOR2,
                                         OSSL_PKEY_PARAM_RSA_EXPONENT1,   OSSL_PKEY_PARAM_RSA_EXPONENT2,
                                         OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    uint8_t octets[1024];
    size_t len = sizeof octets, added = 0;

    if (EVP_PKEY_is_a(key, "ED25519")) {
        NEED(EVP_PKEY_get_raw_private_key(key, octets, &len) == 1);
        add_number(s, octets, len, der, der_len, pem);
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        BIGNUM *number = NULL;
        if (EVP_PKEY_get_bn_param(key, names[i], &number) != 1)
            continue;
        len = (size_t)BN_bn2bin(number, octets);
        BN_clear_free(number);
        add_number(s, octets, len, der, der_len, pem);
        added++;
    }
    NEED(added == 1 || added == 6);
}

/* In |file|. |old|: in the form before PKCS #8. */
static void write_key(secrets *s, const char *file, EVP_PKEY *key, bool old)
{
    BIO *out = BIO_new_file(path_of(s, file), "w");
    BIO *text = BIO_new(BIO_s_mem());
    char *pem = NULL;

    NEED(out != NULL && text != NULL);
    for (int i = 0; i < 2; i++) {
        BIO *to = i == 0 ? out : text;
        NEED(old ? PEM_write_bio_PrivateKey_traditional(to, key, NULL, NULL, 0, NULL, NULL) == 1
                 : PEM_write_bio_PKCS8PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1);
    }
    BIO_write(text, "", 1);
    BIO_get_mem_data(text, &pem);
    BIO *again = BIO_new_mem_buf(pem, -1);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_len = 0;
    NEED(PEM_read_bio(again, &name, &header, &der, &der_len) == 1);
    add_numbers(s, key, der, (size_t)der_len, strchr(pem, '\n') + 1);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(again);
    BIO_free(text);
    BIO_free(out);
}

/* By itself, for clients: servers have it as its own authority. */
static void write_cert(secrets *s, const char *file, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    X509_NAME *name = cert != NULL ? X509_get_subject_name(cert) : NULL;
    char *pem = NULL;
    size_t used = strlen(s->parts->authorities);

    NEED(out != NULL && name != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
    NEED(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
    NEED(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)file, -1, -1, 0) == 1);
    NEED(X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1);
    NEED(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    NEED(X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL);
    NEED(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
    NEED(PEM_write_bio_X509(out, cert) == 1 && BIO_write(out, "", 1) == 1);
    BIO_get_mem_data(out, &pem);
    ts_write_text(path_of(s, file), pem);
    snprintf(s->parts->authorities + used, sizeof s->parts->authorities - used, "%s", pem);
    BIO_free(out);
    X509_free(cert);
}

static void append(FILE *to, const char *path)
{
    char octets[8192];
    FILE *from = fopen(path, "re");

    NEED(from != NULL);
    size_t len = fread(octets, 1, sizeof octets, from);
    fclose(from);
    NEED(fwrite(octets, 1, len, to) == len);
}

static void join(secrets *s, const char *file, const char *first, const char *second)
{
    FILE *to = fopen(path_of(s, file), "we");

    NEED(to != NULL);
    append(to, path_of(s, first));
    append(to, path_of(s, second));
    NEED(fclose(to) == 0);
}

static void make_tls_keys(secrets *s)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
    EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    NEED(ec != NULL && rsa != NULL && ed25519 != NULL);
    write_key(s, "ec.key", ec, false);
    write_key(s, "ec_old.key", ec, true);
    write_key(s, "rsa.key", rsa, false);
    write_key(s, "rsa_old.key", rsa, true);
    write_key(s, "ed25519.key", ed25519, false);
    NEED(EVP_PKEY_set_int_param(ec, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0) == 1);
    write_key(s, "ec_bare.key", ec, false);
    write_cert(s, "ec.pem", ec);
    write_cert(s, "rsa.pem", rsa);
    write_cert(s, "ed25519.pem", ed25519);
    ts_write_text(path_of(s, "clients.pem"), s->parts->authorities);
    join(s, "both.pem", "rsa.key", "rsa.pem");
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ed25519);
}

/* -- servers -- */

static void start_server(secrets *s, server_kind kind, const char *config)
{
    s->parts->server[kind] = ts_server_start(&(ts_server_options){ .config = config });
}

static void start_servers(secrets *s)
{
    secrets_parts *p = s->parts;
    char config[2048], user[128];

    snprintf(user, sizeof user, "authorization { user: ann, password: %s }", p->password);
    start_server(s, OF_PASSWORD, user);
    snprintf(config, sizeof config, "authorization { token: %s }", p->token);
    start_server(s, OF_TOKEN, config);
    snprintf(config, sizeof config, "authorization { users: [ { nkey: %s } ] }", p->lone.public_key);
    start_server(s, OF_NKEY, config);
    start_server(s, OF_JWT, ts_authority_config(&p->authority));
    snprintf(config, sizeof config, "%s\ntls { cert_file: \"%s\", key_file: \"%s\", ca_file: \"%s\", verify: true }",
             user, path_of(s, "server.pem"), path_of(s, "server.key"), path_of(s, "clients.pem"));
    start_server(s, OF_TLS, config);
}

const char *secrets_folder(const secrets *s)
{
    return s->parts->folder;
}

const char *secrets_url(const secrets *s, server_kind kind)
{
    return ts_server_url(s->parts->server[kind]);
}

static void write_url(secrets *s, const char *file, server_kind kind, const char *user, const char *secret)
{
    char url[256];

    snprintf(url, sizeof url, "nats://%s%s@127.0.0.1:%u", user, secret,
             (unsigned)ts_server_port(s->parts->server[kind]));
    ts_write_text(path_of(s, file), url);
}

secrets *secrets_make(void)
{
    secrets *s = calloc(1, sizeof *s);
    char other[TEXT_LEN + 1];

    NEED(s != NULL && (s->parts = calloc(1, sizeof *s->parts)) != NULL);
    s->parts->certs = ts_certs_make();
    snprintf(s->parts->folder, sizeof s->parts->folder, "%s", path_of(s, "."));
    NEED(mkdir(path_of(s, "core"), 0700) == 0);
    make_text(s, CANARY, CANARY, other);
    make_text(s, "a password that is refused", "wrong", other);
    make_text(s, "a password", "password", s->parts->password);
    make_text(s, "a token", "token", s->parts->token);
    make_users(s);
    make_tls_keys(s);
    start_servers(s);
    write_url(s, "url", OF_PASSWORD, "ann:", s->parts->password);
    write_url(s, "token_url", OF_TOKEN, "", s->parts->token);
    return s;
}

void secrets_free(secrets *s)
{
    for (int i = 0; i < SERVER_KINDS; i++)
        ts_server_free(s->parts->server[i]);
    ts_certs_free(s->parts->certs);
    ts_remains_free(&s->remains);
    free(s->parts);
    free(s);
}
