#!/usr/bin/env python3
"""Of more processes than an instance has room for the first 1,024 run; each further one gets a CUDA error and one line, none hangs and none runs
unlimited; vgpud answers meanwhile, and everything is given back when they end. MANY_PROCESSES says how many are started (2,000)."""
import os
import select
import subprocess
import time

from harness import MIB, PROGRAMS, VGPU, Place, equal, ok, run_tests, wait_for

SLOTS = 1024  # LEDGER_SLOTS_MAX
COUNT = int(os.environ.get("MANY_PROCESSES", "2000"))


def used(place):
    row = place.instance("many")
    return row["client_count"], row["memory_used_bytes"]


def the_first_run_and_the_others_are_told():
    place = Place("memory=64G,context=4M,time=asap")
    errors = place.dir / "errors"
    begin = time.monotonic()
    command = [VGPU, "run", "--name", "many", "--memory", "60G", "--device", "software", "--", str(PROGRAMS / "crowd"), str(COUNT), "32", "30"]
    with open(errors, "w", encoding="utf-8") as f:
        crowd = subprocess.Popen(command, env=place.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=f, text=True)
    place.programs.append(crowd)
    slowest = 0.0
    while crowd.poll() is None and not has_line(crowd):
        asked = time.monotonic()
        place.vgpu("instance", "list", timeout=30)
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.2)
    line = crowd.stdout.readline().strip()
    print(f"# {COUNT} processes in {time.monotonic() - begin:.1f} s; slots: {SLOTS}; slowest answer of vgpu instance list: {slowest:.2f} s")
    equal(line, f"ran {SLOTS}, refused {COUNT - SLOTS}, silent 0: CUDA_ERROR_SYSTEM_NOT_READY", f"the first {SLOTS} run, each further one gets an error")
    told = errors.read_text().splitlines()
    equal(len(told), COUNT - SLOTS, "and one line")
    equal(len([x for x in told if f"instance 'many' has {SLOTS} processes already, which is all it may have" in x]), COUNT - SLOTS, "that says why")
    ok(slowest < 5, "vgpud answers meanwhile")
    clients, bytes_used = used(place)
    equal(clients, SLOTS, "every one that runs is a client")
    equal(place.device_used(), bytes_used, "the device holds what the account says")
    ok(bytes_used >= SLOTS * 2 * MIB, "which is at least what they took")
    crowd.stdin.close()
    equal(crowd.wait(60), 0, "they end")
    ok(wait_for(lambda: place.json("instance", "list")["instances"] == [], 10) is not None, "the instance with them")
    ok(wait_for(lambda: place.device_used() == 0, 10) is not None, "and nothing stays on the device")
    place.close()


def has_line(process):
    return bool(select.select([process.stdout], [], [], 0)[0])


if "VGPU_SANITIZED" in os.environ:
    print("1..0 # SKIP a thousand sanitized processes need too much memory")
else:
    run_tests(the_first_run_and_the_others_are_told)
