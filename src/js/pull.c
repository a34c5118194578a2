/* SPDX-License-Identifier: Apache-2.0 */
#include "js/pull.h"

#include "base/canary.h"
#include "base/text.h"
#include "wire/headers.h"
#include "wire/subject.h"

#include <assert.h>

#define API_TIMEOUT NBJ_SECONDS(5)
#define PAUSE_NS NBJ_MILLIS(250) /* + as much at random */

static const nbj__transition transitions[] = {
    { 0, NBJ__PULL_CREATING },
    { NBJ__PULL_CREATING, NBJ__PULL_RUNNING },
    { NBJ__PULL_CREATING, NBJ__PULL_STALLED },
    { NBJ__PULL_CREATING, NBJ__PULL_GONE },
    { NBJ__PULL_CREATING, NBJ__PULL_STOPPED },
    { NBJ__PULL_RUNNING, NBJ__PULL_STALLED },
    { NBJ__PULL_RUNNING, NBJ__PULL_STOPPED },
    { NBJ__PULL_STALLED, NBJ__PULL_CREATING },
    { NBJ__PULL_STALLED, NBJ__PULL_RUNNING },
    { NBJ__PULL_STALLED, NBJ__PULL_STOPPED },
};
const nbj__machine nbj__pull_machine = { "pull", transitions, sizeof transitions / sizeof transitions[0] };

static void set_state(nbj__pull *p, nbj__pull_state to)
{
    nbj__observe(p->observer, &nbj__pull_machine, (int)p->state, (int)to);
    p->state = to;
}

static bool own(const nbj_allocator *a, nbj_bytes *text)
{
    char *copy = nbj__copy_text(a, *text);

    *text = nbj_view(copy, copy != NULL ? text->len : 0);
    return copy != NULL;
}

static void disown(const nbj_allocator *a, nbj_bytes *text)
{
    nbj__free_text(a, (char *)(uintptr_t)text->ptr);
    *text = nbj_view(NULL, 0);
}

static nbj_status copy_config(nbj__pull *p, const nbj_allocator *a, const nbj__consumer_config *config)
{
    p->config = *config;
    bool whole = own(a, &p->config.stream);
    whole = own(a, &p->config.durable) && whole;
    whole = own(a, &p->config.filter_subject) && whole;
    return whole ? NBJ_OK : NBJ_E_NOMEM;
}

/* Nothing can be done now; later, or when the connection is back. */
static void stall(nbj__pull *p, nbj_status status, const char *text, nbj_time now)
{
    nbj__error_set(&p->error, status, text != NULL ? text : nbj_strerror(status), (char *)NULL);
    if (p->state != NBJ__PULL_STALLED)
        set_state(p, NBJ__PULL_STALLED);
    p->asked = 0;
    p->recoveries++;
    p->due = nbj__time_add(now, PAUSE_NS + nbj__random_below(nbj__session_random(p->session), PAUSE_NS));
}

static void forget_call(nbj__pull *p)
{
    if (p->call_is_open)
        nbj__session_forget(p->session, &p->call);
    p->call_is_open = false;
}

/* Asking again would not help. */
static void give_up(nbj__pull *p, const nbj_error *why)
{
    forget_call(p);
    p->error = *why;
    p->due = NBJ_TIME_NEVER;
    set_state(p, NBJ__PULL_GONE);
}

/* The server does not let us listen for messages. */
static void give_up_inbox(nbj__pull *p)
{
    nbj_error why;

    nbj__error_set(&why, p->sub.why, "the inbox of pull requests: ", nbj_strerror(p->sub.why), (char *)NULL);
    give_up(p, &why);
}

/* --- making sure of the consumer --- */

