#!/usr/bin/env python3
"""What the owner of a machine decides: hours, models, engines, disk, an end at any time, and what becomes of engines without a server. Real servers and machines on loopback,
the starter model. Prints TAP."""
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import LONG, PATIENCE, Node, Pool, Tap, at, processes
from freehold import STARTER, need_starter
from greedy import check, greedy

MODEL = "smollm2-135m"
USAGE, NOT_FOUND = 2, 3


def waits_for(text):
    return lambda found: found.get(MODEL, {}).get("state") == "planning" and text in found[MODEL]["reason"]


def ask_for(pool, place, **more):
    """Whether it ever runs is seen later."""
    pool.json("POST", "/api/v1/deployments", {"model": "smollm2", "place": place, **more})


def stop(pool):
    assert pool.cli("stop", MODEL).returncode == 0
    pool.wait_live(lambda found: not found, "it does not stop")


def owner_of(pool, name):
    pool.wait(lambda nodes: (nodes.get(name) or {}).get("owner"), f"{name} does not say what its owner allows")
    return pool.nodes()[name]["owner"]


def clock(seconds):
    return time.strftime("%H:%M", time.localtime(time.time() + seconds))


def other_hours(pool, den):
    den.join(pool.token(), "--hours", f"{clock(7200)}-{clock(10800)}")
    assert "at other hours" in owner_of(pool, "den")["closed"]
    ask_for(pool, "node/den")
    pool.wait_live(waits_for("at other hours"), "it does not say what it waits for")
    assert "not lent" in pool.cli("node", "list").stdout
    den.stop()
    den.join(None, "--hours", f"{clock(-60)}-{clock(3600)}")
    pool.wait_live(at(MODEL, "node/den"), "it does not run when it may")
    assert "closed" not in owner_of(pool, "den")
    stop(pool)
    den.stop()


def hours_end(pool, den, attic):
    """They end with the next minute: what runs goes elsewhere by itself."""
    attic.join(pool.token(), "--ask", "5")
    pool.wait_here("attic")
    if time.localtime().tm_sec > 40:
        time.sleep(61 - time.localtime().tm_sec)
    den.join(None, "--hours", f"{clock(-60)}-{clock(60)}")
    pool.wait_here("den")
    pool.run("--on", "pool")
    ran_at_first = pool.live()[MODEL]["place"]
    pool.wait_live(at(MODEL, "node/attic"), "it does not go elsewhere when hours end")
    assert ran_at_first == "node/den", ran_at_first
    end = time.monotonic() + PATIENCE
    while den.engines():
        assert time.monotonic() < end, "its engines do not end"
        time.sleep(0.1)
    stop(pool)
    for node in (den, attic):
        node.stop()


def models(pool, den, attic):
    den.join(None, "--not-models", "smollm2")
    pool.wait_here("den")
    assert owner_of(pool, "den")["not_models"] == [MODEL]
    ask_for(pool, "node/den")
    time.sleep(0.5)
    failed = next(d for d in pool.deployments() if d["name"] == MODEL)
    assert failed["state"] == "failed" and "does not lend it" in failed["reason"], failed
    attic.join(None, "--models", "qwen3-0.6b,smollm2")
    pool.wait_here("attic")
    pool.run("--on", "pool")
    assert pool.live()[MODEL]["place"] == "node/attic"
    stop(pool)
    for node in (den, attic):
        node.stop()


def engines(pool, den):
    den.join(None, "--max-engines", "1", "--max-memory", "2.5", "--max-threads", "1")
    assert owner_of(pool, "den") == {"memory_bytes": 5 << 29, "engines": 1, "threads": 1, "alone_s": 600}
    node = pool.nodes()["den"]
    assert node["memory_bytes"] == 5 << 29 and node["facts"]["threads"] == 1, node
    pool.run("--on", "node/den")
    ask_for(pool, "node/den", name="second")
    pool.wait_live(lambda f: f.get("second", {}).get("state") == "planning" and "no more engines" in f["second"]["reason"], "it does not wait")
    for pid in den.engines():
        mask = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Cpus_allowed:"))
        assert bin(int(mask.split()[1].replace(",", ""), 16)).count("1") == 1, mask
    stop_one = pool.cli("stop", MODEL)
    assert stop_one.returncode == 0
    pool.wait_live(at("second", "node/den"), "the second one does not run when the first has ended")
    assert pool.cli("stop", "second").returncode == 0
    pool.wait_live(lambda found: not found, "it does not stop")
    den.stop()


def disk(pool, attic):
    small = Node(pool, "small").join(pool.token(), "--max-disk", "0.05")
    pool.wait_here("small")
    ask_for(pool, "node/small")
    end = time.monotonic() + PATIENCE
    while (d := next(d for d in pool.deployments() if d["name"] == MODEL))["state"] != "failed":
        assert time.monotonic() < end, d
        time.sleep(0.1)
    assert "no room on its disk" in d["reason"], d
    held = sum(f.stat().st_size for f in small.data.rglob("*") if f.is_file())
    assert held < 0.06 * (1 << 30), held
    attic.join(None, "--ask", "9")
    pool.wait_here("attic")
    pool.run("--on", "pool")
    assert pool.live()[MODEL]["place"] == "node/attic", "the dearer one with room takes it"
    stop(pool)
    for node in (small, attic):
        node.stop()
    return f"{held / 1e6:.1f} MB came before it was refused"


