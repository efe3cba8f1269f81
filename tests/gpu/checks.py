#!/usr/bin/env python3
"""The checks behind tests/gpu/run: memory limits, ways in and shares, on an NVIDIA GPU that nobody else uses meanwhile, or on the software
GPU. What the device has in use is what its driver says; how long somebody had the device is told by the kernels he completed,
each of a length found out alone.

From the environment: GPU_DEVICE (nvidia, software), GPU_BUILD (where nvcc's programs go), and what tests/integ/harness.py reads."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integ"))
from harness import GIB, MIB, PROGRAMS, STAGE, VGPU, Place, equal, ok, run_tests, wait_for  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVICE = os.environ["GPU_DEVICE"]
IS_SOFTWARE = DEVICE == "software"
# A context of a large GPU takes half a gibibyte.
LIMIT, FITS, PASSES = (GIB, 384 * MIB, 1536 * MIB) if IS_SOFTWARE else (4 * GIB, 2 * GIB, 6 * GIB)
# What a driver keeps for itself of a device, and rounds, beside what it counts for processes.
DRIVER_BYTES = 0 if IS_SOFTWARE else 32 * MIB
KERNEL = "nap" if IS_SOFTWARE else "work"


def new_place(devices="memory=16G,time=asap"):
    """Plain programs in it, without vgpu, find the software GPU by the loader's path, and NVIDIA's as on any machine."""
    path = os.environ.get("LD_LIBRARY_PATH", "")
    return Place(devices if IS_SOFTWARE else None,
                 **({"LD_LIBRARY_PATH": f"{STAGE}/lib/vgpu/softgpu:{path}"} if IS_SOFTWARE else {}))


def skip(what, why):
    ok(True, f"{what} # SKIP {why}")


def the_device(place):
    """The first device of our kind: its index in the list, and what is said of it."""
    devices = place.json("device", "list")["devices"]
    return next((i, device) for i, device in enumerate(devices) if device["kind"] == DEVICE)


def device_bytes(place):
    return the_device(place)[1]["memory_used_bytes"]


def run(place, *command, limit=LIMIT, **options):
    return subprocess.run([VGPU, "run", "--device", DEVICE, "--memory", str(limit), "--", *command], env=place.env, capture_output=True,
                          text=True, timeout=options.get("timeout", 120))


def say(done):
    for line in (done.stdout + done.stderr).strip().splitlines()[-4:]:
        print(f"# {line}", flush=True)


# ---- this machine ----

def doctor_finds_nothing_wrong():
    place = new_place()
    rows = place.json("doctor")["checks"] if place.vgpu("doctor", check=False).stdout else []
    for row in rows:
        if row["status"] != "ok":
            print(f"# {row['status']}: {row['check']}: {row.get('detail', row.get('text', ''))}")
    ok(rows and not any(row["status"] == "fail" for row in rows), "vgpu doctor finds nothing that fails")
    index, device = the_device(place)
    print(f"# device {index}: {device['name']}, {device['memory_capacity_bytes'] // MIB} MiB, {device['memory_used_bytes'] // MIB} MiB in use")
    ok(not device["not_limited"], "nobody else is at work on the device")
    place.close()


# ---- memory ----

def limits_hold_for_programs_of_the_driver_api():
    place = new_place()
    example = str(STAGE / "libexec/vgpu/examples/vector_add")
    done = run(place, example, "--memory", f"{FITS // MIB}M")
    equal(done.returncode, 0, f"a program of {FITS // MIB} MiB runs in {LIMIT // MIB} MiB, and its sums are right")
    say(done)
    done = run(place, example, "--memory", f"{PASSES // MIB}M")
    equal(done.returncode, 2, f"one of {PASSES // MIB} MiB gets CUDA_ERROR_OUT_OF_MEMORY")
    say(done)
    place.close()


def limits_hold_for_programs_of_the_runtime():
    what = "a program that nvcc built"
    nvcc = shutil.which("nvcc")
    if not nvcc:
        skip(what, "there is no nvcc")
        return
    for cudart in ("static", "shared"):
        program = pathlib.Path(os.environ["GPU_BUILD"]) / f"runtime_{cudart}"
        built = subprocess.run([nvcc, f"-cudart={cudart}", "-Wno-deprecated-gpu-targets", "-o", str(program),
                                str(ROOT / "tests/gpu/runtime.cu")], capture_output=True, text=True)
        if not ok(built.returncode == 0, f"nvcc builds a program with its runtime {cudart}"):
            say(built)
            continue
        if IS_SOFTWARE:
            skip(f"{what} ({cudart})", "NVIDIA's runtime needs NVIDIA's driver")
            continue
        place = new_place()
        place.env["LD_LIBRARY_PATH"] = ":".join(filter(None, [place.env.get("LD_LIBRARY_PATH"),
                                                              str(pathlib.Path(nvcc).resolve().parents[1] / "lib64")]))
        done = run(place, str(program), str(FITS // MIB // 3))
        ok(done.returncode == 0 and done.stdout.startswith(f"{LIMIT // MIB} MiB in all"), f"{what} ({cudart}) runs and sees its slice")
        say(done)
        done = run(place, str(program), str(PASSES // MIB // 3))
        equal(done.returncode, 2, f"{what} ({cudart}) is out of memory at its limit")
        say(done)
        place.close()


def limits_hold_for_pytorch():
    what = "PyTorch"
    if IS_SOFTWARE or subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode:
        skip(what, "needs NVIDIA's driver" if IS_SOFTWARE else "python3 has no torch")
        return
    place = new_place()
    done = run(place, sys.executable, "-c", f"""
