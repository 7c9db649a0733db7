#!/usr/bin/env python3
"""What engines keep beside weights for later: packed weights, which the next start maps, and pages of prompts, which it finds. Prints TAP.

kept.py [--whole] [--seed N]

The engine is killed (kill -9) at random moments while it writes packed weights, 10 times, 200 with --whole: whatever is left, the next start says the same. The same beginning of
4,096 tokens is asked for before and after a restart of the server: what was computed is found, by the same key alone, and not where key, request or server say that nothing is kept."""
import argparse
import itertools
import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from engine import Engine
from freehold import PATIENCE, Server, Skip, Tap, need_starter

PREFIX_TOK, PAGE_TOK = 4096, 64


class Keeper(Engine):
    """One with a folder for its packed weights."""

    def __init__(self, folder):
        self.kept = folder / "kept"
        super().__init__(folder, "--context", "512", "--weight-cache", str(self.kept))

    def says(self):
        return self.json("/v1/completions", {"model": "m", "prompt": "The capital of France", "max_tokens": 8, "temperature": 0})["choices"][0]["text"]

    def maps_kept(self):
        return "weights.packed" in Path(f"/proc/{self.process.pid}/maps").read_text()


def wait_for(what, why, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.02)


def packs_here():
    return "avx2" in Path("/proc/cpuinfo").read_text()


def killed_writers(folder, kills, seed):
    if not packs_here():
        raise Skip("the kernels of this processor pack nothing")
    draw, mapped = random.Random(seed), 0
    first = Keeper(folder).wait_ready()
    want, file = first.says(), first.kept / "weights.packed"
    begun = time.monotonic()
    wait_for(file.exists, "nothing was kept")
    took = time.monotonic() - begun
    first.end()
    second = Keeper(folder).wait_ready()
    assert second.maps_kept() and second.says() == want
    second.end()
    for i in range(kills):
        file.unlink(missing_ok=True)
        doomed = Keeper(folder)
        if draw.random() < 0.8:
            doomed.wait_ready()  # it writes from now on
        time.sleep(draw.random() * (took + 0.2))
        doomed.end(signal.SIGKILL)
        there = file.exists()
        after = Keeper(folder).wait_ready()
        assert after.says() == want, f"kill {i} of seed {seed}"
        assert after.maps_kept() == there, f"kill {i} of seed {seed}"
        mapped += there
        after.end(signal.SIGKILL if draw.random() < 0.5 else signal.SIGTERM)
    last = Keeper(folder).wait_ready()
    wait_for(file.exists, "nothing was kept at last")
    last.end()
    assert [p.name for p in first.kept.iterdir() if p.name.startswith("weights.")] == ["weights.packed"], "something was left over"
    print(f"# seed {seed}: {mapped} of {kills} kills came after the file was there", flush=True)


def words(count, seed):
    draw = random.Random(seed)
    return " ".join(draw.choice(["river", "stone", "green", "window", "seven", "music", "paper", "north"]) for _ in range(count))


asked = itertools.count(100)


def cached_of(s, text, key="own", **headers):
    """How many tokens of a prompt that begins like that were not computed, of how many, and how long it took. Each ends in another way, so that no answer is a kept one."""
    begun = time.monotonic()
    reply = s.json("POST", "/v1/completions", {"model": "smollm2", "prompt": f"{text} {next(asked)}", "max_tokens": 1, "temperature": 0}, key=key, headers=headers, timeout=300)
    took = time.monotonic() - begun
    usage = reply["usage"]
    return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"], took


def pages(s):
    return list(s.data.glob("pages/*/*.page"))


def restart(s, name, *flags):
    s.stop()
    s.start(*flags)
    s.wait_ready(name, 120)


def beginnings(tap, s, name):
    text = words(PREFIX_TOK, 1)
    beginning = " ".join(text.split()[:300])

    def found_after_a_restart():
        cached, all_of_it, first_s = cached_of(s, text)
        assert cached == 0 and all_of_it >= PREFIX_TOK, (cached, all_of_it)
        restart(s, name)
        cached, all_of_it, second_s = cached_of(s, text)
        assert cached >= PREFIX_TOK - PAGE_TOK, (cached, all_of_it)
        print(f"# first token after {first_s * 1000:.0f} ms; after a restart {second_s * 1000:.0f} ms, {cached} of {all_of_it} tokens from disk", flush=True)

    def counted_and_closed():
        kept = pages(s)
        assert len(kept) >= PREFIX_TOK // PAGE_TOK - 1, len(kept)
        assert all(p.stat().st_mode & 0o777 == 0o600 for p in kept) and kept[0].parent.stat().st_mode & 0o777 == 0o700
        item = s.json("GET", "/api/v1/weights")["items"][0]
        assert item["page_bytes"] == sum(p.stat().st_size for p in kept) > 0, item
        if packs_here():
            wait_for(lambda: s.json("GET", "/api/v1/weights")["items"][0]["packed_bytes"] > item["bytes"] / 2, item)

    def of_one_key_alone():
        other = s.json("POST", "/api/v1/keys", {"name": "other"})["key"]
        assert cached_of(s, beginning)[0] > 0
        assert cached_of(s, beginning, key=other)[0] == 0

    def off_where_it_is_said():
        shy = json.loads(s.cli("key", "create", "--no-page-cache", "--json", "shy").stdout)
        assert shy["page_cache"] is False, shy
        texts = [words(300, seed) for seed in (2, 3)]
        restart(s, name)  # all that waits to be written is

        def ask():
            return [cached_of(s, texts[0], key=shy["key"])[0], cached_of(s, texts[1], **{"cache-control": "no-store"})[0]]

        before = len(pages(s))
        assert ask() == [0, 0]
        assert all(n > 0 for n in ask()), "in memory they are kept"
        restart(s, name)
        assert len(pages(s)) == before
        assert ask() == [0, 0]
        restart(s, name, "--cache", "off")
        assert cached_of(s, beginning)[0] == 0, "the server says that nothing is kept"

    for fn, what in [(found_after_a_restart, "the same beginning is found after a restart"), (counted_and_closed, "what is kept is counted, and closed to others"),
                     (of_one_key_alone, "another key finds nothing of it"), (off_where_it_is_said, "nothing is kept where key, request or server say so")]:
        tap.check(what, fn)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--whole", action="store_true")
    p.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    a = p.parse_args()
    need_starter()
    tap = Tap()
    with Server() as s:
        tap.check("a writer that is killed leaves what is whole or not used", killed_writers, s.folder, 200 if a.whole else 10, a.seed)
        name = s.json("POST", "/api/v1/deployments", {"model": "smollm2", "context_tok": 2 * PREFIX_TOK})["name"]
        s.wait_ready(name, 120)
        beginnings(tap, s, name)
    tap.end()


main()
