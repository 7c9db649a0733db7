#!/usr/bin/env python3
"""Deployments as several people meet them: who shares one, who gets one of their own, and what is listed. Prints TAP."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, PROGRAM, STARTER, Server, Tap, need_starter


def live(s):
    return [d["name"] for d in s.deployments() if d["state"] not in ("stopped", "failed", "draining")]


def ended(s, name):
    until = time.monotonic() + PATIENCE
    while (d := s.json("GET", "/api/v1/deployments/" + name))["state"] != "failed":
        assert time.monotonic() < until, d
        time.sleep(0.05)
    return d


def main():
    need_starter()
    tap = Tap()
    with Server() as s:
        def two_runs_at_once():
            words = [str(PROGRAM), "run", "smollm2", "Say hello.", "--max-tokens", "2"]
            both = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=s.environment()) for _ in range(2)]
            for p in both:
                out, err = p.communicate(timeout=120)
                assert p.returncode == 0 and out.strip(), err
            assert live(s) == ["smollm2-135m"], s.deployments()

        def pressed_twice():
            made = [s.json("POST", "/api/v1/deployments", {"model": name, "reuse": True})["name"] for name in ("smollm2", "smollm2-135m", "deployment/smollm2-135m")]
            assert made == ["smollm2-135m"] * 3 and len(live(s)) == 1, made

        def a_second_on_purpose():
            made = s.json("POST", "/api/v1/deployments", {"model": "smollm2"})
            assert made["name"] == "smollm2-135m-2" and len(live(s)) == 2, made
            s.wait_ready(made["name"])
            assert s.cli("stop", made["name"]).returncode == 0

        def by_its_model():
            for name in ("smollm2", "SmolLM2", "smollm2-135m"):
                assert s.json("GET", "/api/v1/deployments/" + name)["name"] == "smollm2-135m", name
                assert s.json("GET", f"/api/v1/deployments/{name}/events")["items"], name
                reply = s.json("POST", "/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
                assert reply["model"] == "smollm2-135m", reply
            assert s.request("GET", "/api/v1/deployments/smollm3")[0] == 404

        def what_fits_instead():
            done = s.cli("run", "kimi-k3.1-pro", "Hi")
            assert done.returncode == 1 and "needs" in done.stderr and "freehold run smollm2-135m" in done.stderr, done.stderr
            here = s.json("GET", "/api/v1/models/kimi-k3.1-pro")["here"]
            assert here["nearest"] == "smollm2-135m" and here["nearest_present"], here
            assert "kimi" in s.cli("ps").stdout
            assert s.cli("stop", "kimi-k3.1-pro").returncode == 0

        def of_a_family_that_ours_does_not_compute():
            """The starter's weights under another architecture: that no engine is here which does is said before anything is loaded."""
            other, word = s.folder / "other.gguf", b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0"
            data = STARTER.read_bytes()
            assert data.count(word + b"llama") == 1
            other.write_bytes(data.replace(word + b"llama", word + b"gemma"))
            done = s.cli("import", "--json", str(other))
            assert done.returncode == 0, done.stderr
            name = json.loads(done.stdout.splitlines()[-1])["id"]
            for words in ((), ("--engine", "freehold")):
                done = s.cli("run", name, "Hi", *words)
                assert done.returncode == 1 and "llama, qwen2, qwen3, qwen3moe, not of gemma" in done.stderr and "llama-server" in done.stderr, done
            assert name not in [d["model"] for d in s.deployments()], s.deployments()

        def another_shape():
            status, _, body = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True, "context_tok": 77})
            said = json.loads(body)
            assert status == 409 and said["param"] == "context_tok" and "77" in said["detail"], said

        def with_a_smaller_cache():
            done = s.cli("run", "smollm2", "Say hello.", "--max-tokens", "4", "--kv-type", "q8_0", "--name", "small", "--context", "512")
            assert done.returncode == 0 and done.stdout.strip(), done.stderr
            d = s.json("GET", "/api/v1/deployments/small")
            words = Path(f"/proc/{d['pid']}/cmdline").read_bytes().split(b"\0")
            assert d["kv_type"] == "q8_0" and words[words.index(b"--kv-type") + 1] == b"q8_0", (d, words)
            assert s.json("GET", "/api/v1/deployments/smollm2-135m")["kv_type"] is None
            wider = s.cli("run", "smollm2", "Hi", "--name", "small", "--kv-type", "f16")
            assert wider.returncode == 1 and "with its cache as q8_0, not f16" in wider.stderr and "freehold roll small" in wider.stderr, wider.stderr
            assert s.cli("roll", "small", "--kv-type", "q4_0").returncode == 0
            assert {d["name"]: d["kv_type"] for d in s.deployments() if d["set"] == "small"} == {"small": "q8_0", "small-2": "q4_0"}, s.deployments()
            s.stop()
            s.start()
            assert s.wait_ready("small-2")["kv_type"] == "q4_0"
            assert s.cli("run", "small", "Hi", "--max-tokens", "2").returncode == 0
            assert s.cli("stop", "small").returncode == 0

        def a_cache_of_no_known_type():
            for path, body in (("deployments", {"model": "smollm2"}), ("plans", {"model": "smollm2"}), ("deployments/smollm2/roll", {}), ("rentals/quote", {"model": "smollm2", "place": "runpod"})):
                status, _, reply = s.request("POST", "/api/v1/" + path, {**body, "kv_type": "q5_0"})
                said = json.loads(reply)
                assert status == 400 and said["param"] == "kv_type" and said["hint"] == "it can as f16, q8_0 or q4_0", (path, said)
            done = s.cli("run", "smollm2", "Hi", "--kv-type", "q5_0")
            assert done.returncode == 1 and "q5_0" in done.stderr and "f16, q8_0 or q4_0" in done.stderr, done
            assert s.cli("plan", "smollm2", "--kv-type", "q5_0").returncode == 1

        def what_a_smaller_cache_makes_fit():
            """So many streams that a cache of F16 takes all of this machine's memory and half as much again."""
            memory = s.json("GET", "/api/v1/models/smollm2")["here"]["has_bytes"]
            asked = {"model": "smollm2", "context_tok": 8192, "streams": int(memory * 1.25 / (8192 * 23040))}
            s.request("POST", "/api/v1/deployments", {**asked, "name": "wide"})
            d = ended(s, "wide")
            assert "it fits with --kv-type q" in d["hint"], d
            refused = {r["nearest"]: r for r in s.json("POST", "/api/v1/plans", asked)["refused"]}["here"]
            assert refused["kv_type"] == "q8_0" and "it fits there with --kv-type q8_0" in refused["why"], refused
            planned = s.json("POST", "/api/v1/plans", {**asked, "kv_type": "q8_0"})["plans"][0]
            assert planned["place"] == "here" and planned["kv_type"] == "q8_0" and planned["cache_bytes"] == asked["streams"] * 8192 * 12240, planned
            assert s.cli("stop", "wide").returncode == 0

        def a_key_that_may_only_use():
            (s.folder / "small").write_text(s.json("POST", "/api/v1/keys", {"name": "small"})["key"])
            (s.folder / "small").chmod(0o600)
            done = s.cli("run", "smollm2", "Say hello.", "--max-tokens", "2", "--key-file", str(s.folder / "small"))
            assert done.returncode == 0 and done.stdout.strip(), done.stderr
            key = (s.folder / "small").read_text()
            assert s.request("POST", "/api/v1/deployments", {"model": "smollm2"}, key=key)[0] == 403
            assert s.request("POST", "/api/v1/deployments", {"model": "smollm2", "name": "mine", "reuse": True}, key=key)[0] == 403
            assert s.cli("stop", "smollm2").returncode == 0
            assert s.request("POST", "/api/v1/deployments", {"model": "smollm2", "reuse": True}, key=key)[0] == 403
            assert live(s) == []

        def several_replicas():
            done = s.cli("run", "smollm2", "Say hello.", "--max-tokens", "2", "--replicas", "2")
            assert done.returncode == 0, done.stderr
            names = live(s)
            assert sorted(names) == ["smollm2-135m", "smollm2-135m-2"], names
            for name in names:
                s.wait_ready(name)
            pid = next(d["pid"] for d in s.deployments() if d["name"] == "smollm2-135m")
            os.kill(pid, signal.SIGKILL)
            for _ in range(10):
                reply = s.json("POST", "/v1/chat/completions", {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
                assert reply["choices"], reply
            until = time.monotonic() + PATIENCE
            while next(d for d in s.deployments() if d["name"] == "smollm2-135m")["pid"] in (pid, None):
                assert time.monotonic() < until, s.deployments()
                time.sleep(0.05)
            s.wait_ready("smollm2-135m")
            assert sorted(live(s)) == ["smollm2-135m", "smollm2-135m-2"]
            status, _, body = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "replicas": 0})
            assert status == 400 and json.loads(body)["param"] == "replicas", body
            refused = s.cli("stop", "smollm2-135m-2")
            assert refused.returncode == 1 and "is a replica of smollm2-135m" in refused.stderr, refused.stderr
            assert s.cli("stop", "smollm2").returncode == 0
            assert live(s) == [] and s.json("GET", "/api/v1/sets")["items"] == []

        for fn, text in [(two_runs_at_once, "two that run the same model at the same moment share one deployment"), (pressed_twice, "Run pressed again, by any name of the model, is the same deployment"),
                         (a_second_on_purpose, "a second one is started by whoever does not ask to share"), (by_its_model, "a deployment is found by its model, as people call that"), (what_fits_instead, "who cannot run a model is sent to one whose weights are here"), (of_a_family_that_ours_does_not_compute, "weights of an architecture that our engine does not compute are not given to it"),
                         (another_shape, "one of another shape is not shared in silence"),
                         (with_a_smaller_cache, "a cache of another type is the deployment's, of its engine, of its successors, and after a restart"),
                         (a_cache_of_no_known_type, "a type that no cache can have is refused, and those that it can are named"),
                         (what_a_smaller_cache_makes_fit, "where a smaller cache would fit, that is said, and planned with"),
                         (a_key_that_may_only_use, "a key that may only use finds what runs and starts nothing"),
                         (several_replicas, "of two replicas one is killed: the other answers, and it heals")]:
            tap.check(text, fn)
    tap.end()


if __name__ == "__main__":
    main()
