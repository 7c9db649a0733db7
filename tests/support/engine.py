"""An engine that stands alone, without a control plane, on a socket in the test's folder.

    with Engine(folder, "--context", "512") as e:
        e.json("/v1/completions", {"model": "m", "prompt": "The capital of France"})

or wait_ready() and end() instead of the block."""
import http.client
import json
import signal
import socket
import subprocess
import time

from freehold import PATIENCE, PROGRAM, STARTER


class OverSocket(http.client.HTTPConnection):
    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, folder, *flags):
        self.socket = folder / "e.sock"
        self.process = subprocess.Popen([str(PROGRAM), "engine", "--model", str(STARTER), "--listen", f"unix:{self.socket}", *flags], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        try:
            return self.wait_ready()
        except BaseException:
            self.end(signal.SIGKILL)
            raise

    def __exit__(self, *_):
        self.end()

    def open(self, timeout=PATIENCE):
        return OverSocket(self.socket, timeout)

    def ask(self, method, path, body=None, headers=None, timeout=PATIENCE):
        c = self.open(timeout)
        try:
            c.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json", **(headers or {})})
            reply = c.getresponse()
            return reply.status, reply.read()
        finally:
            c.close()

    def json(self, path, body, headers=None, timeout=PATIENCE):
        status, text = self.ask("POST", path, body, headers, timeout)
        assert status == 200, (status, text[:400])
        return json.loads(text)

    def metric(self, name):
        lines = [line for line in self.ask("GET", "/metrics")[1].decode().splitlines() if line.startswith(name + " ")]
        assert len(lines) == 1, f"{name} is not among the metrics"
        return float(lines[0].split()[1])

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self.ask("GET", "/healthz")[0] == 200:
                    return self
            except OSError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, "the engine does not start"
            time.sleep(0.005)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
