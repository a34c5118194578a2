/* SPDX-License-Identifier: Apache-2.0 */
/* What a link's events mean to the session, and the order in which its own events are handed out: HANGUP, then calls
 * and subscriptions that ended, then notes, then DIAL, and CLOSED when all else is said. */
#include "conn/session_int.h"

#include "base/canary.h"
#include "base/text.h"

#include <assert.h>

/* What a frame brought. */
typedef enum step {
    STEP_NOTHING = 1, /* nothing that the session's own events could come from: the next frame may follow at once */
    STEP_LOOK,        /* nothing to show by itself */
    STEP_SHOW,        /* the event is filled */
} step;

static bool is_noted(const nbj__session *s, nbj__event_type type)
{
    for (size_t i = 0; i < s->note_count; i++) {
        if (s->notes[(s->note_first + i) % NBJ__NOTES_MAX] == type)
            return true;
    }
    return false;
}

void nbj__session_note(nbj__session *s, nbj__event_type type)
{
    if (type == NBJ__EV_WRITABLE && is_noted(s, type)) /* threads fill and write the buffer while the driver sleeps */
        return;
    assert(s->note_count < NBJ__NOTES_MAX); /* the driver takes events after everything it puts in */
    if (s->note_count == NBJ__NOTES_MAX)
        return;
    s->notes[(s->note_first + s->note_count++) % NBJ__NOTES_MAX] = type;
}

static void show_error(nbj__event *ev, const nbj_error *error)
{
    ev->status = error->status;
    ev->error = error;
}

static void fill_note(nbj__session *s, nbj__event *ev)
{
    ev->type = s->notes[s->note_first];
    s->note_first = (s->note_first + 1) % NBJ__NOTES_MAX;
    s->note_count--;
    if (ev->type == NBJ__EV_DISCONNECTED)
        show_error(ev, &s->lost);
    else if (ev->type == NBJ__EV_SERVER_ERROR)
        show_error(ev, &s->server_error);
}

static void fill_call_done(nbj__session *s, nbj__call *call, nbj__event *ev)
{
    ev->type = NBJ__EV_CALL_DONE;
    ev->call = call;
    ev->status = call->status;
    if (call->status == NBJ_OK)
        return;
    nbj__error_set(&s->call_error, call->status, nbj_strerror(call->status), (char *)NULL);
    ev->error = &s->call_error;
}

static void fill_dial(nbj__session *s, nbj_time now, nbj__event *ev)
{
    s->dial_is_due = false;
    s->dial_at = nbj__time_add(now, s->opt.connect_timeout_ns);
    s->driver_is_busy = true;
    ev->type = NBJ__EV_DIAL;
    ev->host = s->server->host;
    ev->port = s->server->port;
    ev->tls_name = nbj__server_tls_name(s->server);
    ev->tls_first = s->opt.tls_first;
    ev->due = s->dial_at;
}

static step ask_for_tls(nbj__session *s, nbj__event *ev)
{
    ev->type = NBJ__EV_START_TLS;
    ev->host = nbj__server_tls_name(s->server);
    ev->port = s->server->port;
    return STEP_SHOW;
}

static step ask_for_credentials(nbj__session *s, nbj__event *ev)
{
    ev->type = NBJ__EV_CREDENTIALS;
    ev->host = s->server->host;
    ev->port = s->server->port;
    ev->nonce = nbj_str(s->link.info.nonce);
    return STEP_SHOW;
}

bool nbj__session_has_events(const nbj__session *s)
{
    return s->hangup_is_due || s->dial_is_due || s->closed_is_due || s->note_count > 0 ||
           !nbj__list_is_empty(&s->done_calls) || !nbj__list_is_empty(&s->ended_subs);
}

/* An event of our own, if one waits. */
static bool take_own(nbj__session *s, nbj_time now, nbj__event *ev)
{
    nbj__node *n;

    if (s->hangup_is_due) {
        s->hangup_is_due = false;
        ev->type = NBJ__EV_HANGUP;
    } else if ((n = nbj__list_pop(&s->done_calls)) != NULL) {
        fill_call_done(s, NBJ__ITEM(n, nbj__call, node), ev);
    } else if ((n = nbj__list_pop(&s->ended_subs)) != NULL) {
        ev->type = NBJ__EV_SUB_ENDED;
        ev->sub = NBJ__ITEM(n, nbj__sub, node);
        ev->status = ev->sub->why;
    } else if (s->note_count > 0) {
        fill_note(s, ev);
    } else if (s->dial_is_due) {
        fill_dial(s, now, ev);
    } else if (s->closed_is_due) {
        s->closed_is_due = NBJ__CANARY(CLOSED_TWICE) && s->closed.code++ == 0;
        ev->type = NBJ__EV_CLOSED;
        show_error(ev, &s->closed);
    } else {
        return false;
    }
    return true;
}

