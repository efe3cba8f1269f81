#!/usr/bin/env python3
"""./dev bench share: how exactly compute shares are kept, over kernels of many shapes, by every door, on a plain device and on hostile
ones. Each cell runs some tenants with endless work, each in an instance with a share of its own; the software device's own account
(tests/programs/judge.c) says what each of them got. With `--judge kernels` the completed kernels say it, beside how many of the same the
tenant completes alone without vgpu: for hardware, which keeps no such account.

From the environment: VGPU_STAGE, VGPU_PROGRAMS, VGPU_KERNELS as for the tests, and BENCH_BUILD (build directory) or SHARE_LOAD (the program)."""
import argparse
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/integ"))
from harness import PROGRAMS, STAGE, Place  # noqa: E402

LOAD = os.environ.get("SHARE_LOAD") or os.path.join(os.environ["BENCH_BUILD"], "bench/share_load")
DEVICE = "memory=16G,sms=256,clock=1GHz,ips=1G"
PROFILES = {
    "plain": "",
    "slices": ",slices=2ms/500us/1ms/3ms",
    "switch": ",switch=100us",
    "long": ",preempt=no",
    "hostile": ",slices=2ms/500us/1ms/3ms,switch=100us,preempt=no",
}
FACTORS = {
    "grid": [1, 132, 4096, 100000],
    "time_us": [50, 200, 1000, 5000, 20000],
    "share": [5, 10, 30, 50, 70, 95],
    "door": ["kernel", "ex", "cooperative", "graph", "ptsz"],
    "tenants": [1, 2, 3, 4],
    "profile": list(PROFILES),
}
CELLS_MAX = 60
CALIBRATIONS = {}
ALONE = {}  # kernels a second of a tenant alone, without vgpu
GOALS = {"window": 1.0, "long": 0.3, "jain": 0.999, "doors": 1.0, "latency": 1.25}


# ---- cells ----

def rotated(factor, value, by):
    values = FACTORS[factor]
    return values[(values.index(value) + by) % len(values)]


