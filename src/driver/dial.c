/* SPDX-License-Identifier: Apache-2.0 */
/* Happy eyeballs. Owns: the race, its time limits and its failure's text. Does not own: names (resolve.c), the epoll set.
 * Whatever happens, advance() looks at the whole and goes on from there. */
#define _GNU_SOURCE
#include "driver/dial.h"

#include "base/text.h"
#include "base/time.h"
#include "driver/os.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* RFC 8305, section 8: resolution delay, connection attempt delay, minimum of the latter. */
#define WAIT_FOR_BETTER_NS NBJ_MILLIS(50)
#define BETWEEN_ATTEMPTS_NS NBJ_MILLIS(250)
#define BETWEEN_ATTEMPTS_MIN_NS NBJ_MILLIS(10)

nbj_status nbj__dialer_init(nbj__dialer *d, const nbj_allocator *alloc, int epoll_fd, uint64_t racer_tag,
                            uint64_t resolver_tag, const nbj__dial_options *options)
{
    nbj__resolver_options o = { .alloc = alloc,
                                .epoll_fd = epoll_fd,
                                .tag = resolver_tag,
                                .servers = options->name_servers,
                                .try_timeout_ns = options->dns_try_ns };

    assert((racer_tag & UINT32_MAX) == 0);
    *d = (nbj__dialer){ .epoll_fd = epoll_fd, .racer_tag = racer_tag, .opt = *options, .fd = -1 };
    d->opt.name_servers = NULL; /* the resolver has them */
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

/* --- sockets --- */

/* Takes racer |i| out without closing it. */
static nbj__racer remove_racer(nbj__dialer *d, size_t i)
{
    nbj__racer r = d->racers[i];

    d->racer_count--;
    memmove(&d->racers[i], &d->racers[i + 1], (d->racer_count - i) * sizeof d->racers[0]);
    return r;
}

static void close_racers(nbj__dialer *d)
{
    for (size_t i = 0; i < d->racer_count; i++)
        nbj__os_hang_up(d->epoll_fd, d->racers[i].fd);
    d->racer_count = 0;
}

void nbj__dialer_abandon(nbj__dialer *d)
{
    for (size_t i = 0; i < d->racer_count; i++)
        close(d->racers[i].fd);
    if (d->fd >= 0)
        close(d->fd);
}

void nbj__dialer_cancel(nbj__dialer *d)
{
    close_racers(d);
    if (d->fd >= 0)
        nbj__os_hang_up(d->epoll_fd, d->fd);
    d->fd = -1;
    nbj__resolver_cancel(d->resolver);
    d->phase = NBJ__DIAL_IDLE;
}

int nbj__dialer_take(nbj__dialer *d)
{
    int fd = d->fd;

    d->fd = -1;
    return fd;
}

/* A socket on its way to |a|, in the epoll set; else -1 with errno. */
static int open_racer(const nbj__dialer *d, const nbj__address *a)
{
    int one = 1;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a lone small message leaves at once */
    struct epoll_event watch = { .events = EPOLLIN | EPOLLOUT, .data.u64 = d->racer_tag | (uint32_t)fd };
    if ((connect(fd, &a->any, nbj__address_len(a)) == 0 || errno == EINPROGRESS || errno == EINTR) &&
        epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &watch) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Where nobody listens on a loopback port that the kernel gives to outgoing connections, a socket may meet itself. */
static bool is_its_own_peer(int fd, const nbj__address *peer)
{
    nbj__address own = { 0 };
    socklen_t len = sizeof own;

    return getsockname(fd, &own.any, &len) == 0 && nbj__address_is_same(&own, peer);
}

/* 0: connected; EINPROGRESS: not yet; else why not. */
static int outcome_of(int fd)
{
    nbj__address peer = { 0 };
    int error = 0;
    socklen_t len = sizeof error, peer_len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0)
        return error;
    if (getpeername(fd, &peer.any, &peer_len) != 0)
        return EINPROGRESS;
    return is_its_own_peer(fd, &peer) ? ECONNREFUSED : 0;
}

/* --- addresses not tried yet --- */

static size_t untried_of(const nbj__dialer *d, nbj__family family)
{
    return nbj__resolver_addresses(d->resolver, family)->count - d->next[family];
}

static size_t untried(const nbj__dialer *d)
{
    return untried_of(d, NBJ__V6) + untried_of(d, NBJ__V4);
}

/* Families take turns as long as both have addresses. */
static nbj__family next_family(const nbj__dialer *d)
{
    if (untried_of(d, d->turn) > 0)
        return d->turn;
    return d->turn == NBJ__V6 ? NBJ__V4 : NBJ__V6;
}

static const nbj__address *next_address(const nbj__dialer *d)
{
    nbj__family family = next_family(d);

    return &nbj__resolver_addresses(d->resolver, family)->at[d->next[family]];
}

/* --- failures --- */

static void note(nbj__dialer *d, int error, const nbj__address *to)
{
    size_t i = 0;

    while (i < d->reason_count && d->reasons[i].error != error)
        i++;
    if (i == d->reason_count && i == NBJ__DIAL_REASONS_MAX)
        i--; /* four ways to fail tell enough */
    else if (i == d->reason_count)
        d->reasons[d->reason_count++] = (nbj__dial_reason){ error, 0, to };
    d->reasons[i].count++;
}

static void note_racer(nbj__dialer *d, size_t i, int error)
{
    nbj__racer r = remove_racer(d, i);

    note(d, error, r.to);
    nbj__os_hang_up(d->epoll_fd, r.fd);
}

static void add_duration(nbj__text *t, uint64_t ns)
{
    uint64_t ms = ns / NBJ_MILLIS(1);
    bool whole = ms >= 1000 && ms % 1000 == 0;

    nbj__text_add_u64(t, whole ? ms / 1000 : ms);
    nbj__text_add(t, whole ? " s" : " ms");
}

/* What ended at |due|, named by the shorter of its own limit and that of the whole. */
static uint64_t limit_of(const nbj__dialer *d, uint64_t own_ns, nbj_time due)
{
    return own_ns != 0 && due < d->due ? own_ns : d->whole_ns;
}

static void add_took_longer(nbj__text *t, uint64_t ns)
{
    nbj__text_add(t, " took longer than ");
    add_duration(t, ns);
}

/* "connecting to 10.0.0.1:4222: connection refused"; the session names an address that it gave itself. */
static void add_one_failure(const nbj__dialer *d, nbj__text *t)
{
    const nbj__dial_reason *why = &d->reasons[0];
    bool is_late = why->error == ETIMEDOUT;
    char text[NBJ__OS_ERROR_MAX];

    if (!nbj__resolver_is_numeric(d->resolver)) {
        nbj__text_add(t, "connecting to ");
        nbj__address_add_text(why->first, t);
        nbj__text_add(t, is_late ? "" : ": ");
    } else {
        nbj__text_add(t, is_late ? "connecting" : "");
    }
    if (is_late)
        add_took_longer(t, limit_of(d, d->opt.tcp_timeout_ns, d->tcp_due));
    else
        nbj__text_add(t, nbj__os_error(why->error, text, sizeof text));
}

/* "none of 3 addresses could be connected to: no answer ([::1]:4222), connection refused (10.0.0.1:4222 and 1 more)" */
static void add_many_failures(const nbj__dialer *d, nbj__text *t, unsigned count)
{
    char text[NBJ__OS_ERROR_MAX];

    nbj__text_add(t, "none of ");
    nbj__text_add_u64(t, count);
    nbj__text_add(t, " addresses could be connected to: ");
    for (size_t i = 0; i < d->reason_count; i++) {
        const nbj__dial_reason *why = &d->reasons[i];
        nbj__text_add(t, i > 0 ? ", " : "");
        nbj__text_add(t, why->error == ETIMEDOUT ? "no answer" : nbj__os_error(why->error, text, sizeof text));
        nbj__text_add(t, " (");
        nbj__address_add_text(why->first, t);
        if (why->count > 1) {
            nbj__text_add(t, " and ");
            nbj__text_add_u64(t, why->count - 1);
            nbj__text_add(t, " more");
        }
        nbj__text_add(t, ")");
    }
}

/* The most telling of what happened: that somebody answered, then that nobody did, then what the kernel says. */
static nbj_status status_of_reasons(const nbj__dialer *d)
{
    nbj_status status = NBJ_E_IO;

    for (size_t i = 0; i < d->reason_count; i++) {
        if (d->reasons[i].error == ECONNREFUSED)
            return NBJ_E_REFUSED;
        if (d->reasons[i].error == ETIMEDOUT)
            status = NBJ_E_CONNECT_TIMEOUT;
    }
    return status;
}

static nbj_status end(nbj__dialer *d, nbj_status status)
{
    nbj__dialer_cancel(d);
    d->error.status = status;
    return status;
}

static nbj_status fail_connecting(nbj__dialer *d)
{
    static const char *const families[] = { "IPv6", "IPv4" };
    unsigned count = 0;

    nbj__resolver_cancel(d->resolver);
    while (d->racer_count > 0)
        note_racer(d, 0, ETIMEDOUT);
    if (untried(d) > 0 && d->no_descriptor != 0)
        note(d, d->no_descriptor, next_address(d));
    for (size_t i = 0; i < d->reason_count; i++)
        count += d->reasons[i].count;
    d->error = (nbj_error){ 0 };
    nbj__text t = nbj__text_into(d->error.text, sizeof d->error.text);
    if (count == 1)
        add_one_failure(d, &t);
    else
        add_many_failures(d, &t, count);
    for (int i = 0; i < NBJ__FAMILIES; i++) {
        const char *trouble = nbj__resolver_trouble(d->resolver, (nbj__family)i);
        if (trouble == NULL)
            continue;
        nbj__text_add(&t, "; looking up ");
        nbj__text_add(&t, families[i]);
        nbj__text_add(&t, " addresses: ");
        nbj__text_add(&t, trouble);
    }
    return end(d, status_of_reasons(d));
}

static nbj_status fail_looking_up(nbj__dialer *d)
{
    d->error = *nbj__resolver_error(d->resolver);
    return end(d, d->error.status);
}

static nbj_status fail_slow_lookup(nbj__dialer *d)
{
    d->error = (nbj_error){ 0 };
    nbj__text t = nbj__text_into(d->error.text, sizeof d->error.text);
    nbj__text_add(&t, "looking up \"");
    nbj__text_add(&t, nbj__resolver_host(d->resolver));
    nbj__text_add(&t, "\"");
    add_took_longer(&t, limit_of(d, d->opt.dns_timeout_ns, d->dns_due));
    return end(d, NBJ_E_DNS);
}

/* --- the race --- */

/* The pause after an attempt: short enough for all addresses to have their turn, and when there is no room for one more,
 * as long as that allows, since each turn then costs the oldest attempt its place. */
static uint64_t pause_after_attempt(const nbj__dialer *d, nbj_time now)
{
    uint64_t left = d->tcp_due > now ? d->tcp_due - now : 0;
    uint64_t share = left / (untried(d) + 1);

    if (d->racer_count < NBJ__RACERS_MAX && share > BETWEEN_ATTEMPTS_NS)
        share = BETWEEN_ATTEMPTS_NS;
    return share > BETWEEN_ATTEMPTS_MIN_NS ? share : BETWEEN_ATTEMPTS_MIN_NS;
}

static void attempt(nbj__dialer *d, nbj_time now)
{
    nbj__family family = next_family(d);
    const nbj__address *to = next_address(d);

    if (d->racer_count == NBJ__RACERS_MAX)
        note_racer(d, 0, ETIMEDOUT);
    int fd = open_racer(d, to);
    int error = errno;
    if (fd < 0 && (error == EMFILE || error == ENFILE) && d->racer_count > 0) {
        d->no_descriptor = error;
        d->next_at = nbj__time_add(now, BETWEEN_ATTEMPTS_NS); /* one of the others may yet win, or make room */
        return;
    }
    d->next[family]++;
    d->turn = family == NBJ__V6 ? NBJ__V4 : NBJ__V6;
    if (fd < 0) {
        note(d, error, to);
        return;
    }
    d->racers[d->racer_count++] = (nbj__racer){ fd, to };
    d->next_at = nbj__time_add(now, pause_after_attempt(d, now));
}

static bool is_asking(const nbj__dialer *d)
{
    return nbj__resolver_status(d->resolver) == NBJ_MORE;
}

static nbj_status race(nbj__dialer *d, nbj_time now)
{
    if (now >= d->tcp_due)
        return fail_connecting(d);
    while (untried(d) > 0 && (now >= d->next_at || d->racer_count == 0))
        attempt(d, now);
    return d->racer_count > 0 || is_asking(d) ? NBJ_MORE : fail_connecting(d);
}

/* Whether connecting is to wait for the family that is tried first: IPv6, unless what came of it ranks behind. */
static bool waits_for_better(nbj__dialer *d, nbj_time now)
{
    nbj__family best = nbj__resolver_is_asking(d->resolver, NBJ__V6) ? NBJ__V6 : nbj__resolver_first(d->resolver);

    if (!nbj__resolver_is_asking(d->resolver, best))
        return false;
    if (d->wait_due == NBJ_TIME_NEVER)
        d->wait_due = nbj__time_add(now, WAIT_FOR_BETTER_NS);
    return now < d->wait_due;
}

static nbj_status advance(nbj__dialer *d, nbj_time now)
{
    bool is_late = is_asking(d) && now >= d->dns_due;

    if (is_late)
        nbj__resolver_cancel(d->resolver);
    if (d->phase == NBJ__DIAL_RESOLVING) {
        if (untried(d) == 0)
            return is_late ? fail_slow_lookup(d) : is_asking(d) ? NBJ_MORE : fail_looking_up(d);
        if (waits_for_better(d, now))
            return NBJ_MORE;
        d->phase = NBJ__DIAL_CONNECTING;
        d->turn = nbj__resolver_first(d->resolver);
        d->next_at = now;
        d->tcp_due =
            d->opt.tcp_timeout_ns != 0 ? nbj__time_min(d->due, nbj__time_add(now, d->opt.tcp_timeout_ns)) : d->due;
    }
    return race(d, now);
}

/* --- the interface --- */

nbj_status nbj__dialer_start(nbj__dialer *d, const char *host, uint16_t port, nbj_time due, nbj_time now)
{
    nbj__dialer_cancel(d);
    d->phase = NBJ__DIAL_RESOLVING;
    d->whole_ns = due > now ? due - now : 0;
    d->due = due;
    d->dns_due = d->opt.dns_timeout_ns != 0 ? nbj__time_min(due, nbj__time_add(now, d->opt.dns_timeout_ns)) : due;
    d->wait_due = NBJ_TIME_NEVER;
    d->next[NBJ__V6] = d->next[NBJ__V4] = 0;
    d->reason_count = 0;
    d->no_descriptor = 0;
    (void)nbj__resolver_start(d->resolver, nbj_str(host), port, now);
    return advance(d, now);
}

nbj_status nbj__dialer_on_resolver(nbj__dialer *d, int fd, uint32_t events, nbj_time now)
{
    if (d->phase == NBJ__DIAL_IDLE || !is_asking(d))
        return NBJ_MORE;
    (void)nbj__resolver_on_ready(d->resolver, fd, events, now);
    return advance(d, now);
}

nbj_status nbj__dialer_on_racer(nbj__dialer *d, int fd, nbj_time now)
{
    size_t i = 0;

    while (i < d->racer_count && d->racers[i].fd != fd)
        i++;
    if (i == d->racer_count)
        return NBJ_MORE; /* it was closed after its event was fetched */
    int error = outcome_of(fd);
    if (error == EINPROGRESS)
        return NBJ_MORE;
    if (error != 0) {
        note_racer(d, i, error);
        d->next_at = now;
        return advance(d, now);
    }
    (void)remove_racer(d, i);
    nbj__dialer_cancel(d);
    d->fd = fd;
    return NBJ_OK;
}

nbj_status nbj__dialer_on_time(nbj__dialer *d, nbj_time now)
{
    if (d->phase == NBJ__DIAL_IDLE || now < nbj__dialer_deadline(d))
        return NBJ_MORE;
    (void)nbj__resolver_on_time(d->resolver, now);
    return advance(d, now);
}

nbj_time nbj__dialer_deadline(const nbj__dialer *d)
{
    nbj_time due = NBJ_TIME_NEVER;

    if (d->phase == NBJ__DIAL_IDLE)
        return due;
    if (is_asking(d))
        due = nbj__time_min(d->dns_due, nbj__resolver_deadline(d->resolver));
    if (d->phase == NBJ__DIAL_RESOLVING)
        return nbj__time_min(due, d->wait_due);
    return nbj__time_min(due, nbj__time_min(d->tcp_due, untried(d) > 0 ? d->next_at : NBJ_TIME_NEVER));
}
