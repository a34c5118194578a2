#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example stored ($1) against $NBJ_TEST_SERVER.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
expect_lines "$out" 'ride 7: moving' 'deleted number 1'
if is_server_from 2.11; then
    [[ $(grep -c '^  [0-9]* state' <<<"$out") == 5 ]] || { echo "$out"; exit 1; }
    expect_lines "$out" '  2 state.ride8' '  6 state.ride8' '  5 state.ride7'
else
    expect_lines "$out" 'passed over: direct get of several messages needs nats-server 2.11.0 or newer; this one is .*'
fi
