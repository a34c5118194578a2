/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the server model: the operations in its input, CONNECT and authentication, pings, its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

void conn_close(model_conn *c)
{
    if (c->phase == CONN_CLOSED)
        return;
    c->phase = CONN_CLOSED;
    sub_remove_all(c);
    buf_clear(&c->in);
}

void conn_error(model_conn *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_text(&c->out, "-ERR '");
    buf_vprintf(&c->out, format, args);
    buf_text(&c->out, "'\r\n");
    va_end(args);
}

void conn_send_info(model_conn *c, bool connect_info)
{
    server_write_info(c, connect_info, &c->out);
}

static void grammar_fault(model_conn *c, const char *what, str line)
{
    model_blame(c->m, "grammar: %s: %.*s", what, line.len > 80 ? 80 : (int)line.len, line.ptr);
    conn_error(c, "Unknown Protocol Operation");
    conn_close(c);
}

/* --- TLS, of which there is only the beginning ------------------------------------------------------------ */

bool conn_needs_tls(const model_conn *c)
{
    return c->m->opt.tls >= MODEL_TLS_REQUIRED && !c->trusted && !c->secured;
}

static void begin_tls(model_conn *c)
{
    model *m = c->m;
    c->secured = true;
    c->auth_deadline = conn_needs_auth(c) ? m->now + m->opt.auth_timeout_ns : SIM_NEVER;
    buf_printf(&c->out, "%c", MODEL_HELLO);
    if (m->opt.tls == MODEL_TLS_FIRST)
        conn_send_info(c, false);
    c->info_len = m->opt.tls == MODEL_TLS_FIRST ? buf_len(&c->out) : c->info_len + 1;
    buf_drop(&c->in, 1);
}

/* The first octet shows whether TLS begins. */
static void greet(model_conn *c)
{
    bool hello = buf_view(&c->in).ptr[0] == MODEL_HELLO;
    c->greeted = true;
    if (hello && c->m->opt.tls != MODEL_TLS_NONE) {
        begin_tls(c);
    } else if (hello) {
        model_blame(c->m, "TLS is begun where there is none");
        conn_close(c);
    } else if (conn_needs_tls(c)) {
        if (!c->stripped) /* else nobody has told the client */
            model_blame(c->m, "octets in clear where TLS is required");
        conn_error(c, "Secure Connection - TLS Required");
        conn_close(c);
    }
}

/* --- CONNECT ---------------------------------------------------------------------------------------------- */

static const struct connect_field {
    const char *key;
    jv_kind kind;
} connect_fields[] = {
    { "verbose", JV_BOOL }, { "pedantic", JV_BOOL },      { "tls_required", JV_BOOL }, { "echo", JV_BOOL },
    { "headers", JV_BOOL }, { "no_responders", JV_BOOL }, { "lang", JV_TEXT },         { "version", JV_TEXT },
    { "name", JV_TEXT },    { "user", JV_TEXT },          { "pass", JV_TEXT },         { "auth_token", JV_TEXT },
    { "nkey", JV_TEXT },    { "jwt", JV_TEXT },           { "sig", JV_TEXT },          { "protocol", JV_INT },
};

static void check_connect(const model_conn *c, const jv *object)
{
    model *m = c->m;
    static const char *const wanted[] = { "verbose", "pedantic", "lang", "version", "protocol" };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (jv_get(object, wanted[i]) == NULL)
            model_blame(m, "CONNECT without %s", wanted[i]);
    for (const jv *f = object->child; f != NULL; f = f->next) {
        size_t i = 0, n = sizeof connect_fields / sizeof connect_fields[0];
        while (i < n && !str_is(f->key, connect_fields[i].key))
            i++;
        if (i == n || f->kind != connect_fields[i].kind)
            model_blame(m, "CONNECT: unknown field or wrong type: %.*s", (int)f->key.len, f->key.ptr);
    }
    if (jv_true(object, "no_responders") && !jv_true(object, "headers"))
        model_blame(m, "CONNECT: no_responders without headers");
    if (jv_true(object, "tls_required") != c->secured)
        model_blame(m, "CONNECT: tls_required is %s", c->secured ? "missing inside TLS" : "said in clear");
}

/* The model's "signature" of a nonce, so that the harness needs no cryptography: "signed:" before it. */
static bool signature_fits(const model_conn *c, str sig)
{
    return str_starts(sig, "signed:") && str_is(str_skip(sig, 7), c->nonce);
}

