/* SPDX-License-Identifier: Apache-2.0 */
/* The mini server behind a real socket on the loopback interface, one connection at a time, turned by the test itself: no
 * thread, nothing blocks. */
#ifndef NBJ_TEST_DRIVER_LOOPBACK_SERVER_H
#define NBJ_TEST_DRIVER_LOOPBACK_SERVER_H

#include "conn/mini_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct loopback {
    int listener, fd; /* -1: none */
    uint16_t port;
    char url[64];
    unsigned accepted;
    bool is_silent; /* accepts and says nothing */
    bool is_deaf;   /* reads nothing */
    size_t most;    /* octets for one read or write; 0: all */
    mini_server mini;
} loopback;

static inline void loopback_listen(loopback *l, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t len = sizeof a;
    int one = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(l->listener >= 0);
    setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(l->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(l->listener, 16), 0);
    assert_int_equal(getsockname(l->listener, (struct sockaddr *)&a, &len), 0);
    l->port = ntohs(a.sin_port);
    snprintf(l->url, sizeof l->url, "nats://127.0.0.1:%u", l->port);
}

static inline void loopback_open(loopback *l)
{
    memset(l, 0, sizeof *l);
    l->fd = -1;
    loopback_listen(l, 0);
}

/* Ends the connection with a FIN, or with a RST. */
static inline void loopback_drop(loopback *l, bool reset)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (l->fd < 0)
        return;
    if (reset)
        setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(l->fd);
    l->fd = -1;
}

/* Connections are refused from now on. */
static inline void loopback_down(loopback *l)
{
    loopback_drop(l, false);
    if (l->listener >= 0)
        close(l->listener);
    l->listener = -1;
}

static inline void loopback_accept(loopback *l)
{
    int fd = l->listener >= 0 ? accept4(l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;

    if (fd < 0)
        return;
    loopback_drop(l, false);
    l->fd = fd;
    l->accepted++;
    mini_accept(&l->mini);
    if (l->is_silent)
        l->mini.out_len = 0;
}

static inline void loopback_read(loopback *l)
{
    uint8_t octets[4096];
    size_t most = l->most > 0 && l->most < sizeof octets ? l->most : sizeof octets;
    ssize_t n = recv(l->fd, octets, most, 0);

    if (n > 0 && !l->is_silent)
        mini_read(&l->mini, nbj_view(octets, (size_t)n));
    if (n == 0 || (n < 0 && errno != EAGAIN))
        loopback_drop(l, false);
}

static inline void loopback_write(loopback *l)
{
    size_t most = l->most > 0 && l->most < l->mini.out_len ? l->most : l->mini.out_len;
    ssize_t n = most > 0 ? send(l->fd, l->mini.out, most, MSG_NOSIGNAL) : 0;

    if (n <= 0)
        return;
    l->mini.out_len -= (size_t)n;
    memmove(l->mini.out, l->mini.out + n, l->mini.out_len);
}

static inline void loopback_turn(loopback *l)
{
    loopback_accept(l);
    if (l->fd >= 0 && !l->is_deaf)
        loopback_read(l);
    if (l->fd >= 0)
        loopback_write(l);
}

#endif