static void create(nbj__pull *p, nbj_time now)
{
    char subject[NBJ__API_SUBJECT_MAX];
    nbj__outgoing m = { .subject = nbj__api_subject(subject, "CONSUMER.CREATE", p->config.stream, p->config.durable) };

    if (p->state != NBJ__PULL_CREATING)
        set_state(p, NBJ__PULL_CREATING);
    if (p->sub.state == NBJ__SUB_ENDED) {
        give_up_inbox(p);
        return;
    }
    p->due = NBJ_TIME_NEVER;
    nbj__buf_clear(&p->body);
    nbj_status st = nbj__api_consumer_create(&p->body, &p->config);
    m.payload = nbj__buf_view(&p->body);
    if (st == NBJ_OK)
        st = nbj__session_request(p->session, &p->call, &m, nbj__time_add(now, API_TIMEOUT), now);
    p->call_is_open = st == NBJ_OK;
    if (st != NBJ_OK)
        stall(p, st, NULL, now);
}

/* --- pulling --- */

static nbj_status ask(nbj__pull *p, uint64_t batch, nbj_time now)
{
    char subject[NBJ__API_SUBJECT_MAX];
    nbj__outgoing m = { .subject = nbj__api_subject(subject, "CONSUMER.MSG.NEXT", p->config.stream, p->config.durable),
                        .reply = nbj_str(p->sub.subject) };

    nbj__buf_clear(&p->body);
    nbj_status st = nbj__api_pull(&p->body, batch, p->opt.expires_ns, p->opt.heartbeat_ns);
    m.payload = nbj__buf_view(&p->body);
    if (st == NBJ_OK)
        st = nbj__session_publish(p->session, &m);
    if (st != NBJ_OK)
        return st;
    p->asked += batch;
    p->due = nbj__time_add(now, 2 * p->opt.heartbeat_ns);
    return NBJ_OK;
}

/* Keeps at least half a batch asked for. */
static void keep_asking(nbj__pull *p, nbj_time now)
{
    if (p->asked > p->opt.batch / 2)
        return;
    nbj_status st = ask(p, p->opt.batch - p->asked, now);
    if (st != NBJ_OK)
        stall(p, st, NULL, now);
}

static void run(nbj__pull *p, nbj_time now)
{
    if (nbj__session_phase(p->session) != NBJ__PHASE_READY) {
        if (p->state != NBJ__PULL_STALLED)
            set_state(p, NBJ__PULL_STALLED);
        p->due = NBJ_TIME_NEVER; /* the connection will wake us */
        return;
    }
    if (!p->exists) {
        create(p, now);
        return;
    }
    set_state(p, NBJ__PULL_RUNNING);
    p->asked = 0;
    keep_asking(p, now);
}

nbj_status nbj__pull_init(nbj__pull *p, nbj__session *session, const nbj__consumer_config *config,
                          const nbj__pull_options *o, const nbj__observer *observer, nbj_time now)
{
    const nbj_allocator *a = nbj__session_alloc(session);
    char inbox[NBJ__INBOX_MAX + NBJ__INBOX_NAME + 2];

    *p = (nbj__pull){ .session = session, .opt = *o, .observer = observer, .due = NBJ_TIME_NEVER };
    p->call.owner = NBJ__CALL_OF_JS;
    p->opt.batch = o->batch > 0 ? o->batch : 256;
    p->opt.expires_ns = o->expires_ns > 0 ? o->expires_ns : NBJ_SECONDS(30);
    p->opt.heartbeat_ns = o->heartbeat_ns > 0 ? o->heartbeat_ns : NBJ_SECONDS(5);
    if (p->opt.heartbeat_ns > p->opt.expires_ns / 2)
        p->opt.heartbeat_ns = p->opt.expires_ns / 2; /* a server refuses more */
    nbj__buf_init(&p->body, a, 65536);
    if (!nbj__name_is_legal(config->stream) || !nbj__name_is_legal(config->durable))
        return NBJ_E_INVALID;
    nbj__session_new_inbox(session, inbox, sizeof inbox);
    nbj__subscription what = { .kind = NBJ__SUB_OF_JS, .subject = nbj_str(inbox) };
    nbj_status st = copy_config(p, a, config);
    if (st == NBJ_OK)
        st = nbj__session_subscribe(session, &p->sub, &what);
    if (st != NBJ_OK) {
        nbj__pull_free(p);
        return st;
    }
    create(p, now);
    return NBJ_OK;
}

