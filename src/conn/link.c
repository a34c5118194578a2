/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/link.h"

#include "base/canary.h"
#include "base/heap.h"
#include "base/text.h"

#include <assert.h>

#define RX_CHUNK 32768u       /* size of a receive chunk */
#define RX_CHUNK_BUSY 126976u /* … while reads fill it: less than what malloc would map and unmap each time */
#define RX_QUIET 64u          /* small reads in a row, after which it is not busy any more */
#define RX_MOVE_MAX 1024u     /* so much of a frame is rather moved than read behind */
#define RX_ROOM_MIN 4096u     /* less room than this is not worth a read */
#define RX_KEEP \
    262144u /* a larger chunk goes when it is empty, so that one large message does not cost memory for ever */
#define RX_UNASKED 65536u    /* a server that waits for CONNECT has nothing to say that is longer */
#define TX_LIMIT (64u << 20) /* CONNECT, and SUB for every subscription there may be */

static const nbj__transition transitions[] = {
    { 0, NBJ__LINK_WAIT_INFO },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_WAIT_TLS },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_WAIT_CREDENTIALS },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_WAIT_PONG },
    { NBJ__LINK_WAIT_INFO, NBJ__LINK_FAILED },
    { NBJ__LINK_WAIT_TLS, NBJ__LINK_WAIT_CREDENTIALS },
    { NBJ__LINK_WAIT_TLS, NBJ__LINK_WAIT_PONG },
    { NBJ__LINK_WAIT_TLS, NBJ__LINK_FAILED },
    { NBJ__LINK_WAIT_CREDENTIALS, NBJ__LINK_WAIT_PONG },
    { NBJ__LINK_WAIT_CREDENTIALS, NBJ__LINK_FAILED },
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

/* Enters a phase of the handshake that may last |limit|, if that is not 0. */
static void enter(nbj__link *l, nbj__link_phase to, uint64_t limit, nbj_time now)
{
    set_phase(l, to);
    l->asked = false;
    l->entered = now;
    l->due = limit > 0 ? nbj__time_min(nbj__time_add(now, limit), l->shaken_due) : l->shaken_due;
}

void nbj__link_init(nbj__link *l, const nbj__link_config *cfg, nbj_time now)
{
    *l = (nbj__link){ .cfg = *cfg };
    l->shaken_due = nbj__time_add(now, cfg->handshake_ns);
    nbj__buf_init(&l->tx, cfg->alloc, TX_LIMIT);
    l->tx.secret = true; /* CONNECT */
    enter(l, NBJ__LINK_WAIT_INFO, cfg->info_ns, now);
}

