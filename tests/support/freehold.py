"""A real freehold for end-to-end tests: a server of its own on a free port, with a data folder of its own, started and stopped by the test.

    with Server() as s:
        s.deploy()                       # the starter model, ready when this returns
        s.cli("ps", "--json").stdout
        s.request("GET", "/v1/models")   # (status, headers, body)

Also: Tap, which prints test results. Python's standard library only."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("FREEHOLD_PROGRAM", TOP / "build/src/freehold"))
PATIENCE = 120  # seconds: the machine may be busy
STARTER = Path(os.environ.get("FREEHOLD_STARTER_GGUF") or
               Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf")


def is_free(port):
    with socket.socket() as s:
        with contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return True
    return False


ours = []  # the names that keep our ports ours, until we end


def take(port):
    """Whether the port is ours from now on: no other test is given it, though nobody listens there yet or any more."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0freehold-test-port-{port}")
    except OSError:
        name.close()
        return False
    ours.append(name)
    return is_free(port)


def free_port():
    """A port that neither a connection nor another test is given meanwhile: a server that is started again finds it free again."""
    first, last = (int(n) for n in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [p for p in range(10000, 65536) if not first <= p <= last] or list(range(first, last + 1))
    random.shuffle(ports)
    return next(p for p in ports if take(p))


def processes(marker, environment=False):
    """pids whose command line holds the marker (or their environment, where that counts), zombies aside (whoever should reap them may not)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
            elif environment and marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return [p for p in found if p != os.getpid()]


def end_all(marker):
    """Of those too that only have it in their environment, and of what they start meanwhile."""
    until = time.monotonic() + PATIENCE
    while (found := processes(marker, environment=True)) and time.monotonic() < until:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


class Server:
    apart = True  # in a session of its own

    def __init__(self, start=True):
        self.folder = Path(tempfile.mkdtemp(prefix="fh-test-"))
        self.data, self.key_file = self.folder / "data", self.folder / "key"
        self.data.mkdir(mode=0o700)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.wanted = start

    def __enter__(self):
        try:
            self.cli_local("import", str(STARTER))
            if self.wanted:
                self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            for pid in processes(str(self.folder)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("FREEHOLD_", "XDG_"))}
        return {**keep, "HOME": str(self.folder), "FREEHOLD_URL": self.url, "FREEHOLD_KEY_FILE": str(self.key_file)}

    def spawn(self, *flags, passed=()):
        """The process alone: whoever calls knows how to see that it serves. passed: sockets for it, as systemd passes them."""
        command = [str(PROGRAM), "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data), "--key-file", str(self.key_file), *flags]
        if passed:  # a shell knows its own pid, and exec keeps it
            places = " ".join(f"{3 + i}<&{s.fileno()}" for i, s in enumerate(passed))
            command = ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS={len(passed)}; exec "$@" {places}', "bash", *command]
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment(), start_new_session=self.apart,
                                        pass_fds=[s.fileno() for s in passed])

    def start(self, *flags):
        self.spawn(*flags)
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if self.request("GET", "/healthz", key=None)[0] == 200:
                    self.start_seconds = time.monotonic() - begun
                    return self
            time.sleep(0.005)
        raise AssertionError("the server did not start:\n" + self.output())

    def output(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def kill(self):
        """kill -9: what a crash is."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def ended(self):
        """Waits for a server that ends by itself: its exit code."""
        process, self.process = self.process, None
        return process.wait(PATIENCE)

    def stop(self):
        """As an operator stops it. A server that has crashed, that does not end or that a sanitizer complains of fails the test."""
        process, self.process = self.process, None
        if not process:
            return
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server does not end:\n" + self.output()[-3000:]) from None
        assert code == 0, f"the server ended with {code}:\n{self.output()[-6000:]}"

    @property
    def key(self):
        return self.key_file.read_text().strip()

    def cli(self, *words, stdin=None, timeout=120, environment=None):
        return subprocess.run([str(PROGRAM), *words], input=stdin, capture_output=True, text=True, env=environment or self.environment(), timeout=timeout)

    def cli_local(self, *words):
        done = subprocess.run([str(PROGRAM), *words, "--data", str(self.data)], capture_output=True, text=True, env=self.environment(), timeout=120)
        assert done.returncode == 0, done.stderr
        return done

    def request(self, method, path, body=None, key="own", headers=None, host=None, timeout=PATIENCE):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        head = {"Host": host or f"127.0.0.1:{self.port}"}
        if key:
            head["Authorization"] = "Bearer " + (self.key if key == "own" else key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            head["Content-Type"] = "application/json"
        head.update(headers or {})
        try:
            c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in head.items():
                if value is not None:
                    c.putheader(name, value)
            data = body.encode() if isinstance(body, str) else body
            if data is not None:
                c.putheader("Content-Length", str(len(data)))
            c.endheaders(data)
            reply = c.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            c.close()

    def json(self, method, path, body=None, **more):
        status, _, text = self.request(method, path, body, **more)
        assert status < 400, f"{method} {path}: {status} {text[:400]!r}"
        return json.loads(text) if text else None

    def metric(self, name):
        """The sum over all its series."""
        lines = [line for line in self.request("GET", "/metrics")[2].decode().splitlines() if line.startswith((name + " ", name + "{"))]
        assert lines, f"{name} is not among the metrics"
        return sum(float(line.split()[-1]) for line in lines)

    def deployments(self):
        reply = self.json("GET", "/api/v1/deployments")
        return reply["items"] if isinstance(reply, dict) else reply

    def deploy(self, model="smollm2", timeout=PATIENCE):
        made = self.json("POST", "/api/v1/deployments", {"model": model})
        return self.wait_ready(made["name"], timeout)

    def wait_load(self, name, timeout=PATIENCE):
        """What its engine's metrics say, once two readings make a rate and nothing runs."""
        end = time.monotonic() + timeout
        while True:
            load = self.json("GET", f"/api/v1/deployments/{name}")["load"]
            if load and load["tokens_per_second"] is not None and load["running"] == 0:
                return load
            assert time.monotonic() < end, load
            time.sleep(0.2)

    def wait_ready(self, name, timeout=PATIENCE):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for d in self.deployments():
                if d["name"] == name and d["state"] == "ready":
                    return d
                assert not (d["name"] == name and d["state"] == "failed"), f"{d}\n{self.output()}"
            time.sleep(0.02)
        raise AssertionError(f"{name} is not ready after {timeout} s: {self.deployments()}\n{self.output()}")


class Skip(Exception):
    """A check raises it, with the reason, when there is nothing to check."""


class Tap:
    """ok and not ok lines; exit status by the whole. skip_all says why nothing could run."""

    def __init__(self):
        self.count = self.failed = 0

    @staticmethod
    def skip_all(why):
        print(f"1..0 # SKIP {why}")
        sys.exit(0)

    def check(self, name, fn, *args):
        self.count += 1
        try:
            said = fn(*args)
        except Skip as e:
            print(f"ok {self.count} - {name} # SKIP {e}")
        except Exception:
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in traceback.format_exc().strip().splitlines()[-12:]:
                print("#", line)
        else:
            print(f"ok {self.count} - {name}")
            if said:
                print("#", said)
        sys.stdout.flush()

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")

    def end(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


def need_starter():
    if not STARTER.is_file():
        Tap.skip_all("the starter model is not here: run tools/fetch-starter")
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
