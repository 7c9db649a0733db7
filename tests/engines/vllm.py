#!/usr/bin/env python3
"""A real vLLM (its CPU package) deployed as our own engine is, with weights that were imported as a folder of safetensors. It takes a minute or more to start. Prints TAP."""
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter, processes
from others import vllm

ASK = [{"role": "user", "content": "Say hello."}]
START = 540  # seconds: a busy machine of two cores


class Engine:
    def __init__(self, server, words, folder):
        self.s, self.words, self.folder = server, words, folder

    def deployment(self):
        return next(d for d in self.s.deployments() if d["engine"] == "vllm")

    def imported(self):
        done = self.s.cli("import", "--id", "small-safetensors", str(self.folder), timeout=300)
        assert done.returncode == 0 and "small-safetensors" in done.stdout, done
        item = next(w for w in self.s.json("GET", "/api/v1/weights")["items"] if w["id"] == "small-safetensors")
        assert item["format"] == "safetensors" and item["architecture"] == "llama" and item["context_tok"] == 8192, item
        again = self.s.cli("import", "--id", "other-name", str(self.folder), timeout=300)
        assert again.returncode == 0 and len(self.s.json("GET", "/api/v1/weights")["items"]) == 2, again

    def not_our_own(self):
        status, _, body = self.s.request("POST", "/api/v1/deployments", {"model": "small-safetensors", "engine": "freehold"})
        assert status == 400 and "vllm" in json.loads(body)["hint"], body

    def no_cache_of_that_type(self):
        done = self.s.cli("run", "small-safetensors", "Hi", "--kv-type", "q8_0", timeout=300)
        assert done.returncode == 1 and "cannot be told to keep its cache as q8_0" in done.stderr and "--engine freehold" in done.stderr, done

    def run_and_chat(self):
        """Without --engine: it is the one that takes such weights."""
        done = self.s.cli("run", "small-safetensors", "Say hello.", "--max-tokens", "6", "--context", "1024", "--streams", "2", timeout=START)
        assert done.returncode == 0 and done.stdout.strip(), (done, self.s.deployments(), self.s.cli("logs", "small-safetensors").stdout[-3000:])
        d = self.deployment()
        assert (d["state"], d["context_tok"], d["streams"], d["sandbox"]) == ("ready", 1024, 2, "bubblewrap") and d["restarts"] == 0, d

    def same_endpoint(self):
        status, headers, reply = self.s.request("POST", "/v1/chat/completions", {"model": "small-safetensors", "messages": ASK, "max_tokens": 6, "temperature": 0}, timeout=300)
        said = json.loads(reply)
        assert status == 200 and headers["x-freehold-place"] == "here" and said["usage"]["completion_tokens"] == 6, (status, said)
        self.said = said["choices"][0]["message"]["content"]
        assert "ello" in self.said, self.said  # fluent nonsense is what wrong settings of it give
        assert self.s.request("POST", "/v1/messages", {"model": "small-safetensors", "messages": ASK, "max_tokens": 4}, timeout=300)[0] == 200

    def stream(self):
        body = {"model": "small-safetensors", "messages": ASK, "max_tokens": 6, "temperature": 0, "stream": True}
        status, _, reply = self.s.request("POST", "/v1/chat/completions", body, timeout=300)
        events = [line[6:] for line in reply.decode().splitlines() if line.startswith("data: ")]
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in map(json.loads, events[:-1]) if c["choices"])
        assert status == 200 and events[-1] == "[DONE]" and text == self.said, (text, self.said)

    def shown(self):
        log = self.s.cli("logs", self.deployment()["name"]).stdout
        assert "Application startup complete" in log and "Say hello" not in log, log[-800:]
        states = [e["to"] for e in self.s.json("GET", f"/api/v1/deployments/{self.deployment()['name']}/events")["items"]]
        assert states == ["requested", "planning", "provisioning", "fetching", "loading", "proving", "ready"], states

    def load(self):
        said = self.s.wait_load(self.deployment()["name"])
        assert said["waiting"] == 0 and 0 <= said["kv_used"] <= 1 and said["prompt_tokens_per_second"] is not None, said

    def adopted(self):
        before = self.deployment()
        self.s.kill()
        self.s.start("--engine", self.words)
        after = self.deployment()
        assert (after["state"], after["pid"], after["restarts"]) == ("ready", before["pid"], 0), (before, after)
        self.same_endpoint()

    def killed(self):
        before = self.deployment()
        os.kill(before["pid"], signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while self.deployment()["restarts"] == 0 and time.monotonic() < until:
            time.sleep(0.05)
        after = self.s.wait_ready(before["name"], START)
        assert after["restarts"] == 1 and after["pid"] != before["pid"], after
        self.same_endpoint()

    def stopped(self):
        assert self.s.cli("stop", self.deployment()["name"], timeout=120).returncode == 0
        until = time.monotonic() + PATIENCE
        while (left := processes(str(self.s.data / "run"))) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left and not list((self.s.data / "run").iterdir()), left


def main():
    need_starter()
    tap = Tap()
    with Server(start=False) as s:
        words, weights = vllm(s.folder)
        if not words:
            Tap.skip_all(weights)
        s.start("--engine", words)
        e = Engine(s, words, weights)
        for what, name in ((e.imported, "a folder of safetensors is imported, once"), (e.not_our_own, "our own engine says who takes it"), (e.no_cache_of_that_type, "it says that it has no cache of that type"), (e.run_and_chat, "vLLM is run by the same verb, and answers"),
                           (e.same_endpoint, "vLLM answers at the same endpoint"), (e.stream, "vLLM streams"), (e.shown, "vLLM's log and its states are kept"), (e.load, "what vLLM says of its load is shown"),
                           (e.adopted, "vLLM is adopted after kill -9 of the server"), (e.killed, "vLLM is started again when it is killed"), (e.stopped, "vLLM leaves nothing when it is stopped")):
            tap.check(name, what)
    tap.end()


main()
