#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone and without a warning in the language standard given, with each compiler there is.
#
#   check_headers.sh c11|c17|c++17
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

standard=${1:?language standard}
case "$standard" in
c++*) language=c++ compilers="g++ clang++" ;;
*) language=c compilers="gcc clang" ;;
esac

used=0
for compiler in $compilers; do
    command -v "$compiler" >/dev/null || continue
    used=$((used + 1))
    for header in include/nbj/*.h; do
        # Included twice: the guard is part of the promise. ISO C wants a declaration in every file.
        printf '#include <%s>\n#include <%s>\nextern int declared;\n' "${header#include/}" "${header#include/}" |
            "$compiler" -x "$language" "-std=$standard" -fsyntax-only -Iinclude \
                -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror - ||
            { printf '%s fails with %s -std=%s\n' "$header" "$compiler" "$standard"; exit 1; }
    done
done
((used > 0)) || { printf 'no compiler for %s: %s\n' "$standard" "$compilers"; exit 1; }
