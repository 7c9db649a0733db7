#!/usr/bin/env python3
"""Who may read what is asked: machines of two owners, the same model on each. What is asked of those who are named never reaches another, not when they break either; a
deployment runs nowhere else; and work that is bought from oneself earns no standing. Prints TAP."""
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import ASK, LONG, PATIENCE, Node, Pool, Tap, at
from freehold import STARTER, need_starter

TRIES = 8


class Keys:
    def __init__(self, pool):
        self.any = self.make(pool, "anybody")
        self.alice = self.make(pool, "alice-only", trust="owner/alice")
        self.own_work = self.make(pool, "alices-own", owner="alice")

    def make(self, pool, name, **more):
        return pool.json("POST", "/api/v1/keys", {"name": name, "scope": "use", **more})["key"]


def places(pool, key, trust=None, ask=ASK):
    found = set()
    for _ in range(TRIES):
        headers = {"x-freehold-cache": "off", **({"x-freehold-trust": trust} if trust else {})}
        status, said, body = pool.request("POST", "/v1/chat/completions", {**ask, "max_tokens": 2}, key=key, headers=headers, timeout=PATIENCE)
        assert status == 200, (status, body)
        found.add(said["x-freehold-place"])
    return found


def requests_at(pool, name):
    return pool.json("GET", f"/api/v1/nodes/{name}")["standing"]["requests"]


# ---- the checks ----

def owners_are_known(pool):
    nodes = pool.nodes()
    assert (nodes["den"]["owned_by"], nodes["lab"]["owned_by"]) == ("alice", "bob"), nodes
    assert "it is alice's" in pool.cli("node", "show", "den").stdout
    listed = {k["name"]: k for k in pool.json("GET", "/api/v1/keys")["items"]}
    assert listed["alice-only"]["trust"] == "own,owner/alice" and listed["alices-own"]["owner"] == "alice", listed
    live = pool.live()
    assert (live["one"]["read_by"], live["one"]["owned_by"], live["one"]["trust"]) == ("rented", "alice", None), live["one"]


def only_who_is_named_reads(pool, keys):
    before = requests_at(pool, "lab")
    assert places(pool, keys.alice) == {"node/den"}
    assert places(pool, keys.any, "node/den") == {"node/den"}
    assert places(pool, keys.alice, "any") == {"node/den"}, "a request says more than its key"
    assert abs(requests_at(pool, "lab") - before) < 0.01, "a prompt reached who was not named"
    assert places(pool, keys.any, "owner/bob") == {"node/lab"}
    assert places(pool, keys.any, "node/lab,owner/alice") <= {"node/den", "node/lab"}


def nobody_else_is_asked(pool, keys):
    for key, trust in ((keys.alice, "own"), (keys.alice, "owner/bob"), (keys.any, "provider/lab"), (keys.any, "owner/carol")):
        status, _, body = pool.request("POST", "/v1/chat/completions", ASK, key=key, headers={"x-freehold-trust": trust})
        assert status == 403 and b"beyond the trust" in body, (trust, status, body)
    for trust in ("lab", "node/", "own;any"):
        status, _, body = pool.request("POST", "/v1/chat/completions", ASK, key=keys.any, headers={"x-freehold-trust": trust})
        assert status == 400 and b"x-freehold-trust" in body, (trust, status, body)
    for field, value in (("trust", "everybody"), ("owner", "Alice B.")):
        status, _, body = pool.request("POST", "/api/v1/keys", {"name": "bad", field: value})
        assert status == 400 and json.loads(body)["param"] == field, (status, body)


def ones_own_work_earns_nothing(pool, keys):
    before = requests_at(pool, "den")
    assert places(pool, keys.own_work, "owner/alice") == {"node/den"}
    earned = requests_at(pool, "den") - before
    assert abs(earned) < 0.01, f"{earned} requests of its owner's own count"
    assert places(pool, keys.own_work, "owner/bob") == {"node/lab"}
    assert places(pool, keys.any, "owner/alice") == {"node/den"}
    earned = requests_at(pool, "den") - before
    assert abs(earned - TRIES) < 0.01, f"{earned} of {TRIES} requests of others count"


def planned_with_them(pool):
    asked = {"model": "smollm2", "variant": "q4_1", "context_tok": 512}
    every = pool.json("POST", "/api/v1/plans", asked)
    bound = pool.json("POST", "/api/v1/plans", {**asked, "trust": "owner/bob"})
    assert {p["place"]: (p["read_by"], p["owned_by"]) for p in every["plans"]} == {
        "here": ("own", None), "node/den": ("rented", "alice"), "node/lab": ("rented", "bob")}, every["plans"]
    assert {p["place"] for p in bound["plans"]} == {"here", "node/lab"}, bound["plans"]
    refused = {r["reason"]: r for r in bound["refused"]}["trust"]
    assert refused["nearest"] == "node/den" and refused["count"] == 1 and "could read" in refused["why"], refused
    said = pool.cli("plan", "smollm2").stdout
    assert "others can read what is asked at" in said and "node/den of alice" in said, said
    said = pool.cli("plan", "smollm2", "--trust", "own").stdout
    assert not [line for line in said.splitlines() if line.startswith("node/")] and "could read" in said, said


