# What the shell tests of the daemon and the command line share: a directory and a vgpud of each test's own, a fake
# driver instead of a GPU, and TAP. Sourced; the test then prints its promises with ok/is/like and ends with `finish`.
# From the build: VGPU_STAGE (install tree), VGPU_TESTS (build directory of tests/integ).
# shellcheck shell=bash disable=SC2034

set -u
if [[ -z ${VGPU_STAGE:-} || ! -x ${VGPU_STAGE:-}/bin/vgpu ]]; then
	echo "1..0 # SKIP VGPU_STAGE names no install tree (./dev test sets it)"
	exit 0
fi
: "${VGPU_TESTS:?is the build directory of tests/integ}"

PATH=$VGPU_STAGE/bin:$PATH
client=$VGPU_TESTS/daemon_client
dir=$(mktemp -d /tmp/vgpu-sh-XXXXXX)
unset VGPU_SOCKET VGPU_INSTANCE LD_PRELOAD LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES
export VGPU_RUNTIME_DIR=$dir/run
export VGPU_DRIVER_DIR=$VGPU_TESTS/nvidia VGPU_SOFTGPU_LIBDIR=$VGPU_TESTS/software
socket=$VGPU_RUNTIME_DIR/vgpud.sock
n_tests=0 n_failed=0

daemon_pid() { cat "$VGPU_RUNTIME_DIR/vgpud.lock" 2>/dev/null; }

# keeper_pid: of the keeper of this test's directory.
keeper_pid() { pgrep -f "^[^ ]*/vgpu-keeper $VGPU_RUNTIME_DIR$"; }

cleanup() {
	local pid
	pid=$(daemon_pid)
	# Only what this test started: its own jobs, and the vgpud whose lock is in its own directory.
	jobs -p | xargs -r kill -9 2>/dev/null
	[[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == vgpud ]] && kill -9 "$pid"
	pid=$(keeper_pid) && kill -9 "$pid"
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

# ok STATUS WHAT: a promise, kept when STATUS is 0.
ok() {
	n_tests=$((n_tests + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $n_tests - $2"
	else
		echo "not ok $n_tests - $2"
		n_failed=$((n_failed + 1))
	fi
}

# skip WHAT WHY
skip() {
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - $1 # SKIP $2"
}

# is GOT WANTED WHAT
is() {
	local r=0
	[[ $1 == "$2" ]] || r=1
	ok $r "$3"
	((r == 0)) || printf '# got:      %s\n# expected: %s\n' "$1" "$2"
}

# like TEXT GLOB WHAT
like() {
	local r=0
	# shellcheck disable=SC2053
	[[ $1 == $2 ]] || r=1
	ok $r "$3"
	((r == 0)) || printf '# got:           %s\n# expected like: %s\n' "$1" "$2"
}

# within SECONDS COMMAND...: repeats COMMAND until it succeeds; 1 when it never does.
within() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# field KEY [KEY...]: of a JSON document on standard input; numbers index lists.
field() {
	python3 -c 'import json, sys
v = json.load(sys.stdin)
for k in sys.argv[1:]:
    v = v[int(k)] if isinstance(v, list) else v.get(k)
print(json.dumps(v) if not isinstance(v, str) else v)' "$@"
}

# shown INSTANCE KEY...: a figure of an instance.
shown() { vgpu instance show "$1" --json | field "${@:2}"; }

# exits STATUS WHAT COMMAND...: runs it; keeps its standard error in $stderr and its output in $stdout.
exits() {
	local want=$1 what=$2 got=0
	shift 2
	"$@" >"$dir/stdout" 2>"$dir/stderr" </dev/null || got=$?
	stdout=$(<"$dir/stdout") stderr=$(<"$dir/stderr")
	is "$got" "$want" "$what"
	[[ $got == "$want" ]] || sed 's/^/# /' "$dir/stderr"
}

# tenant NAME RUN-OPTION...: starts $tenant_command (the small tenant) in an instance NAME, to be spoken to with `ask NAME LINE`. Its
# first line is in $greeting, its `vgpu run` is process ${pids[NAME]}.
declare -A pids
tenant_command=("$client")
tenant() {
	local name=$1 in out
	shift
	rm -f "$dir/$name.in" "$dir/$name.out"
	mkfifo "$dir/$name.in" "$dir/$name.out"
	vgpu run --name "$name" "$@" -- "${tenant_command[@]}" <"$dir/$name.in" >"$dir/$name.out" 2>"$dir/$name.err" &
	pids[$name]=$!
	exec {in}>"$dir/$name.in" {out}<"$dir/$name.out"
	eval "in_$name=$in out_$name=$out"
	read -r -t 20 greeting <&"$out" || greeting=$(<"$dir/$name.err")
}

ask() {
	local in="in_$1" out="out_$1" answer=
	echo "$2" >&"${!in}"
	read -r -t 20 answer <&"${!out}"
	echo "$answer"
}

# hang_up NAME: tells a tenant to end; hung_up is the exit status of its `vgpu run`.
hang_up() {
	ask "$1" quit >/dev/null
	hung_up=0
	wait "${pids[$1]}" || hung_up=$?
}

gone() { ! vgpu instance show "$1"; }

# tenant_pid NAME: the tenant itself, the only child of its `vgpu run`.
tenant_pid() { tr -d ' ' <"/proc/${pids[$1]}/task/${pids[$1]}/children"; }

finish() {
	echo "1..$n_tests"
	exit $((n_failed > 0))
}
