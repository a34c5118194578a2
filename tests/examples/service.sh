#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs two of example service ($1) against $NBJ_TEST_SERVER: one request is answered by one of them, and both end in an
# orderly way. Example basic asks.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

services=()
trap 'kill "${services[@]}" 2>/dev/null || true; stop_server; rm -rf "$dir"' EXIT

start_server
for i in 1 2; do
    timeout 40 "$1" "$url" >"$dir/service$i" 2>&1 &
    services+=($!)
done
deadline=$((SECONDS + 10))
until grep -qsx ready "$dir/service1" && grep -qsx ready "$dir/service2"; do
    ((SECONDS < deadline)) || { cat "$dir"/service?; exit 1; }
    sleep 0.05
done

out=$(timeout 20 "$(dirname "$1")/basic" "$url")
grep -qx 'answer: QUIETLY' <<<"$out" || { echo "$out"; exit 1; }
kill -TERM "${services[@]}" # timeout passes it on
for pid_of_service in "${services[@]}"; do
    wait "$pid_of_service" || { cat "$dir"/service?; exit 1; }
done
[[ $(sort "$dir"/service?) == $'answered 0\nanswered 1\nready\nready' ]] || { cat "$dir"/service?; exit 1; }
