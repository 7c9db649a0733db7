#!/usr/bin/env python3
"""The same deterministic request is answered once: kept answers and shared calls, against an engine that counts what reaches it and against a real one.
Prints TAP."""
import contextlib
import http.client
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter
from synthetic import Synthetic

DEADLINE_S = 120


def ask(text, **more):
    return {"model": "smollm2", "messages": [{"role": "user", "content": text}], "temperature": 0, **more}


def until(true, what):
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


class Stream:
    """A chat request whose reply is read piece by piece."""

    def __init__(self, server, body, key="own", **headers):
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
        self.http.request("POST", "/v1/chat/completions", json.dumps(body, separators=(",", ":")),
                          {"Authorization": "Bearer " + (server.key if key == "own" else key), "Content-Type": "application/json", **headers})
        self.got, self.reply = b"", None

    def open(self):
        self.reply = self.http.getresponse()
        assert self.reply.status == 200, self.reply.read()
        return self

    def cache(self):
        return self.reply.getheader("x-freehold-cache")

    def read_event(self):
        while not self.got.endswith(b"\n\n"):
            piece = self.reply.read1(65536)
            assert piece, self.got
            self.got += piece
        return self.got

    def read_all(self):
        self.got += self.reply.read()
        self.http.close()
        return self.got

    def leave(self):
        self.reply.close()
        self.http.close()


def post(server, body, **more):
    status, headers, text = server.request("POST", "/v1/chat/completions", body, **more)
    assert status == 200, text
    return headers["x-freehold-cache"], text


@contextlib.contextmanager
def calls(server, count):
    """So many requests reach the engine within."""
    before = len(server.reached())
    yield
    assert len(server.reached()) - before == count, server.reached()[before:]


def kept(s, tap):
    def plain():
        with calls(s, 1):
            first, second = post(s, ask("plain")), post(s, ask("plain"))
        assert (first[0], second[0]) == ("miss", "hit") and first[1] == second[1], (first, second)

    def stream():
        with calls(s, 1):
            one = Stream(s, ask("stream", stream=True)).open()
            text = one.read_all()
            two = Stream(s, ask("stream", stream=True)).open()
            assert two.read_all() == text and text.endswith(b"data: [DONE]\n\n")
        assert (one.cache(), two.cache()) == ("miss", "hit")

    def labels():
        with calls(s, 1):
            post(s, ask("labels", user="one", metadata={"a": "b"}))
            assert post(s, ask("labels", user="two"))[0] == "hit"

    def drawn():
        with calls(s, 2):
            for _ in range(2):
                assert post(s, ask("drawn", temperature=0.7))[0] == "off"

    def seeded():
        with calls(s, 2):
            states = [post(s, ask("seeded", temperature=1, seed=seed))[0] for seed in (1, 1, 2)]
        assert states == ["miss", "hit", "miss"], states

    def never():
        for headers in ({"Cache-Control": "no-store"}, {"cache-control": "max-age=60, NO-STORE"}, {"x-freehold-cache": "off"}):
            with calls(s, 2):
                for _ in range(2):
                    assert post(s, ask(f"never {headers}"), headers=headers)[0] == "off"
                before = len(s.reached())
            post(s, ask(f"never {headers}"))
            assert len(s.reached()) == before + 1, "an answer that was not to be stored was kept"

    def fresh():
        with calls(s, 2):
            assert [post(s, ask("fresh"), headers=h)[0] for h in (None, {"Cache-Control": "no-cache"}, None)] == ["miss", "miss", "hit"]

    def wrong_wish():
        status, _, text = s.request("POST", "/v1/chat/completions", ask("x"), headers={"x-freehold-cache": "on"})
        assert status == 400 and json.loads(text)["error"]["param"] == "x-freehold-cache", text

    def other_key():
        key = s.json("POST", "/api/v1/keys", {"name": "other", "scope": "use"})["key"]
        with calls(s, 2):
            assert [post(s, ask("whose"), key=k)[0] for k in ("own", key, "own", key)] == ["miss", "miss", "hit", "hit"]

    def revoked():
        made = s.json("POST", "/api/v1/keys", {"name": "gone", "scope": "use"})
        before = s.metric("freehold_gateway_cache_answers")
        post(s, ask("revoked"), key=made["key"])
        assert s.metric("freehold_gateway_cache_answers") == before + 1
        s.json("DELETE", f"/api/v1/keys/{made['id']}")
        assert s.metric("freehold_gateway_cache_answers") == before

    def other_apis():
        message = {"model": "smollm2", "max_tokens": 9, "temperature": 0, "messages": [{"role": "user", "content": "apis"}]}
        response = {"model": "smollm2", "temperature": 0, "input": "apis"}
        for path, body, count, states in (("/v1/messages", message, 1, ["miss", "hit"]), ("/v1/responses", {**response, "store": False}, 1, ["miss", "hit"]),
                                          ("/v1/responses", response, 2, ["off", "off"])):
            with calls(s, count):
                replies = [s.request("POST", path, body) for _ in range(2)]
            assert [r[1]["x-freehold-cache"] for r in replies] == states, (path, replies)
            assert count == 2 or replies[0][2] == replies[1][2]

    def counted():
        names = [f'freehold_gateway_cache_requests_total{{result="{r}"}}' for r in ("hit", "miss")] + ["freehold_gateway_completion_tokens_total"]
        before = [s.metric(n) for n in names]
        for _ in range(3):
            post(s, ask("counted"))
        assert [s.metric(n) - b for n, b in zip(names, before)] == [2, 1, 10]

    def bounded():
        """Ten thousand answers that differ, of about 700 bytes each with what is written down of them, stay below the bound and are all kept; the server's
        bounds are tried in tests/unit/gateway/test_cache.c."""
        connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=DEADLINE_S)
        head = {"Authorization": "Bearer " + s.key, "Content-Type": "application/json"}
        for n in range(10000):
            connection.request("POST", "/v1/chat/completions", json.dumps(ask(f"bound {n}")), head)
            reply = connection.getresponse()
            assert reply.status == 200 and reply.getheader("x-freehold-cache") == "miss"
            reply.read()
        connection.close()
        size, count = s.metric("freehold_gateway_cache_bytes"), s.metric("freehold_gateway_cache_answers")
        assert 10000 <= count <= 65536 and size <= 64 << 20, (size, count)
        return f"{count:.0f} answers, {size / (1 << 20):.1f} MiB"

    tap.check("the same plain request is answered once, with the same bytes", plain)
    tap.check("so is the same stream", stream)
    tap.check("labels make no other request of it", labels)
    tap.check("what is drawn at random is never kept", drawn)
    tap.check("a seed makes it deterministic", seeded)
    tap.check("no-store, and x-freehold-cache: off, keep and look up nothing", never)
    tap.check("no-cache makes a new answer, which is kept", fresh)
    tap.check("any other wish is refused by name", wrong_wish)
    tap.check("another key has its own answers", other_key)
    tap.check("a revoked key's answers are gone", revoked)
    tap.check("messages and unstored responses are answered once too; stored ones are each their own", other_apis)
    tap.check("hits are counted as hits, and their tokens once", counted)
    tap.check("ten thousand different requests stay within the bounds", bounded)


