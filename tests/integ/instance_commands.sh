#!/usr/bin/env bash
# Instances are listed, shown, changed while they run, and stopped; figures are exact.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

gib=$((1 << 30)) mib=$((1 << 20))

tenant a --memory 2G
is "$greeting" ready "a process attaches"
is "$(shown a state) $(shown a client_count) $(shown a memory_limit_bytes)" "running 1 $((2 * gib))" "its instance runs with its limit"
is "$(ask a "reserve 1500")" ok "it may take what fits"
is "$(ask a "reserve 600")" ENOMEM "and not what does not"
is "$(shown a memory_used_bytes) $(shown a memory_peak_bytes) $(shown a denied_total)" "$((1500 * mib)) $((1500 * mib)) 1" "which is counted"
is "$(shown a clients 0 pid) $(shown a clients 0 command) $(shown a clients 0 memory_used_bytes)" \
	"$(tenant_pid a) daemon_client $((1500 * mib))" "and shown by process"

# --- list ---
tenant b --memory 25%
is "$(shown b memory_limit_bytes)" $((2 * gib)) "a percentage is of the device"
is "$(vgpu instance list --json | field instances 1 name)" b "the list has both, the oldest first"
like "$(vgpu instance list | sed -n 2p)" "a *Fake nvidia GPU 0 *1.46 GiB *2.00 GiB *1 *1 *running" "as a table too"
is "$(vgpu device list --json | field devices 0 memory_reserved_bytes)" $((4 * gib)) "the device has the sum reserved"

# --- set ---
exits 0 "raising the limit" vgpu instance set a --memory 3G
is "$(ask a "reserve 600")" ok "takes effect at once"
exits 0 "lowering it below what is used is accepted" vgpu instance set a --memory 1G
like "$stdout" "*new allocations are held back until it fits*" "and said"
is "$(shown a state) $(shown a over_limit)" "over-limit true" "and shown"
is "$(vgpu device list --json | field devices 0 memory_reserved_bytes)" $((2100 * mib + 2 * gib)) "what is in use stays reserved"
is "$(ask a "reserve 1")" ENOMEM "new allocations are held back"
is "$(ask a "release 2000")" ok "giving back works"
is "$(ask a "reserve 1")" ok "then there is room again"
is "$(shown a state)" running "and it is no longer over its limit"
is "$(shown b memory_limit_bytes)" $((2 * gib)) "the other instance is as it was"

# --- a process that ends, and one that becomes another program ---
is "$(ask a exec)" ok "a process may become another program"
is "$(ask a used)" "0 0 1024" "which holds nothing of what the former one held"
ask a "reserve 300" >/dev/null
kill -9 "$(tenant_pid a)"
wait "${pids[a]}"
is $? 137 "vgpu run tells that its command was killed"
within 1 gone a
ok $? "the instance ends with it"

# --- several processes; a lease that ends first ---
tenant_command=(bash -c "$client <&0 & exec $client")
tenant two --memory 1G
within 2 test "$(shown two client_count)" = 2
is "$(shown two client_count)" 2 "two processes are two clients"
kill -9 "${pids[two]}"
wait "${pids[two]}" 2>/dev/null
within 2 test "$(shown two leased)" = false
is "$(shown two leased) $(shown two client_count)" "false 2" "an instance outlives its vgpu run while it has processes"
exits 0 "and can be stopped" vgpu instance stop two
within 1 gone two
ok $? "and is gone then"
tenant_command=("$client")

# --- stop ---
exits 0 "stopping ends the processes" vgpu instance stop b
is "$stdout" "stopped b" "and says so"
wait "${pids[b]}"
is $? 143 "they got SIGTERM"
like "$(cat "$dir/b.err")" "*the instance is being stopped*" "vgpu run says why"
tenant_command=("$client" --ignore-term)
tenant deaf --memory 1G
start=$SECONDS
exits 0 "who does not heed it is killed after the grace period" vgpu instance stop deaf --grace 1s
ok $((SECONDS - start >= 1 && SECONDS - start <= 4 ? 0 : 1)) "which is kept"
wait "${pids[deaf]}"
is $? 137 "by SIGKILL"
vgpu run --name idle --memory 1G -- sleep 100 2>/dev/null &
sleeper=$!
within 5 vgpu instance show idle
is "$(shown idle state)" ready "a command that never touched the GPU has an instance"
exits 0 "which can be stopped as well" vgpu instance stop idle --json
is "$(echo "$stdout" | field name)" idle "with --json"
wait $sleeper
is $? 143 "and its command ends"

# --- what is wrong is named ---
exits 1 "an instance that does not exist" vgpu instance show nosuch
is "$stderr" "vgpu instance show: there is no instance 'nosuch'; \`vgpu instance list\` shows those that exist" "is named"
exits 2 "no instance at all" vgpu instance stop
is "$stderr" "vgpu instance stop: expected one instance, by name or id; vgpu instance stop --help shows how" "is said"
exits 2 "nothing to set" vgpu instance set x
exits 2 "a bad amount" vgpu instance set x --memory 1Q
like "$stderr" "vgpu instance set: --memory: *1Q*" "is named"
exits 2 "a bad time" vgpu instance stop x --grace 1y
like "$stderr" "*'1y' is not a time*" "is named"
exits 2 "an unknown option" vgpu instance list --colour
like "$stderr" "*unrecognized option '--colour'*--help*" "is named"
exits 2 "an unknown verb" vgpu instance rename
is "$stderr" "vgpu instance: 'rename' is not one of: list, show, set, stop" "is named"
exits 2 "an unknown noun" vgpu gpu
for command in "" "run" "device list" "instance list" "instance show" "instance set" "instance stop" "doctor"; do
	# shellcheck disable=SC2086
	exits 0 "vgpu $command --help" vgpu $command --help
	like "$stdout" "Usage: vgpu*" "  prints its usage"
done
like "$(vgpu --version)" "vgpu * (control protocol 1.*)" "vgpu --version"
like "$(vgpud --version)" "vgpud * (control protocol 1.*)" "vgpud --version"
vgpu instance list >/dev/full 2>"$dir/stderr"
is $? 1 "output that cannot be written is an error"
finish
