#!/usr/bin/env bash
# Who belongs to an instance is seen from the host's side, by control group: a process in it joins without a name, and one that uses the device past the
# library is reported. Work that a process does not pay for raises an alarm.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mib=$((1 << 20))
export FAKE_NVML_PROCESSES=$dir/processes FAKE_NVML_LOAD=$dir/load
log=$VGPU_RUNTIME_DIR/vgpud.log
fresh() { sleep 1.05; } # older figures are asked for again
create() { VGPU_SOCKET=$socket "$client" --json "{\"op\":\"instance.create\",\"memory_limit_bytes\":1073741824,\"lease\":false,$1}"; }

# --- what is asked for ---
vgpu device list >/dev/null
like "$(create '"cgroup":"a/b"')" "*'a/b' is no control group; name one by its path below the root*" "a relative path is no control group"
like "$(create '"cgroup":"/a/../b"')" "*is no control group*" "nor is one that goes up"
like "$(create '"cgroup":7')" "*cgroup*" "nor a number"
is "$(vgpu instance list --json | field instances)" "[]" "and nothing was made"

# --- an alarm ---
if [[ $(readlink /proc/self/ns/pid) == "pid:[4026531836]" ]]; then
	tenant a --memory 1G
	pid=$(tenant_pid a)
	echo "$pid $mib" >"$FAKE_NVML_PROCESSES"
	echo "$pid 8" >"$FAKE_NVML_LOAD"
	# shellcheck disable=SC2317 # within calls it
	alarmed() { vgpu instance show a --json >"$dir/shown"; [[ $(field alarm <"$dir/shown") == true ]]; }
	within 6 alarmed
	ok $((! $?)) "work of 8 % that nobody billed is within what may differ"
	echo "$pid 60" >"$FAKE_NVML_LOAD"
	within 20 alarmed
	ok $? "60 % raise the alarm"
	is "$(grep -c "process $pid keeps the device busy for 60 % of the time by the driver's word, and was billed for 0 %" "$log")" 1 "with one line in the log"
	: >"$FAKE_NVML_LOAD"
	# shellcheck disable=SC2317 # within calls it
	calm() { ! alarmed; }
	within 12 calm
	ok $? "which ends with its cause"
	hang_up a
else
	skip "an alarm" "this test runs in a pid namespace of its own"
fi

# --- control groups ---
v2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
name=vgpu-test-$$
if ((EUID != 0)) || [[ -z $v2 ]] || ! mkdir "$v2/$name" "$v2/$name/inner" 2>/dev/null; then
	skip "processes in control groups" "needs root and a control group hierarchy (version 2) to write to"
	finish
fi
trap 'cleanup; rmdir "$v2/$name/inner" "$v2/$name"' EXIT
base=$(sed -n 's/^0:://p' /proc/self/cgroup)
group=${base%/}/$name
[[ -d $v2$group ]] || group=/$name
within_group() { # GROUP COMMAND...: becomes it there; for subshells
	local where=$1
	shift
	# shellcheck disable=SC2016 # $$ and $@ are the inner shell's
	exec sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$v2/$where" "$@"
}
joined() { # GROUP: attaches from there without a name
	echo used | within_group "$1" env VGPU_SOCKET="$socket" VGPU_INSTANCE=@cgroup "$client" 2>&1
}

create "\"name\":\"outer\",\"cgroup\":\"$group\"" >/dev/null
is "$(shown outer cgroup)" "$group" "an instance may have a control group"
is "$(joined "$name")" $'ready\n0 0 1024' "a process in it joins without a name"
is "$(joined "$name/inner")" $'ready\n0 0 1024' "so does one in a group below"
create "\"name\":\"inner\",\"cgroup\":\"$group/inner\",\"compute_permille\":100" >/dev/null
mkfifo "$dir/hold"
within_group "$name/inner" env VGPU_SOCKET="$socket" VGPU_INSTANCE=@cgroup "$client" <"$dir/hold" >"$dir/held" &
exec {hold}>"$dir/hold"
within 5 grep -q ready "$dir/held"
is "$(shown inner client_count) $(shown outer client_count)" "1 0" "the deepest group is the one that counts"
like "$(VGPU_SOCKET=$socket VGPU_INSTANCE=@cgroup "$client" </dev/null)" "process * is in *control group*" "one outside of all joins none, and is told"
kill -9 "$(daemon_pid)"
is "$(shown inner cgroup) $(shown inner client_count)" "$group/inner 1" "a crash of vgpud changes nothing about that"

if [[ $(readlink /proc/self/ns/pid) != "pid:[4026531836]" ]]; then
	skip "who is in a control group and goes around the library" "this test runs in a pid namespace of its own"
	finish
fi
within_group "$name/inner" sleep 100 &
rogue=$!
within 5 grep -q "$name/inner" "/proc/$rogue/cgroup"
sleep 100 &
other=$!
printf '%s\n' "$(shown inner clients 0 pid) $((4 * mib))" "$rogue $((7 * mib))" "$other $((9 * mib))" >"$FAKE_NVML_PROCESSES"
fresh
vgpu device list --json >"$dir/devices"
is "$(python3 -c 'import json, sys
print(sorted((p["pid"], p["instance"]) for p in json.load(open(sys.argv[1]))["devices"][0]["not_limited"]))' "$dir/devices")" \
	"$(python3 -c "print(sorted([($rogue, 'inner'), ($other, None)]))")" "who uses the device in a group but past the library is listed with its instance"
is "$(shown inner rogue)" "[{\"pid\": $rogue, \"command\": \"sleep\", \"driver_bytes\": $((7 * mib))}]" "and is the instance's rogue"
is "$(shown outer rogue)" "[]" "nobody else's"
is "$(grep -c "process $rogue (sleep) is in its control group and uses its device without being limited" "$log")" 1 "with one line in the log"
kill $rogue $other
exec {hold}>&-
wait
finish
