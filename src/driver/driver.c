/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/driver.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/dial.h"
#include "driver/os.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TAG_SOCKET 1u
#define TAG_RESOLVER ((uint64_t)2 << 32) /* + descriptor */
#define EVENTS_AT_ONCE 8
#define READS_AT_ONCE 16 /* then timers and writing have their turn */

struct nbj__driver {
    nbj__driver_config cfg;
    nbj__session *session;
    nbj__dialer dialer;
    int epoll_fd;
    int fd;            /* the connected socket; -1: none */
    bool readable;     /* the socket may have something */
    bool writable;     /* the socket may take something */
    bool write_failed; /* nothing more is written; reading will tell why */
    bool closed;       /* the last event was given out */
};

nbj_status nbj__driver_new(nbj__driver **out, const nbj__driver_config *cfg, nbj_error *error)
{
    const nbj_allocator *alloc = nbj__allocator_or_default(cfg->session.alloc);
    nbj__driver *d = nbj__alloc0(alloc, sizeof *d);
    nbj_status st = NBJ_E_NOMEM;

    *out = NULL;
    if (d == NULL)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    d->cfg = *cfg;
    d->cfg.session.alloc = alloc;
    d->fd = -1;
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0) {
        nbj__free(alloc, d, sizeof *d);
        return nbj__error_set(error, NBJ_E_IO, "no descriptor for an epoll set: raise the limit (ulimit -n)",
                              (char *)NULL);
    }
    st = nbj__dialer_init(&d->dialer, alloc, d->epoll_fd, TAG_SOCKET, TAG_RESOLVER);
    if (st != NBJ_OK)
        nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    if (st == NBJ_OK) {
        d->cfg.session.seed = nbj__os_seed();
        st = nbj__session_new(&d->session, &d->cfg.session, nbj__os_now(), error);
    }
    if (st != NBJ_OK) {
        nbj__driver_free(d);
        return st;
    }
    *out = d;
    return NBJ_OK;
}

static void close_socket(nbj__driver *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    d->readable = d->writable = d->write_failed = false;
}

void nbj__driver_free(nbj__driver *d)
{
    if (d == NULL)
        return;
    nbj__session_free(d->session);
    nbj__dialer_free(&d->dialer);
    close_socket(d);
    close(d->epoll_fd);
    nbj__free(d->cfg.session.alloc, d, sizeof *d);
}

nbj__session *nbj__driver_session(nbj__driver *d)
{
    return d->session;
}

int nbj__driver_fd(const nbj__driver *d)
{
    return d->epoll_fd;
}

static bool can_write(const nbj__driver *d)
{
    return d->fd >= 0 && d->writable && !d->write_failed && nbj__session_has_tx(d->session);
}

nbj_time nbj__driver_deadline(const nbj__driver *d)
{
    if (d->closed)
        return NBJ_TIME_NEVER;
    if (d->readable || can_write(d))
        return 0;
    return nbj__time_min(nbj__session_deadline(d->session), nbj__dialer_deadline(&d->dialer));
}

/* --- dialing --- */

static void after_dialer(nbj__driver *d, nbj_status st, nbj_time now)
{
    if (st == NBJ_MORE)
        return;
    if (st != NBJ_OK) {
        nbj__session_lost(d->session, st, d->dialer.error.text, now);
        return;
    }
    close_socket(d);
    d->fd = nbj__dialer_take(&d->dialer);
    d->readable = d->writable = true;
    struct epoll_event watch = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = TAG_SOCKET };
    if (epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, d->fd, &watch) != 0) {
        close_socket(d);
        nbj__session_lost(d->session, NBJ_E_IO, NULL, now);
        return;
    }
    nbj__session_dialed(d->session, now);
}

/* --- events --- */

