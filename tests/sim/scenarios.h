/* SPDX-License-Identifier: Apache-2.0 */
/* The conversations that hold the server model to the real servers, grouped by what the server is configured with. */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "model.h"

typedef struct scenario {
    const char *name;
    const char *script; /* lines of transcript.h */
} scenario;

typedef struct scenario_group {
    const char *name;
    const char *config; /* of the real server */
    bool jetstream;
    model_options model;       /* the same for the model; version and jetstream are filled in */
    const scenario *scenarios; /* ends with a NULL name. Each removes the streams it made */
} scenario_group;

extern const scenario_group scenario_groups[];
extern const size_t scenario_group_count;

#endif
