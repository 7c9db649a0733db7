"""A server whose one deployment is an engine that computes nothing (upstream.c): adopted at its start as one that an earlier server left running."""
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, Server

BUILT = PROGRAM.resolve().parent.parent / "tests/edge"
UPSTREAM = os.environ.get("EDGE_UPSTREAM") or BUILT / "edge_upstream"
LOAD = os.environ.get("EDGE_LOAD") or BUILT / "edge_load"
ATTACK = os.environ.get("EDGE_ATTACK") or BUILT / "edge_attack"


def start_ticks(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])


class Synthetic(Server):
    """flags are those of `freehold serve`. It is of one session with the test: Linux gives each session the same share of a processor (sched_autogroup), whatever its threads'
    priorities, and attackers that stand back would do so only before others of the test."""
    apart = False

    def __init__(self, *flags):
        super().__init__(start=False)
        self.flags, self.upstream = flags, None

    def __enter__(self):
        try:
            self.start()
            self.stop()
            self.socket = self.data / "run/synthetic.1/sock"
            self.socket.parent.mkdir(parents=True, mode=0o700)
            self.recorded = self.folder / "recorded"
            self.recorded.touch()
            self.upstream = subprocess.Popen([UPSTREAM, f"unix:{self.socket}", str(self.recorded)])
            while not self.socket.exists():
                time.sleep(0.005)
            self.write_down()
            self.start(*self.flags)
            assert [d["state"] for d in self.deployments()] == ["ready"], self.output()
        except BaseException:
            self.__exit__()
            raise
        return self

    def write_down(self):
        now = time.time_ns()
        with sqlite3.connect(self.data / "freehold.db") as db:
            db.execute("INSERT INTO deployments(id, name, model, variant, digest, place, context_tok, streams, state, desired, reason, created_utc_ns, changed_utc_ns, hint) "
                       "VALUES (1, 'synthetic', 'smollm2-135m', '', '', 'here', 2048, 1000000, 'ready', 'running', '', ?, ?, '')", (now, now))
            db.execute("INSERT INTO acts(id, deployment, kind, socket_path, begun_utc_ns, pid, start_ticks, sandbox) VALUES (1, 1, 'start', ?, ?, ?, ?, '')",
                       (str(self.socket), now, self.upstream.pid, start_ticks(self.upstream.pid)))
        db.close()

    def __exit__(self, *_):
        self.stop()
        if self.upstream:
            self.upstream.kill()
            self.upstream.wait()
        super().__exit__()

    def reached(self):
        """The requests that reached the engine, a line each."""
        return self.recorded.read_text().splitlines()

    def engine(self, method, path):
        """Asks the engine itself."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.socket))
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return json.loads(s.makefile("rb").read().split(b"\r\n\r\n", 1)[1])

    def held(self):
        return self.engine("GET", "/held")["held"]

    def release(self):
        """Streams that are held get their rest."""
        self.engine("POST", "/release")

    def load(self, connections, seconds, kind, *more):
        return [LOAD, str(self.port), str(self.key_file), str(connections), str(seconds), kind, *map(str, more)]
