#!/usr/bin/env python3
"""On the software GPU the driver's word and the account of an instance are the same to the byte, also after a process was killed; and a
program that uses the device without an instance is listed as not limited."""
import subprocess
import time

from harness import MIB, PROGRAMS, STAGE, Place, equal, ok, run_tests, wait_for

DOORS = str(PROGRAMS / "memory_doors")


def figures(row):
    return row["memory_used_bytes"], row["driver_bytes"], row["difference_bytes"]


def settled(place, name, used_bytes):
    """The instance, once a look at the driver was made after its last change."""
    time.sleep(1.05)
    row = place.instance(name)
    equal(figures(row), (used_bytes, used_bytes, 0), f"{name}: the driver says what the account says")
    return row


def the_driver_and_the_account_agree():
    place = Place("memory=4G,time=asap")
    a = place.start(["--name", "a", "--memory", "1G", "--device", "software"], [DOORS])
    b = place.start(["--name", "b", "--memory", "1G", "--device", "software"], [DOORS])
    context = place.instance("a")["memory_used_bytes"]
    for door, size in (("alloc", 100 * MIB), ("pitch", 3000), ("managed", 7 * MIB), ("async", 33 * MIB)):
        a.ask("take", door, size)
    b.ask("take", "alloc", 64 * MIB)
    row = settled(place, "a", place.instance("a")["memory_used_bytes"])
    ok(row["memory_used_bytes"] > context + 140 * MIB, "which is more than its context")
    equal(figures(row["clients"][0]), figures(row), "its one process holds all of it")
    settled(place, "b", context + 64 * MIB)
    device = place.json("device", "list")["devices"][0]
    equal((device["driver_bytes"], device["difference_bytes"], device["not_limited"]), (device["memory_used_bytes"], 0, []),
          "the device holds the sum of both, and nobody else")
    place.close()


def who_is_in_no_instance_is_listed():
    place = Place("memory=4G,time=asap")
    a = place.start(["--name", "a", "--memory", "1G", "--device", "software"], [DOORS])
    used = place.instance("a")["memory_used_bytes"]
    env = dict(place.env, LD_LIBRARY_PATH=str(STAGE / "lib/vgpu/softgpu"), VGPU_SOFTGPU_DIR=str(place.dir / "run/softgpu"))
    free_rider = subprocess.Popen([DOORS], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    free_rider.stdout.readline()
    free_rider.stdin.write(f"take alloc {50 * MIB}\n")
    free_rider.stdin.flush()
    free_rider.stdout.readline()
    device = place.json("device", "list")["devices"][0]
    rows = device["not_limited"]
    equal([(r["pid"], r["command"]) for r in rows], [(free_rider.pid, "memory_doors")], "a program without an instance is listed")
    ok(rows[0]["driver_bytes"] >= 50 * MIB, "with what it holds")
    equal((device["driver_bytes"], device["difference_bytes"]), (used, 0), "which is no instance's")
    free_rider.kill()
    free_rider.wait()
    ok(wait_for(lambda: place.json("device", "list")["devices"][0]["not_limited"] == [], 2), "and not when it has ended")
    a.quit()
    place.close()


run_tests(the_driver_and_the_account_agree, who_is_in_no_instance_is_listed)
