/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, requests with many replies, and flushes. A call waits in one list, has at most one timer, and ends once:
 * either its last event is returned where it happens (a reply), or it moves to the list of those that are done. */
#include "conn/session_int.h"

#include "base/canary.h"
#include "base/text.h"

#include <assert.h>

/* --- beginning --- */

static void begin(nbj__call *call, nbj__call_kind kind, nbj_time deadline, nbj_time now)
{
    call->kind = kind;
    call->done = false;
    call->status = NBJ_OK;
    call->started = now;
    call->deadline = deadline;
    call->timer = (nbj__timer){ 0 };
    call->node = (nbj__node){ 0 };
    call->barrier = call->replies = call->subject = 0;
}

static nbj_status set_timer(nbj__session *s, nbj__call *call, nbj_time due)
{
    return nbj__heap_set(&s->timers, &call->timer, NBJ__CANARY(TIMER_LOST) ? NBJ_TIME_NEVER : due);
}

nbj_status nbj__session_inbox(nbj__session *s, nbj_bytes *prefix)
{
    char subject[sizeof s->inbox_prefix + 1];
    nbj__text t = nbj__text_into(subject, sizeof subject);
    nbj_status st = nbj__session_may_use(s);

    *prefix = nbj_str(s->inbox_prefix);
    if (st == NBJ_OK && s->inbox.subject == NULL) {
        nbj__text_add(&t, s->inbox_prefix);
        nbj__text_add(&t, "*");
        nbj__subscription what = { .kind = NBJ__SUB_OF_REQUESTS, .subject = nbj__text_view(&t) };
        st = nbj__session_subscribe(s, &s->inbox, &what);
    }
    return st;
}

void nbj__session_new_inbox(nbj__session *s, char *out, size_t cap)
{
    char name[NBJ__INBOX_NAME];
    nbj__text t = nbj__text_into(out, cap);

    nbj__random_name(&s->random, name, sizeof name);
    nbj__text_add_bytes(&t, s->opt.inbox_prefix);
    nbj__text_add(&t, ".");
    nbj__text_add_bytes(&t, nbj_view(name, sizeof name));
    assert(!t.cut);
}

/* |m| with |prefix| and |token| as its reply subject. */
static nbj_status publish_with_reply(nbj__session *s, const nbj__outgoing *m, nbj_bytes prefix, nbj_bytes token)
{
    char reply[sizeof s->inbox_prefix + NBJ__TOKEN_LEN];
    nbj__text t = nbj__text_into(reply, sizeof reply);
    nbj__outgoing with_reply = *m;

    nbj__text_add_bytes(&t, prefix);
    nbj__text_add_bytes(&t, token);
    with_reply.reply = nbj__text_view(&t);
    return nbj__session_publish(s, &with_reply);
}

/* FNV-1a. A collision would end another request of ours with the wrong error; nobody but ourselves chooses subjects. */
static uint64_t hash(nbj_bytes b)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.ptr[i]) * 0x100000001b3u;
    return h;
}

/* A drain waits for requests: when nobody handles messages any more, which may need them, no new ones begin. */
static nbj_status may_ask(const nbj__session *s)
{
    return s->drain == NBJ__DRAIN_CALLS && s->queued_msgs == 0 ? NBJ_E_DRAINING : nbj__session_may_use(s);
}

nbj_status nbj__session_request(nbj__session *s, nbj__call *call, const nbj__outgoing *m, nbj_time deadline,
                                nbj_time now)
{
    nbj_bytes prefix;
    char token[NBJ__TOKEN_LEN];
    nbj_status st = may_ask(s);

    if (st == NBJ_OK)
        st = nbj__session_inbox(s, &prefix);

    begin(call, NBJ__CALL_REQUEST, deadline, now);
    if (st != NBJ_OK || (st = nbj__slots_add(&s->slots, call)) != NBJ_OK)
        return st;
    st = set_timer(s, call, deadline);
    if (st == NBJ_OK) {
        nbj__slots_token(&s->slots, call, token);
        st = publish_with_reply(s, m, prefix, nbj_view(token, sizeof token));
    }
    if (st != NBJ_OK) {
        nbj__heap_remove(&s->timers, &call->timer);
        nbj__slots_remove(&s->slots, call);
        return st;
    }
    call->subject = hash(m->subject);
    nbj__list_push(&s->requests, &call->node);
    return NBJ_OK;
}

