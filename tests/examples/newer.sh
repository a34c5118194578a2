#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs example newer ($1) against $NBJ_TEST_SERVER, which is too old for some of it or for all.
set -euo pipefail
source "$(dirname "$0")/support/server.bash"

start_server
out=$(timeout 20 "$1" "$url")
old='passed over: .* needs nats-server 2\.1[0-9]\.0 or newer; this one is .*'
since() { if is_server_from "$1"; then expect_lines "$out" "${@:2}"; fi; }
since 2.11 'an offer for a minute: number 1'
since 2.12 'rides: 3' 'plan.7 will be published to due.7' '2 messages at once, the last is number 2'
since 2.14 'plan.report will be published to due.report, again and again' '10000 of 10000 are stored'
is_server_from 2.14 || expect_lines "$out" "$old"
is_server_from 2.11 || [[ $(grep -cx "$old" <<<"$out") == 5 ]] || { echo "$out"; exit 1; }

out=$(timeout 20 "$1" "$url")
since 2.12 'rides: 6' 'none of the batch is stored: .*'
