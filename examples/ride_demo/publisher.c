/* SPDX-License-Identifier: Apache-2.0 */
/* The first process: publishes the four events of every trip, in order; at first one at a time, then with a window of
 * them in flight. What did not get into the stream is published again, with the same id, so that the stream can tell.
 *
 * Publishing only hands a message to the client; it leaves in the next turn of the loop. So all attempts are in the
 * ledger before anything of them can be on the wire, although they are written in one piece. */
#include "events.h"
#include "ledger.h"
#include "parts.h"
#include "report.h"
#include "service.h"

#include <stdlib.h>

enum { TRIES_MAX = 50, TURN_MS = 50, RETRY_MS = 100 };

typedef struct publisher publisher;

/* A place in the window. */
typedef enum slot_state {
    SLOT_FREE,
    SLOT_IN_FLIGHT,
    SLOT_FAILED, /* to be published again */
} slot_state;

typedef struct slot {
    publisher *owner;
    slot_state state;
    unsigned tries;
    uint64_t retry_ns; /* FAILED: when */
    struct slot *next; /* FREE: another free one */
    ride_event event;
} slot;

struct publisher {
    const options *with;
    service service;
    ledger *ledger;
    trip_source source;
    trip trip;     /* the present one */
    unsigned step; /* its next event */
    bool source_ended;
    uint64_t stored;
    size_t in_use, failed; /* slots that are not free; of these, to be published again */
    slot *free;
    meter single, windowed;
    slot slots[]; /* as many as the window has */
};

static void give_back(publisher *p, slot *s)
{
    s->state = SLOT_FREE;
    s->next = p->free;
    p->free = s;
    p->in_use--;
}

static slot *take_free(publisher *p)
{
    slot *s = p->free;

    p->free = s->next;
    p->in_use++;
    s->tries = 0;
    return s;
}

static void on_outcome(void *user, const nbj_publish_result *result)
{
    slot *s = user;
    publisher *p = s->owner;

    if (nbj_is_stored(result)) {
        ledger_stored(p->ledger, s->event.id, result->ack.stream, result->ack.sequence,
                      result->outcome == NBJ_DUPLICATE);
        p->stored++;
        give_back(p, s);
        return;
    }
    ledger_failed(p->ledger, s->event.id, result->outcome == NBJ_REJECTED);
    s->state = SLOT_FAILED;
    p->failed++;
    s->retry_ns = report_now_ns() + NBJ_MILLIS(RETRY_MS);
    if (s->tries == TRIES_MAX)
        service_fail(&p->service, "%s was not stored after %d attempts: %s", s->event.id, TRIES_MAX,
                     nbj_error_text(&result->error));
}

static void publish(publisher *p, slot *s)
{
    const ride_event *event = &s->event;

    ledger_attempt(p->ledger, event->id);
    nbj_status status = nbj_publish_async(p->service.client, event->subject, nbj_view(event->payload, event->length),
                                          NBJ_PUBLISH(.msg_id = event->id), on_outcome, s);
    s->state = SLOT_IN_FLIGHT;
    s->tries++;
    if (status == NBJ_OK)
        return;
    ledger_failed(p->ledger, event->id, true);
    service_fail(&p->service, "%s cannot be published: %s", event->id, nbj_strerror(status));
}

static void publish_failed_again(publisher *p)
{
    uint64_t now = report_now_ns();

    for (size_t i = 0; p->failed > 0 && i < p->with->window; i++) {
        if (p->slots[i].state != SLOT_FAILED || now < p->slots[i].retry_ns)
            continue;
        p->failed--;
        publish(p, &p->slots[i]);
    }
}

/* Builds the next event of the run; false at the end of the trips, or on failure. */
static bool next_event(publisher *p, ride_event *out)
{
    problem why;

    if (p->step == EVENTS_PER_TRIP) {
        trip_result result = trip_source_next(&p->source, &p->trip, &why);
        p->source_ended = result == TRIP_END;
        if (result == TRIP_FAILED)
            service_fail(&p->service, "%s", why.text);
        if (result != TRIP_OK)
            return false;
        p->step = 0;
    }
    if (event_build(out, p->with->run, &p->trip, p->step++))
        return true;
    service_fail(&p->service, "out of memory");
    return false;
}

/* Publishes as much as may be in flight now. */
static void fill_window(publisher *p)
{
    size_t limit = p->stored < p->with->singles ? 1 : p->with->window;

    publish_failed_again(p);
    while (p->in_use < limit && !p->source_ended && !p->service.failed) {
        slot *s = take_free(p);
        if (next_event(p, &s->event))
            publish(p, s);
        else
            give_back(p, s);
    }
}

static void measure(publisher *p)
{
    uint64_t now = report_now_ns(), singles = p->with->singles;

    if (p->stored <= singles)
        meter_look(&p->single, p->stored, now);
    if (p->stored >= singles)
        meter_look(&p->windowed, p->stored - singles, now);
    report_progress(p->stored, false);
}

static bool publish_all(publisher *p)
{
    problem why;
    bool good = service_open(&p->service, p->with, "ride-publisher");

    if (!good)
        return false;
    while (good && !(p->source_ended && p->in_use == 0) && !service_told_to_end()) {
        fill_window(p);
        if (!ledger_flush(p->ledger, &why))
            service_fail(&p->service, "%s", why.text);
        good = service_turn(&p->service, NBJ_MILLIS(TURN_MS));
        measure(p);
    }
    report_progress(p->stored, true); /* every outcome is known: nothing is left to drain */
    return service_close(&p->service, 0) && p->source_ended && p->in_use == 0;
}

static publisher *publisher_new(const options *with)
{
    publisher *p = calloc(1, sizeof *p + with->window * sizeof p->slots[0]);

    if (p == NULL)
        return NULL;
    p->with = with;
    p->step = EVENTS_PER_TRIP;
    p->in_use = with->window;
    for (size_t i = 0; i < with->window; i++) {
        p->slots[i].owner = p;
        give_back(p, &p->slots[i]);
    }
    return p;
}

static int publish_trips(publisher *p)
{
    problem why;

    p->ledger = ledger_create(p->with->directory, PUBLISHER_LEDGER, &why);
    if (p->ledger == NULL)
        return complain(EXIT_TROUBLE, "publisher", &why);
    bool good = publish_all(p);
    report_rate(&p->single, "published one at a time");
    report_rate(&p->windowed, "published with several in flight");
    if (p->service.failed)
        complain(EXIT_FAILED, "publisher", &p->service.why);
    if (ledger_close(p->ledger, &why))
        return good ? EXIT_PASSED : EXIT_FAILED;
    return complain(EXIT_FAILED, "publisher", &why);
}

int publisher_run(const options *with)
{
    publisher *p = publisher_new(with);
    problem why = { "out of memory" };
    int status = EXIT_TROUBLE;

    if (p == NULL)
        return complain(EXIT_TROUBLE, "publisher", &why);
    if (trip_source_open(&p->source, &with->source, NULL, NULL, &why)) {
        status = publish_trips(p);
        trip_source_close(&p->source);
    } else {
        complain(EXIT_TROUBLE, "publisher", &why);
    }
    free(p);
    return status;
}
