#!/usr/bin/env python3
"""vgpud's side of compute shares: what may be asked for and what is refused, what answers show, and that the gates say within two ticks
what follows from what tenants do. The tenants are small: they write their accounts as if they had used GPU time."""
import json
import os
import pathlib
import subprocess
import time

from harness import Place, Program, equal, ok, run_tests, wait_for

TESTS = pathlib.Path(os.environ["VGPU_TESTS"])
MS = 1_000_000
DRAW = 1 * MS  # what a thread draws at a time
TICK_NS = 10 * MS
METERED, CAPPED, GANG = 1, 2, 4
NO_SLOT = (1 << 32) - 1
ALL = 1_000_000


class Node:
    """A daemon of its own over fake devices, with instances that stay until they are stopped."""

    def __init__(self, devices=1):
        self.place = Place(VGPU_DRIVER_DIR=str(TESTS / "nvidia"), VGPU_SOFTGPU_LIBDIR=str(TESTS / "software"),
                           FAKE_NVML_DEVICES=str(devices), FAKE_NVML_GIB="8")
        self.env = {**self.place.env, "VGPU_SOCKET": f"{self.place.dir}/run/vgpud.sock"}
        self.tenants = []
        self.place.json("device", "list")

    def ask(self, **request):
        """The answer, or the words of the refusal."""
        done = subprocess.run([TESTS / "daemon_client", "--json", json.dumps(request)], env=self.env, capture_output=True, text=True,
                              timeout=20)
        text = done.stdout.strip()
        return json.loads(text) if done.returncode == 0 else text

    def create(self, name, **request):
        return self.ask(op="instance.create", name=name, lease=False, **{"memory_limit_bytes": 1 << 20, **request})

    def set(self, name, **request):
        return self.ask(op="instance.set", instance=name, **request)

    def show(self, name):
        return self.ask(op="instance.show", instance=name)["instance"]

    def device(self, number=0):
        return self.ask(op="device.list")["devices"][number]

    def tenant(self, name, *options):
        program = Program([str(TESTS / "share_client"), name, *options], self.env)
        self.place.programs.append(program)
        self.tenants.append(program)
        return program

    def end(self):
        for tenant in self.tenants:
            tenant.kill()
        self.place.close()


def gate(tenant):
    return json.loads(tenant.ask("gate"))


def gate_becomes(tenant, condition, busy=()):
    """Waits until the gate is as wanted, while others work; returns it, and for how many ns it was awaited."""
    begin = time.monotonic_ns()
    while True:
        for other, ns in busy:
            other.ask("work", ns)
        seen = gate(tenant)
        if condition(seen) or time.monotonic_ns() - begin > 3_000_000_000:
            return seen, time.monotonic_ns() - begin
        time.sleep(0.001)


def requests_are_held_to_their_rules():
    node = Node()
    refusals = [
        ({"compute_permille": 0}, "'compute_permille' must be a whole number from 1 to 1000"),
        ({"compute_permille": 1001}, "'compute_permille' must be a whole number from 1 to 1000"),
        ({"compute_permille": "30%"}, "'compute_permille' must be a whole number from 1 to 1000"),
        ({"policy": "fast"}, "'fast' is no policy; expected best-effort, equal-share or fixed-share"),
        ({"policy": 3}, "'policy' must be a text of less than 64 bytes"),
        ({"priority": "urgent"}, "'urgent' is no priority; expected low, normal or high"),
        ({"weight": 0}, "'weight' must be a whole number from 1 to 10000"),
        ({"weight": 10001}, "'weight' must be a whole number from 1 to 10000"),
        ({"time_slice_ns": 99_999}, "'time_slice_ns' must be a whole number from 100000 to 100000000"),
        ({"time_slice_ns": 100_000_001}, "'time_slice_ns' must be a whole number from 100000 to 100000000"),
        ({"policy": "fixed-share"}, "--policy fixed-share needs a share: add --compute, for example --compute 30%"),
        ({"policy": "equal-share", "compute_permille": 300},
         "--policy equal-share divides what there is by weight and takes no --compute; use --weight, or --policy fixed-share or best-effort "
         "with --compute"),
    ]
    for members, words in refusals:
        equal(node.create("x", **members), words, f"refused: {members}")
    equal(node.ask(op="instance.list")["instances"], [], "and nothing was made")
    node.create("a", compute_permille=300, time_slice_ns=2 * MS)
    before = node.show("a")
    for members, words in refusals[:10]:
        equal(node.set("a", memory_limit_bytes=2 << 20, **members), words, f"a change is refused: {members}")
    equal(node.set("a", memory_limit_bytes=9 << 40, weight=7), "9.00 TiB was asked for, but Fake nvidia GPU 0 has only 8.00 GiB in all; "
          "ask for less", "and one whose memory does not fit")
    equal(node.show("a"), before, "and nothing of it was applied")
    equal([before[k] for k in ("policy", "priority", "share_permille", "weight", "time_slice_ns")],
          ["fixed-share", "normal", 300, 1, 2 * MS], "a share alone is a fixed one")
    shown = node.set("a", memory_limit_bytes=2 << 20, policy="best-effort", priority="high", weight=3)["instance"]
    equal([shown[k] for k in ("policy", "priority", "share_permille", "weight", "time_slice_ns", "memory_limit_bytes")],
          ["best-effort", "high", 300, 3, 2 * MS, 2 << 20], "only what is given changes")
    equal([shown["devices"][0][k] for k in ("policy", "priority", "share_permille", "weight", "time_slice_ns")],
          ["best-effort", "high", 300, 3, 2 * MS], "of each device too")
    ok("nothing to set" in node.set("a"), "an empty change is refused")
    node.end()


