/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and how it is put right again. Every fault is counted only when it really touched something. */
#include "sim.h"

#include <string.h>

static const char *const names[FATE_COUNT] = {
    [FATE_CUT] = "cut",           [FATE_CUT_AT] = "cut at an octet",
    [FATE_STALL] = "stall",       [FATE_SWALLOW] = "half-open",
    [FATE_REFUSE] = "refuse",     [FATE_SILENT] = "silent",
    [FATE_NOTHING] = "no answer", [FATE_KILL] = "kill",
    [FATE_HANG] = "hang",         [FATE_LAME] = "lame duck",
    [FATE_ERROR] = "-ERR",        [FATE_GARBAGE] = "garbage",
    [FATE_FREEZE] = "freeze",     [FATE_PASSWORD] = "password",
    [FATE_WIRE] = "wire",         [FATE_PAYLOAD] = "payload",
    [FATE_PEER] = "peer away",    [FATE_JETSTREAM] = "jetstream",
    [FATE_LEADER] = "leader",
};

const char *sim_fate_name(fate_kind kind)
{
    return names[kind];
}

static uint64_t how_long(sim *s)
{
    return rng_log(&s->fate, SIM_MS, s->sw.longest_ns);
}

static net_way any_way(sim *s)
{
    return rng_below(&s->fate, 2) == 0 ? NET_TO_SERVER : NET_TO_CLIENT;
}

static net_end any_end(sim *s)
{
    return rng_below(&s->fate, 2) == 0 ? NET_FIN : NET_RST;
}

static unsigned any_server(sim *s)
{
    return (unsigned)rng_below(&s->fate, s->sw.model.servers);
}

static bool is_on(const sim *s, unsigned server)
{
    const model_conn *c = s->conn != NULL ? net_server_of(s->conn) : NULL;
    return c != NULL && model_conn_server(c) == server;
}

/* --- what ends by itself ----------------------------------------------------------------------------------- */

static void dial_fine(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    s->n.dialing = NET_DIAL_FINE;
}

static void restart(void *user, uint64_t server)
{
    sim *s = user;
    model_restart(s->m, (unsigned)server, s->w.now);
    if (server == 0 && s->sw.js && s->sw.memory_stream)
        world_at(&s->w, s->w.now + rng_log(&s->fate, SIM_MS, SIM_S), js_make_stream, s, 0);
}

static void restart_after_death(void *user, uint64_t server)
{
    sim *s = user;
    if (model_is_lame(s->m, (unsigned)server)) /* it takes its time */
        world_at(&s->w, s->w.now + SIM_S, restart_after_death, s, server);
    else
        restart(s, server);
}

static void awake_server(void *user, uint64_t server)
{
    sim *s = user;
    model_hang(s->m, (unsigned)server, false, s->w.now);
}

static void right_password(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    model_set_password(s->m, NULL);
}

static void wire_fine(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    model_tamper(s->m, MODEL_WIRE_FINE);
}

static void peer_back(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    peer_stay_away(&s->p, false);
}

static void jetstream_fine(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    model_set_trouble(s->m, MODEL_JS_FINE);
}

static void thaw(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    s->awake = true;
}

/* --- faults; true: it happened ----------------------------------------------------------------------------- */

static bool cut(sim *s)
{
    if (s->conn == NULL)
        return false;
    net_cut(s->conn, any_end(s));
    return true;
}

static bool cut_at(sim *s)
{
    if (s->conn == NULL)
        return false;
    net_way way = any_way(s);
    net_end how = any_end(s);
    net_cut_at(s->conn, way, net_carried(s->conn, way) + rng_log(&s->fate, 1, 2000), how);
    return true;
}

static bool stall(sim *s)
{
    if (s->conn == NULL)
        return false;
    net_way way = any_way(s);
    net_stall(s->conn, way, s->w.now + how_long(s));
    return true;
}

