/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/tls_context.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/os.h"
#include "driver/tls_error.h"
#include "driver/tls_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

#define FILE_MAX (4u << 20) /* a system's bundle of authorities has a quarter of a MiB */

/* A file's content, which may be secret. */
typedef struct file {
    const nbj_allocator *alloc;
    const char *what, *path;
    nbj_error *error;
    uint8_t *ptr;
    size_t len, cap;
} file;

static nbj_status file_error(const file *f, const char *why, const char *detail)
{
    return nbj__error_set(f->error, NBJ_E_TLS_FILE, f->what, " ", f->path, ": ", why, detail, (char *)NULL);
}

static nbj_status no_memory(nbj_error *error)
{
    return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
}

static nbj_status system_error(const file *f, int number)
{
    char room[NBJ__OS_ERROR_MAX];

    return file_error(f, "cannot be read: ", nbj__os_error(number, room, sizeof room));
}

static void forget_file(file *f)
{
    if (f->ptr != NULL) {
        OPENSSL_cleanse(f->ptr, f->cap);
        nbj__free(f->alloc, f->ptr, f->cap);
    }
    f->ptr = NULL;
    f->len = f->cap = 0;
}

/* Not by realloc, which would leave a copy behind. */
static nbj_status grow(file *f)
{
    file larger = *f;

    larger.cap = f->cap > 0 ? f->cap * 4 : 16384;
    if (larger.cap > FILE_MAX)
        return file_error(f, "is too large to be one", "");
    larger.ptr = nbj__alloc(f->alloc, larger.cap);
    if (larger.ptr == NULL)
        return no_memory(f->error);
    if (f->len > 0)
        memcpy(larger.ptr, f->ptr, f->len);
    forget_file(f);
    *f = larger;
    return NBJ_OK;
}

static nbj_status read_all(file *f, int fd)
{
    for (;;) {
        nbj_status st = f->len < f->cap ? NBJ_OK : grow(f);
        if (st != NBJ_OK)
            return st;
        ssize_t n = read(fd, f->ptr + f->len, f->cap - f->len);
        if (n == 0)
            return NBJ_OK;
        if (n < 0 && errno != EINTR)
            return system_error(f, errno);
        f->len += n > 0 ? (size_t)n : 0;
    }
}

/* On failure there is nothing to forget. */
static nbj_status read_file(file *f)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe must not hold us up */

    if (fd < 0)
        return system_error(f, errno);
    nbj_status st = read_all(f, fd);
    close(fd);
    if (st != NBJ_OK)
        forget_file(f);
    return st;
}

/* --- what is in a file --- */

/* Without it OpenSSL would ask at the terminal. */
static int on_password(char *out, int cap, int writing, void *was_asked)
{
    (void)out;
    (void)cap;
    (void)writing;
    *(bool *)was_asked = true;
    return -1;
}

static nbj_status read_failure(const file *f, const char *why)
{
    nbj__tls_cause cause = nbj__tls_take_cause();

    if (cause.no_memory)
        return no_memory(f->error);
    return file_error(f, why, nbj__tls_reason_text(cause.last));
}

static bool at_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* Gives |take| each certificate in turn; it returns whether that went well. */
static nbj_status each_certificate(const file *f, BIO *pem, bool (*take)(SSL_CTX *ctx, X509 *x, size_t i), SSL_CTX *ctx)
{
    size_t count = 0;
    bool asked = false;

    for (X509 *x; (x = PEM_read_bio_X509_AUX(pem, NULL, on_password, &asked)) != NULL; count++) {
        bool taken = take(ctx, x, count);
        X509_free(x);
        if (!taken)
            return read_failure(f, "a certificate in it cannot be used: ");
    }
    if (!at_end_of_pem())
        return read_failure(f, "a certificate in it cannot be read: ");
    ERR_clear_error();
    return count > 0 ? NBJ_OK : file_error(f, "holds no certificate in PEM form", "");
}

/* A key may be in the file too: it is none of OpenSSL's reader of certificates, which would leave it behind. */
static nbj_status with_certificates(file *f, bool (*take)(SSL_CTX *ctx, X509 *x, size_t i), SSL_CTX *ctx)
{
    nbj__tls_key_hide(f->ptr, f->len);
    BIO *pem = BIO_new_mem_buf(f->ptr, (int)f->len);
    if (pem == NULL) {
        ERR_clear_error();
        return no_memory(f->error);
    }
    nbj_status st = each_certificate(f, pem, take, ctx);
    BIO_free(pem);
    return st;
}

