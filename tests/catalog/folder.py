#!/usr/bin/env python3
"""Entries of the user's own and updates of the catalogue, with a server and without: added, read at the start and on SIGHUP, refused with file and field, updated, taken back,
killed at random moments meanwhile. Prints TAP."""
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support"))
from freehold import PATIENCE, PROGRAM, Server, Tap, need_starter  # noqa: E402

OWN = {"models": [{"id": "lab-model", "name": "Lab Model", "aliases": ["lab"], "licence": {"name": "MIT", "class": "free"},
                   "variants": [{"name": "q8", "format": "GGUF Q8_0", "gguf": True, "bytes": 8000000000}], "context_tok": 8192,
                   "memory": {"caches": [{"kind": "gqa", "layers": 32, "heads": 8, "key": 128, "value": 128}]}}],
       "machines": [{"id": "lab-gpu", "name": "Lab GPU", "kind": "gpu", "memory_gb": 48, "memory_bandwidth_gbs": 900, "sold_as": ["LabCard 48"]}]}


def make_update(folder, version, **change):
    path = folder / f"update-{version}.json"
    subprocess.run([sys.executable, TOP / "src/catalog/generate.py", "--pack", TOP / "data/catalog", path], check=True)
    doc = json.loads(path.read_text())
    doc["version"] = version
    next(m for m in doc["models"] if m["id"] == "glm-5.3").update(change)
    path.write_text(json.dumps(doc))
    return path


def write(path, doc):
    path.write_text(doc if isinstance(doc, str) else json.dumps(doc))
    return str(path)


def view(run):
    return json.loads(run("catalog", "list", "--json").stdout)


def name_of(run, model="glm-5.3"):
    return json.loads(run("show", model, "--json").stdout)["name"]


def failed(done, *words):
    assert done.returncode, done.stdout
    assert all(w in done.stderr for w in words), done.stderr


def own_entries(run, folder):
    """Added, shown as one's own, planned with, refused where a name is taken or a field is wrong, removed."""
    said = run("catalog", "add", write(folder / "Lab.json", OWN))
    assert "lab" in said.stdout and "used" in said.stdout, said
    shown = json.loads(run("show", "lab", "--json").stdout)
    assert (shown["id"], shown["tier"], shown["from"], shown["keeps"]["bytes_per_token"]) == ("lab-model", "own", "lab", 131072), shown
    assert "an entry of your own, from lab" in run("show", "lab-model").stdout
    listed = json.loads(run("models", "--json").stdout)["items"]
    assert [m["id"] for m in listed if m["from"]] == ["lab-model"] and listed[0]["id"] == "kimi-k3.1-pro"
    offers = write(folder / "offers.json", [{"place": "lab", "device": "lab-gpu", "devices": 1, "hour_nusd": 1000000000}])
    plans = json.loads(run("plan", "lab-model", "--offers", offers, "--json").stdout)
    assert [p["place"] for p in plans["plans"]][:1] == ["lab"] or any(p["place"] == "lab" for p in plans["plans"]), plans

    before = view(run)
    wrong = json.loads(json.dumps(OWN))
    wrong["models"][0]["licence"]["class"] = "fre"
    failed(run("catalog", "add", write(folder / "bad.json", wrong)), "models[0].licence.class", "free, ask, restricted")
    taken = json.loads(json.dumps(OWN))
    taken["models"][0].update(id="other", aliases=["kimi"])
    failed(run("catalog", "add", write(folder / "taken.json", taken)), "kimi is a name of the model kimi-k3.1-pro", "never replace")
    failed(run("catalog", "add", write(folder / "broken.json", "{\"models\": [")), "line 1")
    failed(run("catalog", "add", "--name", "Not Good", write(folder / "Lab.json", OWN)), "small letters")
    assert view(run) == before
    run("catalog", "remove", "lab")
    failed(run("catalog", "remove", "lab"), "catalog list")
    failed(run("show", "lab"), "no model")


