#!/usr/bin/env bash
# Builds everything with clang under the same strict warnings as gcc.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -f build/clang/build.ninja ]] || CC=clang-14 meson setup build/clang --libdir=lib >build/clang.log 2>&1
ninja -C build/clang >build/clang.log 2>&1 || { grep -A12 -E 'FAILED|error:' build/clang.log | head -n 60; exit 1; }
echo "clang: no warning"
