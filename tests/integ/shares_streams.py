#!/usr/bin/env python3
"""Compute shares of programs whose threads have a stream each: what they have under way at once is paid for once."""
import time

from harness import run_tests
from shares import S, Node, near

SEVERAL_WITHIN = 6  # points; a few measurements a second say how much the streams overlap


def many_threads_with_streams_of_their_own_keep_the_share():
    for door in ("ptsz", "kernel"):
        node = Node()
        tenant = node.tenant(["--compute", "30%"], "--door", door, "--threads", 8, "--time", 500)
        time.sleep(1)
        judge = node.judge(50)
        begin_ns = time.monotonic_ns()
        judge.wait_until(begin_ns + 2 * S)
        near(judge.percent(tenant.pid, begin_ns, begin_ns + 2 * S), 30, SEVERAL_WITHIN, f"8 threads with a stream each have the share ({door})")
        node.close()


run_tests(many_threads_with_streams_of_their_own_keep_the_share)
