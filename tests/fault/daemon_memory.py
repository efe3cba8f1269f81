#!/usr/bin/env python3
"""vgpud when memory runs out: each allocation that a request makes fails once, in turn. Every request is answered, whole or with an error,
what was refused has left nothing, and vgpud lives."""
import array
import atexit
import itertools
import json
import mmap
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time

STAGE, FAILING, FAKES = (pathlib.Path(os.environ[k]) for k in ("VGPU_STAGE", "VGPU_FAILING_MALLOC", "VGPU_TESTS"))
MAGIC, JSON, ERROR, ATTACH, ATTACHED, REAP, REAPED = 0x55504756, 1, 2, 3, 4, 5, 6
ALLOCATIONS_MAX = 3000

count = failed = 0


def ok(condition, what):
    global count, failed
    count += 1
    failed += not condition
    print(f"{'' if condition else 'not '}ok {count} - {what}", flush=True)


class Daemon:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-test-"))
        self.control_path = self.dir / "fault"
        self.control_path.write_bytes(bytes(16))
        with open(self.control_path, "r+b") as f:
            self.control = mmap.mmap(f.fileno(), 16)
        self.socket_path = str(self.dir / "run/vgpud.sock")
        env = {k: v for k, v in os.environ.items() if not k.startswith("VGPU_")}
        env.update(LD_PRELOAD=str(FAILING), FAULT_FILE=str(self.control_path), VGPU_RUNTIME_DIR=str(self.dir / "run"),
                   VGPU_DRIVER_DIR=str(FAKES / "nvidia"), VGPU_SOFTGPU_LIBDIR=str(FAKES / "software"))
        with open(self.dir / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([str(STAGE / "bin/vgpud"), "--idle", "0"], env=env, stderr=log)
        atexit.register(self.close)
        while not os.path.exists(self.socket_path):
            time.sleep(0.01)
        self.ask({"op": "device.list"})

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def fail(self, number, most=1):
        """Lets that allocation fail, counted from now on, and those after it, most in all; 0: none. Returns how many have failed since
        the last call."""
        had = struct.unpack("IIII", self.control[:])[2]
        self.control[:] = struct.pack("IIII", number, 0, 0, most)
        return had

    def send(self, kind, body):
        """The type and body of the answer, without events; (0, b"") when there is none."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(30)
            s.connect(self.socket_path)
            try:
                s.send(struct.pack("<IHHHHI", MAGIC, 1, 1, kind, 0, len(body)) + body)
            except OSError:
                pass  # it closed already; what it said is there to read
            resets = 0
            while True:
                try:
                    answer, fds = receive(s)
                except ConnectionResetError:  # comes before what was sent until then
                    resets += 1
                    if resets > 1:
                        return 0, b""
                    continue
                for fd in fds:
                    os.close(fd)
                if len(answer) < 16 or b'"event"' not in answer:
                    return (struct.unpack("<IHHHHI", answer[:16])[3], answer[16:]) if len(answer) >= 16 else (0, b"")

    def ask(self, request):
        kind, body = self.send(JSON, json.dumps(request).encode())
        return json.loads(body) if kind == JSON else None


def receive(sock):
    fds = array.array("i")
    answer, ancillary, _, _ = sock.recvmsg(1 << 18, socket.CMSG_LEN(16))
    for _, _, data in ancillary:
        fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    return answer, list(fds)


def shape(value):
    """What an answer consists of, without the values."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return [shape(v) for v in value] if isinstance(value, list) else None


def text_of(body):
    return body[4:].split(b"\0")[0].decode()


def torture(daemon, what, kind, body, undo=None, most=1):
    """Fails each allocation of a request in turn, or all from it on, most. The body is made anew by each call of body."""
    wanted = {JSON: JSON, ATTACH: ATTACHED, REAP: REAPED}[kind]
    whole = daemon.send(kind, body())
    assert whole[0] == wanted, (what, whole)
    if undo:
        undo(True)
    errors, wrong, n = {}, [], 0
    for n in range(1, ALLOCATIONS_MAX):
        daemon.fail(n, most)
        answer = daemon.send(kind, body())
        if not daemon.fail(0):  # it has no more allocations than that
            if undo:
                undo(answer[0] == wanted)
            break
        if daemon.process.poll() is not None:
            wrong.append(f"allocation {n}: vgpud ended with {daemon.process.returncode}")
            break
        if answer[0] == ERROR:
            errors[text_of(answer[1])] = errors.get(text_of(answer[1]), 0) + 1
        elif answer[0] != wanted:
            wrong.append(f"allocation {n}: no answer")
        elif kind == JSON and shape(json.loads(answer[1])) != shape(json.loads(whole[1])):
            wrong.append(f"allocation {n}: a part is missing: {answer[1][:300]}")
        if undo and not undo(answer[0] == wanted):
            wrong.append(f"allocation {n}: refused, and yet there")
    ok(not wrong and 1 < n < ALLOCATIONS_MAX - 1, f"{what}: each of {n - 1} allocations fails{' with all after it' if most > 1 else ''}, {sum(errors.values())} times it is refused")
    for line in wrong[:5] + [f"{v} times: {k}" for k, v in errors.items()]:
        print("# " + line)
    return daemon.process.poll() is None


def main():
    daemon = Daemon()
    kept = {"op": "instance.create", "name": "kept", "memory_limit_bytes": 1 << 30, "lease": False}
    assert daemon.ask(kept)

    def instances():
        return {i["name"]: i for i in daemon.ask({"op": "instance.list"})["instances"]}

    def not_made(was_made):
        """Ends a made instance; False when one is there that was refused."""
        there = "made" in instances()
        if there:
            daemon.ask({"op": "instance.stop", "instance": "made"})
        return there == was_made

    images = itertools.count(1)  # as if this process became another program each time: its former slot is free then
    name = b"kept".ljust(64, b"\0")
    requests = [
        ("daemon.status", JSON, {"op": "daemon.status"}, None),
        ("instance.create", JSON, {"op": "instance.create", "name": "made", "memory_limit_bytes": 1 << 20, "lease": False}, not_made),
        ("instance.list", JSON, {"op": "instance.list"}, None),
        ("instance.show", JSON, {"op": "instance.show", "instance": "kept"}, None),
        ("instance.set", JSON, {"op": "instance.set", "instance": "kept", "memory_limit_bytes": 1 << 30}, None),
        ("attach", ATTACH, lambda: name + struct.pack("<II", 0, next(images)), None),
        ("attach as an observer", ATTACH, lambda: name + struct.pack("<II", 4, 0), None),
        ("reap", REAP, lambda: name, None),
        ("device.list", JSON, {"op": "device.list"}, None),
    ]
    for what, kind, body, undo in requests:
        text = json.dumps(body).encode() if isinstance(body, dict) else b""
        body = body if callable(body) else lambda text=text: text
        if not torture(daemon, what, kind, body, undo) or not torture(daemon, what, kind, body, undo, most=1000000):
            break
    if daemon.process.poll() is None:
        left = instances()
        ok(list(left) == ["kept"] and left["kept"]["memory_limit_bytes"] == 1 << 30, "the one instance is as it was")
        device = daemon.ask({"op": "device.list"})["devices"][0]
        ok(device["memory_reserved_bytes"] == 1 << 30, "nothing else is reserved")
    print(f"1..{count}")
    return 1 if failed else 0


if "VGPU_SANITIZED" in os.environ:
    print("1..0 # SKIP the sanitizers have an allocator of their own")
else:
    raise SystemExit(main())
