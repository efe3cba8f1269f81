#!/usr/bin/env python3
"""Sixteen processes of one instance take and give memory through six doors at once, in sizes from one byte to 40 MiB; some are killed and
replaced, and the limit goes up and down meanwhile. The device never holds more than the highest limit, nobody is refused what the
device had room for, and at the end the account is as empty as the device. `races.py [ROUNDS KILLS SEED]`: rounds of each process."""
import re
import sys
import threading

from harness import MIB, PROGRAMS, Place, equal, ok, run_tests

ROUNDS, KILLS, SEED = (int(word) for word in (sys.argv[1:] + ["1500", "12", "1"][len(sys.argv) - 1:]))
HIGH, LOW = 1500 * MIB, 1100 * MIB


def sixteen_processes_six_doors():
    place = Place("memory=64G,time=asap,context=8M")
    program = place.start(["--name", "r", "--memory", str(HIGH), "--device", "software"],
                          [str(PROGRAMS / "race"), "16", str(ROUNDS), str(KILLS), str(SEED)],
                          greets=False)
    stop, changes = threading.Event(), 0

    def move_limit():
        nonlocal changes
        while not stop.wait(0.2):
            changes += 1
            place.vgpu("instance", "set", "r", "--memory", str(LOW if changes % 2 else HIGH), check=False)

    mover = threading.Thread(target=move_limit)
    mover.start()
    try:
        line = program.line()
    finally:
        stop.set()
        mover.join()
    print(f"# {line}; limit moved {changes} times")
    figures = {key: int(value) for key, value in re.findall(r"([a-z-]+) (\d+)", line)}
    status = program.quit()
    equal(figures["rounds"] >= 16 * ROUNDS, True, "all rounds were made")
    ok(figures["refused"] > 0 and figures["taken"] > 0, "memory was both given and refused")
    ok(figures["device-peak-bytes"] <= HIGH, f"the device never held more than the limit ({figures['device-peak-bytes'] / MIB:.0f} MiB)")
    equal(figures["false-refusals"], 0, "nobody was refused what the device had room for")
    equal(figures["errors"], 0, "no other error")
    equal(status, 0, "every process ended well")
    equal(place.device_used(), 0, "the device is empty")
    place.close()


run_tests(sixteen_processes_six_doors)
