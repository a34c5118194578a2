#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a build tree into an empty DESTDIR and uses it as strangers do: one program through pkg-config, and shared
# and static ones through find_package(nbj). Each is run.
#
#   check_install.sh BUILD_TREE CMAKE
set -euo pipefail

build=${1:?build tree}
cmake=${2:-cmake}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR="$work/dest" "$cmake" --install "$build" >/dev/null
pc=$(find "$work/dest" -name nbj.pc)
[[ -n $pc ]] || { printf 'nbj.pc was not installed\n'; exit 1; }
prefix="$work/dest$(sed -n 's/^prefix=//p' "$pc")"
libdir=$(dirname "$(dirname "$pc")")

mkdir "$work/use"
cat >"$work/use/main.c" <<'PROGRAM'
#include <nbj/nbj.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    puts(nbj_version());
    return strcmp(nbj_version(), NBJ_VERSION) != 0;
}
PROGRAM

read -ra flags < <(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --define-variable=prefix="$prefix" --cflags --libs nbj)
"${CC:-cc}" -std=c17 -Wall -Wextra -Werror "$work/use/main.c" -o "$work/use/by_pkg_config" "${flags[@]}"
LD_LIBRARY_PATH=$libdir "$work/use/by_pkg_config" >/dev/null

cat >"$work/use/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.22)
project(use LANGUAGES C)
find_package(nbj REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE nbj::nbj)
add_executable(static main.c)
target_link_libraries(static PRIVATE nbj::nbj_static)
PROJECT
{
    "$cmake" -S "$work/use" -B "$work/use/build" -G Ninja -DCMAKE_C_COMPILER="${CC:-cc}" -DCMAKE_PREFIX_PATH="$prefix" &&
        "$cmake" --build "$work/use/build"
} >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
"$work/use/build/shared" >/dev/null
"$work/use/build/static" >/dev/null
