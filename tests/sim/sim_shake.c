/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's part of the handshake: TLS, which is one octet there and one back, and credentials. Both come at once,
 * later, never, or not at all. What is written before TLS is where it has to be is a fault. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum luck { AT_ONCE, LATER, NEVER, FAILS } luck;

/* After healing everything succeeds. */
static luck draw_luck(sim *s)
{
    if (s->phase != SIM_SAFETY)
        return AT_ONCE;
    switch (rng_below(&s->drive, 20)) {
    case 0:
        return FAILS;
    case 1:
        return NEVER;
    case 2:
    case 3:
    case 4:
    case 5:
        return LATER;
    default:
        return AT_ONCE;
    }
}

/* Runs |action| for the present connection; it has to see whether that is still the one. */
static void do_later(sim *s, world_action *action)
{
    world_at(&s->w, s->w.now + rng_log(&s->drive, SIM_MS, SIM_S), action, s, net_number(s->conn));
}

static bool is_present(const sim *s, uint64_t number)
{
    return s->conn != NULL && net_number(s->conn) == number && !s->closed_seen;
}

/* --- who must be spoken to by TLS only ---------------------------------------------------------------------- */

static bool wants_tls(const sim *s)
{
    const nbj__session_options *o = &s->sw.session;
    return o->tls || o->tls_first || s->sw.tls_urls;
}

/* We want it, or this server of ours had it before and cannot have been forgotten. */
static bool must_be_secure(const sim *s)
{
    return wants_tls(s) || (s->sw.session.max_reconnects == 0 && s->target < s->sw.known && s->had_tls[s->target]);
}

void shake_check_write(sim *s)
{
    if (s->tls != SIM_TLS_NONE && s->tls != SIM_TLS_DONE)
        sim_fail(s, "octets are to be written while TLS is waited for");
    else if (s->tls == SIM_TLS_NONE && must_be_secure(s))
        sim_fail(s, "octets are to be written in clear");
}

/* The name of a server which the application gave: certificates are made for those. */
static void check_name(sim *s, const char *name)
{
    if (name == NULL || (strncmp(name, "sim", 3) != 0 && strcmp(name, "nohost") != 0))
        sim_fail(s, "a certificate is to be verified for %s", name != NULL ? name : "nobody");
}

/* --- TLS --------------------------------------------------------------------------------------------------- */

static void hello_later(void *user, uint64_t number)
{
    sim *s = user;
    if (!is_present(s, number) || s->tls != SIM_TLS_ASKED)
        return;
    s->tls = SIM_TLS_HELLO;
    s->awake = true;
}

static void begin_tls(sim *s)
{
    s->tls = SIM_TLS_ASKED;
    switch (draw_luck(s)) {
    case AT_ONCE:
        s->tls = SIM_TLS_HELLO;
        break;
    case LATER:
        do_later(s, hello_later);
        break;
    case NEVER:
        break;
    case FAILS:
        client_lose(s, NBJ_E_IO);
        break;
    }
}

void shake_dial(sim *s, const nbj__event *ev)
{
    s->tls = SIM_TLS_NONE;
    if (ev->tls_first != s->sw.session.tls_first)
        sim_fail(s, "TLS first is %s", ev->tls_first ? "told though nobody wants it" : "forgotten");
    check_name(s, ev->tls_name);
}

void shake_open(sim *s)
{
    if (s->sw.session.tls_first)
        begin_tls(s);
    else
        nbj__session_dialed(s->session, s->w.now);
}

void shake_start_tls(sim *s, const nbj__event *ev)
{
    if (!s->sw.session.tls_possible || s->tls != SIM_TLS_NONE)
        sim_fail(s, "told to begin TLS out of turn");
    check_name(s, ev->host);
    begin_tls(s);
}

bool shake_holds_input(const sim *s)
{
    return s->tls != SIM_TLS_NONE && s->tls != SIM_TLS_DONE;
}

static void tls_is_there(sim *s)
{
    const model_conn *server = net_server_of(s->conn);
    if (server != NULL && model_conn_injected(server))
        sim_fail(s, "the handshake goes on although foreign octets came in clear");
    s->tls = SIM_TLS_DONE;
    s->had_tls[s->target] = true;
    sim_log(s, "TLS is there");
    if (s->sw.session.tls_first) {
        nbj__session_dialed(s->session, s->w.now);
        return;
    }
    nbj_status st = nbj__session_secured(s->session, s->w.now);
    if (st != NBJ_OK && st != NBJ_E_NOMEM && st != NBJ_E_PROTO)
        sim_fail(s, "TLS is there, but: %s", nbj_strerror(st));
}

bool shake_work(sim *s)
{
    static const char hello = MODEL_HELLO;
    char answer = 0;
    if (s->conn == NULL)
        return false;
    if (s->tls == SIM_TLS_HELLO && net_write(s->conn, &hello, 1) == 1) {
        s->tls = SIM_TLS_SENT;
        return true;
    }
    if (s->tls != SIM_TLS_SENT || net_readable(s->conn) == 0)
        return false;
    net_read(s->conn, &answer, 1);
    if (answer == MODEL_HELLO)
        tls_is_there(s);
    else
        client_lose(s, NBJ_E_PROTO);
    return true;
}

/* --- credentials ------------------------------------------------------------------------------------------- */

static void give(sim *s)
{
    char token[32] = "";
    buf sig = { 0 };
    nbj__credentials given = { 0 };
    if (s->sw.model.issues_tokens) {
        snprintf(token, sizeof token, "issued%" PRIu64, ++s->issued);
        model_issue(s->m, token);
        given.token = nbj_str(token);
    } else if (s->sw.model.nkey != NULL) {
        buf_printf(&sig, "signed:%s", s->nonce);
        given.nkey = nbj_str(s->sw.model.nkey);
        given.signature = nbj_view(buf_view(&sig).ptr, buf_len(&sig));
    }
    nbj_status st = nbj__session_credentials(s->session, &given, s->w.now);
    if (st != NBJ_OK && st != NBJ_E_NOMEM)
        sim_fail(s, "giving credentials failed: %s", nbj_strerror(st));
    buf_free(&sig);
    s->asks_credentials = false;
}

static void give_later(void *user, uint64_t number)
{
    sim *s = user;
    if (!is_present(s, number) || !s->asks_credentials)
        return;
    if (s->w.now >= s->frozen_until)
        give(s);
    s->awake = true;
}

void shake_credentials(sim *s, const nbj__event *ev)
{
    if (!s->sw.session.wants_credentials)
        sim_fail(s, "asked for credentials though nobody has any");
    if ((ev->nonce.len > 0) != (s->sw.model.nkey != NULL))
        sim_fail(s, "asked to sign \"%.*s\"", NBJ_FMT(ev->nonce));
    snprintf(s->nonce, sizeof s->nonce, "%.*s", NBJ_FMT(ev->nonce));
    s->asks_credentials = true;
    switch (draw_luck(s)) {
    case AT_ONCE:
        give(s);
        break;
    case LATER:
        do_later(s, give_later);
        break;
    case NEVER:
        break;
    case FAILS:
        client_lose(s, NBJ_E_SIGN);
        break;
    }
}
