/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "client/options.h"
#include "driver/os.h"

#include <assert.h>
#include <poll.h>

static_assert(offsetof(nbj_client_options, reserved_bools) + sizeof((nbj_client_options *)0)->reserved_bools ==
                  sizeof(nbj_client_options),
              "no padding at the end: a field added there must be seen in struct_size");

/* --- opening --- */

static nbj__session_options session_options(const nbj_client_options *o)
{
    return (nbj__session_options){
        .alloc = o->alloc,
        .urls = nbj_str(o->url),
        .name = nbj_str(o->name),
        .user = nbj_str(o->user),
        .password = nbj_str(o->password),
        .token = nbj_str(o->token),
        .inbox_prefix = nbj_str(o->inbox_prefix),
        .connect_timeout_ns = o->connect_timeout_ns,
        .ping_interval_ns = o->ping_interval_ns,
        .max_pings_out = o->max_pings_out,
        .write_timeout_ns = o->write_timeout_ns,
        .reconnect_first_ns = o->reconnect_first_ns,
        .reconnect_max_ns = o->reconnect_max_ns,
        .max_reconnects = o->max_reconnects,
        .max_outgoing_bytes = (size_t)o->max_outgoing_bytes,
        .no_randomize = o->no_randomize,
        .no_reconnect = o->no_reconnect,
        .retry_first_connect = o->retry_first_connect,
        .ignore_discovered = o->ignore_discovered,
        .auth_errors_are_fatal = o->auth_errors_are_fatal,
        .fail_requests_on_loss = o->fail_requests_on_loss,
        .wait_when_full = o->wait_when_full,
        .verbose = o->verbose,
        .pedantic = o->pedantic,
        .no_echo = o->no_echo,
    };
}

static void on_event(void *user, const nbj__event *ev, nbj_time now);

static void free_client(nbj_client *c)
{
    nbj__node *n;

    while ((n = nbj__list_first(&c->calls)) != NULL)
        nbj__client_call_free(c, NBJ__ITEM(n, nbj__client_call, node));
    nbj__publisher_free(&c->publisher);
    nbj__driver_free(c->driver);
    nbj__free(c->alloc, c, sizeof *c);
}

