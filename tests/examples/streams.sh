#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example streams ($1) against $NBJ_TEST_SERVER.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
expect_lines "$out" 'stream RIDES exists with another configuration: max_age is 86400000000000, wanted 172800000000000' \
    'RIDES: at most 67108864 octets, no limit of age' 'passed over: .*of_the_future.*' 'RIDES has 4 messages' \
    '  ride.7.moved: 2' '  ride.8.moved: 1' 'stream RIDES' 'purged 2 messages of ride 8' 'sealed: .*sealed.*'
timeout 20 "$1" "$url" >/dev/null # it has deleted its stream
