#!/usr/bin/env python3
"""Answers are the same whatever else is computed, and wherever the beginning of the prompt comes from. Prints TAP.

identical.py [--whole] [--seed N]

12 prompts (200 with --whole) go to engines of the starter model: alone with a cold cache, which is what the others are held against; with a warm one; from disk after a restart; in a
batch of 16 while others arrive and leave; with guesses ahead, right ones and wrong ones; and all of that at once. With --deterministic all tokens must be the same, also of those
requests that are sampled. Without, greedy answers may part where the two best tokens are as near to each other as the kernels' bound says (NEARLY_TIED, src/kernel/README.md): the
partings are counted, and all log-probabilities before them are held against each other too."""
import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from engine import Engine
from freehold import TOP, Tap, need_starter
from greedy import NEARLY_TIED

PAGE_TOK = 64
PATHS_APART = 2 * NEARLY_TIED  # nats: how much more or less likely a token may be than on another path
TEXT = (TOP / "tests/engine/text.txt").read_text().split()


# ---- what is asked ----

def excerpt(draw, words):
    at = draw.randrange(len(TEXT) - words)
    return " ".join(TEXT[at:at + words])


def table(draw, lines):
    return "\n".join(f"shelf {n}: {draw.randrange(90)} boxes of {draw.choice(['apples', 'pears', 'plums', 'figs'])}" for n in range(1, lines))


def question(draw, beginning, longest):
    kind = draw.randrange(5)
    if kind == 0:
        return "In a few words: what is this about? " + excerpt(draw, draw.randrange(4, 60))
    if kind == 1:
        return "Go on with this story.\n\n" + excerpt(draw, draw.randrange(60, longest))
    if kind == 2:
        return "Copy this text word by word.\n\n" + excerpt(draw, draw.randrange(60, 150))
    if kind == 3:
        return "Copy this list, with ten boxes less on each shelf.\n\n" + table(draw, draw.randrange(12, 30))
    return beginning + "\n\nWhat is said of " + " ".join(excerpt(draw, 3).split()) + "?"


def make_bodies(count, seed):
    """Requests: greedy ones, and every fourth sampled, which only a deterministic engine answers alike."""
    draw, (longest_prompt, longest_answer) = random.Random(seed), (400, 64) if count > 100 else (200, 20)
    beginning = excerpt(draw, longest_prompt // 2)
    bodies = []
    for i in range(count):
        body = {"model": "m", "messages": [{"role": "user", "content": question(draw, beginning, longest_prompt)}], "ignore_eos": True,
                "max_tokens": draw.randrange(8, longest_answer), "logprobs": True, "top_logprobs": 5, "temperature": 0}
        if i % 4 == 3:
            body.update(temperature=0.9, seed=i)
        bodies.append(body)
    return bodies


# ---- what is answered ----

class Answer:
    def __init__(self, reply):
        choice, usage = reply["choices"][0], reply["usage"]
        self.text = choice["message"]["content"]
        self.tokens = [(bytes(t["bytes"]), {bytes(o["bytes"]): o["logprob"] for o in t["top_logprobs"]}) for t in choice["logprobs"]["content"]]
        self.prompt_tok, self.cached_tok = usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]
        self.guessed, self.came = reply["timings"].get("draft_n", 0), reply["timings"].get("draft_n_accepted", 0)


def ask(engine, body, salt):
    return Answer(engine.json("/v1/chat/completions", body, {"x-freehold-salt": salt}, timeout=600))


def alone(engine, bodies, salt="own-{}"):
    return [ask(engine, body, salt.format(i)) for i, body in enumerate(bodies)]


class Crowd:
    """Others that come and go while a batch is asked for: each leaves after a few events of its stream."""

    def __init__(self, engine, bodies, seed):
        self.engine, self.bodies, self.stop = engine, bodies, threading.Event()
        self.pool = ThreadPoolExecutor(4)
        self.draws = [random.Random(seed + i) for i in range(4)]

    def disturb(self, draw):
        left = 0
        while not self.stop.wait(draw.random() * 0.3):
            body = {**draw.choice(self.bodies), "stream": True, "max_tokens": 200, "temperature": 1}
            with contextlib.closing(self.engine.open(timeout=600)) as c:
                c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", "x-freehold-priority": draw.choice(["low", "normal"])})
                reply = c.getresponse()
                assert reply.status == 200, reply.status
                reply.read1(draw.randrange(1, 4000))
            left += 1
        return left

    def __enter__(self):
        self.running = [self.pool.submit(self.disturb, draw) for draw in self.draws]
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.pool.shutdown()
        self.left = sum(r.result() for r in self.running)


def in_a_batch(engine, bodies, salt, seed):
    """16 at once, each followed by the next as it ends."""
    order = random.Random(seed).sample(range(len(bodies)), len(bodies))
    with Crowd(engine, bodies, seed) as crowd, ThreadPoolExecutor(16) as pool:
        answers = dict(zip(order, pool.map(lambda i: ask(engine, bodies[i], salt), order)))
    assert crowd.left > 0
    return [answers[i] for i in range(len(bodies))], crowd.left


