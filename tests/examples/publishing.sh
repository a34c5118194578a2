#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example publishing ($1) against $NBJ_TEST_SERVER, twice: what has an id of its own is stored once.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
expect_lines "$out" 'pickup: number 1' 'pickup: the stream has it as number 1' 'moved: 1000 stored, 0 not' \
    'state: number 1002' 'step 1: rejected: .*(10060).*' 'step 2: rejected: .*nbj_publish_resume.*' 'step 2: number 1004'
out=$(timeout 20 "$1" "$url")
expect_lines "$out" 'pickup: the stream has it as number 1' 'state: number 2005' 'step 2: number 2007'