def shares_of_a_device_are_reserved():
    node = Node(2)
    free = lambda: [node.device(i)["compute_free_permille"] for i in (0, 1)]
    node.create("a", compute_permille=600, devices=["0"])
    node.create("b", compute_permille=250, devices=["0"], policy="best-effort")
    equal(free(), [150, 1000], "fixed shares and guarantees are reserved")
    equal(node.device()["compute_reserved_permille"], 850, "and shown")
    for overcommit in (False, True):
        equal(node.create("c", compute_permille=200, devices=["0"], overcommit=overcommit),
              "20% of the compute time was asked for, but 15% is free on Fake nvidia GPU 0 (held by: a 60%, b 25%); ask for less, or use --wait",
              f"more is refused, naming who holds what (overcommit: {overcommit})")
    equal(node.create("c", compute_permille=200)["instance"]["devices"][0]["name"], "Fake nvidia GPU 1", "a device is chosen where it fits")
    equal(node.set("b", compute_permille=401),
          "40.1% of the compute time was asked for, but 40% is free on Fake nvidia GPU 0 (held by: a 60%, b 25%); ask for less",
          "a change is held to it too")
    ok(isinstance(node.set("b", compute_permille=400), dict), "what fits is granted")
    equal(free(), [0, 800], "to the last per mille")
    ok(isinstance(node.create("d", devices=["0"]), dict), "who asks for no share needs none")
    waiter = subprocess.Popen([TESTS / "daemon_client", "--json", json.dumps({
        "op": "instance.create", "name": "w", "devices": ["0"], "compute_permille": 100, "memory_limit_bytes": 1 << 20, "wait": True,
        "lease": False})], env=node.env, stdout=subprocess.PIPE, text=True)
    ok("instance.queued" in waiter.communicate(timeout=20)[0], "who waits for a share stands in line")
    ok(isinstance(node.set("a", policy="equal-share"), dict), "equal shares hold nothing")
    equal(free(), [600, 800], "what is given up is free")
    node.end()


def a_new_share_is_in_the_gate_at_once():
    node = Node()
    node.create("a", compute_permille=300)
    watcher = node.tenant("a", "--observe")
    seen = gate(watcher)
    equal([seen[k] for k in ("flags", "rate_ppm", "period_ns", "burst_ns", "policy", "share_permille")],
          [METERED | CAPPED, 300_000, 20 * MS, 30 * MS, 2, 300], "a fixed share is capped from the begin")
    node.set("a", compute_permille=500, time_slice_ns=2 * MS)
    seen = gate(watcher)
    equal([seen[k] for k in ("rate_ppm", "period_ns", "share_permille", "time_slice_ns")], [500_000, 4 * MS, 500, 2 * MS],
          "a change is in the gate when it is answered, while nobody runs")
    tick = seen["tick"]
    tenant = node.tenant("a")
    equal(seen["base_ns"] // MS >= 0 and wait_for(lambda: gate(watcher)["tick"] > tick + 3, 2) is not None, True,
          "vgpud looks while there are processes")
    tenant.ask("work", 1 * MS)
    took = []
    for permille in (200, 250, 300, 350, 400):
        node.set("a", compute_permille=permille)
        took.append(gate_becomes(watcher, lambda g: g["rate_ppm"] == permille * 1000)[1])
    ok(min(took) < 2 * TICK_NS and max(took) < 500 * MS, f"with processes, within two ticks ({[round(ns / MS) for ns in took]} ms)")
    tenant.kill()
    wait_for(lambda: node.show("a")["client_count"] == 0, 2)
    time.sleep(0.3)
    tick = gate(watcher)["tick"]
    time.sleep(0.1)
    equal(gate(watcher)["tick"], tick, "and rests when there are none")
    node.end()


