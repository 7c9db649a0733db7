"""Sets of replicas on real engines: more under load, none without, another shape without a lost request, and a server that is killed in between."""
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter

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
    until = time.monotonic() + PATIENCE
    while s.json("GET", "/api/v1/deployments/smollm2-135m")["state"] != "stopped":
        assert time.monotonic() < until, s.deployments()
        time.sleep(0.05)
    assert s.json("GET", "/api/v1/deployments/smollm2-135m")["set"] == "smollm2-135m"
    assert "asleep" in s.cli("ps").stdout
    done = s.cli("wake", "smollm2")
    assert done.returncode == 0, done.stderr
    wait_set(s, "it does not wake", lambda r: r["ready"] == 1 and (r["woke_ms"] or 0) > 0)
    assert s.metric("freehold_set_wake_seconds") > 0 and s.metric("freehold_set_changes_total") >= 2 and s.metric("freehold_set_replicas") >= 2


def put_to_sleep(s):
    wait_set(s, "it does not sleep", lambda r: r["wanted"] == 0 and r["running"] == 0)
    until = time.monotonic() + PATIENCE
    while any(d["state"] == "draining" for d in s.deployments()):
        assert time.monotonic() < until, s.deployments()
        time.sleep(0.05)


def a_stream_wakes_it(s):
    """Held with comments from the first moment on, by a key that may only use the model."""
    put_to_sleep(s)
    key = s.json("POST", "/api/v1/keys", {"name": "user"})["key"]
    assert "smollm2-135m" in [m["id"] for m in s.json("GET", "/v1/models", key=key)["data"]], "what a request wakes is listed"
    body = {**SAY, "model": "smollm2", "max_tokens": 8, "stream": True}
    status, headers, text = s.request("POST", "/v1/chat/completions", body, key=key, timeout=120)
    assert status == 200 and headers["content-type"].startswith("text/event-stream"), (status, headers)
    events = text.decode().split("\n\n")
    assert events[0].startswith(": ") and "smollm2-135m" in events[0], events[:3]
    data = [e for e in events if e.startswith("data: ")]
    assert data[-1] == "data: [DONE]" and all("error" not in json.loads(e[6:]) for e in data[:-1]), text
    assert the_set(s)["woke_ms"] > 0


def plain_requests_wake_it(s):
    """Many at once: one replica, and each is answered, in every API."""
    put_to_sleep(s)
    body = {**SAY, "model": "deployment/smollm2-135m", "max_tokens": 4}
    replies = []
    asks = [("/v1/chat/completions", body), ("/v1/chat/completions", {**body, "model": "auto"}), ("/v1/messages", body), ("/v1/responses", {"model": "smollm2", "input": "Hi", "max_output_tokens": 4, "store": False}),
            ("/v1/messages", {**body, "stream": True}), ("/v1/responses", {"model": "smollm2", "input": "Hi", "max_output_tokens": 4, "store": False, "stream": True})]
    threads = [threading.Thread(target=lambda p=p, b=b: replies.append((p, *s.request("POST", p, b, timeout=120)))) for p, b in asks]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(replies) == len(asks) and all(r[1] == 200 for r in replies), replies
    assert the_set(s)["running"] == 1


def who_does_not_wait(s):
    put_to_sleep(s)
    body = {**SAY, "model": "smollm2", "max_tokens": 4}
    status, headers, text = s.request("POST", "/v1/chat/completions", body, headers={"x-freehold-max-wait": "0"})
    assert status == 503 and headers["x-should-retry"] == "false" and int(headers["retry-after"]) == 30, (status, headers, text)
    wait_set(s, "it was not woken for that", lambda r: r["ready"] == 1)


def woken_while_it_drains(s):
    """The request comes in the moment that it falls asleep."""
    wait_set(s, "it does not sleep", lambda r: r["wanted"] == 0)
    body = {**SAY, "model": "smollm2", "max_tokens": 4}
    status, _, text = s.request("POST", "/v1/chat/completions", body, timeout=120)
    assert status == 200, (status, text)


def killed_while_it_wakes(s):
    put_to_sleep(s)
    assert s.cli("wake", "smollm2").returncode == 0
    s.kill()
    s.start()
    wait_set(s, "it does not wake", lambda r: r["ready"] == 1)


def refused_in_the_stream(s):
    """What the engine refuses once the stream was begun with comments is an error event."""
    put_to_sleep(s)
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "word " * 9000}], "stream": True}
    status, _, text = s.request("POST", "/v1/chat/completions", body, timeout=120)
    events = [json.loads(e[6:]) for e in text.decode().split("\n\n") if e.startswith("data: {")]
    assert status == 200 and "error" in events[-1] and "context" in events[-1]["error"]["message"], text[-600:]


def stopped(s):
    assert s.cli("stop", "smollm2-135m").returncode == 0
    wait_set(s, "it stays", lambda r: r is None)
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
        tap.check("a stream wakes it, and is held with comments", a_stream_wakes_it, s)
        tap.check("plain requests wake it, in each API, all at once", plain_requests_wake_it, s)
        tap.check("who does not wait is told when to come again", who_does_not_wait, s)
        tap.check("what is refused behind the comments ends the stream with its error", refused_in_the_stream, s)
        tap.check("woken in the moment that it falls asleep", woken_while_it_drains, s)
        tap.check("kill -9 while it wakes", killed_while_it_wakes, s)
        tap.check("stopped, all of it is", stopped, s)
    tap.end()


main()
