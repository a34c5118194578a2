/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/driver.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/channel.h"
#include "driver/identity.h"
#include "driver/os.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TAG_SOCKET 1u
#define TAG_WAKE 2u
#define TAG_RESOLVER ((uint64_t)2 << 32) /* + descriptor */
#define TAG_RACER ((uint64_t)3 << 32)    /* + descriptor */
#define READS_AT_ONCE 16                 /* then timers and writing have their turn */
#define WRITES_AT_ONCE 16                /* then reading has */

struct nbj__driver {
    nbj__driver_config cfg;
    nbj__session *session;
    nbj__dialer dialer;
    char *credentials_file, *nkey_seed_file;
    int epoll_fd;
    int wake_fd;  /* in the epoll set; -1: there are no threads */
    int nudge_fd; /* for nbj__driver_read */
    bool is_woken;
    bool is_turning;                 /* within nbj__driver_turn */
    bool is_waiting;                 /* … for the socket, without the lock */
    bool is_nudged;                  /* the turn is not to wait */
    nbj__channel channel;            /* the connected socket */
    nbj__tls_options tls;            /* for all connections; without a host */
    char *first_name;                /* whose certificate to expect before anything else; NULL: INFO comes first */
    nbj_time first_begun, first_due; /* of that handshake */
    uint32_t watched;                /* what the epoll set watches it for; 0: it is disarmed */
    bool readable;                   /* the socket may have something */
    bool ending;                     /* it will end: it is read until it says so */
    bool writable;                   /* the socket may take something */
    bool write_failed;               /* nothing more is written; reading will tell why */
    bool writing;                    /* some thread does, without the lock */
    bool closed;                     /* the last event was given out */
    pthread_cond_t written;
};

/* --- beginning and end --- */

static nbj_status watch_wake_fd(nbj__driver *d)
{
    struct epoll_event watch = { .events = EPOLLIN, .data.u64 = TAG_WAKE };

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
        st = nbj__dialer_init(&d->dialer, alloc, d->epoll_fd, TAG_RACER, TAG_RESOLVER, &cfg->dial);
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
static void await_writer(nbj__driver *d)
{
    while (d->writing)
        nbj__cond_wait(&d->written, d->cfg.lock, NBJ_TIME_NEVER);
}

static void close_socket(nbj__driver *d)
{
    await_writer(d);
    if (d->channel.fd >= 0) /* a forked child may have a copy: it is not to keep it in the epoll set */
        (void)epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->channel.fd, NULL);
    nbj__channel_close(&d->channel);
    d->first_due = NBJ_TIME_NEVER;
    d->readable = d->ending = d->writable = d->write_failed = false;
    d->watched = 0;
}

void nbj__driver_free(nbj__driver *d)
{
    if (d == NULL)
        return;
    nbj__session_free(d->session);
    nbj__dialer_free(&d->dialer);
    close_socket(d);
    nbj__free_text(d->cfg.session.alloc, d->first_name);
    nbj__tls_options_free(&d->tls);
    close_fd(&d->wake_fd);
    close_fd(&d->nudge_fd);
    close_fd(&d->epoll_fd);
    pthread_cond_destroy(&d->written);
    nbj__wipe_text(d->cfg.session.alloc, d->credentials_file); /* somebody may have taken them for the contents */
    nbj__wipe_text(d->cfg.session.alloc, d->nkey_seed_file);
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

/* --- dialing --- */

static void watch_socket(nbj__driver *d, uint32_t events)
{
    struct epoll_event watch = { .events = events | EPOLLET, .data.u64 = TAG_SOCKET };

    d->watched = events;
    (void)epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, d->channel.fd, &watch); /* it is in the set since it was dialed */
}

/* |name|: whose certificate the server has to have. */
static void start_tls(nbj__driver *d, const char *name, nbj_time now)
{
    nbj__tls_options o = d->tls;
    nbj_error error = { 0 };

    o.host = name;
    await_writer(d);
    nbj_status st = nbj__channel_start_tls(&d->channel, &o, &error);
    d->readable = true; /* what comes is for TLS from now on */
    if (st == NBJ_OK)
        return;
    close_socket(d);
    nbj__session_lost(d->session, st, error.text, now);
}

