#!/usr/bin/env python3
"""The command line of shares: what is asked for is granted, shown and changed while it runs; a run tells what it used; `vgpu explain` says why
a call was refused or held back; and what is wrong is refused with one message and changes nothing."""
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import GIB, PROGRAMS, VGPU, Place, equal, ok, run_tests, wait_for

DOORS = str(PROGRAMS / "memory_doors")
BUSY = str(PROGRAMS / "busy")
DEVICE = "memory=4G,time=asap"
HERE = ["--device", "software"]
TERMS = ("policy", "share_permille", "weight", "priority", "time_slice_ns")
USAGE = ["instance", "name", "exit_status", "wall_ns", "policy", "priority", "share_permille", "weight", "time_slice_ns", "memory_limit_bytes",
         "memory_peak_bytes", "denied_total", "gpu_time_ns_total", "copy_time_ns_total", "throttled_ns_total", "throttled_total",
         "achieved_permille", "devices", "problem"]
PERCENT = "is not a percentage: write for example 25% or 12.5%"
RANGE = "is out of range: more than 0% and at most 100%"
POLICY = "is none of best-effort, equal-share, fixed-share"
WEIGHT = "is not a whole number from 1 to 10000"
SLICE = "is not a time from 100us to 100ms; write it as 2ms or 500us"
UNKNOWN = "there is no instance 'nosuch'; `vgpu instance list` shows those that exist"

# What run and set refuse alike.
WRONG = [
    ("--compute", "0%", RANGE), ("--compute", "101%", RANGE), ("--compute", "-5%", PERCENT), ("--compute", "abc", PERCENT),
    ("--compute", "", PERCENT), ("--compute", "30", "lacks its unit: of the device's time write for example 30%"),
    ("--policy", "fair", POLICY), ("--policy", "fixed_share", POLICY), ("--priority", "urgent", "is none of low, normal, high"),
    ("--weight", "0", WEIGHT), ("--weight", "10001", WEIGHT), ("--weight", "two", WEIGHT),
    ("--time-slice", "1s", SLICE), ("--time-slice", "2", SLICE), ("--time-slice", "50us", SLICE),
]


def terms(place, name):
    shown = place.instance(name)
    return [shown[key] for key in TERMS]


def all_terms(place):
    return [[i["name"], i["memory_limit_bytes"], *[i[key] for key in TERMS]] for i in place.json("instance", "list")["instances"]]


