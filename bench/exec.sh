#!/usr/bin/env bash
# How fast the software GPU's interpreter is on this machine: a tiled matrix product on one host thread and on all.
set -euo pipefail
cd "$(dirname "$0")/.."

"$BENCH_BUILD/bench/exec" "$BENCH_BUILD/tests/kernels/matmul.ptx" "${BENCH_N:-512}"