def leaves(pool, den, attic):
    """The server moves what runs; the machine ends by itself, and its stream goes on elsewhere."""
    den.join(None, "--ask", "0.1")
    attic.join(None, "--ask", "9")
    for name in ("den", "attic"):
        pool.wait_here(name)
    pool.run("--on", "pool")
    pool.wait_live(at(MODEL, "node/den"), "it does not run on the cheaper one")
    pool.run("--on", "node/attic", "--name", "other")
    known = greedy(pool, LONG)
    text = pool.stream({**LONG, "model": f"deployment/{MODEL}"}, then=lambda place: den.signal(signal.SIGTERM))
    check("a moved stream", text, known)
    assert den.ended() == 0, den.said()
    pool.wait_live(at(MODEL, "node/attic"), "what ran there does not go elsewhere")
    assert not den.engines() and "its owner takes it back" in den.said(), den.said()
    for name in (MODEL, "other"):
        assert pool.cli("stop", name).returncode == 0


def told_to_leave(pool, den):
    den.join()
    pool.wait_here("den")
    done = pool.cli("node", "leave", "--data", str(den.data))
    assert done.returncode == 0 and "no longer" in done.stdout and den.ended() == 0, (done, den.said())
    again = pool.cli("node", "leave", "--data", str(den.data))
    assert again.returncode == NOT_FOUND and "in no pool" in again.stderr, again
    den.join()
    pool.wait_here("den")
    pool.run("--on", "node/den")
    begun = time.monotonic()
    assert pool.cli("node", "leave", "--now", "--data", str(den.data)).returncode == 0 and not den.engines()
    stop(pool)
    return f"--now took {time.monotonic() - begun:.1f} s"


def undrained(pool, den):
    den.join()
    pool.wait_here("den")
    assert pool.cli("node", "drain", "den").returncode == 0
    ask_for(pool, "node/den")
    pool.wait_live(waits_for("waiting for node/den"), "a drained machine takes something new")
    done = pool.cli("node", "undrain", "den", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["state"] == "joined", done
    pool.wait_live(at(MODEL, "node/den"), "it is not used again")
    assert pool.cli("node", "undrain", "nobody").returncode == NOT_FOUND


def alone(pool, den):
    """The server is killed and stays away."""
    den.stop()
    den.join(None, "--alone", "1")
    pool.wait_live(at(MODEL, "node/den"), "it does not run")
    pool.kill()
    begun = time.monotonic()
    while den.engines():
        assert time.monotonic() - begun < PATIENCE, "its engines go on for good"
        time.sleep(0.2)
    took = time.monotonic() - begun
    assert took > 50 and den.process.poll() is None, (took, den.said())
    pool.start_pool()
    pool.wait_live(at(MODEL, "node/den"), "it does not run again")
    stop(pool)
    return f"its engines ended {took:.0f} s after the server"


def kept(pool, den):
    """What its owner said holds after kill -9, until something else is said."""
    hours = f"{clock(-60)}-{clock(36000)}"
    den.stop()
    den.join(None, "--max-engines", "3", "--hours", hours, "--not-models", "qwen3-0.6b", "--ask-tokens", "0.2EUR")
    first = owner_of(pool, "den")
    assert first["engines"] == 3 and first["hours"] == hours and first["not_models"] == ["qwen3-0.6b"], first
    den.kill()
    pool.wait_away("den")
    den.join(reset=False)
    assert owner_of(pool, "den") == first
    assert pool.nodes()["den"]["facts"]["offer"] == {"ask_micro_per_million": 200000, "ask_currency": "EUR"}
    den.kill()
    pool.wait_away("den")
    den.join(None, "--max-engines", "1", reset=False)
    assert owner_of(pool, "den") == {**first, "engines": 1}
    den.kill()
    wrong = pool.cli("node", "join", f"https://127.0.0.1:{pool.pool_port}", "--data", str(den.data), "--max-engines", "2", "--models", "a,,b", stdin="")
    assert wrong.returncode == USAGE, wrong
    den.join(reset=False)
    assert owner_of(pool, "den") == {**first, "engines": 1}, "what was wrong changed something"
    den.stop()
    settings = den.data / "settings.json"
    settings.write_text(settings.read_text()[:-5])
    broken = pool.cli("node", "join", f"https://127.0.0.1:{pool.pool_port}", "--data", str(den.data), stdin="")
    assert broken.returncode == 1 and str(settings) in broken.stderr and "--reset" in broken.stderr, broken
    den.join()
    assert owner_of(pool, "den") == {"alone_s": 600}
    den.stop()


def bad_words(pool):
    for flag, value in (("--hours", "nine to five"), ("--models", "a,,b"), ("--max-engines", "0"), ("--alone", "0")):
        done = pool.cli("node", "join", "https://127.0.0.1:1", "--data", str(pool.folder / "nobody"), flag, value, stdin="")
        assert done.returncode == USAGE and flag in done.stderr, done


def main():
    need_starter()
    tap = Tap()
    with Pool(STARTER) as pool:
        den, attic = Node(pool, "den"), Node(pool, "attic")
        tap.check("at other hours a machine takes nothing, and says so", other_hours, pool, den)
        tap.check("when hours end, what runs goes elsewhere", hours_end, pool, den, attic)
        tap.check("a machine is lent for the models that its owner allows", models, pool, den, attic)
        tap.check("engines, memory and threads are bounded", engines, pool, den)
        tap.check("a server cannot fill the disk, and finds another machine", disk, pool, attic)
        tap.check("a machine that leaves is left first: no character is lost", leaves, pool, den, attic)
        tap.check("node leave ends it from another shell", told_to_leave, pool, den)
        tap.check("a drained machine is used again", undrained, pool, den)
        tap.check("engines end when the server stays away", alone, pool, den)
        tap.check("what its owner said is kept over kill -9, until something else is said", kept, pool, den)
        tap.check("what is no such word is wrong usage", bad_words, pool)
        for node in (den, attic):
            if node.process.poll() is None:
                node.stop()
        assert not processes(f"unix:{pool.folder}/node-")
    tap.end()


main()
