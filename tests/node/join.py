#!/usr/bin/env python3
"""Machines that join a server's pool: a real server and real `freehold node join` processes on loopback, each with a folder of its own. Tokens, certificates, and kill -9
of either side at any time. Prints TAP."""
import contextlib
import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import PATIENCE, PROGRAM, Node, Pool, Server, Tap

CONFLICT, BUSY = 1, 5


def joins(pool, den):
    den.join(pool.token(), "--ask", "0.35EUR")
    pool.wait(lambda nodes: nodes.get("den", {}).get("facts"), "den does not say what it has")
    n = pool.nodes()["den"]
    assert n["state"] == "joined" and n["here"] and n["ask_micro_per_hour"] == 350000 and n["ask_currency"] == "EUR", n
    facts = n["facts"]
    assert facts["cores"] >= 1 and facts["memory_bytes"] > 0 and facts["memory_read_bytes_per_s"] > 0 and facts["memory_read_how"], facts
    assert pool.json("GET", "/api/v1/nodes/den")["name"] == "den"
    pool.wait(lambda nodes: nodes["den"]["memory_bytes"], "den does not report")
    n = pool.nodes()["den"]
    assert 0 < n["memory_free_bytes"] <= n["memory_bytes"] and "freehold" in n["engines"] and n["sandbox"], n
    listed = pool.cli("node", "list").stdout
    assert "den" in listed and "0.35 EUR" in listed and "now" in listed, listed
    for file in ("identity.json", "node.pem"):
        assert (den.data / file).stat().st_mode & 0o777 == 0o600, file


def token_is_used_once(pool):
    token = pool.token()
    first = Node(pool, "first").join(token)
    pool.wait_here("first")
    Node(pool, "second").join(token).refused("used already", "freehold node token")
    assert "second" not in pool.nodes()
    first.stop()
    assert pool.cli("node", "remove", "first").returncode == 0


def wrong_fingerprint(pool):
    token = pool.token()
    last = "B" if token[-2] == "A" else "A"
    before = pool.output().count("refused")
    Node(pool, "fooled").join(token[:-2] + last + token[-1]).refused("freehold node join")
    assert "fooled" not in pool.nodes() and pool.output().count("refused") == before, "it said something to a server that it does not know"
    nonsense = Node(pool, "fooled").join("nonsense")
    assert nonsense.ended() == 1 and "this is no join token" in nonsense.said(), nonsense.said()


def a_taken_name(pool):
    first, other = Node(pool, "attic").join(pool.token()), Node(pool, "other")
    pool.wait_here("attic")
    token = pool.token()
    other.join(token, "--name", "attic", name=False).refused("'attic'", "--name")
    other.join(token)  # the token is still good
    pool.wait_here("other")
    for node in (first, other):
        node.stop()


def server_restarts(pool, den):
    pool.stop()
    pool.start_pool()
    pool.wait_here("den")
    pool.kill()
    pool.start_pool()
    pool.wait_here("den")
    assert den.process.poll() is None, den.said()


def node_restarts(pool, den):
    den.kill()
    pool.wait_away("den")
    den.join()  # no token: it knows who it is
    pool.wait_here("den")
    den.stop()
    pool.wait_away("den")
    den.join()
    pool.wait_here("den")
    assert list(pool.nodes()) == ["den"], pool.nodes()


def two_of_one_folder(pool, den):
    second = Node(pool, "den").join()
    assert second.ended() == BUSY and "another `freehold node join`" in den.said(), den.said()


def drains(pool, den):
    for _ in range(2):
        done = pool.cli("node", "drain", "den", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["state"] == "draining", done
    den.kill()
    den.join()
    pool.wait_here("den")
    assert pool.nodes()["den"]["state"] == "draining"


def removed(pool, den):
    assert pool.cli("node", "remove", "den").returncode == 0
    den.refused("removed from the pool")  # its connection ended at once
    assert pool.nodes() == {}
    den.join().refused("removed from the pool")  # the certificate is refused
    pool.stop()
    pool.start_pool()
    den.join().refused("removed from the pool")
    den.join(pool.token(), "--token-file", "-")
    pool.wait_here("den")  # with a new token it may come back
    den.stop()
    assert pool.cli("node", "remove", "den").returncode == 0


def killed_at_any_time(pool, seed):
    chance = random.Random(seed)
    for round in range(6):
        node = Node(pool, f"r{round}")
        token = pool.token()
        victim = chance.choice(["server", "node", "both"])
        node.join(token)
        time.sleep(chance.uniform(0.2, 2.5))
        if victim != "node":
            pool.kill()
        if victim != "server":
            node.kill()
        if victim != "node":
            pool.start_pool()
        if node.process.poll() is not None:
            node.join(token)
        pool.wait_here(node.name)
        node.kill()
        node.join()
        pool.wait_here(node.name)
        node.stop()
    names = list(pool.nodes())
    assert names == [f"r{i}" for i in range(6)], names
    return f"seed {seed}"


def without_a_pool():
    with contextlib.ExitStack() as stack:
        s = Server()
        stack.callback(s.__exit__)
        s.start()
        done = s.cli("node", "token")
        assert done.returncode == CONFLICT and "--pool" in done.stderr, done
        assert s.json("GET", "/api/v1/nodes")["items"] == []
        assert s.cli("node", "list").returncode == 0
        assert s.cli("node", "drain", "nobody").returncode == 3


def upgraded(pool, den):
    den.join(pool.token())
    pool.wait_here("den")
    old = pool.process
    old.send_signal(signal.SIGUSR2)
    assert old.wait(PATIENCE) == 0, pool.output()
    pool.wait_here("den")
    assert den.process.poll() is None, den.said()
    den.stop()


def main():
    tap = Tap()
    with Pool() as pool:
        den = Node(pool, "den")
        tap.check("a machine joins, and says what it has", joins, pool, den)
        tap.check("the server is restarted, killed: the machine is back by itself", server_restarts, pool, den)
        tap.check("the machine is restarted, killed: it is who it was", node_restarts, pool, den)
        tap.check("a second process of one folder is refused", two_of_one_folder, pool, den)
        tap.check("a drained machine stays so", drains, pool, den)
        tap.check("a removed machine is out at once, and its certificate refused", removed, pool, den)
        tap.check("a token opens for one machine", token_is_used_once, pool)
        tap.check("a machine says nothing to a server that is not the one of the token", wrong_fingerprint, pool)
        tap.check("a name that is taken is refused, and the token stays good", a_taken_name, pool)
    with Pool() as pool:
        tap.check("kill -9 of either at any time: each machine joins once", killed_at_any_time, pool, random.randrange(1 << 30))
    with Pool() as pool:
        tap.check("the server is upgraded: the machine is back by itself", upgraded, pool, Node(pool, "den"))
    tap.check("a server without a pool says how it gets one", without_a_pool)
    tap.end()


if __name__ == "__main__":
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
    main()
