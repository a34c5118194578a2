/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "port.h"

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int close_keeping_errno(int fd)
{
    int why = errno;

    close(fd);
    errno = why;
    return -1;
}

/* A socket bound to |port|; 0: to any free one. */
static int bound_socket(uint16_t port, int flags)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) != 0)
        return close_keeping_errno(fd);
    return fd;
}

ts_port ts_port_reserve(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int fd = bound_socket(0, 0);

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        TS_FAIL("no free port: %s", strerror(errno));
    return (ts_port){ fd, ntohs(a.sin_port) };
}

void ts_port_release(ts_port *p)
{
    if (p->reservation >= 0)
        close(p->reservation);
    p->reservation = -1;
}

int ts_port_listen(const ts_port *p)
{
    int fd = bound_socket(p->number, SOCK_NONBLOCK);

    if (fd >= 0 && listen(fd, 128) != 0)
        return close_keeping_errno(fd);
    return fd;
}

int ts_port_connect(uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        return close_keeping_errno(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}
