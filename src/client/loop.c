/* SPDX-License-Identifier: Apache-2.0 */
/* The loop API, and the part of a turn that is the same with threads: what follows from the time. */
#include "client/client_int.h"

#include "driver/os.h"

#include <poll.h>

/* Publishes have their outcomes and deliveries are handled. */
static bool is_idle(const nbj_client *c)
{
    return nbj__publisher_is_idle(&c->publisher) && nbj__client_results_are_told(c) && nbj__client_pulls_are_told(c) &&
           nbj__client_senders_are_idle(c);
}

static nbj_time js_deadline(const nbj_client *c)
{
    nbj_time due = nbj__time_min(nbj__publisher_deadline(&c->publisher), nbj__client_pulls_deadline(c));

    due = nbj__time_min(due, nbj__client_senders_deadline(c));
    if (!c->draining || c->session_drains)
        return due;
    return is_idle(c) ? 0 : nbj__time_min(due, c->drain_due);
}

nbj_time nbj__client_deadline(void *client)
{
    nbj_client *c = client;
    nbj_time due = nbj__driver_deadline(c->driver);

    return nbj__session_phase(c->session) != NBJ__PHASE_CLOSED ? nbj__time_min(due, js_deadline(c)) : due;
}

/* JetStream's part is done before the session begins to drain. */
static void continue_drain(nbj_client *c, nbj_time now)
{
    if (!c->draining || c->session_drains || (!is_idle(c) && now < c->drain_due))
        return;
    c->session_drains = true;
    nbj__publish_asker_stop(&c->asker);
    if (now >= c->drain_due)
        nbj__session_close(c->session, NBJ_E_TIMEOUT, "the drain did not finish before its deadline");
    else
        nbj__session_drain(c->session, now, c->drain_due);
}

/* Last in a turn: what came in time counts, however late we look. */
void nbj__client_after_turn(void *client)
{
    nbj_client *c = client;
    nbj__publish_result r;

    if (nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        return;
    nbj_time now = nbj__os_now();
    if (!nbj__client_has_threads(c)) /* else who changes a state has it told */
        nbj__client_report_pulls(c);
    if (nbj__publish_asker_is_due(&c->asker) && !c->session_drains)
        nbj__publish_asker_ask(&c->asker, &c->where, now);
    if (now < js_deadline(c))
        return;
    while (nbj__publisher_on_time(&c->publisher, now, &r))
        nbj__client_on_result(c, &r);
    nbj__client_pulls_on_time(c, now);
    nbj__client_senders_on_time(c, now);
    nbj__client_report_pulls(c);
    continue_drain(c, now);
}

int nbj_loop_fd(const nbj_client *client)
{
    return nbj__driver_fd(client->driver);
}

uint64_t nbj_loop_timeout_ns(const nbj_client *client)
{
    if (nbj__process_is_other(&client->mark)) /* nbj_loop_process() will say so */
        return 0;
    nbj_time due = nbj__client_deadline((nbj_client *)(uintptr_t)client);

    if (due == NBJ_TIME_NEVER || due == 0)
        return due;
    nbj_time now = nbj__os_now();
    return due > now ? due - now : 0;
}

nbj_status nbj_loop_process(nbj_client *client)
{
    nbj_status st = nbj__client_enter(client);

    if (st != NBJ_OK)
        return st;
    if (nbj__client_has_threads(client) || client->processing) { /* from a callback */
        nbj__client_leave(client);
        return NBJ_E_STATE;
    }
    nbj__client_retain(client);
    client->processing = true;
    st = nbj__driver_process(client->driver, NULL);
    nbj__client_after_turn(client);
    client->processing = false;
    nbj__client_unref(client);
    return st;
}

nbj_status nbj_loop_turn(nbj_client *client, uint64_t max_wait_ns)
{
    struct pollfd wait = { .fd = nbj_loop_fd(client), .events = POLLIN };
    uint64_t ns = nbj__time_min(nbj_loop_timeout_ns(client), max_wait_ns);
    uint64_t ms = ns / 1000000 + (ns % 1000000 != 0); /* rounded up: waking early would only turn once more */
    int wait_ms = ns == NBJ_TIME_NEVER ? -1 : ms > 60000 ? 60000 : (int)ms;

    if (poll(&wait, 1, wait_ms) < 0) /* interrupted: the next turn waits on */
        return NBJ_OK;
    return nbj_loop_process(client);
}