static void obey(nbj__driver *d, const nbj__event *ev, nbj_time now)
{
    switch (ev->type) {
    case NBJ__EV_DIAL:
        after_dialer(d, nbj__dialer_start(&d->dialer, ev->host, ev->port, ev->due, now), now);
        return;
    case NBJ__EV_HANGUP:
        nbj__dialer_cancel(&d->dialer);
        close_socket(d);
        return;
    case NBJ__EV_CLOSED:
        d->closed = true;
        break;
    default:
        break;
    }
    d->cfg.on_event(d->cfg.user, ev, now);
}

/* Hands out all events. */
static void pump(nbj__driver *d, nbj_time now)
{
    nbj__event ev;

    while (!d->closed && nbj__session_next(d->session, now, &ev) == NBJ_OK)
        obey(d, &ev, now);
}

/* --- octets --- */

static void lose(nbj__driver *d, nbj_status st, const char *text, nbj_time now)
{
    close_socket(d);
    nbj__session_lost(d->session, st, text, now);
    pump(d, now);
}

/* Reads once. False: nothing more for now. */
static bool read_some(nbj__driver *d)
{
    nbj_time now = nbj__os_now(); /* callbacks take their time */
    uint8_t *at = NULL;
    size_t room = 0;
    nbj_status st = nbj__session_rx_space(d->session, &at, &room);

    if (st != NBJ_OK) {
        lose(d, st, NULL, now);
        return false;
    }
    ssize_t n = recv(d->fd, at, room, 0);
    if (n > 0) {
        nbj__session_rx_commit(d->session, (size_t)n);
        pump(d, now);
        return d->fd >= 0;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        d->readable = errno == EINTR;
        return false;
    }
    lose(d, n == 0 || errno == ECONNRESET ? NBJ_E_EOF : NBJ_E_IO, n == 0 ? NULL : "the connection was reset", now);
    return false;
}

static void write_all(nbj__driver *d, nbj_time now)
{
    while (can_write(d)) {
        nbj_bytes tx = nbj__session_tx(d->session);
        ssize_t n = send(d->fd, tx.ptr, tx.len, MSG_NOSIGNAL);
        if (n >= 0)
            nbj__session_sent(d->session, (size_t)n, now);
        else if (errno == EAGAIN)
            d->writable = false; /* edge-triggered: the descriptor tells when it changes */
        else if (errno != EINTR)
            d->write_failed = d->readable = true; /* the server's reason may wait to be read */
    }
}

static void read_all(nbj__driver *d)
{
    for (int i = 0; i < READS_AT_ONCE && d->fd >= 0 && d->readable; i++) {
        if (!read_some(d))
            return;
    }
}

static void on_socket(nbj__driver *d, uint32_t events, nbj_time now)
{
    if (d->fd < 0) {
        after_dialer(d, nbj__dialer_on_socket(&d->dialer, now), now);
        return;
    }
    d->readable = d->readable || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    d->writable = d->writable || (events & EPOLLOUT) != 0;
}

static void take_readiness(nbj__driver *d, nbj_time now)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int n = epoll_wait(d->epoll_fd, events, EVENTS_AT_ONCE, 0);

    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == TAG_SOCKET)
            on_socket(d, events[i].events, now);
        else
            after_dialer(
                d, nbj__dialer_on_resolver(&d->dialer, (int)(events[i].data.u64 - TAG_RESOLVER), events[i].events, now),
                now);
        pump(d, now);
    }
}

nbj_status nbj__driver_process(nbj__driver *d)
{
    nbj_time now = nbj__os_now();

    if (d->closed)
        return NBJ_E_CLOSED;
    pump(d, now);
    take_readiness(d, now);
    read_all(d);
    now = nbj__os_now();
    after_dialer(d, nbj__dialer_on_time(&d->dialer, now), now);
    if (now >= nbj__session_deadline(d->session))
        nbj__session_on_time(d->session, now);
    pump(d, now);
    write_all(d, now);
    pump(d, now); /* WRITABLE */
    return d->closed ? NBJ_E_CLOSED : NBJ_OK;
}
