/* SPDX-License-Identifier: Apache-2.0 */
/* The faultless client next to the servers: see peer.h. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include "payload.h"

#define SLOW_NS (3 * (uint64_t)SIM_S)

struct peer_answer { /* to be published later */
    peer *p;
    peer_answer *next;
    char *subject;
    uint64_t id;
    bool empty;
};

void peer_init(peer *p, world *w, model *m, uint64_t seed, void (*asked)(void *, uint64_t), void *user)
{
    *p = (peer){ .w = w, .m = m, .random = rng_for(seed, "peer"), .asked = asked, .user = user };
}

void peer_free(peer *p)
{
    if (p->conn != NULL)
        model_release(p->conn);
    buf_free(&p->in);
    while (p->answers != NULL) {
        peer_answer *a = p->answers;
        p->answers = a->next;
        free(a->subject);
        free(a);
    }
}

unsigned peer_replies(uint64_t id)
{
    return (unsigned)(id % 5);
}

bool peer_ends_with_empty(uint64_t id)
{
    return id % 2 == 1;
}

static void feed(peer *p, str text)
{
    if (p->conn != NULL)
        model_feed(p->conn, text.ptr, text.len, p->w->now);
}

static void connect_somewhere(peer *p)
{
    static const char hello[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"sim\",\"version\":\"1\",\"protocol\":1,"
        "\"headers\":true}\r\nSUB svc.> 1\r\n";
    for (unsigned i = MODEL_SERVERS_MAX; i-- > 0 && p->conn == NULL;)
        p->conn = model_accept(p->m, i, p->w->now);
    if (p->conn != NULL)
        model_trust(p->conn);
    feed(p, str_of(hello));
}

void peer_publish(peer *p, const char *subject, str header, str data)
{
    buf op = { 0 };
    if (header.len > 0)
        buf_printf(&op, "HPUB %s %zu %zu\r\n", subject, header.len, header.len + data.len);
    else
        buf_printf(&op, "PUB %s %zu\r\n", subject, data.len);
    buf_str(&op, header);
    buf_str(&op, data);
    buf_text(&op, "\r\n");
    feed(p, buf_view(&op));
    buf_free(&op);
}

static void give(void *owner, uint64_t argument)
{
    peer_answer *a = owner, **at = &a->p->answers;
    buf data = { 0 };
    (void)argument;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    if (!a->empty)
        payload_make(&data, 'R', a->id, 24);
    peer_publish(a->p, a->subject, (str){ "", 0 }, buf_view(&data));
    buf_free(&data);
    free(a->subject);
    free(a);
}

/* Reply |k| of a request: its id is the request's, times 16, plus k. */
static void give_later(peer *p, str reply, uint64_t id, unsigned k, bool empty, uint64_t after)
{
    peer_answer *a = sim_alloc(sizeof *a);
    *a = (peer_answer){ p, p->answers, str_dup(reply), id * 16 + k, empty };
    p->answers = a;
    world_at(p->w, p->w->now + after, give, a, 0);
}

static void serve(peer *p, str subject, str reply, str data)
{
    char kind;
    uint64_t id, soon = rng_between(&p->random, 0, 2 * SIM_MS);
    if (reply.len == 0 || !payload_read(data, &kind, &id))
        return;
    p->asked(p->user, id);
    if (str_is(subject, "svc.echo") || str_is(subject, "svc.twice"))
        give_later(p, reply, id, 0, false, soon);
    if (str_is(subject, "svc.twice"))
        give_later(p, reply, id, 1, false, soon + rng_below(&p->random, SLOW_NS));
    if (str_is(subject, "svc.slow"))
        give_later(p, reply, id, 0, false, rng_below(&p->random, SLOW_NS));
    if (!str_is(subject, "svc.many"))
        return;
    for (unsigned k = 0; k < peer_replies(id); k++, soon += rng_below(&p->random, 200 * SIM_MS))
        give_later(p, reply, id, k, false, soon);
    if (peer_ends_with_empty(id))
        give_later(p, reply, id, 15, true, soon + SIM_MS);
}

/* A message frame at the start of the input; false: not complete. */
static bool take_message(peer *p, str line, str all)
{
    str words[6], rest = line;
    size_t n = 0;
    uint64_t total = 0, header = 0;
    bool has_header = str_starts(line, "HMSG");
    while (rest.len > 0 && n < 6)
        words[n++] = str_cut(&rest, ' ');
    str_u64(words[n - 1], UINT32_MAX, &total);
    if (has_header)
        str_u64(words[n - 2], UINT32_MAX, &header);
    if (all.len < line.len + 2 + total + 2)
        return false;
    bool replies = n == (has_header ? 6u : 5u);
    str data = { all.ptr + line.len + 2 + header, (size_t)(total - header) };
    serve(p, words[1], replies ? words[3] : (str){ "", 0 }, data);
    buf_drop(&p->in, line.len + 2 + (size_t)total + 2);
    return true;
}

static bool take_frame(peer *p)
{
    str all = buf_view(&p->in);
    const char *end = all.len > 0 ? memchr(all.ptr, '\n', all.len) : NULL;
    if (end == NULL)
        return false;
    str line = { all.ptr, (size_t)(end - all.ptr) - 1 };
    if (str_starts(line, "MSG ") || str_starts(line, "HMSG "))
        return take_message(p, line, all);
    if (str_is(line, "PING"))
        feed(p, str_of("PONG\r\n"));
    buf_drop(&p->in, line.len + 2);
    return true;
}

static void leave(peer *p)
{
    model_hangup(p->conn, p->w->now);
    model_release(p->conn);
    p->conn = NULL;
    buf_clear(&p->in);
}

void peer_work(peer *p)
{
    if (p->conn != NULL && (p->away || (model_closing(p->conn) && model_output(p->conn).len == 0)))
        leave(p);
    if (p->conn == NULL && !p->away)
        connect_somewhere(p);
    if (p->conn == NULL)
        return;
    do {
        str out = model_output(p->conn);
        buf_str(&p->in, out);
        model_consume(p->conn, out.len);
        while (take_frame(p))
            ;
    } while (model_output(p->conn).len > 0);
}

void peer_stay_away(peer *p, bool away)
{
    p->away = away;
}
