#!/usr/bin/env python3
"""Processes of one instance that take and give memory at once, each through several doors, while some are killed and replaced:
`racers.py PROCESSES SECONDS PROGRAM` (tests/programs/memory_matrix). Run under `vgpu run`; prints one line of JSON."""
import collections
import json
import random
import subprocess
import sys
import threading
import time

# Not by pitch: at its limit the driver is asked for rows before it is known how far apart it lays them, and what then is too much is
# undone, so the device has some rows' padding over the limit for a moment (src/shim/memory.c).
DOORS = ["alloc", "small", "async", "vmm", "vmm-mapped", "array"]
SIZES = [64 << 10, 4 << 20, 200 << 20]
tally = collections.Counter()
tally_lock = threading.Lock()


def count(what):
    with tally_lock:
        tally[what] += 1


class Racer:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greeting = self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def round_of(racer, held, chance):
    door = chance.choice(DOORS)
    if door in held:
        answer = racer.ask("give", door)
        if answer != "ok":
            count("errors")
            print(f"give {door}: {answer}", file=sys.stderr)
        held.discard(door)
        return
    answer = racer.ask("take", door, chance.randrange(4096, chance.choice(SIZES)))
    if answer == "ok":
        held.add(door)
        count("taken")
        return
    if answer == "CUDA_ERROR_OUT_OF_MEMORY":
        count("refused")
    else:
        count("errors")
        print(f"take {door}: {answer}", file=sys.stderr)
    racer.ask("give", door)  # what a door of several steps has of them


def race(number, until, command):
    """One process's lives."""
    chance = random.Random(number)
    while time.monotonic() < until:
        racer, held, rounds = Racer(command), set(), chance.randrange(50, 400)
        if racer.greeting != "ready":
            count("starts-refused")
            racer.process.kill()
            racer.process.wait()
            time.sleep(0.1)
            continue
        while rounds and time.monotonic() < until:
            round_of(racer, held, chance)
            rounds -= 1
        if rounds == 0:
            count("killed")
            racer.process.kill()
        racer.process.stdin.close()
        racer.process.wait()


def main():
    processes, seconds, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=race, args=(number, until, command)) for number in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(tally), flush=True)


main()
