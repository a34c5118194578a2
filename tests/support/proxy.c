/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: a listener, a thread, and two sockets for each connection. All state is under |lock|; the thread alone touches
 * descriptors and gives the lock up only while it polls, so a control changes what it wants, wakes the thread and waits
 * until that has seen it. */
#define _GNU_SOURCE

#include "proxy.h"

#include "check.h"
#include "port.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_OCTETS 65536
#define QUEUE_LIMIT (4u << 20) /* octets of one way under way; enough for fast senders through a long delay */

typedef struct piece {
    struct piece *next;
    nbj_time due;
    size_t at, len; /* octets [at, len) are still to be written; |len| 0: the sender's FIN */
    uint8_t data[];
} piece;

/* One way of one connection. */
typedef struct lane {
    piece *first, *last;
    size_t queued;
    nbj_time not_before; /* the gap between two pieces */
    bool source_ended;   /* FIN or an error was read */
    bool sink_ended;     /* FIN was passed on, or nobody is there to take it */
    bool blocked;        /* the receiver's socket is full */
} lane;

typedef struct pair {
    struct pair *next;
    int fd[2]; /* by way: the socket that octets going this way are written to */
    lane lane[2];
    bool ending; /* FIN was sent to both: only drains, until both have ended too */
    bool dead;   /* to be freed at the end of the turn */
} pair;

typedef struct fault {
    bool stall, black_hole, cut;
    uint64_t cut_left;
    ts_ending cut_how;
    uint64_t delay_ns, gap_ns;
    size_t split;
    const char *from, *to; /* replaced; NULL: nothing */
} fault;

struct ts_proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t seen;
    unsigned asked, answered; /* controls: how many were made, how many the thread has seen */
    int wake;                 /* eventfd */
    int listener;             /* -1: refusing */
    ts_port port;
    uint16_t server_port;
    fault fault[2];
    bool refuse, stop, cut_now;
    ts_ending cut_now_how;
    pair *pairs;
    unsigned accepted;
    uint64_t forwarded[2];
    struct pollfd *polls; /* wake, listener, then two for each pair, in the list's order */
    size_t poll_cap;
    uint8_t buf[READ_OCTETS];
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort(); /* in the proxy's thread, where a test cannot be failed */
    return ptr;
}

/* -- lanes -- */

static void push_piece(lane *l, const void *data, size_t len, nbj_time due)
{
    piece *p = must(malloc(sizeof *p + len));

    *p = (piece){ .due = l->last != NULL && l->last->due > due ? l->last->due : due, .len = len };
    if (len > 0)
        memcpy(p->data, data, len);
    if (l->last != NULL)
        l->last->next = p;
    else
        l->first = p;
    l->last = p;
    l->queued += len;
}

static void drop_piece(lane *l)
{
    piece *p = l->first;

    l->first = p->next;
    if (l->first == NULL)
        l->last = NULL;
    l->queued -= p->len - p->at;
    free(p);
}

static void empty_lane(lane *l)
{
    while (l->first != NULL)
        drop_piece(l);
}

/* -- endings -- */

static void close_socket(int *fd, bool reset)
{
    struct linger at_once = { .l_onoff = reset };

    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(*fd);
    *fd = -1;
}

/* Closing a socket with unread octets would send RST: say FIN, and read on until the other side has closed. */
static void end_pair(pair *k, ts_ending how)
{
    for (int way = 0; way < 2; way++) {
        empty_lane(&k->lane[way]);
        k->lane[way].sink_ended = true;
        if (how == TS_RST)
            close_socket(&k->fd[way], true);
        else
            shutdown(k->fd[way], SHUT_WR);
    }
    k->ending = true;
    k->dead = how == TS_RST;
}

static void free_pair(pair *k)
{
    for (int way = 0; way < 2; way++) {
        empty_lane(&k->lane[way]);
        close_socket(&k->fd[way], false);
    }
    free(k);
}

