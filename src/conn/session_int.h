/* SPDX-License-Identifier: Apache-2.0 */
/* The session's state, shared by the files that make it up:
 *   session.c    the connection: dialing, losing, closing, deadlines
 *   session_options.c  defaults and copies of options
 *   send.c       what may be written now; publishing
 *   dispatch.c   what a link's events mean, and the queue of events to the driver
 *   subscribe.c  subscriptions
 *   call.c       requests, requests with many replies, flushes
 *   leave.c      going on purpose: drain, lame duck */
#ifndef NBJ_CONN_SESSION_INT_H
#define NBJ_CONN_SESSION_INT_H

#include "conn/link.h"
#include "conn/outbox.h"
#include "conn/pool.h"
#include "conn/session.h"

#define NBJ__NOTES_MAX 16u

typedef enum nbj__drain_step {
    NBJ__DRAIN_NONE = 0,
    NBJ__DRAIN_SUBS,  /* until the PONG behind the UNSUBs */
    NBJ__DRAIN_CALLS, /* until requests are answered and queues are taken empty */
    NBJ__DRAIN_FLUSH, /* until the PONG behind the last publish; nothing may be published any more */
} nbj__drain_step;

struct nbj__session {
    nbj__session_options opt; /* its views are of our copies */
    nbj__random random;

    /* the connection */
    nbj__phase phase;
    nbj__pool pool;
    nbj__server *server; /* the present one, or the next; NULL: CLOSED */
    nbj__link link;      /* SHAKING, READY */
    nbj__chunk *last_rx; /* of the link before, for the message that is being handed out */
    nbj_time dial_at;    /* WAITING: the next attempt. DIALING, SHAKING: when it fails */
    nbj_time ready_since;
    nbj_time blocked_since; /* octets wait and the socket takes none; NBJ_TIME_NEVER: no */
    bool was_ready_once;
    bool driver_is_busy; /* it was told to dial, and neither said "lost" nor was told to hang up */
    nbj_error lost;      /* why the last connection or attempt ended */
    nbj__outbox out;
    bool out_is_lost; /* with its connection: to be tidied up when the driver has hung up, as it may still write */
    bool wants_writable;
    size_t msg_grace, sub_grace; /* octets of messages and SUBs that still go before what waits for room */

    /* what uses it */
    nbj__subs subs;
    size_t draining_subs;
    size_t queued_msgs; /* in all queues */
    nbj__slots slots;
    nbj__list requests; /* calls that wait, flushes excepted */
    nbj__list flushes;  /* by barrier; those without one last */
    nbj__heap timers;
    nbj__sub inbox; /* of all requests */
    char inbox_prefix[NBJ__INBOX_MAX + NBJ__INBOX_NAME + 3];

    /* leaving */
    nbj__drain_step drain;
    uint64_t drain_barrier;
    nbj_time drain_due;
    uint64_t leave_barrier; /* the lame duck's PONG that ends what was sent; 0: not leaving */
    size_t leave_quota;     /* octets of |out| that may still be written */
    nbj_time leave_due;

    /* events to hand out, in this order */
    bool hangup_is_due;
    nbj__list done_calls;
    nbj__list ended_subs;
    nbj__event_type notes[NBJ__NOTES_MAX];
    size_t note_first, note_count;
    bool dial_is_due;
    bool closed_is_due;

    nbj_error closed;       /* why */
    nbj_error server_error; /* of the last SERVER_ERROR */
    nbj_error call_error;   /* of the last CALL_DONE */
    nbj_msg scratch;        /* the message being handed out */
    nbj__session_stats stats;
};

static inline bool nbj__session_is_ready(const nbj__session *s)
{
    return s->phase == NBJ__PHASE_READY;
}

/* session_options.c */
void nbj__session_options_default(nbj__session_options *o);
nbj_status nbj__session_options_check(const nbj__session_options *o, nbj_error *error);
nbj_status nbj__session_options_own(nbj__session_options *o); /* copies texts; NBJ_E_NOMEM: wipe it all the same */
void nbj__session_options_wipe(nbj__session_options *o);

/* session.c */
void nbj__session_lose(nbj__session *s, nbj_status status, const char *text, nbj_time now);
void nbj__session_tidy_out(nbj__session *s);

/* send.c */
bool nbj__session_has_connection(const nbj__session *s); /* and the driver was not told to hang up */
nbj_status nbj__session_may_use(const nbj__session *s);  /* NBJ_E_CLOSED, NBJ_E_DRAINING */
bool nbj__session_takes_sub(nbj__session *s, nbj_bytes subject, nbj_bytes queue_group); /* into the outgoing buffer */

/* dispatch.c */
void nbj__session_note(nbj__session *s, nbj__event_type type);
bool nbj__session_has_events(const nbj__session *s); /* of its own, to be handed out before it looks at octets */

/* subscribe.c */
void nbj__session_end_sub(nbj__session *s, nbj__sub *sub, nbj_status why); /* SUB_ENDED follows for those of others */
void nbj__session_drain_subs(nbj__session *s, uint64_t barrier); /* all, until that PONG, whose PING is written next */
void nbj__session_drained_subs(nbj__session *s, uint64_t pong);  /* ends those that waited for it */
void nbj__session_end_draining(nbj__session *s);                 /* all of them: their connection is gone */
nbj_status nbj__session_renew_subs(nbj__session *s);
nbj__sub *nbj__session_refused_sub(nbj__session *s, const nbj__server_error *e); /* ends it; NULL: none */

/* call.c */
void nbj__session_finish(nbj__session *s, nbj__call *call, nbj_status status);
void nbj__session_release_call(nbj__session *s, nbj__call *call); /* out of all tables, without an outcome */
void nbj__session_finish_requests(nbj__session *s, nbj_status status);
void nbj__session_refused_inbox(nbj__session *s, nbj_status status);   /* ends the requests that share the inbox */
void nbj__session_refused_publish(nbj__session *s, nbj_bytes subject); /* ends the request that was refused */
void nbj__session_flushes_lost(nbj__session *s);        /* those that wait for a PONG of the lost connection */
nbj_status nbj__session_flushes_begin(nbj__session *s); /* those that waited for a connection */
void nbj__session_flushed(nbj__session *s, uint64_t pong);
void nbj__session_calls_on_time(nbj__session *s, nbj_time now);
bool nbj__session_on_reply(nbj__session *s, nbj__event *ev); /* a message on the wildcard inbox */
bool nbj__session_on_many(nbj__session *s, nbj__sub *inbox, nbj_time now, nbj__event *ev);

/* leave.c */
void nbj__session_on_lame_duck(nbj__session *s, nbj_time now);
bool nbj__session_advance_drain(nbj__session *s, nbj_time now); /* one step of a drain; true: it went on */
bool nbj__session_leave_if_done(nbj__session *s, nbj_time now); /* the same, and the move away from a lame duck */
nbj_time nbj__session_leave_deadline(const nbj__session *s);

#endif
