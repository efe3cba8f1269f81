#!/usr/bin/env python3
"""Every way in that a program has to the driver is limited, refused or reported; none is free and silent. One row a way, once by
each way-in of `vgpu run`: what is measured must be what docs/ways-in.md says (`ways_in.py --write` writes it there).

    limited    it asked for 2 GiB of a 1 GiB slice and got CUDA_ERROR_OUT_OF_MEMORY
    refused    it does not get as far as that
    shown      NVML only, which gives no memory: it shows the whole device and not the slice
    reported   it got them, and `vgpu device list` names the process as one that nobody limits

Needs root, who plays the ordinary user as well. Everything happens in mount and process namespaces of the test's own, where /run is
empty, so that also a program without any environment finds no other device than this test's."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys

from harness import GIB, PROGRAMS, STAGE, VGPU, need_other_users, need_own_root, ok, run_tests, wait_for

if "VGPU_SANITIZED" in os.environ:
    print("1..0 # SKIP a sanitizer takes part in how a program loads libraries, so its ways in are not the program's")
    sys.exit(0)
if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
    print("1..0 # SKIP needs root that may make namespaces: it is root and another user in turn")
    sys.exit(0)
if "WAYS_IN_INSIDE" not in os.environ:
    need_own_root()
    need_other_users()
    os.environ["WAYS_IN_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                          'mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"', "sh", sys.executable, *sys.argv])

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/ways-in.md"
BEGIN, END = "<!-- measured by tests/integ/ways_in.py -->\n", "<!-- end -->\n"
DRIVER = str(STAGE / "lib/vgpu/softgpu/libcuda.so.1")
ASK_MIB = "2048"
UID = 61000 + os.getpid() % 4000
USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
OWN = pathlib.Path("/run/programs")
BROUGHT = pathlib.Path("/run/brought")  # a driver that nobody can know of
INSTALLED = pathlib.Path("/run/driver")  # a driver as an installer leaves it, in a directory that ld.so.conf names


def program(name, way="linked", driver=DRIVER):
    return [str(PROGRAMS / name), way, driver, ASK_MIB]


def own(name):
    """A copy of the program with the driver's path in it, for which setup() has set more rights."""
    return [str(OWN / name), "linked", DRIVER, ASK_MIB]


def setup():
    OWN.mkdir()
    for name in ("setuid", "capable"):
        shutil.copy(PROGRAMS / "ways_in_rpath", OWN / name)
    (OWN / "setuid").chmod(0o4755)
    BROUGHT.mkdir()
    shutil.copy(DRIVER, BROUGHT / "libcuda.so.1")
    INSTALLED.mkdir()
    shutil.copy(DRIVER, INSTALLED / "libcuda.so.580.65.06")
    (INSTALLED / "libcuda.so.1").symlink_to("libcuda.so.580.65.06")
    conf = pathlib.Path("/run/ld.so.conf")
    conf.write_text(f"{INSTALLED}\ninclude /etc/ld.so.conf.d/*.conf\n")
    subprocess.run(["mount", "--bind", str(conf), "/etc/ld.so.conf"], check=True)
    subprocess.run(["setcap", "cap_net_raw+ep", str(OWN / "capable")], check=True)


class Tenant:
    """Who runs vgpu: root, or the ordinary user."""

    def __init__(self, user):
        self.user = user
        self.prefix = USER if user else []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("VGPU_", "LD_", "XDG_"))}

    def run(self, *command):
        return subprocess.run([*self.prefix, *command], env=self.env, capture_output=True, text=True, timeout=60)

    def start(self, *command):
        return subprocess.Popen([*self.prefix, *command], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd="/")

    def not_limited(self):
        devices = json.loads(self.run(VGPU, "device", "list", "--all", "--json").stdout)["devices"]
        return [p for d in devices for p in d["not_limited"]]

    def measure(self, process):
        line = process.stdout.readline().strip()
        outcome = line.split(" ")[0] or "refused"
        if outcome == "free" and wait_for(lambda: any((p["driver_bytes"] or 0) >= 2 * GIB for p in self.not_limited()), 5) is not None:
            outcome = "reported"
        process.stdin.close()
        process.wait(30)
        why = line or process.stderr.read().strip()
        process.stdout.close()
        process.stderr.close()
        print(f"# {outcome}: {why}", flush=True)
        return outcome

    def inside(self, way_in, command):
        return self.measure(self.start(VGPU, "run", "--way-in", way_in, "--memory", "1G", "--device", "software", "--",
                                       *command))

    def entered(self, way_in, command):
        """The command enters the namespaces of a running tenant from outside, with an environment of its own."""
        held = self.start(VGPU, "run", "--way-in", way_in, "--memory", "1G", "--device", "software", "--",
                          "sh", "-c", "echo in; read x")
        held.stdout.readline()
        pid = pathlib.Path(f"/proc/{held.pid}/task/{held.pid}/children").read_text().split()[0]
        user = ["-U", "--preserve-credentials"] if self.user and way_in == "mount" else []
        mount = ["nsenter", "-t", pid, *user, "-m"] if way_in == "mount" or not self.user else []
        outcome = self.measure(self.start(*mount, "env", "-i", *command))
        held.communicate("\n", timeout=30)
        held.wait(30)
        return outcome


