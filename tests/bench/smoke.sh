#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the benchmark ($1) with tiny numbers against $NBJ_TEST_SERVER and has its JSON judged by $2. No figure is judged.
set -euo pipefail
bench=$1 check=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export NBJ_NATS_SERVER=$NBJ_TEST_SERVER TMPDIR=$dir

fail() {
    printf '%s\n' "$*"
    cat "$dir/out"
    exit 1
}

"$bench" all --rounds 2 --messages 40 --payload 64 --all-pinned --no-counts --json "$dir/rows.json" --svg "$dir/rows.svg" \
    --markdown "$dir/rows.md" >"$dir/out" 2>&1 || fail "the benchmark failed"
"$check" "$dir/rows.json" "$NBJ_TEST_SERVER_VERSION" 64 2 || fail "the JSON is not as it must be"
[[ $(sed -n '1s/ .*//p;$p' "$dir/rows.svg") == $'<svg\n</svg>' ]] || fail "this is no whole SVG"
[[ $(grep -c '^| core-publish ' "$dir/rows.md") -ge 2 ]] || fail "the Markdown table has no core-publish"
compgen -G "$dir/nbj-bench-*" >/dev/null && fail "the server's directory was left behind"

# A server that cannot be run, and options that do not exist, are failures that say so.
! NBJ_NATS_SERVER=/nonexistent "$bench" core >"$dir/out" 2>&1 || fail "it measured without a server"
grep -q 'nats-server does not start' "$dir/out" || fail "it does not say that there is no server"
! "$bench" core --nonsense >"$dir/out" 2>&1 || fail "it took an option that it does not have"
