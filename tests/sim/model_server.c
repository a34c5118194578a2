/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster as a whole: options, accepting, INFO, faults found, time, life and death of servers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

#define FIRST_PING_NS (2 * (uint64_t)SIM_S)

static void set_defaults(model_options *o)
{
    if (o->servers == 0)
        o->servers = 1;
    if (o->minor == 0) {
        o->minor = 15;
        o->patch = 1;
    }
    if (o->max_payload == 0)
        o->max_payload = 1048576;
    if (o->max_line == 0)
        o->max_line = 4096;
    if (o->ping_interval_ns == 0)
        o->ping_interval_ns = 120 * (uint64_t)SIM_S;
    if (o->auth_timeout_ns == 0)
        o->auth_timeout_ns = 2 * (uint64_t)SIM_S;
    if (o->ldm_grace_ns == 0)
        o->ldm_grace_ns = 10 * (uint64_t)SIM_S;
    if (o->ldm_duration_ns == 0)
        o->ldm_duration_ns = 120 * (uint64_t)SIM_S;
    if (o->max_pings_out == 0)
        o->max_pings_out = 2;
    if (o->ack_tokens == 0)
        o->ack_tokens = 9;
}

model *model_new(const model_options *opt, uint64_t seed, uint64_t now)
{
    model *m = sim_alloc(sizeof *m);
    m->opt = *opt;
    set_defaults(&m->opt);
    m->now = now;
    m->next_cid = 5;
    m->random = rng_for(seed, "model");
    for (unsigned i = 0; i < m->opt.servers; i++)
        m->server[i] = (model_server){ .up = true, .life = 1 };
    return m;
}

void model_free(model *m)
{
    if (m == NULL)
        return;
    while (m->nconns > 0)
        model_release(m->conns[0]);
    for (size_t i = 0; i < m->nstreams; i++)
        stream_free(m->streams[i]);
    for (size_t i = 0; i < m->nfaults && i < FAULTS_KEPT; i++)
        free(m->faults[i]);
    answers_free(m);
    free(m->streams);
    free(m->subs);
    free(m->conns);
    free(m);
}

void model_blame(model *m, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (m->nfaults < FAULTS_KEPT)
        m->faults[m->nfaults] = str_dup(str_of(text));
    m->nfaults++;
}

uint64_t model_wall(const model *m)
{
    return MODEL_EPOCH_NS + m->now;
}

/* --- INFO ------------------------------------------------------------------------------------------------- */

static void write_urls(const model *m, unsigned self, buf *out)
{
    const char *comma = "";
    buf_text(out, ",\"connect_urls\":[");
    for (unsigned i = 0; i < m->opt.servers; i++) {
        if (!m->server[i].up || m->server[i].lame || (i == self && m->server[self].lame))
            continue;
        buf_printf(out, "%s\"%s%u:4222\"", comma, m->opt.advertise_addresses ? "10.0.0." : "sim", i);
        comma = ",";
    }
    buf_text(out, "]");
}

void server_write_info(const model_conn *c, bool connect_info, buf *out)
{
    const model *m = c->m;
    const model_options *o = &m->opt;
    buf_printf(out, "INFO {\"server_id\":\"NSIM%u%u\",\"server_name\":\"sim%u\",\"version\":\"2.%u.%u\",\"proto\":1,",
               c->server, m->server[c->server].life, c->server, o->minor, o->patch);
    buf_printf(out, "\"go\":\"go1.0\",\"host\":\"0.0.0.0\",\"port\":4222,\"headers\":%s,",
               o->no_headers ? "false" : "true");
    if (conn_needs_auth(c))
        buf_text(out, "\"auth_required\":true,");
    if (o->tls != MODEL_TLS_NONE && !c->stripped)
        buf_printf(out, "\"%s\":true,", o->tls == MODEL_TLS_OFFERED ? "tls_available" : "tls_required");
    buf_printf(out, "\"max_payload\":%u,", o->max_payload);
    if (!o->no_jetstream)
        buf_text(out, "\"jetstream\":true,");
    buf_printf(out, "\"client_id\":%llu,\"client_ip\":\"127.0.0.1\"", (unsigned long long)c->cid);
    if (c->nonce[0] != '\0')
        buf_printf(out, ",\"nonce\":\"%s\"", c->nonce);
    if (m->server[c->server].lame)
        buf_text(out, ",\"ldm\":true");
    if (o->advertise)
        write_urls(m, c->server, out);
    if (connect_info)
        buf_text(out, ",\"connect_info\":true,\"remote_account\":\"$G\"");
    if (o->minor >= 12)
        buf_text(out, ",\"api_lvl\":5");
    if (o->minor >= 10)
        buf_text(out, ",\"xkey\":\"XSIM\"");
    buf_text(out, "} \r\n");
}