def shared(s, tap):
    body = ask("shared", stream=True, user="hold", max_tokens=50)

    def late():
        with calls(s, 1):
            one = Stream(s, body).open()
            begun = one.read_event()
            two = Stream(s, body).open()
            assert (one.cache(), two.cache()) == ("miss", "hit")
            assert two.read_event() == begun
            s.release()
            assert one.read_all() == two.read_all()
        assert one.got.count(b" fox") == 50 and one.got.endswith(b"data: [DONE]\n\n")

    def leader_leaves():
        one = Stream(s, {**body, "seed": 1}).open()
        one.read_event()
        two = Stream(s, {**body, "seed": 1}).open()
        two.read_event()
        with calls(s, 0):
            one.leave()
            three = Stream(s, {**body, "seed": 1}).open()
            three.read_event()
            assert s.held() == 1
            s.release()
            assert two.read_all() == three.read_all() and two.got.count(b" fox") == 50
            assert Stream(s, {**body, "seed": 1}).open().read_all() == two.got

    def all_leave():
        streams = [Stream(s, {**body, "seed": 2}).open() for _ in range(3)]
        for one in streams:
            one.read_event()
        assert s.held() == 1
        for one in streams:
            one.leave()
        until(lambda: s.held() == 0, "the engine is told that nobody listens any more")
        until(lambda: s.metric("freehold_gateway_flights") == 0, "the call is gone")
        with calls(s, 1):
            again = Stream(s, {**body, "seed": 2}).open()
            again.read_event()
            s.release()
            assert again.cache() == "miss" and again.read_all().count(b" fox") == 50

    def many():
        """Over all lanes: each connection is the kernel's to give to a thread."""
        with calls(s, 1):
            first = Stream(s, {**body, "seed": 3}).open()
            first.read_event()
            others = [Stream(s, {**body, "seed": 3}).open() for _ in range(60)]
            readers = [threading.Thread(target=o.read_all) for o in others]
            for r in readers:
                r.start()
            s.release()
            first.read_all()
            for r in readers:
                r.join(DEADLINE_S)
        assert {o.got for o in others} == {first.got} and {o.cache() for o in others} == {"hit"}

    def slow_reader():
        """One that reads nothing is beside one that reads: that one gets all, at once."""
        large = {**body, "seed": 4, "max_tokens": 20000}
        slow = Stream(s, large).open()
        slow.read_event()
        fast = Stream(s, large).open()
        fast.read_event()
        with calls(s, 0):
            s.release()
            assert fast.read_all().count(b" fox") == 20000
            assert slow.read_all() == fast.got

    def too_slow():
        """An answer beyond what may be kept: 120,000 events of 180 bytes. What stands in sockets is behind nobody."""
        large = {**body, "seed": 5, "max_tokens": 120000}
        slow = Stream(s, large).open()
        slow.read_event()
        fast = Stream(s, large).open()
        fast.read_event()
        s.release()
        assert fast.read_all().count(b" fox") == 120000
        last = slow.read_all().rstrip().rsplit(b"\n\n", 1)[1]
        assert b"read too slowly" in last and b"[DONE]" not in slow.got, last
        for event in slow.got.strip().split(b"\n\n"):
            json.loads(event.removeprefix(b"data: "))
        assert s.metric("freehold_gateway_cut_loose_total") == 1
        assert Stream(s, {**body, "seed": 6}).open().read_event()
        s.release()

    def alone_and_slow():
        """Nobody beside it: the engine waits for it, as it does where nothing is shared."""
        one = Stream(s, {**body, "seed": 7, "max_tokens": 120000}).open()
        one.read_event()
        s.release()
        while piece := one.reply.read1(1 << 20):
            one.got += piece
            assert s.metric("freehold_gateway_flight_bytes") < 5 << 20
        assert one.got.count(b" fox") == 120000 and one.got.endswith(b"data: [DONE]\n\n")

    def fresh_beside():
        one = Stream(s, {**body, "seed": 8}).open()
        one.read_event()
        with calls(s, 1):
            two = Stream(s, {**body, "seed": 8}, **{"Cache-Control": "no-cache"}).open()
            two.read_event()
            assert s.held() == 2 and two.cache() == "miss"
            s.release()
            one.read_all(), two.read_all()

    tap.check("who comes late gets what was sent, then follows", late)
    tap.check("the first client's leaving ends nothing for those who follow", leader_leaves)
    tap.check("the last client's leaving cancels the call", all_leave)
    tap.check("sixty clients on all threads share one call", many)
    tap.check("one that does not read holds nobody up, and gets all", slow_reader)
    tap.check("one that falls behind by more than an answer may have is told so", too_slow)
    tap.check("a large answer waits for its only reader", alone_and_slow)
    tap.check("no-cache does not join what began before", fresh_beside)


