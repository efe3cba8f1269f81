#!/usr/bin/env bash
# ./dev bench hooks: what the cooperative library costs a call and a start, measured on the null driver, first in a real instance with a
# memory limit, then without an instance. Figures of a loaded machine are those of a loaded machine; the load is printed.
# From the environment: VGPU_STAGE (install tree), BENCH_BUILD (build directory it came from).
set -euo pipefail
cd "$(dirname "$0")/.."

null_dir=$BENCH_BUILD/src/nulldrv/null
dir=$(mktemp -d /tmp/vgpu-bench-XXXXXX)

cleanup() {
	local pid
	pid=$(cat "$dir/run/vgpud.lock" 2>/dev/null || true)
	[[ -z $pid || $(cat "/proc/$pid/comm" 2>/dev/null) != vgpud ]] || kill "$pid"
	rm -rf "$dir"
}
trap cleanup EXIT

unset VGPU_SOCKET VGPU_INSTANCE VGPU_LOG LD_PRELOAD LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES
export VGPU_RUNTIME_DIR=$dir/run VGPU_DRIVER_DIR=$null_dir

printf 'machine: %s, %s CPUs, Linux %s, glibc %s; load %s\n' \
	"$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" "$(uname -r)" \
	"$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" "$(cut -d' ' -f1 /proc/loadavg)"
printf 'command: ./dev bench hooks; date: %s\n\n' "$(date -u +%F)"
hooks=("$BENCH_BUILD/bench/hooks" "$null_dir" "$BENCH_BUILD/bench/hooks_start")
printf 'In an instance with a limit of 256 GiB:\n\n'
# By preload: in a mount namespace the bare driver, which is measured beside, could not be opened any more.
"$VGPU_STAGE/bin/vgpu" run --way-in preload --device nvidia --memory 256G -- "${hooks[@]}" limited
printf '\nThe library without an instance:\n\n'
LD_LIBRARY_PATH=$VGPU_STAGE/lib/vgpu/shim "${hooks[@]}" free