def shares_are_granted_shown_and_changed():
    place = Place(DEVICE)
    a = place.start(["--name", "a", "--memory", "1G", "--compute", "30%", *HERE], [DOORS])
    equal(terms(place, "a"), ["fixed-share", 300, 1, "normal", 0], "--compute alone is a fixed share")
    b = place.start(["--name", "b", "--memory", "1G", *HERE], [DOORS])
    equal(terms(place, "b"), ["best-effort", 0, 1, "normal", 0], "without it an instance is best-effort")
    c = place.start(["--name", "c", "--memory", "1G", "--compute", "12.5%", "--policy", "best-effort", "--weight", "2", "--priority", "high",
                     "--time-slice", "500us", *HERE], [DOORS])
    equal(terms(place, "c"), ["best-effort", 125, 2, "high", 500000], "all terms are taken")

    lines = place.vgpu("instance", "list").stdout.splitlines()
    ok(all(len(line) <= 120 for line in lines), "no line of the list is longer than 120")
    equal([re.split("  +", line)[6] for line in lines[1:]], ["fixed 30%", "best", "best 12.5% x2, high"], "it has the terms in one column") or \
        print("# " + "\n# ".join(lines))
    text = place.vgpu("instance", "show", "c").stdout
    ok(all(len(line) <= 120 for line in text.splitlines()), "no line of show is longer than 120") or print(text)
    fields = dict(re.findall(r"^([a-z ]+): +(.*)$", text, re.M))
    equal([fields.get(k) for k in ("policy", "share", "weight", "priority", "time slice")], ["best-effort", "12.5%", "2", "high", "500 us"],
          "show has them by name")

    device = place.json("device", "list", "--all")["devices"][0]
    equal(device["compute_reserved_permille"] + device["compute_free_permille"], 1000, "what is reserved and free of a device's time is all of it")
    ok(device["compute_reserved_permille"] >= 300, "fixed shares are reserved")
    head, row = (re.split("  +", x.strip()) for x in place.vgpu("device", "list", "--all").stdout.splitlines()[:2])
    equal(row[head.index("COMPUTE")], f"{device['compute_free_permille'] / 10:.1f}%", "device list shows what is free")

    done = place.vgpu("instance", "set", "b", "--memory", "512M", "--policy", "equal-share", "--weight", "3", "--priority", "low",
                      "--time-slice", "2ms")
    equal([place.instance("b")["memory_limit_bytes"], *terms(place, "b")], [GIB // 2, "equal-share", 0, 3, "low", 2000000],
          "set changes all in one request")
    ok("equal-share" in done.stdout, "and prints what holds now")
    place.vgpu("instance", "set", "b", "--weight", "5")
    equal(terms(place, "b"), ["equal-share", 0, 5, "low", 2000000], "what is not named stays")
    place.vgpu("instance", "set", "a", "--compute", "45%")
    equal(terms(place, "a")[:2], ["fixed-share", 450], "a share is changed while it runs")
    for program in (a, b, c):
        program.quit()
    place.close()


def wrong_terms_are_refused_and_nothing_changes():
    place = Place(DEVICE)
    a = place.start(["--name", "a", "--memory", "1G", "--compute", "60%", *HERE], [DOORS])
    before = all_terms(place)
    for option, text, why in WRONG:
        for args, status in ((["run", "--memory", "1G", option, text, "--", "true"], 125), (["instance", "set", "a", "--memory", "2G", option, text], 2)):
            done = place.vgpu(*args, check=False)
            command = "vgpu run" if args[0] == "run" else "vgpu instance set"
            equal((done.returncode, done.stdout, done.stderr), (status, "", f"{command}: {option}: '{text}' {why}\n"),
                  f"{command} {option} {text or repr(text)}")
    for args, status, said in (
            (["instance", "set", "a"], 2, "vgpu instance set: expected something to set: --memory, --compute, --policy, --weight, --priority or "
                                          "--time-slice; vgpu instance set --help shows how"),
            (["instance", "set", "a", "--overcommit"], 2, None),
            (["instance", "set", "nosuch", "--compute", "30%"], 1, f"vgpu instance set: {UNKNOWN}"),
            (["explain", "nosuch"], 1, f"vgpu explain: {UNKNOWN}"),
            (["explain"], 2, "vgpu explain: expected one instance, by name or id; vgpu explain --help shows how"),
            (["run", "--memory", "1G", "--policy", "fixed-share", *HERE, "--", "true"], 125, None)):
        done = place.vgpu(*args, check=False)
        equal((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1), " ".join(args)) or print(f"# {done.stderr}")
        if said:
            equal(done.stderr, said + "\n", "is told why")
    equal(all_terms(place), before, "after all of them there are the instances of before, with the terms of before")
    a.quit()
    place.close()


def fixed_shares_over_all_are_refused_with_who_holds_them():
    place = Place(DEVICE)
    a = place.start(["--name", "holder", "--memory", "1G", "--compute", "60%", *HERE], [DOORS])
    b = place.start(["--name", "second", "--memory", "1G", "--compute", "30%", *HERE], [DOORS])
    before = all_terms(place)
    for args, status in ((["run", "--memory", "1G", "--compute", "20%", *HERE, "--", "true"], 125),
                         (["instance", "set", "second", "--compute", "50%", "--memory", "2G"], 1),
                         (["instance", "set", "second", "--memory", "999G", "--compute", "35%"], 1)):
        done = place.vgpu(*args, check=False)
        equal((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1), " ".join(args[:6])) or print(f"# {done.stderr}")
        if "999G" not in args:
            ok("holder" in done.stderr and "60" in done.stderr, "names who holds what") or print(f"# {done.stderr}")
    equal(all_terms(place), before, "nothing changed, not even the member that would have been fine")
    place.vgpu("instance", "set", "second", "--compute", "40%")
    equal(terms(place, "second")[1], 400, "exactly all is not over all")
    a.quit()
    b.quit()
    place.close()


def a_daemon_that_cannot_be_reached_has_one_message():
    place = Place(DEVICE)
    missing = str(place.dir / "none.sock")
    place.env["VGPU_SOCKET"] = missing
    for args, status in ((["explain", "a"], 1), (["instance", "set", "a", "--compute", "30%"], 1), (["run", "--compute", "30%", "--", "true"], 125)):
        done = place.vgpu(*args, check=False)
        command = " ".join(args[:2] if args[0] == "instance" else args[:1])
        equal((done.returncode, done.stdout, done.stderr), (status, "", f"vgpu {command}: vgpud at {missing} cannot be reached: No such file or "
                                                                        "directory\n"), f"vgpu {command} without a socket")
    if os.geteuid() == 0:
        path = place.dir / "own.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0o600)
            place.dir.chmod(0o755)
            place.env["VGPU_SOCKET"] = str(path)
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", VGPU, "explain", "a"], env=place.env,
                                  capture_output=True, text=True, timeout=60)
            if done.returncode == 127 or "setpriv" in done.stderr:
                ok(True, "another user's socket # SKIP another user may not reach the install tree")
            else:
                equal((done.returncode, done.stderr), (1, f"vgpu explain: vgpud at {path} belongs to another user; set VGPU_RUNTIME_DIR to a "
                                                          "directory of your own to use your own\n"), "another user's socket")
    place.close()


