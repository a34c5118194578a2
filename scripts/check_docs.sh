#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every public header says what it is (@file), and every function in it is documented: by a doc comment that ends on the
# line above, or one that starts behind it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
for header in include/nbj/*.h; do
    grep -q '@file' "$header" || { printf '%s: no @file comment\n' "$header"; status=1; }
    awk -v header="$header" '
        # A declaration may take several lines: what stands before it counts when it starts, what stands behind it
        # when it ends.
        function finish() {
            if (!above && text !~ /\/\*\*</) {
                printf "%s:%d: undocumented: %s\n", header, start, first
                bad = 1
            }
            open = 0
        }
        /\/\*\*/ && !/\/\*\*</ { doc = 1 }
        !open && /^NBJ_API[ \t]/ {
            open = 1; start = FNR; first = $0; text = ""; above = documented
        }
        open { text = text $0; if (/;/) finish() }
        { documented = 0 }
        /\*\/[ \t]*$/ { documented = doc; doc = 0 }
        END { exit bad }
    ' "$header" || status=1
done
exit "$status"
