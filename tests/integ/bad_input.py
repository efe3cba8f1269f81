#!/usr/bin/env python3
"""What is wrong is refused with one message that says what was given, what was expected and what to do; and nothing is left behind: no
instance, no process, no file, nothing reserved or in use on the device."""
import array
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import threading

from harness import PROGRAMS, STAGE, Place, equal, ok, run_tests

DOORS = str(PROGRAMS / "memory_doors")
UNKNOWN = "GPU-00000000-1111-2222-3333-444444444444"
AMOUNT = "is not an amount of memory: write for example 512M, 2G or 1.5G"
NOTHING = "is no memory at all: write for example 512M, 2G or 1.5G"
LITTLE = "is too little for any program; is the unit missing? Write for example 512M or 2G"
PERCENT = "is not a percentage: write for example 25% or 12.5%"
NO_DEVICE = "names no device; expected a UUID (GPU-...), a number of `vgpu device list`, nvidia or software"
NOT_HERE = "name one by its UUID or its number in `vgpu device list --all`, or say nvidia or software"
NAME = "cannot name an instance; use a letter or digit, then letters, digits, '_', '.', '-', up to 63 in all"

# Arguments of `vgpu run`, before `-- true`; exit status; what is said after "vgpu run: ".
RUN = [
    *[(["--memory", text], 125, f"--memory: '{text}' {why}") for text, why in (
        ("0", NOTHING), ("0G", NOTHING), ("0.0001K", NOTHING), ("-1", AMOUNT), ("1 G", AMOUNT), (" 1G", AMOUNT), ("1GG", AMOUNT), ("1e9", AMOUNT),
        ("0x10", AMOUNT), ("1.G", AMOUNT), (".5G", AMOUNT), ("1,5G", AMOUNT), ("+1G", AMOUNT), ("1Q", AMOUNT), ("1iG", AMOUNT), ("1bG", AMOUNT),
        ("G", AMOUNT), ("", AMOUNT), ("1G2M", AMOUNT), ("inf", AMOUNT), ("18446744073709551616", AMOUNT), ("2", LITTLE), ("1.5", LITTLE),
        ("1023K", LITTLE), ("99999999T", "is more memory than any device has"),
        ("0%", "is out of range: more than 0% and at most 100%"), ("101%", "is out of range: more than 0% and at most 100%"),
        ("-5%", PERCENT), ("5%%", PERCENT), ("12.55%", PERCENT), ("%", PERCENT))],
    (["--memory", "5G"], 125, "5.00 GiB was asked for, but vgpu Software GPU has only 4.00 GiB in all; ask for less"),
    (["--memory", "1000T"], 125, "1000.00 TiB was asked for, but vgpu Software GPU has only 4.00 GiB in all; ask for less"),
    (["--memory", "1000T", "--overcommit"], 125,
     "1000.00 TiB was asked for, but vgpu Software GPU has only 4.00 GiB in all; ask for less"),
    *[(["--memory", "1G", "--device", text], 125, why) for text, why in (
        ("7", f"there is no device '7'; {NOT_HERE}"), (UNKNOWN, f"there is no device '{UNKNOWN}'; {NOT_HERE}"), ("-1", f"'-1' {NO_DEVICE}"),
        ("gpu0", f"'gpu0' {NO_DEVICE}"), ("0x0", f"'0x0' {NO_DEVICE}"), ("GPU-1234", f"'GPU-1234' {NO_DEVICE}"),
        ("0,0", "device '0' is named twice"),
        ("0,", "--device: an empty name; expected a UUID (GPU-...), a number of `vgpu device list`, nvidia or software"),
        ("", "--device: an empty name; expected a UUID (GPU-...), a number of `vgpu device list`, nvidia or software"),
        ("nvidia", "there is no NVIDIA device here: there is no NVIDIA driver at VGPU_DRIVER_DIR (/nonexistent); try --device software"))],
    *[(["--memory", "1G", "--name", text], 125, f"'{text}' {NAME}") for text in ("../x", "a b", ".hidden", "é")],
    (["--memory", "1G", "--name", "n" * 64], 125, "'name' must be a text of less than 64 bytes"),
]

# Whole command lines; exit status; all that is said.
COMMANDS = [
    (["run", "--memory", "1G"], 125, "vgpu run: expected a command to run; vgpu run --help shows how"),
    (["run", "--memory", "1G", "--"], 125, "vgpu run: expected a command to run; vgpu run --help shows how"),
    (["run", "--memory", "1G", "--device", "software", "--", "./no/such/command"], 127, None),
    (["run", "--memory", "1G", "--device", "software", "--", "/"], 126, None),
    (["instance", "set", "nosuch", "--memory", "1GG"], 2, f"vgpu instance set: --memory: '1GG' {AMOUNT}"),
    (["instance", "set", "nosuch", "--memory", "1G"], 1,
     "vgpu instance set: there is no instance 'nosuch'; `vgpu instance list` shows those that exist"),
    (["instance", "show", ""], 1, "vgpu instance show: there is no instance ''; `vgpu instance list` shows those that exist"),
    (["instance", "stop", "nosuch"], 1, "vgpu instance stop: there is no instance 'nosuch'; `vgpu instance list` shows those that exist"),
]


