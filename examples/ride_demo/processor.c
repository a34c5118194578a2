/* SPDX-License-Identifier: Apache-2.0 */
/* The second process: a durable pull consumer that works on every event and acknowledges it afterwards. At-least-once
 * delivery brings some events twice; the work is done once per id, and the repetition is only acknowledged.
 *
 * Deliveries of one turn are kept and acknowledged together after it: by then the ledger says that their work is done.
 * It runs until it is told to end, which the supervisor does when the server has nothing left. */
#include "events.h"
#include "id_set.h"
#include "ledger.h"
#include "parts.h"
#include "report.h"
#include "service.h"

#include <inttypes.h>
#include <string.h>

enum { ACK_WAIT_S = 5, DRAIN_S = 5, HELD_MAX = 1024, TURN_MS = 50 };

/* A delivery whose work is done and whose ack is not sent yet. */
typedef struct held {
    nbj_msg *msg;
    char id[EVENT_ID_SIZE];
} held;

typedef struct processor {
    const options *with;
    service service;
    ledger *ledger;
    id_set *done;
    uint64_t delivered, processed, completed; /* different events; of these processed; rides that reached their end */
    meter meter;
    size_t held_count;
    held held[HELD_MAX];
} processor;

/* The work on an event that was not seen before. */
static void work(processor *p, const char *id, const nbj_msg *msg)
{
    if (++p->delivered == p->with->drop) /* the sabotage: acknowledged as if it were done */
        return;
    if (nbj_bytes_equal(nbj_msg_subject(msg), nbj_str("ride.completed")))
        p->completed++;
    p->processed++;
    ledger_done(p->ledger, id);
}

static void settle_one(processor *p, const held *of)
{
    nbj_status status = nbj_ack(of->msg);

    if (status == NBJ_OK)
        ledger_acked(p->ledger, of->id);
    else if (status != NBJ_E_FULL) /* full: it will be delivered again */
        service_fail(&p->service, "%s cannot be acknowledged: %s", of->id, nbj_strerror(status));
}

/* Writes the ledger, then sends the acks that were waiting for it. Without the ledger there are none. */
static void settle(processor *p)
{
    problem why;
    bool written = ledger_flush(p->ledger, &why);

    if (!written)
        service_fail(&p->service, "%s", why.text);
    for (size_t i = 0; i < p->held_count; i++) {
        if (written)
            settle_one(p, &p->held[i]);
        nbj_msg_release(p->held[i].msg);
    }
    p->held_count = 0;
}

static void hold(processor *p, const char *id, const nbj_msg *msg)
{
    if (p->held_count == HELD_MAX)
        settle(p);
    held *to = &p->held[p->held_count];
    to->msg = nbj_msg_retain(msg);
    memcpy(to->id, id, sizeof to->id);
    if (to->msg != NULL)
        p->held_count++;
    else
        service_fail(&p->service, "out of memory");
}

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    processor *p = user;
    nbj_bytes data = nbj_msg_data(msg);
    nbj_delivery delivery;
    char id[EVENT_ID_SIZE] = "";

    (void)pull;
    nbj_status status = nbj_msg_delivery(msg, &delivery);
    if (status != NBJ_OK) {
        service_fail(&p->service, "a delivery that is none: %s", nbj_strerror(status));
        return;
    }
    (void)event_read_id((const char *)data.ptr, data.len, id); /* without an id: for the checker to find */
    ledger_delivered(p->ledger, id, delivery.stream_sequence, delivery.delivered, event_sum(data.ptr, data.len));
    switch (id_set_add(p->done, id)) {
    case ID_SET_NEW:
        work(p, id, msg);
        break;
    case ID_SET_KNOWN:
        break;
    case ID_SET_NO_MEMORY:
        service_fail(&p->service, "out of memory");
        return;
    }
    hold(p, id, msg);
}

static void on_state(void *user, nbj_pull *pull, nbj_pull_state state, const nbj_error *error)
{
    processor *p = user;

    (void)pull;
    if (state == NBJ_PULL_GONE)
        service_fail(&p->service, "the consumer is gone: %s", nbj_error_text(error));
    else if (state == NBJ_PULL_STALLED)
        report_note("stalled: %s", nbj_error_text(error));
}

static bool start_pull(processor *p, nbj_pull **out)
{
    nbj_status status =
        nbj_pull_start(p->service.client,
                       NBJ_CONSUMER_CONFIG(.stream = RIDE_STREAM, .durable = RIDE_DURABLE,
                                           .ack_wait_ns = NBJ_SECONDS(ACK_WAIT_S), .on_state = on_state),
                       on_delivery, p, out);

    if (status != NBJ_OK)
        service_fail(&p->service, "the consumer cannot be started: %s", nbj_strerror(status));
    return status == NBJ_OK;
}

static bool process_all(processor *p)
{
    nbj_pull *pull = NULL;
    bool good = service_open(&p->service, p->with, "ride-processor");

    if (!good)
        return false;
    good = start_pull(p, &pull);
    while (good && !service_told_to_end()) {
        good = service_turn(&p->service, NBJ_MILLIS(TURN_MS));
        settle(p);
        meter_look(&p->meter, p->processed, report_now_ns());
        report_progress(p->processed, false);
    }
    nbj_pull_release(pull);
    report_progress(p->processed, true);
    return service_close(&p->service, NBJ_SECONDS(DRAIN_S));
}

static int process_trips(processor *p)
{
    problem why;

    p->ledger = ledger_create(p->with->directory, PROCESSOR_LEDGER, &why);
    if (p->ledger == NULL)
        return complain(EXIT_TROUBLE, "processor", &why);
    bool good = process_all(p);
    report_note("%" PRIu64 " rides completed", p->completed);
    report_rate(&p->meter, "processed");
    if (p->service.failed)
        complain(EXIT_FAILED, "processor", &p->service.why);
    if (ledger_close(p->ledger, &why))
        return good ? EXIT_PASSED : EXIT_FAILED;
    return complain(EXIT_FAILED, "processor", &why);
}

int processor_run(const options *with)
{
    static processor p; /* too large for the stack */
    const problem why = { "out of memory" };

    p.with = with;
    p.done = id_set_new();
    if (p.done == NULL)
        return complain(EXIT_TROUBLE, "processor", &why);
    int status = process_trips(&p);
    id_set_free(p.done);
    return status;
}
