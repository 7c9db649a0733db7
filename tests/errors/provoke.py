#!/usr/bin/env python3
"""Every class of error (FH_ERR_LIST in base/err.h) provoked through the product: by its commands and over HTTP, never from inside. Each case checks the shape of
the API, the status, the exit status, what to do about it, and that nothing was changed. A class without a case fails the suite; one that nobody can reach is named
with the reason. Prints TAP.

provoke.py [--update]     --update writes examples.json, the messages that docs/ERRORS.md shows; without it they are compared"""
import concurrent.futures
import contextlib
import http.client
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
for folder in ("support", "model"):
    sys.path.insert(0, str(HERE.parent / folder))
import gguf_file
from freehold import PATIENCE, PROGRAM, STARTER, Server, Tap, need_starter

loader = importlib.machinery.SourceFileLoader("errors_doc", str(TOP / "tools/errors-doc"))
errors_doc = importlib.util.module_from_spec(importlib.util.spec_from_loader("errors_doc", loader))
loader.exec_module(errors_doc)

EXAMPLES = HERE / "examples.json"
CLASSES = {row.name: row for row in errors_doc.rows()}
UNREACHABLE = {
    "BUDGET": "there are no accounts with budgets in this version; the class has its status and shape (tests/unit/wire)",
    "INTERNAL": "it is a mistake of ours: whoever finds a way to it has found a defect to mend",
}
ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "Tell a long story about the sea."}]}
LONG = {**ASK, "max_tokens": 3000, "ignore_eos": True, "temperature": 1, "seed": 1}
FOREIGN = {"Origin": "https://elsewhere.example"}
CASES = []


def case(title, *classes):
    def keep(fn):
        CASES.append((title, classes, fn))
        return fn
    return keep


class Shown:
    """The first message of each class, as a person gets it, less what differs from run to run."""

    def __init__(self, server):
        self.examples = {}
        self.rules = [(re.escape(str(STARTER)), "model.gguf"), (re.escape(str(server.folder)) + "/?", ""), (rf"(:| port ){server.port}\b", r"\g<1>8470"),
                      (r"key [a-z0-9]{8} has", "key ID has"), (r"\.tmp-[0-9a-f-]+/", ".tmp/"), (r"after \d+ ms", "after N ms"), (r": POST /v1/chat/completions: .*", "")]

    def keep(self, name, at, message, hint):
        said = {"at": at, "message": message, "hint": hint}
        for pattern, word in self.rules:
            said = {k: v and re.sub(pattern, word, v) for k, v in said.items()}
        self.examples.setdefault(name, said)


