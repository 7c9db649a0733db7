#!/usr/bin/env python3
"""Machines of a pool that compute what they should, and one whose owner put coarser weights in the place of those that it was sent: it is found, gets nothing new, and what ran there
goes elsewhere. Real servers, real `freehold node join` processes, model files that the test makes. Prints TAP.

FREEHOLD_SMALL_TEXT: the folder of small-text-f16.gguf; without it, shared/data/small-text beside the repository."""
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "node"))
from honest import F16, MOST, NAME, measure, rewrite
from machines import PATIENCE, Node, Pool, Tap

FAIR = ("--ask", "0.50", "--ask-tokens", "2.00", "--min-time", "60", "--region", "eu-west-1", "--watts", "90", "--pue", "1.2", "--wue", "0.3")
ASK = {"model": NAME, "prompt": "The whale", "max_tokens": 24, "temperature": 0.9}


class Market(Pool):
    """A server that machines may join, with the honest weights, and canaries by themselves only where a check wants them."""

    def __enter__(self):
        self.cli_local("import", "--id", NAME, str(self.weights))
        self.weights = None
        return super().__enter__()

    def start_pool(self, canaries=0):
        return self.start("--pool", f"127.0.0.1:{self.pool_port}", "--pool-check", str(canaries))


def run(pool, name, place):
    """What became of it: ready, or failed."""
    done = pool.request("POST", "/api/v1/deployments", {"model": NAME, "name": name, "place": place})
    assert done[0] in (201, 202), done
    return settled(pool, name)


def deployment(pool, name):
    return next(d for d in pool.json("GET", "/api/v1/deployments")["items"] if d["name"] == name)


def settled(pool, name, states=("ready", "failed")):
    until = time.monotonic() + PATIENCE
    while (found := deployment(pool, name))["state"] not in states:
        assert time.monotonic() < until, (found, pool.output()[-2000:])
        time.sleep(0.1)
    return found


def check(pool, node, canaries):
    done = pool.cli("node", "check", node, "--canaries", str(canaries), "--json", timeout=900)
    assert done.stdout, done
    return json.loads(done.stdout), done


def newcomers_stand_low(pool, nodes):
    for node in nodes:
        node.join(pool.token(), *(FAIR if node.name == "fair" else ("--ask", "0.10")))
        pool.wait_here(node.name)
    found = pool.nodes()
    assert all(found[n.name]["standing"]["honesty"] == "unknown" and 40 <= found[n.name]["standing"]["standing"] <= 45 for n in nodes), found
    assert "42" in pool.cli("node", "list").stdout


def asks_are_told(pool):
    """What its owner asks and says of it stands in the list and in plans; energy and water are shown alone."""
    fair = pool.nodes()["fair"]
    assert fair["ask_micro_per_hour"] == 500000 and fair["facts"]["offer"] == {
        "ask_micro_per_million": 2000000, "ask_currency": "USD", "min_time_s": 3600, "region": "eu-west-1", "watts": 90, "pue_milli": 1200, "wue_ml_kwh": 300}, fair
    assert "2.00 USD" in pool.cli("node", "list").stdout
    plans = {p["place"]: p for p in pool.json("POST", "/api/v1/plans", {"model": "smollm2-135m"})["plans"]}
    assert plans["node/fair"]["hour_nusd"] == 500_000_000 and plans["node/fair"]["region"] == "eu-west-1" and plans["node/fair"]["uj_per_million"] is None, plans["node/fair"]
    assert plans["node/fair"]["standing"] == plans["node/cheap"]["standing"] == 42 and abs(plans["node/fair"]["failing"] - 0.25) < 0.01, plans
    assert plans["here"]["standing"] is None and plans["here"]["nusd_per_million"] < plans["node/cheap"]["nusd_per_million"] < plans["node/fair"]["nusd_per_million"], plans
    for words, says in ((("--ask-tokens", "dear"), "no price of a million tokens"), (("--region", "Mars!"), "no name of a region"), (("--pue", "0.5"), "pue")):
        done = Node(pool, "wrong").join("", *words)
        assert done.ended() == 2 and says in done.said(), done.said()


