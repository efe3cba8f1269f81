#!/usr/bin/env python3
"""Shares are kept, whatever the door, the kernel's length, the number of tenants and the device's bad habits: some cells of
`./dev bench share`, with wide bounds. Fixed shares are exact, equal ones equal, and the sum is never above the device."""
import sys
import time

from harness import run_tests
from shares import Node, S, near

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
WITHIN = 6  # points, of 2 s; what costs are is learnt, and on a busy machine that may take longer than the second before
WARM_S = 1.0


def cell(profile, *tenants, every_ms=100):
    """Runs tenants of (options of vgpu run, wanted percent, options of the load) at once; checks what each had."""
    node = Node(profile)
    loads = [node.tenant(run, *load) for run, _, load in tenants]
    time.sleep(WARM_S)
    judge = node.judge(every_ms)
    begin = time.monotonic_ns()
    judge.wait_until(begin + int(SECONDS * S))
    for tenant, (run, wanted, load) in zip(loads, tenants):
        got = judge.percent(tenant.pid, begin, begin + int(SECONDS * S))
        near(got, wanted, WITHIN, f"{profile or 'plain'}: {' '.join(run)}, {' '.join(map(str, load))}")
    node.close()


def fixed(percent, *load):
    return ["--compute", f"{percent}%"], percent, load


def equal(percent, weight, *load):
    return ["--policy", "equal-share", "--weight", str(weight)], percent, load


def a_share_holds_alone():
    cell("", fixed(30, "--time", 200))


def each_door_has_its_share():
    cell("", fixed(20, "--door", "ex", "--time", 500), fixed(30, "--door", "graph", "--time", 500),
         fixed(10, "--door", "cooperative", "--grid", 132, "--time", 2000), fixed(40, "--door", "ptsz", "--time", 1000))


def two_that_want_all_have_what_they_were_given():
    cell("", fixed(30, "--time", 1000), fixed(70, "--time", 3000))


def weights_divide():
    cell("", equal(25, 1, "--time", 500), equal(75, 3, "--time", 2000))


def uneven_slices_and_long_kernels_do_not_matter():
    cell("slices=2ms/500us/1ms/3ms,preempt=no", fixed(50, "--time", 1000), fixed(20, "--door", "graph", "--time", 2000),
         fixed(20, "--time", 20000))


def changes_of_context_that_cost_do_not_matter():
    cell("switch=100us,slices=2ms/500us", fixed(50, "--time", 500), fixed(30, "--time", 5000))


def streams_that_overlap_are_billed_once():
    cell("", fixed(30, "--time", 500, "--threads", 4), fixed(50, "--time", 500))


run_tests(a_share_holds_alone, each_door_has_its_share, two_that_want_all_have_what_they_were_given, weights_divide,
          uneven_slices_and_long_kernels_do_not_matter, changes_of_context_that_cost_do_not_matter, streams_that_overlap_are_billed_once)
