#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guides show only what is so: each block of C in docs/guide/*.md is, line by line, in a program of examples/; and
# docs/guide/versions.md has the features and versions of src/js/gate.h that the library asks for.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
fail() { printf '%s\n' "$*"; failed=1; }

for page in docs/guide/*.md; do
    awk -v to="$work/$(basename "$page" .md)" '
        /^```c$/ { inside = 1; file = sprintf("%s.%02d", to, ++n); next }
        /^```/ { inside = 0 }
        inside { print > file }
    ' "$page"
done
shown=0
for block in "$work"/*; do
    text=$(<"$block")
    found=
    for program in examples/*.c; do
        [[ $(<"$program") != *$'\n'"$text"$'\n'* ]] || found=$program
    done
    [[ -n $found ]] || fail "docs/guide: not in any example: $(head -n 1 "$block")"
    shown=$((shown + 1))
done
((shown > 0)) || fail "docs/guide shows no code"

# X(NAME, 2, 11, 0, level, "text"), of those that other files name.
sed -nE 's/^ *X\(([A-Z0-9_]+), ([0-9]+), ([0-9]+), ([0-9]+), [0-9]+, "([^"]*)"\).*/\1 \2.\3.\4 \5/p' src/js/gate.h |
    while read -r name version text; do
        if grep -rqwE "NBJ__FEATURE_$name|NEEDS\($name\)" src --include='*.c'; then
            printf '| %s | %s |\n' "$version" "$text"
        fi
    done | sort >"$work/gates"
[[ -s $work/gates ]] || fail "no features in src/js/gate.h"
sed -nE 's/^(\| [0-9.]+ \| [^|]* \|).*/\1/p' docs/guide/versions.md | sort >"$work/told"
diff -u --label src/js/gate.h "$work/gates" --label docs/guide/versions.md "$work/told" || failed=1
exit "$failed"
