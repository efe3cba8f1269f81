#!/usr/bin/env python3
"""vgpu-sim gives the figures that follow from a trace, and refuses what it cannot read by line."""
import json
import pathlib
import subprocess
import tempfile

from harness import STAGE, equal, ok, run_tests

SIM = str(STAGE / "bin/vgpu-sim")
NODES = "sn,cpu_milli,memory_mib,gpu,model\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
place = tempfile.TemporaryDirectory(prefix="vgpu-test-")


def write(name, text):
    path = pathlib.Path(place.name) / name
    path.write_text(text)
    return str(path)


def sim(nodes, pods, *args):
    command = [SIM, "--nodes", write("nodes.csv", NODES + nodes), "--pods", write("pods.csv", PODS + pods), "--json", *args]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    figures.pop("wall_s")
    return figures


def like_pods_have_one_result():
    """Four devices take one pod of 600 thousandths each; 9 pods arrive until 130 % are asked for."""
    for policy in ("fgd", "binpack", "random", "hami", "topology"):
        figures = sim("a,64000,1000,2,T4\nb,64000,1000,2,T4\n", "".join(f"p{i},1000,1,1,600,\n" for i in range(4)),
                      "--policy", policy, "--seeds", "5")
        got = {key: figures[key] for key in figures if key.startswith(("alloc", "frag", "rej", "arr")) and not key.endswith("_sd")}
        equal(got, {"allocation_pct_at_90": 60.0, "allocation_pct_at_95": None, "allocation_pct_at_100": None,
                    "allocation_pct_at_130": None, "fragmentation_pct_of_total": 40.0, "fragmentation_pct_of_idle": 100.0,
                    "rejected_gpu_pct": 55.5556, "rejected_pods_pct": 55.5556, "arrived_pods_total": 45},
              f"{policy}: every figure of like pods is exact")
        equal(figures["rejected_gpu_pct_sd"], 0.0, f"{policy}: and the same for all seeds")


def packing_leaves_room_for_whole_devices():
    """Two halves and one whole on two devices: all fits in every order, unless the halves are spread."""
    nodes, pods = "a,64000,1000,1,T4\nb,64000,1000,1,T4\n", "h1,1000,1,1,500,\nh2,1000,1,1,500,\nw,1000,1,1,1000,\n"
    for policy in ("fgd", "binpack", "best-fit"):
        equal(sim(nodes, pods, "--policy", policy, "--seeds", "40")["allocation_pct_at_100"], 100.0, f"{policy} fits all in every order")
    spread = sim(nodes, pods, "--policy", "spread", "--seeds", "300")["allocation_pct_at_100"]
    # The whole comes last in a third of the orders, and then half of the devices is left over.
    ok(78 < spread < 88, f"spread wastes half of the devices in a third of the orders: 83 % on average, {spread}")


def types_are_kept():
    figures = sim("a,64000,1000,1,T4\nb,64000,1000,1,G2\n", "p,1000,1,1,1000,G2|V100\nq,1000,1,1,1000,G2\n", "--seeds", "3")
    equal(figures["allocation_pct_at_100"], 50.0, "pods that want a type get only that type")


def cpu_pods_can_be_left_out():
    nodes, pods = "a,1000,1000,1,T4\n", "c,1000,1,0,0,\n" + "".join(f"g{i},1000,1,1,1000,\n" for i in range(3))
    equal(sim(nodes, pods, "--gpu-pods-only", "--seeds", "5")["allocation_pct_at_100"], 100.0,
          "without CPU pods the device is handed out in every order")
    mixed = sim(nodes, pods, "--seeds", "200")["allocation_pct_at_100"]
    ok(60 < mixed < 90, f"a CPU pod that comes first takes the processors the device needs: 75 % on average, {mixed}")


def what_comes_is_allocated_or_rejected():
    nodes = "".join(f"n{i},640000,1000,8,T4\n" for i in range(4))
    low = sim(nodes, "p,1000,1,1,100,\n", "--churn", "0.3", "--warmup", "5", "--measure", "40", "--seeds", "4")
    equal(low["rejected_gpu_pct"], 0.0, "at a load of 30 % nothing is rejected")
    ok(28 < low["allocation_pct_mean"] < 32, f"and 30 % are allocated: {low['allocation_pct_mean']}")
    high = sim(nodes, "p,1000,1,1,100,\n", "--churn", "2", "--warmup", "5", "--measure", "40", "--seeds", "4")
    balance = high["allocation_pct_mean"] + 2 * high["rejected_gpu_pct"]
    ok(196 < balance < 204, f"at a load of 200 % what is not allocated is rejected: {balance} of 200")
    ok(high["allocation_pct_mean"] > 97, f"and the devices are full: {high['allocation_pct_mean']}")


def the_same_seeds_give_the_same_figures():
    arguments = ("a,64000,1000,8,T4\n", "p,1000,1,1,300,\nq,2000,1,2,1000,\nr,1000,1,1,450,\n", "--policy", "random", "--seeds", "3")
    equal(sim(*arguments), sim(*arguments), "two runs agree to the last digit")
    ok(sim(*arguments) != sim(*arguments, "--first-seed", "7"), "other seeds give other figures")


def refused(says, *args):
    done = subprocess.run([SIM, *args], capture_output=True, text=True)
    ok(done.returncode in (1, 2) and done.stdout == "" and says in done.stderr and done.stderr.count("\n") == 1,
       f"one sentence: {says}") or print(f"# status {done.returncode}: {done.stderr!r}")


def bad_input_is_refused_in_one_sentence():
    nodes, pods = write("good_nodes.csv", NODES + "a,1,1,1,T4\n"), write("good_pods.csv", PODS + "p,1,1,1,5,\n")
    both = ("--nodes", nodes, "--pods", pods)
    refused("--nodes and --pods are needed")
    refused("/nowhere.csv: No such file", "--nodes", "/nowhere.csv", "--pods", pods)
    refused("not a file", "--nodes", place.name, "--pods", pods)
    refused("bad.csv:3: gpu_milli is \"many\"; expected a whole number", "--nodes", nodes,
            "--pods", write("bad.csv", PODS + "p,1,1,1,5,\nq,1,1,1,many,\n"))
    refused("empty", "--nodes", write("empty.csv", ""), "--pods", pods)
    refused("is not a placement policy; known are fgd, binpack", *both, "--policy", "best")
    refused("--seeds is \"0\"; expected a number from 1 to 10000", *both, "--seeds", "0")
    refused("--seeds is \"-3\"", *both, "--seeds", "-3")
    refused("--churn is \"nan\"; expected a number from 0.01 to 10", *both, "--churn", "nan")
    refused("\"stray\" is not an option", *both, "stray")
    refused("no pod of the trace asks for a device", "--nodes", nodes, "--pods", write("cpu.csv", PODS + "p,1,1,0,0,\n"))


def people_get_a_table():
    done = subprocess.run([SIM, "--nodes", write("nodes.csv", NODES + "a,8000,1000,1,T4\n"), "--pods",
                           write("pods.csv", PODS + "p,1000,1,1,250,\n"), "--seeds", "2"], capture_output=True, text=True)
    ok("policy fgd; 1 nodes with 1 devices, 1 pods; seeds 42..43" in done.stdout and
       "allocated when 100 % has arrived           100.00   0.00" in done.stdout, "the table says what was replayed and the figures")


run_tests(like_pods_have_one_result, packing_leaves_room_for_whole_devices, types_are_kept, cpu_pods_can_be_left_out,
          what_comes_is_allocated_or_rejected, the_same_seeds_give_the_same_figures, bad_input_is_refused_in_one_sentence,
          people_get_a_table)
