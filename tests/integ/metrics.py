#!/usr/bin/env python3
"""`vgpu metrics`: what it serves are the figures of `vgpu instance list` and `vgpu device list`, promtool accepts it, vgpud is asked once
however many ask, a vgpud that is slow or away costs two seconds at most, and hostile peers cost nobody else anything. The dashboard and the
alert rules name only metrics that there are, and the rules fire when they should."""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from harness import GIB, MIB, PROGRAMS, STAGE, VGPU, Place, equal, ok, run_tests, wait_for

DOORS = str(PROGRAMS / "memory_doors")
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMTOOL = shutil.which("promtool") or str(ROOT / "build/unpacked/usr/bin/promtool")
SERIES = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Answer = collections.namedtuple("Answer", "status text headers seconds")


class Server:
    """`vgpu metrics` on a free port."""

    def __init__(self, place, *options, listen="127.0.0.1:0"):
        self.process = subprocess.Popen([VGPU, "metrics", "--listen", listen, *options], env=place.env, stderr=subprocess.PIPE, text=True)
        place.programs.append(self.process)
        self.greeting = self.process.stderr.readline().strip()
        self.url = re.search(r"http://\S+/metrics", self.greeting)[0]
        self.port = int(re.search(r":(\d+)/", self.url)[1])

    def get(self, path="/metrics", method="GET", timeout=10):
        begin = time.monotonic()
        request = urllib.request.Request(self.url.replace("/metrics", path), method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return Answer(reply.status, reply.read().decode(), dict(reply.headers), time.monotonic() - begin)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers), time.monotonic() - begin)

    def raw(self, data, wait_s=5):
        """What comes back for these bytes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as peer:
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                got = b""
                while chunk := peer.recv(65536):
                    got += chunk
                return got
            except OSError:
                return b""

    def stop(self):
        self.process.terminate()
        return self.process.wait(10)


def parse(text):
    """{(name, frozenset of labels): value}, text as it is."""
    series = {}
    for line in text.splitlines():
        match = SERIES.match(line)
        if match:
            series[match[1], frozenset(LABEL.findall(match[2] or ""))] = match[3]
    return series


def find(series, metric, /, **labels):
    """The one value of the series that has these labels; None when there is no such."""
    found = [value for (n, have), value in series.items() if n == metric and set(labels.items()) <= have]
    return found[0] if len(found) == 1 else None


def tenants():
    place = Place("memory=8G,time=asap")
    a = place.start(["--name", "a", "--memory", "2G", "--device", "software"], [DOORS])
    b = place.start(["--name", "b", "--memory", "512M", "--device", "software"], [DOORS])
    a.ask("take", "alloc", 700 * MIB)
    b.ask("take", "alloc", GIB)  # denied
    return place, a, b


def vgpud_of(place):
    """Pids of the place's vgpud: none or one."""
    return [pid for pid in place.daemons() if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "vgpud"]


def promtool(*args, text=None):
    return subprocess.run([PROMTOOL, *args], input=text, capture_output=True, text=True)


def has_promtool():
    if os.access(PROMTOOL, os.X_OK):
        return True
    # Outside CI the rest is worth running; in CI nothing may be left out.
    ok("CI" not in os.environ, "promtool # SKIP there is no promtool; ./dev test unpacks it from Debian's package prometheus")
    return False