static void tell_all(model *m)
{
    for (size_t i = 0; i < m->nconns; i++)
        if (m->conns[i]->phase == CONN_READY && m->conns[i]->async_info)
            conn_send_info(m->conns[i], false);
}

/* --- connections ------------------------------------------------------------------------------------------ */

model_conn *model_accept(model *m, unsigned server, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    if (server >= m->opt.servers || !m->server[server].up || m->server[server].lame)
        return NULL;
    model_conn *c = sim_alloc(sizeof *c);
    c->m = m;
    c->server = server;
    c->cid = m->next_cid++;
    c->verbose = c->pedantic = c->echo = true; /* what CONNECT changes */
    c->auth_deadline = conn_needs_auth(c) || conn_needs_tls(c) ? now + m->opt.auth_timeout_ns : SIM_NEVER;
    c->stripped = m->wire == MODEL_WIRE_STRIPS;
    c->next_ping = now + (m->opt.ping_interval_ns < FIRST_PING_NS ? m->opt.ping_interval_ns : FIRST_PING_NS);
    c->close_at = SIM_NEVER;
    if (m->opt.nkey != NULL)
        snprintf(c->nonce, sizeof c->nonce, "n%014llx", (unsigned long long)(rng_next(&m->random) >> 8));
    m->conns = sim_grow(m->conns, m->nconns, &m->conns_cap, sizeof(model_conn *));
    m->conns[m->nconns++] = c;
    if (m->opt.tls != MODEL_TLS_FIRST)
        conn_send_info(c, false);
    c->info_len = buf_len(&c->out);
    c->injected = m->wire == MODEL_WIRE_INJECTS && m->opt.tls != MODEL_TLS_FIRST;
    if (c->injected)
        buf_text(&c->out, "INFO {\"headers\":true,\"connect_urls\":[\"evil:4222\"]}\r\nPING\r\n");
    return c;
}

void model_trust(model_conn *c)
{
    c->trusted = true;
    c->auth_deadline = SIM_NEVER;
}

void model_feed(model_conn *c, const void *data, size_t len, uint64_t now)
{
    model *m = c->m;
    m->now = now > m->now ? now : m->now;
    if (c->phase == CONN_CLOSED)
        return;
    c->last_input = m->now;
    buf_put(&c->in, data, len);
    if (!m->server[c->server].hung)
        conn_process(c);
}

str model_output(const model_conn *c)
{
    return c->m->server[c->server].hung ? (str){ "", 0 } : buf_view(&c->out);
}

void model_consume(model_conn *c, size_t len)
{
    buf_drop(&c->out, len);
}

bool model_closing(const model_conn *c)
{
    return c->phase == CONN_CLOSED;
}

void model_hangup(model_conn *c, uint64_t now)
{
    c->m->now = now > c->m->now ? now : c->m->now;
    conn_close(c);
    buf_clear(&c->out);
    sub_sweep(c->m);
}

void model_release(model_conn *c)
{
    model *m = c->m;
    size_t i = 0;
    conn_close(c);
    sub_sweep(m);
    while (m->conns[i] != c)
        i++;
    m->nconns--;
    memmove(&m->conns[i], &m->conns[i + 1], (m->nconns - i) * sizeof(model_conn *));
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->op_text);
    free(c);
}

void model_send_error(model_conn *c, const char *text, bool close)
{
    if (c->phase == CONN_CLOSED)
        return;
    conn_error(c, "%s", text);
    if (close)
        conn_close(c);
    sub_sweep(c->m);
}

/* --- life of servers -------------------------------------------------------------------------------------- */

static void drop_conns(model *m, unsigned server)
{
    for (size_t i = 0; i < m->nconns; i++)
        if (m->conns[i]->server == server) {
            conn_close(m->conns[i]);
            buf_clear(&m->conns[i]->out);
        }
    sub_sweep(m);
}

void model_kill(model *m, unsigned server, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    if (!m->server[server].up)
        return;
    m->server[server].up = m->server[server].hung = m->server[server].lame = false;
    drop_conns(m, server);
    if (server == 0)
        js_after_kill(m);
    if (m->opt.advertise)
        tell_all(m);
}

void model_restart(model *m, unsigned server, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    if (m->server[server].up)
        return;
    m->server[server] = (model_server){ .up = true, .life = m->server[server].life + 1 };
    if (server == 0)
        js_after_restart(m);
    if (m->opt.advertise)
        tell_all(m);
}

