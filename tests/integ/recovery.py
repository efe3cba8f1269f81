#!/usr/bin/env python3
"""vgpud is killed with SIGKILL and comes back: the same instances with exact accounts, the processes in them, limits that can be changed; who
died meanwhile is given back, and nobody is free of the limit at any time. `recovery.py [AWAY_S]`: how long vgpud is away from the load."""
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import GIB, MIB, PROGRAMS, VGPU, Place, equal, ok, run_tests, wait_for

AWAY_S = int(sys.argv[1]) if len(sys.argv) > 1 else 3
SEVERAL = ["python3", str(pathlib.Path(__file__).with_name("several.py")), "2", str(PROGRAMS / "memory_doors")]


def kill_vgpud(place, number=signal.SIGKILL):
    """Ends every process named vgpud of the place."""
    pids = place.processes("vgpud")
    for pid in pids:
        os.kill(pid, number)
    wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), 5)
    return pids


class Instance:
    """An instance "i" with two processes of one program."""

    def __init__(self, place, memory="1G", name="i"):
        self.place, self.name = place, name
        self.program = place.start(["--name", name, "--memory", memory, "--device", "software"], SEVERAL)
        assert self.program.greeting == "ready ready", self.program.greeting

    def ask(self, index, *words):
        return self.program.ask(index, *words)

    def show(self):
        return self.place.instance(self.name)

    def pid(self, index):
        return int(self.ask(index, "pid"))

    def figures(self):
        """Its account and the device's."""
        return self.show()["memory_used_bytes"], self.place.device_used()


def under_load():
    """Sixteen processes go on without vgpud; back, it knows all of them, and new ones join."""
    limit = 1500 * MIB
    place = Place("memory=64G,time=asap,context=8M")
    program = place.start(["--name", "r", "--memory", str(limit), "--device", "software"],
                          [str(PROGRAMS / "race"), "16", "0", "0", "7"], greets=False)
    ok(wait_for(lambda: [row["client_count"] for row in place.json("instance", "list")["instances"]] == [16], 20) is not None,
       "sixteen processes work")
    before = place.instance("r")
    kill_vgpud(place)
    time.sleep(AWAY_S)
    after = place.instance("r")
    equal([after[key] for key in ("id", "state", "memory_limit_bytes", "created_ms", "client_count")],
          [before["id"], "running", limit, before["created_ms"], 16], f"after {AWAY_S} s without vgpud it is the same instance")
    equal(sorted(c["pid"] for c in after["clients"]), sorted(c["pid"] for c in before["clients"]), "with the same processes")
    ok(wait_for(lambda: all(c["rejoined"] for c in place.instance("r")["clients"]), 10) is not None, "each of them rejoins")
    for victim in after["clients"][:2]:
        os.kill(victim["pid"], signal.SIGKILL)
    ok(wait_for(lambda: place.instance("r")["client_count"] == 16 and not
                {c["pid"] for c in after["clients"][:2]} & {c["pid"] for c in place.instance("r")["clients"]}, 20) is not None,
       "two that are killed then are replaced by new ones")
    program.process.stdin.close()
    line = program.line()
    print(f"# {line}")
    figures = {key: int(value) for key, value in re.findall(r"([a-z-]+) (\d+)", line)}
    ok(figures["refused"] > 0 and figures["taken"] > 0, "memory was both given and refused")
    ok(figures["device-peak-bytes"] <= limit, f"the device never held more than the limit ({figures['device-peak-bytes'] / MIB:.0f} MiB)")
    equal(figures["false-refusals"], 0, "nobody was refused what the device had room for")
    equal((figures["errors"], program.process.wait(30)), (0, 0), "no error, and every process ended well")
    equal(place.device_used(), 0, "the device is empty")
    place.close()


def the_account_is_exact():
    """Two restarts in a row, by crash and by SIGTERM."""
    place = Place("memory=8G,time=asap")
    i = Instance(place)
    i.ask(0, "take", "alloc", 100 * MIB)
    i.ask(1, "take", "pool", 200 * MIB)
    held = i.figures()
    equal(held[0], held[1], "before: account and device say the same")
    for number in (signal.SIGKILL, signal.SIGTERM):
        kill_vgpud(place, number)
        i.ask(0, "take", "managed", 10 * MIB)
        i.ask(1, "free", "all")
        i.ask(1, "take", "alloc", 30 * MIB)
        used, device = i.figures()
        equal(used, device, f"after {number.name}, with changes meanwhile: they do again ({used >> 20} MiB)")
        equal(i.ask(0, "take", "alloc", GIB - used), "ok 3" if number == signal.SIGTERM else "ok 2", "what is left can be had, to the last byte")
        equal(i.ask(0, "take", "alloc", 2 * MIB), "CUDA_ERROR_OUT_OF_MEMORY", "and no more")
        i.ask(0, "free", 3 if number == signal.SIGTERM else 2)
    equal((i.program.quit(), place.device_used()), (0, 0), "all is given back")
    ok(wait_for(lambda: not place.json("instance", "list")["instances"], 3) is not None, "and the instance ends with its processes")
    ok(wait_for(lambda: not list((place.dir / "run/instances").iterdir()), 3) is not None, "its state too")
    place.close()