static bool swallow(sim *s)
{
    if (s->conn == NULL)
        return false;
    uint64_t which = rng_below(&s->fate, 3);
    if (which != 1)
        net_swallow(s->conn, NET_TO_SERVER);
    if (which != 0)
        net_swallow(s->conn, NET_TO_CLIENT);
    return true;
}

static bool dialing(sim *s, net_dialing how)
{
    if (s->n.dialing != NET_DIAL_FINE)
        return false;
    s->n.dialing = how;
    world_at(&s->w, s->w.now + how_long(s), dial_fine, s, 0);
    if (s->conn != NULL) /* else it might not be noticed */
        net_cut(s->conn, any_end(s));
    return true;
}

static void stream_may_be_lost(sim *s, unsigned server)
{
    s->restarted |= server == 0;
    s->stream_was_lost |= server == 0 && s->sw.memory_stream;
    s->refusals |= server == 0 && (s->sw.memory_stream || s->sw.model.servers > 1);
}

static bool kill_server(sim *s)
{
    unsigned server = any_server(s);
    if (!model_is_up(s->m, server))
        return false;
    if (is_on(s, server))
        net_mark(s->conn);
    stream_may_be_lost(s, server);
    model_kill(s->m, server, s->w.now);
    world_at(&s->w, s->w.now + how_long(s), restart, s, server);
    return true;
}

static bool hang_server(sim *s)
{
    unsigned server = any_server(s);
    if (!model_is_up(s->m, server) || model_is_hung(s->m, server))
        return false;
    if (is_on(s, server))
        net_mark(s->conn);
    s->refusals |= server == 0 && s->sw.model.servers > 1; /* the model forgets what others route to it */
    model_hang(s->m, server, true, s->w.now);
    world_at(&s->w, s->w.now + how_long(s), awake_server, s, server);
    return true;
}

static bool lame_duck(sim *s)
{
    unsigned server = any_server(s);
    if (!model_is_up(s->m, server) || model_is_hung(s->m, server))
        return false;
    if (is_on(s, server))
        net_mark(s->conn);
    stream_may_be_lost(s, server);
    model_lame_duck(s->m, server, s->w.now);
    world_at(&s->w, s->w.now + 7 * (uint64_t)SIM_S, restart_after_death, s, server);
    return true;
}

static bool say_error(sim *s)
{
    static const struct {
        const char *text;
        bool closes;
    } errors[] = {
        { "Stale Connection", true },
        { "Authorization Violation", true },
        { "User Authentication Expired", true },
        { "maximum connections exceeded", true },
        { "Connection throttling is active. Please try again later.", true },
        { "Maximum Payload Violation", true },
        { "something that no client knows", true },
        { "something that no client knows %n%s", false },
        { "Permissions Violation for Publish to \"deny.p\"", false },
        { "Invalid Publish Subject", false },
        { "", false },
    };
    size_t i = (size_t)rng_below(&s->fate, sizeof errors / sizeof errors[0]);
    model_conn *server = s->conn != NULL ? net_server_of(s->conn) : NULL;
    if (server == NULL || !model_conn_ready(server))
        return false;
    net_mark(s->conn);
    model_send_error(server, errors[i].text, errors[i].closes);
    return true;
}

/* Lines that are not the protocol, or that are but mean nothing; none could be a message for somebody. */
static bool inject(sim *s)
{
    static const char *const lines[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        "MSG\r\n",
        "MSG a\r\n",
        "MSG a 99999999 -1\r\n\r\n",
        "MSG a 99999999 18446744073709551618\r\nxx\r\n",
        "MSG a 18446744073709551617 2\r\nxx\r\n",
        "MSG a 1 2 3 4 5\r\n\r\n",
        "HMSG a 99999999 9 5\r\nhello\r\n",
        "HMSG a 99999999 12\r\n",
        "MSG a 99999999 4\r\nabcdefgh\r\n",
        "INFO {\r\n",
        "INFO []\r\n",
        "INFO {\"headers\":true,\"connect_urls\":17,\"max_payload\":256}\r\n",
        "BLAH\r\n",
        "-ERR\r\n",
        "-ERR 'unterminated\r\n",
        "+OK\r\n",
        "PING\r\nPING\r\nPING\r\n",
        "ping\r\n",
        "MSG a.b 99999999 2\r\nhi\r\n",
        "HMSG a 99999999 12 12\r\nNATS/1.0\r\n\r\n\r\n",
    };
    model_conn *server = s->conn != NULL ? net_server_of(s->conn) : NULL;
    if (server == NULL || !model_conn_ready(server))
        return false;
    net_harvest(&s->n); /* between two frames */
    if (s->conn != NULL)
        net_inject(s->conn, str_of(lines[rng_below(&s->fate, sizeof lines / sizeof lines[0])]));
    return true;
}

