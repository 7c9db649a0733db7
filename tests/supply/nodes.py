#!/usr/bin/env python3
"""One model over several nodes of a Slurm cluster: a real Slurm of three slurmd, a real server, srun. The engine of most checks is ranked.py's, a real process for each rank;
--whole: a real vLLM of two ranks, each with half of the layers. Prints TAP."""
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))
import ranked
from cluster import Cluster, install, missing
from freehold import Tap, need_starter, processes
from login import PATIENCE, Login, timed, wait
from others import vllm

MEMORY = 13000  # MiB of a node: too little for SHAPE on one, enough on two
SHAPE = ("--context", "8192", "--streams", "4")
MODEL = "ranked"


def of_job(s, number):
    """What Slurm says of a job: NumNodes, NodeList, ..."""
    return dict(word.split("=", 1) for word in s.cluster.must(["scontrol", "show", "job", "-o", str(number)]).split() if "=" in word)


def reasons(s, name):
    return [e["reason"] for e in s.json("GET", f"/api/v1/deployments/{name}/events")["items"]]


def rank_processes(s, *words):
    return [pid for pid in processes(str(s.folder)) if all(w in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for w in words)]


def engines_of(s, rank):
    return rank_processes(s, b"--node-rank", rank, b"serve")


def two_nodes_because_one_is_too_small(s):
    name = s.run("provider/hpc", *SHAPE, model=MODEL)
    number, _ = s.job()
    job, machine = of_job(s, number), s.of(name)["machine"]
    assert job["NumNodes"] == "2", job
    assert machine["note"].startswith("2 nodes"), machine
    assert s.chat(MODEL) == "ranks 0 1"
    return job["NodeList"]


def the_log_says_which_node(s):
    wait(lambda: "all ranks are there" in s.cli("logs", MODEL).stdout, "its log does not come", s)
    said = s.cli("logs", MODEL).stdout
    nodes = {line.split(":")[0]: line for line in said.splitlines() if "is on this node" in line}
    assert set(nodes) == {"n1", "n2"} and "rank 0 of 2" in nodes["n1"] and "rank 1 of 2" in nodes["n2"], said
    assert "n1: all ranks are there" in said and "n2: rank=1 ranks=2 kv=4" in said, said


def ended(s, name, text):
    return lambda: any(text in (r or "") for r in reasons(s, name))


def ready_again(s, before):
    wait(lambda: s.of(MODEL)["restarts"] > before and s.of(MODEL)["state"] == "ready", "it does not come back", s)
    assert s.chat(MODEL) == "ranks 0 1"


