#!/usr/bin/env python3
"""Every door to device memory, one after the other: what the ledger says is what the device says, to the byte, while the memory is
there, after it is given back, when it is refused, when its context goes, and when several processes hold it. The device's own
account is the judge."""
from harness import GIB, MIB, PROGRAMS, Place, equal, ok, run_tests, wait_for

PROGRAM = str(PROGRAMS / "memory_matrix")
SEVERAL = ["python3", __file__.replace("memory_matrix", "several"), "3", PROGRAM]
ONE_SIZE = {"array-1d", "array-cubemap", "context", "limit-stack"}  # doors whose size is their own
BYTES = 24 * MIB + 5000
CONTEXT_BYTES = 64 * MIB  # the software device's default


def agree(place, name, what):
    ledger = place.instance(name)["memory_used_bytes"]
    device = place.device_used()
    equal(ledger, device, f"{what}: ledger and device agree ({device / MIB:.1f} MiB)")
    return device


def each_door_is_exact():
    place = Place("memory=8G,time=asap")
    program = place.start(["--name", "m", "--memory", "1G", "--device", "software"], [PROGRAM])
    equal(program.greeting, "ready", "starts")
    doors = program.ask("doors").split()
    ok(len(doors) >= 25, f"{len(doors)} doors")
    empty = agree(place, "m", "before")
    for door in doors:
        equal(program.ask("take", door, BYTES), "ok", f"{door}: taken")
        held = agree(place, "m", door)
        ok(held > empty, f"{door}: takes memory")
        equal(program.ask("give", door), "ok", f"{door}: given back")
        equal(agree(place, "m", f"{door}, after"), empty, f"{door}: nothing is left")
    place.close()


def every_door_stops_at_the_limit():
    place = Place("memory=8G,time=asap")
    program = place.start(["--name", "m", "--memory", "1G", "--device", "software"], [PROGRAM])
    doors = program.ask("doors").split()
    limit = place.device_used() + 20 * MIB
    place.vgpu("instance", "set", "m", "--memory", str(limit))
    for door in doors:
        if door in ONE_SIZE:
            continue
        before = agree(place, "m", f"{door}, before")
        bytes_wanted = 64 * BYTES if door.startswith("small") else BYTES
        equal(program.ask("take", door, bytes_wanted), "CUDA_ERROR_OUT_OF_MEMORY", f"{door}: over the limit is refused")
        held = agree(place, "m", f"{door}, refused")
        if door == "library":
            # The driver loads it when it is first used, and nothing but the program's unload takes it back: it is told, charged, and
            # held against everything else.
            equal(program.ask("take", "alloc", 2 * MIB), "CUDA_ERROR_OUT_OF_MEMORY", "library: nothing more is given while it is over")
        else:
            ok(held <= limit, f"{door}: the limit holds")
        program.ask("give", door)
        equal(agree(place, "m", f"{door}, cleared"), before, f"{door}: a refusal leaves nothing")
    equal(program.ask("take", "alloc", 10 * MIB), "ok", "what fits is served afterwards")
    place.close()


class Trio:
    """Three processes of one instance."""

    def __init__(self, place, name, memory="1G"):
        self.place, self.name = place, name
        self.program = place.start(["--name", name, "--memory", memory, "--device", "software"], SEVERAL)
        equal(self.program.greeting, "ready ready ready", f"{name}: three processes")

    def ask(self, index, *words):
        return self.program.ask(index, *words)


