#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The core layers know nothing of the world: what their objects leave undefined is either defined in the core or stands
# in the list below. A list of what is allowed needs no knowledge of all that exists.
#
#   check_purity.sh FILE   FILE names the objects, one a line (the build writes core_objects.txt)
set -euo pipefail

ALLOWED='
mem(cpy|move|set|cmp|chr|mem)|bcmp
str(len|nlen|cmp|ncmp|chr|rchr|str|spn|cspn|cpy|ncpy)
malloc|calloc|realloc|free
qsort|bsearch|abort
json_object_[a-z0-9_]+|json_tokener_[a-z0-9_]+|json_c_version(_num)?|lh_[a-z0-9_]+|array_list_[a-z0-9_]+
__assert_fail|__stack_chk_fail|__(mem|str)[a-z]+_chk
__ctype_b_loc|__ctype_tolower_loc|__ctype_toupper_loc|tolower|toupper
_GLOBAL_OFFSET_TABLE_
'
# json-c functions that open files or print.
FORBIDDEN='json_object_(from|to)_fd?|json_object_(from|to)_file(_ext)?|json_object_from_fd_ex'

objects=${1:?file with the names of the core objects}
allowed="^($(tr -s '\n' '|' <<<"$ALLOWED" | sed 's/^|//; s/|$//'))$"
mapfile -t files < <(grep . "$objects")
((${#files[@]} > 0)) || { printf 'no objects in %s\n' "$objects"; exit 1; }

defined=$(nm --defined-only --extern-only --format=posix "${files[@]}" | awk 'NF > 1 { print $1 }' | sort -u)
# "object symbol" for each undefined symbol; nm heads each object with its name and a colon.
undefined=$(nm -u --format=posix "${files[@]}" | awk '
    /:$/ { sub(/:$/, ""); object = $0; next }
    NF > 1 { print object, $1 }')

status=0
while read -r object symbol; do
    if [[ -z $symbol ]] || grep -qxF -- "$symbol" <<<"$defined"; then
        continue
    fi
    if ! [[ $symbol =~ $allowed ]] || [[ $symbol =~ ^($FORBIDDEN)$ ]]; then
        printf '%s uses %s, which is not allowed in the core layers\n' "${object##*/CMakeFiles/}" "$symbol"
        status=1
    fi
done <<<"$undefined"
exit "$status"
