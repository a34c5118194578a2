#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Includes point only in the allowed direction:
#   src/<layer>   own and earlier layers as "layer/x.h"; any <nbj/...>. The core layers only the system headers listed
#                 here; flow and ride stand on the public headers and each other alone.
#   include/nbj   only <nbj/...> and the system headers listed here
#   examples, bench, tests/live   <nbj/...>, their own folder and shared test code: no private header; but for
#                 tests/live/dns_test.c, since no public option names a name server
#   tests/sim     not wire/: the model server must not share our codec
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ORDER="base wire conn js driver client flow ride"
CORE="base wire conn js"
HEADER_HEADERS="assert.h inttypes.h limits.h stdarg.h stdbool.h stddef.h stdint.h string.h"
CORE_HEADERS="$HEADER_HEADERS ctype.h errno.h stdalign.h stdatomic.h stdlib.h stdnoreturn.h"

# "file:line:include" for every include of the C files below the folders given that exist.
includes_of() {
    local folder
    for folder in "$@"; do
        [[ ! -d $folder ]] || grep -rnoE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]+["<][^">]+[">]' "$folder" || true
    done | sed -E 's/^([^:]*:[0-9]+):[^"<]*/\1:/'
}

is_in() { [[ " $2 " == *" $1 "* ]]; }

position() {
    local layer n=0
    for layer in $ORDER; do
        n=$((n + 1))
        [[ $layer != "$1" ]] || { printf '%s' "$n"; return; }
    done
    printf 0
}

# What is wrong with |include| in a file of |layer|, or nothing.
src_complaint() {
    local layer=$1 include=$2 name target
    name=${include:1:-1}
    case "$include" in
    \<nbj/*) ;;
    \<*)
        if is_in "$layer" "$CORE" && ! is_in "$name" "$CORE_HEADERS" && [[ $name != json-c/* ]]; then
            printf 'the core layers know nothing of <%s>' "$name"
        fi
        ;;
    *)
        target=${name%%/*}
        if [[ $name != */* || ! -f src/$name ]]; then
            printf 'internal includes start at src/: "layer/file.h"'
        elif (($(position "$target") == 0 || $(position "$target") > $(position "$layer"))); then
            printf '%s/ may not include %s/' "$layer" "$target"
        elif is_in "$layer" "flow ride" && ! is_in "$target" "flow ride"; then
            printf '%s/ stands on the public headers only' "$layer"
        fi
        ;;
    esac
}

header_complaint() {
    local include=$1
    case "$include" in
    \<nbj/*) [[ -f include/${include:1:-1} ]] || printf 'there is no such header' ;;
    \<*) is_in "${include:1:-1}" "$HEADER_HEADERS" || printf 'public headers include only <nbj/...> and %s' "$HEADER_HEADERS" ;;
    *) printf 'public headers are included as <nbj/...>' ;;
    esac
}

# Quoted includes of outside programs must be their own files, or the shared test code.
outside_complaint() {
    local include=$2 folder
    [[ $include == \"* ]] || return 0
    for folder in "$(dirname "$1")" tests/support tests/sim tests bench/common; do
        [[ ! -f $folder/${include:1:-1} ]] || return 0
    done
    printf 'only the public headers may be used here'
}

sim_complaint() { [[ $1 != \"wire/* ]] || printf 'the simulator does not share the codec it judges'; }

# Reads the includes of stdin and prints those that the rules complain about.
judge() {
    local file line include complaint layer
    while IFS=: read -r file line include; do
        case "$file" in
        src/*) layer=${file#src/}; complaint=$(src_complaint "${layer%%/*}" "$include") ;;
        include/*) complaint=$(header_complaint "$include") ;;
        tests/live/dns_test.c) complaint="" ;;
        tests/sim/*) complaint=$(sim_complaint "$include") ;;
        *) complaint=$(outside_complaint "$file" "$include") ;;
        esac
        [[ -z $complaint ]] || printf '%s:%s: %s: %s\n' "$file" "$line" "$include" "$complaint"
    done
}

found=$(includes_of src include examples bench tests/live tests/sim | judge)
[[ -z $found ]] || { printf '%s\n' "$found"; exit 1; }