def shared_memory_is_charged_once_and_never_lost():
    for how, bytes_taken, take, offer, join, leave, give in (
            ("IPC", 26 * MIB, "alloc", "ipc", "open", "close", "alloc"),
            ("VMM", 26 * MIB, "vmm", "fd", "import", "release", "vmm")):
        place = Place("memory=8G,time=asap")
        trio = Trio(place, "m")
        empty = agree(place, "m", f"{how}: before")
        equal(trio.ask(0, "take", take, BYTES), "ok", f"{how}: taken")
        handle = trio.ask(0, offer)
        equal(agree(place, "m", f"{how}: exported"), empty + bytes_taken, f"{how}: exporting costs nothing")
        for index in (1, 2):
            equal(trio.ask(index, join, *handle.split()), "ok", f"{how}: process {index} has it too")
            equal(agree(place, "m", f"{how}: held by {index + 1}"), empty + bytes_taken, f"{how}: not charged twice")
        equal(trio.ask(1, leave), "ok", f"{how}: one lets go")
        equal(agree(place, "m", f"{how}: held by 2"), empty + bytes_taken, f"{how}: still charged")
        equal(trio.ask(0, "kill"), "ok", f"{how}: the exporter is killed")
        want = empty - CONTEXT_BYTES + bytes_taken
        ok(wait_for(lambda: place.device_used() == want, 1.0) is not None, f"{how}: the device keeps it for the last holder")
        ok(wait_for(lambda: place.instance("m")["memory_used_bytes"] == want, 1.0) is not None, f"{how}: so does the ledger")
        equal(trio.ask(2, leave), "ok", f"{how}: the last one lets go")
        equal(agree(place, "m", f"{how}: end"), want - bytes_taken, f"{how}: it is given back")
        place.close()


def a_killed_importer_takes_nothing_with_it():
    place = Place("memory=8G,time=asap")
    trio = Trio(place, "m")
    empty = agree(place, "m", "before")
    equal(trio.ask(0, "take", "vmm", BYTES), "ok", "taken")
    handle = trio.ask(0, "fd").split()
    equal(trio.ask(1, "import", *handle), "ok", "imported")
    equal(trio.ask(1, "kill"), "ok", "the importer is killed")
    want = empty - CONTEXT_BYTES + 26 * MIB
    ok(wait_for(lambda: place.instance("m")["memory_used_bytes"] == want, 1.0) is not None, "the exporter's memory stays charged")
    equal(agree(place, "m", "after the kill"), want, "once")
    equal(trio.ask(0, "give", "vmm"), "ok", "the exporter releases it")
    place.close()


def another_instance_pays_for_what_it_imports():
    place = Place("memory=8G,time=asap")
    a, b = Trio(place, "a"), Trio(place, "b", "256M")
    before = place.instance("b")["memory_used_bytes"]
    equal(a.ask(0, "take", "vmm", BYTES), "ok", "a takes memory")
    handle = a.ask(0, "fd").split()
    equal(b.ask(0, "external", *handle, 26 * MIB), "ok", "b imports it")
    equal(place.instance("b")["memory_used_bytes"], before + 26 * MIB, "b is charged for it")
    equal(a.ask(0, "kill"), "ok", "a's process is killed")
    equal(place.instance("b")["memory_used_bytes"], before + 26 * MIB, "b still is")
    equal(b.ask(0, "external-end"), "ok", "b lets go")
    equal(place.instance("b")["memory_used_bytes"], before, "and is not charged any more")
    place.close()


def external_memory_of_ones_own_instance_is_charged_once():
    place = Place("memory=8G,time=asap")
    trio = Trio(place, "m")
    empty = agree(place, "m", "before")
    equal(trio.ask(0, "take", "vmm", BYTES), "ok", "taken")
    handle = trio.ask(0, "fd").split()
    equal(trio.ask(1, "external", *handle, 26 * MIB), "ok", "imported as external memory")
    equal(agree(place, "m", "imported"), empty + 26 * MIB, "charged once")
    equal(trio.ask(0, "give", "vmm"), "ok", "the exporter releases it")
    equal(agree(place, "m", "released"), empty + 26 * MIB, "it stays while the importer has it")
    equal(trio.ask(1, "external-end"), "ok", "the importer ends it")
    equal(agree(place, "m", "ended"), empty, "it is given back")
    place.close()


run_tests(each_door_is_exact, every_door_stops_at_the_limit, shared_memory_is_charged_once_and_never_lost,
          a_killed_importer_takes_nothing_with_it, another_instance_pays_for_what_it_imports,
          external_memory_of_ones_own_instance_is_charged_once)