def values_are_those_of_the_json():
    place, _, _ = tenants()
    server = Server(place)
    place.json("instance", "show", "a")
    series = parse(server.get().text)
    names = {"ns": "seconds", "ms": "seconds"}
    n = 0
    for instance in place.json("instance", "list")["instances"]:
        for device in instance["devices"]:
            for key, value in device.items():
                name = "vgpu_" + re.sub(r"_(ns|ms)(_total)?$", lambda m: "_" + names[m[1]] + (m[2] or ""), key)
                if isinstance(value, bool):
                    value = int(value)
                if not isinstance(value, int) or key in ("memory_capacity_bytes", "queued"):
                    continue
                got = find(series, name, instance_id=instance["id"], name=instance["name"], owner_uid=str(instance["owner_uid"]), device=device["uuid"])
                want = value / 1e9 if name != "vgpu_" + key else value
                # Figures of time go on between the two looks.
                n += got is not None and (float(got) == want or "permille" in key or "time" in key or "throttled" in key or key in ("rate_ppm", "active", "debt_ns"))
                if got is None:
                    ok(False, f"{instance['name']}: {name} is served")
        equal(find(series, "vgpu_clients", name=instance["name"]), str(instance["client_count"]), f"{instance['name']}: its processes")
        equal(find(series, "vgpu_state", name=instance["name"], state=instance["state"]), "1", f"{instance['name']}: its state")
    ok(n >= 2 * 7, f"{n} figures of two instances are the same as in vgpu instance list")
    device = place.json("device", "list")["devices"][0]
    for key in ("memory_capacity_bytes", "memory_reserved_bytes", "memory_used_bytes", "memory_free_bytes"):
        equal(find(series, "vgpu_device_" + key, device=device["uuid"]), str(device[key]), f"device: {key}")
    equal(find(series, "vgpu_denied_total", name="b"), "1", "the denied allocation is there")
    equal(find(series, "vgpu_up"), "1", "vgpu_up is 1")
    place.close()


def every_integer_of_the_json_has_its_metric():
    """So that a figure that vgpud learns to tell is not forgotten here."""
    place, _, _ = tenants()
    text = place.vgpu("metrics", "--once").stdout
    served = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    table = (ROOT / "src/cli/metrics_table.c").read_text()
    keys = set(re.findall(r'ROW\("\w+", "(\w+)"', table))
    equal(served - {"vgpu_up", "vgpu_asked_seconds"}, set(re.findall(r'ROW\("(\w+)"', table)), "what is served is what the table says")
    told = {key for instance in place.json("instance", "list")["instances"] for device in instance["devices"]
            for key, value in device.items() if isinstance(value, int)}
    equal(told - keys - {"memory_capacity_bytes"}, set(), "each figure of an instance on a device has a row")
    place.close()


def promtool_accepts_it():
    if not has_promtool():
        return
    place, _, _ = tenants()
    server = Server(place, "--hami-names")
    text = place.vgpu("metrics", "--once").stdout
    done = promtool("check", "metrics", text=text)
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""), f"promtool check metrics, {len(text.splitlines())} lines")
    hami = server.get().text
    done = promtool("check", "metrics", text=hami)
    complaints = [line for line in done.stderr.splitlines() if not re.match(r"(HostGPUMemoryUsage|HostCoreUtilization|vGPU_device_memory_\w+|Device_\w+) ", line)]
    equal((done.returncode in (0, 3), complaints), (True, []), "with --hami-names it complains of HAMi's old names alone")
    series = parse(hami)
    equal(find(series, "hami_vgpu_memory_used_bytes", pod="a"), find(series, "vgpu_memory_used_bytes", name="a"), "HAMi's name, the same value")
    ok(find(series, "vGPU_device_memory_limit_in_bytes", podname="b") == str(512 * MIB), "its old names too")
    place.close()


