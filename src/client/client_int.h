/* SPDX-License-Identifier: Apache-2.0 */
/* A client's state, shared by the files that make it up:
 *   client.c    opening and giving back         events.c   the session's events, and the program's callback for them
 *   loop.c      the loop API                    state.c    what is; closing and draining
 *   login.c     credentials from on_credentials
 *   wait.c      entering, leaving, waiting      call.c     calls that wait for an answer
 *   ask.c       calls to JetStream's API
 *   pubsub.c    sending and subscriptions       request.c  requests and flushes
 *   publish.c   JetStream publishes             results.c  their outcomes
 *   stream.c, stream_list.c, account.c, stored.c, consumer.c
 *   sender.c    what batch.c and bulk.c share
 *   advisory.c  subscriptions to advisories     transfer.c, snapshot.c, restore.c: streams to and from backups
 *
 * A client has threads (nbj_client_open) or is driven by its caller's loop (nbj_loop_open). With threads everything here
 * is under the client's lock; whoever leads gets the session's events and must not run the program's code, so what is for
 * the program is queued at its object, whose task runs on the callback thread. With a loop the lock is nothing, and the
 * program's code runs where the event comes up, on the message as it lies in the receive buffer.
 *
 * A handle that is released in one of its own callbacks is freed when that returns. Subscriptions and pulls hold a
 * reference, so that a client may be released before them. */
#ifndef NBJ_CLIENT_INT_H
#define NBJ_CLIENT_INT_H

#include "driver/callbacks.h"
#include "driver/driver.h"
#include "driver/process.h"
#include "driver/runtime.h"
#include "js/op.h"
#include "js/publish_ask.h"
#include "js/pull.h"

#include <nbj/nbj.h>
#include <stdatomic.h>

typedef struct nbj__results nbj__results;
typedef struct nbj__login nbj__login;

struct nbj_client {
    const nbj_allocator *alloc;
    nbj__process_mark mark;
    nbj__lock lock;
    nbj__driver *driver;
    nbj__session *session;
    nbj__runtime *runtime; /* NULL: driven by the caller's loop */
    nbj__callbacks callbacks;
    nbj_event_fn *on_event;
    void *user_data;
    nbj__login *login;    /* NULL: there is no on_credentials */
    unsigned refs;        /* the caller's, and one for each subscription, pull, running process and callback thread */
    atomic_bool released; /* by the caller: no callback runs any more */
    bool processing;      /* within nbj_loop_process */
    bool opening;         /* nobody knows it yet: events wait, and how that ended is what nbj_client_open returns */
    bool wait_when_full;
    uint64_t write_timeout_ns;
    nbj__js_where where; /* JetStream's API, unless a call says otherwise */
    nbj__publisher publisher;
    nbj__publish_asker asker;
    nbj__results *results;       /* outcomes whose callbacks have not run; with threads */
    unsigned publishers_waiting; /* threads in nbj_publish() for room */
    nbj__list pulls;
    nbj__list senders;     /* batches and bulks (sender.h) */
    uint32_t batch_number; /* of the last attempt to store a batch */
    nbj__list calls;       /* of requests, flushes and the like */
    size_t callback_calls; /* of those, with a callback that has not run */
    nbj__list watchers;    /* threads that wait for this client to change */
    bool draining;         /* from nbj_client_drain() on: publishes get their outcomes, then the session drains */
    bool session_drains;
    nbj_time lost_at; /* when the last connection was; 0: none was */
    bool is_closed;   /* CLOSED came from the session */
    bool closed_is_told;
    nbj_error closed;
    nbj_time drain_due;
    nbj__list events; /* for on_event; with threads */
    size_t event_count;
    nbj__task event_task;
};

static inline bool nbj__client_has_threads(const nbj_client *c)
{
    return c->lock.is_real;
}

/* --- client.c --- */
void nbj__client_retain(nbj_client *c);
void nbj__client_unref(nbj_client *c); /* and leaves; with the lock */

/* --- wait.c --- */

/* At the beginning of each call: takes the lock. NBJ_E_FORKED: in another process, and nothing was taken. */
nbj_status nbj__client_enter(const nbj_client *c);
void nbj__client_leave(const nbj_client *c);

/* As leave, when something was put into the outgoing buffer; when anything may have changed. */
nbj_status nbj__client_leave_sent(nbj_client *c, nbj_status st);
nbj_status nbj__client_leave_changed(nbj_client *c, nbj_status st);

/* Waits until |is_so| says so, asked again after each nbj__client_changed(|watchers|). False: |due| has come. */
bool nbj__client_wait(nbj_client *c, nbj__list *watchers, bool (*is_so)(void *arg), void *arg, nbj_time due);
void nbj__client_changed(nbj__list *watchers);

/* Does |put|, which says NBJ_E_WOULD_BLOCK as long as the outgoing buffer is full and client option wait_when_full is set;
 * with threads waits for room then, for write_timeout_ns at most: NBJ_E_TIMEOUT. */
typedef nbj_status nbj__put_fn(void *arg);
nbj_status nbj__client_put(nbj_client *c, nbj__put_fn *put, void *arg);
void nbj__client_changed_for_one(nbj__list *watchers);

/* Around the program's code on the callback thread. */
void nbj__client_let_go(nbj_client *c);
void nbj__client_come_back(nbj_client *c);

nbj_status nbj__client_need_callbacks(nbj_client *c); /* their thread runs; NBJ_E_NOMEM */
bool nbj__client_is_in_callback(const nbj_client *c);

/* --- call.c --- */

typedef struct nbj__client_call nbj__client_call;
typedef struct nbj__asking nbj__asking;

