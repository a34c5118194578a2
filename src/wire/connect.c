/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/connect.h"

#include "base/json_write.h"

#include <nbj/version.h>

static void put_if_any(nbj__json_writer *w, const char *name, nbj_bytes text)
{
    if (text.len > 0)
        nbj__json_put_text(w, name, text);
}

static void put_credentials(nbj__json_writer *w, const nbj__connect *c)
{
    put_if_any(w, "user", c->user);
    put_if_any(w, "pass", c->password);
    put_if_any(w, "auth_token", c->auth_token);
    put_if_any(w, "jwt", c->jwt);
    put_if_any(w, "nkey", c->nkey);
    put_if_any(w, "sig", c->signature);
}

nbj_status nbj__emit_connect(nbj__buf *out, const nbj__connect *c)
{
    nbj_status st = nbj__buf_append(out, "CONNECT ", 8);

    if (st != NBJ_OK)
        return st;
    nbj__json_writer w = nbj__json_begin(out);
    nbj__json_put_bool(&w, "verbose", c->verbose);
    nbj__json_put_bool(&w, "pedantic", c->pedantic);
    nbj__json_put_bool(&w, "tls_required", c->tls);
    nbj__json_put_text(&w, "lang", nbj_str("c-nbj"));
    nbj__json_put_text(&w, "version", nbj_str(NBJ_VERSION));
    put_if_any(&w, "name", c->name);
    nbj__json_put_i64(&w, "protocol", 1); /* 1: we take later INFOs */
    nbj__json_put_bool(&w, "echo", !c->no_echo);
    nbj__json_put_bool(&w, "headers", c->headers);
    nbj__json_put_bool(&w, "no_responders", c->headers); /* a server refuses it without headers */
    put_credentials(&w, c);
    st = nbj__json_end(&w);
    return st == NBJ_OK ? nbj__buf_append(out, "\r\n", 2) : st;
}
