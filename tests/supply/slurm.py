#!/usr/bin/env python3
"""Models on the nodes of a Slurm cluster: a real Slurm of three slurmd, a real server, the starter model. Jobs are cancelled, their nodes lost, their time
runs out, the server is killed while it submits; each time there is one job, and the deployment goes on. What Slurm refuses is said in Slurm's words."""
import contextlib
import os
import re
import signal
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, install, missing
from freehold import Tap, free_port, need_starter
from login import PATIENCE, Login, check_all, wait


def runs_and_chats(s):
    name = s.run("slurm")
    number, job = s.job()
    assert s.chat()
    machine = s.of(name)["machine"]
    assert machine["provider"] == "provider/hpc" and machine["ends"] is None, machine
    folder = next((s.folder / ".freehold/orders").iterdir())
    assert folder.name == job["name"]
    token = (folder / "token").read_text().strip()
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600 and token
    told = s.cluster.must(["scontrol", "show", "job", str(number)]) + s.cluster.must(["scontrol", "write", "batch_script", str(number), "-"])
    assert token not in told and token not in s.output()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            assert not entry.name.isdigit() or token.encode() not in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes(), entry
    s.end()
    wait(lambda: not any((s.folder / ".freehold/orders").iterdir()), "something of the order stays there", s)
    assert not list((s.data / "supply/jobs").iterdir())


def a_cancelled_job_is_followed(s):
    s.run("provider/hpc")
    first, _ = s.job()
    s.cluster.must(["scancel", str(first)])
    second, _ = s.job({first})
    assert s.chat()
    assert f"job {first} was cancelled" in s.output()
    s.end()


def a_node_that_is_down_is_left(s):
    s.run("provider/hpc")
    first, job = s.job()
    s.cluster.must(["scontrol", "update", f"NodeName={job['node']}", "State=DOWN", "Reason=test"])
    try:
        _, other = s.job({first})
        assert other["node"] != job["node"]
        assert s.chat()
        s.end()
    finally:
        s.cluster.resume(job["node"])


def a_node_that_falls_silent_is_left(s):
    """slurmd alone is killed: the job's processes go on, until the pool says no to them."""
    s.run("provider/hpc")
    first, job = s.job()
    os.kill(s.cluster.pid(job["node"]), signal.SIGKILL)
    try:
        _, other = s.job({first})
        assert other["node"] != job["node"]
        assert s.chat()
        agents = [e for e in Path("/proc").iterdir() if e.name.isdigit() and b"join\0" in read(e / "cmdline") and str(s.folder).encode() in read(e / "cmdline")]
        wait(lambda: sum(alive(e) for e in agents) == 1, "the node that was left goes on", s)
        s.end()
    finally:
        s.cluster.start_node(job["node"])
        s.cluster.resume(job["node"])


def read(path):
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def alive(entry):
    return bool(read(entry / "cmdline"))


def a_time_limit_is_outlived(s):
    """By a successor before it, or by another job after it."""
    s.add("brief", "--set", "time=1")
    name = s.run("provider/brief")
    first, _ = s.job()
    assert s.of(name)["machine"]["ends"], s.of(name)
    s.job({first})
    assert s.chat()
    s.end()