nbj_status nbj__session_request_many(nbj__session *s, nbj__call *call, const nbj__outgoing *m,
                                     const nbj__many_options *many, nbj_time deadline, nbj_time now)
{
    char inbox[NBJ__INBOX_MAX + NBJ__INBOX_NAME + 2];
    nbj_status st = may_ask(s);

    begin(call, NBJ__CALL_MANY, deadline, now);
    call->many = *many;
    call->inbox = (nbj__sub){ 0 };
    if (st != NBJ_OK)
        return st;
    nbj__session_new_inbox(s, inbox, sizeof inbox);
    nbj__subscription what = { .kind = NBJ__SUB_OF_MANY, .subject = nbj_str(inbox) };
    st = nbj__session_subscribe(s, &call->inbox, &what);
    if (st != NBJ_OK)
        return st;
    st = set_timer(s, call, deadline);
    if (st == NBJ_OK)
        st = publish_with_reply(s, m, nbj_str(inbox), nbj_view(NULL, 0));
    if (st != NBJ_OK) {
        nbj__heap_remove(&s->timers, &call->timer);
        nbj__session_sub_clear(s, &call->inbox);
        return st;
    }
    call->subject = hash(m->subject);
    nbj__list_push(&s->requests, &call->node);
    return NBJ_OK;
}

nbj_status nbj__session_flush(nbj__session *s, nbj__call *call, nbj_time deadline, nbj_time now)
{
    nbj_status st = NBJ_OK;

    begin(call, NBJ__CALL_FLUSH, deadline, now);
    if (s->phase == NBJ__PHASE_CLOSED)
        return NBJ_E_CLOSED;
    if (!nbj__outbox_has_control_room(&s->out))
        return NBJ_E_FULL;
    if (nbj__session_is_ready(s) &&
        s->leave_barrier == 0) /* while leaving, what is sent waits for the next connection */
        st = nbj__link_ping(&s->link, &call->barrier);
    if (st == NBJ_OK)
        st = set_timer(s, call, deadline);
    if (st == NBJ_OK)
        nbj__list_push(&s->flushes, &call->node);
    return st;
}

/* --- ending --- */

void nbj__session_release_call(nbj__session *s, nbj__call *call)
{
    nbj__list_remove(&call->node);
    nbj__heap_remove(&s->timers, &call->timer);
    if (call->kind == NBJ__CALL_REQUEST)
        nbj__slots_remove(&s->slots, call);
    else if (call->kind == NBJ__CALL_MANY)
        nbj__session_sub_clear(s, &call->inbox);
    call->done = true;
}

void nbj__session_finish(nbj__session *s, nbj__call *call, nbj_status status)
{
    nbj__session_release_call(s, call);
    call->status = status;
    nbj__list_push(&s->done_calls, &call->node);
}

void nbj__session_cancel(nbj__session *s, nbj__call *call)
{
    if (!call->done)
        nbj__session_finish(s, call, NBJ_E_CANCELLED);
}

void nbj__session_forget(nbj__session *s, nbj__call *call)
{
    if (call->done)
        nbj__list_remove(&call->node);
    else
        nbj__session_release_call(s, call);
}

void nbj__session_finish_requests(nbj__session *s, nbj_status status)
{
    for (nbj__node *n; (n = nbj__list_first(&s->requests)) != NULL;)
        nbj__session_finish(s, NBJ__ITEM(n, nbj__call, node), status);
}

void nbj__session_refused_inbox(nbj__session *s, nbj_status status)
{
    nbj__node *next;

    for (nbj__node *n = nbj__list_first(&s->requests); n != NULL; n = next) {
        nbj__call *call = NBJ__ITEM(n, nbj__call, node);
        next = nbj__list_after(&s->requests, n);
        if (call->kind == NBJ__CALL_REQUEST)
            nbj__session_finish(s, call, status);
    }
}

void nbj__session_refused_publish(nbj__session *s, nbj_bytes subject)
{
    uint64_t wanted = hash(subject);

    for (nbj__node *n = nbj__list_first(&s->requests); n != NULL; n = nbj__list_after(&s->requests, n)) {
        nbj__call *call = NBJ__ITEM(n, nbj__call, node);
        if (call->subject == wanted) { /* the oldest: the server refuses in order */
            nbj__session_finish(s, call, NBJ_E_PERMISSION_PUBLISH);
            return;
        }
    }
}

/* How a request with many replies ends when nothing else is wrong. */
static nbj_status many_outcome(const nbj__call *call)
{
    return call->replies > 0 ? NBJ_OK : NBJ_E_TIMEOUT;
}

void nbj__session_calls_on_time(nbj__session *s, nbj_time now)
{
    nbj__timer *t;

    while ((t = nbj__heap_pop_due(&s->timers, now)) != NULL) {
        nbj__call *call = NBJ__ITEM(t, nbj__call, timer);
        nbj__session_finish(s, call, call->kind == NBJ__CALL_MANY ? many_outcome(call) : NBJ_E_TIMEOUT);
    }
}

