/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants, with the lock held: at most one of |leader| and |io_leads| is set; the socket is in the I/O thread's sight
 * unless |leader| is set; whoever stops leading leaves a successor, or an I/O thread that wakes in time. */
#define _GNU_SOURCE
#include "driver/runtime.h"

#include "base/heap.h"
#include "base/text.h"
#include "driver/os.h"
#include "driver/thread.h"

#include <assert.h>

#define BURST_NS NBJ_MICROS(50) /* a second message within it is one of many */
#define LOOK_NS NBJ_MILLIS(100)
#define TAIL_NS NBJ_MICROS(100) /* after which a burst's end is written by the I/O thread */
#define WRITE_SELF_BYTES 32768u /* so much is worth a system call of the caller's */

struct nbj__runtime {
    nbj__runtime_config cfg;
    pthread_t io_thread;
    bool stopping;
    bool io_leads;
    nbj__waiter *leader;
    nbj__list waiters;      /* threads that wait for another one's lead */
    nbj_time io_wakes_at;   /* when the I/O thread's waiting ends by itself; 0: it is awake */
    nbj_time lead_wakes_at; /* when the leader's does; 0: it is awake */
    nbj_time look_at;       /* a deadline that a leader was to keep; looked at even when it is one no more */
    nbj_time last_write;    /* by a caller */
    nbj_time write_at;      /* when the I/O thread writes the end of a burst; NBJ_TIME_NEVER: there is none */
};

static nbj_time deadline(const nbj__runtime *rt)
{
    return rt->cfg.deadline(rt->cfg.user);
}

static nbj__waiter *first_waiter(const nbj__runtime *rt)
{
    nbj__node *n = nbj__list_first(&rt->waiters);

    return n != NULL ? NBJ__ITEM(n, nbj__waiter, node) : NULL;
}

/* Nobody leads: finds somebody. */
static void pass_lead(nbj__runtime *rt)
{
    nbj__waiter *next = nbj__driver_is_plain(rt->cfg.driver) && !rt->stopping ? first_waiter(rt) : NULL;

    rt->leader = next;
    if (next != NULL) {
        nbj__driver_disarm(rt->cfg.driver);
        pthread_cond_signal(&next->cond);
        return;
    }
    nbj__driver_arm(rt->cfg.driver);
    if (deadline(rt) < rt->io_wakes_at)
        nbj__driver_wake(rt->cfg.driver);
}

/* --- the I/O thread --- */

/* While somebody else leads the deadlines are his: they are looked at now and then, so that leaving the lead rarely has
 * to wake this thread. */
static nbj_time sleeps_until(const nbj__runtime *rt)
{
    if (rt->leader == NULL && rt->write_at != NBJ_TIME_NEVER)
        return rt->write_at;
    nbj_time due = deadline(rt);
    if (rt->leader == NULL)
        return due;
    nbj_time soon = nbj__time_add(nbj__os_now(), LOOK_NS);
    return due > soon ? due : soon;
}

static void lead_by_io(nbj__runtime *rt, const nbj__ready *ready)
{
    rt->io_leads = true;
    (void)nbj__driver_process(rt->cfg.driver, ready);
    rt->cfg.after_turn(rt->cfg.user);
    rt->io_leads = false;
    pass_lead(rt);
}

/* Whether the I/O thread was only roused to write the end of a burst, and that goes on. */
static bool is_too_early(nbj__runtime *rt, const nbj__ready *ready)
{
    bool early = rt->write_at != NBJ_TIME_NEVER && nbj__driver_is_wake_only(ready) && nbj__os_now() < rt->write_at;

    if (!early)
        rt->write_at = NBJ_TIME_NEVER;
    return early;
}

