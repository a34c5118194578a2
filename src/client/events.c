/* SPDX-License-Identifier: Apache-2.0 */
/* What the session's events mean to the client, and the program's callback for those that are its business. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"

/* Events that wait for the callback: a server that errs, or comes and goes, without end does not fill the memory. */
#define EVENTS_MAX 256u
#define CHANGES_MAX 4096u /* connected, lost, reconnected: more than these are only missed by a callback that hangs */

typedef struct event_note {
    nbj__node node;
    nbj_event_type type;
    bool has_error;
    nbj_error error;
    char subject[256];
} event_note;

/* --- the program's callback --- */

static void post(nbj_client *c, nbj_event_type type, const nbj_error *error, nbj_bytes subject)
{
    bool may_be_left_out = type == NBJ_EVENT_SERVER_ERROR || type == NBJ_EVENT_SLOW || type == NBJ_EVENT_DISCOVERED;
    bool has_room = c->event_count < (may_be_left_out ? EVENTS_MAX : CHANGES_MAX);
    event_note *e = has_room ? nbj__alloc0(c->alloc, sizeof *e) : NULL;

    if (e == NULL)
        return;
    nbj__text t = nbj__text_into(e->subject, sizeof e->subject);
    nbj__text_add_bytes(&t, subject);
    e->type = type;
    e->has_error = error != NULL;
    if (error != NULL)
        e->error = *error;
    nbj__list_push(&c->events, &e->node);
    c->event_count++;
    nbj__callbacks_post(&c->callbacks, &c->event_task);
}

static void tell(nbj_client *c, nbj_event_type type, const nbj_error *error, nbj_bytes subject)
{
    nbj_event e = { type, error, subject };

    if (c->on_event == NULL || c->released)
        return;
    if (nbj__client_has_threads(c))
        post(c, type, error, subject);
    else
        c->on_event(c->user_data, c, &e);
}

static void run_note(nbj_client *c, event_note *n)
{
    nbj_event e = { n->type, n->has_error ? &n->error : NULL, nbj_str(n->subject) };

    nbj__client_let_go(c);
    if (!c->released)
        c->on_event(c->user_data, c, &e);
    nbj__client_come_back(c);
    nbj__free(c->alloc, n, sizeof *n);
}

/* CLOSED needs no memory, and waits until all other callbacks have run. */
void nbj__client_run_events(nbj__task *task)
{
    nbj_client *c = NBJ__ITEM(task, nbj_client, event_task);
    nbj_event closed = { NBJ_EVENT_CLOSED, &c->closed, { NULL, 0 } };

    if (c->opening) /* they wait until it is the program's to give back */
        return;
    nbj__node *n = nbj__list_pop(&c->events);
    if (n != NULL) {
        c->event_count--;
        run_note(c, NBJ__ITEM(n, event_note, node));
    }
    if (!nbj__list_is_empty(&c->events) || (c->is_closed && nbj__callbacks_are_due(&c->callbacks))) {
        nbj__callbacks_post(&c->callbacks, task);
        return;
    }
    if (!c->is_closed || c->released || c->closed_is_told)
        return;
    c->closed_is_told = true;
    nbj__client_let_go(c);
    c->on_event(c->user_data, c, &closed);
    nbj__client_come_back(c);
}

void nbj__client_drop_events(nbj_client *c)
{
    nbj__node *n;

    while ((n = nbj__list_pop(&c->events)) != NULL)
        nbj__free(c->alloc, NBJ__ITEM(n, event_note, node), sizeof(event_note));
}

/* --- what they mean --- */

static const nbj_bytes nothing = { NULL, 0 };

void nbj__client_tell_failed_attempt(nbj_client *c, const nbj_error *error)
{
    if (nbj__session_phase(c->session) != NBJ__PHASE_CLOSED)
        tell(c, NBJ_EVENT_ATTEMPT_FAILED, error, nothing);
}

static void on_connection(nbj_client *c, bool connected, nbj_time now)
{
    if (connected)
        nbj__publisher_on_connected(&c->publisher, now);
    else
        nbj__publisher_on_disconnected(&c->publisher);
    nbj__client_pulls_on_connection(c, connected, now);
}

