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

# Whether $NBJ_TEST_SERVER is of version |2.11| or newer.
is_server_from() {
    local version
    version=$("$NBJ_TEST_SERVER" --version)
    [[ $(printf '%s\n' "$1" "${version##*v}" | sort -V | head -n 1) == "$1" ]]
}

# Each further argument is the whole of a line in |text|, as a basic regular expression.
expect_lines() {
    local text=$1 line
    for line in "${@:2}"; do
        grep -qx -- "$line" <<<"$text" || { printf 'no "%s" in:\n%s\n' "$line" "$text"; exit 1; }
    done
}
