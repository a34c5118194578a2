/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/driver_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/os.h"
#include "driver/registers.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- beginning and end --- */

static nbj_status watch_wake_fd(nbj__driver *d)
{
    struct epoll_event watch = { .events = EPOLLIN, .data.u64 = NBJ__TAG_WAKE };

    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->wake_fd < 0 || d->nudge_fd < 0 || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->wake_fd, &watch) != 0)
        return NBJ_E_IO;
    return NBJ_OK;
}

static nbj_status open_descriptors(nbj__driver *d)
{
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0)
        return NBJ_E_IO;
    return d->cfg.lock->is_real ? watch_wake_fd(d) : NBJ_OK;
}

static nbj_status copy_tls_options(nbj__driver *d)
{
    nbj__tls_options from = d->cfg.tls;

    from.alloc = d->cfg.session.alloc;
    return nbj__tls_options_copy(&d->tls, &from);
}

static nbj_status keep_name(nbj__driver *d, const char *name, char **copy)
{
    if (name == NULL)
        return NBJ_OK;
    d->cfg.session.wants_credentials = true;
    *copy = nbj__copy_text(d->cfg.session.alloc, nbj_str(name));
    return *copy != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

nbj_status nbj__driver_new(nbj__driver **out, const nbj__driver_config *cfg, nbj_error *error)
{
    const nbj_allocator *alloc = nbj__allocator_or_default(cfg->session.alloc);
    nbj__driver *d = nbj__alloc0(alloc, sizeof *d);

    *out = NULL;
    if (d == NULL || nbj__cond_init(&d->written) != NBJ_OK) {
        nbj__free(alloc, d, sizeof *d);
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    }
    d->cfg = *cfg;
    d->cfg.session.alloc = alloc;
    d->epoll_fd = d->wake_fd = d->nudge_fd = -1;
    d->first_due = NBJ_TIME_NEVER;
    nbj__channel_init(&d->channel, alloc);
    nbj_status st = open_descriptors(d);
    if (st != NBJ_OK) {
        nbj__error_set(error, st, "no descriptor for an epoll set: raise the limit (ulimit -n)", (char *)NULL);
    } else {
        st = nbj__dialer_init(&d->dialer, alloc, d->epoll_fd, NBJ__TAG_RACER, NBJ__TAG_RESOLVER, &cfg->dial);
        if (st == NBJ_OK)
            st = copy_tls_options(d);
        if (st == NBJ_OK)
            st = keep_name(d, cfg->credentials_file, &d->credentials_file);
        if (st == NBJ_OK)
            st = keep_name(d, cfg->nkey_seed_file, &d->nkey_seed_file);
        if (st != NBJ_OK)
            nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    }
    if (st == NBJ_OK) {
        d->cfg.session.seed = nbj__os_seed();
        d->cfg.session.tls_possible = true;
        st = nbj__session_new(&d->session, &d->cfg.session, nbj__os_now(), error);
    }
    if (st != NBJ_OK) {
        nbj__driver_free(d);
        return st;
    }
    *out = d;
    return NBJ_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A writer has the descriptor and octets of the session in its hands until it is done. */
void nbj__driver_await_writer(nbj__driver *d)
{
    while (d->writing)
        nbj__cond_wait(&d->written, d->cfg.lock, NBJ_TIME_NEVER);
}

void nbj__driver_close_socket(nbj__driver *d)
{
    nbj__driver_await_writer(d);
    if (d->channel.fd >= 0) /* a forked child may have a copy: it is not to keep it in the epoll set */
        (void)epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->channel.fd, NULL);
    nbj__channel_close(&d->channel);
    d->first_due = NBJ_TIME_NEVER;
    d->readable = d->ending = d->writable = d->write_failed = false;
    d->watched = 0;
}

/* Somebody may have taken them for the contents. */
void nbj__driver_forget_names(nbj__driver *d)
{
    nbj__wipe_text(d->cfg.session.alloc, d->credentials_file);
    nbj__wipe_text(d->cfg.session.alloc, d->nkey_seed_file);
    d->credentials_file = d->nkey_seed_file = NULL;
}

void nbj__driver_free(nbj__driver *d)
{
    if (d == NULL)
        return;
    nbj__session_free(d->session);
    nbj__dialer_free(&d->dialer);
    nbj__driver_close_socket(d);
    nbj__free_text(d->cfg.session.alloc, d->first_name);
    nbj__tls_options_free(&d->tls);
    close_fd(&d->wake_fd);
    close_fd(&d->nudge_fd);
    close_fd(&d->epoll_fd);
    pthread_cond_destroy(&d->written);
    nbj__driver_forget_names(d);
    nbj__free(d->cfg.session.alloc, d, sizeof *d);
}

void nbj__driver_abandon(nbj__driver *d)
{
    nbj__dialer_abandon(&d->dialer);
    close_fd(&d->channel.fd);
    close_fd(&d->wake_fd);
    close_fd(&d->nudge_fd);
    close_fd(&d->epoll_fd);
}

nbj__session *nbj__driver_session(nbj__driver *d)
{
    return d->session;
}

int nbj__driver_fd(const nbj__driver *d)
{
    return d->epoll_fd;
}

bool nbj__driver_has_output(const nbj__driver *d)
{
    return nbj__session_has_tx(d->session) || nbj__channel_has_output(&d->channel);
}

bool nbj__driver_can_write(const nbj__driver *d)
{
    return d->channel.fd >= 0 && d->writable && !d->write_failed && !d->writing && nbj__driver_has_output(d);
}

nbj_time nbj__driver_deadline(const nbj__driver *d)
{
    if (d->closed)
        return NBJ_TIME_NEVER;
    if (d->readable || nbj__driver_can_write(d))
        return 0;
    nbj_time due = nbj__time_min(nbj__session_deadline(d->session), nbj__dialer_deadline(&d->dialer));
    return nbj__time_min(due, d->first_due);
}

/* --- the epoll set --- */

static void on_socket(nbj__driver *d, uint32_t events)
{
    if (d->channel.fd < 0) /* closed after its event was fetched */
        return;
    d->ending = d->ending || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    d->readable = d->readable || d->ending || (events & EPOLLIN) != 0;
    d->writable = d->writable || (events & EPOLLOUT) != 0;
}

static void drain(int fd)
{
    uint64_t count = 0;

    (void)!read(fd, &count, sizeof count); /* it is non-blocking; nothing there is fine */
}

static void poke(int fd)
{
    uint64_t one = 1;

    (void)!write(fd, &one, sizeof one); /* fails only where it is readable anyway */
}

static void forget_wake(nbj__driver *d)
{
    d->is_woken = false;
    drain(d->wake_fd);
}

static void take_readiness(nbj__driver *d, const nbj__ready *ready, nbj_time now)
{
    for (int i = 0; i < ready->count; i++) {
        const struct epoll_event *e = &ready->events[i];
        int fd = (int)(uint32_t)e->data.u64;
        if (e->data.u64 == NBJ__TAG_SOCKET)
            on_socket(d, e->events);
        else if (e->data.u64 == NBJ__TAG_WAKE)
            forget_wake(d);
        else if (e->data.u64 >= NBJ__TAG_RACER)
            nbj__driver_after_dialer(d, nbj__dialer_on_racer(&d->dialer, fd, now), now);
        else
            nbj__driver_after_dialer(d, nbj__dialer_on_resolver(&d->dialer, fd, e->events, now), now);
        nbj__driver_pump(d, now);
    }
}

void nbj__driver_forget(nbj__driver *d, const nbj__ready *ready)
{
    for (int i = 0; i < ready->count; i++) {
        if (ready->events[i].data.u64 == NBJ__TAG_WAKE)
            forget_wake(d);
    }
}

bool nbj__driver_is_wake_only(const nbj__ready *ready)
{
    for (int i = 0; i < ready->count; i++) {
        if (ready->events[i].data.u64 != NBJ__TAG_WAKE)
            return false;
    }
    return true;
}

static int milliseconds_until(nbj_time due)
{
    nbj_time now = due == NBJ_TIME_NEVER || due == 0 ? 0 : nbj__os_now();
    uint64_t ns = due > now ? due - now : 0;

    return due == NBJ_TIME_NEVER ? -1 : ns > NBJ_MINUTES(1) ? 60000 : (int)((ns + 999999) / 1000000);
}

void nbj__driver_wait(nbj__driver *d, nbj_time due, nbj__ready *ready)
{
    nbj_time now = due == NBJ_TIME_NEVER || due == 0 ? 0 : nbj__os_now();
    bool is_short = due > now && due - now < NBJ_MILLIS(1);
    struct timespec brief = { .tv_nsec = is_short ? (long)(due - now) : 0 };
    int n = is_short ? epoll_pwait2(d->epoll_fd, ready->events, NBJ__READY_MAX, &brief, NULL) : -1;

    if (n < 0) /* or the kernel does not know it: 5.11 */
        n = epoll_wait(d->epoll_fd, ready->events, NBJ__READY_MAX, milliseconds_until(due));

    ready->count = n > 0 ? n : 0;
}

static void on_time(nbj__driver *d, nbj_time now)
{
    nbj__driver_after_dialer(d, nbj__dialer_on_time(&d->dialer, now), now);
    nbj__driver_first_on_time(d, now);
    if (now >= nbj__session_deadline(d->session))
        nbj__session_on_time(d->session, now);
    nbj__driver_pump(d, now);
}

static bool is_ready(const nbj__driver *d)
{
    return nbj__session_phase(d->session) == NBJ__PHASE_READY;
}

nbj_status nbj__driver_process(nbj__driver *d, const nbj__ready *ready)
{
    bool was_ready = is_ready(d);
    nbj_time now = nbj__os_now();
    nbj__ready asked;

    if (d->closed) {
        if (ready != NULL)
            nbj__driver_forget(d, ready); /* or waiting would end at once for ever */
        return NBJ_E_CLOSED;
    }
    nbj__driver_pump(d, now);
    if (ready == NULL) {
        nbj__driver_wait(d, 0, &asked);
        ready = &asked;
    }
    take_readiness(d, ready, now);
    nbj__driver_read_all(d);
    now = nbj__os_now();
    on_time(d, now);
    nbj__driver_write_all(d);
    nbj__driver_pump(d, now);       /* WRITABLE */
    if (!was_ready || !is_ready(d)) /* credentials and keys are for connecting alone */
        nbj__registers_forget();
    return d->closed ? NBJ_E_CLOSED : NBJ_OK;
}

/* --- one thread's turn with the socket alone --- */

bool nbj__driver_is_plain(const nbj__driver *d)
{
    return d->channel.fd >= 0 && d->dialer.phase == NBJ__DIAL_IDLE && is_ready(d);
}

void nbj__driver_disarm(nbj__driver *d)
{
    if (d->watched != 0)
        nbj__driver_watch(d, 0);
}

void nbj__driver_arm(nbj__driver *d)
{
    if (d->channel.fd >= 0 && d->watched == 0)
        nbj__driver_watch(d, EPOLLIN | EPOLLRDHUP | (d->writable ? 0u : EPOLLOUT)); /* what is ready now is told anew */
}

/* Without the lock. */
static void wait_for_socket(nbj__driver *d, short events, nbj_time due, nbj__reading *r, bool *can_write)
{
    struct pollfd wait[] = { { .fd = d->channel.fd, .events = events }, { .fd = d->nudge_fd, .events = POLLIN } };

    if (poll(wait, 2, milliseconds_until(due)) <= 0)
        return;
    if (wait[1].revents != 0)
        drain(d->nudge_fd);
    if ((wait[0].revents & ~POLLOUT) != 0)
        nbj__driver_receive(d, r);
    *can_write = (wait[0].revents & POLLOUT) != 0;
}

void nbj__driver_flush(nbj__driver *d)
{
    nbj__driver_write_all(d);
    nbj__driver_pump(d, nbj__os_now());
}

void nbj__driver_read(nbj__driver *d, nbj_time due)
{
    nbj__reading r;
    bool can_write = false;

    if (!nbj__driver_is_plain(d) || !nbj__driver_begin_read(d, &r, nbj__os_now()))
        return;
    short events = (short)(POLLIN | (!d->writable && nbj__driver_has_output(d) ? POLLOUT : 0));
    bool more = d->readable; /* the last read filled its room; TLS may hold it, and the socket nothing */
    d->is_waiting = true;
    nbj__lock_drop(d->cfg.lock);
    if (more)
        nbj__driver_receive(d, &r);
    else
        wait_for_socket(d, events, due, &r, &can_write);
    nbj__lock_take(d->cfg.lock);
    d->is_waiting = d->is_nudged = false;
    nbj_time now = nbj__os_now();
    d->writable = d->writable || can_write;
    nbj__driver_end_read(d, &r, now);
    on_time(d, now);
    nbj__driver_write_all(d);
    nbj__driver_pump(d, now);
}

void nbj__driver_nudge(nbj__driver *d)
{
    if (d->is_nudged || !d->is_waiting)
        return;
    d->is_nudged = true;
    poke(d->nudge_fd);
}

void nbj__driver_wake(nbj__driver *d)
{
    if (d->is_woken)
        return;
    d->is_woken = true;
    poke(d->wake_fd);
}

bool nbj__driver_is_nudged(const nbj__driver *d)
{
    return d->is_nudged;
}

bool nbj__driver_is_woken(const nbj__driver *d)
{
    return d->is_woken;
}
