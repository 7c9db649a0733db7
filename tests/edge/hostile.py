#!/usr/bin/env python3
"""Hostile load on a real server, each kind with a client alongside that only wants to be served: it is, in time; memory stays within its bound; nothing hostile reaches the
engine. Attackers are `attack.c`, from other addresses than the client's. Prints TAP.  hostile.py [--whole] [NAME...]  (the whole load: 5,000 slow connections, 1,000 that guess
keys; in windows without an attack and with one in turn, and the client's p99 is held against its quiet value; of all attacks, or of those that are named; `million` is there
for those who name it: a million keys, tried to the end, take a quarter of an hour)"""
import concurrent.futures
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from synthetic import ATTACK, Synthetic
from freehold import PATIENCE, Tap

WHOLE = "--whole" in sys.argv
NAMES = [a for a in sys.argv[1:] if not a.startswith("-")]
SLOW, READERS, GUESSERS, FLOODS, SECONDS, QUIET_SECONDS, PAIRS = (5000, 50, 1000, 12, 12, 4, 3) if WHOLE else (500, 5, 30, 2, 2, 0.5, 1)
CONNECTION_BYTES = 64 << 10
MB = 1 << 20
ELSEWHERE = [f"127.0.0.{i}" for i in range(2, 10)]
STRANGERS, KEYED_BODY_BYTES = 64, 8 << 20
MILLION, MILLION_WINDOW_S, MILLION_MOST_S = 1_000_000, 30, 1800
PAUSE_S = 1  # for what an attack leaves behind to be cleared away


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10


def settled(server):
    """What is resident once it has not grown for five seconds."""
    until, sizes = time.monotonic() + PATIENCE, [resident(server.process.pid)]
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
    """Whoever attacks does so from elsewhere: the threads here that stand for them run only where the server, and who is served, leave a processor idle (as attack.c does).
    That counts among processes of one session only (synthetic.py)."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def attacked(port, key_file, kind, connections, seconds):
    """What came of it, as attack.c says it."""
    command = [ATTACK, str(port), str(key_file), kind, str(connections), str(seconds), *ELSEWHERE]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def rates(done):
    seconds = done["seconds"]
    return (f"{done['connections'] / seconds:.0f} connections, {done['pieces'] / seconds:,.0f} pieces, {done['offered'] / seconds / MB:.1f} MiB offered and {done['bytes'] / seconds / MB:.1f} "
            f"taken, a second of attack; replies {done['replies']}")


def attack(kind, connections, *statuses):
    """By strangers, who get no other replies than these."""
    def attacks(server):
        done = attacked(server.port, server.key_file, kind, connections, SECONDS)
        assert done["connections"] >= connections and set(done["replies"]) <= set(statuses), done
        return rates(done)
    return attacks


def keyed_body(server):
    """A large body of somebody with a key is read and answered, and what he sends behind it."""
    body = json.dumps({"model": "smollm2", "user": "x" * KEYED_BODY_BYTES, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]})
    for _ in range(2):
        status, _, text = server.request("POST", "/v1/chat/completions", body, timeout=PATIENCE)
        assert status == 200, (status, text[:300])


def bodies_of_strangers(server):
    """As many as would fill the memory for bodies, begun and not ended by who has no key: none of it is held, and those who have one are served."""
    before = resident(server.process.pid)
    with concurrent.futures.ThreadPoolExecutor(1, initializer=stand_back) as pool:
        job = pool.submit(attacked, server.port, server.key_file, "unkeyed", STRANGERS, 4)
        time.sleep(1)
        keyed_body(server)
        done = job.result()
    grown = resident(server.process.pid) - before
    assert set(done["replies"]) <= {"401", "413"} and done["replies"], done
    assert grown < 4 * KEYED_BODY_BYTES, f"memory grew by {grown} bytes"
    return f"memory +{grown / MB:.1f} MiB; {rates(done)}"


def a_million_keys(server):
    """Tried to the end; the client is looked at in windows."""
    quiet, before, reached = Alongside(server, MILLION_WINDOW_S).end(), resident(server.process.pid), len(server.reached())
    seen, most, served = [], before, 0
    command = [ATTACK, str(server.port), str(server.key_file), f"keys:{MILLION}", str(GUESSERS), str(MILLION_MOST_S), *ELSEWHERE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attack_process:
        while attack_process.poll() is None:
            seen.append(Alongside(server, MILLION_WINDOW_S).end())
            served += seen[-1]["requests"]
            most = max(most, resident(server.process.pid))
        done = json.loads(attack_process.stdout.read())
    tried = sum(done["replies"].values())
    assert tried >= MILLION and set(done["replies"]) == {"401"}, done
    assert len(server.reached()) - reached == served, "guessed keys reached the engine"
    assert most - before < GUESSERS * CONNECTION_BYTES + 8 * MB, most - before
    each = sorted(s["p99_us"] for s in seen)
    return (f"{tried:,} keys in {done['seconds']:.0f} s; p99 in {len(each)} windows of {MILLION_WINDOW_S} s: {each[0]:.0f} to {each[-1]:.0f} us, the middle one {each[len(each) // 2]:.0f}, "
            f"quiet {quiet['p99_us']:.0f}; memory +{(most - before) / MB:.1f} MiB; {rates(done)}")


def flood_elsewhere(server):
    """Through this machine's loopback to somebody who throws it away: what that alone costs whoever is served, where attackers have no machine of their own."""
    sink = "import socket\ns = socket.socket(fileno=0).accept()[0]\nb = bytearray(65536)\nwhile s.recv_into(b): pass"
    with socket.create_server(("127.0.0.1", 0)) as door, subprocess.Popen([sys.executable, "-c", sink], stdin=door):
        return rates(attacked(door.getsockname()[1], server.key_file, "large", 1, SECONDS))


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def head(server, more, key=None):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key or server.key}\r\nContent-Type: application/json\r\n" + more).encode()


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
        return f"{READERS} streams that nobody reads"
    finally:
        for s in sockets:
            s.close()