def who_died_meanwhile_is_reaped():
    place = Place("memory=8G,time=asap")
    i = Instance(place)
    i.ask(0, "take", "alloc", 100 * MIB)
    i.ask(1, "take", "alloc", 200 * MIB)
    dead = i.pid(1)
    kill_vgpud(place)
    i.ask(1, "kill")
    ok(i.ask("-", "start").startswith("CUDA_ERROR"), "while vgpud is away no new process may join")
    equal(i.ask(0, "take", "alloc", 50 * MIB), "ok 1", "one that runs goes on")
    place.json("instance", "list")
    ok(wait_for(lambda: i.show()["memory_used_bytes"] == place.device_used(), 3) is not None, "what the dead held is given back")
    ok(dead not in [c["pid"] for c in i.show()["clients"]], "and it is not shown any more")
    equal(i.ask("-", "start"), "ready", "a new process may join")
    equal(i.ask(3, "take", "alloc", 600 * MIB), "ok 0", "and has what is left")
    used, device = i.figures()
    equal(used, device, "account and device say the same")
    place.close()


def a_limit_changed_then_reaches_who_was_there_before():
    place = Place("memory=8G,time=asap")
    i = Instance(place)
    kill_vgpud(place)
    time.sleep(1.1)
    equal(i.ask(0, "total"), str(GIB), "while vgpud is away the limit stands")
    place.vgpu("instance", "set", "i", "--memory", "512M")
    equal([c["rejoined"] for c in i.show()["clients"]], [False, False], "it is shown who goes by the limit of before")
    time.sleep(1.1)  # who tried in vain tries again after a second
    equal(i.ask(0, "total"), str(512 * MIB), "at its next call a process has the new one")
    equal(i.ask(1, "take", "alloc", 600 * MIB), "CUDA_ERROR_OUT_OF_MEMORY", "and is held to it")
    equal([c["rejoined"] for c in i.show()["clients"]], [True, True], "both rejoined")
    place.vgpu("instance", "set", "i", "--memory", "1G")
    equal(i.ask(1, "take", "alloc", 600 * MIB), "ok 0", "from then on changes hold at once")
    kill_vgpud(place)
    place.vgpu("instance", "stop", "i")
    equal(place.json("instance", "list")["instances"], [], "an instance that was taken up can be stopped")
    place.close()


def one_that_only_works_follows_at_its_gate():
    """It allocates nothing, so its gate alone finds out. Its share is kept all the time, by wide bounds (how exactly is bench share's)."""
    place = Place("memory=8G")
    program = place.start(["--name", "w", "--compute", "30%", "--device", "software"], [str(PROGRAMS / "busy"), "60000", "500"], greets=False)
    ok(wait_for(lambda: [row["client_count"] for row in place.json("instance", "list")["instances"]] == [1], 20) is not None, "a program works")
    time.sleep(1)
    kill_vgpud(place)
    time.sleep(3)
    before = place.instance("w")
    ok(wait_for(lambda: [c["rejoined"] for c in place.instance("w")["clients"]] == [True], 5) is not None, "it rejoins without allocating")
    time.sleep(1.5)
    after = place.instance("w")
    equal([after[key] for key in ("policy", "share_permille", "state")], ["fixed-share", 300, "running"], "its share is what it was")
    ok(after["gpu_time_ns_total"] > before["gpu_time_ns_total"] > 0, "its time goes on where it was")
    ok(200 <= after["used_permille"] <= 400, f"and it has that much of the device ({after['used_permille']} permille)")
    place.vgpu("instance", "set", "w", "--compute", "60%")
    ok(wait_for(lambda: place.instance("w")["used_permille"] > 400, 15) is not None, "a share that is changed then reaches it")
    place.vgpu("instance", "stop", "w", "--grace", "0")
    place.close()


def an_instance_without_processes_stays():
    place = Place("memory=8G,time=asap")
    place.json("device", "list", "--all")
    place.vgpu("instance", "create", "--name", "p", "--memory", "1G", "--device", "software") if has_create() else make(place, "p")
    before = place.instance("p")
    kill_vgpud(place)
    equal([place.instance("p")[key] for key in ("id", "state", "memory_limit_bytes")], [before["id"], "ready", GIB], "one made without a lease is there again")
    for pid in kill_vgpud(place) and place.processes("vgpu-keeper"):
        os.kill(pid, 9)
    equal(place.instance("p")["state"], "ready", "without the keeper too: it has nothing to lose")
    place.vgpu("instance", "stop", "p")
    kill_vgpud(place)
    ok(wait_for(lambda: not place.processes("vgpu-keeper"), 3) is not None, "a keeper with nothing to keep ends with its vgpud")
    place.close()