void nbj__link_free(nbj__link *l)
{
    if (l->cfg.alloc == NULL)
        return;
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

static size_t held(const nbj__link *l)
{
    return l->rx_tail - l->rx_head;
}

/* A chunk that has room behind what was received and not parsed; that is moved to its front. */
static nbj_status make_rx_room(nbj__link *l)
{
    size_t kept = held(l);
    size_t need = nbj__frame_need(&l->parser);
    size_t usual = l->rx_is_busy ? RX_CHUNK_BUSY : RX_CHUNK;
    size_t most = 2 * kept + RX_CHUNK; /* an announced length is believed only in step with what really arrived */
    size_t want = need < most ? need : most;

    if (want < kept + RX_ROOM_MIN)
        want = kept + RX_ROOM_MIN;
    if (want < usual)
        want = usual;
    if (l->rx != NULL && nbj__chunk_is_ours(l->rx) && want <= l->rx->cap) {
        memmove(l->rx->data, l->rx->data + l->rx_head, kept);
    } else {
        nbj__chunk *c = nbj__chunk_new(l->cfg.alloc, want);
        if (c == NULL)
            return NBJ_E_NOMEM;
        if (l->rx != NULL)
            memcpy(c->data, l->rx->data + l->rx_head, kept);
        nbj__chunk_release(l->rx);
        l->rx = c;
    }
    l->rx_head = 0;
    l->rx_tail = kept;
    return NBJ_OK;
}

/* All that was received is parsed, and nobody keeps it. */
static void forget_rx(nbj__link *l)
{
    l->rx_head = l->rx_tail = 0;
    if (l->rx->cap <= RX_KEEP && (l->rx->cap >= RX_CHUNK_BUSY) == l->rx_is_busy)
        return;
    nbj__chunk_release(l->rx);
    l->rx = NULL;
}

/* Little is kept, far behind in the chunk: at its front there is room for a larger read. */
static bool is_worth_moving(const nbj__link *l)
{
    return l->rx_tail > l->rx->cap / 2 && held(l) <= RX_MOVE_MAX && nbj__chunk_is_ours(l->rx);
}

nbj_status nbj__link_rx_space(nbj__link *l, uint8_t **at, size_t *len)
{
    if (l->rx != NULL && l->rx_head == l->rx_tail && nbj__chunk_is_ours(l->rx))
        forget_rx(l);
    if (l->rx == NULL || l->rx->cap - l->rx_tail < RX_ROOM_MIN || is_worth_moving(l)) {
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
    if (len == l->rx->cap - l->rx_tail)
        l->rx_is_busy = true;
    l->rx_small_reads = len < RX_CHUNK / 2 ? l->rx_small_reads + 1 : 0;
    if (l->rx_small_reads > RX_QUIET)
        l->rx_is_busy = false;
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
static nbj_status send_connect(nbj__link *l, nbj__connect c, nbj_time now)
{
    uint64_t number = 0;

    c.headers = l->info.headers;
    c.tls = l->cfg.secured;
    nbj_status st = nbj__emit_connect(&l->tx, &c);
    if (st == NBJ_OK)
        st = nbj__link_ping(l, &number);
    if (st != NBJ_OK)
        return nbj__link_fail(l, st, NULL);
    enter(l, NBJ__LINK_WAIT_PONG, l->cfg.auth_ns, now);
    return NBJ_OK;
}

/* INFO is there, and TLS where it has to be. */
static nbj_status authenticate(nbj__link *l, nbj_time now)
{
    if (!l->cfg.wants_credentials)
        return send_connect(l, l->cfg.connect, now);
    enter(l, NBJ__LINK_WAIT_CREDENTIALS, 0, now);
    return NBJ_OK;
}

nbj_status nbj__link_credentials(nbj__link *l, const nbj__credentials *given, nbj_time now)
{
    nbj__connect c = l->cfg.connect;

    if (l->phase != NBJ__LINK_WAIT_CREDENTIALS || !l->asked)
        return NBJ_E_STATE;
    if (given->user.len + given->password.len + given->token.len > 0 && !NBJ__CANARY(CREDENTIALS_STALE)) {
        c.user = given->user;
        c.password = given->password;
        c.auth_token = given->token;
    }
    c.jwt = given->jwt;
    c.nkey = given->nkey;
    c.signature = given->signature;
    return send_connect(l, c, now);
}

/* Whoever sits on the wire could put operations behind INFO, to be taken for the server's own once TLS is there. */
static nbj_status fail_injected(nbj__link *l)
{
    return nbj__link_fail(l, NBJ_E_PROTO, "octets came in clear where TLS had to begin");
}

nbj_status nbj__link_secured(nbj__link *l, nbj_time now)
{
    if (l->phase != NBJ__LINK_WAIT_TLS || !l->asked)
        return NBJ_E_STATE;
    if (held(l) > 0 && !NBJ__CANARY(INJECTED_BEFORE_TLS))
        return fail_injected(l);
    l->cfg.secured = true;
    return authenticate(l, now);
}

static nbj_status on_first_info(nbj__link *l, nbj_time now)
{
    const nbj__info *info = &l->info;

    if (l->cfg.secured || (!info->tls_required && !l->cfg.tls_wanted) || NBJ__CANARY(CONNECT_IN_CLEAR))
        return authenticate(l, now);
    if (!l->cfg.tls_possible)
        return nbj__link_fail(l, info->tls_required ? NBJ_E_TLS_REQUIRED : NBJ_E_NO_TLS,
                              "TLS is needed, which this client cannot do; nothing was sent in clear");
    if (!info->tls_required && !info->tls_available)
        return nbj__link_fail(l, NBJ_E_NO_TLS,
                              "TLS is wanted, but the server does not offer it; nothing was sent in clear");
    enter(l, NBJ__LINK_WAIT_TLS, l->cfg.tls_ns, now);
    return NBJ_OK;
}

/* A later INFO need not repeat what still holds. */
static void keep_unsaid(const nbj__info *old, nbj__info *info)
{
    if (info->max_payload <= 0)
        info->max_payload = old->max_payload;
    if (!info->has_headers)
        info->headers = old->headers;
}

static nbj_status on_info(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    nbj__info info;
    nbj_status st = nbj__info_parse(l->cfg.alloc, ev->frame.text, &info);

    if (st == NBJ_E_PROTO && l->phase != NBJ__LINK_WAIT_INFO)
        return NBJ_MORE; /* the last good one stays */
    if (st != NBJ_OK)
        return nbj__link_fail(l, st, st == NBJ_E_PROTO ? "the server's INFO is not a JSON object" : NULL);
    keep_unsaid(&l->info, &info);
    nbj__info_free(l->cfg.alloc, &l->info);
    l->info = info;
    ev->type = NBJ__LINK_EV_INFO;
    return l->phase == NBJ__LINK_WAIT_INFO ? on_first_info(l, now) : NBJ_OK;
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
    if (l->phase == NBJ__LINK_WAIT_INFO || NBJ__CANARY(NO_PONG)) /* it might go out in clear */
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
        return on_info(l, now, ev);
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

/* One frame. NBJ_MORE and *|used| 0: none is complete. Otherwise as apply(). */
static nbj_status take_frame(nbj__link *l, nbj_time now, nbj__link_event *ev, size_t *used)
{
    nbj_bytes in = nbj_view(l->rx != NULL ? l->rx->data + l->rx_head : NULL, held(l));
    nbj_status st = nbj__frame_parse(&l->parser, in, &ev->frame, used);

    if (st == NBJ_MORE)
        return NBJ_MORE;
    if (st != NBJ_OK)
        return nbj__link_fail(l, st,
                              l->phase == NBJ__LINK_WAIT_INFO ? "what answers here does not speak the NATS protocol"
                                                              : "the server sent what is not the NATS protocol");
    l->rx_head += *used;
    if (ev->frame.op == NBJ__OP_PING)
        l->heard -= *used;
    if (l->phase == NBJ__LINK_WAIT_INFO && ev->frame.op != NBJ__OP_INFO && ev->frame.op != NBJ__OP_ERR &&
        ev->frame.op != NBJ__OP_PING)
        return nbj__link_fail(l, NBJ_E_PROTO, "the server did not begin with INFO");
    return apply(l, now, ev);
}

/* While the driver has to answer nothing is parsed, save the reason why the server ends it all. */
static nbj_status wait_for_driver(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    bool tls = l->phase == NBJ__LINK_WAIT_TLS;
    size_t used = 0;

    if (!tls && !l->asked) {
        l->asked = true;
        ev->type = NBJ__LINK_EV_CREDENTIALS;
        return NBJ_OK;
    }
    if (held(l) > 0 && l->rx->data[l->rx_head] == '-')
        (void)take_frame(l, now, ev, &used); /* "-ERR" or nonsense: both are the end */
    if (l->phase == NBJ__LINK_FAILED)
        return l->error.status;
    if (tls && held(l) > 0 && !NBJ__CANARY(INJECTED_BEFORE_TLS))
        return fail_injected(l);
    if (held(l) > RX_UNASKED)
        return nbj__link_fail(l, NBJ_E_PROTO, "the server does not wait for CONNECT");
    if (l->asked)
        return NBJ_MORE;
    l->asked = true;
    ev->type = NBJ__LINK_EV_START_TLS;
    return NBJ_OK;
}

nbj_status nbj__link_next(nbj__link *l, nbj_time now, nbj__link_event *ev)
{
    while (l->phase != NBJ__LINK_FAILED) {
        size_t used = 0;
        if (l->phase == NBJ__LINK_WAIT_TLS || l->phase == NBJ__LINK_WAIT_CREDENTIALS)
            return wait_for_driver(l, now, ev);
        nbj_status st = take_frame(l, now, ev, &used);
        if (st == NBJ_OK || (st == NBJ_MORE && used == 0))
            return st;
    }
    return l->error.status;
}

static const char *what_was_missing(nbj__link_phase phase)
{
    switch (phase) {
    case NBJ__LINK_WAIT_INFO:
        return "no INFO";
    case NBJ__LINK_WAIT_TLS:
        return "the TLS handshake did not finish";
    case NBJ__LINK_WAIT_CREDENTIALS:
        return "the credentials were not given";
    case NBJ__LINK_WAIT_PONG:
        return "no answer to CONNECT";
    case NBJ__LINK_READY:
    case NBJ__LINK_FAILED:
        break;
    }
    return "no connection";
}

static nbj_status time_out(nbj__link *l)
{
    char text[80];
    nbj__text t = nbj__text_into(text, sizeof text);

    nbj__text_add(&t, what_was_missing(l->phase));
    nbj__text_add(&t, " within ");
    nbj__text_add_u64(&t, (l->due - l->entered) / NBJ_MILLIS(1));
    nbj__text_add(&t, " ms");
    return nbj__link_fail(l, NBJ_E_CONNECT_TIMEOUT, text);
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
        return time_out(l);
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
