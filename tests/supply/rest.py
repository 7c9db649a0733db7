#!/usr/bin/env python3
"""A Slurm cluster by its slurmrestd: a real one, with tokens, over three real slurmd; no command of Slurm is the server's to call. Answers are lost, the
server is killed while it submits, tokens run out; each time there is one job, and its machine is let in by its key alone."""
import contextlib
import http.client
import http.server
import sqlite3
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import ranked
from cluster import REST, REST_API, Cluster, install, missing
from freehold import PROGRAM, Tap, free_port, need_starter
from login import Login, check_all, wait

LATE_S = 3  # that a submission is held back


class Between(http.server.ThreadingHTTPServer):
    """Between the server and slurmrestd: passes all on; what it is to do with the next submission is said beforehand."""

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", free_port()), Passing)
        self.upstream, self.next, self.submitted = port, None, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Whoever asked was killed."""


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def passed_on(self, body):
        line = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        try:
            line.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "content-length")})
            reply = line.getresponse()
            return reply.status, reply.read()
        finally:
            line.close()

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))) or None
        what, self.server.next = (self.server.next, None) if self.path.endswith("/job/submit") else (None, self.server.next)
        if what == "hold":
            self.server.submitted.set()
            time.sleep(LATE_S)
        status, reply = self.passed_on(body)
        if what:
            self.server.submitted.set()
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_POST = do_DELETE = do_GET


class Client(Login):
    """A server that has no Slurm of its own: it reaches the cluster over HTTP."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.jwt, self.scratch = self.folder / "slurm.token", self.folder / "scratch"
        self.scratch.mkdir()
        self.renew()
        self.between = Between(cluster.rest_port)
        for name in ("sbatch", "squeue", "scancel", "sinfo", "scontrol"):
            (self.bin / name).write_text("#!/bin/sh\necho 'not from here' >&2; exit 1\n")
            (self.bin / name).chmod(0o755)

    def environment(self):
        return {k: v for k, v in super().environment().items() if k != "SLURM_CONF"}

    def renew(self, seconds=3600):
        fresh = self.folder / "fresh.token"
        fresh.touch(mode=0o600)
        fresh.write_text(self.cluster.token(seconds))
        fresh.rename(self.jwt)

    def flags(self, url=None, **more):
        settings = {"user": "root", "program": str(PROGRAM), "scratch": str(self.scratch), **more}
        return ["--url", url or self.between.url, "--key-file", str(self.jwt), *[w for k, v in settings.items() if v for w in ("--set", f"{k.replace('_', '-')}={v}")]]

    def add_rest(self, name, **more):
        self.add(name, *self.flags(**more))

    def grants(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/freehold.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT name, node FROM join_tokens WHERE name <> ''").fetchall()

    def end_clean(self, name="smollm2-135m"):
        self.end(name)
        wait(lambda: not self.grants() and not list(self.scratch.iterdir()) and not list((self.data / "supply/jobs").iterdir()), "something of the order stays", self)

    def named(self):
        return [j["name"] for j in self.cluster.jobs().values() if j["name"].startswith("freehold-")]


def runs_and_chats(s):
    name = s.run("slurm")
    number, job = s.job()
    assert s.chat()
    machine = s.of(name)["machine"]
    assert machine["provider"] == "provider/hpc" and machine["ends"] is None, machine
    told = s.cluster.must(["scontrol", "show", "job", str(number)])
    script = s.cluster.must(["scontrol", "write", "batch_script", str(number), "-"])
    assert "Comment=freehold key " in told and "fh_join_" not in told + script, told
    secret = s.jwt.read_text().strip().removeprefix("SLURM_JWT=")
    assert secret not in script and secret not in s.output()
    assert len(s.grants()) == 1 and s.grants()[0][1] > 0, s.grants()
    s.end_clean()


def a_cancelled_job_is_followed(s):
    s.run("provider/hpc")
    first, _ = s.job()
    s.cluster.must(["scancel", str(first)])
    s.job({first})
    assert s.chat() and f"job {first} was cancelled" in s.output()
    s.end_clean()


def a_lost_answer_is_no_second_job(s):
    s.between.next = "lose"
    s.begin("provider/hpc")
    s.job()
    assert s.between.submitted.is_set() and len(s.named()) == len(set(s.named())), s.named()
    s.end_clean()


def killed_while_it_submits(s, how):
    s.between.submitted.clear()
    s.between.next = how
    s.begin("provider/hpc")
    assert s.between.submitted.wait(60)
    s.kill()
    s.start_pool()
    s.job()
    assert len(s.named()) == len(set(s.named())), s.named()
    s.end_clean()


def killed_before_slurm_hears(s):
    killed_while_it_submits(s, "hold")


def killed_before_the_answer(s):
    killed_while_it_submits(s, "lose")


def a_token_that_is_over_ends_nothing(s):
    name = s.run("provider/hpc")
    first, _ = s.job()
    s.renew(1)
    time.sleep(2)
    waiting = s.begin("provider/hpc")
    wait(lambda: "is over since" in (s.of(waiting)["reason"] or ""), "it is not said", s)
    assert str(s.jwt) in s.of(waiting)["reason"], s.of(waiting)
    wait(lambda: "its jobs cannot be listed" in s.output() and str(s.jwt) in s.output(), "it is not logged", s)
    assert s.of(name)["state"] == "ready" and s.chat() and first in s.jobs()
    s.renew()
    wait(lambda: s.of(waiting)["state"] == "ready", "it does not go on", s)
    assert first in s.jobs() and s.job({first})
    assert s.cli("stop", waiting).returncode == 0
    s.end_clean()


def another_key_than_the_jobs_is_not_let_in(s):
    """The program there publishes a key that its machine does not have."""
    false = s.folder / "false"
    false.write_text(f'#!/bin/sh\n[ "$2" = key ] && {{ echo {"ab" * 32}; shift 2; {PROGRAM} node key "$@" >{s.folder}/own; exit; }}\nexec {PROGRAM} "$@"\n')
    false.chmod(0o755)
    s.add_rest("liar", program=str(false))
    before = {n["name"] for n in s.nodes().values()}
    s.begin("provider/liar")
    wait(lambda: s.grants() and "its key is not expected" in s.output(), "it is not refused", s)
    assert s.grants() == [(s.grants()[0][0], 0)] and set(s.nodes()) == before
    s.end_clean()


def a_job_of_another_user_is_not_ours(s):
    """Neither is it taken for the order's, nor cancelled."""
    s.run("provider/hpc")
    first, job = s.job()
    words = ["runuser", "-u", "nobody", "--", "sbatch", "--parsable", f"--job-name={job['name']}", "-o", "/dev/null", "-D", "/", "--comment", f"freehold key {'cd' * 32}", "--wrap", "sleep 60"]
    other = int(s.cluster.must(words))
    twin = int(s.cluster.must(["sbatch", "--parsable", "--dependency=singleton", f"--job-name={job['name']}", "-o", "/dev/null", "--wrap", "sleep 60"]))
    wait(lambda: s.cluster.jobs().get(twin, {}).get("state", "CANCELLED") == "CANCELLED", "a second one of ours stays", s)
    assert s.job()[0] == first and other in s.cluster.alive() and len(s.grants()) == 1
    s.cluster.must(["scancel", str(other)])
    s.end_clean()


def a_model_over_two_nodes_by_srun(s):
    """Its engine is found by the PATH that the program, a script, sets. Without a folder that the nodes share it is refused."""
    there = s.folder / "there"
    there.write_text(f'#!/bin/sh\nPATH={ranked.install(s.folder)}:$PATH exec {PROGRAM} "$@"\n')
    there.chmod(0o755)
    done = s.cli("import", "--id", "ranked", str(ranked.weights(s.folder)))
    assert done.returncode == 0, done.stderr
    s.add_rest("two", program=str(there), nodes="2", mem="100")
    name = s.run("provider/two", "--context", "512", "--streams", "1", model="ranked")
    number, _ = s.job()
    assert "NumNodes=2 " in s.cluster.must(["scontrol", "show", "job", "-o", str(number)]) and s.chat("ranked") == "ranks 0 1"
    s.end_clean(name)
    s.add_rest("apart", program=str(there), nodes="2", mem="100", scratch=None)
    done = s.cli("run", "ranked", "Hi", "--on", "provider/apart", "--context", "512", "--streams", "1", "--yes", timeout=150)
    assert done.returncode != 0 and "scratch=PATH" in done.stderr, done.stderr


def what_it_lacks_is_said(s):
    for more, words in (({"partition": "nope"}, "Invalid partition name specified"), ({"mem": "900G"}, "Requested node configuration is not available"),
                        ({"api": "v0.0.99"}, f"it offers {REST_API}"), ({"program": "/nowhere/freehold"}, "/nowhere/freehold")):
        s.add_rest("odd", **more)
        done = s.cli("run", "smollm2", "Hi", "--on", "provider/odd", "--yes", timeout=150)
        assert done.returncode != 0 and words in done.stderr, (more, done.stderr)
        assert s.cli("provider", "remove", "odd").returncode == 0
    for flags, words in ((s.flags(program=None), "program=PATH"), (s.flags(user=None), "user=NAME"), (s.flags(url="http://192.0.2.1:6820"), "plain-http"),
                         (s.flags()[:2] + s.flags()[4:], "--key-file"), (s.flags(api="38/x"), "setting api")):
        done = s.cli("provider", "add", "odd", "--kind", "slurm", *flags)
        assert done.returncode == 1 and words in done.stderr, (flags, done.stderr)
    secret = s.folder / "another-secret"
    secret.touch(0o600)
    secret.write_text("sk-of-somebody-else\n")
    done = s.cli("provider", "add", "odd", "--kind", "slurm", *[str(secret) if f == str(s.jwt) else f for f in s.flags()])
    assert done.returncode != 0 and "JSON Web Token" in done.stderr and "sk-of" not in done.stderr, done.stderr
    s.jwt.chmod(0o644)
    done = s.cli("provider", "add", "odd", "--kind", "slurm", *s.flags())
    s.jwt.chmod(0o600)
    assert done.returncode != 0 and "chmod 600" in done.stderr, done.stderr


CHECKS = (runs_and_chats, a_cancelled_job_is_followed, a_lost_answer_is_no_second_job, killed_before_slurm_hears, killed_before_the_answer, a_token_that_is_over_ends_nothing,
          another_key_than_the_jobs_is_not_let_in, a_job_of_another_user_is_not_ours, a_model_over_two_nodes_by_srun, what_it_lacks_is_said)


def main():
    need_starter()
    install(REST)
    why = missing(REST)
    if why:
        Tap.skip_all(f"slurmrestd cannot run: {why}")
    tap = Tap()
    with Cluster(rest=True) as cluster, Client(cluster) as s:
        s.add_rest("hpc")
        check_all(tap, CHECKS, s)
    tap.end()


main()
