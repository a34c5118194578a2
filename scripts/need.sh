#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs with apt what the named purposes lack: need.sh PURPOSE... Says nothing when all is there. The purpose "lists"
# is met when apt knows what its sources have.
set -euo pipefail

# One line per need: purpose, how its presence is seen, Debian package.
#   cmd:NAME a program; pc:NAME a pkg-config module; rt clang's sanitizer and fuzzer runtime
TABLE="
build cmd:cmake        cmake
build cmd:ninja        ninja-build
build cmd:gcc          gcc
build file:/usr/include/stdio.h libc6-dev
build cmd:pkg-config   pkg-config
build pc:json-c        libjson-c-dev
build pc:libcares      libc-ares-dev
build pc:openssl      libssl-dev
build pc:libuv         libuv1-dev
build pc:cmocka        libcmocka-dev
test  cmd:g++          g++
test  cmd:clang        clang
test  cmd:musl-gcc     musl-tools
test  cmd:nm           binutils
fuzz  cmd:clang        clang
fuzz  rt               libclang-rt-dev
fuzz  cmd:llvm-symbolizer llvm
lint  cmd:clang-format clang-format
lint  cmd:clang-tidy   clang-tidy
lint  cmd:cppcheck     cppcheck
lint  cmd:pmccabe      pmccabe
lint  cmd:nm           binutils
docs  cmd:doxygen      doxygen
bench pc:libnats       libnats-dev
bench cmd:strace       strace
bench cmd:valgrind     valgrind
valgrind cmd:valgrind  valgrind
"

# The runtime stands beside clang's own headers, in a folder that depends on the version.
has_clang_runtime() {
    local resources
    resources=$(clang -print-resource-dir 2>/dev/null) || return 0 # without clang there is no saying which runtime
    compgen -G "$resources/lib/*/libclang_rt.fuzzer*.a" >/dev/null
}

is_present() {
    case "$1" in
    cmd:*) command -v "${1#cmd:}" >/dev/null ;;
    pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
    file:*) [[ -e ${1#file:} ]] ;;
    rt) has_clang_runtime ;;
    esac
}

# The runtime's package carries the major version of the clang that is installed.
package_name() {
    case "$1" in
    libclang-rt-dev) printf 'libclang-rt-%s-dev\n' "$(clang -dumpversion | cut -d. -f1)" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

missing_packages() {
    local purpose probe package wanted
    while read -r purpose probe package; do
        for wanted in "$@"; do
            if [[ $purpose == "$wanted" ]] && ! is_present "$probe"; then
                package_name "$package"
            fi
        done
    done <<<"$TABLE" | sort -u
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Fails with what is left to the user where this script may not or cannot use apt itself.
require_apt() {
    command -v apt-get >/dev/null || fail "no apt-get here; please see to it yourself: $*"
    [[ $(id -u) == 0 ]] || command -v sudo >/dev/null || fail "neither root nor sudo; please see to it yourself: $*"
}

# Runs a step quietly; only its failure shows what it printed.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

update_lists() {
    require_apt "apt-get update"
    printf 'reading the package lists (apt-get update)\n' >&2
    quietly apt update
}

has_lists() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

install_packages() {
    require_apt "install $*"
    has_lists || update_lists
    printf 'installing with apt: %s\n' "$*" >&2
    quietly apt -y --no-install-recommends install "$@" && return
    update_lists # lists that are too old name packages that are gone
    quietly apt -y --no-install-recommends install "$@" || fail "apt could not install: $*"
}

if [[ " $* " == *" lists "* ]] && ! has_lists; then
    update_lists
fi
# The second round sees what only shows once the first is there: clang's runtime.
for _ in 1 2; do
    mapfile -t packages < <(missing_packages "$@")
    ((${#packages[@]} > 0)) || exit 0
    install_packages "${packages[@]}"
done
mapfile -t packages < <(missing_packages "$@")
((${#packages[@]} == 0)) || fail "installed, yet not found: ${packages[*]}"
