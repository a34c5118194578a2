/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of TLS over a socket, played with OpenSSL itself. It never blocks and has no thread: whoever owns it
 * turns it. */
#ifndef NBJ_TEST_TLS_PEER_H
#define NBJ_TEST_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ts_tls_peer_options {
    const char *cert, *key; /* paths */
    const char *client_ca;  /* clients need a certificate by this authority; NULL: none is asked for */
    int version;            /* the only one spoken, TLS1_2_VERSION or another; 0: whatever comes out */
} ts_tls_peer_options;

typedef struct ts_tls_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    int fd;
    size_t piece;  /* most octets for one send; 0: all */
    size_t left;   /* octets that it still sends; then it stalls */
    bool is_open;  /* the handshake is done */
    bool notified; /* the client said farewell */
    bool ended;    /* nothing more comes from the client: FIN, reset or a failure of TLS */
    int alert;     /* the fatal alert that came; 0: none */
    uint8_t *got;  /* all that was decrypted so far */
    size_t got_len, got_cap;
} ts_tls_peer;

/* |fd| is the peer's from now on. */
ts_tls_peer *ts_tls_peer_new(int fd, const ts_tls_peer_options *options);
void ts_tls_peer_free(ts_tls_peer *p); /* closes; NULL is allowed */

/* Moves what can be moved; whether there was something. */
bool ts_tls_peer_turn(ts_tls_peer *p);
/* Encrypts for the next turns. Not before the handshake is done. */
void ts_tls_peer_write(ts_tls_peer *p, const void *octets, size_t len);
void ts_tls_peer_key_update(ts_tls_peer *p, bool of_both); /* TLS 1.3 */
void ts_tls_peer_notify(ts_tls_peer *p);                   /* close_notify */
const char *ts_tls_peer_sni(const ts_tls_peer *p);         /* "": none */

#endif
