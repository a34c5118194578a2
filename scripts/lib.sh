# SPDX-License-Identifier: Apache-2.0
# Sourced by ./dev and the scripts it calls: where the tree is, messages, logged steps, configure and build.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOGS="$ROOT/build/logs"
JOBS="${NBJ_JOBS:-$(nproc)}"
cd "$ROOT" || exit

# A sanitizer's report must carry symbols and end the program.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1}"

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a step with its output in a log and prints one line about it: step "NAME" COMMAND... A failure shows the log.
# COMMAND runs without set -e, so functions given here chain with &&.
step() {
    local name=$1 log began=$SECONDS
    shift
    mkdir -p "$LOGS"
    log="$LOGS/${name//[^A-Za-z0-9]/-}.log"
    if "$@" >"$log" 2>&1; then
        printf 'ok      %-44s %4d s\n' "$name" $((SECONDS - began))
    else
        cat "$log"
        printf 'FAILED  %-44s %4d s\n' "$name" $((SECONDS - began))
        return 1
    fi
}

# Configures and builds a preset; further arguments go to the configuration.
build() {
    cmake --preset "$1" "${@:2}" && cmake --build "build/$1" -j "$JOBS"
}

# Prefix for programs under a sanitizer: a fixed address layout where the machine allows it, because the sanitizers of
# older compilers fail at random on kernels that randomise more bits than they expect.
LAYOUT=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    LAYOUT=(setarch "$(uname -m)" -R)
fi

# Runs the tests of a preset's build tree; further arguments go to ctest. A selection that is empty is a failure.
run_ctest() {
    local prefix=()
    [[ $1 != *san ]] || prefix=("${LAYOUT[@]}")
    "${prefix[@]}" ctest --test-dir "build/$1" -j "$JOBS" --output-on-failure --no-tests=error "${@:2}"
}

# The servers as one value for -DNBJ_SERVERS=.
server_list() { scripts/servers.sh | paste -sd ';'; }

# The commit that figures belong to, with a mark when the tree differs from it.
commit_id() { git describe --always --dirty 2>/dev/null || say "uncommitted"; }

# True when tool $1 has version $2, for whose verdicts the tree is kept clean. Other versions judge otherwise: their
# findings are shown and do not fail.
has_version() {
    local version
    version=$("$1" --version 2>/dev/null | grep -Eo '[0-9]+\.[0-9]+' | sed -n 1p)
    [[ $version. == "$2".* ]]
}
