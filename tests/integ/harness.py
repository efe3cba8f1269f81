"""What the integration tests share: a place of their own, the installed commands, programs driven line by line, TAP.

Environment: VGPU_STAGE (install tree), VGPU_PROGRAMS (build directory of tests/programs), VGPU_KERNELS (of tests/kernels)."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

STAGE = pathlib.Path(os.environ["VGPU_STAGE"])
PROGRAMS = pathlib.Path(os.environ["VGPU_PROGRAMS"])
KERNELS = pathlib.Path(os.environ["VGPU_KERNELS"])
VGPU = str(STAGE / "bin/vgpu")
MIB = 1 << 20
GIB = 1 << 30

_count = 0
_failed = 0


def ok(condition, what):
    global _count, _failed
    _count += 1
    _failed += not condition
    print(f"{'' if condition else 'not '}ok {_count} - {what}", flush=True)
    return condition


def equal(got, want, what):
    return ok(got == want, what) or print(f"# got {got!r}, expected {want!r}", flush=True)


def run_tests(*tests):
    """Runs each function; its name is the promise that is printed when it raises."""
    for test in tests:
        try:
            test()
        except Exception:  # a broken test is a failed test; the others still run
            ok(False, f"{test.__name__} ended early")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
    print(f"1..{_count}")
    sys.exit(1 if _failed or not _count else 0)


def skip_all(why):
    """Skips the whole test."""
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def need_other_users():
    """For tests in which root plays an ordinary user too."""
    reach = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x", VGPU]
    if os.geteuid() == 0 and subprocess.run(reach, capture_output=True).returncode:
        skip_all(f"another user may not reach the install tree {STAGE}")


def need_own_root():
    """For tests that look at paths from a mount namespace of their own: in a chroot those begin outside it."""
    with open("/etc/passwd", encoding="utf-8") as file:
        seen = subprocess.run(["unshare", "--mount", "readlink", "/proc/self/fd/0"], stdin=file, capture_output=True, text=True)
    if seen.returncode == 0 and seen.stdout.strip() != os.path.realpath("/etc/passwd"):
        skip_all("in a chroot, what /proc says of paths in another mount namespace begins outside the chroot")


def sanitizer_env():
    """What programs under sanitizers need besides: LeakSanitizer's tracer crashes in a program with a second libcuda opened behind the
    preloaded one, and cannot trace one that is traced; leaks are looked for by the tests that link the libraries."""
    return {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"} if "VGPU_SANITIZED" in os.environ else {}


class Place:
    """A runtime directory of its own: own daemon, own software device."""

    def __init__(self, devices=None, **env):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-test-"))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VGPU_") or k in ("VGPU_STAGE",)}
        self.env["VGPU_RUNTIME_DIR"] = str(self.dir / "run")
        if devices:
            self.env["VGPU_SOFTGPU_DEVICES"] = devices
        self.env.update(sanitizer_env())
        self.env.update(env)
        self.programs = []
        atexit.register(self.close)

    def close(self):
        for program in self.programs:
            program.kill()
        for pid in self.processes("vgpud", "softgpud", "vgpu-keeper"):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def daemons(self):
        return self.processes("vgpud", "softgpud")

    def is_of_this_place(self, proc):
        """By the environment it was started with; of vgpud and its keeper, where those may not be read, by the lock and by the arguments."""
        run = str(self.dir / "run")
        try:
            if f"VGPU_RUNTIME_DIR={run}".encode() in (proc / "environ").read_bytes().split(b"\0"):
                return True
        except PermissionError:
            pass
        lock = self.dir / "run/vgpud.lock"
        return run.encode() in (proc / "cmdline").read_bytes().split(b"\0") or (lock.exists() and lock.read_text().strip() == proc.name)

    def processes(self, *names):
        """Pids of programs of this place."""
        found = []
        for proc in pathlib.Path("/proc").iterdir():
            try:
                if proc.name.isdigit() and (proc / "comm").read_text().strip() in names and self.is_of_this_place(proc):
                    found.append(int(proc.name))
            except OSError:
                continue
        return found

    def vgpu(self, *args, check=True, timeout=60):
        done = subprocess.run([VGPU, *args], env=self.env, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"vgpu {' '.join(args)}: exit status {done.returncode}: {done.stderr.strip()}")
        return done

    def json(self, *args):
        return json.loads(self.vgpu(*args, "--json").stdout)

    def start(self, run, command, greets=True):
        """Starts command inside `vgpu run RUN... --`; it answers line by line."""
        program = Program([VGPU, "run", *run, "--", *command], self.env, greets)
        self.programs.append(program)
        return program

    def instance(self, name):
        return self.json("instance", "show", name)

    def device_used(self, index=0):
        """What the device itself says is in use."""
        return self.json("device", "list")["devices"][index]["memory_used_bytes"]


class Program:
    """A program that answers each line on its standard input with one line."""

    def __init__(self, command, env, greets=True):
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greeting = self.line() if greets else None

    def line(self):
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def quit(self):
        self.process.stdin.close()
        return self.process.wait(30)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def wait_for(condition, seconds):
    """Polls until condition() is true; returns the seconds it took, or None when it never was."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.005)
    return None
