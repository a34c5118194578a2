/* SPDX-License-Identifier: Apache-2.0 */
/* The connection's life: waiting, dialing, shaking hands, losing, closing. Invariants: |server| is NULL only when CLOSED;
 * |link| is alive exactly in SHAKING and READY; nothing of |out| is written before READY. */
#include "conn/session_int.h"

#include "base/canary.h"
#include "base/text.h"

#include <assert.h>

#define HEALTHY_NS NBJ_SECONDS(1) /* a connection that lived shorter counts as a failure, so that flapping backs off */

static const nbj__transition transitions[] = {
    { 0, NBJ__PHASE_DIALING },
    { NBJ__PHASE_WAITING, NBJ__PHASE_DIALING },
    { NBJ__PHASE_WAITING, NBJ__PHASE_CLOSED },
    { NBJ__PHASE_DIALING, NBJ__PHASE_SHAKING },
    { NBJ__PHASE_DIALING, NBJ__PHASE_WAITING },
    { NBJ__PHASE_DIALING, NBJ__PHASE_CLOSED },
    { NBJ__PHASE_SHAKING, NBJ__PHASE_READY },
    { NBJ__PHASE_SHAKING, NBJ__PHASE_WAITING },
    { NBJ__PHASE_SHAKING, NBJ__PHASE_CLOSED },
    { NBJ__PHASE_READY, NBJ__PHASE_WAITING },
    { NBJ__PHASE_READY, NBJ__PHASE_CLOSED },
};
const nbj__machine nbj__session_machine = { "session", transitions, sizeof transitions / sizeof transitions[0] };

static void set_phase(nbj__session *s, nbj__phase to)
{
    nbj__observe(s->opt.observer, &nbj__session_machine, (int)s->phase, (int)to);
    s->phase = to;
}

/* --- beginning and end --- */

static void begin_dialing(nbj__session *s)
{
    set_phase(s, NBJ__PHASE_DIALING);
    s->server->tried = true;
    s->dial_at = NBJ_TIME_NEVER; /* until the driver is told: it may be turned for the first time long after this */
    s->dial_is_due = true;
}

static void make_inbox_prefix(nbj__session *s)
{
    nbj__text t = nbj__text_into(s->inbox_prefix, sizeof s->inbox_prefix);
    char name[NBJ__INBOX_NAME];

    nbj__random_name(&s->random, name, sizeof name);
    nbj__text_add_bytes(&t, s->opt.inbox_prefix);
    nbj__text_add(&t, ".");
    nbj__text_add_bytes(&t, nbj_view(name, sizeof name));
    nbj__text_add(&t, ".");
    assert(!t.cut);
}

static void init_parts(nbj__session *s)
{
    const nbj_allocator *a = s->opt.alloc;

    s->blocked_since = NBJ_TIME_NEVER;
    s->drain_due = s->leave_due = NBJ_TIME_NEVER;
    nbj__outbox_init(&s->out, a, s->opt.max_outgoing_bytes);
    nbj__subs_init(&s->subs, a, s->opt.observer);
    nbj__slots_init(&s->slots, a);
    nbj__heap_init(&s->timers, a);
    nbj__list_init(&s->requests);
    nbj__list_init(&s->flushes);
    nbj__list_init(&s->done_calls);
    nbj__list_init(&s->ended_subs);
    make_inbox_prefix(s);
}

