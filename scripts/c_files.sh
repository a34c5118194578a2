#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lists the C files that the project's format applies to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
find src include tests fuzz examples bench -name '*.[ch]' | sort
