/* SPDX-License-Identifier: Apache-2.0 */
/* What the server model makes of a client that begins: TLS and tokens that are good once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "support/check.h"
#include "world.h"

static void say(model_conn *c, const char *text)
{
    model_feed(c, text, strlen(text), 1);
}

static char *take_output(model_conn *c)
{
    char *text = str_dup(model_output(c));
    model_consume(c, model_output(c).len);
    return text;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

#define TLS_CONNECT(said, more)                                                                                            \
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1,\"tls_required\":" said \
        more "}\r\nPING\r\n"

static void test_tls(void **state)
{
    static const struct {
        const char *name;
        model_tls tls;
        bool strips;
        const char *info, *says, *hears; /* |info| NULL: nothing before the hello */
        size_t faults;
    } cases[] = {
        { "none, in clear", MODEL_TLS_NONE, false, "INFO", TLS_CONNECT("false", ""), "PONG\r\n", 0 },
        { "none, begun", MODEL_TLS_NONE, false, "INFO", "\x16", "", 1 },
        { "offered, in clear", MODEL_TLS_OFFERED, false, "\"tls_available\":true", TLS_CONNECT("false", ""), "PONG\r\n",
          0 },
        { "offered, begun", MODEL_TLS_OFFERED, false, "INFO", "\x16" TLS_CONNECT("true", ""), "\x16PONG\r\n", 0 },
        { "begun, not said", MODEL_TLS_OFFERED, false, "INFO", "\x16" TLS_CONNECT("false", ""), "\x16PONG\r\n", 1 },
        { "said, not begun", MODEL_TLS_OFFERED, false, "INFO", TLS_CONNECT("true", ""), "PONG\r\n", 1 },
        { "required, in clear", MODEL_TLS_REQUIRED, false, "\"tls_required\":true", "PING\r\n", "TLS Required'\r\n",
          1 },
        { "required, begun", MODEL_TLS_REQUIRED, false, "INFO", "\x16" TLS_CONNECT("true", ""), "\x16PONG\r\n", 0 },
        { "stripped", MODEL_TLS_REQUIRED, true, "INFO", TLS_CONNECT("false", ""), "TLS Required'\r\n", 0 },
        { "first, in clear", MODEL_TLS_FIRST, false, NULL, "PING\r\n", "TLS Required'\r\n", 1 },
        { "first, begun", MODEL_TLS_FIRST, false, NULL, "\x16" TLS_CONNECT("true", ""), "PONG\r\n", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        model *m = model_new(&(model_options){ .tls = cases[i].tls, .minor = 10 }, 1, 0);
        if (cases[i].strips)
            model_tamper(m, MODEL_WIRE_STRIPS);
        model_conn *c = model_accept(m, 0, 0);
        char *info = take_output(c);
        say(c, cases[i].says);
        char *heard = take_output(c);
        CHECK(cases[i].name, cases[i].info != NULL ? strstr(info, cases[i].info) != NULL : info[0] == '\0');
        CHECK(cases[i].name, !cases[i].strips || strstr(info, "tls_") == NULL);
        CHECK(cases[i].name, ends_with(heard, cases[i].hears));
        if (cases[i].info == NULL && cases[i].faults == 0)
            CHECK(cases[i].name, strncmp(heard, "\x16INFO {", 7) == 0);
        CHECK(cases[i].name, model_faults(m) == cases[i].faults);
        free(info);
        free(heard);
        model_free(m);
    }
}

static void test_client_that_does_not_begin_tls(void **state)
{
    model *m = model_new(&(model_options){ .tls = MODEL_TLS_REQUIRED, .ping_interval_ns = SIM_S }, 1, 0);
    model_conn *c = model_accept(m, 0, 0);
    (void)state;
    model_consume(c, model_output(c).len);
    while (!model_closing(c) && model_deadline(m) != SIM_NEVER)
        model_tick(m, model_deadline(m));
    CHECK("closed without a word in clear", model_closing(c) && model_output(c).len == 0);
    model_free(m);
}

static void test_issued_tokens(void **state)
{
    model *m = model_new(&(model_options){ .issues_tokens = true, .minor = 10 }, 1, 0);
    static const char *const said[] = { "one", "one", "two", "three" };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char text[256];
        if (i != 1) /* a token is good once */
            model_issue(m, i == 2 ? "2" : said[i]);
        model_set_password(m, i == 3 ? "other" : NULL);
        model_conn *c = model_accept(m, 0, 0);
        snprintf(text, sizeof text, TLS_CONNECT("false", ",\"auth_token\":\"%s\""), said[i]);
        say(c, text);
        char *heard = take_output(c);
        CHECK(said[i], ends_with(heard, i == 0 ? "PONG\r\n" : "-ERR 'Authorization Violation'\r\n"));
        free(heard);
    }
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_client_that_does_not_begin_tls),
        cmocka_unit_test(test_issued_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