static void on_closed(nbj_client *c, const nbj__event *ev)
{
    nbj__publish_result r;

    while (nbj__publisher_abandon(&c->publisher, &r))
        nbj__client_on_result(c, &r);
    nbj__client_stop_pulls(c);
    nbj__client_report_pulls(c);
    c->closed = *ev->error;
    c->is_closed = true;
    if (!nbj__client_has_threads(c))
        tell(c, NBJ_EVENT_CLOSED, ev->error, nothing);
    else if (c->on_event != NULL)
        nbj__callbacks_post(&c->callbacks, &c->event_task);
}

static void on_inbox(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    nbj__publish_result r;

    if (nbj__publisher_on_reply(&c->publisher, ev->token, ev->msg, now, &r))
        nbj__client_on_result(c, &r);
}

static void on_server_error(nbj_client *c, const nbj__event *ev)
{
    nbj__publish_result r;

    if (ev->status == NBJ_E_PERMISSION_PUBLISH && nbj__publisher_on_refused(&c->publisher, ev->subject, &r))
        nbj__client_on_result(c, &r);
    if (ev->status != NBJ_E_PERMISSION_PUBLISH || !nbj__publish_asker_asked(&c->asker, ev->subject))
        tell(c, NBJ_EVENT_SERVER_ERROR, ev->error, ev->subject);
}

static void on_message(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    if (ev->sub->kind == NBJ__SUB_OF_JS)
        nbj__client_on_js_sub(c, ev, now);
    else
        nbj__client_on_sub(c, ev);
}

void nbj__client_on_event(void *user, const nbj__event *ev, nbj_time now)
{
    nbj_client *c = user;

    if (nbj__client_senders_on_event(c, ev, now))
        return;
    switch (ev->type) {
    case NBJ__EV_DIAL:
    case NBJ__EV_HANGUP:
    case NBJ__EV_START_TLS: /* the driver does it */
        break;
    case NBJ__EV_CREDENTIALS:
        if (ev->error != NULL)
            nbj__client_tell_failed_attempt(c, ev->error);
        else
            nbj__client_on_credentials(c, ev);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        on_connection(c, true, now);
        tell(c, ev->type == NBJ__EV_CONNECTED ? NBJ_EVENT_CONNECTED : NBJ_EVENT_RECONNECTED, NULL, nothing);
        nbj__client_changed(&c->watchers);
        break;
    case NBJ__EV_DISCONNECTED:
        c->lost_at = now;
        on_connection(c, false, now);
        tell(c, NBJ_EVENT_DISCONNECTED, ev->error, nothing);
        break;
    case NBJ__EV_LAME_DUCK:
        tell(c, NBJ_EVENT_LAME_DUCK, NULL, nothing);
        break;
    case NBJ__EV_DISCOVERED:
        tell(c, NBJ_EVENT_DISCOVERED, NULL, nothing);
        break;
    case NBJ__EV_SERVER_ERROR:
        on_server_error(c, ev);
        break;
    case NBJ__EV_SLOW:
        tell(c, NBJ_EVENT_SLOW, NULL, nbj__client_sub_subject(ev->sub));
        break;
    case NBJ__EV_WRITABLE:
        nbj__publisher_send(&c->publisher, now);
        if (!nbj__client_has_threads(c)) /* else who waits for room goes on by itself */
            tell(c, NBJ_EVENT_WRITABLE, NULL, nothing);
        nbj__client_changed(&c->watchers);
        break;
    case NBJ__EV_MSG:
    case NBJ__EV_SUB_ENDED:
        on_message(c, ev, now);
        break;
    case NBJ__EV_QUEUED:
        nbj__client_on_sub(c, ev);
        break;
    case NBJ__EV_INBOX:
        on_inbox(c, ev, now);
        break;
    case NBJ__EV_REPLY:
    case NBJ__EV_CALL_DONE:
        nbj__client_on_call(c, ev, now);
        break;
    case NBJ__EV_CLOSED:
        on_closed(c, ev);
        nbj__client_changed(&c->watchers);
        break;
    }
}
