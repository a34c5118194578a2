/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a ride (events.h). */
#include "events.h"

#include "utc.h"

#include <assert.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define METRES_PER_S 7.0 /* a city's traffic */

enum {
    BOARDING_S = 60, /* from pick-up to start */
    PAYING_S = 45,   /* from arrival to completion */
    JSON_DEPTH = 16,
};

const char *const event_subjects[EVENTS_PER_TRIP] = {
    "ride.pickup",
    "ride.started",
    "ride.arrived",
    "ride.completed",
};

enum { PICKUP, STARTED, ARRIVED, COMPLETED };

/* A JSON object being built; one failed step spoils it, so that the steps need no checks of their own. */
typedef struct draft {
    json_object *object;
    bool failed;
} draft;

static void add(draft *to, const char *name, json_object *value)
{
    if (value != NULL && json_object_object_add(to->object, name, value) == 0)
        return;
    json_object_put(value);
    to->failed = true;
}

static void add_text(draft *to, const char *name, const char *text)
{
    add(to, name, json_object_new_string(text));
}

static void add_whole(draft *to, const char *name, uint64_t value)
{
    add(to, name, json_object_new_uint64(value));
}

/* With a fixed number of decimals, so that the text does not depend on how json-c prints a double. */
static void add_decimal(draft *to, const char *name, double value, int decimals)
{
    char text[352]; /* the longest double before the point is 309 digits */

    snprintf(text, sizeof text, "%.*f", decimals, value);
    add(to, name, json_object_new_double_s(value, text));
}

static void add_position(draft *to, position at)
{
    add_decimal(to, "lat", at.latitude, 6);
    add_decimal(to, "lng", at.longitude, 6);
}

static draft draft_start(void)
{
    json_object *object = json_object_new_object();

    return (draft){ object, object == NULL };
}

static uint64_t travel_s(const trip *of)
{
    return (uint64_t)(trip_distance_m(of) / METRES_PER_S);
}

static int64_t time_of(const trip *of, unsigned step)
{
    const int64_t after[EVENTS_PER_TRIP] = { 0, BOARDING_S, (int64_t)travel_s(of), PAYING_S };
    int64_t time = of->pickup_s;

    for (unsigned i = 1; i <= step; i++)
        time += after[i];
    return time;
}

static json_object *data_of(const trip *of, unsigned step)
{
    draft data = draft_start();

    if (data.failed)
        return NULL;
    add_text(&data, "ride_id", of->key);
    add_whole(&data, "trip", of->index);
    add_position(&data, step < ARRIVED ? of->pickup : of->dropoff);
    if (step == PICKUP)
        add_whole(&data, "passengers", of->passengers);
    if (step >= ARRIVED)
        add_whole(&data, "distance_m", (uint64_t)llround(trip_distance_m(of)));
    if (step == COMPLETED) {
        add_whole(&data, "duration_s", travel_s(of));
        add_decimal(&data, "fare", of->fare, 2);
        if (of->currency[0] != '\0')
            add_text(&data, "currency", of->currency);
    }
    if (!data.failed)
        return data.object;
    json_object_put(data.object);
    return NULL;
}

static bool print_payload(ride_event *out, json_object *event)
{
    const char *text = json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);

    out->length = text == NULL ? 0 : strlen(text);
    if (out->length == 0 || out->length > sizeof out->payload)
        return false;
    memcpy(out->payload, text, out->length);
    return true;
}

bool event_build(ride_event *out, const char *run, const trip *from, unsigned step)
{
    assert(step < EVENTS_PER_TRIP);
    draft event = draft_start();
    char time[UTC_TEXT_SIZE], ride[EVENT_ID_SIZE];

    if (event.failed)
        return false;
    out->number = (from->index - 1) * EVENTS_PER_TRIP + step;
    out->subject = event_subjects[step];
    snprintf(ride, sizeof ride, "%.*s-%" PRIu64, EVENT_RUN_MAX, run, from->index);
    snprintf(out->id, sizeof out->id, "%.50s-%u", ride, step + 1);
    utc_format(time_of(from, step), time);
    add_text(&event, "id", out->id);
    add_text(&event, "type", out->subject);
    add_text(&event, "time", time);
    add_text(&event, "source", "nbj-ride-demo");
    add_text(&event, "version", "1");
    add_text(&event, "correlation_id", ride);
    add(&event, "data", data_of(from, step));
    bool built = !event.failed && print_payload(out, event.object);
    json_object_put(event.object);
    return built;
}

static json_object *parse_object(const char *payload, size_t length)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
    json_object *value = NULL;

    if (tokener != NULL && length <= EVENT_PAYLOAD_MAX)
        value = json_tokener_parse_ex(tokener, payload, (int)length);
    if (tokener != NULL)
        json_tokener_free(tokener);
    return value;
}

bool event_read_id(const char *payload, size_t length, char id[EVENT_ID_SIZE])
{
    json_object *event = parse_object(payload, length), *field = NULL;
    bool found = json_object_is_type(event, json_type_object) && json_object_object_get_ex(event, "id", &field) &&
                 json_object_is_type(field, json_type_string);

    if (found) {
        int size = json_object_get_string_len(field);
        const char *text = json_object_get_string(field);
        found = size > 0 && size < EVENT_ID_SIZE && strlen(text) == (size_t)size;
        if (found)
            memcpy(id, text, (size_t)size + 1);
    }
    json_object_put(event);
    return found;
}

bool event_number(const char *run, const char *id, uint64_t *number)
{
    char again[EVENT_ID_SIZE];
    size_t prefix = strlen(run);
    uint64_t index = 0;
    unsigned step = 0;

    if (strncmp(id, run, prefix) != 0 || sscanf(id + prefix, "-%19" SCNu64 "-%1u", &index, &step) != 2)
        return false;
    if (index == 0 || step == 0 || step > EVENTS_PER_TRIP || index > UINT64_MAX / EVENTS_PER_TRIP)
        return false;
    snprintf(again, sizeof again, "%s-%" PRIu64 "-%u", run, index, step);
    if (strcmp(again, id) != 0) /* sscanf is lenient; only one spelling of an id is legal */
        return false;
    *number = (index - 1) * EVENTS_PER_TRIP + step - 1;
    return true;
}

uint64_t event_sum(const void *payload, size_t length)
{
    const unsigned char *octets = payload;
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ octets[i]) * 0x100000001b3u;
    return sum;
}
