#!/usr/bin/env bash
# What arrives at the control socket is not trusted: versions, sizes, users and numbers of connections.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

vgpu instance list >/dev/null
export VGPU_SOCKET=$socket
pid=$(daemon_pid)

exits 0 "a request of another version is answered" "$client" --version-major 9
like "$stdout" "this vgpud speaks version 1.*the request is of version 9.0*" "with both versions in words"
exits 0 "bytes that are no message are refused, whatever their length" "$client" --garbage

refused() { # REQUEST WORDS WHAT
	exits 1 "$3" "$client" --json "$1"
	like "$stdout" "$2" "  in words"
}
refused '{"op":' "the request is not JSON*" "half a request"
refused '[]' "a request is a JSON object with a text 'op'" "a list"
refused '{"op":7}' "a request is a JSON object with a text 'op'" "an op that is a number"
refused '{"op":"instance.mint"}' "*has no operation 'instance.mint'" "an unknown operation"
refused '{"op":"instance.list","share":3}' "*does not know 'share' in a request 'instance.list'" "a member that is not understood"
refused '{"op":"instance.create","memory_limit_bytes":-1}' "'memory_limit_bytes' must be a whole number*" "a negative amount"
refused '{"op":"instance.create","memory_limit_bytes":1.5}' "'memory_limit_bytes' must be a whole number*" "half a byte"
refused '{"op":"instance.create","memory_limit_permille":1001}' "'memory_limit_permille' must be*1 to 1000" "more than all"
refused '{"op":"instance.create","name":"../x"}' "'../x' cannot name an instance*" "a name that is a path"
refused '{"op":"instance.create","name":7}' "'name' must be a text*" "a name that is a number"
refused '{"op":"instance.create","devices":[]}' "'devices' must be a list*" "no devices"
refused '{"op":"instance.create","devices":["0","0"]}' "device '0' is named twice" "a device twice"
refused '{"op":"instance.create","devices":["99"]}' "there is no device '99'*" "a number past the last device"
refused '{"op":"instance.create","devices":["zero"]}' "'zero' names no device; expected a UUID*" "a word that is no device"
refused '{"op":"instance.create","devices":["0","GPU-5050f7a3-0000-0000-0000-000000000000"]}' "NVIDIA and software devices cannot be in one*" \
	"devices of two drivers"
refused '{"op":"instance.show","instance":"x"}' "there is no instance 'x'*" "an instance that does not exist"
refused '{"op":"instance.stop","instance":"x","grace_ms":99999999}' "*" "a grace period of a day"
refused "$(printf '{"op":"instance.show","instance":"%0100d"}' 1)" "'instance' must be a text*" "a name that is too long"
refused "$(printf '%.0s[' {1..5000})" "the request is not JSON*" "deep nesting"

# --- an instance without a lease stays until it is stopped ---
exits 0 "an instance can be made without a lease" "$client" --json '{"op":"instance.create","name":"free","memory_limit_bytes":1073741824,"lease":false}'
is "$(shown free state)" ready "and stays"
like "$(VGPU_INSTANCE=nosuch "$client" </dev/null)" "there is no instance 'nosuch'*" "a tenant of no instance is told"


# --- reaping on request ---
reap() { VGPU_INSTANCE=$1 "$client" "${@:2}"; }
milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }
is "$(reap free --reap)" "reaped 0" "a request to reap is answered where nobody died"
like "$(reap nosuch --reap)" "there is no instance 'nosuch'*" "and refused for an instance that does not exist"
is "$(reap free --reap-race 200)" "0 of 200 left something" "nothing that a killed process held is left when the answer comes"
tenant lingering --memory 1GiB
ask lingering "reserve 64" >/dev/null
is "$(ask lingering linger)" ok "of a process that looks like one that is exiting"
begin=$(milliseconds)
is "$(reap lingering --reap)" "reaped 0" "the end is waited for"
waited=$(($(milliseconds) - begin))
((waited >= 50 && waited < 2000))
ok $? "for 50 ms ($waited ms)"
is "$(shown lingering memory_used_bytes)" $((64 << 20)) "and what it holds stays its own"
hang_up_lingering() { kill -9 "$(tenant_pid lingering)"; wait "${pids[lingering]}"; }
hang_up_lingering 2>/dev/null
is "$(reap free --reap)" "reaped 0" "other instances' dead are not counted"

if ((EUID != 0)); then
	skip "other users, and a thousand connections of root" "needs root"
else
# --- other users ---
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
chmod 711 "$dir" "$VGPU_RUNTIME_DIR"
exits 1 "another user cannot connect to a user's vgpud" nobody "$client" --json '{"op":"instance.list"}'
if nobody test -x "$(command -v vgpu)"; then
	exits 1 "and gets words for it from vgpu" nobody env VGPU_SOCKET="$socket" vgpu instance list
	like "$stderr" "*belongs to another user*" "  these"
else
	skip "and gets words for it from vgpu" "another user may not reach the install tree"
fi
chmod 666 "$socket" # what --system does
exits 0 "on a machine's vgpud he may ask" nobody "$client" --json '{"op":"instance.list"}'
like "$stdout" '*"instances":*[]*' "and sees no instance of others"
exits 1 "he cannot see one by its name" nobody "$client" --json '{"op":"instance.show","instance":"free"}'
like "$stdout" "instance 'free' belongs to another user" "  in words"
like "$(VGPU_INSTANCE=free nobody "$client" --reap)" "instance 'free' belongs to another user" "nor have its dead reaped"
exits 1 "nor change its limit" nobody "$client" --json '{"op":"instance.set","instance":"free","memory_limit_bytes":2147483648}'
is "$stdout" "instance 'free' belongs to another user" "  in words"
exits 1 "nor stop it" nobody "$client" --json '{"op":"instance.stop","instance":"free"}'
like "$(VGPU_INSTANCE=$(shown free id) nobody "$client" </dev/null)" "instance '*' belongs to uid 0, not to uid 65534" "nor attach to it"
exits 0 "he may have one of his own, of the same name" nobody "$client" --json '{"op":"instance.create","name":"free","memory_limit_bytes":1024,"lease":false}'
is "$(shown free owner_uid)" 0 "root means its own first"
exits 1 "the software GPU is its user's alone" nobody "$client" --json '{"op":"instance.create","devices":["software"],"lease":false}'
like "$stdout" "the software GPU of this vgpud is for uid 0 alone*" "  in words"

# --- many connections ---
coproc FLOOD { "$client" --flood 1000; }
read -r -t 30 line <&"${FLOOD[0]}"
is "$line" "1000 open, 0 refused" "a thousand connections"
exits 0 "do not keep others out" vgpu instance list
eval "exec ${FLOOD[1]}>&-"
wait "$FLOOD_PID"
coproc CROWD { setpriv --reuid 65534 --regid 65534 --clear-groups "$client" --flood 1000; }
read -r -t 30 line <&"${CROWD[0]}"
is "$line" "512 open, 488 refused" "of one user who is not root at most 512"
exits 0 "which leaves room for others" vgpu instance list
eval "exec ${CROWD[1]}>&-"
wait "$CROWD_PID"
within 5 nobody "$client" --json '{"op":"instance.list"}'
ok $? "and for himself when he has closed some"
fi

is "$(daemon_pid)" "$pid" "vgpud lives through all of it"
grep -c . "$VGPU_RUNTIME_DIR/vgpud.log" | { read -r n; ((n < 20)); }
ok $? "and its log did not grow with it"
finish
