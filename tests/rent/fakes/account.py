"""What the fake providers share: an account whose truth is kept on a virtual clock, and an HTTP server in front of it that answers late, not at all, too early or wrongly, as it
is told. Faults are told over the same port: POST /_fault {"call": "rent", "kind": "lost", "count": 1}; POST /_clock {"s": 60} moves the clock; GET /_truth tells what is there.

The fakes are made from the providers' documentation, not from the providers: what is assumed is said in docs/RENTING.md. Python's standard library only."""
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from machines import Machines

KEY = "rentkey-4f1c9a7be2"


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Account:
    """Machines and what became of them. Times are seconds of the virtual clock, which runs `speed` times as fast as ours."""

    def __init__(self, seed, speed, began):
        self.random, self.speed, self.began = random.Random(seed), speed, began
        self.lock, self.begun, self.skipped = threading.Lock(), time.monotonic(), 0.0
        self.machines, self.offers, self.faults, self.calls = {}, {}, [], []
        self.lag, self.boot, self.latency = 60.0, 20.0, 0.0
        self.autodown = False  # a machine is ended when what it runs has ended
        for tag in ("training", "", "freehold:00000000000000aa:00000000000000bb.1"):
            self.make(tag, {"price": 1.0, "setup": {}})["foreign"] = True

    def now(self):
        return (time.monotonic() - self.begun) * self.speed + self.skipped

    def utc(self):
        """Of the virtual clock: it began with ours, at `began` nanoseconds."""
        return self.began / 1e9 + (time.time() - self.began / 1e9) * self.speed

    def make(self, tag, contract):
        number = f"{4000 + len(self.machines)}"
        self.machines[number] = {"id": number, "tag": tag, "made": self.now(), "utc": self.utc(), "runs": self.now() + self.boot, "gone": None, "foreign": False, **contract}
        return self.machines[number]

    def end(self, number):
        machine = self.machines.get(number)
        if not machine or machine["gone"] is not None:
            raise Refused(404, "not-found", "there is no such machine")
        machine["gone"] = self.now()
        return machine

    def shown(self):
        """As it was up to `lag` ago."""
        at = self.now() - self.random.uniform(0, self.lag)
        return [({"state": "running" if m["runs"] <= at else "starting", **m}) for m in self.machines.values()
                if (m["made"] <= at or m["foreign"]) and (m["gone"] is None or m["gone"] > at)]

    def fault(self, call):
        for f in self.faults:
            if f["call"] in (call, "any") and f["count"] > 0:
                f["count"] -= 1
                return f["kind"]
        return None


TWISTS = {  # what a machine that was just rented turns out to be
    "stuck": lambda m, now: m.update(runs=float("inf")),
    "dearer": lambda m, now: m.update(price=m["price"] * 20),
    "taken": lambda m, now: m.update(gone=now + 45),
}


def serve(provider, port):
    """provider.handle(method, path, body, account) answers (status, document); raises Refused."""
    account = provider.account

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def say(self, status, body, kind="application/json"):
            time.sleep(0 if self.path.startswith("/_") else account.latency / 2)
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def told(self, body):
            if self.path == "/_fault":
                account.faults.append(body)
            elif self.path == "/_clock":
                account.skipped += body["s"]
            elif self.path == "/_end":
                account.end(body["id"])
            elif self.path == "/_set":
                for name, value in body.items():
                    setattr(account, name, value)
            self.say(200, {"now": account.now(), "machines": list(account.machines.values()), "calls": account.calls})

        def cut(self):
            """The connection breaks without a reply."""
            self.close_connection = True
            self.connection.shutdown(2)

        def act(self, body):
            call = provider.call_of(self.command, self.path)
            kind = account.fault(call)
            account.calls.append({"call": call, "fault": kind, "at": account.now()})
            if self.headers.get("Authorization") != "Bearer " + KEY:
                return self.say(*provider.error(401, "unauthorized", "the key is not valid"))
            if kind == "before":
                return self.cut()
            if kind == "busy":
                return self.say(429, provider.busy, "text/plain" if isinstance(provider.busy, str) else "application/json")
            if kind == "500":
                return self.say(500, "<html>something went wrong</html>", "text/html")
            if kind in ("capacity", "price"):
                return self.say(*provider.refuse(kind))
            try:
                answer = provider.handle(self.command, self.path, body, account)
            except Refused as r:
                return self.say(*provider.error(r.status, r.code, r.message))
            if kind in TWISTS:
                TWISTS[kind](list(account.machines.values())[-1], account.now())
                answer = provider.again(account) or answer
            if kind == "lost":
                return self.cut()
            if kind == "500-done":
                return self.say(502, "<html>bad gateway</html>", "text/html")
            if kind == "garbled":
                return self.say(200, '{"pods": [{"id"')
            return self.say(*answer)

        def do(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            time.sleep(0 if self.path.startswith("/_") else account.latency / 2)
            with account.lock:
                self.told(body) if self.path.startswith("/_") else self.act(body)

        do_GET = do_POST = do_PUT = do_DELETE = do

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_):
            """Whoever asked was killed."""

    server = Quiet(("127.0.0.1", port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def main(make):
    """FAKE [--port N] [--seed N] [--speed N] [--began NANOSECONDS] [--machines FOLDER --path PATH]: with a folder its machines are real"""
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    account = Account(int(flags.get("--seed", "1")), float(flags.get("--speed", "1")), int(flags.get("--began", time.time_ns())))
    if "--machines" in flags:
        Machines(account, flags["--machines"], flags["--path"])
    serve(make(account), int(flags.get("--port", "0")))


def check_setup(env, script):
    """What a machine is set up with must hold no account's key."""
    if KEY in json.dumps(env) or KEY in script:
        raise Refused(400, "leak", "the account's key came with the machine's setup")
