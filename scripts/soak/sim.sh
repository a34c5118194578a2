#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A million seeds of the simulator, shared out among the cores. Prints what docs/EVIDENCE.md records.
#
#   NBJ_SEEDS=1000000 ./dev soak sim
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

seeds=${NBJ_SEEDS:-1000000}
share=$(((seeds + JOBS - 1) / JOBS))
scripts/need.sh build
step "build dev" build dev
say "command   NBJ_SEEDS=$seeds ./dev soak sim"
say "commit    $(commit_id)"
say "machine   $JOBS cores, $(gcc --version | head -n 1)"

# Seeds start at 1; each core takes a range of its own. xargs fails when one of them does.
began=$SECONDS
seq 0 $((JOBS - 1)) | xargs -P "$JOBS" -I{} bash -c \
    'build/dev/tests/sim/sim_test --seeds "$1" --from "$((1 + $2 * $1))"' sim "$share" {}
say "figures   $((share * JOBS)) seeds in $((SECONDS - began)) s, no failure"
