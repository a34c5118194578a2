/* SPDX-License-Identifier: Apache-2.0 */
/* Where the trips of a run come from: a file or the generator, up to a count. Publisher, checker and supervisor
 * each read it for themselves and get the same trips. */
#ifndef RIDE_DEMO_SOURCE_H
#define RIDE_DEMO_SOURCE_H

#include "generator.h"
#include "trips.h"

typedef struct trip_source_options {
    const char *path; /* NULL: generated */
    uint64_t seed;    /* of the generator */
    uint64_t count;   /* at most so many trips; 0: all of the file */
} trip_source_options;

typedef struct trip_source {
    trip_reader *reader; /* NULL: generated */
    generator generator;
    uint64_t left;
} trip_source;

/* |on_skip| may be NULL. After false there is nothing to close. */
bool trip_source_open(trip_source *out, const trip_source_options *options, trip_skipped *on_skip, void *user,
                      problem *why);
trip_result trip_source_next(trip_source *source, trip *out, problem *why);
uint64_t trip_source_skipped(const trip_source *source);
void trip_source_close(trip_source *source);

#endif
