/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own parts: an oracle that is wrong finds nothing, or finds what is not there. */
#include "check.h"
#include "model_int.h"
#include "net.h"
#include "payload.h"
#include "player.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO                                                                                        \
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1," \
    "\"headers\":true,\"no_responders\":true}\r\n"

static model_conn *connect_to(model *m, unsigned server, uint64_t now)
{
    model_conn *c = model_accept(m, server, now);
    assert_non_null(c);
    model_consume(c, model_output(c).len);
    model_feed(c, HELLO, sizeof HELLO - 1, now);
    return c;
}

static void say(model_conn *c, const char *text, uint64_t now)
{
    model_feed(c, text, strlen(text), now);
}

/* What |c| wrote since the last call contains |text|; taken out. */
static bool wrote(model_conn *c, const char *text)
{
    char *all = str_dup(model_output(c));
    bool found = strstr(all, text) != NULL;
    model_consume(c, model_output(c).len);
    free(all);
    return found;
}

/* --- the strict parser -------------------------------------------------------------------------------------- */

static const struct {
    const char *line;
    bool fine;
} lines[] = {
    { "PING", true },
    { "PONG", true },
    { "PING ", false },
    { "ping", false },
    { "", false },
    { "PUB a 5", true },
    { "PUB a r 5", true },
    { "PUB a  5", false },
    { "PUB a 05", false },
    { "PUB a -5", false },
    { "PUB a", false },
    { "PUB a b c 5", false },
    { "PUB a 4294967296", false },
    { "PUB a 5 ", false },
    { " PUB a 5", false },
    { "HPUB a 12 17", true },
    { "HPUB a r 12 17", true },
    { "HPUB a 12", false },
    { "HPUB a b c 12 17", false },
    { "SUB a 1", true },
    { "SUB a q 1", true },
    { "SUB a 0", false },
    { "SUB a x", false },
    { "SUB a q q 1", false },
    { "SUB a q\t1", false },
    { "UNSUB 1", true },
    { "UNSUB 1 5", true },
    { "UNSUB 1 0", false },
    { "UNSUB", false },
    { "CONNECT {}", true },
    { "CONNECT", false },
    { "CONNECT x", false },
    { "SUB a 18446744073709551616", false },
};

static void test_parser(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        client_op op;
        CHECK(lines[i].line, (parse_client_op(str_of(lines[i].line), &op) == NULL) == lines[i].fine);
    }
}

static const struct {
    const char *text;
    bool literal, filter;
} subjects[] = {
    { "a", true, true },    { "a.b", true, true },     { "a..b", false, false },  { ".a", false, false },
    { "a.", false, false }, { "", false, false },      { "a b", false, false },   { "a.*", false, true },
    { "a.>", false, true }, { ">", false, true },      { "a.>.b", false, false }, { "a*", true, true },
    { "a>", true, true },   { "a\x7f", false, false }, { "*.*", false, true },
};

