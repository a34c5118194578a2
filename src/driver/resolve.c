/* SPDX-License-Identifier: Apache-2.0 */
/* Name resolution. Owns: one c-ares channel while a resolution is under way, and the last result. Does not own: the
 * epoll set, time limits of a whole connection attempt, the choice among addresses.
 * Invariant: |channel| is not NULL exactly while |status| is NBJ_MORE, except inside a call of c-ares: it must not be
 * destroyed from its own callbacks, so these only note what happened and advance() acts on it. */
#define _GNU_SOURCE

#include "driver/resolve.h"

#include "base/heap.h"
#include "base/mem.h"
#include "base/text.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOST_MAX 255 /* octets: the longest domain name, and more than any numeric address with its zone */
#define DEFAULT_TRY_TIMEOUT_NS NBJ_SECONDS(2)
#define DEFAULT_TRIES 3

struct nbj__resolver {
    nbj__resolver_options opt;
    char *servers; /* NULL: the system's */
    ares_channel channel;
    nbj_status status;
    nbj_time deadline;
    bool unwatched; /* a socket could not be put into the epoll set */
    uint16_t port;
    char host[HOST_MAX + 1];
    nbj__addresses found;
    nbj_error error;
};

/* -- sockets: c-ares' own would lack close-on-exec for a moment, and could raise SIGPIPE over TCP -- */

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    (void)user;
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

static int close_socket(ares_socket_t fd, void *user)
{
    (void)user;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len, void *user)
{
    (void)user;
    return connect(fd, to, len);
}

static ares_ssize_t receive(ares_socket_t fd, void *buf, size_t len, int flags, struct sockaddr *from,
                            ares_socklen_t *from_len, void *user)
{
    (void)user;
    return recvfrom(fd, buf, len, flags, from, from_len);
}

static ares_ssize_t send_parts(ares_socket_t fd, const struct iovec *parts, int count, void *user)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count };

    (void)user;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_parts,
};

