#!/usr/bin/env python3
"""Hostile load on a real server, each kind with a client alongside that only wants to be served: it is, in time; memory stays within its bound; nothing hostile reaches the
engine. Prints TAP.  hostile.py [--whole]  (the whole load: 5,000 slow connections, a million keys; and the client's p99 is held against its quiet value)"""
import concurrent.futures
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from synthetic import Synthetic
from freehold import Tap

WHOLE = "--whole" in sys.argv
SLOW, READERS, KEYS, KEY_CLIENTS, SECONDS = (5000, 50, 1000000, 1000, 12) if WHOLE else (500, 5, 600, 30, 3)
CONNECTION_BYTES = 64 << 10
PIECE_BYTES = 16 << 10  # as a network card hands them on: longer ones keep a processor for as long as the kernel copies, whoever waits for it
MB = 1 << 20


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10


def settled(server):
    """What is resident once it has not grown for five seconds."""
    until, sizes = time.monotonic() + 120, [resident(server.process.pid)]
    while time.monotonic() < until:
        time.sleep(0.25)
        sizes.append(resident(server.process.pid))
        if len(sizes) > 20 and sizes[-1] - sizes[-21] < 64 << 10:
            break
    return sizes[-1]


class Alongside:
    """A client that only wants to be served, while something else goes on."""

    def __init__(self, server, seconds=3600):
        self.process = subprocess.Popen(server.load(1, seconds, "plain"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        self.process.terminate()
        return self.end()

    def end(self):
        said, complaint = self.process.communicate()
        seen = json.loads(said)
        assert seen["errors"] == 0 and seen["requests"] > 0, (seen, complaint)
        return seen


def in_time(quiet, seen):
    assert seen["p99_us"] < 2 * max(quiet["p99_us"], 250), (quiet, seen)


def stand_back():
    """Whoever attacks does so from elsewhere: the threads here that stand for them run only where the server, and who is served, leave a processor idle."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def send(s, data):
    for at in range(0, len(data), PIECE_BYTES):
        s.sendall(data[at:at + PIECE_BYTES])


def pour(port, ended):
    stand_back()
    with socket.create_connection(("127.0.0.1", port)) as s, contextlib.suppress(OSError):
        while not ended.is_set():
            send(s, MB * b"a")


def flood_elsewhere(server):
    """Through this machine's loopback to somebody who throws it away: what that alone costs whoever is served, where attackers have no machine of their own."""
    ended, sink = threading.Event(), "import socket\ns = socket.socket(fileno=0).accept()[0]\nb = bytearray(65536)\nwhile s.recv_into(b): pass"
    with socket.create_server(("127.0.0.1", 0)) as door, subprocess.Popen([sys.executable, "-c", sink], stdin=door):
        flood = threading.Thread(target=pour, args=(door.getsockname()[1], ended))
        flood.start()
        seen = Alongside(server, 5).end()
        ended.set()
        flood.join()
    return f"p99 {seen['p99_us']:.0f} us"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def head(server, more, key=None):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key or server.key}\r\nContent-Type: application/json\r\n" + more).encode()


def all_of(s):
    got = b""
    try:
        while more := s.recv(65536):
            got += more
    except OSError:
        pass
    return got


def trickle(server, first, more):
    """SLOW connections that begin a request and never end it."""
    sockets = [connect(server) for _ in range(SLOW)]
    try:
        for s in sockets:
            s.sendall(first)
        until, at = time.monotonic() + SECONDS, 0
        while time.monotonic() < until:
            time.sleep(0.01)
            for s in sockets[at:at + SLOW // 50]:  # each twice a second, one after another
                with contextlib.suppress(OSError):
                    s.send(more)
            at = (at + SLOW // 50) % SLOW
        return SLOW * CONNECTION_BYTES
    finally:
        for s in sockets:
            s.close()


def slow_headers(server):
    return trickle(server, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n")


def slow_bodies(server):
    return trickle(server, head(server, "Content-Length: 100000\r\n\r\n"), b" ")


def stopped_readers(server):
    """Clients of an endless stream who read nothing of it."""
    body = json.dumps({"model": "smollm2", "stream": True, "user": "flood", "messages": [{"role": "user", "content": "Hi"}]}, separators=(",", ":"))
    sockets = [connect(server) for _ in range(READERS)]
    try:
        for s in sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(head(server, f"Content-Length: {len(body)}\r\n\r\n") + body.encode())
        before = settled(server)
        time.sleep(SECONDS)
        grown = resident(server.process.pid) - before
        assert grown < 2 * MB, f"memory grows while nobody reads: {grown} bytes"
        return READERS * MB
    finally:
        for s in sockets:
            s.close()


def again_and_again(attack):
    """For as long as others last."""
    def attacks(server):
        until = time.monotonic() + SECONDS
        bound = attack(server)
        while time.monotonic() < until:
            attack(server)
        return bound
    return attacks


@again_and_again
def large_body(server):
    """2 GiB, announced and not."""
    with connect(server) as s:
        s.sendall(head(server, "Content-Length: 2147483648\r\n\r\n"))
        assert all_of(s).startswith(b"HTTP/1.1 413")
    sent = 0
    with connect(server) as s:
        s.sendall(head(server, "Transfer-Encoding: chunked\r\n\r\n"))
        piece = b"100000\r\n" + MB * b"a" + b"\r\n"
        try:
            while sent < 2048:
                send(s, piece)
                sent += 1
        except OSError:
            pass
        assert sent < 128, f"{sent} MiB were taken"
    return 80 * MB


@again_and_again
def many_headers(server):
    with connect(server) as s:
        try:
            send(s, head(server, 100000 * "X-A: b\r\n" + "Content-Length: 0\r\n\r\n"))
        except OSError:
            pass
        assert all_of(s)[:12] in (b"HTTP/1.1 431", b""), "100,000 headers are taken"
    return 8 * MB


def many_keys(server):
    """Guessed keys, one after another on many connections."""
    def guess(first):
        with connect(server) as s:
            for i in range(first, KEYS, KEY_CLIENTS):
                s.sendall(head(server, "Content-Length: 2\r\n\r\n{}", key=f"fh_{i % 10 ** 8:08d}_{i:043d}"))
                got = s.recv(65536)
                assert got.startswith(b"HTTP/1.1 401"), got
    with concurrent.futures.ThreadPoolExecutor(KEY_CLIENTS, initializer=stand_back) as pool:
        list(pool.map(guess, range(KEY_CLIENTS)))
    return KEY_CLIENTS * CONNECTION_BYTES + 8 * MB


def main():
    tap = Tap()
    with Synthetic("--threads", "2") as server:
        def held(attack, allowed):
            quiet = Alongside(server, 3 if WHOLE else 0.5).end()  # just before: others may use this machine
            before, reached = resident(server.process.pid), len(server.reached())
            client = Alongside(server)
            most = before
            with concurrent.futures.ThreadPoolExecutor(1, initializer=stand_back) as pool:
                job = pool.submit(attack, server)
                while not job.done():
                    most = max(most, resident(server.process.pid))
                    time.sleep(0.02)
                seen = client.stop()
                bound = job.result()
            hostile = len(server.reached()) - reached - seen["requests"]
            assert hostile <= allowed, f"{hostile} hostile requests reached the engine"
            assert most - before < bound, f"memory grew by {most - before} bytes, bound {bound}"
            if WHOLE:
                in_time(quiet, seen)
            return f"p99 {seen['p99_us']:.0f} us, quiet {quiet['p99_us']:.0f} us; memory +{(most - before) / MB:.1f} MiB, bound {bound / MB:.0f} MiB"

        tap.check(f"{SLOW} connections that never finish their headers", held, slow_headers, 0)
        tap.check(f"{SLOW} connections that never finish their bodies", held, slow_bodies, 0)
        tap.check(f"{READERS} readers that stop in the middle of a stream", held, stopped_readers, READERS)
        tap.check("a body of 2 GiB", held, large_body, 0)
        tap.check("100,000 headers", held, many_headers, 0)
        tap.check(f"{KEYS} keys tried", held, many_keys, 0)
        if WHOLE:
            tap.check("a flood that is not for the server", flood_elsewhere, server)
    tap.end()


if __name__ == "__main__":
    main()