def the_device_is_divided_by_what_tenants_do():
    node = Node()
    for name in ("a", "b"):
        node.create(name, policy="equal-share")
    a, b = node.tenant("a"), node.tenant("b")
    seen, _ = gate_becomes(a, lambda g: g["active_clients"] == 1, [(a, MS)])
    equal([seen["flags"], seen["rate_ppm"]], [METERED, ALL], "who is alone is not capped")
    a.ask("work", 500 * MS)
    b.ask("work", MS)
    seen, waited_ns = gate_becomes(a, lambda g: g["flags"] & CAPPED, [(a, 100_000), (b, 100_000)])
    took = [waited_ns]
    equal(seen["rate_ppm"], 500_000, "at its part")
    ok(abs(seen["base_ns"] - node.show("a")["gpu_time_ns_total"]) < 20 * MS, "without a debt from before")
    equal(seen["active_clients"], 2, "and told that others work")
    seen, waited_ns = gate_becomes(a, lambda g: not g["flags"] & CAPPED, [(a, 100_000)])
    ok(waited_ns < 120 * MS, f"when the other one ends it is alone again ({waited_ns / MS:.1f} ms)")
    equal(gate(b)["rate_ppm"], 500_000, "and the idle one may begin with its part")
    for _ in range(4):
        b.ask("work", 100_000)
        took.append(gate_becomes(a, lambda g: g["flags"] & CAPPED, [(a, 100_000), (b, 100_000)])[1])
        gate_becomes(a, lambda g: not g["flags"] & CAPPED, [(a, 100_000)])
    ok(min(took) < 2 * TICK_NS and max(took) < 500 * MS, f"each time, it is capped within two ticks ({[round(ns / MS) for ns in took]} ms)")
    node.end()


