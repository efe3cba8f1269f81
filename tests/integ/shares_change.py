#!/usr/bin/env python3
"""Shares that change: who joins, leaves, rests, comes back, or is given another share has it soon, and for as long as it holds; nothing is
won or lost by the change. How soon is printed; the promise of docs/shares.md is 100 ms, the bounds here leave room for a busy machine."""
import time

from harness import run_tests
from shares import MS, S, Node, most, near, say

SOON_MS = 400
WITHIN = 4


def changed(judge, what, do, wanted, seconds=1.2):
    """Does it; then the tenants have what is wanted, soon and for good."""
    at_ns = time.monotonic_ns()
    judge.wait_until(at_ns)
    do()
    most(judge.settled_ms({tenant.pid: percent for tenant, percent in wanted.items()}, at_ns), SOON_MS, f"{what}: settled after")
    begin_ns = at_ns + SOON_MS * MS
    judge.wait_until(begin_ns + int(seconds * S))
    for tenant, percent in wanted.items():
        near(judge.percent(tenant.pid, begin_ns, begin_ns + int(seconds * S)), percent, WITHIN, f"{what}: from then on")


def a_fixed_share_is_raised_and_lowered_live():
    node = Node()
    a = node.tenant(["--name", "a", "--compute", "20%"], "--time", 500)
    b = node.tenant(["--name", "b", "--compute", "30%"], "--time", 1000)
    time.sleep(1)
    judge = node.judge(20)
    changed(judge, "raised to 60 %", lambda: node.vgpu("instance", "set", "a", "--compute", "60%"), {a: 60, b: 30})
    changed(judge, "lowered to 10 %", lambda: node.vgpu("instance", "set", "a", "--compute", "10%"), {a: 10, b: 30})
    changed(judge, "made best-effort", lambda: node.vgpu("instance", "set", "a", "--policy", "best-effort"), {a: 70, b: 30})
    node.close()


def who_joins_and_leaves_changes_what_the_others_have():
    node = Node()
    a = node.tenant(["--policy", "equal-share"], "--time", 500)
    time.sleep(0.7)
    judge = node.judge(20)
    begin_ns = time.monotonic_ns()
    judge.wait_until(begin_ns + S)
    near(judge.percent(a.pid, begin_ns, begin_ns + S), 100, WITHIN, "alone")
    b = node.tenant(["--policy", "equal-share"], "--time", 1000)
    changed(judge, "another one joins", lambda: None, {a: 50, b: 50})
    changed(judge, "and leaves", b.end, {a: 100})
    node.close()


def what_is_idle_is_given_away_and_taken_back():
    for policy in ("best-effort", "equal-share"):
        node = Node()
        a = node.tenant(["--policy", policy], "--time", 500)
        b = node.tenant(["--policy", policy, "--weight", "3"], "--time", 1000)
        time.sleep(1)
        judge = node.judge(20)
        changed(judge, f"{policy}: the other one rests", b.rest, {a: 100, b: 0}, 1)
        changed(judge, f"{policy}: and works again", b.go_on, {a: 25, b: 75}, 1)
        node.close()


def nothing_is_won_by_changing():
    """A share that changes all the time is on average what was granted."""
    node = Node()
    a = node.tenant(["--name", "a", "--compute", "20%"], "--time", 500)
    b = node.tenant(["--compute", "30%"], "--time", 500)
    time.sleep(1)
    judge = node.judge(20)
    begin_ns = time.monotonic_ns()
    n, granted_ns, at_ns, percent = 0, 0.0, begin_ns, 20
    while time.monotonic_ns() < begin_ns + 2.5 * S:
        percent = 60 if percent == 20 else 20
        node.vgpu("instance", "set", "a", "--compute", f"{percent}%")
        now_ns = time.monotonic_ns()
        granted_ns += (now_ns - at_ns) * (80 - percent) / 100  # what it was until now
        at_ns = now_ns
        n += 1
    end_ns = at_ns
    judge.wait_until(end_ns)
    wanted = 100 * granted_ns / (end_ns - begin_ns)
    say(f"{n} changes")
    near(judge.percent(a.pid, begin_ns, end_ns), wanted, WITHIN, "changed all the time, has what was granted in sum")
    near(judge.percent(b.pid, begin_ns, end_ns), 30, WITHIN, "the other one has its own")
    node.close()


run_tests(a_fixed_share_is_raised_and_lowered_live, who_joins_and_leaves_changes_what_the_others_have,
          what_is_idle_is_given_away_and_taken_back, nothing_is_won_by_changing)
