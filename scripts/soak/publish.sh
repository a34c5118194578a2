#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ten million messages, published without waiting by threads of one client into a stream in files, while the server is
# killed (SIGKILL) twenty times; then each message is held against its outcome. Prints what docs/EVIDENCE.md records.
#
#   ./dev soak publish [--messages N] [--kills N] [--seed S] [--server VERSION]      without --server the newest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

declare -A value=([messages]=10000000 [kills]=20 [seed]=1 [server]=)
given=$*
while (($# > 0)); do
    name=${1#--}
    [[ $1 == --* && -n ${value[$name]+known} && $# -ge 2 ]] || die "what is \"$*\"? The head of scripts/soak/publish.sh tells"
    value[$name]=$2
    shift 2
done

build_program() {
    cmake --preset dev && cmake --build build/dev -j "$JOBS" --target nbj_test_live_publish_soak_threads_test
}

scripts/need.sh build
servers=$(scripts/servers.sh)
server=$(grep -m 1 "^${value[server]}" <<<"$servers") || die "there is no nats-server ${value[server]}"
export NBJ_TEST_SERVER="${server#*=}"
step "build dev" build_program
say "command   ./dev soak publish${given:+ $given}"
say "commit    $(commit_id)"
say "machine   $(nproc) cores, $(gcc --version | head -n 1), nats-server ${server%%=*}, $(date -u +%F)"
exec build/dev/tests/live/publish_soak_threads_test --messages "${value[messages]}" --kills "${value[kills]}" \
    --seed "${value[seed]}"
