#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No function of the library is more complex than MAX_COMPLEXITY (McCabe, a switch counted once) or longer than MAX_LINES.
# Prints the ten worst in any case.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MAX_COMPLEXITY=20
MAX_LINES=100

# pmccabe's columns: modified complexity, traditional, statements, first line, lines, file(line): function
mapfile -t sources < <(find src -name '*.c' | sort)
figures=$(pmccabe "${sources[@]}" | sort -k1,1nr -k5,5nr)
printf 'the ten worst (complexity, lines, function)\n'
awk 'NR <= 10 { printf "    %3d %4d  %s %s\n", $1, $5, $7, $6 }' <<<"$figures"

over=$(awk -v c="$MAX_COMPLEXITY" -v l="$MAX_LINES" '$1 > c || $5 > l { printf "%s %s: complexity %d, %d lines\n", $6, $7, $1, $5 }' <<<"$figures")
[[ -z $over ]] || { printf 'above complexity %d or %d lines:\n%s\n' "$MAX_COMPLEXITY" "$MAX_LINES" "$over"; exit 1; }