class Errors:
    """A server and the ways to be refused by it."""

    def __init__(self, server):
        self.s, self.shown = server, Shown(server)

    # what must not change

    def state(self):
        """What engines write beside the weights while they run (packed_bytes, page_bytes) is theirs."""
        s = self.s
        weights = [{k: v for k, v in w.items() if k not in ("packed_bytes", "page_bytes")} for w in s.json("GET", "/api/v1/weights")["items"]]
        return {"deployments": [(d["name"], d["state"], d["pid"]) for d in s.deployments() if d["state"] not in ("stopped", "failed")],
                "keys": [k["id"] for k in s.json("GET", "/api/v1/keys")["items"] if not k["revoked"]], "weights": weights,
                "files": sorted(str(f.relative_to(s.data)) for f in (s.data / "weights").rglob("*"))}

    def no_secret(self, text):
        assert self.s.key not in text and self.s.key.split("_", 2)[2] not in text, "a key stands in an error"
        assert "sea" not in text.split(), "a prompt stands in an error"

    # over HTTP

    def refused(self, name, method, path, body=None, param=None, status=None, hint=True, **more):
        """Asks and checks the answer by the API that the path belongs to; returns (message, headers)."""
        row = CLASSES[name]
        got, head, text = self.s.request(method, path, body, **more)
        assert got == (status or row.http), (method, path, got, text[:300])
        self.no_secret(text.decode())
        said = json.loads(text)
        check = self.openai if path.startswith(("/v1", "/tokenize", "/detokenize", "/apply-template")) else self.problem
        message, advice = check(row, said, head, param)
        assert advice or not hint, f"nothing says what to do: {said}"
        if name in ("BUSY", "UNAVAILABLE", "NOMEM"):
            assert int(head["retry-after"]) > 0, head
        if name == "UNAUTHENTICATED":
            assert head["www-authenticate"].startswith("Bearer"), head
        if name == "METHOD":
            assert head["allow"], head
        self.shown.keep(name, f"{method} {path}", message, advice)
        return message + " " + (advice or ""), head

    def openai(self, row, said, head, param):
        assert head["content-type"].startswith("application/json"), head
        assert set(said) == {"error"} and set(said["error"]) == {"message", "type", "param", "code"}, said
        error = said["error"]
        assert error["message"] and error["type"] and (row.name == "INVALID" or error["code"]), error
        assert str(self.s.folder) not in error["message"], "clients of /v1 are told no paths of this machine"
        assert param is None or error["param"] == param, error
        assert head["x-request-id"].startswith("req_"), head
        message, _, advice = error["message"].rpartition("; ")
        return (message, advice) if message else (advice, None)

    def problem(self, row, said, head, param):
        assert head["content-type"] == "application/problem+json", head
        assert {"type", "title", "status", "detail", "code", "retryable", "instance"} <= set(said), said
        assert (said["status"], said["title"], said["code"], said["retryable"]) == (row.http, row.title, row.name.lower(), row.retry), said
        assert said["instance"] == head["x-request-id"] and said["detail"], said
        assert param is None or said["param"] == param, said
        return said["detail"], said.get("hint")

    # on the command line

    def fails(self, name, *words, hint=True, show=None, **more):
        """Runs a command that must fail as the class says, with nothing on standard output; returns what it said."""
        row, s = CLASSES[name], self.s
        done = subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, **{"env": s.environment(), "stdin": subprocess.DEVNULL, "timeout": 60, **more})
        lines = [l for l in done.stderr.splitlines() if "listening on port" not in l]
        assert done.returncode == row.exit, (words, done.returncode, done.stdout, done.stderr)
        assert not done.stdout or done.stdout.isspace(), done.stdout
        assert lines and re.match(r"freehold( [a-z -]+)?: .", lines[0]), done.stderr
        advice = lines[1][2:] if len(lines) > 1 and lines[1].startswith("  ") else None
        assert advice or not hint, f"nothing says what to do: {done.stderr}"
        self.no_secret(done.stderr)
        self.shown.keep(name, show or " ".join(["freehold", *words]), lines[0].split(": ", 1)[1], advice)
        return done.stderr

    def local(self):
        """An environment without a server: commands work on a data folder."""
        return {k: v for k, v in self.s.environment().items() if not k.startswith("FREEHOLD_")}

    # the engine

    def afresh(self):
        """A new deployment: an engine that ends too often is given up by design."""
        for d in self.s.deployments():
            if d["state"] not in ("stopped", "failed"):
                assert self.s.cli("stop", d["name"]).returncode == 0
        return self.s.deploy()


def raw(port, data, wait=20):
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as c:
        c.sendall(data)
        got = b""
        while more := c.recv(65536):
            got += more
        return got


def split_reply(reply):
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (l.split(": ", 1) for l in lines[1:])}, json.loads(body)


# ---- what is asked


@case("a wrong flag", "USAGE")
def wrong_usage(e):
    assert "--all" in e.fails("USAGE", "ps", "--al")
    e.fails("USAGE", "stop", "one", "two")
    e.fails("USAGE", "run", "smollm2", "--context", "many", hint=False)
    e.fails("USAGE", "serve", "--listen", "0.0.0.0:0", "--data", str(e.s.folder / "unmade"))
    assert not (e.s.folder / "unmade").exists()


@case("a wrong field is named, and the nearest one that there is", "INVALID")
def wrong_fields(e):
    said, _ = e.refused("INVALID", "POST", "/api/v1/deployments", {"model": "smollm2", "contxt_tok": 5}, param="contxt_tok")
    assert "context_tok" in said, said
    e.refused("INVALID", "POST", "/api/v1/keys", {"name": "x", "scope": "all"}, param="scope")
    e.refused("INVALID", "POST", "/api/v1/keys", '{"name":', hint=False)
    e.refused("INVALID", "POST", "/v1/chat/completions", {**ASK, "temperature": "hot"}, param="temperature", hint=False)
    e.refused("INVALID", "POST", "/v1/chat/completions", {"model": "smollm2"}, param="messages", hint=False)
    e.refused("INVALID", "POST", "/v1/chat/completions", {**ASK, "messages": [{"role": "nobody", "content": "x"}]}, param="messages[0].role", hint=False)
    e.refused("INVALID", "POST", "/v1/chat/completions", {**ASK, "messages": [{"role": "user", "content": "word " * 9000}]}, hint=True)
    e.fails("INVALID", "key", "create", "", hint=False)