void nbj__pull_free(nbj__pull *p)
{
    if (p->session == NULL)
        return;
    const nbj_allocator *a = nbj__session_alloc(p->session);
    forget_call(p);
    nbj__session_sub_clear(p->session, &p->sub);
    disown(a, &p->config.stream);
    disown(a, &p->config.durable);
    disown(a, &p->config.filter_subject);
    nbj__buf_free(&p->body);
    *p = (nbj__pull){ 0 };
}

/* --- what comes --- */

/* The consumer is not there, or is another than we made: make sure of it again, which also tells what is wrong. */
static void recreate(nbj__pull *p, nbj_status status, const char *text, nbj_time now)
{
    p->exists = false;
    stall(p, status, text, now);
}

static uint64_t pending_left(const nbj_msg *msg)
{
    nbj_bytes value;
    uint64_t n = 0;

    if (nbj__headers_find(msg->headers, nbj_str("Nats-Pending-Messages"), &value) == NBJ_OK)
        (void)nbj__parse_u64(value, UINT64_MAX, &n);
    return n;
}

/* What an ended pull leaves open is not asked for any more. Without the header (before 2.9.4) all of it counts as ended:
 * asking for too much is harmless. */
static void on_pull_ended(nbj__pull *p, const nbj_msg *msg, nbj_time now)
{
    uint64_t left = pending_left(msg);

    if (NBJ__CANARY(PULL_NOT_SUBTRACTED))
        left = 0;
    else if (left == 0 || left > p->asked)
        left = p->asked;
    p->asked -= left;
    keep_asking(p, now);
}

static bool says(nbj_bytes description, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= description.len; i++) {
        if (memcmp(description.ptr + i, word, n) == 0)
            return true;
    }
    return false;
}

static void on_conflict(nbj__pull *p, const nbj_msg *msg, nbj_bytes description, nbj_time now)
{
    char text[128];
    nbj__text t = nbj__text_into(text, sizeof text);

    nbj__text_add_clean(&t, description);
    if (says(description, "Consumer Deleted"))
        recreate(p, NBJ_E_CONSUMER_NOT_FOUND, text, now);
    else if (says(description, "Exceeded MaxRequest") || says(description, "push based"))
        recreate(p, NBJ_E_JS, text, now);
    else if (says(description, "MaxBytes") || says(description, "Batch Completed"))
        on_pull_ended(p, msg, now);
    else /* leadership change, shutdown, too many pulls that wait */
        stall(p, NBJ_E_JS_UNAVAILABLE, text, now);
}

static void on_status(nbj__pull *p, const nbj_msg *msg, nbj_time now)
{
    nbj__header_reader r;

    if (nbj__headers_open(&r, msg->headers) != NBJ_OK)
        return;
    switch (r.status) {
    case 100: /* idle heartbeat */
        break;
    case 404:
    case 408:
        on_pull_ended(p, msg, now);
        break;
    case 409:
        on_conflict(p, msg, r.description, now);
        break;
    case 503: /* the consumer, or all of JetStream, is not there (now) */
        recreate(p, NBJ_E_CONSUMER_NOT_FOUND, "nobody answers for this consumer", now);
        break;
    default:
        recreate(p, NBJ_E_JS, "a pull request was refused", now);
        break;
    }
}

bool nbj__pull_on_msg(nbj__pull *p, const nbj_msg *msg, nbj_time now)
{
    if (p->state == NBJ__PULL_STOPPED || p->state == NBJ__PULL_GONE)
        return false;
    if (p->state == NBJ__PULL_RUNNING && !NBJ__CANARY(HEARTBEAT_IGNORED))
        p->due = nbj__time_add(now, 2 * p->opt.heartbeat_ns);
    if (msg->reply.len == 0) {
        if (p->state == NBJ__PULL_RUNNING)
            on_status(p, msg, now);
        return false;
    }
    p->asked -= p->asked > 0;
    if (p->state == NBJ__PULL_RUNNING)
        keep_asking(p, now);
    return true;
}

