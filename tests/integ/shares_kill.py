#!/usr/bin/env python3
"""Tenants are killed at any point of their work: what they had goes to the others soon, fixed shares do not notice, and nothing is left
behind: nobody counted as waiting, no memory, no instance. The argument says how many are killed (12)."""
import random
import sys
import time

from harness import equal, ok, run_tests, wait_for
from shares import MS, S, Node, most, near, say

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SOON_MS = 400
DOORS = ["kernel", "ex", "graph", "ptsz", "cooperative", "fill", "to-device"]


def what_the_killed_had_goes_to_the_others():
    node = Node()
    fixed = node.tenant(["--name", "fixed", "--compute", "30%"], "--time", 500)
    other = node.tenant(["--name", "other", "--policy", "equal-share"], "--time", 500)
    time.sleep(1)
    judge = node.judge(20)
    rounds = []
    begin_ns = time.monotonic_ns()
    for i in range(3):
        victim = node.tenant(["--policy", "equal-share"], "--time", 1000, "--door", DOORS[i])
        time.sleep(random.uniform(0.3, 0.6))
        at_ns = time.monotonic_ns()
        victim.kill()
        rounds.append(judge.settled_ms({other.pid: 70}, at_ns))
        judge.wait_until(at_ns + 600 * MS)
        near(judge.percent(other.pid, at_ns + SOON_MS * MS, at_ns + 600 * MS), 70, 6, "the other one has it all")
    end_ns = time.monotonic_ns()
    judge.wait_until(end_ns)
    most(max(SOON_MS + 1 if late is None else late for late in rounds), SOON_MS, f"what a killed tenant had is given away after {rounds}")
    near(judge.percent(fixed.pid, begin_ns, end_ns), 30, 3, "a fixed share does not notice")
    node.close()


def nothing_is_left_of_the_killed():
    """Processes of one instance are killed while others of it go on, and whole instances."""
    node = Node()
    kept = node.tenant(["--name", "kept", "--compute", "40%"], "--time", 500)
    time.sleep(0.7)
    judge = node.judge(50)
    begin_ns = time.monotonic_ns()
    used = node.device_used()
    for i in range(KILLS):
        victim = node.tenant(["--name", f"v{i}", "--compute", f"{5 + 10 * (i % 3)}%"], "--time", random.choice([200, 1000, 5000]),
                             "--door", DOORS[i % len(DOORS)], "--threads", 1 + i % 3)
        time.sleep(random.uniform(0, 0.25))
        victim.kill()
    end_ns = time.monotonic_ns()
    judge.wait_until(end_ns)
    say(f"{KILLS} killed in {(end_ns - begin_ns) / S:.1f} s")
    near(judge.percent(kept.pid, begin_ns, end_ns), 40, 4, "who is not killed has its share all the time")
    ok(wait_for(lambda: len(node.json("instance", "list")["instances"]) == 1, 5) is not None, "the instances of the killed are gone")
    ok(wait_for(lambda: node.device_used() == used, 5) is not None, "so is their memory")
    equal(node.json("device", "list")["devices"][0]["compute_free_permille"], 600, "and their share is free")
    node.close()


def killed_beside_others_of_its_instance():
    """The instance goes on; what was killed waited, or had credit it did not use."""
    node = Node()
    kept = node.tenant(["--name", "a", "--compute", "30%"], "--time", 500)
    for _ in range(6):
        helper = node.inside(kept, "--time", 1000, "--threads", 2)
        time.sleep(random.uniform(0.1, 0.3))
        helper.kill()
        helper.wait()
    judge = node.judge(50)
    begin_ns = time.monotonic_ns()
    judge.wait_until(begin_ns + 2 * S)
    near(judge.percent(kept.pid, begin_ns, begin_ns + 2 * S), 30, 3, "who is left has the instance's share")
    ok(wait_for(lambda: node.instance("a")["client_count"] == 1, 3) is not None, "one process is left")
    ok(wait_for(lambda: node.instance("a")["queued"] <= 1, 2) is not None, "at most that one waits")
    kept.rest()
    ok(wait_for(lambda: node.instance("a")["queued"] == 0, 2) is not None, "and nobody when it rests")
    node.close()


random.seed(4)
run_tests(what_the_killed_had_goes_to_the_others, nothing_is_left_of_the_killed, killed_beside_others_of_its_instance)
