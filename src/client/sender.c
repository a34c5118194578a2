/* SPDX-License-Identifier: Apache-2.0 */
#include "client/sender.h"

#include "base/options.h"
#include "base/text.h"

#define FOR_EACH_SENDER(c, s)                                                   \
    for (nbj__sender *s = sender_of(nbj__list_first(&(c)->senders)); s != NULL; \
         s = sender_of(nbj__list_after(&(c)->senders, &s->node)))

static nbj__sender *sender_of(nbj__node *n)
{
    return n != NULL ? NBJ__ITEM(n, nbj__sender, node) : NULL;
}

static void run_sender(nbj__task *task);

void nbj__sender_begin(nbj__sender *s, nbj_client *c, const nbj__sender_kind *kind)
{
    s->kind = kind;
    s->client = c;
    s->task.run = run_sender;
    nbj__list_push(&c->senders, &s->node);
    nbj__client_retain(c);
}

/* And leaves. */
static void free_sender(nbj__sender *s)
{
    nbj_client *c = s->client;

    nbj__list_remove(&s->node);
    nbj__list_remove(&s->task.node);
    s->kind->free(s);
    if (c->runtime != NULL)
        nbj__runtime_wake(c->runtime);
    nbj__client_unref(c);
}

void nbj__sender_release(nbj__sender *s)
{
    nbj_client *c = s->client;

    s->released = true;
    if (s->depth > 0 && (!nbj__client_has_threads(c) || nbj__client_is_in_callback(c))) {
        s->free_after = true;
        nbj__client_leave(c);
        return;
    }
    if (nbj__client_has_threads(c)) {
        nbj__callbacks_cancel(&c->callbacks, &s->task);
        nbj__callbacks_await(&c->callbacks, &s->task);
    }
    free_sender(s);
}

bool nbj__sender_may_tell(const nbj__sender *s)
{
    return !s->released && !s->client->released;
}

/* --- telling --- */

static bool is_due(const nbj__sender *s)
{
    return nbj__sender_may_tell(s) && s->kind->has_to_tell(s);
}

/* On the callback thread. */
static void run_sender(nbj__task *task)
{
    nbj__sender *s = NBJ__ITEM(task, nbj__sender, task);
    nbj_client *c = s->client;

    s->depth++;
    if (is_due(s))
        s->kind->tell(s);
    s->depth--;
    if (s->free_after) {
        free_sender(s);
        nbj__client_come_back(c); /* the callback thread has a client as long as it runs */
    } else if (is_due(s)) {
        nbj__callbacks_post(&c->callbacks, task);
    } else if (c->draining) {
        nbj__runtime_wake(c->runtime);
    }
}

static void tell_at_once(nbj__sender *s)
{
    s->depth++;
    s->kind->tell(s);
    if (--s->depth == 0 && s->free_after)
        free_sender(s);
}

static nbj__sender *find_due(const nbj_client *c)
{
    FOR_EACH_SENDER(c, s)
    {
        if (is_due(s))
            return s;
    }
    return NULL;
}

void nbj__sender_changed(nbj__sender *s)
{
    if (nbj__client_has_threads(s->client) && is_due(s))
        nbj__callbacks_post(&s->client->callbacks, &s->task);
}

void nbj__client_report_senders(nbj_client *c)
{
    if (nbj__client_has_threads(c)) {
        FOR_EACH_SENDER(c, s)
        nbj__sender_changed(s);
        return;
    }
    for (nbj__sender *s; (s = find_due(c)) != NULL;) /* from the beginning: a callback may release any of them */
        tell_at_once(s);
}

/* --- events and the time --- */

bool nbj__client_senders_on_event(nbj_client *c, const nbj__event *ev, nbj_time now)
{
    bool taken = false;

    for (nbj__sender *s = sender_of(nbj__list_first(&c->senders)); s != NULL && !taken;
         s = sender_of(nbj__list_after(&c->senders, &s->node)))
        taken = s->kind->on_event(s, ev, now);
    if (!nbj__list_is_empty(&c->senders))
        nbj__client_report_senders(c);
    return taken;
}

nbj_time nbj__client_senders_deadline(const nbj_client *c)
{
    nbj_time due = NBJ_TIME_NEVER;

    FOR_EACH_SENDER(c, s)
    due = nbj__time_min(due, !nbj__client_has_threads(c) && is_due(s) ? 0 : s->kind->deadline(s));
    return due;
}

void nbj__client_senders_on_time(nbj_client *c, nbj_time now)
{
    FOR_EACH_SENDER(c, s)
    s->kind->on_time(s, now);
    nbj__client_report_senders(c);
}

void nbj__client_drain_senders(nbj_client *c)
{
    FOR_EACH_SENDER(c, s)
    s->kind->drain(s);
}

bool nbj__client_senders_are_idle(const nbj_client *c)
{
    FOR_EACH_SENDER(c, s)
    {
        if (!s->kind->is_idle(s))
            return false;
    }
    return true;
}

/* --- messages --- */

/* The headers that |o|'s other options stand for. */
static nbj_status make_lines(const nbj_client *c, const nbj_publish_options *o, nbj__sender_room *room)
{
    nbj_publish_options own = *o;
    const nbj__info *info = nbj__session_info(c->session);
    nbj__js_where where = { .version = { 0 } };

    if (nbj__options_read(&room->schedule, sizeof room->schedule, o->schedule) != NBJ_OK)
        return nbj__error_set(o->error, NBJ_E_INVALID, nbj_strerror(NBJ_E_INVALID), (char *)NULL);
    if (o->schedule != NULL)
        own.schedule = &room->schedule;
    if (info != NULL)
        where.version = nbj__version_parse(info->version);
    return nbj__publish_lines_make(&room->lines, &own, &where, o->error);
}

static size_t add(nbj_header *to, size_t n, const nbj_header *from, size_t count)
{
    if (count > 0)
        memcpy(to + n, from, count * sizeof *to);
    return n + count;
}

nbj_status nbj__sender_message(const nbj_client *c, const nbj_publish_options *o, nbj__sender_room *room,
                               nbj__outgoing *m, nbj__feature *feature)
{
    size_t n = 0;

    if (o->header_count > NBJ__SENDER_HEADERS - NBJ__PUBLISH_LINES_MAX - 1)
        return nbj__error_set(o->error, NBJ_E_BAD_HEADER, "too many headers", (char *)NULL);
    if (o->msg_id != NULL)
        room->headers[n++] = (nbj_header){ nbj_str("Nats-Msg-Id"), nbj_str(o->msg_id) };
    n = add(room->headers, n, o->headers, o->header_count);
    if (nbj__publish_has_lines(o)) {
        nbj_status st = make_lines(c, o, room);
        if (st != NBJ_OK)
            return st;
        n = add(room->headers, n, room->lines.items, room->lines.count);
        if (feature != NULL)
            *feature = room->lines.feature;
    }
    m->headers = room->headers;
    m->header_count = n;
    return NBJ_OK;
}
