/* SPDX-License-Identifier: Apache-2.0 */
/* A link between arrays: the test plays the server and the session. Header only, as each test is one program. */
#ifndef NBJ_TEST_CONN_LINK_PEER_H
#define NBJ_TEST_CONN_LINK_PEER_H

#include "conn/link.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define START NBJ_SECONDS(100)
#define INFO "INFO {\"server_id\":\"S\",\"headers\":true,\"max_payload\":1048576} \r\n"
#define TLS_INFO "INFO {\"headers\":true,\"tls_required\":true}\r\n"
#define NONCE_INFO "INFO {\"headers\":true,\"nonce\":\"abcDEF\"}\r\n"

typedef struct peer {
    ts_alloc mem;
    nbj__buf out;
    nbj__link link;
    nbj__link_event ev;
} peer;

static inline void begin(peer *p, const nbj__link_config *wanted)
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

static inline void end(peer *p)
{
    nbj__link_free(&p->link);
    nbj__link_free(&p->link); /* a zeroed one too */
    nbj__buf_free(&p->out);
    ts_alloc_done(&p->mem);
}

static inline void put_bytes(peer *p, const void *data, size_t len)
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

static inline void put(peer *p, const char *text)
{
    put_bytes(p, text, strlen(text));
}

static inline nbj_status next(peer *p)
{
    p->ev = (nbj__link_event){ 0 };
    return nbj__link_next(&p->link, START, &p->ev);
}

static inline nbj_status credentials(peer *p, nbj__credentials given)
{
    return nbj__link_credentials(&p->link, &given, START);
}

/* Takes the next event, which must be |type|. */
static inline void expect(peer *p, nbj__link_event_type type)
{
    assert_int_equal(next(p), NBJ_OK);
    assert_int_equal(p->ev.type, type);
}

static inline bool holds(const nbj__buf *b, const char *text)
{
    return nbj_bytes_equal(nbj__buf_view(b), nbj_str(text));
}

/* What waits to be sent as a text. */
static inline const char *sent(peer *p)
{
    assert_int_equal(nbj__buf_append(&p->link.tx, "", 1), NBJ_OK);
    p->link.tx.tail--;
    return (const char *)p->link.tx.ptr + p->link.tx.head;
}

static inline void make_ready(peer *p, const nbj__link_config *cfg)
{
    begin(p, cfg);
    put(p, INFO "PONG\r\n");
    expect(p, NBJ__LINK_EV_INFO);
    expect(p, NBJ__LINK_EV_READY);
    assert_int_equal(next(p), NBJ_MORE);
    nbj__buf_clear(&p->link.tx);
}

#endif
