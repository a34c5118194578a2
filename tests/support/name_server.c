/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "name_server.h"

#include "check.h"
#include "port.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PENDING_MAX 32
#define NEVER (-1)
#define MESSAGE_MAX 1500
#define HEADER_OCTETS 12

enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { NO_ERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

typedef enum manner { ANSWER, SECOND_TIME, OVER_TCP, OVER_NOTHING, CUT_SHORT, REPEATS, PRIVATE } manner;

typedef struct plan {
    int count; /* of records */
    int rcode;
    int late_ms; /* NEVER: no answer */
} plan;

typedef struct entry {
    const char *name;
    manner manner;
    plan a, aaaa;
} entry;

static const entry entries[] = {
    { "one.test", ANSWER, { .count = 1 }, { 0 } },
    { "both.test", ANSWER, { .count = 2 }, { .count = 1 } },
    { "v6.test", ANSWER, { 0 }, { .count = 1 } },
    { "many.test", ANSWER, { .count = 20 }, { 0 } },
    { "crowd.test", ANSWER, { .count = 40 }, { 0 } },
    { "same.test", REPEATS, { .count = 3 }, { .count = 2 } },
    { "empty.test", ANSWER, { 0 }, { 0 } },
    { "broken.test", ANSWER, { .rcode = SERVFAIL }, { .rcode = SERVFAIL } },
    { "refused.test", ANSWER, { .rcode = REFUSED }, { .rcode = REFUSED } },
    { "silent.test", ANSWER, { .late_ms = NEVER }, { .late_ms = NEVER } },
    { "lost.test", SECOND_TIME, { .count = 1 }, { 0 } },
    { "late.test", ANSWER, { .count = 1, .late_ms = 150 }, { .late_ms = 150 } },
    { "tcp.test", OVER_TCP, { .count = 3 }, { 0 } },
    { "reset.test", OVER_NOTHING, { .count = 3 }, { 0 } },
    { "short.test", CUT_SHORT, { .count = 1 }, { 0 } },
    { "dual.test", ANSWER, { .count = 1 }, { .count = 1 } },
    { "soon6.test", ANSWER, { .count = 1 }, { .count = 1, .late_ms = 15 } },
    { "late6.test", ANSWER, { .count = 1 }, { .count = 1, .late_ms = 300 } },
    { "late4.test", ANSWER, { .count = 1, .late_ms = 300 }, { .count = 1 } },
    { "hole6.test", ANSWER, { .count = 1 }, { .late_ms = NEVER } },
    { "hole4.test", ANSWER, { .late_ms = NEVER }, { .count = 1 } },
    { "fail6.test", ANSWER, { .count = 1 }, { .rcode = SERVFAIL } },
    { "fail4.test", ANSWER, { .rcode = SERVFAIL }, { .count = 1 } },
    { "odd.test", ANSWER, { 0 }, { .rcode = SERVFAIL } },
    { "private.test", PRIVATE, { .count = 1 }, { .count = 1 } },
    { "pod.sub.test", ANSWER, { .count = 1 }, { 0 } },
    { "pod.other.test", ANSWER, { 0 }, { .count = 1 } },
    { "far.other.test", ANSWER, { .count = 1 }, { 0 } },
};

static const entry unknown = { "", ANSWER, { .rcode = NXDOMAIN }, { .rcode = NXDOMAIN } };
static const plan nothing = { 0 };

/* An answer that is to be late. */
typedef struct pending {
    nbj_time due;
    struct sockaddr_in to;
    size_t len;
    uint8_t octets[MESSAGE_MAX];
} pending;

struct ts_name_server {
    ts_port port;
    char address[32];
    int udp, tcp, stop;
    pthread_t thread;
    atomic_int asked;
    atomic_int moved;
    atomic_bool mute;
    pending pending[PENDING_MAX]; /* of the thread */
    size_t pending_count;
    bool seen4, seen6; /* for SECOND_TIME; of the thread */
};

typedef struct question {
    const entry *entry;
    int type;
    size_t len; /* of the message so far: header and question */
} question;

static const entry *find_entry(const char *name)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (strcasecmp(entries[i].name, name) == 0)
            return &entries[i];
    return &unknown;
}

