#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every check that reads the sources or the objects without running them. Each prints one line when clean; all are run
# before a failure is reported.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The versions that the tree is kept clean for (has_version in lib.sh says what happens with others).
CLANG_VERSION=14
CPPCHECK_VERSION=2.10

failed=()

# Runs check |name|: silent and one line when clean. With |judge| "show" its findings do not fail.
check() {
    local name=$1 judge=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        printf 'clean   %s%s\n' "$name" "${output:+: $output}"
    elif [[ $judge == show ]]; then
        printf '%s\nshown   %s: another version of the tool than the project is checked with\n' "$output" "$name"
    else
        printf '%s\nFAILED  %s\n' "$output" "$name"
        failed+=("$name")
    fi
}

judge_of() { if has_version "$1" "$2"; then printf fail; else printf show; fi; }

# Names the files; ./dev format shows the rest.
format_check() {
    local file status=0
    for file in $(scripts/c_files.sh); do
        clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || { printf '%s: not as ./dev format writes it\n' "$file"; status=1; }
    done
    return "$status"
}

# clang-tidy reads gcc's command lines, so it is told to pass over options it does not know. It prints counts of
# suppressed warnings even when clean; only its findings are of interest.
tidy_check() {
    local log status=0
    log=$(mktemp)
    find src -name '*.c' | sort | xargs -P "$JOBS" -n 4 clang-tidy -p build/dev --quiet \
        --extra-arg=-Wno-unknown-warning-option >"$log" 2>/dev/null || status=1
    cat "$log"
    rm -f "$log"
    return "$status"
}

# NULL is a pointer on every platform this library is for.
cppcheck_check() {
    cppcheck --quiet -j "$JOBS" --std=c11 --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
        --suppress=missingIncludeSystem --suppress=varFuncNullUB -I include -I src src
}

# The objects and the command lines are those of the dev build.
step "build dev" build dev

check "format" "$(judge_of clang-format $CLANG_VERSION)" format_check
check "clang-tidy" "$(judge_of clang-tidy $CLANG_VERSION)" tidy_check
check "cppcheck" "$(judge_of cppcheck $CPPCHECK_VERSION)" cppcheck_check
check "layers" fail scripts/check_layers.sh
check "purity" fail scripts/check_purity.sh build/dev/core_objects.txt
check "public docs" fail scripts/check_docs.sh
check "complexity" fail scripts/check_complexity.sh
check "hygiene" fail scripts/check_hygiene.sh

((${#failed[@]} == 0)) || die "lint: ${failed[*]}"
