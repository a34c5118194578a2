/* SPDX-License-Identifier: Apache-2.0 */
/* Where the trips of a run come from (source.h). */
#include "source.h"

bool trip_source_open(trip_source *out, const trip_source_options *options, trip_skipped *on_skip, void *user,
                      problem *why)
{
    *out = (trip_source){ .left = options->count == 0 ? UINT64_MAX : options->count };
    generator_start(&out->generator, options->seed);
    if (options->path == NULL)
        return true;
    out->reader = trip_reader_open(options->path, on_skip, user, why);
    return out->reader != NULL;
}

trip_result trip_source_next(trip_source *source, trip *out, problem *why)
{
    if (source->left == 0)
        return TRIP_END;
    source->left--;
    if (source->reader != NULL)
        return trip_reader_next(source->reader, out, why);
    generator_next(&source->generator, out);
    return TRIP_OK;
}

uint64_t trip_source_skipped(const trip_source *source)
{
    return source->reader == NULL ? 0 : trip_reader_skipped(source->reader);
}

void trip_source_close(trip_source *source)
{
    trip_reader_close(source->reader);
    source->reader = NULL;
}
