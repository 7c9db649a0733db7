#!/usr/bin/env python3
"""kill -9 of a server that was used for long, under load: clients see that their connection broke, what requests used is kept, and the next start serves at once. Prints TAP,
and how long starts took, from exec to the end of the first answer.

start.py [--large]   a database as full as its limits allow, and starts within 100 ms (check-deep)"""
import argparse
import hashlib
import http.client
import http.server
import json
import os
import random
import socket
import sqlite3
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter

NS, DAY = 10**9, 24 * 3600 * 10**9
BLOCK, FEATURES = 128, 16  # records of a row of the table usage; numbers of a kind of request
SMALL = {"blocks": 40, "keys": 50, "responses": 200, "outcomes": 100, "deployments": 20, "replies": 50, "log_mib": 2}
LARGE = {"blocks": 8192, "keys": 1000, "responses": 200000, "outcomes": 65536, "deployments": 500, "replies": 5000, "log_mib": 16}
GOAL_MS, STARTS = 100, 7
ASK = {"model": "told", "messages": [{"role": "user", "content": "What is a lighthouse for?"}]}
WORDS = ["A lighthouse", " warns", " ships", " of rocks."]


class Endpoint:
    """A hosted endpoint that streams a few words, slowly."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.reply(b'{"data":[{"id":"told"}]}')

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
                if asked.get("stream"):
                    self.stream(usage)
                    return
                message = {"role": "assistant", "content": "".join(WORDS)}
                self.reply(json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "told", "usage": usage,
                                       "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())

            def chunk(self, data):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def event(self, **members):
                self.chunk(f"data: {json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'told', **members})}\n\n".encode())

            def stream(self, usage):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for word in WORDS:
                    self.event(choices=[{"index": 0, "delta": {"content": word}}])
                    time.sleep(0.02)
                self.event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
                self.event(choices=[], usage=usage)
                self.chunk(b"data: [DONE]\n\n")
                self.wfile.write(b"0\r\n\r\n")

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # the server was killed

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


# ---- a long life, in a moment ----

def number(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def signed(n):
    return number(n << 1 ^ n >> 63)


def packed(request, key, began, before):
    """A record as src/gateway/usage_pack.c packs it: texts, what may be negative, counts, flags, by whom it was counted, of what, failovers."""
    texts = [request, key, "chat", "told", "provider/far", "provider/far", "the model that was asked for; one of 1 ready; the only one that can", "", "off", "stop"]
    out = b"".join(number(0) if before and text == was else number(len(text) + 1) + text.encode() for text, was in zip(texts, before or texts))
    out += b"".join(signed(n) for n in (began, 812 * 10**6, 0, 0, 41000, 520000))
    return out + b"".join(number(n) for n in (913, 214, 0, 0, 0, 913, 214, 0b010110, 2, 0, 0)), texts


def hash_of(text):
    h = 1469598103934665603
    for c in text.encode():
        h = (h ^ c) * 1099511628211 & (1 << 64) - 1
    return h


def block(n, keys, chance, now):
    out, before, ids = b"", None, b""
    began = now - (n + 1) * 60 * NS
    for i in range(BLOCK):
        request = f"{chance.getrandbits(128):032x}"
        record, before = packed(request, keys[(n + i) % len(keys)], began + i, before)
        out += record
        ids += hash_of(request).to_bytes(8, "little")
    return ids, BLOCK, began, began + BLOCK, out


def fill(path, size, chance):
    db, now = sqlite3.connect(path), time.time_ns()
    db.execute("PRAGMA synchronous=OFF")
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    keys = ["".join(chance.choice(letters) for _ in range(8)) for _ in range(size["keys"])]
    db.executemany("INSERT INTO keys(id, name, secret_sha256, scopes, created_utc_ns) VALUES(?, 'of long ago', ?, 'use', ?)", ((k, hashlib.sha256(k.encode()).digest(), now - 90 * DAY) for k in keys))
    db.executemany("INSERT INTO usage(requests, count, from_utc_ns, to_utc_ns, records) VALUES(?, ?, ?, ?, ?)", (block(n, keys, chance, now) for n in reversed(range(size["blocks"]))))
    text = json.dumps({"object": "response", "output": ["a word " * 60]})
    db.executemany("INSERT INTO responses(id, key, previous, created_utc_ns, expires_utc_ns, bytes, input, response) VALUES(?, ?, '', ?, ?, ?, '[]', ?)",
                   ((f"resp_{chance.getrandbits(128):032x}", chance.choice(keys), now - n * NS, now + 20 * DAY, len(text) + 60, text) for n in range(size["responses"])))
    db.executemany("INSERT INTO outcomes(arm, features, good, weight) VALUES(?, ?, 255, 24)", ((f"model-{n // 512}:q4", chance.randbytes(FEATURES)) for n in range(size["outcomes"])))
    db.executemany("INSERT INTO deployments(id, name, model, variant, digest, place, context_tok, streams, state, desired, reason, hint, created_utc_ns, changed_utc_ns) "
                   "VALUES(?, ?, 'smollm2-135m', 'q4_1', '', 'here', 4096, 4, 'stopped', 'stopped', 'asked to', '', ?, ?)",
                   ((n + 1, f"smollm2-135m-{n}", now - n * DAY // 10, now - n * DAY // 10) for n in range(size["deployments"])))
    db.executemany("INSERT INTO deployment_events(deployment, utc_ns, from_state, to_state, reason, hint) VALUES(?, ?, 'ready', 'stopped', 'asked to', '')",
                   ((n % size["deployments"] + 1, now - n * NS) for n in range(10 * size["deployments"])))
    db.executemany("INSERT INTO idempotency(token, digest, status, body, created_utc_ns) VALUES(?, ?, 201, '{}', ?)",
                   ((f"{chance.choice(keys)} {n}", chance.randbytes(32), now - n * NS) for n in range(size["replies"])))
    db.commit()
    db.close()


def grow_log(path, mib):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA synchronous=OFF")
    rows, at = db.execute("SELECT count(*) FROM usage").fetchone()[0], 0
    while not os.path.exists(f"{path}-wal") or os.path.getsize(f"{path}-wal") < mib << 20:
        db.execute("UPDATE usage SET to_utc_ns = to_utc_ns + 1 WHERE id IN (SELECT id FROM usage ORDER BY id LIMIT 20 OFFSET ?)", (at % rows,))
        at += 20
    os._exit(0)  # and does not close it, which would write the log back


def leave_log(path, mib):
    """A log of that size ahead of the file, as a killed program leaves it that could not write it back."""
    child = os.fork()
    if child == 0:
        try:
            grow_log(path, mib)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the log was not written"


def forget_pages(path):
    """As after the machine was started: nothing of the database is in memory."""
    for name in (path, f"{path}-wal"):
        if os.path.exists(name):
            with open(name, "rb+") as f:
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ---- clients ----

class Load:
    """Clients that ask again and again, whole answers and streams, some of them kept. What each got is whole, or its connection broke."""

    def __init__(self, server, clients=8):
        self.server, self.key, self.lock = server, server.key, threading.Lock()
        self.whole, self.broken, self.wrong, self.stop = [], 0, [], False
        self.threads = [threading.Thread(target=self.client, args=(i,), daemon=True) for i in range(clients)]
        for t in self.threads:
            t.start()

    def once(self, connection, n):
        body = {"model": "told", "input": "Say it again.", "store": True} if n % 4 == 3 else {**ASK, "stream": n % 4 != 2}
        connection.request("POST", "/v1/responses" if n % 4 == 3 else "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        whole = reply.status == 200 and (text.rstrip().endswith(b"data: [DONE]") if body.get("stream") else json.loads(text))
        with self.lock:
            if whole:
                self.whole.append((reply.headers["x-request-id"], time.monotonic()))
            else:
                self.wrong.append((reply.status, text))

    def client(self, n):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        try:
            while not self.stop:
                self.once(connection, n)
                n += 1
        except TimeoutError as e:
            self.wrong.append(e)
        except (OSError, http.client.HTTPException):
            with self.lock:
                self.broken += 1
        finally:
            connection.close()

    def wait_for(self, count):
        until = time.monotonic() + PATIENCE
        while len(self.whole) < count and not self.wrong and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.whole) >= count and not self.wrong, (len(self.whole), self.wrong[:3])

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join(PATIENCE)
            assert not t.is_alive(), "a client still waits"


def first_answer(server):
    """Starts it; seconds from exec to the end of the first answer."""
    body = json.dumps(ASK).encode()
    asked = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\n"
             f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body
    begun = time.perf_counter()
    server.spawn()
    while True:
        assert server.process.poll() is None and time.perf_counter() - begun < 120, server.output()[-3000:]
        try:
            s = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        except ConnectionRefusedError:
            time.sleep(0.0005)
            continue
        with s:
            s.sendall(asked)
            said = b"".join(iter(lambda: s.recv(65536), b""))
            assert said.startswith(b"HTTP/1.1 200 "), said
            return time.perf_counter() - begun


# ---- the checks ----

class Case:
    def __init__(self, size, large):
        self.size, self.large = size, large

    def prepare(self, server):
        self.server, self.path = server, str(server.data / "freehold.db")
        added = server.cli("provider", "add", "far", "--url", Endpoint().url)
        assert added.returncode == 0, added
        server.stop()
        fill(self.path, self.size, random.Random(1))
        self.kept = self.size["blocks"] * BLOCK
        return f"{self.kept} records of requests, {self.size['keys']} keys, {self.size['responses']} responses: {os.path.getsize(self.path) >> 20} MiB"

    def records_are_read(self):
        """What was filled in is what the server would have written."""
        self.server.start()
        listed = self.server.json("GET", "/api/v1/usage?limit=200")["items"]
        assert len(listed) == 200 and all(r["model"] == "told" and r["prompt_tokens"] == 913 and r["place"] == "provider/far" for r in listed), listed[0]
        assert self.server.json("GET", f"/api/v1/usage/{listed[-1]['request']}")["completion_tokens"] == 214
        assert len(self.server.json("GET", "/api/v1/keys")["items"]) == self.size["keys"] + 1

    def killed_under_load(self):
        load = Load(self.server)
        load.wait_for(60)
        self.server.json("GET", "/api/v1/usage?limit=1")  # all that there is now is written
        self.sure = [request for request, _ in load.whole[:50]]
        load.wait_for(120)
        if self.large:
            load.wait_for(len(load.whole) + 1000)
        self.server.kill()
        self.killed = time.monotonic()
        load.end()
        self.load = load
        assert not load.wrong, load.wrong[:3]
        assert load.broken == len(load.threads), load.broken
        return f"{len(load.whole)} answers were whole, {load.broken} connections broke; a log of {os.path.getsize(self.path + '-wal') >> 10} KiB is left"

    def serves_at_once(self):
        took = first_answer(self.server)
        self.took = [took]
        return f"{took * 1000:.1f} ms from exec to the end of the first answer"

    def nothing_is_lost(self):
        status = {request: self.server.request("GET", f"/api/v1/usage/{request}")[0] for request in self.sure}
        assert set(status.values()) == {200}, status
        last = [(request, self.killed - when) for request, when in self.load.whole[-300:]]
        lost = [age for request, age in last if self.server.request("GET", f"/api/v1/usage/{request}")[0] != 200]
        assert not self.large or max(lost, default=0) < 1, lost
        return f"of the last {len(last)} answers {len(lost)} have no record, the oldest ended {max(lost, default=0) * 1000:.0f} ms before the kill"

    def many_starts(self, what, before):
        took = []
        for _ in range(STARTS if self.large else 1):
            if self.server.process:
                self.server.kill()
            before()
            took.append(first_answer(self.server) * 1000)
        said = f"{what}: median {statistics.median(took):.1f} ms, most {max(took):.1f} ms of {len(took)}"
        assert not self.large or statistics.median(took) < GOAL_MS, said
        return said


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--large", action="store_true")
    large = args.parse_args().large
    need_starter()
    tap = Tap()
    case = Case(LARGE if large else SMALL, large)
    with Server() as server:
        tap.check("a data folder as long use leaves it", case.prepare, server)
        tap.check("it is read as the server's own", case.records_are_read)
        tap.check("kill -9 under load: answers are whole, or their connections broke", case.killed_under_load)
        tap.check("the next start serves", case.serves_at_once)
        tap.check("what requests used before is kept", case.nothing_is_lost)
        tap.check("starts after kill -9", case.many_starts, "the log as the server leaves it", lambda: None)
        tap.check("starts with a log that nobody wrote back", case.many_starts, f"a log of {case.size['log_mib']} MiB", lambda: leave_log(case.path, case.size["log_mib"]))
        tap.check("starts with nothing of the database in memory", case.many_starts, "none of it in the page cache", lambda: forget_pages(case.path))
    tap.end()


main()
