/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's life from arrays of octets: conn/link.h. */
#include "conn/link.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define START NBJ_SECONDS(100)
#define INFO "INFO {\"server_id\":\"S\",\"headers\":true,\"max_payload\":1048576} \r\n"
#define NONCE_INFO "INFO {\"headers\":true,\"nonce\":\"abcDEF\"}\r\n"

typedef struct peer {
    ts_alloc mem;
    nbj__buf out;
    nbj__link link;
    nbj__link_event ev;
} peer;

static void begin(peer *p, const nbj__link_config *wanted)
{
    nbj__link_config cfg = wanted != NULL ? *wanted : (nbj__link_config){ 0 };

    ts_alloc_init(&p->mem, TS_NEVER_FAIL, false);
    nbj__buf_init(&p->out, &p->mem.allocator, 1000);
    cfg.alloc = &p->mem.allocator;
    cfg.out = &p->out;
    cfg.handshake_ns = NBJ_SECONDS(5);
    cfg.ping_interval_ns = NBJ_SECONDS(30);
    cfg.max_pings_out = 2;
    nbj__link_init(&p->link, &cfg, START);
}

static void end(peer *p)
{
    nbj__link_free(&p->link);
    nbj__link_free(&p->link); /* a zeroed one too */
    nbj__buf_free(&p->out);
    ts_alloc_done(&p->mem);
}

static void put_bytes(peer *p, const void *data, size_t len)
{
    const uint8_t *from = data;

    while (len > 0) {
        uint8_t *at = NULL;
        size_t room = 0;
        assert_int_equal(nbj__link_rx_space(&p->link, &at, &room), NBJ_OK);
        size_t n = len < room ? len : room;
        memcpy(at, from, n);
        nbj__link_rx_commit(&p->link, n);
        from += n;
        len -= n;
    }
}

static void put(peer *p, const char *text)
{
    put_bytes(p, text, strlen(text));
}

static nbj_status next(peer *p)
{
    p->ev = (nbj__link_event){ 0 };
    return nbj__link_next(&p->link, START, &p->ev);
}

/* Takes the next event, which must be |type|. */
static void expect(peer *p, nbj__link_event_type type)
{
    assert_int_equal(next(p), NBJ_OK);
    assert_int_equal(p->ev.type, type);
}

static bool holds(const nbj__buf *b, const char *text)
{
    return nbj_bytes_equal(nbj__buf_view(b), nbj_str(text));
}

static void make_ready(peer *p, const nbj__link_config *cfg)
{
    begin(p, cfg);
    put(p, INFO "PONG\r\n");
    expect(p, NBJ__LINK_EV_INFO);
    expect(p, NBJ__LINK_EV_READY);
    assert_int_equal(next(p), NBJ_MORE);
    nbj__buf_clear(&p->link.tx);
}

/* --- the handshake --- */

static void test_handshake(void **state)
{
    (void)state;
    static const char connect[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"c-nbj\","
        "\"version\":\"0.1.0\",\"name\":\"me\",\"protocol\":1,\"echo\":true,\"headers\":true,"
        "\"no_responders\":true,\"user\":\"u\",\"pass\":\"p\"}\r\nPING\r\n";
    nbj__link_config cfg = { .connect = { .name = nbj_str("me"), .user = nbj_str("u"), .password = nbj_str("p") } };
    peer p;
    begin(&p, &cfg);
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_INFO);
    assert_int_equal(next(&p), NBJ_MORE);
    assert_int_equal(nbj__buf_len(&p.link.tx), 0); /* nothing before INFO, least of all credentials */
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    assert_string_equal(p.link.info.server_id, "S");
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_PONG);
    assert_true(holds(&p.link.tx, connect)); /* one write, as a refusal comes instead of the PONG */
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "PONG\r\n" INFO);
    expect(&p, NBJ__LINK_EV_READY);
    assert_int_equal(p.link.pongs_got, 1);
    assert_int_equal(p.link.due, START + NBJ_SECONDS(30));
    expect(&p, NBJ__LINK_EV_INFO); /* the byte after PONG may be INFO (2.12 and newer) */
    assert_int_equal(nbj__buf_len(&p.out), 0);
    end(&p);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const char all[] =
        INFO "+OK\r\nPING\r\nPONG\r\nMSG a.b 1 r 2\r\nhi\r\nHMSG a 2 16 17\r\nNATS/1.0 503\r\n\r\nx\r\n"
             "-ERR 'Permissions Violation for Publish to \"x\"'\r\nPONG\r\n" INFO "PING\r\n+ok\r\n";
    static const nbj__link_event_type want[] = { NBJ__LINK_EV_INFO, NBJ__LINK_EV_READY, NBJ__LINK_EV_MSG,
                                                 NBJ__LINK_EV_MSG,  NBJ__LINK_EV_ERR,   NBJ__LINK_EV_INFO };
    for (size_t cut = 0; cut <= strlen(all); cut++) {
        peer p;
        size_t got = 0;
        begin(&p, NULL);
        for (size_t half = 0; half < 2; half++) {
            put_bytes(&p, half == 0 ? all : all + cut, half == 0 ? cut : strlen(all) - cut);
            while (next(&p) == NBJ_OK) {
                assert_true(got < COUNT(want));
                assert_int_equal(p.ev.type, want[got++]);
            }
            assert_int_equal(p.link.error.status, NBJ_OK);
        }
        assert_int_equal(got, COUNT(want)); /* the second PONG answers nothing */
        assert_true(holds(&p.out, "PONG\r\n"));
        end(&p);
    }
}

