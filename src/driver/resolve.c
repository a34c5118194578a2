/* SPDX-License-Identifier: Apache-2.0 */
/* Name resolution. Owns: one c-ares channel while a resolution is under way, and the last result. Does not own: the
 * epoll set, time limits of a whole connection attempt, the choice among addresses.
 *
 * Two stages: /etc/hosts for both families at once, since a name that stands there with one address is not to be asked
 * for elsewhere; then the name servers with a question for each family.
 *
 * Invariant: |channel| is not NULL exactly while |status| is NBJ_MORE, except inside a call of c-ares: it must not be
 * destroyed from its own callbacks, so these only note what happened and advance() acts on it. */
#define _GNU_SOURCE

#include "driver/resolve.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "driver/os.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOST_MAX 255 /* octets: the longest domain name, and more than any numeric address with its zone */
#define DNS_HEADER_OCTETS 12
#define DNS_SERVFAIL 2
#define DNS_REFUSED 5
#define DEFAULT_TRY_TIMEOUT_NS NBJ_SECONDS(2)
#define DEFAULT_TRIES 3

typedef struct question {
    nbj__resolver *r;
    bool is_open; /* asked; cleared by its answer */
    int status;   /* of c-ares, once answered */
} question;

struct nbj__resolver {
    nbj__resolver_options opt;
    char *servers; /* NULL: the system's */
    ares_channel channel;
    nbj_status status;
    nbj_time deadline;
    bool unwatched;    /* a socket could not be put into the epoll set */
    int no_descriptor; /* EMFILE or ENFILE met on the way; else 0 */
    int refusal;       /* ARES_ESERVFAIL or ARES_EREFUSED, when a name server said so; else 0 */
    bool is_numeric;   /* |host| is an address */
    bool asks_servers; /* the second stage */
    uint16_t port;
    char host[HOST_MAX + 1];
    char meant[HOST_MAX + 1];          /* the host that the first answer was about, after the search domains */
    question questions[NBJ__FAMILIES]; /* the first stage uses one of them */
    nbj__addresses found[NBJ__FAMILIES];
    nbj_error error;
};

/* -- sockets: c-ares' own would lack close-on-exec for a moment, and could raise SIGPIPE over TCP -- */

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    nbj__resolver *r = user;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        r->no_descriptor = errno;
    return fd;
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

/* c-ares 1.18 goes on to the next server when one fails or refuses, and in the end says that it could reach none. */
static void note_refusal(nbj__resolver *r, const uint8_t *message)
{
    unsigned code = message[3] & 0x0fu;

    if (code == DNS_SERVFAIL)
        r->refusal = ARES_ESERVFAIL;
    else if (code == DNS_REFUSED)
        r->refusal = ARES_EREFUSED;
}

static ares_ssize_t receive(ares_socket_t fd, void *buf, size_t len, int flags, struct sockaddr *from,
                            ares_socklen_t *from_len, void *user)
{
    nbj__resolver *r = user;
    ssize_t n = recvfrom(fd, buf, len, flags, from, from_len);

    if (from != NULL && n >= DNS_HEADER_OCTETS) /* over UDP, so this is a whole message */
        note_refusal(r, buf);
    return n;
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
    r->status = nbj__error_set(&r->error, status, "looking up \"", r->host, "\": ", why, (char *)NULL);
    return r->status;
}

static void add_address(nbj__resolver *r, const nbj__address *a)
{
    nbj__addresses *list = &r->found[a->any.sa_family == AF_INET6 ? NBJ__V6 : NBJ__V4];

    for (size_t i = 0; i < list->count; i++)
        if (nbj__address_is_same(&list->at[i], a))
            return;
    if (list->count < NBJ__ADDRESSES_MAX)
        list->at[list->count++] = *a;
}

static void take_addresses(nbj__resolver *r, const struct ares_addrinfo_node *node)
{
    for (; node != NULL; node = node->ai_next) {
        nbj__address a = { 0 };
        if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) || (size_t)node->ai_addrlen > sizeof a)
            continue;
        memcpy(&a, node->ai_addr, node->ai_addrlen);
        nbj__address_set_port(&a, r->port);
        add_address(r, &a);
    }
}

static bool found_any(const nbj__resolver *r)
{
    return r->found[NBJ__V6].count + r->found[NBJ__V4].count > 0;
}

