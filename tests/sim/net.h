/* SPDX-License-Identifier: Apache-2.0 */
/* The network between one client and the servers of a model: per connection two queues of octets, delivered in chunks
 * after a delay, and everything that can go wrong with them. Faults are asked for by whoever plays fate; a connection
 * remembers that one touched it, so that a loss without a cause can be told from one with a cause. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "model.h"
#include "world.h"

typedef enum net_way { NET_TO_SERVER, NET_TO_CLIENT } net_way;
typedef enum net_end { NET_FIN, NET_RST, NET_HALF_OPEN, NET_STALL } net_end; /* the last two only at an octet */
typedef enum net_state {
    NET_DIALING, /* the client connects */
    NET_OPEN,
    NET_REFUSED, /* connecting failed */
    NET_ENDED,   /* FIN or RST has come; what arrived before may still be read after a FIN */
} net_state;

/* How connecting goes from now on. */
typedef enum net_dialing { NET_DIAL_FINE, NET_DIAL_REFUSE, NET_DIAL_SILENT, NET_DIAL_NOTHING } net_dialing;

typedef struct net_weather {              /* drawn once per run */
    uint64_t delay_min_ns, delay_mean_ns; /* one way; exponential, at most four times the mean */
    size_t chunk[2];                      /* octets delivered at once, by net_way; 0: all */
    uint32_t would_block;                 /* chance per million that a write takes nothing */
    size_t window;                        /* octets on their way to the server before writes take nothing */
} net_weather;

typedef struct net_conn net_conn;

typedef struct net {
    world *w;
    model *m;
    rng random;
    net_weather weather;
    net_dialing dialing;
    bool healed;
    uint64_t dialed, moved, cuts; /* connections begun; octets moved; connections that a fault ended */
    void (*wake)(void *user);     /* something changed for the client */
    void *user;
    net_conn *conns; /* newest first */
} net;

void net_init(net *n, world *w, model *m, uint64_t seed, const net_weather *weather, void (*wake)(void *), void *user);
void net_free(net *n);
/* Takes what the servers have written since; call it after everything that let them write. */
void net_harvest(net *n);

/* --- the client's side --- */
net_conn *net_dial(net *n, unsigned server); /* server >= the model's: no such host, refused */
net_state net_state_of(const net_conn *c);
bool net_was_reset(const net_conn *c);
size_t net_write(net_conn *c, const void *data, size_t len); /* 0: would block; wake follows */
size_t net_read(net_conn *c, void *data, size_t len);        /* 0: nothing now */
size_t net_readable(const net_conn *c);
void net_close(net_conn *c); /* the client forgets it; what it wrote may still arrive */

/* --- fate's side; each counts as a fault of that connection --- */
bool net_is_faulted(const net_conn *c);
bool net_is_half_open(const net_conn *c);
void net_mark(net_conn *c);             /* something else happened to it: its server was killed, … */
void net_cut(net_conn *c, net_end how); /* at once */
void net_cut_at(net_conn *c, net_way way, uint64_t octet, net_end how); /* after so many octets of that way */
void net_stall(net_conn *c, net_way way, uint64_t until);
void net_swallow(net_conn *c, net_way way); /* half-open: nothing arrives any more, nobody is told */
void net_inject(net_conn *c, str octets);   /* into what the server sends, between two frames */
void net_heal(net *n); /* connecting is fine; half-open connections which the client has left are noticed */

/* --- what the harness wants to know --- */
model_conn *net_server_of(const net_conn *c); /* NULL: none (silent, or gone) */
uint64_t net_number(const net_conn *c);       /* 1, 2, … in the order of dialing */
uint64_t net_carried(const net_conn *c, net_way way);
net_conn *net_conn_of(const net *n, const model_conn *server); /* NULL: not of this client */
bool net_is_quiet(const net *n); /* nothing on its way, no connection that the client has left */

#endif