static void *io_main(void *arg)
{
    nbj__runtime *rt = arg;
    nbj__ready ready = { 0 };

    nbj__lock_take(rt->cfg.lock);
    while (!rt->stopping) {
        if (rt->leader == NULL && !is_too_early(rt, &ready))
            lead_by_io(rt, &ready);
        else
            nbj__driver_forget(rt->cfg.driver, &ready);
        nbj_time due = sleeps_until(rt);
        rt->io_wakes_at = due;
        nbj__lock_drop(rt->cfg.lock);
        nbj__driver_wait(rt->cfg.driver, due, &ready);
        nbj__lock_take(rt->cfg.lock);
        rt->io_wakes_at = 0;
    }
    if (rt->leader == NULL) /* the end, for the socket and for who waits for a subscription's next message */
        lead_by_io(rt, &ready);
    nbj__lock_drop(rt->cfg.lock);
    return NULL;
}

nbj_status nbj__runtime_start(nbj__runtime **out, const nbj__runtime_config *cfg, nbj_error *error)
{
    nbj__runtime *rt = nbj__alloc0(cfg->alloc, sizeof *rt);

    *out = NULL;
    if (rt == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    rt->cfg = *cfg;
    rt->write_at = NBJ_TIME_NEVER;
    nbj__list_init(&rt->waiters);
    nbj_status st = nbj__thread_start(&rt->io_thread, "nbj-io", io_main, rt, error);
    if (st != NBJ_OK) {
        nbj__free(cfg->alloc, rt, sizeof *rt);
        return st;
    }
    *out = rt;
    return NBJ_OK;
}

void nbj__runtime_stop(nbj__runtime *rt)
{
    nbj__lock_take(rt->cfg.lock);
    rt->stopping = true;
    nbj__driver_wake(rt->cfg.driver);
    nbj__lock_drop(rt->cfg.lock);
    pthread_join(rt->io_thread, NULL);
}

void nbj__runtime_free(nbj__runtime *rt)
{
    if (rt != NULL)
        nbj__free(rt->cfg.alloc, rt, sizeof *rt);
}

/* --- rousing whoever leads --- */

static void rouse(nbj__runtime *rt)
{
    if (rt->leader != NULL)
        nbj__driver_nudge(rt->cfg.driver);
    else if (rt->io_wakes_at > 0)
        nbj__driver_wake(rt->cfg.driver);
}

/* It sleeps longer than there is something due, or an event to hand out. */
static void rouse_in_time(nbj__runtime *rt)
{
    if (!rt->io_leads && deadline(rt) < (rt->leader != NULL ? rt->lead_wakes_at : rt->io_wakes_at))
        rouse(rt);
}

/* After somebody else has written: the rest is for whoever leads, if the socket is full or more came meanwhile, and so is
 * to say that there is room. */
static void rouse_after_writing(nbj__runtime *rt)
{
    const nbj__session *s = nbj__driver_session(rt->cfg.driver);

    if (nbj__driver_has_output(rt->cfg.driver) || nbj__session_deadline(s) == 0)
        rouse(rt);
}

/* --- waiting --- */

static bool may_lead(nbj__runtime *rt, const nbj__waiter *w)
{
    if (rt->leader != NULL || rt->io_leads)
        return rt->leader == w;
    return nbj__driver_is_plain(rt->cfg.driver);
}

/* When a leader is to look. Its turn ends with each answer that came, which must not forget a deadline that the next call
 * like the last one would have to wake it for. */
static nbj_time leads_until(nbj__runtime *rt, nbj_time due)
{
    nbj_time now = nbj__os_now();
    nbj_time next = deadline(rt);

    if (rt->look_at <= now || next < rt->look_at)
        rt->look_at = next;
    return nbj__time_min(due, rt->look_at);
}

static void lead_a_turn(nbj__runtime *rt, nbj__waiter *w, nbj_time due)
{
    rt->leader = w;
    rt->lead_wakes_at = 0;
    nbj__driver_disarm(rt->cfg.driver);
    nbj__driver_flush(rt->cfg.driver);
    rt->lead_wakes_at = w->done ? 0 : leads_until(rt, due);
    nbj__driver_read(rt->cfg.driver, rt->lead_wakes_at);
    rt->lead_wakes_at = 0;
    rt->cfg.after_turn(rt->cfg.user);
    if (!nbj__driver_is_plain(rt->cfg.driver))
        pass_lead(rt);
}

static void follow(nbj__runtime *rt, nbj__waiter *w, nbj_time due)
{
    if (!w->has_cond && nbj__cond_init(&w->cond) != NBJ_OK)
        return; /* it does not fail with glibc; others would have us look again at once */
    w->has_cond = true;
    nbj__list_push(&rt->waiters, &w->node);
    nbj__cond_wait(&w->cond, rt->cfg.lock, due);
    nbj__list_remove(&w->node);
}

/* Before following: whoever leads is asleep, and knows neither what is to be written nor by when it is to be answered. */
static void hand_over(nbj__runtime *rt)
{
    if (nbj__driver_can_write(rt->cfg.driver)) {
        nbj__driver_write(rt->cfg.driver);
        rouse_after_writing(rt);
    }
    rouse_in_time(rt);
}

bool nbj__runtime_wait(nbj__runtime *rt, nbj__waiter *w, nbj_time due)
{
    w->runtime = rt;
    if (!w->done && !may_lead(rt, w))
        hand_over(rt);
    while (!w->done && (due == NBJ_TIME_NEVER || nbj__os_now() < due)) {
        if (may_lead(rt, w))
            lead_a_turn(rt, w, due);
        else
            follow(rt, w, due);
    }
    if (rt->leader == w)
        pass_lead(rt);
    if (w->has_cond)
        pthread_cond_destroy(&w->cond);
    w->has_cond = false;
    w->runtime = NULL;
    return w->done;
}

void nbj__runtime_done(nbj__waiter *w)
{
    w->done = true;
    if (w->has_cond)
        pthread_cond_signal(&w->cond);
    if (w->runtime != NULL && w->runtime->leader == w)
        nbj__driver_nudge(w->runtime->cfg.driver);
}

/* --- what others cause --- */

/* Whoever leads was roused. The I/O thread that was, and finds another thread leading, does nothing. */
static bool is_on_the_way(const nbj__runtime *rt)
{
    return rt->leader != NULL ? nbj__driver_is_nudged(rt->cfg.driver) : nbj__driver_is_woken(rt->cfg.driver);
}

/* One of many messages is left to whoever leads. The I/O thread gives them 100 us to become more: roused at once, it would
 * fight with the caller for the lock, and for little. */
static void leave_to_leader(nbj__runtime *rt, nbj_time now)
{
    if (rt->leader != NULL) {
        rouse(rt);
        return;
    }
    rt->write_at = nbj__time_add(now, TAIL_NS);
    if (rt->write_at < rt->io_wakes_at)
        nbj__driver_wake(rt->cfg.driver);
}

void nbj__runtime_kick(nbj__runtime *rt)
{
    bool is_little = nbj__session_outgoing(nbj__driver_session(rt->cfg.driver)) < WRITE_SELF_BYTES;

    if (rt->io_leads || !nbj__driver_can_write(rt->cfg.driver)) /* it is about to be written, or cannot be now */
        return;
    if (is_little && (is_on_the_way(rt) || (rt->leader == NULL && rt->write_at != NBJ_TIME_NEVER)))
        return;
    nbj_time now = nbj__os_now();
    if (is_little && nbj__time_since(rt->last_write, now) < BURST_NS) {
        leave_to_leader(rt, now);
        return;
    }
    rt->last_write = now;
    nbj__driver_write(rt->cfg.driver);
    rouse_after_writing(rt);
}

void nbj__runtime_wake(nbj__runtime *rt)
{
    nbj__runtime_kick(rt);
    rouse_in_time(rt);
}