/* TLS in front of everything else is part of dialing; behind INFO the session keeps its time. */
static void start_tls_first(nbj__driver *d, nbj_time now)
{
    uint64_t limit = d->cfg.session.tls_timeout_ns;

    d->first_begun = now;
    d->first_due = limit > 0 ? nbj__time_min(nbj__time_add(now, limit), d->dialer.due) : d->dialer.due;
    start_tls(d, d->first_name, now);
}

static void first_on_time(nbj__driver *d, nbj_time now)
{
    char text[80];
    nbj__text t = nbj__text_into(text, sizeof text);

    if (now < d->first_due)
        return;
    nbj__text_add(&t, "the TLS handshake did not finish within ");
    nbj__text_add_u64(&t, (d->first_due - d->first_begun) / NBJ_MILLIS(1));
    nbj__text_add(&t, " ms");
    close_socket(d);
    nbj__session_lost(d->session, NBJ_E_CONNECT_TIMEOUT, text, now);
}

static void after_dialer(nbj__driver *d, nbj_status st, nbj_time now)
{
    if (st == NBJ_MORE)
        return;
    if (st != NBJ_OK) {
        nbj__session_lost(d->session, st, d->dialer.error.text, now);
        return;
    }
    close_socket(d);
    nbj__channel_adopt(&d->channel, nbj__dialer_take(&d->dialer));
    d->readable = d->writable = true;
    nbj__driver_arm(d);
    if (d->first_name != NULL)
        start_tls_first(d, now);
    else
        nbj__session_dialed(d->session, now);
}

static void dial(nbj__driver *d, const nbj__event *ev, nbj_time now)
{
    const nbj_allocator *alloc = d->cfg.session.alloc;

    nbj__free_text(alloc, d->first_name);
    d->first_name = ev->tls_first ? nbj__copy_text(alloc, nbj_str(ev->tls_name)) : NULL;
    if (ev->tls_first && d->first_name == NULL)
        nbj__session_lost(d->session, NBJ_E_NOMEM, NULL, now);
    else
        after_dialer(d, nbj__dialer_start(&d->dialer, ev->host, ev->port, ev->due, now), now);
}

/* --- credentials --- */

/* Reads and signs without the lock: it may take its time. The connection may be gone then; the session knows. */
static nbj_status identify(const nbj__driver *d, nbj_bytes nonce, nbj__identity *id, nbj_error *error)
{
    const nbj__identity_config cfg = { d->cfg.session.alloc, d->credentials_file, d->nkey_seed_file };
    uint8_t copy[NBJ__INFO_TEXT_MAX];

    assert(nonce.len <= sizeof copy);
    if (nonce.len > 0)
        memcpy(copy, nonce.ptr, nonce.len);
    nbj__lock_drop(d->cfg.lock);
    nbj_status st = nbj__identity_answer(&cfg, nbj_view(copy, nonce.len), id, error);
    nbj__lock_take(d->cfg.lock);
    return st;
}

static void answer_from_files(nbj__driver *d, nbj_bytes nonce)
{
    nbj__identity id;
    nbj_error error;
    nbj_status st = identify(d, nonce, &id, &error);
    nbj_time now = nbj__os_now();

    if (st == NBJ_OK) {
        const nbj__credentials who = { .jwt = id.jwt, .nkey = id.nkey, .signature = id.signature };
        (void)nbj__session_credentials(d->session, &who, now); /* what is wrong with it, the session's events say */
        nbj__identity_wipe(&id);
    } else if (nbj__session_no_credentials(d->session, &error, now) == NBJ_OK) {
        const nbj__event failed = { .type = NBJ__EV_CREDENTIALS, .status = st, .error = &error };
        d->cfg.on_event(d->cfg.user, &failed, now);
    }
}

/* --- events --- */

