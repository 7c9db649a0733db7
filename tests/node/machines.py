"""Machines of a pool for end-to-end tests: a server that they may join, and real `freehold node join` processes, each with a folder of its own."""
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, Server, Tap, free_port  # noqa: F401

PATIENCE = 120  # seconds: the machine may be busy
REFUSED = 4


class Pool(Server):
    """A server that machines may join, with the weights that are named."""

    def __init__(self, weights=None):
        super().__init__()
        self.weights = weights

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
        return self.start("--pool", f"127.0.0.1:{self.pool_port}")

    def token(self):
        done = self.cli("node", "token")
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
        self.wait(lambda nodes: name in nodes and nodes[name]["here"], f"{name} does not come")

    def wait_away(self, name):
        self.wait(lambda nodes: not nodes.get(name, {}).get("here"), f"{name} does not go")


class Node:
    """A machine: its folder, and the process that is in the pool."""

    def __init__(self, pool, name):
        self.pool, self.name, self.process = pool, name, None
        self.data, self.log = pool.folder / f"node-{name}", pool.folder / f"node-{name}.log"

    def join(self, token=None, *flags, name=True):
        words = [str(PROGRAM), "node", "join", f"https://127.0.0.1:{self.pool.pool_port}", "--data", str(self.data), *flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(words + (["--name", self.name] if name else []), stdin=subprocess.PIPE, stdout=log, stderr=log,
                                            env=self.pool.environment(), text=True)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{token}\n" if token else "")
            self.process.stdin.close()
        return self

    def ended(self):
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.ended() == 0, self.said()

    def said(self):
        return self.log.read_text()

    def refused(self, *texts):
        code = self.ended()
        assert code == REFUSED, (code, self.said())
        for text in texts:
            assert text in self.said(), self.said()
