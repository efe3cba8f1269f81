#!/usr/bin/env bash
# What vgpud costs with many instances: 1,000 of them with a process each, and 200 processes a second that join one and leave. Prints the processor time of
# vgpud and its keeper (goal: below 5 % of a core) and vgpud's memory (goal: 30 MB at most). BENCH_INSTANCES, BENCH_JOINS, BENCH_SECONDS change the load.
set -euo pipefail
cd "$(dirname "$0")/.."

instances=${BENCH_INSTANCES:-1000} joins=${BENCH_JOINS:-200} seconds=${BENCH_SECONDS:-20}
base=/tmp
[[ ! -d /dev/shm ]] || base=/dev/shm # memory, as /run is
dir=$(mktemp -d "$base/vgpu-bench-XXXXXX")
export VGPU_RUNTIME_DIR=$dir/run VGPU_DRIVER_DIR=$BENCH_BUILD/tests/integ/nvidia FAKE_NVML_GIB=80
vgpud=
cleanup() {
	if [[ -n $vgpud ]]; then kill -9 "$vgpud" && wait "$vgpud"; fi 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
((EUID == 0)) || instances=$((instances < 256 ? instances : 256)) # one user may have no more

"$VGPU_STAGE/bin/vgpud" --idle 0 2>"$dir/log" &
vgpud=$!
until [[ -S $dir/run/vgpud.sock ]]; do sleep 0.05; done

ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }
children_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $14 + $15}'; }

coproc load { exec setsid "$BENCH_BUILD/bench/daemon" "$dir/run/vgpud.sock" "$instances" "$joins" "$seconds"; }
read -r line <&"${load[0]}"
[[ $line == begin ]] || { echo "bench/daemon: no load: $line" >&2; tail -n 5 "$dir/log" >&2; exit 1; }
keeper=$(pgrep -f "vgpu-keeper $dir/run")
before=$(ticks "$vgpud") before_keeper=$(ticks "$keeper") before_children=$(children_ticks "$vgpud")
read -r joined <&"${load[0]}"
read -r _ <&"${load[0]}"
after=$(ticks "$vgpud") after_keeper=$(ticks "$keeper") after_children=$(children_ticks "$vgpud")
rss_kib=$(awk '/^VmRSS/ {print $2}' "/proc/$vgpud/status")
keeper_kib=$(awk '/^VmRSS/ {print $2}' "/proc/$keeper/status")
awk '/^Rss(Anon|File|Shmem)/ {print "#", $1, $2, $3}' "/proc/$vgpud/status"
hz=$(getconf CLK_TCK)

echo "$instances instances, $joins joins and leaves a second for $seconds s: $joined"
awk -v a="$((after - before))" -v k="$((after_keeper - before_keeper))" -v c="$((after_children - before_children))" -v hz="$hz" -v s="$seconds" \
	'BEGIN { printf "vgpud %.1f %% of a core, its keeper %.1f %%, asking the driver %.1f %%\n", 100 * a / hz / s, 100 * k / hz / s, 100 * c / hz / s }'
awk -v r="$rss_kib" -v k="$keeper_kib" 'BEGIN { printf "vgpud %.1f MB of memory, its keeper %.1f MB\n", r * 1024 / 1e6, k * 1024 / 1e6 }'
eval "exec ${load[1]}>&-"
