#!/usr/bin/env python3
"""A real llama-server deployed as our own engine is: the same verb, the same states, the same endpoint; killed, adopted, stopped, refused. Prints TAP."""
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter, processes
from others import llama_server

ASK = [{"role": "user", "content": "Say hello."}]
TOOL = {"type": "function", "function": {"name": "say", "parameters": {"type": "object", "properties": {"word": {"enum": ["hi", "ho"]}}, "required": ["word"], "additionalProperties": False}}}


class Engine:
    """One server that was told where llama-server is."""

    def __init__(self, server, words):
        self.s, self.words = server, words

    def deployment(self):
        return next(d for d in self.s.deployments() if d["engine"] == "llama-server" and d["name"] != "small")

    def run_and_chat(self):
        done = self.s.cli("run", "smollm2", "--engine", "llama-server", "Say hello.", "--max-tokens", "6", "--context", "2048", "--streams", "2", timeout=300)
        assert done.returncode == 0 and done.stdout.strip(), done
        d = self.deployment()
        assert (d["state"], d["model"], d["context_tok"], d["streams"]) == ("ready", "smollm2-135m", 2048, 2) and d["sandbox"] and d["rss_bytes"] > 50_000_000, d
        again = self.s.cli("run", "smollm2", "--engine", "llama-server", "Say hello.", "--max-tokens", "2", timeout=300)
        assert again.returncode == 0 and len(self.s.deployments()) == 1, again

    def smaller_cache(self):
        done = self.s.cli("run", "smollm2", "--engine", "llama-server", "--name", "small", "--kv-type", "q8_0", "Say hello.", "--max-tokens", "6", "--context", "512", "--streams", "1", timeout=300)
        assert done.returncode == 0 and done.stdout.strip(), (done, self.s.cli("logs", "small").stdout[-2000:])
        d = self.s.json("GET", "/api/v1/deployments/small")
        words = Path(f"/proc/{d['pid']}/cmdline").read_bytes().split(b"\0")
        assert d["kv_type"] == "q8_0" and words[words.index(b"--cache-type-v") + 1] == b"q8_0", words
        assert self.s.cli("stop", "small").returncode == 0

    def same_endpoint(self):
        status, headers, reply = self.s.request("POST", "/v1/chat/completions", {"model": "smollm2", "messages": ASK, "max_tokens": 6, "temperature": 0}, timeout=300)
        said = json.loads(reply)
        assert status == 200 and said["choices"][0]["message"]["content"] and said["model"] == "smollm2-135m", said
        assert headers["x-freehold-place"] == "here" and said["usage"]["completion_tokens"] == 6, (headers, said)
        self.said = said["choices"][0]["message"]["content"]
        for path, body in (("/v1/messages", {"messages": ASK, "max_tokens": 6}), ("/v1/responses", {"input": "Say hello.", "max_output_tokens": 6}), ("/v1/completions", {"prompt": "Hello", "max_tokens": 4})):
            assert self.s.request("POST", path, {"model": "smollm2", **body}, timeout=300)[0] == 200, path

    def stream(self):
        body = {"model": "smollm2", "messages": ASK, "max_tokens": 6, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
        status, _, reply = self.s.request("POST", "/v1/chat/completions", body, timeout=300)
        events = [line[6:] for line in reply.decode().splitlines() if line.startswith("data: ")]
        chunks = [json.loads(e) for e in events[:-1]]
        assert status == 200 and events[-1] == "[DONE]", events[-2:]
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
        assert text == self.said and [c["usage"]["completion_tokens"] for c in chunks if c.get("usage")][-1] == 6, (text, self.said)

    def tools(self):
        body = {"model": "smollm2", "messages": ASK, "max_tokens": 60, "tools": [TOOL], "tool_choice": "required"}
        call = self.s.json("POST", "/v1/chat/completions", body, timeout=300)["choices"][0]["message"]["tool_calls"][0]["function"]
        assert call["name"] == "say" and json.loads(call["arguments"])["word"] in ("hi", "ho"), call

    def shown(self):
        ps = json.loads(self.s.cli("ps", "--json").stdout)
        assert [d["engine"] for d in ps["items"]] == ["llama-server"], ps
        log = self.s.cli("logs", self.deployment()["name"]).stdout
        assert "model loaded" in log and "Say hello" not in log, log[-600:]
        states = [e["to"] for e in self.s.json("GET", f"/api/v1/deployments/{self.deployment()['name']}/events")["items"]]
        assert states == ["requested", "planning", "provisioning", "fetching", "loading", "proving", "ready"], states

    def load(self):
        """By its own metrics: what it does not say of its cache is null."""
        said = self.s.wait_load(self.deployment()["name"])
        assert (said["waiting"], said["kv_used"]) == (0, None) and said["prompt_tokens_per_second"] is not None, said

    def killed(self):
        before = self.deployment()
        os.kill(before["pid"], signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while self.deployment()["restarts"] == 0 and time.monotonic() < until:
            time.sleep(0.05)
        after = self.s.wait_ready(before["name"], 300)
        assert after["restarts"] == 1 and after["pid"] != before["pid"], after
        self.same_endpoint()

    def adopted(self):
        before = self.deployment()
        self.s.kill()
        assert processes(str(self.s.data / "run"))
        self.s.start("--engine", self.words)
        after = self.deployment()
        assert (after["pid"], after["restarts"], after["engine"]) == (before["pid"], before["restarts"], "llama-server"), (before, after)
        self.same_endpoint()

    def stopped(self):
        assert self.s.cli("stop", self.deployment()["name"], timeout=120).returncode == 0
        until = time.monotonic() + PATIENCE
        while (left := processes(str(self.s.data / "run"))) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left and not list((self.s.data / "run").iterdir()), left

    def beside_our_own(self):
        """Whose load is read too."""
        own = self.s.deploy()
        load = self.s.wait_load(own["name"])
        assert own["engine"] == "freehold" and 0 <= load["kv_used"] <= 1, (own, load)
        done = self.s.cli("run", "smollm2-135m", "--engine", "llama-server", "Say hello.", "--max-tokens", "2", timeout=300)
        assert done.returncode == 0 and sorted(d["engine"] for d in self.s.deployments() if d["state"] == "ready") == ["freehold", "llama-server"], done


def refusals(tap, s):
    def absent():
        environment = {**s.environment(), "PATH": "/usr/bin:/bin"}
        done = s.cli("run", "smollm2", "--engine", "llama-server", "Hi", environment=environment)
        assert done.returncode == 1 and "not installed" in done.stderr and "--engine llama-server=" in done.stderr, done

    def unknown():
        status, _, body = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "engine": "tgi"})
        said = json.loads(body)
        assert status == 404 and said["param"] == "engine" and "llama-server" in said["hint"], said

    def wrong_format():
        status, _, body = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "engine": "vllm"})
        assert status == 400 and json.loads(body)["param"] == "engine" and "safetensors" in json.loads(body)["detail"], body

    def wrong_version():
        old = s.folder / "llama-server"
        old.write_text("#!/bin/sh\necho 'version: 17 (abcdef)'\n")
        old.chmod(0o755)
        s.stop()
        s.start("--engine", f"llama-server={old}")
        done = s.cli("run", "smollm2", "--engine", "llama-server", "Hi")
        assert done.returncode == 1 and "version 17" in done.stderr and "6000 to below" in done.stderr, done

    def badly_told():
        for words in ("llama-server", "llama-server=relative/path", "nobody=/bin/true", "freehold=/bin/true"):
            done = s.cli("serve", "--data", str(s.folder / "other"), "--listen", "127.0.0.1:0", "--engine", words)
            assert done.returncode == 2 and "ENGINE=PROGRAM" in done.stderr, (words, done)
    tap.check("an engine that is not installed says what to do", absent)
    tap.check("an engine that nobody knows is refused, with those there are", unknown)
    tap.check("weights of another format are refused, with who takes them", wrong_format)
    tap.check("a version that we do not know is refused by name", wrong_version)
    tap.check("a server that is badly told where engines are does not start", badly_told)


def main():
    need_starter()
    tap = Tap()
    with Server() as s:
        refusals(tap, s)
    with tempfile.TemporaryDirectory(prefix="fh-engines-") as folder:
        words, why = llama_server(Path(folder))
        if not words:
            tap.skip("llama-server is deployed as our own engine is", why)
            tap.end()
        with Server(start=False) as s:
            s.start("--engine", words)
            e = Engine(s, words)
            for what, name in ((e.run_and_chat, "is run by the same verb, and answers"), (e.smaller_cache, "keeps its cache in less when asked to"), (e.same_endpoint, "answers through every API of the same endpoint"), (e.stream, "streams"),
                               (e.tools, "is made to call a tool"), (e.shown, "is listed, and its log and its states are kept"), (e.load, "is asked for its load"), (e.killed, "is started again when it is killed"),
                               (e.adopted, "is adopted after kill -9 of the server"), (e.stopped, "leaves nothing when it is stopped"), (e.beside_our_own, "runs beside our own engine")):
                tap.check("llama-server " + name, what)
    tap.end()


main()
