#!/usr/bin/env python3
"""The kernels of tests/kernels give right results inside a vGPU, for clang's PTX and, where nvcc made them, nvcc's PTX and its
compressed fat binaries; printf from the device arrives on standard output, in order for each block."""
import subprocess

from harness import KERNELS, PROGRAMS, VGPU, Place, equal, ok, run_tests

LINES = [f"block {block} thread {10 + t}: {1.5 * t:5.2f} {'odd' if t & 1 else 'even'} {1 << 40} ff" for block in (0, 1) for t in range(3)]


def run(place, suffix):
    done = subprocess.run([VGPU, "run", "--memory", "1G", "--device", "software", "--", str(PROGRAMS / "kernels"), str(KERNELS), suffix],
                          env=place.env, capture_output=True, text=True, timeout=200)
    lines = done.stdout.splitlines()
    results = [line for line in lines if line.startswith(("ok ", "not ok "))]
    for line in results:
        ok(line.startswith("ok "), f"{suffix}: {line.split(' - ', 1)[1]}")
    ok(len(results) >= 25, f"{suffix}: all kernels ran ({len(results)} results)")
    equal(done.returncode, 0, f"{suffix}: the program ends well")
    printed = [line for line in lines if line.startswith("block ")]
    equal(sorted(printed), LINES, f"{suffix}: what the device printed")
    equal([line for line in printed if line.startswith("block 1")], LINES[3:], f"{suffix}: lines of a block are in order")


def kernels_are_right():
    place = Place("time=asap")
    for suffix in ("ptx", "nvcc.ptx", "fatbin"):
        if (KERNELS / f"vector_add.{suffix}").exists():
            run(place, suffix)
        else:
            ok(True, f"{suffix} # SKIP no nvcc on this machine")
    place.close()


run_tests(kernels_are_right)