nbj_status nbj__session_new(nbj__session **out, const nbj__session_options *options, nbj_time now, nbj_error *error)
{
    nbj__session_options o = *options;
    nbj_time when = now;

    *out = NULL;
    nbj__session_options_default(&o);
    nbj_status st = nbj__session_options_check(&o, error);
    if (st != NBJ_OK)
        return st;
    nbj__session *s = nbj__alloc0(o.alloc, sizeof *s);
    if (s == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    s->opt = o;
    s->random.state = o.seed;
    s->scratch.client = o.msg_client;
    nbj__pool_config pool = { .alloc = o.alloc,
                              .random = &s->random,
                              .no_randomize = o.no_randomize,
                              .first_wait_ns = o.reconnect_first_ns,
                              .max_wait_ns = o.reconnect_max_ns,
                              .max_attempts = o.max_reconnects };
    init_parts(s);
    st = nbj__session_options_own(&s->opt);
    if (st == NBJ_OK)
        st = nbj__pool_init(&s->pool, &pool, o.urls, error);
    if (st != NBJ_OK) {
        if (st == NBJ_E_NOMEM)
            nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
        nbj__session_free(s);
        return st;
    }
    s->opt.urls = nbj_view(NULL, 0); /* the pool has them */
    s->server = nbj__pool_next(&s->pool, now, &when);
    begin_dialing(s);
    *out = s;
    return NBJ_OK;
}

void nbj__session_free(nbj__session *s)
{
    nbj__sub *sub;

    if (s == NULL)
        return;
    while ((sub = nbj__subs_first(&s->subs)) != NULL) {
        nbj__subs_remove(&s->subs, sub);
        if (sub->kind == NBJ__SUB_OF_REQUESTS || sub->kind == NBJ__SUB_OF_MANY) /* ours */
            nbj__sub_clear(&s->subs, sub);
    }
    nbj__link_free(&s->link);
    nbj__chunk_release(s->last_rx);
    nbj__outbox_free(&s->out);
    nbj__subs_free(&s->subs);
    nbj__slots_free(&s->slots);
    nbj__heap_free(&s->timers);
    nbj__pool_free(&s->pool);
    nbj__session_options_wipe(&s->opt);
    nbj__free(s->opt.alloc, s, sizeof *s);
}

void nbj__session_tidy_out(nbj__session *s)
{
    if (!s->out_is_lost || s->hangup_is_due)
        return;
    s->out_is_lost = false;
    if (s->phase == NBJ__PHASE_CLOSED) {
        nbj__outbox_free(&s->out);
        return;
    }
    if (s->lost.status == NBJ_E_MAX_PAYLOAD || s->lost.status == NBJ_E_CONTROL_LINE)
        nbj__outbox_drop_begun(&s->out); /* the next server would say the same */
    if (!NBJ__CANARY(RESENT_TWICE))
        nbj__outbox_rewind(&s->out, nbj_str(s->inbox_prefix));
}

static void hang_up(nbj__session *s)
{
    s->dial_is_due = false;
    s->hangup_is_due = s->hangup_is_due || s->driver_is_busy;
    s->driver_is_busy = false;
    if (s->link.rx != NULL) { /* the message being handed out is in it: this may be its callback */
        nbj__chunk_release(s->last_rx);
        s->last_rx = s->link.rx;
        s->link.rx = NULL;
    }
    nbj__link_free(&s->link);
    s->blocked_since = s->leave_due = NBJ_TIME_NEVER;
    s->leave_barrier = 0;
}

void nbj__session_close(nbj__session *s, nbj_status why, const char *text)
{
    nbj__sub *sub;
    char copy[sizeof s->closed.text]; /* |text| may live in what is freed here */
    nbj__text t = nbj__text_into(copy, sizeof copy);

    if (s->phase == NBJ__PHASE_CLOSED)
        return;
    nbj__text_add(&t, text != NULL ? text : nbj_strerror(why));
    nbj__error_set(&s->closed, why, copy, (char *)NULL);
    set_phase(s, NBJ__PHASE_CLOSED);
    hang_up(s);
    s->server = NULL;
    nbj__pool_forget_secrets(&s->pool);
    nbj__session_options_wipe(&s->opt);
    s->drain_due = NBJ_TIME_NEVER;
    s->out_is_lost = true;
    if (!NBJ__CANARY(PENDING_LEFT))
        nbj__session_finish_requests(s, NBJ_E_CLOSED);
    for (nbj__node *n; (n = nbj__list_first(&s->flushes)) != NULL;)
        nbj__session_finish(s, NBJ__ITEM(n, nbj__call, node), NBJ_E_CLOSED);
    while ((sub = nbj__subs_first(&s->subs)) != NULL)
        nbj__session_end_sub(s, sub, NBJ_E_CLOSED);
    s->closed_is_due = true;
}

/* --- losing and trying again --- */

static bool is_auth_error(nbj_status st)
{
    return st == NBJ_E_AUTH || st == NBJ_E_AUTH_REVOKED || st == NBJ_E_AUTH_EXPIRED || st == NBJ_E_ACCOUNT_EXPIRED;
}

static void set_lost(nbj__session *s, nbj_status status, const char *text)
{
    char port[24];
    nbj__text t = nbj__text_into(port, sizeof port);

    nbj__text_add_u64(&t, s->server->port);
    nbj__error_set(&s->lost, status, s->phase == NBJ__PHASE_READY ? "lost " : "could not connect to ", s->server->host,
                   ":", port, ": ", text != NULL ? text : nbj_strerror(status),
                   status == NBJ_E_REFUSED ? "; is nats-server running?" : "", (char *)NULL);
}

/* What the loss says about the server. False: the client is to be closed for it. */
static bool judge_server(nbj__session *s, nbj_status status, nbj_time now)
{
    bool was_ready = s->phase == NBJ__PHASE_READY;
    bool was_healthy = was_ready && nbj__time_since(s->ready_since, now) >= HEALTHY_NS;
    /* Credentials that expire again and again, renewed each time, are not refused twice in a row. */
    bool same_auth_error = is_auth_error(status) && s->server->auth_error == status && !was_healthy;

    s->server->auth_error = is_auth_error(status) ? status : NBJ_OK;
    if (same_auth_error && s->opt.auth_errors_are_fatal)
        return false;
    nbj__pool_move_last(&s->pool, s->server);
    if (status == NBJ_E_LAME_DUCK) {
        nbj__pool_was_healthy(s->server);
        s->server->not_before = nbj__time_add(now, NBJ_SECONDS(10)); /* it is going; others come first */
    } else if (was_healthy || (was_ready && status == NBJ_E_CANCELLED)) {
        nbj__pool_was_healthy(s->server);
    } else {
        nbj__pool_failed(&s->pool, s->server, now);
    }
    s->server = NULL;
    return true;
}

/* Whether this loss ends the client, by its options. */
static bool is_the_end(const nbj__session *s, bool was_ready)
{
    if (s->drain != NBJ__DRAIN_NONE || s->pool.count == 0)
        return true;
    if (s->was_ready_once)
        return was_ready && s->opt.no_reconnect;
    return !s->opt.retry_first_connect && !nbj__pool_has_untried(&s->pool);
}

static void close_after_loss(nbj__session *s)
{
    nbj_status status = s->lost.status;

    if (s->drain != NBJ__DRAIN_NONE)
        status = NBJ_E_DISCONNECTED; /* of what was sent last nobody knows */
    else if (!s->was_ready_once && s->pool.count > 1)
        status = NBJ_E_NO_SERVERS; /* the text has the last one's reason */
    nbj__session_close(s, status, s->lost.text);
}

void nbj__session_lose(nbj__session *s, nbj_status status, const char *text, nbj_time now)
{
    bool was_ready = s->phase == NBJ__PHASE_READY;

    assert(s->phase == NBJ__PHASE_DIALING || s->phase == NBJ__PHASE_SHAKING || was_ready);
    set_lost(s, status, text);
    bool goes_on = judge_server(s, status, now);
    hang_up(s);
    s->out_is_lost = true;
    nbj__session_flushes_lost(s);
    nbj__session_end_draining(s);
    if (was_ready)
        nbj__session_note(s, NBJ__EV_DISCONNECTED);
    if (was_ready && s->opt.fail_requests_on_loss)
        nbj__session_finish_requests(s, NBJ_E_DISCONNECTED);
    if (!goes_on || is_the_end(s, was_ready)) {
        close_after_loss(s);
        return;
    }
    set_phase(s, NBJ__PHASE_WAITING);
    s->server = nbj__pool_next(&s->pool, now, &s->dial_at);
    if (s->dial_at <= now)
        begin_dialing(s);
}

void nbj__session_lost(nbj__session *s, nbj_status status, const char *text, nbj_time now)
{
    bool is_known = s->hangup_is_due; /* we gave it up before the driver saw its end */

    s->driver_is_busy = s->hangup_is_due = false;
    if (is_known)
        return;
    if (s->phase == NBJ__PHASE_DIALING || s->phase == NBJ__PHASE_SHAKING || s->phase == NBJ__PHASE_READY)
        nbj__session_lose(s, status, text, now);
}

void nbj__session_reconnect(nbj__session *s, nbj_time now)
{
    if (s->phase == NBJ__PHASE_WAITING)
        begin_dialing(s);
    else if (s->phase == NBJ__PHASE_READY)
        nbj__session_lose(s, NBJ_E_CANCELLED, "a reconnect was asked for", now);
}

static nbj_bytes first_of(const char *of_server, nbj_bytes of_client)
{
    return of_server != NULL ? nbj_str(of_server) : of_client;
}

void nbj__session_dialed(nbj__session *s, nbj_time now)
{
    if (s->phase != NBJ__PHASE_DIALING)
        return;
    const nbj__server *server = s->server;
    bool own_credentials = server->user != NULL || server->token != NULL;
    nbj_bytes none = nbj_view(NULL, 0);
    nbj__link_config cfg = {
        .alloc = s->opt.alloc,
        .connect = { .name = s->opt.name,
                     .user = first_of(server->user, own_credentials ? none : s->opt.user),
                     .password = first_of(server->password, own_credentials ? none : s->opt.password),
                     .auth_token = first_of(server->token, own_credentials ? none : s->opt.token),
                     .verbose = s->opt.verbose,
                     .pedantic = s->opt.pedantic,
                     .no_echo = s->opt.no_echo },
        .wants_credentials = s->opt.wants_credentials,
        .tls_wanted = server->tls || s->opt.tls || s->opt.tls_first,
        .tls_possible = s->opt.tls_possible,
        .secured = s->opt.tls_first,
        .handshake_ns = s->dial_at > now ? s->dial_at - now : 0,
        .info_ns = s->opt.info_timeout_ns,
        .tls_ns = s->opt.tls_timeout_ns,
        .auth_ns = s->opt.auth_timeout_ns,
        .ping_interval_ns = s->opt.ping_interval_ns,
        .max_pings_out = s->opt.max_pings_out,
        .out = &s->out.back,
        .observer = s->opt.observer,
    };
    nbj__link_init(&s->link, &cfg, now);
    set_phase(s, NBJ__PHASE_SHAKING);
}

/* --- octets --- */

nbj_status nbj__session_rx_space(nbj__session *s, uint8_t **at, size_t *len)
{
    if (s->phase != NBJ__PHASE_SHAKING && s->phase != NBJ__PHASE_READY)
        return NBJ_E_STATE;
    return nbj__link_rx_space(&s->link, at, len);
}

void nbj__session_rx_commit(nbj__session *s, size_t len)
{
    if (nbj__session_has_connection(s)) /* it may have been closed while octets were on their way here */
        nbj__link_rx_commit(&s->link, len);
}

/* What an answer to the link came to. */
static nbj_status after_answer(nbj__session *s, nbj_status st, nbj_time now)
{
    if (st != NBJ_OK && st != NBJ_E_STATE)
        nbj__session_lose(s, st, s->link.error.text, now);
    return st;
}

nbj_status nbj__session_secured(nbj__session *s, nbj_time now)
{
    if (s->phase != NBJ__PHASE_SHAKING)
        return NBJ_E_STATE;
    nbj_status st = nbj__link_secured(&s->link, now);
    if (st == NBJ_OK && !NBJ__CANARY(TLS_FORGOTTEN))
        s->server->tls = true; /* for ever: one that cannot do it again may be somebody else's */
    return after_answer(s, st, now);
}

nbj_status nbj__session_credentials(nbj__session *s, const nbj__credentials *given, nbj_time now)
{
    if (s->phase != NBJ__PHASE_SHAKING)
        return NBJ_E_STATE;
    return after_answer(s, nbj__link_credentials(&s->link, given, now), now);
}

nbj_status nbj__session_no_credentials(nbj__session *s, const nbj_error *why, nbj_time now)
{
    if (s->phase != NBJ__PHASE_SHAKING || s->link.phase != NBJ__LINK_WAIT_CREDENTIALS || !s->link.asked)
        return NBJ_E_STATE;
    nbj__session_lose(s, why->status, why->text, now);
    return NBJ_OK;
}

/* --- time --- */

static nbj_time blocked_deadline(const nbj__session *s)
{
    return s->blocked_since == NBJ_TIME_NEVER ? NBJ_TIME_NEVER
                                              : nbj__time_add(s->blocked_since, s->opt.write_timeout_ns);
}

nbj_time nbj__session_deadline(const nbj__session *s)
{
    nbj_time due = nbj__time_min(nbj__heap_deadline(&s->timers), nbj__session_leave_deadline(s));

    if (nbj__session_has_events(s))
        return 0;
    switch (s->phase) {
    case NBJ__PHASE_WAITING:
    case NBJ__PHASE_DIALING:
        return nbj__time_min(due, s->dial_at);
    case NBJ__PHASE_SHAKING:
    case NBJ__PHASE_READY:
        return nbj__time_min(nbj__time_min(due, s->link.due), blocked_deadline(s));
    case NBJ__PHASE_CLOSED:
        return NBJ_TIME_NEVER;
    }
    return due;
}

/* On a slow network an unanswered PING may still wait behind other octets: then the write timeout judges the server. */
static bool ping_may_be_unsent(const nbj__session *s)
{
    return s->phase == NBJ__PHASE_READY && s->link.pings_out > 0 && nbj__session_has_tx(s);
}

static void connection_on_time(nbj__session *s, nbj_time now)
{
    switch (s->phase) {
    case NBJ__PHASE_WAITING:
        if (now >= s->dial_at)
            begin_dialing(s);
        break;
    case NBJ__PHASE_DIALING:
        if (now >= s->dial_at)
            nbj__session_lose(s, NBJ_E_CONNECT_TIMEOUT, NULL, now);
        break;
    case NBJ__PHASE_SHAKING:
    case NBJ__PHASE_READY:
        if (now >= s->link.due && ping_may_be_unsent(s))
            s->link.due = nbj__time_add(now, s->opt.ping_interval_ns);
        if (nbj__link_on_time(&s->link, now) != NBJ_OK)
            nbj__session_lose(s, s->link.error.status, s->link.error.text, now);
        else if (now >= blocked_deadline(s))
            nbj__session_lose(s, NBJ_E_STALE, "the server does not read what is sent", now);
        break;
    case NBJ__PHASE_CLOSED:
        break;
    }
}

void nbj__session_on_time(nbj__session *s, nbj_time now)
{
    nbj__session_calls_on_time(s, now);
    connection_on_time(s, now);
    if (nbj__session_is_ready(s))
        nbj__session_leave_if_done(s, now);
    if (now >= s->drain_due)
        nbj__session_close(s, NBJ_E_TIMEOUT, "the drain did not finish before its deadline");
}

/* --- accessors --- */

nbj__phase nbj__session_phase(const nbj__session *s)
{
    return s->phase;
}

bool nbj__session_was_ready(const nbj__session *s)
{
    return s->was_ready_once;
}

const nbj__info *nbj__session_info(const nbj__session *s)
{
    bool has = (s->phase == NBJ__PHASE_SHAKING && s->link.phase != NBJ__LINK_WAIT_INFO) || s->phase == NBJ__PHASE_READY;

    return has ? &s->link.info : NULL;
}

const nbj__session_stats *nbj__session_stats_of(const nbj__session *s)
{
    return &s->stats;
}

const nbj_allocator *nbj__session_alloc(const nbj__session *s)
{
    return s->opt.alloc;
}

const char *nbj__session_host(const nbj__session *s, uint16_t *port)
{
    if (s->server == NULL)
        return NULL;
    *port = s->server->port;
    return s->server->host;
}

size_t nbj__session_outgoing(const nbj__session *s)
{
    return s->phase != NBJ__PHASE_CLOSED ? nbj__outbox_len(&s->out) : 0;
}

size_t nbj__session_server_count(const nbj__session *s)
{
    return s->pool.count;
}

nbj__random *nbj__session_random(nbj__session *s)
{
    return &s->random;
}
