/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/link.h"

#include "base/canary.h"
#include "base/heap.h"
#include "base/text.h"

#include <assert.h>

#define RX_CHUNK 32768u   /* usual size of a receive chunk */
#define RX_ROOM_MIN 4096u /* less room than this is not worth a read */
#define RX_KEEP \
    262144u /* a larger chunk goes when it is empty, so that one large message does not cost memory for ever */
#define TX_LIMIT (64u << 20) /* CONNECT, and SUB for every subscription there may be */

static const nbj__transition transitions[] = {
    { 0, NBJ__LINK_WAIT_INFO },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_WAIT_SIGNATURE },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_WAIT_PONG },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_FAILED },
    { NBJ__LINK_WAIT_SIGNATURE, NBJ__LINK_WAIT_PONG },
    { NBJ__LINK_WAIT_SIGNATURE, NBJ__LINK_FAILED },
    { NBJ__LINK_WAIT_PONG, NBJ__LINK_READY },
    { NBJ__LINK_WAIT_PONG, NBJ__LINK_FAILED },
    { NBJ__LINK_READY, NBJ__LINK_FAILED },
};
const nbj__machine nbj__link_machine = { "link", transitions, sizeof transitions / sizeof transitions[0] };

static void set_phase(nbj__link *l, nbj__link_phase to)
{
    nbj__observe(l->cfg.observer, &nbj__link_machine, (int)l->phase, (int)to);
    l->phase = to;
}

void nbj__link_init(nbj__link *l, const nbj__link_config *cfg, nbj_time now)
{
    *l = (nbj__link){ .cfg = *cfg };
    l->due = nbj__time_add(now, cfg->handshake_ns);
    nbj__buf_init(&l->tx, cfg->alloc, TX_LIMIT);
    set_phase(l, NBJ__LINK_WAIT_INFO);
}

void nbj__link_free(nbj__link *l)
{
    if (l->cfg.alloc == NULL)
        return;
    if (l->tx.ptr != NULL) /* it held CONNECT */
        memset(l->tx.ptr, 0, l->tx.cap);
    nbj__buf_free(&l->tx);
    nbj__info_free(l->cfg.alloc, &l->info);
    nbj__chunk_release(l->rx);
    *l = (nbj__link){ 0 };
}

nbj_status nbj__link_fail(nbj__link *l, nbj_status status, const char *text)
{
    assert(status < 0);
    if (l->phase == NBJ__LINK_FAILED)
        return l->error.status;
    set_phase(l, NBJ__LINK_FAILED);
    l->due = NBJ_TIME_NEVER;
    return nbj__error_set(&l->error, status, text != NULL ? text : nbj_strerror(status), (char *)NULL);
}

/* A chunk that has room behind what was received and not parsed; that is moved to its front. */
static nbj_status make_rx_room(nbj__link *l)
{
    size_t held = l->rx_tail - l->rx_head;
    size_t need = nbj__frame_need(&l->parser);
    size_t most = 2 * held + RX_CHUNK; /* an announced length is believed only in step with what really arrived */
    size_t want = need < most ? need : most;

    if (want < held + RX_ROOM_MIN)
        want = held + RX_ROOM_MIN;
    if (l->rx != NULL && nbj__chunk_is_ours(l->rx) && want <= l->rx->cap) {
        memmove(l->rx->data, l->rx->data + l->rx_head, held);
    } else {
        nbj__chunk *c = nbj__chunk_new(l->cfg.alloc, want > RX_CHUNK ? want : RX_CHUNK);
        if (c == NULL)
            return NBJ_E_NOMEM;
        if (l->rx != NULL)
            memcpy(c->data, l->rx->data + l->rx_head, held);
        nbj__chunk_release(l->rx);
        l->rx = c;
    }
    l->rx_head = 0;
    l->rx_tail = held;
    return NBJ_OK;
}

/* All that was received is parsed, and nobody keeps it. */
static void forget_rx(nbj__link *l)
{
    l->rx_head = l->rx_tail = 0;
    if (l->rx->cap <= RX_KEEP)
        return;
    nbj__chunk_release(l->rx);
    l->rx = NULL;
}

nbj_status nbj__link_rx_space(nbj__link *l, uint8_t **at, size_t *len)
{
    if (l->rx != NULL && l->rx_head == l->rx_tail && nbj__chunk_is_ours(l->rx))
        forget_rx(l);
    if (l->rx == NULL || l->rx->cap - l->rx_tail < RX_ROOM_MIN) {
        nbj_status st = make_rx_room(l);
        if (st != NBJ_OK)
            return st;
    }
    *at = l->rx->data + l->rx_tail;
    *len = l->rx->cap - l->rx_tail;
    return NBJ_OK;
}

