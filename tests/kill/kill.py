#!/usr/bin/env python3
"""kill -9 of the server, of an engine and of both, each at ten random moments: afterwards `freehold ps` tells the truth, the deployment heals, and nothing
is left behind when all is stopped. Prints TAP.

kill.py [--seed N]"""
import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter, processes


def engine_pids(server):
    """Every process of an engine, its sandbox included."""
    return [p for p in processes(str(server.data)) if p != (server.process.pid if server.process else 0) and b"engine" in Path(f"/proc/{p}/cmdline").read_bytes()]


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def answers(server, within=PATIENCE):
    until = time.monotonic() + within
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    while time.monotonic() < until:
        try:
            status, _, _ = server.request("POST", "/v1/chat/completions", body)
        except OSError:
            status = 0
        if status == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"no answer within {within} s\n{server.cli('ps').stdout}\n{server.output()[-3000:]}")


def tells_the_truth(server):
    """What ps says is ready answers; what it says of processes is so."""
    done = server.cli("ps", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    rows = said["items"] if isinstance(said, dict) else said
    live = set(engine_pids(server))
    for row in rows:
        if row["state"] == "ready":
            assert row["pid"] in live, (row, live)
    assert live or not any(r["state"] == "ready" for r in rows)


def nothing_left(server):
    server.stop()
    until = time.monotonic() + PATIENCE
    while processes(str(server.data)) and time.monotonic() < until:
        time.sleep(0.05)
    left = processes(str(server.data))
    assert not left, [Path(f"/proc/{p}/cmdline").read_bytes().replace(b"\0", b" ") for p in left]
    files = [str(f.relative_to(server.data)) for f in server.data.rglob("*") if f.is_socket() or ".tmp" in f.name or f.name.endswith((".part", ".sock"))]
    assert not files, files


def load(server):
    """Something for the engine to be busy with; its end does not matter."""
    import threading

    def ask():
        try:
            server.request("POST", "/v1/chat/completions", {"model": "smollm2", "messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 200}, timeout=20)
        except Exception:
            pass
    threading.Thread(target=ask, daemon=True).start()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    seed = args.parse_args().seed
    need_starter()
    print(f"# seed {seed}")
    chance = random.Random(seed)
    tap = Tap()
    with Server() as server:
        server.deploy()

        def once(what):
            delay = chance.choice([chance.uniform(0, 0.05), chance.uniform(0, 0.5), chance.uniform(0, 1.5)])
            load(server)
            time.sleep(delay)
            victims = engine_pids(server)
            if what in ("server", "both"):
                server.kill()
            if what in ("engine", "both"):
                kill_all(victims)
            if what in ("server", "both"):
                time.sleep(chance.uniform(0, 0.3))
                server.start()
            answers(server)
            tells_the_truth(server)
            return f"after {delay:.3f} s"

        def afresh():
            """A new deployment: an engine that ends five times within ten minutes is given up by design, and waits longer each time."""
            done = server.cli("stop", "smollm2-135m")
            assert done.returncode == 0, done.stderr
            server.deploy()

        for what in ("server", "engine", "both"):
            for n in range(10):
                if what == "engine" and n % 3 == 0:
                    afresh()
                tap.check(f"kill -9 of {what}, time {n + 1}", once, what)
        tap.check("nothing is left after a stop", nothing_left, server)

        def comes_back():
            server.start()
            answers(server)
            server.kill()
            kill_all(engine_pids(server))
            server.start()
            answers(server)
            tells_the_truth(server)

        tap.check("a stopped server starts what ran, and again after both were killed", comes_back)
        tap.check("nothing is left after the last stop", nothing_left, server)
    tap.end()


main()