def honest(pool):
    assert run(pool, "here", "here")["state"] == "ready"
    assert run(pool, "fair", "node/fair")["state"] == "ready"
    found, done = check(pool, "fair", 60)
    assert done.returncode == 0 and found["verdict"] == "honest" and found["canaries"] == 60 and found["evidence_log10"] < 1, done
    assert found["provider"] == "node/fair" and found["model"] == NAME, found
    return f"60 canaries, {found['positions']} tokens compared, {found['deviation']:.4f} nats away"


def work_is_noted(pool):
    before = pool.nodes()["fair"]["standing"]
    for _ in range(20):
        status, headers, body = pool.request("POST", "/v1/completions", {**ASK, "model": "deployment/fair"})
        assert status == 200 and headers["x-freehold-place"] == "node/fair", (status, headers)
        assert json.loads(body)["choices"][0]["logprobs"] is None, body
    after = pool.nodes()["fair"]["standing"]
    assert after["requests"] >= before["requests"] + 19 and after["failing"] < before["failing"] and after["standing"] > before["standing"], (before, after)
    assert after["tokens_per_second"] > 0, after
    status, headers, body = pool.request("POST", "/v1/completions", {**ASK, "model": "deployment/fair"})
    used = json.loads(body)["usage"]
    tokens, hour = (used["prompt_tokens"] + used["completion_tokens"]) * 2e-6, used["completion_tokens"] / 3600 * 0.5
    least, most = tokens + hour / (after["tokens_per_second"] * 2), tokens + hour / (after["tokens_per_second"] / 2)
    assert headers["x-freehold-basis"] == "modelled" and least < float(headers["x-freehold-cost"]) < most, (headers, least, most)
    assert pool.request("POST", "/v1/completions", {**ASK, "model": "deployment/fair"}, headers={"x-freehold-region": "us-east-1"})[0] == 403
    assert pool.request("POST", "/v1/completions", {**ASK, "model": "deployment/fair"}, headers={"x-freehold-region": "eu-west-1"})[0] == 200
    return f"standing {before['standing']} to {after['standing']}, {after['tokens_per_second']:.0f} tokens/s"


def swap(node, weights):
    """Its owner has the folder in hand."""
    files = [p for p in (node.data / "weights").rglob("*") if p.is_file() and p.stat().st_size > 100_000]
    assert files, list(node.data.rglob("*"))
    for path in files:
        path.chmod(0o600)
        shutil.copyfile(weights, path)


def cheat_is_found(pool, node, coarse):
    assert run(pool, "bad", "node/cheap")["state"] == "ready"
    assert pool.cli("stop", "bad").returncode == 0
    settled(pool, "bad", ("stopped",))
    swap(node, coarse)
    assert run(pool, "bad2", "node/cheap")["state"] == "ready"
    assert run(pool, "any", "pool")["state"] == "ready"
    found, done = check(pool, "cheap", MOST)
    assert done.returncode == 1 and found["verdict"] == "cheats" and found["canaries"] < 200, done
    assert "freehold node clear cheap" in done.stderr, done.stderr
    return f"after {found['canaries']} canaries: {found['reason']}"


def cheat_is_left(pool):
    """What was for it alone ends; what may run anywhere in the pool goes to the other, though that asks five times as much; and it stays so over a restart."""
    assert settled(pool, "bad2", ("failed",))["reason"] == "node/cheap was found to cheat, and gets nothing new"
    until = time.monotonic() + PATIENCE
    while deployment(pool, "any")["place"] != "node/fair" or deployment(pool, "any")["state"] != "ready":
        assert time.monotonic() < until, deployment(pool, "any")
        time.sleep(0.1)
    listed = pool.nodes()["cheap"]["standing"]
    assert listed["standing"] == 0 and listed["honesty"] == "cheats" and "nats" in listed["reason"], listed
    assert "cheats" in pool.cli("node", "list").stdout
    pool.stop()
    pool.start_pool()
    pool.wait_here("cheap")
    assert pool.nodes()["cheap"]["standing"]["honesty"] == "cheats"
    assert run(pool, "again", "node/cheap")["state"] == "failed"


