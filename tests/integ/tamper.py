#!/usr/bin/env python3
"""A tenant cannot change its limit. As an ordinary user who owns everything here, vgpud included, a program in an instance attacks its limits
area, vgpud and vgpud's socket, one row each; what counts is that the limit is what it was and that an allocation past it is refused."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import GIB, MIB, PROGRAMS, VGPU, Program, equal, need_other_users, ok, run_tests, sanitizer_env, wait_for

UID = 54321  # nobody has it


class User:
    """A directory and a vgpud of an ordinary user."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-test-"))
        atexit.register(shutil.rmtree, self.dir, True)
        self.prefix = []
        if os.geteuid() == 0:
            os.chown(self.dir, UID, UID)
            self.prefix = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VGPU_")}
        self.env.update(sanitizer_env(), VGPU_RUNTIME_DIR=str(self.dir / "run"), VGPU_SOFTGPU_DEVICES="memory=8G,time=asap")

    def vgpu(self, *args):
        done = subprocess.run([*self.prefix, VGPU, *args], env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, name, command, **env):
        run = [VGPU, "run", "--name", name, "--memory", "1G", "--device", "software", "--", *command]
        return Program([*self.prefix, *run], dict(self.env, **env))

    def limits(self):
        return [i["memory_limit_bytes"] for i in json.loads(self.vgpu("instance", "list", "--json"))["instances"]]

    def daemon_pid(self):
        return int((self.dir / "run/vgpud.lock").read_text())


def status(pid, key):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(key + ":"))


def attempt(user, tenant, name):
    """One row: whatever came of the attempt, the limits are what they were."""
    answer = tenant.ask(name)
    past = tenant.ask("take", GIB)
    limits = [GIB, GIB] if "SIGSTOP" in name else user.limits()  # a stopped vgpud answers nobody
    if not ok((past, limits) == ("CUDA_ERROR_OUT_OF_MEMORY", [GIB, GIB]), f"{name}: {answer}"):
        print(f"# the allocation past the limit: {past}; the limits: {limits}")


def no_attempt_changes_a_limit():
    user = User()
    user.vgpu("device", "list")
    pid = user.daemon_pid()
    other = user.run("other", ["sh", "-c", "echo started; cat"])
    tenant = user.run("tampering", [str(PROGRAMS / "tamper")], VGPUD_PID=str(pid), VGPU_COMMAND=VGPU)
    try:
        equal(tenant.greeting, "ready", "the tenant runs and sees its limits area")
        equal((set(status(pid, "Uid")), status(pid, "CapEff")), ({str(UID if user.prefix else os.geteuid())}, ["0" * 16]),
              "vgpud is of the same ordinary user")
        equal(tenant.ask("take", 256 * MIB), "CUDA_SUCCESS", "the tenant may allocate")
        for name in tenant.ask("names").split("|"):
            attempt(user, tenant, name)
        equal(tenant.ask("take", 256 * MIB), "CUDA_SUCCESS", "what it may have it gets still")
        user.vgpu("instance", "set", "tampering", "--memory", "2G")
        equal(tenant.ask("take", GIB), "CUDA_SUCCESS", "and from outside its owner can raise the limit")
        equal((tenant.quit(), other.quit()), (0, 0), "both instances end")
    finally:
        tenant.kill()
        other.kill()
        os.kill(pid, 9)
    ok(wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 5) is not None, "and so does vgpud")


need_other_users()
run_tests(no_attempt_changes_a_limit)
