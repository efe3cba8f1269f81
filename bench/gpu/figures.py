#!/usr/bin/env python3
"""Behind bench/gpu/run: the share table, loads alone and together with and without vgpu, and the probes.

From the environment: GPU_DEVICE (nvidia, software), GPU_COMMAND (what was asked for), and what tests/integ/harness.py reads."""
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integ"))
from harness import PROGRAMS, STAGE, VGPU, Place  # noqa: E402

DEVICE = os.environ["GPU_DEVICE"]
IS_SOFTWARE = DEVICE == "software"
SECONDS, CELLS, ROUNDS = (int(os.environ.get(name, value)) for name, value in (("GPU_SECONDS", 5), ("GPU_CELLS", 8), ("GPU_ROUNDS", 2)))
LOADS = {
    "training, PyTorch": [sys.executable, str(ROOT / "bench/gpu/torch_load.py"), "train"],
    "decoding, CUDA graphs": [sys.executable, str(ROOT / "bench/gpu/torch_load.py"), "decode"],
    "launch-bound loop": [str(PROGRAMS / "launch_loop")],
}


def new_place():
    if not IS_SOFTWARE:
        return Place()
    path = os.environ.get("LD_LIBRARY_PATH", "")
    return Place("memory=16G,sms=256,clock=1GHz,ips=1G,time=paced", LD_LIBRARY_PATH=f"{STAGE}/lib/vgpu/softgpu:{path}")


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def print_head():
    place = new_place()
    said = place.json("device", "list")
    device = next(device for device in said["devices"] if device["kind"] == DEVICE)
    version = place.vgpu("--version").stdout.splitlines()[0]
    place.close()
    model = next((line.split(": ")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    print(f"date:    {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC\ncommand: {os.environ['GPU_COMMAND']}\nvgpu:    {version}\n"
          f"device:  {device['name']}, {device['memory_capacity_bytes'] >> 20} MiB\ndriver:  {said[DEVICE]['driver_version']}\n"
          f"host:    {model}, {os.cpu_count()} CPUs, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}")


# ---- shares ----

def shares():
    title("Shares, judged by completed kernels")
    options = ["--judge", "kernels", "--device", DEVICE, "--cells", str(CELLS), "--seconds", str(SECONDS)]
    subprocess.run([sys.executable, str(ROOT / "bench/share.py"), *options], check=False)


# ---- loads ----

def memory_option():
    return ["--memory", "4G" if IS_SOFTWARE else "16G"]


def at_once(place, load, ways):
    """One copy of the load for each way: None without vgpu, else options of `vgpu run`. All begin when all are ready. Steps a second."""
    programs = []
    for way in ways:
        wrap = [] if way is None else [VGPU, "run", "--device", DEVICE, *memory_option(), *way, "--"]
        programs.append(subprocess.Popen([*wrap, *load, "--for", str(SECONDS)], env=place.env, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    # Each says "ready" or ends; communicate() then closes its input.
    ready = [program.stdout.readline() for program in programs]
    for program in (program for program, word in zip(programs, ready) if word):
        program.stdin.write("go\n")
        program.stdin.flush()
    rates = []
    for program in programs:
        out, err = program.communicate(timeout=SECONDS + 120)
        lines = out.strip().splitlines()
        if program.returncode:
            raise RuntimeError((err.strip().splitlines() or lines or ["no word"])[-1])
        said = json.loads(lines[-1])
        rates.append(said["steps"] / said["seconds"])
    return rates


def load_rows(place, load):
    """Each round has all ways one after the other, so that what drifts drifts for all."""
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({"alone": at_once(place, load, [None]), "vgpu": at_once(place, load, [[]]),
                       "half": at_once(place, load, [["--compute", "50%"]]), "pair": at_once(place, load, [None, None]),
                       "halves": at_once(place, load, [["--compute", "50%"], ["--compute", "50%"]]),
                       "thirds": at_once(place, load, [["--compute", "30%"], ["--compute", "70%"]])})
    return {way: [statistics.median(row[way][i] for row in rounds) for i in range(len(rounds[0][way]))] for way in rounds[0]}


def loads():
    title(f"Loads: steps a second, median of {ROUNDS} rounds of {SECONDS} s, and percent of alone")
    print("goals: unlimited within 0.5 % of alone; limited to 50 % within 2 % of half\n")
    print(f"{'load':22} {'alone':>10} {'vgpu, no share':>20} {'50 %':>20} {'two, no vgpu':>20} {'50 % + 50 %':>20} {'30 % + 70 %':>20}")
    for name, load in LOADS.items():
        place = new_place()
        try:
            rows = load_rows(place, load)
        except (RuntimeError, subprocess.TimeoutExpired, ValueError, IndexError) as problem:
            print(f"{name:22} did not run: {problem}")
            continue
        finally:
            place.close()
        alone = rows["alone"][0]

        def cell(way):
            return " + ".join(f"{100 * rate / alone:.2f}" for rate in rows[way])

        print(f"{name:22} {alone:>10.1f} " + " ".join(f"{cell(way):>18} %" for way in ("vgpu", "half", "pair", "halves", "thirds")))


# ---- probes ----

def probe(place, text, command, **env):
    title(text)
    try:
        done = subprocess.run(command, env=dict(place.env, **env), capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        print("skipped: it had not ended after 180 s")
        return
    print(("skipped: " if done.returncode == 77 else "") + done.stdout.rstrip())
    if done.returncode not in (0, 77):
        print(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def mps():
    """Speed by share of the multiprocessors under MPS: a daemon of our own in a directory of our own, at the machine's settings as they are."""
    title("7. MPS: active-thread percentage against speed")
    control = shutil.which("nvidia-cuda-mps-control")
    if IS_SOFTWARE or not control:
        print("skipped: " + ("the software GPU has no MPS" if IS_SOFTWARE else "there is no nvidia-cuda-mps-control"))
        return
    place = new_place()
    with tempfile.TemporaryDirectory(prefix="mps-") as folder:
        env = dict(place.env, CUDA_MPS_PIPE_DIRECTORY=f"{folder}/pipe", CUDA_MPS_LOG_DIRECTORY=f"{folder}/log")
        for name in ("pipe", "log"):
            os.mkdir(f"{folder}/{name}")
        if subprocess.run([control, "-d"], env=env, capture_output=True, timeout=60).returncode:
            print("skipped: no MPS daemon starts for this user")
            return
        try:
            load = [str(PROGRAMS / "share_load"), "--kernel", "work", "--grid", "16384", "--time", "2000"]
            said = json.loads(subprocess.run([*load, "--loop", "calibrate"], env=env, capture_output=True, text=True, check=True, timeout=120).stdout)
            for percent in (100, 75, 50, 25, 10):
                done = subprocess.run([*load, "--wait", str(said["wait_ns"]), "--for", "3"],
                                      env=dict(env, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=str(percent)), capture_output=True, text=True, timeout=120)
                end = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
                print(f"{percent:>4} %: " + (f"{end['kernels'] / end['seconds']:8.1f} kernels/s" if end else f"failed: {done.stderr.strip()[-200:]}"))
        except (subprocess.SubprocessError, ValueError) as problem:
            print(f"skipped: no program runs under it: {problem}")
        finally:
            subprocess.run([control], input="quit\n", env=env, text=True, capture_output=True, timeout=60)
    place.close()


def probes():
    place = new_place()
    path = {name: str(PROGRAMS / f"probe_{name}") for name in ("hooks", "slices", "markers", "green", "checkpoint", "capture")}
    wrap = [VGPU, "run", "--device", DEVICE, *memory_option()]
    probe(place, "1. Cost of calls, without vgpu", [path["hooks"]])
    probe(place, "1. Cost of calls, under vgpu with a memory limit", [*wrap, "--", path["hooks"]])
    probe(place, "1. Cost of calls, under vgpu with --compute 99%", [*wrap, "--compute", "99%", "--", path["hooks"]])
    title("2. Timeslices of channel groups by RM control")
    print("skipped: it needs handles that only libcuda has, and would be a change of the driver's state")
    probe(place, "3. The device's own turns between two contexts", [path["slices"], *(["2"] if IS_SOFTWARE else [])])
    title("4. What is billed against completed kernels")
    print("tests/gpu/run says both for each of its shares")
    probe(place, "5. Cost of markers", [path["markers"]])
    probe(place, "6. Green contexts", [path["green"]])
    mps()
    probe(place, "8. Checkpoints", [path["checkpoint"]])
    probe(place, "9. What is legal during a capture", [path["capture"]])
    probe(place, "9. The same, in a stream that the legacy stream waits for", [path["capture"], "blocking"])
    place.close()


print_head()
for part in sys.argv[1:] or ["shares", "loads", "probes"]:
    {"shares": shares, "loads": loads, "probes": probes}[part]()
