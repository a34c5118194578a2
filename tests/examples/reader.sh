#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example reader ($1) against $NBJ_TEST_SERVER. The shell itself publishes what it reads.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

reader=
trap '[[ -z $reader ]] || kill "$reader" 2>/dev/null || true; stop_server; rm -rf "$dir"' EXIT

start_server
timeout 40 "$1" 'ticks.>' 200 "$url" >"$dir/out" 2>"$dir/err" &
reader=$!
deadline=$((SECONDS + 10))
until grep -qsx ready "$dir/err"; do
    ((SECONDS < deadline)) || { cat "$dir/err"; exit 1; }
    sleep 0.05
done

hostport=${url#nats://}
exec 3<>"/dev/tcp/${hostport%:*}/${hostport##*:}"
printf 'CONNECT {"verbose":false}\r\n' >&3
for n in {100..349}; do
    printf 'PUB ticks.x 3\r\n%s\r\n' "$n"
done >&3
wait "$reader" || { cat "$dir/err"; exit 1; }
reader=
exec 3>&-
cmp "$dir/out" <(seq 100 299)
