#!/usr/bin/env bash
# ./dev bench share [OPTION...]: how exactly compute shares are kept; --help lists the options.
# From the environment: VGPU_STAGE (install tree), BENCH_BUILD (build directory it came from).
set -euo pipefail
cd "$(dirname "$0")/.."

unset VGPU_SOCKET VGPU_INSTANCE VGPU_LOG LD_PRELOAD LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES
export VGPU_PROGRAMS=$BENCH_BUILD/tests/programs VGPU_KERNELS=$BENCH_BUILD/tests/kernels
exec python3 bench/share.py "$@"
