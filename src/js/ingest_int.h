/* SPDX-License-Identifier: Apache-2.0 */
/* A bulk's state machine, shared by the files that make it up:
 *   ingest.c        sending, adding, the connection and the time
 *   ingest_reply.c  what the server's answers mean */
#ifndef NBJ_JS_INGEST_INT_H
#define NBJ_JS_INGEST_INT_H

#include "js/ingest.h"

/* A batch is under way. */
static inline bool nbj__ingest_is_at_server(const nbj__ingest *g)
{
    return g->state == NBJ__INGEST_STARTING || g->state == NBJ__INGEST_RUNNING || g->state == NBJ__INGEST_COMMITTING;
}

/* Messages of the present batch that were sent. */
static inline uint64_t nbj__ingest_sent(const nbj__ingest *g)
{
    return g->window.cursor - g->base;
}

void nbj__ingest_set_state(nbj__ingest *g, nbj__ingest_state to);

/* It is over, with |result.error| as it is; with this error; because no stream is there. */
void nbj__ingest_end(nbj__ingest *g);
void nbj__ingest_end_with(nbj__ingest *g, nbj_status status, const char *text);
void nbj__ingest_end_without_stream(nbj__ingest *g);

/* RUNNING: asks the server to end the batch; sends what may be sent. */
void nbj__ingest_commit(nbj__ingest *g, nbj_time now);
void nbj__ingest_pump(nbj__ingest *g, nbj_time now);

void nbj__ingest_leave_batch(nbj__ingest *g);                                     /* it is over */
void nbj__ingest_begin(nbj__ingest *g, nbj_time now);                             /* what is next */
void nbj__ingest_begin_later(nbj__ingest *g, const nbj_error *why, nbj_time now); /* … after a pause: it was given up */

#endif
