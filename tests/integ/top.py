#!/usr/bin/env python3
"""`vgpu top` on a terminal and without one: it shows what `vgpu instance list` says, keys do what they say, narrow and changing
terminals are drawn on within their bounds, and however it ends the terminal is as it was before."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from harness import GIB, MIB, PROGRAMS, STAGE, VGPU, Place, equal, ok, run_tests, wait_for
from terminal import Terminal

BUSY, DOORS = str(PROGRAMS / "busy"), str(PROGRAMS / "memory_doors")
COLUMNS = ["NAME", "STATE", "SHARE", "QUOTA", "THROTTLED", "USED", "LIMIT", "PEAK", "DENIED", "QUEUED", "PRIORITY", "POLICY"]


def two_tenants():
    place = Place("memory=8G,time=asap")
    place.env.update(TERM="xterm", LC_ALL="C.UTF-8")
    place.env.pop("NO_COLOR", None)
    big = place.start(["--name", "big", "--memory", "2G", "--device", "software"], [DOORS])
    small = place.start(["--name", "small", "--memory", "512M", "--device", "software"], [DOORS])
    big.ask("take", "alloc", 900 * MIB)
    small.ask("take", "alloc", GIB)  # denied
    return place, big, small


def top(place, *options, columns=100, rows=24, **env):
    terminal = Terminal([VGPU, "top", "--interval", "100ms", *options], {**place.env, **env}, columns, rows)
    place.programs.append(terminal.process)
    return terminal


def once_is_one_plain_table():
    place, _, _ = two_tenants()
    done = place.vgpu("top", "--once", "--sort", "used")
    lines = done.stdout.splitlines()
    equal(lines[0].split(), COLUMNS, "--once: a head with every column")
    equal([line.split()[0] for line in lines[1:]], ["0", "big", "small"], "then the device and the instances on it, as sorted")
    row = place.instance("small")
    ok(row["denied_total"] == 1 and lines[3].split()[2:] and " 1 " in lines[3], "the denied allocation is there")
    ok("\033" not in done.stdout and done.stderr == "", "no control characters, nothing on standard error")
    ok(all(line == line.rstrip() for line in lines), "no blanks at the ends of lines")
    equal(place.vgpu("top").stdout.splitlines()[0].split(), COLUMNS, "without a terminal it is the same without --once")
    processes = place.vgpu("top", "--once", "--processes").stdout
    ok(str(place.instance("big")["clients"][0]["pid"]) + " memory_doors" in processes, "--processes: with pid and command")
    equal(len(place.vgpu("top", "--once", "--filter", "SMA").stdout.splitlines()), 3, "--filter: head, device, the one instance")
    place.close()


def json_has_the_names_and_values_of_instance_list():
    place, _, _ = two_tenants()
    place.json("instance", "show", "big")  # asks the driver first, so that its word is not older in one than in the other
    place.json("instance", "show", "small")
    document, instances = place.json("top", "--sort", "name"), place.json("instance", "list")["instances"]
    equal(sorted(document), ["daemon", "devices", "instances", "time_ms"], "--json: one document")
    figures = {"memory_used_bytes", "memory_limit_bytes", "memory_peak_bytes", "denied_total", "state", "id", "client_count"}
    for got, want in zip(document["instances"], sorted(instances, key=lambda row: row["name"])):
        equal({key: got[key] for key in figures}, {key: want[key] for key in figures}, f"{want['name']}: as in vgpu instance list")
        equal(sorted(got), sorted(want), f"{want['name']}: the same members")
    equal(sorted(document["devices"][0]), sorted(place.json("device", "list")["devices"][0]), "devices as in vgpu device list")
    equal([row["name"] for row in place.json("top", "--filter", "big")["instances"]], ["big"], "--filter holds for it too")
    place.close()


def keys_do_what_they_say():
    place, big, _ = two_tenants()
    screen = top(place, "--sort", "name")
    ok(screen.sees(">0 vgpu Software G") and screen.sees("  big"), "the tree is drawn")
    ok(screen.sees("every 0.1 s, by name"), "with a line that sums it up")
    ok(screen.screen.second and not screen.screen.cursor_shown, "on the second screen, without a cursor")
    screen.type("j")
    ok(screen.sees(">  big"), "j selects the next row")
    ok(screen.sees("share of big on vgpu Software GPU"), "whose history is below")
    screen.type("\033[B")
    ok(screen.sees(">  small"), "so does the Down key")
    screen.type("\033[A\033[A\033[A")
    ok(screen.sees(">0 vgpu"), "Up, more often than there are rows, ends at the first")
    screen.type("r")
    ok(screen.wait_for(lambda s: s.text().find("  small") < s.text().find("  big")), "r turns the order around")
    screen.type("/sma")
    ok(screen.sees("filter: sma") and screen.sees_not("  big"), "/ filters while it is typed")
    screen.type("\033")
    ok(screen.sees("  big"), "Esc gives it up")
    screen.type("/big\r")
    ok(screen.sees("with big") and screen.sees_not("  small"), "Enter keeps it")
    screen.type("p")
    ok(screen.sees(f"{place.instance('big')['clients'][0]['pid']} memory_"), "p shows processes")
    screen.type("p")
    ok(screen.sees_not("memory_"), "and hides them")
    screen.type("h")
    ok(screen.sees("Up, Down, j, k"), "h explains the keys")
    screen.type("x")
    ok(screen.sees_not("Up, Down, j, k"), "and any key leaves that")
    screen.type("s")
    ok(screen.sees("by state"), "s sorts by the next column")
    big.ask("take", "alloc", 100 * MIB)
    used = place.instance("big")["memory_used_bytes"] / MIB
    ok(screen.sees(f"{used / 1024:.2f} GiB"), "figures follow the tenant")
    screen.type("q")
    equal(screen.wait(), 0, "q quits")
    ok(screen.is_as_before(), "and the terminal is as before")
    equal((screen.screen.unknown, screen.screen.overflow), ([], 0), "no unknown control sequence, no line too long")
    screen.close()
    place.close()


def every_way_out_gives_the_terminal_back():
    place, _, _ = two_tenants()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        screen = top(place)
        ok(screen.sees("  big"), f"{number.name}: it runs")
        screen.process.send_signal(number)
        equal(screen.wait(), -number, f"{number.name}: ended by it")
        ok(screen.is_as_before(), f"{number.name}: the terminal is as before")
        screen.close()
    screen = top(place)
    screen.sees("  big")
    screen.type("\003")
    equal(screen.wait(), -signal.SIGINT, "Ctrl-C ends it")
    ok(screen.is_as_before(), "and the terminal is as before")
    screen.close()
    place.close()


def stopping_gives_the_terminal_back_meanwhile():
    place, _, _ = two_tenants()
    screen = top(place)
    screen.sees("  big")
    screen.process.send_signal(signal.SIGTSTP)
    stat = f"/proc/{screen.process.pid}/stat"
    ok(wait_for(lambda: open(stat, encoding="utf-8").read().split()[2] == "T", 5) is not None, "SIGTSTP stops it")
    ok(screen.is_as_before(), "with the terminal given back")
    screen.screen.clear()
    screen.process.send_signal(signal.SIGCONT)
    ok(screen.sees("  big") and screen.screen.second, "going on it draws again")
    screen.type("q")
    equal(screen.wait(), 0, "and quits")
    screen.close()
    place.close()


def narrow_and_changing_terminals():
    place, _, _ = two_tenants()
    screen = top(place)
    ok(screen.sees("QUEUED"), "100 columns have QUEUED")
    screen.resize(80, 24)
    ok(screen.sees("LIMIT") and screen.sees_not("QUEUED"), "80 columns go without it")
    screen.resize(40, 12)
    ok(screen.sees("SHARE") and screen.sees_not("LIMIT"), "40 columns without more")
    screen.resize(12, 4)
    ok(screen.sees("NAME"), "12 columns and 4 rows are drawn on too")
    screen.resize(200, 50)
    ok(screen.sees("POLICY") and screen.sees("HISTORY"), "200 have all, and history")
    screen.resize(1, 1)
    screen.pump(0.3)
    screen.resize(100, 24)
    ok(screen.sees("  big"), "one cell does not end it")
    equal((screen.screen.unknown, screen.screen.overflow), ([], 0), "nothing was drawn outside")
    screen.type("q")
    equal(screen.wait(), 0, "it quits")
    screen.close()
    place.close()


def colours_and_blocks_where_they_are_welcome():
    place, _, _ = two_tenants()
    for env, has in (({}, True), ({"NO_COLOR": "1"}, False)):
        screen = top(place, **env)
        screen.sees("  big")
        equal(bool(screen.screen.colours & set(range(30, 48))), has, f"{env or 'plain'}: colours {'are' if has else 'are not'} used")
        screen.type("q")
        screen.wait()
        screen.close()
    for term in ("dumb", ""):
        screen = top(place, TERM=term)
        equal(screen.wait(), 0, f"TERM '{term}': one table, and it ends")
        ok("small" in screen.screen.text() and not screen.screen.colours and not screen.screen.second, "without terminal control")
        screen.close()
    place.close()


def vgpud_comes_and_goes():
    place, _, _ = two_tenants()
    screen = top(place, columns=160)
    screen.sees("  big")
    vgpud = [pid for pid in place.daemons() if open(f"/proc/{pid}/comm", encoding="utf-8").read().strip() == "vgpud"][0]
    os.kill(vgpud, signal.SIGSTOP)
    screen.type("j")
    ok(screen.sees(">  "), "while vgpud does not answer, keys work")
    ok(screen.sees("figures of", 15) and screen.sees("did not answer within 3 s"), "and the screen says that figures are old, and why")
    os.kill(vgpud, signal.SIGCONT)
    ok(screen.sees_not("figures of"), "and no longer, when it goes on")
    os.kill(vgpud, signal.SIGKILL)
    ok(screen.sees("cannot be reached") or screen.sees("ended before it answered"), "it says that vgpud ended")
    ok("  big" in screen.screen.text(), "with the last figures still there")
    place.vgpu("device", "list")  # starts another one
    ok(screen.sees_not("figures of"), "and finds the next one")
    screen.type("q")
    equal(screen.wait(), 0, "it quits")
    screen.close()
    place.close()


def names_of_commands_cannot_steer_the_terminal():
    place = Place("memory=8G,time=asap")
    evil = place.dir / "evil\033[2J"
    shutil.copy(DOORS, evil)
    place.start(["--name", "evil", "--memory", "1G", "--device", "software"], [str(evil)])
    for args in (["top", "--once", "--processes"], ["instance", "show", "evil"]):
        text = place.vgpu(*args).stdout
        ok("evil?[2J" in text and "\033" not in text, f"vgpu {' '.join(args)}: a control character in a command's name is shown as '?'")
    place.close()


def wrong_use_is_named():
    place = Place("memory=1G,time=asap")
    for args, why in ((["--sort", "colour"], "there is no column 'colour' to sort by"), (["--interval", "1ms"], "--interval: '1ms' is too short"),
                      (["--interval", "often"], "--interval: 'often' is not a time"), (["--filter", "x" * 64], "--filter: 'xxx"),
                      (["more"], "expected no arguments")):
        done = place.vgpu("top", *args, check=False)
        equal((done.returncode, done.stderr.startswith("vgpu top: " + why)), (2, True), f"{args}: {why}")
    place.env["VGPU_SOCKET"] = str(place.dir / "nobody.sock")
    done = place.vgpu("top", "--once", check=False)
    equal((done.returncode, "cannot be reached" in done.stderr), (1, True), "without vgpud, where it may not be started: one line")
    equal(place.vgpu("top", "--json", check=False).stdout, "", "and no document")
    place.close()


def other_users_see_their_own():
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() or subprocess.run([*as_nobody, "test", "-x", VGPU], capture_output=True).returncode:
        ok(True, "other users # SKIP needs root, and an install tree that others reach")
        return
    place = Place("memory=8G,time=asap")
    os.chmod(place.dir, 0o755)
    place.programs.append(subprocess.Popen([str(STAGE / "bin/vgpud"), "--system"], env=place.env, stderr=subprocess.DEVNULL))
    ok(wait_for((place.dir / "run/vgpud.sock").exists, 10) is not None, "a vgpud for all users")
    place.start(["--name", "roots", "--memory", "1G", "--device", "software"], [DOORS])
    equal([row["name"] for row in place.json("top")["instances"]], ["roots"], "root sees the instance")
    env = {**place.env, "VGPU_SOCKET": str(place.dir / "run/vgpud.sock")}
    done = subprocess.run([*as_nobody, VGPU, "top", "--json"], env=env, capture_output=True, text=True, timeout=60)
    document = json.loads(done.stdout)
    device = document["devices"][0]
    equal((document["instances"], device["memory_reserved_bytes"], device["instance_count"], device["used_permille"]), ([], GIB, 1, 0),
          "another user sees the device's totals and not the instance")
    done = subprocess.run([*as_nobody, VGPU, "metrics", "--once"], env=env, capture_output=True, text=True, timeout=60)
    equal((done.returncode, "roots" in done.stdout, "vgpu_daemon_instances 1\n" in done.stdout), (0, False, True), "the same in metrics")
    place.close()


def shares_are_shown_as_they_are_used():
    place = Place("memory=8G,time=paced")
    place.env.update(TERM="xterm", LC_ALL="C.UTF-8")
    for name, options in (("third", ["--compute", "30%"]), ("rest", ["--priority", "low"])):
        place.programs.append(subprocess.Popen([VGPU, "run", "--name", name, "--memory", "1G", "--device", "software", *options, "--", BUSY, "8000", "500"],
                                               env=place.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    rows = lambda: {row["name"]: row["devices"][0] for row in place.json("top")["instances"]}
    ok(wait_for(lambda: "third" in rows() and rows()["third"]["used_permille"] > 250, 5) is not None, "a share of 30 % is used")
    # Figures are of the last second, and of less where an instance is younger: then they move while the answers come.
    ok(wait_for(lambda: rows()["third"]["gpu_time_ns_total"] > 450_000_000, 5) is not None, "for more than a second")
    document = place.json("top")
    used = sum(row["devices"][0]["used_permille"] for row in document["instances"])
    ok(abs(document["devices"][0]["used_permille"] - used) <= 50, f"the device's figure is the sum of its instances' ({used})")
    screen = top(place, "--sort", "name", columns=200)
    ok(screen.wait_for(lambda s: re.search(r"third +running +(2[5-9]|3[0-5])\.\d% +30\.0% +[1-9]\d*ms/s", s.text())), "share, quota and time held back are shown")
    ok(screen.wait_for(lambda s: re.search(r"rest .* low +best-effort", s.text())), "and priority and policy")
    screen.type("jj")
    ok(screen.sees("share of third on vgpu Software GPU: ") and screen.wait_for(lambda s: len(re.findall("[\u2581-\u2588]", s.lines()[-3])) > 5),
       "with a history line that grows")
    ok(screen.wait_for(lambda s: re.search(r"held back \d\.\d s ago: cuLaunchKernel for \d+\.\d ms \(debt\)", s.text())), "and the last call that was held back")
    screen.type("q")
    equal(screen.wait(), 0, "it quits")
    screen.close()
    for tenant in place.programs:
        tenant.wait(30)
    place.close()


def many_instances_scroll():
    place = Place("memory=64G,time=asap")
    place.env.update(TERM="xterm", LC_ALL="C.UTF-8")
    names = [f"i{n:03}" for n in range(150)]  # more than one answer of vgpud's holds
    for name in names:
        place.programs.append(subprocess.Popen([VGPU, "run", "--name", name, "--memory", "2M", "--device", "software", "--", "sleep", "120"], env=place.env,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    ok(wait_for(lambda: len(place.json("instance", "list")["instances"]) == len(names), 60) is not None, "150 instances")
    begin = time.monotonic()
    equal(len(place.json("top")["instances"]), len(names), "--json has all")
    print(f"# {time.monotonic() - begin:.3f} s for 150 instances")
    screen = top(place, "--sort", "name")
    ok(screen.sees("i000"), "the first ones are shown")
    screen.type("G")
    ok(screen.sees(">  i149") and screen.sees_not("i000"), "G goes to the last")
    screen.type("g")
    ok(screen.sees("i000"), "g to the first")
    screen.type("q")
    equal(screen.wait(), 0, "it quits")
    screen.close()
    for tenant in place.programs:
        tenant.terminate()  # passed on to the command
    for tenant in place.programs:
        tenant.wait(30)
    place.close()


run_tests(once_is_one_plain_table, json_has_the_names_and_values_of_instance_list, keys_do_what_they_say, every_way_out_gives_the_terminal_back,
          stopping_gives_the_terminal_back_meanwhile, narrow_and_changing_terminals, colours_and_blocks_where_they_are_welcome,
          vgpud_comes_and_goes, names_of_commands_cannot_steer_the_terminal, wrong_use_is_named, other_users_see_their_own,
          shares_are_shown_as_they_are_used, many_instances_scroll)