static const struct {
    const char *name, *octets;
    nbj_status want;
} refusals[] = {
    { "foreign: HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", NBJ_E_PROTO },
    { "foreign: SSH", "SSH-2.0-OpenSSH_9.2\r\n", NBJ_E_PROTO },
    { "foreign: a TLS alert", "\x15\x03\x01", NBJ_E_PROTO },
    { "message first", "MSG a 1 0\r\n\r\n", NBJ_E_PROTO },
    { "PONG first", "PONG\r\n", NBJ_E_PROTO },
    { "+OK first", "+OK\r\n", NBJ_E_PROTO },
    { "INFO is no object", "INFO [1]\r\n", NBJ_E_PROTO },
    { "INFO is cut", "INFO {\"a\":\r\n", NBJ_E_PROTO },
    { "error first", "-ERR 'maximum connections exceeded'\r\n", NBJ_E_MAX_CONNECTIONS },
    { "unknown error first", "-ERR 'whatever'\r\n", NBJ_E_SERVER },
    { "TLS required", "INFO {\"tls_required\":true}\r\n", NBJ_E_TLS_REQUIRED },
    { "message in the handshake", INFO "MSG a 1 0\r\n\r\n", NBJ_E_PROTO },
    { "garbage in the handshake", INFO "XXXX\r\n", NBJ_E_PROTO },
    { "authorization", INFO "-ERR 'Authorization Violation'\r\n", NBJ_E_AUTH },
    { "revoked", INFO "-ERR 'User Authentication Revoked'\r\n", NBJ_E_AUTH_REVOKED },
    { "user expired", INFO "-ERR 'User Authentication Expired'\r\n", NBJ_E_AUTH_EXPIRED },
    { "account expired", INFO "-ERR 'Account Authentication Expired'\r\n", NBJ_E_ACCOUNT_EXPIRED },
    { "auth timeout", INFO "-ERR 'Authentication Timeout'\r\n", NBJ_E_AUTH_TIMEOUT },
    { "account connections", INFO "-ERR 'maximum account active connections exceeded'\r\n",
      NBJ_E_MAX_ACCOUNT_CONNECTIONS },
    { "throttled", INFO "-ERR 'Connection throttling is active. Please try again later.'\r\n", NBJ_E_THROTTLED },
    { "TLS", INFO "-ERR 'Secure Connection - TLS Required'\r\n", NBJ_E_TLS_REQUIRED },
    { "protocol", INFO "-ERR 'invalid client protocol'\r\n", NBJ_E_CLIENT_PROTOCOL },
    { "headers", INFO "-ERR 'no responders requires headers support'\r\n", NBJ_E_NEEDS_HEADERS },
    { "registration", INFO "-ERR 'Failed Account Registration'\r\n", NBJ_E_ACCOUNT_REGISTRATION },
    { "route port", INFO "-ERR 'attempted to connect to route port'\r\n", NBJ_E_WRONG_PORT },
    { "control line", INFO "-ERR 'maximum control line exceeded'\r\n", NBJ_E_CONTROL_LINE },
    { "even one that stays", INFO "-ERR 'Permissions Violation for Publish to \"x\"'\r\n", NBJ_E_PERMISSION_PUBLISH },
    { "unknown one", INFO "-ERR 'something new'\r\n", NBJ_E_SERVER },
    { "empty one", INFO "-ERR \r\n", NBJ_E_SERVER },
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        peer p;
        nbj_status st;
        begin(&p, NULL);
        put(&p, refusals[i].octets);
        while ((st = next(&p)) == NBJ_OK)
            CHECK(refusals[i].name, p.ev.type == NBJ__LINK_EV_INFO);
        CHECK(refusals[i].name, st == refusals[i].want);
        CHECK(refusals[i].name, p.link.phase == NBJ__LINK_FAILED);
        CHECK(refusals[i].name, p.link.error.status == st && p.link.error.text[0] != '\0');
        CHECK(refusals[i].name, next(&p) == st); /* its end is final */
        put(&p, INFO "PONG\r\n");
        CHECK(refusals[i].name, next(&p) == st);
        CHECK(refusals[i].name, nbj__link_on_time(&p.link, START + NBJ_HOURS(1)) == st);
        CHECK(refusals[i].name, p.link.due == NBJ_TIME_NEVER);
        end(&p);
    }
}

