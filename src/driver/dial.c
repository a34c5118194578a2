/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/dial.h"

#include "base/heap.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

nbj_status nbj__dialer_init(nbj__dialer *d, const nbj_allocator *alloc, int epoll_fd, uint64_t socket_tag,
                            uint64_t resolver_tag)
{
    nbj__resolver_options o = { .alloc = alloc, .epoll_fd = epoll_fd, .tag = resolver_tag };

    *d = (nbj__dialer){ .epoll_fd = epoll_fd, .socket_tag = socket_tag, .fd = -1 };
    return nbj__resolver_new(&d->resolver, &o);
}

void nbj__dialer_free(nbj__dialer *d)
{
    if (d->resolver == NULL)
        return;
    nbj__dialer_cancel(d);
    nbj__resolver_free(d->resolver);
    d->resolver = NULL;
}

static void close_socket(nbj__dialer *d)
{
    if (d->fd >= 0)
        close(d->fd); /* leaves the epoll set by itself */
    d->fd = -1;
}

void nbj__dialer_cancel(nbj__dialer *d)
{
    close_socket(d);
    if (d->phase == NBJ__DIAL_RESOLVING)
        nbj__resolver_cancel(d->resolver);
    d->phase = NBJ__DIAL_IDLE;
}

static nbj_status fail(nbj__dialer *d, nbj_status status)
{
    close_socket(d);
    d->phase = NBJ__DIAL_IDLE;
    return status;
}

static void note_errno(nbj__dialer *d, int error)
{
    nbj_status status = error == ECONNREFUSED ? NBJ_E_REFUSED : error == ETIMEDOUT ? NBJ_E_CONNECT_TIMEOUT : NBJ_E_IO;
    char text[128];

#ifdef __GLIBC__
    const char *said = strerror_r(error, text, sizeof text);
#else
    const char *said = strerror_r(error, text, sizeof text) == 0 ? text : "network error";
#endif
    nbj__error_set(&d->error, status, status == NBJ_E_REFUSED ? "connection refused" : said, (char *)NULL);
}

/* Opens a socket towards |a|. False: |error| says why not. */
static bool try_address(nbj__dialer *d, const nbj__address *a)
{
    int one = 1;

    d->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        note_errno(d, errno);
        return false;
    }
    (void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a lone small message leaves at once */
    struct epoll_event watch = { .events = EPOLLIN | EPOLLOUT, .data.u64 = d->socket_tag };
    bool begun = (connect(d->fd, &a->any, nbj__address_len(a)) == 0 || errno == EINPROGRESS || errno == EINTR) &&
                 epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->fd, &watch) == 0;
    if (!begun) {
        note_errno(d, errno);
        close_socket(d);
    }
    return begun;
}

/* Goes on to the next address that can be tried. */
static nbj_status try_next(nbj__dialer *d, nbj_time now)
{
    const nbj__addresses *all = nbj__resolver_addresses(d->resolver);

    close_socket(d);
    d->phase = NBJ__DIAL_CONNECTING;
    while (d->next < all->count) {
        uint64_t left = d->due > now ? d->due - now : 0;
        d->try_due = nbj__time_add(now, left / (all->count - d->next));
        if (try_address(d, &all->at[d->next++]))
            return NBJ_MORE;
    }
    return fail(d, d->error.status);
}

static nbj_status after_resolver(nbj__dialer *d, nbj_status st, nbj_time now)
{
    if (st == NBJ_MORE)
        return st;
    if (st == NBJ_OK)
        return try_next(d, now);
    d->error = *nbj__resolver_error(d->resolver);
    d->error.status = st;
    return fail(d, st);
}

nbj_status nbj__dialer_start(nbj__dialer *d, const char *host, uint16_t port, nbj_time due, nbj_time now)
{
    nbj__dialer_cancel(d);
    d->phase = NBJ__DIAL_RESOLVING;
    d->next = 0;
    d->due = due;
    nbj__error_set(&d->error, NBJ_E_IO, nbj_strerror(NBJ_E_IO), (char *)NULL);
    return after_resolver(d, nbj__resolver_start(d->resolver, nbj_str(host), port, now), now);
}

nbj_status nbj__dialer_on_resolver(nbj__dialer *d, int fd, uint32_t events, nbj_time now)
{
    if (d->phase != NBJ__DIAL_RESOLVING)
        return NBJ_MORE;
    return after_resolver(d, nbj__resolver_on_ready(d->resolver, fd, events, now), now);
}

nbj_status nbj__dialer_on_socket(nbj__dialer *d, nbj_time now)
{
    int error = 0;
    socklen_t len = sizeof error;
    nbj__address peer;
    socklen_t peer_len = sizeof peer;

    if (d->phase != NBJ__DIAL_CONNECTING)
        return NBJ_MORE;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0 && getpeername(d->fd, &peer.any, &peer_len) == 0) {
        d->phase = NBJ__DIAL_IDLE;
        return NBJ_OK;
    }
    if (error == 0)
        return NBJ_MORE; /* not connected yet */
    note_errno(d, error);
    return try_next(d, now);
}

nbj_status nbj__dialer_on_time(nbj__dialer *d, nbj_time now)
{
    if (d->phase == NBJ__DIAL_RESOLVING)
        return now >= nbj__resolver_deadline(d->resolver)
                   ? after_resolver(d, nbj__resolver_on_time(d->resolver, now), now)
                   : NBJ_MORE;
    if (d->phase != NBJ__DIAL_CONNECTING || now < d->try_due)
        return NBJ_MORE;
    note_errno(d, ETIMEDOUT);
    return try_next(d, now);
}

int nbj__dialer_take(nbj__dialer *d)
{
    int fd = d->fd;

    d->fd = -1;
    return fd;
}

nbj_time nbj__dialer_deadline(const nbj__dialer *d)
{
    switch (d->phase) {
    case NBJ__DIAL_IDLE:
        break;
    case NBJ__DIAL_RESOLVING:
        return nbj__resolver_deadline(d->resolver);
    case NBJ__DIAL_CONNECTING:
        return d->try_due;
    }
    return NBJ_TIME_NEVER;
}