def dashboard_and_rules_name_metrics_that_there_are():
    table = (ROOT / "src/cli/metrics_table.c").read_text()
    there = set(re.findall(r'ROW\("(\w+)"', table)) | {"vgpu_up", "vgpu_asked_seconds"}
    for path in (DEPLOY / "grafana/vgpu.json", DEPLOY / "prometheus/vgpu-alerts.yaml", DEPLOY / "prometheus/vgpu-alerts-test.yaml"):
        text = path.read_text()
        used = set(re.findall(r"\bvgpu_[a-z_]+\b", text))
        equal(used - there, set(), f"{path.name}: {len(used)} metrics, all served")
        ok(used, f"{path.name} uses some")
    panels = json.loads((DEPLOY / "grafana/vgpu.json").read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    ok(len(panels) > 5 and len(set(ids)) == len(ids), f"the dashboard is JSON with {len(panels)} panels")


def rules_are_right():
    if not has_promtool():
        return
    done = promtool("check", "rules", str(DEPLOY / "prometheus/vgpu-alerts.yaml"))
    ok(done.returncode == 0, f"promtool check rules: {done.stdout.strip().splitlines()[-1:]}")
    done = promtool("test", "rules", str(DEPLOY / "prometheus/vgpu-alerts-test.yaml"))
    ok(done.returncode == 0, "promtool test rules: each alert fires when it should and not before")
    if done.returncode:
        print("\n".join("# " + line for line in (done.stdout + done.stderr).splitlines()))


def vgpud_is_asked_once_a_second():
    place, a, _ = tenants()
    server = Server(place)
    first = server.get().text
    a.ask("take", "alloc", 64 * MIB)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: server.get(), range(200)))
    equal({answer.status for answer in answers}, {200}, "200 scrapes at once are all served")
    looks = {find(parse(answer.text), "vgpu_asked_seconds") for answer in answers}
    took = sum(answer.seconds for answer in answers) / 16
    ok(len(looks) <= 2 + took, f"by {len(looks)} looks at vgpud in about {took:.1f} s")
    ok(wait_for(lambda: find(parse(server.get().text), "vgpu_memory_used_bytes", name="a") !=
                find(parse(first), "vgpu_memory_used_bytes", name="a"), 3) is not None, "figures are not older than that")
    place.close()


def a_slow_or_missing_vgpud_costs_two_seconds_at_most():
    place, _, _ = tenants()
    server = Server(place)
    equal(find(parse(server.get().text), "vgpu_up"), "1", "up at first")
    vgpud, = vgpud_of(place)
    time.sleep(1.1)  # the cache's second is over
    os.kill(vgpud, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.get(), range(8)))
        ok(server.get("/healthz").seconds < 1, "/healthz answers meanwhile")
    equal({find(parse(answer.text), "vgpu_up") for answer in answers}, {"0"}, "vgpu_up is 0 while it does not answer")
    ok(max(answer.seconds for answer in answers) < 3, f"told after {max(answer.seconds for answer in answers):.1f} s at most")
    os.kill(vgpud, signal.SIGCONT)
    ok(wait_for(lambda: find(parse(server.get().text), "vgpu_up") == "1", 8) is not None, "and 1 when it goes on")
    os.kill(vgpud, signal.SIGKILL)
    ok(wait_for(lambda: find(parse(server.get().text), "vgpu_up") == "0", 3) is not None, "0 when it is gone")
    answer = server.get()
    ok(answer.seconds < 0.5, f"which is told at once ({answer.seconds:.3f} s)")
    ok("vgpu_memory_used_bytes{" not in answer.text, "without figures of before")
    equal(vgpud_of(place), [], "it starts no vgpud")
    place.vgpu("device", "list")
    ok(wait_for(lambda: find(parse(server.get().text), "vgpu_up") == "1", 3) is not None, "a new one is found")
    vgpud, = vgpud_of(place)
    os.kill(vgpud, signal.SIGKILL)
    place.vgpu("device", "list")
    time.sleep(1.1)
    equal(find(parse(server.get().text), "vgpu_up"), "1", "one that was replaced between two scrapes was never away")
    equal(server.stop(), 0, "SIGTERM ends it with status 0")
    said = ["away" if "vgpu_up is 0: " in line else "here" if line.endswith(" answers") else line for line in server.process.stderr.read().splitlines()]
    ok(said in (["away", "here"], ["away", "here"] * 2), f"it said each coming and going once ({', '.join(said)})")
    place.close()