bool conn_needs_auth(const model_conn *c)
{
    const model_options *o = &c->m->opt;
    return o->user != NULL || o->token != NULL || o->nkey != NULL || o->issues_tokens;
}

/* A token is good for one connection. */
static bool token_fits(model *m, str token)
{
    bool fits = m->issued[0] != '\0' && m->password == NULL && str_is(token, m->issued);
    if (fits)
        m->issued[0] = '\0';
    return fits;
}

static bool authorized(const model_conn *c, const jv *object)
{
    const model_options *o = &c->m->opt;
    if (c->trusted)
        return true;
    if (o->issues_tokens)
        return token_fits(c->m, jv_str(object, "auth_token"));
    if (o->token != NULL)
        return str_is(jv_str(object, "auth_token"), o->token);
    if (o->nkey != NULL)
        return str_is(jv_str(object, "nkey"), o->nkey) && signature_fits(c, jv_str(object, "sig"));
    const char *pass = c->m->password != NULL ? c->m->password : o->pass;
    if (o->user != NULL)
        return str_is(jv_str(object, "user"), o->user) && str_is(jv_str(object, "pass"), pass);
    return true;
}

static bool flag(const jv *object, const char *key, bool otherwise)
{
    return jv_get(object, key) != NULL ? jv_true(object, key) : otherwise;
}

static void apply_connect(model_conn *c, const jv *object)
{
    c->verbose = flag(object, "verbose", true);
    c->pedantic = flag(object, "pedantic", true);
    c->echo = flag(object, "echo", true);
    c->headers = flag(object, "headers", false) && !c->m->opt.no_headers;
    c->no_responders = flag(object, "no_responders", false);
    c->async_info = jv_int(object, "protocol", 0) >= 1;
    if (!authorized(c, object)) {
        conn_error(c, "Authorization Violation");
        conn_close(c);
        return;
    }
    if (c->no_responders && !c->headers) {
        conn_error(c, "no responders requires headers support");
        conn_close(c);
        return;
    }
    c->phase = CONN_READY;
    c->auth_deadline = SIM_NEVER;
    if (c->verbose)
        buf_text(&c->out, "+OK\r\n");
}

static void on_connect(model_conn *c, const client_op *op)
{
    jv_doc doc = jv_parse(op->json);
    if (c->phase == CONN_READY)
        model_blame(c->m, "second CONNECT");
    if (doc.error != NULL || doc.root->kind != JV_OBJECT) {
        grammar_fault(c, doc.error != NULL ? doc.error : "CONNECT without an object", op->json);
    } else {
        check_connect(c, doc.root);
        apply_connect(c, doc.root);
    }
    jv_free(&doc);
}

/* --- operations ------------------------------------------------------------------------------------------- */

static void on_ping(model_conn *c)
{
    buf_text(&c->out, "PONG\r\n");
    if (c->phase == CONN_READY && !c->ponged) {
        c->ponged = true;
        if (c->m->opt.minor >= 12 && c->async_info)
            conn_send_info(c, true);
    }
}

static void on_publish(model_conn *c, const client_op *op)
{
    const char *wrong = NULL;
    if (op->total > c->m->opt.max_payload) {
        model_blame(c->m, "publish of %llu octets is above max_payload", (unsigned long long)op->total);
        conn_error(c, "Maximum Payload Violation");
        conn_close(c);
        return;
    }
    if (op->verb == OP_HPUB && !c->headers)
        wrong = "HPUB without headers support";
    else if (op->header_len > op->total)
        wrong = "header longer than the whole";
    if (wrong != NULL) { /* a real server closes without a word */
        model_blame(c->m, "grammar: %s", wrong);
        conn_close(c);
        return;
    }
    buf_clear(&c->op_text);
    buf_str(&c->op_text, op->subject);
    buf_str(&c->op_text, op->reply);
    c->op = *op;
    c->op.subject = (str){ c->op_text.mem, op->subject.len };
    c->op.reply = (str){ c->op_text.mem + op->subject.len, op->reply.len };
    c->awaits_payload = true;
}