static bool freeze(sim *s)
{
    s->frozen_until = s->w.now + how_long(s);
    world_at(&s->w, s->frozen_until, thaw, s, 0);
    if (s->conn != NULL)
        net_mark(s->conn);
    return true;
}

/* Whoever is connected has expired; who comes is refused for a while. */
static bool wrong_password(sim *s)
{
    model_conn *server = s->conn != NULL ? net_server_of(s->conn) : NULL;
    if (s->sw.model.user == NULL && !s->sw.model.issues_tokens)
        return false;
    model_set_password(s->m, "other");
    world_at(&s->w, s->w.now + how_long(s), right_password, s, 0);
    if (server == NULL || !model_conn_ready(server))
        return cut(s);
    net_mark(s->conn);
    model_send_error(server, "User Authentication Expired", true);
    return true;
}

/* Somebody sits on the wire where TLS begins. */
static bool tamper(sim *s)
{
    const nbj__session_options *o = &s->sw.session;
    bool tls_comes =
        s->sw.model.tls == MODEL_TLS_REQUIRED || (s->sw.model.tls == MODEL_TLS_OFFERED && (o->tls || s->sw.tls_urls));
    if (!tls_comes || s->conn == NULL)
        return false;
    model_tamper(s->m, rng_below(&s->fate, 2) == 0 ? MODEL_WIRE_STRIPS : MODEL_WIRE_INJECTS);
    world_at(&s->w, s->w.now + SIM_S + how_long(s), wire_fine, s, 0); /* there is a connection meanwhile */
    return cut(s);
}

/* The limit changes while nobody is connected, as at a restart with another configuration. */
static bool other_max_payload(sim *s)
{
    bool on_its_way = s->n.conns != NULL; /* within the former limit */
    for (unsigned i = 0; i < s->sw.model.servers; i++)
        on_its_way |= model_is_hung(s->m, i);
    if (on_its_way)
        return false;
    model_set_max_payload(s->m, (uint32_t)rng_between(&s->fate, 256, 8192));
    return true;
}

static bool peer_leaves(sim *s)
{
    peer_stay_away(&s->p, true);
    world_at(&s->w, s->w.now + how_long(s), peer_back, s, 0);
    return true;
}

static void freeze_now(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    if (s->phase == SIM_SAFETY)
        freeze(s);
}

static bool jetstream_trouble(sim *s)
{
    static const model_trouble troubles[] = { MODEL_JS_DEAF,       MODEL_JS_MUTE, MODEL_JS_NO_QUORUM,
                                              MODEL_JS_OVERLOADED, MODEL_JS_LATE, MODEL_JS_NOT_READY };
    if (!s->sw.js)
        return false;
    model_trouble trouble = troubles[rng_below(&s->fate, sizeof troubles / sizeof troubles[0])];
    model_set_trouble(s->m, trouble);
    s->refusals |= trouble != MODEL_JS_LATE;
    world_at(&s->w, s->w.now + how_long(s), jetstream_fine, s, 0);
    if (rng_below(&s->fate, 4) == 0) /* while refused publishes wait to be sent again */
        world_at(&s->w, s->w.now + how_long(s), freeze_now, s, 0);
    return true;
}