/* After the header comes the name, as "\3one\4test\0", then type and class. */
static question read_question(const uint8_t *message, size_t len)
{
    char name[256];
    size_t at = HEADER_OCTETS, n = 0;

    while (at < len && message[at] != 0 && n + message[at] + 2 < sizeof name) {
        if (n > 0)
            name[n++] = '.';
        memcpy(name + n, message + at + 1, message[at]);
        n += message[at];
        at += (size_t)message[at] + 1;
    }
    name[n] = '\0';
    return (question){ find_entry(name), message[at + 1] << 8 | message[at + 2], at + 5 };
}

static const plan *plan_of(const question *q)
{
    return q->type == TYPE_A ? &q->entry->a : q->type == TYPE_AAAA ? &q->entry->aaaa : &nothing;
}

static size_t add_record(uint8_t *out, int type, int number, bool is_private)
{
    static const uint8_t head[] = {
        0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0
    }; /* the question's name; type; class; 60 s */
    size_t size = type == TYPE_A ? 4 : 16;

    memcpy(out, head, sizeof head);
    out[3] = (uint8_t)type;
    out[11] = (uint8_t)size;
    memset(out + sizeof head, 0, size);
    if (type == TYPE_A)
        out[12] = 127;
    else if (is_private)
        out[12] = 0xfd;
    out[12 + size - 1] = (uint8_t)number;
    return sizeof head + size;
}

/* Whether the question is to be met with silence. */
static bool is_lost(ts_name_server *s, const question *q)
{
    bool *seen = q->type == TYPE_A ? &s->seen4 : &s->seen6;
    bool first = q->entry->manner == SECOND_TIME && !*seen;

    *seen = *seen || first;
    return first || plan_of(q)->late_ms == NEVER || atomic_load(&s->mute);
}

/* The answer to the |len| octets at |in|, of which |q| came. Returns its length; 0: none. */
static size_t answer(ts_name_server *s, const question *q, const uint8_t *in, bool tcp, uint8_t *out)
{
    const entry *e = q->entry;
    bool truncated = !tcp && (e->manner == OVER_TCP || e->manner == OVER_NOTHING);
    int count = truncated ? 0 : plan_of(q)->count;
    size_t n = q->len;

    atomic_fetch_add(&s->asked, 1);
    if (is_lost(s, q))
        return 0;
    memcpy(out, in, n);
    memset(out + 4, 0, 8); /* the four counts */
    out[2] = (uint8_t)(0x81 | (truncated ? 2 : 0));
    out[3] = (uint8_t)(0x80 | plan_of(q)->rcode);
    out[5] = 1;
    out[7] = (uint8_t)count;
    for (int i = 0; i < count; i++)
        n += add_record(out + n, q->type, (e->manner == REPEATS ? 1 : i + 1) + atomic_load(&s->moved),
                        e->manner == PRIVATE);
    return e->manner == CUT_SHORT ? n / 2 : n;
}

static void send_due(ts_name_server *s)
{
    for (size_t i = 0; i < s->pending_count;) {
        pending *p = &s->pending[i];
        if (ts_left_ms(p->due) > 0) {
            i++;
            continue;
        }
        sendto(s->udp, p->octets, p->len, 0, (struct sockaddr *)&p->to, sizeof p->to);
        *p = s->pending[--s->pending_count];
    }
}

/* What poll() takes. */
static int wait_ms(const ts_name_server *s)
{
    nbj_time due = NBJ_TIME_NEVER;

    for (size_t i = 0; i < s->pending_count; i++)
        due = s->pending[i].due < due ? s->pending[i].due : due;
    return due == NBJ_TIME_NEVER ? -1 : ts_left_ms(due);
}

