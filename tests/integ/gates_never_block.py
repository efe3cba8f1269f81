#!/usr/bin/env python3
"""What a gate must not do: hold a free, a wait, a query, a destruction, or anything of a capture, however deep in debt the instance is; bill
what is only captured, or bill a replay as something else; lose its count over forks and threads that end. The device's own account is
the judge."""
import subprocess
import time

from harness import PROGRAMS, VGPU, equal, ok, run_tests
from shares import MS, S, Node, near, say

CALLS = str(PROGRAMS / "gate_calls")
SEVERAL_WITHIN = 6  # of a process alone with many streams: how they overlap is measured, and that scatters
HELD_US = 300_000  # debts are of tens of seconds, noise of a busy machine is not


def run(node, share, *command):
    """What the program said, as a list of words for each line."""
    done = subprocess.run([VGPU, "run", "--device", "software", "--memory", "1G", *share, "--", CALLS, *map(str, command)], env=node.env,
                          capture_output=True, text=True, timeout=60)
    ok(done.returncode == 0, f"{' '.join(share) or 'no limit'}: {command[0]} ends well {done.stderr.strip()}")
    return [line.rsplit(" ", 2) for line in done.stdout.splitlines()]


def no_call_is_held():
    node = Node()
    took = {}
    for share in ([], ["--compute", "1%"]):
        lines = run(node, share, "calls", 3 if not share else 9)
        took[bool(share)] = {words[0]: int(words[1]) for words in lines if len(words) == 3}
        failed = [words[0] for words in lines if len(words) == 3 and words[2] != "0"]
        equal(failed, [], "every call succeeds")
    ok(len(took[True]) > 20, f"{len(took[True])} calls beside a thread that waits at the gate")
    equal([call for call, us in took[True].items() if us > took[False][call] + HELD_US], [], "none is held")
    worst = max(took[True], key=lambda call: took[True][call])
    say(f"the slowest: {worst} {took[True][worst]} us, without a limit {took[False][worst]} us")
    node.close()


def captures_are_not_held():
    node = Node()
    for share in (["--compute", "1%"], ["--compute", "30%"], ["--policy", "equal-share"]):
        for mode, n, longest_us in [words for words in run(node, share, "captures", 400) if len(words) == 3]:
            ok(int(n) > 20 and int(longest_us) < HELD_US,
               f"{' '.join(share)}: {n} captures ({mode}) beside threads that launch, {longest_us} us at most")
    node.close()


class Biller:
    """gate_calls bill in an instance, what it is billed, and what the device says."""

    def __init__(self, node, name, *run_options):
        self.node, self.name = node, name
        self.program = node.place_start(name, run_options, [CALLS, "bill"])
        self.pid = int(self.program.greeting.split()[1])
        self.judge = node.judge(20)

    def billed_ns(self):
        return self.node.instance(self.name)["gpu_time_ns_total"]

    def totals(self):
        """Billed and used since the begin, in ms, when what was measured last has been taken in."""
        for _ in range(2):
            time.sleep(0.05)
            self.program.ask("settle", 0)
        now_ns = time.monotonic_ns()
        self.judge.wait_until(now_ns)
        return self.billed_ns() / MS, self.judge.busy_ns(self.pid, now_ns)[0] / MS


def captures_are_not_billed_and_replays_are():
    for options in (["--compute", "40%"], ["--policy", "best-effort"]):
        node = Node()
        biller = Biller(node, "a", *options)
        what = " ".join(options)
        biller.program.ask("capture", 60)
        billed, _ = biller.totals()
        ok(billed < 1, f"{what}: capturing 1200 kernels is not billed ({billed:.1f} ms)")
        for length_us, command in ((1000, None), (3000, "update"), (1000, "update")):
            before = biller.totals()
            if command:
                biller.program.ask(command, length_us)
                after = biller.totals()
                ok(after[0] - before[0] < 1, f"{what}: an update is not billed")
            for n in [2] * 4 + [600000 // (20 * length_us)]:
                biller.program.ask("replay", n)
            billed, used = [after - before for before, after in zip(before, biller.totals())]
            # what is begun just after an update is billed as it was before, until one was measured
            ok(abs(billed - used) < 0.05 * used + (60 if command else 0),
               f"{what}: replays of 20 x {length_us} us are: {billed:.1f} ms billed, {used:.1f} ms used")
        node.close()


def share_of_all(judge, begin_ns, end_ns):
    before, after = judge.line(begin_ns), judge.line(end_ns)
    return 100 * (after["compute_busy_ns"] - before["compute_busy_ns"]) / (after["t_ns"] - before["t_ns"])


def forks_and_threads_keep_the_share():
    for what, said in (("fork", "child 3"), ("threads", "threads ")):  # 3: not initialized, as drivers say to a child
        node = Node()
        program = node.place_start("a", ["--compute", "30%"], [CALLS, what, "3000"])
        judge = node.judge(50)
        time.sleep(0.7)
        begin_ns = time.monotonic_ns()
        judge.wait_until(begin_ns + 2 * S)
        near(share_of_all(judge, begin_ns, begin_ns + 2 * S), 30, SEVERAL_WITHIN, f"{what}: all together have the share")
        line = program.line()
        ok(line.startswith(said) and program.process.wait(30) == 0, f"{what}: ends well ({line})")
        node.close()


run_tests(no_call_is_held, captures_are_not_held, captures_are_not_billed_and_replays_are, forks_and_threads_keep_the_share)
