/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds of all there is. */
#include "sim.h"

int main(int argc, char **argv)
{
    return sim_main(
        argc, argv,
        &(sim_program){ .run = sim_run, .seeds = 10000, .min_events = SIM_MIN_EVENTS, .replay = "./dev sim" });
}
