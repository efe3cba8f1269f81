#!/usr/bin/env python3
"""The tables of docs/results about placement: every policy on the openb trace, where it is, and on a made-up one with two dimensions.

Environment: VGPU_STAGE (install tree), VGPU_OPENB (directory of the trace; ../shared/data/openb without it)."""
import json
import os
import pathlib
import random
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIM = pathlib.Path(os.environ["VGPU_STAGE"]) / "bin/vgpu-sim"
TRACE = pathlib.Path(os.environ.get("VGPU_OPENB") or ROOT / "../shared/data/openb")
POLICIES = ("fgd", "best-fit", "binpack", "first-fit", "spread", "dot-product", "fgd-published", "hami-binpack", "hami", "hami-spread", "random")
# Memory, compute (thousandths of a device), weight.
KINDS = ((200, 700, 15), (700, 200, 15), (500, 500, 10), (300, 300, 10), (800, 250, 10), (250, 800, 10), (100, 400, 8), (400, 100, 8),
         (1000, 1000, 14))


def sim(nodes, pods, policy, *args):
    command = [SIM, "--nodes", nodes, "--pods", pods, "--policy", policy, "--json", *args]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def figure(figures, key):
    return f"{figures[key]:.2f} ({figures[key + '_sd']:.2f})"


def arrivals(nodes, pods, *args):
    return lambda policy: [figure(sim(nodes, pods, policy, *args), f"allocation_pct_at_{x}") for x in (90, 95, 100, 130)]


def churn(nodes, pods, *args):
    return lambda policy: [figure(sim(nodes, pods, policy, "--gpu-pods-only", "--churn", "1.0", *args), key)
                           for key in ("allocation_pct_mean", "rejected_gpu_pct")]


def table(title, heads, row):
    print(f"\n{title}, per cent, mean and (sd) over the seeds:\n\n| policy | {' | '.join(heads)} |\n|---|{'--:|' * len(heads)}")
    for policy in POLICIES:
        print(f"| {policy} | {' | '.join(row(policy))} |", flush=True)


def made_up(directory):
    """150 nodes of 8 devices; most pods want much of memory and little of compute, or the other way."""
    chance = random.Random(5)
    nodes, pods = directory / "nodes.csv", directory / "pods.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{i:03},96000,393216,8,G2\n" for i in range(150)))
    rows = []
    for i in range(3000):
        memory, compute, _ = chance.choices(KINDS, [kind[2] for kind in KINDS])[0]
        rows.append(f"p{i:04},{chance.choice((2000, 4000, 8000))},4096,1,{compute},{memory}\n")
    pods.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_memory_milli\n" + "".join(rows))
    return nodes, pods


ALLOCATED = [f"allocated @{x}" for x in (90, 95, 100, 130)]
with tempfile.TemporaryDirectory(prefix="vgpu-bench-") as temporary:
    table("Two dimensions", ALLOCATED, arrivals(*made_up(pathlib.Path(temporary)), "--seeds", "20"))
trace = TRACE / "openb_node_list_gpu_node.csv", TRACE / "openb_pod_list_default.csv"
if all(path.exists() for path in trace):
    table("openb, all pods", ALLOCATED, arrivals(*trace))
    table("openb, GPU pods only", ALLOCATED, arrivals(*trace, "--gpu-pods-only"))
    table("openb, GPU pods that come and go, 2 to 5 lifetimes", ["allocated", "rejected"], churn(*trace))
    table("openb, the same in balance", ["allocated", "rejected"], churn(*trace, "--warmup", "5", "--measure", "10"))
else:
    print(f"\nthe openb trace is not there ({TRACE}): no tables of it")
