#!/usr/bin/env python3
"""Work that waits for other work of its instance is never locked out by a gate: ranks as processes and as threads, on one device and on two,
kernels that spin until another rank has come as far, and streams that wait for each other's values. All end under a small share."""
import subprocess
import sys
import time

from harness import PROGRAMS, VGPU, ok, run_tests
from shares import DEVICE, Node, say

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
WORK_US = 2000
# A kernel that spins runs here as fast as the machine does: so that this costs little time of the device, its clock is a fast one.
FAST = DEVICE.replace("clock=1GHz", "clock=50GHz").replace("ips=1G", "ips=50G")


def run(share, devices, *command):
    """Milliseconds until the ranks were done; None: they were not in 20 s."""
    node = Node(devices=f"{FAST},count={devices}")
    limit = ["--compute", share] if share else []
    begin = time.monotonic()
    try:
        done = subprocess.run([VGPU, "run", "--device", "0" if devices == 1 else "0,1", "--memory", "1G", *limit, "--",
                               str(PROGRAMS / "ranks"), *map(str, command)], env=node.env, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    finally:
        node.close()
    if done.returncode:
        say(done.stderr.strip())
        return None
    return round(1000 * (time.monotonic() - begin))


def ranks_end_under_a_share():
    for devices, mode in ((1, "processes"), (2, "processes"), (2, "threads"), (1, "streams"), (1, "values")):
        free_ms = run(None, devices, mode, devices, ROUNDS, WORK_US)
        took_ms = run("20%", devices, mode, devices, ROUNDS, WORK_US)
        ok(took_ms is not None, f"{mode} on {devices}: {ROUNDS} rounds under 20 % end after {took_ms} ms, without a limit {free_ms} ms")


def a_tiny_share_ends_too():
    took_ms = run("2%", 2, "threads", 2, 10, WORK_US)
    ok(took_ms is not None, f"10 rounds under 2 % end after {took_ms} ms")


def who_is_waited_for_gets_on_though_in_debt():
    """One rank spins while the other one works 500 ms of debts: paid first, these were ten seconds under 5 %."""
    took_ms = run("5%", 2, "debt", 2, 5, 100000)
    ok(took_ms is not None and took_ms < 5000, f"a rank that is waited for does 500 ms of work under 5 % in {took_ms} ms")


run_tests(ranks_end_under_a_share, a_tiny_share_ends_too, who_is_waited_for_gets_on_though_in_debt)