static void test_errors_when_ready(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        nbj_status status;
        bool closes;
    } cases[] = {
        { "-ERR 'Stale Connection'\r\n", NBJ_E_SERVER_STALE, true },
        { "-ERR 'Maximum Payload Violation'\r\n", NBJ_E_MAX_PAYLOAD, true },
        { "-ERR 'Unknown Protocol Operation'\r\n", NBJ_E_UNKNOWN_OPERATION, true },
        { "-ERR 'User Authentication Expired'\r\n", NBJ_E_AUTH_EXPIRED, true },
        { "-ERR 'Permissions Violation for Subscription to \"x\"'\r\n", NBJ_E_PERMISSION_SUBSCRIBE, false },
        { "-ERR 'maximum subscriptions exceeded'\r\n", NBJ_E_MAX_SUBSCRIPTIONS, false },
        { "-ERR 'Invalid Publish Subject'\r\n", NBJ_E_SERVER_PUBLISH_SUBJECT, false },
        { "-ERR 'a new one'\r\n", NBJ_E_SERVER, false }, /* the socket will tell */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        peer p;
        make_ready(&p, NULL);
        put(&p, cases[i].octets);
        CHECK(cases[i].octets, next(&p) == (cases[i].closes ? cases[i].status : NBJ_OK));
        if (!cases[i].closes)
            CHECK(cases[i].octets, p.ev.type == NBJ__LINK_EV_ERR && p.ev.server_error.status == cases[i].status);
        end(&p);
    }
}

static void test_server_text_is_clean(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    put(&p, "-ERR 'Stale Connection \x1b[31m\x07%n'\r\n");
    assert_int_equal(next(&p), NBJ_E_SERVER_STALE);
    assert_string_equal(p.link.error.text, "Stale Connection ?[31m?%n");
    end(&p);
}

static void test_handshake_timeout(void **state)
{
    (void)state;
    static const char *const before[] = { "", "INFO {", INFO, NONCE_INFO, INFO "+OK\r\nPING\r\n" };
    nbj__link_config cfg = { .wants_signature = true };
    for (size_t i = 0; i < COUNT(before); i++) {
        peer p;
        begin(&p, &cfg);
        put(&p, before[i]);
        while (next(&p) == NBJ_OK)
            continue;
        CHECK(before[i], nbj__link_on_time(&p.link, START + NBJ_SECONDS(5) - 1) == NBJ_OK);
        CHECK(before[i], nbj__link_on_time(&p.link, START + NBJ_SECONDS(5)) == NBJ_E_CONNECT_TIMEOUT);
        end(&p);
    }
}

/* --- TLS, signatures --- */

