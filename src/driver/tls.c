/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/tls.h"

#include "base/mem.h"
#include "base/text.h"
#include "driver/tls_context.h"
#include "driver/tls_error.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#define NAME_CAP 256u
#define INPUT_MAX 65536u     /* of the network, not decrypted yet */
#define OUTPUT_ENOUGH 65536u /* with so much waiting nothing more is encrypted */
#define OUTPUT_MAX 131072u   /* more than that only a server causes that asks for answers and does not read them */
#define RECORD_MAX 16384u
#define NAME_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

struct nbj__tls {
    const nbj_allocator *alloc;
    char name[NAME_CAP]; /* the server's, as verified */
    bool is_ip;          /* |name| */
    bool verifies;
    bool has_cert;

    pthread_mutex_t lock; /* of what follows */
    SSL *ssl;
    BIO *in, *out;    /* |ssl|'s */
    nbj_error error;  /* why it is over; NBJ_OK before. Never changes afterwards */
    bool is_open;     /* the handshake is done */
    bool was_asked;   /* for a certificate that we have not */
    uint8_t began[4]; /* the first octets that came */
    size_t began_len;

    /* What |output| shows: apart from |out|, since a sending thread looks at it while a reading one adds to that. */
    size_t head, tail;
    uint8_t *sending;
};

/* --- options --- */

static bool copy_text(const nbj_allocator *alloc, const char *from, const char **to)
{
    *to = from != NULL ? nbj__copy_text(alloc, nbj_str(from)) : NULL;
    return from == NULL || *to != NULL;
}

nbj_status nbj__tls_options_copy(nbj__tls_options *out, const nbj__tls_options *from)
{
    const nbj_allocator *a = nbj__allocator_or_default(from->alloc);

    *out = (nbj__tls_options){ .alloc = a, .insecure_skip_verify = from->insecure_skip_verify };
    if (copy_text(a, from->host, &out->host) && copy_text(a, from->server_name, &out->server_name) &&
        copy_text(a, from->ca_file, &out->ca_file) && copy_text(a, from->cert_file, &out->cert_file) &&
        copy_text(a, from->key_file, &out->key_file))
        return NBJ_OK;
    nbj__tls_options_free(out);
    return NBJ_E_NOMEM;
}

static void free_text(const nbj_allocator *alloc, const char *text)
{
    nbj__free_text(alloc, (char *)(uintptr_t)text);
}

void nbj__tls_options_free(nbj__tls_options *o)
{
    free_text(o->alloc, o->host);
    free_text(o->alloc, o->server_name);
    free_text(o->alloc, o->ca_file);
    free_text(o->alloc, o->cert_file);
    free_text(o->alloc, o->key_file);
    *o = (nbj__tls_options){ 0 };
}

/* --- what OpenSSL tells --- */

static int on_verify(int is_good, X509_STORE_CTX *ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    nbj__tls *t = SSL_get_app_data(ssl);

    if (is_good == 0 && t->error.status == NBJ_OK)
        nbj__tls_explain_certificate(&t->error, ctx, t->name);
    return is_good;
}

/* The server wants a certificate and there is none. */
static int on_cert_wanted(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    nbj__tls *t = SSL_get_app_data(ssl);

    (void)cert;
    (void)key;
    t->was_asked = true;
    return 0;
}

/* After a call of OpenSSL's that returned |result|. */
static nbj_status settle(nbj__tls *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_NONE:
        return NBJ_OK;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        ERR_clear_error();
        return NBJ_MORE;
    case SSL_ERROR_ZERO_RETURN:
        ERR_clear_error();
        return nbj__error_set(&t->error, NBJ_E_EOF, nbj_strerror(NBJ_E_EOF), (char *)NULL);
    default:
        break;
    }
    nbj__tls_cause cause = nbj__tls_take_cause();
    nbj__tls_story story = { t->name, nbj_view(t->began, t->began_len), t->is_open, t->has_cert, t->was_asked };
    if (t->error.status == NBJ_OK || cause.no_memory)
        nbj__tls_explain(&t->error, &cause, &story);
    return t->error.status;
}

/* --- life --- */

/* |name| without what is only syntax: brackets, an interface behind an IPv6 address, a final dot. */
static bool copy_name(char *out, const char *name)
{
    nbj_bytes b = nbj_str(name);

    if (b.len > 2 && b.ptr[0] == '[' && b.ptr[b.len - 1] == ']')
        b = nbj_view(b.ptr + 1, b.len - 2);
    if (b.len > 0 && memchr(b.ptr, ':', b.len) != NULL) {
        const uint8_t *zone = memchr(b.ptr, '%', b.len);
        b.len = zone != NULL ? (size_t)(zone - b.ptr) : b.len;
    }
    if (b.len > 1 && b.ptr[b.len - 1] == '.')
        b.len--;
    nbj__text t = nbj__text_into(out, NAME_CAP);
    nbj__text_add_bytes(&t, b);
    return b.len > 0 && !t.cut;
}