import torch
print("total", torch.cuda.mem_get_info()[1])
kept = torch.empty({FITS}, dtype=torch.uint8, device="cuda")
try:
    torch.empty({LIMIT}, dtype=torch.uint8, device="cuda")
except torch.cuda.OutOfMemoryError:
    print("refused")
a = torch.randn(512, 512, device="cuda")
print("right", bool(torch.allclose((a @ a).cpu(), a.cpu() @ a.cpu(), atol=0.5)))
""")
    equal(done.stdout.split(), ["total", str(LIMIT), "refused", "right", "True"], "PyTorch sees its slice, is refused beyond it, and computes")
    say(done)
    place.close()


def each_door_to_memory_is_counted_and_limited():
    place = new_place()
    bytes_wanted, one_size = 24 * MIB + 5000, {"array-1d", "array-cubemap", "context", "context-destroyed", "limit-stack", "library"}
    outside = device_bytes(place)
    program = place.start(["--name", "m", "--memory", str(LIMIT), "--device", DEVICE], [str(PROGRAMS / "memory_matrix")])
    equal(program.greeting, "ready", "the program of all doors starts")

    def ledger():
        return place.instance("m")["memory_used_bytes"]

    for door in program.ask("doors").split():
        before, before_device = ledger(), device_bytes(place) - outside
        answer = program.ask("take", door, bytes_wanted)
        took, took_device = ledger() - before, device_bytes(place) - outside - before_device
        gave = program.ask("give", door)
        print(f"# {door}: ledger {took / MIB:+.1f} MiB, device {took_device / MIB:+.1f} MiB; after it {(ledger() - before) / MIB:+.1f}"
              f" and {(device_bytes(place) - outside - before_device) / MIB:+.1f} MiB")
        ok(answer == gave == "ok" and took > 0, f"{door}: taken, counted and given back ({answer}, {gave})")
        ok(took_device <= took + DRIVER_BYTES, f"{door}: the device gave no more than was counted")
        if door in one_size:
            continue
        place.vgpu("instance", "set", "m", "--memory", str(ledger() + 20 * MIB))
        answer = program.ask("take", door, 64 * bytes_wanted if door.startswith("small") else bytes_wanted)
        equal(answer, "CUDA_ERROR_OUT_OF_MEMORY", f"{door}: over the limit is refused")
        program.ask("give", door)
        place.vgpu("instance", "set", "m", "--memory", str(LIMIT))
    program.quit()
    ok(wait_for(lambda: device_bytes(place) <= outside + DRIVER_BYTES, 5) is not None, "at the end the device is as empty as before")
    place.close()


def races_never_pass_the_limit(seconds=float(os.environ.get("GPU_RACE_S", "15"))):
    place = new_place("memory=16G,time=asap,context=8M")
    outside, peak, over = device_bytes(place), 0, threading.Event()
    place.json("device", "list")

    def watch():
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, device_bytes(place) - outside)

    watcher = threading.Thread(target=watch)
    watcher.start()
    limit = GIB if IS_SOFTWARE else 6 * GIB
    done = run(place, sys.executable, str(ROOT / "tests/gpu/racers.py"), "8", str(seconds), str(PROGRAMS / "memory_matrix"),
               limit=limit, timeout=seconds + 120)
    over.set()
    watcher.join()
    say(done)
    figures = json.loads(done.stdout or "{}")
    ok(figures.get("taken", 0) and figures.get("refused", 0), "eight processes, some killed: memory was both given and refused")
    equal(figures.get("errors", 0), 0, "no other error")
    ok(peak <= limit + DRIVER_BYTES, f"the device never held more than the limit (seen {peak // MIB} of {limit // MIB} MiB)")
    ok(wait_for(lambda: device_bytes(place) <= outside + DRIVER_BYTES, 5) is not None, "at the end it is as empty as before")
    place.close()


# ---- ways in ----

def every_way_in_is_limited():
    place = new_place()
    found = place.json("device", "list")[DEVICE]
    driver, ask = f"{found['driver_dir']}/libcuda.so.1", str(2 * LIMIT // MIB)
    print(f"# driver {found['driver_version']} in {found['driver_dir']}")
    linked, opened = str(PROGRAMS / "ways_in_linked"), str(PROGRAMS / "ways_in")
    rows = [("linked", [linked, "linked"]), ("dlsym(RTLD_NEXT)", [linked, "next"])]
    rows += [(way, [opened, way]) for way in ("soname", "devname", "path", "deepbind", "newlm", "newlm-path", "proc", "proc-v1", "runtime",
                                             "nvml", "nvml-path")]
    rows += [("path, no environment", ["env", "-i", opened, "path"]),
             ("path, no loader variables", ["env", "LD_PRELOAD=", "LD_LIBRARY_PATH=", opened, "path"]),
             ("LD_PRELOAD the driver", ["env", f"LD_PRELOAD={driver}", linked, "linked"]),
             ("VGPU_INSTANCE unset", ["env", "-u", "VGPU_INSTANCE", opened, "soname"])]
    for name, command in rows:
        done = subprocess.run([VGPU, "run", "--device", DEVICE, "--memory", str(LIMIT), "--", *command, driver, ask], env=place.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if not ok(done.stdout.startswith("limited"), f"way in, {name}: limited"):
            say(done)
    place.close()


# ---- shares ----

def calibrated(place, time_us):
    """What `share_load --wait` is for kernels of that length, and how many there are in a second alone on the device, without vgpu."""
    load = [str(PROGRAMS / "share_load"), "--kernel", KERNEL, "--grid", "132", "--time", str(time_us)]
    said = json.loads(subprocess.run([*load, "--loop", "calibrate"], env=place.env, capture_output=True, text=True, timeout=120, check=True).stdout)
    load += ["--wait", str(said["wait_ns"])]
    alone = [subprocess.run([*load, "--for", "2"], env=place.env, capture_output=True, text=True, timeout=60, check=True).stdout for _ in range(2)]
    ends = [json.loads(text.splitlines()[-1]) for text in alone]
    return load, max(end["kernels"] / end["seconds"] for end in ends)


def loads_at_once(place, load, options, seconds=8):
    """A load under each of the `vgpu run` options: kernels a second, and what its instance was billed of its time, in percent."""
    with tempfile.TemporaryDirectory() as folder:
        programs = [subprocess.Popen([VGPU, "run", "--device", DEVICE, "--memory", str(LIMIT), "--usage-file", f"{folder}/{i}", *how, "--",
                                      *load, "--for", str(seconds)], env=place.env, stdout=subprocess.PIPE, text=True)
                    for i, how in enumerate(options)]
        ends = [json.loads(program.communicate(timeout=seconds + 60)[0].splitlines()[-1]) for program in programs]
        usages = [json.loads(pathlib.Path(f"{folder}/{i}").read_text(encoding="utf-8")) for i in range(len(options))]
    return [(end["kernels"] / end["seconds"], usage["gpu_time_ns_total"] / end["seconds"] / 1e7) for end, usage in zip(ends, usages)]


def two_saturating_programs_get_their_shares():
    place = new_place("memory=16G,sms=256,clock=1GHz,ips=1G,time=paced")
    load, alone = calibrated(place, 1000)
    print(f"# alone, without vgpu: {alone:.1f} kernels/s")
    (unlimited, _), = loads_at_once(place, load, [[]], 4)
    ok(unlimited >= 0.98 * alone, f"alone under vgpu run without a share: {100 * unlimited / alone:.2f} % of that")
    for shares in ((50,), (30, 70)):
        got = loads_at_once(place, load, [["--compute", f"{share}%"] for share in shares])
        for share, (rate, billed) in zip(shares, got):
            achieved = 100 * rate / alone
            ok(abs(achieved - share) <= 2, f"{share} % {'alone' if len(shares) == 1 else 'beside another'}: {achieved:.2f} % by its kernels")
            ok(abs(billed - achieved) <= 2, f"{share} %: billed {billed:.2f} %")
    place.close()


run_tests(doctor_finds_nothing_wrong, limits_hold_for_programs_of_the_driver_api, limits_hold_for_programs_of_the_runtime,
          limits_hold_for_pytorch, each_door_to_memory_is_counted_and_limited, races_never_pass_the_limit, every_way_in_is_limited,
          two_saturating_programs_get_their_shares)