static void leader_is_new(void *user, uint64_t argument)
{
    sim *s = user;
    (void)argument;
    if (s->phase != SIM_SAFETY)
        return;
    model_set_trouble(s->m, MODEL_JS_NOT_READY);
    world_at(&s->w, s->w.now + rng_log(&s->fate, SIM_MS, 500 * SIM_MS), jetstream_fine, s, 0);
}

static bool change_leader(sim *s)
{
    if (!s->sw.js || s->sw.model.commit_max_ns == 0 || !model_is_up(s->m, 0) || model_is_hung(s->m, 0))
        return false;
    s->refusals = true;
    model_step_down(s->m, s->w.now);
    model_set_trouble(s->m, MODEL_JS_NO_QUORUM);
    world_at(&s->w, s->w.now + rng_log(&s->fate, SIM_MS, 3 * (uint64_t)SIM_S), leader_is_new, s, 0);
    return true;
}

static bool strike(sim *s, fate_kind kind)
{
    switch (kind) {
    case FATE_CUT:
        return cut(s);
    case FATE_CUT_AT:
        return cut_at(s);
    case FATE_STALL:
        return stall(s);
    case FATE_SWALLOW:
        return swallow(s);
    case FATE_REFUSE:
        return dialing(s, NET_DIAL_REFUSE);
    case FATE_SILENT:
        return dialing(s, NET_DIAL_SILENT);
    case FATE_NOTHING:
        return dialing(s, NET_DIAL_NOTHING);
    case FATE_KILL:
        return kill_server(s);
    case FATE_HANG:
        return hang_server(s);
    case FATE_LAME:
        return lame_duck(s);
    case FATE_ERROR:
        return say_error(s);
    case FATE_GARBAGE:
        return inject(s);
    case FATE_FREEZE:
        return freeze(s);
    case FATE_PASSWORD:
        return wrong_password(s);
    case FATE_WIRE:
        return tamper(s);
    case FATE_PAYLOAD:
        return other_max_payload(s);
    case FATE_PEER:
        return peer_leaves(s);
    case FATE_JETSTREAM:
        return jetstream_trouble(s);
    case FATE_LEADER:
        return change_leader(s);
    case FATE_COUNT:
        break;
    }
    return false;
}

void fate_step(void *user, uint64_t argument)
{
    sim *s = user;
    fate_kind kind;
    (void)argument;
    if (s->phase != SIM_SAFETY || s->failed)
        return;
    uint64_t mean = s->steps_done < s->sw.steps ? s->sw.fate_mean_ns : 50 * SIM_MS;
    world_at(&s->w, s->w.now + rng_log(&s->fate, mean / 8, mean * 4), fate_step, s, 0);
    do {
        kind = (fate_kind)rng_below(&s->fate, FATE_COUNT);
    } while ((s->sw.fates >> kind & 1) == 0);
    if (!strike(s, kind))
        return;
    s->faults++;
    s->fate_hits[kind]++;
    sim_log(s, "FAULT %s", names[kind]);
    sim_note(s, (uint64_t)kind, s->w.now);
}

/* Everything works again; half-open connections stay dead until their client drops them. */
void fate_heal(sim *s)
{
    s->phase = SIM_HEALED;
    s->healed_at = s->w.now;
    s->frozen_until = 0;
    for (unsigned i = 0; i < s->sw.model.servers; i++) {
        if (model_is_hung(s->m, i))
            model_hang(s->m, i, false, s->w.now);
        if (model_is_lame(s->m, i) && is_on(s, i))
            net_mark(s->conn);
        if (model_is_lame(s->m, i))
            model_kill(s->m, i, s->w.now);
        restart(s, i);
    }
    model_set_password(s->m, NULL);
    model_tamper(s->m, MODEL_WIRE_FINE);
    model_set_trouble(s->m, MODEL_JS_FINE);
    peer_stay_away(&s->p, false);
    net_heal(&s->n);
    net_harvest(&s->n);
    s->awake = true;
    sim_log(s, "HEALED");
}
