/* SPDX-License-Identifier: Apache-2.0 */
/* Drives one session with a real socket: one epoll descriptor for its whole life, which holds the socket and the
 * resolver's, a deadline, and a call that does all that can be done now.
 *
 * One thread at a time drives ("leads"), holding the client's lock; the lock is dropped around system calls on the
 * socket. Another thread may write meanwhile (nbj__driver_write), holding the lock likewise. Without threads the lock is
 * nothing and all of it is called by one thread. */
#ifndef NBJ_DRIVER_DRIVER_H
#define NBJ_DRIVER_DRIVER_H

#include "conn/session.h"
#include "driver/dial.h"
#include "driver/lock.h"
#include "driver/tls.h"

#include <sys/epoll.h>

#define NBJ__READY_MAX 8

typedef struct nbj__driver nbj__driver;

typedef struct nbj__driver_config {
    nbj__session_options session; /* its seed is set here */
    nbj__dial_options dial;
    nbj__tls_options tls;         /* for each connection that has it; its host is set here. Copied */
    nbj__lock *lock;              /* outlives the driver */
    const char *credentials_file; /* as in nbj__identity_config; copied */
    const char *nkey_seed_file;   /* likewise; without both CREDENTIALS is not for the driver */
    /* One event of the session that is not for the driver. CREDENTIALS with an |error|: the file would not do, and this
     * attempt has failed. May call anything of the session, but not the driver. */
    void (*on_event)(void *user, const nbj__event *ev, nbj_time now);
    void *user;
} nbj__driver_config;

/* What an epoll set said. */
typedef struct nbj__ready {
    int count;
    struct epoll_event events[NBJ__READY_MAX];
} nbj__ready;

nbj_status nbj__driver_new(nbj__driver **out, const nbj__driver_config *cfg, nbj_error *error);
void nbj__driver_free(nbj__driver *d); /* with its session; NULL is allowed */

/* In a child that was forked: closes its copies of the descriptors and touches nothing else. */
void nbj__driver_abandon(nbj__driver *d);

nbj__session *nbj__driver_session(nbj__driver *d);
int nbj__driver_fd(const nbj__driver *d);

/* When nbj__driver_process is to be called although the descriptor says nothing; 0: now. */
nbj_time nbj__driver_deadline(const nbj__driver *d);

/* Waits with the epoll set until |due| at most. Without the lock. */
void nbj__driver_wait(nbj__driver *d, nbj_time due, nbj__ready *ready);

void nbj__driver_forget(nbj__driver *d, const nbj__ready *ready); /* what it said is for somebody else */

bool nbj__driver_is_wake_only(const nbj__ready *ready); /* it said nothing but what nbj__driver_wake causes */

/* Does all that can be done now. |ready| NULL: asks the epoll set. NBJ_OK, or NBJ_E_CLOSED when the session's last event
 * has been given out. */
nbj_status nbj__driver_process(nbj__driver *d, const nbj__ready *ready);

/* --- for threads that wait for an answer of their own --- */

/* Whether the socket is all there is to drive: connected, and no connecting goes on. */
bool nbj__driver_is_plain(const nbj__driver *d);

/* Takes the socket out of the epoll set's sight, so that what comes wakes nobody there; and back. */
void nbj__driver_disarm(nbj__driver *d);
void nbj__driver_arm(nbj__driver *d);

/* Writes all that can be written now, and hands out events. */
void nbj__driver_flush(nbj__driver *d);

/* Waits until |due| at most for the socket or nbj__driver_nudge, reads once, and does what follows from it. */
void nbj__driver_read(nbj__driver *d, nbj_time due);
void nbj__driver_nudge(nbj__driver *d);           /* ends the waiting; from any thread with the lock */
void nbj__driver_wake(nbj__driver *d);            /* ends nbj__driver_wait likewise */
bool nbj__driver_is_nudged(const nbj__driver *d); /* and has not begun to do anything yet */
bool nbj__driver_is_woken(const nbj__driver *d);  /* likewise */

bool nbj__driver_has_output(const nbj__driver *d); /* something waits to be written */

/* Whether something can be written at once, and nobody does. */
bool nbj__driver_can_write(const nbj__driver *d);
void nbj__driver_write(nbj__driver *d); /* writes once */

#endif