ROOT, ORDINARY = Tenant(False), Tenant(True)


def plain(command):
    return lambda tenant, way_in: tenant.inside(way_in, command)


def as_other(command):
    """Root's tenant hands down to an ordinary user, whom the program's file then gives its rights; the ordinary user needs nothing
    for it but a shell, since he may not start such a program as the command itself."""
    return lambda tenant, way_in: tenant.inside(way_in, ["sh", "-c", 'exec "$@"', "sh", *command] if tenant.user
                                                else [*USER, *command])


def fresh(*variables):
    return ["env", *variables]


UNSET = [word for name in ("INSTANCE", "SOCKET") for word in ("-u", f"VGPU_{name}")]
NO_LOADER = ["LD_PRELOAD=", "LD_LIBRARY_PATH="]

# Way, how it is tried, what becomes of it: by mount as root, by mount as an ordinary user, by preload; and as whom the last.
ROWS = [
    ("linked (`-lcuda`)", plain(program("ways_in_linked")), "limited", "limited", "limited", ROOT),
    ("linked, `DT_RPATH` to the driver", plain(program("ways_in_rpath")), "limited", "limited", "limited", ROOT),
    ("linked, `DT_RUNPATH` to the driver", plain(program("ways_in_runpath")), "limited", "limited", "limited", ROOT),
    ("`dlsym(RTLD_NEXT)`", plain(program("ways_in_linked", "next")), "limited", "limited", "limited", ROOT),
    ("`dlopen(\"libcuda.so.1\")`", plain(program("ways_in", "soname")), "limited", "limited", "limited", ROOT),
    ("`dlopen(\"libcuda.so\")`", plain(program("ways_in", "devname")), "limited", "limited", "limited", ROOT),
    ("`dlopen` by the driver's path", plain(program("ways_in", "path")), "limited", "limited", "reported", ROOT),
    ("the same, a versioned file that a link of `ld.so.conf` leads to",
     plain(program("ways_in", "path", str(INSTALLED / "libcuda.so.580.65.06"))), "limited", "limited", "reported", ROOT),
    ("`dlopen` with `RTLD_DEEPBIND`", plain(program("ways_in", "deepbind")), "limited", "limited", "limited", ROOT),
    ("`dlmopen(LM_ID_NEWLM)` by name", plain(program("ways_in", "newlm")), "limited", "limited", "limited", ROOT),
    ("`dlmopen(LM_ID_NEWLM)` by path", plain(program("ways_in", "newlm-path")), "limited", "limited", "reported", ROOT),
    ("`cuGetProcAddress_v2`, 12 versions, all flags", plain(program("ways_in", "proc")), "limited", "limited", "limited", ROOT),
    ("`cuGetProcAddress` of CUDA 11, the same", plain(program("ways_in", "proc-v1")), "limited", "limited", "limited", ROOT),
    ("as the static runtime does it", plain(program("ways_in", "runtime")), "limited", "limited", "limited", ROOT),
    ("`LD_PRELOAD` emptied, `DT_RPATH`", plain([*fresh("LD_PRELOAD="), *program("ways_in_rpath")]),
     "limited", "limited", "reported", ROOT),
    ("`LD_PRELOAD` and `LD_LIBRARY_PATH` emptied, by path", plain([*fresh(*NO_LOADER), *program("ways_in", "path")]),
     "limited", "limited", "reported", ROOT),
    ("`LD_PRELOAD` the driver's path", plain([*fresh(f"LD_PRELOAD={DRIVER}"), *program("ways_in_linked")]),
     "limited", "limited", "reported", ROOT),
    ("`VGPU_INSTANCE` and `VGPU_SOCKET` unset", plain([*fresh(*UNSET), *program("ways_in_linked")]),
     "limited", "limited", "reported", ROOT),
    ("`VGPU_INSTANCE` emptied", plain([*fresh("VGPU_INSTANCE="), *program("ways_in_linked")]),
     "limited", "limited", "reported", ROOT),
    ("`VGPU_INSTANCE` another", plain([*fresh("VGPU_INSTANCE=none"), *program("ways_in_linked")]),
     "limited", "limited", "refused", ROOT),
    ("`VGPU_DRIVER_DIR` another", plain([*fresh("VGPU_DRIVER_DIR=/run"), *program("ways_in_linked")]),
     "limited", "limited", "refused", ROOT),
    ("`env -i` child, `DT_RPATH`", plain([*fresh("-i"), *program("ways_in_rpath")]), "limited", "limited", "reported", ROOT),
    ("`env -i` child, by path", plain([*fresh("-i"), *program("ways_in", "path")]), "limited", "limited", "reported", ROOT),
    ("a shell in a shell", plain(["sh", "-c", 'sh -c \'exec "$@"\' sh "$@"', "sh", *program("ways_in_linked")]),
     "limited", "limited", "limited", ROOT),
    ("setuid to root, started by an ordinary user", as_other(own("setuid")), "limited", "limited", "reported", ROOT),
    ("file capabilities", as_other(own("capable")), "refused", "limited", "reported", ORDINARY),
    ("file capabilities, as the command itself", plain(own("capable")), "limited", "refused", "refused", ORDINARY),
    ("`dlopen` where the driver was moved to", plain(["sh", "-c", 'exec "$1" path "$VGPU_DRIVER_DIR/libcuda.so.1" "$2"', "sh",
                                                      program("ways_in")[0], ASK_MIB]), "reported", "reported", "reported", ROOT),
    ("`dlopen` through `/proc/PID/root` of `vgpu run`", plain(["sh", "-c", 'exec "$1" path "/proc/$PPID/root/$2" "$3"', "sh",
                                                               program("ways_in")[0], DRIVER, ASK_MIB]),
     "reported", "refused", "reported", ROOT),
    ("`dlopen` of a copy that the program brings along", plain(program("ways_in", "path", str(BROUGHT / "libcuda.so.1"))),
     "reported", "reported", "reported", ROOT),
    ("NVML: `libnvidia-ml.so`", plain(program("ways_in", "nvml")), "limited", "limited", "limited", ROOT),
    ("NVML: by the driver's path, `env -i`", plain([*fresh("-i"), *program("ways_in", "nvml-path")]),
     "limited", "limited", "shown", ROOT),
    ("a `vgpu run` inside, with a slice of its own",
     plain([VGPU, "run", "--memory", "512M", "--device", "software", "--", *program("ways_in_rpath")]),
     "limited", "limited", "limited", ROOT),
    ("a mount namespace of the program's own, `env -i`", lambda tenant, way_in: tenant.inside(way_in, [
        "unshare", *(["-Ur"] if tenant.user else []), "-m", *fresh("-i"), *program("ways_in_rpath")]),
     "limited", "limited", "reported", ROOT),
    ("container exec: `nsenter` into the tenant, `env -i`", lambda tenant, way_in: tenant.entered(way_in, program("ways_in_rpath")),
     "limited", "limited", "reported", ROOT),
]


