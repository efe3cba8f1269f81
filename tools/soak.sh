#!/usr/bin/env bash
# Long runs: the races at full length, then the races and the whole-system tests over and over for a given time. `./dev soak [SECONDS]` builds and calls it.
# Ends with how many rounds ran; the first failing round stops it and shows its log.
# `./dev soak shares`: the tests of compute shares at full length instead, about ten minutes: a minute without vgpud, 300 kills, longer windows.
set -euo pipefail
cd "$(dirname "$0")/.."

soak_shares() {
	local test failed=0
	export VGPU_STAGE=${VGPU_STAGE:-$PWD/build/stage} VGPU_PROGRAMS=build/main/tests/programs VGPU_KERNELS=build/main/tests/kernels
	for test in 'shares_quick 12' shares_change 'shares_daemon_away 60' 'shares_kill 300' gates_never_block 'ranks 200' 'priority 30' 'billing 6'; do
		printf '== %s\n' "$test"
		# shellcheck disable=SC2086 # a name and its argument
		set -- $test
		python3 "tests/integ/$1.py" "${@:2}" 2>&1 || failed=1
	done
	return "$failed"
}

if [[ ${1:-} == shares ]]; then
	soak_shares
	exit
fi

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
