/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "certs.h"

#include "check.h"

#include <errno.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR 3600L
#define OURS "DNS:localhost,IP:127.0.0.1,IP:::1"

typedef struct text text;
struct text {
    text *next;
    char chars[];
};

struct ts_certs {
    char dir[64];
    text *texts;
    long serial;
};

/* An authority while the others are made. */
typedef struct authority {
    EVP_PKEY *key;
    X509 *cert;
} authority;

typedef enum issuer { BY_CA, BY_OTHER, BY_ITSELF } issuer;

static const struct {
    const char *name, *common_name, *names, *usage;
    issuer by;
    long from, to; /* seconds from now */
} kinds[] = {
    { "server", "server", OURS, "serverAuth", BY_CA, -HOUR, HOUR },
    { "name", "server", "DNS:localhost", "serverAuth", BY_CA, -HOUR, HOUR },
    { "ip", "server", "IP:127.0.0.1", "serverAuth", BY_CA, -HOUR, HOUR },
    { "elsewhere", "localhost", "DNS:elsewhere.example,DNS:*.wild.example,IP:192.0.2.7", "serverAuth", BY_CA, -HOUR,
      HOUR },
    { "nameless", "localhost", NULL, "serverAuth", BY_CA, -HOUR, HOUR },
    { "expired", "server", OURS, "serverAuth", BY_CA, -2 * HOUR, -HOUR },
    { "early", "server", OURS, "serverAuth", BY_CA, HOUR, 2 * HOUR },
    { "stranger", "server", OURS, "serverAuth", BY_OTHER, -HOUR, HOUR },
    { "self_signed", "server", OURS, "serverAuth", BY_ITSELF, -HOUR, HOUR },
    { "client", "client", NULL, "clientAuth", BY_CA, -HOUR, HOUR },
    { "client_stranger", "client", NULL, "clientAuth", BY_OTHER, -HOUR, HOUR },
    { "client_expired", "client", NULL, "clientAuth", BY_CA, -2 * HOUR, -HOUR },
};

#define NEED(cond)                      \
    do {                                \
        if (!(cond))                    \
            TS_FAIL("OpenSSL: " #cond); \
    } while (0)

/* --- texts --- */

static const char *keep(ts_certs *c, char *made)
{
    size_t size = made != NULL ? strlen(made) + 1 : 0;
    text *t = size > 0 ? malloc(sizeof *t + size) : NULL;

    if (t == NULL)
        TS_FAIL("out of memory");
    memcpy(t->chars, made, size);
    free(made);
    t->next = c->texts;
    c->texts = t;
    return t->chars;
}

const char *ts_certs_path(ts_certs *c, const char *file)
{
    char *made = NULL;

    return keep(c, asprintf(&made, "%s/%s", c->dir, file) < 0 ? NULL : made);
}

const char *ts_certs_config(ts_certs *c, const char *name, const char *more)
{
    char *made = NULL;
    const char *patience = ts_in_valgrind() ? "timeout: 30, " : ""; /* else two seconds for a handshake */
    int n = asprintf(&made, "tls { %scert_file: \"%s/%s.pem\", key_file: \"%s/%s.key\", ca_file: \"%s/ca.pem\"%s%s }",
                     patience, c->dir, name, c->dir, name, c->dir, *more != '\0' ? ", " : "", more);

    return keep(c, n < 0 ? NULL : made);
}

/* --- files --- */

static FILE *open_file(ts_certs *c, const char *name, const char *ending)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s%s", c->dir, name, ending);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        TS_FAIL("%s: %s", path, strerror(errno));
    return f;
}

static void save(ts_certs *c, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = open_file(c, name, ".pem");

    NEED(PEM_write_X509(f, cert) == 1 && fclose(f) == 0);
    if (key == NULL)
        return;
    f = open_file(c, name, ".key");
    NEED(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
}

void ts_certs_write(ts_certs *c, const char *file, const void *octets, size_t len)
{
    FILE *f = open_file(c, file, "");

    NEED(fwrite(octets, 1, len, f) == len && fclose(f) == 0);
}

void ts_certs_replace(ts_certs *c, const char *file, const char *from)
{
    char octets[16384];
    FILE *f = fopen(ts_certs_path(c, from), "re");

    NEED(f != NULL);
    size_t len = fread(octets, 1, sizeof octets, f);
    fclose(f);
    ts_certs_write(c, "new", octets, len);
    NEED(rename(ts_certs_path(c, "new"), ts_certs_path(c, file)) == 0);
}

void ts_certs_make_odd_key(ts_certs *c, const char *file)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *f = open_file(c, file, "");

    NEED(key != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
    EVP_PKEY_free(key);
}

void ts_certs_encrypt_key(ts_certs *c, const char *name, const char *file)
{
    char from[64];

    snprintf(from, sizeof from, "%s.key", name);
    FILE *in = fopen(ts_certs_path(c, from), "re");
    FILE *out = open_file(c, file, "");
    EVP_PKEY *key = in != NULL ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
    NEED(key != NULL &&
         PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(), (const unsigned char *)"pw", 2, NULL, NULL) == 1);
    EVP_PKEY_free(key);
    fclose(in);
    NEED(fclose(out) == 0);
}