def tenant(grid, time_us, door, share):
    """One tenant. A cooperative grid must fit on the device at once."""
    if door == "cooperative" and grid > 4096:
        door = "kernel"
    nodes = max(2, min(8, 8000 // time_us))
    quantum_us = time_us * (nodes if door == "graph" else 1)
    return {"grid": grid, "time_us": time_us, "door": door, "share": share, "nodes": nodes, "quantum_us": quantum_us}


def others_share(row):
    """The largest share that all others can have; None: there is none. Where changing contexts costs time, some of the device is
    left for that: nobody can be given it."""
    room = (90 if "switch" in PROFILES[row["profile"]] else 100) - row["share"]
    others = row["tenants"] - 1
    fitting = [share for share in FACTORS["share"] if share * others <= room]
    return fitting[-1] if fitting else None


def feasible(row):
    return not (row["door"] == "cooperative" and row["grid"] > 4096) and (row["tenants"] == 1 or others_share(row) is not None)


def cell_of(row):
    """The first tenant is the row's; the others have other shapes and doors, so that nobody meets only his like."""
    first = tenant(row["grid"], row["time_us"], row["door"], row["share"])
    others = [tenant(rotated("grid", row["grid"], i), rotated("time_us", row["time_us"], i), rotated("door", row["door"], i),
                     others_share(row)) for i in range(1, row["tenants"])]
    return {"kind": "pair", "policy": "fixed-share", "profile": row["profile"], "tenants": [first] + others}


def pairwise():
    """Rows in which each feasible pair of values of two factors occurs; always the same ones. Greedy: the row with most new pairs."""
    rows = [dict(zip(FACTORS, values)) for values in itertools.product(*FACTORS.values())]
    rows = [row for row in rows if feasible(row)]
    random.Random(4).shuffle(rows)
    pairs = [frozenset(itertools.combinations(row.items(), 2)) for row in rows]
    missing = set().union(*pairs)
    chosen = []
    while missing and len(chosen) < CELLS_MAX:
        best = max(range(len(rows)), key=lambda i: len(pairs[i] & missing))
        chosen.append(rows[best])
        missing -= pairs[best]
    return [cell_of(row) for row in chosen], len(missing)


def door_cells():
    """The same workload by each door, beside a tenant that wants all."""
    beside = tenant(132, 5000, "kernel", 50)
    return [{"kind": "door", "policy": "fixed-share", "profile": "plain", "tenants": [tenant(132, 1000, door, 30), beside]}
            for door in FACTORS["door"]]


def equal_cells():
    """Tenants of equal weight and different kernels."""
    return [{"kind": "equal", "policy": "equal-share", "profile": profile,
             "tenants": [tenant(FACTORS["grid"][i], [200, 5000, 50, 1000][i], "kernel", 100 / n) for i in range(n)]}
            for n, profile in ((2, "plain"), (3, "slices"), (4, "hostile"))]


def latency_cells():
    """Requests of 5 ms each 40 ms, of a high class, beside a low one that wants all: short kernels, long ones."""
    high = dict(tenant(132, 1000, "kernel", 0), priority="high", request_ms=5, every_ms=40)
    return [{"kind": "latency", "policy": "best-effort", "profile": "plain",
             "tenants": [dict(high), dict(tenant(4096, time_us, "kernel", 0), priority="low")]} for time_us in (200, 1000, 5000)]


# ---- running one ----

def calibrate():
    """How long blocks must wait for a kernel of the wanted length: found out where time is exact."""
    place = Place(DEVICE + ",time=virtual", LD_LIBRARY_PATH=str(STAGE / "lib/vgpu/softgpu"))
    for grid, time_us in itertools.product(FACTORS["grid"], FACTORS["time_us"]):
        done = subprocess.run([LOAD, "--kernel", "nap", "--loop", "calibrate", "--grid", str(grid), "--time", str(time_us)],
                              env=place.env, capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        if abs(said["time_us"] / time_us - 1) > 0.001:
            raise RuntimeError(f"a kernel of {grid} blocks is {said['time_us']} us long, wanted is {time_us}")
        CALIBRATIONS[grid, time_us] = said["wait_ns"]
    place.close()


def new_place(cell, options):
    """On hardware programs find their driver as on any machine."""
    if options.device != "software":
        return Place()
    return Place(DEVICE + ",time=paced" + PROFILES[cell["profile"]], VGPU_SOFTGPU_IDLE_S="1")


def plain_load(one, options, *more):
    """A tenant's load without vgpu; what it says at its end."""
    path = os.environ.get("LD_LIBRARY_PATH", "")
    place = new_place({"profile": "plain"}, options)
    if options.device == "software":
        place.env["LD_LIBRARY_PATH"] = f"{STAGE}/lib/vgpu/softgpu:{path}"
    done = subprocess.run([LOAD, "--kernel", options.kernel, "--grid", str(one["grid"]), "--time", str(one["time_us"]), *more],
                          env=place.env, capture_output=True, text=True, check=True, timeout=120)
    place.close()
    return json.loads(done.stdout.splitlines()[-1])


def shape(one):
    return one["grid"], one["time_us"], one["door"], one["nodes"]


def calibrate_alone(cells, options):
    """For the judge by kernels: what each tenant of the cells completes alone. A kernel's length may be off the wanted one then: it is
    the same alone and beside others."""
    for one in (one for cell in cells for one in cell["tenants"]):
        key = one["grid"], one["time_us"]
        if key not in CALIBRATIONS:
            CALIBRATIONS[key] = plain_load(one, options, "--loop", "calibrate")["wait_ns"]
        if shape(one) not in ALONE:
            said = plain_load(one, options, "--wait", str(CALIBRATIONS[key]), "--door", one["door"], "--nodes", str(one["nodes"]), "--for", "2")
            ALONE[shape(one)] = said["kernels"] / said["seconds"]


def cpu_seconds(pid):
    """Processor time of a process; 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_options(cell, one, options):
    run = ["--device", options.device, "--memory", "1G"]
    if not options.unlimited:
        run += ["--policy", cell["policy"]]
        run += ["--compute", f"{one['share']}%"] if cell["policy"] == "fixed-share" else []
        run += ["--priority", one["priority"]] if "priority" in one else []
    return run


def start(place, cell, one, options):
    load = [LOAD, "--kernel", options.kernel, "--loop", options.loop, "--grid", str(one["grid"]), "--time", str(one["time_us"]),
            "--wait", str(CALIBRATIONS[one["grid"], one["time_us"]]), "--door", one["door"], "--nodes", str(one["nodes"])]
    if "request_ms" in one:
        load += ["--request", str(one["request_ms"]), "--every", str(one["every_ms"])]
    program = place.start(run_options(cell, one, options), load)
    if not program.greeting.startswith("ready "):
        raise RuntimeError(f"a tenant did not start: '{program.greeting}'")
    return program, int(program.greeting.split()[1])


def judge(place, seconds):
    """Lines of the judge, one a second, the first at once."""
    env = dict(place.env, VGPU_SOFTGPU_DAEMON=str(STAGE / "libexec/vgpu/softgpud"))
    done = subprocess.run([str(PROGRAMS / "judge"), "--every", "1000", "--count", str(seconds + 1)], env=env, capture_output=True,
                          text=True, timeout=seconds + 30, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def judge_by_kernels(loads, cell, options):
    """Asks the loads once a second how many kernels they completed; fills in what the judge's lines would."""
    asked = []
    for second in range(options.seconds + 1):
        for _, pid in loads:
            os.kill(pid, 10)
        asked.append([json.loads(program.line()) for program, _ in loads])
        time.sleep(1 if second < options.seconds else 0)

    def got(i, first, last):
        begin, end = asked[first][i], asked[last][i]
        rate = (end["kernels"] - begin["kernels"]) * 1e9 / max(1, end["t_ns"] - begin["t_ns"])
        return 100 * rate / ALONE[shape(cell["tenants"][i])]

    for i, one in enumerate(cell["tenants"]):
        one["achieved"] = got(i, 0, options.seconds)
        one["windows"] = [got(i, second, second + 1) for second in range(options.seconds)]
    cell["busy"] = sum(one["achieved"] for one in cell["tenants"])


def judge_by_device(place, pids, cell, options):
    lines = judge(place, options.seconds)
    busy_ns = lines[-1]["compute_busy_ns"] - lines[0]["compute_busy_ns"]
    cell["busy"] = 100 * busy_ns / (lines[-1]["t_ns"] - lines[0]["t_ns"])
    for one, pid in zip(cell["tenants"], pids):
        one["achieved"] = percent(lines, pid, 0, options.seconds)
        one["windows"] = [percent(lines, pid, i, i + 1) for i in range(options.seconds)]


def percent(lines, pid, first, last):
    """What the process had of the compute engine between two lines."""
    busy = [lines[i]["processes"][str(pid)]["compute_busy_ns"] for i in (first, last)]
    return 100 * (busy[1] - busy[0]) / (lines[last]["t_ns"] - lines[first]["t_ns"])


def run_cell(cell, options):
    place = new_place(cell, options)
    try:
        loads = [start(place, cell, one, options) for one in cell["tenants"]]
        time.sleep(options.warm)
        pids = [pid for _, pid in loads]
        watched = {"loads": pids, "daemons": place.daemons()}
        before = {name: sum(map(cpu_seconds, them)) for name, them in watched.items()}
        if options.judge == "kernels":
            judge_by_kernels(loads, cell, options)
        else:
            judge_by_device(place, pids, cell, options)
        cell["cpu"] = {name: (sum(map(cpu_seconds, them)) - before[name]) / options.seconds for name, them in watched.items()}
        stop(loads)
    finally:
        place.close()


def stop(loads):
    """What each says at its end."""
    for _, pid in loads:
        os.kill(pid, 15)
    said = [json.loads(program.line()) for program, _ in loads]
    for program, _ in loads:
        program.process.wait(30)
    return said


def run_latency(cell, options):
    """The requests' latencies alone on the device, and beside the others."""
    for name, tenants in (("alone", cell["tenants"][:1]), ("beside", cell["tenants"])):
        place = new_place(cell, options)
        try:
            loads = [start(place, cell, one, options) for one in reversed(tenants)]
            time.sleep(options.warm + options.seconds)
            cell[name] = stop(loads)[-1]
        finally:
            place.close()


# ---- what came out ----

HEADER = (f"{'cell':>4} {'profile':8} {'policy':11} {'grid':>6} {'time':>7} {'door':11} {'target':>6} {'got':>7} {'error':>6} "
          f"{'1 s mean':>8} {'worst':>6}  {'busy':>5}  CPU")


def print_cell(number, cell):
    for i, one in enumerate(cell["tenants"]):
        errors = window_errors(one)
        whole = f"{cell['busy']:5.1f}  {cell['cpu']['loads']:.2f} + {cell['cpu']['daemons']:.2f}" if i == 0 else ""
        coarse = "~" if is_coarse(one) else " "
        print(f"{number if i == 0 else '':>4} {cell['profile'] if i == 0 else '':8} {cell['policy'] if i == 0 else '':11} "
              f"{one['grid']:>6} {one['time_us']:>5}us {one['door']:11} {one['share']:>6.4g} {one['achieved']:>7.2f} "
              f"{one['achieved'] - one['share']:>+6.2f} {sum(errors) / len(errors):>8.2f} {max(errors):>6.2f}{coarse} {whole}", flush=True)


def print_latency(number, cell):
    high, low = cell["tenants"]
    print(f"{number:>4} requests of {high['request_ms']} ms each {high['every_ms']} ms, beside kernels of {low['time_us']} us: " +
          ", ".join(f"{name} p50 {cell[name]['p50_ms']:.2f} p99 {cell[name]['p99_ms']:.2f} ms" for name in ("alone", "beside")), flush=True)


def window_errors(one):
    return [abs(window - one["share"]) for window in one["windows"]]


def is_coarse(one):
    """One launch alone is more than a point of a second."""
    return one["quantum_us"] > 10000


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def totals(cells):
    """Name: value, goal, whether it must be at most (or at least) that. None where nothing was run for it."""
    fixed = [one for cell in cells if cell["policy"] == "fixed-share" for one in cell["tenants"]]
    fine = [one for one in fixed if not is_coarse(one)]
    doors = [cell["tenants"][0]["achieved"] for cell in cells if cell["kind"] == "door"]
    fairness = [jain([one["achieved"] for one in cell["tenants"]]) for cell in cells if cell["kind"] == "equal"]
    return [
        ("mean error over all the time", mean(abs(one["achieved"] - one["share"]) for one in fixed), GOALS["long"], True),
        ("mean error of 1 s windows", mean(error for one in fixed for error in window_errors(one)), GOALS["window"], True),
        ("the same, launches of at most 10 ms", mean(error for one in fine for error in window_errors(one)), GOALS["window"], True),
        ("worst error over all the time", max((abs(one["achieved"] - one["share"]) for one in fixed), default=None), None, True),
        ("worst error of a 1 s window", max((error for one in fixed for error in window_errors(one)), default=None), None, True),
        ("least fairness of equal weights (Jain)", min(fairness, default=None), GOALS["jain"], False),
        ("worst p99 of a high class, to alone", max((cell["beside"]["p99_ms"] / cell["alone"]["p99_ms"] for cell in cells
                                                     if cell["kind"] == "latency"), default=None), GOALS["latency"], True),
        ("same work by different doors, apart", max(doors) - min(doors) if len(doors) > 1 else None, GOALS["doors"], True),
    ]


def print_totals(cells):
    print()
    for name, value, goal, at_most in totals(cells):
        if value is None:
            continue
        judged = "" if goal is None else f"   goal {'<=' if at_most else '>='} {goal}: " + \
            ("pass" if (value <= goal if at_most else value >= goal) else "MISS")
        print(f"{name:40} {value:8.4f}{judged}")
    if not any(cell["policy"] == "fixed-share" for cell in cells):
        return
    by_door = {door: [error for cell in cells if cell["policy"] == "fixed-share" for one in cell["tenants"] if one["door"] == door
                      for error in window_errors(one)] for door in FACTORS["door"]}
    print("mean error of 1 s windows by door:       " +
          ", ".join(f"{door} {mean(errors):.2f}" for door, errors in by_door.items() if errors))


def print_machine(options):
    model = next((line.split(": ")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    print(f"machine: {model}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}; {options.seconds} s each after {options.warm} s"
          f"{'; UNLIMITED' if options.unlimited else ''}")
    if options.judge == "kernels":
        print(f"device {options.device}; judged by completed kernels ('{options.kernel}'), beside how many the tenant completes alone: a "
              "second's figure is\nexact to a step of 5 ms; busy: the sum over the tenants")
    print("shares and errors in points of the device's time, from its own account unless said otherwise; ~: one launch is more than a point of a second;\n"
          "busy: of the whole device; CPU: processors in use by the tenants + by vgpud and softgpud\n")


def describe(number, cell):
    print(f"{number:>4} {cell['kind']:6} {cell['profile']:8} " + "; ".join(
        f"{one['grid']} x {one['time_us']}us {one['door']} {one['share']:.4g}%" for one in cell["tenants"]))


def numbers_of(text, count):
    """"3", "1-5,9": numbers of cells."""
    chosen = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen.update(range(int(first), int(last or first) + 1))
    return sorted(number for number in chosen if 1 <= number <= count)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench share", description=__doc__.split("\n\n")[0])
    parser.add_argument("--cells", type=int, metavar="N", help="the first N cells")
    parser.add_argument("--only", metavar="K", help="these cells: 3 or 1-5,9")
    parser.add_argument("--kind", choices=["pair", "door", "equal", "latency"], help="cells of this kind")
    parser.add_argument("--seconds", type=int, default=10, help="how long to measure (10)")
    parser.add_argument("--warm", type=float, default=2, help="seconds before that (2)")
    parser.add_argument("--loop", choices=["async", "sync"], default="async", help="how tenants launch")
    parser.add_argument("--unlimited", action="store_true", help="no shares: what the device's own turns give")
    parser.add_argument("--judge", choices=["device", "kernels"], default="device", help="who says what a tenant got (device)")
    parser.add_argument("--device", default="software", help="for the judge by kernels: software or nvidia")
    parser.add_argument("--list", action="store_true", help="say what the cells are")
    parser.add_argument("--json", metavar="FILE", help="write everything there")
    options = parser.parse_args()
    if options.device != "software" and options.judge == "device":
        parser.error("hardware keeps no account: add --judge kernels")
    # A kernel that waits for a time gets on while others have the device: only the software GPU, which stops its clock for it, may judge so.
    options.kernel = "nap" if options.device == "software" else "work"
    pairs, missed = pairwise()
    cells = dict(enumerate(pairs + door_cells() + equal_cells() + latency_cells(), 1))
    if options.only:
        cells = {number: cells[number] for number in numbers_of(options.only, len(cells))}
    if options.kind:
        cells = {number: cell for number, cell in cells.items() if cell["kind"] == options.kind}
    if options.judge == "kernels":
        cells = {number: cell for number, cell in cells.items() if cell["profile"] == "plain"}
    cells = dict(list(cells.items())[:options.cells])
    if options.list:
        for number, cell in cells.items():
            describe(number, cell)
        print(f"{len(cells)} cells; {missed} pairs of values are in none")
        return 0
    print_machine(options)
    if options.judge == "kernels":
        calibrate_alone(cells.values(), options)
    else:
        calibrate()
    print(HEADER)
    ran = []
    for number, cell in cells.items():
        run, show = (run_latency, print_latency) if cell["kind"] == "latency" else (run_cell, print_cell)
        try:
            run(cell, options)
        except (RuntimeError, KeyError, subprocess.SubprocessError) as problem:
            print(f"{number:>4} {cell['profile']:8} did not run: {problem!r}", flush=True)
            continue
        ran.append(cell)
        show(number, cell)
    print_totals(ran)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"cells": ran}, indent=1) + "\n", encoding="utf-8")
    return 0 if len(ran) == len(cells) else 1


sys.exit(main())