/* A refusal that asking again will not change. */
static bool is_final(nbj_status st)
{
    return st == NBJ_E_JS || st == NBJ_E_EXISTS_DIFFERENT || st == NBJ_E_JS_DISABLED || st == NBJ_E_STREAM_NOT_FOUND ||
           st == NBJ_E_PERMISSION_SUBSCRIBE || st == NBJ_E_PERMISSION_PUBLISH;
}

static char *text_of(nbj_bytes owned)
{
    return (char *)(uintptr_t)owned.ptr; /* our copies are NUL-terminated */
}

void nbj__pull_on_call(nbj__pull *p, const nbj__event *ev, nbj_time now)
{
    nbj__json *reply = NULL;
    nbj_error error = { 0 };
    nbj__js_about about = { text_of(p->config.stream), text_of(p->config.durable) };
    nbj_status st = ev->status;

    p->call_is_open = false;
    if (p->state != NBJ__PULL_CREATING)
        return;
    if (st == NBJ_OK)
        st = nbj__js_reply_parse(ev->msg, about, &reply, &error);
    else
        nbj__error_set(&error, st, "creating the consumer: ", nbj_strerror(st), (char *)NULL);
    nbj__json_free(reply);
    if (st == NBJ_OK) {
        p->exists = true;
        run(p, now);
    } else if (is_final(st)) {
        give_up(p, &error);
    } else {
        stall(p, st, error.text, now);
    }
}

void nbj__pull_on_sub_ended(nbj__pull *p, nbj_time now)
{
    if (p->state == NBJ__PULL_STOPPED || p->state == NBJ__PULL_GONE)
        return;
    if (p->sub.why == NBJ_OK || p->sub.why == NBJ_E_CLOSED) {
        nbj__pull_stop(p);
    } else if (p->state == NBJ__PULL_CREATING) {
        give_up_inbox(p);
    } else {
        p->exists = false; /* so that asking again ends it */
        stall(p, p->sub.why, NULL, now);
    }
}

/* --- the connection and the time --- */

void nbj__pull_on_disconnected(nbj__pull *p)
{
    if (p->state != NBJ__PULL_RUNNING || NBJ__CANARY(PULL_NOT_REPEATED))
        return;
    stall(p, NBJ_E_DISCONNECTED, NULL, 0);
    p->due = NBJ_TIME_NEVER;
}

void nbj__pull_on_connected(nbj__pull *p, nbj_time now)
{
    if (p->state == NBJ__PULL_STALLED)
        run(p, now);
}

nbj_time nbj__pull_deadline(const nbj__pull *p)
{
    bool waits = p->state == NBJ__PULL_RUNNING || p->state == NBJ__PULL_STALLED;

    return waits ? p->due : NBJ_TIME_NEVER;
}

void nbj__pull_on_time(nbj__pull *p, nbj_time now)
{
    if (now < nbj__pull_deadline(p))
        return;
    if (p->state == NBJ__PULL_RUNNING && NBJ__CANARY(HEARTBEAT_IGNORED)) {
        p->due = NBJ_TIME_NEVER;
        return;
    }
    if (p->state == NBJ__PULL_RUNNING) {
        p->exists = false; /* 2.9 says nothing at all when the consumer is gone: make sure of it first */
        stall(p, NBJ_E_STALE, "heartbeats are missing", now);
    } else {
        run(p, now);
    }
}

void nbj__pull_stop(nbj__pull *p)
{
    if (p->state == NBJ__PULL_STOPPED || p->state == NBJ__PULL_GONE)
        return;
    set_state(p, NBJ__PULL_STOPPED);
    p->due = NBJ_TIME_NEVER;
    forget_call(p);
    if (p->sub.state == NBJ__SUB_LIVE) /* the server drops what it still has to send for us */
        (void)nbj__session_unsubscribe(p->session, &p->sub, 0);
}

nbj_status nbj__pull_settle(nbj__session *session, const nbj_msg *msg, nbj_bytes what)
{
    if (!nbj__is_ack_subject(msg->reply))
        return NBJ_E_NOT_JETSTREAM;
    nbj__outgoing m = { .subject = msg->reply, .payload = what };
    return nbj__session_publish(session, &m);
}
