#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./dev test without a filter: all builds and checks, ending with ctest's own summary of the dev build: unit,
# simulation, and the live tests on every server there is.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The sanitizers cost about ten times: fewer seeds, the same tests.
DEV_SEEDS="${NBJ_SIM_SEEDS:-10000}"
ASAN_SEEDS=1000
FUZZ_SECONDS=10

gcc_stage() { build dev "-DNBJ_SERVERS=$SERVERS"; }
clang_stage() { build dev-clang && run_ctest dev-clang -L '^unit$'; }
release_stage() { build release -DNBJ_WERROR=ON; }
asan_stage() { build asan && NBJ_SIM_SEEDS=$ASAN_SEEDS run_ctest asan -L '^(unit|sim)$'; }
tsan_stage() { build tsan "-DNBJ_SERVERS=${SERVERS%%;*}" && run_ctest tsan -L '^threads$'; }
has_threads() { ! ctest --test-dir build/dev -N -L '^threads$' | grep -q 'Total Tests: 0'; }

began=$SECONDS
scripts/need.sh build test fuzz lint
SERVERS=$(server_list)
say "servers $(sed 's/=[^;]*//g; s/;/ /g' <<<"$SERVERS")"

step "gcc, warnings as errors" gcc_stage
step "clang, warnings as errors, unit tests" clang_stage
step "release with LTO" release_stage
step "core layers with musl" build musl
step "lint" scripts/lint.sh
step "unit and simulation under ASan and UBSan" asan_stage
if has_threads; then
    step "threads under TSan" tsan_stage
else
    say "skipped threads under TSan: no test starts threads"
fi
step "fuzz, $FUZZ_SECONDS s a target" scripts/fuzz.sh "$FUZZ_SECONDS"
say "stages before the last took $((SECONDS - began)) s; now all tests of the dev build"

export NBJ_SIM_SEEDS=$DEV_SEEDS
run_ctest dev
