/* SPDX-License-Identifier: Apache-2.0 */
/* Going on purpose.
 *
 * Drain: subscriptions end behind a PONG, calls get their replies, what was published is written and proved read by
 * another PONG, then the session closes.
 *
 * Lame duck: the server will go. If another is known we leave for it without losing what we sent: a PING is put behind
 * what is in the outgoing buffer and nothing after it is written any more; when its PONG has come the server has read all
 * of it, and the rest waits for the next connection. Requests get a few seconds for their replies. */
#include "conn/session_int.h"

#include "base/text.h"

#define LEAVE_NS NBJ_SECONDS(5) /* a lame duck keeps its clients for 10 s at least */

static const nbj__transition transitions[] = {
    { NBJ__DRAIN_NONE, NBJ__DRAIN_SUBS },
    { NBJ__DRAIN_SUBS, NBJ__DRAIN_CALLS },
    { NBJ__DRAIN_CALLS, NBJ__DRAIN_FLUSH },
};
const nbj__machine nbj__drain_machine = { "drain", transitions, sizeof transitions / sizeof transitions[0] };

static void set_step(nbj__session *s, nbj__drain_step to)
{
    nbj__observe(s->opt.observer, &nbj__drain_machine, (int)s->drain, (int)to);
    s->drain = to;
}

static bool put_barrier(nbj__session *s, nbj_time now)
{
    nbj_status st = nbj__link_ping(&s->link, &s->drain_barrier);

    if (st != NBJ_OK)
        nbj__session_lose(s, st, NULL, now);
    return st == NBJ_OK;
}

void nbj__session_drain(nbj__session *s, nbj_time now, nbj_time deadline)
{
    if (s->phase == NBJ__PHASE_CLOSED || s->drain != NBJ__DRAIN_NONE)
        return;
    if (!nbj__session_is_ready(s)) {
        bool unsent = nbj__outbox_len(&s->out) > 0;
        nbj__session_close(s, unsent ? NBJ_E_DISCONNECTED : NBJ_OK,
                           unsent ? "drained while disconnected: what was published last was not sent" : NULL);
        return;
    }
    set_step(s, NBJ__DRAIN_SUBS);
    s->drain_due = deadline;
    s->leave_barrier = 0; /* a lame duck stays long enough for it */
    nbj__session_drain_subs(s, s->link.pings_sent + 1);
    put_barrier(s, now);
}

/* Requests are answered and queues are taken empty. */
static bool calls_are_done(const nbj__session *s)
{
    return nbj__list_is_empty(&s->requests) && s->queued_msgs == 0;
}

bool nbj__session_advance_drain(nbj__session *s, nbj_time now)
{
    bool barrier_reached = s->link.pongs_got >= s->drain_barrier;

    switch (s->drain) {
    case NBJ__DRAIN_NONE:
        return false;
    case NBJ__DRAIN_SUBS:
        if (!barrier_reached)
            return false;
        set_step(s, NBJ__DRAIN_CALLS);
        return true;
    case NBJ__DRAIN_CALLS:
        if (!calls_are_done(s))
            return false;
        set_step(s, NBJ__DRAIN_FLUSH);
        put_barrier(s, now);
        return true;
    case NBJ__DRAIN_FLUSH:
        if (!barrier_reached)
            return false;
        nbj__session_close(s, NBJ_OK, NULL);
        return true;
    }
    return false;
}

void nbj__session_on_lame_duck(nbj__session *s, nbj_time now)
{
    if (s->leave_due != NBJ_TIME_NEVER || s->leave_barrier > 0 || !nbj__session_is_ready(s))
        return;
    nbj__session_note(s, NBJ__EV_LAME_DUCK);
    s->leave_due = nbj__time_add(now, LEAVE_NS);
    if (!nbj__pool_has_other(&s->pool, s->server, now) || s->drain != NBJ__DRAIN_NONE)
        return;
    if (nbj__link_ping(&s->link, &s->leave_barrier) == NBJ_OK)
        s->leave_quota = nbj__outbox_len(&s->out);
}

/* The server has read all that was sent, and every request has its reply. */
static bool may_leave(const nbj__session *s)
{
    return s->link.pongs_got >= s->leave_barrier && nbj__list_is_empty(&s->requests);
}

static bool leave_lame_duck(nbj__session *s, nbj_time now)
{
    if (s->leave_barrier == 0 || (now < s->leave_due && !may_leave(s)))
        return false;
    nbj__session_lose(s, NBJ_E_LAME_DUCK, NULL, now);
    return true;
}

bool nbj__session_leave_if_done(nbj__session *s, nbj_time now)
{
    return nbj__session_advance_drain(s, now) || leave_lame_duck(s, now);
}

nbj_time nbj__session_leave_deadline(const nbj__session *s)
{
    nbj_time leave = s->leave_barrier > 0 ? s->leave_due : NBJ_TIME_NEVER;

    if (!nbj__session_is_ready(s))
        return nbj__time_min(leave, s->drain_due);
    if ((s->drain == NBJ__DRAIN_CALLS && calls_are_done(s)) || (s->leave_barrier > 0 && may_leave(s)))
        return 0; /* the last thing waited for was taken or given up: no octet will come to say so */
    return nbj__time_min(leave, s->drain_due);
}