/* Whether an answer about |name| is one about the host that is meant. */
static bool is_meant(nbj__resolver *r, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;

    if (r->meant[0] != '\0')
        return name != NULL && strcasecmp(r->meant, name) == 0;
    if (len < sizeof r->meant && len > 0)
        memcpy(r->meant, name, len + 1);
    return true;
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
    question *q = user;

    (void)timeouts;
    if (q->is_open) { /* otherwise it is being dropped */
        q->is_open = false;
        q->status = status;
        if (status == ARES_SUCCESS && answer->nodes != NULL && is_meant(q->r, answer->name))
            take_addresses(q->r, answer->nodes);
    }
    ares_freeaddrinfo(answer);
}

/* -- failures -- */

/* The more telling one of two reasons: that the name does not exist, and trouble, rather than that it has no address. */
static int more_telling(int a, int b)
{
    static const int ranks[] = { ARES_ENOMEM, ARES_ENOTFOUND, ARES_ESERVFAIL, ARES_EREFUSED, ARES_ETIMEOUT };

    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++)
        if (a == ranks[i] || b == ranks[i])
            return ranks[i];
    return a == ARES_ENODATA || a == ARES_SUCCESS ? b : a;
}

static const char *reason(const nbj__resolver *r, int status)
{
    switch (status == ARES_ECONNREFUSED && r->refusal != 0 ? r->refusal : status) {
    case ARES_ENOTFOUND:
        return "no such name";
    case ARES_SUCCESS:
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ESERVFAIL:
        return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED:
        return "the name server refused to answer (REFUSED)";
    case ARES_ETIMEOUT:
        return "the name server does not answer";
    case ARES_ECONNREFUSED:
        return "no name server can be reached";
    case ARES_EFILE:
        return "the configuration of name resolution could not be read";
    default:
        return ares_strerror(status);
    }
}

/* c-ares tells a lack of descriptors as an unreadable file or an unreachable server. */
static int lack_of_descriptors(const nbj__resolver *r, int status)
{
    if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
        return 0;
    if (r->no_descriptor != 0 || status != ARES_EFILE)
        return r->no_descriptor;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return error == EMFILE || error == ENFILE ? error : 0;
}

static nbj_status fail_by_ares(nbj__resolver *r, int status)
{
    char text[NBJ__OS_ERROR_MAX];
    int lack = lack_of_descriptors(r, status);

    if (status == ARES_ENOMEM)
        return fail(r, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM));
    if (lack != 0)
        return fail(r, NBJ_E_IO, nbj__os_error(lack, text, sizeof text));
    return fail(r, NBJ_E_DNS, reason(r, status));
}

/* -- the channel -- */

static void close_channel(nbj__resolver *r)
{
    r->questions[NBJ__V6].is_open = r->questions[NBJ__V4].is_open =
        false; /* c-ares answers them all with "destroyed" */
    if (r->channel != NULL)
        ares_destroy(r->channel);
    r->channel = NULL;
    r->deadline = NBJ_TIME_NEVER;
}

static int try_timeout_ms(const nbj__resolver *r)
{
    uint64_t ns = r->opt.try_timeout_ns != 0 ? r->opt.try_timeout_ns : DEFAULT_TRY_TIMEOUT_NS;
    uint64_t ms = (ns + NBJ_MILLIS(1) - 1) / NBJ_MILLIS(1);

    return ms < INT_MAX / 2 ? (int)ms : INT_MAX / 2;
}

/* |lookups|: 'f' for /etc/hosts, 'b' for the name servers. */
static int open_channel(nbj__resolver *r, char *lookups)
{
    struct ares_options o = { 0 };

    o.lookups = lookups;
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
    ares_set_socket_functions(r->channel, &socket_functions, r);
#pragma GCC diagnostic pop
    return r->servers != NULL ? ares_set_servers_ports_csv(r->channel, r->servers) : ARES_SUCCESS;
}

/* -- asking -- */

static void ask(nbj__resolver *r, nbj__family family, int ai_family)
{
    struct ares_addrinfo_hints hints = { .ai_family = ai_family, .ai_socktype = SOCK_STREAM };

    r->questions[family] = (question){ .r = r, .is_open = true };
    ares_getaddrinfo(r->channel, r->host, NULL, &hints, on_answer, &r->questions[family]);
}

/* /etc/hosts answers before this returns. That a name is not in it has many names, one per version of c-ares. */
static void ask_hosts_file(nbj__resolver *r)
{
    char hosts_file[] = "f";
    int status = open_channel(r, hosts_file);
    bool is_open = status == ARES_SUCCESS;

    if (is_open) {
        ask(r, NBJ__V6, AF_UNSPEC);
        assert(!r->questions[NBJ__V6].is_open);
        status = r->questions[NBJ__V6].status;
    }
    if (found_any(r))
        r->status = NBJ_OK;
    else if (!is_open || status == ARES_ENOMEM)
        fail_by_ares(r, status);
    close_channel(r);
}

