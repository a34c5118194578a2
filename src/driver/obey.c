/* SPDX-License-Identifier: Apache-2.0 */
/* What the session's events ask of the driver. */
#define _GNU_SOURCE
#include "driver/driver_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/identity.h"
#include "driver/os.h"

#include <assert.h>

/* --- dialing --- */

void nbj__driver_watch(nbj__driver *d, uint32_t events)
{
    struct epoll_event watch = { .events = events | EPOLLET, .data.u64 = NBJ__TAG_SOCKET };

    d->watched = events;
    (void)epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, d->channel.fd, &watch); /* it is in the set since it was dialed */
}

/* |name|: whose certificate the server has to have. */
static void start_tls(nbj__driver *d, const char *name, nbj_time now)
{
    nbj__tls_options o = d->tls;
    nbj_error error = { 0 };

    o.host = name;
    nbj__driver_await_writer(d);
    nbj_status st = nbj__channel_start_tls(&d->channel, &o, &error);
    d->readable = true; /* what comes is for TLS from now on */
    if (st == NBJ_OK)
        return;
    nbj__driver_close_socket(d);
    nbj__session_lost(d->session, st, error.text, now);
}

/* TLS in front of everything else is part of dialing; behind INFO the session keeps its time. */
static void start_tls_first(nbj__driver *d, nbj_time now)
{
    uint64_t limit = d->cfg.session.tls_timeout_ns;

    d->first_begun = now;
    d->first_due = limit > 0 ? nbj__time_min(nbj__time_add(now, limit), d->dialer.due) : d->dialer.due;
    start_tls(d, d->first_name, now);
}

void nbj__driver_first_on_time(nbj__driver *d, nbj_time now)
{
    char text[80];
    nbj__text t = nbj__text_into(text, sizeof text);

    if (now < d->first_due)
        return;
    nbj__text_add(&t, "the TLS handshake did not finish within ");
    nbj__text_add_u64(&t, (d->first_due - d->first_begun) / NBJ_MILLIS(1));
    nbj__text_add(&t, " ms");
    nbj__driver_close_socket(d);
    nbj__session_lost(d->session, NBJ_E_CONNECT_TIMEOUT, text, now);
}

void nbj__driver_after_dialer(nbj__driver *d, nbj_status st, nbj_time now)
{
    if (st == NBJ_MORE)
        return;
    if (st != NBJ_OK) {
        nbj__session_lost(d->session, st, d->dialer.error.text, now);
        return;
    }
    nbj__driver_close_socket(d);
    nbj__channel_adopt(&d->channel, nbj__dialer_take(&d->dialer));
    d->readable = d->writable = true;
    nbj__driver_arm(d);
    if (d->first_name != NULL)
        start_tls_first(d, now);
    else
        nbj__session_dialed(d->session, now);
}

static void dial(nbj__driver *d, const nbj__event *ev, nbj_time now)
{
    const nbj_allocator *alloc = d->cfg.session.alloc;

    nbj__free_text(alloc, d->first_name);
    d->first_name = ev->tls_first ? nbj__copy_text(alloc, nbj_str(ev->tls_name)) : NULL;
    if (ev->tls_first && d->first_name == NULL)
        nbj__session_lost(d->session, NBJ_E_NOMEM, NULL, now);
    else
        nbj__driver_after_dialer(d, nbj__dialer_start(&d->dialer, ev->host, ev->port, ev->due, now), now);
}

/* --- credentials --- */

/* Reads and signs without the lock: it may take its time. The connection may be gone then; the session knows. */
static nbj_status identify(const nbj__driver *d, nbj_bytes nonce, nbj__identity *id, nbj_error *error)
{
    const nbj__identity_config cfg = { d->cfg.session.alloc, d->credentials_file, d->nkey_seed_file };
    uint8_t copy[NBJ__INFO_TEXT_MAX];

    assert(nonce.len <= sizeof copy);
    if (nonce.len > 0)
        memcpy(copy, nonce.ptr, nonce.len);
    nbj__lock_drop(d->cfg.lock);
    nbj_status st = nbj__identity_answer(&cfg, nbj_view(copy, nonce.len), id, error);
    nbj__lock_take(d->cfg.lock);
    return st;
}

static void answer_from_files(nbj__driver *d, nbj_bytes nonce)
{
    nbj__identity id;
    nbj_error error;
    nbj_status st = identify(d, nonce, &id, &error);
    nbj_time now = nbj__os_now();

    if (st == NBJ_OK) {
        const nbj__credentials who = { .jwt = id.jwt, .nkey = id.nkey, .signature = id.signature };
        (void)nbj__session_credentials(d->session, &who, now); /* what is wrong with it, the session's events say */
        nbj__identity_wipe(&id);
    } else if (nbj__session_no_credentials(d->session, &error, now) == NBJ_OK) {
        const nbj__event failed = { .type = NBJ__EV_CREDENTIALS, .status = st, .error = &error };
        d->cfg.on_event(d->cfg.user, &failed, now);
    }
}

/* --- events --- */

static void obey(nbj__driver *d, const nbj__event *ev, nbj_time now)
{
    switch (ev->type) {
    case NBJ__EV_DIAL:
        dial(d, ev, now);
        return;
    case NBJ__EV_HANGUP:
        nbj__dialer_cancel(&d->dialer);
        nbj__driver_close_socket(d);
        return;
    case NBJ__EV_START_TLS:
        start_tls(d, ev->host, now);
        return;
    case NBJ__EV_CREDENTIALS:
        if (d->credentials_file != NULL || d->nkey_seed_file != NULL) {
            answer_from_files(d, ev->nonce);
            return;
        }
        break;
    case NBJ__EV_CLOSED:
        d->closed = true;
        nbj__driver_forget_names(d);
        break;
    default:
        break;
    }
    d->cfg.on_event(d->cfg.user, ev, now);
}

/* Hands out all events. */
void nbj__driver_pump(nbj__driver *d, nbj_time now)
{
    nbj__event ev;

    while (!d->closed && nbj__session_next(d->session, now, &ev) == NBJ_OK)
        obey(d, &ev, now);
}

void nbj__driver_lose(nbj__driver *d, nbj_status st, const char *text, nbj_time now)
{
    nbj__driver_close_socket(d);
    nbj__session_lost(d->session, st, text, now);
    nbj__driver_pump(d, now);
}
