"""Sets of replicas on real engines: more under load, none without, another shape without a lost request, and a server that is killed in between."""
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter

SAY = {"messages": [{"role": "user", "content": "Count from one to a hundred."}], "temperature": 0}


def the_set(s):
    items = s.json("GET", "/api/v1/sets")["items"]
    return items[0] if items else None


def wait_set(s, what, good, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = the_set(s)
        if good(now):
            return now
        time.sleep(0.05)
    raise AssertionError(f"{what}: {the_set(s)} {s.deployments()}\n{s.output()[-3000:]}")


class Load:
    """Clients that ask one after another until it ends; what went wrong is in failed."""

    def __init__(self, s, clients, tokens, stream=False, model="deployment/smollm2-135m"):
        self.s, self.tokens, self.stream, self.model = s, tokens, stream, model
        self.over, self.failed, self.answers = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.ask, args=(i,)) for i in range(clients)]

    def ask(self, i):
        n = 0
        while not self.over.is_set():
            n += 1
            body = {**SAY, "model": self.model, "max_tokens": self.tokens, "seed": i * 1000 + n, "temperature": 1, "stream": self.stream}
            try:
                status, _, text = self.s.request("POST", "/v1/chat/completions", body, timeout=300)
                good = status == 200 and (not self.stream or text.rstrip().endswith(b"data: [DONE]"))
                if not good:
                    self.failed.append((status, text[-300:]))
                self.answers += 1
            except OSError as e:
                self.failed.append(e)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def grows_under_load(s):
    done = s.cli("run", "smollm2", "Hi", "--max-tokens", "1", "--streams", "1", "--replicas", "1..2")
    assert done.returncode == 0, done.stderr
    assert the_set(s)["wanted"] == 1
    with Load(s, 5, 16) as load:
        grown = wait_set(s, "it does not grow", lambda r: r["wanted"] == 2 and r["ready"] == 2)
    assert "wait" in grown["reason"], grown
    assert not load.failed, load.failed[:3]
    ps = s.cli("ps").stdout
    assert "1..2" in ps and "smollm2-135m-2" in ps, ps


def rolls_under_load(s):
    """Both replicas are replaced while streams and plain requests run: none is lost."""
    before = {d["name"] for d in s.deployments() if d["state"] == "ready"}
    with Load(s, 2, 24, stream=True) as streams, Load(s, 2, 12) as plain:
        time.sleep(1)
        done = s.cli("roll", "smollm2", "--streams", "2", timeout=300)
        assert done.returncode == 0, done.stderr
        time.sleep(1)
    assert not streams.failed and not plain.failed, (streams.failed[:2], plain.failed[:2])
    assert streams.answers > 2 and plain.answers > 2
    after = {d["name"]: d for d in s.deployments() if d["state"] == "ready"}
    assert not before & set(after) and all(d["streams"] == 2 for d in after.values()), (before, after)


def a_roll_that_cannot_be(s):
    running = sorted(d["name"] for d in s.deployments() if d["state"] == "ready")
    done = s.cli("roll", "smollm2-135m", "--streams", "256", timeout=300)
    assert done.returncode != 0 and "what ran before goes on" in done.stderr, done.stderr
    assert sorted(d["name"] for d in s.deployments() if d["state"] == "ready") == running
    assert s.cli("roll", "smollm2-135m", "--streams", "2", timeout=300).returncode == 0


def killed_and_found_again(s):
    before = wait_set(s, "not settled", lambda r: r["ready"] == r["wanted"] and r["leaving"] == 0)
    s.kill()
    s.start()
    after = wait_set(s, "it is not found again", lambda r: r and r["ready"] == before["wanted"])
    for member in ("replicas_min", "replicas_max", "wanted", "model", "name"):
        assert after[member] == before[member], (before, after)


def sleeps_and_is_woken(s):
    status, _, body = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True, "replicas_min": 1, "idle_s": 5})
    assert status == 400 and json.loads(body)["param"] == "idle_s", body
    s.json("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True, "replicas_min": 0, "replicas_max": 2, "idle_s": 2})
    asleep = wait_set(s, "it does not sleep", lambda r: r["wanted"] == 0 and r["running"] == 0)
    assert "the next request wakes it" in asleep["reason"], asleep
    until = time.monotonic() + 60
    while s.json("GET", "/api/v1/deployments/smollm2-135m")["state"] != "stopped":
        assert time.monotonic() < until, s.deployments()
        time.sleep(0.05)
    assert s.json("GET", "/api/v1/deployments/smollm2-135m")["set"] == "smollm2-135m"
    assert "asleep" in s.cli("ps").stdout
    done = s.cli("wake", "smollm2")
    assert done.returncode == 0, done.stderr
    awake = wait_set(s, "it does not wake", lambda r: r["ready"] == 1)
    assert awake["woke_ms"] > 0, awake


def stopped(s):
    assert s.cli("stop", "smollm2-135m").returncode == 0
    assert the_set(s) is None
    assert not [d for d in s.deployments() if d["state"] not in ("stopped", "failed")]


def main():
    need_starter()
    tap = Tap()
    with Server() as s:
        tap.check("a queue that stays gets another replica", grows_under_load, s)
        tap.check("another shape under load: no request is lost", rolls_under_load, s)
        tap.check("where the successor cannot be, what ran goes on", a_roll_that_cannot_be, s)
        tap.check("kill -9: the set is as it was", killed_and_found_again, s)
        tap.check("without requests it sleeps, and is woken", sleeps_and_is_woken, s)
        tap.check("stopped, all of it is", stopped, s)
    tap.end()


main()