/* --- flushes --- */

void nbj__session_flushed(nbj__session *s, uint64_t pong)
{
    for (nbj__node *n; (n = nbj__list_first(&s->flushes)) != NULL;) {
        nbj__call *call = NBJ__ITEM(n, nbj__call, node);
        if (call->barrier == 0 || call->barrier > pong)
            return;
        nbj__session_finish(s, call, NBJ_OK);
    }
}

void nbj__session_flushes_lost(nbj__session *s)
{
    if (NBJ__CANARY(FLUSH_SURVIVES))
        return;
    for (nbj__node *n; (n = nbj__list_first(&s->flushes)) != NULL;) {
        nbj__call *call = NBJ__ITEM(n, nbj__call, node);
        if (call->barrier == 0)
            return;
        nbj__session_finish(s, call, NBJ_E_DISCONNECTED);
    }
}

nbj_status nbj__session_flushes_begin(nbj__session *s)
{
    nbj_status st = NBJ_OK;

    for (nbj__node *n = nbj__list_first(&s->flushes); n != NULL && st == NBJ_OK; n = nbj__list_after(&s->flushes, n))
        st = nbj__link_ping(&s->link, &NBJ__ITEM(n, nbj__call, node)->barrier);
    return st;
}

/* --- replies --- */

static nbj_bytes last_token(nbj_bytes subject)
{
    size_t at = subject.len;

    while (at > 0 && subject.ptr[at - 1] != '.')
        at--;
    return nbj_view(subject.ptr + at, subject.len - at);
}

/* The request that a reply answers. A reply whose subject was rewritten on its way (an account's import) is that of the
 * only request there is. */
static nbj__call *find_request(nbj__session *s, nbj_bytes subject, nbj_bytes token)
{
    size_t prefix = strlen(s->inbox_prefix);
    bool ours = subject.len >= prefix && memcmp(subject.ptr, s->inbox_prefix, prefix) == 0;

    if (ours)
        return nbj__slots_find(&s->slots, token);
    nbj__node *only = s->slots.used == 1 ? nbj__list_first(&s->requests) : NULL;
    for (; only != NULL; only = nbj__list_after(&s->requests, only)) {
        nbj__call *call = NBJ__ITEM(only, nbj__call, node);
        if (call->kind == NBJ__CALL_REQUEST)
            return call;
    }
    return NULL;
}

static bool is_refusal(const nbj_msg *m)
{
    return nbj__msg_is_no_responders(m) && !NBJ__CANARY(NO_RESPONDERS_MISSED);
}

bool nbj__session_on_reply(nbj__session *s, nbj__event *ev)
{
    nbj_bytes token = last_token(ev->msg->subject);

    if (token.len == NBJ__TOKEN_LEN && token.ptr[0] != 'R') { /* of another layer */
        ev->type = NBJ__EV_INBOX;
        ev->token = token;
        return true;
    }
    nbj__call *call = find_request(s, ev->msg->subject, token);
    if (call == NULL) {
        s->stats.unwanted++;
        return false;
    }
    if (is_refusal(ev->msg)) {
        nbj__session_finish(s, call, NBJ_E_NO_RESPONDERS);
        return false;
    }
    nbj__session_release_call(s, call);
    call->status = NBJ_OK;
    ev->type = NBJ__EV_CALL_DONE;
    ev->call = call;
    return true;
}

/* True: this reply is handed out. It may be the last. */
bool nbj__session_on_many(nbj__session *s, nbj__sub *inbox, nbj_time now, nbj__event *ev)
{
    nbj__call *call = NBJ__ITEM(inbox, nbj__call, inbox);

    if (call->replies == 0 && is_refusal(ev->msg)) {
        nbj__session_finish(s, call, NBJ_E_NO_RESPONDERS);
        return false;
    }
    if (call->many.sentinel && ev->msg->payload.len == 0) {
        nbj__session_finish(s, call, NBJ_OK);
        return false;
    }
    call->replies++;
    ev->type = NBJ__EV_REPLY;
    ev->call = call;
    bool is_last = (call->many.max > 0 && call->replies >= call->many.max) ||
                   (call->many.until_status && ev->msg->payload.len == 0 && nbj_msg_status(ev->msg) != 0);
    if (is_last)
        nbj__session_finish(s, call, NBJ_OK); /* its event comes after this reply's */
    else if (call->many.stall_ns > 0)
        (void)set_timer(s, call, nbj__time_min(call->deadline, nbj__time_add(now, call->many.stall_ns)));
    return true;
}
