"""Boxes with a login for end-to-end tests: a real sshd on a free loopback port, with keys, a HOME and a PATH of its own, and a server with a pool that may use it."""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "node"))
import packages
from freehold import Tap, free_port
from machines import PATIENCE, Pool


def sshd_here():
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


def find_sshd():
    """Where it is; installed where it is missing and we may."""
    packages.install(["openssh-server", "openssh-client"], sshd_here)
    if not sshd_here() or not shutil.which("ssh"):
        Tap.skip_all("no sshd is here: install openssh-server and openssh-client")
    return sshd_here()


class Box:
    """home: the login's; bin: comes first in its PATH."""

    def __init__(self, folder, name="box"):
        self.folder = Path(folder) / name
        self.home, self.bin = self.folder / "home", self.folder / "bin"
        self.home.mkdir(parents=True)
        self.bin.mkdir()
        self.port, self.process, self.sshd = free_port(), None, find_sshd()
        self.host_key, self.key = self.make_key("host"), self.make_key("key")
        shutil.copy(f"{self.key}.pub", self.folder / "authorized")
        self.url = f"ssh://{self.user()}@127.0.0.1:{self.port}"

    @staticmethod
    def user():
        return pwd.getpwuid(os.geteuid()).pw_name

    def make_key(self, name):
        file = self.folder / name
        for old in (file, Path(f"{file}.pub")):
            old.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
        return file

    def start(self, *options, under=()):
        conf = self.folder / "sshd_config"
        lines = [f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.host_key}", "PidFile none", f"AuthorizedKeysFile {self.folder}/authorized",
                 "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password", "MaxStartups 100",
                 f"SetEnv HOME={self.home} PATH={self.bin}:/usr/local/bin:/usr/bin:/bin", *options]
        conf.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen([*under, self.sshd, "-D", "-f", str(conf), "-E", str(self.folder / "sshd.log")], stdin=subprocess.DEVNULL,
                                        start_new_session=True)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as s:
                if s.recv(4) == b"SSH-":
                    return self
            time.sleep(0.05)
        raise AssertionError("sshd does not start: " + (self.folder / "sshd.log").read_text())

    def connections(self):
        """pids of what serves them."""
        listener, found = self.process.pid, []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == listener:
                    found.append(int(entry.name))
        return found

    def cut(self):
        for pid in self.connections():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process:
            self.cut()
            self.process.kill()
            self.process.wait()
            self.process = None

    close = stop

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def program(self, name, text):
        file = self.bin / name
        file.write_text("#!/bin/sh\n" + text + "\n")
        file.chmod(0o755)

    # ---- what is on it ----

    def running(self):
        """Command lines of what has a path of ours there among its arguments: the agent, its engines."""
        marker, found = f"{self.home}/.freehold-ssh-", []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        return found

    def agents(self):
        return [c for c in self.running() if " node join " in c and "sh -c" not in c]

    def folders(self):
        return list(self.home.glob(".freehold-ssh-*"))

    def is_clean(self):
        return not self.running() and not self.folders()

    def wait(self, condition, what):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"{what}: {self.running()} {[list(f.iterdir()) for f in self.folders()]}")

    def wait_clean(self):
        self.wait(self.is_clean, "something is left on the box")


class Home(Pool):
    """A server whose pool is on loopback, so that boxes come by a tunnel."""

    def add(self, name, box, *settings, key=None):
        words = [w for s in settings for w in ("--set", s)]
        return self.cli("provider", "add", name, "--kind", "ssh", "--url", box.url, "--key-file", str(key or box.key), *words)

    def added(self, name, box, *settings, **more):
        done = self.add(name, box, *settings, **more)
        assert done.returncode == 0, (done.stdout, done.stderr)

    def deployment(self, name):
        found = [d for d in self.json("GET", "/api/v1/deployments")["items"] if d["name"] == name]
        return found[0] if found else None

    def post(self, place, name):
        return self.json("POST", "/api/v1/deployments", {"model": "smollm2", "place": place, "name": name})

    def wait_state(self, name, *states):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                d = self.deployment(name)
                if d and d["state"] in states:
                    return d
            time.sleep(0.05)
        raise AssertionError(f"{name} does not become {states}: {self.deployment(name)}\n{self.output()[-4000:]}")

    def wait_reason(self, name, *texts):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            d = self.deployment(name)
            if d and all(t in d["reason"] for t in texts):
                return d
            time.sleep(0.02)
        raise AssertionError(f"{name} does not say {texts}: {self.deployment(name)}\n{self.output()[-4000:]}")

    def stop_deployment(self, name):
        done = self.cli("stop", name)
        assert done.returncode == 0, done.stderr
