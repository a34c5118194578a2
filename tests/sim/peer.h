/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of the conversation: a faultless client next to the servers, which answers requests on svc.> and
 * publishes. What it does with a request is in the subject: svc.echo, svc.slow, svc.twice, svc.none, svc.many. */
#ifndef SIM_PEER_H
#define SIM_PEER_H

#include "model.h"
#include "world.h"

typedef struct peer_answer peer_answer;
typedef struct peer {
    world *w;
    model *m;
    rng random;
    model_conn *conn; /* NULL: away */
    buf in;
    peer_answer *answers;
    bool away;                              /* told to stay away */
    void (*asked)(void *user, uint64_t id); /* a request with this id arrived */
    void *user;
} peer;

void peer_init(peer *p, world *w, model *m, uint64_t seed, void (*asked)(void *, uint64_t), void *user);
void peer_free(peer *p);
/* Reads and answers what has come, connects where it is not; call it after everything that let servers write. */
void peer_work(peer *p);
void peer_stay_away(peer *p, bool away);
void peer_publish(peer *p, const char *subject, str header, str data);

/* How many replies svc.many gives to request |id|, an empty one at the end excluded. */
unsigned peer_replies(uint64_t id);
bool peer_ends_with_empty(uint64_t id);

#endif