static void run_op(model_conn *c, const client_op *op)
{
    bool guarded = c->auth_deadline != SIM_NEVER;
    if (c->phase == CONN_NEW && op->verb != OP_CONNECT) {
        model_blame(c->m, "an operation before CONNECT");
        if (guarded) {
            conn_error(c, "Authorization Violation");
            conn_close(c);
            return;
        }
    }
    switch (op->verb) {
    case OP_CONNECT:
        on_connect(c, op);
        break;
    case OP_PUB:
    case OP_HPUB:
        on_publish(c, op);
        break;
    case OP_SUB:
        sub_add(c, op);
        break;
    case OP_UNSUB:
        sub_remove(c, op->sid, op->max);
        break;
    case OP_PING:
        on_ping(c);
        break;
    case OP_PONG:
        c->pings_out = 0;
        break;
    case OP_UNKNOWN:
        break;
    }
}

static bool take_payload(model_conn *c)
{
    str in = buf_view(&c->in);
    size_t total = (size_t)c->op.total;
    if (in.len < total + 2)
        return false;
    str whole = { in.ptr, total };
    c->awaits_payload = false;
    if (memcmp(in.ptr + total, "\r\n", 2) != 0) {
        grammar_fault(c, "payload does not end in CRLF", whole);
        return true;
    }
    str header = { whole.ptr, (size_t)c->op.header_len }, data = str_skip(whole, header.len);
    const char *wrong = c->op.verb == OP_HPUB ? check_header_block(header) : NULL;
    if (wrong != NULL)
        model_blame(c->m, "grammar: %s", wrong);
    route_publish(c, &c->op, header, data);
    buf_drop(&c->in, total + 2);
    return true;
}

static bool take_line(model_conn *c)
{
    client_op op;
    str in = buf_view(&c->in);
    const char *end = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
    size_t len = end != NULL ? (size_t)(end - in.ptr) : in.len;
    if (len > c->m->opt.max_line) {
        model_blame(c->m, "grammar: control line of %zu octets", len);
        conn_error(c, "maximum control line exceeded");
        conn_close(c);
        return true;
    }
    if (end == NULL)
        return false;
    str line = { in.ptr, len > 0 && in.ptr[len - 1] == '\r' ? len - 1 : len };
    if (line.len == len)
        model_blame(c->m, "grammar: line ends in a bare LF: %.*s", (int)line.len, line.ptr);
    const char *wrong = parse_client_op(line, &op);
    if (wrong != NULL)
        grammar_fault(c, wrong, line);
    else
        run_op(c, &op);
    buf_drop(&c->in, len + 1); /* after the operation: its views point into the input */
    return true;
}

void conn_process(model_conn *c)
{
    if (c->phase == CONN_NEW && !c->greeted && buf_len(&c->in) > 0)
        greet(c);
    while (c->phase != CONN_CLOSED && (c->awaits_payload ? take_payload(c) : take_line(c)))
        ;
    sub_sweep(c->m);
}

/* --- time ------------------------------------------------------------------------------------------------- */

static void ping_or_give_up(model_conn *c)
{
    const model *m = c->m;
    uint64_t idle_since = c->last_input;
    c->next_ping = m->now + m->opt.ping_interval_ns;
    if (idle_since != 0 && m->now - idle_since < m->opt.ping_interval_ns && c->pings_out == 0 && c->ponged)
        return;
    if (c->pings_out >= m->opt.max_pings_out) {
        conn_error(c, "Stale Connection");
        conn_close(c);
        return;
    }
    c->pings_out++;
    buf_text(&c->out, "PING\r\n");
}

void conn_tick(model_conn *c)
{
    uint64_t now = c->m->now;
    if (c->phase == CONN_CLOSED)
        return;
    if (now >= c->close_at) {
        conn_close(c);
    } else if (c->phase == CONN_NEW && now >= c->auth_deadline) {
        if (!conn_needs_tls(c)) /* else it would be in clear */
            conn_error(c, "Authentication Timeout");
        conn_close(c);
    } else if (now >= c->next_ping && (c->greeted || c->trusted || c->m->opt.tls == MODEL_TLS_NONE)) {
        ping_or_give_up(c);
    } else if (now >= c->next_ping) { /* it waits for the first octet */
        c->next_ping = now + c->m->opt.ping_interval_ns;
    }
}

uint64_t conn_deadline(const model_conn *c)
{
    uint64_t due = c->close_at < c->next_ping ? c->close_at : c->next_ping;
    if (c->phase == CONN_CLOSED)
        return SIM_NEVER;
    return c->phase == CONN_NEW && c->auth_deadline < due ? c->auth_deadline : due;
}