# ---- usage ----

def a_run_tells_what_it_used():
    place = Place(DEVICE)
    path = place.dir / "usage.json"
    path.write_text("what was there before, which is longer than nothing" * 100)
    script = f"echo 'take alloc {GIB // 2}'; echo 'take alloc {GIB}'; sleep 0.2; exit 0"
    done = place.vgpu("run", "--name", "u", "--memory", "1G", "--compute", "30%", "--usage", "--usage-file", str(path), *HERE, "--", "sh", "-c",
                      f"({script}) | {DOORS}; exit 7", check=False)
    usage = json.loads(path.read_text())
    equal(list(usage), USAGE, "the record has its figures, in their order")
    equal((done.returncode, usage["exit_status"], usage["name"], usage["problem"]), (7, 7, "u", None), "of this run")
    ok(GIB // 2 <= usage["memory_peak_bytes"] <= 700 << 20, "the most memory it had, not its limit") or print(f"# {usage}")
    equal((usage["memory_limit_bytes"], usage["policy"], usage["share_permille"], usage["denied_total"]), (GIB, "fixed-share", 300, 1),
          "what it might have had, and what was refused")
    ok(200e6 <= usage["wall_ns"] < 30e9, "how long it took")
    ok(all(isinstance(usage[k], int) for k in USAGE if k.endswith("_total")), "no figure is missing")
    equal(usage["achieved_permille"], int(usage["gpu_time_ns_total"] * 1000 / usage["wall_ns"] + 0.5), "its part of the time is what it used by the time")
    equal([d["kind"] for d in usage["devices"]], ["software"], "and each device has its own")
    ok(re.search(r"^vgpu run: u ended with status 7 after .*\n  memory     .* at most, of 1.00 GiB\n  GPU time   .*; its share is 30.0%\n"
                 r"  copy time  .*\n  held back  .*\n  denied     allocations: 1\n\Z", done.stderr, re.M), "a person reads it") or print(f"# {done.stderr}")

    done = place.vgpu("run", "--memory", "1G", "--json", *HERE, "--", "sh", "-c", "kill -9 $$", check=False)
    usage = json.loads(done.stderr)
    equal((done.returncode, usage["exit_status"], usage["memory_peak_bytes"]), (137, 137, 0), "--json: as JSON; a killed command has a record too")
    done = place.vgpu("run", "--memory", "999G", "--usage-file", str(path), *HERE, "--", "true", check=False)
    usage = json.loads(path.read_text())
    equal((usage["exit_status"], usage["instance"], done.stderr), (125, None, f"vgpu run: {usage['problem']}\n"), "and one that was refused")
    done = place.vgpu("run", "--usage-file", str(place.dir / "no/dir"), *HERE, "--", "touch", str(place.dir / "ran"), check=False)
    equal((done.returncode, done.stderr), (125, f"vgpu run: --usage-file: '{place.dir}/no/dir' cannot be written: No such file or directory\n"),
          "a file that cannot be written")
    ok(not (place.dir / "ran").exists(), "is refused before anything runs")
    place.close()


def a_run_without_its_daemon_says_that_its_figures_are_not_known():
    place = Place(DEVICE)
    path = place.dir / "usage.json"
    run = subprocess.Popen([VGPU, "run", "--name", "u", "--memory", "1G", "--usage", "--usage-file", str(path), *HERE, "--", "sh", "-c",
                            "read line; exit 3"], env=place.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: place.vgpu("instance", "show", "u", check=False).returncode == 0, 10)
    for pid in place.daemons():
        os.kill(pid, signal.SIGKILL)
    _, said = run.communicate("go\n", timeout=30)
    usage = json.loads(path.read_text())
    equal((run.returncode, usage["exit_status"], usage["problem"], usage["memory_peak_bytes"], usage["gpu_time_ns_total"]),
          (3, 3, "vgpud has ended", None, None), "unknown figures are null, and the status is the command's")
    ok("  what it used is not known: vgpud has ended\n" in said, "which is said") or print(f"# {said}")
    place.close()


# ---- waiting ----

def who_waits_at_a_terminal_sees_that_it_does():
    place = Place(DEVICE)
    holder = place.start(["--name", "holder", "--memory", "1G", "--compute", "60%", *HERE], [DOORS])
    parent, child = pty.openpty()
    run = subprocess.Popen([VGPU, "run", "--memory", "1G", "--compute", "50%", "--wait", *HERE, "--", "true"], env=place.env, stdin=subprocess.DEVNULL,
                           stderr=child, start_new_session=True)
    os.close(child)
    said, begin = b"", time.monotonic()
    while b"waiting for" not in said and time.monotonic() - begin < 30:
        said += os.read(parent, 4096)
    lines = said.decode().split("\r\n")
    ok(re.match(r"vgpu: waiting, number 1 in line: 50% .* was asked for, but 40% is free .*holder 60%", lines[0]), "for what, and where in the line") or print(f"# {lines}")
    equal(lines[1], "vgpu: waiting for 10.0 s now, number 1 in line", "and now and then for how long")
    holder.quit()
    equal(run.wait(30), 0, "until it runs")
    os.close(parent)
    place.close()


# ---- explain ----

def explain_says_why_memory_was_refused():
    place = Place(DEVICE)
    a = place.start(["--name", "a", "--memory", "1G", "--compute", "30%", *HERE], [DOORS])
    b = place.start(["--name", "b", "--memory", "2G", *HERE], [DOORS])
    equal(place.vgpu("explain", "a").stdout.splitlines()[1:], ["Nothing of it was refused or held back since it began."], "at first there is nothing")
    equal(place.json("explain", "a")["findings"], [], "in JSON too")
    equal((a.ask("take", "alloc", GIB // 2)[:2], a.ask("take", "alloc", 768 << 20)), ("ok", "CUDA_ERROR_OUT_OF_MEMORY"), "one is refused")
    text = place.vgpu("explain", "a").stdout
    pid = place.instance("a")["clients"][0]["pid"]
    ok(re.search(rf"^vgpu Software GPU: memory refused .* ago\n  cuMemAlloc(_v2)? of process {pid} \(memory_doors\) asked for 768 MiB, but .* of the "
                 r"limit of 1.00 GiB was in use\.$", text, re.M), "which call, of whom, for how much") or print(f"# {text}")
    ok(re.search(r"^  Also on it: b holds .* of its 2.00 GiB and had .* \(best-effort, priority normal\)\.$", text, re.M), "who else is there")
    fix = re.search(r"What to do: .*: vgpu (instance set a --memory \d+M)$", text, re.M)
    ok(fix, "what to do") and place.vgpu(*fix[1].split())
    equal(a.ask("take", "alloc", 768 << 20)[:2], "ok", "which helps")
    finding = place.json("explain", "a")["findings"][0]
    equal((finding["kind"], finding["note"]["why"], finding["note"]["pid"], len(finding["happened"])), ("denied", "limit", pid, 3), "in JSON the same")
    a.quit()
    b.quit()
    place.close()


def explain_tells_a_full_device_from_a_full_limit():
    place = Place(DEVICE)
    a = place.start(["--name", "a", "--memory", "4G", *HERE], [DOORS])
    b = place.start(["--name", "b", "--memory", "4G", "--overcommit", *HERE], [DOORS])
    for door in ("alloc", "async", "managed"):
        equal((a.ask("take", door, 3 * GIB)[:2], b.ask("take", door, 2 * GIB)), ("ok", "CUDA_ERROR_OUT_OF_MEMORY"), f"{door}: the device is full")
        text = place.vgpu("explain", "b").stdout
        ok(re.search(r"^  cuMem\w+ of process \d+ \(memory_doors\) asked for 2.00 GiB, which the limit allows \(.* of 4.00 GiB was in use\), but the "
                     r"device itself had no more memory\.$", text, re.M), f"{door}: which is said") or print(f"# {text}")
        ok("Also on it: a holds 3." in text and "Instances with --overcommit were given more than the device has" in text, "with who has it") or \
            print(f"# {text}")
        a.ask("free", "all")
        equal(b.ask("take", door, 2 * GIB)[:2], "ok", "then there is room")
        b.ask("free", "all")
    equal(place.instance("b")["denied_total"], 0, "the limit refused nothing")
    a.quit()
    done = place.vgpu("explain", "b").stdout
    b.quit()
    ok("a holds" not in done, "who has left is not named")
    place.close()


def explain_and_usage_say_how_a_share_was_kept():
    place = Place("memory=4G,time=paced")
    path = place.dir / "usage.json"
    run = subprocess.Popen([VGPU, "run", "--name", "a", "--memory", "1G", "--compute", "20%", "--usage-file", str(path), *HERE, "--", BUSY, "2000",
                            "2000"], env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found = []

    def is_held():
        done = place.vgpu("explain", "a", "--json", check=False)
        found[:] = [f for f in json.loads(done.stdout)["findings"] if f["kind"] == "held"] if done.returncode == 0 else []
        return found and found[0]["note"]["why"] == "debt"

    ok(wait_for(is_held, 5) is not None, "a launch beyond the share is held back, which is written down") or print(f"# {found}")
    text = place.vgpu("explain", "a").stdout
    ok(re.search(r"^vgpu Software GPU: held back .* ago\n  cuLaunchKernel of process \d+ \(busy\) was held back for .*: the instance's share of the "
                 r"time was used up\.\n  It is fixed-share: 20% of the device's time; it had .*% in the last second\.$", text, re.M),
       "and explained") or print(f"# {text}")
    fix = re.search(r"What to do: Give it more, 80% of the time is free: vgpu (instance set a --policy fixed-share --compute 100%)$", text, re.M)
    ok(fix, "with what to do") and place.vgpu(*fix[1].split())
    equal(terms(place, "a")[:2], ["fixed-share", 1000], "which is a command that works")
    out, said = run.communicate(timeout=30)
    usage = json.loads(path.read_text())
    equal((run.returncode, usage["exit_status"], said), (0, 0, ""), "the run ends well")
    ok(usage["gpu_time_ns_total"] > 0 and usage["throttled_total"] > 0 and usage["throttled_ns_total"] > 0,
       "its GPU time and its waits are in the record") or print(f"# {usage}")
    equal(usage["devices"][0]["gpu_time_ns_total"], usage["gpu_time_ns_total"], "of the one device it has")
    place.close()


run_tests(shares_are_granted_shown_and_changed, wrong_terms_are_refused_and_nothing_changes, fixed_shares_over_all_are_refused_with_who_holds_them,
          a_daemon_that_cannot_be_reached_has_one_message, a_run_tells_what_it_used,
          a_run_without_its_daemon_says_that_its_figures_are_not_known, who_waits_at_a_terminal_sees_that_it_does,
          explain_says_why_memory_was_refused, explain_tells_a_full_device_from_a_full_limit, explain_and_usage_say_how_a_share_was_kept)