def predicted(bodies, answers):
    """The same requests, told what to expect: of every second answer the whole, of the others with a word that does not come."""
    def expect(i, text):
        words = text.split(" ")
        if i % 2:
            words[len(words) // 2] = "elsewhere"
        return " ".join(words)
    return [{**body, "prediction": {"type": "content", "content": expect(i, a.text)}} for i, (body, a) in enumerate(zip(bodies, answers))]


# ---- held against one another ----

class Verdict:
    """Of one way to be answered: where answers part, and how far apart log-probabilities are before."""

    def __init__(self, want, got):
        self.partings, self.apart, self.compared = [], 0, 0
        for i, (a, b) in enumerate(zip(want, got)):
            self.compare(i, a.tokens, b.tokens)

    def compare(self, i, a, b):
        assert len(a) == len(b), f"answer {i} has {len(b)} tokens, not {len(a)}"
        for at, ((x, x_top), (y, y_top)) in enumerate(zip(a, b)):
            self.apart = max([self.apart, *(abs(x_top[t] - y_top[t]) for t in (x, y) if t in x_top and t in y_top)])
            self.compared += 1
            if x != y:
                far = 99.0
                gap = max(x_top[x] - x_top.get(y, -far), y_top[y] - y_top.get(x, -far))
                self.partings.append((i, at, x, y, gap))
                return


def check(name, want, got, greedy, strict):
    if strict:
        wrong = [i for i, (a, b) in enumerate(zip(want, got)) if a.tokens != b.tokens]
        assert not wrong, f"{name}: {len(wrong)} of {len(want)} differ, the first at {Verdict([want[wrong[0]]], [got[wrong[0]]]).partings}, number {wrong[0]}"
        return f"{len(want)} answers: the same tokens, to the same log-probabilities"
    v = Verdict([want[i] for i in greedy], [got[i] for i in greedy])
    for i, at, x, y, gap in v.partings:
        print(f"# {name}: answer {greedy[i]} parts at token {at}: {x!r} or {y!r}, {gap:.4f} nats apart")
    assert all(gap < NEARLY_TIED for *_, gap in v.partings), f"{name}: a parting where there is no near-tie"
    assert v.apart < PATHS_APART, f"{name}: a token is {v.apart:.3f} nats more or less likely"
    return f"{len(greedy)} answers, {len(v.partings)} part at a near-tie; {v.compared} tokens, log-probabilities at most {v.apart:.4f} nats apart"


class Run:
    """All ways, on engines with the same flags."""

    def __init__(self, tap, folder, bodies, strict, seed):
        self.tap, self.folder, self.bodies, self.strict, self.seed = tap, folder, bodies, strict, seed
        self.flags = ["--parallel", "16", "--context", "1024", "--kv-tokens", "3072", "--page-cache", str(folder / "pages"), *(["--deterministic"] if strict else [])]
        self.greedy = [i for i, b in enumerate(bodies) if b["temperature"] == 0]
        self.want = self.again = None

    def engine(self, *more):
        return Engine(self.folder, *self.flags, *more)

    def way(self, name, fn, *args):
        def run():
            begun = time.monotonic()
            got, said = fn(*args)
            took = time.monotonic() - begun
            self.want = self.want or got
            return f"{check(name, self.want, got, self.greedy, self.strict)}; {took:.1f} s{said}"
        self.tap.check(f"{'deterministic' if self.strict else 'as it is'}: {name}", run)

    def cold(self, e):
        """Each is asked again at once, while all of it is still there."""
        pairs = [[ask(e, body, f"own-{i}") for _ in range(2)] for i, body in enumerate(self.bodies)]
        got, self.again = ([p[n] for p in pairs] for n in range(2))
        assert not any(a.cached_tok for a in got)
        return got, " with those that follow"

    def warm(self, e):
        assert all(a.cached_tok > 0 for a in self.again)
        return self.again, f", {sum(a.cached_tok for a in self.again)} of {sum(a.prompt_tok for a in self.again)} prompt tokens kept"

    def from_disk(self, e):
        got = alone(e, self.bodies)
        assert all(a.cached_tok > 0 for a in got if a.prompt_tok > PAGE_TOK)
        return got, f", {sum(a.cached_tok for a in got)} of {sum(a.prompt_tok for a in got)} prompt tokens from disk"

    def batch(self, e, expect=False):
        before = e.metric("freehold_engine_preempted_total")
        got, left = in_a_batch(e, predicted(self.bodies, self.want) if expect else self.bodies, "batch", self.seed)
        lost = e.metric("freehold_engine_preempted_total") - before
        guessed, came = (sum(getattr(a, n) for a in got) for n in ("guessed", "came"))
        return got, f", {left} others came and went, {lost:.0f} gave their place back, {came} of {guessed} guesses came"

    def ahead(self, e):
        got = alone(e, predicted(self.bodies, self.want), "ahead-{}")
        guessed, came = (sum(getattr(a, n) for a in got) for n in ("guessed", "came"))
        assert 0 < came < guessed, (came, guessed)
        return got, f", {came} of {guessed} guesses came"

    def all(self):
        with self.engine("--no-drafts") as e:
            self.way("alone, cold", self.cold, e)
            self.way("warm", self.warm, e)
        with self.engine("--no-drafts") as e:
            self.way("from disk", self.from_disk, e)
            self.way("in a batch", self.batch, e)
        with self.engine() as e:
            self.way("guessed ahead", self.ahead, e)
            self.way("all at once", self.batch, e, True)
        shutil.rmtree(self.folder / "pages")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--whole", action="store_true")
    p.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    a = p.parse_args()
    need_starter()
    tap = Tap()
    print(f"# seed {a.seed}", flush=True)
    bodies = make_bodies(200 if a.whole else 12, a.seed)
    with tempfile.TemporaryDirectory(prefix="fh-test-") as folder:
        for strict in (True, False):
            Run(tap, Path(folder), bodies, strict, a.seed).all()
    tap.end()


main()
