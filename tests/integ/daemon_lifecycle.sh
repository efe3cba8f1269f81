#!/usr/bin/env bash
# vgpud starts when it is needed, once; it ends when it is not; and what it handed out outlives its crash as far as it can.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# --- on demand ---
exits 0 "the first command starts vgpud" vgpu instance list
first=$(daemon_pid)
like "$(ls -l "$socket")" "srw-------*" "its socket is for its user alone"
is "$(stat -c %a "$VGPU_RUNTIME_DIR")" 700 "so is its directory"
is "$(ps -o sid= -p "$first" | tr -d ' ')" "$(ps -o pgid= -p "$first" | tr -d ' ')" "it is in a session of its own"
if ((EUID == 0)); then # nobody else may look at them
	is "$(find "/proc/$first/fd" -lname "$dir/*" -printf '%l\n' | sort | tr '\n' ' ')" "$VGPU_RUNTIME_DIR/vgpud.lock $VGPU_RUNTIME_DIR/vgpud.log " \
		"it inherited no descriptor"
else
	skip "it inherited no descriptor" "needs root"
fi
is "$(stat -c %U "/proc/$first/mem")" root "its memory is not its user's to read or write"
vgpu instance list >/dev/null
is "$(daemon_pid)" "$first" "the next command uses it"
exits 1 "a second vgpud in the same directory refuses" vgpud
like "$stderr" "*another vgpud runs in $VGPU_RUNTIME_DIR already*" "and says why"

# --- started twenty times at once ---
kill "$first"
within 5 test ! -e "$socket"
for i in {1..20}; do vgpu instance list >"$dir/race.$i" 2>&1 & done
wait
is "$(cat "$dir"/race.* | sort -u)" "no instances; \`vgpu run\` makes one" "twenty first commands at once all succeed"
is "$(grep -c "listens on" "$VGPU_RUNTIME_DIR/vgpud.log")" 2 "with one vgpud"

# --- killed and restarted ---
tenant a --memory 3G
is "$greeting" ready "a tenant runs"
ask a "reserve 100" >/dev/null
id=$(shown a id)
kill -9 "$(daemon_pid)"
exits 0 "after a crash of vgpud the next command starts another" vgpu instance list
is "$(shown a id) $(shown a state) $(shown a memory_used_bytes)" "$id running 104857600" "which takes the instance up, with its account"
is "$(shown a clients | field 0 pid)" "$(tenant_pid a)" "and the process in it"
is "$(VGPU_SOCKET=$socket VGPU_INSTANCE=$id "$client" <<<"used")" $'ready\n0 100 3072' "a new one may join"
exits 0 "its limit can be changed" vgpu instance set a --memory 2G
is "$(VGPU_SOCKET=$socket VGPU_INSTANCE=$id "$client" <<<"used")" $'ready\n0 100 2048' "which holds for those that join"
vgpu instance set a --memory 3G >/dev/null
is "$(shown a client_count) $(shown a clients | field 0 rejoined)" "1 false" "it is shown who still goes by the limits of before"
is "$(ask a rejoin)" ok "a process that knows of the restart rejoins"
is "$(shown a clients | field 0 rejoined)" true "which is shown too"
like "$(VGPU_SOCKET=$socket VGPU_INSTANCE=$id "$client" --rejoin 0 1)" "slot 0 of instance 'a' is not that of process *" "nobody takes another's slot"

# --- the keeper killed too ---
kill -9 "$(keeper_pid)"
is "$(shown a state)" running "without its keeper vgpud goes on"
within 8 keeper_pid
ok $? "and starts another"
sleep 1.2 # it is given everything at the next housekeeping
kill -9 "$(daemon_pid)"
is "$(shown a state) $(shown a memory_used_bytes)" "running 104857600" "which keeps what vgpud gave it"
kill -9 "$(daemon_pid)" "$(keeper_pid)"
is "$(shown a id) $(shown a state)" "$id orphaned" "when both are killed, the instance whose process lives is orphaned"
is "$(shown a memory_used_bytes)" null "what it uses is not known any more"
exits 125 "its memory stays reserved" vgpu run --memory 6G -- true
like "$stderr" "*5.00 GiB of 8.00 GiB is free on Fake nvidia GPU 0 (held by: a 3.00 GiB)*" "and the refusal says by whom"
like "$(VGPU_SOCKET=$socket VGPU_INSTANCE=$id "$client" </dev/null)" "*lost its account when vgpud and its keeper ended*" "nobody may join it"
exits 1 "its limit cannot be changed" vgpu instance set a --memory 1G
like "$stderr" "*cannot be changed any more*" "and says so"
is "$(ask a used)" "100 100 3072" "the tenant goes on under its limit"
like "$(cat "$dir/a.err")" "*vgpud has ended; the command goes on*" "vgpu run says what happened"
hang_up a
is "$hung_up" 0 "the command's exit status is unharmed"
within 2 gone a
ok $? "the orphan ends with its processes"
exits 0 "and gives its memory back" vgpu run --memory 8G -- true

# --- killed with nothing alive ---
tenant b --memory 1G
kill -9 "$(daemon_pid)"
kill -9 "$(tenant_pid b)"
wait "${pids[b]}"
vgpu instance list >"$dir/out"
is "$(cat "$dir/out")" "no instances; \`vgpu run\` makes one" "an instance whose processes have ended is dropped"

# --- a process that has the pid of a dead one is not taken for it ---
tenant c --memory 1G
kill -9 "$(daemon_pid)" "$(keeper_pid)"
sed -i -E 's/"start_ticks":[0-9]+/"start_ticks":1/g' "$VGPU_RUNTIME_DIR"/instances/*.json
vgpu instance list >"$dir/out"
is "$(cat "$dir/out")" "no instances; \`vgpu run\` makes one" "a pid that was used again is another process"
hang_up c

# --- state files that are of no use ---
tenant c --memory 1G
tenant d --memory 2G
ask c "reserve 100" >/dev/null
state=$VGPU_RUNTIME_DIR/instances/$(shown c id).json
for broken in '{"format": "vgpud-inst' '{"format":"vgpud-instance","version":99,"boot_id":""}'; do
	kill -9 "$(daemon_pid)"
	echo "$broken" >"$state"
	: >"$VGPU_RUNTIME_DIR/vgpud.log"
	exits 0 "vgpud starts over a state file like $broken" vgpu instance list
	is "$(cat "$state.aside")" "$broken" "it is set aside"
	is "$(grep -c "is not usable.*set aside" "$VGPU_RUNTIME_DIR/vgpud.log")" 1 "with one line in the log"
	is "$(shown c state) $(shown c memory_used_bytes) $(shown c memory_limit_bytes) $(shown c client_count)" "running 104857600 1073741824 1" \
		"the instance is made anew from its account"
	is "$(shown d state) $(shown d client_count)" "running 1" "the others are not concerned"
done
kill -9 "$(daemon_pid)" "$(keeper_pid)"
echo "{}" >"$state"
exits 0 "vgpud starts without keeper over a file that is of no use" vgpu instance list
ok "$(gone c; echo $?)" "what is lost altogether is not made up"
is "$(shown d state)" orphaned "the others are what they can be"
hang_up c
hang_up d

# --- the end ---
kill "$(daemon_pid)"
within 5 test ! -e "$socket"
export VGPU_IDLE_S=1
vgpu instance list >/dev/null
last=$(daemon_pid)
tenant d --memory 1G
sleep 2.5
kill -0 "$last"
ok $? "it does not end while there is an instance"
hang_up d
within 5 test ! -e "$socket"
ok $? "it ends after VGPU_IDLE_S without one"
within 2 test ! -e "/proc/$last"
ok $? "and is gone"
exits 0 "the next command starts another" vgpu instance list
export VGPU_IDLE_S=soon
kill "$(daemon_pid)"
within 5 test ! -e "$socket"
exits 1 "a vgpud that cannot start says why through the command" vgpu instance list
like "$stderr" "*idle time 'soon' is not a whole number of seconds*" "in words"

# --- few descriptors ---
unset VGPU_IDLE_S
export VGPU_RUNTIME_DIR=$dir/few
prlimit --nofile=160:160 vgpu instance list >/dev/null
export VGPU_SOCKET=$VGPU_RUNTIME_DIR/vgpud.sock
"$client" --json '{"op":"instance.create","name":"crowded","memory_limit_bytes":1073741824,"lease":false}' >/dev/null
mkfifo "$dir/crowd"
for i in {1..120}; do VGPU_INSTANCE=crowded "$client" <"$dir/crowd" >>"$dir/greetings" & done
exec {crowd}>"$dir/crowd"
# shellcheck disable=SC2317 # within calls it
told() { (($(wc -l <"$dir/greetings") == 120)); }
within 20 told
ok $? "of 120 processes each is answered by a vgpud with 160 descriptors"
like "$(grep -v ready "$dir/greetings" | sort -u)" "*vgpud has too few descriptors left for another process or instance (160 are all it may have); *" "in words"
n=$(grep -c ready "$dir/greetings")
((n > 30 && n < 120))
ok $? "when too many are there already ($n run)"
exits 0 "others are answered still" vgpu instance show crowded
exec {crowd}>&-
within 10 test "$(VGPU_SOCKET=$VGPU_SOCKET vgpu instance show crowded --json | field client_count)" = 0
is "$(VGPU_INSTANCE=crowded "$client" </dev/null)" ready "and when they have ended there is room again"
kill -9 "$(daemon_pid)"
finish