static bool trust(SSL_CTX *ctx, X509 *x, size_t i)
{
    (void)i;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
}

static bool present(SSL_CTX *ctx, X509 *x, size_t i)
{
    return (i == 0 ? SSL_CTX_use_certificate(ctx, x) : (int)SSL_CTX_add1_chain_cert(ctx, x)) == 1;
}

/* By OpenSSL's decoder, for forms that ours does not know. */
static EVP_PKEY *decode_key(const file *f, bool *asked)
{
    BIO *pem = BIO_new_mem_buf(f->ptr, (int)f->len);
    EVP_PKEY *key = pem != NULL ? PEM_read_bio_PrivateKey(pem, NULL, on_password, asked) : NULL;

    BIO_free(pem);
    return key;
}

static nbj_status use_key(const file *f, SSL_CTX *ctx, const char *cert_path)
{
    bool asked = false;
    EVP_PKEY *key = nbj__tls_key_read(nbj_view(f->ptr, f->len));
    nbj_status st = NBJ_OK;

    if (key == NULL)
        key = decode_key(f, &asked);
    if (asked)
        st = file_error(f, "the key is encrypted; store it decrypted, readable for this user only", "");
    else if (key == NULL)
        st = read_failure(f, "holds no private key that can be read: ");
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        st = nbj__tls_take_cause().no_memory ? no_memory(f->error)
                                             : file_error(f, "does not match the certificate in ", cert_path);
    ERR_clear_error();
    EVP_PKEY_free(key);
    return st;
}

/* --- the context --- */

static nbj_status load_authorities(SSL_CTX *ctx, const nbj__tls_options *o, nbj_error *error)
{
    file f = { .alloc = o->alloc, .what = "CA file", .path = o->ca_file, .error = error };

    if (o->ca_file == NULL) {
        (void)SSL_CTX_set_default_verify_paths(
            ctx); /* a system without any knows no authority: verifying will say so */
        ERR_clear_error();
        return NBJ_OK;
    }
    nbj_status st = read_file(&f);
    if (st == NBJ_OK)
        st = with_certificates(&f, trust, ctx);
    forget_file(&f);
    return st;
}

static nbj_status load_identity(SSL_CTX *ctx, const nbj__tls_options *o, nbj_error *error)
{
    file cert = { .alloc = o->alloc, .what = "certificate file", .path = o->cert_file, .error = error };
    file key = { .alloc = o->alloc, .what = "key file", .path = o->key_file, .error = error };

    if (o->cert_file == NULL && o->key_file != NULL)
        return nbj__error_set(error, NBJ_E_INVALID, "key file ", o->key_file,
                              " comes without a certificate: name its file as well", (char *)NULL);
    if (o->cert_file == NULL)
        return NBJ_OK;
    if (o->key_file == NULL)
        key.path = o->cert_file;
    nbj_status st = read_file(&cert);
    if (st == NBJ_OK)
        st = with_certificates(&cert, present, ctx);
    forget_file(&cert);
    if (st == NBJ_OK)
        st = read_file(&key);
    if (st == NBJ_OK)
        st = use_key(&key, ctx, cert.path);
    forget_file(&key);
    return st;
}

static SSL_CTX *bare_context(void)
{
    /* At exit a thread of ours may still be at work, so OpenSSL must not take itself down then. */
    SSL_CTX *ctx = OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) == 1 ? SSL_CTX_new(TLS_client_method()) : NULL;

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* What the user's file names is trusted, whether or not it is a root. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    bool is_lax = SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION; /* the system may be stricter than we are */
    if (is_lax && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

nbj_status nbj__tls_context_new(SSL_CTX **out, const nbj__tls_options *o, nbj_error *error)
{
    ERR_clear_error();
    SSL_CTX *ctx = bare_context();

    *out = NULL;
    if (ctx == NULL) {
        nbj__tls_cause cause = nbj__tls_take_cause();
        if (cause.no_memory || cause.last == 0)
            return no_memory(error);
        return nbj__error_set(error, NBJ_E_TLS, "OpenSSL cannot be used: ", nbj__tls_reason_text(cause.last),
                              (char *)NULL);
    }
    nbj_status st = o->insecure_skip_verify ? NBJ_OK : load_authorities(ctx, o, error);
    if (st == NBJ_OK)
        st = load_identity(ctx, o, error);
    if (st != NBJ_OK) {
        SSL_CTX_free(ctx);
        return st;
    }
    *out = ctx;
    return NBJ_OK;
}
