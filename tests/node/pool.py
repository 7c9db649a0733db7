#!/usr/bin/env python3
"""Models on the machines of a pool: real servers, real machines on loopback, the starter model. The cheapest machine serves, another takes over, streams outlive machines,
and nothing is left behind. Prints TAP."""
import http.client
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import PATIENCE, Node, Pool, Tap
from freehold import STARTER, need_starter, processes

ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "What is a lighthouse for?"}], "temperature": 0, "max_tokens": 24}


def deployments(pool):
    return {d["name"]: d for d in pool.json("GET", "/api/v1/deployments")["items"] if d["state"] not in ("stopped", "failed")}


def wait_for(pool, condition, what):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = deployments(pool)
        if condition(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: {found}\n{pool.output()[-3000:]}")


def at(name, place):
    return lambda found: found.get(name, {}).get("state") == "ready" and found[name]["place"] == place


def answer(pool):
    status, headers, body = pool.request("POST", "/v1/chat/completions", ASK)
    assert status == 200, body
    return headers["x-freehold-place"], json.loads(body)["choices"][0]["message"]["content"]


def engines(node):
    """Of that machine: pids of its engines."""
    return processes(f"unix:{node.data}/run/")


def run(pool, *flags):
    done = pool.cli("run", "smollm2", "Say hello.", *flags, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done


# ---- the checks ----

def cheapest_serves(pool, cheap, dear):
    dear.join(pool.token(), "--ask", "0.90")
    pool.wait_here("dear")
    cheap.join(pool.token(), "--ask", "0.10")
    pool.wait_here("cheap")
    run(pool, "--on", "pool")
    found = wait_for(pool, at("smollm2-135m", "node/cheap"), "the cheapest machine does not serve")
    assert engines(cheap) and not engines(dear), (engines(cheap), engines(dear))
    place, text = answer(pool)
    assert place == "node/cheap" and text, (place, text)
    assert "node/cheap" in pool.cli("ps").stdout
    pool.greedy = text
    return found["smollm2-135m"]["reason"]


def who_may_read_it(pool):
    """A machine of the pool is none of the owner's own: a request can keep away from it."""
    status, _, body = pool.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "own"})
    assert status == 403 and b"beyond the trust" in body, (status, body)
    assert pool.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "rented"})[0] == 200


def not_installed(pool):
    done = pool.cli("run", "smollm2", "Hello.", "--on", "node/cheap", "--engine", "llama-server", timeout=PATIENCE)
    assert done.returncode != 0 and "llama" in done.stderr, done
    assert not [d for d in deployments(pool).values() if d.get("engine") == "llama-server"]


def logs_come_here(pool):
    until = time.monotonic() + PATIENCE
    while "engine" not in pool.cli("logs", "smollm2-135m").stdout and time.monotonic() < until:
        time.sleep(0.2)
    assert "an engine is started" in pool.cli("logs", "smollm2-135m").stdout


def server_comes_back(pool, cheap):
    before = engines(cheap)
    pool.kill()
    time.sleep(0.5)
    pool.start_pool()
    wait_for(pool, at("smollm2-135m", "node/cheap"), "what runs on the machine is not found again")
    assert engines(cheap) == before, (before, engines(cheap))
    assert answer(pool) == ("node/cheap", pool.greedy)


def another_takes_over(pool, cheap, dear):
    begun = time.monotonic()
    cheap.kill()
    wait_for(pool, lambda found: found["smollm2-135m"]["state"] != "ready", "its loss is not noticed")
    noticed = time.monotonic() - begun
    wait_for(pool, at("smollm2-135m", "node/dear"), "no other machine takes over")
    assert answer(pool) == ("node/dear", pool.greedy)
    return f"noticed after {noticed:.1f} s, served by the other after {time.monotonic() - begun:.1f} s"


def what_was_left_is_ended(pool, cheap):
    """The machine comes back, and with it nothing of what its agent left when it was killed."""
    assert engines(cheap), "its engine outlives the agent"
    cheap.join()
    pool.wait_here("cheap")
    until = time.monotonic() + PATIENCE
    while engines(cheap) and time.monotonic() < until:
        time.sleep(0.1)
    assert not engines(cheap)