/* c-ares wants |fd| watched for this; neither: it is about to be closed. */
static void on_socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    nbj__resolver *r = user;
    struct epoll_event event = { .events = (readable ? (uint32_t)EPOLLIN : 0u) | (writable ? (uint32_t)EPOLLOUT : 0u),
                                 .data.u64 = r->opt.tag | (uint32_t)fd };

    if (event.events == 0) {
        epoll_ctl(r->opt.epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* fails only where it was never put in */
        return;
    }
    if (epoll_ctl(r->opt.epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return;
    if (errno != ENOENT || epoll_ctl(r->opt.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        r->unwatched = true;
}

/* -- results -- */

static nbj_status fail(nbj__resolver *r, nbj_status status, const char *why)
{
    r->status = nbj__error_set(&r->error, status, "cannot resolve \"", r->host, "\": ", why, (char *)NULL);
    return r->status;
}

static bool same_address(const nbj__address *a, const nbj__address *b)
{
    return a->any.sa_family == b->any.sa_family && memcmp(a, b, nbj__address_len(a)) == 0;
}

static void add_address(nbj__addresses *list, const nbj__address *a)
{
    for (size_t i = 0; i < list->count; i++)
        if (same_address(&list->at[i], a))
            return;
    if (list->count < NBJ__ADDRESSES_MAX)
        list->at[list->count++] = *a;
}

static void set_port(nbj__address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

static void take_addresses(nbj__resolver *r, const struct ares_addrinfo_node *node)
{
    for (; node != NULL; node = node->ai_next) {
        nbj__address a = { 0 };
        if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) || (size_t)node->ai_addrlen > sizeof a)
            continue;
        memcpy(&a, node->ai_addr, node->ai_addrlen);
        set_port(&a, r->port);
        add_address(&r->found, &a);
    }
}

static nbj_status fail_by_ares(nbj__resolver *r, int status)
{
    return fail(r, status == ARES_ENOMEM ? NBJ_E_NOMEM : NBJ_E_DNS, ares_strerror(status));
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
    nbj__resolver *r = user;

    (void)timeouts;
    if (r->status == NBJ_MORE) { /* otherwise it is being dropped */
        if (status == ARES_SUCCESS)
            take_addresses(r, answer->nodes);
        if (status != ARES_SUCCESS)
            fail_by_ares(r, status);
        else if (r->found.count == 0)
            fail_by_ares(r, ARES_ENODATA);
        else
            r->status = NBJ_OK;
    }
    ares_freeaddrinfo(answer);
}

/* -- the channel -- */

static void drop_channel(nbj__resolver *r)
{
    assert(r->status != NBJ_MORE); /* or on_answer would take "destroyed" for an answer */
    if (r->channel != NULL)
        ares_destroy(r->channel);
    r->channel = NULL;
    r->deadline = NBJ_TIME_NEVER;
}

/* After c-ares has worked: notes its next deadline, or tidies up what has ended. */
static nbj_status advance(nbj__resolver *r, nbj_time now)
{
    struct timeval left;

    if (r->unwatched && (r->status == NBJ_MORE || r->status == NBJ_E_DNS)) /* of which c-ares may make "no server" */
        fail(r, NBJ_E_DNS, "a socket could not be watched");
    if (r->status != NBJ_MORE) {
        drop_channel(r);
        return r->status;
    }
    r->deadline = NBJ_TIME_NEVER;
    if (ares_timeout(r->channel, NULL, &left) != NULL) {
        uint64_t wait = NBJ_SECONDS(left.tv_sec) + NBJ_MICROS(left.tv_usec);
        r->deadline = nbj__time_add(now, wait + NBJ_MILLIS(1)); /* c-ares rounds down: do not spin through the rest */
    }
    return NBJ_MORE;
}

static int try_timeout_ms(const nbj__resolver *r)
{
    uint64_t ns = r->opt.try_timeout_ns != 0 ? r->opt.try_timeout_ns : DEFAULT_TRY_TIMEOUT_NS;
    uint64_t ms = (ns + NBJ_MILLIS(1) - 1) / NBJ_MILLIS(1);

    return ms < INT_MAX / 2 ? (int)ms : INT_MAX / 2;
}

static int open_channel(nbj__resolver *r)
{
    char files_then_dns[] = "fb";
    struct ares_options o = { 0 };

    o.lookups = files_then_dns;
    o.timeout = try_timeout_ms(r);
    o.tries = r->opt.tries != 0 ? (int)r->opt.tries : DEFAULT_TRIES;
    o.sock_state_cb = on_socket_state;
    o.sock_state_cb_data = r;
    int status = ares_init_options(&r->channel, &o,
                                   ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        r->channel = NULL;
        return status;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* since 1.34, whose successor 1.18 lacks */
    ares_set_socket_functions(r->channel, &socket_functions, NULL);
#pragma GCC diagnostic pop
    return r->servers != NULL ? ares_set_servers_ports_csv(r->channel, r->servers) : ARES_SUCCESS;
}

/* -- numeric addresses -- */

/* The number of the interface that |zone| names, or spells; 0: none. */
static uint32_t zone_number(const char *zone)
{
    uint64_t n;

    if (nbj__parse_u64(nbj_str(zone), UINT32_MAX, &n))
        return (uint32_t)n;
    return if_nametoindex(zone);
}

/* |host|: "::1", "fe80::1%eth0". It is cut at the '%'. */
static bool parse_v6(char *host, nbj__address *out)
{
    char *zone = strchr(host, '%');

    if (zone != NULL)
        *zone++ = '\0';
    *out = (nbj__address){ .v6.sin6_family = AF_INET6 };
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
        return false;
    out->v6.sin6_scope_id = zone != NULL ? zone_number(zone) : 0;
    return zone == NULL || out->v6.sin6_scope_id != 0;
}

static bool parse_v4(const char *host, nbj__address *out)
{
    *out = (nbj__address){ .v4.sin_family = AF_INET };
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

/* NBJ_MORE: |r|'s host is a name. */
static nbj_status resolve_numeric(nbj__resolver *r)
{
    char host[HOST_MAX + 1];
    nbj__address a;

    memcpy(host, r->host, sizeof host);
    bool has_colon = strchr(host, ':') != NULL; /* which no name has */
    if (has_colon ? !parse_v6(host, &a) : !parse_v4(host, &a))
        return has_colon ? fail(r, NBJ_E_DNS, "neither a host name nor an address") : NBJ_MORE;
    set_port(&a, r->port);
    add_address(&r->found, &a);
    return NBJ_OK;
}

/* -- the interface -- */

static nbj_status take_host(nbj__resolver *r, nbj_bytes host)
{
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = nbj_view(host.ptr + 1, host.len - 2);
    r->host[0] = '\0';
    if (host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, '\0', host.len) != NULL)
        return fail(r, NBJ_E_INVALID, "empty, too long, or with a NUL in it");
    memcpy(r->host, host.ptr, host.len);
    r->host[host.len] = '\0';
    return NBJ_OK;
}

nbj_status nbj__resolver_start(nbj__resolver *r, nbj_bytes host, uint16_t port, nbj_time now)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    nbj__resolver_cancel(r);
    r->port = port;
    r->found.count = 0;
    r->error = (nbj_error){ 0 };
    r->unwatched = false;
    if (take_host(r, host) != NBJ_OK)
        return r->status;
    r->status = resolve_numeric(r);
    if (r->status != NBJ_MORE)
        return r->status;
    int status = open_channel(r);
    if (status == ARES_SUCCESS)
        ares_getaddrinfo(r->channel, r->host, NULL, &hints, on_answer, r);
    else
        fail_by_ares(r, status);
    return advance(r, now);
}

nbj_status nbj__resolver_on_ready(nbj__resolver *r, int fd, uint32_t events, nbj_time now)
{
    bool broken = (events & (uint32_t)(EPOLLERR | EPOLLHUP)) != 0; /* c-ares finds out how when it reads or writes */

    if (r->status != NBJ_MORE)
        return r->status;
    ares_process_fd(r->channel, broken || (events & (uint32_t)EPOLLIN) != 0 ? fd : ARES_SOCKET_BAD,
                    broken || (events & (uint32_t)EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    return advance(r, now);
}

nbj_status nbj__resolver_on_time(nbj__resolver *r, nbj_time now)
{
    if (r->status != NBJ_MORE || now < r->deadline)
        return r->status;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return advance(r, now);
}

void nbj__resolver_cancel(nbj__resolver *r)
{
    r->status = NBJ_E_CANCELLED;
    drop_channel(r);
}

nbj_status nbj__resolver_status(const nbj__resolver *r)
{
    return r->status;
}

nbj_time nbj__resolver_deadline(const nbj__resolver *r)
{
    return r->deadline;
}

const nbj__addresses *nbj__resolver_addresses(const nbj__resolver *r)
{
    return &r->found;
}

const nbj_error *nbj__resolver_error(const nbj__resolver *r)
{
    return &r->error;
}

nbj_status nbj__resolver_new(nbj__resolver **out, const nbj__resolver_options *options)
{
    const nbj_allocator *alloc = nbj__allocator_or_default(options->alloc);

    assert((options->tag & UINT32_MAX) == 0);
    *out = NULL;
    nbj__resolver *r = nbj__alloc0(alloc, sizeof *r);
    if (r == NULL)
        return NBJ_E_NOMEM;
    r->opt = *options;
    r->opt.alloc = alloc;
    r->status = NBJ_E_CANCELLED;
    r->deadline = NBJ_TIME_NEVER;
    if (options->servers != NULL && (r->servers = nbj__copy_text(alloc, nbj_str(options->servers))) == NULL) {
        nbj__resolver_free(r);
        return NBJ_E_NOMEM;
    }
    *out = r;
    return NBJ_OK;
}

void nbj__resolver_free(nbj__resolver *r)
{
    if (r == NULL)
        return;
    nbj__resolver_cancel(r);
    nbj__free_text(r->opt.alloc, r->servers);
    nbj__free(r->opt.alloc, r, sizeof *r);
}