static void test_subjects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        CHECK(subjects[i].text, (check_subject(str_of(subjects[i].text), false) == NULL) == subjects[i].literal);
        CHECK(subjects[i].text, (check_subject(str_of(subjects[i].text), true) == NULL) == subjects[i].filter);
    }
    static const char *const pairs[][3] = { { "a.*", "a.b", "y" },   { "a.*", "a.b.c", "n" }, { "a.>", "a", "n" },
                                            { "a.>", "a.b.c", "y" }, { ">", "a", "y" },       { "a", "a.b", "n" },
                                            { "a.b", "a", "n" },     { "*", "a", "y" },       { "*.b", "a.b", "y" },
                                            { "*.b", "a.c", "n" },   { "a.*", "a.>", "n" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        CHECK(pairs[i][0], model_subject_matches(str_of(pairs[i][0]), str_of(pairs[i][1])) == (pairs[i][2][0] == 'y'));
}

static const struct {
    const char *block;
    bool fine;
} blocks[] = {
    { "NATS/1.0\r\nA: b\r\n\r\n", true },   { "NATS/1.0\r\nA: \r\n\r\n", true },   { "NATS/1.0\r\n\r\n", false },
    { "NATS/1.0\r\nA:b\r\n\r\n", false },   { "NATS/1.0\r\nA b\r\n\r\n", false },  { "NATS/1.0\r\n: b\r\n\r\n", false },
    { "NATS/1.0\r\nA : b\r\n\r\n", false }, { "NATS/1.0\r\nA: b\r\n", false },     { "NATS/1.0\nA: b\n\n", false },
    { "NATS/1.0\r\nA: b\r\n\r\nx", false }, { "NATS/1.1\r\nA: b\r\n\r\n", false }, { "", false },
};

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        CHECK(blocks[i].block, (check_header_block(str_of(blocks[i].block)) == NULL) == blocks[i].fine);
    str block = str_of("NATS/1.0 503\r\nKey: one\r\nkey: two\r\nKey: three\r\n\r\n");
    CHECK("first of its case", str_is(model_header(block, "Key"), "one"));
    CHECK("other case", str_is(model_header(block, "key"), "two"));
    CHECK("absent", model_header(block, "Ke").ptr == NULL);
}

/* Each of these has to be noticed. */
static const char *const crimes[] = {
    "PING\r\n",
    HELLO HELLO,
    HELLO "PUB a  1\r\nx\r\n",
    HELLO "PUB a..b 1\r\nx\r\n",
    HELLO "PUB a.* 1\r\nx\r\n",
    HELLO "PUB a b.* 1\r\nx\r\n",
    HELLO "SUB a..b 1\r\n",
    HELLO "SUB a 1\r\nSUB b 1\r\n",
    HELLO "PUB a 1\r\nxx\r\n",
    HELLO "PUB a 2000\r\n",
    HELLO "PING\n",
    HELLO "HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n",
    HELLO "HPUB a 13 12\r\n",
    HELLO "BLAH\r\n",
    "CONNECT {\"verbose\":false}\r\n",
    "CONNECT {\"verbose\":0,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n",
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1,\"foo\":1}\r\n",
    HELLO "PUB $JS.API.STREAM.CREATE.S 12\r\n{\"name\":\"S\",\r\n",
    HELLO "PUB $JS.API.STREAM.CREATE.S 22\r\n{\"name\":\"S\",\"max_mgs\":1}\r\n",
    HELLO "PUB $JS.API.STREAM.CREATE.S 25\r\n{\"name\":\"S\",\"max_msgs\":\"1\"}\r\n",
    HELLO "PUB $JS.API.NO.SUCH.CALL 0\r\n\r\n",
    HELLO "PUB $JS.ACK.S.C.1 0\r\n\r\n",
};

static void test_crimes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        model *m = model_new(&(model_options){ .max_payload = 1000 }, 1, 0);
        model_conn *c = model_accept(m, 0, 0);
        say(c, crimes[i], 1);
        CHECK(crimes[i], model_faults(m) > 0);
        model_free(m);
    }
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    say(c,
        "SUB a.> q 1\r\nUNSUB 1 3\r\nHPUB a.b r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\nPUB a 0\r\n\r\nPING\r\n"
        "PONG\r\nUNSUB 9\r\n",
        1);
    CHECK("the law-abiding", model_faults(m) == 0);
    CHECK("got its message", wrote(c, "HMSG a.b 1 r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n"));
    model_free(m);
}

/* --- transcripts -------------------------------------------------------------------------------------------- */

static void play_all(unsigned minor, unsigned patch, size_t chunk, buf *out)
{
    for (size_t g = 0; g < scenario_group_count; g++)
        for (const scenario *s = scenario_groups[g].scenarios; s->name != NULL; s++) {
            player p;
            buf received[TRANSCRIPT_CONNS] = { { 0 } };
            player_open(&p, &scenario_groups[g], minor, patch, chunk);
            for (str rest = str_of(s->script); rest.len > 0;)
                player_step(&p, str_cut(&rest, '\n'), received);
            for (size_t i = 0; i < TRANSCRIPT_CONNS; i++) {
                buf_printf(out, "%s %c\n", s->name, 'A' + (int)i);
                buf_str(out, buf_view(&received[i]));
                buf_free(&received[i]);
            }
            player_free(&p);
        }
}

