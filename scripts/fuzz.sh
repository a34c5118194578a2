#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every libFuzzer target for SECONDS each, as many at once as there are cores, and prints one line for each.
# New inputs go to a temporary corpus, the seeds in fuzz/corpus stay as they are. A finding fails the run and is left
# in build/fuzz/findings/<target>/.
#
#   fuzz.sh SECONDS
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

FINDINGS="$ROOT/build/fuzz/findings"

# The last value that libFuzzer printed for |key| in |log|.
stat_of() { sed -n "s/^stat::$2: *//p" "$1" | tail -n 1; }

fuzz_one() {
    local name=$1 seconds=$2 corpus log options=()
    corpus=$(mktemp -d)
    log="$LOGS/fuzz-$name.log"
    mkdir -p "$FINDINGS/$name"
    [[ ! -f fuzz/dict/$name.dict ]] || options+=("-dict=fuzz/dict/$name.dict")
    if "${LAYOUT[@]}" "build/fuzz/fuzz/$name" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 "-artifact_prefix=$FINDINGS/$name/" "${options[@]}" \
        "$corpus" "fuzz/corpus/$name" >"$log" 2>&1; then
        printf '%-24s %12s executions %8s a second  no finding\n' "$name" \
            "$(stat_of "$log" number_of_executed_units)" "$(stat_of "$log" average_exec_per_sec)"
        rm -rf "$corpus"
    else
        tail -n 60 "$log"
        printf '%-24s FINDING, see build/fuzz/findings/%s\n' "$name" "$name"
        rm -rf "$corpus"
        return 1
    fi
}

if [[ ${1:-} == --one ]]; then # how the run below calls itself, once for each target
    fuzz_one "$3" "$2"
    exit
fi

seconds=${1:?seconds for each target}
compgen -G 'fuzz/*.c' >/dev/null || die "there is no fuzz target yet"
step "build fuzz" build fuzz
basename -s .c fuzz/*.c | xargs -P "$JOBS" -n 1 "${BASH_SOURCE[0]}" --one "$seconds"