static void ask_servers(nbj__resolver *r)
{
    char name_servers[] = "b";
    int status = open_channel(r, name_servers);

    if (status != ARES_SUCCESS) {
        fail_by_ares(r, status);
        return;
    }
    r->asks_servers = true;
    ask(r, NBJ__V6, AF_INET6);
    ask(r, NBJ__V4, AF_INET);
}

/* What the answers of both families come to. */
static void conclude(nbj__resolver *r)
{
    if (found_any(r))
        r->status = NBJ_OK;
    else if (r->unwatched) /* of which c-ares may make "no server" */
        fail(r, NBJ_E_DNS, "a socket could not be watched");
    else
        fail_by_ares(r, more_telling(r->questions[NBJ__V6].status, r->questions[NBJ__V4].status));
}

/* After c-ares has worked: notes its next deadline, or tidies up what has ended. */
static nbj_status advance(nbj__resolver *r, nbj_time now)
{
    struct timeval left;

    if (r->status == NBJ_MORE && (r->unwatched || !(r->questions[NBJ__V6].is_open || r->questions[NBJ__V4].is_open)))
        conclude(r);
    if (r->status != NBJ_MORE) {
        close_channel(r);
        return r->status;
    }
    r->deadline = NBJ_TIME_NEVER;
    if (ares_timeout(r->channel, NULL, &left) != NULL) {
        uint64_t wait = NBJ_SECONDS(left.tv_sec) + NBJ_MICROS(left.tv_usec);
        r->deadline = nbj__time_add(now, wait + NBJ_MILLIS(1)); /* c-ares rounds down: do not spin through the rest */
    }
    return NBJ_MORE;
}

/* -- numeric addresses -- */

/* NBJ_MORE: |r|'s host is a name. */
static nbj_status resolve_numeric(nbj__resolver *r)
{
    bool has_colon = strchr(r->host, ':') != NULL; /* which no name has */
    nbj__address a;

    if (!nbj__address_parse(r->host, &a))
        return has_colon ? fail(r, NBJ_E_DNS, "neither a host name nor an address") : NBJ_MORE;
    nbj__address_set_port(&a, r->port);
    add_address(r, &a);
    r->is_numeric = true;
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
    nbj__resolver_cancel(r);
    r->port = port;
    r->found[NBJ__V6].count = r->found[NBJ__V4].count = 0;
    r->error = (nbj_error){ 0 };
    r->unwatched = r->is_numeric = r->asks_servers = false;
    r->no_descriptor = r->refusal = 0;
    r->meant[0] = '\0';
    if (take_host(r, host) != NBJ_OK)
        return r->status;
    r->status = resolve_numeric(r);
    if (r->status == NBJ_MORE)
        ask_hosts_file(r);
    if (r->status == NBJ_MORE)
        ask_servers(r);
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
    for (int i = 0; i < NBJ__FAMILIES; i++)
        if (r->questions[i].is_open)
            r->questions[i].status = ARES_ETIMEOUT;
    close_channel(r);
}

nbj_status nbj__resolver_status(const nbj__resolver *r)
{
    return r->status;
}

const char *nbj__resolver_host(const nbj__resolver *r)
{
    return r->host;
}

bool nbj__resolver_is_numeric(const nbj__resolver *r)
{
    return r->is_numeric;
}

nbj_time nbj__resolver_deadline(const nbj__resolver *r)
{
    return r->deadline;
}

const nbj__addresses *nbj__resolver_addresses(const nbj__resolver *r, nbj__family family)
{
    return &r->found[family];
}

nbj__family nbj__resolver_first(const nbj__resolver *r)
{
    const nbj__addresses *six = &r->found[NBJ__V6];

    return six->count == 0 || nbj__address_ranks_behind_v4(&six->at[0]) ? NBJ__V4 : NBJ__V6;
}

bool nbj__resolver_is_asking(const nbj__resolver *r, nbj__family family)
{
    return r->questions[family].is_open;
}

const nbj_error *nbj__resolver_error(const nbj__resolver *r)
{
    return &r->error;
}

const char *nbj__resolver_trouble(const nbj__resolver *r, nbj__family family)
{
    int status = r->questions[family].status;

    if (!r->asks_servers || status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND)
        return NULL;
    return reason(r, status);
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