nbj_status nbj_loop_open(nbj_client **out, const nbj_client_options *options, nbj_error *error)
{
    nbj_client_options o;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return nbj__error_set(error, NBJ_E_INVALID,
                              "client options: struct_size is wrong, or a field is set that this ",
                              "version of the library does not know", (char *)NULL);
    const nbj_allocator *alloc = nbj__allocator_or_default(o.alloc);
    nbj_client *c = nbj__alloc0(alloc, sizeof *c);
    if (c == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    *c = (nbj_client){ .alloc = alloc, .on_event = o.on_event, .user_data = o.user_data, .refs = 1 };
    nbj__list_init(&c->pulls);
    nbj__list_init(&c->calls);
    nbj__driver_config cfg = { .session = session_options(&o), .on_event = on_event, .user = c };
    cfg.session.msg_client = c;
    nbj_status st = nbj__driver_new(&c->driver, &cfg, error);
    if (st == NBJ_OK) {
        nbj__publish_options po = { .max_messages = o.publish_max_messages, .max_bytes = (size_t)o.publish_max_bytes };
        c->session = nbj__driver_session(c->driver);
        st = nbj__publisher_init(&c->publisher, c->session, &po, NULL);
        if (st != NBJ_OK)
            nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    }
    if (st != NBJ_OK) {
        free_client(c);
        return st;
    }
    *out = c;
    return NBJ_OK;
}

/* --- references --- */

void nbj__client_retain(nbj_client *c)
{
    c->refs++;
}

void nbj__client_unref(nbj_client *c)
{
    assert(c->refs > 0);
    if (--c->refs == 0)
        free_client(c);
}

void nbj_client_release(nbj_client *client)
{
    if (client == NULL)
        return;
    client->released = true;
    nbj__session_close(client->session, NBJ_OK, NULL);
    if (!client->processing)
        (void)nbj__driver_process(client->driver); /* hangs up; nobody is told */
    nbj__client_unref(client);
}

/* --- calls --- */

nbj__client_call *nbj__client_call_new(nbj_client *c, nbj__client_call_fn *on_call_event, void *user)
{
    nbj__client_call *call = nbj__alloc0(c->alloc, sizeof *call);

    if (call == NULL)
        return NULL;
    call->core.owner = NBJ__CALL_OF_APP;
    call->on_event = on_call_event;
    call->user = user;
    nbj__list_push(&c->calls, &call->node);
    return call;
}

void nbj__client_call_free(nbj_client *c, nbj__client_call *call)
{
    nbj__list_remove(&call->node);
    nbj__free(c->alloc, call, sizeof *call);
}

static void on_call(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    if (ev->call->owner == NBJ__CALL_OF_JS) {
        nbj__client_on_js_call(c, ev, now);
        return;
    }
    nbj__client_call *call = NBJ__ITEM(ev->call, nbj__client_call, core);
    if (!c->released)
        call->on_event(call, ev, now);
    if (ev->type == NBJ__EV_CALL_DONE)
        nbj__client_call_free(c, call);
}

/* --- events --- */

static void tell(nbj_client *c, nbj_event_type type, const nbj_error *error)
{
    nbj_event e = { type, error };

    if (c->on_event != NULL && !c->released)
        c->on_event(c->user_data, c, &e);
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
    tell(c, NBJ_EVENT_CLOSED, ev->error);
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
}

static void on_event(void *user, const nbj__event *ev, nbj_time now)
{
    nbj_client *c = user;

    switch (ev->type) {
    case NBJ__EV_DIAL:
    case NBJ__EV_HANGUP:
    case NBJ__EV_SIGN: /* never asked for: wants_signature is not set */
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        on_connection(c, true, now);
        tell(c, ev->type == NBJ__EV_CONNECTED ? NBJ_EVENT_CONNECTED : NBJ_EVENT_RECONNECTED, NULL);
        break;
    case NBJ__EV_DISCONNECTED:
        on_connection(c, false, now);
        tell(c, NBJ_EVENT_DISCONNECTED, ev->error);
        break;
    case NBJ__EV_LAME_DUCK:
        tell(c, NBJ_EVENT_LAME_DUCK, NULL);
        break;
    case NBJ__EV_DISCOVERED:
        tell(c, NBJ_EVENT_DISCOVERED, NULL);
        break;
    case NBJ__EV_SERVER_ERROR:
        on_server_error(c, ev);
        tell(c, NBJ_EVENT_SERVER_ERROR, ev->error);
        break;
    case NBJ__EV_SLOW:
        tell(c, NBJ_EVENT_SLOW, NULL);
        break;
    case NBJ__EV_WRITABLE:
        nbj__publisher_send(&c->publisher, now);
        tell(c, NBJ_EVENT_WRITABLE, NULL);
        break;
    case NBJ__EV_MSG:
    case NBJ__EV_SUB_ENDED:
        if (ev->sub->kind == NBJ__SUB_OF_JS)
            nbj__client_on_js_sub(c, ev, now);
        else
            nbj__client_on_sub(c, ev);
        break;
    case NBJ__EV_QUEUED: /* nbj_sub_next asks by itself */
        break;
    case NBJ__EV_INBOX:
        on_inbox(c, ev, now);
        break;
    case NBJ__EV_REPLY:
    case NBJ__EV_CALL_DONE:
        on_call(c, ev, now);
        break;
    case NBJ__EV_CLOSED:
        on_closed(c, ev);
        break;
    }
}

/* --- the loop --- */

int nbj_loop_fd(const nbj_client *client)
{
    return nbj__driver_fd(client->driver);
}

static nbj_time js_deadline(const nbj_client *c)
{
    nbj_time due = nbj__time_min(nbj__publisher_deadline(&c->publisher), nbj__client_pulls_deadline(c));

    if (!c->draining || c->session_drains)
        return due;
    return nbj__publisher_is_idle(&c->publisher) ? 0 : nbj__time_min(due, c->drain_due);
}

uint64_t nbj_loop_timeout_ns(const nbj_client *client)
{
    nbj_time due = nbj__driver_deadline(client->driver);

    if (nbj__session_phase(client->session) != NBJ__PHASE_CLOSED)
        due = nbj__time_min(due, js_deadline(client));
    if (due == NBJ_TIME_NEVER || due == 0)
        return due;
    nbj_time now = nbj__os_now();
    return due > now ? due - now : 0;
}

static void continue_drain(nbj_client *c, nbj_time now)
{
    if (!c->draining || c->session_drains || (!nbj__publisher_is_idle(&c->publisher) && now < c->drain_due))
        return;
    c->session_drains = true;
    if (now >= c->drain_due)
        nbj__session_close(c->session, NBJ_E_TIMEOUT, "the drain did not finish before its deadline");
    else
        nbj__session_drain(c->session, now, c->drain_due);
}

static void js_on_time(nbj_client *c, nbj_time now)
{
    nbj__publish_result r;

    while (nbj__publisher_on_time(&c->publisher, now, &r))
        nbj__client_on_result(c, &r);
    nbj__client_pulls_on_time(c, now);
    nbj__client_report_pulls(c);
    continue_drain(c, now);
}

nbj_status nbj_loop_process(nbj_client *client)
{
    if (client->processing) /* from a callback */
        return NBJ_E_STATE;
    nbj__client_retain(client);
    client->processing = true;
    nbj_status st = nbj__driver_process(client->driver);
    if (nbj__session_phase(client->session) != NBJ__PHASE_CLOSED)
        js_on_time(client, nbj__os_now()); /* last: what came in time counts, however late we look */
    client->processing = false;
    nbj__client_unref(client);
    return st;
}

nbj_status nbj_loop_turn(nbj_client *client, uint64_t max_wait_ns)
{
    struct pollfd wait = { .fd = nbj_loop_fd(client), .events = POLLIN };
    uint64_t ns = nbj__time_min(nbj_loop_timeout_ns(client), max_wait_ns);
    uint64_t ms = ns / 1000000 + (ns % 1000000 != 0); /* rounded up: waking early would only turn once more */
    int wait_ms = ns == NBJ_TIME_NEVER ? -1 : ms > 60000 ? 60000 : (int)ms;

    if (poll(&wait, 1, wait_ms) < 0) /* interrupted: the next turn waits on */
        return NBJ_OK;
    return nbj_loop_process(client);
}

/* --- ending --- */

void nbj_client_close(nbj_client *client)
{
    nbj__session_close(client->session, NBJ_OK, NULL);
}

void nbj_client_drain(nbj_client *client, uint64_t timeout_ns)
{
    nbj_time now = nbj__os_now();

    if (client->draining || nbj__session_phase(client->session) == NBJ__PHASE_CLOSED)
        return;
    client->drain_due = nbj__time_add(now, timeout_ns);
    client->draining = true;
    nbj__client_stop_pulls(client);
}

void nbj_client_reconnect(nbj_client *client)
{
    nbj__session_reconnect(client->session, nbj__os_now());
}

/* --- what is --- */

bool nbj_client_is_connected(const nbj_client *client)
{
    return nbj__session_phase(client->session) == NBJ__PHASE_READY;
}

static const nbj__info *info_of(const nbj_client *c)
{
    return nbj_client_is_connected(c) ? nbj__session_info(c->session) : NULL;
}

nbj_status nbj_client_server_address(const nbj_client *client, char *out, size_t size)
{
    uint16_t port = 0;
    const char *host = nbj__session_host(client->session, &port);

    if (size == 0)
        return NBJ_E_INVALID;
    nbj__text t = nbj__text_into(out, size);
    if (!nbj_client_is_connected(client))
        return NBJ_E_DISCONNECTED;
    nbj__text_add(&t, host);
    nbj__text_add(&t, ":");
    nbj__text_add_u64(&t, port);
    return t.cut ? NBJ_E_FULL : NBJ_OK;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

const char *nbj_client_server_version(const nbj_client *client)
{
    const nbj__info *info = info_of(client);

    return or_empty(info != NULL ? info->version : NULL);
}

const char *nbj_client_server_name(const nbj_client *client)
{
    const nbj__info *info = info_of(client);

    return or_empty(info != NULL ? info->server_name : NULL);
}

const char *nbj_client_server_id(const nbj_client *client)
{
    const nbj__info *info = info_of(client);

    return or_empty(info != NULL ? info->server_id : NULL);
}

uint64_t nbj_client_id(const nbj_client *client)
{
    const nbj__info *info = info_of(client);

    return info != NULL ? info->client_id : 0;
}

uint64_t nbj_client_max_payload(const nbj_client *client)
{
    const nbj__info *info = info_of(client);

    return info != NULL && info->max_payload > 0 ? (uint64_t)info->max_payload : 0;
}

nbj_client_stats nbj_client_stats_of(const nbj_client *client)
{
    const nbj__session_stats *s = nbj__session_stats_of(client->session);

    return (nbj_client_stats){ s->in_msgs,    s->in_bytes, s->out_msgs, s->out_bytes,
                               s->reconnects, s->dropped,  s->unwanted };
}
