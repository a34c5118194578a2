#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C block of the README that is a whole program (it has a main) compiles without a warning and links with the library.
#
#   check_readme.sh README.md LIBRARY_FOLDER
set -euo pipefail

readme=${1:?README}
libdir=${2:?folder of the library}
include="$(dirname "${BASH_SOURCE[0]}")/../include"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each block into a file of its own.
awk -v work="$work" '
    /^```c[ \t]*$/ { inside = 1; file = sprintf("%s/block%02d.c", work, ++n); next }
    /^```/ { inside = 0 }
    inside { print > file }
' "$readme"

programs=$(grep -l 'int main' "$work"/*.c 2>/dev/null || true)
[[ -n $programs ]] || { printf '%s has no program\n' "$readme"; exit 1; }
for program in $programs; do
    "${CC:-cc}" -std=c17 -Wall -Wextra -Wpedantic -Werror -I"$include" "$program" -o "${program%.c}" -L"$libdir" -lnbj ||
        { cat -n "$program"; exit 1; }
done
