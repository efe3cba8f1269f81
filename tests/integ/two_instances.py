#!/usr/bin/env python3
"""Two programs of two processes each, in two instances on one device: each instance stops at its own limit, a killed process
gives back exactly what it held, and limits change while programs run. The device's own account (softgpud's, through NVML and
`vgpu device list`) is the judge: it shares no code with the ledger."""
import re

from harness import GIB, MIB, PROGRAMS, Place, equal, ok, run_tests, wait_for

SEVERAL = ["python3", __file__.replace("two_instances", "several"), "2", str(PROGRAMS / "memory_doors")]


class Pair:
    """The two processes of one instance."""

    def __init__(self, place, name, memory):
        self.place, self.name = place, name
        self.program = place.start(["--name", name, "--memory", memory, "--device", "software"], SEVERAL)

    def ask(self, index, *words):
        return self.program.ask(index, *words)

    def row(self):
        return self.place.instance(self.name)


def taken(answer):
    """Count of pieces in the answer to `fill`, which must have ended with out-of-memory."""
    match = re.fullmatch(r"ok (\d+) CUDA_ERROR_OUT_OF_MEMORY", answer)
    assert match, answer
    return int(match[1])


def each_instance_stops_at_its_own_limit():
    place = Place("memory=8G,time=asap")
    a, b = Pair(place, "a", "1G"), Pair(place, "b", "2G")
    equal((a.program.greeting, b.program.greeting), ("ready ready", "ready ready"), "two processes start in each instance")
    contexts = {pair.name: pair.row()["memory_used_bytes"] for pair in (a, b)}
    ok(0 < contexts["a"] < GIB and contexts["a"] == contexts["b"], "contexts are charged, the same for both")

    pieces = {"a": 0, "b": 0}
    for pair in (a, b):
        pieces[pair.name] += taken(pair.ask(0, "fill", "alloc", 128 * MIB)) if pair is a else 0
        pieces[pair.name] += taken(pair.ask(1, "fill", "alloc", 128 * MIB))
        pieces[pair.name] += taken(pair.ask(0, "fill", "alloc", 2 * MIB)) / 64
        pieces[pair.name] += taken(pair.ask(1, "fill", "alloc", 2 * MIB)) / 64
    for pair, limit in ((a, GIB), (b, 2 * GIB)):
        equal(contexts[pair.name] + int(pieces[pair.name] * 128 * MIB), limit, f"instance {pair.name} holds its limit to the byte")
        equal(pair.row()["memory_used_bytes"], limit, f"the ledger of {pair.name} says so")
    equal(place.device_used(), 3 * GIB, "the device's own account holds the sum of both")
    for pair in (a, b):
        equal(pair.ask(0, "info"), f"0 {GIB if pair is a else 2 * GIB}", f"cuMemGetInfo shows {pair.name}'s slice, nothing free")
        equal(pair.ask(1, "total"), str(GIB if pair is a else 2 * GIB), f"cuDeviceTotalMem shows {pair.name}'s slice")
    place.close()


def a_killed_process_gives_back_exactly_its_bytes():
    place = Place("memory=8G,time=asap")
    a, b = Pair(place, "a", "1G"), Pair(place, "b", "1G")
    a.ask(0, "take", "alloc", 300 * MIB)
    a.ask(1, "take", "managed", 200 * MIB)
    b.ask(0, "take", "async", 100 * MIB)
    before, other = a.row()["memory_used_bytes"], b.row()["memory_used_bytes"]
    context = (before - 500 * MIB) // 2
    equal(a.ask(0, "kill"), "ok", "one of four processes is killed")
    want = before - 300 * MIB - context
    took = wait_for(lambda: a.row()["memory_used_bytes"] == want, 1.0)
    ok(took is not None, f"its bytes are back within a second ({took and round(took, 3)} s)")
    ok(wait_for(lambda: place.device_used() == want + other, 1.0) is not None, "the device has them back too")
    equal(b.row()["memory_used_bytes"], other, "the other instance is as it was")
    equal(a.ask(1, "check", "0"), "ok", "the survivor's memory is intact")
    equal(a.ask(1, "take", "alloc", 300 * MIB), "ok 1", "the survivor can take what the dead one held")
    place.close()


def limits_change_while_programs_run():
    place = Place("memory=8G,time=asap")
    a, b = Pair(place, "a", "1G"), Pair(place, "b", "1G")
    a.ask(0, "take", "alloc", 700 * MIB)
    equal(a.ask(1, "take", "alloc", 700 * MIB), "CUDA_ERROR_OUT_OF_MEMORY", "over the limit is refused")
    place.vgpu("instance", "set", "a", "--memory", "2G")
    equal(a.ask(1, "take", "alloc", 700 * MIB), "ok 0", "raised: the same request is served")
    done = place.vgpu("instance", "set", "a", "--memory", "1G")
    row = a.row()
    equal(row["memory_limit_bytes"], GIB, "lowered below usage: accepted")
    ok(row["memory_used_bytes"] > GIB, "usage above the limit is shown")
    ok("held back" in done.stdout + done.stderr, "and said: new allocations are held back")
    equal(a.ask(0, "take", "alloc", 2 * MIB), "CUDA_ERROR_OUT_OF_MEMORY", "new allocations are held back")
    equal(a.ask(1, "free", "all"), "ok", "freeing works")
    equal(a.ask(0, "take", "alloc", 2 * MIB), "ok 1", "below the limit again, allocations are served")
    equal(b.ask(0, "take", "alloc", 700 * MIB), "ok 0", "the other instance never noticed")
    place.close()


def every_door_is_counted_alike():
    place = Place("memory=8G,time=asap")
    for door in ("alloc", "managed", "pitch", "async", "pool", "ptsz"):
        program = place.start(["--name", f"door-{door}", "--memory", "1G", "--device", "software"],
                              [str(PROGRAMS / "memory_doors")])
        equal(program.greeting, "ready", f"{door}: starts")
        taken(program.ask("fill", door, 64 * MIB))
        row = place.instance(f"door-{door}")
        used = row["memory_used_bytes"]
        ok(GIB - 64 * MIB - 32 * MIB <= used <= GIB, f"{door}: filled to its limit and not past it ({used >> 20} MiB)")
        equal(place.device_used(), used, f"{door}: the device's account says the same")
        equal(program.ask("free", "all"), "ok", f"{door}: frees")
        program.quit()
        ok(wait_for(lambda: place.device_used() == 0, 1.0) is not None, f"{door}: all is back")
    place.close()


run_tests(each_instance_stops_at_its_own_limit, a_killed_process_gives_back_exactly_its_bytes,
          limits_change_while_programs_run, every_door_is_counted_alike)
