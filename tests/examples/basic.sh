#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example basic ($1) against $NBJ_TEST_SERVER, and against nothing.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
for line in 'stream USERS has it as number 1' '0 of 1000 are unfinished' 'greet.world: hello' 'nobody answers'; do
    grep -qx "$line" <<<"$out" || { echo "no \"$line\" in: $out"; exit 1; }
done

stop_server
if err=$(timeout 20 "$1" "$url" 2>&1); then
    echo "it succeeded without a server: $err"
    exit 1
fi
grep -q 'connection refused; is nats-server running?' <<<"$err" || { echo "$err"; exit 1; }
