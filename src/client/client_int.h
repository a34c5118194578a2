/* SPDX-License-Identifier: Apache-2.0 */
/* A client's state, shared by the files that make it up:
 *   client.c    opening, closing, events and their routing, the loop API
 *   pubsub.c    sending and subscriptions       request.c  requests and flushes
 *   publish.c   JetStream publishes             stream.c, consumer.c
 *
 * Callbacks run inside nbj_loop_process only. A handle that is released in one of its own callbacks is freed when that
 * returns. Subscriptions and pulls hold a reference, so that a client may be released before them. */
#ifndef NBJ_CLIENT_INT_H
#define NBJ_CLIENT_INT_H

#include "driver/driver.h"
#include "js/publish.h"
#include "js/pull.h"

#include <nbj/nbj.h>

struct nbj_client {
    const nbj_allocator *alloc;
    nbj__driver *driver;
    nbj__session *session;
    nbj_event_fn *on_event;
    void *user_data;
    unsigned refs;   /* the caller's, and one for each subscription, pull and running process */
    bool released;   /* by the caller: no callback runs any more */
    bool processing; /* within nbj_loop_process */
    nbj__publisher publisher;
    nbj__list pulls;
    nbj__list calls; /* of requests, flushes and the like */
    bool draining;   /* from nbj_client_drain() on: publishes get their outcomes, then the session drains */
    bool session_drains;
    nbj_time drain_due;
};

typedef struct nbj__client_call nbj__client_call;

/* A call under way: an event about it. |ev->type| is REPLY (more follow) or CALL_DONE, after which it is freed. */
typedef void nbj__client_call_fn(nbj__client_call *call, const nbj__event *ev, nbj_time now);

struct nbj__client_call {
    nbj__call core;
    nbj__node node;
    nbj__client_call_fn *on_event;
    union {
        nbj_reply_fn *reply;
        nbj_flush_fn *flush;
        nbj_done_fn *done;
    } fn;
    void *user;
};

void nbj__client_retain(nbj_client *c);
void nbj__client_unref(nbj_client *c);

/* A new call, in the client's list; NULL: no memory. */
nbj__client_call *nbj__client_call_new(nbj_client *c, nbj__client_call_fn *on_event, void *user);
void nbj__client_call_free(nbj_client *c, nbj__client_call *call);

/* pubsub.c */
void nbj__client_on_sub(nbj_client *c, const nbj__event *ev);

/* publish.c */
void nbj__client_on_result(nbj_client *c, const nbj__publish_result *r);

/* consumer.c */
void nbj__client_on_js_sub(nbj_client *c, const nbj__event *ev, nbj_time now);
void nbj__client_on_js_call(nbj_client *c, const nbj__event *ev, nbj_time now);
void nbj__client_pulls_on_connection(nbj_client *c, bool connected, nbj_time now);
void nbj__client_pulls_on_time(nbj_client *c, nbj_time now);
nbj_time nbj__client_pulls_deadline(const nbj_client *c);
void nbj__client_stop_pulls(nbj_client *c);
void nbj__client_report_pulls(nbj_client *c); /* changes of state, to their callbacks */

#endif
