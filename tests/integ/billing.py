#!/usr/bin/env python3
"""What a run is billed is what the device's own account says it used: by each door, capped and not, alone and beside another one. Bounds are
of a few per cent; the record of `vgpu run --usage-file` is the bill."""
import json
import sys
import time

from harness import ok, run_tests
from shares import MS, S, Node, say

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
KERNELS = [["--time", 500], ["--door", "ex", "--time", 2000], ["--door", "cooperative", "--grid", 64, "--time", 1000],
           ["--door", "graph", "--time", 500], ["--door", "ptsz", "--time", 1000], ["--time", 20000]]
TINY_BYTES = 4096  # takes the device as long as the host needs for a call; some of that is in what is measured
COPIES = [["--door", "to-device"], ["--door", "to-host", "--bytes", 300000], ["--door", "to-device", "--bytes", TINY_BYTES]]
FILLS = [["--door", "fill", "--bytes", 4 << 20, "--time", 2000], ["--door", "inside", "--bytes", 2 << 20]]


def bill(node, name, tenant):
    """Ends a tenant; what its record says, and what the device said last, both engines in ms."""
    judge = node.judge(10)
    judge.wait_until(time.monotonic_ns())
    tenant.end()
    time.sleep(0.02)
    used = [max((line["processes"].get(str(tenant.pid), {}).get(f"{engine}_busy_ns", 0) for line in judge.lines), default=0) / MS
            for engine in ("compute", "copy")]
    judge.close()
    record = json.loads((node.dir / name).read_text())
    return [record["gpu_time_ns_total"] / MS, record["copy_time_ns_total"] / MS], used


def hold(what, billed, used, within):
    """Within a part of it, or a millisecond."""
    return ok(abs(billed - used) <= max(within * used, 1), f"{what}: {billed:.1f} ms billed, {used:.1f} ms used" +
              (f" ({100 * (billed / used - 1):+.2f} %)" if used else ""))


def run(node, name, options, load):
    return node.tenant([*options, "--usage-file", str(node.dir / name)], *load)


def each_door_is_billed_what_it_used():
    for options, loads in (([], KERNELS[:5]), (["--compute", "30%"], KERNELS), (["--compute", "50%"], COPIES + FILLS)):
        for load in loads:
            node = Node()
            tenant = run(node, "record", options, load)
            time.sleep(SECONDS)
            billed, used = bill(node, "record", tenant)
            what = f"{' '.join(options) or 'no limit'}, {' '.join(map(str, load))}"
            hold(what, billed[0], used[0], 0.03)
            if load[1] in ("to-device", "to-host", "inside"):
                hold(what + " (copy engine)", billed[1], used[1], 0.25 if load[-1] == TINY_BYTES else 0.03)
            node.close()


def beside_another_one_too():
    node = Node()
    tenants = [run(node, f"record{i}", options, load) for i, (options, load) in enumerate((
        (["--compute", "30%"], ["--time", 500]), (["--compute", "20%"], ["--door", "graph", "--time", 1000]),
        (["--policy", "equal-share"], ["--time", 3000])))]
    time.sleep(3)
    for i, tenant in enumerate(tenants):
        billed, used = bill(node, f"record{i}", tenant)
        hold(f"tenant {i} of three", billed[0], used[0], 0.05)
    node.close()


run_tests(each_door_is_billed_what_it_used, beside_another_one_too)
