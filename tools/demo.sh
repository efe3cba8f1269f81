#!/usr/bin/env bash
# The main job, shown: a CUDA program inside a 1 GiB vGPU. Called by `./dev demo` after the build; every line that begins
# with "$" is the command whose output follows.
set -euo pipefail

PATH=$VGPU_STAGE/bin:$PATH
app=$VGPU_STAGE/libexec/vgpu/examples/vector_add
scratch=$(mktemp -d)
# A daemon and a device of its own, so that a demo never meets a user's instances.
export VGPU_RUNTIME_DIR=$scratch/run
pids=()
finish() {
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
	for name in alpha beta; do vgpu instance stop "$name" --grace 0s >/dev/null 2>&1 || true; done
	rm -rf "$scratch"
}
trap finish EXIT

show() { printf '\n$ %s\n' "${*/$app/vector_add}"; }

# expect STATUS COMMAND...
expect() {
	local want=$1 got=0
	shift
	show "$@"
	"$@" || got=$?
	printf '(exit status %d)\n' "$got"
	((got == want)) || { printf 'demo: expected exit status %d\n' "$want" >&2; exit 1; }
}

echo "1. A program that fits its vGPU of 1 GiB."
expect 0 vgpu run --memory 1G -- "$app" --memory 600M

echo
echo "2. The same program asks for more than its vGPU has: a clean out-of-memory, whatever the card could give."
expect 2 vgpu run --memory 1G -- "$app" --memory 1500M

echo
echo "3. Two tenants at once on one device, each in its own slice."
show vgpu run --name alpha --memory 1G -- "$app" --memory 600M --hold 60 '&'
vgpu run --name alpha --memory 1G -- "$app" --memory 600M --hold 60 >"$scratch/alpha.log" 2>&1 &
pids+=($!)
show vgpu run --name beta --memory 2G -- "$app" --memory 1200M --hold 60 '&'
vgpu run --name beta --memory 2G -- "$app" --memory 1200M --hold 60 >"$scratch/beta.log" 2>&1 &
pids+=($!)

# Both have done their sums and hold their memory once they have printed the result.
for ((i = 0; i < 600; i++)); do
	if grep -q sums "$scratch/alpha.log" && grep -q sums "$scratch/beta.log"; then break; fi
	kill -0 "${pids[@]}" 2>/dev/null || { cat "$scratch"/*.log; echo "demo: a tenant ended early" >&2; exit 1; }
	sleep 0.1
done
sed 's/^/alpha: /' "$scratch/alpha.log"
sed 's/^/beta:  /' "$scratch/beta.log"

echo
echo "4. Who uses what."
expect 0 vgpu instance list
expect 0 vgpu device list

echo
echo "5. Compute shares: 70 % and 20 % of the device's time, at the same time; and what one of them used."
show vgpu run --compute 70% --memory 1G -- "$app" --memory 3M --work 5 '&'
vgpu run --compute 70% --memory 1G -- "$app" --memory 3M --work 5 >"$scratch/most.log" 2>&1 &
pids+=($!)
expect 0 vgpu run --compute 20% --memory 1G --usage -- "$app" --memory 3M --work 5
wait "${pids[-1]}"
sed 's/^/the one with 70 %: /' "$scratch/most.log"
unset 'pids[-1]'

echo
echo "Done. Next: vgpu --help, docs/architecture.md"