/* However the network cuts what a client writes, the server says the same. */
static void test_splits(void **state)
{
    static const unsigned versions[][2] = { { 9, 10 }, { 10, 27 }, { 15, 1 } };
    (void)state;
    for (size_t v = 0; v < 3; v++) {
        buf whole = { 0 };
        play_all(versions[v][0], versions[v][1], 0, &whole);
        CHECK("the transcripts say something", buf_len(&whole) > 10000);
        for (size_t chunk = 1; chunk <= 7; chunk += 2) {
            buf split = { 0 };
            play_all(versions[v][0], versions[v][1], chunk, &split);
            CHECK("split", str_eq(buf_view(&whole), buf_view(&split)));
            buf_free(&split);
        }
        buf_free(&whole);
    }
}

/* --- servers ------------------------------------------------------------------------------------------------ */

static void call_api(model_conn *c, const char *call, const char *body, uint64_t now)
{
    char text[400];
    snprintf(text, sizeof text, "PUB $JS.API.%s %zu\r\n%s\r\n", call, strlen(body), body);
    say(c, text, now);
}

static void make_streams(model_conn *c)
{
    call_api(c, "STREAM.CREATE.S", "{\"name\":\"S\",\"storage\":\"file\"}", 1);
    call_api(c, "STREAM.CREATE.M", "{\"name\":\"M\",\"storage\":\"memory\"}", 1);
}

static void test_kill(void **state)
{
    model_stream_view v;
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    (void)state;
    make_streams(c);
    say(c, "PUB S 1\r\na\r\nPUB M 1\r\na\r\n", 2);
    assert_int_equal(model_faults(m), 0);
    CHECK("stored",
          model_stream_find(m, "S", &v) && v.messages == 1 && model_stream_find(m, "M", &v) && v.messages == 1);
    model_kill(m, 0, 3);
    CHECK("the connection is gone", model_closing(c) && model_output(c).len == 0 && model_accept(m, 0, 3) == NULL);
    model_restart(m, 0, 4);
    CHECK("file stays", model_stream_find(m, "S", &v) && v.messages == 1 && v.last_seq == 1);
    CHECK("memory goes", !model_stream_find(m, "M", &v));
    model_free(m);
}

static void test_hang(void **state)
{
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    (void)state;
    model_hang(m, 0, true, 1);
    say(c, "PING\r\n", 2);
    CHECK("says nothing", model_output(c).len == 0 && model_deadline(m) == SIM_NEVER);
    model_hang(m, 0, false, 3);
    CHECK("answers late", wrote(c, "PONG\r\n"));
    model_free(m);
}

