"""Machines of a pool for end-to-end tests: a server that they may join, and real `freehold node join` processes, each with a folder of its own."""
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, PROGRAM, Server, Tap, free_port, processes  # noqa: F401

REFUSED = 4
ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "What is a lighthouse for?"}], "temperature": 0, "max_tokens": 24}
LONG = {**ASK, "max_tokens": 160, "ignore_eos": True}


def at(name, place):
    return lambda found: found.get(name, {}).get("state") == "ready" and found[name]["place"] == place


class Pool(Server):
    """A server that machines may join at an address of its own, with the weights that are named."""

    def __init__(self, weights=None, address="127.0.0.1"):
        super().__init__()
        self.weights, self.address = weights, address

    def __enter__(self):
        try:
            if self.weights:
                self.cli_local("import", str(self.weights))
            self.pool_port = free_port()
            return self.start_pool()
        except BaseException:
            self.__exit__()
            raise

    def start_pool(self):
        return self.start("--pool", f"{self.address}:{self.pool_port}")

    def token(self, *flags):
        done = self.cli("node", "token", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def nodes(self):
        return {n["name"]: n for n in self.json("GET", "/api/v1/nodes")["items"]}

    def wait(self, condition, what):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if condition(self.nodes()):
                    return
            time.sleep(0.05)
        raise AssertionError(f"{what}: {self.nodes()}\n{self.output()[-3000:]}")

    def wait_here(self, name):
        """Connected, and it has said what it has: before that nothing is planned there."""
        self.wait(lambda nodes: name in nodes and nodes[name]["here"] and nodes[name]["memory_bytes"] is not None, f"{name} does not come")

    def wait_away(self, name):
        self.wait(lambda nodes: not nodes.get(name, {}).get("here"), f"{name} does not go")

    def live(self):
        return {d["name"]: d for d in self.deployments() if d["state"] not in ("stopped", "failed")}

    def wait_live(self, condition, what):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.live()
            if condition(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what}: {found}\n{self.output()[-3000:]}")

    def run(self, *flags):
        done = self.cli("run", "smollm2", "Say hello.", *flags, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done

    def answer(self, ask=ASK):
        """Who answered, and what."""
        status, headers, body = self.request("POST", "/v1/chat/completions", ask, timeout=PATIENCE)
        assert status == 200, body
        return headers["x-freehold-place"], json.loads(body)["choices"][0]["message"]["content"]

    def stream(self, ask=LONG, after=40, then=None, key=None):
        """The text of a stream; then(who answers) is called once, when there are so many characters of it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("POST", "/v1/chat/completions", json.dumps({**ask, "stream": True}),
                           {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"})
        reply, text = connection.getresponse(), ""
        with contextlib.closing(connection):
            for line in reply:
                if line.startswith(b"data: [DONE]"):
                    assert not then, f"the stream ended after {len(text)} characters"
                    return text
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                assert "error" not in event, event
                text += "".join(c["delta"].get("content") or "" for c in event.get("choices", []))
                if then and len(text) > after:
                    then(reply.headers["x-freehold-place"])
                    then = None
        raise AssertionError(f"the stream broke off after {text!r}")


class Node:
    """A machine: its folder, and the process that is in the pool. server: how it names that; inside: the words of a command that runs others where it is; more: of
    its environment."""

    def __init__(self, pool, name, server=None, inside=(), more=None):
        self.pool, self.name, self.process, self.more = pool, name, None, more or {}
        self.server, self.inside = server or pool.address, list(inside)
        self.data, self.log = pool.folder / f"node-{name}", pool.folder / f"node-{name}.log"

    def join(self, token=None, *flags, name=True, reset=True):
        """reset: nothing counts that was said at an earlier start."""
        flags = [*flags, "--reset"] if reset else flags
        words = [*self.inside, str(PROGRAM), "node", "join", f"https://{self.server}:{self.pool.pool_port}", "--data", str(self.data), *flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(words + (["--name", self.name] if name else []), stdin=subprocess.PIPE, stdout=log, stderr=log,
                                            env={**self.pool.environment(), **self.more}, text=True)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{token}\n" if token else "")
            self.process.stdin.close()
        return self

    def ended(self):
        return self.process.wait(PATIENCE)

    def signal(self, number):
        """To the process itself: what runs it inside passes nothing on."""
        for pid in processes(f"{PROGRAM}\0node\0join\0https://{self.server}:{self.pool.pool_port}\0--data\0{self.data}\0"):
            if pid != self.process.pid or not self.inside:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def kill_all(self):
        """What a power failure ends: the process and the engines."""
        for pid in processes(str(self.data)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.signal(signal.SIGTERM)
        assert self.ended() == 0, self.said()

    def engines(self):
        """pids of its engines."""
        return processes(f"unix:{self.data}/run/")

    def said(self):
        return self.log.read_text()

    def refused(self, *texts):
        code = self.ended()
        assert code == REFUSED, (code, self.said())
        for text in texts:
            assert text in self.said(), self.said()
