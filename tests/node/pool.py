#!/usr/bin/env python3
"""Models on the machines of a pool: real servers, real machines on loopback, the starter model. The cheapest machine serves, another takes over, streams outlive machines,
and nothing is left behind. Prints TAP."""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import ASK, LONG, PATIENCE, Node, Pool, Tap, at
from freehold import STARTER, need_starter
from greedy import check, greedy

# ---- the checks ----

def cheapest_serves(pool, cheap, dear):
    dear.join(pool.token(), "--ask", "0.90")
    pool.wait_here("dear")
    cheap.join(pool.token(), "--ask", "0.10")
    pool.wait_here("cheap")
    pool.run("--on", "pool")
    found = pool.wait_live(at("smollm2-135m", "node/cheap"), "the cheapest machine does not serve")
    assert cheap.engines() and not dear.engines(), (cheap.engines(), dear.engines())
    place, text = pool.answer()
    assert place == "node/cheap" and text, (place, text)
    assert "node/cheap" in pool.cli("ps").stdout
    pool.greedy = text
    return found["smollm2-135m"]["reason"]


def planned_with(pool, cheap, dear):
    plans = {p["place"]: p for p in pool.json("POST", "/api/v1/plans", {"model": "smollm2", "variant": "q4_1", "context_tok": 512})["plans"]}
    for node, ask in ((cheap, 10), (dear, 90)):
        p = plans[f"node/{node.name}"]
        assert p["hour_nusd"] == ask * 10**7 and p["tokens_per_second"] > 0, p


def cache_of_another_type(pool, cheap):
    """What its cache is kept as goes with it to the machine, and shapes what it is told there."""
    pool.run("--on", "node/cheap", "--kv-type", "q8_0", "--name", "small")
    d = pool.wait_live(at("small", "node/cheap"), "it does not run with a smaller cache")["small"]
    assert d["kv_type"] == "q8_0", d
    words = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in cheap.engines()]
    assert any(b"--kv-type" in w and w[w.index(b"--kv-type") + 1] == b"q8_0" for w in words), words
    assert pool.cli("stop", "small").returncode == 0


def who_may_read_it(pool):
    """A machine of the pool is none of the owner's own: a request can keep away from it."""
    status, _, body = pool.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "own"})
    assert status == 403 and b"beyond the trust" in body, (status, body)
    assert pool.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "rented"})[0] == 200


def not_installed(pool):
    done = pool.cli("run", "smollm2", "Hello.", "--on", "node/cheap", "--engine", "llama-server", timeout=PATIENCE)
    assert done.returncode != 0 and "llama" in done.stderr, done
    assert not [d for d in pool.live().values() if d.get("engine") == "llama-server"]


def logs_come_here(pool):
    until = time.monotonic() + PATIENCE
    while "engine" not in pool.cli("logs", "smollm2-135m").stdout and time.monotonic() < until:
        time.sleep(0.2)
    assert "an engine is started" in pool.cli("logs", "smollm2-135m").stdout