void nbj__link_rx_commit(nbj__link *l, size_t len)
{
    assert(l->rx != NULL && len <= l->rx->cap - l->rx_tail);
    l->rx_tail += len;
    l->heard += len;
}

static nbj_status write_op(nbj__link *l, const char *op)
{
    return nbj__buf_append(l->phase == NBJ__LINK_READY ? l->cfg.out : &l->tx, op, strlen(op));
}

nbj_status nbj__link_ping(nbj__link *l, uint64_t *number)
{
    nbj_status st = write_op(l, "PING\r\n");

    if (st == NBJ_OK)
        *number = ++l->pings_sent;
    return st;
}

/* CONNECT and PING in one write, as a server's refusal comes instead of the PONG. */
static nbj_status send_connect(nbj__link *l)
{
    uint64_t number = 0;
    nbj__connect c = l->cfg.connect;

    c.headers = l->info.headers;
    nbj_status st = nbj__emit_connect(&l->tx, &c);
    if (st == NBJ_OK)
        st = nbj__link_ping(l, &number);
    if (st != NBJ_OK)
        return nbj__link_fail(l, st, NULL);
    set_phase(l, NBJ__LINK_WAIT_PONG);
    return NBJ_OK;
}

nbj_status nbj__link_sign(nbj__link *l, nbj_bytes jwt, nbj_bytes nkey, nbj_bytes signature)
{
    if (l->phase != NBJ__LINK_WAIT_SIGNATURE)
        return NBJ_E_STATE;
    l->cfg.connect.jwt = jwt;
    l->cfg.connect.nkey = nkey;
    l->cfg.connect.signature = signature;
    nbj_status st = send_connect(l);
    l->cfg.connect.jwt = l->cfg.connect.nkey = l->cfg.connect.signature = nbj_view(NULL, 0);
    return st;
}

/* The first INFO: NBJ_OK with |ev| when somebody has to sign, NBJ_OK with EV_INFO otherwise. */
static nbj_status on_first_info(nbj__link *l, nbj__link_event *ev)
{
    if (l->info.tls_required || l->cfg.wants_tls)
        return nbj__link_fail(l, l->info.tls_required ? NBJ_E_TLS_REQUIRED : NBJ_E_NO_TLS,
                              "this version of the library has no TLS yet; nothing was sent in clear");
    if (!l->cfg.wants_signature || l->info.nonce == NULL) {
        nbj_status st = send_connect(l);
        return st;
    }
    set_phase(l, NBJ__LINK_WAIT_SIGNATURE);
    ev->type = NBJ__LINK_EV_SIGN;
    return NBJ_OK;
}

static nbj_status on_info(nbj__link *l, nbj__link_event *ev)
{
    nbj__info info;
    nbj_status st = nbj__info_parse(l->cfg.alloc, ev->frame.text, &info);

    if (st == NBJ_E_PROTO && l->phase != NBJ__LINK_WAIT_INFO)
        return NBJ_MORE; /* the last good one stays */
    if (st != NBJ_OK)
        return nbj__link_fail(l, st, st == NBJ_E_PROTO ? "the server's INFO is not a JSON object" : NULL);
    nbj__info_free(l->cfg.alloc, &l->info);
    l->info = info;
    ev->type = NBJ__LINK_EV_INFO;
    return l->phase == NBJ__LINK_WAIT_INFO ? on_first_info(l, ev) : NBJ_OK;
}

static nbj_status on_pong(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    if (l->pongs_got == l->pings_sent)
        return NBJ_MORE; /* nobody asked */
    l->pongs_got++;
    l->pings_out = 0;
    ev->type = NBJ__LINK_EV_PONG;
    if (l->phase != NBJ__LINK_WAIT_PONG)
        return NBJ_OK;
    set_phase(l, NBJ__LINK_READY);
    l->due = nbj__time_add(now, l->cfg.ping_interval_ns);
    ev->type = NBJ__LINK_EV_READY;
    return NBJ_OK;
}

/* A known error that closes is the link's end, as is any during the handshake. What an unknown one does is seen from
 * the socket. */