/* Tells the program: NBJ_MORE with one of several replies; anything else is the end. Without the lock. */
typedef void nbj__report_fn(nbj__client_call *call, nbj_status status, const nbj_msg *msg);

struct nbj__client_call {
    nbj__call core;
    nbj__node node;
    nbj__task task;
    nbj_client *client;
    nbj__report_fn *report;
    nbj__waiter *waiter; /* of the thread that waits for it; NULL: it is told by a callback */
    nbj__queue replies;  /* that nobody was told of yet */
    size_t reply_count, reply_bytes;
    nbj_status missed; /* why a reply could not be kept; NBJ_OK: none was missed */
    bool done;
    nbj_status status; /* once done */
    uint64_t took_ns;
    nbj__asking *asking; /* it is a request of an op with a callback, and has it; or NULL */
    union {
        nbj_reply_fn *reply;
        nbj_flush_fn *flush;
        nbj_done_fn *done;
    } fn;
    void *user;
};

/* A new call that reports by callback. NBJ_E_FULL: too many wait for theirs; NBJ_E_NOMEM, also for the thread. */
nbj_status nbj__client_call_new(nbj_client *c, nbj__report_fn *report, void *user, nbj__client_call **out);
void nbj__client_call_free(nbj__client_call *call);

/* Enters, and begins a zeroed call that its thread waits for. NBJ_E_WOULD_BLOCK under a loop. */
nbj_status nbj__client_begin_waiting(nbj_client *c, nbj__client_call *call, nbj__waiter *waiter);

/* |st| is what putting it into the session came to. Waits for its end if that was NBJ_OK; leaves; returns its outcome. */
nbj_status nbj__client_end_waiting(nbj__client_call *call, nbj_status st);

void nbj__client_on_call(nbj_client *c, const nbj__event *ev, nbj_time now);

/* --- ask.c --- */

/* Does |op|, which stays the caller's, and waits. |error| may be NULL. NBJ_E_WOULD_BLOCK under a loop. */
nbj_status nbj__client_ask(nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj_error *error);

/* The program's callback, whatever its type, and its data. */
typedef struct nbj__told {
    void (*fn)(void);
    void *user;
} nbj__told;

/* Casts |whom.fn| to its type and calls it, with what |op| has found; |error| is NULL with NBJ_OK. Without the lock. */
typedef void nbj__tell_fn(nbj__op *op, nbj_status status, const nbj_error *error, nbj__told whom);

void nbj__client_asking_free(nbj__asking *asking); /* NULL is allowed */

/* Begins |op|, and takes it, also when that fails. NBJ_OK: |tell| is called once; then |op| is freed. */
nbj_status nbj__client_ask_async(nbj_client *c, nbj__op *op, const nbj_call_options *options, nbj__tell_fn *tell,
                                 nbj__told whom);

/* --- the others --- */

/* results.c */
nbj_status nbj__client_need_results(nbj_client *c); /* with threads: there is room for them; NBJ_E_NOMEM */
void nbj__client_keep_result(nbj__results *results, const nbj__publish_result *r);
void nbj__client_fill_result(nbj_publish_result *to, const nbj__publish_result *r);
bool nbj__client_results_are_told(const nbj_client *c);
void nbj__client_results_free(nbj_client *c);

/* events.c */
void nbj__client_on_event(void *user, const nbj__event *ev, nbj_time now);
void nbj__client_run_events(nbj__task *task);
void nbj__client_drop_events(nbj_client *c);

/* Credentials for a connection could not be had. When that is the client's end, CLOSED says why. */
void nbj__client_tell_failed_attempt(nbj_client *c, const nbj_error *error);

/* login.c */
nbj_status nbj__client_login_new(nbj_client *c, nbj_credentials_fn *ask); /* NBJ_E_NOMEM */
void nbj__client_login_free(nbj_client *c);
void nbj__client_on_credentials(nbj_client *c, const nbj__event *ev);

/* loop.c: what is done after each turn, and when */
nbj_time nbj__client_deadline(void *client);
void nbj__client_after_turn(void *client);

/* pubsub.c */

/* nbj_subscribe() with the lock and whole options. */
nbj_status nbj__client_subscribe(nbj_client *c, const char *subject, const nbj_sub_options *o, nbj_msg_fn *on_msg,
                                 void *user, nbj_sub **out);
void nbj__client_on_sub(nbj_client *c, const nbj__event *ev);
nbj_bytes nbj__client_sub_subject(const nbj__sub *core);

/* publish.c */
void nbj__client_on_result(nbj_client *c, const nbj__publish_result *r);

/* sender.c */
bool nbj__client_senders_on_event(nbj_client *c, const nbj__event *ev, nbj_time now); /* true: it was for one of them */
nbj_time nbj__client_senders_deadline(const nbj_client *c);
void nbj__client_senders_on_time(nbj_client *c, nbj_time now);
void nbj__client_report_senders(nbj_client *c);
void nbj__client_drain_senders(nbj_client *c);
bool nbj__client_senders_are_idle(const nbj_client *c);

/* consumer.c */
void nbj__client_on_js_sub(nbj_client *c, const nbj__event *ev, nbj_time now);
void nbj__client_on_js_call(nbj_client *c, const nbj__event *ev, nbj_time now);
void nbj__client_pulls_on_connection(nbj_client *c, bool connected, nbj_time now);
void nbj__client_pulls_on_time(nbj_client *c, nbj_time now);
nbj_time nbj__client_pulls_deadline(const nbj_client *c);
void nbj__client_stop_pulls(nbj_client *c);
void nbj__client_report_pulls(nbj_client *c); /* changes of state, to their callbacks */
bool nbj__client_pulls_are_told(const nbj_client *c);

#endif
