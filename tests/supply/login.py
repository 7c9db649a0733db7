"""The login node of a test's cluster: a real server there, with what it must find by PATH, and what its jobs are."""
import contextlib
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "node"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import STARTER
from machines import Pool

PATIENCE = 150  # seconds: the machine may be busy


def wait(condition, what, pool, patience=PATIENCE):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            got = condition()
            if got:
                return got
        time.sleep(0.2)
    raise AssertionError(f"{what}\n{pool.cluster.run('squeue', '-t', 'all').stdout}\n{pool.output()[-4000:]}")


class Login(Pool):
    """The server on the cluster's login node, with what it must find by PATH."""

    def __init__(self, cluster):
        super().__init__(STARTER)
        self.cluster, self.bin = cluster, self.folder / "bin"
        self.bin.mkdir()

    def environment(self):
        return {**super().environment(), "SLURM_CONF": str(self.cluster.conf), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def add(self, name, *flags):
        done = self.cli("provider", "add", name, "--kind", "slurm", *flags)
        assert done.returncode == 0, done.stderr

    def run(self, place, *flags, model="smollm2", patience=PATIENCE):
        """The name of the deployment, once it answers."""
        done = self.cli("run", model, "Say hello.", "--on", place, "--yes", *flags, timeout=patience + 60)
        assert done.returncode == 0 and done.stdout.strip(), f"{done.stderr}\n{self.output()[-4000:]}"
        return next(d["name"] for d in self.deployments() if d["state"] == "ready")

    def begin(self, place):
        return self.json("POST", "/api/v1/deployments", {"model": "smollm2", "place": place})["name"]

    def of(self, name):
        return next((d for d in self.deployments() if d["name"] == name), {"state": "gone"})

    def chat(self, model="smollm2"):
        reply = self.json("POST", "/v1/chat/completions", {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]})
        return reply["choices"][0]["message"]["content"]

    def jobs(self):
        """Of ours that are not over."""
        return {i: j for i, j in self.cluster.alive().items() if j["name"].startswith("freehold-")}

    def serving(self):
        """Orders by whose machines something is ready."""
        return {(d["machine"] or {}).get("order") for d in self.deployments() if d["state"] == "ready"}

    def job(self, other_than=()):
        """The job that serves, once there is one beside those."""

        def there():
            jobs = {i: j for i, j in self.jobs().items() if i not in other_than and j["state"] == "RUNNING" and int(j["name"].split("-")[-1]) in self.serving()}
            return next(iter(jobs.items()), None)

        return wait(there, f"nothing is ready by a job other than {other_than}", self)

    def end(self, name="smollm2-135m"):
        done = self.cli("stop", name)
        assert done.returncode == 0, done.stderr
        wait(lambda: not self.jobs(), "a job stays", self)


def check_all(tap, checks, s):
    """Or those that the command line names."""
    for fn in checks:
        if len(sys.argv) < 2 or fn.__name__ in sys.argv[1:]:
            tap.check(fn.__name__.replace("_", " "), timed, fn, s)


def timed(fn, s):
    begun = time.monotonic()
    try:
        fn(s)
    except BaseException:
        for name in {d["set"] or d["name"] for d in s.deployments()}:
            with contextlib.suppress(AssertionError):
                s.end(name)  # the next one begins with nothing
        raise
    return f"{time.monotonic() - begun:.0f} s"