def has_create():
    return "create" in subprocess.run([VGPU, "instance", "--help"], capture_output=True, text=True).stdout


def control(place, message):
    """One request to vgpud, as JSON."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(place.dir / "run/vgpud.sock"))
    body = json.dumps(message).encode()
    sock.send(struct.pack("=IHHHHI", 0x55504756, 1, 2, 1, 0, len(body)) + body)
    answer = sock.recv(1 << 18)
    sock.close()
    return json.loads(answer[16:])


def make(place, name):
    assert control(place, {"op": "instance.create", "name": name, "memory_limit_bytes": GIB, "devices": ["software"], "lease": False})["ok"]


KEEPER = struct.Struct("=IIII64s")


def keeper_message(kind, name=""):
    return KEEPER.pack(0x504b4756, kind, 0, 0, name.encode())


def what_the_keeper_gives_is_checked():
    """Somebody of the same user takes the keeper's place while vgpud is away: what he gives instead of the account is not taken for it."""
    place = Place("memory=8G,time=asap")
    i = Instance(place)
    i.ask(0, "take", "alloc", 100 * MIB)
    id, path = i.show()["id"], str(place.dir / "run/kept.sock")
    thief = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thief.connect(path)
    equal(thief.recv(100), b"", "while vgpud lives its keeper serves nobody else")
    kill_vgpud(place)
    thief = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thief.connect(path)
    wrong = [os.memfd_create("wrong") for _ in range(2)]
    for fd in wrong:
        os.ftruncate(fd, 1 << 16)
    socket.send_fds(thief, [keeper_message(1, id)], wrong)
    thief.close()
    row = i.show()
    equal((row["state"], row["memory_used_bytes"]), ("orphaned", None), "areas that are none leave an orphan, not an account of somebody's making")
    log = (place.dir / "run/vgpud.log").read_text()
    equal(len([line for line in log.splitlines() if "is not one of this vgpud" in line]), 1, "with one line in the log")
    equal(i.ask(0, "take", "alloc", 100 * MIB), "ok 1", "its processes go on")
    place.close()


def the_keeper_takes_no_nonsense():
    place = Place("memory=8G,time=asap")
    i = Instance(place)
    i.ask(0, "take", "alloc", 100 * MIB)
    keeper = place.processes("vgpu-keeper")
    kill_vgpud(place)
    for message in (b"", b"x", keeper_message(1)[:40], b"y" * KEEPER.size, keeper_message(99, "v"), KEEPER.pack(0x504b4756, 1, 0, 0, b"n" * 64),
                    keeper_message(2, "nobody"), b"z" * 100000):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(place.dir / "run/kept.sock"))
        sock.send(message)
        sock.close()
    if os.geteuid() == 0:
        stranger = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "python3", "-c",
                                   f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('{place.dir}/run/kept.sock')"],
                                  capture_output=True, text=True)
        ok("PermissionError" in stranger.stderr, "another user does not reach it")
    equal((i.show()["state"], *i.figures()), ("running", i.figures()[1], i.figures()[1]), "it keeps what it keeps, whatever it is told")
    equal(place.processes("vgpu-keeper"), keeper, "and is the same keeper")
    place.close()


def a_second_away_under_churn():
    """Processes join and leave all the time while vgpud is killed again and again."""
    place = Place("memory=8G,time=asap,context=8M")
    i = Instance(place)
    stop, served = threading.Event(), [0, 0]

    def churn():
        while not stop.is_set():
            done = subprocess.run([VGPU, "run", "--memory", "64M", "--device", "software", "--", str(PROGRAMS / "memory_doors")],
                                  env=place.env, input="take alloc 1048576\n", capture_output=True, text=True)
            served[done.returncode != 0] += 1

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(0.7)
        kill_vgpud(place)
    stop.set()
    for thread in threads:
        thread.join()
    ok(served[0] > 0, f"runs were served meanwhile ({served[0]}, and {served[1]} met a vgpud that was just dying)")
    ok(wait_for(lambda: [row["name"] for row in place.json("instance", "list")["instances"]] == ["i"], 5) is not None,
       "of all instances only the one whose processes live is left")
    used, device = i.figures()
    equal(used, device, "and its account is the device's")
    place.close()


run_tests(under_load, the_account_is_exact, who_died_meanwhile_is_reaped, a_limit_changed_then_reaches_who_was_there_before,
          one_that_only_works_follows_at_its_gate, an_instance_without_processes_stays, what_the_keeper_gives_is_checked, the_keeper_takes_no_nonsense, a_second_away_under_churn)
