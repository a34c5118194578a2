#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example poll_loop ($1) against $NBJ_TEST_SERVER, and against nothing.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
[[ $(grep -c '^greet.world: hello$' <<<"$out") == 3 ]] || { echo "$out"; exit 1; }
grep -q '^answer: 42$' <<<"$out" || { echo "$out"; exit 1; }

stop_server
if err=$(timeout 20 "$1" "$url" 2>&1); then
    echo "it succeeded without a server: $err"
    exit 1
fi
grep -q 'connection refused; is nats-server running?' <<<"$err" || { echo "$err"; exit 1; }
