/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a ride: four per trip, as JSON with id, type, time, source, version, correlation id and data.
 * Owns: their content and their numbering. An event is a pure function of the run's name, the trip and the step,
 * so the checker recomputes every payload from the trips instead of trusting what it reads.
 *
 * Ids read <run>-<trip>-<step>, steps counted 1 to 4; the events of a run are numbered from 0 in the order of
 * publishing: (trip - 1) * 4 + step - 1. */
#ifndef RIDE_DEMO_EVENTS_H
#define RIDE_DEMO_EVENTS_H

#include "trips.h"

#define EVENT_ID_SIZE 64
#define EVENT_PAYLOAD_MAX 1024
#define EVENT_RUN_MAX 24 /* longest name of a run */
#define EVENTS_PER_TRIP 4

#define RIDE_STREAM "RIDE_STREAM"

typedef struct ride_event {
    uint64_t number;
    const char *subject; /* static: one of event_subjects, the type too */
    char id[EVENT_ID_SIZE];
    size_t length;
    char payload[EVENT_PAYLOAD_MAX];
} ride_event;

extern const char *const event_subjects[EVENTS_PER_TRIP];

/* |step| is 0 to 3. False when memory ran out. */
bool event_build(ride_event *out, const char *run, const trip *from, unsigned step);

/* Reads the id out of a payload. False when the payload is not a JSON object with an id of legal length. */
bool event_read_id(const char *payload, size_t length, char id[EVENT_ID_SIZE]);

/* The number of the event that has this id in this run. False when no event of the run can have it. */
bool event_number(const char *run, const char *id, uint64_t *number);

/* FNV-1a, 64 bits: tells whether two payloads are the same. Against accidents, not against an attacker. */
uint64_t event_sum(const void *payload, size_t length);

#endif
