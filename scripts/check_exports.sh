#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shared library exports the functions that the public headers declare: none is missing, nothing else is visible.
#
#   check_exports.sh LIBRARY
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

library=${1:?shared library}
exported=$(nm -D --defined-only --format=posix "$library" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort -u)
# A declaration may take several lines: join them, then take the name before the first parenthesis that follows nbj_.
declared=$(cat include/nbj/*.h | tr '\n' ' ' | grep -oE 'NBJ_API [^;{]*' | grep -oE '\bnbj_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)

only_exported=$(comm -23 <(printf '%s\n' "$exported") <(printf '%s\n' "$declared"))
only_declared=$(comm -13 <(printf '%s\n' "$exported") <(printf '%s\n' "$declared"))
[[ -z $only_exported ]] || printf 'exported, but in no public header:\n%s\n' "$only_exported"
[[ -z $only_declared ]] || printf 'declared, but not exported:\n%s\n' "$only_declared"
[[ -z $only_exported && -z $only_declared ]]
