#!/usr/bin/env bash
# Memory is reserved: the sum of limits on a device does not pass it, unless somebody asks for that; who waits is served in order.
# shellcheck source-path=SCRIPTDIR disable=SC2016,SC2317
export FAKE_NVML_DEVICES=2 FAKE_NVML_GIB=8
. "$(dirname "$0")/lib.sh"
gib=$((1 << 30))

# --- sums, and the choice of a device ---
tenant a --memory 5G
tenant b --memory 6G
is "$(shown a devices 0 name) $(shown b devices 0 name)" "Fake nvidia GPU 0 Fake nvidia GPU 1" "each goes where most is free"
exits 125 "what fits nowhere is refused" vgpu run --memory 4G -- true
like "$stderr" "vgpu run: 4.00 GiB was asked for, but 3.00 GiB of 8.00 GiB is free on Fake nvidia GPU 0 (held by: a 5.00 GiB); ask for less, *" \
	"with how much is free and who holds what"
exits 0 "what fits is granted" vgpu run --memory 3G -- true
exits 125 "on the named device it must fit" vgpu run --device 1 --memory 3G -- true
exits 0 "a UUID names a device" vgpu run --device "$(vgpu device list --json | field devices 1 uuid)" --memory 2G -- true
exits 125 "more than a device has is refused for good" vgpu run --memory 9G --wait -- true
like "$stderr" "*9.00 GiB was asked for, but Fake nvidia GPU 0 has only 8.00 GiB in all*" "in words"
exits 125 "a name that is taken" vgpu run --name a --memory 1G -- true
like "$stderr" "*an instance named 'a' exists already*" "is named"
is "$(vgpu run --memory 1G -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" GPU-0f1d1a00-0000-0000-0000-000000000000 \
	"with several devices the command sees its own alone"
is "$(vgpu run --device 1,0 --memory 1G -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" \
	GPU-0f1d1a00-0000-0000-0000-000000000001,GPU-0f1d1a00-0000-0000-0000-000000000000 "or all of its own, in the order asked for"

# --- overcommit ---
tenant over --device 0 --memory 8G --overcommit
is "$(shown over overcommit) $(shown over memory_limit_bytes)" "true $((8 * gib))" "--overcommit may pass what is free"
is "$(vgpu device list --json | field devices 0 memory_free_bytes)" 0 "nothing is free for others then"
exits 125 "who did not ask for it is refused" vgpu run --device 0 --memory 1M -- true
exits 1 "raising needs room too" vgpu instance set over --memory 9G
exits 0 "lowering does not" vgpu instance set over --memory 4G
hang_up over
within 2 gone over

# --- no amount: what is free ---
is "$(vgpu run --device 1 --name rest -- vgpu instance show rest --json | field memory_limit_bytes)" $((2 * gib)) \
	"without --memory an instance gets what is free"

# --- the queue: first come, first served ---
wait_in_line() { # NAME OPTION...
	vgpu run --name "$1" --wait "${@:2}" -- sh -c "echo $1 >>$dir/served; exec sleep 0.3" 2>"$dir/$1.err" &
	pids[$1]=$!
	within 5 grep -q "waiting, number" "$dir/$1.err"
}
: >"$dir/served"
wait_in_line first --device 0 --memory 7G
ok $? "who waits is told"
like "$(cat "$dir/first.err")" "vgpu: waiting, number 1 in line: 7.00 GiB was asked for, but 3.00 GiB*" "for what, and where in the line"
wait_in_line second --device 0 --memory 2G
like "$(cat "$dir/second.err")" "vgpu: waiting, number 2 in line: others wait for a part of*" "a smaller request does not overtake"
exits 125 "nor does one that would not wait" vgpu run --device 0 --memory 1G -- true
exits 0 "on another device nobody waits" vgpu run --device 1 --memory 1G --wait -- true
is "$(cat "$dir/served")" "" "nobody was served too early"
hang_up a
wait "${pids[first]}" "${pids[second]}"
is "$(tr '\n' ' ' <"$dir/served")" "first second " "all are served, in order"

# --- two devices, one line ---
tenant a --device 0 --memory 8G
tenant c --device 1 --memory 2G
: >"$dir/served"
wait_in_line left --device 0 --memory 1G
wait_in_line right --device 1 --memory 2G
hang_up c
wait "${pids[right]}"
is "$(cat "$dir/served")" right "who waits for another device is served before those ahead"
is "$(sed 1d "$dir/right.err")" "" "and told nothing more"
hang_up a
wait "${pids[left]}"

# --- who leaves the line ---
tenant a --device 0 --memory 8G
: >"$dir/served"
wait_in_line third --device 0 --memory 8G
wait_in_line fourth --device 0 --memory 1G
kill "${pids[third]}"
wait "${pids[third]}" 2>/dev/null
is $? 143 "who waits can be interrupted"
within 2 grep -q "waiting, number 1 in line: " "$dir/fourth.err"
ok $? "those behind are told their new place"
exits 0 "a lowered limit makes room" vgpu instance set a --memory 7G
wait "${pids[fourth]}"
is "$(cat "$dir/served")" fourth "for the next in line"
hang_up a
hang_up b
within 2 test "$(vgpu device list --json | field devices 0 memory_free_bytes)" = $((8 * gib))
ok $? "all is free in the end"
finish
