#!/usr/bin/env python3
"""What requests used: told in headers and in a stream's last event, kept and found again, by whom tokens were counted, also where an endpoint says something else, or nothing,
or its client leaves. Prints TAP."""
import http.client
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, PROGRAM, STARTER, Server, Tap, need_starter

ASK = [{"role": "user", "content": "What is a lighthouse for? Tell me about its keeper, too."}]
WORDS = ["A lighthouse", " warns", " ships", " of rocks", ", day", " and night", ". Its keeper", " tends", " the lamp", "."]
ANSWER = "".join(WORDS)


def until(what, fn, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = fn()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def events(body):
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ") and line != "data: [DONE]"]


def tokens(text):
    """As our own tokenizer counts them."""
    done = subprocess.run([PROGRAM, "tokenize", "--model", STARTER, "--json"], input=text, capture_output=True, text=True, check=True)
    return len(json.loads(done.stdout)["tokens"])


def byte_characters():
    """How byte-level BPE writes the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b if b in plain else 256 + [n for n in range(256) if n not in plain].index(b)) for b in range(256)]


def bytes_tokenizer():
    """A tokenizer.json that has a token for each byte, and no others."""
    return json.dumps({"normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "post_processor": None, "added_tokens": [],
                       "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(byte_characters())}, "merges": []}})


class Endpoint:
    """Speaks OpenAI's API; what a model says of its tokens depends on its name."""
    USAGE = {"honest": lambda prompt, answer: (prompt, answer), "liar": lambda prompt, answer: (prompt * 10, answer * 3 + 100), "silent": None, "endless": None}

    def __init__(self):
        self.prompt, self.answer = 40, tokens(ANSWER)
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, body, kind="application/json"):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.reply(json.dumps({"data": [{"id": m} for m in endpoint.USAGE]}).encode())

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                says = endpoint.USAGE[asked["model"]]
                usage = None
                if says:
                    prompt, answer = says(endpoint.prompt, endpoint.answer)
                    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
                if asked.get("stream"):
                    self.stream(asked["model"], usage)
                else:
                    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": asked["model"],
                             "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}]}
                    self.reply(json.dumps({**whole, "usage": usage} if usage else whole).encode())

            def chunk(self, **members):
                data = f"data: {json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', **members})}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def stream(self, model, usage):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for word in WORDS:
                        self.chunk(choices=[{"index": 0, "delta": {"content": word}, "finish_reason": None}])
                    while model == "endless":
                        time.sleep(0.02)
                        self.chunk(choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": None}])
                    self.chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
                    if usage:
                        self.chunk(choices=[], usage=usage)
                    self.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
                except OSError:
                    pass  # who asked has left

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Case:
    def __init__(self, server, endpoint):
        self.server, self.endpoint = server, endpoint

    def ask(self, path="/v1/chat/completions", key="own", **body):
        status, headers, reply = self.server.request("POST", path, {"temperature": 0, **body}, key=key, headers={"x-freehold-trust": "named"})
        assert status == 200, (status, reply)
        return {k.lower(): v for k, v in headers.items()}, reply

    def chat(self, model="smollm2", **body):
        return self.ask(model=model, messages=ASK, **body)

    def stream(self, model="smollm2", **body):
        headers, reply = self.chat(model, stream=True, stream_options={"include_usage": True}, **body)
        chunks = events(reply)
        return headers, chunks, "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])

    def record(self, request, key="own"):
        """It is there a moment behind the reply."""
        def look():
            status, _, body = self.server.request("GET", f"/api/v1/usage/{request}", key=key)
            assert status in (200, 404), (status, body)
            return json.loads(body) if status == 200 else None
        return until(f"the record of {request}", look)

    # ---- our own engine ----

    def a_plain_reply_says_what_it_cost(self):
        headers, reply = self.chat(max_tokens=6)
        usage, record = json.loads(reply)["usage"], self.record(headers["x-request-id"])
        assert headers["x-freehold-cost"] == "0.00" and headers["x-freehold-currency"] == "USD" and headers["x-freehold-basis"] == "modelled", headers
        assert int(headers["x-freehold-energy-uj"]) == record["energy_uj"] > 0, (headers, record)
        assert (record["prompt_tokens"], record["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"]), (record, usage)
        assert record["counted"] == "freehold" and record["covers"] == "prompt" and record["model"] == "smollm2-135m" and record["place"] == "here", record
        assert record["finish_reason"] == "length" and record["complete"] and record["failovers"] == [] and record["error"] is None, record
        assert record["reason"] == headers["x-freehold-reason"] and record["cost"] == "0.00" and record["water_ul"] is None, record

    def a_stream_says_it_in_its_last_usage_event(self):
        headers, chunks, _ = self.stream(max_tokens=6, seed=3)
        told, record = chunks[-1]["freehold"], self.record(headers["x-request-id"])
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == told["completion_tokens"] == 6, chunks[-1]
        assert told == {name: record[name] for name in told}, (told, record)
        assert not any("freehold" in c for c in chunks[:-1]), chunks

    def a_stream_that_did_not_ask_is_as_it_was(self):
        _, reply = self.chat(max_tokens=6, stream=True)
        assert b'"freehold":' not in reply, reply

    def anthropics_and_responses_streams_say_it_too(self):
        headers, reply = self.ask("/v1/messages", model="smollm2", messages=ASK, max_tokens=5, stream=True)
        told = [e for e in events(reply) if e["type"] == "message_delta"][-1]
        assert told["freehold"]["completion_tokens"] == told["usage"]["output_tokens"] == 5 and told["freehold"]["request"] == headers["x-request-id"], told
        headers, reply = self.ask("/v1/responses", model="smollm2", input="Say hi.", max_output_tokens=5, stream=True)
        told = [e for e in events(reply) if e["type"] in ("response.completed", "response.incomplete")][-1]
        assert told["freehold"]["completion_tokens"] == told["response"]["usage"]["output_tokens"] == 5, told

    def a_hit_is_recorded_as_one(self):
        seen = []
        for _ in range(2):
            headers, chunks, _ = self.stream(max_tokens=7, seed=11)
            seen.append((headers["x-freehold-cache"], chunks[-1]["freehold"], self.record(headers["x-request-id"])))
        (first, told_first, record_first), (second, told_second, record_second) = seen
        assert (first, second) == ("miss", "hit") and record_first["cache"] == "miss" and record_second["cache"] == told_second["cache"] == "hit", seen
        assert record_first["completion_tokens"] == record_second["completion_tokens"] == 7 and record_second["energy_uj"] == 0 < record_first["energy_uj"], seen
        assert told_first["request"] != told_second["request"], seen

    # ---- who sees it ----

    def another_key_does_not_see_it(self):
        made = json.loads(self.server.request("POST", "/api/v1/keys", {"name": "other", "scope": "chat"})[2])
        other = made["key"]
        mine, _ = self.chat(max_tokens=2)
        self.record(mine["x-request-id"])
        assert self.server.request("GET", f"/api/v1/usage/{mine['x-request-id']}", key=other)[0] == 404
        theirs, _ = self.ask(key=other, model="smollm2", messages=ASK, max_tokens=2)
        assert self.record(theirs["x-request-id"], key=other)["completion_tokens"] == 2
        page = json.loads(self.server.request("GET", "/api/v1/usage", key=other)[2])
        assert [u["request"] for u in page["items"]] == [theirs["x-request-id"]], page
        page = json.loads(self.server.request("GET", f"/api/v1/usage?key={made['id']}")[2])
        assert [u["request"] for u in page["items"]] == [theirs["x-request-id"]], page
        assert self.server.request("GET", "/api/v1/usage", key=None)[0] == 401

    def pages_hold_each_once(self):
        def pages(size):
            cursor, found = "", []
            while cursor is not None:
                page = json.loads(self.server.request("GET", f"/api/v1/usage?limit={size}" + (f"&cursor={cursor}" if cursor else ""))[2])
                found, cursor = found + [u["request"] for u in page["items"]], page["next"]
            return found
        whole = pages(500)
        assert len(whole) == len(set(whole)) > 5 and pages(2) == whole, whole
        assert self.server.request("GET", "/api/v1/usage?limit=501")[0] == 400 and self.server.request("GET", "/api/v1/usage?limit=x")[0] == 400

    def a_request_that_is_not_known_is_not_found(self):
        status, _, body = self.server.request("GET", "/api/v1/usage/req_nothing")
        assert status == 404 and "x-request-id" in json.loads(body)["detail"] + json.dumps(json.loads(body)), body

    def the_command_line_shows_it(self):
        headers, _ = self.chat(max_tokens=3)
        self.record(headers["x-request-id"])
        shown = self.server.cli("usage", "show", headers["x-request-id"], "--json")
        assert shown.returncode == 0 and json.loads(shown.stdout)["completion_tokens"] == 3, shown
        listed = self.server.cli("usage", "list")
        assert listed.returncode == 0 and headers["x-request-id"] in listed.stdout and all(len(line) <= 100 for line in listed.stdout.splitlines()), listed
        missing = self.server.cli("usage", "show", "req_nothing")
        assert missing.returncode == 3, missing

    # ---- endpoints of others ----

    def what_an_endpoint_says_is_marked_as_that(self):
        headers, reply = self.chat("provider/plain/liar")
        record = self.record(headers["x-request-id"])
        assert record["counted"] == "upstream" and record["completion_tokens"] == json.loads(reply)["usage"]["completion_tokens"], record
        assert record["cost"] is None and "x-freehold-cost" not in headers and record["basis"] == headers["x-freehold-basis"] == "unknown", (headers, record)

    def what_nobody_counts_is_estimated(self):
        headers, _ = self.chat("provider/plain/silent")
        record = self.record(headers["x-request-id"])
        assert record["counted"] == "estimated" and record["covers"] == "text" and record["upstream_completion_tokens"] is None, record
        assert record["completion_tokens"] == (len(ANSWER) + 3) // 4 and record["prompt_tokens"] == (len(ASK[0]["content"]) + 3) // 4, record

    # ---- with the model's tokenizer ----

    def an_endpoint_is_added_with_its_tokenizers(self):
        folder = self.server.data / "import"
        shutil.copy(STARTER, folder / "model.gguf")
        (folder / "tokenizer.json").write_text(bytes_tokenizer())
        added = self.server.cli("provider", "add", "known", "--url", self.endpoint.url, "--tokenizer", str(folder / "model.gguf"), "--tokenizer", f"silent={folder / 'tokenizer.json'}", "--json")
        assert added.returncode == 0, added
        assert [(t["model"], t["loaded"]) for t in json.loads(added.stdout)["tokenizers"]] == [(None, True), ("silent", True)], added.stdout
        self.endpoint.prompt = self.record(self.chat(max_tokens=1)[0]["x-request-id"])["prompt_tokens"]

    def bad_tokenizers_are_refused_and_named(self):
        (self.server.data / "import/wrong.json").write_text('{"model":{"type":"Unigram"}}')
        wrong = self.server.cli("provider", "add", "wrong", "--url", self.endpoint.url, "--tokenizer", str(self.server.data / "import/wrong.json"))
        assert wrong.returncode != 0 and "Unigram" in wrong.stderr + wrong.stdout, wrong
        outside = self.server.cli("provider", "add", "wrong", "--url", self.endpoint.url, "--tokenizer", str(STARTER))
        assert outside.returncode == 4 and "import" in outside.stderr, outside
        for bad, param in ([{"file": 3}], "tokenizers[0].file"), ([{"file": "/x", "model": 1}], "tokenizers[0].model"), ([{"file": "/x", "path": "y"}], "tokenizers[0]"), ("x", "tokenizers"):
            status, _, body = self.server.request("POST", "/api/v1/providers", {"name": "wrong", "url": self.endpoint.url, "tokenizers": bad})
            assert status == 400 and json.loads(body)["param"] == param, (status, body)
        assert {p["name"] for p in self.server.json("GET", "/api/v1/providers")["items"]} == {"plain", "known"}

    def what_an_endpoint_says_is_not_believed(self):
        before = self.metric("freehold_gateway_count_differences_total")
        for record, usage in self.both_ways("provider/known/liar"):
            assert record["counted"] == "freehold" and record["covers"] == "prompt" and record["differs"], record
            assert record["prompt_tokens"] == self.endpoint.prompt and record["completion_tokens"] == self.endpoint.answer, (record, self.endpoint.prompt, self.endpoint.answer)
            assert record["upstream_prompt_tokens"] == usage["prompt_tokens"] == 10 * self.endpoint.prompt, (record, usage)
        assert self.metric("freehold_gateway_count_differences_total") == before + 2

    def an_honest_one_agrees(self):
        for record, _ in self.both_ways("provider/known/honest"):
            assert record["counted"] == "freehold" and not record["differs"] and record["upstream_completion_tokens"] == record["completion_tokens"], record

    def one_that_says_nothing_is_counted_by_its_own_file(self):
        for record, _ in self.both_ways("provider/known/silent"):
            assert record["counted"] == "freehold" and record["covers"] == "text" and record["upstream_prompt_tokens"] is None, record
            assert record["completion_tokens"] == len(ANSWER) and record["prompt_tokens"] == len(ASK[0]["content"]), record

    def other_clients_are_counted_too(self):
        headers, reply = self.ask("/v1/messages", model="provider/known/liar", messages=ASK, max_tokens=50, stream=True)
        told = [e for e in events(reply) if e["type"] == "message_delta"][-1]["freehold"]
        assert (told["counted"], told["completion_tokens"]) == ("freehold", self.endpoint.answer), told
        assert events(reply)[-1]["type"] == "message_stop" and self.record(headers["x-request-id"])["completion_tokens"] == self.endpoint.answer, reply
        headers, reply = self.ask("/v1/responses", model="provider/known/liar", input=ASK[0]["content"], max_output_tokens=50, stream=True, store=False)
        assert events(reply)[-1]["type"] == "response.completed" and events(reply)[-1]["freehold"]["completion_tokens"] == self.endpoint.answer, reply

    def a_client_that_leaves_is_charged_what_it_had(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "provider/known/endless", "messages": ASK, "stream": True}),
                  {"Authorization": f"Bearer {self.server.key}", "Content-Type": "application/json", "x-freehold-trust": "named"})
        reply = c.getresponse()
        had = b""
        while WORDS[-1].encode() + b'"' not in had:
            had += reply.readline()
        reply.close()
        c.close()
        record = self.record(reply.headers["x-request-id"])
        assert record["counted"] == "freehold" and not record["complete"] and record["error"] == "cancelled" and record["upstream_prompt_tokens"] is None, record
        assert record["completion_tokens"] == self.endpoint.answer and record["prompt_tokens"] == self.endpoint.prompt, record

    def limits_are_of_our_count(self):
        made = json.loads(self.server.request("POST", "/api/v1/keys", {"name": "limited", "tokens_per_minute": 100000})[2])
        for _ in range(2):
            headers, _ = self.chat("provider/known/liar", key=made["key"], max_tokens=100)
        used = 100000 - int(headers["x-ratelimit-remaining-tokens"])
        # the first as counted, the second as expected, a minute's refill meanwhile
        assert used < self.endpoint.prompt + self.endpoint.answer + 300, (used, headers)

    def tokenizers_are_there_after_a_restart(self):
        self.server.stop()
        self.server.start()
        self.server.wait_ready("smollm2-135m")
        until("the tokenizers to be loaded", lambda: all(t["loaded"] for p in self.server.json("GET", "/api/v1/providers")["items"] for t in p["tokenizers"]))
        assert self.both_ways("provider/known/liar")[0][0]["counted"] == "freehold"
        assert self.server.cli("provider", "check", "known").returncode == 0
        assert self.both_ways("provider/known/liar")[0][0]["counted"] == "freehold"

    def both_ways(self, model):
        headers, reply = self.chat(model, max_tokens=100)
        plain = (self.record(headers["x-request-id"]), json.loads(reply).get("usage"))
        assert json.loads(reply)["choices"][0]["message"]["content"] == ANSWER
        headers, chunks, text = self.stream(model, max_tokens=100)
        assert text == ANSWER, text
        record, told = self.record(headers["x-request-id"]), [c for c in chunks if c.get("usage")]
        if told:
            assert told[-1]["freehold"] == {name: record[name] for name in told[-1]["freehold"]}, (told, record)
        return [plain, (record, told[-1]["usage"] if told else None)]

    def metric(self, name):
        text = self.server.request("GET", "/metrics")[2].decode()
        return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + "{", name + " ")))

    # ---- at the end ----

    def records_outlive_kill_9(self):
        headers, _ = self.chat(max_tokens=4)
        self.record(headers["x-request-id"])
        time.sleep(1)
        self.server.kill()
        self.server.start()
        assert self.record(headers["x-request-id"])["completion_tokens"] == 4


def main():
    need_starter()
    tap, endpoint = Tap(), Endpoint()
    with Server() as server:
        server.deploy()
        added = server.cli("provider", "add", "plain", "--url", endpoint.url)
        assert added.returncode == 0, added
        case = Case(server, endpoint)
        for name in [n for n in vars(Case) if n not in ("ask", "chat", "stream", "record", "both_ways", "metric") and not n.startswith("_")]:
            tap.check(name.replace("_", " "), getattr(case, name))
    tap.end()


if __name__ == "__main__":
    main()
