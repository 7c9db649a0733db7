"""What the tests of renting by the real server share: a fake account whose machines are real processes that run freehold's node, a server with a pool that rents of it, and what
must hold of both afterwards."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "fakes"), str(HERE.parent / "support")]
from account import KEY
from freehold import PROGRAM, Server, end_all, free_port

FAKES = {"runpod": "runpod.py", "vast": "vast.py", "lambda": "lambda_cloud.py", "skypilot": "skypilot.py"}
MORE = {"lambda": ["ssh-key=freehold"], "skypilot": ["infra=vast", "accelerators=RTX4090:1,H200:1"]}
PATIENCE = 240  # seconds; the machines that run this are busy
LAG, SETTLE = 3, 2  # the fake's lists and requests are no later than that


class Cloud:
    """A fake account. On the PATH of its machines: freehold, and by what a machine ends itself."""

    def __init__(self, kind, folder, freehold=True):
        self.kind, self.folder = kind, folder / "cloud"
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        if freehold:
            (programs / "freehold").symlink_to(PROGRAM)
        command = [sys.executable, str(HERE / "fakes" / FAKES[kind]), "--machines", str(self.folder / "machines"), "--path", f"{programs}:{os.environ['PATH']}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.tell("/_set", {"lag": LAG - 1, "boot": 0.5})
        for name in ("runpodctl", "curl"):  # only a machine that is told to end itself calls them so
            self.program(programs / name, name)

    def program(self, path, name):
        real = shutil.which(name) or "false"
        path.write_text(f'#!/bin/sh\ncase "$*" in *remove*|*DELETE*) exec python3 -c \'import os, urllib.request as u\n'
                        f'u.urlopen(u.Request("{self.url}/_end", b"{{\\"id\\": \\"%s\\"}}" % os.environ["MACHINE_ID"].encode()))\';; *) exec {real} "$@";; esac\n')
        path.chmod(0o755)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        end_all(str(self.folder))

    def tell(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})) as r:
            return json.loads(r.read())

    def fault(self, call, kind, count=1):
        self.tell("/_fault", {"call": call, "kind": kind, "count": count})

    def machines(self):
        """Ours, in the order in which they were made."""
        return [m for m in self.tell("/_truth")["machines"] if not m["foreign"]]

    def living(self):
        return [m for m in self.machines() if m["gone"] is None]

    def check(self, machines=None):
        """What must hold when nothing is wanted any more."""
        ours = self.machines()
        assert all(m["gone"] is None for m in self.tell("/_truth")["machines"] if m["foreign"]), "a machine of others was ended"
        assert all(m["gone"] is not None for m in ours), f"left running: {ours}"
        for a, b in zip(ours, ours[1:]):
            assert a["gone"] <= b["made"], f"two at once: {a} {b}"
        assert machines is None or len(ours) == machines, [(m["id"], m["made"], m["gone"]) for m in ours]
        return ours


class Renting(Server):
    """A server with a pool that rents of a fake account."""

    def __init__(self, kind, settings=(), freehold=True, **more):
        super().__init__(start=False)
        self.kind, self.settings, self.pool = kind, settings, free_port()
        self.cloud = Cloud(kind, self.folder, freehold)
        self.account_key = self.folder / "account.key"
        self.account_key.write_text(KEY + "\n")
        self.account_key.chmod(0o600)
        (self.folder / ".fake-sky").write_text(self.cloud.url)

    def environment(self):
        return {**super().environment(), "PATH": f"{HERE / 'fakes/bin'}:{os.environ['PATH']}"}

    def __enter__(self):
        super().__enter__()
        try:
            self.start()
            self.add_account()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            (self.folder / "cloud.log").write_text(json.dumps(self.cloud.tell("/_truth"), indent=1))
        self.cloud.stop()
        if os.environ.get("RENT_KEEP"):
            shutil.copytree(self.folder, f"{os.environ['RENT_KEEP']}/{self.folder.name}", symlinks=True, ignore=shutil.ignore_patterns("*.gguf", "data", "*.sock"))
        super().__exit__()

    def start(self, *flags):
        return super().start("--pool", f"127.0.0.1:{self.pool}", *flags)

    def add_account(self):
        words = [f"lag={LAG}", f"settle={SETTLE}", *MORE.get(self.kind, []), *self.settings]
        account = [] if self.kind == "skypilot" else ["--url", self.cloud.url, "--key-file", str(self.account_key)]
        done = self.cli("provider", "add", "cloud", "--kind", self.kind, *account, *[x for w in words for x in ("--set", w)])
        assert done.returncode == 0, done.stderr

    def order(self, **limit):
        """The deployment alone: whoever calls waits."""
        body = {"model": "smollm2", "place": "provider/cloud", "limit": {"hour_micro": 2_000_000, "currency": "USD", **limit}}
        return self.json("POST", "/api/v1/deployments", body)["name"]

    def deployment(self, name):
        return next(d for d in self.deployments() if d["name"] == name)

    def rentals(self):
        return self.json("GET", "/api/v1/rentals")["items"]

    def wait(self, condition, what, patience=PATIENCE):
        until, found = time.monotonic() + patience, None
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                found = condition()
                if found:
                    return found
            time.sleep(0.1)
        raise AssertionError(f"{what}: {self.deployments()} {self.rentals()} {self.cloud.machines()}\n{self.output()[-4000:]}")

    def wait_over(self):
        """Every order and rental is over, and so is what the lists lag behind."""
        def over():
            return not self.cloud.living() and all(r["state"] == "over" for r in self.rentals())
        self.wait(over, "not all is over")

    def bills(self):
        """Each machine has one bill that holds what it lived, and each bill with a machine is of one that was."""
        acts = {a["machine"]: a for r in self.rentals() for a in r["acts"] if a["machine"]}
        for m in self.cloud.machines():
            a, lived = acts.pop(m["tag"] if self.kind == "skypilot" else m["id"]), m["gone"] - m["made"]
            assert a["phase"] == "over" and a["least_s"] <= lived + 1 and lived <= a["most_s"] + 1, (a, lived)
            assert a["hour_micro"] == round(m["price"] * 1e6) and a["amount_micro"] == -(-a["most_s"] * a["hour_micro"] // 3600), a
        assert not acts, f"bills for machines that never were: {acts}"

    def no_key_about(self):
        """The account's key is in its file, and in no other: not in the database, a log or a machine."""
        for file in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                if file.is_file() and not file.is_symlink() and file != self.account_key and file.stat().st_size < 1 << 22:
                    assert KEY.encode() not in file.read_bytes(), f"the key stands in {file}"

    def rows(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/freehold.db?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(sql).fetchall()
