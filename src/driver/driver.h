/* SPDX-License-Identifier: Apache-2.0 */
/* Drives one session with a real socket: one epoll descriptor for its whole life, which holds the socket and the
 * resolver's, a deadline, and a call that does all that can be done now. No thread is started and nothing blocks. */
#ifndef NBJ_DRIVER_DRIVER_H
#define NBJ_DRIVER_DRIVER_H

#include "conn/session.h"

typedef struct nbj__driver nbj__driver;

typedef struct nbj__driver_config {
    nbj__session_options session; /* its seed is set here */
    /* One event of the session that is not for the driver. May call anything of the session, but not the driver. */
    void (*on_event)(void *user, const nbj__event *ev, nbj_time now);
    void *user;
} nbj__driver_config;

nbj_status nbj__driver_new(nbj__driver **out, const nbj__driver_config *cfg, nbj_error *error);
void nbj__driver_free(nbj__driver *d); /* with its session; NULL is allowed */

nbj__session *nbj__driver_session(nbj__driver *d);
int nbj__driver_fd(const nbj__driver *d);

/* When nbj__driver_process is to be called although the descriptor says nothing; 0: now. */
nbj_time nbj__driver_deadline(const nbj__driver *d);

/* NBJ_OK, or NBJ_E_CLOSED when the session's last event has been given out. */
nbj_status nbj__driver_process(nbj__driver *d);

#endif
