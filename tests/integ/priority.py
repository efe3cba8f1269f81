#!/usr/bin/env python3
"""A class of high priority keeps its latency beside a low one that wants all: requests of 10 ms each 50 ms, alone and beside. The goal, 1.25
times at the 99th percentile, is `./dev bench share`'s; here the bound is 2, at the 95th, since of so few requests the 99th is one that the
machine was busy for. The low one has what is left, and a low one that gets
nothing for long ages."""
import sys
import time

from harness import ok, run_tests
from shares import MS, S, Node, near, say

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
REQUESTS = ["--request", 10, "--every", 50, "--time", 1000]


def requests(beside=None):
    """Latencies of the high one's requests, and the low one's part of the device."""
    node = Node()
    low = beside and node.tenant(["--priority", "low"], *beside)
    time.sleep(0.7 if beside else 0)
    judge = node.judge(50)
    high = node.tenant(["--priority", "high"], *REQUESTS)
    time.sleep(0.5)
    begin_ns = time.monotonic_ns()
    judge.wait_until(begin_ns + int(SECONDS * S))
    percent = judge.percent(low.pid, begin_ns, begin_ns + int(SECONDS * S)) if beside else 0
    said = high.end()
    node.close()
    return said, percent


def a_high_class_keeps_its_latency():
    alone, _ = requests()
    say(f"alone: p50 {alone['p50_ms']:.2f} ms, p99 {alone['p99_ms']:.2f} ms of {alone['requests']} requests")
    for beside in (["--time", 200], ["--time", 1000], ["--door", "graph", "--time", 500]):
        what = " ".join(map(str, beside))
        said, percent = requests(beside)
        if said["p95_ms"] > 2 * alone["p95_ms"]:  # once more: the machine may have been busy with something else
            say(f"beside {what}: p95 {said['p95_ms']:.2f} ms, p99 {said['p99_ms']:.2f} ms at the first try")
            said, percent = requests(beside)
        say(f"beside {what}: p50 {said['p50_ms']:.2f} ms ({said['p50_ms'] / alone['p50_ms']:.2f}x), p95 {said['p95_ms']:.2f} ms "
            f"({said['p95_ms'] / alone['p95_ms']:.2f}x), p99 {said['p99_ms']:.2f} ms ({said['p99_ms'] / alone['p99_ms']:.2f}x), max {said['max_ms']:.2f} ms; the low one had {percent:.1f} %")
        ok(said["p50_ms"] <= 2 * alone["p50_ms"], f"beside {what}: half of the requests take at most twice as long")
        ok(said["p95_ms"] <= 2 * alone["p95_ms"], f"beside {what}: so do 19 of 20")
        ok(percent > 25, f"beside {what}: the low one has what is left")


def a_class_that_gets_nothing_ages():
    node = Node()
    low = node.tenant(["--priority", "low"], "--time", 500)
    high = node.tenant(["--priority", "high"], "--time", 500)
    time.sleep(2.5)
    judge = node.judge(50)
    begin_ns = time.monotonic_ns()
    judge.wait_until(begin_ns + 3 * S)
    had = judge.percent(low.pid, begin_ns, begin_ns + 3 * S)
    ok(0.3 <= had <= 8, f"beside a high one that wants all, the low one gets on: {had:.2f} %")
    ok(judge.percent(high.pid, begin_ns, begin_ns + 3 * S) > 90, "and the high one has the rest")
    node.close()


run_tests(a_high_class_keeps_its_latency, a_class_that_gets_nothing_ages)