@case("malformed HTTP gets 400 and its connection is closed", "INVALID")
def malformed(e):
    status, head, said = split_reply(raw(e.s.port, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello"))
    assert status == 400 and head["connection"] == "close" and set(said["error"]) == {"message", "type", "param", "code"}, (status, head, said)


@case("an unknown name, with the nearest ones", "NOT_FOUND")
def unknown_names(e):
    assert "smollm2" in e.fails("NOT_FOUND", "run", "smolm2", "hello")
    said, _ = e.refused("NOT_FOUND", "POST", "/v1/chat/completions", {**ASK, "model": "smolm2"}, param="model")
    assert "smollm2" in said, said
    e.refused("NOT_FOUND", "GET", "/v1/models/nothing")
    e.refused("NOT_FOUND", "GET", "/v1/nothing")
    e.refused("NOT_FOUND", "POST", "/api/v1/deployments", {"model": "smolm2"}, param="model")
    e.refused("NOT_FOUND", "DELETE", "/api/v1/deployments/nothing")
    e.refused("NOT_FOUND", "GET", "/api/v1/nothing")
    for words in (["stop", "nothing"], ["events", "nothing"], ["logs", "nothing"], ["key", "revoke", "aaaaaaaa"], ["import", "nowhere.gguf"], ["ps", "--key-file", "nowhere"],
                  ["run", "./nowhere.gguf", "hello"]):
        e.fails("NOT_FOUND", *words)


@case("a name that is taken", "EXISTS")
def taken_names(e):
    name = e.s.deployments()[0]["name"]
    e.refused("EXISTS", "POST", "/api/v1/deployments", {"model": "smollm2", "name": name}, param="name")
    file = e.s.folder / "taken.sock"
    file.write_text("kept")
    e.fails("EXISTS", "engine", "--model", str(STARTER), "--listen", f"unix:{file}")
    assert file.read_text() == "kept"


@case("what does not go together with what there is: a token, a port, a newer database, another server's key", "CONFLICT")
def conflicts(e):
    s, token = e.s, {"Idempotency-Key": "errors"}
    made = s.json("POST", "/api/v1/keys", {"name": "once"}, headers=token)
    e.refused("CONFLICT", "POST", "/api/v1/keys", {"name": "other"}, param="idempotency-key", headers=token)
    said, _ = e.refused("CONFLICT", "POST", "/api/v1/keys", {"name": "once"}, headers=token, hint=False)
    assert made["key"] not in said
    s.json("DELETE", "/api/v1/keys/" + made["id"])
    assert "--listen" in e.fails("CONFLICT", "serve", "--listen", f"127.0.0.1:{s.port}", "--data", str(s.folder / "second"))
    for mark, what in ((1718773096, "999"), (0, "not one of freehold")):  # ours, of a later version; somebody else's
        other = s.folder / f"database-{mark}"
        other.mkdir()
        with contextlib.closing(sqlite3.connect(other / "freehold.db")) as db:
            db.executescript(f"PRAGMA application_id={mark}; PRAGMA user_version={999 if mark else 0}; CREATE TABLE later(a);")
        before = (other / "freehold.db").read_bytes()
        assert what in e.fails("CONFLICT", "serve", "--listen", "127.0.0.1:0", "--data", str(other))
        assert (other / "freehold.db").read_bytes() == before, "a database that was refused was changed"
    key = s.folder / "another-key"
    key.write_text("kept\n")
    e.fails("CONFLICT", "serve", "--listen", "127.0.0.1:0", "--data", str(s.folder / "third"), "--key-file", str(key))
    assert key.read_text() == "kept\n"


# ---- who asks


@case("no key, an unknown one, a revoked one", "UNAUTHENTICATED")
def no_key(e):
    made = e.s.json("POST", "/api/v1/keys", {"name": "for a while", "scope": "admin"})
    e.s.json("DELETE", "/api/v1/keys/" + made["id"])
    for key in (None, "nonsense", "fh_00000000_" + "A" * 43, made["key"]):
        e.refused("UNAUTHENTICATED", "POST", "/api/v1/deployments", {"model": "smollm2"}, key=key)
        e.refused("UNAUTHENTICATED", "GET", "/v1/models", key=key)
        e.refused("UNAUTHENTICATED", "GET", "/metrics", key=key)
    file = e.s.folder / "revoked"
    file.write_text(made["key"])
    said = e.fails("UNAUTHENTICATED", "ps", "--key-file", str(file))
    assert made["key"] not in said


@case("a scope that is too small, a page of another origin, a file outside", "FORBIDDEN")
def forbidden(e):
    made = e.s.json("POST", "/api/v1/keys", {"name": "small", "scope": "use"})
    said, _ = e.refused("FORBIDDEN", "POST", "/api/v1/keys", {"name": "x"}, key=made["key"])
    assert "admin" in said, said
    e.refused("FORBIDDEN", "DELETE", "/api/v1/deployments/" + e.s.deployments()[0]["name"], key=made["key"])
    file = e.s.folder / "small"
    file.write_text(made["key"])
    e.fails("FORBIDDEN", "key", "create", "more", "--key-file", str(file))
    e.s.json("DELETE", "/api/v1/keys/" + made["id"])
    e.refused("FORBIDDEN", "POST", "/v1/chat/completions", ASK, headers=FOREIGN)
    e.refused("FORBIDDEN", "POST", "/api/v1/deployments", {"model": "smollm2"}, headers=FOREIGN)
    e.refused("FORBIDDEN", "POST", "/api/v1/weights", {"path": "/etc/passwd"}, param="path")


@case("a Host that is not ours", "MISDIRECTED")
def foreign_host(e):
    for path in ("/v1/models", "/api/v1/models", "/"):
        e.refused("MISDIRECTED", "GET", path, host="elsewhere.example")


# ---- how it is asked


@case("a method that the path does not take; Allow names those that it takes", "METHOD")
def wrong_method(e):
    assert e.refused("METHOD", "GET", "/v1/chat/completions")[1]["allow"] == "POST"
    e.refused("METHOD", "DELETE", "/v1/models")
    e.refused("METHOD", "PATCH", "/api/v1/keys")


@case("a body that is not JSON", "MEDIA_TYPE")
def wrong_media_type(e):
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        e.refused("MEDIA_TYPE", "POST", "/v1/chat/completions", json.dumps(ASK), headers={"Content-Type": kind})
        e.refused("MEDIA_TYPE", "POST", "/api/v1/keys", '{"name":"x"}', headers={"Content-Type": kind})


@case("too much: a body, a header, an input", "TOO_LARGE")
def too_large(e):
    e.refused("TOO_LARGE", "POST", "/api/v1/keys", json.dumps({"name": "x" * (2 << 20)}), hint=False)
    host = b"Host: localhost\r\n"
    for request, status in ((b"POST /v1/chat/completions HTTP/1.1\r\n" + host + b"Content-Length: 99999999\r\n\r\n", 413),
                            (b"GET /v1/" + b"x" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414), (b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 40000 + b"\r\n\r\n", 431)):
        got, head, said = split_reply(raw(e.s.port, request))
        assert got == status and head["connection"] == "close" and said["error"]["code"] == "too_large", (got, head, said)
    big = e.s.folder / "big"
    with open(big, "wb") as f:
        f.truncate((64 << 20) + 1)
    with open(big, "rb") as f:
        e.fails("TOO_LARGE", "tokenize", "--model", str(STARTER), stdin=f, hint=False)
    big.unlink()


# ---- when it is asked


@case("more requests than an engine takes, of one that does not wait: 429 with Retry-After; a data folder that is in use", "BUSY")
def busy(e):
    body = json.dumps(LONG).encode()
    request = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {e.s.key}\r\nContent-Type: application/json\r\n"
               f"Content-Length: {len(body)}\r\nx-freehold-cache: off\r\nConnection: close\r\n\r\n").encode() + body
    with contextlib.ExitStack() as stack:
        for c in [stack.enter_context(socket.create_connection(("127.0.0.1", e.s.port), timeout=PATIENCE)) for _ in range(32)]:
            c.sendall(request)
        until, status = time.monotonic() + PATIENCE, 0
        while status != 429:
            assert time.monotonic() < until, "the engine never was full"
            status, head, text = e.s.request("POST", "/v1/chat/completions", {**ASK, "max_tokens": 1}, headers={"x-freehold-max-wait": "0", "x-freehold-cache": "off"})
        said = json.loads(text)
        assert int(head["retry-after"]) > 0 and said["error"]["code"] == "engine_overloaded", (head, said)
        message, advice = e.openai(CLASSES["BUSY"], said, head, None)
        e.shown.keep("BUSY", "POST /v1/chat/completions", message, advice)
    until = time.monotonic() + PATIENCE
    while e.s.request("POST", "/v1/chat/completions", {**ASK, "max_tokens": 1})[0] != 200:
        assert time.monotonic() < until, "it does not recover"
        time.sleep(0.1)
    e.fails("BUSY", "list", "--data", str(e.s.data), env=e.local())
    e.fails("BUSY", "serve", "--listen", "127.0.0.1:0", "--data", str(e.s.data))


@case("the client leaves, or says stop: the work ends", "CANCELLED")
def cancelled(e):
    def left():
        return sum(int(n) for n in re.findall(r"^freehold_gateway_cancelled_total\{.*\} (\d+)", e.s.request("GET", "/metrics")[2].decode(), re.M))
    before = left()
    c = http.client.HTTPConnection("127.0.0.1", e.s.port, timeout=PATIENCE)
    c.request("POST", "/v1/chat/completions", json.dumps({**LONG, "stream": True}), {"Authorization": "Bearer " + e.s.key, "Content-Type": "application/json"})
    c.getresponse().read(64)
    c.sock.shutdown(socket.SHUT_RDWR)
    c.close()
    until = time.monotonic() + PATIENCE
    while left() == before:
        assert time.monotonic() < until, "it goes on for nobody"
        time.sleep(0.02)
    p = subprocess.Popen([str(PROGRAM), "run", "smollm2", "Tell a long story about the sea.", "--max-tokens", "3000", "--temperature", "1"], env=e.s.environment(),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.read(p.stdout.fileno(), 16)
    p.send_signal(signal.SIGINT)
    _, said = p.communicate(timeout=PATIENCE)
    assert p.returncode == CLASSES["CANCELLED"].exit and b"stopped" in said, (p.returncode, said)
    e.shown.keep("CANCELLED", "freehold run smollm2 ..., then Ctrl-C", said.decode().strip().split(": ", 1)[1], None)


@case("a request that does not come, a server that does not answer", "TIMEOUT")
def timeouts(e):
    status, head, said = e.slow_request.result(30)
    assert status == 408 and head["connection"] == "close" and said["error"]["code"] == "timeout", (status, head, said)
    e.slow_server.result(30)


def slow_request(e):
    return split_reply(raw(e.s.port, b"GET /v1/models HTTP/1.1\r\nHost: local", wait=30))


def slow_server(e):
    """A port where connections are neither taken nor refused: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            c = stack.enter_context(socket.socket())
            c.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                c.connect(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        e.fails("TIMEOUT", "ps", "--server", url, show="freehold ps --server http://192.0.2.1:8470")
    example = e.shown.examples["TIMEOUT"]
    example["message"] = re.sub(r"127\.0\.0\.1(:| port )\d+", r"192.0.2.1\g<1>8470", example["message"])


@case("a server that is away, nothing that is ready", "UNAVAILABLE")
def unavailable(e):
    e.fails("UNAVAILABLE", "ps", "--server", "http://127.0.0.1:1")
    for d in e.s.deployments():
        assert e.s.cli("stop", d["name"]).returncode == 0
    e.refused("UNAVAILABLE", "POST", "/v1/chat/completions", {**ASK, "model": "auto"}, param="model")
    e.afresh()


# ---- what answers


@contextlib.contextmanager
def engines_keep_dying(e):
    """Each engine gets kill -9, and so does each that comes in its place: one alone is healed, and its answer goes on."""
    over = threading.Event()

    def kill():
        while not over.wait(0.1):
            for d in e.s.deployments():
                if d["pid"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(d["pid"], signal.SIGKILL)
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@case("engines that die in the middle of an answer end the stream with an error", "UPSTREAM")
def engines_die_in_stream(e):
    c = http.client.HTTPConnection("127.0.0.1", e.s.port, timeout=PATIENCE)
    c.request("POST", "/v1/chat/completions", json.dumps({**LONG, "stream": True}), {"Authorization": "Bearer " + e.s.key, "Content-Type": "application/json"})
    reply = c.getresponse()
    got = reply.read(64)
    with engines_keep_dying(e):
        got += reply.read()
    events = [l[6:] for l in got.decode().split("\n") if l.startswith("data: ")]
    said = json.loads(events[-1])["error"]
    assert set(said) == {"message", "type", "param", "code"} and said["code"] == "upstream" and "; " in said["message"], said
    assert "[DONE]" not in events
    e.no_secret(said["message"])
    message, advice = said["message"].rsplit("; ", 1)
    e.shown.keep("UPSTREAM", "a stream of /v1/chat/completions", message.split(": ")[0], advice)
    e.afresh()


@case("engines that die before they answer: 502", "UPSTREAM")
def engines_die_before(e):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(e.refused, "UPSTREAM", "POST", "/v1/chat/completions", LONG)
        time.sleep(0.5)
        with engines_keep_dying(e):
            assert asked.result()[1]["x-should-retry"] == "false"
    e.afresh()


@case("a command whose answer breaks fails with 5", "UPSTREAM")
def engines_die_in_a_command(e):
    p = subprocess.Popen([str(PROGRAM), "run", "smollm2", "Tell a long story about the sea.", "--max-tokens", "3000"], env=e.s.environment(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.read(p.stdout.fileno(), 16)
    with engines_keep_dying(e):
        _, said = p.communicate(timeout=PATIENCE)
    assert p.returncode == CLASSES["UPSTREAM"].exit and b"engine broke" in said, (p.returncode, said)
    e.afresh()


# ---- files, memory, disks


@case("a broken file: the byte and the field are named, by the command and over HTTP; a damaged database", "CORRUPT")
def corrupt(e):
    s = e.s
    cut = s.folder / "cut.gguf"
    with open(STARTER, "rb") as f:
        cut.write_bytes(f.read(100000))
    said = e.fails("CORRUPT", "import", "--data", str(s.folder / "own"), str(cut), env=e.local())
    assert re.search(r"byte \d+, field .*tokenizer\.ggml\.tokens", said), said
    assert not list((s.folder / "own/weights").iterdir()), "something stayed"
    job = s.json("POST", "/api/v1/weights", {"path": str(cut)})
    until = time.monotonic() + PATIENCE
    while job["state"] == "running" and time.monotonic() < until:
        job = s.json("GET", "/api/v1/weights/imports/" + job["id"])
    assert job["state"] == "failed" and "byte" in job["error"] and job["hint"], job
    bare = s.folder / "bare.gguf"
    gguf_file.write(bare, {"general.architecture": "llama"})
    assert "tokenizer.ggml.model" in e.fails("CORRUPT", "tokenize", "--model", str(bare))
    assert "llama." in e.fails("CORRUPT", "engine", "--model", str(bare), "--listen", "127.0.0.1:0")
    damaged = s.folder / "damaged"
    damaged.mkdir()
    (damaged / "freehold.db").write_bytes(os.urandom(8192))
    before = (damaged / "freehold.db").read_bytes()
    e.fails("CORRUPT", "serve", "--listen", "127.0.0.1:0", "--data", str(damaged))
    assert (damaged / "freehold.db").read_bytes() == before


@case("what this version cannot do: an architecture, a type of weights, a place, a store", "UNSUPPORTED")
def unsupported(e):
    s = e.s
    strange = s.folder / "strange.gguf"
    gguf_file.write(strange, {"general.architecture": "strange"})
    assert "strange" in e.fails("UNSUPPORTED", "engine", "--model", str(strange), "--listen", "127.0.0.1:0")
    e.refused("UNSUPPORTED", "POST", "/api/v1/deployments", {"model": "smollm2", "place": "moon"}, param="place", hint=False)
    e.fails("UNSUPPORTED", "serve", "--listen", "127.0.0.1:0", "--data", str(s.folder / "own"), "--store", "postgresql://localhost/freehold")


@case("not enough memory", "NOMEM")
def no_memory(e):
    said = e.fails("NOMEM", "engine", "--model", str(STARTER), "--listen", "127.0.0.1:0", "--memory-limit", "64")
    assert re.search(r"needs \d+ MiB .* 64 MiB are there", said), said
    assert "ulimit -v" in e.fails("NOMEM", "tokenize", "--model", str(STARTER), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20)))


@case("a full disk, a limit on files, a device that takes nothing: an error, and nothing half done stays", "IO")
def input_output(e):
    s = e.s
    full = s.folder / "full"
    e.fails("IO", "import", "--data", str(full), str(STARTER), show="ulimit -f 1024; freehold import MODEL.gguf", env=e.local(), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert not list((full / "weights").iterdir()), "something stayed"
    with open("/dev/full", "w") as device:
        done = subprocess.run([str(PROGRAM), "models"], stdout=device, stderr=subprocess.PIPE, text=True, env=s.environment(), timeout=PATIENCE)
    assert done.returncode == CLASSES["IO"].exit and "No space left" in done.stderr, (done.returncode, done.stderr)
    script = 'mount -t tmpfs -o size=8m none "$1" 2>/dev/null || exit 77; "$2" import --data "$1" "$3"; status=$?; ls -A "$1/weights"; exit $status'
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script, "sh", str(full), str(PROGRAM), str(STARTER)], capture_output=True, text=True, env=e.local(), timeout=PATIENCE)
    if done.returncode == 77 or "unshare" in done.stderr:
        return "a disk of its own cannot be mounted here: the limit on files and /dev/full stand for it"
    assert done.returncode == CLASSES["IO"].exit and "free some space" in done.stderr and not done.stdout, (done.returncode, done.stdout, done.stderr)


# ---- the whole


def every_class_has_a_case():
    shown = {name for _, classes, _ in CASES for name in classes}
    unknown = (shown | set(UNREACHABLE)) - set(CLASSES)
    assert not unknown, f"not in FH_ERR_LIST: {unknown}"
    assert not shown & set(UNREACHABLE), f"said to be out of reach, and shown: {shown & set(UNREACHABLE)}"
    lacking = set(CLASSES) - shown - set(UNREACHABLE)
    assert not lacking, f"FH_ERR_LIST has classes that no case provokes: {', '.join(sorted(lacking))}"
    return "; ".join(f"{name} is out of reach: {why}" for name, why in UNREACHABLE.items())


def check_unchanged(e, fn):
    before = e.state()
    said = fn(e)
    if fn in (unavailable, engines_die_in_stream, engines_die_before, engines_die_in_a_command):  # these end engines
        before["deployments"] = None
    after = e.state()
    if before["deployments"] is None:
        after["deployments"] = None
    changed = {k: (before[k], after[k]) for k in before if before[k] != after[k]}
    assert not changed, f"it changed something: {changed}"
    return said


def compare_examples(e, update):
    made = json.dumps({name: e.shown.examples[name] for name in CLASSES if name in e.shown.examples}, indent=1) + "\n"
    if update:
        EXAMPLES.write_text(made)
    assert EXAMPLES.read_text() == made, f"examples.json differs: provoke.py --update writes it, then tools/errors-doc --write. Now: {made}"


def main():
    need_starter()
    tap = Tap()
    tap.check("every class has a case, or a reason why it is out of reach", every_class_has_a_case)
    s = Server(start=False)
    with s, concurrent.futures.ThreadPoolExecutor() as pool:
        s.start("--import-dir", str(s.folder))
        s.deploy()
        e = Errors(s)
        e.slow_request, e.slow_server = pool.submit(slow_request, e), pool.submit(slow_server, e)
        for title, classes, fn in CASES:
            tap.check(f"{', '.join(classes)}: {title}", check_unchanged, e, fn)
        tap.check("the examples in the page are what is said", compare_examples, e, "--update" in sys.argv)
    tap.end()


if __name__ == "__main__":
    main()
