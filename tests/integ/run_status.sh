#!/usr/bin/env bash
# `vgpu run` is its command to whoever waits for it: exit status, signals, streams, environment.
# shellcheck source-path=SCRIPTDIR disable=SC2016,SC2094,SC2317
. "$(dirname "$0")/lib.sh"

run() { vgpu run --memory 1G "$@"; }

# --- exit status ---
exits 0 "a command that succeeds" run -- true
exits 7 "a command that fails keeps its status" run -- sh -c 'exit 7'
exits 137 "a command that was killed is 128 + the signal" run -- sh -c 'kill -9 $$'
exits 127 "a command that does not exist" run -- no-such-command
is "$stderr" "vgpu run: cannot run 'no-such-command': there is no such command" "is named"
exits 126 "a file that is no program" run -- "$dir"
exits 125 "vgpu's own failure" vgpu run --memory 1Q -- true
like "$stderr" "vgpu run: --memory: *1Q*" "is named"
exits 125 "no command" vgpu run --memory 1G
like "$stderr" "vgpu run: expected a command to run*" "is said"
exits 125 "an unknown option" vgpu run --colour -- true
exits 125 "a device that does not exist" vgpu run --device 7 -- true
like "$stderr" "*there is no device '7'*" "is named"
exits 125 "a way in that there is not" run --way-in door -- true
like "$stderr" "*--way-in: 'door' is none of auto, mount, preload*" "is named"
exits 125 "a name that cannot be one" vgpu run --name 'a b' -- true
like "$stderr" "*'a b' cannot name an instance*" "is named"
if ((EUID == 0)); then
	cp "$(type -P true)" "$dir/setuid" && chown 65534 "$dir/setuid" && chmod 4755 "$dir/setuid"
	exits 125 "a setuid program, to which the limit would not apply" run --way-in preload -- "$dir/setuid"
	like "$stderr" "*runs with the rights of another user*the limit would not hold*" "is refused in words"
else
	skip "a setuid program, to which the limit would not apply, is refused" "needs root"
fi

# --- what the command gets ---
exits 0 "options end at the command" run sh -c 'test "$1" = --memory' x --memory
is "$(echo in | run -- cat)" in "standard input and output are the command's"
is "$(run --name n -- sh -c 'vgpu instance show "$VGPU_INSTANCE" --json' | field name)" n "VGPU_INSTANCE is its instance, VGPU_SOCKET its vgpud"
is "$(run --way-in preload -- sh -c 'echo $VGPU_DRIVER_DIR')" "$VGPU_TESTS/nvidia" "VGPU_DRIVER_DIR is the device's driver"
if unshare -m true 2>/dev/null || unshare -Um true 2>/dev/null; then
	moved=$VGPU_STAGE/lib/vgpu/aside/real real=$VGPU_TESTS/nvidia/libnvidia-ml.so.1
	is "$(run --way-in mount -- sh -c 'echo $VGPU_DRIVER_DIR')" "$moved" "in a mount namespace it is where that was moved to"
	# The descriptor was opened outside and leads to the driver's file itself.
	exits 0 "the driver is there" run --way-in mount -- cmp "$moved/libnvidia-ml.so.1" /proc/self/fd/9 9<"$real"
	exits 1 "and not at its own path" run --way-in mount -- cmp -s "$real" /proc/self/fd/9 9<"$real"
else
	skip "in a mount namespace the driver is moved aside" "this system permits none"
fi
shim=$VGPU_STAGE/lib/vgpu/shim
is "$(LD_LIBRARY_PATH=/x run -- sh -c 'echo $LD_LIBRARY_PATH')" "$shim:/x" "our libraries come first in the loader's path"
is "$(run -- sh -c 'echo $LD_PRELOAD')" "$shim/libcuda.so.1" "and before it"
is "$(run -- sh -c 'grep -c "vgpu/shim/libcuda.so.1" /proc/self/maps >/dev/null && echo loaded')" loaded "so that they are in every process"
is "$(run -- vgpu run --memory 1M -- sh -c 'echo $LD_PRELOAD')" "$shim/libcuda.so.1" "one run inside another preloads once"
is "$(CUDA_VISIBLE_DEVICES=x run -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" x "with one device CUDA_VISIBLE_DEVICES stays"
is "$(find /proc/self/fd -printf . | wc -c)" "$(run -- find /proc/self/fd -printf . | wc -c)" "the command inherits no descriptor of ours"

# --- signals ---
for signal in INT:2 TERM:15 HUP:1 QUIT:3; do
	# The command tells by its status which signal it got. (A shell in the background ignores SIGINT, so this one is set up anew.)
	python3 - "$dir/ready" "${signal#*:}" <<-'P' &
		import signal, subprocess, sys, time, os
		number = int(sys.argv[2])
		signal.signal(number, signal.SIG_DFL)
		code = ("import signal, sys, time\n"
		        "signal.signal(%d, lambda *a: sys.exit(40 + %d))\n"
		        "open(%r, 'w').close()\n"
		        "time.sleep(30)") % (number, number, sys.argv[1])
		p = subprocess.Popen(["vgpu", "run", "--memory", "1G", "--", sys.executable, "-c", code])
		while not os.path.exists(sys.argv[1]):
		    time.sleep(0.01)
		p.send_signal(number)
		sys.exit(p.wait())
	P
	wait $!
	is $? $((40 + ${signal#*:})) "SIG${signal%:*} is passed on, and the command's own answer to it is the status"
	rm -f "$dir/ready"
done
vgpu run --memory 1G -- sleep 30 &
pid=$!
within 5 pgrep -P $pid -x sleep
kill $pid
wait $pid
is $? 143 "a command that does not catch it ends by it"
none_left() { [[ $(vgpu instance list) == "no instances;"* ]]; }
within 2 none_left
ok $? "no instance is left behind"

# --- drivers ---
is "$(vgpu run --way-in preload --memory 1G --device software -- sh -c 'echo $VGPU_DRIVER_DIR $VGPU_SOFTGPU_DIR' 2>&1)" \
	"$VGPU_TESTS/software $VGPU_RUNTIME_DIR/softgpu" "--device software is the software GPU, without a word"
kill "$(daemon_pid)"
within 5 test ! -e "$socket"
export VGPU_DRIVER_DIR=$dir/none
exits 0 "without an NVIDIA driver the software GPU stands in" run -- true
is "$stderr" "vgpu: no NVIDIA driver on this machine; running on the software GPU" "which is said in one line"
exits 125 "--device nvidia is refused then" run --device nvidia -- true
like "$stderr" "*there is no NVIDIA device here: *; try --device software" "with the reason"
finish
