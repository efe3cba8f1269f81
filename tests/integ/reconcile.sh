#!/usr/bin/env bash
# What the driver says that processes hold is shown beside the account, with the difference; what it does not say is unknown, not 0.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mib=$((1 << 20))
export FAKE_NVML_PROCESSES=$dir/processes FAKE_NVML_LOG=$dir/opened
figures() { # NAME: of its first process, the instance, and its device
	shown "$1" | python3 -c 'import json, sys
i = json.load(sys.stdin)
for o in (i["clients"][0], i, i["devices"][0]):
    print(*(o[k] if o[k] is None else o[k] // 2**20 for k in ("driver_bytes", "difference_bytes")), end="; ")'
}
fresh() { sleep 1.05; } # older figures are asked for again
opened() { wc -l <"$FAKE_NVML_LOG"; }
row() { vgpu device list --json | field devices 0 "$@"; }
problem="NVML does not tell which processes use it (NVML error 3)"

# --- what it does not say ---
tenant a --memory 2G
pid=$(tenant_pid a)
ask a "reserve 100" >/dev/null
is "$(figures a)" "None None; None None; None None; " "a driver without a list of processes: unknown"
is "$(row driver_bytes) $(row difference_bytes) $(row not_limited)" "null null null" "for the device too"
is "$(row driver_problem)" "$problem" "and why"
like "$(vgpu instance show a)" "*PID *DRIVER *DIFFERENCE*$pid *100 MiB *- *-*" "in a table it is a dash"
like "$(vgpu doctor)" "*warn  processes: Fake nvidia GPU 0: what processes hold is unknown: $problem*" "vgpu doctor warns"

if [[ $(readlink /proc/self/ns/pid) != "pid:[4026531836]" ]]; then
	echo "$pid $((150 * mib))" >"$FAKE_NVML_PROCESSES"
	fresh
	is "$(row driver_problem)" "vgpud runs in a pid namespace of its own, and NVML names processes by the host's pids" \
		"in a pid namespace of its own vgpud compares nothing"
	skip "what a driver says" "this test runs in a pid namespace of its own"
	finish
fi

# --- what it says ---
sleep 100 &
other=$!
printf '%s\n' "$pid $((150 * mib))" "$other $((7 * mib))" >"$FAKE_NVML_PROCESSES"
fresh
is "$(figures a)" "150 50; 150 50; 150 50; " "the driver's figure of a process, and the difference"
like "$(vgpu instance show a)" "*$pid *100 MiB *150 MiB *+50 MiB*" "in a table with its sign"
is "$(vgpu device list --json | python3 -c 'import json, sys
d = json.load(sys.stdin)["devices"][0]
print(d["driver_bytes"], d["difference_bytes"], d["driver_problem"], d["not_limited"])')" \
	"$((150 * mib)) $((50 * mib)) None [{'pid': $other, 'command': 'sleep', 'driver_bytes': $((7 * mib)), 'instance': None}]" \
	"the device's sum is of instances; who is in none is listed"
like "$(vgpu device list)" "*NOT LIMITED  COMMAND *$other  sleep *7 MiB *0" "as not limited"
like "$(vgpu doctor)" "*warn  processes: Fake nvidia GPU 0 is used by 1 process of no instance, which is not limited: $other (sleep)*" \
	"vgpu doctor warns of it"
printf '%s\n' "$pid $((60 * mib))" >"$FAKE_NVML_PROCESSES"
fresh
is "$(figures a)" "60 -40; 60 -40; 60 -40; " "a driver that says less than the account"
like "$(vgpu doctor)" "*ok    processes: Fake nvidia GPU 0 is used by processes of instances only*" "and nothing to warn of"

# --- several processes ---
tenant b --memory 2G
fresh
is "$(shown b driver_bytes)" 0 "a process that the driver does not list holds nothing"
printf '%s\n' "$pid na" "$(tenant_pid b) $((20 * mib))" >"$FAKE_NVML_PROCESSES"
fresh
is "$(figures a)" "None None; None None; None None; " "a value that is not available is unknown"
is "$(figures b)" "20 20; 20 20; 20 20; " "which concerns no other process"
is "$(row driver_bytes)" null "but the sum of them"
for i in {1..400}; do echo "$((4000000 + i)) 1"; done >>"$FAKE_NVML_PROCESSES"
is "$(row not_limited 399 pid)" 4000400 "a long list is read to its end"

# --- without being asked ---
printf '%s\n' "$pid $((30 * mib))" >"$FAKE_NVML_PROCESSES"
# shellcheck disable=SC2317 # within calls it
listed() { [[ $(vgpu instance list --json | field instances 0 driver_bytes) == $((30 * mib)) ]]; }
within 8 listed
ok $? "vgpud compares every few seconds by itself"
hang_up a
hang_up b
kill $other
VGPU_SOCKET=$socket "$client" --json '{"op":"instance.create","name":"free","memory_limit_bytes":1073741824,"lease":false}' >/dev/null
before=$(opened)
sleep 7
is "$(opened)" "$before" "and not where no instance has a process"

# --- another pid namespace ---
if ((EUID == 0)); then
	exits 0 "in a pid namespace of its own" env VGPU_RUNTIME_DIR="$dir/inner" unshare --pid --fork --mount-proc vgpu device list --json
	is "$(echo "$stdout" | field devices 0 driver_problem) $(echo "$stdout" | field devices 0 driver_bytes)" \
		"vgpud runs in a pid namespace of its own, and NVML names processes by the host's pids null" "vgpud compares nothing and says why"
else
	skip "a vgpud in a pid namespace of its own" "needs root"
fi
finish
