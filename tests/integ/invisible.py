#!/usr/bin/env python3
"""The cooperative library is unnoticeable: a program that prints all it can see of itself (descriptors and their numbers, signal
handlers and mask, umask, working directory, environment, threads, limits, where symbols are found, errno and the code of about 270
calls, most of them with bad arguments) prints the same with the driver alone, with our library before it, and inside a vGPU with and
without a memory limit of its own; so it does in a forked child and after an exec; it ends in the same way, with the same bytes on
standard output and standard error.

What may differ, and nothing else:
  - the figures of memory (lines that begin with "memory");
  - the variables that `vgpu run` sets, which the program leaves out (it sees that none of them changes);
  - in an instance, one descriptor of the driver's management library, with a number of 128 or more."""
import os
import pathlib
import re
import signal
import subprocess

from harness import KERNELS, PROGRAMS, STAGE, VGPU, Place, need_own_root, ok, run_tests

SHIM_SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src/shim"
IMAGE = KERNELS / "vector_add.ptx"
SHOWN_MAX = 12
# An allocation from no pool is refused by us before the driver can say that its arguments are bad.
NO_POOL = set()
ENDINGS = {"return": 7, "_exit": 5, "thread": 9, "pthread_exit": 0, "abort": -signal.SIGABRT, "kill": -signal.SIGTERM}
if "VGPU_SANITIZED" not in os.environ:  # a sanitizer speaks of this one, with the pid
    ENDINGS["segv"] = -signal.SIGSEGV


def ways(place):
    """How a program is started: by name, the command's head and what is set in its environment."""
    run = [VGPU, "run", "--device", "software"]
    shim, driver = STAGE / "lib/vgpu/shim", STAGE / "lib/vgpu/softgpu"
    return {
        "the driver alone": ([], {"LD_LIBRARY_PATH": str(driver)}),
        "our library without an instance": ([], {"LD_LIBRARY_PATH": str(shim), "VGPU_DRIVER_DIR": str(driver)}),
        "vgpu run": (run + ["--"], {}),
        "vgpu run --memory 1G": (run + ["--memory", "1G", "--"], {}),
    }


def inherited(ignores_children):
    """What the program finds that no program is born with."""
    os.umask(0o027)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if ignores_children:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGRTMIN + 3})


def output(place, way, ending, argument=IMAGE):
    head, extra = ways(place)[way]
    kept = os.open("/dev/null", os.O_RDONLY)
    with open(place.dir / "out", "w+b") as out, open(place.dir / "err", "w+b") as err:
        done = subprocess.run([*head, str(PROGRAMS / "invisible"), str(argument), ending], env=place.env | extra, stdin=subprocess.DEVNULL,
                              stdout=out, stderr=err, pass_fds=[kept], preexec_fn=lambda: inherited(ending in ENDINGS), cwd="/usr", timeout=60,
                              check=False)
    os.close(kept)
    status = 128 - done.returncode if done.returncode < 0 else done.returncode
    lines = (place.dir / "out").read_text().splitlines()
    high = {line for line in lines if line.startswith("high descriptors ")}
    if any(line.count("=") > (1 if head else 0) for line in high):
        raise RuntimeError(f"{way}: {high}")
    return [line for line in lines if not line.startswith(("memory", "high descriptors"))], (place.dir / "err").read_text(), status


def same(place, ending, promise, argument=IMAGE):
    native = output(place, "the driver alone", ending, argument)
    for way in list(ways(place))[1:]:
        ours = output(place, way, ending, argument)
        if not ok(ours == native, f"{promise}: {way}"):
            differing = [pair for pair in zip(native[0], ours[0]) if pair[0] != pair[1]]
            for a, b in differing[:SHOWN_MAX]:
                print(f"# native: {a}\n# ours:   {b}")
            print(f"# lines {len(native[0])}, {len(ours[0])}; status {native[2]}, {ours[2]}; standard error {native[1]!r}, {ours[1]!r}")
    return native


def place_new():
    place = Place("time=asap")
    output(place, "the driver alone", "return")  # starts the device's process: the first one is not like the others
    return place


def calls_and_what_a_process_sees_are_as_without_us():
    place = place_new()
    lines, said, _ = same(place, "exec", "calls, a fork and an exec")
    ok(sum(" = " in line for line in lines) >= 250 and not said, f"the program makes its calls ({len(lines)} lines)")
    ok(any("the kernel gives 3" in line for line in lines), "and its kernel runs")
    place.close()


def hooked_functions_of_zeros_answer_as_the_driver():
    """Those that are refused whatever their arguments are left out."""
    place = place_new()
    hooks = set((SHIM_SOURCES / "hooks.txt").read_text().split())
    refused = set(re.findall(r"REFUSED\((\w+)", (SHIM_SOURCES / "refuse.c").read_text()))
    names = hooks - refused - NO_POOL
    (place.dir / "names").write_text("\n".join(sorted(names)) + "\n")
    lines, _, status = same(place, "zeros", "hooked functions with zeros", place.dir / "names")
    ok(status == 0 and len(lines) == 3 * len(names), f"all of them are called three times ({len(lines)} calls)")
    place.close()


def a_fork_before_the_first_call_is_as_without_us():
    place = place_new()
    same(place, "fork", "a fork before the first call")
    place.close()


def a_program_ends_as_without_us():
    place = place_new()
    for ending, status in ENDINGS.items():
        got = same(place, ending, f"ending by {ending}")[2]
        ok(got == (128 - status if status < 0 else status), f"ending by {ending}: the status is the program's own ({got})")
    place.close()


need_own_root()
run_tests(calls_and_what_a_process_sees_are_as_without_us, hooked_functions_of_zeros_answer_as_the_driver, a_fork_before_the_first_call_is_as_without_us, a_program_ends_as_without_us)