static void test_lame_duck(void **state)
{
    model *m = model_new(&(model_options){ .servers = 2, .advertise = true }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    (void)state;
    say(c, "PING\r\n", 1);
    model_consume(c, model_output(c).len);
    model_lame_duck(m, 0, 2);
    char *told = str_dup(model_output(c));
    CHECK("told", strstr(told, "\"ldm\":true") != NULL && strstr(told, "sim1:4222") != NULL &&
                      strstr(told, "sim0:4222") == NULL);
    free(told);
    CHECK("takes nobody", model_accept(m, 0, 3) == NULL);
    for (uint64_t at = model_deadline(m); at < SIM_NEVER && model_is_up(m, 0); at = model_deadline(m))
        model_tick(m, at);
    CHECK("closed in the end", model_closing(c) && !model_is_up(m, 0));
    model_free(m);
}

static void test_stale(void **state)
{
    model *m = model_new(&(model_options){ .ping_interval_ns = SIM_S }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    (void)state;
    for (int i = 0; i < 10 && !model_closing(c); i++)
        model_tick(m, model_deadline(m));
    CHECK("closed", model_closing(c) && wrote(c, "-ERR 'Stale Connection'\r\n"));
    model_free(m);
}

static void test_nonce(void **state)
{
    char text[256];
    model *m = model_new(&(model_options){ .nkey = "UX" }, 7, 0);
    (void)state;
    for (int right = 0; right < 2; right++) {
        model_conn *c = model_accept(m, 0, 0);
        jv_doc info = jv_parse(str_skip(model_output(c), 5));
        assert_null(info.error);
        str nonce = jv_str(info.root, "nonce");
        snprintf(text, sizeof text,
                 "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1,"
                 "\"nkey\":\"UX\",\"sig\":\"signed:%.*s%s\"}\r\nPING\r\n",
                 (int)nonce.len, nonce.ptr, right ? "" : "x");
        jv_free(&info);
        say(c, text, 1);
        CHECK(right ? "let in" : "refused", wrote(c, right ? "PONG\r\n" : "-ERR 'Authorization Violation'\r\n"));
    }
    model_free(m);
}

static void test_queue_is_shared(void **state)
{
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *a = connect_to(m, 0, 0), *b = connect_to(m, 0, 0);
    size_t got[2] = { 0, 0 };
    (void)state;
    say(a, "SUB w q 1\r\n", 1);
    say(b, "SUB w q 1\r\n", 1);
    for (int i = 0; i < 100; i++) {
        CHECK("one takes it", model_publish(m, str_of("w"), str_of(""), str_of(""), str_of("x"), 2) == 1);
        bool first = wrote(a, "MSG w 1 1\r\n"), second = wrote(b, "MSG w 1 1\r\n");
        CHECK("only one", first != second);
        got[first ? 0 : 1]++;
    }
    CHECK("both work", got[0] > 20 && got[1] > 20);
    model_free(m);
}

static void test_trouble(void **state)
{
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    model_stream_view v;
    (void)state;
    make_streams(c);
    say(c, "SUB I 1\r\n", 1);
    model_set_trouble(m, MODEL_JS_NO_QUORUM);
    say(c, "PUB S I 1\r\na\r\n", 2);
    CHECK("no responders", wrote(c, "NATS/1.0 503\r\n"));
    model_set_trouble(m, MODEL_JS_OVERLOADED);
    say(c, "PUB S I 1\r\na\r\n", 2);
    CHECK("429", wrote(c, "NATS/1.0 429 Too Many Requests\r\n"));
    model_set_trouble(m, MODEL_JS_DEAF);
    say(c, "PUB S I 1\r\na\r\n", 2);
    CHECK("nothing", model_output(c).len == 0 && model_stream_find(m, "S", &v) && v.messages == 0);
    model_set_trouble(m, MODEL_JS_MUTE);
    say(c, "PUB S I 1\r\na\r\n", 2);
    CHECK("stored in silence", model_output(c).len == 0 && model_stream_find(m, "S", &v) && v.messages == 1);
    model_set_trouble(m, MODEL_JS_FINE);
    say(c, "PUB S I 1\r\na\r\n", 2);
    CHECK("as always", wrote(c, "{\"stream\":\"S\",\"seq\":2}"));
    model_free(m);
}

static void test_ack_forgery(void **state)
{
    model *m = model_new(&(model_options){ 0 }, 1, 0);
    model_conn *c = connect_to(m, 0, 0);
    (void)state;
    make_streams(c);
    call_api(c, "CONSUMER.CREATE.S.C",
             "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\"ack_policy\":\"explicit\"}}", 1);
    say(c, "PUB S 1\r\na\r\nSUB N 1\r\nPUB $JS.API.CONSUMER.MSG.NEXT.S.C N 1\r\n1\r\n", 2);
    CHECK("delivered", wrote(c, "MSG S 1 $JS.ACK.S.C.1.1.1.") && model_faults(m) == 0);
    say(c, "PUB $JS.ACK.S.C.1.1.1.1795434999000000000.0 0\r\n\r\n", 3);
    CHECK("another time than the message's", model_faults(m) == 1);
    model_free(m);
}

/* --- tools -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    bool fine;
} documents[] = {
    { "{}", true },
    { "[]", true },
    { " {\"a\":[1,-2,3.5e+7,true,false,null,\"x\\u00e9\\n\"]} ", true },
    { "{\"a\":1,}", false },
    { "{\"a\":1 \"b\":2}", false },
    { "{\"a\":1,\"a\":2}", false },
    { "{'a':1}", false },
    { "[1 2]", false },
    { "[01]", false },
    { "[1.]", false },
    { "[-]", false },
    { "[1e]", false },
    { "\"\\x\"", false },
    { "\"a", false },
    { "\"\n\"", false },
    { "\"\\ud800\"", false },
    { "\"\\ud83d\\ude00\"", true },
    { "{} x", false },
    { "", false },
    { "tru", false },
    { "[18446744073709551615]", true },
    { "[18446744073709551616]", false },
};

static void test_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        jv_doc d = jv_parse(str_of(documents[i].text));
        CHECK(documents[i].text, (d.error == NULL) == documents[i].fine);
        jv_free(&d);
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    jv_doc d = jv_parse((str){ deep, sizeof deep });
    CHECK("too deep", d.error != NULL);
    jv_free(&d);
}

static void note_order(void *owner, uint64_t argument)
{
    buf_printf(owner, "%d", (int)argument);
}

static void test_world(void **state)
{
    buf first = { 0 }, again = { 0 }, other = { 0 };
    buf *out[] = { &first, &again, &other };
    (void)state;
    for (size_t run = 0; run < 3; run++) {
        world w;
        world_init(&w, run < 2 ? 1 : 2, 100);
        for (uint64_t i = 0; i < 8; i++)
            world_at(&w, 200, note_order, out[run], i);
        world_at(&w, 150, note_order, out[run], 9);
        uint64_t never = world_at(&w, 160, note_order, out[run], 8);
        world_at(&w, 50, note_order, out[run], 7);
        world_cancel(&w, never);
        while (world_step(&w))
            ;
        CHECK("time stands at the last event", w.now == 200 && w.events == 10);
        world_free(&w);
    }
    CHECK("by time", str_starts(buf_view(&first), "79"));
    CHECK("the same seed, the same order", str_eq(buf_view(&first), buf_view(&again)));
    CHECK("another seed, another order of equals", !str_eq(buf_view(&first), buf_view(&other)));
    buf_free(&first);
    buf_free(&again);
    buf_free(&other);
}

static void test_rng(void **state)
{
    rng a = rng_for(1, "a"), same = rng_for(1, "a"), b = rng_for(1, "b");
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_log(&a, 10, 1000000);
        CHECK("in range", v >= 10 && v <= 1000000);
        CHECK("repeats", v == rng_log(&same, 10, 1000000));
        CHECK("below", rng_below(&b, 7) < 7);
    }
    CHECK("actors differ", rng_next(&a) != rng_next(&b));
}

static void test_payload(void **state)
{
    buf b = { 0 };
    char kind;
    uint64_t id;
    (void)state;
    payload_make(&b, 'P', 42, 100);
    CHECK("size", buf_len(&b) == 100);
    CHECK("says who it is", payload_read(buf_view(&b), &kind, &id) && kind == 'P' && id == 42);
    CHECK("is it", payload_is(buf_view(&b), 'P', 42, 100));
    CHECK("not another", !payload_is(buf_view(&b), 'P', 43, 100) && !payload_is(buf_view(&b), 'Q', 42, 100));
    b.mem[70] ^= 1;
    CHECK("a changed bit shows", !payload_is(buf_view(&b), 'P', 42, 100));
    buf_free(&b);
}

static void count_op(void *user, const client_op *op, str header, str data)
{
    buf_printf(user, "%d/%zu/%zu ", (int)op->verb, header.len, data.len);
}

static void test_tap(void **state)
{
    static const char stream[] =
        HELLO "SUB a 1\r\nHPUB a 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\nPUB a 0\r\n\r\nPING\r\n";
    (void)state;
    for (size_t chunk = 1; chunk < sizeof stream; chunk++) {
        buf heard = { 0 };
        tap t = { .heard = count_op, .user = &heard };
        for (size_t at = 0; at < sizeof stream - 1; at += chunk)
            tap_write(&t, stream + at, sizeof stream - 1 - at < chunk ? sizeof stream - 1 - at : chunk);
        CHECK("heard",
              t.error == NULL && tap_is_between(&t) && str_is(buf_view(&heard), "0/0/0 3/0/0 2/18/2 1/0/0 5/0/0 "));
        tap_free(&t);
        buf_free(&heard);
    }
}

/* --- the network -------------------------------------------------------------------------------------------- */

static void ignore(void *user)
{
    (void)user;
}

/* Dials, waits and writes HELLO and PING; what arrives at the client until nothing moves. */
static net_conn *talk(net *n, world *w, buf *got)
{
    char chunk[4096];
    net_conn *c = net_dial(n, 0);
    bool said = false;
    for (int i = 0; i < 1000 && world_peek(w) < 10 * (uint64_t)SIM_S; i++) {
        world_step(w);
        net_harvest(n);
        if (net_state_of(c) == NET_OPEN && !said)
            said = net_write(c, HELLO "PING\r\n", sizeof HELLO + 5) > 0;
        size_t len = net_read(c, chunk, sizeof chunk);
        buf_put(got, chunk, len);
    }
    return c;
}

static void test_net(void **state)
{
    static const size_t chunks[] = { 0, 1, 7, 512 };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        world w;
        net n;
        buf got = { 0 };
        world_init(&w, i, 0);
        model *m = model_new(&(model_options){ .minor = 10 }, 1, 0);
        net_init(&n, &w, m, i,
                 &(net_weather){ .delay_mean_ns = SIM_MS, .chunk = { chunks[i], chunks[i] }, .window = 1 << 16 },
                 ignore, NULL);
        net_conn *c = talk(&n, &w, &got);
        char *text = str_dup(buf_view(&got));
        CHECK("INFO and PONG", strncmp(text, "INFO {", 6) == 0 && strstr(text, "\r\nPONG\r\n") != NULL);
        CHECK("nothing happened to it", !net_is_faulted(c) && net_is_quiet(&n) && model_faults(m) == 0);
        model_kill(m, 0, w.now);
        net_harvest(&n);
        while (net_state_of(c) == NET_OPEN && world_step(&w))
            net_harvest(&n);
        CHECK("the end is noticed", net_state_of(c) == NET_ENDED && !net_was_reset(c));
        free(text);
        buf_free(&got);
        net_free(&n);
        model_free(m);
        world_free(&w);
    }
}

/* Cut after k octets: exactly k arrive, and none after a reset. */
static void test_cut(void **state)
{
    (void)state;
    for (uint64_t octet = 0; octet < 200; octet += 13) {
        world w;
        net n;
        char chunk[4096];
        world_init(&w, octet, 0);
        model *m = model_new(&(model_options){ 0 }, 1, 0);
        net_init(&n, &w, m, octet, &(net_weather){ .chunk = { 0, 64 }, .window = 1 << 16 }, ignore, NULL);
        net_conn *c = net_dial(&n, 0);
        net_cut_at(c, NET_TO_CLIENT, octet, octet % 2 == 0 ? NET_FIN : NET_RST);
        for (int i = 0; i < 100 && net_state_of(c) != NET_ENDED && world_step(&w); i++)
            net_harvest(&n);
        CHECK("ended", net_state_of(c) == NET_ENDED && net_was_reset(c) == (octet % 2 != 0));
        CHECK("octets", net_read(c, chunk, sizeof chunk) == (octet % 2 == 0 ? octet : 0));
        net_free(&n);
        model_free(m);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_crimes),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_lame_duck),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_queue_is_shared),
        cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_ack_forgery),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_world),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_tap),
        cmocka_unit_test(test_net),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