def user_skipped():
    """Why there is no ordinary user here, or None."""
    if ORDINARY.run("test", "-x", VGPU).returncode:
        return "an ordinary user may not reach the install tree"
    if ORDINARY.run("unshare", "-Um", "true").returncode:
        return "this kernel permits users no namespaces"
    return None


def each_way_in_is_limited_refused_or_reported():
    setup()
    skipped = user_skipped()
    table = []
    for way, attempt, *wanted, preloader in ROWS:
        measured = []
        for how, who, tenant, want in (("mount", "root", ROOT, wanted[0]), ("mount", "a user", ORDINARY, wanted[1]),
                                       ("preload", None, preloader, wanted[2])):
            what = f"{way}: by {how}{' as ' + who if who else ''}: {want}"
            if tenant.user and skipped:
                ok(True, f"{what} # SKIP {skipped}")
                measured.append(want)
                continue
            got = attempt(tenant, how)
            measured.append(got)
            ok(got == want, what if got == want else f"{what}, but it was {got}")
        table.append((way, *measured))
    return table


def the_page_says_what_is_measured():
    table = each_way_in_is_limited_refused_or_reported()
    lines = "".join(f"| {' | '.join(row)} |\n" for row in
                    [("way in", "mount, as root", "mount, as a user", "preload"), ("---",) * 4, *table])
    before, _, rest = PAGE.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(before + BEGIN + lines + END + after)
    else:
        ok(old == lines, "docs/ways-in.md says what was measured (ways_in.py --write writes it)")


def nothing_is_left_mounted_outside():
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    ok("vgpu/aside" not in mounts and "vgpu/softgpu" not in mounts, "what a run mounts is seen by nobody else and ends with it")
    ok(not any((STAGE / "lib/vgpu/aside").iterdir()), "the install tree's place is empty again")


def a_way_in_that_cannot_be_is_refused():
    # No process may make a namespace in here: what a container without the right to mount is.
    forbid = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]
    command = program("ways_in_linked")
    done = ROOT.run(*forbid, VGPU, "run", "--way-in", "mount", "--memory", "1G", "--device", "software", "--", *command)
    ok(done.returncode == 125 and "--way-in mount: mount namespaces are not permitted" in done.stderr, "mount alone is refused")
    process = ROOT.start(*forbid, VGPU, "run", "--memory", "1G", "--device", "software", "--", *command)
    ok(process.stdout.readline().startswith("limited"), "auto goes on by preload")
    process.stdin.close()
    process.wait(30)
    said = process.stderr.read()
    ok(said.count("\n") == 1 and "are not limited" in said, "and says so in one line")
    rows = json.loads(ROOT.run(*forbid, VGPU, "doctor", "--json").stdout)["checks"]
    ok([r["status"] for r in rows if r["check"] == "way in"] == ["warn"], "vgpu doctor says so too, and what to do")


atexit.register(shutil.rmtree, f"/tmp/vgpu-{UID}", True)
run_tests(the_page_says_what_is_measured, nothing_is_left_mounted_outside, a_way_in_that_cannot_be_is_refused)