/* Whom the certificate has to be for, and which of its certificates the server is to show. */
static bool expect_name(nbj__tls *t)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    uint8_t ip[16];
    bool is_v4 = inet_pton(AF_INET, t->name, ip) == 1;

    t->is_ip = is_v4 || inet_pton(AF_INET6, t->name, ip) == 1;
    if (t->is_ip) /* such are not told to the server (RFC 6066, 3) */
        return X509_VERIFY_PARAM_set1_ip(param, ip, is_v4 ? 4 : 16) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, NAME_FLAGS);
    return X509_VERIFY_PARAM_set1_host(param, t->name, 0) == 1 && SSL_set_tlsext_host_name(t->ssl, t->name) == 1;
}

static bool set_up(nbj__tls *t, SSL_CTX *ctx)
{
    t->ssl = SSL_new(ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
        BIO_free(t->in);
        BIO_free(t->out);
        return false;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    if (t->verifies)
        SSL_set_verify(t->ssl, SSL_VERIFY_PEER, on_verify);
    else
        SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL);
    return SSL_set_app_data(t->ssl, t) == 1 && expect_name(t);
}

static nbj_status no_memory(nbj_error *error)
{
    ERR_clear_error();
    nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    return NBJ_E_NOMEM;
}

/* Without its SSL object. */
static nbj_status new_bare(nbj__tls **out, const nbj__tls_options *o, nbj_error *error)
{
    const nbj_allocator *alloc = nbj__allocator_or_default(o->alloc);
    nbj__tls *t = nbj__alloc0(alloc, sizeof *t);

    if (t == NULL)
        return no_memory(error);
    t->alloc = alloc;
    t->has_cert = o->cert_file != NULL;
    t->verifies = !o->insecure_skip_verify;
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        nbj__free(alloc, t, sizeof *t);
        return no_memory(error);
    }
    *out = t;
    if (!copy_name(t->name, o->server_name != NULL ? o->server_name : o->host))
        return nbj__error_set(error, NBJ_E_INVALID, "the server's name is empty or too long for TLS", (char *)NULL);
    t->sending = nbj__alloc(alloc, OUTPUT_ENOUGH);
    return t->sending != NULL ? NBJ_OK : no_memory(error);
}

nbj_status nbj__tls_new(nbj__tls **out, const nbj__tls_options *options, nbj_error *error)
{
    nbj__tls *t = NULL;
    SSL_CTX *ctx = NULL;
    nbj__tls_options o = *options;

    *out = NULL;
    o.alloc = nbj__allocator_or_default(o.alloc);
    nbj_status st = new_bare(&t, &o, error);
    if (st == NBJ_OK)
        st = nbj__tls_context_new(&ctx, &o, error);
    if (st == NBJ_OK) {
        SSL_CTX_set_client_cert_cb(ctx, on_cert_wanted);
        st = set_up(t, ctx) ? NBJ_OK : no_memory(error);
        SSL_CTX_free(ctx); /* |ssl| has its own reference */
    }
    if (st != NBJ_OK) {
        nbj__tls_free(t);
        return st;
    }
    *out = t;
    return NBJ_OK;
}

void nbj__tls_free(nbj__tls *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl); /* with its BIOs; wipes its keys */
    pthread_mutex_destroy(&t->lock);
    if (t->sending != NULL) {
        OPENSSL_cleanse(t->sending, OUTPUT_ENOUGH);
        nbj__free(t->alloc, t->sending, OUTPUT_ENOUGH);
    }
    nbj__free(t->alloc, t, sizeof *t);
}

nbj_status nbj__tls_status(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    nbj_status st = t->error.status;
    pthread_mutex_unlock(&t->lock);
    return st;
}

const nbj_error *nbj__tls_error(nbj__tls *t)
{
    assert(nbj__tls_status(t) != NBJ_OK);
    return &t->error;
}

/* Once more, since OpenSSL 3.0 leaves the name out of its verification when an allocation fails at the wrong moment. */
static nbj_status confirm(nbj__tls *t)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    bool is_right =
        !t->verifies ||
        (cert != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK &&
         (t->is_ip ? X509_check_ip_asc(cert, t->name, 0) : X509_check_host(cert, t->name, 0, NAME_FLAGS, NULL)) == 1);

    ERR_clear_error();
    return is_right ? NBJ_OK
                    : nbj__error_set(&t->error, NBJ_E_NOMEM,
                                     "out of memory while the server's certificate was verified", (char *)NULL);
}