def stream_outlives_its_machine(pool, cheap, dear):
    run(pool, "--on", "node/cheap", "--name", "second")
    wait_for(pool, at("second", "node/cheap"), "the second one does not serve")
    long = {**ASK, "stream": True, "max_tokens": 160, "ignore_eos": True}
    whole = pool.request("POST", "/v1/chat/completions", {**long, "stream": False})
    whole = json.loads(whole[2])["choices"][0]["message"]["content"]
    connection = http.client.HTTPConnection("127.0.0.1", pool.port, timeout=PATIENCE)
    connection.request("POST", "/v1/chat/completions", json.dumps(long), {"Authorization": f"Bearer {pool.key}", "Content-Type": "application/json"})
    reply = connection.getresponse()
    victim = {"node/cheap": cheap, "node/dear": dear}[reply.headers["x-freehold-place"]]
    text, killed, done = "", False, False
    for line in reply:
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            done = True
            break
        event = json.loads(line[6:])
        assert "error" not in event, event
        text += "".join(c["delta"].get("content") or "" for c in event.get("choices", []))
        if not killed and len(text) > 40:
            victim.kill()
            killed = True
    connection.close()
    assert killed and done and text == whole, (killed, done, text, whole)
    victim.join()
    pool.wait_here(victim.name)
    assert pool.cli("stop", "second").returncode == 0
    return f"{len(text)} characters, none lost or doubled; its machine was {victim.name}"


def drained(pool):
    """What may go elsewhere does."""
    found = wait_for(pool, lambda f: f.get("smollm2-135m", {}).get("state") == "ready", "nothing is ready")
    name = found["smollm2-135m"]["place"].removeprefix("node/")
    other = {"cheap": "node/dear", "dear": "node/cheap"}[name]
    assert pool.cli("node", "drain", name).returncode == 0
    wait_for(pool, at("smollm2-135m", other), "it does not leave the machine that is drained")
    pool.drained = name


def removed(pool, nodes):
    """Nothing is left to run on: it waits, and says for what."""
    gone = nodes["dear" if pool.drained == "cheap" else "cheap"]
    assert pool.cli("node", "remove", gone.name).returncode == 0
    assert gone.ended() != 0
    wait_for(pool, lambda f: f["smollm2-135m"]["state"] == "planning" and "waiting for" in f["smollm2-135m"]["reason"], "it does not wait")
    assert not engines(gone), "a machine that was removed ends its engines"
    assert pool.cli("stop", "smollm2-135m").returncode == 0


def stopped(pool, nodes):
    nodes[pool.drained].stop()
    assert not engines(nodes[pool.drained])


def main():
    need_starter()
    tap = Tap()
    with Pool(STARTER) as pool:
        pool.drained = "cheap"
        cheap, dear = Node(pool, "cheap"), Node(pool, "dear")
        nodes = {"cheap": cheap, "dear": dear}
        tap.check("the cheapest machine that it fits on serves", cheapest_serves, pool, cheap, dear)
        tap.check("a request may keep away from machines of others", who_may_read_it, pool)
        tap.check("what the owner did not install is not run there", not_installed, pool)
        tap.check("what an engine says is read here", logs_come_here, pool)
        tap.check("kill -9 of the server: what runs on the machine is found again", server_comes_back, pool, cheap)
        tap.check("kill -9 of the machine: another takes over", another_takes_over, pool, cheap, dear)
        tap.check("what a killed machine left is ended when it comes back", what_was_left_is_ended, pool, cheap)
        tap.check("a stream outlives its machine", stream_outlives_its_machine, pool, cheap, dear)
        tap.check("a drained machine is left", drained, pool)
        tap.check("a removed machine is out, and what has no place waits", removed, pool, nodes)
        tap.check("a machine that is stopped ends its engines", stopped, pool, nodes)
    tap.end()


main()