def window(server, attack):
    """What the client saw meanwhile, how much memory grew at most, how many requests reached the engine that were not the client's, and what the attackers say."""
    before, reached = resident(server.process.pid), len(server.reached())
    most, client = before, Alongside(server)
    with concurrent.futures.ThreadPoolExecutor(1, initializer=stand_back) as pool:
        job = pool.submit(attack, server)
        while not job.done():
            most = max(most, resident(server.process.pid))
            time.sleep(0.05)
        seen = client.stop()
    return seen, most - before, len(server.reached()) - reached - seen["requests"], job.result()


def held(server, attack, bound, allowed, pairs):
    """The middle window of each kind counts."""
    told = []
    for _ in range(pairs):
        quiet = Alongside(server, QUIET_SECONDS).end()  # just before: others may use this machine
        seen, grown, hostile, done = window(server, attack)
        assert hostile <= allowed, f"{hostile} hostile requests reached the engine"
        assert grown < bound, f"memory grew by {grown} bytes, bound {bound}"
        told.append((seen, quiet))
        report = f"memory +{grown / MB:.1f} MiB, bound {bound / MB:.0f} MiB; {done}"
        time.sleep(PAUSE_S)
    middle = [sorted(column, key=lambda seen: seen["p99_us"])[len(told) // 2] for column in zip(*told)]
    if WHOLE:
        in_time(middle[1], middle[0])
    each = ", ".join(f"{s['p99_us']:.0f}/{q['p99_us']:.0f}" for s, q in told)
    return f"p99 beside it and quiet {each} us: {middle[0]['p99_us'] / middle[1]['p99_us']:.1f} times; {report}"


def main():
    tap = Tap()
    kinds = {
        "headers": (f"{SLOW} connections that never finish their headers", attack("headers", SLOW, "408"), SLOW * CONNECTION_BYTES, 0, PAIRS),
        "bodies": (f"{SLOW} connections that never finish their bodies", attack("bodies", SLOW, "408"), SLOW * CONNECTION_BYTES, 0, PAIRS),
        "readers": (f"{READERS} readers that stop in the middle of a stream", stopped_readers, READERS * MB + 8 * MB, READERS, 1),
        "large": ("a body of 2 GiB with a key", attack("large", FLOODS, "413", "503"), 320 * MB, 0, PAIRS),
        "unkeyed": ("a body of 2 GiB without one", attack("unkeyed", FLOODS, "401", "413"), 8 * MB, 0, PAIRS),
        "fields": ("100,000 headers", attack("fields", FLOODS, "431"), 8 * MB, 0, PAIRS),
        "keys": (f"keys guessed on {GUESSERS} connections", attack("keys", GUESSERS, "401"), GUESSERS * CONNECTION_BYTES + 8 * MB, 0, PAIRS),
    }
    if WHOLE:
        kinds["flood"] = ("a flood that is not for the server", flood_elsewhere, MB, 0, PAIRS)
    with Synthetic("--threads", "2") as server:
        for name in [n for n in NAMES or kinds if n in kinds]:
            title, *how = kinds[name]
            tap.check(title, held, server, *how)
        if not WHOLE:
            tap.check("bodies of strangers take nothing of the memory for bodies", bodies_of_strangers, server)
        if "million" in NAMES:
            tap.check("a million keys", a_million_keys, server)
    tap.end()


if __name__ == "__main__":
    main()
