#!/usr/bin/env python3
"""What a server measures of the machines of its pool, by its own clock: a machine that claims many times its speed is planned by what was measured, from its first idle seconds on;
and from ANSWERS answers on by how fast it really answers. Real servers and machines on loopback, the starter model. Prints TAP."""
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import LONG, Node, Pool, Tap, at
from freehold import STARTER, need_starter

MODEL = "smollm2-135m"
TIMES = 16  # others may use this machine: each measure may be a few times too slow
ANSWERS = 2  # of 160 tokens: WORK_SPEED_TOK is 256

# While a machine measures itself, before it looks for GPUs, its clock goes that much too slowly.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <time.h>
static long long first;
static int is_over;
int clock_gettime(clockid_t which, struct timespec *ret)
{
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(which, ret);
    if (rc || which != CLOCK_MONOTONIC || is_over) return rc;
    long long ns = ret->tv_sec * 1000000000LL + ret->tv_nsec;
    if (!first) first = ns;
    ns = first + (ns - first) / TIMES;
    ret->tv_sec = ns / 1000000000LL;
    ret->tv_nsec = ns % 1000000000LL;
    return 0;
}
int access(const char *path, int mode)
{
    if (strstr(path, "nvidia-smi")) is_over = 1;
    return ((int (*)(const char *, int))dlsym(RTLD_NEXT, "access"))(path, mode);
}
"""


def make_clock(folder):
    source, made = folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", f"-DTIMES={TIMES}", "-o", made, source, "-ldl"], check=True)
    return made


def claimed(node):
    return node["facts"]["memory_read_bytes_per_s"]


def measured(node):
    return node["measured"]["memory_read_bytes_per_s"]


def plan_of(pool, name):
    ranking = pool.json("POST", "/api/v1/plans", {"model": "smollm2", "streams": 1, "prompt_tok": 40, "answer_tok": 160})
    return next(p for p in ranking["plans"] if p["place"] == f"node/{name}")


def by_its_memory(pool, honest, liar):
    pool.wait(lambda nodes: all(measured(nodes[n.name]) for n in (honest, liar)), "they are not measured")
    nodes = pool.nodes()
    said, truth = claimed(nodes["liar"]), measured(nodes["liar"])
    assert said > TIMES / 4 * claimed(nodes["honest"]), nodes
    assert truth < said / (TIMES / 4), nodes
    assert nodes["liar"]["measured"]["work_done"] is True
    for name in ("honest", "liar"):
        m = nodes[name]["measured"]
        assert m["round_trip_us"] > 0 and m["link_to_bytes_per_s"] > 1e6 and m["link_from_bytes_per_s"] > 1e6, m
    ratio = plan_of(pool, "liar")["tokens_per_second"] / plan_of(pool, "honest")["tokens_per_second"]
    assert 2 / 3 < ratio / (truth / measured(nodes["honest"])) < 3 / 2, (ratio, nodes)
    shown = pool.cli("node", "show", "liar").stdout
    assert f"{said / 1e9:.1f}" in shown and "MEASURED" in shown, shown
    assert "READS" in pool.cli("node", "list").stdout


def kept(pool, liar):
    liar.stop()
    before = pool.nodes()["liar"]["measured"]
    pool.kill()
    pool.start_pool()
    assert pool.nodes()["liar"]["measured"] == before
    liar.join()
    pool.wait_here("liar")


def by_its_answers(pool, liar):
    pool.run("--on", "node/liar")
    pool.wait_live(at(MODEL, "node/liar"), "it does not run")
    before = pool.nodes()["liar"]["standing"]
    assert before["decode_tokens_per_second"] is None, before
    for i in range(ANSWERS):
        pool.answer({**LONG, "messages": [{"role": "user", "content": f"Tell me about lighthouse number {i}."}]})
    standing = pool.nodes()["liar"]["standing"]
    speed, plan = standing["decode_tokens_per_second"], plan_of(pool, "liar")["tokens_per_second"]
    assert speed and abs(plan / speed - 1) < 0.25, (plan, standing)


def main():
    need_starter()
    if not shutil.which("cc"):
        Tap.skip_all("there is no C compiler here")
    tap = Tap()
    with Pool(STARTER) as pool:
        clock = make_clock(pool.folder)
        honest, liar = Node(pool, "honest"), Node(pool, "liar", more={"LD_PRELOAD": str(clock)})
        honest.join(pool.token())
        pool.wait_here("honest")
        liar.join(pool.token())
        pool.wait_here("liar")
        tap.check("a machine that claims many times its speed is planned by the speed of its memory that the server measured, and both are shown", by_its_memory, pool, honest, liar)
        tap.check("what was measured outlives a server that was killed", kept, pool, liar)
        tap.check(f"from {ANSWERS} answers on a machine is planned by how fast it answered", by_its_answers, pool, liar)
        honest.stop()
        liar.stop()
    tap.end()


main()
