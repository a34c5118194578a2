/* SPDX-License-Identifier: Apache-2.0 */
/* Octets in and out. The lock is dropped around system calls; what they work on stays put meanwhile (session.h). */
#define _GNU_SOURCE
#include "driver/driver_int.h"

#include "driver/os.h"

#include <errno.h>

#define READS_AT_ONCE 16  /* then timers and writing have their turn */
#define WRITES_AT_ONCE 16 /* then reading has */

/* --- reading --- */

/* False: no memory, and the connection is given up for it. */
bool nbj__driver_begin_read(nbj__driver *d, nbj__reading *r, nbj_time now)
{
    *r = (nbj__reading){ .was_shaking = d->channel.is_shaking, .got = { .status = NBJ_MORE } };
    nbj_status st = r->was_shaking ? NBJ_OK : nbj__session_rx_space(d->session, &r->at, &r->room);
    if (st == NBJ_OK)
        return true;
    nbj__driver_lose(d, st, NULL, now);
    return false;
}

/* Without the lock. */
void nbj__driver_receive(nbj__driver *d, nbj__reading *r)
{
    r->got = nbj__channel_receive(&d->channel, r->at, r->room);
}

static void on_secured(nbj__driver *d, nbj_time now)
{
    bool is_dialing = d->first_due != NBJ_TIME_NEVER;

    d->first_due = NBJ_TIME_NEVER;
    if (is_dialing)
        nbj__session_dialed(d->session, now);
    else
        (void)nbj__session_secured(d->session, now); /* what it does not like is an event */
}

void nbj__driver_end_read(nbj__driver *d, const nbj__reading *r, nbj_time now)
{
    const nbj__received *got = &r->got;
    nbj_error error;

    d->readable = got->may_have_more || (d->ending && got->status == NBJ_OK);
    if (got->status == NBJ_MORE)
        return;
    if (got->status != NBJ_OK) {
        nbj__error_set(&error, got->status, nbj__channel_end_text(&d->channel, got), (char *)NULL);
        nbj__driver_lose(d, got->status, error.text[0] != '\0' ? error.text : NULL, now);
        return;
    }
    if (r->was_shaking)
        on_secured(d, now);
    else
        nbj__session_rx_commit(d->session, got->len);
    nbj__driver_pump(d, now);
}

void nbj__driver_read_all(nbj__driver *d)
{
    for (int i = 0; i < READS_AT_ONCE && d->channel.fd >= 0 && d->readable; i++) {
        nbj__reading r;
        if (!nbj__driver_begin_read(d, &r, nbj__os_now()))
            return;
        nbj__lock_drop(d->cfg.lock);
        nbj__driver_receive(d, &r);
        nbj__lock_take(d->cfg.lock);
        nbj__driver_end_read(d, &r, nbj__os_now()); /* callbacks take their time: the clock is read again each time */
    }
}

/* --- writing --- */

/* Edge-triggered: the descriptor tells when there is room, which would be a needless wake-up where there always is. */
static void await_room(nbj__driver *d)
{
    d->writable = false;
    if (d->watched != 0) /* anew each time: the edge may have come before we had the lock again */
        nbj__driver_watch(d, d->watched | EPOLLOUT);
}

void nbj__driver_write(nbj__driver *d)
{
    bool stays = nbj__session_tx_stays(d->session);
    nbj_bytes tx = nbj__session_tx(d->session);
    size_t n = 0;

    d->writing = true;
    if (stays)
        nbj__lock_drop(d->cfg.lock);
    nbj_status st = nbj__channel_send(&d->channel, tx, &n);
    if (stays)
        nbj__lock_take(d->cfg.lock);
    d->writing = false;
    if (d->cfg.lock->is_real)
        pthread_cond_broadcast(&d->written);
    if (st == NBJ_OK || n > 0)
        nbj__session_sent(d->session, n, nbj__os_now());
    if (st == NBJ_MORE)
        await_room(d);
    else if (st != NBJ_OK)
        d->write_failed = d->readable = true; /* the server's reason may wait to be read */
}

/* All there is, unless others add to it as fast as it goes. */
void nbj__driver_write_all(nbj__driver *d)
{
    for (int i = 0; i < WRITES_AT_ONCE && nbj__driver_can_write(d); i++)
        nbj__driver_write(d);
}