static void test_tls_url_sends_nothing_in_clear(void **state)
{
    (void)state;
    nbj__link_config cfg = { .wants_tls = true, .connect = { .user = nbj_str("u"), .password = nbj_str("secret") } };
    peer p;
    begin(&p, &cfg);
    put(&p, INFO);
    assert_int_equal(next(&p), NBJ_E_NO_TLS);
    assert_int_equal(nbj__buf_len(&p.link.tx), 0);
    end(&p);
}

static void test_signature(void **state)
{
    (void)state;
    nbj__link_config cfg = { .wants_signature = true };
    nbj_bytes none = nbj_view(NULL, 0);
    peer p;
    begin(&p, &cfg);
    assert_int_equal(nbj__link_sign(&p.link, none, none, nbj_str("early")), NBJ_E_STATE);
    put(&p, NONCE_INFO "PONG\r\n");
    expect(&p, NBJ__LINK_EV_SIGN);
    assert_string_equal(p.link.info.nonce, "abcDEF");
    assert_int_equal(p.link.phase, NBJ__LINK_WAIT_SIGNATURE);
    assert_int_equal(next(&p), NBJ_MORE); /* nothing goes on before it is there */
    assert_int_equal(nbj__buf_len(&p.link.tx), 0);
    char jwt[] = "J", nkey[] = "UABC", sig[] = "c2ln";
    assert_int_equal(nbj__link_sign(&p.link, nbj_str(jwt), nbj_str(nkey), nbj_str(sig)), NBJ_OK);
    memset(sig, 'x', sizeof sig - 1); /* copied */
    nbj__buf *tx = &p.link.tx;
    assert_int_equal(nbj__buf_append(tx, "", 1), NBJ_OK); /* a NUL, to search it */
    assert_non_null(strstr((char *)tx->ptr, "\"jwt\":\"J\",\"nkey\":\"UABC\",\"sig\":\"c2ln\"}\r\nPING\r\n"));
    assert_int_equal(p.link.cfg.connect.signature.len, 0); /* not kept */
    expect(&p, NBJ__LINK_EV_READY);
    assert_int_equal(nbj__link_sign(&p.link, none, none, none), NBJ_E_STATE);
    end(&p);
}

static void test_no_nonce_no_signature(void **state)
{
    (void)state;
    nbj__link_config cfg = { .wants_signature = true };
    peer p;
    begin(&p, &cfg);
    put(&p, INFO "PONG\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    expect(&p, NBJ__LINK_EV_READY);
    end(&p);
    begin(&p, NULL); /* and a nonce that nobody wants to sign is no obstacle */
    put(&p, NONCE_INFO "PONG\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    expect(&p, NBJ__LINK_EV_READY);
    end(&p);
}

static void test_server_without_headers(void **state)
{
    (void)state;
    peer p;
    begin(&p, NULL);
    put(&p, "INFO {}\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    assert_int_equal(nbj__buf_append(&p.link.tx, "", 1), NBJ_OK);
    assert_non_null(
        strstr((char *)p.link.tx.ptr, "\"headers\":false,\"no_responders\":false")); /* or it would refuse */
    end(&p);
}

/* --- later INFOs --- */

static void test_info_later(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    put(&p, "INFO {\"server_id\":\"S2\",\"max_payload\":5,\"ldm\":true}\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    assert_string_equal(p.link.info.server_id, "S2");
    assert_int_equal(p.link.info.max_payload, 5);
    assert_true(p.link.info.lame_duck);
    put(&p, "INFO {broken\r\nINFO {\"server_id\":\"S3\"}\r\n");
    expect(&p, NBJ__LINK_EV_INFO); /* of the good one: the broken one changes nothing */
    assert_string_equal(p.link.info.server_id, "S3");
    assert_int_equal(nbj__buf_len(&p.link.tx) + nbj__buf_len(&p.out), 0); /* CONNECT is sent once */
    end(&p);
}

/* --- liveness --- */

static void test_stale_at_third_silence(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30) - 1), NBJ_OK);
    assert_int_equal(nbj__buf_len(&p.out), 0);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_true(holds(&p.out, "PING\r\n"));
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(59)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    assert_true(holds(&p.out, "PING\r\nPING\r\n"));
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(89)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_E_STALE);
    assert_true(holds(&p.out, "PING\r\nPING\r\n"));
    end(&p);
}

