#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example uv_loop ($1) against $NBJ_TEST_SERVER, and against nothing.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
for i in 1 2 3 4 5; do
    grep -q "^received tick $i\$" <<<"$out" || { echo "$out"; exit 1; }
done

stop_server
if err=$(timeout 20 "$1" "$url" 2>&1); then
    echo "it succeeded without a server: $err"
    exit 1
fi
grep -q 'could not connect' <<<"$err" || { echo "$err"; exit 1; }