def lower_priorities_are_told_of_higher_ones():
    node = Node()
    node.create("low", priority="low")
    node.create("high", priority="high")
    node.create("fixed", compute_permille=100, priority="low")
    low, high, fixed = node.tenant("low"), node.tenant("high"), node.tenant("fixed")
    line = gate(high)["signal_line"]
    ok(line < 128, "a process of high priority has a signal line")
    equal(gate(low)["signal_line"], NO_SLOT, "one of low priority has none")
    seen, _ = gate_becomes(low, lambda g: g["yield"][line // 64], [(low, 100_000)])
    equal(seen["yield"][line // 64], 1 << line % 64, "the low one looks at it")
    equal(seen["in_flight_ns"], 0, "and may have as much under way as it likes while the high one rests")
    seen, _ = gate_becomes(low, lambda g: g["in_flight_ns"], [(high, 100_000), (low, 100_000)])
    equal(seen["in_flight_ns"], 500_000, "but little while that works")
    equal([gate(fixed)["yield"], gate(fixed)["in_flight_ns"]], [[0, 0], 0], "a fixed share yields to nobody")
    equal(gate(high)["yield"], [0, 0], "nor does the highest")
    node.set("low", priority="high")
    seen, _ = gate_becomes(low, lambda g: g["yield"] == [0, 0])
    equal(seen["priority"], 2, "until its priority is raised")
    ok(seen["signal_line"] < 128 and seen["signal_line"] != line, "when it gets a line of its own")
    node.set("low", priority="low")
    gate_becomes(low, lambda g: g["yield"][line // 64])
    high.kill()
    seen, waited_ns = gate_becomes(low, lambda g: g["yield"] == [0, 0])
    ok(waited_ns < 200 * MS, "a killed process is no longer looked at")
    node.end()


def windows_come_in_turn_and_are_bounded():
    node = Node()
    for name in ("a", "b"):
        node.create(name)
    a, b = node.tenant("a"), node.tenant("b")
    busy = [(a, 50_000), (b, 50_000)]
    a.ask("want", 3 * MS)
    time.sleep(0.05)
    a.ask("work", 1000)
    time.sleep(0.03)
    equal(gate(a)["window_from_ns"], 0, "who is alone needs no window")
    b.ask("want", 500 * MS)
    held, bursts = {}, set()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for tenant, ns in busy:
            tenant.ask("work", ns)
        for name, tenant in (("a", a), ("b", b)):
            seen = gate(tenant)
            if seen["window_from_ns"] and seen["window_slot"] != NO_SLOT:
                held[seen["window_from_ns"]] = (name, seen["window_until_ns"] - seen["window_from_ns"])
            elif seen["window_from_ns"] and name == "a":
                bursts.add(seen["burst_ns"] / seen["rate_ppm"] * ALL)
        time.sleep(0.002)
    windows = [held[at] for at in sorted(held)]
    equal({ns for name, ns in windows if name == "a"}, {3 * MS + DRAW}, "a process gets the window it wants, after what the other one may have under way")
    equal({ns for name, ns in windows if name == "b"}, {200 * MS + DRAW}, "or the longest there is")
    ok(abs(max(bursts) - (300 * MS + DRAW)) < 1 * MS, "who waits for the end of one keeps what its allowance grows by")
    ok(all(x[0] != y[0] for x, y in zip(windows, windows[1:])), f"they take turns ({len(windows)} windows)")
    begins = sorted(held)
    spans = [(held[x][1], y - x) for x, y in zip(begins, begins[1:])]
    ok(spans and sum(ns for ns, _ in spans) <= 0.3 * sum(all_ns for _, all_ns in spans), "for three tenths of the time at most")
    a.ask("want", 0)
    b.ask("want", 0)
    seen, waited_ns = gate_becomes(a, lambda g: g["window_until_ns"] <= g["now_ns"], busy)
    ok(waited_ns < 50 * MS, "a window ends when it is no longer wanted")
    node.end()


def answers_show_what_was_used():
    node = Node()
    node.create("a", compute_permille=500)
    tenant = node.tenant("a")
    for _ in range(110):
        tenant.ask("work", 2 * MS)
        tenant.ask("copy", MS)
        time.sleep(0.008)
    tenant.ask("throttle", 5 * MS)
    tenant.ask("waiting", 3)
    tenant.ask("deny", 4096)
    shown = node.show("a")
    device = shown["devices"][0]
    for where in (shown, device):
        equal([where[k] for k in ("gpu_time_ns_total", "copy_time_ns_total", "throttled_ns_total", "throttled_total", "queued", "active",
                                  "rate_ppm")], [220 * MS, 110 * MS, 5 * MS, 1, 1, True, 500_000], "sums, in the instance and its device")
        ok(150 <= where["used_permille"] <= 260 and 75 <= where["copy_permille"] <= 130, f"the last second: {where['used_permille']} "
           f"and {where['copy_permille']} per mille")
        note = where["last_denied"]
        equal([note[k] for k in ("why", "call", "asked_bytes", "used_bytes", "limit_bytes", "pid")],
              ["limit", "cuMemAlloc_v2?[31m", 4096, 7, 8, tenant.process.pid], "the last refusal, fit to print")
        equal(where["last_held"], None, "and no wait")
    tenant.ask("work", 5_000 * MS)
    ok(4_000 * MS < node.show("a")["debt_ns"] < 5_000 * MS, "a debt is shown")
    time.sleep(1.3)
    shown = node.show("a")
    equal([shown["used_permille"], shown["active"]], [0, False], "and after a second of rest, nothing")
    tenant.ask("wreck")
    time.sleep(0.05)
    shown = node.show("a")
    equal(shown["gpu_time_ns_total"], 5_220 * MS, "what a tenant wrote over its account does not count")
    ok(isinstance(node.ask(op="daemon.status"), dict), "and vgpud goes on")
    node.end()


run_tests(requests_are_held_to_their_rules, shares_of_a_device_are_reserved, a_new_share_is_in_the_gate_at_once,
          the_device_is_divided_by_what_tenants_do, lower_priorities_are_told_of_higher_ones, windows_come_in_turn_and_are_bounded,
          answers_show_what_was_used)
