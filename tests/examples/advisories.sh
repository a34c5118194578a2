#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example advisories ($1) against $NBJ_TEST_SERVER.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url" 2>&1)
[[ $out == $'created: WATCHED\nupdated: WATCHED' ]] || { echo "$out"; exit 1; }
