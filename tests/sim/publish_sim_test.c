/* SPDX-License-Identifier: Apache-2.0 */
/* Small worlds about the publish window: replicas and their leaders, limits, short duplicate windows, late answers,
 * ordered messages, expectations. */
#include "sim.h"

int main(int argc, char **argv)
{
    return sim_main(argc, argv,
                    &(sim_program){ .run = sim_run_publishing,
                                    .seeds = 20000,
                                    .min_events = SIM_MIN_EVENTS_SMALL,
                                    .machine = &nbj__publish_machine,
                                    .replay = "build/dev/tests/sim/publish_sim_test" });
}
