# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A private $NBJ_TEST_SERVER on a free port of its own for the tests of examples: start_server sets $url.
dir=$(mktemp -d)
pid=

stop_server() {
    [[ -z $pid ]] || { kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; }
    pid=
}

trap 'stop_server; rm -rf "$dir"' EXIT

start_server() {
    "$NBJ_TEST_SERVER" -a 127.0.0.1 -p -1 --jetstream --store_dir "$dir/store" --ports_file_dir "$dir" >"$dir/log" 2>&1 &
    pid=$!
    local file= deadline=$((SECONDS + 10))
    until file=$(ls "$dir"/*.ports 2>/dev/null) && [[ -s $file ]]; do
        ((SECONDS < deadline)) && kill -0 "$pid" || { cat "$dir/log" >&2; exit 1; }
        sleep 0.05
    done
    url=$(sed -nE 's#.*"(nats://[^"]*)".*#\1#p' "$file" | head -n 1)
}
