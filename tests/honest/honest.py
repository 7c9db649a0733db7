#!/usr/bin/env python3
"""Hosted endpoints that serve what they say, and those that do not: the weights of small-text in Q8_0 are here, and each endpoint says that it serves them. Each cheat must be found in
under 200 canaries, nobody honest accused. Makes its own model files, in a folder of its own. Prints TAP.

FREEHOLD_SMALL_TEXT: the folder of small-text-f16.gguf; without it, shared/data/small-text beside the repository."""
import contextlib
import http.client
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, STARTER, TOP, Server, Skip, Tap, free_port

F16 = Path(os.environ.get("FREEHOLD_SMALL_TEXT") or TOP.parent / "shared/data/small-text") / "small-text-f16.gguf"
NAME = "small-text"
MOST = 199  # canaries that a cheat may answer


# ---- model files ----

def rewrite(to, kind=None, layers=None, template=None):
    """small-text with its matrices in another type, with its first layers alone, or with a chat template. Named so that an engine gives it the name."""
    import gguf
    import numpy
    reader = gguf.GGUFReader(F16)
    to.mkdir()
    writer = gguf.GGUFWriter(to / f"{NAME}.gguf", "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        sub = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = layers if layers and field.name.endswith(".block_count") else field.contents()
        writer.add_key_value(field.name, value, field.types[0], sub_type=sub)
    if template:
        writer.add_chat_template(template)
    for t in reader.tensors:
        if layers and t.name.startswith("blk.") and int(t.name.split(".")[1]) >= layers:
            continue
        if kind and t.tensor_type == gguf.GGMLQuantizationType.F16:
            q = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(t.name, gguf.quants.quantize(t.data.astype(numpy.float32), q), raw_dtype=q)
        else:
            writer.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to / f"{NAME}.gguf"


# ---- endpoints ----

@contextlib.contextmanager
def process(command, port, **environment):
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


def engine(file, *flags, **environment):
    port = free_port()
    return process([PROGRAM, "engine", "--model", file, "--listen", f"127.0.0.1:{port}", "--threads", "1", "--context", "1024", *flags], port, **environment)


def llama_server(file):
    found = subprocess.run([TOP / "tests/tools/peers", "find", "llama.cpp"], capture_output=True, text=True)
    program = Path(dict(line.split("=", 1) for line in found.stdout.splitlines())["bin"]) / "llama-server" if found.returncode == 0 else None
    if not program or not program.is_file():
        raise Skip(found.stderr.strip() or "llama-server is not built")
    port = free_port()
    return process([program, "-m", file, "--alias", NAME, "--port", str(port), "-c", "2048", "-t", "1"], port)


class Middleman:
    """Stands before an honest endpoint. change(asked, reply) says what is answered; without: what came. Keeps the headers that it was asked with."""

    def __init__(self, url, change=None, instead=None):
        self.url, self.change, self.instead, self.asked = url, change, instead, []

    def forward(self, method, path, body):
        """What the endpoint behind answers; 502 while there is none."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.call(method, path, body)
        return 502, b"{}"

    def call(self, method, path, body):
        c = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=120)
        with contextlib.closing(c):
            c.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            reply = c.getresponse()
            return reply.status, reply.read()

    def answer(self, method, path, body):
        asked = json.loads(body) if body else None
        old = self.instead(asked) if asked and self.instead else None
        status, data = (200, json.dumps(old).encode()) if old else self.forward(method, path, body)
        if status == 200 and asked and self.change:
            data = json.dumps(self.change(asked, json.loads(data))).encode()
        return status, data

    @contextlib.contextmanager
    def serve(self):
        middleman = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                middleman.asked.append((self.path, self.headers.items(), body))
                status, data = middleman.answer(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "text/event-stream" if data.startswith(b"data:") else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def cache_of_prompts(url):
    """Gives an old answer when the very same prompt comes again, whatever its seed."""
    kept = {}

    def remember(asked, reply):
        kept[asked["prompt"]] = reply
        return reply
    return Middleman(url, remember, lambda asked: kept.get(asked["prompt"]))


def cache_of_shapes(url):
    """Gives an old answer to whatever is about as long: after a while it hardly computes anything."""
    kept = {}

    def shape(asked):
        return len(asked["prompt"]) // 100

    def remember(asked, reply):
        kept[shape(asked)] = reply
        return reply
    return Middleman(url, remember, lambda asked: kept.get(shape(asked)))


def inflated(url, factor):
    """Counts this much too high."""
    def change(_, reply):
        for name in ("prompt_tokens", "completion_tokens"):
            reply["usage"][name] = round(reply["usage"][name] * factor)
        return reply
    return Middleman(url, change)


def padded(url):
    """Says the tokens twice as many, and tells of tokens without a text so that it adds up."""
    def change(_, reply):
        told, n = reply["choices"][0]["logprobs"], reply["usage"]["completion_tokens"]
        more = min(n, 24 - n)
        told["tokens"] += [""] * more
        told["token_logprobs"] += [-0.1] * more
        told["top_logprobs"] += [{"": -0.1}] * more
        reply["usage"]["completion_tokens"] += more
        return reply
    return Middleman(url, change)


# ---- checks ----

def add(front, url, prices=()):
    front.cli("provider", "remove", "it")
    until = time.monotonic() + 120
    while (done := front.cli("provider", "add", "it", "--url", url, *prices)).returncode and time.monotonic() < until:
        time.sleep(0.1)
    assert done.returncode == 0, done


def await_answers(url):
    """An engine lists its model before it has loaded it."""
    until = time.monotonic() + 300
    body = json.dumps({"model": NAME, "prompt": "a", "max_tokens": 1, "logprobs": 1})
    while time.monotonic() < until:
        if Middleman(url).forward("POST", "/v1/completions", body)[0] == 200:
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def check(front, url, canaries):
    await_answers(url)
    add(front, url)
    begun = time.monotonic()
    done = front.cli("provider", "check", "it", "--honesty", "--canaries", str(canaries), "--json", timeout=900)
    assert done.stdout, done
    found = json.loads(done.stdout)
    assert found["error"] is None and not found["running"], found
    assert done.returncode == (1 if found["verdict"] == "cheats" else 0), done
    return found, f"{found['verdict']} after {found['canaries']} canaries in {time.monotonic() - begun:.1f} s: {found['reason']}; evidence 10^{found['evidence_log10']:.1f}"


def measure(front, file):
    """Before it, only other models are beyond the bound; by an honest one that computes in another way, coarser weights are too. One that computes as ours does is no measure."""
    with engine(file) as url:
        add(front, url)
        done = front.cli("provider", "check", "it", "--measure", "--canaries", "25", "--json", timeout=900)
        error = json.loads(done.stdout)["error"]
        assert "no measure for others" in error if error else "amx_bf16" in Path("/proc/cpuinfo").read_text(), done  # where batches have other products than single rows
    with engine(file, FREEHOLD_ISA="ref") as url:
        add(front, url)
        done = front.cli("provider", "check", "it", "--measure", "--canaries", "25", "--json", timeout=900)
        found = json.loads(done.stdout)
    assert done.returncode == 0 and found["error"] is None and found["measured"] and found["canaries"] == 0, done
    assert abs(found["deviation_bound"] - 0.02) < 1e-9, found


def honest(front, endpoint, canaries=60):
    with endpoint() as url:
        found, said = check(front, url, canaries)
    assert found["verdict"] == "honest" and found["canaries"] == canaries and found["evidence_log10"] < 1, said
    assert found["positions"] > 4 * canaries and found["inflated"] == found["same"] == 0, found
    return said


def cheating(front, endpoint, by, stands_before=None):
    """by: the test that must be the one that found it; None: any."""
    with endpoint() as url, contextlib.ExitStack() as stack:
        found, said = check(front, stack.enter_context(stands_before(url).serve()) if stands_before else url, MOST)
    assert found["verdict"] == "cheats" and found["canaries"] <= MOST, said
    assert by in (None, max(found["tests"], key=lambda t: t["evidence_log10"])["name"]), found
    return said


def busy(file):
    """An honest engine that computes for seven others meanwhile."""
    @contextlib.contextmanager
    def endpoint():
        with engine(file, "--parallel", "8") as url:
            stop = threading.Event()

            def load(i):
                body = json.dumps({"model": NAME, "prompt": f"Number {i} of the crew said", "max_tokens": 200, "temperature": 1})
                while not stop.is_set():
                    Middleman(url).forward("POST", "/v1/completions", body)
                    stop.wait(0.01)
            threads = [threading.Thread(target=load, args=(i,)) for i in range(7)]
            for t in threads:
                t.start()
            try:
                yield url
            finally:
                stop.set()
                for t in threads:
                    t.join()
    return endpoint


def looks_like_a_request(front, file):
    """What an endpoint sees of a canary is what it sees of a client's request."""
    with engine(file) as url:
        await_answers(url)
        middleman = Middleman(url)
        with middleman.serve() as before:
            add(front, before, ("--check", "1"))
            assert front.cli("provider", "check", "it", "--honesty", "--canaries", "5", timeout=900).returncode == 0
            canary = [a for a in middleman.asked if a[0] == "/v1/completions"][-1]
            body = {**json.loads(canary[2]), "model": f"provider/it/{NAME}"}
            del body["logprobs"]
            status, _, reply = front.request("POST", "/v1/completions", body)
            assert status == 200, reply
            clients = middleman.asked[-1]
    assert [k for k, _ in canary[1]] == [k for k, _ in clients[1]], (canary[1], clients[1])
    for (name, one), (_, other) in zip(canary[1], clients[1]):
        assert len(one) == len(other) or name.lower() in ("host", "content-length"), (name, one, other)
    assert list(json.loads(canary[2])) == list(json.loads(clients[2])), (canary[2], clients[2])


def replies_of(front, model, path, body):
    """The reply of one path, without what differs from one to the next, plain and streamed: the very bytes."""
    def same(data):
        return re.sub(rb'"(id|created|model|cost_\w+|duration_\w+|\w+_ms|\w+_per_second|cache_n|cached_tokens|prompt_n)":("[^"]*"|[\d.]+)', rb'"\1":0', data)
    plain, streamed = (front.request("POST", path, {**body, "model": model, "stream": stream}, headers={"x-freehold-cache": "off"}) for stream in (False, True))
    assert plain[0] == streamed[0] == 200, (plain, streamed)
    return same(plain[2]), same(streamed[2])


def hidden(front, folder):
    """A watched endpoint is asked for log-probabilities with every request; a client who did not ask has none, and the same bytes otherwise."""
    asks = {"/v1/completions": {"prompt": "The whale"}, "/v1/chat/completions": {"messages": [{"role": "user", "content": "The whale"}]}}
    asks = {path: {**ask, "temperature": 0, "seed": 7, "max_tokens": 24} for path, ask in asks.items()}
    file = rewrite(Path(folder) / "chat", "Q8_0", template="{% for m in messages %}{{ m['content'] }} {% endfor %}")
    with engine(file, "--deterministic", "--no-drafts") as url:
        await_answers(url)
        middleman = Middleman(url)
        with middleman.serve() as before:
            add(front, before)
            there = f"provider/it/{NAME}"
            unwatched = {path: replies_of(front, there, path, ask) for path, ask in asks.items()}
            assert not any("logprobs" in json.loads(a[2]) for a in middleman.asked if a[2]), "asked of one that is not watched"
            add(front, before, ("--check", "1"))
            assert front.cli("provider", "check", "it", "--honesty", "--canaries", "2", timeout=900).returncode == 0
            del middleman.asked[:]
            for path, ask in asks.items():
                assert replies_of(front, there, path, ask) == unwatched[path], (replies_of(front, there, path, ask), unwatched[path])
            assert all(json.loads(a[2])["logprobs"] for a in middleman.asked), middleman.asked
            of = {"/v1/completions": {"logprobs": 2}, "/v1/chat/completions": {"logprobs": True, "top_logprobs": 2}}
            for path, wish in of.items():
                status, _, reply = front.request("POST", path, {**asks[path], **wish, "model": there})
                assert status == 200 and json.loads(reply)["choices"][0]["logprobs"], reply
            status, _, reply = front.request("POST", "/v1/messages", {**asks["/v1/chat/completions"], "seed": None, "model": there})
            assert status == 200 and b"logprob" not in reply, reply
            tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
            del middleman.asked[:]
            front.request("POST", "/v1/chat/completions", {**asks["/v1/chat/completions"], "tools": tools, "model": there})
            assert middleman.asked and not any("logprobs" in json.loads(a[2]) for a in middleman.asked), middleman.asked


def leaves(front, files):
    """One that cheats is not asked any more, over a restart too, until its owner clears it."""
    ask = {"model": f"provider/it/{NAME}", "prompt": "The whale", "max_tokens": 4}
    with engine(files["Q4_0"]) as url:
        assert check(front, url, MOST)[0]["verdict"] == "cheats"
        front.stop()
        front.start()
        front.wait_ready(front.deployments()[0]["name"])
        status, _, reply = front.request("POST", "/v1/completions", ask)
        assert status == 503 and "was found to cheat" in json.loads(reply)["error"]["message"], (status, reply)
        for _ in range(8):
            status, headers, _ = front.request("POST", "/v1/completions", {**ask, "model": NAME})
            assert status == 200 and headers["x-freehold-place"] == "here", headers
        assert json.loads(front.cli("provider", "list", "--json").stdout)["items"][0]["honesty"] == "cheats"
        assert front.cli("provider", "clear", "it").returncode == 0
        assert front.request("POST", "/v1/completions", ask)[0] == 200
        assert json.loads(front.cli("provider", "list", "--json").stdout)["items"][0]["honesty"] == "unknown"


def refused(front, file):
    with engine(file) as url:
        add(front, url)
        for words, code, says in ((("nobody",), 3, "no provider"), (("it", "--model", "other"), 3, "does not serve"), (("it", "--canaries", "0"), 2, "canaries")):
            done = front.cli("provider", "check", *words, "--honesty")
            assert done.returncode == code and says in done.stderr, (words, done)
    with Middleman("http://127.0.0.1:1", instead=lambda asked: {"choices": [{"text": " a"}]}).serve() as url:
        status, _, reply = front.request("POST", "/api/v1/providers/it/honesty", {"canaries": 1001})
        assert status == 400 and "canaries" in reply.decode(), (status, reply)


def costs(front, file):
    """What canaries cost is told, at the prices that were given."""
    with engine(file) as url:
        await_answers(url)
        add(front, url, ("--price", "1/2"))
        found = json.loads(front.cli("provider", "check", "it", "--honesty", "--canaries", "3", "--json").stdout)
        said = front.cli("provider", "check", "it", "--honesty", "--canaries", "1").stdout
    assert found["cost_nusd"] == (found["prompt_tokens"] + 2 * found["completion_tokens"]) * 1000 > 0, found
    assert "spent" in said and "$0.0" in said, said


def by_itself(front, file):
    """Canaries go out by themselves where that was asked for, and nowhere else."""
    with engine(file) as url:
        await_answers(url)
        add(front, url)
        assert json.loads(front.cli("provider", "list", "--json").stdout)["items"][0]["canaries_per_day"] == 0
        add(front, url, ("--check", "8640"))
        until, answered = time.monotonic() + 300, 0
        while answered < 2 and time.monotonic() < until:
            items = front.json("GET", "/api/v1/providers/it/honesty")["items"]
            answered = items[0]["canaries"] if items else 0
            time.sleep(0.5)
        front.cli("provider", "remove", "it")
    assert answered >= 2, items


def silent(front, file):
    """One that does not tell log-probabilities is not accused: nothing is known of it."""
    def change(_, reply):
        reply["choices"][0]["logprobs"] = None
        return reply
    with engine(file) as url, Middleman(url, change).serve() as before:
        add(front, before)
        found = json.loads(front.cli("provider", "check", "it", "--honesty", "--json").stdout)
    assert found["verdict"] == "unknown" and "does not tell how likely" in found["error"], found
    return found["error"]


def paths():
    """Instruction sets that our engine has here."""
    flags = Path("/proc/cpuinfo").read_text()
    return [name for name, flag in (("avx2", "avx2"), ("avx512_vnni", "avx512_vnni")) if f" {flag}" in flags]


def main():
    if not F16.is_file():
        Tap.skip_all(f"{F16} is not here: FREEHOLD_SMALL_TEXT names its folder")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="fh-honest-") as folder, Server(start=False) as front:
        files = {kind: rewrite(Path(folder) / kind, kind) for kind in ("Q8_0", "Q4_0")}
        files["smaller"] = rewrite(Path(folder) / "smaller", "Q8_0", layers=3)
        files["F16"] = rewrite(Path(folder) / "F16")
        (Path(folder) / "other").mkdir()
        files["other"] = Path(folder) / "other" / f"{NAME}.gguf"
        front.cli_local("import", "--id", NAME, str(files["Q8_0"]))
        front.start()
        front.deploy(NAME)
        same = files["Q8_0"]
        tap.check("an honest endpoint is the measure for others", measure, front, same)
        for isa in paths():
            tap.check(f"an honest engine on {isa} is not accused", honest, front, lambda: engine(same, FREEHOLD_ISA=isa), 100)
        tap.check("an honest engine on plain arithmetic is not accused", honest, front, lambda: engine(same, FREEHOLD_ISA="ref"), 30)
        tap.check("an honest engine that computes for eight at once is not accused", honest, front, busy(same))
        tap.check("an honest llama-server is not accused", honest, front, lambda: llama_server(same), 100)
        tap.check("one that serves finer weights is not accused", honest, front, lambda: engine(files["F16"]), 100)
        tap.check("Q4_0 under the name of Q8_0 is found", cheating, front, lambda: engine(files["Q4_0"]), "model")
        tap.check("Q4_0 of a llama-server is found", cheating, front, lambda: llama_server(files["Q4_0"]), "model")
        tap.check("a smaller model is found", cheating, front, lambda: engine(files["smaller"]), "model")
        if STARTER.is_file():
            files["other"].symlink_to(STARTER)
            tap.check("another model is found", cheating, front, lambda: engine(files["other"]), "model")
        else:
            tap.skip("another model is found", "the starter model is not here: run tools/fetch-starter")
        tap.check("a cache of prompts is found", cheating, front, lambda: engine(same), "cache", cache_of_prompts)
        tap.check("a cache of whatever looks alike is found", cheating, front, lambda: engine(same), None, cache_of_shapes)
        tap.check("counts that are doubled are found", cheating, front, lambda: engine(same), "counts", lambda url: inflated(url, 2))
        tap.check("counts that are a fifth too large are found", cheating, front, lambda: engine(same), "counts", lambda url: inflated(url, 1.2))
        tap.check("counts that are padded with tokens of no text are found", cheating, front, lambda: engine(same), "counts", padded)
        tap.check("a canary looks like a client's request", looks_like_a_request, front, same)
        tap.check("what is asked of every request is taken out of the reply again", hidden, front, folder)
        tap.check("a cheat leaves the candidates until it is cleared", leaves, front, files)
        tap.check("what cannot be checked is refused, with what to do", refused, front, same)
        tap.check("canaries go out by themselves where that is wanted", by_itself, front, same)
        tap.check("what canaries cost is told", costs, front, same)
        tap.check("an endpoint that tells no log-probabilities is not accused", silent, front, same)
    tap.end()


if __name__ == "__main__":
    main()
