#!/usr/bin/env python3
"""vgpud is killed, or stopped, under load: every share holds as it was, who comes new is refused with one message, and none is free; when
it is back it takes everything up again. The argument says for how many seconds it is away (3)."""
import os
import pathlib
import signal
import sys
import time

from harness import equal, ok, run_tests, wait_for
from shares import S, Node, most, near, say

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
WITHIN = 3
WARM_S = 3  # what their work costs is learnt with vgpud's help; while it is away it stays as it was


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def vgpuds(node, *names):
    """Processes of this place with such names."""
    mark = f"VGPU_RUNTIME_DIR={node.dir}/run".encode()
    found = []
    for proc in pathlib.Path("/proc").iterdir():
        try:
            if proc.name.isdigit() and comm(proc.name) in names and mark in (proc / "environ").read_bytes().split(b"\0"):
                found.append(int(proc.name))
        except OSError:
            continue
    return found


def tenants_of(node):
    """Three that want all they can have: a door each, two fixed and one that has the rest."""
    tenants = {node.tenant(["--name", "a", "--compute", "30%"], "--time", 500): 30,
               node.tenant(["--name", "b", "--compute", "20%"], "--door", "graph", "--time", 1000): 20,
               node.tenant(["--name", "c", "--policy", "equal-share"], "--door", "ptsz", "--time", 2000): 50}
    time.sleep(WARM_S)
    return tenants


def holds(judge, tenants, what, seconds, within=WITHIN):
    begin_ns = time.monotonic_ns()
    judge.wait_until(begin_ns + int(seconds * S))
    for tenant, percent in tenants.items():
        near(judge.percent(tenant.pid, begin_ns, begin_ns + int(seconds * S)), percent, within, what)
    halves = [judge.percent(tenant.pid, begin_ns + int(i * seconds * S / 3), begin_ns + int((i + 1) * seconds * S / 3))
              for tenant in tenants for i in range(3)]
    say("thirds: " + " ".join(f"{percent:.2f}" for percent in halves))


def second_process(node, tenant):
    """Its exit status, and what it said to a person."""
    process = node.inside(tenant, "--for", 300)
    said = process.communicate(timeout=30)[1]
    return process.returncode, said.strip().splitlines()


def away(kill, what, *names):
    node = Node()
    tenants = tenants_of(node)
    judge = node.judge(100)
    first = next(iter(tenants))
    equal(second_process(node, first), (0, []), "a second process may begin while vgpud is there")
    time.sleep(0.5)
    daemons = vgpuds(node, *names)
    equal(len(daemons), len(names), f"there is {' and '.join(names)}")
    for pid in daemons:
        os.kill(pid, kill)
    time.sleep(1.2)  # its heartbeat becomes stale
    status, said = second_process(node, first)
    ok(status != 0, f"{what}: a new process of an instance is refused")
    equal(len([line for line in said if line.startswith("vgpu")]), 1, f"{what}: with one message")
    say("said: " + " / ".join(said))
    holds(judge, tenants, f"{what}: has its share still", SECONDS)
    ok(all(comm(tenant.pid) == "tenant" for tenant in tenants), f"{what}: all of them go on")
    return node, judge, tenants, daemons


def vgpud_is_killed_and_back():
    node, judge, tenants, _ = away(signal.SIGKILL, "killed", "vgpud")
    names = [row["name"] for row in node.json("instance", "list")["instances"]]  # starts a new one
    equal(sorted(names), ["a", "b", "c"], "the next vgpud has all instances again")
    ok(wait_for(lambda: all(client["rejoined"] for name in names for client in node.instance(name)["clients"]), 5) is not None,
       "their processes rejoin")
    holds(judge, tenants, "when it is back", 1.5)
    first = next(iter(tenants))
    node.vgpu("instance", "set", "a", "--compute", "10%")
    settled_ms = judge.settled_ms({first.pid: 10}, time.monotonic_ns())
    most(settled_ms, 400, "it follows a change again after")
    equal(second_process(node, first), (0, []), "and new processes may begin")
    node.close()


def vgpud_and_its_keeper_are_killed():
    node, _, _, _ = away(signal.SIGKILL, "both killed", "vgpud", "vgpu-keeper")
    node.close()


def vgpud_is_stopped_and_goes_on():
    node, judge, tenants, daemons = away(signal.SIGSTOP, "stopped", "vgpud")
    for pid in daemons:
        os.kill(pid, signal.SIGCONT)
    ok(wait_for(lambda: node.instance("a")["rate_ppm"] == 300000, 5) is not None, "vgpud goes on where it was")
    holds(judge, tenants, "and when it goes on", 1.5, 5)
    node.close()


run_tests(vgpud_is_killed_and_back, vgpud_and_its_keeper_are_killed, vgpud_is_stopped_and_goes_on)