static void test_any_octet_is_a_life_sign(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    assert_int_equal(p.link.pings_out, 2);
    put_bytes(&p, "M", 1); /* the beginning of something */
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(120)), NBJ_OK);
    assert_int_equal(p.link.pings_out, 2); /* silent again */
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(150)), NBJ_E_STALE);
    end(&p);
}

static void test_pings_of_a_server_are_none(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    put(&p, "PING\r\nPING\r\n"); /* it speaks, but nothing of ours arrives */
    assert_int_equal(next(&p), NBJ_MORE);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_E_STALE);
    end(&p);
}

static void test_pong_resets(void **state)
{
    (void)state;
    uint64_t number = 0;
    peer p;
    make_ready(&p, NULL);
    for (uint64_t turn = 1; turn < 10; turn++) {
        nbj_time now = START + turn * NBJ_SECONDS(30);
        assert_int_equal(nbj__link_on_time(&p.link, now), NBJ_OK);
        put_bytes(&p, "PONG\r\n", 6);
        expect(&p, NBJ__LINK_EV_PONG);
        assert_int_equal(p.link.pongs_got, turn + 1);
        assert_int_equal(p.link.pings_out, 0);
    }
    assert_int_equal(nbj__link_ping(&p.link, &number), NBJ_OK);
    assert_int_equal(number, 11); /* what pongs_got will reach */
    put(&p, "PONG\r\nPONG\r\n");
    expect(&p, NBJ__LINK_EV_PONG);
    assert_int_equal(p.link.pongs_got, number);
    assert_int_equal(next(&p), NBJ_MORE); /* nobody asked for the second one */
    assert_int_equal(p.link.pongs_got, number);
    end(&p);
}

static void test_ping_is_answered_in_order(void **state)
{
    (void)state;
    peer p;
    begin(&p, NULL);
    put(&p, "PING\r\n"); /* even before INFO */
    assert_int_equal(next(&p), NBJ_MORE);
    assert_true(holds(&p.link.tx, "PONG\r\n"));
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    put(&p, "PING\r\nPONG\r\n");
    expect(&p, NBJ__LINK_EV_READY);
    nbj_bytes tx = nbj__buf_view(&p.link.tx);
    assert_memory_equal(tx.ptr + tx.len - 15, "}\r\nPING\r\nPONG\r\n", 15);
    assert_int_equal(nbj__buf_append(&p.out, "PUB a 0\r\n\r\n", 11), NBJ_OK);
    put(&p, "PING\r\n");
    assert_int_equal(next(&p), NBJ_MORE);
    assert_true(holds(&p.out, "PUB a 0\r\n\r\nPONG\r\n"));
    end(&p);
}

static void test_ping_flood_is_bounded(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    for (int i = 0; i < 1000 / 6; i++) {
        put(&p, "PING\r\n");
        assert_int_equal(next(&p), NBJ_MORE);
    }
    put(&p, "PING\r\n"); /* 1,000 octets are the limit of |out| here */
    assert_int_equal(next(&p), NBJ_E_FULL);
    assert_true(p.mem.peak_bytes < 65536);
    end(&p);
}

/* --- receiving --- */

static void test_megabyte_in_small_pieces(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    peer p;
    char line[64];
    uint8_t *body = malloc(SIZE);
    make_ready(&p, NULL);
    for (size_t i = 0; i < SIZE; i++)
        body[i] = (uint8_t)(i * 7);
    int n = snprintf(line, sizeof line, "MSG big 1 %d\r\n", SIZE);
    put_bytes(&p, line, (size_t)n);
    for (size_t at = 0; at < SIZE; at += 1000) {
        assert_int_equal(next(&p), NBJ_MORE);
        put_bytes(&p, body + at, SIZE - at < 1000 ? SIZE - at : 1000);
        if (at == 0)
            assert_true(p.mem.live_bytes < 100000); /* an announcement alone costs nothing */
    }
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "\r\nPING\r\n");
    expect(&p, NBJ__LINK_EV_MSG);
    assert_int_equal(p.ev.frame.payload.len, SIZE);
    assert_memory_equal(p.ev.frame.payload.ptr, body, SIZE);
    assert_true(p.mem.peak_bytes < 4 * SIZE);
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "PING\r\n");
    assert_true(p.mem.live_bytes < 100000); /* and one large message does not cost memory for ever */
    free(body);
    end(&p);
}

