#!/usr/bin/env bash
# ./dev bench placement: what a placement decision costs as the cluster grows, and what each policy makes of traces.
# From the environment: VGPU_STAGE (install tree), BENCH_BUILD (build directory), VGPU_OPENB (the trace's directory).
set -euo pipefail
cd "$(dirname "$0")/.."

printf 'A decision of fgd with its assignment, processor time:\n\n'
"$BENCH_BUILD/bench/place"
python3 bench/placement.py
