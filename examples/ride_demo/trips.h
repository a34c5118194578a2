/* SPDX-License-Identifier: Apache-2.0 */
/* A taxi trip and the reader of trip files. Owns: the columns by name, what makes a row malformed.
 * Does not own: CSV syntax (csv.h), generated trips (generator.h), the choice between the two (source.h).
 *
 * Columns: key, fare_amount, pickup_datetime, pickup_longitude, pickup_latitude, dropoff_longitude,
 * dropoff_latitude, passenger_count; in any order, others are ignored. The file is streamed.
 * A coordinate of exactly 0 means that the taxi had no position fix: the row is malformed. A trip that ends
 * where it began is a legal trip of 0 m, and a negative fare is a legal refund. */
#ifndef RIDE_DEMO_TRIPS_H
#define RIDE_DEMO_TRIPS_H

#include "problem.h"

#include <stdint.h>

typedef struct position {
    double longitude, latitude; /* degrees */
} position;

typedef struct trip {
    uint64_t index;   /* 1 for the first good trip of its source */
    char key[64];     /* the source's own name for it: printable ASCII */
    int64_t pickup_s; /* Unix seconds, UTC */
    double fare;
    char currency[4]; /* "" when the source does not say */
    position pickup, dropoff;
    unsigned passengers;
} trip;

typedef enum trip_result {
    TRIP_OK = 1,
    TRIP_END,
    TRIP_FAILED, /* see the problem */
} trip_result;

/* Called for each malformed row, which is then skipped. */
typedef void trip_skipped(void *user, uint64_t line, const char *reason);

typedef struct trip_reader trip_reader;

/* Opens |path| and reads its header. |on_skip| may be NULL. NULL is returned with the problem filled in, for
 * instance with the names of the missing columns. */
trip_reader *trip_reader_open(const char *path, trip_skipped *on_skip, void *user, problem *why);
trip_result trip_reader_next(trip_reader *reader, trip *out, problem *why);
uint64_t trip_reader_skipped(const trip_reader *reader); /* malformed rows so far */
void trip_reader_close(trip_reader *reader);             /* NULL is allowed */

double trip_distance_m(const trip *of); /* great circle from pick-up to drop-off */

#endif
