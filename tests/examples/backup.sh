#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example backup ($1) against $NBJ_TEST_SERVER: a stream of example stored is saved, and restored by another server.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
timeout 20 "$(dirname "$1")/stored" "$url" >/dev/null
expect_lines "$(timeout 20 "$1" save STATES "$dir/backup" "$url" 2>/dev/null)" 'STATES: 5 messages'
expect_lines "$(timeout 20 "$1" check "$dir/backup")" 'STATES: 5 messages'
if err=$(timeout 20 "$1" restore "$dir/backup" "$url" 2>&1); then
    echo "it replaced a stream: $err"
    exit 1
fi
expect_lines "$err" 'backup: .*(10130).*'

stop_server
rm -rf "$dir/store" "$dir"/*.ports
start_server
expect_lines "$(timeout 20 "$1" restore "$dir/backup" "$url")" 'STATES: 5 messages'