static void on_info(nbj__session *s, nbj_time now)
{
    bool added = false;

    if (!s->opt.ignore_discovered && nbj__pool_discover(&s->pool, &s->link.info, s->server, &added) == NBJ_OK && added)
        nbj__session_note(s, NBJ__EV_DISCOVERED);
    if (s->link.info.lame_duck)
        nbj__session_on_lame_duck(s, now);
}

static void drop_too_large(nbj__session *s)
{
    int64_t max = s->link.info.max_payload;
    size_t dropped = max > 0 && nbj__outbox_len(&s->out) > 0 ? nbj__outbox_drop_larger(&s->out, (size_t)max) : 0;

    if (dropped == 0)
        return;
    nbj__error_set(&s->server_error, NBJ_E_TOO_LARGE,
                   "publishes made while disconnected are larger than this server's maximum payload and were dropped",
                   (char *)NULL);
    nbj__session_note(s, NBJ__EV_SERVER_ERROR);
}

static void on_ready(nbj__session *s, nbj_time now)
{
    nbj__observe(s->opt.observer, &nbj__session_machine, NBJ__PHASE_SHAKING, NBJ__PHASE_READY);
    s->phase = NBJ__PHASE_READY;
    s->ready_since = now;
    nbj__session_note(s, s->was_ready_once ? NBJ__EV_RECONNECTED : NBJ__EV_CONNECTED);
    s->stats.reconnects += s->was_ready_once;
    s->was_ready_once = true;
    drop_too_large(s);
    nbj_status st = nbj__session_renew_subs(s);
    if (st == NBJ_OK)
        st = nbj__session_flushes_begin(s);
    if (st != NBJ_OK)
        nbj__session_lose(s, st, NULL, now);
}

static step on_server_error(nbj__session *s, const nbj__link_event *le, nbj__event *ev)
{
    const nbj__server_error *e = &le->server_error;
    nbj__text t = nbj__text_into(s->server_error.text, sizeof s->server_error.text);

    s->server_error.status = e->status;
    s->server_error.code = s->server_error.err_code = 0;
    nbj__text_add_clean(&t, le->frame.text);
    ev->type = NBJ__EV_SERVER_ERROR;
    show_error(ev, &s->server_error);
    ev->subject = e->subject;
    if (e->status == NBJ_E_PERMISSION_SUBSCRIBE)
        ev->sub = nbj__session_refused_sub(s, e);
    else if (e->status == NBJ_E_PERMISSION_PUBLISH)
        nbj__session_refused_publish(s, e->subject);
    return STEP_SHOW;
}

/* The message of |f| as the scratch object. */
static nbj_msg *as_msg(nbj__session *s, const nbj__frame *f)
{
    nbj_msg *m = &s->scratch;

    m->subject = f->subject;
    m->reply = f->reply;
    m->headers = f->headers;
    m->payload = f->payload;
    m->chunk = s->link.rx;
    s->stats.in_msgs++;
    s->stats.in_bytes += f->headers.len + f->payload.len;
    return m;
}

static step show_sub(nbj__event *ev, nbj__event_type type, nbj__sub *sub)
{
    ev->type = type;
    ev->sub = sub;
    return STEP_SHOW;
}

static step queue_msg(nbj__session *s, nbj__sub *sub, nbj__event *ev)
{
    switch (nbj__sub_enqueue(sub, &s->scratch)) {
    case NBJ__QUEUED_FIRST:
        s->queued_msgs++;
        return show_sub(ev, NBJ__EV_QUEUED, sub);
    case NBJ__QUEUED:
        s->queued_msgs++;
        return STEP_NOTHING;
    case NBJ__DROPPED_FIRST:
        s->stats.dropped++;
        return show_sub(ev, NBJ__EV_SLOW, sub);
    case NBJ__DROPPED:
        s->stats.dropped++;
        return STEP_NOTHING;
    }
    return STEP_LOOK;
}

