/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions of a session: what is written for them, and how they end. While there is no connection only the table
 * changes; the next connection begins with what it holds then. */
#include "conn/session_int.h"

#include "base/canary.h"
#include "base/text.h"
#include "wire/subject.h"

#include <assert.h>

#define QUEUE_MSGS 65536u
#define QUEUE_BYTES (64u << 20)

nbj_status nbj__session_subscribe(nbj__session *s, nbj__sub *sub, const nbj__subscription *what)
{
    if (s->phase == NBJ__PHASE_CLOSED)
        return NBJ_E_CLOSED;
    if (s->drain != NBJ__DRAIN_NONE)
        return NBJ_E_DRAINING;
    if (!nbj__subject_is_filter(what->subject) ||
        (what->queue_group.len > 0 && !nbj__queue_is_legal(what->queue_group)))
        return NBJ_E_BAD_SUBJECT;
    if (!nbj__session_takes_sub(s, what->subject, what->queue_group))
        return NBJ_E_FULL;
    nbj_status st = nbj__subs_add(&s->subs, sub, what->subject, what->queue_group);
    if (st != NBJ_OK)
        return st;
    sub->kind = what->kind;
    sub->queued = what->queued;
    sub->max = what->max;
    sub->limit_msgs = what->limit_msgs > 0 ? what->limit_msgs : QUEUE_MSGS;
    sub->limit_bytes = what->limit_bytes > 0 ? what->limit_bytes : QUEUE_BYTES;
    if (nbj__session_is_ready(s))
        st = nbj__emit_sub(&s->out.back, what->subject, what->queue_group, sub->sid);
    if (st == NBJ_OK && nbj__session_is_ready(s) && sub->max > 0)
        st = nbj__emit_unsub(&s->out.back, sub->sid, sub->max);
    if (st != NBJ_OK) {
        nbj__subs_remove(&s->subs, sub);
        nbj__sub_clear(&s->subs, sub);
    }
    return st;
}

void nbj__session_end_sub(nbj__session *s, nbj__sub *sub, nbj_status why)
{
    s->draining_subs -= sub->state == NBJ__SUB_DRAINING;
    sub->why = why;
    nbj__subs_remove(&s->subs, sub);
    if (sub->kind == NBJ__SUB_OF_APP || sub->kind == NBJ__SUB_OF_JS)
        nbj__list_push(&s->ended_subs, &sub->node);
    else
        nbj__sub_clear(&s->subs, sub);
}

nbj_status nbj__session_unsubscribe(nbj__session *s, nbj__sub *sub, uint64_t max)
{
    nbj_status st = NBJ_OK;

    if (sub->state != NBJ__SUB_LIVE)
        return NBJ_E_STATE;
    if (max > sub->delivered) { /* the server counts from this connection's SUB on */
        if (nbj__session_is_ready(s))
            st = nbj__emit_unsub(&s->out.back, sub->sid, max - sub->delivered_before);
        if (st == NBJ_OK)
            sub->max = max;
        return st;
    }
    if (nbj__session_is_ready(s))
        st = nbj__emit_unsub(&s->out.back, sub->sid, 0);
    if (st == NBJ_OK)
        nbj__session_end_sub(s, sub, NBJ_OK);
    return st;
}

nbj_status nbj__session_sub_drain(nbj__session *s, nbj__sub *sub)
{
    if (sub->state != NBJ__SUB_LIVE)
        return NBJ_E_STATE;
    if (!nbj__session_is_ready(s) || NBJ__CANARY(DRAIN_EARLY)) {
        if (nbj__session_is_ready(s))
            (void)nbj__emit_unsub(&s->out.back, sub->sid, 0);
        nbj__session_end_sub(s, sub, NBJ_OK); /* nothing is on its way */
        return NBJ_OK;
    }
    nbj_status st = nbj__emit_unsub(&s->out.back, sub->sid, 0);
    if (st == NBJ_OK)
        st = nbj__link_ping(&s->link, &sub->barrier);
    if (st != NBJ_OK)
        return st;
    nbj__subs_drain(&s->subs, sub);
    s->draining_subs++;
    return NBJ_OK;
}

