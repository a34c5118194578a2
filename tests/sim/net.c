/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated network: see net.h. */
#include "net.h"

#include <assert.h>
#include <stdlib.h>

#define STALL_NS (3 * (uint64_t)SIM_S)
#define GAP_NS (20 * SIM_US)  /* between two chunks of one burst */
#define HUNG_NS (50 * SIM_MS) /* until a stopped server is looked at again */

typedef struct pipe { /* one direction */
    buf octets;
    uint64_t carried; /* delivered */
    uint64_t cut_at;  /* SIM_NEVER: not */
    uint64_t stalled_until;
    net_end cut_how;
    bool swallows, fin;
    uint64_t event; /* the delivery that is scheduled; 0: none */
} pipe;

struct net_conn {
    net *n;
    net_conn *next;
    uint64_t number;
    unsigned target;
    model_conn *server;
    net_state state;
    pipe pipe[2];
    buf arrived;               /* at the client, not read */
    bool reset, faulted, left; /* left: the client has closed it */
    bool wants_write, arriving;
};

void net_init(net *n, world *w, model *m, uint64_t seed, const net_weather *weather, void (*wake)(void *), void *user)
{
    *n = (net){ .w = w, .m = m, .random = rng_for(seed, "net"), .weather = *weather, .wake = wake, .user = user };
}

static void free_conn(net_conn *c)
{
    world_cancel_owner(c->n->w, c);
    world_cancel_owner(c->n->w, &c->pipe[0]);
    if (c->server != NULL)
        model_release(c->server);
    buf_free(&c->pipe[NET_TO_SERVER].octets);
    buf_free(&c->pipe[NET_TO_CLIENT].octets);
    buf_free(&c->arrived);
    free(c);
}

void net_free(net *n)
{
    while (n->conns != NULL) {
        net_conn *c = n->conns;
        n->conns = c->next;
        free_conn(c);
    }
}

static uint64_t delay(net *n)
{
    uint64_t mean = n->weather.delay_mean_ns;
    return n->weather.delay_min_ns + (mean > 0 ? rng_log(&n->random, mean / 16 + 1, 4 * mean) : 0);
}

static void wake_later(void *owner, uint64_t argument)
{
    net_conn *c = owner;
    (void)argument;
    c->wants_write = false;
    c->n->wake(c->n->user);
}

/* --- moving octets ---------------------------------------------------------------------------------------- */

static void deliver(void *owner, uint64_t way);

static void schedule(net_conn *c, net_way way, uint64_t after)
{
    pipe *p = &c->pipe[way];
    uint64_t at = c->n->w->now + after;
    if (p->event != 0)
        return;
    p->event = world_at(c->n->w, at > p->stalled_until ? at : p->stalled_until, deliver, c, (uint64_t)way);
}

/* The server notices the end of a connection, unless it has closed it itself. */
static void server_loses(net_conn *c)
{
    if (c->server == NULL)
        return;
    model_hangup(c->server, c->n->w->now);
    model_release(c->server);
    c->server = NULL;
}

static void client_sees_end(net_conn *c, net_end how)
{
    if (c->state == NET_ENDED || c->state == NET_REFUSED)
        return;
    c->state = NET_ENDED;
    c->reset = how == NET_RST;
    if (c->reset)
        buf_clear(&c->arrived);
    c->n->wake(c->n->user);
}

void net_cut(net_conn *c, net_end how)
{
    c->faulted = true;
    c->n->cuts++;
    buf_clear(&c->pipe[NET_TO_SERVER].octets);
    buf_clear(&c->pipe[NET_TO_CLIENT].octets);
    server_loses(c);
    client_sees_end(c, how);
}

/* How many octets go now: the weather's chunk, more where a long queue or a long run would take for ever. */
static size_t portion(const net *n, const pipe *p, net_way way)
{
    size_t all = buf_len(&p->octets), most = n->weather.chunk[way] * (1 + n->moved / 8192);
    if (most == 0 || most > all)
        return all;
    return most > all / 64 ? most : all / 64;
}

static void hand_over(net_conn *c, net_way way, str octets)
{
    c->n->moved += octets.len;
    if (way == NET_TO_SERVER && c->server != NULL)
        model_feed(c->server, octets.ptr, octets.len, c->n->w->now);
    else if (way == NET_TO_CLIENT && !c->left)
        buf_str(&c->arrived, octets);
}

/* All that was written before the end has been delivered. */
static void finish(net_conn *c, net_way way)
{
    if (way == NET_TO_SERVER)
        server_loses(c);
    else
        client_sees_end(c, NET_FIN);
}