/* Frees the pairs that have nothing left to move, or all. */
static void free_pairs(ts_proxy *p, bool all)
{
    for (pair **at = &p->pairs; *at != NULL;) {
        pair *k = *at;
        bool drained = k->lane[0].source_ended && k->lane[1].source_ended;
        bool done = drained && k->lane[0].first == NULL && k->lane[1].first == NULL;
        if (!all && !k->dead && !done) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        free_pair(k);
    }
}

/* -- moving octets -- */

static bool wants_to_read(const ts_proxy *p, const pair *k, int way)
{
    const lane *l = &k->lane[way];

    if (l->source_ended || k->dead)
        return false;
    return k->ending || (!p->fault[way].stall && l->queued < QUEUE_LIMIT);
}

static void replace(const fault *f, uint8_t *octets, size_t len)
{
    size_t n = f->from != NULL ? strlen(f->from) : 0;

    for (uint8_t *at = octets; n > 0 && (at = memmem(at, len - (size_t)(at - octets), f->from, n)) != NULL; at += n)
        memcpy(at, f->to, n);
}

static void read_some(ts_proxy *p, pair *k, int way, nbj_time now)
{
    lane *l = &k->lane[way];
    ssize_t n = recv(k->fd[!way], p->buf, sizeof p->buf, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    l->source_ended = n <= 0;
    if (l->sink_ended || p->fault[way].black_hole)
        return;
    if (n > 0)
        replace(&p->fault[way], p->buf, (size_t)n);
    if (n < 0)
        end_pair(k, TS_RST);
    else
        push_piece(l, p->buf, (size_t)n, now + p->fault[way].delay_ns);
}

/* When the lane's first piece is to be written; NBJ_TIME_NEVER: not before something else happens. */
static nbj_time write_due(const ts_proxy *p, const pair *k, int way)
{
    const lane *l = &k->lane[way];

    if (l->first == NULL || l->blocked || k->dead || p->fault[way].stall)
        return NBJ_TIME_NEVER;
    return l->first->due > l->not_before ? l->first->due : l->not_before;
}

static void pass_fin(pair *k, int way)
{
    shutdown(k->fd[way], SHUT_WR);
    k->lane[way].sink_ended = true;
    drop_piece(&k->lane[way]);
}

static void on_write_error(ts_proxy *p, pair *k, int way)
{
    if (errno == EAGAIN) {
        k->lane[way].blocked = true;
    } else if (p->fault[!way].black_hole) { /* the other side must not hear of it */
        k->lane[way].sink_ended = true;
        empty_lane(&k->lane[way]);
    } else {
        end_pair(k, TS_RST);
    }
}

static size_t at_most(size_t n, uint64_t limit)
{
    return n < limit ? n : (size_t)limit;
}

/* Writes of the first piece what the faults let through. */
static void write_some(ts_proxy *p, pair *k, int way, nbj_time now)
{
    lane *l = &k->lane[way];
    fault *f = &p->fault[way];
    piece *first = l->first;
    size_t n = first->len - first->at;

    if (f->split > 0)
        n = at_most(n, f->split);
    if (f->cut)
        n = at_most(n, f->cut_left);
    ssize_t sent = n > 0 ? send(k->fd[way], first->data + first->at, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent < 0) {
        on_write_error(p, k, way);
        return;
    }
    l->not_before = now + f->gap_ns;
    first->at += (size_t)sent;
    l->queued -= (size_t)sent;
    p->forwarded[way] += (uint64_t)sent;
    if (first->at == first->len)
        drop_piece(l);
    if (f->cut && (f->cut_left -= (uint64_t)sent) == 0) {
        f->cut = false;
        end_pair(k, f->cut_how);
    }
}

static void write_what_is_due(ts_proxy *p, pair *k, int way)
{
    for (;;) {
        nbj_time now = ts_now();
        if (write_due(p, k, way) > now)
            return;
        if (k->lane[way].first->len == 0)
            pass_fin(k, way);
        else
            write_some(p, k, way, now);
    }
}

/* -- the thread -- */

static void accept_one(ts_proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0)
        return;
    p->accepted++;
    int server = ts_port_connect(p->server_port);
    if (server < 0) {
        close_socket(&client, true);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    pair *k = must(calloc(1, sizeof *k));
    k->fd[TS_TO_CLIENT] = client;
    k->fd[TS_TO_SERVER] = server;
    k->next = p->pairs;
    p->pairs = k;
}

/* Does what the controls ask for. */
static void obey(ts_proxy *p)
{
    if (p->refuse && p->listener >= 0)
        close_socket(&p->listener, false);
    if (!p->refuse && p->listener < 0)
        p->listener = ts_port_listen(&p->port);
    for (pair *k = p->pairs; k != NULL; k = k->next) {
        if (p->cut_now && !k->ending)
            end_pair(k, p->cut_now_how);
        for (int way = 0; way < 2; way++)
            if (p->fault[way].black_hole)
                empty_lane(&k->lane[way]);
    }
    p->cut_now = false;
    p->answered = p->asked;
    pthread_cond_broadcast(&p->seen);
}

static void set_poll(ts_proxy *p, size_t i, int fd, int events)
{
    if (i >= p->poll_cap) {
        p->poll_cap = 2 * p->poll_cap + 16;
        p->polls = must(realloc(p->polls, p->poll_cap * sizeof p->polls[0]));
    }
    /* Without events a socket must be left out: poll would still report its end, again and again. */
    p->polls[i] = (struct pollfd){ .fd = events != 0 ? fd : -1, .events = (short)events };
}

/* Fills |polls|; returns how many, and at *|due| when something is to be written. */
static size_t set_polls(ts_proxy *p, nbj_time *due)
{
    size_t n = 0;

    *due = NBJ_TIME_NEVER;
    set_poll(p, n++, p->wake, POLLIN);
    set_poll(p, n++, p->listener, POLLIN);
    for (const pair *k = p->pairs; k != NULL; k = k->next)
        for (int way = 0; way < 2; way++) {
            bool waits = k->lane[way].blocked && !p->fault[way].stall && !k->dead;
            set_poll(p, n++, k->fd[way], (wants_to_read(p, k, !way) ? POLLIN : 0) | (waits ? POLLOUT : 0));
            nbj_time t = write_due(p, k, way);
            *due = t < *due ? t : *due;
        }
    return n;
}

static void wait_for_work(ts_proxy *p)
{
    nbj_time due;
    uint64_t count;
    size_t n = set_polls(p, &due);
    nbj_time now = ts_now();
    uint64_t wait = due > now ? due - now : 0;
    struct timespec bound = { .tv_sec = (time_t)(wait / NBJ_SECONDS(1)), .tv_nsec = (long)(wait % NBJ_SECONDS(1)) };

    pthread_mutex_unlock(&p->lock);
    int ready = ppoll(p->polls, n, due != NBJ_TIME_NEVER ? &bound : NULL, NULL);
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; ready < 0 && i < n; i++)
        p->polls[i].revents = 0;
    if (p->polls[0].revents != 0)
        (void)!read(p->wake, &count, sizeof count);
}