def a_job_that_must_make_room_says_so(s):
    s.add("humble", "--set", "time=30", "--set", "partition=main")
    name = s.run("provider/humble")
    first, _ = s.job()
    ends = s.of(name)["machine"]["ends"]
    urgent = s.cluster.must(["sbatch", "--parsable", "-p", "urgent", "-N", "3", "--exclusive", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 20"]).strip()

    def leaves():
        machine = s.of(name).get("machine") or {}
        return machine if machine.get("leaving") else None

    machine = wait(leaves, "it does not leave", s)
    assert first in s.jobs() and machine["ends"] < ends, machine
    wait(lambda: first not in s.jobs(), "it stays", s)
    s.cluster.must(["scancel", urgent])
    s.job({first})
    s.end()


def two_replicas_have_two_nodes_behind_one_endpoint(s):
    s.add("whole", "--set", "cpus=2")
    s.run("provider/whole", "--replicas", "2")
    wait(lambda: sum(d["state"] == "ready" for d in s.deployments()) == 2, "there are not two", s)
    jobs, names = s.jobs(), [d["name"] for d in s.deployments() if d["state"] == "ready"]
    assert len(jobs) == 2 and len({j["node"] for j in jobs.values()}) == 2, jobs
    s.cluster.must(["scancel", str(min(jobs))])
    for _ in range(10):
        assert s.chat()
    wait(lambda: min(jobs) not in s.jobs() and len(s.jobs()) == 2 and all(s.of(n)["state"] == "ready" for n in names), "no other takes over", s)
    s.end()


def refusals_are_told_in_slurms_words(s):
    for name, setting, words in (("nowhere", "partition=nope", "Invalid partition name specified"), ("huge", "mem=900G", "Memory specification can not be satisfied"),
                                 ("odd", "constraint=winged", "Invalid feature specification")):
        s.add(name, "--set", setting)
        done = s.cli("run", "smollm2", "Hi", "--on", f"provider/{name}", "--yes", timeout=PATIENCE)
        assert done.returncode != 0 and words in done.stderr, (setting, done.stderr)
    assert not s.jobs()


def a_program_that_does_not_run_there_is_said(s):
    broken = s.folder / "broken"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries: libodd.so.1' >&2; exit 127\n")
    broken.chmod(0o755)
    s.add("old", "--set", f"program={broken}")
    done = s.cli("run", "smollm2", "Hi", "--on", "provider/old", "--yes", timeout=PATIENCE)
    assert done.returncode != 0 and "libodd.so.1" in done.stderr and "program=" in done.stderr, done.stderr


def a_setting_that_slurm_cannot_mean_is_refused(s):
    for setting, words in (("tiem=1", "no setting 'tiem'"), ("time=soon", "setting time"), ("cpus=0", "setting cpus"), ("mem=lots", "setting mem"),
                           ("folder=here", "setting folder"), ("qos=a b", "setting qos")):
        done = s.cli("provider", "add", "wrong", "--kind", "slurm", "--set", setting)
        assert done.returncode == 1 and words in done.stderr, (setting, done.stderr)
    done = s.cli("provider", "add", "wrong", "--kind", "slurm", "--url", "ftp://login")
    assert done.returncode == 1 and "ssh://" in done.stderr, done.stderr


def put_sbatch(s, script):
    path = s.bin / "sbatch"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def killed_while_it_submits(s, script):
    """The server is killed while sbatch runs, and started again at once: what it had begun is found, or waited for."""
    mark = s.folder / "submitting"
    real = shutil.which("sbatch")
    put_sbatch(s, script.format(mark=mark, real=real))
    s.begin("provider/hpc")
    wait(mark.exists, "nothing is submitted", s)
    s.kill()
    (s.bin / "sbatch").unlink()
    mark.unlink()
    s.start_pool()
    s.job()
    named = [j["name"] for j in s.cluster.jobs().values() if j["name"].startswith("freehold-")]
    assert len(named) == len(set(named)), named
    s.end()


def killed_before_slurm_hears(s):
    killed_while_it_submits(s, 'touch {mark}; sleep 3; exec {real} "$@"')


def killed_before_the_answer(s):
    killed_while_it_submits(s, 'out=$({real} "$@"); touch {mark}; sleep 3; echo "$out"')


def an_answer_that_is_lost_is_no_second_job(s):
    """The controller has taken the job, but sbatch says that it timed out."""
    real = shutil.which("sbatch")
    put_sbatch(s, f'[ -e {s.folder}/lost ] && exec {real} "$@"; touch {s.folder}/lost; {real} "$@" >/dev/null; '
                  'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1')
    s.begin("provider/hpc")
    s.job()
    (s.bin / "sbatch").unlink()
    named = [j["name"] for j in s.cluster.jobs().values() if j["name"].startswith("freehold-")]
    assert len(named) == len(set(named)), named
    s.end()


def a_second_job_of_its_name_is_cancelled(s):
    """What a submission would be that comes through late."""
    s.run("provider/hpc")
    first, job = s.job()
    twin = s.cluster.must(["sbatch", "--parsable", "--dependency=singleton", f"--job-name={job['name']}", "-o", "/dev/null", "--wrap", "sleep 60"]).strip()
    wait(lambda: s.cluster.jobs().get(int(twin), {}).get("state", "CANCELLED") == "CANCELLED", "it stays", s)
    assert s.job()[0] == first and s.chat()
    s.end()


def killed_while_it_runs(s):
    s.run("provider/hpc")
    first, _ = s.job()
    s.kill()
    s.start_pool()
    again, _ = s.job()
    assert again == first
    assert s.chat()
    s.end()


def stopped_while_it_waits(s):
    """All nodes are taken: the job waits, with Slurm's reason in words, and leaves the queue."""
    full = s.cluster.must(["sbatch", "--parsable", "-N", "3", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 600"]).strip()
    try:
        name = s.begin("provider/hpc")
        wait(lambda: "waits in the queue" in (s.of(name)["reason"] or ""), "it does not wait", s)
        assert re.search(r"\((Resources|Priority)\)", s.of(name)["reason"]), s.of(name)
        s.end()
    finally:
        s.cluster.must(["scancel", full])


class Sshd:
    """A login node: sshd on a port of its own, with a key of its own."""

    def __init__(self, s):
        self.s, self.folder, self.port = s, s.folder / "sshd", free_port()

    def __enter__(self):
        self.folder.mkdir(mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        config = self.folder / "config"
        config.write_text(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/authorized\n"
                          f"PidFile {self.folder}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nSetEnv SLURM_CONF={self.s.cluster.conf}\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def over_ssh(s):
    with Sshd(s) as login:
        s.add("far", "--url", f"ssh://root@127.0.0.1:{login.port}", "--key-file", str(login.folder / "user"), "--set", f"folder={s.folder}/shared")
        name = s.run("provider/far")
        first, _ = s.job()
        assert (s.data / "supply/ssh-far/known_hosts").read_text()
        s.cluster.must(["scancel", str(first)])
        s.job({first})
        assert s.chat()
        s.end()
        s.add("locked", "--url", f"ssh://root@127.0.0.1:{login.port}", "--key-file", str(login.folder / "host"))
        name = s.begin("provider/locked")
        wait(lambda: "Permission denied" in (s.of(name)["reason"] or ""), "the refusal is not said", s)
        s.end()


CHECKS = (runs_and_chats, a_cancelled_job_is_followed, a_node_that_is_down_is_left, a_node_that_falls_silent_is_left, a_time_limit_is_outlived,
          a_job_that_must_make_room_says_so, two_replicas_have_two_nodes_behind_one_endpoint, stopped_while_it_waits, killed_while_it_runs, killed_before_slurm_hears,
          killed_before_the_answer, an_answer_that_is_lost_is_no_second_job, a_second_job_of_its_name_is_cancelled, refusals_are_told_in_slurms_words, a_program_that_does_not_run_there_is_said,
          a_setting_that_slurm_cannot_mean_is_refused, over_ssh)


def main():
    need_starter()
    install()
    why = missing()
    if why:
        Tap.skip_all(f"Slurm cannot run: {why}")
    tap = Tap()
    with Cluster() as cluster, Login(cluster) as s:
        s.add("hpc")
        check_all(tap, CHECKS, s)
    tap.end()


main()
