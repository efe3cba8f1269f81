#!/usr/bin/env bash
# `vgpu doctor` and `vgpu device list` tell what is there and what is wrong with it; a sick driver does not make vgpud sick.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

status_of() { # CHECK of the doctor's JSON in $stdout
	echo "$stdout" | python3 -c 'import json, sys; print(*{r["status"] for r in json.load(sys.stdin)["checks"] if r["check"] == sys.argv[1]})' "$1"
}
restart() { # with another environment
	kill "$(daemon_pid)"
	within 5 test ! -e "$socket"
}

exits 0 "all is well here" vgpu doctor --json
for check in "install tree" "libraries" "sealed memory" "process handles" "runtime directory" "daemon" "NVIDIA driver" "NVML" "software GPU"; do
	is "$(status_of "$check")" ok "$check is ok"
done
like "$(status_of "cgroup dmem")" "@(ok|warn)" "cgroup dmem is told of"
like "$(status_of "way in")" "@(ok|warn)" "the way in is told of"
like "$(vgpu doctor)" "ok    install tree: complete, at *" "as lines too"

is "$(vgpu device list --json | field devices 0 memory_used_bytes)" 0 "a device says what it uses itself"
is "$(vgpu device list --all --json | field devices 1 kind)" software "--all lists the software GPU"
is "$(vgpu device list --json | python3 -c 'import json, sys; print(len([d for d in json.load(sys.stdin)["devices"] if d["kind"] == "nvidia"]))')" 1 \
	"the NVIDIA one is there without it"

restart
export FAKE_NVML_FAULT=fail
exits 1 "a driver whose NVML fails" vgpu doctor --json
is "$(status_of NVML)" fail "is found out"
restart
export FAKE_NVML_FAULT=crash
exits 1 "one whose NVML crashes" vgpu doctor --json
like "$stdout" "*its management library crashed (signal 6)*" "is as well"
exits 0 "vgpud lives" vgpu instance list
restart
unset FAKE_NVML_FAULT
export VGPU_DRIVER_DIR=$dir/none
exits 0 "no NVIDIA driver is no failure" vgpu doctor --json
is "$(status_of "NVIDIA driver")" warn "but said"
is "$(vgpu device list --json | field devices 0 kind)" software "the software GPU is listed then"

restart
export VGPU_SOFTGPU_LIBDIR=$dir
exits 1 "a software GPU that does not start" vgpu doctor --json
is "$(status_of "software GPU")" fail "is a failure"
exits 0 "a machine without any device" vgpu device list
is "$stdout" "no devices; \`vgpu doctor\` says why" "is said in words"
exits 125 "and runs nothing" vgpu run --memory 1G -- true
like "$stderr" "*there is no usable device here: *" "with the reason"

restart
chmod 777 "$VGPU_RUNTIME_DIR"
exits 1 "a runtime directory that others may write" vgpu doctor --json
is "$(status_of "runtime directory") $(status_of daemon)" "fail fail" "is refused"
like "$stdout" "*it must be yours and writable by you alone*" "in words"
finish
