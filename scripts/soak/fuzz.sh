#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ten minutes for every fuzz target. Prints what docs/EVIDENCE.md records.
#
#   ./dev soak fuzz [seconds]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

seconds=${1:-600}
scripts/need.sh build fuzz
say "command   ./dev soak fuzz $seconds"
say "commit    $(commit_id)"
say "machine   $(nproc) cores, $(clang --version | head -n 1)"
scripts/fuzz.sh "$seconds"