void nbj__session_drain_subs(nbj__session *s, uint64_t barrier)
{
    nbj__sub *next;

    for (nbj__sub *sub = nbj__subs_first(&s->subs); sub != NULL; sub = next) {
        next = nbj__subs_after(&s->subs, sub);
        if (sub->state != NBJ__SUB_LIVE || (sub->kind != NBJ__SUB_OF_APP && sub->kind != NBJ__SUB_OF_JS))
            continue;
        if (NBJ__CANARY(DRAIN_EARLY) || nbj__emit_unsub(&s->out.back, sub->sid, 0) != NBJ_OK) {
            nbj__session_end_sub(s, sub, NBJ_OK); /* no room for UNSUB: what still comes is dropped by sid */
            continue;
        }
        sub->barrier = barrier;
        nbj__subs_drain(&s->subs, sub);
        s->draining_subs++;
    }
}

/* Ends the draining subscriptions whose barrier is at most |pong|. */
static void end_draining(nbj__session *s, uint64_t pong)
{
    nbj__sub *next;

    for (nbj__sub *sub = nbj__subs_first(&s->subs); sub != NULL && s->draining_subs > 0; sub = next) {
        next = nbj__subs_after(&s->subs, sub);
        if (sub->state == NBJ__SUB_DRAINING && sub->barrier <= pong)
            nbj__session_end_sub(s, sub, NBJ_OK);
    }
}

void nbj__session_drained_subs(nbj__session *s, uint64_t pong)
{
    end_draining(s, pong);
}

void nbj__session_end_draining(nbj__session *s)
{
    end_draining(s, UINT64_MAX);
}

nbj_status nbj__session_renew_subs(nbj__session *s)
{
    nbj_status st = NBJ_OK;

    for (nbj__sub *sub = nbj__subs_first(&s->subs); sub != NULL && st == NBJ_OK; sub = nbj__subs_after(&s->subs, sub))
        st = nbj__sub_renew(sub, &s->link.tx);
    return st;
}

static nbj__call *call_of_inbox(nbj__sub *inbox)
{
    return NBJ__ITEM(inbox, nbj__call, inbox);
}

nbj__sub *nbj__session_refused_sub(nbj__session *s, const nbj__server_error *e)
{
    nbj__sub *sub = nbj__subs_find(&s->subs, e->subject, e->queue);

    if (sub == NULL)
        return NULL;
    switch (sub->kind) {
    case NBJ__SUB_OF_REQUESTS: /* no reply will ever come */
        nbj__session_end_sub(s, sub, e->status);
        nbj__session_refused_inbox(s, e->status);
        return NULL;
    case NBJ__SUB_OF_MANY:
        nbj__session_finish(s, call_of_inbox(sub), e->status);
        return NULL;
    case NBJ__SUB_OF_APP:
    case NBJ__SUB_OF_JS:
        nbj__session_end_sub(s, sub, e->status);
        return sub;
    }
    return NULL;
}

nbj_msg *nbj__session_take(nbj__session *s, nbj__sub *sub)
{
    nbj_msg *m = nbj__sub_take(sub);

    s->queued_msgs -= m != NULL;
    return m;
}

void nbj__session_handled(nbj__session *s, nbj__sub *sub, size_t msgs, size_t bytes)
{
    sub->queue_msgs -= msgs;
    sub->queue_bytes -= bytes;
    s->queued_msgs -= msgs;
}

void nbj__session_sub_clear(nbj__session *s, nbj__sub *sub)
{
    if (sub->subject == NULL)
        return;
    if (sub->state != NBJ__SUB_ENDED) {
        if (nbj__session_is_ready(s) && sub->state == NBJ__SUB_LIVE)
            (void)nbj__emit_unsub(&s->out.back, sub->sid, 0); /* without room, its messages are dropped by sid */
        nbj__session_end_sub(s, sub, NBJ_OK);
    }
    nbj__list_remove(&sub->node); /* no event */
    s->queued_msgs -= sub->queue_msgs;
    nbj__sub_clear(&s->subs, sub);
}