def settings(tap):
    def off():
        with Synthetic("--cache", "off") as s, calls(s, 2):
            assert [post(s, ask("x"))[0] for _ in range(2)] == ["off", "off"]

    def among_keys():
        with Synthetic("--cache", "shared") as s, calls(s, 1):
            key = s.json("POST", "/api/v1/keys", {"name": "other", "scope": "use"})["key"]
            assert [post(s, ask("x"), key=k)[0] for k in ("own", key)] == ["miss", "hit"]

    tap.check("--cache off: nothing is kept or shared", off)
    tap.check("--cache shared: keys share their answers", among_keys)


def real(tap):
    with Server() as s:
        first = s.deploy()

        def once():
            replies = [s.request("POST", "/v1/chat/completions", ask("Name a colour.", max_tokens=12)) for _ in range(2)]
            assert [r[1]["x-freehold-cache"] for r in replies] == ["miss", "hit"] and replies[0][2] == replies[1][2], replies

        def stream():
            """A stream of the engine, joined while it runs, is what the engine says alone."""
            body = ask("Count from one to twenty.", stream=True, max_tokens=60)
            one = Stream(s, body).open()
            one.read_event()
            two = Stream(s, body).open()
            assert two.cache() == "hit" and one.read_all() == two.read_all()
            alone = Stream(s, body, **{"x-freehold-cache": "off"}).open()
            texts = ["".join(json.loads(e.removeprefix("data: "))["choices"][0]["delta"].get("content") or "" for e in x.strip().split("\n\n")[:-1])
                     for x in (one.got.decode(), alone.read_all().decode())]
            assert texts[0] == texts[1] and len(texts[0]) > 20, texts

        def replaced():
            """Another window is another answerer; the same weights with the same window are the same one."""
            body = {**ask("Name a colour.", max_tokens=12), "model": "deployment/" + first["name"]}
            states = [post(s, body)[0]]
            for context in (first["context_tok"] // 2, first["context_tok"]):
                s.json("DELETE", f"/api/v1/deployments/{first['name']}")
                until(lambda: not [d for d in s.deployments() if d["name"] == first["name"] and d["state"] != "stopped"], "it stops")
                s.json("POST", "/api/v1/deployments", {"model": "smollm2", "name": first["name"], "context_tok": context})
                s.wait_ready(first["name"])
                states.append(post(s, body)[0])
            assert states == ["miss", "miss", "hit"], states

        tap.check("a real engine is asked once", once)
        tap.check("a real stream is joined in its middle", stream)
        tap.check("what replaced a model under the same name does not give its answers", replaced)


def main():
    need_starter()
    tap = Tap()
    with Synthetic("--threads", "4") as s:
        kept(s, tap)
        shared(s, tap)
    settings(tap)
    real(tap)
    tap.end()


if __name__ == "__main__":
    main()