def a_rank_that_dies_ends_the_whole(s):
    """The other knows nothing of it; who died is said, and all start again in the same job."""
    number, before = s.job()[0], s.of(MODEL)["restarts"]
    others = engines_of(s, b"0")
    for pid in engines_of(s, b"1"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait(ended(s, MODEL, "n2: rank 1 of 2 has ended with status"), "that it ended is not said", s)
    wait(lambda: not set(others) & set(engines_of(s, b"0")), "the other goes on", s)
    ready_again(s, before)
    assert s.job()[0] == number


def a_rank_whose_keeper_is_killed_ends_the_whole(s):
    number, before = s.job()[0], s.of(MODEL)["restarts"]
    keepers = [pid for pid in rank_processes(s, b"node", b"rank") if b"SLURM_PROCID=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
    assert len(keepers) == 1, keepers
    os.kill(keepers[0], signal.SIGKILL)
    wait(ended(s, MODEL, "srun: error: n2: task 1: Killed"), "that it was killed is not said", s)
    ready_again(s, before)
    assert s.job()[0] == number


def a_node_that_is_down_ends_the_job(s):
    """Another follows, on the nodes that are left."""
    first, _ = s.job()
    s.cluster.must(["scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test"])
    try:
        other, _ = s.job({first})
        assert of_job(s, other)["NodeList"] == "n[1,3]", of_job(s, other)
        assert s.chat(MODEL) == "ranks 0 1"
    finally:
        s.cluster.resume("n2")


def nothing_is_left(s):
    s.end(MODEL)
    wait(lambda: not rank_processes(s, b"node", b"rank") and not engines_of(s, b"0") and not engines_of(s, b"1"), "ranks go on", s)
    wait(lambda: not any((s.folder / ".freehold/orders").iterdir()), "something of the order stays there", s)


def as_many_as_the_operator_says(s):
    s.add("three", "--set", "nodes=3", "--set", "mem=100")
    name = s.run("provider/three", "--context", "512", "--streams", "1", model=MODEL)
    number, _ = s.job()
    assert of_job(s, number)["NodeList"] == "n[1-3]" and s.chat(MODEL) == "ranks 0 1 2"
    s.end(name)


def what_cannot_be_spread_has_one_node(s):
    """Our own engine."""
    name = s.run("provider/three")
    number, _ = s.job()
    assert of_job(s, number)["NumNodes"] == "1" and s.of(name)["machine"]["note"] is None, s.of(name)
    s.end(name)


def nodes_that_slurm_has_not_are_refused(s):
    s.add("four", "--set", "nodes=4", "--set", "mem=100")
    done = s.cli("run", MODEL, "Hi", "--on", "provider/four", "--yes", timeout=PATIENCE)
    assert done.returncode != 0 and "cannot start: it asks for more than the partition has" in done.stderr, done.stderr
    done = s.cli("provider", "add", "wrong", "--kind", "slurm", "--set", "nodes=65")
    assert done.returncode == 1 and "setting nodes" in done.stderr and "1 to 64" in done.stderr, done.stderr


def a_real_vllm_over_two_nodes(s):
    s.add("real", "--set", "nodes=2", "--set", "mem=100")
    name = s.run("provider/real", "--context", "1024", "--streams", "2", model="small-safetensors", patience=900)
    number, _ = s.job()
    assert of_job(s, number)["NumNodes"] == "2"
    begun = time.monotonic()
    said = s.chat("small-safetensors")
    assert "ello" in said, said  # fluent nonsense is what wrong settings give
    took = time.monotonic() - begun
    log = s.cli("logs", name).stdout
    assert "n1: rank 0 of 2" in log and "n2: rank 1 of 2" in log, log[-3000:]
    s.end(name)
    return f"{said!r} in {took:.1f} s"


CHECKS = (two_nodes_because_one_is_too_small, the_log_says_which_node, a_rank_that_dies_ends_the_whole, a_rank_whose_keeper_is_killed_ends_the_whole, a_node_that_is_down_ends_the_job,
          nothing_is_left, as_many_as_the_operator_says, what_cannot_be_spread_has_one_node, nodes_that_slurm_has_not_are_refused)


def put_first(s, program):
    """That program is the cluster's vLLM."""
    path = s.bin / "vllm"
    path.unlink(missing_ok=True)
    path.symlink_to(program)


def checks(tap, s):
    put_first(s, ranked.install(s.folder) / "vllm")
    done = s.cli("import", "--id", MODEL, str(ranked.weights(s.folder)))
    assert done.returncode == 0, done.stderr
    for fn in CHECKS:
        tap.check(fn.__name__.replace("_", " "), timed, fn, s)


def whole(tap, s):
    words, folder = vllm(s.folder)
    if not words:
        print(f"# no vLLM: {folder}")
        return
    put_first(s, words.split("=", 1)[1])
    done = s.cli("import", "--id", "small-safetensors", str(folder), timeout=300)
    assert done.returncode == 0, done.stderr
    tap.check("a real vllm over two nodes", timed, a_real_vllm_over_two_nodes, s)


def main():
    need_starter()
    install()
    why = missing()
    if why:
        Tap.skip_all(f"Slurm cannot run: {why}")
    tap = Tap()
    with Cluster(MEMORY) as cluster, Login(cluster) as s:
        s.add("hpc")
        if "--only-whole" not in sys.argv:
            checks(tap, s)
        if "--whole" in sys.argv or "--only-whole" in sys.argv:
            whole(tap, s)
    tap.end()


main()
