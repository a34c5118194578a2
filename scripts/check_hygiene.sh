#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What must not be in the tree: unfinished words, paths of the machine it was written on, hosts that this machine's apt
# sources name; and what must be: an SPDX line in every source file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r f; do [[ ! -f $f ]] || printf '%s\n' "$f"; done)
else
    mapfile -t files < <(find . -type f -not -path './build/*' -not -path './.git' -not -path './.git/*' | sed 's|^\./||')
fi

status=0
complain() {
    printf '%s\n%s\n' "$1:" "$2"
    status=1
}

# Prints where extended expression $1 is found. Seeds of the fuzzers are arbitrary octets, the license is not ours.
places() { printf '%s\n' "${files[@]}" | grep -vE '^(fuzz/corpus/|LICENSE$)' | xargs grep -nHIE -- "$1" || true; }

# The brackets keep these expressions from finding themselves.
found=$(places '\b(TO[D]O|FIX[M]E)\b')
[[ -z $found ]] || complain "unfinished" "$found"

found=$(places "(^|[^A-Za-z0-9_.])/(wor[k]|roo[t]|hom[e]/[a-z]+)/")
[[ -z $found ]] || complain "paths of a machine" "$found"

hosts=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | sed -nE 's#^[a-z+]+://([^/:]+).*#\1#p' | sort -u | sed 's/\./\\./g' | paste -sd '|')
if [[ -n $hosts ]]; then
    found=$(places "$hosts")
    [[ -z $found ]] || complain "hosts of this machine's package mirrors" "$found"
fi

for file in "${files[@]}"; do
    case "$file" in
    *.c | *.h | *.sh | *.cmake | *.in | *.map | *CMakeLists.txt | dev | .ci/run)
        sed 3q "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "no SPDX line in the first three lines" "$file"
        ;;
    esac
done
exit "$status"
