/* SPDX-License-Identifier: Apache-2.0 */
#include "js/publish_ask.h"

#include "base/text.h"

#define ASK_NS NBJ_SECONDS(2)

void nbj__publish_asker_init(nbj__publish_asker *a, nbj__publisher *p)
{
    *a = (nbj__publish_asker){ .publisher = p, .call = { .owner = NBJ__CALL_OF_PUBLISHER } };
}

static const nbj_allocator *alloc_of(const nbj__publish_asker *a)
{
    return nbj__session_alloc(a->publisher->session);
}

static void close_question(nbj__publish_asker *a)
{
    if (a->looked_up != NULL)
        nbj__free_text(alloc_of(a), a->looked_up);
    a->looked_up = NULL;
    a->stream = NULL;
    a->is_open = false;
}

void nbj__publish_asker_stop(nbj__publish_asker *a)
{
    if (!a->is_open)
        return;
    nbj__session_forget(a->publisher->session, &a->call);
    close_question(a);
}

static bool send_question(nbj__publish_asker *a, const char *prefix, const char *verb, const char *name, nbj_bytes body,
                          nbj_time now)
{
    nbj__text t = nbj__text_into(a->subject, sizeof a->subject);
    const char *parts[] = { prefix, ".", verb, name[0] != '\0' ? "." : "", name };

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        nbj__text_add(&t, parts[i]);
    nbj__outgoing m = { .subject = nbj__text_view(&t), .payload = body };
    return !t.cut &&
           nbj__session_request(a->publisher->session, &a->call, &m, nbj__time_add(now, ASK_NS), now) == NBJ_OK;
}

/* --- a stream's window --- */

static void ask_window(nbj__publish_asker *a, const nbj__js_where *where, nbj_time now)
{
    nbj__publish_stream *s = nbj__publish_streams_unasked(&a->publisher->streams);
    nbj__js_where there;
    const char *prefix = where->prefix;

    if (s == NULL) {
        a->publisher->wants_windows = false;
        return;
    }
    s->asked++;
    if (s->domain[0] != '\0' && strcmp(prefix, NBJ__API_PREFIX) == 0 &&
        nbj__js_where_set(&there, s->domain, NULL) == NBJ_OK)
        prefix = there.prefix;
    a->is_open = send_question(a, prefix, "STREAM.INFO", s->name, nbj_view(NULL, 0), now);
    a->stream = s;
}

static void on_window(nbj__publish_asker *a, const nbj__event *ev)
{
    nbj__json *info = NULL;
    nbj_status st = ev->status;

    if (st == NBJ_OK)
        st = nbj__js_reply_parse(ev->msg, (nbj__js_about){ NULL, NULL }, &info, NULL);
    if (st == NBJ_OK)
        nbj__publish_stream_learn(&a->publisher->streams, a->stream, info);
    else if (st == NBJ_E_PERMISSION_PUBLISH)
        a->stream->is_known = true; /* as well as it ever will be */
    nbj__json_free(info);
}

/* --- whether there is a stream --- */

static bool find_lookup(const nbj__publisher *p, nbj__publish_place *at)
{
    while (nbj__publisher_next(p, at)) {
        if (at->n == p->lookup)
            return true;
    }
    return false;
}

static void ask_lookup(nbj__publish_asker *a, const nbj__js_where *where, nbj_time now)
{
    nbj__publisher *p = a->publisher;
    nbj__publish_place at = { 0 };
    nbj__buf body;

    p->wants_lookup = false;
    if (!find_lookup(p, &at)) /* it is done */
        return;
    a->looked_up = nbj__copy_text(alloc_of(a), nbj__publisher_subject(p, &at));
    if (a->looked_up == NULL)
        return;
    nbj__buf_init(&body, alloc_of(a), NBJ__API_BODY_MAX);
    nbj__json_writer w = nbj__json_begin(&body);
    nbj__json_put_text(&w, "subject", nbj_str(a->looked_up));
    a->is_open =
        nbj__json_end(&w) == NBJ_OK && send_question(a, where->prefix, "STREAM.NAMES", "", nbj__buf_view(&body), now);
    nbj__buf_free(&body);
}

static void on_lookup(nbj__publish_asker *a, const nbj__event *ev)
{
    nbj__json *names = NULL;

    if (ev->status != NBJ_OK || nbj__js_reply_parse(ev->msg, (nbj__js_about){ NULL, NULL }, &names, NULL) != NBJ_OK)
        return;
    if (nbj__json_length(nbj__json_array(names, "streams")) == 0 && nbj__json_u64(names, "total") == 0 &&
        nbj__json_text(names, "type").len > 0)
        nbj__publisher_on_no_stream(a->publisher, nbj_str(a->looked_up));
    nbj__json_free(names);
}

void nbj__publish_asker_ask(nbj__publish_asker *a, const nbj__js_where *where, nbj_time now)
{
    if (nbj__session_phase(a->publisher->session) != NBJ__PHASE_READY)
        return;
    if (a->publisher->wants_lookup)
        ask_lookup(a, where, now);
    else
        ask_window(a, where, now);
    if (!a->is_open)
        close_question(a);
}

void nbj__publish_asker_on_call(nbj__publish_asker *a, const nbj__event *ev)
{
    if (a->looked_up != NULL)
        on_lookup(a, ev);
    else
        on_window(a, ev);
    close_question(a);
}