static step on_sub_msg(nbj__session *s, nbj__sub *sub, nbj_msg *m, nbj__event *ev)
{
    bool ends = ++sub->delivered >= sub->max && sub->max > 0;

    if (ends)
        nbj__session_end_sub(s, sub, NBJ_OK); /* its event comes after this message's */
    if (sub->queued) {
        step next = queue_msg(s, sub, ev);
        return ends && next == STEP_NOTHING ? STEP_LOOK : next;
    }
    ev->msg = m;
    return show_sub(ev, NBJ__EV_MSG, sub);
}

/* By sid alone: a JetStream delivery carries the stream's subject, not the inbox's. */
static step on_msg(nbj__session *s, const nbj__frame *f, nbj_time now, nbj__event *ev)
{
    nbj__sub *sub = nbj__subs_get(&s->subs, f->sid);

    if (sub == NULL) {
        s->stats.unwanted++; /* it was on its way when the subscription ended */
        return STEP_NOTHING;
    }
    nbj_msg *m = as_msg(s, f);
    switch (sub->kind) {
    case NBJ__SUB_OF_APP:
    case NBJ__SUB_OF_JS:
        return on_sub_msg(s, sub, m, ev);
    case NBJ__SUB_OF_REQUESTS:
        ev->msg = m;
        return nbj__session_on_reply(s, ev) ? STEP_SHOW : STEP_LOOK;
    case NBJ__SUB_OF_MANY:
        ev->msg = m;
        return nbj__session_on_many(s, sub, now, ev) ? STEP_SHOW : STEP_LOOK;
    }
    return STEP_LOOK;
}

static void on_pong(nbj__session *s)
{
    nbj__session_flushed(s, s->link.pongs_got);
    if (s->draining_subs > 0)
        nbj__session_drained_subs(s, s->link.pongs_got);
}

static step on_link_event(nbj__session *s, nbj_time now, const nbj__link_event *le, nbj__event *ev)
{
    switch (le->type) {
    case NBJ__LINK_EV_MSG:
        return on_msg(s, &le->frame, now, ev);
    case NBJ__LINK_EV_INFO:
        on_info(s, now);
        return STEP_LOOK;
    case NBJ__LINK_EV_START_TLS:
        return ask_for_tls(s, ev);
    case NBJ__LINK_EV_CREDENTIALS:
        return ask_for_credentials(s, ev);
    case NBJ__LINK_EV_READY:
        on_ready(s, now);
        return STEP_LOOK;
    case NBJ__LINK_EV_PONG:
        on_pong(s);
        return STEP_LOOK;
    case NBJ__LINK_EV_ERR:
        return on_server_error(s, le, ev);
    }
    return STEP_LOOK;
}

/* Everything that came is worked off. */
static bool settle(nbj__session *s, nbj_time now)
{
    if (s->blocked_since == NBJ_TIME_NEVER && nbj__session_has_tx(s))
        s->blocked_since = now;
    return nbj__session_is_ready(s) && nbj__session_leave_if_done(s, now);
}

/* The next frames, up to one that brings something. */
static nbj_status take_frames(nbj__session *s, nbj_time now, nbj__event *ev, step *then)
{
    nbj__link_event le; /* filled by link_next as far as its type says */

    do {
        nbj_status st = nbj__link_next(&s->link, now, &le);
        if (st != NBJ_OK)
            return st;
        *then = on_link_event(s, now, &le, ev);
    } while (*then == STEP_NOTHING);
    return NBJ_OK;
}

nbj_status nbj__session_next(nbj__session *s, nbj_time now, nbj__event *ev)
{
    nbj__chunk_release(s->last_rx);
    s->last_rx = NULL;
    for (;;) {
        nbj__session_tidy_out(s);
        *ev = (nbj__event){ 0 };
        if (take_own(s, now, ev))
            return NBJ_OK;
        if (s->phase != NBJ__PHASE_SHAKING && s->phase != NBJ__PHASE_READY)
            return NBJ_MORE;
        if (s->drain != NBJ__DRAIN_NONE && nbj__session_is_ready(s) && nbj__session_advance_drain(s, now))
            continue; /* at the PONG itself, however many octets came with it */
        step then = STEP_LOOK;
        nbj_status st = take_frames(s, now, ev, &then);
        if (st == NBJ_OK && then == STEP_SHOW)
            return NBJ_OK;
        if (st == NBJ_OK)
            continue;
        if (st == NBJ_MORE) {
            if (!settle(s, now))
                return NBJ_MORE;
        } else {
            nbj__session_lose(s, st, s->link.error.text, now);
        }
    }
}
