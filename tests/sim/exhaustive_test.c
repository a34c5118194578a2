/* SPDX-License-Identifier: Apache-2.0 */
/* Small scope, no randomness: one fixed session with a fault of every kind at every single octet of both directions of
 * its first connection, from the first octet of INFO to the last ack. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ways[] = { "to the server", "to the client" };
static const char *const kinds[] = { "FIN", "RST", "half-open", "stall" };

static int run(const sim_cut *cut, bool verbose, sim_result *r)
{
    sim_run_cut(cut, verbose, r);
    if (!r->failed)
        return 0;
    printf("FAILED: %s after %" PRIu64 " octets %s: %s\n  replay: exhaustive_test %d %" PRIu64 " %d\n", kinds[cut->how],
           cut->octet, ways[cut->way], r->failure, (int)cut->way, cut->octet, (int)cut->how);
    return 1;
}

int main(int argc, char **argv)
{
    sim_result r;
    sim_cut cut = { .octet = SIM_NEVER };
    uint64_t runs = 0, length[2];
    if (argc == 4) {
        cut = (sim_cut){ (net_way)atoi(argv[1]), strtoull(argv[2], NULL, 10), (net_end)atoi(argv[3]) };
        return run(&cut, true, &r);
    }
    if (run(&cut, false, &r) != 0)
        return 1;
    memcpy(length, r.carried, sizeof length);
    for (int way = 0; way < 2; way++)
        for (uint64_t octet = 0; octet <= length[way]; octet++)
            for (int how = 0; how < 4; how++, runs++) {
                cut = (sim_cut){ (net_way)way, octet, (net_end)how };
                if (run(&cut, false, &r) != 0)
                    return 1;
            }
    printf("%" PRIu64 " runs: 4 kinds of faults at each of %" PRIu64 " octets to the server and %" PRIu64
           " to the client\n",
           runs, length[0], length[1]);
    return length[0] < 300 || length[1] < 300;
}