nbj_status nbj__tls_handshake(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    nbj_status st = t->error.status;
    if (st == NBJ_OK && !t->is_open) {
        ERR_clear_error();
        st = settle(t, SSL_do_handshake(t->ssl));
        if (st == NBJ_OK)
            st = confirm(t);
        t->is_open = st == NBJ_OK;
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

/* --- the reading thread --- */

static void note_beginning(nbj__tls *t, nbj_bytes octets)
{
    for (size_t i = 0; i < octets.len && t->began_len < sizeof t->began; i++)
        t->began[t->began_len++] = octets.ptr[i];
}

nbj_status nbj__tls_put(nbj__tls *t, nbj_bytes octets, size_t *taken)
{
    *taken = 0;
    pthread_mutex_lock(&t->lock);
    nbj_status st = t->error.status;
    size_t room = INPUT_MAX - BIO_ctrl_pending(t->in);
    size_t n = octets.len < room ? octets.len : room;
    if (st == NBJ_OK && n > 0) {
        ERR_clear_error();
        note_beginning(t, nbj_view(octets.ptr, n));
        if (BIO_write(t->in, octets.ptr, (int)n) == (int)n)
            *taken = n;
        else
            st = no_memory(&t->error);
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

void nbj__tls_end(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    BIO_set_mem_eof_return(t->in, 0);
    pthread_mutex_unlock(&t->lock);
}

static nbj_status read_record(nbj__tls *t, uint8_t *out, size_t cap, size_t *n)
{
    pthread_mutex_lock(&t->lock);
    nbj_status st = t->is_open || t->error.status != NBJ_OK ? t->error.status : NBJ_MORE;
    if (st == NBJ_OK) {
        ERR_clear_error();
        st = settle(t, SSL_read_ex(t->ssl, out, cap, n));
    }
    if (st >= NBJ_OK && BIO_ctrl_pending(t->out) > OUTPUT_MAX)
        st = nbj__error_set(&t->error, NBJ_E_FULL, "the server asks for TLS answers and does not read them",
                            (char *)NULL);
    pthread_mutex_unlock(&t->lock);
    return st;
}

nbj_status nbj__tls_read(nbj__tls *t, uint8_t *out, size_t cap, size_t *n)
{
    nbj_status st = NBJ_OK;

    *n = 0;
    while (st == NBJ_OK && *n < cap) {
        size_t got = 0;
        st = read_record(t, out + *n, cap - *n, &got);
        *n += got;
    }
    return *n > 0 ? NBJ_OK : st; /* what ended it stays, for the next call */
}

/* --- the writing thread --- */

static nbj_status write_record(nbj__tls *t, nbj_bytes plain, size_t *taken)
{
    pthread_mutex_lock(&t->lock);
    nbj_status st = t->error.status;
    bool has_room = t->tail - t->head + BIO_ctrl_pending(t->out) < OUTPUT_ENOUGH;
    if (st == NBJ_OK && t->is_open && has_room) {
        ERR_clear_error();
        st = settle(t, SSL_write_ex(t->ssl, plain.ptr, plain.len < RECORD_MAX ? plain.len : RECORD_MAX, taken));
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

nbj_status nbj__tls_write(nbj__tls *t, nbj_bytes plain, size_t *taken)
{
    size_t n = 1;

    *taken = 0;
    while (n > 0 && *taken < plain.len) {
        n = 0;
        nbj_status st = write_record(t, nbj_view(plain.ptr + *taken, plain.len - *taken), &n);
        if (st < NBJ_OK)
            return st;
        *taken += n;
    }
    return NBJ_OK;
}

nbj_bytes nbj__tls_output(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->head == t->tail) {
        int n = BIO_ctrl_pending(t->out) > 0 ? BIO_read(t->out, t->sending, OUTPUT_ENOUGH) : 0;
        t->head = 0;
        t->tail = n > 0 ? (size_t)n : 0;
    }
    nbj_bytes output = nbj_view(t->sending + t->head, t->tail - t->head);
    pthread_mutex_unlock(&t->lock);
    return output;
}

bool nbj__tls_has_output(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    bool has = t->head < t->tail || BIO_ctrl_pending(t->out) > 0;
    pthread_mutex_unlock(&t->lock);
    return has;
}

void nbj__tls_sent(nbj__tls *t, size_t len)
{
    pthread_mutex_lock(&t->lock);
    assert(len <= t->tail - t->head);
    t->head += len;
    pthread_mutex_unlock(&t->lock);
}

void nbj__tls_close(nbj__tls *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->is_open && t->error.status >= NBJ_OK) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    pthread_mutex_unlock(&t->lock);
}