static void test_kept_chunk_survives_reads(void **state)
{
    (void)state;
    peer p;
    char line[32];
    nbj__chunk *kept[50];
    nbj_bytes payload[50];
    make_ready(&p, NULL);
    for (int i = 0; i < 50; i++) { /* each is kept, so each read needs fresh room behind or elsewhere */
        snprintf(line, sizeof line, "MSG a 1 1500\r\n");
        uint8_t body[1502];
        memset(body, 'a' + i % 26, 1500);
        memcpy(body + 1500, "\r\n", 2);
        put(&p, line);
        put_bytes(&p, body, 700);
        assert_int_equal(next(&p), NBJ_MORE);
        put_bytes(&p, body + 700, 802);
        expect(&p, NBJ__LINK_EV_MSG);
        kept[i] = nbj__chunk_retain(p.link.rx);
        payload[i] = p.ev.frame.payload;
    }
    for (int i = 0; i < 50; i++) {
        for (size_t at = 0; at < payload[i].len; at++)
            assert_int_equal(payload[i].ptr[at], 'a' + i % 26);
        nbj__chunk_release(kept[i]);
    }
    end(&p);
}

static void test_room_for_every_read(void **state)
{
    (void)state;
    peer p;
    uint8_t *at = NULL;
    size_t room = 0;
    make_ready(&p, NULL);
    put(&p, "MSG a 1 100000\r\n");
    for (size_t got = 0; got < 100000; got += room) {
        assert_int_equal(next(&p), NBJ_MORE);
        assert_int_equal(nbj__link_rx_space(&p.link, &at, &room), NBJ_OK);
        assert_true(room >= 4096); /* never a dribble, whatever is held */
        memset(at, 'x', room);
        nbj__link_rx_commit(&p.link, room);
    }
    end(&p);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    static const char all[] = NONCE_INFO "PONG\r\nMSG a 1 2\r\nhi\r\n" INFO "PING\r\n";
    size_t refused = 0;
    for (size_t n = 0;; n++) {
        nbj__link_config cfg = { .wants_signature = true };
        peer p;
        nbj_status st = NBJ_MORE;
        uint8_t *at = NULL;
        size_t room = 0;
        begin(&p, &cfg);
        p.mem.fail_at = n;
        for (size_t i = 0; i < strlen(all) && st >= 0; i++) {
            st = nbj__link_rx_space(&p.link, &at, &room);
            if (st != NBJ_OK)
                break;
            *at = (uint8_t)all[i];
            nbj__link_rx_commit(&p.link, 1);
            while ((st = next(&p)) == NBJ_OK) {
                if (p.ev.type == NBJ__LINK_EV_SIGN)
                    (void)nbj__link_sign(&p.link, nbj_str("j"), nbj_str("n"), nbj_str("s")); /* its failure stays */
            }
        }
        assert_int_equal(st, p.mem.failed > 0 ? NBJ_E_NOMEM : NBJ_MORE);
        refused += p.mem.failed;
        bool last = p.mem.failed == 0;
        end(&p);
        if (last)
            break;
    }
    assert_true(refused > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_errors_when_ready),
        cmocka_unit_test(test_server_text_is_clean),
        cmocka_unit_test(test_handshake_timeout),
        cmocka_unit_test(test_tls_url_sends_nothing_in_clear),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_no_nonce_no_signature),
        cmocka_unit_test(test_server_without_headers),
        cmocka_unit_test(test_info_later),
        cmocka_unit_test(test_stale_at_third_silence),
        cmocka_unit_test(test_any_octet_is_a_life_sign),
        cmocka_unit_test(test_pings_of_a_server_are_none),
        cmocka_unit_test(test_pong_resets),
        cmocka_unit_test(test_ping_is_answered_in_order),
        cmocka_unit_test(test_ping_flood_is_bounded),
        cmocka_unit_test(test_megabyte_in_small_pieces),
        cmocka_unit_test(test_kept_chunk_survives_reads),
        cmocka_unit_test(test_room_for_every_read),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