static void serve_udp(ts_name_server *s)
{
    uint8_t in[MESSAGE_MAX];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t n = recvfrom(s->udp, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
    pending *p = &s->pending[s->pending_count < PENDING_MAX ? s->pending_count : PENDING_MAX - 1];

    if (n < HEADER_OCTETS + 5)
        return;
    question q = read_question(in, (size_t)n);
    p->len = answer(s, &q, in, false, p->octets);
    if (p->len == 0)
        return;
    p->due = ts_now() + NBJ_MILLIS(plan_of(&q)->late_ms);
    p->to = from;
    s->pending_count = (size_t)(p - s->pending) + 1;
}

static bool read_all(int fd, uint8_t *out, size_t len)
{
    for (ssize_t n; len > 0; out += n, len -= (size_t)n)
        if ((n = recv(fd, out, len, 0)) <= 0)
            return false;
    return true;
}

/* One message and its answer, both with their length in front; false: the connection has ended. */
static bool serve_one_over_tcp(ts_name_server *s, int fd)
{
    uint8_t in[MESSAGE_MAX], out[MESSAGE_MAX];
    struct linger at_once = { .l_onoff = 1 };

    if (!read_all(fd, in, 2))
        return false;
    size_t len = (size_t)(in[0] << 8 | in[1]);
    if (len < HEADER_OCTETS + 5 || len > sizeof in || !read_all(fd, in, len))
        return false;
    question q = read_question(in, len);
    if (q.entry->manner == OVER_NOTHING) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return false;
    }
    size_t n = answer(s, &q, in, true, out + 2);
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    send(fd, out, n + 2, MSG_NOSIGNAL);
    return true;
}

static void serve_tcp(ts_name_server *s)
{
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC);
    struct timeval bound = { .tv_sec = 5 };

    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    while (serve_one_over_tcp(s, fd))
        ;
    close(fd);
}

static void *serve(void *arg)
{
    ts_name_server *s = arg;
    struct pollfd p[] = { { .fd = s->stop, .events = POLLIN },
                          { .fd = s->udp, .events = POLLIN },
                          { .fd = s->tcp, .events = POLLIN } };

    while (poll(p, 3, wait_ms(s)) >= 0 && p[0].revents == 0) {
        if (p[1].revents != 0)
            serve_udp(s);
        if (p[2].revents != 0)
            serve_tcp(s);
        send_due(s);
    }
    return NULL;
}

/* The same port for UDP and TCP. */
static void bind_both(ts_name_server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    s->port.reservation = -1;
    do { /* the TCP port may be in use for UDP */
        ts_port_release(&s->port);
        s->port = ts_port_reserve();
        a.sin_port = htons(s->port.number);
    } while (bind(s->udp, (struct sockaddr *)&a, sizeof a) != 0);
    s->tcp = ts_port_listen(&s->port);
}

ts_name_server *ts_name_server_start(void)
{
    ts_name_server *s = calloc(1, sizeof *s);

    if (s == NULL)
        TS_FAIL("out of memory");
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    s->stop = eventfd(0, EFD_CLOEXEC);
    if (s->udp < 0 || s->stop < 0)
        TS_FAIL("name server: no descriptor");
    bind_both(s);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", s->port.number);
    if (s->tcp < 0 || pthread_create(&s->thread, NULL, serve, s) != 0)
        TS_FAIL("name server: no listener or no thread");
    return s;
}

void ts_name_server_free(ts_name_server *s)
{
    (void)!write(s->stop, &(uint64_t){ 1 }, sizeof(uint64_t));
    pthread_join(s->thread, NULL);
    close(s->udp);
    close(s->tcp);
    close(s->stop);
    ts_port_release(&s->port);
    free(s);
}

const char *ts_name_server_address(const ts_name_server *s)
{
    return s->address;
}

int ts_name_server_asked(ts_name_server *s)
{
    return atomic_load(&s->asked);
}

void ts_name_server_move(ts_name_server *s, int by)
{
    atomic_store(&s->moved, by);
}

void ts_name_server_mute(ts_name_server *s, bool mute)
{
    atomic_store(&s->mute, mute);
}
