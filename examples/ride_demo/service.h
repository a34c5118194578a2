/* SPDX-License-Identifier: Apache-2.0 */
/* What publisher and processor have in common: a client that is driven with poll, the stream of the rides, the wish to
 * end. Owns: the client's life. Does not own: publishing and consuming (publisher.c, processor.c). */
#ifndef RIDE_DEMO_SERVICE_H
#define RIDE_DEMO_SERVICE_H

#include "options.h"

#include <nbj/nbj.h>

typedef struct service {
    nbj_client *client;
    bool ready;  /* connected, and the stream exists */
    bool asking; /* whether it exists; to be asked again when the answer was lost */
    unsigned asked;
    bool closed; /* the client reported its end */
    bool failed; /* then |why| says it */
    problem why;
} service;

/* Opens a client for the server of |with| and sees to it that the stream exists. On failure |out|->why says why and
 * nothing is left open. */
bool service_open(service *out, const options *with, const char *name);

/* One turn of the loop, which waits for at most so long. False when the service has failed or its client is closed. */
bool service_turn(service *of, uint64_t max_wait_ns);

/* Notes a failure; the next turn tells it. */
__attribute__((format(printf, 2, 3))) void service_fail(service *of, const char *format, ...);

/* Ends the client: at once, or within |drain_ns| and without losing what it was given. */
bool service_close(service *of, uint64_t drain_ns);

bool service_told_to_end(void); /* by SIGTERM */

#endif
