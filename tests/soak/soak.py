#!/usr/bin/env python3
"""A long mix of requests against one server: plain, streamed, left in the middle, wrong, too large. Every answer must be the right one, and neither server nor
engine may grow. Prints TAP.

soak.py [--seconds N]    default: FREEHOLD_SOAK_SECONDS, else 300"""
import argparse
import http.client
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter

CLIENTS = 6
ASK = "Write a few words about {}."
THINGS = ["tides", "bread", "maps", "clocks", "rain", "copper", "doors", "moss"]


def resident_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Client(threading.Thread):
    def __init__(self, server, seed, until):
        super().__init__(daemon=True)
        self.server, self.chance, self.until = server, random.Random(seed), until
        self.done, self.wrong = 0, []

    def run(self):
        while time.monotonic() < self.until and not self.wrong:
            kind = self.chance.choice([self.plain, self.plain, self.streamed, self.streamed, self.leaves, self.bad, self.unknown])
            try:
                kind()
                self.done += 1
            except Exception as e:
                self.wrong.append(f"{kind.__name__}: {type(e).__name__}: {e}")

    def body(self, **more):
        text = ASK.format(self.chance.choice(THINGS))
        return {"model": "smollm2", "messages": [{"role": "user", "content": text}], "max_tokens": self.chance.randint(1, 40), **more}

    def post(self, body):
        while True:
            status, head, text = self.server.request("POST", "/v1/chat/completions", body, timeout=120)
            if status != 429:
                return status, text
            time.sleep(float(head["retry-after"]))

    def plain(self):
        status, text = self.post(self.body())
        assert status == 200, (status, text[:200])
        reply = json.loads(text)
        assert reply["usage"]["completion_tokens"] > 0 and reply["choices"][0]["finish_reason"] in ("stop", "length"), reply

    def streamed(self):
        status, text = self.post(self.body(stream=True))
        assert status == 200 and text.rstrip().endswith(b"data: [DONE]"), (status, text[-200:])

    def leaves(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        c.request("POST", "/v1/chat/completions", json.dumps(self.body(stream=True, max_tokens=2000)),
                  {"Content-Type": "application/json", "Authorization": "Bearer " + self.server.key})
        reply = c.getresponse()
        if reply.status == 200:
            reply.read(self.chance.randint(1, 600))
        c.close()

    def bad(self):
        status, text = self.post(self.body(temperature=99))
        assert status == 400 and json.loads(text)["error"]["param"] == "temperature", (status, text[:200])

    def unknown(self):
        status, text = self.post({**self.body(), "model": "no-such-model"})
        assert status == 404, (status, text[:200])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=float, default=float(os.environ.get("FREEHOLD_SOAK_SECONDS", 300)))
    seconds = args.parse_args().seconds
    need_starter()
    tap = Tap()
    with Server() as server:
        deployed = server.deploy()

        def soak():
            engine = deployed["pid"]
            begun, early = time.monotonic(), None
            clients = [Client(server, n, begun + seconds) for n in range(CLIENTS)]
            for c in clients:
                c.start()
            while any(c.is_alive() for c in clients):
                time.sleep(0.5)
                if early is None and time.monotonic() - begun > seconds / 4:
                    early = resident_kb(server.process.pid), resident_kb(engine)
            wrong = [w for c in clients for w in c.wrong]
            assert not wrong, wrong[:5]
            late = resident_kb(server.process.pid), resident_kb(engine)
            assert late[0] < early[0] + 8192 and late[1] < early[1] + 65536, f"resident kB of server and engine after a quarter: {early}, at the end: {late}"
            return f"{sum(c.done for c in clients)} requests in {seconds:.0f} s; resident kB of server and engine: {early} then {late}"

        tap.check("a long mix of requests is answered rightly and nothing grows", soak)
    tap.end()


main()