/* One turn: what poll reported, then what is due. The list has not changed since poll was asked. */
static void work(ts_proxy *p)
{
    const struct pollfd *poll = p->polls + 2;

    for (pair *k = p->pairs; k != NULL; k = k->next)
        for (int way = 0; way < 2; way++, poll++) {
            if (poll->revents != 0)
                k->lane[way].blocked = false;
            if ((poll->revents & ~POLLOUT) != 0 && wants_to_read(p, k, !way))
                read_some(p, k, !way, ts_now());
        }
    for (pair *k = p->pairs; k != NULL; k = k->next)
        for (int way = 0; way < 2; way++)
            write_what_is_due(p, k, way);
    free_pairs(p, false);
    if (p->polls[1].revents != 0 && p->listener >= 0)
        accept_one(p);
}

static void *run(void *arg)
{
    ts_proxy *p = arg;

    pthread_mutex_lock(&p->lock);
    for (obey(p); !p->stop; obey(p)) {
        wait_for_work(p);
        work(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* -- controls -- */

static void begin(ts_proxy *p)
{
    pthread_mutex_lock(&p->lock);
}

/* Lets go of the lock when the thread has seen what was changed since begin(). */
static void finish(ts_proxy *p)
{
    unsigned mine = ++p->asked;

    (void)!write(p->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    while ((int)(p->answered - mine) < 0)
        pthread_cond_wait(&p->seen, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

ts_proxy *ts_proxy_start(uint16_t server_port)
{
    ts_proxy *p = calloc(1, sizeof *p);

    if (p == NULL)
        TS_FAIL("out of memory");
    p->server_port = server_port;
    p->port = ts_port_reserve();
    p->listener = ts_port_listen(&p->port);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->listener < 0 || p->wake < 0)
        TS_FAIL("proxy: %s", strerror(errno));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->seen, NULL);
    if (pthread_create(&p->thread, NULL, run, p) != 0)
        TS_FAIL("proxy: no thread");
    return p;
}

void ts_proxy_free(ts_proxy *p)
{
    if (p == NULL)
        return;
    begin(p);
    p->stop = true;
    finish(p);
    pthread_join(p->thread, NULL);
    free_pairs(p, true);
    close_socket(&p->listener, false);
    ts_port_release(&p->port);
    close(p->wake);
    pthread_cond_destroy(&p->seen);
    pthread_mutex_destroy(&p->lock);
    free(p->polls);
    free(p);
}

uint16_t ts_proxy_port(const ts_proxy *p)
{
    return p->port.number;
}

void ts_proxy_cut_after(ts_proxy *p, ts_way way, uint64_t octets, ts_ending how)
{
    begin(p);
    p->fault[way].cut = true;
    p->fault[way].cut_left = octets;
    p->fault[way].cut_how = how;
    finish(p);
}

void ts_proxy_cancel_cut(ts_proxy *p, ts_way way)
{
    begin(p);
    p->fault[way].cut = false;
    finish(p);
}

void ts_proxy_cut_now(ts_proxy *p, ts_ending how)
{
    begin(p);
    p->cut_now = true;
    p->cut_now_how = how;
    finish(p);
}

void ts_proxy_stall(ts_proxy *p, ts_way way, bool on)
{
    begin(p);
    p->fault[way].stall = on;
    finish(p);
}

void ts_proxy_black_hole(ts_proxy *p, ts_way way, bool on)
{
    begin(p);
    p->fault[way].black_hole = on;
    finish(p);
}

void ts_proxy_refuse(ts_proxy *p, bool on)
{
    begin(p);
    p->refuse = on;
    finish(p);
}

void ts_proxy_delay(ts_proxy *p, ts_way way, uint64_t delay_ns)
{
    begin(p);
    p->fault[way].delay_ns = delay_ns;
    finish(p);
}

void ts_proxy_replace(ts_proxy *p, ts_way way, const char *from, const char *to)
{
    begin(p);
    p->fault[way].from = from;
    p->fault[way].to = to;
    finish(p);
}

void ts_proxy_split(ts_proxy *p, ts_way way, size_t octets, uint64_t gap_ns)
{
    begin(p);
    p->fault[way].split = octets;
    p->fault[way].gap_ns = octets > 0 ? gap_ns : 0;
    finish(p);
}

unsigned ts_proxy_accepted(ts_proxy *p)
{
    begin(p);
    unsigned n = p->accepted;
    pthread_mutex_unlock(&p->lock);
    return n;
}

unsigned ts_proxy_live(ts_proxy *p)
{
    unsigned n = 0;

    begin(p);
    for (const pair *k = p->pairs; k != NULL; k = k->next)
        n += !k->ending;
    pthread_mutex_unlock(&p->lock);
    return n;
}

uint64_t ts_proxy_forwarded(ts_proxy *p, ts_way way)
{
    begin(p);
    uint64_t n = p->forwarded[way];
    pthread_mutex_unlock(&p->lock);
    return n;
}
