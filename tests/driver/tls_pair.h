/* SPDX-License-Identifier: Apache-2.0 */
/* A client's TLS object and a peer that plays the server, over a socket pair, turned by one thread. Whatever is to
 * happen has happened when neither can move anything any more. */
#ifndef NBJ_TEST_DRIVER_TLS_PAIR_H
#define NBJ_TEST_DRIVER_TLS_PAIR_H

#include "driver/tls.h"

#include "support/certs.h"
#include "support/check.h"
#include "support/tls_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIR_READ 16384u

typedef struct pair {
    nbj__tls *tls;
    ts_tls_peer *peer;
    int fd;                        /* the client's end */
    size_t piece;                  /* most octets for one send or receive of the client; 0: all there are */
    size_t cut;                    /* after so many more octets from the server the client sees the end */
    size_t flip;                   /* the octet from the server that arrives as another */
    bool is_deaf;                  /* the client sends nothing */
    bool is_open;                  /* the handshake is done on our side */
    nbj_status status;             /* how it ended; NBJ_OK: it has not */
    nbj_bytes to_send;             /* plain, not taken yet */
    uint8_t *got;                  /* plain, received */
    size_t got_len, got_cap, came; /* |came|: octets of the network */
    size_t most_output;
} pair;

static inline pair pair_open(const nbj__tls_options *options, const ts_tls_peer_options *server)
{
    pair p = { .cut = SIZE_MAX, .flip = SIZE_MAX };
    int fds[2];
    nbj_error error = { 0 };

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p.fd = fds[0];
    p.peer = ts_tls_peer_new(fds[1], server);
    if (nbj__tls_new(&p.tls, options, &error) != NBJ_OK)
        TS_FAIL("nbj__tls_new: %s", nbj_error_text(&error));
    return p;
}

static inline void pair_free(pair *p)
{
    nbj__tls_free(p->tls);
    ts_tls_peer_free(p->peer);
    if (p->fd >= 0)
        close(p->fd);
    free(p->got);
}

static inline size_t pair_most(const pair *p, size_t len)
{
    return p->piece > 0 && p->piece < len ? p->piece : len;
}

static inline bool pair_send(pair *p)
{
    size_t taken = 0;

    if (p->status == NBJ_OK && nbj__tls_write(p->tls, p->to_send, &taken) == NBJ_OK)
        p->to_send = nbj_view(p->to_send.ptr + taken, p->to_send.len - taken);
    nbj_bytes output = p->is_deaf ? nbj_str("") : nbj__tls_output(p->tls);
    if (output.len > p->most_output)
        p->most_output = output.len;
    ssize_t n = output.len > 0 ? send(p->fd, output.ptr, pair_most(p, output.len), MSG_NOSIGNAL) : 0;
    if (n > 0)
        nbj__tls_sent(p->tls, (size_t)n);
    return n > 0 || taken > 0;
}

static inline void pair_end(pair *p)
{
    nbj__tls_end(p->tls);
    p->cut = 0;
}

static inline bool pair_receive(pair *p)
{
    uint8_t octets[PAIR_READ];
    size_t most = pair_most(p, sizeof octets);
    size_t taken = 0;

    if (p->cut == 0)
        return false;
    ssize_t n = recv(p->fd, octets, most < p->cut ? most : p->cut, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n > 0) {
        if (p->flip >= p->came && p->flip - p->came < (size_t)n)
            octets[p->flip - p->came] ^= 0x41;
        p->came += (size_t)n;
        p->cut -= p->cut != SIZE_MAX ? (size_t)n : 0;
        if (p->status == NBJ_OK && nbj__tls_put(p->tls, nbj_view(octets, (size_t)n), &taken) == NBJ_OK)
            assert_int_equal(taken, n); /* all before was read */
    }
    if (n <= 0 || p->cut == 0)
        pair_end(p);
    return true;
}

static inline void pair_decrypt(pair *p)
{
    nbj_status st = NBJ_OK;

    if (p->status != NBJ_OK)
        return;
    if (!p->is_open) {
        st = nbj__tls_handshake(p->tls);
        p->is_open = st == NBJ_OK;
    }
    while (st == NBJ_OK) {
        size_t n = 0;
        if (p->got_cap - p->got_len < PAIR_READ) {
            p->got_cap = p->got_cap * 2 + PAIR_READ;
            p->got = realloc(p->got, p->got_cap);
            assert_non_null(p->got);
        }
        st = nbj__tls_read(p->tls, p->got + p->got_len, p->got_cap - p->got_len, &n);
        p->got_len += n;
    }
    p->status = st < NBJ_OK ? st : NBJ_OK;
}

/* What a driver does in one turn. */
static inline bool pair_turn_client(pair *p)
{
    bool sent = pair_send(p);
    bool received = pair_receive(p);

    pair_decrypt(p);
    return sent || received;
}

static inline void pair_settle(pair *p)
{
    bool has_moved = true;

    pair_decrypt(p); /* there may be something to begin with */
    while (has_moved) {
        has_moved = pair_turn_client(p);
        has_moved = ts_tls_peer_turn(p->peer) || has_moved;
    }
}

static inline const char *pair_error(pair *p)
{
    return nbj_error_text(nbj__tls_error(p->tls));
}

/* Octet |i| of a stream that both sides know. */
static inline uint8_t pair_octet(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static inline uint8_t *pair_stream(size_t len)
{
    uint8_t *octets = malloc(len);

    assert_non_null(octets);
    for (size_t i = 0; i < len; i++)
        octets[i] = pair_octet(i);
    return octets;
}

#endif