/* The octet has come at which something was to happen. */
static void strike(net_conn *c, net_way way)
{
    pipe *p = &c->pipe[way];
    switch (p->cut_how) {
    case NET_FIN:
    case NET_RST:
        net_cut(c, p->cut_how);
        break;
    case NET_HALF_OPEN:
        buf_clear(&p->octets);
        net_swallow(c, way);
        break;
    case NET_STALL:
        p->cut_at = SIM_NEVER;
        net_stall(c, way, c->n->w->now + STALL_NS);
        schedule(c, way, 0);
        break;
    }
}

static void deliver(void *owner, uint64_t argument)
{
    net_conn *c = owner;
    net_way way = (net_way)argument;
    pipe *p = &c->pipe[way];
    net *n = c->n;
    p->event = 0;
    bool hung = way == NET_TO_SERVER && c->server != NULL && model_is_hung(n->m, c->target);
    if (hung || n->w->now < p->stalled_until) {
        schedule(c, way, hung ? HUNG_NS : 0);
        return;
    }
    size_t count = portion(n, p, way);
    bool cut = p->carried + count >= p->cut_at;
    if (cut)
        count = (size_t)(p->cut_at - p->carried);
    p->carried += count;
    hand_over(c, way, (str){ buf_view(&p->octets).ptr, count });
    buf_drop(&p->octets, count);
    if (cut)
        strike(c, way);
    else if (buf_len(&p->octets) > 0)
        schedule(c, way, GAP_NS);
    else if (p->fin)
        finish(c, way);
    if (cut)
        n->wake(n->user);
    bool wakes = way == NET_TO_CLIENT || c->wants_write;
    c->wants_write = c->wants_write && way == NET_TO_CLIENT;
    if (wakes)
        n->wake(n->user);
}

static void put(net_conn *c, net_way way, str octets)
{
    pipe *p = &c->pipe[way];
    if (p->swallows)
        return;
    buf_str(&p->octets, octets);
    if (buf_len(&p->octets) > 0)
        schedule(c, way, delay(c->n));
}

static void end_way(net_conn *c, net_way way)
{
    pipe *p = &c->pipe[way];
    if (p->fin || p->swallows)
        return;
    p->fin = true;
    schedule(c, way, delay(c->n));
}

/* Nothing more can come of a connection that both sides have left. */
static bool is_over(const net_conn *c)
{
    return c->left && c->server == NULL && !c->arriving;
}