def a_deployment_runs_nowhere_else(pool, den):
    """Of two machines that would do, and of one that is gone: it waits, and comes back."""
    pool.run("--on", "pool", "--trust", "owner/alice", "--name", "bound")
    found = pool.wait_live(at("bound", "node/den"), "it does not run where it may")
    assert found["bound"]["trust"] == "own,owner/alice", found["bound"]
    den.kill_all()
    pool.wait_live(lambda live: live["bound"]["state"] == "planning", "its machine's loss is not noticed")
    time.sleep(3)
    assert pool.live()["bound"]["place"] != "node/lab" and pool.live()["bound"]["state"] == "planning", pool.live()["bound"]
    pool.kill()
    pool.start_pool()
    pool.wait_here("lab")
    assert pool.live()["bound"]["state"] == "planning" and pool.live()["bound"]["trust"] == "own,owner/alice", pool.live()["bound"]
    den.join()
    pool.wait_live(at("bound", "node/den"), "it does not come back")
    done = pool.cli("roll", "bound", "--on", "node/lab")
    assert done.returncode != 0 and "could read" in done.stderr, done.stderr
    assert pool.live()["bound"]["place"] == "node/den", pool.live()["bound"]
    pool.cli("stop", "bound")


def what_nobody_may_have_fails_with_the_reason(pool):
    done = pool.cli("run", "smollm2", "Hello.", "--on", "node/lab", "--trust", "owner/alice", "--name", "never", timeout=PATIENCE)
    assert done.returncode != 0 and "could read" in done.stderr and "own,node/lab" in done.stderr, done.stderr
    status, _, body = pool.request("POST", "/api/v1/deployments", {"model": "smollm2", "place": "node/lab", "trust": "owner/alice"})
    assert status == 403 and json.loads(body)["param"] == "trust", (status, body)
    assert "never" not in pool.cli("ps", "--all").stdout
    done = pool.cli("run", "smollm2", "Hello.", "--on", "node/den", "--trust", "own", "--name", "one", timeout=PATIENCE)
    assert done.returncode != 0, "a deployment that may go anywhere is taken for one that may not"
    model = pool.live()["two"]["model"]
    pool.run("--on", "node/lab", "--name", model)  # as one is called that nobody named
    for asked, place in ((model, ["--on", "node/lab"]), (f"deployment/{model}", [])):
        done = pool.cli("run", asked, "Hello.", "--trust", "own", *place, timeout=PATIENCE)
        assert done.returncode != 0 and "trust" in done.stderr, (asked, done.stdout, done.stderr)
    assert pool.cli("stop", model).returncode == 0


def no_stream_goes_on_elsewhere(pool, den, keys):
    """Its machine dies under it. Others could go on with it, and may not."""
    pool.wait_live(at("one", "node/den"), "it does not come back")
    before, victims = requests_at(pool, "lab"), []

    def kill(place):
        victims.append(place)
        den.kill_all()

    try:
        text = pool.stream({**LONG, "max_tokens": 400}, then=kill, key=keys.alice)
        raise AssertionError(f"it went on: {text!r}")
    except AssertionError as why:
        assert victims == ["node/den"] and "went on" not in str(why), why
    status, _, body = pool.request("POST", "/v1/chat/completions", ASK, key=keys.alice, headers={"x-freehold-max-wait": "0"})
    assert status in (403, 503), (status, body)
    assert abs(requests_at(pool, "lab") - before) < 0.01, "a prompt reached who was not named"
    assert places(pool, keys.any) == {"node/lab"}, "the other one would have done"


def main():
    need_starter()
    tap = Tap()
    with Pool(STARTER) as pool:
        den, lab = Node(pool, "den"), Node(pool, "lab")
        den.join(pool.token("--owner", "alice"))
        lab.join(pool.token("--owner", "bob"))
        pool.wait_here("den")
        pool.wait_here("lab")
        keys = Keys(pool)
        pool.run("--on", "node/den", "--name", "one")
        pool.run("--on", "node/lab", "--name", "two")
        tap.check("a machine is whose token it came with, and keys say who pays and whom they trust", owners_are_known, pool)
        tap.check("what is asked reaches those who are named, and no other", only_who_is_named_reads, pool, keys)
        tap.check("where those are not, nobody is asked", nobody_else_is_asked, pool, keys)
        tap.check("work that is bought from oneself earns no standing, others' does", ones_own_work_earns_nothing, pool, keys)
        tap.check("plans say who can read, and leave out who may not, with the reason", planned_with_them, pool)
        tap.check("a deployment runs where it may be read and nowhere else, over a lost machine and a killed server", a_deployment_runs_nowhere_else, pool, den)
        tap.check("one that nobody may have says why", what_nobody_may_have_fails_with_the_reason, pool)
        tap.check("no stream goes on at a machine that was not named", no_stream_goes_on_elsewhere, pool, den, keys)
        lab.stop()
    tap.end()


main()