def sleeps_unless_it_may_be_woken(pool, cheap):
    """A machine of the pool is somebody's: what sleeps there is woken by a key that may, and by no other."""
    pool.json("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True, "idle_s": 2})
    until = time.monotonic() + PATIENCE
    while cheap.engines() or pool.json("GET", "/api/v1/sets")["items"][0]["wanted"]:
        assert time.monotonic() < until, pool.json("GET", "/api/v1/sets")
        time.sleep(0.2)
    use, wake = (pool.json("POST", "/api/v1/keys", {"name": n, "scope": n})["key"] for n in ("use", "use,wake"))
    status, _, body = pool.request("POST", "/v1/chat/completions", ASK, key=use)
    assert status == 403 and b"missing_scope" in body and b"'wake'" in body, (status, body)
    assert pool.request("POST", "/v1/chat/completions", {**ASK, "stream": True}, key=use)[0] == 403
    assert pool.request("POST", "/api/v1/deployments/smollm2-135m/wake", key=use)[0] == 403
    assert pool.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "own"}, key=wake)[0] != 200, "it would not be its owner's"
    assert not cheap.engines()
    status, _, body = pool.request("POST", "/v1/chat/completions", ASK, key=wake, timeout=PATIENCE)
    assert status == 200, (status, body)
    pool.json("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True, "replicas": 1})


def server_comes_back(pool, cheap):
    before = cheap.engines()
    pool.kill()
    time.sleep(0.5)
    pool.start_pool()
    pool.wait_live(at("smollm2-135m", "node/cheap"), "what runs on the machine is not found again")
    assert cheap.engines() == before, (before, cheap.engines())
    assert pool.answer() == ("node/cheap", pool.greedy)


def another_takes_over(pool, cheap, dear):
    begun = time.monotonic()
    cheap.kill()
    pool.wait_live(lambda found: found["smollm2-135m"]["state"] != "ready", "its loss is not noticed")
    noticed = time.monotonic() - begun
    pool.wait_live(at("smollm2-135m", "node/dear"), "no other machine takes over")
    assert pool.answer() == ("node/dear", pool.greedy)
    return f"noticed after {noticed:.1f} s, served by the other after {time.monotonic() - begun:.1f} s"


def what_was_left_is_ended(pool, cheap):
    """The machine comes back, and with it nothing of what its agent left when it was killed."""
    assert cheap.engines(), "its engine outlives the agent"
    cheap.join()
    pool.wait_here("cheap")
    until = time.monotonic() + PATIENCE
    while cheap.engines() and time.monotonic() < until:
        time.sleep(0.1)
    assert not cheap.engines()


def stream_outlives_its_machine(pool, cheap, dear):
    pool.run("--on", "node/cheap", "--name", "second")
    pool.wait_live(at("second", "node/cheap"), "the second one does not serve")
    known = greedy(pool, LONG)
    victims = []

    def kill(place):
        victims.append({"node/cheap": cheap, "node/dear": dear}[place])
        victims[0].kill()

    text, victim = pool.stream(then=kill), victims[0]
    check("a moved stream", text, known)
    victim.join()
    pool.wait_here(victim.name)
    assert pool.cli("stop", "second").returncode == 0
    return f"{len(text)} characters, none lost or doubled; its machine was {victim.name}"


def drained(pool):
    """What may go elsewhere does, and not before its successor is ready: no request is refused meanwhile."""
    found = pool.wait_live(lambda f: f.get("smollm2-135m", {}).get("state") == "ready", "nothing is ready")
    name = found["smollm2-135m"]["place"].removeprefix("node/")
    other = {"cheap": "node/dear", "dear": "node/cheap"}[name]
    assert pool.cli("node", "drain", name).returncode == 0
    until, places = time.monotonic() + PATIENCE, []
    while "smollm2-135m" in pool.live():
        assert time.monotonic() < until, "it does not leave the machine that is drained"
        places.append(pool.answer()[0])
    assert set(places) <= {"node/" + name, other} and pool.answer()[0] == other, places
    pool.wait_live(at("smollm2-135m-2", other), "its successor does not serve")
    pool.drained = name


def removed(pool, nodes):
    """Nothing is left to run on: it waits, and says for what."""
    gone = nodes["dear" if pool.drained == "cheap" else "cheap"]
    assert pool.cli("node", "remove", gone.name).returncode == 0
    assert gone.ended() != 0
    pool.wait_live(lambda f: f["smollm2-135m-2"]["state"] == "planning" and "waiting for" in f["smollm2-135m-2"]["reason"], "it does not wait")
    assert not gone.engines(), "a machine that was removed ends its engines"
    assert pool.cli("stop", "smollm2-135m").returncode == 0


def stopped(pool, nodes):
    nodes[pool.drained].stop()
    assert not nodes[pool.drained].engines()


def main():
    need_starter()
    tap = Tap()
    with Pool(STARTER) as pool:
        pool.drained = "cheap"
        cheap, dear = Node(pool, "cheap"), Node(pool, "dear")
        nodes = {"cheap": cheap, "dear": dear}
        tap.check("the cheapest machine that it fits on serves", cheapest_serves, pool, cheap, dear)
        tap.check("they stand in plans, at what they ask for", planned_with, pool, cheap, dear)
        tap.check("what its cache is kept as goes to the machine with it", cache_of_another_type, pool, cheap)
        tap.check("a request may keep away from machines of others", who_may_read_it, pool)
        tap.check("what the owner did not install is not run there", not_installed, pool)
        tap.check("what an engine says is read here", logs_come_here, pool)
        tap.check("what sleeps is woken by a key that may", sleeps_unless_it_may_be_woken, pool, cheap)
        tap.check("kill -9 of the server: what runs on the machine is found again", server_comes_back, pool, cheap)
        tap.check("kill -9 of the machine: another takes over", another_takes_over, pool, cheap, dear)
        tap.check("what a killed machine left is ended when it comes back", what_was_left_is_ended, pool, cheap)
        tap.check("a stream outlives its machine", stream_outlives_its_machine, pool, cheap, dear)
        tap.check("a drained machine is left", drained, pool)
        tap.check("a removed machine is out, and what has no place waits", removed, pool, nodes)
        tap.check("a machine that is stopped ends its engines", stopped, pool, nodes)
    tap.end()


main()
