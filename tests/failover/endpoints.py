#!/usr/bin/env python3
"""Streams outlive endpoints that only take text: 64 streams at a time run over three of them, one of which is killed every two seconds. What each stream says is known to
the last character, so that one lost or doubled at a seam is seen: the tales repeat themselves, end lines in blanks, and hold characters of several bytes. Prints TAP.

endpoints.py [--seconds N] [--every N] [--streams N]
endpoints.py --endpoint PORT [--strip]     one endpoint; --strip: like a template that cuts the blanks off the last message, and says them again"""
import argparse
import asyncio
import contextlib
import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, free_port

WORDS = ["ha", "ha", "ha", "the", "lighthouse", "a  b", "Ærø", "東京", "🙂", "👩‍🚀", "\"quoted\"", "\\n", "<b>", "\t", "\n", "\n\n", "  \n", "data: [DONE]", "…", "0", "00"]
PIECE_S, TALES = 0.03, 10000


def tale(number):
    draw = random.Random(f"tale {number}")
    return " ".join(draw.choice(WORDS) for _ in range(draw.randrange(30, 150))) + "."


def pieces(text, draw):
    while text:
        cut = draw.randrange(1, 12)
        yield text[:cut]
        text = text[cut:]


async def answer(body, writer, strip):
    first, last = body["messages"][0], body["messages"][-1]
    text = tale(first["content"].split()[-1])
    said = last["content"] if last["role"] == "assistant" else ""
    if not text.startswith(said):
        print(f"asked to go on from what was never said: {said!r} of {text!r}", file=sys.stderr, flush=True)
    if strip:
        said = said.rstrip(" \n\t")

    def event(data):
        piece = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def chunk(delta, finish=None):
        event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tale", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk({"role": "assistant", "content": ""})
    for piece in pieces(text[len(said):], random.Random()):
        await asyncio.sleep(PIECE_S)
        chunk({"content": piece})
        await writer.drain()
    chunk({}, "stop")
    event("[DONE]")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def connection(reader, writer, strip):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            if lines[0].startswith("post"):
                await answer(json.loads(body), writer, strip)
            else:
                models = json.dumps({"object": "list", "data": [{"id": "tale", "object": "model", "created": 1, "owned_by": "tests"}]})
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(models)}\r\n\r\n{models}".encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def endpoint(port, strip):
    server = await asyncio.start_server(lambda r, w: connection(r, w, strip), "127.0.0.1", port, reuse_address=True)
    await server.serve_forever()


class Endpoint:
    def __init__(self, strip):
        self.port, self.strip, self.process = free_port(), strip, None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, "--endpoint", str(self.port), *(["--strip"] if self.strip else [])])

    def wait(self):
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None and time.monotonic() < until, f"no endpoint at port {self.port}"
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Killer(threading.Thread):
    def __init__(self, endpoints, every):
        super().__init__(daemon=True)
        self.endpoints, self.every, self.kills, self.stop = endpoints, every, 0, threading.Event()

    def run(self):
        while not self.stop.wait(self.every):
            one = random.choice(self.endpoints)
            one.kill()
            self.kills += 1
            one.start()


def stream(server, number):
    """The text and how it ended."""
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    said = []
    try:
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "tale", "stream": True, "messages": [{"role": "user", "content": f"tale {number}"}]}),
                  {"Authorization": "Bearer " + server.key, "Content-Type": "application/json", "x-freehold-cache": "off"})
        reply = c.getresponse()
        if reply.status != 200:
            return "", f"{reply.status} {reply.read()[:300]!r}"
        for line in reply:
            if line.strip() == b"data: [DONE]":
                return "".join(said), "done"
            if line.startswith(b"data: "):
                chunk = json.loads(line[6:])
                if chunk.get("error"):
                    return "".join(said), f"error: {chunk['error']['message']}"
                said += [choice["delta"].get("content") or "" for choice in chunk["choices"]]
        return "".join(said), "it ended without [DONE]"
    except Exception as e:  # what the client sees when a stream is cut
        return "".join(said), f"{type(e).__name__}: {e}"
    finally:
        c.close()


def difference(got, want):
    at = next((i for i in range(min(len(got), len(want))) if got[i] != want[i]), min(len(got), len(want)))
    return f"at {at} of {len(want)}: {got[max(0, at - 20):at + 20]!r} for {want[max(0, at - 20):at + 20]!r}"


def run_streams(server, seconds, streams):
    """Of all streams that were begun within the time: those that were lost, those that differ, and how many there were."""
    lost, wrong, counts, until = [], [], [0] * streams, time.monotonic() + seconds

    def worker(which):
        draw = random.Random(which)
        while time.monotonic() < until:
            number = draw.randrange(TALES)
            text, end = stream(server, number)
            counts[which] += 1
            if end != "done":
                lost.append(end)
            elif text != tale(number):
                wrong.append(difference(text, tale(number)))
    threads = [threading.Thread(target=worker, args=(i,)) for i in range(streams)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return lost, wrong, sum(counts)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=float, default=15)
    args.add_argument("--every", type=float, default=2)
    args.add_argument("--streams", type=int, default=64)
    args.add_argument("--endpoint", type=int)
    args.add_argument("--strip", action="store_true")
    a = args.parse_args()
    if a.endpoint:
        asyncio.run(endpoint(a.endpoint, a.strip))
        return
    tap, endpoints = Tap(), [Endpoint(strip) for strip in (False, True, False)]
    try:
        with Server() as server:
            for i, one in enumerate(endpoints):
                one.wait()
                added = server.cli("provider", "add", f"place-{i}", "--url", f"http://127.0.0.1:{one.port}")
                assert added.returncode == 0, added
            killer = Killer(endpoints, a.every)
            killer.start()
            lost, wrong, count = run_streams(server, a.seconds, a.streams)
            killer.stop.set()
            killer.join()
            resumed = server.metric("freehold_gateway_streams_resumed_total")
            print(f"# {count} streams, {killer.kills} endpoints killed, {resumed:.0f} streams moved, {len(lost)} lost, {len(wrong)} wrong")

            def moved():
                assert killer.kills > 0 and resumed > 0, (killer.kills, resumed)

            def none_lost():
                assert not lost, lost[:20]

            def none_wrong():
                assert not wrong, wrong[:20]
            tap.check("endpoints died under streams, and streams were moved", moved)
            tap.check("no stream was lost", none_lost)
            tap.check("no character was lost or doubled at a seam", none_wrong)
    finally:
        for one in endpoints:
            one.kill()
    tap.end()


main()