def hostile_peers_cost_nobody_anything():
    place, _, _ = tenants()
    server = Server(place)
    for what, data in (("a line of a mebibyte", b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n\r\n"),
                       ("ten thousand headers", b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10000)) + b"\r\n"),
                       ("no HTTP at all", b"\0\xff\xfe" * 1000), ("nothing", b""), ("half a request", b"GET /metr"),
                       ("a bad version", b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n"), ("a lying length", b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
                       ("a path with dots", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n")):
        got = server.raw(data)
        ok(b" 200 " not in got[:20] or what == "nothing", f"{what}: not served ({got[:12]!r})")
    for method in ("POST", "PUT", "DELETE", "BREW"):
        equal(server.get(method=method).status, 405, f"{method}: 405")
    equal(server.get("/other").status, 404, "/other: 404")
    head = server.get(method="HEAD")
    equal((head.status, head.text), (200, ""), "HEAD: a head")
    idle = []
    for _ in range(200):
        try:
            idle.append(socket.create_connection(("127.0.0.1", server.port), timeout=2))
        except OSError:
            break
    begin = time.monotonic()
    for peer in idle[:40]:
        peer.close()
    ok(wait_for(lambda: reaches(server), 15) is not None, f"after {len(idle)} idle connections it serves again within {time.monotonic() - begin:.1f} s")
    for peer in idle:
        peer.close()
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    rss_kib = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    if "VGPU_SANITIZED" not in os.environ:
        ok(rss_kib < 30 << 10, f"it holds {rss_kib >> 10} MiB after all that")
    equal(server.stop(), 0, "and ends in order")
    place.close()


def reaches(server):
    try:
        return server.get("/healthz", timeout=2).status == 200
    except OSError:
        return False


def wrong_use_is_named():
    place = Place("memory=1G,time=asap")
    bad = "is not an address and a port; write it as 127.0.0.1:9457 or [::1]:9457"
    for text in ("", "x", "127.0.0.1", "127.0.0.1:", ":1", "127.0.0.1:99999", "127.0.0.1:1x", "::1:80", "[::1:80", "[]:1", "1.1.1.1:-1"):
        done = place.vgpu("metrics", "--listen", text, check=False)
        equal((done.returncode, done.stderr), (2, f"vgpu metrics: --listen: '{text}' {bad}\n"), f"--listen '{text}'")
    done = place.vgpu("metrics", "--listen", "192.0.2.1:9457", check=False)
    equal((done.returncode, done.stderr), (1, "vgpu metrics: --listen: cannot listen on 192.0.2.1:9457: Cannot assign requested address\n"),
          "an address of another machine")
    server = Server(place)
    done = place.vgpu("metrics", "--listen", f"127.0.0.1:{server.port}", check=False)
    equal((done.returncode, "Address already in use" in done.stderr), (1, True), "a port that is taken")
    done = place.vgpu("metrics", "--once", check=False)
    equal((done.returncode, "vgpu_up 0\n" in done.stdout, "cannot be reached" in done.stderr), (1, True, True), "--once without vgpud: vgpu_up 0, why, and status 1")
    equal(place.daemons(), [], "and none was started")
    ok((STAGE / "libexec/vgpu/vgpu-metrics").exists(), "the program stands in the install tree")
    place.close()


def it_serves_ipv6_too():
    place = Place("memory=1G,time=asap")
    if not pathlib.Path("/proc/net/if_inet6").exists() or "lo" not in pathlib.Path("/proc/net/if_inet6").read_text():
        ok(True, "IPv6 # SKIP this machine has none")
        return
    server = Server(place, listen="[::1]:0")
    ok(f"http://[::1]:{server.port}/" in server.greeting, "it says where it serves")
    equal(server.get("/healthz").text, "ok\n", "and does")
    place.close()


run_tests(values_are_those_of_the_json, every_integer_of_the_json_has_its_metric, promtool_accepts_it,
          dashboard_and_rules_name_metrics_that_there_are, rules_are_right, vgpud_is_asked_once_a_second,
          a_slow_or_missing_vgpud_costs_two_seconds_at_most, hostile_peers_cost_nobody_anything, wrong_use_is_named, it_serves_ipv6_too)
