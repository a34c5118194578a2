#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the ride demo ($1) against the server $NBJ_TEST_SERVER: made-up trips, a trip file, sabotage, and what it refuses.
set -euo pipefail

demo=$1
export NBJ_NATS_SERVER=$NBJ_TEST_SERVER
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"
export TMPDIR=$work/tmp

fail() {
    echo "FAILED: $1" >&2
    cat "$work/out" "$work/err" >&2
    find "$work/tmp" -name server.log -exec tail -n 20 {} + >&2
    exit 1
}

# run STATUS OPTION...: the demo must end with this status.
run() {
    local want=$1 got=0
    shift
    "$demo" "$@" >"$work/out" 2>"$work/err" || got=$?
    [[ $got == "$want" ]] || fail "nbj-ride-demo $* ended with $got, not with $want"
}

# has NAME COUNT: the table's row.
has() { grep -Eq "^ +$1 +$2( |\$)" "$work/out" || fail "no row \"$1 $2\""; }

says() { grep -Fq -- "$1" "$work/out" "$work/err" || fail "it does not say \"$1\""; }

nothing_left() { [[ -z $(ls -A "$work/tmp") ]] || fail "it left something behind: $(ls -A "$work/tmp")"; }

run 0 --count 500 --seed 7
has published 2,000
has stored 2,000
has processed 2,000
has lost 0
says "server killed (SIGKILL)"
says "server restarted"
says "events/s"
nothing_left

# Columns in another order, CRLF, a byte order mark, and rows that cannot be used.
{
    printf '\xef\xbb\xbfpassenger_count,key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,'
    printf 'dropoff_longitude,dropoff_latitude\r\n'
    for i in $(seq 1 100); do
        printf '1,"trip %d",%d.5,2009-06-15 17:26:21 UTC,-73.84,40.72,-73.85,40.7%d\r\n' "$i" "$i" "$i"
    done
    printf '1,no fix,4.5,2009-06-15 17:26:21 UTC,0,40.72,-73.85,40.71\r\n'
    printf '1,no number,x,2009-06-15 17:26:21 UTC,-73.84,40.72,-73.85,40.71\r\n'
    printf '1,stays,4.5,2009-06-15 17:26:21 UTC,-73.84,40.72,-73.84,40.72\r\n'
} >"$work/trips.csv"
run 0 --trips "$work/trips.csv"
has published 404
has processed 404
has lost 0
says "trips.csv: line 102: pickup_longitude is 0: no position fix"
says "trips.csv: line 103: fare_amount is not a number"
says "  2 malformed rows"
nothing_left

run 1 --count 500 --sabotage
has lost 1
has processed 1,999
says "VIOLATED: property 7 all-settled"
nothing_left

run 0 --help
run 2 --no-such-option
says "unknown option \"--no-such-option\""
run 3 --trips "$work/nowhere.csv"
says "No such file or directory"
printf 'key,fare_amount\n' >"$work/narrow.csv"
run 3 --trips "$work/narrow.csv"
says "the header lacks: pickup_datetime"
NBJ_NATS_SERVER=$work/nowhere run 3
says "NBJ_NATS_SERVER says"
nothing_left
