# What tests/gpu/run and bench/gpu/run share: which install tree to use, building the small programs, packing both for a machine
# that has no packages. Sourced from the repository's root; sets VGPU_STAGE, VGPU_PROGRAMS and gpu_device (nvidia or software).
# shellcheck shell=bash disable=SC2034

gpu_root=$PWD
gpu_bundle=$gpu_root/build/gpu-bundle
gpu_device=nvidia
cuda=${CUDA_HOME:-/usr/local/cuda}
PATH=$PATH:$cuda/bin

gpu_say() { printf '# %s\n' "$*"; }
gpu_die() { printf 'Bail out! %s\n' "$*"; exit 1; }

# has_package NAME: can a program be compiled against it?
has_package() { pkg-config --exists "$1" 2>/dev/null; }

# missing_for_a_build: one line for each thing that building vgpu from source would need and this machine lacks.
missing_for_a_build() {
	local tool package
	for tool in gcc meson ninja pkg-config python3 clang-14; do
		command -v "$tool" >/dev/null || echo "$tool: a program, missing"
	done
	for package in libuv jansson libmicrohttpd; do
		has_package "$package" || echo "$package: its development package, missing"
	done
	[[ -e /usr/lib/clc/nvptx64--nvidiacl.bc ]] || echo "libclc-14: missing"
}

# find_tree: the install tree of the environment, of ./dev build, of a bundle that was carried here, or a fresh build of this source.
find_tree() {
	local tree
	for tree in "${VGPU_STAGE:-}" "$gpu_root/build/stage" "$gpu_bundle/stage"; do
		[[ -n $tree && -x $tree/bin/vgpu ]] || continue
		# An empty directory may not have travelled.
		mkdir -p "$tree/lib/vgpu/aside" 2>/dev/null || true
		use_tree "$tree" && return
		gpu_say "the install tree $tree does not run here: $("$tree/bin/vgpu" --version 2>&1 | head -n 1)"
	done
	missing_for_a_build | sed 's/^/# cannot build vgpu here: /'
	[[ -z $(missing_for_a_build) ]] ||
		gpu_die "there is no install tree; make one where the packages are (tests/gpu/run --bundle) and carry build/gpu-bundle here"
	gpu_say "building vgpu"
	./dev build >build/gpu-build.log 2>&1 || gpu_die "./dev build failed; its output is in build/gpu-build.log"
	use_tree "$gpu_root/build/stage" || gpu_die "what was built does not run"
}

# use_tree DIR: takes it when its programs start; the bundle's libraries stand behind the machine's own.
use_tree() {
	local libraries=${LD_LIBRARY_PATH:-}
	if ! "$1/bin/vgpu" --version >/dev/null 2>&1 || ! "$1/bin/vgpud" --help >/dev/null 2>&1; then
		[[ -d $1/lib/vgpu/bundled ]] || return 1
		libraries=$libraries${libraries:+:}$1/lib/vgpu/bundled
		LD_LIBRARY_PATH=$libraries "$1/bin/vgpu" --version >/dev/null 2>&1 || return 1
		export LD_LIBRARY_PATH=$libraries
	fi
	export VGPU_STAGE=$1
}

# gpu_sources: NAME SOURCE of each program; all find their driver as libcuda.so.1, by the loader.
gpu_sources() {
	local name
	for name in memory_matrix ways_in ways_in_linked; do echo "$name tests/programs/$name.c"; done
	echo "share_load bench/share_load.c"
	for name in bench/gpu/*.c; do echo "$(basename "$name" .c) $name"; done
}

# build_programs DIR: compiles what is older than its source, against the tree's own cuda.h. No CUDA toolkit is needed.
build_programs() {
	local name source driver=$VGPU_STAGE/lib/vgpu/softgpu
	mkdir -p "$1"
	while read -r name source; do
		[[ $1/$name -nt $source && $1/$name -nt bench/gpu/probe.h ]] && continue
		if ! command -v gcc >/dev/null; then
			[[ -x $1/$name ]] || gpu_die "there is no gcc to compile $source"
			continue
		fi
		gcc -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Isrc -Itests/programs -I"$VGPU_STAGE/include/vgpu/cuda" -o "$1/$name" "$source" src/base/clock.c \
			-Wl,-z,lazy -L"$driver" -l:libcuda.so.1 -ldl -lm -lpthread || gpu_die "$source does not compile"
	done < <(gpu_sources)
	export VGPU_PROGRAMS=$1
}

# make_bundle: the tree without what only debuggers read, the two libraries that a machine may lack, and the programs, in
# build/gpu-bundle; the same and the sources it needs as one tar.
make_bundle() {
	local library
	[[ -x build/stage/bin/vgpu ]] || ./dev build
	use_tree "$gpu_root/build/stage" || gpu_die "build/stage does not run"
	rm -rf "$gpu_bundle"
	mkdir -p "$gpu_bundle"
	cp -a build/stage "$gpu_bundle/stage"
	find "$gpu_bundle/stage" -type f \( -perm -u+x -o -name '*.so.*' \) -exec strip --strip-debug {} +
	mkdir "$gpu_bundle/stage/lib/vgpu/bundled"
	for library in libuv.so.1 libjansson.so.4; do
		cp -L "$(ldd build/stage/bin/vgpud | awk -v name="$library" '$1 == name { print $3 }')" "$gpu_bundle/stage/lib/vgpu/bundled/"
	done
	build_programs "$gpu_bundle/programs"
	git ls-files --cached --others --exclude-standard tests/gpu tests/integ/harness.py tests/integ/several.py tests/programs bench examples src/base src/api |
		tar -czf build/gpu-bundle.tar.gz -T - build/gpu-bundle
	echo "build/gpu-bundle ($(du -sh "$gpu_bundle" | cut -f1)): carry it beside the source, or unpack build/gpu-bundle.tar.gz ($(du -h build/gpu-bundle.tar.gz | cut -f1)) anywhere"
}

# find_programs: those of the bundle when they are there and as new as their sources, else compiled here.
find_programs() {
	if [[ -d $gpu_bundle/programs && $VGPU_STAGE == "$gpu_bundle/stage" ]]; then
		build_programs "$gpu_bundle/programs"
	else
		build_programs "$gpu_root/build/gpu-programs"
	fi
}

# has_device: is there one of the kind that was asked for?
has_device() {
	[[ $gpu_device == software ]] && return
	"$VGPU_STAGE/bin/vgpu" device list --json 2>/dev/null | python3 -c '
import json, sys
sys.exit(not any(device["kind"] == "nvidia" for device in json.load(sys.stdin)["devices"]))'
}