void model_hang(model *m, unsigned server, bool hung, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    m->server[server].hung = hung && m->server[server].up;
    for (size_t i = 0; !hung && i < m->nconns; i++)
        if (m->conns[i]->server == server)
            conn_process(m->conns[i]);
}

void model_lame_duck(model *m, unsigned server, uint64_t now)
{
    model_server *s = &m->server[server];
    m->now = now > m->now ? now : m->now;
    if (!s->up || s->lame)
        return;
    s->lame = true;
    s->down_at = now + m->opt.ldm_grace_ns + m->opt.ldm_duration_ns;
    for (size_t i = 0; i < m->nconns; i++)
        if (m->conns[i]->server == server)
            m->conns[i]->close_at = now + m->opt.ldm_grace_ns + rng_below(&m->random, m->opt.ldm_duration_ns);
    tell_all(m);
}

bool model_is_up(const model *m, unsigned server)
{
    return m->server[server].up;
}

bool model_is_hung(const model *m, unsigned server)
{
    return m->server[server].hung;
}

bool model_is_lame(const model *m, unsigned server)
{
    return m->server[server].up && m->server[server].lame;
}

void model_set_trouble(model *m, model_trouble trouble)
{
    m->trouble = trouble;
}

void model_set_max_payload(model *m, uint32_t octets)
{
    m->opt.max_payload = octets;
    tell_all(m);
}

uint32_t model_max_payload(const model *m)
{
    return m->opt.max_payload;
}

void model_set_password(model *m, const char *password)
{
    m->password = password;
}

void model_issue(model *m, const char *token)
{
    snprintf(m->issued, sizeof m->issued, "%s", token);
}

void model_tamper(model *m, model_wire how)
{
    m->wire = how;
}

/* --- time ------------------------------------------------------------------------------------------------- */

uint64_t model_deadline(const model *m)
{
    uint64_t due = SIM_NEVER;
    for (unsigned i = 0; i < m->opt.servers; i++)
        if (m->server[i].up && m->server[i].lame && m->server[i].down_at < due)
            due = m->server[i].down_at;
    for (size_t i = 0; i < m->nconns; i++) {
        uint64_t at = m->server[m->conns[i]->server].hung ? SIM_NEVER : conn_deadline(m->conns[i]);
        due = at < due ? at : due;
    }
    uint64_t at = m->server[0].up && !m->server[0].hung ? js_deadline(m) : SIM_NEVER;
    return at < due ? at : due;
}

void model_tick(model *m, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    for (unsigned i = 0; i < m->opt.servers; i++)
        if (m->server[i].up && m->server[i].lame && now >= m->server[i].down_at)
            model_kill(m, i, now);
    for (size_t i = 0; i < m->nconns; i++)
        if (!m->server[m->conns[i]->server].hung)
            conn_tick(m->conns[i]);
    if (m->server[0].up && !m->server[0].hung)
        js_tick(m);
    sub_sweep(m);
}

/* --- what checkers read ----------------------------------------------------------------------------------- */

size_t model_publish(model *m, str subject, str reply, str header, str data, uint64_t now)
{
    routed msg = { .to = subject, .subject = subject, .reply = reply, .header = header, .data = data };
    m->now = now > m->now ? now : m->now;
    size_t delivered = route(m, &msg);
    delivered += js_take(m, &msg) ? 1 : 0;
    sub_sweep(m);
    return delivered;
}

void model_watch(model *m, const model_watcher *watcher)
{
    m->watcher = *watcher;
}

size_t model_faults(const model *m)
{
    return m->nfaults;
}

const char *model_fault(const model *m, size_t i)
{
    return i < m->nfaults && i < FAULTS_KEPT ? m->faults[i] : NULL;
}

size_t model_conns(const model *m)
{
    return m->nconns;
}

model_conn *model_conn_at(const model *m, size_t i)
{
    return m->conns[i];
}

bool model_conn_ready(const model_conn *c)
{
    return c->phase == CONN_READY;
}

unsigned model_conn_server(const model_conn *c)
{
    return c->server;
}

bool model_conn_injected(const model_conn *c)
{
    return c->injected;
}

size_t model_info_len(const model_conn *c)
{
    return c->info_len;
}

size_t model_subs(const model_conn *c)
{
    return c->subs;
}

bool model_sub_find(const model_conn *c, uint64_t sid, model_sub_view *out)
{
    for (size_t i = 0; i < c->m->nsubs; i++) {
        const model_sub *s = &c->m->subs[i];
        if (s->conn == c && s->sid == sid) {
            *out = (model_sub_view){ s->sid, s->max, s->count, str_of(s->subject), str_of(s->queue) };
            return true;
        }
    }
    return false;
}
