#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example streams ($1) against $NBJ_TEST_SERVER.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
expect_lines "$out" 'stream TRIPS exists with another configuration: max_age is 86400000000000, wanted 172800000000000' \
    'TRIPS: at most 67108864 octets, no limit of age' 'passed over: .*of_the_future.*' 'TRIPS has 4 messages' \
    '  trip.7.moved: 2' '  trip.8.moved: 1' 'stream TRIPS' 'purged 2 messages of trip 8' 'sealed: .*sealed.*'
timeout 20 "$1" "$url" >/dev/null # it has deleted its stream
