/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a scenario against the server model, step by step. */
#ifndef SIM_PLAYER_H
#define SIM_PLAYER_H

#include "model.h"
#include "scenarios.h"
#include "transcript.h"

typedef struct player {
    model *m;
    uint64_t now;
    size_t chunk; /* octets fed at once; 0: all */
    model_conn *conn[TRANSCRIPT_CONNS];
    bool closed[TRANSCRIPT_CONNS];
    buf in[TRANSCRIPT_CONNS], ack[TRANSCRIPT_CONNS];
} player;

void player_open(player *p, const scenario_group *group, unsigned minor, unsigned patch, size_t chunk);
void player_free(player *p);
/* Runs one line of a script; what each connection then received is appended to |out[conn]|, as transcript.h has it. */
void player_step(player *p, str line, buf out[TRANSCRIPT_CONNS]);

#endif
