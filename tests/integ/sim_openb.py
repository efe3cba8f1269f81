#!/usr/bin/env python3
"""On the openb trace fgd allocates what it should, and the baselines what was measured elsewhere.

The trace is not part of this repository: it is looked for in ../shared/data/openb beside it, or in VGPU_OPENB."""
import json
import os
import pathlib
import subprocess

from harness import STAGE, ok, run_tests, skip_all

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACE = pathlib.Path(os.environ.get("VGPU_OPENB") or ROOT / "../shared/data/openb")
NODES, PODS = TRACE / "openb_node_list_gpu_node.csv", TRACE / "openb_pod_list_default.csv"
SEEDS = "3"

# Allocation at 100 and 130 % in the project's notes on the field (10 seeds, random ties): all pods, GPU pods only.
BASELINES = {
    "random": ((86.41, 87.65), (89.89, 92.59)),
    "best-fit": ((92.84, 93.05), (93.74, 93.95)),
    "dot-product": ((90.32, 90.56), (93.45, 93.67)),
    "hami": ((89.69, 89.93), (94.07, 94.23)),
    "hami-binpack": ((89.92, 90.16), (94.44, 94.64)),
    "hami-spread": ((87.71, 91.82), (87.84, 91.84)),
    "first-fit": ((92.89, 93.88), (93.51, 94.84)),
}
# Ten seeds reproduce them within 0.3 (docs/results); three scatter more.
SLACK = 0.7


def sim(policy, *args):
    done = subprocess.run([str(STAGE / "bin/vgpu-sim"), "--nodes", NODES, "--pods", PODS, "--policy", policy, "--seeds", SEEDS,
                           "--json", *args], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def fgd_allocates_at_least():
    for args, at_100, at_130 in (((), 95.1, 95.3), (("--gpu-pods-only",), 95.2, 95.35)):
        got = sim("fgd", *args)
        ok(got["allocation_pct_at_100"] >= at_100 and got["allocation_pct_at_130"] >= at_130,
           f"fgd {' '.join(args)}: {got['allocation_pct_at_100']} and {got['allocation_pct_at_130']}, at least {at_100} and {at_130}")


def baselines_are_reproduced():
    for policy, rows in BASELINES.items():
        for args, row in zip(((), ("--gpu-pods-only",)), rows):
            got = sim(policy, *args)
            pair = got["allocation_pct_at_100"], got["allocation_pct_at_130"]
            ok(all(abs(a - b) <= SLACK for a, b in zip(pair, row)), f"{policy} {' '.join(args)}: {pair}, expected {row}")


def with_pods_that_go_fgd_rejects_least():
    rejected = {policy: sim(policy, "--gpu-pods-only", "--churn", "1.0")["rejected_gpu_pct"] for policy in ("fgd", "best-fit", "hami")}
    ok(rejected["fgd"] <= 3.6 and rejected["fgd"] < min(rejected["best-fit"], rejected["hami"]) - 0.5,
       f"of the devices asked for {rejected} % are rejected, fgd's at most 3.6 and the least by 0.5")


if not NODES.exists() or not PODS.exists():
    skip_all(f"the openb trace is not at {TRACE}")
run_tests(fgd_allocates_at_least, baselines_are_reproduced, with_pods_that_go_fgd_rejects_least)