static nbj_status on_err(nbj__link *l, nbj__link_event *ev)
{
    char text[NBJ__SERVER_ERROR_MAX];
    nbj__text t = nbj__text_into(text, sizeof text);

    ev->server_error = nbj__server_error_read(ev->frame.text);
    if (ev->server_error.closes || l->phase != NBJ__LINK_READY) {
        nbj__text_add_clean(&t, ev->frame.text);
        return nbj__link_fail(l, ev->server_error.status, t.len > 0 ? text : NULL);
    }
    ev->type = NBJ__LINK_EV_ERR;
    return NBJ_OK;
}

static nbj_status on_ping(nbj__link *l)
{
    if (NBJ__CANARY(NO_PONG))
        return NBJ_MORE;
    nbj_status st = write_op(l, "PONG\r\n"); /* bounded: a flood of PINGs that does not read ends in NBJ_E_FULL */
    return st == NBJ_OK ? NBJ_MORE : nbj__link_fail(l, st, "the server sends but does not read");
}

/* NBJ_OK: |ev| is filled. NBJ_MORE: nothing for the session. Otherwise failed. */
static nbj_status apply(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    switch (ev->frame.op) {
    case NBJ__OP_MSG:
    case NBJ__OP_HMSG:
        if (l->phase != NBJ__LINK_READY)
            return nbj__link_fail(l, NBJ_E_PROTO, "a message before the end of the handshake");
        ev->type = NBJ__LINK_EV_MSG;
        return NBJ_OK;
    case NBJ__OP_INFO:
        return on_info(l, ev);
    case NBJ__OP_PING:
        return on_ping(l);
    case NBJ__OP_PONG:
        return on_pong(l, now, ev);
    case NBJ__OP_OK: /* verbose mode */
        return NBJ_MORE;
    case NBJ__OP_ERR:
        return on_err(l, ev);
    }
    return nbj__link_fail(l, NBJ_E_PROTO, NULL);
}

nbj_status nbj__link_next(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    nbj_status st = NBJ_MORE;

    while (l->phase != NBJ__LINK_FAILED && st == NBJ_MORE && l->phase != NBJ__LINK_WAIT_SIGNATURE) {
        size_t used = 0;
        nbj_bytes in = nbj_view(l->rx != NULL ? l->rx->data + l->rx_head : NULL, l->rx_tail - l->rx_head);
        st = nbj__frame_parse(&l->parser, in, &ev->frame, &used);
        if (st == NBJ_MORE)
            return NBJ_MORE;
        if (st != NBJ_OK)
            return nbj__link_fail(l, st,
                                  l->phase == NBJ__LINK_WAIT_INFO ? "what answers here does not speak the NATS protocol"
                                                                  : "the server sent what is not the NATS protocol");
        l->rx_head += used;
        if (ev->frame.op == NBJ__OP_PING)
            l->heard -= used;
        if (l->phase == NBJ__LINK_WAIT_INFO && ev->frame.op != NBJ__OP_INFO && ev->frame.op != NBJ__OP_ERR &&
            ev->frame.op != NBJ__OP_PING)
            return nbj__link_fail(l, NBJ_E_PROTO, "the server did not begin with INFO");
        st = apply(l, now, ev);
    }
    return l->phase == NBJ__LINK_FAILED ? l->error.status : st;
}

nbj_status nbj__link_on_time(nbj__link *l, nbj_time now)
{
    uint64_t number = 0;

    if (l->phase == NBJ__LINK_FAILED)
        return l->error.status;
    if (now < l->due)
        return NBJ_OK;
    if (l->phase != NBJ__LINK_READY) {
        if (NBJ__CANARY(HANDSHAKE_UNBOUNDED)) {
            l->due = NBJ_TIME_NEVER;
            return NBJ_OK;
        }
        return nbj__link_fail(l, NBJ_E_CONNECT_TIMEOUT, NULL);
    }
    if (l->heard != l->heard_before_ping) /* what arrives is a sign of life: its PONG may wait behind much more */
        l->pings_out = 0;
    if (l->pings_out >= l->cfg.max_pings_out && !NBJ__CANARY(STALE_UNSEEN))
        return nbj__link_fail(l, NBJ_E_STALE, NULL);
    l->pings_out++;
    l->heard_before_ping = l->heard;
    l->due = nbj__time_add(now, l->cfg.ping_interval_ns);
    nbj_status st = nbj__link_ping(l, &number);
    return st == NBJ_OK ? NBJ_OK : nbj__link_fail(l, st, NULL);
}
