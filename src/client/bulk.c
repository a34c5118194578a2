/* SPDX-License-Identifier: Apache-2.0 */
/* Bulks: the public functions over js/ingest.h. */
#include "client/sender.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"
#include "js/gate.h"
#include "js/ingest.h"

#define TIMEOUT_NS NBJ_SECONDS(30)
#define ID_PREFIX 12u
#define ID_LEN (ID_PREFIX + 8u)

struct nbj_bulk {
    nbj__sender sender;
    nbj__ingest core;
    uint64_t timeout_ns;
    nbj_bulk_room_fn *on_room;
    void *room_user;
    bool wants_room;        /* and is to be told of it */
    nbj_bulk_fn *on_result; /* NULL: not asked for, or told */
    void *user;
    nbj__list adders;    /* threads that wait for room */
    nbj__list finishers; /* … for the end */
    bool makes_ids;
    char id[ID_LEN]; /* of the last message */
    uint64_t last_id;
};

static nbj_bulk *bulk_of(nbj__sender *s)
{
    return NBJ__ITEM(s, nbj_bulk, sender);
}

static const nbj_bulk *const_bulk_of(const nbj__sender *s)
{
    return (const nbj_bulk *)(const void *)((const char *)s - offsetof(nbj_bulk, sender));
}

/* --- as a sender --- */

static bool on_sub(nbj__ingest *g, const nbj__event *ev, nbj_time now)
{
    if (ev->sub != &g->sub)
        return false;
    if (ev->type == NBJ__EV_MSG)
        nbj__ingest_on_msg(g, ev->msg, now);
    else
        nbj__ingest_on_sub_ended(g);
    return true;
}

static bool on_core_event(nbj__ingest *g, const nbj__event *ev, nbj_time now)
{
    switch (ev->type) {
    case NBJ__EV_MSG:
    case NBJ__EV_SUB_ENDED:
        return on_sub(g, ev, now);
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__ingest_on_connected(g, now);
        return false;
    case NBJ__EV_DISCONNECTED:
        nbj__ingest_on_disconnected(g);
        return false;
    case NBJ__EV_WRITABLE:
        nbj__ingest_on_writable(g, now);
        return false;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH)
            nbj__ingest_on_refused(g, ev->subject);
        return false;
    case NBJ__EV_CLOSED:
        nbj__ingest_close(g);
        return false;
    default:
        return false;
    }
}

/* Wakes who waits for what is now. */
static void wake(nbj_bulk *b)
{
    if (nbj__ingest_has_room(&b->core))
        nbj__client_changed(&b->adders);
    if (b->core.state == NBJ__INGEST_ENDED)
        nbj__client_changed(&b->finishers);
}

static bool on_event(nbj__sender *s, const nbj__event *ev, nbj_time now)
{
    bool taken = on_core_event(&bulk_of(s)->core, ev, now);

    wake(bulk_of(s));
    return taken;
}

static nbj_time deadline(const nbj__sender *s)
{
    return nbj__ingest_deadline(&const_bulk_of(s)->core);
}

static void on_time(nbj__sender *s, nbj_time now)
{
    nbj__ingest_on_time(&bulk_of(s)->core, now);
    wake(bulk_of(s));
}

static void drain(nbj__sender *s)
{
    nbj__ingest *g = &bulk_of(s)->core;

    if (!g->is_finishing)
        nbj__ingest_finish(g, s->client->drain_due, nbj__os_now());
    wake(bulk_of(s));
}

static bool is_idle(const nbj__sender *s)
{
    const nbj_bulk *b = const_bulk_of(s);

    return b->core.state == NBJ__INGEST_ENDED && b->on_result == NULL;
}

static bool room_is_due(const nbj_bulk *b)
{
    return b->wants_room && nbj__ingest_has_room(&b->core);
}

static bool has_to_tell(const nbj__sender *s)
{
    const nbj_bulk *b = const_bulk_of(s);

    return room_is_due(b) || (b->core.state == NBJ__INGEST_ENDED && b->on_result != NULL);
}

static void copy_text(char *to, size_t size, const char *from)
{
    nbj__text t = nbj__text_into(to, size);

    nbj__text_add(&t, from);
}

/* What is known; the status is that of the end, if it has come. */
static nbj_status fill(const nbj_bulk *b, nbj_bulk_result *to)
{
    nbj__ingest_result r;

    nbj__ingest_progress(&b->core, &r);
    copy_text(to->stream, sizeof to->stream, r.ack.stream);
    copy_text(to->domain, sizeof to->domain, r.ack.domain);
    to->last_sequence = r.ack.sequence;
    to->added = r.added;
    to->stored = r.stored;
    to->lost = r.lost;
    to->refused = r.refused;
    to->unknown = r.added - r.stored - r.lost - r.refused;
    to->restarts = r.restarts;
    to->message = r.message;
    to->error = r.error;
    return to->unknown > 0 ? r.error.status : NBJ_OK;
}

