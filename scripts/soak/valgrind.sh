#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests of the dev build in valgrind's memcheck, the live ones with the newest server: no error, no block that is
# lost, no descriptor that is left open. Prints what docs/EVIDENCE.md records; logs are in build/logs/valgrind.
#
#   ./dev soak valgrind [filter]      the tests whose folder/name matches the regular expression; without it all
#
# Valgrind runs one thread at a time, twenty times slower or more: NBJ_TEST_SHORT makes the stress shorter and time
# limits longer, NBJ_TEST_VALGRIND tells the tests that system calls and signal masks are not theirs alone.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

LIMIT_S=600 # for one program
OUT="$LOGS/valgrind"
export NBJ_TEST_VALGRIND=1 NBJ_TEST_SHORT="${NBJ_TEST_SHORT:-10}" NBJ_SIM_SEEDS="${NBJ_SIM_SEEDS:-100}"
export LD_BIND_NOW=1 # a test would otherwise start itself again for it, which valgrind does not follow

MEMCHECK=(valgrind -q --fair-sched=try --num-callers=30 --track-fds=yes --leak-check=full
    --show-leak-kinds=definite,indirect,possible --suppressions=tests/support/valgrind.supp)

# The findings in valgrind's logs. Of a forked child only what it did with memory is one: the threads that it has not
# held blocks and descriptors that it has, and it leaves without giving anything back.
findings() {
    local main=$1
    shift
    awk -v main="$main" '
        function judge() {
            if (block != "" && block !~ /<inherited from parent>/ &&
                (is_main || block !~ /^==[0-9]+== (Open |.* are (definitely|indirectly|possibly) lost )/))
                printf "%s\n", block
            block = ""
        }
        FNR == 1 { judge(); is_main = FILENAME == main }
        !/^==[0-9]+==/ || /^==[0-9]+== FILE DESCRIPTORS: / { next } # the first: what valgrind says of itself
        /^==[0-9]+== *$/ { judge(); next }
        { block = block $0 "\n" }
        END { judge() }' "$@"
}

# Runs build/dev/tests/$1. The log of the program itself is told from its children's by the process id.
memcheck() {
    local dir="$OUT/$1" status=0 found
    rm -rf "$dir" && mkdir -p "$dir" || return
    timeout -k 10 "$LIMIT_S" bash -c 'echo $$ >"$1/pid"; exec "${@:2}"' memcheck "$dir" \
        "${MEMCHECK[@]}" --log-file="$dir/%p.log" "build/dev/tests/$1" </dev/null || status=$?
    ((status == 0)) || say "exit status $status"
    found=$(findings "$dir/$(<"$dir/pid").log" "$dir"/*.log) || return
    say "$found"
    ((status == 0)) && [[ -z $found ]]
}

# All but the canaries, which are bugs on purpose.
programs() {
    local path
    for path in build/dev/tests/{base,wire,conn,js,driver,client,demo,sim,live}/*_test; do
        path=${path#build/dev/tests/}
        [[ $path == sim/canary* || ! $path =~ $1 ]] || say "$path"
    done
}

scripts/need.sh build valgrind
server=$(scripts/servers.sh newest | sed -n 1p)
export NBJ_TEST_SERVER="${server#*=}" NBJ_TEST_SERVER_VERSION="${server%%=*}"
step "build dev" build dev
mapfile -t tests < <(programs "${1:-}")
((${#tests[@]} > 0)) || die "no test matches $1"
say "command   ./dev soak valgrind${1:+ $1}"
say "commit    $(commit_id)"
say "machine   $(nproc) cores, $(gcc --version | head -n 1), $(valgrind --version), nats-server $NBJ_TEST_SERVER_VERSION"

began=$SECONDS
failed=0
for test in "${tests[@]}"; do
    step "valgrind $test" memcheck "$test" || failed=$((failed + 1))
done
say "figures   ${#tests[@]} tests in $((SECONDS - began)) s, $failed with findings, $(date -u +%F)"
((failed == 0))