def updates(run, folder):
    """Newer ones only, whole or not at all, back by one and to the program's own."""
    program = view(run)["program"]
    failed(run("catalog", "update", str(make_update(folder, program))), program)
    said = run("catalog", "update", str(make_update(folder, "2030-01-01", name="GLM first"))).stdout
    assert "2030-01-01, an update" in said, said
    assert name_of(run) == "GLM first"
    run("catalog", "update", str(make_update(folder, "2030-01-01.2", name="GLM second")))
    assert name_of(run) == "GLM second" and view(run)["before"] == "2030-01-01"
    bad = make_update(folder, "2031-01-01", rank=0.5)
    failed(run("catalog", "update", str(bad)), "models[3].rank", "integer")
    failed(run("catalog", "update", str(make_update(folder, "2029-01-01"))), "2030-01-01.2")
    assert name_of(run) == "GLM second"
    run("catalog", "revert")
    assert name_of(run) == "GLM first" and view(run)["before"] is None
    run("catalog", "revert")
    assert name_of(run) == "GLM-5.3" and not view(run)["updated"]
    failed(run("catalog", "revert"), "program's own")


def a_name_that_an_update_brings(run, folder):
    """Entries of one's own step back, and are said to."""
    run("catalog", "add", write(folder / "lab.json", OWN))
    run("catalog", "update", str(make_update(folder, "2032-01-01", aliases=["lab"])))
    own = view(run)["own"][0]
    assert not own["used"] and "lab is a name of the model glm-5.3" in own["why"], own
    run("catalog", "revert")
    assert view(run)["own"][0]["used"]
    run("catalog", "remove", "lab")


def reads_on_sighup(server):
    folder = server.data / "catalog.d"
    folder.mkdir(exist_ok=True)
    write(folder / "hand.json", OWN)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.cli("show", "lab").returncode == 0)
    write(folder / "hand.json", json.dumps(OWN).replace("Lab Model", "Lab Model II").replace("\"gqa\"", "\"gqq\""))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "stays as it is" in server.output())
    assert "hand: models[0].memory.caches[0].kind" in server.output(), server.output()
    assert name_of(server.cli, "lab") == "Lab Model"
    write(folder / "hand.json", json.dumps(OWN).replace("Lab Model", "Lab Model II"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: name_of(server.cli, "lab") == "Lab Model II")


def starts_with_what_is_good(server):
    """A bad file does not keep a server from starting; it is said, and not used."""
    write(server.data / "catalog.d/bad.json", "{}")
    server.stop()
    server.start()
    state = {o["name"]: o["used"] for o in view(server.cli)["own"]}
    assert state == {"bad": False, "hand": True}, state
    assert "catalog.d/bad.json" in server.output()
    (server.data / "catalog.d/bad.json").unlink()
    (server.data / "catalog.d/hand.json").unlink()


def survives_kills(data, folder):
    """kill -9 at random moments of updates and reverts: afterwards the catalogue is one of those that were meant."""
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    chance = random.Random(seed)
    updates = [make_update(folder, f"2040-01-{i:02d}", name=f"GLM {i}") for i in range(1, 25)]
    names = {"GLM-5.3"} | {f"GLM {i}" for i in range(1, 25)}
    run = without_server(data)
    for path in updates:
        words = ["revert"] if chance.random() < 0.2 else ["update", str(path)]
        p = subprocess.Popen([PROGRAM, "catalog", *words, "--data", data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.06)
        p.kill()
        p.wait()
        seen = view(run)
        assert name_of(run) in names and seen["update_why"] is None, seen


def until(true, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def without_server(data):
    return lambda *words: subprocess.run([PROGRAM, *words, "--data", data], capture_output=True, text=True, timeout=120)


def main():
    tap = Tap()
    need_starter()
    with Server(start=False) as s:
        alone = without_server(s.data)
        for fn in (own_entries, updates, a_name_that_an_update_brings):
            tap.check(f"without a server: {fn.__name__.replace('_', ' ')}", fn, alone, s.folder)
        tap.check("kill -9 leaves a catalogue that was meant", survives_kills, s.data, s.folder)
    with Server() as s:
        for fn in (own_entries, updates, a_name_that_an_update_brings):
            tap.check(f"with a server: {fn.__name__.replace('_', ' ')}", fn, s.cli, s.folder)
        tap.check("SIGHUP reads entries of one's own, and a bad file changes nothing", reads_on_sighup, s)
        tap.check("a bad file does not keep a server from starting", starts_with_what_is_good, s)
    return tap.end()


sys.exit(main())