def cleared(pool):
    assert pool.cli("node", "clear", "cheap").returncode == 0
    assert pool.nodes()["cheap"]["standing"]["honesty"] == "unknown"
    assert run(pool, "anew", "node/cheap")["state"] == "ready"
    assert pool.cli("stop", "anew").returncode == 0


def by_itself(pool):
    """Canaries go to machines of the pool without being asked for, and the requests of clients then look as they do."""
    pool.stop()
    pool.start_pool(8640)
    settled(pool, "here")
    settled(pool, "fair")
    until, before = time.monotonic() + 300, canaries(pool)
    while canaries(pool) < before + 2:
        assert time.monotonic() < until, before
        time.sleep(0.5)
    status, _, body = pool.request("POST", "/v1/completions", {**ASK, "model": "deployment/fair", "stream": True})
    assert status == 200 and b'"logprobs":{' not in body and b'"logprobs":null' in body, body


def canaries(pool):
    items = pool.json("GET", "/api/v1/nodes/fair/honesty")["items"]
    return items[0]["canaries"] if items else 0


def refused(pool):
    for words, code, says in ((("nobody",), 3, "no machine"), (("fair", "--model", "other"), 3, "does not serve"), (("fair", "--canaries", "0"), 2, "canaries")):
        done = pool.cli("node", "check", *words)
        assert done.returncode == code and says in done.stderr, (words, done)
    assert pool.cli("stop", "here").returncode == 0
    settled(pool, "here", ("stopped",))
    done = pool.cli("node", "check", "fair")
    assert done.returncode == 5 and "nothing to compare with" in done.stderr, done


def removed(pool, node):
    """Who comes again has another certificate, and begins anew."""
    assert pool.nodes()["fair"]["standing"]["standing"] > 60
    assert pool.cli("node", "remove", "fair").returncode == 0
    node.ended()
    shutil.rmtree(node.data)
    node.join(pool.token())
    pool.wait_here("fair")
    found = pool.nodes()["fair"]["standing"]
    assert found["honesty"] == "unknown" and found["standing"] <= 45, found


def main():
    if not F16.is_file():
        Tap.skip_all(f"{F16} is not here: FREEHOLD_SMALL_TEXT names its folder")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="fh-market-") as folder:
        files = {kind: rewrite(Path(folder) / kind, kind) for kind in ("Q8_0", "Q4_0")}
        with Market(files["Q8_0"]) as pool:
            fair, cheap = Node(pool, "fair"), Node(pool, "cheap")
            tap.check("newcomers stand low", newcomers_stand_low, pool, (fair, cheap))
            tap.check("what owners ask is told", asks_are_told, pool)
            tap.check("an honest machine is not accused", honest, pool)
            tap.check("an honest engine is the measure for others", measure, pool, files["Q8_0"])
            tap.check("work raises the standing of a machine", work_is_noted, pool)
            tap.check("a machine with coarser weights is found", cheat_is_found, pool, cheap, files["Q4_0"])
            tap.check("a machine that cheats is left, and gets nothing new", cheat_is_left, pool)
            tap.check("it begins anew once it is cleared", cleared, pool)
            tap.check("canaries go to machines by themselves", by_itself, pool)
            tap.check("what cannot be checked is refused, with what to do", refused, pool)
            tap.check("a machine that joins again begins anew", removed, pool, fair)
            for node in (fair, cheap):
                node.kill()
    tap.end()


main()