static void sweep(net *n)
{
    for (net_conn **at = &n->conns; *at != NULL;) {
        net_conn *c = *at;
        if (!is_over(c)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free_conn(c);
    }
}

void net_harvest(net *n)
{
    for (net_conn *c = n->conns; c != NULL; c = c->next) {
        if (c->server == NULL)
            continue;
        str out = model_output(c->server);
        if (out.len > 0) {
            put(c, NET_TO_CLIENT, out);
            model_consume(c->server, out.len);
        }
        if (model_closing(c->server)) {
            model_release(c->server);
            c->server = NULL;
            end_way(c, NET_TO_CLIENT);
        }
    }
    sweep(n);
}

/* --- the client's side ------------------------------------------------------------------------------------ */

static void refuse(net_conn *c)
{
    c->state = NET_REFUSED;
    c->n->wake(c->n->user);
}

static void arrive(void *owner, uint64_t how)
{
    net_conn *c = owner;
    c->arriving = false;
    if (c->left || c->state != NET_DIALING)
        return;
    if (how == NET_DIAL_FINE)
        c->server = model_accept(c->n->m, c->target, c->n->w->now);
    if (how == NET_DIAL_REFUSE || (how == NET_DIAL_FINE && c->server == NULL)) {
        refuse(c);
        return;
    }
    c->state = NET_OPEN;
    c->n->wake(c->n->user);
}

net_conn *net_dial(net *n, unsigned server)
{
    net_conn *c = sim_alloc(sizeof *c);
    *c = (net_conn){ .n = n, .next = n->conns, .number = ++n->dialed, .target = server };
    c->pipe[0].cut_at = c->pipe[1].cut_at = SIM_NEVER;
    n->conns = c;
    c->faulted = n->dialing != NET_DIAL_FINE;
    c->arriving = n->dialing != NET_DIAL_NOTHING;
    if (c->arriving)
        world_at(n->w, n->w->now + 2 * delay(n), arrive, c, n->dialing);
    return c;
}

net_state net_state_of(const net_conn *c)
{
    return c->state;
}

bool net_was_reset(const net_conn *c)
{
    return c->reset;
}

size_t net_write(net_conn *c, const void *data, size_t len)
{
    net *n = c->n;
    size_t held = buf_len(&c->pipe[NET_TO_SERVER].octets);
    size_t window = n->weather.window * (1 + n->moved / 8192); /* as with chunks: a long run may not take for ever */
    size_t room = window > held ? window - held : 0;
    if (c->state != NET_OPEN)
        return 0;
    if (room > 0 && rng_chance(&n->random, n->weather.would_block)) {
        if (!c->wants_write) /* and it will be possible soon */
            world_at(n->w, n->w->now + rng_between(&n->random, 1, SIM_MS), wake_later, c, 0);
        c->wants_write = true;
        return 0;
    }
    c->wants_write = room < len;
    size_t taken = len < room ? len : room;
    if (c->pipe[NET_TO_SERVER].swallows) /* the kernel keeps what is not acknowledged */
        buf_put(&c->pipe[NET_TO_SERVER].octets, data, taken);
    else
        put(c, NET_TO_SERVER, (str){ data, taken });
    return taken;
}

size_t net_read(net_conn *c, void *data, size_t len)
{
    str all = buf_view(&c->arrived);
    size_t taken = all.len < len ? all.len : len;
    for (size_t i = 0; i < taken; i++)
        ((char *)data)[i] = all.ptr[i];
    buf_drop(&c->arrived, taken);
    return taken;
}

size_t net_readable(const net_conn *c)
{
    return buf_len(&c->arrived);
}

void net_close(net_conn *c)
{
    net *n = c->n;
    c->left = true;
    if (c->pipe[NET_TO_SERVER].swallows) { /* the server learns by its own pings, or when the network heals */
        if (n->healed)
            server_loses(c);
        return;
    }
    if (rng_chance(&n->random, 500000)) /* with unread data the kernel resets: what was on its way is lost */
        buf_clear(&c->pipe[NET_TO_SERVER].octets);
    end_way(c, NET_TO_SERVER);
}

/* --- fate ------------------------------------------------------------------------------------------------- */

bool net_is_faulted(const net_conn *c)
{
    return c->faulted;
}

bool net_is_half_open(const net_conn *c)
{
    return c->pipe[NET_TO_SERVER].swallows || c->pipe[NET_TO_CLIENT].swallows;
}

void net_mark(net_conn *c)
{
    c->faulted = true;
}

void net_cut_at(net_conn *c, net_way way, uint64_t octet, net_end how)
{
    pipe *p = &c->pipe[way];
    c->faulted = true;
    p->cut_at = octet > p->carried ? octet : p->carried;
    p->cut_how = how;
    if (p->cut_at == p->carried)
        schedule(c, way, 0);
}

void net_stall(net_conn *c, net_way way, uint64_t until)
{
    c->faulted = true;
    c->pipe[way].stalled_until = until;
}

void net_swallow(net_conn *c, net_way way)
{
    c->faulted = true;
    c->pipe[way].swallows = true;
    c->pipe[way].stalled_until = SIM_NEVER - 1;
}

void net_inject(net_conn *c, str octets)
{
    c->faulted = true;
    put(c, NET_TO_CLIENT, octets);
}

/* Takes back what was to happen to one direction. */
static void let_flow(net_conn *c, net_way way)
{
    pipe *p = &c->pipe[way];
    bool waits = p->event != 0;
    p->stalled_until = 0;
    p->cut_at = SIM_NEVER;
    world_cancel(c->n->w, p->event);
    p->event = 0;
    if (waits)
        schedule(c, way, 0);
}

void net_heal(net *n)
{
    n->dialing = NET_DIAL_FINE;
    n->healed = true;
    for (net_conn *c = n->conns; c != NULL; c = c->next) {
        bool half_open = net_is_half_open(c);
        if (half_open && c->left)
            server_loses(c);
        for (int way = 0; way < 2 && !half_open; way++)
            let_flow(c, (net_way)way);
    }
    sweep(n);
}

/* --- what the harness wants to know ----------------------------------------------------------------------- */

model_conn *net_server_of(const net_conn *c)
{
    return c->server;
}

uint64_t net_number(const net_conn *c)
{
    return c->number;
}

uint64_t net_carried(const net_conn *c, net_way way)
{
    return c->pipe[way].carried;
}

net_conn *net_conn_of(const net *n, const model_conn *server)
{
    for (net_conn *c = n->conns; c != NULL; c = c->next)
        if (c->server == server)
            return c;
    return NULL;
}

bool net_is_quiet(const net *n)
{
    for (const net_conn *c = n->conns; c != NULL; c = c->next)
        if (c->left || c->server == NULL || buf_len(&c->pipe[0].octets) > 0 || buf_len(&c->pipe[1].octets) > 0 ||
            buf_len(&c->arrived) > 0)
            return false;
    return true;
}
