"""What the tests of compute shares have in common: a paced software device, tenants with endless work on it, and the judge, which
reads the device's own account. Figures are printed as TAP comments; bounds are wide, because machines are noisy."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from harness import PROGRAMS, STAGE, Place, ok

MS = 1_000_000
S = 1_000_000_000
DEVICE = "memory=4G,sms=256,clock=1GHz,ips=1G,copy=1G,devcopy=2G,time=paced"


def say(text):
    print("# " + text, flush=True)


class Judge:
    """Lines of the judge, one each few milliseconds, until it is closed. Times are those of time.monotonic_ns()."""

    def __init__(self, place, every_ms=50, device=0):
        env = dict(place.env, VGPU_SOFTGPU_DAEMON=str(STAGE / "libexec/vgpu/softgpud"))
        self.process = subprocess.Popen([str(PROGRAMS / "judge"), "--device", str(device), "--every", str(every_ms)], env=env,
                                        stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def close(self):
        self.process.kill()
        self.process.wait()

    def wait_until(self, t_ns):
        """Until there is a line of t_ns or later."""
        while not self.lines or self.lines[-1]["t_ns"] < t_ns:
            if self.process.poll() is not None:
                raise RuntimeError("the judge ended")
            time.sleep(0.005)

    def line(self, t_ns):
        """The first line of t_ns or later."""
        return next(line for line in self.lines if line["t_ns"] >= t_ns)

    def busy_ns(self, pid, t_ns, engine="compute"):
        """A process's total at about t_ns, and of when exactly it is."""
        line = self.line(t_ns)
        return line["processes"].get(str(pid), {}).get(f"{engine}_busy_ns", 0), line["t_ns"]

    def percent(self, pid, begin_ns, end_ns, engine="compute"):
        """What the process had of the device between two times that are over."""
        (before, t0), (after, t1) = self.busy_ns(pid, begin_ns, engine), self.busy_ns(pid, end_ns, engine)
        return 100 * (after - before) / (t1 - t0)

    def settled_ms(self, wanted, from_ns, within=8, for_ms=100, most_ms=2000):
        """How long after from_ns each of {pid: percent} first has what is wanted, and keeps it, over windows of for_ms; None: not
        in most_ms."""
        step_ms = 20
        good = 0
        for late_ms in range(0, most_ms, step_ms):
            at_ns = from_ns + late_ms * MS
            self.wait_until(at_ns + for_ms * MS)
            is_good = all(abs(self.percent(pid, at_ns, at_ns + for_ms * MS) - percent) <= within for pid, percent in wanted.items())
            good = good + 1 if is_good else 0
            if good == 3:
                return late_ms - 2 * step_ms
        return None


class Tenant:
    """A load in an instance of its own."""

    def __init__(self, place, run, *load):
        self.program = place.start(["--device", "software", "--memory", "512M", *run], [str(PROGRAMS / "tenant"), *map(str, load)])
        if not self.program.greeting.startswith("ready "):
            raise RuntimeError(f"a tenant did not start: '{self.program.greeting}'")
        self.pid = int(self.program.greeting.split()[1])

    def signal(self, number):
        os.kill(self.pid, number)

    def rest(self):
        self.signal(signal.SIGUSR1)

    def go_on(self):
        self.signal(signal.SIGUSR2)

    def kill(self):
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self):
        """What it says at its end."""
        self.signal(signal.SIGTERM)
        said = self.program.line()
        self.program.process.wait(30)
        return json.loads(said)


class Node(Place):
    """A place with a paced device; profile: more keys of its description."""

    def __init__(self, profile="", devices=DEVICE, **env):
        self.tenants, self.judges, self.inner = [], [], []
        super().__init__(devices + ("," + profile if profile else ""), VGPU_SOFTGPU_IDLE_S="1", **env)

    def tenant(self, run, *load):
        self.tenants.append(Tenant(self, run, *load))
        return self.tenants[-1]

    def place_start(self, name, run, command):
        """Any program in an instance of that name."""
        return self.start(["--device", "software", "--memory", "1G", "--name", name, *run], command)

    def inside(self, tenant, *load):
        """Another process in the instance of a tenant, as if a shell inside had started it: its Popen."""
        environ = dict(entry.decode().split("=", 1) for entry in pathlib.Path(f"/proc/{tenant.pid}/environ").read_bytes().split(b"\0")
                       if b"=" in entry)
        enter = ["nsenter", "-t", str(tenant.pid), "-m"] if os.geteuid() == 0 else []
        process = subprocess.Popen([*enter, str(PROGRAMS / "tenant"), *map(str, load)], env=environ, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.inner.append(process)
        return process

    def judge(self, every_ms=50, device=0):
        self.judges.append(Judge(self, every_ms, device))
        return self.judges[-1]

    def close(self):
        for one in self.tenants + self.inner:
            one.kill()
        for judge in self.judges:
            judge.close()
        super().close()


def near(got, wanted, within, what):
    return ok(abs(got - wanted) <= within, f"{what}: {got:.2f} %, wanted {wanted:g} % within {within:g} points")


def most(got_ms, bound_ms, what):
    return ok(got_ms is not None and got_ms <= bound_ms, f"{what}: {got_ms} ms (at most {bound_ms} ms)")