static void obey(nbj__driver *d, const nbj__event *ev, nbj_time now)
{
    switch (ev->type) {
    case NBJ__EV_DIAL:
        dial(d, ev, now);
        return;
    case NBJ__EV_HANGUP:
        nbj__dialer_cancel(&d->dialer);
        close_socket(d);
        return;
    case NBJ__EV_START_TLS:
        start_tls(d, ev->host, now);
        return;
    case NBJ__EV_CREDENTIALS:
        if (d->credentials_file != NULL || d->nkey_seed_file != NULL) {
            answer_from_files(d, ev->nonce);
            return;
        }
        break;
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

static void lose(nbj__driver *d, nbj_status st, const char *text, nbj_time now)
{
    close_socket(d);
    nbj__session_lost(d->session, st, text, now);
    pump(d, now);
}

/* --- reading --- */

typedef struct reading {
    uint8_t *at;
    size_t room;
    bool was_shaking;
    nbj__received got;
} reading;

/* False: no memory, and the connection is given up for it. */
static bool begin_read(nbj__driver *d, reading *r, nbj_time now)
{
    *r = (reading){ .was_shaking = d->channel.is_shaking, .got = { .status = NBJ_MORE } };
    nbj_status st = r->was_shaking ? NBJ_OK : nbj__session_rx_space(d->session, &r->at, &r->room);
    if (st == NBJ_OK)
        return true;
    lose(d, st, NULL, now);
    return false;
}

/* Without the lock. */
static void receive(nbj__driver *d, reading *r)
{
    r->got = nbj__channel_receive(&d->channel, r->at, r->room);
}

static void on_secured(nbj__driver *d, nbj_time now)
{
    bool is_dialing = d->first_due != NBJ_TIME_NEVER;

    d->first_due = NBJ_TIME_NEVER;
    if (is_dialing)
        nbj__session_dialed(d->session, now);
    else
        (void)nbj__session_secured(d->session, now); /* what it does not like is an event */
}

static void end_read(nbj__driver *d, const reading *r, nbj_time now)
{
    const nbj__received *got = &r->got;
    nbj_error error;

    d->readable = got->may_have_more || (d->ending && got->status == NBJ_OK);
    if (got->status == NBJ_MORE)
        return;
    if (got->status != NBJ_OK) {
        nbj__error_set(&error, got->status, nbj__channel_end_text(&d->channel, got), (char *)NULL);
        lose(d, got->status, error.text[0] != '\0' ? error.text : NULL, now);
        return;
    }
    if (r->was_shaking)
        on_secured(d, now);
    else
        nbj__session_rx_commit(d->session, got->len);
    pump(d, now);
}

static void read_all(nbj__driver *d)
{
    for (int i = 0; i < READS_AT_ONCE && d->channel.fd >= 0 && d->readable; i++) {
        reading r;
        if (!begin_read(d, &r, nbj__os_now()))
            return;
        nbj__lock_drop(d->cfg.lock);
        receive(d, &r);
        nbj__lock_take(d->cfg.lock);
        end_read(d, &r, nbj__os_now()); /* callbacks take their time: the clock is read again each time */
    }
}

/* --- writing --- */

/* Edge-triggered: the descriptor tells when there is room, which would be a needless wake-up where there always is. */
static void await_room(nbj__driver *d)
{
    d->writable = false;
    if (d->watched != 0) /* anew each time: the edge may have come before we had the lock again */
        watch_socket(d, d->watched | EPOLLOUT);
}

void nbj__driver_write(nbj__driver *d)
{
    bool stays = nbj__session_tx_stays(d->session);
    nbj_bytes tx = nbj__session_tx(d->session);
    size_t n = 0;

    d->writing = true;
    if (stays)
        nbj__lock_drop(d->cfg.lock);
    nbj_status st = nbj__channel_send(&d->channel, tx, &n);
    if (stays)
        nbj__lock_take(d->cfg.lock);
    d->writing = false;
    if (d->cfg.lock->is_real)
        pthread_cond_broadcast(&d->written);
    if (st == NBJ_OK || n > 0)
        nbj__session_sent(d->session, n, nbj__os_now());
    if (st == NBJ_MORE)
        await_room(d);
    else if (st != NBJ_OK)
        d->write_failed = d->readable = true; /* the server's reason may wait to be read */
}

/* All there is, unless others add to it as fast as it goes. */
static void write_all(nbj__driver *d)
{
    for (int i = 0; i < WRITES_AT_ONCE && nbj__driver_can_write(d); i++)
        nbj__driver_write(d);
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
        if (e->data.u64 == TAG_SOCKET)
            on_socket(d, e->events);
        else if (e->data.u64 == TAG_WAKE)
            forget_wake(d);
        else if (e->data.u64 >= TAG_RACER)
            after_dialer(d, nbj__dialer_on_racer(&d->dialer, fd, now), now);
        else
            after_dialer(d, nbj__dialer_on_resolver(&d->dialer, fd, e->events, now), now);
        pump(d, now);
    }
}

void nbj__driver_forget(nbj__driver *d, const nbj__ready *ready)
{
    for (int i = 0; i < ready->count; i++) {
        if (ready->events[i].data.u64 == TAG_WAKE)
            forget_wake(d);
    }
}

static int milliseconds_until(nbj_time due)
{
    nbj_time now = due == NBJ_TIME_NEVER || due == 0 ? 0 : nbj__os_now();
    uint64_t ns = due > now ? due - now : 0;

    return due == NBJ_TIME_NEVER ? -1 : ns > NBJ_MINUTES(1) ? 60000 : (int)((ns + 999999) / 1000000);
}

void nbj__driver_wait(nbj__driver *d, nbj_time due, nbj__ready *ready)
{
    int n = epoll_wait(d->epoll_fd, ready->events, NBJ__READY_MAX, milliseconds_until(due));

    ready->count = n > 0 ? n : 0;
}

static void on_time(nbj__driver *d, nbj_time now)
{
    after_dialer(d, nbj__dialer_on_time(&d->dialer, now), now);
    first_on_time(d, now);
    if (now >= nbj__session_deadline(d->session))
        nbj__session_on_time(d->session, now);
    pump(d, now);
}

nbj_status nbj__driver_process(nbj__driver *d, const nbj__ready *ready)
{
    nbj_time now = nbj__os_now();
    nbj__ready asked;

    if (d->closed) {
        if (ready != NULL)
            nbj__driver_forget(d, ready); /* or waiting would end at once for ever */
        return NBJ_E_CLOSED;
    }
    pump(d, now);
    if (ready == NULL) {
        nbj__driver_wait(d, 0, &asked);
        ready = &asked;
    }
    take_readiness(d, ready, now);
    read_all(d);
    now = nbj__os_now();
    on_time(d, now);
    write_all(d);
    pump(d, now); /* WRITABLE */
    return d->closed ? NBJ_E_CLOSED : NBJ_OK;
}

/* --- one thread's turn with the socket alone --- */

bool nbj__driver_is_plain(const nbj__driver *d)
{
    return d->channel.fd >= 0 && d->dialer.phase == NBJ__DIAL_IDLE &&
           nbj__session_phase(d->session) == NBJ__PHASE_READY;
}

void nbj__driver_disarm(nbj__driver *d)
{
    if (d->watched != 0)
        watch_socket(d, 0);
}

void nbj__driver_arm(nbj__driver *d)
{
    if (d->channel.fd >= 0 && d->watched == 0)
        watch_socket(d, EPOLLIN | EPOLLRDHUP | (d->writable ? 0u : EPOLLOUT)); /* what is ready now is told anew */
}

/* Without the lock. */
static void wait_for_socket(nbj__driver *d, short events, nbj_time due, reading *r, bool *can_write)
{
    struct pollfd wait[] = { { .fd = d->channel.fd, .events = events }, { .fd = d->nudge_fd, .events = POLLIN } };

    if (poll(wait, 2, milliseconds_until(due)) <= 0)
        return;
    if (wait[1].revents != 0)
        drain(d->nudge_fd);
    if ((wait[0].revents & ~POLLOUT) != 0)
        receive(d, r);
    *can_write = (wait[0].revents & POLLOUT) != 0;
}

void nbj__driver_flush(nbj__driver *d)
{
    write_all(d);
    pump(d, nbj__os_now());
}

void nbj__driver_read(nbj__driver *d, nbj_time due)
{
    reading r;
    bool can_write = false;

    if (!nbj__driver_is_plain(d) || !begin_read(d, &r, nbj__os_now()))
        return;
    short events = (short)(POLLIN | (!d->writable && nbj__driver_has_output(d) ? POLLOUT : 0));
    bool more = d->readable; /* the last read filled its room; TLS may hold it, and the socket nothing */
    d->is_waiting = true;
    nbj__lock_drop(d->cfg.lock);
    if (more)
        receive(d, &r);
    else
        wait_for_socket(d, events, due, &r, &can_write);
    nbj__lock_take(d->cfg.lock);
    d->is_waiting = d->is_nudged = false;
    nbj_time now = nbj__os_now();
    d->writable = d->writable || can_write;
    end_read(d, &r, now);
    on_time(d, now);
    write_all(d);
    pump(d, now);
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
