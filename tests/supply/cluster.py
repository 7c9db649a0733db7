"""A real Slurm of three slurmd for end-to-end tests, in a folder of its own and on free ports: nothing of a Slurm that the machine may have is touched.

    with Cluster() as c:
        c.run("squeue").stdout
        c.jobs()                      # {id: {"name": ..., "state": ..., "nodes": ...}}
"""
import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import packages
from freehold import end_all, free_port

NEEDED = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge", "sshd": "openssh-server", "ssh-keygen": "openssh-client"}
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge", "openssh-server", "openssh-client"]
NODES = ("n1", "n2", "n3")
PATIENCE = 120


REST = {"slurmrestd": "slurmrestd", "/usr/lib/*/slurm-wlm/auth_jwt.so": "slurm-wlm-jwt-plugin"}
REST_API = "v0.0.38"  # of Debian 12's Slurm


def install(more=()):
    """What is absent, where this may be done; missing() says what is absent still."""
    packages.install([*PACKAGES, *dict(more).values()], lambda: not missing(more))


def is_here(program):
    return bool(glob.glob(program)) if "/" in program else shutil.which(program)


def missing(more=()):
    """Why Slurm cannot run here; None when it can. more: REST, for slurmrestd too."""
    absent = [package for program, package in {**NEEDED, **dict(more)}.items() if not is_here(program)]
    if absent:
        return f"not installed: {' '.join(absent)}"
    return None if os.geteuid() == 0 else "slurmd's jobs need root here"


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Cluster:
    def __init__(self, memory=2000, rest=False):
        """memory: MiB that each node says it has. rest: with slurmrestd, for tokens."""
        self.memory, self.rest, self.restd = memory, rest, None
        self.folder = Path(tempfile.mkdtemp(prefix="fh-slurm-"))
        self.home = self.folder / "home"
        self.conf = self.folder / "slurm.conf"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}

    def __enter__(self):
        try:
            self.write()
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def write(self):
        for name in ("state", "run", "log", "tmp", "home"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.ports = {name: free_port() for name in NODES}
        host, d = socket.gethostname().split(".")[0], self.folder
        nodes = "\n".join(f"NodeName={n} NodeHostname={host} NodeAddr=127.0.0.1 Port={p} CPUs=2 RealMemory={self.memory}" for n, p in self.ports.items())
        self.conf.write_text(f"""ClusterName=tb
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmUser=root
AuthInfo=socket={d}/munge.sock,cred_expire=10
StateSaveLocation={d}/state
SlurmdSpoolDir={d}/run/%n
SlurmctldPidFile={d}/run/ctld.pid
SlurmdPidFile={d}/run/%n.pid
SlurmctldLogFile={d}/log/ctld.log
SlurmdLogFile={d}/log/%n.log
TmpFS={d}/tmp/%n
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
ReturnToService=1
SlurmdParameters=config_overrides
SlurmdTimeout=5
MessageTimeout=10
TCPTimeout=2
KillWait=5
OverTimeLimit=0
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
{nodes}
PartitionName=main Nodes=n[1-3] Default=YES PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=n[1-3] PriorityTier=10
PartitionName=off Nodes=n1 State=DOWN
""")
        if self.rest:
            self.write_rest()

    def write_rest(self):
        key = self.folder / "jwt.key"
        key.write_bytes(os.urandom(32))
        key.chmod(0o400)
        self.folder.chmod(0o755)  # slurmrestd is not root, and reads the configuration
        with self.conf.open("a") as out:
            out.write(f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}\n")

    def start_rest(self):
        self.rest_port = free_port()
        words = ["runuser", "-u", "nobody", "--", "env", "SLURM_JWT=daemon", "slurmrestd", "-a", "rest_auth/jwt", "-s", f"openapi/{REST_API}", f"127.0.0.1:{self.rest_port}"]
        with (self.folder / "log/restd.log").open("ab") as log:
            self.restd = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait(lambda: answers(self.rest_port), "slurmrestd does not come")

    def token(self, seconds=3600, user="root"):
        return self.must(["scontrol", "token", f"lifespan={seconds}", f"username={user}"])

    def begin(self):
        d = self.folder
        self.must(["munged", "--force", f"--key-file={d}/munge.key", f"--socket={d}/munge.sock", f"--pid-file={d}/run/munged.pid",
                   f"--log-file={d}/log/munged.log", f"--seed-file={d}/run/seed"])
        self.must(["slurmctld", "-c"])
        for name in NODES:
            self.start_node(name)
        self.wait(lambda: self.idle() == set(NODES), "the nodes do not come")
        if self.rest:
            self.start_rest()

    def start_node(self, name):
        for folder in ("run", "tmp"):
            (self.folder / folder / name).mkdir(exist_ok=True)
        self.must(["slurmd", "-N", name])

    def resume(self, name):
        self.run("scontrol", "update", f"NodeName={name}", "State=RESUME")
        self.wait(lambda: name in self.idle(), f"{name} does not come back")

    def run(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)

    def must(self, words):
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait(self, condition, what, patience=PATIENCE):
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.1)
        raise AssertionError(f"{what}: {self.run('sinfo').stdout}{self.run('squeue', '-t', 'all').stdout}")

    def idle(self):
        return set(self.must(["sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N"]).split())

    def jobs(self, states="all"):
        lines = self.must(["squeue", "-h", "-t", states, "-o", "%i|%T|%N|%j"]).splitlines()
        rows = [line.split("|", 3) for line in lines]
        return {int(r[0]): {"state": r[1], "node": r[2], "name": r[3]} for r in rows}

    def alive(self):
        return {i: j for i, j in self.jobs().items() if j["state"] in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED")}

    def pid(self, name):
        return int((self.folder / "run" / f"{name}.pid").read_text())

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.run("scancel", "-u", "root")
            self.wait(lambda: not self.alive(), "jobs stay", 15)
        if self.restd:
            self.restd.terminate()
            self.restd.wait()
        for file in sorted((self.folder / "run").glob("*.pid"), key=lambda f: f.name == "munged.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGTERM)
        time.sleep(0.5)
        end_all(str(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":  # for trying by hand: prints the environment and waits
    with Cluster() as cluster:
        print(f"export SLURM_CONF={cluster.conf}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