def left_behind(place, files):
    """What is there that was not before; [] when all is as it was."""
    device = place.json("device", "list", "--all")["devices"][0]
    found = place.json("instance", "list")["instances"]
    found += [f"{key}: {device[key]}" for key in ("memory_reserved_bytes", "memory_used_bytes", "instance_count") if device[key]]
    found += sorted(set(p.name for p in (place.dir / "run").iterdir()) - files)
    found += sorted(p.name for p in (place.dir / "run/instances").iterdir())
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return found + [f"process {pid}" for pid in children]


def settled(place):
    """A place whose daemons run, and the names of their files."""
    place.vgpu("run", "--memory", "1G", "--device", "software", "--", "true")
    place.json("device", "list", "--all")
    return set(p.name for p in (place.dir / "run").iterdir())


def refused(place, files, args, status, said):
    done = place.vgpu(*args, check=False)
    what = " ".join(repr(a) if not a or " " in a else a for a in args)
    if said is None:
        equal((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1), what)
    else:
        equal((done.returncode, done.stdout, done.stderr), (status, "", said + "\n"), what)
    left = left_behind(place, files)
    if left:
        ok(False, f"nothing is left behind by {what}")
        print(f"# {left}")


def every_mistake_has_its_message():
    place = Place("memory=4G,time=asap", VGPU_DRIVER_DIR="/nonexistent")  # device 0 is a software one, whatever the machine has
    files = settled(place)
    for args, status, said in RUN:
        refused(place, files, ["run", *args, "--", "true"], status, f"vgpu run: {said}")
    for args, status, said in COMMANDS:
        refused(place, files, args, status, said)
    ok(left_behind(place, files) == [], "nothing is left behind by all of them")
    place.close()


def sums_over_the_device_are_refused():
    place = Place("memory=4G,time=asap")
    holder = place.start(["--name", "holder", "--memory", "3G", "--device", "software"], [DOORS])
    before = place.instance("holder")
    done = place.vgpu("run", "--memory", "2G", "--device", "software", "--", "true", check=False)
    equal((done.returncode, done.stderr),
          (125, "vgpu run: 2.00 GiB was asked for, but 1.00 GiB of 4.00 GiB is free on vgpu Software GPU (held by: holder 3.00 GiB); "
                "ask for less, or use --wait or --overcommit\n"), "an instance beside it that is too large")
    done = place.vgpu("instance", "set", "holder", "--memory", "5G", check=False)
    equal((done.returncode, done.stderr),
          (1, "vgpu instance set: 5.00 GiB was asked for, but vgpu Software GPU has only 4.00 GiB in all; ask for less\n"),
          "a limit over the device")
    equal(place.instance("holder")["memory_limit_bytes"], before["memory_limit_bytes"], "nothing changed")
    equal(len(place.json("instance", "list")["instances"]), 1, "and there is no other instance")
    holder.quit()
    place.close()


def a_state_file_that_cannot_be_used_is_set_aside():
    uid = os.geteuid()
    rows = [
        ("cut short", '{"format":"vgpud-instance","vers', "it is not JSON: line 1: "),
        ("no state file", '{"format":"something","version":1}', "this is not a state file of vgpud"),
        ("of another version", '{"format":"vgpud-instance","version":1,"boot_id":"x"}', "its version is not 2"),
        ("with half an instance", '{"format":"vgpud-instance","version":2,"boot_id":"x","id":"v1"}', "the instance in it is malformed"),
        ("a directory", None, f"it is not a plain file of uid {uid}"),
    ]
    if uid == 0:
        rows.append(("of another user", "foreign", "it is not a plain file of uid 0"))
    for what, text, why in rows:
        place = Place("memory=4G,time=asap")
        run = place.dir / "run"
        (run / "instances").mkdir(mode=0o700, parents=True)
        run.chmod(0o700)
        state = run / "instances/v001122334455.json"
        if text is None:
            state.mkdir()
        else:
            state.write_text(text)
        if text == "foreign":
            os.chown(state, 65534, 65534)
        equal(place.json("instance", "list")["instances"], [], f"with a state file {what} vgpud starts")
        lines = [x.split(": ", 1)[1] for x in (run / "vgpud.log").read_text().splitlines() if "state file" in x]
        said = f"state file {state} is not usable ({why}", f"); set aside as {state}.aside"  # between them are words of the JSON library
        ok(len(lines) == 1 and lines[0].startswith(said[0]) and lines[0].endswith(said[1]), f"says so in one line: {why}") or print(f"# {lines}")
        ok((run / "instances/v001122334455.json.aside").exists(), "and keeps it aside")
        place.close()


