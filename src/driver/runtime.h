/* SPDX-License-Identifier: Apache-2.0 */
/* Leader and followers: who drives a client that has threads.
 *
 * A thread that waits for its own answer leads: it takes the socket, reads until its answer is there, and completes what
 * other threads wait for on the way. Then it hands the lead to another thread that waits; the I/O thread leads when
 * nobody does, and whenever there is more to do than to read and write one socket. Taking and leaving the lead wakes
 * nobody: the socket is out of the I/O thread's sight meanwhile. A leader never runs user code (callbacks.h).
 *
 * All functions are called with the client's lock held, unless said otherwise. */
#ifndef NBJ_DRIVER_RUNTIME_H
#define NBJ_DRIVER_RUNTIME_H

#include "base/list.h"
#include "driver/driver.h"

typedef struct nbj__runtime nbj__runtime;

typedef struct nbj__runtime_config {
    const nbj_allocator *alloc;
    nbj__lock *lock;
    nbj__driver *driver;
    nbj_time (*deadline)(void *user); /* the driver's and that of |after_turn| */
    void (*after_turn)(void *user);   /* after each turn, and at its deadline */
    void *user;
} nbj__runtime_config;

/* What a thread waits for. */
typedef struct nbj__waiter {
    nbj__node node;
    bool done;
    bool has_cond;
    pthread_cond_t cond;
    nbj__runtime *runtime; /* while it waits */
} nbj__waiter;             /* zeroed */

/* Starts the I/O thread. Without the lock. */
nbj_status nbj__runtime_start(nbj__runtime **out, const nbj__runtime_config *cfg, nbj_error *error);
void nbj__runtime_stop(nbj__runtime *rt); /* and joins it; nobody waits any more. Without the lock. */
void nbj__runtime_free(nbj__runtime *rt); /* after that */

/* Waits until nbj__runtime_done(w) was called (true), or |due| has come. The lock is dropped meanwhile. */
bool nbj__runtime_wait(nbj__runtime *rt, nbj__waiter *w, nbj_time due);
void nbj__runtime_done(nbj__waiter *w);

/* Something was put into the outgoing buffer. A lone small message is written by the caller, many in a row by whoever
 * leads. */
void nbj__runtime_kick(nbj__runtime *rt);

/* The same, and there may be a nearer deadline or another thing to do for whoever leads. */
void nbj__runtime_wake(nbj__runtime *rt);

#endif