/* --- certificates --- */

static void add_extension(X509 *cert, X509 *issuer_cert, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer_cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    NEED(ext != NULL && X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

/* With everything but extensions and signature. */
static X509 *new_cert(ts_certs *c, EVP_PKEY *key, const char *common_name, const X509_NAME *issuer_name, long from,
                      long to)
{
    X509 *cert = X509_new();

    NEED(cert != NULL);
    X509_NAME *name = X509_get_subject_name(cert);
    NEED(X509_set_version(cert, X509_VERSION_3) == 1);
    NEED(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++c->serial) == 1);
    NEED(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0) == 1);
    NEED(X509_set_issuer_name(cert, issuer_name != NULL ? issuer_name : name) == 1);
    NEED(X509_gmtime_adj(X509_getm_notBefore(cert), from) != NULL);
    NEED(X509_gmtime_adj(X509_getm_notAfter(cert), to) != NULL);
    NEED(X509_set_pubkey(cert, key) == 1);
    return cert;
}

static X509 *new_authority_cert(ts_certs *c, EVP_PKEY *key, const char *common_name, long to)
{
    X509 *cert = new_cert(c, key, common_name, NULL, -24 * HOUR, to);

    add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, cert, NID_key_usage, "critical,keyCertSign");
    add_extension(cert, cert, NID_subject_key_identifier, "hash");
    NEED(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static authority new_authority(ts_certs *c, const char *name, const char *common_name)
{
    authority a = { .key = EVP_EC_gen("P-256") };

    NEED(a.key != NULL);
    a.cert = new_authority_cert(c, a.key, common_name, 24 * HOUR);
    save(c, name, a.cert, NULL);
    return a;
}

static void free_authority(authority *a)
{
    X509_free(a->cert);
    EVP_PKEY_free(a->key);
}

/* Without |by| it signs itself. */
static void make(ts_certs *c, size_t kind, const authority *by)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    NEED(key != NULL);
    X509 *cert = new_cert(c, key, kinds[kind].common_name, by != NULL ? X509_get_subject_name(by->cert) : NULL,
                          kinds[kind].from, kinds[kind].to);
    X509 *issuer_cert = by != NULL ? by->cert : cert;
    add_extension(cert, issuer_cert, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(cert, issuer_cert, NID_ext_key_usage, kinds[kind].usage);
    add_extension(cert, issuer_cert, NID_subject_key_identifier, "hash");
    add_extension(cert, issuer_cert, NID_authority_key_identifier, "keyid:always");
    if (kinds[kind].names != NULL)
        add_extension(cert, issuer_cert, NID_subject_alt_name, kinds[kind].names);
    NEED(X509_sign(cert, by != NULL ? by->key : key, EVP_sha256()) > 0);
    save(c, kinds[kind].name, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

ts_certs *ts_certs_make(void)
{
    const char *tmp = getenv("TMPDIR");
    ts_certs *c = calloc(1, sizeof *c);

    if (c == NULL)
        TS_FAIL("out of memory");
    snprintf(c->dir, sizeof c->dir, "%.40s/nbj-certs-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(c->dir) == NULL)
        TS_FAIL("%s: %s", c->dir, strerror(errno));
    authority ca = new_authority(c, "ca", "nbj test authority");
    authority other = new_authority(c, "other_ca", "another test authority");
    X509 *expired = new_authority_cert(c, ca.key, "nbj test authority", -HOUR);
    save(c, "ca_expired", expired, NULL);
    X509_free(expired);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        make(c, i, kinds[i].by == BY_CA ? &ca : kinds[i].by == BY_OTHER ? &other : NULL);
    free_authority(&ca);
    free_authority(&other);
    return c;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void ts_certs_free(ts_certs *c)
{
    if (c == NULL)
        return;
    nftw(c->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    while (c->texts != NULL) {
        text *next = c->texts->next;
        free(c->texts);
        c->texts = next;
    }
    free(c);
}