# ---- an account of another make ----

CONTROL_MAGIC, JSON, ATTACH, ATTACHED, OBSERVER = 0x55504756, 1, 3, 4, 4
SEALS = 0x2 | 0x4  # F_SEAL_SHRINK, F_SEAL_GROW
HEAD = "<QHHI"     # magic, major, minor, devices: of both areas in every version


def message(kind, body):
    return struct.pack("<IHHHHI", CONTROL_MAGIC, 1, 0, kind, 0, len(body)) + body


def real_account():
    """The bytes of the two areas that vgpud makes."""
    place = Place("memory=4G,time=asap")
    place.json("device", "list", "--all")
    for kind, body in ((JSON, b'{"op":"instance.create","name":"a","memory_limit_bytes":1048576,"lease":false}'),
                       (ATTACH, struct.pack("<64sII", b"a", OBSERVER, 0))):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(str(place.dir / "run/vgpud.sock"))
            s.send(message(kind, body))
            answer, ancillary, _, _ = s.recvmsg(1 << 18, socket.CMSG_LEN(8))
    fds = array.array("i", ancillary[0][2])
    areas = [os.pread(fd, size, 0) for fd, size in zip(fds, struct.unpack("<QQ", answer[24:40]))]
    for fd in fds:
        os.close(fd)
    place.close()
    return areas


def area(content, major=0, magic=None, sealed=True, size=None):
    """An area with that content, but another major version by so much, or magic, or size."""
    was, version, minor, devices = struct.unpack(HEAD, content[:16])
    content = struct.pack(HEAD, was if magic is None else magic, version + major, minor, devices) + content[16:size]
    fd = os.memfd_create("area", os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    if sealed:
        fcntl.fcntl(fd, 1033, SEALS)  # F_ADD_SEALS
    return fd


def serve_once(listener, limits, ledger, sizes):
    """A vgpud that answers one attach with these areas."""
    conn, _ = listener.accept()
    conn.recv(4096)
    body = struct.pack("<IIQQ64s", 0, 1, *sizes, b"v1")
    conn.sendmsg([message(ATTACHED, body)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [limits, ledger]))])
    conn.close()


def an_account_of_another_make_is_refused():
    limits, ledger = real_account()
    sizes = (len(limits), len(ledger))
    other = "is of another version of vgpu than this library: end vgpud when nothing runs, and start anew"
    garbled = "is not one, or could shrink under the program: end vgpud when nothing runs, and start anew"
    rows = [
        ("limits of another version", area(limits, major=1), area(ledger), sizes, other),
        ("a ledger of another version", area(limits), area(ledger, major=-1), sizes, other),
        ("a smaller ledger of another version", area(limits), area(ledger, major=-1, size=8192), (len(limits), 8192), other),
        ("no ledger at all", area(limits), area(ledger, magic=7), sizes, garbled),
        ("one that could shrink", area(limits), area(ledger, sealed=False), sizes, garbled),
        ("one that is shorter than said", area(limits), area(ledger, size=8192), sizes, garbled),
        ("one of another size", area(limits), area(ledger), (len(limits), 8192), garbled),
        ("one of no size", area(limits), area(ledger), (8, 8), garbled),
    ]
    for what, limits, ledger, said_bytes, why in rows:
        place = Place("memory=4G,time=asap")
        path = str(place.dir / "fake.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve_once, args=(listener, limits, ledger, said_bytes), daemon=True)
        thread.start()
        env = dict(place.env, VGPU_INSTANCE="v1", VGPU_SOCKET=path, VGPU_DRIVER_DIR=str(STAGE / "lib/vgpu/softgpu"),
                   LD_LIBRARY_PATH=str(STAGE / "lib/vgpu/shim"), VGPU_SOFTGPU_DIR=str(place.dir / "softgpu"))
        done = subprocess.run([DOORS], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        thread.join(10)
        ok("ready" not in done.stdout, f"{what}: the program does not run")
        equal(done.stderr, f"vgpu: instance v1: the account that vgpud sent {why}; nothing runs without its limit\n", "it is told in one line")
        for fd in (limits, ledger, listener):
            os.close(fd) if isinstance(fd, int) else fd.close()
        place.close()


run_tests(every_mistake_has_its_message, sums_over_the_device_are_refused, a_state_file_that_cannot_be_used_is_set_aside,
          an_account_of_another_make_is_refused)
