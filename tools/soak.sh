#!/usr/bin/env bash
# Long runs: the races at full length, then the races and the whole-system tests over and over for a given time. `./dev soak [SECONDS]` builds and calls it.
# Ends with how many rounds ran; the first failing round stops it and shows its log.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
end=$((SECONDS + seconds))
rounds=0
# First the races at full length: 16 processes, 100,000 rounds each, 300 kills, the limit moving.
VGPU_PROGRAMS=build/main/tests/programs VGPU_KERNELS=build/main/tests/kernels python3 tests/integ/races.py 100000 300 "$seconds"
while ((SECONDS < end)); do
	meson test -C build/main --no-rebuild --num-processes 2 --suite multi --suite integ >build/soak.log 2>&1 ||
		{ tail -n 60 build/soak.log; echo "soak: round $((rounds + 1)) failed"; exit 1; }
	rounds=$((rounds + 1))
	printf 'soak: round %d ok, %d s left\n' "$rounds" "$((end > SECONDS ? end - SECONDS : 0))"
done
printf 'soak: %d rounds in %d s, none failed\n' "$rounds" "$seconds"
