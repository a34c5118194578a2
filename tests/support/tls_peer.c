/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tls_peer.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *new_context(const ts_tls_peer_options *o)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, o->key, SSL_FILETYPE_PEM) != 1)
        TS_FAIL("OpenSSL: %s cannot be used", o->cert);
    if (o->client_ca != NULL) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        if (SSL_CTX_load_verify_locations(ctx, o->client_ca, NULL) != 1)
            TS_FAIL("OpenSSL: %s cannot be used", o->client_ca);
    }
    if (o->version != 0) {
        SSL_CTX_set_security_level(ctx, 0); /* the old versions want it */
        if (SSL_CTX_set_min_proto_version(ctx, o->version) != 1 || SSL_CTX_set_max_proto_version(ctx, o->version) != 1)
            TS_FAIL("OpenSSL: no such version");
    }
    return ctx;
}

ts_tls_peer *ts_tls_peer_new(int fd, const ts_tls_peer_options *options)
{
    ts_tls_peer *p = calloc(1, sizeof *p);

    if (p == NULL)
        TS_FAIL("out of memory");
    p->fd = fd;
    p->left = SIZE_MAX;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    p->ctx = new_context(options);
    p->ssl = SSL_new(p->ctx);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    if (p->ssl == NULL || p->in == NULL || p->out == NULL)
        TS_FAIL("OpenSSL: out of memory");
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_accept_state(p->ssl);
    return p;
}

void ts_tls_peer_free(ts_tls_peer *p)
{
    if (p == NULL)
        return;
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
    free(p->got);
    free(p);
}

static bool receive(ts_tls_peer *p)
{
    char octets[16384];
    ssize_t n = p->ended ? -1 : recv(p->fd, octets, sizeof octets, MSG_DONTWAIT);

    if (n > 0)
        BIO_write(p->in, octets, (int)n);
    if (n == 0 || (n < 0 && !p->ended && errno != EAGAIN))
        p->ended = true;
    return n > 0;
}

/* After a call that failed: is it over? */
static void note_failure(ts_tls_peer *p, int result)
{
    int why = SSL_get_error(p->ssl, result);
    unsigned long code = ERR_peek_error();

    p->notified = p->notified || why == SSL_ERROR_ZERO_RETURN;
    if (why == SSL_ERROR_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET)
        p->alert = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
        p->ended = true;
    ERR_clear_error();
}

static void make_room(ts_tls_peer *p)
{
    if (p->got_cap - p->got_len >= 16384)
        return;
    p->got_cap = p->got_cap * 2 + 16384;
    p->got = realloc(p->got, p->got_cap);
    if (p->got == NULL)
        TS_FAIL("out of memory");
}

static bool decrypt(ts_tls_peer *p)
{
    size_t before = p->got_len;

    if (!p->is_open) {
        ERR_clear_error();
        int result = SSL_do_handshake(p->ssl);
        p->is_open = result == 1;
        if (!p->is_open)
            note_failure(p, result);
    }
    for (size_t n; p->is_open; p->got_len += n) {
        make_room(p);
        ERR_clear_error();
        int result = SSL_read_ex(p->ssl, p->got + p->got_len, p->got_cap - p->got_len, &n);
        if (result != 1) {
            note_failure(p, result);
            break;
        }
    }
    return p->got_len > before;
}

static bool transmit(ts_tls_peer *p)
{
    char *octets = NULL;
    long waiting = BIO_get_mem_data(p->out, &octets);
    size_t len = waiting <= 0 ? 0 : (size_t)waiting < p->left ? (size_t)waiting : p->left;
    size_t sent = 0;

    while (sent < len) {
        size_t most = p->piece > 0 && p->piece < len - sent ? p->piece : len - sent;
        ssize_t n = send(p->fd, octets + sent, most, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            break;
        sent += (size_t)n;
        if (p->piece > 0)
            break; /* the client shall see it before there is more */
    }
    p->left -= p->left != SIZE_MAX ? sent : 0;
    for (size_t left = sent; left > 0;) {
        char dropped[4096];
        int n = BIO_read(p->out, dropped, (int)(left < sizeof dropped ? left : sizeof dropped));
        left -= n > 0 ? (size_t)n : left;
    }
    return sent > 0;
}

bool ts_tls_peer_turn(ts_tls_peer *p)
{
    bool received = receive(p);
    bool decrypted = decrypt(p);
    bool transmitted = transmit(p);

    return received || decrypted || transmitted;
}

void ts_tls_peer_write(ts_tls_peer *p, const void *octets, size_t len)
{
    size_t n = 0;

    if (len > 0 && (SSL_write_ex(p->ssl, octets, len, &n) != 1 || n != len))
        TS_FAIL("OpenSSL: the peer cannot write");
}

void ts_tls_peer_key_update(ts_tls_peer *p, bool of_both)
{
    if (SSL_key_update(p->ssl, of_both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
        SSL_do_handshake(p->ssl) != 1)
        TS_FAIL("OpenSSL: no key update");
}

void ts_tls_peer_notify(ts_tls_peer *p)
{
    ERR_clear_error();
    (void)SSL_shutdown(p->ssl);
    ERR_clear_error();
}

const char *ts_tls_peer_sni(const ts_tls_peer *p)
{
    const char *name = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);

    return name != NULL ? name : "";
}