static void tell_room(nbj_bulk *b)
{
    b->wants_room = false;
    nbj__client_let_go(b->sender.client);
    if (nbj__sender_may_tell(&b->sender))
        b->on_room(b->room_user, b);
    nbj__client_come_back(b->sender.client);
}

static void tell(nbj__sender *s)
{
    nbj_bulk *b = bulk_of(s);
    nbj_bulk_fn *fn = b->on_result;
    nbj_bulk_result result;

    if (room_is_due(b)) {
        tell_room(b);
        return;
    }
    nbj_status st = fill(b, &result);
    b->on_result = NULL;
    nbj__client_let_go(s->client);
    if (nbj__sender_may_tell(s))
        fn(b->user, b, st, &result);
    nbj__client_come_back(s->client);
}

static void free_bulk(nbj__sender *s)
{
    nbj_bulk *b = bulk_of(s);

    nbj__ingest_free(&b->core);
    nbj__free(s->client->alloc, b, sizeof *b);
}

static const nbj__sender_kind bulk_kind = { on_event, deadline, on_time, drain, is_idle, has_to_tell, tell, free_bulk };

/* --- beginning --- */

static nbj_status may_open(const nbj_client *c, nbj_error *error)
{
    nbj_status st = c->draining ? NBJ_E_DRAINING : NBJ_OK;

    if (nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        st = NBJ_E_CLOSED;
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    return nbj__gate_check_server(c->session, NBJ__FEATURE_FAST_INGEST, error);
}

static nbj_status new_bulk(nbj_client *c, const nbj_bulk_options *o, nbj_bulk **out)
{
    nbj__ingest_options core = { .flow = o->messages_per_ack,
                                 .outstanding = o->outstanding_acks,
                                 .max_messages = o->max_messages,
                                 .max_bytes = o->max_bytes,
                                 .patience_ns = o->timeout_ns,
                                 .gaps_are_ok = o->gaps_ok };
    nbj_bulk *b =
        o->on_room == NULL || nbj__client_need_callbacks(c) == NBJ_OK ? nbj__alloc0(c->alloc, sizeof *b) : NULL;

    if (b == NULL)
        return NBJ_E_NOMEM;
    nbj_status st = nbj__ingest_init(&b->core, c->session, &core, NULL);
    if (st != NBJ_OK) {
        nbj__ingest_free(&b->core);
        nbj__free(c->alloc, b, sizeof *b);
        return st;
    }
    b->timeout_ns = o->timeout_ns > 0 ? o->timeout_ns : TIMEOUT_NS;
    b->on_room = o->on_room;
    b->room_user = o->user;
    b->makes_ids = o->ids;
    nbj__random_name(nbj__session_random(c->session), b->id, ID_PREFIX);
    nbj__list_init(&b->adders);
    nbj__list_init(&b->finishers);
    nbj__sender_begin(&b->sender, c, &bulk_kind);
    *out = b;
    return NBJ_OK;
}

nbj_status nbj_bulk_open(nbj_client *client, const nbj_bulk_options *options, nbj_bulk **out, nbj_error *error)
{
    nbj_bulk_options o;
    nbj_status st = nbj__options_read(&o, sizeof o, options);

    *out = NULL;
    if (st == NBJ_OK && (o.messages_per_ack > 65535 || o.outstanding_acks > 65535 || o.max_bytes > SIZE_MAX / 8))
        st = NBJ_E_INVALID;
    if (st == NBJ_OK)
        st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = may_open(client, error);
    if (st == NBJ_OK && (st = new_bulk(client, &o, out)) != NBJ_OK)
        nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    nbj__client_leave(client);
    return st;
}

/* --- adding --- */

typedef struct adding {
    nbj_bulk *bulk;
    nbj__outgoing msg;
    nbj_status status;
} adding;

/* While all goes well the time is not looked at: when the server was last heard is near enough. */
static bool is_added(void *arg)
{
    adding *a = arg;
    nbj__ingest *g = &a->bulk->core;

    a->status = nbj__ingest_add(g, &a->msg, g->state == NBJ__INGEST_RUNNING ? g->heard_at : nbj__os_now());
    return a->status != NBJ_E_WOULD_BLOCK;
}

/* Adds when there is room. With the lock. */
static nbj_status add(nbj_bulk *b, const nbj__outgoing *m, bool no_wait)
{
    nbj_client *c = b->sender.client;
    adding a = { b, *m, NBJ_OK };

    if (is_added(&a))
        return a.status;
    if (no_wait || !nbj__client_has_threads(c) || nbj__client_is_in_callback(c)) {
        b->wants_room = b->on_room != NULL;
        return a.status;
    }
    return nbj__client_wait(c, &b->adders, is_added, &a, nbj__time_add(nbj__os_now(), b->timeout_ns)) ? a.status
                                                                                                      : NBJ_E_TIMEOUT;
}

static void make_id(nbj_bulk *b, nbj_publish_options *o, char text[ID_LEN + 1])
{
    if (!b->makes_ids || o->msg_id != NULL)
        return;
    nbj__token_write(b->id + ID_PREFIX, ++b->last_id, ID_LEN - ID_PREFIX);
    memcpy(text, b->id, ID_LEN);
    text[ID_LEN] = '\0';
    o->msg_id = text;
}

nbj_status nbj_bulk_add(nbj_bulk *bulk, const char *subject, nbj_bytes data, const nbj_publish_options *options)
{
    nbj_client *c = bulk->sender.client;
    nbj_publish_options o;
    nbj__sender_room room;
    nbj__outgoing m = { .subject = nbj_str(subject), .payload = data };
    char id[ID_LEN + 1];

    nbj_status st = nbj__options_read(&o, sizeof o, options);
    if (st == NBJ_OK)
        st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    nbj__ingest_state before = bulk->core.state;
    make_id(bulk, &o, id);
    st = nbj__sender_message(c, &o, &room, &m, NULL); /* no option needs a newer server than the bulk itself */
    if (st == NBJ_OK)
        st = add(bulk, &m, o.no_wait);
    nbj__sender_changed(&bulk->sender);
    return bulk->core.state == before ? nbj__client_leave_sent(c, st) : nbj__client_leave_changed(c, st);
}

void nbj_bulk_progress(const nbj_bulk *bulk, nbj_bulk_result *result)
{
    *result = (nbj_bulk_result){ 0 };
    if (nbj__client_enter(bulk->sender.client) != NBJ_OK)
        return;
    (void)fill(bulk, result);
    nbj__client_leave(bulk->sender.client);
}

/* --- finishing --- */

static void begin_finish(nbj_bulk *b, uint64_t timeout_ns)
{
    nbj_time now = nbj__os_now();

    nbj__ingest_finish(&b->core, nbj__time_add(now, timeout_ns > 0 ? timeout_ns : TIMEOUT_NS), now);
}

static bool has_ended(void *bulk)
{
    return ((const nbj_bulk *)bulk)->core.state == NBJ__INGEST_ENDED;
}

nbj_status nbj_bulk_finish(nbj_bulk *bulk, uint64_t timeout_ns, nbj_bulk_result *result)
{
    nbj_client *c = bulk->sender.client;
    nbj_bulk_result unwanted;
    nbj_status st = nbj__client_enter(c);

    if (result == NULL)
        result = &unwanted;
    *result = (nbj_bulk_result){ 0 };
    if (st != NBJ_OK)
        return nbj__error_set(&result->error, st, nbj_strerror(st), (char *)NULL);
    if (!nbj__client_has_threads(c)) {
        (void)fill(bulk, result);
        st = NBJ_E_WOULD_BLOCK;
    } else {
        begin_finish(bulk, timeout_ns);
        nbj__client_wait(c, &bulk->finishers, has_ended, bulk, NBJ_TIME_NEVER); /* it has its own deadline */
        st = fill(bulk, result);
    }
    return nbj__client_leave_changed(c, st);
}

nbj_status nbj_bulk_finish_async(nbj_bulk *bulk, uint64_t timeout_ns, nbj_bulk_fn *on_result, void *user)
{
    nbj_client *c = bulk->sender.client;

    if (on_result == NULL)
        return NBJ_E_INVALID;
    nbj_status st = nbj__client_enter(c);
    if (st != NBJ_OK)
        return st;
    st = bulk->core.is_finishing ? NBJ_E_STATE : nbj__client_need_callbacks(c);
    if (st == NBJ_OK) {
        bulk->on_result = on_result;
        bulk->user = user;
        begin_finish(bulk, timeout_ns);
        nbj__sender_changed(&bulk->sender);
    }
    return nbj__client_leave_changed(c, st);
}

void nbj_bulk_release(nbj_bulk *bulk)
{
    if (bulk != NULL && nbj__client_enter(bulk->sender.client) == NBJ_OK)
        nbj__sender_release(&bulk->sender);
}
